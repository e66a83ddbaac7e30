#include "backends/reference/operators.h"

#include <stdlib.h>
#include <string.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

/* A row: name, least and most inputs, most outputs, first opset, family, member of the family. */
#define ROW(name, least, most, outputs, opset, family, member)                                     \
  {.name = (name),                                                                                 \
   .min_inputs = (least),                                                                          \
   .max_inputs = (most),                                                                           \
   .max_outputs = (outputs),                                                                       \
   .first_opset = (opset),                                                                         \
   .variant = (member),                                                                            \
   .infer = cosrel_##family##_infer,                                                               \
   .run = cosrel_##family##_run}
