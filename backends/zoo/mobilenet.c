/* MobileNetV1: Howard et al., arXiv:1704.04861, table 1; padding as in TensorFlow.
 * MobileNetV2: Sandler et al., CVPR 2018, table 2; as in torchvision. Width 1.0 both. */
#include <stddef.h>

#include "backends/zoo/build.h"

void cosrel_zoo_mobilenet_v1(cosrel_graph *graph, uint32_t side) {
  static const struct {
    uint32_t channels, stride;
  } blocks[] = {{64, 1},  {128, 2}, {128, 1}, {256, 2}, {256, 1},  {512, 2}, {512, 1},
                {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  cosrel_conv stem = {.channels = 32,
                      .kernel = 3,
                      .stride = 2,
                      .pad = 1,
                      .batch_norm = true,
                      .activation = COSREL_RELU6,
                      .pad_end_only = side % 2 == 0};
  x = cosrel_graph_conv(graph, x, "conv0", &stem);
  for (int i = 0; i < (int)(sizeof blocks / sizeof blocks[0]); i++) {
    cosrel_shape shape = cosrel_graph_shape(graph, x);
    cosrel_conv depthwise = {.channels = shape.dims[1],
                             .groups = shape.dims[1],
                             .kernel = 3,
                             .stride = blocks[i].stride,
                             .pad = 1,
                             .batch_norm = true,
                             .activation = COSREL_RELU6,
                             .pad_end_only = blocks[i].stride == 2 && shape.dims[2] % 2 == 0};
    cosrel_conv pointwise = {
        .channels = blocks[i].channels, .kernel = 1, .batch_norm = true, .activation = COSREL_RELU6};
    x = cosrel_graph_conv(graph, x, cosrel_zoo_label("conv%d.depthwise", i + 1).text, &depthwise);
    x = cosrel_graph_conv(graph, x, cosrel_zoo_label("conv%d.pointwise", i + 1).text, &pointwise);
  }
  x = cosrel_zoo_classifier(graph, x, 1000);
  cosrel_graph_unary(graph, x, "softmax", COSREL_OP_SOFTMAX);
}

int32_t cosrel_zoo_inverted_residual(cosrel_graph *graph, int32_t x, const char *name,
                                     const cosrel_zoo_bottleneck *block) {
  uint32_t in_channels = cosrel_graph_shape(graph, x).dims[1], hidden = in_channels * block->expand;
  bool expands = block->expand != 1, early = expands && block->pad_first;
  uint32_t pad = block->dilation;
  cosrel_conv expand = {
      .channels = hidden, .kernel = 1, .pad = early ? pad : 0, .batch_norm = true, .activation = COSREL_RELU6};
  cosrel_conv depthwise = {.channels = hidden,
                           .groups = hidden,
                           .kernel = 3,
                           .stride = block->stride,
                           .dilation = block->dilation,
                           .pad = early ? 0 : pad,
                           .batch_norm = true,
                           .activation = COSREL_RELU6};
  cosrel_conv project = {.channels = block->channels, .kernel = 1, .batch_norm = true};
  int32_t y = x;
  if (expands) y = cosrel_graph_conv(graph, y, cosrel_zoo_label("%s.expand", name).text, &expand);
  if (block->expanded != NULL) *block->expanded = y;
  y = cosrel_graph_conv(graph, y, cosrel_zoo_label("%s.depthwise", name).text, &depthwise);
  y = cosrel_graph_conv(graph, y, cosrel_zoo_label("%s.project", name).text, &project);
  if (block->stride != 1 || block->channels != in_channels) return y;
  return cosrel_graph_binary(graph, y, x, cosrel_zoo_label("%s.add", name).text, COSREL_OP_ADD);
}

int32_t cosrel_zoo_mobilenet_v2_features(cosrel_graph *graph, int32_t x, int32_t *wide) {
  static const struct {
    uint32_t expand, channels, repeats, stride;
  } stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  cosrel_conv stem = {
      .channels = 32, .kernel = 3, .stride = 2, .pad = 1, .batch_norm = true, .activation = COSREL_RELU6};
  cosrel_conv last = {.channels = 1280, .kernel = 1, .batch_norm = true, .activation = COSREL_RELU6};
  x = cosrel_graph_conv(graph, x, "stem", &stem);
  int index = 1;
  for (size_t s = 0; s < sizeof stages / sizeof stages[0]; s++) {
    for (uint32_t r = 0; r < stages[s].repeats; r++) {
      cosrel_zoo_bottleneck block = {.channels = stages[s].channels,
                                     .expand = stages[s].expand,
                                     .stride = r == 0 ? stages[s].stride : 1,
                                     .dilation = 1,
                                     .expanded = stages[s].channels == 160 && r == 0 ? wide : NULL};
      x = cosrel_zoo_inverted_residual(graph, x, cosrel_zoo_label("block%d", index++).text, &block);
    }
  }
  return cosrel_graph_conv(graph, x, "last", &last);
}

void cosrel_zoo_mobilenet_v2(cosrel_graph *graph, uint32_t side) {
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  x = cosrel_zoo_mobilenet_v2_features(graph, x, NULL);
  cosrel_zoo_classifier(graph, x, 1000);
}
