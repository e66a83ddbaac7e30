/* Strided views of fp32 tensors, and moving elements between two of them.
 *
 * Most operators that only move data (Reshape, Transpose, Slice, Split, Expand, channel shuffles) cost nothing as a new
 * view of old bytes; one move puts the elements where a kernel wants them, in whatever order. Shapes are ONNX's; a view
 * says how far apart in memory neighbours along each axis are, in elements. */
#ifndef COSREL_BACKENDS_VIEW_H
#define COSREL_BACKENDS_VIEW_H

#include <stdbool.h>

#include "backends/tensor.h"

typedef struct cosrel_view {
  int64_t offset; /* of the first element, from some base */
  int64_t strides[COSREL_RANK_MAX];
} cosrel_view;

/* All elements without gaps, row-major; with nhwc, the channels (axis 1) of a rank-4 tensor last. */
cosrel_view cosrel_view_dense(const cosrel_shape *shape, bool nhwc);
bool cosrel_view_is_dense(const cosrel_shape *shape, const cosrel_view *view, bool nhwc);

/* The same elements in row-major order as a tensor of shape `to`; false when no strides can say that. */
bool cosrel_view_reshape(const cosrel_shape *shape, const cosrel_view *view, const cosrel_shape *to, cosrel_view *out);

/* A move, worked out once: axes that both sides cross evenly are joined, the rest sorted for the cache. */
typedef struct cosrel_move {
  uint32_t rank;
  int64_t dims[COSREL_RANK_MAX]; /* the innermost last */
  int64_t from[COSREL_RANK_MAX], to[COSREL_RANK_MAX];
  int64_t from_offset, to_offset;
} cosrel_move;

/* out[to](i...) = in[from](i...) for every index of `shape`. */
cosrel_move cosrel_move_plan(const cosrel_shape *shape, const cosrel_view *from, const cosrel_view *to);
void cosrel_move_run(const cosrel_move *move, const float *in, float *out);

/* ---- ONNX's order (row-major) and the arena's (NHWC for rank 4, else row-major) ---- */

/* fp32, no overlap. */
void cosrel_layout_to_arena(const cosrel_shape *shape, const float *onnx, float *arena);
void cosrel_layout_from_arena(const cosrel_shape *shape, const float *arena, float *onnx);

#endif
