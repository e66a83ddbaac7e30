/* A training environment: a simulated device that plays one episode after another and pays rewards.
 *
 * The reward of an interval between two decisions is the sum of what happened in it, discounted to its beginning:
 *   open loop    each ended request, times the weight of its stream:
 *                w_latency * clip(1 - (NTT - 1) / 4, -2, 1) + w_throughput * (in time ? 1 : -1/4);
 *                a drop counts -1/4 for latency: less bad than ending far too late, so that giving up what is lost
 * pays. Divided by the requests expected within tau. weight = 1 - rare + rare * min(4, mean rate / rate of the stream):
 * with rare = 0 every request counts alike (U), with 1 every stream does (ANTT). closed loop  each finished segment:
 * the share of the request that it did, times T * min(4, mean NP / NP of the stream), weighted w_latency +
 * w_throughput, divided by streams * tau: a step up the mean log progress. both         - w_energy * energy / (full
 * power * tau)
 *                + exp(-dt / tau) phi(after) - phi(before), phi being what live requests promise: their value at the
 *                expected end, discounted from there (open), that of the running segments (closed). Potential-based
 *                shaping (Ng, Harada and Russell, ICML 1999) leaves the best policy as it is and pays a choice when
 *                made.
 * so that a return is about 1 for perfect service in every case. tau is the time constant of the discount; it
 * must see past the longest model: measured, 0.2 s instead of 18 T in closed loop made training worse than where it
 * started.
 */
#ifndef COSREL_AGENT_ENV_H
#define COSREL_AGENT_ENV_H

#include <stdint.h>

#include "backends/sim/sim.h"
#include "sched/bound.h"
#include "sched/case.h"
#include "sched/engine.h"
#include "sched/observe.h"

/* What training draws episodes from: a case with its bound, shared read-only by all environments. */
typedef struct cosrel_scene {
  cosrel_case base;
  cosrel_bound bound;
} cosrel_scene;

/* Which arrivals and loads an episode in open loop may have, and what is rewarded. */
typedef struct cosrel_curriculum {
  double poisson_share, periodic_share; /* the rest is bursty */
  double rare;                          /* 0..1: how much every stream, not every request, counts alike */
  double load_low, load_high;
  double episode_s;
  double tau_open_s, tau_closed_s;
  cosrel_injection_plan faults; /* of every episode; none of them may last to the end */
} cosrel_curriculum;

/* What an episode is, and the present interval of it. */
typedef struct cosrel_env_memory {
  uint64_t episode;
  uint32_t scene, arrivals;
  double load;
  cosrel_objective objective;
  double reward;        /* of the present interval so far */
  double promised;      /* the potential at its beginning */
  cosrel_time interval; /* when it began */
  double interval_mj;   /* energy then */
} cosrel_env_memory;

typedef struct cosrel_env {
  const cosrel_scene *scenes;
  uint32_t n_scenes;
  const cosrel_curriculum *curriculum;
  uint64_t key;  /* of all its draws */
  bool closed;   /* all its episodes are closed loops */
  cosrel_case c; /* the scene's, with this episode's arrivals and load; its tables are borrowed */
  cosrel_sim sim;
  cosrel_injector injector;
  cosrel_engine engine;
  cosrel_sink sink;
  cosrel_env_memory memory;
  cosrel_candidate *choices; /* of the present episode so far, owned; what a checkpoint keeps */
  uint32_t n_choices, room;
  double tau_ns, expected;           /* discount; requests (open) or streams (closed) that a return is divided by */
  double weight[COSREL_STREAMS_MAX]; /* of a stream's requests in open loop */
  double *work[COSREL_STREAMS_MAX];  /* [n_units + 1] prefix sums of the cheapest mean cost of each unit */
  double *work_block;
} cosrel_env;

/* `index` tells environments of one training run apart; `closed`: it plays closed loops only, else open ones only.
 * Scenes and curriculum are borrowed; `out` must not move. */
cosrel_status cosrel_env_create(const cosrel_scene *scenes, uint32_t n_scenes, const cosrel_curriculum *curriculum,
                                bool closed, uint64_t seed, uint32_t index, cosrel_env *out, cosrel_error *error);
void cosrel_env_destroy(cosrel_env *env);

/* Runs on to a decision with two or more choices, taking single ones itself. *reward is that of the interval since the
 * last call, *dt_ns its length. *cut is set when the episode is over at this state: it is an ordinary state whose value
 * may be used, after which cosrel_env_next_episode must be called. */
cosrel_status cosrel_env_advance(cosrel_env *env, cosrel_observation *o, double *reward, double *dt_ns, bool *cut);
cosrel_status cosrel_env_next_episode(cosrel_env *env);

/* Applies a choice, to be called between two advances; COSREL_INVALID when it is not legal. */
cosrel_status cosrel_env_decide(cosrel_env *env, const cosrel_candidate *choice);

/* Plays an episode again up to where a checkpoint was written: since every draw is keyed, its number and the choices
 * made in it say all. COSREL_FORMAT when these choices cannot have been made in it. `o` is scratch. */
cosrel_status cosrel_env_restore(cosrel_env *env, uint64_t episode, const cosrel_candidate *choices, uint32_t n_choices,
                                 cosrel_observation *o);

#endif
