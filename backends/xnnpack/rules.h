/* One rule per ONNX operator that does not go to the reference executor; see cosrel_xnn_rule. */
#ifndef COSREL_BACKENDS_XNNPACK_RULES_H
#define COSREL_BACKENDS_XNNPACK_RULES_H

#include "backends/xnnpack/plan.h"

#define COSREL_XNN_RULE(name) cosrel_status name(cosrel_xnn_planner *planner, const cosrel_net_node *node)

/* Images [N, C, H, W] as NHWC (rules_image.c) */
COSREL_XNN_RULE(cosrel_xnn_conv);
COSREL_XNN_RULE(cosrel_xnn_conv_transpose);
COSREL_XNN_RULE(cosrel_xnn_max_pool);
COSREL_XNN_RULE(cosrel_xnn_average_pool);
COSREL_XNN_RULE(cosrel_xnn_global_average);
COSREL_XNN_RULE(cosrel_xnn_resize);

/* Element by element, and along the last axis (rules_rows.c) */
COSREL_XNN_RULE(cosrel_xnn_unary);
COSREL_XNN_RULE(cosrel_xnn_binary);
COSREL_XNN_RULE(cosrel_xnn_prelu);
COSREL_XNN_RULE(cosrel_xnn_softmax);
COSREL_XNN_RULE(cosrel_xnn_dense_layer);
COSREL_XNN_RULE(cosrel_xnn_matmul);

/* What XNNPACK does not have (rules_math.c) */
COSREL_XNN_RULE(cosrel_xnn_erf);
COSREL_XNN_RULE(cosrel_xnn_lrn);

/* What only moves data (rules_move.c) */
COSREL_XNN_RULE(cosrel_xnn_reshape);
COSREL_XNN_RULE(cosrel_xnn_transpose);
COSREL_XNN_RULE(cosrel_xnn_expand);
COSREL_XNN_RULE(cosrel_xnn_slice);
COSREL_XNN_RULE(cosrel_xnn_split);
COSREL_XNN_RULE(cosrel_xnn_concat);
COSREL_XNN_RULE(cosrel_xnn_pad);

#endif
