#include "experiments/summary.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rng.h"

/* ---- the values of a group ---- */

enum { LOST = COSREL_FIGURE_COUNT, VALUES }; /* lost utility, 1 - U, comes after the figures */

/* x[policy][value][run]; the row after the policies is the hindsight-best of each case, once it is known. */
typedef struct table {
  const cosrel_group *group;
  double *x;
} table;

static double *row_of(const table *t, int policy, int value) {
  size_t row = policy == COSREL_HINDSIGHT ? t->group->q->n_policies : (size_t)policy;
  return &t->x[(row * VALUES + (size_t)value) * t->group->n_runs];
}

static bool table_create(const cosrel_group *group, table *t) {
  *t = (table){group, malloc(((size_t)group->q->n_policies + 1) * VALUES * group->n_runs * sizeof *t->x)};
  return t->x != NULL;
}

static void table_fill(const table *t, int policy) {
  for (int f = 0; f < COSREL_FIGURE_COUNT; f++)
    cosrel_group_values(t->group, (uint32_t)policy, (cosrel_figure)f, row_of(t, policy, f));
  for (uint32_t i = 0; i < t->group->n_runs; i++)
    row_of(t, policy, LOST)[i] = 1.0 - row_of(t, policy, COSREL_FIGURE_U)[i];
}

static double mean_of(const double *x, uint32_t n) {
  double sum = 0.0;
  for (uint32_t i = 0; i < n; i++) sum += x[i];
  return sum / n;
}

/* Mean of a value over the runs of case k, which begin at `run`. */
static double case_mean(const table *t, int policy, int value, uint32_t k, uint32_t run) {
  return mean_of(row_of(t, policy, value) + run, t->group->count[k]);
}

static double group_mean(const table *t, int policy, int value) {
  double sum = 0.0;
  for (uint32_t k = 0, run = 0; k < t->group->n_cases; run += t->group->count[k++])
    sum += case_mean(t, policy, value, k, run);
  return sum / t->group->n_cases;
}

/* ---- statistics to be computed together ---- */

typedef struct plan {
  uint32_t n, room;
  cosrel_statistic *statistics;
  cosrel_interval **targets; /* where each goes */
  bool failed;
} plan;

static void add(plan *p, cosrel_interval *target, cosrel_statistic_kind kind, const double *a, const double *b,
                const bool *only) {
  if (p->n == p->room) {
    p->room = 2 * p->room + 64;
    cosrel_statistic *statistics = realloc(p->statistics, p->room * sizeof *statistics);
    if (statistics != NULL) p->statistics = statistics;
    cosrel_interval **targets = realloc((void *)p->targets, p->room * sizeof *targets);
    if (targets != NULL) p->targets = targets;
    p->failed = p->failed || statistics == NULL || targets == NULL;
  }
  if (p->failed) return;
  p->statistics[p->n] = (cosrel_statistic){kind, a, b, only};
  p->targets[p->n++] = target;
}

static cosrel_status carry_out(plan *p, const cosrel_group *group, uint64_t key) {
  cosrel_strata strata = cosrel_group_strata(group);
  cosrel_interval *intervals = calloc(p->n + 1, sizeof *intervals);
  cosrel_status status = intervals == NULL || p->failed ? COSREL_NOMEM : COSREL_OK;
  if (status == COSREL_OK) status = cosrel_bootstrap(&strata, key, p->n, p->statistics, intervals);
  for (uint32_t i = 0; status == COSREL_OK && i < p->n; i++) *p->targets[i] = intervals[i];
  free(intervals);
  free(p->statistics);
  free((void *)p->targets);
  return status;
}

/* ---- policies ---- */

static void add_figures(cosrel_summary *s, const table *t, uint32_t policy, plan *p) {
  for (int f = 0; f < COSREL_FIGURE_COUNT; f++)
    add(p, &s->figures[policy * COSREL_FIGURE_COUNT + (uint32_t)f], COSREL_STATISTIC_IQM, row_of(t, (int)policy, f),
        NULL, NULL);
  s->mean[policy] = group_mean(t, (int)policy, (int)s->headline);
}

static bool is_rule(const cosrel_summary *s, uint32_t policy) {
  return s->online.q->contenders[policy].kind == COSREL_CONTENDER_HEURISTIC && (int)policy != s->subject;
}

static void find_single(cosrel_summary *s) {
  s->single = -1;
  for (uint32_t p = 0; p < s->online.q->n_policies; p++)
    if (is_rule(s, p) && (s->single < 0 || s->mean[p] > s->mean[s->single])) s->single = (int)p;
}

/* Finds the best rule of each case and fills the row of the table that it stands for. */
static void find_hindsight(cosrel_summary *s, const table *t) {
  for (uint32_t k = 0, run = 0; k < s->online.n_cases; run += s->online.count[k++]) {
    double most = -INFINITY;
    s->cases[k] = (cosrel_case_outcome){.c = s->online.cases[k], .best = -1};
    for (uint32_t p = 0; p < s->online.q->n_policies; p++) {
      double mean = case_mean(t, (int)p, (int)s->headline, k, run);
      if (is_rule(s, p) && mean > most) most = mean, s->cases[k].best = (int)p;
    }
    for (int v = 0; v < VALUES && s->cases[k].best >= 0; v++)
      memcpy(row_of(t, COSREL_HINDSIGHT, v) + run, row_of(t, s->cases[k].best, v) + run,
             s->online.count[k] * sizeof(double));
  }
  s->hindsight_mean = group_mean(t, COSREL_HINDSIGHT, (int)s->headline);
}

/* ---- the subject against others ---- */

static void score_add(cosrel_score *score, int sign) {
  score->won += sign > 0;
  score->tied += sign == 0;
  score->lost += sign < 0;
}

static int sign_in_case(const cosrel_summary *s, const table *t, int rival, uint32_t k, uint32_t run) {
  return cosrel_paired_sign(row_of(t, s->subject, (int)s->headline) + run, row_of(t, rival, (int)s->headline) + run,
                            t->group->count[k]);
}

static void add_rival(cosrel_summary *s, const table *t, int policy, plan *p) {
  cosrel_rival *r = &s->rivals[s->n_rivals++];
  *r = (cosrel_rival){.policy = policy,
                      .offline = t->group == &s->offline,
                      .mean = group_mean(t, policy, (int)s->headline),
                      .ratio_least = INFINITY};
  const struct {
    cosrel_interval *target;
    cosrel_statistic_kind kind;
    int value;
  } wanted[] = {{&r->difference, COSREL_STATISTIC_DIFFERENCE, (int)s->headline},
                {&r->lost_ratio, COSREL_STATISTIC_RATIO, LOST},
                {&r->improvement, COSREL_STATISTIC_IMPROVEMENT, (int)s->headline},
                {&r->antt_ratio, COSREL_STATISTIC_RATIO, COSREL_FIGURE_ANTT},
                {&r->energy_ratio, COSREL_STATISTIC_RATIO, COSREL_FIGURE_ENERGY_RATIO}};
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
    add(p, wanted[i].target, wanted[i].kind, row_of(t, s->subject, wanted[i].value), row_of(t, policy, wanted[i].value),
        NULL);
  for (uint32_t k = 0, run = 0; k < t->group->n_cases; run += t->group->count[k++]) {
    double own = case_mean(t, s->subject, (int)s->headline, k, run);
    double other = case_mean(t, policy, (int)s->headline, k, run);
    double ratio = other > 0 ? own / other : 1.0;
    r->ratio_mean += ratio / t->group->n_cases;
    r->ratio_least = fmin(r->ratio_least, ratio);
    score_add(&r->score, sign_in_case(s, t, policy, k, run));
  }
}

static void judge_cases(cosrel_summary *s, const table *t) {
  for (uint32_t k = 0, run = 0; k < s->online.n_cases; run += s->online.count[k++]) {
    cosrel_case_outcome *o = &s->cases[k];
    o->subject = case_mean(t, s->subject, (int)s->headline, k, run);
    o->single = o->hindsight = NAN;
    if (s->single < 0) continue;
    o->single = case_mean(t, s->single, (int)s->headline, k, run);
    o->hindsight = case_mean(t, COSREL_HINDSIGHT, (int)s->headline, k, run);
    o->sign_single = sign_in_case(s, t, s->single, k, run);
    o->sign_hindsight = sign_in_case(s, t, COSREL_HINDSIGHT, k, run);
  }
}

static void add_verdicts(cosrel_summary *s, const table *t, plan *p) {
  for (uint32_t policy = 0; policy < s->online.q->n_policies && s->single >= 0; policy++) {
    if (s->online.q->contenders[policy].kind != COSREL_CONTENDER_LEARNED) continue;
    cosrel_verdict *v = &s->verdicts[s->n_verdicts++];
    v->policy = policy;
    add(p, &v->minus_best, COSREL_STATISTIC_DIFFERENCE, row_of(t, (int)policy, (int)s->headline),
        row_of(t, s->single, (int)s->headline), NULL);
    add(p, &v->lost_ratio, COSREL_STATISTIC_RATIO, row_of(t, (int)policy, LOST), row_of(t, s->single, LOST), NULL);
  }
}

/* ---- slices ---- */

/* Puts case k into the slice of this kind and label. */
static void slice_add(cosrel_summary *s, const char *kind, const char *label, uint32_t k, bool *failed) {
  uint32_t i = 0;
  while (i < s->n_slices && (s->slices[i].kind != kind || strcmp(s->slices[i].label, label) != 0)) i++;
  if (i == s->n_slices) {
    cosrel_slice *slices = realloc(s->slices, (s->n_slices + 1) * sizeof *slices);
    if (slices != NULL) s->slices = slices;
    bool *only = calloc(s->online.n_cases, sizeof *only);
    if (slices == NULL || only == NULL) {
      free(only);
      *failed = true;
      return;
    }
    s->slices[s->n_slices++] = (cosrel_slice){.kind = kind, .only = only};
    snprintf(s->slices[i].label, sizeof s->slices[i].label, "%s", label);
  }
  s->slices[i].n_cases += !s->slices[i].only[k];
  s->slices[i].only[k] = true;
}

/* Slices that hold all cases say nothing new. */
static void drop_whole_slices(cosrel_summary *s) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < s->n_slices; i++) {
    if (s->slices[i].n_cases == s->online.n_cases)
      free(s->slices[i].only);
    else
      s->slices[kept++] = s->slices[i];
  }
  s->n_slices = kept;
}

static bool make_slices(cosrel_summary *s) {
  static const char profile[] = "profile", arrivals[] = "arrivals", load[] = "load", model[] = "model",
                    workload[] = "workload";
  bool failed = false;
  /* A kind after the other, so that they stand together. */
  for (int kind = 0; kind < 5; kind++)
    for (uint32_t k = 0; k < s->online.n_cases && !failed; k++) {
      const cosrel_case *c = &s->online.q->cases[s->online.cases[k]];
      char text[32];
      if (kind == 0) slice_add(s, profile, c->profile->name, k, &failed);
      if (kind == 1) slice_add(s, arrivals, cosrel_case_arrivals_name(c), k, &failed);
      if (kind == 2 && isfinite(cosrel_case_load(c))) {
        snprintf(text, sizeof text, "%.2f", cosrel_case_load(c));
        slice_add(s, load, text, k, &failed);
      }
      for (uint32_t i = 0; kind == 3 && i < c->n_streams; i++)
        slice_add(s, model, c->workload->streams[i].model, k, &failed);
      if (kind == 4) slice_add(s, workload, c->workload->name, k, &failed);
    }
  drop_whole_slices(s);
  return !failed;
}

static void add_slices(cosrel_summary *s, const table *t, plan *p) {
  for (uint32_t i = 0; i < s->n_slices; i++) {
    cosrel_slice *slice = &s->slices[i];
    for (uint32_t k = 0; k < s->online.n_cases; k++) {
      if (!slice->only[k]) continue;
      slice->subject += s->cases[k].subject / slice->n_cases;
      slice->single += s->cases[k].single / slice->n_cases;
      slice->hindsight += s->cases[k].hindsight / slice->n_cases;
      score_add(&slice->against_single, s->cases[k].sign_single);
      score_add(&slice->against_hindsight, s->cases[k].sign_hindsight);
    }
    add(p, &slice->lost_ratio, COSREL_STATISTIC_RATIO, row_of(t, s->subject, LOST), row_of(t, s->single, LOST),
        slice->only);
  }
}

/* ---- both groups ---- */

static int by_rank(const void *a, const void *b) {
  const cosrel_rival *x = a, *y = b;
  if (x->offline != y->offline) return x->offline - y->offline;
  if ((x->policy == COSREL_HINDSIGHT) != (y->policy == COSREL_HINDSIGHT)) return x->policy == COSREL_HINDSIGHT ? -1 : 1;
  return x->mean != y->mean ? (x->mean < y->mean) - (x->mean > y->mean) : x->policy - y->policy;
}

static cosrel_status conclude_online(cosrel_summary *s, uint64_t key) {
  const cosrel_comparison *q = s->online.q;
  table t;
  plan p = {0};
  if (!table_create(&s->online, &t)) return COSREL_NOMEM;
  for (uint32_t policy = 0; policy < q->n_policies; policy++) {
    if (q->contenders[policy].kind == COSREL_CONTENDER_OFFLINE) continue;
    table_fill(&t, (int)policy);
    add_figures(s, &t, policy, &p);
  }
  find_single(s);
  if (s->single >= 0) find_hindsight(s, &t);
  if (s->subject >= 0) {
    judge_cases(s, &t);
    if (s->single >= 0) add_rival(s, &t, COSREL_HINDSIGHT, &p);
    for (uint32_t policy = 0; policy < q->n_policies; policy++)
      if (q->contenders[policy].kind != COSREL_CONTENDER_OFFLINE && (int)policy != s->subject)
        add_rival(s, &t, (int)policy, &p);
    if (!make_slices(s)) p.failed = true;
    if (s->single >= 0) add_slices(s, &t, &p);
    add_verdicts(s, &t, &p);
  }
  cosrel_status status = carry_out(&p, &s->online, key);
  free(t.x);
  return status;
}

static cosrel_status conclude_offline(cosrel_summary *s, uint64_t key) {
  const cosrel_comparison *q = s->offline.q;
  table t;
  plan p = {0};
  if (!table_create(&s->offline, &t)) return COSREL_NOMEM;
  bool subject = s->subject >= 0 && q->contenders[s->subject].kind != COSREL_CONTENDER_OFFLINE;
  if (subject) table_fill(&t, s->subject);
  for (uint32_t policy = 0; policy < q->n_policies; policy++) {
    if (q->contenders[policy].kind != COSREL_CONTENDER_OFFLINE) continue;
    table_fill(&t, (int)policy);
    add_figures(s, &t, policy, &p);
    if (subject) add_rival(s, &t, (int)policy, &p);
  }
  cosrel_status status = carry_out(&p, &s->offline, key);
  free(t.x);
  return status;
}

cosrel_status cosrel_summary_create(const cosrel_comparison *q, cosrel_loop loop, int subject, cosrel_summary *out) {
  uint64_t key = cosrel_rng_key(q->config.seed, (uint64_t)loop);
  *out = (cosrel_summary){
      .headline = loop == COSREL_LOOP_CLOSED ? COSREL_FIGURE_G : COSREL_FIGURE_U, .subject = subject, .single = -1};
  out->figures = calloc((size_t)q->n_policies * COSREL_FIGURE_COUNT, sizeof *out->figures);
  out->mean = calloc(q->n_policies, sizeof *out->mean);
  out->rivals = calloc(q->n_policies + 1, sizeof *out->rivals);
  out->verdicts = calloc(q->n_policies, sizeof *out->verdicts);
  out->cases = calloc(q->n_cases, sizeof *out->cases);
  cosrel_status status = COSREL_NOMEM;
  if (out->figures != NULL && out->mean != NULL && out->rivals != NULL && out->verdicts != NULL && out->cases != NULL)
    status = cosrel_group_create(q, loop, false, &out->online);
  if (status == COSREL_OK) status = cosrel_group_create(q, loop, true, &out->offline);
  for (uint32_t i = 0; i < q->n_policies * COSREL_FIGURE_COUNT && status == COSREL_OK; i++)
    out->figures[i] = (cosrel_interval){NAN, NAN, NAN};
  if (status == COSREL_OK && out->online.n_cases > 0) status = conclude_online(out, key);
  if (status == COSREL_OK && out->offline.n_cases > 0) status = conclude_offline(out, key);
  if (status == COSREL_OK)
    qsort(out->rivals, out->n_rivals, sizeof *out->rivals, by_rank);
  else
    cosrel_summary_destroy(out);
  return status;
}

void cosrel_summary_destroy(cosrel_summary *summary) {
  for (uint32_t i = 0; i < summary->n_slices; i++) free(summary->slices[i].only);
  cosrel_group_destroy(&summary->online);
  cosrel_group_destroy(&summary->offline);
  free(summary->figures);
  free(summary->mean);
  free(summary->rivals);
  free(summary->cases);
  free(summary->slices);
  free(summary->verdicts);
  memset(summary, 0, sizeof *summary);
}
