/* The slice of tests/fuzz_onnx.c that needs no libFuzzer; a program of its own, because both the agent's headers and
 * those of nets call something cosrel_net. */
#include "tests/fuzz_onnx.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/mutate.h"

static void test_onnx(void **state) {
  (void)state;
  run_slice("tests/corpus/onnx/cnn.onnx", LLVMFuzzerTestOneInput);
  run_slice("tests/corpus/onnx/attention.onnx", LLVMFuzzerTestOneInput);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_onnx)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
