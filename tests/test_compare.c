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

#include "experiments/comparison.h"
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
    char *a = dump(&one.cells[i]), *b = dump(&three.cells[i]);
    assert_string_equal(a, b);
    free(a);
    free(b);
  }
  /* A cell is what a single run gives. */
  cosrel_cell cell;
  cosrel_cell_config config = {.seed = 12, .duration_s = 2, .noise = true};
  assert_int_equal(cosrel_cell_run(&s.cases[2], &s.contenders[1], &config, &cell, NULL), COSREL_OK);
  char *a = dump(cosrel_comparison_cell(&one, 2, 2, 1)), *b = dump(&cell);
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
        uint64_t arrived = cosrel_comparison_cell(&q, c, seed, 0)->result.streams[stream].arrived;
        assert_true(arrived > 50);
        assert_int_equal(arrived, cosrel_comparison_cell(&q, c, seed, 1)->result.streams[stream].arrived);
      }
  /* Seeds differ. */
  assert_true(cosrel_comparison_cell(&q, 2, 0, 0)->result.u != cosrel_comparison_cell(&q, 2, 1, 0)->result.u);
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
  json_t *open = cosrel_cell_json(cosrel_comparison_cell(&q, 2, 0, 0));
  json_t *closed = cosrel_cell_json(cosrel_comparison_cell(&q, 0, 0, 0));
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

/* Two open cases, two seeds; heuristics h and k, a learned policy l, an offline reference o that beats them all. */
static void test_conclusions_by_hand(void **state) {
  (void)state;
  static const double u[2][2][4] = {
      /*  h     k     l     o */
      {{0.50, 0.60, 0.62, 0.9}, {0.52, 0.64, 0.66, 0.9}}, /* k is best: 0.62; l 0.64 */
      {{0.70, 0.40, 0.69, 0.9}, {0.74, 0.40, 0.73, 0.9}}, /* h is best: 0.72; l 0.71 */
  };
  setup s;
  setup_begin(&s);
  cosrel_contender contenders[4] = {
      {.name = "h"}, {.name = "k"}, {.name = "l", .learned = true}, {.name = "o", .offline = true}};
  cosrel_cell cells[16] = {{0}};
  uint8_t done[16];
  uint32_t n_complete[2] = {2, 2}, complete[4] = {0, 1, 0, 1};
  memset(done, 1, sizeof done);
  cosrel_comparison q = {.n_cases = 2,
                         .n_seeds = 2,
                         .n_policies = 4,
                         .cases = &s.cases[1],
                         .contenders = contenders,
                         .cells = cells,
                         .done = done,
                         .n_complete = n_complete,
                         .complete = complete};
  for (int c = 0; c < 2; c++)
    for (int seed = 0; seed < 2; seed++)
      for (int p = 0; p < 4; p++) {
        cells[(c * 2 + seed) * 4 + p].result.u = u[c][seed][p];
        cells[(c * 2 + seed) * 4 + p].result.bound_share = -1;
      }

  cosrel_group open, closed;
  assert_int_equal(cosrel_group_create(&q, COSREL_GROUP_OPEN, &open), COSREL_OK);
  assert_int_equal(cosrel_group_create(&q, COSREL_GROUP_CLOSED, &closed), COSREL_OK);
  assert_int_equal(open.n_cases, 2);
  assert_int_equal(closed.n_cases, 0);
  assert_int_equal(open.headline, COSREL_FIGURE_U);
  assert_int_equal(cosrel_case_best(&q, 0, COSREL_FIGURE_U), 1);
  assert_int_equal(cosrel_case_best(&q, 1, COSREL_FIGURE_U), 0);
  assert_int_equal(cosrel_group_best(&q, &open), 0); /* h: (0.51 + 0.72) / 2 = 0.615; k: (0.62 + 0.40) / 2 = 0.51 */
  assert_true(fabs(cosrel_group_mean(&q, &open, 2) - 0.675) < 1e-12);

  cosrel_verdict v;
  assert_int_equal(cosrel_group_verdict(&q, &open, 2, &v), COSREL_OK);
  assert_true(fabs(v.minus_best.value - 0.06) < 1e-12);                      /* (0.13 - 0.01) / 2 */
  assert_true(fabs(v.minus_hindsight.value - 0.005) < 1e-12);                /* (0.02 - 0.01) / 2 */
  assert_true(fabs(v.minus_hindsight.high - v.minus_hindsight.low) < 1e-12); /* the same in every pair */
  assert_true(v.minus_best.low < v.minus_best.value && v.minus_best.value < v.minus_best.high);
  assert_true(fabs(v.ratio_mean - (0.64 / 0.62 + 0.71 / 0.72) / 2) < 1e-12);
  assert_true(fabs(v.ratio_least - 0.71 / 0.72) < 1e-12);
  assert_int_equal(v.wins, 1);

  cosrel_interval interval; /* of 0.62 0.66 0.69 0.73 */
  assert_true(cosrel_group_interval(&q, &open, 2, COSREL_FIGURE_U, &interval));
  assert_true(fabs(interval.value - 0.675) < 1e-12);
  assert_false(cosrel_group_interval(&q, &open, 2, COSREL_FIGURE_BOUND_SHARE, &interval));

  n_complete[0] = 0; /* a case that was interrupted is left out */
  cosrel_group_destroy(&open);
  assert_int_equal(cosrel_group_create(&q, COSREL_GROUP_ALL, &open), COSREL_OK);
  assert_int_equal(open.n_cases, 1);
  assert_int_equal(cosrel_group_best(&q, &open), 0);
  cosrel_group_destroy(&open);
  cosrel_group_destroy(&closed);
  setup_end(&s);
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
      cmocka_unit_test(test_words),
      cmocka_unit_test(test_all_means_common_processors),
      cmocka_unit_test(test_held_out_model),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
