/* One lock guards mailboxes and completions: at most nine threads meet there, for microseconds. What is slow happens
 * outside of it, under finer locks that are always taken in this order:
 *   tensors->moving      one thread at a time looks for, copies and marks the tensors of a request
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
#include "backends/runtime/probe.h"
#include "backends/runtime/recovery.h"

static const cosrel_time default_segment_limit = 60 * COSREL_S, stop_period = 50 * COSREL_MS;
static const cosrel_time grace = COSREL_S;         /* after its budget, a worker that is not back is abandoned */
static const cosrel_time last_wait = 3 * COSREL_S; /* for workers, at the end */

/* The tensors of one request. Made beforehand, one for each slot; more only when workers are abandoned with some. */
typedef struct tensors {
  struct tensors *next; /* all that there are; they live until the end */
  uint32_t stream;
  pthread_mutex_t moving;
  void *arena;
  cosrel_buffer *buffers[COSREL_PROCESSORS_MAX]; /* NULL: made when p needs it */
  uint16_t *present;                             /* [n_units + 1] as in recovery.h; numbering as in sched/case.h */
} tensors;

typedef struct job {
  bool probe; /* nothing of the below, but `budget`, is for probes */
  uint32_t slot, stream;
  uint64_t sequence;
  uint16_t begin, end;
  cosrel_time budget;
  tensors *tensors;
} job;

/* ABANDONED: it is not back in time; nobody waits for what it has, and nothing that it may write to is used. */
typedef enum stage { IDLE, GIVEN, DONE, ABANDONED } stage;

typedef struct worker {
  cosrel_runtime *runtime;
  uint32_t processor;
  bool apart;            /* has memory of its own */
  cosrel_loader *loader; /* NULL: no budget, everything is prepared */
  bool has_thread;
  pthread_t thread;
  cosrel_probe probe;
  pthread_mutex_t copying;
  /* The worker's thread only: */
  bool lost;     /* the backend is to be opened again */
  bool innocent; /* what failed was another processor's */
  /* Under runtime->lock; the backend changes under `copying` too: */
  cosrel_backend *backend; /* borrowed from the machine; NULL while it is opened again */
  pthread_cond_t given;
  stage stage;
  bool quit, exited;
  bool refused;          /* a job was not even begun */
  cosrel_status suspect; /* what others found wrong with a tensor of its */
  job job;
  cosrel_time given_at;
  cosrel_status status; /* of the job that is DONE */
  cosrel_failure failure;
  cosrel_time ended, kernel, load, transfer;
} worker;

/* Engine thread only. */
typedef struct slot {
  uint64_t sequence; /* of the request whose tensors are here */
  uint8_t n_starts;  /* of that request */
  bool used;
  tensors *tensors; /* NULL after these have been left to a worker */
} slot;

struct cosrel_runtime {
  const cosrel_case *c;
  const cosrel_machine *machine;
  cosrel_stream_io *io;                       /* [n_streams] */
  bool *is_output[COSREL_NETWORKS_MAX];       /* [n_units] is the unit's output needed for the model's outputs? */
  uint32_t *last_reader[COSREL_NETWORKS_MAX]; /* [n_units] the last unit that reads its output; 0: none */
  bool *may_check;                            /* [n_streams] no NaN goes in, so none should come out */
  slot *slots;                                /* [c->n_slots] */
  worker workers[COSREL_PROCESSORS_MAX];
  cosrel_machine *recover; /* the machine, or NULL: the first failure ends the run */
  cosrel_time segment_limit, budget_floor;
  bool (*stop)(void);

  /* Engine thread only. */
  bool started, stopping;
  cosrel_time epoch; /* the clock's time at time 0 */
  cosrel_runtime_stats stats;
  cosrel_error error;

  pthread_mutex_t lock;
  pthread_cond_t done;
  uint64_t n_copies, copied_bytes; /* under `lock` */
  tensors *all;                    /* likewise; their list only grows */
  uint32_t n_left;                 /* workers that did not come back at the end: the last of them cleans up */
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

static uint64_t value_elements(const cosrel_network *network, int32_t value) {
  return cosrel_shape_elements(&network->net.values[value].tensor.shape);
}

/* Copies tensor t of a request between the host arena and the memory of `owner`. COSREL_FORMAT: it holds NaN. */
static cosrel_status copy_tensor(worker *owner, const job *job, uint32_t t, bool to_owner) {
  cosrel_runtime *runtime = owner->runtime;
  const cosrel_network *network = job_network(runtime, job);
  tensors *tensors = job->tensors;
  const int32_t *values;
  uint32_t n = tensor_values(network, t, &values);
  uint64_t copied = 0;

  pthread_mutex_lock(&owner->copying);
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
static void cast_suspicion(worker *owner, cosrel_status status) {
  pthread_mutex_lock(&owner->runtime->lock);
  owner->suspect = status;
  pthread_mutex_unlock(&owner->runtime->lock);
}

/* Brings tensor t where `w` can use it. */
static cosrel_status bring_tensor(worker *w, const job *job, uint32_t t) {
  const uint16_t *present = &job->tensors->present[t];
  if (w->apart && (*present >> w->processor & 1) != 0) return COSREL_OK;
  for (uint32_t p = 0; (*present & COSREL_IN_HOST) == 0; p++) {
    w->innocent = true;                                           /* until it is here */
    if (p == w->runtime->c->n_processors) return COSREL_INTERNAL; /* nobody has it */
    if ((*present >> p & 1) == 0) continue;
    worker *owner = &w->runtime->workers[p];
    cosrel_status status = copy_tensor(owner, job, t, false);
    if (status == COSREL_OK) continue;
    cast_suspicion(owner, status);
    return status;
  }
  w->innocent = false;
  return w->apart ? copy_tensor(w, job, t, true) : COSREL_OK;
}

/* A buffer is missing where the device was opened again, or where these tensors are additional ones. */
static cosrel_status ensure_buffer(worker *w, tensors *tensors) {
  if (!w->apart || tensors->buffers[w->processor] != NULL) return COSREL_OK;
  cosrel_buffer *buffer;
  cosrel_error error = {""};
  size_t bytes = (size_t)w->runtime->machine->networks[w->runtime->io[tensors->stream].network]->arena_bytes;
  cosrel_status status = w->backend->ops->buffer_create(w->backend, bytes, &buffer, &error);
  if (status == COSREL_OK) tensors->buffers[w->processor] = buffer;
  return status;
}

/* Every tensor that the segment reads and does not make. */
static cosrel_status bring_in(worker *w, const job *job) {
  cosrel_runtime *runtime = w->runtime;
  const cosrel_stream_case *sc = &runtime->c->streams[job->stream];
  tensors *tensors = job->tensors;
  pthread_mutex_lock(&tensors->moving);
  if (tensors->present[0] == 0) {
    cosrel_network_put_inputs(job_network(runtime, job), runtime->io[job->stream].inputs, tensors->arena);
    tensors->present[0] = COSREL_IN_HOST | COSREL_MADE;
  }
  cosrel_status status = ensure_buffer(w, tensors);
  for (uint32_t i = sc->live_first[job->begin]; i < sc->live_first[job->begin + 1] && status == COSREL_OK; i++)
    if (sc->live[i].next < job->end) status = bring_tensor(w, job, sc->live[i].tensor);
  pthread_mutex_unlock(&tensors->moving);
  return status;
}

/* Notes where the segment's tensors are; outputs of the model go to host memory at once, since they end there. */
static cosrel_status bring_out(worker *w, const job *job) {
  cosrel_runtime *runtime = w->runtime;
  tensors *tensors = job->tensors;
  const bool *is_output = runtime->is_output[runtime->io[job->stream].network];
  const uint16_t here = w->apart ? (uint16_t)(1u << w->processor) : COSREL_IN_HOST;
  cosrel_status status = COSREL_OK;
  pthread_mutex_lock(&tensors->moving);
  for (uint32_t u = job->begin; u < job->end && status == COSREL_OK; u++)
    if (w->apart && is_output[u]) status = copy_tensor(w, job, u + 1, false);
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
static cosrel_status check_outputs(const worker *w, const job *job) {
  const cosrel_runtime *runtime = w->runtime;
  const cosrel_network *network = job_network(runtime, job);
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

/* ---- When a job fails, on the workers' threads ---- */

static cosrel_fault fault_of(cosrel_status status) {
  switch (status) {
    case COSREL_OK: return COSREL_FAULT_NONE;
    case COSREL_INTERRUPTED: return COSREL_FAULT_HANG;
    case COSREL_FORMAT: return COSREL_FAULT_NAN;
    case COSREL_IO: return COSREL_FAULT_LOST;
    default: return COSREL_FAULT_ERROR;
  }
}

static tensors *all_tensors(cosrel_runtime *runtime) {
  pthread_mutex_lock(&runtime->lock);
  tensors *first = runtime->all;
  pthread_mutex_unlock(&runtime->lock);
  return first;
}

/* Nothing is in the memory of `w` any more. */
static void lose_memory(worker *w) {
  cosrel_runtime *runtime = w->runtime;
  for (tensors *t = all_tensors(runtime); t != NULL; t = t->next) {
    pthread_mutex_lock(&t->moving);
    for (uint32_t i = 0; i <= runtime->c->streams[t->stream].n_units; i++)
      t->present[i] &= (uint16_t) ~(1u << w->processor);
    pthread_mutex_unlock(&t->moving);
  }
}

/* What the engine is told of a segment that failed. */
static cosrel_failure diagnose(worker *w, const job *job, cosrel_status status) {
  cosrel_failure failure = {.fault = (uint8_t)fault_of(status)};
  const cosrel_stream_case *sc = &w->runtime->c->streams[job->stream];
  if (w->innocent) {
    failure.innocent = failure.restart = true;
    return failure;
  }
  w->lost = status == COSREL_IO;
  failure.memory_lost =
      w->lost && (w->apart || w->loader != NULL); /* weights too: the loader is told to release them */
  if (w->lost && w->apart) lose_memory(w);
  uint16_t *outputs = &job->tensors->present[job->begin + 1];
  pthread_mutex_lock(&job->tensors->moving);
  memset(outputs, 0, (size_t)(job->end - job->begin) * sizeof *outputs); /* not made, whatever was noted before */
  failure.restart =
      !cosrel_recovery_check(job_network(w->runtime, job), sc, job->begin, job->end,
                             w->apart ? (uint16_t)(1u << w->processor) : COSREL_IN_HOST, job->tensors->present);
  pthread_mutex_unlock(&job->tensors->moving);
  if (status == COSREL_FORMAT && w->apart) failure.restart = true; /* nobody has looked at what lies in its memory */
  return failure;
}

/* Opens a lost device again. */
static cosrel_status reopen(worker *w) {
  cosrel_runtime *runtime = w->runtime;
  cosrel_error error = {""};
  if (w->loader != NULL && !cosrel_loader_is_empty(w->loader)) return COSREL_IO; /* next time */
  for (tensors *t = all_tensors(runtime); t != NULL && w->apart; t = t->next) {
    pthread_mutex_lock(&t->moving);
    pthread_mutex_lock(&w->copying);
    if (t->buffers[w->processor] != NULL) w->backend->ops->buffer_destroy(w->backend, t->buffers[w->processor]);
    t->buffers[w->processor] = NULL;
    pthread_mutex_unlock(&w->copying);
    pthread_mutex_unlock(&t->moving);
  }
  pthread_mutex_lock(&w->copying);
  pthread_mutex_lock(&runtime->lock);
  w->backend = NULL;
  pthread_mutex_unlock(&runtime->lock);
  cosrel_status status = cosrel_machine_reopen(runtime->recover, w->processor, &error);
  pthread_mutex_lock(&runtime->lock);
  w->backend = runtime->machine->backends[w->processor];
  pthread_mutex_unlock(&runtime->lock);
  pthread_mutex_unlock(&w->copying);
  w->lost = status != COSREL_OK;
  return status;
}

/* Opening again may take its time, since kernels are compiled and weights packed; the answer may not. */
static cosrel_status run_probe(worker *w) {
  cosrel_time budget = cosrel_segment_budget((double)w->probe.took, w->runtime->budget_floor);
  cosrel_status status = w->lost ? reopen(w) : COSREL_OK;
  if (status == COSREL_OK) status = cosrel_probe_ask(w->runtime->machine, w->processor, &w->probe, budget);
  if (status == COSREL_IO) w->lost = true;
  return status;
}

/* ---- The workers ---- */

typedef struct parts {
  cosrel_time kernel, load, transfer;
} parts;

static cosrel_status run_segment(worker *w, const job *job, parts *parts) {
  cosrel_runtime *runtime = w->runtime;
  tensors *tensors = job->tensors;
  const cosrel_backend_ops *ops = w->backend->ops;
  cosrel_prepared *prepared = runtime->machine->prepared[w->processor][runtime->io[job->stream].network];
  cosrel_time asked = cosrel_monotonic_now();
  w->innocent = false;
  cosrel_status status = w->loader != NULL ? cosrel_loader_take(w->loader, &prepared) : COSREL_OK;
  cosrel_time start = w->loader != NULL ? cosrel_monotonic_now() : asked;
  if (status == COSREL_OK) status = bring_in(w, job);
  cosrel_time ready = cosrel_monotonic_now(), computed = ready;
  if (status == COSREL_OK) {
    status = ops->submit(w->backend, prepared, w->apart ? NULL : tensors->arena, tensors->buffers[w->processor],
                         job->begin, job->end);
    if (status == COSREL_OK) status = ops->wait(w->backend, job->budget);
    computed = cosrel_monotonic_now();
  }
  if (w->loader != NULL) cosrel_loader_give_back(w->loader);
  if (status == COSREL_OK) status = check_outputs(w, job);
  cosrel_time checked = cosrel_monotonic_now();
  if (status == COSREL_OK) status = bring_out(w, job);
  parts->load = start - asked;
  parts->kernel = computed - ready;
  parts->transfer = ready - start + (cosrel_monotonic_now() - checked);
  return status;
}

static cosrel_status take_suspicion(worker *w) {
  pthread_mutex_lock(&w->runtime->lock);
  cosrel_status suspect = w->suspect;
  w->suspect = COSREL_OK;
  pthread_mutex_unlock(&w->runtime->lock);
  w->innocent = false;
  return suspect;
}

static void free_runtime(cosrel_runtime *runtime);

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
    parts parts = {0};
    cosrel_status status = job.probe ? run_probe(w) : run_segment(w, &job, &parts);
    if (status == COSREL_OK) status = take_suspicion(w);
    cosrel_failure failure = {.fault = (uint8_t)fault_of(status)};
    if (status != COSREL_OK && !job.probe) failure = diagnose(w, &job, status);
    pthread_mutex_lock(&runtime->lock);
    if (w->stage == ABANDONED) { /* nobody waits for it any more */
      w->stage = IDLE;
      continue;
    }
    w->status = status;
    w->failure = failure;
    w->kernel = parts.kernel;
    w->load = parts.load;
    w->transfer = parts.transfer;
    w->ended = cosrel_monotonic_now();
    w->stage = DONE;
    pthread_cond_signal(&runtime->done);
  }
  w->exited = true;
  bool last = runtime->n_left > 0 && --runtime->n_left == 0;
  pthread_cond_signal(&runtime->done);
  pthread_mutex_unlock(&runtime->lock);
  if (last) free_runtime(runtime);
  return NULL;
}

/* ---- The driver, on the engine's thread ---- */

static void begin_clock(cosrel_runtime *runtime) {
  if (runtime->started) return;
  runtime->started = true;
  runtime->epoch = cosrel_monotonic_now();
}

static cosrel_status create_tensors(cosrel_runtime *runtime, uint32_t s, tensors **out, cosrel_error *error);

/* Tensors that no slot has and no worker may be using; or new ones. NULL: no memory. */
static tensors *spare_tensors(cosrel_runtime *runtime, uint32_t stream) {
  const cosrel_stream_case *sc = &runtime->c->streams[stream];
  tensors *found = NULL;
  pthread_mutex_lock(&runtime->lock);
  for (tensors *t = runtime->all; t != NULL && found == NULL; t = t->next) {
    bool used = t->stream != stream;
    for (uint32_t i = 0; i < sc->n_slots && !used; i++) used = runtime->slots[sc->first_slot + i].tensors == t;
    for (uint32_t p = 0; p < runtime->c->n_processors && !used; p++) {
      const worker *w = &runtime->workers[p];
      used = (w->stage == GIVEN || w->stage == ABANDONED) && w->job.tensors == t;
    }
    if (!used) found = t;
  }
  pthread_mutex_unlock(&runtime->lock);
  if (found == NULL) create_tensors(runtime, stream, &found, NULL);
  return found;
}

/* Puts a job into a worker's mailbox. One that was abandoned and is not back refuses it. */
static void give(cosrel_runtime *runtime, uint32_t processor, job job) {
  worker *w = &runtime->workers[processor];
  pthread_mutex_lock(&runtime->lock);
  w->refused = w->stage == ABANDONED;
  if (!w->refused) {
    if (w->loader != NULL && !job.probe) cosrel_loader_pin(w->loader, runtime->io[job.stream].network);
    w->job = job;
    w->given_at = cosrel_monotonic_now();
    w->stage = GIVEN;
    pthread_cond_signal(&w->given);
  }
  pthread_mutex_unlock(&runtime->lock);
}

static cosrel_status driver_submit(void *self, const cosrel_case *c, const cosrel_state *state,
                                   const cosrel_candidate *candidate, double *scale) {
  cosrel_runtime *runtime = self;
  const cosrel_request *request = cosrel_state_request(c, state, candidate->slot);
  slot *slot = &runtime->slots[candidate->slot];
  uint32_t n_units = c->streams[request->stream].n_units;
  begin_clock(runtime);
  *scale = 1;
  /* A new request, or another start of it: so no worker is busy with the slot. */
  if (!slot->used || slot->sequence != request->sequence || slot->n_starts != request->n_starts) {
    if (slot->tensors == NULL) slot->tensors = spare_tensors(runtime, request->stream);
    if (slot->tensors == NULL) return cosrel_fail(&runtime->error, COSREL_NOMEM, "no memory to start a request anew");
    slot->used = true;
    slot->sequence = request->sequence;
    slot->n_starts = request->n_starts;
    memset(slot->tensors->present, 0, (n_units + 1) * sizeof *slot->tensors->present);
  }
  cosrel_time budget = runtime->segment_limit;
  if (runtime->recover != NULL) {
    cosrel_work work = cosrel_state_work(c, state, candidate);
    cosrel_time own = cosrel_segment_budget(cosrel_work_total(&work), runtime->budget_floor);
    if (own < budget) budget = own;
  }
  give(runtime, candidate->processor,
       (job){.slot = candidate->slot,
             .stream = request->stream,
             .sequence = request->sequence,
             .begin = candidate->begin,
             .end = candidate->end,
             .budget = budget,
             .tensors = slot->tensors});
  return COSREL_OK;
}

static cosrel_status driver_probe(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor,
                                  double *expected_ns) {
  cosrel_runtime *runtime = self;
  const cosrel_probe *probe = &runtime->workers[processor].probe;
  (void)c, (void)state;
  *expected_ns = (double)probe->took;
  give(runtime, processor, (job){.probe = true, .budget = runtime->segment_limit});
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
                     : w->status == COSREL_FORMAT    ? "computed NaN"
                     : w->status == COSREL_INTERNAL  ? "broke off"
                                                     : cosrel_status_text(w->status));
}

/* Takes note of a segment that is done; hands out the outputs when its request is. */
static cosrel_status take_completion(cosrel_runtime *runtime, const cosrel_state *state, worker *w) {
  const cosrel_case *c = runtime->c;
  cosrel_runtime_stats *stats = &runtime->stats;
  const cosrel_running *run = &state->running[w->processor];
  uint32_t p = w->processor, s = w->job.stream;
  if (w->status != COSREL_OK) {
    cosrel_status failed = segment_failed(runtime, w);
    return runtime->recover != NULL ? COSREL_OK : failed;
  }
  stats->n_segments[p]++;
  stats->kernel_ns[p] += w->kernel;
  stats->load_ns[p] += w->load;
  stats->transfer_ns[p] += w->transfer;
  stats->busy_ns[p] += w->ended - runtime->epoch - run->started;

  const cosrel_request *request = cosrel_state_request(c, state, w->job.slot);
  const cosrel_stream_io *io = &runtime->io[s];
  uint32_t n_done = request->n_done + (uint32_t)(w->job.end - w->job.begin);
  if (io->output == NULL || n_done < c->streams[s].n_units) return COSREL_OK;
  return io->output(io->self, s, w->job.sequence, runtime->machine->networks[io->network], w->job.tensors->arena,
                    &runtime->error);
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

/* Reminds workers that are over their budget, and abandons the first that is not back even so. Sets *limit to when to
 * look again at the latest. Called with the lock held. */
static worker *first_overdue(cosrel_runtime *runtime, cosrel_time clock, cosrel_time *limit) {
  for (uint32_t p = 0; p < runtime->c->n_processors && runtime->recover != NULL; p++) {
    worker *w = &runtime->workers[p];
    if (w->refused) return w;
    if (w->stage != GIVEN) continue;
    cosrel_time due = w->given_at + w->job.budget;
    if (clock < due) {
      if (due < *limit) *limit = due;
      continue;
    }
    if (w->backend != NULL && w->backend->ops->cancel != NULL) w->backend->ops->cancel(w->backend);
    if (clock >= due + grace) return w;
  }
  return NULL;
}

/* What the engine is told of a worker that is not back. */
static cosrel_failure abandon(cosrel_runtime *runtime, worker *w) {
  if (!w->refused && !w->job.probe) {
    slot *slot = &runtime->slots[w->job.slot];
    if (slot->tensors == w->job.tensors) slot->tensors = NULL;
    slot->used = false;
    w->status = COSREL_INTERRUPTED;
    segment_failed(runtime, w);
  }
  if (!w->refused) w->stage = ABANDONED;
  w->refused = false;
  return (cosrel_failure){.fault = COSREL_FAULT_HANG, .restart = true, .memory_lost = w->apart || w->loader != NULL};
}

static cosrel_status driver_wait(void *self, const cosrel_case *c, const cosrel_state *state, cosrel_time until,
                                 cosrel_time *now, int32_t *processor, cosrel_failure *failure) {
  (void)c;
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
      *failure = w->failure;
      return w->job.probe ? COSREL_OK : take_completion(runtime, state, w);
    }
    if ((w = first_overdue(runtime, clock, &limit)) != NULL) {
      *now = clock - runtime->epoch < until ? clock - runtime->epoch : until;
      if (*now < state->now) *now = state->now;
      *processor = (int32_t)w->processor;
      *failure = abandon(runtime, w);
      break;
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
    .probe = driver_probe,
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
  uint32_t *last_reader = runtime->last_reader[n] = calloc(network->model.n_units, sizeof *last_reader);
  if (is_output == NULL || last_reader == NULL) return COSREL_NOMEM;
  for (uint32_t u = 0; u < network->model.n_units; u++)
    for (uint32_t i = 0; i < network->model.units[u].n_inputs; i++) {
      int32_t from = network->model.inputs[network->model.units[u].first_input + i];
      if (from != COSREL_MODEL_INPUT) last_reader[from] = u;
    }
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

/* In host memory only. */
static cosrel_status create_tensors(cosrel_runtime *runtime, uint32_t s, tensors **out, cosrel_error *error) {
  const cosrel_network *network = runtime->machine->networks[runtime->io[s].network];
  size_t bytes = (size_t)network->arena_bytes;
  tensors *t = *out = calloc(1, sizeof *t);
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

static cosrel_status create_slot(cosrel_runtime *runtime, uint32_t s, slot *slot, cosrel_error *error) {
  size_t bytes = (size_t)runtime->machine->networks[runtime->io[s].network]->arena_bytes;
  cosrel_status made = create_tensors(runtime, s, &slot->tensors, error);
  if (made != COSREL_OK) return made;
  for (uint32_t p = 0; p < runtime->c->n_processors; p++) {
    cosrel_backend *backend = runtime->machine->backends[p];
    cosrel_error inner = {""};
    if (!cosrel_machine_is_apart(runtime->machine, p)) continue;
    cosrel_status status = backend->ops->buffer_create(backend, bytes, &slot->tensors->buffers[p], &inner);
    if (status == COSREL_OK) continue;
    slot->tensors->buffers[p] = NULL;
    return cosrel_fail(error, status, "processor %s: no buffer of %zu bytes for stream %s: %.200s",
                       runtime->c->profile->processors[p].name, bytes, runtime->c->workload->streams[s].name,
                       inner.text);
  }
  return COSREL_OK;
}

/* Neither what a stream feeds in nor what its network holds. */
static bool nothing_is_nan(const cosrel_runtime *runtime, uint32_t s) {
  const cosrel_net *net = &runtime->machine->networks[runtime->io[s].network]->net;
  for (uint32_t i = 0; i < net->n_inputs; i++)
    if (cosrel_floats_have_nan(runtime->io[s].inputs[i],
                               cosrel_shape_elements(&net->values[net->inputs[i]].tensor.shape)))
      return false;
  for (uint32_t v = 0; v < net->n_values; v++) {
    const cosrel_tensor *tensor = &net->values[v].tensor;
    if (tensor->data != NULL && tensor->dtype == COSREL_F32 &&
        cosrel_floats_have_nan(tensor->data, cosrel_shape_elements(&tensor->shape)))
      return false;
  }
  return true;
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
  runtime->recover = config->recover;
  runtime->segment_limit = config->segment_limit > 0 ? config->segment_limit : default_segment_limit;
  runtime->budget_floor = config->budget_floor > 0 ? config->budget_floor : COSREL_BUDGET_FLOOR;
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
  runtime->may_check = calloc(c->n_streams, sizeof *runtime->may_check);
  if (!good || runtime->io == NULL || runtime->slots == NULL || runtime->may_check == NULL) goto no_memory;
  memcpy(runtime->io, config->io, c->n_streams * sizeof *runtime->io);

  status = check_support(runtime, error);
  if (status == COSREL_OK) status = check_memory(runtime, config->memory_bytes, error);
  for (uint32_t n = 0; n < runtime->machine->n_networks && status == COSREL_OK; n++)
    if (find_outputs(runtime, n) != COSREL_OK) goto no_memory;
  for (uint32_t p = 0; p < c->n_processors && runtime->recover != NULL && status == COSREL_OK; p++)
    if (cosrel_probe_learn(runtime->machine, p, &runtime->workers[p].probe) != COSREL_OK) goto no_memory;
  for (uint32_t s = 0; s < c->n_streams && runtime->recover != NULL && status == COSREL_OK; s++)
    runtime->may_check[s] = nothing_is_nan(runtime, s);
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

/* Ends the workers; those that do not come back in time are left behind. Returns how many these are. */
static uint32_t end_workers(cosrel_runtime *runtime) {
  cosrel_time limit = cosrel_monotonic_now() + last_wait;
  uint32_t n_left = 0;
  pthread_mutex_lock(&runtime->lock);
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) {
    worker *w = &runtime->workers[p];
    if (!w->has_thread) continue;
    w->quit = true;
    if (w->loader != NULL) cosrel_loader_quit(w->loader);
    pthread_cond_signal(&w->given);
  }
  for (;;) {
    n_left = 0;
    for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) {
      worker *w = &runtime->workers[p];
      if (!w->has_thread || w->exited) continue;
      n_left++;
      if (w->backend != NULL && w->backend->ops->cancel != NULL) w->backend->ops->cancel(w->backend);
    }
    cosrel_time now = cosrel_monotonic_now();
    if (n_left == 0 || now >= limit) break;
    wait_until(&runtime->done, &runtime->lock, now + stop_period < limit ? now + stop_period : limit);
  }
  runtime->n_left = n_left;
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) /* those left behind end on their own */
    if (runtime->workers[p].has_thread && !runtime->workers[p].exited) {
      pthread_detach(runtime->workers[p].thread);
      runtime->workers[p].has_thread = false;
    }
  pthread_mutex_unlock(&runtime->lock);
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++)
    if (runtime->workers[p].has_thread) pthread_join(runtime->workers[p].thread, NULL);
  return n_left;
}

static void free_runtime(cosrel_runtime *runtime) {
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) cosrel_loader_destroy(runtime->workers[p].loader);
  while (runtime->all != NULL) {
    tensors *t = runtime->all;
    runtime->all = t->next;
    for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++)
      if (t->buffers[p] != NULL)
        runtime->workers[p].backend->ops->buffer_destroy(runtime->workers[p].backend, t->buffers[p]);
    pthread_mutex_destroy(&t->moving);
    free(t->arena);
    free(t->present);
    free(t);
  }
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) {
    cosrel_probe_clear(&runtime->workers[p].probe);
    pthread_mutex_destroy(&runtime->workers[p].copying);
    pthread_cond_destroy(&runtime->workers[p].given);
  }
  for (uint32_t n = 0; n < COSREL_NETWORKS_MAX; n++) {
    free(runtime->is_output[n]);
    free(runtime->last_reader[n]);
  }
  pthread_mutex_destroy(&runtime->lock);
  pthread_cond_destroy(&runtime->done);
  free(runtime->slots);
  free(runtime->may_check);
  free(runtime->io);
  free(runtime);
}

uint32_t cosrel_runtime_destroy(cosrel_runtime *runtime) {
  if (runtime == NULL) return 0;
  uint32_t n_left = end_workers(runtime);
  if (n_left == 0) free_runtime(runtime);
  return n_left;
}

void cosrel_runtime_start(cosrel_runtime *runtime) {
  pthread_mutex_lock(&runtime->lock);
  for (uint32_t p = 0; p < runtime->c->n_processors; p++) {
    worker *w = &runtime->workers[p];
    while (w->stage == GIVEN) {
      cosrel_time now = cosrel_monotonic_now();
      if (runtime->recover != NULL && now >= w->given_at + w->job.budget + grace) w->stage = ABANDONED;
      if (w->stage == GIVEN) wait_until(&runtime->done, &runtime->lock, now + stop_period);
    }
    if (w->stage == DONE) w->stage = IDLE;
    w->refused = false;
    w->suspect = COSREL_OK;
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
