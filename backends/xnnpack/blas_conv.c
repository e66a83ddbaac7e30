#include "backends/xnnpack/blas_conv.h"

#include <cblas.h>
#include <string.h>

#define CACHE_FLOATS 1048576 /* patches of a block, at most: BLAS packs the weights anew for each block */
#define BLOCK_MIN 256
#define BLOCK_MAX 768

static uint64_t pixels_of(const cosrel_blas_conv *g) { return (uint64_t)g->batch * g->out_height * g->out_width; }

static uint32_t depth_of(const cosrel_blas_conv *g) { return g->window.kernel[0] * g->window.kernel[1] * g->channels; }

/* The pixels of the input are the patches. */
static bool is_plain(const cosrel_blas_conv *g) {
  const cosrel_window *w = &g->window;
  return w->kernel[0] * w->kernel[1] == 1 && w->stride[0] * w->stride[1] == 1 &&
         w->pad[0] + w->pad[1] + w->pad[2] + w->pad[3] == 0;
}

bool cosrel_blas_conv_pays(const cosrel_blas_conv *g) {
#if defined(__x86_64__) && defined(__GNUC__)
  return __builtin_cpu_supports("fma") && !__builtin_cpu_supports("avx512f") && pixels_of(g) >= 16 &&
         depth_of(g) >= 16 && g->out_channels >= 16;
#else
  (void)g;
  return false;
#endif
}

size_t cosrel_blas_conv_plan(cosrel_blas_conv *g, uint32_t threads) {
  uint32_t depth = depth_of(g), block = CACHE_FLOATS / depth;
  g->block = block < BLOCK_MIN ? BLOCK_MIN : block > BLOCK_MAX ? BLOCK_MAX : block;
  return is_plain(g) ? 0 : (size_t)threads * g->block * depth;
}

/* One row of one patch: `kernel` pixels, zeros where they lie outside. */
static float *copy_row(const cosrel_blas_conv *g, const float *row, int64_t x, float *patch) {
  size_t c = g->channels;
  uint32_t kernel = g->window.kernel[1], dilation = g->window.dilation[1];
  if (dilation == 1 && x >= 0 && x + kernel <= g->width) {
    memcpy(patch, row + x * (int64_t)c, kernel * c * sizeof *patch);
    return patch + kernel * c;
  }
  for (uint32_t k = 0; k < kernel; k++, x += dilation, patch += c) {
    if (x >= 0 && x < g->width) {
      memcpy(patch, row + x * (int64_t)c, c * sizeof *patch);
    } else {
      memset(patch, 0, c * sizeof *patch);
    }
  }
  return patch;
}

static void copy_patches(const cosrel_blas_conv *g, const float *in, uint64_t first, uint32_t n, float *patch) {
  const cosrel_window *w = &g->window;
  size_t c = g->channels, row_floats = g->width * c;
  for (uint64_t p = first; p < first + n; p++) {
    uint64_t image = p / ((uint64_t)g->out_height * g->out_width);
    int64_t x = (int64_t)(p % g->out_width) * w->stride[1] - w->pad[1];
    int64_t y = (int64_t)(p / g->out_width % g->out_height) * w->stride[0] - w->pad[0];
    for (uint32_t k = 0; k < w->kernel[0]; k++, y += w->dilation[0]) {
      if (y >= 0 && y < g->height) {
        patch = copy_row(g, in + (image * g->height + (uint64_t)y) * row_floats, x, patch);
      } else {
        memset(patch, 0, w->kernel[1] * c * sizeof *patch);
        patch += w->kernel[1] * c;
      }
    }
  }
}

static void finish(const cosrel_blas_conv *g, float *out, uint32_t n) {
  float low = g->low, high = g->high;
  for (uint32_t p = 0; p < n; p++, out += g->out_channels) {
    for (uint32_t m = 0; m < g->out_channels; m++) {
      float y = g->bias != NULL ? out[m] + g->bias[m] : out[m];
      y = y < low ? low : y;
      out[m] = y > high ? high : y;
    }
  }
}

typedef struct job {
  const cosrel_blas_conv *gemm;
  const float *in;
  float *out, *patches;
  size_t workers;
} job;

/* Every worker takes every workers-th block; its patches have a place of their own. */
static void run_worker(void *context, size_t worker) {
  const job *j = context;
  const cosrel_blas_conv *g = j->gemm;
  uint64_t pixels = pixels_of(g);
  uint32_t depth = depth_of(g);
  bool plain = is_plain(g);
  for (uint64_t first = worker * g->block; first < pixels; first += j->workers * g->block) {
    uint32_t n = pixels - first < g->block ? (uint32_t)(pixels - first) : g->block;
    float *own = j->patches + worker * g->block * depth, *out = j->out + first * g->out_channels;
    if (!plain) copy_patches(g, j->in, first, n, own);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n, (blasint)g->out_channels, (blasint)depth, 1,
                plain ? j->in + first * depth : own, (blasint)depth, g->weights, (blasint)depth, 0, out,
                (blasint)g->out_channels);
    finish(g, out, n);
  }
}

void cosrel_blas_conv_run(const cosrel_blas_conv *gemm, const float *in, float *out, float *patches,
                          pthreadpool_t pool) {
  job j = {gemm, in, out, patches, pthreadpool_get_threads_count(pool)};
  pthreadpool_parallelize_1d(pool, run_worker, &j, j.workers, PTHREADPOOL_FLAG_YIELD_WORKERS);
}
