/* Convolution 3x3 with stride 1 by Winograd's F(4x4, 3x3) (Lavin and Gray, Fast Algorithms for Convolutional Neural
 * Networks, CVPR 2016): 36 products where the sum over the window needs 144,
 *
 *     out = A' [ (G w G') . (B' in B) ] A
 *
 * for tiles of 4x4 results, made of 6x6 inputs that overlap by two (NHWC). Three launches: winograd_in, gemm (36
 * products [tiles][c] x [c][m], of gemm.cl), winograd_out; for many tiles, these three for some of them at a time. G w
 * G' is worked out when the weights are packed. Results differ from those of conv.cl by rounding, some ten times more
 * than these from exact ones.
 *
 * Channels in and out are multiples of VEC. In fp32 only: in fp16 the transforms would lose two digits more. Private memory: 36 vectors. */

/* One column of B' d. */
void transform_in(floatv d0, floatv d1, floatv d2, floatv d3, floatv d4, floatv d5, floatv *t) {
  floatv even = d4 - 4 * d2, odd = d3 - 4 * d1, far = d4 - d2, near = 2 * (d3 - d1);
  t[0] = 4 * d0 - 5 * d2 + d4;
  t[1] = even + odd;
  t[2] = even - odd;
  t[3] = far + near;
  t[4] = far - near;
  t[5] = 4 * d1 - 5 * d3 + d5;
}

/* to[36][tiles][channels] = B' in B. A work item (b, t) does VEC channels from b * VEC on of tile first + t; tiles are
 * counted along x, then y, then images. */
__kernel void winograd_in(__global const float *in, int in_at, __global float *to, int to_at, int first, int tiles,
                          int tiles_h, int tiles_w, int in_h, int in_w, int channels, int pad_h, int pad_w) {
  int c = (int)get_global_id(0) * VEC, tile = (int)get_global_id(1);
  if (c >= channels || tile >= tiles) return;
  int line = (first + tile) / tiles_w, n = line / tiles_h;
  int top = line % tiles_h * 4 - pad_h, left = (first + tile) % tiles_w * 4 - pad_w;
  in += in_at + (size_t)n * in_h * in_w * channels + c;
  floatv columns[36], t[6];
#pragma unroll
  for (int j = 0; j < 6; j++) {
    floatv d[6];
    int ix = left + j;
#pragma unroll
    for (int i = 0; i < 6; i++) {
      int iy = top + i;
      bool there = iy >= 0 && iy < in_h && ix >= 0 && ix < in_w;
      d[i] = there ? vloadv(0, in + (size_t)(iy * in_w + ix) * channels) : (floatv)0;
    }
    transform_in(d[0], d[1], d[2], d[3], d[4], d[5], &columns[6 * j]);
  }
  to += to_at + (size_t)tile * channels + c;
#pragma unroll
  for (int i = 0; i < 6; i++) {
    transform_in(columns[i], columns[6 + i], columns[12 + i], columns[18 + i], columns[24 + i], columns[30 + i], t);
#pragma unroll
    for (int j = 0; j < 6; j++) vstorev(t[j], 0, to + (size_t)(6 * i + j) * tiles * channels);
  }
}

/* One column of A' m. */
void transform_out(floatv m0, floatv m1, floatv m2, floatv m3, floatv m4, floatv m5, floatv *t) {
  floatv sum1 = m1 + m2, difference1 = m1 - m2, sum2 = m3 + m4, difference2 = m3 - m4;
  t[0] = m0 + sum1 + sum2;
  t[1] = difference1 + 2 * difference2;
  t[2] = sum1 + 4 * sum2;
  t[3] = difference1 + 8 * difference2 + m5;
}

/* out = bias + A' from[36][tiles][channels] A, then limited to [low, high] or FUNCTION of it. A work item as above, of
 * output channels. */
__kernel void winograd_out(__global const float *from, int from_at, __global float *out, int out_at,
                           __global const float *bias, int bias_at, int first, int tiles, int tiles_h, int tiles_w,
                           int out_h, int out_w, int channels, float low, float high) {
  int c = (int)get_global_id(0) * VEC, tile = (int)get_global_id(1);
  if (c >= channels || tile >= tiles) return;
  int line = (first + tile) / tiles_w, n = line / tiles_h, top = line % tiles_h * 4,
      left = (first + tile) % tiles_w * 4;
  from += from_at + (size_t)tile * channels + c;
  floatv columns[24], t[4];
  size_t distance = (size_t)tiles * channels;
#pragma unroll
  for (int j = 0; j < 6; j++) {
    floatv m[6];
#pragma unroll
    for (int i = 0; i < 6; i++) m[i] = vloadv(0, from + (6 * i + j) * distance);
    transform_out(m[0], m[1], m[2], m[3], m[4], m[5], &columns[4 * j]);
  }
  floatv shift = vloadv(0, bias + bias_at + c);
  out += out_at + (size_t)n * out_h * out_w * channels + c;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    transform_out(columns[i], columns[4 + i], columns[8 + i], columns[12 + i], columns[16 + i], columns[20 + i], t);
#pragma unroll
    for (int j = 0; j < 4; j++) {
      if (top + i < out_h && left + j < out_w) {
        store_finished(t[j] + shift, low, high, out + (size_t)((top + i) * out_w + left + j) * channels, VEC);
      }
    }
  }
}
