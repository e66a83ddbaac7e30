#include "backends/rehearsal.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/runtime/runtime.h"
#include "backends/sim/sim.h"
#include "sched/check.h"
#include "sched/policies/pinned.h"

enum { SAMPLES_MAX = 1 << 15 };

typedef struct samples {
  uint32_t n;
  double *values; /* [SAMPLES_MAX] owned */
} samples;

/* The workload, and what the segments of a run of it took. */
typedef struct stage {
  cosrel_workload workload;
  cosrel_stream_io io[COSREL_STREAMS_MAX];
  cosrel_pinned pinned;
  cosrel_sink sink;
  bool simulated;
  samples handovers[COSREL_PROCESSORS_MAX];
  samples kernels[COSREL_STREAMS_MAX]; /* of segments on the stream's own processor */
} stage;

static void samples_add(samples *s, double value) {
  if (s->n < SAMPLES_MAX) s->values[s->n++] = value;
}

/* Without the longest hundredth; sorts the samples. 0 when there are none. */
static double mean_of_most(samples *s) {
  gsl_sort(s->values, 1, s->n);
  return s->n > 0 ? gsl_stats_mean(s->values, 1, s->n - s->n / 100) : 0;
}

/* Submitting is inside the backend in a run, and the whole launch cost of the simulation. Only whole requests are
 * compared. */
static void on_segment(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment) {
  (void)state;
  stage *stage = self;
  uint32_t p = segment->processor, s = segment->stream;
  cosrel_time kernel = segment->ended - segment->started - segment->transfer - (stage->simulated ? 0 : segment->launch);
  if (!stage->simulated) samples_add(&stage->handovers[p], (double)segment->launch);
  if (stage->pinned.home[s][0] == p && segment->begin == 0 && segment->end == c->streams[s].n_units)
    samples_add(&stage->kernels[s], (double)kernel);
}

static void reset(void *self) { (void)self; }
static const cosrel_policy_ops pinned_ops = {
    .struct_size = sizeof(cosrel_policy_ops), .name = "pinned", .reset = reset, .decide = cosrel_pinned_decide};

/* Stream s asks for model s / n_processors on processor s % n_processors. */
static void make_workload(stage *stage, const cosrel_profile *profile, const cosrel_profiled_model *models) {
  uint32_t n_processors = profile->n_processors, n = profile->n_models * n_processors;
  if (n > COSREL_STREAMS_MAX) n = COSREL_STREAMS_MAX;
  cosrel_workload *w = &stage->workload;
  snprintf(w->name, sizeof w->name, "rehearsal");
  w->objective = (cosrel_objective){1, 1, 0};
  w->n_streams = n;
  for (uint32_t s = 0; s < n; s++) {
    uint32_t m = s / n_processors;
    cosrel_stream *stream = &w->streams[s];
    snprintf(stream->name, sizeof stream->name, "%u", s);
    memcpy(stream->model, profile->models[m].model.name, sizeof stream->model);
    stream->precisions = 1u << COSREL_FP32;
    stream->arrivals = (cosrel_arrivals){
        .kind = COSREL_ARRIVALS_CLOSED, .rate_hz = 1, .burst_ratio = 3, .burst_share = 0.2, .burst_s = 0.5};
    stream->priority = 1;
    stream->queue_limit = 1;
    stage->io[s] = (cosrel_stream_io){.network = models[m].network, .inputs = models[m].inputs};
    memset(stage->pinned.home[s], (int)(s % n_processors), sizeof stage->pinned.home[s]);
  }
}

static cosrel_status stage_create(const cosrel_profile *profile, const cosrel_profiled_model *models, stage **out) {
  stage *stage = *out = calloc(1, sizeof *stage);
  if (stage == NULL) return COSREL_NOMEM;
  stage->sink = (cosrel_sink){.self = stage, .segment = on_segment};
  make_workload(stage, profile, models);
  bool good = true;
  for (uint32_t p = 0; p < profile->n_processors; p++)
    good &= (stage->handovers[p].values = malloc(SAMPLES_MAX * sizeof(double))) != NULL;
  for (uint32_t s = 0; s < stage->workload.n_streams; s++)
    good &= (stage->kernels[s].values = malloc(SAMPLES_MAX * sizeof(double))) != NULL;
  return good ? COSREL_OK : COSREL_NOMEM;
}

static void stage_destroy(stage *stage) {
  if (stage == NULL) return;
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) free(stage->handovers[p].values);
  for (uint32_t s = 0; s < COSREL_STREAMS_MAX; s++) free(stage->kernels[s].values);
  free(stage);
}

static cosrel_status play(stage *stage, const cosrel_case *c, cosrel_driver driver, cosrel_time time,
                          cosrel_error *error) {
  cosrel_engine engine = {0};
  cosrel_status status = cosrel_engine_create(c, driver, &engine, error);
  if (status == COSREL_OK) {
    engine.sinks = &stage->sink;
    status = cosrel_engine_run(&engine, &(cosrel_policy){&pinned_ops, &stage->pinned}, 1, time, error);
  }
  cosrel_engine_destroy(&engine);
  return status;
}

static cosrel_status play_for_real(const cosrel_machine *machine, stage *stage, const cosrel_case *c, cosrel_time time,
                                   bool (*stop)(void), cosrel_error *error) {
  const cosrel_runtime_config config = {.machine = machine, .io = stage->io, .stop = stop};
  cosrel_runtime *runtime = NULL;
  cosrel_status status = cosrel_runtime_create(&config, c, &runtime, error);
  if (status == COSREL_OK) {
    cosrel_runtime_start(runtime);
    status = play(stage, c, cosrel_runtime_driver(runtime), time, error);
  }
  cosrel_runtime_destroy(runtime);
  return status;
}

cosrel_status cosrel_rehearse(const cosrel_machine *machine, const cosrel_profile *profile,
                              const cosrel_profiled_model *models, cosrel_time time, bool (*stop)(void),
                              cosrel_rehearsal *out, cosrel_error *error) {
  cosrel_case c = {0};
  stage *stage = NULL;
  double real[COSREL_STREAMS_MAX];
  cosrel_status status = stage_create(profile, models, &stage);
  if (status != COSREL_OK) {
    status = cosrel_fail(error, status, "no memory to measure what a segment costs");
    goto done;
  }
  status = cosrel_case_create(profile, &stage->workload, &c, error);
  if (status == COSREL_OK) status = play_for_real(machine, stage, &c, time, stop, error);
  if (status != COSREL_OK) goto done;
  for (uint32_t p = 0; p < profile->n_processors; p++) out->handover_ns[p] = mean_of_most(&stage->handovers[p]);
  for (uint32_t s = 0; s < c.n_streams; s++) {
    real[s] = mean_of_most(&stage->kernels[s]);
    stage->kernels[s].n = 0;
  }

  stage->simulated = true;
  status = play(stage, &c, cosrel_sim_driver(&(cosrel_sim){.noise = false}), time, error);
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++)
    for (uint32_t m = 0; m < COSREL_MODELS_MAX; m++) out->slower[p][m] = 1;
  for (uint32_t s = 0; s < c.n_streams && status == COSREL_OK; s++) {
    double simulated = mean_of_most(&stage->kernels[s]);
    if (real[s] > 0 && simulated > 0)
      out->slower[s % profile->n_processors][s / profile->n_processors] = real[s] / simulated;
  }

done:
  if (c.tables != NULL) cosrel_case_destroy(&c);
  stage_destroy(stage);
  return status;
}
