/* Normalisations, with statistics in double. x^ = (x - mean) / sqrt(variance + epsilon).
 *
 * BatchNormalization     y = scale[c] * x^ + bias[c], mean and variance given for each channel c (axis 1)
 * InstanceNormalization  the same, mean and variance taken over the spatial axes of each image and channel
 * LayerNormalization     y = scale * x^ + bias, mean and variance taken over the axes from `axis` on
 * LRN                    y = x / (bias + alpha / size * s)^beta, s the sum of squares over `size` channels around c
 *
 * Inference only: forms for training are refused. Equations: ONNX operator specification. */
#include <math.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

/* Inputs 1 to `to` - 1: one value for each channel of input 0. */
static cosrel_status expect_channels(const cosrel_call *call, uint32_t to, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  if (x->rank < 2) return cosrel_call_fail(call, error, COSREL_FORMAT, "expected an input of 2 axes or more");
  for (uint32_t i = 0; i < to; i++) {
    cosrel_status status = cosrel_call_expect(call, i, 1u << COSREL_F32, error);
    if (status != COSREL_OK) return status;
    const cosrel_shape *shape = &call->in[i]->shape;
    if (i > 0 && (shape->rank != 1 || shape->dims[0] != x->dims[1]))
      return cosrel_call_fail(call, error, COSREL_FORMAT, "input %u: expected shape [%u]", i, x->dims[1]);
  }
  return cosrel_call_set_like(call, 0, call->in[0], error);
}

/* y[i] = factor * x[i] + offset */
static void scale(const float *x, uint64_t n, double factor, double offset, float *y) {
  for (uint64_t i = 0; i < n; i++) y[i] = (float)(factor * x[i] + offset);
}

static void statistics(const float *x, uint64_t n, double *mean, double *variance) {
  double sum = 0, squares = 0;
  for (uint64_t i = 0; i < n; i++) sum += x[i];
  *mean = n > 0 ? sum / (double)n : 0;
  for (uint64_t i = 0; i < n; i++) squares += (x[i] - *mean) * (x[i] - *mean);
  *variance = n > 0 ? squares / (double)n : 0;
}

static double epsilon_of(const cosrel_call *call) { return cosrel_node_float(call->net, call->node, "epsilon", 1e-5F); }

/* ---- BatchNormalization ---- */

cosrel_status cosrel_batch_norm_infer(const cosrel_call *call, cosrel_error *error) {
  bool trains = cosrel_node_int(call->net, call->node, "training_mode", 0) != 0;
  for (uint32_t i = 1; i < call->node->n_outputs; i++) trains = trains || call->out[i] != NULL;
  if (trains) return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "training_mode: only inference is supported");
  if (cosrel_node_int(call->net, call->node, "spatial", 1) == 0)
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "spatial: only 1 is supported");
  return expect_channels(call, 5, error);
}

void cosrel_batch_norm_run(const cosrel_call *call) {
  const cosrel_shape *shape = &call->in[0]->shape;
  const float *x = call->in[0]->data, *gain = call->in[1]->data, *bias = call->in[2]->data;
  const float *mean = call->in[3]->data, *variance = call->in[4]->data;
  float *y = call->out[0]->data;
  uint64_t plane = cosrel_shape_span(shape, 2, shape->rank), channels = shape->dims[1];
  for (uint64_t k = 0; k < shape->dims[0] * channels; k++) {
    uint64_t c = k % channels;
    double factor = gain[c] / sqrt(variance[c] + epsilon_of(call));
    scale(&x[k * plane], plane, factor, bias[c] - mean[c] * factor, &y[k * plane]);
  }
}

/* ---- InstanceNormalization ---- */

cosrel_status cosrel_instance_norm_infer(const cosrel_call *call, cosrel_error *error) {
  return expect_channels(call, 3, error);
}

void cosrel_instance_norm_run(const cosrel_call *call) {
  const cosrel_shape *shape = &call->in[0]->shape;
  const float *x = call->in[0]->data, *gain = call->in[1]->data, *bias = call->in[2]->data;
  float *y = call->out[0]->data;
  uint64_t plane = cosrel_shape_span(shape, 2, shape->rank), channels = shape->dims[1];
  for (uint64_t k = 0; k < shape->dims[0] * channels; k++) {
    uint64_t c = k % channels;
    double mean = 0, variance = 0;
    statistics(&x[k * plane], plane, &mean, &variance);
    double factor = gain[c] / sqrt(variance + epsilon_of(call));
    scale(&x[k * plane], plane, factor, bias[c] - mean * factor, &y[k * plane]);
  }
}

/* ---- LayerNormalization: outputs y and, where wanted, the mean and 1 / sqrt(variance + epsilon) ---- */

cosrel_status cosrel_layer_norm_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  uint32_t axis = 0;
  cosrel_status status =
      cosrel_call_axis(call, cosrel_node_int(call->net, call->node, "axis", -1), x->rank, &axis, error);
  for (uint32_t i = 0; i < 3 && status == COSREL_OK; i++) status = cosrel_call_expect(call, i, 1u << COSREL_F32, error);
  if (status != COSREL_OK) return status;
  int64_t dims[COSREL_RANK_MAX];
  for (uint32_t d = 0; d < x->rank; d++) dims[d] = d < axis ? x->dims[d] : 1;
  for (uint32_t i = 1; i < 3; i++) {
    const cosrel_tensor *in = cosrel_call_in(call, i);
    if (in != NULL && cosrel_shape_elements(&in->shape) != cosrel_shape_span(x, axis, x->rank))
      return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "input %u: expected the shape of the axes from %u on", i,
                              axis);
    status = cosrel_call_set(call, i, COSREL_F32, x->rank, dims, error); /* output i */
    if (status != COSREL_OK) return status;
  }
  return cosrel_call_set_like(call, 0, call->in[0], error);
}

void cosrel_layer_norm_run(const cosrel_call *call) {
  const cosrel_shape *shape = &call->in[0]->shape;
  uint32_t axis = 0;
  cosrel_call_axis(call, cosrel_node_int(call->net, call->node, "axis", -1), shape->rank, &axis, NULL);
  uint64_t rows = cosrel_shape_span(shape, 0, axis), n = cosrel_shape_span(shape, axis, shape->rank);
  const cosrel_tensor *bias_tensor = cosrel_call_in(call, 2);
  const float *x = call->in[0]->data, *gain = call->in[1]->data;
  const float *bias = bias_tensor != NULL ? bias_tensor->data : NULL;
  const cosrel_tensor *means = cosrel_call_out(call, 1), *scales = cosrel_call_out(call, 2);
  float *y = call->out[0]->data;
  for (uint64_t r = 0; r < rows; r++, x += n, y += n) {
    double mean = 0, variance = 0;
    statistics(x, n, &mean, &variance);
    double factor = 1 / sqrt(variance + epsilon_of(call));
    for (uint64_t i = 0; i < n; i++) y[i] = (float)((x[i] - mean) * factor * gain[i] + (bias != NULL ? bias[i] : 0));
    if (means != NULL) cosrel_store_real(means, r, mean);
    if (scales != NULL) cosrel_store_real(scales, r, factor);
  }
}

/* ---- LRN: the window is [c - (size - 1) / 2, c + size / 2], cut at the first and last channel ---- */

cosrel_status cosrel_lrn_infer(const cosrel_call *call, cosrel_error *error) {
  int64_t size = cosrel_node_int(call->net, call->node, "size", 0);
  if (size < 1 || size > COSREL_WINDOW_MAX)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "size: expected 1 to %d", COSREL_WINDOW_MAX);
  return expect_channels(call, 1, error);
}

void cosrel_lrn_run(const cosrel_call *call) {
  const cosrel_shape *shape = &call->in[0]->shape;
  int64_t size = cosrel_node_int(call->net, call->node, "size", 1), channels = shape->dims[1];
  double alpha = cosrel_node_float(call->net, call->node, "alpha", 1e-4F) / (double)size;
  double beta = cosrel_node_float(call->net, call->node, "beta", 0.75F);
  double bias = cosrel_node_float(call->net, call->node, "bias", 1);
  int64_t plane = (int64_t)cosrel_shape_span(shape, 2, shape->rank);
  const float *x = call->in[0]->data;
  float *y = call->out[0]->data;
  for (int64_t n = 0; n < shape->dims[0]; n++, x += channels * plane, y += channels * plane) {
    for (int64_t c = 0; c < channels; c++) {
      int64_t low = c - (size - 1) / 2, high = c + size / 2 + 1;
      if (low < 0) low = 0;
      if (high > channels) high = channels;
      for (int64_t i = 0; i < plane; i++) {
        double squares = 0;
        for (int64_t k = low; k < high; k++) squares += (double)x[k * plane + i] * x[k * plane + i];
        y[c * plane + i] = (float)(x[c * plane + i] / pow(bias + alpha * squares, beta));
      }
    }
  }
}
