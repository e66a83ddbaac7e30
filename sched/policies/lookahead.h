/* One-step look-ahead (Bertsekas, Tsitsiklis and Wu, J. Heuristics 3, 1997): copy the state, apply a choice, let a base
 * heuristic play on without noise for a few isolated latencies, and score where that leads.
 *
 *     open loop: base sched/policies/base.h; score = sum over streams of weight x (utility of what ended + utility of
 *                what is in flight, its end predicted at LEAF times the remaining best-path time)
 *     closed:    base pf; score = sum over streams of log(recent rate + completions + progress of what is in flight)
 *
 * Requests that are to come are guessed from what an online policy may know: a periodic stream's next one comes a
 * period after its last, any other stream's after FIRST_GAP mean gaps. Guessing beats assuming none (lost utility on
 * random mixes .92 and .89 of lp-price's), and a guess of the mean alone makes the planner hold processors free too
 * often. */
#ifndef COSREL_SCHED_POLICIES_LOOKAHEAD_H
#define COSREL_SCHED_POLICIES_LOOKAHEAD_H

#include "sched/policies/simulate.h"

typedef struct cosrel_lookahead {
  bool closed;
  cosrel_decide base; /* keeps no memory: base(NULL, c, state) */
  cosrel_time horizon;
  double weight[COSREL_STREAMS_MAX];   /* of a stream's utility: 1 - RARE + RARE * mean rate / its rate */
  cosrel_time gap[COSREL_STREAMS_MAX]; /* mean time between requests */
  double rate[COSREL_STREAMS_MAX];     /* closed: completions of the last second or so, those of the roll-out aside */
  cosrel_state *root, *scratch;        /* owned */
} cosrel_lookahead;

cosrel_status cosrel_lookahead_create(const cosrel_case *c, cosrel_lookahead *out);
void cosrel_lookahead_destroy(cosrel_lookahead *lookahead);

/* Takes over the situation in which choices are to be tried. */
void cosrel_lookahead_begin(cosrel_lookahead *lookahead, const cosrel_case *c, const cosrel_state *state);

/* Tries one legal choice with what is left of a budget of simulated decisions; false when that ran out before the
 * horizon. Values are comparable within one begin. Allocates nothing. */
bool cosrel_lookahead_try(cosrel_lookahead *lookahead, const cosrel_case *c, const cosrel_candidate *choice,
                          uint32_t *left, double *value);

#endif
