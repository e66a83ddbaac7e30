/* The simulator: a driver whose clock jumps from event to event.
 *
 * A segment takes its expected work, the compute part scaled by one lognormal draw whose variance matches its units'.
 * Draws are keyed by (seed, stream, request, first unit), so two policies that run the same units of the same request
 * see the same luck (common random numbers). Contention is in sched/state.c.
 *
 * With an injector, segments fail as its plan says: an error or a loss is seen after a uniform share of the segment's
 * time, a hang after its budget (sched/fault.h), a NaN at its end; and whatever else begins while a segment runs, at
 * its end. What a segment reads stays whole, unless it was in lost memory only or something stuck may still write
 * there. A probe takes a launch and a millisecond, and passes when nothing is wrong at its end. */
#ifndef COSREL_BACKENDS_SIM_SIM_H
#define COSREL_BACKENDS_SIM_SIM_H

#include <stdbool.h>

#include "backends/injection.h"
#include "sched/engine.h"

typedef struct cosrel_sim {
  bool noise;                /* false: every segment takes its mean */
  cosrel_injector *injector; /* NULL: nothing fails. Its plan is set by the caller; a run begins it anew */
} cosrel_sim;

/* `sim` is borrowed and read-only; without an injector, threads may share it. */
cosrel_driver cosrel_sim_driver(const cosrel_sim *sim);

#endif
