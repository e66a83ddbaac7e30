#include "backends/profile_join.h"

#include <stdlib.h>
#include <string.h>

#include "sched/check.h"

static cosrel_status expect_same_processors(const cosrel_profile *fresh, const cosrel_profile *old, const char *where,
                                            cosrel_error *error) {
  if (fresh->n_processors != old->n_processors)
    return cosrel_fail(error, COSREL_INVALID, "%s: expected the same processors, %u of them, got %u", where,
                       fresh->n_processors, old->n_processors);
  for (uint32_t p = 0; p < fresh->n_processors; p++) {
    const cosrel_processor *a = &fresh->processors[p], *b = &old->processors[p];
    if (strcmp(a->name, b->name) != 0 || strcmp(a->backend, b->backend) != 0)
      return cosrel_fail(error, COSREL_INVALID, "%s: processors[%u]: expected %.120s, got %.120s (%s)", where, p,
                         a->backend, b->backend, b->name);
  }
  return COSREL_OK;
}

/* ---- Models that were not measured now ---- */

/* Index of `text` among the sources, added if it is new; the room is there. */
static uint16_t source_of(cosrel_profile *profile, const char *text) {
  uint32_t i = 0;
  while (i < profile->n_sources && strcmp(profile->sources[i], text) != 0) i++;
  if (i == profile->n_sources) memcpy(profile->sources[profile->n_sources++], text, strlen(text) + 1);
  return (uint16_t)i;
}

static cosrel_status add_model(cosrel_profile *fresh, const cosrel_profile *old, uint32_t m) {
  const cosrel_model *from = &old->models[m].model;
  cosrel_profile_model *to = &fresh->models[fresh->n_models++]; /* counted at once, so that clearing finds it */
  size_t n_costs = (size_t)from->n_units * old->n_processors * COSREL_PRECISION_COUNT;
  *to = old->models[m];
  to->model.units = malloc(from->n_units * sizeof *from->units);
  to->model.inputs = malloc(from->n_edges * sizeof *from->inputs);
  to->costs = malloc(n_costs * sizeof *to->costs);
  if (to->model.units == NULL || to->model.inputs == NULL || to->costs == NULL) return COSREL_NOMEM;
  memcpy(to->model.units, from->units, from->n_units * sizeof *from->units);
  memcpy(to->model.inputs, from->inputs, from->n_edges * sizeof *from->inputs);
  memcpy(to->costs, old->models[m].costs, n_costs * sizeof *to->costs);
  for (size_t i = 0; i < n_costs; i++)
    if (to->costs[i].mean_ns >= 0)
      to->costs[i].origin.source = source_of(fresh, old->sources[to->costs[i].origin.source]);
  return COSREL_OK;
}

cosrel_status cosrel_profile_merge(cosrel_profile *fresh, const cosrel_profile *old, const char *where,
                                   cosrel_error *error) {
  COSREL_TRY(expect_same_processors(fresh, old, where, error));
  cosrel_profile_model *models = realloc(fresh->models, (fresh->n_models + old->n_models) * sizeof *models);
  if (models != NULL) fresh->models = models;
  void *sources = realloc(fresh->sources, (fresh->n_sources + old->n_sources) * sizeof *fresh->sources);
  if (sources != NULL) fresh->sources = sources;
  cosrel_status status = models != NULL && sources != NULL ? COSREL_OK : COSREL_NOMEM;
  for (uint32_t m = 0; m < old->n_models && status == COSREL_OK; m++)
    if (cosrel_profile_find_model(fresh, old->models[m].model.name) < 0) status = add_model(fresh, old, m);
  if (status != COSREL_OK) return cosrel_fail(error, status, "%s: %s", where, cosrel_status_text(status));
  return cosrel_profile_check(fresh, where, error);
}

/* ---- The same, measured again ---- */

static cosrel_status expect_same_models(const cosrel_profile *mean, const cosrel_profile *next, const char *where,
                                        cosrel_error *error) {
  if (mean->n_models != next->n_models)
    return cosrel_fail(error, COSREL_INVALID, "%s: expected the same %u models, got %u", where, mean->n_models,
                       next->n_models);
  for (uint32_t m = 0; m < mean->n_models; m++) {
    const cosrel_profile_model *a = &mean->models[m], *b = &next->models[m];
    if (strcmp(a->model.name, b->model.name) != 0 || strcmp(a->fingerprint, b->fingerprint) != 0 ||
        a->model.n_units != b->model.n_units)
      return cosrel_fail(error, COSREL_INVALID, "%s: models[%u]: expected %s, as in the others, got %s", where, m,
                         a->model.name, strcmp(a->model.name, b->model.name) != 0 ? b->model.name : "another version");
    size_t n_costs = (size_t)a->model.n_units * mean->n_processors * COSREL_PRECISION_COUNT;
    for (size_t i = 0; i < n_costs; i++)
      if ((a->costs[i].mean_ns < 0) != (b->costs[i].mean_ns < 0))
        return cosrel_fail(error, COSREL_INVALID, "%s: models[%u]: expected costs of what the others have costs of",
                           where, m);
  }
  return COSREL_OK;
}

static void average(double *mean, double n, double next) { *mean = (n * *mean + next) / (n + 1); }

static void average_processor(cosrel_processor *mean, double n, const cosrel_processor *next) {
  average(&mean->launch_ns, n, next->launch_ns);
  average(&mean->load_ns, n, next->load_ns);
  average(&mean->load_ns_per_byte, n, next->load_ns_per_byte);
  for (uint32_t i = 0; i < mean->n_points && i < next->n_points; i++) {
    average(&mean->points[i].busy_w, n, next->points[i].busy_w);
    average(&mean->points[i].idle_w, n, next->points[i].idle_w);
  }
}

/* Of bytes the most count: a tuner may pack a layer otherwise from run to run, and a budget must hold. */
static void average_cost(cosrel_profile *mean, double n, const cosrel_profile *next, uint32_t m, uint32_t u, uint32_t p,
                         cosrel_precision precision) {
  cosrel_cost *cost = cosrel_profile_cost(mean, m, u, p, precision);
  const cosrel_cost *other = cosrel_profile_cost(next, m, u, p, precision);
  uint64_t bytes = cosrel_profile_weight_bytes(mean, m, u, p, precision),
           other_bytes = cosrel_profile_weight_bytes(next, m, u, p, precision);
  if (cost->mean_ns < 0) return;
  average(&cost->mean_ns, n, other->mean_ns);
  average(&cost->cv, n, other->cv);
  average(&cost->beta, n, other->beta);
  cost->has_weight_bytes = cost->has_weight_bytes || other->has_weight_bytes;
  cost->weight_bytes = bytes > other_bytes ? bytes : other_bytes;
}

cosrel_status cosrel_profile_average(cosrel_profile *mean, uint32_t n, const cosrel_profile *next, const char *where,
                                     cosrel_error *error) {
  COSREL_TRY(expect_same_processors(mean, next, where, error));
  COSREL_TRY(expect_same_models(mean, next, where, error));
  uint32_t n_processors = mean->n_processors;
  for (uint32_t p = 0; p < n_processors; p++) {
    average_processor(&mean->processors[p], n, &next->processors[p]);
    for (uint32_t q = 0; q < n_processors; q++) {
      average(&mean->links[p][q].latency_ns, n, next->links[p][q].latency_ns);
      average(&mean->links[p][q].ns_per_byte, n, next->links[p][q].ns_per_byte);
      average(&mean->kappa[p][q], n, next->kappa[p][q]);
    }
  }
  average(&mean->base_w, n, next->base_w);
  for (uint32_t m = 0; m < mean->n_models; m++)
    for (uint32_t u = 0; u < mean->models[m].model.n_units; u++)
      for (uint32_t p = 0; p < n_processors; p++)
        for (int k = 0; k < COSREL_PRECISION_COUNT; k++) average_cost(mean, n, next, m, u, p, (cosrel_precision)k);
  return COSREL_OK;
}
