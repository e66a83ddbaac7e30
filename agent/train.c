#include "agent/train.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/adam.h"
#include "agent/experience.h"
#include "agent/safetensors.h"
#include "sched/metrics.h"
#include "sched/rng.h"

enum { CHUNKS = 4 }; /* of a minibatch: fixed, so that sums do not depend on the number of threads */
enum { DRAW_ACT = 1, DRAW_SHUFFLE, DRAW_NET, DRAW_VALIDATE };

/* A network with its Adam moments, and the average of what it has been lately (Polyak and Juditsky, SIAM J. Control
 * Optim. 30(4), 1992), which is steadier and is what is validated and kept. */
typedef struct learner {
  cosrel_mlp net, m, v, average;
} learner;

static const float average_share = 0.005f; /* of a step's net in the average */

struct cosrel_trainer {
  cosrel_train_options options;
  const cosrel_scene *scenes;
  uint32_t n_scenes, first_validated;
  cosrel_env *envs;               /* [n_envs] */
  cosrel_experience *experiences; /* [n_envs] */
  float *start_share;             /* [n_scenes - first_validated] shares of the bound of the untrained net */
  uint32_t *order;                /* [n_envs * n_lessons] */
  cosrel_loss_scratch *scratch[CHUNKS];
  cosrel_mlp *gradients; /* [CHUNKS]; the first takes the sum */

  /* what a checkpoint holds, with the environments */
  learner learner;
  cosrel_normaliser normaliser;
  cosrel_agent best; /* on validation */
  struct {
    uint64_t iteration, adam_steps;
    double best_score;
  } progress;
};

cosrel_train_options cosrel_train_defaults(void) {
  return (cosrel_train_options){
      .decisions = 600000,
      .seed = 1,
      .threads = 1,
      .n_envs = 64,
      .n_lessons = 64,
      .epochs = 4,
      .minibatch = 512,
      .rate = 1e-3,
      .max_norm = 0.5,
      .entropy = 0.03,
      .validate_every = 20,
      .validate_requests = 600,
      .taste = {.rare = 0.4, .late = 0.5},
      .curriculum = {.poisson_share = 0.35,
                     .periodic_share = 0.4,
                     .load_low = 0.4,
                     .load_high = 1.2,
                     .episode_s = 4,
                     .episode_requests = 800},
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

/* Lessons of all environments. `normaliser` NULL: features as they are, and nothing is measured. */
static cosrel_status collect(cosrel_trainer *t, const cosrel_normaliser *normaliser) {
  cosrel_status status = COSREL_OK;
  cosrel_normaliser none;
  uint64_t key = cosrel_rng_key(cosrel_rng_key(t->options.seed, DRAW_ACT), t->progress.iteration);
  const cosrel_taste *taste = normaliser == NULL ? NULL : &t->options.taste;
  if (normaliser == NULL) normaliser = identity(&none);
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->options.threads)
  for (uint32_t e = 0; e < t->options.n_envs; e++) {
    cosrel_status own = cosrel_experience_fill(&t->experiences[e], &t->envs[e], &t->learner.net, normaliser, taste,
                                               cosrel_rng_key(key, e));
    if (own != COSREL_OK) {
#pragma omp critical
      status = own;
    }
  }
  return status;
}

static uint32_t rows_used(const cosrel_experience *e) {
  const cosrel_lesson *last = &e->lessons[e->n_lessons - 1];
  return last->first_row + last->n_rows;
}

static cosrel_status warm_up(cosrel_trainer *t) {
  cosrel_status status = collect(t, NULL);
  if (status != COSREL_OK) return status;
  uint32_t n_envs = t->options.n_envs, n_lessons = t->options.n_lessons;
  size_t n_rows = 0, at = 0;
  for (uint32_t e = 0; e < n_envs; e++) n_rows += rows_used(&t->experiences[e]);
  float *rows = malloc((n_rows + 1) * COSREL_ROW_SIZE * sizeof *rows);
  float *contexts = malloc((size_t)n_envs * n_lessons * COSREL_CONTEXT_SIZE * sizeof *contexts);
  if (rows == NULL || contexts == NULL) status = COSREL_NOMEM;
  for (uint32_t e = 0; e < n_envs && status == COSREL_OK; e++) {
    const cosrel_experience *x = &t->experiences[e];
    memcpy(&contexts[(size_t)e * n_lessons * COSREL_CONTEXT_SIZE], x->contexts,
           (size_t)n_lessons * COSREL_CONTEXT_SIZE * sizeof *contexts);
    for (uint32_t i = 0; i < rows_used(x); i++) {
      const float *row = &x->rows[(size_t)i * COSREL_ROW_SIZE];
      if (row[COSREL_ROW_is_wait] == 0) memcpy(&rows[at++ * COSREL_ROW_SIZE], row, COSREL_ROW_SIZE * sizeof *row);
    }
  }
  if (status == COSREL_OK) {
    moments(rows, at, COSREL_ROW_SIZE, t->normaliser.row_mean, t->normaliser.row_scale);
    moments(contexts, (size_t)n_envs * n_lessons, COSREL_CONTEXT_SIZE, t->normaliser.context_mean,
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
  uint32_t batch = options->n_envs * options->n_lessons, max_rows = 0;
  size_t state_size = 0;
  for (uint32_t i = 0; i < n_scenes; i++) {
    uint32_t rows = cosrel_observation_max_rows(&scenes[i].base);
    if (rows > max_rows) max_rows = rows;
    if (scenes[i].base.state_size > state_size) state_size = scenes[i].base.state_size;
  }
  openblas_set_num_threads(1); /* threads are ours: one BLAS call per chunk */
  t->envs = calloc(options->n_envs, sizeof *t->envs);
  t->experiences = calloc(options->n_envs, sizeof *t->experiences);
  t->order = calloc(batch, sizeof *t->order);
  t->gradients = calloc(CHUNKS, sizeof *t->gradients);
  cosrel_status status = t->envs && t->experiences && t->order && t->gradients ? COSREL_OK : COSREL_NOMEM;
  for (int i = 0; i < CHUNKS && status == COSREL_OK; i++)
    status = cosrel_loss_scratch_create((options->minibatch + CHUNKS - 1) / CHUNKS, max_rows, &t->scratch[i]);
  for (uint32_t e = 0; e < options->n_envs && status == COSREL_OK; e++) {
    status = cosrel_experience_create(options->n_lessons, max_rows, state_size, &t->experiences[e]);
    if (status == COSREL_OK)
      status = cosrel_env_create(scenes, n_train, &t->options.curriculum, options->seed, e, &t->envs[e], error);
  }
  if (status == COSREL_OK) {
    cosrel_mlp_init(&t->learner.net, cosrel_rng_key(options->seed, DRAW_NET));
    t->learner.average = t->learner.net;
    t->progress.best_score = -INFINITY;
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
  for (uint32_t e = 0; t->experiences && e < t->options.n_envs; e++) cosrel_experience_destroy(&t->experiences[e]);
  for (int i = 0; i < CHUNKS; i++) cosrel_loss_scratch_destroy(t->scratch[i]);
  free(t->envs);
  free(t->experiences);
  free(t->order);
  free(t->gradients);
  free(t);
}

uint64_t cosrel_trainer_iterations(const cosrel_trainer *t) {
  uint64_t batch = (uint64_t)t->options.n_envs * t->options.n_lessons;
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

/* One Adam step on n samples. */
static void learn_minibatch(cosrel_trainer *t, const cosrel_sample *batch, uint32_t n, double rate, double entropy,
                            cosrel_loss_sums *total, double *norm) {
  learner *own = &t->learner;
  cosrel_loss_sums sums[CHUNKS];
#pragma omp parallel for schedule(dynamic, 1) num_threads(t->options.threads)
  for (int k = 0; k < CHUNKS; k++) {
    uint32_t from = n * (uint32_t)k / CHUNKS, to = n * (uint32_t)(k + 1) / CHUNKS;
    cosrel_loss_gradient(&own->net, &batch[from], to - from, (float)entropy, 1.0f / (float)n, t->scratch[k],
                         &t->gradients[k], &sums[k]);
  }
  float *g = (float *)&t->gradients[0];
  for (int k = 1; k < CHUNKS; k++) {
    const float *other = (const float *)&t->gradients[k];
    for (size_t i = 0; i < COSREL_MLP_SIZE; i++) g[i] += other[i];
  }
  for (int k = 0; k < CHUNKS; k++) {
    total->gain += sums[k].gain, total->most += sums[k].most, total->entropy += sums[k].entropy;
  }
  *norm += cosrel_adam_step((float *)&own->net, (float *)&own->m, (float *)&own->v, g, COSREL_MLP_SIZE,
                            ++t->progress.adam_steps, rate, t->options.max_norm);
  const float *net = (const float *)&own->net;
  float *average = (float *)&own->average;
  for (size_t i = 0; i < COSREL_MLP_SIZE; i++) average[i] += average_share * (net[i] - average[i]);
}

/* Passes over all lessons. */
static void learn(cosrel_trainer *t, double rate, double entropy, cosrel_train_report *report) {
  const cosrel_train_options *o = &t->options;
  uint32_t size = o->n_envs * o->n_lessons, steps = 0;
  cosrel_loss_sums sums = {0};
  double norm = 0, seen = (double)size * o->epochs;
  uint64_t key = cosrel_rng_key(cosrel_rng_key(o->seed, DRAW_SHUFFLE), t->progress.iteration);
  for (uint32_t epoch = 0; epoch < o->epochs; epoch++) {
    shuffle(t->order, size, cosrel_rng_key(key, epoch));
    for (uint32_t from = 0; from < size; from += o->minibatch, steps++) {
      cosrel_sample batch[COSREL_MINIBATCH_MAX];
      uint32_t n = size - from < o->minibatch ? size - from : o->minibatch;
      for (uint32_t i = 0; i < n; i++) {
        uint32_t at = t->order[from + i];
        batch[i] = (cosrel_sample){&t->experiences[at / o->n_lessons], at % o->n_lessons};
      }
      learn_minibatch(t, batch, n, rate, entropy, &sums, &norm);
    }
  }
  double utility = 0, ended = 0;
  for (uint32_t e = 0; e < o->n_envs; e++) utility += t->experiences[e].utility, ended += t->experiences[e].ended;
  report->utility = ended > 0 ? utility / ended : 0;
  report->gain = sums.gain / seen, report->most = sums.most / seen, report->entropy = sums.entropy / seen;
  report->policy_loss = -report->gain - entropy * report->entropy;
  report->gradient_norm = norm / steps;
  report->rate = rate;
}

/* Mean over streams of their mean utility. */
static double utility_of_streams(const cosrel_case *c, const cosrel_state *state) {
  double sum = 0;
  for (uint32_t s = 0; s < c->n_streams; s++)
    if (state->streams[s].arrived > 0) sum += state->streams[s].utility / (double)state->streams[s].arrived;
  return sum / c->n_streams;
}

/* What a policy is chosen by: U where every stream counts `rare`, over several loads and kinds of arrivals. */
static cosrel_status validate(cosrel_trainer *t, const cosrel_agent *agent, cosrel_train_report *report) {
  static const struct {
    cosrel_arrivals_kind kind;
    double load;
  } settings[] = {{COSREL_ARRIVALS_POISSON, 0.6},
                  {COSREL_ARRIVALS_POISSON, 1},
                  {COSREL_ARRIVALS_BURSTY, 0.8},
                  {COSREL_ARRIVALS_PERIODIC, 0.7},
                  {COSREL_ARRIVALS_PERIODIC, 1}};
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
      double rate = 0;
      for (uint32_t s = 0; s < c.n_streams; s++) rate += c.streams[s].rate_hz;
      engine.sinks = cosrel_metrics_sink(metrics);
      own = cosrel_engine_run(&engine, &policy, cosrel_rng_key(t->options.seed, DRAW_VALIDATE),
                              (cosrel_time)(t->options.validate_requests / rate * 1e9), NULL);
    }
    if (own == COSREL_OK) {
      cosrel_metrics_result(metrics, &engine, &result);
      values[i] = (1 - t->options.taste.rare) * result.u + t->options.taste.rare * utility_of_streams(&c, engine.state);
    }
    if (policy.ops != NULL) cosrel_policy_destroy(&policy);
    cosrel_metrics_destroy(metrics);
    cosrel_engine_destroy(&engine);
    if (own != COSREL_OK) {
#pragma omp critical
      status = own;
    }
  }
  double sum = 0; /* in order, whoever computed them */
  for (uint32_t i = 0; values != NULL && i < n; i++) sum += values[i];
  report->score = sum / n;
  free(values);
  return status;
}

static cosrel_status keep_best(cosrel_trainer *t, cosrel_train_report *report) {
  const cosrel_agent agent = {.net = t->learner.average, .normaliser = t->normaliser};
  cosrel_status status = validate(t, &agent, report);
  if (status != COSREL_OK) return status;
  report->validated = true;
  if (report->score > t->progress.best_score) {
    t->progress.best_score = report->score;
    t->best = agent;
  }
  return COSREL_OK;
}

cosrel_status cosrel_trainer_iterate(cosrel_trainer *t, cosrel_train_report *report, cosrel_error *error) {
  const cosrel_train_options *o = &t->options;
  memset(report, 0, sizeof *report);
  uint64_t total = cosrel_trainer_iterations(t);
  /* Rate and exploration decay linearly to 0. */
  double left = 1 - (double)t->progress.iteration / (double)total;
  cosrel_status status = collect(t, &t->normaliser);
  if (status != COSREL_OK) return cosrel_fail(error, status, "training failed: %s", cosrel_status_text(status));
  learn(t, o->rate * left, o->entropy * left, report);
  t->progress.iteration++;
  if (t->progress.iteration % o->validate_every == 0 || t->progress.iteration == total) status = keep_best(t, report);
  report->iteration = t->progress.iteration;
  report->decisions = t->progress.iteration * o->n_envs * o->n_lessons;
  report->best_score = t->progress.best_score;
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
    tensors[n++] = floats("net", &t->learner.net, COSREL_MLP_SIZE);
    tensors[n++] = floats("m", &t->learner.m, COSREL_MLP_SIZE);
    tensors[n++] = floats("v", &t->learner.v, COSREL_MLP_SIZE);
    tensors[n++] = floats("average", &t->learner.average, COSREL_MLP_SIZE);
    tensors[n++] = floats("normaliser", &t->normaliser, sizeof t->normaliser / sizeof(float));
    tensors[n++] = floats("best_net", &t->best.net, COSREL_MLP_SIZE);
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
  cosrel_observation *o = &t->experiences[e].observation;
  status = size % sizeof *choices == 0 ? cosrel_env_restore(&t->envs[e], episode, choices, n, o) : COSREL_FORMAT;
  free(choices);
  if (status != COSREL_OK) cosrel_fail(error, status, "%s: %s: does not fit this training", file->where, name);
  return status;
}

/* What no training writes: moments that are squares are not negative, and progress has bounds. */
static bool plausible(const cosrel_trainer *t) {
  const float *v = (const float *)&t->learner.v;
  for (size_t i = 0; i < COSREL_MLP_SIZE; i++)
    if (!(v[i] >= 0)) return false;
  return t->progress.adam_steps < UINT64_C(1) << 53 && t->progress.iteration <= cosrel_trainer_iterations(t) &&
         isfinite(t->progress.best_score);
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
  GET("net", "F32", COSREL_MLP_SIZE, &t->learner.net);
  GET("m", "F32", COSREL_MLP_SIZE, &t->learner.m);
  GET("v", "F32", COSREL_MLP_SIZE, &t->learner.v);
  GET("average", "F32", COSREL_MLP_SIZE, &t->learner.average);
  GET("normaliser", "F32", n, &t->normaliser);
  GET("best_net", "F32", COSREL_MLP_SIZE, &t->best.net);
  GET("best_normaliser", "F32", n, &t->best.normaliser);
  GET("progress", "U8", sizeof t->progress, &t->progress);
#undef GET
  for (uint32_t e = 0; e < t->options.n_envs && status == COSREL_OK; e++) status = restore_env(t, e, &file, error);
  if (status == COSREL_OK && !plausible(t))
    status = cosrel_fail(error, COSREL_FORMAT, "%s: progress or moments that no training has", path);
  cosrel_safetensors_close(&file);
  return status;
}
