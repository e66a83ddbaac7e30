/* What the device can do at most: multiplications with additions on registers alone, 2 * 12 * VEC * rounds operations a
 * work-item. Twelve sums side by side hide how long each operation takes. For benches. */
__kernel void peak(__global float *out, int out_at, int rounds, float factor) {
  realv sums[12];
#pragma unroll
  for (int i = 0; i < 12; i++) sums[i] = (realv)((real)(i + (int)get_global_id(0)));
  for (int k = 0; k < rounds; k++) {
#pragma unroll
    for (int i = 0; i < 12; i++) sums[i] = mad(sums[i], (realv)((real)factor), (realv)((real)1.0f));
  }
  realv all = 0;
#pragma unroll
  for (int i = 0; i < 12; i++) all += sums[i];
  vstorev(convert_floatv(all), get_global_id(0), out + out_at);
}
