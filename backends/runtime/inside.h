/* What the files of the runtime share; nobody else includes this.
 *
 *   setup.c    makes and ends all of it
 *   runtime.c  the driver: what the engine's thread asks of the workers
 *   worker.c   a processor's thread: segments, probes, what to do when they fail
 *   tensors.c  the tensors of a request, and moving them between memories
 *
 * One lock guards mailboxes and completions: at most nine threads meet there, for microseconds. What is slow happens
 * outside of it, under finer locks that are always taken in this order:
 *   tensors->moving      one thread at a time looks for, copies and marks the tensors of a request
 *   worker->copying      one thread at a time reads or writes a processor's own memory
 * Which memory holds which tensor is kept here, not taken from the state's `where`: that says what will be there once
 * the running segments have brought it in. */
#ifndef COSREL_BACKENDS_RUNTIME_INSIDE_H
#define COSREL_BACKENDS_RUNTIME_INSIDE_H

#include <pthread.h>

#include "backends/monotonic.h"
#include "backends/runtime/loader.h"
#include "backends/runtime/probe.h"
#include "backends/runtime/recovery.h"
#include "backends/runtime/runtime.h"

#define COSREL_STOP_PERIOD (50 * COSREL_MS)
#define COSREL_GRACE COSREL_S /* after its budget, a worker that is not back is abandoned */

/* The tensors of one request. Made beforehand, one for each slot; more only when workers are abandoned with some. */
typedef struct cosrel_tensors {
  struct cosrel_tensors *next; /* all that there are; they live until the end */
  uint32_t stream;
  pthread_mutex_t moving;
  void *arena;
  cosrel_buffer *buffers[COSREL_PROCESSORS_MAX]; /* NULL: made when p needs it */
  uint16_t *present;                             /* [n_units + 1] as in recovery.h; numbering as in sched/case.h */
} cosrel_tensors;

typedef struct cosrel_job {
  bool probe; /* nothing of the below, but `budget`, is for probes */
  uint32_t slot, stream;
  uint64_t sequence;
  uint16_t begin, end;
  cosrel_time budget;
  cosrel_tensors *tensors;
} cosrel_job;

/* COSREL_ABANDONED: it is not back in time; nobody waits for what it has, and nothing that it may write to is used. */
typedef enum cosrel_stage { COSREL_IDLE, COSREL_GIVEN, COSREL_DONE, COSREL_ABANDONED } cosrel_stage;

typedef struct cosrel_worker {
  cosrel_runtime *runtime;
  uint32_t processor;
  bool apart;            /* has memory of its own */
  cosrel_loader *loader; /* NULL: no budget, everything is prepared */
  bool has_thread;
  pthread_t thread;
  cosrel_probe probe;
  pthread_mutex_t copying;
  /* The worker's thread only: */
  bool lost;     /* the backend is to be opened again */
  bool innocent; /* what failed was another processor's */
  /* Under runtime->lock; the backend changes under `copying` too: */
  cosrel_backend *backend; /* borrowed from the machine; NULL while it is opened again */
  pthread_cond_t given;
  cosrel_stage stage;
  bool quit, exited;
  bool refused;          /* a job was not even begun */
  cosrel_status suspect; /* what others found wrong with a tensor of its */
  cosrel_job job;
  cosrel_time given_at;
  cosrel_status status; /* of the job that is COSREL_DONE */
  cosrel_failure failure;
  cosrel_time ended, kernel, load, transfer;
} cosrel_worker;

/* Engine thread only. */
typedef struct cosrel_slot {
  uint64_t sequence; /* of the request whose tensors are here */
  uint8_t n_starts;  /* of that request */
  bool used;
  cosrel_tensors *tensors; /* NULL after these have been left to a cosrel_worker */
} cosrel_slot;

struct cosrel_runtime {
  const cosrel_case *c;
  const cosrel_machine *machine;
  cosrel_stream_io *io;                       /* [n_streams] */
  bool *is_output[COSREL_NETWORKS_MAX];       /* [n_units] is the unit's output needed for the model's outputs? */
  uint32_t *last_reader[COSREL_NETWORKS_MAX]; /* [n_units] the last unit that reads its output; 0: none */
  bool *may_check;                            /* [n_streams] no NaN goes in, so none should come out */
  cosrel_slot *slots;                         /* [c->n_slots] */
  cosrel_worker workers[COSREL_PROCESSORS_MAX];
  cosrel_machine *recover; /* the machine, or NULL: the first failure ends the run */
  cosrel_time segment_limit, budget_floor;
  bool (*stop)(void);

  /* Engine thread only. */
  bool started, stopping;
  cosrel_time epoch; /* the clock's time at time 0 */
  cosrel_runtime_stats stats;
  cosrel_error error;

  pthread_mutex_t lock;
  pthread_cond_t done;
  uint64_t n_copies, copied_bytes; /* under `lock` */
  cosrel_tensors *all;             /* likewise; their list only grows */
  uint32_t n_left;                 /* workers that did not come back at the end: the last of them cleans up */
};

const cosrel_network *cosrel_job_network(const cosrel_runtime *runtime, const cosrel_job *job);

/* Tensors for a request of stream s, in host memory only; they stay in runtime->all. */
cosrel_status cosrel_tensors_create(cosrel_runtime *runtime, uint32_t s, cosrel_tensors **out, cosrel_error *error);
/* Tensors that no slot has and no worker may be using; or new ones. NULL: no memory. Engine's thread. */
cosrel_tensors *cosrel_tensors_spare(cosrel_runtime *runtime, uint32_t stream);
/* The first of all that there are. */
cosrel_tensors *cosrel_tensors_all(cosrel_runtime *runtime);

/* On the worker's thread, before and after its segment: every tensor that the segment reads and does not make comes to
 * where it can use it; COSREL_FORMAT where NaN is in what others will read of it, while that is in host memory anyway;
 * and where its tensors are now is noted, outputs of the model copied to host memory. */
cosrel_status cosrel_tensors_bring_in(cosrel_worker *w, const cosrel_job *job);
cosrel_status cosrel_tensors_check(const cosrel_worker *w, const cosrel_job *job);
cosrel_status cosrel_tensors_bring_out(cosrel_worker *w, const cosrel_job *job);

/* A processor's thread; takes its cosrel_worker. */
void *cosrel_worker_main(void *self);

/* Frees everything, once all workers have ended. */
void cosrel_runtime_free(cosrel_runtime *runtime);

#endif
