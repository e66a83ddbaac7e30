/* PoCL runs compute units as threads of the host, and wakes all of them for every kernel, those of other sub-devices
 * too, which on another processor's core is an interruption per kernel. So the first instance, if it says cores=, has
 * PoCL make a thread for each of them and no other (POCL_MAX_PTHREAD_COUNT), and keep to them, since threads inherit
 * where their creator may run. If it does not, PoCL makes a thread per core that stays there (POCL_AFFINITY=1), and
 * cores= makes a sub-device of those. The variables are PoCL's own means and are set here unless the user has set one;
 * other drivers do not know them. */
#include "backends/opencl/device.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/affinity.h"

#define PLATFORMS_MAX 16
#define DEVICES_MAX 64

typedef struct found {
  cl_platform_id platform;
  cl_device_id device;
} found;

/* ---- Asking ---- */

static void device_text(const cosrel_cl_api *api, cl_device_id id, cl_device_info what, char text[COSREL_CL_TEXT_MAX]) {
  char whole[1024] = "";
  if (api->GetDeviceInfo(id, what, sizeof whole - 1, whole, NULL) != CL_SUCCESS) whole[0] = '\0';
  size_t n = 0;
  for (const char *c = whole; *c != '\0' && n + 1 < COSREL_CL_TEXT_MAX; c++)
    text[n++] = *c >= ' ' && *c < 0x7f ? *c : '?';
  text[n] = '\0';
}

static void platform_text(const cosrel_cl_api *api, cl_platform_id id, char text[COSREL_CL_TEXT_MAX]) {
  char whole[1024] = "";
  if (api->GetPlatformInfo(id, CL_PLATFORM_NAME, sizeof whole - 1, whole, NULL) != CL_SUCCESS) whole[0] = '\0';
  size_t n = 0;
  for (const char *c = whole; *c != '\0' && n + 1 < COSREL_CL_TEXT_MAX; c++)
    text[n++] = *c >= ' ' && *c < 0x7f ? *c : '?';
  text[n] = '\0';
}

/* What PoCL's threads were made for, once per process; count 0: one for every core. */
static struct {
  pthread_mutex_t lock;
  bool started;
  uint32_t first, count;
} pocl = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint32_t list_devices(const cosrel_cl_api *api, found *out) {
  cl_platform_id platforms[PLATFORMS_MAX];
  cl_uint n_platforms = 0;
  uint32_t n = 0;
  if (api->GetPlatformIDs(PLATFORMS_MAX, platforms, &n_platforms) != CL_SUCCESS) return 0;
  for (cl_uint p = 0; p < n_platforms && p < PLATFORMS_MAX; p++) {
    cl_device_id devices[DEVICES_MAX];
    cl_uint n_devices = 0;
    if (api->GetDeviceIDs(platforms[p], CL_DEVICE_TYPE_ALL, DEVICES_MAX, devices, &n_devices) != CL_SUCCESS) continue;
    for (cl_uint d = 0; d < n_devices && d < DEVICES_MAX && n < DEVICES_MAX; d++)
      out[n++] = (found){platforms[p], devices[d]};
  }
  return n;
}

static bool may_use(const cosrel_affinity *mine, const cosrel_backend_spec *spec) {
  bool may = true;
  for (uint32_t i = 0; i < spec->n_cores; i++)
    may = may && spec->cores[i] < 1024 && (mine->mask[spec->cores[i] / 64] >> spec->cores[i] % 64 & 1) != 0;
  return may;
}

/* Lists the devices, for spec (NULL: for nobody yet), which may start PoCL. */
static uint32_t start(const cosrel_cl_api *api, const cosrel_backend_spec *spec, found *out) {
  cosrel_affinity before;
  pthread_mutex_lock(&pocl.lock);
  bool confine = !pocl.started && spec != NULL && spec->n_cores > 0 && getenv("POCL_AFFINITY") == NULL &&
                 getenv("POCL_MAX_PTHREAD_COUNT") == NULL && cosrel_affinity_get(&before) && may_use(&before, spec);
  if (confine) {
    const cosrel_affinity cores = cosrel_affinity_of(spec->cores, spec->n_cores);
    confine = cosrel_affinity_set(&cores);
  }
  if (confine) {
    char count[16];
    snprintf(count, sizeof count, "%u", (unsigned)spec->n_cores);
    setenv("POCL_MAX_PTHREAD_COUNT", count, 0);
    pocl.first = spec->cores[0];
    pocl.count = spec->n_cores;
  } else if (!pocl.started && getenv("POCL_MAX_PTHREAD_COUNT") == NULL) {
    setenv("POCL_AFFINITY", "1", 0);
  }
  uint32_t n = list_devices(api, out);
  pocl.started = true;
  if (confine) cosrel_affinity_set(&before);
  pthread_mutex_unlock(&pocl.lock);
  return n;
}

/* ---- Choosing ---- */

static bool contains(const char *text, const char *part) {
  size_t n = strlen(part);
  for (; *text != '\0'; text++) {
    size_t i = 0;
    while (i < n && text[i] != '\0' && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i])) i++;
    if (i == n) return true;
  }
  return false;
}

static bool matches(const cosrel_cl_api *api, const found *device, const char *wanted) {
  char text[COSREL_CL_TEXT_MAX];
  platform_text(api, device->platform, text);
  if (contains(text, wanted)) return true;
  device_text(api, device->device, CL_DEVICE_NAME, text);
  return contains(text, wanted);
}

static bool is_accelerator(const cosrel_cl_api *api, const found *device) {
  cl_device_type type = 0;
  return api->GetDeviceInfo(device->device, CL_DEVICE_TYPE, sizeof type, &type, NULL) == CL_SUCCESS &&
         (type & (CL_DEVICE_TYPE_GPU | CL_DEVICE_TYPE_ACCELERATOR)) != 0;
}

static cosrel_status choose(const cosrel_cl_api *api, const cosrel_backend_spec *spec, found *out,
                            cosrel_error *error) {
  found devices[DEVICES_MAX];
  const char *wanted = spec->device;
  uint32_t n = start(api, spec, devices);
  if (n == 0) return cosrel_fail(error, COSREL_UNSUPPORTED, "OpenCL knows no device here");
  bool number = wanted[0] != '\0' && strspn(wanted, "0123456789") == strlen(wanted);
  unsigned long index = number ? strtoul(wanted, NULL, 10) : 0;
  for (uint32_t i = 0; i < n; i++) {
    bool good = number              ? i == index
                : wanted[0] == '\0' ? is_accelerator(api, &devices[i])
                                    : matches(api, &devices[i], wanted);
    if (!good) continue;
    *out = devices[i];
    return COSREL_OK;
  }
  *out = devices[0];
  if (wanted[0] == '\0') return COSREL_OK;
  char name[COSREL_CL_TEXT_MAX];
  device_text(api, devices[0].device, CL_DEVICE_NAME, name);
  return cosrel_fail(error, COSREL_UNSUPPORTED, "device=%s: expected 0 to %u or a part of a name such as %s", wanted,
                     (unsigned)(n - 1), name);
}

/* ---- Dividing ---- */

static cosrel_status take_part(const cosrel_backend_spec *spec, cosrel_cl_device *device, cosrel_error *error) {
  const cosrel_cl_api *api = &device->api;
  cl_uint units = 0, n = 0;
  api->GetDeviceInfo(device->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
  uint32_t first = spec->cores[0], count = spec->n_cores;
  if (pocl.count > 0 && contains(device->platform, "Portable Computing Language")) {
    if (first == pocl.first && count == pocl.count) return COSREL_OK;
    return cosrel_fail(error, COSREL_UNSUPPORTED,
                       "cores=: PoCL keeps to %u from core %u on, as it was opened first: for several processors on it "
                       "set POCL_AFFINITY=1",
                       (unsigned)pocl.count, (unsigned)pocl.first);
  }
  if (first + count > units)
    return cosrel_fail(error, COSREL_UNSUPPORTED, "cores=: expected 0 to %u, which %s has", (unsigned)(units - 1),
                       device->name);
  if (count == units) return COSREL_OK;
  cl_device_partition_property counts[6] = {CL_DEVICE_PARTITION_BY_COUNTS};
  uint32_t at = 1, mine = first > 0;
  if (first > 0) counts[at++] = (cl_device_partition_property)first;
  counts[at++] = (cl_device_partition_property)count;
  if (first + count < units) counts[at++] = (cl_device_partition_property)(units - first - count);
  counts[at] = CL_DEVICE_PARTITION_BY_COUNTS_LIST_END; /* a 0 behind it ends the list */
  cl_device_id parts[3];
  cl_int code = api->CreateSubDevices(device->id, counts, 3, parts, &n);
  if (code != CL_SUCCESS || n <= mine)
    return cosrel_fail(error, COSREL_UNSUPPORTED, "%s cannot be divided (%s): leave cores= out", device->name,
                       cosrel_cl_code_name(code));
  for (cl_uint i = 0; i < n; i++)
    if (i != mine) api->ReleaseDevice(parts[i]);
  device->id = parts[mine];
  device->is_part = true;
  return COSREL_OK;
}

/* ---- Opening ---- */

static bool has_extension(const cosrel_cl_api *api, cl_device_id id, const char *name) {
  size_t bytes = 0, length = strlen(name);
  bool found = false;
  if (api->GetDeviceInfo(id, CL_DEVICE_EXTENSIONS, 0, NULL, &bytes) != CL_SUCCESS) return false;
  char *all = calloc(1, bytes + 1);
  if (all != NULL && api->GetDeviceInfo(id, CL_DEVICE_EXTENSIONS, bytes, all, NULL) == CL_SUCCESS)
    for (char *at = all; !found && (at = strstr(at, name)) != NULL; at += length)
      found = at[length] == ' ' || at[length] == '\0';
  free(all);
  return found;
}

static void ask(cosrel_cl_device *device) {
  const cosrel_cl_api *api = &device->api;
  cl_uint units = 1, vector = 1, dimensions = 3;
  cl_ulong memory = 0, allocation = 0, local = 0;
  cl_bool unified = CL_FALSE;
  size_t items[16] = {1, 1, 1};
  api->GetDeviceInfo(device->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof units, &units, NULL);
  api->GetDeviceInfo(device->id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT, sizeof vector, &vector, NULL);
  api->GetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_ITEM_DIMENSIONS, sizeof dimensions, &dimensions, NULL);
  api->GetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof items, items, NULL);
  api->GetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof device->group_max, &device->group_max, NULL);
  api->GetDeviceInfo(device->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof memory, &memory, NULL);
  api->GetDeviceInfo(device->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof allocation, &allocation, NULL);
  api->GetDeviceInfo(device->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof local, &local, NULL);
  api->GetDeviceInfo(device->id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof unified, &unified, NULL);
  memcpy(device->item_max, items, sizeof device->item_max);
  device->units = units;
  device->vector = vector > 0 ? vector : 1;
  device->memory_bytes = memory;
  device->allocation_bytes = allocation;
  device->local_bytes = local;
  device->unified = unified == CL_TRUE;
  device->fp16 = has_extension(api, device->id, "cl_khr_fp16");
  device_text(api, device->id, CL_DEVICE_VERSION, device->version);
  device_text(api, device->id, CL_DRIVER_VERSION, device->driver);
}

static cosrel_status create_queues(cosrel_cl_device *device, cosrel_error *error) {
  const cosrel_cl_api *api = &device->api;
  cl_int code;
  device->context = api->CreateContext(NULL, 1, &device->id, NULL, NULL, &code);
  if (device->context == NULL) return cosrel_cl_fail(error, "clCreateContext", code);
  device->compute = api->CreateCommandQueue(device->context, device->id, CL_QUEUE_PROFILING_ENABLE, &code);
  if (device->compute != NULL) device->copy = api->CreateCommandQueue(device->context, device->id, 0, &code);
  if (device->copy == NULL) return cosrel_cl_fail(error, "clCreateCommandQueue", code);
  return COSREL_OK;
}

cosrel_status cosrel_cl_device_open(const cosrel_backend_spec *spec, const char *library, cosrel_cl_device *out,
                                    cosrel_error *error) {
  *out = (cosrel_cl_device){0};
  cosrel_status status = cosrel_cl_api_load(library, &out->api, error);
  if (status != COSREL_OK) return status;
  found device;
  if (spec->n_cores > 0 && spec->cores[spec->n_cores - 1] != spec->cores[0] + spec->n_cores - 1)
    status = cosrel_fail(error, COSREL_UNSUPPORTED, "cores=: expected compute units that follow each other");
  if (status == COSREL_OK) status = choose(&out->api, spec, &device, error);
  if (status != COSREL_OK) goto fail;
  out->id = device.device;
  platform_text(&out->api, device.platform, out->platform);
  device_text(&out->api, out->id, CL_DEVICE_NAME, out->name);
  if (spec->n_cores > 0) status = take_part(spec, out, error);
  if (status == COSREL_OK) {
    ask(out);
    status = create_queues(out, error);
  }
  if (status == COSREL_OK) return COSREL_OK;

fail:
  cosrel_cl_device_close(out);
  return status;
}

void cosrel_cl_device_close(cosrel_cl_device *device) {
  const cosrel_cl_api *api = &device->api;
  if (device->copy != NULL) api->ReleaseCommandQueue(device->copy);
  if (device->compute != NULL) api->ReleaseCommandQueue(device->compute);
  if (device->context != NULL) api->ReleaseContext(device->context);
  if (device->is_part) api->ReleaseDevice(device->id);
  *device = (cosrel_cl_device){0};
}

uint32_t cosrel_cl_device_count(const char *library) {
  cosrel_cl_api api;
  found devices[DEVICES_MAX];
  if (cosrel_cl_api_load(library, &api, NULL) != COSREL_OK) return 0;
  return start(&api, NULL, devices);
}
