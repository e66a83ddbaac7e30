/* Operators that XNNPACK does not have, in loops that compilers turn into vectors. */
#include <math.h>
#include <string.h>

#include "backends/reference/operators.h"
#include "backends/xnnpack/rules.h"

static cosrel_status add(cosrel_xnn_planner *planner, const cosrel_xnn_step *plan) {
  cosrel_xnn_step *step = cosrel_xnn_add_step(planner);
  if (step == NULL) return COSREL_NOMEM;
  *step = *plan;
  return COSREL_OK;
}

static bool is_float(const cosrel_tensor *tensor) { return tensor->dtype == COSREL_F32; }

/* ---- Erf ---- */

/* erf(x) = 1 - 1 / (1 + a1 x + ... + a6 x^6)^16 for x >= 0, at most 3e-7 off. Abramowitz and Stegun, Handbook of
 * Mathematical Functions, 7.1.28. In double: the power would make 16 of each rounding in float. */
static void compute_erf(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases) {
  const float *restrict in = cosrel_xnn_read(bases, &step->in[0]);
  float *restrict out = cosrel_xnn_write(bases, &step->out);
  size_t n = step->elements;
  for (size_t i = 0; i < n; i++) {
    double x = fabs((double)in[i]);
    double p =
        1 + x * (0.0705230784 +
                 x * (0.0422820123 + x * (0.0092705272 + x * (0.0001520143 + x * (0.0002765672 + x * 0.0000430638)))));
    p *= p;
    p *= p;
    p *= p;
    p *= p;
    out[i] = copysignf((float)(1 - 1 / p), in[i]);
  }
}

cosrel_status cosrel_xnn_erf(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_net_node_inputs(planner->net, node)[0], out = cosrel_xnn_out(planner, node);
  const cosrel_tensor *tensor = cosrel_xnn_in(planner, node, 0);
  if (!is_float(tensor)) return COSREL_UNSUPPORTED;
  bool nhwc = !cosrel_xnn_is_dense(planner, in, false); /* the order that it is in */
  cosrel_xnn_step plan = {.compute = compute_erf, .elements = (size_t)cosrel_shape_elements(&tensor->shape)};
  plan.in[0] = cosrel_xnn_dense(planner, in, nhwc);
  plan.out = cosrel_xnn_result(planner, out, nhwc);
  return add(planner, &plan);
}

/* ---- LRN: y = x / (bias + alpha / size * s)^beta, s the sum of squares over `size` channels around x's ---- */

/* One pixel. `squares`: room for those of the channels; zeros lie before and behind, for what the first and the last
 * windows hold beyond the channels. */
static void normalize(const cosrel_xnn_step *step, float *restrict squares, const float *restrict x,
                      float *restrict y) {
  uint32_t channels = step->lrn.channels, size = step->lrn.size;
  float alpha = step->lrn.alpha, beta = step->lrn.beta, bias = step->lrn.bias;
  const float *window = squares - (size - 1) / 2;
  for (uint32_t c = 0; c < channels; c++) squares[c] = x[c] * x[c];
  for (uint32_t c = 0; c < channels; c++) y[c] = window[c];
  for (uint32_t k = 1; k < size; k++)
    for (uint32_t c = 0; c < channels; c++) y[c] += window[c + k];
  if (beta == 0.75F) { /* that of AlexNet and GoogLeNet: two roots instead of a power */
    for (uint32_t c = 0; c < channels; c++) {
      float root = sqrtf(bias + alpha * y[c]);
      y[c] = x[c] / (root * sqrtf(root));
    }
  } else {
    for (uint32_t c = 0; c < channels; c++) y[c] = x[c] / powf(bias + alpha * y[c], beta);
  }
}

static void compute_lrn(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases) {
  const float *x = cosrel_xnn_read(bases, &step->in[0]);
  float *y = cosrel_xnn_write(bases, &step->out), *squares = cosrel_xnn_write(bases, &step->in[1]);
  uint32_t channels = step->lrn.channels;
  memset(squares, 0, (channels + step->lrn.size) * sizeof *squares);
  squares += (step->lrn.size - 1) / 2;
  for (size_t i = 0; i < step->lrn.pixels; i++, x += channels, y += channels) normalize(step, squares, x, y);
}

cosrel_status cosrel_xnn_lrn(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  const cosrel_net *net = planner->net;
  int32_t in = cosrel_net_node_inputs(net, node)[0];
  const cosrel_shape *shape = &cosrel_xnn_in(planner, node, 0)->shape;
  int64_t size = cosrel_node_int(net, node, "size", 1);
  if (shape->rank != 4 || size > shape->dims[1]) return COSREL_UNSUPPORTED;
  cosrel_xnn_step plan = {.compute = compute_lrn};
  plan.lrn.channels = shape->dims[1];
  plan.lrn.pixels = (size_t)shape->dims[0] * shape->dims[2] * shape->dims[3];
  plan.lrn.size = (uint32_t)size;
  plan.lrn.alpha = cosrel_node_float(net, node, "alpha", 1e-4F) / (float)size;
  plan.lrn.beta = cosrel_node_float(net, node, "beta", 0.75F);
  plan.lrn.bias = cosrel_node_float(net, node, "bias", 1);
  plan.in[0] = cosrel_xnn_dense(planner, in, true);
  plan.in[1] = cosrel_xnn_scratch(planner, (uint64_t)shape->dims[1] + plan.lrn.size);
  plan.out = cosrel_xnn_result(planner, cosrel_xnn_out(planner, node), true);
  return add(planner, &plan);
}
