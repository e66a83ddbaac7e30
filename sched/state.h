/* The state of a run: one flat block of plain data without pointers into itself, copied with memcpy.
 *
 * The engine drives one; a planner copies it and drives the copy. Nothing here allocates, draws random numbers or
 * reads a clock. Layout: cosrel_state, then n_slots request records of case->request_size bytes each, then, where a
 * processor has a memory budget, the residency of weights (sched/residency.h). */
#ifndef COSREL_SCHED_STATE_H
#define COSREL_SCHED_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/case.h"
#include "sched/clock.h"
#include "sched/fault.h"

#define COSREL_READY_MAX 4 /* ready units of one request that are offered, lowest first */
#define COSREL_NONE (-1)
#define COSREL_RESTING (-2) /* of a processor: in quarantine until its next probe */
#define COSREL_PROBING (-3) /* being probed */

/* A legal choice: units [begin, end) of the request in `slot`, on `processor`. */
typedef enum cosrel_action { COSREL_RUN, COSREL_WAIT, COSREL_DROP_REQUEST } cosrel_action;
typedef struct cosrel_candidate {
  uint8_t action; /* cosrel_action; the fields below are of COSREL_RUN, `slot` of COSREL_DROP_REQUEST too */
  uint8_t processor;
  uint8_t point; /* fastest operating point to run at; 0: as fast as the device allows */
  uint8_t batch; /* requests in the segment, 1 so far */
  uint16_t slot, begin, end;
} cosrel_candidate;

/* What a processor does. slot is COSREL_NONE when idle; a processor in quarantine is not idle: it is busy resting or
 * being probed, which `expected_left` and `finish` measure too, so whoever waits for busy processors waits for it as
 * well. Work is in ns at rate 1: alone and at the top point. */
typedef struct cosrel_running {
  int32_t slot;
  uint16_t begin, end;
  uint8_t point; /* the candidate's; a cap may make it slower */
  cosrel_time started;
  double work, left;              /* what it really takes; known to the driver only, policies must not read it */
  double expected, expected_left; /* the same from mean costs: what a policy may know */
  double launch, load, transfer;  /* parts of `work` */
  double beta, rate;              /* memory-bound share; progress per ns */
  cosrel_time finish;             /* when `left` reaches 0 at this rate; the driver's knowledge too */
} cosrel_running;

typedef struct cosrel_request {
  uint64_t sequence; /* number of the request in its stream, from 0 */
  cosrel_time arrival;
  uint16_t stream;
  uint8_t live; /* 0: the slot is free */
  uint8_t n_ready;
  uint8_t n_running; /* segments running now */
  uint8_t failures;  /* of its segments so far */
  uint8_t remedy;    /* cosrel_remedy; beyond COSREL_RERUN nothing of it is offered until its last segment has ended */
  uint8_t n_starts;  /* how often it has started anew (modulo 256): tensors of an earlier start are void */
  uint16_t n_done, n_started;
  uint16_t front;                         /* lowest unit not done */
  uint16_t ready[COSREL_READY_MAX];       /* units whose inputs are all done, ascending */
  uint16_t ready_limit[COSREL_READY_MAX]; /* a segment from ready[i] may reach up to here, processors aside */
  /* then: uint64_t done[bit_words], started[bit_words]; uint8_t where[max_units + 1], per tensor a processor set */
} cosrel_request;

typedef struct cosrel_stream_state {
  uint64_t key;             /* of all draws of the stream: the run's seed and the stream */
  cosrel_time next_arrival; /* COSREL_TIME_NEVER when none will come; future, so policies must not read it */
  cosrel_time last_arrival; /* when the newest request came; policies may */
  uint64_t arrived, completed, completed_by_horizon, dropped, failed, missed, in_time; /* all is completed, dropped or
                                                                                          failed in the end */
  double utility;             /* sum over ended requests of clip(1 - (NTT - 1) / 4, 0, 1) */
  double ntt;                 /* sum over ended requests */
  double isolated_mj_in_time; /* sum of E_m over requests completed in time */
  double rate_ema;            /* completions per second, exponential average over 1 s; 0 at the start */
  cosrel_time rate_ema_at;    /* when it was last brought up to date */
  cosrel_time phase_end;      /* bursty: end of the present phase; future, as next_arrival */
  uint32_t n_phases;          /* bursty: phases begun; even ones are bursts */
  uint8_t n_live;
  int16_t head;                     /* slot of the oldest request with a ready unit, or COSREL_NONE */
  uint16_t order[COSREL_QUEUE_MAX]; /* slots of live requests, oldest first */
} cosrel_stream_state;

typedef struct cosrel_state {
  cosrel_time now, horizon; /* arrivals stop at the horizon, then the run drains */
  uint64_t seed;            /* keys every draw of the run */
  uint64_t n_segments, n_events;
  uint32_t n_idle, n_heads; /* idle processors; streams whose head is not COSREL_NONE */
  int32_t next_stream;      /* the stream that arrives next (lowest index on ties), or COSREL_NONE */
  uint32_t n_live;          /* live requests of all streams */
  cosrel_time next_expiry;  /* no request is due to be dropped before this */
  cosrel_time next_finish;  /* the least `finish` of what runs; NEVER when nothing does; the driver's knowledge too */
  uint32_t next_processor;  /* whose that is, lowest on ties */
  cosrel_time next_probe;   /* when a resting processor is probed next; NEVER: none rests */
  uint64_t stranded;        /* streams with a unit that only processors held for gone can run */
  uint8_t strikes[COSREL_PROCESSORS_MAX]; /* failures in a row, of probes too; a good segment sets it back */
  double power_w;                         /* drawn at present */
  double energy_mj;                       /* of the device since 0, base power included */
  double temperature_c; /* of the device at temperature_at; 0 without a thermal model (sched/thermal.h) */
  cosrel_time temperature_at;
  cosrel_time next_check;             /* when the governor looks at it next; NEVER: it does not, and the caps stay */
  uint8_t throttle;                   /* throttling steps in force */
  uint8_t cap[COSREL_PROCESSORS_MAX]; /* fastest operating point allowed */
  cosrel_time busy[COSREL_PROCESSORS_MAX], launching[COSREL_PROCESSORS_MAX], transferring[COSREL_PROCESSORS_MAX];
  cosrel_running running[COSREL_PROCESSORS_MAX];
  cosrel_stream_state streams[]; /* [n_streams], then the request slots */
} cosrel_state;

/* How a request ended. */
typedef struct cosrel_outcome {
  uint32_t stream;
  uint64_t sequence;
  cosrel_time arrival, end;
  double ntt; /* of a drop: max(5, age / T_m) */
  double utility;
  bool dropped, missed; /* a drop is a miss */
  bool failed;          /* given up after failures; then `dropped` too */
} cosrel_outcome;

/* A segment that ended: [started, ended) on `processor`, cut into launch, load (of weights), transfer and compute in
 * this order. One that failed is not cut. */
typedef struct cosrel_segment {
  uint32_t stream, processor;
  uint64_t sequence; /* of the request */
  uint16_t begin, end;
  cosrel_time started, ended, launch, load, transfer;
  double expected_ns; /* what the mean costs said, at the top point, nothing else running */
} cosrel_segment;

/* Parts of a candidate's expected duration: ns at the point it would run at, nothing else running. */
typedef struct cosrel_work {
  double launch, load, transfer, compute, beta;
} cosrel_work;
static inline double cosrel_work_total(const cosrel_work *work) {
  return work->launch + work->transfer + work->compute + work->load;
}

static inline cosrel_request *cosrel_state_request(const cosrel_case *c, const cosrel_state *state, uint32_t slot) {
  return (cosrel_request *)((char *)state + c->slots_at + slot * c->request_size);
}
static inline uint64_t *cosrel_request_done(const cosrel_request *request) { return (uint64_t *)(request + 1); }
static inline uint64_t *cosrel_request_started(const cosrel_case *c, const cosrel_request *request) {
  return cosrel_request_done(request) + c->bit_words;
}
/* where[t]: bit p set when tensor t is on processor p. */
static inline uint8_t *cosrel_request_where(const cosrel_case *c, const cosrel_request *request) {
  return (uint8_t *)(cosrel_request_started(c, request) + c->bit_words);
}
static inline bool cosrel_processor_idle(const cosrel_state *state, uint32_t p) {
  return state->running[p].slot == COSREL_NONE;
}

/* The operating point that a segment wanting `point` runs at on p now. */
static inline const cosrel_point *cosrel_state_point(const cosrel_case *c, const cosrel_state *state, uint32_t p,
                                                     uint8_t point) {
  return &c->profile->processors[p].points[point > state->cap[p] ? point : state->cap[p]];
}
/* The point that p is at: of its segment, or the fastest allowed when it runs none. */
static inline const cosrel_point *cosrel_state_point_now(const cosrel_case *c, const cosrel_state *state, uint32_t p) {
  return cosrel_state_point(c, state, p, state->running[p].slot < 0 ? 0 : state->running[p].point);
}

/* Fills case->state_size bytes at `state`: time 0, all idle, first arrivals drawn. The block must be 8-byte aligned. */
void cosrel_state_init(const cosrel_case *c, cosrel_state *state, uint64_t seed, cosrel_time horizon);

/* What a candidate of action COSREL_RUN would take at its point as long as the caps stay as they are. */
cosrel_work cosrel_state_work(const cosrel_case *c, const cosrel_state *state, const cosrel_candidate *candidate);

/* True for exactly the choices that the engine accepts: processor idle, first unit ready, the end within the ready
 * limit and the processor's; the processor has the operating point (a cap slows the segment, it forbids nothing); the
 * request is its stream's head; COSREL_WAIT when an event is pending;
 * COSREL_DROP_REQUEST when no segment of the request is running. */
bool cosrel_candidate_legal(const cosrel_case *c, const cosrel_state *state, const cosrel_candidate *candidate);
bool cosrel_state_event_pending(const cosrel_state *state);
/* Is any RUN legal? */
bool cosrel_state_choice_due(const cosrel_case *c, const cosrel_state *state);

/* The run lengths offered for (ready unit i of slot, processor): one unit, four units, to the end; ascending and
 * distinct. Returns how many were written to ends[3]; 0 when the processor cannot run the unit. */
uint32_t cosrel_state_ends(const cosrel_case *c, const cosrel_state *state, uint32_t slot, uint32_t ready, uint32_t p,
                           uint16_t ends[3]);

/* Every offered candidate (RUN only, at the fastest point allowed) into out[max]; returns how many there are, in a
 * fixed order: stream, ready unit, processor, run length. At most n_streams * READY_MAX * n_processors * 3. */
uint32_t cosrel_state_candidates(const cosrel_case *c, const cosrel_state *state, cosrel_candidate *out, uint32_t max);

/* Starts a legal RUN. `scale` multiplies the compute part (1 for the mean; the simulator draws noise here). Rates of
 * all running segments are renewed. */
void cosrel_state_start(const cosrel_case *c, cosrel_state *state, const cosrel_candidate *candidate, double scale);

/* Moves the clock to `to` >= now: work progresses, energy and busy time add up. In simulation no completion may lie
 * before `to`; on a device a segment may take longer than expected, and then cosrel_state_time_to_idle stays 0.
 * Processor p running segment i progresses at rate speed / (1 + sum over running q != p of kappa[p][q] beta_i beta_j),
 * speed being that of its operating point. */
void cosrel_state_advance(const cosrel_case *c, cosrel_state *state, cosrel_time to);

/* The governor looks at the temperature at `to` >= now; call when state->next_check is reached. When caps change, the
 * clock is moved as by cosrel_state_advance, rates and power are renewed, and it returns true; else only the
 * temperature is new. */
bool cosrel_state_throttle(const cosrel_case *c, cosrel_state *state, cosrel_time to);

/* What really went into launch, load and transfers of the segment that ends on `processor` now: call before its finish.
 */
void cosrel_state_measured(cosrel_state *state, uint32_t processor, cosrel_time launch, cosrel_time load,
                           cosrel_time transfer);

/* The earliest completion under present rates: its time, and the processor (lowest on ties). NEVER when none runs. */
static inline cosrel_time cosrel_state_next_finish(const cosrel_case *c, const cosrel_state *state,
                                                   uint32_t *processor) {
  (void)c;
  *processor = state->next_processor;
  return state->next_finish;
}

/* Ends what `processor` runs, at state->now. Fills `segment`; returns true and fills `outcome` when that ended the
 * request. A closed stream's next request arrives at once. Pointers may be NULL. When `processor` was being probed it
 * is restored instead, false is returned and nothing filled: so do planners, who expect the best. */
bool cosrel_state_finish(const cosrel_case *c, cosrel_state *state, uint32_t processor, cosrel_segment *segment,
                         cosrel_outcome *outcome);

/* ---- When things fail (sched/quarantine.c) ---- */

/* The segment that `processor` runs failed: its units count as not started, the processor goes into quarantine unless
 * it is innocent. *remedy says what becomes of the request. Returns true and fills `outcome` when the request was given
 * up now; while others of its segments run, that and a restart wait for their end. Other requests whose tensors were in
 * memory that is lost start anew as well. Pointers may be NULL. */
bool cosrel_state_fail(const cosrel_case *c, cosrel_state *state, uint32_t processor, const cosrel_failure *failure,
                       cosrel_segment *segment, cosrel_remedy *remedy, cosrel_outcome *outcome);

/* The rest of `processor` is over at state->now: it is being probed, which is expected to take `expected_ns`. */
void cosrel_state_probe(const cosrel_case *c, cosrel_state *state, uint32_t processor, double expected_ns);
/* The probe failed: another rest, twice as long. */
void cosrel_state_rest(const cosrel_case *c, cosrel_state *state, uint32_t processor);
/* The probe passed: idle again, on probation until a segment ends well. */
void cosrel_state_restore(const cosrel_case *c, cosrel_state *state, uint32_t processor);
/* The processor that rests and whose probe is due first (lowest on ties), or COSREL_NONE. */
int32_t cosrel_state_probe_due(const cosrel_case *c, const cosrel_state *state);

/* Lets the request of state->next_stream arrive at state->now. Returns true and fills `dropped` when one was dropped
 * for it (the newcomer or an older one). */
bool cosrel_state_arrive(const cosrel_case *c, cosrel_state *state, cosrel_outcome *dropped);

/* Drops one request that is due to be dropped (late and not started; or, past the horizon, at NTT 5), or gives up one
 * that no processor is left for (in a closed loop only past the horizon: until then it waits). Returns false
 * when there is none; call until then after every event. */
bool cosrel_state_expire(const cosrel_case *c, cosrel_state *state, cosrel_outcome *dropped);

/* Nothing arrives any more: the horizon is now (at least 1 ns), and the run drains. */
void cosrel_state_stop(const cosrel_case *c, cosrel_state *state);

/* Drops the request in `slot` now; none of its segments may be running. */
void cosrel_state_drop(const cosrel_case *c, cosrel_state *state, uint32_t slot, cosrel_outcome *dropped);

/* Makes a copy fit for planning: what is really left becomes what is expected, future arrivals become unknown (never),
 * caps stay as they are. After this the copy holds nothing that an online policy may not know. */
void cosrel_state_forget(const cosrel_case *c, cosrel_state *state);

/* Expected ns until processor p is idle at present rates; 0 when idle. Never below 0. */
double cosrel_state_time_to_idle(const cosrel_state *state, uint32_t p);

/* Utility of a normalised turnaround time: clip(1 - (ntt - 1) / 4, 0, 1). */
static inline double cosrel_utility(double ntt) {
  double u = 1.0 - (ntt - 1.0) * 0.25;
  return u < 0.0 ? 0.0 : u > 1.0 ? 1.0 : u;
}

#endif
