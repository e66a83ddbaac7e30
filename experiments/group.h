/* Runs that are summed up together: the open or the closed cases of a comparison, with the seeds that all policies in
 * question have run. */
#ifndef COSREL_EXPERIMENTS_GROUP_H
#define COSREL_EXPERIMENTS_GROUP_H

#include "experiments/comparison.h"
#include "experiments/figures.h"
#include "experiments/stats.h"

typedef enum cosrel_loop { COSREL_LOOP_ALL, COSREL_LOOP_OPEN, COSREL_LOOP_CLOSED } cosrel_loop;

/* Runs lie case after case; the cases are the strata. */
typedef struct cosrel_group {
  const cosrel_comparison *q; /* borrowed */
  uint32_t n_cases, n_runs;
  uint32_t *cases; /* owned [n_cases] indices into q->cases; each has at least one run */
  uint32_t *count; /* owned [n_cases] runs of each */
  uint32_t *seed;  /* owned [n_runs] */
} cosrel_group;

/* `offline`: only seeds that offline policies have run, too. May have no cases. */
cosrel_status cosrel_group_create(const cosrel_comparison *q, cosrel_loop loop, bool offline, cosrel_group *out);
void cosrel_group_destroy(cosrel_group *group);

/* A figure of a policy in every run. out[n_runs] */
void cosrel_group_values(const cosrel_group *group, uint32_t policy, cosrel_figure figure, double *out);

static inline cosrel_strata cosrel_group_strata(const cosrel_group *group) {
  return (cosrel_strata){group->n_cases, group->count};
}

#endif
