/* least-slack: least laxity first. Slack is the time to the deadline less the time until the request would end on the
 * processor that ends it first (wait included); the least goes first, but requests that can no longer make it come
 * last, shortest first.
 *
 * Least laxity (Dertouzos and Mok, IEEE Trans. Softw. Eng. 15(12), 1989), as in Band's least-slack scheduler (MobiSys
 * 2022), with the usual repair for overload: without it the hopeless go first and drag the others down. Waits like
 * `eft`, runs to the end. It does not preempt, so slack is looked at only between segments. */
#include "sched/policies/common.h"

static double urgency(const cosrel_case *c, const cosrel_state *state, const cosrel_heads *heads, uint32_t h,
                      uint32_t p, double finish) {
  (void)p;
  const cosrel_request *request = cosrel_state_request(c, state, heads->slot[h]);
  double slack = (double)(cosrel_due(c, request) - state->now) - finish;
  return slack >= 0 ? -slack : -1e15 - finish;
}

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  cosrel_heads heads;
  cosrel_heads_read(c, state, &heads);
  return cosrel_heads_place(c, state, &heads, urgency, NULL);
}

const cosrel_policy_ops cosrel_policy_least_slack = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "least-slack",
    .summary = "least slack to the deadline first, hopeless ones last (Dertouzos and Mok 1989)",
    .create = cosrel_stateless_create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = cosrel_stateless_nothing,
};
