/* The simulator: a driver whose clock jumps from event to event.
 *
 * A segment takes its expected work, the compute part scaled by one lognormal draw whose variance matches its units'.
 * Draws are keyed by (seed, stream, request, first unit), so two policies that run the same units of the same request
 * see the same luck (common random numbers). Contention is in sched/state.c. */
#ifndef COSREL_BACKENDS_SIM_SIM_H
#define COSREL_BACKENDS_SIM_SIM_H

#include <stdbool.h>

#include "sched/engine.h"

typedef struct cosrel_sim {
  bool noise; /* false: every segment takes its mean */
} cosrel_sim;

/* `sim` is borrowed and read-only. */
cosrel_driver cosrel_sim_driver(const cosrel_sim *sim);

#endif
