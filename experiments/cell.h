/* A cell is one run: a case, a policy, a seed. What `replay` does once and `compare` many times. */
#ifndef COSREL_EXPERIMENTS_CELL_H
#define COSREL_EXPERIMENTS_CELL_H

#include "backends/injection.h"
#include "experiments/contender.h"
#include "sched/bound.h"
#include "sched/case.h"
#include "sched/engine.h"
#include "sched/failures.h"
#include "sched/metrics.h"

#define COSREL_ARRIVALS_OWN (-1) /* each stream arrives as its workload says */

/* The kind named on a command line: closed, periodic, poisson, bursty, or "own" for COSREL_ARRIVALS_OWN. */
cosrel_status cosrel_arrivals_parse(const char *word, int *out, cosrel_error *error);

/* A case ready to run: arrivals (or COSREL_ARRIVALS_OWN), bound and load applied. load 0: nominal rates. `bound` may be
 * NULL when load is 0: then prices are equal and there is no bound share. */
cosrel_status cosrel_case_prepare(const cosrel_profile *profile, const cosrel_workload *workload,
                                  const cosrel_bound *bound, int arrivals, double load, cosrel_case *out,
                                  cosrel_error *error);

typedef struct cosrel_cell_config {
  uint64_t seed;
  double duration_s;
  uint32_t plan_budget;
  bool noise, timing;
  cosrel_sink *sinks;                  /* further listeners, may be NULL */
  cosrel_driver driver;                /* ops NULL: the simulator, with `noise` or without */
  const cosrel_injection_plan *faults; /* of the simulator; NULL or empty: none. A driver injects its own */
} cosrel_cell_config;

typedef struct cosrel_cell {
  const cosrel_case *c;
  const char *policy;
  uint64_t seed;
  bool timed;
  double decide_p50_ns, decide_p99_ns;
  bool faulty; /* something failed, or was to fail: then the report tells */
  cosrel_failures failures;
  cosrel_result result;
} cosrel_cell;

/* Runs one cell. In the simulator it is thread-safe: what is shared is only read. */
cosrel_status cosrel_cell_run(const cosrel_case *c, const cosrel_contender *contender, const cosrel_cell_config *config,
                              cosrel_cell *out, cosrel_error *error);

/* "closed", "poisson", ...; "mixed" when the streams differ. */
const char *cosrel_case_arrivals_name(const cosrel_case *c);
/* The load in force; 1 / lambda* under nominal rates; NaN when all streams are closed, as load means nothing there. */
double cosrel_case_load(const cosrel_case *c);

#endif
