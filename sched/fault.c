#include "sched/fault.h"

const char *cosrel_fault_name(cosrel_fault fault) {
  static const char *const names[] = {
#define X(name, text) text,
      COSREL_FAULT_MAP(X)
#undef X
  };
  return (unsigned)fault < COSREL_FAULT_COUNT ? names[fault] : "unknown";
}
