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

#include "sched/rng.h"
#include "traces/file.h"

#define ROUNDS 4000
#define SPLICE_MAX 64

/* What makes JSON readers stumble. */
static const char *const words[] = {"{",
                                    "}",
                                    "[",
                                    "]",
                                    ",",
                                    ":",
                                    "\"",
                                    "\\",
                                    "-",
                                    "-1",
                                    "0",
                                    "1e999",
                                    "1e-99",
                                    "NaN",
                                    "null",
                                    "true",
                                    "1e308",
                                    "\xff",
                                    "\x01",
                                    "\\ud800",
                                    "x-",
                                    "4294967296",
                                    "0.5",
                                    "99999999999999999999",
                                    "[[[[[[[[[[[[[[[[[[",
                                    "\"x-a\": {}, ",
                                    "\"cpu\"",
                                    "\"version\": 2"};

static uint32_t below(uint64_t seed, uint32_t step, uint32_t n) {
  return n == 0 ? 0 : cosrel_rng_below(cosrel_rng_key(seed, step), n);
}

/* One to four edits: a byte changed, a piece removed or repeated elsewhere, a word put in, the tail cut off.
 * `out` has room for size + 4 * SPLICE_MAX bytes. */
static size_t mutate(const uint8_t *seed_text, size_t size, uint64_t seed, uint8_t *out) {
  memcpy(out, seed_text, size);
  uint32_t edits = 1 + below(seed, 0, 4);
  for (uint32_t e = 0; e < edits && size > 0; e++) {
    uint64_t key = cosrel_rng_key(seed, 100 + e);
    uint32_t at = below(key, 1, (uint32_t)size), piece = 1 + below(key, 2, SPLICE_MAX);
    switch (below(key, 3, 5)) {
      case 0: out[at] = (uint8_t)below(key, 4, 256); break;
      case 1: /* remove */
        if (piece > size - at) piece = (uint32_t)size - at;
        memmove(out + at, out + at + piece, size - at - piece);
        size -= piece;
        break;
      case 2: { /* repeat */
        uint8_t copy[SPLICE_MAX];
        uint32_t from = below(key, 5, (uint32_t)size);
        if (piece > size - from) piece = (uint32_t)size - from;
        memcpy(copy, out + from, piece);
        memmove(out + at + piece, out + at, size - at);
        memcpy(out + at, copy, piece);
        size += piece;
        break;
      }
      case 3: { /* put in a word */
        const char *word = words[below(key, 6, sizeof words / sizeof words[0])];
        size_t length = strlen(word);
        memmove(out + at + length, out + at, size - at);
        memcpy(out + at, word, length);
        size += length;
        break;
      }
      default:
        if (below(key, 7, 8) == 0) size = at;
        break;
    }
  }
  return size;
}

static void run_slice(const char *path, int (*target)(const uint8_t *, size_t)) {
  char *text;
  size_t size;
  cosrel_error error = {""};
  if (cosrel_file_read(path, 1 << 20, &text, &size, &error) != COSREL_OK) fail_msg("%s", error.text);
  for (uint64_t round = 0; round < ROUNDS; round++) {
    /* A block of just the right size, so that a sanitizer sees a read past the end. */
    uint8_t *roomy = malloc(size + 4 * SPLICE_MAX);
    assert_non_null(roomy);
    size_t mutated = mutate((const uint8_t *)text, size, round, roomy);
    uint8_t *exact = malloc(mutated > 0 ? mutated : 1);
    assert_non_null(exact);
    memcpy(exact, roomy, mutated);
    assert_int_equal(target(exact, mutated), 0);
    free(exact);
    free(roomy);
  }
  free(text);
}

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
