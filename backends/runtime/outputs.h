/* What becomes of the outputs of completed requests: compared with the reference executor's, and the last ones kept. */
#ifndef COSREL_BACKENDS_RUNTIME_OUTPUTS_H
#define COSREL_BACKENDS_RUNTIME_OUTPUTS_H

#include "backends/runtime/runtime.h"
#include "backends/runtime/sources.h"

/* An element may differ by this share of the largest magnitude of its tensor: fp32 sums are in another order; and where
 * a stream runs units in fp16, each weight is off by up to 2^-11 of itself (products and inputs, too, where the device
 * has cl_khr_fp16), so that a layer's result is off by some 2^-11, and over the tens of layers of a network some ten
 * times that, at worst. */
#define COSREL_VERIFY_TOLERANCE 1e-4
#define COSREL_VERIFY_TOLERANCE_FP16 2e-2

typedef struct cosrel_outputs cosrel_outputs;

/* `verify`: computes what every stream's input must give, with the reference executor, now. Sources and workload are
 * borrowed. */
cosrel_status cosrel_outputs_create(const cosrel_workload *workload, const cosrel_sources *sources, bool verify,
                                    cosrel_outputs **out, cosrel_error *error);
void cosrel_outputs_destroy(cosrel_outputs *outputs);

/* Streams that `c` has any unit compute in fp16 are held against the tolerance of fp16; without it, all are held
 * against that of fp32. */
void cosrel_outputs_expect(cosrel_outputs *outputs, const cosrel_case *c);

/* For the runtime's config: io[s].output and io[s].self. An output that differs ends the run with a line naming stream,
 * request, output, index and both values. */
void cosrel_outputs_listen(cosrel_outputs *outputs, cosrel_stream_io *io);

/* Requests whose outputs were compared; of a stream, the tolerance, and the furthest that an element was off so far, as
 * shares of the largest magnitude of its tensor. */
uint64_t cosrel_outputs_compared(const cosrel_outputs *outputs);
double cosrel_outputs_tolerance(const cosrel_outputs *outputs, uint32_t stream);
double cosrel_outputs_furthest(const cosrel_outputs *outputs, uint32_t stream);

/* Writes the last outputs of each stream that completed a request as FOLDER/<stream>.npy, with -<output> behind the
 * stream where there are several. Makes the folder. Characters other than letters, digits, '.', '-' and '_' become '_'.
 */
cosrel_status cosrel_outputs_write(const cosrel_outputs *outputs, const char *folder, cosrel_error *error);

#endif
