/* Counter-based randomness: a draw is a pure function of its key, so results do not depend on the order in which
 * draws are made, on the number of threads, or on what another policy did before. There is no generator state to
 * copy, save or share. The mixer is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
#ifndef COSREL_SCHED_RNG_H
#define COSREL_SCHED_RNG_H

#include <math.h>
#include <stdint.h>

static inline uint64_t cosrel_rng_mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/* Folds one more word into a key. */
static inline uint64_t cosrel_rng_key(uint64_t key, uint64_t word) {
  return cosrel_rng_mix(key ^ cosrel_rng_mix(word));
}

/* Uniform in the open interval (0, 1). */
static inline double cosrel_rng_uniform(uint64_t key) { return ((double)(cosrel_rng_mix(key) >> 12) + 0.5) * 0x1p-52; }

/* Uniform integer in [0, n); n > 0. The bias for n < 2^32 is below 2^-32. */
static inline uint32_t cosrel_rng_below(uint64_t key, uint32_t n) {
  return (uint32_t)(((cosrel_rng_mix(key) >> 32) * (uint64_t)n) >> 32);
}

/* Standard normal by Box and Muller (1958), one of the pair. */
static inline double cosrel_rng_normal(uint64_t key) {
  const double two_pi = 6.283185307179586;
  return sqrt(-2.0 * log(cosrel_rng_uniform(key))) * cos(two_pi * cosrel_rng_uniform(key ^ 0xd1b54a32d192ed03u));
}

/* Exponential with mean 1. */
static inline double cosrel_rng_exponential(uint64_t key) { return -log(cosrel_rng_uniform(key)); }

#endif
