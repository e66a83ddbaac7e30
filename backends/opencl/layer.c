#include "backends/opencl/layer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "backends/opencl/winograd.h"

/* Of Winograd's chunks: elements between the launches, weights of one position, tiles that all tile sizes divide. */
#define CHUNK_ELEMENTS (UINT64_C(1) << 20)
#define CHUNK_WEIGHTS (UINT64_C(1) << 14)
#define CHUNK_STEP 24

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

/* Below 16 channels the transforms cost more than the products. */
static bool is_winograd(const cosrel_cl_layer *l) {
  return l->window.kernel[0] == 3 && l->window.kernel[1] == 3 && is_unit(l->window.stride) &&
         is_unit(l->window.dilation) && l->groups == 1 && !l->transposed && l->in_c >= 16 && l->out_c >= 16 &&
         l->in_c % 4 == 0 && l->out_c % 4 == 0;
}

uint32_t cosrel_cl_layer_ways(const cosrel_cl_layer *l, const cosrel_cl_device *device,
                              cosrel_cl_way ways[COSREL_CL_WAYS_MAX]) {
  /* A processor with registers of 8 floats or more runs work-items one by one, each in vectors; a GPU runs them side by
   * side, each in scalars or vectors of 4. */
  static const uint32_t tiles[2][4][2] = {{{4, 4}, {4, 8}, {8, 4}, {8, 8}}, {{16, 6}, {16, 4}, {8, 6}, {8, 8}}};
  static const uint32_t lines[2][4][2] = {{{4, 4}, {4, 2}, {4, 1}, {8, 2}}, {{16, 4}, {16, 2}, {8, 4}, {16, 7}}};
  bool wide = device->vector >= 8;
  uint32_t n = 0, x = wide ? 8 : 16, y = wide ? 1 : 4, step = wide ? 1 : 4;
  if (!l->is_product && is_depthwise(l)) {
    for (uint32_t i = 0; i < 4; i++)
      ways[n++] = (cosrel_cl_way){COSREL_CL_DEPTHWISE, lines[wide][i][0], lines[wide][i][1], 1, wide ? 1 : 16, 4};
    return n;
  }
  bool gemm = l->is_product || is_gemm(l);
  uint64_t rows = l->is_product ? l->rows : (uint64_t)l->n * l->out_h * l->out_w;
  if (!l->is_product && gemm && rows <= 4) {
    for (uint32_t i = 0; i < 2; i++)
      ways[n++] = (cosrel_cl_way){COSREL_CL_DENSE, tiles[wide][2 * i][0], wide ? 1 : 64, 1, wide ? 1 : 64, 1};
    return n;
  }
  bool winograd = !gemm && is_winograd(l);
  for (uint32_t i = 0; winograd && i < 2; i++)
    ways[n++] = (cosrel_cl_way){COSREL_CL_WINOGRAD, tiles[wide][i][0], tiles[wide][i][1], step, x, y};
  for (uint32_t i = 0; i < 4; i++) {
    cosrel_cl_method method = gemm ? COSREL_CL_GEMM : COSREL_CL_DIRECT;
    ways[n++] = (cosrel_cl_way){method, tiles[wide][i][0], tiles[wide][i][1], step, x, y};
  }
  return n;
}

/* ---- Sizes ---- */

static uint32_t group_in(const cosrel_cl_layer *l) { return l->in_c / l->groups; }
static uint32_t group_out(const cosrel_cl_layer *l) { return l->out_c / l->groups; }

static uint64_t pixels_out(const cosrel_cl_layer *l) { return (uint64_t)l->n * l->out_h * l->out_w; }

/* Blocks of VEC columns, of all groups. */
static uint64_t blocks_of(const cosrel_cl_layer *l, const cosrel_cl_way *way) {
  if (l->is_product) return divide_up(l->columns, way->vec);
  if (way->method == COSREL_CL_DEPTHWISE) return divide_up(l->out_c, way->vec);
  return l->groups * divide_up(group_out(l), way->vec);
}

static uint64_t extent(const cosrel_cl_layer *l, uint32_t rows, int64_t row, uint32_t columns, int64_t column,
                       int64_t outer, int64_t inner) {
  return 1 + (uint64_t)((rows - 1) * row + (columns - 1) * column + (int64_t)(l->batch / l->inner - 1) * outer +
                        (int64_t)(l->inner - 1) * inner);
}

/* Tiles at a time: with small weights, so many that what lies between the launches stays in a cache. */
static uint64_t winograd_chunk(const cosrel_cl_layer *l) {
  uint64_t tiles = cosrel_cl_winograd_tiles(l);
  uint64_t limit = CHUNK_ELEMENTS / (COSREL_CL_WINOGRAD_POSITIONS * (l->in_c + l->out_c));
  if ((uint64_t)l->in_c * l->out_c > CHUNK_WEIGHTS || tiles <= limit || limit < CHUNK_STEP) return tiles;
  return divide_up(divide_up(tiles, divide_up(tiles, limit)), CHUNK_STEP) * CHUNK_STEP;
}

/* Where the second part of the scratch begins: the products, behind the transformed inputs. */
static uint64_t winograd_middle(const cosrel_cl_layer *l) {
  return divide_up(COSREL_CL_WINOGRAD_POSITIONS * winograd_chunk(l) * l->in_c, 16) * 16;
}

cosrel_cl_layer_sizes cosrel_cl_layer_measure(const cosrel_cl_layer *l, const cosrel_cl_way *way) {
  cosrel_cl_layer_sizes s = {0};
  uint64_t blocks = blocks_of(l, way);
  s.bias = blocks * way->vec;
  if (l->is_product) {
    s.in = extent(l, l->rows, l->a_row, l->depth, 1, l->a_outer, l->a_inner);
    s.weights = extent(l, l->depth, l->b_row, l->columns, l->b_column, l->b_outer, l->b_inner);
    s.out = (uint64_t)l->batch * l->rows * l->columns;
    s.scratch = (uint64_t)l->batch * blocks * l->depth * way->vec;
    return s;
  }
  uint64_t taps = (uint64_t)l->window.kernel[0] * l->window.kernel[1];
  s.in = (uint64_t)l->n * l->in_h * l->in_w * l->in_c;
  s.out = pixels_out(l) * l->out_c;
  s.weights = blocks * way->vec * taps * group_in(l);
  if (way->method == COSREL_CL_DIRECT) s.zeros = (uint64_t)l->window.kernel[1] * group_in(l);
  if (way->method == COSREL_CL_WINOGRAD) {
    s.weights = COSREL_CL_WINOGRAD_POSITIONS * blocks * way->vec * l->in_c;
    s.zeros = s.bias;
    s.scratch = winograd_middle(l) + COSREL_CL_WINOGRAD_POSITIONS * winograd_chunk(l) * l->out_c;
  }
  return s;
}

/* ---- Packing: [block][tap][c of the group][VEC] ---- */

void cosrel_cl_layer_pack(const cosrel_cl_layer *l, const cosrel_cl_way *way, const cosrel_cl_weights *from,
                          float *weights, float *bias) {
  bool depthwise = way->method == COSREL_CL_DEPTHWISE;
  uint32_t per_group = group_out(l), c_count = group_in(l), taps = l->window.kernel[0] * l->window.kernel[1];
  uint64_t blocks = depthwise ? 0 : divide_up(per_group, way->vec); /* of a group */
  if (way->method == COSREL_CL_WINOGRAD) cosrel_cl_winograd_pack(l, way->vec, from, weights);
  for (uint32_t m = 0; m < l->out_c; m++) {
    uint32_t group = m / per_group, mine = m % per_group;
    uint64_t block = depthwise ? m / way->vec : group * blocks + mine / way->vec;
    uint32_t lane = (depthwise ? m : mine) % way->vec;
    if (from->bias != NULL) bias[block * way->vec + lane] = from->bias[m];
    if (way->method == COSREL_CL_WINOGRAD) continue;
    const float *source = from->data + group * from->group_stride + mine * from->out_stride;
    for (uint32_t c = 0; c < c_count; c++)
      for (uint32_t t = 0; t < taps; t++)
        weights[((block * taps + t) * c_count + c) * way->vec + lane] = source[c * from->in_stride + t];
  }
}

/* ---- Launches ---- */

static cosrel_cl_launch begin(const char *source, const char *kernel, const cosrel_cl_layer *l, uint32_t vec,
                              uint32_t rows, uint32_t step) {
  cosrel_cl_launch launch = cosrel_cl_launch_of(source, kernel);
  cosrel_cl_define(&launch, "VEC", (int32_t)vec);
  cosrel_cl_define(&launch, "ROWS", (int32_t)rows);
  cosrel_cl_define(&launch, "STEP", (int32_t)step);
  if (l->activation.function > COSREL_CL_CLAMP) cosrel_cl_define(&launch, "FUNCTION", (int32_t)l->activation.function);
  return launch;
}

static void push_limits(cosrel_cl_launch *launch, const cosrel_cl_layer *l) {
  bool none = l->activation.function == COSREL_CL_NONE;
  cosrel_cl_push_float(launch, none ? -INFINITY : l->activation.a);
  cosrel_cl_push_float(launch, none ? INFINITY : l->activation.b);
}

static void push_ints(cosrel_cl_launch *launch, const int64_t *values, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) cosrel_cl_push_int(launch, values[i]);
}

#define PUSH_INTS(launch, ...) \
  push_ints(launch, (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void push_tensors(cosrel_cl_launch *launch, const cosrel_cl_layer_places *p) {
  cosrel_cl_push_in(launch, p->in);
  cosrel_cl_push_out(launch, p->out);
  cosrel_cl_push_in(launch, p->weights);
  cosrel_cl_push_in(launch, p->bias);
}

static cosrel_cl_launch conv_launch(const cosrel_cl_layer *l, const cosrel_cl_way *way,
                                    const cosrel_cl_layer_places *p) {
  const cosrel_window *w = &l->window;
  cosrel_cl_launch launch = begin("conv", "conv", l, way->vec, way->rows, way->step);
  if (l->transposed) cosrel_cl_define(&launch, "TRANSPOSED", 1);
  push_tensors(&launch, p);
  cosrel_cl_push_in(&launch, p->zeros);
  PUSH_INTS(&launch, (int64_t)pixels_out(l), l->out_h, l->out_w, l->in_h, l->in_w, l->in_c, l->out_c, group_in(l),
            group_out(l), w->kernel[0], w->kernel[1], w->stride[0], w->stride[1], w->dilation[0], w->dilation[1],
            w->pad[0], w->pad[1], !l->transposed && l->groups == 1 && w->dilation[1] == 1);
  push_limits(&launch, l);
  cosrel_cl_size(&launch, divide_up(pixels_out(l), way->rows), blocks_of(l, way), 1, way->local_x, way->local_y, 1);
  return launch;
}

static cosrel_cl_launch depthwise_launch(const cosrel_cl_layer *l, const cosrel_cl_way *way,
                                         const cosrel_cl_layer_places *p) {
  const cosrel_window *w = &l->window;
  cosrel_cl_launch launch = begin("depthwise", "depthwise", l, way->vec, way->rows, way->step);
  cosrel_cl_define(&launch, "KERNEL_W", (int32_t)w->kernel[1]);
  cosrel_cl_define(&launch, "STRIDE_W", (int32_t)w->stride[1]);
  cosrel_cl_define(&launch, "DILATION_W", (int32_t)w->dilation[1]);
  push_tensors(&launch, p);
  PUSH_INTS(&launch, l->out_h, l->out_w, l->in_h, l->in_w, l->out_c, w->kernel[0], w->stride[0], w->dilation[0],
            w->pad[0], w->pad[1]);
  push_limits(&launch, l);
  cosrel_cl_size(&launch, blocks_of(l, way), divide_up(l->out_w, way->rows), (uint64_t)l->n * l->out_h, way->local_x,
                 way->local_y, 1);
  return launch;
}

static cosrel_cl_launch dense_launch(const cosrel_cl_layer *l, const cosrel_cl_way *way,
                                     const cosrel_cl_layer_places *p) {
  cosrel_cl_launch launch = begin("dense", "dense", l, way->vec, 1, 1);
  cosrel_cl_define(&launch, "SPLIT", (int32_t)way->rows);
  push_tensors(&launch, p);
  PUSH_INTS(&launch, l->out_c, l->in_c);
  push_limits(&launch, l);
  cosrel_cl_size(&launch, way->rows, blocks_of(l, way), pixels_out(l), way->rows, 1, 1);
  return launch;
}

/* `batch` products, the second matrices packed without gaps. */
typedef struct gemm_sizes {
  uint64_t batch, rows, columns, depth;
  int64_t a_row, inner, a_outer, a_inner, b_outer, b_inner;
} gemm_sizes;

static cosrel_cl_launch gemm_launch(const cosrel_cl_layer *l, const gemm_sizes *g, const cosrel_cl_way *way,
                                    const cosrel_cl_layer_places *p) {
  cosrel_cl_launch launch = begin("gemm", "gemm", l, way->vec, way->rows, way->step);
  push_tensors(&launch, p);
  PUSH_INTS(&launch, (int64_t)g->rows, (int64_t)g->columns, (int64_t)g->depth, g->a_row, g->inner, g->a_outer,
            g->a_inner, g->b_outer, g->b_inner);
  push_limits(&launch, l);
  cosrel_cl_size(&launch, divide_up(g->rows, way->rows), divide_up(g->columns, way->vec), g->batch, way->local_x,
                 way->local_y, 1);
  return launch;
}

static cosrel_cl_launch pack_launch(const cosrel_cl_layer *l, const cosrel_cl_way *way,
                                    const cosrel_cl_layer_places *p) {
  cosrel_cl_launch launch = begin("gemm", "pack", l, way->vec, way->rows, way->step);
  cosrel_cl_push_in(&launch, p->weights);
  cosrel_cl_push_out(&launch, p->scratch);
  PUSH_INTS(&launch, l->columns, l->depth, l->b_row, l->b_column, l->inner, l->b_outer, l->b_inner);
  cosrel_cl_size(&launch, l->depth, blocks_of(l, way), l->batch, (size_t)way->local_x * way->local_y, 1, 1);
  return launch;
}

static cosrel_cl_launch product_launch(const cosrel_cl_layer *l, const cosrel_cl_way *way,
                                       const cosrel_cl_layer_places *p) {
  int64_t packed = (int64_t)(blocks_of(l, way) * l->depth * way->vec);
  cosrel_cl_layer_places places = *p;
  places.weights = p->scratch;
  const gemm_sizes g = {.batch = l->batch,
                        .rows = l->rows,
                        .columns = l->columns,
                        .depth = l->depth,
                        .a_row = l->a_row,
                        .inner = l->inner,
                        .a_outer = l->a_outer,
                        .a_inner = l->a_inner,
                        .b_outer = l->inner * packed,
                        .b_inner = packed};
  return gemm_launch(l, &g, way, &places);
}

static cosrel_cl_launch winograd_launch(const cosrel_cl_layer *l, const cosrel_cl_way *way,
                                        const cosrel_cl_layer_places *p, uint32_t index) {
  cosrel_cl_layer plain = *l; /* all but the last launch */
  plain.activation = (cosrel_cl_activation){0};
  uint64_t all = cosrel_cl_winograd_tiles(l), chunk = winograd_chunk(l), first = index / 3 * chunk;
  uint64_t tiles = all - first < chunk ? all - first : chunk;
  int64_t tiles_h = (l->out_h + 3) / 4, tiles_w = (l->out_w + 3) / 4;
  uint32_t in_vec = l->in_c % 8 == 0 && way->vec >= 8 ? 8 : 4, out_vec = l->out_c % 8 == 0 && way->vec >= 8 ? 8 : 4;
  cosrel_cl_ref middle = p->scratch;
  middle.offset += (int64_t)winograd_middle(l);
  cosrel_cl_launch launch;
  if (index % 3 == 0) {
    launch = begin("winograd", "winograd_in", &plain, in_vec, 1, 1);
    cosrel_cl_push_in(&launch, p->in);
    cosrel_cl_push_out(&launch, p->scratch);
    PUSH_INTS(&launch, (int64_t)first, (int64_t)tiles, tiles_h, tiles_w, l->in_h, l->in_w, l->in_c, l->window.pad[0],
              l->window.pad[1]);
    cosrel_cl_size(&launch, l->in_c / in_vec, tiles, 1, way->local_x, way->local_y, 1);
    return launch;
  }
  if (index % 3 == 1) {
    cosrel_cl_layer_places products = *p;
    products.in = p->scratch;
    products.out = middle;
    products.bias = p->zeros;
    const gemm_sizes g = {.batch = COSREL_CL_WINOGRAD_POSITIONS,
                          .rows = tiles,
                          .columns = l->out_c,
                          .depth = l->in_c,
                          .a_row = l->in_c,
                          .inner = COSREL_CL_WINOGRAD_POSITIONS,
                          .a_inner = (int64_t)(tiles * l->in_c),
                          .b_inner = (int64_t)(blocks_of(l, way) * way->vec * l->in_c)};
    return gemm_launch(&plain, &g, way, &products);
  }
  launch = begin("winograd", "winograd_out", l, out_vec, 1, 1);
  cosrel_cl_push_in(&launch, middle);
  cosrel_cl_push_out(&launch, p->out);
  cosrel_cl_push_in(&launch, p->bias);
  PUSH_INTS(&launch, (int64_t)first, (int64_t)tiles, tiles_h, tiles_w, l->out_h, l->out_w, l->out_c);
  push_limits(&launch, l);
  cosrel_cl_size(&launch, l->out_c / out_vec, tiles, 1, way->local_x, way->local_y, 1);
  return launch;
}

uint32_t cosrel_cl_layer_launches(const cosrel_cl_layer *l, const cosrel_cl_way *way) {
  if (l->is_product) return 2;
  if (way->method != COSREL_CL_WINOGRAD) return 1;
  return 3 * (uint32_t)divide_up(cosrel_cl_winograd_tiles(l), winograd_chunk(l));
}

cosrel_cl_launch cosrel_cl_layer_launch(const cosrel_cl_layer *l, const cosrel_cl_way *way,
                                        const cosrel_cl_layer_places *p, uint32_t index) {
  if (l->is_product) return index == 0 ? pack_launch(l, way, p) : product_launch(l, way, p);
  switch (way->method) {
    case COSREL_CL_WINOGRAD: return winograd_launch(l, way, p, index);
    case COSREL_CL_DENSE: return dense_launch(l, way, p);
    case COSREL_CL_DEPTHWISE: return depthwise_launch(l, way, p);
    case COSREL_CL_GEMM: {
      const gemm_sizes g = {
          .batch = 1, .rows = pixels_out(l), .columns = l->out_c, .depth = l->in_c, .a_row = l->in_c, .inner = 1};
      return gemm_launch(l, &g, way, p);
    }
    default: return conv_launch(l, way, p);
  }
}

/* ---- Names ---- */

void cosrel_cl_layer_key(const cosrel_cl_layer *l, char key[COSREL_CL_LAYER_KEY_MAX]) {
  const cosrel_window *w = &l->window;
  int function = l->activation.function > COSREL_CL_CLAMP ? (int)l->activation.function : 0;
  if (l->is_product) {
    snprintf(key, COSREL_CL_LAYER_KEY_MAX, "product:%ux%ux%ux%u:%d:f%d", l->batch, l->rows, l->depth, l->columns,
             l->b_column == 1, function);
    return;
  }
  snprintf(key, COSREL_CL_LAYER_KEY_MAX, "%s:%ux%ux%ux%u:%ux%ux%u:k%ux%u:s%ux%u:d%ux%u:p%ux%u:g%u:f%d",
           l->transposed ? "transposed" : "conv", l->n, l->in_h, l->in_w, l->in_c, l->out_h, l->out_w, l->out_c,
           w->kernel[0], w->kernel[1], w->stride[0], w->stride[1], w->dilation[0], w->dilation[1], w->pad[0], w->pad[1],
           l->groups, function);
}

double cosrel_cl_layer_flops(const cosrel_cl_layer *l) {
  if (l->is_product) return 2.0 * l->batch * l->rows * l->columns * l->depth;
  double taps = (double)l->window.kernel[0] * l->window.kernel[1];
  double pixels = l->transposed ? (double)l->n * l->in_h * l->in_w : (double)pixels_out(l);
  return 2 * pixels * l->out_c * group_in(l) * taps;
}
