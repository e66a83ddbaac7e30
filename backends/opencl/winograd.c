/* G w G' for F(4x4, 3x3), after Lavin and Gray (see kernels/winograd.cl), in doubles. */
#include "backends/opencl/winograd.h"

static const double g[6][3] = {
    {1.0 / 4, 0, 0},
    {-1.0 / 6, -1.0 / 6, -1.0 / 6},
    {-1.0 / 6, 1.0 / 6, -1.0 / 6},
    {1.0 / 24, 1.0 / 12, 1.0 / 6},
    {1.0 / 24, -1.0 / 12, 1.0 / 6},
    {0, 0, 1},
};

static void transform(const float *w, double out[6][6]) {
  double half[6][3]; /* G w */
  for (int i = 0; i < 6; i++)
    for (int j = 0; j < 3; j++) half[i][j] = g[i][0] * w[j] + g[i][1] * w[3 + j] + g[i][2] * w[6 + j];
  for (int i = 0; i < 6; i++)
    for (int j = 0; j < 6; j++) out[i][j] = half[i][0] * g[j][0] + half[i][1] * g[j][1] + half[i][2] * g[j][2];
}

void cosrel_cl_winograd_pack(const cosrel_cl_layer *layer, uint32_t vec, const cosrel_cl_weights *from, float *packed) {
  uint64_t blocks = (layer->out_c + vec - 1) / vec, matrix = blocks * vec * layer->in_c;
  for (uint32_t m = 0; m < layer->out_c; m++) {
    for (uint32_t c = 0; c < layer->in_c; c++) {
      double u[6][6];
      transform(from->data + m * from->out_stride + c * from->in_stride, u);
      float *to = packed + ((uint64_t)(m / vec) * layer->in_c + c) * vec + m % vec;
      for (int i = 0; i < 36; i++) to[(uint64_t)i * matrix] = (float)u[i / 6][i % 6];
    }
  }
}
