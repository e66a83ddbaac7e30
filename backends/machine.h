/* The processors of this machine that are in use: open backends, and the networks made ready on each of them.
 *
 * Measuring (backends/measure.h) and running (backends/runtime) share one, so that weights are packed once. */
#ifndef COSREL_BACKENDS_MACHINE_H
#define COSREL_BACKENDS_MACHINE_H

#include "backends/backend.h"
#include "backends/injection.h"
#include "sched/workload.h"

#define COSREL_NETWORKS_MAX COSREL_STREAMS_MAX

typedef struct cosrel_machine {
  uint32_t n_processors, n_networks;
  cosrel_backend_spec specs[COSREL_PROCESSORS_MAX];
  cosrel_backend *backends[COSREL_PROCESSORS_MAX];
  const cosrel_network *networks[COSREL_NETWORKS_MAX]; /* borrowed */
  /* [n_units] in which precision p computes network n (cosrel_precision), owned; NULL: all in fp32. A network that is
   * computed in several ways is there several times. */
  uint8_t *precisions[COSREL_PROCESSORS_MAX][COSREL_NETWORKS_MAX];
  cosrel_prepared *prepared[COSREL_PROCESSORS_MAX][COSREL_NETWORKS_MAX];
  uint64_t wanted[COSREL_PROCESSORS_MAX]; /* networks that p lost with its device: to be made ready again */
  cosrel_injector *injector;              /* borrowed; NULL: nothing is made to fail */
} cosrel_machine;

/* Reads specs as the command line gives them, at most COSREL_PROCESSORS_MAX; without any: "cpu", the best backend on
 * all cores. */
cosrel_status cosrel_machine_parse(const char *const *texts, uint32_t n, cosrel_backend_spec *out, uint32_t *n_out,
                                   cosrel_error *error);

/* Opens a backend per spec; cosrel_machine_open then prepares every network on each. An error line begins with the
 * processor's name. On failure nothing stays open. The networks must outlive the machine. Not thread-safe. */
cosrel_status cosrel_machine_connect(const cosrel_backend_spec *specs, uint32_t n_processors,
                                     const cosrel_network *const *networks, uint32_t n_networks, cosrel_machine *out,
                                     cosrel_error *error);
cosrel_status cosrel_machine_open(const cosrel_backend_spec *specs, uint32_t n_processors,
                                  const cosrel_network *const *networks, uint32_t n_networks, cosrel_machine *out,
                                  cosrel_error *error);
/* A cleared machine is fine. */
void cosrel_machine_close(cosrel_machine *machine);

/* One more network, perhaps one that is there already, to be computed in other precisions; it is prepared nowhere. */
cosrel_status cosrel_machine_add(cosrel_machine *machine, const cosrel_network *network, uint32_t *index,
                                 cosrel_error *error);
/* From now on p computes network n in precisions[n_units], which are copied. If it was prepared in others, it is
 * released. */
cosrel_status cosrel_machine_set_precisions(cosrel_machine *machine, uint32_t p, uint32_t n, const uint8_t *precisions,
                                            cosrel_error *error);

/* Prepares the networks that are not prepared yet on p; releases all of them. */
cosrel_status cosrel_machine_prepare(cosrel_machine *machine, uint32_t p, cosrel_error *error);
void cosrel_machine_release(cosrel_machine *machine, uint32_t p);

/* Puts backends that fail on demand before all that are open, and before those that are opened again. Nothing fails
 * before the injector has begun a run. */
cosrel_status cosrel_machine_inject(cosrel_machine *machine, cosrel_injector *injector, cosrel_error *error);

/* Opens p, which was lost, again, and makes the same networks ready as before. Nothing may run on it, and all its
 * buffers must be gone. On failure p has no networks, and may be tried again. */
cosrel_status cosrel_machine_reopen(cosrel_machine *machine, uint32_t p, cosrel_error *error);

/* Binds the calling thread to the cores that p's spec names, if any: whoever computes on p calls it first. */
void cosrel_machine_bind(const cosrel_machine *machine, uint32_t p);

/* Does the processor have memory of its own, so that tensors must be copied in and out? */
static inline bool cosrel_machine_is_apart(const cosrel_machine *machine, uint32_t p) {
  return machine->backends[p]->ops->buffer_create != NULL;
}

#endif
