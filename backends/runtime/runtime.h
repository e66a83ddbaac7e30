/* The runtime: real processors behind the engine's driver vtable. The clock is monotonic time; a worker thread per
 * processor takes one segment at a time, brings in the tensors that it needs, computes it and reports.
 *
 *   engine thread:  submit -> mailbox of the processor        wait <- completions, or the next arrival's time
 *   worker thread:  copy in what is missing -> ops->submit, ops->wait -> copy the model's outputs out -> completion
 *
 * Memory: where the case gives a processor a budget for weights, a loader (backends/runtime/loader.h) prepares and
 * releases networks as the engine decides; elsewhere all of them stay prepared. Every request slot has an arena in host
 * memory, and one on each processor with memory of its own; all are made beforehand, nothing is allocated during a run
 * unless something fails. Processors without memory of their own work in the host arena. A tensor is copied only when a
 * unit reads it where it is not yet, always by way of the host arena.
 *
 * Failure (sched/fault.h, config->recover): a segment fails with what the backend says, over its budget, or with a NaN
 * in what others read of it (where neither the model nor its inputs hold one; infinities are fine). The worker finds
 * out what is still whole (recovery.h) and the engine does the rest. A processor is probed with a known answer
 * (probe.h), after it was opened again if it was lost. A worker that is not back a second after its budget is
 * abandoned with the tensors that it may still write to: its request starts anew on others.
 *
 * Time: a segment starts at the event that led to it (so the decision, the mailbox and the waking of the worker are
 * inside) and ends when its worker is done. */
#ifndef COSREL_BACKENDS_RUNTIME_RUNTIME_H
#define COSREL_BACKENDS_RUNTIME_RUNTIME_H

#include "backends/machine.h"
#include "sched/engine.h"

/* What each stream feeds in and what becomes of its outputs. */
typedef struct cosrel_stream_io {
  uint32_t network;           /* index into machine->networks */
  const float *const *inputs; /* [net.n_inputs] fixed input of every request; borrowed, must outlive the runtime */
  /* Optional: called on the engine's thread when the last unit of a request is done, the outputs in `arena`. Anything
   * but COSREL_OK ends the run with that status and line. */
  cosrel_status (*output)(void *self, uint32_t stream, uint64_t sequence, const cosrel_network *network,
                          const void *arena, cosrel_error *error);
  void *self;
} cosrel_stream_io;

typedef struct cosrel_runtime_config {
  const cosrel_machine *machine; /* processors in the profile's order; borrowed */
  const cosrel_stream_io *io;    /* [c->n_streams], copied */
  uint64_t memory_bytes;         /* what all arenas together may take; 0: no limit but the allocator's */
  cosrel_time segment_limit;     /* a segment that computes for longer fails; 0: 60 s */
  cosrel_machine *recover;       /* `machine` again: the run survives failures. NULL: the first one ends it */
  cosrel_time budget_floor;      /* with `recover`: least budget of a segment; 0: COSREL_BUDGET_FLOOR */
  /* Optional: asked on the engine's thread at every event and every 50 ms; once true, arrivals end and the run drains.
   */
  bool (*stop)(void);
} cosrel_runtime_config;

/* How long things took since cosrel_runtime_start, by the workers' clocks. busy = kernel + load + transfer + overhead.
 */
typedef struct cosrel_runtime_stats {
  uint64_t n_segments[COSREL_PROCESSORS_MAX];
  cosrel_time busy_ns[COSREL_PROCESSORS_MAX];     /* from a segment's start to its end */
  cosrel_time kernel_ns[COSREL_PROCESSORS_MAX];   /* inside ops->submit and ops->wait */
  cosrel_time load_ns[COSREL_PROCESSORS_MAX];     /* waiting for weights */
  cosrel_time transfer_ns[COSREL_PROCESSORS_MAX]; /* putting inputs in, copying between memories */
  uint64_t n_loads[COSREL_PROCESSORS_MAX];        /* networks prepared during the run */
  cosrel_time loading_ns[COSREL_PROCESSORS_MAX];  /* what these took, in the background or not */
  uint64_t n_copies, copied_bytes;                /* tensors read from or written to memory of a processor's own */
} cosrel_runtime_stats;

typedef struct cosrel_runtime cosrel_runtime;

/* On processors with a budget machine->prepared is not used and should be empty.
 * Checks that the processors can compute what the case lets them run, in the precisions that it has chosen, which must
 * be those of the machine's networks (variants.h), makes the arenas and starts the workers. The case must outlive the
 * runtime. Fails with COSREL_LIMIT and the figures when the arenas do not fit into memory_bytes. */
cosrel_status cosrel_runtime_create(const cosrel_runtime_config *config, const cosrel_case *c, cosrel_runtime **out,
                                    cosrel_error *error);
/* Cancels what runs, ends the workers, frees the arenas. NULL is fine. Returns how many workers have not come back
 * within seconds. If there are any, they still use the machine, the networks, the case and the inputs: all of these
 * must stay as they are; the runtime's own memory is freed when the last of them comes back. */
uint32_t cosrel_runtime_destroy(cosrel_runtime *runtime);

/* Before each run: waits until nothing runs, clears clock and statistics. Time 0 is the engine's next call. */
void cosrel_runtime_start(cosrel_runtime *runtime);
/* The driver for cosrel_engine_create, with the same case. */
cosrel_driver cosrel_runtime_driver(cosrel_runtime *runtime);
void cosrel_runtime_get_stats(cosrel_runtime *runtime, cosrel_runtime_stats *out);

/* The line of the last failure: processor, stream, request, units. Empty when nothing failed. */
void cosrel_runtime_last_error(const cosrel_runtime *runtime, cosrel_error *error);

#endif
