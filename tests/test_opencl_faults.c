/* OpenCL devices that break down: a double of the vendor's library (tests/opencl_double.c) fails under the backend, so
 * that all of the program's own code runs. First calls by hand, then whole runs beside a processor that is well. */
#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <cmocka.h>

#include "backends/opencl/device.h"
#include "tests/opencl_double.h"
#include "tests/rig.h"

/* What hangs is left to its driver for good, and nobody looks for it any more; all else is checked for leaks, here by
 * count_objects, and in test_torment. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:cosrel_cl_plan\nleak:libpocl\n"; }

static opencl_double_set_fn *break_down;
static opencl_double_launches_fn *count_launches;
static opencl_double_calls_fn *count_calls;
static opencl_double_objects_fn *count_objects;
static opencl_double_constants_fn *count_constants;

static bool has_device(const char *test) {
  if (count_calls != NULL && cosrel_cl_device_count(NULL) > 0) return true;
  printf("skipped: %s (no OpenCL device; Debian has PoCL in pocl-opencl-icd)\n", test);
  return false;
}

static void pause_for(cosrel_time t) {
  struct timespec pause = {.tv_sec = (time_t)(t / COSREL_S), .tv_nsec = (long)(t % COSREL_S)};
  nanosleep(&pause, NULL);
}

/* ---- By hand ---- */

/* Elements of a tensor. The longer ones take a processor's cores some milliseconds a unit: far more than is enqueued at
 * once. A fast device gets all of it. */
enum { SHORT = 1 << 12, LONG = 1 << 20, UNITS = 30 };

/* A chain of units, and room for one request. */
typedef struct gpu {
  cosrel_network network;
  cosrel_machine machine;
  const cosrel_backend_ops *ops;
  cosrel_backend *backend;
  cosrel_prepared *prepared;
  cosrel_buffer *buffer;
  uint64_t launches; /* of a request */
} gpu;

static cosrel_status try_open(gpu *g, uint32_t elements, cosrel_error *error) {
  aid_net a;
  const cosrel_backend_spec spec = {.processor = "gpu", .backend = "opencl"};
  const cosrel_network *network = &g->network;
  aid_begin(&a, 1, 14);
  int32_t x = aid_input(&a, AID_SHAPE(elements));
  for (int i = 0; i < UNITS; i++)
    x = i % 2 == 0 ? AID_NODE(&a, "Erf", x) : AID_NODE(&a, "Add", x, aid_scalar(&a, 0.5F));
  aid_output(&a, x);
  assert_int_equal(cosrel_net_settle(&a.net, error), COSREL_OK);
  assert_int_equal(cosrel_network_create(&a.net, &g->network, error), COSREL_OK);
  cosrel_status status = cosrel_machine_open(&spec, 1, &network, 1, &g->machine, error);
  if (status != COSREL_OK) {
    cosrel_network_destroy(&g->network);
    return status;
  }
  g->backend = g->machine.backends[0];
  g->ops = g->backend->ops;
  g->prepared = g->machine.prepared[0][0];
  status = g->ops->buffer_create(g->backend, (size_t)g->network.arena_bytes, &g->buffer, error);
  assert_int_equal(status, COSREL_OK);
  return status;
}

static void open_gpu(gpu *g, uint32_t elements) {
  cosrel_error error = {""};
  if (try_open(g, elements, &error) != COSREL_OK) fail_msg("%s", error.text);
}

static void close_gpu(gpu *g) {
  g->ops->buffer_destroy(g->backend, g->buffer);
  cosrel_machine_close(&g->machine);
  cosrel_network_destroy(&g->network);
}

static cosrel_status submit(gpu *g) {
  return g->ops->submit(g->backend, g->prepared, NULL, g->buffer, 0, g->network.model.n_units);
}

/* A whole request; the result must be right. */
static void check_request(gpu *g) {
  const cosrel_net *net = &g->network.net;
  char why[256];
  void *arena = aid_arena(&g->network);
  float **inputs = aid_inputs(net, 3), **expected = aid_expected(net, inputs);
  cosrel_network_put_inputs(&g->network, (const float *const *)inputs, arena);
  size_t bytes = (size_t)g->network.arena_bytes;
  assert_int_equal(g->ops->write(g->backend, g->buffer, 0, arena, bytes), COSREL_OK);
  g->launches = count_launches();
  assert_int_equal(submit(g), COSREL_OK);
  assert_int_equal(g->ops->wait(g->backend, 60 * COSREL_S), COSREL_OK);
  g->launches = count_launches() - g->launches;
  assert_int_equal(g->ops->read(g->backend, g->buffer, 0, arena, bytes), COSREL_OK);
  float **outputs = aid_outputs(&g->network, arena);
  if (!aid_agree(net, outputs, expected, why)) fail_msg("%s", why);
  aid_free(outputs, 1);
  aid_free(expected, 1);
  aid_free(inputs, 1);
  free(arena);
}

/* Whether all of a request has been enqueued since there were `before` launches. */
static bool is_enqueued(const gpu *g, uint64_t before) { return count_launches() >= before + g->launches; }

/* Every call says so, and none of them asks the driver. */
static void check_lost(gpu *g) {
  float x[4] = {0};
  uint64_t before = count_calls();
  assert_int_equal(submit(g), COSREL_IO);
  assert_int_equal(g->ops->wait(g->backend, COSREL_S), COSREL_IO);
  assert_int_equal(g->ops->write(g->backend, g->buffer, 0, x, sizeof x), COSREL_IO);
  assert_int_equal(g->ops->read(g->backend, g->buffer, 0, x, sizeof x), COSREL_IO);
  assert_int_equal(count_calls(), before);
}

/* Segments that are refused or broken off: the device is lost, but nothing of it stays behind. */
static void lose_device(opencl_double_fault fault, uint32_t elements, bool running) {
  gpu g;
  int64_t before = count_objects();
  open_gpu(&g, elements);
  check_request(&g);
  uint64_t launches = count_launches();
  if (!running) break_down(fault);
  cosrel_status status = submit(&g);
  bool enqueued = is_enqueued(&g, launches);
  break_down(fault);
  if (status == COSREL_OK) status = g.ops->wait(g.backend, 60 * COSREL_S);
  if (fault == DOUBLE_REFUSES_LAUNCHES && enqueued) {
    assert_int_equal(status, COSREL_OK); /* there was nothing left to refuse */
  } else {
    assert_int_equal(status, COSREL_IO);
    check_lost(&g);
    break_down(DOUBLE_WELL);
    check_lost(&g); /* it does not come back by itself */
  }
  break_down(DOUBLE_WELL);
  close_gpu(&g);
  assert_int_equal(count_objects(), before);
  open_gpu(&g, SHORT);
  check_request(&g);
  close_gpu(&g);
  assert_int_equal(count_objects(), before);
}

static void a_lost_device_is_given_back(void **state) {
  (void)state;
  if (!has_device("a lost device")) return;
  for (int running = 0; running < 2; running++) {
    lose_device(DOUBLE_REFUSES_LAUNCHES, running == 1 ? LONG : SHORT, running == 1);
    lose_device(DOUBLE_BREAKS_OFF, SHORT, running == 1);
    lose_device(DOUBLE_GONE, SHORT, running == 1);
  }
}

/* What a driver may still write to is left to it for good; that what is left can be found is for the leak checker. */
static void what_hangs_is_left_alone(void **state) {
  (void)state;
  static gpu left;
  static cosrel_prepared *prepared;
  gpu g;
  if (!has_device("a device that hangs")) return;
  open_gpu(&left, SHORT);
  prepared = left.prepared;
  check_request(&left);
  break_down(DOUBLE_HANGS);
  assert_int_equal(submit(&left), COSREL_OK);
  assert_int_equal(left.ops->wait(left.backend, 10 * COSREL_MS), COSREL_IO);
  check_lost(&left);
  uint64_t before = count_calls();
  cosrel_backend *backend = left.backend;
  close_gpu(&left);
  left.backend = backend;
  left.prepared = prepared;
  assert_int_equal(count_calls(), before);
  break_down(DOUBLE_WELL); /* callbacks come now that nobody waits for them */
  open_gpu(&g, SHORT);
  check_request(&g);
  close_gpu(&g);
}

/* They only spare waiting. */
static void callbacks_may_not_come(void **state) {
  (void)state;
  static gpu left;
  gpu g;
  if (!has_device("callbacks that do not come")) return;
  int64_t before = count_objects();
  open_gpu(&g, SHORT);
  break_down(DOUBLE_REFUSES_CALLBACKS);
  check_request(&g);
  close_gpu(&g);
  assert_int_equal(count_objects(), before);
  break_down(DOUBLE_WELL);
  open_gpu(&left, SHORT);
  break_down(DOUBLE_FORGETS_CALLBACKS);
  check_request(&left);
  cosrel_backend *backend = left.backend;
  close_gpu(&left); /* they might come later: the instance waits for them, without anybody */
  left.backend = backend;
  break_down(DOUBLE_WELL);
}

static void transfers_fail(void **state) {
  (void)state;
  gpu g;
  float x[4] = {0};
  cosrel_buffer *buffer = NULL;
  cosrel_error error = {""};
  if (!has_device("transfers that fail")) return;
  int64_t before = count_objects();
  open_gpu(&g, SHORT);
  break_down(DOUBLE_REFUSES_TRANSFERS);
  assert_int_equal(g.ops->write(g.backend, g.buffer, 0, x, sizeof x), COSREL_IO);
  assert_int_equal(g.ops->read(g.backend, g.buffer, 0, x, sizeof x), COSREL_IO);
  assert_int_equal(g.ops->buffer_create(g.backend, 4096, &buffer, &error), COSREL_IO);
  assert_null(buffer);
  break_down(DOUBLE_GONE);
  assert_int_equal(g.ops->buffer_create(g.backend, 4096, &buffer, &error), COSREL_IO);
  assert_non_null(strstr(error.text, "CL_DEVICE_NOT_AVAILABLE"));
  break_down(DOUBLE_WELL);
  close_gpu(&g);
  assert_int_equal(count_objects(), before);
}

static void opening_is_refused_with_a_line(void **state) {
  (void)state;
  static const struct {
    opencl_double_fault fault;
    const char *line;
  } cases[] = {{DOUBLE_GONE, "gpu: opencl: OpenCL knows no device here"},
               {DOUBLE_CANNOT_BUILD, "kernels/"},
               {DOUBLE_REFUSES_LAUNCHES, " failed on "},
               {DOUBLE_BREAKS_OFF, " failed on "},
               {DOUBLE_REFUSES_TRANSFERS, "CL_OUT_OF_RESOURCES"}};
  gpu g;
  if (!has_device("opening a device that fails")) return;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cosrel_error error = {""};
    int64_t before = count_objects();
    break_down(cases[i].fault);
    cosrel_status status = try_open(&g, SHORT, &error);
    break_down(DOUBLE_WELL);
    assert_int_not_equal(status, COSREL_OK);
    if (strstr(error.text, cases[i].line) == NULL) fail_msg("expected \"%s\": %s", cases[i].line, error.text);
    assert_null(strchr(error.text, '\n'));
    assert_int_equal(count_objects(), before);
  }
}

/* What lies in the device's memory is looked at when it is copied from there, so until then kernels must hand a NaN on:
 * one in any unit's output must reach the last one's. */
static void a_nan_reaches_the_output(void **state) {
  (void)state;
  static const char *const processors[] = {"x=opencl", "y=reference"};
  const float nan = NAN;
  if (!has_device("NaN on the device")) return;
  rig *r = rig_open(processors, 2);
  cosrel_backend *backend = r->machine.backends[0];
  const cosrel_backend_ops *ops = backend->ops;
  for (uint32_t n = 0; n < RIG_NETWORKS; n++) {
    const cosrel_network *network = &r->networks[n];
    uint32_t end = network->model.n_units;
    cosrel_buffer *buffer;
    cosrel_error error = {""};
    void *arena = aid_arena(network);
    size_t bytes = (size_t)network->arena_bytes;
    assert_int_equal(ops->buffer_create(backend, bytes, &buffer, &error), COSREL_OK);
    for (uint32_t u = 0; u < end; u++) {
      cosrel_prepared *prepared = r->machine.prepared[0][n];
      memset(arena, 0, bytes);
      cosrel_network_put_inputs(network, (const float *const *)r->inputs[n], arena);
      assert_int_equal(ops->write(backend, buffer, 0, arena, bytes), COSREL_OK);
      assert_int_equal(ops->submit(backend, prepared, NULL, buffer, 0, u + 1), COSREL_OK);
      assert_int_equal(ops->wait(backend, 60 * COSREL_S), COSREL_OK);
      size_t at = (size_t)network->offsets[network->units[u].output];
      assert_int_equal(ops->write(backend, buffer, at, &nan, sizeof nan), COSREL_OK);
      if (u + 1 < end) assert_int_equal(ops->submit(backend, prepared, NULL, buffer, u + 1, end), COSREL_OK);
      if (u + 1 < end) assert_int_equal(ops->wait(backend, 60 * COSREL_S), COSREL_OK);
      int32_t last = network->units[end - 1].output;
      uint64_t elements = cosrel_shape_elements(&network->net.values[last].tensor.shape);
      at = (size_t)network->offsets[last];
      assert_int_equal(ops->read(backend, buffer, at, arena, (size_t)elements * sizeof(float)), COSREL_OK);
      if (!cosrel_floats_have_nan(arena, elements)) fail_msg("a NaN behind %s is lost", network->model.units[u].name);
    }
    ops->buffer_destroy(backend, buffer);
    free(arena);
  }
  rig_close(r);
}

static void *run_segment(void *argument) {
  static cosrel_status status;
  gpu *g = argument;
  status = submit(g);
  if (status == COSREL_OK) status = g->ops->wait(g->backend, 60 * COSREL_S);
  return &status;
}

/* A segment that surely runs, on another thread. */
static void a_running_segment_is_cancelled(void **state) {
  (void)state;
  gpu g;
  pthread_t thread;
  void *result;
  if (!has_device("cancelling")) return;
  open_gpu(&g, LONG);
  check_request(&g);
  uint64_t before = count_launches();
  break_down(DOUBLE_HANGS);
  assert_int_equal(pthread_create(&thread, NULL, run_segment, &g), 0);
  while (count_launches() == before) pause_for(COSREL_MS);
  g.ops->cancel(g.backend);
  bool enqueued = is_enqueued(&g, before);
  break_down(DOUBLE_WELL);
  assert_int_equal(pthread_join(thread, &result), 0);
  assert_int_equal(*(cosrel_status *)result, enqueued ? COSREL_OK : COSREL_INTERRUPTED);
  check_request(&g);
  close_gpu(&g);
}

/* ---- Runs ---- */

typedef struct ladder {
  opencl_double_fault fault;
  uint32_t good, good_then; /* segments of the GPU; when it was taken back */
  int ill;                  /* processors in quarantine */
  bool broken, healed, restored;
} ladder;

static ladder *climbing;

static void on_segment(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment) {
  (void)c, (void)state;
  ladder *l = self;
  if (segment->processor != 0) return;
  if (++l->good < 5 || l->broken) return;
  l->broken = true;
  break_down(l->fault);
}

/* The device is well again once a probe has failed. */
static void on_health(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor,
                      cosrel_health what) {
  (void)c, (void)state, (void)processor;
  ladder *l = self;
  if (what == COSREL_QUARANTINED) l->ill++;
  if (what == COSREL_RESTORED) l->ill--;
  if (what == COSREL_STILL_ILL && !l->healed) {
    l->healed = true;
    break_down(DOUBLE_WELL);
  }
  if (what == COSREL_RESTORED && l->healed && l->ill == 0 && !l->restored) {
    l->restored = true;
    l->good_then = l->good;
  }
}

static bool is_at_the_top(void) { return climbing->restored && climbing->good >= climbing->good_then + 3; }

static rig *open_rig(void) {
  static const char *const processors[] = {"x=opencl", "y=reference"};
  rig *r = rig_open(processors, 2);
  cosrel_case_set_arrivals(&r->f.c, COSREL_ARRIVALS_POISSON);
  return r;
}

/* The device breaks down in the run, is found out, opened again and taken back; requests go on elsewhere meanwhile. */
static void climb(const char *what, opencl_double_fault fault, cosrel_fault seen) {
  ladder l = {.fault = fault};
  const cosrel_injection_plan none = {0};
  if (!has_device(what)) return;
  int64_t before = count_objects();
  rig *r = open_rig();
  climbing = &l;
  r->listener = (cosrel_sink){.self = &l, .segment = on_segment, .health = on_health};
  r->config.stop = is_at_the_top;
  r->config.segment_limit = 300 * COSREL_MS; /* of probes too, where the device hangs while it is opened */
  rig_run(r, &none, fault, 6 * COSREL_S);
  break_down(DOUBLE_WELL);
  assert_true(l.broken && l.healed && l.restored);
  assert_true(r->counts.faults[seen] > 0 && r->counts.completed > 0);
  assert_int_equal(r->n_left, 0);
  rig_close(r);
  if (fault != DOUBLE_HANGS) assert_int_equal(count_objects(), before); /* what hung stays behind */
}

static void launches_are_refused(void **unused) {
  (void)unused;
  climb("launches that are refused", DOUBLE_REFUSES_LAUNCHES, COSREL_FAULT_LOST);
}
static void segments_break_off(void **unused) {
  (void)unused;
  climb("segments that break off", DOUBLE_BREAKS_OFF, COSREL_FAULT_LOST);
}
static void segments_hang(void **unused) {
  (void)unused;
  climb("segments that hang", DOUBLE_HANGS, COSREL_FAULT_LOST);
}
static void transfers_are_refused(void **unused) {
  (void)unused;
  climb("transfers that are refused", DOUBLE_REFUSES_TRANSFERS, COSREL_FAULT_LOST);
}
static void transfers_hang(void **unused) {
  (void)unused;
  climb("transfers that hang", DOUBLE_HANGS_IN_TRANSFERS, COSREL_FAULT_HANG);
}
static void programs_cannot_be_built(void **unused) {
  (void)unused;
  climb("programs that cannot be built again", DOUBLE_CANNOT_BUILD, COSREL_FAULT_LOST);
}
static void the_device_is_gone(void **unused) {
  (void)unused;
  climb("a device that is gone", DOUBLE_GONE, COSREL_FAULT_LOST);
}

/* It does not come back before the end, which comes even so; what it holds is kept. */
static void the_end_does_not_wait_for_a_driver(void **unused) {
  (void)unused;
  static rig *kept;
  ladder l = {.fault = DOUBLE_HANGS_IN_TRANSFERS, .healed = true};
  const cosrel_injection_plan none = {0};
  if (!has_device("a driver that never returns")) return;
  kept = open_rig();
  kept->listener = (cosrel_sink){.self = &l, .segment = on_segment};
  rig_run(kept, &none, 1, 300 * COSREL_MS);
  assert_true(l.broken && kept->n_left > 0);
  break_down(DOUBLE_WELL);
  pause_for(500 * COSREL_MS); /* it has come back now, and has cleaned up */
}

/* ---- Not a fault: what the units' weights are said to take are the buffers that were made for them ---- */

/* A convolution that may be one of Winograd's, two units that read one constant, and one that makes its own. */
static void weighty(aid_net *a) {
  int32_t x = rig_conv(a, aid_input(a, AID_SHAPE(1, 16, 12, 12)), 16, 32, 3);
  int32_t shared = aid_constant(a, AID_SHAPE(32, 12, 12));
  x = AID_NODE(a, "Erf", AID_NODE(a, "Add", AID_NODE(a, "Erf", x), shared));
  x = AID_NODE(a, "Erf", AID_NODE(a, "Mul", x, shared));
  aid_output(a, AID_NODE(a, "Mean", x, rig_conv(a, x, 32, 32, 1), x));
}

static void weights_take_what_was_made(void **state) {
  (void)state;
  if (!has_device("bytes of weights on OpenCL")) return;
  aid_net a;
  cosrel_network network;
  cosrel_machine machine;
  cosrel_injector injector;
  cosrel_error error = {""};
  const cosrel_backend_spec spec = {.processor = "gpu", .backend = "opencl"};
  uint8_t half[COSREL_UNITS_MAX];
  memset(half, COSREL_FP16, sizeof half);
  aid_begin(&a, 1, 14);
  weighty(&a);
  assert_int_equal(cosrel_net_settle(&a.net, &error), COSREL_OK);
  assert_int_equal(cosrel_network_create(&a.net, &network, &error), COSREL_OK);
  assert_int_equal(cosrel_machine_connect(&spec, 1, NULL, 0, &machine, &error), COSREL_OK);
  cosrel_injector_begin(NULL, NULL, 0, &injector);
  assert_int_equal(cosrel_machine_inject(&machine, &injector, &error), COSREL_OK); /* who wraps it passes it on */
  cosrel_backend *backend = machine.backends[0];
  uint64_t totals[2] = {0, 0};
  for (int i = 0; i < 2; i++) {
    cosrel_prepared *prepared;
    uint64_t before = count_constants();
    assert_int_equal(backend->ops->prepare(backend, &network, i == 0 ? NULL : half, &prepared, &error), COSREL_OK);
    for (uint32_t u = 0; u < network.model.n_units; u++) totals[i] += backend->ops->weight_bytes(prepared, u);
    assert_int_equal(totals[i], count_constants() - before);
    backend->ops->release(backend, prepared);
  }
  assert_true(totals[1] < totals[0]);
  cosrel_machine_close(&machine);
  cosrel_network_destroy(&network);
}

/* ---- */

/* The double lies beside this program. */
static bool load_double(const char *self) {
  char path[4096];
  const char *slash = strrchr(self, '/');
  int n = snprintf(path, sizeof path, "%.*s/opencl_double.so", slash != NULL ? (int)(slash - self) : 1,
                   slash != NULL ? self : ".");
  if (n < 0 || (size_t)n >= sizeof path) return false;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *symbols[5];
  static const char *const names[] = {"opencl_double_set", "opencl_double_launches", "opencl_double_calls",
                                      "opencl_double_objects", "opencl_double_constants"};
  for (int i = 0; i < 5; i++)
    if (library == NULL || (symbols[i] = dlsym(library, names[i])) == NULL) return false;
  memcpy(&break_down, &symbols[0], sizeof symbols[0]);
  memcpy(&count_launches, &symbols[1], sizeof symbols[1]);
  memcpy(&count_calls, &symbols[2], sizeof symbols[2]);
  memcpy(&count_objects, &symbols[3], sizeof symbols[3]);
  memcpy(&count_constants, &symbols[4], sizeof symbols[4]);
  return setenv("COSREL_OPENCL", path, 1) == 0;
}

int main(int argc, char **argv) {
  (void)argc;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(weights_take_what_was_made),
      cmocka_unit_test(a_lost_device_is_given_back),
      cmocka_unit_test(what_hangs_is_left_alone),
      cmocka_unit_test(callbacks_may_not_come),
      cmocka_unit_test(transfers_fail),
      cmocka_unit_test(opening_is_refused_with_a_line),
      cmocka_unit_test(a_running_segment_is_cancelled),
      cmocka_unit_test(a_nan_reaches_the_output),
      cmocka_unit_test(launches_are_refused),
      cmocka_unit_test(segments_break_off),
      cmocka_unit_test(segments_hang),
      cmocka_unit_test(transfers_are_refused),
      cmocka_unit_test(transfers_hang),
      cmocka_unit_test(programs_cannot_be_built),
      cmocka_unit_test(the_device_is_gone),
      cmocka_unit_test(the_end_does_not_wait_for_a_driver),
  };
  if (!load_double(argv[0])) {
    printf("the double of OpenCL is not beside this program: make test builds it\n");
    return 1;
  }
  return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
