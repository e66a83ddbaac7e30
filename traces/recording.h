/* When requests arrived in a run, read from its trace, to be replayed under another policy or on another device. */
#ifndef COSREL_TRACES_RECORDING_H
#define COSREL_TRACES_RECORDING_H

#include <stddef.h>

#include "sched/status.h"
#include "sched/workload.h"

#define COSREL_TRACE_FILE_MAX ((size_t)64 << 20) /* bytes; and at most COSREL_JSON_VALUES_MAX values */

typedef struct cosrel_recorded_stream {
  char name[COSREL_NAME_MAX];
  uint32_t n_times;
  cosrel_time *times; /* ascending, owned; NULL when nothing arrived */
} cosrel_recorded_stream;

typedef struct cosrel_recording {
  cosrel_time horizon; /* when the run's arrivals stopped, > 0 */
  uint32_t n_streams;
  cosrel_recorded_stream streams[COSREL_STREAMS_MAX];
} cosrel_recording;

/* Reads the streams and `arrival` events of a trace; other events are only known by name. *out owns memory
 * (cosrel_recording_clear); on failure it is cleared. Fails with one line naming file and place. */
cosrel_status cosrel_recording_read(const char *path, cosrel_recording *out, cosrel_error *error);
/* The same from `size` bytes of text; `where` begins the error line. */
cosrel_status cosrel_recording_parse(const char *text, size_t size, const char *where, cosrel_recording *out,
                                     cosrel_error *error);
void cosrel_recording_clear(cosrel_recording *recording);

/* Every stream of the workload now arrives as the recorded stream of the same name did, its nominal rate being the
 * recorded one. COSREL_INVALID when a stream has no recorded arrivals; the workload is then good for clearing only.
 * `where` begins the error line. */
cosrel_status cosrel_recording_apply(const cosrel_recording *recording, cosrel_workload *workload, const char *where,
                                     cosrel_error *error);

#endif
