/* A short, repeatable slice of fuzzing for machines without libFuzzer: a file, mutated again and again. Include it
 * behind cmocka.h. */
#ifndef COSREL_TESTS_MUTATE_H
#define COSREL_TESTS_MUTATE_H

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

#endif
