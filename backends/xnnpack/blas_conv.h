/* Convolutions and dense layers as matrix products by BLAS, where XNNPACK's own are slow.
 *
 * Debian's XNNPACK keeps one of the sums of its FMA3 kernel for x86 in memory, for want of a register, and reaches 40 %
 * of what the processor can do. So on x86 with FMA3 and without AVX-512 the convolution is written out:
 *
 *   out[p][m] = clamp(bias[m] + sum over k of patches[p][k] weights[m][k]),   k = (kernel row, kernel column, channel)
 *
 * with a block of pixels p at a time, so that few patches lie in memory at once. */
#ifndef COSREL_BACKENDS_XNNPACK_BLAS_CONV_H
#define COSREL_BACKENDS_XNNPACK_BLAS_CONV_H

#include <pthreadpool.h>

#include "backends/graph.h"

typedef struct cosrel_blas_conv {
  uint32_t batch, height, width, channels; /* of the input, NHWC; a dense layer: rows, 1, 1, k */
  uint32_t out_height, out_width, out_channels;
  cosrel_window window;
  const float *weights, *bias; /* [out_channels][k] and [out_channels], or NULL */
  float low, high;
  uint32_t block; /* pixels computed at once */
} cosrel_blas_conv;

/* Whether this processor is one of those above, and the product large enough to pay. */
bool cosrel_blas_conv_pays(const cosrel_blas_conv *gemm);
/* Sets the block; returns the floats of memory that cosrel_blas_conv_run needs for its patches. */
size_t cosrel_blas_conv_plan(cosrel_blas_conv *gemm, uint32_t threads);
void cosrel_blas_conv_run(const cosrel_blas_conv *gemm, const float *in, float *out, float *patches,
                          pthreadpool_t pool);

#endif
