/* A DNN as operators with shapes: what the zoo builds and what a model file is read into. No weights, only their count.
 *
 * Every node has one output tensor and is named by its index (an int32_t). A node's inputs are earlier nodes, so the
 * array is already in a topological order. Shapes are NCHW for images ([1, C, H, W]) and [1, tokens, width] for
 * sequences; the leading 1 is the batch.
 *
 * Building is straight-line code: the first error sticks in the graph, later calls return -1 and do nothing, and
 * cosrel_graph_finish reports it. That keeps a network definition readable without a check on every line. */
#ifndef COSREL_BACKENDS_GRAPH_H
#define COSREL_BACKENDS_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/tensor.h"
#include "sched/model.h"
#include "sched/status.h"

#define COSREL_NODES_MAX 16384

/* The second word is for messages. */
#define COSREL_OP_MAP(X)                                                                                   \
  X(INPUT, "input")                     /* no inputs; `shape` is given */                                  \
  X(CONV, "conv")                       /* window, groups, channels, bias */                               \
  X(DENSE, "dense")                     /* matrix product with weights on the last axis; channels, bias */ \
  X(MATMUL, "matmul")                   /* product of two activations [..., m, k] x [..., k, n] */         \
  X(BATCH_NORM, "batch_norm")           /* scale and shift per channel (axis 1) */                         \
  X(LAYER_NORM, "layer_norm")           /* over the last axis */                                           \
  X(LRN, "lrn")                         /* local response normalisation across channels */                 \
  X(ACTIVATION, "activation")           /* element by element, see cosrel_activation */                    \
  X(SOFTMAX, "softmax")                 /* over one axis; the axis changes no cost */                      \
  X(MAX_POOL, "max_pool")               /* window */                                                       \
  X(AVERAGE_POOL, "average_pool")       /* window */                                                       \
  X(GLOBAL_POOL, "global_pool")         /* average over H and W, leaving 1 x 1 */                          \
  X(ADD, "add")                         /* two inputs, shapes equal or broadcast (NumPy rule) */           \
  X(MUL, "mul")                         /* as ADD */                                                       \
  X(CONCAT, "concat")                   /* along `axis` */                                                 \
  X(SLICE, "slice")                     /* `length` entries of `axis` from `begin` on */                   \
  X(RESIZE, "resize")                   /* to `shape`'s H and W, nearest or bilinear */                    \
  X(PAD, "pad")                         /* window.pad */                                                   \
  X(RESHAPE, "reshape")                 /* to `shape`, same number of elements */                          \
  X(FLATTEN, "flatten")                 /* to [1, elements] */                                             \
  X(TRANSPOSE, "transpose")             /* swaps axes: output axis i is input axis permutation[i] */       \
  X(CHANNEL_SHUFFLE, "channel_shuffle") /* `groups` */                                                     \
  X(IDENTITY, "identity")               /* also dropout, which inference leaves out */                     \
  X(OTHER, "other")                     /* anything else that model files hold; `shape` is given */

typedef enum cosrel_op {
#define X(name, text) COSREL_OP_##name,
  COSREL_OP_MAP(X)
#undef X
      COSREL_OP_COUNT
} cosrel_op;

typedef enum cosrel_activation {
  COSREL_NO_ACTIVATION, /* for builders: add no activation */
  COSREL_RELU,
  COSREL_RELU6,
  COSREL_LEAKY_RELU,
  COSREL_SIGMOID,
  COSREL_TANH,
  COSREL_SILU,
  COSREL_HARD_SWISH,
  COSREL_GELU,
} cosrel_activation;

/* The sliding window of a convolution or a pool, vertical before horizontal. */
typedef struct cosrel_window {
  uint32_t kernel[2], stride[2], dilation[2]; /* each at least 1 */
  uint32_t pad[4];                            /* top, left, bottom, right */
  bool ceil;                                  /* pools: a partly filled last window counts */
} cosrel_window;

typedef struct cosrel_node {
  char name[COSREL_NAME_MAX];
  cosrel_op op;
  cosrel_activation activation;
  cosrel_window window;
  uint32_t groups;                       /* CONV, CHANNEL_SHUFFLE */
  uint32_t channels;                     /* CONV, DENSE: of the output */
  bool bias;                             /* CONV, DENSE */
  uint32_t axis;                         /* CONCAT, SLICE, SOFTMAX */
  uint32_t begin, length;                /* SLICE */
  uint32_t permutation[COSREL_RANK_MAX]; /* TRANSPOSE */
  bool output;                           /* wanted by the caller even if another node reads it too */
  cosrel_shape shape;                    /* of the output; given for INPUT, RESIZE, RESHAPE, else inferred */
  /* Filled by cosrel_graph_add: */
  uint32_t first_input, n_inputs; /* in graph->inputs */
  uint64_t parameters; /* trainable ones, as papers count them: batch norm has scale and shift, no statistics */
  uint64_t macs;       /* of CONV, DENSE and MATMUL; 0 for all else, bias additions not counted */
} cosrel_node;

typedef struct cosrel_graph {
  char name[COSREL_NAME_MAX];
  uint32_t n_nodes, n_inputs;
  cosrel_node *nodes; /* [n_nodes], owned */
  int32_t *inputs;    /* [n_inputs], owned, grouped by consumer */
  uint32_t node_capacity, input_capacity;
  cosrel_status status; /* the first failure */
  cosrel_error error;
} cosrel_graph;

/* An empty graph; a name that does not fit is the graph's first error. */
void cosrel_graph_init(cosrel_graph *graph, const char *name);

/* Frees what the graph owns and clears it; NULL and cleared graphs are fine. */
void cosrel_graph_clear(cosrel_graph *graph);

/* COSREL_OK, or the first failure with its line prefixed by the graph's name. An empty graph is a failure too. */
cosrel_status cosrel_graph_finish(const cosrel_graph *graph, cosrel_error *error);

/* Makes the graph fail with `text` unless it already has failed; returns -1. For builders that check arguments. */
int32_t cosrel_graph_fail(cosrel_graph *graph, cosrel_status status, const char *node, const char *text);

/* Appends a copy of `spec`, infers its shape and counts its parameters and MACs. Returns its index, or -1. */
int32_t cosrel_graph_add(cosrel_graph *graph, const cosrel_node *spec, const int32_t *inputs, uint32_t n_inputs);

const char *cosrel_op_name(cosrel_op op);

/* ---- Short forms, all in terms of cosrel_graph_add. Names are copied; at most COSREL_NAME_MAX - 1 bytes. ---- */

/* A convolution with what usually follows it. kernel is square unless kernel_w is given; likewise pad. Zero means
 * kernel 1, stride 1, dilation 1, groups 1. */
typedef struct cosrel_conv {
  uint32_t channels;
  uint32_t kernel, kernel_w;
  uint32_t stride, dilation, groups;
  uint32_t pad, pad_w;
  bool pad_end_only; /* pad only bottom and right (TensorFlow's SAME with stride 2 on an even size) */
  bool bias;
  bool batch_norm;
  cosrel_activation activation;
} cosrel_conv;

int32_t cosrel_graph_input(cosrel_graph *graph, const char *name, uint32_t channels, uint32_t height, uint32_t width);
int32_t cosrel_graph_conv(cosrel_graph *graph, int32_t x, const char *name, const cosrel_conv *conv);
int32_t cosrel_graph_dense(cosrel_graph *graph, int32_t x, const char *name, uint32_t channels, bool bias);
int32_t cosrel_graph_activation(cosrel_graph *graph, int32_t x, const char *name, cosrel_activation activation);
/* op is MAX_POOL or AVERAGE_POOL. */
int32_t cosrel_graph_pool(cosrel_graph *graph, int32_t x, const char *name, cosrel_op op, uint32_t kernel,
                          uint32_t stride, uint32_t pad, bool ceil);
/* Any operator of one input without attributes: GLOBAL_POOL, FLATTEN, IDENTITY, SOFTMAX (last axis), LAYER_NORM. */
int32_t cosrel_graph_unary(cosrel_graph *graph, int32_t x, const char *name, cosrel_op op);
/* ADD, MUL or MATMUL. */
int32_t cosrel_graph_binary(cosrel_graph *graph, int32_t a, int32_t b, const char *name, cosrel_op op);
/* Along axis 1. */
int32_t cosrel_graph_concat(cosrel_graph *graph, const int32_t *xs, uint32_t n, const char *name);
int32_t cosrel_graph_slice(cosrel_graph *graph, int32_t x, const char *name, uint32_t axis, uint32_t begin,
                           uint32_t length);
int32_t cosrel_graph_resize(cosrel_graph *graph, int32_t x, const char *name, uint32_t height, uint32_t width);
/* Interleaves the channels of `groups` equal groups. */
int32_t cosrel_graph_shuffle(cosrel_graph *graph, int32_t x, const char *name, uint32_t groups);
int32_t cosrel_graph_reshape(cosrel_graph *graph, int32_t x, const char *name, cosrel_shape shape);
/* permutation has as many entries as x has axes. */
int32_t cosrel_graph_transpose(cosrel_graph *graph, int32_t x, const char *name, const uint32_t *permutation);

/* The shape of a node's output; the empty shape for -1 or a failed graph. */
cosrel_shape cosrel_graph_shape(const cosrel_graph *graph, int32_t node);

#endif
