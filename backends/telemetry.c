#include "backends/telemetry.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first line of root/folder/file, without its newline; control characters become '?'. */
static bool read_line(const char *root, const char *folder, const char *file, char *line, int size) {
  char path[512];
  if (snprintf(path, sizeof path, "%s/%s/%s", root, folder, file) >= (int)sizeof path) return false;
  FILE *f = fopen(path, "re");
  if (f == NULL) return false;
  bool good = fgets(line, size, f) != NULL;
  fclose(f);
  if (!good) return false;
  line[strcspn(line, "\n")] = '\0';
  for (char *c = line; *c != '\0'; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?';
  return true;
}

static bool read_value(const char *root, const char *folder, const char *file, double unit, double *out) {
  char line[64], *end;
  if (!read_line(root, folder, file, line, sizeof line)) return false;
  *out = strtod(line, &end) * unit;
  return end != line && isfinite(*out);
}

/* Reads root/<pattern with a number>/file for the numbers from 0 on, up to a gap of eight. The name is in `name_file`,
 * or is the folder's last part. */
static uint32_t read_sensors(const char *root, const char *pattern, const char *name_file, const char *value_file,
                             double unit, cosrel_sensor *out) {
  uint32_t n = 0;
  for (unsigned number = 0, gap = 0; gap < 8 && n < COSREL_SENSORS_MAX; number++, gap++) {
    char folder[128];
    snprintf(folder, sizeof folder, "%s%u", pattern, number);
    if (!read_value(root, folder, value_file, unit, &out[n].value)) continue;
    if (name_file == NULL || !read_line(root, folder, name_file, out[n].name, sizeof out[n].name))
      snprintf(out[n].name, sizeof out[n].name, "%s", strrchr(folder, '/') + 1);
    gap = 0;
    n++;
  }
  return n;
}

void cosrel_telemetry_read(const char *root, cosrel_sensors *out) {
  memset(out, 0, sizeof *out);
  out->n_zones = read_sensors(root, "class/thermal/thermal_zone", "type", "temp", 1e-3, out->zones);
  out->n_energies = read_sensors(root, "class/powercap/intel-rapl:", "name", "energy_uj", 1e-3, out->energies);
  out->n_clocks = read_sensors(root, "devices/system/cpu/cpufreq/policy", NULL, "scaling_cur_freq", 1e-3, out->clocks);
}
