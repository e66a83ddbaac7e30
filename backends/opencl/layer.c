#include "backends/opencl/layer.h"

#include <stdio.h>
#include <string.h>

#include "backends/opencl/winograd.h"

#define WINOGRAD_WEIGHTS_MAX (512 * 512) /* channels in times channels out: 36 MiB */

static uint64_t divide_up(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

/* ---- Which ways there are ---- */

static bool is_unit(const uint32_t *pair) { return pair[0] == 1 && pair[1] == 1; }

static bool has_pads(const cosrel_window *w) { return (w->pad[0] | w->pad[1] | w->pad[2] | w->pad[3]) != 0; }

/* Rows of pixels times a matrix. */
static bool is_gemm(const cosrel_cl_layer *l) {
  return is_unit(l->window.kernel) && is_unit(l->window.stride) && !has_pads(&l->window) && l->groups == 1 &&
         l->in_h == l->out_h && l->in_w == l->out_w;
}

static bool is_depthwise(const cosrel_cl_layer *l) {
  return l->groups > 1 && l->groups == l->in_c && l->in_c == l->out_c && !l->transposed && l->window.kernel[1] <= 8;
}

/* Below 16 channels the transforms cost more than the products; transformed weights are four times as large as plain
 * ones, and reading them takes what is gained where they are many. */
static bool is_winograd(const cosrel_cl_layer *l) {
  return l->window.kernel[0] == 3 && l->window.kernel[1] == 3 && is_unit(l->window.stride) &&
         is_unit(l->window.dilation) && l->groups == 1 && !l->transposed && l->in_c >= 16 && l->out_c >= 16 &&
         l->in_c % 4 == 0 && l->out_c % 4 == 0 && (uint64_t)l->in_c * l->out_c <= WINOGRAD_WEIGHTS_MAX;
}

/* A processor with registers of 8 floats or more runs work-items one by one, each in vectors; a GPU runs them side by
 * side, each in scalars or vectors of 4. */
static const uint32_t tiles[2][4][2] = {{{4, 4}, {4, 8}, {8, 4}, {8, 8}}, {{16, 6}, {16, 4}, {8, 6}, {8, 8}}};
static const cosrel_cl_way depthwise[2][4] = {
    {{COSREL_CL_DEPTHWISE, 4, 4, 1, 16, 4},
     {COSREL_CL_DEPTHWISE, 4, 2, 1, 16, 4},
     {COSREL_CL_DEPTHWISE, 4, 1, 1, 16, 4},
     {COSREL_CL_DEPTHWISE, 8, 2, 1, 8, 8}},
    {{COSREL_CL_DEPTHWISE, 16, 4, 1, 8, 1},
     {COSREL_CL_DEPTHWISE, 16, 2, 1, 8, 1},
     {COSREL_CL_DEPTHWISE, 16, 4, 1, 1, 4},
     {COSREL_CL_DEPTHWISE, 16, 7, 1, 1, 4}},
};

uint32_t cosrel_cl_layer_ways(const cosrel_cl_layer *l, const cosrel_cl_device *device,
                              cosrel_cl_way ways[COSREL_CL_WAYS_MAX]) {
  bool wide = device->vector >= 8;
  uint32_t n = 0, x = wide ? 8 : 16, y = wide ? 1 : 4, step = wide ? 1 : 4;
  if (!l->is_product && is_depthwise(l)) {
    memcpy(ways, depthwise[wide], sizeof depthwise[wide]);
    return 4;
  }
  bool gemm = l->is_product || is_gemm(l);
  uint64_t rows = l->is_product ? l->rows : cosrel_cl_layer_pixels(l);
  if (!l->is_product && gemm && rows <= 4) {
    for (uint32_t i = 0; i < 2; i++)
      ways[n++] = (cosrel_cl_way){COSREL_CL_DENSE, tiles[wide][2 * i][0], wide ? 1 : 64, 1, wide ? 1 : 64, 1};
    return n;
  }
  bool winograd = !gemm && l->half == COSREL_CL_WIDE && is_winograd(l);
  for (uint32_t i = 0; winograd && i < 2; i++)
    ways[n++] = (cosrel_cl_way){COSREL_CL_WINOGRAD, tiles[wide][i][0], tiles[wide][i][1], step, x, y};
  for (uint32_t i = 0; i < 4; i++) {
    cosrel_cl_method method = gemm ? COSREL_CL_GEMM : COSREL_CL_DIRECT;
    ways[n++] = (cosrel_cl_way){method, tiles[wide][i][0], tiles[wide][i][1], step, x, y};
  }
  return n;
}

/* ---- Sizes ---- */

uint64_t cosrel_cl_layer_blocks(const cosrel_cl_layer *l, const cosrel_cl_way *way) {
  if (l->is_product) return divide_up(l->columns, way->vec);
  if (way->method == COSREL_CL_DEPTHWISE) return divide_up(l->out_c, way->vec);
  return l->groups * divide_up(l->out_c / l->groups, way->vec);
}

static uint64_t extent(const cosrel_cl_layer *l, uint32_t rows, int64_t row, uint32_t columns, int64_t column,
                       int64_t outer, int64_t inner) {
  return 1 + (uint64_t)((rows - 1) * row + (columns - 1) * column + (int64_t)(l->batch / l->inner - 1) * outer +
                        (int64_t)(l->inner - 1) * inner);
}

cosrel_cl_layer_sizes cosrel_cl_layer_measure(const cosrel_cl_layer *l, const cosrel_cl_way *way) {
  cosrel_cl_layer_sizes s = {0};
  uint64_t blocks = cosrel_cl_layer_blocks(l, way);
  s.bias = blocks * way->vec;
  if (l->is_product) {
    s.in = extent(l, l->rows, l->a_row, l->depth, 1, l->a_outer, l->a_inner);
    s.weights = extent(l, l->depth, l->b_row, l->columns, l->b_column, l->b_outer, l->b_inner);
    s.out = (uint64_t)l->batch * l->rows * l->columns;
    s.scratch = (uint64_t)l->batch * blocks * l->depth * way->vec;
    s.weight_room = s.weights;
    return s;
  }
  uint64_t taps = (uint64_t)l->window.kernel[0] * l->window.kernel[1];
  s.in = (uint64_t)l->n * l->in_h * l->in_w * l->in_c;
  s.out = cosrel_cl_layer_pixels(l) * l->out_c;
  s.weights = blocks * way->vec * taps * (l->in_c / l->groups);
  if (way->method == COSREL_CL_DIRECT) s.zeros = (uint64_t)l->window.kernel[1] * (l->in_c / l->groups);
  if (way->method == COSREL_CL_WINOGRAD) {
    s.weights = COSREL_CL_WINOGRAD_POSITIONS * blocks * way->vec * l->in_c;
    s.zeros = s.bias;
    s.scratch = cosrel_cl_winograd_middle(l) + COSREL_CL_WINOGRAD_POSITIONS * cosrel_cl_winograd_chunk(l) * l->out_c;
  }
  s.weight_room = l->half == COSREL_CL_WIDE ? s.weights : divide_up(s.weights, 2);
  return s;
}

/* ---- Packing: [block][tap][c of the group][VEC] ---- */

/* The lanes of a vector together: their writes follow each other, which matters for dense layers of 400 MB. */
static void pack_block(const cosrel_cl_layer *l, uint32_t vec, const float *const *lanes, uint32_t n, int64_t in_stride,
                       float *to) {
  uint32_t depth = l->in_c / l->groups, taps = l->window.kernel[0] * l->window.kernel[1];
  for (uint32_t t = 0; t < taps; t++)
    for (uint32_t c = 0; c < depth; c++, to += vec)
      for (uint32_t i = 0; i < n; i++) to[i] = lanes[i][c * in_stride + t];
}

void cosrel_cl_layer_pack(const cosrel_cl_layer *l, const cosrel_cl_way *way, const cosrel_cl_weights *from,
                          float *weights, float *bias) {
  uint32_t per_group = l->out_c / l->groups, taps = l->window.kernel[0] * l->window.kernel[1];
  /* Blocks end where a group does, but for depthwise convolutions, whose groups are lanes. */
  uint32_t per_part = way->method == COSREL_CL_DEPTHWISE ? l->out_c : per_group;
  uint64_t block_size = (uint64_t)taps * (l->in_c / l->groups) * way->vec, block = 0;
  if (way->method == COSREL_CL_WINOGRAD) cosrel_cl_winograd_pack(l, way->vec, from, weights);
  for (uint32_t part = 0; part < l->out_c; part += per_part) {
    for (uint32_t first = 0; first < per_part; first += way->vec, block++) {
      const float *lanes[16];
      uint32_t n = per_part - first < way->vec ? per_part - first : way->vec;
      for (uint32_t i = 0; i < n; i++) {
        uint32_t m = part + first + i;
        lanes[i] = from->data + m / per_group * from->group_stride + m % per_group * from->out_stride;
        if (from->bias != NULL) bias[block * way->vec + i] = from->bias[m];
      }
      if (way->method != COSREL_CL_WINOGRAD)
        pack_block(l, way->vec, lanes, n, from->in_stride, weights + block * block_size);
    }
  }
}

/* ---- Names ---- */

void cosrel_cl_layer_key(const cosrel_cl_layer *l, char key[COSREL_CL_LAYER_KEY_MAX]) {
  const cosrel_window *w = &l->window;
  static const char *const halves[] = {"", ":w16", ":h16"};
  int function = l->activation.function > COSREL_CL_CLAMP ? (int)l->activation.function : 0;
  if (l->is_product) {
    snprintf(key, COSREL_CL_LAYER_KEY_MAX, "product:%ux%ux%ux%u:%d:f%d", l->batch, l->rows, l->depth, l->columns,
             l->b_column == 1, function);
    return;
  }
  snprintf(key, COSREL_CL_LAYER_KEY_MAX, "%s:%ux%ux%ux%u:%ux%ux%u:k%ux%u:s%ux%u:d%ux%u:p%ux%u:g%u:f%d%s",
           l->transposed ? "transposed" : "conv", l->n, l->in_h, l->in_w, l->in_c, l->out_h, l->out_w, l->out_c,
           w->kernel[0], w->kernel[1], w->stride[0], w->stride[1], w->dilation[0], w->dilation[1], w->pad[0], w->pad[1],
           l->groups, function, halves[l->half]);
}

double cosrel_cl_layer_flops(const cosrel_cl_layer *l) {
  if (l->is_product) return 2.0 * l->batch * l->rows * l->columns * l->depth;
  double taps = (double)l->window.kernel[0] * l->window.kernel[1];
  double pixels = l->transposed ? (double)l->n * l->in_h * l->in_w : (double)cosrel_cl_layer_pixels(l);
  uint32_t depth = l->in_c / l->groups;
  return 2 * pixels * l->out_c * depth * taps;
}
