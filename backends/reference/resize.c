/* Resize and Upsample: every axis on its own maps output position i to a real position x of the input, and takes what
 * is near it: the nearest element, a mean of two weighted by distance (linear), or of four (cubic).
 *
 * With n input elements, scale s (as given, or output elements / n) and m = n * s, x by coordinate_transformation_mode:
 *   half_pixel            (i + 0.5) / s - 0.5
 *   pytorch_half_pixel    the same, but 0 where m = 1
 *   align_corners         i * (n - 1) / (m - 1), 0 where m = 1
 *   asymmetric            i / s
 *   tf_half_pixel_for_nn  (i + 0.5) / s
 *   tf_crop_and_resize    begin * (n - 1) + i * (end - begin) * (n - 1) / (m - 1), or the middle where m = 1
 *
 * The cubic weights are Keys' (IEEE Trans. ASSP 29(6), 1981) with the coefficient cubic_coeff_a. Sums are in double.
 * Equations: ONNX operator specification. */
#include <math.h>
#include <string.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

typedef enum { HALF_PIXEL, PYTORCH_HALF_PIXEL, ALIGN_CORNERS, ASYMMETRIC, TF_HALF_PIXEL_FOR_NN, CROP_AND_RESIZE } place;
typedef enum { NEAREST, LINEAR, CUBIC } kind;
typedef enum { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL } rounding;

typedef struct resize {
  place place;
  kind kind;
  rounding rounding;
  bool exclude_outside;
  double cubic, outside; /* value beyond the input, for crop_and_resize */
  uint32_t rank;
  int64_t in[COSREL_RANK_MAX], out[COSREL_RANK_MAX];
  double scale[COSREL_RANK_MAX];
  double begin[COSREL_RANK_MAX], end[COSREL_RANK_MAX]; /* region of the input to take, as shares of it */
} resize;

/* ---- Reading the node ---- */

/* The index of the attribute's text in `names`, the first by default; false if it is none of them. */
static bool read_choice(const cosrel_call *call, const char *attribute, const char *const *names, uint32_t n,
                        uint32_t *choice) {
  const char *text = cosrel_node_string(call->net, call->node, attribute, names[0]);
  for (*choice = 0; *choice < n; ++*choice)
    if (strcmp(text, names[*choice]) == 0) return true;
  return false;
}

static cosrel_status read_modes(const cosrel_call *call, resize *r, cosrel_error *error) {
  static const char *const places[] = {"half_pixel", "pytorch_half_pixel",   "align_corners",
                                       "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
  static const char *const kinds[] = {"nearest", "linear", "cubic"};
  static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
  uint32_t choice = 0;
  bool old = cosrel_call_opset(call) < 11; /* Upsample, and the first Resize */
  if (!read_choice(call, "coordinate_transformation_mode", places, 6, &choice))
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "coordinate_transformation_mode: unknown");
  r->place = old ? ASYMMETRIC : (place)choice;
  if (strcmp(cosrel_node_string(call->net, call->node, "mode", "nearest"), "bilinear") == 0)
    choice = LINEAR; /* its name in old files */
  else if (!read_choice(call, "mode", kinds, 3, &choice))
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "mode: unknown");
  r->kind = (kind)choice;
  if (!read_choice(call, "nearest_mode", roundings, 4, &choice))
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "nearest_mode: unknown");
  r->rounding = old ? FLOOR : (rounding)choice;
  r->exclude_outside = cosrel_node_int(call->net, call->node, "exclude_outside", 0) != 0;
  r->cubic = cosrel_node_float(call->net, call->node, "cubic_coeff_a", -0.75F);
  r->outside = cosrel_node_float(call->net, call->node, "extrapolation_value", 0);
  return COSREL_OK;
}

/* One number for each axis from input i, which must be constant. */
static cosrel_status read_numbers(const cosrel_call *call, uint32_t i, uint32_t n, double *numbers,
                                  cosrel_error *error) {
  const cosrel_tensor *in = cosrel_call_in(call, i);
  if (cosrel_shape_elements(&in->shape) != n)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "input %u: expected %u numbers", i, n);
  if (in->data == NULL && n > 0)
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "input %u: only a constant is supported", i);
  for (uint32_t d = 0; d < n; d++) numbers[d] = cosrel_load_real(in, d);
  return COSREL_OK;
}

/* Inputs are roi, scales, sizes from opset 11 on, before only scales; Upsample up to opset 8 has an attribute. */
static cosrel_status read_scales(const cosrel_call *call, resize *r, cosrel_error *error) {
  const cosrel_attribute *scales = cosrel_node_attribute(call->net, call->node, "scales");
  if (scales != NULL && scales->kind == COSREL_ATTRIBUTE_FLOATS) {
    if (scales->n != r->rank)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "scales: expected %u numbers", r->rank);
    for (uint32_t d = 0; d < r->rank; d++) r->scale[d] = scales->floats[d];
    return COSREL_OK;
  }
  uint32_t i = cosrel_call_opset(call) < 11 ? 1 : 2;
  cosrel_status status = cosrel_call_expect(call, i, COSREL_REAL_TYPES, error);
  if (status != COSREL_OK) return status;
  if (cosrel_call_in(call, i) == NULL) return cosrel_call_fail(call, error, COSREL_FORMAT, "scales: missing");
  return read_numbers(call, i, r->rank, r->scale, error);
}

/* Whether sizes are given, rather than scales: input 3, if it is not empty. */
static bool has_sizes(const cosrel_call *call) {
  const cosrel_tensor *sizes = cosrel_call_in(call, 3);
  return sizes != NULL && cosrel_shape_elements(&sizes->shape) > 0;
}

static cosrel_status read_sizes(const cosrel_call *call, resize *r, cosrel_error *error) {
  double sizes[COSREL_RANK_MAX];
  bool sized = has_sizes(call);
  cosrel_status status = sized ? cosrel_call_expect(call, 3, COSREL_INDEX_TYPES, error) : COSREL_OK;
  if (status == COSREL_OK) status = sized ? read_numbers(call, 3, r->rank, sizes, error) : read_scales(call, r, error);
  for (uint32_t d = 0; d < r->rank && status == COSREL_OK; d++) {
    double region = r->place == CROP_AND_RESIZE ? r->end[d] - r->begin[d] : 1;
    double size = sized ? sizes[d] : floor((double)r->in[d] * region * r->scale[d]);
    if (!(size >= 0 && size <= (double)COSREL_ELEMENTS_MAX) || (!sized && !(r->scale[d] > 0)) ||
        (r->in[d] == 0 && size > 0))
      return cosrel_call_fail(call, error, COSREL_FORMAT, "scales or sizes: axis %u is out of range", d);
    r->out[d] = (int64_t)size;
    if (sized) r->scale[d] = size / (double)(r->in[d] > 0 ? r->in[d] : 1);
  }
  return status;
}

static cosrel_status read_resize(const cosrel_call *call, resize *r, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  *r = (resize){.rank = x->rank};
  for (uint32_t d = 0; d < x->rank; d++) r->in[d] = x->dims[d];
  cosrel_status status = read_modes(call, r, error);
  if (status == COSREL_OK)
    status = cosrel_call_expect(call, 0, r->kind == NEAREST ? COSREL_ALL_TYPES : COSREL_REAL_TYPES, error);
  if (status == COSREL_OK && r->place == CROP_AND_RESIZE) {
    double region[2 * COSREL_RANK_MAX];
    if (cosrel_call_in(call, 1) == NULL) return cosrel_call_fail(call, error, COSREL_FORMAT, "roi: missing");
    status = read_numbers(call, 1, 2 * x->rank, region, error);
    for (uint32_t d = 0; d < x->rank && status == COSREL_OK; d++) {
      r->begin[d] = region[d];
      r->end[d] = region[x->rank + d];
    }
  }
  return status != COSREL_OK ? status : read_sizes(call, r, error);
}

cosrel_status cosrel_resize_infer(const cosrel_call *call, cosrel_error *error) {
  resize r;
  cosrel_status status = read_resize(call, &r, error);
  return status != COSREL_OK ? status : cosrel_call_set(call, 0, call->in[0]->dtype, r.rank, r.out, error);
}

/* ---- Along one axis ---- */

static double position(const resize *r, uint32_t d, int64_t i) {
  double n = (double)r->in[d], m = n * r->scale[d], x = (double)i;
  switch (r->place) {
    case PYTORCH_HALF_PIXEL: return m > 1 ? (x + 0.5) / r->scale[d] - 0.5 : 0;
    case ALIGN_CORNERS: return m > 1 ? x * (n - 1) / (m - 1) : 0;
    case ASYMMETRIC: return x / r->scale[d];
    case TF_HALF_PIXEL_FOR_NN: return (x + 0.5) / r->scale[d];
    case CROP_AND_RESIZE:
      if (m > 1) return r->begin[d] * (n - 1) + x * (r->end[d] - r->begin[d]) * (n - 1) / (m - 1);
      return 0.5 * (r->begin[d] + r->end[d]) * (n - 1);
    default: return (x + 0.5) / r->scale[d] - 0.5;
  }
}

static double rounded(rounding how, double x) {
  switch (how) {
    case ROUND_PREFER_FLOOR: return ceil(x - 0.5);
    case ROUND_PREFER_CEIL: return floor(x + 0.5);
    case FLOOR: return floor(x);
    default: return ceil(x);
  }
}

/* Weight of an element at distance t in [0, 2]. */
static double cubic_weight(double a, double t) {
  if (t <= 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? ((a * t - 5 * a) * t + 8 * a) * t - 4 * a : 0;
}

static cosrel_resize_taps look(const resize *r, uint32_t d, int64_t i) {
  double x = position(r, d, i), last = (double)r->in[d] - 1;
  cosrel_resize_taps t = {.n = 1, .weight = {1}};
  if (r->place == CROP_AND_RESIZE && !(x >= 0 && x <= last)) return (cosrel_resize_taps){0};
  if (!(x > -4)) x = -4; /* far outside is as good as outside; also what is no number */
  if (x > last + 4) x = last + 4;
  double low = r->kind == NEAREST ? rounded(r->rounding, x) : floor(x);
  double share = x - low, sum = 0;
  if (r->kind == LINEAR) t = (cosrel_resize_taps){.n = 2, .weight = {1 - share, share}};
  if (r->kind == CUBIC) {
    t.n = 4;
    low -= 1;
    for (uint32_t k = 0; k < 4; k++) t.weight[k] = cubic_weight(r->cubic, fabs(x - (low + k)));
  }
  for (uint32_t k = 0; k < t.n; k++) {
    double at = low + k;
    if (r->kind == CUBIC && r->exclude_outside && (at < 0 || at > last)) t.weight[k] = 0;
    t.at[k] = (int64_t)(at < 0 ? 0 : at > last ? last : at);
    sum += t.weight[k];
  }
  for (uint32_t k = 0; k < t.n && r->exclude_outside; k++) t.weight[k] /= sum;
  return t;
}

bool cosrel_resize_look(const cosrel_call *call, uint32_t axis, int64_t i, cosrel_resize_taps *out) {
  resize r;
  if (read_resize(call, &r, NULL) != COSREL_OK) return false;
  *out = look(&r, axis, i);
  return out->n > 0;
}

/* ---- All axes ---- */

/* The weighted sum over axes from d on, for the element that begins at `at`; false where an axis is outside. */
static double sum_taps(const cosrel_resize_taps *axes, const int64_t *strides, uint32_t rank, uint32_t d, int64_t at,
                       const cosrel_tensor *in) {
  if (d == rank || d == COSREL_RANK_MAX) return cosrel_load_real(in, (uint64_t)at); /* the second tells the compiler */
  double sum = 0;
  for (uint32_t k = 0; k < axes[d].n; k++) {
    if (axes[d].weight[k] == 0) continue;
    sum += axes[d].weight[k] * sum_taps(axes, strides, rank, d + 1, at + axes[d].at[k] * strides[d], in);
  }
  return sum;
}

/* Element `to` of the output, whose axes take `axes`. */
static void compute(const cosrel_call *call, const resize *r, const cosrel_resize_taps *axes, const int64_t *strides,
                    uint64_t to) {
  const cosrel_tensor *in = call->in[0], *out = call->out[0];
  bool inside = true;
  int64_t at = 0;
  for (uint32_t d = 0; d < r->rank; d++) {
    inside = inside && axes[d].n > 0;
    at += axes[d].at[0] * strides[d];
  }
  size_t bytes = cosrel_dtype_bytes(out->dtype);
  if (!inside)
    cosrel_store_real(out, to, r->outside);
  else if (r->kind == NEAREST)
    memcpy((unsigned char *)out->data + to * bytes, (const unsigned char *)in->data + (size_t)at * bytes, bytes);
  else
    cosrel_store_real(out, to, sum_taps(axes, strides, r->rank, 0, 0, in));
}

void cosrel_resize_run(const cosrel_call *call) {
  resize r;
  if (read_resize(call, &r, NULL) != COSREL_OK) return;
  uint64_t n = cosrel_shape_elements(&call->out[0]->shape);
  int64_t strides[COSREL_RANK_MAX], index[COSREL_RANK_MAX] = {0};
  cosrel_resize_taps axes[COSREL_RANK_MAX];
  cosrel_shape_strides(&call->in[0]->shape, strides);
  for (uint32_t d = 0; d < r.rank && n > 0; d++) axes[d] = look(&r, d, 0);
  for (uint64_t to = 0; to < n; to++) {
    compute(call, &r, axes, strides, to);
    for (uint32_t d = cosrel_shape_next(&call->out[0]->shape, index); d < r.rank; d++) axes[d] = look(&r, d, index[d]);
  }
}
