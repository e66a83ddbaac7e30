/* Random devices: a profile with other speeds, so that a policy learns what holds on devices that nobody measured. */
#ifndef COSREL_AGENT_DEVICES_H
#define COSREL_AGENT_DEVICES_H

#include "sched/profile.h"

/* A device like `profile`: drawn from `key` are, log-uniformly, a factor for the speed of each processor (1/2 to 2), of
 * each model on it and each kind of unit on it, launch costs (1/3 to 3), latency (1/8 to 2) and time per byte of each
 * link, contention and watts. Half the devices have one processor more, a copy of another one that is 1.3 to 4 times
 * slower. Names, models' graphs and sources are borrowed from `profile`; clear with cosrel_device_clear. */
cosrel_status cosrel_device_draw(const cosrel_profile *profile, uint64_t key, cosrel_profile *out, cosrel_error *error);

/* Frees what a drawn device owns: its costs. A compiled case (sched/case.h) does not read them. */
void cosrel_device_clear_costs(cosrel_profile *device);

#endif
