/* What the kernels of convolutions and products share; it is put in front of each of their files.
 *
 *     acc[r][j] += sum over c of from[r][c] * weights[c][j],     r < ROWS, j < VEC
 *
 * A work item holds ROWS x VEC results in registers: ROWS rows (pixels, or rows of a matrix) of VEC neighbouring
 * columns (output channels). Each weight loaded serves ROWS products and each input VEC of them, so loads do not hold
 * the arithmetic up.
 *
 * Weights are packed in blocks of VEC columns, those that do not exist being 0: weights[block][c][VEC]. Tensors, biases
 * and accumulators are fp32. Weights and products are
 *
 *     (neither define)  fp32
 *     HALF_WEIGHTS      fp16 weights, widened by vload_half, which every device has; products in fp32
 *     FP16              fp16 weights and products, for devices with cl_khr_fp16, which have them at twice the rate.
 *                       Inputs are narrowed as they are read. At most FLUSH products in a row are added up in fp16,
 *                       then these sums in fp32: over a long depth, fp16 alone would lose all that is smaller than
 *                       2^-11 of the sum so far, and overflow at 65504.
 *
 * Offsets of weights, too, count in floats.
 *
 * A tuner chooses: VEC (4, 8 or 16), ROWS (1 to 8), and STEP (1, or 4 to load four neighbouring inputs at once). */
#define PASTE_NAMES(a, b) a##b
#define PASTE(a, b) PASTE_NAMES(a, b)

#ifdef FP16
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#define FLUSH 32
#define REAL_NAME half
typedef half real;
typedef half weight;
#define load_weights PASTE(vload, VEC)
#else
#define REAL_NAME float
typedef float real;
#ifdef HALF_WEIGHTS
typedef half weight;
#define load_weights PASTE(vload_half, VEC)
#else
typedef float weight;
#define load_weights PASTE(vload, VEC)
#endif
#endif
#if defined FP16 || defined HALF_WEIGHTS
#define WEIGHTS_AT(at) (2 * (size_t)(at))
#else
#define WEIGHTS_AT(at) ((size_t)(at))
#endif

#define realv PASTE(REAL_NAME, VEC)
#define floatv PASTE(float, VEC)
#define intv PASTE(int, VEC)
#define vloadv PASTE(vload, VEC)
#define vstorev PASTE(vstore, VEC)
#define convert_realv PASTE(convert_, realv)
#define convert_floatv PASTE(convert_, floatv)

/* acc[r] += sum of the inputs of row r from c to end times as many packed rows of weights. */
void accumulate_run(realv *acc, __global const float *const *from, __global const weight *weights, int c, int end) {
#if STEP == 4
  for (; c + 4 <= end; c += 4) {
    realv w0 = load_weights(c, weights), w1 = load_weights(c + 1, weights);
    realv w2 = load_weights(c + 2, weights), w3 = load_weights(c + 3, weights);
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      float4 x = vload4(0, from[r] + c);
      acc[r] = mad((realv)((real)x.x), w0, acc[r]);
      acc[r] = mad((realv)((real)x.y), w1, acc[r]);
      acc[r] = mad((realv)((real)x.z), w2, acc[r]);
      acc[r] = mad((realv)((real)x.w), w3, acc[r]);
    }
  }
#endif
  for (; c < end; c++) {
    realv w = load_weights(c, weights);
#pragma unroll
    for (int r = 0; r < ROWS; r++) acc[r] = mad((realv)((real)from[r][c]), w, acc[r]);
  }
}

/* acc[r] += sum of length inputs of row r times as many packed rows of weights. */
void accumulate(floatv *acc, __global const float *const *from, __global const weight *weights, int length) {
#ifdef FP16
  for (int c = 0; c < length; c += FLUSH) {
    realv sums[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) sums[r] = 0;
    accumulate_run(sums, from, weights, c, min(c + FLUSH, length));
#pragma unroll
    for (int r = 0; r < ROWS; r++) acc[r] += convert_floatv(sums[r]);
  }
#else
  accumulate_run(acc, from, weights, 0, length);
#endif
}

#ifdef FUNCTION
#define FINISH(x, a, b) PASTE(activate, VEC)(x, FUNCTION, a, b)
#else
#define FINISH(x, a, b) PASTE(limit, VEC)(x, a, b)
#endif

/* Stores the first n columns of x, all of them if there are more, limited to [a, b] or with FUNCTION of
 * kernels/common.cl applied. */
void store_finished(floatv x, float a, float b, __global float *to, int n) {
  x = FINISH(x, a, b);
  if (n >= VEC) {
    vstorev(x, 0, to);
  } else {
    float lanes[VEC];
    vstorev(x, 0, lanes);
    for (int i = 0; i < n; i++) to[i] = lanes[i];
  }
}
