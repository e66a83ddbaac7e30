/* Experience: decisions of one environment, what was seen, and what its choices would have led to. */
#ifndef COSREL_AGENT_EXPERIENCE_H
#define COSREL_AGENT_EXPERIENCE_H

#include "agent/branch.h"
#include "agent/env.h"
#include "agent/mlp.h"

typedef struct cosrel_lesson {
  uint32_t first_row, n_rows; /* its rows in cosrel_experience.rows */
} cosrel_lesson;

#define COSREL_TRIED_BASE 0x80 /* the base heuristic's row */

/* One environment's lessons of an iteration. Owned arrays. */
typedef struct cosrel_experience {
  uint32_t n_lessons, max_rows;
  cosrel_lesson *lessons;         /* [n_lessons] */
  float *contexts;                /* [n_lessons][COSREL_CONTEXT_SIZE], normalised */
  float *rows;                    /* [n_lessons * max_rows][COSREL_ROW_SIZE], normalised */
  float *values;                  /* [n_lessons * max_rows][COSREL_RUN_LENGTHS], as agent/branch.h gives them */
  uint8_t *tried;                 /* [n_lessons * max_rows], bit k: run length k was tried; bit 7: base */
  double utility, ended;          /* of the requests that ended meanwhile: sum of their utility, and their number */
  cosrel_observation observation; /* scratch, owned */
  float *logits;                  /* scratch [max_rows][COSREL_RUN_LENGTHS] */
  bool *chosen;                   /* scratch [max_rows][COSREL_RUN_LENGTHS]: what to try of a lesson */
  cosrel_state *scratch;          /* owned */
} cosrel_experience;

/* `state_size`: of the largest case. */
cosrel_status cosrel_experience_create(uint32_t n_lessons, uint32_t max_rows, size_t state_size,
                                       cosrel_experience *out);
void cosrel_experience_destroy(cosrel_experience *experience);

/* Plays `env` by sampling from the policy until n_lessons of its decisions, one in four, are lessons. Of a lesson the
 * base heuristic's choice, the network's favourites and a few others are tried. Draws are keyed by `key` and the
 * decision. `taste` NULL: nothing is branched, values stay 0. */
cosrel_status cosrel_experience_fill(cosrel_experience *experience, cosrel_env *env, const cosrel_mlp *net,
                                     const cosrel_normaliser *normaliser, const cosrel_taste *taste, uint64_t key);

#endif
