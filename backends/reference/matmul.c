/* Matrix products. Sums are in float, in the order of the inner axis.
 *
 * Gemm    y = alpha * a' b' + beta * c, with a' and b' transposed where told, c broadcast to y
 * MatMul  NumPy's matmul: a vector is a row on the left and a column on the right; leading axes are broadcast */
#include "backends/reference/call.h"
#include "backends/reference/families.h"

/* Elements lie row * i + column * j behind the first. */
typedef struct matrix {
  const float *data;
  int64_t row, column;
} matrix;

/* y [rows, columns] = a [rows, depth] * b [depth, columns], y dense. */
static void multiply(int64_t rows, int64_t columns, int64_t depth, matrix a, matrix b, float *y) {
  for (int64_t i = 0; i < rows; i++, y += columns) {
    for (int64_t j = 0; j < columns; j++) y[j] = 0;
    if (b.column == 1) { /* whole rows of b at a time: the same sums, and they vectorise */
      for (int64_t k = 0; k < depth; k++) {
        float factor = a.data[i * a.row + k * a.column];
        for (int64_t j = 0; j < columns; j++) y[j] += factor * b.data[k * b.row + j];
      }
      continue;
    }
    for (int64_t j = 0; j < columns; j++)
      for (int64_t k = 0; k < depth; k++) y[j] += a.data[i * a.row + k * a.column] * b.data[k * b.row + j * b.column];
  }
}

/* ---- Gemm ---- */

typedef struct gemm {
  int64_t rows, columns, depth;
  matrix a, b;
} gemm;

static cosrel_status read_gemm(const cosrel_call *call, gemm *g, cosrel_error *error) {
  const cosrel_shape *a = &call->in[0]->shape, *b = &call->in[1]->shape;
  for (uint32_t i = 0; i < 3; i++) {
    cosrel_status status = cosrel_call_expect(call, i, 1u << COSREL_F32, error);
    if (status != COSREL_OK) return status;
  }
  if (a->rank != 2 || b->rank != 2) return cosrel_call_fail(call, error, COSREL_FORMAT, "expected two matrices");
  bool turn_a = cosrel_node_int(call->net, call->node, "transA", 0) != 0;
  bool turn_b = cosrel_node_int(call->net, call->node, "transB", 0) != 0;
  *g = (gemm){.rows = a->dims[turn_a], .depth = a->dims[!turn_a], .columns = b->dims[!turn_b]};
  if (b->dims[turn_b] != g->depth)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "inner sizes %lld and %u differ", (long long)g->depth,
                            b->dims[turn_b]);
  g->a = (matrix){call->in[0]->data, turn_a ? 1 : g->depth, turn_a ? g->rows : 1};
  g->b = (matrix){call->in[1]->data, turn_b ? 1 : g->columns, turn_b ? g->depth : 1};
  return COSREL_OK;
}

cosrel_status cosrel_gemm_infer(const cosrel_call *call, cosrel_error *error) {
  gemm g;
  cosrel_status status = read_gemm(call, &g, error);
  if (status != COSREL_OK) return status;
  status = cosrel_call_set(call, 0, COSREL_F32, 2, (int64_t[]){g.rows, g.columns}, error);
  if (status != COSREL_OK) return status;
  const cosrel_tensor *c = cosrel_call_in(call, 2);
  cosrel_shape joined;
  if (c != NULL && (!cosrel_shape_broadcast(&call->out[0]->shape, &c->shape, &joined) ||
                    !cosrel_shape_equal(&joined, &call->out[0]->shape)))
    return cosrel_call_fail(call, error, COSREL_FORMAT, "input 2: cannot be broadcast to [%lld, %lld]",
                            (long long)g.rows, (long long)g.columns);
  return COSREL_OK;
}

void cosrel_gemm_run(const cosrel_call *call) {
  gemm g;
  if (read_gemm(call, &g, NULL) != COSREL_OK) return;
  float *y = call->out[0]->data;
  multiply(g.rows, g.columns, g.depth, g.a, g.b, y);
  float alpha = cosrel_node_float(call->net, call->node, "alpha", 1);
  for (int64_t i = 0; i < g.rows * g.columns && alpha != 1; i++) y[i] *= alpha;
  const cosrel_tensor *c = cosrel_call_in(call, 2);
  if (c == NULL) return;
  float beta = cosrel_node_float(call->net, call->node, "beta", 1);
  cosrel_walk w;
  cosrel_walk_over(&w, &call->out[0]->shape);
  cosrel_walk_broadcast(&w, &c->shape);
  for (cosrel_walk_begin(&w); cosrel_walk_rows(&w); cosrel_walk_next(&w)) {
    const float *from = (const float *)c->data + w.at[0];
    for (int64_t j = 0; j < w.row; j++) y[w.out + j] += beta * from[j * w.step[0]];
  }
}

/* ---- MatMul ---- */

typedef struct matmul {
  int64_t rows, columns, depth;
  cosrel_shape a, b, batch; /* leading axes */
} matmul;

static cosrel_status read_matmul(const cosrel_call *call, matmul *m, cosrel_error *error) {
  cosrel_shape a = call->in[0]->shape, b = call->in[1]->shape;
  cosrel_status status = cosrel_call_expect(call, 0, 1u << COSREL_F32, error);
  if (status == COSREL_OK) status = cosrel_call_expect(call, 1, 1u << COSREL_F32, error);
  if (status != COSREL_OK) return status;
  if (a.rank == 0 || b.rank == 0) return cosrel_call_fail(call, error, COSREL_FORMAT, "expected no scalars");
  *m = (matmul){.rows = a.rank > 1 ? a.dims[a.rank - 2] : 1,
                .columns = b.rank > 1 ? b.dims[b.rank - 1] : 1,
                .depth = a.dims[a.rank - 1]};
  if (b.dims[b.rank > 1 ? b.rank - 2 : 0] != m->depth)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "inner sizes %lld and %u differ", (long long)m->depth,
                            b.dims[b.rank > 1 ? b.rank - 2 : 0]);
  m->a = a;
  m->b = b;
  m->a.rank = a.rank > 2 ? a.rank - 2 : 0;
  m->b.rank = b.rank > 2 ? b.rank - 2 : 0;
  if (!cosrel_shape_broadcast(&m->a, &m->b, &m->batch))
    return cosrel_call_fail(call, error, COSREL_FORMAT, "the leading axes cannot be broadcast");
  return COSREL_OK;
}

cosrel_status cosrel_matmul_infer(const cosrel_call *call, cosrel_error *error) {
  matmul m;
  cosrel_status status = read_matmul(call, &m, error);
  if (status != COSREL_OK) return status;
  int64_t dims[COSREL_RANK_MAX];
  uint32_t rank = m.batch.rank;
  for (uint32_t d = 0; d < rank; d++) dims[d] = m.batch.dims[d];
  if (call->in[0]->shape.rank > 1) dims[rank++] = m.rows;
  if (call->in[1]->shape.rank > 1) dims[rank++] = m.columns;
  return cosrel_call_set(call, 0, COSREL_F32, rank, dims, error);
}

void cosrel_matmul_run(const cosrel_call *call) {
  matmul m;
  if (read_matmul(call, &m, NULL) != COSREL_OK) return;
  const float *a = call->in[0]->data, *b = call->in[1]->data;
  float *y = call->out[0]->data;
  cosrel_walk w; /* over matrices */
  cosrel_walk_over(&w, &m.batch);
  cosrel_walk_broadcast(&w, &m.a);
  cosrel_walk_broadcast(&w, &m.b);
  for (cosrel_walk_begin(&w); cosrel_walk_rows(&w); cosrel_walk_next(&w)) {
    for (int64_t j = 0; j < w.row; j++) {
      matrix left = {&a[(w.at[0] + j * w.step[0]) * m.rows * m.depth], m.depth, 1};
      matrix right = {&b[(w.at[1] + j * w.step[1]) * m.depth * m.columns], m.columns, 1};
      multiply(m.rows, m.columns, m.depth, left, right, &y[(w.out + j) * m.rows * m.columns]);
    }
  }
}
