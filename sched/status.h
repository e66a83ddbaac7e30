/* Status codes of every library call, and the one line that tells a person what went wrong.
 *
 * Library code never prints and never exits: it returns a cosrel_status and, where a person must act on it,
 * fills a cosrel_error with one line that names the file, the place in it and what was expected. */
#ifndef COSREL_SCHED_STATUS_H
#define COSREL_SCHED_STATUS_H

#define COSREL_STATUS_MAP(X)            \
  X(OK, "success")                      \
  X(NOMEM, "out of memory")             \
  X(INVALID, "invalid argument")        \
  X(FORMAT, "malformed input")          \
  X(LIMIT, "over a fixed limit")        \
  X(IO, "input or output failed")       \
  X(UNSUPPORTED, "not supported")       \
  X(INFEASIBLE, "no feasible solution") \
  X(INTERRUPTED, "interrupted")         \
  X(INTERNAL, "internal error, please report it")

typedef enum cosrel_status {
#define X(name, text) COSREL_##name,
  COSREL_STATUS_MAP(X)
#undef X
} cosrel_status;

/* One line, no newline at the end, NUL-terminated; empty when nothing failed. */
typedef struct cosrel_error {
  char text[512];
} cosrel_error;

/* The fixed English text of a status. Never NULL; thread-safe. */
const char *cosrel_status_text(cosrel_status status);

/* Formats the line into `error` (which may be NULL) and returns `status`, so that failing is one statement:
 *     return cosrel_fail(error, COSREL_FORMAT, "%s: streams[%d].rate_hz: expected a number > 0", path, i); */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
cosrel_status
cosrel_fail(cosrel_error *error, cosrel_status status, const char *format, ...);

#endif
