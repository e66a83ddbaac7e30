#include "backends/reference/slide.h"

#include <string.h>

typedef enum { PAD_EXPLICIT, PAD_SAME_UPPER, PAD_SAME_LOWER, PAD_VALID } padding;

static cosrel_status read_padding(const cosrel_call *call, padding *mode, cosrel_error *error) {
  static const char *const names[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
  const char *name = cosrel_node_string(call->net, call->node, "auto_pad", "NOTSET");
  for (uint32_t k = 0; k < sizeof names / sizeof names[0]; k++) {
    *mode = (padding)k;
    if (strcmp(name, names[k]) == 0) return COSREL_OK;
  }
  return cosrel_call_fail(call, error, COSREL_FORMAT, "auto_pad: unknown value");
}

/* What slide and spread have in common: all but the sizes of the other tensor. `sizes` gets those of input 0. */
static cosrel_status read_window(const cosrel_call *call, const cosrel_tensor *weights, padding *mode, cosrel_slide *w,
                                 int64_t *sizes, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  if (x->rank < 3 || x->rank > 2 + COSREL_SLIDE_AXES)
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "expected an input of 3 to 5 axes, not %u", x->rank);
  if (weights != NULL && weights->shape.rank != x->rank)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "weights: expected %u axes, not %u", x->rank,
                            weights->shape.rank);
  *w = (cosrel_slide){.n = x->rank - 2};
  uint32_t skip = COSREL_SLIDE_AXES - w->n; /* axes of size 1 in front */
  for (uint32_t d = 0; d < skip; d++) sizes[d] = w->kernel[d] = w->stride[d] = w->dilation[d] = 1;
  for (uint32_t d = 0; d < w->n; d++) sizes[skip + d] = x->dims[2 + d];
  int64_t pads[2 * COSREL_SLIDE_AXES];
  cosrel_status status = cosrel_call_ints(call, "kernel_shape", w->n, 1, COSREL_WINDOW_MAX, 1, &w->kernel[skip], error);
  if (status == COSREL_OK)
    status = cosrel_call_ints(call, "strides", w->n, 1, COSREL_WINDOW_MAX, 1, &w->stride[skip], error);
  if (status == COSREL_OK)
    status = cosrel_call_ints(call, "dilations", w->n, 1, COSREL_WINDOW_MAX, 1, &w->dilation[skip], error);
  if (status == COSREL_OK) status = read_padding(call, mode, error);
  bool explicit = status == COSREL_OK && *mode == PAD_EXPLICIT;
  if (explicit) status = cosrel_call_ints(call, "pads", 2 * w->n, 0, COSREL_WINDOW_MAX, 0, pads, error);
  if (status != COSREL_OK) return status;
  for (uint32_t d = 0; d < w->n && explicit; d++) {
    w->pad[skip + d] = pads[d];
    w->pad_end[skip + d] = pads[w->n + d];
  }
  for (uint32_t d = 0; d < w->n && weights != NULL; d++) {
    int64_t size = weights->shape.dims[2 + d];
    bool stated = cosrel_node_attribute(call->net, call->node, "kernel_shape") != NULL;
    if (size < 1 || size > COSREL_WINDOW_MAX || (stated && w->kernel[skip + d] != size))
      return cosrel_call_fail(call, error, COSREL_FORMAT, "kernel_shape: it and the weights' shape disagree");
    w->kernel[skip + d] = size;
  }
  if (weights == NULL && cosrel_node_attribute(call->net, call->node, "kernel_shape") == NULL)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "kernel_shape: missing");
  return COSREL_OK;
}

/* Shares `total` between the two ends; the odd one goes to the end that `mode` names. */
static void share_padding(cosrel_slide *w, uint32_t d, int64_t total, padding mode) {
  if (total < 0) total = 0;
  w->pad[d] = mode == PAD_SAME_LOWER ? total - total / 2 : total / 2;
  w->pad_end[d] = total - w->pad[d];
}

static int64_t reach(const cosrel_slide *w, uint32_t d) { return (w->kernel[d] - 1) * w->dilation[d] + 1; }

cosrel_status cosrel_slide_read(const cosrel_call *call, const cosrel_tensor *weights, bool ceil_mode, cosrel_slide *w,
                                cosrel_error *error) {
  padding mode = PAD_EXPLICIT;
  int64_t sizes[COSREL_SLIDE_AXES];
  cosrel_status status = read_window(call, weights, &mode, w, sizes, error);
  if (status != COSREL_OK) return status;
  for (uint32_t d = 0; d < COSREL_SLIDE_AXES; d++) {
    int64_t stride = w->stride[d];
    w->wide[d] = sizes[d];
    if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER)
      share_padding(w, d, ((sizes[d] + stride - 1) / stride - 1) * stride + reach(w, d) - sizes[d], mode);
    int64_t room = sizes[d] + w->pad[d] + w->pad_end[d] - reach(w, d);
    if (room < 0 || sizes[d] == 0)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "the window is larger than its padded input");
    w->narrow[d] = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    /* A last window that would begin behind the input does not count. */
    if (ceil_mode && (w->narrow[d] - 1) * stride >= sizes[d] + w->pad[d]) w->narrow[d]--;
  }
  return COSREL_OK;
}

cosrel_status cosrel_slide_read_transposed(const cosrel_call *call, const cosrel_tensor *weights, cosrel_slide *w,
                                           cosrel_error *error) {
  padding mode = PAD_EXPLICIT;
  int64_t extra[COSREL_SLIDE_AXES] = {0}, wanted[COSREL_SLIDE_AXES] = {0};
  cosrel_status status = read_window(call, weights, &mode, w, w->narrow, error);
  if (status != COSREL_OK) return status;
  uint32_t skip = COSREL_SLIDE_AXES - w->n, n_wanted = 0;
  /* Which end gets the odd one of the padding that output_shape implies: the equations changed sides with opset 11. */
  bool sized = false, end_first = (mode == PAD_SAME_UPPER) == (cosrel_call_opset(call) >= 11);
  status = cosrel_call_ints(call, "output_padding", w->n, 0, COSREL_WINDOW_MAX, 0, &extra[skip], error);
  if (status == COSREL_OK)
    status = cosrel_call_list(call, "output_shape", -1, w->n, &wanted[skip], &n_wanted, &sized, error);
  if (status != COSREL_OK) return status;
  if (sized && n_wanted != w->n)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "output_shape: expected %u integers", w->n);
  for (uint32_t d = skip; d < COSREL_SLIDE_AXES; d++) {
    int64_t full = (w->narrow[d] - 1) * w->stride[d] + reach(w, d) + extra[d];
    if (sized && (wanted[d] < 1 || wanted[d] > (int64_t)COSREL_ELEMENTS_MAX))
      return cosrel_call_fail(call, error, COSREL_FORMAT, "output_shape: size %lld is out of range",
                              (long long)wanted[d]);
    if (sized)
      share_padding(w, d, full - wanted[d], end_first ? PAD_SAME_UPPER : PAD_SAME_LOWER);
    else if (mode == PAD_SAME_UPPER || mode == PAD_SAME_LOWER)
      share_padding(w, d, full - w->narrow[d] * w->stride[d], mode);
    w->wide[d] = sized ? wanted[d] : full - w->pad[d] - w->pad_end[d];
    if (w->wide[d] < 1 || w->narrow[d] < 1)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "the output would be empty");
  }
  for (uint32_t d = 0; d < skip; d++) w->wide[d] = 1;
  return COSREL_OK;
}

void cosrel_slide_range(const cosrel_slide *w, uint32_t axis, int64_t k, int64_t *low, int64_t *high) {
  int64_t base = cosrel_slide_at(w, axis, 0, k), stride = w->stride[axis];
  *low = base >= 0 ? 0 : (-base + stride - 1) / stride;
  *high = base >= w->wide[axis] ? 0 : (w->wide[axis] - 1 - base) / stride + 1;
  if (*high > w->narrow[axis]) *high = w->narrow[axis];
}
