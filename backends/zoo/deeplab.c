/* DeepLabV3+ on MobileNetV2. Chen et al., ECCV 2018. The shapes are those of jfzhang95/pytorch-deeplab-xception, which
 * Qualcomm AI Hub deploys: output stride 16, plain (not separable) convolutions in pyramid and decoder, 21 classes, and
 * blocks that pad before their expansion. */
#include <stddef.h>

#include "backends/zoo/build.h"

static int32_t conv(cosrel_graph *graph, int32_t x, const char *name, uint32_t channels, uint32_t kernel,
                    uint32_t dilation) {
  cosrel_conv conv = {.channels = channels,
                      .kernel = kernel,
                      .dilation = dilation,
                      .pad = kernel / 2 * dilation,
                      .batch_norm = true,
                      .activation = COSREL_RELU};
  return cosrel_graph_conv(graph, x, name, &conv);
}

static int32_t resize_as(cosrel_graph *graph, int32_t x, const char *name, int32_t like) {
  cosrel_shape shape = cosrel_graph_shape(graph, like);
  return cosrel_graph_resize(graph, x, name, shape.dims[2], shape.dims[3]);
}

/* Returns the last feature map; `low` gets the one at stride 4 for the decoder. */
static int32_t backbone(cosrel_graph *graph, int32_t x, int32_t *low) {
  /* Stride 16 is reached before the last two stages: the one that would halve again does not, and the one after it
   * dilates by 2 instead. */
  static const struct {
    uint32_t expand, channels, repeats, stride, dilation;
  } stages[] = {{1, 16, 1, 1, 1}, {6, 24, 2, 2, 1},  {6, 32, 3, 2, 1}, {6, 64, 4, 2, 1},
                {6, 96, 3, 1, 1}, {6, 160, 3, 1, 1}, {6, 320, 1, 1, 2}};
  cosrel_conv stem = {
      .channels = 32, .kernel = 3, .stride = 2, .pad = 1, .batch_norm = true, .activation = COSREL_RELU6};
  x = cosrel_graph_conv(graph, x, "stem", &stem);
  int index = 1;
  for (size_t s = 0; s < sizeof stages / sizeof stages[0]; s++) {
    for (uint32_t r = 0; r < stages[s].repeats; r++) {
      cosrel_zoo_bottleneck block = {.channels = stages[s].channels,
                                     .expand = stages[s].expand,
                                     .stride = r == 0 ? stages[s].stride : 1,
                                     .dilation = stages[s].dilation,
                                     .pad_first = true};
      x = cosrel_zoo_inverted_residual(graph, x, cosrel_zoo_label("block%d", index++).text, &block);
    }
    if (stages[s].channels == 24) *low = x;
  }
  return x;
}

/* Atrous spatial pyramid pooling: five parallel branches. */
static int32_t pyramid(cosrel_graph *graph, int32_t x) {
  int32_t branches[5];
  branches[0] = conv(graph, x, "aspp1", 256, 1, 1);
  branches[1] = conv(graph, x, "aspp2", 256, 3, 6);
  branches[2] = conv(graph, x, "aspp3", 256, 3, 12);
  branches[3] = conv(graph, x, "aspp4", 256, 3, 18);
  branches[4] = cosrel_graph_unary(graph, x, "aspp5.pool", COSREL_OP_GLOBAL_POOL);
  branches[4] = conv(graph, branches[4], "aspp5", 256, 1, 1);
  branches[4] = resize_as(graph, branches[4], "aspp5.resize", x);
  x = cosrel_graph_concat(graph, branches, 5, "aspp.concat");
  x = conv(graph, x, "aspp.project", 256, 1, 1);
  return cosrel_graph_unary(graph, x, "aspp.dropout", COSREL_OP_IDENTITY);
}

void cosrel_zoo_deeplabv3_plus_mobilenet(cosrel_graph *graph, uint32_t side) {
  int32_t image = cosrel_graph_input(graph, "image", 3, side, side), low = -1;
  int32_t x = backbone(graph, image, &low);
  x = pyramid(graph, x);
  int32_t parts[2] = {resize_as(graph, x, "decoder.resize", low), conv(graph, low, "decoder.low", 48, 1, 1)};
  x = cosrel_graph_concat(graph, parts, 2, "decoder.concat");
  x = conv(graph, x, "decoder.conv1", 256, 3, 1);
  x = conv(graph, x, "decoder.conv2", 256, 3, 1);
  x = cosrel_graph_conv(graph, x, "decoder.classes", &(cosrel_conv){.channels = 21, .kernel = 1, .bias = true});
  resize_as(graph, x, "decoder.output", image);
}
