/* Products of matrices, a batch of them, the second packed:
 *
 *     out[z][i][j] = bias[j] + sum over c of a[z][i][c] * b[z][c][j],     then limited to [low, high] or FUNCTION of it
 *
 * A dense layer, a convolution of 1x1 (the rows are pixels), MatMul, and the products between the transforms of
 * winograd.cl. a[z] begins (z / inner) * a_outer + (z % inner) * a_inner elements behind a, b likewise; results follow
 * each other without gaps. Packed b: [block][c][VEC].
 *
 * A work item (i, j, z) computes the ROWS rows from i * ROWS on of the VEC columns of block j of product z. */
__kernel void gemm(__global const float *a, int a_at, __global float *out, int out_at, __global const weight *b, int b_at,
                   __global const float *bias, int bias_at, int rows, int columns, int depth, int a_stride, int inner,
                   int a_outer, int a_inner, int b_outer, int b_inner, float low, float high) {
  int first = (int)get_global_id(0) * ROWS, block = (int)get_global_id(1), z = (int)get_global_id(2);
  int outer = z / inner, rest = z - outer * inner, column = block * VEC;
  if (first >= rows || column >= columns) return;
  a += a_at + (size_t)outer * a_outer + (size_t)rest * a_inner;
  b += WEIGHTS_AT(b_at) + (size_t)outer * b_outer + (size_t)rest * b_inner + (size_t)block * depth * VEC;
  __global const float *from[ROWS];
  floatv acc[ROWS];
  floatv shift = vloadv(block, bias + bias_at);
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    from[r] = a + (size_t)min(first + r, rows - 1) * a_stride;
    acc[r] = shift;
  }
  accumulate(acc, from, b, depth);
  out += out_at + ((size_t)z * rows + first) * columns + column;
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    if (first + r < rows)
      store_finished(acc[r], low, high, out + (size_t)r * columns, columns - column);
  }
}

/* Packs second matrices that another unit computed, in fp32: to[z][block][c][lane] = b[z][c][block * VEC + lane], 0 beyond
 * `columns`. Element (c, j) of product z lies c * row_stride + j * column_stride behind its beginning (see above).
 *
 * A work item (c, block, z) packs VEC columns of row c. */
__kernel void pack(__global const float *b, int b_at, __global float *to, int to_at, int columns, int depth,
                   int row_stride, int column_stride, int inner, int outer_stride, int inner_stride) {
  int c = (int)get_global_id(0), block = (int)get_global_id(1), z = (int)get_global_id(2);
  int blocks = (columns + VEC - 1) / VEC, outer = z / inner;
  if (c >= depth) return;
  b += b_at + (size_t)outer * outer_stride + (size_t)(z - outer * inner) * inner_stride + (size_t)c * row_stride;
  to += to_at + (((size_t)z * blocks + block) * depth + c) * VEC;
  for (int i = 0; i < VEC; i++) {
    int j = block * VEC + i;
    to[i] = j < columns ? b[(size_t)j * column_stride] : 0.0f;
  }
}
