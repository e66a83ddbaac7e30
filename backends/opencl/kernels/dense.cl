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
                                                                       __global const weight *weights, int weights_at,
                                                                       __global const float *bias, int bias_at,
                                                                       int columns, int depth, float low, float high) {
  int part = (int)get_global_id(0), block = (int)get_global_id(1), row = (int)get_global_id(2);
  int share = (depth + SPLIT - 1) / SPLIT, c = part * share, end = min(c + share, depth);
  floatv sum = 0;
  in += in_at + (size_t)row * depth;
  weights += WEIGHTS_AT(weights_at) + (size_t)block * depth * VEC;
  while (c < end) {
    realv acc0 = 0, acc1 = 0, acc2 = 0, acc3 = 0;
#ifdef FP16
    int stop = min(c + 4 * FLUSH, end); /* each of the four has FLUSH products */
#else
    int stop = end;
#endif
    for (; c + 4 <= stop; c += 4) {
      acc0 = mad((realv)((real)in[c]), load_weights(c, weights), acc0);
      acc1 = mad((realv)((real)in[c + 1]), load_weights(c + 1, weights), acc1);
      acc2 = mad((realv)((real)in[c + 2]), load_weights(c + 2, weights), acc2);
      acc3 = mad((realv)((real)in[c + 3]), load_weights(c + 3, weights), acc3);
    }
    for (; c < stop; c++) acc0 = mad((realv)((real)in[c]), load_weights(c, weights), acc0);
    sum += (convert_floatv(acc0) + convert_floatv(acc1)) + (convert_floatv(acc2) + convert_floatv(acc3));
  }
#if SPLIT > 1
  __local floatv shares[SPLIT];
  shares[part] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (part > 0) return;
  for (int s = 1; s < SPLIT; s++) sum += shares[s];
#endif
  sum += vloadv(block, bias + bias_at);
  store_finished(sum, low, high, out + out_at + (size_t)row * columns + block * VEC,
                 columns - block * VEC);
}
