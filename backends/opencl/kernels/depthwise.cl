/* Depthwise convolution (NHWC): every channel by itself,
 *
 *     out[n][y][x][c] = bias[c] + sum over ky, kx of
 *                       in[n][y * stride - pad + ky * dilation][x * stride - pad + kx * dilation][c] * w[ky][kx][c]
 *
 * then limited to [low, high] or FUNCTION of it. Weights: [block][ky][kx][VEC], bias: [block][VEC], channels that do
 * not exist being 0; where the last block sticks out, inputs are read beyond a pixel's channels, at most VEC - 1 floats
 * beyond the tensor.
 *
 * A work item (b, i, j) computes the ROWS pixels from i * ROWS on in line j (lines are counted through all images) of
 * the VEC channels of block b. KERNEL_W, STRIDE_W and DILATION_W are known when this is compiled, so that inputs which
 * neighbouring pixels share are loaded once. There are few products: with FP16, they are added up in it. */
__kernel void depthwise(__global const float *in, int in_at, __global float *out, int out_at,
                        __global const weight *weights, int weights_at, __global const float *bias, int bias_at,
                        int out_h, int out_w, int in_h, int in_w, int channels, int kernel_h, int stride_h,
                        int dilation_h, int pad_h, int pad_w, float low, float high) {
  int block = (int)get_global_id(0), first = (int)get_global_id(1) * ROWS, line = (int)get_global_id(2);
  if (block * VEC >= channels || first >= out_w) return;
  int top = line % out_h * stride_h - pad_h, left = first * STRIDE_W - pad_w;
  in += in_at + (size_t)(line / out_h) * in_h * in_w * channels + block * VEC;
  weights += WEIGHTS_AT(weights_at) + (size_t)block * kernel_h * KERNEL_W * VEC;
  realv acc[ROWS];
  realv shift = convert_realv(vloadv(block, bias + bias_at));
#pragma unroll
  for (int r = 0; r < ROWS; r++) acc[r] = shift;
  bool inside = left >= 0 && left + (ROWS - 1) * STRIDE_W + (KERNEL_W - 1) * DILATION_W < in_w;
  for (int ky = 0; ky < kernel_h; ky++, weights += KERNEL_W * VEC) {
    int iy = top + ky * dilation_h;
    if (iy < 0 || iy >= in_h) continue;
    __global const float *from = in + (size_t)iy * in_w * channels;
    if (inside) {
      from += (size_t)left * channels;
#pragma unroll
      for (int kx = 0; kx < KERNEL_W; kx++) {
        realv w = load_weights(kx, weights);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
          realv v = convert_realv(vloadv(0, from + (r * STRIDE_W + kx * DILATION_W) * channels));
          acc[r] = mad(v, w, acc[r]);
        }
      }
    } else {
      for (int kx = 0; kx < KERNEL_W; kx++) {
        realv w = load_weights(kx, weights);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
          int ix = left + r * STRIDE_W + kx * DILATION_W;
          if (ix >= 0 && ix < in_w) acc[r] = mad(convert_realv(vloadv(0, from + ix * channels)), w, acc[r]);
        }
      }
    }
  }
  out += out_at + ((size_t)line * out_w + first) * channels + block * VEC;
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    if (first + r < out_w)
      store_finished(convert_floatv(acc[r]), low, high, out + (size_t)r * channels, channels - block * VEC);
  }
}
