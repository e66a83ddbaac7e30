/* Small cases built in memory, so that a test can say in a few lines what it is about.
 *
 *     fixture f;
 *     fixture_begin(&f, 2);                                      processors cpu (the host) and gpu
 *     fixture_chain(&f, "m", 3, (double[]){2, 1,  2, 1,  -1, 4});  ms per unit and processor; negative: cannot run
 *     fixture_stream(&f, "m", COSREL_ARRIVALS_POISSON, 50);
 *     fixture_compile(&f);                                       -> f.c
 *     fixture_end(&f);
 *
 * Launches, links, contention, power and noise start at zero and are set in f.profile before fixture_compile. */
#ifndef COSREL_TESTS_FIXTURES_H
#define COSREL_TESTS_FIXTURES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/case.h"
#include "sched/profile.h"
#include "sched/rng.h"
#include "sched/workload.h"

typedef struct fixture {
  cosrel_profile profile;
  cosrel_workload workload;
  cosrel_case c;
} fixture;

static inline void *fixture_alloc(size_t count, size_t size) {
  void *block = calloc(count > 0 ? count : 1, size);
  if (block == NULL) abort();
  return block;
}

static inline void fixture_begin(fixture *f, uint32_t n_processors) {
  static const char *names[COSREL_PROCESSORS_MAX] = {"cpu", "gpu", "dsp", "npu", "cpu-little", "tpu", "isp", "remote"};
  memset(f, 0, sizeof *f);
  snprintf(f->profile.name, sizeof f->profile.name, "fixture");
  f->profile.n_processors = n_processors;
  for (uint32_t p = 0; p < n_processors; p++) {
    cosrel_processor *processor = &f->profile.processors[p];
    snprintf(processor->name, sizeof processor->name, "%s", names[p]);
    processor->n_points = 1;
    processor->points[0] = (cosrel_point){.frequency_mhz = 1000, .speed = 1, .busy_w = 1.0 + p, .idle_w = 0.1};
  }
  f->profile.n_sources = 1;
  f->profile.sources = fixture_alloc(1, sizeof *f->profile.sources);
  snprintf(f->profile.sources[0], sizeof f->profile.sources[0], "made up for a test");
  f->profile.models = fixture_alloc(COSREL_MODELS_MAX, sizeof *f->profile.models);
  snprintf(f->workload.name, sizeof f->workload.name, "fixture");
  f->workload.objective = (cosrel_objective){1, 1, 1};
}

/* A model of n units. `ms[u * n_processors + p]` is what a unit costs in every precision; `inputs` lists the producers
 * of each unit in turn, COSREL_MODEL_INPUT for the request's input, each list ended by FIXTURE_END. Every tensor has
 * `elems` elements. */
#define FIXTURE_END (-2)
static inline void fixture_dag(fixture *f, const char *name, uint32_t n, const double *ms, const int32_t *inputs,
                               uint64_t elems) {
  uint32_t n_processors = f->profile.n_processors, n_edges = 0, at = 0;
  for (uint32_t u = 0, i = 0; u < n; u++, i++)
    for (; inputs[i] != FIXTURE_END; i++) n_edges++;
  cosrel_profile_model *pm = &f->profile.models[f->profile.n_models++];
  snprintf(pm->model.name, sizeof pm->model.name, "%s", name);
  pm->model.input_elems = elems;
  pm->model.n_units = n;
  pm->model.n_edges = n_edges;
  pm->model.units = fixture_alloc(n, sizeof *pm->model.units);
  pm->model.inputs = fixture_alloc(n_edges, sizeof *pm->model.inputs);
  pm->costs = fixture_alloc((size_t)n * n_processors * COSREL_PRECISION_COUNT, sizeof *pm->costs);
  for (uint32_t u = 0; u < n; u++, inputs++) {
    cosrel_unit *unit = &pm->model.units[u];
    snprintf(unit->name, sizeof unit->name, "u%u", (unsigned)u);
    unit->first_input = at;
    for (; *inputs != FIXTURE_END; inputs++) pm->model.inputs[at++] = *inputs;
    unit->n_inputs = at - unit->first_input;
    unit->macs = unit->weights = 1;
    unit->in_elems = unit->n_inputs * elems;
    unit->out_elems = elems;
    for (uint32_t p = 0; p < n_processors; p++)
      for (uint32_t k = 0; k < COSREL_PRECISION_COUNT; k++) {
        double cost = ms[u * n_processors + p];
        pm->costs[(u * n_processors + p) * COSREL_PRECISION_COUNT + k] =
            (cosrel_cost){.mean_ns = cost < 0 ? -1 : cost * 1e6, .beta = 0.5};
      }
  }
}

static inline void fixture_chain(fixture *f, const char *name, uint32_t n, const double *ms) {
  int32_t *inputs = fixture_alloc(2 * (size_t)n, sizeof *inputs);
  for (uint32_t u = 0; u < n; u++) {
    inputs[2 * u] = u == 0 ? COSREL_MODEL_INPUT : (int32_t)u - 1;
    inputs[2 * u + 1] = FIXTURE_END;
  }
  fixture_dag(f, name, n, ms, inputs, 1000);
  free(inputs);
}

/* Every link between two processors takes `latency_ms` and nothing for size; every launch takes `launch_ms`. */
static inline void fixture_overheads(fixture *f, double launch_ms, double latency_ms) {
  for (uint32_t p = 0; p < f->profile.n_processors; p++) {
    f->profile.processors[p].launch_ns = launch_ms * 1e6;
    for (uint32_t q = 0; q < f->profile.n_processors; q++)
      f->profile.links[p][q].latency_ns = p == q ? 0 : latency_ms * 1e6;
  }
}

/* The same contention between every two processors, and the same noise on every cost. */
static inline void fixture_disturb(fixture *f, double kappa, double cv) {
  for (uint32_t p = 0; p < f->profile.n_processors; p++)
    for (uint32_t q = 0; q < f->profile.n_processors; q++) f->profile.kappa[p][q] = p == q ? 0 : kappa;
  for (uint32_t m = 0; m < f->profile.n_models; m++)
    for (uint32_t i = 0; i < f->profile.models[m].model.n_units * f->profile.n_processors * COSREL_PRECISION_COUNT; i++)
      f->profile.models[m].costs[i].cv = cv;
}

/* Adds a stream of the model: default precisions, no deadline, four requests at most, the oldest gives way. */
static inline cosrel_stream *fixture_stream(fixture *f, const char *model, cosrel_arrivals_kind kind, double rate_hz) {
  cosrel_stream *stream = &f->workload.streams[f->workload.n_streams];
  snprintf(stream->name, sizeof stream->name, "s%u", (unsigned)f->workload.n_streams++);
  snprintf(stream->model, sizeof stream->model, "%s", model);
  stream->precisions = 1u << COSREL_FP32 | 1u << COSREL_FP16;
  stream->arrivals = (cosrel_arrivals){
      .kind = kind, .rate_hz = rate_hz, .phase = -1, .burst_ratio = 2, .burst_share = 0.25, .burst_s = 0.5};
  stream->priority = 1;
  stream->queue_limit = 4;
  stream->drop = COSREL_DROP_OLDEST;
  return stream;
}

/* Compiles profile and workload into f->c; aborts with the line when that fails. */
static inline void fixture_compile(fixture *f) {
  cosrel_error error = {""};
  if (cosrel_case_create(&f->profile, &f->workload, &f->c, &error) != COSREL_OK) {
    fprintf(stderr, "fixture: %s\n", error.text);
    abort();
  }
}

static inline void fixture_end(fixture *f) {
  cosrel_case_destroy(&f->c);
  cosrel_workload_clear(&f->workload);
  cosrel_profile_clear(&f->profile);
}

/* A random model, the same for the same key: unit costs of 0.2 to 2 ms with some affinity per processor; one in six
 * (unit, processor) pairs is unsupported, never on the host. `branchy`: units read one or two of the three before them.
 */
static inline void fixture_random_model(fixture *f, const char *name, uint32_t n, bool branchy, uint64_t key) {
  uint32_t n_processors = f->profile.n_processors;
  double *ms = fixture_alloc((size_t)n * n_processors, sizeof *ms);
  int32_t *inputs = fixture_alloc(3 * (size_t)n, sizeof *inputs);
  uint32_t at = 0;
  for (uint32_t u = 0; u < n; u++) {
    double size = 0.2 + 1.8 * cosrel_rng_uniform(cosrel_rng_key(key, 10 * u));
    for (uint32_t p = 0; p < n_processors; p++) {
      uint64_t draw = cosrel_rng_key(cosrel_rng_key(key, 10 * u + 1), p);
      bool missing = p != f->profile.host && cosrel_rng_below(cosrel_rng_key(draw, 1), 6) == 0;
      ms[u * n_processors + p] = missing ? -1 : size * (0.4 + 1.2 * cosrel_rng_uniform(draw));
    }
    int32_t first = (int32_t)u - 1, second = first;
    if (branchy && u >= 2) {
      first -= (int32_t)cosrel_rng_below(cosrel_rng_key(key, 10 * u + 2), u < 3 ? u : 3);
      second -= (int32_t)cosrel_rng_below(cosrel_rng_key(key, 10 * u + 3), u < 3 ? u : 3);
    }
    inputs[at++] = u == 0 ? COSREL_MODEL_INPUT : first;
    if (second != first) inputs[at++] = second;
    inputs[at++] = FIXTURE_END;
  }
  fixture_dag(f, name, n, ms, inputs, 1000);
  free(ms);
  free(inputs);
}

#endif
