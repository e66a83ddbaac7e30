/* The options that every command which simulates shares, written once. */
#ifndef COSREL_EXPERIMENTS_RUN_OPTIONS_H
#define COSREL_EXPERIMENTS_RUN_OPTIONS_H

#include "experiments/cell.h"
#include "experiments/memory_option.h"
#include "experiments/options.h"

typedef struct cosrel_run_options {
  cosrel_strings profiles, workloads, faults;
  cosrel_memory_options memory;
  const char *arrivals_from; /* a trace, or NULL */
  uint64_t seed, plan_budget;
  double duration_s;
  bool json, no_noise;
} cosrel_run_options;

#define COSREL_FAULT_HELP \
  "PROC=error|hang|stuck|nan|lost[:p=X|:every=N|:at=S][:for=S]: makes segments on PROC (or any) fail"

/* Reads the specs of --fault. */
static inline cosrel_status cosrel_faults_read(const cosrel_strings *specs, cosrel_injection_plan *out,
                                               cosrel_error *error) {
  out->n = 0;
  for (uint32_t i = 0; i < specs->n; i++) {
    cosrel_status status = cosrel_injection_add(out, specs->items[i], error);
    if (status != COSREL_OK) return status;
  }
  return COSREL_OK;
}

#define COSREL_RUN_OPTIONS_DEFAULT \
  { .seed = 1, .plan_budget = COSREL_PLAN_DEFAULT, .duration_s = 10 }

/* A line of a cosrel_option table. */
#define COSREL_PLAN_BUDGET_OPTION(value)                                                                              \
  {                                                                                                                   \
    "plan-budget", COSREL_OPTION_COUNT, &(value), "N",                                                                \
        "simulated decisions per decision, 0: do not plan (rollout: 300, a trained policy: 75, none in closed loop)", \
        0, 1e6, false                                                                                                 \
  }

/* Lines of a cosrel_option table; `run` is a cosrel_run_options. */
#define COSREL_RUN_OPTION_LINES(run)                                                                                \
  {"profile", COSREL_OPTION_FILES, &(run).profiles, "P...", "device profiles", 0, 0, true},                         \
      {"workload", COSREL_OPTION_FILES, &(run).workloads, "W...", "workloads", 0, 0, true},                         \
      {"arrivals-from",                                                                                             \
       COSREL_OPTION_TEXT,                                                                                          \
       &(run).arrivals_from,                                                                                        \
       "TRACE",                                                                                                     \
       "requests arrive when they did in this trace",                                                               \
       0,                                                                                                           \
       0,                                                                                                           \
       false},                                                                                                      \
      {"seed", COSREL_OPTION_COUNT, &(run).seed, "N", "keys every draw; the first of several (1)", 0, 9e15, false}, \
      {"duration", COSREL_OPTION_NUMBER, &(run).duration_s, "S", "seconds of arrivals (10)", 0.001, 86400, false},  \
      COSREL_PLAN_BUDGET_OPTION((run).plan_budget), COSREL_MEMORY_OPTION_LINES((run).memory),                       \
      {"fault", COSREL_OPTION_FILES, &(run).faults, "SPEC...", COSREL_FAULT_HELP, 0, 0, false},                     \
      {"no-noise", COSREL_OPTION_FLAG, &(run).no_noise, NULL, "every segment takes its mean time", 0, 0, false}, {  \
    "json", COSREL_OPTION_FLAG, &(run).json, NULL, "one JSON document on stdout", 0, 0, false                       \
  }

#define COSREL_OPTION_END \
  { NULL, COSREL_OPTION_FLAG, NULL, NULL, NULL, 0, 0, false }

/* `faults`: what cosrel_faults_read made of run->faults; must outlive the config. */
static inline cosrel_cell_config cosrel_run_config(const cosrel_run_options *run, const cosrel_injection_plan *faults) {
  return (cosrel_cell_config){.faults = faults,
                              .seed = run->seed,
                              .duration_s = run->duration_s,
                              .plan_budget = (uint32_t)run->plan_budget,
                              .noise = !run->no_noise};
}

#endif
