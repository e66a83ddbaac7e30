/* A DNN that can be computed: values (tensors, some of them constant) and nodes (ONNX operators with attributes).
 *
 * backends/graph.h says what a model costs, this says what it computes. backends/onnx reads one from a file,
 * backends/reference computes it node by node, backends/network.h cuts it into the units that are scheduled.
 *
 * Nodes are in topological order. Values are named by index; -1 stands for an optional input or output left out. The
 * reader leaves a net "settled": every value has a type and a shape, nodes whose inputs are all constant have become
 * constants, and what no output needs is gone. A settled net is read-only and may be shared between threads. */
#ifndef COSREL_BACKENDS_NET_H
#define COSREL_BACKENDS_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/tensor.h"
#include "sched/model.h"

#define COSREL_NET_NODES_MAX 16384
#define COSREL_NET_VALUES_MAX 65536

typedef enum cosrel_attribute_kind {
  COSREL_ATTRIBUTE_INTS, /* also one integer */
  COSREL_ATTRIBUTE_FLOATS,
  COSREL_ATTRIBUTE_STRING,
  COSREL_ATTRIBUTE_TENSOR,
} cosrel_attribute_kind;

typedef struct cosrel_attribute {
  char name[32];
  cosrel_attribute_kind kind;
  uint32_t n; /* of ints or floats; bytes of the string */
  const int64_t *ints;
  const float *floats;
  const char *string; /* NUL-terminated */
  cosrel_tensor tensor;
} cosrel_attribute;

struct cosrel_operator; /* backends/reference/operators.h */

typedef struct cosrel_net_node {
  char name[COSREL_NAME_MAX];       /* unique in the net; made from the operator and index when the file has none */
  const struct cosrel_operator *op; /* static table entry */
  uint32_t first_input, n_inputs;   /* in net->links */
  uint32_t first_output, n_outputs; /* in net->links */
  uint32_t first_attribute, n_attributes;
} cosrel_net_node;

typedef struct cosrel_value {
  cosrel_tensor tensor; /* data is NULL unless constant; owned by the net */
  int32_t producer;     /* node, or -1 for inputs and constants */
} cosrel_value;

typedef struct cosrel_net {
  char name[COSREL_NAME_MAX];
  uint32_t opset; /* of the default ONNX domain */
  uint32_t n_nodes, n_values, n_links, n_attributes, n_inputs, n_outputs;
  cosrel_net_node *nodes;
  cosrel_value *values;
  int32_t *links; /* value indices */
  cosrel_attribute *attributes;
  int32_t *inputs, *outputs;            /* value indices, in the file's order; constants are no inputs */
  char (*input_names)[COSREL_NAME_MAX]; /* cut to fit */
  char (*output_names)[COSREL_NAME_MAX];
  void *memory; /* owner of all the above; see net.c */
} cosrel_net;

static inline const int32_t *cosrel_net_node_inputs(const cosrel_net *net, const cosrel_net_node *node) {
  return &net->links[node->first_input];
}
static inline const int32_t *cosrel_net_node_outputs(const cosrel_net *net, const cosrel_net_node *node) {
  return &net->links[node->first_output];
}
static inline bool cosrel_value_is_constant(const cosrel_net *net, int32_t value) {
  return net->values[value].tensor.data != NULL;
}

/* ---- Building; used by the reader and by tests. The first failure sticks, as in graph.h. ---- */

/* Starts an empty net. `limit_bytes` bounds all memory that the net will ever own, and 16 times as many steps of
 * arithmetic are spent on its constants; COSREL_LIMIT beyond. Destroy the net after success and failure alike. */
cosrel_status cosrel_net_create(cosrel_net *net, const char *name, uint32_t opset, uint64_t limit_bytes,
                                cosrel_error *error);
/* Zeroed memory that lives as long as the net, 64-byte aligned; NULL over the limit or out of memory. */
void *cosrel_net_allocate(cosrel_net *net, uint64_t bytes);
/* Appends a value; tensor.data, if any, must come from cosrel_net_allocate and belong to this value alone: it is given
 * back when the value goes. Returns its index or -1. */
int32_t cosrel_net_add_value(cosrel_net *net, cosrel_tensor tensor);
/* Appends a node; arrays are copied, attribute contents are borrowed from cosrel_net_allocate memory. The outputs must
 * not have a producer yet. Returns its index or -1. */
int32_t cosrel_net_add_node(cosrel_net *net, const char *name, const struct cosrel_operator *op, const int32_t *inputs,
                            uint32_t n_inputs, const int32_t *outputs, uint32_t n_outputs,
                            const cosrel_attribute *attributes, uint32_t n_attributes);
cosrel_status cosrel_net_add_input(cosrel_net *net, const char *name, int32_t value);
cosrel_status cosrel_net_add_output(cosrel_net *net, const char *name, int32_t value);

/* Orders nodes topologically (COSREL_FORMAT with a line for a cycle), infers every shape and type by the operators'
 * `infer`, computes nodes of constants by their `run`, drops what no output needs. */
cosrel_status cosrel_net_settle(cosrel_net *net, cosrel_error *error);

/* Rewrites a settled net for execution: batch norms fold into the convolution or dense layer before them (weights are
 * new constants; the sums agree to fp32 rounding), Identity and inference Dropout vanish. */
cosrel_status cosrel_net_fold(cosrel_net *net, cosrel_error *error);

void cosrel_net_destroy(cosrel_net *net);

/* ---- Attributes of a node; NULL or the fall-back when it has none of that name and kind. ---- */

/* Of any kind: look at that first, a file may give a name with whatever it likes. */
const cosrel_attribute *cosrel_node_attribute(const cosrel_net *net, const cosrel_net_node *node, const char *name);
/* A list of integers. */
const cosrel_attribute *cosrel_node_ints(const cosrel_net *net, const cosrel_net_node *node, const char *name);
int64_t cosrel_node_int(const cosrel_net *net, const cosrel_net_node *node, const char *name, int64_t fallback);
float cosrel_node_float(const cosrel_net *net, const cosrel_net_node *node, const char *name, float fallback);
const char *cosrel_node_string(const cosrel_net *net, const cosrel_net_node *node, const char *name,
                               const char *fallback);

#endif
