#include "traces/tools/parts/maker.h"

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/tools/parts/line.h"

#define FP32 (1u << COSREL_FP32)
#define FP16 (1u << COSREL_FP16)
#define INT8 (1u << COSREL_INT8)

const maker_device maker_devices[MAKER_DEVICES] = {
    {.name = "snapdragon865",
     .soc = "Snapdragon 865 (QCS8250)",
     .runtime = "AI Hub onnx and tflite, Paddle-Lite",
     .n_processors = 3,
     .processors = {{"cpu", MAKER_CPU, FP32 | FP16 | INT8, false},
                    {"gpu", MAKER_GPU, FP32 | FP16 | INT8, true},
                    {"dsp", MAKER_NPU, INT8, true}}},
    {.name = "snapdragon8gen2",
     .soc = "Snapdragon 8 Gen 2 (SM8550)",
     .runtime = "ncnn, ncnn-Vulkan, AI Hub tflite",
     .n_processors = 3,
     .processors = {{"cpu", MAKER_CPU, FP32 | FP16 | INT8, false},
                    {"gpu", MAKER_GPU, FP32 | FP16 | INT8, true},
                    {"npu", MAKER_NPU, FP16 | INT8, true}}},
    {.name = "rk3399pro",
     .soc = "RK3399Pro (Rock Pi N10)",
     .runtime = "Arm Compute Library, RKNN",
     .n_processors = 4,
     .host = 1,
     .processors = {{"cpu-little", MAKER_CPU, FP32, false},
                    {"cpu-big", MAKER_CPU, FP32, false},
                    {"gpu", MAKER_GPU, FP32, false},
                    {"npu", MAKER_NPU, INT8, true}},
     .extra_model = "yolov3@608",
     .blocks = true},
};

void maker_fail(maker *m, cosrel_status status, const char *format, ...) {
  va_list args;
  if (m->status) return;
  m->status = status;
  va_start(args, format);
  vsnprintf(m->error.text, sizeof m->error.text, format, args);
  va_end(args);
}

uint16_t maker_source(maker *m, const char *format, ...) {
  char line[2 * COSREL_SOURCE_MAX];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  cosrel_profile *p = m->profile;
  if (n < 0 || n >= COSREL_SOURCE_MAX) {
    maker_fail(m, COSREL_LIMIT, "source line over %d bytes: %.60s...", COSREL_SOURCE_MAX - 1, line);
    return 0;
  }
  for (uint32_t i = 0; i < p->n_sources; ++i)
    if (strcmp(p->sources[i], line) == 0) return (uint16_t)i;
  if (p->n_sources == COSREL_SOURCES_MAX) {
    maker_fail(m, COSREL_LIMIT, "more than %d sources", COSREL_SOURCES_MAX);
    return 0;
  }
  memcpy(p->sources[p->n_sources], line, (size_t)n + 1);
  return (uint16_t)p->n_sources++;
}

cosrel_origin maker_origin(cosrel_tag tag, uint16_t source) {
  return (cosrel_origin){.tag = (uint8_t)tag, .source = source};
}

static int find_figure(const cosrel_csv *csv, const char *quantity, const char *of) {
  for (uint32_t r = 0; r < csv->n_rows; ++r)
    if (strcmp(cosrel_csv_cell(csv, r, "quantity"), quantity) == 0 && strcmp(cosrel_csv_cell(csv, r, "of"), of) == 0)
      return (int)r;
  return -1;
}

bool maker_has_figure(const maker *m, const char *quantity, const char *of) {
  return find_figure(&m->device_figures, quantity, of) >= 0;
}

double maker_figure(maker *m, const char *quantity, const char *of, cosrel_origin *origin) {
  const cosrel_csv *const places[] = {&m->device_figures, &m->fits, &m->interaction, &m->thermal};
  for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
    int row = find_figure(places[i], quantity, of);
    if (row < 0) continue;
    uint32_t r = (uint32_t)row;
    double value = cosrel_csv_number(places[i], r, "value", -1);
    int tag = cosrel_tag_from_name(cosrel_csv_cell(places[i], r, "tag"));
    if (!(value >= 0) || tag < 0) break;
    if (origin) *origin = maker_origin((cosrel_tag)tag, maker_source(m, "%s", cosrel_csv_cell(places[i], r, "source")));
    return value * (strcmp(cosrel_csv_cell(places[i], r, "unit"), "us") == 0 ? 1e3 : 1);
  }
  maker_fail(m, COSREL_FORMAT, "figures of %s: expected a number >= 0 and a tag for %s of %s", m->device->name,
             quantity, of);
  return 1;
}

double maker_setting_of(const maker_settings *settings, const char *processor, double otherwise) {
  for (uint32_t i = 0; i < settings->n; ++i)
    if (strcmp(settings->items[i].processor, processor) == 0) return settings->items[i].value;
  return otherwise;
}

uint32_t maker_find_role(const maker *m, maker_role role) {
  for (uint32_t p = 0; p < m->device->n_processors; ++p)
    if (m->device->processors[p].role == role) return p;
  return 0;
}

bool maker_runs(const maker *m, uint32_t p, int precision) {
  return m->device->processors[p].precisions >> precision & 1;
}

double maker_median(double *values, size_t n) {
  gsl_sort(values, 1, n);
  return gsl_stats_median_from_sorted_data(values, 1, n);
}

double maker_rounded(double value, double step) { return round(value * (1 / step)) / (1 / step); }

double maker_unit_weight(const maker *m, const cosrel_unit *unit, uint32_t p, int precision, double *beta) {
  return cosrel_unit_weight(unit, &m->rates[p], m->speed[p][precision], m->width[p][precision], beta);
}

double maker_model_weight(const maker *m, uint32_t k, uint32_t p, int precision) {
  const cosrel_model *model = &m->profile->models[k].model;
  double sum = 0;
  for (uint32_t u = 0; u < model->n_units; ++u)
    sum += maker_unit_weight(m, &model->units[u], p, precision, NULL) * (m->factor[k][p] ? m->factor[k][p][u] : 1);
  return sum;
}

static void read_figures(maker *m, const char *folder, const char *name, cosrel_csv *csv) {
  if (!m->status) m->status = cosrel_table_read(folder, name, csv, &m->error);
}

void maker_open(maker *m, const maker_device *device, const maker_options *options, const char *folder) {
  char name[64];
  memset(m, 0, sizeof *m);
  m->device = device;
  m->options = options;
  m->profile = calloc(1, sizeof *m->profile);
  if (m->profile) m->profile->sources = calloc(COSREL_SOURCES_MAX, sizeof *m->profile->sources);
  if (!m->profile || !m->profile->sources) {
    maker_fail(m, COSREL_NOMEM, "out of memory");
    return;
  }
  read_figures(m, folder, device->name, &m->models);
  struct {
    const char *suffix;
    cosrel_csv *csv;
  } const own[] = {{"device", &m->device_figures}, {"fits", &m->fits}, {"points", &m->points}};
  for (size_t i = 0; i < (device->blocks ? 3 : 1); ++i) {
    snprintf(name, sizeof name, "%s_%s", device->name, own[i].suffix);
    read_figures(m, folder, name, own[i].csv);
  }
  read_figures(m, folder, "efficiency", &m->efficiency);
  read_figures(m, folder, "interaction", &m->interaction);
  read_figures(m, folder, "thermal", &m->thermal);
  read_figures(m, folder, "snapdragon865", &m->reference);
  read_figures(m, folder, "rk3399pro_blocks", &m->blocks);

  cosrel_profile *profile = m->profile;
  snprintf(profile->name, sizeof profile->name, "%s", device->name);
  snprintf(profile->soc, sizeof profile->soc, "%s", device->soc);
  snprintf(profile->runtime, sizeof profile->runtime, "%s", device->runtime);
  profile->n_processors = device->n_processors;
  profile->host = device->host;
}

void maker_close(maker *m) {
  cosrel_csv *const tables[] = {&m->models,      &m->device_figures, &m->fits,      &m->points, &m->efficiency,
                                &m->interaction, &m->thermal,        &m->reference, &m->blocks};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; ++i) cosrel_csv_clear(tables[i]);
  for (uint32_t k = 0; k < MAKER_MODELS_MAX; ++k) {
    for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; ++p) free(m->factor[k][p]);
    free(m->alone[k]);
  }
  if (m->profile) cosrel_profile_clear(m->profile);
  free(m->profile);
}
