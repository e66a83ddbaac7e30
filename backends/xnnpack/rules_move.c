#include <string.h>

#include "backends/lower.h"
#include "backends/reference/operators.h"
#include "backends/xnnpack/rules.h"

static const cosrel_shape *shape_of(const cosrel_xnn_planner *planner, int32_t value) {
  return &planner->net->values[value].tensor.shape;
}

static int32_t first_input(const cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  return cosrel_net_node_inputs(planner->net, node)[0];
}

/* Where strides alone cannot say it, the elements move straight to where the result belongs, if its place can be seen
 * in the input's shape (channel shuffles end so); else through a row-major copy. */
cosrel_status cosrel_xnn_reshape(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  int32_t in = first_input(planner, node), out = cosrel_xnn_out(planner, node);
  const cosrel_shape *from_shape = shape_of(planner, in), *to_shape = shape_of(planner, out);
  cosrel_view view, dense = cosrel_view_dense(to_shape, true), reshaped;
  cosrel_xnn_ref source = cosrel_xnn_view(planner, in, &view);
  if (cosrel_view_reshape(from_shape, &view, to_shape, &reshaped)) {
    cosrel_xnn_alias(planner, out, source, &reshaped);
  } else if (cosrel_view_reshape(to_shape, &dense, from_shape, &reshaped)) {
    cosrel_xnn_add_move(planner, from_shape, source, &view, cosrel_xnn_result(planner, out, true), &reshaped);
  } else {
    dense = cosrel_view_dense(to_shape, false);
    cosrel_xnn_alias(planner, out, cosrel_xnn_dense(planner, in, false), &dense);
  }
  return COSREL_OK;
}

cosrel_status cosrel_xnn_transpose(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_attribute *permutation = cosrel_node_ints(planner->net, node, "perm");
  int32_t in = first_input(planner, node);
  uint32_t rank = shape_of(planner, in)->rank;
  cosrel_view view, permuted = {0};
  cosrel_xnn_ref source = cosrel_xnn_view(planner, in, &view);
  for (uint32_t i = 0; i < rank; i++) {
    permuted.strides[i] = view.strides[permutation != NULL ? permutation->ints[i] : rank - 1 - i];
  }
  cosrel_xnn_alias(planner, cosrel_xnn_out(planner, node), source, &permuted);
  return COSREL_OK;
}

cosrel_status cosrel_xnn_expand(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  int32_t in = first_input(planner, node), out = cosrel_xnn_out(planner, node);
  const cosrel_shape *narrow = shape_of(planner, in), *wide = shape_of(planner, out);
  cosrel_view view, repeated = {0};
  cosrel_xnn_ref source = cosrel_xnn_view(planner, in, &view);
  for (uint32_t i = 0; i < narrow->rank; i++) {
    uint32_t axis = wide->rank - narrow->rank + i;
    repeated.strides[axis] = narrow->dims[i] == 1 ? 0 : view.strides[i];
  }
  cosrel_xnn_alias(planner, out, source, &repeated);
  return COSREL_OK;
}

cosrel_status cosrel_xnn_slice(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  int64_t begins[COSREL_RANK_MAX];
  if (!cosrel_node_slice(planner->net, node, begins)) return COSREL_UNSUPPORTED;
  int32_t in = first_input(planner, node);
  cosrel_view view;
  cosrel_xnn_ref source = cosrel_xnn_view(planner, in, &view);
  for (uint32_t i = 0; i < shape_of(planner, in)->rank; i++) view.offset += begins[i] * view.strides[i];
  cosrel_xnn_alias(planner, cosrel_xnn_out(planner, node), source, &view);
  return COSREL_OK;
}

cosrel_status cosrel_xnn_split(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  int32_t in = first_input(planner, node);
  uint32_t axis = cosrel_node_axis(planner->net, node, shape_of(planner, in)->rank, 0);
  cosrel_view view;
  cosrel_xnn_ref source = cosrel_xnn_view(planner, in, &view);
  for (uint32_t k = 0; k < node->n_outputs; k++) {
    int32_t out = cosrel_net_node_outputs(planner->net, node)[k];
    if (out < 0) return COSREL_UNSUPPORTED;
    cosrel_xnn_alias(planner, out, source, &view);
    view.offset += view.strides[axis] * shape_of(planner, out)->dims[axis];
  }
  return COSREL_OK;
}

cosrel_status cosrel_xnn_concat(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  int32_t out = cosrel_xnn_out(planner, node);
  uint32_t axis = cosrel_node_axis(planner->net, node, shape_of(planner, out)->rank, 1);
  if (planner->net->values[out].tensor.dtype != COSREL_F32) return COSREL_UNSUPPORTED;
  cosrel_view to = cosrel_view_dense(shape_of(planner, out), true);
  cosrel_xnn_ref result = cosrel_xnn_result(planner, out, true);
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    int32_t in = cosrel_net_node_inputs(planner->net, node)[i];
    cosrel_view from;
    cosrel_xnn_ref source = cosrel_xnn_view(planner, in, &from);
    cosrel_xnn_add_move(planner, shape_of(planner, in), source, &from, result, &to);
    to.offset += to.strides[axis] * shape_of(planner, in)->dims[axis];
  }
  return COSREL_OK;
}

/* ---- Pad ---- */

static enum xnn_status setup_pad(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases, pthreadpool_t pool) {
  return xnn_setup_constant_pad_nd_x32(step->op, step->pad.rank, step->pad.dims, step->pad.before, step->pad.after,
                                       cosrel_xnn_read(bases, &step->in[0]), cosrel_xnn_write(bases, &step->out), pool);
}

cosrel_status cosrel_xnn_pad(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  static const uint32_t nhwc[4] = {0, 2, 3, 1};
  const cosrel_net *net = planner->net;
  const cosrel_shape *in = &cosrel_xnn_in(planner, node, 0)->shape;
  const cosrel_tensor *pads = cosrel_xnn_in(planner, node, 1), *fill = cosrel_xnn_in(planner, node, 2);
  const cosrel_attribute *old_pads = cosrel_node_ints(net, node, "pads");
  if (strcmp(cosrel_node_string(net, node, "mode", "constant"), "constant") != 0 || in->rank == 0 ||
      (fill != NULL && (fill->data == NULL || fill->dtype != COSREL_F32))) {
    return COSREL_UNSUPPORTED;
  }
  const int64_t *list = old_pads != NULL ? old_pads->ints : pads != NULL ? pads->data : NULL;
  if (list == NULL) return COSREL_UNSUPPORTED;
  float value = fill != NULL ? *(const float *)fill->data : cosrel_node_float(net, node, "value", 0);
  cosrel_xnn_step plan = {.setup = setup_pad, .pad = {.rank = in->rank}};
  for (uint32_t i = 0; i < in->rank; i++) {
    uint32_t axis = in->rank == 4 ? nhwc[i] : i;
    if (list[axis] < 0 || list[axis + in->rank] < 0) return COSREL_UNSUPPORTED;
    plan.pad.dims[i] = in->dims[axis];
    plan.pad.before[i] = (size_t)list[axis];
    plan.pad.after[i] = (size_t)list[axis + in->rank];
  }
  if (xnn_create_constant_pad_nd_x32(&value, XNN_FLAG_YIELD_WORKERS, &plan.op) != xnn_status_success) {
    return COSREL_UNSUPPORTED;
  }
  plan.in[0] = cosrel_xnn_dense(planner, first_input(planner, node), true);
  plan.out = cosrel_xnn_result(planner, cosrel_xnn_out(planner, node), true);
  cosrel_xnn_step *step = cosrel_xnn_add_step(planner);
  if (step == NULL) {
    xnn_delete_operator(plan.op);
    return COSREL_NOMEM;
  }
  *step = plan;
  return COSREL_OK;
}
