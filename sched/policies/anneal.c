/* anneal: the best fixed split of every model over processors, found beforehand by simulated annealing.
 *
 * Offline: starts from the mapping of best-static, then gsl_siman (Kirkpatrick et al., Science 220, 1983) moves split
 * points and processors of up to three parts per model, each trial a noise-free simulation of the case scored by U
 * (closed loop: G). What offline mappers for many networks do (OmniBoost, MAGMA search such splits). The split is fixed
 * while it runs, and the trial does not see noise. Segments end at the split points, whatever the run lengths of
 * others. */
#include <gsl/gsl_rng.h>
#include <gsl/gsl_siman.h>
#include <stdlib.h>

#include "sched/policies/common.h"
#include "sched/policies/pinned.h"
#include "sched/policies/simulate.h"

/* A point of the annealer, which copies points bytewise. */
typedef struct point {
  const cosrel_case *c;
  cosrel_state *scratch;
  uint64_t seed;
  cosrel_time horizon;
  cosrel_pinned pinned;
} point;

static double energy(void *self) {
  point *at = self;
  return -cosrel_simulate_score(at->c, at->scratch, cosrel_pinned_decide, &at->pinned, at->seed, at->horizon);
}

/* One change: another processor for a part, a cut put somewhere, a cut moved a little, or the cuts taken out. */
static void step(const gsl_rng *rng, void *self, double size) {
  (void)size;
  point *at = self;
  uint32_t s = (uint32_t)gsl_rng_uniform_int(rng, at->c->n_streams), n = at->c->streams[s].n_units;
  uint16_t *cut = at->pinned.cut[s];
  uint32_t k = (uint32_t)gsl_rng_uniform_int(rng, COSREL_PARTS - 1);
  switch (gsl_rng_uniform_int(rng, 4)) {
    case 0:
      at->pinned.home[s][gsl_rng_uniform_int(rng, COSREL_PARTS)] =
          (uint8_t)gsl_rng_uniform_int(rng, at->c->n_processors);
      break;
    case 1: cut[k] = (uint16_t)gsl_rng_uniform_int(rng, n); break;
    case 2:
      if (cut[k] > 0) cut[k] = (uint16_t)((cut[k] + n + gsl_rng_uniform_int(rng, 9) - 4) % n);
      break;
    default: cut[0] = cut[1] = 0;
  }
  /* Cuts ascend; a cut at 0 is none, and none comes before another. */
  if (cut[0] == 0 || (cut[1] > 0 && cut[1] < cut[0])) {
    uint16_t first = cut[1];
    cut[1] = cut[0];
    cut[0] = first;
  }
}

static cosrel_status create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                            cosrel_error *error) {
  double seconds = config->duration_s > 0 ? fmin(config->duration_s, COSREL_TRIAL_S) : COSREL_TRIAL_S;
  const gsl_siman_params_t how = {
      .n_tries = 1, .iters_fixed_T = 50, .step_size = 1, .k = 1, .t_initial = 0.01, .mu_t = 1.3, .t_min = 0.0005};
  cosrel_status status = COSREL_NOMEM;
  point at = {.c = c, .seed = config->seed, .horizon = (cosrel_time)(seconds * 1e9)};
  cosrel_pinned *best = malloc(sizeof *best);
  gsl_rng *rng = gsl_rng_alloc(gsl_rng_taus2);
  at.scratch = malloc(c->state_size);
  if (best == NULL || rng == NULL || at.scratch == NULL) goto fail;
  gsl_rng_set(rng, (unsigned long)config->seed);
  status = cosrel_pinned_search(c, config, &at.pinned);
  if (status != COSREL_OK) goto fail;
  gsl_siman_solve(rng, &at, energy, step, NULL, NULL, NULL, NULL, NULL, sizeof at, how);
  *best = at.pinned;
  gsl_rng_free(rng);
  free(at.scratch);
  *self = best;
  return COSREL_OK;
fail:
  if (rng != NULL) gsl_rng_free(rng);
  free(at.scratch);
  free(best);
  return cosrel_fail(error, status, "policy anneal: %s", cosrel_status_text(status));
}

static void destroy(void *self) { free(self); }

const cosrel_policy_ops cosrel_policy_anneal = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "anneal",
    .summary = "the best fixed split of every model over processors, annealed beforehand",
    .offline = true,
    .create = create,
    .reset = cosrel_stateless_nothing,
    .decide = cosrel_pinned_decide,
    .destroy = destroy,
};
