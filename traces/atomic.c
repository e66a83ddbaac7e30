#define _XOPEN_SOURCE 700 /* realpath */
#include "traces/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sched/check.h"

#define TRIES 1000 /* temporary names tried before giving up; more than one only after crashes */

static cosrel_status fail_io(cosrel_error *error, const char *path, int number) {
  return cosrel_fail(error, COSREL_IO, "%s: cannot write: %s", path, number != 0 ? strerror(number) : "write error");
}

/* What the path really names, so that a link is written through and not replaced. Owned by the caller. */
static char *resolve(const char *path) {
  struct stat info;
  if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode)) {
    char *target = realpath(path, NULL);
    if (target != NULL) return target;
  }
  return strdup(path);
}

static void release(cosrel_atomic *atomic) {
  free(atomic->path);
  free(atomic->temporary);
  *atomic = (cosrel_atomic){0};
}

/* Opens <path>.tmp-<process>-<try>, the first that does not exist. Returns the descriptor or -1 with errno. */
static int open_temporary(cosrel_atomic *atomic) {
  size_t size = strlen(atomic->path) + 40;
  atomic->temporary = malloc(size);
  if (atomic->temporary == NULL) return -1;
  for (int try = 0; try < TRIES; try++) {
    snprintf(atomic->temporary, size, "%s.tmp-%ld-%d", atomic->path, (long)getpid(), try);
    int fd = open(atomic->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

cosrel_status cosrel_atomic_begin(const char *path, cosrel_atomic *out, cosrel_error *error) {
  *out = (cosrel_atomic){0};
  out->path = resolve(path);
  if (out->path == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: %s", path, cosrel_status_text(COSREL_NOMEM));
  struct stat old;
  bool exists = stat(out->path, &old) == 0;
  int fd;
  if (exists && !S_ISREG(old.st_mode)) {
    fd = open(out->path, O_WRONLY | O_CLOEXEC);
  } else {
    fd = open_temporary(out);
    if (fd >= 0 && exists && fchmod(fd, old.st_mode & 07777) != 0) errno = 0; /* a wish: the content matters more */
  }
  if (fd >= 0) out->file = fdopen(fd, "wb");
  if (out->file == NULL) {
    int number = errno;
    if (fd >= 0) {
      close(fd);
      if (out->temporary != NULL) unlink(out->temporary);
    }
    release(out);
    return fail_io(error, path, number);
  }
  return COSREL_OK;
}

void cosrel_atomic_abort(cosrel_atomic *atomic) {
  if (atomic == NULL) return;
  if (atomic->file != NULL) fclose(atomic->file);
  if (atomic->temporary != NULL) unlink(atomic->temporary);
  release(atomic);
}

/* Makes the renamed entry last: the name lives in the folder, not in the file. Returns 0 or an errno. */
static int sync_folder(const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = slash == NULL ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
  if (folder == NULL) return ENOMEM;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  free(folder);
  /* A folder that may be written but not read cannot be synced; nor can one on some file systems (EINVAL). */
  if (fd < 0) return errno == EACCES ? 0 : errno;
  int number = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
  close(fd);
  return number;
}

cosrel_status cosrel_atomic_commit(cosrel_atomic *atomic, cosrel_error *error) {
  errno = 0;
  bool bad = ferror(atomic->file) != 0;
  if (fflush(atomic->file) != 0) bad = true;
  /* EINVAL, EROFS, ENOTSUP: a pipe or a device, which has nothing to sync. */
  if (!bad && fsync(fileno(atomic->file)) != 0 && atomic->temporary != NULL) bad = true;
  int number = bad ? errno : 0;
  if (fclose(atomic->file) != 0 && !bad) {
    bad = true;
    number = errno;
  }
  atomic->file = NULL;
  if (!bad && atomic->temporary != NULL) {
    if (rename(atomic->temporary, atomic->path) != 0) {
      bad = true;
      number = errno;
    } else {
      free(atomic->temporary);
      atomic->temporary = NULL;
      number = sync_folder(atomic->path);
      bad = number != 0;
    }
  }
  cosrel_status status = bad ? fail_io(error, atomic->path, number) : COSREL_OK;
  cosrel_atomic_abort(atomic);
  return status;
}

cosrel_status cosrel_atomic_write(const char *path, const void *data, size_t size, cosrel_error *error) {
  cosrel_atomic atomic;
  COSREL_TRY(cosrel_atomic_begin(path, &atomic, error));
  if (size > 0 && fwrite(data, 1, size, atomic.file) != size) {
    cosrel_status status = fail_io(error, path, errno);
    cosrel_atomic_abort(&atomic);
    return status;
  }
  return cosrel_atomic_commit(&atomic, error);
}
