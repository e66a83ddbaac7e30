/* IQM, quantiles and bootstrap intervals against values worked out by hand and against their known coverage. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "experiments/stats.h"
#include "sched/rng.h"

static void assert_near(double a, double b, double tolerance) {
  if (!(fabs(a - b) <= tolerance)) fail_msg("%.17g is not %.17g within %g", a, b, tolerance);
}

/* One statistic of one stratum of n values. */
static cosrel_interval one(cosrel_statistic_kind kind, const double *a, const double *b, uint32_t n, uint64_t key) {
  const cosrel_strata strata = {1, &n};
  const cosrel_statistic statistic = {kind, a, b, NULL};
  cosrel_interval out;
  assert_int_equal(cosrel_bootstrap(&strata, key, 1, &statistic, &out), COSREL_OK);
  return out;
}

static double iqm(const double *x, uint32_t n) { return one(COSREL_STATISTIC_IQM, x, NULL, n, 1).value; }

static void test_iqm_by_hand(void **state) {
  (void)state;
  const double single[] = {7}, two[] = {4, 2}, four[] = {100, 2, 4, -50}, five[] = {5, 1, 2, 3, 4},
               eight[] = {8, 1, 7, 2, 6, 3, 5, 4};
  assert_near(iqm(single, 1), 7, 1e-15);
  assert_near(iqm(two, 2), 3, 1e-15);
  assert_near(iqm(four, 4), 3, 1e-15); /* the outliers do not count */
  /* n = 5: the middle half is [1.25, 3.75): 0.75 of 2, all of 3, 0.75 of 4 */
  assert_near(iqm(five, 5), (0.75 * 2 + 3 + 0.75 * 4) / 2.5, 1e-15);
  assert_near(iqm(eight, 8), (3 + 4 + 5 + 6) / 4.0, 1e-15);
}

static void test_quantile(void **state) {
  (void)state;
  const double x[] = {0, 10, 20, 40};
  assert_near(cosrel_quantile(x, 4, 0), 0, 0);
  assert_near(cosrel_quantile(x, 4, 1), 40, 0);
  assert_near(cosrel_quantile(x, 4, 0.5), 15, 1e-12);
  assert_near(cosrel_quantile(x, 1, 0.3), 0, 0);
}

/* Two cases far apart without spread inside: resampling within cases must give an interval of width 0. */
static void test_strata_are_kept(void **state) {
  (void)state;
  const double x[] = {1, 1, 1, 100, 100, 100, 100, 100};
  const uint32_t count[] = {3, 5};
  const bool second[] = {false, true};
  const cosrel_strata strata = {2, count};
  const cosrel_statistic statistics[] = {{COSREL_STATISTIC_MEAN, x, NULL, NULL},
                                         {COSREL_STATISTIC_MEAN, x, NULL, second}};
  cosrel_interval mean[2];
  assert_int_equal(cosrel_bootstrap(&strata, 1, 2, statistics, mean), COSREL_OK);
  assert_near(mean[0].value, 50.5, 1e-12); /* cases weigh the same, whatever their count */
  assert_near(mean[0].low, 50.5, 1e-12);
  assert_near(mean[0].high, 50.5, 1e-12);
  assert_near(mean[1].value, 100, 1e-12); /* one case only */
}

static void test_deterministic(void **state) {
  (void)state;
  double a[20];
  for (uint32_t i = 0; i < 20; i++) a[i] = cosrel_rng_normal(cosrel_rng_key(3, i));
  cosrel_interval first = one(COSREL_STATISTIC_IQM, a, NULL, 20, 7), second = one(COSREL_STATISTIC_IQM, a, NULL, 20, 7),
                  other = one(COSREL_STATISTIC_IQM, a, NULL, 20, 8);
  assert_memory_equal(&first, &second, sizeof first);
  assert_true(first.low != other.low || first.high != other.high);
  assert_true(first.low < first.value && first.value < first.high);
}

/* 95 % intervals of the mean of 25 normals must hold the true mean in about 95 % of 400 experiments: the percentile
 * bootstrap is a little narrow at this size (about 93 %), so 89..98 % is accepted. */
static void test_coverage(void **state) {
  (void)state;
  uint32_t held = 0;
  for (uint64_t e = 0; e < 400; e++) {
    double a[25];
    for (uint32_t i = 0; i < 25; i++) a[i] = 2.0 + cosrel_rng_normal(cosrel_rng_key(1000 + e, i));
    cosrel_interval mean = one(COSREL_STATISTIC_MEAN, a, NULL, 25, e);
    held += mean.low <= 2.0 && 2.0 <= mean.high;
  }
  assert_in_range(held, 356, 392);
}

/* A common shift per seed drowns an unpaired comparison; the paired statistics see through it. */
static void test_pairs(void **state) {
  (void)state;
  double a[10], b[10], lost_a[10], lost_b[10];
  for (uint32_t i = 0; i < 10; i++) {
    double luck = 5.0 * cosrel_rng_normal(cosrel_rng_key(11, i));
    a[i] = luck + 0.5, b[i] = luck + 0.01 * cosrel_rng_normal(cosrel_rng_key(12, i));
    lost_b[i] = 20 + luck, lost_a[i] = 0.9 * lost_b[i];
  }
  cosrel_interval plain = one(COSREL_STATISTIC_MEAN, a, NULL, 10, 1),
                  difference = one(COSREL_STATISTIC_DIFFERENCE, a, b, 10, 1),
                  ratio = one(COSREL_STATISTIC_RATIO, lost_a, lost_b, 10, 1);
  assert_true(plain.high - plain.low > 1.0);
  assert_true(difference.low > 0.45 && difference.high < 0.55);
  assert_near(ratio.value, 0.9, 1e-12);
  assert_near(ratio.low, 0.9, 1e-12);
  assert_near(ratio.high, 0.9, 1e-12);
  assert_int_equal(cosrel_paired_sign(a, b, 10), 1);
  assert_int_equal(cosrel_paired_sign(b, a, 10), -1);
  assert_int_equal(cosrel_paired_sign(a, a, 10), 0);
  assert_int_equal(cosrel_paired_sign(a, b, 1), 1); /* one run decides by its sign */
}

static void test_paired_sign_by_hand(void **state) {
  (void)state;
  /* Differences 1 and 3: mean 2, standard error 1; t(0.975, 1) = 12.7. Differences 2.9, 3, 3.1: 3 over 0.0577, 4.3. */
  const double zero[] = {0, 0, 0}, wide[] = {1, 3}, narrow[] = {2.9, 3, 3.1};
  assert_int_equal(cosrel_paired_sign(wide, zero, 2), 0);
  assert_int_equal(cosrel_paired_sign(narrow, zero, 3), 1);
}

static void test_improvement_by_hand(void **state) {
  (void)state;
  const double a[] = {1, 3}, b[] = {2, 3}, low[] = {0, 0.5}, zeros[] = {0, 0};
  assert_near(one(COSREL_STATISTIC_IMPROVEMENT, a, b, 2, 1).value, 0.25, 1e-15); /* 1 < 2, and 3 = 3 by half */
  assert_near(one(COSREL_STATISTIC_IMPROVEMENT, a, a, 2, 1).value, 0.5, 1e-15);
  assert_near(one(COSREL_STATISTIC_IMPROVEMENT, a, low, 2, 1).value, 1, 1e-15);
  cosrel_interval half = one(COSREL_STATISTIC_IMPROVEMENT, a, b, 2, 1);
  assert_true(half.low <= half.value && half.value <= half.high);
  assert_near(one(COSREL_STATISTIC_RATIO, zeros, zeros, 2, 1).value, 1, 0);
  assert_true(isinf(one(COSREL_STATISTIC_RATIO, a, zeros, 2, 1).value));
}

static void test_what_is_not_defined(void **state) {
  (void)state;
  cosrel_interval out;
  const double a[] = {1, NAN};
  const uint32_t count[] = {1, 1}, empty[] = {1, 0};
  const bool first[] = {true, false};
  const cosrel_statistic all = {COSREL_STATISTIC_MEAN, a, NULL, NULL}, some = {COSREL_STATISTIC_MEAN, a, NULL, first};
  assert_int_equal(cosrel_bootstrap(&(cosrel_strata){0, count}, 1, 1, &all, &out), COSREL_INVALID);
  assert_int_equal(cosrel_bootstrap(&(cosrel_strata){2, empty}, 1, 1, &all, &out), COSREL_INVALID);
  assert_int_equal(cosrel_bootstrap(&(cosrel_strata){2, count}, 1, 1, &all, &out), COSREL_OK);
  assert_true(isnan(out.value) && isnan(out.low) && isnan(out.high));
  assert_int_equal(cosrel_bootstrap(&(cosrel_strata){2, count}, 1, 1, &some, &out), COSREL_OK);
  assert_near(out.value, 1, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_iqm_by_hand),
      cmocka_unit_test(test_quantile),
      cmocka_unit_test(test_strata_are_kept),
      cmocka_unit_test(test_deterministic),
      cmocka_unit_test(test_coverage),
      cmocka_unit_test(test_pairs),
      cmocka_unit_test(test_paired_sign_by_hand),
      cmocka_unit_test(test_improvement_by_hand),
      cmocka_unit_test(test_what_is_not_defined),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
