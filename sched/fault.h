/* What may go wrong with a segment, and how a processor comes back from it.
 *
 *   a segment fails -> its processor is quarantined: it rests, is probed, and rests twice as long when that fails
 *                   -> its request runs the segment again if what the segment reads is whole, else starts anew from its
 *                      inputs; after COSREL_ATTEMPTS failures it is given up, which is reported and counts as a drop
 *
 * A processor that failed COSREL_STRIKES_GONE times in a row without a good segment between is held for gone: it is
 * still probed, but a request that only it could go on with is given up instead of waiting for it. The transitions are
 * in sched/quarantine.c; who drives processors reports failures through cosrel_driver_ops (sched/engine.h). */
#ifndef COSREL_SCHED_FAULT_H
#define COSREL_SCHED_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/clock.h"

#define COSREL_FAULT_MAP(X)                              \
  X(NONE, "none")   /* all is well */                    \
  X(ERROR, "error") /* refused or broken off */          \
  X(HANG, "hang")   /* not done within its budget */     \
  X(NAN, "nan")     /* computed something that is NaN */ \
  X(LOST, "lost")   /* the processor is not there */

typedef enum cosrel_fault {
#define X(name, text) COSREL_FAULT_##name,
  COSREL_FAULT_MAP(X)
#undef X
      COSREL_FAULT_COUNT
} cosrel_fault;

/* "error", "hang", ... Never NULL. */
const char *cosrel_fault_name(cosrel_fault fault);

/* How a segment or a probe ended, as a driver says it. All zero: well. */
typedef struct cosrel_failure {
  uint8_t fault;    /* cosrel_fault */
  bool innocent;    /* the processor is not to blame: a tensor was gone that it should have read */
  bool restart;     /* what the segment reads is not whole any more: its request must start anew */
  bool memory_lost; /* nothing is left in the processor's own memory */
} cosrel_failure;

/* What becomes of a request with a failed segment. Later ones overrule earlier ones. */
typedef enum cosrel_remedy { COSREL_RERUN, COSREL_RESTART, COSREL_GIVE_UP } cosrel_remedy;

typedef enum cosrel_health { COSREL_QUARANTINED, COSREL_STILL_ILL, COSREL_RESTORED } cosrel_health;

#define COSREL_ATTEMPTS 3 /* failures of its segments after which a request is given up */
#define COSREL_STRIKES_GONE 8
#define COSREL_REST (10 * COSREL_MS) /* after the first failure; doubles with each one, up to 640 ms */

/* How long a processor rests after its `strikes`-th failure in a row, from 1. */
static inline cosrel_time cosrel_rest(uint32_t strikes) { return COSREL_REST << (strikes < 7 ? strikes - 1 : 6); }

/* A segment that takes longer than this hangs: a multiple of what the profile says, since contention and a busy machine
 * stretch segments, and never less than what a disturbance by the operating system may take. */
#define COSREL_BUDGET_FLOOR (500 * COSREL_MS)
#define COSREL_BUDGET_FACTOR 20
static inline cosrel_time cosrel_segment_budget(double expected_ns, cosrel_time floor) {
  double budget = COSREL_BUDGET_FACTOR * expected_ns;
  return budget < (double)floor ? floor : budget > 3600e9 ? 3600 * COSREL_S : (cosrel_time)budget;
}

#endif
