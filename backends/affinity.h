/* Which cores a thread may run on. Threads that it creates inherit that. */
#ifndef COSREL_BACKENDS_AFFINITY_H
#define COSREL_BACKENDS_AFFINITY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cosrel_affinity {
  uint64_t mask[16]; /* cores 0 to 1023 */
} cosrel_affinity;

/* Cores that are listed; none at n = 0. */
cosrel_affinity cosrel_affinity_of(const uint16_t *cores, uint32_t n);
/* Of the calling thread. False where the system cannot tell, or has none of those cores. */
bool cosrel_affinity_get(cosrel_affinity *out);
bool cosrel_affinity_set(const cosrel_affinity *affinity);
uint32_t cosrel_affinity_count(const cosrel_affinity *affinity);

#endif
