#include "agent/devices.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rng.h"

enum {
  DRAW_TWIN = 1,
  DRAW_TWIN_OF,
  DRAW_SPEED,
  DRAW_MODEL,
  DRAW_KIND,
  DRAW_LAUNCH,
  DRAW_LATENCY,
  DRAW_BYTES,
  DRAW_KAPPA,
  DRAW_WATTS
};

/* exp of a uniform number between log(low) and log(high). */
static double factor(uint64_t key, uint64_t draw, uint64_t index, double low, double high) {
  double u = cosrel_rng_uniform(cosrel_rng_key(cosrel_rng_key(key, draw), index));
  return low * pow(high / low, u);
}

/* A link between two processors, `from` naming those of `profile` that they are like. */
static cosrel_link draw_link(const cosrel_profile *profile, uint64_t key, uint32_t a, uint32_t b,
                             const uint32_t *from) {
  if (a == b) return profile->links[0][0]; /* the diagonal is zero */
  cosrel_link link = profile->links[from[a]][from[b]];
  if (from[a] == from[b]) link = (cosrel_link){.latency_ns = 30000, .ns_per_byte = 0.05}; /* twins share a cache */
  link.latency_ns *= factor(key, DRAW_LATENCY, a * COSREL_PROCESSORS_MAX + b, 0.125, 2);
  link.ns_per_byte *= factor(key, DRAW_BYTES, a * COSREL_PROCESSORS_MAX + b, 0.5, 2);
  return link;
}

static void draw_costs(const cosrel_profile *profile, uint64_t key, uint32_t m, const uint32_t *from,
                       const double *slower, cosrel_profile *out) {
  const cosrel_model *model = &profile->models[m].model;
  for (uint32_t p = 0; p < out->n_processors; p++) {
    double of_model = slower[p] * factor(key, DRAW_MODEL, m * COSREL_PROCESSORS_MAX + p, 0.7, 1.4);
    for (uint32_t u = 0; u < model->n_units; u++) {
      uint32_t kind = (uint32_t)model->units[u].kind;
      double scale = of_model * factor(key, DRAW_KIND, kind * COSREL_PROCESSORS_MAX + p, 0.7, 1.4);
      for (int k = 0; k < COSREL_PRECISION_COUNT; k++) {
        cosrel_cost cost = *cosrel_profile_cost(profile, m, u, from[p], (cosrel_precision)k);
        if (cost.mean_ns >= 0) cost.mean_ns *= scale;
        *cosrel_profile_cost(out, m, u, p, (cosrel_precision)k) = cost;
      }
    }
  }
}

cosrel_status cosrel_device_draw(const cosrel_profile *profile, uint64_t key, cosrel_profile *out,
                                 cosrel_error *error) {
  uint32_t from[COSREL_PROCESSORS_MAX], P = profile->n_processors;
  double slower[COSREL_PROCESSORS_MAX];
  *out = *profile;
  for (uint32_t p = 0; p < P; p++) from[p] = p, slower[p] = 1;
  if (P < COSREL_PROCESSORS_MAX && cosrel_rng_uniform(cosrel_rng_key(key, DRAW_TWIN)) < 0.5) {
    from[P] = cosrel_rng_below(cosrel_rng_key(key, DRAW_TWIN_OF), P);
    slower[P] = factor(key, DRAW_TWIN, 1, 1.3, 4);
    out->processors[P] = profile->processors[from[P]];
    snprintf(out->processors[P].name, sizeof out->processors[P].name, "twin");
    out->n_processors = ++P;
  }
  for (uint32_t p = 0; p < P; p++) {
    cosrel_processor *processor = &out->processors[p];
    slower[p] *= factor(key, DRAW_SPEED, p, 0.5, 2);
    processor->launch_ns *= factor(key, DRAW_LAUNCH, p, 0.33, 3);
    double watts = factor(key, DRAW_WATTS, p, 0.6, 1.6) / sqrt(slower[p]);
    for (uint32_t i = 0; i < processor->n_points; i++) processor->points[i].busy_w *= watts;
    for (uint32_t q = 0; q < P; q++) {
      out->kappa[p][q] = p == q ? 0 : from[p] == from[q] ? 0.3 : profile->kappa[from[p]][from[q]];
      out->kappa[p][q] *= factor(key, DRAW_KAPPA, p * COSREL_PROCESSORS_MAX + q, 0.4, 2);
      out->links[p][q] = draw_link(profile, key, p, q, from);
    }
  }
  for (uint32_t i = 0; i < out->thermal.n_steps; i++) /* the twin is throttled like what it is a copy of */
    if (P > profile->n_processors) out->thermal.steps[i].cap[P - 1] = profile->thermal.steps[i].cap[from[P - 1]];

  out->models = calloc(profile->n_models, sizeof *out->models);
  if (out->models == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for a random device");
  for (uint32_t m = 0; m < profile->n_models; m++) {
    out->models[m].model = profile->models[m].model;
    out->models[m].costs =
        calloc((size_t)profile->models[m].model.n_units * P * COSREL_PRECISION_COUNT, sizeof(cosrel_cost));
    if (out->models[m].costs == NULL) {
      cosrel_device_clear_costs(out);
      return cosrel_fail(error, COSREL_NOMEM, "no memory for a random device");
    }
    draw_costs(profile, key, m, from, slower, out);
  }
  return COSREL_OK;
}

void cosrel_device_clear_costs(cosrel_profile *device) {
  for (uint32_t m = 0; device->models != NULL && m < device->n_models; m++) free(device->models[m].costs);
  free(device->models);
  device->models = NULL;
  device->n_models = 0;
}
