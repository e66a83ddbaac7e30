/* What went wrong in a run and what was done about it: a sink that counts. */
#ifndef COSREL_SCHED_FAILURES_H
#define COSREL_SCHED_FAILURES_H

#include "sched/engine.h"

typedef struct cosrel_processor_failures {
  uint64_t faults[COSREL_FAULT_COUNT]; /* segments that failed, by kind; those that it is not to blame for are NONE */
  uint64_t quarantines, probes, probes_failed;
  double quarantined_s; /* up to the end of the run */
} cosrel_processor_failures;

typedef struct cosrel_failures {
  uint32_t n_processors;
  cosrel_processor_failures processors[COSREL_PROCESSORS_MAX];
  uint64_t n_faults;         /* of all kinds, on all processors */
  uint64_t reruns, restarts; /* segments run again; requests that started anew because a segment of theirs failed */
  uint64_t given_up;         /* requests */
} cosrel_failures;

typedef struct cosrel_failure_counter {
  cosrel_sink sink; /* hang it into engine->sinks */
  cosrel_failures counts;
  cosrel_time since[COSREL_PROCESSORS_MAX]; /* in quarantine; NEVER: it is not */
} cosrel_failure_counter;

/* Starts counting from nothing. `counter` must not move while it listens. */
void cosrel_failure_counter_begin(const cosrel_case *c, cosrel_failure_counter *counter);
/* The counts of a run that ended at `now`. */
void cosrel_failure_counter_end(cosrel_failure_counter *counter, cosrel_time now, cosrel_failures *out);

#endif
