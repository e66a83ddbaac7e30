/* fp16 in memory: every half comes back as itself, and a float goes to the nearest one. */
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backends/half.h"
#include "sched/rng.h"

static void every_half_comes_back(void **state) {
  (void)state;
  for (uint32_t h = 0; h < 65536; h++) {
    float x = cosrel_half_to_float((uint16_t)h);
    if ((h & 0x7fff) > 0x7c00)
      assert_true(isnan(x) && isnan(cosrel_half_to_float(cosrel_half_of(x))));
    else
      assert_int_equal(cosrel_half_of(x), h);
  }
}

/* Against the definition: of the two halves around x the nearer one, of two equally near ones the even one. */
static void floats_go_to_the_nearest(void **state) {
  (void)state;
  for (uint64_t i = 0; i < 200000; i++) {
    uint16_t low = (uint16_t)cosrel_rng_below(cosrel_rng_key(1, i), 0x7bff);
    double a = (double)cosrel_half_to_float(low), b = (double)cosrel_half_to_float((uint16_t)(low + 1));
    double part = i % 4 == 0 ? 0.5 : cosrel_rng_uniform(cosrel_rng_key(2, i));
    float x = (float)(a + part * (b - a));
    uint16_t nearest = (double)x - a < b - (double)x ? low : (uint16_t)(low + 1);
    if ((double)x - a == b - (double)x) nearest = (uint16_t)(low + (low & 1));
    assert_int_equal(cosrel_half_of(x), nearest);
    assert_int_equal(cosrel_half_of(-x), nearest | 0x8000);
  }
}

static void the_ends_are_kept(void **state) {
  (void)state;
  assert_int_equal(cosrel_half_of(0.0F), 0);
  assert_int_equal(cosrel_half_of(-0.0F), 0x8000);
  assert_int_equal(cosrel_half_of(1.0F), 0x3c00);
  assert_int_equal(cosrel_half_of(FLT_MIN), 0);
  assert_int_equal(cosrel_half_of(65519.0F), 0x7bff);
  assert_int_equal(cosrel_half_of(1e30F), 0x7bff); /* the largest, not infinity */
  assert_int_equal(cosrel_half_of(-FLT_MAX), 0xfbff);
  assert_int_equal(cosrel_half_of(INFINITY), 0x7c00);
  assert_int_equal(cosrel_half_of(-INFINITY), 0xfc00);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_half_comes_back),
      cmocka_unit_test(floats_go_to_the_nearest),
      cmocka_unit_test(the_ends_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
