/* Random mixes of streams, so that a policy learns from more situations than anybody would write down. */
#ifndef COSREL_AGENT_MIXES_H
#define COSREL_AGENT_MIXES_H

#include "sched/profile.h"
#include "sched/workload.h"

/* Fills `out` with 2 to 6 streams of models that the profile has, those of the set `models` (bit i: model i; not
 * empty): model, relative rate, deadline, precisions, queue and drop rules drawn from `key`. Streams use similar shares
 * of the device (lognormal around equal), four in five accept int8. Owns nothing, so it needs no clearing. */
void cosrel_mix_draw(const cosrel_profile *profile, uint64_t models, uint64_t key, cosrel_workload *out);

#endif
