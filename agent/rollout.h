/* Experience: what the agent saw, chose and earned in every environment of one iteration. */
#ifndef COSREL_AGENT_ROLLOUT_H
#define COSREL_AGENT_ROLLOUT_H

#include "agent/env.h"
#include "agent/mlp.h"

typedef struct cosrel_experience {
  uint32_t first_row, n_rows; /* its rows in cosrel_rollout.rows */
  uint16_t row, length;       /* the choice */
  uint8_t cut;                /* the episode was cut after this step */
  float log_probability, value, reward;
  float discount;          /* exp(-dt / tau) of the interval after it */
  float next_value;        /* value of the state after it, when cut or last */
  float advantage, target; /* filled by cosrel_gae */
} cosrel_experience;

#define COSREL_OFFERED_BASE 0x80 /* the base heuristic's row */

/* One environment's steps. Owned arrays. */
typedef struct cosrel_rollout {
  uint32_t n_steps, max_rows;
  cosrel_experience *steps;       /* [n_steps] */
  float *contexts;                /* [n_steps][COSREL_CONTEXT_SIZE], normalised */
  float *rows;                    /* [n_steps * max_rows][COSREL_ROW_SIZE], normalised */
  uint8_t *offered;               /* [n_steps * max_rows], bit k: run length k is offered; bit 7: base */
  cosrel_observation observation; /* scratch; its choices are owned, its rows point into `rows` */
  float *spare_rows, *logits;     /* scratch [max_rows][...] */
} cosrel_rollout;

cosrel_status cosrel_rollout_create(uint32_t n_steps, uint32_t max_rows, cosrel_rollout *out);
void cosrel_rollout_destroy(cosrel_rollout *rollout);

/* Plays n_steps decisions of `env` by sampling from the policy. Draws are keyed by `key` and the step. */
cosrel_status cosrel_rollout_fill(cosrel_rollout *rollout, cosrel_env *env, const cosrel_mlp *net,
                                  const cosrel_normaliser *normaliser, uint64_t key);

/* Generalised advantage estimation (Schulman et al., ICLR 2016) with a discount of its own for every step, since
 * decisions are not equally far apart in time:
 *   delta_t = r_t + g_t V_{t+1} - V_t;  A_t = delta_t + g_t lambda A_{t+1} (not across a cut);  target_t = A_t + V_t */
void cosrel_gae(cosrel_experience *steps, uint32_t n_steps, float lambda);

#endif
