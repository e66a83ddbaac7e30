/* A training environment: a simulated device that plays one episode after another, each on an open-loop case of its
 * own. It knows nothing of what is to be learnt: agent/branch.h measures what its decisions are worth. */
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

/* Which arrivals and loads an episode in open loop may have, and when it is cut: after episode_s, or after about
 * episode_requests where they come fast, so that fast devices do not make up most of what is learnt from. */
typedef struct cosrel_curriculum {
  double poisson_share, periodic_share; /* the rest is bursty */
  double load_low, load_high;
  double episode_s, episode_requests;
  cosrel_injection_plan faults; /* of every episode; none of them may last to the end */
} cosrel_curriculum;

/* What an episode is. */
typedef struct cosrel_env_memory {
  uint64_t episode;
  uint32_t scene, arrivals;
  double load;
  cosrel_objective objective;
} cosrel_env_memory;

typedef struct cosrel_env {
  const cosrel_scene *scenes;
  uint32_t n_scenes;
  const cosrel_curriculum *curriculum;
  uint64_t key;  /* of all its draws */
  cosrel_case c; /* the scene's, with this episode's arrivals and load; its tables are borrowed */
  cosrel_sim sim;
  cosrel_injector injector;
  cosrel_engine engine;
  cosrel_env_memory memory;
  cosrel_candidate *choices; /* of the present episode so far, owned; what a checkpoint keeps */
  uint32_t n_choices, room;
  cosrel_time end; /* when the episode is cut */
} cosrel_env;

/* `index` tells environments of one training run apart. Scenes and curriculum are borrowed; `out` must not move. */
cosrel_status cosrel_env_create(const cosrel_scene *scenes, uint32_t n_scenes, const cosrel_curriculum *curriculum,
                                uint64_t seed, uint32_t index, cosrel_env *out, cosrel_error *error);
void cosrel_env_destroy(cosrel_env *env);

/* Runs on to a decision with two or more choices, taking single ones itself. *cut is set when the episode is over at
 * this state, after which cosrel_env_next_episode must be called. */
cosrel_status cosrel_env_advance(cosrel_env *env, cosrel_observation *o, bool *cut);
cosrel_status cosrel_env_next_episode(cosrel_env *env);

/* Applies a choice, to be called between two advances; COSREL_INVALID when it is not legal. */
cosrel_status cosrel_env_decide(cosrel_env *env, const cosrel_candidate *choice);

/* Plays an episode again up to where a checkpoint was written: since every draw is keyed, its number and the choices
 * made in it say all. COSREL_FORMAT when these choices cannot have been made in it. `o` is scratch. */
cosrel_status cosrel_env_restore(cosrel_env *env, uint64_t episode, const cosrel_candidate *choices, uint32_t n_choices,
                                 cosrel_observation *o);

#endif
