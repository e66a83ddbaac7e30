/* cosrel replay: simulates one workload on one device profile under one policy. */
#include <math.h>
#include <stdio.h>

#include "experiments/cell.h"
#include "experiments/commands.h"
#include "experiments/inputs.h"
#include "experiments/result_json.h"
#include "experiments/run_options.h"
#include "traces/perfetto.h"
#include "traces/trace_file.h"

static void print_cell(const cosrel_cell *cell) {
  const cosrel_case *c = cell->c;
  const cosrel_result *r = &cell->result;
  double load = cosrel_case_load(c);
  printf("%s on %s under %s: %g s, seed %llu, arrivals %s", c->workload->name, c->profile->name, cell->policy,
         r->duration_s, (unsigned long long)cell->seed, cosrel_case_arrivals_name(c));
  if (isfinite(load)) printf(", load %.3f", load);
  printf("\n\n");
  printf("U         %9.4f    mean utility of all arrivals\n", r->u);
  printf("ANTT      %9.3f    p95 %.3f\n", r->antt, r->p95_ntt);
  printf("STP       %9.4f    fairness %.3f\n", r->stp, r->fairness);
  printf("G         %9.4f", r->g);
  if (r->bound_share >= 0) printf("    %.1f %% of the bound", 100.0 * r->bound_share);
  printf("\ngoodput   %9.2f Hz completed in time\n", r->goodput_hz);
  printf("power     %9.3f W ", r->power_w);
  if (r->energy_mj_per_inference >= 0) printf(" %.2f mJ per inference", r->energy_mj_per_inference);
  if (r->energy_ratio >= 0) printf(", %.2f times the least possible", r->energy_ratio);
  printf("\ndecisions %9llu", (unsigned long long)r->decisions);
  if (cell->timed) printf("    p50 %.0f ns, p99 %.0f ns each", cell->decide_p50_ns, cell->decide_p99_ns);
  printf("\n\n%-16s %-24s %8s %8s %8s %8s %8s %8s %8s %8s\n", "stream", "model", "arrived", "dropped", "missed", "Hz",
         "mean ms", "p50", "p95", "p99");
  for (uint32_t s = 0; s < r->n_streams; s++) {
    const cosrel_stream_result *t = &r->streams[s];
    printf("%-16.16s %-24.24s %8llu %8llu %8llu %8.2f %8.2f %8.2f %8.2f %8.2f\n", c->workload->streams[s].name,
           c->workload->streams[s].model, (unsigned long long)t->arrived, (unsigned long long)t->dropped,
           (unsigned long long)t->missed, t->rate_hz, t->latency_mean_ms, t->latency_p50_ms, t->latency_p95_ms,
           t->latency_p99_ms);
  }
}

typedef struct request {
  cosrel_run_options run;
  const char *policy, *arrivals, *perfetto, *trace;
  double load;
  bool timing;
} request;

/* Runs the cell with the writers that were asked for; their files appear only when all went well. */
static cosrel_status replay(const request *q, const cosrel_case *c, const cosrel_contender *contender,
                            cosrel_error *error) {
  cosrel_perfetto *perfetto = NULL;
  cosrel_trace_writer *trace = NULL;
  cosrel_cell cell;
  cosrel_cell_config config = cosrel_run_config(&q->run);
  config.timing = q->timing;
  cosrel_status status = COSREL_OK;

  if (q->perfetto != NULL) {
    status = cosrel_perfetto_begin(q->perfetto, c, &perfetto, error);
    if (status != COSREL_OK) goto fail;
    config.sinks = cosrel_perfetto_sink(perfetto);
  }
  if (q->trace != NULL) {
    status = cosrel_trace_begin(q->trace, c, contender->name, q->run.seed,
                                (cosrel_time)llround(q->run.duration_s * 1e9), &trace, error);
    if (status != COSREL_OK) goto fail;
    cosrel_trace_sink(trace)->next = config.sinks;
    config.sinks = cosrel_trace_sink(trace);
  }
  status = cosrel_cell_run(c, contender, &config, &cell, error);
  if (status != COSREL_OK) goto fail;
  if (perfetto != NULL) {
    status = cosrel_perfetto_end(perfetto, error);
    perfetto = NULL;
    if (status != COSREL_OK) goto fail;
  }
  if (trace != NULL) {
    status = cosrel_trace_end(trace, error);
    trace = NULL;
    if (status != COSREL_OK) goto fail;
  }
  if (q->run.json) return cosrel_json_print(cosrel_cell_json(&cell), error);
  print_cell(&cell);
  return COSREL_OK;

fail:
  cosrel_perfetto_abort(perfetto);
  cosrel_trace_abort(trace);
  return status;
}

int cosrel_cmd_replay(int argc, char **argv) {
  request q = {.run = COSREL_RUN_OPTIONS_DEFAULT};
  const cosrel_usage usage = {
      "replay",
      "--profile P --workload W --policy NAME|FILE [options]",
      "Simulates a workload on a device profile under one policy and prints what came out of it.\n"
      "The same command gives the same figures, byte for byte.",
      "cosrel replay --profile traces/profiles/snapdragon865.json --workload experiments/workloads/test/drone.json \\\n"
      "    --policy eft --perfetto timeline.json",
      0,
      0};
  const cosrel_option options[] = {
      COSREL_RUN_OPTION_LINES(q.run),
      {"policy", COSREL_OPTION_TEXT, &q.policy, "NAME|FILE", "a built-in policy, cosrel or a policy file", 0, 0, true},
      {"load", COSREL_OPTION_NUMBER, &q.load, "L",
       "arrival rates as a share of the largest possible ones (the workload's)", 0.001, 100, false},
      {"arrivals", COSREL_OPTION_TEXT, &q.arrivals, "KIND", "closed, periodic, poisson, bursty (the workload's)", 0, 0,
       false},
      {"perfetto", COSREL_OPTION_TEXT, &q.perfetto, "F", "writes a timeline for ui.perfetto.dev", 0, 0, false},
      {"trace", COSREL_OPTION_TEXT, &q.trace, "F", "writes the run's trace", 0, 0, false},
      {"timing", COSREL_OPTION_FLAG, &q.timing, NULL, "measures how long decisions take", 0, 0, false},
      COSREL_OPTION_END,
  };
  cosrel_parse parse = cosrel_options_parse(&usage, options, argc, argv, NULL);
  if (parse != COSREL_PARSE_OK) return cosrel_parse_exit(parse);

  cosrel_error error = {""};
  cosrel_inputs inputs = {0};
  cosrel_contender contender = {0};
  cosrel_case c = {0};
  int arrivals = COSREL_ARRIVALS_OWN;
  cosrel_status status = COSREL_OK;
  if (q.run.profiles.n != 1 || q.run.workloads.n != 1)
    status = cosrel_fail(&error, COSREL_INVALID, "replay: expected one --profile and one --workload");
  if (status == COSREL_OK && q.arrivals != NULL) status = cosrel_arrivals_parse(q.arrivals, &arrivals, &error);
  if (status == COSREL_OK) status = cosrel_contender_open(q.policy, &contender, &error);
  if (status == COSREL_OK) status = cosrel_inputs_load(&q.run.profiles, &q.run.workloads, &inputs, &error);
  if (status == COSREL_OK && q.run.arrivals_from != NULL)
    status = cosrel_inputs_record(&inputs, q.run.arrivals_from, &error);
  if (status == COSREL_OK) status = cosrel_inputs_solve(&inputs, &error);
  if (status == COSREL_OK)
    status = cosrel_case_prepare(inputs.profiles, inputs.workloads, inputs.bounds, arrivals, q.load, &c, &error);
  if (status == COSREL_OK) {
    status = replay(&q, &c, &contender, &error);
    cosrel_case_destroy(&c);
  }
  cosrel_contender_close(&contender);
  cosrel_inputs_clear(&inputs);
  return status == COSREL_OK ? 0 : cosrel_report(status, &error);
}
