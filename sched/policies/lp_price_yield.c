/* lp-price-yield: `lp-price`, and a stale request gives way to a newer one of its stream (sched/policies/base.h says
 * when). The agent starts from this rule and the planner plays on with it, so what the two add is what they are better
 * than this. */
#include "sched/policies/base.h"
#include "sched/policies/common.h"

const cosrel_policy_ops cosrel_policy_lp_price_yield = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "lp-price-yield",
    .summary = "lp-price, and a stale request gives way to a newer one of its stream",
    .create = cosrel_stateless_create,
    .reset = cosrel_stateless_nothing,
    .decide = cosrel_base_decide,
    .destroy = cosrel_stateless_nothing,
};
