#include "backends/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/affinity.h"
#include "backends/fault_backend.h"
#include "sched/check.h"

cosrel_status cosrel_machine_parse(const char *const *texts, uint32_t n, cosrel_backend_spec *out, uint32_t *n_out,
                                   cosrel_error *error) {
  if (n > COSREL_PROCESSORS_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "--processor: expected at most %d", COSREL_PROCESSORS_MAX);
  for (uint32_t i = 0; i < n; i++) COSREL_TRY(cosrel_backend_spec_parse(texts[i], &out[i], error));
  *n_out = n > 0 ? n : 1;
  if (n > 0) return COSREL_OK;
  out[0] = (cosrel_backend_spec){.processor = "cpu"};
  snprintf(out[0].backend, sizeof out[0].backend, "%s", cosrel_backend_table()[0]->name);
  return COSREL_OK;
}

cosrel_status cosrel_machine_prepare(cosrel_machine *machine, uint32_t p, cosrel_error *error) {
  cosrel_backend *backend = machine->backends[p];
  cosrel_error inner = {""};
  for (uint32_t n = 0; n < machine->n_networks; n++) {
    if (machine->prepared[p][n] != NULL) continue;
    cosrel_status status = backend->ops->prepare(backend, machine->networks[n], machine->precisions[p][n],
                                                 &machine->prepared[p][n], &inner);
    if (status == COSREL_OK) continue;
    machine->prepared[p][n] = NULL;
    return cosrel_fail(error, status, "%s: %s: %.300s", machine->specs[p].processor, machine->networks[n]->model.name,
                       inner.text);
  }
  return COSREL_OK;
}

void cosrel_machine_release(cosrel_machine *machine, uint32_t p) {
  cosrel_backend *backend = machine->backends[p];
  for (uint32_t n = 0; n < machine->n_networks; n++) {
    if (machine->prepared[p][n] != NULL) backend->ops->release(backend, machine->prepared[p][n]);
    machine->prepared[p][n] = NULL;
  }
}

cosrel_status cosrel_machine_add(cosrel_machine *machine, const cosrel_network *network, uint32_t *index,
                                 cosrel_error *error) {
  if (machine->n_networks == COSREL_NETWORKS_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "expected at most %d models", COSREL_NETWORKS_MAX);
  *index = machine->n_networks++;
  machine->networks[*index] = network;
  return COSREL_OK;
}

cosrel_status cosrel_machine_set_precisions(cosrel_machine *machine, uint32_t p, uint32_t n, const uint8_t *precisions,
                                            cosrel_error *error) {
  uint32_t n_units = machine->networks[n]->model.n_units;
  uint8_t *old = machine->precisions[p][n], *copy = NULL;
  bool plain = true, same = true;
  for (uint32_t u = 0; u < n_units; u++) {
    plain = plain && precisions[u] == COSREL_FP32;
    same = same && precisions[u] == (old != NULL ? old[u] : COSREL_FP32);
  }
  if (same) return COSREL_OK;
  if (!plain) {
    copy = malloc(n_units);
    if (copy == NULL)
      return cosrel_fail(error, COSREL_NOMEM, "no memory for the precisions of %s", machine->networks[n]->model.name);
    memcpy(copy, precisions, n_units);
  }
  if (machine->prepared[p][n] != NULL)
    machine->backends[p]->ops->release(machine->backends[p], machine->prepared[p][n]);
  machine->prepared[p][n] = NULL;
  machine->precisions[p][n] = copy;
  free(old);
  return COSREL_OK;
}

static cosrel_status open_processor(cosrel_machine *machine, uint32_t p, cosrel_error *error) {
  const cosrel_backend_spec *spec = &machine->specs[p];
  for (uint32_t q = 0; q < p; q++)
    if (strcmp(machine->specs[q].processor, spec->processor) == 0)
      return cosrel_fail(error, COSREL_INVALID, "%s: expected every processor once", spec->processor);
  return cosrel_backend_open(spec, &machine->backends[p], error);
}

cosrel_status cosrel_machine_connect(const cosrel_backend_spec *specs, uint32_t n_processors,
                                     const cosrel_network *const *networks, uint32_t n_networks, cosrel_machine *out,
                                     cosrel_error *error) {
  memset(out, 0, sizeof *out);
  if (n_processors == 0 || n_processors > COSREL_PROCESSORS_MAX || n_networks > COSREL_NETWORKS_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "expected 1 to %d processors and at most %d models", COSREL_PROCESSORS_MAX,
                       COSREL_NETWORKS_MAX);
  out->n_processors = n_processors;
  out->n_networks = n_networks;
  memcpy(out->specs, specs, n_processors * sizeof *specs);
  for (uint32_t n = 0; n < n_networks; n++) out->networks[n] = networks[n];
  for (uint32_t p = 0; p < n_processors; p++) {
    cosrel_status status = open_processor(out, p, error);
    if (status != COSREL_OK) {
      cosrel_machine_close(out);
      return status;
    }
  }
  return COSREL_OK;
}

cosrel_status cosrel_machine_open(const cosrel_backend_spec *specs, uint32_t n_processors,
                                  const cosrel_network *const *networks, uint32_t n_networks, cosrel_machine *out,
                                  cosrel_error *error) {
  cosrel_status status = cosrel_machine_connect(specs, n_processors, networks, n_networks, out, error);
  for (uint32_t p = 0; p < n_processors && status == COSREL_OK; p++) status = cosrel_machine_prepare(out, p, error);
  if (status != COSREL_OK) cosrel_machine_close(out);
  return status;
}

void cosrel_machine_close(cosrel_machine *machine) {
  for (uint32_t p = 0; p < machine->n_processors; p++) {
    if (machine->backends[p] == NULL) continue;
    cosrel_machine_release(machine, p);
    machine->backends[p]->ops->close(machine->backends[p]);
  }
  for (uint32_t p = 0; p < machine->n_processors; p++)
    for (uint32_t n = 0; n < machine->n_networks; n++) free(machine->precisions[p][n]);
  memset(machine, 0, sizeof *machine);
}

static cosrel_status inject(cosrel_machine *machine, uint32_t p, cosrel_backend **backend, cosrel_error *error) {
  return cosrel_fault_backend_wrap(machine->injector, p, machine->networks, machine->prepared[p], machine->n_networks,
                                   backend, error);
}

cosrel_status cosrel_machine_inject(cosrel_machine *machine, cosrel_injector *injector, cosrel_error *error) {
  machine->injector = injector;
  for (uint32_t p = 0; p < machine->n_processors; p++) {
    cosrel_status status = inject(machine, p, &machine->backends[p], error);
    if (status != COSREL_OK) return status;
  }
  return COSREL_OK;
}

cosrel_status cosrel_machine_reopen(cosrel_machine *machine, uint32_t p, cosrel_error *error) {
  cosrel_backend *old = machine->backends[p], *fresh = NULL;
  cosrel_prepared **prepared = machine->prepared[p];
  for (uint32_t n = 0; n < machine->n_networks; n++) {
    if (prepared[n] == NULL) continue;
    old->ops->release(old, prepared[n]);
    prepared[n] = NULL;
    machine->wanted[p] |= UINT64_C(1) << n;
  }
  cosrel_status status = cosrel_backend_open(&machine->specs[p], &fresh, error);
  if (status != COSREL_OK) return status;
  if (machine->injector != NULL) status = inject(machine, p, &fresh, error);
  if (status != COSREL_OK) {
    fresh->ops->close(fresh);
    return status;
  }
  old->ops->close(old);
  machine->backends[p] = fresh;
  for (uint32_t n = 0; n < machine->n_networks && status == COSREL_OK; n++) {
    if ((machine->wanted[p] >> n & 1) == 0) continue;
    status = fresh->ops->prepare(fresh, machine->networks[n], machine->precisions[p][n], &prepared[n], error);
    if (status != COSREL_OK) prepared[n] = NULL;
  }
  if (status == COSREL_OK) machine->wanted[p] = 0;
  return status;
}

void cosrel_machine_bind(const cosrel_machine *machine, uint32_t p) {
  const cosrel_backend_spec *spec = &machine->specs[p];
  cosrel_affinity cores = cosrel_affinity_of(spec->cores, spec->n_cores);
  if (spec->n_cores > 0) cosrel_affinity_set(&cores); /* a wish: whether it may is checked when p is opened */
}
