#include "backends/xnnpack/memory.h"

#include <stdlib.h>

/* XNNPACK has one allocator per process and does not tell it who asks; per thread, instances that prepare networks at
 * once do not count each other's. */
static _Thread_local uint64_t taken;

uint64_t cosrel_xnn_taken(void) { return taken; }

static void *allocate(void *context, size_t size) {
  (void)context;
  taken += size;
  return malloc(size);
}

static void *reallocate(void *context, void *memory, size_t size) {
  (void)context;
  taken += size;
  return realloc(memory, size);
}

static void *allocate_aligned(void *context, size_t alignment, size_t size) {
  (void)context;
  void *memory = NULL;
  taken += size;
  return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

static void give_back(void *context, void *memory) {
  (void)context;
  free(memory);
}

const struct xnn_allocator cosrel_xnn_allocator = {
    .allocate = allocate,
    .reallocate = reallocate,
    .deallocate = give_back,
    .aligned_allocate = allocate_aligned,
    .aligned_deallocate = give_back,
};
