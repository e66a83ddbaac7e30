/* The timeline of a run as Chrome trace JSON, for https://ui.perfetto.dev.
 *
 * Process "processors": a track per processor with a slice per segment, and launch, transfer and compute inside it; a
 * frequency counter each. Process "streams": a track per stream with a slice per request, from arrival to end; a
 * counter of outstanding requests each. Process "device": power and energy counters, and temperature where the profile
 * has a thermal model. */
#ifndef COSREL_TRACES_PERFETTO_H
#define COSREL_TRACES_PERFETTO_H

#include "sched/case.h"
#include "sched/engine.h"
#include "sched/status.h"

typedef struct cosrel_perfetto cosrel_perfetto;

/* Begins the file; it appears under `path` at the end. The case is borrowed. */
cosrel_status cosrel_perfetto_begin(const char *path, const cosrel_case *c, cosrel_perfetto **out, cosrel_error *error);
/* Listens to one run. Owned by the writer. */
cosrel_sink *cosrel_perfetto_sink(cosrel_perfetto *perfetto);
/* Puts the file in place and frees the writer, also on failure. */
cosrel_status cosrel_perfetto_end(cosrel_perfetto *perfetto, cosrel_error *error);
/* Frees the writer and leaves no file. NULL is fine. */
void cosrel_perfetto_abort(cosrel_perfetto *perfetto);

#endif
