/* Functions of one element: which operators are one, and which of them a kernel can do along the way. */
#include <math.h>
#include <string.h>

#include "backends/node.h"
#include "backends/opencl/plan.h"

/* ---- One node ---- */

bool cosrel_cl_is_function(const cosrel_net *net, const cosrel_net_node *node, cosrel_cl_activation *out) {
  static const struct {
    const char *name;
    cosrel_cl_function function;
    float alpha, beta; /* where the node does not say */
  } table[] = {
      {"Abs", COSREL_CL_ABS, 0, 0},
      {"Ceil", COSREL_CL_CEIL, 0, 0},
      {"Elu", COSREL_CL_ELU, 1, 0},
      {"Erf", COSREL_CL_ERF, 0, 0},
      {"Exp", COSREL_CL_EXP, 0, 0},
      {"Floor", COSREL_CL_FLOOR, 0, 0},
      {"HardSigmoid", COSREL_CL_HARD_SIGMOID, 0.2F, 0.5F},
      {"HardSwish", COSREL_CL_HARD_SWISH, 0, 0},
      {"LeakyRelu", COSREL_CL_LEAKY_RELU, 0.01F, 0},
      {"Log", COSREL_CL_LOG, 0, 0},
      {"Neg", COSREL_CL_NEG, 0, 0},
      {"Reciprocal", COSREL_CL_RECIPROCAL, 0, 0},
      {"Round", COSREL_CL_ROUND, 0, 0},
      {"Sigmoid", COSREL_CL_SIGMOID, 0, 0},
      {"Softplus", COSREL_CL_SOFTPLUS, 0, 0},
      {"Sqrt", COSREL_CL_SQRT, 0, 0},
      {"Tanh", COSREL_CL_TANH, 0, 0},
  };
  out->function = COSREL_CL_CLAMP;
  if (cosrel_node_clamp(net, node, &out->a, &out->b)) return true;
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    if (strcmp(table[i].name, node->op->name) != 0) continue;
    out->function = table[i].function;
    out->a = cosrel_node_float(net, node, "alpha", table[i].alpha);
    out->b = cosrel_node_float(net, node, "beta", table[i].beta);
    return true;
  }
  return false;
}

/* ---- Followers ---- */

/* Nodes of the unit, behind the one that is planned, that read `value`: at most two of them. 3: too many, or the value
 * is wanted outside of the unit. */
static uint32_t find_readers(const cosrel_cl_planner *planner, int32_t value, const cosrel_net_node *readers[2]) {
  uint32_t n = 0;
  if (value == planner->unit->output) return 3;
  for (uint32_t i = planner->next; i < planner->unit->n_nodes; i++) {
    const cosrel_net_node *node = &planner->net->nodes[planner->network->nodes[planner->unit->first_node + i]];
    bool reads = false;
    for (uint32_t k = 0; k < node->n_inputs; k++) reads = reads || cosrel_cl_input(planner, node, k) == value;
    if (!reads) continue;
    if (n == 2) return 3;
    readers[n++] = node;
  }
  return n;
}

static int32_t take(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  planner->taken[planner->n_taken++] = (uint32_t)(node - planner->net->nodes);
  return cosrel_cl_output(planner, node);
}

/* x * sigmoid(x), or x * hard_sigmoid(x) with the slope of HardSwish; `gate` and `product` read x. */
static bool is_gated(const cosrel_cl_planner *planner, const cosrel_net_node *gate, const cosrel_net_node *product,
                     cosrel_cl_activation *activation) {
  const cosrel_net_node *readers[2];
  cosrel_cl_activation inner;
  int32_t gated = cosrel_cl_output(planner, gate);
  if (strcmp(product->op->name, "Mul") != 0 || !cosrel_cl_is_function(planner->net, gate, &inner) ||
      find_readers(planner, gated, readers) != 1 || readers[0] != product)
    return false;
  bool other = cosrel_cl_input(planner, product, 0) == gated || cosrel_cl_input(planner, product, 1) == gated;
  bool hard = inner.function == COSREL_CL_HARD_SIGMOID && fabsf(inner.a - 1.0F / 6) < 1e-6F && inner.b == 0.5F;
  if (!other || (inner.function != COSREL_CL_SIGMOID && !hard)) return false;
  *activation = (cosrel_cl_activation){hard ? COSREL_CL_HARD_SWISH : COSREL_CL_SILU, 0, 0};
  return true;
}

int32_t cosrel_cl_take_activation(cosrel_cl_planner *planner, int32_t value, cosrel_cl_activation *activation) {
  const cosrel_net_node *readers[2];
  uint32_t n = find_readers(planner, value, readers);
  if (n == 1 && cosrel_cl_input(planner, readers[0], 0) == value &&
      cosrel_cl_is_function(planner->net, readers[0], activation) && activation->function <= COSREL_CL_FUSED_MAX)
    return take(planner, readers[0]);
  for (uint32_t i = 0; n == 2 && i < 2; i++) {
    if (!is_gated(planner, readers[i], readers[1 - i], activation)) continue;
    take(planner, readers[i]);
    return take(planner, readers[1 - i]);
  }
  *activation = (cosrel_cl_activation){COSREL_CL_NONE, 0, 0};
  return value;
}

int32_t cosrel_cl_take_bias(cosrel_cl_planner *planner, int32_t value, uint32_t n, const float **bias) {
  const cosrel_net_node *readers[2];
  if (find_readers(planner, value, readers) != 1 || strcmp(readers[0]->op->name, "Add") != 0 ||
      cosrel_node_attribute(planner->net, readers[0], "broadcast") != NULL)
    return value;
  for (uint32_t i = 0; i < 2; i++) {
    const cosrel_tensor *tensor = cosrel_cl_tensor(planner->net, readers[0], i);
    const cosrel_shape *shape = &tensor->shape;
    if (tensor->data == NULL || tensor->dtype != COSREL_F32 || shape->rank == 0 || shape->dims[shape->rank - 1] != n ||
        cosrel_shape_elements(shape) != n || shape->rank > cosrel_cl_shape(planner, value)->rank)
      continue;
    *bias = tensor->data;
    return take(planner, readers[0]);
  }
  return value;
}

void cosrel_cl_push_activation(cosrel_cl_launch *launch, cosrel_cl_activation activation) {
  cosrel_cl_push_int(launch, (int64_t)activation.function);
  cosrel_cl_push_float(launch, activation.a);
  cosrel_cl_push_float(launch, activation.b);
}
