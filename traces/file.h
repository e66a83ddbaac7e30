/* Reading a whole file of bounded size. */
#ifndef COSREL_TRACES_FILE_H
#define COSREL_TRACES_FILE_H

#include <stddef.h>

#include "sched/status.h"

/* Reads all of `path`, at most `limit` bytes. *data is owned by the caller (free); a NUL follows its *size bytes.
 * COSREL_IO when it cannot be read or is a folder, COSREL_LIMIT when it is longer, COSREL_NOMEM. */
cosrel_status cosrel_file_read(const char *path, size_t limit, char **data, size_t *size, cosrel_error *error);

#endif
