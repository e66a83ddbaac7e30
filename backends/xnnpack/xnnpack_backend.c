#include "backends/xnnpack/xnnpack_backend.h"

#include <cblas.h>
#include <pthread.h>
#include <stdlib.h>

#include "backends/affinity.h"
#include "backends/host_backend.h"
#include "backends/xnnpack/memory.h"
#include "backends/xnnpack/plan.h"

typedef struct xnnpack_backend {
  cosrel_host_backend host;
  pthreadpool_t pool; /* NULL: one thread, the caller's */
  bool has_cores, moved;
  cosrel_affinity cores;
  pthread_t caller; /* the thread that was moved to `cores` last */
} xnnpack_backend;

/* Threads inherit where their creator may run. */
static cosrel_status create_pool(xnnpack_backend *backend, uint32_t threads, cosrel_error *error) {
  cosrel_affinity before;
  bool known = cosrel_affinity_get(&before);
  if (backend->has_cores && !(known && cosrel_affinity_set(&backend->cores))) {
    return cosrel_fail(error, COSREL_UNSUPPORTED, "expected cores that this machine has and this process may use");
  }
  if (threads == 0) {
    cosrel_affinity mine;
    threads = cosrel_affinity_get(&mine) ? cosrel_affinity_count(&mine) : 1;
  }
  if (threads > 1) backend->pool = pthreadpool_create(threads);
  if (known) cosrel_affinity_set(&before);
  return threads > 1 && backend->pool == NULL ? cosrel_fail(error, COSREL_NOMEM, "no threads to be had") : COSREL_OK;
}

static void close_instance(cosrel_backend *base) {
  xnnpack_backend *backend = (xnnpack_backend *)base;
  if (backend->pool != NULL) pthreadpool_destroy(backend->pool);
  free(backend);
}

static cosrel_status open_instance(const cosrel_backend_spec *spec, cosrel_backend **out, cosrel_error *error) {
  if (spec->device[0] != '\0') return cosrel_fail(error, COSREL_UNSUPPORTED, "expected no device, only cores");
  if (xnn_initialize(&cosrel_xnn_allocator) != xnn_status_success) {
    return cosrel_fail(error, COSREL_UNSUPPORTED, "XNNPACK cannot use this processor");
  }
  openblas_set_num_threads(1); /* threads are ours */
  xnnpack_backend *backend = calloc(1, sizeof *backend);
  if (backend == NULL) return cosrel_fail(error, COSREL_NOMEM, "out of memory");
  backend->host.base.ops = &cosrel_xnnpack_backend;
  backend->has_cores = spec->n_cores > 0;
  backend->cores = cosrel_affinity_of(spec->cores, spec->n_cores);
  atomic_init(&backend->host.cancelled, false);
  cosrel_status status = create_pool(backend, spec->threads, error);
  if (status != COSREL_OK) {
    close_instance(&backend->host.base);
    return status;
  }
  *out = &backend->host.base;
  return COSREL_OK;
}

static bool supports(const cosrel_backend *backend, const cosrel_network *network, uint32_t unit,
                     cosrel_precision precision) {
  (void)backend, (void)network, (void)unit;
  return precision == COSREL_FP32;
}

static cosrel_status prepare(cosrel_backend *base, const cosrel_network *network, const uint8_t *precisions,
                             cosrel_prepared **out, cosrel_error *error) {
  (void)precisions;
  return cosrel_xnn_plan(network, ((xnnpack_backend *)base)->pool, out, error);
}

static void release(cosrel_backend *base, cosrel_prepared *prepared) {
  (void)base;
  cosrel_xnn_plan_destroy(prepared);
}

static uint64_t weight_bytes(const cosrel_prepared *prepared, uint32_t unit) { return prepared->weight_bytes[unit]; }

static void move_caller(xnnpack_backend *backend) {
  pthread_t self = pthread_self();
  if (!backend->has_cores || (backend->moved && pthread_equal(self, backend->caller) != 0)) return;
  backend->moved = cosrel_affinity_set(&backend->cores);
  backend->caller = self;
}

static cosrel_status run_unit(cosrel_backend *base, cosrel_prepared *prepared, void *arena, uint32_t unit) {
  pthreadpool_t pool = ((xnnpack_backend *)base)->pool;
  prepared->bases.arena = arena;
  for (uint32_t i = prepared->first_step[unit]; i < prepared->first_step[unit + 1]; i++) {
    const cosrel_xnn_step *step = &prepared->steps[i];
    if (step->compute != NULL) {
      step->compute(step, &prepared->bases);
    } else if (step->setup(step, &prepared->bases, pool) != xnn_status_success ||
               xnn_run_operator(step->op, pool) != xnn_status_success) {
      return COSREL_INTERNAL;
    }
  }
  return COSREL_OK;
}

static cosrel_status submit(cosrel_backend *base, cosrel_prepared *prepared, void *arena, cosrel_buffer *buffer,
                            uint32_t begin, uint32_t end) {
  (void)buffer;
  move_caller((xnnpack_backend *)base);
  return cosrel_host_run(base, prepared, arena, begin, end, run_unit);
}

const cosrel_backend_ops cosrel_xnnpack_backend = {
    .struct_size = sizeof(cosrel_backend_ops),
    .name = "xnnpack",
    .open = open_instance,
    .close = close_instance,
    .supports = supports,
    .prepare = prepare,
    .release = release,
    .weight_bytes = weight_bytes,
    .submit = submit,
    .wait = cosrel_host_wait,
    .cancel = cosrel_host_cancel,
};
