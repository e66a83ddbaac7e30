/* Small networks on processors of this machine, run again and again under the whole contract (tests/contract.h) while
 * processors are made to fail. Every completed request is compared with the reference executor. Include it in one file
 * of a test program, after <cmocka.h>. */
#ifndef COSREL_TESTS_RIG_H
#define COSREL_TESTS_RIG_H

#include "backends/profiling.h"
#include "sched/failures.h"
#include "tests/doubles.h"
#include "tests/net_aid.h"

enum { RIG_NETWORKS = 2 };

/* What came of the runs so far. */
typedef struct rig_counts {
  uint64_t runs, faults[COSREL_FAULT_COUNT];
  uint64_t requests; /* that have arrived; each is one of the following */
  uint64_t completed, dropped, failed;
  uint64_t wrong; /* completed, but not with the outputs of this request as they must be */
} rig_counts;

typedef struct rig {
  fixture f;
  cosrel_network networks[RIG_NETWORKS];
  float **inputs[RIG_NETWORKS], **expected[RIG_NETWORKS];
  cosrel_machine machine;
  cosrel_injector injector;
  cosrel_stream_io io[RIG_NETWORKS];
  cosrel_runtime_config config; /* may be changed between runs */
  uint64_t good[RIG_NETWORKS];  /* number of the request whose output came last and was right, plus 1 */
  cosrel_sink listener;         /* hears every run; its slots but `next` are free */
  cosrel_sink outcomes;
  rig_counts counts;
  uint32_t n_left; /* workers that did not come back at the end of the last run */
  char why[256];   /* where an output was wrong */
} rig;

/* ---- Around a group of tests: a cache of kernels of their own, and nothing is tuned ---- */

static char rig_folder[] = "/tmp/cosrel-rig-XXXXXX";

static inline int rig_begin(void **state) {
  (void)state;
  if (mkdtemp(rig_folder) == NULL) return -1;
  return setenv("COSREL_CACHE", rig_folder, 1) != 0 || setenv("COSREL_TUNE", "0", 1) != 0;
}
static inline int rig_end(void **state) {
  (void)state;
  char line[64];
  snprintf(line, sizeof line, "rm -r %s", rig_folder);
  return system(line);
}

/* ---- Backends ---- */

typedef struct rig_target {
  const char *backend;
  const char *specs[2]; /* the first that can be opened is taken */
} rig_target;
static const rig_target rig_targets[] = {{"opencl", {"opencl:cores=0", "opencl"}}, /* PoCL on one core */
                                         {"armnn", {"armnn:threads=1", "armnn"}},
                                         {"xnnpack", {"xnnpack:threads=1", "xnnpack"}},
                                         {"reference", {"reference", "reference"}}};
enum { RIG_TARGETS = sizeof rig_targets / sizeof *rig_targets };

/* Writes "NAME=SPEC"; false, with a line, when there is no such backend here. */
static inline bool rig_spec(const char *name, const rig_target *target, char text[64], cosrel_error *error) {
  for (int i = 0; i < 2; i++) {
    cosrel_backend_spec spec;
    cosrel_backend *backend;
    snprintf(text, 64, "%s=%s", name, target->specs[i]);
    if (cosrel_backend_spec_parse(text, &spec, error) != COSREL_OK) fail_msg("%s", error->text);
    if (cosrel_backend_open(&spec, &backend, error) != COSREL_OK) continue;
    backend->ops->close(backend);
    return true;
  }
  return false;
}

/* ---- Networks: of convolutions with branches, and of products; of ten units or so ---- */

static inline int32_t rig_conv(aid_net *a, int32_t x, uint32_t in, uint32_t out, uint32_t kernel) {
  int64_t pad = kernel / 2;
  AID_INTS(a, "pads", pad, pad, pad, pad);
  int32_t y =
      AID_NODE(a, "Conv", x, aid_constant(a, AID_SHAPE(out, in, kernel, kernel)), aid_constant(a, AID_SHAPE(out)));
  return AID_NODE(a, "Relu", y);
}

static inline void rig_images(aid_net *a) {
  int32_t x = rig_conv(a, aid_input(a, AID_SHAPE(1, 4, 12, 12)), 4, 16, 3);
  int32_t left = rig_conv(a, rig_conv(a, x, 16, 8, 1), 8, 16, 3), right = rig_conv(a, x, 16, 16, 1);
  x = AID_NODE(a, "Add", left, right);
  aid_output(a, x);
  AID_INTS(a, "kernel_shape", 2, 2);
  AID_INTS(a, "strides", 2, 2);
  x = rig_conv(a, AID_NODE(a, "MaxPool", x), 16, 32, 3);
  x = AID_NODE(a, "Flatten", AID_NODE(a, "GlobalAveragePool", x));
  aid_output(a, AID_NODE(a, "Gemm", x, aid_constant(a, AID_SHAPE(32, 10)), aid_constant(a, AID_SHAPE(10))));
}

static inline void rig_rows(aid_net *a) {
  int32_t x = aid_input(a, AID_SHAPE(1, 64));
  for (int i = 0; i < 4; i++) {
    int32_t y = AID_NODE(a, "Gemm", x, aid_constant(a, AID_SHAPE(64, 64)), aid_constant(a, AID_SHAPE(64)));
    x = AID_NODE(a, "Tanh", i % 2 == 0 ? y : AID_NODE(a, "Add", y, x));
  }
  aid_output(a, x);
}

static inline void rig_network(rig *r, uint32_t n, const char *name, void (*build)(aid_net *a)) {
  aid_net a;
  cosrel_error error = {""};
  aid_begin(&a, n + 1, 13);
  snprintf(a.net.name, sizeof a.net.name, "%s", name);
  build(&a);
  if (cosrel_net_settle(&a.net, &error) != COSREL_OK) fail_msg("%s", error.text);
  if (cosrel_network_create(&a.net, &r->networks[n], &error) != COSREL_OK) fail_msg("%s", error.text);
  r->inputs[n] = aid_inputs(&r->networks[n].net, n + 1);
  r->expected[n] = aid_expected(&r->networks[n].net, r->inputs[n]);
}

/* ---- Opening ---- */

static inline cosrel_status rig_output(void *self, uint32_t stream, uint64_t sequence, const cosrel_network *network,
                                       const void *arena, cosrel_error *error) {
  (void)error;
  rig *r = self;
  float **outputs = aid_outputs(network, arena);
  r->good[stream] = aid_agree(&network->net, outputs, r->expected[stream], r->why) ? sequence + 1 : 0;
  aid_free(outputs, network->net.n_outputs);
  return COSREL_OK;
}

static inline void rig_on_arrival(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t stream) {
  (void)c, (void)state, (void)stream;
  ((rig *)self)->counts.requests++;
}

static inline void rig_on_outcome(void *self, const cosrel_case *c, const cosrel_state *state,
                                  const cosrel_outcome *outcome) {
  (void)c, (void)state;
  rig *r = self;
  r->counts.failed += outcome->failed;
  r->counts.dropped += outcome->dropped && !outcome->failed;
  if (outcome->dropped) return;
  r->counts.completed++;
  r->counts.wrong += r->good[outcome->stream] != outcome->sequence + 1;
}

/* Processors are "NAME=BACKEND...", at most COSREL_PROCESSORS_MAX. What units cost is measured. */
static inline rig *rig_open(const char *const *processors, uint32_t n_processors) {
  rig *r = fixture_alloc(1, sizeof *r);
  cosrel_error error = {""};
  cosrel_backend_spec specs[COSREL_PROCESSORS_MAX];
  const cosrel_network *networks[RIG_NETWORKS] = {&r->networks[0], &r->networks[1]};
  cosrel_profiled_model models[RIG_NETWORKS];
  static const char *const names[RIG_NETWORKS] = {"images", "rows"};
  rig_network(r, 0, names[0], rig_images);
  rig_network(r, 1, names[1], rig_rows);
  r->f.workload.objective = (cosrel_objective){1, 1, 1};
  for (uint32_t n = 0; n < RIG_NETWORKS; n++) {
    models[n] = (cosrel_profiled_model){names[n], n, (const float *const *)r->inputs[n]};
    r->io[n] = (cosrel_stream_io){n, (const float *const *)r->inputs[n], rig_output, r};
    cosrel_stream *stream =
        fixture_stream(&r->f, names[n], n == 0 ? COSREL_ARRIVALS_CLOSED : COSREL_ARRIVALS_POISSON, n == 0 ? 50 : 150);
    stream->precisions = 1u << COSREL_FP32;
    stream->queue_limit = n == 0 ? 2 : 3;
  }
  cosrel_status status = cosrel_machine_parse(processors, n_processors, specs, &n_processors, &error);
  if (status == COSREL_OK)
    status = cosrel_machine_open(specs, n_processors, networks, RIG_NETWORKS, &r->machine, &error);
  const cosrel_measure_config config = {.rounds = 3, .time = COSREL_S};
  if (status == COSREL_OK)
    status = cosrel_profile_measure(&r->machine, models, RIG_NETWORKS, &config, "here", &r->f.profile, &error);
  if (status != COSREL_OK) fail_msg("%s", error.text);
  fixture_compile(&r->f);
  cosrel_injector_begin(NULL, &r->f.profile, 0, &r->injector);
  if (cosrel_machine_inject(&r->machine, &r->injector, &error) != COSREL_OK) fail_msg("%s", error.text);
  r->config = (cosrel_runtime_config){
      .machine = &r->machine, .io = r->io, .recover = &r->machine, .budget_floor = 30 * COSREL_MS};
  r->outcomes = (cosrel_sink){.self = r, .arrival = rig_on_arrival, .outcome = rig_on_outcome};
  return r;
}

static inline void rig_close(rig *r) {
  cosrel_machine_close(&r->machine);
  for (uint32_t n = 0; n < RIG_NETWORKS; n++) {
    aid_free(r->expected[n], r->networks[n].net.n_outputs);
    aid_free(r->inputs[n], r->networks[n].net.n_inputs);
    cosrel_network_destroy(&r->networks[n]);
  }
  fixture_end(&r->f);
  free(r);
}

/* ---- Running ---- */

/* One run under the plan. Fails the test when a request is not accounted for exactly once, or a completed one has other
 * outputs than the reference executor's. */
static inline void rig_run(rig *r, const cosrel_injection_plan *plan, uint64_t seed, cosrel_time horizon) {
  cosrel_error error = {""};
  cosrel_runtime *runtime;
  cosrel_failure_counter counter;
  cosrel_injector_begin(NULL, &r->f.profile, seed, &r->injector);
  for (uint32_t p = 0; p < r->machine.n_processors; p++) /* the last run may have ended without a lost one */
    if (cosrel_machine_prepare(&r->machine, p, &error) != COSREL_OK) fail_msg("%s", error.text);
  if (cosrel_runtime_create(&r->config, &r->f.c, &runtime, &error) != COSREL_OK) fail_msg("%s", error.text);
  cosrel_runtime_start(runtime);
  cosrel_injector_begin(plan, &r->f.profile, seed, &r->injector);
  r->injector.epoch = cosrel_monotonic_now();
  cosrel_failure_counter_begin(&r->f.c, &counter);
  counter.sink.next = &r->outcomes;
  r->outcomes.next = &r->listener;
  contract_listener = &counter.sink;
  uint64_t key = seed;
  cosrel_policy policy = {&any_ops, &key};
  contract_run_on(cosrel_runtime_driver(runtime), &r->f.c, &policy, seed, horizon, false);
  contract_listener = NULL;
  r->n_left = cosrel_runtime_destroy(runtime);
  r->counts.runs++;
  for (uint32_t p = 0; p < r->machine.n_processors; p++)
    for (int k = 1; k < COSREL_FAULT_COUNT; k++) r->counts.faults[k] += counter.counts.processors[p].faults[k];
  if (r->counts.wrong > 0) fail_msg("seed %u: a wrong output (%s)", (unsigned)seed, r->why);
}

/* Adds a fault of this kind that comes by chance, by number or for a while. */
static inline void rig_add_fault(cosrel_injection_plan *plan, const char *processor, const char *kind, uint64_t key) {
  char spec[96], trigger[48];
  cosrel_error error = {""};
  double x = cosrel_rng_uniform(cosrel_rng_key(key, 1));
  uint32_t when = cosrel_rng_below(cosrel_rng_key(key, 2), 3);
  if (when == 0) snprintf(trigger, sizeof trigger, "p=%.3f", 0.02 + 0.2 * x);
  if (when == 1) snprintf(trigger, sizeof trigger, "every=%d", 2 + (int)(8 * x));
  if (when == 2) snprintf(trigger, sizeof trigger, "at=%.3f:for=%.3f", 0.02 * x, 0.05 * x);
  snprintf(spec, sizeof spec, "%s=%s:%s", processor, kind, trigger);
  if (cosrel_injection_add(plan, spec, &error) != COSREL_OK) fail_msg("%s", error.text);
}

/* The processor "x", which has this backend, is made to fail in `runs` runs, by each kind of fault in turn and half of
 * the time by another one too; the others stay well. What came of it is in the result; false, with a line, when there
 * is no such backend here. */
static inline bool rig_torment(const rig_target *target, uint32_t runs, rig_counts *out, cosrel_error *error) {
  static const char *const kinds[] = {"error", "hang", "nan", "lost"};
  char texts[3][64];
  const char *processors[3] = {texts[0], texts[1], texts[2]};
  uint32_t n = 1;
  if (!rig_spec("x", target, texts[0], error)) return false;
  for (uint32_t i = 2; i < RIG_TARGETS; i++) { /* the healthy ones: xnnpack and reference */
    cosrel_error inner;
    if (strcmp(rig_targets[i].backend, target->backend) == 0) continue;
    n += rig_spec(n == 1 ? "y" : "z", &rig_targets[i], texts[n], &inner);
  }
  if (n == 1) snprintf(texts[n++], sizeof texts[0], "y=reference");
  rig *r = rig_open(processors, n);
  for (uint32_t i = 0; i < runs; i++) {
    cosrel_injection_plan plan = {0};
    uint64_t key = cosrel_rng_key(i, 7);
    rig_add_fault(&plan, "x", kinds[i % 4], key);
    if (i / 4 % 2 == 1) rig_add_fault(&plan, "x", kinds[cosrel_rng_below(key, 4)], cosrel_rng_key(key, 3));
    rig_run(r, &plan, i, 40 * COSREL_MS);
    if (r->n_left > 0) fail_msg("%s, run %u: a worker did not come back", target->backend, (unsigned)i);
  }
  *out = r->counts;
  rig_close(r);
  return true;
}

#endif
