#include "backends/node.h"

#include <math.h>
#include <string.h>

#include "backends/lower.h"
#include "backends/reference/operators.h"

const cosrel_tensor *cosrel_node_in(const cosrel_net *net, const cosrel_net_node *node, uint32_t i) {
  if (i >= node->n_inputs) return NULL;
  int32_t value = cosrel_net_node_inputs(net, node)[i];
  return value < 0 ? NULL : &net->values[value].tensor;
}

static const cosrel_shape *out_shape(const cosrel_net *net, const cosrel_net_node *node) {
  return &net->values[cosrel_net_node_outputs(net, node)[0]].tensor.shape;
}

/* ---- Clip ---- */

/* A limit of Clip: an attribute in older files, a constant input in newer ones. */
static bool find_limit(const cosrel_net *net, const cosrel_net_node *node, const char *name, uint32_t input,
                       float *limit) {
  *limit = cosrel_node_float(net, node, name, *limit);
  const cosrel_tensor *tensor = cosrel_node_in(net, node, input);
  if (tensor == NULL) return true;
  if (tensor->data == NULL || tensor->dtype != COSREL_F32) return false;
  *limit = *(const float *)tensor->data;
  return true;
}

bool cosrel_node_clamp(const cosrel_net *net, const cosrel_net_node *node, float *low, float *high) {
  *low = -INFINITY;
  *high = INFINITY;
  if (strcmp(node->op->name, "Relu") == 0) {
    *low = 0;
    return true;
  }
  return strcmp(node->op->name, "Clip") == 0 && find_limit(net, node, "min", 1, low) &&
         find_limit(net, node, "max", 2, high) && *low < *high;
}

/* ---- Pools ---- */

bool cosrel_node_pool_window(const cosrel_net *net, const cosrel_net_node *node, cosrel_window *window) {
  const cosrel_shape *in = &cosrel_node_in(net, node, 0)->shape, *out = out_shape(net, node);
  *window = cosrel_node_window(net, node);
  for (uint32_t axis = 0; axis < 2; axis++) {
    int64_t stride = window->stride[axis], before = window->pad[axis], size = in->dims[2 + axis];
    int64_t reach = (int64_t)window->dilation[axis] * (window->kernel[axis] - 1) + 1;
    int64_t last = (int64_t)(out->dims[2 + axis] - 1) * stride - before; /* where the last window begins */
    int64_t after = last + reach - size;
    if (before >= reach || last >= size) return false;
    window->pad[axis + 2] = after > 0 ? (uint32_t)after : 0;
  }
  return true;
}

/* ---- Resize ---- */

/* Whether the scales that the node states, if any, are exactly the ratios of the sizes. */
static bool scales_are_ratios(const cosrel_net *net, const cosrel_net_node *node, bool modern) {
  const cosrel_tensor *scales = cosrel_node_in(net, node, modern ? 2 : 1);
  if (scales == NULL || cosrel_shape_elements(&scales->shape) == 0) return true;
  if (scales->data == NULL || scales->dtype != COSREL_F32 || cosrel_shape_elements(&scales->shape) != 4) return false;
  const cosrel_shape *in = &cosrel_node_in(net, node, 0)->shape, *out = out_shape(net, node);
  for (uint32_t i = 0; i < 4; i++) {
    if (((const float *)scales->data)[i] * (float)in->dims[i] != (float)out->dims[i]) return false;
  }
  return true;
}

cosrel_resize cosrel_node_resize(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_shape *in = &cosrel_node_in(net, node, 0)->shape, *out = out_shape(net, node);
  bool modern = net->opset >= 11 && strcmp(node->op->name, "Resize") == 0;
  const char *mode = cosrel_node_string(net, node, "mode", "nearest");
  const char *coordinates =
      cosrel_node_string(net, node, "coordinate_transformation_mode", modern ? "half_pixel" : "asymmetric");
  const char *rounding = cosrel_node_string(net, node, "nearest_mode", modern ? "round_prefer_floor" : "floor");
  bool half_pixel = strcmp(coordinates, "half_pixel") == 0, asymmetric = strcmp(coordinates, "asymmetric") == 0;
  if (in->rank != 4 || in->dims[0] != out->dims[0] || in->dims[1] != out->dims[1] ||
      !scales_are_ratios(net, node, modern)) {
    return COSREL_RESIZE_OTHER;
  }
  if (strcmp(mode, "nearest") == 0) {
    bool whole = out->dims[2] % in->dims[2] == 0 && out->dims[3] % in->dims[3] == 0;
    bool plain =
        (asymmetric && strcmp(rounding, "floor") == 0) || (half_pixel && strcmp(rounding, "round_prefer_floor") == 0);
    return whole && plain ? COSREL_RESIZE_REPEAT : COSREL_RESIZE_OTHER;
  }
  if (strcmp(mode, "linear") != 0) return COSREL_RESIZE_OTHER;
  if (asymmetric) return COSREL_RESIZE_LINEAR;
  if (strcmp(coordinates, "align_corners") == 0) return COSREL_RESIZE_LINEAR_ALIGNED;
  return half_pixel ? COSREL_RESIZE_LINEAR_HALF_PIXEL : COSREL_RESIZE_OTHER;
}
