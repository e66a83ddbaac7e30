#include "traces/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *type_name(const json_t *value) {
  switch (json_typeof(value)) {
    case JSON_OBJECT: return "an object";
    case JSON_ARRAY: return "an array";
    case JSON_STRING: return "text";
    case JSON_INTEGER:
    case JSON_REAL: return "a number";
    case JSON_TRUE:
    case JSON_FALSE: return "a flag";
    default: return "null";
  }
}

/* Messages are one line: whatever a hostile file put into them. */
static void make_printable(char *text) {
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < 0x20 || (unsigned char)*text == 0x7f) *text = '?';
  }
}

/* Appends to a text of `size` bytes; what does not fit is left out. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static void
append(char *text, size_t size, const char *format, ...) {
  size_t used = strlen(text);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + used, size - used, format, arguments);
  va_end(arguments);
}

static void write_place(const cosrel_json_at *at, char *text, size_t size) {
  if (at->parent == NULL) return;
  write_place(at->parent, text, size);
  if (at->key == NULL) {
    append(text, size, "[%zu]", at->index);
  } else {
    append(text, size, "%s%.40s", text[0] == '\0' ? "" : ".", at->key);
  }
}

void cosrel_json_fail(const cosrel_json_at *at, cosrel_status status, const char *key, const char *format, ...) {
  cosrel_json_reader *reader = at->reader;
  if (reader->status != COSREL_OK) return;
  reader->status = status;
  char place[200] = "", what[240];
  write_place(at, place, sizeof place);
  if (key != NULL) append(place, sizeof place, "%s%.40s", place[0] == '\0' ? "" : ".", key);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  make_printable(place);
  make_printable(what);
  cosrel_fail(reader->error, status, "%s: %s: %s", reader->where, place[0] == '\0' ? "document" : place, what);
}

static cosrel_json_at absent(cosrel_json_reader *reader) { return (cosrel_json_at){.reader = reader}; }

static cosrel_json_at member(const cosrel_json_at *at, const char *key, cosrel_json_need need) {
  cosrel_json_reader *reader = at->reader;
  if (reader->status != COSREL_OK || at->value == NULL) return absent(reader);
  json_t *value = json_object_get(at->value, key);
  if (value == NULL) {
    if (need == COSREL_JSON_REQUIRED) cosrel_json_fail(at, COSREL_FORMAT, key, "missing");
    return absent(reader);
  }
  return (cosrel_json_at){reader, at, key, 0, value};
}

/* Clears a place whose value has the wrong type. */
static void expect(cosrel_json_at *at, bool right, const char *what) {
  if (at->value == NULL || right) return;
  cosrel_json_fail(at, COSREL_FORMAT, NULL, "expected %s, got %s", what, type_name(at->value));
  at->value = NULL;
}

/* Finds what the parser would accept at a price: deep nesting (recursion) and very many values (memory: a value of two
 * bytes becomes more than a hundred). Strings are skipped; malformed text is left to the parser. */
static void check_bounds(cosrel_json_reader *reader, const char *text, size_t size) {
  size_t depth = 0, values = 0, line = 1;
  bool quoted = false;
  for (size_t i = 0; i < size; i++) {
    char c = text[i];
    if (c == '\n') line++;
    if (quoted) {
      if (c == '\\') {
        i++;
      } else if (c == '"') {
        quoted = false;
      }
      continue;
    }
    if (c == '"') quoted = true;
    if (c == '[' || c == '{') depth++;
    if ((c == ']' || c == '}') && depth > 0) depth--;
    if (c == '[' || c == '{' || c == ',') values++;
    if (depth > COSREL_JSON_DEPTH_MAX || values > COSREL_JSON_VALUES_MAX) {
      const char *what = depth > COSREL_JSON_DEPTH_MAX ? "levels of nesting" : "values";
      int most = depth > COSREL_JSON_DEPTH_MAX ? COSREL_JSON_DEPTH_MAX : COSREL_JSON_VALUES_MAX;
      reader->status = cosrel_fail(reader->error, COSREL_LIMIT, "%s: line %zu: expected at most %d %s", reader->where,
                                   line, most, what);
      return;
    }
  }
}

cosrel_json_at cosrel_json_open(cosrel_json_reader *reader, const char *text, size_t size, const char *where,
                                const char *format, int version, cosrel_error *error) {
  *reader = (cosrel_json_reader){where, error, COSREL_OK, NULL};
  check_bounds(reader, text, size);
  if (reader->status != COSREL_OK) return absent(reader);
  json_error_t problem;
  reader->root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
  if (reader->root == NULL) {
    make_printable(problem.text);
    bool memory = json_error_code(&problem) == json_error_out_of_memory;
    reader->status = cosrel_fail(error, memory ? COSREL_NOMEM : COSREL_FORMAT, "%s: line %d, column %d: %s", where,
                                 problem.line, problem.column, problem.text);
    return absent(reader);
  }
  cosrel_json_at root = {reader, NULL, NULL, 0, reader->root};
  expect(&root, json_is_object(reader->root), "an object");
  char found[64] = "";
  uint64_t number = 0;
  cosrel_json_text(&root, "format", COSREL_JSON_REQUIRED, found, sizeof found);
  if (reader->status == COSREL_OK && strcmp(found, format) != 0) {
    cosrel_json_fail(&root, COSREL_FORMAT, "format", "expected '%s', got '%s'", format, found);
  }
  cosrel_json_count(&root, "version", COSREL_JSON_REQUIRED, UINT32_MAX, &number);
  if (reader->status == COSREL_OK && number != (uint64_t)version) {
    cosrel_json_fail(&root, COSREL_UNSUPPORTED, "version", "expected %d, got %llu", version,
                     (unsigned long long)number);
  }
  return root;
}

void cosrel_json_close(cosrel_json_reader *reader) {
  json_decref(reader->root);
  reader->root = NULL;
}

cosrel_json_at cosrel_json_object(const cosrel_json_at *at, const char *key, cosrel_json_need need) {
  cosrel_json_at found = member(at, key, need);
  expect(&found, json_is_object(found.value), "an object");
  return found;
}

cosrel_json_at cosrel_json_array(const cosrel_json_at *at, const char *key, cosrel_json_need need) {
  cosrel_json_at found = member(at, key, need);
  expect(&found, json_is_array(found.value), "an array");
  return found;
}

void cosrel_json_number(const cosrel_json_at *at, const char *key, cosrel_json_need need, double *out) {
  cosrel_json_at found = member(at, key, need);
  expect(&found, json_is_number(found.value), "a number");
  if (found.value != NULL) *out = json_number_value(found.value);
}

void cosrel_json_count(const cosrel_json_at *at, const char *key, cosrel_json_need need, uint64_t most, uint64_t *out) {
  cosrel_json_at found = member(at, key, need);
  expect(&found, json_is_number(found.value), "a whole number");
  if (found.value == NULL) return;
  json_int_t value = json_integer_value(found.value);
  if (!json_is_integer(found.value) || value < 0 || (uint64_t)value > most) {
    cosrel_json_fail(&found, COSREL_FORMAT, NULL, "expected a whole number from 0 to %llu, got %.17g",
                     (unsigned long long)most, json_number_value(found.value));
    return;
  }
  *out = (uint64_t)value;
}

void cosrel_json_flag(const cosrel_json_at *at, const char *key, cosrel_json_need need, bool *out) {
  cosrel_json_at found = member(at, key, need);
  expect(&found, json_is_boolean(found.value), "true or false");
  if (found.value != NULL) *out = json_is_true(found.value);
}

/* The text of a place if it has one of fewer than `size` bytes, otherwise NULL. */
static const char *text_of(cosrel_json_at *at, size_t size) {
  expect(at, json_is_string(at->value), "text");
  if (at->value == NULL) return NULL;
  if (json_string_length(at->value) >= size) {
    cosrel_json_fail(at, COSREL_LIMIT, NULL, "expected at most %zu bytes, got %zu", size - 1,
                     json_string_length(at->value));
    return NULL;
  }
  return json_string_value(at->value);
}

void cosrel_json_text(const cosrel_json_at *at, const char *key, cosrel_json_need need, char *out, size_t size) {
  cosrel_json_at found = member(at, key, need);
  const char *text = text_of(&found, size);
  if (text != NULL) memcpy(out, text, strlen(text) + 1);
}

void cosrel_json_word(const cosrel_json_at *at, const char *key, cosrel_json_need need, int (*from_name)(const char *),
                      const char *words, int *out) {
  cosrel_json_at found = member(at, key, need);
  const char *text = text_of(&found, SIZE_MAX);
  if (text == NULL) return;
  int number = from_name(text);
  if (number < 0) {
    cosrel_json_fail(&found, COSREL_FORMAT, NULL, "expected one of %s; got '%.40s'", words, text);
    return;
  }
  *out = number;
}

size_t cosrel_json_size(const cosrel_json_at *array, size_t most) {
  if (array->reader->status != COSREL_OK || array->value == NULL) return 0;
  size_t size = json_array_size(array->value);
  if (size > most) {
    cosrel_json_fail(array, COSREL_LIMIT, NULL, "expected at most %zu items, got %zu", most, size);
    return 0;
  }
  return size;
}

cosrel_json_at cosrel_json_item(const cosrel_json_at *array, size_t index) {
  cosrel_json_reader *reader = array->reader;
  if (reader->status != COSREL_OK || array->value == NULL) return absent(reader);
  return (cosrel_json_at){reader, array, NULL, index, json_array_get(array->value, index)};
}

cosrel_json_at cosrel_json_item_object(const cosrel_json_at *array, size_t index) {
  cosrel_json_at item = cosrel_json_item(array, index);
  expect(&item, json_is_object(item.value), "an object");
  return item;
}

const char *cosrel_json_item_text(const cosrel_json_at *array, size_t index, size_t size) {
  cosrel_json_at item = cosrel_json_item(array, index);
  return text_of(&item, size);
}

double cosrel_json_item_number(const cosrel_json_at *array, size_t index) {
  cosrel_json_at item = cosrel_json_item(array, index);
  expect(&item, json_is_number(item.value), "a number");
  return item.value != NULL ? json_number_value(item.value) : 0.0;
}

void cosrel_json_keys(const cosrel_json_at *object, const char *const *known) {
  if (object->reader->status != COSREL_OK || object->value == NULL) return;
  const char *key;
  json_t *value;
  json_object_foreach(object->value, key, value) {
    if (strncmp(key, "x-", 2) == 0) continue;
    size_t i = 0;
    while (known[i] != NULL && strcmp(known[i], key) != 0) i++;
    if (known[i] == NULL) {
      cosrel_json_fail(object, COSREL_FORMAT, key, "unknown key");
      return;
    }
  }
}

cosrel_status cosrel_json_begin(cosrel_json_writer *writer) {
  *writer = (cosrel_json_writer){0};
  writer->file = open_memstream(&writer->text, &writer->size);
  return writer->file != NULL ? COSREL_OK : COSREL_NOMEM;
}

void cosrel_json_put_number(cosrel_json_writer *writer, const char *before, double value) {
  char text[40];
  if (!isfinite(value)) {
    if (writer->status == COSREL_OK) writer->status = COSREL_INVALID;
    return;
  }
  fputs(before, writer->file);
  if (value == 0.0) value = 0.0; /* no minus zero */
  if (value == floor(value) && fabs(value) < 1e15) {
    fprintf(writer->file, "%.0f", value);
    return;
  }
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  /* The locale may have put something else, of one or more bytes, where JSON wants a point. */
  bool point = false;
  for (const char *c = text; *c != '\0'; c++) {
    bool plain = strchr("0123456789+-e", *c) != NULL;
    if (plain || !point) fputc(plain ? *c : '.', writer->file);
    if (!plain) point = true;
  }
}

void cosrel_json_put_text(cosrel_json_writer *writer, const char *before, const char *text) {
  fputs(before, writer->file);
  json_t *value = json_string(text);
  char *quoted = value != NULL ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
  if (quoted != NULL) {
    fputs(quoted, writer->file);
  } else if (writer->status == COSREL_OK) {
    writer->status = COSREL_INVALID;
  }
  free(quoted);
  json_decref(value);
}

cosrel_status cosrel_json_end(cosrel_json_writer *writer, const char *where, char **text, size_t *size,
                              cosrel_error *error) {
  bool bad = ferror(writer->file) != 0;
  if (fclose(writer->file) != 0) bad = true;
  if (writer->status == COSREL_OK && bad) writer->status = COSREL_NOMEM;
  if (writer->status != COSREL_OK) {
    free(writer->text);
    *text = NULL;
    *size = 0;
    if (writer->status == COSREL_INVALID) {
      return cosrel_fail(error, COSREL_INVALID, "%s: expected UTF-8 text and finite numbers to write", where);
    }
    return cosrel_fail(error, writer->status, "%s: %s", where, cosrel_status_text(writer->status));
  }
  *text = writer->text;
  *size = writer->size;
  return COSREL_OK;
}
