/* What came out of a run, read from its trace: to be set against a simulation of the same run. */
#ifndef COSREL_TRACES_RESULTS_H
#define COSREL_TRACES_RESULTS_H

#include <stddef.h>

#include "sched/status.h"
#include "sched/workload.h"

typedef struct cosrel_recorded_outcome {
  cosrel_time arrival, end;
  double ntt, utility;
  uint32_t stream;
  bool dropped;
} cosrel_recorded_outcome;

typedef struct cosrel_recorded_segment {
  cosrel_time started, ended;
  uint32_t processor;
} cosrel_recorded_segment;

typedef struct cosrel_results {
  char policy[1024]; /* as on the command line: a name or a path */
  char workload[COSREL_NAME_MAX];
  uint64_t seed;
  cosrel_time horizon; /* when arrivals stopped, > 0 */
  uint32_t n_processors, n_streams, n_outcomes, n_segments;
  char processors[COSREL_PROCESSORS_MAX][COSREL_NAME_MAX];
  struct {
    char name[COSREL_NAME_MAX];
    cosrel_arrivals_kind arrivals; /* in force */
    double rate_hz;                /* in force */
  } streams[COSREL_STREAMS_MAX];
  cosrel_recorded_outcome *outcomes; /* owned, in order of their ends */
  cosrel_recorded_segment *segments; /* owned, likewise */
  double energy_mj;                  /* by the last telemetry event, at energy_at; negative: there is none */
  cosrel_time energy_at;
} cosrel_results;

/* Large (about 10 KB): not for the stack. Limits and errors as for cosrel_recording_read. */
cosrel_status cosrel_results_read(const char *path, cosrel_results *out, cosrel_error *error);
/* The same from `size` bytes of text; `where` begins the error line. */
cosrel_status cosrel_results_parse(const char *text, size_t size, const char *where, cosrel_results *out,
                                   cosrel_error *error);
void cosrel_results_clear(cosrel_results *results);

#endif
