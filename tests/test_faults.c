/* Failing processors in simulation: quarantine, probes and back-off, what becomes of the requests, that every policy
 * goes on legally, that nothing gets lost or looks better by failing, and that the same seed gives the same run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/bound.h"
#include "sched/failures.h"
#include "sched/policies/simulate.h"
#include "tests/command.h"
#include "tests/contract.h"

#define DRONE "--profile traces/profiles/snapdragon865.json --workload experiments/workloads/test/drone.json "

static cosrel_injection_plan plan_of(const char *spec) {
  cosrel_injection_plan plan = {0};
  cosrel_error error = {""};
  if (cosrel_injection_add(&plan, spec, &error) != COSREL_OK) fail_msg("%s", error.text);
  return plan;
}

/* ---- What --fault says ---- */

static void test_specs(void **unused) {
  (void)unused;
  cosrel_injection_plan plan = plan_of("gpu=lost:p=0.25:for=1.5");
  assert_string_equal(plan.items[0].processor, "gpu");
  assert_int_equal(plan.items[0].kind, COSREL_INJECT_LOST);
  assert_true(plan.items[0].chance == 0.25 && plan.items[0].length == 1500 * COSREL_MS);
  plan = plan_of("any=nan:every=7");
  assert_true(plan.items[0].every == 7 && plan.items[0].length == 0);
  plan = plan_of("a=hang:at=2:for=3");
  assert_true(plan.items[0].at == 2 * COSREL_S && plan.items[0].until == 5 * COSREL_S);
  plan = plan_of("a=error");
  assert_true(plan.items[0].at == 0 && plan.items[0].until == COSREL_TIME_NEVER);
  static const char *const bad[] = {"",
                                    "gpu",
                                    "=lost",
                                    "gpu=",
                                    "gpu=broken",
                                    "gpu=lost:",
                                    "gpu=lost:p",
                                    "gpu=lost:p=2",
                                    "gpu=lost:p=nan",
                                    "gpu=lost:p=-1",
                                    "gpu=lost:p=.1:at=3",
                                    "gpu=lost:every=1.5",
                                    "gpu:lost=p",
                                    "gpu=lost:at=x",
                                    "gpu=nan:for=1e9",
                                    "gpu=nan:x=1",
                                    "gpu=error:p=.1:for=1",
                                    "gpu=lost:for=1:for=2"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    cosrel_error error = {""};
    plan.n = 0;
    assert_int_equal(cosrel_injection_add(&plan, bad[i], &error), COSREL_FORMAT);
    if (strncmp(error.text, "--fault ", 8) != 0 || strstr(error.text, "expected") == NULL) fail_msg("%s", error.text);
    assert_int_equal(plan.n, 0);
  }
}

/* Chance and number do what they say, whatever the other processors do. */
static void test_injector(void **unused) {
  (void)unused;
  fixture f;
  cosrel_injector injector, other;
  fixture_begin(&f, 2);
  cosrel_injection_plan plan = plan_of("gpu=error:p=0.2");
  assert_int_equal(cosrel_injection_add(&plan, "cpu=nan:every=3", NULL), COSREL_OK);
  assert_int_equal(cosrel_injection_check(&plan, &f.profile, 1, NULL), COSREL_OK);
  cosrel_injector_begin(&plan, &f.profile, 5, &injector);
  cosrel_injector_begin(&plan, &f.profile, 5, &other);
  uint32_t errors = 0;
  for (uint32_t i = 1; i <= 10000; i++) {
    cosrel_injected kind = cosrel_injector_segment(&injector, 1, 0);
    assert_int_equal(kind, cosrel_injector_segment(&other, 1, 0));
    errors += kind == COSREL_INJECT_ERROR;
    if (i <= 30) {
      kind = cosrel_injector_segment(&injector, 0, 0); /* does not disturb the other one's draws */
      assert_int_equal(kind, i % 3 == 0 ? COSREL_INJECT_NAN : COSREL_INJECT_NOTHING);
    }
  }
  assert_true(errors > 1800 && errors < 2200);

  plan = plan_of("gpu=lost:every=2:for=1");
  cosrel_injector_begin(&plan, &f.profile, 5, &injector);
  assert_int_equal(cosrel_injector_segment(&injector, 1, 0), COSREL_INJECT_NOTHING);
  assert_int_equal(cosrel_injector_segment(&injector, 1, 7), COSREL_INJECT_LOST);
  assert_int_equal(cosrel_injector_condition(&injector, 1, COSREL_S), COSREL_INJECT_LOST);
  assert_int_equal(cosrel_injector_condition(&injector, 1, COSREL_S + 7), COSREL_INJECT_NOTHING);
  plan = plan_of("npu=error");
  assert_int_equal(cosrel_injection_check(&plan, &f.profile, 1, NULL), COSREL_INVALID);
  fixture_end(&f);
}

/* ---- The transitions, one by one ---- */

static void one_request(fixture *f, uint32_t n_units, const double *ms) {
  fixture_begin(f, 2);
  fixture_chain(f, "m", n_units, ms);
  cosrel_stream *stream = fixture_stream(f, "m", COSREL_ARRIVALS_RECORDED, 1);
  stream->arrivals.n_times = 1;
  stream->arrivals.times = fixture_alloc(1, sizeof(cosrel_time));
  fixture_compile(f);
}

static cosrel_state *begin(const fixture *f) {
  cosrel_state *state = fixture_alloc(1, f->c.state_size);
  cosrel_state_init(&f->c, state, 1, COSREL_S);
  assert_false(cosrel_state_arrive(&f->c, state, NULL));
  return state;
}

static void start(const fixture *f, cosrel_state *state, uint8_t p, uint16_t first, uint16_t end) {
  cosrel_candidate run = {.action = COSREL_RUN, .processor = p, .batch = 1, .begin = first, .end = end};
  assert_true(cosrel_candidate_legal(&f->c, state, &run));
  cosrel_state_start(&f->c, state, &run, 1);
}

/* Fails p after `ms`; the request must not end. */
static cosrel_remedy spoil(const fixture *f, cosrel_state *state, uint32_t p, cosrel_failure failure, double ms) {
  cosrel_remedy remedy;
  cosrel_state_advance(&f->c, state, state->now + (cosrel_time)(ms * 1e6));
  assert_false(cosrel_state_fail(&f->c, state, p, &failure, NULL, &remedy, NULL));
  return remedy;
}

static void test_a_processor_rests_and_comes_back(void **unused) {
  (void)unused;
  fixture f;
  one_request(&f, 4, (double[]){2, 1, 2, 1, 2, 1, 2, 1});
  cosrel_state *state = begin(&f), *copy = fixture_alloc(1, f.c.state_size);
  start(&f, state, 1, 0, 4);
  assert_true(fabs(state->power_w - (0.1 + 2.0)) < 1e-12);
  cosrel_remedy remedy = spoil(&f, state, 1, (cosrel_failure){.fault = COSREL_FAULT_ERROR}, 1);
  assert_int_equal(remedy, COSREL_RERUN);
  assert_true(fabs(state->power_w - 0.2) < 1e-12); /* it rests at idle power */
  assert_false(cosrel_processor_idle(state, 1));
  assert_int_equal(state->n_idle, 1);
  assert_int_equal(state->busy[1], COSREL_MS);
  assert_int_equal(state->next_probe, 11 * COSREL_MS);
  assert_true(cosrel_state_event_pending(state) && cosrel_state_choice_due(&f.c, state));
  cosrel_state_advance(&f.c, state, 5 * COSREL_MS);
  assert_true(fabs(cosrel_state_time_to_idle(state, 1) - 6e6) < 1e-3);

  /* A planner expects it back after its rest. */
  memcpy(copy, state, f.c.state_size);
  cosrel_state_forget(&f.c, copy);
  assert_true(cosrel_simulate_event(&f.c, copy, COSREL_TIME_NEVER, NULL));
  assert_int_equal(copy->now, 11 * COSREL_MS);
  assert_true(cosrel_processor_idle(copy, 1) && copy->n_idle == 2);
  assert_false(cosrel_simulate_event(&f.c, copy, COSREL_TIME_NEVER, NULL));

  cosrel_state_advance(&f.c, state, 11 * COSREL_MS);
  assert_int_equal(cosrel_state_probe_due(&f.c, state), 1);
  cosrel_state_probe(&f.c, state, 1, 2e6);
  assert_int_equal(cosrel_state_probe_due(&f.c, state), COSREL_NONE);
  assert_int_equal(state->next_probe, COSREL_TIME_NEVER);
  assert_int_equal(state->next_finish, 13 * COSREL_MS);
  cosrel_state_advance(&f.c, state, 13 * COSREL_MS);
  cosrel_state_rest(&f.c, state, 1); /* the probe failed: twice as long */
  assert_int_equal(state->next_probe, 33 * COSREL_MS);
  cosrel_state_advance(&f.c, state, 33 * COSREL_MS);
  cosrel_state_probe(&f.c, state, 1, 0);
  cosrel_state_restore(&f.c, state, 1);
  assert_true(cosrel_processor_idle(state, 1) && state->n_idle == 2 && state->strikes[1] == 2);

  start(&f, state, 1, 0, 1); /* on probation: a third failure in a row */
  spoil(&f, state, 1, (cosrel_failure){.fault = COSREL_FAULT_NAN}, 1);
  assert_int_equal(state->next_probe, (34 + 40) * COSREL_MS);
  cosrel_state_restore(&f.c, state, 1);
  start(&f, state, 1, 0, 1);
  cosrel_state_advance(&f.c, state, state->now + COSREL_MS);
  cosrel_state_finish(&f.c, state, 1, NULL, NULL); /* a good segment ends the probation */
  assert_int_equal(state->strikes[1], 0);
  assert_int_equal(cosrel_rest(1), 10 * COSREL_MS);
  assert_int_equal(cosrel_rest(7), 640 * COSREL_MS);
  assert_int_equal(cosrel_rest(200), 640 * COSREL_MS);
  free(copy);
  free(state);
  fixture_end(&f);
}

/* A re-run leaves what was done; lost memory takes tensors with it, and what is still read must be made again. */
static void test_what_is_lost_is_made_again(void **unused) {
  (void)unused;
  fixture f;
  one_request(&f, 4, (double[]){2, 1, 2, 1, 2, 1, 2, 1});
  cosrel_state *state = begin(&f);
  const cosrel_request *request = cosrel_state_request(&f.c, state, 0);
  start(&f, state, 0, 0, 2);
  cosrel_state_advance(&f.c, state, 4 * COSREL_MS);
  cosrel_state_finish(&f.c, state, 0, NULL, NULL);
  start(&f, state, 1, 2, 3);
  cosrel_failure lost = {.fault = COSREL_FAULT_LOST, .memory_lost = true};
  assert_int_equal(spoil(&f, state, 1, lost, 1), COSREL_RERUN); /* what it read is on the cpu too */
  assert_int_equal(request->n_done, 2);
  assert_int_equal(request->n_started, 2);
  assert_int_equal(request->ready[0], 2);
  cosrel_state_restore(&f.c, state, 1);
  start(&f, state, 1, 2, 3);
  cosrel_state_advance(&f.c, state, state->now + COSREL_MS);
  cosrel_state_finish(&f.c, state, 1, NULL, NULL);
  start(&f, state, 0, 3, 4); /* reads unit 2's output, which is on the gpu only */
  cosrel_remedy remedy = spoil(&f, state, 0, (cosrel_failure){.fault = COSREL_FAULT_ERROR, .restart = true}, 1);
  assert_int_equal(remedy, COSREL_RESTART);
  assert_int_equal(request->n_done + request->n_started + request->front, 0);
  assert_int_equal(request->n_starts, 1);
  assert_int_equal(cosrel_request_where(&f.c, request)[0], 1u << f.c.host);

  cosrel_state_restore(&f.c, state, 0);
  start(&f, state, 0, 0, 4);
  cosrel_outcome outcome; /* the third failure of one of its segments is the last */
  cosrel_failure error = {.fault = COSREL_FAULT_ERROR};
  assert_true(cosrel_state_fail(&f.c, state, 0, &error, NULL, &remedy, &outcome));
  assert_int_equal(remedy, COSREL_GIVE_UP);
  assert_true(outcome.failed && outcome.dropped && outcome.missed && outcome.utility == 0 && outcome.ntt >= 5);
  const cosrel_stream_state *stream = &state->streams[0];
  assert_true(stream->failed == 1 && stream->dropped == 0 && stream->missed == 1 && state->n_live == 0);
  free(state);
  fixture_end(&f);
}

/* A restart waits for the request's other segments, and nothing of it is offered until then. */
static void test_a_restart_waits_for_the_other_branch(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 3);
  double ms[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  const int32_t inputs[] = {COSREL_MODEL_INPUT, FIXTURE_END, 0, FIXTURE_END, 0, FIXTURE_END, 1, 2, FIXTURE_END};
  fixture_dag(&f, "fork", 4, ms, inputs, 10);
  cosrel_stream *stream = fixture_stream(&f, "fork", COSREL_ARRIVALS_RECORDED, 1);
  stream->arrivals.n_times = 1;
  stream->arrivals.times = fixture_alloc(1, sizeof(cosrel_time));
  fixture_compile(&f);
  cosrel_state *state = begin(&f);
  const cosrel_request *request = cosrel_state_request(&f.c, state, 0);
  for (int turn = 0; turn < 2; turn++) {
    start(&f, state, 0, 0, 1);
    cosrel_state_advance(&f.c, state, state->now + COSREL_MS);
    cosrel_state_finish(&f.c, state, 0, NULL, NULL);
    start(&f, state, 1, 1, 2);
    start(&f, state, 2, 2, 3);
    spoil(&f, state, 1, (cosrel_failure){.fault = COSREL_FAULT_HANG, .restart = true}, 0.5);
    assert_int_equal(request->n_done, 1);
    assert_false(cosrel_state_choice_due(&f.c, state));
    assert_int_equal(request->n_ready, 0);
    cosrel_state_restore(&f.c, state, 1);
    cosrel_state_advance(&f.c, state, state->now + COSREL_MS / 2);
    if (turn == 0) { /* the other branch ends well */
      assert_false(cosrel_state_finish(&f.c, state, 2, NULL, NULL));
      assert_int_equal(request->n_done + request->n_started, 0);
      assert_true(cosrel_state_choice_due(&f.c, state));
    } else { /* or fails too: the third time */
      cosrel_outcome outcome;
      cosrel_failure error = {.fault = COSREL_FAULT_ERROR};
      assert_true(cosrel_state_fail(&f.c, state, 2, &error, NULL, NULL, &outcome));
      assert_true(outcome.failed);
    }
  }
  free(state);
  fixture_end(&f);
}

/* ---- Whole runs ---- */

static const cosrel_policy_config config = {.seed = 3, .plan_budget = 60, .duration_s = 0.4};

static uint64_t faulty_run(const fixture *f, const cosrel_injection_plan *plan, const cosrel_policy *policy,
                           bool blind) {
  cosrel_injector injector = {.plan = plan};
  const cosrel_sim sim = {.noise = true, .injector = &injector};
  return contract_run_on(cosrel_sim_driver(&sim), &f->c, policy, 7, 400 * COSREL_MS, blind);
}

/* Every kind on one processor and on all of them, under every policy: legal, everything accounted for, and the same
 * again for the same seed, also when the policy sees nothing that it may not know. */
static void test_every_policy_survives_every_kind(void **unused) {
  (void)unused;
  static const char *const specs[] = {"any=error:p=0.2",         "any=nan:every=4",  "gpu=hang:at=0.1:for=0.2",
                                      "any=lost:p=0.1:for=0.02", "gpu=lost:at=0.05", "any=stuck:p=0.05:for=0.1",
                                      "any=error:at=0.1:for=.1", "any=lost:at=0.2"};
  for (int index = 0; index < CONTRACT_CASES; index++) {
    if (index == 3) continue; /* one processor: below */
    fixture f;
    contract_case(&f, index);
    cosrel_bound bound;
    assert_int_equal(cosrel_bound_solve(&f.c, &bound, NULL), COSREL_OK);
    cosrel_bound_apply(&bound, &f.c);
    for (const cosrel_policy_ops *const *ops = cosrel_policy_list(); *ops != NULL; ops++) {
      cosrel_policy policy;
      assert_int_equal(cosrel_policy_create((*ops)->name, &f.c, &config, &policy, NULL), COSREL_OK);
      for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) {
        cosrel_injection_plan plan = plan_of(specs[k]);
        uint64_t n_faults = 0;
        contract_faults = &n_faults;
        uint64_t first = faulty_run(&f, &plan, &policy, false);
        if (strncmp(specs[k], "any", 3) == 0 && n_faults == 0) fail_msg("%s: %s: no faults", (*ops)->name, specs[k]);
        contract_faults = NULL;
        if (faulty_run(&f, &plan, &policy, true) != first) fail_msg("%s: %s: two runs", (*ops)->name, specs[k]);
      }
      cosrel_policy_destroy(&policy);
    }
    fixture_end(&f);
  }
}

typedef struct seen {
  uint64_t faults, restores;
} seen;
static void see_fault(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_fault_event *event) {
  (void)c, (void)state, (void)event;
  ((seen *)self)->faults++;
}
static void see_health(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor,
                       cosrel_health health) {
  (void)c, (void)state, (void)processor;
  ((seen *)self)->restores += health == COSREL_RESTORED;
}

/* Runs `policy`; checks energy and time against their definitions, and hands out the counts and the state. */
static cosrel_state *run_counted(const fixture *f, const char *spec, const char *name, cosrel_time horizon,
                                 cosrel_failures *counts) {
  cosrel_injection_plan plan = plan_of(spec);
  cosrel_injector injector = {.plan = &plan};
  const cosrel_sim sim = {.noise = true, .injector = &injector};
  cosrel_engine engine;
  cosrel_policy policy;
  cosrel_failure_counter counter;
  seen seen = {0};
  cosrel_sink eye = {.self = &seen, .fault = see_fault, .health = see_health};
  assert_int_equal(cosrel_policy_create(name, &f->c, &config, &policy, NULL), COSREL_OK);
  assert_int_equal(cosrel_engine_create(&f->c, cosrel_sim_driver(&sim), &engine, NULL), COSREL_OK);
  cosrel_failure_counter_begin(&f->c, &counter);
  counter.sink.next = &eye;
  engine.sinks = &counter.sink;
  assert_int_equal(cosrel_engine_run(&engine, &policy, 1, horizon, NULL), COSREL_OK);
  cosrel_state *state = engine.state;
  cosrel_failure_counter_end(&counter, state->now, counts);
  assert_int_equal(counts->n_faults, seen.faults);

  double now = cosrel_time_s(state->now), energy = f->c.base_w * now;
  uint64_t failed = 0, restored = 0;
  for (uint32_t p = 0; p < f->c.n_processors; p++) {
    const cosrel_processor_failures *of = &counts->processors[p];
    double busy = cosrel_time_s(state->busy[p]);
    energy += busy * f->c.busy_w[p] + (now - busy) * f->c.idle_w[p];
    assert_true(busy + of->quarantined_s <= now * (1 + 1e-9));
    assert_true(of->probes_failed <= of->probes && of->quarantines >= of->probes - of->probes_failed);
    restored += of->probes - of->probes_failed;
  }
  assert_int_equal(restored, seen.restores);
  assert_true(fabs(energy * 1e3 - state->energy_mj) < 1e-6 * state->energy_mj);
  for (uint32_t s = 0; s < f->c.n_streams; s++) failed += state->streams[s].failed;
  assert_int_equal(failed, counts->given_up);
  cosrel_policy_destroy(&policy);
  return state; /* the engine's, to be freed */
}

/* A unit that only the gpu can run, and no gpu for good: requests end as failed, in open loop while the run goes on, in
 * closed loop at its end; the others go on. */
static void test_what_only_a_gone_processor_can_run_fails(void **unused) {
  (void)unused;
  static const cosrel_arrivals_kind kinds[] = {COSREL_ARRIVALS_PERIODIC, COSREL_ARRIVALS_CLOSED};
  for (int k = 0; k < 2; k++) {
    fixture f;
    fixture_begin(&f, 2);
    fixture_chain(&f, "needs-gpu", 3, (double[]){2, 1, -1, 1, 2, 1});
    fixture_chain(&f, "any", 3, (double[]){2, 1, 2, 1, 2, 1});
    fixture_stream(&f, "needs-gpu", kinds[k], 20)->drop_late = false;
    fixture_stream(&f, "any", kinds[k], 20)->drop_late = false;
    fixture_compile(&f);
    cosrel_failures counts;
    cosrel_state *state = run_counted(&f, "gpu=lost:at=0.5", "sel", 10 * COSREL_S, &counts);
    const cosrel_stream_state *only = &state->streams[0], *free_one = &state->streams[1];
    if (k == 0) assert_true(only->failed > 100);
    if (k == 1) assert_int_equal(only->failed, 1);
    assert_true(only->completed >= 5 && free_one->completed > 150);
    assert_int_equal(only->arrived, only->completed + only->dropped + only->failed);
    assert_int_equal(free_one->failed, 0);
    assert_int_equal(counts.processors[1].faults[COSREL_FAULT_LOST], 1);
    assert_true(counts.processors[1].quarantined_s > 9);
    free(state);
    fixture_end(&f);
  }
}

/* Everything fails always: no request is completed, none is forgotten, and the run ends. */
static void test_nothing_works(void **unused) {
  (void)unused;
  static const char *const specs[] = {"any=error", "any=hang", "any=nan", "any=lost", "any=stuck"};
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
    for (int index = 0; index < CONTRACT_CASES; index++) {
      fixture f;
      contract_case(&f, index);
      cosrel_failures counts;
      cosrel_state *state = run_counted(&f, specs[i], "random", COSREL_S, &counts);
      for (uint32_t s = 0; s < f.c.n_streams; s++) {
        const cosrel_stream_state *stream = &state->streams[s];
        assert_int_equal(stream->completed, 0);
        assert_int_equal(stream->arrived, stream->dropped + stream->failed);
        assert_true(stream->utility == 0 && stream->ntt >= 5 * (double)stream->arrived);
      }
      assert_true(state->now < 60 * COSREL_S);
      free(state);
      fixture_end(&f);
    }
}

/* Nothing looks better by failing: no figure of a run with faults beats the same run without. */
static void test_failing_does_not_pay(void **unused) {
  (void)unused;
  fixture f;
  contract_case(&f, 5);
  double utility[2] = {0, 0}, ntt[2] = {0, 0};
  for (int k = 0; k < 2; k++) {
    cosrel_failures counts;
    cosrel_state *state =
        run_counted(&f, k == 0 ? "any=error:p=1e-9" : "any=error:p=0.3", "eft", 5 * COSREL_S, &counts);
    assert_int_equal(counts.n_faults > 0, k == 1);
    for (uint32_t s = 0; s < f.c.n_streams; s++) {
      utility[k] += state->streams[s].utility / (double)state->streams[s].arrived;
      ntt[k] += state->streams[s].ntt / (double)state->streams[s].arrived;
    }
    free(state);
  }
  assert_true(utility[1] < utility[0] && ntt[1] > ntt[0]);
  fixture_end(&f);
}

/* ---- As a user sees it ---- */

static void run_ok(const char *arguments, char *output, size_t max) {
  if (command_run(arguments, "2>/dev/null", output, max) != 0) fail_msg("cosrel %s", arguments);
}

static void test_commands(void **unused) {
  (void)unused;
  static char one[1 << 18], two[1 << 18];
  const char *replay = "replay " DRONE "--policy eft --load 0.6 --arrivals poisson --duration 3 --json ";
  char line[1024];
  snprintf(line, sizeof line, "%s--fault gpu=error:p=0.05 dsp=lost:at=1:for=1", replay);
  run_ok(line, one, sizeof one);
  run_ok(line, two, sizeof two);
  assert_string_equal(one, two);
  assert_non_null(strstr(one, "\"failures\": {"));
  assert_non_null(strstr(one, "\"quarantined_s\": "));
  run_ok(replay, two, sizeof two); /* without faults nothing of it shows */
  assert_null(strstr(two, "fail"));

  const char *compare = "compare " DRONE
                        "--policies eft,srpt,rollout --load 0.7 --seeds 3 --duration 1 --json "
                        "--fault any=hang:p=0.02 --fault gpu=nan:every=20 --threads ";
  snprintf(line, sizeof line, "%s1", compare);
  run_ok(line, one, sizeof one);
  snprintf(line, sizeof line, "%s3", compare);
  run_ok(line, two, sizeof two);
  assert_string_equal(one, two);
  assert_non_null(strstr(one, "\"failures\": {"));

  static const char *const bad[] = {"--fault npu=error", "--fault gpu=explode", "--fault"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    snprintf(line, sizeof line, "%s%s", replay, bad[i]);
    assert_int_equal(command_run(line, "2>&1", one, sizeof one), 2);
    assert_true(strchr(one, '\n') == one + strlen(one) - 1);
    assert_non_null(strstr(one, "fault"));
  }
}

static void test_training_under_faults(void **unused) {
  (void)unused;
  static char output[1 << 14];
  const char *train =
      "train --profile traces/profiles/snapdragon865.json --workload "
      "experiments/workloads/train/doorbell.json --mixes 2 --decisions 512 --envs 4 --steps 16 "
      "--minibatch 64 --epochs 1 --quiet -o ";
  char folder[] = "/tmp/cosrel-faults-XXXXXX", line[1024];
  assert_non_null(mkdtemp(folder));
  for (int threads = 1; threads <= 3; threads += 2) {
    snprintf(line, sizeof line, "%s%s/%d --threads %d --fault any=error:p=0.05 gpu=lost:at=0.1:for=0.5", train, folder,
             threads, threads);
    run_ok(line, output, sizeof output);
  }
  snprintf(line, sizeof line, "cmp %s/1 %s/3 && strings %s/1 | grep -q gpu=lost && rm -r %s", folder, folder, folder,
           folder);
  assert_int_equal(system(line), 0);
  snprintf(line, sizeof line, "%s/nowhere --fault gpu=lost", train);
  assert_int_equal(command_run(line, "2>&1", output, sizeof output), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_specs),
      cmocka_unit_test(test_injector),
      cmocka_unit_test(test_a_processor_rests_and_comes_back),
      cmocka_unit_test(test_what_is_lost_is_made_again),
      cmocka_unit_test(test_a_restart_waits_for_the_other_branch),
      cmocka_unit_test(test_every_policy_survives_every_kind),
      cmocka_unit_test(test_what_only_a_gone_processor_can_run_fails),
      cmocka_unit_test(test_nothing_works),
      cmocka_unit_test(test_failing_does_not_pay),
      cmocka_unit_test(test_commands),
      cmocka_unit_test(test_training_under_faults),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
