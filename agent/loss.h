/* What the network learns from the values of choices (agent/branch.h), and the gradient, batched over a few decisions.
 *
 *   L = sum over decisions of  - sum over choices a of pi(a) A(a)  - entropy_weight H(pi),       pi = softmax(logits)
 *
 * A(a) is what the choice was worth against the base heuristic's (agent/branch.h), so - L is what the policy gains over
 * that heuristic; its gradient is the policy gradient (Sutton et al., NIPS 1999) summed over choices instead of
 * sampled, hence without the noise of which one it was. Choices that were not tried are left out of pi. */
#ifndef COSREL_AGENT_LOSS_H
#define COSREL_AGENT_LOSS_H

#include "agent/experience.h"
#include "agent/mlp.h"

/* Sums over decisions; divide by their number for means. */
typedef struct cosrel_loss_sums {
  double gain; /* sum of pi(a) A(a) */
  double most; /* of the largest A(a): what there was to gain, luck included */
  double entropy;
} cosrel_loss_sums;

/* Scratch for one chunk of decisions; one per chunk, so that chunks can run on different threads. */
typedef struct cosrel_loss_scratch cosrel_loss_scratch;
cosrel_status cosrel_loss_scratch_create(uint32_t max_decisions, uint32_t max_rows, cosrel_loss_scratch **out);
void cosrel_loss_scratch_destroy(cosrel_loss_scratch *scratch);

/* A decision of a chunk: where it lies. */
typedef struct cosrel_sample {
  const cosrel_experience *experience;
  uint32_t lesson;
} cosrel_sample;

/* Loss of `n` samples (at most max_decisions). Overwrites `gradient` with dL/dnet, times `scale`. The order of all sums
 * depends on the samples alone. */
void cosrel_loss_gradient(const cosrel_mlp *net, const cosrel_sample *samples, uint32_t n, float entropy_weight,
                          float scale, cosrel_loss_scratch *scratch, cosrel_mlp *gradient, cosrel_loss_sums *sums);

#endif
