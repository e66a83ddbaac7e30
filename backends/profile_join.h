/* Joins profiles that were measured on one device at different times. */
#ifndef COSREL_BACKENDS_PROFILE_JOIN_H
#define COSREL_BACKENDS_PROFILE_JOIN_H

#include "sched/profile.h"
#include "sched/status.h"

/* Adds to `fresh` the models of `old` that it lacks, with their sources. All else stays as it is in `fresh`. Fails with
 * COSREL_INVALID unless both have the same processors: names, order and backends. `where` names `old` in errors; on
 * failure `fresh` is whole, but possibly with some of the models. */
cosrel_status cosrel_profile_merge(cosrel_profile *fresh, const cosrel_profile *old, const char *where,
                                   cosrel_error *error);

/* Takes `next` into the mean of `n` profiles, n >= 1: every figure becomes (n * mean + next) / (n + 1), name and
 * sources stay, and of the bytes of weights the most count. A machine whose speed others share is told better by
 * several short profiles than by a long one. Fails with COSREL_INVALID, and leaves the mean as it is, unless both have
 * the same processors, models in the same order and with the same fingerprints, and costs of the same units, processors
 * and precisions. `where` names `next` in errors. */
cosrel_status cosrel_profile_average(cosrel_profile *mean, uint32_t n, const cosrel_profile *next, const char *where,
                                     cosrel_error *error);

#endif
