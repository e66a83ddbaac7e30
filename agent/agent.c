#include "agent/agent.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/observe.h"
#include "sched/policies/base.h"
#include "sched/policies/lookahead.h"

enum { TRIED = 6 }; /* choices that planning looks at */
/* What one unit of logit counts for in planning, in requests of utility 1: the network knows what lies beyond the
 * horizon. From 0.05 to 0.6 U differs by .003. */
static const double prior = 0.3;
enum { budget_default = 75 };
static const double guard_ntt = 20, guard_sum = 10;

typedef struct learned {
  const cosrel_normaliser *normaliser;
  const cosrel_mlp *net; /* NULL: the base heuristic decides */
  cosrel_objective objective;
  double guard_floor_ns;
  cosrel_observation observation; /* rows and choices owned */
  float *logits;
  cosrel_policy fall_back;
  uint32_t plan_budget;
  cosrel_lookahead look; /* with a plan budget */
  cosrel_agent_report report;
} learned;

static void learned_destroy(void *self) {
  learned *l = self;
  if (l == NULL) return;
  if (l->fall_back.ops != NULL) cosrel_policy_destroy(&l->fall_back);
  cosrel_lookahead_destroy(&l->look);
  free(l->observation.rows);
  free(l->observation.choices);
  free(l->logits);
  free(l);
}

static void learned_reset(void *self) {
  learned *l = self;
  l->report = (cosrel_agent_report){0};
  l->fall_back.ops->reset(l->fall_back.self);
}

/* The stream whose head has starved longest in multiples of its T, or -1. */
static int starved_stream(const learned *l, const cosrel_case *c, const cosrel_state *state) {
  int worst = -1;
  double most = guard_ntt;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    if (state->streams[s].head == COSREL_NONE) continue;
    const cosrel_request *request = cosrel_state_request(c, state, (uint32_t)state->streams[s].head);
    double age = (double)(state->now - request->arrival);
    if (age < l->guard_floor_ns || age / c->streams[s].isolated_ns < most) continue;
    most = age / c->streams[s].isolated_ns;
    worst = (int)s;
  }
  return worst;
}

/* Row of stream s that finishes earliest to the end, or -1. */
static int quickest_row(const cosrel_case *c, const cosrel_state *state, const cosrel_observation *o, uint32_t s) {
  int best = -1;
  double least = INFINITY;
  for (uint32_t r = 0; r < o->n_rows; r++) {
    if (o->choices[r].action != COSREL_RUN || o->choices[r].slot != (uint32_t)state->streams[s].head) continue;
    cosrel_candidate candidate = cosrel_observation_candidate(o, r, COSREL_RUN_LENGTHS - 1);
    cosrel_work work = cosrel_state_work(c, state, &candidate);
    double total = cosrel_work_total(&work) + c->streams[s].to_go[candidate.processor][candidate.end];
    if (total < least) least = total, best = (int)r;
  }
  return best;
}

static cosrel_candidate choice_of(const cosrel_observation *o, uint32_t i) {
  return cosrel_observation_candidate(o, i / COSREL_RUN_LENGTHS, i % COSREL_RUN_LENGTHS);
}

/* The `most` highest of n logits, best first; returns how many there are, or -1 when one is not a number. */
static int best_choices(const float *logits, uint32_t n, int most, uint32_t *best) {
  int count = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (isnan(logits[i]) || logits[i] == INFINITY) return -1;
    if (logits[i] == -INFINITY) continue;
    int at = count;
    while (at > 0 && logits[i] > logits[best[at - 1]]) at--;
    if (at >= most) continue;
    if (count < most) count++;
    for (int k = count - 1; k > at; k--) best[k] = best[k - 1];
    best[at] = i;
  }
  return count;
}

/* Look-ahead over the proposals: the most value + prior x logit. The network's favourite wins ties and whatever the
 * budget does not reach. */
static cosrel_candidate plan(learned *l, const cosrel_case *c, const cosrel_state *state, const uint32_t *best, int n) {
  uint32_t left = l->plan_budget;
  cosrel_candidate chosen = choice_of(&l->observation, best[0]);
  double most = 0, value;
  cosrel_lookahead_begin(&l->look, c, state);
  for (int i = 0; i < n; i++) {
    cosrel_candidate choice = choice_of(&l->observation, best[i]);
    if (!cosrel_lookahead_try(&l->look, c, &choice, &left, &value)) break;
    value += prior * (double)(l->logits[best[i]] - l->logits[best[0]]);
    if (i == 0 || value > most) most = value, chosen = choice;
  }
  return chosen;
}

static cosrel_candidate learned_decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  learned *l = self;
  cosrel_observation *o = &l->observation;
  l->report.decisions++;
  int starved = starved_stream(l, c, state);
  if (starved >= 0 || l->net != NULL) cosrel_observe(c, state, &l->objective, o);
  int row = starved < 0 ? -1 : quickest_row(c, state, o, (uint32_t)starved);
  if (row >= 0) {
    l->report.guarded++;
    return cosrel_observation_candidate(o, (uint32_t)row, COSREL_RUN_LENGTHS - 1);
  }
  if (l->net == NULL) return cosrel_base_decide(NULL, c, state);
  cosrel_mlp_normalise(l->normaliser, o);
  cosrel_mlp_logits(l->net, o, l->logits);
  uint32_t best[TRIED];
  int n = best_choices(l->logits, o->n_rows * COSREL_RUN_LENGTHS, l->plan_budget > 0 ? TRIED : 1, best);
  if (o->n_choices == 0 || n <= 0) {
    l->report.fell_back++;
    return l->fall_back.ops->decide(l->fall_back.self, c, state);
  }
  if (n > 1) return plan(l, c, state, best, n);
  return choice_of(o, best[0]);
}

/* Made by cosrel_agent_policy only, which knows the agent. */
static cosrel_status learned_create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                                    cosrel_error *error) {
  (void)c, (void)config, (void)self;
  return cosrel_fail(error, COSREL_INVALID, "a learned policy is made from a file");
}

static const cosrel_policy_ops learned_ops = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "agent",
    .summary = "a trained policy: the choice with the highest score of its MLP",
    .create = learned_create,
    .reset = learned_reset,
    .decide = learned_decide,
    .destroy = learned_destroy,
};

cosrel_status cosrel_agent_policy(const cosrel_agent *agent, const cosrel_case *c, uint32_t plan_budget,
                                  cosrel_policy *out, cosrel_error *error) {
  uint32_t max_rows = cosrel_observation_max_rows(c);
  learned *l = calloc(1, sizeof *l);
  if (l == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for a policy");
  l->normaliser = &agent->normaliser;
  l->net = cosrel_case_is_closed(c) ? NULL : &agent->net;
  l->objective = c->workload->objective;
  for (uint32_t s = 0; s < c->n_streams; s++) l->guard_floor_ns += guard_sum * c->streams[s].isolated_ns;
  l->observation.rows = calloc((size_t)max_rows * COSREL_ROW_SIZE, sizeof(float));
  l->observation.choices = calloc(max_rows, sizeof(cosrel_row_choice));
  l->logits = calloc((size_t)max_rows * COSREL_RUN_LENGTHS, sizeof(float));
  cosrel_policy_config config = {0};
  cosrel_status status = cosrel_policy_create("eft", c, &config, &l->fall_back, error);
  if (status == COSREL_OK && (!l->observation.rows || !l->observation.choices || !l->logits))
    status = cosrel_fail(error, COSREL_NOMEM, "no memory for a policy");
  if (plan_budget == COSREL_PLAN_DEFAULT) plan_budget = budget_default;
  if (l->net == NULL) plan_budget = 0;
  l->plan_budget = plan_budget;
  if (status == COSREL_OK && plan_budget > 0 && cosrel_lookahead_create(c, &l->look) != COSREL_OK)
    status = cosrel_fail(error, COSREL_NOMEM, "no memory for planning");
  if (status != COSREL_OK) {
    learned_destroy(l);
    return status;
  }
  *out = (cosrel_policy){&learned_ops, l};
  return COSREL_OK;
}

cosrel_agent_report cosrel_agent_policy_report(const cosrel_policy *policy) {
  return ((const learned *)policy->self)->report;
}
