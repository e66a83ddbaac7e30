/* replay, bound and compare as a user runs them: figures that repeat byte for byte, and one line with exit status 2 for
 * what they cannot do. Runs the program named by $COSREL, build/cosrel without it, from the root of the repository. */
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

#include "tests/command.h"

#define OUTPUT_MAX (1 << 20)
#define PROFILE "--profile traces/profiles/snapdragon865.json "
#define CASE PROFILE "--workload experiments/workloads/test/drone.json "

/* Runs `cosrel ARGUMENTS`; returns the exit status. `output` has OUTPUT_MAX bytes. */
static int run(const char *arguments, const char *redirect, char *output) {
  return command_run(arguments, redirect, output, OUTPUT_MAX);
}

static char *output_new(void) {
  char *output = malloc(OUTPUT_MAX);
  assert_non_null(output);
  return output;
}

/* The command fails with exit status 2, one line on stderr that holds `part`, and nothing on stdout. */
static void refused(const char *arguments, const char *part) {
  char *both = output_new(), *out = output_new();
  int status = run(arguments, "2>&1", both);
  const char *newline = strchr(both, '\n');
  if (status != 2 || strstr(both, part) == NULL || newline == NULL || newline[1] != '\0')
    fail_msg("%s: exit status %d, expected 2 and one line with '%s': %.500s", arguments, status, part, both);
  run(arguments, "2>/dev/null", out);
  assert_string_equal(out, "");
  free(both);
  free(out);
}

/* Succeeds twice with equal bytes, which are one JSON document. */
static json_t *repeatable_json(const char *first, const char *second) {
  char *a = output_new(), *b = output_new();
  assert_int_equal(run(first, "2>/dev/null", a), 0);
  assert_int_equal(run(second, "2>/dev/null", b), 0);
  assert_string_equal(a, b);
  json_t *root = json_loads(a, JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(root);
  free(a);
  free(b);
  return root;
}

static double number(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_number(value)) fail_msg("%s is no number", key);
  return json_number_value(value);
}

static void test_help(void **state) {
  (void)state;
  static const char *const commands[] = {"replay", "bound", "compare"};
  char *output = output_new();
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    char line[64];
    snprintf(line, sizeof line, "%s --help", commands[i]);
    assert_int_equal(run(line, "", output), 0);
    assert_non_null(strstr(output, "Example:\n  cosrel"));
    assert_int_equal(run("--help", "", output), 0);
    assert_non_null(strstr(output, commands[i]));
  }
  assert_int_equal(run("", "2>/dev/null", output), 2);
  assert_int_equal(run("dance", "2>/dev/null", output), 2);
  free(output);
}

static void test_replay(void **state) {
  (void)state;
  const char *line = "replay " CASE "--policy eft --arrivals poisson --load 0.9 --duration 2 --seed 7 --json";
  json_t *root = repeatable_json(line, line);
  assert_true(number(root, "u") > 0.2 && number(root, "u") <= 1.0);
  assert_true(number(root, "load") == 0.9);
  assert_true(number(root, "seed") == 7);
  assert_true(number(root, "decisions") > 100);
  assert_null(json_object_get(root, "decision_ns"));
  assert_int_equal(json_array_size(json_object_get(root, "streams")), 4);
  json_decref(root);
}

static void test_nominal_rates_are_a_load(void **state) {
  (void)state;
  json_t *bound = repeatable_json("bound " CASE "--json", "bound " CASE "--json");
  const char *line = "replay " CASE "--policy eft --duration 1 --json";
  json_t *root = repeatable_json(line, line);
  double product = number(root, "load") * number(bound, "lambda_star");
  assert_true(product > 1 - 1e-9 && product < 1 + 1e-9);
  json_decref(root);
  json_decref(bound);
}

static void test_replay_writes_files(void **state) {
  (void)state;
  char *output = output_new();
  assert_int_equal(run("replay " CASE "--policy eft --duration 1 --perfetto test_commands.perfetto.json "
                       "--trace test_commands.trace.json --timing --json",
                       "2>/dev/null", output),
                   0);
  json_t *root = json_loads(output, 0, NULL), *timeline = json_load_file("test_commands.perfetto.json", 0, NULL),
         *trace = json_load_file("test_commands.trace.json", 0, NULL);
  assert_non_null(root);
  assert_true(number(json_object_get(root, "decision_ns"), "p99") > 0);
  assert_true(json_array_size(json_object_get(timeline, "traceEvents")) > 100);
  assert_true(json_array_size(json_object_get(trace, "events")) > 100);
  json_decref(root);
  json_decref(timeline);
  json_decref(trace);
  remove("test_commands.perfetto.json");
  remove("test_commands.trace.json");
  free(output);
}

/* The same arrivals under the same seed make the same run; a load plays them faster. */
static void test_recorded_arrivals(void **state) {
  (void)state;
  char *output = output_new();
#define RUN "replay " CASE "--policy eft --duration 2 --seed 3 --json "
  assert_int_equal(run(RUN "--arrivals bursty --load 0.5 --trace test_commands.trace.json", "2>/dev/null", output), 0);
  json_t *first = json_loads(output, 0, NULL);
  const char *line = RUN "--arrivals-from test_commands.trace.json";
  json_t *again = repeatable_json(line, line);
  assert_string_equal(json_string_value(json_object_get(again, "arrivals")), "recorded");
  assert_true(number(again, "u") == number(first, "u"));
  assert_true(number(again, "decisions") == number(first, "decisions"));
  line = RUN "--arrivals-from test_commands.trace.json --load 1.2";
  json_t *faster = repeatable_json(line, line);
  assert_true(number(faster, "load") == 1.2);
  assert_true(number(faster, "u") < number(first, "u"));
  double rate = number(json_array_get(json_object_get(faster, "streams"), 0), "arrived");
  assert_true(rate == number(json_array_get(json_object_get(first, "streams"), 0), "arrived")); /* all within 2 s */
#undef RUN
  assert_int_equal(run("compare " CASE "--policies fcfs,eft --subject eft --seeds 2 --duration 1 --json --load 0.4,0.8 "
                       "--arrivals-from test_commands.trace.json",
                       "2>/dev/null", output),
                   0);
  json_t *root = json_loads(output, 0, NULL);
  assert_int_equal(json_array_size(json_object_get(root, "cells")), 2 * 2 * 2); /* own arrivals at two loads */
  json_decref(root);
  refused("replay " PROFILE
          "--workload experiments/workloads/test/parking.json --policy eft "
          "--arrivals-from test_commands.trace.json",
          "test_commands.trace.json: no arrivals of stream 'bays'");
  refused("replay " CASE "--policy eft --arrivals-from experiments/workloads/test/drone.json", "drone.json: format");
  remove("test_commands.trace.json");
  json_decref(first);
  json_decref(again);
  json_decref(faster);
  free(output);
}

static void test_compare(void **state) {
  (void)state;
#define LINE "compare " CASE "--policies fcfs,eft,best-static --load 0.9 --seeds 3 --duration 1 --json --threads "
  json_t *root = repeatable_json(LINE "1", LINE "2");
#undef LINE
  const json_t *cells = json_object_get(root, "cells"), *summary = json_object_get(root, "summary"), *row;
  assert_int_equal(json_array_size(cells), 3 * 3 * 3); /* closed, periodic, poisson; 3 policies; 3 seeds */
  assert_int_equal(json_array_size(summary), 3);
  static const char *const figures[] = {
      "u", "antt", "p95_ntt", "goodput_hz", "g", "bound_share", "energy_mj_per_inference", "energy_ratio"};
  size_t i;
  json_array_foreach(summary, i, row) {
    for (size_t f = 0; f < sizeof figures / sizeof *figures; f++) {
      const json_t *interval = json_object_get(row, figures[f]);
      assert_true(number(interval, "low") <= number(interval, "iqm"));
      assert_true(number(interval, "iqm") <= number(interval, "high"));
    }
  }
  const json_t *open = json_array_get(json_object_get(root, "groups"), 0);
  assert_int_equal(json_array_size(json_object_get(open, "rivals")), 0); /* nothing learned, and no --subject */
  /* A cell is what replay prints. */
  const char *line = "replay " CASE "--policy eft --arrivals periodic --load 0.9 --duration 1 --seed 2 --json";
  json_t *single = repeatable_json(line, line), *cell;
  bool found = false;
  json_array_foreach(cells, i, cell) found = found || json_equal(cell, single);
  assert_true(found);
  json_decref(single);
  json_decref(root);
}

static void test_compare_table_and_csv(void **state) {
  (void)state;
  char *output = output_new(), line[4096];
  assert_int_equal(run("compare " CASE "experiments/workloads/test/parking.json --policies all --subject rollout "
                       "--arrivals poisson --load 0.6,0.9 --seeds 2 --offline-seeds 1 --duration 1 "
                       "--csv test_commands.csv --out test_commands.json",
                       "2>/dev/null", output),
                   0);
  assert_non_null(strstr(output, "best single online heuristic: "));
  assert_non_null(strstr(output, "rollout, mean U"));
  assert_non_null(strstr(output, "drone"));
  json_t *root = json_load_file("test_commands.json", JSON_REJECT_DUPLICATES, NULL);
  const json_t *group = json_array_get(json_object_get(root, "groups"), 0), *rival;
  size_t index;
  assert_int_equal(json_array_size(json_object_get(group, "cases")), 4);
  json_array_foreach(json_object_get(group, "rivals"), index, rival) {
    assert_true(number(json_object_get(rival, "improvement"), "low") <= 1);
    const json_t *score = json_object_get(rival, "cases");
    assert_true(number(score, "won") + number(score, "tied") + number(score, "lost") == 4);
  }
  assert_true(index > 15);
  json_decref(root);
  remove("test_commands.json");
  assert_non_null(strstr(output, "offline references"));
  for (const char *text = output; *text != '\0'; text++) { /* at most 120 columns */
    size_t bytes = strcspn(text, "\n"), columns = 0;
    for (size_t i = 0; i < bytes; i++) columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    if (columns > 120) fail_msg("%zu columns: %.*s", columns, (int)bytes, text);
    text += bytes;
  }
  FILE *csv = fopen("test_commands.csv", "r");
  assert_non_null(csv);
  size_t commas = 0, rows = 0;
  while (fgets(line, sizeof line, csv) != NULL) {
    size_t here = 0;
    for (const char *at = line; *at != '\0'; at++) here += *at == ',';
    if (rows++ == 0) commas = here;
    assert_int_equal(here, commas);
  }
  fclose(csv);
  remove("test_commands.csv");
  assert_true(rows > 20);
  free(output);
}

static void test_policy_file(void **state) {
  (void)state;
  char *output = output_new();
  assert_int_equal(
      run("train " PROFILE "--workload experiments/workloads/train/doorbell.json --decisions 4096 --mixes 2 "
          "-o test_commands.safetensors",
          "2>/dev/null", output),
      0);
  const char *line = "replay " CASE "--policy ./test_commands.safetensors --duration 1 --json";
  json_t *root = repeatable_json(line, line);
  assert_string_equal(json_string_value(json_object_get(root, "policy")), "./test_commands.safetensors");
  assert_true(number(root, "decisions") > 20);
  json_decref(root);
  assert_int_equal(run("compare " CASE "--policies fcfs,test_commands.safetensors --arrivals poisson --load 0.9 "
                       "--seeds 2 --duration 1 --json",
                       "2>/dev/null", output),
                   0);
  root = json_loads(output, 0, NULL);
  const json_t *group = json_array_get(json_object_get(root, "groups"), 0);
  const json_t *verdict = json_array_get(json_object_get(group, "verdicts"), 0);
  assert_string_equal(json_string_value(json_object_get(verdict, "policy")), "test_commands.safetensors");
  assert_string_equal(json_string_value(json_object_get(json_object_get(group, "best_heuristic"), "policy")), "fcfs");
  json_decref(root);

  FILE *file = fopen("test_commands.safetensors", "w"); /* what is no policy is refused by name */
  assert_non_null(file);
  fputs("not a policy", file);
  fclose(file);
  refused("replay " CASE "--policy ./test_commands.safetensors", "test_commands.safetensors");
  remove("test_commands.safetensors");
  remove("test_commands.safetensors.checkpoint");
  free(output);
}

/* The tool that asks what hangs on assumed watts: twice the watts of all processors, twice their energy. */
static void test_scale_power(void **state) {
  (void)state;
  const char *program = getenv("COSREL"), *slash = program != NULL ? strrchr(program, '/') : NULL;
  char tool[512], line[1024];
  if (slash != NULL)
    snprintf(tool, sizeof tool, "%.*s/traces/tools/scale_power", (int)(slash - program), program);
  else
    snprintf(tool, sizeof tool, "build/traces/tools/scale_power");
  snprintf(line, sizeof line, "%s tests/corpus/profile/two.json test_commands.profile.json 2 cpu gpu", tool);
  assert_int_equal(system(line), 0);
  json_t *before = json_load_file("tests/corpus/profile/two.json", 0, NULL),
         *after = json_load_file("test_commands.profile.json", 0, NULL);
  assert_string_equal(json_string_value(json_object_get(after, "name")), "two-watts-x2");
  const json_t *processor;
  size_t i;
  json_array_foreach(json_object_get(after, "processors"), i, processor) {
    const json_t *same = json_array_get(json_object_get(before, "processors"), i);
    double was = number(json_array_get(json_object_get(same, "points"), 0), "busy_w");
    assert_true(number(json_array_get(json_object_get(processor, "points"), 0), "busy_w") == 2 * was);
  }
  assert_int_equal(i, 2);
  json_decref(before);
  json_decref(after);
  remove("test_commands.profile.json");
  snprintf(line, sizeof line, "%s tests/corpus/profile/two.json test_commands.profile.json 2 tpu 2>/dev/null", tool);
  assert_int_equal(WEXITSTATUS(system(line)), 2);
  assert_int_equal(access("test_commands.profile.json", F_OK), -1);
}

static void test_refused(void **state) {
  (void)state;
  refused("replay --policy eft --workload w", "--profile");
  refused("replay " CASE "--policy nothing", "nothing");
  refused("replay " CASE "--policy all-tpu", "all-tpu");
  refused("replay " CASE "--policy no/such/file.safetensors", "no/such/file.safetensors");
  refused("replay " CASE "--policy eft --load 0", "--load");
  refused("replay " CASE "--policy eft --duration 1e9", "--duration");
  refused("replay " CASE "--policy eft --arrivals sometimes", "sometimes");
  refused("replay " CASE "--policy eft --duration 1 --perfetto no/such/folder/t.json", "no/such/folder/t.json");
  refused("replay --profile /nonexistent.json --workload experiments/workloads/test/drone.json --policy eft",
          "/nonexistent.json");
  refused("replay " PROFILE "--workload traces/profiles/snapdragon865.json --policy eft", "snapdragon865.json");
  refused("bound " CASE "--colour", "--colour");
  refused("compare " CASE "--policies fcfs,nothing", "nothing");
  refused("compare " CASE "--seeds 0", "--seeds");
  refused("compare " CASE "--load 0.6,x", "--load");
  refused("compare " CASE "--policies fcfs,anneal --subject anneal --seeds 1 --duration 0.1", "anneal");
  refused("compare " CASE "--policies fcfs --subject eft --seeds 1 --duration 0.1", "eft");
  refused("compare " PROFILE "--workload /nonexistent.json", "/nonexistent.json");
}

static void test_interrupt_keeps_what_was_done(void **state) {
  (void)state;
  char *output = output_new();
  /* 200 seeds of 60 s would take minutes; timeout sends SIGINT after two seconds and SIGKILL after thirty. */
  const char *program = getenv("COSREL");
  char line[512];
  snprintf(line, sizeof line,
           "timeout -s INT -k 30 2 %s compare " CASE
           "--policies fcfs,eft --arrivals poisson --load 0.9 --seeds 10000 --duration 60 --json 2>/dev/null; echo $?",
           program != NULL ? program : "build/cosrel");
  FILE *pipe = popen(line, "r");
  assert_non_null(pipe);
  size_t size = fread(output, 1, OUTPUT_MAX - 1, pipe);
  output[size] = '\0';
  pclose(pipe);
  json_t *root = json_loads(output, JSON_DISABLE_EOF_CHECK, NULL);
  assert_non_null(root);
  size_t n = json_array_size(json_object_get(root, "cells"));
  assert_true(n >= 2 && n < 20000);
  assert_int_equal(json_array_size(json_object_get(root, "summary")), 2);
  assert_non_null(strstr(output, "\n124\n")); /* timeout's own status: the signal was sent */
  json_decref(root);
  free(output);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_help),
      cmocka_unit_test(test_replay),
      cmocka_unit_test(test_nominal_rates_are_a_load),
      cmocka_unit_test(test_replay_writes_files),
      cmocka_unit_test(test_recorded_arrivals),
      cmocka_unit_test(test_compare),
      cmocka_unit_test(test_compare_table_and_csv),
      cmocka_unit_test(test_policy_file),
      cmocka_unit_test(test_scale_power),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_interrupt_keeps_what_was_done),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
