/* One-step look-ahead: what a choice is worth when a heuristic plays on after it. See lookahead.h. */
#include "sched/policies/lookahead.h"

#include <stdlib.h>
#include <string.h>

#include "sched/policies/base.h"
#include "sched/policies/common.h"
#include "sched/policies/registry.h"

#define HORIZON 2.5 /* in mean isolated latencies of the case; 1.5 to 4 differ by .002 of U */
#define LEAF 1.5
#define FIRST_GAP 2
#define OVERDUE 0.1 /* periods after now when a periodic request that should be there comes */
#define RARE 0.3    /* share of the score in which streams, not requests, count alike */

cosrel_status cosrel_lookahead_create(const cosrel_case *c, cosrel_lookahead *out) {
  *out = (cosrel_lookahead){.root = malloc(c->state_size), .scratch = malloc(c->state_size)};
  if (out->root == NULL || out->scratch == NULL) {
    cosrel_lookahead_destroy(out);
    return COSREL_NOMEM;
  }
  out->closed = cosrel_case_is_closed(c);
  out->base = out->closed ? cosrel_policy_pf.decide : cosrel_base_decide;
  double mean = 0, mean_rate = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    mean += c->streams[s].isolated_ns / c->n_streams;
    mean_rate += c->streams[s].rate_hz / c->n_streams;
  }
  for (uint32_t s = 0; s < c->n_streams; s++) {
    out->weight[s] = 1 - RARE + RARE * mean_rate / c->streams[s].rate_hz;
    out->gap[s] = (cosrel_time)(1e9 / c->streams[s].rate_hz);
  }
  out->horizon = (cosrel_time)(HORIZON * mean);
  return COSREL_OK;
}

void cosrel_lookahead_destroy(cosrel_lookahead *l) {
  free(l->root);
  free(l->scratch);
  *l = (cosrel_lookahead){0};
}

/* When the next request of stream s is expected. */
static cosrel_time expected_arrival(const cosrel_lookahead *l, const cosrel_case *c, uint32_t s) {
  const cosrel_state *state = l->root;
  const cosrel_stream_state *stream = &state->streams[s];
  if (c->streams[s].arrivals == COSREL_ARRIVALS_CLOSED) return COSREL_TIME_NEVER;
  if (c->streams[s].arrivals != COSREL_ARRIVALS_PERIODIC || stream->arrived == 0)
    return state->now + FIRST_GAP * l->gap[s];
  cosrel_time due = stream->last_arrival + l->gap[s];
  return due > state->now ? due : state->now + (cosrel_time)(OVERDUE * (double)l->gap[s]);
}

void cosrel_lookahead_begin(cosrel_lookahead *l, const cosrel_case *c, const cosrel_state *state) {
  memcpy(l->root, state, c->state_size);
  cosrel_state_forget(c, l->root);
  for (uint32_t s = 0; s < c->n_streams; s++) cosrel_simulate_expect(c, l->root, s, expected_arrival(l, c, s));
  for (uint32_t s = 0; s < c->n_streams && l->closed; s++)
    l->rate[s] = cosrel_recent_rate(state, s) * exp(-cosrel_time_s(l->horizon));
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
static double worth(const cosrel_lookahead *l, const cosrel_case *c, const cosrel_state *state) {
  double sum = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream_state *stream = &state->streams[s];
    double isolated = c->streams[s].isolated_ns;
    double gained = l->closed ? (double)(stream->completed - l->root->streams[s].completed) : stream->utility;
    for (uint32_t i = 0; i < stream->n_live; i++) {
      const cosrel_request *request = cosrel_state_request(c, state, stream->order[i]);
      double left = remaining(c, state, request, stream->order[i]);
      if (l->closed)
        gained += fmax(0, 1 - left / isolated);
      else
        gained += cosrel_utility(((double)(state->now - request->arrival) + LEAF * left) / isolated);
    }
    sum += l->closed ? log(l->rate[s] + gained + 0.1) : l->weight[s] * gained;
  }
  return sum;
}

bool cosrel_lookahead_try(cosrel_lookahead *l, const cosrel_case *c, const cosrel_candidate *choice, uint32_t *left,
                          double *value) {
  memcpy(l->scratch, l->root, c->state_size);
  bool waiting = cosrel_simulate_choice(c, l->scratch, choice);
  cosrel_time until = l->root->now + l->horizon;
  uint32_t made = cosrel_simulate(c, l->scratch, l->base, NULL, waiting, until, l->gap, *left);
  *left -= made;
  if (*left == 0) return false;
  *value = worth(l, c, l->scratch);
  return true;
}
