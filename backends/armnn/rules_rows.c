#include <stdlib.h>
#include <string.h>

#include "backends/armnn/rules.h"
#include "backends/lower.h"
#include "backends/node.h"
#include "backends/reference/operators.h"

/* The order that it is in. */
static int32_t any_order(cosrel_armnn_planner *planner, int32_t value, bool *nhwc) {
  *nhwc = cosrel_armnn_shape(planner, value)->rank == 4 && !cosrel_armnn_is_dense(planner, value, false);
  return cosrel_armnn_dense(planner, value, *nhwc);
}

/* ---- One input, element by element ---- */

cosrel_status cosrel_armnn_rule_activation(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  static const struct {
    const char *name;
    cosrel_armnn_activation what;
    const char *parameter; /* of ONNX; NULL: a is 1 */
    float fallback;
  } table[] = {
      {"Abs", COSREL_ARMNN_ABS, NULL, 0},
      {"Clip", COSREL_ARMNN_CLAMP, NULL, 0},
      {"Elu", COSREL_ARMNN_ELU, "alpha", 1},
      {"HardSigmoid", COSREL_ARMNN_LINEAR, "alpha", 0.2F},
      {"HardSwish", COSREL_ARMNN_HARD_SWISH, NULL, 0},
      {"LeakyRelu", COSREL_ARMNN_LEAKY_RELU, "alpha", 0.01F},
      {"Relu", COSREL_ARMNN_RELU, NULL, 0},
      {"Sigmoid", COSREL_ARMNN_SIGMOID, NULL, 0},
      {"Softplus", COSREL_ARMNN_SOFTPLUS, NULL, 0},
      {"Tanh", COSREL_ARMNN_TANH, NULL, 0},
  };
  size_t k = 0;
  while (strcmp(table[k].name, node->op->name) != 0) k++;
  float a = 1, b = 1, low, high;
  if (table[k].parameter != NULL) a = cosrel_node_float(planner->net, node, table[k].parameter, table[k].fallback);
  if (table[k].what == COSREL_ARMNN_LINEAR) b = cosrel_node_float(planner->net, node, "beta", 0.5F);
  if (table[k].what == COSREL_ARMNN_CLAMP) {
    if (!cosrel_node_clamp(planner->net, node, &low, &high)) return COSREL_UNSUPPORTED;
    a = high;
    b = low;
  }
  bool nhwc;
  int32_t x = any_order(planner, cosrel_armnn_in(planner, node, 0), &nhwc);
  x = cosrel_armnn_activate(planner->graph, x, table[k].what, a, b);
  if (table[k].what == COSREL_ARMNN_LINEAR) x = cosrel_armnn_activate(planner->graph, x, COSREL_ARMNN_CLAMP, 1, 0);
  return cosrel_armnn_result(planner, cosrel_armnn_out(planner, node), x, nhwc);
}

cosrel_status cosrel_armnn_rule_unary(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  static const struct {
    const char *name;
    cosrel_armnn_unary what;
  } table[] = {
      {"Exp", COSREL_ARMNN_EXP}, {"Floor", COSREL_ARMNN_FLOOR}, {"Neg", COSREL_ARMNN_NEG}, {"Sqrt", COSREL_ARMNN_SQRT}};
  size_t k = 0;
  while (strcmp(table[k].name, node->op->name) != 0) k++;
  bool nhwc;
  int32_t x = any_order(planner, cosrel_armnn_in(planner, node, 0), &nhwc);
  return cosrel_armnn_result(planner, cosrel_armnn_out(planner, node),
                             cosrel_armnn_apply(planner->graph, x, table[k].what), nhwc);
}

/* ---- Two inputs, broadcast ---- */

/* With as many axes as the output, in the order wanted. */
static int32_t operand(cosrel_armnn_planner *planner, int32_t value, uint32_t rank, bool nhwc) {
  const cosrel_shape *shape = cosrel_armnn_shape(planner, value);
  cosrel_shape padded = {.rank = rank};
  for (uint32_t i = 0; i < rank; i++)
    padded.dims[i] = i < rank - shape->rank ? 1 : shape->dims[i - (rank - shape->rank)];
  cosrel_shape dims = cosrel_armnn_dims(&padded, nhwc);
  if (shape->rank == rank || !nhwc)
    return cosrel_armnn_reshape(planner->graph, cosrel_armnn_dense(planner, value, nhwc), &dims);
  cosrel_view from = cosrel_view_dense(&padded, false), to = cosrel_view_dense(&padded, true);
  int32_t tensor = cosrel_armnn_dense(planner, value, false);
  if (!cosrel_view_is_dense(&padded, &from, true)) tensor = cosrel_armnn_move(planner, tensor, &padded, &from, &to);
  return cosrel_armnn_reshape(planner->graph, tensor, &dims);
}

static bool same_shape(const cosrel_shape *a, const cosrel_shape *b) {
  bool same = a->rank == b->rank;
  for (uint32_t i = 0; same && i < a->rank; i++) same = a->dims[i] == b->dims[i];
  return same;
}

cosrel_status cosrel_armnn_rule_binary(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  static const struct {
    const char *name;
    cosrel_armnn_binary what;
  } table[] = {
      {"Add", COSREL_ARMNN_ADD},     {"Div", COSREL_ARMNN_DIV}, {"Max", COSREL_ARMNN_MAXIMUM},
      {"Min", COSREL_ARMNN_MINIMUM}, {"Mul", COSREL_ARMNN_MUL}, {"PRelu", COSREL_ARMNN_PRELU},
      {"Sub", COSREL_ARMNN_SUB},     {"Sum", COSREL_ARMNN_ADD},
  };
  size_t k = 0;
  while (strcmp(table[k].name, node->op->name) != 0) k++;
  int32_t out = cosrel_armnn_out(planner, node);
  const cosrel_shape *shape = cosrel_armnn_shape(planner, out);
  uint32_t rank = shape->rank;
  if (node->n_inputs != 2 || cosrel_node_attribute(planner->net, node, "broadcast") != NULL) /* opset 6 */
    return COSREL_UNSUPPORTED;
  bool nhwc = rank == 4, any_nhwc = false;
  for (uint32_t i = 0; i < 2; i++) {
    int32_t value = cosrel_armnn_in(planner, node, i);
    const cosrel_shape *in = cosrel_armnn_shape(planner, value);
    if (rank > COSREL_ARMNN_RANK_MAX && !same_shape(in, shape)) return COSREL_UNSUPPORTED; /* axes are joined */
    if (cosrel_value_is_constant(planner->net, value)) continue;
    nhwc &= in->rank == 4;
    any_nhwc |= !cosrel_armnn_is_dense(planner, value, false);
  }
  nhwc &= any_nhwc || out == planner->unit->output;
  int32_t x = operand(planner, cosrel_armnn_in(planner, node, 0), rank, nhwc);
  int32_t y = operand(planner, cosrel_armnn_in(planner, node, 1), rank, nhwc);
  return cosrel_armnn_result(planner, out, cosrel_armnn_combine(planner->graph, x, y, table[k].what), nhwc);
}

/* ---- Along axes ---- */

cosrel_status cosrel_armnn_rule_softmax(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_armnn_in(planner, node, 0), out = cosrel_armnn_out(planner, node);
  const cosrel_shape *shape = cosrel_armnn_shape(planner, in);
  bool flat = planner->net->opset < 13; /* over all axes from `axis` on */
  if (shape->rank == 0) return COSREL_UNSUPPORTED;
  uint32_t axis = cosrel_node_axis(planner->net, node, shape->rank, flat ? 1 : -1), length = 1;
  for (uint32_t i = axis; i < (flat ? shape->rank : axis + 1); i++) length *= shape->dims[i];
  bool channels = shape->rank == 4 && axis == 1 && !flat;
  if (!flat && !channels && axis != shape->rank - 1) return COSREL_UNSUPPORTED;
  cosrel_shape rows = {.rank = 2, .dims = {(uint32_t)(cosrel_shape_elements(shape) / length), length}};
  cosrel_shape dims = cosrel_armnn_dims(shape, channels);
  int32_t x = cosrel_armnn_reshape(planner->graph, cosrel_armnn_dense(planner, in, channels), &rows);
  x = cosrel_armnn_softmax(planner->graph, x, strcmp(node->op->name, "LogSoftmax") == 0);
  return cosrel_armnn_result(planner, out, cosrel_armnn_reshape(planner->graph, x, &dims), channels);
}

/* The axes to average over, as bits; false when they are not known. */
static bool find_axes(const cosrel_armnn_planner *planner, const cosrel_net_node *node, uint32_t rank,
                      uint32_t *reduced) {
  const cosrel_attribute *attribute = cosrel_node_ints(planner->net, node, "axes");
  const cosrel_tensor *input = cosrel_node_in(planner->net, node, 1);
  const int64_t *list = attribute != NULL ? attribute->ints : NULL;
  uint64_t n = attribute != NULL ? attribute->n : 0;
  if (input != NULL) {
    if (input->data == NULL || input->dtype != COSREL_I64) return false;
    list = input->data;
    n = cosrel_shape_elements(&input->shape);
  }
  if (n == 0 && cosrel_node_int(planner->net, node, "noop_with_empty_axes", 0) != 0) return false;
  *reduced = n == 0 ? (UINT32_C(1) << rank) - 1 : 0;
  for (uint64_t i = 0; i < n; i++) *reduced |= UINT32_C(1) << (list[i] < 0 ? list[i] + rank : list[i]);
  return true;
}

cosrel_status cosrel_armnn_rule_mean(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  static const uint32_t nhwc_order[4] = {0, 2, 3, 1};
  int32_t in = cosrel_armnn_in(planner, node, 0), out = cosrel_armnn_out(planner, node);
  cosrel_shape kept = *cosrel_armnn_shape(planner, in);
  uint32_t rank = kept.rank, reduced = 0, axes = 0;
  if (rank == 0 || rank > COSREL_ARMNN_RANK_MAX || !find_axes(planner, node, rank, &reduced)) return COSREL_UNSUPPORTED;
  bool nhwc;
  int32_t x = any_order(planner, in, &nhwc);
  for (uint32_t i = 0; i < rank; i++) axes |= (reduced >> (nhwc ? nhwc_order[i] : i) & 1) << i;
  for (uint32_t i = 0; i < rank; i++)
    if ((reduced >> i & 1) != 0) kept.dims[i] = 1;
  cosrel_view whole = cosrel_view_dense(&kept, nhwc), view = {0};
  uint32_t n = 0; /* axes of the output, which may be without those of 1 */
  bool keep = cosrel_node_int(planner->net, node, "keepdims", 1) != 0;
  for (uint32_t i = 0; i < rank; i++)
    if (keep || (reduced >> i & 1) == 0) view.strides[n++] = whole.strides[i];
  return cosrel_armnn_alias(planner, out, cosrel_armnn_mean(planner->graph, x, axes), &view);
}

/* ---- Products with constant matrices ---- */

/* Rows of k elements by [k][n] (or [n][k]: transposed), times alpha, plus beta * bias, which is [n] or one for all. */
static cosrel_status add_dense(cosrel_armnn_planner *planner, const cosrel_net_node *node, const cosrel_tensor *matrix,
                               bool transposed, float alpha, const cosrel_tensor *bias, float beta) {
  int32_t in = cosrel_armnn_in(planner, node, 0), out = cosrel_armnn_out(planner, node);
  uint32_t k = matrix->shape.dims[transposed ? 1 : 0], n = matrix->shape.dims[transposed ? 0 : 1];
  bool one = bias != NULL && cosrel_shape_elements(&bias->shape) == 1;
  float *weights = malloc(((size_t)k + 1) * n * sizeof *weights),
        *shift = weights != NULL ? weights + (size_t)k * n : NULL;
  if (weights == NULL) return COSREL_NOMEM;
  cosrel_shape order = {.rank = 2, .dims = {n, k}};
  cosrel_view from = {.strides = {transposed ? k : 1, transposed ? 1 : n}}, to = cosrel_view_dense(&order, false);
  cosrel_move move = cosrel_move_plan(&order, &from, &to);
  cosrel_move_run(&move, matrix->data, weights);
  for (size_t i = 0; i < (size_t)k * n && alpha != 1; i++) weights[i] *= alpha;
  for (uint32_t i = 0; bias != NULL && i < n; i++) shift[i] = beta * ((const float *)bias->data)[one ? 0 : i];
  cosrel_shape dims = cosrel_armnn_dims(cosrel_armnn_shape(planner, out), false);
  /* Two axes always: CpuAcc computes something else from an image. */
  cosrel_shape rows = {.rank = 2};
  rows.dims[0] = (uint32_t)(cosrel_shape_elements(cosrel_armnn_shape(planner, in)) / k);
  rows.dims[1] = k;
  int32_t x = cosrel_armnn_reshape(planner->graph, cosrel_armnn_dense(planner, in, false), &rows);
  x = cosrel_armnn_dense_layer(planner->graph, x, n, weights, bias != NULL ? shift : NULL);
  free(weights);
  return cosrel_armnn_result(planner, out, cosrel_armnn_reshape(planner->graph, x, &dims), false);
}

cosrel_status cosrel_armnn_rule_gemm(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_net *net = planner->net;
  const cosrel_tensor *b = cosrel_node_in(net, node, 1), *c = cosrel_node_in(net, node, 2);
  bool transposed = cosrel_node_int(net, node, "transB", 0) != 0;
  if (b->data == NULL || cosrel_node_int(net, node, "transA", 0) != 0) return COSREL_UNSUPPORTED;
  if (c != NULL) {
    uint64_t n = b->shape.dims[transposed ? 0 : 1], elements = cosrel_shape_elements(&c->shape);
    bool along_n = elements == n && c->shape.rank > 0 && c->shape.dims[c->shape.rank - 1] == n;
    if (c->data == NULL || (!along_n && elements != 1)) return COSREL_UNSUPPORTED;
  }
  return add_dense(planner, node, b, transposed, cosrel_node_float(net, node, "alpha", 1), c,
                   cosrel_node_float(net, node, "beta", 1));
}

cosrel_status cosrel_armnn_rule_matmul(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_tensor *b = cosrel_node_in(planner->net, node, 1);
  if (b->data == NULL || b->shape.rank != 2) return COSREL_UNSUPPORTED;
  return add_dense(planner, node, b, false, 1, NULL, 0);
}
