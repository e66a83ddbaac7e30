/* The files that a run may leave behind: a timeline and a trace. */
#ifndef COSREL_EXPERIMENTS_RECORDERS_H
#define COSREL_EXPERIMENTS_RECORDERS_H

#include "traces/perfetto.h"
#include "traces/trace_file.h"

typedef struct cosrel_recorders {
  cosrel_perfetto *perfetto;  /* NULL: not wanted */
  cosrel_trace_writer *trace; /* NULL: not wanted */
} cosrel_recorders;

/* Begins the files whose path is not NULL. On failure nothing is left to clean up. */
cosrel_status cosrel_recorders_begin(const char *perfetto, const char *trace, const cosrel_case *c, const char *policy,
                                     uint64_t seed, double duration_s, cosrel_recorders *out, cosrel_error *error);
/* What listens to the run; NULL when nothing does. */
cosrel_sink *cosrel_recorders_sinks(const cosrel_recorders *recorders);
/* Puts the files in place, or forgets them. Either ends the recorders. */
cosrel_status cosrel_recorders_end(cosrel_recorders *recorders, cosrel_error *error);
void cosrel_recorders_abort(cosrel_recorders *recorders);

#endif
