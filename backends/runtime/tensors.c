/* The tensors of a request: where each of them is, and moving them between memories. */
#include "backends/runtime/inside.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

const cosrel_network *cosrel_job_network(const cosrel_runtime *runtime, const cosrel_job *job) {
  return runtime->machine->networks[runtime->io[job->stream].network];
}

/* The values that tensor t stands for: all inputs of the model, or one unit's output. */
static uint32_t tensor_values(const cosrel_network *network, uint32_t t, const int32_t **values) {
  *values = t == 0 ? network->net.inputs : &network->units[t - 1].output;
  return t == 0 ? network->net.n_inputs : 1;
}

static uint64_t value_elements(const cosrel_network *network, int32_t value) {
  return cosrel_shape_elements(&network->net.values[value].tensor.shape);
}

/* Takes a lock that another worker may hold inside of a driver that does not return: false when the time of the job
 * that `w` has is over before. So one processor that hangs does not take those with it that wait for its tensors. */
static bool lock_in_time(const cosrel_worker *w, const cosrel_job *job, pthread_mutex_t *mutex) {
  if (pthread_mutex_trylock(mutex) == 0) return true;
  while (cosrel_monotonic_now() < w->given_at + job->budget) { /* in slices: timedlock's clock may jump */
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)(20 * COSREL_MS);
    until.tv_sec += until.tv_nsec / (long)COSREL_S;
    until.tv_nsec %= (long)COSREL_S;
    if (pthread_mutex_timedlock(mutex, &until) == 0) return true;
  }
  return false;
}

/* Copies tensor t of a request between the host arena and the memory of `owner`, on the thread of `w`. COSREL_FORMAT:
 * it holds NaN. */
static cosrel_status copy_tensor(cosrel_worker *w, cosrel_worker *owner, const cosrel_job *job, uint32_t t,
                                 bool to_owner) {
  cosrel_runtime *runtime = owner->runtime;
  const cosrel_network *network = cosrel_job_network(runtime, job);
  cosrel_tensors *tensors = job->tensors;
  const int32_t *values;
  uint32_t n = tensor_values(network, t, &values);
  uint64_t copied = 0;

  if (!lock_in_time(w, job, &owner->copying)) return COSREL_INTERRUPTED;
  cosrel_backend *backend = owner->backend;
  cosrel_buffer *buffer = tensors->buffers[owner->processor];
  cosrel_status status = backend == NULL || buffer == NULL ? COSREL_IO : COSREL_OK;
  for (uint32_t i = 0; i < n && status == COSREL_OK; i++) {
    if (network->offsets[values[i]] < 0) continue;
    size_t offset = (size_t)network->offsets[values[i]];
    uint64_t elements = value_elements(network, values[i]);
    size_t bytes = (size_t)elements * sizeof(float);
    void *host = (char *)tensors->arena + offset;
    status = to_owner ? backend->ops->write(backend, buffer, offset, host, bytes)
                      : backend->ops->read(backend, buffer, offset, host, bytes);
    if (status == COSREL_OK && !to_owner && runtime->may_check[job->stream] && cosrel_floats_have_nan(host, elements))
      status = COSREL_FORMAT;
    copied += bytes;
  }
  pthread_mutex_unlock(&owner->copying);

  if (status != COSREL_OK) return status;
  tensors->present[t] |= to_owner ? (uint16_t)(1u << owner->processor) : COSREL_IN_HOST;
  pthread_mutex_lock(&runtime->lock);
  runtime->n_copies++;
  runtime->copied_bytes += copied;
  pthread_mutex_unlock(&runtime->lock);
  return COSREL_OK;
}

/* A tensor could not be had from `owner`, or was not good: that is found out when its next job ends. */
static void cast_suspicion(cosrel_worker *owner, cosrel_status status) {
  pthread_mutex_lock(&owner->runtime->lock);
  owner->suspect = status;
  pthread_mutex_unlock(&owner->runtime->lock);
}

/* Brings tensor t where `w` can use it. */
static cosrel_status bring_tensor(cosrel_worker *w, const cosrel_job *job, uint32_t t) {
  const uint16_t *present = &job->tensors->present[t];
  if (w->apart && (*present >> w->processor & 1) != 0) return COSREL_OK;
  for (uint32_t p = 0; (*present & COSREL_IN_HOST) == 0; p++) {
    w->innocent = true;                                           /* until it is here */
    if (p == w->runtime->c->n_processors) return COSREL_INTERNAL; /* nobody has it */
    if ((*present >> p & 1) == 0) continue;
    cosrel_worker *owner = &w->runtime->workers[p];
    cosrel_status status = copy_tensor(w, owner, job, t, false);
    if (status == COSREL_OK) continue;
    cast_suspicion(owner, status);
    return status;
  }
  w->innocent = false;
  return w->apart ? copy_tensor(w, w, job, t, true) : COSREL_OK;
}

/* A buffer is missing where the device was opened again, or where these tensors are additional ones. */
static cosrel_status ensure_buffer(cosrel_worker *w, cosrel_tensors *tensors) {
  if (!w->apart || tensors->buffers[w->processor] != NULL) return COSREL_OK;
  cosrel_buffer *buffer;
  cosrel_error error = {""};
  size_t bytes = (size_t)w->runtime->machine->networks[w->runtime->io[tensors->stream].network]->arena_bytes;
  cosrel_status status = w->backend->ops->buffer_create(w->backend, bytes, &buffer, &error);
  if (status == COSREL_OK) tensors->buffers[w->processor] = buffer;
  return status;
}

/* Every tensor that the segment reads and does not make. */
cosrel_status cosrel_tensors_bring_in(cosrel_worker *w, const cosrel_job *job) {
  cosrel_runtime *runtime = w->runtime;
  const cosrel_stream_case *sc = &runtime->c->streams[job->stream];
  cosrel_tensors *tensors = job->tensors;
  if (!lock_in_time(w, job, &tensors->moving)) {
    w->innocent = true;
    return COSREL_INTERRUPTED;
  }
  if (tensors->present[0] == 0) {
    cosrel_network_put_inputs(cosrel_job_network(runtime, job), runtime->io[job->stream].inputs, tensors->arena);
    tensors->present[0] = COSREL_IN_HOST | COSREL_MADE;
  }
  cosrel_status status = ensure_buffer(w, tensors);
  for (uint32_t i = sc->live_first[job->begin]; i < sc->live_first[job->begin + 1] && status == COSREL_OK; i++)
    if (sc->live[i].next < job->end) status = bring_tensor(w, job, sc->live[i].tensor);
  pthread_mutex_unlock(&tensors->moving);
  return status;
}

/* Notes where the segment's tensors are; outputs of the model go to host memory at once, since they end there. */
cosrel_status cosrel_tensors_bring_out(cosrel_worker *w, const cosrel_job *job) {
  cosrel_runtime *runtime = w->runtime;
  cosrel_tensors *tensors = job->tensors;
  const bool *is_output = runtime->is_output[runtime->io[job->stream].network];
  const uint16_t here = w->apart ? (uint16_t)(1u << w->processor) : COSREL_IN_HOST;
  cosrel_status status = COSREL_OK;
  if (!lock_in_time(w, job, &tensors->moving)) {
    w->innocent = true;
    return COSREL_INTERRUPTED;
  }
  for (uint32_t u = job->begin; u < job->end && status == COSREL_OK; u++)
    if (w->apart && is_output[u]) status = copy_tensor(w, w, job, u + 1, false);
  for (uint32_t u = job->begin; u < job->end; u++) {
    if (status == COSREL_OK)
      tensors->present[u + 1] |= (uint16_t)(here | COSREL_MADE);
    else
      tensors->present[u + 1] = 0;
  }
  pthread_mutex_unlock(&tensors->moving);
  return status;
}

/* NaN in what others will read of the segment, while it is in host memory anyway. What stays in a processor's own
 * memory is looked at when it is copied from there. Infinities are fine: masks are made of them. */
cosrel_status cosrel_tensors_check(const cosrel_worker *w, const cosrel_job *job) {
  const cosrel_runtime *runtime = w->runtime;
  const cosrel_network *network = cosrel_job_network(runtime, job);
  uint32_t n = runtime->io[job->stream].network;
  if (w->apart || !runtime->may_check[job->stream]) return COSREL_OK;
  for (uint32_t u = job->begin; u < job->end; u++) {
    if (!runtime->is_output[n][u] && runtime->last_reader[n][u] < job->end) continue;
    int32_t value = network->units[u].output;
    const float *x = (const float *)(const void *)((const char *)job->tensors->arena + network->offsets[value]);
    if (cosrel_floats_have_nan(x, value_elements(network, value))) return COSREL_FORMAT;
  }
  return COSREL_OK;
}

cosrel_tensors *cosrel_tensors_all(cosrel_runtime *runtime) {
  pthread_mutex_lock(&runtime->lock);
  cosrel_tensors *first = runtime->all;
  pthread_mutex_unlock(&runtime->lock);
  return first;
}

/* In host memory only. */
cosrel_status cosrel_tensors_create(cosrel_runtime *runtime, uint32_t s, cosrel_tensors **out, cosrel_error *error) {
  const cosrel_network *network = runtime->machine->networks[runtime->io[s].network];
  size_t bytes = (size_t)network->arena_bytes;
  cosrel_tensors *t = *out = calloc(1, sizeof *t);
  if (t != NULL) {
    t->stream = s;
    t->present = calloc(network->model.n_units + 1, sizeof *t->present);
    if (posix_memalign(&t->arena, COSREL_ALIGNMENT, bytes) != 0) t->arena = NULL;
  }
  if (t == NULL || t->present == NULL || t->arena == NULL) {
    if (t != NULL) free(t->present), free(t->arena), free(t);
    *out = NULL;
    return cosrel_fail(error, COSREL_NOMEM, "no memory for the tensors of stream %s: %zu bytes a request",
                       runtime->c->workload->streams[s].name, bytes);
  }
  pthread_mutex_init(&t->moving, NULL);
  memset(t->arena, 0, bytes); /* takes the pages now, not in the first request */
  pthread_mutex_lock(&runtime->lock);
  t->next = runtime->all;
  runtime->all = t;
  pthread_mutex_unlock(&runtime->lock);
  return COSREL_OK;
}

/* Tensors that no slot has and no worker may be using; or new ones. NULL: no memory. */
cosrel_tensors *cosrel_tensors_spare(cosrel_runtime *runtime, uint32_t stream) {
  const cosrel_stream_case *sc = &runtime->c->streams[stream];
  cosrel_tensors *found = NULL;
  pthread_mutex_lock(&runtime->lock);
  for (cosrel_tensors *t = runtime->all; t != NULL && found == NULL; t = t->next) {
    bool used = t->stream != stream;
    for (uint32_t i = 0; i < sc->n_slots && !used; i++) used = runtime->slots[sc->first_slot + i].tensors == t;
    for (uint32_t p = 0; p < runtime->c->n_processors && !used; p++) {
      const cosrel_worker *w = &runtime->workers[p];
      used = (w->stage == COSREL_GIVEN || w->stage == COSREL_ABANDONED) && w->job.tensors == t;
    }
    if (!used) found = t;
  }
  pthread_mutex_unlock(&runtime->lock);
  if (found == NULL) cosrel_tensors_create(runtime, stream, &found, NULL);
  return found;
}
