/* A policy answers one question: some processor is idle and work is ready, so what now?
 *
 * One policy per file in sched/policies (the learned one is in agent/), each ending in its cosrel_policy_ops; the table
 * of all of them is sched/policies/registry.c. Policies know the past and the profile: they must not read `left` and
 * `work` of running segments nor `next_arrival` (cosrel_state_forget on a copy removes both). */
#ifndef COSREL_SCHED_POLICY_H
#define COSREL_SCHED_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/case.h"
#include "sched/state.h"
#include "sched/status.h"

#define COSREL_PLAN_DEFAULT UINT32_MAX /* a plan_budget: what pays for the policy */

typedef struct cosrel_policy_config {
  uint64_t seed;        /* for policies that draw */
  uint32_t plan_budget; /* simulated decisions per decision, for policies that plan; 0: none */
  double duration_s;    /* horizon of the run, for offline policies that plan the whole case */
} cosrel_policy_config;

typedef struct cosrel_policy_ops {
  size_t struct_size;  /* sizeof(cosrel_policy_ops) of whoever filled it */
  const char *name;    /* as on the command line */
  const char *summary; /* one line, with the source */
  bool offline;        /* sees the whole case beforehand: a reference, not a competitor */

  /* required: builds a policy for one case, into *self. All memory is taken here. The case outlives the policy. */
  cosrel_status (*create)(const cosrel_case *c, const cosrel_policy_config *config, void **self, cosrel_error *error);
  /* required: forgets the past; the next decide is the first of a run. */
  void (*reset)(void *self);
  /* required: picks a legal choice. Called only when a processor is idle and at least one RUN is legal. Must not
   * allocate. The state is read-only. */
  cosrel_candidate (*decide)(void *self, const cosrel_case *c, const cosrel_state *state);
  /* required */
  void (*destroy)(void *self);
} cosrel_policy_ops;

/* A policy at work. */
typedef struct cosrel_policy {
  const cosrel_policy_ops *ops;
  void *self;
} cosrel_policy;

/* The built-in policies in the order of the README, NULL-terminated. "all-<processor>" is made by name. */
const cosrel_policy_ops *const *cosrel_policy_list(void);

/* Finds a built-in policy. "all-gpu" and the like are known when the case has that processor. */
cosrel_status cosrel_policy_create(const char *name, const cosrel_case *c, const cosrel_policy_config *config,
                                   cosrel_policy *out, cosrel_error *error);
void cosrel_policy_destroy(cosrel_policy *policy);

#endif
