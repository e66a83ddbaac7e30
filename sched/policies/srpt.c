/* srpt: shortest remaining time by deadline pressure. Most utility per ns first: the utility that a request would still
 * have when it ends on the processor that ends it first (wait included), over the time until then.
 *
 * Smith's rule (Naval Res. Logist. Q. 3, 1956) with the utility clip(1 - (NTT - 1) / 4, 0, 1) as the weight: short
 * requests first, those that lose value first among the short, and requests that are worth nothing any more last. Waits
 * like `eft`, runs to the end. */
#include "sched/policies/common.h"

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  cosrel_heads heads;
  cosrel_heads_read(c, state, &heads);
  return cosrel_heads_place(c, state, &heads, cosrel_utility_rate, NULL);
}

const cosrel_policy_ops cosrel_policy_srpt = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "srpt",
    .summary = "most utility per ns first: Smith's rule, with waiting",
    .create = cosrel_stateless_create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = cosrel_stateless_nothing,
};
