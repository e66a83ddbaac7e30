#include "experiments/recorders.h"

#include <math.h>

cosrel_status cosrel_recorders_begin(const char *perfetto, const char *trace, const cosrel_case *c, const char *policy,
                                     uint64_t seed, double duration_s, cosrel_recorders *out, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  *out = (cosrel_recorders){NULL, NULL};
  if (perfetto != NULL) status = cosrel_perfetto_begin(perfetto, c, &out->perfetto, error);
  if (status == COSREL_OK && trace != NULL)
    status = cosrel_trace_begin(trace, c, policy, seed, (cosrel_time)llround(duration_s * 1e9), &out->trace, error);
  if (status != COSREL_OK) cosrel_recorders_abort(out);
  return status;
}

cosrel_sink *cosrel_recorders_sinks(const cosrel_recorders *recorders) {
  cosrel_sink *perfetto = recorders->perfetto != NULL ? cosrel_perfetto_sink(recorders->perfetto) : NULL;
  if (recorders->trace == NULL) return perfetto;
  cosrel_sink *trace = cosrel_trace_sink(recorders->trace);
  trace->next = perfetto;
  return trace;
}

cosrel_status cosrel_recorders_end(cosrel_recorders *recorders, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  if (recorders->perfetto != NULL) status = cosrel_perfetto_end(recorders->perfetto, error);
  recorders->perfetto = NULL;
  if (status == COSREL_OK && recorders->trace != NULL) {
    status = cosrel_trace_end(recorders->trace, error);
    recorders->trace = NULL;
  }
  cosrel_recorders_abort(recorders);
  return status;
}

void cosrel_recorders_abort(cosrel_recorders *recorders) {
  cosrel_perfetto_abort(recorders->perfetto);
  cosrel_trace_abort(recorders->trace);
  *recorders = (cosrel_recorders){NULL, NULL};
}
