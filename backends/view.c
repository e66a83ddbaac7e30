#include "backends/view.h"

#include <string.h>

#define BLOCK 16 /* floats: a cache line */

cosrel_view cosrel_view_dense(const cosrel_shape *shape, bool nhwc) {
  static const uint32_t nhwc_order[4] = {0, 2, 3, 1};
  cosrel_view view = {0};
  int64_t stride = 1;
  for (uint32_t i = shape->rank; i-- > 0;) {
    uint32_t axis = nhwc && shape->rank == 4 ? nhwc_order[i] : i;
    view.strides[axis] = stride;
    stride *= shape->dims[axis];
  }
  return view;
}

bool cosrel_view_is_dense(const cosrel_shape *shape, const cosrel_view *view, bool nhwc) {
  cosrel_view dense = cosrel_view_dense(shape, nhwc);
  for (uint32_t i = 0; i < shape->rank; i++) {
    if (shape->dims[i] != 1 && view->strides[i] != dense.strides[i]) return false;
  }
  return true;
}

/* Axes of 1 say nothing. */
static uint32_t drop_ones(const cosrel_shape *shape, uint32_t axes[COSREL_RANK_MAX]) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < shape->rank; i++) {
    if (shape->dims[i] != 1) axes[n++] = i;
  }
  return n;
}

/* Both shapes fall into groups of axes with equal products; the old axes of a group must follow each other evenly. */
bool cosrel_view_reshape(const cosrel_shape *shape, const cosrel_view *view, const cosrel_shape *to, cosrel_view *out) {
  uint32_t old_axes[COSREL_RANK_MAX], new_axes[COSREL_RANK_MAX];
  uint32_t n_old = drop_ones(shape, old_axes), n_new = drop_ones(to, new_axes);
  *out = (cosrel_view){.offset = view->offset};
  for (uint32_t o = 0, n = 0; o < n_old && n < n_new;) {
    uint32_t o_end = o + 1, n_end = n + 1;
    uint64_t old_size = shape->dims[old_axes[o]], new_size = to->dims[new_axes[n]];
    while (old_size != new_size) {
      if (old_size < new_size) {
        if (o_end == n_old) return false;
        uint32_t before = old_axes[o_end - 1], axis = old_axes[o_end++];
        if (view->strides[before] != view->strides[axis] * (int64_t)shape->dims[axis]) return false;
        old_size *= shape->dims[axis];
      } else {
        if (n_end == n_new) return false;
        new_size *= to->dims[new_axes[n_end++]];
      }
    }
    int64_t stride = view->strides[old_axes[o_end - 1]];
    for (uint32_t i = n_end; i-- > n;) {
      out->strides[new_axes[i]] = stride;
      stride *= to->dims[new_axes[i]];
    }
    o = o_end;
    n = n_end;
  }
  return true;
}

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

cosrel_move cosrel_move_plan(const cosrel_shape *shape, const cosrel_view *from, const cosrel_view *to) {
  cosrel_move move = {.from_offset = from->offset, .to_offset = to->offset};
  for (uint32_t i = 0; i < shape->rank; i++) {
    if (shape->dims[i] == 1) continue;
    uint32_t at = move.rank++; /* the longest way in the output first */
    for (; at > 0 && magnitude(move.to[at - 1]) < magnitude(to->strides[i]); at--) {
      move.dims[at] = move.dims[at - 1];
      move.from[at] = move.from[at - 1];
      move.to[at] = move.to[at - 1];
    }
    move.dims[at] = shape->dims[i];
    move.from[at] = from->strides[i];
    move.to[at] = to->strides[i];
  }
  uint32_t kept = 0;
  for (uint32_t i = 1; i < move.rank; i++) {
    if (move.from[kept] == move.from[i] * move.dims[i] && move.to[kept] == move.to[i] * move.dims[i]) {
      move.dims[i] *= move.dims[kept];
    } else {
      kept++;
    }
    move.dims[kept] = move.dims[i];
    move.from[kept] = move.from[i];
    move.to[kept] = move.to[i];
  }
  if (move.rank > 0) move.rank = kept + 1;
  /* Second to last: the axis that is dense in the input, so that the two innermost are a matrix to transpose. */
  for (uint32_t i = 0; i + 2 < move.rank; i++) {
    if (move.from[i] != 1) continue;
    int64_t dim = move.dims[i], in = move.from[i], out = move.to[i];
    for (uint32_t k = i; k + 2 < move.rank; k++) {
      move.dims[k] = move.dims[k + 1];
      move.from[k] = move.from[k + 1];
      move.to[k] = move.to[k + 1];
    }
    move.dims[move.rank - 2] = dim;
    move.from[move.rank - 2] = in;
    move.to[move.rank - 2] = out;
    break;
  }
  /* At least two axes, so that the loops below have no special cases. */
  while (move.rank < 2) {
    move.dims[1] = move.rank == 0 ? 1 : move.dims[0];
    move.from[1] = move.rank == 0 ? 1 : move.from[0];
    move.to[1] = move.rank == 0 ? 1 : move.to[0];
    move.dims[0] = 1;
    move.from[0] = move.to[0] = 0;
    move.rank = 2;
  }
  return move;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

/* 4 x 4 elements, a row of the input to a column of the output; written so that compilers use vectors. */
static void transpose_four(const float *in, int64_t from, float *out, int64_t to) {
  float tile[4][4];
  for (int j = 0; j < 4; j++) memcpy(tile[j], in + j * from, sizeof tile[j]);
  for (int i = 0; i < 4; i++) {
    float row[4] = {tile[0][i], tile[1][i], tile[2][i], tile[3][i]};
    memcpy(out + i * to, row, sizeof row);
  }
}

/* From [columns][rows] to [rows][columns], of which the last axis is dense; `from` and `to` are the other's strides. */
static void transpose(int64_t rows, int64_t columns, const float *in, int64_t from, float *out, int64_t to) {
  int64_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
  for (int64_t i0 = 0; i0 < whole_rows; i0 += BLOCK) {
    int64_t i_end = smaller(i0 + BLOCK, whole_rows);
    for (int64_t j = 0; j < whole_columns; j += 4)
      for (int64_t i = i0; i < i_end; i += 4) transpose_four(in + j * from + i, from, out + i * to + j, to);
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = i < whole_rows ? whole_columns : 0; j < columns; j++) out[i * to + j] = in[j * from + i];
}

/* The two innermost axes. */
static void move_matrix(const cosrel_move *move, const float *in, float *out) {
  uint32_t r = move->rank - 2, c = move->rank - 1;
  int64_t rows = move->dims[r], columns = move->dims[c];
  if (move->from[c] == 1 && move->to[c] == 1) {
    for (int64_t i = 0; i < rows; i++) {
      memcpy(out + i * move->to[r], in + i * move->from[r], (size_t)columns * sizeof *in);
    }
    return;
  }
  if (move->from[r] == 1 && move->to[c] == 1) {
    transpose(rows, columns, in, move->from[c], out, move->to[r]);
    return;
  }
  for (int64_t i0 = 0; i0 < rows; i0 += BLOCK) {
    int64_t i_end = smaller(i0 + BLOCK, rows);
    for (int64_t j0 = 0; j0 < columns; j0 += BLOCK) {
      int64_t j_end = smaller(j0 + BLOCK, columns);
      for (int64_t i = i0; i < i_end; i++) {
        for (int64_t j = j0; j < j_end; j++) {
          out[i * move->to[r] + j * move->to[c]] = in[i * move->from[r] + j * move->from[c]];
        }
      }
    }
  }
}

void cosrel_move_run(const cosrel_move *move, const float *in, float *out) {
  int64_t index[COSREL_RANK_MAX] = {0};
  uint32_t outer = move->rank - 2;
  in += move->from_offset;
  out += move->to_offset;
  for (;;) {
    move_matrix(move, in, out);
    uint32_t axis = outer;
    for (; axis > 0; axis--) {
      in += move->from[axis - 1];
      out += move->to[axis - 1];
      if (++index[axis - 1] < move->dims[axis - 1]) break;
      in -= move->from[axis - 1] * move->dims[axis - 1];
      out -= move->to[axis - 1] * move->dims[axis - 1];
      index[axis - 1] = 0;
    }
    if (axis == 0) return;
  }
}

void cosrel_layout_to_arena(const cosrel_shape *shape, const float *onnx, float *arena) {
  cosrel_view from = cosrel_view_dense(shape, false), to = cosrel_view_dense(shape, true);
  cosrel_move move = cosrel_move_plan(shape, &from, &to);
  cosrel_move_run(&move, onnx, arena);
}

void cosrel_layout_from_arena(const cosrel_shape *shape, const float *arena, float *onnx) {
  cosrel_view from = cosrel_view_dense(shape, true), to = cosrel_view_dense(shape, false);
  cosrel_move move = cosrel_move_plan(shape, &from, &to);
  cosrel_move_run(&move, arena, onnx);
}
