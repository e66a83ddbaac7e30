#include "backends/xnnpack/rules.h"

#include <string.h>

cosrel_xnn_rule cosrel_xnn_find_rule(const char *operator_name) {
  static const struct {
    const char *name;
    cosrel_xnn_rule rule;
  } table[] = {
      {"Abs", cosrel_xnn_unary},
      {"Add", cosrel_xnn_binary},
      {"AveragePool", cosrel_xnn_average_pool},
      {"Ceil", cosrel_xnn_unary},
      {"Clip", cosrel_xnn_unary},
      {"Concat", cosrel_xnn_concat},
      {"Conv", cosrel_xnn_conv},
      {"ConvTranspose", cosrel_xnn_conv_transpose},
      {"Div", cosrel_xnn_binary},
      {"Dropout", cosrel_xnn_reshape},
      {"Elu", cosrel_xnn_unary},
      {"Erf", cosrel_xnn_erf},
      {"Expand", cosrel_xnn_expand},
      {"Flatten", cosrel_xnn_reshape},
      {"Floor", cosrel_xnn_unary},
      {"Gemm", cosrel_xnn_dense_layer},
      {"GlobalAveragePool", cosrel_xnn_global_average},
      {"HardSwish", cosrel_xnn_unary},
      {"Identity", cosrel_xnn_reshape},
      {"LRN", cosrel_xnn_lrn},
      {"LeakyRelu", cosrel_xnn_unary},
      {"MatMul", cosrel_xnn_matmul},
      {"Max", cosrel_xnn_binary},
      {"MaxPool", cosrel_xnn_max_pool},
      {"Min", cosrel_xnn_binary},
      {"Mul", cosrel_xnn_binary},
      {"Neg", cosrel_xnn_unary},
      {"Pad", cosrel_xnn_pad},
      {"PRelu", cosrel_xnn_prelu},
      {"ReduceMean", cosrel_xnn_global_average},
      {"Relu", cosrel_xnn_unary},
      {"Reshape", cosrel_xnn_reshape},
      {"Resize", cosrel_xnn_resize},
      {"Round", cosrel_xnn_unary},
      {"Sigmoid", cosrel_xnn_unary},
      {"Slice", cosrel_xnn_slice},
      {"Softmax", cosrel_xnn_softmax},
      {"Split", cosrel_xnn_split},
      {"Sqrt", cosrel_xnn_unary},
      {"Squeeze", cosrel_xnn_reshape},
      {"Sub", cosrel_xnn_binary},
      {"Transpose", cosrel_xnn_transpose},
      {"Unsqueeze", cosrel_xnn_reshape},
      {"Upsample", cosrel_xnn_resize},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strcmp(table[i].name, operator_name) == 0) return table[i].rule;
  }
  return NULL;
}
