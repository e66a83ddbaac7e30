#include "backends/recast.h"

#include <stdlib.h>
#include <string.h>

void cosrel_recast_open(const cosrel_machine *machine, const cosrel_profiled_model *models, uint32_t n_models,
                        cosrel_recast *out) {
  out->machine = *machine;
  memset(out->machine.precisions, 0, sizeof out->machine.precisions);
  out->machine.n_networks = n_models;
  for (uint32_t m = 0; m < n_models; m++) {
    uint32_t n = models[m].network;
    out->machine.networks[m] = machine->networks[n];
    for (uint32_t p = 0; p < machine->n_processors; p++) out->machine.prepared[p][m] = machine->prepared[p][n];
    out->models[m] = models[m];
    out->models[m].network = m;
  }
}

cosrel_status cosrel_recast_prepare(cosrel_recast *recast, uint32_t p, uint32_t m, const uint8_t *precisions,
                                    cosrel_error *error) {
  cosrel_machine *machine = &recast->machine;
  const cosrel_network *network = machine->networks[m];
  cosrel_prepared *prepared;
  cosrel_error inner = {"no memory"};
  uint32_t u = 0;
  while (u < network->model.n_units && precisions[u] == COSREL_FP32) u++;
  if (u == network->model.n_units) return COSREL_OK;
  cosrel_status status = COSREL_NOMEM;
  uint8_t *copy = malloc(network->model.n_units);
  if (copy != NULL) {
    memcpy(copy, precisions, network->model.n_units);
    status = machine->backends[p]->ops->prepare(machine->backends[p], network, copy, &prepared, &inner);
  }
  if (status != COSREL_OK) {
    free(copy);
    return cosrel_fail(error, status, "%s: %s: %.300s", machine->specs[p].processor, recast->models[m].name,
                       inner.text);
  }
  machine->precisions[p][m] = copy;
  machine->prepared[p][m] = prepared;
  return COSREL_OK;
}

void cosrel_recast_close(cosrel_recast *recast) {
  cosrel_machine *machine = &recast->machine;
  for (uint32_t p = 0; p < machine->n_processors; p++)
    for (uint32_t m = 0; m < machine->n_networks; m++) {
      if (machine->precisions[p][m] == NULL) continue; /* borrowed */
      machine->backends[p]->ops->release(machine->backends[p], machine->prepared[p][m]);
      free(machine->precisions[p][m]);
    }
  memset(recast, 0, sizeof *recast);
}
