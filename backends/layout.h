/* The two orders that a tensor is stored in: ONNX's (row-major) and the arena's (rank 4 as NHWC, all others row-major).
 * Shapes are always ONNX's. */
#ifndef COSREL_BACKENDS_LAYOUT_H
#define COSREL_BACKENDS_LAYOUT_H

#include <stdbool.h>

#include "backends/tensor.h"

/* fp32, no overlap. Plain copies where the two orders agree. */
void cosrel_layout_to_arena(const cosrel_shape *shape, const float *onnx, float *arena);
void cosrel_layout_from_arena(const cosrel_shape *shape, const float *arena, float *onnx);

/* Whether the two orders agree: not rank 4, or one channel, or one pixel. */
bool cosrel_layout_is_plain(const cosrel_shape *shape);

/* out[column][row] = in[row][column] */
void cosrel_layout_transpose(const float *in, uint64_t rows, uint64_t columns, float *out);

#endif
