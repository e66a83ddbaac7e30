/* A short, repeatable slice of the fuzz targets for machines without libFuzzer: seeds, mutated. `make fuzz` goes
 * further. */
#define LLVMFuzzerTestOneInput fuzz_profile
#include "tests/fuzz_profile.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_policy
#include "tests/fuzz_policy.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_trace
#include "tests/fuzz_trace.c"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput fuzz_workload
#include "tests/fuzz_workload.c"
#undef LLVMFuzzerTestOneInput

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/mutate.h"

static void test_profile(void **state) {
  (void)state;
  run_slice("tests/corpus/profile/two.json", fuzz_profile);
}

static void test_workload(void **state) {
  (void)state;
  run_slice("tests/corpus/workload/all.json", fuzz_workload);
}

static void test_trace(void **state) {
  (void)state;
  run_slice("tests/corpus/trace/short.json", fuzz_trace);
}

/* Edits of a whole file: of one piece by what makes readers stumble, by bytes, or by a piece from elsewhere in it. */
static void test_policy(void **state) {
  (void)state;
  size_t size, header;
  const char *whole = policy_whole(&size, &header);
  for (uint64_t round = 0; round < ROUNDS; round++) {
    uint8_t input[3 + SPLICE_MAX];
    uint32_t kind = below(round, 1, 4), at = below(round, 2, (uint32_t)header), more = below(round, 3, SPLICE_MAX + 1);
    const char *word = words[below(round, 4, sizeof words / sizeof words[0])];
    uint32_t from = below(round, 5, (uint32_t)(size - SPLICE_MAX));
    if (kind == 1) more = (uint32_t)strlen(word);
    if (kind == 2) from %= (uint32_t)header;
    input[0] = (uint8_t)at, input[1] = (uint8_t)(at >> 8);
    input[2] = (uint8_t)(below(round, 6, 2) ? more : below(round, 7, 256));
    for (uint32_t i = 0; i < more; i++)
      input[3 + i] = kind == 0 ? (uint8_t)below(round, 100 + i, 256) : (uint8_t)(kind == 1 ? word[i] : whole[from + i]);
    uint8_t *exact = malloc(3 + more);
    assert_non_null(exact);
    memcpy(exact, input, 3 + more);
    assert_int_equal(fuzz_policy(exact, 3 + more), 0);
    free(exact);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_profile), cmocka_unit_test(test_workload),
                                     cmocka_unit_test(test_trace), cmocka_unit_test(test_policy)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
