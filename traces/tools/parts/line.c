#include "traces/tools/parts/line.h"

#include <gsl/gsl_matrix.h>
#include <gsl/gsl_multifit.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 8

void cosrel_samples_add(cosrel_samples *samples, double work, double ns) {
  if (samples->n == COSREL_SAMPLES_MAX) return;
  samples->work[samples->n] = work;
  samples->ns[samples->n++] = ns;
}

cosrel_status cosrel_line_fit(const cosrel_samples *s, cosrel_line *out) {
  bool use_offset = true;
  memset(out, 0, sizeof *out);
  if (s->n < 10) return COSREL_INFEASIBLE;
again:;
  size_t p = use_offset ? 2 : 1;
  gsl_matrix *x = gsl_matrix_alloc(s->n, p);
  gsl_vector *y = gsl_vector_alloc(s->n), *c = gsl_vector_alloc(p);
  gsl_matrix *covariance = gsl_matrix_alloc(p, p);
  gsl_multifit_robust_workspace *w = gsl_multifit_robust_alloc(gsl_multifit_robust_bisquare, s->n, p);
  gsl_multifit_robust_maxiter(1000, w);
  double *scale = malloc(s->n * sizeof *scale);
  memcpy(scale, s->ns, s->n * sizeof *scale);
  int failed = 0;
  for (int round = 0; round < ROUNDS && !failed; ++round) {
    for (size_t i = 0; i < s->n; ++i) {
      gsl_vector_set(y, i, s->ns[i] / scale[i]);
      gsl_matrix_set(x, i, 0, s->work[i] / scale[i]);
      if (use_offset) gsl_matrix_set(x, i, 1, 1.0 / scale[i]);
    }
    failed = gsl_multifit_robust(x, y, c, covariance, w);
    for (size_t i = 0; i < s->n; ++i) {
      double predicted = s->work[i] * gsl_vector_get(c, 0) + (use_offset ? gsl_vector_get(c, 1) : 0.0);
      scale[i] = fmax(predicted, 0.05 * s->ns[i]);
    }
  }
  out->slope = gsl_vector_get(c, 0);
  out->slope_se = sqrt(gsl_matrix_get(covariance, 0, 0));
  out->offset = use_offset ? gsl_vector_get(c, 1) : 0.0;
  out->offset_se = use_offset ? sqrt(gsl_matrix_get(covariance, 1, 1)) : 0.0;
  out->scatter = gsl_multifit_robust_statistics(w).sigma_mad;
  free(scale);
  gsl_multifit_robust_free(w);
  gsl_matrix_free(covariance);
  gsl_vector_free(c);
  gsl_vector_free(y);
  gsl_matrix_free(x);
  if (failed) return COSREL_INFEASIBLE;
  if (use_offset && out->offset < 0) {
    use_offset = false;
    goto again;
  }
  return out->slope > 0 ? COSREL_OK : COSREL_INFEASIBLE;
}

cosrel_status cosrel_table_read(const char *folder, const char *name, cosrel_csv *out, cosrel_error *error) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s.csv", folder, name);
  if (access(path, R_OK) != 0) snprintf(path, sizeof path, "%s/%s.csv.gz", folder, name);
  return cosrel_csv_read(path, out, error);
}
