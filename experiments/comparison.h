/* Many policies on many cases with the same seeds, and what may be concluded from it.
 *
 * Cells are independent and written by index, so the outcome is the same for any number of threads. Everything that is
 * compared is paired: seed i of a case means the same arrivals and the same luck for every policy. */
#ifndef COSREL_EXPERIMENTS_COMPARISON_H
#define COSREL_EXPERIMENTS_COMPARISON_H

#include "experiments/cell.h"
#include "experiments/stats.h"

/* Figures that are compared: enum, key in JSON, column head, decimals. */
#define COSREL_FIGURE_MAP(X)                           \
  X(U, "u", "U", 3)                                    \
  X(ANTT, "antt", "ANTT", 2)                           \
  X(P95_NTT, "p95_ntt", "p95 NTT", 2)                  \
  X(GOODPUT, "goodput_hz", "goodput Hz", 1)            \
  X(G, "g", "G", 3)                                    \
  X(BOUND_SHARE, "bound_share", "of bound", 3)         \
  X(ENERGY, "energy_mj_per_inference", "energy mJ", 1) \
  X(ENERGY_RATIO, "energy_ratio", "energy ratio", 2)
typedef enum cosrel_figure {
#define X(name, key, head, decimals) COSREL_FIGURE_##name,
  COSREL_FIGURE_MAP(X)
#undef X
      COSREL_FIGURE_COUNT
} cosrel_figure;

const char *cosrel_figure_key(cosrel_figure figure);
const char *cosrel_figure_head(cosrel_figure figure);
int cosrel_figure_decimals(cosrel_figure figure);
/* NaN when the run does not define it. */
double cosrel_figure_of(const cosrel_result *result, cosrel_figure figure);

typedef struct cosrel_comparison {
  uint32_t n_cases, n_seeds, n_policies;
  const cosrel_case *cases;           /* borrowed [n_cases] */
  const cosrel_contender *contenders; /* borrowed [n_policies] */
  cosrel_cell_config config;          /* `seed` is the first of n_seeds */
  cosrel_cell *cells;                 /* owned [n_cases][n_seeds][n_policies] */
  uint8_t *done;                      /* owned, of each cell */
  uint32_t *n_complete;               /* owned [n_cases]: seeds that every policy has run */
  uint32_t *complete;                 /* owned [n_cases][n_seeds]: which; the first n_complete count */
} cosrel_comparison;

/* Runs all cells on `threads` threads. On SIGINT (experiments/progress.h) it stops early and returns
 * COSREL_INTERRUPTED; what was done can still be summarised. Free with cosrel_comparison_clear in any case. */
cosrel_status cosrel_comparison_run(cosrel_comparison *comparison, uint32_t threads, cosrel_error *error);
void cosrel_comparison_clear(cosrel_comparison *comparison);

static inline const cosrel_cell *cosrel_comparison_cell(const cosrel_comparison *comparison, uint32_t c, uint32_t seed,
                                                        uint32_t policy) {
  return &comparison->cells[((size_t)c * comparison->n_seeds + seed) * comparison->n_policies + policy];
}

/* Some of the cases, and the figure that policies are ranked by on them. Cases without a complete seed are left out. */
typedef struct cosrel_group {
  const char *name;
  cosrel_figure headline;
  uint32_t n_cases;
  uint32_t *cases; /* owned */
} cosrel_group;

typedef enum cosrel_group_kind { COSREL_GROUP_ALL, COSREL_GROUP_OPEN, COSREL_GROUP_CLOSED } cosrel_group_kind;

/* Open loop is ranked by U, closed loop by G. */
cosrel_status cosrel_group_create(const cosrel_comparison *comparison, cosrel_group_kind kind, cosrel_group *out);
void cosrel_group_destroy(cosrel_group *group);

/* IQM over the runs of a policy in the group. False when the figure is not defined in one of them. A bound share is
 * defined by closed cases only, and is taken over those. */
bool cosrel_group_interval(const cosrel_comparison *comparison, const cosrel_group *group, uint32_t policy,
                           cosrel_figure figure, cosrel_interval *out);

/* Mean of the headline over the seeds of one case (an index into comparison->cases). */
double cosrel_case_mean(const cosrel_comparison *comparison, uint32_t c, uint32_t policy, cosrel_figure figure);
/* The mean of that over the cases of a group. */
double cosrel_group_mean(const cosrel_comparison *comparison, const cosrel_group *group, uint32_t policy);

/* The online heuristic with the best mean headline over the group, or on one case; -1 when there is none. */
int cosrel_group_best(const cosrel_comparison *comparison, const cosrel_group *group);
int cosrel_case_best(const cosrel_comparison *comparison, uint32_t c, cosrel_figure figure);

/* How a policy does beside the heuristics: paired differences of the headline, averaged over the cases. */
typedef struct cosrel_verdict {
  cosrel_interval minus_best;      /* the best single online heuristic */
  cosrel_interval minus_hindsight; /* the best online heuristic of each case, chosen by its mean over the same seeds */
  double ratio_mean, ratio_least;  /* of its case mean to that of the hindsight-best, over the cases */
  uint32_t wins;                   /* cases where its mean is above that of the hindsight-best */
} cosrel_verdict;

cosrel_status cosrel_group_verdict(const cosrel_comparison *comparison, const cosrel_group *group, uint32_t policy,
                                   cosrel_verdict *out);

#endif
