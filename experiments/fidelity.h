/* How well simulations predict real runs: traces of runs are replayed on a profile, and what comes out is set against
 * what the traces say. */
#ifndef COSREL_EXPERIMENTS_FIDELITY_H
#define COSREL_EXPERIMENTS_FIDELITY_H

#include <jansson.h>

#include "experiments/cell.h"
#include "experiments/options.h"
#include "experiments/tally.h"

#define COSREL_FIDELITY_FIGURES_MAX (6 + COSREL_PROCESSORS_MAX + 3 * COSREL_STREAMS_MAX)

/* All runs of one policy in one kind of loop. */
typedef struct cosrel_fidelity_row {
  char policy[1024];
  bool closed; /* every stream: one outstanding request */
  uint32_t n_runs;
  cosrel_tally measured, predicted;
} cosrel_fidelity_row;

typedef struct cosrel_fidelity {
  const cosrel_profile *profile;   /* borrowed, as the next two */
  const cosrel_workload *workload; /* as written, not as recorded */
  const cosrel_bound *bound;
  uint32_t n_rows;
  cosrel_fidelity_row *rows; /* owned, in the order of the traces */
} cosrel_fidelity;

/* Replays every trace under its own policy: streams of a closed loop stay closed, for the same time; the requests of
 * others arrive when they did, at the rates that were in force. `config` gives noise and plan budget; each trace is
 * simulated `seeds` times, with its own seed and those after it. A trace must be of this workload and of processors
 * that the profile has; errors name the trace. Whether a simulation ends with `stop`: COSREL_INTERRUPTED. Free with
 * cosrel_fidelity_clear in any case. */
cosrel_status cosrel_fidelity_run(cosrel_fidelity *fidelity, const cosrel_strings *traces, const char *workload_path,
                                  const cosrel_cell_config *config, uint32_t seeds, bool (*stop)(void),
                                  cosrel_error *error);
void cosrel_fidelity_clear(cosrel_fidelity *fidelity);

/* A figure as it was and as it was said to be. */
typedef struct cosrel_fidelity_figure {
  cosrel_tally_kind kind;
  int stream, processor; /* -1: all, or none in particular */
  double measured, predicted;
  double error_percent; /* predicted over measured - 1; NaN where that is not defined */
} cosrel_fidelity_figure;

/* Fills out[COSREL_FIDELITY_FIGURES_MAX], those of the whole first; returns how many. Power only where the profile's
 * watts are measured. */
uint32_t cosrel_fidelity_figures(const cosrel_fidelity *fidelity, uint32_t row, cosrel_fidelity_figure *out);

/* Kendall's tau-b of two rankings: 1 the same, -1 reversed; ties count half. NaN when one of them is all ties. */
double cosrel_kendall_tau(const double *a, const double *b, uint32_t n);

/* The table, and the same as a JSON document (new reference, or NULL when memory is short). */
void cosrel_fidelity_print(const cosrel_fidelity *fidelity);
json_t *cosrel_fidelity_json(const cosrel_fidelity *fidelity);

#endif
