/* One lock guards mailboxes and completions: at most nine threads meet there, for microseconds. What is slow happens
 * outside of it, under finer locks that are always taken in this order:
 *   slot->moving         one thread at a time looks for, copies and marks the tensors of a request
 *   worker->copying      one thread at a time reads or writes a processor's own memory
 * Which memory holds which tensor is kept here, not taken from the state's `where`: that says what will be there once
 * the running segments have brought it in. */
#include "backends/runtime/runtime.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/monotonic.h"
#include "backends/runtime/loader.h"

#define IN_HOST_MEMORY ((uint16_t)(1u << COSREL_PROCESSORS_MAX)) /* in slot->present; bit p: in p's own memory */

static const cosrel_time default_segment_limit = 60 * COSREL_S, stop_period = 50 * COSREL_MS;

typedef struct job {
  uint32_t slot, stream;
  uint64_t sequence;
  uint16_t begin, end;
} job;

typedef enum stage { IDLE, GIVEN, DONE } stage;

typedef struct worker {
  cosrel_runtime *runtime;
  cosrel_backend *backend; /* borrowed from the machine */
  uint32_t processor;
  bool apart;            /* has memory of its own */
  cosrel_loader *loader; /* NULL: no budget, everything is prepared */
  bool has_thread;
  pthread_t thread;
  pthread_mutex_t copying;
  /* Under runtime->lock: */
  pthread_cond_t given;
  stage stage;
  bool quit;
  job job;
  cosrel_status status; /* of the segment that is DONE */
  cosrel_time ended, kernel, load, transfer;
} worker;

typedef struct slot {
  uint64_t sequence; /* of the request whose tensors are here; engine thread only */
  bool used;
  pthread_mutex_t moving;
  void *arena;
  cosrel_buffer *buffers[COSREL_PROCESSORS_MAX];
  /* [n_units + 1] memories that hold tensor t; the numbering is that of sched/case.h. present[0] is 0 until the inputs
   * have been put into the arena. */
  uint16_t *present;
} slot;

struct cosrel_runtime {
  const cosrel_case *c;
  const cosrel_machine *machine;
  cosrel_stream_io *io;                 /* [n_streams] */
  bool *is_output[COSREL_NETWORKS_MAX]; /* [n_units] is the unit's output needed for the model's outputs? */
  slot *slots;                          /* [c->n_slots] */
  worker workers[COSREL_PROCESSORS_MAX];
  cosrel_time segment_limit;
  bool (*stop)(void);

  /* Engine thread only. */
  bool started, stopping;
  cosrel_time epoch; /* the clock's time at time 0 */
  cosrel_runtime_stats stats;
  cosrel_error error;

  pthread_mutex_t lock;
  pthread_cond_t done;
  uint64_t n_copies, copied_bytes; /* under `lock` */
};

/* ---- Time ---- */

static void wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, cosrel_time clock_time) {
  struct timespec t = {.tv_sec = (time_t)(clock_time / COSREL_S), .tv_nsec = (long)(clock_time % COSREL_S)};
  pthread_cond_timedwait(condition, lock, &t);
}

static bool condition_init(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  if (pthread_condattr_init(&attributes) != 0) return false;
  bool good =
      pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 && pthread_cond_init(condition, &attributes) == 0;
  pthread_condattr_destroy(&attributes);
  return good;
}

/* ---- Tensors, on the workers' threads ---- */

static const cosrel_network *job_network(const cosrel_runtime *runtime, const job *job) {
  return runtime->machine->networks[runtime->io[job->stream].network];
}

/* The values that tensor t stands for: all inputs of the model, or one unit's output. */
static uint32_t tensor_values(const cosrel_network *network, uint32_t t, const int32_t **values) {
  *values = t == 0 ? network->net.inputs : &network->units[t - 1].output;
  return t == 0 ? network->net.n_inputs : 1;
}

/* Copies tensor t of a request between the host arena and the memory of `owner`. */
static cosrel_status copy_tensor(worker *owner, const job *job, uint32_t t, bool to_owner) {
  cosrel_runtime *runtime = owner->runtime;
  const cosrel_network *network = job_network(runtime, job);
  slot *slot = &runtime->slots[job->slot];
  cosrel_buffer *buffer = slot->buffers[owner->processor];
  const cosrel_backend_ops *ops = owner->backend->ops;
  cosrel_status status = COSREL_OK;
  const int32_t *values;
  uint32_t n = tensor_values(network, t, &values);
  uint64_t copied = 0;

  pthread_mutex_lock(&owner->copying);
  for (uint32_t i = 0; i < n && status == COSREL_OK; i++) {
    if (network->offsets[values[i]] < 0) continue;
    size_t offset = (size_t)network->offsets[values[i]];
    size_t bytes = (size_t)cosrel_shape_elements(&network->net.values[values[i]].tensor.shape) * sizeof(float);
    void *host = (char *)slot->arena + offset;
    status = to_owner ? ops->write(owner->backend, buffer, offset, host, bytes)
                      : ops->read(owner->backend, buffer, offset, host, bytes);
    copied += bytes;
  }
  pthread_mutex_unlock(&owner->copying);

  if (status != COSREL_OK) return status;
  slot->present[t] |= to_owner ? (uint16_t)(1u << owner->processor) : IN_HOST_MEMORY;
  pthread_mutex_lock(&runtime->lock);
  runtime->n_copies++;
  runtime->copied_bytes += copied;
  pthread_mutex_unlock(&runtime->lock);
  return COSREL_OK;
}

/* Brings tensor t where `w` can use it. */
static cosrel_status bring_tensor(worker *w, const job *job, uint32_t t) {
  const uint16_t *present = &w->runtime->slots[job->slot].present[t];
  if (w->apart && (*present >> w->processor & 1) != 0) return COSREL_OK;
  for (uint32_t p = 0; (*present & IN_HOST_MEMORY) == 0; p++) {
    if (p == w->runtime->c->n_processors) return COSREL_INTERNAL; /* nobody has it */
    if ((*present >> p & 1) == 0) continue;
    cosrel_status status = copy_tensor(&w->runtime->workers[p], job, t, false);
    if (status != COSREL_OK) return status;
  }
  return w->apart ? copy_tensor(w, job, t, true) : COSREL_OK;
}

/* Every tensor that the segment reads and does not make. */
static cosrel_status bring_in(worker *w, const job *job) {
  cosrel_runtime *runtime = w->runtime;
  const cosrel_stream_case *sc = &runtime->c->streams[job->stream];
  slot *slot = &runtime->slots[job->slot];
  cosrel_status status = COSREL_OK;
  pthread_mutex_lock(&slot->moving);
  if (slot->present[0] == 0) {
    cosrel_network_put_inputs(job_network(runtime, job), runtime->io[job->stream].inputs, slot->arena);
    slot->present[0] = IN_HOST_MEMORY;
  }
  for (uint32_t i = sc->live_first[job->begin]; i < sc->live_first[job->begin + 1] && status == COSREL_OK; i++)
    if (sc->live[i].next < job->end) status = bring_tensor(w, job, sc->live[i].tensor);
  pthread_mutex_unlock(&slot->moving);
  return status;
}

/* Notes where the segment's tensors are; outputs of the model go to host memory at once, since they end there. */
static cosrel_status bring_out(worker *w, const job *job) {
  cosrel_runtime *runtime = w->runtime;
  slot *slot = &runtime->slots[job->slot];
  const bool *is_output = runtime->is_output[runtime->io[job->stream].network];
  cosrel_status status = COSREL_OK;
  pthread_mutex_lock(&slot->moving);
  for (uint32_t u = job->begin; u < job->end && status == COSREL_OK; u++) {
    slot->present[u + 1] = w->apart ? (uint16_t)(1u << w->processor) : IN_HOST_MEMORY;
    if (w->apart && is_output[u]) status = copy_tensor(w, job, u + 1, false);
  }
  pthread_mutex_unlock(&slot->moving);
  return status;
}

/* ---- The workers ---- */

typedef struct parts {
  cosrel_time kernel, load, transfer;
} parts;

static cosrel_status run_segment(worker *w, const job *job, parts *parts) {
  cosrel_runtime *runtime = w->runtime;
  slot *slot = &runtime->slots[job->slot];
  const cosrel_backend_ops *ops = w->backend->ops;
  cosrel_prepared *prepared = runtime->machine->prepared[w->processor][runtime->io[job->stream].network];
  cosrel_time asked = cosrel_monotonic_now();
  cosrel_status status = w->loader != NULL ? cosrel_loader_take(w->loader, &prepared) : COSREL_OK;
  cosrel_time start = w->loader != NULL ? cosrel_monotonic_now() : asked;
  if (status == COSREL_OK) status = bring_in(w, job);
  cosrel_time ready = cosrel_monotonic_now(), computed = ready;
  if (status == COSREL_OK) {
    status = ops->submit(w->backend, prepared, w->apart ? NULL : slot->arena, slot->buffers[w->processor], job->begin,
                         job->end);
    if (status == COSREL_OK) status = ops->wait(w->backend, runtime->segment_limit);
    computed = cosrel_monotonic_now();
  }
  if (w->loader != NULL) cosrel_loader_give_back(w->loader);
  if (status == COSREL_OK) status = bring_out(w, job);
  parts->load = start - asked;
  parts->kernel = computed - ready;
  parts->transfer = ready - start + (cosrel_monotonic_now() - computed);
  return status;
}

static void *worker_main(void *self) {
  worker *w = self;
  cosrel_runtime *runtime = w->runtime;
  cosrel_machine_bind(runtime->machine, w->processor);
  pthread_mutex_lock(&runtime->lock);
  for (;;) {
    while (w->stage != GIVEN && !w->quit) pthread_cond_wait(&w->given, &runtime->lock);
    if (w->quit) break;
    job job = w->job;
    pthread_mutex_unlock(&runtime->lock);
    parts parts;
    cosrel_status status = run_segment(w, &job, &parts);
    pthread_mutex_lock(&runtime->lock);
    w->status = status;
    w->kernel = parts.kernel;
    w->load = parts.load;
    w->transfer = parts.transfer;
    w->ended = cosrel_monotonic_now();
    w->stage = DONE;
    pthread_cond_signal(&runtime->done);
  }
  pthread_mutex_unlock(&runtime->lock);
  return NULL;
}

/* ---- The driver, on the engine's thread ---- */

static void begin_clock(cosrel_runtime *runtime) {
  if (runtime->started) return;
  runtime->started = true;
  runtime->epoch = cosrel_monotonic_now();
}

static cosrel_status driver_submit(void *self, const cosrel_case *c, const cosrel_state *state,
                                   const cosrel_candidate *candidate, double *scale) {
  cosrel_runtime *runtime = self;
  const cosrel_request *request = cosrel_state_request(c, state, candidate->slot);
  slot *slot = &runtime->slots[candidate->slot];
  worker *w = &runtime->workers[candidate->processor];
  uint32_t n_units = c->streams[request->stream].n_units;
  begin_clock(runtime);
  *scale = 1;
  if (!slot->used || slot->sequence != request->sequence) { /* a new request, so no worker is busy with the slot */
    slot->used = true;
    slot->sequence = request->sequence;
    memset(slot->present, 0, (n_units + 1) * sizeof *slot->present);
  }
  if (w->loader != NULL) cosrel_loader_pin(w->loader, runtime->io[request->stream].network);
  pthread_mutex_lock(&runtime->lock);
  w->job = (job){.slot = candidate->slot,
                 .stream = request->stream,
                 .sequence = request->sequence,
                 .begin = candidate->begin,
                 .end = candidate->end};
  w->stage = GIVEN;
  pthread_cond_signal(&w->given);
  pthread_mutex_unlock(&runtime->lock);
  return COSREL_OK;
}

static cosrel_status segment_failed(cosrel_runtime *runtime, const worker *w) {
  const job *job = &w->job;
  const cosrel_case *c = runtime->c;
  return cosrel_fail(&runtime->error, w->status, "processor %s, stream %s, request %llu, units %u to %u: %s",
                     c->profile->processors[w->processor].name, c->workload->streams[job->stream].name,
                     (unsigned long long)job->sequence, job->begin, job->end - 1u,
                     w->status == COSREL_INTERRUPTED ? "took too long or was cancelled"
                     : w->status == COSREL_IO        ? "the device is lost"
                                                     : cosrel_status_text(w->status));
}

/* Takes note of a segment that is done; hands out the outputs when its request is. */
static cosrel_status take_completion(cosrel_runtime *runtime, const cosrel_state *state, worker *w) {
  const cosrel_case *c = runtime->c;
  cosrel_runtime_stats *stats = &runtime->stats;
  const cosrel_running *run = &state->running[w->processor];
  uint32_t p = w->processor, s = w->job.stream;
  if (w->status != COSREL_OK) return segment_failed(runtime, w);
  stats->n_segments[p]++;
  stats->kernel_ns[p] += w->kernel;
  stats->load_ns[p] += w->load;
  stats->transfer_ns[p] += w->transfer;
  stats->busy_ns[p] += w->ended - runtime->epoch - run->started;

  const cosrel_request *request = cosrel_state_request(c, state, w->job.slot);
  const cosrel_stream_io *io = &runtime->io[s];
  uint32_t n_done = request->n_done + (uint32_t)(w->job.end - w->job.begin);
  if (io->output == NULL || n_done < c->streams[s].n_units) return COSREL_OK;
  return io->output(io->self, s, w->job.sequence, runtime->machine->networks[io->network],
                    runtime->slots[w->job.slot].arena, &runtime->error);
}

/* The worker whose segment ended first, or NULL. */
static worker *first_done(cosrel_runtime *runtime) {
  worker *first = NULL;
  for (uint32_t p = 0; p < runtime->c->n_processors; p++) {
    worker *w = &runtime->workers[p];
    if (w->stage == DONE && (first == NULL || w->ended < first->ended)) first = w;
  }
  return first;
}

static cosrel_status driver_wait(void *self, const cosrel_case *c, const cosrel_state *state, cosrel_time until,
                                 cosrel_time *now, int32_t *processor, cosrel_failure *failure) {
  (void)c, (void)failure;
  cosrel_runtime *runtime = self;
  begin_clock(runtime);
  *processor = COSREL_NONE;
  pthread_mutex_lock(&runtime->lock);
  for (;;) {
    worker *w = first_done(runtime);
    cosrel_time clock = cosrel_monotonic_now(), limit = clock + stop_period;
    if (w != NULL && w->ended - runtime->epoch <= until) {
      w->stage = IDLE;
      pthread_mutex_unlock(&runtime->lock);
      *now = w->ended - runtime->epoch;
      if (*now < state->now) *now = state->now; /* it ended while the engine was busy with an arrival */
      *processor = (int32_t)w->processor;
      return take_completion(runtime, state, w);
    }
    if (until != COSREL_TIME_NEVER && clock - runtime->epoch >= until) {
      *now = until;
      break;
    }
    if (!runtime->stopping && runtime->stop != NULL && runtime->stop()) {
      runtime->stopping = true;
      *now = clock - runtime->epoch;
      if (*now < state->now) *now = state->now;
      break;
    }
    if (until != COSREL_TIME_NEVER && runtime->epoch + until < limit) limit = runtime->epoch + until;
    wait_until(&runtime->done, &runtime->lock, limit);
  }
  pthread_mutex_unlock(&runtime->lock);
  return COSREL_OK;
}

static void driver_parts(void *self, uint32_t processor, cosrel_time elapsed, cosrel_time *launch, cosrel_time *load,
                         cosrel_time *transfer) {
  cosrel_runtime *runtime = self;
  const worker *w = &runtime->workers[processor];
  *load = w->load;
  *transfer = w->transfer;
  *launch = elapsed - w->kernel - w->load - w->transfer;
}

static void driver_hold(void *self, const cosrel_case *c, uint32_t processor, uint64_t held) {
  cosrel_runtime *runtime = self;
  uint64_t networks = 0;
  (void)c;
  for (; held != 0; held &= held - 1) networks |= (uint64_t)1 << runtime->io[__builtin_ctzll(held)].network;
  cosrel_loader_hold(runtime->workers[processor].loader, networks);
}

static const cosrel_driver_ops driver_ops = {
    .struct_size = sizeof(cosrel_driver_ops),
    .submit = driver_submit,
    .wait = driver_wait,
    .parts = driver_parts,
    .hold = driver_hold,
};

cosrel_driver cosrel_runtime_driver(cosrel_runtime *runtime) { return (cosrel_driver){&driver_ops, runtime}; }

/* ---- Setting up ---- */

/* Every unit that the case lets p run must be one that p can compute. */
static cosrel_status check_support(const cosrel_runtime *runtime, cosrel_error *error) {
  const cosrel_case *c = runtime->c;
  const cosrel_machine *machine = runtime->machine;
  if (machine->n_processors != c->n_processors)
    return cosrel_fail(error, COSREL_INVALID, "the profile has %u processors, %u are open", c->n_processors,
                       machine->n_processors);
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream_case *sc = &c->streams[s];
    const cosrel_network *network = machine->networks[runtime->io[s].network];
    if (network->model.n_units != sc->n_units)
      return cosrel_fail(error, COSREL_INVALID, "stream %s: the profile's model has %u units, the network %u",
                         c->workload->streams[s].name, sc->n_units, network->model.n_units);
    for (uint32_t p = 0; p < c->n_processors; p++)
      for (uint32_t u = 0; u < sc->n_units; u++)
        if (sc->limit[p][u] > u && !machine->backends[p]->ops->supports(machine->backends[p], network, u, COSREL_FP32))
          return cosrel_fail(error, COSREL_UNSUPPORTED,
                             "processor %s: %s: cannot compute unit %s, but the profile says so",
                             c->profile->processors[p].name, network->model.name, network->model.units[u].name);
  }
  return COSREL_OK;
}

static cosrel_status find_outputs(cosrel_runtime *runtime, uint32_t n) {
  const cosrel_network *network = runtime->machine->networks[n];
  const cosrel_net *net = &network->net;
  bool *is_output = runtime->is_output[n] = calloc(network->model.n_units, sizeof *is_output);
  if (is_output == NULL) return COSREL_NOMEM;
  for (uint32_t u = 0; u < network->model.n_units; u++) {
    int32_t value = network->units[u].output;
    for (uint32_t i = 0; i < net->n_outputs; i++) is_output[u] = is_output[u] || net->outputs[i] == value;
    for (uint32_t k = 0; k < network->n_tail; k++) {
      const cosrel_net_node *node = &net->nodes[network->nodes[network->first_tail + k]];
      for (uint32_t i = 0; i < node->n_inputs; i++)
        is_output[u] = is_output[u] || cosrel_net_node_inputs(net, node)[i] == value;
    }
  }
  return COSREL_OK;
}

/* Memory of all slots, host and devices together, held against the limit before any of it is taken. */
static cosrel_status check_memory(const cosrel_runtime *runtime, uint64_t limit, cosrel_error *error) {
  const cosrel_case *c = runtime->c;
  uint64_t total = 0, most = 0;
  uint32_t worst = 0, n_arenas = 1;
  for (uint32_t p = 0; p < c->n_processors; p++) n_arenas += cosrel_machine_is_apart(runtime->machine, p);
  for (uint32_t s = 0; s < c->n_streams; s++) {
    uint64_t bytes = runtime->machine->networks[runtime->io[s].network]->arena_bytes * c->streams[s].n_slots * n_arenas;
    if (bytes > most) most = bytes, worst = s;
    total += bytes;
  }
  if (limit == 0 || total <= limit) return COSREL_OK;
  return cosrel_fail(error, COSREL_LIMIT,
                     "the tensors of %u requests need %.1f MiB, %.1f MiB are there; stream %s needs the most, %.1f MiB "
                     "for a queue_limit of %u",
                     c->n_slots, (double)total / 1048576, (double)limit / 1048576, c->workload->streams[worst].name,
                     (double)most / 1048576, c->streams[worst].n_slots);
}

static cosrel_status create_slot(cosrel_runtime *runtime, uint32_t s, slot *slot, cosrel_error *error) {
  const cosrel_network *network = runtime->machine->networks[runtime->io[s].network];
  size_t bytes = (size_t)network->arena_bytes;
  slot->present = calloc(network->model.n_units + 1, sizeof *slot->present);
  if (slot->present == NULL || posix_memalign(&slot->arena, COSREL_ALIGNMENT, bytes) != 0)
    return cosrel_fail(error, COSREL_NOMEM, "no memory for the tensors of stream %s: %zu bytes a request",
                       runtime->c->workload->streams[s].name, bytes);
  memset(slot->arena, 0, bytes); /* takes the pages now, not in the first request */
  for (uint32_t p = 0; p < runtime->c->n_processors; p++) {
    cosrel_backend *backend = runtime->machine->backends[p];
    cosrel_error inner = {""};
    if (!cosrel_machine_is_apart(runtime->machine, p)) continue;
    cosrel_status status = backend->ops->buffer_create(backend, bytes, &slot->buffers[p], &inner);
    if (status == COSREL_OK) continue;
    slot->buffers[p] = NULL;
    return cosrel_fail(error, status, "processor %s: no buffer of %zu bytes for stream %s: %.200s",
                       runtime->c->profile->processors[p].name, bytes, runtime->c->workload->streams[s].name,
                       inner.text);
  }
  return COSREL_OK;
}

static cosrel_status start_workers(cosrel_runtime *runtime, cosrel_error *error) {
  for (uint32_t p = 0; p < runtime->c->n_processors; p++) {
    worker *w = &runtime->workers[p];
    w->has_thread = pthread_create(&w->thread, NULL, worker_main, w) == 0;
    if (!w->has_thread) return cosrel_fail(error, COSREL_NOMEM, "no thread for processor %u", p);
  }
  return COSREL_OK;
}

cosrel_status cosrel_runtime_create(const cosrel_runtime_config *config, const cosrel_case *c, cosrel_runtime **out,
                                    cosrel_error *error) {
  cosrel_runtime *runtime = calloc(1, sizeof *runtime);
  cosrel_status status = COSREL_OK;
  *out = NULL;
  if (runtime == NULL) goto no_memory;
  runtime->c = c;
  runtime->machine = config->machine;
  runtime->segment_limit = config->segment_limit > 0 ? config->segment_limit : default_segment_limit;
  runtime->stop = config->stop;
  pthread_mutex_init(&runtime->lock, NULL);
  bool good = condition_init(&runtime->done);
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) {
    worker *w = &runtime->workers[p];
    pthread_mutex_init(&w->copying, NULL);
    good = condition_init(&w->given) && good;
    w->runtime = runtime;
    w->processor = p;
    if (p >= runtime->machine->n_processors) continue;
    w->backend = runtime->machine->backends[p];
    w->apart = cosrel_machine_is_apart(runtime->machine, p);
  }
  runtime->io = calloc(c->n_streams, sizeof *runtime->io);
  runtime->slots = calloc(c->n_slots, sizeof *runtime->slots);
  for (uint32_t i = 0; runtime->slots != NULL && i < c->n_slots; i++)
    pthread_mutex_init(&runtime->slots[i].moving, NULL);
  if (!good || runtime->io == NULL || runtime->slots == NULL) goto no_memory;
  memcpy(runtime->io, config->io, c->n_streams * sizeof *runtime->io);

  status = check_support(runtime, error);
  if (status == COSREL_OK) status = check_memory(runtime, config->memory_bytes, error);
  for (uint32_t n = 0; n < runtime->machine->n_networks && status == COSREL_OK; n++)
    if (find_outputs(runtime, n) != COSREL_OK) goto no_memory;
  for (uint32_t p = 0; p < c->n_processors && status == COSREL_OK; p++)
    if (c->budget[p] > 0) status = cosrel_loader_create(runtime->machine, p, &runtime->workers[p].loader, error);
  for (uint32_t s = 0; s < c->n_streams; s++)
    for (uint32_t i = 0; i < c->streams[s].n_slots && status == COSREL_OK; i++)
      status = create_slot(runtime, s, &runtime->slots[c->streams[s].first_slot + i], error);
  if (status == COSREL_OK) status = start_workers(runtime, error);
  if (status != COSREL_OK) goto fail;
  *out = runtime;
  return COSREL_OK;

no_memory:
  status = cosrel_fail(error, COSREL_NOMEM, "no memory for the runtime");
fail:
  cosrel_runtime_destroy(runtime);
  return status;
}

static void end_workers(cosrel_runtime *runtime) {
  pthread_mutex_lock(&runtime->lock);
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) {
    worker *w = &runtime->workers[p];
    if (!w->has_thread) continue;
    w->quit = true;
    if (w->stage == GIVEN && w->backend->ops->cancel != NULL) w->backend->ops->cancel(w->backend);
    if (w->loader != NULL) cosrel_loader_quit(w->loader);
    pthread_cond_signal(&w->given);
  }
  pthread_mutex_unlock(&runtime->lock);
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++)
    if (runtime->workers[p].has_thread) pthread_join(runtime->workers[p].thread, NULL);
}

void cosrel_runtime_destroy(cosrel_runtime *runtime) {
  if (runtime == NULL) return;
  end_workers(runtime);
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) cosrel_loader_destroy(runtime->workers[p].loader);
  for (uint32_t i = 0; runtime->slots != NULL && i < runtime->c->n_slots; i++) {
    slot *slot = &runtime->slots[i];
    for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++)
      if (slot->buffers[p] != NULL)
        runtime->workers[p].backend->ops->buffer_destroy(runtime->workers[p].backend, slot->buffers[p]);
    free(slot->arena);
    free(slot->present);
    pthread_mutex_destroy(&slot->moving);
  }
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) {
    pthread_mutex_destroy(&runtime->workers[p].copying);
    pthread_cond_destroy(&runtime->workers[p].given);
  }
  for (uint32_t n = 0; n < COSREL_NETWORKS_MAX; n++) free(runtime->is_output[n]);
  pthread_mutex_destroy(&runtime->lock);
  pthread_cond_destroy(&runtime->done);
  free(runtime->slots);
  free(runtime->io);
  free(runtime);
}

void cosrel_runtime_start(cosrel_runtime *runtime) {
  pthread_mutex_lock(&runtime->lock);
  for (uint32_t p = 0; p < runtime->c->n_processors; p++) {
    while (runtime->workers[p].stage == GIVEN) pthread_cond_wait(&runtime->done, &runtime->lock);
    runtime->workers[p].stage = IDLE;
  }
  runtime->n_copies = runtime->copied_bytes = 0;
  pthread_mutex_unlock(&runtime->lock);
  for (uint32_t p = 0; p < runtime->c->n_processors; p++) {
    if (runtime->workers[p].loader == NULL) continue;
    cosrel_loader_hold(runtime->workers[p].loader, 0);
    cosrel_loader_get_stats(runtime->workers[p].loader, true);
  }
  for (uint32_t i = 0; i < runtime->c->n_slots; i++) runtime->slots[i].used = false;
  memset(&runtime->stats, 0, sizeof runtime->stats);
  runtime->error.text[0] = '\0';
  runtime->started = runtime->stopping = false;
}

void cosrel_runtime_get_stats(cosrel_runtime *runtime, cosrel_runtime_stats *out) {
  *out = runtime->stats;
  for (uint32_t p = 0; p < runtime->c->n_processors; p++) {
    if (runtime->workers[p].loader == NULL) continue;
    cosrel_loader_stats loads = cosrel_loader_get_stats(runtime->workers[p].loader, false);
    out->n_loads[p] = loads.n_loads;
    out->loading_ns[p] = loads.load_ns;
  }
  pthread_mutex_lock(&runtime->lock);
  out->n_copies = runtime->n_copies;
  out->copied_bytes = runtime->copied_bytes;
  pthread_mutex_unlock(&runtime->lock);
}

void cosrel_runtime_last_error(const cosrel_runtime *runtime, cosrel_error *error) { *error = runtime->error; }
