/* A backend: the code that drives processors of one kind. One vtable, one conformance test over every backend.
 *
 *   open -> prepare (each model) -> { write* submit wait read* }* -> release -> close
 *
 * An instance drives one processor. submit and wait are called by one thread at a time: the processor's worker. prepare
 * and release are called by one thread at a time: whoever sets the run up, or, where the processor has a memory budget,
 * a thread that loads and drops weights while a segment of another prepared network runs (backends/runtime/loader.h).
 * read and write are called by one thread at a time too, but that may be another processor's worker while a segment
 * runs here: it fetches a tensor that this segment does not write. Slots that are NULL where "optional" is said have
 * the default that is said. Nothing but open, prepare and buffer_create may allocate.
 *
 * Failure: a slot returns COSREL_OK or the reason. After a failure of submit, wait, read or write the bytes of what was
 * to be written are undefined, all other bytes of the arena are as they were. Tensors share bytes (backends/network.h):
 * the segment's later units may have written where its inputs lay, so the segment is run again only when they did not
 * (backends/runtime/recovery.h); outputs of the model that are done stay whole. The backend has stopped using the
 * arena; buffers stay owned by their owner. COSREL_INTERRUPTED: cancelled or over its time; the instance stays usable.
 * COSREL_IO: the device is lost; only buffer_destroy, release and close may follow, and perhaps another open: a probe
 * does that (backends/runtime/worker.c). wait must return within its budget plus one second: the runtime abandons a
 * worker that does not. read and write have no budget of their own: where one does not return, the worker that called
 * it is abandoned after its segment's budget, be it this processor's or one that fetches a tensor from here.
 *
 * NaN: memory of a processor's own is looked at only when it is copied from there. What is computed from a NaN must
 * hold one, so that a bad tensor that stays there is seen in the end.
 */
#ifndef COSREL_BACKENDS_BACKEND_H
#define COSREL_BACKENDS_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/network.h"
#include "sched/clock.h"
#include "sched/profile.h"

#define COSREL_CORES_MAX 256
#define COSREL_BACKEND_SPEC_MAX 2048 /* bytes of a spec as text */

/* What the command line or a profile says of one processor: "cpu0=xnnpack:cores=0" (see cosrel_backend_spec_parse). */
typedef struct cosrel_backend_spec {
  char processor[16];           /* its name in profiles and reports */
  char backend[16];             /* reference, xnnpack, opencl, armnn */
  char device[COSREL_NAME_MAX]; /* backend's own choice, e.g. an OpenCL platform; empty: its default */
  uint32_t threads;             /* 0: one per core */
  uint32_t n_cores;             /* 0: any core */
  uint16_t cores[COSREL_CORES_MAX];
} cosrel_backend_spec;

typedef struct cosrel_backend cosrel_backend;   /* an open instance; each backend embeds it first */
typedef struct cosrel_prepared cosrel_prepared; /* a model made ready on an instance */
typedef struct cosrel_buffer cosrel_buffer;     /* an arena of one request on an instance */

typedef struct cosrel_telemetry {
  double energy_mj;      /* since open; negative: unknown */
  double temperature_c;  /* NaN: unknown */
  double frequency_mhz;  /* 0: unknown */
  cosrel_time device_ns; /* time of the last segment by the device's own clock; -1: unknown */
} cosrel_telemetry;

/* What `cosrel devices` shows of a device behind a processor. Texts are printable, cut to fit. */
typedef struct cosrel_capability {
  char platform[128], device[128], version[300];
  uint32_t units; /* that compute side by side */
  double memory_mib;
  bool fp16;          /* computes in it; without, fp16 is how weights are kept */
  bool shares_memory; /* with the host */
} cosrel_capability;

typedef struct cosrel_backend_ops {
  size_t struct_size;
  const char *name;

  /* Optional. Writes the names that a spec may say as its device on this machine, best first, at most `max`; returns
   * how many. Default: there is nothing to choose from. */
  uint32_t (*devices)(char (*names)[COSREL_NAME_MAX], uint32_t max);

  /* Required. Makes an instance for one processor; fails with COSREL_UNSUPPORTED where there is no such device. */
  cosrel_status (*open)(const cosrel_backend_spec *spec, cosrel_backend **out, cosrel_error *error);
  void (*close)(cosrel_backend *backend);

  /* A bit per cosrel_precision in which it computes anything; 0: fp32 only. */
  uint32_t precisions;

  /* Required. Whether it computes the unit itself in `precision`; the runtime offers no other one to it, but see
   * cosrel_backend_runs. */
  bool (*supports)(const cosrel_backend *backend, const cosrel_network *network, uint32_t unit,
                   cosrel_precision precision);

  /* Required. Packs weights, compiles kernels: all that the network's weights take on the processor is taken here and
   * given back by release. The network is borrowed until release. precisions[n_units] (cosrel_precision) says in which
   * each unit is to be computed; a unit that is not supported in it is computed in fp32. NULL: all in fp32. */
  cosrel_status (*prepare)(cosrel_backend *backend, const cosrel_network *network, const uint8_t *precisions,
                           cosrel_prepared **out, cosrel_error *error);
  void (*release)(cosrel_backend *backend, cosrel_prepared *prepared);

  /* Optional. Bytes that `prepared` holds for one unit: its weights as they were packed and transformed, and what else
   * its operators keep of their own; a constant that several units read counts for one of them. Not what the units
   * share: scratch, arenas, kernels, and the network itself. Default: not known, taken for the weights as they are
   * (reference, armnn). */
  uint64_t (*weight_bytes)(const cosrel_prepared *prepared, uint32_t unit);

  /* Optional, all four or none. Default: the processor works in host memory, the runtime's arena is used as it is, and
   * tensors pass between such processors without a copy. With them: buffer_create makes the device's own arena, and
   * read and write copy the tensor at `offset` (bytes, as in the host arena) from and to host memory. */
  cosrel_status (*buffer_create)(cosrel_backend *backend, size_t bytes, cosrel_buffer **out, cosrel_error *error);
  void (*buffer_destroy)(cosrel_backend *backend, cosrel_buffer *buffer);
  cosrel_status (*write)(cosrel_backend *backend, cosrel_buffer *buffer, size_t offset, const void *host, size_t bytes);
  cosrel_status (*read)(cosrel_backend *backend, const cosrel_buffer *buffer, size_t offset, void *host, size_t bytes);

  /* Required. Starts units [begin, end) on an arena: `arena` in host memory, or `buffer` of this instance. May move the
   * calling thread to the cores of the spec, for good. */
  cosrel_status (*submit)(cosrel_backend *backend, cosrel_prepared *prepared, void *arena, cosrel_buffer *buffer,
                          uint32_t begin, uint32_t end);
  /* Required. Waits until what was submitted is done, at most `budget` ns, then COSREL_INTERRUPTED. A backend that
   * computes inside submit returns at once. */
  cosrel_status (*wait)(cosrel_backend *backend, cosrel_time budget);

  /* Optional; from any thread. Asks a running segment to end early: wait then returns COSREL_INTERRUPTED. Default: it
   * runs to its end. */
  void (*cancel)(cosrel_backend *backend);
  /* Optional; from any thread. Default: everything unknown. */
  void (*telemetry)(cosrel_backend *backend, cosrel_telemetry *out);

  /* Optional; from any thread. Default: there is nothing to say beside what the machine is. */
  void (*describe)(const cosrel_backend *backend, cosrel_capability *out);
} cosrel_backend_ops;

struct cosrel_backend {
  const cosrel_backend_ops *ops;
};

/* NULL-terminated list of those built in, best first: xnnpack (where the library is), reference, opencl (where its
 * headers were when this was built), armnn (where the library is: last, since it may have but a slow reference). */
const cosrel_backend_ops *const *cosrel_backend_table(void);
const cosrel_backend_ops *cosrel_backend_find(const char *name);

/* Whether it serves who wants the unit in `precision`: it supports that; or, being one that computes in fp16 at all, it
 * computes the unit in fp32, since nothing about it would be less in fp16 (a unit without weights). */
bool cosrel_backend_runs(const cosrel_backend *backend, const cosrel_network *network, uint32_t unit,
                         cosrel_precision precision);

/* Finds the spec's backend and opens an instance; the line of a failure begins with the processor's name. */
cosrel_status cosrel_backend_open(const cosrel_backend_spec *spec, cosrel_backend **out, cosrel_error *error);

/* "NAME=BACKEND[:cores=0-3+6][:threads=N][:device=TEXT]". Whether there is such a backend is seen when it is opened.
 * The line of a failure names the bad part. */
cosrel_status cosrel_backend_spec_parse(const char *text, cosrel_backend_spec *out, cosrel_error *error);
/* Writes the same form, at most n bytes with NUL; profiles keep it, so that `run --profile` opens the same processors.
 * COSREL_BACKEND_SPEC_MAX bytes are always enough. */
void cosrel_backend_spec_format(const cosrel_backend_spec *spec, char *text, size_t n);

#endif
