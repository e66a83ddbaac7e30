/* Command-line options, the same way in every command: a table says what there is, one call reads and checks it.
 *
 * Long options with a space or '=' (--seed 7, --seed=7), single letters with one dash (-o FILE). Anything unknown,
 * missing or out of range is one line on stderr and exit status 2. --help prints the table and an example. */
#ifndef COSREL_EXPERIMENTS_OPTIONS_H
#define COSREL_EXPERIMENTS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/status.h"

#define COSREL_OPTION_ITEMS_MAX 256

/* Points into argv; owns nothing. */
typedef struct cosrel_strings {
  uint32_t n;
  const char *items[COSREL_OPTION_ITEMS_MAX];
} cosrel_strings;

typedef struct cosrel_numbers {
  uint32_t n;
  double items[COSREL_OPTION_ITEMS_MAX];
} cosrel_numbers;

typedef enum cosrel_option_kind {
  COSREL_OPTION_FLAG,    /* bool: no argument, sets true */
  COSREL_OPTION_TEXT,    /* const char *: not empty */
  COSREL_OPTION_COUNT,   /* uint64_t: decimal integer in [min, max] */
  COSREL_OPTION_NUMBER,  /* double in [min, max] */
  COSREL_OPTION_WORDS,   /* cosrel_strings: a,b,c; replaces the default; the argument is split in place */
  COSREL_OPTION_NUMBERS, /* cosrel_numbers: 0.6,0.9, each in [min, max]; replaces the default */
  COSREL_OPTION_FILES    /* cosrel_strings: all arguments up to the next option; may be repeated */
} cosrel_option_kind;

typedef struct cosrel_option {
  const char *name; /* without dashes; one letter means a single dash. A NULL name ends the table */
  cosrel_option_kind kind;
  void *value;          /* of the kind's type; holds the default and is left alone when the option is not given */
  const char *argument; /* its name in --help, as in "FILE"; NULL for flags */
  const char *help;     /* one line, with the default */
  double min, max;
  bool required;
} cosrel_option;

typedef struct cosrel_usage {
  const char *command;                 /* "replay" */
  const char *synopsis;                /* what follows the name: "--profile P --workload W --policy NAME [options]" */
  const char *about;                   /* one or more lines */
  const char *example;                 /* a full command line */
  uint32_t operands_min, operands_max; /* arguments that are no options */
} cosrel_usage;

typedef enum cosrel_parse {
  COSREL_PARSE_OK,
  COSREL_PARSE_HELP, /* help was printed: exit with 0 */
  COSREL_PARSE_BAD   /* a line was printed: exit with 2 */
} cosrel_parse;

/* Reads argv[1..]; argv[0] is the command's name. `operands` may be NULL when the command takes none. */
cosrel_parse cosrel_options_parse(const cosrel_usage *usage, const cosrel_option *options, int argc, char **argv,
                                  cosrel_strings *operands);

/* What a command returns when parsing said so. */
static inline int cosrel_parse_exit(cosrel_parse parse) { return parse == COSREL_PARSE_BAD ? 2 : 0; }

/* Prints the one line of a failed library call to stderr and returns the exit status: 2 for what the user can mend,
 * 130 after SIGINT, 1 for the rest. */
int cosrel_report(cosrel_status status, const cosrel_error *error);

#endif
