#include "backends/handover.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/runtime/runtime.h"
#include "sched/check.h"
#include "sched/policies/pinned.h"

enum { SAMPLES_MAX = 1 << 16 };

/* What one measurement works on. */
typedef struct handover {
  cosrel_workload workload;
  cosrel_stream_io io[COSREL_STREAMS_MAX];
  cosrel_pinned pinned;
  cosrel_sink sink;
  uint32_t n[COSREL_PROCESSORS_MAX];
  double *samples[COSREL_PROCESSORS_MAX]; /* [SAMPLES_MAX] owned */
} handover;

static void on_segment(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment) {
  (void)c, (void)state;
  handover *h = self;
  uint32_t p = segment->processor;
  if (h->n[p] < SAMPLES_MAX) h->samples[p][h->n[p]++] = (double)segment->launch;
}

static void reset(void *self) { (void)self; }
static const cosrel_policy_ops pinned_ops = {
    .struct_size = sizeof(cosrel_policy_ops), .name = "pinned", .reset = reset, .decide = cosrel_pinned_decide};

/* Stream s asks for model s / n_processors on processor s % n_processors. */
static void make_workload(handover *h, const cosrel_profile *profile, const cosrel_profiled_model *models) {
  uint32_t n_processors = profile->n_processors, n = profile->n_models * n_processors;
  if (n > COSREL_STREAMS_MAX) n = COSREL_STREAMS_MAX;
  cosrel_workload *w = &h->workload;
  snprintf(w->name, sizeof w->name, "handover");
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
    h->io[s] = (cosrel_stream_io){.network = models[m].network, .inputs = models[m].inputs};
    memset(h->pinned.home[s], (int)(s % n_processors), sizeof h->pinned.home[s]);
  }
}

static cosrel_status run(const cosrel_machine *machine, handover *h, const cosrel_case *c, cosrel_time time,
                         bool (*stop)(void), cosrel_error *error) {
  const cosrel_runtime_config config = {.machine = machine, .io = h->io, .stop = stop};
  cosrel_runtime *runtime = NULL;
  cosrel_engine engine = {0};
  cosrel_status status = cosrel_runtime_create(&config, c, &runtime, error);
  if (status == COSREL_OK) status = cosrel_engine_create(c, cosrel_runtime_driver(runtime), &engine, error);
  if (status == COSREL_OK) {
    engine.sinks = &h->sink;
    cosrel_runtime_start(runtime);
    status = cosrel_engine_run(&engine, &(cosrel_policy){&pinned_ops, &h->pinned}, 1, time, error);
  }
  cosrel_engine_destroy(&engine);
  cosrel_runtime_destroy(runtime);
  return status;
}

/* Without the longest hundredth; sorts the samples. 0 when there are none. */
static double mean_of_most(double *samples, uint32_t n) {
  gsl_sort(samples, 1, n);
  return n > 0 ? gsl_stats_mean(samples, 1, n - n / 100) : 0;
}

cosrel_status cosrel_measure_handover(const cosrel_machine *machine, const cosrel_profile *profile,
                                      const cosrel_profiled_model *models, cosrel_time time, bool (*stop)(void),
                                      double handover_ns[COSREL_PROCESSORS_MAX], cosrel_error *error) {
  cosrel_case c = {0};
  handover *h = calloc(1, sizeof *h);
  cosrel_status status = COSREL_OK;
  if (h == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory to measure what a segment costs");
  h->sink = (cosrel_sink){.self = h, .segment = on_segment};
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    h->samples[p] = calloc(SAMPLES_MAX, sizeof *h->samples[p]);
    if (h->samples[p] == NULL) {
      status = cosrel_fail(error, COSREL_NOMEM, "no memory to measure what a segment costs");
      goto done;
    }
  }
  make_workload(h, profile, models);
  status = cosrel_case_create(profile, &h->workload, &c, error);
  if (status != COSREL_OK) goto done;
  status = run(machine, h, &c, time, stop, error);
  for (uint32_t p = 0; p < profile->n_processors && status == COSREL_OK; p++)
    handover_ns[p] = mean_of_most(h->samples[p], h->n[p]);

done:
  if (c.tables != NULL) cosrel_case_destroy(&c);
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) free(h->samples[p]);
  free(h);
  return status;
}
