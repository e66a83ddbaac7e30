#include "backends/contention.h"

#include <gsl/gsl_fit.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <pthread.h>

#include "backends/monotonic.h"
#include "sched/check.h"

enum { REPEATS = 7, PAIRS_MAX = COSREL_LOADS_MAX * COSREL_LOADS_MAX, SEGMENTS_LEAST = 2 };

static double now_ns(void) { return (double)cosrel_monotonic_now(); }

/* One processor running one segment over and over until `until`; then `ns` is the mean of those that began before. */
typedef struct loop {
  const cosrel_machine *machine;
  uint32_t p;
  const cosrel_load *load;
  double until, ns;
  cosrel_status status;
} loop;

static void *run_loop(void *self) {
  loop *l = self;
  const cosrel_load *load = l->load;
  cosrel_machine_bind(l->machine, l->p);
  l->status = cosrel_bench_prepare(load->bench, load->begin);
  double start = now_ns(), end = start;
  uint32_t n = 0;
  for (; (n == 0 || end < l->until) && l->status == COSREL_OK; n++) {
    l->status = cosrel_bench_run(load->bench, load->begin, load->end);
    end = now_ns();
  }
  l->ns = n > 0 ? (end - start) / n : 0;
  return NULL;
}

/* Runs n loops at once for `window` ns. */
static cosrel_status run_loops(loop *loops, uint32_t n, double window, cosrel_error *error) {
  pthread_t threads[2];
  uint32_t started = 0;
  double until = now_ns() + window;
  for (; started < n; started++) {
    loops[started].until = until;
    if (pthread_create(&threads[started], NULL, run_loop, &loops[started]) != 0) break;
  }
  for (uint32_t i = 0; i < started; i++) pthread_join(threads[i], NULL);
  if (started < n) return cosrel_fail(error, COSREL_NOMEM, "no thread to measure contention");
  for (uint32_t i = 0; i < n; i++)
    if (loops[i].status != COSREL_OK)
      return cosrel_fail(error, loops[i].status, "%s: contention cannot be measured: %s",
                         loops[i].machine->specs[loops[i].p].processor, cosrel_status_text(loops[i].status));
  return COSREL_OK;
}

/* How many times longer a and b take at once than alone: the medians over short turns of alone and at once, since a
 * machine that others share changes its speed from second to second. */
static cosrel_status slowdowns(loop a, loop b, double window, double *slow_a, double *slow_b, cosrel_error *error) {
  double ratio_a[REPEATS], ratio_b[REPEATS];
  for (int i = 0; i < REPEATS; i++) {
    COSREL_TRY(run_loops(&a, 1, window, error));
    COSREL_TRY(run_loops(&b, 1, window, error));
    loop both[2] = {a, b};
    COSREL_TRY(run_loops(both, 2, window, error));
    ratio_a[i] = both[0].ns / a.ns;
    ratio_b[i] = both[1].ns / b.ns;
  }
  *slow_a = gsl_stats_median(ratio_a, 1, REPEATS);
  *slow_b = gsl_stats_median(ratio_b, 1, REPEATS);
  return COSREL_OK;
}

/* y = kappa x by least squares. */
static double fit(const double *x, const double *y, uint32_t n) {
  double kappa = 0, variance, chi2, xx = 0;
  for (uint32_t i = 0; i < n; i++) xx += x[i] * x[i];
  if (xx > 0) gsl_fit_mul(x, 1, y, 1, n, &kappa, &variance, &chi2);
  return fmin(fmax(kappa, 0), 100);
}

cosrel_status cosrel_measure_contention(const cosrel_machine *machine, uint32_t p, const cosrel_load *a, uint32_t n_a,
                                        uint32_t q, const cosrel_load *b, uint32_t n_b, cosrel_time time,
                                        double *kappa_p, double *kappa_q, cosrel_error *error) {
  double x[PAIRS_MAX], y_p[PAIRS_MAX], y_q[PAIRS_MAX];
  uint32_t n = 0;
  for (uint32_t i = 0; i < n_a; i++)
    for (uint32_t k = 0; k < n_b; k++, n++) {
      double window = fmax((double)time / (n_a * n_b) / (3 * REPEATS), SEGMENTS_LEAST * fmax(a[i].ns, b[k].ns));
      double slow_p, slow_q;
      COSREL_TRY(slowdowns((loop){.machine = machine, .p = p, .load = &a[i]},
                           (loop){.machine = machine, .p = q, .load = &b[k]}, window, &slow_p, &slow_q, error));
      x[n] = a[i].beta * b[k].beta;
      y_p[n] = slow_p - 1;
      y_q[n] = slow_q - 1;
    }
  *kappa_p = fit(x, y_p, n);
  *kappa_q = fit(x, y_q, n);
  return COSREL_OK;
}
