/* Measures how much two processors slow each other, for the kappa of the rate equation (sched/state.h). */
#ifndef COSREL_BACKENDS_CONTENTION_H
#define COSREL_BACKENDS_CONTENTION_H

#include "backends/measure.h"

/* A segment to be run again and again. beta: its memory-bound share; ns: about how long it takes. */
typedef struct cosrel_load {
  cosrel_bench *bench;
  uint32_t begin, end;
  double beta, ns;
} cosrel_load;

#define COSREL_LOADS_MAX 3 /* of a processor: the most and the least memory-bound segment, and the longest */

/* Runs each of a[n_a] on processor p alone, each of b[n_b] on q alone, and the two at once, for `time` in all. Then
 * kappa[p][q] is what best explains slowdown = 1 + kappa beta_a beta_b over all pairs, by least squares, and
 * kappa[q][p] likewise; both are in 0..100. Both processors must be free. The benches must have made a round. */
cosrel_status cosrel_measure_contention(const cosrel_machine *machine, uint32_t p, const cosrel_load *a, uint32_t n_a,
                                        uint32_t q, const cosrel_load *b, uint32_t n_b, cosrel_time time,
                                        double *kappa_p, double *kappa_q, cosrel_error *error);

#endif
