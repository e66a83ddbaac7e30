/* How many decisions a second one core simulates: fcfs, with noise and contention, nobody listening. */
#include "backends/sim/sim.h"
#include "experiments/progress.h"
#include "tests/bench.h"

/* The best of five seconds: the others were disturbed by something else on the machine. */
static double decisions_per_s(const cosrel_case *c) {
  cosrel_engine engine;
  cosrel_policy policy;
  cosrel_error error = {""};
  const cosrel_sim sim = {.noise = true};
  const cosrel_policy_config config = {.seed = 1, .duration_s = 10};
  bench_check(cosrel_engine_create(c, cosrel_sim_driver(&sim), &engine, &error), &error);
  bench_check(cosrel_policy_create("fcfs", c, &config, &policy, &error), &error);
  double best = 0;
  for (int round = 0; round < 5; round++) {
    uint64_t decisions = 0, seed = 1;
    double start = cosrel_seconds(), spent;
    do {
      bench_check(cosrel_engine_run(&engine, &policy, seed++, 10 * COSREL_S, &error), &error);
      decisions += engine.n_decisions;
      spent = cosrel_seconds() - start;
    } while (spent < 1.0);
    if ((double)decisions / spent > best) best = (double)decisions / spent;
  }
  cosrel_policy_destroy(&policy);
  cosrel_engine_destroy(&engine);
  return best;
}

int main(void) {
  cosrel_inputs inputs;
  cosrel_case c;
  bench_case(&inputs, &c);
  bench_print("sim_decisions_per_s_core", decisions_per_s(&c), "1/s",
              "\"policy\": \"fcfs\", \"case\": \"" BENCH_CASE "\"");
  cosrel_case_set_arrivals(&c, COSREL_ARRIVALS_CLOSED);
  bench_print("sim_decisions_per_s_core_closed", decisions_per_s(&c), "1/s",
              "\"policy\": \"fcfs\", \"case\": \"drone, snapdragon865, closed\"");
  cosrel_case_destroy(&c);
  cosrel_inputs_clear(&inputs);
  return 0;
}
