#include <string.h>

#include "backends/armnn/rules.h"
#include "backends/lower.h"
#include "backends/node.h"
#include "backends/reference/operators.h"

/* Where strides alone cannot say it, the elements move straight to where the result belongs, if its place can be seen
 * in the input's shape (channel shuffles end so); else through a row-major copy. */
cosrel_status cosrel_armnn_rule_reshape(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_armnn_in(planner, node, 0), out = cosrel_armnn_out(planner, node);
  const cosrel_shape *from = cosrel_armnn_shape(planner, in), *to = cosrel_armnn_shape(planner, out);
  cosrel_view view, dense = cosrel_view_dense(to, true), reshaped;
  int32_t tensor = cosrel_armnn_view(planner, in, &view);
  if (tensor < 0) return COSREL_UNSUPPORTED;
  if (cosrel_view_reshape(from, &view, to, &reshaped)) return cosrel_armnn_alias(planner, out, tensor, &reshaped);
  if (cosrel_view_reshape(to, &dense, from, &reshaped))
    return cosrel_armnn_alias(planner, out, cosrel_armnn_move(planner, tensor, from, &view, &reshaped), &dense);
  return cosrel_armnn_result(planner, out, cosrel_armnn_dense(planner, in, false), false);
}

cosrel_status cosrel_armnn_rule_transpose(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_attribute *permutation = cosrel_node_ints(planner->net, node, "perm");
  int32_t in = cosrel_armnn_in(planner, node, 0);
  uint32_t rank = cosrel_armnn_shape(planner, in)->rank;
  cosrel_view view, permuted = {0};
  int32_t tensor = cosrel_armnn_view(planner, in, &view);
  for (uint32_t i = 0; i < rank; i++)
    permuted.strides[i] = view.strides[permutation != NULL ? permutation->ints[i] : rank - 1 - i];
  return cosrel_armnn_alias(planner, cosrel_armnn_out(planner, node), tensor, &permuted);
}

/* Part of the input from `begins` on, as large as value `out`. */
static cosrel_status cut(cosrel_armnn_planner *planner, int32_t in, int32_t out, const int64_t *begins) {
  static const uint32_t nhwc_order[4] = {0, 2, 3, 1};
  const cosrel_shape *shape = cosrel_armnn_shape(planner, out);
  if (shape->rank == 0 || shape->rank > COSREL_ARMNN_RANK_MAX) return COSREL_UNSUPPORTED;
  bool nhwc = !cosrel_armnn_is_dense(planner, in, false);
  int32_t x = cosrel_armnn_dense(planner, in, nhwc);
  cosrel_shape dims = cosrel_armnn_dims(shape, nhwc);
  uint32_t begin[COSREL_ARMNN_RANK_MAX] = {0};
  for (uint32_t i = 0; i < shape->rank; i++) begin[i] = (uint32_t)begins[nhwc && shape->rank == 4 ? nhwc_order[i] : i];
  return cosrel_armnn_result(planner, out, cosrel_armnn_slice(planner->graph, x, begin, &dims), nhwc);
}

cosrel_status cosrel_armnn_rule_slice(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  int64_t begins[COSREL_RANK_MAX];
  if (!cosrel_node_slice(planner->net, node, begins)) return COSREL_UNSUPPORTED;
  return cut(planner, cosrel_armnn_in(planner, node, 0), cosrel_armnn_out(planner, node), begins);
}

cosrel_status cosrel_armnn_rule_split(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_armnn_in(planner, node, 0);
  uint32_t axis = cosrel_node_axis(planner->net, node, cosrel_armnn_shape(planner, in)->rank, 0);
  int64_t begins[COSREL_RANK_MAX] = {0};
  for (uint32_t k = 0; k < node->n_outputs; k++) {
    int32_t out = cosrel_net_node_outputs(planner->net, node)[k];
    if (out < 0) return COSREL_UNSUPPORTED;
    cosrel_status status = cut(planner, in, out, begins);
    if (status != COSREL_OK) return status;
    begins[axis] += cosrel_armnn_shape(planner, out)->dims[axis];
  }
  return COSREL_OK;
}

cosrel_status cosrel_armnn_rule_concat(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  static const uint32_t place[4] = {0, 3, 1, 2}; /* of ONNX's axes in NHWC */
  int32_t out = cosrel_armnn_out(planner, node), xs[COSREL_OPERATOR_INPUTS_MAX];
  uint32_t rank = cosrel_armnn_shape(planner, out)->rank, axis = cosrel_node_axis(planner->net, node, rank, 1);
  if (rank == 0 || rank > COSREL_ARMNN_RANK_MAX || node->n_inputs < 2) return COSREL_UNSUPPORTED;
  for (uint32_t i = 0; i < node->n_inputs; i++)
    xs[i] = cosrel_armnn_dense(planner, cosrel_armnn_in(planner, node, i), true);
  return cosrel_armnn_result(
      planner, out, cosrel_armnn_concat(planner->graph, xs, node->n_inputs, rank == 4 ? place[axis] : axis), true);
}

cosrel_status cosrel_armnn_rule_pad(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  static const uint32_t nhwc[4] = {0, 2, 3, 1};
  const cosrel_net *net = planner->net;
  int32_t in = cosrel_armnn_in(planner, node, 0);
  uint32_t rank = cosrel_armnn_shape(planner, in)->rank;
  const cosrel_tensor *pads = cosrel_node_in(net, node, 1), *fill = cosrel_node_in(net, node, 2);
  const cosrel_attribute *old_pads = cosrel_node_ints(net, node, "pads");
  if (strcmp(cosrel_node_string(net, node, "mode", "constant"), "constant") != 0 || rank == 0 ||
      rank > COSREL_ARMNN_RANK_MAX || (fill != NULL && (fill->data == NULL || fill->dtype != COSREL_F32))) {
    return COSREL_UNSUPPORTED;
  }
  const int64_t *list = old_pads != NULL ? old_pads->ints : pads != NULL ? pads->data : NULL;
  if (list == NULL) return COSREL_UNSUPPORTED;
  float value = fill != NULL ? *(const float *)fill->data : cosrel_node_float(net, node, "value", 0);
  uint32_t before[COSREL_ARMNN_RANK_MAX], after[COSREL_ARMNN_RANK_MAX];
  for (uint32_t i = 0; i < rank; i++) {
    uint32_t axis = rank == 4 ? nhwc[i] : i;
    if (list[axis] < 0 || list[axis + rank] < 0) return COSREL_UNSUPPORTED;
    before[i] = (uint32_t)list[axis];
    after[i] = (uint32_t)list[axis + rank];
  }
  int32_t x = cosrel_armnn_dense(planner, in, true);
  return cosrel_armnn_result(planner, cosrel_armnn_out(planner, node),
                             cosrel_armnn_pad(planner->graph, x, before, after, value), true);
}
