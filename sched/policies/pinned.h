/* Streams whose units have a fixed processor each: what all-<processor>, static-order, best-static and anneal share. */
#ifndef COSREL_SCHED_POLICIES_PINNED_H
#define COSREL_SCHED_POLICIES_PINNED_H

#include "sched/policy.h"

#define COSREL_PARTS 3

typedef struct cosrel_pinned {
  uint8_t home[COSREL_STREAMS_MAX][COSREL_PARTS]; /* processor of each part of each stream's model */
  uint16_t cut[COSREL_STREAMS_MAX]
              [COSREL_PARTS - 1]; /* where its later parts begin; 0: there are none, home[0] has all */
  bool shortest;                  /* among those that wait for one processor: shortest first, not oldest first */
} cosrel_pinned;

/* Every unit runs on its part's processor, as far as that goes; units that it cannot run fall back to the processor
 * that ends the request first, up to the next unit that it can. Waits while the processor in question is busy. */
cosrel_candidate cosrel_pinned_decide(void *pinned, const cosrel_case *c, const cosrel_state *state);

/* Where and how far the lowest ready unit of stream s goes, which has a head request; its processor may be busy. */
cosrel_candidate cosrel_pinned_place(const cosrel_pinned *pinned, const cosrel_case *c, const cosrel_state *state,
                                     uint32_t s);

/* The best pinning without cuts (sched/policies/best_static.c). */
cosrel_status cosrel_pinned_search(const cosrel_case *c, const cosrel_policy_config *config, cosrel_pinned *best);

#define COSREL_TRIAL_S 1.0 /* simulated seconds in which an offline policy tries a plan */

#endif
