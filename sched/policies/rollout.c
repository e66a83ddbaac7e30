/* rollout: one-step look-ahead on a heuristic (Bertsekas, Tsitsiklis and Wu, J. Heuristics 3, 1997). No learning.
 *
 * For every candidate: copy the state, apply the candidate, let the base heuristic play on without noise for a horizon
 * of a few isolated latencies, and score where that leads; the best candidate is taken. The base's own choice is tried
 * first and wins ties, so with plan_budget 0 this is the base. Future arrivals are taken as none.
 *
 *     open loop: base lp-price; score = utility of what ended + utility of what is in flight, its end predicted at LEAF
 *                times the remaining best-path time
 *     closed:    base pf; score = sum over streams of log(recent rate + completions + progress of what is in flight)
 *
 * plan_budget bounds the simulated decisions per decision; candidates that it does not reach are not considered, in the
 * order stream, ready unit, processor, longest run first. */
#include <stdlib.h>
#include <string.h>

#include "sched/policies/common.h"
#include "sched/policies/simulate.h"

#define HORIZON 2.5 /* in mean isolated latencies of the case; 1.5 to 4 differ by .002 of U */
#define LEAF 1.5
#define ENDS_MAX 3

extern const cosrel_policy_ops cosrel_policy_lp_price, cosrel_policy_pf;

typedef struct rollout {
  uint32_t budget;
  bool closed;
  cosrel_decide base;
  cosrel_time horizon;
  double rate[COSREL_STREAMS_MAX]; /* closed: completions of the last second or so, those of the roll-out aside */
  cosrel_state *root, *scratch;
} rollout;

static cosrel_status create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                            cosrel_error *error) {
  rollout *r = calloc(1, sizeof *r);
  if (r == NULL) goto fail;
  r->root = malloc(c->state_size);
  r->scratch = malloc(c->state_size);
  if (r->root == NULL || r->scratch == NULL) goto fail;
  r->budget = config->plan_budget;
  r->closed = cosrel_case_is_closed(c);
  r->base = r->closed ? cosrel_policy_pf.decide : cosrel_policy_lp_price.decide;
  double mean = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) mean += c->streams[s].isolated_ns / c->n_streams;
  r->horizon = (cosrel_time)(HORIZON * mean);
  *self = r;
  return COSREL_OK;
fail:
  if (r != NULL) {
    free(r->root);
    free(r->scratch);
  }
  free(r);
  return cosrel_fail(error, COSREL_NOMEM, "no memory for policy rollout");
}

static void destroy(void *self) {
  rollout *r = self;
  free(r->root);
  free(r->scratch);
  free(r);
}

/* Expected ns to the end of a live request, everything but its own segments aside. */
static double remaining(const cosrel_case *c, const cosrel_state *state, const cosrel_request *request, uint32_t slot) {
  const cosrel_stream_case *sc = &c->streams[request->stream];
  if (request->n_started == 0) return sc->isolated_ns;
  double latest = 0;
  if (request->n_running > 0) {
    for (uint32_t p = 0; p < c->n_processors; p++)
      if (state->running[p].slot == (int32_t)slot)
        latest = fmax(latest, cosrel_state_time_to_idle(state, p) + sc->to_go[p][state->running[p].end]);
    return latest;
  }
  double least = INFINITY;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    uint32_t end = cosrel_reach(c, request, 0, p);
    if (end > request->ready[0]) least = fmin(least, cosrel_expected_rest(c, state, slot, p, request->ready[0], end));
  }
  return least;
}

/* What the state at the end of a roll-out is worth. */
static double worth(const rollout *r, const cosrel_case *c, const cosrel_state *state) {
  double sum = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream_state *stream = &state->streams[s];
    double isolated = c->streams[s].isolated_ns;
    double gained = r->closed ? (double)(stream->completed - r->root->streams[s].completed) : stream->utility;
    for (uint32_t i = 0; i < stream->n_live; i++) {
      const cosrel_request *request = cosrel_state_request(c, state, stream->order[i]);
      double left = remaining(c, state, request, stream->order[i]);
      if (r->closed)
        gained += fmax(0, 1 - left / isolated);
      else
        gained += cosrel_utility(((double)(state->now - request->arrival) + LEAF * left) / isolated);
    }
    sum += r->closed ? log(r->rate[s] + gained + 0.1) : gained;
  }
  return sum;
}

/* Tries one choice with what is left of the budget; false when that ran out before the horizon. */
static bool try_choice(rollout *r, const cosrel_case *c, const cosrel_candidate *choice, uint32_t *left,
                       double *value) {
  memcpy(r->scratch, r->root, c->state_size);
  bool waiting = cosrel_simulate_choice(c, r->scratch, choice);
  cosrel_time until = r->root->now + r->horizon;
  uint32_t made = cosrel_simulate(c, r->scratch, r->base, NULL, waiting, until, *left);
  *left -= made;
  if (*left == 0) return false;
  *value = worth(r, c, r->scratch);
  return true;
}

static bool same(const cosrel_candidate *a, const cosrel_candidate *b) {
  return a->action == b->action && (a->action == COSREL_WAIT || (a->slot == b->slot && a->processor == b->processor &&
                                                                 a->begin == b->begin && a->end == b->end));
}

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  rollout *r = self;
  cosrel_candidate best = r->base(NULL, c, state), base = best;
  uint32_t left = r->budget;
  double most = 0, value = 0;
  if (left == 0) return best;
  memcpy(r->root, state, c->state_size);
  cosrel_state_forget(c, r->root);
  for (uint32_t s = 0; s < c->n_streams && r->closed; s++)
    r->rate[s] = cosrel_recent_rate(state, s) * exp(-cosrel_time_s(r->horizon));
  if (!try_choice(r, c, &base, &left, &most)) return best;

  bool running = false;
  for (uint32_t p = 0; p < c->n_processors; p++) running = running || !cosrel_processor_idle(state, p);
  cosrel_candidate choice = cosrel_wait();
  if (running && base.action != COSREL_WAIT) {
    if (!try_choice(r, c, &choice, &left, &value)) return best;
    if (value > most) most = value, best = choice;
  }
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_request *request = cosrel_head(c, state, s);
    if (request == NULL) continue;
    uint32_t slot = (uint32_t)state->streams[s].head;
    for (uint32_t i = 0; i < request->n_ready; i++)
      for (uint32_t p = 0; p < c->n_processors; p++) {
        uint16_t ends[ENDS_MAX];
        if (!cosrel_processor_idle(state, p)) continue;
        for (uint32_t k = cosrel_state_ends(c, state, slot, i, p, ends); k-- > 0;) {
          choice = cosrel_run(slot, p, request->ready[i], ends[k]);
          if (same(&choice, &base)) continue;
          if (!try_choice(r, c, &choice, &left, &value)) return best;
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
