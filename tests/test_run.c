/* Real networks on real processors: outputs are those of the reference executor under every policy, and `cosrel run`
 * and `cosrel devices` as a user meets them. Nothing is asserted about how long things take. Runs the program named by
 * $COSREL, build/cosrel without it, from the root of the repository. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <jansson.h>

#include "backends/npy.h"
#include "backends/profiling.h"
#include "backends/runtime/outputs.h"
#include "backends/telemetry.h"
#include "tests/command.h"
#include "tests/contract.h"
#include "traces/atomic.h"
#include "traces/file.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

#define OUTPUT_MAX (1 << 20)

static char folder[] = "/tmp/cosrel-test-run-XXXXXX";

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

static const char *path_of(const char *name) {
  static char paths[16][128];
  static int next;
  char *path = paths[next++ % 16];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

static void write_text(const char *name, const char *text) {
  cosrel_error error = {""};
  if (cosrel_atomic_write(path_of(name), text, strlen(text), &error) != COSREL_OK) fail_msg("%s", error.text);
}

/* ---- .npy ---- */

static void test_npy_survives(void **state) {
  (void)state;
  static const cosrel_shape shapes[] = {{0, {0}}, {1, {3}}, {4, {1, 2, 3, 4}}, {6, {1, 1, 2, 1, 3, 1}}, {2, {0, 4}}};
  float data[24];
  for (int i = 0; i < 24; i++) data[i] = (float)i * 0.37f - 3;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    cosrel_error error = {""};
    char *bytes;
    size_t size;
    float *back;
    cosrel_shape shape = {0};
    const char *path = path_of("a.npy");
    assert_int_equal(cosrel_npy_write(path, &shapes[i], data, &error), COSREL_OK);
    assert_int_equal(cosrel_file_read(path, 4096, &bytes, &size, &error), COSREL_OK);
    uint64_t n = cosrel_shape_elements(&shapes[i]);
    assert_int_equal((size - n * sizeof(float)) % 64, 0); /* as the format asks */
    if (cosrel_npy_parse(bytes, size, path, &shape, &back, &error) != COSREL_OK) fail_msg("%s", error.text);
    assert_memory_equal(&shape, &shapes[i], sizeof shape);
    assert_memory_equal(back, data, n * sizeof(float));
    free(back);
    for (size_t cut = 0; cut < size; cut++) /* no part of it is a file */
      assert_int_not_equal(cosrel_npy_parse(bytes, cut, path, &shape, &back, &error), COSREL_OK);
    free(bytes);
  }
}

static void test_hostile_npy(void **state) {
  (void)state;
  static const struct {
    const char *header, *part;
  } cases[] = {
      {"", "expected a dictionary"},
      {"{}", "expected 'descr'"},
      {"{'descr': '<f4', 'fortran_order': False}", "expected 'descr'"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (1,)}", "to be '<f4'"},
      {"{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}", "to be False"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1)}", "at most 6 sizes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "at most 6 sizes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,)}", "at most 6 sizes"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967295, 4294967295)}", "4 bytes for each"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", "4 bytes for each of 2"},
      {"{'descr': '<f4', 'shape': (1,), 'shape': (1,)}", "'shape' once"},
      {"{'descr': '<f4' 'shape': (1,)}", "expected a comma"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", "nothing behind"},
      {"{'other': 1}", "expected the keys"},
      {"{'descr': '<f4', 'fortran_order': False, 'shape': (1", "at most 6 sizes"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char bytes[256] = "\x93NUMPY\x01";
    size_t n = strlen(cases[i].header);
    bytes[8] = (char)n;
    memcpy(bytes + 10, cases[i].header, n);
    cosrel_error error = {""};
    cosrel_shape shape;
    float *data;
    assert_int_equal(cosrel_npy_parse(bytes, 10 + n + 4, "x.npy", &shape, &data, &error), COSREL_FORMAT);
    assert_null(data);
    if (strstr(error.text, "x.npy: ") != error.text || strstr(error.text, cases[i].part) == NULL)
      fail_msg("expected '%s' in: %s", cases[i].part, error.text);
  }
}

static void test_inputs_must_fit(void **state) {
  (void)state;
  static const cosrel_shape image = {4, {1, 3, 2, 2}}, flat = {3, {3, 2, 2}}, other = {3, {3, 4, 1}};
  float data[12] = {1, 2, 3}, *back;
  cosrel_error error = {""};
  assert_int_equal(cosrel_npy_write(path_of("flat.npy"), &flat, data, &error), COSREL_OK);
  assert_int_equal(cosrel_tensor_read(path_of("flat.npy"), &image, &back, &error), COSREL_OK); /* the batch may lack */
  assert_memory_equal(back, data, sizeof data);
  free(back);
  assert_int_equal(cosrel_npy_write(path_of("other.npy"), &other, data, &error), COSREL_OK);
  assert_int_equal(cosrel_tensor_read(path_of("other.npy"), &image, &back, &error), COSREL_FORMAT);
  assert_non_null(strstr(error.text, "expected the shape [1, 3, 2, 2], got [3, 4, 1]"));
  assert_int_equal(cosrel_atomic_write(path_of("raw.bin"), data, sizeof data, &error), COSREL_OK);
  assert_int_equal(cosrel_tensor_read(path_of("raw.bin"), &image, &back, &error), COSREL_OK);
  assert_memory_equal(back, data, sizeof data);
  free(back);
  assert_int_equal(cosrel_atomic_write(path_of("raw.bin"), data, sizeof data - 1, &error), COSREL_OK);
  assert_int_equal(cosrel_tensor_read(path_of("raw.bin"), &image, &back, &error), COSREL_FORMAT);
  assert_non_null(strstr(error.text, "expected 48 bytes of float32, got 47"));
  assert_int_equal(cosrel_tensor_read(path_of("none.npy"), &image, &back, &error), COSREL_IO);
}

/* ---- Telemetry ---- */

static void make_folders(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "%s", path_of(name));
  for (char *c = path + strlen(folder) + 1; *c != '\0'; c++)
    if (*c == '/') *c = '\0', mkdir(path, 0777), *c = '/';
  mkdir(path, 0777);
}

static void test_telemetry(void **state) {
  (void)state;
  cosrel_sensors sensors;
  cosrel_telemetry_read(path_of("nowhere"), &sensors);
  assert_int_equal(sensors.n_zones + sensors.n_energies + sensors.n_clocks, 0);
  make_folders("sys/class/thermal/thermal_zone0");
  make_folders("sys/class/thermal/thermal_zone3");
  make_folders("sys/class/powercap/intel-rapl:0");
  make_folders("sys/devices/system/cpu/cpufreq/policy4");
  write_text("sys/class/thermal/thermal_zone0/type", "cpu\a-0\n");
  write_text("sys/class/thermal/thermal_zone0/temp", "41500\n");
  write_text("sys/class/thermal/thermal_zone3/temp", "no number\n");
  write_text("sys/class/powercap/intel-rapl:0/name", "package-0\n");
  write_text("sys/class/powercap/intel-rapl:0/energy_uj", "123456789\n");
  write_text("sys/devices/system/cpu/cpufreq/policy4/scaling_cur_freq", "2400000\n");
  cosrel_telemetry_read(path_of("sys"), &sensors);
  assert_int_equal(sensors.n_zones, 1);
  assert_string_equal(sensors.zones[0].name, "cpu?-0");
  assert_true(sensors.zones[0].value == 41.5);
  assert_int_equal(sensors.n_energies, 1);
  assert_true(sensors.energies[0].value > 123456.7 && sensors.energies[0].value < 123456.8);
  assert_int_equal(sensors.n_clocks, 1);
  assert_string_equal(sensors.clocks[0].name, "policy4");
  assert_true(sensors.clocks[0].value == 2400);
}

/* ---- The library, end to end ---- */

#define SMALL                                                                                                   \
  "{\"format\": \"cosrel-workload\", \"version\": 1, \"name\": \"small\", \"streams\": ["                       \
  "{\"name\": \"camera\", \"model\": \"squeezenet1_1@32\", \"arrivals\": {\"kind\": \"%s\", \"rate_hz\": 60}, " \
  "\"deadline_ms\": 500},"                                                                                      \
  "{\"name\": \"user\", \"model\": \"mobilenet_v2@32\", \"arrivals\": {\"kind\": \"%s\", \"rate_hz\": 40}, "    \
  "\"deadline_ms\": 500}]}"

static const char *small_workload(const char *kind) {
  char text[1024];
  snprintf(text, sizeof text, SMALL, kind, kind);
  write_text("small.json", text);
  return path_of("small.json");
}

/* Two processors of one core each, where the machine has two. */
static void two_specs(cosrel_backend_spec specs[2]) {
  static const char *const names[2] = {"big", "little"};
  memset(specs, 0, 2 * sizeof *specs);
  for (uint16_t p = 0; p < 2; p++) {
    snprintf(specs[p].processor, sizeof specs[p].processor, "%s", names[p]);
    snprintf(specs[p].backend, sizeof specs[p].backend, "%s", cosrel_backend_table()[0]->name);
    specs[p].threads = 1;
    specs[p].n_cores = sysconf(_SC_NPROCESSORS_ONLN) >= 2;
    specs[p].cores[0] = p;
  }
}

/* Workload, networks, processors and a profile measured on them. */
typedef struct setup {
  cosrel_workload workload;
  cosrel_sources sources;
  cosrel_machine machine;
  cosrel_profile profile;
} setup;

static setup *setup_new(const char *kind) {
  setup *s = fixture_alloc(1, sizeof *s);
  cosrel_error error = {""};
  const char *path = small_workload(kind);
  cosrel_backend_spec specs[2];
  two_specs(specs);
  if (cosrel_workload_read(path, &s->workload, &error) != COSREL_OK ||
      cosrel_sources_open(&s->workload, path, 1, &s->sources, &error) != COSREL_OK ||
      cosrel_machine_open(specs, 2, (const cosrel_network *const *)s->sources.networks, s->sources.n_networks,
                          &s->machine, &error) != COSREL_OK)
    fail_msg("%s", error.text);
  cosrel_profiled_model models[2];
  for (uint32_t i = 0; i < 2; i++)
    models[i] = (cosrel_profiled_model){s->workload.streams[i].model, s->sources.streams[i].network,
                                        (const float *const *)s->sources.streams[i].inputs};
  const cosrel_measure_config config = {.rounds = 3};
  if (cosrel_profile_measure(&s->machine, models, 2, &config, "here", &s->profile, &error) != COSREL_OK)
    fail_msg("%s", error.text);
  return s;
}

static void setup_free(setup *s) {
  cosrel_profile_clear(&s->profile);
  cosrel_machine_close(&s->machine);
  cosrel_sources_clear(&s->sources);
  cosrel_workload_clear(&s->workload);
  free(s);
}

static void test_a_measured_profile(void **state) {
  (void)state;
  setup *s = setup_new("closed");
  const cosrel_profile *p = &s->profile;
  assert_int_equal(p->n_processors, 2);
  assert_string_equal(p->processors[1].name, "little");
  assert_int_equal(p->n_models, 2);
  for (uint32_t m = 0; m < 2; m++) {
    cosrel_error error = {""};
    const cosrel_network *network = s->sources.networks[m];
    assert_int_equal(cosrel_network_match(network, &p->models[m].model, "p.json", &error), COSREL_OK);
    for (uint32_t u = 0; u < network->model.n_units; u++) {
      const cosrel_cost *cost = cosrel_profile_cost(p, m, u, 1, COSREL_FP32);
      assert_true(cost->mean_ns > 0 && cost->origin.tag == COSREL_TAG_MEASURED);
      assert_true(cosrel_profile_cost(p, m, u, 1, COSREL_FP16)->mean_ns < 0);
    }
  }
  /* It survives the way through a file, processors included. */
  cosrel_profile back;
  cosrel_error error = {""};
  assert_int_equal(cosrel_profile_write(path_of("p.json"), p, &error), COSREL_OK);
  assert_int_equal(cosrel_profile_read(path_of("p.json"), &back, &error), COSREL_OK);
  cosrel_backend_spec spec;
  assert_int_equal(cosrel_backend_spec_parse(back.processors[1].backend, &spec, &error), COSREL_OK);
  assert_memory_equal(&spec, &s->machine.specs[1], sizeof spec);
  cosrel_profile_clear(&back);
  setup_free(s);
}

static void test_another_models_profile_is_refused(void **state) {
  (void)state;
  setup *s = setup_new("closed");
  cosrel_error error = {""};
  cosrel_model *model = &s->profile.models[0].model;
  const cosrel_network *network = s->sources.networks[0];
  model->n_units--;
  assert_int_equal(cosrel_network_match(network, model, "p.json", &error), COSREL_INVALID);
  assert_non_null(strstr(error.text, "p.json: model squeezenet1_1@32: expected 38 units, got 37"));
  model->n_units++;
  model->units[5].name[0] = '!';
  assert_int_equal(cosrel_network_match(network, model, "p.json", &error), COSREL_INVALID);
  assert_non_null(strstr(error.text, "p.json: model squeezenet1_1@32, unit 5: expected "));
  setup_free(s);
}

/* What the measurement says of a network: every prefix length once, ascending, to the end. */
static void test_measure_prefixes(void **state) {
  (void)state;
  setup *s = setup_new("closed");
  const cosrel_profiled_model model = {"squeezenet1_1@32", s->sources.streams[0].network,
                                       (const float *const *)s->sources.streams[0].inputs};
  cosrel_bench *bench;
  cosrel_measurement m;
  cosrel_error error = {""};
  assert_int_equal(cosrel_bench_create(&s->machine, 0, &model, 2, &bench, &error), COSREL_OK);
  for (int round = 0; round < 5; round++) assert_int_equal(cosrel_bench_round(bench, &error), COSREL_OK);
  assert_int_equal(cosrel_bench_result(bench, &m, &error), COSREL_OK);
  static const uint16_t ends[] = {1, 2, 4, 8, 16, 32, 38};
  assert_int_equal(m.n_prefixes, sizeof ends / sizeof *ends);
  assert_memory_equal(m.ends, ends, sizeof ends);
  assert_int_equal(m.rounds, 2);
  for (uint32_t i = 0; i < m.n_prefixes; i++) assert_true(m.prefixes[i].ns > 0 && m.prefixes[i].cv >= 0);
  for (uint32_t u = 0; u < m.n_units; u++) assert_true(m.units[u].ns > 0);
  assert_true(m.submit_ns >= 0);
  cosrel_measurement_clear(&m);
  cosrel_bench_destroy(bench);
  setup_free(s);
}

/* Every policy, closed and open loop: the contract holds and every output is the reference executor's. */
static void test_every_policy_computes_the_same(void **state) {
  (void)state;
  static const char *const kinds[] = {"closed", "poisson"};
  for (size_t k = 0; k < 2; k++) {
    setup *s = setup_new(kinds[k]);
    cosrel_error error = {""};
    cosrel_case c;
    cosrel_outputs *outputs = NULL;
    cosrel_runtime *runtime;
    cosrel_stream_io io[2] = {{0}};
    for (uint32_t i = 0; i < 2; i++) {
      io[i].network = s->sources.streams[i].network;
      io[i].inputs = (const float *const *)s->sources.streams[i].inputs;
    }
    if (cosrel_case_create(&s->profile, &s->workload, &c, &error) != COSREL_OK ||
        cosrel_outputs_create(&s->workload, &s->sources, true, &outputs, &error) != COSREL_OK)
      fail_msg("%s", error.text);
    cosrel_outputs_listen(outputs, io);
    const cosrel_runtime_config config = {.machine = &s->machine, .io = io};
    if (cosrel_runtime_create(&config, &c, &runtime, &error) != COSREL_OK) fail_msg("%s", error.text);
    for (const cosrel_policy_ops *const *p = cosrel_policy_list(); *p != NULL; p++) {
      const cosrel_policy_config how = {.seed = 1, .plan_budget = 50, .duration_s = 0.05};
      cosrel_policy policy;
      assert_int_equal(cosrel_policy_create((*p)->name, &c, &how, &policy, &error), COSREL_OK);
      uint64_t before = cosrel_outputs_compared(outputs);
      cosrel_runtime_start(runtime);
      contract_run_on(cosrel_runtime_driver(runtime), &c, &policy, 1, 50 * COSREL_MS, true);
      cosrel_runtime_last_error(runtime, &error);
      assert_string_equal(error.text, "");
      if (k == 0) assert_true(cosrel_outputs_compared(outputs) > before);
      cosrel_policy_destroy(&policy);
    }
    cosrel_runtime_destroy(runtime);
    cosrel_outputs_destroy(outputs);
    cosrel_case_destroy(&c);
    setup_free(s);
  }
}

/* A wrong element ends the run with a line that names it. */
static void test_a_wrong_output_is_found(void **state) {
  (void)state;
  setup *s = setup_new("closed");
  cosrel_error error = {""};
  cosrel_outputs *outputs;
  cosrel_stream_io io[2] = {{0}};
  assert_int_equal(cosrel_outputs_create(&s->workload, &s->sources, true, &outputs, &error), COSREL_OK);
  cosrel_outputs_listen(outputs, io);
  const cosrel_network *network = s->sources.networks[1];
  void *arena;
  assert_int_equal(posix_memalign(&arena, COSREL_ALIGNMENT, (size_t)network->arena_bytes), 0);
  memset(arena, 0xff, (size_t)network->arena_bytes); /* NaN */
  assert_int_equal(io[1].output(io[1].self, 1, 17, network, arena, &error), COSREL_INTERNAL);
  if (strstr(error.text, "stream user, request 17, output ") != error.text ||
      strstr(error.text, ", element 0: expected ") == NULL || strstr(error.text, "nan") == NULL)
    fail_msg("%s", error.text);
  assert_int_equal(cosrel_outputs_compared(outputs), 0);
  free(arena);
  cosrel_outputs_destroy(outputs);
  setup_free(s);
}

/* ---- The commands ---- */

static int run(const char *arguments, const char *redirect, char *output) {
  return command_run(arguments, redirect, output, OUTPUT_MAX);
}

/* The command ends with exit status 2, nothing on stdout, and a last line on stderr that holds `part`. */
static void refused(const char *arguments, const char *part) {
  char *output = fixture_alloc(1, OUTPUT_MAX);
  int status = run(arguments, "2>&1 >/dev/null", output);
  if (status != 2 || strstr(output, part) == NULL)
    fail_msg("%s: exit status %d, expected 2 and '%s': %.500s", arguments, status, part, output);
  run(arguments, "2>/dev/null", output);
  assert_string_equal(output, "");
  free(output);
}

static json_t *parse(const char *text) {
  json_error_t problem;
  json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
  if (root == NULL) fail_msg("%s in: %.500s", problem.text, text);
  return root;
}

static void test_run_command(void **state) {
  (void)state;
  static const char *const keys[] = {"policy",
                                     "profile",
                                     "workload",
                                     "arrivals",
                                     "load",
                                     "seed",
                                     "duration_s",
                                     "stp",
                                     "antt",
                                     "g",
                                     "fairness",
                                     "u",
                                     "energy_mj_per_inference",
                                     "energy_ratio",
                                     "power_w",
                                     "decisions",
                                     "bound_share",
                                     "goodput_hz",
                                     "p95_ntt",
                                     "decision_ns",
                                     "streams",
                                     "overhead"};
  char line[1024], *output = fixture_alloc(1, OUTPUT_MAX);
  snprintf(line, sizeof line,
           "run --workload %s --policy eft --duration 0.3 --verify --json --timing --outputs %s --trace %s "
           "--perfetto %s --processor one=reference two=%s:threads=1",
           small_workload("periodic"), path_of("out"), path_of("t.json"), path_of("perfetto.json"),
           cosrel_backend_table()[0]->name);
  assert_int_equal(run(line, "2>/dev/null", output), 0);
  json_t *root = parse(output);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (json_object_get(root, keys[i]) == NULL) fail_msg("no key %s", keys[i]);
  json_t *processors = json_object_get(json_object_get(root, "overhead"), "processors");
  assert_int_equal(json_array_size(processors), 2);
  double share = 0;
  json_t *two = json_array_get(processors, 1);
  static const char *const shares[] = {"kernel_share", "transfer_share", "overhead_share"};
  for (int i = 0; i < 3; i++) share += json_number_value(json_object_get(two, shares[i]));
  assert_true(json_integer_value(json_object_get(two, "segments")) == 0 || (share > 0.999 && share < 1.001));
  int64_t completed = 0;
  for (size_t i = 0; i < 2; i++)
    completed += json_integer_value(json_object_get(json_array_get(json_object_get(root, "streams"), i), "completed"));
  int64_t verified = json_integer_value(json_object_get(json_object_get(root, "verified"), "requests"));
  assert_true(verified > 0 && verified >= completed);
  json_decref(root);
  static const cosrel_shape shape = {2, {1, 1000}};
  float *data;
  cosrel_error error = {""};
  if (cosrel_tensor_read(path_of("out/camera.npy"), &shape, &data, &error) != COSREL_OK) fail_msg("%s", error.text);
  free(data);
  for (int i = 0; i < 2; i++) {
    char *text;
    size_t size;
    assert_int_equal(cosrel_file_read(path_of(i == 0 ? "t.json" : "perfetto.json"), OUTPUT_MAX, &text, &size, &error),
                     COSREL_OK);
    json_decref(parse(text));
    free(text);
  }
  free(output);
}

/* Requests that go through the host's memory and a device's: some segments on each, every output as it must be. */
static void test_run_on_opencl(void **state) {
  (void)state;
  cosrel_backend_spec spec = {.processor = "gpu", .backend = "opencl"};
  cosrel_backend *backend;
  cosrel_error error = {""};
  if (cosrel_backend_open(&spec, &backend, &error) != COSREL_OK) {
    printf("skipped: cosrel run on OpenCL (%s)\n", error.text);
    return;
  }
  backend->ops->close(backend);
  char line[1024], *output = fixture_alloc(1, OUTPUT_MAX);
  setenv("COSREL_TUNE", "0", 1);
  setenv("COSREL_CACHE", path_of("cache"), 1);
  bool two_cores = sysconf(_SC_NPROCESSORS_ONLN) >= 2;
  snprintf(line, sizeof line,
           "run --workload %s --policy round-robin --duration 1 --verify --json --processor cpu=%s%s gpu=opencl",
           small_workload("closed"), cosrel_backend_table()[0]->name, two_cores ? ":cores=0" : "");
  assert_int_equal(run(line, "2>/dev/null", output), 0);
  json_t *root = parse(output);
  json_t *processors = json_object_get(json_object_get(root, "overhead"), "processors");
  assert_int_equal(json_array_size(processors), 2);
  for (size_t p = 0; p < 2; p++)
    assert_true(json_integer_value(json_object_get(json_array_get(processors, p), "segments")) > 0);
  assert_true(json_integer_value(json_object_get(json_object_get(root, "verified"), "requests")) > 0);
  json_decref(root);
  free(output);
  unsetenv("COSREL_CACHE");
  unsetenv("COSREL_TUNE");
}

static json_t *verified_stream(const json_t *root, size_t i) {
  return json_array_get(json_object_get(json_object_get(root, "verified"), "streams"), i);
}

/* One model, by streams that accept fp32, fp16, and both: each gets what it accepts. Weights in fp16 put outputs
 * further off than fp32 ever does, so the tolerance of fp32 shows that its stream has not run in fp16, nor the other in
 * fp32. */
static void test_run_in_half(void **state) {
  (void)state;
  static const char text[] =
      "{\"format\": \"cosrel-workload\", \"version\": 1, \"name\": \"halves\", \"streams\": ["
      "{\"name\": \"wide\", \"model\": \"squeezenet1_1@32\", \"precisions\": [\"fp32\"], "
      "\"arrivals\": {\"kind\": \"closed\", \"rate_hz\": 1}}, "
      "{\"name\": \"half\", \"model\": \"squeezenet1_1@32\", \"precisions\": [\"fp16\"], "
      "\"arrivals\": {\"kind\": \"closed\", \"rate_hz\": 1}}, "
      "{\"name\": \"any\", \"model\": \"squeezenet1_1@32\", "
      "\"arrivals\": {\"kind\": \"closed\", \"rate_hz\": 1}}]}";
  char line[1024], *output = fixture_alloc(1, OUTPUT_MAX);
  write_text("halves.json", text);
  snprintf(line, sizeof line, "run --workload %s --policy eft --processor cpu=reference", path_of("halves.json"));
  refused(line, "stream half: no processor of measured-here runs unit conv1 of squeezenet1_1@32 in a precision that");
  cosrel_backend_spec spec = {.processor = "gpu", .backend = "opencl"};
  cosrel_backend *backend;
  cosrel_error error = {""};
  if (cosrel_backend_open(&spec, &backend, &error) != COSREL_OK) {
    printf("skipped: cosrel run in fp16 (%s)\n", error.text);
    free(output);
    return;
  }
  backend->ops->close(backend);
  setenv("COSREL_TUNE", "0", 1);
  setenv("COSREL_CACHE", path_of("cache"), 1);
  for (int limited = 0; limited < 2; limited++) {
    /* 3 MiB hold the weights in fp16, not in fp32, so the processor in host memory has to run the first stream */
    snprintf(line, sizeof line,
             "run --workload %s --policy round-robin --duration 0.5 --verify --json --processor cpu=%s:threads=1 "
             "gpu=opencl%s",
             path_of("halves.json"), cosrel_backend_table()[0]->name, limited ? " --memory gpu=3" : "");
    assert_int_equal(run(line, "2>/dev/null", output), 0);
    json_t *root = parse(output), *wide = verified_stream(root, 0), *half = verified_stream(root, 1);
    assert_string_equal(json_string_value(json_object_get(wide, "precision")), "fp32");
    assert_true(json_number_value(json_object_get(wide, "tolerance")) == COSREL_VERIFY_TOLERANCE);
    assert_string_equal(json_string_value(json_object_get(half, "precision")), "fp16");
    assert_true(json_number_value(json_object_get(half, "tolerance")) == COSREL_VERIFY_TOLERANCE_FP16);
    assert_true(json_number_value(json_object_get(half, "furthest")) > COSREL_VERIFY_TOLERANCE / 2);
    for (size_t s = 0; s < 3; s++) {
      const json_t *stream = json_array_get(json_object_get(root, "streams"), s);
      assert_true(json_integer_value(json_object_get(stream, "completed")) > 0);
    }
    if (limited) {
      const json_t *memory = json_array_get(json_object_get(root, "memory"), 0); /* of gpu alone */
      assert_in_range(json_integer_value(json_object_get(memory, "peak_bytes")), 2 << 20, 3 << 20);
    }
    json_decref(root);
  }
  snprintf(line, sizeof line, "run --workload %s --policy eft --processor gpu=opencl --memory gpu=2",
           path_of("halves.json"));
  refused(line, "needed of budget: gpu ");
  free(output);
  unsetenv("COSREL_CACHE");
  unsetenv("COSREL_TUNE");
}

/* A profile made here is taken up, with its processors; one of other units, or without processors, is not. */
static void test_run_with_a_profile(void **state) {
  (void)state;
  setup *s = setup_new("closed");
  cosrel_error error = {""};
  char line[1024], *output = fixture_alloc(1, OUTPUT_MAX);
  assert_int_equal(cosrel_profile_write(path_of("here.json"), &s->profile, &error), COSREL_OK);
  snprintf(line, sizeof line, "run --workload %s --profile %s --policy lp-price --duration 0.2 --verify",
           path_of("small.json"), path_of("here.json"));
  assert_int_equal(run(line, "2>/dev/null", output), 0);
  assert_non_null(strstr(output, "small on here under lp-price"));
  assert_non_null(strstr(output, "compared with the reference executor"));
  snprintf(line, sizeof line, "run --workload %s --profile %s --policy eft --processor third=reference",
           path_of("small.json"), path_of("here.json"));
  refused(line, "--processor third: ");
  s->profile.processors[1].backend[0] = '\0';
  assert_int_equal(cosrel_profile_write(path_of("here.json"), &s->profile, &error), COSREL_OK);
  snprintf(line, sizeof line, "run --workload %s --profile %s --policy eft", path_of("small.json"),
           path_of("here.json"));
  refused(line, "processors[1]: no backend is said; expected --processor little=BACKEND");
  snprintf(s->profile.models[1].model.units[3].name, COSREL_NAME_MAX, "else");
  assert_int_equal(cosrel_profile_write(path_of("here.json"), &s->profile, &error), COSREL_OK);
  refused(line, "model mobilenet_v2@32, unit 3: expected ");
  setup_free(s);
  free(output);
}

/* Each of the two models fits, both together do not: weights come and go, and the outputs stay right. */
static void test_run_with_little_memory(void **state) {
  (void)state;
  char line[1024], *output = fixture_alloc(1, OUTPUT_MAX);
  int n = snprintf(
      line, sizeof line,
      "run --workload %s --policy round-robin --duration 0.3 --verify --processor one=reference two=%s:threads=1",
      small_workload("closed"), cosrel_backend_table()[0]->name);
  snprintf(line + n, sizeof line - (size_t)n, " --json --memory one=14 two=14");
  assert_int_equal(run(line, "2>/dev/null", output), 0);
  json_t *root = parse(output), *memory = json_object_get(root, "memory");
  json_t *processors = json_object_get(json_object_get(root, "overhead"), "processors");
  json_int_t expected = 0, loads = 0;
  assert_int_equal(json_array_size(memory), 2);
  for (size_t p = 0; p < 2; p++) {
    const json_t *of = json_array_get(memory, p), *really = json_array_get(processors, p);
    assert_int_equal(json_integer_value(json_object_get(of, "budget_bytes")), 14 << 20);
    assert_in_range(json_integer_value(json_object_get(of, "peak_bytes")), 0, 14 << 20);
    expected += json_integer_value(json_object_get(of, "loads"));
    loads += json_integer_value(json_object_get(really, "loads"));
    double share = 0;
    static const char *const shares[] = {"kernel_share", "load_share", "transfer_share", "overhead_share"};
    for (int i = 0; i < 4; i++) share += json_number_value(json_object_get(really, shares[i]));
    assert_true(json_integer_value(json_object_get(really, "segments")) == 0 || (share > 0.999 && share < 1.001));
  }
  assert_in_range(loads, 2, expected); /* what is dropped before it began to load is not loaded */
  assert_true(json_integer_value(json_object_get(json_object_get(root, "verified"), "requests")) > 0);
  json_decref(root);
  snprintf(line + n, sizeof line - (size_t)n, " --memory one=4 two=4.5");
  refused(line, "of budget: one 4.71 of 4.00 MiB, two 4."); /* the other one packs them */
  free(output);
}

/* Streams say what they execute: a file, an input. */
static void test_run_files(void **state) {
  (void)state;
  static const char format[] =
      "{\"format\": \"cosrel-workload\", \"version\": 1, \"name\": \"files\", \"streams\": [{\"name\": \"a\", "
      "\"model\": \"m\", \"file\": \"%s\", \"input\": \"%s\", \"arrivals\": {\"kind\": \"closed\", \"rate_hz\": 1}}]}";
  static const cosrel_shape image = {4, {1, 3, 32, 32}};
  char line[1024], text[1024], *output = fixture_alloc(1, OUTPUT_MAX);
  float *data = fixture_alloc(3 * 32 * 32, sizeof *data);
  cosrel_error error = {""};
  snprintf(line, sizeof line, "zoo squeezenet1_1@32 -o %s", path_of("net.onnx"));
  assert_int_equal(run(line, "2>/dev/null", output), 0);
  for (int i = 0; i < 3 * 32 * 32; i++) data[i] = (float)(i % 7) * 0.1f;
  assert_int_equal(cosrel_npy_write(path_of("in.npy"), &image, data, &error), COSREL_OK);
  snprintf(text, sizeof text, format, "net.onnx", "in.npy");
  write_text("files.json", text);
  snprintf(line, sizeof line, "run --workload %s --policy fcfs --duration 0.2 --verify", path_of("files.json"));
  assert_int_equal(run(line, "2>/dev/null", output), 0);
  snprintf(text, sizeof text, format, "net.onnx", "nothing.npy");
  write_text("files.json", text);
  refused(line, "stream a: ");
  refused(line, "nothing.npy");
  snprintf(text, sizeof text, format, "nothing.onnx", "");
  write_text("files.json", text);
  refused(line, "nothing.onnx");
  snprintf(text, sizeof text, format, "", "");
  write_text("files.json", text);
  refused(line, "stream a: "); /* the zoo has no m */
  free(data);
  free(output);
}

static void test_bad_command_lines(void **state) {
  (void)state;
  char line[512];
  refused("run --policy eft", "--workload: is required");
  snprintf(line, sizeof line, "run --workload %s --policy nobody", small_workload("closed"));
  refused(line, "policy 'nobody'");
  snprintf(line, sizeof line, "run --workload %s --policy eft --processor cpu", path_of("small.json"));
  refused(line, "cpu: expected ");
  snprintf(line, sizeof line, "run --workload %s --policy eft --processor cpu=nothing", path_of("small.json"));
  refused(line, "nothing");
  snprintf(line, sizeof line, "run --workload %s --policy eft --processor a=reference a=reference",
           path_of("small.json"));
  refused(line, "a: expected every processor once");
}

/* After SIGINT what was done is reported and the trace is there. */
static void test_interrupt_keeps_what_was_done(void **state) {
  (void)state;
  const char *program = getenv("COSREL"), *workload = small_workload("periodic");
  char out[128], trace[128];
  snprintf(out, sizeof out, "%s", path_of("interrupted.json"));
  snprintf(trace, sizeof trace, "%s", path_of("interrupted.trace.json"));
  pid_t child = fork();
  if (child == 0) {
    if (freopen(out, "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL) _exit(99);
    execl(program != NULL ? program : "build/cosrel", "cosrel", "run", "--workload", workload, "--policy", "eft",
          "--duration", "600", "--json", "--trace", trace, (char *)NULL);
    _exit(99);
  }
  assert_true(child > 0);
  /* The trace begins, under a temporary name, when everything is open and the run starts. */
  char pattern[160];
  snprintf(pattern, sizeof pattern, "ls %s* >/dev/null 2>&1", trace);
  for (int i = 0; i < 1200 && system(pattern) != 0; i++) nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
  nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
  kill(child, SIGINT);
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 130);
  char *text;
  size_t size;
  cosrel_error error = {""};
  assert_int_equal(cosrel_file_read(out, OUTPUT_MAX, &text, &size, &error), COSREL_OK);
  json_t *root = parse(text);
  assert_true(json_number_value(json_object_get(root, "duration_s")) < 600);
  for (size_t i = 0; i < 2; i++) {
    json_t *stream = json_array_get(json_object_get(root, "streams"), i);
    assert_int_equal(json_integer_value(json_object_get(stream, "arrived")),
                     json_integer_value(json_object_get(stream, "completed")) +
                         json_integer_value(json_object_get(stream, "dropped")));
  }
  json_decref(root);
  free(text);
  assert_int_equal(access(trace, R_OK), 0);
}

static void test_devices_command(void **state) {
  (void)state;
  char line[256], *output = fixture_alloc(1, OUTPUT_MAX);
  snprintf(line, sizeof line, "devices --json --sys %s", path_of("sys")); /* of test_telemetry */
  assert_int_equal(run(line, "2>/dev/null", output), 0);
  json_t *root = parse(output);
  json_t *processors = json_object_get(root, "processors");
  bool reference = false;
  for (size_t i = 0; i < json_array_size(processors); i++) {
    json_t *entry = json_array_get(processors, i);
    const char *backend = json_string_value(json_object_get(entry, "backend"));
    bool available = json_is_true(json_object_get(entry, "available"));
    assert_non_null(backend);
    if (strcmp(backend, "reference") == 0) reference = available;
    if (strcmp(backend, "opencl") == 0 && available)
      assert_true(json_integer_value(json_object_get(entry, "units")) > 0 &&
                  json_is_string(json_object_get(entry, "platform")));
    if (strcmp(backend, "armnn") == 0) assert_true(json_is_string(json_object_get(entry, "device")));
    if (!available) assert_true(json_is_string(json_object_get(entry, "reason")));
  }
  assert_true(reference);
  json_t *zones = json_object_get(json_object_get(root, "telemetry"), "temperatures");
  assert_true(json_number_value(json_object_get(json_array_get(zones, 0), "temperature_c")) == 41.5);
  json_decref(root);
  assert_int_equal(run("devices", "2>/dev/null", output), 0);
  assert_non_null(strstr(output, "reference"));
  free(output);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_npy_survives),
      cmocka_unit_test(test_hostile_npy),
      cmocka_unit_test(test_inputs_must_fit),
      cmocka_unit_test(test_telemetry),
      cmocka_unit_test(test_a_measured_profile),
      cmocka_unit_test(test_another_models_profile_is_refused),
      cmocka_unit_test(test_measure_prefixes),
      cmocka_unit_test(test_every_policy_computes_the_same),
      cmocka_unit_test(test_a_wrong_output_is_found),
      cmocka_unit_test(test_run_command),
      cmocka_unit_test(test_run_on_opencl),
      cmocka_unit_test(test_run_in_half),
      cmocka_unit_test(test_run_with_a_profile),
      cmocka_unit_test(test_run_with_little_memory),
      cmocka_unit_test(test_run_files),
      cmocka_unit_test(test_bad_command_lines),
      cmocka_unit_test(test_interrupt_keeps_what_was_done),
      cmocka_unit_test(test_devices_command),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
