/* Every built-in policy under the contract, and what single ones promise beyond it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/bound.h"
#include "sched/metrics.h"
#include "sched/policies/base.h"
#include "sched/policies/heft.h"
#include "sched/policies/simulate.h"
#include "tests/contract.h"

static const cosrel_policy_config config = {.seed = 3, .plan_budget = 200, .duration_s = 0.4};

static cosrel_policy make(const char *name, const cosrel_case *c) {
  cosrel_policy policy;
  cosrel_error error = {""};
  if (cosrel_policy_create(name, c, &config, &policy, &error) != COSREL_OK) fail_msg("%s", error.text);
  return policy;
}

static void contract(const char *name, const cosrel_case *c) {
  cosrel_policy policy = make(name, c), same = make(name, c);
  assert_string_equal(policy.ops->name, name);
  assert_true(policy.ops->struct_size == sizeof(cosrel_policy_ops) && policy.ops->summary[0] != '\0');
  contract_check(c, &policy, &same, 400 * COSREL_MS);
  cosrel_policy_destroy(&policy);
  cosrel_policy_destroy(&same);
}

static void test_contract(void **unused) {
  (void)unused;
#ifdef CONTRACT_NO_COUNT
  printf("skipped: counting allocations in decide (no glibc, or a sanitizer owns the allocator)\n");
#endif
  for (int index = 0; index < CONTRACT_CASES; index++) {
    fixture f;
    contract_case(&f, index);
    cosrel_bound bound;
    assert_int_equal(cosrel_bound_solve(&f.c, &bound, NULL), COSREL_OK);
    cosrel_bound_apply(&bound, &f.c);
    for (const cosrel_policy_ops *const *ops = cosrel_policy_list(); *ops != NULL; ops++) contract((*ops)->name, &f.c);
    for (uint32_t p = 0; p < f.c.n_processors; p++) {
      char name[32];
      snprintf(name, sizeof name, "all-%s", f.profile.processors[p].name);
      contract(name, &f.c);
    }
    fixture_end(&f);
  }
}

#ifndef CONTRACT_NO_COUNT
/* The counter itself counts: a contract that cannot fail is none. */
static void test_counter(void **unused) {
  (void)unused;
  uint64_t before = contract_allocations;
  contract_counting = true;
  void *volatile block = malloc(10);
  contract_counting = false;
  free(block);
  assert_int_equal(contract_allocations, before + 1);
}
#endif

/* One noise-free run. */
static cosrel_result run(const cosrel_case *c, const char *name, cosrel_time horizon) {
  cosrel_policy policy = make(name, c);
  cosrel_sim sim = {.noise = false};
  cosrel_engine engine;
  cosrel_metrics *metrics;
  cosrel_result result;
  cosrel_error error = {""};
  assert_int_equal(cosrel_engine_create(c, cosrel_sim_driver(&sim), &engine, &error), COSREL_OK);
  assert_int_equal(cosrel_metrics_create(c, &metrics), COSREL_OK);
  engine.sinks = cosrel_metrics_sink(metrics);
  if (cosrel_engine_run(&engine, &policy, 5, horizon, &error) != COSREL_OK) fail_msg("%s", error.text);
  cosrel_metrics_result(metrics, &engine, &result);
  cosrel_metrics_destroy(metrics);
  cosrel_engine_destroy(&engine);
  cosrel_policy_destroy(&policy);
  return result;
}

/* No policy beats the bound on G, and the bound is not far off on a device without overheads. */
static void test_bound_holds(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "a", 4, (double[]){1, 2, 1, 3, 1, 2, 1, 2});
  fixture_chain(&f, "b", 3, (double[]){4, 1, 3, 1, 4, 1});
  fixture_stream(&f, "a", COSREL_ARRIVALS_CLOSED, 50);
  fixture_stream(&f, "b", COSREL_ARRIVALS_CLOSED, 50);
  fixture_compile(&f);
  cosrel_bound bound;
  assert_int_equal(cosrel_bound_solve(&f.c, &bound, NULL), COSREL_OK);
  cosrel_bound_apply(&bound, &f.c);
  double most = 0;
  for (const cosrel_policy_ops *const *ops = cosrel_policy_list(); *ops != NULL; ops++) {
    double g = run(&f.c, (*ops)->name, 2 * COSREL_S).g;
    assert_true(g <= bound.g_star * 1.002);
    if (g > most) most = g;
  }
  assert_true(most > 0.9 * bound.g_star);
  fixture_end(&f);
}

/* Where each segment of a run went. */
typedef struct trail {
  uint32_t n;
  cosrel_segment at[256];
} trail;

static void on_segment(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment) {
  (void)c, (void)state;
  trail *t = self;
  if (t->n < 256) t->at[t->n++] = *segment;
}

static trail follow(const cosrel_case *c, const char *name, cosrel_time horizon) {
  trail t = {.n = 0};
  cosrel_policy policy = make(name, c);
  cosrel_sim sim = {.noise = false};
  cosrel_engine engine;
  cosrel_error error = {""};
  cosrel_sink sink = {.self = &t, .segment = on_segment};
  assert_int_equal(cosrel_engine_create(c, cosrel_sim_driver(&sim), &engine, &error), COSREL_OK);
  engine.sinks = &sink;
  if (cosrel_engine_run(&engine, &policy, 5, horizon, &error) != COSREL_OK) fail_msg("%s", error.text);
  cosrel_engine_destroy(&engine);
  cosrel_policy_destroy(&policy);
  return t;
}

/* all-gpu leaves the gpu only for units that it cannot run, and comes back. */
static void test_all_falls_back(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 3);
  fixture_chain(&f, "m", 5, (double[]){1, 2, 3, 1, 2, 3, 5, -1, 3, 5, -1, 3, 1, 2, 3});
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 10);
  fixture_compile(&f);
  trail t = follow(&f.c, "all-gpu", 50 * COSREL_MS);
  assert_true(t.n >= 9 && t.n % 3 == 0);
  for (uint32_t i = 0; i < t.n; i++) {
    static const struct { uint32_t processor, begin, end; } expected[] = {{1, 0, 2}, {2, 2, 4}, {1, 4, 5}};
    assert_int_equal(t.at[i].processor, expected[i % 3].processor);
    assert_int_equal(t.at[i].begin, expected[i % 3].begin);
    assert_int_equal(t.at[i].end, expected[i % 3].end);
  }
  fixture_end(&f);
}

/* Two requests at once, gpu 1 ms, cpu 5 ms: eft lets the second wait for the gpu, sel does not. */
static void test_waiting(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "m", 2, (double[]){2.5, 0.5, 2.5, 0.5});
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 10);
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 10);
  fixture_compile(&f);
  trail eft = follow(&f.c, "eft", 20 * COSREL_MS), sel = follow(&f.c, "sel", 20 * COSREL_MS);
  for (uint32_t i = 0; i < eft.n; i++) assert_int_equal(eft.at[i].processor, 1);
  bool on_cpu = false;
  for (uint32_t i = 0; i < sel.n; i++) on_cpu = on_cpu || sel.at[i].processor == 0;
  assert_true(on_cpu);
  fixture_end(&f);
}

/* fcfs: segments start in the order of arrival, streams together. */
static void test_fcfs_order(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 1);
  fixture_chain(&f, "m", 1, (double[]){3});
  for (int s = 0; s < 3; s++) fixture_stream(&f, "m", COSREL_ARRIVALS_POISSON, 80);
  fixture_compile(&f);
  cosrel_policy policy = make("fcfs", &f.c);
  cosrel_state *state = fixture_alloc(1, f.c.state_size);
  cosrel_state_init(&f.c, state, 11, 500 * COSREL_MS);
  cosrel_time last = 0;
  int served = 0;
  do {
    while (cosrel_state_choice_due(&f.c, state)) {
      cosrel_candidate choice = policy.ops->decide(policy.self, &f.c, state);
      cosrel_time arrival = cosrel_state_request(&f.c, state, choice.slot)->arrival;
      assert_true(arrival >= last);
      last = arrival;
      served++;
      cosrel_simulate_choice(&f.c, state, &choice);
    }
  } while (cosrel_simulate_event(&f.c, state, COSREL_TIME_NEVER, NULL));
  assert_true(served > 50);
  free(state);
  cosrel_policy_destroy(&policy);
  fixture_end(&f);
}

/* Opposite affinities: the best mapping is plain, and no other mapping does better in the run itself. */
static void test_best_static(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "a", 2, (double[]){1, 4, 1, 4});
  fixture_chain(&f, "b", 2, (double[]){6, 2, 6, 2});
  fixture_stream(&f, "a", COSREL_ARRIVALS_PERIODIC, 200);
  fixture_stream(&f, "b", COSREL_ARRIVALS_PERIODIC, 100);
  fixture_compile(&f);
  trail t = follow(&f.c, "best-static", 100 * COSREL_MS);
  assert_true(t.n > 10);
  for (uint32_t i = 0; i < t.n; i++) assert_int_equal(t.at[i].processor, t.at[i].stream);
  double u = run(&f.c, "best-static", COSREL_S).u;
  assert_true(u > run(&f.c, "all-cpu", COSREL_S).u && u > run(&f.c, "all-gpu", COSREL_S).u);
  fixture_end(&f);
}

/* Topcuoglu et al. 2002, figure 2: ten tasks on three processors; ranks as in its table, schedule length 80. */
static void test_heft_paper(void **unused) {
  (void)unused;
  static const double cost[30] = {14, 16, 9, 13, 19, 18, 11, 13, 19, 13, 8,  17, 12, 13, 10,
                                  13, 16, 9, 7,  15, 11, 5,  11, 14, 18, 12, 20, 21, 7,  16};
  static const double ranks[10] = {108, 77, 80, 80, 69, 63.333, 42.667, 35.667, 44.333, 14.667};
  static const uint32_t by_rank[10] = {0, 2, 3, 1, 4, 5, 8, 6, 7, 9};
  static const struct {
    uint32_t from, to;
    float cost;
  } links[15] = {{0, 1, 18}, {0, 2, 12}, {0, 3, 9},  {0, 4, 11}, {0, 5, 14}, {2, 6, 23}, {1, 7, 19}, {3, 7, 27},
                 {5, 7, 15}, {1, 8, 16}, {3, 8, 23}, {4, 8, 13}, {6, 9, 17}, {7, 9, 11}, {8, 9, 13}};
  cosrel_heft_edge edges[15];
  float transfer[15 * 9];
  for (uint32_t e = 0; e < 15; e++) {
    edges[e] = (cosrel_heft_edge){links[e].from, links[e].to, e};
    for (int k = 0; k < 9; k++) transfer[e * 9 + (uint32_t)k] = k % 4 == 0 ? 0 : links[e].cost;
  }
  cosrel_heft_graph graph = {10, 3, 15, cost, NULL, edges, transfer};
  double rank[10];
  uint32_t order[10];
  cosrel_heft_rank(&graph, rank);
  cosrel_heft_order(&graph, rank, order);
  for (int i = 0; i < 10; i++) {
    assert_true(fabs(rank[i] - ranks[i]) < 1e-3);
    assert_int_equal(order[i], by_rank[i]);
  }
  cosrel_heft_busy busy[3][12];
  cosrel_heft_line lines[3] = {{0, busy[0]}, {0, busy[1]}, {0, busy[2]}};
  cosrel_heft_slot slots[10];
  for (int i = 0; i < 10; i++) slots[i].processor = UINT32_MAX;
  assert_true(cosrel_heft_schedule(&graph, order, NULL, lines, 0, slots) == 80);
  static const uint32_t where[10] = {2, 0, 2, 1, 2, 1, 2, 0, 1, 1};
  static const double begin[10] = {0, 27, 9, 18, 28, 26, 38, 57, 56, 73};
  for (int i = 0; i < 10; i++) {
    assert_int_equal(slots[i].processor, where[i]);
    assert_true(slots[i].begin == begin[i]);
  }
}

/* The insertion policy: a short task goes into a gap that was left before. */
static void test_heft_insertion(void **unused) {
  (void)unused;
  static const double cost[2] = {2, 3};
  cosrel_heft_graph graph = {2, 1, 0, cost, NULL, NULL, NULL};
  cosrel_heft_busy busy[6] = {{0, 1, 9, 9}, {4, 10, 9, 5}};
  cosrel_heft_line line = {2, busy};
  cosrel_heft_slot slots[2] = {{0, 0, UINT32_MAX}, {0, 0, UINT32_MAX}};
  uint32_t order[2] = {0, 1};
  assert_true(cosrel_heft_schedule(&graph, order, NULL, &line, 1, slots) == 13);
  assert_true(slots[0].begin == 1 && slots[1].begin == 10);
  assert_int_equal(line.n, 4);
  for (uint32_t i = 1; i < line.n; i++) assert_true(busy[i].begin >= busy[i - 1].end);
}

/* heft spreads the branches of one request where that pays. */
static void test_heft_branches(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_dag(&f, "m", 4, (double[]){1, 1, 4, 4, 4, 4, 1, 1},
              (int32_t[]){COSREL_MODEL_INPUT, FIXTURE_END, 0, FIXTURE_END, 0, FIXTURE_END, 1, 2, FIXTURE_END}, 10);
  fixture_overheads(&f, 0, 0.1);
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 10);
  fixture_compile(&f);
  trail t = follow(&f.c, "heft", COSREL_MS);
  /* 1 + (0.1 + 4 on the other) + 0.1 + 1 at the most */
  assert_true(t.at[t.n - 1].ended <= (cosrel_time)(6.3 * COSREL_MS));
  assert_true(t.n >= 3);
  fixture_end(&f);
}

/* The planner's simulator is the engine's: the same run, to the last bit of the state. */
static void test_simulate(void **unused) {
  (void)unused;
  for (int index = 0; index < CONTRACT_CASES; index++) {
    fixture f;
    contract_case(&f, index);
    cosrel_policy policy = make("fcfs", &f.c);
    cosrel_sim sim = {.noise = false};
    cosrel_engine engine;
    cosrel_error error = {""};
    assert_int_equal(cosrel_engine_create(&f.c, cosrel_sim_driver(&sim), &engine, &error), COSREL_OK);
    assert_int_equal(cosrel_engine_run(&engine, &policy, 4, 300 * COSREL_MS, &error), COSREL_OK);
    cosrel_state *state = fixture_alloc(1, f.c.state_size);
    cosrel_state_init(&f.c, state, 4, 300 * COSREL_MS);
    uint64_t made =
        cosrel_simulate(&f.c, state, policy.ops->decide, policy.self, false, COSREL_TIME_NEVER, NULL, UINT32_MAX);
    assert_int_equal(made, engine.n_decisions);
    assert_memory_equal(state, engine.state, f.c.state_size);
    free(state);
    cosrel_engine_destroy(&engine);
    cosrel_policy_destroy(&policy);
    fixture_end(&f);
  }
}

/* A stale head gives way only where the stream says so, and to a newer request only. */
static void test_give_way(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 1);
  fixture_chain(&f, "m", 1, (double[]){10});
  fixture_stream(&f, "m", COSREL_ARRIVALS_POISSON, 50)->queue_limit = 3;
  fixture_stream(&f, "m", COSREL_ARRIVALS_POISSON, 50)->drop = COSREL_DROP_NEWEST;
  fixture_compile(&f);
  cosrel_state *state = fixture_alloc(1, f.c.state_size);
  cosrel_state_init(&f.c, state, 1, COSREL_S);
  while (state->streams[0].n_live < 2 || state->streams[1].n_live < 2)
    assert_true(cosrel_simulate_event(&f.c, state, COSREL_TIME_NEVER, NULL));
  assert_true(cosrel_may_give_way(&f.c, state, 0));
  assert_false(cosrel_may_give_way(&f.c, state, 1));
  cosrel_candidate choice;
  uint32_t given = 0;
  cosrel_policy yielding = make("lp-price-yield", &f.c);
  while ((choice = yielding.ops->decide(yielding.self, &f.c, state)).action == COSREL_DROP_REQUEST) {
    assert_true(cosrel_candidate_legal(&f.c, state, &choice));
    assert_true((double)(state->now - cosrel_state_request(&f.c, state, choice.slot)->arrival) >=
                f.c.streams[0].isolated_ns);
    cosrel_simulate_choice(&f.c, state, &choice);
    given++;
  }
  assert_true(given > 0 && state->streams[0].dropped >= given && state->streams[0].n_live > 0);
  cosrel_policy_destroy(&yielding);
  free(state);
  fixture_end(&f);
}

/* With no budget the planner is its base; with one it does at least as well on what it plans for. */
static void test_rollout(void **unused) {
  (void)unused;
  fixture f;
  contract_case(&f, 1);
  for (uint32_t s = 0; s < f.c.n_streams; s++) f.c.streams[s].rate_hz *= 0.4; /* that case is far overloaded */
  double planned = 0, based = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    cosrel_policy base = make("lp-price-yield", &f.c), budgeted = make("rollout", &f.c), none;
    cosrel_policy_config without = config;
    without.plan_budget = 0;
    assert_int_equal(cosrel_policy_create("rollout", &f.c, &without, &none, NULL), COSREL_OK);
    uint64_t hash = contract_run(&f.c, &base, seed, 300 * COSREL_MS, false);
    assert_true(contract_run(&f.c, &none, seed, 300 * COSREL_MS, false) == hash);
    assert_true(contract_run(&f.c, &budgeted, seed, 300 * COSREL_MS, false) != hash);
    cosrel_state *scratch = fixture_alloc(1, f.c.state_size);
    planned += cosrel_simulate_score(&f.c, scratch, budgeted.ops->decide, budgeted.self, seed, COSREL_S);
    based += cosrel_simulate_score(&f.c, scratch, base.ops->decide, base.self, seed, COSREL_S);
    free(scratch);
    cosrel_policy_destroy(&base);
    cosrel_policy_destroy(&budgeted);
    cosrel_policy_destroy(&none);
  }
  if (planned <= based) fail_msg("planned %g, not planned %g", planned / 20, based / 20);
  fixture_end(&f);
}

/* On the arrivals that both were made for, splits are never worse than the mapping that they start from. */
static void test_anneal(void **unused) {
  (void)unused;
  for (int index = 0; index < 3; index++) {
    fixture f;
    contract_case(&f, index);
    cosrel_policy split = make("anneal", &f.c), whole = make("best-static", &f.c);
    cosrel_state *scratch = fixture_alloc(1, f.c.state_size);
    cosrel_time horizon = (cosrel_time)(config.duration_s * 1e9);
    double a = cosrel_simulate_score(&f.c, scratch, split.ops->decide, split.self, config.seed, horizon);
    double b = cosrel_simulate_score(&f.c, scratch, whole.ops->decide, whole.self, config.seed, horizon);
    assert_true(a >= b);
    assert_true(split.ops->offline && whole.ops->offline);
    free(scratch);
    cosrel_policy_destroy(&split);
    cosrel_policy_destroy(&whole);
    fixture_end(&f);
  }
}

/* Both streams end sooner on the gpu, but one hardly: priced right, that one leaves it to the other. */
static void test_lp_price(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "a", 1, (double[]){2.2, 2});
  fixture_chain(&f, "b", 1, (double[]){12, 2});
  fixture_stream(&f, "a", COSREL_ARRIVALS_PERIODIC, 100)->arrivals.phase = 0;
  fixture_stream(&f, "b", COSREL_ARRIVALS_PERIODIC, 100)->arrivals.phase = 0;
  fixture_compile(&f);
  cosrel_bound bound;
  assert_int_equal(cosrel_bound_solve(&f.c, &bound, NULL), COSREL_OK);
  assert_true(bound.price[1] > bound.price[0]);
  cosrel_bound_apply(&bound, &f.c);
  f.c.price[0] = 0.1, f.c.price[1] = 0.9;
  trail priced = follow(&f.c, "lp-price", 100 * COSREL_MS), plain = follow(&f.c, "srpt", 100 * COSREL_MS);
  for (uint32_t i = 0; i < priced.n; i++) assert_int_equal(priced.at[i].processor, priced.at[i].stream);
  assert_int_equal(plain.at[0].processor, 1); /* the first takes the gpu */
  fixture_end(&f);
}

/* The mix is faster on the gpu, so units go there where it can run them, and to the next in order elsewhere. */
static void test_static_order(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 3);
  fixture_chain(&f, "m", 4, (double[]){3, 1, 2, 3, -1, 2, 3, -1, -1, 3, 1, 2});
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 10);
  fixture_compile(&f);
  trail t = follow(&f.c, "static-order", 30 * COSREL_MS);
  static const uint32_t where[] = {1, 2, 0, 1};
  assert_true(t.n >= 8);
  for (uint32_t i = 0; i < t.n; i++) assert_int_equal(t.at[i].processor, where[i % 4]);
  fixture_end(&f);
}

/* Where all processors are Arm NN's own, its order of preference counts and not what is fast; else it does not. */
static void test_static_order_of_arm_nn(void **unused) {
  (void)unused;
  static const struct {
    const char *backends[3];
    uint32_t order[3];
  } cases[] = {
      {{"a=armnn:device=CpuRef", "b=armnn:cores=0:device=GpuAcc", "c=armnn:device=CpuAcc"}, {1, 2, 0}},
      {{"a=armnn", "b=armnn:device=CpuAccelerated", "c=armnn:device=CpuRef:threads=1"}, {2, 0, 1}},
      {{"a=armnn:device=CpuRef", "b=armnn:device=GpuAcc", "c=xnnpack"}, {0, 1, 2}},
      {{"a=armnn:device=CpuRef", "b=armnnx:device=GpuAcc", "c=armnn:device=CpuAcc"}, {0, 1, 2}},
  };
  for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
    fixture f;
    fixture_begin(&f, 3);
    for (uint32_t p = 0; p < 3; p++)
      snprintf(f.profile.processors[p].backend, COSREL_BACKEND_MAX, "%s", cases[k].backends[p]);
    /* The first in order can run unit 0 only, the second unit 1 too, the last all; a is fastest, then b. */
    double ms[9] = {1, 2, 3, 1, 2, 3, 1, 2, 3};
    ms[3 + cases[k].order[0]] = ms[6 + cases[k].order[0]] = ms[6 + cases[k].order[1]] = -1;
    fixture_chain(&f, "m", 3, ms);
    fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 10);
    fixture_compile(&f);
    trail t = follow(&f.c, "static-order", 30 * COSREL_MS);
    assert_true(t.n >= 6);
    for (uint32_t i = 0; i < t.n; i++) assert_int_equal(t.at[i].processor, cases[k].order[i % 3]);
    fixture_end(&f);
  }
}

static void test_names(void **unused) {
  (void)unused;
  fixture f;
  contract_case(&f, 0);
  cosrel_policy policy;
  cosrel_error error = {""};
  assert_int_equal(cosrel_policy_create("fsfc", &f.c, &config, &policy, &error), COSREL_INVALID);
  assert_non_null(strstr(error.text, "fsfc"));
  assert_non_null(strstr(error.text, "least-slack"));
  assert_null(policy.ops);
  assert_int_equal(cosrel_policy_create("all-abacus", &f.c, &config, &policy, &error), COSREL_INVALID);
  assert_non_null(strstr(error.text, "all-abacus"));
  cosrel_policy_destroy(&policy); /* harmless */
  fixture_end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_contract),
#ifndef CONTRACT_NO_COUNT
      cmocka_unit_test(test_counter),
#endif
      cmocka_unit_test(test_bound_holds),
      cmocka_unit_test(test_all_falls_back),
      cmocka_unit_test(test_waiting),
      cmocka_unit_test(test_fcfs_order),
      cmocka_unit_test(test_best_static),
      cmocka_unit_test(test_heft_paper),
      cmocka_unit_test(test_heft_insertion),
      cmocka_unit_test(test_heft_branches),
      cmocka_unit_test(test_simulate),
      cmocka_unit_test(test_give_way),
      cmocka_unit_test(test_rollout),
      cmocka_unit_test(test_anneal),
      cmocka_unit_test(test_lp_price),
      cmocka_unit_test(test_static_order),
      cmocka_unit_test(test_static_order_of_arm_nn),
      cmocka_unit_test(test_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
