/* Memory budgets on the command line: what --memory takes, what reports and traces say, and that every command refuses
 * what cannot fit in the same way. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/command.h"
#include "traces/profile_file.h"

#define PROFILE "traces/profiles/snapdragon865.json"
#define WORKLOAD "experiments/workloads/test/drone.json"
#define CASE "--profile " PROFILE " --workload " WORKLOAD
#define TRACE "test_memory_trace.json"
#define TIMELINE "test_memory_timeline.json"
#define TIGHT "test_memory_profile.json"

static char output[1 << 20];

static double number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_number(value)) fail_msg("no number %s", key);
  return json_number_value(value);
}

static json_t *replay(const char *options) {
  char line[1024];
  snprintf(line, sizeof line, "replay " CASE " --json --duration 2 %s", options);
  assert_int_equal(command_run(line, "2>/dev/null", output, sizeof output), 0);
  json_t *root = json_loads(output, 0, NULL);
  assert_non_null(root);
  return root;
}

static void test_reports(void **state) {
  (void)state;
  json_t *free_of_limits = replay("--policy lp-price");
  assert_null(json_object_get(free_of_limits, "memory"));
  json_t *root = replay("--policy lp-price --memory dsp=30:1000 gpu=40:2000 --trace " TRACE " --perfetto " TIMELINE);
  json_t *list = json_object_get(root, "memory");
  assert_int_equal(json_array_size(list), 2);
  json_t *gpu = json_array_get(list, 0), *dsp = json_array_get(list, 1);
  assert_string_equal(json_string_value(json_object_get(dsp, "processor")), "dsp");
  assert_int_equal((int)number(dsp, "budget_bytes"), 30 << 20);
  assert_true(number(dsp, "peak_bytes") <= 30 << 20 && number(dsp, "peak_bytes") > 0);

  /* The trace tells the same: bytes come and go within the budget, segments wait as long in all. */
  json_t *trace = json_load_file(TRACE, 0, NULL), *event;
  double loads[3] = {0}, ahead[3] = {0}, evictions[3] = {0}, waited[3] = {0}, bytes[3] = {0}, peak[3] = {0};
  size_t i;
  assert_non_null(trace);
  json_array_foreach(json_object_get(trace, "events"), i, event) {
    const char *kind = json_string_value(json_object_get(event, "event"));
    if (strcmp(kind, "segment") == 0) waited[(int)number(event, "processor")] += number(event, "load_ns") * 1e-6;
    if (strcmp(kind, "load") != 0 && strcmp(kind, "evict") != 0) continue;
    int p = (int)number(event, "processor");
    bool load = kind[0] == 'l';
    loads[p] += load;
    evictions[p] += !load;
    bytes[p] += load ? number(event, "bytes") : -number(event, "bytes");
    peak[p] = fmax(peak[p], bytes[p]);
    if (!load) continue;
    ahead[p] += json_is_true(json_object_get(event, "ahead"));
    assert_true(number(event, "ready_ns") > number(event, "t_ns"));
  }
  const json_t *of[] = {NULL, gpu, dsp};
  for (int p = 1; p < 3; p++) {
    assert_true(loads[p] == number(of[p], "loads") && evictions[p] == number(of[p], "evictions"));
    assert_true(ahead[p] == number(of[p], "prefetched") && peak[p] == number(of[p], "peak_bytes"));
    assert_true(fabs(waited[p] - number(of[p], "load_ms")) < 1e-3);
  }
  assert_true(loads[0] == 0 && waited[0] == 0); /* cpu has no budget */
  assert_true(loads[2] > 0);
  json_decref(trace);
  json_t *timeline = json_load_file(TIMELINE, 0, NULL);
  assert_non_null(timeline);
  json_decref(timeline);
  json_decref(root);

  /* Arrivals are read back from such a trace. */
  json_decref(replay("--policy lp-price --arrivals-from " TRACE));
  remove(TRACE);
  remove(TIMELINE);

  json_t *later = replay("--policy lp-price --memory dsp=30:1000 --no-prefetch");
  assert_true(number(json_array_get(json_object_get(later, "memory"), 0), "prefetched") == 0);
  json_decref(later);

  /* Room for all at no cost, and no budget after all, are as no limit. */
  const char *const same[] = {"--policy lp-price --memory dsp=4000", "--policy lp-price --memory dsp=1:1 dsp=0"};
  for (int k = 0; k < 2; k++) {
    json_t *other = replay(same[k]);
    json_object_del(other, "memory");
    assert_true(json_equal(other, free_of_limits));
    json_decref(other);
  }
  json_decref(free_of_limits);

  /* compare keeps of every run what replay says of it. */
#define SAME "--arrivals poisson --load 0.6 --memory dsp=30:1000 gpu=40:2000"
  json_t *replayed = replay("--policy lp-price " SAME);
  assert_int_equal(command_run("compare " CASE " --json --duration 2 --seeds 1 --policies lp-price,fcfs " SAME,
                               "2>/dev/null", output, sizeof output),
                   0);
  json_t *compared = json_loads(output, 0, NULL);
  assert_non_null(compared);
  assert_true(json_equal(json_object_get(json_array_get(json_object_get(compared, "cells"), 0), "memory"),
                         json_object_get(replayed, "memory")));
  json_decref(replayed);
  json_decref(compared);

  assert_int_equal(
      command_run("replay " CASE " --policy eft --duration 1 --memory dsp=30:1000", "", output, sizeof output), 0);
  assert_non_null(strstr(output, "weights on         budget MiB"));
}

static void test_bad_options(void **state) {
  (void)state;
  static const char *const bad[] = {"dsp",    "dsp=",    "=3",        "dsp=x",   "dsp=-1",
                                    "dsp=1:", "dsp=1:0", "dsp=1:2:3", "dsp=1e9", "a-name-that-is-too-long=3"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char line[512];
    snprintf(line, sizeof line, "bound " CASE " --memory %s", bad[i]);
    assert_int_equal(command_run(line, "2>&1", output, sizeof output), 2);
    if (strncmp(output, "cosrel: --memory: expected PROCESSOR=MiB", 40) != 0) fail_msg("%s: %s", bad[i], output);
  }
  assert_int_equal(command_run("bound " CASE " --memory npu=3", "2>&1", output, sizeof output), 2);
  assert_string_equal(output, "cosrel: --memory: no profile has a processor named npu\n");
}

/* resnet50 has 25 557 032 weights: 24.37 MiB where they are int8. */
static void test_refusal(void **state) {
  (void)state;
  static const char line[] =
      "cosrel: stream target: the weights of resnet50 fit on no processor that runs its unit conv1; needed of budget: "
      "cpu 24.37 of 20.00 MiB, gpu 24.37 of 10.00 MiB, dsp 24.37 of 2.00 MiB\n";
  static const char *const commands[] = {"bound " CASE, "replay " CASE " --policy eft", "compare " CASE};
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    char full[512];
    snprintf(full, sizeof full, "%s --memory cpu=20 gpu=10 dsp=2", commands[i]);
    assert_int_equal(command_run(full, "2>&1", output, sizeof output), 2);
    assert_string_equal(output, line);
  }
  /* The same budgets in the profile itself. */
  cosrel_profile profile;
  cosrel_error error = {""};
  assert_int_equal(cosrel_profile_read(PROFILE, &profile, &error), COSREL_OK);
  const uint64_t mib[] = {20, 10, 2};
  for (uint32_t p = 0; p < 3; p++) profile.processors[p].memory_bytes = mib[p] << 20;
  assert_int_equal(cosrel_profile_write(TIGHT, &profile, &error), COSREL_OK);
  cosrel_profile_clear(&profile);
  static const char *const own[] = {"replay --policy cosrel", "train -o test_memory_policy", "compare"};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    char full[512];
    snprintf(full, sizeof full, "%s --profile " TIGHT " --workload " WORKLOAD, own[i]);
    assert_int_equal(command_run(full, "2>&1", output, sizeof output), 2);
    assert_string_equal(output, line);
  }
  assert_int_equal(access("test_memory_policy", F_OK), -1);
  remove(TIGHT);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_reports), cmocka_unit_test(test_bad_options),
                                     cmocka_unit_test(test_refusal)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
