/* Processors driven through OpenCL: GPUs, or PoCL where there is none.
 *
 * A segment is enqueued as a whole, up to some milliseconds of work ahead of the device (known from the launches' times
 * when the model was prepared), so that one that is cancelled or over its time ends soon. Tensors come and go on a
 * queue of their own while a segment runs; where the device shares the host's memory they are mapped and not copied by
 * the driver. Units with an operator that has no rule are not supported. */
#ifndef COSREL_BACKENDS_OPENCL_BACKEND_H
#define COSREL_BACKENDS_OPENCL_BACKEND_H

#include "backends/backend.h"

extern const cosrel_backend_ops cosrel_opencl_backend;

#endif
