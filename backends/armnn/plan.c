#include "backends/armnn/plan.h"

#include <stdlib.h>

#include "backends/reference/operators.h"

/* Stale unless `round` is the planner's. */
typedef struct armnn_value {
  uint32_t round;
  int32_t tensor;   /* in the graph */
  cosrel_view view; /* of it; its offset is 0 */
  int32_t dense[2]; /* further copies: row-major, NHWC; -1: none */
} armnn_value;

/* ---- Orders ---- */

cosrel_shape cosrel_armnn_dims(const cosrel_shape *shape, bool nhwc) {
  static const uint32_t nhwc_order[4] = {0, 2, 3, 1};
  cosrel_shape dims = {.rank = shape->rank};
  for (uint32_t i = 0; i < shape->rank; i++) dims.dims[i] = shape->dims[nhwc && shape->rank == 4 ? nhwc_order[i] : i];
  if (dims.rank == 0) dims = (cosrel_shape){.rank = 1, .dims = {1}};
  while (dims.rank > COSREL_ARMNN_RANK_MAX) {
    dims.dims[1] *= dims.dims[0];
    for (uint32_t i = 1; i < dims.rank; i++) dims.dims[i - 1] = dims.dims[i];
    dims.rank--;
  }
  return dims;
}

/* Axes 0 to n - 1 by falling stride. */
static void sort_axes(const int64_t *strides, uint32_t n, uint32_t *axes) {
  for (uint32_t i = 0; i < n; i++) {
    uint32_t at = i;
    for (; at > 0 && strides[axes[at - 1]] < strides[i]; at--) axes[at] = axes[at - 1];
    axes[at] = i;
  }
}

/* Whether these axes, sorted, have neither gaps nor repetitions. */
static bool is_whole(const cosrel_move *move, const int64_t *strides, const uint32_t *axes) {
  int64_t stride = 1;
  for (uint32_t i = move->rank; i-- > 0;) {
    if (strides[axes[i]] != stride && move->dims[axes[i]] != 1) return false;
    stride *= move->dims[axes[i]];
  }
  return true;
}

int32_t cosrel_armnn_move(cosrel_armnn_planner *planner, int32_t tensor, const cosrel_shape *shape,
                          const cosrel_view *from, const cosrel_view *to) {
  cosrel_move move = cosrel_move_plan(shape, from, to); /* joins axes that stay together */
  uint32_t before[COSREL_RANK_MAX], after[COSREL_RANK_MAX], permutation[COSREL_RANK_MAX] = {0};
  sort_axes(move.from, move.rank, before);
  sort_axes(move.to, move.rank, after);
  if (move.rank > COSREL_ARMNN_RANK_MAX || !is_whole(&move, move.from, before) || !is_whole(&move, move.to, after)) {
    planner->status = COSREL_UNSUPPORTED;
    return -1;
  }
  cosrel_shape dims = {.rank = move.rank};
  for (uint32_t i = 0; i < move.rank; i++) {
    dims.dims[i] = (uint32_t)move.dims[before[i]];
    for (uint32_t k = 0; k < move.rank; k++)
      if (after[i] == before[k]) permutation[i] = k;
  }
  return cosrel_armnn_transpose(planner->graph, cosrel_armnn_reshape(planner->graph, tensor, &dims), permutation);
}

/* ---- Values ---- */

/* What the arena holds becomes an input of the graph when it is first read; constants become constant layers. */
static armnn_value *look_up(cosrel_armnn_planner *planner, int32_t value) {
  armnn_value *v = &planner->values[value];
  if (v->round == planner->round) return v;
  const cosrel_tensor *tensor = &planner->net->values[value].tensor;
  bool nhwc = tensor->data == NULL;
  cosrel_shape dims = cosrel_armnn_dims(&tensor->shape, nhwc);
  *v = (armnn_value){.round = planner->round, .tensor = -1, .dense = {-1, -1}};
  v->view = cosrel_view_dense(&tensor->shape, nhwc);
  if (tensor->dtype != COSREL_F32 || (nhwc && planner->network->offsets[value] < 0)) {
    planner->status = COSREL_UNSUPPORTED;
  } else if (nhwc) {
    v->tensor = cosrel_armnn_input(planner->graph, &dims, (uint64_t)planner->network->offsets[value]);
  } else {
    v->tensor = cosrel_armnn_constant(planner->graph, &dims, tensor->data);
  }
  return v;
}

bool cosrel_armnn_is_dense(cosrel_armnn_planner *planner, int32_t value, bool nhwc) {
  return cosrel_view_is_dense(cosrel_armnn_shape(planner, value), &look_up(planner, value)->view, nhwc);
}

int32_t cosrel_armnn_view(cosrel_armnn_planner *planner, int32_t value, cosrel_view *view) {
  const armnn_value *v = look_up(planner, value);
  *view = v->view;
  return v->tensor;
}

int32_t cosrel_armnn_dense(cosrel_armnn_planner *planner, int32_t value, bool nhwc) {
  armnn_value *v = look_up(planner, value);
  const cosrel_shape *shape = cosrel_armnn_shape(planner, value);
  if (v->tensor < 0) return -1;
  if (v->dense[nhwc] >= 0) return v->dense[nhwc];
  int32_t tensor = v->tensor;
  if (!cosrel_view_is_dense(shape, &v->view, nhwc)) {
    cosrel_view dense = cosrel_view_dense(shape, nhwc);
    tensor = cosrel_armnn_move(planner, tensor, shape, &v->view, &dense);
  }
  cosrel_shape dims = cosrel_armnn_dims(shape, nhwc);
  return v->dense[nhwc] = tensor < 0 ? -1 : cosrel_armnn_reshape(planner->graph, tensor, &dims);
}

cosrel_status cosrel_armnn_alias(cosrel_armnn_planner *planner, int32_t value, int32_t tensor,
                                 const cosrel_view *view) {
  if (tensor < 0) return COSREL_UNSUPPORTED;
  planner->values[value] = (armnn_value){.round = planner->round, .tensor = tensor, .view = *view, .dense = {-1, -1}};
  return COSREL_OK;
}

cosrel_status cosrel_armnn_result(cosrel_armnn_planner *planner, int32_t value, int32_t tensor, bool nhwc) {
  cosrel_view view = cosrel_view_dense(cosrel_armnn_shape(planner, value), nhwc);
  return cosrel_armnn_alias(planner, value, tensor, &view);
}

/* ---- Units ---- */

static cosrel_status plan_node(cosrel_armnn_planner *planner, const cosrel_net_node *node) {
  cosrel_armnn_rule rule = cosrel_armnn_find_rule(node->op->name);
  if (rule == NULL) return COSREL_UNSUPPORTED;
  for (uint32_t i = 0; i < node->n_outputs; i++) { /* indices and masks are not Arm NN's */
    int32_t value = cosrel_net_node_outputs(planner->net, node)[i];
    if (value >= 0 && planner->net->values[value].tensor.dtype != COSREL_F32) return COSREL_UNSUPPORTED;
  }
  cosrel_status status = rule(planner, node);
  return planner->status != COSREL_OK ? planner->status : status;
}

cosrel_status cosrel_armnn_plan_unit(cosrel_armnn_planner *planner, uint32_t unit, cosrel_armnn_graph **out) {
  const cosrel_network *network = planner->network;
  cosrel_status status = COSREL_OK;
  planner->unit = &network->units[unit];
  planner->graph = cosrel_armnn_graph_create();
  planner->status = COSREL_OK;
  planner->round++;
  if (planner->graph == NULL) return COSREL_NOMEM;
  for (uint32_t i = 0; i < planner->unit->n_nodes && status == COSREL_OK; i++)
    status = plan_node(planner, &planner->net->nodes[network->nodes[planner->unit->first_node + i]]);
  if (status == COSREL_OK) {
    int32_t y = cosrel_armnn_dense(planner, planner->unit->output, true);
    status = planner->status == COSREL_OK && y < 0 ? COSREL_UNSUPPORTED : planner->status;
    if (y >= 0) cosrel_armnn_output(planner->graph, y, (uint64_t)network->offsets[planner->unit->output]);
  }
  if (status != COSREL_OK) {
    cosrel_armnn_graph_destroy(planner->graph);
    planner->graph = NULL;
  }
  *out = planner->graph;
  return status;
}

cosrel_status cosrel_armnn_planner_create(const cosrel_network *network, cosrel_armnn_planner *out,
                                          cosrel_error *error) {
  *out = (cosrel_armnn_planner){.network = network, .net = &network->net};
  out->values = calloc(network->net.n_values + 1, sizeof *out->values);
  return out->values != NULL ? COSREL_OK : cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", network->net.name);
}

void cosrel_armnn_planner_destroy(cosrel_armnn_planner *planner) { free(planner->values); }
