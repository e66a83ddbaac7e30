#include "traces/recording.h"

#include <stdlib.h>
#include <string.h>

#include "sched/check.h"
#include "traces/file.h"
#include "traces/json.h"
#include "traces/trace_file.h"

#define TIME_MAX ((uint64_t)1 << 53) /* ns, about 100 days */

static const cosrel_json_need required = COSREL_JSON_REQUIRED;

/* Events one after another; calls of the two passes differ only in `count`: whether times are counted or kept. */
static void read_events(const cosrel_json_at *events, cosrel_recording *out, bool count) {
  static const char *const keys[] = {"event", "t_ns", "stream", "request", NULL};
  size_t n = cosrel_json_size(events, COSREL_JSON_VALUES_MAX);
  uint64_t last = 0;
  for (size_t i = 0; i < n && events->reader->status == COSREL_OK; i++) {
    cosrel_json_at event = cosrel_json_item_object(events, i);
    int kind = -1;
    uint64_t t = 0, stream = 0;
    cosrel_json_word(&event, "event", required, cosrel_trace_event_from_name, COSREL_TRACE_EVENTS, &kind);
    cosrel_json_count(&event, "t_ns", required, TIME_MAX, &t);
    if (t < last) cosrel_json_fail(&event, COSREL_FORMAT, "t_ns", "expected events in order of time");
    last = t;
    if (kind != COSREL_TRACE_ARRIVAL) continue;
    cosrel_json_keys(&event, keys);
    cosrel_json_count(&event, "stream", required, out->n_streams - 1, &stream);
    if (events->reader->status != COSREL_OK) return;
    cosrel_recorded_stream *to = &out->streams[stream];
    if (!count) to->times[to->n_times] = (cosrel_time)t;
    to->n_times++;
  }
}

static void read_streams(const cosrel_json_at *root, cosrel_recording *out) {
  static const char *const keys[] = {"name",        "model",   "units",       "arrivals",
                                     "deadline_ns", "rate_hz", "isolated_ns", NULL};
  cosrel_json_at streams = cosrel_json_array(root, "streams", required);
  size_t n = cosrel_json_size(&streams, COSREL_STREAMS_MAX);
  if (n == 0) cosrel_json_fail(&streams, COSREL_FORMAT, NULL, "expected at least one stream");
  for (size_t s = 0; s < n && root->reader->status == COSREL_OK; s++) {
    cosrel_json_at stream = cosrel_json_item_object(&streams, s);
    cosrel_recorded_stream *to = &out->streams[out->n_streams++];
    cosrel_json_keys(&stream, keys);
    cosrel_json_text(&stream, "name", required, to->name, sizeof to->name);
    for (size_t other = 0; other < s; other++)
      if (strcmp(to->name, out->streams[other].name) == 0)
        cosrel_json_fail(&stream, COSREL_FORMAT, "name", "expected a name used once, got '%.40s' again", to->name);
  }
}

cosrel_status cosrel_recording_parse(const char *text, size_t size, const char *where, cosrel_recording *out,
                                     cosrel_error *error) {
  static const char *const keys[] = {"format",     "version",    "policy",  "profile", "workload", "seed",
                                     "horizon_ns", "processors", "streams", "events",  NULL};
  memset(out, 0, sizeof *out);
  if (size > COSREL_TRACE_FILE_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "%s: expected at most %zu bytes", where, COSREL_TRACE_FILE_MAX);
  cosrel_json_reader reader;
  uint64_t horizon = 0;
  cosrel_json_at root = cosrel_json_open(&reader, text, size, where, COSREL_TRACE_FORMAT, COSREL_TRACE_VERSION, error);
  cosrel_json_keys(&root, keys);
  cosrel_json_count(&root, "horizon_ns", required, TIME_MAX, &horizon);
  if (horizon == 0) cosrel_json_fail(&root, COSREL_FORMAT, "horizon_ns", "expected a time > 0");
  out->horizon = (cosrel_time)horizon;
  read_streams(&root, out);
  cosrel_json_at events = cosrel_json_array(&root, "events", required);
  read_events(&events, out, true);
  for (uint32_t s = 0; s < out->n_streams && reader.status == COSREL_OK; s++) {
    cosrel_recorded_stream *stream = &out->streams[s];
    if (stream->n_times == 0) continue;
    stream->times = calloc(stream->n_times, sizeof *stream->times);
    if (stream->times == NULL) cosrel_json_fail(&events, COSREL_NOMEM, NULL, "%s", cosrel_status_text(COSREL_NOMEM));
    stream->n_times = 0;
  }
  read_events(&events, out, false);
  cosrel_status status = reader.status;
  cosrel_json_close(&reader);
  if (status != COSREL_OK) cosrel_recording_clear(out);
  return status;
}

cosrel_status cosrel_recording_read(const char *path, cosrel_recording *out, cosrel_error *error) {
  char *text;
  size_t size;
  memset(out, 0, sizeof *out);
  COSREL_TRY(cosrel_file_read(path, COSREL_TRACE_FILE_MAX, &text, &size, error));
  cosrel_status status = cosrel_recording_parse(text, size, path, out, error);
  free(text);
  return status;
}

void cosrel_recording_clear(cosrel_recording *recording) {
  for (uint32_t s = 0; s < recording->n_streams; s++) free(recording->streams[s].times);
  memset(recording, 0, sizeof *recording);
}

static const cosrel_recorded_stream *find(const cosrel_recording *recording, const char *name) {
  for (uint32_t s = 0; s < recording->n_streams; s++)
    if (strcmp(recording->streams[s].name, name) == 0) return &recording->streams[s];
  return NULL;
}

cosrel_status cosrel_recording_apply(const cosrel_recording *recording, cosrel_workload *workload, const char *where,
                                     cosrel_error *error) {
  for (uint32_t s = 0; s < workload->n_streams; s++) {
    cosrel_arrivals *arrivals = &workload->streams[s].arrivals;
    const cosrel_recorded_stream *from = find(recording, workload->streams[s].name);
    if (from == NULL || from->n_times == 0)
      return cosrel_fail(error, COSREL_INVALID, "%s: no arrivals of stream '%s', which workload '%s' has", where,
                         workload->streams[s].name, workload->name);
    cosrel_time *times = malloc(from->n_times * sizeof *times);
    if (times == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: %s", where, cosrel_status_text(COSREL_NOMEM));
    memcpy(times, from->times, from->n_times * sizeof *times);
    free(arrivals->times);
    arrivals->kind = COSREL_ARRIVALS_RECORDED;
    arrivals->times = times;
    arrivals->n_times = from->n_times;
    arrivals->rate_hz = from->n_times / cosrel_time_s(recording->horizon);
  }
  return cosrel_workload_check(workload, where, error);
}
