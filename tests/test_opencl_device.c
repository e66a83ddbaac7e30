/* OpenCL: finding it, choosing and dividing devices, what is kept on disk, kernels and segments that fail or end early.
 * What it computes is checked by test_opencl and test_backends. Skipped where no device is found. */
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/net_aid.h"

#ifdef COSREL_OPENCL
#include "backends/monotonic.h"
#include "backends/opencl/cache.h"
#include "backends/opencl/plan.h"
#include "backends/zoo/zoo.h"

static char folder[] = "/tmp/cosrel-opencl-XXXXXX";

static bool open_device(const char *text, cosrel_cl_device *device, cosrel_error *error) {
  cosrel_backend_spec spec;
  assert_int_equal(cosrel_backend_spec_parse(text, &spec, error), COSREL_OK);
  return cosrel_cl_device_open(&spec, NULL, device, error) == COSREL_OK;
}

static bool has_device(const char *test) {
  if (cosrel_cl_device_count(NULL) > 0) return true;
  printf("skipped: %s (no OpenCL device; Debian has PoCL in pocl-opencl-icd)\n", test);
  return false;
}

/* ---- Finding it ---- */

static void works_without_a_loader(void **state) {
  (void)state;
  cosrel_cl_api api;
  cosrel_error error = {""};
  assert_int_equal(cosrel_cl_api_load("libthere-is-none.so", &api, &error), COSREL_UNSUPPORTED);
  assert_non_null(strstr(error.text, "libthere-is-none.so"));
  assert_int_equal(cosrel_cl_api_load("libm.so.6", &api, &error), COSREL_UNSUPPORTED); /* has none of the functions */
  assert_non_null(strstr(error.text, "clGetPlatformIDs"));
  assert_int_equal(cosrel_cl_device_count("libthere-is-none.so"), 0);

  cosrel_backend *backend = (cosrel_backend *)&api;
  cosrel_backend_spec spec = {.processor = "gpu", .backend = "opencl"};
  setenv("COSREL_OPENCL", "libthere-is-none.so", 1);
  assert_int_equal(cosrel_backend_open(&spec, &backend, &error), COSREL_UNSUPPORTED);
  unsetenv("COSREL_OPENCL");
  assert_null(backend);
  assert_non_null(strstr(error.text, "gpu: opencl: no OpenCL here"));
}

static void codes_have_names(void **state) {
  (void)state;
  cosrel_error error;
  assert_int_equal(cosrel_cl_fail(&error, "clDoThis", CL_OUT_OF_RESOURCES), COSREL_IO);
  assert_string_equal(error.text, "clDoThis: CL_OUT_OF_RESOURCES (-5)");
  assert_int_equal(cosrel_cl_status(CL_SUCCESS), COSREL_OK);
  assert_int_equal(cosrel_cl_status(CL_MEM_OBJECT_ALLOCATION_FAILURE), COSREL_NOMEM);
  assert_int_equal(cosrel_cl_status(CL_DEVICE_NOT_FOUND), COSREL_UNSUPPORTED);
  assert_int_equal(cosrel_cl_status(-9999), COSREL_IO);
  assert_non_null(cosrel_cl_code_name(-9999));
}

static void devices_are_chosen_by_the_spec(void **state) {
  (void)state;
  cosrel_cl_device device;
  cosrel_error error = {""};
  char spec[128];
  if (!has_device("choosing a device")) return;
  if (!open_device("p=opencl", &device, &error)) fail_msg("%s", error.text);
  assert_true(device.units > 0 && device.memory_bytes > 0 && device.group_max > 0 && device.name[0] != '\0');
  snprintf(spec, sizeof spec, "p=opencl:device=%.20s", device.platform);
  for (char *c = spec + 16; *c != '\0'; c++) *c = (char)(*c == ':' ? ' ' : *c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
  cosrel_cl_device_close(&device);
  if (!open_device(spec, &device, &error)) fail_msg("%s: %s", spec, error.text);
  cosrel_cl_device_close(&device);
  if (!open_device("p=opencl:device=0", &device, &error)) fail_msg("%s", error.text);
  cosrel_cl_device_close(&device);
  cosrel_cl_device_close(&device); /* a cleared one is fine */

  static const char *const bad[] = {"p=opencl:device=9999", "p=opencl:device=there is none", "p=opencl:cores=60000",
                                    "p=opencl:cores=0+2"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    error.text[0] = '\0';
    if (open_device(bad[i], &device, &error)) fail_msg("%s was opened", bad[i]);
    assert_true(strstr(error.text, "expected") != NULL || strstr(error.text, "divided") != NULL);
  }
  cosrel_backend *backend;
  cosrel_backend_spec threads = {.processor = "p", .backend = "opencl", .threads = 2};
  assert_int_equal(cosrel_backend_open(&threads, &backend, &error), COSREL_UNSUPPORTED);
}

/* ---- Small launches ---- */

static cl_mem make_buffer(const cosrel_cl_device *device, size_t floats) {
  cl_int code;
  cl_mem memory = device->api.CreateBuffer(device->context, CL_MEM_READ_WRITE, floats * sizeof(float), NULL, &code);
  assert_int_equal(code, CL_SUCCESS);
  return memory;
}

/* y[0..n) = value, as kernels/move.cl has it. */
static cosrel_cl_launch fill_launch(int32_t n, float value) {
  cosrel_cl_launch launch = cosrel_cl_launch_of("move", "fill");
  cosrel_cl_push_out(&launch, (cosrel_cl_ref){.base = COSREL_CL_ARENA});
  cosrel_cl_push_int(&launch, n);
  cosrel_cl_push_float(&launch, value);
  cosrel_cl_size(&launch, (size_t)n, 1, 1, 64, 1, 1);
  return launch;
}

/* Runs it on a new arena and returns whether every element is `value`. */
static bool fills(const cosrel_cl_device *device, cosrel_cl_programs *programs, int32_t n, float value) {
  cosrel_error error;
  const cosrel_cl_buffers buffers = {NULL, NULL, NULL};
  cosrel_cl_launch launch = fill_launch(n, value);
  float *y = calloc((size_t)n, sizeof *y);
  cl_mem memory = make_buffer(device, (size_t)n);
  if (cosrel_cl_launch_make(&launch, programs, &buffers, &error) != COSREL_OK) fail_msg("%s", error.text);
  assert_true(cosrel_cl_launch_time(device, &launch, memory, 2) >= 0);
  assert_int_equal(
      device->api.EnqueueReadBuffer(device->compute, memory, CL_TRUE, 0, (size_t)n * sizeof *y, y, 0, NULL, NULL),
      CL_SUCCESS);
  bool good = true;
  for (int32_t i = 0; i < n; i++) good = good && y[i] == value;
  cosrel_cl_launch_destroy(device, &launch);
  device->api.ReleaseMemObject(memory);
  free(y);
  return good;
}

static void bad_launches_are_refused(void **state) {
  (void)state;
  cosrel_cl_device device;
  cosrel_cl_programs programs;
  cosrel_error error = {""};
  const cosrel_cl_buffers buffers = {NULL, NULL, NULL};
  if (!has_device("launches")) return;
  if (!open_device("p=opencl", &device, &error)) fail_msg("%s", error.text);
  cosrel_cl_programs_init(&programs, &device);

  cosrel_cl_launch launch = cosrel_cl_launch_of("nothing", "fill");
  assert_int_equal(cosrel_cl_launch_make(&launch, &programs, &buffers, &error), COSREL_INTERNAL);
  launch = cosrel_cl_launch_of("move", "nothing");
  assert_int_not_equal(cosrel_cl_launch_make(&launch, &programs, &buffers, &error), COSREL_OK);
  launch = fill_launch(64, 0);
  for (int i = 0; i < COSREL_CL_ARGS_MAX; i++) cosrel_cl_push_int(&launch, 0);
  assert_int_equal(cosrel_cl_launch_make(&launch, &programs, &buffers, &error), COSREL_INTERNAL);
  launch = fill_launch(64, 0);
  cosrel_cl_push_int(&launch, INT64_C(1) << 40);
  assert_int_equal(cosrel_cl_launch_make(&launch, &programs, &buffers, &error), COSREL_INTERNAL);
  launch = fill_launch(64, 0);
  cosrel_cl_push_int(&launch, 0); /* one more than the kernel has */
  assert_int_not_equal(cosrel_cl_launch_make(&launch, &programs, &buffers, &error), COSREL_OK);
  launch = fill_launch(64, 0);
  launch.args[0].ref.offset = INT64_C(1) << 40;
  assert_int_equal(cosrel_cl_launch_make(&launch, &programs, &buffers, &error), COSREL_UNSUPPORTED);
  launch = fill_launch(1, 0);
  launch.local[0] = launch.global[0] = (size_t)1 << 30;
  assert_int_equal(cosrel_cl_launch_make(&launch, &programs, &buffers, &error), COSREL_UNSUPPORTED);
  assert_non_null(strstr(error.text, "groups of at most"));
  assert_null(launch.object);
  launch = fill_launch(64, 0);
  snprintf(launch.options, sizeof launch.options, "-Dfloat=nonsense");
  assert_int_equal(cosrel_cl_launch_make(&launch, &programs, &buffers, &error), COSREL_UNSUPPORTED);
  assert_non_null(strstr(error.text, "kernels/move.cl"));
  assert_null(strchr(error.text, '\n'));
  assert_true(fills(&device, &programs, 1000, 2.5F)); /* nothing of this has hurt */
  cosrel_cl_programs_destroy(&programs);
  cosrel_cl_device_close(&device);
}

/* ---- What is kept on disk ---- */

static void remove_entries(void) {
  DIR *dir = opendir(folder);
  assert_non_null(dir);
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
    if (entry->d_name[0] != '.') unlink(path);
  }
  closedir(dir);
}

static size_t read_whole(const char *path, unsigned char *bytes, size_t max) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  size_t n = fread(bytes, 1, max, file);
  fclose(file);
  return n;
}

static void write_whole(const char *path, const unsigned char *bytes, size_t n) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, n, file), n);
  fclose(file);
}

static void entries_are_whole_or_not_there(void **state) {
  (void)state;
  const char key[] = "a key", data[] = "what was worked out";
  char path[512];
  unsigned char whole[256], changed[256];
  size_t bytes;
  assert_null(cosrel_cl_cache_read("test", key, sizeof key, &bytes));
  assert_true(cosrel_cl_cache_write("test", key, sizeof key, data, sizeof data));
  char *got = cosrel_cl_cache_read("test", key, sizeof key, &bytes);
  assert_non_null(got);
  assert_int_equal(bytes, sizeof data);
  assert_string_equal(got, data);
  free(got);
  assert_null(cosrel_cl_cache_read("other", key, sizeof key, &bytes));
  assert_null(cosrel_cl_cache_read("test", "A key", sizeof key, &bytes));

  assert_true(cosrel_cl_cache_path("test", key, sizeof key, path, sizeof path));
  size_t n = read_whole(path, whole, sizeof whole);
  assert_true(n < sizeof whole - 1);
  for (size_t i = 0; i < n; i++) { /* cut anywhere, any byte changed */
    write_whole(path, whole, i);
    assert_null(cosrel_cl_cache_read("test", key, sizeof key, &bytes));
    memcpy(changed, whole, n);
    changed[i] ^= 0x10;
    write_whole(path, changed, n);
    assert_null(cosrel_cl_cache_read("test", key, sizeof key, &bytes));
  }
  memcpy(changed, whole, n);
  changed[n] = 0;
  write_whole(path, changed, n + 1); /* something behind it */
  assert_null(cosrel_cl_cache_read("test", key, sizeof key, &bytes));
  assert_true(cosrel_cl_cache_write("test", key, sizeof key, data, sizeof data)); /* is written anew */
  got = cosrel_cl_cache_read("test", key, sizeof key, &bytes);
  assert_non_null(got);
  free(got);
  assert_true(cosrel_cl_cache_write("test", "none", 4, data, 0));
  got = cosrel_cl_cache_read("test", "none", 4, &bytes);
  assert_non_null(got);
  assert_int_equal(bytes, 0);
  free(got);
}

static void a_folder_that_cannot_be_used_is_no_error(void **state) {
  (void)state;
  size_t bytes;
  static const char *const useless[] = {"", "/proc/there is no such folder", "/dev/null/cosrel"};
  for (size_t i = 0; i < sizeof useless / sizeof useless[0]; i++) {
    setenv("COSREL_CACHE", useless[i], 1);
    assert_false(cosrel_cl_cache_write("test", "k", 1, "d", 1));
    assert_null(cosrel_cl_cache_read("test", "k", 1, &bytes));
    if (cosrel_cl_device_count(NULL) == 0) continue;
    cosrel_cl_device device;
    cosrel_cl_programs programs;
    cosrel_error error;
    if (!open_device("p=opencl", &device, &error)) fail_msg("%s", error.text);
    cosrel_cl_programs_init(&programs, &device);
    assert_true(fills(&device, &programs, 10, 1));
    assert_int_equal(programs.n_compiled, 1);
    cosrel_cl_programs_destroy(&programs);
    cosrel_cl_device_close(&device);
  }
  setenv("COSREL_CACHE", folder, 1);
}

/* Fills on a new device; says how the program came. */
static void count_programs(uint32_t *compiled, uint32_t *loaded) {
  cosrel_cl_device device;
  cosrel_cl_programs programs;
  cosrel_error error;
  if (!open_device("p=opencl", &device, &error)) fail_msg("%s", error.text);
  cosrel_cl_programs_init(&programs, &device);
  assert_true(fills(&device, &programs, 100, 3));
  *compiled = programs.n_compiled;
  *loaded = programs.n_loaded;
  cosrel_cl_programs_destroy(&programs);
  cosrel_cl_device_close(&device);
}

/* The only entry of programs in the folder. */
static bool find_program(char *path, size_t n) {
  bool found = false;
  DIR *dir = opendir(folder);
  assert_non_null(dir);
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (strncmp(entry->d_name, "program-", 8) != 0) continue;
    snprintf(path, n, "%s/%s", folder, entry->d_name);
    found = true;
  }
  closedir(dir);
  return found;
}

static void programs_are_kept_and_rebuilt(void **state) {
  (void)state;
  uint32_t compiled, loaded;
  char path[512];
  if (!has_device("programs on disk")) return;
  remove_entries();
  count_programs(&compiled, &loaded);
  assert_true(compiled == 1 && loaded == 0);
  if (!find_program(path, sizeof path)) {
    printf("skipped: programs on disk (the driver gives no binaries)\n");
    return;
  }
  count_programs(&compiled, &loaded);
  assert_true(compiled == 0 && loaded == 1);

  size_t most = (size_t)32 << 20;
  unsigned char *whole = malloc(most);
  assert_non_null(whole);
  size_t n = read_whole(path, whole, most);
  assert_true(n > 100 && n < most);
  write_whole(path, whole, n / 2);
  count_programs(&compiled, &loaded);
  assert_true(compiled == 1 && loaded == 0);
  whole[n / 2] ^= 1;
  write_whole(path, whole, n);
  count_programs(&compiled, &loaded);
  assert_true(compiled == 1 && loaded == 0);

  /* An entry that is whole but no binary of this driver: after the header of 32 bytes comes the key. */
  uint64_t key_bytes;
  n = read_whole(path, whole, most);
  memcpy(&key_bytes, whole + 8, sizeof key_bytes);
  assert_true(key_bytes < n - 32);
  assert_true(cosrel_cl_cache_write("program", whole + 32, (size_t)key_bytes, "this is no binary", 17));
  count_programs(&compiled, &loaded);
  assert_true(compiled == 1 && loaded == 0);
  count_programs(&compiled, &loaded);
  assert_true(compiled == 0 && loaded == 1);
  free(whole);
}

/* ---- Cores ---- */

/* The text of /proc/self/task/ID/NAME; empty when the thread has ended. */
static void read_thread(const char *id, const char *name, char *text, size_t n) {
  char path[128];
  snprintf(path, sizeof path, "/proc/self/task/%.20s/%s", id, name);
  FILE *file = fopen(path, "r");
  size_t bytes = file != NULL ? fread(text, 1, n - 1, file) : 0;
  if (file != NULL) fclose(file);
  text[bytes] = '\0';
}

/* Ticks of the CPU that thread `id` of this process has used, and the core that it may use: -1 when there are several.
 */
static unsigned long thread_ticks(const char *id, int *core) {
  char text[4096];
  unsigned long ticks = 0;
  read_thread(id, "status", text, sizeof text);
  const char *list = strstr(text, "Cpus_allowed_list:\t");
  char *end = text;
  *core = -1;
  if (list != NULL) {
    long only = strtol(list + 19, &end, 10);
    if (*end == '\n') *core = (int)only;
  }
  read_thread(id, "stat", text, sizeof text);
  char *at = strrchr(text, ')'); /* behind the name; fields 14 and 15 are user and system time */
  for (int field = 3; at != NULL && field <= 15; field++) {
    at = strchr(at + 1, ' ');
    if (at != NULL && field >= 14) ticks += strtoul(at + 1, NULL, 10);
  }
  return ticks;
}

/* Of all threads but this one, those bound to core 0 and those bound to core 1. */
static void count_ticks(unsigned long ticks[2]) {
  DIR *dir = opendir("/proc/self/task");
  ticks[0] = ticks[1] = 0;
  assert_non_null(dir);
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    int core = -1;
    if (entry->d_name[0] == '.' || strtol(entry->d_name, NULL, 10) == (long)getpid()) continue;
    unsigned long used = thread_ticks(entry->d_name, &core);
    if (core == 0 || core == 1) ticks[core] += used;
  }
  closedir(dir);
}

/* PoCL computes on cores of this machine: cores=1 must be core 1. */
static void pocl_stays_on_its_cores(void **state) {
  (void)state;
  cosrel_cl_device device;
  cosrel_cl_programs programs;
  cosrel_error error = {""};
  if (sysconf(_SC_NPROCESSORS_ONLN) < 2 || !open_device("p=opencl:device=Portable:cores=1", &device, &error)) {
    printf("skipped: PoCL on a core of its own (%s)\n", error.text[0] != '\0' ? error.text : "one core only");
    return;
  }
  assert_int_equal(device.units, 1);
  cosrel_cl_programs_init(&programs, &device);
  assert_true(fills(&device, &programs, 1000, 1));
  unsigned long before[2], after[2];
  count_ticks(before);
  const cosrel_cl_buffers buffers = {NULL, NULL, NULL};
  cosrel_cl_launch launch = fill_launch(1 << 24, 1);
  cl_mem memory = make_buffer(&device, (size_t)1 << 24);
  assert_int_equal(cosrel_cl_launch_make(&launch, &programs, &buffers, &error), COSREL_OK);
  for (int i = 0; i < 1000; i++) { /* until it shows in the clock's ticks */
    assert_true(cosrel_cl_launch_time(&device, &launch, memory, 1) >= 0);
    count_ticks(after);
    if (after[1] + after[0] > before[1] + before[0] + 20) break;
  }
  assert_true(after[1] - before[1] > 10);
  assert_true(after[0] - before[0] <= 2);
  cosrel_cl_launch_destroy(&device, &launch);
  device.api.ReleaseMemObject(memory);
  cosrel_cl_programs_destroy(&programs);
  cosrel_cl_device_close(&device);
}

/* ---- Segments ---- */

typedef struct gpu {
  const cosrel_backend_ops *ops;
  cosrel_backend *backend;
  cosrel_network network;
  cosrel_prepared *prepared;
  cosrel_buffer *buffer;
} gpu;

/* 30 units that take some milliseconds each. */
static void open_gpu(gpu *g) {
  aid_net a;
  cosrel_error error = {""};
  cosrel_backend_spec spec = {.processor = "gpu", .backend = "opencl"};
  aid_begin(&a, 1, 14);
  int32_t x = aid_input(&a, AID_SHAPE(1 << 20));
  for (int i = 0; i < 30; i++) x = i % 2 == 0 ? AID_NODE(&a, "Erf", x) : AID_NODE(&a, "Add", x, aid_scalar(&a, 0.5F));
  aid_output(&a, x);
  assert_int_equal(cosrel_net_settle(&a.net, &error), COSREL_OK);
  assert_int_equal(cosrel_network_create(&a.net, &g->network, &error), COSREL_OK);
  if (cosrel_backend_open(&spec, &g->backend, &error) != COSREL_OK) fail_msg("%s", error.text);
  g->ops = g->backend->ops;
  if (g->ops->prepare(g->backend, &g->network, NULL, &g->prepared, &error) != COSREL_OK) fail_msg("%s", error.text);
  if (g->ops->buffer_create(g->backend, (size_t)g->network.arena_bytes, &g->buffer, &error) != COSREL_OK)
    fail_msg("%s", error.text);
}

static void close_gpu(gpu *g) {
  g->ops->buffer_destroy(g->backend, g->buffer);
  g->ops->release(g->backend, g->prepared);
  g->ops->close(g->backend);
  cosrel_network_destroy(&g->network);
}

/* A whole request; the result must be right. */
static void check_request(gpu *g, uint32_t step) {
  const cosrel_net *net = &g->network.net;
  char why[256];
  void *arena = aid_arena(&g->network);
  float **inputs = aid_inputs(net, 3), **expected = aid_expected(net, inputs);
  cosrel_network_put_inputs(&g->network, (const float *const *)inputs, arena);
  size_t at = (size_t)g->network.offsets[net->inputs[0]], out = (size_t)g->network.offsets[net->outputs[0]];
  size_t bytes = (size_t)4 << 20;
  assert_int_equal(g->ops->write(g->backend, g->buffer, at, (char *)arena + at, bytes), COSREL_OK);
  for (uint32_t u = 0; u < g->network.model.n_units; u += step) {
    uint32_t end = u + step < g->network.model.n_units ? u + step : g->network.model.n_units;
    assert_int_equal(g->ops->submit(g->backend, g->prepared, NULL, g->buffer, u, end), COSREL_OK);
    assert_int_equal(g->ops->wait(g->backend, 60 * COSREL_S), COSREL_OK);
  }
  assert_int_equal(g->ops->read(g->backend, g->buffer, out, (char *)arena + out, bytes), COSREL_OK);
  float **outputs = aid_outputs(&g->network, arena);
  if (!aid_agree(net, outputs, expected, why)) fail_msg("%s", why);
  aid_free(outputs, 1);
  aid_free(expected, 1);
  aid_free(inputs, 1);
  free(arena);
}

static void segments_keep_their_budget(void **state) {
  (void)state;
  gpu g;
  if (!has_device("budgets")) return;
  open_gpu(&g);
  check_request(&g, 30);
  uint32_t interrupted = 0;
  for (int i = 0; i < 5; i++) { /* far less than it takes; a fast device may be done with what was enqueued */
    assert_int_equal(g.ops->submit(g.backend, g.prepared, NULL, g.buffer, 0, g.network.model.n_units), COSREL_OK);
    cosrel_status status = g.ops->wait(g.backend, 1000);
    assert_true(status == COSREL_OK || status == COSREL_INTERRUPTED);
    interrupted += status == COSREL_INTERRUPTED;
  }
  assert_true(interrupted > 0);
  check_request(&g, 7); /* the instance works as before */
  close_gpu(&g);
}

static void segments_tell_the_devices_time(void **state) {
  (void)state;
  gpu g;
  cosrel_telemetry telemetry;
  if (!has_device("device time")) return;
  open_gpu(&g);
  g.ops->telemetry(g.backend, &telemetry);
  assert_int_equal(telemetry.device_ns, -1); /* no segment yet */
  cosrel_time start = cosrel_monotonic_now();
  check_request(&g, 30);
  cosrel_time took = cosrel_monotonic_now() - start;
  g.ops->telemetry(g.backend, &telemetry);
  assert_true(telemetry.device_ns > 0 && telemetry.device_ns <= took);
  close_gpu(&g);
}

typedef struct canceller {
  gpu *g;
  atomic_bool stop;
} canceller;

static void *keep_cancelling(void *argument) {
  canceller *c = argument;
  while (!atomic_load(&c->stop)) c->g->ops->cancel(c->g->backend);
  return NULL;
}

static void cancelled_segments_end_early(void **state) {
  (void)state;
  gpu g;
  canceller c = {.g = &g};
  pthread_t thread;
  if (!has_device("cancelling")) return;
  open_gpu(&g);
  assert_int_equal(pthread_create(&thread, NULL, keep_cancelling, &c), 0);
  cosrel_status status = COSREL_OK;
  for (int i = 0; i < 100 && status == COSREL_OK; i++) {
    assert_int_equal(g.ops->submit(g.backend, g.prepared, NULL, g.buffer, 0, g.network.model.n_units), COSREL_OK);
    status = g.ops->wait(g.backend, 60 * COSREL_S);
  }
  atomic_store(&c.stop, true);
  pthread_join(thread, NULL);
  assert_int_equal(status, COSREL_INTERRUPTED);
  check_request(&g, 30);
  close_gpu(&g);
}

/* Another processor fetches a tensor while a segment that does not touch it runs. */
static void tensors_can_be_read_meanwhile(void **state) {
  (void)state;
  gpu g;
  if (!has_device("reading while a segment runs")) return;
  open_gpu(&g);
  size_t bytes = (size_t)4 << 20, at = bytes / 2; /* the arena holds two tensors; the first is read twice by halves */
  cosrel_buffer *other;
  cosrel_error error;
  assert_int_equal(g.ops->buffer_create(g.backend, bytes, &other, &error), COSREL_OK);
  float *host = malloc(bytes), *again = malloc(bytes);
  if (host == NULL || again == NULL) abort();
  aid_fill(host, bytes / sizeof *host, 5);
  assert_int_equal(g.ops->write(g.backend, other, 0, host, bytes), COSREL_OK);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(g.ops->submit(g.backend, g.prepared, NULL, g.buffer, 0, g.network.model.n_units), COSREL_OK);
    memset(again, 0, bytes);
    assert_int_equal(g.ops->read(g.backend, other, 0, again, at), COSREL_OK);
    assert_int_equal(g.ops->read(g.backend, other, at, again + at / sizeof *again, bytes - at), COSREL_OK);
    assert_memory_equal(again, host, bytes);
    assert_int_equal(g.ops->wait(g.backend, 60 * COSREL_S), COSREL_OK);
  }
  g.ops->buffer_destroy(g.backend, other);
  free(host);
  free(again);
  close_gpu(&g);
}

static void wrong_calls_are_refused(void **state) {
  (void)state;
  gpu g;
  float x[4] = {0};
  if (!has_device("wrong calls")) return;
  open_gpu(&g);
  size_t end = (size_t)g.network.arena_bytes;
  assert_int_equal(g.ops->submit(g.backend, g.prepared, x, NULL, 0, 1), COSREL_INVALID);
  assert_int_equal(g.ops->write(g.backend, g.buffer, end - 8, x, sizeof x), COSREL_INVALID);
  assert_int_equal(g.ops->read(g.backend, g.buffer, end + 8, x, 0), COSREL_INVALID);
  assert_int_equal(g.ops->write(g.backend, g.buffer, end - sizeof x, x, sizeof x), COSREL_OK);
  cosrel_buffer *buffer = NULL;
  cosrel_error error = {""};
  assert_int_not_equal(g.ops->buffer_create(g.backend, SIZE_MAX / 2, &buffer, &error), COSREL_OK);
  assert_null(buffer);
  assert_true(error.text[0] != '\0');
  check_request(&g, 30);
  close_gpu(&g);
}

/* ---- What it can compute ---- */

/* No unit of the zoo's networks is left to other processors; that they are right is for test_backends. */
static void zoo_models_are_supported(void **state) {
  (void)state;
  uint32_t n;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&n);
  for (uint32_t i = 0; i < n; i++) {
    char path[COSREL_NAME_MAX + 8];
    cosrel_network network;
    cosrel_error error;
    snprintf(path, sizeof path, "zoo:%s%s", table[i].name, strcmp(table[i].name, "vgg16") == 0 ? "@32" : ""); /* big */
    if (cosrel_network_open(path, &network, &error) != COSREL_OK) fail_msg("%s", error.text);
    for (uint32_t u = 0; u < network.model.n_units; u++)
      if (!cosrel_cl_supports(&network, u, COSREL_FP32)) fail_msg("%s: %s", table[i].name, network.model.units[u].name);
    cosrel_network_destroy(&network);
  }
}

static int make_folder(void **state) {
  (void)state;
  if (mkdtemp(folder) == NULL) return -1;
  setenv("COSREL_CACHE", folder, 1);
  setenv("COSREL_TUNE", "0", 1);
  return 0;
}

static int remove_folder(void **state) {
  (void)state;
  remove_entries();
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(works_without_a_loader),         cmocka_unit_test(codes_have_names),
      cmocka_unit_test(devices_are_chosen_by_the_spec), cmocka_unit_test(bad_launches_are_refused),
      cmocka_unit_test(entries_are_whole_or_not_there), cmocka_unit_test(a_folder_that_cannot_be_used_is_no_error),
      cmocka_unit_test(programs_are_kept_and_rebuilt),  cmocka_unit_test(pocl_stays_on_its_cores),
      cmocka_unit_test(segments_keep_their_budget),     cmocka_unit_test(segments_tell_the_devices_time),
      cmocka_unit_test(cancelled_segments_end_early),   cmocka_unit_test(tensors_can_be_read_meanwhile),
      cmocka_unit_test(wrong_calls_are_refused),        cmocka_unit_test(zoo_models_are_supported),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

#else

int main(void) {
  printf("skipped: OpenCL (its headers were not there when this was built; Debian has them in opencl-headers)\n");
  return 0;
}

#endif
