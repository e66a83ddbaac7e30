/* The figures of a run that policies are compared by. */
#ifndef COSREL_EXPERIMENTS_FIGURES_H
#define COSREL_EXPERIMENTS_FIGURES_H

#include "sched/metrics.h"

/* Enum, key in JSON, column head, decimals. */
#define COSREL_FIGURE_MAP(X)                           \
  X(U, "u", "U", 3)                                    \
  X(ANTT, "antt", "ANTT", 2)                           \
  X(P95_NTT, "p95_ntt", "p95 NTT", 2)                  \
  X(GOODPUT, "goodput_hz", "goodput Hz", 1)            \
  X(G, "g", "G", 3)                                    \
  X(BOUND_SHARE, "bound_share", "of bound", 3)         \
  X(ENERGY, "energy_mj_per_inference", "energy mJ", 1) \
  X(ENERGY_RATIO, "energy_ratio", "energy ratio", 2)
typedef enum cosrel_figure {
#define X(name, key, head, decimals) COSREL_FIGURE_##name,
  COSREL_FIGURE_MAP(X)
#undef X
      COSREL_FIGURE_COUNT
} cosrel_figure;

const char *cosrel_figure_key(cosrel_figure figure);
const char *cosrel_figure_head(cosrel_figure figure);
int cosrel_figure_decimals(cosrel_figure figure);
/* NaN when the run does not define it. */
double cosrel_figure_of(const cosrel_result *result, cosrel_figure figure);

#endif
