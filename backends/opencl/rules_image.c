/* Images as NHWC: pools, resizing, local response normalisation. */
#include <string.h>

#include "backends/lower.h"
#include "backends/opencl/rules.h"
#include "backends/reference/families.h"

#define CHANNELS 8 /* of a pixel that a work-item computes */

static size_t chunks(uint32_t channels) { return (channels + CHANNELS - 1) / CHANNELS; }

/* Groups of 32: channels first, then columns. */
static void size_image(cosrel_cl_launch *launch, uint32_t channels, size_t columns, size_t rows) {
  if (channels >= 64)
    cosrel_cl_size(launch, chunks(channels), columns, rows, 8, 4, 1);
  else
    cosrel_cl_size(launch, chunks(channels), columns, rows, 1, 32, 1);
}

/* ---- Pools ---- */

static bool supports_pool(const cosrel_net *net, const cosrel_net_node *node) {
  return cosrel_cl_tensor(net, node, 0)->shape.rank == 4 && node->n_outputs == 1;
}

static void pool(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_shape *x = cosrel_cl_shape(planner, in), *y = cosrel_cl_shape(planner, out);
  cosrel_window w = cosrel_node_window(planner->net, node);
  bool average = strcmp(node->op->name, "AveragePool") == 0;
  bool pads = cosrel_node_int(planner->net, node, "count_include_pad", 0) != 0;
  cosrel_cl_activation activation;
  out = cosrel_cl_take_activation(planner, out, &activation);
  cosrel_cl_launch launch = cosrel_cl_launch_of("image", "pool");
  cosrel_cl_push_in(&launch, cosrel_cl_dense(planner, in, true));
  cosrel_cl_push_out(&launch, cosrel_cl_result(planner, out, true));
  const uint32_t numbers[] = {!average ? 0
                              : pads   ? 2
                                       : 1,
                              x->dims[1],
                              x->dims[2],
                              x->dims[3],
                              y->dims[2],
                              y->dims[3],
                              w.kernel[0],
                              w.kernel[1],
                              w.stride[0],
                              w.stride[1],
                              w.dilation[0],
                              w.dilation[1],
                              w.pad[0],
                              w.pad[1],
                              w.pad[2],
                              w.pad[3],
                              x->dims[0]};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) cosrel_cl_push_int(&launch, numbers[i]);
  cosrel_cl_push_activation(&launch, activation);
  size_image(&launch, x->dims[1], y->dims[3], (size_t)y->dims[2] * x->dims[0]);
  cosrel_cl_add(planner, &launch);
}

/* ---- Resize, Upsample: what each output row and column takes is worked out here, see reference/resize.c ---- */

/* A call without data but that of constants. */
typedef struct constants_call {
  cosrel_call call;
  const cosrel_tensor *in[COSREL_OPERATOR_INPUTS_MAX];
  cosrel_tensor *out[1];
} constants_call;

static void make_call(const cosrel_net *net, const cosrel_net_node *node, constants_call *c) {
  for (uint32_t i = 0; i < node->n_inputs; i++) c->in[i] = cosrel_cl_tensor(net, node, i);
  c->out[0] = NULL;
  c->call = (cosrel_call){.net = net, .node = node, .in = c->in, .out = c->out};
}

static bool supports_resize(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_shape *x = &cosrel_cl_tensor(net, node, 0)->shape;
  const cosrel_shape *y = &net->values[cosrel_net_node_outputs(net, node)[0]].tensor.shape;
  constants_call c;
  cosrel_resize_taps taps;
  if (x->rank != 4 || x->dims[0] != y->dims[0] || x->dims[1] != y->dims[1]) return false;
  if (x->dims[2] > 1 << 24 || x->dims[3] > 1 << 24) return false; /* the tables hold indices as floats */
  make_call(net, node, &c);
  for (uint32_t axis = 0; axis < 4; axis++)
    for (uint32_t i = 0; i < y->dims[axis]; i++) {
      if (!cosrel_resize_look(&c.call, axis, i, &taps)) return false; /* outside of the input */
      for (uint32_t k = 0; axis < 2 && k < taps.n; k++)
        if (taps.at[k] != i && taps.weight[k] != 0) return false;
    }
  return true;
}

static void resize(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_shape *x = cosrel_cl_shape(planner, in), *y = cosrel_cl_shape(planner, out);
  constants_call c;
  cosrel_resize_taps taps;
  make_call(planner->net, node, &c);
  cosrel_resize_look(&c.call, 2, 0, &taps);
  uint32_t n = taps.n;
  cosrel_cl_ref table_ref;
  float *table = cosrel_cl_add_constant(planner, (uint64_t)(y->dims[2] + y->dims[3]) * 2 * n, &table_ref);
  if (table == NULL) return;
  for (uint32_t axis = 2; axis < 4; axis++)
    for (uint32_t i = 0; i < y->dims[axis]; i++) {
      cosrel_resize_look(&c.call, axis, i, &taps);
      for (uint32_t k = 0; k < n; k++) {
        *table++ = (float)taps.at[k];
        *table++ = (float)taps.weight[k];
      }
    }
  cosrel_cl_launch launch = cosrel_cl_launch_of("image", "resize");
  cosrel_cl_push_in(&launch, cosrel_cl_dense(planner, in, true));
  cosrel_cl_push_out(&launch, cosrel_cl_result(planner, out, true));
  cosrel_cl_push_in(&launch, table_ref);
  const uint32_t numbers[] = {n, x->dims[1], x->dims[2], x->dims[3], y->dims[2], y->dims[3], x->dims[0]};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) cosrel_cl_push_int(&launch, numbers[i]);
  size_image(&launch, x->dims[1], y->dims[3], (size_t)y->dims[2] * x->dims[0]);
  cosrel_cl_add(planner, &launch);
}

/* ---- LRN ---- */

static bool supports_lrn(const cosrel_net *net, const cosrel_net_node *node) {
  return cosrel_cl_tensor(net, node, 0)->shape.rank == 4 && cosrel_node_int(net, node, "size", 1) < 1 << 20;
}

static void lrn(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  const cosrel_net *net = planner->net;
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_shape *x = cosrel_cl_shape(planner, in);
  size_t pixels = (size_t)x->dims[0] * x->dims[2] * x->dims[3];
  int64_t size = cosrel_node_int(net, node, "size", 1);
  cosrel_cl_launch launch = cosrel_cl_launch_of("image", "lrn");
  cosrel_cl_push_in(&launch, cosrel_cl_dense(planner, in, true));
  cosrel_cl_push_out(&launch, cosrel_cl_result(planner, out, true));
  cosrel_cl_push_int(&launch, x->dims[1]);
  cosrel_cl_push_int(&launch, (int64_t)pixels);
  cosrel_cl_push_int(&launch, size);
  cosrel_cl_push_float(&launch, cosrel_node_float(net, node, "alpha", 1e-4F) / (float)size);
  cosrel_cl_push_float(&launch, cosrel_node_float(net, node, "beta", 0.75F));
  cosrel_cl_push_float(&launch, cosrel_node_float(net, node, "bias", 1));
  size_image(&launch, x->dims[1], pixels, 1);
  cosrel_cl_add(planner, &launch);
}

const cosrel_cl_rule cosrel_cl_image_rules[] = {
    {"AveragePool", supports_pool, pool},  {"LRN", supports_lrn, lrn},
    {"MaxPool", supports_pool, pool},      {"Resize", supports_resize, resize},
    {"Upsample", supports_resize, resize}, {NULL, NULL, NULL},
};
