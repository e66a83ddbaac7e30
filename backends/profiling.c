#include "backends/profiling.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/check.h"

enum { SOURCE_MEASURED, SOURCE_ASSUMED, N_SOURCES };

static const double busy_w = 1.0, idle_w = 0.1, any_mhz = 1000;

static cosrel_status copy_model(const cosrel_network *network, const char *name, uint32_t n_processors,
                                cosrel_profile_model *out) {
  const cosrel_model *from = &network->model;
  cosrel_model *to = &out->model;
  *to = *from;
  snprintf(to->name, sizeof to->name, "%s", name);
  to->units = malloc(from->n_units * sizeof *to->units);
  to->inputs = malloc(from->n_edges * sizeof *to->inputs);
  size_t n_costs = (size_t)from->n_units * n_processors * COSREL_PRECISION_COUNT;
  out->costs = calloc(n_costs, sizeof *out->costs);
  if (to->units == NULL || to->inputs == NULL || out->costs == NULL) return COSREL_NOMEM;
  memcpy(to->units, from->units, from->n_units * sizeof *to->units);
  memcpy(to->inputs, from->inputs, from->n_edges * sizeof *to->inputs);
  for (size_t i = 0; i < n_costs; i++) out->costs[i].mean_ns = -1;
  return COSREL_OK;
}

/* An arena in host memory, and one on processor p if that has memory of its own. */
static cosrel_status make_arenas(const cosrel_machine *machine, uint32_t p, const cosrel_network *network, void **arena,
                                 cosrel_buffer **buffer, cosrel_error *error) {
  *buffer = NULL;
  if (posix_memalign(arena, COSREL_ALIGNMENT, (size_t)network->arena_bytes) != 0) {
    *arena = NULL;
    return cosrel_fail(error, COSREL_NOMEM, "%s: no memory for %zu bytes of tensors", network->model.name,
                       (size_t)network->arena_bytes);
  }
  memset(*arena, 0, (size_t)network->arena_bytes);
  if (!cosrel_machine_is_apart(machine, p)) return COSREL_OK;
  return machine->backends[p]->ops->buffer_create(machine->backends[p], (size_t)network->arena_bytes, buffer, error);
}

static cosrel_status measure(const cosrel_machine *machine, uint32_t p, const cosrel_profiled_model *model,
                             const cosrel_measure_config *config, cosrel_measurement *out, cosrel_error *error) {
  const cosrel_network *network = machine->networks[model->network];
  void *arena;
  cosrel_buffer *buffer;
  cosrel_error inner = {""};
  cosrel_status status = make_arenas(machine, p, network, &arena, &buffer, &inner);
  if (status == COSREL_OK)
    status = cosrel_measure_network(machine->backends[p], machine->prepared[p][model->network], network, arena, buffer,
                                    model->inputs, config, out, &inner);
  if (buffer != NULL) machine->backends[p]->ops->buffer_destroy(machine->backends[p], buffer);
  free(arena);
  if (status == COSREL_OK) return COSREL_OK;
  return cosrel_fail(error, status, "%s: %.400s", machine->specs[p].processor, inner.text);
}

/* Less the launch, which is paid once per segment. */
static void take_costs(const cosrel_measurement *m, double launch_ns, cosrel_profile *out, uint32_t model, uint32_t p) {
  for (uint32_t u = 0; u < m->n_units; u++) {
    double ns = m->units[u].ns;
    if (ns < 0) continue;
    double compute = ns - launch_ns > 0.05 * ns ? ns - launch_ns : 0.05 * ns;
    *cosrel_profile_cost(out, model, u, p, COSREL_FP32) =
        (cosrel_cost){.mean_ns = compute,
                      .cv = m->units[u].cv < 10 ? m->units[u].cv : 10,
                      .origin = {COSREL_TAG_MEASURED, SOURCE_MEASURED}};
  }
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static cosrel_status measure_models(const cosrel_machine *machine, uint32_t p, const cosrel_profiled_model *models,
                                    const cosrel_measure_config *config, cosrel_profile *out, cosrel_error *error) {
  cosrel_measurement measurements[COSREL_MODELS_MAX] = {0};
  double launches[COSREL_MODELS_MAX];
  cosrel_status status = COSREL_OK;
  for (uint32_t m = 0; m < out->n_models && status == COSREL_OK; m++) {
    status = measure(machine, p, &models[m], config, &measurements[m], error);
    launches[m] = measurements[m].launch_ns;
  }
  if (status == COSREL_OK) {
    qsort(launches, out->n_models, sizeof *launches, compare);
    out->processors[p].launch_ns = launches[out->n_models / 2];
    for (uint32_t m = 0; m < out->n_models; m++) take_costs(&measurements[m], out->processors[p].launch_ns, out, m, p);
  }
  for (uint32_t m = 0; m < out->n_models; m++) cosrel_measurement_clear(&measurements[m]);
  return status;
}

/* The arguments and the result of measure_models, for a thread. */
typedef struct task {
  const cosrel_machine *machine;
  uint32_t p;
  const cosrel_profiled_model *models;
  const cosrel_measure_config *config;
  cosrel_profile *out;
  cosrel_error *error;
  cosrel_status status;
} task;

static void *run_task(void *self) {
  task *t = self;
  cosrel_machine_bind(t->machine, t->p);
  t->status = measure_models(t->machine, t->p, t->models, t->config, t->out, t->error);
  return NULL;
}

static cosrel_status measure_processor(task *t) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, run_task, t) != 0)
    return cosrel_fail(t->error, COSREL_NOMEM, "%s: no thread to measure it", t->machine->specs[t->p].processor);
  pthread_join(thread, NULL);
  return t->status;
}

/* Tensors pass by way of host memory. */
static cosrel_status measure_links(const cosrel_machine *machine, cosrel_profile *out, cosrel_error *error) {
  cosrel_measured_link to[COSREL_PROCESSORS_MAX], from[COSREL_PROCESSORS_MAX];
  for (uint32_t p = 0; p < machine->n_processors; p++)
    COSREL_TRY(cosrel_measure_link(machine->backends[p], &to[p], &from[p], error));
  for (uint32_t p = 0; p < machine->n_processors; p++)
    for (uint32_t q = 0; q < machine->n_processors; q++)
      if (p != q)
        out->links[p][q] = (cosrel_link){.latency_ns = from[p].latency_ns + to[q].latency_ns,
                                         .ns_per_byte = from[p].ns_per_byte + to[q].ns_per_byte,
                                         .origin = {COSREL_TAG_MEASURED, SOURCE_MEASURED}};
  return COSREL_OK;
}

static void describe(const cosrel_machine *machine, const char *name, cosrel_profile *out) {
  const cosrel_origin measured = {COSREL_TAG_MEASURED, SOURCE_MEASURED}, assumed = {COSREL_TAG_ASSUMED, SOURCE_ASSUMED};
  snprintf(out->name, sizeof out->name, "%s", name);
  snprintf(out->sources[SOURCE_MEASURED], COSREL_SOURCE_MAX, "measured on this machine by running each unit, medians");
  snprintf(out->sources[SOURCE_ASSUMED], COSREL_SOURCE_MAX,
           "assumed: %g W busy and %g W idle per processor, no contention; nothing here measures them", busy_w, idle_w);
  for (uint32_t p = machine->n_processors; p-- > 0;) {
    cosrel_processor *processor = &out->processors[p];
    snprintf(processor->name, sizeof processor->name, "%s", machine->specs[p].processor);
    cosrel_backend_spec_format(&machine->specs[p], processor->backend, sizeof processor->backend);
    processor->n_points = 1;
    processor->points[0] = (cosrel_point){.frequency_mhz = any_mhz, .speed = 1, .busy_w = busy_w, .idle_w = idle_w};
    processor->launch_origin = measured;
    processor->power_origin = assumed;
    if (!cosrel_machine_is_apart(machine, p)) out->host = p;
  }
  out->kappa_origin = out->base_origin = assumed;
}

cosrel_status cosrel_profile_measure(const cosrel_machine *machine, const cosrel_profiled_model *models,
                                     uint32_t n_models, const cosrel_measure_config *config, const char *name,
                                     cosrel_profile *out, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  memset(out, 0, sizeof *out);
  if (n_models > COSREL_MODELS_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "expected at most %d models, got %u", COSREL_MODELS_MAX, n_models);
  out->n_processors = machine->n_processors;
  out->sources = calloc(N_SOURCES, sizeof *out->sources);
  out->models = calloc(n_models, sizeof *out->models);
  if (out->sources == NULL || out->models == NULL) goto no_memory;
  out->n_sources = N_SOURCES;
  describe(machine, name, out);
  for (uint32_t m = 0; m < n_models; m++) {
    out->n_models = m + 1;
    const cosrel_network *network = machine->networks[models[m].network];
    if (copy_model(network, models[m].name, machine->n_processors, &out->models[m]) != COSREL_OK) goto no_memory;
  }
  for (uint32_t p = 0; p < machine->n_processors && status == COSREL_OK; p++)
    status = measure_processor(&(task){machine, p, models, config, out, error, COSREL_OK});
  if (status == COSREL_OK) status = measure_links(machine, out, error);
  if (status == COSREL_OK) status = cosrel_profile_check(out, name, error);
  if (status != COSREL_OK) cosrel_profile_clear(out);
  return status;

no_memory:
  cosrel_profile_clear(out);
  return cosrel_fail(error, COSREL_NOMEM, "%s: %s", name, cosrel_status_text(COSREL_NOMEM));
}
