#include "agent/mixes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "sched/rng.h"

static double between(uint64_t key, uint64_t draw, double low, double high) {
  return low + (high - low) * cosrel_rng_uniform(cosrel_rng_key(key, draw));
}

/* Least ns of running the whole model on one processor, in the precisions given; infinite when none can. */
static double whole_model_ns(const cosrel_profile *profile, uint32_t model, uint32_t precisions) {
  double best = INFINITY;
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    double total = profile->processors[p].launch_ns;
    for (uint32_t u = 0; u < profile->models[model].model.n_units; u++) {
      double least = INFINITY;
      for (uint32_t k = 0; k < COSREL_PRECISION_COUNT; k++) {
        double mean = cosrel_profile_cost(profile, model, u, p, (cosrel_precision)k)->mean_ns;
        if (precisions >> k & 1 && mean >= 0) least = fmin(least, mean);
      }
      total += least;
    }
    best = fmin(best, total);
  }
  return best;
}

/* Member number n of a set. */
static uint32_t member(uint64_t set, uint32_t n) {
  while (n-- > 0) set &= set - 1;
  uint32_t at = 0;
  while (!(set >> at & 1)) at++;
  return at;
}

static uint32_t count(uint64_t set) {
  uint32_t n = 0;
  for (; set != 0; set &= set - 1) n++;
  return n;
}

static void draw_stream(const cosrel_profile *profile, uint64_t models, uint64_t key, cosrel_stream *stream) {
  const uint32_t all = (1u << COSREL_PRECISION_COUNT) - 1, floating = 1u << COSREL_FP32 | 1u << COSREL_FP16;
  uint32_t model = member(models, cosrel_rng_below(cosrel_rng_key(key, 1), count(models)));
  stream->precisions = between(key, 2, 0, 1) < 0.8 ? all : floating;
  double whole = whole_model_ns(profile, model, stream->precisions);
  if (whole == INFINITY) stream->precisions = all, whole = whole_model_ns(profile, model, all);
  if (whole == INFINITY) whole = 1e7; /* runs on several processors only; a guess is enough for a rate */
  memcpy(stream->model, profile->models[model].model.name, sizeof stream->model);
  double share = exp(0.8 * cosrel_rng_normal(cosrel_rng_key(key, 3)));
  stream->arrivals = (cosrel_arrivals){
      .kind = COSREL_ARRIVALS_POISSON, .rate_hz = share * 1e9 / whole, .jitter = between(key, 4, 0, 0.2), .phase = -1};
  if (between(key, 5, 0, 1) < 0.7) stream->deadline = (cosrel_time)(whole * between(key, 6, 1.3, 6));
  stream->priority = 1;
  stream->queue_limit = 1 + cosrel_rng_below(cosrel_rng_key(key, 7), 4);
  stream->drop = between(key, 8, 0, 1) < 0.75 ? COSREL_DROP_OLDEST : COSREL_DROP_NEWEST;
  stream->drop_late = between(key, 9, 0, 1) < 0.85;
}

void cosrel_mix_draw(const cosrel_profile *profile, uint64_t models, uint64_t key, cosrel_workload *out) {
  memset(out, 0, sizeof *out);
  snprintf(out->name, sizeof out->name, "mix-%016llx", (unsigned long long)key);
  out->objective = (cosrel_objective){1, 0.25, 0.05};
  out->n_streams = 2 + cosrel_rng_below(cosrel_rng_key(key, 0), 5);
  for (uint32_t s = 0; s < out->n_streams; s++) {
    snprintf(out->streams[s].name, sizeof out->streams[s].name, "s%u", s);
    draw_stream(profile, models, cosrel_rng_key(key, 100 + s), &out->streams[s]);
  }
}
