#include "experiments/memory_option.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/check.h"

#define MIB_MAX 1048576.0 /* a TiB */
#define RATE_MAX 1e6      /* a TB/s */

/* A number in [low, high]; returns what is behind it, or NULL. */
static const char *read_figure(const char *text, double low, double high, double *out) {
  char *end;
  if (!isdigit((unsigned char)text[0]) && text[0] != '.') return NULL; /* no signs, spaces or names */
  *out = strtod(text, &end);
  return end != text && *out >= low && *out <= high ? end : NULL;
}

static cosrel_status apply(const char *text, cosrel_profile *profiles, uint32_t n_profiles, cosrel_error *error) {
  char name[16];
  const char *equals = strchr(text, '='), *end = NULL;
  size_t length = equals == NULL ? 0 : (size_t)(equals - text);
  double mib = 0, rate = 0;
  if (length > 0 && length < sizeof name) end = read_figure(equals + 1, 0, MIB_MAX, &mib);
  if (end != NULL && *end == ':') end = read_figure(end + 1, 1e-3, RATE_MAX, &rate);
  if (end == NULL || *end != '\0')
    return cosrel_fail(error, COSREL_INVALID, "--memory: expected PROCESSOR=MiB or PROCESSOR=MiB:MB/s, got '%.100s'",
                       text);
  memcpy(name, text, length);
  name[length] = '\0';
  bool found = false;
  for (uint32_t i = 0; i < n_profiles; i++) {
    int p = cosrel_profile_find_processor(&profiles[i], name);
    if (p < 0) continue;
    cosrel_processor *processor = &profiles[i].processors[p];
    found = true;
    processor->memory_bytes = (uint64_t)ceil(mib * 1048576);
    if (rate <= 0) continue;
    processor->load_ns = 0;
    processor->load_ns_per_byte = 1e3 / rate;
    processor->load_origin = (cosrel_origin){.tag = COSREL_TAG_ASSUMED};
  }
  if (found) return COSREL_OK;
  return cosrel_fail(error, COSREL_INVALID, "--memory: no profile has a processor named %s", name);
}

cosrel_status cosrel_memory_apply(const cosrel_memory_options *memory, cosrel_profile *profiles, uint32_t n_profiles,
                                  cosrel_error *error) {
  for (uint32_t i = 0; i < n_profiles; i++) profiles[i].no_prefetch = memory->no_prefetch;
  for (uint32_t i = 0; i < memory->budgets.n; i++)
    COSREL_TRY(apply(memory->budgets.items[i], profiles, n_profiles, error));
  return COSREL_OK;
}
