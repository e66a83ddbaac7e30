/* A device of doubles: processors at the backend's vtable whose kernel is out = unit + 1 + sum over the unit's inputs
 * of (k + 1) * input_k, so every output depends on everything that was computed on the way, with memory of their own or
 * without, running a fixture's streams. Memory starts as NaN. Include it in one file of a test program, after
 * <cmocka.h>. */
#ifndef COSREL_TESTS_DOUBLES_H
#define COSREL_TESTS_DOUBLES_H

#include <math.h>
#include <pthread.h>

#include "backends/affinity.h"
#include "backends/arena.h"
#include "backends/monotonic.h"
#include "backends/runtime/runtime.h"
#include "tests/contract.h"

enum { ELEMENTS = 24, UNITS_MAX = 64 };

/* ---- Networks made by hand: value 0 is the input, value u + 1 the output of unit u ---- */

static inline void network_begin(cosrel_network *network, const cosrel_model *model) {
  uint32_t n = model->n_units;
  *network = (cosrel_network){.model = *model, .arena_bytes = (n + 1) * 128 + COSREL_PADDING};
  network->net.n_values = n + 1;
  network->net.n_inputs = network->net.n_outputs = 1;
  network->net.values = fixture_alloc(n + 1, sizeof *network->net.values);
  network->net.inputs = fixture_alloc(1, sizeof(int32_t));
  network->net.outputs = fixture_alloc(1, sizeof(int32_t));
  network->net.outputs[0] = (int32_t)n;
  network->units = fixture_alloc(n, sizeof *network->units);
  network->offsets = fixture_alloc(n + 1, sizeof *network->offsets);
  for (uint32_t v = 0; v <= n; v++) {
    network->net.values[v].tensor = (cosrel_tensor){.dtype = COSREL_F32, .shape = {2, {1, ELEMENTS}}};
    network->net.values[v].producer = v == 0 ? -1 : (int32_t)v - 1;
    network->offsets[v] = (int64_t)(n - v) * 128; /* not in order, so that an index is not taken for an offset */
    if (v > 0) network->units[v - 1].output = (int32_t)v;
  }
}

static inline void network_end(cosrel_network *network) {
  free(network->net.values);
  free(network->net.inputs);
  free(network->net.outputs);
  free(network->units);
  free(network->offsets);
}

static inline void compute(const cosrel_network *network, char *arena, uint32_t u) {
  const cosrel_unit *unit = &network->model.units[u];
  float *out = (float *)(arena + network->offsets[u + 1]);
  for (uint32_t i = 0; i < ELEMENTS; i++) {
    float sum = (float)(u + 1);
    for (uint32_t k = 0; k < unit->n_inputs; k++) {
      int32_t t = network->model.inputs[unit->first_input + k] + 1;
      sum += (float)(k + 1) * ((const float *)(arena + network->offsets[t]))[i];
    }
    out[i] = fmodf(sum, 4096); /* stays exact */
  }
}

/* ---- The double ---- */

typedef struct fake {
  cosrel_backend base;
  cosrel_backend_ops ops;
  uint32_t fails_at; /* number of the segment, from 1, that fails; 0: none */
  cosrel_status failure;
  uint32_t unsupported; /* unit + 1 */
  bool moves;           /* its caller, to core 0: a backend may */
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool closed; /* the gate: segments wait inside `wait` while it is closed */
  bool shut;   /* the same for `write` */
  bool cancelled;
  uint32_t n_segments, n_waiting, reads, writes;
  const cosrel_case *c;
  uint32_t processor;
  uint64_t weights, most_weights;           /* bytes that are prepared, as the case counts them; under `lock` */
  uint32_t n_prepares, n_prepared, refuses; /* refuses: number of the prepare, from 1, that fails */
} fake;

struct cosrel_buffer {
  size_t bytes;
  char data[];
};

static inline uint64_t fake_weights(const fake *f, const cosrel_network *network) {
  for (uint32_t s = 0; s < f->c->n_streams; s++)
    if (strcmp(f->c->workload->streams[s].model, network->model.name) == 0)
      return f->c->streams[s].weight_bytes[f->processor];
  return UINT64_MAX;
}

static inline cosrel_status fake_prepare(cosrel_backend *backend, const cosrel_network *network,
                                         const uint8_t *precisions, cosrel_prepared **out, cosrel_error *error) {
  fake *f = (fake *)backend;
  (void)precisions, (void)error;
  pthread_mutex_lock(&f->lock);
  bool refused = ++f->n_prepares == f->refuses;
  if (!refused) {
    f->weights += fake_weights(f, network);
    if (f->weights > f->most_weights) f->most_weights = f->weights;
    f->n_prepared++;
  }
  pthread_mutex_unlock(&f->lock);
  *out = (cosrel_prepared *)(void *)network;
  return refused ? COSREL_NOMEM : COSREL_OK;
}

static inline void fake_release(cosrel_backend *backend, cosrel_prepared *prepared) {
  fake *f = (fake *)backend;
  const cosrel_network *network = (const cosrel_network *)(void *)prepared;
  pthread_mutex_lock(&f->lock);
  f->weights -= fake_weights(f, network);
  f->n_prepared--;
  pthread_mutex_unlock(&f->lock);
}

static inline bool fake_supports(const cosrel_backend *backend, const cosrel_network *network, uint32_t unit,
                                 cosrel_precision precision) {
  (void)network;
  return precision == COSREL_FP32 && ((const fake *)backend)->unsupported != unit + 1;
}

static inline cosrel_status fake_submit(cosrel_backend *backend, cosrel_prepared *prepared, void *arena,
                                        cosrel_buffer *buffer, uint32_t begin, uint32_t end) {
  fake *f = (fake *)backend;
  const cosrel_network *network = (const cosrel_network *)(void *)prepared;
  bool apart = f->ops.buffer_create != NULL;
  if (apart != (arena == NULL) || apart != (buffer != NULL)) return COSREL_INVALID;
  pthread_mutex_lock(&f->lock);
  f->cancelled = false;
  pthread_mutex_unlock(&f->lock);
  if (f->moves) {
    const cosrel_affinity core = cosrel_affinity_of((const uint16_t[]){0}, 1);
    cosrel_affinity_set(&core);
  }
  if (++f->n_segments == f->fails_at) return f->failure;
  for (uint32_t u = begin; u < end; u++) compute(network, apart ? buffer->data : arena, u);
  return COSREL_OK;
}

static inline cosrel_status fake_wait(cosrel_backend *backend, cosrel_time budget) {
  fake *f = (fake *)backend;
  (void)budget;
  pthread_mutex_lock(&f->lock);
  f->n_waiting++;
  pthread_cond_broadcast(&f->changed);
  while (f->closed && !f->cancelled) pthread_cond_wait(&f->changed, &f->lock);
  f->n_waiting--;
  bool cancelled = f->cancelled;
  pthread_mutex_unlock(&f->lock);
  return cancelled ? COSREL_INTERRUPTED : COSREL_OK;
}

static inline void fake_cancel(cosrel_backend *backend) {
  fake *f = (fake *)backend;
  pthread_mutex_lock(&f->lock);
  f->cancelled = true;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->lock);
}

static inline cosrel_status fake_buffer_create(cosrel_backend *backend, size_t bytes, cosrel_buffer **out,
                                               cosrel_error *error) {
  (void)backend, (void)error;
  *out = fixture_alloc(1, sizeof **out + bytes);
  (*out)->bytes = bytes;
  memset((*out)->data, 0xff, bytes); /* NaN */
  return COSREL_OK;
}
static inline void fake_buffer_destroy(cosrel_backend *backend, cosrel_buffer *buffer) {
  (void)backend;
  free(buffer);
}
static inline cosrel_status fake_write(cosrel_backend *backend, cosrel_buffer *buffer, size_t offset, const void *host,
                                       size_t bytes) {
  fake *f = (fake *)backend;
  f->writes++;
  pthread_mutex_lock(&f->lock);
  while (f->shut) pthread_cond_wait(&f->changed, &f->lock);
  pthread_mutex_unlock(&f->lock);
  if (offset + bytes > buffer->bytes) return COSREL_INVALID;
  memcpy(buffer->data + offset, host, bytes);
  return COSREL_OK;
}
static inline cosrel_status fake_read(cosrel_backend *backend, const cosrel_buffer *buffer, size_t offset, void *host,
                                      size_t bytes) {
  ((fake *)backend)->reads++;
  if (offset + bytes > buffer->bytes) return COSREL_INVALID;
  memcpy(host, buffer->data + offset, bytes);
  return COSREL_OK;
}

static inline void fake_close(cosrel_backend *backend) { (void)backend; }

static inline void fake_open(fake *f, bool apart) {
  *f = (fake){.ops = {.struct_size = sizeof f->ops,
                      .name = "double",
                      .close = fake_close,
                      .supports = fake_supports,
                      .prepare = fake_prepare,
                      .release = fake_release,
                      .submit = fake_submit,
                      .wait = fake_wait,
                      .cancel = fake_cancel}};
  if (apart) {
    f->ops.buffer_create = fake_buffer_create;
    f->ops.buffer_destroy = fake_buffer_destroy;
    f->ops.write = fake_write;
    f->ops.read = fake_read;
  }
  f->base.ops = &f->ops;
  pthread_mutex_init(&f->lock, NULL);
  pthread_cond_init(&f->changed, NULL);
}

static inline void fake_gate(fake *f, bool closed) {
  pthread_mutex_lock(&f->lock);
  f->closed = closed;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->lock);
}

static inline void fake_shut(fake *f, bool shut) {
  pthread_mutex_lock(&f->lock);
  f->shut = shut;
  pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->lock);
}

static inline void fake_await(fake *f) { /* until a segment stands at the gate */
  pthread_mutex_lock(&f->lock);
  while (f->n_waiting == 0) pthread_cond_wait(&f->changed, &f->lock);
  pthread_mutex_unlock(&f->lock);
}

/* ---- A device of doubles that runs a fixture's streams ---- */

typedef struct device {
  fixture *f;
  fake fakes[COSREL_PROCESSORS_MAX];
  cosrel_machine machine;
  cosrel_network networks[COSREL_STREAMS_MAX];
  float inputs[COSREL_STREAMS_MAX][ELEMENTS];
  const float *input_pointers[COSREL_STREAMS_MAX];
  cosrel_stream_io io[COSREL_STREAMS_MAX];
  cosrel_runtime_config config;
  cosrel_runtime *runtime;
  uint32_t n_left;           /* workers that did not come back at the end */
  cosrel_injector *injector; /* NULL: nothing is made to fail */
  const cosrel_injection_plan *plan;
  uint64_t seed, n_outputs, n_wrong;
  uint64_t last[COSREL_STREAMS_MAX]; /* number of the request whose output came last, plus 1 */
} device;

static inline cosrel_status check_output(void *self, uint32_t stream, uint64_t sequence, const cosrel_network *network,
                                         const void *arena, cosrel_error *error) {
  device *d = self;
  (void)error;
  char expected[(UNITS_MAX + 1) * 128];
  memcpy(expected + network->offsets[0], d->inputs[stream], sizeof d->inputs[stream]);
  for (uint32_t u = 0; u < network->model.n_units; u++) compute(network, expected, u);
  int64_t at = network->offsets[network->model.n_units];
  d->n_outputs++;
  d->n_wrong += memcmp((const char *)arena + at, expected + at, ELEMENTS * sizeof(float)) != 0;
  d->last[stream] = sequence + 1;
  return COSREL_OK;
}

/* `apart`: bit p set when processor p has memory of its own. The case of `f` must be compiled. */
static inline void device_begin(device *d, fixture *f, uint32_t apart) {
  memset(d, 0, sizeof *d);
  d->f = f;
  d->machine.n_processors = f->c.n_processors;
  d->machine.n_networks = f->c.n_streams;
  for (uint32_t s = 0; s < f->c.n_streams; s++) {
    int m = cosrel_profile_find_model(&f->profile, f->workload.streams[s].model);
    network_begin(&d->networks[s], &f->profile.models[m].model);
    for (uint32_t i = 0; i < ELEMENTS; i++) d->inputs[s][i] = (float)((s + 1) * (i + 1));
    d->input_pointers[s] = d->inputs[s];
    d->io[s] = (cosrel_stream_io){.network = s, .inputs = &d->input_pointers[s], .output = check_output, .self = d};
    d->machine.networks[s] = &d->networks[s];
  }
  for (uint32_t p = 0; p < f->c.n_processors; p++) {
    fake_open(&d->fakes[p], (apart >> p & 1) != 0);
    d->fakes[p].c = &f->c;
    d->fakes[p].processor = p;
    d->machine.backends[p] = &d->fakes[p].base;
    for (uint32_t s = 0; s < f->c.n_streams; s++)
      d->machine.prepared[p][s] = (cosrel_prepared *)(void *)&d->networks[s];
  }
  d->config = (cosrel_runtime_config){.machine = &d->machine, .io = d->io};
}

/* Lets tensors share bytes as those of real networks do. Before device_start. */
static inline void device_share_bytes(device *d) {
  for (uint32_t s = 0; s < d->f->c.n_streams; s++) {
    cosrel_network *network = &d->networks[s];
    const cosrel_model *model = &network->model;
    uint32_t n = model->n_units + 1, at = 0;
    uint64_t bytes;
    cosrel_arena_tensor *tensors = fixture_alloc(n, sizeof *tensors);
    uint32_t *readers = fixture_alloc(model->n_edges, sizeof *readers);
    for (uint32_t t = 0; t < n; t++) {
      tensors[t] = (cosrel_arena_tensor){.bytes = ELEMENTS * sizeof(float),
                                         .producer = t == 0 ? COSREL_MODEL_INPUT : (int32_t)t - 1,
                                         .first_reader = at};
      tensors[t].kept = t == n - 1;
      for (uint32_t u = 0; u < model->n_units; u++)
        for (uint32_t i = 0; i < model->units[u].n_inputs; i++)
          if (model->inputs[model->units[u].first_input + i] == tensors[t].producer) readers[at++] = u;
      tensors[t].n_readers = at - tensors[t].first_reader;
    }
    if (cosrel_arena_plan(model, tensors, n, readers, &bytes, NULL) != COSREL_OK) abort();
    for (uint32_t t = 0; t < n; t++) network->offsets[t] = (int64_t)tensors[t].offset;
    network->arena_bytes = bytes + COSREL_PADDING;
    free(tensors);
    free(readers);
  }
}

/* Lets the run survive failures, and processors fail by the plan. Before device_start. */
static inline void device_inject(device *d, const cosrel_injection_plan *plan, uint64_t seed,
                                 cosrel_injector *injector) {
  cosrel_error error = {""};
  cosrel_injector_begin(NULL, &d->f->profile, seed, injector);
  if (cosrel_machine_inject(&d->machine, injector, &error) != COSREL_OK) fail_msg("%s", error.text);
  d->injector = injector;
  d->plan = plan;
  d->seed = seed;
  d->config.recover = &d->machine;
}

static inline void device_start(device *d) {
  cosrel_error error = {""};
  if (cosrel_runtime_create(&d->config, &d->f->c, &d->runtime, &error) != COSREL_OK) fail_msg("%s", error.text);
  cosrel_runtime_start(d->runtime);
  if (d->injector == NULL) return;
  cosrel_injector_begin(d->plan, &d->f->profile, d->seed, d->injector);
  d->injector->epoch = cosrel_monotonic_now();
}

/* When a worker was left behind, all but the runtime stays as it is, since the worker may still look at it. */
static inline void device_end(device *d) {
  d->n_left = cosrel_runtime_destroy(d->runtime);
  if (d->n_left > 0) return;
  for (uint32_t p = 0; p < d->f->c.n_processors && d->injector != NULL; p++)
    d->machine.backends[p]->ops->close(d->machine.backends[p]);
  for (uint32_t s = 0; s < d->f->c.n_streams; s++) network_end(&d->networks[s]);
  for (uint32_t p = 0; p < d->f->c.n_processors; p++) {
    pthread_mutex_destroy(&d->fakes[p].lock);
    pthread_cond_destroy(&d->fakes[p].changed);
  }
}

/* Any legal choice, waiting only while something runs. */
static inline cosrel_candidate any_choice(void *self, const cosrel_case *c, const cosrel_state *state) {
  uint64_t *key = self;
  cosrel_candidate all[512];
  uint32_t n = cosrel_state_candidates(c, state, all, 512);
  bool running = state->n_idle < c->n_processors;
  uint32_t pick = cosrel_rng_below(cosrel_rng_key(7, ++*key), n + running);
  return pick >= n ? (cosrel_candidate){.action = COSREL_WAIT} : all[pick];
}
static inline void nothing(void *self) { (void)self; }
static const cosrel_policy_ops any_ops = {.struct_size = sizeof any_ops,
                                          .name = "any",
                                          .summary = "",
                                          .reset = nothing,
                                          .decide = any_choice,
                                          .destroy = nothing};

#endif
