#include "sched/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/check.h"

/* The upper ends are far beyond any device; they keep sums and products of profile numbers finite. */
static const cosrel_range range_ns = {0.0, 1e12, false};
static const cosrel_range range_mean_ns = {0.0, 1e12, true};
static const cosrel_range range_ns_per_byte = {0.0, 1e6, false};
static const cosrel_range range_cv = {0.0, 10.0, false};
static const cosrel_range range_share = {0.0, 1.0, false};
static const cosrel_range range_speed = {0.0, 1.0, true};
static const cosrel_range range_mhz = {0.0, 1e6, true};
static const cosrel_range range_w = {0.0, 1e4, false};
static const cosrel_range range_kappa = {0.0, 100.0, false};
static const cosrel_range range_c = {-100.0, 200.0, false};
static const cosrel_range range_k_per_w = {0.0, 1e3, true};
static const cosrel_range range_time_constant_s = {0.0, 1e6, true};
static const cosrel_range range_check_ms = {1.0, 1e6, false};

static const char *const precision_names[COSREL_PRECISION_COUNT] = {
#define X(name, text, bytes) [COSREL_##name] = text,
    COSREL_PRECISION_MAP(X)
#undef X
};

static const char *const tag_names[COSREL_TAG_COUNT] = {
#define X(name, text) [COSREL_TAG_##name] = text,
    COSREL_TAG_MAP(X)
#undef X
};

uint32_t cosrel_precision_bytes(cosrel_precision precision) {
  static const uint32_t sizes[COSREL_PRECISION_COUNT] = {
#define X(name, text, bytes) [COSREL_##name] = bytes,
      COSREL_PRECISION_MAP(X)
#undef X
  };
  return (unsigned)precision < COSREL_PRECISION_COUNT ? sizes[precision] : 0;
}

const char *cosrel_precision_name(cosrel_precision precision) {
  return (unsigned)precision < COSREL_PRECISION_COUNT ? precision_names[precision] : "unknown";
}

const char *cosrel_tag_name(cosrel_tag tag) { return (unsigned)tag < COSREL_TAG_COUNT ? tag_names[tag] : "unknown"; }

int cosrel_precision_from_name(const char *name) {
  for (int i = 0; i < COSREL_PRECISION_COUNT; i++) {
    if (strcmp(precision_names[i], name) == 0) return i;
  }
  return -1;
}

int cosrel_tag_from_name(const char *name) {
  for (int i = 0; i < COSREL_TAG_COUNT; i++) {
    if (strcmp(tag_names[i], name) == 0) return i;
  }
  return -1;
}

uint64_t cosrel_profile_weight_bytes(const cosrel_profile *profile, uint32_t model, uint32_t unit, uint32_t processor,
                                     cosrel_precision precision) {
  const cosrel_cost *cost = cosrel_profile_cost(profile, model, unit, processor, precision);
  if (cost->has_weight_bytes) return cost->weight_bytes;
  return profile->models[model].model.units[unit].weights * cosrel_precision_bytes(precision);
}

int cosrel_profile_find_model(const cosrel_profile *profile, const char *name) {
  for (uint32_t m = 0; m < profile->n_models; m++) {
    if (strcmp(profile->models[m].model.name, name) == 0) return (int)m;
  }
  return -1;
}

int cosrel_profile_find_processor(const cosrel_profile *profile, const char *name) {
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    if (strcmp(profile->processors[p].name, name) == 0) return (int)p;
  }
  return -1;
}

static bool processor_name_is_good(const char name[16]) {
  size_t length = strnlen(name, 16);
  return length > 0 && length < 16 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static bool origin_is_good(const cosrel_profile *profile, cosrel_origin origin) {
  return origin.tag < COSREL_TAG_COUNT && origin.source < profile->n_sources;
}

static cosrel_status check_origin(const cosrel_profile *profile, cosrel_origin origin, const char *where,
                                  const char *place, cosrel_error *error) {
  if (origin.tag >= COSREL_TAG_COUNT) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: %s.tag: expected a tag below %d, got %d", where, place,
                       COSREL_TAG_COUNT, origin.tag);
  }
  if (origin.source >= profile->n_sources) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: %s.source: expected an index into the %u sources, got %u", where,
                       place, profile->n_sources, origin.source);
  }
  return COSREL_OK;
}

static cosrel_status check_count(uint32_t count, uint32_t least, uint32_t most, const char *where, const char *place,
                                 cosrel_error *error) {
  if (count < least) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: %s: expected at least %u, got %u", where, place, least, count);
  }
  if (count > most) {
    return cosrel_fail(error, COSREL_LIMIT, "%s: %s: expected at most %u, got %u", where, place, most, count);
  }
  return COSREL_OK;
}

static cosrel_status check_processor(const cosrel_profile *profile, uint32_t p, const char *where,
                                     cosrel_error *error) {
  const cosrel_processor *processor = &profile->processors[p];
  char place[64];
  snprintf(place, sizeof place, "processors[%u].name", p);
  if (!processor_name_is_good(processor->name)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: %s: expected 1 to 15 of a-z, 0-9 and '-'", where, place);
  }
  for (uint32_t q = 0; q < p; q++) {
    if (strcmp(processor->name, profile->processors[q].name) == 0) {
      return cosrel_fail(error, COSREL_FORMAT, "%s: %s: expected a name used once, got '%s' again", where, place,
                         processor->name);
    }
  }
  if (!cosrel_text_is_good(processor->backend, sizeof processor->backend)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: processors[%u].backend: expected at most %d printable bytes", where,
                       p, COSREL_BACKEND_MAX - 1);
  }
  COSREL_TRY(cosrel_check_number(processor->launch_ns, range_ns, error, where, "processors[%u].launch_ns", p));
  snprintf(place, sizeof place, "processors[%u].launch_origin", p);
  COSREL_TRY(check_origin(profile, processor->launch_origin, where, place, error));
  if (processor->memory_bytes > COSREL_COUNT_MAX) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: processors[%u].memory_bytes: expected at most 2^53", where, p);
  }
  COSREL_TRY(cosrel_check_number(processor->load_ns, range_ns, error, where, "processors[%u].load_ns", p));
  COSREL_TRY(cosrel_check_number(processor->load_ns_per_byte, range_ns_per_byte, error, where,
                                 "processors[%u].load_ns_per_byte", p));
  snprintf(place, sizeof place, "processors[%u].load_origin", p);
  COSREL_TRY(check_origin(profile, processor->load_origin, where, place, error));
  snprintf(place, sizeof place, "processors[%u].power_origin", p);
  COSREL_TRY(check_origin(profile, processor->power_origin, where, place, error));
  snprintf(place, sizeof place, "processors[%u].points", p);
  COSREL_TRY(check_count(processor->n_points, 1, COSREL_POINTS_MAX, where, place, error));
  for (uint32_t i = 0; i < processor->n_points; i++) {
    const cosrel_point *point = &processor->points[i];
    COSREL_TRY(cosrel_check_number(point->frequency_mhz, range_mhz, error, where,
                                   "processors[%u].points[%u].frequency_mhz", p, i));
    /* The costs hold at speed 1, so the top point has speed 1; after it, slower and slower. */
    cosrel_range speed = range_speed;
    if (i == 0) {
      speed = (cosrel_range){1.0, 1.0, false};
    } else {
      speed.high = processor->points[i - 1].speed;
    }
    COSREL_TRY(cosrel_check_number(point->speed, speed, error, where, "processors[%u].points[%u].speed", p, i));
    COSREL_TRY(cosrel_check_number(point->busy_w, range_w, error, where, "processors[%u].points[%u].busy_w", p, i));
    COSREL_TRY(cosrel_check_number(point->idle_w, range_w, error, where, "processors[%u].points[%u].idle_w", p, i));
  }
  return COSREL_OK;
}

static cosrel_status check_pair(const cosrel_profile *profile, uint32_t p, uint32_t q, const char *where,
                                cosrel_error *error) {
  const char *from = profile->processors[p].name, *to = profile->processors[q].name;
  const cosrel_link *link = &profile->links[p][q];
  double kappa = profile->kappa[p][q];
  if (p == q) {
    if (link->latency_ns == 0.0 && link->ns_per_byte == 0.0 && kappa == 0.0) return COSREL_OK;
    return cosrel_fail(error, COSREL_FORMAT, "%s: links and contention: expected 0 from '%s' to itself", where, from);
  }
  COSREL_TRY(cosrel_check_number(link->latency_ns, range_ns, error, where, "links.%s.%s.latency_ns", from, to));
  COSREL_TRY(
      cosrel_check_number(link->ns_per_byte, range_ns_per_byte, error, where, "links.%s.%s.ns_per_byte", from, to));
  char place[64];
  snprintf(place, sizeof place, "links.%s.%s", from, to);
  COSREL_TRY(check_origin(profile, link->origin, where, place, error));
  return cosrel_check_number(kappa, range_kappa, error, where, "contention.kappa.%s.%s", from, to);
}

static cosrel_status check_throttle(const cosrel_profile *profile, uint32_t i, const char *where, cosrel_error *error) {
  const cosrel_throttle *step = &profile->thermal.steps[i], *before = i > 0 ? step - 1 : NULL;
  cosrel_range above = range_c, below = {before != NULL ? before->below_c : range_c.low, step->above_c, before != NULL};
  if (before != NULL) above = (cosrel_range){before->above_c, range_c.high, true};
  COSREL_TRY(cosrel_check_number(step->above_c, above, error, where, "thermal.steps[%u].above_c", i));
  COSREL_TRY(cosrel_check_number(step->below_c, below, error, where, "thermal.steps[%u].below_c", i));
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    uint32_t least = before != NULL ? before->cap[p] : 0, points = profile->processors[p].n_points;
    if (step->cap[p] < least || step->cap[p] >= points) {
      return cosrel_fail(error, COSREL_FORMAT, "%s: thermal.steps[%u].caps.%s: expected %u to %u, got %u", where, i,
                         profile->processors[p].name, least, points - 1, step->cap[p]);
    }
  }
  char place[64];
  snprintf(place, sizeof place, "thermal.steps[%u]", i);
  return check_origin(profile, step->origin, where, place, error);
}

static cosrel_status check_thermal(const cosrel_profile *profile, const char *where, cosrel_error *error) {
  const cosrel_thermal *thermal = &profile->thermal;
  COSREL_TRY(check_count(thermal->n_steps, 0, COSREL_THROTTLES_MAX, where, "thermal.steps", error));
  if (thermal->n_steps == 0) return COSREL_OK;
  COSREL_TRY(cosrel_check_number(thermal->ambient_c, range_c, error, where, "thermal.ambient_c"));
  COSREL_TRY(cosrel_check_number(thermal->start_c, range_c, error, where, "thermal.start_c"));
  COSREL_TRY(
      cosrel_check_number(thermal->resistance_k_per_w, range_k_per_w, error, where, "thermal.resistance_k_per_w"));
  COSREL_TRY(
      cosrel_check_number(thermal->time_constant_s, range_time_constant_s, error, where, "thermal.time_constant_s"));
  COSREL_TRY(cosrel_check_number(thermal->check_ms, range_check_ms, error, where, "thermal.check_ms"));
  COSREL_TRY(check_origin(profile, thermal->origin, where, "thermal", error));
  for (uint32_t i = 0; i < thermal->n_steps; i++) COSREL_TRY(check_throttle(profile, i, where, error));
  return COSREL_OK;
}

static cosrel_status check_cost(const cosrel_profile *profile, uint32_t m, uint32_t u, uint32_t p,
                                cosrel_precision precision, const char *where, cosrel_error *error) {
  const cosrel_cost *cost = cosrel_profile_cost(profile, m, u, p, precision);
  const char *processor = profile->processors[p].name, *name = cosrel_precision_name(precision);
#define PLACE "models[%u].units[%u].costs.%s.%s"
  COSREL_TRY(cosrel_check_number(cost->mean_ns, range_mean_ns, error, where, PLACE ".mean_ns", m, u, processor, name));
  COSREL_TRY(cosrel_check_number(cost->cv, range_cv, error, where, PLACE ".cv", m, u, processor, name));
  COSREL_TRY(cosrel_check_number(cost->beta, range_share, error, where, PLACE ".beta", m, u, processor, name));
  if (cost->has_weight_bytes && cost->weight_bytes > COSREL_COUNT_MAX)
    return cosrel_fail(error, COSREL_FORMAT, "%s: " PLACE ".weight_bytes: expected at most 2^53", where, m, u,
                       processor, name);
  if (origin_is_good(profile, cost->origin)) return COSREL_OK;
  char place[128];
  snprintf(place, sizeof place, PLACE, m, u, processor, name);
#undef PLACE
  return check_origin(profile, cost->origin, where, place, error);
}

static cosrel_status check_model(const cosrel_profile *profile, uint32_t m, const char *where, cosrel_error *error) {
  const cosrel_model *model = &profile->models[m].model;
  cosrel_error inner = {""};
  cosrel_status status = cosrel_model_check(model, "", &inner);
  if (status != COSREL_OK) {
    /* The line begins with ": ", the empty name of the model's file; what follows is a place inside models[m]. */
    return cosrel_fail(error, status, "%s: models[%u].%s", where, m, inner.text + 2);
  }
  for (uint32_t other = 0; other < m; other++) {
    if (strcmp(model->name, profile->models[other].model.name) == 0) {
      return cosrel_fail(error, COSREL_FORMAT, "%s: models[%u].name: expected a name used once, got '%s' again", where,
                         m, model->name);
    }
  }
  if (!cosrel_text_is_good(profile->models[m].fingerprint, COSREL_NAME_MAX)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: models[%u].fingerprint: expected at most %d printable bytes", where,
                       m, COSREL_NAME_MAX - 1);
  }
  if (profile->models[m].costs == NULL) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: models[%u]: expected costs", where, m);
  }
  for (uint32_t u = 0; u < model->n_units; u++) {
    bool can_run = false;
    for (uint32_t p = 0; p < profile->n_processors; p++) {
      for (int precision = 0; precision < COSREL_PRECISION_COUNT; precision++) {
        if (cosrel_profile_cost(profile, m, u, p, (cosrel_precision)precision)->mean_ns < 0.0) continue;
        COSREL_TRY(check_cost(profile, m, u, p, (cosrel_precision)precision, where, error));
        can_run = true;
      }
    }
    if (!can_run) {
      return cosrel_fail(error, COSREL_FORMAT, "%s: models[%u].units[%u].costs: expected a processor that can run it",
                         where, m, u);
    }
  }
  return COSREL_OK;
}

cosrel_status cosrel_profile_check(const cosrel_profile *profile, const char *where, cosrel_error *error) {
  if (!cosrel_name_is_good(profile->name)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: name: expected 1 to %d printable bytes", where, COSREL_NAME_MAX - 1);
  }
  const struct {
    const char *key, *text;
  } fingerprint[] = {{"soc", profile->soc}, {"driver", profile->driver}, {"runtime", profile->runtime}};
  for (size_t i = 0; i < sizeof fingerprint / sizeof fingerprint[0]; i++) {
    if (!cosrel_text_is_good(fingerprint[i].text, COSREL_NAME_MAX)) {
      return cosrel_fail(error, COSREL_FORMAT, "%s: %s: expected at most %d printable bytes", where, fingerprint[i].key,
                         COSREL_NAME_MAX - 1);
    }
  }
  uint32_t width = profile->tensor_bytes;
  if (width > 4 || width == 3)
    return cosrel_fail(error, COSREL_FORMAT, "%s: tensor_bytes: expected 1, 2 or 4, got %u", where, width);
  COSREL_TRY(check_count(profile->n_sources, 1, COSREL_SOURCES_MAX, where, "sources", error));
  for (uint32_t s = 0; s < profile->n_sources; s++) {
    if (profile->sources[s][0] == '\0' || !cosrel_text_is_good(profile->sources[s], COSREL_SOURCE_MAX)) {
      return cosrel_fail(error, COSREL_FORMAT, "%s: sources[%u]: expected 1 to %d printable bytes", where, s,
                         COSREL_SOURCE_MAX - 1);
    }
  }
  COSREL_TRY(check_count(profile->n_processors, 1, COSREL_PROCESSORS_MAX, where, "processors", error));
  for (uint32_t p = 0; p < profile->n_processors; p++) COSREL_TRY(check_processor(profile, p, where, error));
  if (profile->host >= profile->n_processors) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: host: expected one of the %u processors, got number %u", where,
                       profile->n_processors, profile->host);
  }
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    for (uint32_t q = 0; q < profile->n_processors; q++) COSREL_TRY(check_pair(profile, p, q, where, error));
  }
  COSREL_TRY(check_origin(profile, profile->kappa_origin, where, "contention", error));
  COSREL_TRY(cosrel_check_number(profile->base_w, range_w, error, where, "base.power_w"));
  COSREL_TRY(check_origin(profile, profile->base_origin, where, "base", error));
  COSREL_TRY(check_thermal(profile, where, error));
  COSREL_TRY(check_count(profile->n_models, 1, COSREL_MODELS_MAX, where, "models", error));
  for (uint32_t m = 0; m < profile->n_models; m++) COSREL_TRY(check_model(profile, m, where, error));
  return COSREL_OK;
}

void cosrel_profile_clear(cosrel_profile *profile) {
  if (profile == NULL) return;
  for (uint32_t m = 0; profile->models != NULL && m < profile->n_models; m++) {
    cosrel_model_clear(&profile->models[m].model);
    free(profile->models[m].costs);
  }
  free(profile->models);
  free(profile->sources);
  memset(profile, 0, sizeof *profile);
}
