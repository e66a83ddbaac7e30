#include "backends/zoo/zoo.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/fuse.h"
#include "backends/zoo/build.h"

#define SIDE_MIN 16
#define SIDE_MAX 4096
#define TORCHVISION "torchvision, weight metadata num_params and _ops (multiply-accumulates)"
#define DARKNET "pjreddie.com/darknet/yolo (FLOPs, two per multiply-accumulate)"
#define OPEN_MODEL_ZOO "OpenVINO Open Model Zoo"

/* Names and input sizes of the first eight are as on Qualcomm AI Hub, whose measured latencies profiles rest on; there
 * inception_v3 runs at 224, while its published figures are for 299. */
static const cosrel_zoo_entry table[] = {
    {"squeezenet1_1", "SqueezeNet 1.1", cosrel_zoo_squeezenet1_1, 224, 224, 0.349e9, 1235496, TORCHVISION},
    {"mobilenet_v1", "MobileNetV1 1.0", cosrel_zoo_mobilenet_v1, 224, 224, 569e6, 4.24e6,
     "tensorflow/models research/slim/nets/mobilenet_v1.md; Howard et al. 2017, table 8 (569 M, 4.2 M)"},
    {"mobilenet_v2", "MobileNetV2 1.0", cosrel_zoo_mobilenet_v2, 224, 224, 0.301e9, 3504872, TORCHVISION},
    {"resnet18", "ResNet-18", cosrel_zoo_resnet18, 224, 224, 1.814e9, 11689512, TORCHVISION},
    {"resnet50", "ResNet-50 (stride in the 3x3)", cosrel_zoo_resnet50, 224, 224, 4.089e9, 25557032, TORCHVISION},
    {"googlenet", "GoogLeNet (Inception-v1, batch norm)", cosrel_zoo_googlenet, 224, 224, 1.498e9, 6624904,
     TORCHVISION},
    {"inception_v3", "Inception-v3", cosrel_zoo_inception_v3, 224, 299, 5.713e9, 23.9e6,
     "torchvision _ops (multiply-accumulates at 299); parameters: Qualcomm AI Hub (23.9M, without the auxiliary head)"},
    /* No MACs are published for AI Hub's graph itself. VainF publishes 17.0 G for a decoder with one 3x3 convolution;
     * AI Hub's has a second of 256 x 256 x 9 on 129 x 129 positions, 9.815 G. All else is the same, but for expansions
     * that also work on the padded border (ours, 0.13 G more). */
    {"deeplabv3_plus_mobilenet", "DeepLabV3+ with MobileNetV2, output stride 16", cosrel_zoo_deeplabv3_plus_mobilenet,
     513, 513, 17.0e9 + 9.815e9, 5.80e6,
     "VainF/DeepLabV3Plus-Pytorch (17.0 G) and the decoder's second convolution; parameters: Qualcomm AI Hub (5.80M)"},
    /* The dense layers use each of their 58.6 M weights once. */
    {"alexnet", "AlexNet (Caffe's, two groups)", cosrel_zoo_alexnet, 227, 227, 666e6 + 58.6e6, 60.965e6,
     "Chen et al., ISSCC 2016 (666 M in convolutions) and one per weight of the dense layers; "
     "parameters: " OPEN_MODEL_ZOO " (60.965 M)"},
    {"vgg16", "VGG-16", cosrel_zoo_vgg16, 224, 224, 15.47e9, 138357544, TORCHVISION},
    {"shufflenet_v2", "ShuffleNetV2 1.0x", cosrel_zoo_shufflenet_v2, 224, 224, 0.145e9, 2278604, TORCHVISION},
    {"efficientnet_b0", "EfficientNet-B0", cosrel_zoo_efficientnet_b0, 224, 224, 0.386e9, 5288548, TORCHVISION},
    /* Open Model Zoo's FLOPs are those of OpenVINO's Model Analyzer, which counts two per multiply-accumulate but also
     * two per output of a ReLU6 and three per output of a residual's addition: 25 M in either. */
    {"ssd_mobilenet_v2", "SSD with MobileNetV2 (TensorFlow's ssd_mobilenet_v2_coco)", cosrel_zoo_ssd_mobilenet_v2, 300,
     300, (3.775e9 - 25e6) / 2, 16.818e6, OPEN_MODEL_ZOO " (3.775 GFLOPs less those of ReLU6 and additions; 16.818 M)"},
    {"ssdlite_mobilenet_v2", "SSDLite with MobileNetV2 (TensorFlow's ssdlite_mobilenet_v2_coco)",
     cosrel_zoo_ssdlite_mobilenet_v2, 300, 300, (1.525e9 - 25e6) / 2, 4.475e6,
     OPEN_MODEL_ZOO " (1.525 GFLOPs less those of ReLU6 and additions; 4.475 M)"},
    {"yolov3", "YOLOv3", cosrel_zoo_yolov3, 416, 416, 65.86e9 / 2, 61.922e6,
     DARKNET "; parameters: " OPEN_MODEL_ZOO " (yolo-v3-tf, 61.922 M)"},
    {"yolov3_tiny", "YOLOv3-tiny", cosrel_zoo_yolov3_tiny, 416, 416, 5.56e9 / 2, 8.848e6,
     DARKNET "; parameters: " OPEN_MODEL_ZOO " (yolo-v3-tiny-tf, 8.848 M)"},
    {"squeezenet1_0", "SqueezeNet 1.0", cosrel_zoo_squeezenet1_0, 224, 224, 0.819e9, 1248424, TORCHVISION},
    {"transformer_small", "Transformer encoder, 4 layers, width 256, 128 tokens", cosrel_zoo_transformer_small, 128,
     128, 0, 0, "none published for this size"},
};

#define TABLE_LENGTH (sizeof table / sizeof table[0])

const cosrel_zoo_entry *cosrel_zoo_table(uint32_t *count) {
  *count = TABLE_LENGTH;
  return table;
}

static cosrel_status unknown(const char *name, cosrel_error *error) {
  char names[400] = "";
  size_t used = 0;
  for (size_t i = 0; i < TABLE_LENGTH && used < sizeof names; i++) {
    int written = snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ", table[i].name);
    if (written > 0) used += (size_t)written;
  }
  return cosrel_fail(error, COSREL_INVALID, "zoo:%.40s: expected one of %s", name, names);
}

/* Digits only: strtoul alone would take signs and blanks. */
static bool parse_side(const char *text, uint32_t *side) {
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 4 || text[digits] != '\0') return false;
  *side = (uint32_t)strtoul(text, NULL, 10);
  return *side >= SIDE_MIN && *side <= SIDE_MAX;
}

cosrel_status cosrel_zoo_graph(const char *name, cosrel_graph *graph, cosrel_error *error) {
  *graph = (cosrel_graph){0};
  size_t length = strcspn(name, "@");
  const cosrel_zoo_entry *entry = NULL;
  for (size_t i = 0; i < TABLE_LENGTH; i++) {
    if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0) entry = &table[i];
  }
  if (entry == NULL) return unknown(name, error);
  uint32_t side = entry->side;
  if (name[length] == '@' && !parse_side(name + length + 1, &side)) {
    return cosrel_fail(error, COSREL_INVALID, "zoo:%.60s: expected a side of %d to %d after @", name, SIDE_MIN,
                       SIDE_MAX);
  }
  cosrel_graph_init(graph, name);
  entry->build(graph, side);
  return cosrel_graph_finish(graph, error);
}

cosrel_status cosrel_zoo_model(const char *name, cosrel_model *model, cosrel_error *error) {
  *model = (cosrel_model){0};
  cosrel_graph graph;
  cosrel_status status = cosrel_zoo_graph(name, &graph, error);
  if (status == COSREL_OK) status = cosrel_graph_fuse(&graph, model, error);
  cosrel_graph_clear(&graph);
  return status;
}

cosrel_zoo_name cosrel_zoo_label(const char *format, ...) {
  cosrel_zoo_name name;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(name.text, sizeof name.text, format, arguments);
  va_end(arguments);
  return name;
}

int32_t cosrel_zoo_classifier(cosrel_graph *graph, int32_t x, uint32_t classes) {
  x = cosrel_graph_unary(graph, x, "avgpool", COSREL_OP_GLOBAL_POOL);
  x = cosrel_graph_unary(graph, x, "flatten", COSREL_OP_FLATTEN);
  x = cosrel_graph_unary(graph, x, "dropout", COSREL_OP_IDENTITY);
  return cosrel_graph_dense(graph, x, "fc", classes, true);
}
