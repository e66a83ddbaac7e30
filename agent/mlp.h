/* The agent's network: one MLP that scores every choice. Weights only; see mlp.c for the equations. Tensors are
 * [in][out], so that the inner loop runs over outputs and vectorises without reordering sums. */
#ifndef COSREL_AGENT_MLP_H
#define COSREL_AGENT_MLP_H

#include <stddef.h>
#include <stdint.h>

#include "sched/observe.h"

/* Added to the logit of the base heuristic's choice: the agent starts near it and learns where to depart. */
#define COSREL_BASE_LOGIT 4.0f

enum { COSREL_HIDDEN1 = 64, COSREL_HIDDEN2 = 32 };

/* name, rows (inputs), columns (outputs) */
#define COSREL_MLP_TENSORS(X)                            \
  X(policy_row, COSREL_ROW_SIZE, COSREL_HIDDEN1)         \
  X(policy_context, COSREL_CONTEXT_SIZE, COSREL_HIDDEN1) \
  X(policy_bias1, 1, COSREL_HIDDEN1)                     \
  X(policy_hidden, COSREL_HIDDEN1, COSREL_HIDDEN2)       \
  X(policy_bias2, 1, COSREL_HIDDEN2)                     \
  X(policy_out, COSREL_HIDDEN2, COSREL_RUN_LENGTHS)      \
  X(policy_bias3, 1, COSREL_RUN_LENGTHS)

/* Plain data, so one struct serves as weights, gradients and Adam moments, and each is one flat array of floats. */
typedef struct cosrel_mlp {
#define X(name, rows, columns) float name[(rows) * (columns)];
  COSREL_MLP_TENSORS(X)
#undef X
} cosrel_mlp;

enum { COSREL_MLP_SIZE = sizeof(cosrel_mlp) / sizeof(float) };

/* Shifts and scales features: (x - mean) * scale. Fixed before training starts. */
typedef struct cosrel_normaliser {
  float row_mean[COSREL_ROW_SIZE], row_scale[COSREL_ROW_SIZE];
  float context_mean[COSREL_CONTEXT_SIZE], context_scale[COSREL_CONTEXT_SIZE];
} cosrel_normaliser;

/* Uniform of variance 2 / fan-in (He et al. 2015), the last policy layer a hundredth of that, so that the first policy
 * is almost uniform; biases 0. Keyed by `seed`. */
void cosrel_mlp_init(cosrel_mlp *net, uint64_t seed);

/* Normalises rows and context of an observation in place. The waiting row is left as it is. */
void cosrel_mlp_normalise(const cosrel_normaliser *normaliser, cosrel_observation *o);

/* Logits [n_rows][COSREL_RUN_LENGTHS] of a normalised observation; those of choices that are not offered are -INFINITY,
 * and waiting uses the last run length. Portable C, allocates nothing, thread-safe. */
void cosrel_mlp_logits(const cosrel_mlp *net, const cosrel_observation *o, float *logits);

#endif
