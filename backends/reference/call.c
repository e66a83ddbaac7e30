#include "backends/reference/call.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const cosrel_tensor *cosrel_call_in(const cosrel_call *call, uint32_t i) {
  return i < call->node->n_inputs ? call->in[i] : NULL;
}

cosrel_tensor *cosrel_call_out(const cosrel_call *call, uint32_t i) {
  return i < call->node->n_outputs ? call->out[i] : NULL;
}

uint32_t cosrel_call_opset(const cosrel_call *call) { return call->net->opset; }

cosrel_status cosrel_call_fail(const cosrel_call *call, cosrel_error *error, cosrel_status status, const char *format,
                               ...) {
  char text[320];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return cosrel_fail(error, status, "node '%s' (%s): %s", call->node->name, call->node->op->name, text);
}

bool cosrel_shape_is_bounded(const cosrel_shape *shape) {
  if (shape->rank > COSREL_RANK_MAX) return false;
  cosrel_shape filled = *shape;
  for (uint32_t d = 0; d < filled.rank; d++)
    if (filled.dims[d] == 0) filled.dims[d] = 1;
  return cosrel_shape_elements(&filled) <= COSREL_ELEMENTS_MAX;
}

cosrel_status cosrel_call_set(const cosrel_call *call, uint32_t i, cosrel_dtype dtype, uint32_t rank,
                              const int64_t *dims, cosrel_error *error) {
  cosrel_shape shape = {.rank = rank};
  if (rank > COSREL_RANK_MAX)
    return cosrel_call_fail(call, error, COSREL_LIMIT, "output %u: expected at most %d axes, not %u", i,
                            COSREL_RANK_MAX, rank);
  for (uint32_t d = 0; d < rank; d++) {
    if (dims[d] < 0 || dims[d] > (int64_t)COSREL_ELEMENTS_MAX)
      return cosrel_call_fail(call, error, COSREL_LIMIT, "output %u: size %lld of axis %u is out of range", i,
                              (long long)dims[d], d);
    shape.dims[d] = (uint32_t)dims[d];
  }
  if (!cosrel_shape_is_bounded(&shape))
    return cosrel_call_fail(call, error, COSREL_LIMIT, "output %u: over %llu elements", i,
                            (unsigned long long)COSREL_ELEMENTS_MAX);
  cosrel_tensor *out = cosrel_call_out(call, i);
  if (out != NULL) {
    out->dtype = dtype;
    out->shape = shape;
  }
  return COSREL_OK;
}

cosrel_status cosrel_call_set_like(const cosrel_call *call, uint32_t i, const cosrel_tensor *like,
                                   cosrel_error *error) {
  int64_t dims[COSREL_RANK_MAX];
  for (uint32_t d = 0; d < like->shape.rank; d++) dims[d] = like->shape.dims[d];
  return cosrel_call_set(call, i, like->dtype, like->shape.rank, dims, error);
}

cosrel_status cosrel_call_expect(const cosrel_call *call, uint32_t i, uint32_t allowed, cosrel_error *error) {
  const cosrel_tensor *in = cosrel_call_in(call, i);
  if (in == NULL || (allowed >> in->dtype & 1) != 0) return COSREL_OK;
  return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "input %u: type %s is not supported", i,
                          cosrel_dtype_name(in->dtype));
}

cosrel_status cosrel_call_list(const cosrel_call *call, const char *name, int32_t i, uint32_t capacity, int64_t *list,
                               uint32_t *n, bool *given, cosrel_error *error) {
  *n = 0;
  *given = false;
  const cosrel_attribute *attribute = cosrel_node_attribute(call->net, call->node, name);
  const cosrel_tensor *in = i >= 0 ? cosrel_call_in(call, (uint32_t)i) : NULL;
  uint64_t count = 0;
  if (attribute != NULL && attribute->kind == COSREL_ATTRIBUTE_INTS) {
    count = attribute->n;
  } else if (in != NULL) {
    if (cosrel_call_expect(call, (uint32_t)i, COSREL_INDEX_TYPES, error) != COSREL_OK) return COSREL_UNSUPPORTED;
    count = cosrel_shape_elements(&in->shape);
    attribute = NULL;
  } else {
    return COSREL_OK;
  }
  if (count > capacity)
    return cosrel_call_fail(call, error, COSREL_LIMIT, "%s: expected at most %u integers", name, capacity);
  if (attribute == NULL && in->data == NULL && count > 0)
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "%s: only a constant is supported", name);
  for (uint32_t k = 0; k < count; k++) list[k] = attribute != NULL ? attribute->ints[k] : cosrel_load_int(in, k);
  *n = (uint32_t)count;
  *given = true;
  return COSREL_OK;
}

cosrel_status cosrel_call_ints(const cosrel_call *call, const char *name, uint32_t n, int64_t low, int64_t high,
                               int64_t fallback, int64_t *values, cosrel_error *error) {
  uint32_t count = 0;
  bool given = false;
  cosrel_status status = cosrel_call_list(call, name, -1, n, values, &count, &given, error);
  if (status != COSREL_OK) return status;
  if (given && count != n)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "%s: expected %u integers, not %u", name, n, count);
  for (uint32_t k = 0; k < n; k++) {
    if (!given) values[k] = fallback;
    if (values[k] < low || values[k] > high)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "%s[%u]: expected %lld to %lld", name, k, (long long)low,
                              (long long)high);
  }
  return COSREL_OK;
}

cosrel_status cosrel_call_axis(const cosrel_call *call, int64_t value, uint32_t rank, uint32_t *axis,
                               cosrel_error *error) {
  if (value < -(int64_t)rank || value >= (int64_t)rank)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "axis %lld of a tensor with %u axes", (long long)value, rank);
  *axis = (uint32_t)(value < 0 ? value + rank : value);
  return COSREL_OK;
}

/* ---- Elements ---- */

bool cosrel_dtype_is_real(cosrel_dtype dtype) { return dtype == COSREL_F32 || dtype == COSREL_F64; }

/* Reals outside the range of an integer type become its nearest end, NaN becomes 0. */
static int64_t saturate(double value, double low, double high) {
  if (isnan(value)) return 0;
  if (value <= low) return (int64_t)low;
  if (value >= high) return high >= 0x1p63 ? INT64_MAX : (int64_t)high;
  return (int64_t)value;
}

double cosrel_load_real(const cosrel_tensor *tensor, uint64_t i) {
  if (tensor->dtype == COSREL_F32) return ((const float *)tensor->data)[i];
  if (tensor->dtype == COSREL_F64) return ((const double *)tensor->data)[i];
  return (double)cosrel_load_int(tensor, i);
}

int64_t cosrel_load_int(const cosrel_tensor *tensor, uint64_t i) {
  switch (tensor->dtype) {
    case COSREL_I64: return ((const int64_t *)tensor->data)[i];
    case COSREL_I32: return ((const int32_t *)tensor->data)[i];
    case COSREL_I8: return ((const int8_t *)tensor->data)[i];
    case COSREL_U8: return ((const uint8_t *)tensor->data)[i];
    case COSREL_BOOL: return ((const uint8_t *)tensor->data)[i] != 0;
    default: return saturate(cosrel_load_real(tensor, i), -0x1p63, 0x1p63);
  }
}

void cosrel_store_real(const cosrel_tensor *tensor, uint64_t i, double value) {
  switch (tensor->dtype) {
    case COSREL_F32: ((float *)tensor->data)[i] = (float)value; break;
    case COSREL_F64: ((double *)tensor->data)[i] = value; break;
    case COSREL_I64: ((int64_t *)tensor->data)[i] = saturate(value, -0x1p63, 0x1p63); break;
    case COSREL_I32: ((int32_t *)tensor->data)[i] = (int32_t)saturate(value, INT32_MIN, INT32_MAX); break;
    case COSREL_I8: ((int8_t *)tensor->data)[i] = (int8_t)saturate(value, INT8_MIN, INT8_MAX); break;
    case COSREL_U8: ((uint8_t *)tensor->data)[i] = (uint8_t)saturate(value, 0, UINT8_MAX); break;
    default: ((uint8_t *)tensor->data)[i] = value != 0; break;
  }
}

void cosrel_store_int(const cosrel_tensor *tensor, uint64_t i, int64_t value) {
  switch (tensor->dtype) {
    case COSREL_I64: ((int64_t *)tensor->data)[i] = value; break;
    case COSREL_I32: ((int32_t *)tensor->data)[i] = (int32_t)value; break;
    case COSREL_I8: ((int8_t *)tensor->data)[i] = (int8_t)value; break;
    case COSREL_U8: ((uint8_t *)tensor->data)[i] = (uint8_t)value; break;
    case COSREL_BOOL: ((uint8_t *)tensor->data)[i] = value != 0; break;
    default: cosrel_store_real(tensor, i, (double)value); break;
  }
}

/* ---- Shapes ---- */

bool cosrel_shape_equal(const cosrel_shape *a, const cosrel_shape *b) {
  return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

uint64_t cosrel_shape_span(const cosrel_shape *shape, uint32_t from, uint32_t to) {
  uint64_t span = 1;
  for (uint32_t d = from; d < to; d++) span *= shape->dims[d];
  return span;
}

void cosrel_shape_strides(const cosrel_shape *shape, int64_t *strides) {
  int64_t stride = 1;
  for (uint32_t d = shape->rank; d-- > 0;) {
    strides[d] = stride;
    stride *= shape->dims[d];
  }
}

uint32_t cosrel_shape_next(const cosrel_shape *shape, int64_t *index) {
  for (uint32_t d = shape->rank; d-- > 0;) {
    if (++index[d] < shape->dims[d]) return d;
    index[d] = 0;
  }
  return 0;
}

bool cosrel_shape_broadcast(const cosrel_shape *a, const cosrel_shape *b, cosrel_shape *out) {
  cosrel_shape joined = {.rank = a->rank > b->rank ? a->rank : b->rank};
  for (uint32_t d = 1; d <= joined.rank; d++) { /* from the last axis */
    uint32_t x = d <= a->rank ? a->dims[a->rank - d] : 1, y = d <= b->rank ? b->dims[b->rank - d] : 1;
    if (x != y && x != 1 && y != 1) return false;
    joined.dims[joined.rank - d] = x == 1 ? y : x;
  }
  *out = joined;
  return true;
}

/* ---- Walks ---- */

void cosrel_walk_over(cosrel_walk *walk, const cosrel_shape *out) {
  *walk = (cosrel_walk){.rank = out->rank};
  for (uint32_t d = 0; d < out->rank; d++) walk->dims[d] = out->dims[d];
}

void cosrel_walk_broadcast(cosrel_walk *walk, const cosrel_shape *operand) {
  int64_t dense[COSREL_RANK_MAX], strides[COSREL_RANK_MAX] = {0};
  cosrel_shape_strides(operand, dense);
  uint32_t skip = walk->rank - operand->rank; /* axes that only the output has */
  for (uint32_t d = 0; d < operand->rank; d++) strides[skip + d] = operand->dims[d] == 1 ? 0 : dense[d];
  cosrel_walk_strided(walk, strides, 0);
}

void cosrel_walk_strided(cosrel_walk *walk, const int64_t *strides, int64_t at) {
  uint32_t k = walk->n_operands++;
  memcpy(walk->strides[k], strides, walk->rank * sizeof *strides);
  walk->at[k] = at;
}

/* Whether axes d - 1 and d are one for every operand. */
static bool joins(const cosrel_walk *walk, uint32_t d) {
  for (uint32_t k = 0; k < walk->n_operands; k++)
    if (walk->strides[k][d - 1] != walk->strides[k][d] * walk->dims[d]) return false;
  return true;
}

static void drop_axis(cosrel_walk *walk, uint32_t d) {
  for (uint32_t e = d; e + 1 < walk->rank; e++) {
    walk->dims[e] = walk->dims[e + 1];
    for (uint32_t k = 0; k < walk->n_operands; k++) walk->strides[k][e] = walk->strides[k][e + 1];
  }
  walk->rank--;
}

void cosrel_walk_begin(cosrel_walk *walk) {
  for (uint32_t d = walk->rank; d-- > 0;)
    if (walk->dims[d] == 1) drop_axis(walk, d);
  for (uint32_t d = walk->rank; d-- > 1;) {
    if (!joins(walk, d)) continue;
    walk->dims[d] *= walk->dims[d - 1];
    drop_axis(walk, d - 1);
  }
  walk->row = walk->rank > 0 ? walk->dims[walk->rank - 1] : 1;
  walk->rows = walk->row > 0 ? 1 : 0;
  for (uint32_t d = 0; d + 1 < walk->rank; d++) walk->rows *= (uint64_t)walk->dims[d];
  for (uint32_t k = 0; k < walk->n_operands; k++) walk->step[k] = walk->rank > 0 ? walk->strides[k][walk->rank - 1] : 0;
}

void cosrel_walk_next(cosrel_walk *walk) {
  walk->rows--;
  walk->out += walk->row;
  for (uint32_t d = walk->rank > 0 ? walk->rank - 1 : 0; d-- > 0;) { /* like an odometer */
    for (uint32_t k = 0; k < walk->n_operands; k++) walk->at[k] += walk->strides[k][d];
    if (++walk->index[d] < walk->dims[d]) return;
    walk->index[d] = 0;
    for (uint32_t k = 0; k < walk->n_operands; k++) walk->at[k] -= walk->strides[k][d] * walk->dims[d];
  }
}

void cosrel_walk_copy(cosrel_walk *walk, const cosrel_tensor *from, const cosrel_tensor *out) {
  size_t bytes = cosrel_dtype_bytes(out->dtype);
  for (; cosrel_walk_rows(walk); cosrel_walk_next(walk)) {
    const unsigned char *source = (const unsigned char *)from->data + walk->at[0] * (int64_t)bytes;
    unsigned char *to = (unsigned char *)out->data + (size_t)walk->out * bytes;
    if (walk->step[0] == 1) {
      memcpy(to, source, (size_t)walk->row * bytes);
      continue;
    }
    int64_t step = walk->step[0] * (int64_t)bytes;
    for (int64_t j = 0; j < walk->row; j++) memcpy(&to[(size_t)j * bytes], &source[j * step], bytes);
  }
}
