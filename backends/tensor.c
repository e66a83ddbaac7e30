#include "backends/tensor.h"

static const struct {
  const char *name;
  uint32_t bytes;
} dtypes[COSREL_DTYPE_COUNT] = {
#define X(name, text, bytes) {text, bytes},
    COSREL_DTYPE_MAP(X)
#undef X
};

uint32_t cosrel_dtype_bytes(cosrel_dtype dtype) {
  return (unsigned)dtype < COSREL_DTYPE_COUNT ? dtypes[dtype].bytes : 0;
}

const char *cosrel_dtype_name(cosrel_dtype dtype) {
  return (unsigned)dtype < COSREL_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

uint64_t cosrel_shape_elements(const cosrel_shape *shape) {
  uint64_t elements = 1;
  for (uint32_t i = 0; i < shape->rank; i++) {
    uint64_t size = shape->dims[i];
    if (size == 0) return 0;
    elements = elements > COSREL_COUNT_MAX / size ? COSREL_COUNT_MAX + 1 : elements * size;
  }
  return elements;
}

/* In blocks, so that the compiler makes vectors of the inner loop and the outer one may end early. */
bool cosrel_floats_have_nan(const float *x, uint64_t n) {
  const uint64_t block = 4096;
  for (uint64_t i = 0; i < n; i += block) {
    uint64_t end = n - i < block ? n : i + block;
    unsigned found = 0;
    for (uint64_t k = i; k < end; k++) found |= (unsigned)(x[k] != x[k]);
    if (found != 0) return true;
  }
  return false;
}

size_t cosrel_tensor_bytes(const cosrel_tensor *tensor) {
  return (size_t)cosrel_shape_elements(&tensor->shape) * cosrel_dtype_bytes(tensor->dtype);
}
