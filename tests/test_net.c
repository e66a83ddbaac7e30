/* Nets: building, order, shapes, constants, and folding that computes the same. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "backends/net.h"
#include "backends/reference/operators.h"
#include "sched/rng.h"

#define LIMIT (UINT64_C(16) << 20)

static cosrel_net start(void) {
  cosrel_net net;
  assert_int_equal(cosrel_net_create(&net, "test", 13, LIMIT, NULL), COSREL_OK);
  return net;
}

static int32_t blank(cosrel_net *net) { return cosrel_net_add_value(net, (cosrel_tensor){0}); }

static int32_t input(cosrel_net *net, const char *name, cosrel_shape shape) {
  int32_t value = cosrel_net_add_value(net, (cosrel_tensor){.shape = shape});
  cosrel_net_add_input(net, name, value);
  return value;
}

/* A constant of normal draws around `mean`. */
static int32_t constant(cosrel_net *net, cosrel_shape shape, float mean, float deviation) {
  cosrel_tensor tensor = {.shape = shape};
  float *data = cosrel_net_allocate(net, cosrel_tensor_bytes(&tensor));
  assert_non_null(data);
  uint64_t n = cosrel_shape_elements(&shape);
  for (uint64_t i = 0; i < n; i++) {
    data[i] = mean + deviation * (float)cosrel_rng_normal(cosrel_rng_key(net->n_values, i));
  }
  tensor.data = data;
  return cosrel_net_add_value(net, tensor);
}

static int32_t vector(cosrel_net *net, uint32_t n, float mean) {
  return constant(net, (cosrel_shape){.rank = 1, .dims = {n}}, mean, 0.1F);
}

/* A node of one output; `attributes` may be NULL. */
static int32_t node_with(cosrel_net *net, const char *name, const char *op, const int32_t *inputs, uint32_t n,
                         const cosrel_attribute *attributes, uint32_t n_attributes) {
  int32_t output = blank(net);
  const cosrel_operator *found = cosrel_operator_find(op);
  assert_non_null(found);
  cosrel_net_add_node(net, name, found, inputs, n, &output, 1, attributes, n_attributes);
  return output;
}

static int32_t node(cosrel_net *net, const char *name, const char *op, int32_t a, int32_t b) {
  return node_with(net, name, op, (const int32_t[]){a, b}, b == -1 ? 1 : 2, NULL, 0);
}

static void settle(cosrel_net *net) {
  cosrel_error error = {""};
  if (cosrel_net_settle(net, &error) != COSREL_OK) fail_msg("%s", error.text);
}

static void settle_fails(cosrel_net *net, cosrel_status status, const char *part) {
  cosrel_error error = {""};
  assert_int_equal(cosrel_net_settle(net, &error), status);
  if (strstr(error.text, part) == NULL) fail_msg("expected '%s' in: %s", part, error.text);
  cosrel_net_destroy(net);
}

static const cosrel_shape row = {.rank = 2, .dims = {1, 4}};

/* ---- Building ---- */

static void memory_is_aligned_zeroed_and_bounded(void **state) {
  (void)state;
  cosrel_net net = start();
  const uint64_t sizes[] = {0, 1, 64, 100, 5000, 70000};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    char *data = cosrel_net_allocate(&net, sizes[i]);
    assert_non_null(data);
    assert_int_equal((uintptr_t)data % 64, 0);
    for (uint64_t k = 0; k < sizes[i]; k++) assert_int_equal(data[k], 0);
    memset(data, 1, sizes[i]);
  }
  assert_null(cosrel_net_allocate(&net, LIMIT));
  assert_null(cosrel_net_allocate(&net, UINT64_MAX));
  cosrel_net_destroy(&net);
}

static void the_first_failure_sticks(void **state) {
  (void)state;
  cosrel_net net = start();
  int32_t x = input(&net, "x", row), y = node(&net, "a", "Relu", x, -1);
  assert_int_equal(cosrel_net_add_node(&net, "b", cosrel_operator_find("Relu"), &x, 1, &y, 1, NULL, 0), -1);
  assert_int_equal(blank(&net), -1);
  assert_int_not_equal(cosrel_net_add_output(&net, "y", y), COSREL_OK);
  settle_fails(&net, COSREL_INVALID, "node 'b' (Relu): output 0: expected a value that nothing else makes");

  net = start();
  int32_t unknown = 7;
  y = blank(&net);
  assert_int_equal(cosrel_net_add_node(&net, "a", cosrel_operator_find("Relu"), &unknown, 1, &y, 1, NULL, 0), -1);
  settle_fails(&net, COSREL_INVALID, "node 'a' (Relu): input 0: expected a value");
}

static void attributes_are_found_by_name_and_kind(void **state) {
  (void)state;
  cosrel_net net = start();
  int64_t axis = -2, pads[2] = {1, 2};
  float alpha = 0.5F;
  const cosrel_attribute attributes[] = {{.name = "axis", .kind = COSREL_ATTRIBUTE_INTS, .n = 1, .ints = &axis},
                                         {.name = "pads", .kind = COSREL_ATTRIBUTE_INTS, .n = 2, .ints = pads},
                                         {.name = "alpha", .kind = COSREL_ATTRIBUTE_FLOATS, .n = 1, .floats = &alpha},
                                         {.name = "mode", .kind = COSREL_ATTRIBUTE_STRING, .n = 4, .string = "edge"}};
  int32_t x = input(&net, "x", row);
  node_with(&net, "a", "Relu", &x, 1, attributes, 4);
  const cosrel_net_node *a = &net.nodes[0];
  assert_int_equal(cosrel_node_int(&net, a, "axis", 9), -2);
  assert_int_equal(cosrel_node_int(&net, a, "pads", 9), 9); /* two of them */
  assert_int_equal(cosrel_node_int(&net, a, "alpha", 9), 9);
  assert_int_equal(cosrel_node_int(&net, a, "missing", 9), 9);
  assert_true(cosrel_node_float(&net, a, "alpha", 9) == 0.5F);
  assert_true(cosrel_node_float(&net, a, "axis", 9) == 9);
  assert_string_equal(cosrel_node_string(&net, a, "mode", "none"), "edge");
  assert_string_equal(cosrel_node_string(&net, a, "axis", "none"), "none");
  assert_int_equal(cosrel_node_ints(&net, a, "pads")->n, 2);
  assert_null(cosrel_node_ints(&net, a, "alpha"));
  assert_int_equal(cosrel_node_attribute(&net, a, "alpha")->kind, COSREL_ATTRIBUTE_FLOATS);
  cosrel_net_destroy(&net);
}

/* ---- Settling ---- */

static void nodes_come_into_order_and_get_shapes(void **state) {
  (void)state;
  cosrel_net net = start();
  int32_t x = input(&net, "x", row), middle = blank(&net);
  int32_t y = node(&net, "last", "Sigmoid", middle, -1);
  cosrel_net_add_node(&net, "first", cosrel_operator_find("Relu"), &x, 1, &middle, 1, NULL, 0);
  cosrel_net_add_output(&net, "y", y);
  settle(&net);
  assert_int_equal(net.n_nodes, 2);
  assert_string_equal(net.nodes[0].name, "first");
  assert_string_equal(net.nodes[1].name, "last");
  assert_int_equal(net.values[net.outputs[0]].producer, 1);
  assert_int_equal(net.values[net.outputs[0]].tensor.shape.dims[1], 4);
  cosrel_net_destroy(&net);
}

static void what_cannot_be_computed_is_refused(void **state) {
  (void)state;
  cosrel_net net = start();
  int32_t x = input(&net, "x", row), loop = blank(&net);
  int32_t a = node(&net, "a", "Add", x, loop);
  cosrel_net_add_node(&net, "b", cosrel_operator_find("Relu"), &a, 1, &loop, 1, NULL, 0);
  cosrel_net_add_output(&net, "y", a);
  settle_fails(&net, COSREL_FORMAT, "(Add): expected no cycle");

  net = start();
  cosrel_net_add_output(&net, "y", node(&net, "a", "Relu", blank(&net), -1));
  settle_fails(&net, COSREL_FORMAT, "node 'a' (Relu): input 0: expected a tensor that something makes");

  net = start();
  input(&net, "x", row);
  settle_fails(&net, COSREL_FORMAT, "expected at least one output");

  net = start();
  cosrel_net_add_output(&net, "y", blank(&net));
  settle_fails(&net, COSREL_FORMAT, "output 'y': expected that something makes it");

  net = start();
  x = input(&net, "x", row);
  cosrel_net_add_input(&net, "again", node(&net, "a", "Relu", x, -1));
  cosrel_net_add_output(&net, "y", x);
  settle_fails(&net, COSREL_FORMAT, "input 'again': expected that nothing else makes it");

  net = start(); /* 4 and 3 do not broadcast */
  x = input(&net, "x", row);
  cosrel_net_add_output(&net, "y", node(&net, "sum", "Add", x, vector(&net, 3, 0)));
  settle_fails(&net, COSREL_FORMAT, "node 'sum' (Add): ");

  net = start();
  net.opset = 6;
  x = input(&net, "x", row);
  cosrel_net_add_output(&net, "y", node(&net, "a", "Erf", x, -1));
  settle_fails(&net, COSREL_UNSUPPORTED, "node 'a' (Erf): ");
}

static void constants_are_computed_and_leftovers_dropped(void **state) {
  (void)state;
  cosrel_net net = start();
  int32_t x = input(&net, "x", row);
  int32_t sum = node(&net, "sum", "Add", vector(&net, 4, 1), vector(&net, 4, 2));
  float expected[4];
  for (int i = 0; i < 4; i++) {
    expected[i] = ((float *)net.values[1].tensor.data)[i] + ((float *)net.values[2].tensor.data)[i];
  }
  node(&net, "unread", "Relu", x, -1);
  cosrel_net_add_output(&net, "y", node(&net, "shifted", "Add", x, sum));
  cosrel_net_add_output(&net, "size", node(&net, "size", "Shape", x, -1));
  settle(&net);
  assert_int_equal(net.n_nodes, 1);
  assert_int_equal(net.n_links, 3);
  assert_int_equal(net.n_values, 4); /* x, the sum, y and the shape */
  const cosrel_net_node *shifted = &net.nodes[0];
  assert_string_equal(shifted->name, "shifted");
  int32_t folded = cosrel_net_node_inputs(&net, shifted)[1];
  assert_true(cosrel_value_is_constant(&net, folded));
  assert_memory_equal(net.values[folded].tensor.data, expected, sizeof expected);
  const cosrel_tensor *size = &net.values[net.outputs[1]].tensor;
  assert_int_equal(size->dtype, COSREL_I64);
  assert_int_equal(((const int64_t *)size->data)[1], 4);
  cosrel_net_destroy(&net);
}

static void constants_may_not_blow_up(void **state) {
  (void)state;
  cosrel_net net = start(); /* 2^23 floats are 32 MiB */
  int32_t tall = constant(&net, (cosrel_shape){.rank = 2, .dims = {4096, 1}}, 0, 1);
  int32_t wide = constant(&net, (cosrel_shape){.rank = 2, .dims = {1, 2048}}, 0, 1);
  cosrel_net_add_output(&net, "y", node(&net, "outer", "Add", tall, wide));
  settle_fails(&net, COSREL_LIMIT, "node 'outer' (Add): expected to need at most 16 MiB");

  net = start(); /* 2^30 products, and so again and again */
  cosrel_shape square = {.rank = 2, .dims = {1024, 1024}};
  tall = constant(&net, square, 0, 1);
  cosrel_net_add_output(&net, "y", node(&net, "product", "MatMul", tall, tall));
  settle_fails(&net, COSREL_LIMIT, "node 'product' (MatMul): expected less arithmetic with constants");
}

/* ---- Folding ---- */

static float norm_epsilon = 1e-3F;

static int32_t batch_norm(cosrel_net *net, int32_t x, uint32_t channels) {
  const int32_t inputs[5] = {x, vector(net, channels, 1), vector(net, channels, 0), vector(net, channels, 0),
                             vector(net, channels, 1)};
  const cosrel_attribute epsilon = {
      .name = "epsilon", .kind = COSREL_ATTRIBUTE_FLOATS, .n = 1, .floats = &norm_epsilon};
  return node_with(net, "norm", "BatchNormalization", inputs, 5, &epsilon, 1);
}

/* Computes the net on the same draws before and after folding: the first output agrees to rounding. */
static void fold_and_compare(cosrel_net *net, uint32_t nodes_after) {
  settle(net);
  float x[1024], before[1024];
  cosrel_error error = {""};
  const cosrel_tensor *out = &net->values[net->outputs[0]].tensor;
  uint64_t n = cosrel_shape_elements(&out->shape);
  assert_true(n <= 1024 && cosrel_shape_elements(&net->values[net->inputs[0]].tensor.shape) <= 1024);
  for (uint64_t i = 0; i < 1024; i++) x[i] = (float)cosrel_rng_normal(i);
  const void *inputs[1] = {x};
  for (int folded = 0; folded < 2; folded++) {
    cosrel_reference reference;
    if (cosrel_reference_create(net, &reference, &error) != COSREL_OK) fail_msg("%s", error.text);
    cosrel_reference_run(&reference, inputs);
    const float *y = reference.tensors[net->outputs[0]].data;
    for (uint64_t i = 0; i < n; i++) {
      if (folded == 0) {
        before[i] = y[i];
      } else if (!(fabsf(y[i] - before[i]) <= 1e-5F * (1 + fabsf(before[i])))) {
        fail_msg("element %d: %g before folding, %g after", (int)i, (double)before[i], (double)y[i]);
      }
    }
    cosrel_reference_destroy(&reference);
    if (folded == 0 && cosrel_net_fold(net, &error) != COSREL_OK) fail_msg("%s", error.text);
  }
  assert_int_equal(net->n_nodes, nodes_after);
  cosrel_net_destroy(net);
}

static void batch_norms_fold_into_convolutions(void **state) {
  (void)state;
  for (int bias = 0; bias < 2; bias++) {
    cosrel_net net = start();
    int64_t group = 2;
    const cosrel_attribute groups = {.name = "group", .kind = COSREL_ATTRIBUTE_INTS, .n = 1, .ints = &group};
    int32_t inputs[3] = {input(&net, "x", (cosrel_shape){.rank = 4, .dims = {1, 4, 6, 6}}),
                         constant(&net, (cosrel_shape){.rank = 4, .dims = {6, 2, 3, 3}}, 0, 1), vector(&net, 6, 0)};
    int32_t y = node_with(&net, "conv", "Conv", inputs, bias ? 3 : 2, &groups, 1);
    y = batch_norm(&net, batch_norm(&net, y, 6), 6); /* one after the other */
    cosrel_net_add_output(&net, "y", node(&net, "act", "Relu", y, -1));
    fold_and_compare(&net, 2);

    net = start();
    inputs[0] = input(&net, "x", (cosrel_shape){.rank = 4, .dims = {1, 4, 5, 5}});
    inputs[1] = constant(&net, (cosrel_shape){.rank = 4, .dims = {4, 3, 2, 2}}, 0, 1);
    inputs[2] = vector(&net, 6, 0);
    y = node_with(&net, "up", "ConvTranspose", inputs, bias ? 3 : 2, &groups, 1);
    cosrel_net_add_output(&net, "y", batch_norm(&net, y, 6));
    fold_and_compare(&net, 1);
  }
}

static void batch_norms_fold_into_dense_layers(void **state) {
  (void)state;
  for (int64_t transposed = 0; transposed < 2; transposed++) {
    for (int bias = 0; bias < 2; bias++) {
      cosrel_net net = start();
      const cosrel_attribute attribute = {.name = "transB", .kind = COSREL_ATTRIBUTE_INTS, .n = 1, .ints = &transposed};
      cosrel_shape shape = {.rank = 2, .dims = {transposed ? 5 : 4, transposed ? 4 : 5}};
      const int32_t inputs[3] = {input(&net, "x", (cosrel_shape){.rank = 2, .dims = {3, 4}}),
                                 constant(&net, shape, 0, 1), vector(&net, 5, 0)};
      int32_t y = node_with(&net, "fc", "Gemm", inputs, bias ? 3 : 2, &attribute, 1);
      cosrel_net_add_output(&net, "y", batch_norm(&net, y, 5));
      fold_and_compare(&net, 1);
    }
  }
}

static void batch_norms_stay_where_others_read_their_input(void **state) {
  (void)state;
  cosrel_net net = start();
  int32_t inputs[2] = {input(&net, "x", (cosrel_shape){.rank = 4, .dims = {1, 2, 4, 4}}),
                       constant(&net, (cosrel_shape){.rank = 4, .dims = {2, 2, 1, 1}}, 0, 1)};
  int32_t conv = node_with(&net, "conv", "Conv", inputs, 2, NULL, 0);
  cosrel_net_add_output(&net, "y", node(&net, "sum", "Add", batch_norm(&net, conv, 2), conv));
  fold_and_compare(&net, 3);

  net = start(); /* the caller reads it */
  inputs[0] = input(&net, "x", (cosrel_shape){.rank = 4, .dims = {1, 2, 4, 4}});
  inputs[1] = constant(&net, (cosrel_shape){.rank = 4, .dims = {2, 2, 1, 1}}, 0, 1);
  conv = node_with(&net, "conv", "Conv", inputs, 2, NULL, 0);
  cosrel_net_add_output(&net, "y", batch_norm(&net, conv, 2));
  cosrel_net_add_output(&net, "raw", conv);
  fold_and_compare(&net, 2);
}

static void idle_nodes_vanish(void **state) {
  (void)state;
  cosrel_net net = start();
  int32_t y = node(&net, "same", "Identity", input(&net, "x", row), -1);
  y = node(&net, "act", "Relu", y, -1);
  cosrel_net_add_output(&net, "y", node(&net, "drop", "Dropout", y, -1));
  fold_and_compare(&net, 1);

  net = start(); /* somebody must make the output */
  cosrel_net_add_output(&net, "y", node(&net, "same", "Identity", input(&net, "x", row), -1));
  fold_and_compare(&net, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_is_aligned_zeroed_and_bounded),
      cmocka_unit_test(the_first_failure_sticks),
      cmocka_unit_test(attributes_are_found_by_name_and_kind),
      cmocka_unit_test(nodes_come_into_order_and_get_shapes),
      cmocka_unit_test(what_cannot_be_computed_is_refused),
      cmocka_unit_test(constants_are_computed_and_leftovers_dropped),
      cmocka_unit_test(constants_may_not_blow_up),
      cmocka_unit_test(batch_norms_fold_into_convolutions),
      cmocka_unit_test(batch_norms_fold_into_dense_layers),
      cmocka_unit_test(batch_norms_stay_where_others_read_their_input),
      cmocka_unit_test(idle_nodes_vanish),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
