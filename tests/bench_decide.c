/* How long a decision takes: every built-in online policy and the agent, over all decisions and per candidate, p50 and
 * p99. The time to read the clock is taken off. The agent has random weights, which cost as much as trained ones.
 * Arguments: policy files to time as well. */
#include "agent/agent.h"
#include "backends/sim/sim.h"
#include "experiments/timing.h"
#include "tests/bench.h"

enum { SAMPLES = 20000, PLAN_BUDGET = 60 };

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_quantiles(const char *what, double *ns, uint32_t n, const char *policy, uint32_t plan_budget,
                            double candidates) {
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
             policy, plan_budget, BENCH_CASE, n, candidates);
    bench_print(name, ns[(uint32_t)(at[i].q * (n - 1))], "ns", more);
  }
}

/* Closes the contender. */
static void bench_contender(const cosrel_case *c, cosrel_contender *contender, uint32_t plan_budget, double *ns,
                            double *per_candidate) {
  cosrel_error error = {""};
  cosrel_engine engine;
  cosrel_policy policy;
  const cosrel_sim sim = {.noise = true};
  const cosrel_policy_config config = {.seed = 1, .plan_budget = plan_budget, .duration_s = 10};
  if (contender->offline) {
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
  print_quantiles("decide_ns", ns, n, contender->name, plan_budget, sum / n);
  print_quantiles("decide_ns_per_candidate", per_candidate, n, contender->name, plan_budget, sum / n);
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
  bench_contender(c, &contender, plan_budget, ns, per_candidate);
}

static void bench_agent(const cosrel_case *c, uint32_t plan_budget, double *ns, double *per_candidate) {
  cosrel_contender contender = {.name = "agent, random weights", .learned = true};
  contender.agent = calloc(1, sizeof *contender.agent); /* closed, thus freed, by bench_contender */
  if (contender.agent == NULL) exit(1);
  cosrel_net_init(&contender.agent->open, 1);
  cosrel_net_init(&contender.agent->closed, 2);
  for (int i = 0; i < COSREL_ROW_SIZE; i++) contender.agent->normaliser.row_scale[i] = 1;
  for (int i = 0; i < COSREL_CONTEXT_SIZE; i++) contender.agent->normaliser.context_scale[i] = 1;
  bench_contender(c, &contender, plan_budget, ns, per_candidate);
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
  bench_agent(&c, 0, ns, per_candidate);
  bench_agent(&c, PLAN_BUDGET, ns, per_candidate);
  for (int i = 1; i < argc; i++) bench_word(&c, argv[i], 0, ns, per_candidate);
  free(ns);
  free(per_candidate);
  cosrel_case_destroy(&c);
  cosrel_inputs_clear(&inputs);
  return 0;
}
