/* From a graph of operators to a model of units: what runs as one kernel becomes one unit.
 *
 * - A convolution, dense layer, matrix product, addition or multiplication takes in the batch norms and activations
 *   that follow it, and a dense layer or matrix product also a softmax, as long as nobody else reads what lies between.
 * - Reshapes, flattens, identities and slices that are a plain view of their input vanish, and so do transposes beside
 *   a matrix product, which reads its operands with strides.
 * - Activations in a row, and layer norms written as several operators, are one unit.
 * - Everything else is a unit of its own.
 *
 * A unit bears the name of its first operator. Its weights are the parameters of all its operators as papers count
 * them, so that totals can be compared; folding a batch norm into its convolution stores slightly fewer. MACs are
 * those of convolutions, dense layers and matrix products; the cost of all else is its memory traffic. */
#ifndef COSREL_BACKENDS_FUSE_H
#define COSREL_BACKENDS_FUSE_H

#include "backends/graph.h"
#include "sched/model.h"

/* Fills `model`, whose former content is ignored; on success the caller clears it, on failure it is empty. Units come
 * depth first: each branch is contiguous, so that a run of units follows it. input_elems sums all graph inputs. Fails
 * with what failed while the graph was built, with COSREL_LIMIT over COSREL_UNITS_MAX units, and with COSREL_FORMAT
 * when no operator is left or two operators that begin a unit share a name. Reads the graph only. */
cosrel_status cosrel_graph_fuse(const cosrel_graph *graph, cosrel_model *model, cosrel_error *error);

/* The same; ends[u], room for graph->n_nodes entries, gets the graph node whose output is that of unit u. */
cosrel_status cosrel_graph_fuse_ends(const cosrel_graph *graph, cosrel_model *model, int32_t *ends,
                                     cosrel_error *error);

#endif
