/* sel: shortest expected latency. Of all pairs of a head and an idle processor, the one that ends soonest.
 *
 * After the scheduler of that name in Band (Jeong et al., "Band: coordinated multi-DNN inference on heterogeneous
 * mobile processors", MobiSys 2022), which orders a window of requests by their shortest expected latency. Runs to the
 * end. It does not wait for a busy processor, and it lets long requests starve while short ones keep coming. */
#include "sched/policies/common.h"

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  cosrel_heads heads;
  cosrel_heads_read(c, state, &heads);
  uint32_t first = UINT32_MAX, on = 0;
  double least = INFINITY;
  for (uint32_t h = 0; h < heads.n; h++)
    for (uint32_t p = 0; p < c->n_processors; p++)
      if (cosrel_processor_idle(state, p) && heads.rest[h][p] < least) least = heads.rest[h][p], first = h, on = p;
  return first == UINT32_MAX ? cosrel_wait() : cosrel_heads_run(&heads, first, on);
}

const cosrel_policy_ops cosrel_policy_sel = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "sel",
    .summary = "the head and idle processor that end soonest (Band, MobiSys 2022)",
    .create = cosrel_stateless_create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = cosrel_stateless_nothing,
};
