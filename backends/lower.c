#include "backends/lower.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/reference/operators.h"

#define REGION_MAX 16 /* net nodes in one activation */

typedef struct lowering {
  const cosrel_net *net;
  cosrel_graph *graph;
  int32_t *values;        /* [COSREL_NODES_MAX] net value of each graph node, the caller's */
  int32_t *graph_nodes;   /* [n_values] graph node of each value, or -1 */
  uint32_t *first_reader; /* [n_values + 1] in readers */
  uint32_t *readers;      /* [n_links] net nodes */
  bool *wanted;           /* [n_values] an output of the net */
  bool *inner;            /* [n_nodes] inside a region, not its end */
  struct region *regions; /* [n_nodes] of its last node; n_nodes 0: none */
} lowering;

/* Element-by-element operators that together compute one tensor from one other. */
typedef struct region {
  uint32_t n_nodes;
  uint32_t nodes[REGION_MAX]; /* the last node first */
  int32_t source;             /* value */
  bool means;                 /* some of them average over axes */
  uint64_t parameters;
} region;

/* ---- Attributes ---- */

uint32_t cosrel_node_axis(const cosrel_net *net, const cosrel_net_node *node, uint32_t rank, int64_t fallback) {
  int64_t axis = cosrel_node_int(net, node, "axis", fallback);
  return (uint32_t)(axis < 0 ? axis + rank : axis);
}

static const cosrel_tensor *input_tensor(const cosrel_net *net, const cosrel_net_node *node, uint32_t i) {
  if (i >= node->n_inputs) return NULL;
  int32_t value = cosrel_net_node_inputs(net, node)[i];
  return value < 0 ? NULL : &net->values[value].tensor;
}

static const cosrel_tensor *output_tensor(const cosrel_net *net, const cosrel_net_node *node, uint32_t i) {
  return &net->values[cosrel_net_node_outputs(net, node)[i]].tensor;
}

/* Entry i of a constant list of integers: an attribute in older files, an input in newer ones. */
static int64_t listed_int(const cosrel_net *net, const cosrel_net_node *node, const char *attribute, uint32_t input,
                          uint32_t i, int64_t fallback) {
  const cosrel_attribute *found = cosrel_node_ints(net, node, attribute);
  if (found != NULL) return i < found->n ? found->ints[i] : fallback;
  const cosrel_tensor *tensor = input_tensor(net, node, input);
  if (tensor == NULL || tensor->data == NULL || i >= cosrel_shape_elements(&tensor->shape)) return fallback;
  if (tensor->dtype == COSREL_I64) return ((const int64_t *)tensor->data)[i];
  return tensor->dtype == COSREL_I32 ? ((const int32_t *)tensor->data)[i] : fallback;
}

static uint32_t entry_or(const cosrel_attribute *attribute, uint32_t i, uint32_t fallback) {
  return attribute != NULL && i < attribute->n ? (uint32_t)attribute->ints[i] : fallback;
}

cosrel_window cosrel_node_window(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_attribute *kernel = cosrel_node_ints(net, node, "kernel_shape");
  const cosrel_attribute *strides = cosrel_node_ints(net, node, "strides");
  const cosrel_attribute *dilations = cosrel_node_ints(net, node, "dilations");
  const cosrel_attribute *pads = cosrel_node_ints(net, node, "pads");
  const char *auto_pad = cosrel_node_string(net, node, "auto_pad", "NOTSET");
  const cosrel_tensor *x = input_tensor(net, node, 0), *weights = input_tensor(net, node, 1);
  bool same = strncmp(auto_pad, "SAME_", 5) == 0, lower = strcmp(auto_pad, "SAME_LOWER") == 0;
  cosrel_window window = {.ceil = cosrel_node_int(net, node, "ceil_mode", 0) != 0};
  for (uint32_t axis = 0; axis < 2; axis++) {
    window.kernel[axis] = entry_or(kernel, axis, weights != NULL ? weights->shape.dims[2 + axis] : 1);
    window.stride[axis] = entry_or(strides, axis, 1);
    window.dilation[axis] = entry_or(dilations, axis, 1);
    window.pad[axis] = entry_or(pads, axis, 0);
    window.pad[axis + 2] = entry_or(pads, axis + 2, 0);
    if (same) {
      int64_t size = x->shape.dims[2 + axis], stride = window.stride[axis];
      int64_t reach = (int64_t)window.dilation[axis] * (window.kernel[axis] - 1) + 1;
      int64_t total = ((size + stride - 1) / stride - 1) * stride + reach - size;
      if (total < 0) total = 0;
      window.pad[axis] = (uint32_t)(lower ? total - total / 2 : total / 2);
      window.pad[axis + 2] = (uint32_t)total - window.pad[axis];
    }
  }
  return window;
}

bool cosrel_node_slice(const cosrel_net *net, const cosrel_net_node *node, int64_t begins[COSREL_RANK_MAX]) {
  const cosrel_shape *shape = &input_tensor(net, node, 0)->shape;
  memset(begins, 0, COSREL_RANK_MAX * sizeof *begins);
  for (uint32_t i = 0; i < shape->rank; i++) {
    int64_t begin = listed_int(net, node, "starts", 1, i, INT64_MAX);
    if (begin == INT64_MAX) break; /* fewer are listed than there are axes */
    int64_t axis = listed_int(net, node, "axes", 3, i, i);
    if (axis < 0) axis += shape->rank;
    if (axis < 0 || axis >= shape->rank || listed_int(net, node, "steps", 4, i, 1) != 1) return false;
    int64_t size = shape->dims[axis];
    if (begin < 0) begin = begin < -size ? 0 : begin + size;
    begins[axis] = begin > size ? size : begin;
  }
  return true;
}

/* ---- One net node as one graph node: each rule fills in what its operator needs beyond name and shape ---- */

typedef void (*fill_rule)(const cosrel_net *net, const cosrel_net_node *node, cosrel_node *spec);

static void fill_conv(const cosrel_net *net, const cosrel_net_node *node, cosrel_node *spec) {
  const cosrel_tensor *weights = input_tensor(net, node, 1);
  if (weights->data == NULL || weights->shape.rank != 4) {
    spec->op = COSREL_OP_OTHER;
    return;
  }
  spec->window = cosrel_node_window(net, node);
  spec->groups = (uint32_t)cosrel_node_int(net, node, "group", 1);
  spec->channels = weights->shape.dims[0];
  spec->bias = input_tensor(net, node, 2) != NULL;
}

static void fill_pool(const cosrel_net *net, const cosrel_net_node *node, cosrel_node *spec) {
  if (spec->shape.rank == 4) spec->window = cosrel_node_window(net, node);
}

static void fill_product(const cosrel_net *net, const cosrel_net_node *node, cosrel_node *spec) {
  const cosrel_tensor *b = input_tensor(net, node, 1), *c = input_tensor(net, node, 2);
  if (b->data == NULL || b->shape.rank != 2 || spec->shape.rank == 0) return;
  spec->op = COSREL_OP_DENSE;
  spec->channels = spec->shape.dims[spec->shape.rank - 1];
  spec->bias = c != NULL;
}

static void fill_axis(const cosrel_net *net, const cosrel_net_node *node, cosrel_node *spec) {
  bool softmax = spec->op == COSREL_OP_SOFTMAX;
  spec->axis = cosrel_node_axis(net, node, spec->shape.rank, softmax && net->opset < 13 ? 1 : -1);
}

static void fill_slice(const cosrel_net *net, const cosrel_net_node *node, cosrel_node *spec) {
  const cosrel_shape *in = &input_tensor(net, node, 0)->shape;
  int64_t begins[COSREL_RANK_MAX];
  bool plain = cosrel_node_slice(net, node, begins);
  uint32_t cut = 0;
  for (uint32_t axis = 0; axis < in->rank; axis++) {
    if (in->dims[axis] == spec->shape.dims[axis]) continue;
    cut++;
    spec->axis = axis;
    spec->begin = (uint32_t)begins[axis];
    spec->length = spec->shape.dims[axis];
  }
  if (!plain || cut > 1) spec->op = COSREL_OP_OTHER;
  if (plain && cut == 0) spec->op = COSREL_OP_IDENTITY;
}

static void fill_pad(const cosrel_net *net, const cosrel_net_node *node, cosrel_node *spec) {
  if (spec->shape.rank != 4) return;
  for (uint32_t i = 0; i < 2; i++) {
    int64_t before = listed_int(net, node, "pads", 1, 2 + i, 0), after = listed_int(net, node, "pads", 1, 6 + i, 0);
    if (before < 0 || after < 0) spec->op = COSREL_OP_OTHER;
    spec->window.pad[i] = (uint32_t)before;
    spec->window.pad[i + 2] = (uint32_t)after;
  }
}

static void fill_transpose(const cosrel_net *net, const cosrel_net_node *node, cosrel_node *spec) {
  const cosrel_attribute *permutation = cosrel_node_ints(net, node, "perm");
  uint32_t rank = spec->shape.rank;
  for (uint32_t i = 0; i < rank; i++) spec->permutation[i] = entry_or(permutation, i, rank - 1 - i);
}

/* Sorted as in graph.h. An operator with a rule that does not fit it after all (a batch above 1, three axes) becomes
 * OTHER in add_node. */
static const struct {
  const char *operator_name;
  cosrel_op op;
  fill_rule fill; /* NULL: nothing to fill in */
} rules[] = {
    {"Conv", COSREL_OP_CONV, fill_conv},
    {"Gemm", COSREL_OP_OTHER, fill_product},
    {"MatMul", COSREL_OP_MATMUL, fill_product},
    {"BatchNormalization", COSREL_OP_BATCH_NORM, NULL},
    {"LayerNormalization", COSREL_OP_LAYER_NORM, NULL},
    {"LRN", COSREL_OP_LRN, NULL},
    {"Softmax", COSREL_OP_SOFTMAX, fill_axis},
    {"LogSoftmax", COSREL_OP_SOFTMAX, fill_axis},
    {"MaxPool", COSREL_OP_MAX_POOL, fill_pool},
    {"AveragePool", COSREL_OP_AVERAGE_POOL, fill_pool},
    {"GlobalAveragePool", COSREL_OP_GLOBAL_POOL, NULL},
    {"GlobalMaxPool", COSREL_OP_GLOBAL_POOL, NULL},
    {"ReduceMean", COSREL_OP_GLOBAL_POOL, NULL},
    {"Add", COSREL_OP_ADD, NULL},
    {"Sub", COSREL_OP_ADD, NULL},
    {"Max", COSREL_OP_ADD, NULL},
    {"Min", COSREL_OP_ADD, NULL},
    {"Sum", COSREL_OP_ADD, NULL},
    {"Mul", COSREL_OP_MUL, NULL},
    {"Div", COSREL_OP_MUL, NULL},
    {"Pow", COSREL_OP_MUL, NULL},
    {"PRelu", COSREL_OP_MUL, NULL},
    {"Concat", COSREL_OP_CONCAT, fill_axis},
    {"Slice", COSREL_OP_SLICE, fill_slice},
    {"Resize", COSREL_OP_RESIZE, NULL},
    {"Upsample", COSREL_OP_RESIZE, NULL},
    {"Pad", COSREL_OP_PAD, fill_pad},
    {"Reshape", COSREL_OP_RESHAPE, NULL},
    {"Flatten", COSREL_OP_RESHAPE, NULL},
    {"Squeeze", COSREL_OP_RESHAPE, NULL},
    {"Unsqueeze", COSREL_OP_RESHAPE, NULL},
    {"Transpose", COSREL_OP_TRANSPOSE, fill_transpose},
    {"Identity", COSREL_OP_IDENTITY, NULL},
    {"Dropout", COSREL_OP_IDENTITY, NULL},
};

/* Multiply-accumulates of what the graph has no operator for. */
static uint64_t other_macs(const cosrel_net *net, const cosrel_net_node *node) {
  const char *name = node->op->name;
  const cosrel_tensor *a = input_tensor(net, node, 0), *b = input_tensor(net, node, 1);
  uint64_t out = cosrel_shape_elements(&output_tensor(net, node, 0)->shape);
  uint64_t macs = 0;
  if (strcmp(name, "Conv") == 0) macs = out * (cosrel_shape_elements(&b->shape) / b->shape.dims[0]);
  if (strcmp(name, "ConvTranspose") == 0) {
    macs = cosrel_shape_elements(&a->shape) * (cosrel_shape_elements(&b->shape) / b->shape.dims[0]);
  }
  if (strcmp(name, "MatMul") == 0) macs = out * a->shape.dims[a->shape.rank - 1];
  if (strcmp(name, "Gemm") == 0) macs = out * a->shape.dims[cosrel_node_int(net, node, "transA", 0) != 0 ? 0 : 1];
  return macs > COSREL_COUNT_MAX ? COSREL_COUNT_MAX : macs;
}

static uint64_t constant_elements(const cosrel_net *net, const cosrel_net_node *node) {
  uint64_t sum = 0;
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    const cosrel_tensor *tensor = input_tensor(net, node, i);
    if (tensor == NULL || tensor->data == NULL || tensor->dtype != COSREL_F32) continue;
    uint64_t elements = cosrel_shape_elements(&tensor->shape);
    if (elements > 1) sum += elements;
  }
  return sum;
}

/* A scalar counts as one axis of 1. */
static cosrel_shape shape_of(const cosrel_tensor *tensor) {
  cosrel_shape shape = tensor->shape;
  if (shape.rank == 0) shape = (cosrel_shape){.rank = 1, .dims = {1}};
  return shape;
}

static bool same_shape(const cosrel_shape *a, const cosrel_shape *b) {
  return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

/* Adds `spec`; false, with the graph as before, when the operator's form is none that the graph knows. */
static bool try_add(lowering *l, const cosrel_node *spec, const int32_t *inputs, uint32_t n_inputs) {
  cosrel_graph *graph = l->graph;
  cosrel_shape wanted = spec->shape;
  int32_t added = cosrel_graph_add(graph, spec, inputs, n_inputs);
  if (added < 0 && graph->status == COSREL_FORMAT) graph->status = COSREL_OK;
  if (added < 0) return false;
  if (same_shape(&graph->nodes[added].shape, &wanted)) return true;
  graph->n_nodes--;
  graph->n_inputs -= n_inputs;
  return false;
}

static void add_other(lowering *l, const cosrel_net_node *node, cosrel_node *spec, const int32_t *inputs,
                      uint32_t n_inputs) {
  spec->op = COSREL_OP_OTHER;
  int32_t added = cosrel_graph_add(l->graph, spec, inputs, n_inputs);
  if (added < 0) return;
  l->graph->nodes[added].parameters = constant_elements(l->net, node);
  l->graph->nodes[added].macs = other_macs(l->net, node);
}

/* The node's output k as a graph node; begin is where it starts along `axis` when the node is a Split. */
static void add_node(lowering *l, const cosrel_net_node *node, uint32_t k, uint32_t axis, uint32_t begin) {
  const cosrel_net *net = l->net;
  cosrel_node spec = {.op = COSREL_OP_OTHER, .groups = 1};
  if (k == 0) {
    memcpy(spec.name, node->name, sizeof spec.name);
  } else {
    snprintf(spec.name, sizeof spec.name, "%.52s:%u", node->name, (unsigned)k);
  }
  int32_t value = cosrel_net_node_outputs(net, node)[k];
  spec.shape = shape_of(&net->values[value].tensor);
  spec.output = l->wanted[value];

  int32_t inputs[COSREL_OPERATOR_INPUTS_MAX];
  uint32_t n_inputs = 0;
  for (uint32_t i = 0; i < node->n_inputs && n_inputs < COSREL_OPERATOR_INPUTS_MAX; i++) {
    int32_t input = cosrel_net_node_inputs(net, node)[i];
    if (input >= 0 && !cosrel_value_is_constant(net, input)) inputs[n_inputs++] = l->graph_nodes[input];
  }

  for (size_t r = 0; r < sizeof rules / sizeof rules[0]; r++) {
    if (strcmp(rules[r].operator_name, node->op->name) != 0) continue;
    spec.op = rules[r].op;
    if (rules[r].fill != NULL) rules[r].fill(net, node, &spec);
  }
  if (strcmp(node->op->name, "Split") == 0) {
    spec.op = COSREL_OP_SLICE;
    spec.axis = axis;
    spec.begin = begin;
    spec.length = spec.shape.dims[axis];
  }
  if (spec.op == COSREL_OP_OTHER || !try_add(l, &spec, inputs, n_inputs)) add_other(l, node, &spec, inputs, n_inputs);
  l->graph_nodes[value] = (int32_t)l->graph->n_nodes - 1;
}

/* ---- Regions ---- */

static bool is_elementwise(const cosrel_net_node *node) {
  static const char *const names[] = {
      "Abs",         "Add",
      "Ceil",        "Celu",
      "Clip",        "Cos",
      "Div",         "Elu",
      "Erf",         "Exp",
      "Floor",       "Gelu",
      "HardSigmoid", "HardSwish",
      "LeakyRelu",   "Log",
      "Max",         "Min",
      "Mish",        "Mul",
      "Neg",         "PRelu",
      "Pow",         "ReduceMean",
      "Reciprocal",  "Relu",
      "Round",       "Selu",
      "Sigmoid",     "Sign",
      "Sin",         "Softplus",
      "Softsign",    "Sqrt",
      "Sub",         "Sum",
      "Tanh",        "ThresholdedRelu",
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strcmp(node->op->name, names[i]) == 0) return true;
  }
  return false;
}

static bool region_has(const region *r, uint32_t node) {
  for (uint32_t i = 0; i < r->n_nodes; i++) {
    if (r->nodes[i] == node) return true;
  }
  return false;
}

/* The value that the region reads and that is computed last; *several says whether it reads others too. */
static int32_t last_leaf(const lowering *l, const region *r, bool *several) {
  const cosrel_net *net = l->net;
  int32_t last = -1;
  *several = false;
  for (uint32_t i = 0; i < r->n_nodes; i++) {
    const cosrel_net_node *node = &net->nodes[r->nodes[i]];
    for (uint32_t k = 0; k < node->n_inputs; k++) {
      int32_t value = cosrel_net_node_inputs(net, node)[k];
      if (value < 0 || cosrel_value_is_constant(net, value)) continue;
      int32_t producer = net->values[value].producer;
      if (value == last || (producer >= 0 && region_has(r, (uint32_t)producer))) continue;
      if (last >= 0) *several = true;
      if (last < 0 || producer > net->values[last].producer) last = value;
    }
  }
  return last;
}

static bool only_read_inside(const lowering *l, const region *r, int32_t value) {
  if (l->wanted[value]) return false;
  for (uint32_t i = l->first_reader[value]; i < l->first_reader[value + 1]; i++) {
    if (!region_has(r, l->readers[i])) return false;
  }
  return true;
}

/* The smallest region that ends with node n; n_nodes is 0 when there is none. */
static void find_region(lowering *l, uint32_t n) {
  const cosrel_net *net = l->net;
  region *r = &l->regions[n];
  *r = (region){0};
  if (l->inner[n] || !is_elementwise(&net->nodes[n])) return;
  r->nodes[r->n_nodes++] = n;
  bool several;
  while ((r->source = last_leaf(l, r, &several)) >= 0 && several) {
    int32_t producer = net->values[r->source].producer;
    if (producer < 0 || r->n_nodes == REGION_MAX || !is_elementwise(&net->nodes[producer]) ||
        !only_read_inside(l, r, r->source)) {
      r->n_nodes = 0;
      return;
    }
    r->nodes[r->n_nodes++] = (uint32_t)producer;
  }
  if (r->source < 0 ||
      !same_shape(&net->values[r->source].tensor.shape, &output_tensor(net, &net->nodes[n], 0)->shape)) {
    r->n_nodes = 0;
    return;
  }
  for (uint32_t i = 0; i < r->n_nodes; i++) {
    r->means |= strcmp(net->nodes[r->nodes[i]].op->name, "ReduceMean") == 0;
    r->parameters += constant_elements(net, &net->nodes[r->nodes[i]]);
    if (i > 0) l->inner[r->nodes[i]] = true;
  }
}

static void add_region(lowering *l, const region *r) {
  const cosrel_net_node *last = &l->net->nodes[r->nodes[0]];
  int32_t value = cosrel_net_node_outputs(l->net, last)[0];
  cosrel_node spec = {.op = r->means ? COSREL_OP_LAYER_NORM : COSREL_OP_ACTIVATION, .output = l->wanted[value]};
  memcpy(spec.name, last->name, sizeof spec.name);
  int32_t added = cosrel_graph_add(l->graph, &spec, &l->graph_nodes[r->source], 1);
  if (added >= 0) l->graph->nodes[added].parameters = r->parameters;
  l->graph_nodes[value] = added;
}

/* ---- The whole net ---- */

static void list_readers(lowering *l) {
  const cosrel_net *net = l->net;
  for (uint32_t n = 0; n < net->n_nodes; n++) {
    for (uint32_t i = 0; i < net->nodes[n].n_inputs; i++) {
      int32_t value = cosrel_net_node_inputs(net, &net->nodes[n])[i];
      if (value >= 0) l->first_reader[value + 1]++;
    }
  }
  for (uint32_t v = 0; v < net->n_values; v++) l->first_reader[v + 1] += l->first_reader[v];
  /* Filling moves each start to its end, which is where the next value starts. */
  for (uint32_t n = 0; n < net->n_nodes; n++) {
    for (uint32_t i = 0; i < net->nodes[n].n_inputs; i++) {
      int32_t value = cosrel_net_node_inputs(net, &net->nodes[n])[i];
      if (value >= 0) l->readers[l->first_reader[value]++] = n;
    }
  }
  for (uint32_t v = net->n_values; v > 0; v--) l->first_reader[v] = l->first_reader[v - 1];
  l->first_reader[0] = 0;
}

static cosrel_status check_value(const cosrel_net *net, const char *name, int32_t value, cosrel_error *error) {
  const cosrel_tensor *tensor = &net->values[value].tensor;
  if (tensor->dtype != COSREL_F32) {
    return cosrel_fail(error, COSREL_UNSUPPORTED, "%s: %s: expected tensors of float, got %s", net->name, name,
                       cosrel_dtype_name(tensor->dtype));
  }
  if (cosrel_shape_elements(&tensor->shape) == 0) {
    return cosrel_fail(error, COSREL_UNSUPPORTED, "%s: %s: expected a tensor that is not empty", net->name, name);
  }
  return COSREL_OK;
}

static cosrel_status add_inputs(lowering *l, cosrel_error *error) {
  for (uint32_t i = 0; i < l->net->n_inputs; i++) {
    int32_t value = l->net->inputs[i];
    cosrel_status status = check_value(l->net, l->net->input_names[i], value, error);
    if (status != COSREL_OK) return status;
    cosrel_node spec = {.op = COSREL_OP_INPUT, .shape = shape_of(&l->net->values[value].tensor)};
    snprintf(spec.name, sizeof spec.name, "%s", l->net->input_names[i]);
    if (spec.name[0] == '\0') snprintf(spec.name, sizeof spec.name, "input%u", (unsigned)i);
    l->graph_nodes[value] = cosrel_graph_add(l->graph, &spec, NULL, 0);
    if (l->graph_nodes[value] >= 0) l->values[l->graph_nodes[value]] = value;
  }
  return COSREL_OK;
}

static cosrel_status add_outputs_of(lowering *l, uint32_t n, cosrel_error *error) {
  const cosrel_net_node *node = &l->net->nodes[n];
  uint32_t rank = node->n_inputs > 0 ? input_tensor(l->net, node, 0)->shape.rank : 0;
  uint32_t axis = cosrel_node_axis(l->net, node, rank, 0), begin = 0;
  for (uint32_t k = 0; k < node->n_outputs; k++) {
    int32_t value = cosrel_net_node_outputs(l->net, node)[k];
    if (value < 0) continue;
    bool read = l->wanted[value] || l->first_reader[value] < l->first_reader[value + 1];
    if (read) {
      cosrel_status status = check_value(l->net, node->name, value, error);
      if (status != COSREL_OK) return status;
      if (l->regions[n].n_nodes > 0) {
        add_region(l, &l->regions[n]);
      } else {
        add_node(l, node, k, axis, begin);
      }
      if (l->graph->status != COSREL_OK) return COSREL_OK; /* told by cosrel_graph_finish */
      l->values[l->graph_nodes[value]] = value;
    }
    if (axis < rank) begin += output_tensor(l->net, node, k)->shape.dims[axis];
  }
  return COSREL_OK;
}

cosrel_status cosrel_net_lower(const cosrel_net *net, cosrel_graph *graph, int32_t *values, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  cosrel_graph_init(graph, net->name);
  lowering l = {.net = net, .graph = graph, .values = values};
  l.graph_nodes = malloc((net->n_values + 1) * sizeof *l.graph_nodes);
  l.first_reader = calloc(net->n_values + 1, sizeof *l.first_reader);
  l.readers = calloc(net->n_links + 1, sizeof *l.readers);
  l.wanted = calloc(net->n_values + 1, sizeof *l.wanted);
  l.inner = calloc(net->n_nodes + 1, sizeof *l.inner);
  l.regions = calloc(net->n_nodes + 1, sizeof *l.regions);
  if (l.graph_nodes == NULL || l.first_reader == NULL || l.readers == NULL || l.wanted == NULL || l.inner == NULL ||
      l.regions == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", net->name);
    goto done;
  }
  for (uint32_t v = 0; v < net->n_values; v++) l.graph_nodes[v] = -1;
  for (uint32_t i = 0; i < net->n_outputs; i++) l.wanted[net->outputs[i]] = true;
  list_readers(&l);
  for (uint32_t n = net->n_nodes; n-- > 0;) find_region(&l, n);
  status = add_inputs(&l, error);
  for (uint32_t i = 0; i < net->n_outputs && status == COSREL_OK; i++) {
    status = check_value(net, net->output_names[i], net->outputs[i], error);
  }
  for (uint32_t n = 0; n < net->n_nodes && status == COSREL_OK && graph->status == COSREL_OK; n++) {
    if (!l.inner[n]) status = add_outputs_of(&l, n, error);
  }
  if (status == COSREL_OK) status = cosrel_graph_finish(graph, error);

done:
  free(l.graph_nodes);
  free(l.first_reader);
  free(l.readers);
  free(l.wanted);
  free(l.inner);
  free(l.regions);
  return status;
}
