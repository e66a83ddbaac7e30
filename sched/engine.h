/* The event loop of cosrel. The same one runs a simulation and a real device: only the driver differs.
 *
 *   engine_step -> DECIDE: a processor is idle and work is ready; call engine_decide with a legal choice
 *               -> DONE:   arrivals have ended and every request is completed or dropped
 *
 * Data flow: driver (time, completions) -> state -> policy -> state -> driver. Not thread-safe: one engine per thread.
 */
#ifndef COSREL_SCHED_ENGINE_H
#define COSREL_SCHED_ENGINE_H

#include <stdint.h>

#include "sched/case.h"
#include "sched/policy.h"
#include "sched/state.h"
#include "sched/status.h"

/* What moves the clock: the simulator (backends/sim) jumps it, the runtime waits for it. */
typedef struct cosrel_driver_ops {
  size_t struct_size;
  /* Required. Called before a segment starts in the state; returns the factor on its compute time in *scale (1: unknown
   * yet). */
  cosrel_status (*submit)(void *self, const cosrel_case *c, const cosrel_state *state,
                          const cosrel_candidate *candidate, double *scale);
  /* Required. Waits for a completion until `until` (COSREL_TIME_NEVER: without limit). Sets *now and *processor;
   * *processor is COSREL_NONE when the time came first, or when *now < until: then the run is to end early, that is,
   * arrivals stop at *now. *failure comes cleared: left so, the segment or probe that has ended on *processor went
   * well. A status other than COSREL_OK ends the run; it is for what no other processor could mend. */
  cosrel_status (*wait)(void *self, const cosrel_case *c, const cosrel_state *state, cosrel_time until,
                        cosrel_time *now, int32_t *processor, cosrel_failure *failure);
  /* Optional. How much of the `elapsed` ns of the segment that has just ended on `processor` were launch, load of
   * weights and transfer. Default: their shares of the expected work. */
  void (*parts)(void *self, uint32_t processor, cosrel_time elapsed, cosrel_time *launch, cosrel_time *load,
                cosrel_time *transfer);
  /* Optional. From now on `processor`, which has a memory budget, is to hold the weights in the set `held` (bit s:
   * those of stream s) and no others; what they take together is within the budget. Called after submit. Default:
   * nobody cares. */
  void (*hold)(void *self, const cosrel_case *c, uint32_t processor, uint64_t held);
  /* Optional. Begins to find out whether a processor in quarantine works again; `wait` then reports the end, as it does
   * for segments. Sets how long that takes by expectation. Default: it does work again. */
  cosrel_status (*probe)(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor,
                         double *expected_ns);
} cosrel_driver_ops;

typedef struct cosrel_driver {
  const cosrel_driver_ops *ops;
  void *self;
} cosrel_driver;

/* A load of weights that begins, or weights that are dropped, on a processor with a memory budget. */
typedef struct cosrel_weights_change {
  uint32_t processor, stream; /* the first stream that has these weights */
  bool loaded;                /* false: dropped; what follows is of loads */
  bool ahead;                 /* a prefetch; else the segment that starts now waits for them */
  cosrel_time ready;          /* when they are expected to be there */
} cosrel_weights_change;

/* A segment that failed, and what follows from that. */
typedef struct cosrel_fault_event {
  cosrel_segment segment;
  cosrel_failure failure;
  cosrel_remedy remedy; /* for its request; that of a request of which segments are still running comes after them */
} cosrel_fault_event;

/* Who listens to a run: metrics, traces, timelines, rewards. Every slot is optional; called in order of time, from the
 * engine's thread; the pointers are valid during the call only. */
typedef struct cosrel_sink {
  void *self;
  void (*arrival)(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t stream);
  void (*decision)(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_candidate *choice);
  void (*segment)(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment);
  void (*outcome)(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_outcome *outcome);
  /* The governor has looked at the temperature; `changed`: the caps are new. */
  void (*thermal)(void *self, const cosrel_case *c, const cosrel_state *state, bool changed);
  void (*weights)(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_weights_change *change);
  void (*fault)(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_fault_event *event);
  /* A processor went into quarantine, stays there after a probe, or is taken back. */
  void (*health)(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor, cosrel_health health);
  struct cosrel_sink *next;
} cosrel_sink;

typedef struct cosrel_engine {
  const cosrel_case *c;
  cosrel_state *state;                  /* owned */
  cosrel_driver driver;                 /* borrowed */
  cosrel_sink *sinks;                   /* borrowed, may be NULL */
  uint64_t n_decisions;                 /* choices applied */
  bool waiting;                         /* the last choice was WAIT: no question before the next event */
  uint64_t held[COSREL_PROCESSORS_MAX]; /* sets of weights that driver and sinks know of */
} cosrel_engine;

typedef enum cosrel_step { COSREL_STEP_DECIDE, COSREL_STEP_DONE } cosrel_step;

cosrel_status cosrel_engine_create(const cosrel_case *c, cosrel_driver driver, cosrel_engine *out, cosrel_error *error);
void cosrel_engine_destroy(cosrel_engine *engine);

/* Starts a run of `horizon` ns; every draw is keyed by `seed`. */
void cosrel_engine_reset(cosrel_engine *engine, uint64_t seed, cosrel_time horizon);

/* Runs until a choice is due or the run is over. Fails only when the driver does. */
cosrel_status cosrel_engine_step(cosrel_engine *engine, cosrel_step *step);

/* Applies a choice; COSREL_INVALID and no change when it is not legal. */
cosrel_status cosrel_engine_decide(cosrel_engine *engine, const cosrel_candidate *choice);

/* reset, then step and decide by `policy` until DONE. */
cosrel_status cosrel_engine_run(cosrel_engine *engine, const cosrel_policy *policy, uint64_t seed, cosrel_time horizon,
                                cosrel_error *error);

#endif
