/* Time has one type: nanoseconds since the start of a run. Simulated and real runs use the same. */
#ifndef COSREL_SCHED_CLOCK_H
#define COSREL_SCHED_CLOCK_H

#include <stdint.h>

typedef int64_t cosrel_time; /* ns */

#define COSREL_TIME_NEVER INT64_MAX
#define COSREL_MS ((cosrel_time)1000000)
#define COSREL_S ((cosrel_time)1000000000)

static inline double cosrel_time_ms(cosrel_time t) { return (double)t * 1e-6; }
static inline double cosrel_time_s(cosrel_time t) { return (double)t * 1e-9; }

#endif
