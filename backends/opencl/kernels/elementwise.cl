/* Element by element. FUNCTION, a constant of the build, is one of cosrel_cl_function in backends/opencl/plan.h. */

#ifdef FUNCTION
#define UNARY(T, I, N)                                                     \
  T function##N(T x, float a, float b) {                                   \
    switch (FUNCTION) {                                                    \
      case 7: return tanh(x);                                              \
      case 8: return select(x, a * expm1(x), (I)(x < (T)(0.0f)));          \
      case 9: return fabs(x);                                              \
      case 10: return -x;                                                  \
      case 11: return exp(x);                                              \
      case 12: return log(x);                                              \
      case 13: return sqrt(x);                                             \
      case 14: return erf(x);                                              \
      case 15: return floor(x);                                            \
      case 16: return ceil(x);                                             \
      case 17: return rint(x);                                             \
      case 18: return max(x, (T)(0.0f)) + log1p(exp(-fabs(x)));            \
      case 19: return 1.0f / x;                                            \
      default: return activate##N(x, FUNCTION, a, b);                      \
    }                                                                      \
  }
UNARY(float, int, 1)
UNARY(float16, int16, 16)

__kernel void unary(__global const float *x, int x_at, __global float *y, int y_at, int n, float a, float b) {
  int i = get_global_id(0) * 16;
  x += x_at + i;
  y += y_at + i;
  if (i + 16 <= n) {
    vstore16(function16(vload16(0, x), a, b), 0, y);
  } else {
    for (int k = 0; k < n - i; k++) y[k] = function1(x[k], a, b);
  }
}
#endif

/* ---- Two operands ---- */

#define COMBINE(T, I, N)                                            \
  T combine##N(T x, T y, int op) {                                  \
    switch (op) {                                                   \
      case 0: return x + y;                                         \
      case 1: return x - y;                                         \
      case 2: return x * y;                                         \
      case 3: return x / y;                                         \
      case 4: return select(x, y, (I)(y > x || isnan(y)));          \
      case 5: return select(x, y, (I)(y < x || isnan(y)));          \
      default: return select(x, x * y, (I)(x < (T)(0.0f))); /* PRelu */ \
    }                                                               \
  }
COMBINE(float, int, 1)
COMBINE(float16, int16, 16)

/* `steps`: 1 along an operand, 0 where one element serves all. */
void combine_run(__global const float *x, int x_step, __global const float *y, int y_step, __global float *z, int n,
                 int op, int function, float a, float b) {
  if (n >= 16 && x_step <= 1 && y_step <= 1) {
    float16 u = x_step == 1 ? vload16(0, x) : (float16)(x[0]);
    float16 v = y_step == 1 ? vload16(0, y) : (float16)(y[0]);
    vstore16(activate16(combine16(u, v, op), function, a, b), 0, z);
  } else {
    for (int k = 0; k < min(n, 16); k++)
      z[k] = activate1(combine1(x[k * x_step], y[k * y_step], op), function, a, b);
  }
}

__kernel void binary(__global const float *x, int x_at, __global const float *y, int y_at, __global float *z, int z_at,
                     int op, int function, float a, float b, int n, int x_step, int y_step) {
  int i = get_global_id(0) * 16;
  if (i >= n) return;
  combine_run(x + x_at + i * x_step, x_step, y + y_at + i * y_step, y_step, z + z_at + i, n - i, op, function, a, b);
}

/* Rows of a dense output; operands lie anywhere: d1 to d4 are the sizes of the inner ones of five axes of rows, x0 to x4
 * and y0 to y4 the operands' strides along them. */
__kernel void binary_rows(__global const float *x, int x_at, __global const float *y, int y_at, __global float *z,
                          int z_at, int op, int function, float a, float b, int columns, int x_step, int y_step,
                          int rows, int d1, int d2, int d3, int d4, int x0, int x1, int x2, int x3, int x4, int y0,
                          int y1, int y2, int y3, int y4) {
  int j = get_global_id(0) * 16, row = get_global_id(1);
  if (j >= columns || row >= rows) return;
  int rest = row;
  int i4 = rest % d4; rest /= d4;
  int i3 = rest % d3; rest /= d3;
  int i2 = rest % d2; rest /= d2;
  int i1 = rest % d1; rest /= d1;
  x += x_at + rest * x0 + i1 * x1 + i2 * x2 + i3 * x3 + i4 * x4 + j * x_step;
  y += y_at + rest * y0 + i1 * y1 + i2 * y2 + i3 * y3 + i4 * y4 + j * y_step;
  combine_run(x, x_step, y, y_step, z + z_at + row * columns + j, columns - j, op, function, a, b);
}

/* Pow is apart: its code is long. */
#ifdef POWER
__kernel void power(__global const float *x, int x_at, __global float *y, int y_at, int n, float exponent) {
  int i = get_global_id(0);
  if (i >= n) return;
  float v = x[x_at + i];
  y[y_at + i] = exponent == 2.0f ? v * v : exponent == 3.0f ? v * v * v : pow(v, exponent);
}
#endif
