/* What the heuristics share: expected durations, and placing requests in an order of their own choosing.
 *
 * A heuristic here considers, for each stream, the head request's lowest ready unit and everything from there to the
 * end
 * ("run to end": as far as the processor and the dependencies allow). That is the best of the run lengths 1, 4 and end
 * for all of them: on the Snapdragon 865 profile and the bundled workloads, eft has U = .40, .46, .76 and pf in closed
 * loop .33, .40, .74 of the bound on G, since each segment pays its launch again. Expected times are means without
 * contention, with launch, load of weights and transfers; what is left after the segment counts as the best plan from
 * there, all weights resident. */
#ifndef COSREL_SCHED_POLICIES_COMMON_H
#define COSREL_SCHED_POLICIES_COMMON_H

#include <math.h>

#include "sched/policy.h"
#include "sched/residency.h"

static inline const cosrel_request *cosrel_head(const cosrel_case *c, const cosrel_state *state, uint32_t s) {
  int16_t head = state->streams[s].head;
  return head == COSREL_NONE ? NULL : cosrel_state_request(c, state, (uint32_t)head);
}

static inline cosrel_candidate cosrel_run(uint32_t slot, uint32_t p, uint32_t begin, uint32_t end) {
  return (cosrel_candidate){.action = COSREL_RUN,
                            .processor = (uint8_t)p,
                            .batch = 1,
                            .slot = (uint16_t)slot,
                            .begin = (uint16_t)begin,
                            .end = (uint16_t)end};
}

static inline cosrel_candidate cosrel_wait(void) { return (cosrel_candidate){.action = COSREL_WAIT}; }

/* How far a segment from ready unit i can go on p; the unit itself when p cannot run it. */
static inline uint32_t cosrel_reach(const cosrel_case *c, const cosrel_request *request, uint32_t i, uint32_t p) {
  uint32_t limit = c->streams[request->stream].limit[p][request->ready[i]];
  return limit < request->ready_limit[i] ? limit : request->ready_limit[i];
}

/* ns from the start to the end of units [begin, end) on p, alone. */
static inline double cosrel_expected_run(const cosrel_case *c, const cosrel_state *state, uint32_t slot, uint32_t p,
                                         uint32_t begin, uint32_t end) {
  if (begin == 0) { /* the common case, without a walk: only the input can be elsewhere, on the host */
    const cosrel_stream_case *sc = &c->streams[cosrel_state_request(c, state, slot)->stream];
    return c->launch_ns[p] + (double)sc->transfer[c->host * c->n_processors + p] + sc->mean[p][end] +
           cosrel_residency_load(c, state, cosrel_state_request(c, state, slot)->stream, p);
  }
  cosrel_candidate run = cosrel_run(slot, p, begin, end);
  cosrel_work work = cosrel_state_work(c, state, &run);
  return cosrel_work_total(&work);
}

/* ns from the start of units [begin, end) on p to the end of the request. */
static inline double cosrel_expected_rest(const cosrel_case *c, const cosrel_state *state, uint32_t slot, uint32_t p,
                                          uint32_t begin, uint32_t end) {
  const cosrel_stream_case *sc = &c->streams[cosrel_state_request(c, state, slot)->stream];
  return cosrel_expected_run(c, state, slot, p, begin, end) + sc->to_go[p][end];
}

static inline cosrel_time cosrel_due(const cosrel_case *c, const cosrel_request *request) {
  return request->arrival + c->streams[request->stream].deadline;
}

/* Completions per second of a stream, exponential average over 1 s, as of now. */
static inline double cosrel_recent_rate(const cosrel_state *state, uint32_t s) {
  const cosrel_stream_state *stream = &state->streams[s];
  return stream->rate_ema > 0 ? stream->rate_ema * exp(-cosrel_time_s(state->now - stream->rate_ema_at)) : 0;
}

/* The heads of all streams, each with its options. n is how many there are. */
typedef struct cosrel_heads {
  uint32_t n;
  uint16_t stream[COSREL_STREAMS_MAX], slot[COSREL_STREAMS_MAX], begin[COSREL_STREAMS_MAX];
  uint16_t end[COSREL_STREAMS_MAX][COSREL_PROCESSORS_MAX]; /* run to end; == begin where the processor cannot */
  double run[COSREL_STREAMS_MAX][COSREL_PROCESSORS_MAX];   /* ns until its segment ends, started now */
  double rest[COSREL_STREAMS_MAX][COSREL_PROCESSORS_MAX];  /* ns until the request ends; INFINITY: cannot */
  double best[COSREL_STREAMS_MAX];                         /* least of rest over all processors, idle or not */
} cosrel_heads;

static inline void cosrel_heads_read(const cosrel_case *c, const cosrel_state *state, cosrel_heads *heads) {
  heads->n = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_request *request = cosrel_head(c, state, s);
    if (request == NULL) continue;
    const cosrel_stream_case *sc = &c->streams[s];
    uint32_t h = heads->n++, begin = request->ready[0], slot = (uint32_t)state->streams[s].head;
    heads->stream[h] = (uint16_t)s;
    heads->slot[h] = (uint16_t)slot;
    heads->begin[h] = (uint16_t)begin;
    heads->best[h] = INFINITY;
    for (uint32_t p = 0; p < c->n_processors; p++) {
      uint32_t end = cosrel_reach(c, request, 0, p);
      heads->end[h][p] = (uint16_t)end;
      heads->run[h][p] = heads->rest[h][p] = INFINITY;
      if (end == begin) continue;
      heads->run[h][p] = cosrel_expected_run(c, state, slot, p, begin, end);
      heads->rest[h][p] = heads->run[h][p] + sc->to_go[p][end];
      if (heads->rest[h][p] < heads->best[h]) heads->best[h] = heads->rest[h][p];
    }
  }
}

static inline cosrel_candidate cosrel_heads_run(const cosrel_heads *heads, uint32_t h, uint32_t p) {
  return cosrel_run(heads->slot[h], p, heads->begin[h], heads->end[h][p]);
}

/* What a placing rule thinks of ending head h in `finish` ns on processor p, the one that ends it first; more is
 * better. */
typedef double (*cosrel_placing)(const cosrel_case *c, const cosrel_state *state, const cosrel_heads *heads, uint32_t h,
                                 uint32_t p, double finish);

/* Placing rules that several policies share. Most utility per ns (srpt); a little for requests worth nothing, so that
 * the shortest of them goes first. */
static inline double cosrel_utility_rate(const cosrel_case *c, const cosrel_state *state, const cosrel_heads *heads,
                                         uint32_t h, uint32_t p, double finish) {
  (void)p;
  const cosrel_request *request = cosrel_state_request(c, state, heads->slot[h]);
  double age = (double)(state->now - request->arrival);
  return (cosrel_utility((age + finish) / c->streams[heads->stream[h]].isolated_ns) + 1e-3) / finish;
}

/* Most gain of the sum of log rates per ns (pf). */
static inline double cosrel_log_rate_gain(const cosrel_case *c, const cosrel_state *state, const cosrel_heads *heads,
                                          uint32_t h, uint32_t p, double finish) {
  (void)c, (void)p;
  return -(cosrel_recent_rate(state, heads->stream[h]) + 1e-3) * finish;
}

/* List scheduling with waiting. Each head looks at the processor that would end it first, busy ones being free later;
 * the head of most value takes its processor. If that one is free the head starts now; otherwise the head waits for it,
 * which makes the processor free later still for the others, and the next head is placed. WAIT when all wait. Waiting
 * matters: a processor five times slower that is idle now is rarely a bargain. Ties go to the lower stream. `toll`
 * (NULL: none) is ns per head and processor that count in the choice of the processor as if it ended that much later.
 */
static inline cosrel_candidate cosrel_heads_place(const cosrel_case *c, const cosrel_state *state,
                                                  const cosrel_heads *heads, cosrel_placing value,
                                                  double (*toll)[COSREL_PROCESSORS_MAX]) {
  double free_in[COSREL_PROCESSORS_MAX];
  uint64_t placed = 0;
  for (uint32_t p = 0; p < c->n_processors; p++) free_in[p] = cosrel_state_time_to_idle(state, p);
  for (uint32_t round = 0; round < heads->n; round++) {
    uint32_t first = UINT32_MAX, on = 0;
    double most = 0;
    for (uint32_t h = 0; h < heads->n; h++) {
      if (placed >> h & 1) continue;
      uint32_t best = 0;
      double least = INFINITY;
      for (uint32_t p = 0; p < c->n_processors; p++) {
        double finish = free_in[p] + heads->rest[h][p] + (toll != NULL ? toll[h][p] : 0);
        if (finish < least) least = finish, best = p;
      }
      double worth = value(c, state, heads, h, best, free_in[best] + heads->rest[h][best]);
      if (first == UINT32_MAX || worth > most) first = h, on = best, most = worth;
    }
    if (cosrel_processor_idle(state, on) && free_in[on] <= 0) return cosrel_heads_run(heads, first, on);
    free_in[on] += heads->run[first][on];
    placed |= (uint64_t)1 << first;
  }
  return cosrel_wait();
}

/* Slots of policies that keep nothing between decisions. */
static inline cosrel_status cosrel_stateless_create(const cosrel_case *c, const cosrel_policy_config *config,
                                                    void **self, cosrel_error *error) {
  (void)c, (void)config, (void)error;
  *self = NULL;
  return COSREL_OK;
}
static inline void cosrel_stateless_nothing(void *self) { (void)self; }

#endif
