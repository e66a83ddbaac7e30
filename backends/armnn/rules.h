/* One rule per ONNX operator that Arm NN can compute; see cosrel_armnn_rule. */
#ifndef COSREL_BACKENDS_ARMNN_RULES_H
#define COSREL_BACKENDS_ARMNN_RULES_H

#include "backends/armnn/plan.h"

#define COSREL_ARMNN_RULE(name) cosrel_status name(cosrel_armnn_planner *planner, const cosrel_net_node *node)

/* Images (rules_image.c) */
COSREL_ARMNN_RULE(cosrel_armnn_rule_conv);
COSREL_ARMNN_RULE(cosrel_armnn_rule_conv_transpose);
COSREL_ARMNN_RULE(cosrel_armnn_rule_pool);
COSREL_ARMNN_RULE(cosrel_armnn_rule_global_pool);
COSREL_ARMNN_RULE(cosrel_armnn_rule_resize);
COSREL_ARMNN_RULE(cosrel_armnn_rule_lrn);
COSREL_ARMNN_RULE(cosrel_armnn_rule_batch_norm);

/* Element by element, along axes, products (rules_rows.c) */
COSREL_ARMNN_RULE(cosrel_armnn_rule_activation);
COSREL_ARMNN_RULE(cosrel_armnn_rule_unary);
COSREL_ARMNN_RULE(cosrel_armnn_rule_binary);
COSREL_ARMNN_RULE(cosrel_armnn_rule_softmax);
COSREL_ARMNN_RULE(cosrel_armnn_rule_mean);
COSREL_ARMNN_RULE(cosrel_armnn_rule_gemm);
COSREL_ARMNN_RULE(cosrel_armnn_rule_matmul);

/* What only moves data (rules_move.c) */
COSREL_ARMNN_RULE(cosrel_armnn_rule_reshape);
COSREL_ARMNN_RULE(cosrel_armnn_rule_transpose);
COSREL_ARMNN_RULE(cosrel_armnn_rule_slice);
COSREL_ARMNN_RULE(cosrel_armnn_rule_split);
COSREL_ARMNN_RULE(cosrel_armnn_rule_concat);
COSREL_ARMNN_RULE(cosrel_armnn_rule_pad);

#endif
