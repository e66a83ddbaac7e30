/* Every backend of this machine while its processor fails: in errors, hangs, NaN and losses, beside processors that are
 * well. tests/bench_faults.c does the same for longer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/rig.h"

static void torment(const char *backend) {
  rig_counts counts = {0};
  cosrel_error error = {""};
  for (uint32_t i = 0; i < RIG_TARGETS; i++) {
    if (strcmp(rig_targets[i].backend, backend) != 0) continue;
    if (!rig_torment(&rig_targets[i], 12, &counts, &error)) {
      printf("skipped: faults on %s (%s)\n", backend, error.text);
      return;
    }
    for (int k = 1; k < COSREL_FAULT_COUNT; k++)
      if (counts.faults[k] == 0) fail_msg("%s: no %s was seen", backend, cosrel_fault_name((cosrel_fault)k));
    assert_int_equal(counts.wrong, 0);
    assert_int_equal(counts.requests, counts.completed + counts.dropped + counts.failed);
    assert_true(counts.completed > 0);
  }
}

static void test_opencl(void **unused) {
  (void)unused;
  torment("opencl");
}
static void test_armnn(void **unused) {
  (void)unused;
  torment("armnn");
}
static void test_xnnpack(void **unused) {
  (void)unused;
  torment("xnnpack");
}
static void test_reference(void **unused) {
  (void)unused;
  torment("reference");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_opencl), cmocka_unit_test(test_armnn),
                                     cmocka_unit_test(test_xnnpack), cmocka_unit_test(test_reference)};
  return cmocka_run_group_tests(tests, rig_begin, rig_end);
}
