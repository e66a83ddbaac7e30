#include "sched/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

cosrel_status cosrel_check_number(double value, cosrel_range range, cosrel_error *error, const char *where,
                                  const char *place, ...) {
  /* Written so that NaN fails. */
  bool above = range.open ? value > range.low : value >= range.low;
  if (above && value <= range.high) return COSREL_OK;
  char at[192];
  va_list arguments;
  va_start(arguments, place);
  vsnprintf(at, sizeof at, place, arguments);
  va_end(arguments);
  const char *relation = range.open ? ">" : ">=";
  if (above || range.high <= 1.0) {
    return cosrel_fail(error, COSREL_FORMAT, "%s: %s: expected a number %s %g and <= %g, got %g", where, at, relation,
                       range.low, range.high, value);
  }
  return cosrel_fail(error, COSREL_FORMAT, "%s: %s: expected a number %s %g, got %g", where, at, relation, range.low,
                     value);
}

bool cosrel_text_is_good(const char *text, size_t size) {
  if (memchr(text, '\0', size) == NULL) return false;
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < 0x20 || (unsigned char)*text == 0x7f) return false;
  }
  return true;
}
