/* The runtime: real processors behind the engine's driver vtable. The clock is monotonic time; a worker thread per
 * processor takes one segment at a time, brings in the tensors that it needs, computes it and reports.
 *
 *   engine thread:  submit -> mailbox of the processor        wait <- completions, or the next arrival's time
 *   worker thread:  write missing inputs, ops->submit, ops->wait -> completion
 *
 * Nothing is allocated between create and destroy: every request slot has its arena (and one per processor with memory
 * of its own) from the start. A tensor is copied between processors only when the unit that reads it runs elsewhere and
 * the two do not share host memory. */
#ifndef COSREL_BACKENDS_RUNTIME_RUNTIME_H
#define COSREL_BACKENDS_RUNTIME_RUNTIME_H

#include "backends/backend.h"
#include "sched/engine.h"

/* What each stream feeds in and what becomes of its outputs. */
typedef struct cosrel_stream_io {
  const float *const *inputs; /* [net.n_inputs] fixed input of every request; borrowed */
  /* Optional: called on the engine's thread when a request has completed, its arena still whole. */
  void (*output)(void *self, uint32_t stream, uint64_t sequence, const cosrel_network *network, const void *arena);
  void *self;
} cosrel_stream_io;

typedef struct cosrel_runtime_config {
  uint32_t n_processors;
  const cosrel_backend_spec *specs; /* [n_processors], in the profile's order */
  uint32_t n_streams;
  const cosrel_network *const *networks; /* [n_streams], borrowed; streams may share one */
  const cosrel_stream_io *io;            /* [n_streams], copied */
} cosrel_runtime_config;

/* How long things took, by the workers' clocks; one sample per finished segment in the order of finishing. */
typedef struct cosrel_runtime_stats {
  cosrel_time kernel_ns[COSREL_PROCESSORS_MAX];   /* inside submit and wait */
  cosrel_time transfer_ns[COSREL_PROCESSORS_MAX]; /* inside read and write */
  cosrel_time busy_ns[COSREL_PROCESSORS_MAX];     /* from the engine's submit to the engine's wake-up */
  uint64_t n_segments;
} cosrel_runtime_stats;

typedef struct cosrel_runtime cosrel_runtime;

/* Opens the processors, prepares every network on them, starts the workers. */
cosrel_status cosrel_runtime_create(const cosrel_runtime_config *config, const cosrel_case *c, cosrel_runtime **out,
                                    cosrel_error *error);
void cosrel_runtime_destroy(cosrel_runtime *runtime);

/* The driver for cosrel_engine_create. Time 0 is the engine's first call after cosrel_runtime_start. */
cosrel_driver cosrel_runtime_driver(cosrel_runtime *runtime);
/* Resets the clock and the statistics: call before cosrel_engine_run. */
void cosrel_runtime_start(cosrel_runtime *runtime);
void cosrel_runtime_get_stats(const cosrel_runtime *runtime, cosrel_runtime_stats *out);

/* The error behind a status that the driver returned: processor, stream, request, unit. */
void cosrel_runtime_last_error(const cosrel_runtime *runtime, cosrel_error *error);

#endif
