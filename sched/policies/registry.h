/* Policies that are not in the table by a fixed name. */
#ifndef COSREL_SCHED_POLICIES_REGISTRY_H
#define COSREL_SCHED_POLICIES_REGISTRY_H

#include "sched/policy.h"

/* all-<name of the processor> (sched/policies/all.c). */
cosrel_status cosrel_policy_all_create(const cosrel_case *c, uint32_t processor, cosrel_policy *out,
                                       cosrel_error *error);

#endif
