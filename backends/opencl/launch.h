/* A prepared kernel launch; what a unit is computed by is a list of them, worked out once and only enqueued later.
 *
 * Tensors reach a kernel as two arguments, a buffer and the offset of the first element in floats:
 *     __global const float *x, int x_at, __global float *y, int y_at, int n, ...
 * so that all tensors of a request may lie in one buffer (the arena). They are as in the host's arena: rank 4 as NHWC,
 * all others row-major, without gaps, fp32. The arena's tensors begin at multiples of 16 floats, and so does scratch;
 * COSREL_PADDING bytes behind the last element of any tensor may be read (their values mean nothing), never written.
 * Aliases (backends/opencl/plan.h) may begin anywhere: use vloadN, never a pointer cast to vectors. */
#ifndef COSREL_BACKENDS_OPENCL_LAUNCH_H
#define COSREL_BACKENDS_OPENCL_LAUNCH_H

#include "backends/opencl/program.h"
#include "sched/clock.h"

#define COSREL_CL_ARGS_MAX 40 /* arguments of a kernel; a tensor counts twice */

typedef enum cosrel_cl_base { COSREL_CL_ARENA, COSREL_CL_SCRATCH, COSREL_CL_CONSTANT } cosrel_cl_base;

/* Where a tensor lies; buffers are known when the launch is made (scratch, constants) or enqueued (the arena). */
typedef struct cosrel_cl_ref {
  cosrel_cl_base base;
  uint32_t constant; /* of CONSTANT: which buffer of the plan */
  int64_t offset;    /* floats */
} cosrel_cl_ref;

typedef enum cosrel_cl_arg_kind {
  COSREL_CL_ARG_IN,  /* a ref that is read */
  COSREL_CL_ARG_OUT, /* a ref that is written, perhaps read too */
  COSREL_CL_ARG_INT,
  COSREL_CL_ARG_FLOAT,
  COSREL_CL_ARG_LOCAL, /* bytes of local memory */
} cosrel_cl_arg_kind;

typedef struct cosrel_cl_arg {
  cosrel_cl_arg_kind kind;
  cosrel_cl_ref ref;
  cl_int i;
  cl_float f;
  size_t local_bytes;
} cosrel_cl_arg;

typedef struct cosrel_cl_launch {
  const char *source, *kernel; /* static: kernels/<source>.cl */
  char options[192];           /* defines */
  cosrel_cl_arg args[COSREL_CL_ARGS_MAX];
  uint32_t n_args;
  bool too_many; /* an argument did not fit */
  size_t global[3], local[3];

  /* Once made: */
  cl_kernel object;
  uint32_t arena_args[8], n_arena_args; /* the kernel's arguments that are the arena */
  cosrel_time device_ns;                /* as measured when the plan was made; 0: not yet */
} cosrel_cl_launch;

/* ---- Describing one (launch.c). Arguments in the kernel's order. ---- */

cosrel_cl_launch cosrel_cl_launch_of(const char *source, const char *kernel);
/* Appends " -DNAME=VALUE" to the options. */
void cosrel_cl_define(cosrel_cl_launch *launch, const char *name, int32_t value);
void cosrel_cl_push_in(cosrel_cl_launch *launch, cosrel_cl_ref ref);
void cosrel_cl_push_out(cosrel_cl_launch *launch, cosrel_cl_ref ref);
void cosrel_cl_push_int(cosrel_cl_launch *launch, int64_t value);
void cosrel_cl_push_float(cosrel_cl_launch *launch, float value);
void cosrel_cl_push_local(cosrel_cl_launch *launch, size_t bytes);
/* At least so many work-items along each dimension, in groups of `local`: what is over the kernel must leave out.
 * Always explicit, see program.h. */
void cosrel_cl_size(cosrel_cl_launch *launch, size_t x, size_t y, size_t z, size_t local_x, size_t local_y,
                    size_t local_z);

/* ---- Making and running it ---- */

/* Buffers that refs point into. */
typedef struct cosrel_cl_buffers {
  cl_mem arena, scratch;
  const cl_mem *constants;
} cosrel_cl_buffers;

/* Builds the kernel (from cache where possible) and sets every argument but the arena. Refuses what the device cannot
 * run: COSREL_UNSUPPORTED. */
cosrel_status cosrel_cl_launch_make(cosrel_cl_launch *launch, cosrel_cl_programs *programs,
                                    const cosrel_cl_buffers *buffers, cosrel_error *error);
void cosrel_cl_launch_destroy(const cosrel_cl_device *device, cosrel_cl_launch *launch);
/* Enqueues on device->compute. `event` may be NULL. */
cl_int cosrel_cl_launch_enqueue(const cosrel_cl_device *device, cosrel_cl_launch *launch, cl_mem arena,
                                cl_event *event);
/* Runs it `times` times on `arena` and waits: the shortest time by the device's clock, or negative when it failed. For
 * tuning. */
cosrel_time cosrel_cl_launch_time(const cosrel_cl_device *device, cosrel_cl_launch *launch, cl_mem arena,
                                  uint32_t times);

#endif
