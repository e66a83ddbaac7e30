/* What the choices of a decision lead to, measured: the run is branched, once per choice, and played on.
 *
 *     value(a) = what the state is worth HORIZON after choice a, when the base heuristic makes all choices after it
 *
 * A branch is the true simulation, not a planner's copy: the arrivals and the luck that are to come are those of the
 * run itself. They are the same for all choices (common random numbers), so the difference of two values has little
 * noise; and since a policy sees nothing of them, what it can learn is the mean over all futures. Labels for many
 * choices at one state are the "vine" of Schulman et al. (TRPO, ICML 2015); learning from them which to take is
 * roll-out classification (Lagoudakis and Parr, ICML 2003).
 *
 * What a state is worth, in requests of utility 1:
 *
 *     sum over streams of weight x sum over requests of
 *         [ w_latency x ((1 - late) utility - late NTT / 4) + w_throughput x (in time ? 1 : 0) ]
 *     - w_energy x energy / (energy of the time of a request, everything running)
 *
 * over the requests that have ended, and those in flight as if they ended after LEAF times their best remaining time.
 * w are the objective's weights over their sum; weight = 1 - rare + rare x min(WEIGHT_MOST, mean rate / the stream's):
 * with rare = 0 every request counts alike (U), with 1 every stream does (ANTT). With late = 0 a request of utility 0
 * may as well wait for ever; with more, being later still costs. Open loop only. */
#ifndef COSREL_AGENT_BRANCH_H
#define COSREL_AGENT_BRANCH_H

#include "sched/case.h"
#include "sched/observe.h"
#include "sched/state.h"

/* What counts, beside the objective's weights. */
typedef struct cosrel_taste {
  double rare, late;
} cosrel_taste;

/* values[n_rows][COSREL_RUN_LENGTHS]: of every choice with `tried` set, less that of the base heuristic's (of the best
 * one, should that not be among them), within +-2; 0 for all others. `state` is one in which a choice is due, and
 * `observation` what was seen of it; `scratch` has room for a state of the case. Thread-safe on different scratch. */
void cosrel_branch_values(const cosrel_case *c, const cosrel_state *state, const cosrel_objective *objective,
                          const cosrel_taste *taste, const cosrel_observation *observation, const bool *tried,
                          cosrel_state *scratch, float *values);

#endif
