/* How the Arm NN backend computes a network: each unit as a network of Arm NN's, built and loaded once.
 *
 * One network per unit, not per range of units: running one costs 3 to 10 us (measured with Arm NN 20.08 on an x86
 * core, copies of the tensors apart), a unit takes hundreds, and networks for all ranges would hold the weights many
 * times.
 *
 * While a unit is planned each value is some tensor of the graph and a view of it (backends/view.h): what only changes
 * shape or order of axes costs nothing until a layer wants the elements in an order of its own. */
#ifndef COSREL_BACKENDS_ARMNN_PLAN_H
#define COSREL_BACKENDS_ARMNN_PLAN_H

#include "backends/armnn/shim.h"
#include "backends/network.h"
#include "backends/view.h"

typedef struct cosrel_armnn_planner {
  const cosrel_network *network;
  const cosrel_net *net;
  const cosrel_network_unit *unit;
  cosrel_armnn_graph *graph;
  struct armnn_value *values; /* [n_values] */
  uint32_t round;             /* counts units from 1 */
  cosrel_status status;       /* the first failure: COSREL_NOMEM, or COSREL_UNSUPPORTED */
} cosrel_armnn_planner;

cosrel_status cosrel_armnn_planner_create(const cosrel_network *network, cosrel_armnn_planner *out,
                                          cosrel_error *error);
void cosrel_armnn_planner_destroy(cosrel_armnn_planner *planner);

/* The unit as a graph; destroy it. COSREL_UNSUPPORTED: Arm NN has no layers for it. */
cosrel_status cosrel_armnn_plan_unit(cosrel_armnn_planner *planner, uint32_t unit, cosrel_armnn_graph **out);

/* Adds the layers of one node; COSREL_UNSUPPORTED where there are none. */
typedef cosrel_status (*cosrel_armnn_rule)(cosrel_armnn_planner *planner, const cosrel_net_node *node);
cosrel_armnn_rule cosrel_armnn_find_rule(const char *operator_name);

/* ---- What rules use ---- */

static inline const cosrel_shape *cosrel_armnn_shape(const cosrel_armnn_planner *planner, int32_t value) {
  return &planner->net->values[value].tensor.shape;
}
static inline int32_t cosrel_armnn_in(const cosrel_armnn_planner *planner, const cosrel_net_node *node, uint32_t i) {
  return cosrel_net_node_inputs(planner->net, node)[i];
}
static inline int32_t cosrel_armnn_out(const cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  return cosrel_net_node_outputs(planner->net, node)[0];
}

/* Sizes of memory for a value without gaps: with nhwc, the channels of a rank-4 one last. Leading axes beyond Arm NN's
 * are joined, a scalar has one. */
cosrel_shape cosrel_armnn_dims(const cosrel_shape *shape, bool nhwc);

/* The value without gaps in the order wanted, as a tensor with cosrel_armnn_dims; layers are added that put it so. -1:
 * cannot be (also in planner->status). */
int32_t cosrel_armnn_dense(cosrel_armnn_planner *planner, int32_t value, bool nhwc);
/* Whether it is so already. */
bool cosrel_armnn_is_dense(cosrel_armnn_planner *planner, int32_t value, bool nhwc);
/* The value is this tensor, in the order said. COSREL_OK, or what went wrong with the tensor. */
cosrel_status cosrel_armnn_result(cosrel_armnn_planner *planner, int32_t value, int32_t tensor, bool nhwc);

/* A tensor and how its elements lie in it. */
int32_t cosrel_armnn_view(cosrel_armnn_planner *planner, int32_t value, cosrel_view *view);
cosrel_status cosrel_armnn_alias(cosrel_armnn_planner *planner, int32_t value, int32_t tensor, const cosrel_view *view);
/* Elements of `shape` moved from a view of `tensor` to another; both without gaps. -1: too many axes. */
int32_t cosrel_armnn_move(cosrel_armnn_planner *planner, int32_t tensor, const cosrel_shape *shape,
                          const cosrel_view *from, const cosrel_view *to);

#endif
