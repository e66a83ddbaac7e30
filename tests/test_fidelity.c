/* Traces against simulations of their runs. A trace that the simulator itself wrote predicts itself exactly. Runs the
 * program named by $COSREL, build/cosrel without it, from the root of the repository. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <jansson.h>

#include "experiments/fidelity.h"
#include "tests/command.h"
#include "tests/fixtures.h"

#define PROFILE "traces/profiles/snapdragon865.json"
#define WORKLOAD "experiments/workloads/test/drone.json"
#define OUTPUT_MAX (1 << 20)

static char folder[] = "/tmp/cosrel-test-fidelity-XXXXXX";

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) != NULL ? 0 : -1;
}
static int remove_folder(void **state) {
  (void)state;
  char line[128];
  snprintf(line, sizeof line, "rm -r %s", folder);
  return system(line);
}

/* Exit status of a command; what it prints, stderr first, is in `output`. */
static char output[OUTPUT_MAX];
static int run(const char *format, ...) {
  char arguments[2048];
  va_list list;
  va_start(list, format);
  vsnprintf(arguments, sizeof arguments, format, list);
  va_end(list);
  return command_run(arguments, "2>&1", output, sizeof output);
}

static void works(int status) {
  if (status != 0) fail_msg("exit status %d: %.1000s", status, output);
}

/* ---- Ranking ---- */

static void test_kendall_tau(void **state) {
  (void)state;
  const double a[] = {1, 2, 3, 4}, same[] = {10, 20, 30, 40}, reversed[] = {4, 3, 2, 1}, swapped[] = {1, 3, 2, 4};
  const double tied[] = {1, 2, 2, 4}, flat[] = {7, 7, 7, 7};
  assert_true(cosrel_kendall_tau(a, same, 4) == 1);
  assert_true(cosrel_kendall_tau(a, reversed, 4) == -1);
  assert_true(fabs(cosrel_kendall_tau(a, swapped, 4) - 4.0 / 6) < 1e-12);
  assert_true(fabs(cosrel_kendall_tau(a, tied, 4) - 5 / sqrt(5.0 * 6.0)) < 1e-12); /* tau-b */
  assert_true(cosrel_kendall_tau(tied, tied, 4) == 1);
  assert_true(isnan(cosrel_kendall_tau(a, flat, 4)));
}

/* ---- What is gathered ---- */

static void test_tally(void **state) {
  (void)state;
  cosrel_tally *tally = fixture_alloc(1, sizeof *tally);
  cosrel_tally_begin(tally, 2, 1);
  cosrel_tally_run(tally, COSREL_S);
  for (int i = 0; i < 100; i++) /* latencies 1 to 100 ms; the last one ends behind the horizon */
    cosrel_tally_outcome(tally, &(cosrel_recorded_outcome){.arrival = i < 99 ? 0 : COSREL_S,
                                                           .end = (i < 99 ? 0 : COSREL_S) + (i + 1) * COSREL_MS,
                                                           .ntt = 2,
                                                           .utility = 0.75});
  cosrel_tally_outcome(tally, &(cosrel_recorded_outcome){.stream = 1, .end = COSREL_MS, .ntt = 5, .dropped = true});
  cosrel_tally_segment(tally, &(cosrel_recorded_segment){COSREL_S / 4, COSREL_S / 2, 0});
  cosrel_tally_segment(tally, &(cosrel_recorded_segment){COSREL_S * 3 / 4, COSREL_S * 2, 0}); /* a quarter counts */
  cosrel_tally_power(tally, 3);
  assert_true(cosrel_tally_figure(tally, COSREL_TALLY_RATE, -1) == 99);
  assert_true(fabs(cosrel_tally_figure(tally, COSREL_TALLY_MEAN, 0) - 50.5) < 1e-9);
  assert_true(fabs(cosrel_tally_figure(tally, COSREL_TALLY_P95, -1) - 95.05) < 1e-9);
  assert_true(isnan(cosrel_tally_figure(tally, COSREL_TALLY_MEAN, 1))); /* none was completed */
  assert_true(fabs(cosrel_tally_figure(tally, COSREL_TALLY_ANTT, -1) - 3.5) < 1e-12);
  assert_true(fabs(cosrel_tally_figure(tally, COSREL_TALLY_U, -1) - 75.0 / 101) < 1e-12);
  assert_true(fabs(cosrel_tally_figure(tally, COSREL_TALLY_UTILISATION, 0) - 0.5) < 1e-12);
  assert_true(fabs(cosrel_tally_figure(tally, COSREL_TALLY_POWER, -1) - 3) < 1e-12);
  cosrel_tally_run(tally, COSREL_S); /* a second run, in which nothing happens and power is not known */
  cosrel_tally_power(tally, -1);
  assert_true(fabs(cosrel_tally_figure(tally, COSREL_TALLY_UTILISATION, 0) - 0.25) < 1e-12);
  assert_true(isnan(cosrel_tally_figure(tally, COSREL_TALLY_POWER, -1)));
  cosrel_tally_clear(tally);
  free(tally);
}

/* ---- The command ---- */

static void write_trace(const char *policy, const char *loop, const char *arguments) {
  works(run("replay --profile " PROFILE " --workload " WORKLOAD " --policy %s --duration 2 %s --trace %s/%s-%s.json",
            policy, arguments, folder, policy, loop));
}

static json_t *fidelity(const char *arguments) {
  char *text = output;
  works(run("compare --profile " PROFILE " --workload " WORKLOAD " --json %s --trace %s/*-*.json", arguments, folder));
  json_error_t problem;
  json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
  if (root == NULL) fail_msg("%s in: %.500s", problem.text, text);
  return root;
}

/* The largest absolute error of all figures. */
static double worst_error(const json_t *root) {
  double worst = 0;
  json_t *row, *figure;
  size_t i, k;
  json_array_foreach(json_object_get(root, "fidelity"), i, row)
      json_array_foreach(json_object_get(row, "figures"), k, figure) {
    json_t *error = json_object_get(figure, "error_percent");
    if (json_is_number(error)) worst = fmax(worst, fabs(json_number_value(error)));
  }
  return worst;
}

static const char *const policies[] = {"all-gpu", "fcfs", "eft", "random"};
enum { N_POLICIES = sizeof policies / sizeof *policies };

static void test_the_simulator_predicts_itself(void **state) {
  (void)state;
  for (int i = 0; i < N_POLICIES; i++) {
    write_trace(policies[i], "closed", "--arrivals closed --seed 5");
    write_trace(policies[i], "open", "--load 0.7 --seed 6");
  }
  json_t *root = fidelity("--seeds 1");
  assert_int_equal(json_array_size(json_object_get(root, "fidelity")), 2 * N_POLICIES);
  json_t *row = json_array_get(json_object_get(root, "fidelity"), 0), *summary = json_object_get(root, "summary");
  assert_string_equal(json_string_value(json_object_get(row, "policy")), "all-gpu");
  assert_string_equal(json_string_value(json_object_get(row, "loop")), "closed");
  assert_true(json_number_value(json_object_get(row, "duration_s")) == 2);
  assert_int_equal(json_array_size(json_object_get(row, "figures")), 5 + 3 + 3 * 4); /* watts are not measured */
  assert_true(worst_error(root) == 0);
  assert_int_equal(json_array_size(summary), 2);
  for (size_t i = 0; i < 2; i++) {
    json_t *loop = json_array_get(summary, i), *tau = json_object_get(loop, "tau");
    assert_int_equal(json_integer_value(json_object_get(loop, "policies")), N_POLICIES);
    assert_true(json_number_value(json_object_get(tau, "throughput_hz")) == 1);
    assert_true(json_number_value(json_object_get(tau, "antt")) == 1);
    assert_true(json_number_value(json_object_get(tau, "u")) == 1);
  }
  json_decref(root);
  root = fidelity("--seeds 2"); /* another noise is another prediction: the test above can fail */
  assert_true(worst_error(root) > 0);
  json_decref(root);
  works(run("compare --profile " PROFILE " --workload " WORKLOAD " --seeds 1 --trace %s/*-*.json", folder));
  assert_non_null(strstr(output, "closed loop, 4 policies, mean (worst) error: throughput 0.0 % (0.0 %)"));
  assert_non_null(strstr(output, "open loop, Kendall's tau of the ranking by throughput 1.000, ANTT 1.000, U 1.000"));
}

/* Several traces of one policy are one row. */
static void test_runs_of_a_policy_add_up(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++)
    works(run("replay --profile " PROFILE " --workload " WORKLOAD
              " --policy eft --seed %d --duration %d --trace %s/%d.json",
              i, i + 1, folder, i));
  works(run("compare --profile " PROFILE " --workload " WORKLOAD " --seeds 1 --trace %s/0.json %s/1.json", folder,
            folder));
  assert_non_null(strstr(output, "eft, open loop: 2 runs, 3.0 s"));
  assert_non_null(strstr(output, "open loop, 1 policy, mean (worst) error: throughput 0.0 %"));
}

static void refused(int status, const char *part) {
  if (status != 2 || strstr(output, part) == NULL)
    fail_msg("exit status %d, expected 2 and '%s' in: %.1000s", status, part, output);
}

static void test_bad_traces(void **state) {
  (void)state;
  works(
      run("replay --profile " PROFILE " --workload " WORKLOAD " --policy eft --duration 1 --trace %s/t.json", folder));
  refused(
      run("compare --profile " PROFILE " --workload experiments/workloads/test/parking.json --trace %s/t.json", folder),
      "t.json: expected a run of workload 'parking', got 'drone'");
  refused(run("compare --profile traces/profiles/*.json --workload " WORKLOAD " --trace %s/t.json", folder),
          "expected one --profile and one --workload with --trace");
  refused(run("compare --profile " PROFILE " --workload " WORKLOAD " --trace %s/nothing.json", folder), "nothing.json");
  refused(run("compare --profile " PROFILE " --workload " WORKLOAD " --trace " WORKLOAD), "cosrel-trace");
  static const struct {
    const char *from, *to, *part;
  } edits[] = {
      {"\"policy\":\"eft\"", "\"policy\":\"nobody\"", "nobody"},
      {"\"seed\":1", "\"seed\":-1", "seed"},
      {"\"processors\":.\"cpu\"", "\"processors\":[\"x\"", "processors[0]"},
      {"\"horizon_ns\":1000000000", "\"horizon_ns\":0", "horizon_ns: expected a time > 0"},
      {"\"workload\":\"drone\"", "\"workload\":\"dr\\\\nne\"", "printable"},
      {"\"ntt\":", "\"nnt\":", "ntt"},
      {"\"started_ns\":", "\"started_ns\":9", "started_ns"},
  };
  for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
    char line[512];
    snprintf(line, sizeof line, "sed 's/%s/%s/' %s/t.json > %s/bad.json", edits[i].from, edits[i].to, folder, folder);
    assert_int_equal(system(line), 0);
    int status = run("compare --profile " PROFILE " --workload " WORKLOAD " --trace %s/bad.json", folder);
    refused(status, edits[i].part);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_kendall_tau),
      cmocka_unit_test(test_tally),
      cmocka_unit_test(test_the_simulator_predicts_itself),
      cmocka_unit_test(test_runs_of_a_policy_add_up),
      cmocka_unit_test(test_bad_traces),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
