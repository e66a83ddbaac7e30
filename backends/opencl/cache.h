/* What was worked out once for a device and is kept between runs: program binaries, the tuner's choices.
 *
 * One file per entry in $COSREL_CACHE, else $XDG_CACHE_HOME/cosrel, else $HOME/.cache/cosrel. A file holds its whole
 * key (source, options, device, driver, ...) and a checksum; one that is short, damaged, or somebody else's counts as
 * not there and is written anew. Files are written whole or not at all, so that several programs may share a folder. A
 * folder that cannot be used is no error: then nothing is kept. An empty COSREL_CACHE says that nothing shall be. */
#ifndef COSREL_BACKENDS_OPENCL_CACHE_H
#define COSREL_BACKENDS_OPENCL_CACHE_H

#include <stdbool.h>
#include <stddef.h>

/* The entry of `kind` (a short name, part of the file's) with this key, in memory that the caller frees; NULL when
 * there is none. Bytes are as they were written, which does not mean that a driver accepts them. */
void *cosrel_cl_cache_read(const char *kind, const void *key, size_t key_bytes, size_t *bytes);

/* False when it could not be written. */
bool cosrel_cl_cache_write(const char *kind, const void *key, size_t key_bytes, const void *data, size_t bytes);

/* The path of an entry's file; false when there is no folder to use. */
bool cosrel_cl_cache_path(const char *kind, const void *key, size_t key_bytes, char *path, size_t n);

#endif
