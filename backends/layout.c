#include "backends/layout.h"

#include <string.h>

#define BLOCK 16 /* floats: a cache line, so that both sides use all of the lines that they touch */

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

void cosrel_layout_transpose(const float *in, uint64_t rows, uint64_t columns, float *out) {
  for (uint64_t r = 0; r < rows; r += BLOCK) {
    uint64_t r_end = smaller(r + BLOCK, rows);
    for (uint64_t c = 0; c < columns; c += BLOCK) {
      uint64_t c_end = smaller(c + BLOCK, columns);
      for (uint64_t j = c; j < c_end; j++) {
        for (uint64_t i = r; i < r_end; i++) out[j * rows + i] = in[i * columns + j];
      }
    }
  }
}

bool cosrel_layout_is_plain(const cosrel_shape *shape) {
  return shape->rank != 4 || shape->dims[1] == 1 || (uint64_t)shape->dims[2] * shape->dims[3] == 1;
}

/* Swaps channels and pixels of every image of the batch. */
static void swap(const cosrel_shape *shape, const float *in, float *out, bool to_arena) {
  if (cosrel_layout_is_plain(shape)) {
    memcpy(out, in, cosrel_shape_elements(shape) * sizeof *in);
    return;
  }
  uint64_t channels = shape->dims[1], pixels = (uint64_t)shape->dims[2] * shape->dims[3];
  for (uint64_t n = 0; n < shape->dims[0]; n++, in += channels * pixels, out += channels * pixels) {
    cosrel_layout_transpose(in, to_arena ? channels : pixels, to_arena ? pixels : channels, out);
  }
}

void cosrel_layout_to_arena(const cosrel_shape *shape, const float *onnx, float *arena) {
  swap(shape, onnx, arena, true);
}

void cosrel_layout_from_arena(const cosrel_shape *shape, const float *arena, float *onnx) {
  swap(shape, arena, onnx, false);
}
