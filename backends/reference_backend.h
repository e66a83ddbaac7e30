/* The reference executor as a processor: slow, portable, computes every unit. For checking other backends. */
#ifndef COSREL_BACKENDS_REFERENCE_BACKEND_H
#define COSREL_BACKENDS_REFERENCE_BACKEND_H

#include "backends/backend.h"

extern const cosrel_backend_ops cosrel_reference_backend;

#endif
