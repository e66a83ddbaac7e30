/* See opencl_double.h. The real library is the one that COSREL_OPENCL_REAL names, else the ICD loader. */
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include "tests/opencl_double.h"

#include <CL/cl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backends/opencl/api.h"

enum { OWED_MAX = 1024 };

typedef void CL_CALLBACK callback(cl_event, cl_int, void *);

typedef struct owed {
  callback *function;
  cl_event event;
  cl_int status;
  void *self;
} owed;

static cosrel_cl_api real;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static opencl_double_fault fault;
static uint64_t n_launches, n_calls, constant_bytes;
static int64_t n_objects;
static owed owing[OWED_MAX];
static uint32_t n_owing;

/* ---- What tests ask for ---- */

opencl_double_set_fn opencl_double_set;
opencl_double_launches_fn opencl_double_launches;
opencl_double_calls_fn opencl_double_calls;
opencl_double_objects_fn opencl_double_objects;
opencl_double_constants_fn opencl_double_constants;

void opencl_double_set(opencl_double_fault wanted) {
  pthread_mutex_lock(&lock);
  fault = wanted;
  pthread_cond_broadcast(&changed);
  while (fault != DOUBLE_HANGS && n_owing > 0) {
    owed o = owing[--n_owing];
    pthread_mutex_unlock(&lock);
    o.function(o.event, o.status, o.self);
    pthread_mutex_lock(&lock);
  }
  pthread_mutex_unlock(&lock);
}

static uint64_t count(const uint64_t *counter) {
  pthread_mutex_lock(&lock);
  uint64_t n = *counter;
  pthread_mutex_unlock(&lock);
  return n;
}

uint64_t opencl_double_launches(void) { return count(&n_launches); }
uint64_t opencl_double_calls(void) { return count(&n_calls); }
uint64_t opencl_double_constants(void) { return count(&constant_bytes); }
int64_t opencl_double_objects(void) {
  pthread_mutex_lock(&lock);
  int64_t n = n_objects;
  pthread_mutex_unlock(&lock);
  return n;
}

/* ---- What every call does ---- */

static void load(void) {
  const char *name = getenv("COSREL_OPENCL_REAL");
  void *library = dlopen(name != NULL ? name : "libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL), *symbol;
  if (library == NULL) return;
#define X(name) \
  if ((symbol = dlsym(library, "cl" #name)) != NULL) memcpy(&real.name, &symbol, sizeof symbol);
  COSREL_CL_MAP(X)
#undef X
}

/* Counts a call; what is wrong with the device now. */
static opencl_double_fault begin(void) {
  pthread_once(&once, load);
  pthread_mutex_lock(&lock);
  n_calls++;
  opencl_double_fault now = fault;
  pthread_mutex_unlock(&lock);
  return now;
}

static void made(bool good) {
  pthread_mutex_lock(&lock);
  n_objects += good;
  pthread_mutex_unlock(&lock);
}

static cl_int released(cl_int code) {
  pthread_mutex_lock(&lock);
  n_objects -= code == CL_SUCCESS;
  pthread_mutex_unlock(&lock);
  return code;
}

/* Until the device is in another state than `hanging`; returns that. */
static opencl_double_fault while_it_is(opencl_double_fault hanging) {
  pthread_mutex_lock(&lock);
  while (fault == hanging) pthread_cond_wait(&changed, &lock);
  opencl_double_fault now = fault;
  pthread_mutex_unlock(&lock);
  return now;
}

/* What a transfer ends with before it has begun. */
static cl_int transfer(void) {
  opencl_double_fault now = begin();
  if (now == DOUBLE_HANGS_IN_TRANSFERS) now = while_it_is(now);
  return now == DOUBLE_GONE                ? CL_DEVICE_NOT_AVAILABLE
         : now == DOUBLE_REFUSES_TRANSFERS ? CL_OUT_OF_RESOURCES
                                           : CL_SUCCESS;
}

static bool is_kernel(cl_event event) {
  cl_command_type type = 0;
  return real.GetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof type, &type, NULL) == CL_SUCCESS &&
         type == CL_COMMAND_NDRANGE_KERNEL;
}

static bool breaks_off(opencl_double_fault now, cl_event event) {
  return now == DOUBLE_GONE || ((now == DOUBLE_BREAKS_OFF || now == DOUBLE_CANNOT_BUILD) && is_kernel(event));
}

/* ---- Handed on as they are ---- */

#define HAND_ON(name, parameters, arguments) \
  cl_int cl##name parameters {               \
    begin();                                 \
    return real.name arguments;              \
  }
#define RELEASE(name, type)                      \
  cl_int clRelease##name(type object) {          \
    begin();                                     \
    return released(real.Release##name(object)); \
  }

HAND_ON(GetPlatformInfo, (cl_platform_id id, cl_platform_info what, size_t n, void *out, size_t *size),
        (id, what, n, out, size))
HAND_ON(GetDeviceInfo, (cl_device_id id, cl_device_info what, size_t n, void *out, size_t *size),
        (id, what, n, out, size))
HAND_ON(GetProgramInfo, (cl_program program, cl_program_info what, size_t n, void *out, size_t *size),
        (program, what, n, out, size))
HAND_ON(GetProgramBuildInfo,
        (cl_program program, cl_device_id id, cl_program_build_info what, size_t n, void *out, size_t *size),
        (program, id, what, n, out, size))
HAND_ON(SetKernelArg, (cl_kernel kernel, cl_uint i, size_t n, const void *value), (kernel, i, n, value))
HAND_ON(GetKernelWorkGroupInfo,
        (cl_kernel kernel, cl_device_id id, cl_kernel_work_group_info what, size_t n, void *out, size_t *size),
        (kernel, id, what, n, out, size))
HAND_ON(GetEventProfilingInfo, (cl_event event, cl_profiling_info what, size_t n, void *out, size_t *size),
        (event, what, n, out, size))
HAND_ON(Flush, (cl_command_queue queue), (queue))
HAND_ON(Finish, (cl_command_queue queue), (queue))
RELEASE(Context, cl_context)
RELEASE(CommandQueue, cl_command_queue)
RELEASE(MemObject, cl_mem)
RELEASE(Program, cl_program)
RELEASE(Kernel, cl_kernel)
RELEASE(Event, cl_event)
RELEASE(Device, cl_device_id)

/* ---- Objects ---- */

cl_int clGetPlatformIDs(cl_uint n, cl_platform_id *out, cl_uint *count) {
  begin();
  return real.GetPlatformIDs != NULL ? real.GetPlatformIDs(n, out, count) : CL_DEVICE_NOT_FOUND; /* no library */
}

cl_int clGetDeviceIDs(cl_platform_id platform, cl_device_type type, cl_uint n, cl_device_id *out, cl_uint *count) {
  return begin() == DOUBLE_GONE ? CL_DEVICE_NOT_FOUND : real.GetDeviceIDs(platform, type, n, out, count);
}

cl_int clCreateSubDevices(cl_device_id id, const cl_device_partition_property *properties, cl_uint n, cl_device_id *out,
                          cl_uint *n_out) {
  cl_uint found = 0;
  cl_int code =
      begin() == DOUBLE_GONE ? CL_DEVICE_NOT_AVAILABLE : real.CreateSubDevices(id, properties, n, out, &found);
  for (cl_uint i = 0; out != NULL && i < found && code == CL_SUCCESS; i++) made(true);
  if (n_out != NULL) *n_out = found;
  return code;
}

/* For calls that return an object and set *code. */
#define CREATE(call)                                     \
  do {                                                   \
    if (begin() == DOUBLE_GONE) {                        \
      if (code != NULL) *code = CL_DEVICE_NOT_AVAILABLE; \
      return NULL;                                       \
    }                                                    \
    void *object = call;                                 \
    made(object != NULL);                                \
    return object;                                       \
  } while (0)

cl_context clCreateContext(const cl_context_properties *properties, cl_uint n, const cl_device_id *ids,
                           void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *self,
                           cl_int *code) {
  CREATE(real.CreateContext(properties, n, ids, notify, self, code));
}

cl_command_queue clCreateCommandQueue(cl_context context, cl_device_id id, cl_command_queue_properties properties,
                                      cl_int *code) {
  CREATE(real.CreateCommandQueue(context, id, properties, code));
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t bytes, void *host, cl_int *code) {
  pthread_mutex_lock(&lock);
  if ((flags & CL_MEM_READ_ONLY) != 0) constant_bytes += bytes;
  pthread_mutex_unlock(&lock);
  CREATE(real.CreateBuffer(context, flags, bytes, host, code));
}

cl_program clCreateProgramWithSource(cl_context context, cl_uint n, const char **texts, const size_t *sizes,
                                     cl_int *code) {
  CREATE(real.CreateProgramWithSource(context, n, texts, sizes, code));
}

cl_program clCreateProgramWithBinary(cl_context context, cl_uint n, const cl_device_id *ids, const size_t *sizes,
                                     const unsigned char **binaries, cl_int *status, cl_int *code) {
  CREATE(real.CreateProgramWithBinary(context, n, ids, sizes, binaries, status, code));
}

cl_kernel clCreateKernel(cl_program program, const char *name, cl_int *code) {
  CREATE(real.CreateKernel(program, name, code));
}

cl_int clBuildProgram(cl_program program, cl_uint n, const cl_device_id *ids, const char *options,
                      void(CL_CALLBACK *notify)(cl_program, void *), void *self) {
  opencl_double_fault now = begin();
  if (now == DOUBLE_CANNOT_BUILD) return CL_BUILD_PROGRAM_FAILURE;
  if (now == DOUBLE_GONE) return CL_DEVICE_NOT_AVAILABLE;
  return real.BuildProgram(program, n, ids, options, notify, self);
}

/* ---- Commands ---- */

/* Counts the event of a command, which may be NULL. */
static cl_int enqueued(cl_int code, const cl_event *event) {
  made(code == CL_SUCCESS && event != NULL);
  return code;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint n, const size_t *offset,
                              const size_t *global, const size_t *local, cl_uint n_before, const cl_event *before,
                              cl_event *event) {
  opencl_double_fault now = begin();
  if (now == DOUBLE_REFUSES_LAUNCHES) return CL_OUT_OF_RESOURCES;
  if (now == DOUBLE_GONE) return CL_DEVICE_NOT_AVAILABLE;
  pthread_mutex_lock(&lock);
  n_launches++;
  pthread_mutex_unlock(&lock);
  return enqueued(real.EnqueueNDRangeKernel(queue, kernel, n, offset, global, local, n_before, before, event), event);
}

cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t bytes,
                           void *host, cl_uint n, const cl_event *before, cl_event *event) {
  cl_int code = transfer();
  if (code != CL_SUCCESS) return code;
  return enqueued(real.EnqueueReadBuffer(queue, memory, blocking, offset, bytes, host, n, before, event), event);
}

cl_int clEnqueueWriteBuffer(cl_command_queue queue, cl_mem memory, cl_bool blocking, size_t offset, size_t bytes,
                            const void *host, cl_uint n, const cl_event *before, cl_event *event) {
  cl_int code = transfer();
  if (code != CL_SUCCESS) return code;
  return enqueued(real.EnqueueWriteBuffer(queue, memory, blocking, offset, bytes, host, n, before, event), event);
}

void *clEnqueueMapBuffer(cl_command_queue queue, cl_mem memory, cl_bool blocking, cl_map_flags flags, size_t offset,
                         size_t bytes, cl_uint n, const cl_event *before, cl_event *event, cl_int *code) {
  cl_int bad = transfer();
  if (bad != CL_SUCCESS) {
    if (code != NULL) *code = bad;
    return NULL;
  }
  void *at = real.EnqueueMapBuffer(queue, memory, blocking, flags, offset, bytes, n, before, event, code);
  made(at != NULL && event != NULL);
  return at;
}

cl_int clEnqueueUnmapMemObject(cl_command_queue queue, cl_mem memory, void *at, cl_uint n, const cl_event *before,
                               cl_event *event) {
  begin(); /* mapped memory is always given back: else the buffer would stay */
  return enqueued(real.EnqueueUnmapMemObject(queue, memory, at, n, before, event), event);
}

/* ---- Events ---- */

cl_int clWaitForEvents(cl_uint n, const cl_event *events) {
  opencl_double_fault now = begin();
  if (now == DOUBLE_HANGS && is_kernel(events[0])) now = while_it_is(now);
  cl_int code = real.WaitForEvents(n, events);
  return breaks_off(now, events[0]) ? CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST : code;
}

cl_int clGetEventInfo(cl_event event, cl_event_info what, size_t n, void *out, size_t *size) {
  opencl_double_fault now = begin();
  cl_int code = real.GetEventInfo(event, what, n, out, size);
  if (code != CL_SUCCESS || what != CL_EVENT_COMMAND_EXECUTION_STATUS || out == NULL) return code;
  cl_int *status = out;
  if (now == DOUBLE_HANGS && is_kernel(event)) *status = CL_RUNNING;
  if (breaks_off(now, event)) *status = CL_OUT_OF_RESOURCES;
  return code;
}

/* Between the driver and whom the callback is for. */
static void CL_CALLBACK call_back(cl_event event, cl_int status, void *self) {
  owed *o = self;
  pthread_mutex_lock(&lock);
  bool forgotten = fault == DOUBLE_FORGETS_CALLBACKS;
  if (breaks_off(fault, event)) status = CL_OUT_OF_RESOURCES;
  bool later = fault == DOUBLE_HANGS && n_owing < OWED_MAX;
  if (later) owing[n_owing++] = (owed){o->function, event, status, o->self};
  pthread_mutex_unlock(&lock);
  if (!forgotten && !later) o->function(event, status, o->self);
  free(o);
}

cl_int clSetEventCallback(cl_event event, cl_int when, callback *function, void *self) {
  if (begin() == DOUBLE_REFUSES_CALLBACKS) return CL_OUT_OF_HOST_MEMORY;
  owed *o = malloc(sizeof *o);
  if (o == NULL) return CL_OUT_OF_HOST_MEMORY;
  *o = (owed){.function = function, .self = self};
  cl_int code = real.SetEventCallback(event, when, call_back, o);
  if (code != CL_SUCCESS) free(o);
  return code;
}
