/* Images as NHWC: 8 channels of a pixel a work-item. What is read beyond the channels belongs to the next pixel, or to
 * the padding behind the tensor. */

void store_some(float8 v, int n, __global float *y) {
  if (n >= 8) {
    vstore8(v, 0, y);
    return;
  }
  float all[8];
  vstore8(v, 0, all);
  for (int k = 0; k < n; k++) y[k] = all[k];
}

float8 load_some(__global const float *x, int n) {
  if (n >= 8) return vload8(0, x);
  float all[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  for (int k = 0; k < n; k++) all[k] = x[k];
  return vload8(0, all);
}

/* kind 0: the largest; 1: the mean of what is inside; 2: the mean with what the pads add. Global ids: channels / 8,
 * columns, rows of all images. */
__kernel void pool(__global const float *x, int x_at, __global float *y, int y_at, int kind, int channels, int h, int w,
                   int out_h, int out_w, int kernel_h, int kernel_w, int stride_h, int stride_w, int dilation_h,
                   int dilation_w, int top, int left, int bottom, int right, int images, int function, float a,
                   float b) {
  int c = get_global_id(0) * 8, j = get_global_id(1), row = get_global_id(2);
  if (c >= channels || j >= out_w || row >= out_h * images) return;
  int i = row % out_h, n = row / out_h, left_over = channels - c;
  x += x_at + n * h * w * channels + c;
  float8 best = (float8)(-INFINITY), sum = (float8)(0.0f);
  int count = 0;
  for (int p = 0; p < kernel_h; p++) {
    int at_h = i * stride_h - top + p * dilation_h;
    for (int q = 0; q < kernel_w; q++) {
      int at_w = j * stride_w - left + q * dilation_w;
      if (at_h >= 0 && at_h < h && at_w >= 0 && at_w < w) {
        float8 v = load_some(x + (at_h * w + at_w) * channels, left_over);
        best = select(best, v, (int8)(v > best || isnan(v)));
        sum += v;
        count++;
      } else if (kind == 2 && at_h < h + bottom && at_w < w + right) {
        count++;
      }
    }
  }
  float8 result = kind == 0 ? best : count > 0 ? sum / (float)count : (float8)(0.0f);
  store_some(activate8(result, function, a, b), left_over, y + y_at + (row * out_w + j) * channels + c);
}

/* Each output pixel is a weighted sum of taps x taps input pixels: at_h[i * taps + k] are rows, at_w columns, with their
 * weights. Global ids as above. */
__kernel void resize(__global const float *x, int x_at, __global float *y, int y_at, __global const float *table,
                     int table_at, int taps, int channels, int h, int w, int out_h, int out_w, int images) {
  int c = get_global_id(0) * 8, j = get_global_id(1), row = get_global_id(2);
  if (c >= channels || j >= out_w || row >= out_h * images) return;
  int i = row % out_h, n = row / out_h, left_over = channels - c;
  __global const float *rows = table + table_at + i * 2 * taps, *columns = table + table_at + (out_h + j) * 2 * taps;
  float8 sum = (float8)(0.0f);
  x += x_at + n * h * w * channels + c;
  for (int p = 0; p < taps; p++) {
    float8 line = (float8)(0.0f);
    for (int q = 0; q < taps; q++) {
      float8 v = load_some(x + ((int)rows[2 * p] * w + (int)columns[2 * q]) * channels, left_over);
      float weight = columns[2 * q + 1];
      line = taps == 1 ? v : weight == 0.0f ? line : line + weight * v; /* 0 times what is infinite counts nothing */
    }
    float weight = rows[2 * p + 1];
    sum = taps == 1 ? line : weight == 0.0f ? sum : sum + weight * line;
  }
  store_some(sum, left_over, y + y_at + (row * out_w + j) * channels + c);
}

/* y = x / (bias + alpha s)^beta, s the sum of squares over `size` channels around x's. Global ids: channels / 8, pixels.
 */
__kernel void lrn(__global const float *x, int x_at, __global float *y, int y_at, int channels, int pixels, int size,
                  float alpha, float beta, float bias) {
  int c = get_global_id(0) * 8, pixel = get_global_id(1);
  if (c >= channels || pixel >= pixels) return;
  x += x_at + pixel * channels;
  float8 s = (float8)(0.0f);
  int first = c - (size - 1) / 2, left_over = channels - c;
  if (first >= 0 && first + size + 7 <= channels) {
    for (int k = 0; k < size; k++) {
      float8 v = vload8(0, x + first + k);
      s += v * v;
    }
  } else {
    float sums[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    for (int l = 0; l < min(8, left_over); l++) {
      for (int k = max(first + l, 0); k < min(first + l + size, channels); k++) sums[l] += x[k] * x[k];
    }
    s = vload8(0, sums);
  }
  float8 base = bias + alpha * s, root = sqrt(base);
  float8 power = beta == 0.75f ? root * sqrt(root) : pow(base, (float8)(beta)); /* 0.75: AlexNet's, GoogLeNet's */
  store_some(load_some(x + c, left_over) / power, left_over, y + y_at + pixel * channels + c);
}
