/* What the two writers of runs share: a JSON document in a file that appears whole or not at all, ending in one array
 * of events that grows while the run goes on. Inside traces/ only. */
#ifndef COSREL_TRACES_EVENT_STREAM_H
#define COSREL_TRACES_EVENT_STREAM_H

#include <stdbool.h>

#include "traces/atomic.h"
#include "traces/json.h"

typedef struct cosrel_event_stream {
  cosrel_atomic atomic;
  cosrel_json_writer json; /* puts numbers and texts into the same file */
  bool first;              /* no event yet */
} cosrel_event_stream;

static inline cosrel_status cosrel_event_stream_begin(cosrel_event_stream *stream, const char *path,
                                                      cosrel_error *error) {
  cosrel_status status = cosrel_atomic_begin(path, &stream->atomic, error);
  stream->json = (cosrel_json_writer){.file = stream->atomic.file};
  stream->first = true;
  return status;
}

/* Starts an event; the caller prints the object. Failures of the file stay in it until the end. */
static inline FILE *cosrel_event_stream_next(cosrel_event_stream *stream) {
  fputs(stream->first ? "\n" : ",\n", stream->atomic.file);
  stream->first = false;
  return stream->atomic.file;
}

/* Closes array and document, and puts the file in place. Ends the stream in any case. */
static inline cosrel_status cosrel_event_stream_end(cosrel_event_stream *stream, cosrel_error *error) {
  fputs("\n]}\n", stream->atomic.file);
  if (stream->json.status != COSREL_OK) {
    cosrel_status status = stream->json.status;
    cosrel_fail(error, status, "%s: a name cannot be written as JSON", stream->atomic.path);
    cosrel_atomic_abort(&stream->atomic);
    return status;
  }
  return cosrel_atomic_commit(&stream->atomic, error);
}

#endif
