/* ShuffleNetV2 1.0x. Ma et al., ECCV 2018, table 5 and figure 3 (c, d); shapes as in torchvision. */
#include <stddef.h>

#include "backends/zoo/build.h"

static int32_t pointwise(cosrel_graph *graph, int32_t x, const char *block, const char *part, uint32_t channels) {
  cosrel_conv conv = {.channels = channels, .kernel = 1, .batch_norm = true, .activation = COSREL_RELU};
  return cosrel_graph_conv(graph, x, cosrel_zoo_label("%s.%s", block, part).text, &conv);
}

static int32_t depthwise(cosrel_graph *graph, int32_t x, const char *block, const char *part, uint32_t stride) {
  uint32_t channels = cosrel_graph_shape(graph, x).dims[1];
  cosrel_conv conv = {
      .channels = channels, .groups = channels, .kernel = 3, .stride = stride, .pad = 1, .batch_norm = true};
  return cosrel_graph_conv(graph, x, cosrel_zoo_label("%s.%s", block, part).text, &conv);
}

/* Two halves side by side, then their channels interleaved. */
static int32_t join(cosrel_graph *graph, const int32_t halves[2], const char *block) {
  int32_t x = cosrel_graph_concat(graph, halves, 2, cosrel_zoo_label("%s.concat", block).text);
  return cosrel_graph_shuffle(graph, x, cosrel_zoo_label("%s.shuffle", block).text, 2);
}

/* Stride 1: half of the channels passes unchanged. Stride 2: both branches read the whole input. */
static int32_t unit(cosrel_graph *graph, int32_t x, const char *block, uint32_t channels, uint32_t stride) {
  uint32_t half = channels / 2;
  int32_t halves[2], y = x;
  if (stride == 1) {
    halves[0] = cosrel_graph_slice(graph, x, cosrel_zoo_label("%s.pass", block).text, 1, 0, half);
    y = cosrel_graph_slice(graph, x, cosrel_zoo_label("%s.work", block).text, 1, half, half);
  } else {
    halves[0] = depthwise(graph, x, block, "branch1.depthwise", stride);
    halves[0] = pointwise(graph, halves[0], block, "branch1.project", half);
  }
  y = pointwise(graph, y, block, "branch2.expand", half);
  y = depthwise(graph, y, block, "branch2.depthwise", stride);
  halves[1] = pointwise(graph, y, block, "branch2.project", half);
  return join(graph, halves, block);
}

void cosrel_zoo_shufflenet_v2(cosrel_graph *graph, uint32_t side) {
  static const struct {
    uint32_t channels;
    int repeats;
  } stages[] = {{116, 4}, {232, 8}, {464, 4}};
  cosrel_conv stem = {
      .channels = 24, .kernel = 3, .stride = 2, .pad = 1, .batch_norm = true, .activation = COSREL_RELU};
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  x = cosrel_graph_conv(graph, x, "conv1", &stem);
  x = cosrel_graph_pool(graph, x, "maxpool", COSREL_OP_MAX_POOL, 3, 2, 1, false);
  for (int s = 0; s < (int)(sizeof stages / sizeof stages[0]); s++) {
    for (int r = 0; r < stages[s].repeats; r++) {
      x = unit(graph, x, cosrel_zoo_label("stage%d.%d", s + 2, r).text, stages[s].channels, r == 0 ? 2 : 1);
    }
  }
  x = cosrel_graph_conv(graph, x, "conv5",
                        &(cosrel_conv){.channels = 1024, .kernel = 1, .batch_norm = true, .activation = COSREL_RELU});
  cosrel_zoo_classifier(graph, x, 1000);
}
