/* From whole-model times to scales: what a unit of weight costs, per model, processor and precision.
 *
 *   s = (measured - launch - bringing the input - n_units * overhead) / sum of weights
 *
 * A model that was not measured on a processor gets the whole time that a trend through the measured ones predicts. */
#include <gsl/gsl_fit.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/zoo/zoo.h"
#include "traces/tools/parts/blocks.h"
#include "traces/tools/parts/maker.h"

/* ---- models and blocks ------------------------------------------------------------------------------------------- */

void maker_add_models(maker *m) {
  cosrel_profile *profile = m->profile;
  uint32_t zoo;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&zoo);
  uint32_t n = zoo + (m->device->extra_model ? 1 : 0);
  if (m->status) return;
  profile->models = n <= MAKER_MODELS_MAX ? calloc(n, sizeof *profile->models) : NULL;
  if (!profile->models) {
    maker_fail(m, COSREL_NOMEM, "no room for %u models", n);
    return;
  }
  for (uint32_t k = 0; k < n && !m->status; ++k) {
    cosrel_profile_model *pm = &profile->models[k];
    m->status = cosrel_zoo_model(k < zoo ? table[k].name : m->device->extra_model, &pm->model, &m->error);
    if (m->status) return;
    ++profile->n_models;
    pm->costs = calloc((size_t)pm->model.n_units * profile->n_processors * COSREL_PRECISION_COUNT, sizeof *pm->costs);
    if (!pm->costs) maker_fail(m, COSREL_NOMEM, "out of memory");
  }
}

static const char *model_name(const maker *m, uint32_t k) { return m->profile->models[k].model.name; }

/* Sets factor[k][p], unless the blocks of that model were not measured there. */
static void set_factors(maker *m, uint32_t k, uint32_t p, const cosrel_blocked_model *blocked, const uint8_t *block) {
  const cosrel_model *model = &m->profile->models[k].model;
  double share[COSREL_BLOCKS_MAX] = {0}, weight[COSREL_BLOCKS_MAX] = {0}, sum = 0, whole = 0;
  int precision = 0;
  while (!maker_runs(m, p, precision)) ++precision;
  for (uint32_t r = 0; r < m->blocks.n_rows; ++r) {
    double b = cosrel_csv_number(&m->blocks, r, "block", -1);
    if (strcmp(cosrel_csv_cell(&m->blocks, r, "model"), blocked->name) == 0 && b >= 0 && b < blocked->n_blocks)
      sum += share[(int)b] = cosrel_csv_number(&m->blocks, r, m->device->processors[p].name, 0);
  }
  if (!(sum > 0)) return;
  double *factor = m->factor[k][p] = calloc(model->n_units, sizeof *factor);
  if (!factor) {
    maker_fail(m, COSREL_NOMEM, "out of memory");
    return;
  }
  for (uint32_t u = 0; u < model->n_units; ++u) {
    double w = maker_unit_weight(m, &model->units[u], p, precision, NULL);
    weight[block[u]] += w;
    whole += w;
  }
  for (uint32_t u = 0; u < model->n_units; ++u) factor[u] = share[block[u]] / sum * whole / weight[block[u]];
}

/* What measured blocks say about the units in them; a model measured at another input size takes the same factors. */
static void add_factors(maker *m) {
  for (uint32_t k = 0; k < m->profile->n_models && m->device->blocks && !m->status; ++k) {
    const cosrel_model *model = &m->profile->models[k].model;
    const cosrel_blocked_model *blocked = cosrel_blocked_model_find(model->name);
    uint8_t block[COSREL_UNITS_MAX];
    uint32_t members[COSREL_BLOCKS_MAX] = {0};
    if (!blocked) continue;
    m->status = cosrel_blocks_of(blocked, model, block, &m->error);
    m->alone[k] = calloc(model->n_units, sizeof *m->alone[k]);
    if (!m->alone[k]) maker_fail(m, COSREL_NOMEM, "out of memory");
    if (m->status) return;
    for (uint32_t u = 0; u < model->n_units; ++u) ++members[block[u]];
    for (uint32_t u = 0; u < model->n_units; ++u) m->alone[k][u] = members[block[u]] == 1;
    for (uint32_t p = 0; p < m->profile->n_processors; ++p) set_factors(m, k, p, blocked, block);
  }
}

/* ---- measured whole models --------------------------------------------------------------------------------------- */

/* First row with this use, model, processor and precision, or -1. */
static int find_row(const cosrel_csv *csv, const char *use, const char *model, const char *processor, int precision) {
  for (uint32_t r = 0; r < csv->n_rows; ++r)
    if (strcmp(cosrel_csv_cell(csv, r, "use"), use) == 0 && strcmp(cosrel_csv_cell(csv, r, "model"), model) == 0 &&
        strcmp(cosrel_csv_cell(csv, r, "processor"), processor) == 0 &&
        strcmp(cosrel_csv_cell(csv, r, "precision"), cosrel_precision_name((cosrel_precision)precision)) == 0)
      return (int)r;
  return -1;
}

static double row_ns(const cosrel_csv *csv, int row) {
  return 1e6 * cosrel_csv_number(csv, (uint32_t)row, "latency_ms", 0);
}

static int find_anchor(const maker *m, uint32_t k, uint32_t p, int precision) {
  return find_row(&m->models, "anchor", model_name(m, k), m->device->processors[p].name, precision);
}

/* Threads: the `cpu` of a phone is four big cores, and some figures are for one thread. */
static double thread_speedup(maker *m) {
  const cosrel_csv *csv = &m->reference;
  double ratios[64];
  size_t n = 0;
  for (uint32_t r = 0; r + 1 < csv->n_rows && n < 64; ++r)
    if (strcmp(cosrel_csv_cell(csv, r, "use"), "thread-scaling") == 0 &&
        strcmp(cosrel_csv_cell(csv, r + 1, "use"), "thread-scaling") == 0 &&
        strcmp(cosrel_csv_cell(csv, r, "threads"), "1") == 0 &&
        strcmp(cosrel_csv_cell(csv, r + 1, "threads"), "4") == 0 &&
        strcmp(cosrel_csv_cell(csv, r, "model"), cosrel_csv_cell(csv, r + 1, "model")) == 0)
      ratios[n++] = row_ns(csv, (int)r) / row_ns(csv, (int)r + 1);
  if (n) return maker_median(ratios, n);
  maker_fail(m, COSREL_FORMAT, "snapdragon865.csv: expected thread-scaling rows, 1 thread followed by 4");
  return 1;
}

/* ---- rates, noise ------------------------------------------------------------------------------------------------ */

/* How much faster a MAC is in lower precision on a phone's CPU: from the models that were timed with one thread in all
 * of them. A GPU runs 8-bit models in fp16, as TensorFlow Lite's GPU delegate does, so both cost the same there. An
 * NPU's kinds of units are taken to cost what they cost a CPU relative to each other. */
static void set_rates(maker *m) {
  static const cosrel_precision lower[] = {COSREL_FP16, COSREL_INT8};
  double faster[COSREL_PRECISION_COUNT] = {[COSREL_FP32] = 1};
  for (size_t i = 0; i < 2 && !m->status; ++i) {
    double ratios[MAKER_MODELS_MAX];
    size_t n = 0;
    for (uint32_t k = 0; k < m->profile->n_models; ++k) {
      int base = find_row(&m->reference, "one-thread", model_name(m, k), "cpu", COSREL_FP32);
      int row = find_row(&m->reference, "one-thread", model_name(m, k), "cpu", lower[i]);
      if (base >= 0 && row >= 0) ratios[n++] = row_ns(&m->reference, row) / row_ns(&m->reference, base);
    }
    if (n == 0) maker_fail(m, COSREL_FORMAT, "snapdragon865.csv: expected one-thread rows in all precisions");
    if (n) faster[lower[i]] = maker_median(ratios, n);
  }
  for (uint32_t p = 0; p < m->profile->n_processors && !m->status; ++p) {
    const maker_processor *processor = &m->device->processors[p];
    bool gpu = processor->role == MAKER_GPU;
    m->status = cosrel_rates_read(&m->efficiency, gpu ? "gpu" : "cpu", &m->rates[p], &m->error);
    if (processor->role == MAKER_NPU) m->rates[p].overhead = 0;
    double gpu_fp16 = gpu ? 1 / maker_figure(m, "fp16_over_fp32_rate", processor->name, NULL) : 1;
    for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) {
      m->speed[p][f] = !gpu ? faster[f] : f == COSREL_FP32 ? 1 : gpu_fp16;
      m->width[p][f] = cosrel_precision_bytes(gpu && f == COSREL_INT8 ? COSREL_FP16 : (cosrel_precision)f);
    }
    if (processor->role != MAKER_CPU) m->overhead_ns[p] = maker_figure(m, "kernel_overhead", processor->name, NULL);
  }
}

/* Mean distance of the smallest of n normal draws from their median, in standard deviations, n = 2..20 (tables of
 * normal order statistics: Harter, Biometrika 48, 1961). */
static double expected_minimum(int n) {
  static const double table[] = {0.564, 0.846, 1.029, 1.163, 1.267, 1.352, 1.424, 1.485, 1.539, 1.586,
                                 1.629, 1.668, 1.703, 1.736, 1.766, 1.794, 1.820, 1.844, 1.867};
  return table[n < 2 ? 0 : n > 20 ? 18 : n - 2];
}

/* Spread of a whole model between jobs: from its lower half, since a few jobs are outliers upwards (29 and 40 ms where
 * the median is 8 to 10). Median over models; 0 when none was measured three times. */
static double job_spread(const maker *m, uint32_t p) {
  double cv[MAKER_MODELS_MAX * COSREL_PRECISION_COUNT];
  size_t n = 0;
  for (uint32_t k = 0; k < m->profile->n_models; ++k)
    for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) {
      int row = find_anchor(m, k, p, f);
      if (row < 0) continue;
      double low = cosrel_csv_number(&m->models, (uint32_t)row, "min_ms", 0);
      double middle = cosrel_csv_number(&m->models, (uint32_t)row, "median_ms", 0);
      int jobs = (int)cosrel_csv_number(&m->models, (uint32_t)row, "jobs", 0);
      if (jobs >= 3 && low > 0 && middle >= low) cv[n++] = (middle - low) / middle / expected_minimum(jobs);
    }
  return n ? maker_median(cv, n) : 0;
}

static void set_noise(maker *m) {
  double any = 0;
  if (m->status) return;
  for (uint32_t p = m->profile->n_processors; p-- > 0;)
    if ((m->model_cv[p] = job_spread(m, p)) > 0) any = m->model_cv[p];
  if (any == 0) {
    any = maker_figure(m, "whole_model_spread", "device", NULL);
    maker_source(m,
                 "cv: a spread of whole models of %.2f is assumed, each figure being one reading; spread over units "
                 "so that the whole model varies so",
                 any);
  }
  for (uint32_t p = 0; p < m->profile->n_processors; ++p) {
    const char *name = m->device->processors[p].name;
    if (m->model_cv[p] > 0)
      maker_source(m,
                   "cv: whole-model spread between jobs on the %s, %.4f; spread over units so that the whole model "
                   "varies as measured",
                   name, m->model_cv[p]);
    else if (!maker_has_figure(m, "whole_model_spread", "device"))
      maker_source(m, "cv: models were measured once on the %s, which takes another processor's spread, %.4f", name,
                   any);
    if (m->model_cv[p] == 0) m->model_cv[p] = any;
  }
}

/* ---- trends ------------------------------------------------------------------------------------------------------ */

/* whole = fixed + slope * weight, with fixed = launch, input and overheads; on an npu where a line fits, its own offset
 * stands for launch and input: runtimes there spend milliseconds on a model whatever its size. */
typedef struct trend {
  bool line;
  double offset_ns, offset_se_ns, slope;
  uint32_t n; /* models that it rests on; 0: none */
} trend;

/* 0 when the model was not measured there. */
static double measured_ns(maker *m, uint32_t k, uint32_t p, int precision, bool *one_thread) {
  int row = find_anchor(m, k, p, precision);
  if (one_thread) *one_thread = false;
  if (row >= 0) return row_ns(&m->models, row);
  if (m->device->processors[p].role != MAKER_CPU || precision == COSREL_INT8) return 0;
  row = find_row(&m->models, "one-thread", model_name(m, k), m->device->processors[p].name, precision);
  if (row < 0) return 0;
  if (one_thread) *one_thread = true;
  return row_ns(&m->models, row) / thread_speedup(m);
}

static double input_ns(const maker *m, uint32_t k, uint32_t p, int precision) {
  const cosrel_link *link = &m->profile->links[m->profile->host][p];
  double bytes = (double)m->profile->models[k].model.input_elems * cosrel_precision_bytes((cosrel_precision)precision);
  return m->device->processors[p].holds_input ? link->latency_ns + bytes * link->ns_per_byte : 0;
}

static double overheads_ns(const maker *m, uint32_t k, uint32_t p) {
  return m->profile->models[k].model.n_units * m->overhead_ns[p];
}

static double fixed_ns(const maker *m, uint32_t k, uint32_t p, int precision) {
  return m->profile->processors[p].launch_ns + input_ns(m, k, p, precision) + overheads_ns(m, k, p);
}

static bool has_depthwise(const cosrel_model *model) {
  for (uint32_t u = 0; u < model->n_units; ++u)
    if (model->units[u].kind == COSREL_KIND_DEPTHWISE) return true;
  return false;
}

/* Through all measured models but `skip`. */
static trend fit_trend(maker *m, uint32_t p, int precision, int skip) {
  double x[MAKER_MODELS_MAX], y[MAKER_MODELS_MAX], w[MAKER_MODELS_MAX], s[MAKER_MODELS_MAX];
  size_t n_line = 0, n = 0;
  trend t = {0};
  for (uint32_t k = 0; k < m->profile->n_models; ++k) {
    double whole = measured_ns(m, k, p, precision, NULL), weight = maker_model_weight(m, k, p, precision);
    if (whole <= 0 || (int)k == skip) continue;
    s[n++] = (whole - fixed_ns(m, k, p, precision)) / weight;
    if (has_depthwise(&m->profile->models[k].model)) continue;
    x[n_line] = weight;
    y[n_line] = whole - overheads_ns(m, k, p);
    w[n_line] = 1 / (y[n_line] * y[n_line]);
    ++n_line;
  }
  if (n == 0) return t;
  if (m->device->processors[p].role == MAKER_NPU && n_line >= 3) {
    double c00, c01, c11, chi;
    if (!gsl_fit_wlinear(x, 1, w, 1, y, 1, n_line, &t.offset_ns, &t.slope, &c00, &c01, &c11, &chi) && t.offset_ns > 0 &&
        t.slope > 0) {
      t.line = true;
      t.n = (uint32_t)n_line;
      t.offset_se_ns = sqrt(c00 * chi / (double)(n_line - 2));
      return t;
    }
  }
  t = (trend){.slope = maker_median(s, n), .n = (uint32_t)n};
  return t;
}

static double predicted_ns(const maker *m, const trend *t, uint32_t k, uint32_t p, int precision) {
  double rest = t->slope * maker_model_weight(m, k, p, precision);
  return rest + (t->line ? t->offset_ns + overheads_ns(m, k, p) : fixed_ns(m, k, p, precision));
}

/* An NPU has no measured layers at all. Its whole models without depthwise convolutions are a line over their weights;
 * a MobileNet lies far above it, so its depthwise convolutions get the rate that explains that. Returns that model's
 * index, or -1. */
static int fit_depthwise(maker *m, uint32_t p) {
  static const char *const names[] = {"mobilenet_v2", "mobilenet_v1"};
  if (m->device->processors[p].role != MAKER_NPU || m->status) return -1;
  trend t = fit_trend(m, p, COSREL_INT8, -1);
  for (size_t i = 0; i < sizeof names / sizeof *names && t.line; ++i) {
    int k = cosrel_profile_find_model(m->profile, names[i]);
    double whole = k < 0 ? 0 : measured_ns(m, (uint32_t)k, p, COSREL_INT8, NULL);
    if (whole <= 0) continue;
    const cosrel_model *model = &m->profile->models[k].model;
    double *rate = &m->rates[p].mac[COSREL_KIND_DEPTHWISE], macs = 0;
    for (uint32_t u = 0; u < model->n_units; ++u)
      if (model->units[u].kind == COSREL_KIND_DEPTHWISE) macs += (double)model->units[u].macs;
    macs *= m->speed[p][COSREL_INT8];
    double due = (whole - t.offset_ns - overheads_ns(m, (uint32_t)k, p)) / t.slope;
    double missing = due - maker_model_weight(m, (uint32_t)k, p, COSREL_INT8);
    if (missing > 0) *rate += missing / macs;
    return k;
  }
  return -1;
}

/* How well a trend predicts a measured model that it does not know. */
static void note_prediction_error(maker *m, uint32_t p, int depthwise_from) {
  double errors[MAKER_MODELS_MAX * COSREL_PRECISION_COUNT];
  size_t n = 0;
  for (int f = 0; f < COSREL_PRECISION_COUNT; ++f)
    for (uint32_t k = 0; k < m->profile->n_models && maker_runs(m, p, f); ++k) {
      double whole = measured_ns(m, k, p, f, NULL);
      if (whole <= 0 || (int)k == depthwise_from) continue;
      trend t = fit_trend(m, p, f, (int)k);
      if (t.n >= 2) errors[n++] = fabs(log(predicted_ns(m, &t, k, p, f) / whole));
    }
  if (n == 0 || m->status) return;
  double middle = maker_median(errors, n), worst = errors[n - 1];
  maker_source(m,
               "uncertainty of fitted whole models on the %s: predicting each of %zu measured times from the other "
               "models is off by a factor of %.2f in the median, %.1f at worst",
               m->device->processors[p].name, n, exp(middle), exp(worst));
}

/* ---- scales ------------------------------------------------------------------------------------------------------ */

static void set_scale(maker *m, uint32_t k, uint32_t p, int precision, double whole_ns, bool measured, cosrel_tag tag,
                      uint16_t source) {
  double rest = whole_ns - fixed_ns(m, k, p, precision);
  if (!(rest > 0)) {
    maker_fail(m, COSREL_FORMAT, "%s on %s: %.3f ms do not cover launch, input and overheads", model_name(m, k),
               m->device->processors[p].name, whole_ns * 1e-6);
    return;
  }
  m->scales[k][p][precision] =
      (maker_scale){rest / maker_model_weight(m, k, p, precision), measured, maker_origin(tag, source)};
}

static bool is_set(const maker *m, uint32_t k, uint32_t p, int precision) { return m->scales[k][p][precision].s > 0; }

static void use_measured(maker *m, uint32_t k, uint32_t p, int f) {
  bool one_thread;
  double whole = measured_ns(m, k, p, f, &one_thread);
  if (whole <= 0) return;
  const char *processor = m->device->processors[p].name;
  uint32_t row = (uint32_t)find_row(&m->models, one_thread ? "one-thread" : "anchor", model_name(m, k), processor, f);
  const char *source = cosrel_csv_cell(&m->models, row, "source");
  if (one_thread) {
    double speedup = thread_speedup(m);
    set_scale(m, k, p, f, whole, true, COSREL_TAG_FITTED,
              maker_source(m,
                           "whole model %.10g ms with one thread, %s; divided by %.2f, the median speed-up of four "
                           "threads on a Snapdragon 855; shared out by unit weights",
                           whole * speedup * 1e-6, source, speedup));
    return;
  }
  set_scale(m, k, p, f, whole, true, COSREL_TAG_APPORTIONED,
            maker_source(m, "whole model %.10g ms (%s, %s), %s; shared out by %s", whole * 1e-6,
                         cosrel_csv_cell(&m->models, row, "runtime"), cosrel_csv_cell(&m->models, row, "as_published"),
                         source, m->factor[k][p] ? "measured blocks, within a block by unit weights" : "unit weights"));
}

static void use_trend(maker *m, uint32_t k, uint32_t p, int f, const trend *t) {
  const char *processor = m->device->processors[p].name, *precision = cosrel_precision_name((cosrel_precision)f);
  uint16_t source =
      t->line
          ? maker_source(m,
                         "%s %s not measured for this model: fitted by the line through %u whole models over their "
                         "weights; its offset, %.2f +- %.2f ms, is no launch here but stays inside the units",
                         processor, precision, t->n, t->offset_ns * 1e-6, t->offset_se_ns * 1e-6)
          : maker_source(m, "%s %s not measured for this model: fitted as the median rate of %u models measured there",
                         processor, precision, t->n);
  set_scale(m, k, p, f, predicted_ns(m, t, k, p, f), false, COSREL_TAG_FITTED, source);
}

/* Median over measured models of the scale in precision `to` over that in precision `from` (of two models: their
 * geometric mean); 0 when none has both. */
static double common_ratio(const maker *m, uint32_t p, int from, int to) {
  double ratio[MAKER_MODELS_MAX];
  size_t n = 0;
  for (uint32_t k = 0; k < m->profile->n_models; ++k) {
    const maker_scale *a = &m->scales[k][p][from], *b = &m->scales[k][p][to];
    if (a->measured && b->measured) ratio[n++] = log(b->s / a->s);
  }
  return n ? exp(maker_median(ratio, n)) : 0;
}

/* From the model's own scale in another precision. */
static void convert(maker *m, uint32_t k, uint32_t p, int from, int to, double ratio) {
  if (is_set(m, k, p, to) || !is_set(m, k, p, from) || !(ratio > 0)) return;
  const char *name = m->device->processors[p].name;
  uint16_t source = maker_source(
      m, "%s %s fitted from the model's own %s time x %.2f, the median ratio of the models with both", name,
      cosrel_precision_name((cosrel_precision)to), cosrel_precision_name((cosrel_precision)from), ratio);
  m->scales[k][p][to] = (maker_scale){m->scales[k][p][from].s * ratio, false, maker_origin(COSREL_TAG_FITTED, source)};
}

/* fp32 from fp16, where `speed` and `width` already hold the ratio. */
static void use_half(maker *m, uint32_t k, uint32_t p) {
  const char *name = m->device->processors[p].name;
  if (is_set(m, k, p, COSREL_FP32) || !maker_runs(m, p, COSREL_FP32) || !is_set(m, k, p, COSREL_FP16)) return;
  uint16_t source =
      maker_source(m,
                   "%s fp32 fitted from the model's own fp16 time: MACs slower by the ratio measured %s, "
                   "twice the bytes",
                   name, m->device->processors[p].role == MAKER_GPU ? "of peak rates" : "on a Snapdragon 865");
  m->scales[k][p][COSREL_FP32] =
      (maker_scale){m->scales[k][p][COSREL_FP16].s, false, maker_origin(COSREL_TAG_FITTED, source)};
}

/* YOLOv3 at its usual size, where only a larger one was measured: each block at its own rate. */
static void use_other_size(maker *m, uint32_t p, int f) {
  int to = cosrel_profile_find_model(m->profile, "yolov3");
  int from = m->device->extra_model ? cosrel_profile_find_model(m->profile, m->device->extra_model) : -1;
  if (from < 0 || to < 0 || !is_set(m, (uint32_t)from, p, f) || !m->factor[from][p]) return;
  uint32_t n = m->profile->models[to].model.n_units;
  m->factor[to][p] = calloc(n, sizeof *m->factor[to][p]);
  if (!m->factor[to][p]) {
    maker_fail(m, COSREL_NOMEM, "out of memory");
    return;
  }
  memcpy(m->factor[to][p], m->factor[from][p], n * sizeof *m->factor[to][p]);
  m->scales[to][p][f] = (maker_scale){
      m->scales[from][p][f].s, false,
      maker_origin(COSREL_TAG_FITTED,
                   maker_source(m, "fitted from %s: each block at the rate measured there", m->device->extra_model))};
}

/* 1. What was measured on the processor itself.
 * 2. Else what other models tell: on a CPU in the same precision; its 8-bit times are no base for other precisions (on
 *    the 865 two of them come from graphs that the runtime did not fuse). On a GPU or NPU in the precision that most
 *    models were measured in, if the model was measured in none.
 * 3. On a GPU or NPU, fp16 from int8 or back. 4. fp32 from fp16. */
static void choose_scales(maker *m, uint32_t p) {
  uint32_t n = m->profile->n_models;
  maker_role role = m->device->processors[p].role;
  trend trends[COSREL_PRECISION_COUNT] = {0};
  int common = -1;
  for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) {
    if (!maker_runs(m, p, f)) continue;
    for (uint32_t k = 0; k < n; ++k) use_measured(m, k, p, f);
    use_other_size(m, p, f);
    trends[f] = fit_trend(m, p, f, -1);
    if (trends[f].n > 0 && (common < 0 || trends[f].n >= trends[common].n)) common = f;
  }
  if (common < 0) maker_fail(m, COSREL_FORMAT, "%s: no model was measured there", m->device->processors[p].name);
  double ratio = common_ratio(m, p, COSREL_INT8, COSREL_FP16);
  for (uint32_t k = 0; k < n && !m->status; ++k) {
    bool any = false;
    for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) {
      any = any || is_set(m, k, p, f);
      if (role == MAKER_CPU && trends[f].n > 0 && !is_set(m, k, p, f)) use_trend(m, k, p, f, &trends[f]);
    }
    if (role != MAKER_CPU && !any) use_trend(m, k, p, common, &trends[common]);
    if (role != MAKER_CPU && maker_runs(m, p, COSREL_INT8) && maker_runs(m, p, COSREL_FP16) && ratio > 0) {
      convert(m, k, p, COSREL_INT8, COSREL_FP16, ratio);
      convert(m, k, p, COSREL_FP16, COSREL_INT8, 1 / ratio);
    }
    use_half(m, k, p);
    for (int f = 0; f < COSREL_PRECISION_COUNT; ++f)
      if (maker_runs(m, p, f) && !is_set(m, k, p, f))
        maker_fail(m, COSREL_FORMAT, "%s: nothing tells how long %s takes in %s", m->device->processors[p].name,
                   model_name(m, k), cosrel_precision_name((cosrel_precision)f));
  }
}

void maker_add_scales(maker *m) {
  int depthwise_from[COSREL_PROCESSORS_MAX];
  if (m->status) return;
  set_rates(m);
  set_noise(m);
  for (uint32_t p = 0; p < m->profile->n_processors; ++p) depthwise_from[p] = fit_depthwise(m, p);
  add_factors(m);
  for (uint32_t p = 0; p < m->profile->n_processors && !m->status; ++p) {
    choose_scales(m, p);
    note_prediction_error(m, p, depthwise_from[p]);
  }
}
