/* Weights and tiles for kernels/winograd.cl. */
#ifndef COSREL_BACKENDS_OPENCL_WINOGRAD_H
#define COSREL_BACKENDS_OPENCL_WINOGRAD_H

#include "backends/opencl/layer.h"

#define COSREL_CL_WINOGRAD_POSITIONS UINT64_C(36)

/* Tiles of 4x4 outputs, those at the edges being ragged. */
static inline uint64_t cosrel_cl_winograd_tiles(const cosrel_cl_layer *l) {
  return (uint64_t)l->n * ((l->out_h + 3) / 4) * ((l->out_w + 3) / 4);
}

/* Tiles at a time: all, or with small weights so many that what lies between the launches stays in a cache. */
uint64_t cosrel_cl_winograd_chunk(const cosrel_cl_layer *layer);
/* Where in the scratch the products begin: behind the transformed inputs of a chunk. */
uint64_t cosrel_cl_winograd_middle(const cosrel_cl_layer *layer);

/* packed[36][block][c][vec] = G w G'; lanes beyond out_c are left alone. */
void cosrel_cl_winograd_pack(const cosrel_cl_layer *layer, uint32_t vec, const cosrel_cl_weights *from, float *packed);

#endif
