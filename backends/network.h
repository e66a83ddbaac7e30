/* A net cut into the units that are scheduled: what `sched` sees (the model) beside what a backend computes (the
 * nodes).
 *
 * lower.c says in terms of backends/graph.h what the net costs, fuse.c cuts that into units, and each unit gets the
 * nodes that compute its output from the outputs of other units, from the model's inputs and from constants. Views
 * (Reshape, Flatten, Squeeze, ...) belong to the units that read them, so a node may be in several units; an operator
 * with several outputs (Split) is in the unit of each.
 *
 * Memory: tensors that pass between units lie in one arena per request, at offsets that are the same on every
 * processor (backends/arena.h). Any order of units that keeps the dependencies is safe, also with branches running at
 * once. A unit's inputs are whole until it is done; once a unit after it has begun, their bytes may be another
 * tensor's. So a segment that failed half-way can run again only where nothing of what it reads was overwritten
 * (backends/runtime/recovery.h); else its request starts anew, with its inputs put in again. All inputs of the model
 * live as long as one of them is read, since they are moved as one. Rank-4 tensors in the arena are stored NHWC, all
 * others row-major; shapes are always given as ONNX has them (NCHW). Everything in an arena is fp32. */
#ifndef COSREL_BACKENDS_NETWORK_H
#define COSREL_BACKENDS_NETWORK_H

#include "backends/arena.h"
#include "backends/net.h"
#include "sched/model.h"

#define COSREL_PADDING 128 /* bytes after the last tensor that a kernel may read, never write */
#define COSREL_NETWORK_BYTES_MAX (UINT64_C(4) << 30) /* memory of a net that cosrel_network_open reads */

typedef struct cosrel_network_unit {
  uint32_t first_node, n_nodes; /* in network->nodes, in the order to compute them */
  int32_t output;               /* value; its place is offsets[output] */
} cosrel_network_unit;

typedef struct cosrel_network {
  cosrel_net net;     /* owned; settled and folded */
  cosrel_model model; /* owned; unit u of the model is units[u] */
  cosrel_network_unit *units;
  uint32_t *nodes;      /* node indices, grouped by unit */
  int64_t *offsets;     /* [net.n_values] bytes in the arena of values that pass between units, -1 for all others */
  uint64_t arena_bytes; /* COSREL_PADDING included; arenas are aligned to COSREL_ALIGNMENT */
  /* Nodes behind the last unit (views that are the model's outputs), computed by the reference executor on the host
   * when somebody asks for the outputs. */
  uint32_t first_tail, n_tail; /* in `nodes` */
} cosrel_network;

/* Takes the net over, also on failure (it is then destroyed). */
cosrel_status cosrel_network_create(cosrel_net *net, cosrel_network *out, cosrel_error *error);
void cosrel_network_destroy(cosrel_network *network);

/* From "zoo:NAME" or a path ending in .onnx; zoo weights come from seed 1. */
cosrel_status cosrel_network_open(const char *model, cosrel_network *out, cosrel_error *error);

/* Copies one request's inputs ([net.n_inputs], row-major fp32 of the net's shapes) into an arena. */
void cosrel_network_put_inputs(const cosrel_network *network, const float *const *inputs, void *arena);
/* Computes the tail and copies output i out of an arena, row-major fp32. Allocates while it runs. */
cosrel_status cosrel_network_get_output(const cosrel_network *network, const void *arena, uint32_t i, float *out);

#endif
