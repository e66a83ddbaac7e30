/* A checked way through JSON documents that come from outside, and a deterministic way of writing them.
 *
 * Reading: a cosrel_json_at is a value together with its place in the document. The first thing that is wrong is kept
 * in the reader with a line such as phone.json: models[2].units[7].costs.gpu.int8.beta: expected a number, got text and
 * every later call then does nothing, so a reader is straight-line code that looks at reader->status once. Documents
 * are bounded in nesting and in number of values; keys beginning with "x-" are free for users and skipped. */
#ifndef COSREL_TRACES_JSON_H
#define COSREL_TRACES_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "sched/status.h"

#define COSREL_JSON_DEPTH_MAX 16
#define COSREL_JSON_VALUES_MAX 1000000

typedef struct cosrel_json_reader {
  const char *where;    /* the file, for messages; borrowed */
  cosrel_error *error;  /* borrowed, may be NULL */
  cosrel_status status; /* of the first failure */
  json_t *root;         /* owned */
} cosrel_json_reader;

/* A value and its place. Lives on the stack of the code that reads it and must not outlive its parent. */
typedef struct cosrel_json_at {
  cosrel_json_reader *reader;
  const struct cosrel_json_at *parent; /* NULL: the document itself */
  const char *key;                     /* NULL: item `index` of an array */
  size_t index;
  json_t *value; /* borrowed from the root; NULL when absent or after a failure */
} cosrel_json_at;

typedef enum cosrel_json_need { COSREL_JSON_OPTIONAL, COSREL_JSON_REQUIRED } cosrel_json_need;

/* Parses `size` bytes of text and checks that it is an object with this "format" and "version". Returns its place.
 * cosrel_json_close frees everything, also after a failure. */
cosrel_json_at cosrel_json_open(cosrel_json_reader *reader, const char *text, size_t size, const char *where,
                                const char *format, int version, cosrel_error *error);
void cosrel_json_close(cosrel_json_reader *reader);

/* Keeps a failure at `key` of `at` (NULL: at `at` itself), unless there was one before. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
void cosrel_json_fail(const cosrel_json_at *at, cosrel_status status, const char *key, const char *format, ...);

/* Members of an object. An absent optional member leaves *out alone and gives an absent place. */
cosrel_json_at cosrel_json_object(const cosrel_json_at *at, const char *key, cosrel_json_need need);
cosrel_json_at cosrel_json_array(const cosrel_json_at *at, const char *key, cosrel_json_need need);
void cosrel_json_number(const cosrel_json_at *at, const char *key, cosrel_json_need need, double *out);
void cosrel_json_count(const cosrel_json_at *at, const char *key, cosrel_json_need need, uint64_t most, uint64_t *out);
void cosrel_json_flag(const cosrel_json_at *at, const char *key, cosrel_json_need need, bool *out);
/* Text of at most size - 1 bytes. */
void cosrel_json_text(const cosrel_json_at *at, const char *key, cosrel_json_need need, char *out, size_t size);
/* One of some words: from_name gives its number or -1; `words` lists them for the message. */
void cosrel_json_word(const cosrel_json_at *at, const char *key, cosrel_json_need need, int (*from_name)(const char *),
                      const char *words, int *out);

/* Number of items of an array, COSREL_LIMIT when over `most`; 0 when absent or after a failure. */
size_t cosrel_json_size(const cosrel_json_at *array, size_t most);
/* Item of an array, of any type, of type object, as text (NULL after a failure). */
cosrel_json_at cosrel_json_item(const cosrel_json_at *array, size_t index);
cosrel_json_at cosrel_json_item_object(const cosrel_json_at *array, size_t index);
const char *cosrel_json_item_text(const cosrel_json_at *array, size_t index, size_t size);
double cosrel_json_item_number(const cosrel_json_at *array, size_t index);

/* Fails when an object has a member that is not in the NULL-terminated list and does not begin with "x-". */
void cosrel_json_keys(const cosrel_json_at *object, const char *const *known);

/* Writing into memory: deterministic text, so that equal values give equal bytes. */
typedef struct cosrel_json_writer {
  FILE *file; /* fputs and fprintf to it */
  char *text; /* owned; valid after the end */
  size_t size;
  cosrel_status status;
} cosrel_json_writer;

cosrel_status cosrel_json_begin(cosrel_json_writer *writer);
/* `before` as it is, then the fewest digits that read back as the same number; whole numbers without point or exponent.
 * Fails the writer with COSREL_INVALID when the number is not finite. */
void cosrel_json_put_number(cosrel_json_writer *writer, const char *before, double value);
/* `before` as it is, then the text quoted and escaped. COSREL_INVALID when it is no UTF-8. */
void cosrel_json_put_text(cosrel_json_writer *writer, const char *before, const char *text);
/* Ends the text. On success *text (free) belongs to the caller; on failure nothing does. */
cosrel_status cosrel_json_end(cosrel_json_writer *writer, const char *where, char **text, size_t *size,
                              cosrel_error *error);

#endif
