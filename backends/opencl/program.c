#include "backends/opencl/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/opencl/cache.h"

#define BASE_OPTIONS "-cl-std=CL1.2 -cl-mad-enable -w"
#define BINARY_MAX ((size_t)64 << 20)

void cosrel_cl_programs_init(cosrel_cl_programs *programs, const cosrel_cl_device *device) {
  *programs = (cosrel_cl_programs){.device = device};
}

void cosrel_cl_programs_destroy(cosrel_cl_programs *programs) {
  for (uint32_t i = 0; i < programs->n; i++) {
    programs->device->api.ReleaseProgram(programs->built[i].program);
    free(programs->built[i].options);
  }
  free(programs->built);
  *programs = (cosrel_cl_programs){0};
}

static const cosrel_cl_source *find_source(const char *name) {
  const cosrel_cl_source *source = cosrel_cl_sources;
  while (source->name != NULL && strcmp(source->name, name) != 0) source++;
  return source->name != NULL ? source : NULL;
}

/* What a program consists of. */
typedef struct parts {
  const char *texts[3];
  size_t bytes[3];
  uint32_t n;
} parts;

static void add_part(parts *p, const cosrel_cl_source *source) {
  p->texts[p->n] = source->text;
  p->bytes[p->n++] = source->bytes;
}

static parts gather(const cosrel_cl_source *source, const char *options) {
  parts p = {.n = 0};
  add_part(&p, find_source("common"));
  if (strstr(options, "-DVEC=") != NULL) add_part(&p, find_source("vector"));
  add_part(&p, source);
  return p;
}

/* ---- The key of a binary: the device, the options, the whole source ---- */

size_t cosrel_cl_device_key(const cosrel_cl_device *device, char *key, size_t n) {
  int length = snprintf(key, n, "%s\n%s\n%s\n%s\n%u\n", device->platform, device->name, device->version, device->driver,
                        (unsigned)device->units);
  return length < 0 ? 0 : (size_t)length < n ? (size_t)length : n - 1;
}

static char *make_key(const cosrel_cl_device *device, const char *options, const parts *text, size_t *bytes) {
  size_t room = 4 * COSREL_CL_TEXT_MAX + 64 + strlen(options) + 1;
  for (uint32_t i = 0; i < text->n; i++) room += text->bytes[i];
  char *key = malloc(room);
  if (key == NULL) return NULL;
  size_t n = cosrel_cl_device_key(device, key, room);
  n += (size_t)snprintf(key + n, room - n, "%s\n", options);
  for (uint32_t i = 0; i < text->n; n += text->bytes[i++]) memcpy(key + n, text->texts[i], text->bytes[i]);
  *bytes = n;
  return key;
}

/* ---- Binaries ---- */

static cl_program load_binary(const cosrel_cl_device *device, const char *options, const void *key, size_t key_bytes) {
  const cosrel_cl_api *api = &device->api;
  size_t bytes = 0;
  unsigned char *binary = cosrel_cl_cache_read("program", key, key_bytes, &bytes);
  if (binary == NULL || bytes == 0) {
    free(binary);
    return NULL;
  }
  const unsigned char *const binaries[] = {binary};
  cl_int code, accepted;
  cl_program program = api->CreateProgramWithBinary(device->context, 1, &device->id, &bytes,
                                                    (const unsigned char **)binaries, &accepted, &code);
  free(binary);
  if (program == NULL) return NULL;
  if (code == CL_SUCCESS && accepted == CL_SUCCESS &&
      api->BuildProgram(program, 1, &device->id, options, NULL, NULL) == CL_SUCCESS)
    return program;
  api->ReleaseProgram(program);
  return NULL;
}

/* Nothing happens where the driver has no binary to give. */
static void save_binary(const cosrel_cl_device *device, cl_program program, const void *key, size_t key_bytes) {
  const cosrel_cl_api *api = &device->api;
  size_t bytes = 0;
  if (api->GetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof bytes, &bytes, NULL) != CL_SUCCESS || bytes == 0 ||
      bytes > BINARY_MAX)
    return;
  unsigned char *binary = malloc(bytes);
  if (binary != NULL && api->GetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS)
    cosrel_cl_cache_write("program", key, key_bytes, binary, bytes);
  free(binary);
}

/* ---- Sources ---- */

/* The compiler's words on one line. */
static cosrel_status build_failed(const cosrel_cl_device *device, cl_program program, const char *source, cl_int code,
                                  cosrel_error *error) {
  size_t bytes = 0;
  device->api.GetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes);
  char *log = bytes < BINARY_MAX ? calloc(1, bytes + 1) : NULL;
  if (log != NULL) device->api.GetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, bytes, log, NULL);
  for (char *c = log; c != NULL && *c != '\0'; c++)
    if (*c < ' ' || *c > '~') *c = ' ';
  cosrel_status status = cosrel_fail(error, COSREL_UNSUPPORTED, "kernels/%s.cl on %s: %s: %.300s", source, device->name,
                                     cosrel_cl_code_name(code), log != NULL ? log : "");
  free(log);
  return status;
}

static cosrel_status build(const cosrel_cl_device *device, const char *options, const parts *text, const char *name,
                           cl_program *out, cosrel_error *error) {
  const cosrel_cl_api *api = &device->api;
  cl_int code;
  cl_program program =
      api->CreateProgramWithSource(device->context, text->n, (const char **)text->texts, text->bytes, &code);
  if (program == NULL) return cosrel_cl_fail(error, "clCreateProgramWithSource", code);
  code = api->BuildProgram(program, 1, &device->id, options, NULL, NULL);
  if (code == CL_SUCCESS) {
    *out = program;
    return COSREL_OK;
  }
  cosrel_status status = build_failed(device, program, name, code, error);
  api->ReleaseProgram(program);
  return status;
}

/* ---- Programs ---- */

static cosrel_status add_program(cosrel_cl_programs *programs, const cosrel_cl_source *source, const char *options,
                                 cosrel_error *error) {
  const parts text = gather(source, options);
  char *key = NULL;
  size_t key_bytes = 0;
  cosrel_status status = COSREL_OK;
  if (programs->n == programs->capacity) {
    uint32_t capacity = programs->capacity == 0 ? 16 : 2 * programs->capacity;
    cosrel_cl_built *grown = realloc(programs->built, capacity * sizeof *grown);
    if (grown == NULL) return cosrel_fail(error, COSREL_NOMEM, "out of memory");
    programs->built = grown;
    programs->capacity = capacity;
  }
  size_t room = sizeof BASE_OPTIONS + strlen(options) + 2;
  cosrel_cl_built built = {.options = strdup(options)};
  char *all = malloc(room);
  if (built.options == NULL || all == NULL) goto no_memory;
  snprintf(built.source, sizeof built.source, "%s", source->name);
  snprintf(all, room, "%s %s", BASE_OPTIONS, options);
  key = make_key(programs->device, all, &text, &key_bytes);
  if (key == NULL) goto no_memory;
  built.program = load_binary(programs->device, all, key, key_bytes);
  if (built.program != NULL) {
    programs->n_loaded++;
  } else {
    status = build(programs->device, all, &text, source->name, &built.program, error);
    if (status != COSREL_OK) goto fail;
    programs->n_compiled++;
    save_binary(programs->device, built.program, key, key_bytes);
  }
  programs->built[programs->n++] = built;
  free(key);
  free(all);
  return COSREL_OK;

no_memory:
  status = cosrel_fail(error, COSREL_NOMEM, "out of memory");
fail:
  free(built.options);
  free(key);
  free(all);
  return status;
}

cosrel_status cosrel_cl_programs_kernel(cosrel_cl_programs *programs, const char *source, const char *options,
                                        const char *kernel, cl_kernel *out, cosrel_error *error) {
  uint32_t i = 0;
  while (i < programs->n &&
         (strcmp(programs->built[i].source, source) != 0 || strcmp(programs->built[i].options, options) != 0))
    i++;
  if (i == programs->n) {
    const cosrel_cl_source *text = find_source(source);
    if (text == NULL) return cosrel_fail(error, COSREL_INTERNAL, "no kernels/%s.cl", source);
    cosrel_status status = add_program(programs, text, options, error);
    if (status != COSREL_OK) return status;
  }
  cl_int code;
  *out = programs->device->api.CreateKernel(programs->built[i].program, kernel, &code);
  if (*out == NULL)
    return cosrel_fail(error, cosrel_cl_status(code), "kernels/%s.cl: %s: %s", source, kernel,
                       cosrel_cl_code_name(code));
  return COSREL_OK;
}
