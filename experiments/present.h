/* A comparison as text for people, as JSON and as CSV. */
#ifndef COSREL_EXPERIMENTS_PRESENT_H
#define COSREL_EXPERIMENTS_PRESENT_H

#include <jansson.h>

#include "experiments/summary.h"

#define COSREL_LOOPS 3 /* of cosrel_loop */

/* Tables of open and closed cases on stdout, at most 120 columns. summaries[COSREL_LOOPS] */
void cosrel_present_table(const cosrel_comparison *q, const cosrel_summary *summaries);

/* {"cells": [...], "summary": [...], "groups": [...]}, described in the README; `cells` only when wanted, as they are
 * many. A new reference, or NULL when memory is short. */
json_t *cosrel_present_json(const cosrel_comparison *q, const cosrel_summary *summaries, bool with_cells);

/* One line per run, written whole or not at all. */
cosrel_status cosrel_present_csv(const char *path, const cosrel_comparison *q, cosrel_error *error);

#endif
