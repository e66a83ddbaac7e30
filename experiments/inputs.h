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
/* All streams of all workloads arrive as those of the same name did in the trace. Call it before solving. */
cosrel_status cosrel_inputs_record(cosrel_inputs *inputs, const char *trace, cosrel_error *error);
/* Whether the profile has all models of the workload. A pair that does not fit has no bound and makes no case. */
bool cosrel_inputs_fit(const cosrel_inputs *inputs, uint32_t profile, uint32_t workload);
/* Solves the bound of every pair that fits. One thread: GLPK keeps a global state. */
cosrel_status cosrel_inputs_solve(cosrel_inputs *inputs, cosrel_error *error);
const cosrel_bound *cosrel_inputs_bound(const cosrel_inputs *inputs, uint32_t profile, uint32_t workload);
void cosrel_inputs_clear(cosrel_inputs *inputs);

#endif
