/* best-static: the best fixed processor for each stream, found beforehand.
 *
 * Offline: every mapping of streams to processors is tried in a noise-free simulation of the case, with its arrivals,
 * under both orders (oldest first, shortest first), and scored by U (closed loop: G). Up to 729 mappings (3^6) are
 * enumerated; beyond that gsl_siman anneals (Kirkpatrick et al., Science 220, 1983). What COSREL-like systems call
 * static mapping; it never moves a request while it runs, and does not see noise. Units that a processor cannot run
 * fall back as in all-<processor>. */
#include <gsl/gsl_rng.h>
#include <gsl/gsl_siman.h>
#include <stdlib.h>

#include "sched/policies/common.h"
#include "sched/policies/pinned.h"
#include "sched/policies/simulate.h"

#define ENUMERATED_MAX 729

typedef struct trial {
  const cosrel_case *c;
  cosrel_state *scratch;
  uint64_t seed;
  cosrel_time horizon;
} trial;

/* A point of the annealer: it copies points bytewise, so the trial is reached through a pointer. */
typedef struct point {
  const trial *t;
  cosrel_pinned pinned;
} point;

static double score(const trial *t, cosrel_pinned *pinned) {
  return cosrel_simulate_score(t->c, t->scratch, cosrel_pinned_decide, pinned, t->seed, t->horizon);
}

static void enumerate(const trial *t, uint32_t n_mappings, cosrel_pinned *best) {
  double most = -INFINITY;
  for (uint32_t code = 0; code < 2 * n_mappings; code++) {
    cosrel_pinned pinned = {.shortest = code % 2};
    for (uint32_t s = 0, rest = code / 2; s < t->c->n_streams; s++, rest /= t->c->n_processors)
      pinned.home[s][0] = (uint8_t)(rest % t->c->n_processors);
    double worth = score(t, &pinned);
    if (worth > most) most = worth, *best = pinned;
  }
}

static double energy(void *self) {
  point *at = self;
  return -score(at->t, &at->pinned);
}

static void step(const gsl_rng *rng, void *self, double size) {
  (void)size;
  point *at = self;
  uint32_t s = (uint32_t)gsl_rng_uniform_int(rng, at->t->c->n_streams + 1);
  if (s == at->t->c->n_streams)
    at->pinned.shortest = !at->pinned.shortest;
  else
    at->pinned.home[s][0] = (uint8_t)gsl_rng_uniform_int(rng, at->t->c->n_processors);
}

/* Starts from every stream on the processor that is fastest for it. */
static cosrel_status anneal(const trial *t, cosrel_pinned *best) {
  gsl_rng *rng = gsl_rng_alloc(gsl_rng_taus2);
  if (rng == NULL) return COSREL_NOMEM;
  gsl_rng_set(rng, (unsigned long)t->seed);
  point at = {.t = t, .pinned = {.shortest = true}};
  for (uint32_t s = 0; s < t->c->n_streams; s++) {
    const cosrel_stream_case *sc = &t->c->streams[s];
    double least = INFINITY;
    for (uint32_t p = 0; p < t->c->n_processors; p++) {
      double whole = sc->mean[p][sc->n_units] + t->c->launch_ns[p];
      if (sc->limit[p][0] == sc->n_units && whole < least) least = whole, at.pinned.home[s][0] = (uint8_t)p;
    }
  }
  const gsl_siman_params_t how = {
      .n_tries = 1, .iters_fixed_T = 40, .step_size = 1, .k = 1, .t_initial = 0.05, .mu_t = 1.3, .t_min = 0.001};
  gsl_siman_solve(rng, &at, energy, step, NULL, NULL, NULL, NULL, NULL, sizeof at, how);
  gsl_rng_free(rng);
  *best = at.pinned;
  return COSREL_OK;
}

cosrel_status cosrel_pinned_search(const cosrel_case *c, const cosrel_policy_config *config, cosrel_pinned *best) {
  double seconds = config->duration_s > 0 ? fmin(config->duration_s, COSREL_TRIAL_S) : COSREL_TRIAL_S;
  trial t = {.c = c, .scratch = malloc(c->state_size), .seed = config->seed, .horizon = (cosrel_time)(seconds * 1e9)};
  if (t.scratch == NULL) return COSREL_NOMEM;
  cosrel_status status = COSREL_OK;
  double n_mappings = pow(c->n_processors, c->n_streams);
  if (n_mappings <= ENUMERATED_MAX)
    enumerate(&t, (uint32_t)n_mappings, best);
  else
    status = anneal(&t, best);
  free(t.scratch);
  return status;
}

static cosrel_status create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                            cosrel_error *error) {
  cosrel_pinned *best = calloc(1, sizeof *best);
  cosrel_status status = best == NULL ? COSREL_NOMEM : cosrel_pinned_search(c, config, best);
  if (status != COSREL_OK) {
    free(best);
    return cosrel_fail(error, status, "policy best-static: %s", cosrel_status_text(status));
  }
  *self = best;
  return COSREL_OK;
}

static void destroy(void *self) { free(self); }

const cosrel_policy_ops cosrel_policy_best_static = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "best-static",
    .summary = "the best fixed processor for each stream, found beforehand",
    .offline = true,
    .create = create,
    .reset = cosrel_stateless_nothing,
    .decide = cosrel_pinned_decide,
    .destroy = destroy,
};
