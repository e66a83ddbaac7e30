/* cosrel inspect and cosrel zoo as a user runs them: what they print, and one line with exit status 2 for what they
 * cannot do. Runs the program named by $COSREL, build/cosrel without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <jansson.h>

#include "backends/zoo/zoo.h"
#include "tests/command.h"
#include "traces/atomic.h"
#include "traces/file.h"
#include "traces/profile_file.h"

#define OUTPUT_MAX (1 << 18)

/* Runs `cosrel ARGUMENTS`, stderr joined to stdout; returns the exit status. */
static int run(const char *arguments, char *output) { return command_run(arguments, "2>&1", output, OUTPUT_MAX); }

static void expect(const char *arguments, int status, const char *part) {
  char *output = malloc(OUTPUT_MAX);
  assert_non_null(output);
  int got = run(arguments, output);
  if (got != status || strstr(output, part) == NULL) {
    fail_msg("%s: exit status %d, expected %d and '%s' in: %.400s", arguments, got, status, part, output);
  }
  if (status == 2) {
    const char *newline = strchr(output, '\n');
    assert_true(newline != NULL && newline[1] == '\0'); /* exactly one line */
  }
  free(output);
}

static void it_prints_units_and_the_zoo(void **state) {
  (void)state;
  expect("inspect", 0, "Example:");
  expect("inspect --help", 0, "Usage: cosrel inspect");
  expect("inspect zoo:", 0, "deeplabv3_plus_mobilenet     513");
  expect("inspect zoo:googlenet", 0, "inception3a.branch4.project");
  expect("inspect zoo:resnet18", 0, "1814073344    11689512"); /* the totals */
}

static void bad_requests_give_one_line(void **state) {
  (void)state;
  expect("inspect zoo:resnet19", 2, "zoo:resnet19: expected one of squeezenet1_1, mobilenet_v1");
  expect("inspect zoo:resnet18@9", 2, "expected a side of 16 to 4096");
  expect("inspect model.onnx", 2, "model.onnx: cannot read");
  expect("inspect README.md", 2, "README.md: expected zoo:NAME or a path that ends in .onnx");
  expect("inspect --json", 2, "expected a model");
  expect("inspect zoo:resnet18 --colour", 2, "--colour");
  expect("inspect zoo:resnet18 zoo:resnet50", 2, "unexpected argument");
  expect("inspect zoo:resnet18 --profile /nonexistent.json", 2, "/nonexistent.json");
}

/* A network written by `zoo` is read by `inspect` with the same units; a half of it is refused. */
static void files_are_written_and_read(void **state) {
  (void)state;
  char folder[] = "/tmp/cosrel_zoo_XXXXXX", arguments[256], half[64], *bytes;
  size_t n;
  cosrel_error error = {""};
  assert_non_null(mkdtemp(folder));
  snprintf(arguments, sizeof arguments, "zoo mobilenet_v1@32 -o %s/small.onnx --seed 7", folder);
  expect(arguments, 0, "mobilenet_v1@32, 17.0 MB, seed 7");
  snprintf(arguments, sizeof arguments, "inspect %s/small.onnx", folder);
  expect(arguments, 0, "small: 29 units, 3072 input elements");
  expect(arguments, 0, "conv13.pointwise");

  snprintf(arguments, sizeof arguments, "%s/small.onnx", folder);
  assert_int_equal(cosrel_file_read(arguments, 1 << 26, &bytes, &n, &error), COSREL_OK);
  snprintf(half, sizeof half, "%s/half.onnx", folder);
  assert_int_equal(cosrel_atomic_write(half, bytes, n / 2, &error), COSREL_OK);
  free(bytes);
  unlink(arguments);
  snprintf(arguments, sizeof arguments, "inspect %s", half);
  expect(arguments, 2, "half.onnx: byte ");
  unlink(half);
  rmdir(folder);
}

static void the_zoo_command_checks_its_arguments(void **state) {
  (void)state;
  expect("zoo", 0, "googlenet");
  expect("zoo --help", 0, "Usage: cosrel zoo");
  expect("zoo resnet18", 2, "expected -o FILE.onnx");
  expect("zoo -o /tmp/cosrel.onnx", 2, "expected a network's name");
  expect("zoo resnet19 -o /tmp/cosrel.onnx", 2, "zoo:resnet19: expected one of squeezenet1_1");
  expect("zoo mobilenet_v1@32 -o /nonexistent/cosrel.onnx", 2, "/nonexistent/cosrel.onnx");
}

static void operators_are_listed(void **state) {
  (void)state;
  expect("inspect --operators", 0, "GlobalAveragePool");
  expect("inspect --operators --json", 0, "\"name\": \"Conv\"");
}

static void json_agrees_with_the_library(void **state) {
  (void)state;
  char *output = malloc(OUTPUT_MAX);
  cosrel_model model;
  assert_non_null(output);
  assert_int_equal(cosrel_zoo_model("inception_v3@299", &model, NULL), COSREL_OK);
  assert_int_equal(run("inspect zoo:inception_v3@299 --json", output), 0);
  json_t *root = json_loads(output, JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(root);
  assert_string_equal(json_string_value(json_object_get(root, "model")), "inception_v3@299");
  const json_t *units = json_object_get(root, "units");
  assert_int_equal(json_array_size(units), model.n_units);
  uint64_t macs = 0;
  for (uint32_t u = 0; u < model.n_units; u++) {
    const json_t *unit = json_array_get(units, u);
    assert_string_equal(json_string_value(json_object_get(unit, "name")), model.units[u].name);
    assert_int_equal(json_integer_value(json_object_get(unit, "out_bytes_fp32")), 4 * model.units[u].out_elems);
    assert_int_equal(json_array_size(json_object_get(unit, "inputs")), model.units[u].n_inputs);
    macs += model.units[u].macs;
  }
  assert_int_equal(json_integer_value(json_object_get(root, "macs")), macs);
  json_decref(root);
  cosrel_model_clear(&model);
  free(output);
}

/* A profile of two processors, the second of which runs int8 convolutions and nothing else. */
static void write_profile(const char *path) {
  cosrel_profile profile = {.name = "test", .n_processors = 2, .n_models = 1, .n_sources = 1};
  cosrel_error error = {""};
  strcpy(profile.processors[0].name, "cpu");
  strcpy(profile.processors[1].name, "dsp");
  for (int p = 0; p < 2; p++) {
    profile.processors[p].n_points = 1;
    profile.processors[p].points[0] = (cosrel_point){.frequency_mhz = 1000, .speed = 1, .busy_w = 1, .idle_w = 0.1};
  }
  profile.sources = calloc(1, sizeof *profile.sources);
  profile.models = calloc(1, sizeof *profile.models);
  assert_non_null(profile.sources);
  assert_non_null(profile.models);
  strcpy(profile.sources[0], "a test");
  cosrel_profile_model *pm = &profile.models[0];
  assert_int_equal(cosrel_zoo_model("resnet18", &pm->model, &error), COSREL_OK);
  pm->costs = calloc(pm->model.n_units * 2 * COSREL_PRECISION_COUNT, sizeof *pm->costs);
  assert_non_null(pm->costs);
  for (uint32_t u = 0; u < pm->model.n_units; u++) {
    for (uint32_t p = 0; p < 2; p++) {
      for (int precision = 0; precision < COSREL_PRECISION_COUNT; precision++) {
        bool supported =
            p == 0 ? precision == COSREL_FP32 : precision == COSREL_INT8 && pm->model.units[u].kind == COSREL_KIND_CONV;
        *cosrel_profile_cost(&profile, 0, u, p, (cosrel_precision)precision) =
            (cosrel_cost){.mean_ns = supported ? 1e5 : -1};
      }
    }
  }
  if (cosrel_profile_write(path, &profile, &error) != COSREL_OK) fail_msg("%s", error.text);
  cosrel_profile_clear(&profile);
}

static void a_profile_tells_who_runs_what(void **state) {
  (void)state;
  char path[] = "/tmp/cosrel_inspect_XXXXXX", arguments[128];
  char *output = malloc(OUTPUT_MAX);
  assert_non_null(output);
  int file = mkstemp(path);
  assert_true(file >= 0);
  close(file);
  write_profile(path);
  snprintf(arguments, sizeof arguments, "inspect zoo:resnet18 --profile %s --json", path);
  assert_int_equal(run(arguments, output), 0);
  json_t *root = json_loads(output, 0, NULL);
  assert_non_null(root);
  const json_t *units = json_object_get(root, "units");
  for (size_t u = 0; u < json_array_size(units); u++) {
    const json_t *unit = json_array_get(units, u), *processors = json_object_get(unit, "processors");
    bool conv = strcmp(json_string_value(json_object_get(unit, "kind")), "conv") == 0;
    assert_int_equal(json_array_size(json_object_get(processors, "cpu")), 1);
    assert_int_equal(json_array_size(json_object_get(processors, "dsp")), conv ? 1 : 0);
  }
  json_decref(root);
  snprintf(arguments, sizeof arguments, "inspect zoo:resnet18 --profile %s", path);
  expect(arguments, 0, "cpu fp32  dsp int8\n");
  snprintf(arguments, sizeof arguments, "inspect zoo:resnet50 --profile %s", path);
  expect(arguments, 2, "models: expected one named resnet50");
  unlink(path);
  free(output);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_prints_units_and_the_zoo),   cmocka_unit_test(bad_requests_give_one_line),
      cmocka_unit_test(files_are_written_and_read),    cmocka_unit_test(the_zoo_command_checks_its_arguments),
      cmocka_unit_test(operators_are_listed),          cmocka_unit_test(json_agrees_with_the_library),
      cmocka_unit_test(a_profile_tells_who_runs_what),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
