/* The clock of everything real: never set back, of any thread, in ns since some time in the past; and conditions that
 * wait by it. */
#ifndef COSREL_BACKENDS_MONOTONIC_H
#define COSREL_BACKENDS_MONOTONIC_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "sched/clock.h"

static inline cosrel_time cosrel_monotonic_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (cosrel_time)t.tv_sec * COSREL_S + t.tv_nsec;
}

static inline bool cosrel_condition_init(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  if (pthread_condattr_init(&attributes) != 0) return false;
  bool good =
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 && pthread_cond_init(condition, &attributes) == 0;
  pthread_condattr_destroy(&attributes);
  return good;
}

/* Waits for a signal until a time of the clock; false when that came first. */
static inline bool cosrel_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock, cosrel_time until) {
  struct timespec t = {.tv_sec = (time_t)(until / COSREL_S), .tv_nsec = (long)(until % COSREL_S)};
  return pthread_cond_timedwait(condition, lock, &t) == 0;
}

#endif
