/* How a window slides over the spatial axes of a tensor [N, C, ...]; shared by convolutions and pools.
 *
 * A window joins position i of the narrow tensor with position i * stride - pad + k * dilation of the wide one, for
 * each place k of the kernel. A convolution or pool reads the wide tensor and writes the narrow one; a transposed
 * convolution does the reverse. There are always three spatial axes: those that a 1-D or 2-D tensor lacks come first,
 * of size 1. */
#ifndef COSREL_BACKENDS_REFERENCE_SLIDE_H
#define COSREL_BACKENDS_REFERENCE_SLIDE_H

#include "backends/reference/call.h"

#define COSREL_SLIDE_AXES 3

typedef struct cosrel_slide {
  uint32_t n; /* spatial axes of the tensor: 1 to 3 */
  int64_t wide[COSREL_SLIDE_AXES], narrow[COSREL_SLIDE_AXES];
  int64_t kernel[COSREL_SLIDE_AXES], stride[COSREL_SLIDE_AXES], dilation[COSREL_SLIDE_AXES];
  int64_t pad[COSREL_SLIDE_AXES], pad_end[COSREL_SLIDE_AXES];
} cosrel_slide;

/* Reads strides, dilations, pads, auto_pad (and kernel_shape, if `weights` is NULL) of a convolution or pool whose
 * input 0 is the wide tensor; works out the narrow sizes. weights: [M, C / group, kernel...]. */
cosrel_status cosrel_slide_read(const cosrel_call *call, const cosrel_tensor *weights, bool ceil_mode,
                                cosrel_slide *slide, cosrel_error *error);
/* The same of a transposed convolution, whose input 0 is the narrow tensor. weights: [C, M / group, kernel...]. */
cosrel_status cosrel_slide_read_transposed(const cosrel_call *call, const cosrel_tensor *weights, cosrel_slide *slide,
                                           cosrel_error *error);

/* Narrow positions [*low, *high) along `axis` for which place k of the kernel lies inside the wide tensor. */
void cosrel_slide_range(const cosrel_slide *slide, uint32_t axis, int64_t k, int64_t *low, int64_t *high);
/* The wide position that place k of the kernel has for narrow position i: maybe outside. */
static inline int64_t cosrel_slide_at(const cosrel_slide *slide, uint32_t axis, int64_t i, int64_t k) {
  return i * slide->stride[axis] - slide->pad[axis] + k * slide->dilation[axis];
}
/* Product of three sizes. */
static inline int64_t cosrel_slide_span(const int64_t sizes[COSREL_SLIDE_AXES]) {
  return sizes[0] * sizes[1] * sizes[2];
}

#endif
