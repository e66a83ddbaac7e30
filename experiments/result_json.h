/* Results as JSON: one shape for replay and for each cell of compare. Keys carry their units; what is not defined is
 * null. */
#ifndef COSREL_EXPERIMENTS_RESULT_JSON_H
#define COSREL_EXPERIMENTS_RESULT_JSON_H

#include <jansson.h>

#include "experiments/cell.h"

/* New reference, or NULL when memory is short. */
json_t *cosrel_cell_json(const cosrel_cell *cell);

/* A real, or null when x is not finite. */
json_t *cosrel_json_real(double x);

/* Prints one document and a newline to stdout and drops the reference. Fails when either does. */
cosrel_status cosrel_json_print(json_t *root, cosrel_error *error);
/* The same into a file, whole or not at all. */
cosrel_status cosrel_json_write(const char *path, json_t *root, cosrel_error *error);

#endif
