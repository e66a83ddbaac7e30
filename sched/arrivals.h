/* When requests arrive. Every draw is keyed by (stream->key, number), so the arrivals of a run do not depend on what
 * the policy does. */
#ifndef COSREL_SCHED_ARRIVALS_H
#define COSREL_SCHED_ARRIVALS_H

#include "sched/case.h"
#include "sched/state.h"

/* Time of arrival number `k` (from 0) of stream s, not before `previous`; COSREL_TIME_NEVER when none follows, and for
 * a closed stream after its first. Bursty arrivals keep their phase in `stream`. */
cosrel_time cosrel_arrival_time(const cosrel_case *c, uint32_t s, cosrel_stream_state *stream, uint64_t k,
                                cosrel_time previous);

#endif
