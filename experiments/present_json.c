#include <math.h>

#include "experiments/present.h"
#include "experiments/result_json.h"

/* null when the statistic is not defined. `key` names the value: iqm, mean, ratio, probability. */
static json_t *interval_json(const cosrel_interval *interval, const char *key) {
  if (!isfinite(interval->value)) return json_null();
  return json_pack("{s:o, s:o, s:o}", key, cosrel_json_real(interval->value), "low", cosrel_json_real(interval->low),
                   "high", cosrel_json_real(interval->high));
}

static json_t *score_json(const cosrel_score *score) {
  return json_pack("{s:i, s:i, s:i}", "won", (int)score->won, "tied", (int)score->tied, "lost", (int)score->lost);
}

/* A row per policy. A bound share is defined by closed cases only, so it is always taken from `closed`. */
static json_t *rows_json(const cosrel_comparison *q, const cosrel_summary *s, const cosrel_summary *closed) {
  json_t *rows = json_array();
  int bad = rows == NULL;
  for (uint32_t p = 0; p < q->n_policies && s->online.n_cases > 0; p++) {
    json_t *entry = json_object();
    cosrel_contender_kind kind = q->contenders[p].kind;
    bad |= json_object_set_new(entry, "policy", json_string(q->contenders[p].name));
    bad |= json_object_set_new(entry, "kind", json_string(cosrel_contender_kind_name(kind)));
    bad |= json_object_set_new(entry, "offline", json_boolean(kind == COSREL_CONTENDER_OFFLINE));
    for (int f = 0; f < COSREL_FIGURE_COUNT; f++) {
      const cosrel_summary *from = f == COSREL_FIGURE_BOUND_SHARE ? closed : s;
      bad |= json_object_set_new(entry, cosrel_figure_key((cosrel_figure)f),
                                 interval_json(cosrel_summary_figure(from, p, (cosrel_figure)f), "iqm"));
    }
    bad |= json_array_append_new(rows, entry);
  }
  if (!bad) return rows;
  json_decref(rows);
  return NULL;
}

static json_t *rival_json(const cosrel_comparison *q, const cosrel_rival *r) {
  bool hindsight = r->policy == COSREL_HINDSIGHT;
  return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rival",
                   hindsight ? "hindsight-best" : q->contenders[r->policy].name, "kind",
                   hindsight ? "heuristic" : cosrel_contender_kind_name(q->contenders[r->policy].kind), "mean",
                   cosrel_json_real(r->mean), "difference", interval_json(&r->difference, "mean"), "lost_ratio",
                   interval_json(&r->lost_ratio, "ratio"), "improvement", interval_json(&r->improvement, "probability"),
                   "antt_ratio", interval_json(&r->antt_ratio, "ratio"), "energy_ratio",
                   interval_json(&r->energy_ratio, "ratio"), "ratio_mean", cosrel_json_real(r->ratio_mean),
                   "ratio_least", cosrel_json_real(r->ratio_least), "cases", score_json(&r->score));
}

static json_t *case_json(const cosrel_comparison *q, const cosrel_case_outcome *o) {
  const cosrel_case *c = &q->cases[o->c];
  return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:s, s:i, s:i}", "profile", c->profile->name, "workload",
                   c->workload->name, "arrivals", cosrel_case_arrivals_name(c), "load",
                   cosrel_json_real(cosrel_case_load(c)), "subject", cosrel_json_real(o->subject), "best_heuristic",
                   cosrel_json_real(o->single), "hindsight_best", cosrel_json_real(o->hindsight), "hindsight_policy",
                   o->best >= 0 ? q->contenders[o->best].name : "", "sign_best_heuristic", o->sign_single,
                   "sign_hindsight_best", o->sign_hindsight);
}

static json_t *slice_json(const cosrel_slice *slice) {
  return json_pack("{s:s, s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o}", "by", slice->kind, "is", slice->label, "cases",
                   (int)slice->n_cases, "subject", cosrel_json_real(slice->subject), "best_heuristic",
                   cosrel_json_real(slice->single), "hindsight_best", cosrel_json_real(slice->hindsight), "lost_ratio",
                   interval_json(&slice->lost_ratio, "ratio"), "cases_best_heuristic",
                   score_json(&slice->against_single), "cases_hindsight_best", score_json(&slice->against_hindsight));
}

static json_t *group_json(const cosrel_comparison *q, const cosrel_summary *s, bool closed) {
  json_t *root = json_object(), *rivals = json_array(), *slices = json_array(), *cases = json_array(),
         *verdicts = json_array();
  int bad = root == NULL || rivals == NULL || slices == NULL || cases == NULL || verdicts == NULL;
  bad |= json_object_set_new(root, "loop", json_string(closed ? "closed" : "open"));
  bad |= json_object_set_new(root, "headline", json_string(cosrel_figure_key(s->headline)));
  bad |= json_object_set_new(root, "summary", rows_json(q, s, s));
  if (s->single >= 0) {
    bad |= json_object_set_new(
        root, "best_heuristic",
        json_pack("{s:s, s:o}", "policy", q->contenders[s->single].name, "mean", cosrel_json_real(s->mean[s->single])));
    bad |= json_object_set_new(root, "hindsight_best_mean", cosrel_json_real(s->hindsight_mean));
  }
  if (s->subject >= 0) {
    bad |= json_object_set_new(root, "subject",
                               json_pack("{s:s, s:o}", "policy", q->contenders[s->subject].name, "mean",
                                         cosrel_json_real(s->mean[s->subject])));
    for (uint32_t k = 0; k < s->online.n_cases; k++) bad |= json_array_append_new(cases, case_json(q, &s->cases[k]));
  }
  for (uint32_t i = 0; i < s->n_rivals; i++) bad |= json_array_append_new(rivals, rival_json(q, &s->rivals[i]));
  for (uint32_t i = 0; i < s->n_slices; i++) bad |= json_array_append_new(slices, slice_json(&s->slices[i]));
  for (uint32_t i = 0; i < s->n_verdicts; i++) {
    const cosrel_verdict *v = &s->verdicts[i];
    bad |= json_array_append_new(
        verdicts, json_pack("{s:s, s:o, s:o, s:o}", "policy", q->contenders[v->policy].name, "mean",
                            cosrel_json_real(s->mean[v->policy]), "minus_best", interval_json(&v->minus_best, "mean"),
                            "lost_ratio", interval_json(&v->lost_ratio, "ratio")));
  }
  bad |= json_object_set_new(root, "rivals", rivals);
  bad |= json_object_set_new(root, "slices", slices);
  bad |= json_object_set_new(root, "cases", cases);
  bad |= json_object_set_new(root, "verdicts", verdicts);
  if (!bad) return root;
  json_decref(root);
  return NULL;
}

static json_t *cells_json(const cosrel_comparison *q) {
  json_t *cells = json_array();
  int bad = cells == NULL;
  for (size_t i = 0; i < cosrel_comparison_size(q); i++)
    if (q->cells[i] != NULL) bad |= json_array_append_new(cells, cosrel_cell_json(q->cells[i]));
  if (!bad) return cells;
  json_decref(cells);
  return NULL;
}

json_t *cosrel_present_json(const cosrel_comparison *q, const cosrel_summary *summaries, bool with_cells) {
  json_t *root = json_object(), *groups = json_array();
  const cosrel_summary *closed = &summaries[COSREL_LOOP_CLOSED];
  int bad = root == NULL || groups == NULL;
  if (with_cells) bad |= json_object_set_new(root, "cells", cells_json(q));
  for (int loop = COSREL_LOOP_OPEN; loop < COSREL_LOOPS; loop++)
    if (summaries[loop].online.n_cases > 0)
      bad |= json_array_append_new(groups, group_json(q, &summaries[loop], loop == COSREL_LOOP_CLOSED));
  bad |= json_object_set_new(root, "summary", rows_json(q, &summaries[COSREL_LOOP_ALL], closed));
  bad |= json_object_set_new(root, "groups", groups);
  if (!bad) return root;
  json_decref(root);
  return NULL;
}
