/* CPUs through XNNPACK, with the reference executor's kernels for what XNNPACK lacks. Every unit in fp32.
 *
 * An instance has as many threads as its spec says (one per core by default) on the spec's cores: the thread that calls
 * submit is one of them and is moved there. Instances should not share cores: a thread that waits for work spins. */
#ifndef COSREL_BACKENDS_XNNPACK_XNNPACK_BACKEND_H
#define COSREL_BACKENDS_XNNPACK_XNNPACK_BACKEND_H

#include "backends/backend.h"

extern const cosrel_backend_ops cosrel_xnnpack_backend;

#endif
