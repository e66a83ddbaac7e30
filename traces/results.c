#include "traces/results.h"

#include <stdlib.h>
#include <string.h>

#include "sched/check.h"
#include "traces/file.h"
#include "traces/json.h"
#include "traces/recording.h"
#include "traces/trace_file.h"

#define TIME_MAX ((uint64_t)1 << 53) /* ns, about 100 days */

static const cosrel_json_need required = COSREL_JSON_REQUIRED;

static cosrel_time read_time(const cosrel_json_at *at, const char *key, uint64_t most) {
  uint64_t t = 0;
  cosrel_json_count(at, key, required, most, &t);
  return (cosrel_time)t;
}

static void read_outcome(const cosrel_json_at *event, cosrel_time end, cosrel_results *out) {
  cosrel_recorded_outcome *o = &out->outcomes[out->n_outcomes++];
  uint64_t stream = 0;
  cosrel_json_count(event, "stream", required, out->n_streams - 1, &stream);
  cosrel_json_flag(event, "dropped", required, &o->dropped);
  cosrel_json_number(event, "ntt", required, &o->ntt);
  cosrel_json_number(event, "utility", required, &o->utility);
  o->stream = (uint32_t)stream;
  o->arrival = read_time(event, "arrival_ns", (uint64_t)end);
  o->end = end;
}

static void read_segment(const cosrel_json_at *event, cosrel_time end, cosrel_results *out) {
  cosrel_recorded_segment *s = &out->segments[out->n_segments++];
  uint64_t processor = 0;
  cosrel_json_count(event, "processor", required, out->n_processors - 1, &processor);
  s->processor = (uint32_t)processor;
  s->started = read_time(event, "started_ns", (uint64_t)end);
  s->ended = end;
}

static void read_events(const cosrel_json_at *root, cosrel_results *out) {
  cosrel_json_at events = cosrel_json_array(root, "events", required);
  size_t n = cosrel_json_size(&events, COSREL_JSON_VALUES_MAX);
  if (n == 0) return;
  out->outcomes = calloc(n, sizeof *out->outcomes);
  out->segments = calloc(n, sizeof *out->segments);
  if (out->outcomes == NULL || out->segments == NULL)
    cosrel_json_fail(&events, COSREL_NOMEM, NULL, "%s", cosrel_status_text(COSREL_NOMEM));
  for (size_t i = 0; i < n && root->reader->status == COSREL_OK; i++) {
    cosrel_json_at event = cosrel_json_item_object(&events, i);
    int kind = -1;
    cosrel_json_word(&event, "event", required, cosrel_trace_event_from_name, COSREL_TRACE_EVENTS, &kind);
    cosrel_time t = read_time(&event, "t_ns", TIME_MAX);
    if (root->reader->status != COSREL_OK) return;
    if (kind == COSREL_TRACE_OUTCOME) read_outcome(&event, t, out);
    if (kind == COSREL_TRACE_SEGMENT) read_segment(&event, t, out);
    if (kind == COSREL_TRACE_TELEMETRY) {
      cosrel_json_number(&event, "energy_mj", required, &out->energy_mj);
      out->energy_at = t;
    }
  }
}

/* Names end up in one-line messages. */
static void expect_name(const cosrel_json_at *at, const char *key, const char *text, size_t size) {
  if (cosrel_text_is_good(text, size)) return;
  cosrel_json_fail(at, COSREL_FORMAT, key, "expected printable text");
}

static void read_header(const cosrel_json_at *root, cosrel_results *out) {
  cosrel_json_text(root, "policy", required, out->policy, sizeof out->policy);
  cosrel_json_text(root, "workload", required, out->workload, sizeof out->workload);
  expect_name(root, "policy", out->policy, sizeof out->policy);
  expect_name(root, "workload", out->workload, sizeof out->workload);
  cosrel_json_count(root, "seed", required, UINT64_MAX, &out->seed);
  out->horizon = read_time(root, "horizon_ns", TIME_MAX);
  if (out->horizon == 0) cosrel_json_fail(root, COSREL_FORMAT, "horizon_ns", "expected a time > 0");
  cosrel_json_at processors = cosrel_json_array(root, "processors", required);
  size_t n = cosrel_json_size(&processors, COSREL_PROCESSORS_MAX);
  if (n == 0) cosrel_json_fail(&processors, COSREL_FORMAT, NULL, "expected at least one processor");
  for (size_t p = 0; p < n; p++) {
    const char *name = cosrel_json_item_text(&processors, p, COSREL_NAME_MAX);
    if (name == NULL) return;
    memcpy(out->processors[out->n_processors], name, strlen(name) + 1);
    expect_name(&processors, NULL, out->processors[out->n_processors++], COSREL_NAME_MAX);
  }
  cosrel_json_at streams = cosrel_json_array(root, "streams", required);
  n = cosrel_json_size(&streams, COSREL_STREAMS_MAX);
  if (n == 0) cosrel_json_fail(&streams, COSREL_FORMAT, NULL, "expected at least one stream");
  for (size_t s = 0; s < n && root->reader->status == COSREL_OK; s++) {
    cosrel_json_at stream = cosrel_json_item_object(&streams, s);
    int kind = 0;
    cosrel_json_text(&stream, "name", required, out->streams[s].name, sizeof out->streams[s].name);
    expect_name(&stream, "name", out->streams[s].name, sizeof out->streams[s].name);
    cosrel_json_word(&stream, "arrivals", required, cosrel_arrivals_from_name,
                     "closed periodic poisson bursty recorded", &kind);
    cosrel_json_number(&stream, "rate_hz", required, &out->streams[s].rate_hz);
    out->streams[s].arrivals = (cosrel_arrivals_kind)kind;
    out->n_streams++;
  }
}

cosrel_status cosrel_results_parse(const char *text, size_t size, const char *where, cosrel_results *out,
                                   cosrel_error *error) {
  memset(out, 0, sizeof *out);
  out->energy_mj = -1;
  if (size > COSREL_TRACE_FILE_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "%s: expected at most %zu bytes", where, COSREL_TRACE_FILE_MAX);
  cosrel_json_reader reader;
  cosrel_json_at root = cosrel_json_open(&reader, text, size, where, COSREL_TRACE_FORMAT, COSREL_TRACE_VERSION, error);
  read_header(&root, out);
  if (reader.status == COSREL_OK) read_events(&root, out);
  cosrel_status status = reader.status;
  cosrel_json_close(&reader);
  if (status != COSREL_OK) cosrel_results_clear(out);
  return status;
}

cosrel_status cosrel_results_read(const char *path, cosrel_results *out, cosrel_error *error) {
  char *text;
  size_t size;
  memset(out, 0, sizeof *out);
  COSREL_TRY(cosrel_file_read(path, COSREL_TRACE_FILE_MAX, &text, &size, error));
  cosrel_status status = cosrel_results_parse(text, size, path, out, error);
  free(text);
  return status;
}

void cosrel_results_clear(cosrel_results *results) {
  free(results->outcomes);
  free(results->segments);
  memset(results, 0, sizeof *results);
}
