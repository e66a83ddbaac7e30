#include "sched/status.h"

#include <stdarg.h>
#include <stdio.h>

const char *cosrel_status_text(cosrel_status status) {
  switch (status) {
#define X(name, text) \
  case COSREL_##name: return text;
    COSREL_STATUS_MAP(X)
#undef X
  }
  return "unknown status";
}

cosrel_status cosrel_fail(cosrel_error *error, cosrel_status status, const char *format, ...) {
  if (error != NULL) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
  }
  return status;
}
