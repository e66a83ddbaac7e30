/* Kernels from source, built once per device and set of options, and kept on disk as the driver's binaries.
 *
 * Sources are the files kernels/NAME.cl, which are part of this program; kernels/common.cl stands in front of each, and
 * kernels/vector.cl behind it where options define VEC. A kernel that exists in many variants costs a build each, and
 * on PoCL a second or so at its first launch, once more for every new local size: pass sizes as arguments, and choose
 * local sizes from a few. */
#ifndef COSREL_BACKENDS_OPENCL_PROGRAM_H
#define COSREL_BACKENDS_OPENCL_PROGRAM_H

#include "backends/opencl/device.h"

typedef struct cosrel_cl_source {
  const char *name; /* "convolution": kernels/convolution.cl */
  const char *text; /* [bytes], no NUL */
  size_t bytes;
} cosrel_cl_source;

/* Made by the Makefile; ends with a NULL name. */
extern const cosrel_cl_source cosrel_cl_sources[];

/* One program. */
typedef struct cosrel_cl_built {
  char source[32];
  char *options; /* owned */
  cl_program program;
} cosrel_cl_built;

/* All programs of a device. One thread at a time. */
typedef struct cosrel_cl_programs {
  const cosrel_cl_device *device; /* borrowed */
  cosrel_cl_built *built;
  uint32_t n, capacity;
  uint32_t n_compiled, n_loaded; /* from source, from the cache */
} cosrel_cl_programs;

void cosrel_cl_programs_init(cosrel_cl_programs *programs, const cosrel_cl_device *device);
void cosrel_cl_programs_destroy(cosrel_cl_programs *programs);

/* A new kernel object, which the caller releases. `options`: defines such as "-DTILE=4 -DACT=2"; "" for none. The line
 * of a failed build names the source and quotes the compiler's first lines. */
cosrel_status cosrel_cl_programs_kernel(cosrel_cl_programs *programs, const char *source, const char *options,
                                        const char *kernel, cl_kernel *out, cosrel_error *error);

/* Appends to `key` (n bytes of room) what a cache entry for this device depends on beside its own content: platform,
 * device, versions, units. Returns the length, at most n - 1. */
size_t cosrel_cl_device_key(const cosrel_cl_device *device, char *key, size_t n);

#endif
