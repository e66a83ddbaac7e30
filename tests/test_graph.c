/* Shape inference, what it refuses, and how operators become units. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "backends/fuse.h"
#include "backends/graph.h"

static void expect_shape(const cosrel_graph *graph, int32_t node, uint32_t rank, const uint32_t *dims) {
  cosrel_shape shape = cosrel_graph_shape(graph, node);
  if (graph->status != COSREL_OK) fail_msg("%s", graph->error.text);
  assert_int_equal(shape.rank, rank);
  for (uint32_t i = 0; i < rank; i++) assert_int_equal(shape.dims[i], dims[i]);
}
#define EXPECT_SHAPE(graph, node, ...) \
  expect_shape(graph, node, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (const uint32_t[]){__VA_ARGS__})

static void convolutions(void **state) {
  (void)state;
  cosrel_graph g;
  cosrel_graph_init(&g, "g");
  int32_t x = cosrel_graph_input(&g, "x", 8, 17, 20);
  int32_t same = cosrel_graph_conv(&g, x, "same", &(cosrel_conv){.channels = 6, .kernel = 3, .pad = 1, .bias = true});
  EXPECT_SHAPE(&g, same, 1, 6, 17, 20);
  assert_int_equal(g.nodes[same].parameters, 6 * 8 * 9 + 6);
  assert_int_equal(g.nodes[same].macs, 6 * 8 * 9 * 17 * 20);
  int32_t strided = cosrel_graph_conv(&g, x, "strided", &(cosrel_conv){.channels = 4, .kernel = 3, .stride = 2});
  EXPECT_SHAPE(&g, strided, 1, 4, 8, 9);
  int32_t end = cosrel_graph_conv(
      &g, x, "end", &(cosrel_conv){.channels = 4, .kernel = 3, .stride = 2, .pad = 1, .pad_end_only = true});
  EXPECT_SHAPE(&g, end, 1, 4, 8, 10);
  int32_t dilated =
      cosrel_graph_conv(&g, x, "dilated", &(cosrel_conv){.channels = 4, .kernel = 3, .dilation = 6, .pad = 6});
  EXPECT_SHAPE(&g, dilated, 1, 4, 17, 20);
  int32_t tall = cosrel_graph_conv(&g, x, "tall", &(cosrel_conv){.channels = 4, .kernel = 7, .kernel_w = 1, .pad = 3});
  EXPECT_SHAPE(&g, tall, 1, 4, 17, 20);
  assert_int_equal(g.nodes[tall].parameters, 4 * 8 * 7);
  int32_t grouped = cosrel_graph_conv(&g, x, "grouped", &(cosrel_conv){.channels = 16, .kernel = 1, .groups = 4});
  assert_int_equal(g.nodes[grouped].parameters, 16 * 2);
  assert_int_equal(g.nodes[grouped].macs, 16 * 2 * 17 * 20);
  cosrel_graph_clear(&g);
}

static void pools_round_as_told(void **state) {
  (void)state;
  cosrel_graph g;
  cosrel_graph_init(&g, "g");
  int32_t x = cosrel_graph_input(&g, "x", 3, 112, 5);
  EXPECT_SHAPE(&g, cosrel_graph_pool(&g, x, "floor", COSREL_OP_MAX_POOL, 3, 2, 0, false), 1, 3, 55, 2);
  EXPECT_SHAPE(&g, cosrel_graph_pool(&g, x, "ceil", COSREL_OP_MAX_POOL, 3, 2, 0, true), 1, 3, 56, 2);
  /* A last window that would begin in the trailing pad does not count: 5 + 2 * 1, kernel 2, stride 2 gives 3 and not 4.
   */
  EXPECT_SHAPE(&g, cosrel_graph_pool(&g, x, "inside", COSREL_OP_MAX_POOL, 2, 2, 1, true), 1, 3, 57, 3);
  EXPECT_SHAPE(&g, cosrel_graph_unary(&g, x, "global", COSREL_OP_GLOBAL_POOL), 1, 3, 1, 1);
  cosrel_graph_clear(&g);
}

static void other_shapes(void **state) {
  (void)state;
  cosrel_graph g;
  cosrel_graph_init(&g, "g");
  int32_t x = cosrel_graph_input(&g, "x", 6, 4, 4), y = cosrel_graph_input(&g, "y", 2, 4, 4);
  EXPECT_SHAPE(&g, cosrel_graph_concat(&g, (const int32_t[]){x, y, x}, 3, "concat"), 1, 14, 4, 4);
  EXPECT_SHAPE(&g, cosrel_graph_slice(&g, x, "slice", 1, 2, 4), 1, 4, 4, 4);
  EXPECT_SHAPE(&g, cosrel_graph_resize(&g, x, "resize", 9, 7), 1, 6, 9, 7);
  int32_t flat = cosrel_graph_unary(&g, x, "flat", COSREL_OP_FLATTEN);
  EXPECT_SHAPE(&g, flat, 1, 96);
  int32_t dense = cosrel_graph_dense(&g, flat, "dense", 10, true);
  EXPECT_SHAPE(&g, dense, 1, 10);
  assert_int_equal(g.nodes[dense].macs, 960);
  assert_int_equal(g.nodes[dense].parameters, 970);
  int32_t gate = cosrel_graph_unary(&g, x, "gate", COSREL_OP_GLOBAL_POOL);
  EXPECT_SHAPE(&g, cosrel_graph_binary(&g, gate, x, "mul", COSREL_OP_MUL), 1, 6, 4, 4);
  int32_t turned = cosrel_graph_transpose(&g, x, "turned", (const uint32_t[]){0, 2, 3, 1});
  EXPECT_SHAPE(&g, turned, 1, 4, 4, 6);
  int32_t product = cosrel_graph_binary(
      &g, turned, cosrel_graph_transpose(&g, turned, "back", (const uint32_t[]){0, 1, 3, 2}), "p", COSREL_OP_MATMUL);
  EXPECT_SHAPE(&g, product, 1, 4, 4, 4);
  assert_int_equal(g.nodes[product].macs, 4 * 4 * 4 * 6);
  cosrel_graph_clear(&g);
}

/* Runs one builder on a fresh graph with x of shape [1, 6, 4, 4] and expects a line with `part`. */
static void expect_failure(const char *part, int32_t (*build)(cosrel_graph *, int32_t)) {
  cosrel_graph g;
  cosrel_error error = {""};
  cosrel_model model;
  cosrel_graph_init(&g, "net");
  int32_t x = cosrel_graph_input(&g, "x", 6, 4, 4);
  assert_int_equal(build(&g, x), -1);
  /* What follows a failure does nothing and keeps the first line. */
  assert_int_equal(cosrel_graph_unary(&g, x, "later", COSREL_OP_IDENTITY), -1);
  assert_int_not_equal(cosrel_graph_finish(&g, &error), COSREL_OK);
  if (strstr(error.text, part) == NULL) fail_msg("'%s' lacks '%s'", error.text, part);
  assert_int_not_equal(cosrel_graph_fuse(&g, &model, &error), COSREL_OK);
  assert_null(model.units);
  cosrel_graph_clear(&g);
}

static int32_t too_large_kernel(cosrel_graph *g, int32_t x) {
  return cosrel_graph_conv(g, x, "c", &(cosrel_conv){.channels = 1, .kernel = 5});
}
static int32_t bad_groups(cosrel_graph *g, int32_t x) {
  return cosrel_graph_conv(g, x, "c", &(cosrel_conv){.channels = 8, .groups = 4});
}
static int32_t no_channels(cosrel_graph *g, int32_t x) { return cosrel_graph_conv(g, x, "c", &(cosrel_conv){0}); }
static int32_t huge(cosrel_graph *g, int32_t x) {
  x = cosrel_graph_resize(g, x, "r", UINT32_C(1) << 24, UINT32_C(1) << 24);
  return cosrel_graph_conv(g, x, "c", &(cosrel_conv){.channels = UINT32_C(1) << 24});
}
static int32_t zero_stride(cosrel_graph *g, int32_t x) {
  return cosrel_graph_pool(g, x, "p", COSREL_OP_MAX_POOL, 2, 0, 0, false);
}
static int32_t unequal_add(cosrel_graph *g, int32_t x) {
  int32_t y = cosrel_graph_input(g, "y", 6, 4, 3);
  return cosrel_graph_binary(g, x, y, "a", COSREL_OP_ADD);
}
static int32_t ragged_concat(cosrel_graph *g, int32_t x) {
  int32_t y = cosrel_graph_input(g, "y", 6, 4, 3);
  return cosrel_graph_concat(g, (const int32_t[]){x, y}, 2, "c");
}
static int32_t empty_concat(cosrel_graph *g, int32_t x) {
  (void)x;
  return cosrel_graph_concat(g, NULL, 0, "c");
}
static int32_t long_slice(cosrel_graph *g, int32_t x) { return cosrel_graph_slice(g, x, "s", 1, 5, 2); }
static int32_t wrong_reshape(cosrel_graph *g, int32_t x) {
  return cosrel_graph_reshape(g, x, "r", (cosrel_shape){2, {1, 95}});
}
static int32_t twice_transpose(cosrel_graph *g, int32_t x) {
  return cosrel_graph_transpose(g, x, "t", (const uint32_t[]){0, 1, 1, 2});
}
static int32_t unfit_matmul(cosrel_graph *g, int32_t x) {
  int32_t y = cosrel_graph_input(g, "y", 6, 5, 4);
  return cosrel_graph_binary(g, x, y, "m", COSREL_OP_MATMUL);
}
static int32_t flat_conv(cosrel_graph *g, int32_t x) {
  x = cosrel_graph_unary(g, x, "f", COSREL_OP_FLATTEN);
  return cosrel_graph_conv(g, x, "c", &(cosrel_conv){.channels = 1});
}
static int32_t future_input(cosrel_graph *g, int32_t x) {
  return cosrel_graph_unary(g, x + 1, "u", COSREL_OP_IDENTITY);
}
static int32_t empty_name(cosrel_graph *g, int32_t x) { return cosrel_graph_unary(g, x, "", COSREL_OP_IDENTITY); }
static int32_t long_name(cosrel_graph *g, int32_t x) {
  return cosrel_graph_unary(g, x, "0123456789012345678901234567890123456789012345678901234567890123",
                            COSREL_OP_IDENTITY);
}
static int32_t no_operator(cosrel_graph *g, int32_t x) { return cosrel_graph_unary(g, x, "u", COSREL_OP_COUNT); }
static int32_t zero_side(cosrel_graph *g, int32_t x) {
  (void)x;
  return cosrel_graph_input(g, "z", 3, 0, 4);
}

static void bad_operators_are_named(void **state) {
  (void)state;
  expect_failure("net: c: expected a window that fits", too_large_kernel);
  expect_failure("net: c: expected groups that divide", bad_groups);
  expect_failure("net: c: expected 1 to 2^24 output channels", no_channels);
  expect_failure("expected at most 2^53", huge);
  expect_failure("net: p: expected kernel, stride", zero_stride);
  expect_failure("net: a: expected equal shapes", unequal_add);
  expect_failure("net: c: expected inputs that differ only", ragged_concat);
  expect_failure("net: c: expected another number of inputs", empty_concat);
  expect_failure("net: s: expected a slice within", long_slice);
  expect_failure("net: r: expected a shape of as many elements", wrong_reshape);
  expect_failure("net: t: expected a permutation", twice_transpose);
  expect_failure("net: m: expected [..., m, k]", unfit_matmul);
  expect_failure("net: c: expected an input of shape [1, C, H, W]", flat_conv);
  expect_failure("net: u: expected inputs that are earlier nodes", future_input);
  expect_failure("expected 1 to 63 bytes", empty_name);
  expect_failure("expected at most 63 bytes", long_name);
  expect_failure("net: u: expected a known operator", no_operator);
  expect_failure("net: z: expected axes of 1 to 2^24", zero_side);
}

static void fuse(const cosrel_graph *graph, cosrel_model *model) {
  cosrel_error error = {""};
  if (cosrel_graph_fuse(graph, model, &error) != COSREL_OK) fail_msg("%s", error.text);
}

static void a_convolution_takes_norm_and_activation(void **state) {
  (void)state;
  cosrel_graph g;
  cosrel_model m;
  cosrel_graph_init(&g, "g");
  int32_t x = cosrel_graph_input(&g, "x", 3, 8, 8);
  x = cosrel_graph_conv(&g, x, "c",
                        &(cosrel_conv){.channels = 4, .kernel = 3, .batch_norm = true, .activation = COSREL_RELU});
  x = cosrel_graph_unary(&g, x, "drop", COSREL_OP_IDENTITY);
  x = cosrel_graph_unary(&g, x, "flat", COSREL_OP_FLATTEN);
  x = cosrel_graph_dense(&g, x, "d", 5, true);
  cosrel_graph_unary(&g, x, "soft", COSREL_OP_SOFTMAX);
  fuse(&g, &m);
  assert_int_equal(m.n_units, 2);
  assert_string_equal(m.units[0].name, "c");
  assert_int_equal(m.units[0].kind, COSREL_KIND_CONV);
  assert_int_equal(m.units[0].weights, 4 * 27 + 2 * 4);
  assert_int_equal(m.units[0].in_elems, 192);
  assert_int_equal(m.units[0].out_elems, 144);
  assert_int_equal(m.inputs[0], COSREL_MODEL_INPUT);
  assert_string_equal(m.units[1].name, "d");
  assert_int_equal(m.units[1].kind, COSREL_KIND_DENSE);
  assert_int_equal(m.inputs[1], 0);
  cosrel_model_clear(&m);
  cosrel_graph_clear(&g);
}

/* An activation may not join when someone else reads what lies between, be it a node or the caller. */
static void a_shared_tensor_is_not_fused_away(void **state) {
  (void)state;
  for (int wanted = 0; wanted < 2; wanted++) {
    cosrel_graph g;
    cosrel_model m;
    cosrel_graph_init(&g, "g");
    int32_t x = cosrel_graph_input(&g, "x", 3, 8, 8);
    int32_t c = cosrel_graph_conv(&g, x, "c", &(cosrel_conv){.channels = 4});
    int32_t r = cosrel_graph_activation(&g, c, "r", COSREL_RELU);
    if (wanted) {
      g.nodes[c].output = true;
    } else {
      cosrel_graph_binary(&g, r, c, "add", COSREL_OP_ADD);
    }
    fuse(&g, &m);
    assert_int_equal(m.n_units, wanted ? 2 : 3);
    assert_int_equal(m.units[1].kind, COSREL_KIND_ELEMENTWISE);
    cosrel_model_clear(&m);
    cosrel_graph_clear(&g);
  }
}

/* Two branches built in alternation come out one after the other. */
static void branches_come_out_contiguous(void **state) {
  (void)state;
  cosrel_graph g;
  cosrel_model m;
  const cosrel_conv conv = {.channels = 4};
  const char *expected[] = {"stem", "a1", "a2", "a3", "b1", "b2", "b3", "join"};
  cosrel_graph_init(&g, "g");
  int32_t x = cosrel_graph_conv(&g, cosrel_graph_input(&g, "x", 4, 8, 8), "stem", &conv);
  int32_t b = cosrel_graph_conv(&g, x, "b1", &conv), a = cosrel_graph_conv(&g, x, "a1", &conv);
  a = cosrel_graph_conv(&g, a, "a2", &conv);
  b = cosrel_graph_conv(&g, b, "b2", &conv);
  a = cosrel_graph_conv(&g, a, "a3", &conv);
  b = cosrel_graph_conv(&g, b, "b3", &conv);
  cosrel_graph_concat(&g, (const int32_t[]){a, b}, 2, "join");
  fuse(&g, &m);
  assert_int_equal(m.n_units, 8);
  for (int u = 0; u < 8; u++) assert_string_equal(m.units[u].name, expected[u]);
  assert_int_equal(m.inputs[m.units[7].first_input], 3);
  assert_int_equal(m.inputs[m.units[7].first_input + 1], 6);
  cosrel_model_clear(&m);
  cosrel_graph_clear(&g);
}

static void views_vanish_and_count_what_is_read(void **state) {
  (void)state;
  cosrel_graph g;
  cosrel_model m;
  cosrel_graph_init(&g, "g");
  int32_t x = cosrel_graph_conv(&g, cosrel_graph_input(&g, "x", 4, 8, 8), "c", &(cosrel_conv){.channels = 8});
  int32_t low = cosrel_graph_slice(&g, x, "low", 1, 0, 3), high = cosrel_graph_slice(&g, x, "high", 1, 3, 5);
  int32_t r = cosrel_graph_activation(&g, low, "r", COSREL_RELU);   /* half of c's output: may not join c */
  int32_t column = cosrel_graph_slice(&g, high, "column", 3, 0, 1); /* strided: a copy */
  cosrel_graph_concat(&g, (const int32_t[]){high, low, r}, 3, "join");
  cosrel_graph_unary(&g, column, "pool", COSREL_OP_GLOBAL_POOL);
  fuse(&g, &m);
  assert_int_equal(m.n_units, 5); /* c, r, join, column, pool */
  assert_string_equal(m.units[1].name, "r");
  assert_int_equal(m.units[1].in_elems, 3 * 64);
  assert_string_equal(m.units[2].name, "join");
  assert_int_equal(m.units[2].n_inputs, 2); /* c once, r */
  assert_int_equal(m.units[2].in_elems, 11 * 64);
  assert_int_equal(m.units[3].kind, COSREL_KIND_OTHER);
  cosrel_model_clear(&m);
  cosrel_graph_clear(&g);
}

static void limits_hold(void **state) {
  (void)state;
  cosrel_graph g;
  cosrel_model m;
  cosrel_error error = {""};
  cosrel_graph_init(&g, "deep");
  int32_t x = cosrel_graph_input(&g, "x", 1, 1, 1);
  for (int i = 0; i <= COSREL_UNITS_MAX; i++) {
    char name[16];
    snprintf(name, sizeof name, "c%d", i);
    x = cosrel_graph_conv(&g, x, name, &(cosrel_conv){.channels = 1});
  }
  assert_int_equal(cosrel_graph_fuse(&g, &m, &error), COSREL_LIMIT);
  assert_non_null(strstr(error.text, "deep: expected at most 1024 units, got 1025"));
  for (int i = 0; i < COSREL_NODES_MAX; i++) cosrel_graph_unary(&g, x, "i", COSREL_OP_IDENTITY);
  assert_int_equal(cosrel_graph_finish(&g, &error), COSREL_LIMIT);
  cosrel_graph_clear(&g);

  cosrel_graph_init(&g, "bare");
  assert_int_equal(cosrel_graph_finish(&g, &error), COSREL_FORMAT);
  cosrel_graph_input(&g, "x", 1, 1, 1);
  assert_int_equal(cosrel_graph_fuse(&g, &m, &error), COSREL_FORMAT);
  cosrel_graph_clear(&g);

  cosrel_graph_init(&g, "twins");
  x = cosrel_graph_input(&g, "x", 1, 1, 1);
  x = cosrel_graph_conv(&g, x, "c", &(cosrel_conv){.channels = 1});
  cosrel_graph_conv(&g, x, "c", &(cosrel_conv){.channels = 1});
  assert_int_equal(cosrel_graph_fuse(&g, &m, &error), COSREL_FORMAT);
  assert_non_null(strstr(error.text, "'c' again"));
  cosrel_graph_clear(&g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(convolutions),
      cmocka_unit_test(pools_round_as_told),
      cmocka_unit_test(other_shapes),
      cmocka_unit_test(bad_operators_are_named),
      cmocka_unit_test(a_convolution_takes_norm_and_activation),
      cmocka_unit_test(a_shared_tensor_is_not_fused_away),
      cmocka_unit_test(branches_come_out_contiguous),
      cmocka_unit_test(views_vanish_and_count_what_is_read),
      cmocka_unit_test(limits_hold),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
