/* Policies that other code reaches directly, not by the name in the table. */
#ifndef COSREL_SCHED_POLICIES_REGISTRY_H
#define COSREL_SCHED_POLICIES_REGISTRY_H

#include "sched/policy.h"

/* all-<name of the processor> (sched/policies/all.c). */
cosrel_status cosrel_policy_all_create(const cosrel_case *c, uint32_t processor, cosrel_policy *out,
                                       cosrel_error *error);

/* Bases that others build on. They keep no memory: decide(NULL, c, state) works from any thread. */
extern const cosrel_policy_ops cosrel_policy_lp_price, cosrel_policy_pf;

#endif
