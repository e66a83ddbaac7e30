/* Trace Event Format: "X" slices, "b"/"e" spans, "C" counters, "M" names; times in microseconds. */
#include "traces/perfetto.h"

#include <inttypes.h>
#include <stdlib.h>

#include "sched/residency.h"
#include "traces/event_stream.h"

enum { PROCESSORS = 1, STREAMS = 2, DEVICE = 3 }; /* pids */

struct cosrel_perfetto {
  cosrel_sink sink;
  cosrel_event_stream out;
  cosrel_time power_since; /* power over [power_since, now) follows from the energy at both ends */
  double energy_mj;
  cosrel_time ill_since[COSREL_PROCESSORS_MAX]; /* in quarantine since the last failure or probe; NEVER: it is not */
  const cosrel_point *points[COSREL_PROCESSORS_MAX]; /* last written, [n_processors] */
};

/* Nanoseconds as microseconds without rounding. */
static void put_us(FILE *f, const char *key, cosrel_time t) {
  fprintf(f, ",\"%s\":%" PRId64 ".%03" PRId64, key, t / 1000, t % 1000);
}

static void put_name(cosrel_perfetto *p, const char *what, int pid, uint32_t tid, const char *name) {
  FILE *f = cosrel_event_stream_next(&p->out);
  fprintf(f, "{\"ph\":\"M\",\"name\":\"%s\",\"pid\":%d,\"tid\":%" PRIu32, what, pid, tid);
  cosrel_json_put_text(&p->out.json, ",\"args\":{\"name\":", name);
  fputs("}}", f);
}

/* A counter's name is "<what>" or "<what> <whose>"; its unit is the series. */
static void put_counter(cosrel_perfetto *p, int pid, const char *what, const char *whose, cosrel_time t,
                        const char *unit, double value) {
  FILE *f = cosrel_event_stream_next(&p->out);
  char name[COSREL_NAME_MAX + 32];
  snprintf(name, sizeof name, "%s%s%s", what, whose[0] != '\0' ? " " : "", whose);
  fprintf(f, "{\"ph\":\"C\",\"pid\":%d", pid);
  cosrel_json_put_text(&p->out.json, ",\"name\":", name);
  put_us(f, "ts", t);
  fprintf(f, ",\"args\":{\"%s\":%.6g}}", unit, value);
}

static void put_slice(cosrel_perfetto *p, const char *name, uint32_t processor, cosrel_time start, cosrel_time length) {
  if (length <= 0) return;
  FILE *f = cosrel_event_stream_next(&p->out);
  fprintf(f, "{\"ph\":\"X\",\"name\":\"%s\",\"pid\":%d,\"tid\":%" PRIu32, name, PROCESSORS, processor + 1);
  put_us(f, "ts", start);
  put_us(f, "dur", length);
  fputc('}', f);
}

static void put_power(cosrel_perfetto *p, const cosrel_state *state) {
  if (state->now <= p->power_since) return;
  double watts = (state->energy_mj - p->energy_mj) * 1e-3 / cosrel_time_s(state->now - p->power_since);
  put_counter(p, DEVICE, "power", "", p->power_since, "W", watts);
  put_counter(p, DEVICE, "energy", "", state->now, "mJ", state->energy_mj);
  p->power_since = state->now;
  p->energy_mj = state->energy_mj;
}

static void put_frequency(cosrel_perfetto *p, const cosrel_case *c, uint32_t q, cosrel_time t,
                          const cosrel_point *point) {
  if (point == p->points[q]) return;
  put_counter(p, PROCESSORS, "frequency", c->profile->processors[q].name, t, "MHz", point->frequency_mhz);
  p->points[q] = point;
}

static void put_queue(cosrel_perfetto *p, const cosrel_case *c, const cosrel_state *state, uint32_t stream) {
  put_counter(p, STREAMS, "outstanding", c->workload->streams[stream].name, state->now, "requests",
              state->streams[stream].n_live);
}

static void on_arrival(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t stream) {
  put_power(self, state);
  put_queue(self, c, state, stream);
}

static void on_decision(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_candidate *choice) {
  put_power(self, state);
  if (choice->action == COSREL_RUN)
    put_frequency(self, c, choice->processor, state->now,
                  cosrel_state_point(c, state, choice->processor, choice->point));
}

static void on_segment(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment) {
  cosrel_perfetto *p = self;
  const cosrel_stream *stream = &c->workload->streams[segment->stream];
  char name[2 * COSREL_NAME_MAX + 64];
  put_power(p, state);
  snprintf(name, sizeof name, "%s[%s] units %u..%u", stream->model, stream->name, segment->begin, segment->end - 1u);

  FILE *f = cosrel_event_stream_next(&p->out);
  fprintf(f, "{\"ph\":\"X\",\"pid\":%d,\"tid\":%" PRIu32, PROCESSORS, segment->processor + 1);
  cosrel_json_put_text(&p->out.json, ",\"name\":", name);
  put_us(f, "ts", segment->started);
  put_us(f, "dur", segment->ended - segment->started);
  fprintf(f, ",\"args\":{\"request\":%" PRIu64 ",\"first_unit\":%u,\"units\":%u,\"expected_us\":%.3f}}",
          segment->sequence, segment->begin, segment->end - (unsigned)segment->begin, segment->expected_ns * 1e-3);

  const char *const names[] = {"launch", "load", "transfer"};
  const cosrel_time lengths[] = {segment->launch, segment->load, segment->transfer};
  cosrel_time at = segment->started;
  for (int i = 0; i < 3; at += lengths[i++]) put_slice(p, names[i], segment->processor, at, lengths[i]);
  put_slice(p, "compute", segment->processor, at, segment->ended - at);
}

/* Loads beside the work have a track of their own, for as long as they are expected to take. */
static void on_weights(void *self, const cosrel_case *c, const cosrel_state *state,
                       const cosrel_weights_change *change) {
  cosrel_perfetto *p = self;
  uint32_t q = change->processor;
  double bytes = (double)cosrel_state_residency(c, state, q)->bytes;
  put_counter(p, PROCESSORS, "weights", c->profile->processors[q].name, state->now, "MiB", bytes / 1048576);
  if (!change->loaded || !change->ahead || change->ready <= state->now) return;
  char name[COSREL_NAME_MAX + 16];
  snprintf(name, sizeof name, "prefetch %s", c->workload->streams[change->stream].model);
  FILE *f = cosrel_event_stream_next(&p->out);
  fprintf(f, "{\"ph\":\"X\",\"pid\":%d,\"tid\":%" PRIu32, PROCESSORS, c->n_processors + q + 1);
  cosrel_json_put_text(&p->out.json, ",\"name\":", name);
  put_us(f, "ts", state->now);
  put_us(f, "dur", change->ready - state->now);
  fputc('}', f);
}

static void on_outcome(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_outcome *outcome) {
  cosrel_perfetto *p = self;
  static const char *const phase[2] = {"b", "e"};
  const cosrel_time at[2] = {outcome->arrival, outcome->end};
  put_power(p, state);
  put_queue(p, c, state, outcome->stream);
  for (int i = 0; i < 2; i++) {
    FILE *f = cosrel_event_stream_next(&p->out);
    fprintf(f,
            "{\"ph\":\"%s\",\"cat\":\"request\",\"name\":\"%s\",\"id\":\"%" PRIu32 ".%" PRIu64
            "\",\"pid\":%d,\"tid\":%" PRIu32,
            phase[i],
            outcome->failed    ? "failed"
            : outcome->dropped ? "dropped"
            : outcome->missed  ? "late"
                               : "request",
            outcome->stream, outcome->sequence, STREAMS, outcome->stream + 1);
    put_us(f, "ts", at[i]);
    if (i == 0)
      fprintf(f, ",\"args\":{\"request\":%" PRIu64 ",\"ntt\":%.6g,\"utility\":%.6g}", outcome->sequence, outcome->ntt,
              outcome->utility);
    fputc('}', f);
  }
}

static void on_fault(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_fault_event *event) {
  cosrel_perfetto *p = self;
  const cosrel_segment *segment = &event->segment;
  const cosrel_stream *stream = &c->workload->streams[segment->stream];
  char name[2 * COSREL_NAME_MAX + 64];
  put_power(p, state);
  snprintf(name, sizeof name, "%s: %s[%s] units %u..%u", cosrel_fault_name((cosrel_fault)event->failure.fault),
           stream->model, stream->name, segment->begin, segment->end - 1u);
  FILE *f = cosrel_event_stream_next(&p->out);
  fprintf(f, "{\"ph\":\"X\",\"cat\":\"fault\",\"pid\":%d,\"tid\":%" PRIu32, PROCESSORS, segment->processor + 1);
  cosrel_json_put_text(&p->out.json, ",\"name\":", name);
  put_us(f, "ts", segment->started);
  put_us(f, "dur", segment->ended - segment->started);
  fprintf(f, ",\"args\":{\"request\":%" PRIu64 "}}", segment->sequence);
}

/* A slice for each time from a failure or a probe to the next probe, or to the end of it. */
static void end_quarantine(cosrel_perfetto *p, uint32_t q, cosrel_time now) {
  if (p->ill_since[q] != COSREL_TIME_NEVER) put_slice(p, "quarantine", q, p->ill_since[q], now - p->ill_since[q]);
  p->ill_since[q] = COSREL_TIME_NEVER;
}
static void on_health(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor,
                      cosrel_health health) {
  cosrel_perfetto *p = self;
  (void)c;
  put_power(p, state);
  end_quarantine(p, processor, state->now);
  if (health != COSREL_RESTORED) p->ill_since[processor] = state->now;
}

/* The temperature has a clock of its own: state->now is behind when nothing changed. */
static void on_thermal(void *self, const cosrel_case *c, const cosrel_state *state, bool changed) {
  put_counter(self, DEVICE, "temperature", "", state->temperature_at, "C", state->temperature_c);
  for (uint32_t q = 0; changed && q < c->n_processors; q++)
    put_frequency(self, c, q, state->temperature_at, cosrel_state_point_now(c, state, q));
}

cosrel_status cosrel_perfetto_begin(const char *path, const cosrel_case *c, cosrel_perfetto **out,
                                    cosrel_error *error) {
  cosrel_perfetto *p = calloc(1, sizeof *p);
  *out = NULL;
  if (p == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: no memory for the timeline", path);
  cosrel_status status = cosrel_event_stream_begin(&p->out, path, error);
  if (status != COSREL_OK) {
    free(p);
    return status;
  }
  p->sink = (cosrel_sink){.self = p,
                          .arrival = on_arrival,
                          .decision = on_decision,
                          .segment = on_segment,
                          .outcome = on_outcome,
                          .thermal = on_thermal,
                          .weights = on_weights,
                          .fault = on_fault,
                          .health = on_health};
  for (uint32_t q = 0; q < COSREL_PROCESSORS_MAX; q++) p->ill_since[q] = COSREL_TIME_NEVER;

  fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", p->out.atomic.file);
  put_name(p, "process_name", PROCESSORS, 0, "processors");
  put_name(p, "process_name", STREAMS, 0, "streams");
  put_name(p, "process_name", DEVICE, 0, "device");
  for (uint32_t q = 0; q < c->n_processors; q++) {
    const cosrel_processor *processor = &c->profile->processors[q];
    put_name(p, "thread_name", PROCESSORS, q + 1, processor->name);
    put_frequency(p, c, q, 0, &processor->points[0]);
    if (c->budget[q] == 0) continue;
    char track[32];
    snprintf(track, sizeof track, "%s weights", processor->name);
    put_name(p, "thread_name", PROCESSORS, c->n_processors + q + 1, track);
  }
  for (uint32_t s = 0; s < c->n_streams; s++) put_name(p, "thread_name", STREAMS, s + 1, c->workload->streams[s].name);
  *out = p;
  return COSREL_OK;
}

cosrel_sink *cosrel_perfetto_sink(cosrel_perfetto *perfetto) { return &perfetto->sink; }

cosrel_status cosrel_perfetto_end(cosrel_perfetto *perfetto, cosrel_error *error) {
  for (uint32_t q = 0; q < COSREL_PROCESSORS_MAX; q++) end_quarantine(perfetto, q, perfetto->power_since);
  cosrel_status status = cosrel_event_stream_end(&perfetto->out, error);
  free(perfetto);
  return status;
}

void cosrel_perfetto_abort(cosrel_perfetto *perfetto) {
  if (perfetto == NULL) return;
  cosrel_atomic_abort(&perfetto->out.atomic);
  free(perfetto);
}
