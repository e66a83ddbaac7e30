#include "traces/file.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

cosrel_status cosrel_file_read(const char *path, size_t limit, char **data, size_t *size, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  char *buffer = NULL;
  size_t used = 0, capacity = 0;
  *data = NULL;
  *size = 0;
  FILE *file = fopen(path, "rb");
  if (file == NULL) return cosrel_fail(error, COSREL_IO, "%s: cannot read: %s", path, strerror(errno));
  struct stat info;
  if (fstat(fileno(file), &info) == 0) {
    if (S_ISDIR(info.st_mode)) {
      status = cosrel_fail(error, COSREL_IO, "%s: expected a file, got a folder", path);
      goto fail;
    }
    if (S_ISREG(info.st_mode) && info.st_size > 0 && (uintmax_t)info.st_size <= limit) capacity = (size_t)info.st_size;
  }
  /* The size above is only a hint: a pipe has none, and a file may grow while it is read. */
  capacity += 2;
  for (;;) {
    char *larger = realloc(buffer, capacity);
    if (larger == NULL) {
      status = cosrel_fail(error, COSREL_NOMEM, "%s: %s", path, cosrel_status_text(COSREL_NOMEM));
      goto fail;
    }
    buffer = larger;
    used += fread(buffer + used, 1, capacity - 1 - used, file);
    if (ferror(file)) {
      status = cosrel_fail(error, COSREL_IO, "%s: cannot read: %s", path, strerror(errno));
      goto fail;
    }
    if (used > limit) {
      status = cosrel_fail(error, COSREL_LIMIT, "%s: expected at most %zu bytes", path, limit);
      goto fail;
    }
    if (used < capacity - 1) break;
    capacity = capacity < limit / 2 ? capacity * 2 : limit + 2;
  }
  fclose(file);
  buffer[used] = '\0';
  *data = buffer;
  *size = used;
  return COSREL_OK;

fail:
  free(buffer);
  fclose(file);
  return status;
}
