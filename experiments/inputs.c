#include "experiments/inputs.h"

#include <stdlib.h>
#include <string.h>

#include "sched/case.h"
#include "traces/profile_file.h"
#include "traces/recording.h"
#include "traces/workload_file.h"

cosrel_status cosrel_inputs_load(const cosrel_strings *profiles, const cosrel_strings *workloads, cosrel_inputs *out,
                                 cosrel_error *error) {
  memset(out, 0, sizeof *out);
  out->profiles = calloc(profiles->n, sizeof *out->profiles);
  out->workloads = calloc(workloads->n, sizeof *out->workloads);
  out->bounds = calloc((size_t)profiles->n * workloads->n, sizeof *out->bounds);
  if (out->profiles == NULL || out->workloads == NULL || out->bounds == NULL)
    return cosrel_fail(error, COSREL_NOMEM, "no memory for the profiles and workloads");
  for (uint32_t p = 0; p < profiles->n; p++) {
    cosrel_status status = cosrel_profile_read(profiles->items[p], &out->profiles[p], error);
    if (status != COSREL_OK) return status;
    out->n_profiles++;
  }
  for (uint32_t w = 0; w < workloads->n; w++) {
    cosrel_status status = cosrel_workload_read(workloads->items[w], &out->workloads[w], error);
    if (status != COSREL_OK) return status;
    out->n_workloads++;
  }
  return COSREL_OK;
}

cosrel_status cosrel_inputs_record(cosrel_inputs *inputs, const char *trace, cosrel_error *error) {
  cosrel_recording recording;
  cosrel_status status = cosrel_recording_read(trace, &recording, error);
  for (uint32_t w = 0; w < inputs->n_workloads && status == COSREL_OK; w++)
    status = cosrel_recording_apply(&recording, &inputs->workloads[w], trace, error);
  cosrel_recording_clear(&recording);
  return status;
}

bool cosrel_inputs_fit(const cosrel_inputs *inputs, uint32_t profile, uint32_t workload) {
  const cosrel_workload *w = &inputs->workloads[workload];
  for (uint32_t s = 0; s < w->n_streams; s++)
    if (cosrel_profile_find_model(&inputs->profiles[profile], w->streams[s].model) < 0) return false;
  return true;
}

cosrel_status cosrel_inputs_solve(cosrel_inputs *inputs, cosrel_error *error) {
  for (uint32_t p = 0; p < inputs->n_profiles; p++)
    for (uint32_t w = 0; w < inputs->n_workloads; w++) {
      cosrel_case c;
      if (!cosrel_inputs_fit(inputs, p, w)) continue;
      cosrel_status status = cosrel_case_create(&inputs->profiles[p], &inputs->workloads[w], &c, error);
      if (status != COSREL_OK) return status;
      status = cosrel_bound_solve(&c, &inputs->bounds[p * inputs->n_workloads + w], error);
      cosrel_case_destroy(&c);
      if (status != COSREL_OK) return status;
    }
  return COSREL_OK;
}

const cosrel_bound *cosrel_inputs_bound(const cosrel_inputs *inputs, uint32_t profile, uint32_t workload) {
  return &inputs->bounds[profile * inputs->n_workloads + workload];
}

void cosrel_inputs_clear(cosrel_inputs *inputs) {
  for (uint32_t p = 0; p < inputs->n_profiles; p++) cosrel_profile_clear(&inputs->profiles[p]);
  for (uint32_t w = 0; w < inputs->n_workloads; w++) cosrel_workload_clear(&inputs->workloads[w]);
  free(inputs->profiles);
  free(inputs->workloads);
  free(inputs->bounds);
  memset(inputs, 0, sizeof *inputs);
}
