/* What the streams of a workload execute: their networks, each opened once, and their inputs. */
#ifndef COSREL_BACKENDS_RUNTIME_SOURCES_H
#define COSREL_BACKENDS_RUNTIME_SOURCES_H

#include "backends/network.h"
#include "sched/workload.h"

#define COSREL_INPUTS_MAX 16 /* of a network */

typedef struct cosrel_source {
  uint32_t network;                 /* index into networks */
  float *inputs[COSREL_INPUTS_MAX]; /* [net.n_inputs] owned, row-major fp32; the same for every request */
} cosrel_source;

typedef struct cosrel_sources {
  uint32_t n_networks, n_streams;
  cosrel_network *networks[COSREL_STREAMS_MAX];        /* owned, distinct */
  char names[COSREL_STREAMS_MAX][2 * COSREL_PATH_MAX]; /* of the networks, as cosrel_network_open takes them */
  cosrel_source streams[COSREL_STREAMS_MAX];
} cosrel_sources;

/* Opens the network of every stream (stream->file, else zoo:<model>) and reads its input (stream->input, else uniform
 * noise in [-1, 1) keyed by seed and stream). Paths are relative to the folder of `workload_path`. Two streams whose
 * model has the same name must have the same network. Large (about 40 KB): not for the stack. On failure the error
 * names stream and file, and *out may be passed to clear. */
cosrel_status cosrel_sources_open(const cosrel_workload *workload, const char *workload_path, uint64_t seed,
                                  cosrel_sources *out, cosrel_error *error);
void cosrel_sources_clear(cosrel_sources *sources);

/* Are these the same units, by number and names? `where` begins the error line, which names the first difference. */
cosrel_status cosrel_network_match(const cosrel_network *network, const cosrel_model *model, const char *where,
                                   cosrel_error *error);

#endif
