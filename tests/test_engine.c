/* The decision core: tables against exhaustive search, contention by hand, conservation of time, energy and requests */
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/sim/sim.h"
#include "sched/engine.h"
#include "sched/metrics.h"
#include "tests/fixtures.h"

static void near(double a, double b, double relative) {
  if (!(fabs(a - b) <= relative * (fabs(b) + 1e-12))) fail_msg("%.12g is not within %g of %.12g", a, relative, b);
}

/* A policy that picks any legal choice, waiting included: it finds states that sane policies avoid. */
static cosrel_candidate any_choice(void *self, const cosrel_case *c, const cosrel_state *state) {
  uint64_t *key = self;
  cosrel_candidate all[512];
  uint32_t n = cosrel_state_candidates(c, state, all, 512);
  assert_in_range(n, 1, 512);
  uint32_t pick = cosrel_rng_below(++*key, n + cosrel_state_event_pending(state));
  return pick == n ? (cosrel_candidate){.action = COSREL_WAIT} : all[pick];
}
/* Oldest request first, to the end, on the lowest idle processor that can. */
static cosrel_candidate first_choice(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  cosrel_candidate all[512];
  uint32_t n = cosrel_state_candidates(c, state, all, 512), best = 0;
  for (uint32_t i = 1; i < n; i++) {
    cosrel_time a = cosrel_state_request(c, state, all[i].slot)->arrival;
    cosrel_time b = cosrel_state_request(c, state, all[best].slot)->arrival;
    if (a < b || (a == b && all[i].slot == all[best].slot && all[i].end > all[best].end)) best = i;
  }
  return all[best];
}
static void nothing(void *self) { (void)self; }
static const cosrel_policy_ops any_ops = {sizeof any_ops, "any", "", false, NULL, nothing, any_choice, nothing};
static const cosrel_policy_ops first_ops = {sizeof first_ops, "first", "", false, NULL, nothing, first_choice, nothing};

/* ---- tables ------------------------------------------------------------------------------------------------------ */

/* Sequential execution with processor assign[u] for unit u, all live tensors moving along: the definition of T_m. */
static double sequential(const fixture *f, const uint32_t *assign) {
  const cosrel_case *c = &f->c;
  const cosrel_stream_case *sc = &c->streams[0];
  double total = 0;
  uint32_t at = c->host;
  for (uint32_t u = 0; u < sc->n_units; u++) {
    uint32_t p = assign[u];
    if (sc->limit[p][u] <= u) return INFINITY;
    if (u == 0 || p != at) total += c->launch_ns[p];
    if (p != at)
      for (uint32_t i = sc->live_first[u]; i < sc->live_first[u + 1]; i++)
        total += (double)sc->transfer[(sc->live[i].tensor * c->n_processors + at) * c->n_processors + p];
    total += sc->mean[p][u + 1] - sc->mean[p][u];
    at = p;
  }
  return total;
}

static void test_isolated_latency_is_the_exhaustive_optimum(void **unused) {
  (void)unused;
  for (uint64_t key = 0; key < 24; key++) {
    fixture f;
    fixture_begin(&f, 3);
    fixture_random_model(&f, "m", 8, key % 2 == 1, key);
    fixture_overheads(&f, 0.1 * (double)(key % 4), 0.05 * (double)(key % 3));
    fixture_stream(&f, "m", COSREL_ARRIVALS_POISSON, 100);
    fixture_compile(&f);
    double best = INFINITY;
    for (uint32_t code = 0; code < 6561; code++) { /* 3^8 */
      uint32_t assign[8];
      for (uint32_t u = 0, rest = code; u < 8; u++, rest /= 3) assign[u] = rest % 3;
      best = fmin(best, sequential(&f, assign));
    }
    near(f.c.streams[0].isolated_ns, best, 1e-9);
    fixture_end(&f);
  }
}

/* The host may sit anywhere, and going back costs too: 1 ms on cpu, 5 on gpu, input on cpu, hop 10 ms. */
static void test_isolated_latency_by_hand(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "m", 2, (double[]){1, 5, 9, 2});
  fixture_overheads(&f, 0.25, 3);
  fixture_stream(&f, "m", COSREL_ARRIVALS_POISSON, 100);
  fixture_compile(&f);
  near(f.c.streams[0].isolated_ns, (0.25 + 1 + 0.25 + 3 + 2) * 1e6, 1e-9);
  near((double)f.c.streams[0].deadline, 5 * 6.5e6, 1e-9);
  fixture_end(&f);
}

static void test_unknown_model_and_unrunnable_unit_fail(void **unused) {
  (void)unused;
  fixture f;
  cosrel_error error = {""};
  fixture_begin(&f, 2);
  fixture_chain(&f, "m", 2, (double[]){1, 1, -1, -1});
  fixture_stream(&f, "nobody", COSREL_ARRIVALS_POISSON, 100);
  assert_int_equal(cosrel_case_create(&f.profile, &f.workload, &f.c, &error), COSREL_INVALID);
  assert_non_null(strstr(error.text, "nobody"));
  strcpy(f.workload.streams[0].model, "m");
  assert_int_equal(cosrel_case_create(&f.profile, &f.workload, &f.c, &error), COSREL_INFEASIBLE);
  assert_non_null(strstr(error.text, "u1"));
  fixture_end(&f);
}

/* ---- dynamics ---------------------------------------------------------------------------------------------------- */

/* Two requests of 10 and 4 ms side by side, kappa 0.8 both ways, beta 0.5: both run at 1 / (1 + 0.8 * 0.25) = 1 / 1.2
 * until the short one ends at 4.8 ms; the long one then has 6 ms left and ends at 10.8 ms. */
static void test_contention_is_rerated(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "long", 1, (double[]){10, -1});
  fixture_chain(&f, "short", 1, (double[]){-1, 4});
  fixture_disturb(&f, 0.8, 0);
  fixture_stream(&f, "long", COSREL_ARRIVALS_CLOSED, 1);
  fixture_stream(&f, "short", COSREL_ARRIVALS_CLOSED, 1);
  f.profile.host = 0;
  fixture_compile(&f);
  cosrel_state *state = malloc(f.c.state_size);
  cosrel_state_init(&f.c, state, 1, 1); /* the horizon: no second request */
  cosrel_state_arrive(&f.c, state, NULL);
  cosrel_state_arrive(&f.c, state, NULL);
  cosrel_candidate both[8];
  assert_int_equal(cosrel_state_candidates(&f.c, state, both, 8), 2);
  cosrel_state_start(&f.c, state, &both[0], 1);
  cosrel_state_start(&f.c, state, &both[1], 1);
  uint32_t p = 9;
  cosrel_time t = cosrel_state_next_finish(&f.c, state, &p);
  assert_int_equal(p, 1);
  near((double)t, 4.8e6, 1e-6);
  cosrel_state_advance(&f.c, state, t);
  cosrel_state_finish(&f.c, state, p, NULL, NULL);
  t = cosrel_state_next_finish(&f.c, state, &p);
  assert_int_equal(p, 0);
  near((double)t, 10.8e6, 1e-6);
  free(state);
  fixture_end(&f);
}

/* What a run adds up to, kept by a sink independently of the state. */
typedef struct ledger {
  uint64_t arrived, ended, dropped, units;
  cosrel_time busy[COSREL_PROCESSORS_MAX], last_end[COSREL_PROCESSORS_MAX];
} ledger;
static void note_arrival(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t stream) {
  (void)c, (void)state, (void)stream;
  ((ledger *)self)->arrived++;
}
static void note_segment(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment) {
  (void)c, (void)state;
  ledger *l = self;
  assert_true(segment->started >= l->last_end[segment->processor]); /* one at a time */
  assert_true(segment->launch >= 0 && segment->transfer >= 0);
  assert_true(segment->launch + segment->transfer <= segment->ended - segment->started);
  l->last_end[segment->processor] = segment->ended;
  l->busy[segment->processor] += segment->ended - segment->started;
  l->units += (uint64_t)(segment->end - segment->begin);
}
static void note_outcome(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_outcome *outcome) {
  (void)c;
  ledger *l = self;
  assert_true(outcome->end == state->now && outcome->arrival <= outcome->end);
  assert_true(!outcome->dropped || (outcome->missed && outcome->utility == 0 && outcome->ntt >= 5));
  l->ended++;
  l->dropped += outcome->dropped;
}

static const cosrel_arrivals_kind kinds[] = {COSREL_ARRIVALS_CLOSED, COSREL_ARRIVALS_PERIODIC, COSREL_ARRIVALS_POISSON,
                                             COSREL_ARRIVALS_BURSTY};

static void mixed_fixture(fixture *f, uint64_t key, cosrel_arrivals_kind kind) {
  fixture_begin(f, 3);
  fixture_random_model(f, "a", 9, false, key);
  fixture_random_model(f, "b", 14, true, key + 1);
  fixture_random_model(f, "c", 5, true, key + 2);
  fixture_overheads(f, 0.05, 0.1);
  fixture_disturb(f, 0.6, 0.3);
  fixture_stream(f, "a", kind, 60)->drop_late = true;
  fixture_stream(f, "b", kind, 40)->drop = COSREL_DROP_NEWEST;
  fixture_stream(f, "c", kind, 90)->queue_limit = 1;
  fixture_compile(f);
}

static void test_time_energy_and_requests_are_conserved(void **unused) {
  (void)unused;
  const cosrel_sim sim = {.noise = true};
  for (uint64_t key = 0; key < 12; key++) {
    fixture f;
    mixed_fixture(&f, key, kinds[key % 4]);
    cosrel_engine engine;
    cosrel_error error = {""};
    ledger l = {0};
    cosrel_sink sink = {.self = &l, .arrival = note_arrival, .segment = note_segment, .outcome = note_outcome};
    uint64_t random = key << 32;
    cosrel_policy policy = {key % 3 == 0 ? &first_ops : &any_ops, &random};
    assert_int_equal(cosrel_engine_create(&f.c, cosrel_sim_driver(&sim), &engine, &error), COSREL_OK);
    engine.sinks = &sink;
    if (cosrel_engine_run(&engine, &policy, key, 3 * COSREL_S, &error) != COSREL_OK) fail_msg("%s", error.text);
    const cosrel_state *state = engine.state;
    double energy = f.c.base_w * (double)state->now;
    uint64_t arrived = 0, completed = 0, dropped = 0;
    for (uint32_t p = 0; p < 3; p++) {
      assert_int_equal(l.busy[p], state->busy[p]);
      assert_true(state->busy[p] <= state->now);
      assert_true(state->launching[p] + state->transferring[p] <= state->busy[p]);
      energy += f.c.busy_w[p] * (double)state->busy[p] + f.c.idle_w[p] * (double)(state->now - state->busy[p]);
    }
    near(state->energy_mj, energy * 1e-6, 1e-9);
    for (uint32_t s = 0; s < 3; s++) {
      arrived += state->streams[s].arrived;
      completed += state->streams[s].completed, dropped += state->streams[s].dropped;
      assert_int_equal(state->streams[s].n_live, 0);
    }
    assert_true(arrived > 100);
    assert_int_equal(arrived, completed + dropped);
    assert_int_equal(l.arrived, arrived);
    assert_int_equal(l.ended, arrived);
    assert_int_equal(l.dropped, dropped);
    cosrel_engine_destroy(&engine);
    fixture_end(&f);
  }
}

/* A copy of the flat state goes on exactly as the original does. */
static void test_a_copied_state_continues_alike(void **unused) {
  (void)unused;
  const cosrel_sim sim = {.noise = true};
  fixture f;
  mixed_fixture(&f, 5, COSREL_ARRIVALS_POISSON);
  cosrel_engine engine[2];
  cosrel_error error;
  for (int i = 0; i < 2; i++)
    assert_int_equal(cosrel_engine_create(&f.c, cosrel_sim_driver(&sim), &engine[i], &error), COSREL_OK);
  cosrel_engine_reset(&engine[0], 7, COSREL_S);
  uint64_t random = 3;
  cosrel_step step;
  for (int i = 0; i < 40; i++) {
    assert_int_equal(cosrel_engine_step(&engine[0], &step), COSREL_OK);
    cosrel_candidate choice = any_choice(&random, &f.c, engine[0].state);
    assert_int_equal(cosrel_engine_decide(&engine[0], &choice), COSREL_OK);
  }
  assert_int_equal(cosrel_engine_step(&engine[0], &step), COSREL_OK);
  memcpy(engine[1].state, engine[0].state, f.c.state_size);
  for (int i = 0; i < 2; i++) {
    uint64_t own = 99;
    for (;;) {
      assert_int_equal(cosrel_engine_step(&engine[i], &step), COSREL_OK);
      if (step == COSREL_STEP_DONE) break;
      cosrel_candidate choice = any_choice(&own, &f.c, engine[i].state);
      assert_int_equal(cosrel_engine_decide(&engine[i], &choice), COSREL_OK);
    }
  }
  assert_memory_equal(engine[0].state, engine[1].state, f.c.state_size);
  for (int i = 0; i < 2; i++) cosrel_engine_destroy(&engine[i]);
  fixture_end(&f);
}

/* After forget, a copy holds no real remaining time and no future arrival, and the original is untouched by its use. */
static void test_forget_hides_the_future(void **unused) {
  (void)unused;
  fixture f;
  mixed_fixture(&f, 8, COSREL_ARRIVALS_POISSON);
  cosrel_state *a = malloc(f.c.state_size), *b = malloc(f.c.state_size);
  for (int noisy = 0; noisy < 2; noisy++) {
    cosrel_state *state = noisy ? b : a;
    cosrel_state_init(&f.c, state, 1, COSREL_S);
    cosrel_state_advance(&f.c, state, state->streams[state->next_stream].next_arrival);
    cosrel_state_arrive(&f.c, state, NULL);
    cosrel_candidate all[64];
    assert_true(cosrel_state_candidates(&f.c, state, all, 64) > 0);
    cosrel_state_start(&f.c, state, &all[0], noisy ? 3.0 : 0.5); /* luck that nobody can know */
    if (noisy) state->streams[1].next_arrival += 12345;
    cosrel_state_forget(&f.c, state);
  }
  assert_memory_equal(a, b, f.c.state_size);
  free(a);
  free(b);
  fixture_end(&f);
}

static void test_illegal_choices_are_refused(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "m", 6, (double[]){1, 1, 1, 1, 1, -1, 1, 1, 1, 1, 1, 1});
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1);
  fixture_compile(&f);
  cosrel_state *state = malloc(f.c.state_size);
  cosrel_state_init(&f.c, state, 1, 1);
  cosrel_state_arrive(&f.c, state, NULL);
  const cosrel_candidate good = {.action = COSREL_RUN, .processor = 1, .batch = 1, .slot = 0, .begin = 0, .end = 2};
  assert_true(cosrel_candidate_legal(&f.c, state, &good));
  cosrel_candidate bad[] = {good, good, good, good, good, good, good, good};
  bad[0].end = 3;              /* the gpu cannot run unit 2 */
  bad[1].begin = 1;            /* not ready */
  bad[2].processor = 2;        /* none such */
  bad[3].end = 0;              /* empty */
  bad[4].slot = 60000;         /* none such */
  bad[5].point = 1;            /* no such operating point */
  bad[6].action = COSREL_WAIT; /* nothing will ever happen */
  bad[7].action = 9;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (cosrel_candidate_legal(&f.c, state, &bad[i])) fail_msg("choice %zu is not legal", i);
  cosrel_state_start(&f.c, state, &good, 1);
  assert_false(cosrel_candidate_legal(&f.c, state, &good)); /* busy now */
  const cosrel_candidate wait = {.action = COSREL_WAIT};
  assert_true(cosrel_candidate_legal(&f.c, state, &wait));
  free(state);
  fixture_end(&f);
}

/* Run lengths offered: 1, 4, to the end; distinct, and cut where the processor cannot go on. */
static void test_run_lengths(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "m", 6, (double[]){1, 1, 1, 1, 1, 1, 1, 1, 1, -1, 1, 1});
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1);
  fixture_compile(&f);
  cosrel_state *state = malloc(f.c.state_size);
  cosrel_state_init(&f.c, state, 1, 1);
  cosrel_state_arrive(&f.c, state, NULL);
  uint16_t ends[3];
  assert_int_equal(cosrel_state_ends(&f.c, state, 0, 0, 0, ends), 3);
  assert_int_equal(ends[0], 1);
  assert_int_equal(ends[1], 4);
  assert_int_equal(ends[2], 6);
  assert_int_equal(cosrel_state_ends(&f.c, state, 0, 0, 1, ends), 2); /* four units are all that the gpu can run */
  assert_int_equal(ends[1], 4);
  free(state);
  fixture_end(&f);
}

/* A diamond: once the stem is done both arms are ready, may run side by side, and the join waits for both. */
static void test_branches_run_side_by_side(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  const int32_t inputs[] = {-1, FIXTURE_END, 0, FIXTURE_END, 0, FIXTURE_END, 1, 2, FIXTURE_END};
  fixture_dag(&f, "m", 4, (double[]){1, 1, 1, 1, 1, 1, 1, 1}, inputs, 10);
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1);
  fixture_compile(&f);
  cosrel_state *state = malloc(f.c.state_size);
  cosrel_state_init(&f.c, state, 1, 1);
  cosrel_state_arrive(&f.c, state, NULL);
  cosrel_request *request = cosrel_state_request(&f.c, state, 0);
  cosrel_candidate choice = {.action = COSREL_RUN, .slot = 0, .begin = 0, .end = 1};
  cosrel_state_start(&f.c, state, &choice, 1);
  assert_int_equal(request->n_ready, 0);
  uint32_t p = 0;
  cosrel_state_advance(&f.c, state, cosrel_state_next_finish(&f.c, state, &p));
  cosrel_state_finish(&f.c, state, p, NULL, NULL);
  assert_int_equal(request->n_ready, 2);
  assert_int_equal(request->ready_limit[0], 4); /* from the first arm all that follows can go in one segment */
  assert_int_equal(request->ready_limit[1], 3); /* the join needs the first arm */
  choice = (cosrel_candidate){.action = COSREL_RUN, .slot = 0, .begin = 1, .end = 2};
  cosrel_state_start(&f.c, state, &choice, 1);
  choice = (cosrel_candidate){.action = COSREL_RUN, .processor = 1, .slot = 0, .begin = 2, .end = 3};
  assert_true(cosrel_candidate_legal(&f.c, state, &choice));
  cosrel_state_start(&f.c, state, &choice, 1);
  assert_int_equal(request->n_running, 2);
  cosrel_state_advance(&f.c, state, cosrel_state_next_finish(&f.c, state, &p));
  cosrel_state_finish(&f.c, state, p, NULL, NULL);
  assert_int_equal(request->n_ready, 0);
  cosrel_state_advance(&f.c, state, cosrel_state_next_finish(&f.c, state, &p));
  cosrel_state_finish(&f.c, state, p, NULL, NULL);
  assert_int_equal(request->n_ready, 1);
  assert_int_equal(request->ready[0], 3);
  free(state);
  fixture_end(&f);
}

/* ---- arrivals and drops ------------------------------------------------------------------------------------------ */

static void test_arrival_rates(void **unused) {
  (void)unused;
  for (size_t i = 1; i < sizeof kinds / sizeof *kinds; i++) {
    fixture f;
    fixture_begin(&f, 1);
    fixture_chain(&f, "m", 1, (double[]){0.001});
    cosrel_stream *stream = fixture_stream(&f, "m", kinds[i], 50);
    stream->arrivals.jitter = 0.3;
    fixture_compile(&f);
    cosrel_state *state = malloc(f.c.state_size);
    cosrel_state_init(&f.c, state, 11, 2000 * COSREL_S);
    cosrel_time previous = 0, shortest = COSREL_TIME_NEVER, longest = 0;
    while (state->next_stream != COSREL_NONE) {
      cosrel_time t = state->streams[0].next_arrival;
      if (state->streams[0].arrived > 0) {
        shortest = t - previous < shortest ? t - previous : shortest;
        longest = t - previous > longest ? t - previous : longest;
      }
      previous = t;
      cosrel_state_advance(&f.c, state, t);
      cosrel_state_arrive(&f.c, state, NULL);
    }
    double rate = (double)state->streams[0].arrived / 2000;
    near(rate, 50, kinds[i] == COSREL_ARRIVALS_PERIODIC ? 0.001 : kinds[i] == COSREL_ARRIVALS_POISSON ? 0.02 : 0.06);
    if (kinds[i] == COSREL_ARRIVALS_PERIODIC) {
      assert_in_range(shortest, 8 * COSREL_MS, 20 * COSREL_MS); /* 20 ms apart, each moved by at most 6 */
      assert_in_range(longest, 20 * COSREL_MS, 32 * COSREL_MS);
    }
    free(state);
    fixture_end(&f);
  }
}

static void test_drop_rules(void **unused) {
  (void)unused;
  for (int oldest = 0; oldest < 2; oldest++) {
    fixture f;
    fixture_begin(&f, 1);
    fixture_chain(&f, "m", 1, (double[]){10});
    cosrel_stream *stream = fixture_stream(&f, "m", COSREL_ARRIVALS_PERIODIC, 1000);
    stream->arrivals.phase = 0;
    stream->queue_limit = 2;
    stream->drop = oldest ? COSREL_DROP_OLDEST : COSREL_DROP_NEWEST;
    fixture_compile(&f);
    cosrel_state *state = malloc(f.c.state_size);
    cosrel_state_init(&f.c, state, 1, COSREL_S);
    cosrel_outcome dropped = {0};
    for (int i = 0; i < 2; i++) {
      cosrel_state_advance(&f.c, state, state->streams[0].next_arrival);
      assert_false(cosrel_state_arrive(&f.c, state, &dropped));
    }
    cosrel_state_advance(&f.c, state, state->streams[0].next_arrival);
    assert_true(cosrel_state_arrive(&f.c, state, &dropped));
    assert_int_equal(dropped.sequence, oldest ? 0 : 2);
    near(dropped.ntt, 5, 1e-12);
    assert_int_equal(state->streams[0].n_live, 2);
    free(state);
    fixture_end(&f);
  }
}

/* Ten requests of 10 ms arrive at once every ms; in the drain whatever reaches NTT 5 counts as dropped. */
static void test_drain_drops_the_hopeless(void **unused) {
  (void)unused;
  const cosrel_sim sim = {.noise = false};
  fixture f;
  fixture_begin(&f, 1);
  fixture_chain(&f, "m", 1, (double[]){10});
  cosrel_stream *stream = fixture_stream(&f, "m", COSREL_ARRIVALS_PERIODIC, 1000);
  stream->arrivals.phase = 0;
  stream->queue_limit = 16;
  fixture_compile(&f);
  cosrel_engine engine;
  cosrel_error error = {""};
  cosrel_policy policy = {&first_ops, NULL};
  assert_int_equal(cosrel_engine_create(&f.c, cosrel_sim_driver(&sim), &engine, &error), COSREL_OK);
  assert_int_equal(cosrel_engine_run(&engine, &policy, 1, 9 * COSREL_MS + 1, &error), COSREL_OK);
  /* arrivals at 0..9 ms; ends at 10, 20, 30, 40, 50 (age 46 ms, NTT 4.6) and then 60 (age 55): five in all */
  assert_int_equal(engine.state->streams[0].arrived, 10);
  assert_int_equal(engine.state->streams[0].completed, 5);
  assert_int_equal(engine.state->streams[0].dropped, 5);
  cosrel_engine_destroy(&engine);
  fixture_end(&f);
}

/* ---- figures ----------------------------------------------------------------------------------------------------- */

/* One stream of 10 ms on one processor, closed loop, no noise, 1 s: 100 completions, NTT 1, U 1, all of it busy. */
static void test_figures_of_a_perfect_run(void **unused) {
  (void)unused;
  const cosrel_sim sim = {.noise = false};
  fixture f;
  fixture_begin(&f, 1);
  fixture_chain(&f, "m", 1, (double[]){10});
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1);
  f.profile.base_w = 0.5;
  fixture_compile(&f);
  cosrel_engine engine;
  cosrel_metrics *metrics;
  cosrel_error error = {""};
  cosrel_policy policy = {&first_ops, NULL};
  cosrel_result r;
  assert_int_equal(cosrel_engine_create(&f.c, cosrel_sim_driver(&sim), &engine, &error), COSREL_OK);
  assert_int_equal(cosrel_metrics_create(&f.c, &metrics), COSREL_OK);
  engine.sinks = cosrel_metrics_sink(metrics);
  assert_int_equal(cosrel_engine_run(&engine, &policy, 1, COSREL_S, &error), COSREL_OK);
  cosrel_metrics_result(metrics, &engine, &r);
  assert_int_equal(r.streams[0].completed, 100);
  near(r.u, 1, 1e-12);
  near(r.g, 1, 1e-12);
  near(r.stp, 1, 1e-12);
  near(r.antt, 1, 1e-12);
  near(r.fairness, 1, 1e-12);
  near(r.energy_mj_per_inference, 15, 1e-9); /* (1 + 0.5) W * 10 ms */
  near(r.energy_ratio, 1, 1e-9);
  near(r.power_w, 1.5, 1e-9);
  near(r.streams[0].latency_p50_ms, 10, 0.004);
  near(r.streams[0].latency_p99_ms, 10, 0.004);
  near(r.goodput_hz, 100, 1e-9);
  assert_true(r.bound_share < 0); /* no bound was set */
  cosrel_metrics_destroy(metrics);
  cosrel_engine_destroy(&engine);
  fixture_end(&f);
}

/* The simulator as a device would be: it ends the run at 30 ms, and knows that half of every segment was launch. */
static cosrel_status early_submit(void *self, const cosrel_case *c, const cosrel_state *state,
                                  const cosrel_candidate *candidate, double *scale) {
  cosrel_driver *inner = self;
  return inner->ops->submit(inner->self, c, state, candidate, scale);
}
static cosrel_status early_wait(void *self, const cosrel_case *c, const cosrel_state *state, cosrel_time until,
                                cosrel_time *now, int32_t *processor, cosrel_failure *failure) {
  cosrel_driver *inner = self;
  cosrel_status status = inner->ops->wait(inner->self, c, state, until, now, processor, failure);
  if (state->horizon > 30 * COSREL_MS && *now > 30 * COSREL_MS) *now = 30 * COSREL_MS, *processor = COSREL_NONE;
  return status;
}
static void early_parts(void *self, uint32_t processor, cosrel_time elapsed, cosrel_time *launch, cosrel_time *load,
                        cosrel_time *transfer) {
  (void)self, (void)processor;
  *launch = elapsed / 2;
  *load = 0;
  *transfer = 0;
}

static void test_a_driver_may_end_the_run_and_measure(void **unused) {
  (void)unused;
  static const cosrel_arrivals_kind kinds[] = {COSREL_ARRIVALS_CLOSED, COSREL_ARRIVALS_PERIODIC};
  static const cosrel_driver_ops early_ops = {
      .struct_size = sizeof early_ops, .submit = early_submit, .wait = early_wait, .parts = early_parts};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    fixture f;
    fixture_begin(&f, 1);
    fixture_chain(&f, "m", 2, (double[]){2, 2});
    fixture_stream(&f, "m", kinds[i], 150)->arrivals.phase = 0;
    fixture_compile(&f);
    cosrel_sim sim = {.noise = false};
    cosrel_driver inner = cosrel_sim_driver(&sim), early = {&early_ops, &inner};
    cosrel_engine engine;
    cosrel_policy policy = {&first_ops, NULL};
    assert_int_equal(cosrel_engine_create(&f.c, early, &engine, NULL), COSREL_OK);
    assert_int_equal(cosrel_engine_run(&engine, &policy, 1, COSREL_S, NULL), COSREL_OK);
    const cosrel_stream_state *stream = &engine.state->streams[0];
    assert_int_equal(engine.state->horizon, 30 * COSREL_MS);
    assert_int_equal(stream->arrived, i == 0 ? 8 : 5); /* every 4 ms; every 6.7 ms */
    assert_int_equal(stream->completed, stream->arrived);
    near((double)engine.state->launching[0], 0.5 * (double)engine.state->busy[0], 1e-6);
    cosrel_engine_destroy(&engine);
    fixture_end(&f);
  }
}

/* Noise keeps the mean and has the variance of its units: sd 0.3 * 10 ms of one unit. */
static void test_noise_has_the_stated_moments(void **unused) {
  (void)unused;
  const cosrel_sim sim = {.noise = true};
  fixture f;
  fixture_begin(&f, 1);
  fixture_chain(&f, "m", 1, (double[]){10});
  fixture_disturb(&f, 0, 0.3);
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1);
  fixture_compile(&f);
  cosrel_state *state = malloc(f.c.state_size);
  cosrel_driver driver = cosrel_sim_driver(&sim);
  cosrel_state_init(&f.c, state, 1, 1);
  cosrel_state_arrive(&f.c, state, NULL);
  cosrel_candidate choice = {.action = COSREL_RUN, .slot = 0, .begin = 0, .end = 1};
  double sum = 0, square = 0;
  enum { N = 40000 };
  for (uint64_t i = 0; i < N; i++) {
    double scale;
    cosrel_state_request(&f.c, state, 0)->sequence = i;
    driver.ops->submit(driver.self, &f.c, state, &choice, &scale);
    sum += scale, square += scale * scale;
  }
  near(sum / N, 1, 0.01);
  near(sqrt(square / N - pow(sum / N, 2)), 0.3, 0.03);
  free(state);
  fixture_end(&f);
}

/* The quick normal quantile against GSL's, over the whole range of a draw. */
static void test_normal_quantile(void **unused) {
  (void)unused;
  for (int i = 1; i < 20000; i++) {
    double u = i / 20000.0;
    near(cosrel_normal_quantile(u) + 10, gsl_cdf_ugaussian_Pinv(u) + 10, 1e-7);
  }
  for (double u = 0x1p-53; u < 1e-3; u *= 1.5) near(cosrel_normal_quantile(u), gsl_cdf_ugaussian_Pinv(u), 3e-7);
}

/* Of each unit the fastest precision that the stream accepts, fp32 where fp16 is no faster; tensors are as wide as
 * that, unless the profile says how wide they are. */
static void test_a_case_chooses_precisions(void **state) {
  (void)state;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "m", 3, (double[]){1, 1, 1, 1, 1, 1});
  f.profile.links[0][1].ns_per_byte = f.profile.links[1][0].ns_per_byte = 1;
  cosrel_profile_cost(&f.profile, 0, 1, 1, COSREL_FP16)->mean_ns = 0.5e6;
  cosrel_profile_cost(&f.profile, 0, 2, 1, COSREL_INT8)->mean_ns = 0.1e6;
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1);
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1)->precisions = 1u << COSREL_FP32;
  for (int fixed = 0; fixed < 2; fixed++) {
    f.profile.tensor_bytes = fixed ? 4 : 0;
    fixture_compile(&f);
    static const uint8_t both[] = {COSREL_FP32, COSREL_FP16, COSREL_FP32}, wide[3] = {COSREL_FP32};
    const cosrel_stream_case *s = f.c.streams;
    assert_memory_equal(s[0].precision[1], both, sizeof both);
    assert_memory_equal(s[0].precision[0], wide, sizeof wide);
    assert_memory_equal(s[1].precision[1], wide, sizeof wide);
    assert_true(cosrel_case_uses(&f.c, 0, COSREL_FP16) && !cosrel_case_uses(&f.c, 1, COSREL_FP16));
    assert_int_equal(s[1].weights, 1);
    for (uint32_t tensor = 0; tensor < 3; tensor++) { /* 1000 elements from the second processor to the first */
      double bytes = tensor == 2 ? 2 : 4;
      if (tensor == 0) bytes = 2; /* the input, in the narrowest */
      double latency = f.profile.links[1][0].latency_ns;
      assert_true(fabs((double)s[0].transfer[tensor * 4 + 2] - latency - 1000 * (fixed ? 4 : bytes)) < 1);
      assert_true(fabs((double)s[1].transfer[tensor * 4 + 2] - latency - 4000) < 1);
    }
    cosrel_case_destroy(&f.c);
  }
  fixture_compile(&f);
  fixture_end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_case_chooses_precisions),
      cmocka_unit_test(test_isolated_latency_is_the_exhaustive_optimum),
      cmocka_unit_test(test_isolated_latency_by_hand),
      cmocka_unit_test(test_unknown_model_and_unrunnable_unit_fail),
      cmocka_unit_test(test_contention_is_rerated),
      cmocka_unit_test(test_time_energy_and_requests_are_conserved),
      cmocka_unit_test(test_a_copied_state_continues_alike),
      cmocka_unit_test(test_forget_hides_the_future),
      cmocka_unit_test(test_illegal_choices_are_refused),
      cmocka_unit_test(test_run_lengths),
      cmocka_unit_test(test_branches_run_side_by_side),
      cmocka_unit_test(test_arrival_rates),
      cmocka_unit_test(test_drop_rules),
      cmocka_unit_test(test_drain_drops_the_hopeless),
      cmocka_unit_test(test_figures_of_a_perfect_run),
      cmocka_unit_test(test_a_driver_may_end_the_run_and_measure),
      cmocka_unit_test(test_noise_has_the_stated_moments),
      cmocka_unit_test(test_normal_quantile),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
