/* Convolutions and matrix products: what is to be computed, the ways to do it, and the launches of each way.
 *
 * A way names kernels (kernels/conv.cl, gemm.cl, dense.cl, depthwise.cl, winograd.cl) and the tile that a work-item
 * computes in registers, a define of theirs. All ways give the same results but for rounding; which is fastest depends
 * on the device and the sizes, so the tuner (backends/opencl/tuner.h) measures them. Dense layers are convolutions of
 * 1x1 whose rows are pixels. */
#ifndef COSREL_BACKENDS_OPENCL_LAYER_H
#define COSREL_BACKENDS_OPENCL_LAYER_H

#include "backends/graph.h"
#include "backends/opencl/plan.h"

#define COSREL_CL_WAYS_MAX 8
#define COSREL_CL_LAYER_KEY_MAX 160

typedef enum cosrel_cl_method {
  COSREL_CL_DIRECT,    /* conv.cl: any convolution */
  COSREL_CL_GEMM,      /* gemm.cl: convolutions of 1x1 with stride 1, products */
  COSREL_CL_DENSE,     /* dense.cl: the same, with few rows */
  COSREL_CL_DEPTHWISE, /* depthwise.cl: as many groups as channels */
  COSREL_CL_WINOGRAD,  /* winograd.cl: 3x3 with stride 1 */
  COSREL_CL_METHODS,
} cosrel_cl_method;

typedef struct cosrel_cl_way {
  cosrel_cl_method method;
  uint32_t vec, rows, step; /* defines; of DENSE: rows is SPLIT */
  uint32_t local_x, local_y;
} cosrel_cl_way;

/* How weights are kept and multiplied with: defines of kernels/vector.cl, which says what they are good for. */
typedef enum cosrel_cl_half {
  COSREL_CL_WIDE,         /* all in fp32 */
  COSREL_CL_HALF_WEIGHTS, /* fp16 weights, products in fp32 */
  COSREL_CL_HALF,         /* both in fp16, on a device with cl_khr_fp16 */
} cosrel_cl_half;

typedef struct cosrel_cl_layer {
  bool is_product; /* of two tensors; else a convolution with constant weights */
  bool transposed; /* convolution */
  uint32_t n, in_h, in_w, in_c, out_h, out_w, out_c, groups;
  cosrel_window window;
  /* Product z of `batch`, [rows x depth] by [depth x columns]: strides in elements. The matrices of product z begin
   * (z / inner) * outer + (z % inner) * inner_stride behind the tensor's first element. */
  uint32_t batch, inner, rows, columns, depth;
  int64_t a_row, a_outer, a_inner; /* columns of a lie side by side */
  int64_t b_row, b_column, b_outer, b_inner;
  cosrel_cl_activation activation;
  cosrel_cl_half half; /* of a convolution; products are WIDE */
} cosrel_cl_layer;

/* Tensors of a layer: elements, or places. */
typedef struct cosrel_cl_layer_sizes {
  uint64_t in, out, weights, bias, zeros, scratch; /* weights: packed, or the second tensor */
  uint64_t weight_room;                            /* what `weights` elements take, in floats */
} cosrel_cl_layer_sizes;
typedef struct cosrel_cl_layer_places {
  cosrel_cl_ref in, out, weights, bias, zeros, scratch;
} cosrel_cl_layer_places;

/* Where weights are before they are packed: [m of the group][c of the group][ky][kx] at data[group * group_stride + m *
 * out_stride + c * in_stride + ky * kernel_w + kx]. */
typedef struct cosrel_cl_weights {
  const float *data, *bias; /* bias: [out_c] or NULL */
  int64_t group_stride, out_stride, in_stride;
} cosrel_cl_weights;

/* The ways that make sense on the device, the best guess first; at least one. */
uint32_t cosrel_cl_layer_ways(const cosrel_cl_layer *layer, const cosrel_cl_device *device,
                              cosrel_cl_way ways[COSREL_CL_WAYS_MAX]);
/* Blocks of way->vec output channels or columns, of all groups. */
uint64_t cosrel_cl_layer_blocks(const cosrel_cl_layer *layer, const cosrel_cl_way *way);
/* Of all images, that a convolution computes. */
static inline uint64_t cosrel_cl_layer_pixels(const cosrel_cl_layer *l) { return (uint64_t)l->n * l->out_h * l->out_w; }
/* What a way needs. */
cosrel_cl_layer_sizes cosrel_cl_layer_measure(const cosrel_cl_layer *layer, const cosrel_cl_way *way);
/* Fills sizes.weights floats, yet to be halved where the layer says so, and sizes.bias floats; zeroed before. */
void cosrel_cl_layer_pack(const cosrel_cl_layer *layer, const cosrel_cl_way *way, const cosrel_cl_weights *from,
                          float *weights, float *bias);
/* How many launches, and one of them; they run in order (layer_launch.c). */
uint32_t cosrel_cl_layer_launches(const cosrel_cl_layer *layer, const cosrel_cl_way *way);
cosrel_cl_launch cosrel_cl_layer_launch(const cosrel_cl_layer *layer, const cosrel_cl_way *way,
                                        const cosrel_cl_layer_places *places, uint32_t index);
/* A line that is the same for layers which take the same time. */
void cosrel_cl_layer_key(const cosrel_cl_layer *layer, char key[COSREL_CL_LAYER_KEY_MAX]);
double cosrel_cl_layer_flops(const cosrel_cl_layer *layer); /* two per product and sum */

#endif
