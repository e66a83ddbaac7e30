/* What the planner plays on with and the agent starts from: `lp-price`, with one thing more. It lets a stale request
 * give way to a newer one of its stream (COSREL_DROP_REQUEST) where the stream allows that: work on the newer one is
 * worth more, and the older one would delay it. As a policy of its own it is `lp-price-yield`. */
#ifndef COSREL_SCHED_POLICIES_BASE_H
#define COSREL_SCHED_POLICIES_BASE_H

#include "sched/policy.h"

/* Allowed is what the stream's own rule does when its queue is full: `drop` is "oldest", the head has not started, and
 * a newer request waits behind it. Never in a closed loop. */
bool cosrel_may_give_way(const cosrel_case *c, const cosrel_state *state, uint32_t s);

/* Keeps no memory: base(NULL, c, state) works from any thread. */
cosrel_candidate cosrel_base_decide(void *self, const cosrel_case *c, const cosrel_state *state);

#endif
