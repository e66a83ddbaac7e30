#include "backends/armnn/rules.h"

#include <string.h>

cosrel_armnn_rule cosrel_armnn_find_rule(const char *operator_name) {
  static const struct {
    const char *name;
    cosrel_armnn_rule rule;
  } table[] = {
      {"Abs", cosrel_armnn_rule_activation},
      {"Add", cosrel_armnn_rule_binary},
      {"AveragePool", cosrel_armnn_rule_pool},
      {"BatchNormalization", cosrel_armnn_rule_batch_norm},
      {"Clip", cosrel_armnn_rule_activation},
      {"Concat", cosrel_armnn_rule_concat},
      {"Conv", cosrel_armnn_rule_conv},
      {"ConvTranspose", cosrel_armnn_rule_conv_transpose},
      {"Div", cosrel_armnn_rule_binary},
      {"Dropout", cosrel_armnn_rule_reshape},
      {"Elu", cosrel_armnn_rule_activation},
      {"Exp", cosrel_armnn_rule_unary},
      {"Flatten", cosrel_armnn_rule_reshape},
      {"Floor", cosrel_armnn_rule_unary},
      {"Gemm", cosrel_armnn_rule_gemm},
      {"GlobalAveragePool", cosrel_armnn_rule_global_pool},
      {"GlobalMaxPool", cosrel_armnn_rule_global_pool},
      {"HardSigmoid", cosrel_armnn_rule_activation},
      {"HardSwish", cosrel_armnn_rule_activation},
      {"Identity", cosrel_armnn_rule_reshape},
      {"LRN", cosrel_armnn_rule_lrn},
      {"LeakyRelu", cosrel_armnn_rule_activation},
      {"LogSoftmax", cosrel_armnn_rule_softmax},
      {"MatMul", cosrel_armnn_rule_matmul},
      {"Max", cosrel_armnn_rule_binary},
      {"MaxPool", cosrel_armnn_rule_pool},
      {"Min", cosrel_armnn_rule_binary},
      {"Mul", cosrel_armnn_rule_binary},
      {"Neg", cosrel_armnn_rule_unary},
      {"Pad", cosrel_armnn_rule_pad},
      {"PRelu", cosrel_armnn_rule_binary},
      {"ReduceMean", cosrel_armnn_rule_mean},
      {"Relu", cosrel_armnn_rule_activation},
      {"Reshape", cosrel_armnn_rule_reshape},
      {"Resize", cosrel_armnn_rule_resize},
      {"Sigmoid", cosrel_armnn_rule_activation},
      {"Slice", cosrel_armnn_rule_slice},
      {"Softmax", cosrel_armnn_rule_softmax},
      {"Softplus", cosrel_armnn_rule_activation},
      {"Split", cosrel_armnn_rule_split},
      {"Sqrt", cosrel_armnn_rule_unary},
      {"Squeeze", cosrel_armnn_rule_reshape},
      {"Sub", cosrel_armnn_rule_binary},
      {"Sum", cosrel_armnn_rule_binary},
      {"Tanh", cosrel_armnn_rule_activation},
      {"Transpose", cosrel_armnn_rule_transpose},
      {"Unsqueeze", cosrel_armnn_rule_reshape},
      {"Upsample", cosrel_armnn_rule_resize},
  };
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strcmp(table[i].name, operator_name) == 0) return table[i].rule;
  }
  return NULL;
}
