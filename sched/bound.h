/* What no policy can beat: limits of a case from linear programs over fractional unit-to-processor assignment (GLPK).
 *
 * Variables z[s][u][p] >= 0: executions per second of unit u of stream s on p; y[s][p] >= z[s][u][p]: launches.
 *   sum over p of z[s][u][p] = rate of s          every unit of every request runs somewhere
 *   sum over s, u of c z + launch y <= 1          capacity of each processor
 * Mean costs, top frequency, no contention, no transfers: an optimistic device, so a true bound on throughput. */
#ifndef COSREL_SCHED_BOUND_H
#define COSREL_SCHED_BOUND_H

#include "sched/case.h"
#include "sched/status.h"

typedef struct cosrel_bound {
  double lambda_star; /* largest lambda for which rates lambda * nominal are feasible */
  double g_star;      /* largest geometric mean of NP, by tangent cuts on sum log NP, to 1e-4 relative, from above */
  double price[COSREL_PROCESSORS_MAX];       /* duals of the capacities at lambda_star, summing to 1 */
  double g_price[COSREL_PROCESSORS_MAX];     /* the same at g_star */
  double utilisation[COSREL_PROCESSORS_MAX]; /* of each processor at lambda_star */
  double np[COSREL_STREAMS_MAX];             /* NP of each stream at g_star */
  double share[COSREL_STREAMS_MAX]
              [COSREL_PROCESSORS_MAX]; /* at lambda_star: share of a stream's time on each processor */
} cosrel_bound;

/* Solves both programs. Uses nominal rates, whatever load is in force. Not thread-safe (GLPK keeps a global state). */
cosrel_status cosrel_bound_solve(const cosrel_case *c, cosrel_bound *out, cosrel_error *error);

/* Puts lambda_star, g_star and prices into the case (g_price when all streams are closed). */
void cosrel_bound_apply(const cosrel_bound *bound, cosrel_case *c);

#endif
