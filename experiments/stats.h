/* Statistics of paired runs, after Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical
 * Precipice", NeurIPS 2021: interquartile means and probabilities of improvement, with stratified percentile bootstrap
 * intervals of 95 %.
 *
 * Samples are flat arrays that lie stratum after stratum; a stratum is a case, its values are the seeds. A resample
 * draws within every stratum as many values as there are, with replacement, so cases keep their weight. All statistics
 * of one call see the same resamples: what is compared is paired. What such an interval covers is the luck of the
 * seeds, not the choice of the cases. */
#ifndef COSREL_EXPERIMENTS_STATS_H
#define COSREL_EXPERIMENTS_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/status.h"

#define COSREL_BOOTSTRAP_RESAMPLES 2000

typedef struct cosrel_interval {
  double value, low, high; /* of the sample; 2.5 and 97.5 % of the bootstrap distribution. NaN: not defined */
} cosrel_interval;

typedef struct cosrel_strata {
  uint32_t n;
  const uint32_t *count; /* [n] at least 1 each; borrowed */
} cosrel_strata;

typedef enum cosrel_statistic_kind {
  COSREL_STATISTIC_IQM,        /* mean of the middle half of all values of a; at its ends they count in part */
  COSREL_STATISTIC_MEAN,       /* mean over the strata of the stratum's mean of a */
  COSREL_STATISTIC_DIFFERENCE, /* that of a minus that of b */
  COSREL_STATISTIC_RATIO,      /* that of a over that of b; 1 when both are 0 */
  COSREL_STATISTIC_IMPROVEMENT /* mean over the strata of P(a > b) + P(a = b) / 2 for runs of the same seed */
} cosrel_statistic_kind;

typedef struct cosrel_statistic {
  cosrel_statistic_kind kind;
  const double *a, *b; /* borrowed, one value per run; b is NULL for the first two kinds */
  const bool *only;    /* [strata.n] strata that count, at least one; NULL: all. Not for IQM */
} cosrel_statistic;

/* Fills out[n]. A statistic with a value that is not finite is not defined. Draws are keyed by `key` and the resample,
 * so equal input gives equal output, whatever the number of threads. COSREL_INVALID when a stratum is empty. */
cosrel_status cosrel_bootstrap(const cosrel_strata *strata, uint64_t key, uint32_t n,
                               const cosrel_statistic *statistics, cosrel_interval *out);

/* Linearly interpolated quantile, q in [0, 1], of ascending x[0 .. n). n > 0. */
double cosrel_quantile(const double *ascending, uint32_t n, double q);

/* Student's paired t-test: 1 when the mean of a - b over n runs lies above 0 at 95 %, -1 when below, otherwise 0. One
 * run decides by its sign. */
int cosrel_paired_sign(const double *a, const double *b, uint32_t n);

#endif
