/* Blocks of the RK3399Pro tables: groups of layers that were timed together, as units of the zoo.
 *
 * A block is a run of units in topological order, from one that starts it up to the next such one, so that a pool or an
 * addition goes with the convolution before it:
 *
 *   alexnet         8: each convolution and each dense layer, with the norm and pool behind it
 *   googlenet      11: conv1; conv2 and conv3; nine inceptions, the last with the classifier
 *   mobilenet_v1   14: conv0; 13 separable convolutions, the last with the classifier
 *   resnet50       18: conv1; 16 residual blocks; pool and classifier
 *   squeezenet1_0  10: conv1; fires 2 to 9; conv10
 *   yolov3@608     75: each convolution
 *
 * Which SqueezeNet it was and how large YOLOv3's input, the tables do not say: their transfers at block boundaries
 * have the sizes of SqueezeNet 1.0 and of 608 x 608. */
#ifndef COSREL_TRACES_TOOLS_BLOCKS_H
#define COSREL_TRACES_TOOLS_BLOCKS_H

#include "sched/model.h"

#define COSREL_BLOCKS_MAX 75

typedef struct cosrel_blocked_model {
  const char *name;  /* in the zoo */
  const char *table; /* in the tables */
  uint32_t n_blocks;
  const char *starts[19]; /* what names of units that start a block begin with; none: every convolution does */
} cosrel_blocked_model;

enum { COSREL_BLOCKED_MODELS = 6 };
extern const cosrel_blocked_model cosrel_blocked_models[COSREL_BLOCKED_MODELS];

/* NULL when the model was not measured in blocks. */
const cosrel_blocked_model *cosrel_blocked_model_find(const char *zoo_name);

/* block[u] gets the block of unit u, 0..n_blocks - 1. COSREL_FORMAT when units and blocks do not match. */
cosrel_status cosrel_blocks_of(const cosrel_blocked_model *blocked, const cosrel_model *model, uint8_t *block,
                               cosrel_error *error);

#endif
