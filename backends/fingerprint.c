#include "backends/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "backends/hash.h"

void cosrel_fingerprint_network(const cosrel_network *network, char out[COSREL_NAME_MAX]) {
  const cosrel_model *model = &network->model;
  const cosrel_net *net = &network->net;
  uint64_t hash = COSREL_HASH_BEGIN;
  for (uint32_t u = 0; u < model->n_units; u++) {
    const cosrel_unit *unit = &model->units[u];
    const uint64_t counts[] = {(uint64_t)unit->kind, unit->macs, unit->weights, unit->in_elems, unit->out_elems};
    hash = cosrel_hash_bytes(hash, unit->name, strlen(unit->name) + 1);
    hash = cosrel_hash_bytes(hash, counts, sizeof counts);
    hash = cosrel_hash_bytes(hash, &model->inputs[unit->first_input], unit->n_inputs * sizeof *model->inputs);
  }
  for (uint32_t v = 0; v < net->n_values; v++) {
    const cosrel_tensor *tensor = &net->values[v].tensor;
    if (tensor->data == NULL) continue;
    hash = cosrel_hash_bytes(hash, tensor->data, cosrel_tensor_bytes(tensor));
  }
  snprintf(out, COSREL_NAME_MAX, "fnv1a:%016" PRIx64, hash);
}

/* The first line of /proc/cpuinfo that names the CPU; "unknown CPU" where there is none. */
static void cpu_name(char *out, size_t size) {
  FILE *f = fopen("/proc/cpuinfo", "re");
  char line[256];
  snprintf(out, size, "unknown CPU");
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    const char *colon = strchr(line, ':');
    bool names = strncmp(line, "model name", 10) == 0 || strncmp(line, "Hardware", 8) == 0;
    if (!names || colon == NULL) continue;
    snprintf(out, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
    break;
  }
  if (f != NULL) fclose(f);
}

/* Control characters must not reach a profile. */
static void make_printable(char *text) {
  for (; *text != '\0'; text++)
    if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f) *text = '?';
}

void cosrel_fingerprint_machine(const cosrel_machine *machine, cosrel_profile *out) {
  char name[COSREL_NAME_MAX - 16];
  struct utsname system;
  cpu_name(name, sizeof name);
  snprintf(out->soc, sizeof out->soc, "%s, %ld cores", name, sysconf(_SC_NPROCESSORS_ONLN));
  if (uname(&system) == 0) snprintf(out->driver, sizeof out->driver, "%.15s %.40s", system.sysname, system.release);
  size_t used = (size_t)snprintf(out->runtime, sizeof out->runtime, "cosrel");
  for (uint32_t p = 0; p < machine->n_processors; p++) {
    const char *backend = machine->specs[p].backend;
    if (strstr(out->runtime, backend) != NULL || used + strlen(backend) + 3 > sizeof out->runtime) continue;
    used += (size_t)snprintf(out->runtime + used, sizeof out->runtime - used, ", %s", backend);
  }
  make_printable(out->soc);
  make_printable(out->driver);
}
