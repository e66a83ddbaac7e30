/* What every backend must do: one list of checks that loops over the table.
 *
 * COSREL_TEST_DRAWS, in the environment, is a number: then only so many nets of each family are drawn and run on one
 * target alone, and nothing else is done. COSREL_TEST_TARGET names it ("armnn:CpuAcc"), else it is opencl. That is for
 * tools which are slow. */
#include <dirent.h>
#include <float.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backends/onnx/onnx.h"
#include "backends/reference_backend.h"
#include "backends/zoo/zoo.h"
#include "tests/net_aid.h"

/* ---- What is tested: every backend, with every device that it names ---- */

#define TARGETS_MAX 16

typedef struct target {
  const cosrel_backend_ops *ops;
  char device[COSREL_NAME_MAX]; /* empty: its default */
  cosrel_precision precision;   /* of the units that support it; the others are computed in fp32 */
} target;

/* Of results in fp16, as a share of the largest element; wide enough for one layer whose output is clipped to a small
 * part of what it has added up, and for whole networks. */
static const float half_share = 2e-2F;

static uint32_t list_targets(target targets[TARGETS_MAX]) {
  uint32_t n = 0;
  for (const cosrel_backend_ops *const *ops = cosrel_backend_table(); *ops != NULL; ops++) {
    char devices[TARGETS_MAX][COSREL_NAME_MAX] = {""};
    uint32_t n_devices = (*ops)->devices != NULL ? (*ops)->devices(devices, TARGETS_MAX) : 1;
    for (uint32_t d = 0; d < n_devices; d++) {
      assert_true(n < TARGETS_MAX);
      targets[n] = (target){.ops = *ops};
      memcpy(targets[n++].device, devices[d], COSREL_NAME_MAX);
    }
  }
  return n;
}

/* The same, and those that compute in fp16 once more for that. */
static uint32_t list_precisions(target targets[TARGETS_MAX]) {
  uint32_t n = list_targets(targets), n_wide = n;
  for (uint32_t t = 0; t < n_wide; t++) {
    if ((targets[t].ops->precisions >> COSREL_FP16 & 1) == 0) continue;
    assert_true(n < TARGETS_MAX);
    targets[n] = targets[t];
    targets[n++].precision = COSREL_FP16;
  }
  return n;
}

/* "armnn:CpuRef", "opencl fp16" */
static const char *name_of(const target *t) {
  static char name[3 * COSREL_NAME_MAX];
  snprintf(name, sizeof name, "%s%s%s%s", t->ops->name, t->device[0] != '\0' ? ":" : "", t->device,
           t->precision == COSREL_FP16 ? " fp16" : "");
  return name;
}

/* Arm NN's reference takes a second for 40 million multiplications, so whole networks run on it once each, and large
 * ones only when COSREL_SLOW is set. */
static bool is_slow(const target *t) { return strcmp(t->device, "CpuRef") == 0; }

/* How often each operator was computed by a target, and how often it was in a unit that the target does not support. */
#define OPERATORS_MAX 256
static uint32_t tally[TARGETS_MAX][OPERATORS_MAX][2];

static void count_operators(uint32_t which, const cosrel_network *network, uint32_t unit, bool own) {
  uint32_t n;
  const cosrel_operator *table = cosrel_operator_table(&n);
  assert_true(n <= OPERATORS_MAX);
  for (uint32_t i = 0; i < network->units[unit].n_nodes; i++) {
    const cosrel_net_node *node = &network->net.nodes[network->nodes[network->units[unit].first_node + i]];
    tally[which][node->op - table][own ? 0 : 1]++;
  }
}

static void print_operators(uint32_t which, const target *t) {
  uint32_t n;
  const cosrel_operator *table = cosrel_operator_table(&n);
  for (int side = 0; side < 2; side++) {
    const char *others = t->precision == COSREL_FP32 ? "left to others" : "computed in fp32";
    printf("%s %s:", name_of(t), side == 0 ? "computed" : others);
    uint32_t total = 0;
    for (uint32_t i = 0; i < n; i++) {
      total += tally[which][i][side];
      if (tally[which][i][side] > 0) printf(" %s %u", table[i].name, tally[which][i][side]);
    }
    printf("%s\n", total > 0 ? "" : " none");
  }
}

/* ---- A backend with one network ---- */

typedef struct machine {
  const cosrel_backend_ops *ops;
  cosrel_backend *backend;
  cosrel_prepared *prepared;
  struct machine *other; /* the reference, for units that the backend does not support; NULL: it supports all */
} machine;

static bool open_plain(machine *m, const target *t, const cosrel_network *network, uint32_t threads) {
  cosrel_backend_spec spec = {.processor = "cpu", .threads = threads};
  cosrel_error error = {""};
  snprintf(spec.backend, sizeof spec.backend, "%s", t->ops->name);
  snprintf(spec.device, sizeof spec.device, "%s", t->device);
  if (strcmp(t->ops->name, "opencl") == 0) spec.threads = 0; /* has none of its own */
  *m = (machine){.ops = t->ops};
  cosrel_status status = cosrel_backend_open(&spec, &m->backend, &error);
  if (status == COSREL_UNSUPPORTED) return false;
  if (status != COSREL_OK) fail_msg("%s", error.text);
  uint8_t precisions[COSREL_UNITS_MAX];
  memset(precisions, t->precision, sizeof precisions);
  if (t->ops->prepare(m->backend, network, precisions, &m->prepared, &error) != COSREL_OK) fail_msg("%s", error.text);
  return true;
}

static bool open_machine(machine *m, const target *t, const cosrel_network *network, uint32_t threads) {
  static const target reference = {.ops = &cosrel_reference_backend};
  if (!open_plain(m, t, network, threads)) return false;
  for (uint32_t u = 0; u < network->model.n_units && m->other == NULL; u++) {
    if (t->ops->supports(m->backend, network, u, COSREL_FP32)) continue;
    m->other = malloc(sizeof *m->other);
    if (m->other == NULL || !open_plain(m->other, &reference, network, 1)) abort();
  }
  return true;
}

static void close_machine(machine *m) {
  if (m->other != NULL) close_machine(m->other);
  free(m->other);
  m->ops->release(m->backend, m->prepared);
  m->ops->close(m->backend);
}

/* One tensor between the arena and the backend's own memory. */
static void copy(machine *m, cosrel_buffer *buffer, const cosrel_network *network, int32_t value, void *arena,
                 bool out) {
  size_t offset = (size_t)network->offsets[value], bytes = cosrel_tensor_bytes(&network->net.values[value].tensor);
  char *host = (char *)arena + offset;
  if (out)
    assert_int_equal(m->ops->write(m->backend, buffer, offset, host, bytes), COSREL_OK);
  else
    assert_int_equal(m->ops->read(m->backend, buffer, offset, host, bytes), COSREL_OK);
}

/* A unit that the backend does not support. */
static void run_elsewhere(machine *m, const cosrel_network *network, uint32_t unit, void *arena,
                          cosrel_buffer *buffer) {
  machine *other = m->other;
  for (uint32_t i = 0; buffer != NULL && i < network->units[unit].n_nodes; i++) {
    const cosrel_net_node *node = &network->net.nodes[network->nodes[network->units[unit].first_node + i]];
    for (uint32_t k = 0; k < node->n_inputs; k++) {
      int32_t value = cosrel_net_node_inputs(&network->net, node)[k];
      if (value >= 0 && network->offsets[value] >= 0) copy(m, buffer, network, value, arena, false);
    }
  }
  assert_int_equal(other->ops->submit(other->backend, other->prepared, arena, NULL, unit, unit + 1), COSREL_OK);
  assert_int_equal(other->ops->wait(other->backend, 60 * COSREL_S), COSREL_OK);
  if (buffer != NULL) copy(m, buffer, network, network->units[unit].output, arena, true);
}

/* Runs all units, at most `step` at a time, from inputs to outputs. */
static float **run_request(machine *m, const cosrel_network *network, float **inputs, uint32_t step, void *arena) {
  cosrel_buffer *buffer = NULL;
  const cosrel_backend_ops *ops = m->ops;
  uint32_t n = network->model.n_units;
  cosrel_network_put_inputs(network, (const float *const *)inputs, arena);
  if (ops->buffer_create != NULL) {
    cosrel_error error;
    if (ops->buffer_create(m->backend, network->arena_bytes, &buffer, &error) != COSREL_OK) fail_msg("%s", error.text);
    for (uint32_t i = 0; i < network->net.n_inputs; i++) copy(m, buffer, network, network->net.inputs[i], arena, true);
  }
  for (uint32_t u = 0; u < n;) {
    uint32_t end = u;
    while (end < n && end - u < step && (m->other == NULL || ops->supports(m->backend, network, end, COSREL_FP32)))
      end++;
    if (end == u) {
      run_elsewhere(m, network, u++, arena, buffer);
      continue;
    }
    assert_int_equal(ops->submit(m->backend, m->prepared, buffer != NULL ? NULL : arena, buffer, u, end), COSREL_OK);
    assert_int_equal(ops->wait(m->backend, 60 * COSREL_S), COSREL_OK);
    u = end;
  }
  if (buffer != NULL) {
    for (uint32_t u = 0; u < n; u++) copy(m, buffer, network, network->units[u].output, arena, false);
    ops->buffer_destroy(m->backend, buffer);
  }
  return aid_outputs(network, arena);
}

static uint64_t count_macs(const cosrel_network *network) {
  uint64_t macs = 0;
  for (uint32_t u = 0; u < network->model.n_units; u++) macs += network->model.units[u].macs;
  return macs;
}

/* One network on one backend, in one segment and unit by unit on another arena: both as `expected`. */
static bool check_network(uint32_t which, const target *t, const cosrel_network *network, float **inputs,
                          float **expected, uint32_t threads, char why[256]) {
  machine m;
  if (!open_machine(&m, t, network, threads)) return true;
  bool good = true, any = false;
  for (uint32_t u = 0; u < network->model.n_units; u++)
    any = any || t->ops->supports(m.backend, network, u, t->precision);
  if (!any && t->precision != COSREL_FP32) { /* it would be what it is in fp32 */
    close_machine(&m);
    return true;
  }
  for (uint32_t u = 0; u < network->model.n_units; u++)
    count_operators(which, network, u, t->ops->supports(m.backend, network, u, t->precision));
  uint32_t n_rounds = is_slow(t) && count_macs(network) > 1000000 ? 1 : 2;
  for (uint32_t round = 0; round < n_rounds && good; round++) {
    void *arena = aid_arena(network);
    float **outputs = run_request(&m, network, inputs, round == 0 ? network->model.n_units : 1, arena);
    good = aid_agree_within(&network->net, outputs, expected, t->precision == COSREL_FP16 ? half_share : 1e-4F, why);
    aid_free(outputs, network->net.n_outputs);
    free(arena);
  }
  close_machine(&m);
  return good;
}

/* ---- Operators on random shapes ---- */

#define DRAWS 60

static cosrel_shape draw_image(aid_net *a) {
  return AID_SHAPE(aid_draw(a, 1, 4) == 1 ? 2 : 1, aid_draw(a, 1, 12), aid_draw(a, 1, 13), aid_draw(a, 1, 13));
}

static void draw_window(aid_net *a, bool dilations) {
  int64_t kernel[2], stride[2], dilation[2], pads[4];
  for (int i = 0; i < 2; i++) {
    kernel[i] = aid_draw(a, 1, 4);
    stride[i] = aid_draw(a, 1, 3);
    dilation[i] = dilations && aid_draw(a, 0, 2) == 0 ? 2 : 1;
    pads[i] = aid_draw(a, 0, (uint32_t)kernel[i] - 1);
    pads[i + 2] = aid_draw(a, 0, (uint32_t)kernel[i] - 1);
  }
  aid_ints(a, "kernel_shape", 2, kernel);
  aid_ints(a, "strides", 2, stride);
  if (dilations) aid_ints(a, "dilations", 2, dilation);
  if (aid_draw(a, 0, 5) == 0) {
    aid_string(a, "auto_pad", aid_draw(a, 0, 1) == 0 ? "SAME_UPPER" : "SAME_LOWER");
  } else {
    aid_ints(a, "pads", 4, pads);
  }
}

/* Something that may be computed along with what is before it. */
static int32_t draw_follower(aid_net *a, int32_t x) {
  switch (aid_draw(a, 0, 5)) {
    case 0: return AID_NODE(a, "Relu", x);
    case 1: return AID_NODE(a, "Clip", x, aid_scalar(a, -0.5F), aid_scalar(a, 0.75F));
    case 2: return AID_NODE(a, "Mul", x, AID_NODE(a, "Sigmoid", x));
    case 3: return AID_NODE(a, "Clip", x, -1, aid_scalar(a, 0.25F));
    default: return x;
  }
}

static int32_t draw_conv(aid_net *a) {
  cosrel_shape shape = draw_image(a);
  uint32_t c = shape.dims[1], groups = 1, m = aid_draw(a, 1, 16);
  if (aid_draw(a, 0, 2) == 0) groups = c > 1 ? c : 1; /* depthwise */
  if (c % 2 == 0 && aid_draw(a, 0, 2) == 0) groups = 2;
  if (groups > 1) m = groups * aid_draw(a, 1, 2);
  int32_t x = aid_input(a, shape);
  draw_window(a, true);
  const int64_t *kernel = a->attributes[0].ints;
  AID_INTS(a, "group", groups);
  int32_t weights = aid_constant(a, AID_SHAPE(m, c / groups, (uint32_t)kernel[0], (uint32_t)kernel[1]));
  int32_t bias = aid_draw(a, 0, 1) == 0 ? -1 : aid_constant(a, AID_SHAPE(m));
  return draw_follower(a, AID_NODE(a, "Conv", x, weights, bias));
}

static int32_t draw_conv_transpose(aid_net *a) {
  cosrel_shape shape = draw_image(a);
  uint32_t c = shape.dims[1], groups = c % 2 == 0 && aid_draw(a, 0, 1) == 0 ? 2 : 1, m = aid_draw(a, 1, 8);
  int32_t x = aid_input(a, shape);
  draw_window(a, true);
  const int64_t *kernel = a->attributes[0].ints, *stride = a->attributes[1].ints;
  AID_INTS(a, "group", groups);
  AID_INTS(a, "output_padding", aid_draw(a, 0, (uint32_t)stride[0] - 1), aid_draw(a, 0, (uint32_t)stride[1] - 1));
  int32_t weights = aid_constant(a, AID_SHAPE(c, m, (uint32_t)kernel[0], (uint32_t)kernel[1]));
  int32_t bias = aid_draw(a, 0, 1) == 0 ? -1 : aid_constant(a, AID_SHAPE(m * groups));
  return draw_follower(a, AID_NODE(a, "ConvTranspose", x, weights, bias));
}

static int32_t draw_pool(aid_net *a) {
  int32_t x = aid_input(a, draw_image(a));
  bool average = aid_draw(a, 0, 1) == 0;
  switch (aid_draw(a, 0, 5)) {
    case 0: return AID_NODE(a, "GlobalAveragePool", x);
    case 1: return AID_NODE(a, "GlobalMaxPool", x);
    case 2:
      AID_INTS(a, "axes", 2, -1);
      AID_INTS(a, "keepdims", aid_draw(a, 0, 1));
      return AID_NODE(a, "ReduceMean", x);
    default: break;
  }
  draw_window(a, !average);
  AID_INTS(a, "ceil_mode", aid_draw(a, 0, 1));
  if (average) AID_INTS(a, "count_include_pad", aid_draw(a, 0, 1));
  return AID_NODE(a, average ? "AveragePool" : "MaxPool", x);
}

static int32_t draw_dense(aid_net *a) {
  uint32_t m = aid_draw(a, 1, 5), k = aid_draw(a, 1, 40), n = aid_draw(a, 1, 40);
  if (aid_draw(a, 0, 1) == 0) {
    bool transposed = aid_draw(a, 0, 1) == 0;
    int32_t x = aid_input(a, AID_SHAPE(m, k));
    int32_t weights = aid_constant(a, transposed ? AID_SHAPE(n, k) : AID_SHAPE(k, n)), bias = -1;
    uint32_t form = aid_draw(a, 0, 3);
    if (form == 1) bias = aid_constant(a, AID_SHAPE(n));
    if (form == 2) bias = aid_constant(a, AID_SHAPE(1, 1));
    if (form == 3) bias = aid_constant(a, AID_SHAPE(m, n));
    AID_INTS(a, "transB", transposed);
    aid_float(a, "alpha", 0.5F);
    aid_float(a, "beta", 2);
    return draw_follower(a, AID_NODE(a, "Gemm", x, weights, bias));
  }
  int32_t x = aid_input(a, AID_SHAPE(aid_draw(a, 1, 2), m, k));
  x = AID_NODE(a, "MatMul", x, aid_constant(a, AID_SHAPE(k, n)));
  if (aid_draw(a, 0, 1) == 0) x = AID_NODE(a, "Add", x, aid_constant(a, AID_SHAPE(n)));
  return draw_follower(a, x);
}

/* Heads of attention: products of transposed views. */
static int32_t draw_product(aid_net *a) {
  uint32_t tokens = aid_draw(a, 1, 9), heads = aid_draw(a, 1, 3), width = aid_draw(a, 1, 8);
  cosrel_shape shape = AID_SHAPE(1, tokens, heads * width);
  int32_t split = AID_LIST(a, 1, tokens, heads, width);
  int32_t q = AID_NODE(a, "Reshape", aid_input(a, shape), split),
          k = AID_NODE(a, "Reshape", aid_input(a, shape), split);
  AID_INTS(a, "perm", 0, 2, 1, 3);
  q = AID_NODE(a, "Transpose", q);
  AID_INTS(a, "perm", 0, 2, 3, 1);
  k = AID_NODE(a, "Transpose", k);
  int32_t scores = AID_NODE(a, "MatMul", q, k);
  scores = AID_NODE(a, "Mul", scores, aid_scalar(a, 0.3F));
  AID_INTS(a, "axis", -1);
  scores = AID_NODE(a, "Softmax", scores);
  AID_INTS(a, "perm", 0, 1, 3, 2);
  k = AID_NODE(a, "Transpose", k);
  int32_t y = AID_NODE(a, "MatMul", scores, k);
  AID_INTS(a, "perm", 0, 2, 1, 3);
  y = AID_NODE(a, "Transpose", y);
  y = AID_NODE(a, "Reshape", y, AID_LIST(a, 1, tokens, heads * width));
  return AID_NODE(a, "MatMul", y, aid_constant(a, AID_SHAPE(heads * width, 5)));
}

static int32_t draw_unary(aid_net *a) {
  static const char *const names[] = {"Abs",       "Ceil",      "Elu", "Floor", "HardSigmoid",
                                      "HardSwish", "LeakyRelu", "Neg", "Relu",  "Round",
                                      "Sigmoid",   "Tanh",      "Exp", "Erf",   "Softplus"};
  static const uint32_t dims[] = {2, 3, 4, 5, 1};
  const char *name = names[aid_draw(a, 0, sizeof names / sizeof names[0] - 1)];
  cosrel_shape shape = aid_draw(a, 0, 1) == 0 ? draw_image(a) : aid_shape(aid_draw(a, 1, 5), dims);
  int32_t x = aid_input(a, shape);
  if (strcmp(name, "LeakyRelu") == 0 && aid_draw(a, 0, 1) == 0) aid_float(a, "alpha", 0.2F);
  if (strcmp(name, "Elu") == 0) aid_float(a, "alpha", 0.7F);
  x = AID_NODE(a, name, x);
  return aid_draw(a, 0, 1) == 0 ? AID_NODE(a, "Sqrt", AID_NODE(a, "Abs", x)) : x;
}

/* The same shape with some axes 1, and perhaps without those in front. */
static cosrel_shape draw_narrower(aid_net *a, cosrel_shape shape) {
  for (uint32_t i = 0; i < shape.rank; i++) {
    if (aid_draw(a, 0, 2) == 0) shape.dims[i] = 1;
  }
  uint32_t drop = aid_draw(a, 0, shape.rank);
  return aid_draw(a, 0, 1) == 0 ? shape : aid_shape(shape.rank - drop, shape.dims + drop);
}

static int32_t draw_binary(aid_net *a) {
  static const char *const names[] = {"Add", "Sub", "Mul", "Div", "Max", "Min"};
  static const uint32_t dims[] = {2, 3, 4, 5, 2};
  const char *name = names[aid_draw(a, 0, 5)];
  cosrel_shape shape = aid_draw(a, 0, 2) > 0 ? draw_image(a) : aid_shape(aid_draw(a, 1, 5), dims);
  cosrel_shape other = aid_draw(a, 0, 1) == 0 ? shape : draw_narrower(a, shape);
  int32_t x = aid_input(a, shape), y = aid_draw(a, 0, 1) == 0 ? aid_constant(a, other) : aid_input(a, other);
  if (strcmp(name, "Div") == 0) y = AID_NODE(a, "Add", AID_NODE(a, "Abs", y), aid_scalar(a, 0.5F));
  bool swap = aid_draw(a, 0, 3) == 0 && strcmp(name, "Div") != 0;
  return draw_follower(a, swap ? AID_NODE(a, name, y, x) : AID_NODE(a, name, x, y));
}

static int32_t draw_normal(aid_net *a) {
  cosrel_shape shape = draw_image(a);
  uint32_t c = shape.dims[1];
  int32_t x = aid_input(a, shape);
  switch (aid_draw(a, 0, 4)) {
    case 0: return AID_NODE(a, "PRelu", x, aid_constant(a, AID_SHAPE(c, 1, 1)));
    case 1: {
      int32_t variance = aid_constant(a, AID_SHAPE(c));
      float *v = a->net.values[variance].tensor.data;
      for (uint32_t i = 0; i < c; i++) v[i] = fabsf(v[i]) + 0.5F;
      x = AID_NODE(a, "Relu", x); /* nothing to fold into */
      return AID_NODE(a, "BatchNormalization", x, aid_constant(a, AID_SHAPE(c)), aid_constant(a, AID_SHAPE(c)),
                      aid_constant(a, AID_SHAPE(c)), variance);
    }
    case 2: AID_INTS(a, "axis", aid_draw(a, 0, 3)); return AID_NODE(a, "Softmax", x);
    case 3:
      AID_INTS(a, "size", aid_draw(a, 1, 6));
      aid_float(a, "alpha", 0.5F);
      if (aid_draw(a, 0, 1) == 0) aid_float(a, "beta", 0.6F);
      if (aid_draw(a, 0, 1) == 0) aid_float(a, "bias", 2);
      return AID_NODE(a, "LRN", x);
    default: { /* a layer norm and a GELU in small pieces */
      AID_INTS(a, "axes", -1);
      int32_t d = AID_NODE(a, "Sub", x, AID_NODE(a, "ReduceMean", x));
      AID_INTS(a, "axes", -1);
      int32_t v = AID_NODE(a, "ReduceMean", AID_NODE(a, "Mul", d, d));
      d = AID_NODE(a, "Div", d, AID_NODE(a, "Sqrt", AID_NODE(a, "Add", v, aid_scalar(a, 1e-2F))));
      d = AID_NODE(a, "Mul", d, aid_constant(a, AID_SHAPE(shape.dims[3])));
      int32_t e =
          AID_NODE(a, "Add", AID_NODE(a, "Erf", AID_NODE(a, "Div", d, aid_scalar(a, 1.41421356F))), aid_scalar(a, 1));
      return AID_NODE(a, "Mul", AID_NODE(a, "Mul", d, e), aid_scalar(a, 0.5F));
    }
  }
}

static int32_t draw_resize(aid_net *a) {
  static const char *const modes[] = {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"};
  cosrel_shape shape = draw_image(a);
  int32_t x = aid_input(a, shape);
  bool nearest = aid_draw(a, 0, 1) == 0, whole = aid_draw(a, 0, 1) == 0;
  uint32_t h = whole ? shape.dims[2] * aid_draw(a, 1, 3) : aid_draw(a, 1, 20);
  uint32_t w = whole ? shape.dims[3] * aid_draw(a, 1, 3) : aid_draw(a, 1, 20);
  aid_string(a, "mode", nearest ? "nearest" : "linear");
  aid_string(a, "coordinate_transformation_mode", modes[aid_draw(a, 0, 3)]);
  if (nearest && aid_draw(a, 0, 1) == 0) aid_string(a, "nearest_mode", "floor");
  return AID_NODE(a, "Resize", x, -1, -1, AID_LIST(a, shape.dims[0], shape.dims[1], h, w));
}

static int32_t draw_moves(aid_net *a) {
  static const int64_t orders[6][4] = {{0, 2, 3, 1}, {0, 3, 1, 2}, {0, 1, 3, 2},
                                       {3, 2, 1, 0}, {0, 2, 1, 3}, {1, 0, 2, 3}};
  cosrel_shape shape = draw_image(a);
  const uint32_t *d = shape.dims;
  int32_t x = aid_input(a, shape), parts[2];
  switch (aid_draw(a, 0, 8)) {
    case 0: aid_ints(a, "perm", 4, orders[aid_draw(a, 0, 5)]); return AID_NODE(a, "Transpose", x);
    case 1: return AID_NODE(a, "Relu", AID_NODE(a, "Flatten", x));
    case 2: return AID_NODE(a, "Relu", AID_NODE(a, "Reshape", x, AID_LIST(a, (int64_t)d[0] * d[2], d[1], 1, d[3])));
    case 3:
      return AID_NODE(a, "Slice", x, AID_LIST(a, aid_draw(a, 0, d[1] - 1), -(int64_t)aid_draw(a, 1, d[3])),
                      AID_LIST(a, d[1], 1000), AID_LIST(a, 1, -1));
    case 4: {
      uint32_t axis = aid_draw(a, 1, 3);
      if (d[axis] == 1) return AID_NODE(a, "Relu", x); /* no two parts */
      uint32_t first = aid_draw(a, 1, d[axis] - 1);
      AID_INTS(a, "axis", axis);
      aid_nodes(a, "Split", (const int32_t[]){x, AID_LIST(a, first, d[axis] - first)}, 2, parts, 2);
      if (aid_draw(a, 0, 1) == 0) return AID_NODE(a, "Sigmoid", parts[0]);
      AID_INTS(a, "axis", axis);
      return AID_NODE(a, "Concat", parts[1], AID_NODE(a, "Relu", parts[0]), parts[0]);
    }
    case 5: {
      int64_t pads[8] = {0};
      for (int i = 0; i < 8; i++) pads[i] = i % 4 == 0 ? 0 : aid_draw(a, 0, 2);
      return AID_NODE(a, "Pad", x, aid_list(a, 8, pads), aid_scalar(a, 0.5F));
    }
    case 6: { /* channel shuffle */
      int32_t wide = AID_NODE(a, "Conv", x, aid_constant(a, AID_SHAPE(6, d[1], 1, 1)));
      int32_t y = AID_NODE(a, "Reshape", wide, AID_LIST(a, d[0], 2, 3, d[2], d[3]));
      AID_INTS(a, "perm", 0, 2, 1, 3, 4);
      return AID_NODE(a, "Reshape", AID_NODE(a, "Transpose", y), AID_LIST(a, d[0], 6, d[2], d[3]));
    }
    case 7:
      return AID_NODE(a, "Relu",
                      AID_NODE(a, "Expand", AID_NODE(a, "GlobalAveragePool", x), AID_LIST(a, d[0], d[1], 3, 2)));
    default: { /* pictures to tokens */
      int32_t y = AID_NODE(a, "Reshape", x, AID_LIST(a, d[0], d[1], (int64_t)d[2] * d[3]));
      AID_INTS(a, "perm", 0, 2, 1);
      y = AID_NODE(a, "Transpose", y);
      return AID_NODE(a, "MatMul", y, aid_constant(a, AID_SHAPE(d[1], 4)));
    }
  }
}

/* Of COSREL_TEST_DRAWS; 0 without it. */
static uint32_t few_draws(void) {
  const char *text = getenv("COSREL_TEST_DRAWS");
  return text != NULL ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static bool is_chosen(const target *t) {
  const char *chosen = getenv("COSREL_TEST_TARGET");
  return strcmp(chosen != NULL ? name_of(t) : t->ops->name, chosen != NULL ? chosen : "opencl") == 0;
}

static const struct {
  const char *name;
  int32_t (*draw)(aid_net *a);
} families[] = {
    {"convolution", draw_conv},    {"transposed convolution", draw_conv_transpose},
    {"pool", draw_pool},           {"dense layer", draw_dense},
    {"attention", draw_product},   {"element by element", draw_unary},
    {"two operands", draw_binary}, {"normalisation", draw_normal},
    {"resize", draw_resize},       {"moves", draw_moves},
};

static void operators_agree_with_the_reference(void **state) {
  (void)state;
  target targets[TARGETS_MAX];
  uint32_t n_targets = list_precisions(targets);
  for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
    uint32_t drawn = 0, checked = 0, draws = few_draws() > 0 ? few_draws() : DRAWS;
    for (; drawn < draws; drawn++) {
      aid_net a;
      cosrel_network network;
      cosrel_error error;
      char why[256];
      aid_begin(&a, cosrel_rng_key(f, drawn), 14);
      aid_output(&a, families[f].draw(&a));
      if (cosrel_net_settle(&a.net, &error) != COSREL_OK) { /* a window that does not fit */
        cosrel_net_destroy(&a.net);
        continue;
      }
      float **inputs = aid_inputs(&a.net, drawn), **expected = aid_expected(&a.net, inputs);
      uint32_t n_inputs = a.net.n_inputs, n_outputs = a.net.n_outputs;
      cosrel_status status = cosrel_network_create(&a.net, &network, &error);
      if (status == COSREL_OK) {
        for (uint32_t t = 0; t < n_targets; t++) {
          if (few_draws() > 0 && !is_chosen(&targets[t])) continue;
          if (check_network(t, &targets[t], &network, inputs, expected, 1, why)) continue;
          char text[256];
          aid_describe(&network.net, 0, text, sizeof text);
          fail_msg("%s: %s %u (%s): %s", name_of(&targets[t]), families[f].name, drawn, text, why);
        }
        checked++;
      } else if (status != COSREL_FORMAT) { /* nothing but views: no units */
        fail_msg("%s %u: %s", families[f].name, drawn, error.text);
      }
      aid_free(inputs, n_inputs);
      aid_free(expected, n_outputs);
      if (status == COSREL_OK) cosrel_network_destroy(&network);
    }
    printf("%s: %u of %u drawn nets agree\n", families[f].name, checked, drawn);
    assert_true(checked > draws / 3);
  }
  for (uint32_t t = 0; t < n_targets; t++) print_operators(t, &targets[t]);
}

/* Backends may have an erf of their own, at most 1e-6 off; the ends of the axis and NaN are exact. */
static void erf_is_close(void **state) {
  (void)state;
  enum { N = 4096 };
  aid_net a;
  cosrel_network network;
  cosrel_error error;
  aid_begin(&a, 1, 14);
  aid_output(&a, AID_NODE(&a, "Erf", aid_input(&a, AID_SHAPE(N))));
  assert_int_equal(cosrel_net_settle(&a.net, &error), COSREL_OK);
  assert_int_equal(cosrel_network_create(&a.net, &network, &error), COSREL_OK);
  float **inputs = aid_inputs(&network.net, 1), *x = inputs[0];
  for (int i = 0; i < N; i++) x[i] = 12.0F * (float)i / N - 6;
  x[0] = -INFINITY, x[1] = INFINITY, x[2] = NAN, x[3] = -FLT_MAX, x[4] = 0, x[5] = FLT_MIN;
  target targets[TARGETS_MAX];
  for (uint32_t t = 0, n = list_targets(targets); t < n; t++) {
    machine m;
    if (!open_machine(&m, &targets[t], &network, 1)) continue;
    void *arena = aid_arena(&network);
    float **outputs = run_request(&m, &network, inputs, 1, arena);
    for (int i = 0; i < N; i++)
      if (i != 2) assert_true(fabs((double)outputs[0][i] - erf((double)x[i])) <= 1e-6);
    assert_true(outputs[0][0] == -1 && outputs[0][1] == 1 && isnan(outputs[0][2]) && outputs[0][3] == -1);
    assert_true(outputs[0][4] == 0);
    aid_free(outputs, 1);
    free(arena);
    close_machine(&m);
  }
  aid_free(inputs, 1);
  cosrel_network_destroy(&network);
}

/* ---- Whole networks ---- */

static uint32_t n_left_out; /* networks that were too large for a slow target */

/* Network `path` on every backend against the reference executor; frees the net. On slow ones up to `slow_macs`. */
static void check_everywhere(const char *path, cosrel_network *network, uint32_t threads, uint64_t slow_macs) {
  float **inputs = aid_inputs(&network->net, 1), **expected = aid_expected(&network->net, inputs);
  char why[256];
  target targets[TARGETS_MAX];
  for (uint32_t t = 0, n = list_precisions(targets); t < n; t++) {
    if (strcmp(targets[t].ops->name, "reference") == 0) continue; /* it is what `expected` is */
    if (is_slow(&targets[t]) && count_macs(network) > slow_macs && getenv("COSREL_SLOW") == NULL) {
      n_left_out++;
      continue;
    }
    if (!check_network(t, &targets[t], network, inputs, expected, is_slow(&targets[t]) ? 1 : threads, why))
      fail_msg("%s: %s: %s", name_of(&targets[t]), path, why);
  }
  aid_free(inputs, network->net.n_inputs);
  aid_free(expected, network->net.n_outputs);
  cosrel_network_destroy(network);
}

/* At small sizes: bench_kernels runs them at their own. */
static void zoo_models_agree_with_the_reference(void **state) {
  (void)state;
  static const struct {
    const char *name;
    uint32_t side;
  } sides[] = {{"resnet50", 32}, {"inception_v3", 80}, {"deeplabv3_plus_mobilenet", 65}, {"alexnet", 67},
               {"vgg16", 32},    {"yolov3", 32},       {"transformer_small", 16}};
  uint32_t n;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&n);
  for (uint32_t i = 0; i < n; i++) {
    char path[COSREL_NAME_MAX + 8];
    cosrel_network network;
    cosrel_error error;
    uint32_t side = 64;
    for (size_t k = 0; k < sizeof sides / sizeof sides[0]; k++) {
      if (strcmp(sides[k].name, table[i].name) == 0) side = sides[k].side;
    }
    snprintf(path, sizeof path, "zoo:%s@%u", table[i].name, (unsigned)side);
    if (cosrel_network_open(path, &network, &error) != COSREL_OK) fail_msg("%s", error.text);
    check_everywhere(path, &network, i % 2 + 1, 35000000);
  }
  printf("zoo: %u networks agree, %u of them not tried on Arm NN's reference\n", n, n_left_out);
  n_left_out = 0;
}

/* Models of the ONNX project's tests, of any folder below `root`, that can be cut into units. */
static void check_folder(const char *root, uint32_t *checked, uint32_t *refused) {
  struct dirent **names = NULL;
  int n = scandir(root, &names, NULL, alphasort);
  for (int i = 0; i < n; i++) {
    char path[512];
    cosrel_net net;
    cosrel_network network;
    cosrel_error error = {""};
    if (strncmp(names[i]->d_name, "test_", 5) == 0 &&
        snprintf(path, sizeof path, "%s/%s/model.onnx", root, names[i]->d_name) < (int)sizeof path) {
      bool good = cosrel_onnx_read(path, AID_LIMIT, &net, &error) == COSREL_OK &&
                  cosrel_network_create(&net, &network, &error) == COSREL_OK;
      if (good) check_everywhere(path, &network, 1, 35000000);
      ++*(good ? checked : refused);
    }
    free(names[i]);
  }
  free(names);
}

static void onnx_test_models_agree_with_the_reference(void **state) {
  (void)state;
  static const struct {
    const char *name;
    uint32_t least;
  } groups[] = {{"node", 200}, {"pytorch-converted", 60}, {"pytorch-operator", 20}};
  const char *folder = getenv("COSREL_ONNX_TESTDATA");
  if (folder == NULL) folder = "/usr/share/libonnx-testdata/data";
  for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
    char root[512];
    uint32_t checked = 0, refused = 0;
    snprintf(root, sizeof root, "%s/%s", folder, groups[g].name);
    check_folder(root, &checked, &refused);
    if (checked + refused == 0) {
      printf("skipped: ONNX %s models (no %s; Debian has it in libonnx-testdata)\n", groups[g].name, root);
      continue;
    }
    printf("ONNX %s: %u models agree, %u cannot be cut into units of float\n", groups[g].name, checked, refused);
    assert_true(checked >= groups[g].least);
  }
}

/* Weights that are all alike would make all classes equal, and the softmax at the end one of rounding errors. */
static void draw_weights(cosrel_net *net) {
  for (uint32_t v = 0; v < net->n_values; v++) {
    cosrel_tensor *tensor = &net->values[v].tensor;
    if (tensor->data == NULL || tensor->dtype != COSREL_F32 || tensor->shape.rank < 2) continue;
    uint64_t n = cosrel_shape_elements(&tensor->shape);
    float scale = sqrtf(2.0F * (float)tensor->shape.dims[0] / (float)n);
    aid_fill(tensor->data, n, v);
    for (uint64_t i = 0; i < n; i++) ((float *)tensor->data)[i] *= scale;
  }
}

static void real_graphs_agree_with_the_reference(void **state) {
  (void)state;
  static const char *const names[] = {"light_bvlc_alexnet", "light_inception_v1", "light_resnet50", "light_squeezenet"};
  const char *folder = getenv("COSREL_ONNX_LIGHT");
  if (folder == NULL) {
    printf("skipped: real graphs (COSREL_ONNX_LIGHT names no folder)\n");
    return;
  }
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char path[512];
    cosrel_net net;
    cosrel_network network;
    cosrel_error error;
    snprintf(path, sizeof path, "%s/%s.onnx", folder, names[i]);
    if (cosrel_onnx_read(path, COSREL_NETWORK_BYTES_MAX, &net, &error) != COSREL_OK) fail_msg("%s", error.text);
    draw_weights(&net);
    if (cosrel_network_create(&net, &network, &error) != COSREL_OK) fail_msg("%s", error.text);
    check_everywhere(path, &network, 1, 400000000);
  }
}

/* ---- The contract ---- */

static void open_small(cosrel_network *network) {
  cosrel_error error;
  if (cosrel_network_open("zoo:squeezenet1_1@48", network, &error) != COSREL_OK) fail_msg("%s", error.text);
}

/* Two prepared networks and several arenas on one instance, in turns. */
static void requests_do_not_mix(void **state) {
  (void)state;
  target targets[TARGETS_MAX];
  for (uint32_t t = 0, n = list_targets(targets); t < n; t++) {
    cosrel_network network;
    machine m, other;
    open_small(&network);
    float **inputs[2], **expected[2];
    void *arenas[2];
    char why[256];
    if (open_machine(&m, &targets[t], &network, 1) && open_machine(&other, &targets[t], &network, 1)) {
      for (int i = 0; i < 2; i++) {
        inputs[i] = aid_inputs(&network.net, (uint64_t)i);
        expected[i] = aid_expected(&network.net, inputs[i]);
        arenas[i] = aid_arena(&network);
      }
      for (int round = 0; round < 4; round++) {
        int i = round % 2;
        float **outputs = run_request(round < 2 ? &m : &other, &network, inputs[i], 7, arenas[i]);
        if (!aid_agree(&network.net, outputs, expected[i], why)) fail_msg("%s: %s", name_of(&targets[t]), why);
        aid_free(outputs, network.net.n_outputs);
      }
      for (int i = 0; i < 2; i++) {
        aid_free(inputs[i], network.net.n_inputs);
        aid_free(expected[i], network.net.n_outputs);
        free(arenas[i]);
      }
      close_machine(&m);
      close_machine(&other);
    }
    cosrel_network_destroy(&network);
  }
}

/* One of two workers, each with an instance, a prepared network and an arena of its own. */
typedef struct worker {
  pthread_t thread;
  machine m;
  const cosrel_network *network;
  float **inputs, **expected;
  bool good;
  char why[256];
} worker;

static void *work(void *argument) {
  worker *w = argument;
  void *arena = aid_arena(w->network);
  w->good = true;
  for (uint32_t step = 1; step <= 16 && w->good; step *= 4) {
    float **outputs = run_request(&w->m, w->network, w->inputs, step, arena);
    w->good = aid_agree(&w->network->net, outputs, w->expected, w->why);
    aid_free(outputs, w->network->net.n_outputs);
  }
  free(arena);
  return NULL;
}

static void two_workers_at_once(void **state) {
  (void)state;
  target targets[TARGETS_MAX];
  for (uint32_t t = 0, n = list_targets(targets); t < n; t++) {
    cosrel_network network;
    worker workers[2];
    open_small(&network);
    uint32_t opened = 0;
    for (; opened < 2; opened++) {
      worker *w = &workers[opened];
      if (!open_machine(&w->m, &targets[t], &network, 1)) break;
      w->network = &network;
      w->inputs = aid_inputs(&network.net, opened);
      w->expected = aid_expected(&network.net, w->inputs);
    }
    for (uint32_t i = 0; i < opened; i++)
      assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    for (uint32_t i = 0; i < opened; i++) pthread_join(workers[i].thread, NULL);
    for (uint32_t i = 0; i < opened; i++) {
      if (!workers[i].good) fail_msg("%s: %s", name_of(&targets[t]), workers[i].why);
      aid_free(workers[i].inputs, network.net.n_inputs);
      aid_free(workers[i].expected, network.net.n_outputs);
      close_machine(&workers[i].m);
    }
    cosrel_network_destroy(&network);
  }
}

/* One of two threads that make the same network ready at once, each on an instance of its own. */
typedef struct weigher {
  pthread_t thread;
  const target *t;
  const cosrel_network *network;
  bool opened;
  uint64_t bytes[COSREL_UNITS_MAX];
} weigher;

static void *weigh(void *argument) {
  weigher *w = argument;
  machine m;
  w->opened = open_plain(&m, w->t, w->network, 1);
  if (!w->opened) return NULL;
  for (uint32_t u = 0; u < w->network->model.n_units; u++) w->bytes[u] = m.ops->weight_bytes(m.prepared, u);
  close_machine(&m);
  return NULL;
}

/* Every weight is there, in the precision of its unit; what has none takes nothing (in this network); and it is the
 * same whatever else is going on. */
static void weights_are_counted(void **state) {
  (void)state;
  target targets[TARGETS_MAX];
  for (uint32_t t = 0, n = list_precisions(targets); t < n; t++) {
    cosrel_network network;
    static weigher weighers[2];
    machine m;
    if (targets[t].ops->weight_bytes == NULL) {
      printf("%s: does not say what weights take\n", name_of(&targets[t]));
      continue;
    }
    open_small(&network);
    for (int i = 0; i < 2; i++) {
      weighers[i] = (weigher){.t = &targets[t], .network = &network};
      assert_int_equal(pthread_create(&weighers[i].thread, NULL, weigh, &weighers[i]), 0);
    }
    for (int i = 0; i < 2; i++) pthread_join(weighers[i].thread, NULL);
    if (weighers[0].opened && open_plain(&m, &targets[t], &network, 1)) {
      for (uint32_t u = 0; u < network.model.n_units; u++) {
        bool half =
            m.ops->supports(m.backend, &network, u, targets[t].precision) && targets[t].precision == COSREL_FP16;
        uint64_t least = network.model.units[u].weights * cosrel_precision_bytes(half ? COSREL_FP16 : COSREL_FP32);
        uint64_t bytes = m.ops->weight_bytes(m.prepared, u);
        if (least == 0 ? bytes != 0 : bytes < least)
          fail_msg("%s: %s takes %llu bytes, its weights %llu", name_of(&targets[t]), network.model.units[u].name,
                   (unsigned long long)bytes, (unsigned long long)least);
        assert_int_equal(weighers[0].bytes[u], bytes);
        assert_int_equal(weighers[1].bytes[u], bytes);
      }
      close_machine(&m);
    }
    cosrel_network_destroy(&network);
  }
}

typedef struct canceller {
  const cosrel_backend_ops *ops;
  cosrel_backend *backend;
  _Atomic bool stop;
} canceller;

static void *keep_cancelling(void *argument) {
  canceller *c = argument;
  while (!c->stop) c->ops->cancel(c->backend);
  return NULL;
}

/* A segment that is cancelled all the time ends early and says so; the instance then works as before. */
static void cancelled_segments_say_so(void **state) {
  (void)state;
  target targets[TARGETS_MAX];
  for (uint32_t t = 0, n = list_targets(targets); t < n; t++) {
    const cosrel_backend_ops *ops = targets[t].ops;
    cosrel_network network;
    machine m;
    pthread_t thread;
    char why[256];
    open_small(&network);
    if (ops->cancel == NULL || ops->buffer_create != NULL || !open_machine(&m, &targets[t], &network, 1)) {
      cosrel_network_destroy(&network);
      continue;
    }
    float **inputs = aid_inputs(&network.net, 1), **expected = aid_expected(&network.net, inputs);
    void *arena = aid_arena(&network);
    canceller c = {.ops = ops, .backend = m.backend};
    assert_int_equal(pthread_create(&thread, NULL, keep_cancelling, &c), 0);
    cosrel_status status = COSREL_OK;
    for (int attempt = 0; attempt < 1000 && status == COSREL_OK; attempt++) {
      cosrel_network_put_inputs(&network, (const float *const *)inputs, arena);
      assert_int_equal(ops->submit(m.backend, m.prepared, arena, NULL, 0, network.model.n_units), COSREL_OK);
      status = ops->wait(m.backend, 60 * COSREL_S);
    }
    c.stop = true;
    pthread_join(thread, NULL);
    assert_int_equal(status, COSREL_INTERRUPTED);
    float **outputs = run_request(&m, &network, inputs, 5, arena);
    if (!aid_agree(&network.net, outputs, expected, why)) fail_msg("%s: %s", name_of(&targets[t]), why);
    aid_free(outputs, network.net.n_outputs);
    aid_free(expected, network.net.n_outputs);
    aid_free(inputs, network.net.n_inputs);
    free(arena);
    close_machine(&m);
    cosrel_network_destroy(&network);
  }
}

static void tables_are_whole(void **state) {
  (void)state;
  target targets[TARGETS_MAX];
  for (uint32_t t = 0, n = list_targets(targets); t < n; t++) {
    const cosrel_backend_ops *o = targets[t].ops;
    assert_int_equal(o->struct_size, sizeof *o);
    assert_ptr_equal(cosrel_backend_find(o->name), o);
    assert_true(o->open != NULL && o->close != NULL && o->supports != NULL && o->prepare != NULL &&
                o->release != NULL && o->submit != NULL && o->wait != NULL);
    bool own_memory = o->buffer_create != NULL;
    assert_true((o->buffer_destroy != NULL) == own_memory && (o->read != NULL) == own_memory &&
                (o->write != NULL) == own_memory);
    cosrel_network network;
    machine m;
    open_small(&network);
    if (open_machine(&m, &targets[t], &network, 1)) {
      uint32_t n_own = 0;
      for (uint32_t u = 0; u < network.model.n_units; u++) n_own += o->supports(m.backend, &network, u, COSREL_FP32);
      assert_true(n_own > 0);
      if (m.other != NULL) printf("%s: computes %u of %u units\n", name_of(&targets[t]), n_own, network.model.n_units);
      if (o->describe != NULL) {
        cosrel_capability capability = {.units = 0};
        o->describe(m.backend, &capability);
        assert_true(capability.device[0] != '\0' && capability.units > 0 && capability.memory_mib > 0);
      }
      if (o->telemetry != NULL) {
        cosrel_telemetry telemetry = {.energy_mj = -1, .temperature_c = NAN, .frequency_mhz = 0, .device_ns = -1};
        o->telemetry(m.backend, &telemetry);
        assert_true(telemetry.frequency_mhz >= 0 && telemetry.device_ns >= -1);
      }
      close_machine(&m);
    }
    cosrel_network_destroy(&network);
  }
  assert_null(cosrel_backend_find("nothing"));
  assert_null(cosrel_backend_find(""));
}

/* An instance that is closed takes nothing from those that are open, and each opens again. */
static void instances_are_independent(void **state) {
  (void)state;
  target targets[TARGETS_MAX];
  for (uint32_t t = 0, n = list_targets(targets); t < n; t++) {
    cosrel_network network;
    machine first, second;
    char why[256];
    open_small(&network);
    float **inputs = aid_inputs(&network.net, 1), **expected = aid_expected(&network.net, inputs);
    if (open_machine(&first, &targets[t], &network, 1)) {
      assert_true(open_machine(&second, &targets[t], &network, 1));
      close_machine(&first);
      assert_true(open_machine(&first, &targets[t], &network, 1));
      void *arena = aid_arena(&network);
      float **outputs = run_request(&second, &network, inputs, 7, arena);
      if (!aid_agree(&network.net, outputs, expected, why)) fail_msg("%s: %s", name_of(&targets[t]), why);
      aid_free(outputs, network.net.n_outputs);
      free(arena);
      close_machine(&second);
      close_machine(&first);
    }
    aid_free(inputs, network.net.n_inputs);
    aid_free(expected, network.net.n_outputs);
    cosrel_network_destroy(&network);
  }
}

/* What a backend says before a network is ready is what it says afterwards. */
static void support_is_known_beforehand(void **state) {
  (void)state;
  target targets[TARGETS_MAX];
  for (uint32_t t = 0, n = list_targets(targets); t < n; t++) {
    const cosrel_backend_ops *ops = targets[t].ops;
    cosrel_backend_spec spec = {.processor = "cpu", .threads = 1};
    cosrel_backend *backend;
    cosrel_network network;
    cosrel_prepared *prepared;
    cosrel_error error;
    snprintf(spec.backend, sizeof spec.backend, "%s", ops->name);
    snprintf(spec.device, sizeof spec.device, "%s", targets[t].device);
    if (cosrel_backend_open(&spec, &backend, &error) != COSREL_OK) continue;
    if (cosrel_network_open("zoo:transformer_small@16", &network, &error) != COSREL_OK) fail_msg("%s", error.text);
    bool *before = calloc(network.model.n_units, sizeof *before);
    assert_non_null(before);
    for (uint32_t u = 0; u < network.model.n_units; u++) {
      before[u] = ops->supports(backend, &network, u, COSREL_FP32);
      assert_false(ops->supports(backend, &network, u, COSREL_INT8));
    }
    assert_int_equal(ops->prepare(backend, &network, NULL, &prepared, &error), COSREL_OK);
    for (uint32_t u = 0; u < network.model.n_units; u++)
      assert_true(ops->supports(backend, &network, u, COSREL_FP32) == before[u]);
    free(before);
    ops->release(backend, prepared);
    ops->close(backend);
    cosrel_network_destroy(&network);
  }
}

/* ---- Specs ---- */

static void specs_keep_what_they_say(void **state) {
  (void)state;
  static const char *const good[] = {
      "cpu=reference",
      "cpu0=xnnpack:cores=0:threads=1",
      "cpu-little=xnnpack:cores=0-3+6",
      "gpu=opencl:device=Portable Computing Language",
      "x=y:cores=0-255:threads=256:device=a=b+c",
      "a23456789012345=b23456789012345:cores=1+3+5+7-9+65535",
  };
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    cosrel_backend_spec spec, again;
    cosrel_error error = {""};
    char text[COSREL_BACKEND_SPEC_MAX];
    if (cosrel_backend_spec_parse(good[i], &spec, &error) != COSREL_OK) fail_msg("%s", error.text);
    cosrel_backend_spec_format(&spec, text, sizeof text);
    assert_string_equal(text, good[i]);
    assert_int_equal(cosrel_backend_spec_parse(text, &again, &error), COSREL_OK);
    assert_memory_equal(&spec, &again, sizeof spec);
  }
  cosrel_backend_spec spec;
  cosrel_error error;
  char text[COSREL_BACKEND_SPEC_MAX];
  assert_int_equal(cosrel_backend_spec_parse("c=x:threads=2:cores=2+3+4", &spec, &error), COSREL_OK);
  assert_int_equal(spec.n_cores, 3);
  cosrel_backend_spec_format(&spec, text, sizeof text);
  assert_string_equal(text, "c=x:cores=2-4:threads=2");
  /* The longest there is fits. */
  spec.n_cores = COSREL_CORES_MAX;
  for (uint32_t i = 0; i < COSREL_CORES_MAX; i++) spec.cores[i] = (uint16_t)(65535 - 2 * (COSREL_CORES_MAX - 1 - i));
  cosrel_backend_spec_format(&spec, text, sizeof text);
  assert_int_equal(cosrel_backend_spec_parse(text, &spec, &error), COSREL_OK);
  assert_int_equal(spec.n_cores, COSREL_CORES_MAX);
}

static void hostile_specs_are_refused(void **state) {
  (void)state;
  static const char *const bad[] = {
      "",
      "=",
      "cpu",
      "cpu=",
      "=xnnpack",
      "cpu=xnnpack:",
      "cpu=xnnpack::threads=1",
      "cpu=xnn pack",
      "cpu=x:cores=",
      "cpu=x:cores=3-1",
      "cpu=x:cores=1+1",
      "cpu=x:cores=2+1",
      "cpu=x:cores=1+",
      "cpu=x:cores=1-",
      "cpu=x:cores=-1",
      "cpu=x:cores=0-256",
      "cpu=x:cores=0-4294967295",
      "cpu=x:cores=99999",
      "cpu=x:cores=0x1",
      "cpu=x:cores=1,2",
      "cpu=x:threads=",
      "cpu=x:threads=-1",
      "cpu=x:threads=257",
      "cpu=x:threads=1 ",
      "cpu=x:threads=1:threads=1",
      "cpu=x:speed=1",
      "cpu=x:device=",
      "cpu=x:device=a\nb",
      "cpu=x:cores=1:cores=2",
      "cpu==x",
      "c2345678901234567=x",
      "c=x2345678901234567",
      "c\xff=x",
      "c=x:CORES=1",
      "c=x:device=0123456789012345678901234567890123456789012345678901234567890123",
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    cosrel_backend_spec spec = {.processor = "kept"};
    cosrel_error error = {""};
    if (cosrel_backend_spec_parse(bad[i], &spec, &error) != COSREL_INVALID) fail_msg("accepted: %s", bad[i]);
    assert_true(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
    assert_string_equal(spec.processor, "kept");
  }
  /* Any single byte wrong anywhere: no crash, and what is accepted is written the same way. */
  const char *text = "cpu0=xnnpack:cores=0-3+6:threads=2:device=abc";
  for (size_t at = 0; at < strlen(text); at++) {
    for (int byte = 1; byte < 256; byte++) {
      char changed[64], written[COSREL_BACKEND_SPEC_MAX];
      cosrel_backend_spec spec, again;
      cosrel_error error;
      snprintf(changed, sizeof changed, "%s", text);
      changed[at] = (char)byte;
      if (cosrel_backend_spec_parse(changed, &spec, &error) != COSREL_OK) continue;
      cosrel_backend_spec_format(&spec, written, sizeof written);
      assert_int_equal(cosrel_backend_spec_parse(written, &again, &error), COSREL_OK);
      assert_memory_equal(&spec, &again, sizeof spec);
    }
  }
}

static void what_cannot_be_opened_says_why(void **state) {
  (void)state;
  static const char *const specs[] = {"p7=nothing", "p7=reference:threads=3", "p7=reference:device=x",
                                      "p7=armnn:device=NoAcc", "p7=armnn:device=CpuRef:threads=2"};
  for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
    cosrel_backend_spec spec;
    cosrel_backend *backend;
    cosrel_error error = {""};
    assert_int_equal(cosrel_backend_spec_parse(specs[i], &spec, &error), COSREL_OK);
    assert_int_equal(cosrel_backend_open(&spec, &backend, &error), COSREL_UNSUPPORTED);
    assert_null(backend);
    assert_non_null(strstr(error.text, "p7: "));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tables_are_whole),
      cmocka_unit_test(specs_keep_what_they_say),
      cmocka_unit_test(hostile_specs_are_refused),
      cmocka_unit_test(what_cannot_be_opened_says_why),
      cmocka_unit_test(operators_agree_with_the_reference),
      cmocka_unit_test(erf_is_close),
      cmocka_unit_test(zoo_models_agree_with_the_reference),
      cmocka_unit_test(onnx_test_models_agree_with_the_reference),
      cmocka_unit_test(real_graphs_agree_with_the_reference),
      cmocka_unit_test(requests_do_not_mix),
      cmocka_unit_test(two_workers_at_once),
      cmocka_unit_test(weights_are_counted),
      cmocka_unit_test(instances_are_independent),
      cmocka_unit_test(support_is_known_beforehand),
      cmocka_unit_test(cancelled_segments_say_so),
  };
  setenv("COSREL_TUNE", "0", 1); /* hundreds of small nets: measuring each would take long */
  const struct CMUnitTest few[] = {cmocka_unit_test(operators_agree_with_the_reference)};
  if (few_draws() > 0) return cmocka_run_group_tests(few, NULL, NULL);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
