#include "agent/experience.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rng.h"

static const uint32_t one_in = 4; /* neighbouring decisions teach much the same, and a lesson costs as much as 30 */
/* Of each lesson are tried the base heuristic's choice, the network's favourites, and some others drawn. */
enum { FAVOURITES = 4, OTHERS = 2 };
enum { DRAW_LESSON, DRAW_CHOICE, DRAW_OTHERS, DRAWS };

cosrel_status cosrel_experience_create(uint32_t n_lessons, uint32_t max_rows, size_t state_size,
                                       cosrel_experience *out) {
  size_t rows = (size_t)n_lessons * max_rows;
  *out = (cosrel_experience){.n_lessons = n_lessons, .max_rows = max_rows};
  out->lessons = calloc(n_lessons, sizeof *out->lessons);
  out->contexts = calloc((size_t)n_lessons * COSREL_CONTEXT_SIZE, sizeof(float));
  out->rows = calloc(rows * COSREL_ROW_SIZE, sizeof(float));
  out->values = calloc(rows * COSREL_RUN_LENGTHS, sizeof(float));
  out->tried = calloc(rows, 1);
  out->observation.rows = calloc((size_t)max_rows * COSREL_ROW_SIZE, sizeof(float));
  out->observation.choices = calloc(max_rows, sizeof(cosrel_row_choice));
  out->logits = calloc((size_t)max_rows * COSREL_RUN_LENGTHS, sizeof(float));
  out->chosen = calloc((size_t)max_rows * COSREL_RUN_LENGTHS, sizeof(bool));
  out->scratch = malloc(state_size);
  if (out->lessons && out->contexts && out->rows && out->values && out->tried && out->observation.rows &&
      out->observation.choices && out->logits && out->chosen && out->scratch)
    return COSREL_OK;
  cosrel_experience_destroy(out);
  return COSREL_NOMEM;
}

void cosrel_experience_destroy(cosrel_experience *experience) {
  free(experience->lessons);
  free(experience->contexts);
  free(experience->rows);
  free(experience->values);
  free(experience->tried);
  free(experience->observation.rows);
  free(experience->observation.choices);
  free(experience->logits);
  free(experience->chosen);
  free(experience->scratch);
  memset(experience, 0, sizeof *experience);
}

/* Draws a choice from softmax(logits). */
static uint32_t sample(const float *logits, uint32_t n, double uniform) {
  float top = -INFINITY;
  double sum = 0, below = 0;
  uint32_t choice = 0;
  for (uint32_t i = 0; i < n; i++) top = logits[i] > top ? logits[i] : top;
  for (uint32_t i = 0; i < n; i++) sum += exp((double)(logits[i] - top));
  for (uint32_t i = 0; i < n; i++) {
    if (logits[i] == -INFINITY) continue;
    choice = i; /* the last offered one, should rounding run past the end */
    below += exp((double)(logits[i] - top)) / sum;
    if (uniform < below) break;
  }
  return choice;
}

/* Adds what the streams of an environment have earned so far, times `sign`. */
static void count(cosrel_experience *e, const cosrel_env *env, double sign) {
  for (uint32_t s = 0; s < env->c.n_streams; s++) {
    const cosrel_stream_state *stream = &env->engine.state->streams[s];
    e->utility += sign * stream->utility;
    e->ended += sign * (double)(stream->completed + stream->dropped);
  }
}

/* Chooses what to try. */
static void choose(cosrel_experience *e, uint64_t key) {
  const cosrel_observation *o = &e->observation;
  uint32_t n = o->n_rows * COSREL_RUN_LENGTHS, left = o->n_choices;
  for (uint32_t i = 0; i < n; i++) {
    bool base = o->choices[i / COSREL_RUN_LENGTHS].is_base && i % COSREL_RUN_LENGTHS == COSREL_RUN_LENGTHS - 1;
    e->chosen[i] = base && e->logits[i] > -INFINITY;
    left -= e->chosen[i];
  }
  for (int k = 0; k < FAVOURITES && left > 0; k++, left--) {
    uint32_t best = n;
    for (uint32_t i = 0; i < n; i++)
      if (!e->chosen[i] && e->logits[i] > -INFINITY && (best == n || e->logits[i] > e->logits[best])) best = i;
    e->chosen[best] = true;
  }
  for (uint64_t k = 0; k < OTHERS && left > 0; k++, left--) {
    uint32_t skip = cosrel_rng_below(cosrel_rng_key(key, k), left), i = 0;
    while (e->chosen[i] || e->logits[i] == -INFINITY || skip-- > 0) i++;
    e->chosen[i] = true;
  }
}

/* Keeps what is seen as lesson i, its rows from `row` on; returns the rows used so far. */
static uint32_t keep(cosrel_experience *e, uint32_t i, uint32_t row) {
  const cosrel_observation *o = &e->observation;
  e->lessons[i] = (cosrel_lesson){.first_row = row, .n_rows = o->n_rows};
  memcpy(&e->contexts[(size_t)i * COSREL_CONTEXT_SIZE], o->context, sizeof o->context);
  memcpy(&e->rows[(size_t)row * COSREL_ROW_SIZE], o->rows, (size_t)o->n_rows * COSREL_ROW_SIZE * sizeof(float));
  for (uint32_t r = 0; r < o->n_rows; r++) {
    e->tried[row + r] = o->choices[r].is_base ? COSREL_TRIED_BASE : 0;
    for (int k = 0; k < COSREL_RUN_LENGTHS; k++)
      e->tried[row + r] |= (uint8_t)(e->chosen[r * COSREL_RUN_LENGTHS + (uint32_t)k] << k);
  }
  return row + o->n_rows;
}

cosrel_status cosrel_experience_fill(cosrel_experience *e, cosrel_env *env, const cosrel_mlp *net,
                                     const cosrel_normaliser *normaliser, const cosrel_taste *taste, uint64_t key) {
  cosrel_observation *o = &e->observation;
  uint32_t n = 0, row = 0;
  e->utility = e->ended = 0;
  for (uint64_t t = 0; n < e->n_lessons; t++) {
    bool cut;
    cosrel_status status = cosrel_env_advance(env, o, &cut);
    if (t == 0) count(e, env, -1); /* here, where a restored episode goes on */
    if (status == COSREL_OK && cut) {
      count(e, env, 1);
      status = cosrel_env_next_episode(env);
      if (status == COSREL_OK) continue;
    }
    if (status != COSREL_OK) return status;
    cosrel_mlp_normalise(normaliser, o);
    cosrel_mlp_logits(net, o, e->logits);
    if (cosrel_rng_below(cosrel_rng_key(key, DRAWS * t + DRAW_LESSON), one_in) == 0) {
      choose(e, cosrel_rng_key(key, DRAWS * t + DRAW_OTHERS));
      if (taste != NULL)
        cosrel_branch_values(&env->c, env->engine.state, &env->memory.objective, taste, o, e->chosen, e->scratch,
                             &e->values[(size_t)row * COSREL_RUN_LENGTHS]);
      row = keep(e, n++, row);
    }
    uint32_t choice = sample(e->logits, o->n_rows * COSREL_RUN_LENGTHS,
                             cosrel_rng_uniform(cosrel_rng_key(key, DRAWS * t + DRAW_CHOICE)));
    cosrel_candidate candidate =
        cosrel_observation_candidate(o, choice / COSREL_RUN_LENGTHS, choice % COSREL_RUN_LENGTHS);
    status = cosrel_env_decide(env, &candidate);
    if (status != COSREL_OK) return status;
  }
  count(e, env, 1);
  return COSREL_OK;
}
