#include "experiments/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *dashes(const cosrel_option *option) { return option->name[1] == '\0' ? "-" : "--"; }

static void print_help(const cosrel_usage *usage, const cosrel_option *options) {
  printf("Usage: cosrel %s %s\n\n%s\n\nOptions:\n", usage->command, usage->synopsis, usage->about);
  for (const cosrel_option *o = options; o->name != NULL; o++) {
    char left[64];
    snprintf(left, sizeof left, "%s%s %s", dashes(o), o->name, o->argument != NULL ? o->argument : "");
    printf("  %-24s %s%s\n", left, o->help, o->required ? " (required)" : "");
  }
  printf("  %-24s %s\n\nExample:\n  %s\n", "--help", "print this", usage->example);
}

static cosrel_parse bad(const cosrel_usage *usage, const char *before, const char *name, const char *what) {
  fprintf(stderr, "cosrel %s: %s%s: %s\n", usage->command, before, name, what);
  return COSREL_PARSE_BAD;
}

static cosrel_parse out_of_range(const cosrel_usage *usage, const cosrel_option *o, const char *text) {
  fprintf(stderr, "cosrel %s: %s%s: expected %s from %.15g to %.15g, got '%s'\n", usage->command, dashes(o), o->name,
          o->kind == COSREL_OPTION_COUNT ? "an integer" : "a number", o->min, o->max, text);
  return COSREL_PARSE_BAD;
}

static bool read_number(const char *text, double min, double max, double *out) {
  char *end;
  if (!isdigit((unsigned char)text[0]) && strchr("+-.", text[0]) == NULL) return false; /* no spaces, inf or nan */
  errno = 0;
  double x = strtod(text, &end);
  if (end == text || *end != '\0' || errno == ERANGE || !isfinite(x) || x < min || x > max) return false;
  *out = x;
  return true;
}

static bool read_count(const char *text, double min, double max, uint64_t *out) {
  char *end;
  if (!isdigit((unsigned char)text[0])) return false; /* strtoull would take a minus sign */
  errno = 0;
  unsigned long long x = strtoull(text, &end, 10);
  if (*end != '\0' || errno == ERANGE || (double)x < min || (double)x > max) return false;
  *out = x;
  return true;
}

/* The next item of a,b,c; NULL at the end. Writes NULs over the commas. */
static char *next_item(char **rest) {
  char *item = *rest;
  if (item == NULL) return NULL;
  char *comma = strchr(item, ',');
  if (comma != NULL) *comma++ = '\0';
  *rest = comma;
  return item;
}

static cosrel_parse take(const cosrel_usage *usage, const cosrel_option *o, char *text) {
  cosrel_strings *strings = o->value;
  cosrel_numbers *numbers = o->value;
  if (text[0] == '\0') return bad(usage, dashes(o), o->name, "expected an argument that is not empty");
  switch (o->kind) {
    case COSREL_OPTION_FLAG: return COSREL_PARSE_OK;
    case COSREL_OPTION_TEXT: *(const char **)o->value = text; return COSREL_PARSE_OK;
    case COSREL_OPTION_COUNT:
      return read_count(text, o->min, o->max, o->value) ? COSREL_PARSE_OK : out_of_range(usage, o, text);
    case COSREL_OPTION_NUMBER:
      return read_number(text, o->min, o->max, o->value) ? COSREL_PARSE_OK : out_of_range(usage, o, text);
    case COSREL_OPTION_FILES:
      if (strings->n == COSREL_OPTION_ITEMS_MAX) return bad(usage, dashes(o), o->name, "too many items");
      strings->items[strings->n++] = text;
      return COSREL_PARSE_OK;
    case COSREL_OPTION_WORDS:
      strings->n = 0;
      for (char *rest = text, *item; (item = next_item(&rest)) != NULL;) {
        if (item[0] == '\0') return bad(usage, dashes(o), o->name, "expected a,b,c without empty items");
        if (strings->n == COSREL_OPTION_ITEMS_MAX) return bad(usage, dashes(o), o->name, "too many items");
        strings->items[strings->n++] = item;
      }
      return COSREL_PARSE_OK;
    case COSREL_OPTION_NUMBERS:
      numbers->n = 0;
      for (char *rest = text, *item; (item = next_item(&rest)) != NULL;) {
        if (numbers->n == COSREL_OPTION_ITEMS_MAX) return bad(usage, dashes(o), o->name, "too many items");
        if (!read_number(item, o->min, o->max, &numbers->items[numbers->n])) return out_of_range(usage, o, item);
        numbers->n++;
      }
      return COSREL_PARSE_OK;
  }
  return COSREL_PARSE_BAD;
}

/* The option that `word` names, which may be followed by '='. */
static const cosrel_option *find(const cosrel_option *options, const char *word) {
  size_t n_dashes = word[1] == '-' ? 2 : 1;
  size_t length = strcspn(word + n_dashes, "=");
  for (const cosrel_option *o = options; o->name != NULL; o++)
    if (strlen(o->name) == length && strncmp(o->name, word + n_dashes, length) == 0 && (length == 1) == (n_dashes == 1))
      return o;
  return NULL;
}

static bool is_option(const char *word) { return word[0] == '-' && word[1] != '\0'; }

cosrel_parse cosrel_options_parse(const cosrel_usage *usage, const cosrel_option *options, int argc, char **argv,
                                  cosrel_strings *operands) {
  uint64_t given = 0; /* bit per option */
  uint32_t n_operands = 0;

  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      print_help(usage, options);
      return COSREL_PARSE_HELP;
    }

  if (operands != NULL) operands->n = 0;
  for (int i = 1; i < argc; i++) {
    char *word = argv[i];
    if (!is_option(word)) {
      if (operands == NULL || n_operands == usage->operands_max) return bad(usage, "", word, "unexpected argument");
      operands->items[n_operands++] = word;
      operands->n = n_operands;
      continue;
    }
    const cosrel_option *o = find(options, word);
    if (o == NULL) return bad(usage, "", word, "unknown option (--help lists them)");
    uint64_t bit = (uint64_t)1 << (o - options);
    if ((given & bit) != 0 && o->kind != COSREL_OPTION_FILES) return bad(usage, dashes(o), o->name, "given twice");

    char *equals = strchr(word, '=');
    if (o->kind == COSREL_OPTION_FLAG) {
      if (equals != NULL) return bad(usage, dashes(o), o->name, "takes no argument");
      *(bool *)o->value = true;
    } else {
      if (o->kind == COSREL_OPTION_FILES && (given & bit) == 0) ((cosrel_strings *)o->value)->n = 0;
      char *text = equals != NULL ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
      if (text == NULL) return bad(usage, dashes(o), o->name, "expected an argument");
      cosrel_parse parse = take(usage, o, text);
      while (parse == COSREL_PARSE_OK && o->kind == COSREL_OPTION_FILES && equals == NULL && i + 1 < argc &&
             !is_option(argv[i + 1]))
        parse = take(usage, o, argv[++i]);
      if (parse != COSREL_PARSE_OK) return parse;
    }
    given |= bit;
  }

  for (const cosrel_option *o = options; o->name != NULL; o++)
    if (o->required && (given >> (o - options) & 1) == 0) return bad(usage, dashes(o), o->name, "is required");
  if (n_operands < usage->operands_min) return bad(usage, "expected ", usage->synopsis, "an argument is missing");
  return COSREL_PARSE_OK;
}

int cosrel_report(cosrel_status status, const cosrel_error *error) {
  const char *line = error != NULL && error->text[0] != '\0' ? error->text : cosrel_status_text(status);
  fprintf(stderr, "cosrel: %s\n", line);
  switch (status) {
    case COSREL_INVALID:
    case COSREL_FORMAT:
    case COSREL_LIMIT:
    case COSREL_IO:
    case COSREL_UNSUPPORTED:
    case COSREL_INFEASIBLE: return 2;
    case COSREL_INTERRUPTED: return 130;
    default: return 1;
  }
}
