/* Times a policy: a policy around another one that keeps how long each decide took. */
#ifndef COSREL_EXPERIMENTS_TIMING_H
#define COSREL_EXPERIMENTS_TIMING_H

#include "sched/policy.h"

#define COSREL_TIMING_SAMPLES_MAX (1u << 20) /* later decisions are not kept */

typedef struct cosrel_timing {
  cosrel_policy_ops ops;
  cosrel_policy inner; /* borrowed */
  double floor_ns;     /* what reading the clock twice takes by itself; taken off every sample */
  uint32_t n;
  float *ns; /* owned [COSREL_TIMING_SAMPLES_MAX] */
} cosrel_timing;

/* `inner` stays the caller's. The policy that times is cosrel_timing_policy(). */
cosrel_status cosrel_timing_create(cosrel_policy inner, cosrel_timing *out);
cosrel_policy cosrel_timing_policy(cosrel_timing *timing);
/* Sorts the samples; q in [0, 1]; 0 when there are none. */
double cosrel_timing_quantile(cosrel_timing *timing, double q);
void cosrel_timing_destroy(cosrel_timing *timing);

/* ns of a clock that never goes back. */
double cosrel_clock_ns(void);

#endif
