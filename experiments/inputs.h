/* Profiles and workloads named on a command line, loaded and paired. */
#ifndef COSREL_EXPERIMENTS_INPUTS_H
#define COSREL_EXPERIMENTS_INPUTS_H

#include "experiments/options.h"
#include "sched/bound.h"
#include "sched/profile.h"
#include "sched/workload.h"

typedef struct cosrel_inputs {
  uint32_t n_profiles, n_workloads;
  cosrel_profile *profiles;   /* owned [n_profiles] */
  cosrel_workload *workloads; /* owned [n_workloads] */
  cosrel_bound *bounds;       /* owned [n_profiles][n_workloads]; filled by cosrel_inputs_solve */
} cosrel_inputs;

/* Reads every file; an error line names the file. `out` may be passed to clear even after a failure. */
cosrel_status cosrel_inputs_load(const cosrel_strings *profiles, const cosrel_strings *workloads, cosrel_inputs *out,
                                 cosrel_error *error);
/* Solves the bound of every pair. One thread: GLPK keeps a global state. */
cosrel_status cosrel_inputs_solve(cosrel_inputs *inputs, cosrel_error *error);
const cosrel_bound *cosrel_inputs_bound(const cosrel_inputs *inputs, uint32_t profile, uint32_t workload);
void cosrel_inputs_clear(cosrel_inputs *inputs);

#endif
