#include "backends/backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef COSREL_OPENCL
#include "backends/opencl/opencl_backend.h"
#endif
#include "backends/reference_backend.h"
#ifdef COSREL_ARMNN
#include "backends/armnn/armnn_backend.h"
#endif
#ifdef COSREL_XNNPACK
#include "backends/xnnpack/xnnpack_backend.h"
#endif

const cosrel_backend_ops *const *cosrel_backend_table(void) {
  static const cosrel_backend_ops *const table[] = {
#ifdef COSREL_XNNPACK
      &cosrel_xnnpack_backend,
#endif
      &cosrel_reference_backend,
#ifdef COSREL_OPENCL
      &cosrel_opencl_backend,
#endif
#ifdef COSREL_ARMNN
      &cosrel_armnn_backend,
#endif
      NULL,
  };
  return table;
}

const cosrel_backend_ops *cosrel_backend_find(const char *name) {
  for (const cosrel_backend_ops *const *ops = cosrel_backend_table(); *ops != NULL; ops++) {
    if (strcmp((*ops)->name, name) == 0) return *ops;
  }
  return NULL;
}

cosrel_status cosrel_backend_open(const cosrel_backend_spec *spec, cosrel_backend **out, cosrel_error *error) {
  const cosrel_backend_ops *ops = cosrel_backend_find(spec->backend);
  *out = NULL;
  if (ops == NULL) {
    return cosrel_fail(error, COSREL_UNSUPPORTED, "%s: no backend %s in this build", spec->processor, spec->backend);
  }
  cosrel_error inner = {0};
  cosrel_status status = ops->open(spec, out, &inner);
  if (status == COSREL_OK) return COSREL_OK;
  return cosrel_fail(error, status, "%s: %s: %.400s", spec->processor, spec->backend, inner.text);
}

bool cosrel_backend_runs(const cosrel_backend *backend, const cosrel_network *network, uint32_t unit,
                         cosrel_precision precision) {
  const cosrel_backend_ops *ops = backend->ops;
  if (ops->supports(backend, network, unit, precision)) return true;
  return precision == COSREL_FP16 && (ops->precisions >> COSREL_FP16 & 1) != 0 &&
         ops->supports(backend, network, unit, COSREL_FP32);
}

/* ---- Specs as text ---- */

/* Copies the n bytes at `text` when they are a name: letters, digits, '-' and '_', fewer than `size`. */
static bool copy_name(const char *text, size_t n, char *out, size_t size) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  if (n == 0 || n >= size || strspn(text, allowed) < n) return false;
  memcpy(out, text, n);
  out[n] = '\0';
  return true;
}

/* Reads a number of at most five digits and moves on behind it. */
static bool read_number(const char **text, uint32_t max, uint32_t *out) {
  size_t digits = strspn(*text, "0123456789");
  if (digits == 0 || digits > 5) return false;
  *out = (uint32_t)strtoul(*text, NULL, 10);
  *text += digits;
  return *out <= max;
}

/* "0-3+6", growing, until the end or a colon. */
static bool read_cores(const char **text, cosrel_backend_spec *spec) {
  spec->n_cores = 0;
  do {
    uint32_t first, last;
    if (!read_number(text, UINT16_MAX, &first)) return false;
    last = first;
    if (**text == '-') {
      ++*text;
      if (!read_number(text, UINT16_MAX, &last)) return false;
    }
    if (last < first || last - first >= COSREL_CORES_MAX - spec->n_cores) return false;
    if (spec->n_cores > 0 && first <= spec->cores[spec->n_cores - 1]) return false;
    for (uint32_t core = first; core <= last; core++) spec->cores[spec->n_cores++] = (uint16_t)core;
  } while (**text == '+' && *(*text)++ == '+');
  return true;
}

static bool read_device(const char **text, cosrel_backend_spec *spec) {
  size_t n = strcspn(*text, ":");
  if (n == 0 || n >= sizeof spec->device) return false;
  for (size_t i = 0; i < n; i++) {
    if ((unsigned char)(*text)[i] < ' ' || (*text)[i] == 0x7f) return false;
  }
  memcpy(spec->device, *text, n);
  spec->device[n] = '\0';
  *text += n;
  return true;
}

/* The text for messages: one line of printable bytes whatever came in. */
static void show(const char *text, char *out, size_t n) {
  size_t i = 0;
  for (; i + 1 < n && text[i] != '\0'; i++) out[i] = text[i] >= ' ' && text[i] < 0x7f ? text[i] : '?';
  out[i] = '\0';
}

cosrel_status cosrel_backend_spec_parse(const char *text, cosrel_backend_spec *out, cosrel_error *error) {
  static const struct {
    const char *key, *expected;
  } options[] = {
      {"cores=", "cores=LIST such as 0-3+6, growing, at most 256"},
      {"threads=", "threads=0 to 256"},
      {"device=", "device=TEXT, 1 to 63 bytes without a colon"},
  };
  enum { CORES, THREADS, DEVICE, OPTIONS };
  cosrel_backend_spec spec = {0};
  char shown[80];
  show(text, shown, sizeof shown);
  const char *expected = "NAME=BACKEND[:cores=LIST][:threads=N][:device=TEXT]";
  bool seen[OPTIONS] = {false};
  size_t name = strcspn(text, "=:"), backend = 0;
  if (!copy_name(text, name, spec.processor, sizeof spec.processor)) goto bad;
  if (text[name] != '=') goto bad;
  text += name + 1;
  backend = strcspn(text, ":");
  if (!copy_name(text, backend, spec.backend, sizeof spec.backend)) goto bad;
  text += backend;
  while (*text == ':') {
    text++;
    expected = "cores=, threads= or device=, each once";
    int option = 0;
    while (option < OPTIONS && strncmp(text, options[option].key, strlen(options[option].key)) != 0) option++;
    if (option == OPTIONS || seen[option]) goto bad;
    seen[option] = true;
    expected = options[option].expected;
    text += strlen(options[option].key);
    bool good = false;
    if (option == CORES) good = read_cores(&text, &spec);
    if (option == THREADS) good = read_number(&text, COSREL_CORES_MAX, &spec.threads);
    if (option == DEVICE) good = read_device(&text, &spec);
    if (!good || (*text != '\0' && *text != ':')) goto bad;
  }
  *out = spec;
  return COSREL_OK;

bad:
  return cosrel_fail(error, COSREL_INVALID, "%s: expected %s", shown, expected);
}

void cosrel_backend_spec_format(const cosrel_backend_spec *spec, char *text, size_t n) {
  char list[COSREL_CORES_MAX * 6 + 16] = "";
  size_t used = 0;
  for (uint32_t i = 0; i < spec->n_cores;) {
    uint32_t end = i + 1;
    while (end < spec->n_cores && spec->cores[end] == spec->cores[end - 1] + 1) end++;
    used += (size_t)snprintf(list + used, sizeof list - used, "%s%u", i > 0 ? "+" : ":cores=", spec->cores[i]);
    if (end > i + 1) used += (size_t)snprintf(list + used, sizeof list - used, "-%u", spec->cores[end - 1]);
    i = end;
  }
  char threads[24] = "";
  if (spec->threads > 0) snprintf(threads, sizeof threads, ":threads=%u", (unsigned)spec->threads);
  snprintf(text, n, "%s=%s%s%s%s%s", spec->processor, spec->backend, list, threads,
           spec->device[0] != '\0' ? ":device=" : "", spec->device);
}
