/* What the families of the zoo share with each other, and with nobody else. */
#ifndef COSREL_BACKENDS_ZOO_BUILD_H
#define COSREL_BACKENDS_ZOO_BUILD_H

#include "backends/graph.h"

void cosrel_zoo_squeezenet1_0(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_squeezenet1_1(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_mobilenet_v1(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_mobilenet_v2(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_resnet18(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_resnet50(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_googlenet(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_inception_v3(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_deeplabv3_plus_mobilenet(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_alexnet(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_vgg16(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_shufflenet_v2(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_efficientnet_b0(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_ssd_mobilenet_v2(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_ssdlite_mobilenet_v2(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_yolov3(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_yolov3_tiny(cosrel_graph *graph, uint32_t side);
void cosrel_zoo_transformer_small(cosrel_graph *graph, uint32_t side);

/* A name made of parts, usable within the expression that calls it: f(graph, cosrel_zoo_label("%s.conv", block).text).
 */
typedef struct cosrel_zoo_name {
  char text[2 * COSREL_NAME_MAX]; /* longer than a name may be, so that a cut one fails and is not mistaken */
} cosrel_zoo_name;
#if defined(__GNUC__)
__attribute__((format(printf, 1, 2)))
#endif
cosrel_zoo_name
cosrel_zoo_label(const char *format, ...);

/* Global pool, flatten, (dropout), dense with bias: how most classifiers end. */
int32_t cosrel_zoo_classifier(cosrel_graph *graph, int32_t x, uint32_t classes);

/* MobileNetV2's block: 1x1 expansion (none at expand 1), 3x3 depthwise, linear 1x1, and an addition where the shapes
 * allow. pad_first pads the block's input and not the depthwise's, so that the expansion works on the border too. */
typedef struct cosrel_zoo_bottleneck {
  uint32_t channels, expand, stride, dilation;
  bool pad_first;
  int32_t *expanded; /* gets the output of the expansion, unless NULL */
} cosrel_zoo_bottleneck;
int32_t cosrel_zoo_inverted_residual(cosrel_graph *graph, int32_t x, const char *name,
                                     const cosrel_zoo_bottleneck *block);

/* MobileNetV2 up to its 1280 channels. `wide`, unless NULL, gets the last map at stride 16, 576 channels: the expansion
 * of the block that halves it. */
int32_t cosrel_zoo_mobilenet_v2_features(cosrel_graph *graph, int32_t x, int32_t *wide);

#endif
