/* From scales to costs of units, and contention. */
#include <math.h>

#include "traces/tools/parts/maker.h"

static void add_model_costs(maker *m, uint32_t k, uint32_t p, int f) {
  cosrel_profile *profile = m->profile;
  const cosrel_model *model = &profile->models[k].model;
  const maker_scale *sc = &m->scales[k][p][f];
  const double *factor = m->factor[k][p];
  double sum = 0, squares = 0;
  for (uint32_t u = 0; u < model->n_units; ++u) {
    cosrel_cost *cost = cosrel_profile_cost(profile, k, u, p, (cosrel_precision)f);
    *cost = (cosrel_cost){.mean_ns = -1};
    if (!maker_runs(m, p, f)) continue;
    double beta, weight = maker_unit_weight(m, &model->units[u], p, f, &beta);
    double ns = sc->s * weight * (factor ? factor[u] : 1) + m->overhead_ns[p];
    cost->mean_ns = fmax(maker_rounded(ns, 1), 1);
    cost->beta = beta; /* the share; maker_add_contention makes it beta */
    cost->origin = sc->origin;
    if (factor && sc->measured && m->alone[k][u]) cost->origin.tag = COSREL_TAG_MEASURED;
    sum += ns;
    squares += ns * ns;
  }
  /* Units vary independently here, so each must vary more than the model for the model to vary as measured. */
  for (uint32_t u = 0; u < model->n_units && sum > 0; ++u)
    cosrel_profile_cost(profile, k, u, p, (cosrel_precision)f)->cv =
        maker_rounded(m->model_cv[p] * sum / sqrt(squares), 1e-4);
}

void maker_add_costs(maker *m) {
  for (uint32_t k = 0; k < m->profile->n_models && !m->status; ++k)
    for (uint32_t p = 0; p < m->profile->n_processors; ++p)
      for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) add_model_costs(m, k, p, f);
}

/* Time-weighted mean of share^exponent over a model. */
static double mean_share(const maker *m, uint32_t k, uint32_t p, cosrel_precision precision, double exponent) {
  double sum = 0, weighted = 0;
  for (uint32_t u = 0; u < m->profile->models[k].model.n_units; ++u) {
    const cosrel_cost *c = cosrel_profile_cost(m->profile, k, u, p, precision);
    sum += c->mean_ns;
    weighted += c->mean_ns * pow(c->beta, exponent);
  }
  return weighted / sum;
}

/* Slowdown is 1 + kappa * beta * beta. A weight counts every byte once; caches miss, so shares of compulsory
 * traffic understate beta, and kappa fitted to them would slow two memory-bound units down tenfold. So beta =
 * share^exponent, and two figures fix the two unknowns of the gpu beside the cpu: units bound by nothing but memory
 * (beta = 1) see the measured 95th percentile, Inception-v3, whose layers were timed, the measured median. The cpu
 * beside the gpu then needs its median only. All other pairs were never measured and take the cpu's, the weaker one.
 */
void maker_add_contention(maker *m) {
  if (m->status) return;
  cosrel_profile *profile = m->profile;
  int found = cosrel_profile_find_model(profile, "inception_v3");
  uint32_t k = (uint32_t)found, cpu = profile->host, gpu = maker_find_role(m, MAKER_GPU);
  cosrel_precision half = maker_runs(m, gpu, COSREL_FP16) ? COSREL_FP16 : COSREL_FP32;
  double cpu_median = maker_figure(m, "slowdown_median", "cpu<gpu", NULL);
  double gpu_median = maker_figure(m, "slowdown_median", "gpu<cpu", NULL);
  double gpu_high = maker_figure(m, "slowdown_p95", "gpu<cpu", NULL);
  double due = (gpu_median - 1) / (gpu_high - 1), low = 0, high = 1;
  if (found < 0) maker_fail(m, COSREL_FORMAT, "the zoo has no inception_v3 to fit contention with");
  if (m->status) return;
  for (int i = 0; i < 60; ++i) { /* the mean falls as the exponent grows */
    double e = 0.5 * (low + high);
    bool above = mean_share(m, k, cpu, COSREL_FP32, e) * mean_share(m, k, gpu, half, e) > due;
    *(above ? &low : &high) = e;
  }
  double exponent = maker_rounded(low, 1e-3);
  double product = mean_share(m, k, cpu, COSREL_FP32, exponent) * mean_share(m, k, gpu, half, exponent);
  for (uint32_t p = 0; p < profile->n_processors; ++p)
    for (uint32_t q = 0; q < profile->n_processors; ++q) {
      bool by_cpu = m->device->processors[p].role == MAKER_GPU && m->device->processors[q].role == MAKER_CPU;
      if (p != q) profile->kappa[p][q] = maker_rounded(fmax((by_cpu ? gpu_median : cpu_median) - 1, 0) / product, 1e-3);
    }
  for (uint32_t i = 0; i < profile->n_models; ++i) {
    size_t n = (size_t)profile->models[i].model.n_units * profile->n_processors * COSREL_PRECISION_COUNT;
    for (size_t c = 0; c < n; ++c)
      profile->models[i].costs[c].beta = maker_rounded(pow(profile->models[i].costs[c].beta, exponent), 1e-3);
  }
  profile->kappa_origin = maker_origin(
      COSREL_TAG_ASSUMED,
      maker_source(m,
                   "cpu and gpu beside each other fitted: Inception-v3 slows down by the medians %.3f and %.3f, purely "
                   "memory-bound gpu work by %.2f, the 95th percentile (summerspringwei/DAG-Scheduler@9acc93f27b4f, "
                   "Snapdragon 855 and 835, taken over here); all other pairs assumed as cpu beside gpu",
                   cpu_median, gpu_median, gpu_high));
  maker_source(m,
               "beta: share of memory traffic in the weight of the unit to the power %.3f, fitted together with kappa; "
               "an npu or dsp takes the cpu's rates",
               exponent);
}
