#include <stdlib.h>
#include <string.h>

#include "backends/armnn/rules.h"
#include "backends/lower.h"
#include "backends/node.h"
#include "backends/reference/operators.h"

#define GROUPS_MAX 32 /* of a convolution that is made of as many */

/* Of output 0 of the node, an image. */
static cosrel_shape out_dims(const cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  return cosrel_armnn_dims(cosrel_armnn_shape(planner, cosrel_armnn_out(planner, node)), true);
}

static cosrel_status image(cosrel_armnn_planner *planner, const cosrel_net_node *node, int32_t tensor) {
  return cosrel_armnn_result(planner, cosrel_armnn_out(planner, node), tensor, true);
}

static const cosrel_shape *in_shape(const cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  return cosrel_armnn_shape(planner, cosrel_armnn_in(planner, node, 0));
}

/* ---- Convolutions ---- */

/* With groups: each on its own channels, then side by side. `packed`: [M, kernel, C / groups]. */
static int32_t add_groups(cosrel_armnn_planner *planner, int32_t x, uint32_t groups, const cosrel_window *window,
                          const cosrel_shape *in, const cosrel_shape *out, const float *packed, const float *bias) {
  int32_t parts[GROUPS_MAX];
  cosrel_shape from = *in, to = *out;
  from.dims[3] /= groups;
  to.dims[3] /= groups;
  size_t weights = (size_t)to.dims[3] * from.dims[3] * window->kernel[0] * window->kernel[1];
  for (uint32_t g = 0; g < groups; g++) {
    uint32_t begin[4] = {0, 0, 0, g * from.dims[3]};
    parts[g] = cosrel_armnn_slice(planner->graph, x, begin, &from);
    parts[g] = cosrel_armnn_conv(planner->graph, parts[g], COSREL_ARMNN_CONV, window, packed + g * weights,
                                 bias != NULL ? bias + (size_t)g * to.dims[3] : NULL, &to);
  }
  return cosrel_armnn_concat(planner->graph, parts, groups, 3);
}

static bool has_weights(const cosrel_tensor *weights, const cosrel_tensor *bias) {
  return weights != NULL && weights->data != NULL && weights->shape.rank == 4 && (bias == NULL || bias->data != NULL);
}

cosrel_status cosrel_armnn_rule_conv(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_tensor *weights = cosrel_node_in(planner->net, node, 1), *bias = cosrel_node_in(planner->net, node, 2);
  uint32_t groups = (uint32_t)cosrel_node_int(planner->net, node, "group", 1), c = in_shape(planner, node)->dims[1];
  bool depthwise = groups > 1 && groups == c;
  if (!has_weights(weights, bias) || (!depthwise && groups > GROUPS_MAX)) return COSREL_UNSUPPORTED;
  cosrel_window window = cosrel_node_window(planner->net, node);
  cosrel_shape in = cosrel_armnn_dims(in_shape(planner, node), true), out = out_dims(planner, node);
  const float *shift = bias != NULL ? bias->data : NULL;
  int32_t x = cosrel_armnn_dense(planner, cosrel_armnn_in(planner, node, 0), true);
  if (depthwise)
    return image(planner, node,
                 cosrel_armnn_conv(planner->graph, x, COSREL_ARMNN_DEPTHWISE, &window, weights->data, shift, &out));
  float *packed = malloc(cosrel_tensor_bytes(weights));
  if (packed == NULL) return COSREL_NOMEM;
  cosrel_layout_to_arena(&weights->shape, weights->data, packed);
  int32_t y = groups > 1 ? add_groups(planner, x, groups, &window, &in, &out, packed, shift)
                         : cosrel_armnn_conv(planner->graph, x, COSREL_ARMNN_CONV, &window, packed, shift, &out);
  free(packed);
  return image(planner, node, y);
}

/* ONNX: [C, M, kernel], Arm NN: [M, kernel, C]. */
cosrel_status cosrel_armnn_rule_conv_transpose(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_tensor *weights = cosrel_node_in(planner->net, node, 1), *bias = cosrel_node_in(planner->net, node, 2);
  if (!has_weights(weights, bias) || cosrel_node_int(planner->net, node, "group", 1) != 1 ||
      cosrel_node_attribute(planner->net, node, "output_shape") != NULL ||
      strcmp(cosrel_node_string(planner->net, node, "auto_pad", "NOTSET"), "NOTSET") != 0) {
    return COSREL_UNSUPPORTED;
  }
  cosrel_window window = cosrel_node_window(planner->net, node);
  cosrel_shape in = cosrel_armnn_dims(in_shape(planner, node), true), out = out_dims(planner, node);
  for (uint32_t axis = 0; axis < 2; axis++) { /* output_padding cuts less from the end */
    int64_t whole = (int64_t)(in.dims[1 + axis] - 1) * window.stride[axis] + window.kernel[axis];
    int64_t after = whole - window.pad[axis] - out.dims[1 + axis];
    if (window.dilation[axis] != 1 || after < 0) return COSREL_UNSUPPORTED;
    window.pad[axis + 2] = (uint32_t)after;
  }
  cosrel_shape turned = {.rank = 3, .dims = {out.dims[3], window.kernel[0] * window.kernel[1], in.dims[3]}};
  cosrel_view from = {.strides = {turned.dims[1], 1, (int64_t)turned.dims[0] * turned.dims[1]}};
  cosrel_view to = cosrel_view_dense(&turned, false);
  cosrel_move move = cosrel_move_plan(&turned, &from, &to);
  float *packed = malloc(cosrel_tensor_bytes(weights));
  if (packed == NULL) return COSREL_NOMEM;
  cosrel_move_run(&move, weights->data, packed);
  int32_t x = cosrel_armnn_dense(planner, cosrel_armnn_in(planner, node, 0), true);
  int32_t y = cosrel_armnn_conv(planner->graph, x, COSREL_ARMNN_CONV_TRANSPOSE, &window, packed,
                                bias != NULL ? bias->data : NULL, &out);
  free(packed);
  return image(planner, node, y);
}

/* ---- Pools ---- */

cosrel_status cosrel_armnn_rule_pool(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  if (in_shape(planner, node)->rank != 4 || node->n_outputs > 1) return COSREL_UNSUPPORTED;
  cosrel_window stated = cosrel_node_window(planner->net, node), window;
  if (!cosrel_node_pool_window(planner->net, node, &window) || window.dilation[0] != 1 || window.dilation[1] != 1)
    return COSREL_UNSUPPORTED;
  cosrel_armnn_pool_kind kind = strcmp(node->op->name, "MaxPool") == 0 ? COSREL_ARMNN_MAX : COSREL_ARMNN_AVERAGE;
  if (kind == COSREL_ARMNN_AVERAGE && cosrel_node_int(planner->net, node, "count_include_pad", 0) != 0) {
    /* What ceil_mode adds beyond the stated pads would not count. */
    if (window.pad[2] > stated.pad[2] || window.pad[3] > stated.pad[3]) return COSREL_UNSUPPORTED;
    kind = COSREL_ARMNN_AVERAGE_WITH_PADS;
  }
  cosrel_shape out = out_dims(planner, node);
  int32_t x = cosrel_armnn_dense(planner, cosrel_armnn_in(planner, node, 0), true);
  return image(planner, node, cosrel_armnn_pool(planner->graph, x, kind, &window, &out));
}

cosrel_status cosrel_armnn_rule_global_pool(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_shape *in = in_shape(planner, node);
  if (in->rank != 4) return COSREL_UNSUPPORTED;
  cosrel_window window = {.kernel = {in->dims[2], in->dims[3]}, .stride = {1, 1}, .dilation = {1, 1}};
  cosrel_armnn_pool_kind kind = strcmp(node->op->name, "GlobalMaxPool") == 0 ? COSREL_ARMNN_MAX : COSREL_ARMNN_AVERAGE;
  cosrel_shape out = out_dims(planner, node);
  int32_t x = cosrel_armnn_dense(planner, cosrel_armnn_in(planner, node, 0), true);
  return image(planner, node, cosrel_armnn_pool(planner->graph, x, kind, &window, &out));
}

/* ---- Resize ---- */

cosrel_status cosrel_armnn_rule_resize(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  static const cosrel_armnn_resize_kind kinds[] = {
      [COSREL_RESIZE_REPEAT] = COSREL_ARMNN_NEAREST,
      [COSREL_RESIZE_LINEAR] = COSREL_ARMNN_BILINEAR,
      [COSREL_RESIZE_LINEAR_ALIGNED] = COSREL_ARMNN_BILINEAR_ALIGNED,
      [COSREL_RESIZE_LINEAR_HALF_PIXEL] = COSREL_ARMNN_BILINEAR_HALF_PIXEL,
  };
  cosrel_resize kind = cosrel_node_resize(planner->net, node);
  if (kind == COSREL_RESIZE_OTHER) return COSREL_UNSUPPORTED;
  cosrel_shape out = out_dims(planner, node);
  int32_t x = cosrel_armnn_dense(planner, cosrel_armnn_in(planner, node, 0), true);
  return image(planner, node, cosrel_armnn_resize(planner->graph, x, kinds[kind], &out));
}

/* ---- Normalisations ---- */

/* An even number of channels around is not the same ones in Arm NN. */
cosrel_status cosrel_armnn_rule_lrn(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_net *net = planner->net;
  uint32_t size = (uint32_t)cosrel_node_int(net, node, "size", 1);
  if (in_shape(planner, node)->rank != 4 || size % 2 == 0) return COSREL_UNSUPPORTED;
  int32_t x = cosrel_armnn_dense(planner, cosrel_armnn_in(planner, node, 0), true);
  return image(planner, node,
               cosrel_armnn_lrn(planner->graph, x, size, cosrel_node_float(net, node, "alpha", 1e-4F) / (float)size,
                                cosrel_node_float(net, node, "beta", 0.75F), cosrel_node_float(net, node, "bias", 1)));
}

/* One that nothing before it could take in. */
cosrel_status cosrel_armnn_rule_batch_norm(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  const float *each[5];
  for (uint32_t i = 1; i < 5; i++) {
    const cosrel_tensor *tensor = cosrel_node_in(planner->net, node, i);
    if (tensor == NULL || tensor->data == NULL) return COSREL_UNSUPPORTED;
    each[i] = tensor->data;
  }
  if (in_shape(planner, node)->rank != 4) return COSREL_UNSUPPORTED;
  int32_t x = cosrel_armnn_dense(planner, cosrel_armnn_in(planner, node, 0), true);
  return image(planner, node,
               cosrel_armnn_batch_norm(planner->graph, x, each[3], each[4], each[1], each[2],
                                       cosrel_node_float(planner->net, node, "epsilon", 1e-5F)));
}
