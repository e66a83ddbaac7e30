/* Training by branching: many environments play, some of their decisions become lessons (what would every choice have
 * led to? agent/branch.h), and a network learns to prefer what was worth more (agent/loss.h).
 *
 * An iteration: every environment plays on by the present network until it has n_lessons (in parallel), and the
 * network makes `epochs` passes of Adam steps over shuffled minibatches; then the lessons are forgotten. So the
 * situations are those that the network itself gets into (DAgger, Ross et al., AISTATS 2011). Each minibatch is cut
 * into a fixed number of chunks whose gradients are added in order, and every draw is keyed by (seed, environment,
 * iteration): the result is the same, bit for bit, at any number of threads. A checkpoint holds everything, so a run
 * that was killed goes on as if it had not been. */
#ifndef COSREL_AGENT_TRAIN_H
#define COSREL_AGENT_TRAIN_H

#include "agent/agent.h"
#include "agent/env.h"
#include "agent/loss.h"

#define COSREL_MINIBATCH_MAX 4096

typedef struct cosrel_train_options {
  uint64_t decisions; /* to learn from, rounded up to whole iterations */
  uint64_t seed;
  uint32_t threads;
  uint32_t n_envs, n_lessons; /* decisions of an iteration: n_envs * n_lessons */
  uint32_t epochs, minibatch;
  double rate, max_norm, entropy; /* rate and weight of the entropy decay to 0 */
  uint32_t validate_every;        /* iterations */
  double validate_requests;       /* of a validation run, about */
  cosrel_taste taste;
  cosrel_curriculum curriculum;
} cosrel_train_options;

cosrel_train_options cosrel_train_defaults(void);

/* What one iteration did. */
typedef struct cosrel_train_report {
  uint64_t iteration, decisions; /* done so far */
  double utility;                /* mean of the requests that ended meanwhile */
  double gain, most; /* of the policy over the base heuristic, in requests a decision; what there was to gain */
  double policy_loss, entropy, gradient_norm, rate;
  bool validated;
  double score, best_score; /* of validation: U where every stream counts `rare`; the best so far */
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
