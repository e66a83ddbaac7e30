#include "backends/onnx/names.h"

#include <stdlib.h>
#include <string.h>

#include "sched/rng.h"

bool cosrel_names_create(cosrel_names *names, uint32_t n) {
  uint32_t size = 16;
  while (size / 2 < n && size < UINT32_C(1) << 31) size *= 2;
  names->mask = size - 1;
  names->slots = calloc(size, sizeof *names->slots);
  return names->slots != NULL;
}

void cosrel_names_destroy(cosrel_names *names) {
  free(names->slots);
  *names = (cosrel_names){0};
}

/* The slot of the name, or the free one where it would go. */
static struct cosrel_names_slot *slot_of(const cosrel_names *names, const char *name) {
  uint64_t hash = 0;
  for (const char *c = name; *c != '\0'; c++) hash = cosrel_rng_mix(hash ^ (uint8_t)*c);
  for (uint32_t i = (uint32_t)hash;; i++) {
    struct cosrel_names_slot *slot = &names->slots[i & names->mask];
    if (slot->name == NULL || strcmp(slot->name, name) == 0) return slot;
  }
}

bool cosrel_names_add(cosrel_names *names, const char *name, int32_t index) {
  struct cosrel_names_slot *slot = slot_of(names, name);
  if (slot->name != NULL) return false;
  *slot = (struct cosrel_names_slot){name, index};
  return true;
}

int32_t cosrel_names_find(const cosrel_names *names, const char *name) {
  const struct cosrel_names_slot *slot = slot_of(names, name);
  return slot->name == NULL ? -1 : slot->index;
}
