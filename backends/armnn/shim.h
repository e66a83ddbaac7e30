/* Arm NN with a C face: the runtime, networks built layer by layer, and running them.
 *
 * Arm NN is C++ and throws; nothing of either passes this file. Layers are made in straight-line code as in
 * backends/graph.h: the first failure sticks in the graph, later calls return -1 and do nothing, and
 * cosrel_armnn_load reports it. A tensor is fp32 and named by an index; its `dims` are those of memory, 1 to
 * COSREL_ARMNN_RANK_MAX of them, images always [N, H, W, C].
 *
 * One loaded network may be run by one thread at a time; different networks by several at once. Everything else here
 * takes a lock of its own where Arm NN needs one. */
#ifndef COSREL_BACKENDS_ARMNN_SHIM_H
#define COSREL_BACKENDS_ARMNN_SHIM_H

#include "backends/graph.h"

#define COSREL_ARMNN_RANK_MAX 4 /* Arm Compute's kernels have no more axes */
#define COSREL_ARMNN_DEVICES_MAX 8

typedef struct cosrel_armnn cosrel_armnn;                 /* one of Arm NN's own backends, ready to load networks */
typedef struct cosrel_armnn_graph cosrel_armnn_graph;     /* a network that is being built */
typedef struct cosrel_armnn_network cosrel_armnn_network; /* a loaded one */

/* ---- Devices ---- */

/* Writes the ids of the backends in Arm NN's registry, best first: GpuAcc, CpuAcc, CpuRef, then others by name. That is
 * the order of preference in Arm NN's own samples. Returns how many, at most `max`. */
uint32_t cosrel_armnn_devices(char (*names)[COSREL_NAME_MAX], uint32_t max);
/* An empty name means the first of them that works. COSREL_UNSUPPORTED: it is not there, or it does not work. threads:
 * for CpuAcc, where this Arm NN can be told; 0 leaves it to Arm NN. */
cosrel_status cosrel_armnn_open(const char *device, uint32_t threads, cosrel_armnn **out, cosrel_error *error);
/* After all its networks; NULL is fine. */
void cosrel_armnn_close(cosrel_armnn *armnn);

/* ---- Building. Weights and other constants are copied. ---- */

/* NULL out of memory. */
cosrel_armnn_graph *cosrel_armnn_graph_create(void);
void cosrel_armnn_graph_destroy(cosrel_armnn_graph *graph);

/* Where its floats lie: `offset` bytes from the memory that cosrel_armnn_run is given. */
int32_t cosrel_armnn_input(cosrel_armnn_graph *graph, const cosrel_shape *dims, uint64_t offset);
void cosrel_armnn_output(cosrel_armnn_graph *graph, int32_t x, uint64_t offset);
int32_t cosrel_armnn_constant(cosrel_armnn_graph *graph, const cosrel_shape *dims, const float *data);

/* Where the elements go. permutation: output axis i is input axis permutation[i]. */
int32_t cosrel_armnn_reshape(cosrel_armnn_graph *graph, int32_t x, const cosrel_shape *dims);
int32_t cosrel_armnn_transpose(cosrel_armnn_graph *graph, int32_t x, const uint32_t *permutation);
int32_t cosrel_armnn_slice(cosrel_armnn_graph *graph, int32_t x, const uint32_t *begin, const cosrel_shape *dims);
int32_t cosrel_armnn_pad(cosrel_armnn_graph *graph, int32_t x, const uint32_t *before, const uint32_t *after,
                         float value);
int32_t cosrel_armnn_concat(cosrel_armnn_graph *graph, const int32_t *xs, uint32_t n, uint32_t axis);

/* Images. `dims` are the output's; bias may be NULL. */
typedef enum cosrel_armnn_conv_kind {
  COSREL_ARMNN_CONV,           /* weights [M, kernel height, kernel width, C] */
  COSREL_ARMNN_DEPTHWISE,      /* weights [M, kernel height, kernel width]; input channel c makes M / C channels */
  COSREL_ARMNN_CONV_TRANSPOSE, /* weights as CONV; no dilation; pads are cut from the output */
} cosrel_armnn_conv_kind;
int32_t cosrel_armnn_conv(cosrel_armnn_graph *graph, int32_t x, cosrel_armnn_conv_kind kind,
                          const cosrel_window *window, const float *weights, const float *bias,
                          const cosrel_shape *dims);
typedef enum cosrel_armnn_pool_kind {
  COSREL_ARMNN_MAX,
  COSREL_ARMNN_AVERAGE,          /* of what lies in the image */
  COSREL_ARMNN_AVERAGE_WITH_PADS /* pads count as zeros */
} cosrel_armnn_pool_kind;
int32_t cosrel_armnn_pool(cosrel_armnn_graph *graph, int32_t x, cosrel_armnn_pool_kind kind,
                          const cosrel_window *window, const cosrel_shape *dims);
typedef enum cosrel_armnn_resize_kind {
  COSREL_ARMNN_NEAREST,
  COSREL_ARMNN_BILINEAR,
  COSREL_ARMNN_BILINEAR_ALIGNED,    /* corners on corners */
  COSREL_ARMNN_BILINEAR_HALF_PIXEL, /* centres on centres */
} cosrel_armnn_resize_kind;
int32_t cosrel_armnn_resize(cosrel_armnn_graph *graph, int32_t x, cosrel_armnn_resize_kind kind,
                            const cosrel_shape *dims);
/* y = x / (bias + alpha * s)^beta, s the sum of squares over `size` (odd) channels around. */
int32_t cosrel_armnn_lrn(cosrel_armnn_graph *graph, int32_t x, uint32_t size, float alpha, float beta, float bias);
/* Each [channels]: y = scale * (x - mean) / sqrt(variance + epsilon) + shift */
int32_t cosrel_armnn_batch_norm(cosrel_armnn_graph *graph, int32_t x, const float *mean, const float *variance,
                                const float *scale, const float *shift, float epsilon);

/* [rows, k] by weights [n, k]; bias [n] or NULL. */
int32_t cosrel_armnn_dense_layer(cosrel_armnn_graph *graph, int32_t x, uint32_t n, const float *weights,
                                 const float *bias);

/* Element by element; the second word says what. */
#define COSREL_ARMNN_ACTIVATION_MAP(X)           \
  X(ABS, Abs)           /* |x| */                \
  X(CLAMP, BoundedReLu) /* min(a, max(b, x)) */  \
  X(ELU, Elu)           /* x < 0: a (e^x - 1) */ \
  X(HARD_SWISH, HardSwish)                       \
  X(LEAKY_RELU, LeakyReLu) /* x < 0: a x */      \
  X(LINEAR, Linear)        /* a x + b */         \
  X(RELU, ReLu)                                  \
  X(SIGMOID, Sigmoid)                            \
  X(SOFTPLUS, SoftReLu)                          \
  X(TANH, TanH) /* a tanh(b x) */
typedef enum cosrel_armnn_activation {
#define X(name, theirs) COSREL_ARMNN_##name,
  COSREL_ARMNN_ACTIVATION_MAP(X)
#undef X
} cosrel_armnn_activation;
int32_t cosrel_armnn_activate(cosrel_armnn_graph *graph, int32_t x, cosrel_armnn_activation what, float a, float b);
typedef enum cosrel_armnn_unary {
  COSREL_ARMNN_EXP,
  COSREL_ARMNN_FLOOR,
  COSREL_ARMNN_NEG,
  COSREL_ARMNN_SQRT
} cosrel_armnn_unary;
int32_t cosrel_armnn_apply(cosrel_armnn_graph *graph, int32_t x, cosrel_armnn_unary what);
/* Of equal rank; axes of 1 are repeated. PRELU: y is the slope where x < 0. */
typedef enum cosrel_armnn_binary {
  COSREL_ARMNN_ADD,
  COSREL_ARMNN_DIV,
  COSREL_ARMNN_MAXIMUM,
  COSREL_ARMNN_MINIMUM,
  COSREL_ARMNN_MUL,
  COSREL_ARMNN_PRELU,
  COSREL_ARMNN_SUB,
} cosrel_armnn_binary;
int32_t cosrel_armnn_combine(cosrel_armnn_graph *graph, int32_t x, int32_t y, cosrel_armnn_binary what);

/* Over the last axis of [rows, n]. */
int32_t cosrel_armnn_softmax(cosrel_armnn_graph *graph, int32_t x, bool logarithm);
/* Over the axes whose bit is set; they stay as axes of 1. */
int32_t cosrel_armnn_mean(cosrel_armnn_graph *graph, int32_t x, uint32_t axes);

/* ---- Running ---- */

/* Optimises for the device alone and loads. COSREL_UNSUPPORTED: there is a layer that it cannot compute, or the graph
 * has failed. Without `out` it is not loaded, only asked. */
cosrel_status cosrel_armnn_load(cosrel_armnn *armnn, const cosrel_armnn_graph *graph, cosrel_armnn_network **out,
                                cosrel_error *error);
void cosrel_armnn_unload(cosrel_armnn_network *network);

/* Reads its inputs from and writes its outputs to `memory`. Arm NN takes a little memory and gives it back. */
cosrel_status cosrel_armnn_run(cosrel_armnn_network *network, void *memory);

#endif
