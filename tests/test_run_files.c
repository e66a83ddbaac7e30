/* Timelines and traces: valid JSON that tells the same story as the run itself. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "backends/sim/sim.h"
#include "sched/metrics.h"
#include "tests/fixtures.h"
#include "traces/perfetto.h"
#include "traces/recording.h"
#include "traces/trace_file.h"

#define TIMELINE "test_timeline.json"
#define TRACE "test_trace.json"

/* A policy that uses every processor: the first candidate, or the last, in turn. */
static void alternate_reset(void *self) { *(int *)self = 0; }
static cosrel_candidate alternate_decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  cosrel_candidate candidates[64];
  uint32_t n = cosrel_state_candidates(c, state, candidates, 64);
  int *turn = self;
  assert_in_range(n, 1, 64);
  *turn = !*turn;
  return candidates[*turn ? 0 : n - 1];
}
static const cosrel_policy_ops alternate = {
    .struct_size = sizeof alternate, .name = "alternate", .reset = alternate_reset, .decide = alternate_decide};

typedef struct run {
  fixture f;
  cosrel_result result;
  double energy_mj;
} run;

/* Two streams on two processors, hard enough for drops, written to TIMELINE and TRACE. */
static void run_all(run *r) {
  fixture_begin(&r->f, 2);
  fixture_chain(&r->f, "a", 3, (double[]){2, 1, 2, 1, 2, 4});
  fixture_chain(&r->f, "b", 2, (double[]){3, 2, 1, 1});
  fixture_overheads(&r->f, 0.1, 0.3);
  fixture_disturb(&r->f, 0.5, 0.1);
  fixture_stream(&r->f, "a", COSREL_ARRIVALS_POISSON, 200);
  fixture_stream(&r->f, "b", COSREL_ARRIVALS_POISSON, 200);
  snprintf(r->f.workload.streams[1].name, COSREL_NAME_MAX, "quote\" and \\ and \xc3\xa9");
  fixture_compile(&r->f);

  const cosrel_sim sim = {.noise = true};
  int turn = 0;
  const cosrel_policy policy = {&alternate, &turn};
  cosrel_engine engine;
  cosrel_metrics *metrics;
  cosrel_perfetto *perfetto;
  cosrel_trace_writer *trace;
  cosrel_error error = {""};
  assert_int_equal(cosrel_engine_create(&r->f.c, cosrel_sim_driver(&sim), &engine, &error), COSREL_OK);
  assert_int_equal(cosrel_metrics_create(&r->f.c, &metrics), COSREL_OK);
  assert_int_equal(cosrel_perfetto_begin(TIMELINE, &r->f.c, &perfetto, &error), COSREL_OK);
  assert_int_equal(cosrel_trace_begin(TRACE, &r->f.c, "alternate", 5, COSREL_S / 2, &trace, &error), COSREL_OK);
  engine.sinks = cosrel_metrics_sink(metrics);
  engine.sinks->next = cosrel_perfetto_sink(perfetto);
  engine.sinks->next->next = cosrel_trace_sink(trace);
  assert_int_equal(cosrel_engine_run(&engine, &policy, 5, COSREL_S / 2, &error), COSREL_OK);
  assert_int_equal(access(TIMELINE, F_OK), -1); /* nothing half-written */
  assert_int_equal(cosrel_perfetto_end(perfetto, &error), COSREL_OK);
  assert_int_equal(cosrel_trace_end(trace, &error), COSREL_OK);
  cosrel_metrics_result(metrics, &engine, &r->result);
  r->energy_mj = engine.state->energy_mj;
  cosrel_metrics_destroy(metrics);
  cosrel_engine_destroy(&engine);
}

static json_t *load_and_remove(const char *path) {
  json_error_t error;
  json_t *root = json_load_file(path, 0, &error);
  if (root == NULL) fail_msg("%s: line %d: %s", path, error.line, error.text);
  remove(path);
  return root;
}

static const char *text_of(const json_t *event, const char *key) {
  const char *text = json_string_value(json_object_get(event, key));
  return text != NULL ? text : "";
}

static double number_of(const json_t *event, const char *key) {
  const json_t *value = json_object_get(event, key);
  assert_true(json_is_number(value));
  return json_number_value(value);
}

static void test_timeline(void **state) {
  (void)state;
  run r;
  run_all(&r);
  json_t *root = load_and_remove(TIMELINE), *events = json_object_get(root, "traceEvents"), *event;
  double busy_until[3] = {0}, energy = 0;
  json_int_t open_spans = 0;
  size_t i, segments = 0, children = 0, ends = 0, names = 0;
  const json_t *parent = NULL;
  json_array_foreach(events, i, event) {
    const char *phase = text_of(event, "ph"), *name = text_of(event, "name");
    if (strcmp(phase, "X") == 0) {
      double start = number_of(event, "ts"), end = start + number_of(event, "dur");
      int tid = (int)number_of(event, "tid");
      assert_in_range(tid, 1, 2);
      if (strstr(name, " units ") != NULL) {
        segments++;
        assert_true(start >= busy_until[tid] - 1e-6); /* segments of a processor do not overlap */
        busy_until[tid] = end;
        parent = event;
      } else {
        children++; /* launch, transfer and compute lie inside their segment */
        assert_non_null(parent);
        assert_int_equal(tid, (int)number_of(parent, "tid"));
        assert_true(start >= number_of(parent, "ts") - 1e-6);
        assert_true(end <= number_of(parent, "ts") + number_of(parent, "dur") + 1e-6);
      }
    } else if (strcmp(phase, "b") == 0) {
      open_spans++;
    } else if (strcmp(phase, "e") == 0) {
      open_spans--;
      ends++;
    } else if (strcmp(phase, "C") == 0) {
      if (strcmp(name, "energy") == 0) {
        double now = number_of(json_object_get(event, "args"), "mJ");
        assert_true(now >= energy);
        energy = now;
      } else if (strcmp(name, "power") == 0) {
        double watts = number_of(json_object_get(event, "args"), "W"); /* idle 0.2 W, busy at most 1 + 2 W */
        assert_true(watts > 0.19 && watts < 3.01);
      }
    } else if (strcmp(phase, "M") == 0) {
      names += strcmp(text_of(json_object_get(event, "args"), "name"), r.f.workload.streams[1].name) == 0;
    }
  }
  uint64_t arrived = r.result.streams[0].arrived + r.result.streams[1].arrived;
  assert_true(segments > 50 && children > segments);
  assert_int_equal(open_spans, 0);
  assert_int_equal(ends, arrived); /* every request has a span */
  assert_int_equal(names, 1);      /* a name with quotes comes through */
  assert_true(fabs(energy - r.energy_mj) <= 1e-5 * r.energy_mj);
  json_decref(root);
  remove(TRACE);
  fixture_end(&r.f);
}

static void test_trace(void **state) {
  (void)state;
  run r;
  run_all(&r);
  json_t *root = load_and_remove(TRACE), *events = json_object_get(root, "events"), *event;
  assert_string_equal(text_of(root, "format"), COSREL_TRACE_FORMAT);
  assert_int_equal((int)number_of(root, "version"), COSREL_TRACE_VERSION);
  assert_int_equal(json_array_size(json_object_get(root, "streams")), 2);
  uint64_t arrived[2] = {0}, completed[2] = {0}, dropped[2] = {0}, missed[2] = {0}, decisions = 0;
  double utility = 0, now = 0;
  size_t i, telemetry = 0;
  json_array_foreach(events, i, event) {
    const char *kind = text_of(event, "event");
    double t = number_of(event, "t_ns");
    assert_true(t >= now); /* in order of time */
    now = t;
    if (strcmp(kind, "telemetry") == 0) {
      telemetry++;
      continue;
    }
    size_t stream = strcmp(text_of(event, "action"), "wait") == 0 ? 0 : (size_t)number_of(event, "stream");
    assert_in_range(stream, 0, 1);
    if (strcmp(kind, "arrival") == 0) {
      assert_int_equal((uint64_t)number_of(event, "request"), arrived[stream]);
      arrived[stream]++;
    } else if (strcmp(kind, "decision") == 0) {
      assert_int_equal((uint64_t)number_of(event, "number"), decisions);
      decisions++;
    } else if (strcmp(kind, "segment") == 0) {
      assert_true(number_of(event, "started_ns") + number_of(event, "launch_ns") + number_of(event, "transfer_ns") <=
                  t);
    } else {
      assert_string_equal(kind, "outcome");
      bool was_dropped = json_is_true(json_object_get(event, "dropped"));
      dropped[stream] += was_dropped;
      completed[stream] += !was_dropped;
      missed[stream] += json_is_true(json_object_get(event, "missed"));
      utility += number_of(event, "utility");
    }
  }
  for (int s = 0; s < 2; s++) {
    assert_int_equal(arrived[s], r.result.streams[s].arrived);
    assert_int_equal(completed[s], r.result.streams[s].completed);
    assert_int_equal(dropped[s], r.result.streams[s].dropped);
    assert_int_equal(missed[s], r.result.streams[s].missed);
  }
  assert_true(dropped[0] + dropped[1] > 0); /* the case is hard enough to show drops */
  assert_int_equal(decisions, r.result.decisions);
  assert_true(telemetry >= 4);
  assert_true(fabs(utility / (double)(arrived[0] + arrived[1]) - r.result.u) < 1e-9);
  json_decref(root);
  remove(TIMELINE);
  fixture_end(&r.f);
}

/* The arrivals read back from a trace are those of the run, and a workload can be given them. */
static void test_recording(void **state) {
  (void)state;
  run r;
  run_all(&r);
  cosrel_recording recording;
  cosrel_error error = {""};
  if (cosrel_recording_read(TRACE, &recording, &error) != COSREL_OK) fail_msg("%s", error.text);
  assert_int_equal(recording.n_streams, 2);
  assert_int_equal(recording.horizon, COSREL_S / 2);
  for (int s = 0; s < 2; s++) {
    const cosrel_recorded_stream *stream = &recording.streams[s];
    assert_string_equal(stream->name, r.f.workload.streams[s].name);
    assert_int_equal(stream->n_times, r.result.streams[s].arrived);
    for (uint32_t i = 1; i < stream->n_times; i++) assert_true(stream->times[i] >= stream->times[i - 1]);
    assert_true(stream->times[stream->n_times - 1] < recording.horizon);
  }
  assert_int_equal(cosrel_recording_apply(&recording, &r.f.workload, TRACE, &error), COSREL_OK);
  const cosrel_arrivals *arrivals = &r.f.workload.streams[1].arrivals;
  assert_int_equal(arrivals->kind, COSREL_ARRIVALS_RECORDED);
  assert_true(fabs(arrivals->rate_hz - 2.0 * recording.streams[1].n_times) < 1e-9); /* over half a second */
  assert_int_equal(arrivals->times[0], recording.streams[1].times[0]);

  snprintf(r.f.workload.streams[0].name, COSREL_NAME_MAX, "another");
  assert_int_equal(cosrel_recording_apply(&recording, &r.f.workload, TRACE, &error), COSREL_INVALID);
  assert_non_null(strstr(error.text, TRACE ": no arrivals of stream 'another'"));
  cosrel_recording_clear(&recording);
  fixture_end(&r.f);
  remove(TIMELINE);
  remove(TRACE);
}

/* What a trace may not be; the line names the place. */
static void test_bad_traces(void **state) {
  (void)state;
#define HEAD "{\"format\":\"cosrel-trace\",\"version\":1,"
#define REST "\"streams\":[{\"name\":\"a\"}],\"events\":["
  static const struct {
    const char *text, *part;
  } bad[] = {
      {"", "t.json: line 1"},
      {"{\"format\":\"cosrel-profile\",\"version\":1}", "format"},
      {HEAD REST "]}", "horizon_ns: missing"},
      {HEAD "\"horizon_ns\":0," REST "]}", "horizon_ns: expected a time > 0"},
      {HEAD "\"horizon_ns\":9,\"streams\":[],\"events\":[]}", "streams: expected at least one"},
      {HEAD "\"horizon_ns\":9,\"streams\":[{\"name\":\"a\"},{\"name\":\"a\"}],\"events\":[]}", "streams[1].name"},
      {HEAD "\"horizon_ns\":9,\"colour\":1," REST "]}", "colour"},
      {HEAD "\"horizon_ns\":9," REST "{\"event\":\"arrival\",\"t_ns\":1,\"stream\":1}]}", "events[0].stream"},
      {HEAD "\"horizon_ns\":9," REST "{\"event\":\"dance\",\"t_ns\":1}]}", "events[0].event"},
      {HEAD "\"horizon_ns\":9," REST "{\"event\":\"arrival\",\"t_ns\":-1,\"stream\":0}]}", "events[0].t_ns"},
      {HEAD "\"horizon_ns\":9," REST
            "{\"event\":\"telemetry\",\"t_ns\":2},{\"event\":\"arrival\",\"t_ns\":1,\"stream\":0}]}",
       "events[1].t_ns: expected events in order"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    cosrel_recording recording;
    cosrel_error error = {""};
    if (cosrel_recording_parse(bad[i].text, strlen(bad[i].text), "t.json", &recording, &error) == COSREL_OK)
      fail_msg("accepted: %s", bad[i].text);
    if (strstr(error.text, "t.json: ") != error.text || strstr(error.text, bad[i].part) == NULL)
      fail_msg("%s: expected '%s' in '%s'", bad[i].text, bad[i].part, error.text);
    assert_int_equal(recording.n_streams, 0);
  }
#undef HEAD
#undef REST
}

static void test_failures_leave_nothing(void **state) {
  (void)state;
  fixture f;
  fixture_begin(&f, 1);
  fixture_chain(&f, "a", 1, (double[]){2});
  fixture_stream(&f, "a", COSREL_ARRIVALS_POISSON, 200);
  fixture_compile(&f);
  cosrel_perfetto *perfetto;
  cosrel_trace_writer *trace;
  cosrel_error error = {""};
  assert_int_equal(cosrel_perfetto_begin("no/such/folder/t.json", &f.c, &perfetto, &error), COSREL_IO);
  assert_non_null(strstr(error.text, "no/such/folder/t.json"));
  assert_null(perfetto);
  assert_int_equal(cosrel_trace_begin("no/such/folder/t.json", &f.c, "p", 1, 1, &trace, &error), COSREL_IO);
  assert_int_equal(cosrel_trace_begin(TRACE, &f.c, "p", 1, 1, &trace, &error), COSREL_OK);
  cosrel_trace_abort(trace);
  assert_int_equal(access(TRACE, F_OK), -1);
  assert_int_equal(cosrel_trace_begin(TRACE, &f.c, "not \xff utf-8", 1, 1, &trace, &error), COSREL_OK);
  assert_int_equal(cosrel_trace_end(trace, &error), COSREL_INVALID);
  assert_int_equal(access(TRACE, F_OK), -1);
  fixture_end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_timeline),
      cmocka_unit_test(test_trace),
      cmocka_unit_test(test_recording),
      cmocka_unit_test(test_bad_traces),
      cmocka_unit_test(test_failures_leave_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
