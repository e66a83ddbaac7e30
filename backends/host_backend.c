#include "backends/host_backend.h"

cosrel_status cosrel_host_run(cosrel_backend *backend, cosrel_prepared *prepared, void *arena, uint32_t begin,
                              uint32_t end, cosrel_host_unit run_unit) {
  cosrel_host_backend *host = (cosrel_host_backend *)backend;
  cosrel_status status = COSREL_OK;
  atomic_store(&host->cancelled, false);
  host->interrupted = false;
  for (uint32_t u = begin; u < end && status == COSREL_OK; u++) {
    if ((host->interrupted = atomic_load(&host->cancelled))) break;
    status = run_unit(backend, prepared, arena, u);
  }
  return status;
}

cosrel_status cosrel_host_wait(cosrel_backend *backend, cosrel_time budget) {
  (void)budget;
  return ((cosrel_host_backend *)backend)->interrupted ? COSREL_INTERRUPTED : COSREL_OK;
}

void cosrel_host_cancel(cosrel_backend *backend) { atomic_store(&((cosrel_host_backend *)backend)->cancelled, true); }
