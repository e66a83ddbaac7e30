/* How a run unfolds: arrivals, segments, contention, energy. Pure functions over the flat state.
 *
 * Processor p running segment i progresses at rate speed / (1 + sum over running q != p of kappa[p][q] beta_i beta_j),
 * with beta the memory-bound share of a segment. Whenever the set of running segments changes, all rates are renewed,
 * so a long segment feels each neighbour only while it is there. Power is piecewise constant between such changes;
 * energy is its integral. */
#include "sched/state.h"

#include <math.h>
#include <string.h>

#include "sched/arrivals.h"
#include "sched/residency.h"
#include "sched/rng.h"
#include "sched/state_internal.h"
#include "sched/thermal.h"

static bool bit(const uint64_t *set, uint32_t i) { return set[i >> 6] >> (i & 63) & 1; }

/* Bits [begin, end) of word w, for a word that the range touches. */
static uint64_t word_mask(uint32_t w, uint32_t begin, uint32_t end) {
  uint64_t mask = ~(uint64_t)0;
  if (begin > w * 64) mask &= mask << (begin - w * 64);
  if (end < w * 64 + 64) mask &= ~(uint64_t)0 >> (w * 64 + 64 - end);
  return mask;
}

static void set_range(uint64_t *set, uint32_t begin, uint32_t end) {
  for (uint32_t w = begin >> 6; w * 64 < end; w++) set[w] |= word_mask(w, begin, end);
}

/* Lowest index >= i that is not in the set, at most n. */
static uint32_t first_clear(const uint64_t *set, uint32_t i, uint32_t n) {
  for (uint32_t w = i >> 6; w * 64 < n; w++) {
    uint64_t clear = ~set[w] & word_mask(w, i, n);
    if (clear != 0) return w * 64 + (uint32_t)__builtin_ctzll(clear);
  }
  return n;
}

/* Is every tensor that unit u reads made, or to be made inside [begin, u)? `done` is the set of finished units. */
static bool inputs_ready(const cosrel_stream_case *sc, const uint64_t *done, uint32_t begin, uint32_t u) {
  for (uint32_t i = sc->pred_first[u]; i < sc->pred_first[u + 1]; i++) {
    uint32_t t = sc->preds[i];
    if (t == 0 || t - 1 >= begin || bit(done, t - 1)) continue;
    return false;
  }
  return true;
}

/* Renews the list of ready units. Above a cut that is not done nothing can be ready, so the scan is short. */
static void refresh_ready(const cosrel_case *c, cosrel_request *request) {
  const cosrel_stream_case *sc = &c->streams[request->stream];
  const uint64_t *done = cosrel_request_done(request), *started = cosrel_request_started(c, request);
  request->n_ready = 0;
  if (request->n_started == sc->n_units || request->remedy != COSREL_RERUN) return;
  uint32_t n = sc->n_units, last = sc->cut[request->front];
  if (last == request->front && request->n_started == last) { /* everything above waits for the front unit */
    request->ready[0] = request->front;
    request->ready_limit[0] = (uint16_t)n;
    request->n_ready = 1;
    return;
  }
  while (last + 1 < n && bit(done, last)) last = sc->cut[last + 1]; /* an output that nobody reads may lag behind */
  for (uint32_t u = request->front; u <= last && u < n && request->n_ready < COSREL_READY_MAX; u++) {
    if (bit(started, u) || !inputs_ready(sc, done, u, u)) continue;
    uint32_t end = u + 1;
    if (u == request->front && request->n_started == u) {
      end = n; /* exactly the units below u are done, so nothing can block */
    } else {
      while (end < n && !bit(started, end) && inputs_ready(sc, done, u, end)) end++;
    }
    request->ready[request->n_ready] = (uint16_t)u;
    request->ready_limit[request->n_ready++] = (uint16_t)end;
  }
}

static void refresh_head(const cosrel_case *c, cosrel_state *state, uint32_t s) {
  cosrel_stream_state *stream = &state->streams[s];
  int16_t head = COSREL_NONE;
  for (uint32_t i = 0; i < stream->n_live && head == COSREL_NONE; i++)
    if (cosrel_state_request(c, state, stream->order[i])->n_ready > 0) head = (int16_t)stream->order[i];
  state->n_heads += (uint32_t)(head != COSREL_NONE) - (uint32_t)(stream->head != COSREL_NONE);
  stream->head = head;
}

#define LONGEST 1e18 /* ns; what takes longer than these 30 years is cut off, so that times fit */

static void renew_rates(const cosrel_case *c, cosrel_state *state) {
  /* slow[p] = sum over running q of kappa[p][q] beta_q; kappa[p][p] is 0. All p at once: that is one vector each. */
  double power = c->base_w, slow[COSREL_PROCESSORS_MAX] = {0};
  for (uint32_t q = 0; q < c->n_processors; q++) {
    if (state->running[q].slot < 0) continue;
    for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) slow[p] += c->slowed_by[q][p] * state->running[q].beta;
  }
  state->next_finish = COSREL_TIME_NEVER;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    cosrel_running *run = &state->running[p];
    if (run->slot < 0) {
      power += cosrel_state_point(c, state, p, 0)->idle_w;
      if (run->slot != COSREL_PROBING) continue;
      run->finish = state->now + (cosrel_time)ceil(run->left);
      if (run->finish < state->next_finish) state->next_finish = run->finish, state->next_processor = p;
      continue;
    }
    const cosrel_point *point = cosrel_state_point(c, state, p, run->point);
    double pace = (1.0 + slow[p] * run->beta) / point->speed, rest = ceil(run->left * pace);
    run->rate = 1.0 / pace;
    run->finish = state->now + (cosrel_time)(rest < LONGEST ? rest : LONGEST);
    if (run->finish < state->next_finish) state->next_finish = run->finish, state->next_processor = p;
    power += point->busy_w;
  }
  state->power_w = power;
}

static void schedule_arrival(const cosrel_case *c, cosrel_state *state, uint32_t s) {
  cosrel_stream_state *stream = &state->streams[s];
  cosrel_time t = cosrel_arrival_time(c, s, stream, stream->arrived, state->now);
  stream->next_arrival = t > state->horizon ? COSREL_TIME_NEVER : t;
  cosrel_time first = COSREL_TIME_NEVER;
  state->next_stream = COSREL_NONE;
  for (uint32_t i = 0; i < c->n_streams; i++)
    if (state->streams[i].next_arrival < first) first = state->streams[i].next_arrival, state->next_stream = (int32_t)i;
}

void cosrel_state_init(const cosrel_case *c, cosrel_state *state, uint64_t seed, cosrel_time horizon) {
  memset(state, 0, c->state_size);
  state->horizon = horizon;
  state->seed = seed;
  state->n_idle = c->n_processors;
  state->next_expiry = state->next_probe = COSREL_TIME_NEVER;
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) state->running[p].slot = COSREL_NONE;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    state->streams[s].key = cosrel_rng_key(seed, s);
    state->streams[s].head = COSREL_NONE;
    state->streams[s].next_arrival = COSREL_TIME_NEVER;
  }
  for (uint32_t s = 0; s < c->n_streams; s++) schedule_arrival(c, state, s);
  cosrel_thermal_begin(c, state);
  renew_rates(c, state);
}

/* The parts at rate 1. */
static cosrel_work work_of(const cosrel_case *c, const cosrel_state *state, const cosrel_candidate *candidate) {
  const cosrel_request *request = cosrel_state_request(c, state, candidate->slot);
  const cosrel_stream_case *sc = &c->streams[request->stream];
  uint32_t p = candidate->processor, begin = candidate->begin, end = candidate->end;
  cosrel_work work = {.launch = c->launch_ns[p],
                      .load = cosrel_residency_load(c, state, request->stream, p),
                      .compute = sc->mean[p][end] - sc->mean[p][begin]};
  const uint8_t *where = cosrel_request_where(c, request);
  for (uint32_t i = sc->live_first[begin]; i < sc->live_first[begin + 1]; i++) {
    cosrel_live live = sc->live[i];
    if (live.next >= end || where[live.tensor] >> p & 1) continue;
    const float *from = &sc->transfer[live.tensor * c->n_processors * c->n_processors + p];
    float best = INFINITY;
    for (uint32_t at = where[live.tensor]; at != 0; at &= at - 1) {
      uint32_t q = (uint32_t)__builtin_ctz(at);
      if (from[q * c->n_processors] < best) best = from[q * c->n_processors];
    }
    if (best < INFINITY) work.transfer += best;
  }
  /* Launching does not touch memory; copying and loading do nothing else. */
  double memory = sc->memory[p][end] - sc->memory[p][begin] + work.transfer + work.load;
  double total = cosrel_work_total(&work);
  work.beta = total > 0 ? memory / total : 0;
  return work;
}

cosrel_work cosrel_state_work(const cosrel_case *c, const cosrel_state *state, const cosrel_candidate *candidate) {
  cosrel_work work = work_of(c, state, candidate);
  double speed = cosrel_state_point(c, state, candidate->processor, candidate->point)->speed;
  if (speed == 1) return work; /* nearly always: spares the divisions */
  work.launch /= speed;
  work.load /= speed;
  work.transfer /= speed;
  work.compute /= speed;
  return work;
}

bool cosrel_state_event_pending(const cosrel_state *state) {
  return state->next_stream != COSREL_NONE || state->next_finish != COSREL_TIME_NEVER ||
         state->next_probe != COSREL_TIME_NEVER;
}

bool cosrel_candidate_legal(const cosrel_case *c, const cosrel_state *state, const cosrel_candidate *candidate) {
  if (candidate->action == COSREL_WAIT) return cosrel_state_event_pending(state);
  if (candidate->slot >= c->n_slots) return false;
  const cosrel_request *request = cosrel_state_request(c, state, candidate->slot);
  if (!request->live) return false;
  if (candidate->action == COSREL_DROP_REQUEST) return request->n_running == 0;
  if (candidate->action != COSREL_RUN || candidate->processor >= c->n_processors ||
      candidate->point >= c->profile->processors[candidate->processor].n_points || candidate->batch > 1 ||
      !cosrel_processor_idle(state, candidate->processor) || state->streams[request->stream].head != candidate->slot)
    return false;
  for (uint32_t i = 0; i < request->n_ready; i++)
    if (request->ready[i] == candidate->begin)
      return candidate->end > candidate->begin && candidate->end <= request->ready_limit[i] &&
             candidate->end <= c->streams[request->stream].limit[candidate->processor][candidate->begin];
  return false;
}

bool cosrel_state_choice_due(const cosrel_case *c, const cosrel_state *state) {
  if (state->n_idle == 0 || state->n_heads == 0) return false;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    if (state->streams[s].head == COSREL_NONE) continue;
    const cosrel_request *request = cosrel_state_request(c, state, (uint32_t)state->streams[s].head);
    for (uint32_t i = 0; i < request->n_ready; i++)
      for (uint32_t p = 0; p < c->n_processors; p++)
        if (cosrel_processor_idle(state, p) && c->streams[s].limit[p][request->ready[i]] > request->ready[i])
          return true;
  }
  return false;
}

uint32_t cosrel_state_ends(const cosrel_case *c, const cosrel_state *state, uint32_t slot, uint32_t ready, uint32_t p,
                           uint16_t ends[3]) {
  const cosrel_request *request = cosrel_state_request(c, state, slot);
  uint16_t begin = request->ready[ready], limit = c->streams[request->stream].limit[p][begin];
  if (limit > request->ready_limit[ready]) limit = request->ready_limit[ready];
  uint32_t count = 0;
  if (limit > begin + 1) ends[count++] = (uint16_t)(begin + 1);
  if (limit > begin + 4) ends[count++] = (uint16_t)(begin + 4);
  if (limit > begin) ends[count++] = limit;
  return count;
}

uint32_t cosrel_state_candidates(const cosrel_case *c, const cosrel_state *state, cosrel_candidate *out, uint32_t max) {
  uint32_t count = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    int16_t head = state->streams[s].head;
    if (head == COSREL_NONE) continue;
    const cosrel_request *request = cosrel_state_request(c, state, (uint32_t)head);
    for (uint32_t i = 0; i < request->n_ready; i++)
      for (uint32_t p = 0; p < c->n_processors; p++) {
        uint16_t ends[3];
        if (!cosrel_processor_idle(state, p)) continue;
        uint32_t n_ends = cosrel_state_ends(c, state, (uint32_t)head, i, p, ends);
        for (uint32_t k = 0; k < n_ends; k++, count++)
          if (count < max)
            out[count] = (cosrel_candidate){.action = COSREL_RUN,
                                            .processor = (uint8_t)p,
                                            .batch = 1,
                                            .slot = (uint16_t)head,
                                            .begin = request->ready[i],
                                            .end = ends[k]};
      }
  }
  return count;
}

void cosrel_state_start(const cosrel_case *c, cosrel_state *state, const cosrel_candidate *candidate, double scale) {
  cosrel_work work = work_of(c, state, candidate);
  cosrel_request *request = cosrel_state_request(c, state, candidate->slot);
  const cosrel_stream_case *sc = &c->streams[request->stream];
  uint32_t p = candidate->processor, begin = candidate->begin, end = candidate->end;

  uint8_t *where = cosrel_request_where(c, request);
  for (uint32_t i = sc->live_first[begin]; i < sc->live_first[begin + 1]; i++)
    if (sc->live[i].next < end) where[sc->live[i].tensor] |= (uint8_t)(1u << p);
  set_range(cosrel_request_started(c, request), begin, end);
  request->n_started = (uint16_t)(request->n_started + end - begin);
  request->n_running++;
  refresh_ready(c, request);
  refresh_head(c, state, request->stream);

  double expected = cosrel_work_total(&work);
  double total = work.launch + work.transfer + work.compute * scale + work.load;
  cosrel_running *run =
      &state->running[p]; /* field by field: clearing all of it first would cost as much as the rest */
  run->slot = candidate->slot;
  run->begin = candidate->begin;
  run->end = candidate->end;
  run->point = candidate->point;
  run->started = state->now;
  run->work = run->left = total;
  run->expected = run->expected_left = expected;
  run->launch = work.launch;
  run->load = work.load;
  run->transfer = work.transfer;
  run->beta = work.beta;
  state->n_idle--;
  state->n_segments++;
  if (c->residency_at != 0) cosrel_residency_use(c, state, request->stream, p);
  renew_rates(c, state);
  if (c->residency_at != 0) cosrel_residency_prefetch(c, state);
}

void cosrel_state_advance(const cosrel_case *c, cosrel_state *state, cosrel_time to) {
  double dt = (double)(to - state->now);
  for (uint32_t p = 0; p < c->n_processors; p++) {
    cosrel_running *run = &state->running[p];
    if (run->slot == COSREL_NONE) continue;
    run->left -= run->rate * dt;
    run->expected_left -= run->rate * dt;
  }
  state->energy_mj += state->power_w * dt * 1e-6; /* W * ns = nJ */
  if (state->next_check != COSREL_TIME_NEVER) cosrel_thermal_warm(c, state, to);
  state->now = to;
}

bool cosrel_state_throttle(const cosrel_case *c, cosrel_state *state, cosrel_time to) {
  cosrel_thermal_warm(c, state, to);
  if (!cosrel_thermal_check(c, state)) return false;
  cosrel_state_advance(c, state, to);
  renew_rates(c, state);
  return true;
}

/* Time after which a waiting request may be dropped; NEVER when the rules do not drop it. */
static cosrel_time expiry(const cosrel_case *c, const cosrel_state *state, const cosrel_request *request) {
  const cosrel_stream_case *sc = &c->streams[request->stream];
  if (request->n_running > 0) return COSREL_TIME_NEVER;
  if (state->now > state->horizon) {
    cosrel_time hopeless = request->arrival + (cosrel_time)ceil(5 * sc->isolated_ns);
    if (state->now >= hopeless) return hopeless;
  }
  if (c->workload->streams[request->stream].drop_late && sc->arrivals != COSREL_ARRIVALS_CLOSED &&
      request->n_started == 0)
    return request->arrival + sc->deadline;
  return COSREL_TIME_NEVER;
}

/* A new request of stream s takes a free slot at state->now. */
static void admit(const cosrel_case *c, cosrel_state *state, uint32_t s) {
  cosrel_stream_state *stream = &state->streams[s];
  const cosrel_stream_case *sc = &c->streams[s];
  uint32_t slot = sc->first_slot;
  while (cosrel_state_request(c, state, slot)->live) slot++;
  cosrel_request *request = cosrel_state_request(c, state, slot);
  memset(request, 0, c->request_size);
  request->sequence = stream->arrived;
  request->arrival = state->now;
  request->stream = (uint16_t)s;
  request->live = 1;
  cosrel_request_where(c, request)[0] = (uint8_t)(1u << c->host);
  stream->order[stream->n_live++] = (uint16_t)slot;
  state->n_live++;
  refresh_ready(c, request);
  refresh_head(c, state, s);
  cosrel_time due = expiry(c, state, request);
  if (due < state->next_expiry) state->next_expiry = due;
}

static void count_arrival(cosrel_state *state, cosrel_stream_state *stream) {
  stream->arrived++;
  stream->last_arrival = state->now;
}

/* How a request ends. */
typedef enum ending { COMPLETED, DROPPED, FAILED } ending;

/* Books the end of a request: how long it took, what it was worth. */
static void book(const cosrel_case *c, cosrel_state *state, uint32_t s, uint64_t sequence, cosrel_time arrival,
                 ending how, cosrel_outcome *outcome) {
  const cosrel_stream_case *sc = &c->streams[s];
  cosrel_stream_state *stream = &state->streams[s];
  bool dropped = how != COMPLETED;
  double ntt = (double)(state->now - arrival) / sc->isolated_ns;
  if (dropped && ntt < 5) ntt = 5;
  double utility = dropped ? 0 : cosrel_utility(ntt);
  bool missed = dropped || state->now - arrival > sc->deadline;
  stream->ntt += ntt;
  stream->utility += utility;
  stream->dropped += how == DROPPED;
  stream->failed += how == FAILED;
  stream->missed += missed;
  if (!dropped) {
    stream->completed++;
    stream->completed_by_horizon += state->now <= state->horizon;
    stream->in_time += !missed;
    if (!missed) stream->isolated_mj_in_time += sc->isolated_mj;
    stream->rate_ema = stream->rate_ema * exp(-cosrel_time_s(state->now - stream->rate_ema_at)) + 1.0;
    stream->rate_ema_at = state->now;
  }
  if (outcome != NULL)
    *outcome = (cosrel_outcome){.stream = s,
                                .sequence = sequence,
                                .arrival = arrival,
                                .end = state->now,
                                .ntt = ntt,
                                .utility = utility,
                                .dropped = dropped,
                                .missed = missed,
                                .failed = how == FAILED};
}

/* Frees the slot; a closed stream's next request arrives at once. */
static void end_request(const cosrel_case *c, cosrel_state *state, cosrel_request *request, uint32_t slot, ending how,
                        cosrel_outcome *outcome) {
  uint32_t s = request->stream;
  cosrel_stream_state *stream = &state->streams[s];
  uint32_t at = 0;
  while (stream->order[at] != slot) at++;
  stream->n_live--;
  state->n_live--;
  for (; at < stream->n_live; at++) stream->order[at] = stream->order[at + 1]; /* few, mostly none */
  request->live = 0;
  book(c, state, s, request->sequence, request->arrival, how, outcome);
  if (c->streams[s].arrivals == COSREL_ARRIVALS_CLOSED && state->now < state->horizon) {
    admit(c, state, s);
    count_arrival(state, stream);
  } else {
    refresh_head(c, state, s);
  }
}

void cosrel_state_measured(cosrel_state *state, uint32_t processor, cosrel_time launch, cosrel_time load,
                           cosrel_time transfer) {
  cosrel_running *run = &state->running[processor];
  run->work = (double)(state->now - run->started);
  run->launch = (double)launch;
  run->load = (double)load;
  run->transfer = (double)transfer;
}

bool cosrel_state_finish(const cosrel_case *c, cosrel_state *state, uint32_t processor, cosrel_segment *segment,
                         cosrel_outcome *outcome) {
  cosrel_running *run = &state->running[processor];
  if (run->slot < 0) {
    cosrel_state_restore(c, state, processor);
    return false;
  }
  uint32_t slot = (uint32_t)run->slot;
  cosrel_request *request = cosrel_state_request(c, state, slot);
  cosrel_time elapsed = state->now - run->started;
  double stretch = run->work > 0 ? (double)elapsed / run->work : 0; /* ns per ns of work */
  cosrel_time launch = (cosrel_time)(run->launch * stretch), transfer = (cosrel_time)(run->transfer * stretch);
  cosrel_time load = (cosrel_time)(run->load * stretch);
  state->busy[processor] += elapsed;
  state->launching[processor] += launch;
  state->transferring[processor] += transfer;
  if (segment != NULL)
    *segment = (cosrel_segment){.stream = request->stream,
                                .processor = processor,
                                .sequence = request->sequence,
                                .begin = run->begin,
                                .end = run->end,
                                .started = run->started,
                                .ended = state->now,
                                .launch = launch,
                                .load = load,
                                .transfer = transfer,
                                .expected_ns = run->expected};

  uint32_t begin = run->begin, end = run->end;
  request->n_done = (uint16_t)(request->n_done + end - begin);
  request->n_running--;
  run->slot = COSREL_NONE;
  state->strikes[processor] = 0;
  state->n_idle++;
  state->n_events++;
  renew_rates(c, state);
  if (c->residency_at != 0) cosrel_residency_end(c, state, request->stream, processor, load);

  const cosrel_stream_case *sc = &c->streams[request->stream];
  if (request->n_done == sc->n_units) {
    bool late = state->now > state->horizon && (double)(state->now - request->arrival) >= 5 * sc->isolated_ns;
    end_request(c, state, request, slot, late ? DROPPED : COMPLETED, outcome);
    if (c->residency_at != 0) cosrel_residency_prefetch(c, state);
    return true;
  }
  uint64_t *done = cosrel_request_done(request);
  uint8_t *where = cosrel_request_where(c, request);
  const uint8_t here = (uint8_t)(1u << processor);
  set_range(done, begin, end);
  for (uint32_t u = begin; u < end; u++) where[u + 1] |= here;
  request->front = (uint16_t)first_clear(done, request->front, sc->n_units);
  if (request->remedy != COSREL_RERUN) return cosrel_state_settle(c, state, slot, outcome);
  refresh_ready(c, request);
  refresh_head(c, state, request->stream);
  if (c->residency_at != 0) cosrel_residency_prefetch(c, state);
  return false;
}

void cosrel_state_renew(const cosrel_case *c, cosrel_state *state) { renew_rates(c, state); }

void cosrel_state_refresh(const cosrel_case *c, cosrel_state *state, uint32_t slot) {
  cosrel_request *request = cosrel_state_request(c, state, slot);
  refresh_ready(c, request);
  refresh_head(c, state, request->stream);
  cosrel_time due = expiry(c, state, request);
  if (due < state->next_expiry) state->next_expiry = due;
}

void cosrel_state_give_up(const cosrel_case *c, cosrel_state *state, uint32_t slot, cosrel_outcome *outcome) {
  end_request(c, state, cosrel_state_request(c, state, slot), slot, FAILED, outcome);
}

bool cosrel_state_arrive(const cosrel_case *c, cosrel_state *state, cosrel_outcome *dropped) {
  uint32_t s = (uint32_t)state->next_stream;
  cosrel_stream_state *stream = &state->streams[s];
  bool drop = false, admitted = true;
  if (stream->n_live == c->streams[s].n_slots) {
    drop = true, admitted = false;
    if (c->workload->streams[s].drop == COSREL_DROP_OLDEST)
      for (uint32_t i = 0; i < stream->n_live && !admitted; i++) {
        uint32_t slot = stream->order[i];
        if (cosrel_state_request(c, state, slot)->n_started > 0) continue;
        cosrel_state_drop(c, state, slot, dropped);
        admitted = true;
      }
    if (!admitted) book(c, state, s, stream->arrived, state->now, DROPPED, dropped);
  }
  if (admitted) admit(c, state, s);
  count_arrival(state, stream);
  state->n_events++;
  schedule_arrival(c, state, s);
  if (c->residency_at != 0) cosrel_residency_prefetch(c, state);
  return drop;
}

static void no_more_arrivals(const cosrel_case *c, cosrel_state *state) {
  for (uint32_t s = 0; s < c->n_streams; s++) state->streams[s].next_arrival = COSREL_TIME_NEVER;
  state->next_stream = COSREL_NONE;
}

void cosrel_state_stop(const cosrel_case *c, cosrel_state *state) {
  if (state->now < state->horizon) state->horizon = state->now > 0 ? state->now : 1;
  no_more_arrivals(c, state);
}

void cosrel_state_drop(const cosrel_case *c, cosrel_state *state, uint32_t slot, cosrel_outcome *dropped) {
  end_request(c, state, cosrel_state_request(c, state, slot), slot, DROPPED, dropped);
}

bool cosrel_state_expire(const cosrel_case *c, cosrel_state *state, cosrel_outcome *dropped) {
  if (state->stranded != 0) {
    int32_t slot = cosrel_state_stranded(c, state);
    if (slot != COSREL_NONE) {
      cosrel_state_give_up(c, state, (uint32_t)slot, dropped);
      return true;
    }
  }
  if (state->now <= state->horizon && state->now < state->next_expiry) return false;
  cosrel_time next = COSREL_TIME_NEVER;
  for (uint32_t s = 0; s < c->n_streams; s++)
    for (uint32_t i = 0; i < state->streams[s].n_live; i++) {
      uint32_t slot = state->streams[s].order[i];
      cosrel_time due = expiry(c, state, cosrel_state_request(c, state, slot));
      if (due <= state->now) {
        cosrel_state_drop(c, state, slot, dropped);
        return true;
      }
      if (due < next) next = due;
    }
  state->next_expiry = next;
  return false;
}

void cosrel_state_forget(const cosrel_case *c, cosrel_state *state) {
  no_more_arrivals(c, state);
  for (uint32_t s = 0; s < c->n_streams; s++) {
    state->streams[s].phase_end = 0;
    state->streams[s].key = 0;
  }
  state->next_check = state->next_probe = COSREL_TIME_NEVER;
  state->seed = 0;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    cosrel_running *run = &state->running[p];
    if (run->slot == COSREL_NONE) continue;
    if (run->slot == COSREL_RESTING) run->slot = COSREL_PROBING; /* as far as one may hope, then it is back */
    if (run->expected_left < 0) run->expected_left = 0;
    run->work = run->expected;
    run->left = run->expected_left;
  }
  renew_rates(c, state);
}

double cosrel_state_time_to_idle(const cosrel_state *state, uint32_t p) {
  const cosrel_running *run = &state->running[p];
  return run->slot == COSREL_NONE || run->expected_left <= 0 ? 0 : run->expected_left / run->rate;
}
