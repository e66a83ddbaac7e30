/* Element types, shapes and tensors in host memory, as ONNX has them: dense, row-major. */
#ifndef COSREL_BACKENDS_TENSOR_H
#define COSREL_BACKENDS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/model.h"

#define COSREL_RANK_MAX 6
#define COSREL_ELEMENTS_MAX (UINT64_C(1) << 31) /* of one tensor; keeps every product of sizes inside 64 bits */

/* name, text in messages, bytes of an element */
#define COSREL_DTYPE_MAP(X) \
  X(F32, "float", 4)        \
  X(F64, "double", 8)       \
  X(I64, "int64", 8)        \
  X(I32, "int32", 4)        \
  X(I8, "int8", 1)          \
  X(U8, "uint8", 1)         \
  X(BOOL, "bool", 1)

typedef enum cosrel_dtype {
#define X(name, text, bytes) COSREL_##name,
  COSREL_DTYPE_MAP(X)
#undef X
      COSREL_DTYPE_COUNT
} cosrel_dtype;

typedef struct cosrel_shape {
  uint32_t rank;                  /* 0: a scalar */
  uint32_t dims[COSREL_RANK_MAX]; /* a 0 makes the tensor empty */
} cosrel_shape;

/* data is borrowed or owned as the holder says; NULL while only the shape is known. Aligned for its type at least. */
typedef struct cosrel_tensor {
  cosrel_dtype dtype;
  cosrel_shape shape;
  void *data;
} cosrel_tensor;

/* 1 for the empty shape; COSREL_COUNT_MAX + 1 where the product is over COSREL_COUNT_MAX. */
uint64_t cosrel_shape_elements(const cosrel_shape *shape);
/* Bytes of the elements. */
size_t cosrel_tensor_bytes(const cosrel_tensor *tensor);
uint32_t cosrel_dtype_bytes(cosrel_dtype dtype);
const char *cosrel_dtype_name(cosrel_dtype dtype);
/* Whether one of x[n] is NaN; infinities are none. */
bool cosrel_floats_have_nan(const float *x, uint64_t n);

#endif
