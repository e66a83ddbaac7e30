#include "backends/armnn/armnn_backend.h"

#include <pthread.h>
#include <stdlib.h>

#include "backends/affinity.h"
#include "backends/armnn/plan.h"
#include "backends/host_backend.h"

typedef struct armnn_backend {
  cosrel_host_backend host;
  cosrel_armnn *armnn;
  bool has_cores;
  cosrel_affinity cores;
  pthread_mutex_t lock;             /* of `prepared`: networks come and go while others run */
  struct cosrel_prepared *prepared; /* all of this instance, the latest first */
} armnn_backend;

struct cosrel_prepared {
  struct cosrel_prepared *next;
  const cosrel_network *network;
  cosrel_armnn_network **units; /* [n_units] NULL: not supported */
};

static cosrel_status open_instance(const cosrel_backend_spec *spec, cosrel_backend **out, cosrel_error *error) {
  armnn_backend *backend = calloc(1, sizeof *backend);
  if (backend == NULL) return cosrel_fail(error, COSREL_NOMEM, "out of memory");
  backend->host.base.ops = &cosrel_armnn_backend;
  backend->has_cores = spec->n_cores > 0;
  backend->cores = cosrel_affinity_of(spec->cores, spec->n_cores);
  atomic_init(&backend->host.cancelled, false);
  pthread_mutex_init(&backend->lock, NULL);
  cosrel_status status = cosrel_armnn_open(spec->device, spec->threads, &backend->armnn, error);
  if (status != COSREL_OK) {
    pthread_mutex_destroy(&backend->lock);
    free(backend);
    return status;
  }
  *out = &backend->host.base;
  return COSREL_OK;
}

static void close_instance(cosrel_backend *base) {
  armnn_backend *backend = (armnn_backend *)base;
  cosrel_armnn_close(backend->armnn);
  pthread_mutex_destroy(&backend->lock);
  free(backend);
}

/* ---- Making a network ready ---- */

static void release(cosrel_backend *base, cosrel_prepared *prepared) {
  armnn_backend *backend = (armnn_backend *)base;
  pthread_mutex_lock(&backend->lock);
  struct cosrel_prepared **at = &backend->prepared;
  while (*at != NULL && *at != prepared) at = &(*at)->next;
  if (*at != NULL) *at = prepared->next;
  pthread_mutex_unlock(&backend->lock);
  for (uint32_t u = 0; prepared->units != NULL && u < prepared->network->model.n_units; u++)
    cosrel_armnn_unload(prepared->units[u]);
  free(prepared->units);
  free(prepared);
}

/* COSREL_UNSUPPORTED: the unit is for another processor. Without `out` it is not loaded, only asked. */
static cosrel_status load_unit(const armnn_backend *backend, cosrel_armnn_planner *planner, uint32_t unit,
                               cosrel_armnn_network **out) {
  cosrel_armnn_graph *graph = NULL;
  cosrel_status status = cosrel_armnn_plan_unit(planner, unit, &graph);
  if (status == COSREL_OK) status = cosrel_armnn_load(backend->armnn, graph, out, NULL);
  cosrel_armnn_graph_destroy(graph);
  return status;
}

static cosrel_status load_units(armnn_backend *backend, cosrel_prepared *prepared, cosrel_error *error) {
  const cosrel_network *network = prepared->network;
  cosrel_armnn_planner planner;
  cosrel_status status = cosrel_armnn_planner_create(network, &planner, error);
  for (uint32_t u = 0; u < network->model.n_units && status == COSREL_OK; u++) {
    status = load_unit(backend, &planner, u, &prepared->units[u]);
    if (status == COSREL_UNSUPPORTED) status = COSREL_OK;
    if (status != COSREL_OK) cosrel_fail(error, status, "%s: out of memory", network->net.name);
  }
  cosrel_armnn_planner_destroy(&planner);
  return status;
}

static cosrel_status prepare(cosrel_backend *base, const cosrel_network *network, const uint8_t *precisions,
                             cosrel_prepared **out, cosrel_error *error) {
  (void)precisions;
  armnn_backend *backend = (armnn_backend *)base;
  cosrel_prepared *prepared = calloc(1, sizeof *prepared);
  if (prepared == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", network->net.name);
  cosrel_affinity before; /* threads inherit where their creator may run */
  bool bound = backend->has_cores && cosrel_affinity_get(&before) && cosrel_affinity_set(&backend->cores);
  prepared->network = network;
  prepared->units = calloc(network->model.n_units, sizeof *prepared->units);
  cosrel_status status = prepared->units != NULL
                             ? load_units(backend, prepared, error)
                             : cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", network->net.name);
  if (bound) cosrel_affinity_set(&before);
  if (status != COSREL_OK) {
    release(base, prepared);
    return status;
  }
  pthread_mutex_lock(&backend->lock);
  prepared->next = backend->prepared;
  backend->prepared = prepared;
  pthread_mutex_unlock(&backend->lock);
  *out = prepared;
  return COSREL_OK;
}

/* Known once the network is ready; before that Arm NN is asked. */
static bool supports(const cosrel_backend *base, const cosrel_network *network, uint32_t unit,
                     cosrel_precision precision) {
  armnn_backend *backend = (armnn_backend *)base; /* for its lock */
  if (precision != COSREL_FP32) return false;
  pthread_mutex_lock(&backend->lock);
  const cosrel_prepared *p = backend->prepared;
  while (p != NULL && p->network != network) p = p->next;
  bool known = p != NULL, supported = known && p->units[unit] != NULL;
  pthread_mutex_unlock(&backend->lock);
  if (known) return supported;
  cosrel_armnn_planner planner;
  if (cosrel_armnn_planner_create(network, &planner, NULL) != COSREL_OK) return false;
  bool can = load_unit(backend, &planner, unit, NULL) == COSREL_OK;
  cosrel_armnn_planner_destroy(&planner);
  return can;
}

/* ---- Running ---- */

static cosrel_status run_unit(cosrel_backend *base, cosrel_prepared *prepared, void *arena, uint32_t unit) {
  (void)base;
  return prepared->units[unit] != NULL ? cosrel_armnn_run(prepared->units[unit], arena) : COSREL_UNSUPPORTED;
}

static cosrel_status submit(cosrel_backend *base, cosrel_prepared *prepared, void *arena, cosrel_buffer *buffer,
                            uint32_t begin, uint32_t end) {
  (void)buffer;
  return cosrel_host_run(base, prepared, arena, begin, end, run_unit);
}

const cosrel_backend_ops cosrel_armnn_backend = {
    .struct_size = sizeof(cosrel_backend_ops),
    .name = "armnn",
    .devices = cosrel_armnn_devices,
    .open = open_instance,
    .close = close_instance,
    .supports = supports,
    .prepare = prepare,
    .release = release,
    .submit = submit,
    .wait = cosrel_host_wait,
    .cancel = cosrel_host_cancel,
};
