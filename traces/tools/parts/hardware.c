/* Processors, power, links: what make_profile takes from NAME_device.csv, NAME_fits.csv, NAME_points.csv and
 * interaction.csv. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "traces/tools/parts/maker.h"

/* The measured points of a processor, the top first; 0 when there are none. */
static uint32_t read_points(maker *m, cosrel_processor *processor) {
  for (uint32_t r = 0; r < m->points.n_rows && processor->n_points < COSREL_POINTS_MAX; ++r) {
    if (strcmp(cosrel_csv_cell(&m->points, r, "processor"), processor->name) != 0) continue;
    cosrel_point *point = &processor->points[processor->n_points++];
    point->frequency_mhz = cosrel_csv_number(&m->points, r, "frequency_mhz", 0);
    point->speed = cosrel_csv_number(&m->points, r, "speed", 0);
    point->busy_w = cosrel_csv_number(&m->points, r, "busy_w", 0);
  }
  if (processor->n_points)
    processor->power_origin = maker_origin(
        COSREL_TAG_FITTED,
        maker_source(m,
                     "speed: median over the measured blocks of six models; watts: board power while they ran less 3 W "
                     "for the idle board, host included (Ehsan-aghapour/CO-UP-Profiling@22005a9d8742:Profiling/Data/"
                     "Layers.csv)"));
  return processor->n_points;
}

/* The vendor's currents, core by core. */
static void add_core_currents(maker *m, cosrel_processor *processor) {
  const char *name = processor->name;
  double volt = maker_figure(m, "supply_voltage", name, NULL);
  double milliampere = maker_figure(m, "prime_core_current", name, NULL) +
                       maker_figure(m, "gold_cores", name, NULL) * maker_figure(m, "gold_core_current", name, NULL) +
                       maker_figure(m, "awake_current", name, NULL);
  processor->points[0].busy_w = maker_rounded(milliampere * 1e-3 * volt, 1e-3);
  processor->points[0].idle_w = maker_rounded(maker_figure(m, "idle_current", name, NULL) * 1e-3 * volt, 1e-4);
  processor->power_origin = maker_origin(
      COSREL_TAG_ASSUMED,
      maker_source(m,
                   "vendor currents of one prime and three gold cores at their top frequencies (AICP/"
                   "device_oneplus_instantnoodle@9933d5419487 power_profile.xml) x %.2f V, which is assumed: the file "
                   "states no voltage",
                   volt));
}

static void scale_watts(maker *m, cosrel_processor *processor) {
  double scale = maker_setting_of(&m->options->watts_scale, processor->name, 1);
  if (scale == 1) return;
  for (uint32_t i = 0; i < processor->n_points; ++i) {
    processor->points[i].busy_w *= scale;
    processor->points[i].idle_w *= scale;
  }
  processor->power_origin =
      maker_origin(COSREL_TAG_ASSUMED, maker_source(m, "watts times %g: set with --watts-scale", scale));
}

static void add_processor(maker *m, uint32_t p) {
  cosrel_processor *processor = &m->profile->processors[p];
  const char *name = m->device->processors[p].name;
  snprintf(processor->name, sizeof processor->name, "%s", name);
  processor->launch_ns = maker_figure(m, "launch", name, &processor->launch_origin);
  double launch_ms = maker_setting_of(&m->options->launch_ms, name, -1);
  if (launch_ms >= 0) {
    processor->launch_ns = maker_rounded(launch_ms * 1e6, 1);
    processor->launch_origin = maker_origin(COSREL_TAG_ASSUMED, maker_source(m, "set with --launch-ms"));
  }
  if (read_points(m, processor) == 0) {
    processor->n_points = 1;
    processor->points[0].speed = 1;
    processor->points[0].frequency_mhz = maker_figure(m, "top_frequency", name, NULL);
    if (maker_has_figure(m, "prime_core_current", name)) {
      add_core_currents(m, processor);
    } else {
      processor->points[0].busy_w = maker_figure(m, "busy_power", name, &processor->power_origin);
      processor->points[0].idle_w = maker_figure(m, "idle_power", name, NULL);
    }
  }
  scale_watts(m, processor);
}

/* One that is measured or assumed by itself; false when there is none. */
static bool add_own_link(maker *m, uint32_t from, uint32_t to) {
  char name[40];
  cosrel_link *link = &m->profile->links[from][to];
  const char *a = m->device->processors[from].name, *b = m->device->processors[to].name;
  bool npu = m->device->processors[from].role == MAKER_NPU || m->device->processors[to].role == MAKER_NPU;
  /* A second accelerator is reached through the host's memory. */
  if (npu && from != m->device->host && to != m->device->host) return false;
  snprintf(name, sizeof name, "%s>%s", a, b);
  link->latency_ns = maker_figure(m, "transfer_latency", name, &link->origin);
  link->ns_per_byte = maker_figure(m, "transfer_rate", name, NULL);
  double scale =
      fmax(maker_setting_of(&m->options->transfer_scale, a, 0), maker_setting_of(&m->options->transfer_scale, b, 0));
  if (scale > 0) {
    link->latency_ns *= scale;
    link->ns_per_byte *= scale;
    link->origin = maker_origin(COSREL_TAG_ASSUMED, maker_source(m, "times %g: set with --transfer-scale", scale));
  }
  return true;
}

void maker_add_processors(maker *m) {
  cosrel_profile *profile = m->profile;
  uint32_t n = profile->n_processors, host = profile->host;
  if (m->status) return;
  for (uint32_t p = 0; p < n; ++p) add_processor(m, p);
  profile->base_w = maker_figure(m, "base_power", "device", &profile->base_origin);
  bool own[COSREL_PROCESSORS_MAX][COSREL_PROCESSORS_MAX];
  for (uint32_t from = 0; from < n; ++from)
    for (uint32_t to = 0; to < n; ++to) own[from][to] = from == to || add_own_link(m, from, to);
  for (uint32_t from = 0; from < n; ++from)
    for (uint32_t to = 0; to < n; ++to) {
      cosrel_link *link = &profile->links[from][to], *in = &profile->links[from][host],
                  *out = &profile->links[host][to];
      if (own[from][to]) continue;
      link->latency_ns = in->latency_ns + out->latency_ns;
      link->ns_per_byte = maker_rounded(in->ns_per_byte + out->ns_per_byte, 1e-6);
      link->origin = maker_origin(COSREL_TAG_ASSUMED, maker_source(m, "through the host: the sum of both transfers"));
    }
}
