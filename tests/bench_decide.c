/* How long a decision takes: every built-in online policy, over all decisions and per candidate, p50 and p99.
 * The time to read the clock is taken off. Arguments: policy files to time as well. */
#include "backends/sim/sim.h"
#include "experiments/timing.h"
#include "tests/bench.h"

enum { SAMPLES = 20000 };

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_quantiles(const char *what, double *ns, uint32_t n, const char *unit, const char *policy) {
  static const struct {
    const char *suffix;
    double q;
  } at[] = {{"p50", 0.50}, {"p99", 0.99}};
  char name[64], more[400];
  if (n == 0) return;
  qsort(ns, n, sizeof *ns, compare);
  for (int i = 0; i < 2; i++) {
    snprintf(name, sizeof name, "%s_%s", what, at[i].suffix);
    snprintf(more, sizeof more, "\"policy\": \"%s\", \"case\": \"%s\", \"decisions\": %u", policy, BENCH_CASE, n);
    bench_print(name, ns[(uint32_t)(at[i].q * (n - 1))], unit, more);
  }
}

static void bench_policy(const cosrel_case *c, const char *word, double *ns, double *per_candidate) {
  cosrel_error error = {""};
  cosrel_contender contender;
  cosrel_engine engine;
  cosrel_policy policy;
  const cosrel_sim sim = {.noise = true};
  const cosrel_policy_config config = {.seed = 1, .duration_s = 10};
  bench_check(cosrel_contender_open(word, &contender, &error), &error);
  if (contender.offline) return;
  bench_check(cosrel_contender_create(&contender, c, &config, &policy, &error), &error);
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
      n++;
      bench_check(cosrel_engine_decide(&engine, &choice), &error);
    }
  }
  print_quantiles("decide_ns", ns, n, "ns", word);
  print_quantiles("decide_ns_per_candidate", per_candidate, n, "ns", word);
  free(candidates);
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
    bench_policy(&c, (*p)->name, ns, per_candidate);
  for (int i = 1; i < argc; i++) bench_policy(&c, argv[i], ns, per_candidate);
  free(ns);
  free(per_candidate);
  cosrel_case_destroy(&c);
  cosrel_inputs_clear(&inputs);
  return 0;
}
