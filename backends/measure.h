/* Measures what the units of a network take on one open processor, by running them on the caller's thread, which the
 * backend may bind to its cores for good.
 *
 * One round runs the network unit by unit, each as a segment of its own, and then whole prefixes [0, end) as one
 * segment each. Rounds are repeated, so that a slow moment of the machine hits all figures alike, and medians are
 * taken. Every unit reads what the units before it made, so values (denormals, zeros) are as in earnest. Not
 * thread-safe: nothing else may use the processor meanwhile. */
#ifndef COSREL_BACKENDS_MEASURE_H
#define COSREL_BACKENDS_MEASURE_H

#include "backends/backend.h"

#define COSREL_PREFIXES_MAX 16

typedef struct cosrel_measure_config {
  uint32_t rounds;    /* at least 1; one more comes first and is not counted */
  cosrel_time time;   /* no new round begins after this, but one is made in any case; 0: no limit */
  bool (*stop)(void); /* optional: asked between rounds; ends the measurement with COSREL_INTERRUPTED */
} cosrel_measure_config;

/* The median and a robust relative spread: (third - first quartile) / 1.349 / median. */
typedef struct cosrel_measured {
  double ns, cv;
} cosrel_measured;

typedef struct cosrel_measurement {
  uint32_t n_units, n_prefixes, rounds; /* rounds: how many were counted */
  cosrel_measured *units;               /* [n_units] owned; as a segment of its own; ns < 0: the processor cannot */
  uint16_t ends[COSREL_PREFIXES_MAX];   /* 1, 2, 4, ..., and the end of what can run in one segment from 0 */
  cosrel_measured prefixes[COSREL_PREFIXES_MAX];
  /* What a segment pays beside its units, >= 0: the n that best explains prefix = sum of units - (end - 1) * n. */
  double launch_ns;
} cosrel_measurement;

/* `arena` is host memory of network->arena_bytes, and `buffer` one of the processor's, needed when it has memory of its
 * own (else NULL). inputs[net.n_inputs] as for cosrel_network_put_inputs. On failure *out owns nothing. */
cosrel_status cosrel_measure_network(cosrel_backend *backend, cosrel_prepared *prepared, const cosrel_network *network,
                                     void *arena, cosrel_buffer *buffer, const float *const *inputs,
                                     const cosrel_measure_config *config, cosrel_measurement *out, cosrel_error *error);
void cosrel_measurement_clear(cosrel_measurement *measurement);

/* Moving a tensor of b bytes between host memory and a processor's own takes latency_ns + b * ns_per_byte. All 0 for a
 * processor that works in host memory. */
typedef struct cosrel_measured_link {
  double latency_ns, ns_per_byte;
} cosrel_measured_link;
cosrel_status cosrel_measure_link(cosrel_backend *backend, cosrel_measured_link *to, cosrel_measured_link *from,
                                  cosrel_error *error);

#endif
