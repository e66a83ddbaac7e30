/* Operators that gather along axes: Softmax and its relatives, the Reduce family, ArgMax and ArgMin.
 *
 * Reals are summed in double, integers in 64 bits. */
#include <math.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

/* A tensor as [outer, n, inner], where n elements, `inner` apart, belong together. */
typedef struct line {
  uint64_t outer, n, inner;
} line;

/* ---- Softmax, LogSoftmax, Hardmax ---- */

/* From opset 13 on along one axis; before over all axes from `axis` on. */
static cosrel_status read_line(const cosrel_call *call, line *l, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  bool one_axis = cosrel_call_opset(call) >= 13;
  uint32_t axis = 0;
  int64_t value = cosrel_node_int(call->net, call->node, "axis", one_axis ? -1 : 1);
  cosrel_status status = cosrel_call_axis(call, value, x->rank, &axis, error);
  if (status != COSREL_OK) return status;
  uint32_t end = one_axis ? axis + 1 : x->rank;
  *l = (line){cosrel_shape_span(x, 0, axis), cosrel_shape_span(x, axis, end), cosrel_shape_span(x, end, x->rank)};
  return COSREL_OK;
}

cosrel_status cosrel_softmax_infer(const cosrel_call *call, cosrel_error *error) {
  line l;
  cosrel_status status = cosrel_call_expect(call, 0, 1u << COSREL_F32, error);
  if (status == COSREL_OK) status = read_line(call, &l, error);
  return status != COSREL_OK ? status : cosrel_call_set_like(call, 0, call->in[0], error);
}

static void softmax(uint8_t variant, const float *x, float *y, uint64_t n, uint64_t step) {
  uint64_t top = 0;
  double sum = 0;
  for (uint64_t i = 1; i < n; i++)
    if (x[i * step] > x[top * step]) top = i;
  double max = x[top * step]; /* taken off, so that exp stays in range */
  for (uint64_t i = 0; i < n; i++) sum += exp(x[i * step] - max);
  for (uint64_t i = 0; i < n; i++) {
    double z = x[i * step] - max;
    double hard = i == top ? 1 : 0;
    y[i * step] = (float)(variant == COSREL_SOFTMAX       ? exp(z) / sum
                          : variant == COSREL_LOG_SOFTMAX ? z - log(sum)
                                                          : hard);
  }
}

void cosrel_softmax_run(const cosrel_call *call) {
  line l;
  if (read_line(call, &l, NULL) != COSREL_OK || l.n == 0) return;
  for (uint64_t o = 0; o < l.outer; o++) {
    for (uint64_t i = 0; i < l.inner; i++) {
      uint64_t at = o * l.n * l.inner + i;
      softmax(call->node->op->variant, (const float *)call->in[0]->data + at, (float *)call->out[0]->data + at, l.n,
              l.inner);
    }
  }
}

/* ---- Reductions ---- */

/* Axes from the attribute or, later, from input 1; none means all, or with noop_with_empty_axes none at all. */
static cosrel_status read_axes(const cosrel_call *call, bool reduced[COSREL_RANK_MAX], cosrel_error *error) {
  uint32_t rank = call->in[0]->shape.rank, n = 0;
  int64_t axes[COSREL_RANK_MAX];
  bool given = false, noop = cosrel_node_int(call->net, call->node, "noop_with_empty_axes", 0) != 0;
  cosrel_status status = cosrel_call_list(call, "axes", 1, COSREL_RANK_MAX, axes, &n, &given, error);
  if (status != COSREL_OK) return status;
  for (uint32_t d = 0; d < COSREL_RANK_MAX; d++) reduced[d] = n == 0 && !noop;
  for (uint32_t k = 0; k < n; k++) {
    uint32_t axis = 0;
    status = cosrel_call_axis(call, axes[k], rank, &axis, error);
    if (status != COSREL_OK) return status;
    reduced[axis] = true;
  }
  return COSREL_OK;
}

static cosrel_status set_reduced(const cosrel_call *call, cosrel_dtype dtype, const bool *reduced,
                                 cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  bool keep = cosrel_node_int(call->net, call->node, "keepdims", 1) != 0;
  int64_t dims[COSREL_RANK_MAX];
  uint32_t rank = 0;
  for (uint32_t d = 0; d < x->rank; d++) {
    if (!reduced[d])
      dims[rank++] = x->dims[d];
    else if (keep)
      dims[rank++] = 1;
  }
  return cosrel_call_set(call, 0, dtype, rank, dims, error);
}

cosrel_status cosrel_reduce_infer(const cosrel_call *call, cosrel_error *error) {
  uint8_t variant = call->node->op->variant;
  bool integers = variant == COSREL_REDUCE_MAX || variant == COSREL_REDUCE_MIN || variant == COSREL_REDUCE_PROD ||
                  variant == COSREL_REDUCE_SUM;
  bool reduced[COSREL_RANK_MAX];
  cosrel_status status = cosrel_call_expect(call, 0, integers ? COSREL_NUMBER_TYPES : COSREL_REAL_TYPES, error);
  if (status == COSREL_OK) status = read_axes(call, reduced, error);
  return status != COSREL_OK ? status : set_reduced(call, call->in[0]->dtype, reduced, error);
}

/* What one output has seen so far. */
typedef struct tally {
  double real, max; /* for log-sum-exp, real is the sum of exp(x - max) */
  int64_t integer;
} tally;

static tally tally_begin(uint8_t variant) {
  switch (variant) {
    case COSREL_REDUCE_PROD: return (tally){.real = 1, .integer = 1};
    case COSREL_REDUCE_MAX: return (tally){.real = -INFINITY, .integer = INT64_MIN};
    case COSREL_REDUCE_MIN: return (tally){.real = INFINITY, .integer = INT64_MAX};
    default: return (tally){.max = -INFINITY};
  }
}

static void tally_real(uint8_t variant, tally *t, double x) {
  switch (variant) {
    case COSREL_REDUCE_L1: t->real += fabs(x); break;
    case COSREL_REDUCE_L2:
    case COSREL_REDUCE_SUM_SQUARE: t->real += x * x; break;
    case COSREL_REDUCE_LOG_SUM_EXP:
      if (x > t->max) {
        t->real = t->real * exp(t->max - x) + 1;
        t->max = x;
      } else if (x > -INFINITY || isnan(x)) {
        t->real += exp(x - t->max);
      }
      break;
    case COSREL_REDUCE_MAX: t->real = x > t->real || isnan(x) ? x : t->real; break;
    case COSREL_REDUCE_MIN: t->real = x < t->real || isnan(x) ? x : t->real; break;
    case COSREL_REDUCE_PROD: t->real *= x; break;
    default: t->real += x; break; /* Sum, Mean, LogSum */
  }
}

static void tally_integer(uint8_t variant, tally *t, int64_t x) {
  switch (variant) {
    case COSREL_REDUCE_MAX: t->integer = x > t->integer ? x : t->integer; break;
    case COSREL_REDUCE_MIN: t->integer = x < t->integer ? x : t->integer; break;
    case COSREL_REDUCE_PROD: t->integer = (int64_t)((uint64_t)t->integer * (uint64_t)x); break;
    default: t->integer = (int64_t)((uint64_t)t->integer + (uint64_t)x); break;
  }
}

static double tally_result(uint8_t variant, const tally *t, uint64_t n) {
  switch (variant) {
    case COSREL_REDUCE_L2: return sqrt(t->real);
    case COSREL_REDUCE_LOG_SUM: return log(t->real);
    case COSREL_REDUCE_LOG_SUM_EXP: return t->max + log(t->real);
    case COSREL_REDUCE_MEAN: return t->real / (double)n;
    default: return t->real;
  }
}

static void store_tally(uint8_t variant, const tally *t, uint64_t n, const cosrel_tensor *out, uint64_t i) {
  if (cosrel_dtype_is_real(out->dtype))
    cosrel_store_real(out, i, tally_result(variant, t, n));
  else
    cosrel_store_int(out, i, t->integer);
}

/* Walks over the input with the kept axes first, so that what belongs to one output comes in one go. */
void cosrel_reduce_run(const cosrel_call *call) {
  const cosrel_tensor *in = call->in[0], *out = call->out[0];
  uint8_t variant = call->node->op->variant;
  bool reduced[COSREL_RANK_MAX], real = cosrel_dtype_is_real(in->dtype);
  if (read_axes(call, reduced, NULL) != COSREL_OK) return;
  cosrel_shape turned = {.rank = in->shape.rank};
  int64_t dense[COSREL_RANK_MAX], strides[COSREL_RANK_MAX];
  cosrel_shape_strides(&in->shape, dense);
  uint64_t n = 1;
  uint32_t rank = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (uint32_t d = 0; d < turned.rank; d++) {
      if (reduced[d] != (pass == 1)) continue;
      if (reduced[d]) n *= in->shape.dims[d];
      turned.dims[rank] = in->shape.dims[d];
      strides[rank++] = dense[d];
    }
  }
  tally t = tally_begin(variant);
  uint64_t n_out = cosrel_shape_elements(&out->shape), seen = 0, at = 0;
  for (uint64_t i = 0; i < n_out && n == 0; i++) store_tally(variant, &t, n, out, i);
  cosrel_walk w;
  cosrel_walk_over(&w, &turned);
  cosrel_walk_strided(&w, strides, 0);
  for (cosrel_walk_begin(&w); cosrel_walk_rows(&w); cosrel_walk_next(&w)) {
    for (int64_t j = 0; j < w.row; j++) {
      uint64_t from = (uint64_t)(w.at[0] + j * w.step[0]);
      if (real)
        tally_real(variant, &t, cosrel_load_real(in, from));
      else
        tally_integer(variant, &t, cosrel_load_int(in, from));
      if (++seen < n) continue;
      store_tally(variant, &t, n, out, at++);
      t = tally_begin(variant);
      seen = 0;
    }
  }
}

/* ---- ArgMax, ArgMin ---- */

static cosrel_status read_arg(const cosrel_call *call, uint32_t *axis, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  cosrel_status status =
      cosrel_call_axis(call, cosrel_node_int(call->net, call->node, "axis", 0), x->rank, axis, error);
  if (status == COSREL_OK && x->dims[*axis] == 0)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "axis %u is empty", *axis);
  return status;
}

cosrel_status cosrel_arg_infer(const cosrel_call *call, cosrel_error *error) {
  uint32_t axis = 0;
  bool reduced[COSREL_RANK_MAX] = {false};
  cosrel_status status = cosrel_call_expect(call, 0, COSREL_NUMBER_TYPES, error);
  if (status == COSREL_OK) status = read_arg(call, &axis, error);
  reduced[axis] = true;
  return status != COSREL_OK ? status : set_reduced(call, COSREL_I64, reduced, error);
}

void cosrel_arg_run(const cosrel_call *call) {
  const cosrel_tensor *in = call->in[0];
  uint32_t axis = 0;
  if (read_arg(call, &axis, NULL) != COSREL_OK) return;
  bool last = cosrel_node_int(call->net, call->node, "select_last_index", 0) != 0;
  double sign = call->node->op->variant == COSREL_ARG_MAX ? 1 : -1;
  line l = {cosrel_shape_span(&in->shape, 0, axis), in->shape.dims[axis],
            cosrel_shape_span(&in->shape, axis + 1, in->shape.rank)};
  int64_t *y = call->out[0]->data;
  for (uint64_t o = 0; o < l.outer; o++) {
    for (uint64_t i = 0; i < l.inner; i++, y++) {
      double best = -INFINITY;
      *y = 0;
      for (uint64_t k = 0; k < l.n; k++) {
        double x = sign * cosrel_load_real(in, (o * l.n + k) * l.inner + i);
        if (x > best || (last && x == best)) best = x, *y = (int64_t)k;
      }
    }
  }
}
