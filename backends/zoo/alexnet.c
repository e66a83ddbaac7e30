/* AlexNet. Krizhevsky et al., NIPS 2012, as Caffe's bvlc_alexnet has it: two groups, normalisation before pooling,
 * input 227. Arm Compute Library's example runs this one (torchvision's is another, without groups and narrower). At
 * another side the first dense layer grows with the picture. */
#include "backends/zoo/build.h"

static int32_t conv(cosrel_graph *graph, int32_t x, const char *name, cosrel_conv conv) {
  conv.bias = true;
  conv.activation = COSREL_RELU;
  return cosrel_graph_conv(graph, x, name, &conv);
}

static int32_t pool(cosrel_graph *graph, int32_t x, const char *name) {
  return cosrel_graph_pool(graph, x, name, COSREL_OP_MAX_POOL, 3, 2, 0, false);
}

static int32_t dense(cosrel_graph *graph, int32_t x, const char *name) {
  x = cosrel_graph_dense(graph, x, name, 4096, true);
  x = cosrel_graph_activation(graph, x, cosrel_zoo_label("%s.act", name).text, COSREL_RELU);
  return cosrel_graph_unary(graph, x, cosrel_zoo_label("%s.dropout", name).text, COSREL_OP_IDENTITY);
}

void cosrel_zoo_alexnet(cosrel_graph *graph, uint32_t side) {
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  x = conv(graph, x, "conv1", (cosrel_conv){.channels = 96, .kernel = 11, .stride = 4});
  x = cosrel_graph_unary(graph, x, "norm1", COSREL_OP_LRN);
  x = pool(graph, x, "pool1");
  x = conv(graph, x, "conv2", (cosrel_conv){.channels = 256, .kernel = 5, .pad = 2, .groups = 2});
  x = cosrel_graph_unary(graph, x, "norm2", COSREL_OP_LRN);
  x = pool(graph, x, "pool2");
  x = conv(graph, x, "conv3", (cosrel_conv){.channels = 384, .kernel = 3, .pad = 1});
  x = conv(graph, x, "conv4", (cosrel_conv){.channels = 384, .kernel = 3, .pad = 1, .groups = 2});
  x = conv(graph, x, "conv5", (cosrel_conv){.channels = 256, .kernel = 3, .pad = 1, .groups = 2});
  x = pool(graph, x, "pool5");
  x = cosrel_graph_unary(graph, x, "flatten", COSREL_OP_FLATTEN);
  x = dense(graph, x, "fc6");
  x = dense(graph, x, "fc7");
  x = cosrel_graph_dense(graph, x, "fc8", 1000, true);
  cosrel_graph_unary(graph, x, "prob", COSREL_OP_SOFTMAX);
}
