/* What cosrel_model_check lets through, and the line it gives for what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sched/model.h"

/* a -> b -> c, and a -> c; on the heap so that sanitizers see every step outside. */
static cosrel_model make(void) {
  static const cosrel_unit units[3] = {
      {"a", COSREL_KIND_CONV, 0, 1, 100, 10, 8, 8},
      {"b", COSREL_KIND_POOL, 1, 1, 0, 0, 8, 4},
      {"c", COSREL_KIND_CONCAT, 2, 2, 0, 0, 12, 12},
  };
  static const int32_t inputs[4] = {COSREL_MODEL_INPUT, 0, 1, 0};
  cosrel_model model = {.name = "m", .input_elems = 8, .n_units = 3, .n_edges = 4};
  model.units = malloc(sizeof units);
  model.inputs = malloc(sizeof inputs);
  assert_non_null(model.units);
  assert_non_null(model.inputs);
  memcpy(model.units, units, sizeof units);
  memcpy(model.inputs, inputs, sizeof inputs);
  return model;
}

static void a_good_model_passes(void **state) {
  (void)state;
  cosrel_model model = make();
  assert_int_equal(cosrel_model_check(&model, "file", NULL), COSREL_OK);
  cosrel_model_clear(&model);
  assert_null(model.units);
  cosrel_model_clear(&model);
  cosrel_model_clear(NULL);
}

static void expect_bad(cosrel_model *model, cosrel_status status, const char *line) {
  cosrel_error error = {""};
  assert_int_equal(cosrel_model_check(model, "file", &error), status);
  if (strstr(error.text, line) == NULL) fail_msg("'%s' lacks '%s'", error.text, line);
  cosrel_model_clear(model);
}

#define BAD(status, line, change) \
  do {                            \
    cosrel_model m = make();      \
    change;                       \
    expect_bad(&m, status, line); \
  } while (0)

static void each_bad_model_gets_its_line(void **state) {
  (void)state;
  BAD(COSREL_FORMAT, "file: name: expected", m.name[0] = '\0');
  BAD(COSREL_FORMAT, "file: name: expected", memset(m.name, 'x', sizeof m.name));
  BAD(COSREL_FORMAT, "file: units: expected at least one", m.n_units = 0);
  BAD(COSREL_LIMIT, "file: units: expected at most 1024, got 1025", m.n_units = COSREL_UNITS_MAX + 1);
  BAD(COSREL_LIMIT, "at most 8192 edges", m.n_edges = COSREL_EDGES_MAX + 1);
  BAD(COSREL_FORMAT, "at least one edge per unit", m.n_edges = 2);
  BAD(COSREL_FORMAT, "units[2].inputs: expected them", m.n_edges = 3);
  BAD(COSREL_FORMAT, "file: inputs: expected 3 edges, got 4", m.units[2].n_inputs = 1);
  BAD(COSREL_FORMAT, "file: input_elems", m.input_elems = 0);
  BAD(COSREL_FORMAT, "units[1].name", strcpy(m.units[1].name, "b\n"));
  BAD(COSREL_FORMAT, "units[2].name: expected a name used once, got 'a' again", strcpy(m.units[2].name, "a"));
  BAD(COSREL_FORMAT, "units[0].kind", m.units[0].kind = COSREL_KIND_COUNT);
  BAD(COSREL_FORMAT, "units[1].inputs: expected at least one", m.units[1].n_inputs = 0);
  BAD(COSREL_FORMAT, "units[2].inputs", m.units[2].first_input = 3);
  BAD(COSREL_FORMAT, "units[2].inputs", m.units[2].n_inputs = UINT32_MAX);
  BAD(COSREL_FORMAT, "units[1].inputs[0]: expected -1 or an earlier unit, got 1", m.inputs[1] = 1); /* a cycle */
  BAD(COSREL_FORMAT, "units[2].inputs[1]: expected -1 or an earlier unit, got 7", m.inputs[3] = 7);
  BAD(COSREL_FORMAT, "units[0].inputs[0]: expected -1 or an earlier unit, got -2", m.inputs[0] = -2);
  BAD(COSREL_FORMAT, "units[0].macs", m.units[0].macs = UINT64_MAX);
  BAD(COSREL_FORMAT, "units[0].weights", m.units[0].weights = (UINT64_C(1) << 53) + 1);
  BAD(COSREL_FORMAT, "units[1].in_elems", m.units[1].in_elems = 0);
  BAD(COSREL_FORMAT, "units[1].out_elems", m.units[1].out_elems = 0);
}

static void kinds_have_names(void **state) {
  (void)state;
  for (int kind = 0; kind < COSREL_KIND_COUNT; kind++) {
    assert_int_equal(cosrel_kind_from_name(cosrel_kind_name((cosrel_kind)kind)), kind);
  }
  assert_string_equal(cosrel_kind_name(COSREL_KIND_CONV1X1), "conv1x1");
  assert_string_equal(cosrel_kind_name(COSREL_KIND_COUNT), "unknown");
  assert_int_equal(cosrel_kind_from_name("Conv"), -1);
  assert_int_equal(cosrel_kind_from_name(""), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_good_model_passes),
      cmocka_unit_test(each_bad_model_gets_its_line),
      cmocka_unit_test(kinds_have_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
