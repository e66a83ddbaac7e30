/* A contender is a policy as named on the command line: a built-in name, a policy file (a word with '/' or ending in
 * ".safetensors"), or `cosrel`, the shipped policy file. */
#ifndef COSREL_EXPERIMENTS_CONTENDER_H
#define COSREL_EXPERIMENTS_CONTENDER_H

#include "sched/case.h"
#include "sched/policy.h"

typedef enum cosrel_contender_kind {
  COSREL_CONTENDER_HEURISTIC, /* a rule, online */
  COSREL_CONTENDER_PLANNER,   /* rollout: online, simulates hundreds of decisions for one */
  COSREL_CONTENDER_LEARNED,   /* what a policy file holds */
  COSREL_CONTENDER_OFFLINE    /* sees the whole case beforehand: a reference, not a competitor */
} cosrel_contender_kind;

/* "heuristic", "planner", "learned", "offline". */
const char *cosrel_contender_kind_name(cosrel_contender_kind kind);

/* Read-only once open, hence shared by all threads. */
typedef struct cosrel_contender {
  const char *name; /* borrowed: the word */
  cosrel_contender_kind kind;
  struct cosrel_agent *agent; /* owned; what a policy file holds, NULL for built-in policies */
} cosrel_contender;

cosrel_status cosrel_contender_open(const char *word, cosrel_contender *out, cosrel_error *error);
/* Builds the policy for one case. The contender must outlive it. */
cosrel_status cosrel_contender_create(const cosrel_contender *contender, const cosrel_case *c,
                                      const cosrel_policy_config *config, cosrel_policy *out, cosrel_error *error);
void cosrel_contender_close(cosrel_contender *contender);

/* Where the shipped policy is: $COSREL_POLICY; without it the first that exists of agent/cosrel.safetensors (the
 * repository), cosrel.safetensors beside the program (a phone) and ../share/cosrel/cosrel.safetensors from there
 * (installed). False when there is none. */
bool cosrel_shipped_policy(char *path, size_t size);

/* What `all` means: "all-<processor>" for every processor that all profiles have, the list of sched/policy.h, and
 * `cosrel` when there is a shipped policy. `storage` keeps the first, so the struct must outlive the names. */
typedef struct cosrel_names {
  uint32_t n;
  const char *items[256];
  char storage[COSREL_PROCESSORS_MAX][24];
} cosrel_names;
void cosrel_names_all(const cosrel_profile *profiles, uint32_t n_profiles, cosrel_names *out);

#endif
