#include "sched/model.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sched/check.h"

static const char *const kind_names[COSREL_KIND_COUNT] = {
#define X(name, text) [COSREL_KIND_##name] = text,
    COSREL_KIND_MAP(X)
#undef X
};

bool cosrel_name_is_good(const char name[COSREL_NAME_MAX]) {
  return name[0] != '\0' && cosrel_text_is_good(name, COSREL_NAME_MAX);
}

static cosrel_status check_count(uint64_t value, uint64_t least, const char *where, uint32_t u, const char *field,
                                 cosrel_error *error) {
  if (value >= least && value <= COSREL_COUNT_MAX) return COSREL_OK;
  return cosrel_fail(error, COSREL_FORMAT, "%s: units[%" PRIu32 "].%s: expected %" PRIu64 " to 2^53, got %" PRIu64,
                     where, u, field, least, value);
}

static int compare_names(const void *left, const void *right) {
  const cosrel_unit *const *a = left, *const *b = right;
  int order = strcmp((*a)->name, (*b)->name);
  return order != 0 ? order : (*a < *b ? -1 : *a > *b);
}

/* Files refer to units by name, so names are unique within a model. */
static cosrel_status check_unique(const cosrel_model *model, const char *where, cosrel_error *error) {
  const cosrel_unit *sorted[COSREL_UNITS_MAX];
  for (uint32_t u = 0; u < model->n_units; u++) sorted[u] = &model->units[u];
  /* cppcheck-suppress uninitvar */
  qsort(sorted, model->n_units, sizeof sorted[0], compare_names);
  for (uint32_t i = 1; i < model->n_units; i++) {
    if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
      return cosrel_fail(error, COSREL_FORMAT, "%s: units[%td].name: expected a name used once, got '%s' again", where,
                         sorted[i] - model->units, sorted[i]->name);
    }
  }
  return COSREL_OK;
}

static cosrel_status check_unit(const cosrel_model *model, uint32_t u, uint32_t first, const char *where,
                                cosrel_error *error) {
  const cosrel_unit *unit = &model->units[u];
  cosrel_status status;
  if (!cosrel_name_is_good(unit->name)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: units[%" PRIu32 "].name: expected 1 to %d printable bytes", where, u,
                       COSREL_NAME_MAX - 1);
  }
  if ((unsigned)unit->kind >= COSREL_KIND_COUNT) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: units[%" PRIu32 "].kind: expected a kind below %d, got %d", where, u,
                       COSREL_KIND_COUNT, (int)unit->kind);
  }
  if (unit->n_inputs == 0) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: units[%" PRIu32 "].inputs: expected at least one producer", where, u);
  }
  if (unit->first_input != first || unit->n_inputs > model->n_edges - first) {
    return cosrel_fail(error, COSREL_FORMAT,
                       "%s: units[%" PRIu32 "].inputs: expected them at %" PRIu32 " and within %" PRIu32
                       " edges, got %" PRIu32 " at %" PRIu32,
                       where, u, first, model->n_edges, unit->n_inputs, unit->first_input);
  }
  for (uint32_t i = 0; i < unit->n_inputs; i++) {
    int32_t producer = model->inputs[first + i];
    if (producer < COSREL_MODEL_INPUT || producer >= (int32_t)u) {
      return cosrel_fail(error, COSREL_FORMAT,
                         "%s: units[%" PRIu32 "].inputs[%" PRIu32 "]: expected -1 or an earlier unit, got %" PRId32,
                         where, u, i, producer);
    }
  }
  if ((status = check_count(unit->macs, 0, where, u, "macs", error)) != COSREL_OK) return status;
  if ((status = check_count(unit->weights, 0, where, u, "weights", error)) != COSREL_OK) return status;
  if ((status = check_count(unit->in_elems, 1, where, u, "in_elems", error)) != COSREL_OK) return status;
  return check_count(unit->out_elems, 1, where, u, "out_elems", error);
}

cosrel_status cosrel_model_check(const cosrel_model *model, const char *where, cosrel_error *error) {
  if (!cosrel_name_is_good(model->name)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: name: expected 1 to %d printable bytes", where, COSREL_NAME_MAX - 1);
  }
  if (model->n_units == 0 || model->units == NULL) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: units: expected at least one unit", where);
  }
  if (model->n_units > COSREL_UNITS_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "%s: units: expected at most %d, got %" PRIu32, where, COSREL_UNITS_MAX,
                       model->n_units);
  }
  if (model->n_edges > COSREL_EDGES_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "%s: inputs: expected at most %d edges, got %" PRIu32, where,
                       COSREL_EDGES_MAX, model->n_edges);
  }
  if (model->n_edges < model->n_units || model->inputs == NULL) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: inputs: expected at least one edge per unit, got %" PRIu32, where,
                       model->n_edges);
  }
  if (model->input_elems == 0 || model->input_elems > COSREL_COUNT_MAX) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: input_elems: expected 1 to 2^53, got %" PRIu64, where,
                       model->input_elems);
  }
  uint32_t edges = 0;
  for (uint32_t u = 0; u < model->n_units; u++) {
    cosrel_status status = check_unit(model, u, edges, where, error);
    if (status != COSREL_OK) return status;
    edges += model->units[u].n_inputs;
  }
  if (edges != model->n_edges) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: inputs: expected %" PRIu32 " edges, got %" PRIu32, where, edges,
                       model->n_edges);
  }
  return check_unique(model, where, error);
}

void cosrel_model_clear(cosrel_model *model) {
  if (model == NULL) return;
  free(model->units);
  free(model->inputs);
  *model = (cosrel_model){0};
}

const char *cosrel_kind_name(cosrel_kind kind) {
  return (unsigned)kind < COSREL_KIND_COUNT ? kind_names[kind] : "unknown";
}

int cosrel_kind_from_name(const char *name) {
  for (int kind = 0; kind < COSREL_KIND_COUNT; kind++) {
    if (strcmp(kind_names[kind], name) == 0) return kind;
  }
  return -1;
}
