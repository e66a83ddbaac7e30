/* Range checks with one-line messages, shared by the modules that check what enters from outside. */
#ifndef COSREL_SCHED_CHECK_H
#define COSREL_SCHED_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "sched/status.h"

/* Returns from the calling function, with its status, when `call` fails. */
#define COSREL_TRY(call)                      \
  do {                                        \
    cosrel_status status_ = (call);           \
    if (status_ != COSREL_OK) return status_; \
  } while (0)

/* Finite numbers from low to high; `low` itself is outside when `open`. */
typedef struct cosrel_range {
  double low, high;
  bool open;
} cosrel_range;

/* COSREL_OK when `value` is in `range`, otherwise COSREL_FORMAT and the line
 *     <where>: <place>: expected a number > 0, got -3
 * The place is formatted only on failure, so checks in long loops stay cheap. */
#if defined(__GNUC__)
__attribute__((format(printf, 5, 6)))
#endif
cosrel_status
cosrel_check_number(double value, cosrel_range range, cosrel_error *error, const char *where, const char *place, ...);

/* True when a text ends within its `size` bytes and holds no control characters: it stands in one line. */
bool cosrel_text_is_good(const char *text, size_t size);

#endif
