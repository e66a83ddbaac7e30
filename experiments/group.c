#include "experiments/group.h"

#include <stdlib.h>
#include <string.h>

/* Whether every policy in question has run this seed of this case. */
static bool complete(const cosrel_comparison *q, uint32_t c, uint32_t seed, bool offline) {
  for (uint32_t p = 0; p < q->n_policies; p++)
    if ((offline || q->contenders[p].kind != COSREL_CONTENDER_OFFLINE) &&
        *cosrel_comparison_cell(q, c, seed, p) == NULL)
      return false;
  return true;
}

cosrel_status cosrel_group_create(const cosrel_comparison *q, cosrel_loop loop, bool offline, cosrel_group *out) {
  *out = (cosrel_group){.q = q};
  out->cases = calloc(q->n_cases, sizeof *out->cases);
  out->count = calloc(q->n_cases, sizeof *out->count);
  out->seed = calloc((size_t)q->n_cases * q->n_seeds, sizeof *out->seed);
  if (out->cases == NULL || out->count == NULL || out->seed == NULL) {
    cosrel_group_destroy(out);
    return COSREL_NOMEM;
  }
  for (uint32_t c = 0; c < q->n_cases; c++) {
    if (loop != COSREL_LOOP_ALL && cosrel_case_is_closed(&q->cases[c]) != (loop == COSREL_LOOP_CLOSED)) continue;
    uint32_t before = out->n_runs;
    for (uint32_t seed = 0; seed < q->n_seeds; seed++)
      if (complete(q, c, seed, offline)) out->seed[out->n_runs++] = seed;
    if (out->n_runs == before) continue;
    out->count[out->n_cases] = out->n_runs - before;
    out->cases[out->n_cases++] = c;
  }
  return COSREL_OK;
}

void cosrel_group_destroy(cosrel_group *group) {
  free(group->cases);
  free(group->count);
  free(group->seed);
  memset(group, 0, sizeof *group);
}

void cosrel_group_values(const cosrel_group *group, uint32_t policy, cosrel_figure figure, double *out) {
  for (uint32_t k = 0, run = 0; k < group->n_cases; k++)
    for (uint32_t i = 0; i < group->count[k]; i++, run++)
      out[run] = cosrel_figure_of(
          &(*cosrel_comparison_cell(group->q, group->cases[k], group->seed[run], policy))->result, figure);
}
