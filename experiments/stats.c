#include "experiments/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rng.h"

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double cosrel_iqm(double *x, uint32_t n) {
  /* The sample as a step function over [0, n): value i covers [i, i + 1). Average it over [n / 4, 3 n / 4). */
  double from = 0.25 * n, to = 0.75 * n, sum = 0.0;
  qsort(x, n, sizeof *x, compare_doubles);
  for (uint32_t i = (uint32_t)from; i < n && i < to; i++) {
    double weight = fmin(to, i + 1.0) - fmax(from, i);
    sum += weight * x[i];
  }
  return sum / (to - from);
}

double cosrel_quantile(const double *ascending, uint32_t n, double q) {
  double at = q * (n - 1);
  uint32_t i = (uint32_t)at;
  if (i + 1 >= n) return ascending[n - 1];
  return ascending[i] + (at - i) * (ascending[i + 1] - ascending[i]);
}

typedef enum statistic { POOLED_IQM, MEAN_OF_MEANS } statistic;

/* The statistic of a pooled sample laid out stratum after stratum; may reorder it. */
static double evaluate(statistic kind, const cosrel_strata *strata, double *pooled, uint32_t total) {
  if (kind == POOLED_IQM) return cosrel_iqm(pooled, total);
  double sum = 0.0;
  for (uint32_t s = 0; s < strata->n; s++) {
    double stratum = 0.0;
    for (uint32_t i = 0; i < strata->count[s]; i++) stratum += *pooled++;
    sum += stratum / strata->count[s];
  }
  return sum / strata->n;
}

static cosrel_status interval(statistic kind, const cosrel_strata *strata, uint64_t key, cosrel_interval *out) {
  uint32_t total = 0;
  for (uint32_t s = 0; s < strata->n; s++) {
    if (strata->count[s] == 0) return COSREL_INVALID;
    total += strata->count[s];
  }
  if (total == 0) return COSREL_INVALID;

  double *pooled = malloc(total * sizeof *pooled);
  double *resamples = malloc(COSREL_BOOTSTRAP_RESAMPLES * sizeof *resamples);
  if (pooled == NULL || resamples == NULL) {
    free(pooled);
    free(resamples);
    return COSREL_NOMEM;
  }

  double *next = pooled;
  for (uint32_t s = 0; s < strata->n; s++) {
    memcpy(next, strata->values[s], strata->count[s] * sizeof *next);
    next += strata->count[s];
  }
  out->value = evaluate(kind, strata, pooled, total);

  for (uint32_t r = 0; r < COSREL_BOOTSTRAP_RESAMPLES; r++) {
    uint64_t resample_key = cosrel_rng_key(key, r);
    uint32_t draw = 0;
    for (uint32_t s = 0; s < strata->n; s++)
      for (uint32_t i = 0; i < strata->count[s]; i++, draw++)
        pooled[draw] = strata->values[s][cosrel_rng_below(cosrel_rng_key(resample_key, draw), strata->count[s])];
    resamples[r] = evaluate(kind, strata, pooled, total);
  }
  qsort(resamples, COSREL_BOOTSTRAP_RESAMPLES, sizeof *resamples, compare_doubles);
  out->low = cosrel_quantile(resamples, COSREL_BOOTSTRAP_RESAMPLES, 0.025);
  out->high = cosrel_quantile(resamples, COSREL_BOOTSTRAP_RESAMPLES, 0.975);
  free(pooled);
  free(resamples);
  return COSREL_OK;
}

cosrel_status cosrel_iqm_interval(const cosrel_strata *strata, uint64_t key, cosrel_interval *out) {
  return interval(POOLED_IQM, strata, key, out);
}

cosrel_status cosrel_mean_interval(const cosrel_strata *strata, uint64_t key, cosrel_interval *out) {
  return interval(MEAN_OF_MEANS, strata, key, out);
}
