#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/lower.h"
#include "backends/node.h"
#include "backends/reference/operators.h"
#include "backends/xnnpack/rules.h"

#define FLAGS XNN_FLAG_YIELD_WORKERS

static const cosrel_shape *shape_of(const cosrel_xnn_planner *planner, int32_t value) {
  return &planner->net->values[value].tensor.shape;
}

static int32_t input(const cosrel_xnn_planner *planner, const cosrel_net_node *node, uint32_t i) {
  return cosrel_net_node_inputs(planner->net, node)[i];
}

static size_t elements_of(const cosrel_xnn_planner *planner, int32_t value) {
  return (size_t)cosrel_shape_elements(shape_of(planner, value));
}

/* Adds a filled step, which owns its operator. */
static cosrel_status add(cosrel_xnn_planner *planner, const cosrel_xnn_step *plan) {
  cosrel_xnn_step *step = cosrel_xnn_add_step(planner);
  if (step == NULL) {
    if (plan->op != NULL) xnn_delete_operator(plan->op);
    return COSREL_NOMEM;
  }
  *step = *plan;
  return COSREL_OK;
}

static enum xnn_status setup_rows(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases, pthreadpool_t pool) {
  return step->rows.setup(step->op, step->rows.rows, cosrel_xnn_read(bases, &step->in[0]),
                          cosrel_xnn_write(bases, &step->out), pool);
}

/* ---- One input, element by element ---- */

typedef enum xnn_status (*create_unary)(size_t, size_t, size_t, uint32_t, xnn_operator_t *);
typedef enum xnn_status (*setup_unary)(xnn_operator_t, size_t, const float *, float *, pthreadpool_t);

/* Makes the operator for rows of one element; NULL when XNNPACK has none such. */
static xnn_operator_t create(const cosrel_xnn_planner *planner, const cosrel_net_node *node, setup_unary *setup) {
  static const struct {
    const char *name;
    create_unary create;
    setup_unary setup;
  } plain[] = {
      {"Abs", xnn_create_abs_nc_f32, xnn_setup_abs_nc_f32},
      {"Ceil", xnn_create_ceiling_nc_f32, xnn_setup_ceiling_nc_f32},
      {"Floor", xnn_create_floor_nc_f32, xnn_setup_floor_nc_f32},
      {"HardSwish", xnn_create_hardswish_nc_f32, xnn_setup_hardswish_nc_f32},
      {"Neg", xnn_create_negate_nc_f32, xnn_setup_negate_nc_f32},
      {"Round", xnn_create_bankers_rounding_nc_f32, xnn_setup_bankers_rounding_nc_f32},
      {"Sigmoid", xnn_create_sigmoid_nc_f32, xnn_setup_sigmoid_nc_f32},
      {"Sqrt", xnn_create_square_root_nc_f32, xnn_setup_square_root_nc_f32},
  };
  xnn_operator_t op = NULL;
  enum xnn_status status = xnn_status_unsupported_parameter;
  for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
    if (strcmp(plain[i].name, node->op->name) != 0) continue;
    status = plain[i].create(1, 1, 1, FLAGS, &op);
    *setup = plain[i].setup;
  }
  float low, high;
  if (cosrel_node_clamp(planner->net, node, &low, &high)) {
    status = xnn_create_clamp_nc_f32(1, 1, 1, low, high, FLAGS, &op);
    *setup = xnn_setup_clamp_nc_f32;
  }
  if (strcmp(node->op->name, "LeakyRelu") == 0) {
    status = xnn_create_leaky_relu_nc_f32(1, 1, 1, cosrel_node_float(planner->net, node, "alpha", 0.01F), FLAGS, &op);
    *setup = xnn_setup_leaky_relu_nc_f32;
  }
  if (strcmp(node->op->name, "Elu") == 0) {
    status = xnn_create_elu_nc_f32(1, 1, 1, cosrel_node_float(planner->net, node, "alpha", 1), FLAGS, &op);
    *setup = xnn_setup_elu_nc_f32;
  }
  return status == xnn_status_success ? op : NULL;
}

cosrel_status cosrel_xnn_unary(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  cosrel_xnn_step plan = {.setup = setup_rows};
  plan.op = create(planner, node, &plan.rows.setup);
  if (plan.op == NULL) return COSREL_UNSUPPORTED;
  int32_t in = input(planner, node, 0), out = cosrel_xnn_out(planner, node);
  bool nhwc = !cosrel_xnn_is_dense(planner, in, false); /* the order that it is in */
  plan.rows.rows = elements_of(planner, out);
  plan.in[0] = cosrel_xnn_dense(planner, in, nhwc);
  plan.out = cosrel_xnn_result(planner, out, nhwc);
  return add(planner, &plan);
}

/* A slope for each channel, or one for all. */
cosrel_status cosrel_xnn_prelu(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  int32_t in = input(planner, node, 0), out = cosrel_xnn_out(planner, node);
  const cosrel_shape *shape = shape_of(planner, in);
  const cosrel_tensor *slope = cosrel_xnn_in(planner, node, 1);
  uint32_t rank = slope->shape.rank, c = shape->rank == 4 ? shape->dims[1] : 0;
  if (slope->data == NULL || c == 0 || rank < 3 || slope->shape.dims[rank - 3] != c ||
      cosrel_shape_elements(&slope->shape) != c) {
    return COSREL_UNSUPPORTED;
  }
  cosrel_xnn_step plan = {.setup = setup_rows, .rows = {.setup = xnn_setup_prelu_nc_f32}};
  if (xnn_create_prelu_nc_f32(c, c, c, slope->data, FLAGS, &plan.op) != xnn_status_success) return COSREL_UNSUPPORTED;
  plan.rows.rows = elements_of(planner, in) / c;
  plan.in[0] = cosrel_xnn_dense(planner, in, true);
  plan.out = cosrel_xnn_result(planner, out, true);
  return add(planner, &plan);
}

/* ---- Two inputs, broadcast ---- */

static enum xnn_status setup_broadcast(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases, pthreadpool_t pool) {
  return step->broadcast.setup(step->op, step->broadcast.rank[0], step->broadcast.dims[0], step->broadcast.rank[1],
                               step->broadcast.dims[1], cosrel_xnn_read(bases, &step->in[0]),
                               cosrel_xnn_read(bases, &step->in[1]), cosrel_xnn_write(bases, &step->out), pool);
}

/* The operand with as many axes as the output, in the order wanted. False when that would take more than a copy. */
static bool add_operand(cosrel_xnn_planner *planner, int32_t value, uint32_t rank, bool nhwc, cosrel_xnn_step *plan,
                        uint32_t k) {
  static const uint32_t nhwc_order[4] = {0, 2, 3, 1};
  const cosrel_shape *shape = shape_of(planner, value);
  cosrel_shape padded = {.rank = rank};
  for (uint32_t i = 0; i < rank; i++) {
    padded.dims[i] = i < rank - shape->rank ? 1 : shape->dims[i - (rank - shape->rank)];
  }
  plan->broadcast.rank[k] = rank;
  for (uint32_t i = 0; i < rank; i++) plan->broadcast.dims[k][i] = padded.dims[nhwc && rank == 4 ? nhwc_order[i] : i];
  if (shape->rank == rank || !nhwc) {
    plan->in[k] = cosrel_xnn_dense(planner, value, nhwc);
    return true;
  }
  cosrel_view dense = cosrel_view_dense(&padded, false);
  if (cosrel_view_is_dense(&padded, &dense, true)) {
    plan->in[k] = cosrel_xnn_dense(planner, value, false);
    return true;
  }
  const float *data = planner->net->values[value].tensor.data;
  if (data == NULL) return false;
  float *copy = cosrel_xnn_own(planner, cosrel_shape_elements(&padded));
  if (copy == NULL) return false;
  cosrel_layout_to_arena(&padded, data, copy);
  plan->in[k] = (cosrel_xnn_ref){.base = COSREL_XNN_CONSTANT, .constant = copy};
  return true;
}

cosrel_status cosrel_xnn_binary(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  static const struct {
    const char *name;
    enum xnn_status (*create)(float, float, uint32_t, xnn_operator_t *);
    enum xnn_status (*create_plain)(uint32_t, xnn_operator_t *);
    enum xnn_status (*setup)(xnn_operator_t, size_t, const size_t *, size_t, const size_t *, const float *,
                             const float *, float *, pthreadpool_t);
  } table[] = {
      {"Add", xnn_create_add_nd_f32, NULL, xnn_setup_add_nd_f32},
      {"Div", xnn_create_divide_nd_f32, NULL, xnn_setup_divide_nd_f32},
      {"Max", NULL, xnn_create_maximum_nd_f32, xnn_setup_maximum_nd_f32},
      {"Min", NULL, xnn_create_minimum_nd_f32, xnn_setup_minimum_nd_f32},
      {"Mul", xnn_create_multiply_nd_f32, NULL, xnn_setup_multiply_nd_f32},
      {"Sub", xnn_create_subtract_nd_f32, NULL, xnn_setup_subtract_nd_f32},
  };
  int32_t out = cosrel_xnn_out(planner, node);
  uint32_t rank = shape_of(planner, out)->rank;
  if (node->n_inputs != 2 || planner->net->values[out].tensor.dtype != COSREL_F32) return COSREL_UNSUPPORTED;
  if (cosrel_node_attribute(planner->net, node, "broadcast") != NULL) return COSREL_UNSUPPORTED; /* opset 6 */

  bool nhwc = rank == 4, any_nhwc = false;
  for (uint32_t k = 0; k < 2; k++) {
    int32_t value = input(planner, node, k);
    if (cosrel_value_is_constant(planner->net, value)) continue;
    nhwc &= shape_of(planner, value)->rank == 4;
    any_nhwc |= !cosrel_xnn_is_dense(planner, value, false);
  }
  nhwc &= any_nhwc || out == planner->unit->output;

  cosrel_xnn_step plan = {.setup = setup_broadcast};
  for (uint32_t k = 0; k < 2; k++) {
    if (!add_operand(planner, input(planner, node, k), rank, nhwc, &plan, k)) return COSREL_UNSUPPORTED;
  }
  enum xnn_status status = xnn_status_unsupported_parameter;
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strcmp(table[i].name, node->op->name) != 0) continue;
    plan.broadcast.setup = table[i].setup;
    if (table[i].create == NULL) {
      status = table[i].create_plain(FLAGS, &plan.op);
    } else {
      float low, high;
      out = cosrel_xnn_take_clamp(planner, out, &low, &high);
      status = table[i].create(low, high, FLAGS, &plan.op);
    }
  }
  if (status != xnn_status_success) return COSREL_UNSUPPORTED;
  plan.out = cosrel_xnn_result(planner, out, nhwc);
  return add(planner, &plan);
}

/* ---- Softmax ---- */

cosrel_status cosrel_xnn_softmax(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  int32_t in = input(planner, node, 0), out = cosrel_xnn_out(planner, node);
  const cosrel_shape *shape = shape_of(planner, in);
  bool flat = planner->net->opset < 13; /* over all axes from `axis` on */
  uint32_t axis = cosrel_node_axis(planner->net, node, shape->rank, flat ? 1 : -1);
  if (shape->rank == 0) return COSREL_UNSUPPORTED;
  size_t length = 1;
  for (uint32_t i = axis; i < (flat ? shape->rank : axis + 1); i++) length *= shape->dims[i];
  bool channels = shape->rank == 4 && axis == 1 && !flat;
  if (!flat && !channels && axis != shape->rank - 1) return COSREL_UNSUPPORTED;
  cosrel_xnn_step plan = {.setup = setup_rows, .rows = {.setup = xnn_setup_softmax_nc_f32}};
  if (xnn_create_softmax_nc_f32(length, length, length, FLAGS, &plan.op) != xnn_status_success) {
    return COSREL_UNSUPPORTED;
  }
  plan.rows.rows = elements_of(planner, in) / length;
  plan.in[0] = cosrel_xnn_dense(planner, in, channels);
  plan.out = cosrel_xnn_result(planner, out, channels);
  return add(planner, &plan);
}

/* ---- Dense layers and matrix products ---- */

/* [rows][columns] to [columns][rows]; NULL only for want of memory. */
static float *transpose(const float *data, uint32_t rows, uint32_t columns) {
  float *copy = malloc((size_t)rows * columns * sizeof *copy);
  cosrel_shape shape = {.rank = 2, .dims = {rows, columns}};
  cosrel_view from = cosrel_view_dense(&shape, false), to = {.strides = {1, rows}};
  cosrel_move move = cosrel_move_plan(&shape, &from, &to);
  if (copy != NULL) cosrel_move_run(&move, data, copy);
  return copy;
}

/* rows x k, weights k x n (n x k with `transposed`); packed by XNNPACK, not kept. Takes clamps over. */
static cosrel_status add_dense(cosrel_xnn_planner *planner, int32_t in, int32_t out, uint32_t k, uint32_t n,
                               const float *weights, bool transposed, const float *bias) {
  float low, high;
  out = cosrel_xnn_take_clamp(planner, out, &low, &high);
  uint32_t rows = (uint32_t)(elements_of(planner, in) / k);
  cosrel_blas_conv gemm = {rows, 1, 1, k, 1, 1, n, {{1, 1}, {1, 1}, {1, 1}, {0}, false}, weights, bias, low, high, 0};
  float *turned = NULL;
  if (cosrel_blas_conv_pays(&gemm)) {
    if (!transposed) gemm.weights = turned = transpose(weights, k, n);
    cosrel_status status = gemm.weights == NULL ? COSREL_NOMEM : cosrel_xnn_add_blas_conv(planner, gemm, in, out);
    if (status == COSREL_NOMEM) planner->status = status;
    free(turned);
    return status;
  }
  cosrel_xnn_step plan = {.setup = setup_rows, .rows = {.setup = xnn_setup_fully_connected_nc_f32}};
  uint32_t flags = FLAGS | (transposed ? 0 : XNN_FLAG_TRANSPOSE_WEIGHTS);
  if (xnn_create_fully_connected_nc_f32(k, n, k, n, weights, bias, low, high, flags, &plan.op) != xnn_status_success) {
    return COSREL_UNSUPPORTED;
  }
  plan.rows.rows = rows;
  plan.in[0] = cosrel_xnn_dense(planner, in, false);
  plan.out = cosrel_xnn_result(planner, out, false);
  return add(planner, &plan);
}

/* factor * data; NULL only for want of memory. */
static float *scaled(const float *data, size_t n, float factor) {
  float *copy = malloc(n * sizeof *copy);
  for (size_t i = 0; copy != NULL && i < n; i++) copy[i] = factor * data[i];
  return copy;
}

cosrel_status cosrel_xnn_dense_layer(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_net *net = planner->net;
  const cosrel_tensor *a = cosrel_xnn_in(planner, node, 0), *b = cosrel_xnn_in(planner, node, 1);
  const cosrel_tensor *c = cosrel_xnn_in(planner, node, 2);
  bool transposed = cosrel_node_int(net, node, "transB", 0) != 0;
  uint32_t k = a->shape.dims[1], n = b->shape.dims[transposed ? 0 : 1];
  size_t c_elements = c != NULL ? (size_t)cosrel_shape_elements(&c->shape) : 0;
  bool along_n = c != NULL && c_elements == n && c->shape.rank > 0 && c->shape.dims[c->shape.rank - 1] == n;
  if (b->data == NULL || a->data != NULL || cosrel_node_int(net, node, "transA", 0) != 0 || a->dtype != COSREL_F32 ||
      (c != NULL && (c->data == NULL || (!along_n && c_elements != 1)))) {
    return COSREL_UNSUPPORTED;
  }
  float *weights = scaled(b->data, (size_t)k * n, cosrel_node_float(net, node, "alpha", 1));
  float *bias = c != NULL ? malloc(n * sizeof *bias) : NULL;
  cosrel_status status = COSREL_NOMEM;
  if (weights != NULL && (c == NULL || bias != NULL)) {
    float beta = cosrel_node_float(net, node, "beta", 1);
    for (uint32_t i = 0; bias != NULL && i < n; i++) bias[i] = beta * ((const float *)c->data)[along_n ? i : 0];
    status =
        add_dense(planner, input(planner, node, 0), cosrel_xnn_out(planner, node), k, n, weights, transposed, bias);
  } else {
    planner->status = COSREL_NOMEM;
  }
  free(weights);
  free(bias);
  return status;
}

/* out[i][j] = sum over k of a[i][k] b[k][j], for each of the leading axes. */
static void compute_product(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases) {
  const float *a = cosrel_xnn_read(bases, &step->in[0]), *b = cosrel_xnn_read(bases, &step->in[1]);
  float *out = cosrel_xnn_write(bases, &step->out);
  const cosrel_shape *batch = &step->product.batch;
  uint64_t count = cosrel_shape_elements(batch);
  blasint m = (blasint)step->product.m, n = (blasint)step->product.n, k = (blasint)step->product.k;
  for (uint64_t i = 0; i < count; i++, out += (size_t)m * (size_t)n) {
    int64_t a_at = 0, b_at = 0;
    uint64_t rest = i;
    for (uint32_t axis = batch->rank; axis-- > 0;) {
      int64_t index = (int64_t)(rest % batch->dims[axis]);
      rest /= batch->dims[axis];
      a_at += index * step->product.a_batch[axis];
      b_at += index * step->product.b_batch[axis];
    }
    cblas_sgemm(CblasRowMajor, step->product.a_transposed ? CblasTrans : CblasNoTrans,
                step->product.b_transposed ? CblasTrans : CblasNoTrans, m, n, k, 1, a + a_at,
                (blasint)step->product.a_stride, b + b_at, (blasint)step->product.b_stride, 0, out, n);
  }
}

/* A matrix in the two last axes as BLAS wants it: one of its axes dense. Else a row-major copy is made. */
static cosrel_xnn_ref find_matrix(cosrel_xnn_planner *planner, int32_t value, cosrel_view *view, bool *transposed,
                                  uint32_t *stride) {
  const cosrel_shape *shape = shape_of(planner, value);
  cosrel_xnn_ref ref = cosrel_xnn_view(planner, value, view);
  uint32_t row = shape->rank - 2, column = shape->rank - 1;
  int64_t rows = shape->dims[row], columns = shape->dims[column];
  if (columns == 1) view->strides[column] = 1;
  bool by_rows = view->strides[column] == 1 && (rows == 1 || view->strides[row] >= columns);
  bool by_columns = view->strides[row] == 1 && view->strides[column] >= rows;
  if (!by_rows && !by_columns) {
    ref = cosrel_xnn_dense(planner, value, false);
    *view = cosrel_view_dense(shape, false);
    by_rows = true;
  }
  *transposed = !by_rows;
  int64_t distance = view->strides[by_rows ? row : column], least = by_rows ? columns : rows;
  *stride = (uint32_t)(distance > least ? distance : least);
  return ref;
}

/* Strides along the leading axes of the output; 0 where the operand repeats. */
static void find_batch(const cosrel_shape *operand, const cosrel_view *view, const cosrel_shape *batch,
                       int64_t strides[COSREL_RANK_MAX]) {
  uint32_t own = operand->rank - 2;
  for (uint32_t i = 0; i < own; i++) {
    if (operand->dims[i] != 1) strides[batch->rank - own + i] = view->strides[i];
  }
}

static cosrel_status plan_product(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  int32_t a = input(planner, node, 0), b = input(planner, node, 1), out = cosrel_xnn_out(planner, node);
  const cosrel_shape *as = shape_of(planner, a), *bs = shape_of(planner, b), *os = shape_of(planner, out);
  if (as->rank < 2 || bs->rank < 2 || planner->net->values[out].tensor.dtype != COSREL_F32) return COSREL_UNSUPPORTED;
  cosrel_xnn_step plan = {.compute = compute_product};
  plan.product.m = as->dims[as->rank - 2];
  plan.product.k = as->dims[as->rank - 1];
  plan.product.n = bs->dims[bs->rank - 1];
  plan.product.batch = *os;
  plan.product.batch.rank -= 2;
  cosrel_view view;
  plan.in[0] = find_matrix(planner, a, &view, &plan.product.a_transposed, &plan.product.a_stride);
  find_batch(as, &view, &plan.product.batch, plan.product.a_batch);
  plan.in[1] = find_matrix(planner, b, &view, &plan.product.b_transposed, &plan.product.b_stride);
  find_batch(bs, &view, &plan.product.batch, plan.product.b_batch);
  plan.out = cosrel_xnn_result(planner, out, false);
  return add(planner, &plan);
}

cosrel_status cosrel_xnn_matmul(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_tensor *a = cosrel_xnn_in(planner, node, 0), *b = cosrel_xnn_in(planner, node, 1);
  if (b->data == NULL || a->data != NULL || b->shape.rank != 2 || a->dtype != COSREL_F32) {
    return plan_product(planner, node);
  }
  uint32_t k = b->shape.dims[0], n = b->shape.dims[1];
  const float *bias = NULL;
  int32_t out = cosrel_xnn_take_bias(planner, cosrel_xnn_out(planner, node), n, &bias);
  return add_dense(planner, input(planner, node, 0), out, k, n, b->data, false, bias);
}
