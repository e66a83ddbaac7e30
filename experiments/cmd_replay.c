/* cosrel replay: simulates one workload on one device profile under one policy. */
#include "experiments/cell.h"
#include "experiments/commands.h"
#include "experiments/inputs.h"
#include "experiments/recorders.h"
#include "experiments/report.h"
#include "experiments/result_json.h"
#include "experiments/run_options.h"

typedef struct request {
  cosrel_run_options run;
  cosrel_injection_plan faults;
  const char *policy, *arrivals, *perfetto, *trace;
  double load;
  bool timing;
} request;

/* Runs the cell with the writers that were asked for; their files appear only when all went well. */
static cosrel_status replay(const request *q, const cosrel_case *c, const cosrel_contender *contender,
                            cosrel_error *error) {
  cosrel_recorders recorders;
  cosrel_cell cell;
  cosrel_status status = cosrel_recorders_begin(q->perfetto, q->trace, c, contender->name, q->run.seed,
                                                q->run.duration_s, &recorders, error);
  if (status != COSREL_OK) return status;
  cosrel_cell_config config = cosrel_run_config(&q->run, &q->faults);
  config.timing = q->timing;
  config.sinks = cosrel_recorders_sinks(&recorders);
  status = cosrel_cell_run(c, contender, &config, &cell, error);
  if (status == COSREL_OK)
    status = cosrel_recorders_end(&recorders, error);
  else
    cosrel_recorders_abort(&recorders);
  if (status != COSREL_OK) return status;
  if (q->run.json) return cosrel_json_print(cosrel_cell_json(&cell), error);
  cosrel_cell_print(&cell);
  return COSREL_OK;
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
  if (status == COSREL_OK) status = cosrel_faults_read(&q.run.faults, &q.faults, &error);
  if (status == COSREL_OK && q.arrivals != NULL) status = cosrel_arrivals_parse(q.arrivals, &arrivals, &error);
  if (status == COSREL_OK) status = cosrel_contender_open(q.policy, &contender, &error);
  if (status == COSREL_OK) status = cosrel_inputs_load(&q.run.profiles, &q.run.workloads, &inputs, &error);
  if (status == COSREL_OK) status = cosrel_memory_apply(&q.run.memory, inputs.profiles, inputs.n_profiles, &error);
  if (status == COSREL_OK) status = cosrel_injection_check(&q.faults, inputs.profiles, inputs.n_profiles, &error);
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
