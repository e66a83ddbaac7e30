#include "sched/workload.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sched/check.h"

#define TIMES_MAX (1u << 20)
#define TIME_MAX (INT64_C(1000000) * COSREL_S) /* exact in a double of ms, and far from overflow when added up */

static const cosrel_range range_rate_hz = {0.0, 1e6, true};
static const cosrel_range range_jitter = {0.0, 0.5, false};
static const cosrel_range range_phase = {-1e6, 1.0, false};
static const cosrel_range range_burst_ratio = {1.0, 1e6, true};
static const cosrel_range range_burst_share = {0.0, 1.0, true};
static const cosrel_range range_burst_s = {0.0, 1e6, true};
static const cosrel_range range_weight = {0.0, 1e6, false};
static const cosrel_range range_priority = {0.0, 1e6, true};

static const char *const arrivals_names[COSREL_ARRIVALS_COUNT] = {
#define X(name, text) [COSREL_ARRIVALS_##name] = text,
    COSREL_ARRIVALS_MAP(X)
#undef X
};

static const char *const drop_names[COSREL_DROP_COUNT] = {
#define X(name, text) [COSREL_DROP_##name] = text,
    COSREL_DROP_MAP(X)
#undef X
};

const char *cosrel_arrivals_name(cosrel_arrivals_kind kind) {
  return (unsigned)kind < COSREL_ARRIVALS_COUNT ? arrivals_names[kind] : "unknown";
}

const char *cosrel_drop_name(cosrel_drop drop) {
  return (unsigned)drop < COSREL_DROP_COUNT ? drop_names[drop] : "unknown";
}

int cosrel_arrivals_from_name(const char *name) {
  for (int i = 0; i < COSREL_ARRIVALS_COUNT; i++) {
    if (strcmp(arrivals_names[i], name) == 0) return i;
  }
  return -1;
}

int cosrel_drop_from_name(const char *name) {
  for (int i = 0; i < COSREL_DROP_COUNT; i++) {
    if (strcmp(drop_names[i], name) == 0) return i;
  }
  return -1;
}

static cosrel_status check_times(const cosrel_arrivals *arrivals, const char *where, uint32_t s, cosrel_error *error) {
  if (arrivals->kind != COSREL_ARRIVALS_RECORDED) {
    if (arrivals->n_times == 0) return COSREL_OK;
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u].arrivals.times_ms: expected only with kind 'recorded'",
                       where, s);
  }
  if (arrivals->n_times == 0 || arrivals->times == NULL) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u].arrivals.times_ms: expected at least one time", where, s);
  }
  if (arrivals->n_times > TIMES_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "%s: streams[%u].arrivals.times_ms: expected at most %u times, got %u",
                       where, s, TIMES_MAX, arrivals->n_times);
  }
  cosrel_time last = 0;
  for (uint32_t i = 0; i < arrivals->n_times; i++) {
    cosrel_time time = arrivals->times[i];
    if (time < last || time > TIME_MAX) {
      return cosrel_fail(error, COSREL_FORMAT,
                         "%s: streams[%u].arrivals.times_ms[%u]: expected %g to %g, ascending, got %g", where, s, i,
                         cosrel_time_ms(last), cosrel_time_ms(TIME_MAX), cosrel_time_ms(time));
    }
    last = time;
  }
  return COSREL_OK;
}

static cosrel_status check_arrivals(const cosrel_arrivals *arrivals, const char *where, uint32_t s,
                                    cosrel_error *error) {
  if ((unsigned)arrivals->kind >= COSREL_ARRIVALS_COUNT) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u].arrivals.kind: expected a kind below %d, got %d", where,
                       s, COSREL_ARRIVALS_COUNT, (int)arrivals->kind);
  }
  COSREL_TRY(cosrel_check_number(arrivals->rate_hz, range_rate_hz, error, where, "streams[%u].arrivals.rate_hz", s));
  /* Values of other kinds are checked too: the kind may be replaced by another (cosrel_case_set_arrivals). */
  COSREL_TRY(cosrel_check_number(arrivals->jitter, range_jitter, error, where, "streams[%u].arrivals.jitter", s));
  COSREL_TRY(cosrel_check_number(arrivals->phase, range_phase, error, where, "streams[%u].arrivals.phase", s));
  bool unset = arrivals->burst_ratio == 0.0 && arrivals->burst_share == 0.0 && arrivals->burst_s == 0.0;
  if (!unset || arrivals->kind == COSREL_ARRIVALS_BURSTY) {
    COSREL_TRY(cosrel_check_number(arrivals->burst_ratio, range_burst_ratio, error, where,
                                   "streams[%u].arrivals.burst_ratio", s));
    COSREL_TRY(cosrel_check_number(arrivals->burst_share, range_burst_share, error, where,
                                   "streams[%u].arrivals.burst_share", s));
    /* Both states together keep the mean rate, so bursts alone must not exceed it. */
    if (arrivals->burst_share >= 1.0 || arrivals->burst_share * arrivals->burst_ratio > 1.0) {
      return cosrel_fail(
          error, COSREL_FORMAT,
          "%s: streams[%u].arrivals.burst_share: expected share < 1 and share * burst_ratio <= 1, got %g", where, s,
          arrivals->burst_share);
    }
    COSREL_TRY(cosrel_check_number(arrivals->burst_s, range_burst_s, error, where, "streams[%u].arrivals.burst_s", s));
  }
  return check_times(arrivals, where, s, error);
}

static cosrel_status check_stream(const cosrel_workload *workload, uint32_t s, const char *where, cosrel_error *error) {
  const cosrel_stream *stream = &workload->streams[s];
  if (!cosrel_name_is_good(stream->name)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u].name: expected 1 to %d printable bytes", where, s,
                       COSREL_NAME_MAX - 1);
  }
  for (uint32_t other = 0; other < s; other++) {
    if (strcmp(stream->name, workload->streams[other].name) == 0) {
      return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u].name: expected a name used once, got '%s' again", where,
                         s, stream->name);
    }
  }
  if (!cosrel_name_is_good(stream->model)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u].model: expected 1 to %d printable bytes", where, s,
                       COSREL_NAME_MAX - 1);
  }
  if (!cosrel_text_is_good(stream->file, sizeof stream->file) ||
      !cosrel_text_is_good(stream->input, sizeof stream->input)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u]: file and input: expected at most %d printable bytes",
                       where, s, COSREL_PATH_MAX - 1);
  }
  if (stream->precisions == 0 || stream->precisions >> COSREL_PRECISION_COUNT != 0) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u].precisions: expected at least one known precision", where,
                       s);
  }
  COSREL_TRY(check_arrivals(&stream->arrivals, where, s, error));
  if (stream->deadline < 0 || stream->deadline > TIME_MAX) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u].deadline_ms: expected a number > 0 and <= %g, got %g",
                       where, s, cosrel_time_ms(TIME_MAX), cosrel_time_ms(stream->deadline));
  }
  COSREL_TRY(cosrel_check_number(stream->priority, range_priority, error, where, "streams[%u].priority", s));
  if (stream->queue_limit < 1 || stream->queue_limit > COSREL_QUEUE_MAX) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u].queue_limit: expected 1 to %d, got %u", where, s,
                       COSREL_QUEUE_MAX, stream->queue_limit);
  }
  if ((unsigned)stream->drop >= COSREL_DROP_COUNT) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%u].drop: expected a rule below %d, got %d", where, s,
                       COSREL_DROP_COUNT, (int)stream->drop);
  }
  return COSREL_OK;
}

cosrel_status cosrel_workload_check(const cosrel_workload *workload, const char *where, cosrel_error *error) {
  if (!cosrel_name_is_good(workload->name)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: name: expected 1 to %d printable bytes", where, COSREL_NAME_MAX - 1);
  }
  if (!cosrel_text_is_good(workload->description, sizeof workload->description)) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: description: expected at most %zu printable bytes", where,
                       sizeof workload->description - 1);
  }
  if (workload->n_streams == 0) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: streams: expected at least one stream", where);
  }
  if (workload->n_streams > COSREL_STREAMS_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "%s: streams: expected at most %d, got %u", where, COSREL_STREAMS_MAX,
                       workload->n_streams);
  }
  for (uint32_t s = 0; s < workload->n_streams; s++) COSREL_TRY(check_stream(workload, s, where, error));
  const cosrel_objective *objective = &workload->objective;
  COSREL_TRY(cosrel_check_number(objective->latency, range_weight, error, where, "objective.latency"));
  COSREL_TRY(cosrel_check_number(objective->throughput, range_weight, error, where, "objective.throughput"));
  COSREL_TRY(cosrel_check_number(objective->energy, range_weight, error, where, "objective.energy"));
  if (objective->latency + objective->throughput + objective->energy <= 0.0) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: objective: expected a weight > 0", where);
  }
  return COSREL_OK;
}

void cosrel_workload_clear(cosrel_workload *workload) {
  if (workload == NULL) return;
  for (uint32_t s = 0; s < workload->n_streams && s < COSREL_STREAMS_MAX; s++) {
    free(workload->streams[s].arrivals.times);
  }
  memset(workload, 0, sizeof *workload);
}
