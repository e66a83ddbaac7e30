#include "traces/trace_file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "traces/event_stream.h"

int cosrel_trace_event_from_name(const char *name) {
  static const char *const names[] = {"arrival", "decision", "segment", "outcome", "telemetry"};
  static const char *const others[] = {"load", "evict", "fault", "quarantine", "probe", "restore"};
  for (int i = 0; i < COSREL_TRACE_OTHER; i++)
    if (strcmp(names[i], name) == 0) return i;
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (strcmp(others[i], name) == 0) return COSREL_TRACE_OTHER;
  return -1;
}

static const cosrel_time telemetry_period = 100 * COSREL_MS;

struct cosrel_trace_writer {
  cosrel_sink sink;
  cosrel_event_stream out;
  uint64_t n_decisions;
  cosrel_time telemetry_at; /* of the last telemetry event */
  double energy_mj;         /* at that time */
};

static FILE *begin_event(cosrel_trace_writer *w, const char *event, cosrel_time t) {
  FILE *f = cosrel_event_stream_next(&w->out);
  fprintf(f, "{\"event\":\"%s\",\"t_ns\":%" PRId64, event, t);
  return f;
}

static void put_telemetry(cosrel_trace_writer *w, const cosrel_case *c, const cosrel_state *state) {
  cosrel_time span = state->now - w->telemetry_at;
  if (span < telemetry_period) return;
  FILE *f = begin_event(w, "telemetry", state->now);
  cosrel_json_put_number(&w->out.json, ",\"energy_mj\":", state->energy_mj);
  cosrel_json_put_number(&w->out.json,
                         ",\"mean_power_w\":", (state->energy_mj - w->energy_mj) * 1e-3 / cosrel_time_s(span));
  if (c->profile->thermal.n_steps > 0)
    cosrel_json_put_number(&w->out.json, ",\"temperature_c\":", state->temperature_c);
  fputc('}', f);
  w->telemetry_at = state->now;
  w->energy_mj = state->energy_mj;
}

static void on_arrival(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t stream) {
  cosrel_trace_writer *w = self;
  put_telemetry(w, c, state);
  FILE *f = begin_event(w, "arrival", state->now);
  fprintf(f, ",\"stream\":%" PRIu32 ",\"request\":%" PRIu64 "}", stream, state->streams[stream].arrived - 1);
}

static void on_decision(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_candidate *choice) {
  cosrel_trace_writer *w = self;
  static const char *const action[] = {"run", "wait", "drop"};
  put_telemetry(w, c, state);
  FILE *f = begin_event(w, "decision", state->now);
  fprintf(f, ",\"number\":%" PRIu64 ",\"action\":\"%s\"", w->n_decisions++, action[choice->action]);
  if (choice->action != COSREL_WAIT) {
    const cosrel_request *request = cosrel_state_request(c, state, choice->slot);
    fprintf(f, ",\"stream\":%u,\"request\":%" PRIu64, request->stream, request->sequence);
  }
  if (choice->action == COSREL_RUN)
    fprintf(f, ",\"processor\":%u,\"begin\":%u,\"end\":%u,\"point\":%u,\"batch\":%u", choice->processor, choice->begin,
            choice->end, choice->point, choice->batch);
  fputc('}', f);
}

static void on_segment(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment) {
  cosrel_trace_writer *w = self;
  put_telemetry(w, c, state);
  FILE *f = begin_event(w, "segment", segment->ended);
  fprintf(f,
          ",\"stream\":%" PRIu32 ",\"request\":%" PRIu64 ",\"processor\":%" PRIu32
          ",\"begin\":%u,\"end\":%u,\"started_ns\":%" PRId64 ",\"launch_ns\":%" PRId64 ",\"transfer_ns\":%" PRId64,
          segment->stream, segment->sequence, segment->processor, segment->begin, segment->end, segment->started,
          segment->launch, segment->transfer);
  if (c->residency_at != 0) fprintf(f, ",\"load_ns\":%" PRId64, segment->load);
  cosrel_json_put_number(&w->out.json, ",\"expected_ns\":", segment->expected_ns);
  fputc('}', f);
}

static void on_weights(void *self, const cosrel_case *c, const cosrel_state *state,
                       const cosrel_weights_change *change) {
  cosrel_trace_writer *w = self;
  put_telemetry(w, c, state);
  FILE *f = begin_event(w, change->loaded ? "load" : "evict", state->now);
  fprintf(f, ",\"processor\":%" PRIu32 ",\"stream\":%" PRIu32 ",\"bytes\":%" PRIu64, change->processor, change->stream,
          c->streams[change->stream].weight_bytes[change->processor]);
  if (change->loaded)
    fprintf(f, ",\"ahead\":%s,\"ready_ns\":%" PRId64, change->ahead ? "true" : "false", change->ready);
  fputc('}', f);
}

static void on_outcome(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_outcome *outcome) {
  cosrel_trace_writer *w = self;
  put_telemetry(w, c, state);
  FILE *f = begin_event(w, "outcome", outcome->end);
  fprintf(f, ",\"stream\":%" PRIu32 ",\"request\":%" PRIu64 ",\"arrival_ns\":%" PRId64 ",\"dropped\":%s,\"missed\":%s",
          outcome->stream, outcome->sequence, outcome->arrival, outcome->dropped ? "true" : "false",
          outcome->missed ? "true" : "false");
  cosrel_json_put_number(&w->out.json, ",\"ntt\":", outcome->ntt);
  cosrel_json_put_number(&w->out.json, ",\"utility\":", outcome->utility);
  fputs(outcome->failed ? ",\"failed\":true}" : "}", f);
}

static void on_fault(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_fault_event *event) {
  cosrel_trace_writer *w = self;
  static const char *const remedy[] = {"rerun", "restart", "give-up"};
  const cosrel_segment *segment = &event->segment;
  put_telemetry(w, c, state);
  FILE *f = begin_event(w, "fault", segment->ended);
  fprintf(f,
          ",\"stream\":%" PRIu32 ",\"request\":%" PRIu64 ",\"processor\":%" PRIu32
          ",\"begin\":%u,\"end\":%u,\"started_ns\":%" PRId64 ",\"kind\":\"%s\",\"remedy\":\"%s\"}",
          segment->stream, segment->sequence, segment->processor, segment->begin, segment->end, segment->started,
          cosrel_fault_name((cosrel_fault)event->failure.fault), remedy[event->remedy]);
}

static void on_health(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor,
                      cosrel_health health) {
  cosrel_trace_writer *w = self;
  static const char *const name[] = {"quarantine", "probe", "restore"};
  (void)c;
  FILE *f = begin_event(w, name[health], state->now);
  fprintf(f, ",\"processor\":%" PRIu32, processor);
  if (health != COSREL_RESTORED) fprintf(f, ",\"until_ns\":%" PRId64, state->running[processor].finish);
  fputc('}', f);
}

cosrel_status cosrel_trace_begin(const char *path, const cosrel_case *c, const char *policy, uint64_t seed,
                                 cosrel_time horizon, cosrel_trace_writer **out, cosrel_error *error) {
  cosrel_trace_writer *w = calloc(1, sizeof *w);
  *out = NULL;
  if (w == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: no memory for the trace", path);
  cosrel_status status = cosrel_event_stream_begin(&w->out, path, error);
  if (status != COSREL_OK) {
    free(w);
    return status;
  }
  w->sink = (cosrel_sink){.self = w,
                          .arrival = on_arrival,
                          .decision = on_decision,
                          .segment = on_segment,
                          .outcome = on_outcome,
                          .weights = on_weights,
                          .fault = on_fault,
                          .health = on_health};

  FILE *f = w->out.atomic.file;
  cosrel_json_writer *json = &w->out.json;
  fprintf(f, "{\"format\":\"%s\",\"version\":%d", COSREL_TRACE_FORMAT, COSREL_TRACE_VERSION);
  cosrel_json_put_text(json, ",\"policy\":", policy);
  cosrel_json_put_text(json, ",\"profile\":", c->profile->name);
  cosrel_json_put_text(json, ",\"workload\":", c->workload->name);
  fprintf(f, ",\"seed\":%" PRIu64 ",\"horizon_ns\":%" PRId64 ",\n\"processors\":[", seed, horizon);
  for (uint32_t p = 0; p < c->n_processors; p++)
    cosrel_json_put_text(json, p > 0 ? "," : "", c->profile->processors[p].name);
  fputs("],\n\"streams\":[", f);
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream_case *stream = &c->streams[s];
    cosrel_json_put_text(json, s > 0 ? ",\n{\"name\":" : "\n{\"name\":", c->workload->streams[s].name);
    cosrel_json_put_text(json, ",\"model\":", c->workload->streams[s].model);
    fprintf(f, ",\"units\":%" PRIu32 ",\"arrivals\":\"%s\",\"deadline_ns\":%" PRId64, stream->n_units,
            cosrel_arrivals_name(stream->arrivals), stream->deadline);
    cosrel_json_put_number(&w->out.json, ",\"rate_hz\":", stream->rate_hz);
    cosrel_json_put_number(&w->out.json, ",\"isolated_ns\":", stream->isolated_ns);
    fputc('}', f);
  }
  fputs("],\n\"events\":[", f);
  *out = w;
  return COSREL_OK;
}

cosrel_sink *cosrel_trace_sink(cosrel_trace_writer *writer) { return &writer->sink; }

cosrel_status cosrel_trace_end(cosrel_trace_writer *writer, cosrel_error *error) {
  cosrel_status status = cosrel_event_stream_end(&writer->out, error);
  free(writer);
  return status;
}

void cosrel_trace_abort(cosrel_trace_writer *writer) {
  if (writer == NULL) return;
  cosrel_atomic_abort(&writer->out.atomic);
  free(writer);
}
