/* Forward and backward passes of agent/mlp.c over a chunk: D decisions with N rows in all. Shapes are beside each
 * matrix. Every row belongs to one decision; the context enters the first layer once per decision (`base`), and its
 * gradient is the sum over that decision's rows. Matrix products are OpenBLAS sgemm, one BLAS thread per caller. */
#include "agent/loss.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { R = COSREL_ROW_SIZE, C = COSREL_CONTEXT_SIZE, H1 = COSREL_HIDDEN1, H2 = COSREL_HIDDEN2, K = COSREL_RUN_LENGTHS };

struct cosrel_loss_scratch {
  float *block;
  uint32_t *owner;               /* [N] decision of a row */
  float *x, *h1, *h2, *z;        /* [N][R], [N][H1], [N][H2], [N][K] */
  float *dh1, *dh2, *dz;         /* gradients of h1, h2, z */
  float *context, *base, *dbase; /* [D][C], [D][H1], [D][H1] */
};

cosrel_status cosrel_loss_scratch_create(uint32_t max_decisions, uint32_t max_rows, cosrel_loss_scratch **out) {
  size_t d = max_decisions, n = d * max_rows;
  cosrel_loss_scratch *s = calloc(1, sizeof *s);
  *out = s;
  if (s == NULL) return COSREL_NOMEM;
  s->block = calloc(n * (R + 2 * (H1 + H2 + K)) + d * (C + 2 * H1), sizeof(float));
  s->owner = calloc(n, sizeof *s->owner);
  if (s->block == NULL || s->owner == NULL) {
    cosrel_loss_scratch_destroy(s);
    *out = NULL;
    return COSREL_NOMEM;
  }
  float *at = s->block;
#define TAKE(name, size) s->name = at, at += (size)
  TAKE(x, n * R);
  TAKE(h1, n * H1);
  TAKE(h2, n * H2);
  TAKE(z, n * K);
  TAKE(dh1, n * H1);
  TAKE(dh2, n * H2);
  TAKE(dz, n * K);
  TAKE(context, d * C);
  TAKE(base, d * H1);
  TAKE(dbase, d * H1);
#undef TAKE
  return COSREL_OK;
}

void cosrel_loss_scratch_destroy(cosrel_loss_scratch *scratch) {
  if (scratch == NULL) return;
  free(scratch->block);
  free(scratch->owner);
  free(scratch);
}

/* out[n][q] = (add ? out : 0) + a[n][p] w[p][q] */
static void forward(const float *a, const float *w, float *out, uint32_t n, int p, int q, float add) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)n, q, p, 1, a, p, w, q, add, out, q);
}

/* dw[p][q] = a[n][p]^T dout[n][q], times scale */
static void backward_weights(const float *a, const float *dout, float *dw, uint32_t n, int p, int q, float scale) {
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, p, q, (int)n, scale, a, p, dout, q, 0, dw, q);
}

/* da[n][p] = dout[n][q] w[p][q]^T where the relu that made a let it through */
static void backward_relu(const float *dout, const float *w, const float *a, float *da, uint32_t n, int p, int q) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, p, q, 1, dout, q, w, q, 0, da, p);
  for (size_t i = 0; i < (size_t)n * (size_t)p; i++) da[i] = a[i] > 0 ? da[i] : 0;
}

static void fill_rows(const float *bias, float *out, uint32_t n, int q) {
  for (uint32_t i = 0; i < n; i++) memcpy(&out[i * (uint32_t)q], bias, (size_t)q * sizeof *out);
}

static void relu(float *y, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] = y[i] < 0 ? 0 : y[i];
}

static void sum_rows(const float *d, float *out, uint32_t n, int q, float scale) {
  for (int j = 0; j < q; j++) out[j] = 0;
  for (uint32_t i = 0; i < n; i++)
    for (int j = 0; j < q; j++) out[j] += d[i * (uint32_t)q + (uint32_t)j];
  for (int j = 0; j < q; j++) out[j] *= scale;
}

static uint32_t gather(const cosrel_sample *samples, uint32_t n, cosrel_loss_scratch *s) {
  uint32_t rows = 0;
  for (uint32_t d = 0; d < n; d++) {
    const cosrel_experience *e = samples[d].experience;
    const cosrel_lesson *lesson = &e->lessons[samples[d].lesson];
    memcpy(&s->context[d * C], &e->contexts[samples[d].lesson * C], C * sizeof(float));
    memcpy(&s->x[(size_t)rows * R], &e->rows[(size_t)lesson->first_row * R],
           (size_t)lesson->n_rows * R * sizeof(float));
    for (uint32_t r = 0; r < lesson->n_rows; r++) s->owner[rows++] = d;
  }
  return rows;
}

/* Softmax over the choices tried of one decision; gradient of its loss with respect to its logits:
 * dL/dz(a) = - pi(a) (A(a) - mean A) + entropy_weight pi(a) (log pi(a) + H), with the mean over pi. */
static void policy_loss(const cosrel_sample *sample, float entropy_weight, float *z, float *dz,
                        cosrel_loss_sums *sums) {
  const cosrel_experience *e = sample->experience;
  const cosrel_lesson *lesson = &e->lessons[sample->lesson];
  const uint8_t *tried = &e->tried[lesson->first_row];
  const float *value = &e->values[(size_t)lesson->first_row * K];
  uint32_t n = lesson->n_rows * K;
  float top = -INFINITY;
  double sum = 0, entropy = 0, mean = 0, most = -INFINITY;
  for (uint32_t r = 0; r < lesson->n_rows; r++)
    if (tried[r] & COSREL_TRIED_BASE) z[r * K + K - 1] += COSREL_BASE_LOGIT;
  for (uint32_t i = 0; i < n; i++) {
    if (!(tried[i / K] >> (i % K) & 1)) z[i] = -INFINITY;
    top = z[i] > top ? z[i] : top;
  }
  for (uint32_t i = 0; i < n; i++) sum += exp((double)(z[i] - top));
  double log_sum = log(sum);
  for (uint32_t i = 0; i < n; i++) {
    if (z[i] == -INFINITY) continue;
    double log_p = (double)(z[i] - top) - log_sum, p = exp(log_p);
    entropy -= p * log_p;
    mean += p * (double)value[i];
    most = fmax(most, (double)value[i]);
  }
  for (uint32_t i = 0; i < n; i++) {
    dz[i] = 0;
    if (z[i] == -INFINITY) continue;
    double log_p = (double)(z[i] - top) - log_sum, p = exp(log_p);
    dz[i] = (float)(p * (mean - (double)value[i]) + (double)entropy_weight * p * (log_p + entropy));
  }
  sums->gain += mean;
  sums->most += most;
  sums->entropy += entropy;
}

void cosrel_loss_gradient(const cosrel_mlp *net, const cosrel_sample *samples, uint32_t n, float entropy_weight,
                          float scale, cosrel_loss_scratch *s, cosrel_mlp *g, cosrel_loss_sums *sums) {
  uint32_t rows = gather(samples, n, s);
  memset(sums, 0, sizeof *sums);

  fill_rows(net->policy_bias1, s->base, n, H1);
  forward(s->context, net->policy_context, s->base, n, C, H1, 1);
  for (uint32_t i = 0; i < rows; i++) memcpy(&s->h1[i * H1], &s->base[s->owner[i] * H1], H1 * sizeof(float));
  forward(s->x, net->policy_row, s->h1, rows, R, H1, 1);
  relu(s->h1, (size_t)rows * H1);
  fill_rows(net->policy_bias2, s->h2, rows, H2);
  forward(s->h1, net->policy_hidden, s->h2, rows, H1, H2, 1);
  relu(s->h2, (size_t)rows * H2);
  fill_rows(net->policy_bias3, s->z, rows, K);
  forward(s->h2, net->policy_out, s->z, rows, H2, K, 1);

  for (uint32_t d = 0, row = 0; d < n; d++) {
    policy_loss(&samples[d], entropy_weight, &s->z[row * K], &s->dz[row * K], sums);
    row += samples[d].experience->lessons[samples[d].lesson].n_rows;
  }

  backward_weights(s->h2, s->dz, g->policy_out, rows, H2, K, scale);
  sum_rows(s->dz, g->policy_bias3, rows, K, scale);
  backward_relu(s->dz, net->policy_out, s->h2, s->dh2, rows, H2, K);
  backward_weights(s->h1, s->dh2, g->policy_hidden, rows, H1, H2, scale);
  sum_rows(s->dh2, g->policy_bias2, rows, H2, scale);
  backward_relu(s->dh2, net->policy_hidden, s->h1, s->dh1, rows, H1, H2);
  backward_weights(s->x, s->dh1, g->policy_row, rows, R, H1, scale);
  memset(s->dbase, 0, (size_t)n * H1 * sizeof(float));
  for (uint32_t i = 0; i < rows; i++)
    for (int j = 0; j < H1; j++) s->dbase[s->owner[i] * H1 + (uint32_t)j] += s->dh1[i * H1 + (uint32_t)j];
  backward_weights(s->context, s->dbase, g->policy_context, n, C, H1, scale);
  sum_rows(s->dbase, g->policy_bias1, n, H1, scale);
}
