#include "backends/opencl/api.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

cosrel_status cosrel_cl_api_load(const char *library, cosrel_cl_api *out, cosrel_error *error) {
  static const char *const usual[] = {"libOpenCL.so.1", "libOpenCL.so", NULL};
  if (library == NULL) library = getenv("COSREL_OPENCL");
  const char *const given[] = {library, NULL};
  void *handle = NULL;
  for (const char *const *name = library != NULL ? given : usual; *name != NULL && handle == NULL; name++)
    handle = dlopen(*name, RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL)
    return cosrel_fail(error, COSREL_UNSUPPORTED, "no OpenCL here: cannot load %.200s",
                       library != NULL ? library : usual[0]);
  void *symbol;
#define X(name)                                                                            \
  if ((symbol = dlsym(handle, "cl" #name)) == NULL) {                                      \
    dlclose(handle);                                                                       \
    return cosrel_fail(error, COSREL_UNSUPPORTED, "expected OpenCL 1.2, has no cl" #name); \
  }                                                                                        \
  memcpy(&out->name, &symbol, sizeof symbol);
  COSREL_CL_MAP(X)
#undef X
  return COSREL_OK;
}

cosrel_status cosrel_cl_status(cl_int code) {
  switch (code) {
    case CL_SUCCESS: return COSREL_OK;
    case CL_OUT_OF_HOST_MEMORY:
    case CL_MEM_OBJECT_ALLOCATION_FAILURE:
    case CL_INVALID_BUFFER_SIZE: return COSREL_NOMEM;
    case CL_DEVICE_NOT_FOUND:
    case CL_DEVICE_NOT_AVAILABLE:
    case CL_COMPILER_NOT_AVAILABLE:
    case CL_DEVICE_PARTITION_FAILED: return COSREL_UNSUPPORTED;
    default: return COSREL_IO;
  }
}

const char *cosrel_cl_code_name(cl_int code) {
#define CODES(X)                                  \
  X(CL_SUCCESS)                                   \
  X(CL_DEVICE_NOT_FOUND)                          \
  X(CL_DEVICE_NOT_AVAILABLE)                      \
  X(CL_COMPILER_NOT_AVAILABLE)                    \
  X(CL_MEM_OBJECT_ALLOCATION_FAILURE)             \
  X(CL_OUT_OF_RESOURCES)                          \
  X(CL_OUT_OF_HOST_MEMORY)                        \
  X(CL_PROFILING_INFO_NOT_AVAILABLE)              \
  X(CL_BUILD_PROGRAM_FAILURE)                     \
  X(CL_MAP_FAILURE)                               \
  X(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST) \
  X(CL_DEVICE_PARTITION_FAILED)                   \
  X(CL_INVALID_VALUE)                             \
  X(CL_INVALID_DEVICE)                            \
  X(CL_INVALID_CONTEXT)                           \
  X(CL_INVALID_COMMAND_QUEUE)                     \
  X(CL_INVALID_MEM_OBJECT)                        \
  X(CL_INVALID_BINARY)                            \
  X(CL_INVALID_BUILD_OPTIONS)                     \
  X(CL_INVALID_PROGRAM)                           \
  X(CL_INVALID_PROGRAM_EXECUTABLE)                \
  X(CL_INVALID_KERNEL_NAME)                       \
  X(CL_INVALID_KERNEL)                            \
  X(CL_INVALID_ARG_INDEX)                         \
  X(CL_INVALID_ARG_VALUE)                         \
  X(CL_INVALID_ARG_SIZE)                          \
  X(CL_INVALID_KERNEL_ARGS)                       \
  X(CL_INVALID_WORK_DIMENSION)                    \
  X(CL_INVALID_WORK_GROUP_SIZE)                   \
  X(CL_INVALID_WORK_ITEM_SIZE)                    \
  X(CL_INVALID_EVENT_WAIT_LIST)                   \
  X(CL_INVALID_EVENT)                             \
  X(CL_INVALID_OPERATION)                         \
  X(CL_INVALID_BUFFER_SIZE)                       \
  X(CL_INVALID_DEVICE_PARTITION_COUNT)
  switch (code) {
#define X(name) \
  case name: return #name;
    CODES(X)
#undef X
    case -1001: return "CL_PLATFORM_NOT_FOUND_KHR";
    default: return "an unknown code";
  }
#undef CODES
}

cosrel_status cosrel_cl_fail(cosrel_error *error, const char *what, cl_int code) {
  cosrel_status status = cosrel_cl_status(code);
  return cosrel_fail(error, status, "%s: %s (%d)", what, cosrel_cl_code_name(code), (int)code);
}
