#include "agent/adam.h"

#include <math.h>

double cosrel_adam_step(float *w, float *m, float *v, float *g, size_t n, uint64_t t, double rate, double max_norm) {
  const float b1 = 0.9f, b2 = 0.999f, eps = 1e-5f;
  double square = 0;
  for (size_t i = 0; i < n; i++) square += (double)g[i] * g[i];
  double norm = sqrt(square);
  float shrink = norm > max_norm ? (float)(max_norm / norm) : 1.0f;
  float c1 = (float)(1 / (1 - pow(b1, (double)t))), c2 = (float)(1 / (1 - pow(b2, (double)t)));
  float step = (float)rate;
  for (size_t i = 0; i < n; i++) {
    float gi = g[i] *= shrink;
    m[i] = b1 * m[i] + (1 - b1) * gi;
    v[i] = b2 * v[i] + (1 - b2) * gi * gi;
    w[i] -= step * (m[i] * c1) / (sqrtf(v[i] * c2) + eps);
  }
  return norm;
}
