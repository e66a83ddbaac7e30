#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/present.h"

enum { NAME_WIDTH = 16, COLUMN_WIDTH = 12 };

static void print_column(const char *text, int display_width) {
  printf("%*s%s", display_width < COLUMN_WIDTH ? COLUMN_WIDTH - display_width : 1, "", text);
}

/* "0.581±.004": the value and the larger half of its interval. */
static void print_half(const cosrel_interval *interval, int decimals) {
  char value[32], half[32], text[80];
  if (!isfinite(interval->value)) {
    print_column("-", 1);
    return;
  }
  snprintf(value, sizeof value, "%.*f", decimals, interval->value);
  snprintf(half, sizeof half, "%.*f", decimals,
           fmax(interval->high - interval->value, interval->value - interval->low));
  snprintf(text, sizeof text, "%s±%s", value, half[0] == '0' && half[1] == '.' ? half + 1 : half);
  print_column(text, (int)strlen(text) - 1); /* ± is two bytes */
}

/* "0.951 [0.943, 0.960]", `width` columns wide; a format may show the value alone. */
static void print_whole(const cosrel_interval *interval, const char *format, int width) {
  char text[120] = "-";
  if (isfinite(interval->value)) snprintf(text, sizeof text, format, interval->value, interval->low, interval->high);
  printf("%*s", width, text);
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

/* ---- figures of every policy ---- */

typedef struct row {
  uint32_t policy;
  double key;
} row;

static int by_key(const void *a, const void *b) {
  const row *x = a, *y = b;
  return x->key != y->key ? (x->key < y->key) - (x->key > y->key) : (x->policy > y->policy) - (x->policy < y->policy);
}

/* The policies that are offline, or those that are not, best first. Returns how many. */
static uint32_t rank(const cosrel_comparison *q, const cosrel_summary *s, bool offline, row *rows) {
  uint32_t n = 0;
  for (uint32_t p = 0; p < q->n_policies; p++) {
    double iqm = cosrel_summary_figure(s, p, s->headline)->value;
    if ((q->contenders[p].kind == COSREL_CONTENDER_OFFLINE) == offline)
      rows[n++] = (row){p, isfinite(iqm) ? iqm : -INFINITY};
  }
  qsort(rows, n, sizeof *rows, by_key);
  return n;
}

static void print_rows(const cosrel_comparison *q, const cosrel_summary *s, const row *rows, uint32_t n, bool ranked) {
  for (uint32_t i = 0; i < n; i++) {
    if (ranked)
      printf("%2u ", i + 1);
    else
      printf(" - ");
    printf("%-*.*s", NAME_WIDTH, NAME_WIDTH, short_name(&q->contenders[rows[i].policy]).text);
    for (int f = 0; f < COSREL_FIGURE_COUNT; f++)
      print_half(cosrel_summary_figure(s, rows[i].policy, (cosrel_figure)f), cosrel_figure_decimals((cosrel_figure)f));
    printf("\n");
  }
}

static void print_figures(const cosrel_comparison *q, const cosrel_summary *s, row *rows) {
  printf("   %-*s", NAME_WIDTH, "policy");
  for (int f = 0; f < COSREL_FIGURE_COUNT; f++) {
    const char *head = cosrel_figure_head((cosrel_figure)f);
    print_column(head, (int)strlen(head));
  }
  printf("\n");
  print_rows(q, s, rows, rank(q, s, false, rows), true);
  uint32_t n_offline = rank(q, s, true, rows);
  if (n_offline > 0) {
    printf("   offline references, which see the whole case beforehand (%u of the %u runs of each policy):\n",
           s->offline.n_runs, s->online.n_runs);
    print_rows(q, s, rows, n_offline, false);
  }
  if (s->single >= 0)
    printf("\nbest single online heuristic: %s, mean %s %.4f over the cases; hindsight-best of each case: %.4f\n",
           short_name(&q->contenders[s->single]).text, cosrel_figure_head(s->headline), s->mean[s->single],
           s->hindsight_mean);
}

/* ---- the subject ---- */

static void print_rival(const cosrel_comparison *q, const cosrel_summary *s, const cosrel_rival *r) {
  char name[80];
  if (r->policy == COSREL_HINDSIGHT)
    snprintf(name, sizeof name, "hindsight-best");
  else
    snprintf(name, sizeof name, "%.*s%s", NAME_WIDTH - 1, short_name(&q->contenders[r->policy]).text,
             r->policy == s->single ? "*" : "");
  printf("   %-*s", NAME_WIDTH, name);
  print_whole(&r->difference, "%+.4f [%+.4f, %+.4f]", 28);
  if (s->headline == COSREL_FIGURE_U)
    print_whole(&r->lost_ratio, "%.3f [%.3f, %.3f]", 23);
  else
    printf("%12.3f, least %.3f", r->ratio_mean, r->ratio_least);
  print_whole(&r->improvement, "%.2f [%.2f, %.2f]", 20);
  print_whole(&r->antt_ratio, "%.2f", 7);
  print_whole(&r->energy_ratio, "%.2f", 7);
  printf("%6u%5u%5u\n", r->score.won, r->score.tied, r->score.lost);
}

static void print_rivals(const cosrel_comparison *q, const cosrel_summary *s) {
  const char *figure = cosrel_figure_head(s->headline);
  bool open = s->headline == COSREL_FIGURE_U;
  printf("\n%s, mean %s %.4f over the cases, against each of the others (* the best single heuristic):\n\n",
         short_name(&q->contenders[s->subject]).text, figure, s->mean[s->subject]);
  printf("   %-*s%26s %s%23s%20s%7s%7s%6s%5s%5s\n", NAME_WIDTH, "rival", "difference of", figure,
         open ? "lost U, ratio" : "G, ratio", "P(better)", "ANTT", "energy", "won", "tied", "lost");
  bool offline = false;
  for (uint32_t i = 0; i < s->n_rivals; i++) {
    if (s->rivals[i].offline && !offline) printf("   offline references:\n");
    offline = s->rivals[i].offline;
    print_rival(q, s, &s->rivals[i]);
  }
}

static void print_score(const cosrel_score *score) { printf("%6u%5u%5u", score->won, score->tied, score->lost); }

static void print_slices(const cosrel_summary *s) {
  const char *figure = cosrel_figure_head(s->headline), *kind = "";
  bool open = s->headline == COSREL_FIGURE_U;
  if (s->n_slices == 0 || s->single < 0) return;
  printf("\nOn some of the cases; won, tied and lost against the best single heuristic, then the hindsight-best:\n\n");
  printf("   %-30s%6s%8s%8s%10s%23s%6s%5s%5s%6s%5s%5s\n", "cases that have in common", "cases", figure, "single",
         "hindsight", open ? "lost U over single's" : "", "won", "tied", "lost", "won", "tied", "lost");
  for (uint32_t i = 0; i < s->n_slices; i++) {
    const cosrel_slice *slice = &s->slices[i];
    printf("   %-9s%-21.21s%6u%8.4f%8.4f%10.4f", slice->kind == kind ? "" : slice->kind, slice->label, slice->n_cases,
           slice->subject, slice->single, slice->hindsight);
    kind = slice->kind;
    if (open)
      print_whole(&slice->lost_ratio, "%.3f [%.3f, %.3f]", 23);
    else
      printf("%23s", "");
    print_score(&slice->against_single);
    print_score(&slice->against_hindsight);
    printf("\n");
  }
}

/* How far learned policies lie apart: of several seeds of one training, say. */
static void print_verdicts(const cosrel_comparison *q, const cosrel_summary *s) {
  double mean = 0, squares = 0, least = INFINITY, most = -INFINITY;
  if (s->n_verdicts < 2) return;
  printf("\n   %-*s%9s%27s%31s\n", NAME_WIDTH, "learned policies", cosrel_figure_head(s->headline), "minus single's",
         "lost U over single's");
  for (uint32_t i = 0; i < s->n_verdicts; i++) {
    const cosrel_verdict *v = &s->verdicts[i];
    double x = s->mean[v->policy];
    printf("   %-*.*s%9.4f", NAME_WIDTH, NAME_WIDTH, short_name(&q->contenders[v->policy]).text, x);
    print_whole(&v->minus_best, "%+.4f [%+.4f, %+.4f]", 30);
    print_whole(&v->lost_ratio, "%.3f [%.3f, %.3f]", 28);
    printf("\n");
    mean += x / s->n_verdicts;
    least = fmin(least, x), most = fmax(most, x);
  }
  for (uint32_t i = 0; i < s->n_verdicts; i++) squares += pow(s->mean[s->verdicts[i].policy] - mean, 2);
  printf("   of these %u: mean %.4f, standard deviation %.4f, from %.4f to %.4f\n", s->n_verdicts, mean,
         sqrt(squares / (s->n_verdicts - 1)), least, most);
}

static void print_loop(const cosrel_comparison *q, const cosrel_summary *s, row *rows) {
  if (s->online.n_cases == 0) return;
  printf("\n%s loop: %u cases x %u seeds, %g s each. IQM of the runs ± 95 %% bootstrap interval; best %s first.\n\n",
         s->headline == COSREL_FIGURE_G ? "Closed" : "Open", s->online.n_cases, q->n_seeds, q->config.duration_s,
         cosrel_figure_head(s->headline));
  print_figures(q, s, rows);
  if (s->subject >= 0) {
    print_rivals(q, s);
    print_slices(s);
    print_verdicts(q, s);
  }
}

void cosrel_present_table(const cosrel_comparison *q, const cosrel_summary *summaries) {
  row *rows = calloc(q->n_policies, sizeof *rows);
  if (rows == NULL) return;
  print_loop(q, &summaries[COSREL_LOOP_OPEN], rows);
  print_loop(q, &summaries[COSREL_LOOP_CLOSED], rows);
  free(rows);
}
