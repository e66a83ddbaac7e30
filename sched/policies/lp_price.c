/* lp-price: greedy on the duals of the bound. The linear program of sched/bound.h prices an ns of each processor; a
 * request on a processor that is dear for it, against the one that is cheapest for it, pays the difference as a toll:
 *
 *     toll(request, p) = TOLL * P * (price_p * rest_p - min over q of price_q * rest_q)         prices sum to 1
 *
 * It is placed where end + toll is least, waiting where that one is busy; among requests the most utility per ns goes
 * first, as in `srpt`, or in closed loop the least recent rate x time to end, as in `pf`. So a processor is kept for
 * those to whom it matters (complementary slackness), and nobody must know the load. Prices are of the nominal mix:
 * they do not follow what arrives. Runs to the end. */
#include "sched/policies/common.h"

#define TOLL 0.33 /* 0 is srpt; 1 is as good where processors differ much, worse where they do not */

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  cosrel_heads heads;
  double toll[COSREL_STREAMS_MAX][COSREL_PROCESSORS_MAX];
  cosrel_heads_read(c, state, &heads);
  for (uint32_t h = 0; h < heads.n; h++) {
    double cheapest = INFINITY;
    for (uint32_t p = 0; p < c->n_processors; p++)
      if (heads.rest[h][p] < INFINITY) cheapest = fmin(cheapest, c->price[p] * heads.rest[h][p]);
    for (uint32_t p = 0; p < c->n_processors; p++)
      toll[h][p] =
          heads.rest[h][p] < INFINITY ? TOLL * c->n_processors * (c->price[p] * heads.rest[h][p] - cheapest) : 0;
  }
  if (cosrel_case_is_closed(c)) return cosrel_heads_place(c, state, &heads, cosrel_log_rate_gain, toll);
  return cosrel_heads_place(c, state, &heads, cosrel_utility_rate, toll);
}

const cosrel_policy_ops cosrel_policy_lp_price = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "lp-price",
    .summary = "placed by the duals of the bound: a dear processor costs a toll",
    .create = cosrel_stateless_create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = cosrel_stateless_nothing,
};
