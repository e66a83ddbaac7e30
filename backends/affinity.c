#define _GNU_SOURCE /* sched_setaffinity */
#include "backends/affinity.h"

#include <sched.h>
#include <string.h>

_Static_assert(sizeof(cosrel_affinity) == sizeof(cpu_set_t), "one bit per core, as the kernel has them");

cosrel_affinity cosrel_affinity_of(const uint16_t *cores, uint32_t n) {
  cosrel_affinity affinity = {{0}};
  for (uint32_t i = 0; i < n; i++) {
    if (cores[i] < 1024) affinity.mask[cores[i] / 64] |= UINT64_C(1) << (cores[i] % 64);
  }
  return affinity;
}

bool cosrel_affinity_get(cosrel_affinity *out) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return false;
  memcpy(out, &set, sizeof *out);
  return true;
}

bool cosrel_affinity_set(const cosrel_affinity *affinity) {
  cpu_set_t set;
  memcpy(&set, affinity, sizeof set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

uint32_t cosrel_affinity_count(const cosrel_affinity *affinity) {
  uint32_t count = 0;
  for (uint32_t w = 0; w < 16; w++) {
    for (uint64_t bits = affinity->mask[w]; bits != 0; bits &= bits - 1) count++;
  }
  return count;
}
