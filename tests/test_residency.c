/* Weights on processors with a memory budget, on cases small enough to compute by hand: what a load costs, who is
 * evicted, what a prefetch hides, who shares, who is refused and with which figures. tests/contract.h holds every
 * policy to its budget on random cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/sim/sim.h"
#include "sched/bound.h"
#include "sched/engine.h"
#include "sched/policy.h"
#include "sched/residency.h"
#include "tests/fixtures.h"

#define MS COSREL_MS

/* Gives every model `elements` fp32 weights in its first unit; 1000 of them load in 0.5 + 1 ms. */
static void weigh(fixture *f, uint64_t elements) {
  for (uint32_t m = 0; m < f->profile.n_models; m++) f->profile.models[m].model.units[0].weights = elements;
}
static void limit(fixture *f, uint32_t p, uint64_t bytes) {
  f->profile.processors[p].memory_bytes = bytes;
  f->profile.processors[p].load_ns = 0.5e6;
  f->profile.processors[p].load_ns_per_byte = 250;
}

/* Three closed streams a, b and c of models of one unit each, `ms` on the only processor, which holds `n` of them. */
static void three(fixture *f, double ms, uint64_t n) {
  static const char *names[] = {"a", "b", "c"};
  fixture_begin(f, 1);
  for (int i = 0; i < 3; i++) {
    fixture_chain(f, names[i], 1, &ms);
    f->profile.models[i].model.units[0].weights = 1000;
    fixture_stream(f, names[i], COSREL_ARRIVALS_CLOSED, 1);
  }
  limit(f, 0, n * 4000);
  fixture_compile(f);
}

static cosrel_state *begin(const cosrel_case *c) {
  cosrel_state *state = fixture_alloc(1, c->state_size);
  cosrel_state_init(c, state, 1, COSREL_S);
  while (state->next_stream != COSREL_NONE && state->streams[state->next_stream].next_arrival == 0)
    cosrel_state_arrive(c, state, NULL);
  return state;
}

/* Runs the head of stream s on p to its end; returns the load part of the segment. */
static cosrel_time serve(const cosrel_case *c, cosrel_state *state, uint32_t s, uint32_t p) {
  uint16_t ends[3];
  uint32_t slot = (uint32_t)state->streams[s].head, n = cosrel_state_ends(c, state, slot, 0, p, ends);
  cosrel_candidate run = {.processor = (uint8_t)p, .slot = (uint16_t)slot, .end = ends[n - 1]};
  assert_true(cosrel_candidate_legal(c, state, &run));
  double expected = cosrel_state_work(c, state, &run).load;
  cosrel_segment segment;
  uint32_t processor;
  cosrel_state_start(c, state, &run, 1);
  cosrel_state_advance(c, state, cosrel_state_next_finish(c, state, &processor));
  assert_int_equal(processor, p);
  cosrel_state_finish(c, state, processor, &segment, NULL);
  assert_int_equal(segment.load, (cosrel_time)expected);
  return segment.load;
}

static void test_a_load_is_paid_once_and_the_least_recently_used_goes(void **unused) {
  (void)unused;
  fixture f;
  three(&f, 2, 2);
  f.c.prefetch = false;
  cosrel_state *state = begin(&f.c);
  const cosrel_residency *r = cosrel_state_residency(&f.c, state, 0);
  static const struct {
    uint32_t stream;
    cosrel_time load;
    uint64_t held;
  } steps[] = {
      {0, 1500000, 0x1}, {1, 1500000, 0x3}, {0, 0, 0x3}, {2, 1500000, 0x5}, /* b went */
      {0, 0, 0x5},       {1, 1500000, 0x3},                                 /* c went */
      {0, 0, 0x3},       {1, 0, 0x3},
  };
  cosrel_time now = 0;
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    assert_int_equal(serve(&f.c, state, steps[i].stream, 0), steps[i].load);
    assert_int_equal(r->held, steps[i].held);
    now += 2 * MS + steps[i].load;
    assert_int_equal(state->now, now);
  }
  assert_int_equal(r->n_loads, 4);
  assert_int_equal(r->n_evictions, 2);
  assert_int_equal(r->n_prefetched, 0);
  assert_int_equal(r->waited, 4 * 1500000);
  assert_int_equal(r->peak_bytes, 8000);
  assert_int_equal(r->bytes, 8000);
  assert_int_equal(state->busy[0], now);
  free(state);
  fixture_end(&f);
}

/* While a works (its own load 1.5 ms, then `ms`), b is loaded until 3 ms. */
static void test_a_prefetch_hides_what_it_has_loaded_by_then(void **unused) {
  (void)unused;
  static const struct {
    double ms;
    bool prefetch;
    cosrel_time load;
  } cases[] = {{5, true, 0}, {1.5, true, 0}, {1, true, 500000}, {0.25, true, 1250000}, {5, false, 1500000}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fixture f;
    three(&f, cases[i].ms, 2);
    f.c.prefetch = cases[i].prefetch;
    cosrel_state *state = begin(&f.c);
    assert_int_equal(serve(&f.c, state, 0, 0), 1500000);
    assert_int_equal(serve(&f.c, state, 1, 0), cases[i].load);
    const cosrel_residency *r = cosrel_state_residency(&f.c, state, 0);
    assert_int_equal(r->n_prefetched > 0, cases[i].prefetch);
    assert_int_equal(r->waited, 1500000 + cases[i].load);
    free(state);
    fixture_end(&f);
  }
}

/* Wanting c while b is on its way: the rest of b, then c. */
static void test_a_processor_loads_one_thing_at_a_time(void **unused) {
  (void)unused;
  fixture f;
  three(&f, 1, 2);
  cosrel_state *state = begin(&f.c);
  assert_int_equal(serve(&f.c, state, 0, 0), 1500000); /* until 2.5 ms; b comes at 3 ms */
  const cosrel_residency *r = cosrel_state_residency(&f.c, state, 0);
  assert_int_equal(r->held, 0x3);
  f.c.prefetch = false;
  assert_int_equal(serve(&f.c, state, 2, 0), 500000 + 1500000);
  assert_int_equal(r->held, 0x6); /* a went: b was put first when it was fetched */
  assert_int_equal(serve(&f.c, state, 1, 0), 0);
  free(state);
  fixture_end(&f);
}

/* The running segment's weights stay, and so do those that an older head waits for. */
static void test_a_prefetch_evicts_nothing_that_is_wanted_sooner(void **unused) {
  (void)unused;
  fixture f;
  three(&f, 5, 2);
  f.c.prefetch = false;
  cosrel_state *state = begin(&f.c);
  const cosrel_residency *r = cosrel_state_residency(&f.c, state, 0);
  serve(&f.c, state, 0, 0);
  serve(&f.c, state, 1, 0); /* heads by age: c, a, b; a and b are there */
  f.c.prefetch = true;
  assert_int_equal(serve(&f.c, state, 0, 0), 0); /* c is the oldest head: b goes */
  assert_int_equal(r->held, 0x5);
  assert_int_equal(r->n_prefetched, 1);
  /* While c runs the others are b, then a: b comes, a goes. While b runs they are a, then c: a comes, c goes. */
  assert_int_equal(serve(&f.c, state, 2, 0), 0);
  assert_int_equal(r->held, 0x6);
  assert_int_equal(serve(&f.c, state, 1, 0), 0);
  assert_int_equal(r->held, 0x3);
  free(state);
  fixture_end(&f);

  three(&f, 5, 1); /* room for one: what runs fills it */
  state = begin(&f.c);
  assert_int_equal(serve(&f.c, state, 0, 0), 1500000);
  assert_int_equal(serve(&f.c, state, 1, 0), 1500000);
  assert_int_equal(cosrel_state_residency(&f.c, state, 0)->n_prefetched, 0);
  free(state);
  fixture_end(&f);
}

/* b was used least recently, but its head is the oldest: d makes room for c. */
static void test_a_prefetch_keeps_what_an_older_head_wants(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 1);
  static const char *names[] = {"a", "b", "c", "d"};
  for (int i = 0; i < 4; i++) fixture_chain(&f, names[i], 1, (double[]){5});
  weigh(&f, 1000);
  for (int i = 0; i < 4; i++) fixture_stream(&f, names[i], COSREL_ARRIVALS_CLOSED, 1);
  limit(&f, 0, 12000);
  fixture_compile(&f);
  f.c.prefetch = false;
  cosrel_state *state = begin(&f.c);
  serve(&f.c, state, 1, 0);
  serve(&f.c, state, 3, 0);
  cosrel_state_request(&f.c, state, (uint32_t)state->streams[1].head)->arrival = -1;
  f.c.prefetch = true;
  assert_int_equal(serve(&f.c, state, 0, 0), 1500000);
  assert_int_equal(cosrel_state_residency(&f.c, state, 0)->held, 0x7);
  free(state);
  fixture_end(&f);
}

/* A head that another processor ends sooner is not fetched for. */
static void test_a_prefetch_goes_where_the_head_ends_first(void **unused) {
  (void)unused;
  for (int slow = 0; slow < 2; slow++) {
    fixture f;
    fixture_begin(&f, 2);
    fixture_chain(&f, "a", 1, (double[]){9, 4});
    fixture_chain(&f, "b", 1, (double[]){slow ? 30 : 3, 4}); /* on cpu, which is idle, or after a on gpu */
    weigh(&f, 1000);
    fixture_stream(&f, "a", COSREL_ARRIVALS_CLOSED, 1);
    fixture_stream(&f, "b", COSREL_ARRIVALS_CLOSED, 1);
    limit(&f, 1, 8000);
    fixture_compile(&f);
    cosrel_state *state = begin(&f.c);
    cosrel_candidate run = {.processor = 1, .slot = (uint16_t)state->streams[0].head, .end = 1};
    cosrel_state_start(&f.c, state, &run, 1);
    assert_int_equal(cosrel_state_residency(&f.c, state, 1)->held, slow ? 0x3 : 0x1);
    run = (cosrel_candidate){.processor = 0, .slot = (uint16_t)state->streams[1].head, .end = 1};
    assert_true(cosrel_state_work(&f.c, state, &run).load == 0); /* cpu has no budget */
    free(state);
    fixture_end(&f);
  }
}

/* b would end sooner on gpu even with the load, but a would have to be loaded again there. */
static void test_a_prefetch_minds_what_it_evicts(void **unused) {
  (void)unused;
  for (int light = 0; light < 2; light++) {
    fixture f;
    fixture_begin(&f, 2);
    fixture_chain(&f, "a", 1, (double[]){50, 4});
    fixture_chain(&f, "b", 1, (double[]){50, 4});
    fixture_chain(&f, "c", 1, (double[]){20, 5}); /* on gpu: after b's 4 ms, 5 more */
    weigh(&f, 1000);
    for (int i = 0; i < 3; i++) fixture_stream(&f, f.profile.models[i].model.name, COSREL_ARRIVALS_CLOSED, 1);
    limit(&f, 1, 8000);
    f.profile.processors[1].load_ns = light ? 0 : 11e6; /* 1 or 12 ms each: 20 is between 9 + 1 and 17 + 12 */
    fixture_compile(&f);
    f.c.prefetch = false;
    cosrel_state *state = begin(&f.c);
    serve(&f.c, state, 0, 1);
    serve(&f.c, state, 1, 1); /* a and b are there; the heads by age: c, a, b */
    f.c.prefetch = true;
    cosrel_candidate run = {.processor = 1, .slot = (uint16_t)state->streams[1].head, .end = 1};
    cosrel_state_start(&f.c, state, &run, 1);
    assert_int_equal(cosrel_state_residency(&f.c, state, 1)->held, light ? 0x6 : 0x3);
    free(state);
    fixture_end(&f);
  }
}

/* Streams of one model share its weights when it runs in the same precisions: those decide what the weights are. */
static void test_streams_share_weights(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 1);
  fixture_chain(&f, "m", 2, (double[]){1, 1});
  weigh(&f, 1000);
  f.profile.models[0].model.units[1].weights = 500;
  for (int i = 0; i < 4; i++) fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1);
  f.workload.streams[2].precisions = 1u << COSREL_INT8;
  f.workload.streams[3].precisions = 1u << COSREL_INT8 | 1u << COSREL_FP32; /* fp32 costs no more */
  limit(&f, 0, 9000);
  fixture_compile(&f);
  assert_int_equal(f.c.streams[1].weights, 0);
  assert_int_equal(f.c.streams[2].weights, 2);
  assert_int_equal(f.c.streams[3].weights, 0);
  assert_int_equal(f.c.streams[0].weight_bytes[0], 6000);
  assert_int_equal(f.c.streams[2].weight_bytes[0], 1500);
  f.c.prefetch = false;
  cosrel_state *state = begin(&f.c);
  assert_int_equal(serve(&f.c, state, 0, 0), 500000 + 6000 * 250);
  assert_int_equal(serve(&f.c, state, 1, 0), 0);
  assert_int_equal(serve(&f.c, state, 2, 0), 500000 + 1500 * 250);
  assert_int_equal(cosrel_state_residency(&f.c, state, 0)->bytes, 7500);
  free(state);
  fixture_end(&f);
}

/* A profile that says what weights take when they are prepared is believed, per unit and precision. */
static void test_prepared_bytes_count(void **unused) {
  (void)unused;
  fixture f;
  cosrel_error error = {""};
  fixture_begin(&f, 2);
  fixture_chain(&f, "m", 2, (double[]){1, 1, 1, 1});
  weigh(&f, 1000);
  f.profile.models[0].model.units[1].weights = 500;
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1);
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1)->precisions = 1u << COSREL_FP16;
  cosrel_cost *wide = cosrel_profile_cost(&f.profile, 0, 1, 0, COSREL_FP32),
              *half = cosrel_profile_cost(&f.profile, 0, 0, 0, COSREL_FP16);
  wide->has_weight_bytes = half->has_weight_bytes = true;
  wide->weight_bytes = 7000;
  half->weight_bytes = 0;
  limit(&f, 0, 11000);
  limit(&f, 1, 6000);
  fixture_compile(&f);
  assert_int_equal(f.c.streams[0].weight_bytes[0], 4000 + 7000);
  assert_int_equal(f.c.streams[1].weight_bytes[0], 0 + 1000);
  assert_int_equal(f.c.streams[0].weight_bytes[1], 6000); /* as they are */
  assert_true(f.c.streams[0].load_ns[0] == 0.5e6 + 250 * 11000);
  assert_int_equal(f.c.streams[0].limit[0][0], 2);
  cosrel_case_destroy(&f.c);
  /* As they are they would still fit: 6000 bytes. */
  limit(&f, 0, 10999);
  limit(&f, 1, 5999);
  assert_int_equal(cosrel_case_create(&f.profile, &f.workload, &f.c, &error), COSREL_LIMIT);
  assert_string_equal(error.text,
                      "stream s0: the weights of m fit on no processor that runs its unit u0; needed of budget: cpu "
                      "0.01 of 0.01 MiB, gpu 0.01 of 0.01 MiB");
  wide->weight_bytes = 10 << 20;
  limit(&f, 0, 9 << 20);
  assert_int_equal(cosrel_case_create(&f.profile, &f.workload, &f.c, &error), COSREL_LIMIT);
  assert_non_null(strstr(error.text, "needed of budget: cpu 10.00 of 9.00 MiB, "));
  wide->has_weight_bytes = false;
  assert_int_equal(cosrel_case_create(&f.profile, &f.workload, &f.c, &error), COSREL_OK);
  fixture_end(&f);
}

/* What does not fit is no candidate; T_m counts only where it fits, and no loads. */
static void test_what_does_not_fit_runs_elsewhere(void **unused) {
  (void)unused;
  for (int fits = 0; fits < 2; fits++) {
    fixture f;
    fixture_begin(&f, 2);
    fixture_chain(&f, "m", 2, (double[]){4, 1, 4, 1});
    weigh(&f, 1000);
    fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1);
    limit(&f, 1, fits ? 4004 : 4003); /* 1001 weights */
    fixture_compile(&f);
    assert_int_equal(f.c.streams[0].limit[1][0], fits ? 2 : 0);
    assert_true(f.c.streams[0].isolated_ns == (fits ? 2e6 : 8e6));
    cosrel_state *state = begin(&f.c);
    cosrel_candidate all[8], run = {.processor = 1, .end = 2};
    assert_int_equal(cosrel_candidate_legal(&f.c, state, &run), fits);
    assert_int_equal(cosrel_state_candidates(&f.c, state, all, 8), fits ? 4 : 2);
    free(state);
    fixture_end(&f);
  }
}

static void test_refusal_names_the_figures(void **unused) {
  (void)unused;
  fixture f;
  cosrel_error error = {""};
  fixture_begin(&f, 3);
  fixture_chain(&f, "big", 2, (double[]){1, 1, -1, -1, 1, 1}); /* gpu could have had all, the others half */
  weigh(&f, 1 << 20);
  fixture_stream(&f, "big", COSREL_ARRIVALS_CLOSED, 1);
  limit(&f, 0, 1 << 20);
  limit(&f, 1, 3 << 20);
  assert_int_equal(cosrel_case_create(&f.profile, &f.workload, &f.c, &error), COSREL_LIMIT);
  assert_string_equal(error.text,
                      "stream s0: the weights of big fit on no processor that runs its unit u0; needed of budget: cpu "
                      "4.00 of 1.00 MiB, gpu 4.00 of 3.00 MiB");
  /* dsp holds its half, but nobody is left for the other. */
  limit(&f, 1, (4 << 20) + 4);
  assert_int_equal(cosrel_case_create(&f.profile, &f.workload, &f.c, &error), COSREL_OK);
  fixture_end(&f);
}

/* One run: what happened when, as a number. */
static uint64_t run_hash(const cosrel_case *c, const char *name, uint64_t *loads) {
  const cosrel_policy_config config = {.seed = 3, .plan_budget = 20, .duration_s = 0.3};
  const cosrel_sim sim = {.noise = true};
  cosrel_engine engine;
  cosrel_policy policy;
  cosrel_error error = {""};
  assert_int_equal(cosrel_engine_create(c, cosrel_sim_driver(&sim), &engine, &error), COSREL_OK);
  assert_int_equal(cosrel_policy_create(name, c, &config, &policy, &error), COSREL_OK);
  if (cosrel_engine_run(&engine, &policy, 3, 300 * MS, &error) != COSREL_OK) fail_msg("%s: %s", name, error.text);
  uint64_t hash = cosrel_rng_key(engine.n_decisions, (uint64_t)engine.state->now);
  for (uint32_t p = 0; p < c->n_processors; p++) {
    hash = cosrel_rng_key(hash, (uint64_t)engine.state->busy[p]);
    if (c->residency_at != 0) *loads += cosrel_state_residency(c, engine.state, p)->n_loads;
  }
  for (uint32_t s = 0; s < c->n_streams; s++) hash = cosrel_rng_key(hash, engine.state->streams[s].completed);
  cosrel_policy_destroy(&policy);
  cosrel_engine_destroy(&engine);
  return hash;
}

/* Memory for everything that loads for nothing is as no limit, for every policy. */
static void test_a_large_budget_changes_nothing(void **unused) {
  (void)unused;
  uint64_t loads = 0;
  for (const cosrel_policy_ops *const *ops = cosrel_policy_list(); *ops != NULL; ops++) {
    uint64_t hashes[2];
    for (int limited = 0; limited < 2; limited++) {
      fixture f;
      fixture_begin(&f, 3);
      fixture_random_model(&f, "a", 9, true, 1);
      fixture_random_model(&f, "b", 12, false, 2);
      weigh(&f, 1000000);
      fixture_overheads(&f, 0.1, 0.2);
      fixture_disturb(&f, 0.4, 0.2);
      fixture_stream(&f, "a", COSREL_ARRIVALS_POISSON, 60);
      fixture_stream(&f, "b", COSREL_ARRIVALS_POISSON, 50);
      for (uint32_t p = 0; p < 3 && limited; p++) f.profile.processors[p].memory_bytes = 1u << 30;
      fixture_compile(&f);
      assert_int_equal(f.c.residency_at != 0, limited);
      hashes[limited] = run_hash(&f.c, (*ops)->name, &loads);
      fixture_end(&f);
    }
    if (hashes[0] != hashes[1]) fail_msg("%s: another run", (*ops)->name);
  }
  assert_true(loads > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_load_is_paid_once_and_the_least_recently_used_goes),
      cmocka_unit_test(test_a_prefetch_hides_what_it_has_loaded_by_then),
      cmocka_unit_test(test_a_processor_loads_one_thing_at_a_time),
      cmocka_unit_test(test_a_prefetch_evicts_nothing_that_is_wanted_sooner),
      cmocka_unit_test(test_a_prefetch_keeps_what_an_older_head_wants),
      cmocka_unit_test(test_a_prefetch_goes_where_the_head_ends_first),
      cmocka_unit_test(test_a_prefetch_minds_what_it_evicts),
      cmocka_unit_test(test_streams_share_weights),
      cmocka_unit_test(test_prepared_bytes_count),
      cmocka_unit_test(test_what_does_not_fit_runs_elsewhere),
      cmocka_unit_test(test_refusal_names_the_figures),
      cmocka_unit_test(test_a_large_budget_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
