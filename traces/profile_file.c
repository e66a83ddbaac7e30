#include "traces/profile_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sched/check.h"
#include "traces/atomic.h"
#include "traces/file.h"
#include "traces/json.h"

#define FORMAT_NAME "cosrel-profile"
#define FORMAT_VERSION 1

/* The reader checks types and what it needs for memory; cosrel_profile_check then checks all ranges. */

static const cosrel_json_need required = COSREL_JSON_REQUIRED, optional = COSREL_JSON_OPTIONAL;

static void read_origin_members(const cosrel_json_at *at, const cosrel_profile *profile, cosrel_origin *out) {
#define X(name, text) " " text
  static const char words[] = COSREL_TAG_MAP(X);
#undef X
  int tag = 0;
  uint64_t source = 0;
  cosrel_json_word(at, "tag", required, cosrel_tag_from_name, words + 1, &tag);
  cosrel_json_count(at, "source", required, profile->n_sources - 1, &source);
  *out = (cosrel_origin){(uint8_t)tag, (uint16_t)source};
}

static void read_origin(const cosrel_json_at *at, const char *key, cosrel_json_need need, const cosrel_profile *profile,
                        cosrel_origin *out) {
  static const char *const keys[] = {"tag", "source", NULL};
  cosrel_json_at origin = cosrel_json_object(at, key, need);
  if (origin.value == NULL) return;
  cosrel_json_keys(&origin, keys);
  read_origin_members(&origin, profile, out);
}

static void read_sources(const cosrel_json_at *root, cosrel_profile *out) {
  cosrel_json_at sources = cosrel_json_array(root, "sources", required);
  size_t n = cosrel_json_size(&sources, COSREL_SOURCES_MAX);
  if (root->reader->status != COSREL_OK) return;
  if (n == 0) {
    cosrel_json_fail(&sources, COSREL_FORMAT, NULL, "expected at least one source");
    return;
  }
  out->sources = calloc(n, sizeof *out->sources);
  if (out->sources == NULL) {
    cosrel_json_fail(&sources, COSREL_NOMEM, NULL, "%s", cosrel_status_text(COSREL_NOMEM));
    return;
  }
  out->n_sources = (uint32_t)n;
  for (size_t i = 0; i < n; i++) {
    const char *text = cosrel_json_item_text(&sources, i, COSREL_SOURCE_MAX);
    if (text != NULL) memcpy(out->sources[i], text, strlen(text) + 1);
  }
}

static void read_processor(const cosrel_json_at *at, const cosrel_profile *profile, cosrel_processor *out) {
  static const char *const keys[] = {"name",    "backend",          "launch_ns",   "launch_origin", "memory_bytes",
                                     "load_ns", "load_ns_per_byte", "load_origin", "power_origin",  "points",
                                     NULL};
  static const char *const point_keys[] = {"frequency_mhz", "speed", "busy_w", "idle_w", NULL};
  cosrel_json_keys(at, keys);
  cosrel_json_text(at, "name", required, out->name, sizeof out->name);
  cosrel_json_text(at, "backend", optional, out->backend, sizeof out->backend);
  cosrel_json_number(at, "launch_ns", required, &out->launch_ns);
  read_origin(at, "launch_origin", required, profile, &out->launch_origin);
  cosrel_json_count(at, "memory_bytes", optional, COSREL_COUNT_MAX, &out->memory_bytes);
  cosrel_json_number(at, "load_ns", optional, &out->load_ns);
  cosrel_json_number(at, "load_ns_per_byte", optional, &out->load_ns_per_byte);
  bool loads = out->load_ns > 0 || out->load_ns_per_byte > 0;
  read_origin(at, "load_origin", loads ? required : optional, profile, &out->load_origin);
  read_origin(at, "power_origin", required, profile, &out->power_origin);
  cosrel_json_at points = cosrel_json_array(at, "points", required);
  out->n_points = (uint32_t)cosrel_json_size(&points, COSREL_POINTS_MAX);
  for (uint32_t i = 0; i < out->n_points; i++) {
    cosrel_json_at point = cosrel_json_item_object(&points, i);
    cosrel_json_keys(&point, point_keys);
    cosrel_json_number(&point, "frequency_mhz", required, &out->points[i].frequency_mhz);
    cosrel_json_number(&point, "speed", required, &out->points[i].speed);
    cosrel_json_number(&point, "busy_w", required, &out->points[i].busy_w);
    cosrel_json_number(&point, "idle_w", required, &out->points[i].idle_w);
  }
}

/* Fails unless every member is named after a processor (or begins with "x-"). */
static void expect_processors(const cosrel_json_at *at, const cosrel_profile *profile) {
  if (at->reader->status != COSREL_OK || at->value == NULL) return;
  const char *key;
  json_t *value;
  json_object_foreach(at->value, key, value) {
    if (strncmp(key, "x-", 2) == 0 || cosrel_profile_find_processor(profile, key) >= 0) continue;
    cosrel_json_fail(at, COSREL_FORMAT, key, "expected a processor of this profile");
    return;
  }
}

static void read_links(const cosrel_json_at *root, cosrel_profile *out) {
  static const char *const keys[] = {"latency_ns", "ns_per_byte", "overlap", "tag", "source", NULL};
  cosrel_json_at links = cosrel_json_object(root, "links", required);
  expect_processors(&links, out);
  for (uint32_t p = 0; p < out->n_processors; p++) {
    cosrel_json_at from = cosrel_json_object(&links, out->processors[p].name, required);
    expect_processors(&from, out);
    for (uint32_t q = 0; q < out->n_processors; q++) {
      cosrel_json_at link = cosrel_json_object(&from, out->processors[q].name, p == q ? optional : required);
      if (p == q && link.value != NULL) cosrel_json_fail(&link, COSREL_FORMAT, NULL, "expected no link to itself");
      if (link.value == NULL) continue;
      cosrel_json_keys(&link, keys);
      cosrel_json_number(&link, "latency_ns", required, &out->links[p][q].latency_ns);
      cosrel_json_number(&link, "ns_per_byte", required, &out->links[p][q].ns_per_byte);
      cosrel_json_flag(&link, "overlap", optional, &out->links[p][q].overlap);
      read_origin_members(&link, out, &out->links[p][q].origin);
    }
  }
}

static void read_contention(const cosrel_json_at *root, cosrel_profile *out) {
  static const char *const keys[] = {"kappa", "tag", "source", NULL};
  cosrel_json_at contention = cosrel_json_object(root, "contention", required);
  cosrel_json_keys(&contention, keys);
  read_origin_members(&contention, out, &out->kappa_origin);
  cosrel_json_at kappa = cosrel_json_object(&contention, "kappa", required);
  expect_processors(&kappa, out);
  for (uint32_t p = 0; p < out->n_processors; p++) {
    cosrel_json_at row = cosrel_json_object(&kappa, out->processors[p].name, required);
    expect_processors(&row, out);
    for (uint32_t q = 0; q < out->n_processors; q++) {
      cosrel_json_number(&row, out->processors[q].name, p == q ? optional : required, &out->kappa[p][q]);
    }
  }
}

static void read_device(const cosrel_json_at *root, cosrel_profile *out) {
  static const char *const base_keys[] = {"power_w", "tag", "source", NULL};
  cosrel_json_at processors = cosrel_json_array(root, "processors", required);
  size_t n = cosrel_json_size(&processors, COSREL_PROCESSORS_MAX);
  for (size_t p = 0; p < n; p++) {
    cosrel_json_at at = cosrel_json_item_object(&processors, p);
    read_processor(&at, out, &out->processors[p]);
    if (root->reader->status == COSREL_OK && cosrel_profile_find_processor(out, out->processors[p].name) >= 0) {
      cosrel_json_fail(&at, COSREL_FORMAT, "name", "expected a name used once, got '%s' again",
                       out->processors[p].name);
    }
    out->n_processors = (uint32_t)p + 1;
  }
  char host[sizeof out->processors[0].name] = "";
  cosrel_json_text(root, "host", required, host, sizeof host);
  if (root->reader->status == COSREL_OK) {
    int index = cosrel_profile_find_processor(out, host);
    if (index < 0)
      cosrel_json_fail(root, COSREL_FORMAT, "host", "expected a processor of this profile, got '%s'", host);
    out->host = index < 0 ? 0 : (uint32_t)index;
  }
  cosrel_json_at base = cosrel_json_object(root, "base", required);
  cosrel_json_keys(&base, base_keys);
  cosrel_json_number(&base, "power_w", required, &out->base_w);
  read_origin_members(&base, out, &out->base_origin);
  read_links(root, out);
  read_contention(root, out);
}

static void read_throttle(const cosrel_json_at *at, cosrel_profile *out, uint32_t i) {
  static const char *const keys[] = {"above_c", "below_c", "caps", "tag", "source", NULL};
  cosrel_throttle *step = &out->thermal.steps[i];
  if (i > 0) memcpy(step->cap, step[-1].cap, sizeof step->cap); /* a processor left out is capped as before */
  cosrel_json_keys(at, keys);
  cosrel_json_number(at, "above_c", required, &step->above_c);
  cosrel_json_number(at, "below_c", required, &step->below_c);
  cosrel_json_at caps = cosrel_json_object(at, "caps", required);
  expect_processors(&caps, out);
  for (uint32_t p = 0; p < out->n_processors; p++) {
    uint64_t cap = step->cap[p];
    cosrel_json_count(&caps, out->processors[p].name, optional, COSREL_POINTS_MAX - 1, &cap);
    step->cap[p] = (uint8_t)cap;
  }
  read_origin_members(at, out, &step->origin);
}

static void read_thermal(const cosrel_json_at *root, cosrel_profile *out) {
  static const char *const keys[] = {
      "ambient_c", "start_c", "resistance_k_per_w", "time_constant_s", "check_ms", "steps", "tag", "source", NULL};
  cosrel_thermal *thermal = &out->thermal;
  cosrel_json_at at = cosrel_json_object(root, "thermal", optional);
  if (at.value == NULL) return;
  cosrel_json_keys(&at, keys);
  cosrel_json_number(&at, "ambient_c", required, &thermal->ambient_c);
  cosrel_json_number(&at, "start_c", required, &thermal->start_c);
  cosrel_json_number(&at, "resistance_k_per_w", required, &thermal->resistance_k_per_w);
  cosrel_json_number(&at, "time_constant_s", required, &thermal->time_constant_s);
  cosrel_json_number(&at, "check_ms", required, &thermal->check_ms);
  read_origin_members(&at, out, &thermal->origin);
  cosrel_json_at steps = cosrel_json_array(&at, "steps", required);
  thermal->n_steps = (uint32_t)cosrel_json_size(&steps, COSREL_THROTTLES_MAX);
  if (thermal->n_steps == 0) cosrel_json_fail(&steps, COSREL_FORMAT, NULL, "expected at least one step");
  for (uint32_t i = 0; i < thermal->n_steps; i++) {
    cosrel_json_at step = cosrel_json_item_object(&steps, i);
    read_throttle(&step, out, i);
  }
}

static void read_costs(const cosrel_json_at *unit, const cosrel_profile *profile, uint32_t m, uint32_t u) {
#define X(name, text, bytes) text,
  static const char *const precision_keys[] = {COSREL_PRECISION_MAP(X) NULL};
#undef X
  static const char *const keys[] = {"mean_ns", "cv", "beta", "weight_bytes", "tag", "source", NULL};
  cosrel_json_at costs = cosrel_json_object(unit, "costs", required);
  expect_processors(&costs, profile);
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    cosrel_json_at processor = cosrel_json_object(&costs, profile->processors[p].name, optional);
    cosrel_json_keys(&processor, precision_keys);
    for (int precision = 0; precision < COSREL_PRECISION_COUNT; precision++) {
      cosrel_cost *cost = cosrel_profile_cost(profile, m, u, p, (cosrel_precision)precision);
      *cost = (cosrel_cost){.mean_ns = -1.0};
      cosrel_json_at at = cosrel_json_object(&processor, precision_keys[precision], optional);
      if (at.value == NULL) continue;
      cosrel_json_keys(&at, keys);
      cosrel_json_number(&at, "mean_ns", required, &cost->mean_ns);
      cosrel_json_number(&at, "cv", required, &cost->cv);
      cosrel_json_number(&at, "beta", required, &cost->beta);
      cost->weight_bytes = UINT64_MAX; /* is left where the file says nothing */
      cosrel_json_count(&at, "weight_bytes", optional, COSREL_COUNT_MAX, &cost->weight_bytes);
      cost->has_weight_bytes = cost->weight_bytes != UINT64_MAX;
      read_origin_members(&at, profile, &cost->origin);
      /* In memory a negative mean says that there is no cost; a file says so by leaving it out. */
      if (cost->mean_ns <= 0.0) {
        cosrel_json_fail(&at, COSREL_FORMAT, "mean_ns", "expected a number > 0, got %g", cost->mean_ns);
      }
    }
  }
}

static void read_unit(const cosrel_json_at *at, cosrel_model *model, cosrel_unit *unit) {
#define X(name, text) " " text
  static const char words[] = COSREL_KIND_MAP(X);
#undef X
  static const char *const keys[] = {"name",     "kind",      "inputs", "macs", "weights",
                                     "in_elems", "out_elems", "costs",  NULL};
  int kind = 0;
  cosrel_json_keys(at, keys);
  cosrel_json_text(at, "name", required, unit->name, sizeof unit->name);
  cosrel_json_word(at, "kind", required, cosrel_kind_from_name, words + 1, &kind);
  unit->kind = (cosrel_kind)kind;
  cosrel_json_count(at, "macs", required, COSREL_COUNT_MAX, &unit->macs);
  cosrel_json_count(at, "weights", required, COSREL_COUNT_MAX, &unit->weights);
  cosrel_json_count(at, "in_elems", required, COSREL_COUNT_MAX, &unit->in_elems);
  cosrel_json_count(at, "out_elems", required, COSREL_COUNT_MAX, &unit->out_elems);
  cosrel_json_at inputs = cosrel_json_array(at, "inputs", required);
  unit->first_input = model->n_edges;
  unit->n_inputs = (uint32_t)cosrel_json_size(&inputs, COSREL_EDGES_MAX - model->n_edges);
  for (uint32_t i = 0; i < unit->n_inputs; i++) {
    double producer = cosrel_json_item_number(&inputs, i);
    if (!(producer >= COSREL_MODEL_INPUT && producer < COSREL_UNITS_MAX) || producer != (double)(int32_t)producer) {
      cosrel_json_at input = cosrel_json_item(&inputs, i);
      cosrel_json_fail(&input, COSREL_FORMAT, NULL, "expected -1 or an earlier unit, got %.17g", producer);
      return;
    }
    model->inputs[model->n_edges++] = (int32_t)producer;
  }
}

static void read_model(const cosrel_json_at *at, const cosrel_profile *profile, uint32_t m) {
  static const char *const keys[] = {"name", "fingerprint", "input_elems", "units", NULL};
  cosrel_profile_model *out = &profile->models[m];
  cosrel_model *model = &out->model;
  cosrel_json_keys(at, keys);
  cosrel_json_text(at, "name", required, model->name, sizeof model->name);
  cosrel_json_text(at, "fingerprint", optional, out->fingerprint, sizeof out->fingerprint);
  cosrel_json_count(at, "input_elems", required, COSREL_COUNT_MAX, &model->input_elems);
  cosrel_json_at units = cosrel_json_array(at, "units", required);
  size_t n = cosrel_json_size(&units, COSREL_UNITS_MAX);
  if (n == 0) return; /* cosrel_model_check objects */
  model->units = calloc(n, sizeof *model->units);
  model->inputs = calloc(COSREL_EDGES_MAX, sizeof *model->inputs);
  out->costs = calloc(n * profile->n_processors * COSREL_PRECISION_COUNT, sizeof *out->costs);
  if (model->units == NULL || model->inputs == NULL || out->costs == NULL) {
    cosrel_json_fail(at, COSREL_NOMEM, NULL, "%s", cosrel_status_text(COSREL_NOMEM));
    return;
  }
  model->n_units = (uint32_t)n;
  for (uint32_t u = 0; u < n && at->reader->status == COSREL_OK; u++) {
    cosrel_json_at unit = cosrel_json_item_object(&units, u);
    read_unit(&unit, model, &model->units[u]);
    read_costs(&unit, profile, m, u);
  }
  if (model->n_edges > 0) {
    int32_t *fitting = realloc(model->inputs, model->n_edges * sizeof *model->inputs);
    if (fitting != NULL) model->inputs = fitting;
  }
}

static void read_models(const cosrel_json_at *root, cosrel_profile *out) {
  cosrel_json_at models = cosrel_json_array(root, "models", required);
  size_t n = cosrel_json_size(&models, COSREL_MODELS_MAX);
  /* Costs are laid out by processor, so without processors there is nothing to read into; the check objects. */
  if (n == 0 || out->n_processors == 0) return;
  out->models = calloc(n, sizeof *out->models);
  if (out->models == NULL) {
    cosrel_json_fail(&models, COSREL_NOMEM, NULL, "%s", cosrel_status_text(COSREL_NOMEM));
    return;
  }
  out->n_models = (uint32_t)n;
  for (uint32_t m = 0; m < n && root->reader->status == COSREL_OK; m++) {
    cosrel_json_at model = cosrel_json_item_object(&models, m);
    read_model(&model, out, m);
  }
}

cosrel_status cosrel_profile_parse(const char *text, size_t size, const char *where, cosrel_profile *out,
                                   cosrel_error *error) {
  static const char *const keys[] = {"format",  "version", "name",         "soc",        "driver", "runtime",
                                     "sources", "host",    "base",         "processors", "links",  "contention",
                                     "thermal", "models",  "tensor_bytes", NULL};
  memset(out, 0, sizeof *out);
  if (size > COSREL_PROFILE_FILE_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "%s: expected at most %zu bytes", where, COSREL_PROFILE_FILE_MAX);
  }
  cosrel_json_reader reader;
  cosrel_json_at root = cosrel_json_open(&reader, text, size, where, FORMAT_NAME, FORMAT_VERSION, error);
  cosrel_json_keys(&root, keys);
  cosrel_json_text(&root, "name", required, out->name, sizeof out->name);
  cosrel_json_text(&root, "soc", optional, out->soc, sizeof out->soc);
  cosrel_json_text(&root, "driver", optional, out->driver, sizeof out->driver);
  cosrel_json_text(&root, "runtime", optional, out->runtime, sizeof out->runtime);
  uint64_t tensor_bytes = 0;
  cosrel_json_count(&root, "tensor_bytes", optional, UINT32_MAX, &tensor_bytes);
  out->tensor_bytes = (uint32_t)tensor_bytes;
  read_sources(&root, out);
  read_device(&root, out);
  read_thermal(&root, out);
  read_models(&root, out);
  cosrel_status status = reader.status;
  cosrel_json_close(&reader);
  if (status == COSREL_OK) status = cosrel_profile_check(out, where, error);
  if (status != COSREL_OK) cosrel_profile_clear(out);
  return status;
}

cosrel_status cosrel_profile_read(const char *path, cosrel_profile *out, cosrel_error *error) {
  char *text;
  size_t size;
  memset(out, 0, sizeof *out);
  COSREL_TRY(cosrel_file_read(path, COSREL_PROFILE_FILE_MAX, &text, &size, error));
  cosrel_status status = cosrel_profile_parse(text, size, path, out, error);
  free(text);
  return status;
}

static void put_origin(cosrel_json_writer *writer, const char *before, cosrel_origin origin) {
  fprintf(writer->file, "%s\"tag\": \"%s\", \"source\": %u}", before, cosrel_tag_name((cosrel_tag)origin.tag),
          origin.source);
}

static void put_processor(cosrel_json_writer *writer, const cosrel_processor *processor) {
  cosrel_json_put_text(writer, "    {\"name\": ", processor->name);
  if (processor->backend[0] != '\0') cosrel_json_put_text(writer, ", \"backend\": ", processor->backend);
  cosrel_json_put_number(writer, ", \"launch_ns\": ", processor->launch_ns);
  put_origin(writer, ", \"launch_origin\": {", processor->launch_origin);
  fprintf(writer->file, ", \"memory_bytes\": %" PRIu64, processor->memory_bytes);
  if (processor->load_ns > 0 || processor->load_ns_per_byte > 0) {
    cosrel_json_put_number(writer, ",\n     \"load_ns\": ", processor->load_ns);
    cosrel_json_put_number(writer, ", \"load_ns_per_byte\": ", processor->load_ns_per_byte);
    put_origin(writer, ", \"load_origin\": {", processor->load_origin);
  }
  put_origin(writer, ",\n     \"power_origin\": {", processor->power_origin);
  fputs(", \"points\": [", writer->file);
  for (uint32_t i = 0; i < processor->n_points; i++) {
    cosrel_json_put_number(writer, i == 0 ? "\n       {\"frequency_mhz\": " : ",\n       {\"frequency_mhz\": ",
                           processor->points[i].frequency_mhz);
    cosrel_json_put_number(writer, ", \"speed\": ", processor->points[i].speed);
    cosrel_json_put_number(writer, ", \"busy_w\": ", processor->points[i].busy_w);
    cosrel_json_put_number(writer, ", \"idle_w\": ", processor->points[i].idle_w);
    fputs("}", writer->file);
  }
  fputs("]}", writer->file);
}

static void put_links(cosrel_json_writer *writer, const cosrel_profile *profile) {
  fputs("  \"links\": {", writer->file);
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    cosrel_json_put_text(writer, p == 0 ? "\n    " : ",\n    ", profile->processors[p].name);
    fputs(": {", writer->file);
    const char *before = "\n      ";
    for (uint32_t q = 0; q < profile->n_processors; q++) {
      if (p == q) continue;
      const cosrel_link *link = &profile->links[p][q];
      cosrel_json_put_text(writer, before, profile->processors[q].name);
      cosrel_json_put_number(writer, ": {\"latency_ns\": ", link->latency_ns);
      cosrel_json_put_number(writer, ", \"ns_per_byte\": ", link->ns_per_byte);
      fprintf(writer->file, ", \"overlap\": %s", link->overlap ? "true" : "false");
      put_origin(writer, ", ", link->origin);
      before = ",\n      ";
    }
    fputs("}", writer->file);
  }
  fputs("},\n", writer->file);
}

static void put_contention(cosrel_json_writer *writer, const cosrel_profile *profile) {
  fputs("  \"contention\": {\"kappa\": {", writer->file);
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    cosrel_json_put_text(writer, p == 0 ? "\n      " : ",\n      ", profile->processors[p].name);
    fputs(": {", writer->file);
    const char *before = "";
    for (uint32_t q = 0; q < profile->n_processors; q++) {
      if (p == q) continue;
      cosrel_json_put_text(writer, before, profile->processors[q].name);
      cosrel_json_put_number(writer, ": ", profile->kappa[p][q]);
      before = ", ";
    }
    fputs("}", writer->file);
  }
  put_origin(writer, "},\n    ", profile->kappa_origin);
  fputs(",\n", writer->file);
}

static void put_thermal(cosrel_json_writer *writer, const cosrel_profile *profile) {
  const cosrel_thermal *thermal = &profile->thermal;
  if (thermal->n_steps == 0) return;
  cosrel_json_put_number(writer, "  \"thermal\": {\"ambient_c\": ", thermal->ambient_c);
  cosrel_json_put_number(writer, ", \"start_c\": ", thermal->start_c);
  cosrel_json_put_number(writer, ", \"resistance_k_per_w\": ", thermal->resistance_k_per_w);
  cosrel_json_put_number(writer, ", \"time_constant_s\": ", thermal->time_constant_s);
  cosrel_json_put_number(writer, ", \"check_ms\": ", thermal->check_ms);
  fputs(", \"steps\": [", writer->file);
  for (uint32_t i = 0; i < thermal->n_steps; i++) {
    const cosrel_throttle *step = &thermal->steps[i];
    cosrel_json_put_number(writer, i == 0 ? "\n    {\"above_c\": " : ",\n    {\"above_c\": ", step->above_c);
    cosrel_json_put_number(writer, ", \"below_c\": ", step->below_c);
    const char *before = ", \"caps\": {";
    for (uint32_t p = 0; p < profile->n_processors; p++) {
      cosrel_json_put_text(writer, before, profile->processors[p].name);
      fprintf(writer->file, ": %u", step->cap[p]);
      before = ", ";
    }
    put_origin(writer, "}, ", step->origin);
  }
  put_origin(writer, "],\n    ", thermal->origin);
  fputs(",\n", writer->file);
}

/* One line per unit, so that a changed cost is a changed line. */
static void put_unit(cosrel_json_writer *writer, const cosrel_profile *profile, uint32_t m, uint32_t u) {
  const cosrel_model *model = &profile->models[m].model;
  const cosrel_unit *unit = &model->units[u];
  cosrel_json_put_text(writer, "      {\"name\": ", unit->name);
  fprintf(writer->file, ", \"kind\": \"%s\", \"inputs\": [", cosrel_kind_name(unit->kind));
  for (uint32_t i = 0; i < unit->n_inputs; i++) {
    fprintf(writer->file, "%s%" PRId32, i == 0 ? "" : ", ", model->inputs[unit->first_input + i]);
  }
  fprintf(writer->file,
          "], \"macs\": %" PRIu64 ", \"weights\": %" PRIu64 ", \"in_elems\": %" PRIu64 ", \"out_elems\": %" PRIu64
          ", \"costs\": {",
          unit->macs, unit->weights, unit->in_elems, unit->out_elems);
  const char *between = "";
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    uint32_t n = 0;
    for (int precision = 0; precision < COSREL_PRECISION_COUNT; precision++) {
      const cosrel_cost *cost = cosrel_profile_cost(profile, m, u, p, (cosrel_precision)precision);
      if (cost->mean_ns < 0.0) continue;
      if (n++ == 0) {
        cosrel_json_put_text(writer, between, profile->processors[p].name);
        fputs(": {", writer->file);
      } else {
        fputs(", ", writer->file);
      }
      fprintf(writer->file, "\"%s\"", cosrel_precision_name((cosrel_precision)precision));
      cosrel_json_put_number(writer, ": {\"mean_ns\": ", cost->mean_ns);
      cosrel_json_put_number(writer, ", \"cv\": ", cost->cv);
      cosrel_json_put_number(writer, ", \"beta\": ", cost->beta);
      if (cost->has_weight_bytes &&
          cost->weight_bytes != unit->weights * cosrel_precision_bytes((cosrel_precision)precision))
        fprintf(writer->file, ", \"weight_bytes\": %" PRIu64, cost->weight_bytes);
      put_origin(writer, ", ", cost->origin);
    }
    if (n == 0) continue;
    fputs("}", writer->file);
    between = ", ";
  }
  fputs("}}", writer->file);
}

static void put_profile(cosrel_json_writer *writer, const cosrel_profile *profile) {
  fprintf(writer->file, "{\n  \"format\": \"%s\",\n  \"version\": %d,\n", FORMAT_NAME, FORMAT_VERSION);
  cosrel_json_put_text(writer, "  \"name\": ", profile->name);
  cosrel_json_put_text(writer, ",\n  \"soc\": ", profile->soc);
  cosrel_json_put_text(writer, ",\n  \"driver\": ", profile->driver);
  cosrel_json_put_text(writer, ",\n  \"runtime\": ", profile->runtime);
  fputs(",\n  \"sources\": [", writer->file);
  for (uint32_t s = 0; s < profile->n_sources; s++)
    cosrel_json_put_text(writer, s == 0 ? "\n    " : ",\n    ", profile->sources[s]);
  cosrel_json_put_text(writer, "],\n  \"host\": ", profile->processors[profile->host].name);
  cosrel_json_put_number(writer, ",\n  \"base\": {\"power_w\": ", profile->base_w);
  put_origin(writer, ", ", profile->base_origin);
  if (profile->tensor_bytes > 0) fprintf(writer->file, ",\n  \"tensor_bytes\": %" PRIu32, profile->tensor_bytes);
  fputs(",\n  \"processors\": [\n", writer->file);
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    if (p > 0) fputs(",\n", writer->file);
    put_processor(writer, &profile->processors[p]);
  }
  fputs("],\n", writer->file);
  put_links(writer, profile);
  put_contention(writer, profile);
  put_thermal(writer, profile);
  fputs("  \"models\": [", writer->file);
  for (uint32_t m = 0; m < profile->n_models; m++) {
    const cosrel_model *model = &profile->models[m].model;
    cosrel_json_put_text(writer, m == 0 ? "\n    {\"name\": " : ",\n    {\"name\": ", model->name);
    if (profile->models[m].fingerprint[0] != '\0')
      cosrel_json_put_text(writer, ", \"fingerprint\": ", profile->models[m].fingerprint);
    fprintf(writer->file, ", \"input_elems\": %" PRIu64 ", \"units\": [\n", model->input_elems);
    for (uint32_t u = 0; u < model->n_units; u++) {
      if (u > 0) fputs(",\n", writer->file);
      put_unit(writer, profile, m, u);
    }
    fputs("]}", writer->file);
  }
  fputs("]\n}\n", writer->file);
}

cosrel_status cosrel_profile_format(const cosrel_profile *profile, const char *where, char **text, size_t *size,
                                    cosrel_error *error) {
  *text = NULL;
  *size = 0;
  COSREL_TRY(cosrel_profile_check(profile, where, error));
  cosrel_json_writer writer;
  if (cosrel_json_begin(&writer) != COSREL_OK) {
    return cosrel_fail(error, COSREL_NOMEM, "%s: %s", where, cosrel_status_text(COSREL_NOMEM));
  }
  put_profile(&writer, profile);
  return cosrel_json_end(&writer, where, text, size, error);
}

cosrel_status cosrel_profile_write(const char *path, const cosrel_profile *profile, cosrel_error *error) {
  char *text;
  size_t size;
  COSREL_TRY(cosrel_profile_format(profile, path, &text, &size, error));
  cosrel_status status = cosrel_atomic_write(path, text, size, error);
  free(text);
  return status;
}
