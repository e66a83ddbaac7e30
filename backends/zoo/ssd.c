/* SSD on MobileNetV2, 90 classes and a background: ssd_mobilenet_v2_coco and ssdlite_mobilenet_v2_coco of TensorFlow's
 * detection model zoo. SSD: Liu et al., ECCV 2016; SSDLite: Sandler et al., CVPR 2018, section 6.2. Shapes as in
 * tensorflow/models research/object_detection (ssd_mobilenet_v2_feature_extractor.py, feature_map_generators.py, and
 * the two configurations). Both shrink their last maps by separable convolutions; they differ in the predictors, which
 * are plain 3x3 convolutions in the former and separable in the latter.
 *
 * The outputs are all boxes and all scores: decoding and the suppression of overlapping boxes are left to the
 * caller. */
#include "backends/zoo/build.h"

#define MAPS 6
#define CLASSES 91

static int32_t conv(cosrel_graph *graph, int32_t x, const char *name, uint32_t channels) {
  cosrel_conv conv = {.channels = channels, .kernel = 1, .batch_norm = true, .activation = COSREL_RELU6};
  return cosrel_graph_conv(graph, x, name, &conv);
}

static int32_t depthwise(cosrel_graph *graph, int32_t x, const char *name, uint32_t stride) {
  cosrel_shape shape = cosrel_graph_shape(graph, x);
  cosrel_conv conv = {.channels = shape.dims[1],
                      .groups = shape.dims[1],
                      .kernel = 3,
                      .stride = stride,
                      .pad = 1,
                      .batch_norm = true,
                      .activation = COSREL_RELU6,
                      .pad_end_only = stride == 2 && shape.dims[2] % 2 == 0};
  return cosrel_graph_conv(graph, x, name, &conv);
}

/* One value per position and channel, flattened: TensorFlow's channels come last, so that its reshape moves nothing. */
static int32_t predict(cosrel_graph *graph, int32_t x, const char *what, int map, uint32_t channels, bool lite) {
  cosrel_conv conv = {.channels = channels, .kernel = lite ? 1 : 3, .pad = lite ? 0 : 1, .bias = true};
  if (lite) x = depthwise(graph, x, cosrel_zoo_label("%s%d.depthwise", what, map).text, 1);
  x = cosrel_graph_conv(graph, x, cosrel_zoo_label("%s%d", what, map).text, &conv);
  return cosrel_graph_unary(graph, x, cosrel_zoo_label("%s%d.flatten", what, map).text, COSREL_OP_FLATTEN);
}

static void ssd(cosrel_graph *graph, uint32_t side, bool lite) {
  static const uint32_t extra_channels[MAPS - 2] = {512, 256, 256, 128};
  int32_t maps[MAPS], boxes[MAPS], scores[MAPS];
  maps[0] = -1;
  maps[1] = cosrel_zoo_mobilenet_v2_features(graph, cosrel_graph_input(graph, "image", 3, side, side), &maps[0]);
  for (int i = 2; i < MAPS; i++) {
    int32_t x = conv(graph, maps[i - 1], cosrel_zoo_label("extra%d.reduce", i).text, extra_channels[i - 2] / 2);
    x = depthwise(graph, x, cosrel_zoo_label("extra%d.depthwise", i).text, 2);
    maps[i] = conv(graph, x, cosrel_zoo_label("extra%d.project", i).text, extra_channels[i - 2]);
  }
  for (int i = 0; i < MAPS; i++) {
    uint32_t anchors = i == 0 ? 3 : 6;
    boxes[i] = predict(graph, maps[i], "boxes", i, anchors * 4, lite);
    scores[i] = predict(graph, maps[i], "scores", i, anchors * CLASSES, lite);
  }
  cosrel_graph_concat(graph, boxes, MAPS, "boxes.concat");
  cosrel_graph_concat(graph, scores, MAPS, "scores.concat");
}

void cosrel_zoo_ssd_mobilenet_v2(cosrel_graph *graph, uint32_t side) { ssd(graph, side, false); }
void cosrel_zoo_ssdlite_mobilenet_v2(cosrel_graph *graph, uint32_t side) { ssd(graph, side, true); }
