/* Operators of one tensor, element by element: y = f(x), the f of families.h; Clip, Cast, Not, IsNaN and IsInf.
 *
 * Reals are computed in double and rounded once. Equations: ONNX operator specification. */
#include <math.h>
#include <string.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

static double clamp(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

/* ---- The family of families.h ---- */

static bool takes_integers(uint8_t variant) {
  return variant == COSREL_UNARY_ABS || variant == COSREL_UNARY_NEG || variant == COSREL_UNARY_SIGN ||
         variant == COSREL_UNARY_RELU;
}

cosrel_status cosrel_unary_infer(const cosrel_call *call, cosrel_error *error) {
  uint32_t allowed = takes_integers(call->node->op->variant) ? COSREL_NUMBER_TYPES : COSREL_REAL_TYPES;
  cosrel_status status = cosrel_call_expect(call, 0, allowed, error);
  return status != COSREL_OK ? status : cosrel_call_set_like(call, 0, call->in[0], error);
}

static int64_t integer(uint8_t variant, int64_t x) {
  switch (variant) {
    case COSREL_UNARY_ABS: return x < 0 ? (int64_t)(0 - (uint64_t)x) : x;
    case COSREL_UNARY_NEG: return (int64_t)(0 - (uint64_t)x);
    case COSREL_UNARY_SIGN: return (x > 0) - (x < 0);
    default: return x > 0 ? x : 0; /* Relu */
  }
}

static void parameters(const cosrel_call *call, double *a, double *b) {
  float alpha = 1, beta = 0;
  const char *beta_name = "beta";
  switch (call->node->op->variant) {
    case COSREL_UNARY_LEAKY_RELU: alpha = 0.01F; break;
    case COSREL_UNARY_HARD_SIGMOID: alpha = 0.2F, beta = 0.5F; break;
    case COSREL_UNARY_SELU:
      alpha = 1.67326319217681884765625F;
      beta = 1.05070102214813232421875F;
      beta_name = "gamma";
      break;
    default: break;
  }
  *a = cosrel_node_float(call->net, call->node, "alpha", alpha);
  *b = cosrel_node_float(call->net, call->node, beta_name, beta);
}

#define EACH(type, f)                             \
  for (uint64_t i = 0; i < n; i++) {              \
    const double x = ((const type *)in->data)[i]; \
    ((type *)out->data)[i] = (type)(f);           \
  }
#define CASE(name, f)       \
  case COSREL_UNARY_##name: \
    if (in->dtype == COSREL_F32) EACH(float, f) else EACH(double, f) break;

void cosrel_unary_run(const cosrel_call *call) {
  const cosrel_tensor *in = call->in[0], *out = call->out[0];
  uint64_t n = cosrel_shape_elements(&out->shape);
  uint8_t variant = call->node->op->variant;
  if (!cosrel_dtype_is_real(in->dtype)) {
    for (uint64_t i = 0; i < n; i++) cosrel_store_int(out, i, integer(variant, cosrel_load_int(in, i)));
    return;
  }
  double a = 0, b = 0;
  parameters(call, &a, &b);
  switch (variant) { COSREL_UNARY_MAP(CASE) }
}

/* ---- Clip: min and max are attributes up to opset 10, then scalar inputs ---- */

cosrel_status cosrel_clip_infer(const cosrel_call *call, cosrel_error *error) {
  cosrel_status status = cosrel_call_expect(call, 0, COSREL_NUMBER_TYPES, error);
  for (uint32_t i = 1; i < 3 && status == COSREL_OK; i++) {
    const cosrel_tensor *bound = cosrel_call_in(call, i);
    if (bound != NULL && (bound->dtype != call->in[0]->dtype || cosrel_shape_elements(&bound->shape) != 1))
      return cosrel_call_fail(call, error, COSREL_FORMAT, "input %u: expected one element of the type of input 0", i);
  }
  return status != COSREL_OK ? status : cosrel_call_set_like(call, 0, call->in[0], error);
}

void cosrel_clip_run(const cosrel_call *call) {
  const cosrel_tensor *in = call->in[0], *out = call->out[0];
  const cosrel_tensor *min = cosrel_call_in(call, 1), *max = cosrel_call_in(call, 2);
  uint64_t n = cosrel_shape_elements(&out->shape);
  if (cosrel_dtype_is_real(in->dtype)) {
    double low = cosrel_node_float(call->net, call->node, "min", -INFINITY);
    double high = cosrel_node_float(call->net, call->node, "max", INFINITY);
    if (min != NULL) low = cosrel_load_real(min, 0);
    if (max != NULL) high = cosrel_load_real(max, 0);
    if (low > high) low = high;
    for (uint64_t i = 0; i < n; i++) cosrel_store_real(out, i, clamp(cosrel_load_real(in, i), low, high));
    return;
  }
  int64_t low = min != NULL ? cosrel_load_int(min, 0) : INT64_MIN;
  int64_t high = max != NULL ? cosrel_load_int(max, 0) : INT64_MAX;
  for (uint64_t i = 0; i < n; i++) {
    int64_t x = cosrel_load_int(in, i);
    if (x < low) x = low;
    cosrel_store_int(out, i, x > high ? high : x);
  }
}

/* ---- Shrink: y = x + bias below -lambd, x - bias above lambd, else 0 ---- */

cosrel_status cosrel_shrink_infer(const cosrel_call *call, cosrel_error *error) {
  cosrel_status status = cosrel_call_expect(call, 0, COSREL_REAL_TYPES, error);
  return status != COSREL_OK ? status : cosrel_call_set_like(call, 0, call->in[0], error);
}

void cosrel_shrink_run(const cosrel_call *call) {
  double bias = cosrel_node_float(call->net, call->node, "bias", 0);
  double lambda = cosrel_node_float(call->net, call->node, "lambd", 0.5F);
  uint64_t n = cosrel_shape_elements(&call->out[0]->shape);
  for (uint64_t i = 0; i < n; i++) {
    double x = cosrel_load_real(call->in[0], i);
    cosrel_store_real(call->out[0], i, x < -lambda ? x + bias : x > lambda ? x - bias : 0);
  }
}

/* ---- Not, IsNaN, IsInf: a truth value for each element ---- */

cosrel_status cosrel_predicate_infer(const cosrel_call *call, cosrel_error *error) {
  bool is_not = call->node->op->variant == COSREL_PREDICATE_NOT;
  cosrel_status status = cosrel_call_expect(call, 0, is_not ? 1u << COSREL_BOOL : COSREL_REAL_TYPES, error);
  if (status == COSREL_OK) status = cosrel_call_set_like(call, 0, call->in[0], error);
  if (status == COSREL_OK) call->out[0]->dtype = COSREL_BOOL;
  return status;
}

void cosrel_predicate_run(const cosrel_call *call) {
  uint8_t variant = call->node->op->variant;
  bool positive = cosrel_node_int(call->net, call->node, "detect_positive", 1) != 0;
  bool negative = cosrel_node_int(call->net, call->node, "detect_negative", 1) != 0;
  uint64_t n = cosrel_shape_elements(&call->out[0]->shape);
  for (uint64_t i = 0; i < n; i++) {
    double x = cosrel_load_real(call->in[0], i);
    bool y = variant == COSREL_PREDICATE_NOT      ? x == 0
             : variant == COSREL_PREDICATE_IS_NAN ? isnan(x) != 0
                                                  : isinf(x) && (x > 0 ? positive : negative);
    cosrel_store_int(call->out[0], i, y);
  }
}

/* ---- Cast ---- */

cosrel_status cosrel_cast_infer(const cosrel_call *call, cosrel_error *error) {
  /* TensorProto.DataType of the ONNX file format; half precision (10) is computed in float throughout */
  static const struct {
    int64_t code;
    cosrel_dtype dtype;
  } types[] = {{1, COSREL_F32}, {2, COSREL_U8},   {3, COSREL_I8},   {6, COSREL_I32},
               {7, COSREL_I64}, {9, COSREL_BOOL}, {10, COSREL_F32}, {11, COSREL_F64}};
  int64_t to = cosrel_node_int(call->net, call->node, "to", 0);
  for (uint32_t k = 0; k < sizeof types / sizeof types[0]; k++) {
    if (types[k].code != to) continue;
    cosrel_status status = cosrel_call_set_like(call, 0, call->in[0], error);
    if (status == COSREL_OK) call->out[0]->dtype = types[k].dtype;
    return status;
  }
  return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "to: type %lld is not supported", (long long)to);
}

cosrel_status cosrel_cast_like_infer(const cosrel_call *call, cosrel_error *error) {
  cosrel_status status = cosrel_call_set_like(call, 0, call->in[0], error);
  if (status == COSREL_OK) call->out[0]->dtype = call->in[1]->dtype;
  return status;
}

void cosrel_cast_run(const cosrel_call *call) {
  const cosrel_tensor *in = call->in[0], *out = call->out[0];
  uint64_t n = cosrel_shape_elements(&out->shape);
  if (in->dtype == out->dtype) {
    memcpy(out->data, in->data, cosrel_tensor_bytes(in));
  } else if (cosrel_dtype_is_real(in->dtype)) {
    for (uint64_t i = 0; i < n; i++) cosrel_store_real(out, i, cosrel_load_real(in, i));
  } else {
    for (uint64_t i = 0; i < n; i++) cosrel_store_int(out, i, cosrel_load_int(in, i));
  }
}

void cosrel_cast_like_run(const cosrel_call *call) { cosrel_cast_run(call); }
