/* What XNNPACK makes of each zoo network on one thread: latency, and arithmetic per second by kind of unit.
 *
 * Times are those of the thread (CLOCK_THREAD_CPUTIME_ID), which other work on the machine disturbs least; the best of
 * a few runs counts. Models named as arguments replace the whole zoo. */
#include <time.h>

#include "backends/zoo/zoo.h"
#include "tests/bench.h"
#include "tests/net_aid.h"

#define RUNS 12
#define SECONDS_PER_MODEL 2.0

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Best time of each kind in one pass over the model, and of the whole. */
typedef struct timing {
  double whole, kinds[COSREL_KIND_COUNT];
} timing;

static void time_model(cosrel_backend *backend, cosrel_prepared *prepared, const cosrel_network *network, void *arena,
                       timing *best) {
  double begun = now();
  for (int run = 0; run < RUNS && (run < 2 || now() - begun < SECONDS_PER_MODEL); run++) {
    double kinds[COSREL_KIND_COUNT] = {0};
    double start = now();
    backend->ops->submit(backend, prepared, arena, NULL, 0, network->model.n_units);
    double whole = now() - start;
    for (uint32_t u = 0; u < network->model.n_units; u++) {
      start = now();
      backend->ops->submit(backend, prepared, arena, NULL, u, u + 1);
      kinds[network->model.units[u].kind] += now() - start;
    }
    if (run == 0 || whole < best->whole) best->whole = whole;
    for (int k = 0; k < COSREL_KIND_COUNT; k++) {
      if (run == 0 || kinds[k] < best->kinds[k]) best->kinds[k] = kinds[k];
    }
  }
}

static void bench_model(cosrel_backend *backend, const char *name, double macs[COSREL_KIND_COUNT],
                        double seconds[COSREL_KIND_COUNT]) {
  cosrel_network network;
  cosrel_prepared *prepared;
  cosrel_error error = {""};
  char path[COSREL_NAME_MAX + 8], more[256];
  timing best = {0};
  snprintf(path, sizeof path, "zoo:%s", name);
  bench_check(cosrel_network_open(path, &network, &error), &error);
  bench_check(backend->ops->prepare(backend, &network, NULL, &prepared, &error), &error);
  float **inputs = aid_inputs(&network.net, 1);
  void *arena = aid_arena(&network);
  cosrel_network_put_inputs(&network, (const float *const *)inputs, arena);
  time_model(backend, prepared, &network, arena, &best);
  double all = 0;
  for (uint32_t u = 0; u < network.model.n_units; u++) {
    macs[network.model.units[u].kind] += (double)network.model.units[u].macs;
    all += (double)network.model.units[u].macs;
  }
  for (int k = 0; k < COSREL_KIND_COUNT; k++) seconds[k] += best.kinds[k];
  snprintf(more, sizeof more, "\"model\": \"%s\", \"backend\": \"%s\", \"threads\": 1, \"gflops\": %.4g", name,
           backend->ops->name, 2e-9 * all / best.whole);
  bench_print("model_latency_ms", 1e3 * best.whole, "ms", more);
  backend->ops->release(backend, prepared);
  aid_free(inputs, network.net.n_inputs);
  free(arena);
  cosrel_network_destroy(&network);
}

int main(int argc, char **argv) {
  cosrel_backend_spec spec = {.processor = "cpu", .backend = "xnnpack", .threads = 1};
  cosrel_backend *backend;
  cosrel_error error = {""};
  double macs[COSREL_KIND_COUNT] = {0}, seconds[COSREL_KIND_COUNT] = {0};
  if (cosrel_backend_find("xnnpack") == NULL) return 0; /* nothing to measure */
  bench_check(cosrel_backend_open(&spec, &backend, &error), &error);
  uint32_t n;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&n);
  if (argc > 1) n = (uint32_t)argc - 1;
  for (uint32_t i = 0; i < n; i++) bench_model(backend, argc > 1 ? argv[i + 1] : table[i].name, macs, seconds);
  for (int k = 0; k < COSREL_KIND_COUNT; k++) {
    char more[128];
    if (macs[k] == 0) continue;
    snprintf(more, sizeof more, "\"kind\": \"%s\", \"backend\": \"xnnpack\", \"threads\": 1",
             cosrel_kind_name((cosrel_kind)k));
    bench_print("kind_gflops", 2e-9 * macs[k] / seconds[k], "GFLOP/s", more);
  }
  backend->ops->close(backend);
  return 0;
}
