#include "sched/policies/simulate.h"

#include <math.h>

bool cosrel_simulate_choice(const cosrel_case *c, cosrel_state *state, const cosrel_candidate *choice) {
  if (choice->action == COSREL_RUN) cosrel_state_start(c, state, choice, 1);
  if (choice->action == COSREL_DROP_REQUEST) cosrel_state_drop(c, state, choice->slot, NULL);
  return choice->action == COSREL_WAIT;
}

void cosrel_simulate_expect(const cosrel_case *c, cosrel_state *state, uint32_t s, cosrel_time time) {
  cosrel_time first = COSREL_TIME_NEVER;
  state->streams[s].next_arrival = time;
  state->next_stream = COSREL_NONE;
  for (uint32_t i = 0; i < c->n_streams; i++)
    if (state->streams[i].next_arrival < first) first = state->streams[i].next_arrival, state->next_stream = (int32_t)i;
}

bool cosrel_simulate_event(const cosrel_case *c, cosrel_state *state, cosrel_time until, const cosrel_time *gap) {
  uint32_t processor = 0;
  cosrel_time finish = cosrel_state_next_finish(c, state, &processor);
  cosrel_time arrival =
      state->next_stream == COSREL_NONE ? COSREL_TIME_NEVER : state->streams[state->next_stream].next_arrival;
  cosrel_time next = finish <= arrival ? finish : arrival;
  if (next == COSREL_TIME_NEVER || next > until) return false;
  cosrel_state_advance(c, state, next);
  if (finish <= arrival) {
    cosrel_state_finish(c, state, processor, NULL, NULL);
  } else {
    uint32_t s = (uint32_t)state->next_stream;
    cosrel_state_arrive(c, state, NULL);
    if (gap != NULL) cosrel_simulate_expect(c, state, s, next + gap[s]);
  }
  while (cosrel_state_expire(c, state, NULL)) continue;
  return true;
}

uint32_t cosrel_simulate(const cosrel_case *c, cosrel_state *state, cosrel_decide decide, void *self, bool waiting,
                         cosrel_time until, const cosrel_time *gap, uint32_t budget) {
  uint32_t made = 0;
  for (;;) {
    while (!waiting && cosrel_state_choice_due(c, state)) {
      if (made == budget) return made;
      cosrel_candidate choice = decide(self, c, state);
      waiting = cosrel_simulate_choice(c, state, &choice);
      made++;
    }
    if (!cosrel_simulate_event(c, state, until, gap)) break;
    waiting = false;
  }
  if (until != COSREL_TIME_NEVER && until > state->now) cosrel_state_advance(c, state, until);
  return made;
}

double cosrel_simulate_score(const cosrel_case *c, cosrel_state *scratch, cosrel_decide decide, void *self,
                             uint64_t seed, cosrel_time horizon) {
  cosrel_state_init(c, scratch, seed, horizon);
  cosrel_simulate(c, scratch, decide, self, false, COSREL_TIME_NEVER, NULL, UINT32_MAX);
  double utility = 0, logs = 0;
  uint64_t arrived = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    utility += scratch->streams[s].utility;
    arrived += scratch->streams[s].arrived;
    logs += log((double)scratch->streams[s].completed_by_horizon + 0.5);
  }
  if (cosrel_case_is_closed(c)) return logs / c->n_streams;
  return arrived > 0 ? utility / (double)arrived : 0;
}
