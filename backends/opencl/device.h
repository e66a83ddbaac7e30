/* One OpenCL device, or the part of one that a spec's cores name, with a context and its queues.
 *
 * Which device it is follows from the spec, not from its type: PoCL calls its device a CPU. device=TEXT is "N" (the
 * N-th device of all platforms, from 0) or a part of the platform's or the device's name, small and capital letters
 * alike; without it the first GPU or accelerator is taken, else the first device. cores=A-B makes a sub-device of these
 * compute units, which must follow each other: on PoCL unit n is core n (backends/opencl/device.c says how). */
#ifndef COSREL_BACKENDS_OPENCL_DEVICE_H
#define COSREL_BACKENDS_OPENCL_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/backend.h"
#include "backends/opencl/api.h"

#define COSREL_CL_TEXT_MAX 128

typedef struct cosrel_cl_device {
  cosrel_cl_api api;
  cl_device_id id;
  bool is_part; /* `id` is a sub-device of ours */
  cl_context context;
  cl_command_queue compute; /* in order, with profiling */
  cl_command_queue copy;    /* tensors come and go here while `compute` works */
  char platform[COSREL_CL_TEXT_MAX], name[COSREL_CL_TEXT_MAX];
  char version[COSREL_CL_TEXT_MAX], driver[COSREL_CL_TEXT_MAX];
  uint32_t units;                                       /* compute units, of the sub-device where there is one */
  uint32_t vector;                                      /* floats in its native vectors */
  uint64_t memory_bytes, allocation_bytes, local_bytes; /* allocation: of one buffer at most */
  size_t group_max, item_max[3];                        /* work-items in a work-group, and along each dimension */
  bool fp16;                                            /* cl_khr_fp16 */
  bool unified;                                         /* shares the host's memory: mapping copies nothing */
} cosrel_cl_device;

/* `library`: as for cosrel_cl_api_load. COSREL_UNSUPPORTED with a line when there is no such device, or it cannot be
 * divided so. Not thread-safe: the first one in a program sets up the drivers. */
cosrel_status cosrel_cl_device_open(const cosrel_backend_spec *spec, const char *library, cosrel_cl_device *out,
                                    cosrel_error *error);
/* A cleared device is fine. What is queued must have ended. */
void cosrel_cl_device_close(cosrel_cl_device *device);

/* How many there are, all platforms together; 0 without OpenCL. */
uint32_t cosrel_cl_device_count(const char *library);

#endif
