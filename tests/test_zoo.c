/* The zoo: totals against published figures, and branches where the papers draw them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "backends/zoo/zoo.h"

/* A second statement of the published figures, so that the zoo's own table cannot drift with its networks.
 * MACs: torchvision's `_ops`, slim's mobilenet_v1.md, VainF/DeepLabV3Plus-Pytorch's 17.0 G plus 9.815 G for the second
 * decoder convolution; AlexNet's 666 M in convolutions (Chen et al., ISSCC 2016) and one per weight of its dense
 * layers; half of the FLOPs of Open Model Zoo less 25 M for activations (SSD), and of pjreddie.com (YOLO). Parameters:
 * torchvision's `num_params`; AI Hub for inception_v3 (no auxiliary head) and deeplabv3_plus_mobilenet; Open Model Zoo
 * for alexnet, SSD and YOLO. */
static const struct {
  const char *name;
  double macs, parameters;
} published[] = {
    {"squeezenet1_1@224", 0.349e9, 1235496},     {"mobilenet_v1@224", 569e6, 4.24e6},
    {"mobilenet_v2@224", 0.301e9, 3504872},      {"resnet18@224", 1.814e9, 11689512},
    {"resnet50@224", 4.089e9, 25557032},         {"googlenet@224", 1.498e9, 6624904},
    {"inception_v3@299", 5.713e9, 23.9e6},       {"deeplabv3_plus_mobilenet@513", 26.815e9, 5.80e6},
    {"alexnet@227", 724.6e6, 60.965e6},          {"vgg16@224", 15.47e9, 138357544},
    {"shufflenet_v2@224", 0.145e9, 2278604},     {"efficientnet_b0@224", 0.386e9, 5288548},
    {"ssd_mobilenet_v2@300", 1.875e9, 16.818e6}, {"ssdlite_mobilenet_v2@300", 0.750e9, 4.475e6},
    {"yolov3@416", 32.93e9, 61.922e6},           {"yolov3_tiny@416", 2.78e9, 8.848e6},
    {"squeezenet1_0@224", 0.819e9, 1248424},
};

/* Models with more than one output. */
static const struct {
  const char *name;
  uint32_t outputs;
} forked[] = {{"ssd_mobilenet_v2", 2}, {"ssdlite_mobilenet_v2", 2}, {"yolov3", 3}, {"yolov3_tiny", 2}};

static void load(const char *name, cosrel_model *model) {
  cosrel_error error = {""};
  if (cosrel_zoo_model(name, model, &error) != COSREL_OK) fail_msg("%s", error.text);
}

static double sum_macs(const cosrel_model *model) {
  double sum = 0;
  for (uint32_t u = 0; u < model->n_units; u++) sum += (double)model->units[u].macs;
  return sum;
}

static double sum_weights(const cosrel_model *model) {
  double sum = 0;
  for (uint32_t u = 0; u < model->n_units; u++) sum += (double)model->units[u].weights;
  return sum;
}

static void expect_within_percent(const char *name, const char *what, double got, double expected) {
  double off = 100 * (got / expected - 1);
  if (!(off <= 1 && off >= -1)) fail_msg("%s: %s %.0f, published %.0f (%+.2f %%)", name, what, got, expected, off);
}

static uint32_t unit_named(const cosrel_model *model, const char *name) {
  for (uint32_t u = 0; u < model->n_units; u++) {
    if (strcmp(model->units[u].name, name) == 0) return u;
  }
  fail_msg("%s has no unit %s", model->name, name);
  return 0;
}

static uint32_t count_readers(const cosrel_model *model, uint32_t producer) {
  uint32_t readers = 0;
  for (uint32_t e = 0; e < model->n_edges; e++) readers += model->inputs[e] == (int32_t)producer;
  return readers;
}

static uint32_t count_kind(const cosrel_model *model, cosrel_kind kind) {
  uint32_t count = 0;
  for (uint32_t u = 0; u < model->n_units; u++) count += model->units[u].kind == kind;
  return count;
}

/* How many units in a row, from the one named on, have the given prefix. */
static uint32_t run_of(const cosrel_model *model, const char *first, const char *prefix) {
  uint32_t u = unit_named(model, first), run = 0;
  while (u + run < model->n_units && strncmp(model->units[u + run].name, prefix, strlen(prefix)) == 0) run++;
  return run;
}

static void totals_match_what_is_published(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
    cosrel_model model;
    load(published[i].name, &model);
    expect_within_percent(model.name, "MACs", sum_macs(&model), published[i].macs);
    expect_within_percent(model.name, "parameters", sum_weights(&model), published[i].parameters);
    cosrel_model_clear(&model);
  }
}

static void the_table_says_the_same(void **state) {
  (void)state;
  uint32_t count;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&count);
  assert_true(count >= sizeof published / sizeof published[0]);
  for (uint32_t i = 0; i < count; i++) {
    char name[COSREL_NAME_MAX];
    cosrel_model model;
    snprintf(name, sizeof name, "%s@%u", table[i].name, (unsigned)table[i].published_side);
    load(name, &model);
    if (table[i].published_macs > 0) {
      expect_within_percent(name, "MACs", sum_macs(&model), table[i].published_macs);
    }
    if (table[i].published_parameters > 0) {
      expect_within_percent(name, "parameters", sum_weights(&model), table[i].published_parameters);
    }
    cosrel_model_clear(&model);
  }
}

static void every_model_is_a_valid_dag(void **state) {
  (void)state;
  uint32_t count;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&count);
  for (uint32_t i = 0; i < count; i++) {
    cosrel_model model;
    cosrel_error error = {""};
    load(table[i].name, &model);
    assert_string_equal(model.name, table[i].name);
    if (cosrel_model_check(&model, table[i].name, &error) != COSREL_OK) fail_msg("%s", error.text);
    uint32_t outputs = 0, expected = 1;
    for (uint32_t u = 0; u < model.n_units; u++) outputs += count_readers(&model, u) == 0;
    for (size_t f = 0; f < sizeof forked / sizeof forked[0]; f++) {
      if (strcmp(forked[f].name, model.name) == 0) expected = forked[f].outputs;
    }
    if (outputs != expected) fail_msg("%s: nobody reads %u units, expected %u", model.name, outputs, expected);
    cosrel_model_clear(&model);
  }
}

static void squeezenet_expands_in_parallel(void **state) {
  (void)state;
  cosrel_model model;
  load("squeezenet1_1", &model);
  assert_int_equal(model.n_units, 2 + 8 * 4 + 4); /* two convolutions, eight fires, three max pools and the average */
  assert_int_equal(count_readers(&model, unit_named(&model, "fire2.squeeze")), 2);
  assert_int_equal(model.units[unit_named(&model, "fire2.concat")].n_inputs, 2);
  assert_int_equal(model.units[model.n_units - 1].out_elems, 1000);
  cosrel_model_clear(&model);
}

static void mobilenets_alternate_depthwise_and_pointwise(void **state) {
  (void)state;
  cosrel_model model;
  load("mobilenet_v1", &model);
  assert_int_equal(count_kind(&model, COSREL_KIND_DEPTHWISE), 13);
  assert_int_equal(count_kind(&model, COSREL_KIND_CONV1X1), 13);
  assert_int_equal(count_kind(&model, COSREL_KIND_CONV), 1);
  assert_int_equal(model.units[unit_named(&model, "conv13.pointwise")].out_elems, 1024 * 7 * 7);
  cosrel_model_clear(&model);
  load("mobilenet_v2", &model);
  assert_int_equal(count_kind(&model, COSREL_KIND_DEPTHWISE), 17);
  assert_int_equal(count_kind(&model, COSREL_KIND_ELEMENTWISE), 10); /* residual additions */
  cosrel_model_clear(&model);
}

static void resnet_shortcuts_are_branches(void **state) {
  (void)state;
  cosrel_model model;
  load("resnet50", &model);
  uint32_t add = unit_named(&model, "layer2.0.add");
  assert_int_equal(model.units[add].kind, COSREL_KIND_ELEMENTWISE);
  assert_int_equal(model.units[add].n_inputs, 2);
  const int32_t *inputs = &model.inputs[model.units[add].first_input];
  assert_int_equal(inputs[0], unit_named(&model, "layer2.0.conv3"));
  assert_int_equal(inputs[1], unit_named(&model, "layer2.0.shortcut"));
  assert_int_equal(count_kind(&model, COSREL_KIND_ELEMENTWISE), 16);
  assert_int_equal(count_readers(&model, unit_named(&model, "layer1.2.add")), 2);
  assert_int_equal(run_of(&model, "layer2.0.conv1", "layer2.0.conv"), 3);
  cosrel_model_clear(&model);
}

static void inception_blocks_have_four_contiguous_branches(void **state) {
  (void)state;
  cosrel_model model;
  load("googlenet", &model);
  assert_int_equal(count_kind(&model, COSREL_KIND_CONCAT), 9);
  assert_int_equal(model.units[unit_named(&model, "inception4c.concat")].n_inputs, 4);
  assert_int_equal(count_readers(&model, unit_named(&model, "inception4b.concat")), 4);
  assert_int_equal(run_of(&model, "inception4c.branch2.reduce", "inception4c.branch2"), 2);
  assert_int_equal(run_of(&model, "inception4c.branch4.pool", "inception4c.branch4"), 2);
  cosrel_model_clear(&model);

  load("inception_v3@299", &model);
  assert_int_equal(count_kind(&model, COSREL_KIND_CONCAT), 11 + 4); /* the last two blocks fork twice more */
  assert_int_equal(model.units[unit_named(&model, "Mixed_6b.concat")].n_inputs, 4);
  assert_int_equal(count_readers(&model, unit_named(&model, "Mixed_6a.concat")), 4);
  assert_int_equal(model.units[unit_named(&model, "Mixed_6a.concat")].n_inputs, 3);
  assert_int_equal(run_of(&model, "Mixed_6b.7x7dbl.1", "Mixed_6b.7x7dbl"), 5);
  assert_int_equal(model.units[unit_named(&model, "Mixed_6e.concat")].out_elems, 768 * 17 * 17);
  assert_int_equal(model.units[unit_named(&model, "Mixed_7c.concat")].out_elems, 2048 * 8 * 8);
  cosrel_model_clear(&model);
}

static void deeplab_pools_a_pyramid_of_five(void **state) {
  (void)state;
  cosrel_model model;
  load("deeplabv3_plus_mobilenet", &model);
  assert_int_equal(model.input_elems, 3 * 513 * 513);
  assert_int_equal(model.units[unit_named(&model, "aspp.concat")].n_inputs, 5);
  assert_int_equal(model.units[unit_named(&model, "aspp4")].out_elems, 256 * 33 * 33);
  assert_int_equal(model.units[unit_named(&model, "decoder.concat")].out_elems, 304 * 129 * 129);
  assert_int_equal(model.units[unit_named(&model, "decoder.output")].out_elems, 21 * 513 * 513);
  cosrel_model_clear(&model);
}

static void alexnet_and_vgg_are_chains_that_end_dense(void **state) {
  (void)state;
  cosrel_model model;
  load("alexnet", &model);
  assert_int_equal(model.n_units, 5 + 3 + 2 + 3); /* convolutions, pools, normalisations, dense layers */
  assert_int_equal(model.units[unit_named(&model, "conv1")].out_elems, 96 * 55 * 55);
  assert_int_equal(model.units[unit_named(&model, "conv2")].macs, 27 * 27 * 256 * 5 * 5 * (96 / 2)); /* two groups */
  assert_int_equal(model.units[unit_named(&model, "norm2")].kind, COSREL_KIND_ELEMENTWISE);
  assert_int_equal(model.units[unit_named(&model, "fc6")].macs, 256 * 6 * 6 * 4096);
  cosrel_model_clear(&model);
  load("vgg16", &model);
  assert_int_equal(count_kind(&model, COSREL_KIND_CONV), 13);
  assert_int_equal(count_kind(&model, COSREL_KIND_DENSE), 3);
  assert_int_equal(model.units[unit_named(&model, "pool5")].out_elems, 512 * 7 * 7);
  for (uint32_t u = 0; u < model.n_units; u++) assert_int_equal(model.units[u].n_inputs, 1);
  cosrel_model_clear(&model);
}

static void shufflenet_passes_half_of_its_channels_by(void **state) {
  (void)state;
  cosrel_model model;
  load("shufflenet_v2", &model);
  assert_int_equal(count_kind(&model, COSREL_KIND_OTHER), 16);         /* shuffles */
  assert_int_equal(count_kind(&model, COSREL_KIND_DEPTHWISE), 16 + 3); /* two in a block that halves the size */
  const cosrel_unit *concat = &model.units[unit_named(&model, "stage3.1.concat")];
  assert_int_equal(concat->n_inputs, 2);
  assert_int_equal(model.inputs[concat->first_input], unit_named(&model, "stage3.0.shuffle"));
  assert_int_equal(model.inputs[concat->first_input + 1], unit_named(&model, "stage3.1.branch2.project"));
  assert_int_equal(concat->in_elems, 232 * 14 * 14); /* half of the shuffled channels, not all of them */
  assert_int_equal(model.units[unit_named(&model, "stage3.1.branch2.expand")].in_elems, 116 * 14 * 14);
  assert_int_equal(count_readers(&model, unit_named(&model, "stage2.3.shuffle")), 2);
  assert_int_equal(model.units[unit_named(&model, "conv5")].out_elems, 1024 * 7 * 7);
  cosrel_model_clear(&model);

  /* Units do not show which half is which. */
  cosrel_graph graph;
  cosrel_error error = {""};
  uint32_t seen = 0;
  assert_int_equal(cosrel_zoo_graph("shufflenet_v2", &graph, &error), COSREL_OK);
  for (uint32_t n = 0; n < graph.n_nodes; n++) {
    const cosrel_node *node = &graph.nodes[n];
    if (node->op != COSREL_OP_SLICE) continue;
    bool pass = strstr(node->name, ".pass") != NULL;
    assert_int_equal(node->begin, pass ? 0 : node->length);
    seen++;
  }
  assert_int_equal(seen, 2 * 13);
  cosrel_graph_clear(&graph);
}

static void efficientnet_weighs_its_channels(void **state) {
  (void)state;
  cosrel_model model;
  load("efficientnet_b0", &model);
  assert_int_equal(count_kind(&model, COSREL_KIND_DEPTHWISE), 16);
  assert_int_equal(count_kind(&model, COSREL_KIND_ELEMENTWISE), 16 + 9); /* one weighing per block, nine additions */
  assert_int_equal(count_kind(&model, COSREL_KIND_POOL), 16 + 1);
  const cosrel_unit *scale = &model.units[unit_named(&model, "block4.se.scale")];
  assert_int_equal(scale->n_inputs, 2);
  assert_int_equal(scale->in_elems, 144 * 28 * 28 + 144);
  assert_int_equal(scale->out_elems, 144 * 28 * 28);
  assert_int_equal(model.units[unit_named(&model, "block4.se.reduce")].out_elems, 24 / 4);
  assert_int_equal(model.units[unit_named(&model, "block4.depthwise")].weights, 144 * (5 * 5 + 2));
  assert_int_equal(count_readers(&model, unit_named(&model, "block4.depthwise")), 2);
  cosrel_model_clear(&model);
}

static void ssd_predicts_from_six_maps(void **state) {
  (void)state;
  static const char *const names[] = {"ssd_mobilenet_v2", "ssdlite_mobilenet_v2"};
  for (int i = 0; i < 2; i++) {
    cosrel_model model;
    load(names[i], &model);
    assert_int_equal(model.input_elems, 3 * 300 * 300);
    const cosrel_unit *boxes = &model.units[unit_named(&model, "boxes.concat")];
    const cosrel_unit *scores = &model.units[unit_named(&model, "scores.concat")];
    assert_int_equal(boxes->n_inputs, 6);
    assert_int_equal(boxes->out_elems, 1917 * 4);
    assert_int_equal(scores->out_elems, 1917 * 91);
    /* The first map is inside a block: its depthwise reads it and so do both predictors. */
    uint32_t wide = unit_named(&model, "block14.expand");
    assert_int_equal(model.units[wide].out_elems, 576 * 19 * 19);
    assert_int_equal(count_readers(&model, wide), 3);
    assert_int_equal(model.units[unit_named(&model, "extra5.project")].out_elems, 128);
    assert_int_equal(count_kind(&model, COSREL_KIND_DEPTHWISE), 17 + 4 + (i == 0 ? 0 : 12));
    cosrel_model_clear(&model);
  }
}

static void yolo_predicts_at_each_scale(void **state) {
  (void)state;
  cosrel_model model;
  load("yolov3", &model);
  assert_int_equal(count_kind(&model, COSREL_KIND_CONV) + count_kind(&model, COSREL_KIND_CONV1X1), 75);
  assert_int_equal(count_kind(&model, COSREL_KIND_ELEMENTWISE), 23);
  assert_int_equal(model.units[unit_named(&model, "stride32.output")].out_elems, 255 * 13 * 13);
  assert_int_equal(model.units[unit_named(&model, "stride16.output")].out_elems, 255 * 26 * 26);
  assert_int_equal(model.units[unit_named(&model, "stride8.output")].out_elems, 255 * 52 * 52);
  const cosrel_unit *concat = &model.units[unit_named(&model, "stride8.concat")];
  assert_int_equal(model.inputs[concat->first_input], unit_named(&model, "stride8.upsample"));
  assert_int_equal(model.inputs[concat->first_input + 1], unit_named(&model, "stage3.7.add"));
  assert_int_equal(concat->out_elems, (128 + 256) * 52 * 52);
  cosrel_model_clear(&model);

  load("yolov3_tiny", &model);
  assert_int_equal(model.units[unit_named(&model, "pool6")].out_elems, 512 * 13 * 13); /* keeps the size */
  assert_int_equal(model.units[unit_named(&model, "stride16.concat")].out_elems, (128 + 256) * 26 * 26);
  assert_int_equal(count_readers(&model, unit_named(&model, "conv5")), 2);
  assert_int_equal(count_readers(&model, unit_named(&model, "conv8")), 2);
  cosrel_model_clear(&model);
}

/* Nobody published figures for this size, so they are counted by hand. */
static void the_transformer_attends(void **state) {
  (void)state;
  const double width = 256, hidden = 1024;
  static const uint32_t tokens[] = {128, 64};
  for (int i = 0; i < 2; i++) {
    char name[COSREL_NAME_MAX];
    cosrel_model model;
    double n = tokens[i];
    snprintf(name, sizeof name, "transformer_small@%u", (unsigned)tokens[i]);
    load(name, &model);
    assert_int_equal(model.input_elems, tokens[i] * 256);
    double projections = 4 * n * width * width, products = 2 * n * n * width, feed_forward = 2 * n * width * hidden;
    double weights = 4 * (width * width + width) + 2 * width * hidden + hidden + width + 2 * 2 * width;
    assert_true(sum_macs(&model) == 4 * (projections + products + feed_forward));
    assert_true(sum_weights(&model) == 4 * weights);
    assert_int_equal(count_kind(&model, COSREL_KIND_ATTENTION), 4 * 2);
    assert_int_equal(count_kind(&model, COSREL_KIND_DENSE), 4 * 6);
    assert_int_equal(model.n_units, 4 * (2 + 6 + 4)); /* two additions and two norms; all else has vanished */
    const cosrel_unit *context = &model.units[unit_named(&model, "layer2.context")];
    assert_int_equal(model.inputs[context->first_input], unit_named(&model, "layer2.scores"));
    assert_int_equal(model.inputs[context->first_input + 1], unit_named(&model, "layer2.value"));
    assert_int_equal(model.units[unit_named(&model, "layer2.scores")].out_elems, 4 * tokens[i] * tokens[i]);
    assert_int_equal(context->out_elems, tokens[i] * 256);
    /* Three projections and the addition read a layer's input. */
    assert_int_equal(count_readers(&model, unit_named(&model, "layer1.feed_forward.norm")), 4);
    cosrel_model_clear(&model);
  }
}

static void the_side_scales_macs_and_keeps_parameters(void **state) {
  (void)state;
  cosrel_model small, large;
  load("resnet18@224", &small);
  load("resnet18@448", &large);
  assert_string_equal(large.name, "resnet18@448");
  assert_true(sum_weights(&small) == sum_weights(&large));
  assert_true(sum_macs(&large) > 3.99 * sum_macs(&small) && sum_macs(&large) < 4.0 * sum_macs(&small));
  cosrel_model_clear(&small);
  cosrel_model_clear(&large);
}

static void expect_error(const char *name, const char *part) {
  cosrel_model model;
  cosrel_error error = {""};
  assert_int_not_equal(cosrel_zoo_model(name, &model, &error), COSREL_OK);
  if (strstr(error.text, part) == NULL) fail_msg("'%s' lacks '%s'", error.text, part);
  assert_null(strchr(error.text, '\n'));
  assert_null(model.units);
}

static void bad_names_give_one_clear_line(void **state) {
  (void)state;
  expect_error("", "expected one of squeezenet1_1");
  expect_error("resnet19", "zoo:resnet19: expected one of");
  expect_error("resnet", "expected one of");
  expect_error("resnet180", "expected one of");
  expect_error("resnet18@", "expected a side of 16 to 4096");
  expect_error("resnet18@15", "expected a side of 16 to 4096");
  expect_error("resnet18@4097", "expected a side of 16 to 4096");
  expect_error("resnet18@-224", "expected a side of 16 to 4096");
  expect_error("resnet18@224x", "expected a side of 16 to 4096");
  expect_error("resnet18@99999999999999999999", "expected a side of 16 to 4096");
  expect_error("yolov3@400", "yolov3@400: stride16.concat: expected inputs that differ only along the axis");
  expect_error("inception_v3@16", "inception_v3@16: Conv2d_4a: expected a window that fits");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(totals_match_what_is_published),
      cmocka_unit_test(the_table_says_the_same),
      cmocka_unit_test(every_model_is_a_valid_dag),
      cmocka_unit_test(squeezenet_expands_in_parallel),
      cmocka_unit_test(mobilenets_alternate_depthwise_and_pointwise),
      cmocka_unit_test(resnet_shortcuts_are_branches),
      cmocka_unit_test(inception_blocks_have_four_contiguous_branches),
      cmocka_unit_test(deeplab_pools_a_pyramid_of_five),
      cmocka_unit_test(alexnet_and_vgg_are_chains_that_end_dense),
      cmocka_unit_test(shufflenet_passes_half_of_its_channels_by),
      cmocka_unit_test(efficientnet_weighs_its_channels),
      cmocka_unit_test(ssd_predicts_from_six_maps),
      cmocka_unit_test(yolo_predicts_at_each_scale),
      cmocka_unit_test(the_transformer_attends),
      cmocka_unit_test(the_side_scales_macs_and_keeps_parameters),
      cmocka_unit_test(bad_names_give_one_clear_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
