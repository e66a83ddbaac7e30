#include "experiments/timing.h"

#include <stdlib.h>
#include <string.h>

#include "backends/monotonic.h"

double cosrel_clock_ns(void) { return (double)cosrel_monotonic_now(); }

static void timed_reset(void *self) {
  cosrel_timing *timing = self;
  timing->inner.ops->reset(timing->inner.self);
}

static cosrel_candidate timed_decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  cosrel_timing *timing = self;
  double before = cosrel_clock_ns();
  cosrel_candidate choice = timing->inner.ops->decide(timing->inner.self, c, state);
  double spent = cosrel_clock_ns() - before - timing->floor_ns;
  if (timing->n < COSREL_TIMING_SAMPLES_MAX) timing->ns[timing->n++] = spent > 0 ? (float)spent : 0.0f;
  return choice;
}

cosrel_status cosrel_timing_create(cosrel_policy inner, cosrel_timing *out) {
  memset(out, 0, sizeof *out);
  out->ns = malloc(COSREL_TIMING_SAMPLES_MAX * sizeof *out->ns);
  if (out->ns == NULL) return COSREL_NOMEM;
  out->inner = inner;
  out->ops = *inner.ops;
  out->ops.reset = timed_reset;
  out->ops.decide = timed_decide;
  out->floor_ns = 1e9;
  for (int i = 0; i < 1000; i++) {
    double before = cosrel_clock_ns(), spent = cosrel_clock_ns() - before;
    if (spent < out->floor_ns) out->floor_ns = spent;
  }
  return COSREL_OK;
}

cosrel_policy cosrel_timing_policy(cosrel_timing *timing) { return (cosrel_policy){&timing->ops, timing}; }

static int compare_floats(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

double cosrel_timing_quantile(cosrel_timing *timing, double q) {
  if (timing->n == 0) return 0;
  qsort(timing->ns, timing->n, sizeof *timing->ns, compare_floats);
  return (double)timing->ns[(uint32_t)(q * (timing->n - 1))];
}

void cosrel_timing_destroy(cosrel_timing *timing) {
  free(timing->ns);
  memset(timing, 0, sizeof *timing);
}
