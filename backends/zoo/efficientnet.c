/* EfficientNet-B0. Tan and Le, ICML 2019, table 1; shapes as in torchvision. */
#include <stddef.h>

#include "backends/zoo/build.h"

typedef struct stage {
  uint32_t expand, kernel, stride, channels;
  int repeats;
} stage;

static int32_t conv(cosrel_graph *graph, int32_t x, const char *block, const char *part, cosrel_conv conv) {
  conv.batch_norm = true;
  return cosrel_graph_conv(graph, x, cosrel_zoo_label("%s.%s", block, part).text, &conv);
}

/* Squeeze and excitation: one weight per channel, from the channel's mean through two small 1x1 convolutions. */
static int32_t excite(cosrel_graph *graph, int32_t x, const char *block, uint32_t squeeze) {
  cosrel_conv reduce = {.channels = squeeze, .kernel = 1, .bias = true, .activation = COSREL_SILU};
  cosrel_conv expand = {
      .channels = cosrel_graph_shape(graph, x).dims[1], .kernel = 1, .bias = true, .activation = COSREL_SIGMOID};
  int32_t y = cosrel_graph_unary(graph, x, cosrel_zoo_label("%s.se.pool", block).text, COSREL_OP_GLOBAL_POOL);
  y = cosrel_graph_conv(graph, y, cosrel_zoo_label("%s.se.reduce", block).text, &reduce);
  y = cosrel_graph_conv(graph, y, cosrel_zoo_label("%s.se.expand", block).text, &expand);
  return cosrel_graph_binary(graph, x, y, cosrel_zoo_label("%s.se.scale", block).text, COSREL_OP_MUL);
}

static int32_t mbconv(cosrel_graph *graph, int32_t x, const char *block, const stage *stage, uint32_t stride) {
  uint32_t in_channels = cosrel_graph_shape(graph, x).dims[1], hidden = in_channels * stage->expand;
  cosrel_conv depthwise = {.channels = hidden,
                           .groups = hidden,
                           .kernel = stage->kernel,
                           .stride = stride,
                           .pad = stage->kernel / 2,
                           .activation = COSREL_SILU};
  int32_t y = x;
  if (stage->expand != 1) {
    y = conv(graph, y, block, "expand", (cosrel_conv){.channels = hidden, .kernel = 1, .activation = COSREL_SILU});
  }
  y = conv(graph, y, block, "depthwise", depthwise);
  y = excite(graph, y, block, in_channels / 4);
  y = conv(graph, y, block, "project", (cosrel_conv){.channels = stage->channels, .kernel = 1});
  if (stride != 1 || stage->channels != in_channels) return y;
  return cosrel_graph_binary(graph, y, x, cosrel_zoo_label("%s.add", block).text, COSREL_OP_ADD);
}

void cosrel_zoo_efficientnet_b0(cosrel_graph *graph, uint32_t side) {
  static const stage stages[] = {{1, 3, 1, 16, 1},  {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3},
                                 {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};
  cosrel_conv stem = {
      .channels = 32, .kernel = 3, .stride = 2, .pad = 1, .batch_norm = true, .activation = COSREL_SILU};
  cosrel_conv last = {.channels = 1280, .kernel = 1, .batch_norm = true, .activation = COSREL_SILU};
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  x = cosrel_graph_conv(graph, x, "stem", &stem);
  int index = 1;
  for (size_t s = 0; s < sizeof stages / sizeof stages[0]; s++) {
    for (int r = 0; r < stages[s].repeats; r++) {
      x = mbconv(graph, x, cosrel_zoo_label("block%d", index++).text, &stages[s], r == 0 ? stages[s].stride : 1);
    }
  }
  x = cosrel_graph_conv(graph, x, "last", &last);
  cosrel_zoo_classifier(graph, x, 1000);
}
