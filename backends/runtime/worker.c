/* A processor's thread: takes jobs out of its mailbox, which are segments or probes, and says how they ended. */
#include "backends/runtime/inside.h"

#include <string.h>

static cosrel_fault fault_of(cosrel_status status) {
  switch (status) {
    case COSREL_OK: return COSREL_FAULT_NONE;
    case COSREL_INTERRUPTED: return COSREL_FAULT_HANG;
    case COSREL_FORMAT: return COSREL_FAULT_NAN;
    case COSREL_IO: return COSREL_FAULT_LOST;
    default: return COSREL_FAULT_ERROR;
  }
}

/* Nothing is in the memory of `w` any more. */
static void lose_memory(cosrel_worker *w) {
  cosrel_runtime *runtime = w->runtime;
  for (cosrel_tensors *t = cosrel_tensors_all(runtime); t != NULL; t = t->next) {
    pthread_mutex_lock(&t->moving);
    for (uint32_t i = 0; i <= runtime->c->streams[t->stream].n_units; i++)
      t->present[i] &= (uint16_t) ~(1u << w->processor);
    pthread_mutex_unlock(&t->moving);
  }
}

/* What the engine is told of a segment that failed. */
static cosrel_failure diagnose(cosrel_worker *w, const cosrel_job *job, cosrel_status status) {
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
      !cosrel_recovery_check(cosrel_job_network(w->runtime, job), sc, job->begin, job->end,
                             w->apart ? (uint16_t)(1u << w->processor) : COSREL_IN_HOST, job->tensors->present);
  pthread_mutex_unlock(&job->tensors->moving);
  if (status == COSREL_FORMAT && w->apart) failure.restart = true; /* nobody has looked at what lies in its memory */
  return failure;
}

/* Opens a lost device again. */
static cosrel_status reopen(cosrel_worker *w) {
  cosrel_runtime *runtime = w->runtime;
  cosrel_error error = {""};
  if (w->loader != NULL && !cosrel_loader_is_empty(w->loader)) return COSREL_IO; /* next time */
  for (cosrel_tensors *t = cosrel_tensors_all(runtime); t != NULL && w->apart; t = t->next) {
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
static cosrel_status run_probe(cosrel_worker *w) {
  cosrel_time budget = cosrel_segment_budget((double)w->probe.took, w->runtime->budget_floor);
  cosrel_status status = w->lost ? reopen(w) : COSREL_OK;
  if (status == COSREL_OK) status = cosrel_probe_ask(w->runtime->machine, w->processor, &w->probe, budget, &w->copying);
  if (status == COSREL_IO) w->lost = true;
  return status;
}

typedef struct parts {
  cosrel_time kernel, load, transfer;
} parts;

static cosrel_status run_segment(cosrel_worker *w, const cosrel_job *job, parts *parts) {
  cosrel_runtime *runtime = w->runtime;
  cosrel_tensors *tensors = job->tensors;
  const cosrel_backend_ops *ops = w->backend->ops;
  cosrel_prepared *prepared = runtime->machine->prepared[w->processor][runtime->io[job->stream].network];
  cosrel_time asked = cosrel_monotonic_now();
  w->innocent = false;
  cosrel_status status = w->loader != NULL ? cosrel_loader_take(w->loader, &prepared) : COSREL_OK;
  cosrel_time start = w->loader != NULL ? cosrel_monotonic_now() : asked;
  if (status == COSREL_OK) status = cosrel_tensors_bring_in(w, job);
  cosrel_time ready = cosrel_monotonic_now(), computed = ready;
  if (status == COSREL_OK) {
    status = ops->submit(w->backend, prepared, w->apart ? NULL : tensors->arena, tensors->buffers[w->processor],
                         job->begin, job->end);
    if (status == COSREL_OK) status = ops->wait(w->backend, job->budget);
    computed = cosrel_monotonic_now();
  }
  if (w->loader != NULL) cosrel_loader_give_back(w->loader);
  if (status == COSREL_OK) status = cosrel_tensors_check(w, job);
  cosrel_time checked = cosrel_monotonic_now();
  if (status == COSREL_OK) status = cosrel_tensors_bring_out(w, job);
  parts->load = start - asked;
  parts->kernel = computed - ready;
  parts->transfer = ready - start + (cosrel_monotonic_now() - checked);
  return status;
}

static cosrel_status take_suspicion(cosrel_worker *w) {
  pthread_mutex_lock(&w->runtime->lock);
  cosrel_status suspect = w->suspect;
  w->suspect = COSREL_OK;
  pthread_mutex_unlock(&w->runtime->lock);
  w->innocent = false;
  return suspect;
}

void *cosrel_worker_main(void *self) {
  cosrel_worker *w = self;
  cosrel_runtime *runtime = w->runtime;
  cosrel_machine_bind(runtime->machine, w->processor);
  pthread_mutex_lock(&runtime->lock);
  for (;;) {
    while (w->stage != COSREL_GIVEN && !w->quit) pthread_cond_wait(&w->given, &runtime->lock);
    if (w->quit) break;
    cosrel_job job = w->job;
    pthread_mutex_unlock(&runtime->lock);
    parts parts = {0};
    cosrel_status status = job.probe ? run_probe(w) : run_segment(w, &job, &parts);
    if (status == COSREL_OK) status = take_suspicion(w);
    cosrel_failure failure = {.fault = (uint8_t)fault_of(status)};
    if (status != COSREL_OK && !job.probe) failure = diagnose(w, &job, status);
    pthread_mutex_lock(&runtime->lock);
    if (w->stage == COSREL_ABANDONED) { /* nobody waits for it any more */
      w->stage = COSREL_IDLE;
      continue;
    }
    w->status = status;
    w->failure = failure;
    w->kernel = parts.kernel;
    w->load = parts.load;
    w->transfer = parts.transfer;
    w->ended = cosrel_monotonic_now();
    w->stage = COSREL_DONE;
    pthread_cond_signal(&runtime->done);
  }
  w->exited = true;
  bool last = runtime->n_left > 0 && --runtime->n_left == 0;
  pthread_cond_signal(&runtime->done);
  pthread_mutex_unlock(&runtime->lock);
  if (last) cosrel_runtime_free(runtime);
  return NULL;
}
