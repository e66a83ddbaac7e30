/* In front of every kernel: the functions that a kernel may do along the way; numbers as in backends/opencl/plan.h.
 *
 * max and min, unlike fmax and fmin, keep a NaN in their first argument. */

#define ACTIVATE(T, I, N)                                                              \
  T activate##N(T x, int function, float a, float b) {                                 \
    switch (function) {                                                                \
      case 1: return min(max(x, (T)(a)), (T)(b));                                      \
      case 2: return select(x, a * x, (I)(x < (T)(0.0f)));                             \
      case 3: return 1.0f / (1.0f + exp(-x));                                          \
      case 4: return x / (1.0f + exp(-x));                                             \
      case 5: return min(max(a * x + b, (T)(0.0f)), (T)(1.0f));                        \
      case 6: return x * min(max(x * (1.0f / 6.0f) + 0.5f, (T)(0.0f)), (T)(1.0f));     \
      default: return x;                                                               \
    }                                                                                  \
  }

ACTIVATE(float, int, 1)
ACTIVATE(float4, int4, 4)
ACTIVATE(float8, int8, 8)
ACTIVATE(float16, int16, 16)
