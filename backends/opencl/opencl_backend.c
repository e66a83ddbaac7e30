#include "backends/opencl/opencl_backend.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/hash.h"
#include "backends/monotonic.h"
#include "backends/opencl/plan.h"

#define PIECES_MAX 2 /* enqueued and not yet done */

static const cosrel_time piece_time = 20 * COSREL_MS;   /* of work in a piece, about */
static const cosrel_time grace = 900 * COSREL_MS;       /* for what is enqueued when the budget is spent */
static const cosrel_time check_period = 20 * COSREL_MS; /* how often an event is asked, should its callback not come */

typedef struct piece {
  cl_event first, last; /* the same event where it is one launch */
} piece;

/* How long each launch of a network took when it was prepared first: weights that come back need not be tried again. */
typedef struct rehearsal {
  const cosrel_network *network;
  uint64_t precisions; /* their hash */
  uint32_t n_launches;
  cosrel_time *times; /* [n_launches], owned */
} rehearsal;

typedef struct opencl_backend {
  cosrel_backend base;
  cosrel_cl_device device;
  cosrel_cl_programs programs; /* while a model is prepared, as is `rehearsals` */
  rehearsal *rehearsals;
  uint32_t n_rehearsals;
  atomic_bool cancelled, running; /* running: a segment may be using its arena */
  _Atomic int64_t device_ns;
  atomic_bool lost;  /* the driver has failed */
  atomic_bool stuck; /* it holds on to what it was given: nothing of it is touched again */

  /* The segment that runs; worker's thread only. */
  cosrel_prepared *prepared;
  cl_mem arena;
  uint32_t next, end; /* launches yet to enqueue */
  piece pieces[PIECES_MAX];
  uint32_t n_pieces;
  cosrel_time segment_ns;

  pthread_mutex_t lock;
  pthread_cond_t ended;
  uint32_t n_asked;     /* callbacks asked for since open; worker's thread only */
  uint32_t n_callbacks; /* under `lock`: those that have come */
} opencl_backend;

struct cosrel_buffer {
  cl_mem memory;
  size_t bytes;
};

/* ---- Opening ---- */

static cosrel_status open_instance(const cosrel_backend_spec *spec, cosrel_backend **out, cosrel_error *error) {
  if (spec->threads > 0)
    return cosrel_fail(error, COSREL_UNSUPPORTED, "expected no threads=, only device= and, to divide it, cores=");
  opencl_backend *backend = calloc(1, sizeof *backend);
  if (backend == NULL) return cosrel_fail(error, COSREL_NOMEM, "out of memory");
  if (!cosrel_condition_init(&backend->ended)) {
    free(backend);
    return cosrel_fail(error, COSREL_NOMEM, "out of memory");
  }
  pthread_mutex_init(&backend->lock, NULL);
  backend->base.ops = &cosrel_opencl_backend;
  atomic_init(&backend->cancelled, false);
  atomic_init(&backend->running, false);
  atomic_init(&backend->lost, false);
  atomic_init(&backend->stuck, false);
  atomic_init(&backend->device_ns, -1);
  cosrel_status status = cosrel_cl_device_open(spec, NULL, &backend->device, error);
  if (status != COSREL_OK) {
    pthread_cond_destroy(&backend->ended);
    pthread_mutex_destroy(&backend->lock);
    free(backend);
    return status;
  }
  cosrel_cl_programs_init(&backend->programs, &backend->device);
  *out = &backend->base;
  return COSREL_OK;
}

static void describe(const cosrel_backend *base, cosrel_capability *out) {
  const cosrel_cl_device *device = &((const opencl_backend *)base)->device;
  snprintf(out->platform, sizeof out->platform, "%s", device->platform);
  snprintf(out->device, sizeof out->device, "%s", device->name);
  snprintf(out->version, sizeof out->version, "%s, driver %s", device->version, device->driver);
  out->units = device->units;
  out->memory_mib = (double)device->memory_bytes / 1048576;
  out->fp16 = device->fp16;
  out->shares_memory = device->unified;
}

/* ---- Models ---- */

static bool supports(const cosrel_backend *base, const cosrel_network *network, uint32_t unit,
                     cosrel_precision precision) {
  (void)base;
  return cosrel_cl_supports(network, unit, precision);
}

/* Maps `bytes` of the buffer, or NULL. The mapping is undone by unmap. */
static void *map(opencl_backend *backend, cl_mem memory, cl_map_flags flags, size_t offset, size_t bytes) {
  cl_int code;
  void *at = backend->device.api.EnqueueMapBuffer(backend->device.copy, memory, CL_TRUE, flags, offset, bytes, 0, NULL,
                                                  NULL, &code);
  return code == CL_SUCCESS ? at : NULL;
}

static cl_int unmap(opencl_backend *backend, cl_mem memory, void *at) {
  const cosrel_cl_api *api = &backend->device.api;
  cl_event event = NULL;
  cl_int code = api->EnqueueUnmapMemObject(backend->device.copy, memory, at, 0, NULL, &event);
  if (code != CL_SUCCESS) return code;
  code = api->WaitForEvents(1, &event);
  api->ReleaseEvent(event);
  return code;
}

static cosrel_status buffer_create(cosrel_backend *base, size_t bytes, cosrel_buffer **out, cosrel_error *error) {
  opencl_backend *backend = (opencl_backend *)base;
  const cosrel_cl_api *api = &backend->device.api;
  cosrel_buffer *buffer = calloc(1, sizeof *buffer);
  cl_int code;
  if (buffer == NULL) return cosrel_fail(error, COSREL_NOMEM, "out of memory");
  buffer->bytes = bytes;
  buffer->memory =
      api->CreateBuffer(backend->device.context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, bytes, NULL, &code);
  void *at = buffer->memory != NULL ? map(backend, buffer->memory, CL_MAP_WRITE, 0, bytes) : NULL;
  if (at != NULL) { /* drivers take memory at its first use: now, not in the first request */
    memset(at, 0, bytes);
    code = unmap(backend, buffer->memory, at);
    if (code == CL_SUCCESS) {
      *out = buffer;
      return COSREL_OK;
    }
  }
  if (buffer->memory != NULL) api->ReleaseMemObject(buffer->memory);
  free(buffer);
  return cosrel_fail(error, cosrel_cl_status(code) == COSREL_NOMEM ? COSREL_NOMEM : COSREL_IO, "%.1f MiB on %s: %s",
                     (double)bytes / 1048576, backend->device.name, cosrel_cl_code_name(code));
}

static void buffer_destroy(cosrel_backend *base, cosrel_buffer *buffer) {
  opencl_backend *backend = (opencl_backend *)base;
  if (!atomic_load(&backend->stuck)) backend->device.api.ReleaseMemObject(buffer->memory);
  free(buffer);
}

static void release(cosrel_backend *base, cosrel_prepared *prepared) {
  opencl_backend *backend = (opencl_backend *)base;
  if (!atomic_load(&backend->stuck)) cosrel_cl_plan_destroy(&backend->device, prepared);
}

/* Runs every launch on an arena of zeros: drivers end compiling at a kernel's first run, and the times tell how far
 * ahead of the device to enqueue. */
static cosrel_status rehearse(opencl_backend *backend, cosrel_prepared *prepared, cosrel_error *error) {
  cosrel_buffer *buffer = NULL;
  cosrel_status status = buffer_create(&backend->base, (size_t)prepared->network->arena_bytes, &buffer, error);
  for (uint32_t i = 0; i < prepared->n_launches && status == COSREL_OK; i++) {
    cosrel_cl_launch *launch = &prepared->launches[i];
    launch->device_ns = cosrel_cl_launch_time(&backend->device, launch, buffer->memory, 1);
    if (launch->device_ns < 0)
      status = cosrel_fail(error, COSREL_IO, "%s: kernels/%s.cl: %s failed on %s", prepared->network->net.name,
                           launch->source, launch->kernel, backend->device.name);
  }
  if (buffer != NULL) buffer_destroy(&backend->base, buffer);
  return status;
}

static bool recall(const opencl_backend *backend, uint64_t precisions, cosrel_prepared *prepared) {
  for (uint32_t i = 0; i < backend->n_rehearsals; i++) {
    const rehearsal *r = &backend->rehearsals[i];
    if (r->network != prepared->network || r->precisions != precisions || r->n_launches != prepared->n_launches)
      continue;
    for (uint32_t k = 0; k < r->n_launches; k++) prepared->launches[k].device_ns = r->times[k];
    return true;
  }
  return false;
}

/* Where there is no memory for it, the network is tried again the next time. */
static void remember(opencl_backend *backend, uint64_t precisions, const cosrel_prepared *prepared) {
  rehearsal r = {.network = prepared->network, .precisions = precisions, .n_launches = prepared->n_launches};
  rehearsal *grown = realloc(backend->rehearsals, (backend->n_rehearsals + 1) * sizeof *grown);
  if (grown == NULL) return;
  backend->rehearsals = grown;
  r.times = malloc((r.n_launches + 1) * sizeof *r.times);
  if (r.times == NULL) return;
  for (uint32_t k = 0; k < r.n_launches; k++) r.times[k] = prepared->launches[k].device_ns;
  grown[backend->n_rehearsals++] = r;
}

static cosrel_status prepare(cosrel_backend *base, const cosrel_network *network, const uint8_t *precisions,
                             cosrel_prepared **out, cosrel_error *error) {
  opencl_backend *backend = (opencl_backend *)base;
  cosrel_status status = cosrel_cl_plan(network, precisions, &backend->device, &backend->programs, out, error);
  uint64_t hash = precisions != NULL ? cosrel_hash_bytes(COSREL_HASH_BEGIN, precisions, network->model.n_units) : 0;
  if (status != COSREL_OK || recall(backend, hash, *out)) return status;
  status = rehearse(backend, *out, error);
  if (status == COSREL_OK) {
    remember(backend, hash, *out);
    return COSREL_OK;
  }
  release(base, *out);
  *out = NULL;
  return status;
}

/* ---- Tensors ---- */

/* A buffer that a running segment may write must not be mapped: then the driver copies. */
static bool may_map(opencl_backend *backend) { return backend->device.unified && !atomic_load(&backend->running); }

static cosrel_status transferred(cl_int code) { return code == CL_SUCCESS ? COSREL_OK : COSREL_IO; }

static cosrel_status write_tensor(cosrel_backend *base, cosrel_buffer *buffer, size_t offset, const void *host,
                                  size_t bytes) {
  opencl_backend *backend = (opencl_backend *)base;
  if (atomic_load(&backend->lost)) return COSREL_IO;
  if (offset > buffer->bytes || bytes > buffer->bytes - offset) return COSREL_INVALID;
  if (!may_map(backend))
    return transferred(backend->device.api.EnqueueWriteBuffer(backend->device.copy, buffer->memory, CL_TRUE, offset,
                                                              bytes, host, 0, NULL, NULL));
  /* Memory is shared, so CL_MAP_WRITE_INVALIDATE_REGION saves no copy, but oclgrind takes it for nothing written. */
  void *at = map(backend, buffer->memory, CL_MAP_WRITE, offset, bytes);
  if (at == NULL) return COSREL_IO;
  memcpy(at, host, bytes);
  return transferred(unmap(backend, buffer->memory, at));
}

static cosrel_status read_tensor(cosrel_backend *base, const cosrel_buffer *buffer, size_t offset, void *host,
                                 size_t bytes) {
  opencl_backend *backend = (opencl_backend *)base;
  if (atomic_load(&backend->lost)) return COSREL_IO;
  if (offset > buffer->bytes || bytes > buffer->bytes - offset) return COSREL_INVALID;
  if (!may_map(backend))
    return transferred(backend->device.api.EnqueueReadBuffer(backend->device.copy, buffer->memory, CL_TRUE, offset,
                                                             bytes, host, 0, NULL, NULL));
  void *at = map(backend, buffer->memory, CL_MAP_READ, offset, bytes);
  if (at == NULL) return COSREL_IO;
  memcpy(host, at, bytes);
  return transferred(unmap(backend, buffer->memory, at));
}

/* ---- Segments ---- */

static void CL_CALLBACK piece_ended(cl_event event, cl_int status, void *self) {
  (void)event, (void)status;
  opencl_backend *backend = self;
  pthread_mutex_lock(&backend->lock);
  backend->n_callbacks++;
  pthread_cond_signal(&backend->ended);
  pthread_mutex_unlock(&backend->lock);
}

/* Enqueues the next launches of the segment, about piece_time of them, as one piece. Every launch has an event, since
 * any may turn out to be the last. */
static cl_int enqueue_piece(opencl_backend *backend) {
  const cosrel_cl_api *api = &backend->device.api;
  piece *p = &backend->pieces[backend->n_pieces];
  cosrel_time work = 0;
  cl_int code = CL_SUCCESS;
  *p = (piece){NULL, NULL};
  while (backend->next < backend->end && work < piece_time && !atomic_load(&backend->cancelled)) {
    cosrel_cl_launch *launch = &backend->prepared->launches[backend->next];
    cl_event event = NULL;
    code = cosrel_cl_launch_enqueue(&backend->device, launch, backend->arena, &event);
    if (code != CL_SUCCESS) break;
    if (p->last != NULL && p->last != p->first) api->ReleaseEvent(p->last);
    p->last = event;
    if (p->first == NULL) p->first = event;
    backend->next++;
    work += launch->device_ns;
  }
  if (p->last == NULL) return code;
  backend->n_pieces++;
  if (api->SetEventCallback(p->last, CL_COMPLETE, piece_ended, backend) == CL_SUCCESS) backend->n_asked++;
  cl_int flushed = api->Flush(backend->device.compute);
  return code != CL_SUCCESS ? code : flushed;
}

static void release_piece(opencl_backend *backend, piece *p) {
  const cosrel_cl_api *api = &backend->device.api;
  if (p->last != p->first) api->ReleaseEvent(p->last);
  api->ReleaseEvent(p->first);
}

/* Adds up the device's own time of the oldest piece, which is done, and forgets it. */
static void take_piece(opencl_backend *backend) {
  const cosrel_cl_api *api = &backend->device.api;
  cl_ulong start = 0, end = 0;
  piece *p = &backend->pieces[0];
  if (api->GetEventProfilingInfo(p->first, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL) == CL_SUCCESS &&
      api->GetEventProfilingInfo(p->last, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL) == CL_SUCCESS &&
      end >= start && backend->segment_ns >= 0)
    backend->segment_ns += (cosrel_time)(end - start);
  else
    backend->segment_ns = -1;
  release_piece(backend, p);
  backend->n_pieces--;
  memmove(backend->pieces, backend->pieces + 1, backend->n_pieces * sizeof *p);
}

/* Whether the oldest piece has ended; *code gets the failure of one that did badly. */
static bool has_ended(opencl_backend *backend, cl_int *code) {
  cl_int status = CL_QUEUED;
  cl_int asked = backend->device.api.GetEventInfo(backend->pieces[0].last, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                                  sizeof status, &status, NULL);
  if (asked != CL_SUCCESS) status = asked;
  *code = status < 0 ? status : CL_SUCCESS;
  return status == CL_COMPLETE || status < 0;
}

static uint32_t count_callbacks(opencl_backend *backend) {
  pthread_mutex_lock(&backend->lock);
  uint32_t n = backend->n_callbacks;
  pthread_mutex_unlock(&backend->lock);
  return n;
}

/* Until another callback than the first `seen` has come, at most until clock time `limit`. */
static void wait_callback(opencl_backend *backend, uint32_t seen, cosrel_time limit) {
  pthread_mutex_lock(&backend->lock);
  while (backend->n_callbacks == seen && cosrel_condition_wait(&backend->ended, &backend->lock, limit)) {
  }
  pthread_mutex_unlock(&backend->lock);
}

/* Waits until the oldest piece has ended, or until clock time `limit`. The event is what counts; its callback only
 * wakes us, since some drivers lose some. */
static bool wait_piece(opencl_backend *backend, cosrel_time limit, cl_int *code) {
  for (;;) {
    uint32_t seen = count_callbacks(backend);
    if (has_ended(backend, code)) return true;
    cosrel_time now = cosrel_monotonic_now();
    if (now >= limit) return false;
    wait_callback(backend, seen, now + check_period < limit ? now + check_period : limit);
  }
}

/* The driver has failed. It has until clock time `limit` to end what it was given; what it then still holds on to stays
 * with it for good. */
static cosrel_status lose(opencl_backend *backend, cosrel_time limit) {
  cl_int code;
  atomic_store(&backend->lost, true);
  while (backend->n_pieces > 0 && wait_piece(backend, limit, &code)) take_piece(backend);
  if (backend->n_pieces > 0) atomic_store(&backend->stuck, true);
  atomic_store(&backend->running, false);
  return COSREL_IO;
}

static cosrel_status submit(cosrel_backend *base, cosrel_prepared *prepared, void *arena, cosrel_buffer *buffer,
                            uint32_t begin, uint32_t end) {
  (void)arena;
  opencl_backend *backend = (opencl_backend *)base;
  if (atomic_load(&backend->lost)) return COSREL_IO;
  if (buffer == NULL) return COSREL_INVALID;
  for (uint32_t u = begin; u < end; u++)
    if (prepared->first_launch[u] == prepared->first_launch[u + 1]) return COSREL_UNSUPPORTED;
  atomic_store(&backend->cancelled, false);
  atomic_store(&backend->running, true);
  backend->prepared = prepared;
  backend->arena = buffer->memory;
  backend->next = prepared->first_launch[begin];
  backend->end = prepared->first_launch[end];
  backend->n_pieces = 0;
  backend->segment_ns = 0;
  cl_int code = CL_SUCCESS;
  while (backend->n_pieces < PIECES_MAX && backend->next < backend->end && code == CL_SUCCESS) {
    if (atomic_load(&backend->cancelled)) break;
    code = enqueue_piece(backend);
  }
  return code == CL_SUCCESS ? COSREL_OK : lose(backend, cosrel_monotonic_now() + grace);
}

static cosrel_status wait(cosrel_backend *base, cosrel_time budget) {
  opencl_backend *backend = (opencl_backend *)base;
  if (atomic_load(&backend->lost)) return COSREL_IO;
  cosrel_time now = cosrel_monotonic_now();
  cosrel_time limit = budget > INT64_MAX - now - grace ? INT64_MAX - grace : now + budget;
  cl_int code = CL_SUCCESS;
  bool over = false;
  while (backend->n_pieces > 0) {
    if (!wait_piece(backend, over ? limit + grace : limit, &code)) {
      if (over) return lose(backend, limit + grace);
      over = true;
      continue;
    }
    if (code != CL_SUCCESS) return lose(backend, limit + grace);
    take_piece(backend);
    if (over || atomic_load(&backend->cancelled) || backend->next == backend->end) continue;
    if (enqueue_piece(backend) != CL_SUCCESS) return lose(backend, limit + grace);
  }
  atomic_store(&backend->running, false);
  atomic_store(&backend->device_ns, backend->segment_ns);
  return over || backend->next < backend->end ? COSREL_INTERRUPTED : COSREL_OK;
}

static void cancel(cosrel_backend *base) { atomic_store(&((opencl_backend *)base)->cancelled, true); }

static void telemetry(cosrel_backend *base, cosrel_telemetry *out) {
  *out = (cosrel_telemetry){.energy_mj = -1, .temperature_c = NAN, .frequency_mhz = 0};
  out->device_ns = atomic_load(&((opencl_backend *)base)->device_ns);
}

/* A device that is stuck keeps its instance: a callback may still come, and releasing what hangs would hang. So does
 * one whose driver owes a callback after a second. */
static void close_instance(cosrel_backend *base) {
  opencl_backend *backend = (opencl_backend *)base;
  if (atomic_load(&backend->stuck)) return;
  cosrel_time limit = cosrel_monotonic_now() + COSREL_S;
  for (uint32_t seen; (seen = count_callbacks(backend)) < backend->n_asked && cosrel_monotonic_now() < limit;)
    wait_callback(backend, seen, limit);
  if (count_callbacks(backend) < backend->n_asked) return;
  for (uint32_t i = 0; i < backend->n_rehearsals; i++) free(backend->rehearsals[i].times);
  free(backend->rehearsals);
  cosrel_cl_programs_destroy(&backend->programs);
  cosrel_cl_device_close(&backend->device);
  pthread_cond_destroy(&backend->ended);
  pthread_mutex_destroy(&backend->lock);
  free(backend);
}

const cosrel_backend_ops cosrel_opencl_backend = {
    .struct_size = sizeof(cosrel_backend_ops),
    .name = "opencl",
    .precisions = 1u << COSREL_FP32 | 1u << COSREL_FP16,
    .open = open_instance,
    .close = close_instance,
    .supports = supports,
    .prepare = prepare,
    .release = release,
    .weight_bytes = cosrel_cl_weight_bytes,
    .buffer_create = buffer_create,
    .buffer_destroy = buffer_destroy,
    .write = write_tensor,
    .read = read_tensor,
    .submit = submit,
    .wait = wait,
    .cancel = cancel,
    .telemetry = telemetry,
    .describe = describe,
};
