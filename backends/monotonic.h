/* The clock of everything real: never set back, of any thread, in ns since some time in the past. */
#ifndef COSREL_BACKENDS_MONOTONIC_H
#define COSREL_BACKENDS_MONOTONIC_H

#include <time.h>

#include "sched/clock.h"

static inline cosrel_time cosrel_monotonic_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (cosrel_time)t.tv_sec * COSREL_S + t.tv_nsec;
}

#endif
