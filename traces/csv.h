/* Comma-separated values with a header row (RFC 4180), read whole into memory. For figures, not for large data. */
#ifndef COSREL_TRACES_CSV_H
#define COSREL_TRACES_CSV_H

#include <stdint.h>
#include <stdio.h>

#include "sched/status.h"

typedef struct cosrel_csv {
  uint32_t n_columns, n_rows; /* rows without the header */
  char **names;               /* [n_columns] */
  char **cells;               /* [n_rows][n_columns], never NULL */
  char *text;                 /* owned; names and cells point into it */
} cosrel_csv;

/* Reads `path`, through gzip when it ends in .gz. Every row must have as many cells as the header. At most 64 MiB. The
 * error names file and line. */
cosrel_status cosrel_csv_read(const char *path, cosrel_csv *out, cosrel_error *error);
/* The same from an open stream, which is left open; `path` is for messages. */
cosrel_status cosrel_csv_read_stream(FILE *stream, const char *path, cosrel_csv *out, cosrel_error *error);
void cosrel_csv_clear(cosrel_csv *csv);

/* Column of that name, or -1. */
int cosrel_csv_column(const cosrel_csv *csv, const char *name);
/* The cell of a column in a row, "" when there is no such column. */
const char *cosrel_csv_cell(const cosrel_csv *csv, uint32_t row, const char *name);
/* The cell as a finite number; `missing` when it is empty or not one. */
double cosrel_csv_number(const cosrel_csv *csv, uint32_t row, const char *name, double missing);

#endif
