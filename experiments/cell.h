/* A cell is one run: a case, a policy, a seed. What `replay` does once and `compare` many times. */
#ifndef COSREL_EXPERIMENTS_CELL_H
#define COSREL_EXPERIMENTS_CELL_H

#include "sched/bound.h"
#include "sched/case.h"
#include "sched/engine.h"
#include "sched/metrics.h"
#include "sched/policy.h"

#define COSREL_ARRIVALS_OWN (-1) /* each stream arrives as its workload says */

/* A policy as named on the command line: a built-in name, or a policy file (a word with '/' or ending in
 * ".safetensors"). Read-only once open, hence shared by all threads. */
typedef struct cosrel_contender {
  const char *name; /* borrowed: the word */
  bool learned;
  bool offline;               /* sees the whole case beforehand */
  struct cosrel_agent *agent; /* owned; what a policy file holds, NULL for built-in policies */
} cosrel_contender;

cosrel_status cosrel_contender_open(const char *word, cosrel_contender *out, cosrel_error *error);
/* Builds the policy for one case. The contender must outlive it. */
cosrel_status cosrel_contender_create(const cosrel_contender *contender, const cosrel_case *c,
                                      const cosrel_policy_config *config, cosrel_policy *out, cosrel_error *error);
void cosrel_contender_close(cosrel_contender *contender);

/* What `all` means: "all-<processor>" for every processor that all profiles have, then the list of sched/policy.h.
 * `storage` keeps the former, so the struct must outlive the names. */
typedef struct cosrel_names {
  uint32_t n;
  const char *items[256];
  char storage[COSREL_PROCESSORS_MAX][24];
} cosrel_names;
void cosrel_names_all(const cosrel_profile *profiles, uint32_t n_profiles, cosrel_names *out);

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
  cosrel_sink *sinks; /* further listeners, may be NULL */
} cosrel_cell_config;

typedef struct cosrel_cell {
  const cosrel_case *c;
  const char *policy;
  uint64_t seed;
  bool timed;
  double decide_p50_ns, decide_p99_ns;
  cosrel_result result;
} cosrel_cell;

/* Runs one cell in the simulator. Thread-safe: what is shared is only read. */
cosrel_status cosrel_cell_run(const cosrel_case *c, const cosrel_contender *contender, const cosrel_cell_config *config,
                              cosrel_cell *out, cosrel_error *error);

/* "closed", "poisson", ...; "mixed" when the streams differ. */
const char *cosrel_case_arrivals_name(const cosrel_case *c);
/* The load in force; 1 / lambda* under nominal rates; NaN when all streams are closed, as load means nothing there. */
double cosrel_case_load(const cosrel_case *c);

#endif
