/* rollout: look-ahead over every candidate, no learning (see lookahead.h). The base heuristic's own choice is tried
 * first and wins ties, so with plan_budget 0 this is the base.
 *
 * plan_budget bounds the simulated decisions per decision; candidates that it does not reach are not considered, in the
 * order stream, ready unit, processor, longest run first. */
#include <stdlib.h>

#include "sched/policies/base.h"
#include "sched/policies/common.h"
#include "sched/policies/lookahead.h"

#define ENDS_MAX 3
#define BUDGET_DEFAULT 300 /* reaches nearly every candidate of four streams on three processors */

typedef struct rollout {
  uint32_t budget;
  cosrel_lookahead look;
} rollout;

static cosrel_status create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                            cosrel_error *error) {
  rollout *r = calloc(1, sizeof *r);
  if (r == NULL || cosrel_lookahead_create(c, &r->look) != COSREL_OK) {
    free(r);
    return cosrel_fail(error, COSREL_NOMEM, "no memory for policy rollout");
  }
  r->budget = config->plan_budget == COSREL_PLAN_DEFAULT ? BUDGET_DEFAULT : config->plan_budget;
  *self = r;
  return COSREL_OK;
}

static void destroy(void *self) {
  rollout *r = self;
  cosrel_lookahead_destroy(&r->look);
  free(r);
}

static bool same(const cosrel_candidate *a, const cosrel_candidate *b) {
  if (a->action != b->action || a->action == COSREL_WAIT) return a->action == b->action;
  return a->slot == b->slot && a->processor == b->processor && a->begin == b->begin && a->end == b->end;
}

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  rollout *r = self;
  cosrel_candidate best = r->look.base(NULL, c, state), base = best;
  uint32_t left = r->budget;
  double most = 0, value = 0;
  if (left == 0) return best;
  cosrel_lookahead_begin(&r->look, c, state);
  if (!cosrel_lookahead_try(&r->look, c, &base, &left, &most)) return best;

  bool running = false;
  for (uint32_t p = 0; p < c->n_processors; p++) running = running || !cosrel_processor_idle(state, p);
  cosrel_candidate choice = cosrel_wait();
  if (running && base.action != COSREL_WAIT) {
    if (!cosrel_lookahead_try(&r->look, c, &choice, &left, &value)) return best;
    if (value > most) most = value, best = choice;
  }
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_request *request = cosrel_head(c, state, s);
    if (request == NULL) continue;
    uint32_t slot = (uint32_t)state->streams[s].head;
    choice = (cosrel_candidate){.action = COSREL_DROP_REQUEST, .slot = (uint16_t)slot};
    if (cosrel_may_give_way(c, state, s) && !same(&choice, &base)) {
      if (!cosrel_lookahead_try(&r->look, c, &choice, &left, &value)) return best;
      if (value > most) most = value, best = choice;
    }
    for (uint32_t i = 0; i < request->n_ready; i++)
      for (uint32_t p = 0; p < c->n_processors; p++) {
        uint16_t ends[ENDS_MAX];
        if (!cosrel_processor_idle(state, p)) continue;
        for (uint32_t k = cosrel_state_ends(c, state, slot, i, p, ends); k-- > 0;) {
          choice = cosrel_run(slot, p, request->ready[i], ends[k]);
          if (same(&choice, &base)) continue;
          if (!cosrel_lookahead_try(&r->look, c, &choice, &left, &value)) return best;
          if (value > most) most = value, best = choice;
        }
      }
  }
  return best;
}

const cosrel_policy_ops cosrel_policy_rollout = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "rollout",
    .summary = "every candidate played on by a heuristic (Bertsekas et al. 1997); needs a plan budget",
    .create = create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = destroy,
};
