/* Where the tensors that pass between units lie in a request's arena.
 *
 * Two tensors may share bytes only when everything that touches the first (the unit that makes it and those that read
 * it) comes before the unit that makes the second by the model's dependencies, not just by some order. So every order
 * that keeps the dependencies is safe, with branches at once. Placing is first fit, the largest first. */
#ifndef COSREL_BACKENDS_ARENA_H
#define COSREL_BACKENDS_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/model.h"

#define COSREL_ALIGNMENT 64 /* of arenas and of every offset in them */

typedef struct cosrel_arena_tensor {
  uint64_t bytes;
  int32_t producer; /* unit, or COSREL_MODEL_INPUT */
  uint32_t first_reader, n_readers;
  bool kept;       /* whole until the request ends */
  uint64_t offset; /* the result */
} cosrel_arena_tensor;

/* `readers` holds units. *bytes is where the last tensor ends. Fails with COSREL_NOMEM only. */
cosrel_status cosrel_arena_plan(const cosrel_model *model, cosrel_arena_tensor *tensors, uint32_t n,
                                const uint32_t *readers, uint64_t *bytes, cosrel_error *error);

#endif
