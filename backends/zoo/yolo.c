/* YOLOv3 and YOLOv3-tiny. Redmon and Farhadi, arXiv:1804.02767; layers as in darknet's cfg/yolov3.cfg and
 * cfg/yolov3-tiny.cfg, 80 classes. The outputs are the raw maps of the last convolutions, one per scale: decoding and
 * the suppression of overlapping boxes are left to the caller. */
#include <stddef.h>

#include "backends/zoo/build.h"

#define OUTPUTS (3 * (80 + 5)) /* three anchors per position, each with a box, an objectness and the classes */

static int32_t conv(cosrel_graph *graph, int32_t x, const char *name, uint32_t channels, uint32_t kernel,
                    uint32_t stride) {
  cosrel_conv conv = {.channels = channels,
                      .kernel = kernel,
                      .stride = stride,
                      .pad = kernel / 2,
                      .batch_norm = true,
                      .activation = COSREL_LEAKY_RELU};
  return cosrel_graph_conv(graph, x, name, &conv);
}

static void output(cosrel_graph *graph, int32_t x, const char *scale, uint32_t channels) {
  x = conv(graph, x, cosrel_zoo_label("%s.head", scale).text, channels, 3, 1);
  cosrel_graph_conv(graph, x, cosrel_zoo_label("%s.output", scale).text,
                    &(cosrel_conv){.channels = OUTPUTS, .kernel = 1, .bias = true});
}

/* Narrowed, doubled in size and put before the finer map `skip`, which fits for sides that are multiples of 32 only. */
static int32_t refine(cosrel_graph *graph, int32_t x, int32_t skip, const char *scale, uint32_t channels) {
  cosrel_shape shape = cosrel_graph_shape(graph, x);
  int32_t parts[2] = {conv(graph, x, cosrel_zoo_label("%s.lateral", scale).text, channels, 1, 1), skip};
  parts[0] = cosrel_graph_resize(graph, parts[0], cosrel_zoo_label("%s.upsample", scale).text, 2 * shape.dims[2],
                                 2 * shape.dims[3]);
  return cosrel_graph_concat(graph, parts, 2, cosrel_zoo_label("%s.concat", scale).text);
}

/* Darknet-53 without its classifier. Fills the maps at strides 8, 16 and 32. */
static void darknet53(cosrel_graph *graph, int32_t x, int32_t maps[3]) {
  static const int repeats[5] = {1, 2, 8, 8, 4};
  x = conv(graph, x, "stem", 32, 3, 1);
  for (int s = 0; s < 5; s++) {
    uint32_t channels = UINT32_C(64) << s;
    x = conv(graph, x, cosrel_zoo_label("stage%d.down", s + 1).text, channels, 3, 2);
    for (int r = 0; r < repeats[s]; r++) {
      int32_t y = conv(graph, x, cosrel_zoo_label("stage%d.%d.conv1", s + 1, r).text, channels / 2, 1, 1);
      y = conv(graph, y, cosrel_zoo_label("stage%d.%d.conv2", s + 1, r).text, channels, 3, 1);
      x = cosrel_graph_binary(graph, y, x, cosrel_zoo_label("stage%d.%d.add", s + 1, r).text, COSREL_OP_ADD);
    }
    if (s >= 2) maps[s - 2] = x;
  }
}

void cosrel_zoo_yolov3(cosrel_graph *graph, uint32_t side) {
  static const char *const scales[3] = {"stride8", "stride16", "stride32"};
  int32_t maps[3] = {-1, -1, -1};
  darknet53(graph, cosrel_graph_input(graph, "image", 3, side, side), maps);
  int32_t x = maps[2];
  for (int s = 2; s >= 0; s--) {
    uint32_t channels = UINT32_C(128) << s;
    if (s < 2) x = refine(graph, x, maps[s], scales[s], channels);
    for (int i = 1; i <= 5; i++) {
      bool wide = i % 2 == 0;
      x = conv(graph, x, cosrel_zoo_label("%s.conv%d", scales[s], i).text, wide ? 2 * channels : channels, wide ? 3 : 1,
               1);
    }
    output(graph, x, scales[s], 2 * channels);
  }
}

/* 2x2 at stride 1 that keeps the size: padded at the bottom and the right only. */
static int32_t pool_in_place(cosrel_graph *graph, int32_t x) {
  cosrel_node node = {.name = "pool6",
                      .op = COSREL_OP_MAX_POOL,
                      .window = {.kernel = {2, 2}, .stride = {1, 1}, .dilation = {1, 1}, .pad = {0, 0, 1, 1}}};
  return cosrel_graph_add(graph, &node, &x, 1);
}

void cosrel_zoo_yolov3_tiny(cosrel_graph *graph, uint32_t side) {
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side), fine = -1;
  for (int i = 1; i <= 5; i++) {
    x = conv(graph, x, cosrel_zoo_label("conv%d", i).text, UINT32_C(8) << i, 3, 1);
    fine = x; /* conv5, at stride 16, in the end */
    x = cosrel_graph_pool(graph, x, cosrel_zoo_label("pool%d", i).text, COSREL_OP_MAX_POOL, 2, 2, 0, false);
  }
  x = conv(graph, x, "conv6", 512, 3, 1);
  x = pool_in_place(graph, x);
  x = conv(graph, x, "conv7", 1024, 3, 1);
  x = conv(graph, x, "conv8", 256, 1, 1);
  output(graph, x, "stride32", 512);
  x = refine(graph, x, fine, "stride16", 128);
  output(graph, x, "stride16", 256);
}
