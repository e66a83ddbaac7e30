/* What may be concluded from a comparison, for its open or its closed cases: every policy's figures with intervals, and
 * one policy, the subject, against every other one, on all cases and on parts of them.
 *
 * Best single heuristic: the online rule with the best mean headline over the cases. Hindsight-best: the best online
 * rule of each case, chosen by its mean over the same seeds. The planner (rollout), learned policies and offline
 * references are neither; they are rivals in their own right. */
#ifndef COSREL_EXPERIMENTS_SUMMARY_H
#define COSREL_EXPERIMENTS_SUMMARY_H

#include "experiments/group.h"

#define COSREL_HINDSIGHT (-1) /* in place of a policy: the hindsight-best heuristic of each case */

/* Cases in which the subject is better (worse) than a rival by a paired t-test at 95 %; the others are tied. */
typedef struct cosrel_score {
  uint32_t won, tied, lost;
} cosrel_score;

/* The subject against a rival, paired. Ratios are of means over the cases, subject over rival. */
typedef struct cosrel_rival {
  int policy;
  bool offline;                /* paired on the runs that offline policies have */
  double mean;                 /* headline, over the cases */
  cosrel_interval difference;  /* of the headline */
  cosrel_interval lost_ratio;  /* of 1 - U */
  cosrel_interval improvement; /* probability that a run of the subject has the better headline of a pair */
  cosrel_interval antt_ratio, energy_ratio;
  double ratio_mean, ratio_least; /* of the headline's case means, over the cases */
  cosrel_score score;
} cosrel_rival;

/* One case. */
typedef struct cosrel_case_outcome {
  uint32_t c;                        /* index into the comparison's cases */
  int best;                          /* its best heuristic */
  double subject, single, hindsight; /* mean headline; NaN when there is none */
  int sign_single, sign_hindsight;   /* 1 won, 0 tied, -1 lost */
} cosrel_case_outcome;

/* The cases that have one thing in common. */
typedef struct cosrel_slice {
  const char *kind; /* "profile", "arrivals", "load", "model", "workload" */
  char label[COSREL_NAME_MAX];
  bool *only; /* owned [n_cases] */
  uint32_t n_cases;
  double subject, single, hindsight; /* mean headline */
  cosrel_interval lost_ratio;        /* against the best single heuristic (of all cases) */
  cosrel_score against_single, against_hindsight;
} cosrel_slice;

/* A learned policy, beside the best single heuristic. */
typedef struct cosrel_verdict {
  uint32_t policy;
  cosrel_interval minus_best, lost_ratio;
} cosrel_verdict;

typedef struct cosrel_summary {
  cosrel_group online, offline; /* runs that all online policies have; that offline ones have, too */
  cosrel_figure headline;       /* U; G of closed cases */
  cosrel_interval *figures;     /* owned [n_policies][COSREL_FIGURE_COUNT], IQM */
  double *mean;                 /* owned [n_policies] headline, over the cases */
  int subject, single;          /* policies; -1: none */
  double hindsight_mean;
  uint32_t n_rivals, n_slices, n_verdicts;
  cosrel_rival *rivals;       /* owned: hindsight-best, then online policies, then offline ones, best first */
  cosrel_case_outcome *cases; /* owned [online.n_cases] */
  cosrel_slice *slices;       /* owned */
  cosrel_verdict *verdicts;   /* owned */
} cosrel_summary;

/* `subject` -1: only figures. COSREL_NOMEM, or a summary with online.n_cases = 0 when nothing is complete. The
 * comparison must outlive it. */
cosrel_status cosrel_summary_create(const cosrel_comparison *q, cosrel_loop loop, int subject, cosrel_summary *out);
void cosrel_summary_destroy(cosrel_summary *summary);

static inline const cosrel_interval *cosrel_summary_figure(const cosrel_summary *s, uint32_t policy, cosrel_figure f) {
  return &s->figures[policy * COSREL_FIGURE_COUNT + (uint32_t)f];
}

#endif
