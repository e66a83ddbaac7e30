/* What a net costs, in terms of backends/graph.h: the step between computing a model and scheduling it. */
#ifndef COSREL_BACKENDS_LOWER_H
#define COSREL_BACKENDS_LOWER_H

#include "backends/graph.h"
#include "backends/net.h"

/* Fills `graph`, whose former content is ignored; the caller clears it after success and failure alike. One graph node
 * per net node where the graph has such an operator; else COSREL_OP_OTHER, whose parameters and MACs are counted here.
 *
 * - Operators with several outputs become a node per output that is read (Split: slices).
 * - Element-by-element operators that together depend on one tensor (SiLU as Sigmoid and Mul, GELU as five operators)
 *   become one activation, or one layer norm when means are among them, as long as nobody else reads what lies between.
 *
 * values[g], room for COSREL_NODES_MAX entries, gets the net value that graph node g stands for. Fails with
 * COSREL_UNSUPPORTED on tensors between nodes that are not fp32, scalars excepted or empty. Reads the net only. */
cosrel_status cosrel_net_lower(const cosrel_net *net, cosrel_graph *graph, int32_t *values, cosrel_error *error);

/* The window of a convolution (also transposed: pads are then cut from the output) or of a pool on [N, C, H, W], with
 * auto_pad worked out. */
cosrel_window cosrel_node_window(const cosrel_net *net, const cosrel_net_node *node);

/* The axis that an attribute names, counted from the front; `fallback` when there is no such attribute. */
uint32_t cosrel_node_axis(const cosrel_net *net, const cosrel_net_node *node, uint32_t rank, int64_t fallback);

/* Begin of the slice along each axis of a Slice node with steps of 1; false when a step is another. */
bool cosrel_node_slice(const cosrel_net *net, const cosrel_net_node *node, int64_t begins[COSREL_RANK_MAX]);

#endif
