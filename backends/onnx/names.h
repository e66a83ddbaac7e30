/* A table from names to indices, sized once. */
#ifndef COSREL_BACKENDS_ONNX_NAMES_H
#define COSREL_BACKENDS_ONNX_NAMES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cosrel_names {
  struct cosrel_names_slot {
    const char *name; /* borrowed; NULL: free */
    int32_t index;
  } * slots;
  uint32_t mask;
} cosrel_names;

/* Room for n names; false without memory. */
bool cosrel_names_create(cosrel_names *names, uint32_t n);
void cosrel_names_destroy(cosrel_names *names);
/* False when the name is there already. */
bool cosrel_names_add(cosrel_names *names, const char *name, int32_t index);
/* -1 when it is not there. */
int32_t cosrel_names_find(const cosrel_names *names, const char *name);

#endif
