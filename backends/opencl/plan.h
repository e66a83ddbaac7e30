/* How the OpenCL backend computes a network: each unit as a list of kernel launches, worked out once.
 *
 * A rule turns one node of a unit into launches. What only moves data (Reshape, Transpose, Slice, Split, Expand) makes
 * no launch but a view of old bytes; cosrel_cl_dense adds a move where a kernel wants another order. A kernel may do
 * the activation that follows it along the way: cosrel_cl_take_activation.
 *
 * A rule reads like this:
 *     int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
 *     cosrel_cl_activation activation;
 *     out = cosrel_cl_take_activation(planner, out, &activation);
 *     cosrel_cl_launch launch = cosrel_cl_launch_of("pool", "max_pool");
 *     cosrel_cl_push_in(&launch, cosrel_cl_dense(planner, in, true));
 *     cosrel_cl_push_out(&launch, cosrel_cl_result(planner, out, true));
 *     cosrel_cl_push_activation(&launch, activation);
 *     cosrel_cl_size(&launch, ...);
 *     cosrel_cl_add(planner, &launch);
 */
#ifndef COSREL_BACKENDS_OPENCL_PLAN_H
#define COSREL_BACKENDS_OPENCL_PLAN_H

#include "backends/network.h"
#include "backends/opencl/launch.h"
#include "backends/reference/operators.h"
#include "backends/view.h"

/* A constant on the device: weights, packed by a rule as its kernel reads them. */
typedef struct cosrel_cl_constant {
  float *host;       /* [elements] until uploaded, then NULL; owned */
  uint64_t elements; /* COSREL_PADDING behind them is there, too */
  uint64_t bytes;    /* of its buffer; 0: it has none */
  bool half;         /* uploaded as fp16 */
} cosrel_cl_constant;

struct cosrel_prepared {
  const cosrel_network *network; /* borrowed */
  uint32_t *first_launch;        /* [n_units + 1] */
  uint32_t *first_constant;      /* [n_units + 1] those that are planned first for a unit */
  cosrel_cl_launch *launches;
  uint32_t n_launches, launch_capacity;
  cosrel_cl_constant *constants;
  cl_mem *constant_buffers; /* [n_constants] */
  uint32_t n_constants, constant_capacity;
  cl_mem scratch;
  uint64_t scratch_elements, constant_bytes;
};

typedef struct cosrel_cl_planner {
  struct cosrel_prepared *prepared;
  const cosrel_network *network;
  const cosrel_net *net;
  const cosrel_cl_device *device;
  cosrel_cl_programs *programs; /* for tuning */
  struct cosrel_cl_tuner *tuner;
  const cosrel_network_unit *unit;
  bool half;                    /* constant weights of the unit are kept in fp16 */
  uint32_t next;                /* position in the unit behind the node that is planned now */
  struct cl_value *values;      /* [n_values] */
  int64_t scratch, scratch_max; /* floats: of this unit, of the unit with the most */
  uint32_t round;               /* counts units from 1 */
  uint32_t *taken, n_taken;     /* nodes of the unit that another node's launch does */
  cosrel_status status;         /* the first failure: COSREL_NOMEM */
} cosrel_cl_planner;

/* How one operator is computed; both are called for nodes whose tensors are fp32 (constants and indices aside) and have
 * elements. `supports` allocates nothing and may be called from any thread. `plan` cannot refuse what `supports` has
 * accepted; what it lacks the memory for is in planner->status. */
typedef struct cosrel_cl_rule {
  const char *name; /* ONNX op_type */
  bool (*supports)(const cosrel_net *net, const cosrel_net_node *node);
  void (*plan)(cosrel_cl_planner *planner, const cosrel_net_node *node);
} cosrel_cl_rule;

/* NULL when there is none (rules.c). */
const cosrel_cl_rule *cosrel_cl_find_rule(const char *operator_name);

/* Whether every node of the unit has a rule that supports it; and, for fp16, one has weights to be kept in that. */
bool cosrel_cl_supports(const cosrel_network *network, uint32_t unit, cosrel_precision precision);

/* Plans every unit that is supported (others have no launches) in precisions[n_units], or in fp32 where that is NULL,
 * uploads the constants and makes the launches. */
cosrel_status cosrel_cl_plan(const cosrel_network *network, const uint8_t *precisions, const cosrel_cl_device *device,
                             cosrel_cl_programs *programs, struct cosrel_prepared **out, cosrel_error *error);
void cosrel_cl_plan_destroy(const cosrel_cl_device *device, struct cosrel_prepared *prepared);

/* Of the buffers of the unit's constants. */
uint64_t cosrel_cl_weight_bytes(const struct cosrel_prepared *prepared, uint32_t unit);

/* ---- What rules use ---- */

/* Values: inputs and outputs of a node, -1 where left out. */
static inline int32_t cosrel_cl_input(const cosrel_cl_planner *planner, const cosrel_net_node *node, uint32_t i) {
  return i < node->n_inputs ? cosrel_net_node_inputs(planner->net, node)[i] : -1;
}
static inline int32_t cosrel_cl_output(const cosrel_cl_planner *planner, const cosrel_net_node *node) {
  return cosrel_net_node_outputs(planner->net, node)[0];
}
static inline const cosrel_shape *cosrel_cl_shape(const cosrel_cl_planner *planner, int32_t value) {
  return &planner->net->values[value].tensor.shape;
}
/* For `supports`, too: the tensor of input i, or NULL where left out. */
static inline const cosrel_tensor *cosrel_cl_tensor(const cosrel_net *net, const cosrel_net_node *node, uint32_t i) {
  int32_t value = i < node->n_inputs ? cosrel_net_node_inputs(net, node)[i] : -1;
  return value < 0 ? NULL : &net->values[value].tensor;
}

/* The value without gaps, as NHWC or row-major; a move is added unless it is so. Constants are uploaded so. */
cosrel_cl_ref cosrel_cl_dense(cosrel_cl_planner *planner, int32_t value, bool nhwc);
/* Whether it is so already. */
bool cosrel_cl_is_dense(cosrel_cl_planner *planner, int32_t value, bool nhwc);
/* As it is; strides and offset in floats, to be added to the ref's. */
cosrel_cl_ref cosrel_cl_view(cosrel_cl_planner *planner, int32_t value, cosrel_view *view);
/* Place for a result without gaps: the arena's if it is the unit's output in the arena's order, else scratch. */
cosrel_cl_ref cosrel_cl_result(cosrel_cl_planner *planner, int32_t value, bool nhwc);
/* The value is a view of another's bytes. */
void cosrel_cl_alias(cosrel_cl_planner *planner, int32_t value, cosrel_cl_ref ref, const cosrel_view *view);
/* Scratch for this unit; offsets are multiples of 16 floats. */
cosrel_cl_ref cosrel_cl_scratch(cosrel_cl_planner *planner, uint64_t elements);
/* A constant to fill with packed weights: [elements] zeroed floats, uploaded once all is planned. NULL out of memory
 * (also in planner->status); then the ref must not be used. */
float *cosrel_cl_add_constant(cosrel_cl_planner *planner, uint64_t elements, cosrel_cl_ref *ref);
/* The constant will be uploaded as fp16. */
void cosrel_cl_halve(cosrel_cl_planner *planner, cosrel_cl_ref ref);
/* Appends a copy. */
void cosrel_cl_add(cosrel_cl_planner *planner, const cosrel_cl_launch *launch);
void cosrel_cl_add_move(cosrel_cl_planner *planner, const cosrel_shape *shape, cosrel_cl_ref from,
                        const cosrel_view *from_view, cosrel_cl_ref to, const cosrel_view *to_view);

/* ---- Functions of one element: operators of their own, and what kernels do along the way ---- */

/* The numbers are those of the kernels, where `a` and `b` are said. */
typedef enum cosrel_cl_function {
  /* kernels/common.cl; also along the way in other kernels: */
  COSREL_CL_NONE = 0,
  COSREL_CL_CLAMP = 1, /* to [a, b], which may be infinite: Relu, Clip */
  COSREL_CL_LEAKY_RELU = 2,
  COSREL_CL_SIGMOID = 3,
  COSREL_CL_SILU = 4,
  COSREL_CL_HARD_SIGMOID = 5,
  COSREL_CL_HARD_SWISH = 6,
  COSREL_CL_FUSED_MAX = 6, /* the last such one */
  /* kernels/elementwise.cl: */
  COSREL_CL_TANH = 7,
  COSREL_CL_ELU = 8,
  COSREL_CL_ABS = 9,
  COSREL_CL_NEG = 10,
  COSREL_CL_EXP = 11,
  COSREL_CL_LOG = 12,
  COSREL_CL_SQRT = 13,
  COSREL_CL_ERF = 14,
  COSREL_CL_FLOOR = 15,
  COSREL_CL_CEIL = 16,
  COSREL_CL_ROUND = 17,
  COSREL_CL_SOFTPLUS = 18,
  COSREL_CL_RECIPROCAL = 19,
} cosrel_cl_function;

typedef struct cosrel_cl_activation {
  cosrel_cl_function function;
  float a, b;
} cosrel_cl_activation;

/* What the node does to its input 0 element by element; false when it is no such operator. */
bool cosrel_cl_is_function(const cosrel_net *net, const cosrel_net_node *node, cosrel_cl_activation *out);
/* If all that the unit does with `value` next is a function up to COSREL_CL_FUSED_MAX (SiLU as Sigmoid and Mul
 * included), takes it over: returns the function's output. Else COSREL_CL_NONE and `value`. Call it before
 * cosrel_cl_result. */
int32_t cosrel_cl_take_activation(cosrel_cl_planner *planner, int32_t value, cosrel_cl_activation *activation);
/* Likewise an Add of a constant vector along the last axis of n elements; *bias stays NULL when there is none. */
int32_t cosrel_cl_take_bias(cosrel_cl_planner *planner, int32_t value, uint32_t n, const float **bias);
/* Three arguments: int function, float a, float b; for activate1, activate4, ... of kernels/common.cl. */
void cosrel_cl_push_activation(cosrel_cl_launch *launch, cosrel_cl_activation activation);

#endif
