/* Convolutions, dense layers and matrix products, by whichever way of backends/opencl/layer.h is fastest. */
#include <stdlib.h>
#include <string.h>

#include "backends/lower.h"
#include "backends/opencl/rules.h"
#include "backends/opencl/tuner.h"

static bool is_constant(const cosrel_tensor *tensor) { return tensor != NULL && tensor->data != NULL; }

static bool is_dense_layer(const cosrel_tensor *a, const cosrel_tensor *b) {
  return a->data == NULL && is_constant(b) && b->shape.rank == 2;
}

static void add_launches(cosrel_cl_planner *planner, const cosrel_cl_layer *layer, const cosrel_cl_way *way,
                         const cosrel_cl_layer_places *places) {
  uint32_t n = cosrel_cl_layer_launches(layer, way);
  for (uint32_t i = 0; i < n; i++) {
    cosrel_cl_launch launch = cosrel_cl_layer_launch(layer, way, places, i);
    cosrel_cl_add(planner, &launch);
  }
}

bool cosrel_cl_has_weights(const cosrel_net *net, const cosrel_net_node *node) {
  static const char *const names[] = {"Conv", "ConvTranspose", "Gemm"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(names[i], node->op->name) == 0) return true;
  return strcmp(node->op->name, "MatMul") == 0 &&
         is_dense_layer(cosrel_cl_tensor(net, node, 0), cosrel_cl_tensor(net, node, 1));
}

/* Weights are packed, bias and zeros follow each other in one constant. */
static void add_conv(cosrel_cl_planner *planner, cosrel_cl_layer *layer, const cosrel_cl_weights *weights,
                     cosrel_cl_ref in, cosrel_cl_ref out) {
  if (planner->half) layer->half = planner->device->fp16 ? COSREL_CL_HALF : COSREL_CL_HALF_WEIGHTS;
  cosrel_cl_way way = cosrel_cl_tuner_choose(planner->tuner, layer);
  cosrel_cl_layer_sizes sizes = cosrel_cl_layer_measure(layer, &way);
  cosrel_cl_layer_places places = {.in = in, .out = out};
  float *packed = cosrel_cl_add_constant(planner, sizes.weights, &places.weights);
  float *bias = cosrel_cl_add_constant(planner, sizes.bias + sizes.zeros, &places.bias);
  if (packed == NULL || bias == NULL) return;
  cosrel_cl_layer_pack(layer, &way, weights, packed, bias);
  if (layer->half != COSREL_CL_WIDE) cosrel_cl_halve(planner, places.weights);
  places.zeros = places.bias;
  places.zeros.offset += (int64_t)sizes.bias;
  if (sizes.scratch > 0) places.scratch = cosrel_cl_scratch(planner, sizes.scratch);
  add_launches(planner, layer, &way, &places);
}

/* ---- Convolutions ---- */

static bool supports_conv(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_tensor *weights = cosrel_cl_tensor(net, node, 1), *bias = cosrel_cl_tensor(net, node, 2);
  return cosrel_cl_tensor(net, node, 0)->shape.rank == 4 && is_constant(weights) && weights->shape.rank == 4 &&
         weights->dtype == COSREL_F32 && (bias == NULL || is_constant(bias));
}

/* Pads at the beginning of an axis, where the window of a transposed convolution leaves them to output_shape or
 * auto_pad, are not known here. */
static bool supports_transposed(const cosrel_net *net, const cosrel_net_node *node) {
  return supports_conv(net, node) && cosrel_node_attribute(net, node, "output_shape") == NULL &&
         strcmp(cosrel_node_string(net, node, "auto_pad", "NOTSET"), "NOTSET") == 0;
}

static void plan_conv(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  const cosrel_net *net = planner->net;
  const cosrel_tensor *w = cosrel_cl_tensor(net, node, 1), *b = cosrel_cl_tensor(net, node, 2);
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const uint32_t *from = cosrel_cl_shape(planner, in)->dims, *to = cosrel_cl_shape(planner, out)->dims;
  cosrel_cl_layer layer = {
      .n = from[0], .in_h = from[2], .in_w = from[3], .in_c = from[1], .out_h = to[2], .out_w = to[3], .out_c = to[1]};
  layer.transposed = strcmp(node->op->name, "ConvTranspose") == 0;
  layer.groups = (uint32_t)cosrel_node_int(net, node, "group", 1);
  layer.window = cosrel_node_window(net, node);
  int64_t taps = (int64_t)w->shape.dims[2] * w->shape.dims[3];
  int64_t in_group = layer.in_c / layer.groups, out_group = layer.out_c / layer.groups;
  cosrel_cl_weights weights = {.data = w->data, .bias = b != NULL ? b->data : NULL};
  weights.group_stride = in_group * out_group * taps;
  weights.out_stride = layer.transposed ? taps : in_group * taps;
  weights.in_stride = layer.transposed ? out_group * taps : taps;
  out = cosrel_cl_take_activation(planner, out, &layer.activation);
  cosrel_cl_ref source = cosrel_cl_dense(planner, in, true);
  add_conv(planner, &layer, &weights, source, cosrel_cl_result(planner, out, true));
}

/* ---- Dense layers: rows x depth by a constant depth x columns ---- */

static cosrel_cl_layer dense_layer(uint32_t rows, uint32_t depth, uint32_t columns) {
  return (cosrel_cl_layer){.n = 1,
                           .in_h = rows,
                           .in_w = 1,
                           .in_c = depth,
                           .out_h = rows,
                           .out_w = 1,
                           .out_c = columns,
                           .groups = 1,
                           .window = {.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}}};
}

/* Gemm's third input: nothing, one number, or one per column. */
static bool is_bias(const cosrel_tensor *c, uint32_t columns) {
  if (c == NULL) return true;
  uint64_t n = cosrel_shape_elements(&c->shape);
  bool along = n == columns && c->shape.rank > 0 && c->shape.dims[c->shape.rank - 1] == columns;
  return is_constant(c) && c->dtype == COSREL_F32 && (along || n == 1);
}

static bool supports_gemm(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_tensor *a = cosrel_cl_tensor(net, node, 0), *b = cosrel_cl_tensor(net, node, 1);
  bool turned = cosrel_node_int(net, node, "transB", 0) != 0;
  return a->data == NULL && cosrel_node_int(net, node, "transA", 0) == 0 && is_constant(b) && b->dtype == COSREL_F32 &&
         is_bias(cosrel_cl_tensor(net, node, 2), b->shape.dims[turned ? 0 : 1]);
}

static void plan_gemm(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  const cosrel_net *net = planner->net;
  const cosrel_tensor *b = cosrel_cl_tensor(net, node, 1), *c = cosrel_cl_tensor(net, node, 2);
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_shape *shape = cosrel_cl_shape(planner, in);
  bool turned = cosrel_node_int(net, node, "transB", 0) != 0;
  uint32_t depth = shape->dims[1], columns = b->shape.dims[turned ? 0 : 1];
  float alpha = cosrel_node_float(net, node, "alpha", 1), beta = cosrel_node_float(net, node, "beta", 1);
  size_t n = alpha == 1 ? 0 : (size_t)depth * columns; /* weights may be hundreds of MB: copied only to be scaled */
  float *bias = malloc((columns + n) * sizeof *bias);
  if (bias == NULL) {
    planner->status = COSREL_NOMEM;
    return;
  }
  float *scaled = bias + columns;
  for (size_t i = 0; i < n; i++) scaled[i] = alpha * ((const float *)b->data)[i];
  for (uint32_t i = 0; c != NULL && i < columns; i++)
    bias[i] = beta * ((const float *)c->data)[cosrel_shape_elements(&c->shape) == 1 ? 0 : i];
  cosrel_cl_weights weights = {.data = n > 0 ? scaled : b->data, .bias = c != NULL ? bias : NULL};
  weights.out_stride = turned ? depth : 1;
  weights.in_stride = turned ? 1 : columns;
  cosrel_cl_layer layer = dense_layer(shape->dims[0], depth, columns);
  out = cosrel_cl_take_activation(planner, out, &layer.activation);
  cosrel_cl_ref source = cosrel_cl_dense(planner, in, false);
  add_conv(planner, &layer, &weights, source, cosrel_cl_result(planner, out, false));
  free(bias);
}

/* ---- Products of two tensors ---- */

/* Strides of an operand along the product's leading axes, 0 where it repeats, as two numbers: along the last of them
 * and along those before. False when two do not say it. */
static bool find_batch(const cosrel_shape *operand, const cosrel_view *view, const cosrel_shape *out, uint32_t inner,
                       int64_t *outer_stride, int64_t *inner_stride) {
  uint32_t axes = out->rank - 2, own = operand->rank - 2;
  int64_t stride[COSREL_RANK_MAX] = {0};
  for (uint32_t i = 0; i < own; i++)
    if (operand->dims[i] != 1) stride[axes - own + i] = view->strides[i];
  *inner_stride = inner > 1 ? stride[axes - 1] : 0;
  *outer_stride = 0;
  int64_t expected = -1;
  for (uint32_t i = inner > 1 ? axes - 1 : axes; i-- > 0;) {
    if (out->dims[i] == 1) continue;
    if (expected < 0) *outer_stride = expected = stride[i];
    if (stride[i] != expected) return false;
    expected *= out->dims[i];
  }
  return true;
}

static bool has_batch(const cosrel_shape *operand, const cosrel_shape *out) {
  const cosrel_view dense = cosrel_view_dense(operand, false);
  int64_t outer, inner;
  return find_batch(operand, &dense, out, out->rank > 2 ? out->dims[out->rank - 3] : 1, &outer, &inner);
}

static bool supports_matmul(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_tensor *a = cosrel_cl_tensor(net, node, 0), *b = cosrel_cl_tensor(net, node, 1);
  const cosrel_shape *out = &net->values[cosrel_net_node_outputs(net, node)[0]].tensor.shape;
  return a->shape.rank >= 2 && b != NULL && b->shape.rank >= 2 && b->dtype == COSREL_F32 &&
         cosrel_shape_elements(&b->shape) > 0 && has_batch(&a->shape, out) && has_batch(&b->shape, out);
}

static void plan_constant(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  const cosrel_tensor *b = cosrel_cl_tensor(planner->net, node, 1);
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  uint32_t depth = b->shape.dims[0], columns = b->shape.dims[1];
  uint32_t rows = (uint32_t)(cosrel_shape_elements(cosrel_cl_shape(planner, in)) / depth);
  cosrel_cl_weights weights = {b->data, NULL, 0, 1, columns};
  cosrel_cl_layer layer = dense_layer(rows, depth, columns);
  out = cosrel_cl_take_bias(planner, out, columns, &weights.bias);
  out = cosrel_cl_take_activation(planner, out, &layer.activation);
  cosrel_cl_ref source = cosrel_cl_dense(planner, in, false);
  add_conv(planner, &layer, &weights, source, cosrel_cl_result(planner, out, false));
}

/* Where an operand lies and its strides along rows, columns and the batch; made dense where these do not suffice. */
typedef struct operand {
  cosrel_cl_ref ref;
  int64_t row, column, outer, inner;
} operand;

static operand find_operand(cosrel_cl_planner *planner, int32_t value, const cosrel_shape *out, uint32_t inner,
                            bool dense_columns) {
  const cosrel_shape *shape = cosrel_cl_shape(planner, value);
  cosrel_view view;
  operand o = {.ref = cosrel_cl_view(planner, value, &view)};
  uint32_t r = shape->rank - 2, c = shape->rank - 1;
  bool suits = !dense_columns || view.strides[c] == 1 || shape->dims[c] == 1;
  if (!suits || !find_batch(shape, &view, out, inner, &o.outer, &o.inner)) {
    o.ref = cosrel_cl_dense(planner, value, false);
    view = cosrel_view_dense(shape, false);
    find_batch(shape, &view, out, inner, &o.outer, &o.inner);
  }
  o.ref.offset += view.offset;
  o.row = view.strides[r];
  o.column = view.strides[c];
  return o;
}

static void plan_matmul(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t a = cosrel_cl_input(planner, node, 0), b = cosrel_cl_input(planner, node, 1);
  int32_t out = cosrel_cl_output(planner, node);
  if (is_dense_layer(cosrel_cl_tensor(planner->net, node, 0), cosrel_cl_tensor(planner->net, node, 1))) {
    plan_constant(planner, node);
    return;
  }
  const cosrel_shape *as = cosrel_cl_shape(planner, a), *bs = cosrel_cl_shape(planner, b);
  const cosrel_shape *os = cosrel_cl_shape(planner, out);
  cosrel_cl_layer layer = {.is_product = true, .groups = 1, .batch = 1, .inner = 1};
  for (uint32_t i = 0; i + 2 < os->rank; i++) layer.batch *= os->dims[i];
  if (os->rank > 2) layer.inner = os->dims[os->rank - 3];
  layer.rows = as->dims[as->rank - 2];
  layer.depth = as->dims[as->rank - 1];
  layer.columns = bs->dims[bs->rank - 1];
  operand left = find_operand(planner, a, os, layer.inner, true);
  operand right = find_operand(planner, b, os, layer.inner, false);
  layer.a_row = left.row;
  layer.a_outer = left.outer;
  layer.a_inner = left.inner;
  layer.b_row = right.row;
  layer.b_column = right.column;
  layer.b_outer = right.outer;
  layer.b_inner = right.inner;
  out = cosrel_cl_take_activation(planner, out, &layer.activation);
  cosrel_cl_way way = cosrel_cl_tuner_choose(planner->tuner, &layer);
  cosrel_cl_layer_sizes sizes = cosrel_cl_layer_measure(&layer, &way);
  cosrel_cl_layer_places places = {.in = left.ref, .weights = right.ref};
  if (cosrel_cl_add_constant(planner, sizes.bias, &places.bias) == NULL) return;
  places.scratch = cosrel_cl_scratch(planner, sizes.scratch);
  places.out = cosrel_cl_result(planner, out, false);
  add_launches(planner, &layer, &way, &places);
}

const cosrel_cl_rule cosrel_cl_product_rules[] = {
    {"Conv", supports_conv, plan_conv},
    {"ConvTranspose", supports_transposed, plan_conv},
    {"Gemm", supports_gemm, plan_gemm},
    {"MatMul", supports_matmul, plan_matmul},
    {NULL, NULL, NULL},
};
