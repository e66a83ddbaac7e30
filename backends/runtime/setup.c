/* Checks, makes and ends a runtime. */
#include "backends/runtime/inside.h"

#include <stdlib.h>
#include <string.h>

static const cosrel_time default_segment_limit = 60 * COSREL_S;
static const cosrel_time last_wait = 3 * COSREL_S; /* for workers, at the end */

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
      for (uint32_t u = 0; u < sc->n_units; u++) {
        const uint8_t *prepared = machine->precisions[p][runtime->io[s].network];
        cosrel_precision precision = (cosrel_precision)sc->precision[p][u];
        if (sc->limit[p][u] == u) continue;
        if (!cosrel_backend_runs(machine->backends[p], network, u, precision))
          return cosrel_fail(error, COSREL_UNSUPPORTED,
                             "processor %s: %s: cannot compute unit %s in %s, but the profile says so",
                             c->profile->processors[p].name, network->model.name, network->model.units[u].name,
                             cosrel_precision_name(precision));
        if (precision != (prepared != NULL ? (cosrel_precision)prepared[u] : COSREL_FP32))
          return cosrel_fail(error, COSREL_INTERNAL, "processor %s: %s: unit %s is not there in %s",
                             c->profile->processors[p].name, network->model.name, network->model.units[u].name,
                             cosrel_precision_name(precision));
      }
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

static cosrel_status create_slot(cosrel_runtime *runtime, uint32_t s, cosrel_slot *slot, cosrel_error *error) {
  size_t bytes = (size_t)runtime->machine->networks[runtime->io[s].network]->arena_bytes;
  cosrel_status made = cosrel_tensors_create(runtime, s, &slot->tensors, error);
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
    cosrel_worker *w = &runtime->workers[p];
    w->has_thread = pthread_create(&w->thread, NULL, cosrel_worker_main, w) == 0;
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
  bool good = cosrel_condition_init(&runtime->done);
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) {
    cosrel_worker *w = &runtime->workers[p];
    pthread_mutex_init(&w->copying, NULL);
    good = cosrel_condition_init(&w->given) && good;
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
    if (cosrel_probe_learn(runtime->machine, p, &runtime->workers[p].copying, &runtime->workers[p].probe) != COSREL_OK)
      goto no_memory;
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
    cosrel_worker *w = &runtime->workers[p];
    if (!w->has_thread) continue;
    w->quit = true;
    if (w->loader != NULL) cosrel_loader_quit(w->loader);
    pthread_cond_signal(&w->given);
  }
  for (;;) {
    n_left = 0;
    for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) {
      cosrel_worker *w = &runtime->workers[p];
      if (!w->has_thread || w->exited) continue;
      n_left++;
      if (w->backend != NULL && w->backend->ops->cancel != NULL) w->backend->ops->cancel(w->backend);
    }
    cosrel_time now = cosrel_monotonic_now();
    if (n_left == 0 || now >= limit) break;
    cosrel_condition_wait(&runtime->done, &runtime->lock,
                          now + COSREL_STOP_PERIOD < limit ? now + COSREL_STOP_PERIOD : limit);
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

void cosrel_runtime_free(cosrel_runtime *runtime) {
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) cosrel_loader_destroy(runtime->workers[p].loader);
  while (runtime->all != NULL) {
    cosrel_tensors *t = runtime->all;
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
  if (n_left == 0) cosrel_runtime_free(runtime);
  return n_left;
}
