/* Workloads as JSON files; traces/FORMAT.md documents the format. */
#ifndef COSREL_TRACES_WORKLOAD_FILE_H
#define COSREL_TRACES_WORKLOAD_FILE_H

#include <stddef.h>

#include "sched/status.h"
#include "sched/workload.h"

#define COSREL_WORKLOAD_FILE_MAX ((size_t)1 << 20) /* bytes */

/* Reads and checks a workload. *out may own memory (cosrel_workload_clear); on failure it is cleared. What a file
 * leaves out gets its default, arrivals of other kinds included, so that the kind may be replaced later.
 * Fails with one line naming file and place, as cosrel_profile_read does. Whether a profile knows the models is
 * checked where both meet (cosrel_case_create). */
cosrel_status cosrel_workload_read(const char *path, cosrel_workload *out, cosrel_error *error);

/* The same from `size` bytes of text; `where` begins the error line. */
cosrel_status cosrel_workload_parse(const char *text, size_t size, const char *where, cosrel_workload *out,
                                    cosrel_error *error);

/* Checks a workload and writes it whole or not at all. Equal workloads give equal bytes. */
cosrel_status cosrel_workload_write(const char *path, const cosrel_workload *workload, cosrel_error *error);

/* The same into memory: *text is owned by the caller (free). */
cosrel_status cosrel_workload_format(const cosrel_workload *workload, const char *where, char **text, size_t *size,
                                     cosrel_error *error);

#endif
