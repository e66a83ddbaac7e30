/* SqueezeNet 1.1. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", arXiv:1602.07360;
 * 1.1 is its authors' revision with earlier pooling. Shapes as in torchvision. */
#include "backends/zoo/build.h"

/* A 1x1 squeeze read by two parallel expansions, concatenated. */
static int32_t fire(cosrel_graph *graph, int32_t x, int index, uint32_t squeeze, uint32_t expand) {
  const cosrel_conv squeeze1x1 = {.channels = squeeze, .kernel = 1, .bias = true, .activation = COSREL_RELU};
  const cosrel_conv expand1x1 = {.channels = expand, .kernel = 1, .bias = true, .activation = COSREL_RELU};
  const cosrel_conv expand3x3 = {.channels = expand, .kernel = 3, .pad = 1, .bias = true, .activation = COSREL_RELU};
  x = cosrel_graph_conv(graph, x, cosrel_zoo_label("fire%d.squeeze", index).text, &squeeze1x1);
  int32_t branches[2] = {
      cosrel_graph_conv(graph, x, cosrel_zoo_label("fire%d.expand1x1", index).text, &expand1x1),
      cosrel_graph_conv(graph, x, cosrel_zoo_label("fire%d.expand3x3", index).text, &expand3x3),
  };
  return cosrel_graph_concat(graph, branches, 2, cosrel_zoo_label("fire%d.concat", index).text);
}

void cosrel_zoo_squeezenet1_1(cosrel_graph *graph, uint32_t side) {
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  x = cosrel_graph_conv(
      graph, x, "conv1",
      &(cosrel_conv){.channels = 64, .kernel = 3, .stride = 2, .bias = true, .activation = COSREL_RELU});
  x = cosrel_graph_pool(graph, x, "pool1", COSREL_OP_MAX_POOL, 3, 2, 0, true);
  x = fire(graph, x, 2, 16, 64);
  x = fire(graph, x, 3, 16, 64);
  x = cosrel_graph_pool(graph, x, "pool3", COSREL_OP_MAX_POOL, 3, 2, 0, true);
  x = fire(graph, x, 4, 32, 128);
  x = fire(graph, x, 5, 32, 128);
  x = cosrel_graph_pool(graph, x, "pool5", COSREL_OP_MAX_POOL, 3, 2, 0, true);
  x = fire(graph, x, 6, 48, 192);
  x = fire(graph, x, 7, 48, 192);
  x = fire(graph, x, 8, 64, 256);
  x = fire(graph, x, 9, 64, 256);
  x = cosrel_graph_unary(graph, x, "dropout", COSREL_OP_IDENTITY);
  x = cosrel_graph_conv(graph, x, "conv10",
                        &(cosrel_conv){.channels = 1000, .kernel = 1, .bias = true, .activation = COSREL_RELU});
  x = cosrel_graph_unary(graph, x, "avgpool", COSREL_OP_GLOBAL_POOL);
  cosrel_graph_unary(graph, x, "flatten", COSREL_OP_FLATTEN);
}
