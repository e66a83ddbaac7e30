/* Makes a device profile by measuring the processors of a machine (backends/measure.h). */
#ifndef COSREL_BACKENDS_PROFILING_H
#define COSREL_BACKENDS_PROFILING_H

#include "backends/machine.h"
#include "backends/measure.h"

/* A model of the profile to be. */
typedef struct cosrel_profiled_model {
  const char *name; /* borrowed */
  uint32_t network; /* index into machine->networks; several models may share one */
  const float *const *inputs;
} cosrel_profiled_model;

/* Measures every network on every processor, one after the other, each processor on a thread of its own as in a run,
 * and the links. Units cost their median as a segment of their own less the launch. Watts and contention are not
 * measured: 1 W busy, 0.1 W idle, no contention, tagged assumed. The first processor that works in host memory is the
 * host. *out is checked and owned by the caller (cosrel_profile_clear); names of processors come from the specs. */
cosrel_status cosrel_profile_measure(const cosrel_machine *machine, const cosrel_profiled_model *models,
                                     uint32_t n_models, const cosrel_measure_config *config, const char *name,
                                     cosrel_profile *out, cosrel_error *error);

#endif
