/* Any bytes as a trace: refused with one line, or its arrivals are in order, and a workload made of them can be
 * written, read again, and is the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/recording.h"
#include "traces/results.h"
#include "traces/workload_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A workload with a stream for every recorded one that has arrivals. */
static void trace_workload(const cosrel_recording *recording, cosrel_workload *out) {
  memset(out, 0, sizeof *out);
  snprintf(out->name, sizeof out->name, "recorded");
  out->objective.latency = 1;
  for (uint32_t s = 0; s < recording->n_streams; s++) {
    if (recording->streams[s].n_times == 0) continue;
    cosrel_stream *stream = &out->streams[out->n_streams++];
    snprintf(stream->name, sizeof stream->name, "%s", recording->streams[s].name);
    snprintf(stream->model, sizeof stream->model, "m");
    stream->precisions = 1u << COSREL_FP32;
    stream->priority = 1;
    stream->queue_limit = 1;
  }
}

static void fuzz_results(const uint8_t *data, size_t size) {
  static cosrel_results results;
  cosrel_error error = {""};
  if (cosrel_results_parse((const char *)data, size, "input", &results, &error) != COSREL_OK) {
    if (strncmp(error.text, "input: ", 7) != 0 || strchr(error.text, '\n') != NULL) abort();
    return;
  }
  for (uint32_t i = 0; i < results.n_outcomes; i++)
    if (results.outcomes[i].stream >= results.n_streams || results.outcomes[i].arrival > results.outcomes[i].end)
      abort();
  for (uint32_t i = 0; i < results.n_segments; i++)
    if (results.segments[i].processor >= results.n_processors ||
        results.segments[i].started > results.segments[i].ended)
      abort();
  cosrel_results_clear(&results);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char where[] = "input";
  static cosrel_recording recording;
  static cosrel_workload first, second;
  cosrel_error error = {""};
  fuzz_results(data, size);
  if (cosrel_recording_parse((const char *)data, size, where, &recording, &error) != COSREL_OK) {
    if (strncmp(error.text, "input: ", 7) != 0 || strchr(error.text, '\n') != NULL) abort();
    if (recording.n_streams != 0) abort();
    return 0;
  }
  for (uint32_t s = 0; s < recording.n_streams; s++)
    for (uint32_t i = 1; i < recording.streams[s].n_times; i++)
      if (recording.streams[s].times[i] < recording.streams[s].times[i - 1]) abort();
  trace_workload(&recording, &first);
  if (cosrel_recording_apply(&recording, &first, where, &error) == COSREL_OK) {
    char *text, *again;
    size_t text_size, again_size;
    if (cosrel_workload_format(&first, where, &text, &text_size, &error) != COSREL_OK) abort();
    if (text_size <= COSREL_WORKLOAD_FILE_MAX) {
      if (cosrel_workload_parse(text, text_size, where, &second, &error) != COSREL_OK) abort();
      if (cosrel_workload_format(&second, where, &again, &again_size, &error) != COSREL_OK) abort();
      if (text_size != again_size || memcmp(text, again, text_size) != 0) abort();
      free(again);
      cosrel_workload_clear(&second);
    }
    free(text);
  } else if (strncmp(error.text, "input: ", 7) != 0 || strchr(error.text, '\n') != NULL) {
    abort();
  }
  cosrel_workload_clear(&first);
  cosrel_recording_clear(&recording);
  return 0;
}
