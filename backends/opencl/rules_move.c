/* What only moves data: mostly another view of the same bytes, and no launch at all. */
#include <string.h>

#include "backends/lower.h"
#include "backends/opencl/rules.h"

/* ---- One move ---- */

void cosrel_cl_add_move(cosrel_cl_planner *planner, const cosrel_shape *shape, cosrel_cl_ref from,
                        const cosrel_view *from_view, cosrel_cl_ref to, const cosrel_view *to_view) {
  cosrel_move move = cosrel_move_plan(shape, from_view, to_view);
  uint32_t row = move.rank - 2, column = move.rank - 1;
  bool dense = move.from[column] == 1 && move.to[column] == 1;
  bool turned = move.from[row] == 1 && move.to[column] == 1 && move.dims[row] > 1;
  cosrel_cl_launch launch = cosrel_cl_launch_of("move", dense ? "move_rows" : turned ? "move_transpose" : "move_any");
  from.offset += move.from_offset;
  to.offset += move.to_offset;
  cosrel_cl_push_in(&launch, from);
  cosrel_cl_push_out(&launch, to);
  int64_t outer[3][4] = {{1, 1, 1, 1}, {0}, {0}}, count = 1; /* sizes, input's and output's strides */
  for (uint32_t i = 0; i < row; i++) {
    uint32_t at = i + 4 - row;
    outer[0][at] = move.dims[i];
    outer[1][at] = move.from[i];
    outer[2][at] = move.to[i];
    count *= move.dims[i];
  }
  for (int k = 0; k < 3; k++)
    for (int i = 0; i < 4; i++) cosrel_cl_push_int(&launch, outer[k][i]);
  const int64_t inner[] = {move.dims[row],    move.dims[column], move.from[row],
                           move.from[column], move.to[row],      move.to[column]};
  for (int i = 0; i < 6; i++) cosrel_cl_push_int(&launch, inner[i]);
  size_t x = (size_t)move.dims[column], y = (size_t)move.dims[row];
  if (dense) x = (x + 15) / 16;
  if (!dense && turned) x = (x + 3) / 4, y = (y + 3) / 4;
  if (x >= 64)
    cosrel_cl_size(&launch, x, y, (size_t)count, 64, 1, 1);
  else
    cosrel_cl_size(&launch, x, y, (size_t)count, 8, 8, 1);
  cosrel_cl_add(planner, &launch);
}

/* ---- Views ---- */

static bool always(const cosrel_net *net, const cosrel_net_node *node) {
  (void)net, (void)node;
  return true;
}

/* Where strides alone cannot say it, the elements move straight to where the result belongs, if its place can be seen
 * in the input's shape (channel shuffles end so); else through a row-major copy. */
static void reshape(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_shape *from_shape = cosrel_cl_shape(planner, in), *to_shape = cosrel_cl_shape(planner, out);
  cosrel_view view, dense = cosrel_view_dense(to_shape, true), reshaped;
  cosrel_cl_ref source = cosrel_cl_view(planner, in, &view);
  if (cosrel_view_reshape(from_shape, &view, to_shape, &reshaped)) {
    cosrel_cl_alias(planner, out, source, &reshaped);
  } else if (cosrel_view_reshape(to_shape, &dense, from_shape, &reshaped)) {
    cosrel_cl_add_move(planner, from_shape, source, &view, cosrel_cl_result(planner, out, true), &reshaped);
  } else {
    dense = cosrel_view_dense(to_shape, false);
    cosrel_cl_alias(planner, out, cosrel_cl_dense(planner, in, false), &dense);
  }
}

static bool supports_dropout(const cosrel_net *net, const cosrel_net_node *node) {
  return node->n_outputs == 1 || cosrel_net_node_outputs(net, node)[1] < 0;
}

static void transpose(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  const cosrel_attribute *permutation = cosrel_node_ints(planner->net, node, "perm");
  int32_t in = cosrel_cl_input(planner, node, 0);
  uint32_t rank = cosrel_cl_shape(planner, in)->rank;
  cosrel_view view, permuted = {0};
  cosrel_cl_ref source = cosrel_cl_view(planner, in, &view);
  for (uint32_t i = 0; i < rank; i++)
    permuted.strides[i] = view.strides[permutation != NULL ? permutation->ints[i] : rank - 1 - i];
  cosrel_cl_alias(planner, cosrel_cl_output(planner, node), source, &permuted);
}

static void expand(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_shape *narrow = cosrel_cl_shape(planner, in), *wide = cosrel_cl_shape(planner, out);
  cosrel_view view, repeated = {0};
  cosrel_cl_ref source = cosrel_cl_view(planner, in, &view);
  for (uint32_t i = 0; i < narrow->rank; i++)
    repeated.strides[wide->rank - narrow->rank + i] = narrow->dims[i] == 1 ? 0 : view.strides[i];
  cosrel_cl_alias(planner, out, source, &repeated);
}

static bool supports_slice(const cosrel_net *net, const cosrel_net_node *node) {
  int64_t begins[COSREL_RANK_MAX];
  return cosrel_node_slice(net, node, begins);
}

static void slice(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int64_t begins[COSREL_RANK_MAX];
  int32_t in = cosrel_cl_input(planner, node, 0);
  cosrel_view view;
  cosrel_cl_ref source = cosrel_cl_view(planner, in, &view);
  cosrel_node_slice(planner->net, node, begins);
  for (uint32_t i = 0; i < cosrel_cl_shape(planner, in)->rank; i++) view.offset += begins[i] * view.strides[i];
  cosrel_cl_alias(planner, cosrel_cl_output(planner, node), source, &view);
}

static bool supports_split(const cosrel_net *net, const cosrel_net_node *node) {
  for (uint32_t k = 0; k < node->n_outputs; k++)
    if (cosrel_net_node_outputs(net, node)[k] < 0) return false;
  return true;
}

static void split(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0);
  uint32_t axis = cosrel_node_axis(planner->net, node, cosrel_cl_shape(planner, in)->rank, 0);
  cosrel_view view;
  cosrel_cl_ref source = cosrel_cl_view(planner, in, &view);
  for (uint32_t k = 0; k < node->n_outputs; k++) {
    int32_t out = cosrel_net_node_outputs(planner->net, node)[k];
    cosrel_cl_alias(planner, out, source, &view);
    view.offset += view.strides[axis] * cosrel_cl_shape(planner, out)->dims[axis];
  }
}

/* ---- Moves ---- */

static bool supports_concat(const cosrel_net *net, const cosrel_net_node *node) {
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    const cosrel_tensor *in = cosrel_cl_tensor(net, node, i);
    if (in == NULL || in->dtype != COSREL_F32 || cosrel_shape_elements(&in->shape) == 0) return false;
  }
  return true;
}

static void concat(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t out = cosrel_cl_output(planner, node);
  uint32_t axis = cosrel_node_axis(planner->net, node, cosrel_cl_shape(planner, out)->rank, 1);
  cosrel_view to = cosrel_view_dense(cosrel_cl_shape(planner, out), true);
  cosrel_cl_ref result = cosrel_cl_result(planner, out, true);
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    int32_t in = cosrel_cl_input(planner, node, i);
    cosrel_view from;
    cosrel_cl_ref source = cosrel_cl_view(planner, in, &from);
    cosrel_cl_add_move(planner, cosrel_cl_shape(planner, in), source, &from, result, &to);
    to.offset += to.strides[axis] * cosrel_cl_shape(planner, in)->dims[axis];
  }
}

/* The numbers of pads: [rank] before and [rank] behind; NULL when they are not constant. */
static const int64_t *find_pads(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_attribute *list = cosrel_node_ints(net, node, "pads");
  const cosrel_tensor *pads = cosrel_cl_tensor(net, node, 1);
  if (list != NULL) return list->ints;
  return pads != NULL && pads->dtype == COSREL_I64 ? pads->data : NULL;
}

static bool supports_pad(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_tensor *in = cosrel_cl_tensor(net, node, 0), *value = cosrel_cl_tensor(net, node, 2);
  const int64_t *pads = find_pads(net, node);
  if (strcmp(cosrel_node_string(net, node, "mode", "constant"), "constant") != 0 || pads == NULL) return false;
  for (uint32_t i = 0; i < 2 * in->shape.rank; i++)
    if (pads[i] < 0) return false;
  return value == NULL || (value->data != NULL && value->dtype == COSREL_F32);
}

static void pad(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_tensor *fill = cosrel_cl_tensor(planner->net, node, 2);
  const cosrel_shape *to_shape = cosrel_cl_shape(planner, out);
  const int64_t *pads = find_pads(planner->net, node);
  uint64_t elements = cosrel_shape_elements(to_shape);
  cosrel_view from, to = cosrel_view_dense(to_shape, true);
  cosrel_cl_ref source = cosrel_cl_view(planner, in, &from), result = cosrel_cl_result(planner, out, true);
  cosrel_cl_launch launch = cosrel_cl_launch_of("move", "fill");
  cosrel_cl_push_out(&launch, result);
  cosrel_cl_push_int(&launch, (int64_t)elements);
  cosrel_cl_push_float(&launch,
                       fill != NULL ? *(const float *)fill->data : cosrel_node_float(planner->net, node, "value", 0));
  cosrel_cl_size(&launch, (size_t)elements, 1, 1, 64, 1, 1);
  cosrel_cl_add(planner, &launch);
  for (uint32_t i = 0; i < to_shape->rank; i++) to.offset += pads[i] * to.strides[i];
  cosrel_cl_add_move(planner, cosrel_cl_shape(planner, in), source, &from, result, &to);
}

/* DepthToSpace: blocks of b x b channels become pixels. */
static bool supports_depth_to_space(const cosrel_net *net, const cosrel_net_node *node) {
  return cosrel_cl_tensor(net, node, 0)->shape.rank == 4;
}

static void depth_to_space(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_shape *s = cosrel_cl_shape(planner, in), *to_shape = cosrel_cl_shape(planner, out);
  bool columns_first = strcmp(cosrel_node_string(planner->net, node, "mode", "DCR"), "CRD") == 0;
  uint32_t b = to_shape->dims[2] / s->dims[2], c = to_shape->dims[1];
  cosrel_view view, from = {0}, dense = cosrel_view_dense(to_shape, true), to;
  cosrel_cl_ref source = cosrel_cl_view(planner, in, &view), result = cosrel_cl_result(planner, out, true);
  const cosrel_shape shape = {.rank = 6, .dims = {s->dims[0], c, s->dims[2], b, s->dims[3], b}};
  int64_t channel = view.strides[1];
  from.strides[0] = view.strides[0];
  from.strides[1] = columns_first ? channel * b * b : channel;
  from.strides[2] = view.strides[2];
  from.strides[3] = columns_first ? channel * b : channel * c * b;
  from.strides[4] = view.strides[3];
  from.strides[5] = columns_first ? channel : channel * c;
  cosrel_view_reshape(to_shape, &dense, &shape, &to); /* splits axes of a dense tensor: always possible */
  cosrel_cl_add_move(planner, &shape, source, &from, result, &to);
}

const cosrel_cl_rule cosrel_cl_move_rules[] = {
    {"Cast", always, reshape}, /* float to float: others have no rule at all */
    {"Concat", supports_concat, concat},
    {"DepthToSpace", supports_depth_to_space, depth_to_space},
    {"Dropout", supports_dropout, reshape},
    {"Expand", always, expand},
    {"Flatten", always, reshape},
    {"Identity", always, reshape},
    {"Pad", supports_pad, pad},
    {"Reshape", always, reshape},
    {"Slice", supports_slice, slice},
    {"Split", supports_split, split},
    {"Squeeze", always, reshape},
    {"Transpose", always, transpose},
    {"Unsqueeze", always, reshape},
    {NULL, NULL, NULL},
};
