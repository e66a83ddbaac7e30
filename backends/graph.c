#include "backends/graph.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/grow.h"

/* Limits that no real network meets; within them every product below is either exact or caught. */
#define DIM_MAX (UINT32_C(1) << 24)
#define WINDOW_MAX (UINT32_C(1) << 16)
#define COUNT_MAX (UINT64_C(1) << 53)

static const char *const op_names[COSREL_OP_COUNT] = {
#define X(name, text) [COSREL_OP_##name] = text,
    COSREL_OP_MAP(X)
#undef X
};

const char *cosrel_op_name(cosrel_op op) { return (unsigned)op < COSREL_OP_COUNT ? op_names[op] : "unknown"; }

/* a * b, or above COUNT_MAX where that is over it; stays there in further products with b >= 1. */
static uint64_t times(uint64_t a, uint64_t b) {
  if (a != 0 && b > COUNT_MAX / a) return COUNT_MAX + 1;
  return a * b;
}

void cosrel_graph_init(cosrel_graph *graph, const char *name) {
  *graph = (cosrel_graph){0};
  size_t length = strlen(name);
  if (length == 0 || length >= COSREL_NAME_MAX) {
    cosrel_graph_fail(graph, COSREL_LIMIT, "graph", "name: expected 1 to 63 bytes");
    return;
  }
  memcpy(graph->name, name, length + 1);
}

void cosrel_graph_clear(cosrel_graph *graph) {
  if (graph == NULL) return;
  free(graph->nodes);
  free(graph->inputs);
  *graph = (cosrel_graph){0};
}

int32_t cosrel_graph_fail(cosrel_graph *graph, cosrel_status status, const char *node, const char *text) {
  if (graph->status == COSREL_OK) graph->status = cosrel_fail(&graph->error, status, "%s: %s", node, text);
  return -1;
}

cosrel_status cosrel_graph_finish(const cosrel_graph *graph, cosrel_error *error) {
  const char *name = graph->name[0] != '\0' ? graph->name : "graph";
  if (graph->status != COSREL_OK) return cosrel_fail(error, graph->status, "%s: %.400s", name, graph->error.text);
  if (graph->n_nodes == 0) return cosrel_fail(error, COSREL_FORMAT, "%s: expected at least one node", name);
  return COSREL_OK;
}

cosrel_shape cosrel_graph_shape(const cosrel_graph *graph, int32_t node) {
  if (node < 0 || (uint32_t)node >= graph->n_nodes) return (cosrel_shape){0};
  return graph->nodes[node].shape;
}

/* ---- Shape inference: each rule returns NULL, or what was expected. `in` holds the shapes of the inputs. ---- */

static const char *expect_image(const cosrel_shape *in) {
  return in->rank == 4 && in->dims[0] == 1 ? NULL : "expected an input of shape [1, C, H, W]";
}

/* Output size along one axis of a window (the usual formula; with `ceil`, a last window must begin inside the input or
 * its leading pad, as in PyTorch). 0 when the window does not fit. */
static uint32_t window_size(const cosrel_window *window, int axis, uint32_t size) {
  uint64_t reach = (uint64_t)window->dilation[axis] * (window->kernel[axis] - 1) + 1;
  uint64_t padded = (uint64_t)size + window->pad[axis] + window->pad[axis + 2];
  uint64_t stride = window->stride[axis];
  if (reach > padded) return 0;
  uint64_t out = (padded - reach) / stride + 1;
  if (window->ceil && (padded - reach) % stride != 0 && out * stride < (uint64_t)size + window->pad[axis]) out++;
  return (uint32_t)out;
}

static const char *infer_window(const cosrel_node *node, const cosrel_shape *in, cosrel_shape *out) {
  const cosrel_window *window = &node->window;
  for (int axis = 0; axis < 2; axis++) {
    if (window->kernel[axis] < 1 || window->stride[axis] < 1 || window->dilation[axis] < 1 ||
        window->kernel[axis] > WINDOW_MAX || window->stride[axis] > WINDOW_MAX || window->dilation[axis] > WINDOW_MAX ||
        window->pad[axis] > WINDOW_MAX || window->pad[axis + 2] > WINDOW_MAX) {
      return "expected kernel, stride and dilation of 1 to 65536 and pads of at most 65536";
    }
    out->dims[2 + axis] = window_size(window, axis, in->dims[2 + axis]);
    if (out->dims[2 + axis] == 0) return "expected a window that fits the padded input";
  }
  return NULL;
}

static const char *infer_conv(cosrel_node *node, const cosrel_shape *in) {
  const char *bad = expect_image(in);
  if (bad != NULL) return bad;
  if (node->channels == 0 || node->channels > DIM_MAX) return "expected 1 to 2^24 output channels";
  if (node->groups == 0 || in->dims[1] % node->groups != 0 || node->channels % node->groups != 0) {
    return "expected groups that divide the input and the output channels";
  }
  node->shape = (cosrel_shape){.rank = 4, .dims = {1, node->channels}};
  if ((bad = infer_window(node, in, &node->shape)) != NULL) return bad;
  uint64_t taps = times(in->dims[1] / node->groups, (uint64_t)node->window.kernel[0] * node->window.kernel[1]);
  node->parameters = times(taps, node->channels) + (node->bias ? node->channels : 0);
  node->macs = times(taps, cosrel_shape_elements(&node->shape));
  return NULL;
}

static const char *infer_dense(cosrel_node *node, const cosrel_shape *in) {
  if (in->rank < 2) return "expected an input of at least two axes";
  if (node->channels == 0 || node->channels > DIM_MAX) return "expected 1 to 2^24 output channels";
  uint32_t width = in->dims[in->rank - 1];
  node->shape = *in;
  node->shape.dims[in->rank - 1] = node->channels;
  node->parameters = times(width, node->channels) + (node->bias ? node->channels : 0);
  node->macs = times(width, cosrel_shape_elements(&node->shape));
  return NULL;
}

static const char *infer_matmul(cosrel_node *node, const cosrel_shape *in) {
  const cosrel_shape *a = &in[0], *b = &in[1];
  if (a->rank < 2 || a->rank != b->rank) return "expected two inputs of the same rank, at least 2";
  uint32_t last = a->rank - 1;
  for (uint32_t i = 0; i + 1 < last; i++) {
    if (a->dims[i] != b->dims[i]) return "expected equal leading axes";
  }
  if (a->dims[last] != b->dims[last - 1]) return "expected [..., m, k] and [..., k, n]";
  node->shape = *a;
  node->shape.dims[last] = b->dims[last];
  node->macs = times(a->dims[last], cosrel_shape_elements(&node->shape));
  return NULL;
}

static const char *infer_pool(cosrel_node *node, const cosrel_shape *in) {
  const char *bad = expect_image(in);
  if (bad != NULL) return bad;
  node->shape = *in;
  return infer_window(node, in, &node->shape);
}

/* Aligned at the last axis; an axis of 1 or a missing one repeats. */
static const char *infer_broadcast(cosrel_node *node, const cosrel_shape *in) {
  const cosrel_shape *wide = in[0].rank >= in[1].rank ? &in[0] : &in[1];
  const cosrel_shape *narrow = wide == &in[0] ? &in[1] : &in[0];
  uint32_t missing = wide->rank - narrow->rank;
  node->shape = *wide;
  for (uint32_t i = 0; i < narrow->rank; i++) {
    uint32_t a = wide->dims[missing + i], b = narrow->dims[i];
    if (a != b && a != 1 && b != 1) return "expected equal shapes, or axes of 1 to repeat";
    node->shape.dims[missing + i] = a > b ? a : b;
  }
  return NULL;
}

static const char *infer_concat(cosrel_node *node, const cosrel_shape *in, uint32_t n) {
  node->shape = in[0];
  if (node->axis >= in[0].rank) return "expected an axis within the rank";
  uint64_t sum = in[0].dims[node->axis];
  for (uint32_t i = 1; i < n; i++) {
    if (in[i].rank != in[0].rank) return "expected inputs of one rank";
    for (uint32_t axis = 0; axis < in[0].rank; axis++) {
      if (axis != node->axis && in[i].dims[axis] != in[0].dims[axis]) {
        return "expected inputs that differ only along the axis";
      }
    }
    sum += in[i].dims[node->axis];
  }
  if (sum > DIM_MAX) return "expected axes of at most 2^24";
  node->shape.dims[node->axis] = (uint32_t)sum;
  return NULL;
}

static const char *infer_slice(cosrel_node *node, const cosrel_shape *in) {
  if (node->axis >= in->rank) return "expected an axis within the rank";
  uint32_t size = in->dims[node->axis];
  if (node->length == 0 || node->length > size || node->begin > size - node->length) {
    return "expected a slice within the axis";
  }
  node->shape = *in;
  node->shape.dims[node->axis] = node->length;
  return NULL;
}

static const char *infer_resize(cosrel_node *node, const cosrel_shape *in) {
  const char *bad = expect_image(in);
  if (bad != NULL) return bad;
  uint32_t height = node->shape.dims[2], width = node->shape.dims[3];
  node->shape = *in;
  node->shape.dims[2] = height;
  node->shape.dims[3] = width;
  return NULL;
}

static const char *infer_pad(cosrel_node *node, const cosrel_shape *in) {
  const char *bad = expect_image(in);
  if (bad != NULL) return bad;
  node->shape = *in;
  for (int axis = 0; axis < 2; axis++) {
    uint32_t before = node->window.pad[axis], after = node->window.pad[axis + 2];
    if (before > WINDOW_MAX || after > WINDOW_MAX) return "expected pads of at most 65536";
    node->shape.dims[2 + axis] += before + after;
  }
  return NULL;
}

static const char *infer_transpose(cosrel_node *node, const cosrel_shape *in) {
  uint32_t seen = 0;
  node->shape.rank = in->rank;
  for (uint32_t i = 0; i < in->rank; i++) {
    uint32_t from = node->permutation[i];
    if (from >= in->rank || (seen >> from & 1) != 0) return "expected a permutation of the axes";
    seen |= UINT32_C(1) << from;
    node->shape.dims[i] = in->dims[from];
  }
  return NULL;
}

static const char *infer(cosrel_node *node, const cosrel_shape *in, uint32_t n) {
  bool two = node->op == COSREL_OP_ADD || node->op == COSREL_OP_MUL || node->op == COSREL_OP_MATMUL;
  bool many = node->op == COSREL_OP_CONCAT || node->op == COSREL_OP_OTHER;
  if (node->op == COSREL_OP_INPUT ? n != 0 : many ? n == 0 : n != (two ? 2 : 1)) {
    return "expected another number of inputs";
  }
  cosrel_shape given = node->shape;
  switch (node->op) {
    case COSREL_OP_INPUT:
    case COSREL_OP_OTHER: return NULL;
    case COSREL_OP_CONV: return infer_conv(node, in);
    case COSREL_OP_DENSE: return infer_dense(node, in);
    case COSREL_OP_MATMUL: return infer_matmul(node, in);
    case COSREL_OP_MAX_POOL:
    case COSREL_OP_AVERAGE_POOL: return infer_pool(node, in);
    case COSREL_OP_ADD:
    case COSREL_OP_MUL: return infer_broadcast(node, in);
    case COSREL_OP_CONCAT: return infer_concat(node, in, n);
    case COSREL_OP_SLICE: return infer_slice(node, in);
    case COSREL_OP_RESIZE: return infer_resize(node, in);
    case COSREL_OP_PAD: return infer_pad(node, in);
    case COSREL_OP_TRANSPOSE: return infer_transpose(node, in);
    case COSREL_OP_RESHAPE:
      return cosrel_shape_elements(&given) == cosrel_shape_elements(in) ? NULL : "expected a shape of as many elements";
    case COSREL_OP_FLATTEN: {
      uint64_t elements = cosrel_shape_elements(in);
      if (elements > DIM_MAX) return "expected axes of at most 2^24";
      node->shape = (cosrel_shape){.rank = 2, .dims = {1, (uint32_t)elements}};
      return NULL;
    }
    case COSREL_OP_GLOBAL_POOL: {
      const char *bad = expect_image(in);
      if (bad == NULL) node->shape = (cosrel_shape){.rank = 4, .dims = {1, in->dims[1], 1, 1}};
      return bad;
    }
    case COSREL_OP_CHANNEL_SHUFFLE:
      node->shape = *in;
      if (node->groups == 0 || in->rank < 2 || in->dims[1] % node->groups != 0) {
        return "expected groups that divide the channels";
      }
      return NULL;
    case COSREL_OP_BATCH_NORM:
      if (in->rank < 2) return "expected an input of at least two axes";
      node->shape = *in;
      node->parameters = 2 * (uint64_t)in->dims[1];
      return NULL;
    case COSREL_OP_LAYER_NORM:
      node->shape = *in;
      node->parameters = 2 * (uint64_t)in->dims[in->rank - 1];
      return NULL;
    case COSREL_OP_LRN:
    case COSREL_OP_ACTIVATION:
    case COSREL_OP_SOFTMAX:
    case COSREL_OP_IDENTITY: node->shape = *in; return NULL;
    case COSREL_OP_COUNT: break;
  }
  return "expected a known operator";
}

static const char *check_result(const cosrel_node *node) {
  if (node->shape.rank == 0 || node->shape.rank > COSREL_RANK_MAX) return "expected 1 to 6 axes";
  for (uint32_t i = 0; i < node->shape.rank; i++) {
    if (node->shape.dims[i] == 0 || node->shape.dims[i] > DIM_MAX) return "expected axes of 1 to 2^24";
  }
  if (cosrel_shape_elements(&node->shape) > COUNT_MAX) return "expected at most 2^53 elements";
  if (node->macs > COUNT_MAX || node->parameters > COUNT_MAX) return "expected at most 2^53 MACs and parameters";
  return NULL;
}

/* ---- Building ---- */

int32_t cosrel_graph_add(cosrel_graph *graph, const cosrel_node *spec, const int32_t *inputs, uint32_t n_inputs) {
  if (graph->status != COSREL_OK) return -1;
  if (memchr(spec->name, '\0', sizeof spec->name) == NULL || spec->name[0] == '\0') {
    return cosrel_graph_fail(graph, COSREL_FORMAT, "node", "name: expected 1 to 63 bytes");
  }
  if (graph->n_nodes >= COSREL_NODES_MAX) {
    return cosrel_graph_fail(graph, COSREL_LIMIT, spec->name, "expected at most 16384 nodes");
  }
  if (n_inputs > COSREL_EDGES_MAX || graph->n_inputs > 4 * COSREL_NODES_MAX) {
    return cosrel_graph_fail(graph, COSREL_LIMIT, spec->name, "expected fewer inputs");
  }
  cosrel_node *nodes = cosrel_grow(graph->nodes, &graph->node_capacity, graph->n_nodes, 1, sizeof *nodes);
  if (nodes == NULL) return cosrel_graph_fail(graph, COSREL_NOMEM, spec->name, "out of memory");
  graph->nodes = nodes;
  int32_t *edges = cosrel_grow(graph->inputs, &graph->input_capacity, graph->n_inputs, n_inputs, sizeof *edges);
  if (edges == NULL) return cosrel_graph_fail(graph, COSREL_NOMEM, spec->name, "out of memory");
  graph->inputs = edges;

  /* infer() reads the shapes side by side; few nodes have more than eight inputs. */
  cosrel_shape few[8], *shapes = few;
  if (n_inputs > 8 && (shapes = malloc(n_inputs * sizeof *shapes)) == NULL) {
    return cosrel_graph_fail(graph, COSREL_NOMEM, spec->name, "out of memory");
  }
  const char *bad = NULL;
  for (uint32_t i = 0; i < n_inputs && bad == NULL; i++) {
    if (inputs[i] < 0 || (uint32_t)inputs[i] >= graph->n_nodes) {
      bad = "expected inputs that are earlier nodes";
    } else {
      shapes[i] = graph->nodes[inputs[i]].shape;
    }
  }
  cosrel_node *node = &graph->nodes[graph->n_nodes];
  *node = *spec;
  node->parameters = node->macs = 0;
  node->first_input = graph->n_inputs;
  node->n_inputs = n_inputs;
  if (bad == NULL && node->shape.rank > COSREL_RANK_MAX) bad = "expected 1 to 6 axes";
  if (bad == NULL) bad = infer(node, shapes, n_inputs);
  if (bad == NULL) bad = check_result(node);
  if (shapes != few) free(shapes);
  if (bad != NULL) return cosrel_graph_fail(graph, COSREL_FORMAT, spec->name, bad);
  if (n_inputs > 0) memcpy(&graph->inputs[graph->n_inputs], inputs, n_inputs * sizeof *inputs);
  graph->n_inputs += n_inputs;
  return (int32_t)graph->n_nodes++;
}

/* ---- Short forms ---- */

/* Starts a node of the given name; a name that is too long fails the graph. */
static cosrel_node begin(cosrel_graph *graph, const char *name, const char *suffix, cosrel_op op) {
  cosrel_node node = {.op = op, .groups = 1};
  int length = snprintf(node.name, sizeof node.name, "%s%s", name, suffix);
  if (length < 0 || (size_t)length >= sizeof node.name) {
    cosrel_graph_fail(graph, COSREL_LIMIT, node.name, "name: expected at most 63 bytes");
  }
  return node;
}

static uint32_t or_one(uint32_t value) { return value == 0 ? 1 : value; }

int32_t cosrel_graph_input(cosrel_graph *graph, const char *name, uint32_t channels, uint32_t height, uint32_t width) {
  cosrel_node node = begin(graph, name, "", COSREL_OP_INPUT);
  node.shape = (cosrel_shape){.rank = 4, .dims = {1, channels, height, width}};
  return cosrel_graph_add(graph, &node, NULL, 0);
}

int32_t cosrel_graph_conv(cosrel_graph *graph, int32_t x, const char *name, const cosrel_conv *conv) {
  cosrel_node node = begin(graph, name, "", COSREL_OP_CONV);
  uint32_t kernel = or_one(conv->kernel), stride = or_one(conv->stride), dilation = or_one(conv->dilation);
  uint32_t kernel_w = conv->kernel_w != 0 ? conv->kernel_w : kernel;
  /* A kernel_w of its own brings a pad_w of its own, 0 included: 7 x 1 has pad 3 and pad_w 0. */
  uint32_t pad = conv->pad, pad_w = conv->kernel_w != 0 ? conv->pad_w : pad;
  uint32_t before = conv->pad_end_only ? 0 : pad, before_w = conv->pad_end_only ? 0 : pad_w;
  node.channels = conv->channels;
  node.groups = or_one(conv->groups);
  node.bias = conv->bias;
  node.window = (cosrel_window){.kernel = {kernel, kernel_w},
                                .stride = {stride, stride},
                                .dilation = {dilation, dilation},
                                .pad = {before, before_w, pad, pad_w}};
  x = cosrel_graph_add(graph, &node, &x, 1);
  if (conv->batch_norm) {
    node = begin(graph, name, ".bn", COSREL_OP_BATCH_NORM);
    x = cosrel_graph_add(graph, &node, &x, 1);
  }
  if (conv->activation == COSREL_NO_ACTIVATION) return x;
  node = begin(graph, name, ".act", COSREL_OP_ACTIVATION);
  node.activation = conv->activation;
  return cosrel_graph_add(graph, &node, &x, 1);
}

int32_t cosrel_graph_dense(cosrel_graph *graph, int32_t x, const char *name, uint32_t channels, bool bias) {
  cosrel_node node = begin(graph, name, "", COSREL_OP_DENSE);
  node.channels = channels;
  node.bias = bias;
  return cosrel_graph_add(graph, &node, &x, 1);
}

int32_t cosrel_graph_activation(cosrel_graph *graph, int32_t x, const char *name, cosrel_activation activation) {
  cosrel_node node = begin(graph, name, "", COSREL_OP_ACTIVATION);
  node.activation = activation;
  return cosrel_graph_add(graph, &node, &x, 1);
}

int32_t cosrel_graph_pool(cosrel_graph *graph, int32_t x, const char *name, cosrel_op op, uint32_t kernel,
                          uint32_t stride, uint32_t pad, bool ceil) {
  cosrel_node node = begin(graph, name, "", op);
  node.window = (cosrel_window){.kernel = {kernel, kernel},
                                .stride = {stride, stride},
                                .dilation = {1, 1},
                                .pad = {pad, pad, pad, pad},
                                .ceil = ceil};
  return cosrel_graph_add(graph, &node, &x, 1);
}

int32_t cosrel_graph_unary(cosrel_graph *graph, int32_t x, const char *name, cosrel_op op) {
  cosrel_node node = begin(graph, name, "", op);
  uint32_t rank = cosrel_graph_shape(graph, x).rank;
  node.axis = rank > 0 ? rank - 1 : 0;
  return cosrel_graph_add(graph, &node, &x, 1);
}

int32_t cosrel_graph_binary(cosrel_graph *graph, int32_t a, int32_t b, const char *name, cosrel_op op) {
  cosrel_node node = begin(graph, name, "", op);
  return cosrel_graph_add(graph, &node, (const int32_t[]){a, b}, 2);
}

int32_t cosrel_graph_concat(cosrel_graph *graph, const int32_t *xs, uint32_t n, const char *name) {
  cosrel_node node = begin(graph, name, "", COSREL_OP_CONCAT);
  node.axis = 1;
  return cosrel_graph_add(graph, &node, xs, n);
}

int32_t cosrel_graph_slice(cosrel_graph *graph, int32_t x, const char *name, uint32_t axis, uint32_t first,
                           uint32_t length) {
  cosrel_node node = begin(graph, name, "", COSREL_OP_SLICE);
  node.axis = axis;
  node.begin = first;
  node.length = length;
  return cosrel_graph_add(graph, &node, &x, 1);
}

int32_t cosrel_graph_resize(cosrel_graph *graph, int32_t x, const char *name, uint32_t height, uint32_t width) {
  cosrel_node node = begin(graph, name, "", COSREL_OP_RESIZE);
  node.shape = (cosrel_shape){.rank = 4, .dims = {1, 1, height, width}};
  return cosrel_graph_add(graph, &node, &x, 1);
}

int32_t cosrel_graph_shuffle(cosrel_graph *graph, int32_t x, const char *name, uint32_t groups) {
  cosrel_node node = begin(graph, name, "", COSREL_OP_CHANNEL_SHUFFLE);
  node.groups = groups;
  return cosrel_graph_add(graph, &node, &x, 1);
}

int32_t cosrel_graph_reshape(cosrel_graph *graph, int32_t x, const char *name, cosrel_shape shape) {
  cosrel_node node = begin(graph, name, "", COSREL_OP_RESHAPE);
  node.shape = shape;
  return cosrel_graph_add(graph, &node, &x, 1);
}

int32_t cosrel_graph_transpose(cosrel_graph *graph, int32_t x, const char *name, const uint32_t *permutation) {
  cosrel_node node = begin(graph, name, "", COSREL_OP_TRANSPOSE);
  uint32_t rank = cosrel_graph_shape(graph, x).rank;
  memcpy(node.permutation, permutation, rank * sizeof *permutation);
  return cosrel_graph_add(graph, &node, &x, 1);
}
