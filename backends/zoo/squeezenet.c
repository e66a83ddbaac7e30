/* SqueezeNet. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", arXiv:1602.07360; 1.1 is
 * its authors' revision with a smaller first layer and earlier pooling. Shapes as in torchvision. */
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

/* `pool_after`: bit i is set when a pool follows block i (1: conv1, 2 to 9: the fires). */
static void squeezenet(cosrel_graph *graph, uint32_t side, const cosrel_conv *first, uint32_t pool_after) {
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  x = cosrel_graph_conv(graph, x, "conv1", first);
  for (int i = 1; i <= 9; i++) {
    uint32_t step = (uint32_t)i / 2; /* fires come in pairs of one width */
    if (i > 1) x = fire(graph, x, i, 16 * step, 64 * step);
    if (pool_after >> i & 1)
      x = cosrel_graph_pool(graph, x, cosrel_zoo_label("pool%d", i).text, COSREL_OP_MAX_POOL, 3, 2, 0, true);
  }
  x = cosrel_graph_unary(graph, x, "dropout", COSREL_OP_IDENTITY);
  x = cosrel_graph_conv(graph, x, "conv10",
                        &(cosrel_conv){.channels = 1000, .kernel = 1, .bias = true, .activation = COSREL_RELU});
  x = cosrel_graph_unary(graph, x, "avgpool", COSREL_OP_GLOBAL_POOL);
  cosrel_graph_unary(graph, x, "flatten", COSREL_OP_FLATTEN);
}

void cosrel_zoo_squeezenet1_0(cosrel_graph *graph, uint32_t side) {
  const cosrel_conv first = {.channels = 96, .kernel = 7, .stride = 2, .bias = true, .activation = COSREL_RELU};
  squeezenet(graph, side, &first, 1u << 1 | 1u << 4 | 1u << 8);
}

void cosrel_zoo_squeezenet1_1(cosrel_graph *graph, uint32_t side) {
  const cosrel_conv first = {.channels = 64, .kernel = 3, .stride = 2, .bias = true, .activation = COSREL_RELU};
  squeezenet(graph, side, &first, 1u << 1 | 1u << 3 | 1u << 5);
}
