#include "experiments/comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/progress.h"
#include "sched/rng.h"

static const struct {
  const char *key, *head;
  int decimals;
} figures[COSREL_FIGURE_COUNT] = {
#define X(name, key, head, decimals) {key, head, decimals},
    COSREL_FIGURE_MAP(X)
#undef X
};

const char *cosrel_figure_key(cosrel_figure figure) { return figures[figure].key; }
const char *cosrel_figure_head(cosrel_figure figure) { return figures[figure].head; }
int cosrel_figure_decimals(cosrel_figure figure) { return figures[figure].decimals; }

double cosrel_figure_of(const cosrel_result *r, cosrel_figure figure) {
  switch (figure) {
    case COSREL_FIGURE_U: return r->u;
    case COSREL_FIGURE_ANTT: return r->antt;
    case COSREL_FIGURE_P95_NTT: return r->p95_ntt;
    case COSREL_FIGURE_GOODPUT: return r->goodput_hz;
    case COSREL_FIGURE_G: return r->g;
    case COSREL_FIGURE_BOUND_SHARE: return r->bound_share < 0 ? NAN : r->bound_share;
    case COSREL_FIGURE_ENERGY: return r->energy_mj_per_inference < 0 ? NAN : r->energy_mj_per_inference;
    case COSREL_FIGURE_ENERGY_RATIO: return r->energy_ratio < 0 ? NAN : r->energy_ratio;
    default: return NAN;
  }
}

static void list_complete_seeds(cosrel_comparison *q) {
  for (uint32_t c = 0; c < q->n_cases; c++) {
    q->n_complete[c] = 0;
    for (uint32_t seed = 0; seed < q->n_seeds; seed++) {
      const uint8_t *done = &q->done[((size_t)c * q->n_seeds + seed) * q->n_policies];
      if (memchr(done, 0, q->n_policies) == NULL) q->complete[c * q->n_seeds + q->n_complete[c]++] = seed;
    }
  }
}

cosrel_status cosrel_comparison_run(cosrel_comparison *q, uint32_t threads, cosrel_error *error) {
  int64_t n = (int64_t)q->n_cases * q->n_seeds * q->n_policies;
  q->cells = calloc((size_t)n, sizeof *q->cells);
  q->done = calloc((size_t)n, 1);
  q->n_complete = calloc(q->n_cases, sizeof *q->n_complete);
  q->complete = calloc((size_t)q->n_cases * q->n_seeds, sizeof *q->complete);
  if (q->cells == NULL || q->done == NULL || q->n_complete == NULL || q->complete == NULL)
    return cosrel_fail(error, COSREL_NOMEM, "no memory for %lld cells", (long long)n);

  cosrel_progress progress = cosrel_progress_begin("cells", (uint64_t)n);
  cosrel_status status = COSREL_OK;
  int64_t failed_at = n; /* the failure with the lowest index is the one reported */
  uint64_t n_done = 0;
  bool stop = false;
  (void)threads;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)threads)
  for (int64_t i = 0; i < n; i++) {
    bool stopped;
#pragma omp atomic read
    stopped = stop;
    if (stopped || cosrel_interrupted()) continue;
    cosrel_cell_config config = q->config;
    cosrel_error line = {""};
    uint32_t policy = (uint32_t)(i % q->n_policies);
    config.seed += (uint64_t)(i / q->n_policies % q->n_seeds);
    const cosrel_case *c = &q->cases[i / q->n_policies / q->n_seeds];
    cosrel_status ended = cosrel_cell_run(c, &q->contenders[policy], &config, &q->cells[i], &line);
#pragma omp critical(comparison)
    {
      if (ended == COSREL_OK) {
        q->done[i] = 1;
        cosrel_progress_update(&progress, ++n_done, NULL);
      } else if (i < failed_at) {
        failed_at = i;
        status = ended;
        cosrel_fail(error, ended, "%s on %s under %s: %s", c->workload->name, c->profile->name,
                    q->contenders[policy].name, line.text[0] != '\0' ? line.text : cosrel_status_text(ended));
      }
    }
    if (ended != COSREL_OK) {
#pragma omp atomic write
      stop = true;
    }
  }
  cosrel_progress_end(&progress, n_done);
  list_complete_seeds(q);
  if (status == COSREL_OK && n_done < (uint64_t)n)
    return cosrel_fail(error, COSREL_INTERRUPTED, "interrupted after %llu of %lld cells", (unsigned long long)n_done,
                       (long long)n);
  return status;
}

void cosrel_comparison_clear(cosrel_comparison *q) {
  free(q->cells);
  free(q->done);
  free(q->n_complete);
  free(q->complete);
  memset(q, 0, sizeof *q);
}

cosrel_status cosrel_group_create(const cosrel_comparison *q, cosrel_group_kind kind, cosrel_group *out) {
  static const char *const names[] = {"all", "open", "closed"};
  out->name = names[kind];
  out->headline = kind == COSREL_GROUP_CLOSED ? COSREL_FIGURE_G : COSREL_FIGURE_U;
  out->n_cases = 0;
  out->cases = calloc(q->n_cases + 1, sizeof *out->cases);
  if (out->cases == NULL) return COSREL_NOMEM;
  for (uint32_t c = 0; c < q->n_cases; c++) {
    bool wanted = kind == COSREL_GROUP_ALL || cosrel_case_is_closed(&q->cases[c]) == (kind == COSREL_GROUP_CLOSED);
    if (wanted && q->n_complete[c] > 0) out->cases[out->n_cases++] = c;
  }
  return COSREL_OK;
}

void cosrel_group_destroy(cosrel_group *group) {
  free(group->cases);
  memset(group, 0, sizeof *group);
}

static double value_at(const cosrel_comparison *q, uint32_t c, uint32_t i, uint32_t policy, cosrel_figure figure) {
  return cosrel_figure_of(&cosrel_comparison_cell(q, c, q->complete[c * q->n_seeds + i], policy)->result, figure);
}

/* A table of samples to fill: a stratum per case of the group. */
typedef struct samples {
  cosrel_strata strata;
  uint32_t *count;
  double *pool;
  const double **values;
} samples;

static void samples_free(samples *s) {
  free(s->count);
  free(s->pool);
  free((void *)s->values);
}

static bool samples_create(const cosrel_comparison *q, const cosrel_group *group, samples *s) {
  s->count = calloc(group->n_cases + 1, sizeof *s->count);
  s->pool = calloc((size_t)group->n_cases * q->n_seeds + 1, sizeof *s->pool);
  s->values = calloc(group->n_cases + 1, sizeof *s->values);
  if (s->count == NULL || s->pool == NULL || s->values == NULL) {
    samples_free(s);
    return false;
  }
  s->strata = (cosrel_strata){0, s->count, s->values};
  return true;
}

/* Room for the next stratum. */
static double *samples_next(samples *s, uint32_t count) {
  double *room = s->pool;
  for (uint32_t i = 0; i < s->strata.n; i++) room += s->count[i];
  s->count[s->strata.n] = count;
  s->values[s->strata.n++] = room;
  return room;
}

bool cosrel_group_interval(const cosrel_comparison *q, const cosrel_group *group, uint32_t policy, cosrel_figure figure,
                           cosrel_interval *out) {
  samples s;
  if (!samples_create(q, group, &s)) return false;
  bool defined = true;
  for (uint32_t k = 0; k < group->n_cases; k++) {
    uint32_t c = group->cases[k];
    if (figure == COSREL_FIGURE_BOUND_SHARE && !cosrel_case_is_closed(&q->cases[c])) continue;
    double *room = samples_next(&s, q->n_complete[c]);
    for (uint32_t i = 0; i < q->n_complete[c]; i++) {
      room[i] = value_at(q, c, i, policy, figure);
      defined = defined && isfinite(room[i]);
    }
  }
  /* The key holds no policy: all are resampled alike. */
  defined = defined && s.strata.n > 0 &&
            cosrel_iqm_interval(&s.strata, cosrel_rng_key(q->config.seed, figure), out) == COSREL_OK;
  samples_free(&s);
  return defined;
}

double cosrel_case_mean(const cosrel_comparison *q, uint32_t c, uint32_t policy, cosrel_figure figure) {
  double sum = 0.0;
  for (uint32_t i = 0; i < q->n_complete[c]; i++) sum += value_at(q, c, i, policy, figure);
  return sum / q->n_complete[c];
}

double cosrel_group_mean(const cosrel_comparison *q, const cosrel_group *group, uint32_t policy) {
  double sum = 0.0;
  for (uint32_t k = 0; k < group->n_cases; k++) sum += cosrel_case_mean(q, group->cases[k], policy, group->headline);
  return sum / group->n_cases;
}

static bool is_heuristic(const cosrel_contender *contender) { return !contender->learned && !contender->offline; }

int cosrel_group_best(const cosrel_comparison *q, const cosrel_group *group) {
  int best = -1;
  double best_mean = -INFINITY;
  for (uint32_t p = 0; p < q->n_policies; p++) {
    if (!is_heuristic(&q->contenders[p])) continue;
    double mean = cosrel_group_mean(q, group, p);
    if (mean > best_mean) best = (int)p, best_mean = mean;
  }
  return best;
}

int cosrel_case_best(const cosrel_comparison *q, uint32_t c, cosrel_figure figure) {
  int best = -1;
  double best_mean = -INFINITY;
  for (uint32_t p = 0; p < q->n_policies; p++) {
    if (!is_heuristic(&q->contenders[p])) continue;
    double mean = cosrel_case_mean(q, c, p, figure);
    if (mean > best_mean) best = (int)p, best_mean = mean;
  }
  return best;
}

/* Paired difference of a policy and `other` (-1: the hindsight-best of each case). */
static cosrel_status difference(const cosrel_comparison *q, const cosrel_group *group, uint32_t policy, int other,
                                cosrel_interval *out) {
  samples s;
  if (!samples_create(q, group, &s)) return COSREL_NOMEM;
  for (uint32_t k = 0; k < group->n_cases; k++) {
    uint32_t c = group->cases[k];
    uint32_t rival = (uint32_t)(other >= 0 ? other : cosrel_case_best(q, c, group->headline));
    double *room = samples_next(&s, q->n_complete[c]);
    for (uint32_t i = 0; i < q->n_complete[c]; i++)
      room[i] = value_at(q, c, i, policy, group->headline) - value_at(q, c, i, rival, group->headline);
  }
  cosrel_status status = cosrel_mean_interval(&s.strata, cosrel_rng_key(q->config.seed, COSREL_FIGURE_COUNT), out);
  samples_free(&s);
  return status;
}

cosrel_status cosrel_group_verdict(const cosrel_comparison *q, const cosrel_group *group, uint32_t policy,
                                   cosrel_verdict *out) {
  memset(out, 0, sizeof *out);
  int best = cosrel_group_best(q, group);
  if (best < 0 || group->n_cases == 0) return COSREL_INVALID;
  cosrel_status status = difference(q, group, policy, best, &out->minus_best);
  if (status == COSREL_OK) status = difference(q, group, policy, -1, &out->minus_hindsight);
  out->ratio_least = INFINITY;
  for (uint32_t k = 0; k < group->n_cases; k++) {
    uint32_t c = group->cases[k];
    double own = cosrel_case_mean(q, c, policy, group->headline);
    double rival = cosrel_case_mean(q, c, (uint32_t)cosrel_case_best(q, c, group->headline), group->headline);
    double ratio = rival > 0 ? own / rival : 1.0;
    out->ratio_mean += ratio / group->n_cases;
    out->ratio_least = fmin(out->ratio_least, ratio);
    out->wins += own > rival;
  }
  return status;
}
