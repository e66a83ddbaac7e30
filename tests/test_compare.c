/* Comparisons: the same figures for any number of threads, pairs that are pairs, and conclusions worked out by hand. */
#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "experiments/present.h"
#include "experiments/result_json.h"
#include "tests/fixtures.h"
#include "traces/workload_file.h"

enum { N_CASES = 3, N_SEEDS = 3, N_POLICIES = 2 };

typedef struct setup {
  fixture f;
  cosrel_bound bound;
  cosrel_case cases[N_CASES]; /* closed, periodic 0.7, poisson 0.7 */
  cosrel_contender contenders[N_POLICIES];
} setup;

static void setup_begin(setup *s) {
  static const int arrivals[N_CASES] = {COSREL_ARRIVALS_CLOSED, COSREL_ARRIVALS_PERIODIC, COSREL_ARRIVALS_POISSON};
  cosrel_error error = {""};
  fixture_begin(&s->f, 2);
  fixture_chain(&s->f, "a", 3, (double[]){2, 1, 2, 1, 2, 4});
  fixture_chain(&s->f, "b", 2, (double[]){3, 2, 1, 1});
  fixture_overheads(&s->f, 0.05, 0.1);
  fixture_disturb(&s->f, 0.3, 0.1);
  fixture_stream(&s->f, "a", COSREL_ARRIVALS_POISSON, 60);
  fixture_stream(&s->f, "b", COSREL_ARRIVALS_POISSON, 90);
  fixture_compile(&s->f);
  assert_int_equal(cosrel_bound_solve(&s->f.c, &s->bound, &error), COSREL_OK);
  for (int i = 0; i < N_CASES; i++)
    assert_int_equal(
        cosrel_case_prepare(&s->f.profile, &s->f.workload, &s->bound, arrivals[i], 0.7, &s->cases[i], &error),
        COSREL_OK);
  assert_int_equal(cosrel_contender_open("fcfs", &s->contenders[0], &error), COSREL_OK);
  assert_int_equal(cosrel_contender_open("random", &s->contenders[1], &error), COSREL_OK);
}

static void setup_end(setup *s) {
  for (int i = 0; i < N_POLICIES; i++) cosrel_contender_close(&s->contenders[i]);
  for (int i = 0; i < N_CASES; i++) cosrel_case_destroy(&s->cases[i]);
  fixture_end(&s->f);
}

static cosrel_comparison compare(const setup *s, uint32_t threads) {
  cosrel_comparison q = {.n_cases = N_CASES,
                         .n_seeds = N_SEEDS,
                         .n_policies = N_POLICIES,
                         .n_offline_seeds = N_SEEDS,
                         .cases = s->cases,
                         .contenders = s->contenders,
                         .config = {.seed = 10, .duration_s = 2, .noise = true}};
  cosrel_error error = {""};
  if (cosrel_comparison_run(&q, threads, &error) != COSREL_OK) fail_msg("%s", error.text);
  return q;
}

static char *dump(const cosrel_cell *cell) {
  json_t *root = cosrel_cell_json(cell);
  char *text = json_dumps(root, 0);
  json_decref(root);
  assert_non_null(text);
  return text;
}

static void test_threads_change_nothing(void **state) {
  (void)state;
  setup s;
  setup_begin(&s);
  cosrel_comparison one = compare(&s, 1), three = compare(&s, 3);
  for (int i = 0; i < N_CASES * N_SEEDS * N_POLICIES; i++) {
    char *a = dump(one.cells[i]), *b = dump(three.cells[i]);
    assert_string_equal(a, b);
    free(a);
    free(b);
  }
  /* A cell is what a single run gives. */
  cosrel_cell cell;
  cosrel_cell_config config = {.seed = 12, .duration_s = 2, .noise = true};
  assert_int_equal(cosrel_cell_run(&s.cases[2], &s.contenders[1], &config, &cell, NULL), COSREL_OK);
  char *a = dump(*cosrel_comparison_cell(&one, 2, 2, 1)), *b = dump(&cell);
  assert_string_equal(a, b);
  free(a);
  free(b);
  cosrel_comparison_clear(&one);
  cosrel_comparison_clear(&three);
  setup_end(&s);
}

static void test_runs_are_paired(void **state) {
  (void)state;
  setup s;
  setup_begin(&s);
  cosrel_comparison q = compare(&s, 2);
  for (uint32_t c = 1; c < N_CASES; c++)
    for (uint32_t seed = 0; seed < N_SEEDS; seed++)
      for (uint32_t stream = 0; stream < 2; stream++) {
        uint64_t arrived = (*cosrel_comparison_cell(&q, c, seed, 0))->result.streams[stream].arrived;
        assert_true(arrived > 50);
        assert_int_equal(arrived, (*cosrel_comparison_cell(&q, c, seed, 1))->result.streams[stream].arrived);
      }
  /* Seeds differ. */
  assert_true((*cosrel_comparison_cell(&q, 2, 0, 0))->result.u != (*cosrel_comparison_cell(&q, 2, 1, 0))->result.u);
  cosrel_comparison_clear(&q);
  setup_end(&s);
}

/* The keys that others rely on; `load` and `bound_share` are null where they mean nothing. */
static void test_json_keys(void **state) {
  (void)state;
  static const char *const keys[] = {"policy",     "profile", "workload",     "arrivals",
                                     "load",       "seed",    "duration_s",   "stp",
                                     "antt",       "g",       "fairness",     "u",
                                     "power_w",    "p95_ntt", "energy_ratio", "energy_mj_per_inference",
                                     "goodput_hz", "streams", "bound_share",  "decisions"};
  static const char *const stream_keys[] = {"model",  "arrived", "completed", "dropped",
                                            "missed", "rate_hz", "latency_ms"};
  setup s;
  setup_begin(&s);
  cosrel_comparison q = compare(&s, 1);
  json_t *open = cosrel_cell_json(*cosrel_comparison_cell(&q, 2, 0, 0));
  json_t *closed = cosrel_cell_json(*cosrel_comparison_cell(&q, 0, 0, 0));
  assert_int_equal(json_object_size(open), sizeof keys / sizeof *keys);
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (json_object_get(open, keys[i]) == NULL) fail_msg("no key %s", keys[i]);
  json_t *stream = json_array_get(json_object_get(open, "streams"), 1);
  assert_int_equal(json_object_size(stream), sizeof stream_keys / sizeof *stream_keys);
  for (size_t i = 0; i < sizeof stream_keys / sizeof *stream_keys; i++)
    assert_non_null(json_object_get(stream, stream_keys[i]));
  assert_int_equal(json_object_size(json_object_get(stream, "latency_ms")), 4);
  assert_true(json_real_value(json_object_get(open, "load")) == 0.7);
  assert_true(json_is_null(json_object_get(open, "bound_share")));
  assert_true(json_is_null(json_object_get(closed, "load")));
  double share = json_real_value(json_object_get(closed, "bound_share"));
  assert_true(share > 0.1 && share <= 1.0);
  json_decref(open);
  json_decref(closed);

  cosrel_cell timed;
  cosrel_cell_config config = {.seed = 1, .duration_s = 0.5, .timing = true};
  assert_int_equal(cosrel_cell_run(&s.cases[1], &s.contenders[0], &config, &timed, NULL), COSREL_OK);
  json_t *root = cosrel_cell_json(&timed);
  assert_int_equal(json_object_size(json_object_get(root, "decision_ns")), 2);
  json_decref(root);
  cosrel_comparison_clear(&q);
  setup_end(&s);
}

/* Two open cases, two seeds; heuristics h and k, a learned policy l, an offline reference o that ran one seed. */
enum { BY_HAND_CASES = 2, BY_HAND_SEEDS = 2, BY_HAND_POLICIES = 4, L = 2 };

static void by_hand_begin(setup *s, cosrel_contender *contenders, cosrel_comparison *q) {
  static const double u[BY_HAND_CASES][BY_HAND_SEEDS][BY_HAND_POLICIES] = {
      /*  h     k     l     o */
      {{0.50, 0.60, 0.62, 0.9}, {0.52, 0.64, 0.66, 0.9}}, /* k is best: 0.62; l 0.64 */
      {{0.70, 0.40, 0.69, 0.9}, {0.74, 0.40, 0.73, 0.9}}, /* h is best: 0.72; l 0.71 */
  };
  setup_begin(s);
  contenders[0] = (cosrel_contender){.name = "h"};
  contenders[1] = (cosrel_contender){.name = "k"};
  contenders[2] = (cosrel_contender){.name = "l", .kind = COSREL_CONTENDER_LEARNED};
  contenders[3] = (cosrel_contender){.name = "o", .kind = COSREL_CONTENDER_OFFLINE};
  *q = (cosrel_comparison){.n_cases = BY_HAND_CASES,
                           .n_seeds = BY_HAND_SEEDS,
                           .n_policies = BY_HAND_POLICIES,
                           .n_offline_seeds = 1,
                           .cases = &s->cases[1],
                           .contenders = contenders};
  q->cells = (cosrel_cell **)calloc(cosrel_comparison_size(q), sizeof *q->cells);
  assert_non_null(q->cells);
  for (uint32_t c = 0; c < BY_HAND_CASES; c++)
    for (uint32_t seed = 0; seed < BY_HAND_SEEDS; seed++)
      for (uint32_t p = 0; p < BY_HAND_POLICIES; p++) {
        if (p == 3 && seed > 0) continue;
        cosrel_cell *cell = calloc(1, sizeof *cell);
        assert_non_null(cell);
        cell->c = &q->cases[c];
        cell->policy = contenders[p].name;
        cell->result = (cosrel_result){
            .u = u[c][seed][p], .antt = p == L ? 3 : 2, .energy_ratio = p == L ? 1 : 2, .bound_share = -1};
        *cosrel_comparison_cell(q, c, seed, p) = cell;
      }
}

static void assert_near(double a, double b) {
  if (!(fabs(a - b) < 1e-12)) fail_msg("%.17g is not %.17g", a, b);
}

static void test_conclusions_by_hand(void **state) {
  (void)state;
  setup s;
  cosrel_contender contenders[BY_HAND_POLICIES];
  cosrel_comparison q;
  cosrel_summary open, closed;
  by_hand_begin(&s, contenders, &q);
  assert_int_equal(cosrel_summary_create(&q, COSREL_LOOP_OPEN, L, &open), COSREL_OK);
  assert_int_equal(cosrel_summary_create(&q, COSREL_LOOP_CLOSED, L, &closed), COSREL_OK);
  assert_int_equal(open.online.n_cases, 2);
  assert_int_equal(open.online.n_runs, 4);
  assert_int_equal(open.offline.n_runs, 2);
  assert_int_equal(closed.online.n_cases, 0);
  assert_int_equal(open.headline, COSREL_FIGURE_U);
  assert_int_equal(open.cases[0].best, 1);
  assert_int_equal(open.cases[1].best, 0);
  assert_int_equal(open.single, 0); /* h: (0.51 + 0.72) / 2 = 0.615; k: (0.62 + 0.40) / 2 = 0.51 */
  assert_near(open.hindsight_mean, 0.67);
  assert_near(open.mean[L], 0.675);
  assert_near(cosrel_summary_figure(&open, L, COSREL_FIGURE_U)->value, 0.675); /* IQM of 0.62 0.66 0.69 0.73 */
  assert_near(cosrel_summary_figure(&open, 3, COSREL_FIGURE_U)->value, 0.9);
  assert_true(isnan(cosrel_summary_figure(&open, L, COSREL_FIGURE_BOUND_SHARE)->value));

  assert_int_equal(open.n_rivals, 4); /* hindsight-best, h, k; then o */
  const cosrel_rival *hindsight = &open.rivals[0], *h = &open.rivals[1], *o = &open.rivals[3];
  assert_int_equal(hindsight->policy, COSREL_HINDSIGHT);
  assert_int_equal(h->policy, 0);
  assert_int_equal(o->policy, 3);
  assert_true(o->offline && !h->offline);
  assert_near(hindsight->difference.value, 0.005);                    /* (0.02 - 0.01) / 2 */
  assert_near(hindsight->difference.high, hindsight->difference.low); /* the same in every pair */
  assert_near(hindsight->lost_ratio.value, 0.325 / 0.33);
  assert_near(hindsight->ratio_mean, (0.64 / 0.62 + 0.71 / 0.72) / 2);
  assert_near(hindsight->ratio_least, 0.71 / 0.72);
  assert_int_equal(hindsight->score.won, 1);
  assert_int_equal(hindsight->score.lost, 1);
  assert_near(h->difference.value, 0.06); /* (0.13 - 0.01) / 2 */
  assert_true(h->difference.low < h->difference.value && h->difference.value < h->difference.high);
  assert_near(h->improvement.value, 0.5); /* above in both runs of case 0, below in both of case 1 */
  assert_near(h->antt_ratio.value, 1.5);
  assert_near(h->energy_ratio.value, 0.5);
  assert_near(o->difference.value, 0.655 - 0.9); /* over the first seed alone */

  assert_int_equal(open.n_slices, 2); /* periodic, poisson: all else they have in common */
  assert_string_equal(open.slices[0].label, "periodic");
  assert_near(open.slices[0].lost_ratio.value, 0.36 / 0.49);
  assert_near(open.slices[1].hindsight, 0.72);
  assert_int_equal(open.slices[1].against_single.lost, 1);
  assert_int_equal(open.n_verdicts, 1);
  assert_near(open.verdicts[0].minus_best.value, 0.06);
  cosrel_summary_destroy(&open);
  cosrel_summary_destroy(&closed);

  /* A case that was interrupted is left out; so is the subject when it is the best rule itself. */
  for (uint32_t seed = 0; seed < BY_HAND_SEEDS; seed++) {
    free(*cosrel_comparison_cell(&q, 0, seed, 1));
    *cosrel_comparison_cell(&q, 0, seed, 1) = NULL;
  }
  assert_int_equal(cosrel_summary_create(&q, COSREL_LOOP_ALL, 0, &open), COSREL_OK);
  assert_int_equal(open.online.n_cases, 1);
  assert_int_equal(open.single, 1);
  assert_near(open.rivals[0].difference.value, 0.32);
  cosrel_summary_destroy(&open);
  cosrel_comparison_clear(&q);
  setup_end(&s);
}

/* Offline policies run on the first seeds only, the others on all. */
static void test_offline_seeds(void **state) {
  (void)state;
  setup s;
  setup_begin(&s);
  s.contenders[1].kind = COSREL_CONTENDER_OFFLINE;
  cosrel_comparison q = {.n_cases = N_CASES,
                         .n_seeds = N_SEEDS,
                         .n_policies = N_POLICIES,
                         .n_offline_seeds = 1,
                         .cases = s.cases,
                         .contenders = s.contenders,
                         .config = {.seed = 10, .duration_s = 0.2}};
  cosrel_error error = {""};
  assert_int_equal(cosrel_comparison_run(&q, 2, &error), COSREL_OK);
  for (uint32_t c = 0; c < N_CASES; c++)
    for (uint32_t seed = 0; seed < N_SEEDS; seed++) {
      assert_non_null(*cosrel_comparison_cell(&q, c, seed, 0));
      assert_int_equal(*cosrel_comparison_cell(&q, c, seed, 1) != NULL, seed == 0);
    }
  cosrel_comparison_clear(&q);
  setup_end(&s);
}

/* The shipped policy is where COSREL_POLICY says. */
static void test_shipped_policy(void **state) {
  (void)state;
  cosrel_contender contender;
  cosrel_error error = {""};
  char path[256];
  assert_int_equal(setenv("COSREL_POLICY", "no/such/file", 1), 0);
  assert_true(cosrel_shipped_policy(path, sizeof path));
  assert_string_equal(path, "no/such/file");
  assert_int_not_equal(cosrel_contender_open("cosrel", &contender, &error), COSREL_OK);
  assert_non_null(strstr(error.text, "no/such/file"));
  assert_false(cosrel_shipped_policy(path, 4));
  assert_int_equal(unsetenv("COSREL_POLICY"), 0);
}

static void test_words(void **state) {
  (void)state;
  cosrel_contender contender;
  cosrel_error error = {""};
  int arrivals;
  assert_int_equal(cosrel_contender_open("no-such-policy", &contender, &error), COSREL_INVALID);
  assert_non_null(strstr(error.text, "no-such-policy"));
  assert_int_not_equal(cosrel_contender_open("no/such/file", &contender, &error), COSREL_OK);
  assert_non_null(strstr(error.text, "no/such/file"));
  assert_int_equal(cosrel_arrivals_parse("bursty", &arrivals, &error), COSREL_OK);
  assert_int_equal(arrivals, COSREL_ARRIVALS_BURSTY);
  assert_int_equal(cosrel_arrivals_parse("own", &arrivals, &error), COSREL_OK);
  assert_int_equal(arrivals, COSREL_ARRIVALS_OWN);
  assert_int_equal(cosrel_arrivals_parse("recorded", &arrivals, &error), COSREL_INVALID);
  assert_int_equal(cosrel_arrivals_parse("", &arrivals, &error), COSREL_INVALID);
}

static void test_all_means_common_processors(void **state) {
  (void)state;
  fixture two, three;
  fixture_begin(&two, 2);
  fixture_begin(&three, 3);
  cosrel_profile profiles[] = {three.profile, two.profile};
  cosrel_names names;
  cosrel_names_all(profiles, 2, &names);
  bool fcfs = false;
  assert_true(names.n > 3);
  assert_string_equal(names.items[0], "all-cpu");
  assert_string_equal(names.items[1], "all-gpu");
  for (uint32_t i = 0; i < names.n; i++) {
    assert_string_not_equal(names.items[i], "all-dsp");
    fcfs = fcfs || strcmp(names.items[i], "fcfs") == 0;
  }
  assert_true(fcfs);
  fixture_end(&two);
  fixture_end(&three);
}

/* How many of the mixes that match have a stream of this model. */
static size_t mixes_with(const char *pattern, const char *model, size_t *all) {
  static cosrel_workload workload;
  cosrel_error error = {""};
  size_t with = 0;
  glob_t found;
  assert_int_equal(glob(pattern, 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    if (cosrel_workload_read(found.gl_pathv[i], &workload, &error) != COSREL_OK) fail_msg("%s", error.text);
    bool named = false;
    for (uint32_t s = 0; s < workload.n_streams; s++) named = named || strcmp(workload.streams[s].model, model) == 0;
    with += named;
    cosrel_workload_clear(&workload);
  }
  *all = found.gl_pathc;
  globfree(&found);
  return with;
}

/* googlenet is the model that training never sees, and on which policies are tested. */
static void test_held_out_model(void **state) {
  (void)state;
  size_t train, test;
  assert_int_equal(mixes_with("experiments/workloads/train/*.json", "googlenet", &train), 0);
  assert_true(mixes_with("experiments/workloads/test/*.json", "googlenet", &test) >= 4);
  assert_true(train >= 10 && test >= 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_threads_change_nothing),
      cmocka_unit_test(test_runs_are_paired),
      cmocka_unit_test(test_json_keys),
      cmocka_unit_test(test_conclusions_by_hand),
      cmocka_unit_test(test_offline_seeds),
      cmocka_unit_test(test_shipped_policy),
      cmocka_unit_test(test_words),
      cmocka_unit_test(test_all_means_common_processors),
      cmocka_unit_test(test_held_out_model),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
