/* Temperature, throttling and operating points: the closed form, conservation under throttling, copies, and the point
 * that a policy may choose. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backends/sim/sim.h"
#include "sched/engine.h"
#include "sched/policy.h"
#include "sched/thermal.h"
#include "tests/fixtures.h"
#include "traces/profile_file.h"

static void near(double a, double b, double relative) {
  if (!(fabs(a - b) <= relative * (fabs(b) + 1e-12))) fail_msg("%.12g is not within %g of %.12g", a, relative, b);
}

/* Every processor gets a second point of half the speed and a quarter of the watts, and is held there above `above_c`.
 */
static void add_thermal(fixture *f, double resistance, double tau_s, double above_c, double below_c) {
  f->profile.thermal = (cosrel_thermal){.ambient_c = 25,
                                        .start_c = 25,
                                        .resistance_k_per_w = resistance,
                                        .time_constant_s = tau_s,
                                        .check_ms = 100,
                                        .n_steps = 1,
                                        .steps = {{.above_c = above_c, .below_c = below_c}}};
  for (uint32_t p = 0; p < f->profile.n_processors; p++) {
    cosrel_processor *processor = &f->profile.processors[p];
    const cosrel_point top = processor->points[0];
    processor->points[processor->n_points++] = (cosrel_point){.frequency_mhz = 0.5 * top.frequency_mhz,
                                                              .speed = 0.5,
                                                              .busy_w = 0.25 * top.busy_w,
                                                              .idle_w = 0.25 * top.idle_w};
    f->profile.thermal.steps[0].cap[p] = 1;
  }
}

/* A run of one policy that can be looked at in between and at the end. */
typedef struct run {
  cosrel_engine engine;
  cosrel_policy policy;
} run;
static const cosrel_sim noisy = {.noise = true}, quiet = {.noise = false};

static void run_begin(run *r, const cosrel_case *c, cosrel_driver driver, const char *policy) {
  const cosrel_policy_config config = {.seed = 5};
  cosrel_error error = {""};
  assert_int_equal(cosrel_engine_create(c, driver, &r->engine, &error), COSREL_OK);
  assert_int_equal(cosrel_policy_create(policy, c, &config, &r->policy, &error), COSREL_OK);
}
static void run_all(run *r, uint64_t seed, cosrel_time horizon) {
  cosrel_error error = {""};
  if (cosrel_engine_run(&r->engine, &r->policy, seed, horizon, &error) != COSREL_OK) fail_msg("%s", error.text);
}
static void run_end(run *r) {
  cosrel_policy_destroy(&r->policy);
  cosrel_engine_destroy(&r->engine);
}

/* One processor of 4 W busy and 0.5 W idle; `unit_s` seconds per request, which come at the given times. */
static void recorded_fixture(fixture *f, double unit_s, const cosrel_time *times, uint32_t n) {
  fixture_begin(f, 1);
  fixture_chain(f, "m", 1, (double[]){unit_s * 1e3});
  f->profile.processors[0].points[0].busy_w = 4;
  f->profile.processors[0].points[0].idle_w = 0.5;
  cosrel_stream *stream = fixture_stream(f, "m", COSREL_ARRIVALS_RECORDED, 1);
  stream->arrivals.times = fixture_alloc(n, sizeof *times);
  memcpy(stream->arrivals.times, times, n * sizeof *times);
  stream->arrivals.n_times = n;
}

static double warm(double t, double steady, double seconds, double tau) {
  return steady + (t - steady) * exp(-seconds / tau);
}

/* 4 s busy, 6 s idle, 4 s busy: T is the closed form over the three phases, and energy their sum. */
static void test_temperature_is_the_closed_form(void **unused) {
  (void)unused;
  fixture f;
  recorded_fixture(&f, 4, (cosrel_time[]){0, 10 * COSREL_S}, 2);
  add_thermal(&f, 10, 7, 190, 190);
  fixture_compile(&f);
  run r;
  run_begin(&r, &f.c, cosrel_sim_driver(&quiet), "fcfs");
  run_all(&r, 1, 20 * COSREL_S);
  double t = warm(warm(warm(25, 65, 4, 7), 30, 6, 7), 65, 4, 7);
  assert_int_equal(r.engine.state->now, 14 * COSREL_S);
  near(r.engine.state->temperature_c, t, 1e-9);
  near(r.engine.state->energy_mj, (8 * 4 + 6 * 0.5) * 1e3, 1e-9);
  near(cosrel_thermal_headroom(&f.c, r.engine.state), (190 - t) / (190 - 25), 1e-9);
  run_end(&r);
  fixture_end(&f);
}

/* Heading for 65 C with tau 10 s, 45 C is reached after 10 ln 2 = 6.93 s; the governor looks at 7 s, in the middle of a
 * segment of 10 s. Its last 3 s take 6 s at half speed and a quarter of the watts: it ends at 13 s. */
static void test_throttling_slows_a_running_segment(void **unused) {
  (void)unused;
  fixture f;
  recorded_fixture(&f, 10, (cosrel_time[]){0}, 1);
  add_thermal(&f, 10, 10, 45, 30);
  fixture_compile(&f);
  run r;
  run_begin(&r, &f.c, cosrel_sim_driver(&quiet), "fcfs");
  run_all(&r, 1, 20 * COSREL_S);
  assert_int_equal(r.engine.state->now, 13 * COSREL_S);
  near(r.engine.state->energy_mj, (7 * 4 + 6 * 1) * 1e3, 1e-9);
  near(r.engine.state->temperature_c, warm(warm(25, 65, 7, 10), 35, 6, 10), 1e-9);
  assert_int_equal(r.engine.state->throttle, 1);
  assert_int_equal(r.engine.state->cap[0], 1);
  near(cosrel_state_point_now(&f.c, r.engine.state, 0)->speed, 0.5, 0);
  near(cosrel_thermal_headroom(&f.c, r.engine.state), 0, 0);
  run_end(&r);
  fixture_end(&f);
}

/* The step is lifted below below_c, and comes back. */
static void test_hysteresis(void **unused) {
  (void)unused;
  fixture f;
  recorded_fixture(&f, 10, (cosrel_time[]){0, 40 * COSREL_S}, 2);
  add_thermal(&f, 10, 10, 45, 30);
  fixture_compile(&f);
  run r;
  run_begin(&r, &f.c, cosrel_sim_driver(&quiet), "fcfs");
  run_all(&r, 1, 60 * COSREL_S);
  /* Idle at 0.125 W from 13 s on, T falls from 40.6 C towards 26.25 C and is below 30 C at 26.4 s. From 40 s on the
   * next request heats from 30 C: 45 C after 10 ln(35 / 20) = 5.6 s, and the 4.4 s that are left then take 8.8 s.
   * Without the lifting it would end at 60 s, with lifting at 45 C earlier than at 54 s. */
  assert_in_range(r.engine.state->now, 54.2 * COSREL_S, 54.6 * COSREL_S);
  assert_int_equal(r.engine.state->streams[0].completed, 2);
  run_end(&r);
  fixture_end(&f);
}

/* A driver that meters what the device draws, apart from the state's own account. */
typedef struct meter {
  cosrel_driver sim;
  cosrel_time at;
  double mj;
  uint64_t throttled;
} meter;
static cosrel_status meter_submit(void *self, const cosrel_case *c, const cosrel_state *state,
                                  const cosrel_candidate *candidate, double *scale) {
  meter *m = self;
  return m->sim.ops->submit(m->sim.self, c, state, candidate, scale);
}
static cosrel_status meter_wait(void *self, const cosrel_case *c, const cosrel_state *state, cosrel_time until,
                                cosrel_time *now, int32_t *processor, cosrel_failure *failure) {
  meter *m = self;
  cosrel_status status = m->sim.ops->wait(m->sim.self, c, state, until, now, processor, failure);
  double watts = c->base_w;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    bool idle = cosrel_processor_idle(state, p);
    uint32_t point = !idle && state->running[p].point > state->cap[p] ? state->running[p].point : state->cap[p];
    const cosrel_point *at = &c->profile->processors[p].points[point];
    watts += idle ? at->idle_w : at->busy_w;
  }
  m->mj += watts * (double)(*now - m->at) * 1e-6;
  m->at = *now;
  m->throttled += state->throttle > 0;
  return status;
}
static const cosrel_driver_ops meter_ops = {
    .struct_size = sizeof meter_ops, .submit = meter_submit, .wait = meter_wait};

static void mixed_fixture(fixture *f, uint64_t key) {
  fixture_begin(f, 3);
  fixture_random_model(f, "a", 9, false, key);
  fixture_random_model(f, "b", 14, true, key + 1);
  fixture_overheads(f, 0.05, 0.1);
  fixture_disturb(f, 0.6, 0.3);
  fixture_stream(f, "a", COSREL_ARRIVALS_CLOSED, 60);
  fixture_stream(f, "b", key % 2 ? COSREL_ARRIVALS_POISSON : COSREL_ARRIVALS_CLOSED, 60);
  f->profile.base_w = 0.25;
}

/* Random choices, noise, contention, steps that come and go: energy is what a meter sees, requests are conserved. */
static void test_energy_and_requests_are_conserved(void **unused) {
  (void)unused;
  for (uint64_t key = 0; key < 8; key++) {
    fixture f;
    mixed_fixture(&f, key);
    add_thermal(&f, 10, 1.5, 40, 36);
    fixture_compile(&f);
    meter m = {.sim = cosrel_sim_driver(&noisy)};
    run r;
    run_begin(&r, &f.c, (cosrel_driver){&meter_ops, &m}, "random");
    run_all(&r, key, 10 * COSREL_S);
    const cosrel_state *state = r.engine.state;
    near(state->energy_mj, m.mj, 1e-9);
    assert_true(m.throttled > 10 && m.throttled < state->n_events);
    for (uint32_t s = 0; s < f.c.n_streams; s++)
      assert_int_equal(state->streams[s].arrived, state->streams[s].completed + state->streams[s].dropped);
    for (uint32_t p = 0; p < f.c.n_processors; p++) assert_true(state->busy[p] <= state->now);
    run_end(&r);
    fixture_end(&f);
  }
}

/* Throttling costs throughput; a model of heat that never throttles changes nothing else, to the last bit. */
static void test_a_step_not_reached_changes_nothing(void **unused) {
  (void)unused;
  uint64_t completed[3];
  double energy[3];
  cosrel_time end[3];
  for (int i = 0; i < 3; i++) {
    fixture f;
    mixed_fixture(&f, 2);
    if (i > 0) add_thermal(&f, 10, 1.5, i == 1 ? 200 : 35, i == 1 ? 200 : 33);
    fixture_compile(&f);
    run r;
    run_begin(&r, &f.c, cosrel_sim_driver(&noisy), "fcfs");
    run_all(&r, 9, 10 * COSREL_S);
    completed[i] = r.engine.state->streams[0].completed + r.engine.state->streams[1].completed;
    energy[i] = r.engine.state->energy_mj;
    end[i] = r.engine.state->now;
    run_end(&r);
    fixture_end(&f);
  }
  assert_true(completed[0] == completed[1] && energy[0] == energy[1] && end[0] == end[1]);
  assert_true((double)completed[2] < 0.8 * (double)completed[0] && (double)completed[2] > 0.45 * (double)completed[0]);
}

/* A copy in the middle of a throttled run goes on exactly as the original does. */
static void test_a_copy_continues_alike(void **unused) {
  (void)unused;
  fixture f;
  mixed_fixture(&f, 3);
  add_thermal(&f, 10, 1.5, 40, 36);
  fixture_compile(&f);
  run r[2];
  for (int i = 0; i < 2; i++) run_begin(&r[i], &f.c, cosrel_sim_driver(&noisy), "fcfs");
  cosrel_engine_reset(&r[0].engine, 7, 8 * COSREL_S);
  cosrel_step step = COSREL_STEP_DECIDE;
  while (r[0].engine.state->throttle == 0) {
    assert_int_equal(cosrel_engine_step(&r[0].engine, &step), COSREL_OK);
    assert_int_equal(step, COSREL_STEP_DECIDE);
    cosrel_candidate choice = r[0].policy.ops->decide(r[0].policy.self, &f.c, r[0].engine.state);
    assert_int_equal(cosrel_engine_decide(&r[0].engine, &choice), COSREL_OK);
  }
  memcpy(r[1].engine.state, r[0].engine.state, f.c.state_size);
  for (int i = 0; i < 2; i++)
    for (;;) {
      assert_int_equal(cosrel_engine_step(&r[i].engine, &step), COSREL_OK);
      if (step == COSREL_STEP_DONE) break;
      cosrel_candidate choice = r[i].policy.ops->decide(r[i].policy.self, &f.c, r[i].engine.state);
      assert_int_equal(cosrel_engine_decide(&r[i].engine, &choice), COSREL_OK);
    }
  assert_memory_equal(r[0].engine.state, r[1].engine.state, f.c.state_size);
  for (int i = 0; i < 2; i++) run_end(&r[i]);
  fixture_end(&f);
}

/* A policy may run slower than it could: longer, with less power, and as predicted. */
static void test_a_policy_may_choose_a_slower_point(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "m", 2, (double[]){8, 4, 8, 4});
  fixture_overheads(&f, 0.5, 1.5);
  add_thermal(&f, 10, 10, 190, 190);
  fixture_stream(&f, "m", COSREL_ARRIVALS_CLOSED, 1);
  fixture_compile(&f);
  cosrel_state *state = malloc(f.c.state_size);
  for (uint8_t point = 0; point < 2; point++) {
    cosrel_state_init(&f.c, state, 1, 1);
    cosrel_state_arrive(&f.c, state, NULL);
    cosrel_candidate all[8];
    uint32_t n = cosrel_state_candidates(&f.c, state, all, 8);
    for (uint32_t i = 0; i < n; i++) assert_int_equal(all[i].point, 0);
    cosrel_candidate choice = all[n - 1]; /* both units on the gpu */
    choice.point = 2;
    assert_false(cosrel_candidate_legal(&f.c, state, &choice));
    choice.point = point;
    assert_true(cosrel_candidate_legal(&f.c, state, &choice));
    double slow = point == 0 ? 1 : 2;
    cosrel_work work = cosrel_state_work(&f.c, state, &choice);
    near(work.launch, slow * 0.5e6, 1e-12);
    near(work.transfer, slow * 1.5e6, 1e-12);
    near(work.compute, slow * 8e6, 1e-12);
    cosrel_state_start(&f.c, state, &choice, 1);
    near(cosrel_state_time_to_idle(state, 1), slow * 10e6, 1e-12);
    near(state->power_w, 0.1 + (point == 0 ? 2 : 0.5), 1e-12);
    uint32_t p = 9;
    cosrel_time end = cosrel_state_next_finish(&f.c, state, &p);
    near((double)end, slow * 10e6, 1e-9);
    cosrel_state_advance(&f.c, state, end);
    cosrel_segment segment;
    assert_true(cosrel_state_finish(&f.c, state, p, &segment, NULL));
    near((double)segment.launch, slow * 0.5e6, 1e-6);
    near((double)segment.transfer, slow * 1.5e6, 1e-6);
  }
  free(state);
  fixture_end(&f);
}

/* A device that begins hot is throttled from the first moment on; planners see the caps stay as they are. */
static void test_a_hot_start_and_planning(void **unused) {
  (void)unused;
  fixture f;
  recorded_fixture(&f, 1, (cosrel_time[]){0}, 1);
  add_thermal(&f, 10, 10, 45, 40);
  f.profile.thermal.start_c = 50;
  fixture_compile(&f);
  cosrel_state *state = malloc(f.c.state_size);
  cosrel_state_init(&f.c, state, 1, COSREL_S);
  assert_int_equal(state->cap[0], 1);
  near(state->power_w, 0.125, 1e-12);
  assert_int_equal(state->next_check, 100 * COSREL_MS);
  cosrel_state_forget(&f.c, state);
  assert_int_equal(state->next_check, COSREL_TIME_NEVER);
  cosrel_state_advance(&f.c, state, 100 * COSREL_S);
  assert_int_equal(state->cap[0], 1);
  free(state);
  fixture_end(&f);
}

/* The bundled phones: taken over from another one, so assumed; cool through 15 s of full load, throttled within a
 * minute.
 */
static void test_bundled_phones(void **unused) {
  (void)unused;
  static const char *const paths[] = {"traces/profiles/snapdragon865.json", "traces/profiles/snapdragon8gen2.json"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    cosrel_profile profile;
    cosrel_error error = {""};
    if (cosrel_profile_read(paths[i], &profile, &error) != COSREL_OK) fail_msg("%s", error.text);
    const cosrel_thermal *thermal = &profile.thermal;
    assert_int_equal(thermal->n_steps, 1);
    assert_int_equal(thermal->origin.tag, COSREL_TAG_ASSUMED);
    assert_int_equal(thermal->steps[0].origin.tag, COSREL_TAG_ASSUMED);
    double full = profile.base_w, slow = profile.base_w;
    for (uint32_t p = 0; p < profile.n_processors; p++) {
      const cosrel_processor *processor = &profile.processors[p];
      full += processor->points[0].busy_w;
      slow += processor->points[thermal->steps[0].cap[p]].busy_w;
    }
    double steady = thermal->ambient_c + thermal->resistance_k_per_w * full;
    double until = thermal->time_constant_s * log((steady - thermal->start_c) / (steady - thermal->steps[0].above_c));
    if (!(until > 15 && until < 60)) fail_msg("%s: throttled after %g s of full load", paths[i], until);
    assert_true(slow < 0.75 * full);
    cosrel_profile_clear(&profile);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_temperature_is_the_closed_form),
      cmocka_unit_test(test_throttling_slows_a_running_segment),
      cmocka_unit_test(test_hysteresis),
      cmocka_unit_test(test_energy_and_requests_are_conserved),
      cmocka_unit_test(test_a_step_not_reached_changes_nothing),
      cmocka_unit_test(test_a_copy_continues_alike),
      cmocka_unit_test(test_a_policy_may_choose_a_slower_point),
      cmocka_unit_test(test_a_hot_start_and_planning),
      cmocka_unit_test(test_bundled_phones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
