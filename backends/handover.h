/* Measures what a segment costs in a run beside its units and transfers: deciding, the mailbox, waking the worker,
 * reporting back. It is far more than submitting costs on the worker's own thread, and more still when every processor
 * is busy and the engine's thread must fight for a core; so it is measured through the runtime itself, with all
 * processors busy. */
#ifndef COSREL_BACKENDS_HANDOVER_H
#define COSREL_BACKENDS_HANDOVER_H

#include "backends/measure.h"

/* A closed loop of one stream per model and processor (as many models as streams allow), each request whole on its
 * stream's processor as far as that can run it, for `time`. handover_ns[p]: mean over p's segments, the longest
 * hundredth left out, of the time that was neither in the backend nor moving tensors; 0 where p ran none. Not the
 * typical one: a few handovers wait long for a core, and that counts. models[m] belongs to profile->models[m]. `stop`
 * as in the runtime's config. */
cosrel_status cosrel_measure_handover(const cosrel_machine *machine, const cosrel_profile *profile,
                                      const cosrel_profiled_model *models, cosrel_time time, bool (*stop)(void),
                                      double handover_ns[COSREL_PROCESSORS_MAX], cosrel_error *error);

#endif
