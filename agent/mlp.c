/* Forward pass for one decision, in portable C.
 *
 *   base   = context policy_context + bias1            once per decision: [64]
 *   h1(r)  = relu(base + row(r) policy_row)            per row: [64]
 *   h2(r)  = relu(h1(r) policy_hidden + bias2)         [32]
 *   z(r,k) = h2(r) policy_out + bias3                  [3], one logit per run length; COSREL_BASE_LOGIT more for the
 *                                                      base heuristic's choice
 *
 * All run lengths of a (request, processor) pair share one row, and the context enters the first layer once.
 * No batching, no training here: agent/loss.c has the batched passes. */
#include "agent/mlp.h"

#include <math.h>
#include <string.h>

#include "sched/rng.h"

/* y[n] += x[m] W[m][n], the sums in order of the inputs. Four inputs at a time, so that y is loaded and stored a
 * quarter as often; none is skipped for being 0, the branch would cost more than it saves. */
static void accumulate(const float *restrict x, const float *restrict w, float *restrict y, int m, int n) {
  for (; m >= 4; m -= 4, x += 4, w += 4 * n)
    for (int j = 0; j < n; j++)
      y[j] = (((y[j] + x[0] * w[j]) + x[1] * w[n + j]) + x[2] * w[2 * n + j]) + x[3] * w[3 * n + j];
  for (; m > 0; m--, x++, w += n)
    for (int j = 0; j < n; j++) y[j] += x[0] * w[j];
}

/* A NaN stays one, so that it is seen at the end. */
static void relu(float *y, int n) {
  for (int j = 0; j < n; j++) y[j] = y[j] < 0 ? 0 : y[j];
}

static void fill_uniform(float *w, uint32_t n, double bound, uint64_t key) {
  for (uint32_t i = 0; i < n; i++) w[i] = (float)(bound * (2 * cosrel_rng_uniform(cosrel_rng_key(key, i)) - 1));
}

void cosrel_mlp_init(cosrel_mlp *net, uint64_t seed) {
  /* rows and context enter the same layer, so they share its fan-in */
  const double first_fan_in = COSREL_ROW_SIZE + COSREL_CONTEXT_SIZE;
  uint64_t tensor = 0;
#define X(name, rows, columns)                                                                                     \
  {                                                                                                                \
    bool first = net->name == net->policy_row || net->name == net->policy_context;                                 \
    double bound = (rows) == 1 ? 0 : sqrt(6.0 / (first ? first_fan_in : (rows)));                                  \
    if (net->name == net->policy_out) bound *= 0.01;                                                               \
    fill_uniform(net->name, (rows) * (columns), bound, cosrel_rng_key(cosrel_rng_key(seed, 0x6e6574u), tensor++)); \
  }
  COSREL_MLP_TENSORS(X)
#undef X
}

void cosrel_mlp_normalise(const cosrel_normaliser *normaliser, cosrel_observation *o) {
  for (uint32_t r = 0; r < o->n_rows; r++) {
    float *x = &o->rows[r * COSREL_ROW_SIZE];
    if (o->choices[r].action == COSREL_WAIT) continue;
    for (int f = 0; f < COSREL_ROW_SIZE; f++) x[f] = (x[f] - normaliser->row_mean[f]) * normaliser->row_scale[f];
  }
  for (int f = 0; f < COSREL_CONTEXT_SIZE; f++)
    o->context[f] = (o->context[f] - normaliser->context_mean[f]) * normaliser->context_scale[f];
}

void cosrel_mlp_logits(const cosrel_mlp *net, const cosrel_observation *o, float *logits) {
  float base[COSREL_HIDDEN1];
  memcpy(base, net->policy_bias1, sizeof base);
  accumulate(o->context, net->policy_context, base, COSREL_CONTEXT_SIZE, COSREL_HIDDEN1);
  for (uint32_t r = 0; r < o->n_rows; r++) {
    float h1[COSREL_HIDDEN1], h2[COSREL_HIDDEN2], *z = &logits[r * COSREL_RUN_LENGTHS];
    memcpy(h1, base, sizeof h1);
    accumulate(&o->rows[r * COSREL_ROW_SIZE], net->policy_row, h1, COSREL_ROW_SIZE, COSREL_HIDDEN1);
    relu(h1, COSREL_HIDDEN1);
    memcpy(h2, net->policy_bias2, sizeof h2);
    accumulate(h1, net->policy_hidden, h2, COSREL_HIDDEN1, COSREL_HIDDEN2);
    relu(h2, COSREL_HIDDEN2);
    memcpy(z, net->policy_bias3, sizeof net->policy_bias3);
    accumulate(h2, net->policy_out, z, COSREL_HIDDEN2, COSREL_RUN_LENGTHS);
    const cosrel_row_choice *choice = &o->choices[r];
    if (choice->is_base) z[COSREL_RUN_LENGTHS - 1] += COSREL_BASE_LOGIT;
    for (int k = 0; k < COSREL_RUN_LENGTHS; k++)
      if (!cosrel_choice_offered(choice, k)) z[k] = -INFINITY;
  }
}
