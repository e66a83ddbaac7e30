/* Faults in bulk: a thousand short runs with random faults of every kind, each under the whole contract, on the
 * backends of this machine; as many on doubles of backends with random processors and memories; then a soak of a
 * million tiny requests with faults all the while, to see that memory stays flat. Links cmocka for its assertions: the
 * first thing that is wrong ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "sched/failures.h"
#include "tests/bench.h"
#include "tests/rig.h"

enum { RUNS = 1000, REQUESTS = 1000000, SAMPLES = 10 };

/* The second number of statm is resident pages. */
static long rss_kib(void) {
  char line[128] = "", *end = line;
  FILE *f = fopen("/proc/self/statm", "r");
  if (f == NULL) return 0;
  if (fgets(line, sizeof line, f) != NULL) strtol(line, &end, 10);
  fclose(f);
  return strtol(end, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024);
}

static void plan_add(cosrel_injection_plan *plan, const char *spec) {
  cosrel_error error = {""};
  bench_check(cosrel_injection_add(plan, spec, &error), &error);
}

/* One or two random specs. */
static cosrel_injection_plan random_plan(uint64_t key) {
  static const char *const processors[] = {"cpu", "gpu", "any"}, *const kinds[] = {"error", "hang", "nan", "lost"};
  cosrel_injection_plan plan = {0};
  uint32_t n = 1 + cosrel_rng_below(cosrel_rng_key(key, 0), 2);
  for (uint32_t i = 0; i < n; i++) {
    uint64_t own = cosrel_rng_key(key, i + 1);
    rig_add_fault(&plan, processors[cosrel_rng_below(own, 3)], kinds[cosrel_rng_below(cosrel_rng_key(own, 1), 4)], own);
  }
  return plan;
}

static double seconds_since(cosrel_time start) { return (double)(cosrel_monotonic_now() - start) * 1e-9; }

/* A thousand runs, divided among the backends that are here. */
static void bench_backends(void) {
  const rig_target *present[RIG_TARGETS];
  uint32_t n = 0;
  for (uint32_t i = 0; i < RIG_TARGETS; i++) {
    char text[64];
    cosrel_error error = {""};
    if (rig_spec("x", &rig_targets[i], text, &error))
      present[n++] = &rig_targets[i];
    else
      fprintf(stderr, "skipped: faults on %s (%s)\n", rig_targets[i].backend, error.text);
  }
  for (uint32_t i = 0; i < n; i++) {
    rig_counts counts = {0};
    cosrel_error error = {""};
    char more[512];
    uint64_t faults = 0;
    cosrel_time start = cosrel_monotonic_now();
    long before = rss_kib();
    if (!rig_torment(present[i], RUNS / n + (i < RUNS % n), &counts, &error)) fail_msg("%s", error.text);
    int at = snprintf(more, sizeof more, "\"backend\": \"%s\", \"runs\": %llu", present[i]->backend,
                      (unsigned long long)counts.runs);
    for (int k = 1; k < COSREL_FAULT_COUNT; k++) {
      faults += counts.faults[k];
      at += snprintf(more + at, sizeof more - (size_t)at, ", \"%s\": %llu", cosrel_fault_name((cosrel_fault)k),
                     (unsigned long long)counts.faults[k]);
    }
    snprintf(
        more + at, sizeof more - (size_t)at,
        ", \"requests\": %llu, \"completed\": %llu, \"dropped\": %llu, \"failed_requests\": %llu, \"wrong\": %llu, "
        "\"unaccounted\": %llu, \"rss_growth_kib\": %ld, \"seconds\": %.1f",
        (unsigned long long)counts.requests, (unsigned long long)counts.completed, (unsigned long long)counts.dropped,
        (unsigned long long)counts.failed, (unsigned long long)counts.wrong,
        (unsigned long long)(counts.requests - counts.completed - counts.dropped - counts.failed), rss_kib() - before,
        seconds_since(start));
    bench_print("faults_survived", (double)faults, "1", more);
  }
}

static void bench_runs(void) {
  uint64_t n_faults = 0, n_outputs = 0;
  cosrel_time start = cosrel_monotonic_now();
  contract_faults = &n_faults;
  for (uint64_t i = 0; i < RUNS; i++) {
    fixture f;
    cosrel_injector injector;
    cosrel_injection_plan plan = random_plan(i);
    contract_case(&f, (int)(i % 3));
    device *d = fixture_alloc(1, sizeof *d);
    device_begin(d, &f, (uint32_t)(cosrel_rng_key(i, 1) >> 61));
    device_share_bytes(d);
    device_inject(d, &plan, i, &injector);
    d->config.budget_floor = 30 * COSREL_MS;
    device_start(d);
    uint64_t key = i;
    cosrel_policy policy = {&any_ops, &key};
    contract_run_on(cosrel_runtime_driver(d->runtime), &f.c, &policy, i, 40 * COSREL_MS, false);
    n_outputs += d->n_outputs;
    if (d->n_wrong > 0) fail_msg("run %u: wrong outputs", (unsigned)i);
    device_end(d);
    if (d->n_left > 0) fail_msg("run %u: a worker did not come back", (unsigned)i);
    free(d);
    fixture_end(&f);
  }
  contract_faults = NULL;
  char more[96];
  snprintf(more, sizeof more, "\"backend\": \"doubles\", \"runs\": %d, \"requests\": %llu, \"seconds\": %.1f", RUNS,
           (unsigned long long)n_outputs, seconds_since(start));
  bench_print("faults_survived", (double)n_faults, "1", more);
}

typedef struct soak {
  uint64_t ended, next;
  long least, most; /* KiB, after the first sample */
} soak;

static void on_outcome(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_outcome *outcome) {
  (void)c, (void)state, (void)outcome;
  soak *s = self;
  if (++s->ended < s->next) return;
  long rss = rss_kib();
  if (s->next > REQUESTS / SAMPLES) {
    if (s->least == 0 || rss < s->least) s->least = rss;
    if (rss > s->most) s->most = rss;
  }
  s->next += REQUESTS / SAMPLES;
}

static soak *soaking;
static bool enough(void) { return soaking->ended >= REQUESTS; }

static void bench_soak(void) {
  fixture f;
  cosrel_injector injector;
  cosrel_injection_plan plan = {0};
  plan_add(&plan, "any=error:p=0.0002");
  plan_add(&plan, "any=nan:p=0.0002");
  fixture_begin(&f, 2);
  fixture_chain(&f, "a", 1, (double[]){0.02, 0.02});
  for (int i = 0; i < 3; i++) fixture_stream(&f, "a", COSREL_ARRIVALS_CLOSED, 100)->queue_limit = 1;
  fixture_compile(&f);
  device *d = fixture_alloc(1, sizeof *d);
  soak s = {.next = REQUESTS / SAMPLES};
  soaking = &s;
  cosrel_time start = cosrel_monotonic_now();
  device_begin(d, &f, 2);
  device_share_bytes(d);
  device_inject(d, &plan, 1, &injector);
  d->config.stop = enough;
  device_start(d);
  cosrel_failure_counter counter;
  cosrel_sink sink = {.self = &s, .outcome = on_outcome};
  cosrel_failure_counter_begin(&f.c, &counter);
  counter.sink.next = &sink;
  cosrel_engine engine;
  cosrel_error error = {""};
  bench_check(cosrel_engine_create(&f.c, cosrel_runtime_driver(d->runtime), &engine, &error), &error);
  engine.sinks = &counter.sink;
  uint64_t key = 0;
  cosrel_policy policy = {&any_ops, &key};
  bench_check(cosrel_engine_run(&engine, &policy, 1, 86400 * COSREL_S, &error), &error);
  cosrel_failures counts;
  cosrel_failure_counter_end(&counter, engine.state->now, &counts);
  uint64_t arrived = 0, ended = 0, completed = 0;
  for (uint32_t i = 0; i < f.c.n_streams; i++) {
    const cosrel_stream_state *stream = &engine.state->streams[i];
    arrived += stream->arrived;
    completed += stream->completed;
    ended += stream->completed + stream->dropped + stream->failed;
  }
  if (arrived != ended || d->n_wrong > 0 || d->n_outputs < completed) fail_msg("the soak lost a request");
  char more[192];
  snprintf(more, sizeof more,
           "\"requests\": %llu, \"faults\": %llu, \"failed_requests\": %llu, \"rss_kib\": %ld, \"seconds\": %.1f",
           (unsigned long long)ended, (unsigned long long)counts.n_faults, (unsigned long long)counts.given_up, s.most,
           seconds_since(start));
  bench_print("faults_soak_rss_growth", (double)(s.most - s.least), "KiB", more);
  cosrel_engine_destroy(&engine);
  device_end(d);
  free(d);
  fixture_end(&f);
}

/* How fast outputs are searched for NaN: in the cache, where a segment has just left them, and beyond it. */
static void bench_nan(uint64_t n, const char *where) {
  float *x = fixture_alloc(n, sizeof *x);
  double best = 0;
  for (int round = 0; round < 50; round++) {
    struct timespec t[2];
    uint64_t times = ((uint64_t)1 << 24) / n;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[0]);
    for (uint64_t i = 0; i < times; i++) {
      x[i % n] = (float)i;
      if (cosrel_floats_have_nan(x, n)) fail_msg("there is no NaN");
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t[1]);
    double seconds = (double)(t[1].tv_sec - t[0].tv_sec) + 1e-9 * (double)(t[1].tv_nsec - t[0].tv_nsec);
    best = fmax(best, (double)(times * n * sizeof *x) / seconds * 1e-9);
  }
  char more[64];
  snprintf(more, sizeof more, "\"floats\": %llu, \"where\": \"%s\"", (unsigned long long)n, where);
  bench_print("faults_nan_check", best, "GB/s", more);
  free(x);
}

int main(void) {
  bench_nan(1 << 16, "cache");
  bench_nan(1 << 24, "memory");
  bench_backends();
  bench_runs();
  bench_soak();
  return 0;
}
