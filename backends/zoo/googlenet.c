/* GoogLeNet. Szegedy et al., CVPR 2015, table 1, with batch norm and, as torchvision has it and its published figures
 * count it, a 3x3 where the paper has a 5x5. No auxiliary heads: inference does not run them. */
#include <stddef.h>

#include "backends/zoo/build.h"

static int32_t conv(cosrel_graph *graph, int32_t x, const char *name, uint32_t channels, uint32_t kernel) {
  cosrel_conv conv = {
      .channels = channels, .kernel = kernel, .pad = kernel / 2, .batch_norm = true, .activation = COSREL_RELU};
  return cosrel_graph_conv(graph, x, name, &conv);
}

/* Widths in the order of the paper's table: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj. */
static int32_t inception(cosrel_graph *graph, int32_t x, const char *block, const uint32_t widths[6]) {
  int32_t branches[4];
  branches[0] = conv(graph, x, cosrel_zoo_label("%s.branch1", block).text, widths[0], 1);
  branches[1] = conv(graph, x, cosrel_zoo_label("%s.branch2.reduce", block).text, widths[1], 1);
  branches[1] = conv(graph, branches[1], cosrel_zoo_label("%s.branch2.conv", block).text, widths[2], 3);
  branches[2] = conv(graph, x, cosrel_zoo_label("%s.branch3.reduce", block).text, widths[3], 1);
  branches[2] = conv(graph, branches[2], cosrel_zoo_label("%s.branch3.conv", block).text, widths[4], 3);
  branches[3] =
      cosrel_graph_pool(graph, x, cosrel_zoo_label("%s.branch4.pool", block).text, COSREL_OP_MAX_POOL, 3, 1, 1, true);
  branches[3] = conv(graph, branches[3], cosrel_zoo_label("%s.branch4.project", block).text, widths[5], 1);
  return cosrel_graph_concat(graph, branches, 4, cosrel_zoo_label("%s.concat", block).text);
}

void cosrel_zoo_googlenet(cosrel_graph *graph, uint32_t side) {
  static const struct {
    const char *name;
    uint32_t widths[6];
    uint32_t pool; /* kernel of the pool that follows, 0 for none */
  } blocks[] = {
      {"inception3a", {64, 96, 128, 16, 32, 32}, 0},     {"inception3b", {128, 128, 192, 32, 96, 64}, 3},
      {"inception4a", {192, 96, 208, 16, 48, 64}, 0},    {"inception4b", {160, 112, 224, 24, 64, 64}, 0},
      {"inception4c", {128, 128, 256, 24, 64, 64}, 0},   {"inception4d", {112, 144, 288, 32, 64, 64}, 0},
      {"inception4e", {256, 160, 320, 32, 128, 128}, 2}, {"inception5a", {256, 160, 320, 32, 128, 128}, 0},
      {"inception5b", {384, 192, 384, 48, 128, 128}, 0},
  };
  cosrel_conv stem = {
      .channels = 64, .kernel = 7, .stride = 2, .pad = 3, .batch_norm = true, .activation = COSREL_RELU};
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  x = cosrel_graph_conv(graph, x, "conv1", &stem);
  x = cosrel_graph_pool(graph, x, "maxpool1", COSREL_OP_MAX_POOL, 3, 2, 0, true);
  x = conv(graph, x, "conv2", 64, 1);
  x = conv(graph, x, "conv3", 192, 3);
  x = cosrel_graph_pool(graph, x, "maxpool2", COSREL_OP_MAX_POOL, 3, 2, 0, true);
  for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
    x = inception(graph, x, blocks[b].name, blocks[b].widths);
    if (blocks[b].pool == 0) continue;
    x = cosrel_graph_pool(graph, x, cosrel_zoo_label("%s.maxpool", blocks[b].name).text, COSREL_OP_MAX_POOL,
                          blocks[b].pool, 2, 0, true);
  }
  cosrel_zoo_classifier(graph, x, 1000);
}
