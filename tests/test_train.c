/* train as a user runs it: the policy is the same byte for byte with any number of threads and after any kill, curves
 * stay whole, and what cannot be gone on from is refused by name. Runs the program named by $COSREL, build/cosrel
 * without it, from the root of the repository. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <jansson.h>

#include "traces/file.h"

#define OUTPUT_MAX (1 << 16)
#define PROFILE "--profile traces/profiles/snapdragon865.json "
#define WORKLOADS "--workload experiments/workloads/train/doorbell.json experiments/workloads/train/dash-cam.json "
#define SMALL "--mixes 3 --decisions 3072 --envs 8 --steps 16 --minibatch 64 --epochs 2 --checkpoint-s 0 --quiet "
enum { ITERATIONS = 24 }; /* of 8 * 16 decisions; validated after 20 and 24 */

static char folder[] = "/tmp/cosrel-train-XXXXXX";

static const char *program(void) {
  const char *name = getenv("COSREL");
  return name != NULL ? name : "build/cosrel";
}

/* `train` into FOLDER/name.safetensors, with curves in FOLDER/name, and `more` options. */
static void train_line(const char *name, const char *more, char *line, size_t size) {
  int n = snprintf(line, size, "%s train " PROFILE WORKLOADS SMALL "--logdir %s/%s -o %s/%s.safetensors %s", program(),
                   folder, name, folder, name, more);
  assert_true(n > 0 && (size_t)n < size);
}

/* Runs a shell line; `both` takes stdout and stderr, OUTPUT_MAX bytes. Returns the exit status. */
static int run(const char *line, char *both) {
  char whole[2048];
  assert_true((size_t)snprintf(whole, sizeof whole, "%s 2>&1", line) < sizeof whole);
  FILE *pipe = popen(whole, "r");
  assert_non_null(pipe);
  both[fread(both, 1, OUTPUT_MAX - 1, pipe)] = '\0';
  int status = pclose(pipe);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void train(const char *name, const char *more) {
  char line[1024], both[OUTPUT_MAX];
  train_line(name, more, line, sizeof line);
  int status = run(line, both);
  if (status != 0) fail_msg("%s: exit status %d: %.500s", line, status, both);
}

static bool one_line(const char *text) {
  const char *newline = strchr(text, '\n');
  return newline != NULL && newline[1] == '\0';
}

static void refused(const char *line, const char *part) {
  char both[OUTPUT_MAX];
  int status = run(line, both);
  if (status != 2 || !one_line(both) || strstr(both, part) == NULL)
    fail_msg("%s: exit status %d, expected 2 and one line with '%s': %.500s", line, status, part, both);
}

static void train_refused(const char *name, const char *more, const char *part) {
  char line[1024];
  train_line(name, more, line, sizeof line);
  refused(line, part);
}

static void path_of(const char *name, const char *suffix, char path[256]) {
  assert_true(snprintf(path, 256, "%s/%s%s", folder, name, suffix) < 256);
}

static char *bytes_of(const char *name, const char *suffix, size_t *size) {
  char path[256], *bytes;
  cosrel_error error = {""};
  path_of(name, suffix, path);
  if (cosrel_file_read(path, 1 << 24, &bytes, size, &error) != COSREL_OK) fail_msg("%s", error.text);
  return bytes;
}

static void put_bytes(const char *name, const char *suffix, const char *bytes, size_t size) {
  char path[256];
  path_of(name, suffix, path);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

static bool is_there(const char *name, const char *suffix) {
  char path[256];
  path_of(name, suffix, path);
  return access(path, F_OK) == 0;
}

static void same_bytes(const char *a, const char *b, const char *suffix) {
  size_t a_size, b_size;
  char *a_bytes = bytes_of(a, suffix, &a_size), *b_bytes = bytes_of(b, suffix, &b_size);
  if (a_size != b_size || memcmp(a_bytes, b_bytes, a_size) != 0) fail_msg("%s and %s differ in %s", a, b, suffix);
  free(a_bytes);
  free(b_bytes);
}

/* Starts `train` and sends `number` once there is a checkpoint. Returns wait's status; stderr goes to FOLDER/name.err.
 */
static int train_and_signal(const char *name, int number) {
  char line[1024], whole[1400], path[256];
  train_line(name, "", line, sizeof line);
  path_of(name, ".err", path);
  snprintf(whole, sizeof whole, "exec %s 2>%s", line, path);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    execl("/bin/sh", "sh", "-c", whole, (char *)NULL);
    _exit(127);
  }
  const struct timespec pause = {0, 1000000};
  int status;
  while (!is_there(name, ".safetensors.checkpoint")) {
    if (waitpid(child, &status, WNOHANG) == child) return status; /* over before its first checkpoint was seen */
    nanosleep(&pause, NULL);
  }
  kill(child, number);
  assert_int_equal(waitpid(child, &status, 0), child);
  return status;
}

/* The same until the signal came in time: a training may be over before a busy machine runs this test again. */
static int interrupted(const char *name, int number) {
  char path[256];
  path_of(name, ".safetensors", path);
  for (int attempt = 0; attempt < 10; attempt++) {
    remove(path);
    int status = train_and_signal(name, number);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return status;
  }
  fail_msg("%s: never stopped before its end", name);
  return 0;
}

/* train.csv has a header and each iteration once, in order. */
static void whole_csv(const char *name) {
  size_t size;
  char *text = bytes_of(name, "/train.csv", &size), *line = text;
  assert_int_equal(strncmp(line, "iteration,decisions,", 20), 0);
  for (long i = 1; i <= ITERATIONS; i++) {
    line = strchr(line, '\n');
    assert_non_null(line);
    assert_int_equal(strtol(++line, NULL, 10), i);
  }
  line = strchr(line, '\n');
  assert_non_null(line);
  assert_int_equal(line[1], '\0');
  free(text);
}

/* An event file is records (length, checksum, event, checksum) to its very end; the first one is the version. */
static void whole_events(const char *name) {
  size_t size, at = 0, n_records = 0;
  char *bytes = bytes_of(name, "/events.out.tfevents.cosrel", &size);
  while (at < size) {
    uint64_t length = 0;
    assert_true(size - at >= 16);
    for (int i = 0; i < 8; i++) length |= (uint64_t)(unsigned char)bytes[at + (size_t)i] << (8 * i);
    assert_true(length <= size - at - 16);
    static const char version[] =
        "\x1a\x0d"
        "brain.Event:2"; /* field 3, 13 bytes */
    bool is_version = length == 9 + 15 && memcmp(bytes + at + 12 + 9, version, 15) == 0;
    assert_int_equal(is_version, n_records == 0);
    n_records++;
    at += 16 + length;
  }
  assert_true(n_records > ITERATIONS);
  free(bytes);
}

static void test_threads_change_nothing(void **state) {
  (void)state;
  train("two", "--threads 2");
  same_bytes("two", "one", ".safetensors");
  same_bytes("two", "one", "/train.csv");
  assert_false(is_there("one", ".safetensors.checkpoint"));
  whole_csv("one");
  whole_events("one");
  train("seed", "--seed 2"); /* or equality would mean nothing */
  size_t a_size, b_size;
  char *a = bytes_of("one", ".safetensors", &a_size), *b = bytes_of("seed", ".safetensors", &b_size);
  assert_true(a_size != b_size || memcmp(a, b, a_size) != 0);
  free(a);
  free(b);
}

static void test_killed_and_resumed(void **state) {
  (void)state;
  int status = interrupted("killed", SIGKILL);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  assert_true(is_there("killed", ".safetensors.checkpoint"));
  assert_false(is_there("killed", ".safetensors"));
  train("killed", "--resume");
  same_bytes("killed", "one", ".safetensors");
  same_bytes("killed", "one", "/train.csv");
  whole_csv("killed");
  whole_events("killed");
  assert_false(is_there("killed", ".safetensors.checkpoint"));
}

static void test_interrupted_and_resumed(void **state) {
  (void)state;
  size_t size;
  int status = interrupted("stopped", SIGINT);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 130);
  char *said = bytes_of("stopped", ".err", &size), *checkpoint;
  if (!one_line(said) || strstr(said, "--resume") == NULL || strstr(said, "stopped.safetensors.checkpoint") == NULL)
    fail_msg("expected one line that says how to go on: %.500s", said);
  free(said);
  assert_false(is_there("stopped", ".safetensors"));

  train_refused("stopped", "--resume --seed 2", "stopped.safetensors.checkpoint");
  train_refused("stopped", "--resume --entropy 0.5", "stopped.safetensors.checkpoint");
  train_refused("stopped", "--resume --memory dsp=4000", "stopped.safetensors.checkpoint");
  train_refused("stopped", "--resume --no-prefetch", "stopped.safetensors.checkpoint");
  checkpoint = bytes_of("stopped", ".safetensors.checkpoint", &size);
  const size_t cuts[] = {0, 7, 100, size / 2, size - 1};
  for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
    put_bytes("stopped", ".safetensors.checkpoint", checkpoint, cuts[i]);
    train_refused("stopped", "--resume", "stopped.safetensors.checkpoint");
  }
  put_bytes("stopped", ".safetensors.checkpoint", checkpoint, size); /* no refusal has spoilt anything */
  free(checkpoint);
  train("stopped", "--resume");
  same_bytes("stopped", "one", ".safetensors");
  same_bytes("stopped", "one", "/train.csv");
  train_refused("stopped", "--resume", "stopped.safetensors.checkpoint"); /* it is gone */
}

static bool same_curves(const char *a, const char *b) {
  size_t a_size, b_size;
  char *a_bytes = bytes_of(a, "/train.csv", &a_size), *b_bytes = bytes_of(b, "/train.csv", &b_size);
  bool same = a_size == b_size && memcmp(a_bytes, b_bytes, a_size) == 0;
  free(a_bytes);
  free(b_bytes);
  return same;
}

/* Room for all at no cost is as no limit; a tight budget, and how its weights are loaded, change what is learnt. */
static void test_memory(void **state) {
  (void)state;
  train("roomy", "--memory dsp=4000");
  assert_true(same_curves("roomy", "one"));
  train("tight", "--memory dsp=8:200");
  assert_false(same_curves("tight", "one"));
  train("lazy", "--memory dsp=8:200 --no-prefetch");
  assert_false(same_curves("lazy", "one"));
  assert_false(same_curves("lazy", "tight"));
  size_t size;
  char *bytes = bytes_of("lazy", ".safetensors", &size);
  static const char said[] = "\\\"memory\\\":[\\\"dsp=8:200\\\"],\\\"no_prefetch\\\":true"; /* JSON in JSON */
  size_t at = 0;
  while (at + sizeof said < size && memcmp(bytes + at, said, sizeof said - 1) != 0) at++;
  assert_memory_equal(bytes + at, said, sizeof said - 1);
  free(bytes);

  train_refused("never", "--memory cpu=.1 gpu=.2 dsp=.3", "of 0.10 MiB, gpu");
  train_refused("never", "--memory npu=3", "npu");
  assert_false(is_there("never", ".safetensors"));
}

static void replay_line(const char *policy, char *line, size_t size) {
  int n = snprintf(line, size,
                   "%s replay " PROFILE
                   "--workload experiments/workloads/test/drone.json --policy %s --arrivals "
                   "poisson --load 0.9 --duration 1 --json",
                   program(), policy);
  assert_true(n > 0 && (size_t)n < size);
}

static void replay_refused(const char *policy) {
  char line[1024];
  replay_line(policy, line, sizeof line);
  refused(line, policy);
}

static void test_policy_file(void **state) {
  (void)state;
  char line[1024], path[256], first[OUTPUT_MAX], second[OUTPUT_MAX];
  path_of("one", ".safetensors", path);
  replay_line(path, line, sizeof line);
  assert_int_equal(run(line, first), 0);
  assert_int_equal(run(line, second), 0);
  assert_string_equal(first, second);
  json_t *root = json_loads(first, JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(root);
  assert_string_equal(json_string_value(json_object_get(root, "policy")), path);
  assert_true(json_integer_value(json_object_get(root, "decisions")) > 20);
  json_decref(root);

  size_t size;
  char *bytes = bytes_of("one", ".safetensors", &size);
  path_of("bad", ".safetensors", path);
  const size_t cuts[] = {0, 7, 100, size / 2, size - 1};
  for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
    put_bytes("bad", ".safetensors", bytes, cuts[i]);
    replay_refused(path);
  }
  static const char version[] = "\"version\":\"2\"";
  size_t at = 0;
  while (at + sizeof version < size && memcmp(bytes + at, version, sizeof version - 1) != 0) at++;
  assert_memory_equal(bytes + at, version, sizeof version - 1);
  bytes[at + sizeof version - 3] = '9';
  put_bytes("bad", ".safetensors", bytes, size);
  replay_refused(path);
  free(bytes);
  replay_refused("traces/profiles/snapdragon865.json");
}

static void test_bad_options(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {"--envs 0", "--envs"},
      {"--steps 1", "--steps"},
      {"--minibatch 0", "--minibatch"},
      {"--decisions 0", "decisions"},
      {"--threads 0", "--threads"},
      {"--rate x", "--rate"},
      {"--colour", "--colour"},
      {"--epochs -1", "--epochs"},
      {"--workload /nonexistent.json", "/nonexistent.json"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) train_refused("bad-options", bad[i][0], bad[i][1]);
  char line[256];
  snprintf(line, sizeof line, "%s train " PROFILE WORKLOADS "--quiet", program());
  refused(line, "-o");
  assert_false(is_there("bad-options", ".safetensors"));
}

static int set_up(void **state) {
  (void)state;
  if (mkdtemp(folder) == NULL) return -1;
  train("one", "--threads 1");
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  char line[64];
  snprintf(line, sizeof line, "rm -r %s", folder);
  return system(line);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_threads_change_nothing),
      cmocka_unit_test(test_killed_and_resumed),
      cmocka_unit_test(test_interrupted_and_resumed),
      cmocka_unit_test(test_memory),
      cmocka_unit_test(test_policy_file),
      cmocka_unit_test(test_bad_options),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
