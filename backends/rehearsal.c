#include "backends/rehearsal.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/runtime/runtime.h"
#include "backends/sim/sim.h"
#include "sched/check.h"
#include "sched/policies/pinned.h"
#include "sched/rng.h"

enum { SAMPLES_MAX = 1 << 15, PIECES = 8 };

typedef struct samples {
  uint32_t n;
  double *values; /* [SAMPLES_MAX] owned */
} samples;

/* What the requests of one stream took on its processor, ns without moving tensors. */
typedef struct role {
  samples whole, cut; /* per request: as one segment, and as PIECES segments in all */
  double sum;         /* of the request under way */
  uint32_t n_pieces;  /* of it so far */
} role;

/* The workload, and what the segments of a run of it took. */
typedef struct stage {
  cosrel_workload workload;
  cosrel_stream_io io[COSREL_STREAMS_MAX];
  cosrel_pinned pinned;
  cosrel_sink sink;
  role roles[COSREL_STREAMS_MAX];
  samples handovers[COSREL_PROCESSORS_MAX]; /* of segments: neither in the backend nor moving tensors */
} stage;

static void samples_add(samples *s, double value) {
  if (s->n < SAMPLES_MAX) s->values[s->n++] = value;
}

/* The mean without the longest hundredth; sorts the samples. 0 when there are none. Not the typical one: some
 * handovers wait long for a core, and that counts. */
static double mean_of_most(samples *s) {
  gsl_sort(s->values, 1, s->n);
  return s->n > 0 ? gsl_stats_mean(s->values, 1, s->n - s->n / 100) : 0;
}

/* ---- Running it ---- */

static void on_segment(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment) {
  (void)state;
  stage *stage = self;
  uint32_t s = segment->stream;
  role *role = &stage->roles[s];
  samples_add(&stage->handovers[segment->processor], (double)segment->launch);
  if (stage->pinned.home[s][0] != segment->processor) return;
  if (segment->begin == 0) role->sum = role->n_pieces = 0;
  role->sum += (double)(segment->ended - segment->started - segment->transfer - segment->load);
  role->n_pieces++;
  if (segment->end != c->streams[s].n_units) return;
  if (role->n_pieces == 1 && segment->begin == 0) samples_add(&role->whole, role->sum);
  if (role->n_pieces == PIECES) samples_add(&role->cut, role->sum);
}

/* First unit after the piece that unit u is in. */
static uint32_t piece_end(uint32_t u, uint32_t n_units) {
  uint32_t k = 1;
  while (k * n_units / PIECES <= u) k++;
  return k * n_units / PIECES;
}

/* Any stream whose processor is idle, so that a request's pieces have other requests between them. Requests of odd
 * number are cut, where the model has units enough. */
static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  const stage *stage = self;
  uint32_t first = cosrel_rng_below(cosrel_rng_key(1, state->n_segments), c->n_streams);
  for (uint32_t i = 0; i < c->n_streams; i++) {
    uint32_t s = (first + i) % c->n_streams, n = c->streams[s].n_units;
    if (state->streams[s].head == COSREL_NONE) continue;
    cosrel_candidate run = cosrel_pinned_place(&stage->pinned, c, state, s);
    if (!cosrel_processor_idle(state, run.processor)) continue;
    if (cosrel_state_request(c, state, run.slot)->sequence % 2 == 1 && n >= PIECES) {
      uint32_t end = piece_end(run.begin, n);
      if (end < run.end) run.end = (uint16_t)end;
    }
    return run;
  }
  return (cosrel_candidate){.action = COSREL_WAIT};
}

static void reset(void *self) { (void)self; }
static const cosrel_policy_ops rehearsing = {
    .struct_size = sizeof(cosrel_policy_ops), .name = "rehearsing", .reset = reset, .decide = decide};

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
    stream->precisions = 1u << COSREL_FP32 | 1u << COSREL_FP16; /* as a stream by default */
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
  for (uint32_t s = 0; s < stage->workload.n_streams; s++) {
    good &= (stage->roles[s].whole.values = malloc(SAMPLES_MAX * sizeof(double))) != NULL;
    good &= (stage->roles[s].cut.values = malloc(SAMPLES_MAX * sizeof(double))) != NULL;
  }
  return good ? COSREL_OK : COSREL_NOMEM;
}

static void stage_destroy(stage *stage) {
  if (stage == NULL) return;
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) free(stage->handovers[p].values);
  for (uint32_t s = 0; s < COSREL_STREAMS_MAX; s++) {
    free(stage->roles[s].whole.values);
    free(stage->roles[s].cut.values);
  }
  free(stage);
}

static cosrel_status play(stage *stage, const cosrel_case *c, cosrel_driver driver, cosrel_time time,
                          cosrel_error *error) {
  cosrel_engine engine = {0};
  cosrel_status status = cosrel_engine_create(c, driver, &engine, error);
  if (status == COSREL_OK) {
    engine.sinks = &stage->sink;
    status = cosrel_engine_run(&engine, &(cosrel_policy){&rehearsing, stage}, 1, time, error);
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

/* ---- What came of it ---- */

/* Forgets the run. */
static void take_whole(stage *stage, double whole[COSREL_STREAMS_MAX]) {
  for (uint32_t s = 0; s < stage->workload.n_streams; s++) {
    role *role = &stage->roles[s];
    whole[s] = mean_of_most(&role->whole);
    role->whole.n = role->cut.n = 0;
  }
}

/* whole = units + launch and cut = units + PIECES * launch, so launch = (cut - whole) / (PIECES - 1): the median over
 * p's streams, but no less than handing segments over takes, should there be too few requests to tell. */
static double launch_of(stage *stage, uint32_t p, uint32_t n_processors) {
  double launches[COSREL_STREAMS_MAX];
  uint32_t n = 0;
  for (uint32_t s = p; s < stage->workload.n_streams; s += n_processors) {
    role *role = &stage->roles[s];
    if (role->whole.n > 0 && role->cut.n > 0)
      launches[n++] = (mean_of_most(&role->cut) - mean_of_most(&role->whole)) / (PIECES - 1);
  }
  gsl_sort(launches, 1, n);
  return fmax(n > 0 ? gsl_stats_median_from_sorted_data(launches, 1, n) : 0, mean_of_most(&stage->handovers[p]));
}

cosrel_status cosrel_rehearse(const cosrel_machine *machine, const cosrel_profile *profile,
                              const cosrel_profiled_model *models, cosrel_time time, bool (*stop)(void),
                              cosrel_rehearsal *out, cosrel_error *error) {
  uint32_t n_processors = profile->n_processors;
  cosrel_case c = {0};
  stage *stage = NULL;
  double real[COSREL_STREAMS_MAX], simulated[COSREL_STREAMS_MAX];
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) {
    out->launch_ns[p] = profile->processors[p].launch_ns;
    for (uint32_t m = 0; m < COSREL_MODELS_MAX; m++) out->slower[p][m] = 1;
  }
  cosrel_status status = stage_create(profile, models, &stage);
  if (status != COSREL_OK) {
    status = cosrel_fail(error, status, "no memory to measure what a segment costs");
    goto done;
  }
  status = cosrel_case_create(profile, &stage->workload, &c, error);
  if (status == COSREL_OK) status = play_for_real(machine, stage, &c, time, stop, error);
  if (status != COSREL_OK) goto done;
  for (uint32_t p = 0; p < n_processors; p++)
    out->launch_ns[p] = fmax(launch_of(stage, p, n_processors), c.launch_ns[p]);
  take_whole(stage, real);

  status = play(stage, &c, cosrel_sim_driver(&(cosrel_sim){.noise = false}), time, error);
  take_whole(stage, simulated);
  for (uint32_t s = 0; s < c.n_streams && status == COSREL_OK; s++) {
    uint32_t p = s % n_processors;
    double units = real[s] - out->launch_ns[p], expected = simulated[s] - c.launch_ns[p];
    if (real[s] > 0 && units > 0 && expected > 0) out->slower[p][s / n_processors] = units / expected;
  }

done:
  if (c.tables != NULL) cosrel_case_destroy(&c);
  stage_destroy(stage);
  return status;
}
