#include "backends/runtime/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/affinity.h"
#include "backends/monotonic.h"
#include "sched/rng.h"

static const cosrel_time patience = 10 * COSREL_S; /* for the first answer: kernels may be compiled meanwhile */
static const double tolerance = 1e-3;              /* of the largest value: a device may add up in another order */

static uint64_t elements(const cosrel_network *network, int32_t value) {
  return cosrel_shape_elements(&network->net.values[value].tensor.shape);
}

/* Runs the unit on an arena full of made-up numbers, and copies its output into out[n]. Others may read the processor's
 * memory meanwhile, so `copying` is held where this does. */
static cosrel_status compute(const cosrel_machine *machine, uint32_t p, const cosrel_probe *probe, cosrel_time budget,
                             pthread_mutex_t *copying, float *out) {
  const cosrel_network *network = machine->networks[probe->network];
  cosrel_prepared *prepared = machine->prepared[p][probe->network];
  cosrel_backend *backend = machine->backends[p];
  const cosrel_backend_ops *ops = backend->ops;
  bool apart = cosrel_machine_is_apart(machine, p);
  size_t bytes = (size_t)network->arena_bytes, at = (size_t)network->offsets[network->units[probe->unit].output];
  cosrel_buffer *buffer = NULL;
  void *arena = NULL;
  cosrel_error error = {""};
  if (prepared == NULL) return COSREL_UNSUPPORTED;
  if (posix_memalign(&arena, COSREL_ALIGNMENT, bytes) != 0) return COSREL_NOMEM;
  float *numbers = arena;
  for (size_t i = 0; i < bytes / sizeof(float); i++)
    numbers[i] = (float)((int)(cosrel_rng_mix(i) >> 56) - 128) / 128.0f;
  cosrel_status status = COSREL_OK;
  if (apart) status = ops->buffer_create(backend, bytes, &buffer, &error);
  if (apart && status == COSREL_OK) {
    pthread_mutex_lock(copying);
    status = ops->write(backend, buffer, 0, arena, bytes);
    pthread_mutex_unlock(copying);
  }
  if (status == COSREL_OK)
    status = ops->submit(backend, prepared, apart ? NULL : arena, buffer, probe->unit, probe->unit + 1);
  if (status == COSREL_OK) status = ops->wait(backend, budget);
  if (apart && status == COSREL_OK) {
    pthread_mutex_lock(copying);
    status = ops->read(backend, buffer, at, out, (size_t)probe->n * sizeof(float));
    pthread_mutex_unlock(copying);
  }
  if (!apart && status == COSREL_OK) memcpy(out, (const char *)arena + at, (size_t)probe->n * sizeof(float));
  if (buffer != NULL) ops->buffer_destroy(backend, buffer);
  free(arena);
  return status;
}

cosrel_status cosrel_probe_learn(const cosrel_machine *machine, uint32_t p, pthread_mutex_t *copying,
                                 cosrel_probe *out) {
  const cosrel_backend *backend = machine->backends[p];
  double least = INFINITY;
  *out = (cosrel_probe){0};
  for (uint32_t n = 0; n < machine->n_networks; n++) {
    const cosrel_network *network = machine->networks[n];
    for (uint32_t u = 0; u < network->model.n_units && machine->prepared[p][n] != NULL; u++) {
      double cost = (double)network->model.units[u].macs + (double)network->arena_bytes; /* filling it takes time too */
      if (cost >= least || !backend->ops->supports(backend, network, u, COSREL_FP32)) continue;
      least = cost;
      out->network = n;
      out->unit = u;
    }
  }
  if (least == INFINITY) return COSREL_OK;
  const cosrel_network *network = machine->networks[out->network];
  out->n = elements(network, network->units[out->unit].output);
  out->answer = malloc((size_t)(out->n + 1) * sizeof *out->answer);
  if (out->answer == NULL) return COSREL_NOMEM;
  cosrel_affinity before;
  bool known = cosrel_affinity_get(&before); /* submit may move its caller to p's cores, and this is not p's worker */
  cosrel_time start = cosrel_monotonic_now();
  cosrel_status status = compute(machine, p, out, patience, copying, out->answer);
  out->took = cosrel_monotonic_now() - start;
  if (known) cosrel_affinity_set(&before);
  if (status != COSREL_OK) cosrel_probe_clear(out);
  return status == COSREL_NOMEM ? COSREL_NOMEM : COSREL_OK;
}

cosrel_status cosrel_probe_ask(const cosrel_machine *machine, uint32_t p, const cosrel_probe *probe, cosrel_time budget,
                               pthread_mutex_t *copying) {
  if (probe->answer == NULL) return COSREL_OK;
  float *got = malloc((size_t)(probe->n + 1) * sizeof *got);
  if (got == NULL) return COSREL_NOMEM;
  cosrel_status status = compute(machine, p, probe, budget, copying, got);
  double largest = 0, apart = 0;
  bool same_kind = true; /* made-up inputs may well give a NaN here and there: then they do so again */
  for (uint64_t i = 0; i < probe->n && status == COSREL_OK; i++) {
    double was = (double)probe->answer[i], is = (double)got[i];
    same_kind = same_kind && isfinite(was) == isfinite(is);
    if (!isfinite(was) || !isfinite(is)) continue;
    largest = fmax(largest, fabs(was));
    apart = fmax(apart, fabs(was - is));
  }
  free(got);
  if (status == COSREL_OK && (!same_kind || apart > tolerance * largest)) status = COSREL_INTERNAL;
  return status;
}

void cosrel_probe_clear(cosrel_probe *probe) {
  free(probe->answer);
  *probe = (cosrel_probe){0};
}
