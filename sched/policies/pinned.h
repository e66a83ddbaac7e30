/* Streams with a processor of their own each: what all-<processor>, static-order and best-static have in common. */
#ifndef COSREL_SCHED_POLICIES_PINNED_H
#define COSREL_SCHED_POLICIES_PINNED_H

#include "sched/policy.h"

typedef struct cosrel_pinned {
  uint8_t home[COSREL_STREAMS_MAX]; /* processor of each stream */
  bool shortest;                    /* among those that wait for one processor: shortest first, not oldest first */
} cosrel_pinned;

/* Every unit runs on its stream's processor, to the end; units that it cannot run fall back to the processor that ends the
 * request first, up to the next unit that it can. Waits while the processor in question is busy. */
cosrel_candidate cosrel_pinned_decide(void *pinned, const cosrel_case *c, const cosrel_state *state);

#endif
