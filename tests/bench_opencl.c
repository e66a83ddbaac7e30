/* The opencl backend on one core: arithmetic per second of layers of the zoo, as a share of what the device can do at
 * most and against XNNPACK and CLBlast (where installed) on the same core; and what it costs to dispatch.
 *
 * A layer is a net of one operator, computed by each backend as a segment of one unit; time is from submit to the end
 * of wait. Layers with weights are computed in fp16, too: fp16 weights, and products in fp16 where the device has them.
 * The runs take turns and the best of each counts, since others may load the machine. Arithmetic is that of
 * the plain sum, so that Winograd's convolutions may exceed the peak. CLBlast multiplies where a layer is one product
 * of matrices; it takes 10 to 20 s to compile. Choices are tuned for at most 20 s a layer unless COSREL_TUNE says
 * otherwise. BENCH_CORE is the core (the last one). Operators named as arguments replace all. */
#include <dlfcn.h>
#include <unistd.h>

#include "backends/monotonic.h"
#include "backends/opencl/launch.h"
#include "tests/bench.h"
#include "tests/net_aid.h"

#define ROUNDS_MIN 7
#define ROUNDS_MAX 400
#define LAYER_TIME (3 * COSREL_S / 2) /* of rounds */

/* kernel 0: a dense layer of n rows; groups 0: a product of two tensors, `n` of them of h rows. */
typedef struct layer {
  const char *operator_name, *where;
  uint32_t n, h, c, m, kernel, stride, groups;
} layer;

static const layer layers[] = {
    {"conv3x3", "vgg16 conv1_2", 1, 224, 64, 64, 3, 1, 1},
    {"conv3x3", "resnet18, first stage", 1, 56, 64, 64, 3, 1, 1},
    {"conv3x3", "resnet18, second stage", 1, 28, 128, 128, 3, 1, 1},
    {"conv3x3", "resnet18, third stage", 1, 14, 256, 256, 3, 1, 1},
    {"conv3x3", "resnet18, fourth stage", 1, 7, 512, 512, 3, 1, 1},
    {"conv3x3", "yolov3, 13 x 13", 1, 13, 512, 1024, 3, 1, 1},
    {"conv3x3s2", "resnet18, into second stage", 1, 56, 64, 128, 3, 2, 1},
    {"conv3x3s2", "mobilenet_v1, first", 1, 224, 3, 32, 3, 2, 1},
    {"conv7x7s2", "resnet18, first", 1, 224, 3, 64, 7, 2, 1},
    {"conv5x5", "alexnet conv2", 1, 27, 96, 256, 5, 1, 2},
    {"conv1x1", "mobilenet_v1, 112 x 112", 1, 112, 32, 64, 1, 1, 1},
    {"conv1x1", "mobilenet_v1, 14 x 14", 1, 14, 512, 512, 1, 1, 1},
    {"conv1x1", "resnet50, 56 x 56", 1, 56, 64, 256, 1, 1, 1},
    {"conv1x1", "resnet50, 14 x 14", 1, 14, 1024, 256, 1, 1, 1},
    {"depthwise3x3", "mobilenet_v1, 112 x 112", 1, 112, 32, 32, 3, 1, 32},
    {"depthwise3x3", "mobilenet_v1, 14 x 14", 1, 14, 512, 512, 3, 1, 512},
    {"depthwise3x3s2", "mobilenet_v2, 112 x 112", 1, 112, 96, 96, 3, 2, 96},
    {"depthwise5x5", "efficientnet_b0, 28 x 28", 1, 28, 240, 240, 5, 1, 240},
    {"dense", "resnet18", 1, 1, 512, 1000, 0, 1, 1},
    {"dense", "alexnet fc6", 1, 1, 9216, 4096, 0, 1, 1},
    {"dense", "transformer_small, 128 tokens", 128, 1, 256, 1024, 0, 1, 1},
    {"matmul", "transformer_small, scores of 4 heads", 4, 128, 64, 128, 0, 1, 0},
};

static bool is_product(const layer *l) { return l->groups == 0; }
static bool is_dense(const layer *l) { return l->kernel == 0 && l->groups > 0; }

static double flops_of(const layer *l) {
  if (is_product(l)) return 2.0 * l->n * l->h * l->c * l->m;
  if (is_dense(l)) return 2.0 * l->n * l->c * l->m;
  uint32_t side = (l->h + l->stride - 1) / l->stride, depth = l->c / l->groups;
  return 2.0 * side * side * l->m * depth * l->kernel * l->kernel;
}

static void build(const layer *l, cosrel_network *network) {
  cosrel_error error = {""};
  aid_net a;
  aid_begin(&a, 1, 14);
  if (is_product(l)) {
    int32_t x = aid_input(&a, AID_SHAPE(1, l->n, l->h, l->c)), y = aid_input(&a, AID_SHAPE(1, l->n, l->c, l->m));
    aid_output(&a, AID_NODE(&a, "MatMul", x, y));
  } else if (is_dense(l)) {
    int32_t x = aid_input(&a, AID_SHAPE(l->n, l->c));
    aid_output(&a, AID_NODE(&a, "Gemm", x, aid_constant(&a, AID_SHAPE(l->c, l->m)), aid_constant(&a, AID_SHAPE(l->m))));
  } else {
    uint32_t pad = l->kernel / 2, k = l->kernel;
    int32_t x = aid_input(&a, AID_SHAPE(l->n, l->c, l->h, l->h));
    AID_INTS(&a, "kernel_shape", k, k);
    AID_INTS(&a, "strides", l->stride, l->stride);
    AID_INTS(&a, "pads", pad, pad, pad, pad);
    AID_INTS(&a, "group", l->groups);
    int32_t weights = aid_constant(&a, AID_SHAPE(l->m, l->c / l->groups, k, k));
    aid_output(&a, AID_NODE(&a, "Conv", x, weights, aid_constant(&a, AID_SHAPE(l->m))));
  }
  bench_check(cosrel_net_settle(&a.net, &error), &error);
  bench_check(cosrel_network_create(&a.net, network, &error), &error);
}

/* ---- A backend with a network ---- */

typedef struct machine {
  cosrel_backend *backend; /* NULL: there is none */
  cosrel_prepared *prepared;
  cosrel_buffer *buffer;
  void *arena;
} machine;

/* `precision`: of all units. */
static void load(machine *m, const cosrel_network *network, cosrel_precision precision) {
  uint8_t precisions[COSREL_UNITS_MAX];
  memset(precisions, precision, sizeof precisions);
  cosrel_error error = {""};
  float **inputs = aid_inputs(&network->net, 1);
  m->arena = aid_arena(network);
  cosrel_network_put_inputs(network, (const float *const *)inputs, m->arena);
  aid_free(inputs, network->net.n_inputs);
  bench_check(m->backend->ops->prepare(m->backend, network, precisions, &m->prepared, &error), &error);
  if (m->backend->ops->buffer_create == NULL) return;
  bench_check(m->backend->ops->buffer_create(m->backend, network->arena_bytes, &m->buffer, &error), &error);
  for (uint32_t i = 0; i < network->net.n_inputs; i++) {
    int32_t value = network->net.inputs[i];
    size_t offset = (size_t)network->offsets[value];
    m->backend->ops->write(m->backend, m->buffer, offset, (char *)m->arena + offset,
                           cosrel_tensor_bytes(&network->net.values[value].tensor));
  }
}

static void unload(machine *m) {
  if (m->buffer != NULL) m->backend->ops->buffer_destroy(m->backend, m->buffer);
  m->backend->ops->release(m->backend, m->prepared);
  free(m->arena);
  m->buffer = NULL;
}

/* Seconds of units [begin, end), `step` to a segment. */
static double run(machine *m, uint32_t begin, uint32_t end, uint32_t step) {
  const cosrel_backend_ops *ops = m->backend->ops;
  cosrel_error error = {""};
  cosrel_time start = cosrel_monotonic_now();
  for (uint32_t u = begin; u < end; u += step) {
    bench_check(ops->submit(m->backend, m->prepared, m->arena, m->buffer, u, u + step < end ? u + step : end), &error);
    bench_check(ops->wait(m->backend, 60 * COSREL_S), &error);
  }
  return 1e-9 * (double)(cosrel_monotonic_now() - start);
}

/* ---- CLBlast ---- */

typedef int (*sgemm_function)(int layout, int a_transposed, int b_transposed, size_t m, size_t n, size_t k, float alpha,
                              cl_mem a, size_t a_at, size_t a_row, cl_mem b, size_t b_at, size_t b_row, float beta,
                              cl_mem c, size_t c_at, size_t c_row, cl_command_queue *queue, cl_event *event);

typedef struct clblast {
  const cosrel_cl_device *device;
  sgemm_function sgemm; /* NULL: not installed */
  cl_mem a, b, c;
  size_t m, n, k; /* 0: this layer is no product of matrices */
} clblast;

static void clblast_load(clblast *c, const cosrel_cl_device *device) {
  void *library = dlopen("libclblast.so.1", RTLD_NOW);
  *c = (clblast){.device = device};
  if (library != NULL) *(void **)&c->sgemm = dlsym(library, "CLBlastSgemm");
}

static cl_mem create(const cosrel_cl_device *device, size_t floats) {
  cl_int code;
  float *zeros = calloc(floats, sizeof *zeros);
  if (zeros == NULL) abort();
  cl_mem memory = device->api.CreateBuffer(device->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST_PTR,
                                           floats * sizeof *zeros, zeros, &code);
  free(zeros);
  return memory;
}

static double clblast_run(clblast *c) {
  const cosrel_cl_api *api = &c->device->api;
  cl_command_queue queue = c->device->compute;
  cl_event event = NULL;
  cosrel_time start = cosrel_monotonic_now();
  if (c->sgemm(101, 111, 111, c->m, c->n, c->k, 1, c->a, 0, c->k, c->b, 0, c->n, 0, c->c, 0, c->n, &queue, &event) != 0)
    return INFINITY;
  api->WaitForEvents(1, &event);
  api->ReleaseEvent(event);
  return 1e-9 * (double)(cosrel_monotonic_now() - start);
}

static void clblast_open(clblast *c, const layer *l) {
  bool gemm = !is_product(l) && (is_dense(l) || (l->kernel == 1 && l->stride == 1));
  c->m = c->sgemm != NULL && gemm ? (is_dense(l) ? l->n : (size_t)l->h * l->h) : 0;
  if (c->m == 0) return;
  c->n = l->m;
  c->k = l->c;
  c->a = create(c->device, c->m * c->k);
  c->b = create(c->device, c->k * c->n);
  c->c = create(c->device, c->m * c->n);
  clblast_run(c); /* compiles */
}

static void clblast_close(clblast *c) {
  if (c->m == 0) return;
  c->device->api.ReleaseMemObject(c->a);
  c->device->api.ReleaseMemObject(c->b);
  c->device->api.ReleaseMemObject(c->c);
}

/* ---- Figures ---- */

static double smaller(double a, double b) { return a < b ? a : b; }

/* GFLOP/s in registers, at the best vector width. */
static double measure_peak(const cosrel_cl_device *device, cosrel_cl_programs *programs) {
  const double rounds = 20000, items = 8;
  const cosrel_cl_buffers none = {0};
  cosrel_error error = {""};
  cl_mem memory = create(device, 4096);
  double best = 0;
  for (int vec = 4; vec <= 16; vec *= 2) {
    cosrel_cl_launch launch = cosrel_cl_launch_of("peak", "peak");
    cosrel_cl_define(&launch, "VEC", vec);
    cosrel_cl_define(&launch, "ROWS", 1);
    cosrel_cl_define(&launch, "STEP", 1);
    cosrel_cl_push_out(&launch, (cosrel_cl_ref){.base = COSREL_CL_ARENA});
    cosrel_cl_push_int(&launch, (int64_t)rounds);
    cosrel_cl_push_float(&launch, 0.5F);
    cosrel_cl_size(&launch, (size_t)items, 1, 1, 1, 1, 1);
    bench_check(cosrel_cl_launch_make(&launch, programs, &none, &error), &error);
    cosrel_time ns = cosrel_cl_launch_time(device, &launch, memory, 300);
    double gflops = 24.0 * vec * rounds * items / (double)ns;
    if (gflops > best) best = gflops;
    cosrel_cl_launch_destroy(device, &launch);
  }
  device->api.ReleaseMemObject(memory);
  return best;
}

/* Seconds of the one unit, by the device's clock. */
static double run_on_device(machine *m) {
  cosrel_telemetry telemetry;
  run(m, 0, 1, 1);
  m->backend->ops->telemetry(m->backend, &telemetry);
  return telemetry.device_ns > 0 ? 1e-9 * (double)telemetry.device_ns : INFINITY;
}

static void bench_layer(const layer *l, machine *opencl, machine *xnnpack, clblast *blas, double peak, bool native) {
  cosrel_network network;
  double best = INFINITY, best_half = INFINITY, best_xnnpack = INFINITY, best_blas = INFINITY;
  build(l, &network);
  machine half = {.backend = opencl->backend};
  bool halves = opencl->backend->ops->supports(opencl->backend, &network, 0, COSREL_FP16);
  load(opencl, &network, COSREL_FP32);
  if (halves) load(&half, &network, COSREL_FP16);
  if (xnnpack->backend != NULL) load(xnnpack, &network, COSREL_FP32);
  clblast_open(blas, l);
  cosrel_time begun = cosrel_monotonic_now();
  for (int i = 0; i < ROUNDS_MAX && (i < ROUNDS_MIN || cosrel_monotonic_now() - begun < LAYER_TIME); i++) {
    best = smaller(best, run_on_device(opencl));
    if (halves) best_half = smaller(best_half, run_on_device(&half));
    if (xnnpack->backend != NULL) best_xnnpack = smaller(best_xnnpack, run(xnnpack, 0, 1, 1));
    if (blas->m > 0) best_blas = smaller(best_blas, clblast_run(blas));
  }
  double gflops = 1e-9 * flops_of(l) / best;
  char more[512];
  int n = snprintf(more, sizeof more, "\"operator\": \"%s\", \"layer\": \"%s\", \"share_of_peak\": %.3f",
                   l->operator_name, l->where, gflops / peak);
  if (isfinite(best_xnnpack))
    n += snprintf(more + n, sizeof more - (size_t)n, ", \"xnnpack_gflops\": %.4g, \"speed_over_xnnpack\": %.3f",
                  1e-9 * flops_of(l) / best_xnnpack, best_xnnpack / best);
  if (isfinite(best_blas))
    snprintf(more + n, sizeof more - (size_t)n, ", \"clblast_gflops\": %.4g, \"speed_over_clblast\": %.3f",
             1e-9 * flops_of(l) / best_blas, best_blas / best);
  bench_print("opencl_gflops", gflops, "GFLOP/s", more);
  if (halves) {
    snprintf(more, sizeof more,
             "\"operator\": \"%s\", \"layer\": \"%s\", \"products\": \"%s\", \"speed_over_fp32\": %.3f",
             l->operator_name, l->where, native ? "fp16" : "fp32", best / best_half);
    bench_print("opencl_fp16_gflops", 1e-9 * flops_of(l) / best_half, "GFLOP/s", more);
    unload(&half);
  }
  clblast_close(blas);
  unload(opencl);
  if (xnnpack->backend != NULL) unload(xnnpack);
  cosrel_network_destroy(&network);
}

/* A chain of units that do next to nothing, in one segment and in one each: T(n) = segment + n * unit. */
static void bench_dispatch(machine *m) {
  enum { UNITS = 64 };
  cosrel_network network;
  cosrel_error error = {""};
  double together = INFINITY, apart = INFINITY;
  char more[128];
  aid_net a;
  aid_begin(&a, 1, 14);
  int32_t x = aid_input(&a, AID_SHAPE(1, 16)), y = aid_input(&a, AID_SHAPE(1, 16));
  for (int i = 0; i < UNITS; i++) x = AID_NODE(&a, "Add", x, y);
  aid_output(&a, x);
  bench_check(cosrel_net_settle(&a.net, &error), &error);
  bench_check(cosrel_network_create(&a.net, &network, &error), &error);
  load(m, &network, COSREL_FP32);
  uint32_t n = network.model.n_units;
  for (int i = 0; i < 200; i++) {
    together = smaller(together, run(m, 0, n, n));
    apart = smaller(apart, run(m, 0, n, 1));
  }
  double segment = (apart - together) / (n - 1), unit = (together - segment) / n;
  snprintf(more, sizeof more, "\"units\": %u", n);
  bench_print("opencl_dispatch_us_per_segment", 1e6 * segment, "us", more);
  bench_print("opencl_dispatch_us_per_unit", 1e6 * unit, "us", more);
  snprintf(more, sizeof more, "\"units\": %u, \"of\": \"one segment per unit over one segment\"", n);
  bench_print("opencl_dispatch_ratio", apart / together, "1", more);
  unload(m);
  cosrel_network_destroy(&network);
}

static void open_backend(machine *m, const char *name, uint16_t core) {
  cosrel_backend_spec spec = {.processor = "bench", .n_cores = 1, .cores = {core}};
  cosrel_error error = {""};
  *m = (machine){0};
  snprintf(spec.backend, sizeof spec.backend, "%s", name);
  if (cosrel_backend_find(name) != NULL && cosrel_backend_open(&spec, &m->backend, &error) != COSREL_OK)
    fprintf(stderr, "%s\n", error.text);
}

static bool is_wanted(const layer *l, int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], l->operator_name) == 0) return true;
  return argc < 2;
}

int main(int argc, char **argv) {
  const char *text = getenv("BENCH_CORE");
  uint16_t core = (uint16_t)(text != NULL ? strtol(text, NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN) - 1);
  const cosrel_backend_spec spec = {.processor = "bench", .backend = "opencl", .n_cores = 1, .cores = {core}};
  machine opencl, xnnpack;
  cosrel_cl_device device; /* for the peak and CLBlast */
  cosrel_cl_programs programs;
  cosrel_error error = {""};
  clblast blas;
  char more[512];
  setenv("COSREL_TUNE", "20", 0);
  open_backend(&opencl, "opencl", core);
  if (opencl.backend == NULL || cosrel_cl_device_open(&spec, NULL, &device, &error) != COSREL_OK) return 0;
  open_backend(&xnnpack, "xnnpack", core);
  cosrel_cl_programs_init(&programs, &device);
  clblast_load(&blas, &device);
  double peak = measure_peak(&device, &programs);
  snprintf(more, sizeof more, "\"device\": \"%s\", \"platform\": \"%s\", \"units\": %u", device.name, device.platform,
           device.units);
  bench_print("opencl_peak_gflops", peak, "GFLOP/s", more);
  bench_dispatch(&opencl);
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++)
    if (is_wanted(&layers[i], argc, argv)) bench_layer(&layers[i], &opencl, &xnnpack, &blas, peak, device.fp16);
  cosrel_cl_programs_destroy(&programs);
  cosrel_cl_device_close(&device);
  opencl.backend->ops->close(opencl.backend);
  if (xnnpack.backend != NULL) xnnpack.backend->ops->close(xnnpack.backend);
  return 0;
}
