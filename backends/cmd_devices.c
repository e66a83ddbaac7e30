/* cosrel devices: the processors that this machine could use, and what it tells about itself. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backends/backend.h"
#include "backends/telemetry.h"
#include "experiments/commands.h"
#include "experiments/options.h"
#include "experiments/result_json.h"

#define DEVICES_MAX 16 /* of one backend */

typedef struct device {
  const cosrel_backend_ops *ops;
  char name[COSREL_NAME_MAX]; /* as a spec says it, if the backend has names for its devices */
  bool opens, apart;
  bool describes;
  cosrel_capability capability;
  char option[16 + COSREL_NAME_MAX]; /* of a spec, where the backend has several devices: ":device=1" */
  cosrel_error error;                /* why it does not open */
} device;

/* Opens the backend on all cores, or one of its devices unless that is empty, and closes it. */
static device find_device(const cosrel_backend_ops *ops, const char *name) {
  cosrel_backend_spec spec = {.processor = "cpu"};
  cosrel_backend *backend;
  device d = {.ops = ops, .apart = ops->buffer_create != NULL, .describes = ops->describe != NULL};
  snprintf(spec.backend, sizeof spec.backend, "%s", ops->name);
  snprintf(spec.device, sizeof spec.device, "%.63s", name);
  if (name[0] != '\0') snprintf(d.option, sizeof d.option, ":device=%.63s", name);
  d.opens = ops->open(&spec, &backend, &d.error) == COSREL_OK;
  if (!d.opens) return d;
  if (d.describes) ops->describe(backend, &d.capability);
  ops->close(backend);
  return d;
}

/* One of each backend of the table; of one that has names for its devices or can tell them apart by number, each. */
static uint32_t find_devices(device *out, uint32_t max) {
  uint32_t n = 0;
  for (const cosrel_backend_ops *const *ops = cosrel_backend_table(); *ops != NULL; ops++) {
    char names[DEVICES_MAX][COSREL_NAME_MAX];
    uint32_t n_names = (*ops)->devices != NULL ? (*ops)->devices(names, DEVICES_MAX) : 0, first = n;
    for (uint32_t i = 0; i < n_names && n < max; i++) {
      out[n] = find_device(*ops, names[i]);
      snprintf(out[n].name, sizeof out[n].name, "%.63s", names[i]);
      n++;
    }
    for (int number = 0; n_names == 0 && (*ops)->describe != NULL && n < max; number++) {
      char digits[16];
      snprintf(digits, sizeof digits, "%d", number);
      out[n] = find_device(*ops, digits);
      if (!out[n].opens) break;
      n++;
    }
    if (n == first && n < max) out[n++] = find_device(*ops, "");
  }
  return n;
}

static uint32_t count_cores(void) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (uint32_t)n : 1;
}

static double memory_mib(void) {
  long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? (double)pages * (double)size / 1048576 : 0;
}

static json_t *sensors_json(const cosrel_sensor *sensors, uint32_t n, const char *unit) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < n; i++)
    json_array_append_new(list, json_pack("{s:s, s:o}", "name", sensors[i].name, unit, json_real(sensors[i].value)));
  return list;
}

static bool offers(const device *d, int precision) {
  return precision == COSREL_FP32 || (d->ops->precisions >> precision & 1) != 0;
}

static json_t *devices_json(const device *devices, uint32_t n, const cosrel_sensors *sensors) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < n; i++) {
    const device *d = &devices[i];
    json_t *precisions = json_array();
    for (int k = 0; k < COSREL_PRECISION_COUNT; k++)
      if (offers(d, k)) json_array_append_new(precisions, json_string(cosrel_precision_name((cosrel_precision)k)));
    json_t *entry = json_pack("{s:s, s:b, s:b, s:o}", "backend", d->ops->name, "available", d->opens,
                              "memory_of_its_own", d->apart, "precisions", precisions);
    if (d->name[0] != '\0') json_object_set_new(entry, "device", json_string(d->name));
    if (!d->opens) json_object_set_new(entry, "reason", json_string(d->error.text));
    if (d->opens && d->describes) {
      const cosrel_capability *c = &d->capability;
      json_object_update_new(
          entry, json_pack("{s:s, s:s, s:s, s:I, s:f, s:b, s:b}", "platform", c->platform, "device", c->device,
                           "version", c->version, "units", (json_int_t)c->units, "device_memory_mib", c->memory_mib,
                           "fp16", c->fp16, "shares_memory", c->shares_memory));
    }
    json_array_append_new(list, entry);
  }
  return json_pack("{s:I, s:o, s:o, s:{s:o, s:o, s:o}}", "cores", (json_int_t)count_cores(), "memory_mib",
                   json_real(memory_mib()), "processors", list, "telemetry", "temperatures",
                   sensors_json(sensors->zones, sensors->n_zones, "temperature_c"), "energies",
                   sensors_json(sensors->energies, sensors->n_energies, "energy_mj"), "frequencies",
                   sensors_json(sensors->clocks, sensors->n_clocks, "frequency_mhz"));
}

static void print_sensors(const char *what, const cosrel_sensor *sensors, uint32_t n, const char *unit) {
  printf("%-12s", what);
  if (n == 0) printf(" not readable here");
  for (uint32_t i = 0; i < n; i++) printf("%s %s %.1f %s", i > 0 ? "," : "", sensors[i].name, sensors[i].value, unit);
  printf("\n");
}

static void print_devices(const device *devices, uint32_t n, const cosrel_sensors *sensors) {
  printf("%" PRIu32 " cores, %.0f MiB of memory\n\n%-16s %-10s %-10s %s\n", count_cores(), memory_mib(), "backend",
         "precisions", "memory", "example of a processor");
  for (uint32_t i = 0; i < n; i++) {
    const device *d = &devices[i];
    char name[32 + COSREL_NAME_MAX];
    snprintf(name, sizeof name, "%.16s%s%s", d->ops->name, d->name[0] != '\0' ? ":" : "", d->name);
    printf("%-16s %-10s %-10s ", name, offers(d, COSREL_FP16) ? "fp32,fp16" : "fp32",
           d->apart ? "its own" : "the host's");
    if (d->opens)
      printf("--processor %s=%s%s\n", d->describes ? d->ops->name : "cpu", d->ops->name, d->option);
    else
      printf("not here: %s\n", d->error.text);
    if (!d->opens || !d->describes) continue;
    const cosrel_capability *c = &d->capability;
    printf("                 %s, %s, %s\n                 %" PRIu32 " compute units, %.0f MiB %s%s\n", c->device,
           c->platform, c->version, c->units, c->memory_mib, c->shares_memory ? "shared with the host" : "of its own",
           c->fp16                  ? ", computes in fp16"
           : offers(d, COSREL_FP16) ? ", fp16 for weights only"
                                    : "");
  }
  printf("\n");
  print_sensors("temperature", sensors->zones, sensors->n_zones, "C");
  print_sensors("energy", sensors->energies, sensors->n_energies, "mJ");
  print_sensors("frequency", sensors->clocks, sensors->n_clocks, "MHz");
}

int cosrel_cmd_devices(int argc, char **argv) {
  const char *root = "/sys";
  bool json = false;
  const cosrel_usage usage = {"devices",
                              "[--json]",
                              "Shows what can be a processor on this machine: each backend that opens, and the\n"
                              "telemetry that the system offers.",
                              "cosrel devices --json",
                              0,
                              0};
  const cosrel_option options[] = {
      {"json", COSREL_OPTION_FLAG, &json, NULL, "one JSON document on stdout", 0, 0, false},
      {"sys", COSREL_OPTION_TEXT, &root, "DIR", "where the system shows its sensors (/sys)", 0, 0, false},
      {NULL, COSREL_OPTION_FLAG, NULL, NULL, NULL, 0, 0, false},
  };
  cosrel_parse parse = cosrel_options_parse(&usage, options, argc, argv, NULL);
  if (parse != COSREL_PARSE_OK) return cosrel_parse_exit(parse);
  device devices[32];
  cosrel_sensors sensors;
  cosrel_error error = {""};
  uint32_t n = find_devices(devices, sizeof devices / sizeof *devices);
  cosrel_telemetry_read(root, &sensors);
  if (json) {
    cosrel_status status = cosrel_json_print(devices_json(devices, n, &sensors), &error);
    return status == COSREL_OK ? 0 : cosrel_report(status, &error);
  }
  print_devices(devices, n, &sensors);
  return 0;
}
