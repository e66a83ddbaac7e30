/* Robust straight lines, and tables in a folder: what the programs that fit share. */
#ifndef COSREL_TRACES_TOOLS_LINE_H
#define COSREL_TRACES_TOOLS_LINE_H

#include <stddef.h>

#include "traces/csv.h"

#define COSREL_SAMPLES_MAX 4096

typedef struct cosrel_samples {
  size_t n;
  double work[COSREL_SAMPLES_MAX]; /* MACs, bytes or elements */
  double ns[COSREL_SAMPLES_MAX];
} cosrel_samples;

/* t = offset + work * slope */
typedef struct cosrel_line {
  double offset, offset_se, slope, slope_se;
  double scatter; /* robust standard deviation of the relative residual */
} cosrel_line;

/* Adds an observation; one too many is left out. */
void cosrel_samples_add(cosrel_samples *samples, double work, double ns);

/* Robust regression (Tukey's bisquare, GSL gsl_multifit_robust) on relative errors: each observation is divided by the
 * time that the previous round predicted for it, because a layer of 10 ms is not a hundred times more certain than one
 * of 0.1 ms. Dividing by the measured time instead would pull every rate down. An offset below zero means that the data
 * cannot tell it from zero: it is fixed there. COSREL_INFEASIBLE with fewer than 10 samples, or a slope not above zero.
 */
cosrel_status cosrel_line_fit(const cosrel_samples *samples, cosrel_line *out);

/* Reads folder/name.csv, or folder/name.csv.gz. */
cosrel_status cosrel_table_read(const char *folder, const char *name, cosrel_csv *out, cosrel_error *error);

#endif
