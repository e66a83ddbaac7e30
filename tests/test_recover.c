/* Failing processors for real: what is whole after a failure, and that whatever fails while requests run, each of them
 * is completed once with the right outputs, dropped, or reported failed. Injected faults go through all of the code
 * that real ones do. Times here are those of the faults; none is asserted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "backends/runtime/outputs.h"
#include "backends/runtime/probe.h"
#include "backends/runtime/recovery.h"
#include "sched/failures.h"
#include "tests/command.h"
#include "tests/doubles.h"

static cosrel_injection_plan plan_of(const char *specs) { /* separated by spaces */
  cosrel_injection_plan plan = {0};
  cosrel_error error = {""};
  char text[256];
  snprintf(text, sizeof text, "%s", specs);
  for (char *spec = text, *next; spec != NULL; spec = next) {
    next = strchr(spec, ' ');
    if (next != NULL) *next++ = '\0';
    if (cosrel_injection_add(&plan, spec, &error) != COSREL_OK) fail_msg("%s", error.text);
  }
  return plan;
}

/* ---- The decision ---- */

/* A chain of four units; the output of unit u lies at places[u + 1], the input at places[0]. */
static void chain(fixture *f, device *d, const int64_t places[5]) {
  fixture_begin(f, 2);
  fixture_chain(f, "m", 4, (double[]){1, 1, 1, 1, 1, 1, 1, 1});
  fixture_stream(f, "m", COSREL_ARRIVALS_CLOSED, 1);
  fixture_compile(f);
  device_begin(d, f, 0);
  for (int t = 0; t < 5; t++) d->networks[0].offsets[t] = places[t] * 64;
}

static void test_what_is_whole(void **unused) {
  (void)unused;
  enum { HOST = COSREL_IN_HOST, MADE = COSREL_MADE, GPU = 2 };
  static const struct {
    const char *what;
    int64_t places[5];
    uint32_t begin, end;
    uint16_t memory, before[5], after[5];
    bool whole;
  } cases[] = {
      {"nothing shared", {0, 2, 4, 6, 8}, 0, 4, HOST, {HOST | MADE}, {HOST | MADE}, true},
      {"unit 1 writes over the input, unit 0 is to run again",
       {0, 2, 0, 4, 6},
       0,
       2,
       HOST,
       {HOST | MADE},
       {MADE},
       false},
      {"the same by one byte only", {0, 2, 1, 4, 6}, 0, 2, HOST, {HOST | MADE}, {MADE}, false},
      {"right behind it", {0, 3, 2, 5, 7}, 0, 2, HOST, {HOST | MADE}, {HOST | MADE}, true},
      {"unit 1 alone: the input is not read any more",
       {0, 2, 0, 4, 6},
       1,
       2,
       HOST,
       {HOST | MADE, HOST | MADE},
       {HOST | MADE, HOST | MADE},
       true},
      {"a copy elsewhere is as good", {0, 2, 0, 4, 6}, 0, 2, HOST, {HOST | GPU | MADE}, {GPU | MADE}, true},
      {"in its own memory the copy is damaged", {0, 2, 0, 4, 6}, 0, 2, GPU, {HOST | GPU | MADE}, {HOST | MADE}, true},
      {"damaged where it never was", {0, 2, 0, 4, 6}, 0, 2, GPU, {HOST | MADE}, {HOST | MADE}, true},
      {"lost before", {0, 2, 4, 6, 8}, 0, 0, GPU, {HOST | MADE, MADE}, {HOST | MADE, MADE}, false},
      {"lost, but nobody reads it",
       {0, 2, 4, 6, 8},
       0,
       0,
       GPU,
       {HOST | MADE, MADE, HOST | MADE},
       {HOST | MADE, MADE, HOST | MADE},
       true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    fixture f;
    device *d = fixture_alloc(1, sizeof *d);
    uint16_t present[5];
    chain(&f, d, cases[i].places);
    memcpy(present, cases[i].before, sizeof present);
    bool whole =
        cosrel_recovery_check(&d->networks[0], &f.c.streams[0], cases[i].begin, cases[i].end, cases[i].memory, present);
    if (whole != cases[i].whole) fail_msg("%s", cases[i].what);
    if (memcmp(present, cases[i].after, sizeof present) != 0) fail_msg("present: %s", cases[i].what);
    device_end(d);
    free(d);
    fixture_end(&f);
  }
}

/* The probe knows the answer, and sees when it is another one. Who asks first stays where it may run. */
static void test_a_probe_sees_what_is_wrong(void **unused) {
  (void)unused;
  for (uint32_t apart = 0; apart < 2; apart++) {
    fixture f;
    contract_case(&f, 0);
    device *d = fixture_alloc(1, sizeof *d);
    cosrel_probe probe;
    pthread_mutex_t copying = PTHREAD_MUTEX_INITIALIZER;
    device_begin(d, &f, apart);
    cosrel_affinity before, after;
    bool known = cosrel_affinity_get(&before);
    d->fakes[0].moves = true;
    assert_int_equal(cosrel_probe_learn(&d->machine, 0, &copying, &probe), COSREL_OK);
    d->fakes[0].moves = false;
    if (known) assert_true(cosrel_affinity_get(&after) && memcmp(&before, &after, sizeof before) == 0);
    assert_non_null(probe.answer);
    assert_int_equal(cosrel_probe_ask(&d->machine, 0, &probe, COSREL_S, &copying), COSREL_OK);
    probe.answer[3] += 1;
    assert_int_equal(cosrel_probe_ask(&d->machine, 0, &probe, COSREL_S, &copying), COSREL_INTERNAL);
    probe.answer[3] = NAN;
    assert_int_equal(cosrel_probe_ask(&d->machine, 0, &probe, COSREL_S, &copying), COSREL_INTERNAL);
    d->fakes[0].fails_at = d->fakes[0].n_segments + 1;
    d->fakes[0].failure = COSREL_UNSUPPORTED;
    assert_int_equal(cosrel_probe_ask(&d->machine, 0, &probe, COSREL_S, &copying), COSREL_UNSUPPORTED);
    cosrel_probe_clear(&probe);
    device_end(d);
    free(d);
    fixture_end(&f);
  }
}

static void test_nan_is_seen(void **unused) {
  (void)unused;
  static float x[10007];
  for (uint64_t n = 0; n < 10007; n += 97) {
    x[n] = INFINITY;
    assert_false(cosrel_floats_have_nan(x, 10007));
    x[n] = NAN;
    assert_true(cosrel_floats_have_nan(x, 10007));
    assert_false(cosrel_floats_have_nan(x, n));
    x[n] = -INFINITY;
  }
}

/* ---- Random faults on doubles ---- */

/* One run; adds to *n_faults. */
static void faulty_run(int index, uint32_t apart, const char *specs, uint64_t seed, cosrel_time horizon,
                       uint64_t *n_faults) {
  fixture f;
  cosrel_injector injector;
  cosrel_injection_plan plan = plan_of(specs);
  contract_case(&f, index);
  device *d = fixture_alloc(1, sizeof *d);
  device_begin(d, &f, apart);
  device_share_bytes(d);
  device_inject(d, &plan, seed, &injector);
  d->config.budget_floor = 30 * COSREL_MS;
  device_start(d);
  uint64_t key = seed;
  cosrel_policy policy = {&any_ops, &key};
  contract_faults = n_faults;
  contract_run_on(cosrel_runtime_driver(d->runtime), &f.c, &policy, seed, horizon, false);
  contract_faults = NULL;
  if (d->n_wrong != 0) fail_msg("%s, seed %u, apart %u: wrong outputs", specs, (unsigned)seed, (unsigned)apart);
  device_end(d);
  assert_int_equal(d->n_left, 0);
  free(d);
  fixture_end(&f);
}

static void test_random_faults(void **unused) {
  (void)unused;
  static const char *const specs[] = {"any=error:p=0.1",
                                      "any=nan:p=0.1",
                                      "gpu=lost:p=0.1:for=0.02 any=error:p=0.03",
                                      "any=hang:p=0.03",
                                      "cpu=lost:at=0.02 any=nan:p=0.05",
                                      "gpu=error:at=0.01:for=0.05 dsp=nan:every=3"};
  uint64_t n_faults = 0;
  for (uint64_t i = 0; i < 36; i++) {
    int index = (int)(i % 3); /* two or three processors, chains and branches */
    faulty_run(index, (uint32_t)(cosrel_rng_key(i, 1) >> 61), specs[i / 3 % 6], i, 60 * COSREL_MS, &n_faults);
  }
  assert_true(n_faults > 36);
}

typedef struct health {
  uint32_t quarantined, ill, restored;
} health;
static void see_health(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor,
                       cosrel_health what) {
  (void)c, (void)state, (void)processor;
  health *h = self;
  if (what == COSREL_QUARANTINED) h->quarantined++;
  if (what == COSREL_STILL_ILL) h->ill++;
  if (what == COSREL_RESTORED) h->restored++;
}

/* A chain on two processors, periodic. */
typedef struct chain_run {
  fixture f;
  cosrel_injector injector;
  cosrel_injection_plan plan;
  device d;
  health seen;
  cosrel_failures counts;
} chain_run;

static chain_run *run_chain(const char *specs, double seconds) {
  chain_run *r = fixture_alloc(1, sizeof *r);
  fixture *f = &r->f;
  device *d = &r->d;
  r->plan = plan_of(specs);
  fixture_begin(f, 2);
  fixture_chain(f, "m", 4, (double[]){1, 1, 1, 1, 1, 1, 1, 1});
  fixture_stream(f, "m", COSREL_ARRIVALS_PERIODIC, 50)->drop_late = false;
  fixture_compile(f);
  device_begin(d, f, 2);
  device_share_bytes(d);
  device_inject(d, &r->plan, 1, &r->injector);
  device_start(d);
  cosrel_failure_counter counter;
  cosrel_sink sink = {.self = &r->seen, .health = see_health};
  cosrel_failure_counter_begin(&f->c, &counter);
  counter.sink.next = &sink;
  cosrel_engine engine;
  assert_int_equal(cosrel_engine_create(&f->c, cosrel_runtime_driver(d->runtime), &engine, NULL), COSREL_OK);
  engine.sinks = &counter.sink;
  uint64_t key = 0;
  cosrel_policy policy = {&any_ops, &key};
  assert_int_equal(cosrel_engine_run(&engine, &policy, 1, (cosrel_time)(seconds * 1e9), NULL), COSREL_OK);
  cosrel_failure_counter_end(&counter, engine.state->now, &r->counts);
  const cosrel_stream_state *stream = &engine.state->streams[0];
  assert_int_equal(stream->arrived, stream->completed + stream->dropped + stream->failed);
  assert_int_equal(d->n_wrong, 0);
  assert_true(d->n_outputs >= stream->completed && stream->completed > 0);
  cosrel_engine_destroy(&engine);
  device_end(d);
  return r;
}

/* Nothing can stop a segment: its worker is abandoned, its request starts anew on other memory, and the processor is
 * taken back when the worker has returned. */
static void test_a_stuck_worker_is_abandoned(void **unused) {
  (void)unused;
  chain_run *r = run_chain("gpu=stuck:at=0.1:for=2", 3.5);
  assert_int_equal(r->d.n_left, 0);
  assert_true(r->seen.quarantined > 0 && r->seen.restored > 0 && r->seen.ill > 0);
  assert_true(r->counts.processors[1].faults[COSREL_FAULT_HANG] > 0 && r->counts.restarts > 0);
  fixture_end(&r->f);
  free(r);
}

/* It does not even come back for the end of the run, which goes on without it. What it may look at is kept. */
static void test_the_end_does_not_wait_for_ever(void **unused) {
  (void)unused;
  static chain_run *kept;
  kept = run_chain("gpu=stuck:at=0.05:for=5", 0.3);
  assert_int_equal(kept->d.n_left, 1);
  assert_true(kept->seen.quarantined > 0);
  cosrel_time left = kept->injector.epoch + 5300 * COSREL_MS - cosrel_monotonic_now();
  struct timespec pause = {.tv_sec = (time_t)(left / COSREL_S), .tv_nsec = (long)(left % COSREL_S)};
  if (left > 0) nanosleep(&pause, NULL); /* it has come back now, and has cleaned up */
}

static void decide(cosrel_engine *engine, uint8_t processor, uint16_t begin, uint16_t end) {
  cosrel_step step;
  assert_int_equal(cosrel_engine_step(engine, &step), COSREL_OK);
  assert_int_equal(step, COSREL_STEP_DECIDE);
  cosrel_candidate choice = {.action = COSREL_RUN, .processor = processor, .batch = 1, .begin = begin, .end = end};
  assert_int_equal(cosrel_engine_decide(engine, &choice), COSREL_OK);
}

/* One processor hangs while it is given a tensor. The other waits for that request's tensors, but not for ever, and is
 * not to blame; the request starts anew there. */
static void test_a_transfer_that_hangs_hangs_nobody_else(void **unused) {
  (void)unused;
  fixture f;
  const cosrel_injection_plan plan = {0};
  const int32_t inputs[] = {COSREL_MODEL_INPUT, FIXTURE_END, 0, FIXTURE_END, 0, FIXTURE_END, 1, 2, FIXTURE_END};
  fixture_begin(&f, 2);
  fixture_dag(&f, "fork", 4, (double[]){1, 1, 1, 1, 1, 1, 1, 1}, inputs, ELEMENTS);
  cosrel_stream *stream = fixture_stream(&f, "fork", COSREL_ARRIVALS_RECORDED, 1);
  stream->arrivals.n_times = 1;
  stream->arrivals.times = fixture_alloc(1, sizeof(cosrel_time));
  fixture_compile(&f);
  device *d = fixture_alloc(1, sizeof *d);
  cosrel_injector injector;
  device_begin(d, &f, 2);
  device_inject(d, &plan, 1, &injector);
  d->config.budget_floor = 30 * COSREL_MS;
  device_start(d);
  cosrel_engine engine;
  cosrel_failure_counter counter;
  cosrel_step step;
  assert_int_equal(cosrel_engine_create(&f.c, cosrel_runtime_driver(d->runtime), &engine, NULL), COSREL_OK);
  cosrel_failure_counter_begin(&f.c, &counter);
  engine.sinks = &counter.sink;
  cosrel_engine_reset(&engine, 1, 10 * COSREL_S);
  fake_shut(&d->fakes[1], true);
  decide(&engine, 0, 0, 1);
  decide(&engine, 1, 1, 2);
  decide(&engine, 0, 2, 3);
  decide(&engine, 0, 0, 4); /* both have ended, one by being abandoned */
  assert_int_equal(counter.counts.processors[0].quarantines, 0);
  assert_int_equal(counter.counts.processors[1].faults[COSREL_FAULT_HANG], 1);
  fake_shut(&d->fakes[1], false);
  assert_int_equal(cosrel_engine_step(&engine, &step), COSREL_OK);
  assert_int_equal(step, COSREL_STEP_DONE);
  assert_int_equal(engine.state->streams[0].completed, 1);
  assert_true(d->n_outputs == 1 && d->n_wrong == 0);
  cosrel_engine_destroy(&engine);
  device_end(d);
  assert_int_equal(d->n_left, 0);
  free(d);
  fixture_end(&f);
}

/* ---- Real backends ---- */

static char folder[] = "/tmp/cosrel-recover-XXXXXX";

static int make_folder(void **state) {
  (void)state;
  if (mkdtemp(folder) == NULL) return -1;
  char path[128];
  snprintf(path, sizeof path, "%s/small.json", folder);
  FILE *f = fopen(path, "w");
  if (f == NULL) return -1;
  fputs(
      "{\"format\": \"cosrel-workload\", \"version\": 1, \"name\": \"small\", \"streams\": ["
      "{\"name\": \"camera\", \"model\": \"squeezenet1_1@32\", \"arrivals\": {\"kind\": \"closed\", \"rate_hz\": 60}},"
      "{\"name\": \"user\", \"model\": \"mobilenet_v2@32\", \"arrivals\": {\"kind\": \"poisson\", \"rate_hz\": 40}, "
      "\"deadline_ms\": 500}]}",
      f);
  return fclose(f);
}
static int remove_folder(void **state) {
  (void)state;
  char line[128];
  snprintf(line, sizeof line, "rm -r %s", folder);
  return system(line);
}

/* `cosrel run` on two processors of one backend, then on two kinds: every output is checked against the reference
 * executor while segments fail in every way, devices are opened again and processors come back. */
static void test_real_runs_with_faults(void **unused) {
  (void)unused;
  static char output[1 << 16];
  static const char *const processors[] = {"a=reference b=reference", "a=xnnpack:threads=1 b=reference"};
  static const char *const faults[] = {"any=error:p=0.1", "any=nan:every=5", "a=lost:at=0.1:for=0.2",
                                       "b=lost:p=0.1 a=error:p=0.02", "a=hang:every=40"};
  for (size_t k = 0; k < 2; k++) {
    if (k == 1 && cosrel_backend_find("xnnpack") == NULL) {
      printf("skipped: faults on xnnpack: it is not in this build\n");
      break;
    }
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
      char line[512];
      snprintf(line, sizeof line,
               "run --workload %s/small.json --policy random --duration 0.6 --verify --json --processor %s --fault %s",
               folder, processors[k], faults[i]);
      if (command_run(line, "2>/dev/null", output, sizeof output) != 0) fail_msg("cosrel %s", line);
      if (strstr(output, "\"failures\": {") == NULL || strstr(output, "\"verified\": {") == NULL) fail_msg("%s", line);
    }
  }
}

static void test_bad_specs_are_refused(void **unused) {
  (void)unused;
  char line[512], output[1024];
  snprintf(line, sizeof line, "run --workload %s/small.json --policy eft --processor a=reference --fault b=error",
           folder);
  assert_int_equal(command_run(line, "2>&1 >/dev/null | tail -n 1; test ${PIPESTATUS:-0}", output, sizeof output), 0);
  assert_non_null(strstr(output, "--fault b=...: "));
  snprintf(line, sizeof line, "run --workload %s/small.json --policy eft --fault a=flood", folder);
  assert_int_equal(command_run(line, "2>&1", output, sizeof output), 2);
  assert_non_null(strstr(output, "--fault a=flood: expected error, hang, stuck, nan or lost"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_is_whole),
      cmocka_unit_test(test_a_probe_sees_what_is_wrong),
      cmocka_unit_test(test_nan_is_seen),
      cmocka_unit_test(test_random_faults),
      cmocka_unit_test(test_a_stuck_worker_is_abandoned),
      cmocka_unit_test(test_the_end_does_not_wait_for_ever),
      cmocka_unit_test(test_a_transfer_that_hangs_hangs_nobody_else),
      cmocka_unit_test(test_real_runs_with_faults),
      cmocka_unit_test(test_bad_specs_are_refused),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
