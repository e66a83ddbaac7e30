/* What F(4x4, 3x3) of kernels/winograd.cl needs; G w G' in doubles. */
#include "backends/opencl/winograd.h"

/* Of chunks: elements between the launches, weights of one position, tiles that all tile sizes divide. */
#define CHUNK_ELEMENTS (UINT64_C(1) << 20)
#define CHUNK_WEIGHTS (UINT64_C(1) << 14)
#define CHUNK_STEP 24

static uint64_t divide_up(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

uint64_t cosrel_cl_winograd_chunk(const cosrel_cl_layer *l) {
  uint64_t tiles = cosrel_cl_winograd_tiles(l);
  uint64_t limit = CHUNK_ELEMENTS / (COSREL_CL_WINOGRAD_POSITIONS * (l->in_c + l->out_c));
  if ((uint64_t)l->in_c * l->out_c > CHUNK_WEIGHTS || tiles <= limit || limit < CHUNK_STEP) return tiles;
  return divide_up(divide_up(tiles, divide_up(tiles, limit)), CHUNK_STEP) * CHUNK_STEP;
}

uint64_t cosrel_cl_winograd_middle(const cosrel_cl_layer *l) {
  return divide_up(COSREL_CL_WINOGRAD_POSITIONS * cosrel_cl_winograd_chunk(l) * l->in_c, 16) * 16;
}

/* ---- Weights ---- */

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
