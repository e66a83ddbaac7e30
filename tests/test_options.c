/* The option reader: what it accepts, what it refuses, and that nothing changes when an option is not given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "experiments/options.h"

typedef struct values {
  bool json;
  const char *output;
  uint64_t seed;
  double load;
  cosrel_strings policies, profiles;
  cosrel_numbers loads;
} values;

/* Parses a command line given as one string; words are separated by single spaces. */
static cosrel_parse parse(char *line, values *v, cosrel_strings *operands) {
  const cosrel_usage usage = {"test", "[options] FILE", "about", "cosrel test x", 0, 2};
  const cosrel_option options[] = {
      {"json", COSREL_OPTION_FLAG, &v->json, NULL, "flag", 0, 0, false},
      {"o", COSREL_OPTION_TEXT, &v->output, "FILE", "text", 0, 0, false},
      {"seed", COSREL_OPTION_COUNT, &v->seed, "N", "count", 0, 1e15, false},
      {"load", COSREL_OPTION_NUMBER, &v->load, "L", "number", 0.01, 10, false},
      {"policies", COSREL_OPTION_WORDS, &v->policies, "A,B", "words", 0, 0, false},
      {"loads", COSREL_OPTION_NUMBERS, &v->loads, "L,..", "numbers", 0, 2, false},
      {"profile", COSREL_OPTION_FILES, &v->profiles, "P", "files", 0, 0, true},
      {NULL, COSREL_OPTION_FLAG, NULL, NULL, NULL, 0, 0, false},
  };
  char *argv[32] = {line};
  int argc = 1;
  for (char *c = line; *c != '\0'; c++)
    if (*c == ' ') {
      *c = '\0';
      argv[argc++] = c + 1;
    }
  return cosrel_options_parse(&usage, options, argc, argv, operands);
}

static void test_every_kind(void **state) {
  (void)state;
  values v = {.seed = 5, .load = 0.5};
  cosrel_strings operands;
  char line[] = "test x --json -o out --seed=42 --load 1.5 --policies a,b,c --loads 0.6,0.9 --profile p q --profile=r";
  assert_int_equal(parse(line, &v, &operands), COSREL_PARSE_OK);
  assert_true(v.json);
  assert_string_equal(v.output, "out");
  assert_int_equal(v.seed, 42);
  assert_true(v.load == 1.5);
  assert_int_equal(v.policies.n, 3);
  assert_string_equal(v.policies.items[2], "c");
  assert_int_equal(v.loads.n, 2);
  assert_true(v.loads.items[1] == 0.9);
  assert_int_equal(v.profiles.n, 3);
  assert_string_equal(v.profiles.items[0], "p");
  assert_string_equal(v.profiles.items[2], "r");
  assert_int_equal(operands.n, 1);
  assert_string_equal(operands.items[0], "x");
}

static void test_defaults_stay(void **state) {
  (void)state;
  values v = {.seed = 5, .load = 0.5, .policies = {1, {"fcfs"}}};
  cosrel_strings operands;
  char line[] = "test --profile p";
  assert_int_equal(parse(line, &v, &operands), COSREL_PARSE_OK);
  assert_false(v.json);
  assert_int_equal(v.seed, 5);
  assert_true(v.load == 0.5);
  assert_int_equal(v.policies.n, 1);
  assert_int_equal(operands.n, 0);
}

static void test_help(void **state) {
  (void)state;
  values v = {0};
  cosrel_strings operands;
  char line[] = "test --help --nonsense";
  assert_int_equal(parse(line, &v, &operands), COSREL_PARSE_HELP);
}

static void test_refused(void **state) {
  (void)state;
  static const char *const lines[] = {
      "test",                        /* required */
      "test --profile",              /* no argument */
      "test --profile=",             /* empty argument */
      "test --profile p --nonsense", /* unknown */
      "test --profile p --see 1",    /* no prefixes */
      "test --profile p -seed 1",    /* one dash is for single letters */
      "test --profile p --o x",
      "test --profile p --json=1", /* a flag takes none */
      "test --profile p --seed -1",
      "test --profile p --seed 1.5",
      "test --profile p --seed 1e3",
      "test --profile p --seed 99999999999999999999",
      "test --profile p --seed 1 --seed 2", /* twice */
      "test --profile p --load 0",
      "test --profile p --load nan",
      "test --profile p --load inf",
      "test --profile p --load 1x",
      "test --profile p --load 1e999",
      "test --profile p --policies a,,b",
      "test --profile p --policies ,",
      "test --profile p --loads 0.6,",
      "test --profile p --loads 0.6,3",
      "test a b c --profile p", /* one operand too many */
  };
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    values v = {0};
    cosrel_strings operands;
    char line[128];
    snprintf(line, sizeof line, "%s", lines[i]);
    if (parse(line, &v, &operands) != COSREL_PARSE_BAD) fail_msg("accepted: %s", lines[i]);
  }
}

static void test_report(void **state) {
  (void)state;
  cosrel_error error = {"p.json: units: expected an array"};
  assert_int_equal(cosrel_report(COSREL_FORMAT, &error), 2);
  assert_int_equal(cosrel_report(COSREL_INTERRUPTED, NULL), 130);
  assert_int_equal(cosrel_report(COSREL_NOMEM, NULL), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_kind), cmocka_unit_test(test_defaults_stay), cmocka_unit_test(test_help),
      cmocka_unit_test(test_refused),    cmocka_unit_test(test_report),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
