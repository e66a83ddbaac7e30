#include "traces/csv.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CSV_BYTES_MAX ((size_t)64 << 20)

static cosrel_status slurp(FILE *stream, const char *path, char **text, size_t *length, cosrel_error *error) {
  size_t capacity = (size_t)1 << 16, n = 0;
  char *buffer = malloc(capacity);
  if (!buffer) return cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", path);
  for (;;) {
    n += fread(buffer + n, 1, capacity - n - 1, stream);
    if (ferror(stream)) {
      free(buffer);
      return cosrel_fail(error, COSREL_IO, "%s: cannot read", path);
    }
    if (n + 1 < capacity) break;
    if (capacity >= CSV_BYTES_MAX) {
      free(buffer);
      return cosrel_fail(error, COSREL_LIMIT, "%s: expected at most %zu bytes", path, CSV_BYTES_MAX);
    }
    capacity *= 2;
    char *larger = realloc(buffer, capacity);
    if (!larger) {
      free(buffer);
      return cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", path);
    }
    buffer = larger;
  }
  if (memchr(buffer, 0, n)) {
    free(buffer);
    return cosrel_fail(error, COSREL_FORMAT, "%s: expected text, found a NUL byte", path);
  }
  buffer[n] = 0;
  *text = buffer;
  *length = n;
  return COSREL_OK;
}

/* Cuts the cell at *cursor in place, removes its quotes, and moves *cursor behind its separator. *last: it ends a row.
 */
static char *cut_cell(char **cursor, bool *last, uint32_t *line) {
  char *in = *cursor, *out = in, *begin = in;
  bool quoted = *in == '"';
  if (quoted) ++in;
  for (; *in; ++in) {
    if (quoted && *in == '"') {
      if (in[1] != '"') {
        quoted = false;
        continue;
      }
      ++in;
    } else if (!quoted && (*in == ',' || *in == '\n')) {
      break;
    }
    if (*in == '\n') ++*line;
    if (*in == '\r' && in[1] == '\n' && !quoted) continue;
    *out++ = *in;
  }
  *last = *in != ',';
  if (*in == '\n') ++*line;
  *cursor = *in ? in + 1 : in;
  *out = 0;
  return begin;
}

cosrel_status cosrel_csv_read_stream(FILE *stream, const char *path, cosrel_csv *out, cosrel_error *error) {
  cosrel_csv csv = {0};
  size_t length = 0, n = 0, capacity = 0;
  char **cells = NULL;
  cosrel_status status = slurp(stream, path, &csv.text, &length, error);
  if (status) return status;

  char *cursor = csv.text;
  uint32_t line = 1, in_row = 0, row_line = 1;
  while (*cursor || in_row) {
    if (in_row == 0) row_line = line;
    if (n == capacity) {
      capacity = capacity ? 2 * capacity : 1024;
      char **larger = realloc(cells, capacity * sizeof *cells);
      if (!larger) {
        status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", path);
        goto fail;
      }
      cells = larger;
    }
    bool last;
    cells[n++] = cut_cell(&cursor, &last, &line);
    ++in_row;
    if (!last) continue;
    if (csv.n_columns == 0) csv.n_columns = in_row;
    if (in_row != csv.n_columns) {
      status = cosrel_fail(error, COSREL_FORMAT, "%s: line %u: expected %u cells, found %u", path, row_line,
                           csv.n_columns, in_row);
      goto fail;
    }
    in_row = 0;
  }
  if (n == 0) {
    status = cosrel_fail(error, COSREL_FORMAT, "%s: expected a header row", path);
    goto fail;
  }
  csv.names = cells;
  csv.cells = cells + csv.n_columns;
  csv.n_rows = (uint32_t)(n / csv.n_columns - 1);
  *out = csv;
  return COSREL_OK;

fail:
  free(cells);
  free(csv.text);
  return status;
}

/* Through gzip, as a program of its own: no shell sees the path. */
static cosrel_status read_compressed(const char *path, cosrel_csv *out, cosrel_error *error) {
  int ends[2];
  if (pipe(ends) != 0) return cosrel_fail(error, COSREL_IO, "%s: no pipe to gzip", path);
  pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    return cosrel_fail(error, COSREL_IO, "%s: cannot start gzip", path);
  }
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execlp("gzip", "gzip", "-dc", "--", path, (char *)NULL);
    _exit(127);
  }
  close(ends[1]);
  FILE *stream = fdopen(ends[0], "rb");
  cosrel_status status = stream ? cosrel_csv_read_stream(stream, path, out, error)
                                : cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", path);
  if (stream)
    fclose(stream);
  else
    close(ends[0]);
  int result = 0;
  waitpid(child, &result, 0);
  if (status == COSREL_OK && result != 0) {
    cosrel_csv_clear(out);
    status = cosrel_fail(error, COSREL_IO, "%s: gzip failed", path);
  }
  return status;
}

cosrel_status cosrel_csv_read(const char *path, cosrel_csv *out, cosrel_error *error) {
  FILE *stream = fopen(path, "rb");
  if (!stream) return cosrel_fail(error, COSREL_IO, "%s: %s", path, strerror(errno));
  size_t n = strlen(path);
  bool compressed = n > 3 && strcmp(path + n - 3, ".gz") == 0;
  cosrel_status status =
      compressed ? read_compressed(path, out, error) : cosrel_csv_read_stream(stream, path, out, error);
  fclose(stream);
  return status;
}

void cosrel_csv_clear(cosrel_csv *csv) {
  free(csv->names);
  free(csv->text);
  memset(csv, 0, sizeof *csv);
}

int cosrel_csv_column(const cosrel_csv *csv, const char *name) {
  for (uint32_t c = 0; c < csv->n_columns; ++c)
    if (strcmp(csv->names[c], name) == 0) return (int)c;
  return -1;
}

const char *cosrel_csv_cell(const cosrel_csv *csv, uint32_t row, const char *name) {
  int c = cosrel_csv_column(csv, name);
  return c < 0 || row >= csv->n_rows ? "" : csv->cells[(size_t)row * csv->n_columns + (size_t)c];
}

double cosrel_csv_number(const cosrel_csv *csv, uint32_t row, const char *name, double missing) {
  const char *cell = cosrel_csv_cell(csv, row, name);
  char *end;
  double value = strtod(cell, &end);
  return end == cell || *end || !isfinite(value) ? missing : value;
}
