/* How long a decision takes: every built-in online policy and the agent, over all decisions and per candidate, p50 and
 * p99; the agent for 2 to 64 streams on 2 to 8 processors; and what the shipped policy (or else one with random
 * weights) gains by planning, per budget: U, us, and the share of the time of the work that it schedules. The time to
 * read the clock is taken off. Where it is not said otherwise the agent has random weights, which cost as much as
 * trained ones. Arguments: policy files to time as well. */
#include "agent/agent.h"
#include "backends/sim/sim.h"
#include "experiments/timing.h"
#include "tests/bench.h"
#include "tests/fixtures.h"

enum { SAMPLES = 20000, PLAN_BUDGET = 75 };

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_quantiles(const char *what, double *ns, uint32_t n, const char *policy, uint32_t plan_budget,
                            const char *of, double candidates) {
  static const struct {
    const char *suffix;
    double q;
  } at[] = {{"p50", 0.50}, {"p99", 0.99}};
  char name[64], more[400];
  if (n == 0) return;
  qsort(ns, n, sizeof *ns, compare);
  for (int i = 0; i < 2; i++) {
    snprintf(name, sizeof name, "%s_%s", what, at[i].suffix);
    snprintf(more, sizeof more,
             "\"policy\": \"%s\", \"plan_budget\": %u, \"case\": \"%s\", \"decisions\": %u, \"mean_candidates\": %.3g",
             policy, plan_budget, of, n, candidates);
    bench_print(name, ns[(uint32_t)(at[i].q * (n - 1))], "ns", more);
  }
}

/* Closes the contender. */
static void bench_contender(const cosrel_case *c, const char *of, cosrel_contender *contender, uint32_t plan_budget,
                            double *ns, double *per_candidate) {
  cosrel_error error = {""};
  cosrel_engine engine;
  cosrel_policy policy;
  const cosrel_sim sim = {.noise = true};
  const cosrel_policy_config config = {.seed = 1, .plan_budget = plan_budget, .duration_s = 10};
  if (contender->kind == COSREL_CONTENDER_OFFLINE) {
    cosrel_contender_close(contender);
    return;
  }
  bench_check(cosrel_contender_create(contender, c, &config, &policy, &error), &error);
  bench_check(cosrel_engine_create(c, cosrel_sim_driver(&sim), &engine, &error), &error);
  uint32_t most = c->n_streams * COSREL_READY_MAX * c->n_processors * 3;
  cosrel_candidate *candidates = calloc(most, sizeof *candidates);
  if (candidates == NULL) exit(1);

  double floor_ns = 1e9;
  for (int i = 0; i < 1000; i++) {
    double start = cosrel_clock_ns(), spent = cosrel_clock_ns() - start;
    if (spent < floor_ns) floor_ns = spent;
  }
  uint32_t n = 0;
  double sum = 0;
  for (uint64_t seed = 1; n < SAMPLES; seed++) {
    cosrel_step step;
    cosrel_engine_reset(&engine, seed, 10 * COSREL_S);
    policy.ops->reset(policy.self);
    for (;;) {
      bench_check(cosrel_engine_step(&engine, &step), &error);
      if (step == COSREL_STEP_DONE || n == SAMPLES) break;
      uint32_t n_candidates = cosrel_state_candidates(c, engine.state, candidates, most);
      double start = cosrel_clock_ns();
      cosrel_candidate choice = policy.ops->decide(policy.self, c, engine.state);
      double spent = cosrel_clock_ns() - start - floor_ns;
      ns[n] = spent > 0 ? spent : 0;
      per_candidate[n] = ns[n] / n_candidates;
      sum += n_candidates;
      n++;
      bench_check(cosrel_engine_decide(&engine, &choice), &error);
    }
  }
  print_quantiles("decide_ns", ns, n, contender->name, plan_budget, of, sum / n);
  print_quantiles("decide_ns_per_candidate", per_candidate, n, contender->name, plan_budget, of, sum / n);
  free(candidates);
  cosrel_policy_destroy(&policy);
  cosrel_engine_destroy(&engine);
  cosrel_contender_close(contender);
}

static void bench_word(const cosrel_case *c, const char *word, uint32_t plan_budget, double *ns,
                       double *per_candidate) {
  cosrel_error error = {""};
  cosrel_contender contender;
  bench_check(cosrel_contender_open(word, &contender, &error), &error);
  bench_contender(c, BENCH_CASE, &contender, plan_budget, ns, per_candidate);
}

/* A contender with random weights. */
static cosrel_contender random_agent(void) {
  cosrel_contender contender = {.name = "agent, random weights", .kind = COSREL_CONTENDER_LEARNED};
  contender.agent = calloc(1, sizeof *contender.agent); /* closed, thus freed, by bench_contender */
  if (contender.agent == NULL) exit(1);
  cosrel_mlp_init(&contender.agent->net, 1);
  for (int i = 0; i < COSREL_ROW_SIZE; i++) contender.agent->normaliser.row_scale[i] = 1;
  for (int i = 0; i < COSREL_CONTEXT_SIZE; i++) contender.agent->normaliser.context_scale[i] = 1;
  return contender;
}

static void bench_agent(const cosrel_case *c, const char *of, uint32_t plan_budget, double *ns, double *per_candidate) {
  cosrel_contender contender = random_agent();
  bench_contender(c, of, &contender, plan_budget, ns, per_candidate);
}

/* Random chains of 20 units of 0.2 to 2 ms on many processors, each stream as busy as the device allows. */
static void bench_size(uint32_t n_streams, uint32_t n_processors, double *ns, double *per_candidate) {
  fixture f;
  char name[16], of[64];
  fixture_begin(&f, n_processors);
  for (uint32_t s = 0; s < n_streams; s++) {
    snprintf(name, sizeof name, "m%u", s % 8);
    if (s < 8) fixture_random_model(&f, name, 20, false, s);
    fixture_stream(&f, name, COSREL_ARRIVALS_POISSON, 60.0 * n_processors / n_streams)->drop_late = true;
  }
  fixture_overheads(&f, 0.05, 0.1);
  fixture_disturb(&f, 0.2, 0.1);
  fixture_compile(&f);
  snprintf(of, sizeof of, "%u streams, %u processors", n_streams, n_processors);
  bench_agent(&f.c, of, 0, ns, per_candidate);
  fixture_end(&f);
}

/* What planning gains and costs on the named case: U over ten seeds of 10 s, us per decision (observing and running the
 * simulator left out), and that time over the busy time of the segments that the decisions made. */
static void bench_planning(const cosrel_case *c, uint32_t budget) {
  cosrel_error error = {""};
  cosrel_contender contender;
  char path[4096], more[256];
  if (cosrel_shipped_policy(path, sizeof path))
    bench_check(cosrel_contender_open("cosrel", &contender, &error), &error);
  else
    contender = random_agent();
  const cosrel_policy_config config = {.seed = 1, .plan_budget = budget, .duration_s = 10};
  const cosrel_sim sim = {.noise = true};
  cosrel_policy policy;
  cosrel_engine engine;
  bench_check(cosrel_contender_create(&contender, c, &config, &policy, &error), &error);
  bench_check(cosrel_engine_create(c, cosrel_sim_driver(&sim), &engine, &error), &error);
  double utility = 0, arrived = 0, spent = 0, decisions = 0, busy = 0;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    cosrel_step step;
    cosrel_engine_reset(&engine, seed, 10 * COSREL_S);
    policy.ops->reset(policy.self);
    for (;;) {
      bench_check(cosrel_engine_step(&engine, &step), &error);
      if (step == COSREL_STEP_DONE) break;
      double start = cosrel_clock_ns();
      cosrel_candidate choice = policy.ops->decide(policy.self, c, engine.state);
      spent += cosrel_clock_ns() - start;
      decisions++;
      bench_check(cosrel_engine_decide(&engine, &choice), &error);
    }
    for (uint32_t s = 0; s < c->n_streams; s++) {
      utility += engine.state->streams[s].utility;
      arrived += (double)engine.state->streams[s].arrived;
    }
    for (uint32_t p = 0; p < c->n_processors; p++) busy += (double)engine.state->busy[p];
  }
  snprintf(more, sizeof more, "\"policy\": \"%s\", \"plan_budget\": %u, \"case\": \"%s\"", contender.name, budget,
           BENCH_CASE);
  bench_print("plan_u", utility / arrived, "1", more);
  bench_print("plan_us_per_decision", spent / decisions / 1e3, "us", more);
  bench_print("plan_share_of_busy_time", 100 * spent / busy, "%", more);
  cosrel_policy_destroy(&policy);
  cosrel_engine_destroy(&engine);
  cosrel_contender_close(&contender);
}

int main(int argc, char **argv) {
  cosrel_inputs inputs;
  cosrel_case c;
  bench_case(&inputs, &c);
  double *ns = calloc(SAMPLES, sizeof *ns), *per_candidate = calloc(SAMPLES, sizeof *per_candidate);
  if (ns == NULL || per_candidate == NULL) return 1;
  for (const cosrel_policy_ops *const *p = cosrel_policy_list(); *p != NULL; p++)
    bench_word(&c, (*p)->name, 0, ns, per_candidate);
  bench_word(&c, "rollout", PLAN_BUDGET, ns, per_candidate);
  bench_agent(&c, BENCH_CASE, 0, ns, per_candidate);
  bench_agent(&c, BENCH_CASE, PLAN_BUDGET, ns, per_candidate);
  static const uint32_t streams[] = {2, 6, 16, 64}, processors[] = {2, 3, 4, 8}, budgets[] = {0, 25, 75, 100, 300};
  for (size_t s = 0; s < sizeof streams / sizeof *streams; s++)
    for (size_t p = 0; p < sizeof processors / sizeof *processors; p++)
      bench_size(streams[s], processors[p], ns, per_candidate);
  for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) bench_planning(&c, budgets[b]);
  for (int i = 1; i < argc; i++) bench_word(&c, argv[i], 0, ns, per_candidate);
  free(ns);
  free(per_candidate);
  cosrel_case_destroy(&c);
  cosrel_inputs_clear(&inputs);
  return 0;
}
