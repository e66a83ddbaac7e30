/* Convolution of images, also with groups, strides, dilations and pads (NHWC):
 *
 *     out[n][y][x][m] = bias[m] + sum over ky, kx, c of
 *                       in[n][y * stride - pad + ky * dilation][x * stride - pad + kx * dilation][c] * w[m][ky][kx][c]
 *
 * then limited to [low, high] or FUNCTION of it. With TRANSPOSED it is the gradient of one: in[n][(y + pad - ky *
 * dilation) / stride][...][c] where that division leaves no rest.
 *
 * A work item (i, j) computes ROWS pixels from i * ROWS on, counted through all images, of the VEC output channels of
 * block j; blocks are counted through all groups. Weights: [group][block][ky][kx][c of the group][VEC], bias: [group]
 * [block][VEC]. Pixels in the padding are read from `zeros`. Where no window of the work item sticks out at the sides,
 * a row of the window is one run of kernel_w * channels floats (`dense_rows`: no groups, no dilation along x). */
__kernel void conv(__global const float *in, int in_at, __global float *out, int out_at, __global const weight *weights,
                   int weights_at, __global const float *bias, int bias_at, __global const float *zeros, int zeros_at,
                   int pixels, int out_h, int out_w, int in_h, int in_w, int in_channels, int out_channels,
                   int group_in, int group_out, int kernel_h, int kernel_w, int stride_h, int stride_w, int dilation_h,
                   int dilation_w, int pad_h, int pad_w, int dense_rows, float low, float high) {
  int first = (int)get_global_id(0) * ROWS, block = (int)get_global_id(1);
  int blocks = (group_out + VEC - 1) / VEC, group = block / blocks, column = block % blocks * VEC;
  if (first >= pixels || group * group_out >= out_channels) return;
  __global const float *image[ROWS];
  int y[ROWS], x[ROWS];
  floatv acc[ROWS];
  floatv shift = vloadv(block, bias + bias_at);
  bool inside = dense_rows != 0;
  int line = first / out_w, ox = first % out_w, oy = line % out_h;
  size_t image_size = (size_t)in_h * in_w * in_channels;
  in += in_at + line / out_h * image_size + group * group_in;
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    image[r] = in;
#ifdef TRANSPOSED
    y[r] = oy + pad_h;
    x[r] = ox + pad_w;
#else
    y[r] = oy * stride_h - pad_h;
    x[r] = ox * stride_w - pad_w;
    inside = inside && x[r] >= 0 && x[r] + kernel_w <= in_w;
#endif
    acc[r] = shift;
    if (first + r + 1 < pixels && ++ox == out_w) { /* to the next pixel, the last one again and again */
      ox = 0;
      if (++oy == out_h) {
        oy = 0;
        in += image_size;
      }
    }
  }
  zeros += zeros_at;
  int runs = inside ? 1 : kernel_w, length = inside ? kernel_w * group_in : group_in;
  weights += WEIGHTS_AT(weights_at) + (size_t)block * kernel_h * kernel_w * group_in * VEC;
  for (int ky = 0; ky < kernel_h; ky++) {
    for (int kx = 0; kx < runs; kx++) {
      __global const float *from[ROWS];
#pragma unroll
      for (int r = 0; r < ROWS; r++) {
#ifdef TRANSPOSED
        int top = y[r] - ky * dilation_h, left = x[r] - kx * dilation_w;
        int iy = top / stride_h, ix = left / stride_w;
        bool there = top >= 0 && left >= 0 && top % stride_h == 0 && left % stride_w == 0 && iy < in_h && ix < in_w;
#else
        int iy = y[r] + ky * dilation_h, ix = x[r] + kx * dilation_w;
        bool there = iy >= 0 && iy < in_h && ix >= 0 && ix < in_w;
#endif
        from[r] = there ? image[r] + (size_t)(iy * in_w + ix) * in_channels : zeros;
      }
      accumulate(acc, from, weights, length);
      weights += (size_t)length * VEC;
    }
  }
  out += out_at + group * group_out + column;
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    if (first + r < pixels)
      store_finished(acc[r], low, high, out + (size_t)(first + r) * out_channels, group_out - column);
  }
}
