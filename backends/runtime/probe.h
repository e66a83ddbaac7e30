/* A question with a known answer, to find out whether a processor computes as it did at the start: one unit of a
 * network on made-up inputs. */
#ifndef COSREL_BACKENDS_RUNTIME_PROBE_H
#define COSREL_BACKENDS_RUNTIME_PROBE_H

#include <pthread.h>

#include "backends/machine.h"

typedef struct cosrel_probe {
  uint32_t network, unit;
  float *answer; /* owned [n]; NULL: there is none, so nothing is asked */
  uint64_t n;
  cosrel_time took; /* when it was asked first */
} cosrel_probe;

/* Picks the cheapest unit of the networks that are ready on p, and keeps what it computes. A processor that cannot even
 * do that has no answer. `copying` is taken for reading and writing p's own memory, here and below. Fails for want of
 * memory only. */
cosrel_status cosrel_probe_learn(const cosrel_machine *machine, uint32_t p, pthread_mutex_t *copying,
                                 cosrel_probe *out);
/* Asks again, on p's thread: COSREL_OK; COSREL_INTERNAL when the answer is another one; or what the backend says. */
cosrel_status cosrel_probe_ask(const cosrel_machine *machine, uint32_t p, const cosrel_probe *probe, cosrel_time budget,
                               pthread_mutex_t *copying);
void cosrel_probe_clear(cosrel_probe *probe);

#endif
