/* An open machine whose networks are computed in other precisions for a while, beside what is prepared on it.
 *
 * recast.machine has the same processors, and one network per model; what it does not have of its own is borrowed, so
 * the machine must outlive it. Give it to whatever takes a `const cosrel_machine *`, with recast.models. */
#ifndef COSREL_BACKENDS_RECAST_H
#define COSREL_BACKENDS_RECAST_H

#include "backends/measure.h"

typedef struct cosrel_recast {
  cosrel_machine machine;
  cosrel_profiled_model models[COSREL_MODELS_MAX]; /* models[m].network is m */
} cosrel_recast;

/* All as it is on `machine`; n_models <= COSREL_MODELS_MAX. */
void cosrel_recast_open(const cosrel_machine *machine, const cosrel_profiled_model *models, uint32_t n_models,
                        cosrel_recast *out);
/* Prepares model m on p in precisions[n_units], which are copied; nothing is done where all of them are fp32. Once at
 * most per model and processor. The line of a failure begins with the processor's name. */
cosrel_status cosrel_recast_prepare(cosrel_recast *recast, uint32_t p, uint32_t m, const uint8_t *precisions,
                                    cosrel_error *error);
/* Releases what it has prepared. A cleared one is fine. */
void cosrel_recast_close(cosrel_recast *recast);

#endif
