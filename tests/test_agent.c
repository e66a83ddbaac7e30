/* The agent: gradients against finite differences, branches against whole runs, training that does not depend
 * on threads or kills, policy files that do not lie, and a policy that stays sane when its network does not. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/adam.h"
#include "agent/agent.h"
#include "agent/devices.h"
#include "agent/mixes.h"
#include "agent/safetensors.h"
#include "agent/train.h"
#include "sched/metrics.h"
#include "sched/policies/base.h"
#include "tests/fixtures.h"
#include "traces/file.h"

static void near(double a, double b, double relative) {
  if (!(fabs(a - b) <= relative * (fabs(b) + 1e-9))) fail_msg("%.9g is not within %g of %.9g", a, relative, b);
}

static void ok(cosrel_status status, const cosrel_error *error) {
  if (status != COSREL_OK) fail_msg("%s: %s", cosrel_status_text(status), error->text);
}

/* ---- scenes to train on ---------------------------------------------------------------------------------------------
 */

enum { SCENES = 3 };
typedef struct world {
  fixture f[SCENES];
  cosrel_scene scenes[SCENES];
} world;

static void world_begin(world *w) {
  cosrel_error error = {""};
  for (uint32_t i = 0; i < SCENES; i++) {
    fixture *f = &w->f[i];
    fixture_begin(f, 3);
    fixture_random_model(f, "a", 12, false, 10 + i);
    fixture_random_model(f, "b", 9, true, 20 + i);
    fixture_random_model(f, "c", 6, false, 30 + i);
    fixture_overheads(f, 0.05, 0.1);
    fixture_disturb(f, 0.4, 0.1);
    fixture_stream(f, "a", COSREL_ARRIVALS_POISSON, 60)->drop_late = true;
    fixture_stream(f, "b", COSREL_ARRIVALS_POISSON, 80)->drop_late = true;
    fixture_stream(f, "c", COSREL_ARRIVALS_POISSON, 50)->drop_late = true;
    fixture_compile(f);
    w->scenes[i].base = f->c; /* borrows the tables */
    ok(cosrel_bound_solve(&f->c, &w->scenes[i].bound, &error), &error);
  }
}

static void world_end(world *w) {
  for (uint32_t i = 0; i < SCENES; i++) fixture_end(&w->f[i]);
}

static cosrel_train_options small_options(uint32_t threads, uint64_t iterations) {
  cosrel_train_options o = cosrel_train_defaults();
  o.threads = threads;
  o.n_envs = 6;
  o.n_lessons = 16;
  o.minibatch = 32;
  o.decisions = iterations * o.n_envs * o.n_lessons;
  o.validate_every = 4;
  o.validate_requests = 100;
  o.curriculum.episode_s = 0.3; /* short, so that episodes are cut inside an iteration */
  return o;
}

static cosrel_trainer *new_trainer(world *w, const cosrel_train_options *o) {
  cosrel_trainer *trainer;
  cosrel_error error = {""};
  ok(cosrel_trainer_create(w->scenes, SCENES, SCENES, 0, o, &trainer, &error), &error);
  return trainer;
}

static void iterate(cosrel_trainer *trainer, int n, cosrel_train_report *report) {
  cosrel_error error = {""};
  for (int i = 0; i < n; i++) ok(cosrel_trainer_iterate(trainer, report, &error), &error);
}

/* ---- mathematics ----------------------------------------------------------------------------------------------------
 */

/* Experience, and a net that is not at its start. */
enum { LESSONS = 48 };
typedef struct sampled {
  world w;
  cosrel_curriculum curriculum;
  cosrel_env env;
  cosrel_experience experience;
  cosrel_mlp net;
  cosrel_sample samples[LESSONS];
} sampled;

static sampled *sampled_new(void) {
  sampled *s = calloc(1, sizeof *s);
  const cosrel_taste taste = {.rare = 0.3, .late = 0.3};
  cosrel_error error = {""};
  cosrel_normaliser none = {0};
  world_begin(&s->w);
  s->curriculum = small_options(1, 1).curriculum;
  for (int f = 0; f < COSREL_ROW_SIZE; f++) none.row_scale[f] = 1;
  for (int f = 0; f < COSREL_CONTEXT_SIZE; f++) none.context_scale[f] = 1;
  cosrel_mlp_init(&s->net, 5);
  for (uint32_t i = 0; i < COSREL_MLP_SIZE; i++)
    ((float *)&s->net)[i] += 0.1f * (float)(cosrel_rng_uniform(cosrel_rng_key(77, i)) - 0.5);
  uint32_t max_rows = 0;
  size_t state_size = 0;
  for (int i = 0; i < SCENES; i++) {
    const cosrel_case *c = &s->w.scenes[i].base;
    if (cosrel_observation_max_rows(c) > max_rows) max_rows = cosrel_observation_max_rows(c);
    if (c->state_size > state_size) state_size = c->state_size;
  }
  ok(cosrel_experience_create(LESSONS, max_rows, state_size, &s->experience), &error);
  ok(cosrel_env_create(s->w.scenes, SCENES, &s->curriculum, 3, 0, &s->env, &error), &error);
  ok(cosrel_experience_fill(&s->experience, &s->env, &s->net, &none, &taste, 9), &error);
  for (uint32_t i = 0; i < LESSONS; i++) s->samples[i] = (cosrel_sample){&s->experience, i};
  return s;
}

static void sampled_free(sampled *s) {
  cosrel_env_destroy(&s->env);
  cosrel_experience_destroy(&s->experience);
  world_end(&s->w);
  free(s);
}

static const float entropy_weight = 0.05f;

static double loss_at(const cosrel_mlp *net, sampled *s, cosrel_loss_scratch *scratch, cosrel_mlp *gradient) {
  cosrel_loss_sums sums;
  cosrel_loss_gradient(net, s->samples, LESSONS, entropy_weight, 1, scratch, gradient, &sums);
  return -sums.gain - (double)entropy_weight * sums.entropy;
}

/* Directional derivatives along random directions within each tensor, by central differences. */
static void test_gradient_matches_finite_differences(void **unused) {
  (void)unused;
  sampled *s = sampled_new();
  cosrel_loss_scratch *scratch;
  cosrel_mlp *g = malloc(sizeof *g), *other = malloc(sizeof *other), *moved = malloc(sizeof *moved);
  assert_int_equal(cosrel_loss_scratch_create(LESSONS, s->experience.max_rows, &scratch), COSREL_OK);
  loss_at(&s->net, s, scratch, g);
  static const struct {
    const char *name;
    size_t first, n;
  } tensors[] = {
#define X(name, rows, columns) {#name, offsetof(cosrel_mlp, name) / sizeof(float), (size_t)(rows) * (columns)},
      COSREL_MLP_TENSORS(X)
#undef X
  };
  for (size_t t = 0; t < sizeof tensors / sizeof *tensors; t++)
    for (uint64_t draw = 0; draw < 3; draw++) {
      const float *gradient = (const float *)g + tensors[t].first;
      double along = 0, square = 0, wave[COSREL_CONTEXT_SIZE * COSREL_HIDDEN1];
      for (size_t i = 0; i < tensors[t].n; i++) {
        /* half noise, half along the gradient, so that the derivative is not lost in rounding */
        wave[i] = cosrel_rng_normal(cosrel_rng_key(cosrel_rng_key(draw, t), i));
        square += wave[i] * wave[i];
      }
      double norm = 0;
      for (size_t i = 0; i < tensors[t].n; i++) norm += (double)gradient[i] * (double)gradient[i];
      for (size_t i = 0; i < tensors[t].n; i++) {
        wave[i] = wave[i] / sqrt(square) + (double)gradient[i] / (sqrt(norm) + 1e-12);
        along += wave[i] * (double)gradient[i];
      }
      const double h = 5e-4;
      double up, down;
      *moved = s->net;
      for (size_t i = 0; i < tensors[t].n; i++) ((float *)moved)[tensors[t].first + i] += (float)(h * wave[i]);
      up = loss_at(moved, s, scratch, other);
      *moved = s->net;
      for (size_t i = 0; i < tensors[t].n; i++) ((float *)moved)[tensors[t].first + i] -= (float)(h * wave[i]);
      down = loss_at(moved, s, scratch, other);
      double slope = (up - down) / (2 * h);
      if (fabs(slope - along) > 0.02 * fabs(along) + 2e-3)
        fail_msg("%s: finite differences say %g, the gradient %g", tensors[t].name, slope, along);
    }
  cosrel_loss_scratch_destroy(scratch);
  free(g);
  free(other);
  free(moved);
  sampled_free(s);
}

/* The logits of a lesson, by the pass for one decision. Returns how many choices there are, offered or not. */
static uint32_t logits_of(const sampled *s, uint32_t i, float logits[32 * COSREL_RUN_LENGTHS]) {
  const cosrel_experience *e = &s->experience;
  const cosrel_lesson *lesson = &e->lessons[i];
  cosrel_row_choice choices[32] = {{0}};
  cosrel_observation o = {
      .n_rows = lesson->n_rows, .rows = &e->rows[lesson->first_row * COSREL_ROW_SIZE], .choices = choices};
  assert_in_range(lesson->n_rows, 1, 32);
  memcpy(o.context, &e->contexts[i * COSREL_CONTEXT_SIZE], sizeof o.context);
  for (uint32_t r = 0; r < lesson->n_rows; r++) {
    uint8_t bits = e->tried[lesson->first_row + r];
    for (int k = 0; k < COSREL_RUN_LENGTHS; k++) choices[r].ends[k] = bits >> k & 1;
    choices[r].is_base = (bits & COSREL_TRIED_BASE) != 0;
  }
  cosrel_mlp_logits(&s->net, &o, logits);
  return lesson->n_rows * COSREL_RUN_LENGTHS;
}

/* What the policy gains, decision by decision and from the batched pass. */
static double gain_of(const sampled *s, double *entropy) {
  double gain = 0;
  *entropy = 0;
  for (uint32_t i = 0; i < LESSONS; i++) {
    float logits[32 * COSREL_RUN_LENGTHS];
    const float *values = &s->experience.values[s->experience.lessons[i].first_row * COSREL_RUN_LENGTHS];
    uint32_t n = logits_of(s, i, logits);
    double sum = 0;
    for (uint32_t k = 0; k < n; k++) sum += exp((double)logits[k]);
    for (uint32_t k = 0; k < n; k++) {
      double p = exp((double)logits[k]) / sum;
      gain += p * (double)values[k];
      if (p > 0) *entropy -= p * log(p);
    }
  }
  return gain;
}

static void test_both_forward_passes_agree(void **unused) {
  (void)unused;
  sampled *s = sampled_new();
  cosrel_loss_scratch *scratch;
  cosrel_loss_sums sums;
  cosrel_mlp *g = malloc(sizeof *g);
  double entropy, gain = gain_of(s, &entropy);
  assert_int_equal(cosrel_loss_scratch_create(LESSONS, s->experience.max_rows, &scratch), COSREL_OK);
  cosrel_loss_gradient(&s->net, s->samples, LESSONS, entropy_weight, 1, scratch, g, &sums);
  assert_true(fabs(gain) > 0.01 && entropy > 1 && sums.most > 0);
  near(sums.gain, gain, 1e-3);
  near(sums.entropy, entropy, 1e-3);
  cosrel_loss_scratch_destroy(scratch);
  free(g);
  sampled_free(s);
}

static double utility_of(const cosrel_case *c, const cosrel_state *state) {
  double sum = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) sum += state->streams[s].utility;
  return sum;
}

/* Plays choices out with the engine, luck included; utility at the end. Sets *end to when that was. */
static double played_out(const cosrel_case *c, const cosrel_state *state, const cosrel_candidate *choice,
                         cosrel_time *end) {
  const cosrel_sim sim = {.noise = true};
  cosrel_engine engine;
  cosrel_error error = {""};
  cosrel_step step;
  ok(cosrel_engine_create(c, cosrel_sim_driver(&sim), &engine, &error), &error);
  memcpy(engine.state, state, c->state_size);
  ok(cosrel_engine_decide(&engine, choice), &error);
  for (;;) {
    ok(cosrel_engine_step(&engine, &step), &error);
    if (step == COSREL_STEP_DONE) break;
    cosrel_candidate next = cosrel_base_decide(NULL, c, engine.state);
    ok(cosrel_engine_decide(&engine, &next), &error);
  }
  double utility = utility_of(c, engine.state);
  *end = engine.state->now;
  cosrel_engine_destroy(&engine);
  return utility;
}

/* Where a run ends before the branches do, their values are what whole runs make of the same choices. */
static void test_branches_match_whole_runs(void **unused) {
  (void)unused;
  world w;
  world_begin(&w);
  const cosrel_taste plain = {0};
  const cosrel_objective utility_only = {.latency = 1};
  const cosrel_sim sim = {.noise = true};
  cosrel_error error = {""};
  uint32_t compared = 0, differ = 0;
  for (uint64_t seed = 0; seed < 60; seed++) {
    const cosrel_case *c = &w.scenes[seed % SCENES].base;
    uint32_t max_rows = cosrel_observation_max_rows(c);
    cosrel_engine engine;
    cosrel_step step;
    double mean = 0;
    for (uint32_t s = 0; s < c->n_streams; s++) mean += c->streams[s].isolated_ns / c->n_streams;
    cosrel_observation o = {.rows = fixture_alloc(max_rows, COSREL_ROW_SIZE * sizeof(float)),
                            .choices = fixture_alloc(max_rows, sizeof(cosrel_row_choice))};
    float *values = fixture_alloc(max_rows, COSREL_RUN_LENGTHS * sizeof(float));
    bool *tried = fixture_alloc(max_rows, COSREL_RUN_LENGTHS * sizeof(bool));
    cosrel_state *scratch = fixture_alloc(1, c->state_size), *before = fixture_alloc(1, c->state_size);
    ok(cosrel_engine_create(c, cosrel_sim_driver(&sim), &engine, &error), &error);
    cosrel_engine_reset(&engine, seed, 50 * COSREL_MS);
    for (;;) {
      ok(cosrel_engine_step(&engine, &step), &error);
      if (step == COSREL_STEP_DONE) break;
      cosrel_candidate base = cosrel_base_decide(NULL, c, engine.state);
      cosrel_observe(c, engine.state, &utility_only, &o);
      memcpy(before, engine.state, c->state_size);
      for (uint32_t i = 0; i < o.n_rows * COSREL_RUN_LENGTHS; i++)
        tried[i] = cosrel_choice_offered(&o.choices[i / COSREL_RUN_LENGTHS], (int)(i % COSREL_RUN_LENGTHS));
      cosrel_branch_values(c, engine.state, &utility_only, &plain, &o, tried, scratch, values);
      assert_memory_equal(before, engine.state, c->state_size);
      cosrel_time end, horizon = engine.state->now + (cosrel_time)(4 * mean);
      double reference = played_out(c, engine.state, &base, &end);
      for (uint32_t i = 0; i < o.n_rows * COSREL_RUN_LENGTHS && end <= horizon; i++) {
        uint32_t row = i / COSREL_RUN_LENGTHS, length = i % COSREL_RUN_LENGTHS;
        if (!tried[i]) continue;
        cosrel_candidate choice = cosrel_observation_candidate(&o, row, length);
        cosrel_time own_end;
        double expected = played_out(c, engine.state, &choice, &own_end) - reference;
        if (own_end > horizon) continue;
        if (fabs((double)values[i] - fmax(-2, fmin(expected, 2))) > 1e-4)
          fail_msg("a branch is worth %g, the whole run %g", (double)values[i], expected);
        compared++;
        differ += fabs(expected) > 1e-3;
      }
      ok(cosrel_engine_decide(&engine, &base), &error);
    }
    cosrel_engine_destroy(&engine);
    free(o.rows);
    free(o.choices);
    free(values);
    free(tried);
    free(scratch);
    free(before);
  }
  assert_true(compared > 200 && differ > 50);
  world_end(&w);
}

/* Two steps by hand: with g = 1 each time m^ = v^ = 1, so w falls by rate / (1 + eps) a step. Then the norm is clipped.
 */
static void test_adam_by_hand(void **unused) {
  (void)unused;
  float w = 3, m = 0, v = 0;
  for (uint64_t t = 1; t <= 2; t++) {
    float g = 1;
    near(cosrel_adam_step(&w, &m, &v, &g, 1, t, 0.1, 10), 1, 1e-12);
    near((double)w, 3 - 0.1 * (double)t, 1e-5);
  }
  float big[2] = {30, 40}, none[6] = {0};
  near(cosrel_adam_step(none, none + 2, none + 4, big, 2, 1, 0.1, 5), 50, 1e-9);
  near((double)big[0], 3, 1e-6);
  near((double)big[1], 4, 1e-6);
}

/* ---- training -------------------------------------------------------------------------------------------------------
 */

static void train_bytes(world *w, uint32_t threads, int stop_at, const char *path) {
  cosrel_error error = {""};
  cosrel_train_report report;
  cosrel_train_options o = small_options(threads, 9);
  cosrel_trainer *trainer = new_trainer(w, &o);
  char checkpoint[] = "/tmp/cosrel-test-XXXXXX";
  int fd = mkstemp(checkpoint);
  assert_true(fd >= 0);
  close(fd);
  if (stop_at > 0) {
    iterate(trainer, stop_at, &report);
    ok(cosrel_trainer_save(trainer, checkpoint, "key", &error), &error);
    cosrel_trainer_destroy(trainer); /* all that is left is the file */
    trainer = new_trainer(w, &o);
    assert_int_equal(cosrel_trainer_restore(trainer, checkpoint, "another key", &error), COSREL_FORMAT);
    ok(cosrel_trainer_restore(trainer, checkpoint, "key", &error), &error);
    assert_int_equal(cosrel_trainer_iteration(trainer), stop_at);
  }
  while (!cosrel_trainer_done(trainer)) iterate(trainer, 1, &report);
  cosrel_agent *best = calloc(1, sizeof *best);
  cosrel_trainer_best(trainer, best);
  ok(cosrel_agent_write(path, best, &error), &error);
  free(best);
  cosrel_trainer_destroy(trainer);
  remove(checkpoint);
}

static void test_threads_and_kills_change_nothing(void **unused) {
  (void)unused;
  world w;
  world_begin(&w);
  char *bytes[4];
  size_t size[4];
  cosrel_error error = {""};
  static const struct {
    uint32_t threads;
    int stop_at;
  } runs[4] = {{1, 0}, {2, 0}, {3, 5}, {1, 1}};
  char path[] = "/tmp/cosrel-test-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  for (int i = 0; i < 4; i++) {
    train_bytes(&w, runs[i].threads, runs[i].stop_at, path);
    ok(cosrel_file_read(path, 1 << 24, &bytes[i], &size[i], &error), &error);
  }
  for (int i = 1; i < 4; i++) {
    assert_int_equal(size[i], size[0]);
    assert_memory_equal(bytes[i], bytes[0], size[0]);
  }
  for (int i = 0; i < 4; i++) free(bytes[i]);
  remove(path);
  world_end(&w);
}

/* Learning, without the noise of a simulator: whatever run has the largest duration_log is worth 1, all else 0. */
static void test_learning_finds_what_pays(void **unused) {
  (void)unused;
  sampled *s = sampled_new();
  cosrel_loss_scratch *scratch;
  cosrel_mlp *g = malloc(sizeof *g), *m = calloc(1, sizeof *m), *v = calloc(1, sizeof *v);
  cosrel_loss_sums sums;
  assert_int_equal(cosrel_loss_scratch_create(LESSONS, s->experience.max_rows, &scratch), COSREL_OK);
  for (uint32_t i = 0; i < LESSONS; i++) {
    const cosrel_lesson *lesson = &s->experience.lessons[i];
    const float *x = &s->experience.rows[lesson->first_row * COSREL_ROW_SIZE];
    float *values = &s->experience.values[lesson->first_row * COSREL_RUN_LENGTHS];
    uint32_t best = 0;
    for (uint32_t r = 1; r < lesson->n_rows; r++)
      if (x[r * COSREL_ROW_SIZE + COSREL_ROW_duration_log] > x[best * COSREL_ROW_SIZE + COSREL_ROW_duration_log])
        best = r;
    for (uint32_t c = 0; c < lesson->n_rows * COSREL_RUN_LENGTHS; c++) values[c] = c / COSREL_RUN_LENGTHS == best;
  }
  double entropy, start = gain_of(s, &entropy) / LESSONS;
  for (uint64_t step = 1; step <= 600; step++) {
    cosrel_loss_gradient(&s->net, s->samples, LESSONS, entropy_weight, 1.0f / LESSONS, scratch, g, &sums);
    cosrel_adam_step((float *)&s->net, (float *)m, (float *)v, (float *)g, COSREL_MLP_SIZE, step, 3e-3, 0.5);
  }
  double good = gain_of(s, &entropy) / LESSONS;
  if (start > 0.6 || good < 0.85) fail_msg("the policy found what pays in %g of all cases, and now in %g", start, good);
  cosrel_loss_scratch_destroy(scratch);
  free(g);
  free(m);
  free(v);
  sampled_free(s);
}

static void test_mixes_are_workloads(void **unused) {
  (void)unused;
  world w;
  world_begin(&w);
  uint32_t sizes = 0;
  for (uint64_t key = 0; key < 200; key++) {
    cosrel_workload *a = calloc(2, sizeof *a), *b = a + 1;
    cosrel_error error = {""};
    cosrel_mix_draw(&w.f[0].profile, 7, key, a);
    cosrel_mix_draw(&w.f[0].profile, 7, key, b);
    assert_memory_equal(a, b, sizeof *a);
    ok(cosrel_workload_check(a, "mix", &error), &error);
    sizes |= 1u << a->n_streams;
    free(a);
  }
  assert_int_equal(sizes, 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6);
  world_end(&w);
}

/* Random devices are sound profiles, the same for the same key, and some have a processor more. */
static void test_devices_are_profiles(void **unused) {
  (void)unused;
  world w;
  world_begin(&w);
  uint32_t twins = 0;
  for (uint64_t key = 0; key < 20; key++) {
    cosrel_profile a, b;
    cosrel_error error = {""};
    ok(cosrel_device_draw(&w.f[0].profile, key, &a, &error), &error);
    ok(cosrel_device_draw(&w.f[0].profile, key, &b, &error), &error);
    ok(cosrel_profile_check(&a, "device", &error), &error);
    assert_int_equal(a.n_processors, b.n_processors);
    twins += a.n_processors > w.f[0].profile.n_processors;
    for (uint32_t p = 0; p < a.n_processors; p++)
      assert_true(cosrel_profile_cost(&a, 0, 3, p, COSREL_FP32)->mean_ns ==
                  cosrel_profile_cost(&b, 0, 3, p, COSREL_FP32)->mean_ns);
    assert_true(cosrel_profile_cost(&a, 0, 3, 0, COSREL_FP32)->mean_ns !=
                cosrel_profile_cost(&w.f[0].profile, 0, 3, 0, COSREL_FP32)->mean_ns);
    cosrel_device_clear_costs(&a);
    cosrel_device_clear_costs(&b);
  }
  assert_in_range(twins, 4, 16);
  world_end(&w);
}

/* ---- the policy at work ---------------------------------------------------------------------------------------------
 */

static cosrel_agent *new_agent(void) {
  cosrel_agent *agent = calloc(1, sizeof *agent);
  cosrel_mlp_init(&agent->net, 1);
  for (int f = 0; f < COSREL_ROW_SIZE; f++) agent->normaliser.row_scale[f] = 1;
  for (int f = 0; f < COSREL_CONTEXT_SIZE; f++) agent->normaliser.context_scale[f] = 1;
  strcpy(agent->provenance, "{}");
  return agent;
}

static cosrel_agent_report run_agent(const cosrel_agent *agent, cosrel_case *c, uint64_t *least_completed) {
  const cosrel_sim sim = {.noise = true};
  cosrel_error error = {""};
  cosrel_engine engine;
  cosrel_policy policy;
  ok(cosrel_engine_create(c, cosrel_sim_driver(&sim), &engine, &error), &error);
  ok(cosrel_agent_policy(agent, c, 0, &policy, &error), &error);
  ok(cosrel_engine_run(&engine, &policy, 1, 5 * COSREL_S, &error), &error);
  *least_completed = UINT64_MAX;
  for (uint32_t s = 0; s < c->n_streams; s++)
    if (engine.state->streams[s].completed < *least_completed) *least_completed = engine.state->streams[s].completed;
  cosrel_agent_report report = cosrel_agent_policy_report(&policy);
  cosrel_policy_destroy(&policy);
  cosrel_engine_destroy(&engine);
  return report;
}

static void test_a_broken_network_falls_back(void **unused) {
  (void)unused;
  world w;
  world_begin(&w);
  cosrel_agent *agent = new_agent();
  uint64_t least;
  cosrel_agent_report report = run_agent(agent, &w.f[0].c, &least);
  assert_int_equal(report.fell_back, 0);
  assert_true(report.decisions > 100);
  agent->net.policy_bias2[17] = NAN;
  report = run_agent(agent, &w.f[0].c, &least);
  assert_true(report.fell_back > 0 && report.fell_back + report.guarded == report.decisions);
  assert_true(least > 0);
  free(agent);
  world_end(&w);
}

/* A network that always prefers the larger models starves the others, but for the guard. */
static void test_the_guard_prevents_starvation(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 1);
  fixture_chain(&f, "large", 1, (double[]){5});
  fixture_chain(&f, "small", 1, (double[]){1});
  fixture_stream(&f, "large", COSREL_ARRIVALS_POISSON, 300)->drop = COSREL_DROP_NEWEST;
  fixture_stream(&f, "large", COSREL_ARRIVALS_POISSON, 300)->drop = COSREL_DROP_NEWEST;
  fixture_stream(&f, "small", COSREL_ARRIVALS_POISSON, 5)->drop = COSREL_DROP_NEWEST;
  fixture_compile(&f);
  cosrel_agent *agent = new_agent();
  memset(&agent->net, 0, sizeof agent->net);
  /* logit = relu(relu(size + 4)): unit 0 of each layer carries the feature `size` through */
  agent->net.policy_row[COSREL_ROW_size * COSREL_HIDDEN1] = 1;
  agent->net.policy_bias1[0] = 4;
  agent->net.policy_hidden[0] = 1;
  for (int k = 0; k < COSREL_RUN_LENGTHS; k++) agent->net.policy_out[k] = 100;
  uint64_t least;
  cosrel_agent_report report = run_agent(agent, &f.c, &least);
  assert_true(report.guarded > 0);
  assert_true(least >= 10); /* in 5 s; without the guard none */
  free(agent);
  fixture_end(&f);
}

/* ---- files ----------------------------------------------------------------------------------------------------------
 */

static void test_agent_file_round_trip(void **unused) {
  (void)unused;
  cosrel_agent *agent = new_agent(), *back = calloc(1, sizeof *back);
  cosrel_error error = {""};
  char path[] = "/tmp/cosrel-test-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  strcpy(agent->provenance, "{\"seed\":7}");
  ok(cosrel_agent_write(path, agent, &error), &error);
  ok(cosrel_agent_read(path, back, &error), &error);
  assert_memory_equal(agent, back, sizeof *agent);
  remove(path);
  free(agent);
  free(back);
}

/* Builds a safetensors file around a header text, so that a case is one line. */
static cosrel_status parse_header(const char *header, size_t n_data, cosrel_error *error) {
  size_t n = strlen(header);
  char *bytes = calloc(1, 8 + n + n_data);
  for (int i = 0; i < 8; i++) bytes[i] = (char)(n >> (8 * i));
  memcpy(bytes + 8, header, n);
  cosrel_safetensors file;
  cosrel_status status = cosrel_safetensors_parse(bytes, 8 + n + n_data, "p.safetensors", &file, error);
  cosrel_safetensors_close(&file);
  free(bytes);
  return status;
}

/* A checkpoint with other bytes in it is refused, or is a training like any other; it never crashes the trainer. */
static void test_forged_checkpoints(void **unused) {
  (void)unused;
  world w;
  world_begin(&w);
  cosrel_train_options o = small_options(1, 9);
  cosrel_trainer *trainer = new_trainer(&w, &o);
  cosrel_train_report report;
  cosrel_error error = {""};
  cosrel_safetensors file;
  char path[] = "/tmp/cosrel-test-XXXXXX", *bytes;
  size_t size;
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  iterate(trainer, 3, &report);
  ok(cosrel_trainer_save(trainer, path, "key", &error), &error);
  ok(cosrel_file_read(path, 1 << 24, &bytes, &size, &error), &error);
  static const struct {
    const char *tensor;
    uint8_t fill;
    bool refused;
  } forged[] = {
      {"progress", 0xff, true},  {"env0.choices", 0xff, true}, {"env1.choices", 3, true}, {"env2.choices", 0, true},
      {"env5.choices", 2, true}, {"env0.episode", 0xff, true}, {"net", 0x7f, false},      {"v", 0xbf, true},
      {"m", 0x41, false},        {"best_net", 0xff, true}};
  for (size_t i = 0; i < sizeof forged / sizeof *forged; i++) {
    char *copy = malloc(size);
    const void *tensor;
    size_t n;
    memcpy(copy, bytes, size);
    ok(cosrel_safetensors_parse(copy, size, "c", &file, &error), &error);
    if (strncmp(forged[i].tensor, "env", 3) == 0 || strcmp(forged[i].tensor, "progress") == 0) {
      ok(cosrel_safetensors_bytes(&file, forged[i].tensor, &tensor, &n, &error), &error);
      memset(copy + ((const char *)tensor - file.bytes), forged[i].fill, n);
    } else { /* floats: where they lie is in the header */
      json_t *offsets = json_object_get(json_object_get(file.header, forged[i].tensor), "data_offsets");
      size_t begin = (size_t)json_integer_value(json_array_get(offsets, 0));
      size_t end = (size_t)json_integer_value(json_array_get(offsets, 1));
      memset(copy + file.data + begin, forged[i].fill, end - begin);
    }
    cosrel_safetensors_close(&file);
    FILE *out = fopen(path, "wb");
    assert_true(out != NULL && fwrite(copy, 1, size, out) == size && fclose(out) == 0);
    cosrel_status status = cosrel_trainer_restore(trainer, path, "key", &error);
    if (forged[i].refused && status != COSREL_FORMAT) fail_msg("%s: %s", forged[i].tensor, cosrel_status_text(status));
    if (status == COSREL_OK) cosrel_trainer_iterate(trainer, &report, &error);
    free(copy);
  }
  free(bytes);
  remove(path);
  cosrel_trainer_destroy(trainer);
  world_end(&w);
}

static void test_hostile_safetensors(void **unused) {
  (void)unused;
  static const struct {
    const char *header;
    size_t n_data;
    const char *says; /* in the error line; NULL: fine */
  } cases[] = {
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,4],\"data_offsets\":[0,4]}}", 4, NULL},
      {"{\"__metadata__\":{\"k\":\"v\"}}", 0, NULL},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,4],\"data_offsets\":[0,4]}}", 3, "shape"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,4],\"data_offsets\":[0,4]}}", 5, "after the last"},
      {"{\"a\":{\"dtype\":\"F64\",\"shape\":[1,4],\"data_offsets\":[0,4]}}", 4, "dtype"},
      {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,4],\"data_offsets\":[0,4]}}", 4, "fit"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "shape"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[-1,-4],\"data_offsets\":[0,4]}}", 4, "shape"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 4, "shape"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,4],\"data_offsets\":[4,0]}}", 4, "fit"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,4],\"data_offsets\":[0,4]},"
       "\"b\":{\"dtype\":\"U8\",\"shape\":[1,4],\"data_offsets\":[2,6]}}",
       6, "overlap"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,2],\"data_offsets\":[2,4]}}", 4, "hole"},
      {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,0],\"data_offsets\":[0,0]},\"a\":{}}", 0, "JSON"},
      {"{\"a\":7}", 0, "dtype"},
      {"{\"__metadata__\":[]}", 0, "object"},
      {"{\"__metadata__\":{\"k\":7}}", 0, "text"},
      {"{\"__metadata__\":{\"k\":\"a\\nb\"}}", 0, "control"},
      {"{\"__metadata__\":{\"k\\u001b[2J\":\"a\"}}", 0, "control"},
      {"{\"a\\nb\":7}", 0, "control"},
      {"[]", 0, "object"},
      {"{", 0, "JSON"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    cosrel_error error = {""};
    cosrel_status status = parse_header(cases[i].header, cases[i].n_data, &error);
    if (cases[i].says == NULL) {
      ok(status, &error);
    } else {
      assert_int_equal(status, COSREL_FORMAT);
      assert_non_null(strstr(error.text, "p.safetensors: "));
      assert_null(strchr(error.text, '\n'));
      if (strstr(error.text, cases[i].says) == NULL) fail_msg("case %zu: %s", i, error.text);
    }
  }
}

/* Any cut or flipped byte of a real policy file is refused or gives a finite agent; never a crash. */
static void test_damaged_agent_files(void **unused) {
  (void)unused;
  cosrel_agent *agent = new_agent(), *back = calloc(1, sizeof *back);
  cosrel_error error = {""};
  char path[] = "/tmp/cosrel-test-XXXXXX", *bytes;
  size_t size;
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  ok(cosrel_agent_write(path, agent, &error), &error);
  ok(cosrel_file_read(path, 1 << 24, &bytes, &size, &error), &error);
  ok(cosrel_agent_parse(bytes, size, path, back, &error), &error);
  for (uint64_t i = 0; i < 400; i++) {
    size_t cut = (size_t)(cosrel_rng_uniform(cosrel_rng_key(1, i)) * (double)size);
    assert_int_equal(cosrel_agent_parse(bytes, i < 40 ? i : cut, path, back, &error), COSREL_FORMAT);
  }
  for (uint64_t i = 0; i < 2000; i++) {
    size_t at = cosrel_rng_below(cosrel_rng_key(2, i), 3000);
    char keep = bytes[at];
    bytes[at] ^= (char)(1 << cosrel_rng_below(cosrel_rng_key(3, i), 8));
    cosrel_status status = cosrel_agent_parse(bytes, size, path, back, &error);
    assert_true(status == COSREL_OK || status == COSREL_FORMAT);
    bytes[at] = keep;
  }
  const float nan = NAN;
  memcpy(bytes + size - sizeof nan, &nan, sizeof nan);
  assert_int_equal(cosrel_agent_parse(bytes, size, path, back, &error), COSREL_FORMAT);
  assert_non_null(strstr(error.text, "finite"));
  remove(path);
  free(bytes);
  free(agent);
  free(back);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gradient_matches_finite_differences),
      cmocka_unit_test(test_both_forward_passes_agree),
      cmocka_unit_test(test_branches_match_whole_runs),
      cmocka_unit_test(test_adam_by_hand),
      cmocka_unit_test(test_threads_and_kills_change_nothing),
      cmocka_unit_test(test_learning_finds_what_pays),
      cmocka_unit_test(test_mixes_are_workloads),
      cmocka_unit_test(test_devices_are_profiles),
      cmocka_unit_test(test_a_broken_network_falls_back),
      cmocka_unit_test(test_the_guard_prevents_starvation),
      cmocka_unit_test(test_agent_file_round_trip),
      cmocka_unit_test(test_forged_checkpoints),
      cmocka_unit_test(test_hostile_safetensors),
      cmocka_unit_test(test_damaged_agent_files),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
