/* Measuring this machine: what is made of samples, and `cosrel profile` as a user meets it. Nothing is asserted about
 * how long things take. Runs the program named by $COSREL, build/cosrel without it, from the root of the repository. */
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
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

#include <pthread.h>

#include "backends/profiling.h"
#include "sched/rng.h"
#include "tests/command.h"
#include "tests/fixtures.h"
#include "traces/profile_file.h"

static char folder[] = "/tmp/cosrel-test-profile-XXXXXX";

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

/* ---- Samples ---- */

/* A normal sample keeps its mean and spread; what is far above goes, what is below stays. */
static void test_outliers_go(void **state) {
  (void)state;
  enum { N = 1000, FAR = 50 };
  double samples[N + FAR], sum = 0, squares = 0;
  for (int i = 0; i < N; i++) {
    samples[i] = 1e6 + 5e4 * cosrel_rng_normal(cosrel_rng_key(1, (uint64_t)i));
    sum += samples[i];
    squares += samples[i] * samples[i];
  }
  for (int i = 0; i < FAR; i++) samples[N + i] = 5e6;
  double mean = sum / N, cv = sqrt((squares / N - mean * mean) * N / (N - 1)) / mean;
  cosrel_measured m = cosrel_measured_of(samples, N + FAR);
  assert_true(fabs(m.ns - mean) < 1e-3 * mean && fabs(m.cv - cv) < 0.02 * cv);
  double equal[] = {70, 70, 70, 71, 70, 9000};
  m = cosrel_measured_of(equal, 6); /* the median distance is 0, yet 71 is no outlier */
  assert_true(fabs(m.ns - 70.2) < 1e-9);
  double one[] = {42};
  m = cosrel_measured_of(one, 1);
  assert_true(m.ns == 42 && m.cv == 0);
}

/* The units of the longest prefix have its mean and variance together, and keep their proportions. */
static void test_segments_come_out_right(void **state) {
  (void)state;
  for (int even = 0; even < 2; even++) {
    cosrel_measured units[5] = {{110, 0.1}, {60, 0.2}, {210, 0.05}, {-1, 0}, {500, 0.3}};
    cosrel_measurement m = {.n_units = 5, .n_prefixes = 2, .units = units, .ends = {1, 3}};
    if (even) units[0].cv = units[1].cv = units[2].cv = 0;
    m.prefixes[0] = (cosrel_measured){110, 0.1};
    m.prefixes[1] = (cosrel_measured){430, 0.2};
    cosrel_measurement_settle(&m, 10);
    double sum = 0, variance = 0;
    for (int u = 0; u < 3; u++) {
      sum += units[u].ns;
      variance += units[u].cv * units[u].cv * units[u].ns * units[u].ns;
    }
    assert_true(fabs(sum - 420) < 1e-9);
    assert_true(fabs(units[0].ns / units[1].ns - 2) < 1e-9);
    assert_true(units[3].ns < 0 && fabs(units[4].ns / units[0].ns - 4.9) < 1e-9);
    if (!even) {
      assert_true(fabs(sqrt(variance) - 0.2 * 430) < 1e-9);
      assert_true(fabs(units[1].cv / units[0].cv - 2) < 1e-9);
    } else { /* nothing is known of the units: each has the same */
      assert_true(units[0].cv > 0.2 && units[0].cv == units[2].cv);
    }
  }
}

/* ---- The command ---- */

static char *path_of(const char *name) {
  static char paths[16][128];
  static int next;
  char *path = paths[next++ % 16];
  snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  return path;
}

/* Exit status; what the command says on stderr is in `said`. */
static char said[1 << 16];
static int run(const char *format, ...) {
  char arguments[2048];
  va_list list;
  va_start(list, format);
  vsnprintf(arguments, sizeof arguments, format, list);
  va_end(list);
  return command_run(arguments, "2>&1 >/dev/null", said, sizeof said);
}

static void works(int status) {
  if (status != 0) fail_msg("exit status %d: %.1000s", status, said);
}
static void refused(int status, const char *part) {
  if (status != 2 || strstr(said, part) == NULL)
    fail_msg("exit status %d, expected 2 and '%s' in: %.1000s", status, part, said);
}

static cosrel_profile read_profile(const char *name) {
  cosrel_profile profile;
  cosrel_error error = {""};
  if (cosrel_profile_read(path_of(name), &profile, &error) != COSREL_OK) fail_msg("%s", error.text);
  return profile;
}

#define QUICK "--rounds 3 --time 0.2"
#define TWO "--processor one=reference two=%s:threads=1"

static const char *best(void) { return cosrel_backend_table()[0]->name; }

/* The report tells what a memory budget would count of each model. */
static void check_report(const char *path, const cosrel_profile *p) {
  char arguments[512], report[4096], line[256];
  snprintf(arguments, sizeof arguments, "profile --mean %s -o %s", path, path_of("again.json"));
  assert_int_equal(command_run(arguments, "2>/dev/null", report, sizeof report), 0);
  assert_non_null(strstr(report, "weights, MiB prepared on"));
  for (uint32_t m = 0; m < p->n_models; m++) {
    double mib[2] = {0, 0};
    for (uint32_t u = 0; u < p->models[m].model.n_units; u++)
      for (uint32_t q = 0; q < 2; q++) mib[q] += (double)cosrel_profile_weight_bytes(p, m, u, q, COSREL_FP32) / 1048576;
    snprintf(line, sizeof line, "%-32s %12.3f %12.3f\n", p->models[m].model.name, mib[0], mib[1]);
    assert_non_null(strstr(report, line));
  }
}

/* What was measured is complete, and every command takes it as it is. */
static void test_a_profile_goes_everywhere(void **state) {
  (void)state;
  /* Time for several rounds also where others take the processor: one alone tells no variance. */
  works(run("profile zoo:squeezenet1_1@32 zoo:mobilenet_v2@32 -o %s --rounds 3 --time 2 --name mine " TWO,
            path_of("p.json"), best()));
  assert_non_null(strstr(said, "one and two at once"));
  cosrel_profile p = read_profile("p.json");
  assert_string_equal(p.name, "mine");
  assert_int_equal(p.n_models, 2);
  assert_string_equal(p.models[0].model.name, "squeezenet1_1@32");
  assert_int_equal(strncmp(p.models[0].fingerprint, "fnv1a:", 6), 0);
  assert_string_not_equal(p.models[0].fingerprint, p.models[1].fingerprint);
  assert_non_null(strstr(p.soc, "cores"));
  assert_non_null(strstr(p.runtime, "reference"));
  assert_int_equal(p.kappa_origin.tag, COSREL_TAG_MEASURED);
  for (uint32_t q = 0; q < 2; q++) {
    const cosrel_processor *processor = &p.processors[q];
    assert_true(processor->launch_ns > 0);
    assert_true(processor->load_ns + processor->load_ns_per_byte > 0);
    assert_int_equal(processor->load_origin.tag, COSREL_TAG_MEASURED);
    assert_int_equal(processor->memory_bytes, 0);
  }
  double beta = 0, cv = 0;
  uint64_t raw = 0, bytes[2] = {0, 0};
  for (uint32_t m = 0; m < 2; m++)
    for (uint32_t u = 0; u < p.models[m].model.n_units; u++)
      for (uint32_t q = 0; q < 2; q++) {
        const cosrel_cost *cost = cosrel_profile_cost(&p, m, u, q, COSREL_FP32);
        assert_true(cost->mean_ns > 0 && cost->origin.tag == COSREL_TAG_MEASURED);
        uint64_t weights = p.models[m].model.units[u].weights * sizeof(float);
        assert_true(cosrel_profile_weight_bytes(&p, m, u, q, COSREL_FP32) >= weights);
        bytes[q] += cosrel_profile_weight_bytes(&p, m, u, q, COSREL_FP32);
        raw += q == 0 ? weights : 0;
        beta = fmax(beta, cost->beta);
        cv = fmax(cv, cost->cv);
      }
  assert_true(beta == 1 && cv > 0);
  check_report(path_of("p.json"), &p);
  assert_int_equal(bytes[0], raw); /* the reference does not say */
  assert_true((bytes[1] > raw) == (cosrel_backend_table()[0]->weight_bytes != NULL));
  cosrel_profile_clear(&p);

  FILE *f = fopen(path_of("w.json"), "w");
  assert_non_null(f);
  fputs(
      "{\"format\": \"cosrel-workload\", \"version\": 1, \"name\": \"w\", \"streams\": [{\"name\": \"a\", \"model\": "
      "\"squeezenet1_1@32\", \"arrivals\": {\"kind\": \"poisson\", \"rate_hz\": 20}}, {\"name\": \"b\", \"model\": "
      "\"mobilenet_v2@32\", \"arrivals\": {\"kind\": \"closed\", \"rate_hz\": 20}}]}",
      f);
  fclose(f);
  const char *profile = path_of("p.json"), *workload = path_of("w.json"), *policy = path_of("policy.safetensors");
  works(run("replay --profile %s --workload %s --policy eft --duration 0.5", profile, workload));
  works(run("compare --profile %s --workload %s --policies eft,fcfs --seeds 2 --duration 0.2 --load 0.5", profile,
            workload));
  works(run("run --profile %s --workload %s --policy eft --duration 0.2 --verify", profile, workload));
  works(run("train --profile %s --workload %s -o %s --decisions 600 --envs 4 --steps 32 --mixes 0 --quiet", profile,
            workload, policy));
  works(run("run --profile %s --workload %s --policy %s --duration 0.2", profile, workload, policy));
  works(
      run("profile --workload %s -o %s " QUICK, workload, path_of("of-workload.json"))); /* on the default processor */
  p = read_profile("of-workload.json");
  assert_int_equal(p.n_processors, 1);
  assert_int_equal(p.n_models, 2);
  assert_int_equal(p.kappa_origin.tag, COSREL_TAG_ASSUMED); /* there is nobody to contend with */
  cosrel_profile_clear(&p);
}

static bool same_costs(const cosrel_profile *a, uint32_t m, const cosrel_profile *b, uint32_t k) {
  bool same = a->models[m].model.n_units == b->models[k].model.n_units;
  for (uint32_t u = 0; same && u < a->models[m].model.n_units; u++)
    for (uint32_t p = 0; p < a->n_processors; p++)
      same =
          same &&
          cosrel_profile_cost(a, m, u, p, COSREL_FP32)->mean_ns ==
              cosrel_profile_cost(b, k, u, p, COSREL_FP32)->mean_ns &&
          cosrel_profile_weight_bytes(a, m, u, p, COSREL_FP32) == cosrel_profile_weight_bytes(b, k, u, p, COSREL_FP32);
  return same;
}

/* Old models stay to the last bit, with their sources; one measured again is new. */
static void test_merge(void **state) {
  (void)state;
  works(run("zoo squeezenet1_1@32 -o %s", path_of("net.onnx")));
  works(run("profile %s zoo:shufflenet_v2@32 -o %s " QUICK " " TWO, path_of("net.onnx"), path_of("old.json"), best()));
  cosrel_profile old = read_profile("old.json");
  assert_string_equal(old.models[0].model.name, "net");
  cosrel_error error = {""};
  snprintf(old.sources[0], COSREL_SOURCE_MAX, "measured earlier");
  cosrel_profile_cost(&old, 0, 0, 0, COSREL_FP32)->has_weight_bytes = true;
  cosrel_profile_cost(&old, 0, 0, 0, COSREL_FP32)->weight_bytes = 123456789;
  assert_int_equal(cosrel_profile_write(path_of("old.json"), &old, &error), COSREL_OK);
  works(run("profile zoo:shufflenet_v2@32 zoo:mobilenet_v2@32 --merge %s -o %s " QUICK " " TWO, path_of("old.json"),
            path_of("new.json"), best()));
  cosrel_profile new = read_profile("new.json");
  assert_int_equal(new.n_models, 3);
  int net = cosrel_profile_find_model(&new, "net"), shuffle = cosrel_profile_find_model(&new, "shufflenet_v2@32");
  assert_true(net >= 0 && shuffle >= 0 && cosrel_profile_find_model(&new, "mobilenet_v2@32") >= 0);
  assert_true(same_costs(&old, 0, &new, (uint32_t)net));
  assert_false(same_costs(&old, 1, &new, (uint32_t)shuffle));
  assert_string_equal(new.sources[cosrel_profile_cost(&new, (uint32_t)net, 3, 1, COSREL_FP32)->origin.source],
                      "measured earlier");
  assert_string_equal(new.models[net].fingerprint, old.models[0].fingerprint);
  cosrel_profile_clear(&new);
  cosrel_profile_clear(&old);
  refused(run("profile zoo:mobilenet_v2@32 --merge %s -o %s " QUICK " --processor one=reference", path_of("old.json"),
              path_of("none.json")),
          "old.json: expected the same processors, 1 of them, got 2");
  refused(run("profile zoo:mobilenet_v2@32 --merge %s -o %s " QUICK " --processor one=reference three=reference",
              path_of("old.json"), path_of("none.json")),
          "old.json: processors[1]: expected three=reference, got two=");
  assert_int_not_equal(access(path_of("none.json"), F_OK), 0);
}

/* Every figure of the mean lies where it belongs; profiles of other things are refused. */
static void test_mean(void **state) {
  (void)state;
  works(run("profile zoo:squeezenet1_1@32 zoo:mobilenet_v2@32 -o %s " QUICK " " TWO, path_of("a.json"), best()));
  cosrel_profile a = read_profile("a.json"), b = read_profile("a.json");
  cosrel_error error = {""};
  b.processors[1].launch_ns *= 4;
  b.kappa[0][1] += 3;
  for (uint32_t u = 0; u < 2; u++) { /* of bytes the most count, said or not */
    cosrel_cost *cost = cosrel_profile_cost(&b, 0, u, 0, COSREL_FP32);
    cost->has_weight_bytes = true;
    cost->weight_bytes = u == 0 ? 123456789 : 0;
  }
  for (uint32_t m = 0; m < 2; m++)
    for (uint32_t u = 0; u < b.models[m].model.n_units; u++)
      cosrel_profile_cost(&b, m, u, 0, COSREL_FP32)->mean_ns *= 7;
  assert_int_equal(cosrel_profile_write(path_of("b.json"), &b, &error), COSREL_OK);
  works(run("profile --mean %s %s %s -o %s --name mean", path_of("a.json"), path_of("b.json"), path_of("a.json"),
            path_of("mean.json")));
  cosrel_profile mean = read_profile("mean.json");
  assert_string_equal(mean.name, "mean");
  assert_true(fabs(mean.processors[1].launch_ns / a.processors[1].launch_ns - 2) < 1e-9);
  assert_true(fabs(mean.processors[0].launch_ns / a.processors[0].launch_ns - 1) < 1e-9);
  assert_true(fabs(mean.kappa[0][1] - a.kappa[0][1] - 1) < 1e-9);
  for (uint32_t u = 0; u < 3; u++)
    assert_int_equal(cosrel_profile_weight_bytes(&mean, 0, u, 0, COSREL_FP32),
                     u == 0 ? 123456789 : cosrel_profile_weight_bytes(&a, 0, u, 0, COSREL_FP32));
  for (uint32_t m = 0; m < 2; m++)
    for (uint32_t u = 0; u < a.models[m].model.n_units; u++)
      for (uint32_t p = 0; p < 2; p++) {
        double ratio = cosrel_profile_cost(&mean, m, u, p, COSREL_FP32)->mean_ns /
                       cosrel_profile_cost(&a, m, u, p, COSREL_FP32)->mean_ns;
        assert_true(fabs(ratio - (p == 0 ? 3 : 1)) < 1e-9);
      }
  snprintf(b.models[1].fingerprint, sizeof b.models[1].fingerprint, "another");
  assert_int_equal(cosrel_profile_write(path_of("b.json"), &b, &error), COSREL_OK);
  refused(run("profile --mean %s %s -o %s", path_of("a.json"), path_of("b.json"), path_of("none.json")),
          "b.json: models[1]: expected mobilenet_v2@32, as in the others, got another version");
  refused(run("profile --mean %s traces/profiles/snapdragon865.json -o %s", path_of("a.json"), path_of("none.json")),
          "snapdragon865.json: expected the same processors, 2 of them, got 3");
  refused(run("profile zoo:alexnet --mean %s -o %s", path_of("a.json"), path_of("none.json")),
          "expected --mean with nothing to measure beside it");
  cosrel_profile_clear(&mean);
  cosrel_profile_clear(&b);
  cosrel_profile_clear(&a);
}

/* Where fp16 is asked for, every unit of a processor that offers it has a cost in it, the same as in fp32 where there
 * are no weights; a processor that does not offer it has none. Without asking, only a device that computes in it has.
 */
static void test_precisions(void **state) {
  (void)state;
  cosrel_backend_spec spec = {.processor = "gpu", .backend = "opencl"};
  cosrel_backend *backend;
  cosrel_error error = {""};
  const char *model = "zoo:squeezenet1_1@32";
  refused(run("profile %s -o %s --precisions fp16", model, path_of("none.json")), "--precisions: expected fp32 among");
  refused(run("profile %s -o %s --precisions fp32,int8", model, path_of("none.json")), "got fp32,int8");
  refused(run("profile %s -o %s --precisions fp32,", model, path_of("none.json")), "got fp32,");
  refused(run("profile %s -o %s --precisions fp32,fp16,fp32", model, path_of("none.json")), "got fp32,fp16,fp32");
  refused(run("profile %s -o %s --precisions fp32,fp16 --processor one=reference", model, path_of("none.json")),
          "none of the processors offers fp16");
  assert_int_not_equal(access(path_of("none.json"), F_OK), 0);
  if (cosrel_backend_open(&spec, &backend, &error) != COSREL_OK) {
    printf("skipped: cosrel profile in fp16 (%s)\n", error.text);
    return;
  }
  cosrel_capability capability = {.fp16 = false};
  backend->ops->describe(backend, &capability);
  backend->ops->close(backend);
  setenv("COSREL_TUNE", "0", 1);
  setenv("COSREL_CACHE", folder, 1);
  for (int asked = 0; asked < 2; asked++) {
    works(run("profile %s -o %s " QUICK " --processor cpu=reference gpu=opencl%s", model, path_of("half.json"),
              asked ? " --precisions fp16,fp32" : ""));
    cosrel_profile p = read_profile("half.json");
    const cosrel_model *m = &p.models[0].model;
    uint32_t n_equal = 0;
    assert_int_equal(p.tensor_bytes, 4);
    for (uint32_t u = 0; u < m->n_units; u++) {
      double wide = cosrel_profile_cost(&p, 0, u, 1, COSREL_FP32)->mean_ns;
      double half = cosrel_profile_cost(&p, 0, u, 1, COSREL_FP16)->mean_ns;
      assert_true(cosrel_profile_cost(&p, 0, u, 0, COSREL_FP16)->mean_ns < 0);
      assert_true(wide > 0 && (half > 0) == (asked || capability.fp16));
      if (m->units[u].weights == 0 && half > 0) assert_true(half == wide);
      n_equal += half == wide;
    }
    assert_true(n_equal < m->n_units / 2); /* most units are convolutions */
    cosrel_profile_clear(&p);
  }
  unsetenv("COSREL_CACHE");
  unsetenv("COSREL_TUNE");
}

static void test_bad_command_lines(void **state) {
  (void)state;
  const char *out = path_of("none.json");
  refused(run("profile zoo:squeezenet1_1@32"), "-o: is required");
  refused(run("profile -o %s", out), "expected models, or --workload");
  refused(run("profile zoo:squeezenet1_1@32 --workload w.json -o %s", out), "expected models, or --workload");
  refused(run("profile squeezenet1_1 -o %s", out), "squeezenet1_1: expected FILE.onnx or zoo:NAME");
  refused(run("profile zoo: -o %s", out), "zoo:: expected a name of 1 to ");
  refused(run("profile zoo:nothing -o %s", out), "nothing");
  refused(run("profile nothing.onnx -o %s", out), "nothing.onnx");
  refused(run("profile zoo:squeezenet1_1@32 zoo:squeezenet1_1@32 -o %s", out), "two models named squeezenet1_1@32");
  refused(run("profile zoo:squeezenet1_1@32 --processor cpu=nothing -o %s", out), "nothing");
  refused(run("profile zoo:squeezenet1_1@32 --merge %s -o %s", path_of("nothing.json"), out), "nothing.json");
  assert_int_not_equal(access(out, F_OK), 0);
}

static void test_interrupt_writes_nothing(void **state) {
  (void)state;
  const char *program = getenv("COSREL"), *out = path_of("none.json");
  int pipes[2], status;
  assert_int_equal(pipe(pipes), 0);
  pid_t child = fork();
  if (child == 0) {
    if (dup2(pipes[1], STDERR_FILENO) < 0 || freopen("/dev/null", "w", stdout) == NULL) _exit(99);
    execl(program != NULL ? program : "build/cosrel", "cosrel", "profile", "zoo:squeezenet1_1@32", "-o", out, "--time",
          "1000", "--rounds", "100000", (char *)NULL);
    _exit(99);
  }
  assert_true(child > 0);
  close(pipes[1]);
  char c;
  while (read(pipes[0], &c, 1) == 1 && c != '\n') /* the first line of progress: it measures */
    ;
  kill(child, SIGINT);
  assert_int_equal(waitpid(child, &status, 0), child);
  close(pipes[0]);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 130);
  assert_int_not_equal(access(out, F_OK), 0);
}

/* ---- Power ---- */

static atomic_bool counting;

/* A package that draws about 5 W. */
static void *count_energy(void *self) {
  const char *path = self;
  struct timespec t;
  while (atomic_load(&counting)) {
    clock_gettime(CLOCK_MONOTONIC, &t);
    double uj = 5e6 * ((double)t.tv_sec + 1e-9 * (double)t.tv_nsec);
    char next[160];
    snprintf(next, sizeof next, "%s.next", path);
    FILE *f = fopen(next, "w");
    if (f == NULL) break;
    fprintf(f, "%.0f\n", uj);
    fclose(f);
    if (rename(next, path) != 0) break;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  return NULL;
}

/* Watts are measured where powercap tells, and only there. */
static void test_power(void **state) {
  (void)state;
  char line[256], file[128];
  snprintf(line, sizeof line, "mkdir -p %s/sys/class/powercap/intel-rapl:0", folder);
  assert_int_equal(system(line), 0);
  snprintf(line, sizeof line, "echo package-0 > %s/sys/class/powercap/intel-rapl:0/name", folder);
  assert_int_equal(system(line), 0);
  snprintf(file, sizeof file, "%s/sys/class/powercap/intel-rapl:0/energy_uj", folder);
  pthread_t thread;
  atomic_store(&counting, true);
  assert_int_equal(pthread_create(&thread, NULL, count_energy, file), 0);
  int status =
      run("profile zoo:squeezenet1_1@32 -o %s --rounds 50 --time 2 --sys %s", path_of("power.json"), path_of("sys"));
  atomic_store(&counting, false);
  pthread_join(thread, NULL);
  works(status);
  cosrel_profile p = read_profile("power.json");
  assert_int_equal(p.base_origin.tag, COSREL_TAG_MEASURED);
  assert_int_equal(p.processors[0].power_origin.tag, COSREL_TAG_MEASURED);
  assert_true(p.base_w > 0 && p.processors[0].points[0].idle_w == 0);
  cosrel_profile_clear(&p);
  works(
      run("profile zoo:squeezenet1_1@32 -o %s " QUICK " --sys %s", path_of("power.json"), path_of("sys"))); /* stands */
  p = read_profile("power.json");
  assert_int_equal(p.base_origin.tag, COSREL_TAG_ASSUMED);
  assert_int_equal(p.processors[0].power_origin.tag, COSREL_TAG_ASSUMED);
  cosrel_profile_clear(&p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_outliers_go),
      cmocka_unit_test(test_segments_come_out_right),
      cmocka_unit_test(test_a_profile_goes_everywhere),
      cmocka_unit_test(test_merge),
      cmocka_unit_test(test_mean),
      cmocka_unit_test(test_precisions),
      cmocka_unit_test(test_bad_command_lines),
      cmocka_unit_test(test_interrupt_writes_nothing),
      cmocka_unit_test(test_power),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
