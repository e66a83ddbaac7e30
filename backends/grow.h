/* An array that grows by doubling. */
#ifndef COSREL_BACKENDS_GROW_H
#define COSREL_BACKENDS_GROW_H

#include <stdint.h>
#include <stdlib.h>

/* The array with room for `count` more items of `size` bytes behind `used`; NULL when there is no memory for it, and
 * then it stays as it was. At most 2^31 items. */
static inline void *cosrel_grow(void *array, uint32_t *capacity, uint32_t used, uint32_t count, size_t size) {
  if (array != NULL && used + count <= *capacity) return array;
  uint32_t wanted = *capacity == 0 ? 64 : *capacity;
  while (wanted < used + count) wanted *= 2;
  void *grown = realloc(array, wanted * size);
  if (grown != NULL) *capacity = wanted;
  return grown;
}

#endif
