#include "experiments/comparison.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/progress.h"

/* Where a cell stands: work goes seed by seed, cells lie case by case. */
typedef struct place {
  uint32_t c, seed, policy;
} place;

static place place_of(const cosrel_comparison *q, int64_t i) {
  return (place){(uint32_t)(i / q->n_policies % q->n_cases), (uint32_t)(i / q->n_policies / q->n_cases),
                 (uint32_t)(i % q->n_policies)};
}

static bool wanted(const cosrel_comparison *q, place at) {
  return q->contenders[at.policy].kind != COSREL_CONTENDER_OFFLINE || at.seed < q->n_offline_seeds;
}

/* Runs a cell and keeps it without the streams that its case does not have: there are many cells. */
static cosrel_status run_cell(const cosrel_comparison *q, place at, cosrel_cell **out, cosrel_error *error) {
  cosrel_cell cell;
  cosrel_cell_config config = q->config;
  config.seed += at.seed;
  cosrel_status status = cosrel_cell_run(&q->cases[at.c], &q->contenders[at.policy], &config, &cell, error);
  if (status != COSREL_OK) return status;
  size_t size = offsetof(cosrel_cell, result.streams) + cell.result.n_streams * sizeof *cell.result.streams;
  *out = malloc(size);
  if (*out == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for a result");
  memcpy(*out, &cell, size);
  return COSREL_OK;
}

cosrel_status cosrel_comparison_run(cosrel_comparison *q, uint32_t threads, cosrel_error *error) {
  int64_t n = (int64_t)cosrel_comparison_size(q);
  q->cells = (cosrel_cell **)calloc((size_t)n, sizeof *q->cells);
  if (q->cells == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for %lld cells", (long long)n);

  uint64_t n_done = 0, n_wanted = 0;
  for (int64_t i = 0; i < n; i++) n_wanted += wanted(q, place_of(q, i));
  cosrel_progress progress = cosrel_progress_begin("cells", n_wanted);
  cosrel_status status = COSREL_OK;
  int64_t failed_at = n; /* the failure with the lowest index is the one reported */
  bool stop = false;
  (void)threads;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)threads)
  for (int64_t i = 0; i < n; i++) {
    bool stopped;
    place at = place_of(q, i);
#pragma omp atomic read
    stopped = stop;
    if (stopped || cosrel_interrupted() || !wanted(q, at)) continue;
    cosrel_error line = {""};
    cosrel_status ended = run_cell(q, at, cosrel_comparison_cell(q, at.c, at.seed, at.policy), &line);
#pragma omp critical(comparison)
    {
      if (ended == COSREL_OK) {
        cosrel_progress_update(&progress, ++n_done, NULL);
      } else if (i < failed_at) {
        failed_at = i;
        status = ended;
        cosrel_fail(error, ended, "%s on %s under %s: %s", q->cases[at.c].workload->name, q->cases[at.c].profile->name,
                    q->contenders[at.policy].name, line.text[0] != '\0' ? line.text : cosrel_status_text(ended));
      }
    }
    if (ended != COSREL_OK) {
#pragma omp atomic write
      stop = true;
    }
  }
  cosrel_progress_end(&progress, n_done);
  if (status == COSREL_OK && n_done < n_wanted)
    return cosrel_fail(error, COSREL_INTERRUPTED, "interrupted after %llu of %llu cells", (unsigned long long)n_done,
                       (unsigned long long)n_wanted);
  return status;
}

void cosrel_comparison_clear(cosrel_comparison *q) {
  for (size_t i = 0; q->cells != NULL && i < cosrel_comparison_size(q); i++) free(q->cells[i]);
  free((void *)q->cells);
  memset(q, 0, sizeof *q);
}
