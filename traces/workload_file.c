#include "traces/workload_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/check.h"
#include "traces/atomic.h"
#include "traces/file.h"
#include "traces/json.h"

#define FORMAT_NAME "cosrel-workload"
#define FORMAT_VERSION 1

static const cosrel_json_need required = COSREL_JSON_REQUIRED, optional = COSREL_JSON_OPTIONAL;

static const cosrel_objective default_objective = {1.0, 1.0, 0.1};
static const cosrel_arrivals default_arrivals = {.phase = -1.0, .burst_ratio = 3.0, .burst_share = 0.2, .burst_s = 0.5};
static const cosrel_stream default_stream = {.precisions = 1u << COSREL_FP32 | 1u << COSREL_FP16,
                                             .priority = 1.0,
                                             .queue_limit = 4,
                                             .drop = COSREL_DROP_OLDEST,
                                             .drop_late = true};

/* Milliseconds to a time. What does not fit becomes the largest time, to which cosrel_workload_check objects. */
static cosrel_time time_of_ms(double ms) {
  double ns = ms * 1e6;
  return ns >= 0x1p62 ? INT64_MAX : ns <= -0x1p62 ? INT64_MIN : (cosrel_time)llround(ns);
}

/* A division, because it rounds once: 33 ms stay 33 and do not become 32.999999999999996. */
static double ms_of_time(cosrel_time time) { return (double)time / 1e6; }

static void read_times(const cosrel_json_at *at, cosrel_arrivals *out) {
  cosrel_json_at times = cosrel_json_array(at, "times_ms", optional);
  size_t n = cosrel_json_size(&times, COSREL_WORKLOAD_FILE_MAX);
  if (n == 0) return;
  out->times = calloc(n, sizeof *out->times);
  if (out->times == NULL) {
    cosrel_json_fail(&times, COSREL_NOMEM, NULL, "%s", cosrel_status_text(COSREL_NOMEM));
    return;
  }
  out->n_times = (uint32_t)n;
  for (size_t i = 0; i < n; i++) out->times[i] = time_of_ms(cosrel_json_item_number(&times, i));
}

static void read_arrivals(const cosrel_json_at *stream, cosrel_arrivals *out) {
#define X(name, text) " " text
  static const char words[] = COSREL_ARRIVALS_MAP(X);
#undef X
  static const char *const keys[] = {"kind",        "rate_hz", "jitter",   "phase", "burst_ratio",
                                     "burst_share", "burst_s", "times_ms", NULL};
  int kind = 0;
  cosrel_json_at at = cosrel_json_object(stream, "arrivals", required);
  *out = default_arrivals;
  cosrel_json_keys(&at, keys);
  cosrel_json_word(&at, "kind", required, cosrel_arrivals_from_name, words + 1, &kind);
  out->kind = (cosrel_arrivals_kind)kind;
  cosrel_json_number(&at, "rate_hz", required, &out->rate_hz);
  cosrel_json_number(&at, "jitter", optional, &out->jitter);
  cosrel_json_number(&at, "phase", optional, &out->phase);
  cosrel_json_number(&at, "burst_ratio", optional, &out->burst_ratio);
  cosrel_json_number(&at, "burst_share", optional, &out->burst_share);
  cosrel_json_number(&at, "burst_s", optional, &out->burst_s);
  read_times(&at, out);
}

static void read_precisions(const cosrel_json_at *stream, uint32_t *out) {
  cosrel_json_at precisions = cosrel_json_array(stream, "precisions", optional);
  if (precisions.value == NULL) return;
  size_t n = cosrel_json_size(&precisions, COSREL_PRECISION_COUNT);
  *out = 0;
  for (size_t i = 0; i < n; i++) {
    const char *text = cosrel_json_item_text(&precisions, i, SIZE_MAX);
    if (text == NULL) return;
    int precision = cosrel_precision_from_name(text);
    if (precision < 0 || (*out >> precision & 1) != 0) {
      cosrel_json_at item = cosrel_json_item(&precisions, i);
      cosrel_json_fail(&item, COSREL_FORMAT, NULL, "expected fp32, fp16 or int8, each once; got '%.40s'", text);
      return;
    }
    *out |= 1u << precision;
  }
}

static void read_stream(const cosrel_json_at *at, cosrel_stream *out) {
#define X(name, text) " " text
  static const char words[] = COSREL_DROP_MAP(X);
#undef X
  static const char *const keys[] = {"name",        "model",    "file",        "input", "precisions", "arrivals",
                                     "deadline_ms", "priority", "queue_limit", "drop",  "drop_late",  NULL};
  *out = default_stream;
  int drop = (int)out->drop;
  uint64_t queue_limit = out->queue_limit;
  double deadline_ms = 1.0;
  cosrel_json_keys(at, keys);
  cosrel_json_text(at, "name", required, out->name, sizeof out->name);
  cosrel_json_text(at, "model", required, out->model, sizeof out->model);
  cosrel_json_text(at, "file", optional, out->file, sizeof out->file);
  cosrel_json_text(at, "input", optional, out->input, sizeof out->input);
  read_precisions(at, &out->precisions);
  read_arrivals(at, &out->arrivals);
  cosrel_json_number(at, "deadline_ms", optional, &deadline_ms);
  if (json_object_get(at->value, "deadline_ms") != NULL) {
    out->deadline = time_of_ms(deadline_ms);
    /* In memory 0 says that there is no deadline; a file says so by leaving it out. */
    if (out->deadline <= 0) {
      cosrel_json_fail(at, COSREL_FORMAT, "deadline_ms", "expected a number > 0, got %g", deadline_ms);
    }
  }
  cosrel_json_number(at, "priority", optional, &out->priority);
  cosrel_json_count(at, "queue_limit", optional, UINT32_MAX, &queue_limit);
  out->queue_limit = (uint32_t)queue_limit;
  cosrel_json_word(at, "drop", optional, cosrel_drop_from_name, words + 1, &drop);
  out->drop = (cosrel_drop)drop;
  cosrel_json_flag(at, "drop_late", optional, &out->drop_late);
}

cosrel_status cosrel_workload_parse(const char *text, size_t size, const char *where, cosrel_workload *out,
                                    cosrel_error *error) {
  static const char *const keys[] = {"format", "version", "name", "description", "objective", "streams", NULL};
  static const char *const objective_keys[] = {"latency", "throughput", "energy", NULL};
  memset(out, 0, sizeof *out);
  if (size > COSREL_WORKLOAD_FILE_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "%s: expected at most %zu bytes", where, COSREL_WORKLOAD_FILE_MAX);
  }
  cosrel_json_reader reader;
  cosrel_json_at root = cosrel_json_open(&reader, text, size, where, FORMAT_NAME, FORMAT_VERSION, error);
  cosrel_json_keys(&root, keys);
  cosrel_json_text(&root, "name", required, out->name, sizeof out->name);
  cosrel_json_text(&root, "description", optional, out->description, sizeof out->description);
  out->objective = default_objective;
  cosrel_json_at objective = cosrel_json_object(&root, "objective", optional);
  cosrel_json_keys(&objective, objective_keys);
  cosrel_json_number(&objective, "latency", optional, &out->objective.latency);
  cosrel_json_number(&objective, "throughput", optional, &out->objective.throughput);
  cosrel_json_number(&objective, "energy", optional, &out->objective.energy);
  cosrel_json_at streams = cosrel_json_array(&root, "streams", required);
  size_t n = cosrel_json_size(&streams, COSREL_STREAMS_MAX);
  for (size_t s = 0; s < n && reader.status == COSREL_OK; s++) {
    cosrel_json_at stream = cosrel_json_item_object(&streams, s);
    out->n_streams = (uint32_t)s + 1;
    read_stream(&stream, &out->streams[s]);
  }
  cosrel_status status = reader.status;
  cosrel_json_close(&reader);
  if (status == COSREL_OK) status = cosrel_workload_check(out, where, error);
  if (status != COSREL_OK) cosrel_workload_clear(out);
  return status;
}

cosrel_status cosrel_workload_read(const char *path, cosrel_workload *out, cosrel_error *error) {
  char *text;
  size_t size;
  memset(out, 0, sizeof *out);
  COSREL_TRY(cosrel_file_read(path, COSREL_WORKLOAD_FILE_MAX, &text, &size, error));
  cosrel_status status = cosrel_workload_parse(text, size, path, out, error);
  free(text);
  return status;
}

/* The members of the stream's own kind always; those of other kinds when they say something. */
static void put_arrivals(cosrel_json_writer *writer, const cosrel_arrivals *arrivals) {
  const cosrel_arrivals *usual = &default_arrivals;
  bool periodic = arrivals->kind == COSREL_ARRIVALS_PERIODIC, bursty = arrivals->kind == COSREL_ARRIVALS_BURSTY;
  fprintf(writer->file, ",\n     \"arrivals\": {\"kind\": \"%s\"", cosrel_arrivals_name(arrivals->kind));
  cosrel_json_put_number(writer, ", \"rate_hz\": ", arrivals->rate_hz);
  if (periodic || arrivals->jitter != usual->jitter) cosrel_json_put_number(writer, ", \"jitter\": ", arrivals->jitter);
  if (periodic || arrivals->phase != usual->phase) cosrel_json_put_number(writer, ", \"phase\": ", arrivals->phase);
  bool set = arrivals->burst_ratio != 0.0 &&
             (arrivals->burst_ratio != usual->burst_ratio || arrivals->burst_share != usual->burst_share ||
              arrivals->burst_s != usual->burst_s);
  if (bursty || set) {
    cosrel_json_put_number(writer, ", \"burst_ratio\": ", arrivals->burst_ratio);
    cosrel_json_put_number(writer, ", \"burst_share\": ", arrivals->burst_share);
    cosrel_json_put_number(writer, ", \"burst_s\": ", arrivals->burst_s);
  }
  for (uint32_t i = 0; i < arrivals->n_times; i++) {
    cosrel_json_put_number(writer, i == 0 ? ", \"times_ms\": [" : ", ", ms_of_time(arrivals->times[i]));
  }
  fputs(arrivals->n_times > 0 ? "]}" : "}", writer->file);
}

static void put_stream(cosrel_json_writer *writer, const cosrel_stream *stream) {
  cosrel_json_put_text(writer, "    {\"name\": ", stream->name);
  cosrel_json_put_text(writer, ", \"model\": ", stream->model);
  if (stream->file[0] != '\0') cosrel_json_put_text(writer, ", \"file\": ", stream->file);
  if (stream->input[0] != '\0') cosrel_json_put_text(writer, ", \"input\": ", stream->input);
  const char *before = ", \"precisions\": [";
  for (int precision = 0; precision < COSREL_PRECISION_COUNT; precision++) {
    if ((stream->precisions >> precision & 1) == 0) continue;
    fprintf(writer->file, "%s\"%s\"", before, cosrel_precision_name((cosrel_precision)precision));
    before = ", ";
  }
  fputs("]", writer->file);
  put_arrivals(writer, &stream->arrivals);
  fputs(",\n     ", writer->file);
  if (stream->deadline > 0) {
    cosrel_json_put_number(writer, "\"deadline_ms\": ", ms_of_time(stream->deadline));
    fputs(", ", writer->file);
  }
  cosrel_json_put_number(writer, "\"priority\": ", stream->priority);
  fprintf(writer->file, ", \"queue_limit\": %u, \"drop\": \"%s\", \"drop_late\": %s}", stream->queue_limit,
          cosrel_drop_name(stream->drop), stream->drop_late ? "true" : "false");
}

cosrel_status cosrel_workload_format(const cosrel_workload *workload, const char *where, char **text, size_t *size,
                                     cosrel_error *error) {
  *text = NULL;
  *size = 0;
  COSREL_TRY(cosrel_workload_check(workload, where, error));
  cosrel_json_writer writer;
  if (cosrel_json_begin(&writer) != COSREL_OK) {
    return cosrel_fail(error, COSREL_NOMEM, "%s: %s", where, cosrel_status_text(COSREL_NOMEM));
  }
  fprintf(writer.file, "{\n  \"format\": \"%s\",\n  \"version\": %d,\n", FORMAT_NAME, FORMAT_VERSION);
  cosrel_json_put_text(&writer, "  \"name\": ", workload->name);
  cosrel_json_put_text(&writer, ",\n  \"description\": ", workload->description);
  cosrel_json_put_number(&writer, ",\n  \"objective\": {\"latency\": ", workload->objective.latency);
  cosrel_json_put_number(&writer, ", \"throughput\": ", workload->objective.throughput);
  cosrel_json_put_number(&writer, ", \"energy\": ", workload->objective.energy);
  fputs("},\n  \"streams\": [\n", writer.file);
  for (uint32_t s = 0; s < workload->n_streams; s++) {
    if (s > 0) fputs(",\n", writer.file);
    put_stream(&writer, &workload->streams[s]);
  }
  fputs("]\n}\n", writer.file);
  return cosrel_json_end(&writer, where, text, size, error);
}

cosrel_status cosrel_workload_write(const char *path, const cosrel_workload *workload, cosrel_error *error) {
  char *text;
  size_t size;
  COSREL_TRY(cosrel_workload_format(workload, path, &text, &size, error));
  cosrel_status status = cosrel_atomic_write(path, text, size, error);
  free(text);
  return status;
}
