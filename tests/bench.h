/* What benches share: the named case, and the line that each figure is printed as. */
#ifndef COSREL_TESTS_BENCH_H
#define COSREL_TESTS_BENCH_H

#include <stdio.h>
#include <stdlib.h>

#include "experiments/cell.h"
#include "experiments/inputs.h"

#define BENCH_PROFILE "traces/profiles/snapdragon865.json"
#define BENCH_WORKLOAD "experiments/workloads/test/drone.json" /* four streams */
#define BENCH_CASE "drone, snapdragon865, poisson, load 0.9"

/* {"name", "value", "unit", ...}: `more` is further JSON members such as "\"policy\": \"fcfs\"". */
static inline void bench_print(const char *name, double value, const char *unit, const char *more) {
  printf("{\"name\": \"%s\", \"value\": %.6g, \"unit\": \"%s\"%s%s}\n", name, value, unit, more[0] != '\0' ? ", " : "",
         more);
  fflush(stdout);
}

static inline void bench_check(cosrel_status status, const cosrel_error *error) {
  if (status != COSREL_OK) exit(cosrel_report(status, error));
}

/* Loads BENCH_CASE; run from the root of the repository. */
static inline void bench_case(cosrel_inputs *inputs, cosrel_case *c) {
  const cosrel_strings profile = {1, {BENCH_PROFILE}}, workload = {1, {BENCH_WORKLOAD}};
  cosrel_error error = {""};
  bench_check(cosrel_inputs_load(&profile, &workload, inputs, &error), &error);
  bench_check(cosrel_inputs_solve(inputs, &error), &error);
  bench_check(
      cosrel_case_prepare(inputs->profiles, inputs->workloads, inputs->bounds, COSREL_ARRIVALS_POISSON, 0.9, c, &error),
      &error);
}

#endif
