#include "backends/profiling.h"

#include <gsl/gsl_sort.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/contention.h"
#include "backends/fingerprint.h"
#include "backends/monotonic.h"
#include "backends/recast.h"
#include "backends/rehearsal.h"
#include "backends/telemetry.h"
#include "sched/check.h"

enum { SOURCE_MEASURED, SOURCE_ASSUMED, N_SOURCES };

static const double busy_w = 1.0, idle_w = 0.1, any_mhz = 1000;
static const double traffic_least = 1 << 20; /* bytes: a unit that moves less may find all of them in a cache */
static const double load_least_ns = 50e3;    /* a shorter unit says little about contention */

/* Everything that one profile is made with. */
typedef struct lab {
  const cosrel_machine *machine;
  const cosrel_profiled_model *models;
  const cosrel_measure_config *config;
  cosrel_profile *out;
  cosrel_bench *benches[COSREL_PROCESSORS_MAX][COSREL_MODELS_MAX];
  cosrel_measurement measured[COSREL_PROCESSORS_MAX][COSREL_MODELS_MAX];
  cosrel_measurement in_half[COSREL_PROCESSORS_MAX][COSREL_MODELS_MAX]; /* where p is measured in fp16, too */
  cosrel_recast chosen;                                                 /* each unit in its faster precision */
  double power_w[COSREL_PROCESSORS_MAX]; /* of the device while p works; negative: unknown */
} lab;

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static void
say(const lab *l, const char *format, ...) {
  char line[256];
  va_list arguments;
  if (l->config->say == NULL) return;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  l->config->say(line);
}

static bool stopped(const lab *l) { return l->config->stop != NULL && l->config->stop(); }

static double seconds(void) { return cosrel_time_s(cosrel_monotonic_now()); }

/* ---- What is known beforehand ---- */

uint32_t cosrel_profiled_models(const cosrel_workload *workload, const cosrel_sources *sources,
                                cosrel_profiled_model out[COSREL_STREAMS_MAX]) {
  uint32_t n = 0;
  for (uint32_t s = 0; s < workload->n_streams; s++) {
    const cosrel_source *source = &sources->streams[s];
    const char *name = workload->streams[s].model;
    uint32_t m = 0;
    while (m < n && strcmp(out[m].name, name) != 0) m++;
    if (m == n) out[n++] = (cosrel_profiled_model){name, source->network, (const float *const *)source->inputs};
  }
  return n;
}

static cosrel_status copy_model(const cosrel_network *network, const char *name, uint32_t n_processors,
                                cosrel_profile_model *out) {
  const cosrel_model *from = &network->model;
  cosrel_model *to = &out->model;
  *to = *from;
  snprintf(to->name, sizeof to->name, "%s", name);
  cosrel_fingerprint_network(network, out->fingerprint);
  to->units = malloc(from->n_units * sizeof *to->units);
  to->inputs = malloc(from->n_edges * sizeof *to->inputs);
  size_t n_costs = (size_t)from->n_units * n_processors * COSREL_PRECISION_COUNT;
  out->costs = calloc(n_costs, sizeof *out->costs);
  if (to->units == NULL || to->inputs == NULL || out->costs == NULL) return COSREL_NOMEM;
  memcpy(to->units, from->units, from->n_units * sizeof *to->units);
  memcpy(to->inputs, from->inputs, from->n_edges * sizeof *to->inputs);
  for (size_t i = 0; i < n_costs; i++) out->costs[i].mean_ns = -1;
  return COSREL_OK;
}

static void describe(const cosrel_machine *machine, const char *name, cosrel_profile *out) {
  const cosrel_origin measured = {COSREL_TAG_MEASURED, SOURCE_MEASURED}, assumed = {COSREL_TAG_ASSUMED, SOURCE_ASSUMED};
  snprintf(out->name, sizeof out->name, "%s", name);
  cosrel_fingerprint_machine(machine, out);
  snprintf(out->sources[SOURCE_MEASURED], COSREL_SOURCE_MAX,
           "measured by running each unit, means without outliers, scaled to whole segments of a run; beta estimated "
           "from the "
           "bytes that a unit moves per ns");
  snprintf(out->sources[SOURCE_ASSUMED], COSREL_SOURCE_MAX,
           "assumed, because it was not measured: %g W busy and %g W idle per processor, no contention", busy_w,
           idle_w);
  for (uint32_t p = machine->n_processors; p-- > 0;) {
    cosrel_processor *processor = &out->processors[p];
    snprintf(processor->name, sizeof processor->name, "%s", machine->specs[p].processor);
    cosrel_backend_spec_format(&machine->specs[p], processor->backend, sizeof processor->backend);
    processor->n_points = 1;
    processor->points[0] = (cosrel_point){.frequency_mhz = any_mhz, .speed = 1, .busy_w = busy_w, .idle_w = idle_w};
    processor->launch_origin = measured;
    processor->power_origin = assumed;
    if (!cosrel_machine_is_apart(machine, p)) out->host = p;
  }
  out->kappa_origin = out->base_origin = assumed;
  out->tensor_bytes = sizeof(float);
}

/* ---- Units ---- */

/* mJ that the machine's packages have drawn since some time in the past; negative: unknown. */
static double energy_mj(const lab *l) {
  cosrel_sensors sensors;
  double sum = -1;
  if (l->config->sensors == NULL) return -1;
  cosrel_telemetry_read(l->config->sensors, &sensors);
  for (uint32_t i = 0; i < sensors.n_energies; i++)
    if (strncmp(sensors.energies[i].name, "package", 7) == 0) sum = fmax(sum, 0) + sensors.energies[i].value;
  return sum;
}

/* Since then; negative: unknown, also when a counter stands still or has begun anew. */
static double power_between(double mj, double s, const lab *l) {
  double end = energy_mj(l), span = seconds() - s;
  return mj < 0 || end <= mj || span <= 0 ? -1 : (end - mj) * 1e-3 / span;
}

/* The arguments and the result of a processor's thread. */
typedef struct task {
  lab *lab;
  uint32_t p;
  cosrel_error *error;
  cosrel_status status;
} task;

static bool measures_half(const lab *l, uint32_t p) {
  const cosrel_backend *backend = l->machine->backends[p];
  cosrel_capability capability = {.fp16 = false};
  if ((backend->ops->precisions >> COSREL_FP16 & 1) == 0) return false;
  if (l->config->precisions != 0) return (l->config->precisions >> COSREL_FP16 & 1) != 0;
  if (backend->ops->describe != NULL) backend->ops->describe(backend, &capability);
  return capability.fp16;
}

/* Every model on p with all units in fp16. */
static cosrel_status create_half(lab *l, uint32_t p, cosrel_recast *recast, cosrel_bench **benches,
                                 cosrel_error *error) {
  uint8_t all[COSREL_UNITS_MAX];
  memset(all, COSREL_FP16, sizeof all);
  cosrel_recast_open(l->machine, l->models, l->out->n_models, recast);
  for (uint32_t m = 0; m < l->out->n_models && measures_half(l, p); m++) {
    COSREL_TRY(cosrel_recast_prepare(recast, p, m, all, error));
    COSREL_TRY(cosrel_bench_create(&recast->machine, p, &recast->models[m], l->config->rounds, &benches[m], error));
  }
  return COSREL_OK;
}

/* A round of every model in turn, until there are enough. `half`: [n_models], NULL where fp16 is not measured. */
static cosrel_status measure_models(lab *l, uint32_t p, cosrel_bench *const *half, cosrel_error *error) {
  const cosrel_measure_config *config = l->config;
  uint32_t n = l->out->n_models;
  cosrel_status status = COSREL_OK;
  for (uint32_t m = 0; m < n; m++)
    COSREL_TRY(cosrel_bench_create(l->machine, p, &l->models[m], config->rounds, &l->benches[p][m], error));
  double start = seconds(), mj = energy_mj(l);
  for (uint32_t round = 0; round <= config->rounds; round++) {
    bool late = config->time > 0 && seconds() - start > cosrel_time_s(config->time);
    if (round > 1 && late) break;
    for (uint32_t m = 0; m < n && status == COSREL_OK; m++) {
      status = stopped(l) ? cosrel_fail(error, COSREL_INTERRUPTED, "interrupted")
                          : cosrel_bench_round(l->benches[p][m], error);
      if (status == COSREL_OK && half[m] != NULL) status = cosrel_bench_round(half[m], error);
    }
    if (status != COSREL_OK) return status;
  }
  l->power_w[p] = power_between(mj, start, l);
  for (uint32_t m = 0; m < n; m++) COSREL_TRY(cosrel_bench_result(l->benches[p][m], &l->measured[p][m], error));
  for (uint32_t m = 0; m < n; m++)
    if (half[m] != NULL) COSREL_TRY(cosrel_bench_result(half[m], &l->in_half[p][m], error));
  return COSREL_OK;
}

static cosrel_status measure_precisions(lab *l, uint32_t p, cosrel_error *error) {
  cosrel_bench *half[COSREL_MODELS_MAX] = {NULL};
  cosrel_recast *recast = calloc(1, sizeof *recast);
  if (recast == NULL)
    return cosrel_fail(error, COSREL_NOMEM, "no memory to measure %s", l->machine->specs[p].processor);
  cosrel_status status = create_half(l, p, recast, half, error);
  if (status == COSREL_OK) status = measure_models(l, p, half, error);
  for (uint32_t m = 0; m < COSREL_MODELS_MAX; m++) cosrel_bench_destroy(half[m]);
  cosrel_recast_close(recast);
  free(recast);
  return status;
}

static void *run_task(void *self) {
  task *t = self;
  cosrel_machine_bind(t->lab->machine, t->p);
  t->status = measure_precisions(t->lab, t->p, t->error);
  return NULL;
}

static cosrel_status measure_processor(lab *l, uint32_t p, cosrel_error *error) {
  pthread_t thread;
  task t = {l, p, error, COSREL_OK};
  say(l, "%s: units of %u models%s, up to %u rounds", l->machine->specs[p].processor, (unsigned)l->out->n_models,
      measures_half(l, p) ? " in fp32 and fp16" : "", (unsigned)l->config->rounds);
  if (pthread_create(&thread, NULL, run_task, &t) != 0)
    return cosrel_fail(error, COSREL_NOMEM, "%s: no thread to measure it", l->machine->specs[p].processor);
  pthread_join(thread, NULL);
  return t.status;
}

/* ---- Costs ---- */

/* The median over the models. */
static double submit_ns(const lab *l, uint32_t p) {
  double all[COSREL_MODELS_MAX] = {0};
  uint32_t n = l->out->n_models;
  for (uint32_t m = 0; m < n; m++) all[m] = l->measured[p][m].submit_ns;
  gsl_sort(all, 1, n);
  return all[n / 2];
}

static double unit_bytes(const cosrel_unit *unit, cosrel_precision precision) {
  return (double)sizeof(float) * ((double)unit->in_elems + (double)unit->out_elems) +
         (double)cosrel_precision_bytes(precision) * (double)unit->weights;
}

/* Highest traffic in bytes per ns of p's units, of the large ones if there are any: what memory gives. */
static double most_traffic(const lab *l, uint32_t p) {
  double most = 0, most_large = 0;
  for (uint32_t m = 0; m < l->out->n_models; m++)
    for (uint32_t u = 0; u < l->measured[p][m].n_units; u++) {
      const cosrel_measured *unit = &l->measured[p][m].units[u];
      if (unit->ns < 0) continue;
      double bytes = unit_bytes(&l->out->models[m].model.units[u], COSREL_FP32), rate = bytes / unit->ns;
      most = fmax(most, rate);
      if (bytes >= traffic_least) most_large = fmax(most_large, rate);
    }
  return most_large > 0 ? most_large : most;
}

static void take_cost(lab *l, uint32_t p, uint32_t m, uint32_t u, double traffic, cosrel_precision precision,
                      const cosrel_measurement *measured) {
  const cosrel_measured *unit = &measured->units[u];
  double bytes = unit_bytes(&l->out->models[m].model.units[u], precision);
  cosrel_cost *cost = cosrel_profile_cost(l->out, m, u, p, precision);
  *cost = (cosrel_cost){.mean_ns = unit->ns,
                        .cv = unit->cv,
                        .beta = fmin(bytes / unit->ns / traffic, 1),
                        .has_weight_bytes = measured->weight_bytes != NULL,
                        .origin = {COSREL_TAG_MEASURED, SOURCE_MEASURED}};
  if (cost->has_weight_bytes) cost->weight_bytes = measured->weight_bytes[u];
}

static void take_costs(lab *l, uint32_t p) {
  const cosrel_backend *backend = l->machine->backends[p];
  double submit = submit_ns(l, p);
  for (uint32_t m = 0; m < l->out->n_models; m++) {
    cosrel_measurement_settle(&l->measured[p][m], submit);
    cosrel_measurement_settle(&l->in_half[p][m], submit);
  }
  double traffic = most_traffic(l, p);
  l->out->processors[p].launch_ns = submit;
  for (uint32_t m = 0; m < l->out->n_models; m++)
    for (uint32_t u = 0; u < l->measured[p][m].n_units; u++) {
      const cosrel_network *network = l->machine->networks[l->models[m].network];
      if (l->measured[p][m].units[u].ns < 0) continue;
      take_cost(l, p, m, u, traffic, COSREL_FP32, &l->measured[p][m]);
      if (l->in_half[p][m].units == NULL) continue;
      if (backend->ops->supports(backend, network, u, COSREL_FP16))
        take_cost(l, p, m, u, traffic, COSREL_FP16, &l->in_half[p][m]);
      else
        *cosrel_profile_cost(l->out, m, u, p, COSREL_FP16) = *cosrel_profile_cost(l->out, m, u, p, COSREL_FP32);
    }
}

/* Makes models ready in what a stream would choose that accepts fp32 and fp16. */
static cosrel_status choose_precisions(lab *l, cosrel_error *error) {
  uint8_t precisions[COSREL_UNITS_MAX];
  cosrel_recast_open(l->machine, l->models, l->out->n_models, &l->chosen);
  for (uint32_t p = 0; p < l->machine->n_processors; p++)
    for (uint32_t m = 0; m < l->out->n_models; m++) {
      for (uint32_t u = 0; u < l->out->models[m].model.n_units; u++) {
        double half = cosrel_profile_cost(l->out, m, u, p, COSREL_FP16)->mean_ns;
        bool faster = half >= 0 && half < cosrel_profile_cost(l->out, m, u, p, COSREL_FP32)->mean_ns;
        precisions[u] = faster ? COSREL_FP16 : COSREL_FP32;
      }
      COSREL_TRY(cosrel_recast_prepare(&l->chosen, p, m, precisions, error));
    }
  return COSREL_OK;
}

/* ---- Links, contention, rehearsal, power ---- */

/* Tensors pass by way of host memory. */
static cosrel_status measure_links(const lab *l, cosrel_error *error) {
  cosrel_measured_link to[COSREL_PROCESSORS_MAX], from[COSREL_PROCESSORS_MAX];
  uint32_t n = l->machine->n_processors;
  for (uint32_t p = 0; p < n; p++) COSREL_TRY(cosrel_measure_link(l->machine->backends[p], &to[p], &from[p], error));
  for (uint32_t p = 0; p < n; p++)
    for (uint32_t q = 0; q < n; q++)
      if (p != q)
        l->out->links[p][q] = (cosrel_link){.latency_ns = from[p].latency_ns + to[q].latency_ns,
                                            .ns_per_byte = from[p].ns_per_byte + to[q].ns_per_byte,
                                            .origin = {COSREL_TAG_MEASURED, SOURCE_MEASURED}};
  return COSREL_OK;
}

static cosrel_status measure_loads(const lab *l, cosrel_error *error) {
  for (uint32_t p = 0; p < l->machine->n_processors; p++) {
    cosrel_processor *processor = &l->out->processors[p];
    cosrel_measured_link load;
    COSREL_TRY(cosrel_measure_load(&l->chosen.machine, p, &load, error));
    processor->load_ns = load.latency_ns;
    processor->load_ns_per_byte = load.ns_per_byte;
    processor->load_origin = (cosrel_origin){COSREL_TAG_MEASURED, SOURCE_MEASURED};
  }
  return COSREL_OK;
}

static cosrel_load load_of(const lab *l, uint32_t p, uint32_t m, uint32_t begin, uint32_t end) {
  cosrel_load load = {.bench = l->benches[p][m], .begin = begin, .end = end};
  for (uint32_t u = begin; u < end; u++) {
    const cosrel_cost *cost = cosrel_profile_cost(l->out, m, u, p, COSREL_FP32);
    load.ns += cost->mean_ns;
    load.beta += cost->beta * cost->mean_ns;
  }
  load.beta /= load.ns;
  return load;
}

/* Segments of p that differ in beta, and the longest one. Returns how many there are. */
static uint32_t choose_loads(const lab *l, uint32_t p, cosrel_load loads[COSREL_LOADS_MAX]) {
  cosrel_load most = {.beta = -1}, least = {.beta = 2}, longest = {.ns = -1};
  for (uint32_t m = 0; m < l->out->n_models; m++) {
    const cosrel_measurement *measured = &l->measured[p][m];
    if (measured->n_prefixes == 0) continue;
    uint32_t end = measured->ends[measured->n_prefixes - 1];
    for (uint32_t u = 0; u <= end; u++) { /* the units, then all of them as one */
      cosrel_load load = u < end ? load_of(l, p, m, u, u + 1) : load_of(l, p, m, 0, end);
      if (load.ns > longest.ns) longest = load;
      if (load.ns < load_least_ns && u < end) continue;
      if (load.beta > most.beta) most = load;
      if (load.beta < least.beta) least = load;
    }
  }
  if (longest.bench == NULL) return 0;
  loads[0] = most, loads[1] = least, loads[2] = longest;
  return COSREL_LOADS_MAX;
}

static cosrel_status measure_contention(const lab *l, cosrel_error *error) {
  uint32_t n = l->machine->n_processors, n_loads[COSREL_PROCESSORS_MAX];
  cosrel_load loads[COSREL_PROCESSORS_MAX][COSREL_LOADS_MAX];
  if (l->config->pair_time <= 0) return COSREL_OK;
  for (uint32_t p = 0; p < n; p++) n_loads[p] = choose_loads(l, p, loads[p]);
  for (uint32_t p = 0; p < n; p++)
    for (uint32_t q = p + 1; q < n; q++) {
      if (stopped(l)) return cosrel_fail(error, COSREL_INTERRUPTED, "interrupted");
      say(l, "%s and %s at once", l->machine->specs[p].processor, l->machine->specs[q].processor);
      COSREL_TRY(cosrel_measure_contention(l->machine, p, loads[p], n_loads[p], q, loads[q], n_loads[q],
                                           l->config->pair_time, &l->out->kappa[p][q], &l->out->kappa[q][p], error));
    }
  l->out->kappa_origin = (cosrel_origin){COSREL_TAG_MEASURED, SOURCE_MEASURED};
  return COSREL_OK;
}

/* Brings launches and units to what they take in a run. */
static cosrel_status rehearse(const lab *l, cosrel_error *error) {
  cosrel_rehearsal rehearsal;
  if (l->config->rehearsal_time <= 0) return COSREL_OK;
  say(l, "what segments cost in a run");
  COSREL_TRY(cosrel_rehearse(&l->chosen.machine, l->out, l->chosen.models, l->config->rehearsal_time, l->config->stop,
                             &rehearsal, error));
  if (stopped(l)) return cosrel_fail(error, COSREL_INTERRUPTED, "interrupted");
  for (uint32_t p = 0; p < l->machine->n_processors; p++) {
    l->out->processors[p].launch_ns = rehearsal.launch_ns[p];
    for (uint32_t m = 0; m < l->out->n_models; m++)
      for (uint32_t u = 0; u < l->out->models[m].model.n_units; u++) {
        for (int k = 0; k < COSREL_PRECISION_COUNT; k++) {
          cosrel_cost *cost = cosrel_profile_cost(l->out, m, u, p, (cosrel_precision)k);
          if (cost->mean_ns > 0) cost->mean_ns *= rehearsal.slower[p][m];
        }
      }
  }
  return COSREL_OK;
}

/* Watts of the whole machine: base while nothing runs, the rest by what each processor adds. */
static void take_power(lab *l, double base) {
  bool known = base >= 0;
  for (uint32_t p = 0; p < l->machine->n_processors; p++) known = known && l->power_w[p] >= 0;
  if (!known) return;
  const cosrel_origin measured = {COSREL_TAG_MEASURED, SOURCE_MEASURED};
  l->out->base_w = base;
  l->out->base_origin = measured;
  for (uint32_t p = 0; p < l->machine->n_processors; p++) {
    l->out->processors[p].points[0].busy_w = fmax(l->power_w[p] - base, 0);
    l->out->processors[p].points[0].idle_w = 0;
    l->out->processors[p].power_origin = measured;
  }
}

static double measure_base(const lab *l) {
  double mj = energy_mj(l), start = seconds();
  if (mj < 0) return -1;
  say(l, "watts at rest");
  nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
  return power_between(mj, start, l);
}

/* ---- All of it ---- */

static cosrel_status make(lab *l, cosrel_error *error) {
  uint32_t n = l->machine->n_processors;
  double base = measure_base(l);
  for (uint32_t p = 0; p < n; p++) COSREL_TRY(measure_processor(l, p, error));
  for (uint32_t p = 0; p < n; p++) take_costs(l, p);
  COSREL_TRY(choose_precisions(l, error));
  take_power(l, base);
  COSREL_TRY(measure_links(l, error));
  COSREL_TRY(measure_loads(l, error));
  COSREL_TRY(measure_contention(l, error));
  COSREL_TRY(cosrel_profile_check(l->out, l->out->name, error));
  return rehearse(l, error);
}

static void lab_clear(lab *l) {
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++)
    for (uint32_t m = 0; m < COSREL_MODELS_MAX; m++) {
      cosrel_bench_destroy(l->benches[p][m]);
      cosrel_measurement_clear(&l->measured[p][m]);
      cosrel_measurement_clear(&l->in_half[p][m]);
    }
  cosrel_recast_close(&l->chosen);
  free(l);
}

cosrel_status cosrel_profile_measure(const cosrel_machine *machine, const cosrel_profiled_model *models,
                                     uint32_t n_models, const cosrel_measure_config *config, const char *name,
                                     cosrel_profile *out, cosrel_error *error) {
  memset(out, 0, sizeof *out);
  if (n_models == 0 || n_models > COSREL_MODELS_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "expected 1 to %d models, got %u", COSREL_MODELS_MAX, n_models);
  lab *l = calloc(1, sizeof *l);
  out->n_processors = machine->n_processors;
  out->sources = calloc(N_SOURCES, sizeof *out->sources);
  out->models = calloc(n_models, sizeof *out->models);
  cosrel_status status = COSREL_NOMEM;
  if (l == NULL || out->sources == NULL || out->models == NULL) goto done;
  *l = (lab){.machine = machine, .models = models, .config = config, .out = out};
  out->n_sources = N_SOURCES;
  describe(machine, name, out);
  for (uint32_t m = 0; m < n_models; m++) {
    out->n_models = m + 1;
    if (copy_model(machine->networks[models[m].network], models[m].name, machine->n_processors, &out->models[m]) !=
        COSREL_OK)
      goto done;
  }
  cosrel_error inner = {""};
  status = make(l, &inner);
  if (status != COSREL_OK) cosrel_fail(error, status, "%s", inner.text);

done:
  if (status == COSREL_NOMEM) cosrel_fail(error, COSREL_NOMEM, "%s: %s", name, cosrel_status_text(COSREL_NOMEM));
  if (status != COSREL_OK) cosrel_profile_clear(out);
  if (l != NULL) lab_clear(l);
  return status;
}
