/* A model as the scheduler sees it: a DAG of units in topological order. No tensors, no weights, only what they cost */
#ifndef COSREL_SCHED_MODEL_H
#define COSREL_SCHED_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/status.h"

#define COSREL_NAME_MAX 64 /* bytes of any name, its NUL included */
#define COSREL_UNITS_MAX 1024
#define COSREL_EDGES_MAX 8192
#define COSREL_COUNT_MAX (UINT64_C(1) << 53) /* largest count of anything: exact in a double, as in JSON */
#define COSREL_MODEL_INPUT (-1)              /* in `inputs`: the request's own input, not a unit */

/* What a unit mostly does; efficiencies are fitted per kind. The second word is its name in files. */
#define COSREL_KIND_MAP(X)      \
  X(CONV, "conv")               \
  X(CONV1X1, "conv1x1")         \
  X(DEPTHWISE, "depthwise")     \
  X(DENSE, "dense")             \
  X(POOL, "pool")               \
  X(ELEMENTWISE, "elementwise") \
  X(CONCAT, "concat")           \
  X(RESIZE, "resize")           \
  X(ATTENTION, "attention")     \
  X(OTHER, "other")

typedef enum cosrel_kind {
#define X(name, text) COSREL_KIND_##name,
  COSREL_KIND_MAP(X)
#undef X
      COSREL_KIND_COUNT
} cosrel_kind;

typedef struct cosrel_unit {
  char name[COSREL_NAME_MAX];
  cosrel_kind kind;
  uint32_t first_input; /* index of this unit's first producer in model->inputs */
  uint32_t n_inputs;    /* at least 1 */
  uint64_t macs;        /* multiply-accumulates of one inference */
  uint64_t weights;     /* parameters, counted in elements */
  uint64_t in_elems;    /* elements read from all inputs together */
  uint64_t out_elems;   /* elements of the one output tensor */
} cosrel_unit;

/* Owns both arrays. Every producer of unit u is COSREL_MODEL_INPUT or an index below u. */
typedef struct cosrel_model {
  char name[COSREL_NAME_MAX];
  uint64_t input_elems;
  uint32_t n_units, n_edges;
  cosrel_unit *units; /* [n_units] */
  int32_t *inputs;    /* [n_edges], grouped by consumer */
} cosrel_model;

/* Checks counts, names, order and ranges; `where` begins the error line (a file or a model name). */
cosrel_status cosrel_model_check(const cosrel_model *model, const char *where, cosrel_error *error);

/* Frees what the model owns and clears it; NULL and cleared models are fine. */
void cosrel_model_clear(cosrel_model *model);

/* True for 1 to COSREL_NAME_MAX - 1 bytes without control characters: fit for a one-line message. */
bool cosrel_name_is_good(const char name[COSREL_NAME_MAX]);

const char *cosrel_kind_name(cosrel_kind kind);
/* -1 when no kind has that name. */
int cosrel_kind_from_name(const char *name);

#endif
