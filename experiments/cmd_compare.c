/* cosrel compare: every policy on every case with the same seeds, as a table with 95 % intervals and as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "experiments/commands.h"
#include "experiments/fidelity.h"
#include "experiments/inputs.h"
#include "experiments/present.h"
#include "experiments/progress.h"
#include "experiments/result_json.h"
#include "experiments/run_options.h"

typedef struct request {
  cosrel_run_options run;
  cosrel_injection_plan faults;
  cosrel_strings policies, arrivals, traces;
  cosrel_numbers loads;
  const char *subject, *out, *csv;
  uint64_t seeds, offline_seeds, threads;
} request;

/* The cases of one pair: one per arrivals and load; closed arrivals have no load. */
static cosrel_status add_cases(const request *q, const cosrel_inputs *inputs, uint32_t profile, uint32_t workload,
                               cosrel_case *cases, uint32_t *n, cosrel_error *error) {
  for (uint32_t a = 0; a < q->arrivals.n; a++)
    for (uint32_t l = 0; l < q->loads.n; l++) {
      int arrivals;
      cosrel_status status = cosrel_arrivals_parse(q->arrivals.items[a], &arrivals, error);
      if (status != COSREL_OK) return status;
      status = cosrel_case_prepare(&inputs->profiles[profile], &inputs->workloads[workload],
                                   cosrel_inputs_bound(inputs, profile, workload), arrivals, q->loads.items[l],
                                   &cases[*n], error);
      if (status != COSREL_OK) return status;
      if (cosrel_case_is_closed(&cases[(*n)++])) break;
    }
  return COSREL_OK;
}

/* A mix is left out, and that is said, on a device whose profile lacks a model of it; unless there is nothing else. */
static cosrel_status make_cases(const request *q, const cosrel_inputs *inputs, cosrel_case **out, uint32_t *n,
                                cosrel_error *error) {
  uint32_t n_pairs = inputs->n_profiles * inputs->n_workloads;
  size_t most = (size_t)n_pairs * q->arrivals.n * q->loads.n;
  *n = 0;
  *out = calloc(most, sizeof **out);
  if (*out == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for %zu cases", most);
  for (uint32_t p = 0; p < inputs->n_profiles; p++)
    for (uint32_t w = 0; w < inputs->n_workloads; w++) {
      if (n_pairs > 1 && !cosrel_inputs_fit(inputs, p, w)) {
        fprintf(stderr, "cosrel compare: %s is left out on %s, which lacks a model of it\n", inputs->workloads[w].name,
                inputs->profiles[p].name);
        continue;
      }
      cosrel_status status = add_cases(q, inputs, p, w, *out, n, error);
      if (status != COSREL_OK) return status;
    }
  return *n > 0 ? COSREL_OK : cosrel_fail(error, COSREL_INVALID, "compare: no profile has the models of a workload");
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
    char path[2048];
    if (!cosrel_shipped_policy(path, sizeof path))
      fprintf(stderr, "cosrel compare: there is no shipped policy (COSREL_POLICY=FILE says where): all goes without\n");
    cosrel_names_all(inputs->profiles, inputs->n_profiles, names);
    for (uint32_t k = 0; k < names->n && status == COSREL_OK; k++)
      status = add_contender(names->items[k], list, n, error);
  }
  return status;
}

/* The policy that is set against the others: the one named, or the first learned one; -1 when there is none. */
static cosrel_status find_subject(const request *q, const cosrel_contender *list, uint32_t n, int *out,
                                  cosrel_error *error) {
  *out = -1;
  for (uint32_t i = 0; i < n && *out < 0; i++)
    if (q->subject != NULL ? strcmp(list[i].name, q->subject) == 0 : list[i].kind == COSREL_CONTENDER_LEARNED)
      *out = (int)i;
  if (q->subject == NULL || (*out >= 0 && list[*out].kind != COSREL_CONTENDER_OFFLINE)) return COSREL_OK;
  return cosrel_fail(error, COSREL_INVALID, "--subject: expected one of --policies that is online, got '%s'",
                     q->subject);
}

static cosrel_status present(const request *q, const cosrel_comparison *comparison, int subject, cosrel_error *error) {
  cosrel_summary summaries[COSREL_LOOPS];
  cosrel_status status = COSREL_OK;
  memset(summaries, 0, sizeof summaries);
  for (int loop = 0; loop < COSREL_LOOPS && status == COSREL_OK; loop++) {
    status =
        cosrel_summary_create(comparison, (cosrel_loop)loop, loop == COSREL_LOOP_ALL ? -1 : subject, &summaries[loop]);
    if (status != COSREL_OK) cosrel_fail(error, status, "no memory for the conclusions");
  }
  if (status == COSREL_OK && q->csv != NULL) status = cosrel_present_csv(q->csv, comparison, error);
  if (status == COSREL_OK && q->out != NULL)
    status = cosrel_json_write(q->out, cosrel_present_json(comparison, summaries, false), error);
  if (status == COSREL_OK && q->run.json)
    status = cosrel_json_print(cosrel_present_json(comparison, summaries, true), error);
  else if (status == COSREL_OK)
    cosrel_present_table(comparison, summaries);
  for (int loop = 0; loop < COSREL_LOOPS; loop++) cosrel_summary_destroy(&summaries[loop]);
  return status;
}

/* With --trace: runs against simulations of them (experiments/fidelity.h). */
static cosrel_status judge_traces(const request *q, cosrel_error *error) {
  cosrel_inputs inputs = {0};
  cosrel_fidelity fidelity = {0};
  const cosrel_cell_config config = cosrel_run_config(&q->run, &q->faults);
  cosrel_status status = COSREL_OK;
  if (q->run.profiles.n != 1 || q->run.workloads.n != 1)
    status = cosrel_fail(error, COSREL_INVALID, "compare: expected one --profile and one --workload with --trace");
  if (status == COSREL_OK) status = cosrel_inputs_load(&q->run.profiles, &q->run.workloads, &inputs, error);
  if (status == COSREL_OK) status = cosrel_memory_apply(&q->run.memory, inputs.profiles, inputs.n_profiles, error);
  if (status == COSREL_OK) status = cosrel_injection_check(&q->faults, inputs.profiles, inputs.n_profiles, error);
  if (status == COSREL_OK) status = cosrel_inputs_solve(&inputs, error);
  if (status == COSREL_OK) {
    fidelity = (cosrel_fidelity){
        .profile = inputs.profiles, .workload = inputs.workloads, .bound = cosrel_inputs_bound(&inputs, 0, 0)};
    cosrel_interrupt_catch();
    status = cosrel_fidelity_run(&fidelity, &q->traces, q->run.workloads.items[0], &config, (uint32_t)q->seeds,
                                 cosrel_interrupted, error);
  }
  if (status == COSREL_OK && q->out != NULL) status = cosrel_json_write(q->out, cosrel_fidelity_json(&fidelity), error);
  if (status == COSREL_OK && q->run.json)
    status = cosrel_json_print(cosrel_fidelity_json(&fidelity), error);
  else if (status == COSREL_OK)
    cosrel_fidelity_print(&fidelity);
  cosrel_fidelity_clear(&fidelity);
  cosrel_inputs_clear(&inputs);
  return status;
}

int cosrel_cmd_compare(int argc, char **argv) {
  request q = {.run = COSREL_RUN_OPTIONS_DEFAULT,
               .policies = {1, {"all"}},
               .loads = {2, {0.6, 0.9}},
               .seeds = 5,
               .offline_seeds = UINT32_MAX,
               .threads = 1};
#ifdef _OPENMP
  q.threads = (uint64_t)omp_get_max_threads();
#endif
  const cosrel_usage usage = {
      "compare",
      "--profile P... --workload W... [options]",
      "Runs every policy on every case (profile x workload x arrivals x load) with the same seeds and\n"
      "prints one table for open and one for closed loop. In open loop U is the headline; in closed\n"
      "loop, where load means nothing, G. `all` means every built-in policy and cosrel, the shipped\n"
      "one; add policy files by path. The subject is set against each of the others, in pairs.\n"
      "With --trace nothing of that: what each trace says of its run, as `cosrel run --trace` writes it,\n"
      "is set against simulations of that run under the same policy, on the profile that it ran with.",
      "cosrel compare --profile traces/profiles/*.json --workload experiments/workloads/test/*.json \\\n"
      "    --policies all,build/demo/policy.safetensors --load 0.6,0.9 --seeds 5",
      0,
      0};
  const cosrel_option options[] = {
      COSREL_RUN_OPTION_LINES(q.run),
      {"policies", COSREL_OPTION_WORDS, &q.policies, "A,B,...", "names, policy files, or all (all)", 0, 0, false},
      {"subject", COSREL_OPTION_TEXT, &q.subject, "NAME|FILE", "the policy to judge (the first learned one)", 0, 0,
       false},
      {"arrivals", COSREL_OPTION_WORDS, &q.arrivals, "A,B,...",
       "of closed, periodic, poisson, bursty, own (the first three; own with --arrivals-from)", 0, 0, false},
      {"load", COSREL_OPTION_NUMBERS, &q.loads, "L,...",
       "arrival rates as shares of the largest possible ones (0.6,0.9)", 0.001, 100, false},
      {"seeds", COSREL_OPTION_COUNT, &q.seeds, "N", "runs of every case (5)", 1, 10000, false},
      {"offline-seeds", COSREL_OPTION_COUNT, &q.offline_seeds, "N",
       "of these for offline policies, which are slow (all)", 1, UINT32_MAX, false},
      {"threads", COSREL_OPTION_COUNT, &q.threads, "N", "threads; they do not change the figures (all processors)", 1,
       1024, false},
      {"out", COSREL_OPTION_TEXT, &q.out, "F", "writes the JSON document there, without its cells", 0, 0, false},
      {"trace", COSREL_OPTION_FILES, &q.traces, "T...", "of runs: how well does simulation predict them?", 0, 0, false},
      {"csv", COSREL_OPTION_TEXT, &q.csv, "F", "writes one line per run", 0, 0, false},
      COSREL_OPTION_END,
  };
  cosrel_parse parse = cosrel_options_parse(&usage, options, argc, argv, NULL);
  if (parse != COSREL_PARSE_OK) return cosrel_parse_exit(parse);
  if (q.arrivals.n == 0)
    q.arrivals = q.run.arrivals_from != NULL ? (cosrel_strings){1, {"own"}}
                                             : (cosrel_strings){3, {"closed", "periodic", "poisson"}};

  cosrel_error error = {""};
  cosrel_status status = cosrel_faults_read(&q.run.faults, &q.faults, &error);
  if (status != COSREL_OK) return cosrel_report(status, &error);
  if (q.traces.n > 0) {
    cosrel_status judged = judge_traces(&q, &error);
    return judged == COSREL_OK ? 0 : cosrel_report(judged, &error);
  }
  cosrel_inputs inputs = {0};
  cosrel_names names = {0};
  cosrel_contender contenders[COSREL_OPTION_ITEMS_MAX];
  uint32_t n_contenders = 0, n_cases = 0;
  int subject = -1;
  cosrel_case *cases = NULL;
  cosrel_comparison comparison = {0};

  status = cosrel_inputs_load(&q.run.profiles, &q.run.workloads, &inputs, &error);
  if (status == COSREL_OK) status = cosrel_memory_apply(&q.run.memory, inputs.profiles, inputs.n_profiles, &error);
  if (status == COSREL_OK) status = cosrel_injection_check(&q.faults, inputs.profiles, inputs.n_profiles, &error);
  if (status == COSREL_OK && q.run.arrivals_from != NULL)
    status = cosrel_inputs_record(&inputs, q.run.arrivals_from, &error);
  if (status == COSREL_OK) status = make_contenders(&q, &inputs, &names, contenders, &n_contenders, &error);
  if (status == COSREL_OK) status = find_subject(&q, contenders, n_contenders, &subject, &error);
  if (status == COSREL_OK) status = cosrel_inputs_solve(&inputs, &error);
  if (status == COSREL_OK) status = make_cases(&q, &inputs, &cases, &n_cases, &error);
  if (status == COSREL_OK) {
    comparison = (cosrel_comparison){.n_cases = n_cases,
                                     .n_seeds = (uint32_t)q.seeds,
                                     .n_policies = n_contenders,
                                     .n_offline_seeds = (uint32_t)q.offline_seeds,
                                     .cases = cases,
                                     .contenders = contenders,
                                     .config = cosrel_run_config(&q.run, &q.faults)};
    cosrel_interrupt_catch();
    status = cosrel_comparison_run(&comparison, (uint32_t)q.threads, &error);
    if (status == COSREL_OK || status == COSREL_INTERRUPTED) {
      cosrel_status presented = present(&q, &comparison, subject, &error);
      if (presented != COSREL_OK) status = presented;
    }
  }
  cosrel_comparison_clear(&comparison);
  for (uint32_t i = 0; i < n_cases; i++) cosrel_case_destroy(&cases[i]);
  free(cases);
  for (uint32_t i = 0; i < n_contenders; i++) cosrel_contender_close(&contenders[i]);
  cosrel_inputs_clear(&inputs);
  return status == COSREL_OK ? 0 : cosrel_report(status, &error);
}
