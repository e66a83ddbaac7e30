#include "experiments/figures.h"

#include <math.h>

static const struct {
  const char *key, *head;
  int decimals;
} figures[COSREL_FIGURE_COUNT] = {
#define X(name, key, head, decimals) {key, head, decimals},
    COSREL_FIGURE_MAP(X)
#undef X
};

const char *cosrel_figure_key(cosrel_figure figure) { return figures[figure].key; }
const char *cosrel_figure_head(cosrel_figure figure) { return figures[figure].head; }
int cosrel_figure_decimals(cosrel_figure figure) { return figures[figure].decimals; }

double cosrel_figure_of(const cosrel_result *r, cosrel_figure figure) {
  switch (figure) {
    case COSREL_FIGURE_U: return r->u;
    case COSREL_FIGURE_ANTT: return r->antt;
    case COSREL_FIGURE_P95_NTT: return r->p95_ntt;
    case COSREL_FIGURE_GOODPUT: return r->goodput_hz;
    case COSREL_FIGURE_G: return r->g;
    case COSREL_FIGURE_BOUND_SHARE: return r->bound_share < 0 ? NAN : r->bound_share;
    case COSREL_FIGURE_ENERGY: return r->energy_mj_per_inference < 0 ? NAN : r->energy_mj_per_inference;
    case COSREL_FIGURE_ENERGY_RATIO: return r->energy_ratio < 0 ? NAN : r->energy_ratio;
    default: return NAN;
  }
}
