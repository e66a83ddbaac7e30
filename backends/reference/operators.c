#include "backends/reference/operators.h"

#include <stdlib.h>
#include <string.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

/* A row: name, least and most inputs, most outputs, first opset, family, member of the family. */
#define ROW(text, least, most, outputs, opset, family, member)                                                     \
  {                                                                                                                \
    .name = (text), .min_inputs = (least), .max_inputs = (most), .max_outputs = (outputs), .first_opset = (opset), \
    .variant = (member), .infer = cosrel_##family##_infer, .run = cosrel_##family##_run                            \
  }
#define MANY COSREL_OPERATOR_INPUTS_MAX

/* Sorted by name, as strcmp does. */
static const cosrel_operator table[] = {
    ROW("Abs", 1, 1, 1, 6, unary, COSREL_UNARY_ABS),
    ROW("Acos", 1, 1, 1, 7, unary, COSREL_UNARY_ACOS),
    ROW("Acosh", 1, 1, 1, 9, unary, COSREL_UNARY_ACOSH),
    ROW("Add", 2, 2, 1, 6, binary, COSREL_BINARY_ADD),
    ROW("And", 2, 2, 1, 6, binary, COSREL_BINARY_AND),
    ROW("ArgMax", 1, 1, 1, 6, arg, COSREL_ARG_MAX),
    ROW("ArgMin", 1, 1, 1, 6, arg, COSREL_ARG_MIN),
    ROW("Asin", 1, 1, 1, 7, unary, COSREL_UNARY_ASIN),
    ROW("Asinh", 1, 1, 1, 9, unary, COSREL_UNARY_ASINH),
    ROW("Atan", 1, 1, 1, 7, unary, COSREL_UNARY_ATAN),
    ROW("Atanh", 1, 1, 1, 9, unary, COSREL_UNARY_ATANH),
    ROW("AveragePool", 1, 1, 1, 6, pool, COSREL_POOL_AVERAGE),
    ROW("BatchNormalization", 5, 5, 5, 6, batch_norm, 0),
    ROW("Cast", 1, 1, 1, 6, cast, 0),
    ROW("CastLike", 2, 2, 1, 15, cast_like, 0),
    ROW("Ceil", 1, 1, 1, 6, unary, COSREL_UNARY_CEIL),
    ROW("Celu", 1, 1, 1, 12, unary, COSREL_UNARY_CELU),
    ROW("Clip", 1, 3, 1, 6, clip, 0),
    ROW("Concat", 1, MANY, 1, 6, concat, 0),
    ROW("Constant", 0, 0, 1, 6, constant, 0),
    ROW("ConstantOfShape", 1, 1, 1, 9, constant_of_shape, 0),
    ROW("Conv", 2, 3, 1, 6, conv, 0),
    ROW("ConvTranspose", 2, 3, 1, 6, conv_transpose, 0),
    ROW("Cos", 1, 1, 1, 7, unary, COSREL_UNARY_COS),
    ROW("Cosh", 1, 1, 1, 9, unary, COSREL_UNARY_COSH),
    ROW("CumSum", 2, 2, 1, 11, cum_sum, 0),
    ROW("DepthToSpace", 1, 1, 1, 6, depth_to_space, 0),
    ROW("DequantizeLinear", 2, 3, 1, 10, dequantize, 0),
    ROW("Div", 2, 2, 1, 6, binary, COSREL_BINARY_DIV),
    ROW("Dropout", 1, 3, 2, 6, dropout, 0),
    ROW("Elu", 1, 1, 1, 6, unary, COSREL_UNARY_ELU),
    ROW("Equal", 2, 2, 1, 6, binary, COSREL_BINARY_EQUAL),
    ROW("Erf", 1, 1, 1, 9, unary, COSREL_UNARY_ERF),
    ROW("Exp", 1, 1, 1, 6, unary, COSREL_UNARY_EXP),
    ROW("Expand", 2, 2, 1, 8, expand, 0),
    ROW("Flatten", 1, 1, 1, 6, flatten, 0),
    ROW("Floor", 1, 1, 1, 6, unary, COSREL_UNARY_FLOOR),
    ROW("Gather", 2, 2, 1, 6, gather, 0),
    ROW("GatherElements", 2, 2, 1, 11, gather_elements, 0),
    ROW("GatherND", 2, 2, 1, 11, gather_nd, 0),
    ROW("Gemm", 2, 3, 1, 6, gemm, 0),
    ROW("GlobalAveragePool", 1, 1, 1, 6, global_pool, COSREL_POOL_AVERAGE),
    ROW("GlobalMaxPool", 1, 1, 1, 6, global_pool, COSREL_POOL_MAX),
    ROW("Greater", 2, 2, 1, 6, binary, COSREL_BINARY_GREATER),
    ROW("GreaterOrEqual", 2, 2, 1, 12, binary, COSREL_BINARY_GREATER_OR_EQUAL),
    ROW("HardSigmoid", 1, 1, 1, 6, unary, COSREL_UNARY_HARD_SIGMOID),
    ROW("HardSwish", 1, 1, 1, 14, unary, COSREL_UNARY_HARD_SWISH),
    ROW("Hardmax", 1, 1, 1, 6, softmax, COSREL_HARDMAX),
    ROW("Identity", 1, 1, 1, 6, identity, 0),
    ROW("InstanceNormalization", 3, 3, 1, 6, instance_norm, 0),
    ROW("IsInf", 1, 1, 1, 10, predicate, COSREL_PREDICATE_IS_INF),
    ROW("IsNaN", 1, 1, 1, 9, predicate, COSREL_PREDICATE_IS_NAN),
    ROW("LRN", 1, 1, 1, 6, lrn, 0),
    ROW("LayerNormalization", 2, 3, 3, 17, layer_norm, 0),
    ROW("LeakyRelu", 1, 1, 1, 6, unary, COSREL_UNARY_LEAKY_RELU),
    ROW("Less", 2, 2, 1, 6, binary, COSREL_BINARY_LESS),
    ROW("LessOrEqual", 2, 2, 1, 12, binary, COSREL_BINARY_LESS_OR_EQUAL),
    ROW("Log", 1, 1, 1, 6, unary, COSREL_UNARY_LOG),
    ROW("LogSoftmax", 1, 1, 1, 6, softmax, COSREL_LOG_SOFTMAX),
    ROW("MatMul", 2, 2, 1, 6, matmul, 0),
    ROW("Max", 1, MANY, 1, 6, variadic, COSREL_BINARY_MAX),
    ROW("MaxPool", 1, 1, 2, 6, pool, COSREL_POOL_MAX),
    ROW("Mean", 1, MANY, 1, 6, variadic, COSREL_VARIADIC_MEAN),
    ROW("Min", 1, MANY, 1, 6, variadic, COSREL_BINARY_MIN),
    ROW("Mod", 2, 2, 1, 10, binary, COSREL_BINARY_MOD),
    ROW("Mul", 2, 2, 1, 6, binary, COSREL_BINARY_MUL),
    ROW("Neg", 1, 1, 1, 6, unary, COSREL_UNARY_NEG),
    ROW("Not", 1, 1, 1, 6, predicate, COSREL_PREDICATE_NOT),
    ROW("OneHot", 3, 3, 1, 9, one_hot, 0),
    ROW("Or", 2, 2, 1, 6, binary, COSREL_BINARY_OR),
    ROW("PRelu", 2, 2, 1, 6, prelu, 0),
    ROW("Pad", 1, 3, 1, 6, pad, 0),
    ROW("Pow", 2, 2, 1, 6, binary, COSREL_BINARY_POW),
    ROW("QuantizeLinear", 2, 3, 1, 10, quantize, 0),
    ROW("Range", 3, 3, 1, 11, range, 0),
    ROW("Reciprocal", 1, 1, 1, 6, unary, COSREL_UNARY_RECIPROCAL),
    ROW("ReduceL1", 1, 2, 1, 6, reduce, COSREL_REDUCE_L1),
    ROW("ReduceL2", 1, 2, 1, 6, reduce, COSREL_REDUCE_L2),
    ROW("ReduceLogSum", 1, 2, 1, 6, reduce, COSREL_REDUCE_LOG_SUM),
    ROW("ReduceLogSumExp", 1, 2, 1, 6, reduce, COSREL_REDUCE_LOG_SUM_EXP),
    ROW("ReduceMax", 1, 2, 1, 6, reduce, COSREL_REDUCE_MAX),
    ROW("ReduceMean", 1, 2, 1, 6, reduce, COSREL_REDUCE_MEAN),
    ROW("ReduceMin", 1, 2, 1, 6, reduce, COSREL_REDUCE_MIN),
    ROW("ReduceProd", 1, 2, 1, 6, reduce, COSREL_REDUCE_PROD),
    ROW("ReduceSum", 1, 2, 1, 6, reduce, COSREL_REDUCE_SUM),
    ROW("ReduceSumSquare", 1, 2, 1, 6, reduce, COSREL_REDUCE_SUM_SQUARE),
    ROW("Relu", 1, 1, 1, 6, unary, COSREL_UNARY_RELU),
    ROW("Reshape", 2, 2, 1, 6, reshape, 0),
    ROW("Resize", 1, 4, 1, 10, resize, 0),
    ROW("Round", 1, 1, 1, 11, unary, COSREL_UNARY_ROUND),
    ROW("Scatter", 3, 3, 1, 9, scatter_elements, 0),
    ROW("ScatterElements", 3, 3, 1, 11, scatter_elements, 0),
    ROW("ScatterND", 3, 3, 1, 11, scatter_nd, 0),
    ROW("Selu", 1, 1, 1, 6, unary, COSREL_UNARY_SELU),
    ROW("Shape", 1, 1, 1, 6, shape, 0),
    ROW("Shrink", 1, 1, 1, 9, shrink, 0),
    ROW("Sigmoid", 1, 1, 1, 6, unary, COSREL_UNARY_SIGMOID),
    ROW("Sign", 1, 1, 1, 9, unary, COSREL_UNARY_SIGN),
    ROW("Sin", 1, 1, 1, 7, unary, COSREL_UNARY_SIN),
    ROW("Sinh", 1, 1, 1, 9, unary, COSREL_UNARY_SINH),
    ROW("Size", 1, 1, 1, 6, size, 0),
    ROW("Slice", 1, 5, 1, 6, slice, 0),
    ROW("Softmax", 1, 1, 1, 6, softmax, COSREL_SOFTMAX),
    ROW("Softplus", 1, 1, 1, 6, unary, COSREL_UNARY_SOFTPLUS),
    ROW("Softsign", 1, 1, 1, 6, unary, COSREL_UNARY_SOFTSIGN),
    ROW("SpaceToDepth", 1, 1, 1, 6, space_to_depth, 0),
    ROW("Split", 1, 2, MANY, 6, split, 0),
    ROW("Sqrt", 1, 1, 1, 6, unary, COSREL_UNARY_SQRT),
    ROW("Squeeze", 1, 2, 1, 6, squeeze, 0),
    ROW("Sub", 2, 2, 1, 6, binary, COSREL_BINARY_SUB),
    ROW("Sum", 1, MANY, 1, 6, variadic, COSREL_BINARY_ADD),
    ROW("Tan", 1, 1, 1, 7, unary, COSREL_UNARY_TAN),
    ROW("Tanh", 1, 1, 1, 6, unary, COSREL_UNARY_TANH),
    ROW("ThresholdedRelu", 1, 1, 1, 10, unary, COSREL_UNARY_THRESHOLDED_RELU),
    ROW("Tile", 2, 2, 1, 6, tile, 0),
    ROW("TopK", 1, 2, 2, 6, top_k, 0),
    ROW("Transpose", 1, 1, 1, 6, transpose, 0),
    ROW("Trilu", 1, 2, 1, 14, trilu, 0),
    ROW("Unsqueeze", 1, 2, 1, 6, unsqueeze, 0),
    ROW("Upsample", 1, 2, 1, 7, resize, 0),
    ROW("Where", 3, 3, 1, 9, where, 0),
    ROW("Xor", 2, 2, 1, 6, binary, COSREL_BINARY_XOR),
};
#define N_OPERATORS (sizeof table / sizeof table[0])

const cosrel_operator *cosrel_operator_table(uint32_t *n) {
  *n = N_OPERATORS;
  return table;
}

static int by_name(const void *name, const void *operator) {
  return strcmp(name, ((const cosrel_operator *)operator)->name);
}

const cosrel_operator *cosrel_operator_find(const char *name) {
  return bsearch(name, table, N_OPERATORS, sizeof table[0], by_name);
}

static cosrel_status check_inputs(const cosrel_call *call, cosrel_error *error) {
  const cosrel_operator *op = call->node->op;
  uint32_t n = call->node->n_inputs;
  if (n < op->min_inputs || n > op->max_inputs)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "expected %u to %u inputs, not %u", op->min_inputs,
                            op->max_inputs, n);
  for (uint32_t i = 0; i < n; i++) {
    if (call->in[i] == NULL && i < op->min_inputs)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "input %u: missing", i);
    if (call->in[i] != NULL && !cosrel_shape_is_bounded(&call->in[i]->shape))
      return cosrel_call_fail(call, error, COSREL_LIMIT, "input %u: expected at most %d axes and %llu elements", i,
                              COSREL_RANK_MAX, (unsigned long long)COSREL_ELEMENTS_MAX);
  }
  return COSREL_OK;
}

cosrel_status cosrel_operator_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_operator *op = call->node->op;
  uint32_t n = call->node->n_outputs;
  if (call->net->opset < op->first_opset)
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "begins with opset %u, not %u", op->first_opset,
                            call->net->opset);
  cosrel_status status = check_inputs(call, error);
  if (status != COSREL_OK) return status;
  if (n < 1 || n > op->max_outputs || call->out[0] == NULL)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "expected 1 to %u outputs", op->max_outputs);
  return op->infer(call, error);
}
