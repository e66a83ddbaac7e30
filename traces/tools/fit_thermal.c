/* Fits how a phone gets warm and slow under load, from a measured series of temperature and GPU frequency:
 *
 *     fit_thermal FOLDER traces/figures
 *
 * FOLDER holds thermal as .csv or .csv.gz. The table carries no licence, so it is not part of this repository; what is
 * fitted from it is, in thermal.csv (traces/figures/README.md says what each row means).
 *
 * Model, as sched/thermal.h has it, with the rise as a power law of the GPU's frequency f and its load 0..1:
 *
 *     dT/dt = (idle + rise load (f / f_top)^2 - T) / tau
 *
 * Nonlinear least squares (GSL gsl_multifit_nlinear) over whole runs, each begun at its first reading; between two
 * readings the drive is the mean of both. The exponent is assumed, between 1 (voltage held) and 3 (voltage following
 * the frequency): fitted as well it runs away, because the runs hardly contain idle time. Only rise = R P is seen:
 * nobody measured the watts, so a thermal resistance follows from an assumed power. Throttling: medians of the
 * temperatures at which the frequency under load fell by more than a fifth and at which it rose again. */
#include <gsl/gsl_errno.h>
#include <gsl/gsl_multifit_nlinear.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "traces/atomic.h"
#include "traces/csv.h"

#define READINGS_MAX 4096
#define EXPONENT 2.0
#define FALL 0.8   /* a new frequency below this share of the last one is throttling, not trimming */
#define LOADED 0.8 /* share of load above which the frequency is what the phone allows, not what it is asked for */

static const char source[] = "hedone21/llm_rs2@31a97d305d30:results/data/stress_thermal_opencl_run*";

typedef struct reading {
  double t_s, temp_c, frequency_mhz, load;
  bool first; /* of its run */
} reading;

typedef struct series {
  size_t n;
  double top_mhz;
  reading readings[READINGS_MAX];
} series;

enum { IDLE, RISE, LOG_TAU, PARAMETERS };

static double drive(const series *s, const reading *r) {
  return r->load * pow(r->frequency_mhz / s->top_mhz, EXPONENT);
}

/* Residuals, modelled minus measured, of every reading. */
static int residuals(const gsl_vector *x, void *data, gsl_vector *out) {
  const series *s = data;
  double temp = 0, tau = exp(gsl_vector_get(x, LOG_TAU));
  for (size_t i = 0; i < s->n; ++i) {
    const reading *r = &s->readings[i];
    if (r->first) {
      temp = r->temp_c;
    } else {
      double mean = 0.5 * (drive(s, r - 1) + drive(s, r));
      double steady = gsl_vector_get(x, IDLE) + gsl_vector_get(x, RISE) * mean;
      temp = steady + (temp - steady) * exp(-(r->t_s - r[-1].t_s) / tau);
    }
    gsl_vector_set(out, i, temp - r->temp_c);
  }
  return GSL_SUCCESS;
}

/* Runs of sustained load on the GPU, seen by the sensor on the board. */
static cosrel_status read_series(const char *folder, series *s, cosrel_error *error) {
  char path[4096], run[256] = "";
  cosrel_csv csv = {0};
  snprintf(path, sizeof path, "%s/thermal.csv", folder);
  if (access(path, R_OK) != 0) snprintf(path, sizeof path, "%s/thermal.csv.gz", folder);
  cosrel_status status = cosrel_csv_read(path, &csv, error);
  for (uint32_t i = 0; status == COSREL_OK && i < csv.n_rows && s->n < READINGS_MAX; ++i) {
    const char *name = cosrel_csv_cell(&csv, i, "run");
    if (strncmp(name, "stress_thermal_opencl_run", 25) != 0) continue;
    if (strcmp(cosrel_csv_cell(&csv, i, "sensor"), "sys-therm-0") != 0) continue;
    reading *r = &s->readings[s->n++];
    *r = (reading){.t_s = cosrel_csv_number(&csv, i, "t_s", -1),
                   .temp_c = cosrel_csv_number(&csv, i, "temp_c", -1000),
                   .frequency_mhz = 1e-6 * cosrel_csv_number(&csv, i, "gpu_hz", 0),
                   .load = 0.01 * cosrel_csv_number(&csv, i, "gpu_load_pct", -1),
                   .first = strncmp(name, run, sizeof run - 1) != 0};
    snprintf(run, sizeof run, "%s", name);
    if (r->frequency_mhz > s->top_mhz) s->top_mhz = r->frequency_mhz;
    if (r->temp_c < -100 || !(r->frequency_mhz > 0) || r->load < 0 || r->load > 1 ||
        (!r->first && !(r->t_s > r[-1].t_s)))
      status = cosrel_fail(error, COSREL_FORMAT, "%s: row %u: expected rising t_s, temp_c, gpu_hz > 0, gpu_load_pct",
                           path, i + 2);
  }
  if (status == COSREL_OK && s->n < 20)
    status = cosrel_fail(error, COSREL_FORMAT, "%s: expected at least 20 readings of sys-therm-0", path);
  cosrel_csv_clear(&csv);
  return status;
}

/* Fills x with the parameters and se with their standard errors; returns the root of the mean squared residual, < 0
 * when the fit fails. */
static double fit(series *s, double x[PARAMETERS], double se[PARAMETERS]) {
  static const double start[PARAMETERS] = {[IDLE] = 35, [RISE] = 20, [LOG_TAU] = 3};
  gsl_multifit_nlinear_parameters options = gsl_multifit_nlinear_default_parameters();
  gsl_multifit_nlinear_fdf system = {.f = residuals, .n = s->n, .p = PARAMETERS, .params = s};
  gsl_multifit_nlinear_workspace *w =
      gsl_multifit_nlinear_alloc(gsl_multifit_nlinear_trust, &options, s->n, PARAMETERS);
  gsl_matrix *covariance = gsl_matrix_alloc(PARAMETERS, PARAMETERS);
  double rms = -1, squares = 0;
  int info;
  gsl_vector_const_view begin = gsl_vector_const_view_array(start, PARAMETERS);
  if (w != NULL && covariance != NULL && gsl_multifit_nlinear_init(&begin.vector, &system, w) == GSL_SUCCESS &&
      gsl_multifit_nlinear_driver(200, 1e-10, 1e-10, 0, NULL, NULL, &info, w) == GSL_SUCCESS) {
    const gsl_vector *rest = gsl_multifit_nlinear_residual(w);
    for (size_t i = 0; i < s->n; ++i) squares += gsl_vector_get(rest, i) * gsl_vector_get(rest, i);
    rms = sqrt(squares / (double)s->n);
    gsl_multifit_nlinear_covar(gsl_multifit_nlinear_jac(w), 0, covariance);
    for (size_t k = 0; k < PARAMETERS; ++k) {
      x[k] = gsl_vector_get(w->x, k);
      se[k] = sqrt(gsl_matrix_get(covariance, k, k) * squares / (double)(s->n - PARAMETERS));
    }
  }
  gsl_matrix_free(covariance);
  gsl_multifit_nlinear_free(w);
  return rms;
}

/* Medians over all runs: where the frequency fell and rose under load, and what it was in the second half of each run.
 */
typedef struct throttling {
  size_t n_down, n_up, n_late;
  double down_c, up_c, late_mhz;
} throttling;

static throttling find_throttling(const series *s) {
  static double down[READINGS_MAX], up[READINGS_MAX], late[READINGS_MAX];
  throttling t = {0};
  for (size_t i = 1; i < s->n; ++i) {
    const reading *r = &s->readings[i];
    if (r->first || r->load < LOADED || r[-1].load < LOADED) continue;
    if (r->frequency_mhz < FALL * r[-1].frequency_mhz) down[t.n_down++] = r->temp_c;
    if (r->frequency_mhz > r[-1].frequency_mhz) up[t.n_up++] = r->temp_c;
    if (r->t_s > 50) late[t.n_late++] = r->frequency_mhz;
  }
  gsl_sort(down, 1, t.n_down);
  gsl_sort(up, 1, t.n_up);
  gsl_sort(late, 1, t.n_late);
  t.down_c = gsl_stats_median_from_sorted_data(down, 1, t.n_down);
  t.up_c = gsl_stats_median_from_sorted_data(up, 1, t.n_up);
  t.late_mhz = gsl_stats_median_from_sorted_data(late, 1, t.n_late);
  return t;
}

static void put(FILE *f, const char *quantity, const char *unit, double value, double se, size_t n, const char *what) {
  fprintf(f, "%s,phone,%s,%.4g,%.2g,%zu,fitted,%s (%s; Snapdragon 8 Elite)\n", quantity, unit, value, se, n, what,
          source);
}

static cosrel_status write_figures(const char *folder, series *s, cosrel_error *error) {
  double x[PARAMETERS], se[PARAMETERS], rms = fit(s, x, se);
  if (rms < 0) return cosrel_fail(error, COSREL_FORMAT, "thermal: no fit");
  throttling t = find_throttling(s);
  if (t.n_down == 0 || t.n_up == 0 || t.n_late == 0)
    return cosrel_fail(error, COSREL_FORMAT, "thermal: expected runs in which the frequency falls and rises");
  char path[4096];
  cosrel_atomic out;
  snprintf(path, sizeof path, "%s/thermal.csv", folder);
  cosrel_status status = cosrel_atomic_begin(path, &out, error);
  if (status) return status;
  double tau = exp(x[LOG_TAU]);
  fprintf(out.file, "quantity,of,unit,value,standard_error,n,tag,source\n");
  put(out.file, "idle_temperature", "C", x[IDLE], se[IDLE], s->n, "steady temperature with the GPU idle");
  put(out.file, "temperature_rise", "K", x[RISE], se[RISE], s->n,
      "steady rise with the GPU busy at its top frequency; at others it goes with the square");
  put(out.file, "time_constant", "s", tau, tau * se[LOG_TAU], s->n, "time constant");
  put(out.file, "residual", "K", rms, 0, s->n, "root mean square of modelled minus measured temperature");
  put(out.file, "throttle_above", "C", t.down_c, 0, t.n_down,
      "median temperature at which the frequency fell by more than a fifth");
  put(out.file, "throttle_below", "C", t.up_c, 0, t.n_up, "median temperature at which it rose again");
  put(out.file, "throttled_speed", "ratio", t.late_mhz / s->top_mhz, 0, t.n_late,
      "median frequency after 50 s of load over the top one");
  printf(
      "%zu readings: steady %.1f C idle, %.1f K more at %.0f MHz, ~ f^%g, time constant %.1f s; residual %.2f K "
      "rms\nthrottled above %.1f C, lifted below %.1f C, %.0f MHz after 50 s\n",
      s->n, x[IDLE], x[RISE], s->top_mhz, EXPONENT, tau, rms, t.down_c, t.up_c, t.late_mhz);
  return cosrel_atomic_commit(&out, error);
}

int main(int argc, char **argv) {
  if (argc != 3 || strcmp(argv[1], "--help") == 0) {
    bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    fprintf(help ? stdout : stderr,
            "usage: fit_thermal FOLDER FIGURES\n"
            "FOLDER: a table of measured temperatures and frequencies (thermal.csv or thermal.csv.gz)\n"
            "FIGURES: where thermal.csv is written\n"
            "example: fit_thermal ~/tables traces/figures\n");
    return help ? 0 : 2;
  }
  gsl_set_error_handler_off();
  cosrel_error error = {0};
  series *s = calloc(1, sizeof *s);
  cosrel_status status = s == NULL ? COSREL_NOMEM : read_series(argv[1], s, &error);
  if (status == COSREL_OK) status = write_figures(argv[2], s, &error);
  free(s);
  if (status) fprintf(stderr, "fit_thermal: %s\n", error.text[0] ? error.text : cosrel_status_text(status));
  return status ? 2 : 0;
}
