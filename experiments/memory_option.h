/* The options --memory, budgets for weights that replace those of a profile, and --no-prefetch. */
#ifndef COSREL_EXPERIMENTS_MEMORY_OPTION_H
#define COSREL_EXPERIMENTS_MEMORY_OPTION_H

#include "experiments/options.h"
#include "sched/profile.h"

typedef struct cosrel_memory_options {
  cosrel_strings budgets; /* "PROCESSOR=MiB" or "PROCESSOR=MiB:MB/s", MB of 10^6 bytes */
  bool no_prefetch;
} cosrel_memory_options;

/* Lines of a cosrel_option table; `memory` is a cosrel_memory_options. */
#define COSREL_MEMORY_OPTION_BUDGETS(memory)                                                               \
  {                                                                                                        \
    "memory", COSREL_OPTION_FILES, &(memory).budgets, "SPEC...",                                           \
        "PROC=MiB[:MB/s]: budget for weights, 0 none, and how fast they load (the profile's)", 0, 0, false \
  }
#define COSREL_MEMORY_OPTION_LINES(memory)                               \
  COSREL_MEMORY_OPTION_BUDGETS(memory), {                                \
    "no-prefetch", COSREL_OPTION_FLAG, &(memory).no_prefetch, NULL,      \
        "weights are loaded only when a segment needs them", 0, 0, false \
  }

/* Each budget holds for every profile that has the processor; COSREL_INVALID when none has. */
cosrel_status cosrel_memory_apply(const cosrel_memory_options *memory, cosrel_profile *profiles, uint32_t n_profiles,
                                  cosrel_error *error);

#endif
