/* PPO over simulated devices: many environments play, and a network learns from all of them.
 *
 * Two networks are trained side by side, one on the environments in open loop and one on those in closed loop, which
 * share nothing but the normaliser: one network for both was worse in closed loop than the heuristic it started from.
 *
 * An iteration: every environment plays n_steps decisions (in parallel), advantages are estimated, and each network
 * makes `epochs` passes of Adam steps over shuffled minibatches. Each minibatch is cut into a fixed number of chunks
 * whose gradients are added in order, and every draw is keyed by (seed, environment, iteration): the result is the
 * same, bit for bit, at any number of threads. A checkpoint holds everything, so a run that was killed goes on as if it
 * had not been. */
#ifndef COSREL_AGENT_TRAIN_H
#define COSREL_AGENT_TRAIN_H

#include "agent/agent.h"
#include "agent/env.h"
#include "agent/loss.h"

#define COSREL_MINIBATCH_MAX 4096

typedef struct cosrel_train_options {
  uint64_t decisions; /* to train on, rounded up to whole iterations */
  uint64_t seed;
  uint32_t threads;
  uint32_t n_envs, n_steps; /* decisions of an iteration: n_envs * n_steps */
  uint32_t n_closed;        /* environments, the last ones, that play closed loops; 0 < n_closed < n_envs */
  uint32_t epochs, minibatch;
  double rate, lambda, max_norm;
  cosrel_loss_weights weights;
  uint32_t validate_every; /* iterations */
  double validate_s;       /* length of a validation run */
  cosrel_curriculum curriculum;
} cosrel_train_options;

cosrel_train_options cosrel_train_defaults(void);

/* What one iteration did. */
typedef struct cosrel_train_report {
  uint64_t iteration, decisions; /* done so far */
  double reward;                 /* mean per second of simulated time */
  double policy_loss, value_loss, entropy, kl, clip_share, explained_variance, gradient_norm, rate; /* open loop */
  bool validated, sound;           /* sound: in no closed loop much worse than where training started */
  double score_open, score_closed; /* of validation, see train.c */
  double best_open, best_closed;   /* the best of each so far */
} cosrel_train_report;

typedef struct cosrel_trainer cosrel_trainer;

/* Trains on scenes [0, n_train) and validates on scenes [first_validated, n_scenes); the two may overlap. Scenes are
 * borrowed and must outlive the trainer. */
cosrel_status cosrel_trainer_create(const cosrel_scene *scenes, uint32_t n_scenes, uint32_t n_train,
                                    uint32_t first_validated, const cosrel_train_options *options, cosrel_trainer **out,
                                    cosrel_error *error);
void cosrel_trainer_destroy(cosrel_trainer *trainer);

uint64_t cosrel_trainer_iterations(const cosrel_trainer *trainer); /* that the whole run takes */
uint64_t cosrel_trainer_iteration(const cosrel_trainer *trainer);  /* done so far */
bool cosrel_trainer_done(const cosrel_trainer *trainer);
cosrel_status cosrel_trainer_iterate(cosrel_trainer *trainer, cosrel_train_report *report, cosrel_error *error);

/* The best agent on validation so far. */
void cosrel_trainer_best(const cosrel_trainer *trainer, cosrel_agent *out);

/* `key` names what is trained (options, profiles, workloads); restoring checks that it is the same. */
cosrel_status cosrel_trainer_save(const cosrel_trainer *trainer, const char *path, const char *key,
                                  cosrel_error *error);
cosrel_status cosrel_trainer_restore(cosrel_trainer *trainer, const char *path, const char *key, cosrel_error *error);

#endif
