/* What becomes of the outputs of completed requests: compared with the reference executor's, and the last ones kept. */
#ifndef COSREL_BACKENDS_RUNTIME_OUTPUTS_H
#define COSREL_BACKENDS_RUNTIME_OUTPUTS_H

#include "backends/runtime/runtime.h"
#include "backends/runtime/sources.h"

/* fp32 sums in another order: an element may differ by this share of the largest magnitude of its tensor. */
#define COSREL_VERIFY_TOLERANCE 1e-4

typedef struct cosrel_outputs cosrel_outputs;

/* `verify`: computes what every stream's input must give, with the reference executor, now. Sources and workload are
 * borrowed. */
cosrel_status cosrel_outputs_create(const cosrel_workload *workload, const cosrel_sources *sources, bool verify,
                                    cosrel_outputs **out, cosrel_error *error);
void cosrel_outputs_destroy(cosrel_outputs *outputs);

/* For the runtime's config: io[s].output and io[s].self. An output that differs ends the run with a line naming stream,
 * request, output, index and both values. */
void cosrel_outputs_listen(cosrel_outputs *outputs, cosrel_stream_io *io);

/* Requests whose outputs were compared. */
uint64_t cosrel_outputs_compared(const cosrel_outputs *outputs);

/* Writes the last outputs of each stream that completed a request as FOLDER/<stream>.npy, with -<output> behind the
 * stream where there are several. Makes the folder. Characters other than letters, digits, '.', '-' and '_' become '_'.
 */
cosrel_status cosrel_outputs_write(const cosrel_outputs *outputs, const char *folder, cosrel_error *error);

#endif
