/* Launches of each way of a layer: what kernels/conv.cl, gemm.cl, dense.cl, depthwise.cl and winograd.cl are told. */
#include <math.h>

#include "backends/opencl/layer.h"
#include "backends/opencl/winograd.h"

static uint64_t divide_up(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

static cosrel_cl_launch begin(const char *source, const char *kernel, const cosrel_cl_layer *l, uint32_t vec,
                              uint32_t rows, uint32_t step) {
  cosrel_cl_launch launch = cosrel_cl_launch_of(source, kernel);
  cosrel_cl_define(&launch, "VEC", (int32_t)vec);
  cosrel_cl_define(&launch, "ROWS", (int32_t)rows);
  cosrel_cl_define(&launch, "STEP", (int32_t)step);
  if (l->half != COSREL_CL_WIDE) cosrel_cl_define(&launch, l->half == COSREL_CL_HALF ? "FP16" : "HALF_WEIGHTS", 1);
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
  PUSH_INTS(&launch, (int64_t)cosrel_cl_layer_pixels(l), l->out_h, l->out_w, l->in_h, l->in_w, l->in_c, l->out_c,
            l->in_c / l->groups, l->out_c / l->groups, w->kernel[0], w->kernel[1], w->stride[0], w->stride[1],
            w->dilation[0], w->dilation[1], w->pad[0], w->pad[1],
            !l->transposed && l->groups == 1 && w->dilation[1] == 1);
  push_limits(&launch, l);
  cosrel_cl_size(&launch, divide_up(cosrel_cl_layer_pixels(l), way->rows), cosrel_cl_layer_blocks(l, way), 1,
                 way->local_x, way->local_y, 1);
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
  cosrel_cl_size(&launch, cosrel_cl_layer_blocks(l, way), divide_up(l->out_w, way->rows), (uint64_t)l->n * l->out_h,
                 way->local_x, way->local_y, 1);
  return launch;
}

static cosrel_cl_launch dense_launch(const cosrel_cl_layer *l, const cosrel_cl_way *way,
                                     const cosrel_cl_layer_places *p) {
  cosrel_cl_launch launch = begin("dense", "dense", l, way->vec, 1, 1);
  cosrel_cl_define(&launch, "SPLIT", (int32_t)way->rows);
  push_tensors(&launch, p);
  PUSH_INTS(&launch, l->out_c, l->in_c);
  push_limits(&launch, l);
  cosrel_cl_size(&launch, way->rows, cosrel_cl_layer_blocks(l, way), cosrel_cl_layer_pixels(l), way->rows, 1, 1);
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
  cosrel_cl_size(&launch, l->depth, cosrel_cl_layer_blocks(l, way), l->batch, (size_t)way->local_x * way->local_y, 1,
                 1);
  return launch;
}

static cosrel_cl_launch product_launch(const cosrel_cl_layer *l, const cosrel_cl_way *way,
                                       const cosrel_cl_layer_places *p) {
  int64_t packed = (int64_t)(cosrel_cl_layer_blocks(l, way) * l->depth * way->vec);
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
  uint64_t all = cosrel_cl_winograd_tiles(l), chunk = cosrel_cl_winograd_chunk(l), first = index / 3 * chunk;
  uint64_t tiles = all - first < chunk ? all - first : chunk;
  int64_t tiles_h = (l->out_h + 3) / 4, tiles_w = (l->out_w + 3) / 4;
  uint32_t in_vec = l->in_c % 8 == 0 && way->vec >= 8 ? 8 : 4, out_vec = l->out_c % 8 == 0 && way->vec >= 8 ? 8 : 4;
  cosrel_cl_ref middle = p->scratch;
  middle.offset += (int64_t)cosrel_cl_winograd_middle(l);
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
                          .b_inner = (int64_t)(cosrel_cl_layer_blocks(l, way) * way->vec * l->in_c)};
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
  return 3 * (uint32_t)divide_up(cosrel_cl_winograd_tiles(l), cosrel_cl_winograd_chunk(l));
}

cosrel_cl_launch cosrel_cl_layer_launch(const cosrel_cl_layer *l, const cosrel_cl_way *way,
                                        const cosrel_cl_layer_places *p, uint32_t index) {
  if (l->is_product) return index == 0 ? pack_launch(l, way, p) : product_launch(l, way, p);
  switch (way->method) {
    case COSREL_CL_WINOGRAD: return winograd_launch(l, way, p, index);
    case COSREL_CL_DENSE: return dense_launch(l, way, p);
    case COSREL_CL_DEPTHWISE: return depthwise_launch(l, way, p);
    case COSREL_CL_GEMM: {
      const gemm_sizes g = {.batch = 1,
                            .rows = cosrel_cl_layer_pixels(l),
                            .columns = l->out_c,
                            .depth = l->in_c,
                            .a_row = l->in_c,
                            .inner = 1};
      return gemm_launch(l, &g, way, p);
    }
    default: return conv_launch(l, way, p);
  }
}
