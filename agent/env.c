#include "agent/env.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rng.h"

enum { DRAW_SCENE = 1, DRAW_KIND, DRAW_LOAD, DRAW_ENERGY, DRAW_THROUGHPUT, DRAW_SEED };

/* Puts scene, arrivals and load in force. */
static cosrel_status enter_scene(cosrel_env *env) {
  const cosrel_env_memory *m = &env->memory;
  const cosrel_scene *scene = &env->scenes[m->scene];
  cosrel_engine_destroy(&env->engine);
  env->c = scene->base;
  cosrel_case_set_arrivals(&env->c, (cosrel_arrivals_kind)m->arrivals);
  cosrel_bound_apply(&scene->bound, &env->c);
  cosrel_case_set_load(&env->c, m->load);
  double rate = 0;
  for (uint32_t s = 0; s < env->c.n_streams; s++) rate += env->c.streams[s].rate_hz;
  env->end = (cosrel_time)(1e9 * fmin(env->curriculum->episode_s, env->curriculum->episode_requests / rate));
  return cosrel_engine_create(&env->c, cosrel_sim_driver(&env->sim), &env->engine, NULL);
}

cosrel_status cosrel_env_next_episode(cosrel_env *env) {
  cosrel_env_memory *m = &env->memory;
  const cosrel_curriculum *curriculum = env->curriculum;
  uint64_t key = cosrel_rng_key(env->key, ++m->episode);
  double kind = cosrel_rng_uniform(cosrel_rng_key(key, DRAW_KIND));
  m->scene = cosrel_rng_below(cosrel_rng_key(key, DRAW_SCENE), env->n_scenes);
  m->arrivals = kind < curriculum->poisson_share                                ? COSREL_ARRIVALS_POISSON
                : kind < curriculum->poisson_share + curriculum->periodic_share ? COSREL_ARRIVALS_PERIODIC
                                                                                : COSREL_ARRIVALS_BURSTY;
  m->load = curriculum->load_low +
            (curriculum->load_high - curriculum->load_low) * cosrel_rng_uniform(cosrel_rng_key(key, DRAW_LOAD));
  /* Half the episodes hardly mind energy, so that the corner which most people use is known best. */
  double energy = cosrel_rng_uniform(cosrel_rng_key(key, DRAW_ENERGY));
  m->objective = (cosrel_objective){.latency = 1,
                                    .throughput = 0.5 * cosrel_rng_uniform(cosrel_rng_key(key, DRAW_THROUGHPUT)),
                                    .energy = energy < 0.5 ? 0.06 * energy : 0.6 * (energy - 0.45)};
  env->n_choices = 0;
  cosrel_status status = enter_scene(env);
  if (status != COSREL_OK) return status;
  /* The horizon is far away: an episode is cut, not drained, so that its last states are ordinary ones. */
  cosrel_engine_reset(&env->engine, cosrel_rng_key(key, DRAW_SEED), COSREL_TIME_NEVER / 4);
  return COSREL_OK;
}

cosrel_status cosrel_env_create(const cosrel_scene *scenes, uint32_t n_scenes, const cosrel_curriculum *curriculum,
                                uint64_t seed, uint32_t index, cosrel_env *out, cosrel_error *error) {
  memset(out, 0, sizeof *out);
  out->scenes = scenes;
  out->n_scenes = n_scenes;
  out->curriculum = curriculum;
  out->key = cosrel_rng_key(cosrel_rng_key(seed, 0x656e76u), index);
  out->sim.noise = true;
  out->injector.plan = &curriculum->faults;
  if (curriculum->faults.n > 0) out->sim.injector = &out->injector;
  if (cosrel_env_next_episode(out) != COSREL_OK) {
    cosrel_env_destroy(out);
    return cosrel_fail(error, COSREL_NOMEM, "no memory for a training environment");
  }
  return COSREL_OK;
}

void cosrel_env_destroy(cosrel_env *env) {
  cosrel_engine_destroy(&env->engine);
  free(env->choices);
  memset(env, 0, sizeof *env);
}

cosrel_status cosrel_env_advance(cosrel_env *env, cosrel_observation *o, bool *cut) {
  const cosrel_case *c = &env->c;
  cosrel_state *state = env->engine.state;
  for (;;) {
    cosrel_step step;
    cosrel_status status = cosrel_engine_step(&env->engine, &step);
    if (status != COSREL_OK) return status;
    if (step == COSREL_STEP_DONE) return COSREL_INTERNAL; /* the horizon is out of reach */
    cosrel_observe(c, state, &env->memory.objective, o);
    *cut = state->now >= env->end;
    if (o->n_choices >= 2 || *cut) return COSREL_OK;
    /* A lone choice is row 0 to the end; none at all means that the only runnable unit is not among those seen. */
    cosrel_candidate choice = {0};
    if (o->n_choices == 1)
      choice = cosrel_observation_candidate(o, 0, COSREL_RUN_LENGTHS - 1);
    else
      cosrel_state_candidates(c, state, &choice, 1);
    status = cosrel_engine_decide(&env->engine, &choice);
    if (status != COSREL_OK) return status;
  }
}

cosrel_status cosrel_env_decide(cosrel_env *env, const cosrel_candidate *choice) {
  if (env->n_choices == env->room) {
    uint32_t room = env->room == 0 ? 1024 : 2 * env->room;
    cosrel_candidate *more = realloc(env->choices, room * sizeof *more);
    if (more == NULL) return COSREL_NOMEM;
    env->choices = more;
    env->room = room;
  }
  env->choices[env->n_choices++] = *choice;
  return cosrel_engine_decide(&env->engine, choice);
}

cosrel_status cosrel_env_restore(cosrel_env *env, uint64_t episode, const cosrel_candidate *choices, uint32_t n_choices,
                                 cosrel_observation *o) {
  bool cut;
  env->memory.episode = episode - 1;
  cosrel_status status = cosrel_env_next_episode(env);
  for (uint32_t i = 0; status == COSREL_OK; i++) {
    status = cosrel_env_advance(env, o, &cut);
    if (status != COSREL_OK || i == n_choices) break;
    status = cut ? COSREL_FORMAT : cosrel_env_decide(env, &choices[i]);
    if (status == COSREL_INVALID) status = COSREL_FORMAT;
  }
  return status;
}
