/* Files that are written whole or not at all.
 *
 * The bytes go to a temporary name in the folder of the target, are synced, and take the target's name at the end. A
 * full disk, an error or a crash leaves the old file as it was. What is no regular file (a pipe, /dev/stdout) has no
 * old content to keep and is written directly. Writers of different files may run in different threads. */
#ifndef COSREL_TRACES_ATOMIC_H
#define COSREL_TRACES_ATOMIC_H

#include <stddef.h>
#include <stdio.h>

#include "sched/status.h"

/* A file being written. Write to `file` with stdio, then commit or abort; the rest is private. */
typedef struct cosrel_atomic {
  FILE *file;
  char *path, *temporary; /* temporary: NULL when written directly */
} cosrel_atomic;

/* Begins a file. On failure nothing is left to clean up. COSREL_IO, COSREL_NOMEM. */
cosrel_status cosrel_atomic_begin(const char *path, cosrel_atomic *out, cosrel_error *error);

/* Syncs the bytes and gives them the target's name. Ends `atomic` in any case; on failure the old file stays. */
cosrel_status cosrel_atomic_commit(cosrel_atomic *atomic, cosrel_error *error);

/* Forgets the bytes; the old file stays. Safe on a cleared or ended cosrel_atomic. */
void cosrel_atomic_abort(cosrel_atomic *atomic);

/* All three for bytes already in memory. */
cosrel_status cosrel_atomic_write(const char *path, const void *data, size_t size, cosrel_error *error);

#endif
