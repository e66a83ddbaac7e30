#include "agent/branch.h"

#include <math.h>
#include <string.h>

#include "backends/sim/sim.h"
#include "sched/policies/base.h"
#include "sched/policies/common.h"
#include "sched/policies/simulate.h"

#define HORIZON 4.0    /* in mean isolated latencies of the case */
#define LEAF 1.5       /* as in sched/policies/lookahead.c */
#define WEIGHT_MOST 10 /* of a rare stream's requests: a few of them must not be all that counts */
#define VALUE_MOST 2   /* a choice that costs more is bad enough */

static const cosrel_sim sim = {.noise = true};

/* What does not change between the branches of a decision. */
typedef struct yardstick {
  const cosrel_case *c;
  double latency, throughput, energy_per_mj, late;
  double weight[COSREL_STREAMS_MAX]; /* of a stream's requests */
} yardstick;

static yardstick yardstick_of(const cosrel_case *c, const cosrel_objective *objective, const cosrel_taste *taste) {
  double weights = objective->latency + objective->throughput + objective->energy;
  double rate = 0, full_w = c->base_w;
  yardstick y = {.c = c,
                 .latency = objective->latency / weights,
                 .throughput = objective->throughput / weights,
                 .late = taste->late};
  for (uint32_t p = 0; p < c->n_processors; p++) full_w += c->busy_w[p];
  for (uint32_t s = 0; s < c->n_streams; s++) rate += c->streams[s].rate_hz;
  for (uint32_t s = 0; s < c->n_streams; s++)
    y.weight[s] = 1 - taste->rare + taste->rare * fmin(WEIGHT_MOST, rate / c->n_streams / c->streams[s].rate_hz);
  y.energy_per_mj = objective->energy / weights * rate / (full_w * 1e3);
  return y;
}

/* Expected ns until the request in `slot` ends if nothing stands in its way. */
static double time_left(const cosrel_case *c, const cosrel_state *state, const cosrel_request *request, uint32_t slot) {
  const cosrel_stream_case *sc = &c->streams[request->stream];
  if (request->n_started == 0) return sc->isolated_ns;
  double left = request->n_running > 0 ? 0 : INFINITY;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    if (request->n_running == 0)
      left = fmin(left, sc->to_go[p][request->front]);
    else if (state->running[p].slot == (int32_t)slot)
      left = fmax(left, cosrel_state_time_to_idle(state, p) + sc->to_go[p][state->running[p].end]);
  }
  return left;
}

/* Of stream s, what ended and what is in flight. */
static double stream_worth(const yardstick *y, const cosrel_state *state, uint32_t s) {
  const cosrel_stream_case *sc = &y->c->streams[s];
  const cosrel_stream_state *stream = &state->streams[s];
  double utility = stream->utility, ntt = stream->ntt, in_time = (double)stream->in_time;
  for (uint32_t i = 0; i < stream->n_live; i++) {
    const cosrel_request *request = cosrel_state_request(y->c, state, stream->order[i]);
    double left = time_left(y->c, state, request, stream->order[i]);
    double total = (double)(state->now - request->arrival) + LEAF * left;
    utility += cosrel_utility(total / sc->isolated_ns);
    ntt += total / sc->isolated_ns;
    in_time += fmin(fmax(1.5 - total / (double)sc->deadline, 0), 1); /* a ramp: it is a guess */
  }
  return y->latency * ((1 - y->late) * utility - y->late / 4 * ntt) + y->throughput * in_time;
}

static double worth(const yardstick *y, const cosrel_state *state) {
  double sum = 0;
  for (uint32_t s = 0; s < y->c->n_streams; s++) sum += y->weight[s] * stream_worth(y, state, s);
  return sum - y->energy_per_mj * state->energy_mj;
}

/* Applies a legal choice with the luck that it will have. Returns true for WAIT. */
static bool apply(const cosrel_case *c, cosrel_state *state, const cosrel_candidate *choice) {
  if (choice->action != COSREL_RUN) return cosrel_simulate_choice(c, state, choice);
  cosrel_driver driver = cosrel_sim_driver(&sim);
  double scale = 1;
  driver.ops->submit(driver.self, c, state, choice, &scale);
  cosrel_state_start(c, state, choice, scale);
  return false;
}

/* Plays a choice and the base heuristic's next ones. */
static void play(const cosrel_case *c, cosrel_state *state, const cosrel_candidate *choice, cosrel_time until) {
  bool waiting = apply(c, state, choice);
  do {
    while (!waiting && cosrel_state_choice_due(c, state)) {
      cosrel_candidate next = cosrel_base_decide(NULL, c, state);
      waiting = apply(c, state, &next);
    }
    waiting = false;
  } while (cosrel_simulate_event(c, state, until, NULL));
  if (until > state->now) cosrel_state_advance(c, state, until);
}

void cosrel_branch_values(const cosrel_case *c, const cosrel_state *state, const cosrel_objective *objective,
                          const cosrel_taste *taste, const cosrel_observation *observation, const bool *tried,
                          cosrel_state *scratch, float *values) {
  yardstick y = yardstick_of(c, objective, taste);
  double mean = 0, reference = NAN, most = -INFINITY;
  for (uint32_t s = 0; s < c->n_streams; s++) mean += c->streams[s].isolated_ns / c->n_streams;
  cosrel_time until = state->now + (cosrel_time)(HORIZON * mean);
  double start = worth(&y, state); /* keeps the numbers small */
  for (uint32_t i = 0; i < observation->n_rows * COSREL_RUN_LENGTHS; i++) {
    uint32_t row = i / COSREL_RUN_LENGTHS, length = i % COSREL_RUN_LENGTHS;
    values[i] = 0;
    if (!tried[i]) continue;
    cosrel_candidate choice = cosrel_observation_candidate(observation, row, length);
    memcpy(scratch, state, c->state_size);
    play(c, scratch, &choice, until);
    double value = worth(&y, scratch) - start;
    values[i] = (float)value;
    most = fmax(most, value);
    if (observation->choices[row].is_base && length == COSREL_RUN_LENGTHS - 1) reference = value;
  }
  if (isnan(reference)) reference = most;
  for (uint32_t i = 0; i < observation->n_rows * COSREL_RUN_LENGTHS; i++)
    if (tried[i]) values[i] = (float)fmin(fmax((double)values[i] - reference, -VALUE_MOST), VALUE_MOST);
}
