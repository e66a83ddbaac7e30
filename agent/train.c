#include "agent/train.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/adam.h"
#include "agent/rollout.h"
#include "agent/safetensors.h"
#include "sched/metrics.h"
#include "sched/rng.h"

enum { CHUNKS = 4 }; /* of a minibatch: fixed, so that sums do not depend on the number of threads */
enum { DRAW_ACT = 1, DRAW_SHUFFLE, DRAW_NET, DRAW_VALIDATE };

enum { OPEN, CLOSED, LOOPS };

/* A network with its Adam moments. */
typedef struct learner {
  cosrel_mlp net, m, v;
} learner;

struct cosrel_trainer {
  cosrel_train_options options;
  const cosrel_scene *scenes;
  uint32_t n_scenes, first_validated;
  cosrel_env *envs;         /* [n_envs] */
  cosrel_rollout *rollouts; /* [n_envs] */
  cosrel_sample *samples;   /* [n_envs * n_steps] */
  float *start_share;       /* [n_scenes - first_validated] shares of the bound of the untrained net */
  uint32_t *order;          /* [n_envs * n_steps] */
  cosrel_loss_scratch *scratch[CHUNKS];
  cosrel_mlp *gradients; /* [CHUNKS]; the first takes the sum */

  /* what a checkpoint holds, with the environments */
  learner learners[LOOPS];
  cosrel_normaliser normaliser;
  cosrel_agent best; /* each net of it from the iteration that was best in its loop */
  struct {
    uint64_t iteration, adam_steps[LOOPS];
    double best_open, best_closed;
  } progress;
};

cosrel_train_options cosrel_train_defaults(void) {
  return (cosrel_train_options){
      .decisions = 1500000,
      .seed = 1,
      .threads = 1,
      .n_envs = 64,
      .n_steps = 128,
      .n_closed = 16,
      .epochs = 3,
      .minibatch = 1024,
      .rate = 1e-3,
      .lambda = 0.97,
      .max_norm = 0.5,
      .weights = {.clip = 0.2f, .entropy = 0.003f, .value = 0.5f},
      .validate_every = 40,
      .validate_s = 3,
      .curriculum = {.poisson_share = 0.35,
                     .periodic_share = 0.4,
                     .rare = 0.4,
                     .load_low = 0.4,
                     .load_high = 1.2,
                     .episode_s = 4,
                     .tau_open_s = 0.1,
                     .tau_closed_s = 0.2},
  };
}

/* Shift and scale from what the untrained policy sees, one iteration long. Features that hardly move are not blown up.
 */
static void moments(const float *x, size_t n, uint32_t size, float *mean, float *scale) {
  for (uint32_t f = 0; f < size; f++) {
    double sum = 0, square = 0;
    for (size_t i = 0; i < n; i++) sum += x[i * size + f], square += (double)x[i * size + f] * x[i * size + f];
    double average = n > 0 ? sum / (double)n : 0, variance = n > 0 ? square / (double)n - average * average : 0;
    mean[f] = (float)average;
    scale[f] = (float)(1 / fmax(sqrt(fmax(variance, 0)), 0.1));
  }
}

static const cosrel_normaliser *identity(cosrel_normaliser *n) {
  memset(n, 0, sizeof *n);
  for (int f = 0; f < COSREL_ROW_SIZE; f++) n->row_scale[f] = 1;
  for (int f = 0; f < COSREL_CONTEXT_SIZE; f++) n->context_scale[f] = 1;
  return n;
}

/* Environments [first, last) of a loop. */
static uint32_t first_env(const cosrel_trainer *t, int loop) {
  return loop == OPEN ? 0 : t->options.n_envs - t->options.n_closed;
}
static uint32_t last_env(const cosrel_trainer *t, int loop) {
  return loop == OPEN ? t->options.n_envs - t->options.n_closed : t->options.n_envs;
}

static cosrel_status collect(cosrel_trainer *t, const cosrel_normaliser *normaliser) {
  cosrel_status status = COSREL_OK;
  uint32_t n_envs = t->options.n_envs;
  uint64_t key = cosrel_rng_key(cosrel_rng_key(t->options.seed, DRAW_ACT), t->progress.iteration);
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->options.threads)
  for (uint32_t e = 0; e < n_envs; e++) {
    const cosrel_mlp *net = &t->learners[t->envs[e].closed ? CLOSED : OPEN].net;
    cosrel_status own = cosrel_rollout_fill(&t->rollouts[e], &t->envs[e], net, normaliser, cosrel_rng_key(key, e));
    if (own != COSREL_OK) {
#pragma omp critical
      status = own;
    }
  }
  return status;
}

static cosrel_status warm_up(cosrel_trainer *t) {
  cosrel_normaliser none;
  cosrel_status status = collect(t, identity(&none));
  if (status != COSREL_OK) return status;
  uint32_t n_envs = t->options.n_envs, n_steps = t->options.n_steps;
  size_t n_rows = 0;
  for (uint32_t e = 0; e < n_envs; e++)
    n_rows += t->rollouts[e].steps[n_steps - 1].first_row + t->rollouts[e].steps[n_steps - 1].n_rows;
  float *rows = malloc((n_rows + 1) * COSREL_ROW_SIZE * sizeof *rows);
  float *contexts = malloc((size_t)n_envs * n_steps * COSREL_CONTEXT_SIZE * sizeof *contexts);
  if (rows == NULL || contexts == NULL) {
    status = COSREL_NOMEM;
  } else {
    size_t at = 0;
    for (uint32_t e = 0; e < n_envs; e++) {
      const cosrel_rollout *r = &t->rollouts[e];
      uint32_t used = r->steps[n_steps - 1].first_row + r->steps[n_steps - 1].n_rows;
      memcpy(&contexts[(size_t)e * n_steps * COSREL_CONTEXT_SIZE], r->contexts,
             (size_t)n_steps * COSREL_CONTEXT_SIZE * sizeof *contexts);
      for (uint32_t i = 0; i < used; i++) {
        const float *x = &r->rows[(size_t)i * COSREL_ROW_SIZE];
        if (x[COSREL_ROW_is_wait] == 0) memcpy(&rows[at++ * COSREL_ROW_SIZE], x, COSREL_ROW_SIZE * sizeof *x);
      }
    }
    moments(rows, at, COSREL_ROW_SIZE, t->normaliser.row_mean, t->normaliser.row_scale);
    moments(contexts, (size_t)n_envs * n_steps, COSREL_CONTEXT_SIZE, t->normaliser.context_mean,
            t->normaliser.context_scale);
  }
  free(rows);
  free(contexts);
  return status;
}

static cosrel_status keep_best(cosrel_trainer *t, cosrel_train_report *report);

cosrel_status cosrel_trainer_create(const cosrel_scene *scenes, uint32_t n_scenes, uint32_t n_train,
                                    uint32_t first_validated, const cosrel_train_options *options, cosrel_trainer **out,
                                    cosrel_error *error) {
  cosrel_trainer *t = calloc(1, sizeof *t);
  *out = NULL;
  if (t == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for training");
  t->options = *options;
  t->scenes = scenes;
  t->n_scenes = n_scenes;
  t->first_validated = first_validated;
  uint32_t batch = options->n_envs * options->n_steps, max_rows = 0;
  for (uint32_t i = 0; i < n_scenes; i++) {
    uint32_t rows = cosrel_observation_max_rows(&scenes[i].base);
    if (rows > max_rows) max_rows = rows;
  }
  openblas_set_num_threads(1); /* threads are ours: one BLAS call per chunk */
  t->envs = calloc(options->n_envs, sizeof *t->envs);
  t->rollouts = calloc(options->n_envs, sizeof *t->rollouts);
  t->samples = calloc(batch, sizeof *t->samples);
  t->start_share = calloc(n_scenes - first_validated + 1, sizeof *t->start_share);
  t->order = calloc(batch, sizeof *t->order);
  t->gradients = calloc(CHUNKS, sizeof *t->gradients);
  cosrel_status status =
      t->envs && t->rollouts && t->samples && t->start_share && t->order && t->gradients ? COSREL_OK : COSREL_NOMEM;
  for (int i = 0; i < CHUNKS && status == COSREL_OK; i++)
    status = cosrel_loss_scratch_create((options->minibatch + CHUNKS - 1) / CHUNKS, max_rows, &t->scratch[i]);
  for (uint32_t e = 0; e < options->n_envs && status == COSREL_OK; e++) {
    status = cosrel_rollout_create(options->n_steps, max_rows, &t->rollouts[e]);
    if (status == COSREL_OK)
      status = cosrel_env_create(scenes, n_train, &t->options.curriculum, e >= first_env(t, CLOSED), options->seed, e,
                                 &t->envs[e], error);
  }
  if (status == COSREL_OK) {
    for (uint64_t loop = 0; loop < LOOPS; loop++)
      cosrel_mlp_init(&t->learners[loop].net, cosrel_rng_key(cosrel_rng_key(options->seed, DRAW_NET), loop));
    t->progress.best_open = t->progress.best_closed = -INFINITY;
    status = warm_up(t);
    cosrel_train_report untrained = {0};
    if (status == COSREL_OK) status = keep_best(t, &untrained);
  }
  if (status != COSREL_OK) {
    cosrel_trainer_destroy(t);
    return cosrel_fail(error, status, "training cannot start: %s", cosrel_status_text(status));
  }
  *out = t;
  return COSREL_OK;
}

void cosrel_trainer_destroy(cosrel_trainer *t) {
  if (t == NULL) return;
  for (uint32_t e = 0; t->envs && e < t->options.n_envs; e++) cosrel_env_destroy(&t->envs[e]);
  for (uint32_t e = 0; t->rollouts && e < t->options.n_envs; e++) cosrel_rollout_destroy(&t->rollouts[e]);
  for (int i = 0; i < CHUNKS; i++) cosrel_loss_scratch_destroy(t->scratch[i]);
  free(t->envs);
  free(t->rollouts);
  free(t->samples);
  free(t->start_share);
  free(t->order);
  free(t->gradients);
  free(t);
}

uint64_t cosrel_trainer_iterations(const cosrel_trainer *t) {
  uint64_t batch = (uint64_t)t->options.n_envs * t->options.n_steps;
  return (t->options.decisions + batch - 1) / batch;
}

uint64_t cosrel_trainer_iteration(const cosrel_trainer *t) { return t->progress.iteration; }

bool cosrel_trainer_done(const cosrel_trainer *t) { return t->progress.iteration >= cosrel_trainer_iterations(t); }

static void shuffle(uint32_t *order, uint32_t n, uint64_t key) {
  for (uint32_t i = 0; i < n; i++) order[i] = i;
  for (uint32_t i = n - 1; i > 0; i--) {
    uint32_t j = cosrel_rng_below(cosrel_rng_key(key, i), i + 1), keep = order[i];
    order[i] = order[j], order[j] = keep;
  }
}

/* Advantages of samples [from, to) to mean 0 and deviation 1. */
static void normalise_advantages(cosrel_trainer *t, uint32_t from, uint32_t to) {
  double n = to - from, mean = 0, square = 0;
  for (uint32_t i = from; i < to; i++) {
    double advantage = t->samples[i].rollout->steps[t->samples[i].step].advantage;
    mean += advantage / n, square += advantage * advantage / n;
  }
  double deviation = sqrt(fmax(square - mean * mean, 0)) + 1e-8;
  for (uint32_t i = from; i < to; i++)
    t->samples[i].advantage = (float)((t->samples[i].rollout->steps[t->samples[i].step].advantage - mean) / deviation);
}

/* One Adam step on n samples. */
static void learn_minibatch(cosrel_trainer *t, int loop, const cosrel_sample *batch, uint32_t n, double rate,
                            const cosrel_loss_weights *weights, cosrel_loss_sums *total, double *norm) {
  learner *own = &t->learners[loop];
  cosrel_loss_sums sums[CHUNKS];
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->options.threads)
  for (int k = 0; k < CHUNKS; k++) {
    uint32_t from = n * (uint32_t)k / CHUNKS, to = n * (uint32_t)(k + 1) / CHUNKS;
    cosrel_loss_gradient(&own->net, &batch[from], to - from, weights, 1.0f / (float)n, t->scratch[k], &t->gradients[k],
                         &sums[k]);
  }
  float *g = (float *)&t->gradients[0];
  for (int k = 1; k < CHUNKS; k++) {
    const float *other = (const float *)&t->gradients[k];
    for (size_t i = 0; i < COSREL_MLP_SIZE; i++) g[i] += other[i];
  }
  for (int k = 0; k < CHUNKS; k++) {
    total->policy += sums[k].policy, total->value += sums[k].value, total->entropy += sums[k].entropy;
    total->kl += sums[k].kl, total->clipped += sums[k].clipped;
  }
  *norm += cosrel_adam_step((float *)&own->net, (float *)&own->m, (float *)&own->v, g, COSREL_MLP_SIZE,
                            ++t->progress.adam_steps[loop], rate, t->options.max_norm);
}

/* Passes of one network over its samples. */
static void learn(cosrel_trainer *t, int loop, double rate, const cosrel_loss_weights *weights,
                  cosrel_train_report *report) {
  const cosrel_train_options *o = &t->options;
  uint32_t first = first_env(t, loop) * o->n_steps, size = last_env(t, loop) * o->n_steps - first, steps = 0;
  normalise_advantages(t, first, first + size);
  cosrel_loss_sums sums = {0};
  double norm = 0, seen = (double)size * o->epochs;
  uint64_t key = cosrel_rng_key(cosrel_rng_key(o->seed, DRAW_SHUFFLE), t->progress.iteration);
  for (uint32_t epoch = 0; epoch < o->epochs; epoch++) {
    shuffle(t->order, size, cosrel_rng_key(key, epoch));
    for (uint32_t from = 0; from < size; from += o->minibatch, steps++) {
      cosrel_sample batch[COSREL_MINIBATCH_MAX];
      uint32_t n = size - from < o->minibatch ? size - from : o->minibatch;
      for (uint32_t i = 0; i < n; i++) batch[i] = t->samples[first + t->order[from + i]];
      learn_minibatch(t, loop, batch, n, rate, weights, &sums, &norm);
    }
  }
  if (loop == CLOSED) return;
  report->policy_loss = sums.policy / seen, report->value_loss = sums.value / seen;
  report->entropy = sums.entropy / seen, report->kl = sums.kl / seen, report->clip_share = sums.clipped / seen;
  report->gradient_norm = norm / steps;
  report->rate = rate;
}

static void summarise(const cosrel_trainer *t, cosrel_train_report *report) {
  double reward = 0, seconds = 0, mean = 0, square = 0, error = 0;
  uint32_t n = last_env(t, OPEN) * t->options.n_steps;
  for (uint32_t i = 0; i < n; i++) {
    const cosrel_experience *e = &t->samples[i].rollout->steps[t->samples[i].step];
    reward += e->reward;
    seconds -= log(fmax(e->discount, 1e-30)); /* in time constants, which make returns comparable between cases */
    mean += e->target / n, square += (double)e->target * e->target / n;
    error += pow((double)e->target - e->value, 2) / n;
  }
  double variance = square - mean * mean;
  report->reward = seconds > 0 ? reward / seconds : 0;
  report->explained_variance = variance > 0 ? 1 - error / variance : 0;
}

/* A net for closed loops must not fall below this share of what the untrained one, near the base heuristic, reaches on
 * any validation scene: a mean can hide a starved stream. */
static const double least_share = 0.97;

/* Mean over streams of their mean utility. */
static double utility_of_streams(const cosrel_case *c, const cosrel_state *state) {
  double sum = 0;
  for (uint32_t s = 0; s < c->n_streams; s++)
    if (state->streams[s].arrived > 0) sum += state->streams[s].utility / (double)state->streams[s].arrived;
  return sum / c->n_streams;
}

/* What a policy is chosen by: in open loop U where every stream counts `rare`, over several loads and kinds of
 * arrivals; in closed loop the share of the bound on G. */
static cosrel_status validate(cosrel_trainer *t, const cosrel_agent *agent, cosrel_train_report *report) {
  static const struct {
    cosrel_arrivals_kind kind;
    double load;
  } settings[] = {{COSREL_ARRIVALS_CLOSED, 0},   {COSREL_ARRIVALS_POISSON, 0.6},  {COSREL_ARRIVALS_POISSON, 1},
                  {COSREL_ARRIVALS_BURSTY, 0.8}, {COSREL_ARRIVALS_PERIODIC, 0.7}, {COSREL_ARRIVALS_PERIODIC, 1}};
  enum { SETTINGS = sizeof settings / sizeof *settings };
  uint32_t n = (t->n_scenes - t->first_validated) * SETTINGS;
  double *values = calloc(n, sizeof *values);
  cosrel_status status = values == NULL ? COSREL_NOMEM : COSREL_OK;
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->options.threads)
  for (uint32_t i = 0; i < n; i++) {
    if (values == NULL) continue;
    const cosrel_scene *scene = &t->scenes[t->first_validated + i / SETTINGS];
    cosrel_injector injector = {.plan = &t->options.curriculum.faults};
    const cosrel_sim sim = {.noise = true, .injector = injector.plan->n > 0 ? &injector : NULL};
    cosrel_case c = scene->base; /* borrows the tables */
    cosrel_case_set_arrivals(&c, settings[i % SETTINGS].kind);
    cosrel_bound_apply(&scene->bound, &c);
    cosrel_case_set_load(&c, settings[i % SETTINGS].load);
    cosrel_engine engine = {0};
    cosrel_metrics *metrics = NULL;
    cosrel_policy policy = {0};
    cosrel_result result;
    cosrel_status own = cosrel_engine_create(&c, cosrel_sim_driver(&sim), &engine, NULL);
    if (own == COSREL_OK) own = cosrel_metrics_create(&c, &metrics);
    if (own == COSREL_OK) own = cosrel_agent_policy(agent, &c, 0, &policy, NULL);
    if (own == COSREL_OK) {
      engine.sinks = cosrel_metrics_sink(metrics);
      own = cosrel_engine_run(&engine, &policy, cosrel_rng_key(t->options.seed, DRAW_VALIDATE),
                              (cosrel_time)(t->options.validate_s * 1e9), NULL);
    }
    if (own == COSREL_OK) {
      cosrel_metrics_result(metrics, &engine, &result);
      if (settings[i % SETTINGS].kind == COSREL_ARRIVALS_CLOSED)
        values[i] = result.bound_share;
      else
        values[i] = (1 - t->options.curriculum.rare) * result.u +
                    t->options.curriculum.rare * utility_of_streams(&c, engine.state);
    }
    if (policy.ops != NULL) cosrel_policy_destroy(&policy);
    cosrel_metrics_destroy(metrics);
    cosrel_engine_destroy(&engine);
    if (own != COSREL_OK) {
#pragma omp critical
      status = own;
    }
  }
  double closed = 0, open = 0;
  bool first = t->progress.iteration == 0;
  report->sound = true;
  for (uint32_t i = 0; values != NULL && i < n; i++) {
    if (settings[i % SETTINGS].kind != COSREL_ARRIVALS_CLOSED) {
      open += values[i];
      continue;
    }
    closed += values[i];
    float *start = &t->start_share[i / SETTINGS];
    if (first) *start = (float)values[i];
    if (values[i] < least_share * (double)*start) report->sound = false;
  }
  uint32_t n_validated = n / SETTINGS; /* scenes; each is closed once and open otherwise */
  report->score_closed = closed / n_validated;
  report->score_open = open / (n - n_validated);
  free(values);
  return status;
}

static cosrel_agent present(const cosrel_trainer *t) {
  return (cosrel_agent){.open = t->learners[OPEN].net, .closed = t->learners[CLOSED].net, .normaliser = t->normaliser};
}

static cosrel_status keep_best(cosrel_trainer *t, cosrel_train_report *report) {
  cosrel_agent agent = present(t);
  cosrel_status status = validate(t, &agent, report);
  if (status != COSREL_OK) return status;
  report->validated = true;
  t->best.normaliser = t->normaliser;
  if (report->score_open > t->progress.best_open) {
    t->progress.best_open = report->score_open;
    t->best.open = agent.open;
  }
  if (report->sound && report->score_closed > t->progress.best_closed) {
    t->progress.best_closed = report->score_closed;
    t->best.closed = agent.closed;
  }
  return COSREL_OK;
}

cosrel_status cosrel_trainer_iterate(cosrel_trainer *t, cosrel_train_report *report, cosrel_error *error) {
  const cosrel_train_options *o = &t->options;
  memset(report, 0, sizeof *report);
  uint64_t total = cosrel_trainer_iterations(t);
  /* Rate and exploration decay linearly to 0. */
  double left = 1 - (double)t->progress.iteration / (double)total, rate = o->rate * left;
  cosrel_loss_weights weights = o->weights;
  weights.entropy *= (float)left;
  cosrel_status status = collect(t, &t->normaliser);
  if (status != COSREL_OK) return cosrel_fail(error, status, "training failed: %s", cosrel_status_text(status));
  for (uint32_t e = 0; e < o->n_envs; e++) {
    cosrel_gae(t->rollouts[e].steps, o->n_steps, (float)o->lambda);
    for (uint32_t i = 0; i < o->n_steps; i++) t->samples[e * o->n_steps + i] = (cosrel_sample){&t->rollouts[e], i, 0};
  }
  summarise(t, report);
  for (int loop = 0; loop < LOOPS; loop++) learn(t, loop, rate, &weights, report);
  t->progress.iteration++;
  if (t->progress.iteration % o->validate_every == 0 || t->progress.iteration == total) status = keep_best(t, report);
  report->iteration = t->progress.iteration;
  report->decisions = t->progress.iteration * o->n_envs * o->n_steps;
  report->best_open = t->progress.best_open;
  report->best_closed = t->progress.best_closed;
  if (status != COSREL_OK) return cosrel_fail(error, status, "validation failed: %s", cosrel_status_text(status));
  return COSREL_OK;
}

void cosrel_trainer_best(const cosrel_trainer *t, cosrel_agent *out) { *out = t->best; }

/* ---- checkpoints ------------------------------------------------------------------------------------------------- */

static cosrel_safetensor floats(const char *name, const void *data, uint64_t n) {
  return (cosrel_safetensor){name, "F32", 1, n, data};
}
static cosrel_safetensor raw(const char *name, const void *data, uint64_t n) {
  return (cosrel_safetensor){name, "U8", 1, n, data};
}

cosrel_status cosrel_trainer_save(const cosrel_trainer *t, const char *path, const char *key, cosrel_error *error) {
  uint32_t n_envs = t->options.n_envs, n = 0;
  cosrel_safetensor *tensors = calloc(16 + 2 * (size_t)n_envs, sizeof *tensors);
  char(*names)[2][32] = calloc(n_envs, sizeof *names);
  cosrel_status status = COSREL_NOMEM;
  if (tensors != NULL && names != NULL) {
    tensors[n++] = floats("open.net", &t->learners[OPEN].net, COSREL_MLP_SIZE);
    tensors[n++] = floats("open.m", &t->learners[OPEN].m, COSREL_MLP_SIZE);
    tensors[n++] = floats("open.v", &t->learners[OPEN].v, COSREL_MLP_SIZE);
    tensors[n++] = floats("closed.net", &t->learners[CLOSED].net, COSREL_MLP_SIZE);
    tensors[n++] = floats("closed.m", &t->learners[CLOSED].m, COSREL_MLP_SIZE);
    tensors[n++] = floats("closed.v", &t->learners[CLOSED].v, COSREL_MLP_SIZE);
    tensors[n++] = floats("normaliser", &t->normaliser, sizeof t->normaliser / sizeof(float));
    tensors[n++] = floats("best_open", &t->best.open, COSREL_MLP_SIZE);
    tensors[n++] = floats("best_closed", &t->best.closed, COSREL_MLP_SIZE);
    tensors[n++] = floats("best_normaliser", &t->best.normaliser, sizeof t->normaliser / sizeof(float));
    tensors[n++] = raw("progress", &t->progress, sizeof t->progress);
    for (uint32_t e = 0; e < n_envs; e++) {
      snprintf(names[e][0], sizeof names[e][0], "env%u.episode", e);
      snprintf(names[e][1], sizeof names[e][1], "env%u.choices", e);
      const cosrel_env *env = &t->envs[e];
      tensors[n++] = raw(names[e][0], &env->memory.episode, sizeof env->memory.episode);
      tensors[n++] = raw(names[e][1], env->choices, env->n_choices * sizeof *env->choices);
    }
    const cosrel_metadata metadata[] = {{"format", "cosrel-checkpoint"}, {"version", "1"}, {"key", key}};
    status = cosrel_safetensors_write(path, tensors, n, metadata, 3, error);
  }
  free(tensors);
  free(names);
  return status;
}

static cosrel_status restore_env(cosrel_trainer *t, uint32_t e, const cosrel_safetensors *file, cosrel_error *error) {
  char name[32];
  uint64_t episode;
  const void *bytes;
  size_t size;
  snprintf(name, sizeof name, "env%u.episode", e);
  cosrel_status status = cosrel_safetensors_get(file, name, "U8", 1, sizeof episode, &episode, error);
  if (status != COSREL_OK) return status;
  snprintf(name, sizeof name, "env%u.choices", e);
  status = cosrel_safetensors_bytes(file, name, &bytes, &size, error);
  if (status != COSREL_OK) return status;
  uint32_t n = (uint32_t)(size / sizeof(cosrel_candidate)); /* a file is smaller than 4 GB */
  cosrel_candidate *choices = malloc(size + 1);             /* the file's bytes may lie unaligned */
  if (choices == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: no memory for %s", file->where, name);
  memcpy(choices, bytes, size);
  cosrel_observation *o = &t->rollouts[e].observation;
  o->rows = t->rollouts[e].spare_rows;
  status = size % sizeof *choices == 0 ? cosrel_env_restore(&t->envs[e], episode, choices, n, o) : COSREL_FORMAT;
  free(choices);
  if (status != COSREL_OK) cosrel_fail(error, status, "%s: %s: does not fit this training", file->where, name);
  return status;
}

/* What no training writes: moments that are squares are not negative, and progress has bounds. */
static bool plausible(const cosrel_trainer *t) {
  for (int loop = 0; loop < LOOPS; loop++) {
    const float *v = (const float *)&t->learners[loop].v;
    for (size_t i = 0; i < COSREL_MLP_SIZE; i++)
      if (!(v[i] >= 0)) return false;
    if (t->progress.adam_steps[loop] >= UINT64_C(1) << 53) return false;
  }
  return t->progress.iteration <= cosrel_trainer_iterations(t) && isfinite(t->progress.best_open) &&
         isfinite(t->progress.best_closed);
}

cosrel_status cosrel_trainer_restore(cosrel_trainer *t, const char *path, const char *key, cosrel_error *error) {
  cosrel_safetensors file;
  cosrel_status status = cosrel_safetensors_read(path, &file, error);
  if (status != COSREL_OK) return status;
  const char *format = cosrel_safetensors_text(&file, "format"), *its_key = cosrel_safetensors_text(&file, "key");
  if (format == NULL || strcmp(format, "cosrel-checkpoint") != 0)
    status = cosrel_fail(error, COSREL_FORMAT, "%s: __metadata__.format: expected cosrel-checkpoint", path);
  else if (its_key == NULL || strcmp(its_key, key) != 0)
    status = cosrel_fail(error, COSREL_FORMAT,
                         "%s: the checkpoint is of a training with other options, profiles or workloads", path);
  uint64_t n = sizeof t->normaliser / sizeof(float);
#define GET(name, dtype, size, to) \
  if (status == COSREL_OK) status = cosrel_safetensors_get(&file, name, dtype, 1, size, to, error)
  GET("open.net", "F32", COSREL_MLP_SIZE, &t->learners[OPEN].net);
  GET("open.m", "F32", COSREL_MLP_SIZE, &t->learners[OPEN].m);
  GET("open.v", "F32", COSREL_MLP_SIZE, &t->learners[OPEN].v);
  GET("closed.net", "F32", COSREL_MLP_SIZE, &t->learners[CLOSED].net);
  GET("closed.m", "F32", COSREL_MLP_SIZE, &t->learners[CLOSED].m);
  GET("closed.v", "F32", COSREL_MLP_SIZE, &t->learners[CLOSED].v);
  GET("normaliser", "F32", n, &t->normaliser);
  GET("best_open", "F32", COSREL_MLP_SIZE, &t->best.open);
  GET("best_closed", "F32", COSREL_MLP_SIZE, &t->best.closed);
  GET("best_normaliser", "F32", n, &t->best.normaliser);
  GET("progress", "U8", sizeof t->progress, &t->progress);
#undef GET
  for (uint32_t e = 0; e < t->options.n_envs && status == COSREL_OK; e++) status = restore_env(t, e, &file, error);
  if (status == COSREL_OK && !plausible(t))
    status = cosrel_fail(error, COSREL_FORMAT, "%s: progress or moments that no training has", path);
  cosrel_safetensors_close(&file);
  return status;
}
