/* Many policies on many cases with the same seeds. What may be concluded from it: experiments/summary.h.
 *
 * Cells are independent and written by index, so the outcome is the same for any number of threads. Everything that is
 * compared is paired: seed i of a case means the same arrivals and the same luck for every policy. */
#ifndef COSREL_EXPERIMENTS_COMPARISON_H
#define COSREL_EXPERIMENTS_COMPARISON_H

#include "experiments/cell.h"

typedef struct cosrel_comparison {
  uint32_t n_cases, n_seeds, n_policies;
  uint32_t n_offline_seeds; /* offline policies cost much and are no competitors: they run on the first ones */
  const cosrel_case *cases; /* borrowed [n_cases] */
  const cosrel_contender *contenders; /* borrowed [n_policies] */
  cosrel_cell_config config;          /* `seed` is the first of n_seeds */
  cosrel_cell **cells;                /* owned [n_cases][n_seeds][n_policies]; NULL: not run */
} cosrel_comparison;

/* Runs all cells on `threads` threads, seed after seed, so that whatever is done covers all cases. On SIGINT
 * (experiments/progress.h) it stops early and returns COSREL_INTERRUPTED; what was done can still be summarised. Free
 * with cosrel_comparison_clear in any case. */
cosrel_status cosrel_comparison_run(cosrel_comparison *comparison, uint32_t threads, cosrel_error *error);
void cosrel_comparison_clear(cosrel_comparison *comparison);

static inline size_t cosrel_comparison_size(const cosrel_comparison *comparison) {
  return (size_t)comparison->n_cases * comparison->n_seeds * comparison->n_policies;
}

/* The place of a cell; what stands there is NULL until it was run. */
static inline cosrel_cell **cosrel_comparison_cell(const cosrel_comparison *comparison, uint32_t c, uint32_t seed,
                                                   uint32_t policy) {
  return &comparison->cells[((size_t)c * comparison->n_seeds + seed) * comparison->n_policies + policy];
}

#endif
