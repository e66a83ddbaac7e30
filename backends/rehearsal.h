/* A rehearsal: a run through the runtime with every processor busy, set against a simulation of the same run.
 *
 * Two things are not seen when units are measured alone. A segment costs far more than submitting it: deciding, the
 * mailbox, waking the worker while the engine's thread must fight for a core, and caches that another model has been
 * through. And units take longer than when one model is repeated, for the same reason. So every other request is cut
 * into pieces, with segments of other requests between them: what the pieces take beyond the whole is what launching
 * the additional segments costs, and the rest of the whole is its units. */
#ifndef COSREL_BACKENDS_REHEARSAL_H
#define COSREL_BACKENDS_REHEARSAL_H

#include "backends/measure.h"

typedef struct cosrel_rehearsal {
  /* What a segment of p costs beyond its units and moving tensors: the median over the models, no less than
   * the mean time of handing a segment over, nor than the profile's, which is submitting alone. */
  double launch_ns[COSREL_PROCESSORS_MAX];
  /* Time of model m's units on p, over the same in the simulation; 1 where there was none. */
  double slower[COSREL_PROCESSORS_MAX][COSREL_MODELS_MAX];
} cosrel_rehearsal;

/* A closed loop of one stream per model and processor (as many models as streams allow), each request on its
 * stream's processor as far as that can run it, for `time`. The simulation knows `profile`, contention included, whose
 * launch costs are those of submitting alone. models[m] belongs to profile->models[m]; where the profile has costs in
 * fp16, networks must be prepared in the faster precision of each unit. `stop` as in the runtime's
 * config. */
cosrel_status cosrel_rehearse(const cosrel_machine *machine, const cosrel_profile *profile,
                              const cosrel_profiled_model *models, cosrel_time time, bool (*stop)(void),
                              cosrel_rehearsal *out, cosrel_error *error);

#endif
