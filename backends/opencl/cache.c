#include "backends/opencl/cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/hash.h"
#include "traces/atomic.h"

#define PATH_BYTES 1024
#define ENTRY_MAX ((uint64_t)64 << 20) /* bytes of a key and of an entry: more is not ours */

/* In the machine's own byte order: a file from another order fails the test of its magic number. */
typedef struct header {
  uint64_t magic, key_bytes, data_bytes, checksum; /* of key and data */
} header;

static const uint64_t magic = UINT64_C(0x31454843414c5243); /* CRLACHE1 */

static bool find_folder(char *path, size_t n) {
  const char *named = getenv("COSREL_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  int length = -1;
  if (named != NULL)
    length = snprintf(path, n, "%s", named);
  else if (xdg != NULL && xdg[0] == '/')
    length = snprintf(path, n, "%s/cosrel", xdg);
  else if (home != NULL && home[0] == '/')
    length = snprintf(path, n, "%s/.cache/cosrel", home);
  return length > 0 && (size_t)length < n;
}

bool cosrel_cl_cache_path(const char *kind, const void *key, size_t key_bytes, char *path, size_t n) {
  char folder[PATH_BYTES];
  if (!find_folder(folder, sizeof folder)) return false;
  uint64_t hash = cosrel_hash_bytes(COSREL_HASH_BEGIN, key, key_bytes);
  int length = snprintf(path, n, "%s/%s-%016" PRIx64, folder, kind, hash);
  return length > 0 && (size_t)length < n;
}

/* The folder and those above it; for this user only. */
static void make_folder(char *path) {
  for (char *at = path + 1; *at != '\0'; at++) {
    if (*at != '/') continue;
    *at = '\0';
    mkdir(path, 0700);
    *at = '/';
  }
}

static uint64_t checksum(const void *key, size_t key_bytes, const void *data, size_t bytes) {
  return cosrel_hash_bytes(cosrel_hash_bytes(COSREL_HASH_BEGIN, key, key_bytes), data, bytes);
}

void *cosrel_cl_cache_read(const char *kind, const void *key, size_t key_bytes, size_t *bytes) {
  char path[PATH_BYTES + 64];
  header h;
  char *whole = NULL;
  if (!cosrel_cl_cache_path(kind, key, key_bytes, path, sizeof path)) return NULL;
  FILE *file = fopen(path, "rbe");
  if (file == NULL) return NULL;
  if (fread(&h, sizeof h, 1, file) != 1 || h.magic != magic || h.key_bytes != key_bytes || h.data_bytes > ENTRY_MAX)
    goto foreign;
  size_t all = key_bytes + (size_t)h.data_bytes;
  whole = malloc(all + 1);
  if (whole == NULL || fread(whole, 1, all, file) != all || fgetc(file) != EOF) goto foreign;
  if (memcmp(whole, key, key_bytes) != 0) goto foreign;
  if (checksum(whole, key_bytes, whole + key_bytes, (size_t)h.data_bytes) != h.checksum) goto foreign;
  fclose(file);
  *bytes = (size_t)h.data_bytes;
  memmove(whole, whole + key_bytes, *bytes);
  return whole;

foreign:
  fclose(file);
  free(whole);
  return NULL;
}

bool cosrel_cl_cache_write(const char *kind, const void *key, size_t key_bytes, const void *data, size_t bytes) {
  char path[PATH_BYTES + 64];
  cosrel_atomic atomic;
  header h = {magic, key_bytes, bytes, checksum(key, key_bytes, data, bytes)};
  if (bytes > ENTRY_MAX || !cosrel_cl_cache_path(kind, key, key_bytes, path, sizeof path)) return false;
  make_folder(path);
  if (cosrel_atomic_begin(path, &atomic, NULL) != COSREL_OK) return false;
  if (fwrite(&h, sizeof h, 1, atomic.file) != 1 || fwrite(key, 1, key_bytes, atomic.file) != key_bytes ||
      fwrite(data, 1, bytes, atomic.file) != bytes) {
    cosrel_atomic_abort(&atomic);
    return false;
  }
  return cosrel_atomic_commit(&atomic, NULL) == COSREL_OK;
}
