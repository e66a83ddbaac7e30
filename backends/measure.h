/* Measures what the units of a network take on one open processor, by running them on the caller's thread, which the
 * backend may bind to its cores for good.
 *
 * A round runs all that one segment from unit 0 can hold as one segment, then the network unit by unit, each as a
 * segment of its own, then shorter prefixes. Rounds are repeated, so that a slow moment of the machine hits all figures
 * alike; whoever measures several networks takes a round of each in turn, so that each starts with caches that hold the
 * others, as in a run. What begins with unit 0 includes putting the inputs into host memory, which a run counts with
 * the first segment of a request. Every unit reads what the units before it made, so values (denormals, zeros) are as
 * in earnest.
 * Not thread-safe: nothing else may use the processor meanwhile. */
#ifndef COSREL_BACKENDS_MEASURE_H
#define COSREL_BACKENDS_MEASURE_H

#include "backends/machine.h"

#define COSREL_PREFIXES_MAX 16

/* A model to be measured. */
typedef struct cosrel_profiled_model {
  const char *name;           /* borrowed */
  uint32_t network;           /* index into machine->networks; several models may share one */
  const float *const *inputs; /* [net.n_inputs], as for cosrel_network_put_inputs */
} cosrel_profiled_model;

/* Mean and relative standard deviation of the samples that are no outliers, that is, not more than 5 robust standard
 * deviations (1.4826 times the median distance from the median), and not more than 5 %, above the median. The mean, not
 * the median, because means add up over the units of a segment; outliers are what another program does. */
typedef struct cosrel_measured {
  double ns, cv;
} cosrel_measured;

/* Of n >= 1 samples in ns, which get sorted. */
cosrel_measured cosrel_measured_of(double *samples, uint32_t n);

typedef struct cosrel_measurement {
  uint32_t n_units, n_prefixes, rounds; /* rounds: how many were counted */
  uint64_t *weight_bytes;               /* [n_units] owned; prepared; NULL: the backend does not say */
  cosrel_measured *units;               /* [n_units] owned; as a segment of its own; ns < 0: the processor cannot */
  uint16_t ends[COSREL_PREFIXES_MAX];   /* 1, 2, 4, ..., and the end of what can run in one segment from 0 */
  cosrel_measured prefixes[COSREL_PREFIXES_MAX]; /* the last one: all that one segment from 0 can hold */
  /* What submitting a segment costs, >= 0: the n that best explains prefix = sum of units - (end - 1) * n. */
  double submit_ns;
} cosrel_measurement;

/* One network on one processor, with memory for one request. */
typedef struct cosrel_bench cosrel_bench;

/* Room for `rounds` >= 1 rounds. Machine and model are borrowed. The line of a failure begins with the processor's
 * name. */
cosrel_status cosrel_bench_create(const cosrel_machine *machine, uint32_t p, const cosrel_profiled_model *model,
                                  uint32_t rounds, cosrel_bench **out, cosrel_error *error);
void cosrel_bench_destroy(cosrel_bench *bench); /* NULL is fine */
/* The first round warms up and is not counted; rounds beyond the room are not made. */
cosrel_status cosrel_bench_round(cosrel_bench *bench, cosrel_error *error);
/* After at least two rounds. Free with cosrel_measurement_clear; on failure *out owns nothing. */
cosrel_status cosrel_bench_result(const cosrel_bench *bench, cosrel_measurement *out, cosrel_error *error);
void cosrel_measurement_clear(cosrel_measurement *measurement);

/* Makes the units what the scheduler adds up: without submitting (submit_ns), then scaled, all means by one factor and
 * all spreads by another, so that the units of the longest prefix have its mean and, as if they varied independently,
 * its variance. The simulator draws one noise per segment from the sum of variances (backends/sim/sim.c), while real
 * units mostly vary together: without this, segments of many units would vary too little. */
void cosrel_measurement_settle(cosrel_measurement *measurement, double submit_ns);

/* Makes units [begin, ...) ready to be run again and again by cosrel_bench_run: runs those before them. */
cosrel_status cosrel_bench_prepare(cosrel_bench *bench, uint32_t begin);
/* Runs [begin, end) once; from 0 on it puts the inputs in first, since memory is shared between tensors. */
cosrel_status cosrel_bench_run(cosrel_bench *bench, uint32_t begin, uint32_t end);

/* Moving a tensor of b bytes between host memory and a processor's own takes latency_ns + b * ns_per_byte: the line
 * through several sizes by least squares of relative errors. All 0 for a processor that works in host memory. */
typedef struct cosrel_measured_link {
  double latency_ns, ns_per_byte;
} cosrel_measured_link;
/* Making the weights of a network of b bytes, as prepared, resident takes latency_ns + b * ns_per_byte: the same line
 * through the networks of the machine, each prepared on p once more beside itself, several times. */
cosrel_status cosrel_measure_load(const cosrel_machine *machine, uint32_t p, cosrel_measured_link *out,
                                  cosrel_error *error);

cosrel_status cosrel_measure_link(cosrel_backend *backend, cosrel_measured_link *to, cosrel_measured_link *from,
                                  cosrel_error *error);

#endif
