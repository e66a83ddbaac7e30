/* Profile and workload files: what is written is read back to the last bit, and hostile files get one clear line. */
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "traces/atomic.h"
#include "traces/file.h"
#include "traces/json.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

#define PROFILE "tests/corpus/profile/two.json"
#define WORKLOAD "tests/corpus/workload/all.json"

static char folder[64];

static int make_folder(void **state) {
  (void)state;
  strcpy(folder, "/tmp/cosrel-test-XXXXXX");
  return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  return rmdir(folder); /* fails, and so does the group, when a test left a file behind */
}

static const char *path_of(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void read_all(const char *path, char **text, size_t *size) {
  cosrel_error error = {""};
  if (cosrel_file_read(path, COSREL_PROFILE_FILE_MAX, text, size, &error) != COSREL_OK) fail_msg("%s", error.text);
}

static void write_all(const char *path, const char *text, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

/* ---- round trips ---- */

static void assert_same_file(const char *left, const char *right) {
  size_t left_size, right_size;
  char *a, *b;
  read_all(left, &a, &left_size);
  read_all(right, &b, &right_size);
  if (left_size != right_size || memcmp(a, b, left_size) != 0) fail_msg("%s is not what was read and written", left);
  free(a);
  free(b);
}

static void assert_workload_survives(const char *path) {
  static cosrel_workload workload;
  cosrel_error error = {""};
  if (cosrel_workload_read(path, &workload, &error) != COSREL_OK) fail_msg("%s", error.text);
  if (cosrel_workload_write(path_of("out"), &workload, &error) != COSREL_OK) fail_msg("%s", error.text);
  assert_same_file(path, path_of("out"));
  unlink(path_of("out"));
  cosrel_workload_clear(&workload);
}

static void test_workloads_survive(void **state) {
  (void)state;
  assert_workload_survives(WORKLOAD);
  glob_t found;
  assert_int_equal(glob("experiments/workloads/*/*.json", 0, NULL, &found), 0);
  assert_true(found.gl_pathc >= 14);
  for (size_t i = 0; i < found.gl_pathc; i++) assert_workload_survives(found.gl_pathv[i]);
  globfree(&found);
}

static void assert_profile_survives(const char *path) {
  cosrel_profile profile;
  cosrel_error error = {""};
  if (cosrel_profile_read(path, &profile, &error) != COSREL_OK) fail_msg("%s", error.text);
  if (cosrel_profile_write(path_of("out"), &profile, &error) != COSREL_OK) fail_msg("%s", error.text);
  assert_same_file(path, path_of("out"));
  unlink(path_of("out"));
  cosrel_profile_clear(&profile);
}

static void test_profiles_survive(void **state) {
  (void)state;
  assert_profile_survives(PROFILE);
  glob_t found;
  if (glob("traces/profiles/*.json", 0, NULL, &found) != 0) return;
  for (size_t i = 0; i < found.gl_pathc; i++) assert_profile_survives(found.gl_pathv[i]);
  globfree(&found);
}

/* Numbers that decimal fractions cannot hold come back to the last bit. */
static void test_numbers_are_exact(void **state) {
  (void)state;
  cosrel_profile profile, again;
  cosrel_error error = {""};
  assert_int_equal(cosrel_profile_read(PROFILE, &profile, &error), COSREL_OK);
  const double values[] = {1.0 / 3.0, 0.1, 1e-300, 1234567.0 + 1.0 / 7.0, 0x1.fffffffffffffp30, 0x1p-1074, 1e11 / 3.0};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    cosrel_profile_cost(&profile, 0, 1, 0, COSREL_FP32)->mean_ns = values[i];
    profile.links[0][1].latency_ns = values[i];
    char *text;
    size_t size;
    assert_int_equal(cosrel_profile_format(&profile, "memory", &text, &size, &error), COSREL_OK);
    if (cosrel_profile_parse(text, size, "memory", &again, &error) != COSREL_OK) fail_msg("%s", error.text);
    assert_memory_equal(&cosrel_profile_cost(&again, 0, 1, 0, COSREL_FP32)->mean_ns, &values[i], sizeof values[i]);
    assert_memory_equal(&again.links[0][1].latency_ns, &values[i], sizeof values[i]);
    free(text);
    cosrel_profile_clear(&again);
  }
  cosrel_profile_clear(&profile);
}

/* The examples in the documentation are files that can be read, and look as if cosrel had written them. */
static void test_documented_examples(void **state) {
  (void)state;
  size_t size;
  char *text, *block;
  read_all("traces/FORMAT.md", &text, &size);
  block = text;
  for (int i = 0; i < 2; i++) {
    static const char opening[] = "```json\n";
    block = strstr(block, opening);
    assert_non_null(block);
    block += sizeof opening - 1;
    char *end = strstr(block, "```");
    assert_non_null(end);
    write_all(path_of("example.json"), block, (size_t)(end - block));
    char path[128];
    strcpy(path, path_of("example.json"));
    if (i == 0) {
      assert_profile_survives(path);
    } else {
      assert_workload_survives(path);
    }
    unlink(path);
    block = end + 3;
  }
  free(text);
}

static void test_profile_values(void **state) {
  (void)state;
  cosrel_profile profile;
  cosrel_error error = {""};
  if (cosrel_profile_read(PROFILE, &profile, &error) != COSREL_OK) fail_msg("%s", error.text);
  assert_string_equal(profile.name, "two");
  assert_int_equal(profile.n_processors, 2);
  assert_int_equal(profile.host, 0);
  assert_int_equal(cosrel_profile_find_processor(&profile, "gpu"), 1);
  assert_int_equal(cosrel_profile_find_processor(&profile, "dsp"), -1);
  assert_int_equal(cosrel_profile_find_model(&profile, "fork"), 0);
  assert_string_equal(profile.processors[0].backend, "cpu=reference:cores=0");
  assert_string_equal(profile.processors[1].backend, "");
  assert_true(profile.processors[0].points[1].speed == 0.5);
  assert_int_equal(profile.processors[1].memory_bytes, 268435456);
  assert_true(profile.processors[1].load_ns == 2e5 && profile.processors[1].load_ns_per_byte == 0.8);
  assert_int_equal(profile.processors[1].load_origin.tag, COSREL_TAG_ASSUMED);
  assert_true(profile.processors[0].load_ns == 0 && profile.processors[0].load_ns_per_byte == 0);
  assert_true(profile.links[1][0].ns_per_byte == 0.5 && profile.links[0][1].ns_per_byte == 0.25);
  assert_true(profile.kappa[0][1] == 0.2 && profile.kappa[1][0] == 0.35);
  assert_int_equal(profile.thermal.n_steps, 2);
  assert_true(profile.thermal.start_c == 30.5 && profile.thermal.steps[1].below_c == 42.5);
  assert_int_equal(profile.thermal.steps[1].cap[0], 1);
  const cosrel_model *model = &profile.models[0].model;
  assert_int_equal(model->n_units, 3);
  assert_int_equal(model->n_edges, 4);
  assert_int_equal(model->inputs[model->units[2].first_input + 1], 1);
  assert_true(cosrel_profile_cost(&profile, 0, 0, 0, COSREL_INT8)->mean_ns == 41000.5);
  assert_true(cosrel_profile_cost(&profile, 0, 2, 1, COSREL_FP16)->mean_ns < 0);
  assert_int_equal(cosrel_profile_cost(&profile, 0, 0, 1, COSREL_FP16)->origin.tag, COSREL_TAG_ASSUMED);
  assert_int_equal(cosrel_profile_weight_bytes(&profile, 0, 0, 1, COSREL_FP16), 3456);
  assert_int_equal(cosrel_profile_weight_bytes(&profile, 0, 0, 0, COSREL_FP32), 432 * 4);
  assert_int_equal(cosrel_profile_weight_bytes(&profile, 0, 0, 0, COSREL_INT8), 432);
  assert_int_equal(cosrel_profile_weight_bytes(&profile, 0, 1, 1, COSREL_FP16), 256 * 2);
  cosrel_profile_clear(&profile);
}

/* Bytes of weights that are what they would be anyway are not written, none at all are; too many are refused. */
static void test_weight_bytes(void **state) {
  (void)state;
  static const struct {
    uint64_t bytes;
    const char *written;
  } cases[] = {{432 * 2, NULL}, {0, "\"weight_bytes\": 0,"}, {COSREL_COUNT_MAX, "\"weight_bytes\": 9007199254740992,"}};
  cosrel_profile profile, again;
  cosrel_error error = {""};
  assert_int_equal(cosrel_profile_read(PROFILE, &profile, &error), COSREL_OK);
  cosrel_cost *cost = cosrel_profile_cost(&profile, 0, 0, 1, COSREL_FP16);
  char *text;
  size_t size;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cost->weight_bytes = cases[i].bytes;
    assert_int_equal(cosrel_profile_format(&profile, "memory", &text, &size, &error), COSREL_OK);
    if (cases[i].written == NULL)
      assert_null(strstr(text, "weight_bytes"));
    else
      assert_non_null(strstr(text, cases[i].written));
    if (cosrel_profile_parse(text, size, "memory", &again, &error) != COSREL_OK) fail_msg("%s", error.text);
    assert_int_equal(cosrel_profile_weight_bytes(&again, 0, 0, 1, COSREL_FP16), cases[i].bytes);
    cosrel_profile_clear(&again);
    free(text);
  }
  cost->weight_bytes = COSREL_COUNT_MAX + 1;
  assert_int_equal(cosrel_profile_format(&profile, "memory", &text, &size, &error), COSREL_FORMAT);
  assert_string_equal(error.text, "memory: models[0].units[0].costs.gpu.fp16.weight_bytes: expected at most 2^53");
  cosrel_profile_clear(&profile);
}

static void test_workload_defaults(void **state) {
  (void)state;
  static const char text[] =
      "{\"format\": \"cosrel-workload\", \"version\": 1, \"name\": \"least\", \"x-note\": [1, {\"any\": null}],"
      " \"streams\": [{\"name\": \"a\", \"model\": \"m\", \"arrivals\": {\"kind\": \"poisson\", \"rate_hz\": 2}}]}";
  static cosrel_workload workload;
  cosrel_error error = {""};
  if (cosrel_workload_parse(text, sizeof text - 1, "least", &workload, &error) != COSREL_OK) fail_msg("%s", error.text);
  const cosrel_stream *stream = &workload.streams[0];
  assert_int_equal(stream->precisions, 1u << COSREL_FP32 | 1u << COSREL_FP16);
  assert_int_equal(stream->deadline, 0);
  assert_string_equal(stream->file, "");
  assert_string_equal(stream->input, "");
  assert_true(stream->priority == 1.0);
  assert_int_equal(stream->queue_limit, 4);
  assert_int_equal(stream->drop, COSREL_DROP_OLDEST);
  assert_true(stream->drop_late);
  assert_true(stream->arrivals.phase < 0 && stream->arrivals.jitter == 0);
  assert_true(stream->arrivals.burst_ratio == 3.0 && stream->arrivals.burst_share == 0.2);
  assert_true(workload.objective.latency == 1 && workload.objective.throughput == 1);
  assert_true(workload.objective.energy == 0.1);
  cosrel_workload_clear(&workload);
}

/* Milliseconds in files are nanoseconds in memory, and look the same after the way back. */
static void test_times_are_exact(void **state) {
  (void)state;
  static cosrel_workload workload;
  cosrel_error error = {""};
  if (cosrel_workload_read(WORKLOAD, &workload, &error) != COSREL_OK) fail_msg("%s", error.text);
  assert_int_equal(workload.streams[0].deadline, 33300000);
  assert_int_equal(workload.streams[4].arrivals.n_times, 5);
  assert_int_equal(workload.streams[4].arrivals.times[1], 100250000);
  assert_int_equal(workload.streams[4].arrivals.times[2], 333333333);
  cosrel_workload_clear(&workload);
}

/* ---- hostile files ---- */

/* A change to a good file: the first `from` becomes `to`. Then the status and the place in the error line. */
typedef struct hostile {
  const char *from, *to;
  cosrel_status status;
  const char *place;
} hostile;

typedef cosrel_status (*read_function)(const char *path, cosrel_error *error);

static cosrel_status read_profile(const char *path, cosrel_error *error) {
  cosrel_profile profile;
  cosrel_status status = cosrel_profile_read(path, &profile, error);
  cosrel_profile_clear(&profile);
  return status;
}

static cosrel_status read_workload(const char *path, cosrel_error *error) {
  static cosrel_workload workload;
  cosrel_status status = cosrel_workload_read(path, &workload, error);
  cosrel_workload_clear(&workload);
  return status;
}

/* Reading must fail with this status and one line that begins with the file and goes on with the place. */
static void assert_refused(read_function read, const char *path, cosrel_status status, const char *place) {
  cosrel_error error = {""};
  char begin[256];
  int length = snprintf(begin, sizeof begin, "%s: %s", path, place);
  cosrel_status got = read(path, &error);
  if (got != status) fail_msg("expected status %d at '%s', got %d: %s", status, place, got, error.text);
  if (strncmp(error.text, begin, (size_t)length) != 0) fail_msg("expected '%s...', got '%s'", begin, error.text);
  assert_null(strchr(error.text, '\n'));
}

static void run_hostile(read_function read, const char *good, const hostile *cases, size_t n) {
  size_t size;
  char *text, *changed;
  read_all(good, &text, &size);
  changed = malloc(size + 4096);
  assert_non_null(changed);
  for (size_t i = 0; i < n; i++) {
    const hostile *one = &cases[i];
    const char *at = strstr(text, one->from);
    if (at == NULL) fail_msg("'%s' is not in %s", one->from, good);
    int length = snprintf(changed, size + 4096, "%.*s%s%s", (int)(at - text), text, one->to, at + strlen(one->from));
    const char *path = path_of("hostile.json");
    write_all(path, changed, (size_t)length);
    assert_refused(read, path, one->status, one->place);
    unlink(path);
  }
  free(changed);
  free(text);
}

#define TEXT20 "aaaaaaaaaaaaaaaaaaaa"
#define DEEP "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]"

static void test_hostile_profiles(void **state) {
  (void)state;
  static const hostile cases[] = {
      {"cosrel-profile", "cosrel-workload", COSREL_FORMAT, "format: expected 'cosrel-profile', got 'cosrel-workload'"},
      {"\"format\": \"cosrel-profile\",", "", COSREL_FORMAT, "format: missing"},
      {"\"version\": 1", "\"version\": 2", COSREL_UNSUPPORTED, "version: expected 1, got 2"},
      {"\"version\": 1", "\"version\": 1.0", COSREL_FORMAT, "version: expected a whole number"},
      {"\"version\": 1", "\"version\": \"1\"", COSREL_FORMAT, "version: expected a whole number, got text"},
      {"\"name\": \"two\"", "\"name\": \"\"", COSREL_FORMAT, "name: expected 1 to 63"},
      {"\"two\"", "\"" TEXT20 TEXT20 TEXT20 "aaaa\"", COSREL_LIMIT, "name: expected at most 63 bytes, got 64"},
      {"\"two\"", "\"t\\nwo\"", COSREL_FORMAT, "name: expected 1 to 63 printable"},
      {"\"two\"", "\"t\xffwo\"", COSREL_FORMAT, "line 4, column"},
      {"\"two\"", "\"t\\u0000wo\"", COSREL_FORMAT, "line 4, column"},
      {"\"driver\": \"\"", "\"driver\": \"\", \"driver\": \"\"", COSREL_FORMAT, "line 6, column"},
      {"\"driver\": \"\"", "\"drivers\": \"\"", COSREL_FORMAT, "drivers: unknown key"},
      {"\"driver\": \"\"", "\"dri\\nver\": \"\"", COSREL_FORMAT, "dri?ver: unknown key"},
      {"\"driver\": \"\"", "\"x-a\": " DEEP, COSREL_LIMIT, "line 6: expected at most 16 levels"},
      {"\"host\": \"cpu\"", "\"host\": \"dsp\"", COSREL_FORMAT,
       "host: expected a processor of this profile, got 'dsp'"},
      {"\"power_w\": 0.5", "\"power_w\": NaN", COSREL_FORMAT, "line 11, column"},
      {"\"power_w\": 0.5", "\"power_w\": Infinity", COSREL_FORMAT, "line 11, column"},
      {"\"power_w\": 0.5", "\"power_w\": 1e999", COSREL_FORMAT, "line 11, column"},
      {"\"power_w\": 0.5", "\"power_w\": 99999999999999999999", COSREL_FORMAT, "line 11, column"},
      {"\"power_w\": 0.5", "\"power_w\": -1", COSREL_FORMAT, "base.power_w: expected a number >= 0, got -1"},
      {"\"tag\": \"assumed\"", "\"tag\": \"guessed\"", COSREL_FORMAT, "base.tag: expected one of measured "},
      {"\"source\": 0", "\"source\": 1", COSREL_FORMAT, "base.source: expected a whole number from 0 to 0, got 1"},
      {"\"source\": 0", "\"source\": -1", COSREL_FORMAT, "base.source: expected a whole number"},
      {"\"name\": \"gpu\"", "\"name\": \"cpu\"", COSREL_FORMAT, "processors[1].name: expected a name used once"},
      {"\"name\": \"gpu\"", "\"name\": \"G P U\"", COSREL_FORMAT, "links.gpu: expected a processor"},
      {"\"name\": \"gpu\"", "\"name\": \"" TEXT20 "\"", COSREL_LIMIT, "processors[1].name: expected at most 15"},
      {"\"launch_ns\": 5000", "\"launch_ns\": -5", COSREL_FORMAT, "processors[0].launch_ns: expected a number >= 0"},
      {"\"launch_ns\": 5000", "\"launch_ns\": 1e13", COSREL_FORMAT,
       "processors[0].launch_ns: expected a number >= 0 and"},
      {"cpu=reference", "\\u0001", COSREL_FORMAT, "processors[0].backend: expected at most 255"},
      {"\"memory_bytes\": 0", "\"memory_bytes\": 1e3", COSREL_FORMAT, "processors[0].memory_bytes: expected a whole"},
      {"\"load_ns\": 200000", "\"load_ns\": -1", COSREL_FORMAT, "processors[1].load_ns: expected a number >= 0"},
      {"\"load_ns_per_byte\": 0.8", "\"load_ns_per_byte\": 2e6", COSREL_FORMAT,
       "processors[1].load_ns_per_byte: expected"},
      {", \"load_origin\": {\"tag\": \"assumed\", \"source\": 0}", "", COSREL_FORMAT,
       "processors[1].load_origin: missing"},
      {"\"load_origin\": {\"tag\": \"assumed\"", "\"load_origin\": {\"tag\": \"felt\"", COSREL_FORMAT,
       "processors[1].load_origin.tag: expected one of"},
      {"\"speed\": 1,", "\"speed\": 0.9,", COSREL_FORMAT, "processors[0].points[0].speed: expected"},
      {"\"speed\": 0.5,", "\"speed\": 1.5,", COSREL_FORMAT, "processors[0].points[1].speed: expected"},
      {"\"speed\": 0.5,", "\"speed\": 0,", COSREL_FORMAT, "processors[0].points[1].speed: expected"},
      {"\"frequency_mhz\": 1200", "\"frequency_mhz\": true", COSREL_FORMAT,
       "processors[0].points[1].frequency_mhz: expected a number, got a flag"},
      {"      \"gpu\": {\"latency_ns\": 150000", "      \"npu\": {\"latency_ns\": 150000", COSREL_FORMAT,
       "links.cpu.npu: expected a processor"},
      {"\"latency_ns\": 150000, ", "", COSREL_FORMAT, "links.cpu.gpu.latency_ns: missing"},
      {"\"ns_per_byte\": 0.25", "\"ns_per_byte\": -0.25", COSREL_FORMAT, "links.cpu.gpu.ns_per_byte: expected"},
      {"\"overlap\": false", "\"overlap\": 0", COSREL_FORMAT, "links.cpu.gpu.overlap: expected true or false"},
      {"\"cpu\": {\"gpu\": 0.2}", "\"cpu\": {}", COSREL_FORMAT, "contention.kappa.cpu.gpu: missing"},
      {"\"cpu\": {\"gpu\": 0.2}", "\"cpu\": {\"gpu\": 0.2, \"cpu\": 1}", COSREL_FORMAT,
       "links and contention: expected 0"},
      {"\"ambient_c\": 25", "\"ambient_c\": -300", COSREL_FORMAT, "thermal.ambient_c: expected"},
      {"\"ambient_c\": 25", "\"ambient_k\": 298", COSREL_FORMAT, "thermal.ambient_k: unknown key"},
      {"\"start_c\": 30.5", "\"start_c\": \"warm\"", COSREL_FORMAT, "thermal.start_c: expected a number, got text"},
      {"\"resistance_k_per_w\": 8", "\"resistance_k_per_w\": 0", COSREL_FORMAT, "thermal.resistance_k_per_w: expected"},
      {"\"time_constant_s\": 60, ", "", COSREL_FORMAT, "thermal.time_constant_s: missing"},
      {"\"check_ms\": 100", "\"check_ms\": 0.001", COSREL_FORMAT, "thermal.check_ms: expected a number >= 1"},
      {"\"above_c\": 43", "\"above_c\": 41", COSREL_FORMAT, "thermal.steps[1].above_c: expected a number > 41"},
      {"\"below_c\": 42.5", "\"below_c\": 43.5", COSREL_FORMAT, "thermal.steps[1].below_c: expected a number > 40 and"},
      {"\"below_c\": 42.5", "\"below_c\": 39", COSREL_FORMAT,
       "thermal.steps[1].below_c: expected a number > 40, got 39"},
      {"{\"cpu\": 1, \"gpu\": 0}", "{\"cpu\": 2}", COSREL_FORMAT, "thermal.steps[1].caps.cpu: expected 0 to 1, got 2"},
      {"{\"cpu\": 1, \"gpu\": 0}", "{\"cpu\": 16}", COSREL_FORMAT,
       "thermal.steps[1].caps.cpu: expected a whole number"},
      {"{\"cpu\": 1, \"gpu\": 0}", "{\"npu\": 0}", COSREL_FORMAT, "thermal.steps[1].caps.npu: expected a processor"},
      {"0, \"gpu\": 0}, \"tag\": \"assumed\", \"source\": 0},\n    {\"above_c\": 43, \"below_c\": 42.5, \"caps\": "
       "{\"cpu\": 1",
       "1}, \"tag\": \"assumed\", \"source\": 0},\n    {\"above_c\": 43, \"below_c\": 42.5, \"caps\": {\"cpu\": 0",
       COSREL_FORMAT, "thermal.steps[1].caps.cpu: expected 1 to 1, got 0"},
      {"{\"cpu\": 0, \"gpu\": 0}", "{\"cpu\": 2}", COSREL_FORMAT, "thermal.steps[0].caps.cpu: expected 0 to 1, got 2"},
      {"\"steps\": [\n    {\"above_c\": 41", "\"steps\": [], \"x-s\": [\n    {\"above_c\": 41", COSREL_FORMAT,
       "thermal.steps: expected at least one step"},
      {"\"name\": \"fork\"", "\"name\": 7", COSREL_FORMAT, "models[0].name: expected text, got a number"},
      {"\"input_elems\": 3072", "\"input_elems\": 0", COSREL_FORMAT, "models[0].input_elems: expected 1 to 2^53"},
      {"\"kind\": \"conv\"", "\"kind\": \"convolution\"", COSREL_FORMAT,
       "models[0].units[0].kind: expected one of conv"},
      {"\"inputs\": [-1]", "\"inputs\": [0]", COSREL_FORMAT, "models[0].units[0].inputs[0]: expected -1 or an earlier"},
      {"\"inputs\": [0]", "\"inputs\": [2]", COSREL_FORMAT, "models[0].units[1].inputs[0]: expected -1 or an earlier"},
      {"\"inputs\": [0]", "\"inputs\": [0.5]", COSREL_FORMAT,
       "models[0].units[1].inputs[0]: expected -1 or an earlier"},
      {"\"inputs\": [0]", "\"inputs\": [-2]", COSREL_FORMAT, "models[0].units[1].inputs[0]: expected -1 or an earlier"},
      {"\"inputs\": [0]", "\"inputs\": []", COSREL_FORMAT, "models[0].units[1].inputs: expected at least one"},
      {"\"name\": \"left\"", "\"name\": \"stem\"", COSREL_FORMAT, "models[0].units[1].name: expected a name used once"},
      {"\"macs\": 442368", "\"macs\": 9007199254740993", COSREL_FORMAT, "models[0].units[0].macs: expected a whole"},
      {"\"cpu\": {\"fp32\": {\"mean_ns\": 120000", "\"npu\": {\"fp32\": {\"mean_ns\": 120000", COSREL_FORMAT,
       "models[0].units[0].costs.npu: expected a processor of this profile"},
      {"\"int8\": {\"mean_ns\"", "\"int4\": {\"mean_ns\"", COSREL_FORMAT,
       "models[0].units[0].costs.cpu.int4: unknown key"},
      {"\"mean_ns\": 41000.5", "\"mean_ns\": 0", COSREL_FORMAT,
       "models[0].units[0].costs.cpu.int8.mean_ns: expected a number > 0, got 0"},
      {"\"mean_ns\": 41000.5", "\"mean_ns\": -1", COSREL_FORMAT, "models[0].units[0].costs.cpu.int8.mean_ns: expected"},
      {"\"mean_ns\": 41000.5", "\"mean_ns\": 1e200", COSREL_FORMAT,
       "models[0].units[0].costs.cpu.int8.mean_ns: expected"},
      {"\"mean_ns\": 41000.5", "\"mean_ns\": null", COSREL_FORMAT,
       "models[0].units[0].costs.cpu.int8.mean_ns: expected a number, got null"},
      {"\"beta\": 0.9", "\"beta\": 1.1", COSREL_FORMAT,
       "models[0].units[2].costs.cpu.fp32.beta: expected a number >= 0 and <= 1, got 1.1"},
      {"\"weight_bytes\": 3456", "\"weight_bytes\": -1", COSREL_FORMAT,
       "models[0].units[0].costs.gpu.fp16.weight_bytes: expected a whole number from 0 to 9007199254740992, got -1"},
      {"\"weight_bytes\": 3456", "\"weight_bytes\": 9007199254740993", COSREL_FORMAT,
       "models[0].units[0].costs.gpu.fp16.weight_bytes: expected a whole"},
      {"\"weight_bytes\": 3456", "\"weight_bytes\": 3456.5", COSREL_FORMAT,
       "models[0].units[0].costs.gpu.fp16.weight_bytes: expected a whole"},
      {"\"weight_bytes\": 3456", "\"weight_bytes\": 3456, \"weight_bytes\": 3456", COSREL_FORMAT, "line "},
      {"\"beta\": 0.9", "\"beta\": 0.9, \"x-y\": 1, \"y\": 1", COSREL_FORMAT,
       "models[0].units[2].costs.cpu.fp32.y: unknown"},
      {"\"costs\": {\"cpu\": {\"fp32\": {\"mean_ns\": 20000, \"cv\": 0.05, \"beta\": 0.9, \"tag\": \"assumed\", "
       "\"source\": 0}}}",
       "\"costs\": {}", COSREL_FORMAT, "models[0].units[2].costs: expected a processor that can run it"},
      {"\"sources\": [", "\"sources\": [7, ", COSREL_FORMAT, "sources[0]: expected text, got a number"},
      {"\"models\": [", "\"models\": [7, ", COSREL_FORMAT, "models[0]: expected an object, got a number"},
      {"\"models\": [", "\"models\": [], \"x-models\": [", COSREL_FORMAT, "models: expected at least 1"},
      {"\"processors\": [", "\"processors\": {}, \"x-processors\": [", COSREL_FORMAT, "processors: expected an array"},
      {"}]}]\n}", "}]}]", COSREL_FORMAT, "line "},
      {"}]}]\n}", "}]}]\n}}", COSREL_FORMAT, "line "},
      {"}]}]\n}", "}]}", COSREL_FORMAT, "line "},
  };
  run_hostile(read_profile, PROFILE, cases, sizeof cases / sizeof cases[0]);
}

static void test_hostile_workloads(void **state) {
  (void)state;
  static const hostile cases[] = {
      {"cosrel-workload", "workload", COSREL_FORMAT, "format: expected 'cosrel-workload'"},
      {"\"version\": 1", "\"version\": 9", COSREL_UNSUPPORTED, "version: expected 1, got 9"},
      {"\"description\"", "\"describe\"", COSREL_FORMAT, "describe: unknown key"},
      {"\"A stream of", "\"A\\tstream of", COSREL_FORMAT, "description: expected at most 255 printable"},
      {"\"latency\": 1", "\"latency\": -1", COSREL_FORMAT, "objective.latency: expected a number >= 0, got -1"},
      {"\"latency\": 1, \"throughput\": 0.5, \"energy\": 0.1", "\"latency\": 0, \"throughput\": 0, \"energy\": 0",
       COSREL_FORMAT, "objective: expected a weight > 0"},
      {"\"latency\": 1", "\"speed\": 1", COSREL_FORMAT, "objective.speed: unknown key"},
      {"\"name\": \"user\"", "\"name\": \"camera\"", COSREL_FORMAT, "streams[1].name: expected a name used once"},
      {"\"model\": \"fork\"", "\"model\": \"\"", COSREL_FORMAT, "streams[0].model: expected 1 to 63"},
      {"\"model\": \"fork\", ", "", COSREL_FORMAT, "streams[0].model: missing"},
      {"[\"fp32\", \"fp16\", \"int8\"]", "[]", COSREL_FORMAT, "streams[0].precisions: expected at least one"},
      {"[\"fp32\", \"fp16\", \"int8\"]", "[\"fp32\", \"fp32\"]", COSREL_FORMAT, "streams[0].precisions[1]: expected"},
      {"[\"fp32\", \"fp16\", \"int8\"]", "[\"fp64\"]", COSREL_FORMAT, "streams[0].precisions[0]: expected"},
      {"[\"fp32\", \"fp16\", \"int8\"]", "\"fp32\"", COSREL_FORMAT, "streams[0].precisions: expected an array"},
      {"\"kind\": \"periodic\"", "\"kind\": \"often\"", COSREL_FORMAT,
       "streams[0].arrivals.kind: expected one of closed periodic poisson bursty recorded; got 'often'"},
      {"\"rate_hz\": 29.97", "\"rate_hz\": 0", COSREL_FORMAT,
       "streams[0].arrivals.rate_hz: expected a number > 0, got 0"},
      {"\"rate_hz\": 29.97", "\"rate_hz\": \"30\"", COSREL_FORMAT,
       "streams[0].arrivals.rate_hz: expected a number, got"},
      {"\"rate_hz\": 29.97", "\"rate_hz\": 1e9", COSREL_FORMAT,
       "streams[0].arrivals.rate_hz: expected a number > 0 and"},
      {"\"jitter\": 0.05", "\"jitter\": 0.6", COSREL_FORMAT, "streams[0].arrivals.jitter: expected"},
      {"\"phase\": 0.25", "\"phase\": 1.5", COSREL_FORMAT, "streams[0].arrivals.phase: expected"},
      {"\"rate_hz\": 0.1", "\"rate_hz\": 0.1, \"jitter\": -1", COSREL_FORMAT, "streams[1].arrivals.jitter: expected"},
      {"\"burst_ratio\": 4", "\"burst_ratio\": 1", COSREL_FORMAT, "streams[3].arrivals.burst_ratio: expected"},
      {"\"burst_ratio\": 4", "\"burst_ratio\": 6", COSREL_FORMAT, "streams[3].arrivals.burst_share: expected share"},
      {"\"burst_s\": 1.5", "\"burst_s\": 0", COSREL_FORMAT, "streams[3].arrivals.burst_s: expected"},
      {"[0, 100.25", "[200, 100.25", COSREL_FORMAT, "streams[4].arrivals.times_ms[1]: expected 200 to"},
      {"[0, 100.25", "[-1, 100.25", COSREL_FORMAT, "streams[4].arrivals.times_ms[0]: expected 0 to"},
      {"333.333333, 1000]", "333.333333, 1e300]", COSREL_FORMAT, "streams[4].arrivals.times_ms[4]: expected"},
      {"[0, 100.25, 333.333333, 333.333333, 1000]", "[]", COSREL_FORMAT, "streams[4].arrivals.times_ms: expected at"},
      {"\"recorded\"", "\"poisson\"", COSREL_FORMAT, "streams[4].arrivals.times_ms: expected only with kind"},
      {"\"deadline_ms\": 33.3", "\"deadline_ms\": 0", COSREL_FORMAT, "streams[0].deadline_ms: expected a number > 0"},
      {"\"deadline_ms\": 33.3", "\"deadline_ms\": 1e300", COSREL_FORMAT,
       "streams[0].deadline_ms: expected a number > 0"},
      {"\"deadline_ms\": 33.3", "\"deadline_ms\": null", COSREL_FORMAT,
       "streams[0].deadline_ms: expected a number, got"},
      {"\"deadline_ms\": 33.3", "\"deadline_s\": 1", COSREL_FORMAT, "streams[0].deadline_s: unknown key"},
      {"\"priority\": 2", "\"priority\": 0", COSREL_FORMAT, "streams[0].priority: expected a number > 0, got 0"},
      {"\"queue_limit\": 2", "\"queue_limit\": 0", COSREL_FORMAT, "streams[0].queue_limit: expected 1 to 16, got 0"},
      {"\"queue_limit\": 2", "\"queue_limit\": 17", COSREL_FORMAT, "streams[0].queue_limit: expected 1 to 16, got 17"},
      {"\"queue_limit\": 2", "\"queue_limit\": 4294967298", COSREL_FORMAT, "streams[0].queue_limit: expected a whole"},
      {"\"drop\": \"oldest\"", "\"drop\": \"none\"", COSREL_FORMAT, "streams[0].drop: expected one of newest oldest"},
      {"\"file\": \"nets/", "\"file\": \"\\u0007", COSREL_FORMAT, "streams[1]: file and input: expected"},
      {"\"input\": \"user.npy\"", "\"input\": 1", COSREL_FORMAT, "streams[1].input: expected text"},
      {"\"drop_late\": true", "\"drop_late\": 1", COSREL_FORMAT, "streams[0].drop_late: expected true or false"},
      {"\"streams\": [", "\"streams\": [], \"x-streams\": [", COSREL_FORMAT, "streams: expected at least one stream"},
      {"\"streams\": [", "\"streams\": [[], ", COSREL_FORMAT, "streams[0]: expected an object, got an array"},
  };
  run_hostile(read_workload, WORKLOAD, cases, sizeof cases / sizeof cases[0]);
}

/* Every beginning of a good file but the whole is refused: nothing is accepted half-written. */
static void test_truncated(void **state) {
  (void)state;
  const struct {
    read_function read;
    const char *good;
  } kinds[] = {{read_profile, PROFILE}, {read_workload, WORKLOAD}};
  for (size_t k = 0; k < 2; k++) {
    size_t size;
    char *text;
    read_all(kinds[k].good, &text, &size);
    const char *path = path_of("short.json");
    for (size_t length = 0; length + 1 < size; length += 1 + length / 50) {
      write_all(path, text, length);
      assert_refused(kinds[k].read, path, COSREL_FORMAT, "line ");
    }
    unlink(path);
    free(text);
  }
}

static void test_no_file(void **state) {
  (void)state;
  const read_function readers[] = {read_profile, read_workload};
  for (size_t i = 0; i < 2; i++) {
    assert_refused(readers[i], path_of("absent.json"), COSREL_IO, "cannot read: No such file");
    assert_refused(readers[i], folder, COSREL_IO, "expected a file, got a folder");
    const char *path = path_of("empty.json");
    write_all(path, "", 0);
    assert_refused(readers[i], path, COSREL_FORMAT, "line 1, column 0");
    write_all(path, "[]", 2);
    assert_refused(readers[i], path, COSREL_FORMAT, "document: expected an object, got an array");
    write_all(path, "\xef\xbb\xbf{}", 5);
    assert_refused(readers[i], path, COSREL_FORMAT, "line 1");
    unlink(path);
  }
}

static void test_oversized(void **state) {
  (void)state;
  const char *path = path_of("big.json");
  write_all(path, "{", 1);
  assert_int_equal(truncate(path, (off_t)COSREL_PROFILE_FILE_MAX + 1), 0);
  assert_refused(read_profile, path, COSREL_LIMIT, "expected at most 67108864 bytes");
  assert_int_equal(truncate(path, (off_t)COSREL_WORKLOAD_FILE_MAX + 1), 0);
  assert_refused(read_workload, path, COSREL_LIMIT, "expected at most 1048576 bytes");
  /* A file without end is read up to the limit only. */
  assert_refused(read_workload, "/dev/zero", COSREL_LIMIT, "expected at most 1048576 bytes");

  /* Few bytes, many values. */
  size_t size = 3 * (COSREL_JSON_VALUES_MAX + 10);
  char *text = malloc(size);
  assert_non_null(text);
  memset(text, ' ', size);
  text[0] = '[';
  for (size_t i = 1; i + 3 < size; i += 3) memcpy(text + i, "[],", 3);
  write_all(path, text, size);
  assert_refused(read_profile, path, COSREL_LIMIT, "line 1: expected at most 1000000 values");
  free(text);
  unlink(path);
}

/* More items than the structs have room for. */
static void test_too_many(void **state) {
  (void)state;
  const struct {
    read_function read;
    const char *format, *key;
    int n;
    const char *place;
  } cases[] = {
      {read_workload, "cosrel-workload", "streams", COSREL_STREAMS_MAX, "streams: expected at most 64 items, got 65"},
      {read_profile, "cosrel-profile", "sources", COSREL_SOURCES_MAX, "sources: expected at most 256 items, got 257"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const char *path = path_of("many.json");
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fprintf(file, "{\"format\": \"%s\", \"version\": 1, \"name\": \"a\", \"%s\": [", cases[i].format, cases[i].key);
    for (int n = 0; n < cases[i].n; n++) fputs("{}, ", file);
    fputs("{}]}", file);
    fclose(file);
    assert_refused(cases[i].read, path, COSREL_LIMIT, cases[i].place);
    unlink(path);
  }
  static const hostile processors[] = {{"\"processors\": [", "\"processors\": [{}, {}, {}, {}, {}, {}, {}, ",
                                        COSREL_LIMIT, "processors: expected at most 8 items, got 9"},
                                       {"\"points\": [", "\"points\": [0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,", COSREL_LIMIT,
                                        "processors[0].points: expected at most 16 items, got 17"}};
  run_hostile(read_profile, PROFILE, processors, 2);
}

/* ---- writing ---- */

static void assert_content(const char *path, const char *expected) {
  size_t size;
  char *text;
  read_all(path, &text, &size);
  assert_int_equal(size, strlen(expected));
  assert_memory_equal(text, expected, size);
  free(text);
}

static size_t files_in_folder(void) {
  glob_t found;
  char pattern[80];
  snprintf(pattern, sizeof pattern, "%s/*", folder);
  size_t n = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
  if (n > 0) globfree(&found);
  return n;
}

static void test_atomic_write(void **state) {
  (void)state;
  cosrel_error error = {""};
  const char *path = path_of("a");
  assert_int_equal(cosrel_atomic_write(path, "first", 5, &error), COSREL_OK);
  assert_content(path, "first");
  assert_int_equal(chmod(path, 0640), 0);
  assert_int_equal(cosrel_atomic_write(path, "second", 6, &error), COSREL_OK);
  assert_content(path, "second");
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0640);
  assert_int_equal(cosrel_atomic_write(path, "", 0, &error), COSREL_OK);
  assert_content(path, "");
  assert_int_equal(files_in_folder(), 1);
  unlink(path);
}

static void test_abort_keeps_the_old(void **state) {
  (void)state;
  cosrel_error error = {""};
  cosrel_atomic atomic;
  const char *path = path_of("a");
  assert_int_equal(cosrel_atomic_write(path, "old", 3, &error), COSREL_OK);
  assert_int_equal(cosrel_atomic_begin(path, &atomic, &error), COSREL_OK);
  fputs("half", atomic.file);
  fflush(atomic.file);
  assert_content(path, "old");
  assert_int_equal(files_in_folder(), 2);
  cosrel_atomic_abort(&atomic);
  cosrel_atomic_abort(&atomic);
  assert_content(path, "old");
  assert_int_equal(files_in_folder(), 1);
  unlink(path);
}

/* The temporary name of a process that died may be there. */
static void test_leftover(void **state) {
  (void)state;
  cosrel_error error = {""};
  char leftover[160];
  snprintf(leftover, sizeof leftover, "%s.tmp-%ld-0", path_of("a"), (long)getpid());
  write_all(leftover, "dead", 4);
  assert_int_equal(cosrel_atomic_write(path_of("a"), "alive", 5, &error), COSREL_OK);
  assert_content(path_of("a"), "alive");
  assert_content(leftover, "dead");
  unlink(leftover);
  unlink(path_of("a"));
}

static void test_link_is_written_through(void **state) {
  (void)state;
  cosrel_error error = {""};
  char link[128], target[128];
  strcpy(link, path_of("link"));
  strcpy(target, path_of("target"));
  write_all(target, "old", 3);
  assert_int_equal(symlink(target, link), 0);
  assert_int_equal(cosrel_atomic_write(link, "new", 3, &error), COSREL_OK);
  struct stat info;
  assert_int_equal(lstat(link, &info), 0);
  assert_true(S_ISLNK(info.st_mode));
  assert_content(target, "new");
  unlink(link);
  unlink(target);
}

/* A file system that is full, as far as this process is concerned. */
static void test_full_disk_keeps_the_old(void **state) {
  (void)state;
  cosrel_error error = {""};
  cosrel_profile profile;
  struct rlimit before, tight;
  const char *path = path_of("profile.json");
  assert_int_equal(cosrel_profile_read(PROFILE, &profile, &error), COSREL_OK);
  assert_int_equal(cosrel_profile_write(path, &profile, &error), COSREL_OK);
  strcpy(profile.name, "another");
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  tight = before;
  tight.rlim_cur = 1000;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
  cosrel_status status = cosrel_profile_write(path, &profile, &error);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, SIG_DFL);
  assert_int_equal(status, COSREL_IO);
  assert_int_equal(strncmp(error.text, path, strlen(path)), 0);
  assert_non_null(strstr(error.text, ": cannot write: "));
  assert_same_file(path, PROFILE);
  assert_int_equal(files_in_folder(), 1);
  unlink(path);
  cosrel_profile_clear(&profile);
}

static void test_cannot_write(void **state) {
  (void)state;
  cosrel_error error = {""};
  assert_int_equal(cosrel_atomic_write("/dev/full", "text", 4, &error), COSREL_IO);
  assert_string_equal(error.text, "/dev/full: cannot write: No space left on device");
  assert_int_equal(cosrel_atomic_write("/dev/null", "text", 4, &error), COSREL_OK);
  struct stat info;
  assert_int_equal(stat("/dev/null", &info), 0);
  assert_true(S_ISCHR(info.st_mode)); /* not replaced by a file */
  assert_int_equal(cosrel_atomic_write(folder, "text", 4, &error), COSREL_IO);
  assert_int_equal(cosrel_atomic_write(path_of("no/such/folder"), "text", 4, &error), COSREL_IO);
  assert_int_equal(files_in_folder(), 0);
}

/* What could not be read back is not written. */
static void test_bad_is_not_written(void **state) {
  (void)state;
  cosrel_error error = {""};
  cosrel_profile profile;
  const char *path = path_of("bad.json");
  assert_int_equal(cosrel_profile_read(PROFILE, &profile, &error), COSREL_OK);
  profile.base_w = -1.0;
  assert_int_equal(cosrel_profile_write(path, &profile, &error), COSREL_FORMAT);
  assert_non_null(strstr(error.text, "bad.json: base.power_w: expected"));
  profile.base_w = 0.5;
  strcpy(profile.soc, "\xff\xfe");
  assert_int_equal(cosrel_profile_write(path, &profile, &error), COSREL_INVALID);
  assert_int_equal(files_in_folder(), 0);
  cosrel_profile_clear(&profile);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_workloads_survive),
      cmocka_unit_test(test_profiles_survive),
      cmocka_unit_test(test_numbers_are_exact),
      cmocka_unit_test(test_documented_examples),
      cmocka_unit_test(test_profile_values),
      cmocka_unit_test(test_weight_bytes),
      cmocka_unit_test(test_workload_defaults),
      cmocka_unit_test(test_times_are_exact),
      cmocka_unit_test(test_hostile_profiles),
      cmocka_unit_test(test_hostile_workloads),
      cmocka_unit_test(test_truncated),
      cmocka_unit_test(test_no_file),
      cmocka_unit_test(test_oversized),
      cmocka_unit_test(test_too_many),
      cmocka_unit_test(test_atomic_write),
      cmocka_unit_test(test_abort_keeps_the_old),
      cmocka_unit_test(test_leftover),
      cmocka_unit_test(test_link_is_written_through),
      cmocka_unit_test(test_full_disk_keeps_the_old),
      cmocka_unit_test(test_cannot_write),
      cmocka_unit_test(test_bad_is_not_written),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
