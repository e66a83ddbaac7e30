/* How far apportioning is off: whole models of the RK3399Pro are shared out over their units by the weights of
 * traces/apportion.h, and each block's share is compared with its measured one (traces/figures/rk3399pro_blocks.csv).
 */
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/zoo/zoo.h"
#include "traces/tools/parts/blocks.h"
#include "traces/tools/parts/maker.h"

enum { ERRORS_MAX = COSREL_BLOCKED_MODELS * COSREL_BLOCKS_MAX };

typedef struct errors {
  size_t n;
  double relative[ERRORS_MAX], log_ratio[ERRORS_MAX];
  double macs_only[ERRORS_MAX]; /* relative error when MACs alone are the weight, to compare */
} errors;

typedef struct summary {
  double median, p90, sd, macs_median, macs_p90; /* percent, but for sd */
} summary;

static void note(errors *e, double share, double macs_share, double measured) {
  e->relative[e->n] = fabs(share / measured - 1);
  e->macs_only[e->n] = fabs(macs_share / measured - 1);
  e->log_ratio[e->n++] = log(share / measured);
}

static summary summarise(errors *e) {
  summary s = {.sd = gsl_stats_sd(e->log_ratio, 1, e->n)};
  gsl_sort(e->relative, 1, e->n);
  gsl_sort(e->macs_only, 1, e->n);
  s.median = 100 * gsl_stats_median_from_sorted_data(e->relative, 1, e->n);
  s.p90 = 100 * gsl_stats_quantile_from_sorted_data(e->relative, 1, e->n, 0.9);
  s.macs_median = 100 * gsl_stats_median_from_sorted_data(e->macs_only, 1, e->n);
  s.macs_p90 = 100 * gsl_stats_quantile_from_sorted_data(e->macs_only, 1, e->n, 0.9);
  return s;
}

static void print(const char *processor, const char *model, errors *e) {
  summary s = summarise(e);
  printf(
      "%-10s %-13s %3zu blocks: error median %3.0f %%, p90 %3.0f %%, log-ratio sd %.2f; by MACs alone %3.0f %%, %3.0f "
      "%%\n",
      processor, model, e->n, s.median, s.p90, s.sd, s.macs_median, s.macs_p90);
}

/* Adds the errors of one model on one processor. */
static void compare(maker *m, const cosrel_blocked_model *blocked, const char *processor, const cosrel_rates *rates,
                    errors *e) {
  double weight[COSREL_BLOCKS_MAX] = {0}, macs[COSREL_BLOCKS_MAX] = {0}, sum = 0, total = 0;
  uint8_t block[COSREL_UNITS_MAX];
  cosrel_model model;
  m->status = cosrel_zoo_model(blocked->name, &model, &m->error);
  if (!m->status) m->status = cosrel_blocks_of(blocked, &model, block, &m->error);
  for (uint32_t u = 0; u < model.n_units && !m->status; ++u) {
    double w = cosrel_unit_weight(&model.units[u], rates, 1, 4, NULL);
    weight[block[u]] += w;
    macs[block[u]] += (double)model.units[u].macs;
    sum += w;
    total += (double)model.units[u].macs;
  }
  cosrel_model_clear(&model);
  for (uint32_t r = 0; r < m->blocks.n_rows && !m->status; ++r) {
    uint32_t b = (uint32_t)cosrel_csv_number(&m->blocks, r, "block", 0);
    double share = cosrel_csv_number(&m->blocks, r, processor, 0);
    if (strcmp(cosrel_csv_cell(&m->blocks, r, "model"), blocked->name) != 0) continue;
    if (b >= blocked->n_blocks || !(share > 0)) {
      maker_fail(m, COSREL_FORMAT, "rk3399pro_blocks.csv: row %u: expected a block of %s and shares", r + 2,
                 blocked->name);
      return;
    }
    note(e, weight[b] / sum, macs[b] / total, share);
  }
}

void maker_add_method_error(maker *m, bool verbose) {
  static const struct {
    const char *name, *like;
  } processors[] = {{"cpu-big", "cpu"}, {"cpu-little", "cpu"}, {"gpu", "gpu"}};
  for (size_t i = 0; i < sizeof processors / sizeof *processors && !m->status; ++i) {
    errors *all = calloc(2, sizeof *all);
    cosrel_rates rates;
    if (!all) {
      maker_fail(m, COSREL_NOMEM, "out of memory");
      return;
    }
    errors *one = all + 1;
    m->status = cosrel_rates_read(&m->efficiency, processors[i].like, &rates, &m->error);
    for (int k = 0; k < COSREL_BLOCKED_MODELS && !m->status; ++k) {
      one->n = 0;
      compare(m, &cosrel_blocked_models[k], processors[i].name, &rates, one);
      if (m->status) break;
      memcpy(all->relative + all->n, one->relative, one->n * sizeof *one->relative);
      memcpy(all->log_ratio + all->n, one->log_ratio, one->n * sizeof *one->log_ratio);
      memcpy(all->macs_only + all->n, one->macs_only, one->n * sizeof *one->macs_only);
      all->n += one->n;
      if (verbose) print(processors[i].name, cosrel_blocked_models[k].name, one);
    }
    if (!m->status) {
      summary s = summarise(all);
      if (verbose) print(processors[i].name, "all", all);
      maker_source(m,
                   "uncertainty of apportioned times: for %zu blocks of six models on the RK3399Pro %s the error is "
                   "%.0f %% in the median, %.0f %% at the 90th percentile, log-ratio sd %.2f "
                   "(traces/figures/README.md)",
                   all->n, processors[i].name, s.median, s.p90, s.sd);
    }
    free(all);
  }
}
