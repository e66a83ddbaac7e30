/* The trace of a run: everything that happened, in order of time, as JSON. traces/FORMAT.md documents the format. */
#ifndef COSREL_TRACES_TRACE_FILE_H
#define COSREL_TRACES_TRACE_FILE_H

#include "sched/case.h"
#include "sched/engine.h"
#include "sched/status.h"

#define COSREL_TRACE_FORMAT "cosrel-trace"
#define COSREL_TRACE_VERSION 1

/* The events of a trace. */
#define COSREL_TRACE_EVENTS "arrival decision segment outcome telemetry load evict fault quarantine probe restore"
typedef enum cosrel_trace_event {
  COSREL_TRACE_ARRIVAL,
  COSREL_TRACE_DECISION,
  COSREL_TRACE_SEGMENT,
  COSREL_TRACE_OUTCOME,
  COSREL_TRACE_TELEMETRY,
  COSREL_TRACE_OTHER /* what readers pass over */
} cosrel_trace_event;
/* -1 when there is no event of that name. */
int cosrel_trace_event_from_name(const char *name);

typedef struct cosrel_trace_writer cosrel_trace_writer;

/* Begins the file; it appears under `path` at the end. The case is borrowed. */
cosrel_status cosrel_trace_begin(const char *path, const cosrel_case *c, const char *policy, uint64_t seed,
                                 cosrel_time horizon, cosrel_trace_writer **out, cosrel_error *error);
/* Listens to one run. Owned by the writer. */
cosrel_sink *cosrel_trace_sink(cosrel_trace_writer *writer);
/* Puts the file in place and frees the writer, also on failure. */
cosrel_status cosrel_trace_end(cosrel_trace_writer *writer, cosrel_error *error);
/* Frees the writer and leaves no file. NULL is fine. */
void cosrel_trace_abort(cosrel_trace_writer *writer);

#endif
