/* FNV-1a of 64 bits. Not against attackers: it finds damage and names things. */
#ifndef COSREL_BACKENDS_HASH_H
#define COSREL_BACKENDS_HASH_H

#include <stddef.h>
#include <stdint.h>

#define COSREL_HASH_BEGIN UINT64_C(0xcbf29ce484222325)

/* Goes on from `hash`, which is COSREL_HASH_BEGIN at first. */
static inline uint64_t cosrel_hash_bytes(uint64_t hash, const void *data, size_t n) {
  const unsigned char *bytes = data;
  for (size_t i = 0; i < n; i++) hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
  return hash;
}

#endif
