/* A double of a vendor's OpenCL library, for tests: COSREL_OPENCL names it, it hands every call on to the ICD loader,
 * and on demand it fails as the drivers of devices do that break down. All of the program's own code runs.
 *
 * Its functions are found in the loaded library by their names, with dlsym. */
#ifndef COSREL_TESTS_OPENCL_DOUBLE_H
#define COSREL_TESTS_OPENCL_DOUBLE_H

#include <stdint.h>

typedef enum opencl_double_fault {
  DOUBLE_WELL,
  DOUBLE_REFUSES_LAUNCHES,   /* CL_OUT_OF_RESOURCES from clEnqueueNDRangeKernel */
  DOUBLE_BREAKS_OFF,         /* kernels end with a negative status, at once */
  DOUBLE_HANGS,              /* kernels do not end, nor do those who wait for them return; no callback comes */
  DOUBLE_FORGETS_CALLBACKS,  /* they never come; kernels do end */
  DOUBLE_REFUSES_CALLBACKS,  /* CL_OUT_OF_HOST_MEMORY from clSetEventCallback */
  DOUBLE_REFUSES_TRANSFERS,  /* CL_OUT_OF_RESOURCES from reading, writing and mapping */
  DOUBLE_HANGS_IN_TRANSFERS, /* these do not return */
  DOUBLE_CANNOT_BUILD,       /* kernels break off, and programs cannot be built any more */
  DOUBLE_GONE                /* no call reaches the device any more: CL_DEVICE_NOT_AVAILABLE; none is listed */
} opencl_double_fault;

/* From now on, in whatever is going on. What hung goes on then, and callbacks that did not come for it come now. */
typedef void opencl_double_set_fn(opencl_double_fault fault);
/* Kernels enqueued so far. */
typedef uint64_t opencl_double_launches_fn(void);
/* All calls so far. */
typedef uint64_t opencl_double_calls_fn(void);
/* Objects that were created and are not released yet. */
typedef int64_t opencl_double_objects_fn(void);
/* Bytes of all buffers made so far that kernels only read. */
typedef uint64_t opencl_double_constants_fn(void);

#endif
