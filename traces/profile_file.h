/* Device profiles as JSON files; traces/FORMAT.md documents the format. */
#ifndef COSREL_TRACES_PROFILE_FILE_H
#define COSREL_TRACES_PROFILE_FILE_H

#include <stddef.h>

#include "sched/profile.h"
#include "sched/status.h"

#define COSREL_PROFILE_FILE_MAX ((size_t)64 << 20) /* bytes */

/* Reads and checks a profile. *out owns memory (cosrel_profile_clear); on failure it is cleared.
 * Fails with one line naming file and place: COSREL_IO, COSREL_FORMAT, COSREL_LIMIT, COSREL_UNSUPPORTED (another
 * version), COSREL_NOMEM. */
cosrel_status cosrel_profile_read(const char *path, cosrel_profile *out, cosrel_error *error);

/* The same from `size` bytes of text; `where` begins the error line. */
cosrel_status cosrel_profile_parse(const char *text, size_t size, const char *where, cosrel_profile *out,
                                   cosrel_error *error);

/* Checks a profile and writes it whole or not at all. Equal profiles give equal bytes, and reading them back gives an
 * equal profile: every number to its last bit. */
cosrel_status cosrel_profile_write(const char *path, const cosrel_profile *profile, cosrel_error *error);

/* The same into memory: *text is owned by the caller (free). */
cosrel_status cosrel_profile_format(const cosrel_profile *profile, const char *where, char **text, size_t *size,
                                    cosrel_error *error);

#endif
