/* From a graph of the zoo to an ONNX file. Tensors bear the name of the node that makes them, constants that of the
 * node that reads them and a suffix. Where one operator of the graph takes several of ONNX (SiLU, GELU, channel
 * shuffle, a dense layer on sequences), the one that gives the unit its name has the graph's name.
 *
 * Weights: He et al., ICCV 2015: mean 0, variance g / fan-in, with g = 2 where an activation follows and 1 elsewhere,
 * so that the scale of activations survives the depth. A draw is a sum of four uniform ones: near enough to normal, and
 * the same bits with every C library. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/onnx/onnx.h"
#include "backends/onnx/onnx.pb-c.h"
#include "sched/rng.h"

#define OPSET 13
#define OPSET_LAYER_NORM 17 /* the first to have it as one operator */
#define IR_VERSION 8
#define SPREAD 0.1F /* of biases, and of batch norms around the identity */

/* Everything hangs below `model` in memory from malloc, as if it had been unpacked: one call frees it all. The first
 * failure of malloc sticks, and later calls do nothing. */
typedef struct encoder {
  const cosrel_graph *graph;
  Onnx__ModelProto *model;
  bool no_memory;
  uint64_t seed;
  uint32_t *readers; /* [graph->n_nodes] */
} encoder;

typedef Onnx__NodeProto node_proto;

/* ---- Building messages ---- */

static void *take(encoder *e, size_t bytes) {
  void *memory = e->no_memory ? NULL : calloc(1, bytes > 0 ? bytes : 1);
  e->no_memory |= memory == NULL;
  return memory;
}

static char *text(encoder *e, const char *name, const char *suffix) {
  size_t n = strlen(name) + strlen(suffix) + 1;
  char *copy = take(e, n);
  if (copy != NULL) snprintf(copy, n, "%s%s", name, suffix);
  return copy;
}

/* Appends a pointer to a list of a message, whose room doubles at powers of two; frees the item on failure. */
static bool append(encoder *e, void *list_address, size_t *n, void *item) {
  void **list;
  memcpy(&list, list_address, sizeof list);
  if (item == NULL) return false;
  if ((*n & (*n - 1)) == 0) {
    void **grown = e->no_memory ? NULL : realloc(list, (*n == 0 ? 1 : 2 * *n) * sizeof *grown);
    if (grown == NULL) {
      e->no_memory = true;
      free(item);
      return false;
    }
    list = grown;
    memcpy(list_address, &list, sizeof list);
  }
  list[(*n)++] = item;
  return true;
}

static node_proto *add_node(encoder *e, const char *op, const char *name, const char *suffix) {
  Onnx__GraphProto *graph = e->model->graph;
  node_proto *node = take(e, sizeof *node);
  if (node != NULL) onnx__node_proto__init(node);
  if (!append(e, &graph->node, &graph->n_node, node)) return NULL;
  node->op_type = text(e, op, "");
  node->name = text(e, name, suffix);
  return node;
}

static void add_input(encoder *e, node_proto *node, const char *name, const char *suffix) {
  if (node != NULL) append(e, &node->input, &node->n_input, text(e, name, suffix));
}

static void add_output(encoder *e, node_proto *node, const char *name, const char *suffix) {
  if (node != NULL) append(e, &node->output, &node->n_output, text(e, name, suffix));
}

static Onnx__AttributeProto *add_attribute(encoder *e, node_proto *node, const char *name,
                                           Onnx__AttributeProto__AttributeType type) {
  if (node == NULL) return NULL;
  Onnx__AttributeProto *attribute = take(e, sizeof *attribute);
  if (attribute != NULL) onnx__attribute_proto__init(attribute);
  if (!append(e, &node->attribute, &node->n_attribute, attribute)) return NULL;
  attribute->name = text(e, name, "");
  attribute->has_type = true;
  attribute->type = type;
  return attribute;
}

static void add_int(encoder *e, node_proto *node, const char *name, int64_t value) {
  Onnx__AttributeProto *a = add_attribute(e, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
  if (a == NULL) return;
  a->has_i = true;
  a->i = value;
}

static void add_float(encoder *e, node_proto *node, const char *name, float value) {
  Onnx__AttributeProto *a = add_attribute(e, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
  if (a == NULL) return;
  a->has_f = true;
  a->f = value;
}

static void add_string(encoder *e, node_proto *node, const char *name, const char *value) {
  Onnx__AttributeProto *a = add_attribute(e, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
  if (a == NULL) return;
  a->s.data = (uint8_t *)text(e, value, "");
  a->has_s = a->s.data != NULL;
  a->s.len = a->has_s ? strlen(value) : 0;
}

static void add_ints(encoder *e, node_proto *node, const char *name, const uint32_t *values, size_t n) {
  Onnx__AttributeProto *a = add_attribute(e, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
  if (a == NULL || (a->ints = take(e, n * sizeof *a->ints)) == NULL) return;
  for (size_t i = 0; i < n; i++) a->ints[i] = values[i];
  a->n_ints = n;
}

/* Makes a constant called name + suffix the next input of the node. Its elements, to be filled in; NULL without memory.
 */
static void *add_constant(encoder *e, node_proto *node, const char *name, const char *suffix, int32_t data_type,
                          size_t element_bytes, cosrel_shape shape) {
  Onnx__GraphProto *graph = e->model->graph;
  Onnx__TensorProto *tensor = take(e, sizeof *tensor);
  if (tensor != NULL) onnx__tensor_proto__init(tensor);
  if (!append(e, &graph->initializer, &graph->n_initializer, tensor)) return NULL;
  tensor->name = text(e, name, suffix);
  tensor->has_data_type = true;
  tensor->data_type = data_type;
  tensor->dims = take(e, shape.rank * sizeof *tensor->dims);
  tensor->raw_data.len = (size_t)cosrel_shape_elements(&shape) * element_bytes;
  tensor->raw_data.data = take(e, tensor->raw_data.len);
  if (e->no_memory) return NULL;
  tensor->n_dims = shape.rank;
  for (uint32_t i = 0; i < shape.rank; i++) tensor->dims[i] = shape.dims[i];
  tensor->has_raw_data = true;
  add_input(e, node, name, suffix);
  return tensor->raw_data.data;
}

static void add_int_constant(encoder *e, node_proto *node, const char *name, const char *suffix, const uint32_t *values,
                             uint32_t n) {
  cosrel_shape shape = {.rank = 1, .dims = {n}};
  int64_t *to = add_constant(e, node, name, suffix, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, sizeof *to, shape);
  for (uint32_t i = 0; to != NULL && i < n; i++) to[i] = values[i];
}

static void add_scalar(encoder *e, node_proto *node, const char *name, const char *suffix, float value) {
  float *to = add_constant(e, node, name, suffix, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, sizeof *to, (cosrel_shape){0});
  if (to != NULL) *to = value;
}

/* ---- Weights ---- */

/* Mean 0 and variance 1: four 16-bit numbers, each uniform with variance (2^32 - 1) / 12. */
static float draw(uint64_t key, uint64_t i) {
  const float unit = 1 / 37837.2270F; /* sqrt((2^32 - 1) / 3) */
  uint64_t bits = cosrel_rng_key(key, i);
  int32_t sum = (int32_t)((bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48)) - 2 * 0xffff;
  return (float)sum * unit;
}

static void add_weights(encoder *e, node_proto *node, const char *name, const char *suffix, cosrel_shape shape,
                        float mean, float deviation) {
  float *to = add_constant(e, node, name, suffix, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, sizeof *to, shape);
  if (to == NULL) return;
  uint64_t n = cosrel_shape_elements(&shape), key = cosrel_rng_key(e->seed, e->model->graph->n_initializer);
  for (uint64_t i = 0; i < n; i++) to[i] = mean + deviation * draw(key, i);
}

static void add_vector(encoder *e, node_proto *node, const char *name, const char *suffix, uint32_t n, float mean) {
  add_weights(e, node, name, suffix, (cosrel_shape){.rank = 1, .dims = {n}}, mean, SPREAD);
}

/* Whether an activation is what follows node n, a batch norm between them or not. */
static bool is_activated(const cosrel_graph *graph, uint32_t n) {
  for (uint32_t i = n + 1; i < graph->n_nodes; i++) {
    const cosrel_node *node = &graph->nodes[i];
    if (node->n_inputs == 0 || graph->inputs[node->first_input] != (int32_t)n) continue;
    if (node->op != COSREL_OP_BATCH_NORM) return node->op == COSREL_OP_ACTIVATION;
    n = i;
  }
  return false;
}

static float deviation_of(const cosrel_graph *graph, uint32_t n, uint64_t fan_in) {
  return (float)sqrt((is_activated(graph, n) ? 2.0 : 1.0) / (double)fan_in);
}

/* ---- One node of the graph each ---- */

typedef struct source {
  const cosrel_node *node;
  uint32_t index;
  const char *name, *x; /* x: the first input */
  const cosrel_shape *in;
} source;

/* A node that reads what the graph's node reads, and makes what that makes. */
static node_proto *add_plain(encoder *e, const source *s, const char *op) {
  node_proto *node = add_node(e, op, s->name, "");
  for (uint32_t i = 0; i < s->node->n_inputs; i++) {
    add_input(e, node, e->graph->nodes[e->graph->inputs[s->node->first_input + i]].name, "");
  }
  add_output(e, node, s->name, "");
  return node;
}

static void add_window(encoder *e, node_proto *node, const cosrel_window *window, bool dilations) {
  if (dilations) add_ints(e, node, "dilations", window->dilation, 2);
  add_ints(e, node, "kernel_shape", window->kernel, 2);
  add_ints(e, node, "pads", window->pad, 4);
  add_ints(e, node, "strides", window->stride, 2);
}

static void encode_conv(encoder *e, const source *s) {
  const cosrel_window *window = &s->node->window;
  uint32_t channels = s->node->channels, taps = s->in->dims[1] / s->node->groups;
  cosrel_shape shape = {.rank = 4, .dims = {channels, taps, window->kernel[0], window->kernel[1]}};
  node_proto *node = add_plain(e, s, "Conv");
  uint64_t fan_in = cosrel_shape_elements(&shape) / channels;
  add_weights(e, node, s->name, ".weight", shape, 0, deviation_of(e->graph, s->index, fan_in));
  if (s->node->bias) add_vector(e, node, s->name, ".bias", channels, 0);
  add_int(e, node, "group", s->node->groups);
  add_window(e, node, window, true);
}

/* Gemm takes two axes only; sequences have three. */
static void encode_dense(encoder *e, const source *s) {
  uint32_t width = s->in->dims[s->in->rank - 1], channels = s->node->channels;
  float deviation = deviation_of(e->graph, s->index, width);
  if (s->in->rank == 2) {
    node_proto *node = add_plain(e, s, "Gemm");
    cosrel_shape shape = {.rank = 2, .dims = {channels, width}};
    add_weights(e, node, s->name, ".weight", shape, 0, deviation);
    if (s->node->bias) add_vector(e, node, s->name, ".bias", channels, 0);
    add_int(e, node, "transB", 1);
    return;
  }
  const char *product = s->node->bias ? ".product" : "";
  node_proto *node = add_node(e, "MatMul", s->name, "");
  add_input(e, node, s->x, "");
  add_weights(e, node, s->name, ".weight", (cosrel_shape){.rank = 2, .dims = {width, channels}}, 0, deviation);
  add_output(e, node, s->name, product);
  if (!s->node->bias) return;
  node = add_node(e, "Add", s->name, ".add_bias");
  add_input(e, node, s->name, product);
  add_vector(e, node, s->name, ".bias", channels, 0);
  add_output(e, node, s->name, "");
}

static void encode_batch_norm(encoder *e, const source *s) {
  node_proto *node = add_plain(e, s, "BatchNormalization");
  uint32_t channels = s->in->dims[1];
  add_vector(e, node, s->name, ".scale", channels, 1);
  add_vector(e, node, s->name, ".shift", channels, 0);
  add_vector(e, node, s->name, ".mean", channels, 0);
  add_vector(e, node, s->name, ".variance", channels, 1); /* positive: draws end below 4 deviations */
}

static void encode_layer_norm(encoder *e, const source *s) {
  node_proto *node = add_plain(e, s, "LayerNormalization");
  uint32_t width = s->in->dims[s->in->rank - 1];
  add_vector(e, node, s->name, ".scale", width, 1);
  add_vector(e, node, s->name, ".shift", width, 0);
}

/* As in AlexNet (Krizhevsky et al., NIPS 2012), in Caffe's form. */
static void encode_lrn(encoder *e, const source *s) {
  node_proto *node = add_plain(e, s, "LRN");
  add_float(e, node, "alpha", 1e-4F);
  add_float(e, node, "beta", 0.75F);
  add_int(e, node, "size", 5);
}

/* name + suffix = op(x, value) */
static void add_step(encoder *e, const source *s, const char *op, const char *x_suffix, const char *constant,
                     float value, const char *suffix) {
  node_proto *node = add_node(e, op, s->name, suffix);
  add_input(e, node, x_suffix != NULL ? s->name : s->x, x_suffix != NULL ? x_suffix : "");
  if (constant != NULL) add_scalar(e, node, s->name, constant, value);
  add_output(e, node, s->name, suffix);
}

/* name = x * (name + suffix) */
static void add_gate(encoder *e, const source *s, const char *suffix, const char *out_suffix) {
  node_proto *node = add_node(e, "Mul", s->name, out_suffix);
  add_input(e, node, s->x, "");
  add_input(e, node, s->name, suffix);
  add_output(e, node, s->name, out_suffix);
}

static void encode_activation(encoder *e, const source *s) {
  node_proto *node;
  switch (s->node->activation) {
    case COSREL_NO_ACTIVATION: add_plain(e, s, "Identity"); break;
    case COSREL_RELU: add_plain(e, s, "Relu"); break;
    case COSREL_SIGMOID: add_plain(e, s, "Sigmoid"); break;
    case COSREL_TANH: add_plain(e, s, "Tanh"); break;
    case COSREL_RELU6:
      node = add_plain(e, s, "Clip");
      add_scalar(e, node, s->name, ".min", 0);
      add_scalar(e, node, s->name, ".max", 6);
      break;
    case COSREL_LEAKY_RELU: add_float(e, add_plain(e, s, "LeakyRelu"), "alpha", 0.1F); break; /* as in darknet */
    case COSREL_SILU:                                                                         /* x sigmoid(x) */
      add_step(e, s, "Sigmoid", NULL, NULL, 0, ".sigmoid");
      add_gate(e, s, ".sigmoid", "");
      break;
    case COSREL_HARD_SWISH: /* x clip(x / 6 + 1 / 2, 0, 1) */
      node = add_node(e, "HardSigmoid", s->name, ".hard_sigmoid");
      add_input(e, node, s->x, "");
      add_float(e, node, "alpha", 1.0F / 6);
      add_output(e, node, s->name, ".hard_sigmoid");
      add_gate(e, s, ".hard_sigmoid", "");
      break;
    case COSREL_GELU: /* x (erf(x / sqrt 2) + 1) / 2 */
      add_step(e, s, "Div", NULL, ".sqrt2", 1.41421356F, ".scaled");
      add_step(e, s, "Erf", ".scaled", NULL, 0, ".erf");
      add_step(e, s, "Add", ".erf", ".one", 1, ".plus1");
      add_gate(e, s, ".plus1", ".twice");
      add_step(e, s, "Mul", ".twice", ".half", 0.5F, "");
      break;
  }
}

/* Whole multiples by repeating (as in YOLO), all else bilinearly. */
static void encode_resize(encoder *e, const source *s) {
  const uint32_t *to = s->node->shape.dims, *from = s->in->dims;
  bool whole = to[2] % from[2] == 0 && to[3] % from[3] == 0;
  node_proto *node = add_plain(e, s, "Resize");
  add_input(e, node, "", ""); /* no region of interest */
  add_input(e, node, "", ""); /* sizes instead of scales */
  add_int_constant(e, node, s->name, ".sizes", to, 4);
  add_string(e, node, "coordinate_transformation_mode", whole ? "asymmetric" : "half_pixel");
  add_string(e, node, "mode", whole ? "nearest" : "linear");
  if (whole) add_string(e, node, "nearest_mode", "floor");
}

static void encode_slice(encoder *e, const source *s) {
  uint32_t end = s->node->begin + s->node->length;
  node_proto *node = add_plain(e, s, "Slice");
  add_int_constant(e, node, s->name, ".starts", &s->node->begin, 1);
  add_int_constant(e, node, s->name, ".ends", &end, 1);
  add_int_constant(e, node, s->name, ".axes", &s->node->axis, 1);
}

static void encode_pad(encoder *e, const source *s) {
  const uint32_t *pad = s->node->window.pad;
  const uint32_t pads[8] = {0, 0, pad[0], pad[1], 0, 0, pad[2], pad[3]};
  add_int_constant(e, add_plain(e, s, "Pad"), s->name, ".pads", pads, 8);
}

/* [1, C, H, W] seen as [1, groups, C / groups, H, W], the two axes swapped, and back. */
static void encode_shuffle(encoder *e, const source *s) {
  const uint32_t *dims = s->in->dims, groups = s->node->groups, swap[5] = {0, 2, 1, 3, 4};
  const uint32_t split[5] = {dims[0], groups, dims[1] / groups, dims[2], dims[3]};
  node_proto *node = add_node(e, "Reshape", s->name, ".split");
  add_input(e, node, s->x, "");
  add_int_constant(e, node, s->name, ".split_shape", split, 5);
  add_output(e, node, s->name, ".split");
  node = add_node(e, "Transpose", s->name, "");
  add_input(e, node, s->name, ".split");
  add_output(e, node, s->name, ".swapped");
  add_ints(e, node, "perm", swap, 5);
  node = add_node(e, "Reshape", s->name, ".merge");
  add_input(e, node, s->name, ".swapped");
  add_int_constant(e, node, s->name, ".shape", dims, 4);
  add_output(e, node, s->name, "");
}

static void encode_pool(encoder *e, const source *s) {
  node_proto *node = add_plain(e, s, s->node->op == COSREL_OP_MAX_POOL ? "MaxPool" : "AveragePool");
  add_window(e, node, &s->node->window, false);
  if (s->node->window.ceil) add_int(e, node, "ceil_mode", 1);
}

static cosrel_status encode_node(encoder *e, const source *s, cosrel_error *error) {
  const cosrel_node *spec = s->node;
  switch (spec->op) {
    case COSREL_OP_INPUT: break;
    case COSREL_OP_CONV: encode_conv(e, s); break;
    case COSREL_OP_DENSE: encode_dense(e, s); break;
    case COSREL_OP_MATMUL: add_plain(e, s, "MatMul"); break;
    case COSREL_OP_BATCH_NORM: encode_batch_norm(e, s); break;
    case COSREL_OP_LAYER_NORM: encode_layer_norm(e, s); break;
    case COSREL_OP_LRN: encode_lrn(e, s); break;
    case COSREL_OP_ACTIVATION: encode_activation(e, s); break;
    case COSREL_OP_SOFTMAX: add_int(e, add_plain(e, s, "Softmax"), "axis", spec->axis); break;
    case COSREL_OP_MAX_POOL:
    case COSREL_OP_AVERAGE_POOL: encode_pool(e, s); break;
    case COSREL_OP_GLOBAL_POOL: add_plain(e, s, "GlobalAveragePool"); break;
    case COSREL_OP_ADD: add_plain(e, s, "Add"); break;
    case COSREL_OP_MUL: add_plain(e, s, "Mul"); break;
    case COSREL_OP_CONCAT: add_int(e, add_plain(e, s, "Concat"), "axis", spec->axis); break;
    case COSREL_OP_SLICE: encode_slice(e, s); break;
    case COSREL_OP_RESIZE: encode_resize(e, s); break;
    case COSREL_OP_PAD: encode_pad(e, s); break;
    case COSREL_OP_RESHAPE:
      add_int_constant(e, add_plain(e, s, "Reshape"), s->name, ".shape", spec->shape.dims, spec->shape.rank);
      break;
    case COSREL_OP_FLATTEN: add_plain(e, s, "Flatten"); break;
    case COSREL_OP_TRANSPOSE: add_ints(e, add_plain(e, s, "Transpose"), "perm", spec->permutation, s->in->rank); break;
    case COSREL_OP_CHANNEL_SHUFFLE: encode_shuffle(e, s); break;
    case COSREL_OP_IDENTITY: add_plain(e, s, "Identity"); break;
    case COSREL_OP_OTHER:
    case COSREL_OP_COUNT:
      return cosrel_fail(error, COSREL_UNSUPPORTED, "%s: node '%s': expected an operator that ONNX has", e->graph->name,
                         spec->name);
  }
  return COSREL_OK;
}

/* ---- The model around them ---- */

static void add_end(encoder *e, void *list_address, size_t *n, const cosrel_node *node) {
  Onnx__ValueInfoProto *info = take(e, sizeof *info);
  if (info != NULL) onnx__value_info_proto__init(info);
  if (!append(e, list_address, n, info)) return;
  info->name = text(e, node->name, "");
  if ((info->type = take(e, sizeof *info->type)) == NULL) return;
  onnx__type_proto__init(info->type);
  Onnx__TypeProto__Tensor *tensor = take(e, sizeof *tensor);
  if (tensor == NULL) return;
  onnx__type_proto__tensor__init(tensor);
  info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  info->type->tensor_type = tensor;
  tensor->has_elem_type = true;
  tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
  if ((tensor->shape = take(e, sizeof *tensor->shape)) == NULL) return;
  onnx__tensor_shape_proto__init(tensor->shape);
  for (uint32_t i = 0; i < node->shape.rank; i++) {
    Onnx__TensorShapeProto__Dimension *dim = take(e, sizeof *dim);
    if (dim != NULL) onnx__tensor_shape_proto__dimension__init(dim);
    if (!append(e, &tensor->shape->dim, &tensor->shape->n_dim, dim)) return;
    dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    dim->dim_value = node->shape.dims[i];
  }
}

static int64_t opset_of(const cosrel_graph *graph) {
  for (uint32_t n = 0; n < graph->n_nodes; n++) {
    if (graph->nodes[n].op == COSREL_OP_LAYER_NORM) return OPSET_LAYER_NORM;
  }
  return OPSET;
}

static void add_header(encoder *e) {
  Onnx__ModelProto *model = e->model;
  onnx__model_proto__init(model);
  model->has_ir_version = true;
  model->ir_version = IR_VERSION;
  model->producer_name = text(e, "cosrel", "");
  Onnx__OperatorSetIdProto *opset = take(e, sizeof *opset);
  if (opset != NULL) onnx__operator_set_id_proto__init(opset);
  if (!append(e, &model->opset_import, &model->n_opset_import, opset)) return;
  opset->domain = text(e, "", "");
  opset->has_version = true;
  opset->version = opset_of(e->graph);
  if ((model->graph = take(e, sizeof *model->graph)) == NULL) return;
  onnx__graph_proto__init(model->graph);
  model->graph->name = text(e, e->graph->name, "");
}

static cosrel_status encode_graph(encoder *e, cosrel_error *error) {
  const cosrel_graph *graph = e->graph;
  Onnx__GraphProto *out = e->model->graph;
  cosrel_status status = COSREL_OK;
  for (uint32_t i = 0; i < graph->n_inputs; i++) e->readers[graph->inputs[i]]++;
  for (uint32_t n = 0; n < graph->n_nodes && status == COSREL_OK && !e->no_memory; n++) {
    const cosrel_node *node = &graph->nodes[n];
    const cosrel_node *before = node->n_inputs > 0 ? &graph->nodes[graph->inputs[node->first_input]] : node;
    source s = {node, n, node->name, before->name, &before->shape};
    status = encode_node(e, &s, error);
    if (node->op == COSREL_OP_INPUT) add_end(e, &out->input, &out->n_input, node);
    if (node->output || e->readers[n] == 0) add_end(e, &out->output, &out->n_output, node);
  }
  return status;
}

cosrel_status cosrel_onnx_encode(const cosrel_graph *graph, uint64_t seed, uint8_t **bytes, size_t *n,
                                 cosrel_error *error) {
  *bytes = NULL;
  *n = 0;
  cosrel_status status = cosrel_graph_finish(graph, error);
  if (status != COSREL_OK) return status;
  encoder e = {.graph = graph, .seed = seed};
  e.model = take(&e, sizeof *e.model);
  e.readers = take(&e, graph->n_nodes * sizeof *e.readers);
  if (e.model != NULL) add_header(&e);
  if (!e.no_memory) status = encode_graph(&e, error);
  if (status == COSREL_OK && !e.no_memory) {
    *n = onnx__model_proto__get_packed_size(e.model);
    if (*n > COSREL_ONNX_BYTES_MAX) {
      status = cosrel_fail(error, COSREL_LIMIT, "%s: expected at most 2 GiB as a file", graph->name);
    } else if ((*bytes = take(&e, *n)) != NULL) {
      onnx__model_proto__pack(e.model, *bytes);
    }
  }
  if (status == COSREL_OK && e.no_memory) status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", graph->name);
  if (status != COSREL_OK) *n = 0;
  if (e.model != NULL) onnx__model_proto__free_unpacked(e.model, NULL);
  free(e.readers);
  return status;
}
