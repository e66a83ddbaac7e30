#include <math.h>
#include <stdio.h>
#include <string.h>

#include "experiments/fidelity.h"
#include "experiments/result_json.h"

static const struct {
  const char *key, *text;
} kinds[] = {
    [COSREL_TALLY_RATE] = {"throughput_hz", "throughput Hz"},
    [COSREL_TALLY_MEAN] = {"latency_mean_ms", "mean latency ms"},
    [COSREL_TALLY_P95] = {"latency_p95_ms", "p95 latency ms"},
    [COSREL_TALLY_ANTT] = {"antt", "ANTT"},
    [COSREL_TALLY_U] = {"u", "U"},
    [COSREL_TALLY_UTILISATION] = {"utilisation", "utilisation"},
    [COSREL_TALLY_POWER] = {"power_w", "power W"},
};

static const char *loop_name(bool closed) { return closed ? "closed" : "open"; }

/* ---- What one kind of loop says as a whole ---- */

static const cosrel_tally_kind judged[] = {COSREL_TALLY_RATE, COSREL_TALLY_MEAN, COSREL_TALLY_P95};
static const cosrel_tally_kind ranked[] = {COSREL_TALLY_RATE, COSREL_TALLY_ANTT, COSREL_TALLY_U};
enum { JUDGED = 3, RANKED = 3 };

/* Errors are absolute values over the policies, of all streams together. */
typedef struct verdict {
  uint32_t n;
  double mean_percent[JUDGED], worst_percent[JUDGED], tau[RANKED];
} verdict;

static verdict judge(const cosrel_fidelity *fidelity, bool closed) {
  double measured[RANKED][COSREL_OPTION_ITEMS_MAX], predicted[RANKED][COSREL_OPTION_ITEMS_MAX];
  verdict v = {0};
  for (uint32_t row = 0; row < fidelity->n_rows; row++) {
    cosrel_fidelity_figure figures[COSREL_FIDELITY_FIGURES_MAX];
    if (fidelity->rows[row].closed != closed) continue;
    cosrel_fidelity_figures(fidelity, row, figures); /* those of the whole come first, one of each kind */
    for (int i = 0; i < JUDGED; i++) {
      double error = fabs(figures[judged[i]].error_percent);
      v.mean_percent[i] += error;
      v.worst_percent[i] = fmax(v.worst_percent[i], error);
    }
    for (int i = 0; i < RANKED; i++) {
      measured[i][v.n] = figures[ranked[i]].measured;
      predicted[i][v.n] = figures[ranked[i]].predicted;
    }
    v.n++;
  }
  for (int i = 0; i < JUDGED; i++) v.mean_percent[i] /= v.n;
  for (int i = 0; i < RANKED; i++) v.tau[i] = cosrel_kendall_tau(measured[i], predicted[i], v.n);
  return v;
}

/* ---- Text ---- */

static void print_row(const cosrel_fidelity *fidelity, uint32_t row) {
  cosrel_fidelity_figure figures[COSREL_FIDELITY_FIGURES_MAX];
  const cosrel_fidelity_row *r = &fidelity->rows[row];
  uint32_t n = cosrel_fidelity_figures(fidelity, row, figures);
  printf("%s, %s loop: %u run%s, %.1f s\n", r->policy, loop_name(r->closed), r->n_runs, r->n_runs == 1 ? "" : "s",
         r->measured.seconds);
  printf("  %-16s %-16s %12s %12s %9s\n", "of", "figure", "measured", "predicted", "error %");
  for (uint32_t i = 0; i < n; i++) {
    const cosrel_fidelity_figure *f = &figures[i];
    const char *of = f->stream >= 0      ? fidelity->workload->streams[f->stream].name
                     : f->processor >= 0 ? fidelity->profile->processors[f->processor].name
                                         : "all";
    printf("  %-16.16s %-16s %12.3f %12.3f %+9.1f\n", of, kinds[f->kind].text, f->measured, f->predicted,
           f->error_percent);
  }
  printf("\n");
}

/* A line per policy: what was measured, and how far the prediction is off. */
static void print_loop(const cosrel_fidelity *fidelity, bool closed) {
  static const cosrel_tally_kind columns[] = {COSREL_TALLY_RATE, COSREL_TALLY_MEAN, COSREL_TALLY_P95, COSREL_TALLY_ANTT,
                                              COSREL_TALLY_U};
  printf("%s loop, measured and error of the prediction in %%\n%-24s", loop_name(closed), "policy");
  printf(" %9s %8s %9s %8s %9s %8s %9s %8s %9s %8s", "Hz", "", "mean ms", "", "p95 ms", "", "ANTT", "", "U", "");
  printf("\n");
  for (uint32_t row = 0; row < fidelity->n_rows; row++) {
    cosrel_fidelity_figure figures[COSREL_FIDELITY_FIGURES_MAX];
    if (fidelity->rows[row].closed != closed) continue;
    cosrel_fidelity_figures(fidelity, row, figures);
    const char *slash = strrchr(fidelity->rows[row].policy, '/');
    printf("%-24.24s", slash != NULL ? slash + 1 : fidelity->rows[row].policy);
    for (int i = 0; i < 5; i++)
      printf(" %9.3f %+8.1f", figures[columns[i]].measured, figures[columns[i]].error_percent);
    printf("\n");
  }
}

static void print_verdict(const cosrel_fidelity *fidelity, bool closed) {
  verdict v = judge(fidelity, closed);
  if (v.n == 0) return;
  print_loop(fidelity, closed);
  printf("%s loop, %u polic%s, mean (worst) error:", loop_name(closed), v.n, v.n == 1 ? "y" : "ies");
  for (int i = 0; i < JUDGED; i++)
    printf("%s %s %.1f %% (%.1f %%)", i > 0 ? "," : "",
           i == 0   ? "throughput"
           : i == 1 ? "mean latency"
                    : "p95 latency",
           v.mean_percent[i], v.worst_percent[i]);
  printf("\n");
  if (v.n > 1) {
    printf("%s loop, Kendall's tau of the ranking by", loop_name(closed));
    for (int i = 0; i < RANKED; i++)
      printf("%s %s %.3f", i > 0 ? "," : "", i == 0 ? "throughput" : kinds[ranked[i]].text, v.tau[i]);
    printf("\n");
  }
  printf("\n");
}

void cosrel_fidelity_print(const cosrel_fidelity *fidelity) {
  printf("%s on %s: runs against simulations of them\n\n", fidelity->workload->name, fidelity->profile->name);
  for (uint32_t row = 0; row < fidelity->n_rows; row++) print_row(fidelity, row);
  print_verdict(fidelity, true);
  print_verdict(fidelity, false);
}

/* ---- JSON ---- */

static json_t *figures_json(const cosrel_fidelity *fidelity, uint32_t row) {
  cosrel_fidelity_figure figures[COSREL_FIDELITY_FIGURES_MAX];
  uint32_t n = cosrel_fidelity_figures(fidelity, row, figures);
  json_t *list = json_array();
  for (uint32_t i = 0; i < n; i++) {
    const cosrel_fidelity_figure *f = &figures[i];
    json_array_append_new(
        list, json_pack("{s:s, s:s?, s:s?, s:o, s:o, s:o}", "figure", kinds[f->kind].key, "stream",
                        f->stream >= 0 ? fidelity->workload->streams[f->stream].name : NULL, "processor",
                        f->processor >= 0 ? fidelity->profile->processors[f->processor].name : NULL, "measured",
                        cosrel_json_real(f->measured), "predicted", cosrel_json_real(f->predicted), "error_percent",
                        cosrel_json_real(f->error_percent)));
  }
  return list;
}

static json_t *verdict_json(const cosrel_fidelity *fidelity, bool closed) {
  verdict v = judge(fidelity, closed);
  json_t *errors = json_object(), *tau = json_object();
  for (int i = 0; i < JUDGED; i++)
    json_object_set_new(errors, kinds[judged[i]].key,
                        json_pack("{s:o, s:o}", "mean", cosrel_json_real(v.mean_percent[i]), "worst",
                                  cosrel_json_real(v.worst_percent[i])));
  for (int i = 0; i < RANKED; i++) json_object_set_new(tau, kinds[ranked[i]].key, cosrel_json_real(v.tau[i]));
  return json_pack("{s:s, s:I, s:o, s:o}", "loop", loop_name(closed), "policies", (json_int_t)v.n, "error_percent",
                   errors, "tau", tau);
}

json_t *cosrel_fidelity_json(const cosrel_fidelity *fidelity) {
  json_t *rows = json_array(), *summary = json_array();
  bool loops[2] = {false, false};
  for (uint32_t i = 0; i < fidelity->n_rows; i++) {
    const cosrel_fidelity_row *r = &fidelity->rows[i];
    loops[r->closed] = true;
    json_array_append_new(rows, json_pack("{s:s, s:s, s:I, s:f, s:o}", "policy", r->policy, "loop",
                                          loop_name(r->closed), "runs", (json_int_t)r->n_runs, "duration_s",
                                          r->measured.seconds, "figures", figures_json(fidelity, i)));
  }
  for (int closed = 1; closed >= 0; closed--)
    if (loops[closed]) json_array_append_new(summary, verdict_json(fidelity, closed));
  return json_pack("{s:s, s:s, s:o, s:o}", "profile", fidelity->profile->name, "workload", fidelity->workload->name,
                   "fidelity", rows, "summary", summary);
}
