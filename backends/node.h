/* What a node's attributes and constant inputs ask for, worked out once for all backends; backends/lower.h has more. */
#ifndef COSREL_BACKENDS_NODE_H
#define COSREL_BACKENDS_NODE_H

#include "backends/graph.h"
#include "backends/net.h"

/* NULL where the node leaves the input out. */
const cosrel_tensor *cosrel_node_in(const cosrel_net *net, const cosrel_net_node *node, uint32_t i);

/* Whether the node limits its input (Relu, Clip with constant limits); limits are infinite where it has none. */
bool cosrel_node_clamp(const cosrel_net *net, const cosrel_net_node *node, float *low, float *high);

/* The window of a pool on images whose trailing pads are what the output's size needs: more than stated with ceil_mode,
 * fewer where the last pixels are in no window. False when a window lies wholly in the padding. */
bool cosrel_node_pool_window(const cosrel_net *net, const cosrel_net_node *node, cosrel_window *window);

/* Resize and Upsample of images whose scales are the ratios of the sizes. */
typedef enum cosrel_resize {
  COSREL_RESIZE_OTHER,
  COSREL_RESIZE_REPEAT,            /* each pixel a whole number of times */
  COSREL_RESIZE_LINEAR,            /* corner 0 on corner 0, no shift */
  COSREL_RESIZE_LINEAR_ALIGNED,    /* corners on corners */
  COSREL_RESIZE_LINEAR_HALF_PIXEL, /* centres on centres */
} cosrel_resize;
cosrel_resize cosrel_node_resize(const cosrel_net *net, const cosrel_net_node *node);

#endif
