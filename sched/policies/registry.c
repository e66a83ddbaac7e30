/* The table of all built-in policies. To add one: a file in this folder that ends in its ops, and a line here. */
#include "sched/policies/registry.h"

#include <stdio.h>
#include <string.h>

#define POLICIES(X) \
  X(best_static)    \
  X(static_order)   \
  X(round_robin)    \
  X(fcfs)           \
  X(random)         \
  X(sel)            \
  X(eft)            \
  X(heft)           \
  X(least_slack)    \
  X(edf)            \
  X(dream)          \
  X(dmda)           \
  X(pf)             \
  X(srpt)           \
  X(lp_price)       \
  X(lp_price_yield) \
  X(rollout)        \
  X(anneal)

#define X(name) extern const cosrel_policy_ops cosrel_policy_##name;
POLICIES(X)
#undef X

const cosrel_policy_ops *const *cosrel_policy_list(void) {
  static const cosrel_policy_ops *const list[] = {
#define X(name) &cosrel_policy_##name,
      POLICIES(X)
#undef X
          NULL,
  };
  return list;
}

static cosrel_status unknown(const char *name, cosrel_error *error) {
  char names[400] = "all-<processor>";
  size_t used = strlen(names);
  for (const cosrel_policy_ops *const *ops = cosrel_policy_list(); *ops != NULL; ops++) {
    int more = snprintf(names + used, sizeof names - used, ", %s", (*ops)->name);
    if (more < 0 || (size_t)more >= sizeof names - used) break;
    used += (size_t)more;
  }
  return cosrel_fail(error, COSREL_INVALID, "%.64s: no such policy: expected one of %s", name, names);
}

cosrel_status cosrel_policy_create(const char *name, const cosrel_case *c, const cosrel_policy_config *config,
                                   cosrel_policy *out, cosrel_error *error) {
  memset(out, 0, sizeof *out);
  if (strncmp(name, "all-", 4) == 0) {
    for (uint32_t p = 0; p < c->n_processors; p++)
      if (strcmp(name + 4, c->profile->processors[p].name) == 0) return cosrel_policy_all_create(c, p, out, error);
    return cosrel_fail(error, COSREL_INVALID, "%.64s: profile %s has no processor of that name", name,
                       c->profile->name);
  }
  for (const cosrel_policy_ops *const *ops = cosrel_policy_list(); *ops != NULL; ops++) {
    if (strcmp(name, (*ops)->name) != 0) continue;
    cosrel_status status = (*ops)->create(c, config, &out->self, error);
    if (status == COSREL_OK) out->ops = *ops;
    return status;
  }
  return unknown(name, error);
}

void cosrel_policy_destroy(cosrel_policy *policy) {
  if (policy->ops != NULL) policy->ops->destroy(policy->self);
  memset(policy, 0, sizeof *policy);
}
