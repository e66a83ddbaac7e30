#include "agent/env.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rng.h"

/* Time constants in multiples of the longest isolated latency of the case. In open loop a longer one (4) drowned what a
 * single choice earns in the spread of the returns. */
static const double tau_open = 1.5, tau_closed = 18;
static const double weight_most = 4; /* of a rare stream's requests: a few of them must not be all of the return */

enum { DRAW_SCENE = 1, DRAW_KIND, DRAW_LOAD, DRAW_ENERGY, DRAW_THROUGHPUT, DRAW_SEED };

#define DROPPED -0.25

static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static double weight_sum(const cosrel_objective *w) { return w->latency + w->throughput + w->energy; }

/* Adds a reward earned now to the present interval. */
static void earn(cosrel_env *env, const cosrel_state *state, double reward) {
  double age = (double)(state->now - env->memory.interval);
  env->memory.reward += exp(-age / env->tau_ns) * reward / env->expected;
}

/* What the end of a request is worth: its latency as utility (late ones count against it), and being in time. */
static double request_value(const cosrel_objective *w, double ntt, bool in_time) {
  return (w->latency * clip(1 - (ntt - 1) / 4, -2, 1) + w->throughput * (in_time ? 1 : -0.25)) / weight_sum(w);
}
static double drop_value(const cosrel_objective *w) {
  return (w->latency * DROPPED + w->throughput * -0.25) / weight_sum(w);
}

/* What finishing units [begin, end) of a closed stream's request is worth. */
static double progress_value(const cosrel_env *env, const cosrel_state *state, uint32_t s, uint32_t begin,
                             uint32_t end) {
  const cosrel_case *c = &env->c;
  const cosrel_objective *w = &env->memory.objective;
  double mean = 0, own = 0;
  for (uint32_t i = 0; i < c->n_streams; i++) {
    const cosrel_stream_state *stream = &state->streams[i];
    double rate = stream->rate_ema * exp(-cosrel_time_s(state->now - stream->rate_ema_at));
    double np = rate * c->streams[i].isolated_ns * 1e-9;
    mean += np / c->n_streams;
    if (i == s) own = np;
  }
  const double *work = env->work[s];
  double share = (work[end] - work[begin]) / work[c->streams[s].n_units];
  double urgency = clip((mean + 0.02) / (own + 0.02), 0, 4);
  return (w->latency + w->throughput) / weight_sum(w) * share * urgency * c->streams[s].isolated_ns / env->tau_ns;
}

static void on_outcome(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_outcome *outcome) {
  cosrel_env *env = self;
  if (c->streams[outcome->stream].arrivals == COSREL_ARRIVALS_CLOSED) return;
  const cosrel_objective *w = &env->memory.objective;
  earn(env, state,
       env->weight[outcome->stream] *
           (outcome->dropped ? drop_value(w) : request_value(w, outcome->ntt, !outcome->missed)));
}

static void on_segment(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment) {
  cosrel_env *env = self;
  if (c->streams[segment->stream].arrivals != COSREL_ARRIVALS_CLOSED) return;
  earn(env, state, progress_value(env, state, segment->stream, segment->begin, segment->end));
}

/* Expected ns until the request in `slot` ends if nothing stands in its way. */
static double time_left(const cosrel_case *c, const cosrel_state *state, const cosrel_request *request, uint32_t slot) {
  const cosrel_stream_case *sc = &c->streams[request->stream];
  if (request->n_started == 0) return sc->isolated_ns;
  double left = request->n_running > 0 ? 0 : INFINITY;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    if (request->n_running == 0)
      left = fmin(left, sc->to_go[p][request->front]);
    else if (state->running[p].slot == (int32_t)slot)
      left = fmax(left, cosrel_state_time_to_idle(state, p) + sc->to_go[p][state->running[p].end]);
  }
  return left;
}

/* The potential: what the live requests promise, discounted to now. */
static double potential(const cosrel_env *env, const cosrel_state *state) {
  const cosrel_case *c = &env->c;
  double sum = 0;
  if (env->memory.arrivals == COSREL_ARRIVALS_CLOSED) {
    for (uint32_t p = 0; p < c->n_processors; p++) {
      const cosrel_running *run = &state->running[p];
      if (run->slot < 0) continue;
      uint32_t s = cosrel_state_request(c, state, (uint32_t)run->slot)->stream;
      sum +=
          progress_value(env, state, s, run->begin, run->end) * exp(-cosrel_state_time_to_idle(state, p) / env->tau_ns);
    }
    return sum / env->expected;
  }
  for (uint32_t s = 0; s < c->n_streams; s++)
    for (uint32_t i = 0; i < state->streams[s].n_live; i++) {
      uint32_t slot = state->streams[s].order[i];
      const cosrel_request *request = cosrel_state_request(c, state, slot);
      double left = time_left(c, state, request, slot), total = (double)(state->now - request->arrival) + left;
      double value = request_value(&env->memory.objective, total / c->streams[s].isolated_ns,
                                   total <= (double)c->streams[s].deadline);
      sum += env->weight[s] * value * exp(-left / env->tau_ns);
    }
  return sum / env->expected;
}

/* What follows from scene, arrivals and load: the case in force, and the scales of the reward. */
static cosrel_status enter_scene(cosrel_env *env) {
  const cosrel_env_memory *m = &env->memory;
  const cosrel_curriculum *curriculum = env->curriculum;
  const cosrel_scene *scene = &env->scenes[m->scene];
  bool closed = m->arrivals == COSREL_ARRIVALS_CLOSED;
  cosrel_engine_destroy(&env->engine);
  env->c = scene->base;
  cosrel_case_set_arrivals(&env->c, (cosrel_arrivals_kind)m->arrivals);
  cosrel_bound_apply(&scene->bound, &env->c);
  if (!closed) cosrel_case_set_load(&env->c, m->load);
  double longest = 0;
  for (uint32_t s = 0; s < env->c.n_streams; s++) longest = fmax(longest, env->c.streams[s].isolated_ns);
  env->tau_ns = fmax((closed ? curriculum->tau_closed_s : curriculum->tau_open_s) * 1e9,
                     (closed ? tau_closed : tau_open) * longest);
  double rate = 0;
  for (uint32_t s = 0; s < env->c.n_streams; s++) rate += env->c.streams[s].rate_hz;
  for (uint32_t s = 0; s < env->c.n_streams; s++)
    env->weight[s] = 1 - curriculum->rare +
                     curriculum->rare * fmin(weight_most, rate / env->c.n_streams / env->c.streams[s].rate_hz);
  env->expected = closed ? env->c.n_streams : rate * env->tau_ns * 1e-9;

  double *at = env->work_block;
  for (uint32_t s = 0; s < env->c.n_streams; s++) {
    const cosrel_stream_case *sc = &env->c.streams[s];
    env->work[s] = at;
    at[0] = 0;
    for (uint32_t u = 0; u < sc->n_units; u++) {
      double least = INFINITY;
      for (uint32_t p = 0; p < env->c.n_processors; p++)
        if (sc->limit[p][u] > u) least = fmin(least, sc->mean[p][u + 1] - sc->mean[p][u]);
      at[u + 1] = at[u] + least;
    }
    at += sc->n_units + 1;
  }
  cosrel_status status = cosrel_engine_create(&env->c, cosrel_sim_driver(&env->sim), &env->engine, NULL);
  env->engine.sinks = &env->sink;
  return status;
}

cosrel_status cosrel_env_next_episode(cosrel_env *env) {
  cosrel_env_memory *m = &env->memory;
  const cosrel_curriculum *curriculum = env->curriculum;
  uint64_t key = cosrel_rng_key(env->key, ++m->episode);
  double kind = cosrel_rng_uniform(cosrel_rng_key(key, DRAW_KIND));
  m->scene = cosrel_rng_below(cosrel_rng_key(key, DRAW_SCENE), env->n_scenes);
  m->arrivals = env->closed                                                     ? COSREL_ARRIVALS_CLOSED
                : kind < curriculum->poisson_share                              ? COSREL_ARRIVALS_POISSON
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
  m->reward = 0;
  m->promised = 0;
  m->interval = 0;
  m->interval_mj = 0;
  cosrel_status status = enter_scene(env);
  if (status != COSREL_OK) return status;
  /* The horizon is far away: an episode is cut, not drained, so that its last states are ordinary ones. */
  cosrel_engine_reset(&env->engine, cosrel_rng_key(key, DRAW_SEED), COSREL_TIME_NEVER / 4);
  return COSREL_OK;
}

cosrel_status cosrel_env_create(const cosrel_scene *scenes, uint32_t n_scenes, const cosrel_curriculum *curriculum,
                                bool closed, uint64_t seed, uint32_t index, cosrel_env *out, cosrel_error *error) {
  memset(out, 0, sizeof *out);
  out->scenes = scenes;
  out->n_scenes = n_scenes;
  out->curriculum = curriculum;
  out->closed = closed;
  out->key = cosrel_rng_key(cosrel_rng_key(seed, 0x656e76u), index);
  out->sim.noise = true;
  out->injector.plan = &curriculum->faults;
  if (curriculum->faults.n > 0) out->sim.injector = &out->injector;
  out->sink = (cosrel_sink){.self = out, .outcome = on_outcome, .segment = on_segment};
  size_t units = 0;
  for (uint32_t i = 0; i < n_scenes; i++) {
    size_t sum = 0;
    for (uint32_t s = 0; s < scenes[i].base.n_streams; s++) sum += scenes[i].base.streams[s].n_units + 1;
    if (sum > units) units = sum;
  }
  out->work_block = malloc(units * sizeof *out->work_block);
  if (out->work_block == NULL || cosrel_env_next_episode(out) != COSREL_OK) {
    cosrel_env_destroy(out);
    return cosrel_fail(error, COSREL_NOMEM, "no memory for a training environment");
  }
  return COSREL_OK;
}

void cosrel_env_destroy(cosrel_env *env) {
  cosrel_engine_destroy(&env->engine);
  free(env->work_block);
  free(env->choices);
  memset(env, 0, sizeof *env);
}

cosrel_status cosrel_env_advance(cosrel_env *env, cosrel_observation *o, double *reward, double *dt_ns, bool *cut) {
  cosrel_env_memory *m = &env->memory;
  const cosrel_case *c = &env->c;
  cosrel_state *state = env->engine.state;
  for (;;) {
    cosrel_step step;
    cosrel_status status = cosrel_engine_step(&env->engine, &step);
    if (status != COSREL_OK) return status;
    if (step == COSREL_STEP_DONE) return COSREL_INTERNAL; /* the horizon is out of reach */
    cosrel_observe(c, state, &m->objective, o);
    *cut = state->now >= (cosrel_time)(env->curriculum->episode_s * 1e9);
    if (o->n_choices >= 2 || *cut) break;
    /* A lone choice is row 0 to the end; none at all means that the only runnable unit is not among those seen. */
    cosrel_candidate choice = {0};
    if (o->n_choices == 1)
      choice = cosrel_observation_candidate(o, 0, COSREL_RUN_LENGTHS - 1);
    else
      cosrel_state_candidates(c, state, &choice, 1);
    status = cosrel_engine_decide(&env->engine, &choice);
    if (status != COSREL_OK) return status;
  }
  double full_w = c->base_w;
  for (uint32_t p = 0; p < c->n_processors; p++) full_w += c->busy_w[p];
  double spent = (state->energy_mj - m->interval_mj) / (full_w * env->tau_ns * 1e-6);
  *dt_ns = (double)(state->now - m->interval);
  *reward = m->reward - m->objective.energy / weight_sum(&m->objective) * spent;
  double promised = potential(env, state);
  *reward += exp(-*dt_ns / env->tau_ns) * promised - m->promised;
  m->reward = 0;
  m->promised = promised;
  m->interval = state->now;
  m->interval_mj = state->energy_mj;
  return COSREL_OK;
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
  double reward, dt_ns;
  bool cut;
  env->memory.episode = episode - 1;
  cosrel_status status = cosrel_env_next_episode(env);
  for (uint32_t i = 0; status == COSREL_OK; i++) {
    status = cosrel_env_advance(env, o, &reward, &dt_ns, &cut);
    if (status != COSREL_OK || i == n_choices) break;
    status = cut ? COSREL_FORMAT : cosrel_env_decide(env, &choices[i]);
    if (status == COSREL_INVALID) status = COSREL_FORMAT;
  }
  return status;
}
