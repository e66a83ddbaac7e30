/* The families of rules; each ends its file with its list, which ends with a rule without a name. */
#ifndef COSREL_BACKENDS_OPENCL_RULES_H
#define COSREL_BACKENDS_OPENCL_RULES_H

#include "backends/opencl/plan.h"

extern const cosrel_cl_rule cosrel_cl_move_rules[];    /* rules_move.c: what only moves data */
extern const cosrel_cl_rule cosrel_cl_element_rules[]; /* rules_element.c: element by element, broadcast */
extern const cosrel_cl_rule cosrel_cl_image_rules[];   /* rules_image.c: pools, resize, LRN */
extern const cosrel_cl_rule cosrel_cl_reduce_rules[];  /* rules_reduce.c: softmax, reductions */
extern const cosrel_cl_rule cosrel_cl_product_rules[]; /* rules_product.c: convolutions, dense layers, products */

/* Does the node multiply by weights, which could be kept in fp16 (rules_product.c)? Of a node that is supported. */
bool cosrel_cl_has_weights(const cosrel_net *net, const cosrel_net_node *node);

#endif
