/* Well-known networks, built from their published layer shapes; no weights. */
#ifndef COSREL_BACKENDS_ZOO_ZOO_H
#define COSREL_BACKENDS_ZOO_ZOO_H

#include "backends/graph.h"
#include "sched/model.h"

typedef struct cosrel_zoo_entry {
  const char *name;
  const char *title;
  /* Adds the network for inputs of side x side (tokens for a sequence) to an empty graph; errors stick in the graph. */
  void (*build)(cosrel_graph *graph, uint32_t side);
  uint32_t side;               /* what NAME alone means: the size at which phones are benchmarked */
  uint32_t published_side;     /* the size of the two figures below */
  double published_macs;       /* multiply-accumulates; 0 where nobody published any */
  double published_parameters; /* likewise */
  const char *source;          /* of the two figures */
} cosrel_zoo_entry;

/* The table in its fixed order; `count` gets its length. Static, read-only, thread-safe. */
const cosrel_zoo_entry *cosrel_zoo_table(uint32_t *count);

/* Builds NAME at its usual size, or NAME@SIDE at another (16 to 4096), e.g. inception_v3@299. The graph is named as
 * asked. Its former content is ignored; clear it after success and failure alike. An unknown name is COSREL_INVALID
 * and the line lists the names. */
cosrel_status cosrel_zoo_graph(const char *name, cosrel_graph *graph, cosrel_error *error);

/* The same as units (backends/fuse.h). On failure the model is empty. */
cosrel_status cosrel_zoo_model(const char *name, cosrel_model *model, cosrel_error *error);

#endif
