/* Statistics of paired runs, after Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical
 * Precipice", NeurIPS 2021: interquartile means with stratified percentile bootstrap intervals.
 *
 * Samples come in strata: values[s][0 .. n_s) are the seeds of case s. A resample draws n_s values with replacement
 * within every stratum, so cases keep their weight. What this interval covers is the luck of the seeds, not the
 * choice of the cases. */
#ifndef COSREL_EXPERIMENTS_STATS_H
#define COSREL_EXPERIMENTS_STATS_H

#include <stdint.h>

#include "sched/status.h"

#define COSREL_BOOTSTRAP_RESAMPLES 2000

typedef struct cosrel_interval {
  double value, low, high; /* the statistic of the sample; 2.5 and 97.5 % of its bootstrap distribution */
} cosrel_interval;

/* Borrowed. All values must be finite. */
typedef struct cosrel_strata {
  uint32_t n;
  const uint32_t *count;       /* [n] at least 1 each */
  const double *const *values; /* [n][count[s]] */
} cosrel_strata;

/* Mean of the middle half of x[0 .. n); sorts x. The values at both ends of the middle half count in part, so that it
 * holds exactly n / 2 of the weight. n > 0. */
double cosrel_iqm(double *x, uint32_t n);

/* Linearly interpolated quantile, q in [0, 1], of ascending x[0 .. n). n > 0. */
double cosrel_quantile(const double *ascending, uint32_t n, double q);

/* IQM of the pooled values. Draws are keyed by `key`, so equal input gives equal output. */
cosrel_status cosrel_iqm_interval(const cosrel_strata *strata, uint64_t key, cosrel_interval *out);

/* Mean over the strata of each stratum's mean. For paired differences: pass a[s][i] - b[s][i]. */
cosrel_status cosrel_mean_interval(const cosrel_strata *strata, uint64_t key, cosrel_interval *out);

#endif
