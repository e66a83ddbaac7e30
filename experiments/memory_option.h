/* The option --memory: budgets for weights that replace those of a profile. */
#ifndef COSREL_EXPERIMENTS_MEMORY_OPTION_H
#define COSREL_EXPERIMENTS_MEMORY_OPTION_H

#include "experiments/options.h"
#include "sched/profile.h"

#define COSREL_MEMORY_HELP "PROC=MiB[:MB/s]: budget for weights, 0 none, and how fast they load (the profile's)"

/* Each text is "PROCESSOR=MiB" or "PROCESSOR=MiB:MB/s" (MB of 10^6 bytes) and holds for every profile that has the
 * processor; COSREL_INVALID when none has. */
cosrel_status cosrel_memory_apply(const cosrel_strings *texts, cosrel_profile *profiles, uint32_t n_profiles,
                                  cosrel_error *error);

#endif
