/* How a measured whole-model time is shared out over the model's units.
 *
 * The weight of a unit adds up computing, memory traffic and a fixed overhead:
 *
 *     weight = macs * mac[kind] * speed + bytes * byte[kind] + overhead
 *
 * (The roofline of Williams, Waterman, Patterson, CACM 52(4), 2009, takes the larger of the first two. On the measured
 * blocks that we have the sum is closer: mobile runtimes hide little of one behind the other.) Weights are
 * counted in multiply-accumulates of a plain convolution in fp32, so that it holds for every device of that sort;
 * weights are then scaled until they add up to what was measured. It does not know about caches, fusion across units or
 * kernels chosen by shape: traces/figures/README.md says how far off it is. */
#ifndef COSREL_TRACES_APPORTION_H
#define COSREL_TRACES_APPORTION_H

#include "sched/model.h"
#include "traces/csv.h"

/* Cost of one MAC and of one byte in a unit of each kind, and of starting any unit. */
typedef struct cosrel_rates {
  double mac[COSREL_KIND_COUNT], byte[COSREL_KIND_COUNT];
  double overhead;
} cosrel_rates;

/* Takes a processor's rates ("cpu", "gpu") from the table of fits, traces/figures/efficiency.csv: per kind the board
 * with the smallest relative standard error, relative to convolutions on that board. Kinds without a fit: a dense layer
 * counts as conv1x1, other ones as elementwise. overhead is the mean of the fitted ones over MAC kinds; on a gpu it is
 * 0, because there the tables only hold the time of a synchronisation. */
cosrel_status cosrel_rates_read(const cosrel_csv *efficiency, const char *processor, cosrel_rates *out,
                                cosrel_error *error);

/* The weight. `speed`: time of a MAC over that of one in fp32; `width`: bytes per element. *beta (may be NULL) gets the
 * share of memory traffic in it, 0..1. */
double cosrel_unit_weight(const cosrel_unit *unit, const cosrel_rates *rates, double speed, double width, double *beta);

#endif
