/* VGG-16. Simonyan and Zisserman, ICLR 2015, configuration D, without batch norm. At another side than 224 the first
 * dense layer grows with the picture. */
#include <stddef.h>

#include "backends/zoo/build.h"

static int32_t dense(cosrel_graph *graph, int32_t x, const char *name, uint32_t channels) {
  x = cosrel_graph_dense(graph, x, name, channels, true);
  x = cosrel_graph_activation(graph, x, cosrel_zoo_label("%s.act", name).text, COSREL_RELU);
  return cosrel_graph_unary(graph, x, cosrel_zoo_label("%s.dropout", name).text, COSREL_OP_IDENTITY);
}

void cosrel_zoo_vgg16(cosrel_graph *graph, uint32_t side) {
  static const struct {
    uint32_t channels;
    int repeats;
  } stages[] = {{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}};
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  for (int s = 0; s < (int)(sizeof stages / sizeof stages[0]); s++) {
    cosrel_conv conv = {.channels = stages[s].channels, .kernel = 3, .pad = 1, .bias = true, .activation = COSREL_RELU};
    for (int r = 1; r <= stages[s].repeats; r++) {
      x = cosrel_graph_conv(graph, x, cosrel_zoo_label("conv%d_%d", s + 1, r).text, &conv);
    }
    x = cosrel_graph_pool(graph, x, cosrel_zoo_label("pool%d", s + 1).text, COSREL_OP_MAX_POOL, 2, 2, 0, false);
  }
  x = cosrel_graph_unary(graph, x, "flatten", COSREL_OP_FLATTEN);
  x = dense(graph, x, "fc6", 4096);
  x = dense(graph, x, "fc7", 4096);
  cosrel_graph_dense(graph, x, "fc8", 1000, true);
}
