/* cosrel compare: every policy on every case with the same seeds, as a table with 95 % intervals and as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "experiments/commands.h"
#include "experiments/comparison.h"
#include "experiments/inputs.h"
#include "experiments/options.h"
#include "experiments/progress.h"
#include "experiments/result_json.h"
#include "traces/atomic.h"

typedef struct request {
  cosrel_strings profiles, workloads, policies, arrivals;
  cosrel_numbers loads;
  uint64_t seeds, seed, plan_budget, threads;
  double duration_s;
  const char *csv;
  bool json, no_noise;
} request;

/* ---- the table ---- */

enum { NAME_WIDTH = 16, COLUMN_WIDTH = 12 };

static void print_column(const char *text, int display_width) {
  printf("%*s%s", display_width < COLUMN_WIDTH ? COLUMN_WIDTH - display_width : 1, "", text);
}

/* "0.581±.004": the value and the larger half of its interval. */
static void print_interval(const cosrel_interval *interval, int decimals) {
  char value[32], half[32], text[80];
  double width = fmax(interval->high - interval->value, interval->value - interval->low);
  snprintf(value, sizeof value, "%.*f", decimals, interval->value);
  snprintf(half, sizeof half, "%.*f", decimals, width);
  snprintf(text, sizeof text, "%s±%s", value, half[0] == '0' && half[1] == '.' ? half + 1 : half);
  print_column(text, (int)strlen(text) - 1); /* ± is two bytes */
}

typedef struct label {
  char text[COSREL_NAME_MAX];
} label;

/* A policy file is shown without folders and suffix. */
static label short_name(const cosrel_contender *contender) {
  label out;
  const char *slash = strrchr(contender->name, '/');
  snprintf(out.text, sizeof out.text, "%s", slash != NULL ? slash + 1 : contender->name);
  char *suffix = strstr(out.text, ".safetensors");
  if (suffix != NULL && suffix != out.text) *suffix = '\0';
  return out;
}

typedef struct row {
  uint32_t policy;
  double key;
} row;

static int by_key(const void *a, const void *b) {
  const row *x = a, *y = b;
  return x->key != y->key ? (x->key < y->key) - (x->key > y->key) : (x->policy > y->policy) - (x->policy < y->policy);
}

/* Policies of one kind, best first. */
static uint32_t rank(const cosrel_comparison *q, const cosrel_group *group, bool offline, row *rows) {
  uint32_t n = 0;
  for (uint32_t p = 0; p < q->n_policies; p++) {
    cosrel_interval headline;
    if (q->contenders[p].offline != offline) continue;
    bool defined = cosrel_group_interval(q, group, p, group->headline, &headline);
    rows[n++] = (row){p, defined ? headline.value : -INFINITY};
  }
  qsort(rows, n, sizeof *rows, by_key);
  return n;
}

static void print_rows(const cosrel_comparison *q, const cosrel_group *group, const row *rows, uint32_t n,
                       bool ranked) {
  for (uint32_t i = 0; i < n; i++) {
    if (ranked)
      printf("%2u %-*.*s", i + 1, NAME_WIDTH, NAME_WIDTH, short_name(&q->contenders[rows[i].policy]).text);
    else
      printf(" - %-*.*s", NAME_WIDTH, NAME_WIDTH, short_name(&q->contenders[rows[i].policy]).text);
    for (int f = 0; f < COSREL_FIGURE_COUNT; f++) {
      cosrel_interval interval;
      if (cosrel_group_interval(q, group, rows[i].policy, (cosrel_figure)f, &interval))
        print_interval(&interval, cosrel_figure_decimals((cosrel_figure)f));
      else
        print_column("-", 1);
    }
    printf("\n");
  }
}

static void case_label(const cosrel_case *c, char *out, size_t size) {
  double load = cosrel_case_load(c);
  if (isfinite(load))
    snprintf(out, size, "%s, %s, %s %.2f", c->workload->name, c->profile->name, cosrel_case_arrivals_name(c), load);
  else
    snprintf(out, size, "%s, %s, %s", c->workload->name, c->profile->name, cosrel_case_arrivals_name(c));
}

static void print_verdict(const cosrel_comparison *q, const cosrel_group *group, uint32_t policy) {
  cosrel_verdict v;
  const char *figure = cosrel_figure_head(group->headline);
  if (cosrel_group_verdict(q, group, policy, &v) != COSREL_OK) return;
  printf("%s: mean %s %.4f\n", short_name(&q->contenders[policy]).text, figure, cosrel_group_mean(q, group, policy));
  printf("  minus best single heuristic  %+.4f [%+.4f, %+.4f]\n", v.minus_best.value, v.minus_best.low,
         v.minus_best.high);
  printf("  minus hindsight-best         %+.4f [%+.4f, %+.4f]\n", v.minus_hindsight.value, v.minus_hindsight.low,
         v.minus_hindsight.high);
  printf("  over hindsight-best          %.3f on average, %.3f at least; above it in %u of %u cases\n", v.ratio_mean,
         v.ratio_least, v.wins, group->n_cases);
  printf("\n  %-60s %8s %8s %8s  %s\n", "case", "it", "best", "ratio", "best heuristic there");
  for (uint32_t k = 0; k < group->n_cases; k++) {
    char label[256];
    uint32_t c = group->cases[k], best = (uint32_t)cosrel_case_best(q, c, group->headline);
    double own = cosrel_case_mean(q, c, policy, group->headline), rival = cosrel_case_mean(q, c, best, group->headline);
    case_label(&q->cases[c], label, sizeof label);
    printf("  %-60.60s %8.4f %8.4f %8.3f  %s\n", label, own, rival, own / rival, short_name(&q->contenders[best]).text);
  }
  printf("\n");
}

static void print_group(const cosrel_comparison *q, const cosrel_group *group, row *rows) {
  if (group->n_cases == 0) return;
  printf("\n%s loop: %u cases x %u seeds, %g s each. IQM of the runs ± 95 %% bootstrap interval; best %s first.\n\n",
         group->headline == COSREL_FIGURE_G ? "Closed" : "Open", group->n_cases, q->n_seeds, q->config.duration_s,
         cosrel_figure_head(group->headline));
  printf("   %-*s", NAME_WIDTH, "policy");
  for (int f = 0; f < COSREL_FIGURE_COUNT; f++) {
    const char *head = cosrel_figure_head((cosrel_figure)f);
    print_column(head, (int)strlen(head));
  }
  printf("\n");
  print_rows(q, group, rows, rank(q, group, false, rows), true);
  uint32_t n_offline = rank(q, group, true, rows);
  if (n_offline > 0) {
    printf("   offline references, which see the whole case beforehand:\n");
    print_rows(q, group, rows, n_offline, false);
  }

  int best = cosrel_group_best(q, group);
  if (best < 0) return;
  double hindsight = 0;
  for (uint32_t k = 0; k < group->n_cases; k++) {
    uint32_t c = group->cases[k];
    hindsight += cosrel_case_mean(q, c, (uint32_t)cosrel_case_best(q, c, group->headline), group->headline);
  }
  printf("\nbest single online heuristic: %s, mean %s %.4f over the cases; hindsight-best of each case: %.4f\n",
         short_name(&q->contenders[best]).text, cosrel_figure_head(group->headline),
         cosrel_group_mean(q, group, (uint32_t)best), hindsight / group->n_cases);
  for (uint32_t p = 0; p < q->n_policies; p++)
    if (q->contenders[p].learned) print_verdict(q, group, p);
}

/* ---- JSON ---- */

static json_t *interval_json(const cosrel_interval *interval, const char *value_key) {
  return json_pack("{s:o, s:o, s:o}", value_key, cosrel_json_real(interval->value), "low",
                   cosrel_json_real(interval->low), "high", cosrel_json_real(interval->high));
}

static json_t *rows_json(const cosrel_comparison *q, const cosrel_group *group) {
  json_t *rows = json_array();
  int bad = rows == NULL;
  for (uint32_t p = 0; p < q->n_policies && group->n_cases > 0; p++) {
    json_t *entry = json_object();
    bad |= json_object_set_new(entry, "policy", json_string(q->contenders[p].name));
    bad |= json_object_set_new(entry, "offline", json_boolean(q->contenders[p].offline));
    for (int f = 0; f < COSREL_FIGURE_COUNT; f++) {
      cosrel_interval interval;
      bool defined = cosrel_group_interval(q, group, p, (cosrel_figure)f, &interval);
      bad |= json_object_set_new(entry, cosrel_figure_key((cosrel_figure)f),
                                 defined ? interval_json(&interval, "iqm") : json_null());
    }
    bad |= json_array_append_new(rows, entry);
  }
  if (!bad) return rows;
  json_decref(rows);
  return NULL;
}

static json_t *verdict_json(const cosrel_comparison *q, const cosrel_group *group, uint32_t policy) {
  cosrel_verdict v;
  if (cosrel_group_verdict(q, group, policy, &v) != COSREL_OK) return NULL;
  return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:i}", "policy", q->contenders[policy].name, "mean",
                   cosrel_json_real(cosrel_group_mean(q, group, policy)), "minus_best",
                   interval_json(&v.minus_best, "mean"), "minus_hindsight", interval_json(&v.minus_hindsight, "mean"),
                   "ratio_mean", cosrel_json_real(v.ratio_mean), "ratio_least", cosrel_json_real(v.ratio_least), "wins",
                   (int)v.wins);
}

static json_t *group_json(const cosrel_comparison *q, const cosrel_group *group) {
  json_t *root = json_object(), *cases = json_array(), *verdicts = json_array();
  int best = cosrel_group_best(q, group), bad = root == NULL || cases == NULL || verdicts == NULL;
  bad |= json_object_set_new(root, "loop", json_string(group->name));
  bad |= json_object_set_new(root, "headline", json_string(cosrel_figure_key(group->headline)));
  bad |= json_object_set_new(root, "summary", rows_json(q, group));
  if (best >= 0) {
    bad |= json_object_set_new(root, "best_heuristic",
                               json_pack("{s:s, s:o}", "policy", q->contenders[best].name, "mean",
                                         cosrel_json_real(cosrel_group_mean(q, group, (uint32_t)best))));
    for (uint32_t k = 0; k < group->n_cases; k++) {
      uint32_t c = group->cases[k], winner = (uint32_t)cosrel_case_best(q, c, group->headline);
      bad |= json_array_append_new(
          cases, json_pack("{s:s, s:s, s:s, s:o, s:s, s:o}", "profile", q->cases[c].profile->name, "workload",
                           q->cases[c].workload->name, "arrivals", cosrel_case_arrivals_name(&q->cases[c]), "load",
                           cosrel_json_real(cosrel_case_load(&q->cases[c])), "policy", q->contenders[winner].name,
                           "mean", cosrel_json_real(cosrel_case_mean(q, c, winner, group->headline))));
    }
    for (uint32_t p = 0; p < q->n_policies; p++)
      if (q->contenders[p].learned) bad |= json_array_append_new(verdicts, verdict_json(q, group, p));
  }
  bad |= json_object_set_new(root, "hindsight_best", cases);
  bad |= json_object_set_new(root, "verdicts", verdicts);
  if (!bad) return root;
  json_decref(root);
  return NULL;
}

/* `groups` are all, open, closed. */
static json_t *comparison_json(const cosrel_comparison *q, const cosrel_group groups[3]) {
  json_t *root = json_object(), *cells = json_array(), *loops = json_array();
  int bad = root == NULL || cells == NULL || loops == NULL;
  for (size_t i = 0; i < (size_t)q->n_cases * q->n_seeds * q->n_policies; i++)
    if (q->done[i]) bad |= json_array_append_new(cells, cosrel_cell_json(&q->cells[i]));
  for (int g = 1; g < 3; g++)
    if (groups[g].n_cases > 0) bad |= json_array_append_new(loops, group_json(q, &groups[g]));
  bad |= json_object_set_new(root, "cells", cells);
  bad |= json_object_set_new(root, "summary", rows_json(q, &groups[0]));
  bad |= json_object_set_new(root, "groups", loops);
  if (!bad) return root;
  json_decref(root);
  return NULL;
}

/* ---- CSV ---- */

/* Names come from files: quotes are doubled as RFC 4180 has it. */
static void csv_text(FILE *f, const char *text) {
  fputc('"', f);
  for (; *text != '\0'; text++) {
    if (*text == '"') fputc('"', f);
    fputc(*text, f);
  }
  fputs("\",", f);
}

static cosrel_status write_csv(const char *path, const cosrel_comparison *q, cosrel_error *error) {
  cosrel_atomic atomic;
  cosrel_status status = cosrel_atomic_begin(path, &atomic, error);
  if (status != COSREL_OK) return status;
  FILE *f = atomic.file;
  fprintf(f, "policy,profile,workload,arrivals,load,seed,decisions,stp,fairness,power_w");
  for (int k = 0; k < COSREL_FIGURE_COUNT; k++) fprintf(f, ",%s", cosrel_figure_key((cosrel_figure)k));
  fputc('\n', f);
  for (size_t i = 0; i < (size_t)q->n_cases * q->n_seeds * q->n_policies; i++) {
    const cosrel_cell *cell = &q->cells[i];
    const cosrel_result *r = &cell->result;
    if (!q->done[i]) continue;
    csv_text(f, cell->policy);
    csv_text(f, cell->c->profile->name);
    csv_text(f, cell->c->workload->name);
    double load = cosrel_case_load(cell->c);
    fprintf(f, "%s,", cosrel_case_arrivals_name(cell->c));
    if (isfinite(load)) fprintf(f, "%.12g", load);
    fprintf(f, ",%llu,%llu,%.12g,%.12g,%.12g", (unsigned long long)cell->seed, (unsigned long long)r->decisions, r->stp,
            r->fairness, r->power_w);
    for (int k = 0; k < COSREL_FIGURE_COUNT; k++) {
      double x = cosrel_figure_of(r, (cosrel_figure)k);
      fputc(',', f);
      if (isfinite(x)) fprintf(f, "%.12g", x);
    }
    fputc('\n', f);
  }
  return cosrel_atomic_commit(&atomic, error);
}

/* ---- the plan ---- */

/* One case per profile, workload, arrivals and load; closed arrivals have no load. */
static cosrel_status make_cases(const request *q, const cosrel_inputs *inputs, cosrel_case **out, uint32_t *n,
                                cosrel_error *error) {
  size_t most = (size_t)inputs->n_profiles * inputs->n_workloads * q->arrivals.n * q->loads.n;
  *n = 0;
  *out = calloc(most, sizeof **out);
  if (*out == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for %zu cases", most);
  for (uint32_t p = 0; p < inputs->n_profiles; p++)
    for (uint32_t w = 0; w < inputs->n_workloads; w++)
      for (uint32_t a = 0; a < q->arrivals.n; a++)
        for (uint32_t l = 0; l < q->loads.n; l++) {
          int arrivals;
          cosrel_status status = cosrel_arrivals_parse(q->arrivals.items[a], &arrivals, error);
          if (status != COSREL_OK) return status;
          cosrel_case *c = &(*out)[*n];
          status = cosrel_case_prepare(&inputs->profiles[p], &inputs->workloads[w], cosrel_inputs_bound(inputs, p, w),
                                       arrivals, q->loads.items[l], c, error);
          if (status != COSREL_OK) return status;
          ++*n;
          if (cosrel_case_is_closed(c)) break;
        }
  return COSREL_OK;
}

static cosrel_status add_contender(const char *word, cosrel_contender *list, uint32_t *n, cosrel_error *error) {
  for (uint32_t i = 0; i < *n; i++)
    if (strcmp(list[i].name, word) == 0) return COSREL_OK;
  if (*n == COSREL_OPTION_ITEMS_MAX) return cosrel_fail(error, COSREL_LIMIT, "--policies: too many policies");
  cosrel_status status = cosrel_contender_open(word, &list[*n], error);
  if (status == COSREL_OK) ++*n;
  return status;
}

/* `list` has room for COSREL_OPTION_ITEMS_MAX; `names` must outlive it. */
static cosrel_status make_contenders(const request *q, const cosrel_inputs *inputs, cosrel_names *names,
                                     cosrel_contender *list, uint32_t *n, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  for (uint32_t i = 0; i < q->policies.n && status == COSREL_OK; i++) {
    if (strcmp(q->policies.items[i], "all") != 0) {
      status = add_contender(q->policies.items[i], list, n, error);
      continue;
    }
    cosrel_names_all(inputs->profiles, inputs->n_profiles, names);
    for (uint32_t k = 0; k < names->n && status == COSREL_OK; k++)
      status = add_contender(names->items[k], list, n, error);
  }
  return status;
}

static cosrel_status report(const request *q, const cosrel_comparison *comparison, cosrel_error *error) {
  cosrel_group groups[3] = {{0}};
  row rows[COSREL_OPTION_ITEMS_MAX];
  cosrel_status status = COSREL_OK;
  for (int g = 0; g < 3 && status == COSREL_OK; g++)
    status = cosrel_group_create(comparison, (cosrel_group_kind)g, &groups[g]);
  if (status == COSREL_OK && q->csv != NULL) status = write_csv(q->csv, comparison, error);
  if (status == COSREL_OK && q->json) {
    status = cosrel_json_print(comparison_json(comparison, groups), error);
  } else if (status == COSREL_OK) {
    print_group(comparison, &groups[COSREL_GROUP_OPEN], rows);
    print_group(comparison, &groups[COSREL_GROUP_CLOSED], rows);
  }
  for (int g = 0; g < 3; g++) cosrel_group_destroy(&groups[g]);
  return status;
}

int cosrel_cmd_compare(int argc, char **argv) {
  request q = {.policies = {1, {"all"}},
               .arrivals = {3, {"closed", "periodic", "poisson"}},
               .loads = {2, {0.6, 0.9}},
               .seeds = 5,
               .seed = 1,
               .duration_s = 20,
               .plan_budget = COSREL_PLAN_DEFAULT,
               .threads = 1};
#ifdef _OPENMP
  q.threads = (uint64_t)omp_get_max_threads();
#endif
  const cosrel_usage usage = {
      "compare",
      "--profile P... --workload W... [options]",
      "Runs every policy on every case (profile x workload x arrivals x load) with the same seeds and\n"
      "prints one table for open and one for closed loop. In open loop U is the headline; in closed\n"
      "loop, where load means nothing, G. `all` means every built-in policy; add policy files by path.",
      "cosrel compare --profile traces/profiles/*.json --workload experiments/workloads/test/*.json \\\n"
      "    --policies all,build/demo/policy.safetensors --load 0.6,0.9 --seeds 5",
      0,
      0};
  const cosrel_option options[] = {
      {"profile", COSREL_OPTION_FILES, &q.profiles, "P...", "device profiles", 0, 0, true},
      {"workload", COSREL_OPTION_FILES, &q.workloads, "W...", "workloads", 0, 0, true},
      {"policies", COSREL_OPTION_WORDS, &q.policies, "A,B,...", "names, policy files, or all (all)", 0, 0, false},
      {"arrivals", COSREL_OPTION_WORDS, &q.arrivals, "A,B,...",
       "of closed, periodic, poisson, bursty (the first three)", 0, 0, false},
      {"load", COSREL_OPTION_NUMBERS, &q.loads, "L,...",
       "arrival rates as shares of the largest possible ones (0.6,0.9)", 0.001, 100, false},
      {"seeds", COSREL_OPTION_COUNT, &q.seeds, "N", "runs of every case (5)", 1, 10000, false},
      {"seed", COSREL_OPTION_COUNT, &q.seed, "N", "the first seed (1)", 0, 9e15, false},
      {"duration", COSREL_OPTION_NUMBER, &q.duration_s, "S", "seconds of arrivals (20)", 0.001, 86400, false},
      {"plan-budget", COSREL_OPTION_COUNT, &q.plan_budget, "N",
       "simulated decisions per decision, 0: do not plan (rollout: 300, a trained policy: 0)", 0, 1e6, false},
      {"threads", COSREL_OPTION_COUNT, &q.threads, "N", "threads; they do not change the figures (all processors)", 1,
       1024, false},
      {"json", COSREL_OPTION_FLAG, &q.json, NULL, "one JSON document on stdout", 0, 0, false},
      {"csv", COSREL_OPTION_TEXT, &q.csv, "F", "writes one line per run", 0, 0, false},
      {"no-noise", COSREL_OPTION_FLAG, &q.no_noise, NULL, "every segment takes its mean time", 0, 0, false},
      {NULL, COSREL_OPTION_FLAG, NULL, NULL, NULL, 0, 0, false},
  };
  cosrel_parse parse = cosrel_options_parse(&usage, options, argc, argv, NULL);
  if (parse != COSREL_PARSE_OK) return cosrel_parse_exit(parse);

  cosrel_error error = {""};
  cosrel_inputs inputs = {0};
  cosrel_names names = {0};
  cosrel_contender contenders[COSREL_OPTION_ITEMS_MAX];
  uint32_t n_contenders = 0, n_cases = 0;
  cosrel_case *cases = NULL;
  cosrel_comparison comparison = {0};

  cosrel_status status = cosrel_inputs_load(&q.profiles, &q.workloads, &inputs, &error);
  if (status == COSREL_OK) status = make_contenders(&q, &inputs, &names, contenders, &n_contenders, &error);
  if (status == COSREL_OK) status = cosrel_inputs_solve(&inputs, &error);
  if (status == COSREL_OK) status = make_cases(&q, &inputs, &cases, &n_cases, &error);
  if (status == COSREL_OK) {
    comparison = (cosrel_comparison){
        .n_cases = n_cases,
        .n_seeds = (uint32_t)q.seeds,
        .n_policies = n_contenders,
        .cases = cases,
        .contenders = contenders,
        .config = {
            .seed = q.seed, .duration_s = q.duration_s, .plan_budget = (uint32_t)q.plan_budget, .noise = !q.no_noise}};
    cosrel_interrupt_catch();
    status = cosrel_comparison_run(&comparison, (uint32_t)q.threads, &error);
    if (status == COSREL_OK || status == COSREL_INTERRUPTED) {
      cosrel_status reported = report(&q, &comparison, &error);
      if (reported != COSREL_OK) status = reported;
    }
  }
  cosrel_comparison_clear(&comparison);
  for (uint32_t i = 0; i < n_cases; i++) cosrel_case_destroy(&cases[i]);
  free(cases);
  for (uint32_t i = 0; i < n_contenders; i++) cosrel_contender_close(&contenders[i]);
  cosrel_inputs_clear(&inputs);
  return status == COSREL_OK ? 0 : cosrel_report(status, &error);
}
