/* Writes the bundled profile of the Snapdragon 865 from the figures it rests on:
 *
 *     make_profile traces/figures traces/profiles/snapdragon865.json
 *     make_profile --check FOLDER traces/figures      tests the method, writes traces/figures/uncertainty.csv
 *
 * Whole-model times are measured; nobody publishes times of single layers for this phone. So per processor and
 * precision:
 *
 *   time of unit u of model m = s * weight(u) + overhead,   s = (measured - launch - n_units * overhead) / sum of
 * weights
 *
 * with weights from traces/apportion.h. Where a whole model was not measured, s is that of the other models (see
 * choose_scales). FOLDER holds measured layers of another board (layer_latency.csv[.gz]), whose whole-model times are
 * apportioned in the same way and compared with its measured blocks; what comes out is the uncertainty of the method.
 *
 * The same input gives the same bytes. */
#include <gsl/gsl_fit.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/zoo/zoo.h"
#include "sched/profile.h"
#include "traces/apportion.h"
#include "traces/atomic.h"
#include "traces/csv.h"
#include "traces/profile_file.h"

enum { CPU, GPU, DSP, PROCESSORS };
static const char *const processor_names[PROCESSORS] = {"cpu", "gpu", "dsp"};

static const char *const model_names[] = {"squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "resnet18",
                                          "resnet50",      "googlenet",    "inception_v3", "deeplabv3_plus_mobilenet"};
enum { MODELS = sizeof model_names / sizeof *model_names };

typedef struct figures {
  cosrel_csv models, device, efficiency, interaction, uncertainty;
} figures;

/* s of a (model, processor, precision), and how it came about. */
typedef struct scale {
  double s; /* ns per unit of weight; 0: not known yet */
  cosrel_origin origin;
} scale;

typedef struct maker {
  figures f;
  cosrel_rates rates[PROCESSORS];
  double speed[PROCESSORS][COSREL_PRECISION_COUNT]; /* time of a MAC over that of one in fp32 */
  double width[PROCESSORS][COSREL_PRECISION_COUNT]; /* bytes of an element in memory */
  double overhead_ns[PROCESSORS];
  double model_cv[PROCESSORS]; /* spread of whole-model times */
  uint16_t cv_source[PROCESSORS];
  scale scales[MODELS][PROCESSORS][COSREL_PRECISION_COUNT];
  cosrel_profile *profile;
  cosrel_error error;
  cosrel_status status; /* the first failure; later steps do nothing */
} maker;

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static void
fail(maker *m, cosrel_status status, const char *format, ...) {
  va_list args;
  if (m->status) return;
  m->status = status;
  va_start(args, format);
  vsnprintf(m->error.text, sizeof m->error.text, format, args);
  va_end(args);
}

/* Index of a source line, added when new. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static uint16_t
source_of(maker *m, const char *format, ...) {
  char line[2 * COSREL_SOURCE_MAX];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  cosrel_profile *p = m->profile;
  if (n < 0 || n >= COSREL_SOURCE_MAX) {
    fail(m, COSREL_LIMIT, "source line over %d bytes: %.60s...", COSREL_SOURCE_MAX - 1, line);
    return 0;
  }
  for (uint32_t i = 0; i < p->n_sources; ++i)
    if (strcmp(p->sources[i], line) == 0) return (uint16_t)i;
  if (p->n_sources == COSREL_SOURCES_MAX) {
    fail(m, COSREL_LIMIT, "more than %d sources", COSREL_SOURCES_MAX);
    return 0;
  }
  memcpy(p->sources[p->n_sources], line, (size_t)n + 1);
  return (uint16_t)p->n_sources++;
}

static cosrel_origin origin_of(cosrel_tag tag, uint16_t source) {
  return (cosrel_origin){.tag = (uint8_t)tag, .source = source};
}

static double median(double *values, size_t n) {
  gsl_sort(values, 1, n);
  return gsl_stats_median_from_sorted_data(values, 1, n);
}

/* Shorter numbers in the file, and no last digits that depend on the compiler. */
static double rounded(double value, double step) { return round(value / step) * step; }

/* A value of snapdragon865_device.csv or interaction.csv. */
static double figure(maker *m, const cosrel_csv *csv, const char *quantity, const char *of, cosrel_origin *origin) {
  for (uint32_t r = 0; r < csv->n_rows; ++r) {
    if (strcmp(cosrel_csv_cell(csv, r, "quantity"), quantity) != 0 || strcmp(cosrel_csv_cell(csv, r, "of"), of) != 0)
      continue;
    double value = cosrel_csv_number(csv, r, "value", -1);
    int tag = cosrel_tag_from_name(cosrel_csv_cell(csv, r, "tag"));
    if (!(value >= 0) || tag < 0) break;
    if (origin) *origin = origin_of((cosrel_tag)tag, source_of(m, "%s", cosrel_csv_cell(csv, r, "source")));
    return value;
  }
  fail(m, COSREL_FORMAT, "figures: expected a number >= 0 and a tag for %s of %s", quantity, of);
  return 1;
}

/* First row of snapdragon865.csv with this use, model, processor and precision, or -1. */
static int find_row(const maker *m, const char *use, const char *model, int p, int precision) {
  const cosrel_csv *csv = &m->f.models;
  for (uint32_t r = 0; r < csv->n_rows; ++r)
    if (strcmp(cosrel_csv_cell(csv, r, "use"), use) == 0 && strcmp(cosrel_csv_cell(csv, r, "model"), model) == 0 &&
        strcmp(cosrel_csv_cell(csv, r, "processor"), processor_names[p]) == 0 &&
        strcmp(cosrel_csv_cell(csv, r, "precision"), cosrel_precision_name((cosrel_precision)precision)) == 0)
      return (int)r;
  return -1;
}

static double row_ns(const maker *m, int row) {
  return 1e6 * cosrel_csv_number(&m->f.models, (uint32_t)row, "latency_ms", 0);
}

static const char *row_source(const maker *m, int row) {
  return cosrel_csv_cell(&m->f.models, (uint32_t)row, "source");
}

/* ---- rates, noise ---------------------------------------------------------------------------------------------- */

/* How much faster a MAC is in lower precision: the CPU's from the three models that were timed with one thread in all
 * of them. The GPU runs 8-bit models in fp16, as TensorFlow Lite's GPU delegate does, so both cost the same there. */
static void set_rates(maker *m) {
  static const cosrel_precision lower[] = {COSREL_FP16, COSREL_INT8};
  for (int p = CPU; p <= GPU && !m->status; ++p)
    m->status = cosrel_rates_read(&m->f.efficiency, processor_names[p], &m->rates[p], &m->error);
  m->rates[DSP] = m->rates[CPU];
  m->rates[DSP].overhead = 0;
  for (int p = 0; p < PROCESSORS; ++p)
    for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) {
      m->speed[p][f] = 1;
      m->width[p][f] = cosrel_precision_bytes((cosrel_precision)f);
    }
  for (size_t i = 0; i < 2; ++i) {
    double ratios[MODELS];
    size_t n = 0;
    for (int k = 0; k < MODELS; ++k) {
      int base = find_row(m, "one-thread", model_names[k], CPU, COSREL_FP32);
      int row = find_row(m, "one-thread", model_names[k], CPU, lower[i]);
      if (base >= 0 && row >= 0) ratios[n++] = row_ns(m, row) / row_ns(m, base);
    }
    if (n == 0) fail(m, COSREL_FORMAT, "figures: expected one-thread rows in all precisions");
    if (n) m->speed[CPU][lower[i]] = median(ratios, n);
  }
  m->speed[DSP][COSREL_INT8] = m->speed[CPU][COSREL_INT8];
  m->speed[GPU][COSREL_FP16] = 1 / figure(m, &m->f.device, "fp16_over_fp32_rate", "gpu", NULL);
  m->speed[GPU][COSREL_INT8] = m->speed[GPU][COSREL_FP16];
  m->width[GPU][COSREL_INT8] = m->width[GPU][COSREL_FP16];
  m->overhead_ns[GPU] = 1e3 * figure(m, &m->f.device, "kernel_overhead", "gpu", NULL);
  m->overhead_ns[DSP] = 1e3 * figure(m, &m->f.device, "kernel_overhead", "dsp", NULL);
}

/* Mean distance of the smallest of n normal draws from their median, in standard deviations, n = 2..20 (tables of
 * normal order statistics: Harter, Biometrika 48, 1961). */
static double expected_minimum(int n) {
  static const double table[] = {0.564, 0.846, 1.029, 1.163, 1.267, 1.352, 1.424, 1.485, 1.539, 1.586,
                                 1.629, 1.668, 1.703, 1.736, 1.766, 1.794, 1.820, 1.844, 1.867};
  return table[n < 2 ? 0 : n > 20 ? 18 : n - 2];
}

/* Spread of a whole model between jobs: from its lower half, since a few jobs are outliers upwards (29 and 40 ms where
 * the median is 8 to 10). Median over models; the GPU was measured once per model and takes the CPU's. */
static void set_noise(maker *m) {
  for (int p = 0; p < PROCESSORS; ++p) {
    double cv[MODELS];
    size_t n = 0;
    for (int k = 0; k < MODELS; ++k) {
      int row = find_row(m, "anchor", model_names[k], p, COSREL_INT8);
      if (row < 0) continue;
      double low = cosrel_csv_number(&m->f.models, (uint32_t)row, "min_ms", 0);
      double middle = cosrel_csv_number(&m->f.models, (uint32_t)row, "median_ms", 0);
      int jobs = (int)cosrel_csv_number(&m->f.models, (uint32_t)row, "jobs", 0);
      if (jobs >= 3 && low > 0 && middle >= low) cv[n++] = (middle - low) / middle / expected_minimum(jobs);
    }
    m->model_cv[p] = n ? median(cv, n) : p == GPU ? m->model_cv[CPU] : 0;
  }
}

/* ---- whole-model times to scales --------------------------------------------------------------------------------- */

static double unit_weight(const maker *m, const cosrel_unit *unit, int p, int precision, double *beta) {
  return cosrel_unit_weight(unit, &m->rates[p], m->speed[p][precision], m->width[p][precision], beta);
}

static double model_weight(const maker *m, int k, int p, int precision) {
  const cosrel_model *model = &m->profile->models[k].model;
  double sum = 0;
  for (uint32_t u = 0; u < model->n_units; ++u) sum += unit_weight(m, &model->units[u], p, precision, NULL);
  return sum;
}

static void set_scale(maker *m, int k, int p, int precision, double whole_ns, cosrel_tag tag, uint16_t source) {
  const cosrel_profile *profile = m->profile;
  double rest = whole_ns - profile->processors[p].launch_ns - profile->models[k].model.n_units * m->overhead_ns[p];
  if (!(rest > 0)) {
    fail(m, COSREL_FORMAT, "%s on %s: %.3f ms do not cover launch and overheads", model_names[k], processor_names[p],
         whole_ns * 1e-6);
    return;
  }
  m->scales[k][p][precision] = (scale){rest / model_weight(m, k, p, precision), origin_of(tag, source)};
}

/* Median scale of the models that have one, of (p, precision); only measured or converted ones are asked. */
static double common_scale(const maker *m, int p, int precision) {
  double s[MODELS];
  size_t n = 0;
  for (int k = 0; k < MODELS; ++k)
    if (m->scales[k][p][precision].s > 0) s[n++] = m->scales[k][p][precision].s;
  return n ? median(s, n) : 0;
}

/* The dsp has no measured layers at all. What whole models tell: times of those without depthwise convolutions are a
 * line over their weights, whose offset (milliseconds, the same for SqueezeNet and ResNet-50) is what one dispatch
 * costs and so becomes the launch. MobileNetV2 lies far above that line: its depthwise convolutions get the rate that
 * puts it there. */
static void fit_dsp(maker *m) {
  double x[MODELS], y[MODELS], w[MODELS];
  size_t n = 0;
  double offset, slope, c00, c01, c11, chi;
  for (int k = 0; k < MODELS; ++k) {
    const cosrel_model *model = &m->profile->models[k].model;
    bool depthwise = false;
    for (uint32_t u = 0; u < model->n_units; ++u) depthwise |= model->units[u].kind == COSREL_KIND_DEPTHWISE;
    int row = find_row(m, "anchor", model_names[k], DSP, COSREL_INT8);
    if (row < 0 || depthwise) continue;
    x[n] = model_weight(m, k, DSP, COSREL_INT8);
    y[n] = row_ns(m, row) - model->n_units * m->overhead_ns[DSP];
    w[n] = 1 / (y[n] * y[n]);
    ++n;
  }
  int row = find_row(m, "anchor", "mobilenet_v2", DSP, COSREL_INT8);
  int k = cosrel_profile_find_model(m->profile, "mobilenet_v2");
  if (n < 3 || row < 0 || k < 0 || gsl_fit_wlinear(x, 1, w, 1, y, 1, n, &offset, &slope, &c00, &c01, &c11, &chi) ||
      !(offset > 0) || !(slope > 0)) {
    fail(m, COSREL_INFEASIBLE, "no line through the whole-model times of the dsp");
    return;
  }
  cosrel_processor *dsp = &m->profile->processors[DSP];
  dsp->launch_ns = rounded(offset, 1000);
  dsp->launch_origin = origin_of(
      COSREL_TAG_FITTED,
      source_of(
          m,
          "offset of the line through %zu whole-model times of the dsp over their weights, +- %.2f ms: what a "
          "dispatch costs in that runtime; a bare FastRPC round trip is far cheaper (104 us on a Snapdragon 8 Elite)",
          n, 1e-6 * sqrt(c00 * chi / (double)(n - 2))));

  const cosrel_model *model = &m->profile->models[k].model;
  double *rate = &m->rates[DSP].mac[COSREL_KIND_DEPTHWISE], macs = 0, rest = 0;
  for (uint32_t u = 0; u < model->n_units; ++u)
    if (model->units[u].kind == COSREL_KIND_DEPTHWISE) macs += (double)model->units[u].macs;
  macs *= m->speed[DSP][COSREL_INT8];
  rest = model_weight(m, k, DSP, COSREL_INT8) - macs * *rate;
  double due = (row_ns(m, row) - offset - model->n_units * m->overhead_ns[DSP]) / slope;
  if (due - rest > macs * *rate) *rate = (due - rest) / macs;
}

/* Threads: the `cpu` is four big cores, and some figures are for one thread. */
static double thread_speedup(maker *m) {
  const cosrel_csv *csv = &m->f.models;
  double ratios[64];
  size_t n = 0;
  for (uint32_t r = 0; r + 1 < csv->n_rows && n < 64; ++r)
    if (strcmp(cosrel_csv_cell(csv, r, "use"), "thread-scaling") == 0 &&
        strcmp(cosrel_csv_cell(csv, r + 1, "use"), "thread-scaling") == 0 &&
        strcmp(cosrel_csv_cell(csv, r, "threads"), "1") == 0 &&
        strcmp(cosrel_csv_cell(csv, r + 1, "threads"), "4") == 0 &&
        strcmp(cosrel_csv_cell(csv, r, "model"), cosrel_csv_cell(csv, r + 1, "model")) == 0)
      ratios[n++] = row_ns(m, (int)r) / row_ns(m, (int)r + 1);
  if (n) return median(ratios, n);
  fail(m, COSREL_FORMAT, "snapdragon865.csv: expected thread-scaling rows, 1 thread followed by 4");
  return 1;
}

/* Median over models of the scale in precision `to` over that in precision `from`; 0 when no model has both. */
static double common_ratio(const maker *m, int p, int from, int to) {
  double ratio[MODELS];
  size_t n = 0;
  for (int k = 0; k < MODELS; ++k)
    if (m->scales[k][p][from].s > 0 && m->scales[k][p][to].s > 0)
      ratio[n++] = m->scales[k][p][to].s / m->scales[k][p][from].s;
  return n ? median(ratio, n) : 0;
}

/* 1. What was measured on the processor itself.
 * 2. CPU in fp32 and fp16: measured with one thread, divided by the speed-up of four.
 * 3. GPU: from the model's own time in another precision. fp16 from int8 or back, by the median ratio of the models
 * that have both (other runtime, same arithmetic); fp32 from fp16, where `speed` already holds the ratio.
 * 4. Everything else: the median scale of the models that have one. The CPU's 8-bit times are no base for other
 *    precisions: two of them (MobileNetV2, DeepLabV3+) come from graphs that the runtime did not fuse. */
static void choose_scales(maker *m) {
  double speedup = thread_speedup(m);
  for (int k = 0; k < MODELS; ++k)
    for (int p = 0; p < PROCESSORS; ++p)
      for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) {
        int row = find_row(m, "anchor", model_names[k], p, f);
        if (row >= 0) {
          const char *published = cosrel_csv_cell(&m->f.models, (uint32_t)row, "as_published");
          uint16_t source =
              source_of(m, "whole model %.10g ms (%s, %s), %s; shared out by unit weights", row_ns(m, row) * 1e-6,
                        cosrel_csv_cell(&m->f.models, (uint32_t)row, "runtime"), published, row_source(m, row));
          set_scale(m, k, p, f, row_ns(m, row), COSREL_TAG_APPORTIONED, source);
        } else if (p == CPU && f != COSREL_INT8 && (row = find_row(m, "one-thread", model_names[k], p, f)) >= 0) {
          uint16_t source =
              source_of(m,
                        "whole model %.10g ms with one thread, %s; divided by %.2f, the median speed-up of "
                        "four threads on a Snapdragon 855; shared out by unit weights",
                        row_ns(m, row) * 1e-6, row_source(m, row), speedup);
          set_scale(m, k, p, f, row_ns(m, row) / speedup, COSREL_TAG_FITTED, source);
        }
      }

  double common[PROCESSORS][COSREL_PRECISION_COUNT];
  for (int p = 0; p < PROCESSORS; ++p)
    for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) common[p][f] = common_scale(m, p, f);
  double ratio = common_ratio(m, GPU, COSREL_INT8, COSREL_FP16);
  for (int k = 0; k < MODELS; ++k) {
    scale *gpu = m->scales[k][GPU];
    if (gpu[COSREL_FP16].s <= 0 && gpu[COSREL_INT8].s > 0)
      gpu[COSREL_FP16] = (scale){
          gpu[COSREL_INT8].s * ratio,
          origin_of(
              COSREL_TAG_FITTED,
              source_of(
                  m, "gpu fp16 fitted from the model's own 8-bit time x %.2f, the median ratio of the models with both",
                  ratio))};
    else if (gpu[COSREL_INT8].s <= 0 && gpu[COSREL_FP16].s > 0)
      gpu[COSREL_INT8] = (scale){
          gpu[COSREL_FP16].s / ratio,
          origin_of(
              COSREL_TAG_FITTED,
              source_of(
                  m, "gpu int8 fitted from the model's own fp16 time / %.2f, the median ratio of the models with both",
                  ratio))};
    gpu[COSREL_FP32] =
        (scale){gpu[COSREL_FP16].s,
                origin_of(COSREL_TAG_FITTED, source_of(m,
                                                       "gpu fp32 fitted from the model's own fp16 time: MACs slower by "
                                                       "the measured ratio of peak rates, twice "
                                                       "the bytes"))};
    for (int p = 0; p < PROCESSORS; ++p)
      for (int f = 0; f < COSREL_PRECISION_COUNT; ++f)
        if (m->scales[k][p][f].s <= 0 && common[p][f] > 0)
          m->scales[k][p][f] = (scale){
              common[p][f],
              origin_of(
                  COSREL_TAG_FITTED,
                  source_of(m,
                            "%s %s not measured for this model: fitted as the median rate of the models measured there",
                            processor_names[p], cosrel_precision_name((cosrel_precision)f)))};
  }
}

/* ---- the profile ------------------------------------------------------------------------------------------------- */

static void add_processors(maker *m) {
  cosrel_profile *profile = m->profile;
  const cosrel_csv *d = &m->f.device;
  for (int p = 0; p < PROCESSORS; ++p) {
    cosrel_processor *processor = &profile->processors[p];
    snprintf(processor->name, sizeof processor->name, "%s", processor_names[p]);
    if (p != DSP) processor->launch_ns = 1e3 * figure(m, d, "launch", processor_names[p], &processor->launch_origin);
    processor->n_points = 1;
    processor->points[0].speed = 1;
    processor->points[0].frequency_mhz = figure(m, d, "top_frequency", processor_names[p], NULL);
    if (p == CPU) {
      double volt = figure(m, d, "supply_voltage", "cpu", NULL);
      double milliampere = figure(m, d, "prime_core_current", "cpu", NULL) +
                           figure(m, d, "gold_cores", "cpu", NULL) * figure(m, d, "gold_core_current", "cpu", NULL) +
                           figure(m, d, "awake_current", "cpu", NULL);
      processor->points[0].busy_w = rounded(milliampere * 1e-3 * volt, 1e-3);
      processor->points[0].idle_w = rounded(figure(m, d, "idle_current", "cpu", NULL) * 1e-3 * volt, 1e-4);
      processor->power_origin =
          origin_of(COSREL_TAG_ASSUMED,
                    source_of(m,
                              "vendor currents of one prime and three gold cores at their top frequencies (AICP/"
                              "device_oneplus_instantnoodle@9933d5419487 power_profile.xml) x %.2f V, which is "
                              "assumed: the file states no voltage",
                              volt));
    } else {
      processor->points[0].busy_w = figure(m, d, "busy_power", processor_names[p], &processor->power_origin);
      processor->points[0].idle_w = figure(m, d, "idle_power", processor_names[p], NULL);
    }
  }
  profile->base_w = figure(m, d, "base_power", "device", &profile->base_origin);
}

static void add_links(maker *m) {
  for (int from = 0; from < PROCESSORS; ++from)
    for (int to = 0; to < PROCESSORS; ++to) {
      char name[16];
      if (from == to || (from != CPU && to != CPU)) continue;
      snprintf(name, sizeof name, "%s>%s", processor_names[from], processor_names[to]);
      cosrel_link *link = &m->profile->links[from][to];
      bool fitted = from == GPU || to == GPU;
      const cosrel_csv *csv = fitted ? &m->f.interaction : &m->f.device;
      link->latency_ns = figure(m, csv, "transfer_latency", name, &link->origin) * (fitted ? 1 : 1e3);
      link->ns_per_byte = figure(m, csv, "transfer_rate", name, NULL);
    }
  /* No path but through the host's memory: one transfer after the other. */
  for (int from = GPU; from <= DSP; ++from) {
    int to = from == GPU ? DSP : GPU;
    cosrel_link *link = &m->profile->links[from][to];
    link->latency_ns = m->profile->links[from][CPU].latency_ns + m->profile->links[CPU][to].latency_ns;
    link->ns_per_byte =
        rounded(m->profile->links[from][CPU].ns_per_byte + m->profile->links[CPU][to].ns_per_byte, 1e-6);
    link->origin = origin_of(COSREL_TAG_ASSUMED, source_of(m, "through the host: the sum of both transfers"));
  }
}

static void add_costs(maker *m) {
  cosrel_profile *profile = m->profile;
  for (int k = 0; k < MODELS; ++k) {
    const cosrel_model *model = &profile->models[k].model;
    for (int p = 0; p < PROCESSORS; ++p)
      for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) {
        const scale *sc = &m->scales[k][p][f];
        double sum = 0, squares = 0;
        for (uint32_t u = 0; u < model->n_units; ++u) {
          cosrel_cost *cost = cosrel_profile_cost(profile, (uint32_t)k, u, (uint32_t)p, (cosrel_precision)f);
          *cost = (cosrel_cost){.mean_ns = -1};
          if (p == DSP && f != COSREL_INT8) {
            cost->origin = origin_of(COSREL_TAG_ASSUMED, source_of(m, "the dsp computes in 8-bit integers only"));
            continue;
          }
          double beta;
          double ns = sc->s * unit_weight(m, &model->units[u], p, f, &beta) + m->overhead_ns[p];
          cost->mean_ns = rounded(ns, 1);
          cost->beta = beta; /* the share; add_contention makes it beta */
          cost->origin = sc->origin;
          sum += ns;
          squares += ns * ns;
        }
        /* Units vary independently here, so each must vary more than the model for the model to vary as measured. */
        for (uint32_t u = 0; u < model->n_units && sum > 0; ++u)
          cosrel_profile_cost(profile, (uint32_t)k, u, (uint32_t)p, (cosrel_precision)f)->cv =
              rounded(m->model_cv[p] * sum / sqrt(squares), 1e-4);
      }
  }
}

/* Time-weighted mean of share^exponent over a model. */
static double mean_share(const maker *m, int k, int p, int precision, double exponent) {
  double sum = 0, weighted = 0;
  for (uint32_t u = 0; u < m->profile->models[k].model.n_units; ++u) {
    const cosrel_cost *c = cosrel_profile_cost(m->profile, (uint32_t)k, u, (uint32_t)p, (cosrel_precision)precision);
    sum += c->mean_ns;
    weighted += c->mean_ns * pow(c->beta, exponent);
  }
  return weighted / sum;
}

/* Slowdown is 1 + kappa * beta * beta. A weight counts every byte once; caches miss, so shares of compulsory
 * traffic understate beta, and kappa fitted to them would slow two memory-bound units down tenfold. So beta =
 * share^exponent, and two figures fix the two unknowns of the gpu beside the cpu: units bound by nothing but memory
 * (beta = 1) see the measured 95th percentile, Inception-v3, whose layers were timed, the measured median. The cpu
 * beside the gpu then needs its median only. Pairs with the dsp were never measured and take the cpu's, the weaker one.
 */
static void add_contention(maker *m) {
  int k = cosrel_profile_find_model(m->profile, "inception_v3");
  double cpu_median = figure(m, &m->f.interaction, "slowdown_median", "cpu<gpu", NULL);
  double gpu_median = figure(m, &m->f.interaction, "slowdown_median", "gpu<cpu", NULL);
  double gpu_high = figure(m, &m->f.interaction, "slowdown_p95", "gpu<cpu", NULL);
  double due = (gpu_median - 1) / (gpu_high - 1), low = 0, high = 1;
  if (m->status) return;
  for (int i = 0; i < 60; ++i) { /* the mean falls as the exponent grows */
    double e = 0.5 * (low + high);
    bool above = mean_share(m, k, CPU, COSREL_FP32, e) * mean_share(m, k, GPU, COSREL_FP16, e) > due;
    *(above ? &low : &high) = e;
  }
  double exponent = rounded(low, 1e-3);
  double product = mean_share(m, k, CPU, COSREL_FP32, exponent) * mean_share(m, k, GPU, COSREL_FP16, exponent);
  for (int p = 0; p < PROCESSORS; ++p)
    for (int q = 0; q < PROCESSORS; ++q)
      if (p != q)
        m->profile->kappa[p][q] =
            rounded(fmax((p == GPU && q == CPU ? gpu_median : cpu_median) - 1, 0) / product, 1e-3);
  for (uint32_t i = 0; i < m->profile->n_models; ++i) {
    size_t n = (size_t)m->profile->models[i].model.n_units * PROCESSORS * COSREL_PRECISION_COUNT;
    for (size_t c = 0; c < n; ++c)
      m->profile->models[i].costs[c].beta = rounded(pow(m->profile->models[i].costs[c].beta, exponent), 1e-3);
  }
  m->profile->kappa_origin = origin_of(
      COSREL_TAG_ASSUMED,
      source_of(
          m,
          "cpu and gpu beside each other fitted: Inception-v3 slows down by the medians %.3f and %.3f, purely "
          "memory-bound gpu work by %.2f, the 95th percentile (summerspringwei/DAG-Scheduler@9acc93f27b4f, Snapdragon "
          "855 and 835); pairs with the dsp assumed as cpu beside gpu",
          cpu_median, gpu_median, gpu_high));
  source_of(
      m,
      "beta: share of memory traffic in the weight of the unit to the power %.3f, fitted together with kappa; the "
      "dsp takes the cpu's rates",
      exponent);
}

static void add_models(maker *m) {
  cosrel_profile *profile = m->profile;
  profile->models = calloc(MODELS, sizeof *profile->models);
  if (!profile->models) {
    fail(m, COSREL_NOMEM, "out of memory");
    return;
  }
  for (int k = 0; k < MODELS && !m->status; ++k) {
    cosrel_profile_model *pm = &profile->models[k];
    m->status = cosrel_zoo_model(model_names[k], &pm->model, &m->error);
    if (m->status) return;
    ++profile->n_models;
    pm->costs = calloc((size_t)pm->model.n_units * PROCESSORS * COSREL_PRECISION_COUNT, sizeof *pm->costs);
    if (!pm->costs) fail(m, COSREL_NOMEM, "out of memory");
  }
}

static void add_notes(maker *m) {
  for (uint32_t r = 0; r < m->f.uncertainty.n_rows; ++r)
    if (strcmp(cosrel_csv_cell(&m->f.uncertainty, r, "model"), "all") == 0)
      source_of(
          m,
          "uncertainty of apportioned times: for %s blocks of three models on the RK3399Pro %s the error is %s %% "
          "in the median, %s %% at the 90th percentile, log-ratio sd %s (traces/figures/README.md)",
          cosrel_csv_cell(&m->f.uncertainty, r, "n"), cosrel_csv_cell(&m->f.uncertainty, r, "processor"),
          cosrel_csv_cell(&m->f.uncertainty, r, "median_error_percent"),
          cosrel_csv_cell(&m->f.uncertainty, r, "p90_error_percent"),
          cosrel_csv_cell(&m->f.uncertainty, r, "log_ratio_sd"));
  source_of(m,
            "cv: whole-model spread between AI Hub jobs, %.4f on the cpu, %.4f on the dsp; the gpu was measured once "
            "and takes the cpu's; spread over units so that the whole model varies as measured",
            m->model_cv[CPU], m->model_cv[DSP]);
}

static void build(maker *m) {
  cosrel_profile *profile = m->profile;
  snprintf(profile->name, sizeof profile->name, "snapdragon865");
  snprintf(profile->soc, sizeof profile->soc, "Snapdragon 865 (QCS8250)");
  snprintf(profile->runtime, sizeof profile->runtime, "AI Hub onnx and tflite, Paddle-Lite");
  profile->n_processors = PROCESSORS;
  profile->host = CPU;
  profile->sources = calloc(COSREL_SOURCES_MAX, sizeof *profile->sources);
  if (!profile->sources) {
    fail(m, COSREL_NOMEM, "out of memory");
    return;
  }
  void (*const steps[])(maker *) = {add_notes, add_processors, add_links, add_models,
                                    fit_dsp,   choose_scales,  add_costs, add_contention};
  set_rates(m);
  set_noise(m);
  for (size_t i = 0; i < sizeof steps / sizeof *steps && !m->status; ++i) steps[i](m);
}

/* ---- --check ----------------------------------------------------------------------------------------------------- */

/* Block of the RK3399Pro tables that a unit belongs to. The tables cut a model into groups of layers; pools go with the
 * group before them (GoogLeNet: stem, stem, nine inceptions; MobileNetV1: stem, 13 separable convolutions, the last
 * with the classifier; ResNet-50: stem, 16 residual blocks, classifier). -1: unknown. */
static int block_of(int model, const char *unit) {
  int a, b;
  char c;
  if (model == 0) {
    if (strcmp(unit, "conv1") == 0 || strcmp(unit, "maxpool1") == 0) return 0;
    if (strcmp(unit, "conv2") == 0 || strcmp(unit, "conv3") == 0 || strcmp(unit, "maxpool2") == 0) return 1;
    if (sscanf(unit, "inception%d%c.", &a, &c) == 2) return (a == 3 ? 2 : a == 4 ? 4 : 9) + (c - 'a');
    return 10;
  }
  if (model == 1) {
    if (strcmp(unit, "conv0") == 0) return 0;
    return sscanf(unit, "conv%d.", &a) == 1 ? a : 13;
  }
  if (strcmp(unit, "conv1") == 0 || strcmp(unit, "maxpool") == 0) return 0;
  static const int first[] = {0, 1, 4, 8, 14};
  return sscanf(unit, "layer%d.%d.", &a, &b) == 2 && a >= 1 && a <= 4 ? first[a] + b : 17;
}

enum { BLOCKS_MAX = 32, BOARD_PROCESSORS = 3, BOARD_MODELS = 3 };

typedef struct errors {
  size_t n;
  double relative[BOARD_MODELS * BLOCKS_MAX], log_ratio[BOARD_MODELS * BLOCKS_MAX];
  double macs_only[BOARD_MODELS * BLOCKS_MAX]; /* relative error when MACs alone are the weight, to compare */
} errors;

static void print_errors(FILE *file, const char *processor, const char *model, errors *e) {
  double sd = gsl_stats_sd(e->log_ratio, 1, e->n);
  gsl_sort(e->relative, 1, e->n);
  double middle = 100 * gsl_stats_median_from_sorted_data(e->relative, 1, e->n);
  double high = 100 * gsl_stats_quantile_from_sorted_data(e->relative, 1, e->n, 0.9);
  gsl_sort(e->macs_only, 1, e->n);
  double macs_middle = 100 * gsl_stats_median_from_sorted_data(e->macs_only, 1, e->n);
  double macs_high = 100 * gsl_stats_quantile_from_sorted_data(e->macs_only, 1, e->n, 0.9);
  fprintf(file,
          "%s,%s,%zu,%.0f,%.0f,%.2f,%.0f,%.0f,Ehsan-aghapour/CO-UP-Profiling@22005a9d8742:Profiling/Data/Layers.csv\n",
          processor, model, e->n, middle, high, sd, macs_middle, macs_high);
  printf(
      "%-7s %-13s %3zu blocks: error median %3.0f %%, p90 %3.0f %%, log-ratio sd %.2f; by MACs alone %3.0f %%, %3.0f "
      "%%\n",
      processor, model, e->n, middle, high, sd, macs_middle, macs_high);
}

static void check_method(maker *m, const char *folder, const char *figures_folder) {
  static const struct {
    const char *name, *column;
    int like;
  } processors[BOARD_PROCESSORS] = {
      {"big", "CPU big 2xA72", CPU}, {"little", "CPU little 4xA53", CPU}, {"gpu", "GPU Mali-T860", GPU}};
  static const struct {
    const char *name, *table;
  } models[BOARD_MODELS] = {{"googlenet", "Google"}, {"mobilenet_v1", "MobileV1"}, {"resnet50", "ResV1_50"}};
  char path[4096];
  cosrel_csv table = {0};
  cosrel_atomic out = {0};

  set_rates(m);
  snprintf(path, sizeof path, "%s/layer_latency.csv", folder);
  if (access(path, R_OK) != 0) snprintf(path, sizeof path, "%s/layer_latency.csv.gz", folder);
  if (!m->status) m->status = cosrel_csv_read(path, &table, &m->error);
  if (m->status) return;
  snprintf(path, sizeof path, "%s/uncertainty.csv", figures_folder);
  m->status = cosrel_atomic_begin(path, &out, &m->error);
  if (!m->status)
    fprintf(out.file,
            "processor,model,n,median_error_percent,p90_error_percent,log_ratio_sd,macs_only_median_percent,macs_only_"
            "p90_percent,source\n");
  for (int p = 0; p < BOARD_PROCESSORS && !m->status; ++p) {
    errors all = {0};
    for (int k = 0; k < BOARD_MODELS && !m->status; ++k) {
      double measured[BLOCKS_MAX] = {0}, weight[BLOCKS_MAX] = {0}, macs[BLOCKS_MAX] = {0}, whole = 0, sum = 0,
             total = 0;
      errors one = {0};
      cosrel_model model;
      m->status = cosrel_zoo_model(models[k].name, &model, &m->error);
      if (m->status) break;
      for (uint32_t u = 0; u < model.n_units; ++u) {
        double w = cosrel_unit_weight(&model.units[u], &m->rates[processors[p].like], 1, 4, NULL);
        int block = block_of(k, model.units[u].name);
        weight[block] += w;
        macs[block] += (double)model.units[u].macs;
        sum += w;
        total += (double)model.units[u].macs;
      }
      cosrel_model_clear(&model);
      for (uint32_t r = 0; r < table.n_rows; ++r) {
        double block = cosrel_csv_number(&table, r, "layer_index", -1);
        if (strncmp(cosrel_csv_cell(&table, r, "soc"), "RK3399Pro", 9) == 0 && block >= 0 && block < BLOCKS_MAX &&
            strcmp(cosrel_csv_cell(&table, r, "processor"), processors[p].column) == 0 &&
            strcmp(cosrel_csv_cell(&table, r, "model"), models[k].table) == 0)
          whole += measured[(int)block] = cosrel_csv_number(&table, r, "latency_us", 0);
      }
      for (int b = 0; b < BLOCKS_MAX; ++b) {
        if (measured[b] <= 0 && weight[b] <= 0) continue;
        if (measured[b] <= 0 || weight[b] <= 0) {
          fail(m, COSREL_FORMAT, "%s: %s block %d: units and measured blocks do not match", path, models[k].name, b);
          break;
        }
        double ratio = (weight[b] / sum) / (measured[b] / whole);
        one.macs_only[one.n] = all.macs_only[all.n] = fabs((macs[b] / total) / (measured[b] / whole) - 1);
        one.relative[one.n] = all.relative[all.n] = fabs(ratio - 1);
        one.log_ratio[one.n++] = all.log_ratio[all.n++] = log(ratio);
      }
      if (!m->status) print_errors(out.file, processors[p].name, models[k].name, &one);
    }
    if (!m->status) print_errors(out.file, processors[p].name, "all", &all);
  }
  if (m->status)
    cosrel_atomic_abort(&out);
  else
    m->status = cosrel_atomic_commit(&out, &m->error);
  cosrel_csv_clear(&table);
}

/* ---- main -------------------------------------------------------------------------------------------------------- */

static void read_figures(maker *m, const char *folder, bool with_uncertainty) {
  struct {
    const char *name;
    cosrel_csv *csv;
  } files[] = {{"snapdragon865.csv", &m->f.models},
               {"snapdragon865_device.csv", &m->f.device},
               {"efficiency.csv", &m->f.efficiency},
               {"interaction.csv", &m->f.interaction},
               {"uncertainty.csv", &m->f.uncertainty}};
  size_t n = sizeof files / sizeof *files - (with_uncertainty ? 0 : 1);
  for (size_t i = 0; i < n && !m->status; ++i) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
    m->status = cosrel_csv_read(path, files[i].csv, &m->error);
  }
}

int main(int argc, char **argv) {
  bool check = argc == 4 && strcmp(argv[1], "--check") == 0;
  if (!check && argc != 3) {
    bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    fprintf(help ? stdout : stderr,
            "usage: make_profile FIGURES OUT.json       the profile of the Snapdragon 865 from traces/figures\n"
            "       make_profile --check FOLDER FIGURES  tests the method on measured blocks of an RK3399Pro\n"
            "example: make_profile traces/figures traces/profiles/snapdragon865.json\n");
    return help ? 0 : 2;
  }
  cosrel_profile *profile = calloc(1, sizeof *profile);
  maker *m = calloc(1, sizeof *m);
  if (!m || !profile) {
    fprintf(stderr, "make_profile: out of memory\n");
    free(profile);
    free(m);
    return 2;
  }
  m->profile = profile;
  read_figures(m, check ? argv[3] : argv[1], !check);
  if (!m->status && check) {
    profile->sources = calloc(COSREL_SOURCES_MAX, sizeof *profile->sources);
    if (profile->sources)
      check_method(m, argv[2], argv[3]);
    else
      fail(m, COSREL_NOMEM, "out of memory");
  } else if (!m->status) {
    build(m);
    if (!m->status) m->status = cosrel_profile_check(profile, "profile", &m->error);
    if (!m->status) m->status = cosrel_profile_write(argv[2], profile, &m->error);
  }
  cosrel_status status = m->status;
  if (status) fprintf(stderr, "make_profile: %s\n", m->error.text[0] ? m->error.text : cosrel_status_text(status));
  cosrel_csv *const tables[] = {&m->f.models, &m->f.device, &m->f.efficiency, &m->f.interaction, &m->f.uncertainty};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; ++i) cosrel_csv_clear(tables[i]);
  cosrel_profile_clear(profile);
  free(profile);
  free(m);
  return status ? 2 : 0;
}
