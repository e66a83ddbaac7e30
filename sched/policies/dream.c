/* dream: a score in the manner of DREAM (Kim et al., "DREAM: a dynamic scheduler for dynamic real-time multi-model ML
 * workloads", ASPLOS 2023), which adds up urgency, fit and starvation for every task and accelerator:
 *
 *     score = (time to go / time to the deadline) x (mean latency over processors / latency here) + ALPHA x age / mean
 * latency
 *
 * The parts are the paper's ideas in our units, not its code: its energy part is left out (U does not value energy),
 * ALPHA is fixed instead of tuned on line, and it drops no frames. Requests that can no longer make their deadline lose
 * their urgency. Placed with waiting, like `eft`. Runs to the end. */
#include "sched/policies/common.h"

#define ALPHA 0.05 /* 0 to 0.2 differ by .002 of U; G grows with it */

static double score(const cosrel_case *c, const cosrel_state *state, const cosrel_heads *heads, uint32_t h, uint32_t p,
                    double finish) {
  const cosrel_request *request = cosrel_state_request(c, state, heads->slot[h]);
  double sum = 0, able = 0;
  for (uint32_t q = 0; q < c->n_processors; q++)
    if (heads->rest[h][q] < INFINITY) sum += heads->rest[h][q], able++;
  double mean = sum / able, left = (double)(cosrel_due(c, request) - state->now);
  double urgency = left >= finish ? heads->best[h] / left : 0;
  return urgency * (mean / heads->rest[h][p]) + ALPHA * (double)(state->now - request->arrival) / mean;
}

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  cosrel_heads heads;
  cosrel_heads_read(c, state, &heads);
  return cosrel_heads_place(c, state, &heads, score, NULL);
}

const cosrel_policy_ops cosrel_policy_dream = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "dream",
    .summary = "urgency, fit and starvation added up, in the manner of DREAM (ASPLOS 2023)",
    .create = cosrel_stateless_create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = cosrel_stateless_nothing,
};
