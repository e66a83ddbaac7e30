/* The functions of the operator families, for the table in operators.c. */
#ifndef COSREL_BACKENDS_REFERENCE_FAMILIES_H
#define COSREL_BACKENDS_REFERENCE_FAMILIES_H

#include "backends/reference/operators.h"

#define COSREL_FAMILY(name)                                                          \
  cosrel_status cosrel_##name##_infer(const cosrel_call *call, cosrel_error *error); \
  void cosrel_##name##_run(const cosrel_call *call)

/* unary.c: y = f(x). Name of the member, and f with x as a double and the attributes alpha (a) and
 * beta (b; the gamma of Selu). Round takes halves to the even neighbour. */
#define COSREL_UNARY_MAP(X)                               \
  X(ABS, fabs(x))                                         \
  X(ACOS, acos(x))                                        \
  X(ACOSH, acosh(x))                                      \
  X(ASIN, asin(x))                                        \
  X(ASINH, asinh(x))                                      \
  X(ATAN, atan(x))                                        \
  X(ATANH, atanh(x))                                      \
  X(CEIL, ceil(x))                                        \
  X(CELU, x > 0 ? x : a * expm1(x / a))                   \
  X(COS, cos(x))                                          \
  X(COSH, cosh(x))                                        \
  X(ELU, x < 0 ? a * expm1(x) : x)                        \
  X(ERF, erf(x))                                          \
  X(EXP, exp(x))                                          \
  X(FLOOR, floor(x))                                      \
  X(HARD_SIGMOID, clamp(a *x + b, 0, 1))                  \
  X(HARD_SWISH, x *clamp(x / 6 + 0.5, 0, 1))              \
  X(LEAKY_RELU, x < 0 ? a * x : x)                        \
  X(LOG, log(x))                                          \
  X(NEG, -x)                                              \
  X(RECIPROCAL, 1 / x)                                    \
  X(RELU, x < 0 ? 0 : x)                                  \
  X(ROUND, nearbyint(x))                                  \
  X(SELU, x > 0 ? b * x : b * a * expm1(x))               \
  X(SIGMOID, 1 / (1 + exp(-x)))                           \
  X(SIGN, x > 0 ? 1 : x < 0 ? -1 : x)                     \
  X(SIN, sin(x))                                          \
  X(SINH, sinh(x))                                        \
  X(SOFTPLUS, x > 0 ? x + log1p(exp(-x)) : log1p(exp(x))) \
  X(SOFTSIGN, x / (1 + fabs(x)))                          \
  X(SQRT, sqrt(x))                                        \
  X(TAN, tan(x))                                          \
  X(TANH, tanh(x))                                        \
  X(THRESHOLDED_RELU, x > a ? x : 0)

enum {
#define X(name, f) COSREL_UNARY_##name,
  COSREL_UNARY_MAP(X)
#undef X
};
COSREL_FAMILY(unary);
COSREL_FAMILY(clip);
COSREL_FAMILY(shrink);
enum { COSREL_PREDICATE_NOT, COSREL_PREDICATE_IS_NAN, COSREL_PREDICATE_IS_INF };
COSREL_FAMILY(predicate);
COSREL_FAMILY(cast);
COSREL_FAMILY(cast_like);

/* binary.c: the order matters, the logic and the comparisons are last. */
enum {
  COSREL_BINARY_ADD,
  COSREL_BINARY_SUB,
  COSREL_BINARY_MUL,
  COSREL_BINARY_DIV,
  COSREL_BINARY_MOD,
  COSREL_BINARY_FMOD, /* Mod with fmod = 1 */
  COSREL_BINARY_POW,
  COSREL_BINARY_PRELU,
  COSREL_BINARY_MAX,
  COSREL_BINARY_MIN,
  COSREL_VARIADIC_MEAN,
  COSREL_BINARY_AND,
  COSREL_BINARY_OR,
  COSREL_BINARY_XOR,
  COSREL_BINARY_EQUAL,
  COSREL_BINARY_LESS,
  COSREL_BINARY_LESS_OR_EQUAL,
  COSREL_BINARY_GREATER,
  COSREL_BINARY_GREATER_OR_EQUAL,
};
COSREL_FAMILY(binary);
COSREL_FAMILY(prelu);
COSREL_FAMILY(variadic);
COSREL_FAMILY(where);

/* convolution.c, pooling.c */
COSREL_FAMILY(conv);
COSREL_FAMILY(conv_transpose);
enum { COSREL_POOL_MAX, COSREL_POOL_AVERAGE };
COSREL_FAMILY(pool);
COSREL_FAMILY(global_pool);

/* matmul.c */
COSREL_FAMILY(gemm);
COSREL_FAMILY(matmul);

/* normalization.c */
COSREL_FAMILY(batch_norm);
COSREL_FAMILY(instance_norm);
COSREL_FAMILY(layer_norm);
COSREL_FAMILY(lrn);

/* reduce.c: softmaxes and reductions */
enum { COSREL_SOFTMAX, COSREL_LOG_SOFTMAX, COSREL_HARDMAX };
COSREL_FAMILY(softmax);
enum {
  COSREL_REDUCE_L1,
  COSREL_REDUCE_L2,
  COSREL_REDUCE_LOG_SUM,
  COSREL_REDUCE_LOG_SUM_EXP,
  COSREL_REDUCE_MAX,
  COSREL_REDUCE_MEAN,
  COSREL_REDUCE_MIN,
  COSREL_REDUCE_PROD,
  COSREL_REDUCE_SUM,
  COSREL_REDUCE_SUM_SQUARE,
};
COSREL_FAMILY(reduce);
enum { COSREL_ARG_MAX, COSREL_ARG_MIN };
COSREL_FAMILY(arg);

/* shape.c: new shapes for the same elements, and constants */
COSREL_FAMILY(identity);
COSREL_FAMILY(dropout);
COSREL_FAMILY(reshape);
COSREL_FAMILY(flatten);
COSREL_FAMILY(squeeze);
COSREL_FAMILY(unsqueeze);
COSREL_FAMILY(shape);
COSREL_FAMILY(size);
COSREL_FAMILY(constant);
COSREL_FAMILY(constant_of_shape);
COSREL_FAMILY(range);

/* move.c: the same elements in other places */
COSREL_FAMILY(transpose);
COSREL_FAMILY(concat);
COSREL_FAMILY(split);
COSREL_FAMILY(slice);
COSREL_FAMILY(expand);
COSREL_FAMILY(tile);
COSREL_FAMILY(pad);
COSREL_FAMILY(depth_to_space);
COSREL_FAMILY(space_to_depth);
COSREL_FAMILY(gather);

/* select.c */
COSREL_FAMILY(gather_elements);
COSREL_FAMILY(gather_nd);
COSREL_FAMILY(scatter_elements);
COSREL_FAMILY(scatter_nd);
COSREL_FAMILY(one_hot);
COSREL_FAMILY(top_k);
COSREL_FAMILY(cum_sum);
COSREL_FAMILY(trilu);

/* quantize.c */
COSREL_FAMILY(quantize);
COSREL_FAMILY(dequantize);

/* resize.c */
COSREL_FAMILY(resize);

/* What output position i of an axis takes from the input: elements at[k] with weights weight[k]. None if it lies
 * outside, then cosrel_resize_look is false. The call's first input needs a shape only, the others are constant. */
typedef struct cosrel_resize_taps {
  uint32_t n;
  int64_t at[4];
  double weight[4];
} cosrel_resize_taps;
bool cosrel_resize_look(const cosrel_call *call, uint32_t axis, int64_t i, cosrel_resize_taps *out);

#endif
