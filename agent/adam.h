/* Adam (Kingma and Ba, ICLR 2015) on a flat array, with the gradient first clipped to a global norm.
 *   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w -= rate * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
 * with b1 = 0.9, b2 = 0.999, eps = 1e-5. */
#ifndef COSREL_AGENT_ADAM_H
#define COSREL_AGENT_ADAM_H

#include <stddef.h>
#include <stdint.h>

/* One step, number t from 1. All arrays [n]; `g` is scaled in place when its norm is above max_norm. Returns the norm.
 */
double cosrel_adam_step(float *w, float *m, float *v, float *g, size_t n, uint64_t t, double rate, double max_norm);

#endif
