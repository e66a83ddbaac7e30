#include "backends/fault_backend.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/monotonic.h"

static const cosrel_time slice = 5 * COSREL_MS; /* how often a hang looks whether it is over */

typedef struct fault_backend {
  cosrel_backend base;
  cosrel_backend_ops ops; /* the inner one's, so that optional slots stay as they are, with some replaced */
  cosrel_backend *inner;  /* owned */
  cosrel_injector *injector;
  uint32_t processor;
  pthread_mutex_t lock; /* of the injector's state of this processor, of `cancelled` and of `ready` */
  bool cancelled;
  struct {
    const cosrel_network *network;
    cosrel_prepared *prepared; /* NULL: free */
  } ready[COSREL_STREAMS_MAX];
  /* The segment that was submitted last. */
  cosrel_injected kind;
  cosrel_prepared *of;
  void *arena;
  cosrel_buffer *buffer;
  uint32_t end;
} fault_backend;

static cosrel_time run_time(const fault_backend *b) { return cosrel_monotonic_now() - b->injector->epoch; }

static cosrel_injected condition(fault_backend *b) {
  pthread_mutex_lock(&b->lock);
  cosrel_injected kind = cosrel_injector_condition(b->injector, b->processor, run_time(b));
  pthread_mutex_unlock(&b->lock);
  return kind;
}

static bool is_cancelled(fault_backend *b) {
  pthread_mutex_lock(&b->lock);
  bool cancelled = b->cancelled;
  pthread_mutex_unlock(&b->lock);
  return cancelled;
}

static void pause_for(cosrel_time t) {
  struct timespec pause = {.tv_sec = (time_t)(t / COSREL_S), .tv_nsec = (long)(t % COSREL_S)};
  nanosleep(&pause, NULL);
}

static void close_instance(cosrel_backend *base) {
  fault_backend *b = (fault_backend *)base;
  b->inner->ops->close(b->inner);
  pthread_mutex_destroy(&b->lock);
  free(b);
}

static bool supports(const cosrel_backend *base, const cosrel_network *network, uint32_t unit,
                     cosrel_precision precision) {
  const cosrel_backend *inner = ((const fault_backend *)base)->inner;
  return inner->ops->supports(inner, network, unit, precision);
}

/* Puts a network into the first place that holds `old`. */
static void remember(fault_backend *b, const cosrel_prepared *old, const cosrel_network *network,
                     cosrel_prepared *prepared) {
  uint32_t n = 0;
  pthread_mutex_lock(&b->lock);
  while (n < COSREL_STREAMS_MAX && b->ready[n].prepared != old) n++;
  if (n < COSREL_STREAMS_MAX) b->ready[n].network = network, b->ready[n].prepared = prepared;
  pthread_mutex_unlock(&b->lock);
}

static cosrel_status prepare(cosrel_backend *base, const cosrel_network *network, const uint8_t *precisions,
                             cosrel_prepared **out, cosrel_error *error) {
  fault_backend *b = (fault_backend *)base;
  cosrel_status status = b->inner->ops->prepare(b->inner, network, precisions, out, error);
  if (status == COSREL_OK) remember(b, NULL, network, *out);
  return status;
}

static void release(cosrel_backend *base, cosrel_prepared *prepared) {
  fault_backend *b = (fault_backend *)base;
  remember(b, prepared, NULL, NULL);
  b->inner->ops->release(b->inner, prepared);
}

static cosrel_status buffer_create(cosrel_backend *base, size_t bytes, cosrel_buffer **out, cosrel_error *error) {
  cosrel_backend *inner = ((fault_backend *)base)->inner;
  return inner->ops->buffer_create(inner, bytes, out, error);
}

static void buffer_destroy(cosrel_backend *base, cosrel_buffer *buffer) {
  cosrel_backend *inner = ((fault_backend *)base)->inner;
  inner->ops->buffer_destroy(inner, buffer);
}

static cosrel_status write_bytes(cosrel_backend *base, cosrel_buffer *buffer, size_t offset, const void *host,
                                 size_t bytes) {
  fault_backend *b = (fault_backend *)base;
  if (condition(b) == COSREL_INJECT_LOST) return COSREL_IO;
  return b->inner->ops->write(b->inner, buffer, offset, host, bytes);
}

static cosrel_status read_bytes(cosrel_backend *base, const cosrel_buffer *buffer, size_t offset, void *host,
                                size_t bytes) {
  fault_backend *b = (fault_backend *)base;
  if (condition(b) == COSREL_INJECT_LOST) return COSREL_IO;
  return b->inner->ops->read(b->inner, buffer, offset, host, bytes);
}

/* An error comes from submit or, every second time, from wait, when the segment has written what it liked. */
static cosrel_status submit(cosrel_backend *base, cosrel_prepared *prepared, void *arena, cosrel_buffer *buffer,
                            uint32_t begin, uint32_t end) {
  fault_backend *b = (fault_backend *)base;
  pthread_mutex_lock(&b->lock);
  b->cancelled = false;
  b->kind = cosrel_injector_segment(b->injector, b->processor, run_time(b));
  bool early = b->injector->processors[b->processor].n_segments % 2 == 0;
  pthread_mutex_unlock(&b->lock);
  b->of = prepared;
  b->arena = arena;
  b->buffer = buffer;
  b->end = end;
  if (b->kind == COSREL_INJECT_LOST) return COSREL_IO;
  if (b->kind == COSREL_INJECT_ERROR && early) return COSREL_INTERNAL;
  if (b->kind == COSREL_INJECT_HANG || b->kind == COSREL_INJECT_STUCK) return COSREL_OK;
  return b->inner->ops->submit(b->inner, prepared, arena, buffer, begin, end);
}

/* Puts a NaN at the beginning of what the segment's last unit has made. */
static cosrel_status spoil(fault_backend *b) {
  const float nan = NAN;
  const cosrel_network *network = NULL;
  pthread_mutex_lock(&b->lock);
  for (uint32_t n = 0; n < COSREL_STREAMS_MAX; n++)
    if (b->ready[n].prepared == b->of) network = b->ready[n].network;
  pthread_mutex_unlock(&b->lock);
  if (network == NULL) return COSREL_INTERNAL;
  size_t at = (size_t)network->offsets[network->units[b->end - 1].output];
  if (b->buffer != NULL) return b->inner->ops->write(b->inner, b->buffer, at, &nan, sizeof nan);
  memcpy((char *)b->arena + at, &nan, sizeof nan);
  return COSREL_OK;
}

static cosrel_status wait(cosrel_backend *base, cosrel_time budget) {
  fault_backend *b = (fault_backend *)base;
  cosrel_time limit = cosrel_monotonic_now() + budget;
  cosrel_status status;
  switch (b->kind) {
    case COSREL_INJECT_HANG:
      while (cosrel_monotonic_now() < limit && !is_cancelled(b)) pause_for(slice);
      return COSREL_INTERRUPTED;
    case COSREL_INJECT_STUCK:
      while (condition(b) == COSREL_INJECT_STUCK) pause_for(slice);
      return COSREL_INTERRUPTED;
    case COSREL_INJECT_LOST: return COSREL_IO;
    case COSREL_INJECT_ERROR: b->inner->ops->wait(b->inner, budget); return COSREL_INTERNAL;
    case COSREL_INJECT_NAN:
      status = b->inner->ops->wait(b->inner, budget);
      return status == COSREL_OK ? spoil(b) : status;
    default: return b->inner->ops->wait(b->inner, budget);
  }
}

static void cancel(cosrel_backend *base) {
  fault_backend *b = (fault_backend *)base;
  pthread_mutex_lock(&b->lock);
  b->cancelled = true;
  pthread_mutex_unlock(&b->lock);
  if (b->inner->ops->cancel != NULL) b->inner->ops->cancel(b->inner);
}

static void telemetry(cosrel_backend *base, cosrel_telemetry *out) {
  cosrel_backend *inner = ((fault_backend *)base)->inner;
  inner->ops->telemetry(inner, out);
}

static void describe(const cosrel_backend *base, cosrel_capability *out) {
  const cosrel_backend *inner = ((const fault_backend *)base)->inner;
  inner->ops->describe(inner, out);
}

cosrel_status cosrel_fault_backend_wrap(cosrel_injector *injector, uint32_t p, const cosrel_network *const *networks,
                                        cosrel_prepared *const *prepared, uint32_t n_networks, cosrel_backend **backend,
                                        cosrel_error *error) {
  fault_backend *b = calloc(1, sizeof *b);
  if (b == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory to inject faults");
  b->inner = *backend;
  b->injector = injector;
  b->processor = p;
  pthread_mutex_init(&b->lock, NULL);
  if (condition(b) == COSREL_INJECT_LOST) {
    pthread_mutex_destroy(&b->lock);
    free(b);
    return cosrel_fail(error, COSREL_IO, "lost on demand");
  }
  for (uint32_t n = 0; n < n_networks; n++)
    if (prepared[n] != NULL) remember(b, NULL, networks[n], prepared[n]);
  b->ops = *b->inner->ops;
  b->ops.close = close_instance;
  b->ops.supports = supports;
  b->ops.prepare = prepare;
  b->ops.release = release;
  b->ops.submit = submit;
  b->ops.wait = wait;
  b->ops.cancel = cancel;
  if (b->ops.buffer_create != NULL) {
    b->ops.buffer_create = buffer_create;
    b->ops.buffer_destroy = buffer_destroy;
    b->ops.write = write_bytes;
    b->ops.read = read_bytes;
  }
  if (b->ops.telemetry != NULL) b->ops.telemetry = telemetry;
  if (b->ops.describe != NULL) b->ops.describe = describe;
  b->base.ops = &b->ops;
  *backend = &b->base;
  return COSREL_OK;
}
