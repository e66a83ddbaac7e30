/* Convolutions and products on an OpenCL device: every way of every kind of layer against plain sums, what the tuner
 * keeps on disk, and the kernels under oclgrind, which finds races, accesses out of bounds and uninitialised memory.
 *
 * In the environment: COSREL_TEST_DRAWS leaves only the first of these, and a part of that, for oclgrind, which takes
 * its time. COSREL_TEST_FAULT does nothing but write beside the memory, which oclgrind must find. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "backends/half.h"
#include "backends/opencl/cache.h"
#include "backends/opencl/tuner.h"
#include "sched/rng.h"

#define OCLGRIND "/usr/lib/oclgrind/liboclgrind-rt.so"
#define FLOATS 65536 /* of the buffer that holds all tensors of a layer */

static char self[4096]; /* this program */

/* ---- The device ---- */

typedef struct machine {
  cosrel_cl_device device;
  cosrel_cl_programs programs;
  float *floats; /* [FLOATS] what the buffer holds */
  cl_mem memory;
} machine;

static bool open_machine(machine *m) {
  const cosrel_backend_spec spec = {.processor = "gpu", .backend = "opencl"};
  cosrel_error error = {""};
  cl_int code;
  *m = (machine){0};
  cosrel_status status = cosrel_cl_device_open(&spec, NULL, &m->device, &error);
  if (status != COSREL_OK) {
    printf("skipped: OpenCL's kernels (%s)\n", error.text);
    return false;
  }
  cosrel_cl_programs_init(&m->programs, &m->device);
  m->floats = malloc(FLOATS * sizeof *m->floats);
  m->memory = m->device.api.CreateBuffer(m->device.context, CL_MEM_READ_WRITE, FLOATS * sizeof(float), NULL, &code);
  assert_true(m->floats != NULL && m->memory != NULL);
  return true;
}

static void close_machine(machine *m) {
  m->device.api.ReleaseMemObject(m->memory);
  free(m->floats);
  cosrel_cl_programs_destroy(&m->programs);
  cosrel_cl_device_close(&m->device);
}

/* ---- Layers ---- */

static cosrel_cl_layer conv(uint32_t n, uint32_t h, uint32_t w, uint32_t c, uint32_t m, uint32_t groups,
                            uint32_t kernel, uint32_t stride, uint32_t dilation, uint32_t pad) {
  cosrel_cl_layer l = {.n = n, .in_h = h, .in_w = w, .in_c = c, .out_c = m, .groups = groups};
  uint32_t reach = (kernel - 1) * dilation + 1;
  l.window = (cosrel_window){{kernel, kernel}, {stride, stride}, {dilation, dilation}, {pad, pad, pad, pad}, false};
  l.out_h = (h + 2 * pad - reach) / stride + 1;
  l.out_w = (w + 2 * pad - reach) / stride + 1;
  return l;
}

static cosrel_cl_layer transposed(cosrel_cl_layer l) {
  const cosrel_window *w = &l.window;
  l.transposed = true;
  l.out_h = (l.in_h - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1 - w->pad[0] - w->pad[2];
  l.out_w = (l.in_w - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1 - w->pad[1] - w->pad[3];
  return l;
}

static cosrel_cl_layer with(cosrel_cl_layer l, cosrel_cl_function function, float a, float b) {
  l.activation = (cosrel_cl_activation){function, a, b};
  return l;
}

/* a: [outer][inner][rows][depth], b alike or, with `turned`, [outer][inner][columns][depth]; `alone`: one b for all. */
static cosrel_cl_layer product(uint32_t outer, uint32_t inner, uint32_t rows, uint32_t depth, uint32_t columns,
                               bool turned, bool alone) {
  cosrel_cl_layer l = {.is_product = true, .groups = 1, .batch = outer * inner, .inner = inner};
  l.rows = rows;
  l.depth = depth;
  l.columns = columns;
  l.a_row = depth;
  l.a_inner = (int64_t)rows * depth;
  l.a_outer = inner * l.a_inner;
  l.b_row = turned ? 1 : columns;
  l.b_column = turned ? depth : 1;
  l.b_inner = alone ? 0 : (int64_t)columns * depth;
  l.b_outer = inner * l.b_inner;
  return l;
}

/* ---- What must come out ---- */

static float activate(const cosrel_cl_layer *l, double x) {
  double a = l->activation.a, b = l->activation.b;
  switch (l->activation.function) {
    case COSREL_CL_NONE: return (float)x;
    case COSREL_CL_CLAMP: return (float)(x < a ? a : x > b ? b : x);
    case COSREL_CL_SILU: return (float)(x / (1 + exp(-x)));
    default: abort();
  }
}

/* The sum of a convolution; of a transposed one when its window's taps are asked for by what they reach. */
static double conv_sum(const cosrel_cl_layer *l, const cosrel_cl_weights *w, const float *in, uint32_t n, uint32_t y,
                       uint32_t x, uint32_t m) {
  const cosrel_window *v = &l->window;
  uint32_t in_group = l->in_c / l->groups, out_group = l->out_c / l->groups, group = m / out_group;
  double sum = w->bias != NULL ? w->bias[m] : 0;
  for (uint32_t ky = 0; ky < v->kernel[0]; ky++) {
    for (uint32_t kx = 0; kx < v->kernel[1]; kx++) {
      int64_t iy = (int64_t)y * v->stride[0] - v->pad[0] + ky * v->dilation[0];
      int64_t ix = (int64_t)x * v->stride[1] - v->pad[1] + kx * v->dilation[1];
      if (l->transposed) {
        iy = (int64_t)y + v->pad[0] - ky * v->dilation[0];
        ix = (int64_t)x + v->pad[1] - kx * v->dilation[1];
        if (iy % v->stride[0] != 0 || ix % v->stride[1] != 0) continue;
        iy /= v->stride[0];
        ix /= v->stride[1];
      }
      if (iy < 0 || ix < 0 || iy >= l->in_h || ix >= l->in_w) continue;
      const float *pixel = in + ((n * l->in_h + (size_t)iy) * l->in_w + (size_t)ix) * l->in_c + group * in_group;
      const float *weight = w->data + group * w->group_stride + m % out_group * w->out_stride;
      for (uint32_t c = 0; c < in_group; c++)
        sum += (double)pixel[c] * weight[c * w->in_stride + ky * v->kernel[1] + kx];
    }
  }
  return sum;
}

static double product_sum(const cosrel_cl_layer *l, const float *a, const float *b, uint32_t z, uint32_t i,
                          uint32_t j) {
  double sum = 0;
  a += z / l->inner * l->a_outer + z % l->inner * l->a_inner + i * l->a_row;
  b += z / l->inner * l->b_outer + z % l->inner * l->b_inner + j * l->b_column;
  for (uint32_t c = 0; c < l->depth; c++) sum += (double)a[c] * b[c * l->b_row];
  return sum;
}

/* The sum behind element i of the output. */
static double element(const cosrel_cl_layer *l, const cosrel_cl_weights *w, const float *in, const float *b,
                      uint64_t i) {
  if (l->is_product) {
    uint64_t row = i / l->columns;
    return product_sum(l, in, b, (uint32_t)(row / l->rows), (uint32_t)(row % l->rows), (uint32_t)(i % l->columns));
  }
  uint64_t pixel = i / l->out_c, line = pixel / l->out_w;
  return conv_sum(l, w, in, (uint32_t)(line / l->out_h), (uint32_t)(line % l->out_h), (uint32_t)(pixel % l->out_w),
                  (uint32_t)(i % l->out_c));
}

/* ---- One way of one layer ---- */

static cosrel_cl_ref take(uint64_t *used, uint64_t elements) {
  cosrel_cl_ref ref = {.base = COSREL_CL_ARENA, .offset = (int64_t)*used};
  *used += (elements + COSREL_PADDING / sizeof(float) + 15) / 16 * 16;
  assert_true(*used <= FLOATS);
  return ref;
}

static void fill(float *data, uint64_t n, uint64_t key) {
  for (uint64_t i = 0; i < n; i++) data[i] = (float)cosrel_rng_normal(cosrel_rng_key(key, i));
}

static void run_launches(machine *m, const cosrel_cl_layer *l, const cosrel_cl_way *way,
                         const cosrel_cl_layer_places *places) {
  const cosrel_cl_buffers none = {0};
  cosrel_error error = {""};
  for (uint32_t i = 0; i < cosrel_cl_layer_launches(l, way); i++) {
    cosrel_cl_launch launch = cosrel_cl_layer_launch(l, way, places, i);
    if (cosrel_cl_launch_make(&launch, &m->programs, &none, &error) != COSREL_OK) fail_msg("%s", error.text);
    assert_true(cosrel_cl_launch_time(&m->device, &launch, m->memory, 1) >= 0);
    cosrel_cl_launch_destroy(&m->device, &launch);
  }
}

/* As the planner does it: packed as floats, and then halved where the layer says so. */
static void pack(const cosrel_cl_layer *l, const cosrel_cl_way *way, const cosrel_cl_weights *from, uint64_t n,
                 float *weights, float *bias) {
  float *packed = calloc(n + 1, sizeof *packed);
  assert_non_null(packed);
  cosrel_cl_layer_pack(l, way, from, packed, bias);
  for (uint64_t i = 0; i < n && l->half != COSREL_CL_WIDE; i++) {
    uint16_t half = cosrel_half_of(packed[i]);
    memcpy((char *)weights + i * sizeof half, &half, sizeof half);
  }
  if (l->half == COSREL_CL_WIDE) memcpy(weights, packed, n * sizeof *weights);
  free(packed);
}

/* Outside of the tensors everything is NaN (under oclgrind, zeros that are uninitialised to it), and the whole buffer
 * but output and scratch must be as before. */
static void check_way(machine *m, const cosrel_cl_layer *l, const cosrel_cl_way *way) {
  cosrel_cl_layer_sizes s = cosrel_cl_layer_measure(l, way);
  cosrel_cl_layer_places p;
  uint64_t used = 0, taps = (uint64_t)l->window.kernel[0] * l->window.kernel[1];
  uint64_t group = l->is_product ? 0 : taps * (l->in_c / l->groups) * (l->out_c / l->groups);
  float *weights = calloc(l->groups * group + l->out_c + 1, sizeof *weights), *bias = weights + l->groups * group;
  float *before = malloc(FLOATS * sizeof *before);
  assert_true(weights != NULL && before != NULL);
  fill(weights, l->groups * group + l->out_c, 3);
  if (l->half != COSREL_CL_WIDE) /* what fp16 can say, so that nothing is lost when they are halved */
    for (uint64_t i = 0; i < l->groups * group; i++) weights[i] = cosrel_half_to_float(cosrel_half_of(weights[i]));
  cosrel_cl_weights w = {.data = weights, .bias = l->out_c % 2 == 0 ? bias : NULL, .group_stride = (int64_t)group};
  w.out_stride = (int64_t)(l->transposed ? taps : taps * (l->in_c / l->groups));
  w.in_stride = (int64_t)(l->transposed ? taps * (l->out_c / l->groups) : taps);
  for (uint32_t i = 0; i < FLOATS; i++) before[i] = NAN;
  p.in = take(&used, s.in);
  p.weights = take(&used, s.weight_room);
  p.bias = take(&used, s.bias);
  p.zeros = take(&used, s.zeros);
  p.out = take(&used, s.out);
  p.scratch = take(&used, s.scratch);
  fill(before + p.in.offset, s.in, 1);
  for (uint64_t i = 0; i < s.weight_room; i++) before[p.weights.offset + (int64_t)i] = 0;
  for (uint64_t i = 0; i < s.bias; i++) before[p.bias.offset + (int64_t)i] = 0;
  for (uint64_t i = 0; i < s.zeros; i++) before[p.zeros.offset + (int64_t)i] = 0;
  if (l->is_product)
    fill(before + p.weights.offset, s.weights, 2);
  else
    pack(l, way, &w, s.weights, before + p.weights.offset, before + p.bias.offset);
  const cosrel_cl_api *api = &m->device.api;
  size_t bytes = FLOATS * sizeof(float);
  assert_int_equal(api->EnqueueWriteBuffer(m->device.compute, m->memory, CL_TRUE, 0, bytes, before, 0, NULL, NULL), 0);
  run_launches(m, l, way, &p);
  assert_int_equal(api->EnqueueReadBuffer(m->device.compute, m->memory, CL_TRUE, 0, bytes, m->floats, 0, NULL, NULL),
                   0);
  char key[COSREL_CL_LAYER_KEY_MAX];
  cosrel_cl_layer_key(l, key);
  double largest = 0, tolerance = way->method == COSREL_CL_WINOGRAD ? 1e-4 : 1e-5;
  if (l->half == COSREL_CL_HALF) tolerance = 1e-2; /* inputs and sums are rounded, too */
  for (int round = 0; round < 2; round++) {
    for (uint64_t i = 0; i < s.out; i++) {
      double sum = element(l, &w, before + p.in.offset, before + p.weights.offset, i), expected = activate(l, sum);
      if (fabs(sum) > largest) largest = fabs(sum);
      if (round == 0 || fabs(m->floats[p.out.offset + (int64_t)i] - expected) <= tolerance * largest) continue;
      fail_msg("%s, method %d vec %u rows %u: element %u is %g, expected %g", key, way->method, way->vec, way->rows,
               (unsigned)i, m->floats[p.out.offset + (int64_t)i], expected);
    }
  }
  for (int64_t i = 0; i < FLOATS; i++) {
    bool written = (i >= p.out.offset && i < p.out.offset + (int64_t)s.out) ||
                   (i >= p.scratch.offset && i < p.scratch.offset + (int64_t)s.scratch);
    bool same = before[i] == m->floats[i] || (isnan(before[i]) && isnan(m->floats[i]));
    if (!written && !same)
      fail_msg("%s, method %d vec %u rows %u writes beside its tensors", key, way->method, way->vec, way->rows);
  }
  free(weights);
  free(before);
}

static void every_way_agrees(void **state) {
  (void)state;
  const cosrel_cl_layer layers[] = {
      conv(2, 7, 6, 3, 5, 1, 3, 2, 1, 1),
      with(conv(1, 9, 5, 8, 20, 1, 3, 1, 1, 1), COSREL_CL_CLAMP, 0, 6),
      conv(1, 8, 9, 4, 6, 2, 3, 1, 2, 2),
      conv(1, 6, 6, 5, 18, 1, 1, 2, 1, 0),
      transposed(conv(1, 4, 5, 6, 4, 2, 3, 2, 1, 1)),
      with(conv(1, 3, 7, 7, 19, 1, 1, 1, 1, 0), COSREL_CL_SILU, 0, 0),
      conv(1, 3, 1, 37, 21, 1, 1, 1, 1, 0),
      conv(1, 7, 11, 19, 19, 19, 3, 1, 1, 1),
      conv(2, 6, 7, 5, 5, 5, 3, 2, 2, 2),
      with(conv(1, 9, 9, 8, 8, 8, 5, 1, 1, 2), COSREL_CL_CLAMP, -1, INFINITY),
      with(conv(2, 6, 5, 16, 20, 1, 3, 1, 1, 1), COSREL_CL_CLAMP, -2, 2),
      with(conv(1, 4, 9, 20, 16, 1, 3, 1, 1, 0), COSREL_CL_SILU, 0, 0),
      product(2, 3, 5, 7, 9, false, false),
      product(1, 2, 7, 6, 18, true, false),
      with(product(2, 1, 3, 4, 5, false, true), COSREL_CL_CLAMP, 0, 1),
  };
  machine m;
  if (!open_machine(&m)) return;
  for (int half = COSREL_CL_WIDE; half <= (m.device.fp16 ? COSREL_CL_HALF : COSREL_CL_HALF_WEIGHTS); half++) {
    static const char *const names[] = {"fp32", "fp16 weights", "fp16"};
    uint32_t used[COSREL_CL_METHODS + 1] = {0};
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
      cosrel_cl_layer l = layers[i];
      if (half != COSREL_CL_WIDE && l.is_product) continue;
      l.half = (cosrel_cl_half)half;
      for (uint32_t vector = 1; vector <= 8; vector += 7) { /* what a GPU does, and a processor */
        cosrel_cl_way ways[COSREL_CL_WAYS_MAX];
        m.device.vector = vector;
        uint32_t n = cosrel_cl_layer_ways(&l, &m.device, ways);
        for (uint32_t k = 0; k < n; k++) {
          if (getenv("COSREL_TEST_DRAWS") != NULL && (i + k) % 3 != 0) continue;
          check_way(&m, &l, &ways[k]);
          used[l.is_product ? COSREL_CL_METHODS : ways[k].method]++;
        }
      }
    }
    printf("%-13s direct %u, gemm %u, dense %u, depthwise %u, winograd %u, products %u\n", names[half], used[0],
           used[1], used[2], used[3], used[4], used[5]);
    for (int k = 0; k <= COSREL_CL_METHODS; k++)
      assert_true(used[k] >= 1 || (half != COSREL_CL_WIDE && k >= COSREL_CL_WINOGRAD));
  }
  close_machine(&m);
}

/* The products of Winograd's transforms go through the same scratch chunk by chunk. */
static void chunks_follow_each_other(void **state) {
  (void)state;
  const cosrel_cl_layer l = conv(1, 300, 260, 16, 16, 1, 3, 1, 1, 1);
  const cosrel_cl_way way = {COSREL_CL_WINOGRAD, 16, 6, 1, 8, 1};
  assert_true(cosrel_cl_layer_launches(&l, &way) > 3);
  cosrel_cl_layer_places p = {0};
  uint64_t tiles = 0;
  for (uint32_t i = 0; i < cosrel_cl_layer_launches(&l, &way); i += 3) {
    cosrel_cl_launch first = cosrel_cl_layer_launch(&l, &way, &p, i);
    assert_int_equal(first.args[2].i, tiles); /* behind in and out */
    tiles += (uint64_t)first.args[3].i;
  }
  assert_int_equal(tiles, 75 * 65);
}

/* FP16 needs a device with cl_khr_fp16; where there is none, what clang says must do. */
static void kernels_compile_for_half(void **state) {
  (void)state;
  static const char *const names[] = {"conv", "gemm", "dense", "depthwise", "peak"};
  const char *folder_of_kernels = "backends/opencl/kernels";
  char line[512];
  if (system("clang --version >/dev/null 2>&1") != 0) {
    printf("skipped: kernels in half precision (no clang)\n");
    return;
  }
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    for (int vec = 4; vec <= 16; vec *= 2) {
      snprintf(line, sizeof line,
               "cd %s && cat common.cl vector.cl %s.cl | clang -x cl -cl-std=CL1.2 -Xclang -finclude-default-header "
               "-target spir64 -fsyntax-only -Werror -Dcl_khr_fp16 -DFP16 -DVEC=%d -DROWS=4 -DSTEP=4 -DSPLIT=8 "
               "-DKERNEL_W=3 -DSTRIDE_W=1 -DDILATION_W=1 -",
               folder_of_kernels, names[i], vec);
      if (system(line) != 0) fail_msg("%s.cl with FP16 and VEC %d does not compile", names[i], vec);
    }
  }
}

/* ---- What the tuner keeps ---- */

static char folder[] = "/tmp/cosrel-opencl-XXXXXX";

/* The one file of the tuner in `folder`. */
static void tuning_path(char path[256]) {
  char line[128];
  snprintf(line, sizeof line, "ls %s/tuning-*", folder);
  FILE *pipe = popen(line, "r");
  assert_non_null(pipe);
  assert_non_null(fgets(path, 256, pipe));
  path[strcspn(path, "\n")] = '\0';
  assert_int_equal(pclose(pipe), 0);
}

/* Chooses for one layer; returns how many were measured for that. */
static uint32_t choose(machine *m, const cosrel_cl_layer *l, cosrel_cl_way *way) {
  cosrel_cl_tuner tuner;
  cosrel_cl_tuner_begin(&tuner, &m->device, &m->programs);
  *way = cosrel_cl_tuner_choose(&tuner, l);
  uint32_t measured = tuner.n_measured;
  cosrel_cl_tuner_end(&tuner);
  return measured;
}

static void choices_are_kept_and_checked(void **state) {
  (void)state;
  const cosrel_cl_layer l = conv(1, 12, 12, 64, 64, 1, 1, 1, 1, 0);
  cosrel_cl_way way, again, ways[COSREL_CL_WAYS_MAX];
  machine m;
  char path[256];
  if (!open_machine(&m)) return;
  setenv("COSREL_TUNE", "600", 1);
  assert_int_equal(choose(&m, &l, &way), 1);
  assert_int_equal(choose(&m, &l, &again), 0); /* from disk */
  assert_memory_equal(&way, &again, sizeof way);
  cosrel_cl_layer half = l; /* in fp16 it is another layer */
  half.half = COSREL_CL_HALF_WEIGHTS;
  assert_int_equal(choose(&m, &half, &again), 1);
  assert_int_equal(choose(&m, &half, &again), 0);
  tuning_path(path);
  FILE *file = fopen(path, "r+b"); /* damaged: measured anew, and written */
  assert_non_null(file);
  assert_int_equal(fseek(file, -3, SEEK_END), 0);
  fputc('x', file);
  fclose(file);
  assert_int_equal(choose(&m, &l, &way), 1);
  assert_int_equal(choose(&m, &l, &again), 0);
  file = fopen(path, "wb"); /* somebody else's */
  assert_non_null(file);
  fputs("not a cache entry", file);
  fclose(file);
  assert_int_equal(choose(&m, &l, &way), 1);
  setenv("COSREL_TUNE", "0", 1); /* off: the best guess, whatever was measured */
  assert_int_equal(choose(&m, &l, &again), 0);
  assert_int_equal(cosrel_cl_layer_ways(&l, &m.device, ways), 4);
  assert_memory_equal(&again, &ways[0], sizeof again);
  setenv("COSREL_TUNE", "0.000000001", 1); /* no time for a layer that is not known */
  const cosrel_cl_layer other = conv(1, 13, 12, 64, 64, 1, 1, 1, 1, 0);
  assert_int_equal(choose(&m, &other, &again), 0);
  close_machine(&m);
}

/* An entry with the right key and checksum whose lines are not what the tuner writes. */
static void hostile_choices_count_as_nothing(void **state) {
  (void)state;
  static const char *const texts[] = {
      "%s 1 16 6 1 8\n",          "%s 9 16 6 1 8 1 1000\n", "%s 1 16 6 1 8 1 -5\n",  "%s 1 16 6 1 8 1 1000",
      "%s 1 1048576 6 1 8 1 9\n", "%s  1 16 6 1 8 1 9\n",   "%s 1 16 6 1 8 1 9 9\n", "\n",
      "%s 1 3 5 1 8 1 1000\n", /* whole, but no way of this layer */
  };
  const cosrel_cl_layer l = conv(1, 12, 12, 64, 64, 1, 1, 1, 1, 0);
  cosrel_cl_way ways[COSREL_CL_WAYS_MAX];
  machine m;
  if (!open_machine(&m)) return;
  setenv("COSREL_TUNE", "600", 1);
  char name[COSREL_CL_LAYER_KEY_MAX], text[256], path[256];
  cosrel_cl_layer_key(&l, name);
  tuning_path(path);
  FILE *file = fopen(path, "rb");
  uint64_t header[4];
  char *key = calloc(1, 65536);
  assert_true(file != NULL && key != NULL && fread(header, sizeof header, 1, file) == 1);
  assert_true(header[1] < 65536 && fread(key, (size_t)header[1], 1, file) == 1); /* its own key, as the cache has it */
  fclose(file);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    cosrel_cl_tuner tuner;
    snprintf(text, sizeof text, texts[i], name);
    assert_true(cosrel_cl_cache_write("tuning", key, (size_t)header[1], text, strlen(text)));
    cosrel_cl_tuner_begin(&tuner, &m.device, &m.programs);
    uint32_t known = tuner.n;
    cosrel_cl_way way = cosrel_cl_tuner_choose(&tuner, &l);
    uint32_t n = cosrel_cl_layer_ways(&l, &m.device, ways), found = 0;
    while (found < n && memcmp(&ways[found], &way, sizeof way) != 0) found++;
    assert_true(found < n);
    assert_int_equal(known, i == sizeof texts / sizeof texts[0] - 1 ? 1 : 0);
    tuner.n_measured = 0; /* nothing to write */
    cosrel_cl_tuner_end(&tuner);
  }
  free(key);
  close_machine(&m);
}

/* ---- oclgrind ---- */

/* Runs a program with few draws on oclgrind's device; `found` gets what oclgrind said, at most n - 1 bytes. */
static int run_oclgrind(const char *program, const char *more, char *found, size_t n) {
  char line[4700];
  snprintf(line, sizeof line,
           "env COSREL_OPENCL=" OCLGRIND
           " COSREL_TEST_DRAWS=4 COSREL_CACHE= OCLGRIND_DATA_RACES=1 "
           "OCLGRIND_BUILD_OPTIONS=-cl-opt-disable " /* optimised code has instructions that it does not know */
           "OCLGRIND_UNINITIALIZED=1 OCLGRIND_UNIFORM_WRITES=1 OCLGRIND_LOG=%s/oclgrind %s '%s' >%s/output 2>&1",
           folder, more, program, folder);
  int status = system(line);
  char path[256];
  snprintf(path, sizeof path, "%s/oclgrind", folder);
  FILE *file = fopen(path, "rb");
  size_t bytes = file != NULL ? fread(found, 1, n - 1, file) : 0;
  found[bytes] = '\0';
  if (file != NULL) fclose(file);
  remove(path);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static bool has_oclgrind(void) {
  if (access(OCLGRIND, R_OK) == 0) return true;
  printf("skipped: OpenCL's kernels under oclgrind (it is not installed)\n");
  return false;
}

/* A kernel that is told to write behind the end of its memory. */
static void write_beside(void **state) {
  (void)state;
  const cosrel_cl_layer l = conv(1, 2, 2, 4, 4, 1, 1, 1, 1, 0);
  const cosrel_cl_way way = {COSREL_CL_DIRECT, 4, 4, 1, 1, 1};
  cosrel_cl_layer_places p = {0};
  machine m;
  if (!open_machine(&m)) return;
  p.out.offset = FLOATS;
  run_launches(&m, &l, &way, &p);
  close_machine(&m);
}

static void kernels_are_clean_under_oclgrind(void **state) {
  (void)state;
  static const char *const programs[] = {"test_opencl", "test_backends"};
  static char found[1 << 20];
  char program[4200];
  if (!has_oclgrind()) return;
  run_oclgrind(self, "COSREL_TEST_FAULT=1", found, sizeof found);
  assert_non_null(strstr(found, "Invalid write"));
  assert_non_null(strstr(found, "uninitialized value")); /* it also reads memory that nobody has written */
  for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
    char *slash = strrchr(self, '/');
    snprintf(program, sizeof program, "%.*s/%s", (int)(slash - self), self, programs[i]);
    if (access(program, X_OK) != 0) continue; /* not built: `make test ONLY=opencl` */
    int status = run_oclgrind(program, "", found, sizeof found);
    if (found[0] != '\0') fail_msg("%s: %.2000s", programs[i], found);
    assert_int_equal(status, 0);
  }
}

int main(int argc, char **argv) {
  (void)argc;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_way_agrees),
      cmocka_unit_test(chunks_follow_each_other),
      cmocka_unit_test(kernels_compile_for_half),
      cmocka_unit_test(choices_are_kept_and_checked),
      cmocka_unit_test(hostile_choices_count_as_nothing),
      cmocka_unit_test(kernels_are_clean_under_oclgrind),
  };
  const struct CMUnitTest few[] = {cmocka_unit_test(every_way_agrees)}, fault[] = {cmocka_unit_test(write_beside)};
  snprintf(self, sizeof self, "%s%s", strchr(argv[0], '/') != NULL ? "" : "./", argv[0]);
  if (getenv("COSREL_TEST_FAULT") != NULL) return cmocka_run_group_tests(fault, NULL, NULL);
  if (getenv("COSREL_TEST_DRAWS") != NULL) return cmocka_run_group_tests(few, NULL, NULL);
  if (mkdtemp(folder) == NULL || setenv("COSREL_CACHE", folder, 1) != 0) return 1;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  char line[128];
  snprintf(line, sizeof line, "rm -r %s", folder);
  return system(line) == 0 ? failed : 1;
}
