/* The C face of Arm NN by itself: what it throws ends as a status and a line. tests/test_backends.c computes with it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#ifdef COSREL_ARMNN
#include "backends/armnn/shim.h"

static const cosrel_shape image = {.rank = 4, .dims = {1, 2, 2, 3}}, row = {.rank = 2, .dims = {1, 12}};

static void open_first(cosrel_armnn **out) {
  cosrel_error error = {""};
  if (cosrel_armnn_open("", 0, out, &error) != COSREL_OK) fail_msg("%s", error.text);
}

static void devices_are_in_order(void **state) {
  (void)state;
  static const char *const order[] = {"GpuAcc", "CpuAcc", "CpuRef"};
  char names[COSREL_ARMNN_DEVICES_MAX][COSREL_NAME_MAX];
  uint32_t n = cosrel_armnn_devices(names, COSREL_ARMNN_DEVICES_MAX), at = 0;
  assert_true(n > 0);
  for (uint32_t i = 0; i < n; i++) {
    cosrel_armnn *armnn = NULL;
    cosrel_error error = {""};
    cosrel_status status = cosrel_armnn_open(names[i], 1, &armnn, &error);
    if (status != COSREL_OK) { /* a GPU's, perhaps */
      assert_int_equal(status, COSREL_UNSUPPORTED);
      printf("skipped: armnn:%s (%s)\n", names[i], error.text);
    }
    cosrel_armnn_close(armnn);
    for (uint32_t k = 0; k < at; k++) assert_string_not_equal(names[i], order[k]); /* none of an earlier place */
    while (at < 3 && strcmp(names[i], order[at]) != 0) at++;
  }
  assert_int_equal(cosrel_armnn_devices(names, 1), 1);
  cosrel_armnn *armnn = NULL;
  cosrel_error error = {""};
  assert_int_equal(cosrel_armnn_open("NoSuchAcc", 0, &armnn, &error), COSREL_UNSUPPORTED);
  assert_non_null(strstr(error.text, names[0]));
  assert_null(armnn);
}

/* A failure that is said once is not forgotten, and nothing after it does anything. */
static void the_first_failure_sticks(void **state) {
  (void)state;
  cosrel_armnn *armnn;
  open_first(&armnn);
  for (int kind = 0; kind < 4; kind++) {
    cosrel_armnn_graph *graph = cosrel_armnn_graph_create();
    assert_non_null(graph);
    int32_t x = cosrel_armnn_input(graph, &image, 0), y = cosrel_armnn_input(graph, &row, 64), bad = -1;
    assert_true(x >= 0 && y >= 0);
    if (kind == 0) bad = cosrel_armnn_concat(graph, (const int32_t[]){x, y}, 2, 1);
    if (kind == 1) bad = cosrel_armnn_activate(graph, 77, COSREL_ARMNN_RELU, 0, 0);
    if (kind == 2) bad = cosrel_armnn_activate(graph, -1, COSREL_ARMNN_RELU, 0, 0);
    if (kind == 3) bad = cosrel_armnn_concat(graph, &x, 1, 3);
    assert_int_equal(bad, -1);
    assert_int_equal(cosrel_armnn_activate(graph, x, COSREL_ARMNN_RELU, 0, 0), -1);
    cosrel_armnn_output(graph, x, 128);
    cosrel_armnn_network *network = NULL;
    cosrel_error error = {""};
    assert_int_equal(cosrel_armnn_load(armnn, graph, &network, &error), COSREL_UNSUPPORTED);
    assert_true(error.text[0] != '\0' && strchr(error.text, '\n') == NULL);
    assert_null(network);
    cosrel_armnn_graph_destroy(graph);
  }
  cosrel_armnn_close(armnn);
}

/* x + 1, clamped to [0, 2], on memory that is another one at each run. */
static void networks_run_on_any_memory(void **state) {
  (void)state;
  cosrel_armnn *armnn;
  open_first(&armnn);
  cosrel_armnn_graph *graph = cosrel_armnn_graph_create();
  assert_non_null(graph);
  float ones[12];
  for (int i = 0; i < 12; i++) ones[i] = 1;
  int32_t x = cosrel_armnn_input(graph, &row, 0), one = cosrel_armnn_constant(graph, &row, ones);
  memset(ones, 0, sizeof ones); /* it has a copy */
  x = cosrel_armnn_combine(graph, x, one, COSREL_ARMNN_ADD);
  cosrel_armnn_output(graph, cosrel_armnn_activate(graph, x, COSREL_ARMNN_CLAMP, 2, 0), 64);
  cosrel_error error = {""};
  if (cosrel_armnn_load(armnn, graph, NULL, &error) != COSREL_OK) fail_msg("%s", error.text);
  cosrel_armnn_network *networks[2];
  for (int k = 0; k < 2; k++) assert_int_equal(cosrel_armnn_load(armnn, graph, &networks[k], &error), COSREL_OK);
  cosrel_armnn_graph_destroy(graph);
  for (int run = 0; run < 6; run++) {
    float memory[32] = {0};
    for (int i = 0; i < 12; i++) memory[i] = (float)(i - run) / 4;
    assert_int_equal(cosrel_armnn_run(networks[run % 2], memory), COSREL_OK);
    for (int i = 0; i < 12; i++) {
      float y = (float)(i - run) / 4 + 1;
      assert_true(memory[16 + i] == (y < 0 ? 0 : y > 2 ? 2 : y));
    }
    assert_true(memory[12] == 0 && memory[28] == 0); /* nothing beside */
  }
  for (int k = 0; k < 2; k++) cosrel_armnn_unload(networks[k]);
  cosrel_armnn_unload(NULL);
  cosrel_armnn_close(armnn);
  cosrel_armnn_close(NULL);
}
#endif

int main(void) {
#ifdef COSREL_ARMNN
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(devices_are_in_order),
      cmocka_unit_test(the_first_failure_sticks),
      cmocka_unit_test(networks_run_on_any_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
#else
  printf("skipped: Arm NN (not in this build; Debian has it in libarmnn-dev)\n");
  return 0;
#endif
}
