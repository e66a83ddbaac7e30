/* The driver of the engine (sched/engine.h), on its thread: it puts jobs into mailboxes, waits, and counts. */
#include "backends/runtime/inside.h"

#include <string.h>

static void begin_clock(cosrel_runtime *runtime) {
  if (runtime->started) return;
  runtime->started = true;
  runtime->epoch = cosrel_monotonic_now();
}

/* Puts a job into a worker's mailbox. One that was abandoned and is not back refuses it. */
static void give(cosrel_runtime *runtime, uint32_t processor, cosrel_job job) {
  cosrel_worker *w = &runtime->workers[processor];
  pthread_mutex_lock(&runtime->lock);
  w->refused = w->stage == COSREL_ABANDONED;
  if (!w->refused) {
    if (w->loader != NULL && !job.probe) cosrel_loader_pin(w->loader, runtime->io[job.stream].network);
    w->job = job;
    w->given_at = cosrel_monotonic_now();
    w->stage = COSREL_GIVEN;
    pthread_cond_signal(&w->given);
  }
  pthread_mutex_unlock(&runtime->lock);
}

static cosrel_status driver_submit(void *self, const cosrel_case *c, const cosrel_state *state,
                                   const cosrel_candidate *candidate, double *scale) {
  cosrel_runtime *runtime = self;
  const cosrel_request *request = cosrel_state_request(c, state, candidate->slot);
  cosrel_slot *slot = &runtime->slots[candidate->slot];
  uint32_t n_units = c->streams[request->stream].n_units;
  begin_clock(runtime);
  *scale = 1;
  /* A new request, or another start of it: so no worker is busy with the slot. */
  if (!slot->used || slot->sequence != request->sequence || slot->n_starts != request->n_starts) {
    if (slot->tensors == NULL) slot->tensors = cosrel_tensors_spare(runtime, request->stream);
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
       (cosrel_job){.slot = candidate->slot,
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
  give(runtime, processor, (cosrel_job){.probe = true, .budget = runtime->segment_limit});
  return COSREL_OK;
}

static cosrel_status segment_failed(cosrel_runtime *runtime, const cosrel_worker *w) {
  const cosrel_job *job = &w->job;
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
static cosrel_status take_completion(cosrel_runtime *runtime, const cosrel_state *state, cosrel_worker *w) {
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
static cosrel_worker *first_done(cosrel_runtime *runtime) {
  cosrel_worker *first = NULL;
  for (uint32_t p = 0; p < runtime->c->n_processors; p++) {
    cosrel_worker *w = &runtime->workers[p];
    if (w->stage == COSREL_DONE && (first == NULL || w->ended < first->ended)) first = w;
  }
  return first;
}

/* Reminds workers that are over their budget, and abandons the first that is not back even so. Sets *limit to when to
 * look again at the latest. Called with the lock held. */
static cosrel_worker *first_overdue(cosrel_runtime *runtime, cosrel_time clock, cosrel_time *limit) {
  for (uint32_t p = 0; p < runtime->c->n_processors && runtime->recover != NULL; p++) {
    cosrel_worker *w = &runtime->workers[p];
    if (w->refused) return w;
    if (w->stage != COSREL_GIVEN) continue;
    cosrel_time due = w->given_at + w->job.budget;
    if (clock < due) {
      if (due < *limit) *limit = due;
      continue;
    }
    if (w->backend != NULL && w->backend->ops->cancel != NULL) w->backend->ops->cancel(w->backend);
    if (clock >= due + COSREL_GRACE) return w;
  }
  return NULL;
}

/* What the engine is told of a worker that is not back. */
static cosrel_failure abandon(cosrel_runtime *runtime, cosrel_worker *w) {
  if (!w->refused && !w->job.probe) {
    cosrel_slot *slot = &runtime->slots[w->job.slot];
    if (slot->tensors == w->job.tensors) slot->tensors = NULL;
    slot->used = false;
    w->status = COSREL_INTERRUPTED;
    segment_failed(runtime, w);
  }
  if (!w->refused) w->stage = COSREL_ABANDONED;
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
    cosrel_worker *w = first_done(runtime);
    cosrel_time clock = cosrel_monotonic_now(), limit = clock + COSREL_STOP_PERIOD;
    if (w != NULL && w->ended - runtime->epoch <= until) {
      w->stage = COSREL_IDLE;
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
    cosrel_condition_wait(&runtime->done, &runtime->lock, limit);
  }
  pthread_mutex_unlock(&runtime->lock);
  return COSREL_OK;
}

static void driver_parts(void *self, uint32_t processor, cosrel_time elapsed, cosrel_time *launch, cosrel_time *load,
                         cosrel_time *transfer) {
  cosrel_runtime *runtime = self;
  const cosrel_worker *w = &runtime->workers[processor];
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

void cosrel_runtime_start(cosrel_runtime *runtime) {
  pthread_mutex_lock(&runtime->lock);
  for (uint32_t p = 0; p < runtime->c->n_processors; p++) {
    cosrel_worker *w = &runtime->workers[p];
    while (w->stage == COSREL_GIVEN) {
      cosrel_time now = cosrel_monotonic_now();
      if (runtime->recover != NULL && now >= w->given_at + w->job.budget + COSREL_GRACE) w->stage = COSREL_ABANDONED;
      if (w->stage == COSREL_GIVEN) cosrel_condition_wait(&runtime->done, &runtime->lock, now + COSREL_STOP_PERIOD);
    }
    if (w->stage == COSREL_DONE) w->stage = COSREL_IDLE;
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
