#include "traces/apportion.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static bool is_traffic(cosrel_kind kind) {
  return kind != COSREL_KIND_CONV && kind != COSREL_KIND_CONV1X1 && kind != COSREL_KIND_DEPTHWISE &&
         kind != COSREL_KIND_DENSE;
}

cosrel_status cosrel_rates_read(const cosrel_csv *efficiency, const char *processor, cosrel_rates *out,
                                cosrel_error *error) {
  double rate[COSREL_KIND_COUNT] = {0}, best[COSREL_KIND_COUNT], overhead[COSREL_KIND_COUNT] = {0};
  for (int k = 0; k < COSREL_KIND_COUNT; ++k) best[k] = INFINITY;
  memset(out, 0, sizeof *out);
  for (uint32_t r = 0; r < efficiency->n_rows; ++r) {
    int kind = cosrel_kind_from_name(cosrel_csv_cell(efficiency, r, "kind"));
    double ns = cosrel_csv_number(efficiency, r, "rate_ns", 0), se = cosrel_csv_number(efficiency, r, "rate_se_ns", 0);
    double relative = cosrel_csv_number(efficiency, r, "relative_to_conv", 0);
    if (strcmp(cosrel_csv_cell(efficiency, r, "processor"), processor) != 0) continue;
    if (kind < 0 || !(ns > 0) || !(se > 0) || !(relative > 0))
      return cosrel_fail(error, COSREL_FORMAT, "efficiency.csv: row %u: expected a kind and rates > 0", r + 2);
    if (se / ns >= best[kind]) continue;
    best[kind] = se / ns;
    rate[kind] = relative;
    overhead[kind] = cosrel_csv_number(efficiency, r, "overhead_ns", 0) / (ns / relative);
  }
  if (!(rate[COSREL_KIND_CONV] > 0) || !(rate[COSREL_KIND_CONV1X1] > 0) || !(rate[COSREL_KIND_DEPTHWISE] > 0) ||
      !(rate[COSREL_KIND_ELEMENTWISE] > 0))
    return cosrel_fail(error, COSREL_FORMAT, "efficiency.csv: expected conv, conv1x1, depthwise, elementwise for %s",
                       processor);
  for (int k = 0; k < COSREL_KIND_COUNT; ++k) {
    cosrel_kind kind = (cosrel_kind)k;
    out->mac[k] = is_traffic(kind) || !(rate[k] > 0) ? rate[COSREL_KIND_CONV1X1] : rate[k];
    out->byte[k] = is_traffic(kind) && rate[k] > 0 ? rate[k] : rate[COSREL_KIND_ELEMENTWISE];
  }
  if (strcmp(processor, "gpu") != 0)
    out->overhead = 0.5 * (overhead[COSREL_KIND_CONV1X1] + overhead[COSREL_KIND_DEPTHWISE]);
  return COSREL_OK;
}

double cosrel_unit_weight(const cosrel_unit *unit, const cosrel_rates *rates, double speed, double width,
                          double *beta) {
  double elements = (double)unit->in_elems + (double)unit->out_elems + (double)unit->weights;
  double compute = (double)unit->macs * rates->mac[unit->kind] * speed;
  double memory = elements * width * rates->byte[unit->kind];
  double weight = compute + memory + rates->overhead;
  if (beta) *beta = memory / weight;
  return weight;
}
