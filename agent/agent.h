/* A trained agent: its file, and the policy that it makes.
 *
 * The file is safetensors: the tensors of agent/mlp.h, the normaliser, and metadata that says which features they
 * expect, which objective weights they were trained for, and how they came to be (no time, host or thread count, so
 * that equal training gives equal bytes). */
#ifndef COSREL_AGENT_AGENT_H
#define COSREL_AGENT_AGENT_H

#include "agent/mlp.h"
#include "sched/policy.h"

#define COSREL_AGENT_VERSION "2"

typedef struct cosrel_agent {
  cosrel_mlp net;
  cosrel_normaliser normaliser;
  char provenance[8192]; /* how it was trained, one line of JSON */
} cosrel_agent;

/* Reads and checks a policy file: COSREL_FORMAT with one line when it is not one, or not for this version's features */
cosrel_status cosrel_agent_read(const char *path, cosrel_agent *out, cosrel_error *error);
/* The same from memory; `where` begins error lines. */
cosrel_status cosrel_agent_parse(const char *bytes, size_t size, const char *where, cosrel_agent *out,
                                 cosrel_error *error);
cosrel_status cosrel_agent_write(const char *path, const cosrel_agent *agent, cosrel_error *error);

/* A policy that takes the choice with the highest logit. The agent is borrowed and shared read-only. Outside the
 * network:
 *   starvation guard  a head older than 20 T and than ten times all streams' T together goes first, to the end, where
 *                     it finishes earliest
 *   fall-back         whatever is not a number, or not seen by the features, is decided by earliest finish time
 *   closed loops      are left to the base heuristic (sched/policies/base.h): no training has done better there */
cosrel_status cosrel_agent_policy(const cosrel_agent *agent, const cosrel_case *c, uint32_t plan_budget,
                                  cosrel_policy *out, cosrel_error *error);

/* Decisions of such a policy since its reset that the fall-back and the guard took. */
typedef struct cosrel_agent_report {
  uint64_t decisions, fell_back, guarded;
} cosrel_agent_report;
cosrel_agent_report cosrel_agent_policy_report(const cosrel_policy *policy);

#endif
