/* In front of every kernel: the functions that a kernel may do along the way; numbers as in backends/opencl/plan.h.
 *
 * All kernels hand a NaN on to what is computed from it: what stays on the device is only looked at when it is copied
 * from there. What max and min do with one is the driver's choice, so limits are taken by comparing. */

#define ACTIVATE(T, I, N)                                                              \
  T limit##N(T x, float low, float high) {                                             \
    x = select(x, (T)(low), (I)(x < (T)(low)));                                        \
    return select(x, (T)(high), (I)(x > (T)(high)));                                   \
  }                                                                                    \
  T activate##N(T x, int function, float a, float b) {                                 \
    switch (function) {                                                                \
      case 1: return limit##N(x, a, b);                                                \
      case 2: return select(x, a * x, (I)(x < (T)(0.0f)));                             \
      case 3: return 1.0f / (1.0f + exp(-x));                                          \
      case 4: return x / (1.0f + exp(-x));                                             \
      case 5: return limit##N(a * x + b, 0.0f, 1.0f);                                  \
      case 6: return x * limit##N(x * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f);               \
      default: return x;                                                               \
    }                                                                                  \
  }

ACTIVATE(float, int, 1)
ACTIVATE(float4, int4, 4)
ACTIVATE(float8, int8, 8)
ACTIVATE(float16, int16, 16)
