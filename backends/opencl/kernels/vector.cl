/* What the kernels of convolutions and products share; it is put in front of each of their files.
 *
 *     acc[r][j] += sum over c of from[r][c] * weights[c][j],     r < ROWS, j < VEC
 *
 * A work item holds ROWS x VEC results in registers: ROWS rows (pixels, or rows of a matrix) of VEC neighbouring
 * columns (output channels). Each weight loaded serves ROWS products and each input VEC of them, so loads do not hold
 * the arithmetic up.
 *
 * Weights are packed in blocks of VEC columns, those that do not exist being 0: weights[block][c][VEC]. Tensors are
 * fp32. With FP16, for devices with cl_khr_fp16, the weights and all arithmetic are `half`, as a GPU of a phone has it at
 * twice the rate; tensors are converted where they are read and written. (Nothing asks for that yet: the runtime computes
 * in fp32.)
 *
 * A tuner chooses: VEC (4, 8 or 16), ROWS (1 to 8), and STEP (1, or 4 to load four neighbouring inputs at once). */
#ifdef FP16
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
typedef half real;
#define REAL_NAME half
#else
typedef float real;
#define REAL_NAME float
#endif

#define PASTE_NAMES(a, b) a##b
#define PASTE(a, b) PASTE_NAMES(a, b)
#define realv PASTE(REAL_NAME, VEC)
#define floatv PASTE(float, VEC)
#define intv PASTE(int, VEC)
#define vloadv PASTE(vload, VEC)
#define vstorev PASTE(vstore, VEC)
#define convert_realv PASTE(convert_, realv)
#define convert_floatv PASTE(convert_, floatv)

/* acc[r] += sum of length inputs of row r times as many packed rows of weights. */
void accumulate(realv *acc, __global const float *const *from, __global const real *weights, int length) {
  int c = 0;
#if STEP == 4
  for (; c + 4 <= length; c += 4) {
    realv w0 = vloadv(c, weights), w1 = vloadv(c + 1, weights);
    realv w2 = vloadv(c + 2, weights), w3 = vloadv(c + 3, weights);
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
  for (; c < length; c++) {
    realv w = vloadv(c, weights);
#pragma unroll
    for (int r = 0; r < ROWS; r++) acc[r] = mad((realv)((real)from[r][c]), w, acc[r]);
  }
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
