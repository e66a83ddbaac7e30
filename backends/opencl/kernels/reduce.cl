/* Along the middle axis of [outer][n][inner]. */

/* Sums and the like; the numbers are those of backends/opencl/rules_reduce.c. */
enum { SUM, MEAN, MAX, MIN, PROD, L1, L2, SUM_SQUARE, LOG_SUM };

float begin(int kind) { return kind == MAX ? -INFINITY : kind == MIN ? INFINITY : kind == PROD ? 1.0f : 0.0f; }

#define REDUCE(T, I, N)                                         \
  T join##N(T s, T v, int kind) { /* of two partial results */  \
    switch (kind) {                                             \
      case MAX: return select(s, v, (I)(v > s || isnan(v)));    \
      case MIN: return select(s, v, (I)(v < s || isnan(v)));    \
      case PROD: return s * v;                                  \
      default: return s + v;                                    \
    }                                                           \
  }                                                             \
  T element##N(T v, int kind) {                                 \
    return kind == L1 ? fabs(v) : kind == L2 || kind == SUM_SQUARE ? v * v : v; \
  }                                                             \
  T finish##N(T s, int kind, int n) {                           \
    return kind == MEAN ? s / (float)n : kind == L2 ? sqrt(s) : kind == LOG_SUM ? log(s) : s; \
  }
REDUCE(float, int, 1)
REDUCE(float8, int8, 8)

/* inner > 1: 8 of its elements a work-item. Global ids: inner / 8, outer. */
__kernel void reduce_columns(__global const float *x, int x_at, __global float *y, int y_at, int kind, int outer, int n,
                             int inner) {
  int j = get_global_id(0) * 8, i = get_global_id(1);
  if (j >= inner || i >= outer) return;
  x += x_at + i * n * inner + j;
  y += y_at + i * inner + j;
  if (j + 8 <= inner) {
    float8 s = (float8)(begin(kind));
    for (int k = 0; k < n; k++) s = join8(s, element8(vload8(0, x + k * inner), kind), kind);
    vstore8(finish8(s, kind, n), 0, y);
  } else {
    for (int l = 0; l < inner - j; l++) {
      float s = begin(kind);
      for (int k = 0; k < n; k++) s = join1(s, element1(x[k * inner + l], kind), kind);
      y[l] = finish1(s, kind, n);
    }
  }
}

#define GROUP 32

/* What all work-items of a group have found, joined; everybody gets it. */
float join_group(__local float *all, float mine, int kind) {
  int me = get_local_id(0);
  barrier(CLK_LOCAL_MEM_FENCE);
  all[me] = mine;
  barrier(CLK_LOCAL_MEM_FENCE);
  float s = all[0];
  for (int k = 1; k < GROUP; k++) s = join1(s, all[k], kind);
  return s;
}

/* inner = 1: a group of work-items a row. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void reduce_rows(
    __global const float *x, int x_at, __global float *y, int y_at, int kind, int n) {
  __local float all[GROUP];
  int row = get_group_id(0), me = get_local_id(0);
  x += x_at + row * n;
  float s = begin(kind);
  for (int k = me; k < n; k += GROUP) s = join1(s, element1(x[k], kind), kind);
  s = join_group(all, s, kind);
  if (me == 0) y[y_at + row] = finish1(s, kind, n);
}

/* exp(x - m) / sum over the row of exp(x - m), m the row's largest; its logarithm with log_too. A group a row. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void softmax_rows(
    __global const float *x, int x_at, __global float *y, int y_at, int n, int log_too) {
  __local float all[GROUP];
  int row = get_group_id(0), me = get_local_id(0);
  x += x_at + row * n;
  y += y_at + row * n;
  float largest = -INFINITY, sum = 0.0f;
  for (int k = me; k < n; k += GROUP) largest = max(largest, x[k]);
  largest = join_group(all, largest, MAX);
  for (int k = me; k < n; k += GROUP) {
    float e = exp(x[k] - largest);
    y[k] = e;
    sum += e;
  }
  sum = join_group(all, sum, SUM);
  for (int k = me; k < n; k += GROUP) y[k] = log_too ? x[k] - largest - log(sum) : y[k] / sum;
}

/* gain * (x - mean) / sqrt(variance + epsilon) + bias, both taken over the row. A group a row. */
__kernel __attribute__((reqd_work_group_size(GROUP, 1, 1))) void layer_norm(
    __global const float *x, int x_at, __global float *y, int y_at, __global const float *gain, int gain_at,
    __global const float *bias, int bias_at, int n, float epsilon) {
  __local float all[GROUP];
  int row = get_group_id(0), me = get_local_id(0);
  float sum = 0.0f, squares = 0.0f;
  x += x_at + row * n;
  y += y_at + row * n;
  for (int k = me; k < n; k += GROUP) sum += x[k];
  float mean = join_group(all, sum, SUM) / (float)n;
  for (int k = me; k < n; k += GROUP) squares += (x[k] - mean) * (x[k] - mean);
  float factor = rsqrt(join_group(all, squares, SUM) / (float)n + epsilon);
  for (int k = me; k < n; k += GROUP) y[k] = (x[k] - mean) * factor * gain[gain_at + k] + bias[bias_at + k];
}

/* The same with inner > 1: a work-item a line. Global ids: inner, outer. */
__kernel void softmax_lines(__global const float *x, int x_at, __global float *y, int y_at, int outer, int n, int inner,
                            int log_too) {
  int j = get_global_id(0), i = get_global_id(1);
  if (j >= inner || i >= outer) return;
  x += x_at + i * n * inner + j;
  y += y_at + i * n * inner + j;
  float largest = -INFINITY, sum = 0.0f;
  for (int k = 0; k < n; k++) largest = max(largest, x[k * inner]);
  for (int k = 0; k < n; k++) {
    float e = exp(x[k * inner] - largest);
    y[k * inner] = e;
    sum += e;
  }
  for (int k = 0; k < n; k++) y[k * inner] = log_too ? x[k * inner] - largest - log(sum) : y[k * inner] / sum;
}
