/* edf: earliest deadline first; requests that can no longer make theirs come last, shortest first.
 *
 * Liu and Layland, J. ACM 20(1), 1973, with the usual repair for overload. Placed like `eft`: on the processor that
 * ends the request first, waiting for it where it is busy. Runs to the end. */
#include "sched/policies/common.h"

static double urgency(const cosrel_case *c, const cosrel_state *state, const cosrel_heads *heads, uint32_t h,
                      uint32_t p, double finish) {
  (void)p;
  double left = (double)(cosrel_due(c, cosrel_state_request(c, state, heads->slot[h])) - state->now);
  return left >= finish ? -left : -1e15 - finish;
}

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  cosrel_heads heads;
  cosrel_heads_read(c, state, &heads);
  return cosrel_heads_place(c, state, &heads, urgency, NULL);
}

const cosrel_policy_ops cosrel_policy_edf = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "edf",
    .summary = "earliest deadline first, hopeless ones last (Liu and Layland 1973)",
    .create = cosrel_stateless_create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = cosrel_stateless_nothing,
};
