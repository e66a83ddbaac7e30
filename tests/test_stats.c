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

static void test_iqm_by_hand(void **state) {
  (void)state;
  double one[] = {7}, two[] = {4, 2}, four[] = {100, 2, 4, -50}, five[] = {5, 1, 2, 3, 4},
         eight[] = {8, 1, 7, 2, 6, 3, 5, 4};
  assert_near(cosrel_iqm(one, 1), 7, 1e-15);
  assert_near(cosrel_iqm(two, 2), 3, 1e-15);
  assert_near(cosrel_iqm(four, 4), 3, 1e-15); /* the outliers do not count */
  /* n = 5: the middle half is [1.25, 3.75): 0.75 of 2, all of 3, 0.75 of 4 */
  assert_near(cosrel_iqm(five, 5), (0.75 * 2 + 3 + 0.75 * 4) / 2.5, 1e-15);
  assert_near(cosrel_iqm(eight, 8), (3 + 4 + 5 + 6) / 4.0, 1e-15);
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
  const double a[] = {1, 1, 1}, b[] = {100, 100, 100, 100, 100};
  const double *const values[] = {a, b};
  const uint32_t count[] = {3, 5};
  const cosrel_strata strata = {2, count, values};
  cosrel_interval mean;
  assert_int_equal(cosrel_mean_interval(&strata, 1, &mean), COSREL_OK);
  assert_near(mean.value, 50.5, 1e-12); /* cases weigh the same, whatever their count */
  assert_near(mean.low, 50.5, 1e-12);
  assert_near(mean.high, 50.5, 1e-12);
}

static void test_deterministic(void **state) {
  (void)state;
  double a[20];
  for (uint32_t i = 0; i < 20; i++) a[i] = cosrel_rng_normal(cosrel_rng_key(3, i));
  const double *const values[] = {a};
  const uint32_t count[] = {20};
  const cosrel_strata strata = {1, count, values};
  cosrel_interval first, second, other;
  cosrel_iqm_interval(&strata, 7, &first);
  cosrel_iqm_interval(&strata, 7, &second);
  cosrel_iqm_interval(&strata, 8, &other);
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
    const double *const values[] = {a};
    const uint32_t count[] = {25};
    const cosrel_strata strata = {1, count, values};
    cosrel_interval mean;
    assert_int_equal(cosrel_mean_interval(&strata, e, &mean), COSREL_OK);
    held += mean.low <= 2.0 && 2.0 <= mean.high;
  }
  assert_in_range(held, 356, 392);
}

/* A common shift per seed drowns an unpaired comparison; the paired difference sees through it. */
static void test_paired_difference(void **state) {
  (void)state;
  double difference[10], plain[10];
  for (uint32_t i = 0; i < 10; i++) {
    double luck = 5.0 * cosrel_rng_normal(cosrel_rng_key(11, i));
    double a = luck + 0.5, b = luck + 0.01 * cosrel_rng_normal(cosrel_rng_key(12, i));
    difference[i] = a - b;
    plain[i] = a;
  }
  const double *const paired[] = {difference}, *const alone[] = {plain};
  const uint32_t count[] = {10};
  cosrel_interval d, p;
  cosrel_mean_interval(&(cosrel_strata){1, count, paired}, 1, &d);
  cosrel_mean_interval(&(cosrel_strata){1, count, alone}, 1, &p);
  assert_true(d.low > 0.45 && d.high < 0.55);
  assert_true(p.high - p.low > 1.0);
}

static void test_empty_is_refused(void **state) {
  (void)state;
  cosrel_interval out;
  const double a[] = {1};
  const double *const values[] = {a, a};
  const uint32_t count[] = {1, 0};
  assert_int_equal(cosrel_iqm_interval(&(cosrel_strata){0, count, values}, 1, &out), COSREL_INVALID);
  assert_int_equal(cosrel_iqm_interval(&(cosrel_strata){2, count, values}, 1, &out), COSREL_INVALID);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_iqm_by_hand),      cmocka_unit_test(test_quantile),
      cmocka_unit_test(test_strata_are_kept),  cmocka_unit_test(test_deterministic),
      cmocka_unit_test(test_coverage),         cmocka_unit_test(test_paired_difference),
      cmocka_unit_test(test_empty_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
