#include "traces/tools/parts/blocks.h"

#include <stdbool.h>
#include <string.h>

const cosrel_blocked_model cosrel_blocked_models[COSREL_BLOCKED_MODELS] = {
    {"alexnet", "Alex", 8, {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"}},
    {"googlenet",
     "Google",
     11,
     {"conv1", "conv2", "inception3a", "inception3b", "inception4a", "inception4b", "inception4c", "inception4d",
      "inception4e", "inception5a", "inception5b"}},
    {"mobilenet_v1",
     "MobileV1",
     14,
     {"conv0", "conv1.", "conv2.", "conv3.", "conv4.", "conv5.", "conv6.", "conv7.", "conv8.", "conv9.", "conv10.",
      "conv11.", "conv12.", "conv13."}},
    {"resnet50",
     "ResV1_50",
     18,
     {"conv1", "layer1.0", "layer1.1", "layer1.2", "layer2.0", "layer2.1", "layer2.2", "layer2.3", "layer3.0",
      "layer3.1", "layer3.2", "layer3.3", "layer3.4", "layer3.5", "layer4.0", "layer4.1", "layer4.2", "avgpool"}},
    {"squeezenet1_0",
     "SqueezeV1",
     10,
     {"conv1", "fire2", "fire3", "fire4", "fire5", "fire6", "fire7", "fire8", "fire9", "conv10"}},
    {"yolov3@608", "YOLOv3", 75, {NULL}},
};

const cosrel_blocked_model *cosrel_blocked_model_find(const char *zoo_name) {
  for (int i = 0; i < COSREL_BLOCKED_MODELS; ++i)
    if (strcmp(cosrel_blocked_models[i].name, zoo_name) == 0) return &cosrel_blocked_models[i];
  return NULL;
}

static bool begins_with(const char *text, const char *prefix) { return strncmp(text, prefix, strlen(prefix)) == 0; }

cosrel_status cosrel_blocks_of(const cosrel_blocked_model *blocked, const cosrel_model *model, uint8_t *block,
                               cosrel_error *error) {
  uint32_t next = 0; /* the block that may start */
  for (uint32_t u = 0; u < model->n_units; ++u) {
    const cosrel_unit *unit = &model->units[u];
    bool starts = next < blocked->n_blocks &&
                  (blocked->starts[0] ? begins_with(unit->name, blocked->starts[next])
                                      : unit->kind == COSREL_KIND_CONV || unit->kind == COSREL_KIND_CONV1X1);
    next += starts;
    if (next == 0) return cosrel_fail(error, COSREL_FORMAT, "%s: unit %s is in no block", model->name, unit->name);
    block[u] = (uint8_t)(next - 1);
  }
  if (next == blocked->n_blocks) return COSREL_OK;
  return cosrel_fail(error, COSREL_FORMAT, "%s: expected %u blocks, found %u", model->name, blocked->n_blocks, next);
}
