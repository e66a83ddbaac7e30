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

/* Inverse of the standard normal distribution to about seven digits, 0 < u < 1: algorithm AS 241, PPND7 (Wichura,
 * Applied Statistics 37, 1988). Six in seven arguments need no logarithm. */
static inline double cosrel_normal_quantile(double u) {
  double q = u - 0.5;
  if (fabs(q) <= 0.425) {
    double r = 0.180625 - q * q;
    return q * (((59.10937472 * r + 159.29113202) * r + 50.434271938) * r + 3.3871327179) /
           (((67.1875636 * r + 78.757757664) * r + 17.895169469) * r + 1.0);
  }
  double r = sqrt(-log(q < 0 ? u : 1.0 - u)), x;
  if (r <= 5.0) {
    r -= 1.6;
    x = (((0.17023821103 * r + 1.3067284816) * r + 2.75681539) * r + 1.4234372777) /
        ((0.12021132975 * r + 0.7370016425) * r + 1.0);
  } else {
    r -= 5.0;
    x = (((0.017337203997 * r + 0.42868294337) * r + 3.081226386) * r + 6.657905115) /
        ((0.012258202635 * r + 0.24197894225) * r + 1.0);
  }
  return q < 0 ? -x : x;
}

/* Standard normal. */
static inline double cosrel_rng_normal(uint64_t key) { return cosrel_normal_quantile(cosrel_rng_uniform(key)); }

/* Exponential with mean 1. */
static inline double cosrel_rng_exponential(uint64_t key) { return -log(cosrel_rng_uniform(key)); }

#endif
