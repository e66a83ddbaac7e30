/* cosrel bound: what no policy can beat on a workload and a device. */
#include <stdio.h>

#include "experiments/commands.h"
#include "experiments/inputs.h"
#include "experiments/memory_option.h"
#include "experiments/result_json.h"
#include "sched/case.h"

static json_t *bound_json(const cosrel_case *c, const cosrel_bound *b) {
  json_t *root = json_object(), *processors = json_array(), *streams = json_array();
  int bad = root == NULL || processors == NULL || streams == NULL;
  bad |= json_object_set_new(root, "profile", json_string(c->profile->name));
  bad |= json_object_set_new(root, "workload", json_string(c->workload->name));
  bad |= json_object_set_new(root, "lambda_star", cosrel_json_real(b->lambda_star));
  bad |= json_object_set_new(root, "g_star", cosrel_json_real(b->g_star));
  for (uint32_t p = 0; p < c->n_processors; p++)
    bad |= json_array_append_new(
        processors, json_pack("{s:s, s:o, s:o, s:o}", "name", c->profile->processors[p].name, "utilisation",
                              cosrel_json_real(b->utilisation[p]), "price", cosrel_json_real(b->price[p]), "g_price",
                              cosrel_json_real(b->g_price[p])));
  bad |= json_object_set_new(root, "processors", processors);
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream *stream = &c->workload->streams[s];
    json_t *share = json_object();
    for (uint32_t p = 0; p < c->n_processors; p++)
      bad |= json_object_set_new(share, c->profile->processors[p].name, cosrel_json_real(b->share[s][p]));
    bad |= json_array_append_new(
        streams,
        json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "name", stream->name, "model", stream->model,
                  "nominal_rate_hz", cosrel_json_real(stream->arrivals.rate_hz), "largest_rate_hz",
                  cosrel_json_real(stream->arrivals.rate_hz * b->lambda_star), "isolated_ms",
                  cosrel_json_real(c->streams[s].isolated_ns * 1e-6), "isolated_mj",
                  cosrel_json_real(c->streams[s].isolated_mj), "np", cosrel_json_real(b->np[s]), "share", share));
  }
  bad |= json_object_set_new(root, "streams", streams);
  if (!bad) return root;
  json_decref(root);
  return NULL;
}

static void print_bound(const cosrel_case *c, const cosrel_bound *b) {
  printf("%s on %s\n\n", c->workload->name, c->profile->name);
  printf("lambda* %8.4f   the nominal rates can grow by this factor at most: they are load %.3f\n", b->lambda_star,
         1.0 / b->lambda_star);
  printf("G*      %8.4f   no policy has a higher G in closed loop\n\n", b->g_star);
  printf("%-14s %-24s %8s %8s %8s %8s %7s ", "stream", "model", "nominal", "largest", "T", "E", "NP");
  for (uint32_t p = 0; p < c->n_processors; p++) printf(" %10s", c->profile->processors[p].name);
  printf("\n%-14s %-24s %8s %8s %8s %8s %7s ", "", "", "Hz", "Hz", "ms", "mJ", "at G*");
  for (uint32_t p = 0; p < c->n_processors; p++) printf(" %10s", "% of time");
  printf("\n");
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream *stream = &c->workload->streams[s];
    printf("%-14.14s %-24.24s %8.2f %8.2f %8.3f %8.2f %7.3f ", stream->name, stream->model, stream->arrivals.rate_hz,
           stream->arrivals.rate_hz * b->lambda_star, c->streams[s].isolated_ns * 1e-6, c->streams[s].isolated_mj,
           b->np[s]);
    for (uint32_t p = 0; p < c->n_processors; p++) printf(" %10.1f", 100.0 * b->share[s][p]);
    printf("\n");
  }
  printf("\n%-83s", "busy at lambda*, %");
  for (uint32_t p = 0; p < c->n_processors; p++) printf(" %10.1f", 100.0 * b->utilisation[p]);
  printf("\n%-83s", "price at lambda*");
  for (uint32_t p = 0; p < c->n_processors; p++) printf(" %10.3f", b->price[p]);
  printf("\n");
}

int cosrel_cmd_bound(int argc, char **argv) {
  cosrel_strings profile = {0}, workload = {0};
  cosrel_memory_options memory = {0};
  bool json = false;
  const cosrel_usage usage = {
      "bound",
      "--profile P --workload W [options]",
      "Prints what no policy can beat: the largest sustainable rates (lambda*), the largest\n"
      "geometric mean of normalised progress (G*), and each model's isolated latency and energy.",
      "cosrel bound --profile traces/profiles/snapdragon865.json --workload experiments/workloads/test/drone.json",
      0,
      0};
  const cosrel_option options[] = {
      {"profile", COSREL_OPTION_FILES, &profile, "P", "device profile", 0, 0, true},
      {"workload", COSREL_OPTION_FILES, &workload, "W", "workload", 0, 0, true},
      COSREL_MEMORY_OPTION_BUDGETS(memory),
      {"json", COSREL_OPTION_FLAG, &json, NULL, "one JSON document on stdout", 0, 0, false},
      {NULL, COSREL_OPTION_FLAG, NULL, NULL, NULL, 0, 0, false},
  };
  cosrel_parse parse = cosrel_options_parse(&usage, options, argc, argv, NULL);
  if (parse != COSREL_PARSE_OK) return cosrel_parse_exit(parse);

  cosrel_error error = {""};
  cosrel_inputs inputs = {0};
  cosrel_case c = {0};
  cosrel_status status = COSREL_OK;
  if (profile.n != 1 || workload.n != 1)
    status = cosrel_fail(&error, COSREL_INVALID, "bound: expected one --profile and one --workload");
  if (status == COSREL_OK) status = cosrel_inputs_load(&profile, &workload, &inputs, &error);
  if (status == COSREL_OK) status = cosrel_memory_apply(&memory, inputs.profiles, inputs.n_profiles, &error);
  if (status == COSREL_OK) status = cosrel_inputs_solve(&inputs, &error);
  if (status == COSREL_OK) status = cosrel_case_create(inputs.profiles, inputs.workloads, &c, &error);
  if (status == COSREL_OK) {
    if (json)
      status = cosrel_json_print(bound_json(&c, inputs.bounds), &error);
    else
      print_bound(&c, inputs.bounds);
    cosrel_case_destroy(&c);
  }
  cosrel_inputs_clear(&inputs);
  return status == COSREL_OK ? 0 : cosrel_report(status, &error);
}
