/* Which weights are resident on processors with a memory budget. The rules, all of them:
 *
 * What: the weights that a stream's model needs on a processor are loaded, kept and dropped as a whole; streams of one
 * model in the same precisions share them. At the start of a run nothing is resident.
 *
 * Use: a segment whose weights are not resident loads them first, which is the `load` part of its work. A processor
 * loads one thing at a time, so what it loads in the background is waited for, wanted or not.
 *
 * Eviction: to make room the least recently used weights go, never those of a running segment. A processor runs one
 * segment at a time, so an idle one can make room for whatever its budget holds at all. A model whose weights are over
 * the budget is no candidate there (sched/case.h); no choice is illegal for what is resident now.
 *
 * Prefetch: while a processor works it loads in the background, one thing at a time, after what the running segment
 * itself waits for: the weights of the oldest head that this processor would end before any other and whose weights are
 * not here. It ends a head when it is idle, or has loaded if that is later, plus the segment run to its end, plus the
 * cost to go, plus loading again what must be evicted: without that toll the weights that all live by go for those of a
 * head that runs as well elsewhere. Weights that an older head wants here are not evicted.
 *
 * Loading b bytes takes load_ns + b * load_ns_per_byte, without noise; in the background it slows nobody down. No event
 * marks its end: `ready` is past then. So the hot loop does nothing, a planner's copy is right as it is, and another
 * prefetch begins at the next event of the run, not when the last one ends. Where no processor has a budget a state has
 * no residency: all weights are there from the start and cost nothing. */
#ifndef COSREL_SCHED_RESIDENCY_H
#define COSREL_SCHED_RESIDENCY_H

#include "sched/state.h"

/* Of one processor; [n_processors] of them lie in the state at c->residency_at. Weights are named by the first stream
 * that has them: cosrel_stream_case.weights. */
typedef struct cosrel_residency {
  cosrel_time ready; /* `loading` is resident from then on */
  uint64_t held;     /* set of weights that take memory, `loading` among them */
  uint64_t bytes, peak_bytes;
  uint64_t n_loads, n_prefetched, n_evictions; /* n_loads counts prefetches too */
  cosrel_time waited;                          /* load parts of the segments that have ended */
  uint8_t loading;                             /* what was loaded last */
  uint8_t n_held, order[COSREL_STREAMS_MAX];   /* what is held, most recently used first */
} cosrel_residency;

static inline cosrel_residency *cosrel_state_residency(const cosrel_case *c, const cosrel_state *state, uint32_t p) {
  return (cosrel_residency *)((char *)state + c->residency_at) + p;
}

/* ns until the weights of stream s can be used on p if p begins with them now. */
double cosrel_residency_rest(const cosrel_case *c, const cosrel_state *state, uint32_t s, uint32_t p);
/* The same; only a comparison where no processor has a budget. */
static inline double cosrel_residency_load(const cosrel_case *c, const cosrel_state *state, uint32_t s, uint32_t p) {
  return c->residency_at == 0 ? 0 : cosrel_residency_rest(c, state, s, p);
}

/* What the transitions of sched/state.h call, in a state with residency: a segment of stream s starts on p, has ended
 * there (having waited for `load`), p has lost its memory, and, whenever processors or heads have changed, prefetching.
 */
void cosrel_residency_use(const cosrel_case *c, cosrel_state *state, uint32_t s, uint32_t p);
void cosrel_residency_end(const cosrel_case *c, cosrel_state *state, uint32_t s, uint32_t p, cosrel_time load);
void cosrel_residency_lose(const cosrel_case *c, cosrel_state *state, uint32_t p);
void cosrel_residency_prefetch(const cosrel_case *c, cosrel_state *state);

#endif
