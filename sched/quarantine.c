/* What happens to the state when segments fail and processors leave and come back. Seldom called, so plain rather than
 * fast; the same transitions in simulation, on a device and in a planner's copy. */
#include <string.h>

#include "sched/residency.h"
#include "sched/state_internal.h"

static bool bit(const uint64_t *set, uint32_t i) { return set[i >> 6] >> (i & 63) & 1; }

static bool is_gone(const cosrel_state *state, uint32_t p) { return state->strikes[p] >= COSREL_STRIKES_GONE; }

/* Whether a unit of the stream, of those not in `done` (NULL: all), has no processor that is not gone. */
static bool lacks_processor(const cosrel_case *c, const cosrel_state *state, uint32_t s, const uint64_t *done) {
  const cosrel_stream_case *sc = &c->streams[s];
  for (uint32_t u = 0; u < sc->n_units; u++) {
    bool served = done != NULL && bit(done, u);
    for (uint32_t p = 0; p < c->n_processors && !served; p++) served = !is_gone(state, p) && sc->limit[p][u] > u;
    if (!served) return true;
  }
  return false;
}

/* Renews what follows from strikes and rests, then the rates. */
static void renew(const cosrel_case *c, cosrel_state *state) {
  bool any_gone = false;
  state->next_probe = COSREL_TIME_NEVER;
  state->stranded = 0;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    const cosrel_running *run = &state->running[p];
    if (run->slot == COSREL_RESTING && run->finish < state->next_probe) state->next_probe = run->finish;
    any_gone = any_gone || is_gone(state, p);
  }
  for (uint32_t s = 0; any_gone && s < c->n_streams; s++)
    if (lacks_processor(c, state, s, NULL)) state->stranded |= (uint64_t)1 << s;
  cosrel_state_renew(c, state);
}

/* Nothing but time passes on p for `ns`. */
static void occupy(cosrel_state *state, uint32_t p, int32_t how, double ns) {
  state->running[p] = (cosrel_running){.slot = how,
                                       .started = state->now,
                                       .work = ns,
                                       .left = ns,
                                       .expected = ns,
                                       .expected_left = ns,
                                       .rate = 1,
                                       .finish = state->now + (cosrel_time)ns};
}

static void strike(cosrel_state *state, uint32_t p) {
  if (!is_gone(state, p)) state->strikes[p]++;
  occupy(state, p, COSREL_RESTING, (double)cosrel_rest(state->strikes[p]));
}

/* Whether a unit that is not done reads a tensor that was made and is nowhere any more. */
static bool misses_tensor(const cosrel_case *c, const cosrel_request *request) {
  const cosrel_stream_case *sc = &c->streams[request->stream];
  const uint64_t *done = cosrel_request_done(request);
  const uint8_t *where = cosrel_request_where(c, request);
  for (uint32_t u = request->front; u < sc->n_units; u++) {
    if (bit(done, u)) continue;
    for (uint32_t i = sc->pred_first[u]; i < sc->pred_first[u + 1]; i++) {
      uint32_t t = sc->preds[i];
      if (where[t] == 0 && (t == 0 || bit(done, t - 1))) return true;
    }
  }
  return false;
}

static void demand(cosrel_request *request, cosrel_remedy remedy) {
  if (request->remedy < remedy) request->remedy = (uint8_t)remedy;
}

/* Nothing is on p any more. What a stream feeds in stays on the host whatever happens there. */
static void lose_memory(const cosrel_case *c, cosrel_state *state, uint32_t p) {
  if (c->residency_at != 0) cosrel_residency_lose(c, state, p);
  for (uint32_t slot = 0; slot < c->n_slots; slot++) {
    cosrel_request *request = cosrel_state_request(c, state, slot);
    if (!request->live) continue;
    uint8_t *where = cosrel_request_where(c, request);
    for (uint32_t t = 0; t <= c->streams[request->stream].n_units; t++) where[t] &= (uint8_t) ~(1u << p);
    where[0] |= (uint8_t)(1u << c->host);
    if (misses_tensor(c, request)) demand(request, COSREL_RESTART);
  }
}

bool cosrel_state_settle(const cosrel_case *c, cosrel_state *state, uint32_t slot, cosrel_outcome *outcome) {
  cosrel_request *request = cosrel_state_request(c, state, slot);
  if (request->n_running == 0 && request->remedy == COSREL_GIVE_UP) {
    cosrel_state_give_up(c, state, slot, outcome);
    return true;
  }
  if (request->n_running == 0 && request->remedy == COSREL_RESTART) {
    const cosrel_request old = *request;
    memset(request, 0, c->request_size);
    request->sequence = old.sequence;
    request->arrival = old.arrival;
    request->stream = old.stream;
    request->live = 1;
    request->failures = old.failures;
    request->n_starts = (uint8_t)(old.n_starts + 1);
    cosrel_request_where(c, request)[0] = (uint8_t)(1u << c->host);
  }
  cosrel_state_refresh(c, state, slot);
  return false;
}

/* Settles all requests but one: only restarts can be due there, so nothing ends. */
static void settle_others(const cosrel_case *c, cosrel_state *state, uint32_t but) {
  for (uint32_t slot = 0; slot < c->n_slots; slot++) {
    const cosrel_request *request = cosrel_state_request(c, state, slot);
    if (slot != but && request->live && request->remedy == COSREL_RESTART) cosrel_state_settle(c, state, slot, NULL);
  }
}

bool cosrel_state_fail(const cosrel_case *c, cosrel_state *state, uint32_t processor, const cosrel_failure *failure,
                       cosrel_segment *segment, cosrel_remedy *remedy, cosrel_outcome *outcome) {
  cosrel_running *run = &state->running[processor];
  uint32_t slot = (uint32_t)run->slot;
  cosrel_request *request = cosrel_state_request(c, state, slot);
  state->busy[processor] += state->now - run->started;
  if (segment != NULL)
    *segment = (cosrel_segment){.stream = request->stream,
                                .processor = processor,
                                .sequence = request->sequence,
                                .begin = run->begin,
                                .end = run->end,
                                .started = run->started,
                                .ended = state->now,
                                .expected_ns = run->expected};

  uint64_t *started = cosrel_request_started(c, request);
  for (uint32_t u = run->begin; u < run->end; u++) started[u >> 6] &= ~((uint64_t)1 << (u & 63));
  request->n_started = (uint16_t)(request->n_started - (run->end - run->begin));
  request->n_running--;
  state->n_events++;
  if (++request->failures >= COSREL_ATTEMPTS)
    demand(request, COSREL_GIVE_UP);
  else if (failure->restart)
    demand(request, COSREL_RESTART);
  if (failure->innocent) {
    run->slot = COSREL_NONE;
    state->n_idle++;
  } else {
    strike(state, processor);
  }
  if (failure->memory_lost) lose_memory(c, state, processor);
  if (remedy != NULL) *remedy = (cosrel_remedy)request->remedy;
  renew(c, state);
  if (failure->memory_lost) settle_others(c, state, slot);
  return cosrel_state_settle(c, state, slot, outcome);
}

void cosrel_state_probe(const cosrel_case *c, cosrel_state *state, uint32_t processor, double expected_ns) {
  occupy(state, processor, COSREL_PROBING, expected_ns);
  state->n_events++;
  renew(c, state);
}

void cosrel_state_rest(const cosrel_case *c, cosrel_state *state, uint32_t processor) {
  strike(state, processor);
  state->n_events++;
  renew(c, state);
}

void cosrel_state_restore(const cosrel_case *c, cosrel_state *state, uint32_t processor) {
  state->running[processor].slot = COSREL_NONE;
  if (is_gone(state, processor)) state->strikes[processor] = COSREL_STRIKES_GONE - 1; /* on probation */
  state->n_idle++;
  state->n_events++;
  renew(c, state);
}

int32_t cosrel_state_probe_due(const cosrel_case *c, const cosrel_state *state) {
  for (uint32_t p = 0; p < c->n_processors; p++)
    if (state->running[p].slot == COSREL_RESTING && state->running[p].finish <= state->now) return (int32_t)p;
  return COSREL_NONE;
}

int32_t cosrel_state_stranded(const cosrel_case *c, const cosrel_state *state) {
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream_state *stream = &state->streams[s];
    bool closed = c->streams[s].arrivals == COSREL_ARRIVALS_CLOSED;
    if ((state->stranded >> s & 1) == 0 || (closed && state->now <= state->horizon)) continue;
    for (uint32_t i = 0; i < stream->n_live; i++) {
      const cosrel_request *request = cosrel_state_request(c, state, stream->order[i]);
      if (request->n_running == 0 && lacks_processor(c, state, s, cosrel_request_done(request)))
        return stream->order[i];
    }
  }
  return COSREL_NONE;
}
