/* cosrel run: executes a workload's models on this machine's processors under one policy. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/monotonic.h"
#include "backends/profiling.h"
#include "backends/runtime/outputs.h"
#include "backends/runtime/variants.h"
#include "experiments/cell.h"
#include "experiments/commands.h"
#include "experiments/options.h"
#include "experiments/progress.h"
#include "experiments/recorders.h"
#include "experiments/report.h"
#include "experiments/result_json.h"
#include "experiments/run_options.h"
#include "sched/bound.h"
#include "sched/check.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

typedef struct request {
  const char *workload, *policy, *profile, *arrivals, *trace, *perfetto, *outputs;
  cosrel_strings processors, faults;
  cosrel_memory_options memory;
  uint64_t plan_budget, seed;
  double duration_s, load;
  bool verify, json, timing;
} request;

/* Everything that a run needs, opened step by step and closed as a whole. */
typedef struct session {
  const request *q;
  cosrel_workload workload;
  cosrel_contender contender;
  cosrel_sources sources;
  cosrel_machine machine;
  uint32_t networks[COSREL_STREAMS_MAX]; /* of the machine, that each stream runs */
  cosrel_profile profile;
  cosrel_case c;
  cosrel_bound bound;
  cosrel_outputs *outputs;
  cosrel_injection_plan faults;
  cosrel_injector injector;
  cosrel_runtime *runtime;
} session;

/* False when something still uses the session, which must then stay as it is until the program ends. */
static bool close_session(session *s) {
  uint32_t n_left = cosrel_runtime_destroy(s->runtime);
  if (n_left > 0) {
    fprintf(stderr, "cosrel run: %" PRIu32 " processors do not come back; the program ends without them\n", n_left);
    return false;
  }
  cosrel_outputs_destroy(s->outputs);
  if (s->c.tables != NULL) cosrel_case_destroy(&s->c);
  cosrel_machine_close(&s->machine);
  cosrel_sources_clear(&s->sources);
  cosrel_profile_clear(&s->profile);
  cosrel_contender_close(&s->contender);
  cosrel_workload_clear(&s->workload);
  return true;
}

/* ---- The processors ---- */

/* One spec per processor of the profile, in its order: from --processor, else from the profile itself. */
static cosrel_status match_specs(const session *s, const cosrel_backend_spec *given, cosrel_backend_spec *out,
                                 cosrel_error *error) {
  const cosrel_profile *profile = &s->profile;
  for (uint32_t i = 0; i < s->q->processors.n; i++)
    if (cosrel_profile_find_processor(profile, given[i].processor) < 0)
      return cosrel_fail(error, COSREL_INVALID, "--processor %s: %.200s has no processor of that name",
                         given[i].processor, s->q->profile);
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    const cosrel_processor *processor = &profile->processors[p];
    const cosrel_backend_spec *found = NULL;
    for (uint32_t i = 0; i < s->q->processors.n; i++)
      if (strcmp(given[i].processor, processor->name) == 0) found = &given[i];
    if (found != NULL) {
      out[p] = *found;
      continue;
    }
    if (processor->backend[0] == '\0')
      return cosrel_fail(error, COSREL_INVALID,
                         "%.200s: processors[%" PRIu32 "]: no backend is said; expected --processor %s=BACKEND",
                         s->q->profile, p, processor->name);
    cosrel_error inner = {""};
    cosrel_status status = cosrel_backend_spec_parse(processor->backend, &out[p], &inner);
    if (status == COSREL_OK && strcmp(out[p].processor, processor->name) != 0)
      status = cosrel_fail(&inner, COSREL_FORMAT, "expected the name %s", processor->name);
    if (status != COSREL_OK)
      return cosrel_fail(error, status, "%.200s: processors[%" PRIu32 "].backend: %.200s", s->q->profile, p,
                         inner.text);
  }
  return COSREL_OK;
}

static cosrel_status open_machine(session *s, cosrel_error *error) {
  cosrel_backend_spec given[COSREL_PROCESSORS_MAX], specs[COSREL_PROCESSORS_MAX];
  uint32_t n;
  COSREL_TRY(cosrel_machine_parse(s->q->processors.items, s->q->processors.n, given, &n, error));
  if (s->q->profile == NULL) {
    memcpy(specs, given, n * sizeof *specs);
  } else {
    COSREL_TRY(match_specs(s, given, specs, error));
    n = s->profile.n_processors;
  }
  return cosrel_machine_connect(specs, n, (const cosrel_network *const *)s->sources.networks, s->sources.n_networks,
                                &s->machine, error);
}

/* ---- The profile ---- */

static cosrel_status check_profile(const session *s, cosrel_error *error) {
  for (uint32_t i = 0; i < s->workload.n_streams; i++) {
    int m = cosrel_profile_find_model(&s->profile, s->workload.streams[i].model);
    if (m < 0) continue; /* cosrel_case_create says so */
    const cosrel_network *network = s->sources.networks[s->sources.streams[i].network];
    COSREL_TRY(cosrel_network_match(network, &s->profile.models[m].model, s->q->profile, error));
  }
  return COSREL_OK;
}

/* Without a profile: a few rounds, about a second, per model and processor; in fp16 where that is faster, or where a
 * stream accepts nothing else. Contention and what a segment costs in a
 * run are left to `cosrel profile`. */
static cosrel_status measure_profile(session *s, cosrel_error *error) {
  cosrel_profiled_model models[COSREL_STREAMS_MAX];
  uint32_t accepted = 0, needed = 0; /* by any stream; by one that accepts no fp32 */
  for (uint32_t i = 0; i < s->workload.n_streams; i++) {
    uint32_t precisions = s->workload.streams[i].precisions;
    accepted |= precisions;
    if ((precisions >> COSREL_FP32 & 1) == 0) needed |= precisions;
  }
  uint32_t n = cosrel_profiled_models(&s->workload, &s->sources, models);
  cosrel_measure_config config = {.rounds = 9, .time = n * COSREL_S, .stop = cosrel_interrupted};
  if (needed != 0) config.precisions = needed | 1u << COSREL_FP32;
  if ((accepted >> COSREL_FP16 & 1) == 0) config.precisions = 1u << COSREL_FP32;
  fprintf(stderr, "measuring %" PRIu32 " models on %" PRIu32 " processors (--profile spares that)\n", n,
          s->machine.n_processors);
  for (uint32_t p = 0; p < s->machine.n_processors; p++) COSREL_TRY(cosrel_machine_prepare(&s->machine, p, error));
  return cosrel_profile_measure(&s->machine, models, n, &config, "measured-here", &s->profile, error);
}

/* In the precisions that the case has chosen. With a memory budget the runtime prepares what a run needs when it needs
 * it; elsewhere all is prepared now. */
static cosrel_status prepare_machine(session *s, cosrel_error *error) {
  for (uint32_t i = 0; i < s->workload.n_streams; i++) s->networks[i] = s->sources.streams[i].network;
  COSREL_TRY(cosrel_variants_make(&s->machine, &s->c, s->networks, error));
  for (uint32_t p = 0; p < s->machine.n_processors; p++) {
    if (s->profile.processors[p].memory_bytes > 0)
      cosrel_machine_release(&s->machine, p);
    else
      COSREL_TRY(cosrel_machine_prepare(&s->machine, p, error));
  }
  return COSREL_OK;
}

/* ---- The run ---- */

/* Memory that could be had without swapping; 0 where the system does not say. */
static uint64_t available_bytes(void) {
  FILE *f = fopen("/proc/meminfo", "re");
  char line[128];
  uint64_t kib = 0;
  while (f != NULL && kib == 0 && fgets(line, sizeof line, f) != NULL)
    if (strncmp(line, "MemAvailable:", 13) == 0) kib = strtoull(line + 13, NULL, 10);
  if (f != NULL) fclose(f);
  return kib * 1024;
}

static cosrel_status open_runtime(session *s, cosrel_error *error) {
  cosrel_stream_io io[COSREL_STREAMS_MAX] = {0};
  for (uint32_t i = 0; i < s->workload.n_streams; i++) {
    io[i].network = s->networks[i];
    io[i].inputs = (const float *const *)s->sources.streams[i].inputs;
  }
  if (s->q->verify || s->q->outputs != NULL) {
    if (s->q->verify) fprintf(stderr, "computing what every output must be\n");
    COSREL_TRY(cosrel_outputs_create(&s->workload, &s->sources, s->q->verify, &s->outputs, error));
    cosrel_outputs_expect(s->outputs, &s->c);
    cosrel_outputs_listen(s->outputs, io);
  }
  const cosrel_runtime_config config = {.machine = &s->machine,
                                        .io = io,
                                        .memory_bytes = available_bytes(),
                                        .stop = cosrel_interrupted,
                                        .recover = &s->machine};
  return cosrel_runtime_create(&config, &s->c, &s->runtime, error);
}

static cosrel_status open_session(session *s, const request *q, cosrel_error *error) {
  int arrivals = COSREL_ARRIVALS_OWN;
  s->q = q;
  if (q->arrivals != NULL) COSREL_TRY(cosrel_arrivals_parse(q->arrivals, &arrivals, error));
  COSREL_TRY(cosrel_faults_read(&q->faults, &s->faults, error));
  COSREL_TRY(cosrel_contender_open(q->policy, &s->contender, error));
  COSREL_TRY(cosrel_workload_read(q->workload, &s->workload, error));
  if (q->profile != NULL) COSREL_TRY(cosrel_profile_read(q->profile, &s->profile, error));
  COSREL_TRY(cosrel_sources_open(&s->workload, q->workload, q->seed, &s->sources, error));
  if (q->profile != NULL) COSREL_TRY(check_profile(s, error));
  COSREL_TRY(open_machine(s, error));
  if (q->profile == NULL) COSREL_TRY(measure_profile(s, error));
  s->profile.tensor_bytes = sizeof(float); /* whatever a profile made elsewhere says */
  COSREL_TRY(cosrel_memory_apply(&q->memory, &s->profile, 1, error));
  COSREL_TRY(cosrel_injection_check(&s->faults, &s->profile, 1, error));
  if (s->faults.n > 0) COSREL_TRY(cosrel_machine_inject(&s->machine, &s->injector, error));
  COSREL_TRY(cosrel_case_prepare(&s->profile, &s->workload, NULL, arrivals, 0, &s->c, error));
  COSREL_TRY(prepare_machine(s, error));
  COSREL_TRY(cosrel_bound_solve(&s->c, &s->bound, error));
  cosrel_bound_apply(&s->bound, &s->c);
  if (q->load > 0) cosrel_case_set_load(&s->c, q->load);
  return open_runtime(s, error);
}

/* Shows on stderr how far the run has come. */
typedef struct watcher {
  cosrel_sink sink;
  cosrel_progress progress;
} watcher;

static void on_outcome(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_outcome *outcome) {
  (void)c, (void)outcome;
  watcher *w = self;
  cosrel_time done = state->now < state->horizon ? state->now : state->horizon;
  cosrel_progress_update(&w->progress, (uint64_t)cosrel_time_ms(done), NULL);
}

static cosrel_status run(session *s, cosrel_cell *cell, cosrel_error *error) {
  const request *q = s->q;
  cosrel_recorders recorders;
  COSREL_TRY(cosrel_recorders_begin(q->perfetto, q->trace, &s->c, s->contender.name, q->seed, q->duration_s, &recorders,
                                    error));
  watcher w = {.sink = {.self = &w, .outcome = on_outcome, .next = cosrel_recorders_sinks(&recorders)},
               .progress = cosrel_progress_begin("ms of arrivals", (uint64_t)(1e3 * q->duration_s))};
  const cosrel_cell_config config = {.seed = q->seed,
                                     .duration_s = q->duration_s,
                                     .plan_budget = (uint32_t)q->plan_budget,
                                     .timing = q->timing,
                                     .sinks = &w.sink,
                                     .driver = cosrel_runtime_driver(s->runtime)};
  cosrel_runtime_start(s->runtime);
  cosrel_injector_begin(&s->faults, &s->profile, q->seed, &s->injector);
  s->injector.epoch = cosrel_monotonic_now();
  cosrel_status status = cosrel_cell_run(&s->c, &s->contender, &config, cell, error);
  cell->faulty = cell->faulty || s->faults.n > 0;
  if (status == COSREL_OK) return cosrel_recorders_end(&recorders, error);
  cosrel_recorders_abort(&recorders);
  cosrel_error why;
  cosrel_runtime_last_error(s->runtime, &why);
  if (why.text[0] != '\0' && error != NULL) *error = why;
  return status;
}

/* ---- The report ---- */

static json_t *verified_json(const session *s) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < s->c.n_streams; i++)
    json_array_append_new(
        list, json_pack("{s:s, s:s, s:f, s:f}", "stream", s->workload.streams[i].name, "precision",
                        cosrel_precision_name(cosrel_case_uses(&s->c, i, COSREL_FP16) ? COSREL_FP16 : COSREL_FP32),
                        "tolerance", cosrel_outputs_tolerance(s->outputs, i), "furthest",
                        cosrel_outputs_furthest(s->outputs, i)));
  return json_pack("{s:I, s:o}", "requests", (json_int_t)cosrel_outputs_compared(s->outputs), "streams", list);
}

static json_t *overhead_json(const session *s, const cosrel_cell *cell) {
  cosrel_runtime_stats stats;
  cosrel_runtime_get_stats(s->runtime, &stats);
  json_t *list = json_array();
  for (uint32_t p = 0; p < s->c.n_processors; p++) {
    double busy = (double)stats.busy_ns[p], none = busy > 0 ? 1 / busy : 0;
    double kernel = (double)stats.kernel_ns[p] * none, transfer = (double)stats.transfer_ns[p] * none;
    double load = (double)stats.load_ns[p] * none;
    json_array_append_new(
        list, json_pack("{s:s, s:I, s:f, s:f, s:f, s:f}", "processor", s->profile.processors[p].name, "segments",
                        (json_int_t)stats.n_segments[p], "busy_ms", busy * 1e-6, "kernel_share", kernel,
                        "transfer_share", transfer, "overhead_share", busy > 0 ? 1 - kernel - load - transfer : 0));
    if (s->c.budget[p] == 0) continue;
    json_t *one = json_array_get(list, p);
    json_object_set_new(one, "load_share", json_real(load));
    json_object_set_new(one, "loads", json_integer((json_int_t)stats.n_loads[p]));
    json_object_set_new(one, "loading_ms", json_real((double)stats.loading_ns[p] * 1e-6));
  }
  json_t *overhead = json_pack("{s:o, s:I, s:I}", "processors", list, "copies", (json_int_t)stats.n_copies,
                               "copied_bytes", (json_int_t)stats.copied_bytes);
  if (overhead != NULL && cell->timed)
    json_object_set_new(overhead, "decision_ns",
                        json_pack("{s:f, s:f}", "p50", cell->decide_p50_ns, "p99", cell->decide_p99_ns));
  return overhead;
}

static cosrel_status print_json(const session *s, const cosrel_cell *cell, cosrel_error *error) {
  json_t *root = cosrel_cell_json(cell);
  int bad = root == NULL || json_object_set_new(root, "overhead", overhead_json(s, cell));
  if (!bad && s->q->verify) bad = json_object_set_new(root, "verified", verified_json(s));
  if (bad) json_decref(root);
  return cosrel_json_print(bad ? NULL : root, error);
}

static void print_overhead(const session *s) {
  cosrel_runtime_stats stats;
  cosrel_runtime_get_stats(s->runtime, &stats);
  printf("\n%-16s %-32s %9s %9s %9s %9s %9s %9s\n", "processor", "backend", "segments", "busy ms", "kernels %",
         "moves %", "loads %", "rest %");
  for (uint32_t p = 0; p < s->c.n_processors; p++) {
    char spec[COSREL_BACKEND_MAX];
    double busy = (double)stats.busy_ns[p], percent = busy > 0 ? 100 / busy : 0;
    double kernel = (double)stats.kernel_ns[p] * percent, transfer = (double)stats.transfer_ns[p] * percent;
    double load = (double)stats.load_ns[p] * percent;
    cosrel_backend_spec_format(&s->machine.specs[p], spec, sizeof spec);
    printf("%-16s %-32.32s %9" PRIu64 " %9.1f %9.2f %9.2f %9.2f %9.2f\n", s->profile.processors[p].name,
           strchr(spec, '=') + 1, stats.n_segments[p], busy * 1e-6, kernel, transfer, load,
           busy > 0 ? 100 - kernel - load - transfer : 0);
  }
}

static void print_verified(const session *s) {
  bool wide = false, half = false;
  printf("\noutputs of %" PRIu64 " requests compared with the reference executor: all within ",
         cosrel_outputs_compared(s->outputs));
  for (uint32_t i = 0; i < s->c.n_streams; i++) *(cosrel_case_uses(&s->c, i, COSREL_FP16) ? &half : &wide) = true;
  if (wide) printf("%g of the largest value", COSREL_VERIFY_TOLERANCE);
  if (half) printf("%s%g where units run in fp16:", wide ? ", " : "", COSREL_VERIFY_TOLERANCE_FP16);
  for (uint32_t i = 0; i < s->c.n_streams; i++)
    if (cosrel_case_uses(&s->c, i, COSREL_FP16))
      printf(" %s (%.2g)", s->workload.streams[i].name, cosrel_outputs_furthest(s->outputs, i));
  printf("\n");
}

/* The line of the last failure, to say more than that there were some. */
static void print_last_failure(const session *s, const cosrel_cell *cell) {
  cosrel_error last;
  cosrel_runtime_last_error(s->runtime, &last);
  if (cell->failures.n_faults > 0 && last.text[0] != '\0') printf("last failure: %s\n", last.text);
}

static cosrel_status report(const session *s, const cosrel_cell *cell, cosrel_error *error) {
  if (s->q->outputs != NULL) COSREL_TRY(cosrel_outputs_write(s->outputs, s->q->outputs, error));
  if (s->q->json) return print_json(s, cell, error);
  cosrel_cell_print(cell);
  print_last_failure(s, cell);
  print_overhead(s);
  if (s->q->verify) print_verified(s);
  return COSREL_OK;
}

int cosrel_cmd_run(int argc, char **argv) {
  request q = {.duration_s = 10, .seed = 1, .plan_budget = COSREL_PLAN_DEFAULT};
  const cosrel_usage usage = {
      "run",
      "--workload W --policy NAME|FILE [options]",
      "Executes the models of a workload on this machine's processors under one policy. Without --profile every\n"
      "unit is measured first. A stream's network is its `file`, or the zoo's network of its model's name. Units run\n"
      "in the precision that costs least of those that the stream accepts.",
      "cosrel run --workload experiments/workloads/test/drone.json --policy eft --duration 5 \\\n"
      "    --processor cpu0=xnnpack:cores=0 --processor cpu1=xnnpack:cores=1 --verify",
      0,
      0};
  const cosrel_option options[] = {
      {"workload", COSREL_OPTION_TEXT, &q.workload, "W", "workload", 0, 0, true},
      {"policy", COSREL_OPTION_TEXT, &q.policy, "NAME|FILE", "a built-in policy, cosrel or a policy file", 0, 0, true},
      {"profile", COSREL_OPTION_TEXT, &q.profile, "P", "what things cost here (measured at the start)", 0, 0, false},
      {"processor", COSREL_OPTION_FILES, &q.processors, "SPEC...",
       "processors, NAME=BACKEND[:cores=0-3+6][:threads=N][:device=TEXT] (the profile's, or cpu on all cores)", 0, 0,
       false},
      COSREL_MEMORY_OPTION_LINES(q.memory),
      COSREL_PLAN_BUDGET_OPTION(q.plan_budget),
      {"duration", COSREL_OPTION_NUMBER, &q.duration_s, "S", "seconds of arrivals (10)", 0.001, 86400, false},
      {"seed", COSREL_OPTION_COUNT, &q.seed, "N", "keys arrivals and inputs (1)", 0, 9e15, false},
      {"load", COSREL_OPTION_NUMBER, &q.load, "L",
       "arrival rates as a share of the largest possible ones (the workload's)", 0.001, 100, false},
      {"arrivals", COSREL_OPTION_TEXT, &q.arrivals, "KIND", "closed, periodic, poisson, bursty (the workload's)", 0, 0,
       false},
      {"trace", COSREL_OPTION_TEXT, &q.trace, "F", "writes the run's trace", 0, 0, false},
      {"perfetto", COSREL_OPTION_TEXT, &q.perfetto, "F", "writes a timeline for ui.perfetto.dev", 0, 0, false},
      {"verify", COSREL_OPTION_FLAG, &q.verify, NULL,
       "compares every output with the reference executor's: off by 1e-4 of the largest value at most, 2e-2 in fp16", 0,
       0, false},
      {"outputs", COSREL_OPTION_TEXT, &q.outputs, "DIR", "writes each stream's last output as DIR/STREAM.npy", 0, 0,
       false},
      {"fault", COSREL_OPTION_FILES, &q.faults, "SPEC...", COSREL_FAULT_HELP, 0, 0, false},
      {"json", COSREL_OPTION_FLAG, &q.json, NULL, "one JSON document on stdout", 0, 0, false},
      {"timing", COSREL_OPTION_FLAG, &q.timing, NULL, "measures how long decisions take", 0, 0, false},
      {NULL, COSREL_OPTION_FLAG, NULL, NULL, NULL, 0, 0, false},
  };
  cosrel_parse parse = cosrel_options_parse(&usage, options, argc, argv, NULL);
  if (parse != COSREL_PARSE_OK) return cosrel_parse_exit(parse);

  cosrel_error error = {""};
  cosrel_cell cell;
  session *s = calloc(1, sizeof *s);
  if (s == NULL) return cosrel_report(COSREL_NOMEM, NULL);
  cosrel_interrupt_catch();
  cosrel_status status = open_session(s, &q, &error);
  if (status == COSREL_OK) status = run(s, &cell, &error);
  if (status == COSREL_OK) status = report(s, &cell, &error);
  if (status == COSREL_OK && cosrel_interrupted())
    status = cosrel_fail(&error, COSREL_INTERRUPTED, "run: interrupted after %.3f s; all of the above was done",
                         cell.result.duration_s);
  int code = status == COSREL_OK ? 0 : cosrel_report(status, &error);
  if (!close_session(s)) exit(code); /* a processor that is stuck still has the session */
  free(s);
  return code;
}
