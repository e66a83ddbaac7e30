/* ResNet. He et al., CVPR 2016, table 1. Shapes as in torchvision: the bottleneck's stride is in its 3x3 convolution
 * (often called v1.5), which is what the published figures of these weights count. */
#include "backends/zoo/build.h"

static int32_t conv(cosrel_graph *graph, int32_t x, const char *block, const char *part, cosrel_conv conv) {
  conv.batch_norm = true;
  return cosrel_graph_conv(graph, x, cosrel_zoo_label("%s.%s", block, part).text, &conv);
}

/* Adds the shortcut, projected where the shapes differ, and the last ReLU. */
static int32_t join(cosrel_graph *graph, int32_t x, int32_t y, const char *block, uint32_t channels, uint32_t stride) {
  if (stride != 1 || cosrel_graph_shape(graph, x).dims[1] != channels) {
    x = conv(graph, x, block, "shortcut", (cosrel_conv){.channels = channels, .kernel = 1, .stride = stride});
  }
  y = cosrel_graph_binary(graph, y, x, cosrel_zoo_label("%s.add", block).text, COSREL_OP_ADD);
  return cosrel_graph_activation(graph, y, cosrel_zoo_label("%s.relu", block).text, COSREL_RELU);
}

static int32_t basic(cosrel_graph *graph, int32_t x, const char *block, uint32_t channels, uint32_t stride) {
  cosrel_conv first = {.channels = channels, .kernel = 3, .stride = stride, .pad = 1, .activation = COSREL_RELU};
  int32_t y = conv(graph, x, block, "conv1", first);
  y = conv(graph, y, block, "conv2", (cosrel_conv){.channels = channels, .kernel = 3, .pad = 1});
  return join(graph, x, y, block, channels, stride);
}

static int32_t bottleneck(cosrel_graph *graph, int32_t x, const char *block, uint32_t channels, uint32_t stride) {
  cosrel_conv middle = {.channels = channels, .kernel = 3, .stride = stride, .pad = 1, .activation = COSREL_RELU};
  int32_t y =
      conv(graph, x, block, "conv1", (cosrel_conv){.channels = channels, .kernel = 1, .activation = COSREL_RELU});
  y = conv(graph, y, block, "conv2", middle);
  y = conv(graph, y, block, "conv3", (cosrel_conv){.channels = 4 * channels, .kernel = 1});
  return join(graph, x, y, block, 4 * channels, stride);
}

static void resnet(cosrel_graph *graph, uint32_t side, const int repeats[4],
                   int32_t (*block)(cosrel_graph *, int32_t, const char *, uint32_t, uint32_t)) {
  cosrel_conv stem = {
      .channels = 64, .kernel = 7, .stride = 2, .pad = 3, .batch_norm = true, .activation = COSREL_RELU};
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  x = cosrel_graph_conv(graph, x, "conv1", &stem);
  x = cosrel_graph_pool(graph, x, "maxpool", COSREL_OP_MAX_POOL, 3, 2, 1, false);
  for (int stage = 0; stage < 4; stage++) {
    for (int r = 0; r < repeats[stage]; r++) {
      uint32_t stride = stage > 0 && r == 0 ? 2 : 1;
      x = block(graph, x, cosrel_zoo_label("layer%d.%d", stage + 1, r).text, UINT32_C(64) << stage, stride);
    }
  }
  cosrel_zoo_classifier(graph, x, 1000);
}

void cosrel_zoo_resnet18(cosrel_graph *graph, uint32_t side) { resnet(graph, side, (const int[]){2, 2, 2, 2}, basic); }

void cosrel_zoo_resnet50(cosrel_graph *graph, uint32_t side) {
  resnet(graph, side, (const int[]){3, 4, 6, 3}, bottleneck);
}
