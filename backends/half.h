/* fp16 (IEEE 754 binary16) as it is kept in memory; nothing on the host computes with it. */
#ifndef COSREL_BACKENDS_HALF_H
#define COSREL_BACKENDS_HALF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* The nearest half, of two the even one. What is too large becomes the largest, 65504, since a weight that turns into
 * infinity would spoil all that it meets; infinities and NaN stay what they are. */
static inline uint16_t cosrel_half_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) return (uint16_t)(sign | 0x7c00 | (magnitude > 0x7f800000 ? 0x200 : 0));
  if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7bff); /* from 65520 on */
  if (magnitude < 0x38800000) {                                  /* below 2^-14, where halfs are multiples of 2^-24 */
    float steps = fabsf(x) * 0x1p24F;
    return (uint16_t)(sign | (uint16_t)nearbyintf(steps));
  }
  magnitude += 0xfff + (magnitude >> 13 & 1); /* carries into the exponent where it must */
  return (uint16_t)(sign | (uint16_t)((magnitude - 0x38000000) >> 13));
}

static inline float cosrel_half_to_float(uint16_t half) {
  uint32_t exponent = half >> 10 & 0x1f, bits = (uint32_t)(half & 0x8000) << 16;
  float x;
  if (exponent == 0) {
    x = (float)(half & 0x3ff) * 0x1p-24F;
    return (half & 0x8000) != 0 ? -x : x;
  }
  bits |= (exponent == 31 ? 0x7f800000 : (exponent + 112) << 23) | (uint32_t)(half & 0x3ff) << 13;
  memcpy(&x, &bits, sizeof x);
  return x;
}

#endif
