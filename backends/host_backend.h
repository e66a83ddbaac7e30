/* What backends have in common that compute inside submit, in the host's memory, one unit after the other: a segment
 * can be cancelled between units. Such a backend embeds a cosrel_host_backend first, calls cosrel_host_run in its
 * submit, and has the two functions below it as its wait and cancel. */
#ifndef COSREL_BACKENDS_HOST_BACKEND_H
#define COSREL_BACKENDS_HOST_BACKEND_H

#include <stdatomic.h>

#include "backends/backend.h"

typedef struct cosrel_host_backend {
  cosrel_backend base;
  atomic_bool cancelled;
  bool interrupted; /* the last segment ended early */
} cosrel_host_backend;

/* Computes one unit of a prepared network in an arena. */
typedef cosrel_status (*cosrel_host_unit)(cosrel_backend *backend, cosrel_prepared *prepared, void *arena,
                                          uint32_t unit);

/* Computes units [begin, end), until one fails or the segment is cancelled. */
cosrel_status cosrel_host_run(cosrel_backend *backend, cosrel_prepared *prepared, void *arena, uint32_t begin,
                              uint32_t end, cosrel_host_unit run_unit);

/* Slots of cosrel_backend_ops. */
cosrel_status cosrel_host_wait(cosrel_backend *backend, cosrel_time budget);
void cosrel_host_cancel(cosrel_backend *backend);

#endif
