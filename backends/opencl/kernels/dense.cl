/* A dense layer on few rows, which is bound by reading its weights once:
 *
 *     out[i][j] = bias[j] + sum over c of in[i][c] * w[c][j],     then limited to [low, high] or FUNCTION of it
 *
 * Weights as in gemm.cl: [block][c][VEC]. Work item (s, j, i) of a work group of SPLIT x 1 x 1 computes the VEC columns
 * of block j of row i over its share of the depth, `depth / SPLIT` in a row; the group's first item adds the shares. So
 * a GPU has work for all its lanes although there are few outputs. Four sums side by side hide how long an addition
 * takes. */
__kernel __attribute__((reqd_work_group_size(SPLIT, 1, 1))) void dense(__global const float *in, int in_at,
                                                                       __global float *out, int out_at,
                                                                       __global const real *weights, int weights_at,
                                                                       __global const float *bias, int bias_at,
                                                                       int columns, int depth, float low, float high) {
  int part = (int)get_global_id(0), block = (int)get_global_id(1), row = (int)get_global_id(2);
  int share = (depth + SPLIT - 1) / SPLIT, c = part * share, end = min(c + share, depth);
  realv acc0 = 0, acc1 = 0, acc2 = 0, acc3 = 0;
  in += in_at + (size_t)row * depth;
  weights += weights_at + (size_t)block * depth * VEC;
  for (; c + 4 <= end; c += 4) {
    acc0 = mad((realv)((real)in[c]), vloadv(c, weights), acc0);
    acc1 = mad((realv)((real)in[c + 1]), vloadv(c + 1, weights), acc1);
    acc2 = mad((realv)((real)in[c + 2]), vloadv(c + 2, weights), acc2);
    acc3 = mad((realv)((real)in[c + 3]), vloadv(c + 3, weights), acc3);
  }
  for (; c < end; c++) acc0 = mad((realv)((real)in[c]), vloadv(c, weights), acc0);
  realv sum = (acc0 + acc1) + (acc2 + acc3);
#if SPLIT > 1
  __local realv shares[SPLIT];
  shares[part] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (part > 0) return;
  for (int s = 1; s < SPLIT; s++) sum += shares[s];
#endif
  sum += convert_realv(vloadv(block, bias + bias_at));
  store_finished(convert_floatv(sum), low, high, out + out_at + (size_t)row * columns + block * VEC,
                 columns - block * VEC);
}
