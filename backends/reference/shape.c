/* Operators that give the same elements another shape, and those whose outputs are known before any data comes. */
#include <math.h>
#include <string.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

static void copy(const cosrel_call *call) {
  size_t bytes = cosrel_tensor_bytes(call->out[0]);
  if (bytes > 0) memcpy(call->out[0]->data, call->in[0]->data, bytes);
}

/* ---- Identity; Dropout, always as in inference: its mask is all true ---- */

cosrel_status cosrel_identity_infer(const cosrel_call *call, cosrel_error *error) {
  return cosrel_call_set_like(call, 0, call->in[0], error);
}

void cosrel_identity_run(const cosrel_call *call) { copy(call); }

cosrel_status cosrel_dropout_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *training = cosrel_call_in(call, 2);
  if (training != NULL &&
      (training->data == NULL || cosrel_shape_elements(&training->shape) != 1 || cosrel_load_int(training, 0) != 0))
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "training_mode: only a constant false is supported");
  cosrel_status status = cosrel_call_set_like(call, 0, call->in[0], error);
  if (status == COSREL_OK) status = cosrel_call_set_like(call, 1, call->in[0], error);
  cosrel_tensor *mask = cosrel_call_out(call, 1);
  if (status == COSREL_OK && mask != NULL && cosrel_call_opset(call) >= 10) mask->dtype = COSREL_BOOL;
  return status;
}

void cosrel_dropout_run(const cosrel_call *call) {
  const cosrel_tensor *mask = cosrel_call_out(call, 1);
  copy(call);
  for (uint64_t i = 0; mask != NULL && i < cosrel_shape_elements(&mask->shape); i++) cosrel_store_int(mask, i, 1);
}

/* ---- Reshape: 0 keeps a size (unless allowzero), one -1 takes what is left ---- */

cosrel_status cosrel_reshape_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *in = call->in[0];
  int64_t dims[COSREL_RANK_MAX];
  uint32_t rank = 0, open = COSREL_RANK_MAX;
  bool given = false, allow_zero = cosrel_node_int(call->net, call->node, "allowzero", 0) != 0;
  cosrel_status status = cosrel_call_list(call, "shape", 1, COSREL_RANK_MAX, dims, &rank, &given, error);
  if (status != COSREL_OK) return status;
  uint64_t known = 1, elements = cosrel_shape_elements(&in->shape);
  for (uint32_t d = 0; d < rank; d++) {
    if (dims[d] == 0 && !allow_zero && d < in->shape.rank) dims[d] = in->shape.dims[d];
    if (dims[d] < -1 || dims[d] > (int64_t)COSREL_ELEMENTS_MAX || (dims[d] == -1 && open < COSREL_RANK_MAX))
      return cosrel_call_fail(call, error, COSREL_FORMAT, "shape: %lld at axis %u", (long long)dims[d], d);
    if (dims[d] == -1)
      open = d;
    else
      known = known > COSREL_ELEMENTS_MAX ? known : known * (uint64_t)dims[d];
  }
  if (open < COSREL_RANK_MAX) dims[open] = known > 0 ? (int64_t)(elements / known) : 0;
  if (open < COSREL_RANK_MAX ? known == 0 || elements % known != 0 : known != elements)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "shape: does not hold %llu elements",
                            (unsigned long long)elements);
  return cosrel_call_set(call, 0, in->dtype, rank, dims, error);
}

void cosrel_reshape_run(const cosrel_call *call) { copy(call); }

/* ---- Flatten: a matrix of the axes before and from `axis` on ---- */

cosrel_status cosrel_flatten_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  uint32_t axis = x->rank;
  int64_t value = cosrel_node_int(call->net, call->node, "axis", 1);
  if (value != (int64_t)x->rank) {
    cosrel_status status = cosrel_call_axis(call, value, x->rank, &axis, error);
    if (status != COSREL_OK) return status;
  }
  int64_t dims[2] = {(int64_t)cosrel_shape_span(x, 0, axis), (int64_t)cosrel_shape_span(x, axis, x->rank)};
  return cosrel_call_set(call, 0, call->in[0]->dtype, 2, dims, error);
}

void cosrel_flatten_run(const cosrel_call *call) { copy(call); }

/* ---- Squeeze drops axes of size 1, Unsqueeze adds them; axes are an attribute up to opset 12, then an input ---- */

/* chosen[d]: whether axis d, of `rank`, is listed. */
static cosrel_status read_axes(const cosrel_call *call, uint32_t rank, bool *chosen, uint32_t *n, bool *given,
                               cosrel_error *error) {
  int64_t axes[COSREL_RANK_MAX];
  cosrel_status status = cosrel_call_list(call, "axes", 1, COSREL_RANK_MAX, axes, n, given, error);
  if (status != COSREL_OK) return status;
  if (call->node->op->infer == cosrel_unsqueeze_infer) rank += *n;
  if (rank > COSREL_RANK_MAX)
    return cosrel_call_fail(call, error, COSREL_LIMIT, "expected at most %d axes", COSREL_RANK_MAX);
  memset(chosen, 0, COSREL_RANK_MAX * sizeof *chosen);
  for (uint32_t k = 0; k < *n; k++) {
    uint32_t axis = 0;
    status = cosrel_call_axis(call, axes[k], rank, &axis, error);
    if (status != COSREL_OK) return status;
    if (chosen[axis]) return cosrel_call_fail(call, error, COSREL_FORMAT, "axes: axis %u is listed twice", axis);
    chosen[axis] = true;
  }
  return COSREL_OK;
}

cosrel_status cosrel_squeeze_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  bool chosen[COSREL_RANK_MAX], given = false;
  uint32_t n = 0, rank = 0;
  cosrel_status status = read_axes(call, x->rank, chosen, &n, &given, error);
  if (status != COSREL_OK) return status;
  int64_t dims[COSREL_RANK_MAX];
  for (uint32_t d = 0; d < x->rank; d++) {
    if (given && chosen[d] && x->dims[d] != 1)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "axes: axis %u has size %u, expected 1", d, x->dims[d]);
    if (given ? !chosen[d] : x->dims[d] != 1) dims[rank++] = x->dims[d];
  }
  return cosrel_call_set(call, 0, call->in[0]->dtype, rank, dims, error);
}

void cosrel_squeeze_run(const cosrel_call *call) { copy(call); }

cosrel_status cosrel_unsqueeze_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  bool chosen[COSREL_RANK_MAX], given = false;
  uint32_t n = 0, from = 0;
  cosrel_status status = read_axes(call, x->rank, chosen, &n, &given, error);
  if (status != COSREL_OK) return status;
  int64_t dims[COSREL_RANK_MAX];
  for (uint32_t d = 0; d < x->rank + n; d++) dims[d] = chosen[d] ? 1 : x->dims[from++];
  return cosrel_call_set(call, 0, call->in[0]->dtype, x->rank + n, dims, error);
}

void cosrel_unsqueeze_run(const cosrel_call *call) { copy(call); }

/* ---- Shape (of axes start to end) and Size ---- */

/* An end of a range of axes: negative ones count from the end, all are cut to [0, rank]. */
static uint32_t cut(int64_t value, uint32_t rank) {
  if (value < 0) value += rank;
  return value < 0 ? 0 : value > rank ? rank : (uint32_t)value;
}

static void read_shape(const cosrel_call *call, uint32_t *start, uint32_t *end) {
  uint32_t rank = call->in[0]->shape.rank;
  *start = cut(cosrel_node_int(call->net, call->node, "start", 0), rank);
  *end = cut(cosrel_node_int(call->net, call->node, "end", rank), rank);
  if (*end < *start) *end = *start;
}

cosrel_status cosrel_shape_infer(const cosrel_call *call, cosrel_error *error) {
  uint32_t start = 0, end = 0;
  read_shape(call, &start, &end);
  return cosrel_call_set(call, 0, COSREL_I64, 1, (int64_t[]){end - start}, error);
}

void cosrel_shape_run(const cosrel_call *call) {
  uint32_t start = 0, end = 0;
  read_shape(call, &start, &end);
  for (uint32_t d = start; d < end; d++) cosrel_store_int(call->out[0], d - start, call->in[0]->shape.dims[d]);
}

cosrel_status cosrel_size_infer(const cosrel_call *call, cosrel_error *error) {
  return cosrel_call_set(call, 0, COSREL_I64, 0, NULL, error);
}

void cosrel_size_run(const cosrel_call *call) {
  cosrel_store_int(call->out[0], 0, (int64_t)cosrel_shape_elements(&call->in[0]->shape));
}

/* ---- Constant: one attribute holds the value ---- */

static const cosrel_attribute *constant_value(const cosrel_call *call, bool *list) {
  static const struct {
    const char *name;
    cosrel_attribute_kind kind;
    bool list;
  } forms[] = {{"value", COSREL_ATTRIBUTE_TENSOR, false},
               {"value_float", COSREL_ATTRIBUTE_FLOATS, false},
               {"value_floats", COSREL_ATTRIBUTE_FLOATS, true},
               {"value_int", COSREL_ATTRIBUTE_INTS, false},
               {"value_ints", COSREL_ATTRIBUTE_INTS, true}};
  for (uint32_t k = 0; k < sizeof forms / sizeof forms[0]; k++) {
    const cosrel_attribute *value = cosrel_node_attribute(call->net, call->node, forms[k].name);
    *list = forms[k].list;
    if (value != NULL && value->kind == forms[k].kind) return value;
  }
  return NULL;
}

cosrel_status cosrel_constant_infer(const cosrel_call *call, cosrel_error *error) {
  bool list = false;
  const cosrel_attribute *value = constant_value(call, &list);
  if (value == NULL) return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "value: missing, or of a strange type");
  if (value->kind == COSREL_ATTRIBUTE_TENSOR) return cosrel_call_set_like(call, 0, &value->tensor, error);
  cosrel_dtype dtype = value->kind == COSREL_ATTRIBUTE_INTS ? COSREL_I64 : COSREL_F32;
  if (!list && value->n != 1) return cosrel_call_fail(call, error, COSREL_FORMAT, "value: expected one number");
  return cosrel_call_set(call, 0, dtype, list ? 1 : 0, (int64_t[]){value->n}, error);
}

void cosrel_constant_run(const cosrel_call *call) {
  bool list = false;
  const cosrel_attribute *value = constant_value(call, &list);
  const void *from = value->kind == COSREL_ATTRIBUTE_TENSOR ? value->tensor.data
                     : value->kind == COSREL_ATTRIBUTE_INTS ? (const void *)value->ints
                                                            : (const void *)value->floats;
  size_t bytes = cosrel_tensor_bytes(call->out[0]);
  if (bytes > 0) memcpy(call->out[0]->data, from, bytes);
}

/* ---- ConstantOfShape: a tensor of the shape in input 0, filled with one value (0 by default) ---- */

cosrel_status cosrel_constant_of_shape_infer(const cosrel_call *call, cosrel_error *error) {
  int64_t dims[COSREL_RANK_MAX];
  uint32_t rank = 0;
  bool given = false;
  cosrel_status status = cosrel_call_list(call, "shape", 0, COSREL_RANK_MAX, dims, &rank, &given, error);
  if (status != COSREL_OK) return status;
  const cosrel_attribute *value = cosrel_node_attribute(call->net, call->node, "value");
  bool tensor = value != NULL && value->kind == COSREL_ATTRIBUTE_TENSOR;
  if (tensor && cosrel_shape_elements(&value->tensor.shape) != 1)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "value: expected one element");
  return cosrel_call_set(call, 0, tensor ? value->tensor.dtype : COSREL_F32, rank, dims, error);
}

void cosrel_constant_of_shape_run(const cosrel_call *call) {
  const cosrel_attribute *value = cosrel_node_attribute(call->net, call->node, "value");
  size_t bytes = cosrel_dtype_bytes(call->out[0]->dtype);
  unsigned char *to = call->out[0]->data;
  uint64_t n = cosrel_shape_elements(&call->out[0]->shape);
  bool tensor = value != NULL && value->kind == COSREL_ATTRIBUTE_TENSOR;
  for (uint64_t i = 0; i < n; i++) {
    if (tensor)
      memcpy(&to[i * bytes], value->tensor.data, bytes);
    else
      memset(&to[i * bytes], 0, bytes);
  }
}

/* ---- Range: start, start + delta, ... before limit; all three constant ---- */

cosrel_status cosrel_range_infer(const cosrel_call *call, cosrel_error *error) {
  for (uint32_t i = 0; i < 3; i++) {
    const cosrel_tensor *in = call->in[i];
    cosrel_status status = cosrel_call_expect(call, i, COSREL_REAL_TYPES | COSREL_INDEX_TYPES, error);
    if (status != COSREL_OK) return status;
    if (in->dtype != call->in[0]->dtype || cosrel_shape_elements(&in->shape) != 1)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "input %u: expected one number of the type of input 0", i);
    if (in->data == NULL)
      return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "input %u: only a constant is supported", i);
  }
  double delta = cosrel_load_real(call->in[2], 0);
  double n = ceil((cosrel_load_real(call->in[1], 0) - cosrel_load_real(call->in[0], 0)) / delta);
  if (!(fabs(n) <= (double)COSREL_ELEMENTS_MAX))
    return cosrel_call_fail(call, error, COSREL_FORMAT, "a delta of %g does not lead to the limit", delta);
  return cosrel_call_set(call, 0, call->in[0]->dtype, 1, (int64_t[]){n > 0 ? (int64_t)n : 0}, error);
}

void cosrel_range_run(const cosrel_call *call) {
  const cosrel_tensor *out = call->out[0];
  for (uint64_t i = 0; i < out->shape.dims[0]; i++) {
    if (cosrel_dtype_is_real(out->dtype))
      cosrel_store_real(out, i, cosrel_load_real(call->in[0], 0) + (double)i * cosrel_load_real(call->in[2], 0));
    else
      cosrel_store_int(
          out, i, (int64_t)((uint64_t)cosrel_load_int(call->in[0], 0) + i * (uint64_t)cosrel_load_int(call->in[2], 0)));
  }
}
