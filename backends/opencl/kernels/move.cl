/* Elements from one strided place to another; backends/view.h works the move out. Axes from the outermost: d0 to d3 are
 * counted by one number, then come rows and columns. Strides f* of the input and t* of the output are in floats. */

#define OUTER_ARGS                                                                                            \
  int d0, int d1, int d2, int d3, int f0, int f1, int f2, int f3, int t0, int t1, int t2, int t3

/* Where the four outermost axes lead. */
#define OUTER(index)                                                                                          \
  int rest = index;                                                                                           \
  int i3 = rest % d3; rest /= d3;                                                                             \
  int i2 = rest % d2; rest /= d2;                                                                             \
  int i1 = rest % d1; rest /= d1;                                                                             \
  x += x_at + rest * f0 + i1 * f1 + i2 * f2 + i3 * f3;                                                        \
  y += y_at + rest * t0 + i1 * t1 + i2 * t2 + i3 * t3;

/* Columns are dense on both sides: 16 of them a work-item. */
__kernel void move_rows(__global const float *x, int x_at, __global float *y, int y_at, OUTER_ARGS, int rows,
                        int columns, int from_row, int from_column, int to_row, int to_column) {
  int j = get_global_id(0) * 16, i = get_global_id(1);
  if (j >= columns || i >= rows) return;
  OUTER(get_global_id(2))
  x += i * from_row + j;
  y += i * to_row + j;
  if (j + 16 <= columns) {
    vstore16(vload16(0, x), 0, y);
  } else {
    for (int k = 0; k < columns - j; k++) y[k] = x[k];
  }
}

/* Rows are dense in the input and columns in the output: a transpose, 4 x 4 a work-item. */
__kernel void move_transpose(__global const float *x, int x_at, __global float *y, int y_at, OUTER_ARGS, int rows,
                             int columns, int from_row, int from_column, int to_row, int to_column) {
  int j = get_global_id(0) * 4, i = get_global_id(1) * 4;
  if (j >= columns || i >= rows) return;
  OUTER(get_global_id(2))
  x += i + j * from_column;
  y += i * to_row + j;
  if (j + 4 <= columns && i + 4 <= rows) {
    float4 a = vload4(0, x), b = vload4(0, x + from_column);
    float4 c = vload4(0, x + 2 * from_column), d = vload4(0, x + 3 * from_column);
    vstore4((float4)(a.s0, b.s0, c.s0, d.s0), 0, y);
    vstore4((float4)(a.s1, b.s1, c.s1, d.s1), 0, y + to_row);
    vstore4((float4)(a.s2, b.s2, c.s2, d.s2), 0, y + 2 * to_row);
    vstore4((float4)(a.s3, b.s3, c.s3, d.s3), 0, y + 3 * to_row);
  } else {
    for (int r = 0; r < min(4, rows - i); r++)
      for (int k = 0; k < min(4, columns - j); k++) y[r * to_row + k] = x[r + k * from_column];
  }
}

__kernel void move_any(__global const float *x, int x_at, __global float *y, int y_at, OUTER_ARGS, int rows,
                       int columns, int from_row, int from_column, int to_row, int to_column) {
  int j = get_global_id(0), i = get_global_id(1);
  if (j >= columns || i >= rows) return;
  OUTER(get_global_id(2))
  y[i * to_row + j * to_column] = x[i * from_row + j * from_column];
}

__kernel void fill(__global float *y, int y_at, int n, float value) {
  int i = get_global_id(0);
  if (i < n) y[y_at + i] = value;
}
