/* OpenCL 1.2's host functions, found when the program runs: it starts and works without any OpenCL. */
#ifndef COSREL_BACKENDS_OPENCL_API_H
#define COSREL_BACKENDS_OPENCL_API_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "sched/status.h"

/* X(name without "cl") */
#define COSREL_CL_MAP(X)     \
  X(GetPlatformIDs)          \
  X(GetPlatformInfo)         \
  X(GetDeviceIDs)            \
  X(GetDeviceInfo)           \
  X(CreateSubDevices)        \
  X(ReleaseDevice)           \
  X(CreateContext)           \
  X(ReleaseContext)          \
  X(CreateCommandQueue)      \
  X(ReleaseCommandQueue)     \
  X(CreateBuffer)            \
  X(ReleaseMemObject)        \
  X(CreateProgramWithSource) \
  X(CreateProgramWithBinary) \
  X(BuildProgram)            \
  X(GetProgramInfo)          \
  X(GetProgramBuildInfo)     \
  X(ReleaseProgram)          \
  X(CreateKernel)            \
  X(SetKernelArg)            \
  X(GetKernelWorkGroupInfo)  \
  X(ReleaseKernel)           \
  X(EnqueueNDRangeKernel)    \
  X(EnqueueReadBuffer)       \
  X(EnqueueWriteBuffer)      \
  X(EnqueueMapBuffer)        \
  X(EnqueueUnmapMemObject)   \
  X(Flush)                   \
  X(Finish)                  \
  X(WaitForEvents)           \
  X(GetEventInfo)            \
  X(SetEventCallback)        \
  X(GetEventProfilingInfo)   \
  X(ReleaseEvent)

typedef struct cosrel_cl_api {
#define X(name) __typeof__(cl##name) *name;
  COSREL_CL_MAP(X)
#undef X
} cosrel_cl_api;

/* Loads `library`; when NULL, the one that COSREL_OPENCL names in the environment, else the ICD loader by its usual
 * names. It stays loaded until the program ends: drivers have threads of their own. COSREL_UNSUPPORTED with a line when
 * there is none, or one without a function of 1.2. */
cosrel_status cosrel_cl_api_load(const char *library, cosrel_cl_api *out, cosrel_error *error);

/* What a failed call means here: COSREL_NOMEM, COSREL_UNSUPPORTED, else COSREL_IO: the device is not to be trusted. */
cosrel_status cosrel_cl_status(cl_int code);
/* "CL_OUT_OF_RESOURCES"; never NULL. */
const char *cosrel_cl_code_name(cl_int code);
/* Fails with the status of `code` and the line "WHAT: CL_...". */
cosrel_status cosrel_cl_fail(cosrel_error *error, const char *what, cl_int code);

#endif
