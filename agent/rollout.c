#include "agent/rollout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rng.h"

cosrel_status cosrel_rollout_create(uint32_t n_steps, uint32_t max_rows, cosrel_rollout *out) {
  size_t rows = (size_t)n_steps * max_rows;
  *out = (cosrel_rollout){.n_steps = n_steps, .max_rows = max_rows};
  out->steps = calloc(n_steps, sizeof *out->steps);
  out->contexts = calloc((size_t)n_steps * COSREL_CONTEXT_SIZE, sizeof(float));
  out->rows = calloc(rows * COSREL_ROW_SIZE, sizeof(float));
  out->offered = calloc(rows, 1);
  out->observation.choices = calloc(max_rows, sizeof(cosrel_row_choice));
  out->spare_rows = calloc((size_t)max_rows * COSREL_ROW_SIZE, sizeof(float));
  out->logits = calloc((size_t)max_rows * COSREL_RUN_LENGTHS, sizeof(float));
  if (out->steps && out->contexts && out->rows && out->offered && out->observation.choices && out->spare_rows &&
      out->logits)
    return COSREL_OK;
  cosrel_rollout_destroy(out);
  return COSREL_NOMEM;
}

void cosrel_rollout_destroy(cosrel_rollout *rollout) {
  free(rollout->steps);
  free(rollout->contexts);
  free(rollout->rows);
  free(rollout->offered);
  free(rollout->observation.choices);
  free(rollout->spare_rows);
  free(rollout->logits);
  memset(rollout, 0, sizeof *rollout);
}

/* Draws a choice from softmax(logits) and returns its log-probability. */
static float sample(const float *logits, uint32_t n, double uniform, uint32_t *choice) {
  float top = -INFINITY;
  double sum = 0, below = 0;
  for (uint32_t i = 0; i < n; i++) top = logits[i] > top ? logits[i] : top;
  for (uint32_t i = 0; i < n; i++) sum += exp((double)(logits[i] - top));
  for (uint32_t i = 0; i < n; i++) {
    if (logits[i] == -INFINITY) continue;
    *choice = i; /* the last offered one, should rounding run past the end */
    below += exp((double)(logits[i] - top)) / sum;
    if (uniform < below) break;
  }
  return (float)((double)(logits[*choice] - top) - log(sum));
}

cosrel_status cosrel_rollout_fill(cosrel_rollout *rollout, cosrel_env *env, const cosrel_mlp *net,
                                  const cosrel_normaliser *normaliser, uint64_t key) {
  cosrel_observation *o = &rollout->observation;
  double reward, dt_ns;
  bool cut;
  uint32_t used = 0;
  o->rows = rollout->rows;
  cosrel_status status = cosrel_env_advance(env, o, &reward, &dt_ns, &cut);
  for (uint32_t t = 0; t < rollout->n_steps && status == COSREL_OK; t++) {
    cosrel_experience *step = &rollout->steps[t];
    uint32_t choice = 0;
    cosrel_mlp_normalise(normaliser, o);
    cosrel_mlp_logits(net, o, rollout->logits);
    double uniform = cosrel_rng_uniform(cosrel_rng_key(key, t));
    *step = (cosrel_experience){.first_row = used, .n_rows = o->n_rows};
    step->log_probability = sample(rollout->logits, o->n_rows * COSREL_RUN_LENGTHS, uniform, &choice);
    step->row = (uint16_t)(choice / COSREL_RUN_LENGTHS), step->length = (uint16_t)(choice % COSREL_RUN_LENGTHS);
    step->value = cosrel_mlp_value(net, o->context);
    memcpy(&rollout->contexts[t * COSREL_CONTEXT_SIZE], o->context, sizeof o->context);
    for (uint32_t r = 0; r < o->n_rows; r++) {
      rollout->offered[used + r] = o->choices[r].is_base ? COSREL_OFFERED_BASE : 0;
      for (int k = 0; k < COSREL_RUN_LENGTHS; k++)
        rollout->offered[used + r] |= (uint8_t)(cosrel_choice_offered(&o->choices[r], k) << k);
    }
    used += o->n_rows;

    cosrel_candidate candidate = cosrel_observation_candidate(o, step->row, step->length);
    status = cosrel_env_decide(env, &candidate);
    if (status != COSREL_OK) break;
    bool last = t + 1 == rollout->n_steps;
    o->rows = last ? rollout->spare_rows : &rollout->rows[(size_t)used * COSREL_ROW_SIZE];
    status = cosrel_env_advance(env, o, &reward, &dt_ns, &cut);
    if (status != COSREL_OK) break;
    step->reward = (float)reward;
    step->discount = (float)exp(-dt_ns / env->tau_ns);
    step->cut = cut;
    if (cut || last) {
      cosrel_mlp_normalise(normaliser, o);
      step->next_value = cosrel_mlp_value(net, o->context);
    }
    if (cut) {
      status = cosrel_env_next_episode(env);
      if (status == COSREL_OK && !last) status = cosrel_env_advance(env, o, &reward, &dt_ns, &cut);
    }
  }
  return status;
}

void cosrel_gae(cosrel_experience *steps, uint32_t n_steps, float lambda) {
  float next_advantage = 0;
  for (uint32_t t = n_steps; t-- > 0;) {
    cosrel_experience *e = &steps[t];
    bool bootstrap = e->cut || t + 1 == n_steps;
    float next_value = bootstrap ? e->next_value : steps[t + 1].value;
    float delta = e->reward + e->discount * next_value - e->value;
    e->advantage = delta + (bootstrap ? 0 : e->discount * lambda * next_advantage);
    e->target = e->advantage + e->value;
    next_advantage = e->advantage;
  }
}
