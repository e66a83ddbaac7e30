#include "backends/onnx/tensor_proto.h"

#include <string.h>

cosrel_status cosrel_tensor_proto_dtype(int32_t data_type, cosrel_dtype *dtype, cosrel_error *error) {
  static const char *const names[] = {"undefined", "float",  "uint8",     "int8",       "uint16",  "int16",
                                      "int32",     "int64",  "string",    "bool",       "float16", "double",
                                      "uint32",    "uint64", "complex64", "complex128", "bfloat16"};
  switch (data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT:
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: *dtype = COSREL_F32; return COSREL_OK;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: *dtype = COSREL_F64; return COSREL_OK;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: *dtype = COSREL_I64; return COSREL_OK;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: *dtype = COSREL_I32; return COSREL_OK;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8: *dtype = COSREL_I8; return COSREL_OK;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8: *dtype = COSREL_U8; return COSREL_OK;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL: *dtype = COSREL_BOOL; return COSREL_OK;
    default:
      return cosrel_fail(error, COSREL_UNSUPPORTED,
                         "expected elements of type float, float16, double, int64, int32, int8, uint8 or bool, got %s",
                         data_type >= 0 && data_type <= 16 ? names[data_type] : "an unknown type");
  }
}

static bool is_half(const Onnx__TensorProto *proto) {
  return proto->data_type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
}

/* Elements in the list that belongs to the type. */
static size_t listed(const Onnx__TensorProto *proto) {
  switch (proto->data_type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT: return proto->n_float_data;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: return proto->n_double_data;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: return proto->n_int64_data;
    default: return proto->n_int32_data;
  }
}

cosrel_status cosrel_tensor_proto_check(const Onnx__TensorProto *proto, cosrel_tensor *tensor, cosrel_error *error) {
  *tensor = (cosrel_tensor){0};
  cosrel_status status = cosrel_tensor_proto_dtype(proto->data_type, &tensor->dtype, error);
  if (status != COSREL_OK) return status;
  if (proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL || proto->n_external_data > 0) {
    return cosrel_fail(error, COSREL_UNSUPPORTED, "expected data inside the file, not in another one (external data)");
  }
  if (proto->segment != NULL) return cosrel_fail(error, COSREL_UNSUPPORTED, "expected a whole tensor, not a segment");
  if (proto->n_dims > COSREL_RANK_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "expected at most %d axes, got %zu", COSREL_RANK_MAX, proto->n_dims);
  }
  tensor->shape.rank = (uint32_t)proto->n_dims;
  for (size_t i = 0; i < proto->n_dims; i++) {
    if (proto->dims[i] < 0 || proto->dims[i] > (int64_t)COSREL_ELEMENTS_MAX) {
      return cosrel_fail(error, COSREL_FORMAT, "axis %zu: expected a size of 0 to 2^31, got %lld", i,
                         (long long)proto->dims[i]);
    }
    tensor->shape.dims[i] = (uint32_t)proto->dims[i];
  }
  uint64_t elements = cosrel_shape_elements(&tensor->shape);
  if (elements > COSREL_ELEMENTS_MAX) return cosrel_fail(error, COSREL_LIMIT, "expected at most 2^31 elements");
  uint64_t bytes = elements * (is_half(proto) ? 2 : cosrel_dtype_bytes(tensor->dtype));
  if (proto->has_raw_data) {
    if (proto->raw_data.len == bytes) return COSREL_OK;
    return cosrel_fail(error, COSREL_FORMAT, "expected %llu bytes of data, got %zu", (unsigned long long)bytes,
                       proto->raw_data.len);
  }
  if (listed(proto) == elements) return COSREL_OK;
  return cosrel_fail(error, COSREL_FORMAT, "expected %llu elements, got %zu", (unsigned long long)elements,
                     listed(proto));
}

/* IEEE 754 binary16 to binary32, exact. */
static float widen(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 0x1f, fraction = half & 0x3ff;
  uint32_t bits = sign;
  if (exponent == 0x1f) {
    bits |= UINT32_C(0x7f800000) | fraction << 13;
  } else if (exponent != 0) {
    bits |= (exponent + 127 - 15) << 23 | fraction << 13;
  } else {
    float tiny = (float)fraction * 0x1p-24F; /* zero and subnormals */
    return sign != 0 ? -tiny : tiny;
  }
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void copy_half(const Onnx__TensorProto *proto, float *to, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) {
    uint16_t half = 0;
    if (proto->has_raw_data) {
      memcpy(&half, proto->raw_data.data + 2 * i, sizeof half);
    } else {
      half = (uint16_t)proto->int32_data[i];
    }
    to[i] = widen(half);
  }
}

static void copy_list(const Onnx__TensorProto *proto, const cosrel_tensor *tensor, uint64_t n, size_t bytes) {
  switch (tensor->dtype) {
    case COSREL_F32: memcpy(tensor->data, proto->float_data, bytes); break;
    case COSREL_F64: memcpy(tensor->data, proto->double_data, bytes); break;
    case COSREL_I64: memcpy(tensor->data, proto->int64_data, bytes); break;
    case COSREL_I32: memcpy(tensor->data, proto->int32_data, bytes); break;
    default: /* one byte each */
      for (uint64_t i = 0; i < n; i++) ((uint8_t *)tensor->data)[i] = (uint8_t)proto->int32_data[i];
      break;
  }
}

void cosrel_tensor_proto_copy(const Onnx__TensorProto *proto, const cosrel_tensor *tensor) {
  uint64_t n = cosrel_shape_elements(&tensor->shape);
  size_t bytes = cosrel_tensor_bytes(tensor);
  if (n == 0) return;
  if (is_half(proto)) {
    copy_half(proto, tensor->data, n);
    return;
  }
  if (proto->has_raw_data) {
    memcpy(tensor->data, proto->raw_data.data, bytes); /* little-endian, as every machine that cosrel runs on */
  } else {
    copy_list(proto, tensor, n, bytes);
  }
  if (tensor->dtype != COSREL_BOOL) return;
  uint8_t *flags = tensor->data;
  for (uint64_t i = 0; i < n; i++) flags[i] = flags[i] != 0; /* all code relies on 0 and 1 */
}
