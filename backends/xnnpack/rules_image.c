#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/lower.h"
#include "backends/node.h"
#include "backends/reference/operators.h"
#include "backends/xnnpack/rules.h"

#define FLAGS XNN_FLAG_YIELD_WORKERS

typedef enum xnn_status (*setup_function)(const cosrel_xnn_step *, const cosrel_xnn_bases *, pthreadpool_t);

static const cosrel_shape *out_shape(const cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  return &planner->net->values[cosrel_xnn_out(planner, node)].tensor.shape;
}

static int32_t input_of(const cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  return cosrel_net_node_inputs(planner->net, node)[0];
}

/* Adds the step of an operator on images: `node`'s input 0 to `out`. Takes `op` over. */
static cosrel_xnn_step *add_image(cosrel_xnn_planner *planner, const cosrel_net_node *node, int32_t out,
                                  xnn_operator_t op, setup_function setup) {
  const cosrel_shape *in = &cosrel_xnn_in(planner, node, 0)->shape;
  cosrel_xnn_ref from = cosrel_xnn_dense(planner, input_of(planner, node), true);
  cosrel_xnn_ref to = cosrel_xnn_result(planner, out, true);
  cosrel_xnn_step *step = cosrel_xnn_add_step(planner);
  if (step == NULL) {
    xnn_delete_operator(op);
    return NULL;
  }
  step->setup = setup;
  step->op = op;
  step->in[0] = from;
  step->out = to;
  step->image.batch = in->dims[0];
  step->image.height = in->dims[2];
  step->image.width = in->dims[3];
  return step;
}

static cosrel_status result_of(const cosrel_xnn_step *step) { return step == NULL ? COSREL_NOMEM : COSREL_OK; }

/* ---- Convolutions ---- */

static enum xnn_status setup_conv(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases, pthreadpool_t pool) {
  return xnn_setup_convolution2d_nhwc_f32(step->op, step->image.batch, step->image.height, step->image.width,
                                          cosrel_xnn_read(bases, &step->in[0]), cosrel_xnn_write(bases, &step->out),
                                          pool);
}

static enum xnn_status setup_conv_transpose(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases,
                                            pthreadpool_t pool) {
  return xnn_setup_deconvolution2d_nhwc_f32(
      step->op, step->image.batch, step->image.height, step->image.width, step->image.adjust[0], step->image.adjust[1],
      cosrel_xnn_read(bases, &step->in[0]), cosrel_xnn_write(bases, &step->out), pool);
}

static bool has_weights(const cosrel_tensor *weights, const cosrel_tensor *bias) {
  return weights != NULL && weights->data != NULL && weights->shape.rank == 4 && (bias == NULL || bias->data != NULL);
}

/* `weights`: [M, kernel height, kernel width, C / groups]; packed by XNNPACK, not kept. */
static xnn_operator_t create_conv(const cosrel_window *w, uint32_t groups, const cosrel_shape *in,
                                  const cosrel_shape *out, const float *weights, const float *bias, float low,
                                  float high) {
  xnn_operator_t op = NULL;
  uint32_t c = in->dims[1], m = out->dims[1];
  enum xnn_status status = xnn_create_convolution2d_nhwc_f32(
      w->pad[0], w->pad[3], w->pad[2], w->pad[1], w->kernel[0], w->kernel[1], w->stride[0], w->stride[1],
      w->dilation[0], w->dilation[1], groups, c / groups, m / groups, c, m, weights, bias, low, high, FLAGS, &op);
  return status == xnn_status_success ? op : NULL;
}

cosrel_status cosrel_xnn_conv(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_tensor *x = cosrel_xnn_in(planner, node, 0), *weights = cosrel_xnn_in(planner, node, 1);
  const cosrel_tensor *bias = cosrel_xnn_in(planner, node, 2);
  if (!has_weights(weights, bias)) return COSREL_UNSUPPORTED;
  cosrel_window window = cosrel_node_window(planner->net, node);
  uint32_t groups = (uint32_t)cosrel_node_int(planner->net, node, "group", 1);
  float *packed = malloc(cosrel_tensor_bytes(weights));
  if (packed == NULL) return planner->status = COSREL_NOMEM;
  cosrel_layout_to_arena(&weights->shape, weights->data, packed);
  float low, high;
  int32_t out = cosrel_xnn_take_clamp(planner, cosrel_xnn_out(planner, node), &low, &high);
  cosrel_status status = COSREL_UNSUPPORTED;
  const cosrel_shape *to = out_shape(planner, node);
  const float *shift = bias != NULL ? bias->data : NULL;
  if (groups == 1) {
    const uint32_t *in_dims = x->shape.dims, *out_dims = to->dims;
    status = cosrel_xnn_add_blas_conv(planner,
                                      (cosrel_blas_conv){in_dims[0], in_dims[2], in_dims[3], in_dims[1], out_dims[2],
                                                         out_dims[3], out_dims[1], window, packed, shift, low, high, 0},
                                      input_of(planner, node), out);
  }
  xnn_operator_t op = NULL;
  if (status == COSREL_UNSUPPORTED) op = create_conv(&window, groups, &x->shape, to, packed, shift, low, high);
  free(packed);
  if (status != COSREL_UNSUPPORTED) return status;
  if (op == NULL) return COSREL_UNSUPPORTED;
  return result_of(add_image(planner, node, out, op, setup_conv));
}

/* ONNX: [C, M / groups, kernel], XNNPACK: [M, kernel, C / groups]. */
static void pack_transposed(const cosrel_tensor *weights, uint32_t groups, float *packed) {
  const float *from = weights->data;
  uint32_t c = weights->shape.dims[0] / groups, m = weights->shape.dims[1];
  uint32_t taps = weights->shape.dims[2] * weights->shape.dims[3];
  for (uint32_t g = 0; g < groups; g++) {
    for (uint32_t i = 0; i < c; i++) {
      for (uint32_t j = 0; j < m; j++) {
        for (uint32_t t = 0; t < taps; t++) {
          packed[(((size_t)g * m + j) * taps + t) * c + i] = from[(((size_t)g * c + i) * m + j) * taps + t];
        }
      }
    }
  }
}

cosrel_status cosrel_xnn_conv_transpose(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_tensor *x = cosrel_xnn_in(planner, node, 0), *weights = cosrel_xnn_in(planner, node, 1);
  const cosrel_tensor *bias = cosrel_xnn_in(planner, node, 2);
  if (!has_weights(weights, bias) || cosrel_node_attribute(planner->net, node, "output_shape") != NULL ||
      strcmp(cosrel_node_string(planner->net, node, "auto_pad", "NOTSET"), "NOTSET") != 0) {
    return COSREL_UNSUPPORTED;
  }
  const cosrel_shape *to = out_shape(planner, node);
  cosrel_window w = cosrel_node_window(planner->net, node);
  uint32_t groups = (uint32_t)cosrel_node_int(planner->net, node, "group", 1);
  uint32_t c = x->shape.dims[1], m = to->dims[1], adjust[2];
  for (uint32_t axis = 0; axis < 2; axis++) {
    int64_t plain = (int64_t)(x->shape.dims[2 + axis] - 1) * w.stride[axis] +
                    (int64_t)(w.kernel[axis] - 1) * w.dilation[axis] + 1 - w.pad[axis] - w.pad[axis + 2];
    int64_t more = to->dims[2 + axis] - plain;
    /* XNNPACK writes behind its own tables when the output is smaller than a stride. */
    if (more < 0 || more >= w.stride[axis] || to->dims[2 + axis] < w.stride[axis]) return COSREL_UNSUPPORTED;
    adjust[axis] = (uint32_t)more;
  }
  float *packed = malloc(cosrel_tensor_bytes(weights));
  if (packed == NULL) return planner->status = COSREL_NOMEM;
  pack_transposed(weights, groups, packed);
  float low, high;
  int32_t out = cosrel_xnn_take_clamp(planner, cosrel_xnn_out(planner, node), &low, &high);
  xnn_operator_t op = NULL;
  enum xnn_status status =
      xnn_create_deconvolution2d_nhwc_f32(w.pad[0], w.pad[3], w.pad[2], w.pad[1], w.kernel[0], w.kernel[1], w.stride[0],
                                          w.stride[1], w.dilation[0], w.dilation[1], groups, c / groups, m / groups, c,
                                          m, packed, bias != NULL ? bias->data : NULL, low, high, FLAGS, &op);
  free(packed);
  if (status != xnn_status_success) return COSREL_UNSUPPORTED;
  cosrel_xnn_step *step = add_image(planner, node, out, op, setup_conv_transpose);
  if (step != NULL) memcpy(step->image.adjust, adjust, sizeof adjust);
  return result_of(step);
}

/* ---- Pools ---- */

static enum xnn_status setup_max_pool(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases, pthreadpool_t pool) {
  return xnn_setup_max_pooling2d_nhwc_f32(step->op, step->image.batch, step->image.height, step->image.width,
                                          cosrel_xnn_read(bases, &step->in[0]), cosrel_xnn_write(bases, &step->out),
                                          pool);
}

static enum xnn_status setup_average_pool(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases,
                                          pthreadpool_t pool) {
  return xnn_setup_average_pooling2d_nhwc_f32(step->op, step->image.batch, step->image.height, step->image.width,
                                              cosrel_xnn_read(bases, &step->in[0]), cosrel_xnn_write(bases, &step->out),
                                              pool);
}

static enum xnn_status setup_global_average(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases,
                                            pthreadpool_t pool) {
  return xnn_setup_global_average_pooling_nwc_f32(step->op, step->image.batch, step->image.height * step->image.width,
                                                  cosrel_xnn_read(bases, &step->in[0]),
                                                  cosrel_xnn_write(bases, &step->out), pool);
}

/* False when XNNPACK cannot do it: one pixel, dilations (which it accepts, but computes wrong maxima). */
static bool find_window(const cosrel_xnn_planner *planner, const cosrel_net_node *node, cosrel_window *window) {
  return cosrel_node_pool_window(planner->net, node, window) && window->dilation[0] == 1 && window->dilation[1] == 1 &&
         window->kernel[0] * window->kernel[1] > 1;
}

cosrel_status cosrel_xnn_max_pool(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_shape *in = &cosrel_xnn_in(planner, node, 0)->shape;
  if (in->rank != 4 || node->n_outputs > 1) return COSREL_UNSUPPORTED;
  cosrel_window w;
  if (!find_window(planner, node, &w)) return COSREL_UNSUPPORTED;
  float low, high;
  int32_t out = cosrel_xnn_take_clamp(planner, cosrel_xnn_out(planner, node), &low, &high);
  xnn_operator_t op = NULL;
  enum xnn_status status = xnn_create_max_pooling2d_nhwc_f32(
      w.pad[0], w.pad[3], w.pad[2], w.pad[1], w.kernel[0], w.kernel[1], w.stride[0], w.stride[1], w.dilation[0],
      w.dilation[1], in->dims[1], in->dims[1], in->dims[1], low, high, FLAGS, &op);
  if (status != xnn_status_success) return COSREL_UNSUPPORTED;
  return result_of(add_image(planner, node, out, op, setup_max_pool));
}

/* Averages over pads too, as a depthwise convolution: XNNPACK's own pools leave pads out. */
static cosrel_status average_with_pads(cosrel_xnn_planner *planner, const cosrel_net_node *node,
                                       const cosrel_window *window) {
  const cosrel_shape *in = &cosrel_xnn_in(planner, node, 0)->shape;
  uint32_t taps = window->kernel[0] * window->kernel[1];
  size_t n = (size_t)in->dims[1] * taps;
  float *weights = malloc(n * sizeof *weights);
  if (weights == NULL) return planner->status = COSREL_NOMEM;
  for (size_t i = 0; i < n; i++) weights[i] = 1.0F / (float)taps;
  xnn_operator_t op =
      create_conv(window, in->dims[1], in, out_shape(planner, node), weights, NULL, -INFINITY, INFINITY);
  free(weights);
  if (op == NULL) return COSREL_UNSUPPORTED;
  return result_of(add_image(planner, node, cosrel_xnn_out(planner, node), op, setup_conv));
}

cosrel_status cosrel_xnn_average_pool(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_shape *in = &cosrel_xnn_in(planner, node, 0)->shape;
  if (in->rank != 4) return COSREL_UNSUPPORTED;
  cosrel_window stated = cosrel_node_window(planner->net, node), w;
  if (!find_window(planner, node, &w)) return COSREL_UNSUPPORTED;
  bool padded = w.pad[0] + w.pad[1] + w.pad[2] + w.pad[3] > 0;
  if (padded && cosrel_node_int(planner->net, node, "count_include_pad", 0) != 0) {
    /* What ceil_mode adds beyond the stated pads would not count. */
    if (w.pad[2] > stated.pad[2] || w.pad[3] > stated.pad[3]) return COSREL_UNSUPPORTED;
    return average_with_pads(planner, node, &w);
  }
  xnn_operator_t op = NULL;
  enum xnn_status status = xnn_create_average_pooling2d_nhwc_f32(
      w.pad[0], w.pad[3], w.pad[2], w.pad[1], w.kernel[0], w.kernel[1], w.stride[0], w.stride[1], in->dims[1],
      in->dims[1], in->dims[1], -INFINITY, INFINITY, FLAGS, &op);
  if (status != xnn_status_success) return COSREL_UNSUPPORTED;
  return result_of(add_image(planner, node, cosrel_xnn_out(planner, node), op, setup_average_pool));
}

/* ReduceMean is one when its axes are H and W. */
static bool averages_pixels(const cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  if (strcmp(node->op->name, "ReduceMean") != 0) return true;
  const cosrel_attribute *axes = cosrel_node_ints(planner->net, node, "axes");
  if (axes == NULL || axes->n != 2) return false;
  int64_t first = axes->ints[0] < 0 ? axes->ints[0] + 4 : axes->ints[0];
  int64_t second = axes->ints[1] < 0 ? axes->ints[1] + 4 : axes->ints[1];
  return (first == 2 && second == 3) || (first == 3 && second == 2);
}

cosrel_status cosrel_xnn_global_average(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_shape *in = &cosrel_xnn_in(planner, node, 0)->shape;
  if (in->rank != 4 || !averages_pixels(planner, node)) return COSREL_UNSUPPORTED;
  xnn_operator_t op = NULL;
  enum xnn_status status =
      xnn_create_global_average_pooling_nwc_f32(in->dims[1], in->dims[1], in->dims[1], -INFINITY, INFINITY, FLAGS, &op);
  if (status != xnn_status_success) return COSREL_UNSUPPORTED;
  return result_of(add_image(planner, node, cosrel_xnn_out(planner, node), op, setup_global_average));
}

/* ---- Resize ---- */

static enum xnn_status setup_bilinear(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases, pthreadpool_t pool) {
  return xnn_setup_resize_bilinear2d_nhwc_f32(
      step->op, step->image.batch, step->image.height, step->image.width, step->image.out_height, step->image.out_width,
      cosrel_xnn_read(bases, &step->in[0]), cosrel_xnn_write(bases, &step->out), pool);
}

/* Each pixel repeated: a move from a view with strides of 0. */
static cosrel_status repeat_pixels(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  int32_t in_value = input_of(planner, node), out_value = cosrel_xnn_out(planner, node);
  const cosrel_shape *in = &cosrel_xnn_in(planner, node, 0)->shape, *out = out_shape(planner, node);
  cosrel_view view, from = {0}, dense = cosrel_view_dense(out, true), to;
  cosrel_xnn_ref source = cosrel_xnn_view(planner, in_value, &view);
  cosrel_shape split = {.rank = 6,
                        .dims = {in->dims[0], in->dims[1], in->dims[2], out->dims[2] / in->dims[2], in->dims[3],
                                 out->dims[3] / in->dims[3]}};
  from.strides[0] = view.strides[0];
  from.strides[1] = view.strides[1];
  from.strides[2] = view.strides[2];
  from.strides[4] = view.strides[3];
  if (!cosrel_view_reshape(out, &dense, &split, &to)) return COSREL_UNSUPPORTED;
  cosrel_xnn_add_move(planner, &split, source, &from, cosrel_xnn_result(planner, out_value, true), &to);
  return COSREL_OK;
}

cosrel_status cosrel_xnn_resize(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_shape *in = &cosrel_xnn_in(planner, node, 0)->shape, *out = out_shape(planner, node);
  cosrel_resize kind = cosrel_node_resize(planner->net, node);
  if (kind == COSREL_RESIZE_OTHER) return COSREL_UNSUPPORTED;
  if (kind == COSREL_RESIZE_REPEAT) return repeat_pixels(planner, node);
  uint32_t flags = FLAGS;
  if (kind == COSREL_RESIZE_LINEAR) flags |= XNN_FLAG_TENSORFLOW_LEGACY_MODE;
  if (kind == COSREL_RESIZE_LINEAR_ALIGNED) flags |= XNN_FLAG_ALIGN_CORNERS;
  xnn_operator_t op = NULL;
  enum xnn_status status = xnn_create_resize_bilinear2d_nhwc_f32(in->dims[1], in->dims[1], in->dims[1], flags, &op);
  if (status != xnn_status_success) return COSREL_UNSUPPORTED;
  cosrel_xnn_step *step = add_image(planner, node, cosrel_xnn_out(planner, node), op, setup_bilinear);
  if (step != NULL) {
    step->image.out_height = out->dims[2];
    step->image.out_width = out->dims[3];
  }
  return result_of(step);
}
