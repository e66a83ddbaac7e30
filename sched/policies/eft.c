/* eft: earliest finish time, with waiting. The request that can end soonest goes first; where a busy processor would
 * end it sooner than any idle one, it waits for that one, and the others see that processor as taken.
 *
 * This is min-min list scheduling (Ibarra and Kim, J. ACM 24(2), 1977) over the heads of the streams, done anew at each
 * decision. Runs to the end. It knows deadlines only as far as soon is soon. */
#include "sched/policies/common.h"

static double soonest(const cosrel_case *c, const cosrel_state *state, const cosrel_heads *heads, uint32_t h,
                      uint32_t p, double finish) {
  (void)c, (void)state, (void)heads, (void)h, (void)p;
  return -finish;
}

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  cosrel_heads heads;
  cosrel_heads_read(c, state, &heads);
  return cosrel_heads_place(c, state, &heads, soonest, NULL);
}

const cosrel_policy_ops cosrel_policy_eft = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "eft",
    .summary = "earliest finish first, waiting for a busy processor where it pays (min-min, Ibarra and Kim 1977)",
    .create = cosrel_stateless_create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = cosrel_stateless_nothing,
};
