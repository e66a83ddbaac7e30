/* Convolutions over one to three spatial axes, with groups, strides, dilations and padding.
 *
 * Conv           y[n, m, i] = bias[m] + sum over c, k of w[m, c, k] * x[n, group(m) * C / group + c, wide(i, k)]
 * ConvTranspose  y[n, m, wide(i, k)] = bias[m] + sum over c, k of w[c, m, k] * x[n, c, i]
 *
 * with wide(i, k) = i * stride - pad + k * dilation on each axis (slide.h). Sums are in float, in the order c, k. */
#include "backends/reference/families.h"
#include "backends/reference/slide.h"

typedef struct convolution {
  cosrel_slide slide;
  int64_t batch, groups;
  int64_t in, out; /* channels of one group */
} convolution;

static cosrel_status check_bias(const cosrel_call *call, int64_t channels, cosrel_error *error) {
  const cosrel_tensor *bias = cosrel_call_in(call, 2);
  if (bias == NULL || (bias->shape.rank == 1 && bias->shape.dims[0] == channels)) return COSREL_OK;
  return cosrel_call_fail(call, error, COSREL_FORMAT, "bias: expected shape [%lld]", (long long)channels);
}

static cosrel_status set_output(const cosrel_call *call, const convolution *c, cosrel_error *error) {
  const cosrel_slide *w = &c->slide;
  bool spreads = call->node->op->infer == cosrel_conv_transpose_infer;
  int64_t dims[2 + COSREL_SLIDE_AXES] = {c->batch, c->groups * c->out};
  for (uint32_t d = 0; d < w->n; d++) dims[2 + d] = (spreads ? w->wide : w->narrow)[COSREL_SLIDE_AXES - w->n + d];
  return cosrel_call_set(call, 0, COSREL_F32, 2 + w->n, dims, error);
}

static cosrel_status read_groups(const cosrel_call *call, convolution *c, cosrel_error *error) {
  for (uint32_t i = 0; i < 3; i++) {
    cosrel_status status = cosrel_call_expect(call, i, 1u << COSREL_F32, error);
    if (status != COSREL_OK) return status;
  }
  c->batch = call->in[0]->shape.dims[0];
  c->groups = cosrel_node_int(call->net, call->node, "group", 1);
  if (c->groups < 1 || c->groups > (int64_t)COSREL_ELEMENTS_MAX || call->in[0]->shape.dims[1] % c->groups != 0)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "group: %lld does not divide the %u channels",
                            (long long)c->groups, call->in[0]->shape.dims[1]);
  c->in = call->in[0]->shape.dims[1] / c->groups;
  return COSREL_OK;
}

/* Adds one place of the kernel: to += weight * from, over the planes of one input and one output channel. k: that place
 * on each axis. With `spread`, from is the narrow plane and to the wide one. */
static void add_place(const cosrel_slide *w, const int64_t *k, float weight, const float *from, float *to,
                      bool spread) {
  int64_t low[COSREL_SLIDE_AXES], high[COSREL_SLIDE_AXES];
  for (uint32_t d = 0; d < COSREL_SLIDE_AXES; d++) cosrel_slide_range(w, d, k[d], &low[d], &high[d]);
  int64_t stride = w->stride[2], base = cosrel_slide_at(w, 2, 0, k[2]);
  for (int64_t z = low[0]; z < high[0]; z++) {
    for (int64_t y = low[1]; y < high[1]; y++) {
      int64_t narrow = (z * w->narrow[1] + y) * w->narrow[2];
      int64_t wide = (cosrel_slide_at(w, 0, z, k[0]) * w->wide[1] + cosrel_slide_at(w, 1, y, k[1])) * w->wide[2] + base;
      if (spread)
        for (int64_t x = low[2]; x < high[2]; x++) to[wide + x * stride] += weight * from[narrow + x];
      else if (stride == 1) /* apart, because it vectorises */
        for (int64_t x = low[2]; x < high[2]; x++) to[narrow + x] += weight * from[wide + x];
      else
        for (int64_t x = low[2]; x < high[2]; x++) to[narrow + x] += weight * from[wide + x * stride];
    }
  }
}

/* Adds the contribution of one input plane, through one kernel, to one output plane. */
static void add_plane(const cosrel_slide *w, const float *kernel, const float *from, float *to, bool spread) {
  int64_t k[COSREL_SLIDE_AXES];
  for (k[0] = 0; k[0] < w->kernel[0]; k[0]++)
    for (k[1] = 0; k[1] < w->kernel[1]; k[1]++)
      for (k[2] = 0; k[2] < w->kernel[2]; k[2]++) add_place(w, k, *kernel++, from, to, spread);
}

static void run(const cosrel_call *call, const convolution *c, bool spread) {
  const cosrel_slide *w = &c->slide;
  const cosrel_tensor *bias_tensor = cosrel_call_in(call, 2);
  const float *x = call->in[0]->data, *weights = call->in[1]->data;
  const float *bias = bias_tensor != NULL ? bias_tensor->data : NULL;
  float *y = call->out[0]->data;
  int64_t from_plane = cosrel_slide_span(spread ? w->narrow : w->wide);
  int64_t to_plane = cosrel_slide_span(spread ? w->wide : w->narrow), kernel = cosrel_slide_span(w->kernel);
  for (int64_t n = 0; n < c->batch; n++) {
    for (int64_t m = 0; m < c->groups * c->out; m++) {
      int64_t group = m / c->out;
      float *to = &y[(n * c->groups * c->out + m) * to_plane];
      for (int64_t i = 0; i < to_plane; i++) to[i] = bias != NULL ? bias[m] : 0;
      for (int64_t i = 0; i < c->in; i++) {
        const float *from = &x[((n * c->groups + group) * c->in + i) * from_plane];
        int64_t pair = spread ? (group * c->in + i) * c->out + m % c->out : m * c->in + i;
        add_plane(w, &weights[pair * kernel], from, to, spread);
      }
    }
  }
}

/* ---- Conv ---- */

static cosrel_status read_conv(const cosrel_call *call, convolution *c, cosrel_error *error) {
  const cosrel_shape *weights = &call->in[1]->shape;
  cosrel_status status = cosrel_slide_read(call, call->in[1], false, &c->slide, error);
  if (status == COSREL_OK) status = read_groups(call, c, error);
  if (status != COSREL_OK) return status;
  if (weights->dims[1] != c->in || weights->dims[0] % c->groups != 0)
    return cosrel_call_fail(call, error, COSREL_FORMAT,
                            "weights: [%u, %u, ...] does not fit %u channels in %lld groups", weights->dims[0],
                            weights->dims[1], call->in[0]->shape.dims[1], (long long)c->groups);
  c->out = weights->dims[0] / c->groups;
  return check_bias(call, c->out * c->groups, error);
}

cosrel_status cosrel_conv_infer(const cosrel_call *call, cosrel_error *error) {
  convolution c;
  cosrel_status status = read_conv(call, &c, error);
  return status != COSREL_OK ? status : set_output(call, &c, error);
}

void cosrel_conv_run(const cosrel_call *call) {
  convolution c;
  if (read_conv(call, &c, NULL) == COSREL_OK) run(call, &c, false);
}

/* ---- ConvTranspose ---- */

static cosrel_status read_conv_transpose(const cosrel_call *call, convolution *c, cosrel_error *error) {
  const cosrel_shape *weights = &call->in[1]->shape;
  cosrel_status status = cosrel_slide_read_transposed(call, call->in[1], &c->slide, error);
  if (status == COSREL_OK) status = read_groups(call, c, error);
  if (status != COSREL_OK) return status;
  if (weights->dims[0] != c->in * c->groups)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "weights: [%u, ...] does not fit %u channels", weights->dims[0],
                            call->in[0]->shape.dims[1]);
  c->out = weights->dims[1];
  if (c->groups * c->out > (int64_t)COSREL_ELEMENTS_MAX)
    return cosrel_call_fail(call, error, COSREL_LIMIT, "group: too many output channels");
  return check_bias(call, c->out * c->groups, error);
}

cosrel_status cosrel_conv_transpose_infer(const cosrel_call *call, cosrel_error *error) {
  convolution c;
  cosrel_status status = read_conv_transpose(call, &c, error);
  return status != COSREL_OK ? status : set_output(call, &c, error);
}

void cosrel_conv_transpose_run(const cosrel_call *call) {
  convolution c;
  if (read_conv_transpose(call, &c, NULL) == COSREL_OK) run(call, &c, true);
}
