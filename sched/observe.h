/* What the agent sees: a decision as a table of numbers.
 *
 * One row per (head request, ready unit, idle processor), which carries the costs of all its run lengths, one per head
 * that may give way to a newer request (sched/policies/base.h), and one for waiting while something runs. Times are
 * relative to the stream's isolated latency T, so a policy carries over to other models, processors and streams. Only
 * the past and the profile go in: no real remaining time, no future arrival.
 */
#ifndef COSREL_SCHED_OBSERVE_H
#define COSREL_SCHED_OBSERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/case.h"
#include "sched/state.h"

#define COSREL_RUN_LENGTHS 3 /* one unit, four units, to the end */
#define COSREL_SEEN_READY 2  /* ready units of a request that make rows */

/* clang-format off */
/* Per row. "end" is the run to the end, d its duration, rem the best remaining time of the request. The third line and
 * what follows are of the processor: 0 where a request is to give way. */
#define COSREL_ROW_FEATURES(X)                                                                                        \
  X(is_wait) X(is_drop) X(age) X(next_age) X(best_utility) X(slack) X(remaining) X(started) X(backlog) X(demand)      \
  X(due) X(periodic) X(rarity) X(closed) X(fairness_debt) X(size) X(is_branch) X(may_drop) X(priority) X(full) X(bursty) X(crowd) X(is_base)     \
  X(coverage) X(duration_end) X(duration_4) X(duration_1) X(regret_end) X(regret_4) X(regret_1) X(duration_log)       \
  X(transfer) X(launch_share) X(advantage_all) X(advantage_idle) X(finish_utility) X(deadline_margin) X(slowed)       \
  X(slows) X(energy) X(price_ratio) X(affinity) X(rivals) X(rival_gain) X(coming) X(home_load)
/* Per decision. */
#define COSREL_GLOBAL_FEATURES(X)                                                                                  \
  X(idle_share) X(head_share) X(live) X(mean_time_to_idle) X(least_time_to_idle) X(most_time_to_idle) X(load)      \
  X(closed_share) X(weight_latency) X(weight_throughput) X(weight_energy) X(queued_work) X(least_slack)            \
  X(mean_utility) X(late_share) X(processors) X(streams)
/* clang-format on */

enum {
#define X(name) COSREL_ROW_##name,
  COSREL_ROW_FEATURES(X)
#undef X
      COSREL_ROW_SIZE
};
enum {
#define X(name) COSREL_GLOBAL_##name,
  COSREL_GLOBAL_FEATURES(X)
#undef X
      COSREL_GLOBAL_SIZE
};
/* The context: the global features, then the mean and the maximum of every row feature over the rows. */
#define COSREL_CONTEXT_SIZE (COSREL_GLOBAL_SIZE + 2 * COSREL_ROW_SIZE)

/* One observation. Arrays are borrowed: rows[max_rows][COSREL_ROW_SIZE], choices[max_rows]. */
typedef struct cosrel_row_choice {
  uint16_t slot, begin;
  uint8_t action; /* cosrel_action */
  uint8_t processor;
  uint8_t is_base;                   /* sched/policies/base.h would choose this row (to the end) */
  uint16_t ends[COSREL_RUN_LENGTHS]; /* 0: that run length is not offered (or is the same as a longer one) */
} cosrel_row_choice;

typedef struct cosrel_observation {
  uint32_t n_rows;
  uint32_t n_choices; /* legal (row, run length) pairs, waiting included */
  float context[COSREL_CONTEXT_SIZE];
  float *rows;
  cosrel_row_choice *choices;
} cosrel_observation;

/* Rows that a case can need. */
uint32_t cosrel_observation_max_rows(const cosrel_case *c);

/* Fills `out` from a state in which a choice is due. Thread-safe on different `out`; allocates nothing. */
void cosrel_observe(const cosrel_case *c, const cosrel_state *state, const cosrel_objective *objective,
                    cosrel_observation *out);

/* Is run length k offered? Waiting and giving way count as the last one. */
static inline bool cosrel_choice_offered(const cosrel_row_choice *choice, int k) {
  return choice->action != COSREL_RUN ? k == COSREL_RUN_LENGTHS - 1 : choice->ends[k] > 0;
}

/* The candidate of (row, run length). */
cosrel_candidate cosrel_observation_candidate(const cosrel_observation *observation, uint32_t row, uint32_t length);

#endif
