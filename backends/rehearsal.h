/* A rehearsal: a run through the runtime with every processor busy, set against a simulation of the same run.
 *
 * Two things are not seen when units are measured alone. A segment costs far more than submitting it: deciding, the
 * mailbox, waking the worker, reporting back, while the engine's thread must fight for a core. And its units take
 * longer than when one model is repeated, since other models have been through the caches meanwhile. */
#ifndef COSREL_BACKENDS_REHEARSAL_H
#define COSREL_BACKENDS_REHEARSAL_H

#include "backends/measure.h"

/* Means over segments, the longest hundredth left out. Not the typical one: a few handovers wait long for a core, and
 * that counts. */
typedef struct cosrel_rehearsal {
  /* Time of p's segments that was neither in the backend nor moving tensors; 0 where p ran none. */
  double handover_ns[COSREL_PROCESSORS_MAX];
  /* Time of model m's segments on p in the backend, over the same in the simulation; 1 where there was none. */
  double slower[COSREL_PROCESSORS_MAX][COSREL_MODELS_MAX];
} cosrel_rehearsal;

/* A closed loop of one stream per model and processor (as many models as streams allow), each request whole on its
 * stream's processor as far as that can run it, for `time`. The simulation knows `profile`, contention included, whose
 * launch costs are those of submitting alone. models[m] belongs to profile->models[m]. `stop` as in the runtime's
 * config. */
cosrel_status cosrel_rehearse(const cosrel_machine *machine, const cosrel_profile *profile,
                              const cosrel_profiled_model *models, cosrel_time time, bool (*stop)(void),
                              cosrel_rehearsal *out, cosrel_error *error);

#endif
