/* QuantizeLinear    y = saturate(round(x / scale) + zero_point), halves to even
 * DequantizeLinear  y = (x - zero_point) * scale
 *
 * Scale and zero point are one number each, or one for each place along `axis`. Types: ONNX operator specification. */
#include <math.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

/* Elements between neighbours along the axis of the scales, and how many scales there are. */
static cosrel_status read_scales(const cosrel_call *call, uint64_t *inner, uint64_t *n, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape, *scale = &call->in[1]->shape;
  const cosrel_tensor *zero = cosrel_call_in(call, 2);
  uint32_t axis = 0;
  *n = cosrel_shape_elements(scale);
  *inner = 1;
  if (zero != NULL && cosrel_shape_elements(&zero->shape) != *n)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "input 2: expected as many elements as in input 1");
  if (*n == 1) return COSREL_OK;
  cosrel_status status =
      cosrel_call_axis(call, cosrel_node_int(call->net, call->node, "axis", 1), x->rank, &axis, error);
  if (status != COSREL_OK) return status;
  if (scale->rank != 1 || scale->dims[0] != x->dims[axis])
    return cosrel_call_fail(call, error, COSREL_FORMAT, "input 1: expected one scale, or %u", x->dims[axis]);
  *inner = cosrel_shape_span(x, axis + 1, x->rank);
  return COSREL_OK;
}

static const uint32_t bytes_only = 1u << COSREL_I8 | 1u << COSREL_U8;

cosrel_status cosrel_quantize_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *zero = cosrel_call_in(call, 2);
  uint64_t inner = 0, n = 0;
  cosrel_status status = cosrel_call_expect(call, 0, COSREL_REAL_TYPES, error);
  if (status == COSREL_OK) status = cosrel_call_expect(call, 1, COSREL_REAL_TYPES, error);
  if (status == COSREL_OK) status = cosrel_call_expect(call, 2, bytes_only, error);
  if (status == COSREL_OK) status = read_scales(call, &inner, &n, error);
  if (status == COSREL_OK) status = cosrel_call_set_like(call, 0, call->in[0], error);
  if (status == COSREL_OK) call->out[0]->dtype = zero != NULL ? zero->dtype : COSREL_U8;
  return status;
}

void cosrel_quantize_run(const cosrel_call *call) {
  const cosrel_tensor *zero = cosrel_call_in(call, 2);
  uint64_t inner = 0, n = 0, elements = cosrel_shape_elements(&call->out[0]->shape);
  if (read_scales(call, &inner, &n, NULL) != COSREL_OK) return;
  for (uint64_t i = 0; i < elements; i++) {
    uint64_t k = i / inner % n;
    /* The quotient is that of floats, as every other implementation has it: halves must fall alike. */
    float quotient = (float)cosrel_load_real(call->in[0], i) / (float)cosrel_load_real(call->in[1], k);
    cosrel_store_real(call->out[0], i, nearbyint((double)quotient) + (zero != NULL ? cosrel_load_real(zero, k) : 0));
  }
}

cosrel_status cosrel_dequantize_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *zero = cosrel_call_in(call, 2);
  uint64_t inner = 0, n = 0;
  cosrel_status status = cosrel_call_expect(call, 0, bytes_only | 1u << COSREL_I32, error);
  if (status == COSREL_OK) status = cosrel_call_expect(call, 1, COSREL_REAL_TYPES, error);
  if (status == COSREL_OK) status = read_scales(call, &inner, &n, error);
  if (status != COSREL_OK) return status;
  if (zero != NULL && zero->dtype != call->in[0]->dtype)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "input 2: expected the type of input 0");
  status = cosrel_call_set_like(call, 0, call->in[0], error);
  if (status == COSREL_OK) call->out[0]->dtype = COSREL_F32;
  return status;
}

void cosrel_dequantize_run(const cosrel_call *call) {
  const cosrel_tensor *zero = cosrel_call_in(call, 2);
  uint64_t inner = 0, n = 0, elements = cosrel_shape_elements(&call->out[0]->shape);
  if (read_scales(call, &inner, &n, NULL) != COSREL_OK) return;
  for (uint64_t i = 0; i < elements; i++) {
    uint64_t k = i / inner % n;
    double offset = zero != NULL ? cosrel_load_real(zero, k) : 0;
    cosrel_store_real(call->out[0], i, (cosrel_load_real(call->in[0], i) - offset) * cosrel_load_real(call->in[1], k));
  }
}
