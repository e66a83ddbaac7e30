/* What a Linux or Android machine says of itself under /sys: temperatures, clock frequencies, energy. Every file may be
 * missing or denied; what cannot be read is simply not there. */
#ifndef COSREL_BACKENDS_TELEMETRY_H
#define COSREL_BACKENDS_TELEMETRY_H

#include <stdint.h>

#define COSREL_SENSORS_MAX 64
#define COSREL_SENSOR_NAME_MAX 32

typedef struct cosrel_sensor {
  char name[COSREL_SENSOR_NAME_MAX]; /* as the system calls it, cut to fit, without control characters */
  double value;
} cosrel_sensor;

typedef struct cosrel_sensors {
  uint32_t n_zones, n_energies, n_clocks;
  cosrel_sensor zones[COSREL_SENSORS_MAX];    /* class/thermal: degrees C */
  cosrel_sensor energies[COSREL_SENSORS_MAX]; /* class/powercap: mJ counted since some time in the past */
  cosrel_sensor clocks[COSREL_SENSORS_MAX];   /* devices/system/cpu: MHz at present, per frequency domain */
} cosrel_sensors;

/* `root` is "/sys", or a folder that looks like it. Never fails; thread-safe. */
void cosrel_telemetry_read(const char *root, cosrel_sensors *out);

#endif
