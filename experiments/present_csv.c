#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "experiments/present.h"
#include "traces/atomic.h"

/* Names come from files: quotes are doubled as RFC 4180 has it. */
static void put_text(FILE *f, const char *text) {
  fputc('"', f);
  for (; *text != '\0'; text++) {
    if (*text == '"') fputc('"', f);
    fputc(*text, f);
  }
  fputs("\",", f);
}

static void put_number(FILE *f, double x) {
  if (isfinite(x)) fprintf(f, "%.12g", x);
}

cosrel_status cosrel_present_csv(const char *path, const cosrel_comparison *q, cosrel_error *error) {
  cosrel_atomic atomic;
  cosrel_status status = cosrel_atomic_begin(path, &atomic, error);
  if (status != COSREL_OK) return status;
  FILE *f = atomic.file;
  fprintf(f, "policy,profile,workload,arrivals,load,seed,decisions,stp,fairness,power_w");
  for (int k = 0; k < COSREL_FIGURE_COUNT; k++) fprintf(f, ",%s", cosrel_figure_key((cosrel_figure)k));
  fputc('\n', f);
  for (size_t i = 0; i < cosrel_comparison_size(q); i++) {
    const cosrel_cell *cell = q->cells[i];
    if (cell == NULL) continue;
    const cosrel_result *r = &cell->result;
    put_text(f, cell->policy);
    put_text(f, cell->c->profile->name);
    put_text(f, cell->c->workload->name);
    fprintf(f, "%s,", cosrel_case_arrivals_name(cell->c));
    put_number(f, cosrel_case_load(cell->c));
    fprintf(f, ",%" PRIu64 ",%" PRIu64 ",%.12g,%.12g,%.12g", cell->seed, r->decisions, r->stp, r->fairness, r->power_w);
    for (int k = 0; k < COSREL_FIGURE_COUNT; k++) {
      fputc(',', f);
      put_number(f, cosrel_figure_of(r, (cosrel_figure)k));
    }
    fputc('\n', f);
  }
  return cosrel_atomic_commit(&atomic, error);
}
