/* A backend that stands before another one and fails on demand (backends/injection.h), at the same seam as real
 * failures: what submit, wait, read and write return, and what lies in memory then. */
#ifndef COSREL_BACKENDS_FAULT_BACKEND_H
#define COSREL_BACKENDS_FAULT_BACKEND_H

#include "backends/backend.h"
#include "backends/injection.h"

/* Wraps *backend, which processor p has; closing the wrapper closes it too. `prepared`, [n_networks], are the networks
 * that are ready on it now, or NULL. The injector is borrowed; its `epoch` is the monotonic time of 0 of the run. Fails
 * with COSREL_IO, changing nothing, while p is to be lost. */
cosrel_status cosrel_fault_backend_wrap(cosrel_injector *injector, uint32_t p, const cosrel_network *const *networks,
                                        cosrel_prepared *const *prepared, uint32_t n_networks, cosrel_backend **backend,
                                        cosrel_error *error);

#endif
