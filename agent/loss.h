/* The PPO loss (Schulman et al. 2017) of a few decisions and its gradient, batched over all their rows.
 *
 *   ratio = exp(log pi(a) - log pi_old(a))
 *   L = sum over decisions of  - min(ratio A, clip(ratio, 1 - eps, 1 + eps) A) - entropy_weight H(pi)
 *                              + value_weight / 2 (V - target)^2 */
#ifndef COSREL_AGENT_LOSS_H
#define COSREL_AGENT_LOSS_H

#include "agent/mlp.h"
#include "agent/rollout.h"

typedef struct cosrel_loss_weights {
  float clip, entropy, value;
} cosrel_loss_weights;

/* Sums over decisions; divide by their number for means. */
typedef struct cosrel_loss_sums {
  double policy, value, entropy, kl, clipped;
} cosrel_loss_sums;

/* Scratch for one chunk of decisions; one per chunk, so that chunks can run on different threads. */
typedef struct cosrel_loss_scratch cosrel_loss_scratch;
cosrel_status cosrel_loss_scratch_create(uint32_t max_decisions, uint32_t max_rows, cosrel_loss_scratch **out);
void cosrel_loss_scratch_destroy(cosrel_loss_scratch *scratch);

/* A decision of a chunk: where it lies, and its (already normalised) advantage. */
typedef struct cosrel_sample {
  const cosrel_rollout *rollout;
  uint32_t step;
  float advantage;
} cosrel_sample;

/* Loss of `n` samples (at most max_decisions). Overwrites `gradient` with dL/dnet, times `scale`. The order of all sums
 * depends on the samples alone. */
void cosrel_loss_gradient(const cosrel_mlp *net, const cosrel_sample *samples, uint32_t n,
                          const cosrel_loss_weights *weights, float scale, cosrel_loss_scratch *scratch,
                          cosrel_mlp *gradient, cosrel_loss_sums *sums);

#endif
