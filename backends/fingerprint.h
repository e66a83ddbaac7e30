/* What a profile was measured on, as text: so that one sees whether it still speaks of this device and these models. */
#ifndef COSREL_BACKENDS_FINGERPRINT_H
#define COSREL_BACKENDS_FINGERPRINT_H

#include "backends/machine.h"
#include "sched/profile.h"

/* "fnv1a:" and 16 hex digits: FNV-1a of 64 bits over units, dependencies and constants, weights included. Differs
 * between machines of different byte order. */
void cosrel_fingerprint_network(const cosrel_network *network, char out[COSREL_NAME_MAX]);

/* Fills soc (the CPU's name as the system tells it, and the number of cores), driver (the kernel) and runtime (the
 * backends in use). */
void cosrel_fingerprint_machine(const cosrel_machine *machine, cosrel_profile *out);

#endif
