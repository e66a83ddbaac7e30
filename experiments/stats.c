#include "experiments/stats.h"

#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rng.h"

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double cosrel_quantile(const double *ascending, uint32_t n, double q) {
  double at = q * (n - 1);
  uint32_t i = (uint32_t)at;
  if (i + 1 >= n) return ascending[n - 1];
  return ascending[i] + (at - i) * (ascending[i + 1] - ascending[i]);
}

/* ---- statistics of a resample, given as how often each run was drawn ---- */

/* A run beside its value, to be sorted by it. */
typedef struct ranked {
  double value;
  uint32_t run;
} ranked;

static int by_value(const void *a, const void *b) {
  const ranked *x = a, *y = b;
  return compare_doubles(&x->value, &y->value);
}

/* What does not change from one resample to the next. */
typedef struct prepared {
  const cosrel_statistic *statistic;
  const cosrel_strata *strata;
  uint32_t n_runs;
  ranked *order;  /* owned. IQM: the runs, ascending */
  double *better; /* owned. IMPROVEMENT: 1 where a > b, 0.5 where they are equal, otherwise 0 */
  bool defined;
} prepared;

static double iqm_of(const prepared *p, const uint32_t *count) {
  /* The resample as a step function over [0, n): each draw covers 1. Average it over [n / 4, 3 n / 4). */
  double from = 0.25 * p->n_runs, to = 0.75 * p->n_runs, sum = 0.0, at = 0.0;
  for (uint32_t i = 0; i < p->n_runs && at < to; i++) {
    double end = at + count[p->order[i].run];
    double weight = fmin(to, end) - fmax(from, at);
    if (weight > 0) sum += weight * p->order[i].value;
    at = end;
  }
  return sum / (to - from);
}

/* Mean over the strata that count of the stratum's mean. */
static double mean_of(const prepared *p, const double *x, const uint32_t *count) {
  double sum = 0.0;
  uint32_t n_strata = 0;
  for (uint32_t s = 0, run = 0; s < p->strata->n; run += p->strata->count[s++]) {
    if (p->statistic->only != NULL && !p->statistic->only[s]) continue;
    double stratum = 0.0;
    for (uint32_t i = 0; i < p->strata->count[s]; i++) stratum += count[run + i] * x[run + i];
    sum += stratum / p->strata->count[s];
    n_strata++;
  }
  return sum / n_strata;
}

static double evaluate(const prepared *p, const uint32_t *count) {
  const cosrel_statistic *t = p->statistic;
  switch (t->kind) {
    case COSREL_STATISTIC_IQM: return iqm_of(p, count);
    case COSREL_STATISTIC_MEAN: return mean_of(p, t->a, count);
    case COSREL_STATISTIC_DIFFERENCE: return mean_of(p, t->a, count) - mean_of(p, t->b, count);
    case COSREL_STATISTIC_RATIO: {
      double above = mean_of(p, t->a, count), below = mean_of(p, t->b, count);
      return below != 0 ? above / below : above != 0 ? INFINITY : 1.0;
    }
    case COSREL_STATISTIC_IMPROVEMENT: return mean_of(p, p->better, count);
  }
  return NAN;
}

/* False when memory is short. */
static bool prepare(const cosrel_statistic *t, const cosrel_strata *strata, uint32_t n_runs, prepared *p) {
  *p = (prepared){.statistic = t, .strata = strata, .n_runs = n_runs, .defined = true};
  for (uint32_t s = 0, run = 0; s < strata->n; run += strata->count[s++]) {
    if (t->only != NULL && !t->only[s]) continue;
    for (uint32_t i = run; i < run + strata->count[s]; i++)
      p->defined = p->defined && isfinite(t->a[i]) && (t->b == NULL || isfinite(t->b[i]));
  }
  if (p->defined && t->kind == COSREL_STATISTIC_IQM) {
    p->order = calloc(n_runs, sizeof *p->order);
    if (p->order == NULL) return false;
    for (uint32_t i = 0; i < n_runs; i++) p->order[i] = (ranked){t->a[i], i};
    qsort(p->order, n_runs, sizeof *p->order, by_value);
  }
  if (p->defined && t->kind == COSREL_STATISTIC_IMPROVEMENT) {
    p->better = calloc(n_runs, sizeof *p->better);
    if (p->better == NULL) return false;
    for (uint32_t i = 0; i < n_runs; i++) p->better[i] = t->a[i] > t->b[i] ? 1.0 : t->a[i] == t->b[i] ? 0.5 : 0.0;
  }
  return true;
}

/* How often each run is drawn in a resample. */
static void draw(const cosrel_strata *strata, uint64_t key, uint32_t *count, uint32_t n_runs) {
  memset(count, 0, n_runs * sizeof *count);
  for (uint32_t s = 0, run = 0; s < strata->n; run += strata->count[s++])
    for (uint32_t i = 0; i < strata->count[s]; i++)
      count[run + cosrel_rng_below(cosrel_rng_key(key, run + i), strata->count[s])]++;
}

cosrel_status cosrel_bootstrap(const cosrel_strata *strata, uint64_t key, uint32_t n,
                               const cosrel_statistic *statistics, cosrel_interval *out) {
  enum { R = COSREL_BOOTSTRAP_RESAMPLES };
  uint32_t n_runs = 0;
  for (uint32_t s = 0; s < strata->n; s++) {
    if (strata->count[s] == 0) return COSREL_INVALID;
    n_runs += strata->count[s];
  }
  if (n_runs == 0) return COSREL_INVALID;

  prepared *p = calloc(n + 1, sizeof *p);
  double *resamples = malloc(((size_t)n + 1) * R * sizeof *resamples); /* [n][R] */
  uint32_t *ones = malloc(n_runs * sizeof *ones);
  bool good = p != NULL && resamples != NULL && ones != NULL;
  for (uint32_t k = 0; k < n && good; k++) good = prepare(&statistics[k], strata, n_runs, &p[k]);
  if (!good) goto done;

#pragma omp parallel
  {
    uint32_t *count = malloc(n_runs * sizeof *count);
    if (count == NULL) {
#pragma omp atomic write
      good = false;
    }
#pragma omp for schedule(static)
    for (int r = 0; r < R; r++) {
      if (count == NULL) continue;
      draw(strata, cosrel_rng_key(key, (uint64_t)r), count, n_runs);
      for (uint32_t k = 0; k < n; k++)
        if (p[k].defined) resamples[(size_t)k * R + (size_t)r] = evaluate(&p[k], count);
    }
    free(count);
  }
  if (!good) goto done;

  for (uint32_t i = 0; i < n_runs; i++) ones[i] = 1;
  for (uint32_t k = 0; k < n; k++) {
    double *mine = &resamples[(size_t)k * R];
    out[k] = (cosrel_interval){NAN, NAN, NAN};
    if (!p[k].defined) continue;
    qsort(mine, R, sizeof *mine, compare_doubles);
    out[k] = (cosrel_interval){evaluate(&p[k], ones), cosrel_quantile(mine, R, 0.025), cosrel_quantile(mine, R, 0.975)};
  }

done:
  for (uint32_t k = 0; p != NULL && k < n; k++) {
    free(p[k].order);
    free(p[k].better);
  }
  free(p);
  free(resamples);
  free(ones);
  return good ? COSREL_OK : COSREL_NOMEM;
}

int cosrel_paired_sign(const double *a, const double *b, uint32_t n) {
  double mean = 0.0, squares = 0.0;
  for (uint32_t i = 0; i < n; i++) mean += (a[i] - b[i]) / n;
  for (uint32_t i = 0; i < n; i++) squares += (a[i] - b[i] - mean) * (a[i] - b[i] - mean);
  double half = n > 1 ? gsl_cdf_tdist_Pinv(0.975, n - 1.0) * sqrt(squares / (n - 1.0) / n) : 0.0;
  return (mean > half) - (mean < -half);
}
