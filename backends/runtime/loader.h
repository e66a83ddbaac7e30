/* Has on one processor the networks that the engine says are to be there: prepares and releases them on a thread of its
 * own, so that weights can be fetched while the processor's worker computes with others.
 *
 *   engine thread:  pin (a segment of n is about to be given out), hold (the set to have from now on)
 *   worker thread:  take (waits until n is there) -> computes -> give_back
 *   loader thread:  releases what is not in the set, then prepares what is missing, what is pinned first
 *
 * Nothing is prepared while something outside of the set is still there, so what is there together never takes more
 * than the set before or the set after. The network that is pinned is never released. */
#ifndef COSREL_BACKENDS_RUNTIME_LOADER_H
#define COSREL_BACKENDS_RUNTIME_LOADER_H

#include "backends/machine.h"

typedef struct cosrel_loader cosrel_loader;

/* Takes nothing over from machine->prepared, which should be empty for p. The machine is borrowed. */
cosrel_status cosrel_loader_create(const cosrel_machine *machine, uint32_t p, cosrel_loader **out, cosrel_error *error);
/* Releases everything; nobody may be computing. NULL is fine. */
void cosrel_loader_destroy(cosrel_loader *loader);

void cosrel_loader_pin(cosrel_loader *loader, uint32_t network);
void cosrel_loader_hold(cosrel_loader *loader, uint64_t networks); /* a bit per network of the machine */

/* Waits for the network that is pinned. Fails as `prepare` did, or with COSREL_INTERRUPTED after cosrel_loader_quit. */
cosrel_status cosrel_loader_take(cosrel_loader *loader, cosrel_prepared **out);
void cosrel_loader_give_back(cosrel_loader *loader);

/* Whoever waits in take is let go, and nothing is prepared any more. */
void cosrel_loader_quit(cosrel_loader *loader);

/* Whether nothing is prepared, or to be. */
bool cosrel_loader_is_empty(cosrel_loader *loader);

typedef struct cosrel_loader_stats {
  uint64_t n_loads, n_releases;
  cosrel_time load_ns; /* inside prepare */
} cosrel_loader_stats;
/* Since the last time that `clear` was true. From any thread. */
cosrel_loader_stats cosrel_loader_get_stats(cosrel_loader *loader, bool clear);

#endif
