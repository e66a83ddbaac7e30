/* The runtime's logic, without timing, on doubles: tensors are where they are read, segments end in order, a processor
 * that fails or hangs ends the run cleanly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/doubles.h"

/* ---- Tests ---- */

/* Random placements of chains and branches: what comes out is right whatever memory the processors have. */
static void test_outputs_are_right_in_any_memory(void **unused) {
  (void)unused;
  static const uint32_t apart[] = {0, 1, 2, 3, 5, 7};
  for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
    for (int index = 1; index < 3; index++) {
      fixture f;
      contract_case(&f, index); /* three processors, branchy models */
      device *d = fixture_alloc(1, sizeof *d);
      device_begin(d, &f, apart[i]);
      device_start(d);
      uint64_t key = i;
      cosrel_policy policy = {&any_ops, &key};
      contract_run_on(cosrel_runtime_driver(d->runtime), &f.c, &policy, 3, 60 * COSREL_MS, false);
      cosrel_runtime_stats stats;
      cosrel_runtime_get_stats(d->runtime, &stats);
      assert_true(d->n_outputs > 0);
      assert_int_equal(d->n_wrong, 0);
      assert_int_equal(stats.n_copies > 0, apart[i] != 0);
      for (uint32_t p = 0; p < 3; p++)
        assert_true(stats.busy_ns[p] >= stats.kernel_ns[p] + stats.transfer_ns[p] && stats.kernel_ns[p] >= 0);
      device_end(d);
      free(d);
      fixture_end(&f);
    }
}

/* Drives an engine by hand: the next choice must be due, and is applied. */
static void decide(cosrel_engine *engine, uint8_t processor, uint16_t begin, uint16_t end) {
  cosrel_step step;
  assert_int_equal(cosrel_engine_step(engine, &step), COSREL_OK);
  assert_int_equal(step, COSREL_STEP_DECIDE);
  cosrel_candidate choice = {.action = COSREL_RUN, .processor = processor, .batch = 1, .begin = begin, .end = end};
  assert_int_equal(cosrel_engine_decide(engine, &choice), COSREL_OK);
}

static void finish(cosrel_engine *engine) {
  cosrel_step step;
  assert_int_equal(cosrel_engine_step(engine, &step), COSREL_OK);
  assert_int_equal(step, COSREL_STEP_DONE);
}

/* One request of a chain on two processors, the second with memory of its own. */
static void test_tensors_move_only_when_they_must(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "m", 6, (double[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1});
  cosrel_stream *stream = fixture_stream(&f, "m", COSREL_ARRIVALS_RECORDED, 1);
  stream->arrivals.n_times = 1;
  stream->arrivals.times = fixture_alloc(1, sizeof(cosrel_time));
  fixture_compile(&f);
  device *d = fixture_alloc(1, sizeof *d);
  device_begin(d, &f, 2);
  device_start(d);
  cosrel_engine engine;
  assert_int_equal(cosrel_engine_create(&f.c, cosrel_runtime_driver(d->runtime), &engine, NULL), COSREL_OK);
  cosrel_engine_reset(&engine, 1, 10 * COSREL_S);
  decide(&engine, 0, 0, 2); /* input and result in host memory */
  decide(&engine, 1, 2, 3); /* one tensor in */
  decide(&engine, 1, 3, 4); /* nothing moves */
  decide(&engine, 0, 4, 5); /* one tensor out */
  decide(&engine, 1, 5, 6); /* one in, and the model's output out */
  finish(&engine);
  cosrel_runtime_stats stats;
  cosrel_runtime_get_stats(d->runtime, &stats);
  assert_int_equal(stats.n_copies, 4);
  assert_int_equal(stats.copied_bytes, 4 * ELEMENTS * sizeof(float));
  assert_int_equal(d->fakes[1].writes, 2);
  assert_int_equal(d->fakes[1].reads, 2);
  assert_int_equal(stats.n_segments[0] + stats.n_segments[1], 5);
  assert_int_equal(d->n_outputs, 1);
  assert_int_equal(d->n_wrong, 0);
  cosrel_engine_destroy(&engine);
  device_end(d);
  free(d);
  fixture_end(&f);
}

/* A fork: unit 0, then 1 and 2 side by side, then 3. */
static void fork_fixture(fixture *f, uint32_t n_processors, uint32_t n_streams) {
  fixture_begin(f, n_processors);
  double ms[4 * COSREL_PROCESSORS_MAX];
  for (uint32_t i = 0; i < 4 * n_processors; i++) ms[i] = 1;
  const int32_t inputs[] = {COSREL_MODEL_INPUT, FIXTURE_END, 0, FIXTURE_END, 0, FIXTURE_END, 1, 2, FIXTURE_END};
  fixture_dag(f, "fork", 4, ms, inputs, ELEMENTS);
  for (uint32_t s = 0; s < n_streams; s++) {
    cosrel_stream *stream = fixture_stream(f, "fork", COSREL_ARRIVALS_RECORDED, 1);
    stream->arrivals.n_times = 1;
    stream->arrivals.times = fixture_alloc(1, sizeof(cosrel_time));
  }
  fixture_compile(f);
}

/* A tensor is fetched from a processor that is in the middle of a segment. */
static void test_a_busy_processor_gives_its_tensors_away(void **unused) {
  (void)unused;
  fixture f;
  fork_fixture(&f, 2, 1);
  device *d = fixture_alloc(1, sizeof *d);
  device_begin(d, &f, 3);
  device_start(d);
  cosrel_engine engine;
  assert_int_equal(cosrel_engine_create(&f.c, cosrel_runtime_driver(d->runtime), &engine, NULL), COSREL_OK);
  cosrel_engine_reset(&engine, 1, 10 * COSREL_S);
  decide(&engine, 0, 0, 1);
  cosrel_step step;
  assert_int_equal(cosrel_engine_step(&engine, &step), COSREL_OK); /* unit 0 has ended */
  fake_gate(&d->fakes[0], true);
  decide(&engine, 0, 1, 2);
  fake_await(&d->fakes[0]);
  decide(&engine, 1, 2, 3);                         /* needs the output of unit 0, which is on processor 0 */
  while (!cosrel_processor_idle(engine.state, 1)) { /* ends although processor 0 stands at its gate */
    cosrel_time now;
    int32_t processor;
    cosrel_failure failure = {0};
    const cosrel_driver *driver = &engine.driver;
    assert_int_equal(driver->ops->wait(driver->self, &f.c, engine.state, COSREL_TIME_NEVER, &now, &processor, &failure),
                     COSREL_OK);
    assert_int_equal(processor, 1);
    cosrel_state_advance(&f.c, engine.state, now);
    cosrel_state_finish(&f.c, engine.state, 1, NULL, NULL);
  }
  assert_false(cosrel_processor_idle(engine.state, 0));
  fake_gate(&d->fakes[0], false);
  decide(&engine, 1, 3, 4);
  finish(&engine);
  assert_int_equal(d->n_outputs, 1);
  assert_int_equal(d->n_wrong, 0);
  cosrel_engine_destroy(&engine);
  device_end(d);
  free(d);
  fixture_end(&f);
}

/* A segment that fails ends the run with a line that says where; what hangs beside it is cancelled. */
static void test_a_failure_ends_the_run(void **unused) {
  (void)unused;
  static const cosrel_status failures[] = {COSREL_IO, COSREL_INTERRUPTED, COSREL_UNSUPPORTED};
  for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
    fixture f;
    fork_fixture(&f, 2, 1);
    device *d = fixture_alloc(1, sizeof *d);
    device_begin(d, &f, 1);
    d->fakes[1].fails_at = 1;
    d->fakes[1].failure = failures[i];
    device_start(d);
    cosrel_engine engine;
    cosrel_step step;
    assert_int_equal(cosrel_engine_create(&f.c, cosrel_runtime_driver(d->runtime), &engine, NULL), COSREL_OK);
    cosrel_engine_reset(&engine, 1, 10 * COSREL_S);
    decide(&engine, 0, 0, 1);
    assert_int_equal(cosrel_engine_step(&engine, &step), COSREL_OK);
    fake_gate(&d->fakes[0], true); /* for ever */
    decide(&engine, 0, 1, 2);
    decide(&engine, 1, 2, 3);
    assert_int_equal(cosrel_engine_step(&engine, &step), failures[i]);
    cosrel_error error;
    cosrel_runtime_last_error(d->runtime, &error);
    if (strstr(error.text, "processor gpu, stream s0, request 0, units 2 to 2: ") == NULL) fail_msg("%s", error.text);
    fake_await(&d->fakes[0]);
    cosrel_engine_destroy(&engine);
    device_end(d); /* returns only when the gate was cancelled */
    assert_true(d->fakes[0].cancelled);
    free(d);
    fixture_end(&f);
  }
}

static cosrel_status refuse_output(void *self, uint32_t stream, uint64_t sequence, const cosrel_network *network,
                                   const void *arena, cosrel_error *error) {
  (void)self, (void)network, (void)arena;
  if (sequence < 2) return COSREL_OK;
  return cosrel_fail(error, COSREL_INTERNAL, "stream %u, request %u: not what I want", stream, (unsigned)sequence);
}

static void test_an_output_may_end_the_run(void **unused) {
  (void)unused;
  fixture f;
  contract_case(&f, 0);
  device *d = fixture_alloc(1, sizeof *d);
  device_begin(d, &f, 0);
  d->io[1].output = refuse_output;
  device_start(d);
  cosrel_engine engine;
  assert_int_equal(cosrel_engine_create(&f.c, cosrel_runtime_driver(d->runtime), &engine, NULL), COSREL_OK);
  uint64_t key = 0;
  cosrel_policy policy = {&any_ops, &key};
  assert_int_equal(cosrel_engine_run(&engine, &policy, 1, 60 * COSREL_S, NULL), COSREL_INTERNAL);
  cosrel_error error;
  cosrel_runtime_last_error(d->runtime, &error);
  assert_string_equal(error.text, "stream 1, request 2: not what I want");
  cosrel_engine_destroy(&engine);
  device_end(d);
  free(d);
  fixture_end(&f);
}

static _Atomic int asked;
static bool stop_soon(void) { return ++asked > 20; }

/* Open and closed loops end early, every request accounted for. */
static void test_a_run_can_be_stopped(void **unused) {
  (void)unused;
  for (int index = 0; index < 3; index++) {
    fixture f;
    contract_case(&f, index);
    device *d = fixture_alloc(1, sizeof *d);
    device_begin(d, &f, 2);
    d->config.stop = stop_soon;
    asked = 0;
    device_start(d);
    cosrel_engine engine;
    assert_int_equal(cosrel_engine_create(&f.c, cosrel_runtime_driver(d->runtime), &engine, NULL), COSREL_OK);
    uint64_t key = 0;
    cosrel_policy policy = {&any_ops, &key};
    assert_int_equal(cosrel_engine_run(&engine, &policy, 1, 3600 * COSREL_S, NULL), COSREL_OK);
    assert_true(engine.state->horizon < 3600 * COSREL_S);
    for (uint32_t s = 0; s < f.c.n_streams; s++) {
      const cosrel_stream_state *stream = &engine.state->streams[s];
      assert_int_equal(stream->arrived, stream->completed + stream->dropped);
    }
    assert_int_equal(d->n_wrong, 0);
    cosrel_engine_destroy(&engine);
    device_end(d);
    free(d);
    fixture_end(&f);
  }
}

/* The same runtime runs twice, and the second run begins at 0 with figures of its own. */
static void test_a_runtime_starts_again(void **unused) {
  (void)unused;
  fixture f;
  contract_case(&f, 2);
  device *d = fixture_alloc(1, sizeof *d);
  device_begin(d, &f, 4);
  device_start(d);
  uint64_t key = 0, segments[2];
  cosrel_policy policy = {&any_ops, &key};
  for (int i = 0; i < 2; i++) {
    cosrel_runtime_stats stats;
    cosrel_runtime_start(d->runtime);
    contract_run_on(cosrel_runtime_driver(d->runtime), &f.c, &policy, 3, 50 * COSREL_MS, false);
    cosrel_runtime_get_stats(d->runtime, &stats);
    segments[i] = stats.n_segments[0] + stats.n_segments[1] + stats.n_segments[2];
  }
  assert_int_equal(segments[0] + segments[1], d->fakes[0].n_segments + d->fakes[1].n_segments + d->fakes[2].n_segments);
  assert_true(segments[1] > 0);
  assert_int_equal(d->n_wrong, 0);
  device_end(d);
  free(d);
  fixture_end(&f);
}

/* What cannot be run is refused before it starts, with a line that says why. */
static void refused(device *d, cosrel_status expected, const char *part) {
  cosrel_error error = {""};
  assert_int_equal(cosrel_runtime_create(&d->config, &d->f->c, &d->runtime, &error), expected);
  assert_null(d->runtime);
  if (strstr(error.text, part) == NULL) fail_msg("expected '%s' in: %s", part, error.text);
}

static void test_what_cannot_run_is_refused(void **unused) {
  (void)unused;
  fixture f;
  contract_case(&f, 0);
  device *d = fixture_alloc(1, sizeof *d);
  device_begin(d, &f, 2);
  d->config.memory_bytes = 1000;
  refused(d, COSREL_LIMIT, "MiB");
  d->config.memory_bytes = 0;
  d->fakes[1].unsupported = 1; /* the host's, which can run everything by the profile */
  refused(d, COSREL_UNSUPPORTED, "cannot compute unit u0");
  d->fakes[1].unsupported = 0;
  d->networks[1].model.n_units--;
  refused(d, COSREL_INVALID, "units");
  d->networks[1].model.n_units++;
  d->machine.n_processors = 1;
  refused(d, COSREL_INVALID, "processors");
  device_end(d);
  free(d);
  fixture_end(&f);
}

/* What is prepared on a processor never takes more than its budget, and what is computed with it is right: a request
 * computed while its network is not there would be caught by contract.h as well. */
static void test_weights_come_and_go_within_the_budget(void **unused) {
  (void)unused;
  for (int index = 6; index < 8; index++)
    for (uint32_t apart = 0; apart < 4; apart += 3) {
      fixture f;
      contract_case(&f, index);
      device *d = fixture_alloc(1, sizeof *d);
      device_begin(d, &f, apart);
      for (int again = 0; again < 2; again++) {
        if (again == 0)
          device_start(d);
        else
          cosrel_runtime_start(d->runtime);
        uint64_t key = apart;
        cosrel_policy policy = {&any_ops, &key};
        contract_run_on(cosrel_runtime_driver(d->runtime), &f.c, &policy, 3, (index == 6 ? 300 : 5) * COSREL_MS, false);
        cosrel_runtime_stats stats;
        cosrel_runtime_get_stats(d->runtime, &stats);
        uint64_t loads = 0;
        for (uint32_t p = 0; p < f.c.n_processors; p++) {
          assert_true(d->fakes[p].most_weights <= f.c.budget[p]);
          loads += stats.n_loads[p];
        }
        assert_true(loads > 1 || again); /* what is still there need not be loaded again */
      }
      assert_true(d->n_outputs > 0);
      assert_int_equal(d->n_wrong, 0);
      cosrel_runtime_destroy(d->runtime);
      d->runtime = NULL;
      for (uint32_t p = 0; p < f.c.n_processors; p++) assert_int_equal(d->fakes[p].n_prepared, 0);
      device_end(d);
      free(d);
      fixture_end(&f);
    }
}

/* A processor that cannot prepare fails the segment that waits for it. */
static void test_weights_that_cannot_be_loaded(void **unused) {
  (void)unused;
  fixture f;
  contract_case(&f, 7);
  device *d = fixture_alloc(1, sizeof *d);
  device_begin(d, &f, 0);
  for (uint32_t p = 0; p < f.c.n_processors; p++) d->fakes[p].refuses = 1;
  device_start(d);
  uint64_t key = 1;
  cosrel_policy policy = {&any_ops, &key};
  cosrel_engine engine;
  cosrel_error error = {""};
  assert_int_equal(cosrel_engine_create(&f.c, cosrel_runtime_driver(d->runtime), &engine, NULL), COSREL_OK);
  assert_int_equal(cosrel_engine_run(&engine, &policy, 1, COSREL_S, &error), COSREL_NOMEM);
  cosrel_runtime_last_error(d->runtime, &error);
  assert_non_null(strstr(error.text, cosrel_status_text(COSREL_NOMEM)));
  cosrel_engine_destroy(&engine);
  device_end(d);
  free(d);
  fixture_end(&f);
}

/* Every built-in policy keeps the contract on workers as in the simulator; only the same run twice cannot be asked. */
static void test_every_policy_runs_on_workers(void **unused) {
  (void)unused;
  for (const cosrel_policy_ops *const *p = cosrel_policy_list(); *p != NULL; p++)
    for (int index = 0; index < 2; index++) {
      fixture f;
      contract_case(&f, index);
      device *d = fixture_alloc(1, sizeof *d);
      device_begin(d, &f, 2);
      device_start(d);
      cosrel_policy_config config = {.seed = 1, .plan_budget = 50, .duration_s = 0.02};
      cosrel_policy policy;
      assert_int_equal(cosrel_policy_create((*p)->name, &f.c, &config, &policy, NULL), COSREL_OK);
      contract_run_on(cosrel_runtime_driver(d->runtime), &f.c, &policy, 1, (index == 0 ? 5 : 50) * COSREL_MS, true);
      assert_true(d->n_outputs > 0);
      assert_int_equal(d->n_wrong, 0);
      cosrel_policy_destroy(&policy);
      device_end(d);
      free(d);
      fixture_end(&f);
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_outputs_are_right_in_any_memory),
      cmocka_unit_test(test_tensors_move_only_when_they_must),
      cmocka_unit_test(test_a_busy_processor_gives_its_tensors_away),
      cmocka_unit_test(test_a_failure_ends_the_run),
      cmocka_unit_test(test_an_output_may_end_the_run),
      cmocka_unit_test(test_a_run_can_be_stopped),
      cmocka_unit_test(test_a_runtime_starts_again),
      cmocka_unit_test(test_what_cannot_run_is_refused),
      cmocka_unit_test(test_weights_come_and_go_within_the_budget),
      cmocka_unit_test(test_weights_that_cannot_be_loaded),
      cmocka_unit_test(test_every_policy_runs_on_workers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
