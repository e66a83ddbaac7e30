/* Playing a state forward with mean costs, for policies that look ahead. Pure functions of their arguments; nothing
 * allocates. The same transitions as the engine's, without a driver and without listeners. */
#ifndef COSREL_SCHED_POLICIES_SIMULATE_H
#define COSREL_SCHED_POLICIES_SIMULATE_H

#include "sched/policy.h"

typedef cosrel_candidate (*cosrel_decide)(void *self, const cosrel_case *c, const cosrel_state *state);

/* Applies a legal choice with mean cost. Returns true for WAIT: no question before the next event. */
bool cosrel_simulate_choice(const cosrel_case *c, cosrel_state *state, const cosrel_candidate *choice);

/* Moves to the next event and books it. False, with no change, when there is none before or at `until`. `gap` (NULL:
 * arrivals as the state has them) are ns per stream after which each arrival is followed by the next. */
bool cosrel_simulate_event(const cosrel_case *c, cosrel_state *state, cosrel_time until, const cosrel_time *gap);

/* Lets the next request of stream s arrive at `time`. */
void cosrel_simulate_expect(const cosrel_case *c, cosrel_state *state, uint32_t s, cosrel_time time);

/* Lets `decide` decide until time `until`, the end of the run, or `budget` decisions; `waiting` says that the last
 * choice was WAIT. Unless the budget ran out the state is then at `until` or at the end of the run. Returns the
 * decisions made. */
uint32_t cosrel_simulate(const cosrel_case *c, cosrel_state *state, cosrel_decide decide, void *self, bool waiting,
                         cosrel_time until, const cosrel_time *gap, uint32_t budget);

/* What an offline policy makes of `decide` on the whole case: a run of `horizon` from nothing, arrivals drawn by
 * `seed`. Open loop: mean utility over arrivals; closed: mean log of completions (the log of G, less what all policies
 * share). */
double cosrel_simulate_score(const cosrel_case *c, cosrel_state *scratch, cosrel_decide decide, void *self,
                             uint64_t seed, cosrel_time horizon);

#endif
