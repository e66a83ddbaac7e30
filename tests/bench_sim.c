/* How many decisions a second one core simulates, with noise and contention and nobody listening: a named mix of four
 * streams, then a grid of streams x processors; and whether memory stays flat over ten million decisions. Time is the
 * processor time of the thread, so a busy machine disturbs it less. */
#include <sys/resource.h>
#include <time.h>

#include "backends/sim/sim.h"
#include "tests/bench.h"
#include "tests/fixtures.h"

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The least that a policy can do: the first head on the first processor that can, to the end. What is left is what the
 * engine costs. */
static cosrel_candidate first_choice(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    if (state->streams[s].head == COSREL_NONE) continue;
    uint32_t slot = (uint32_t)state->streams[s].head;
    const cosrel_request *request = cosrel_state_request(c, state, slot);
    uint16_t begin = request->ready[0], ends[3];
    for (uint32_t p = 0; p < c->n_processors; p++) {
      uint32_t n = cosrel_processor_idle(state, p) ? cosrel_state_ends(c, state, slot, 0, p, ends) : 0;
      if (n > 0)
        return (cosrel_candidate){.processor = (uint8_t)p, .slot = (uint16_t)slot, .begin = begin, .end = ends[n - 1]};
    }
  }
  return (cosrel_candidate){.action = COSREL_WAIT};
}
static void nothing(void *self) { (void)self; }
static const cosrel_policy_ops first_ops = {
    .struct_size = sizeof first_ops, .name = "first", .reset = nothing, .decide = first_choice};

static const cosrel_sim noisy = {.noise = true};

typedef struct bench {
  cosrel_engine engine;
  cosrel_policy policy;
} bench;

static void bench_open(bench *b, const cosrel_case *c) {
  cosrel_error error = {""};
  const cosrel_policy_config config = {.seed = 1, .duration_s = 10};
  bench_check(cosrel_engine_create(c, cosrel_sim_driver(&noisy), &b->engine, &error), &error);
  bench_check(cosrel_policy_create("fcfs", c, &config, &b->policy, &error), &error);
}
static void bench_close(bench *b) {
  cosrel_policy_destroy(&b->policy);
  cosrel_engine_destroy(&b->engine);
}

/* Decisions of one run of 10 s. */
static uint64_t run_once(bench *b, const cosrel_policy *policy, uint64_t seed) {
  cosrel_error error = {""};
  bench_check(cosrel_engine_run(&b->engine, policy, seed, 10 * COSREL_S, &error), &error);
  return b->engine.n_decisions;
}

/* The best of some rounds of 50 ms: the others were disturbed by something else on the machine. */
static double decisions_per_s(bench *b, const cosrel_policy *policy, int rounds) {
  double best = 0;
  for (int round = 0; round < rounds; round++) {
    uint64_t decisions = 0, seed = 1;
    double start = cpu_seconds(), spent;
    do {
      decisions += run_once(b, policy, seed++);
      spent = cpu_seconds() - start;
    } while (spent < 0.05);
    if ((double)decisions / spent > best) best = (double)decisions / spent;
  }
  return best;
}

static void bench_mix(const char *name, const cosrel_case *c, const char *more) {
  bench b;
  bench_open(&b, c);
  bench_print(name, decisions_per_s(&b, &b.policy, 60), "1/s", more);
  bench_close(&b);
}

static long max_rss_kib(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

static void bench_memory(const cosrel_case *c) {
  bench b;
  bench_open(&b, c);
  uint64_t decisions = run_once(&b, &b.policy, 1), seed = 2;
  long before = max_rss_kib();
  while (decisions < 10000000) decisions += run_once(&b, &b.policy, seed++);
  bench_print("sim_rss_growth", (double)(max_rss_kib() - before), "KiB", "\"decisions\": 1e7");
  bench_close(&b);
}

/* Closed streams of made-up models, chains and branches of 20 units, all disturbing each other. */
static void bench_grid(uint32_t streams, uint32_t processors) {
  fixture f;
  bench b;
  char name[16], more[96];
  fixture_begin(&f, processors);
  for (uint32_t m = 0; m < 4; m++) {
    snprintf(name, sizeof name, "m%u", (unsigned)m);
    fixture_random_model(&f, name, 20, m % 2 == 1, m);
  }
  fixture_overheads(&f, 0.05, 0.1);
  fixture_disturb(&f, 0.3, 0.2);
  for (uint32_t s = 0; s < streams; s++) {
    snprintf(name, sizeof name, "m%u", (unsigned)(s % 4));
    fixture_stream(&f, name, COSREL_ARRIVALS_CLOSED, 1)->queue_limit = 1;
  }
  fixture_compile(&f);
  bench_open(&b, &f.c);
  const cosrel_policy first = {&first_ops, NULL};
  snprintf(more, sizeof more, "\"policy\": \"fcfs\", \"streams\": %u, \"processors\": %u", streams, processors);
  bench_print("sim_grid_decisions_per_s_core", decisions_per_s(&b, &b.policy, 8), "1/s", more);
  snprintf(more, sizeof more, "\"streams\": %u, \"processors\": %u", streams, processors);
  bench_print("sim_grid_engine_ns", 1e9 / decisions_per_s(&b, &first, 8), "ns", more);
  bench_close(&b);
  fixture_end(&f);
}

int main(void) {
  static const uint32_t streams[] = {2, 4, 8, 16, 32, 64}, processors[] = {2, 4, 8};
  cosrel_inputs inputs;
  cosrel_case c;
  bench_case(&inputs, &c);
  bench_mix("sim_decisions_per_s_core_open", &c, "\"policy\": \"fcfs\", \"case\": \"" BENCH_CASE "\"");
  cosrel_case_set_arrivals(&c, COSREL_ARRIVALS_CLOSED);
  bench_mix("sim_decisions_per_s_core", &c, "\"policy\": \"fcfs\", \"case\": \"drone, snapdragon865, closed\"");
  bench_memory(&c);
  cosrel_case_destroy(&c);
  cosrel_inputs_clear(&inputs);
  for (size_t s = 0; s < sizeof streams / sizeof *streams; s++)
    for (size_t p = 0; p < sizeof processors / sizeof *processors; p++) bench_grid(streams[s], processors[p]);
  return 0;
}
