/* What every policy must keep to, checked from outside on whole runs: each unit exactly once, dependencies kept, one
 * segment at a time per processor, legal choices only, nothing allocated in decide, the same run for the same seed,
 * every arrival completed, dropped or failed; under injected faults as well, where a processor in quarantine gets
 * nothing and a unit is computed again only after its request has started anew. Include it in one file of a test
 * program, after <cmocka.h>. */
#ifndef COSREL_TESTS_CONTRACT_H
#define COSREL_TESTS_CONTRACT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/sim/sim.h"
#include "sched/engine.h"
#include "tests/fixtures.h"

/* Counts allocations of this thread while contract_counting is set, by standing in front of glibc's allocator.
 * Sanitizers stand there themselves; under them, and on other C libraries, the count stays 0. */
static _Thread_local volatile bool contract_counting;
static volatile uint64_t contract_allocations;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define CONTRACT_NO_COUNT
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define CONTRACT_NO_COUNT
#endif

#ifndef CONTRACT_NO_COUNT
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void *malloc(size_t size) {
  if (contract_counting) contract_allocations = contract_allocations + 1;
  return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
  if (contract_counting) contract_allocations = contract_allocations + 1;
  return __libc_calloc(count, size);
}
void *realloc(void *block, size_t size) {
  if (contract_counting) contract_allocations = contract_allocations + 1;
  return __libc_realloc(block, size);
}
#endif

enum { CONTRACT_STREAMS = 8, CONTRACT_REQUESTS = 1024, CONTRACT_UNITS = 64 };

/* One run as seen by a sink. */
typedef struct contract_record {
  const cosrel_case *c;
  cosrel_time ended[CONTRACT_STREAMS][CONTRACT_REQUESTS][CONTRACT_UNITS]; /* of each unit, plus 1; 0: not yet */
  uint8_t outcome[CONTRACT_STREAMS][CONTRACT_REQUESTS];                   /* 1 completed, 2 dropped, 3 failed */
  uint8_t n_starts[CONTRACT_STREAMS][CONTRACT_REQUESTS];
  bool ill[COSREL_PROCESSORS_MAX];
  cosrel_time idle_since[COSREL_PROCESSORS_MAX];
  cosrel_time busy[COSREL_PROCESSORS_MAX];
  uint64_t held[COSREL_PROCESSORS_MAX], held_bytes[COSREL_PROCESSORS_MAX]; /* weights, from what the sink was told */
  uint64_t arrived, ended_requests, segments, faults, hash;
} contract_record;

static inline void contract_hash(contract_record *record, uint64_t word) {
  record->hash = cosrel_rng_key(record->hash, word);
}

static void contract_on_arrival(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t stream) {
  (void)c, (void)stream;
  contract_record *record = self;
  record->arrived++;
  contract_hash(record, (uint64_t)state->now);
}

static void contract_on_decision(void *self, const cosrel_case *c, const cosrel_state *state,
                                 const cosrel_candidate *choice) {
  contract_record *record = self;
  assert_true(cosrel_candidate_legal(c, state, choice));
  contract_hash(record, choice->action);
  if (choice->action == COSREL_RUN) {
    const cosrel_request *request = cosrel_state_request(c, state, choice->slot);
    uint8_t *n_starts = &record->n_starts[request->stream][request->sequence];
    assert_false(record->ill[choice->processor]);
    if (*n_starts != request->n_starts)
      memset(record->ended[request->stream][request->sequence], 0, sizeof record->ended[0][0]);
    *n_starts = request->n_starts;
  }
  if (choice->action == COSREL_RUN)
    contract_hash(record, (uint64_t)choice->processor << 48 | (uint64_t)choice->slot << 32 |
                              (uint64_t)choice->begin << 16 | choice->end);
}

static void contract_on_segment(void *self, const cosrel_case *c, const cosrel_state *state,
                                const cosrel_segment *segment) {
  (void)state;
  contract_record *record = self;
  const cosrel_stream_case *sc = &c->streams[segment->stream];
  assert_true(segment->begin < segment->end && segment->end <= sc->n_units);
  assert_true(segment->end <= sc->limit[segment->processor][segment->begin]);
  assert_true(segment->started >= record->idle_since[segment->processor]); /* no overlap */
  assert_true(segment->ended >= segment->started);
  assert_true(segment->launch + segment->load + segment->transfer <= segment->ended - segment->started);
  if (c->budget[segment->processor] > 0) assert_true(record->held[segment->processor] >> sc->weights & 1);
  record->idle_since[segment->processor] = segment->ended;
  record->busy[segment->processor] += segment->ended - segment->started;
  assert_true(segment->sequence < CONTRACT_REQUESTS);
  cosrel_time *ended = record->ended[segment->stream][segment->sequence];
  for (uint32_t u = segment->begin; u < segment->end; u++) {
    assert_int_equal(ended[u], 0); /* never twice */
    for (uint32_t i = sc->pred_first[u]; i < sc->pred_first[u + 1]; i++) {
      uint32_t t = sc->preds[i];
      if (t == 0 || (t - 1 >= segment->begin && t - 1 < u)) continue;
      assert_true(ended[t - 1] != 0 && ended[t - 1] - 1 <= segment->started); /* what it reads was there */
    }
  }
  for (uint32_t u = segment->begin; u < segment->end; u++) ended[u] = segment->ended + 1;
  record->segments++;
  contract_hash(record, (uint64_t)segment->ended);
}

static void contract_on_fault(void *self, const cosrel_case *c, const cosrel_state *state,
                              const cosrel_fault_event *event) {
  (void)c, (void)state;
  contract_record *record = self;
  const cosrel_segment *segment = &event->segment;
  assert_true(segment->started >= record->idle_since[segment->processor] && segment->ended >= segment->started);
  assert_int_not_equal(event->failure.fault, COSREL_FAULT_NONE);
  record->idle_since[segment->processor] = segment->ended;
  record->busy[segment->processor] += segment->ended - segment->started;
  record->faults++;
  contract_hash(record, (uint64_t)segment->ended << 8 | event->failure.fault);
}

static void contract_on_health(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor,
                               cosrel_health health) {
  (void)c;
  contract_record *record = self;
  assert_int_equal(record->ill[processor], health != COSREL_QUARANTINED);
  assert_int_equal(cosrel_processor_idle(state, processor), health == COSREL_RESTORED);
  record->ill[processor] = health != COSREL_RESTORED;
  record->idle_since[processor] = state->now;
}

static void contract_on_outcome(void *self, const cosrel_case *c, const cosrel_state *state,
                                const cosrel_outcome *outcome) {
  (void)state;
  contract_record *record = self;
  assert_true(outcome->sequence < CONTRACT_REQUESTS);
  assert_int_equal(record->outcome[outcome->stream][outcome->sequence], 0);
  assert_true(outcome->dropped || !outcome->failed);
  record->outcome[outcome->stream][outcome->sequence] = outcome->failed ? 3 : outcome->dropped ? 2 : 1;
  record->ended_requests++;
  if (!outcome->dropped)
    for (uint32_t u = 0; u < c->streams[outcome->stream].n_units; u++)
      assert_true(record->ended[outcome->stream][outcome->sequence][u] != 0);
}

static void contract_on_weights(void *self, const cosrel_case *c, const cosrel_state *state,
                                const cosrel_weights_change *change) {
  contract_record *record = self;
  uint32_t p = change->processor;
  uint64_t bit = (uint64_t)1 << change->stream, bytes = c->streams[change->stream].weight_bytes[p];
  assert_true(c->streams[change->stream].weights == change->stream);
  assert_true(((record->held[p] & bit) == 0) == change->loaded);
  record->held[p] ^= bit;
  record->held_bytes[p] += change->loaded ? bytes : -bytes;
  assert_true(record->held_bytes[p] <= c->budget[p]);
  if (change->loaded) assert_true(change->ready >= state->now);
  contract_hash(record, (uint64_t)change->ready << 1 | change->ahead);
}

/* Overwrites what a policy may not know: how long segments really take, what will arrive, the seed. */
static inline void contract_blind(const cosrel_case *c, cosrel_state *state, uint64_t key) {
  for (uint32_t p = 0; p < c->n_processors; p++) {
    if (state->running[p].slot < 0) continue; /* when the next probe is due is known */
    double wrong = 1e6 * cosrel_rng_uniform(cosrel_rng_key(key, p));
    state->running[p].work = state->running[p].left = wrong;
    state->running[p].finish = state->now + (cosrel_time)wrong;
  }
  for (uint32_t s = 0; s < c->n_streams; s++) {
    state->streams[s].next_arrival = state->now + (cosrel_time)(key % 1000000);
    state->streams[s].phase_end = state->now;
  }
  if (state->next_stream != COSREL_NONE) state->next_stream = 0;
  if (state->next_finish != COSREL_TIME_NEVER) state->next_finish = state->now + (cosrel_time)(key % 1000000);
  state->seed = key;
}

/* Where the next runs add how many segments failed, or NULL. */
static uint64_t *contract_faults;
/* Who listens to the next runs too, or NULL. */
static cosrel_sink *contract_listener;

/* One run on a driver; returns the hash of all that happened. `blind`: the policy sees only what it may know. */
static inline uint64_t contract_run_on(cosrel_driver driver, const cosrel_case *c, const cosrel_policy *policy,
                                       uint64_t seed, cosrel_time horizon, bool blind) {
  assert_true(c->n_streams <= CONTRACT_STREAMS && c->max_units <= CONTRACT_UNITS);
  contract_record *record = fixture_alloc(1, sizeof *record);
  record->c = c;
  cosrel_sink sink = {.self = record,
                      .arrival = contract_on_arrival,
                      .decision = contract_on_decision,
                      .segment = contract_on_segment,
                      .outcome = contract_on_outcome,
                      .weights = contract_on_weights,
                      .fault = contract_on_fault,
                      .health = contract_on_health,
                      .next = contract_listener};
  cosrel_engine engine;
  cosrel_error error = {""};
  assert_int_equal(cosrel_engine_create(c, driver, &engine, &error), COSREL_OK);
  engine.sinks = &sink;
  cosrel_engine_reset(&engine, seed, horizon);
  policy->ops->reset(policy->self);
  uint64_t before = contract_allocations;
  cosrel_state *seen = fixture_alloc(1, c->state_size);
  for (;;) {
    cosrel_step step;
    assert_int_equal(cosrel_engine_step(&engine, &step), COSREL_OK);
    if (step == COSREL_STEP_DONE) break;
    memcpy(seen, engine.state, c->state_size);
    if (blind) contract_blind(c, seen, cosrel_rng_key(seed, engine.n_decisions));
    contract_counting = true;
    cosrel_candidate choice = policy->ops->decide(policy->self, c, seen);
    contract_counting = false;
    if (!cosrel_candidate_legal(c, engine.state, &choice)) fail_msg("%s: a choice is not legal", policy->ops->name);
    if (choice.action == COSREL_WAIT) { /* something must run: future arrivals are not known to it */
      bool running = false;
      for (uint32_t p = 0; p < c->n_processors; p++) running = running || !cosrel_processor_idle(engine.state, p);
      if (!running) fail_msg("%s: waits for nothing", policy->ops->name);
    }
    assert_int_equal(cosrel_engine_decide(&engine, &choice), COSREL_OK);
  }
  free(seen);
  if (contract_allocations != before) fail_msg("%s: allocates in decide", policy->ops->name);

  uint64_t arrived = 0, ended = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream_state *stream = &engine.state->streams[s];
    arrived += stream->arrived;
    ended += stream->completed + stream->dropped + stream->failed;
    assert_int_equal(stream->arrived, stream->completed + stream->dropped + stream->failed);
  }
  assert_int_equal(ended, record->ended_requests);
  assert_int_equal(arrived, record->ended_requests);
  assert_true(record->segments + record->faults > 0);
  for (uint32_t p = 0; p < c->n_processors; p++) {
    assert_true(record->busy[p] <= engine.state->now);
    assert_int_equal(record->busy[p], engine.state->busy[p]);
  }
  if (contract_faults != NULL) *contract_faults += record->faults;
  uint64_t hash = record->hash;
  cosrel_engine_destroy(&engine);
  free(record);
  return hash;
}

/* The same in the simulator. */
static inline uint64_t contract_run(const cosrel_case *c, const cosrel_policy *policy, uint64_t seed,
                                    cosrel_time horizon, bool blind) {
  cosrel_sim sim = {.noise = true};
  return contract_run_on(cosrel_sim_driver(&sim), c, policy, seed, horizon, blind);
}

/* The whole contract for one policy on one case. `same` is another instance with the same configuration, or NULL. */
static inline void contract_check(const cosrel_case *c, const cosrel_policy *policy, const cosrel_policy *same,
                                  cosrel_time horizon) {
  uint64_t first = contract_run(c, policy, 7, horizon, false);
  if (contract_run(c, policy, 8, horizon, false) == first) fail_msg("%s: the seed changes nothing", policy->ops->name);
  if (contract_run(c, policy, 7, horizon, true) != first)
    fail_msg("%s: decides by what it may not know", policy->ops->name);
  uint64_t again = contract_run(c, policy, 7, horizon, false); /* reset forgets the past */
  if (again != first) fail_msg("%s: another run for the same seed after reset", policy->ops->name);
  if (same != NULL && contract_run(c, same, 7, horizon, false) != first)
    fail_msg("%s: another run for the same seed by another instance", policy->ops->name);
}

/* The cases on which policies are checked; fixture_end each. They mix chains and branches, missing units, launches,
 * hops, contention, noise, short queues, late drops, loads from light to hopeless, and in the last two little memory:
 * on all processors but the host, and on all of them. */
enum { CONTRACT_CASES = 8 };

/* Weights of 1 to n MB, and budgets that hold some of them but never all. */
static inline void contract_memory(fixture *f, bool host_too) {
  for (uint32_t m = 0; m < f->profile.n_models; m++)
    f->profile.models[m].model.units[0].weights = 250000 * (uint64_t)(m + 1);
  for (uint32_t p = 0; p < f->profile.n_processors; p++) {
    cosrel_processor *processor = &f->profile.processors[p];
    if (p == f->profile.host && !host_too) continue;
    processor->memory_bytes = 1000000 * (uint64_t)(f->profile.n_models + p % 2);
    processor->load_ns = 1e5;
    processor->load_ns_per_byte = 0.2 * (p + 1);
  }
}

static inline void contract_case(fixture *f, int index) {
  static const char *names[] = {"a", "b", "c", "d", "e", "f"};
  static const struct {
    uint32_t n_processors, n_streams, n_units;
    bool branchy;
    double launch_ms, latency_ms, kappa, rate_hz;
    cosrel_arrivals_kind kind;
    int memory; /* 1: on all but the host; 2: on all */
  } how[CONTRACT_CASES] = {
      {2, 2, 6, false, 0.05, 0.1, 0.5, 30, COSREL_ARRIVALS_CLOSED, 0},
      {3, 3, 16, true, 0.1, 0.2, 0.8, 90, COSREL_ARRIVALS_POISSON, 0},
      {3, 4, 12, true, 0.3, 1.0, 0.0, 40, COSREL_ARRIVALS_PERIODIC, 0},
      {1, 2, 5, true, 0.2, 0.0, 0.0, 60, COSREL_ARRIVALS_BURSTY, 0},
      {4, 5, 10, true, 0.0, 0.0, 1.0, 50, COSREL_ARRIVALS_CLOSED, 0},
      {3, 6, 20, false, 0.1, 0.3, 0.4, 15, COSREL_ARRIVALS_POISSON, 0},
      {3, 4, 14, true, 0.1, 0.2, 0.5, 40, COSREL_ARRIVALS_POISSON, 1},
      {2, 3, 8, false, 0.05, 0.1, 0.3, 50, COSREL_ARRIVALS_CLOSED, 2},
  };
  fixture_begin(f, how[index].n_processors);
  f->profile.host = how[index].n_processors - 1;
  for (uint32_t s = 0; s < how[index].n_streams; s++)
    fixture_random_model(f, names[s], how[index].n_units + s, how[index].branchy && s != 1,
                         cosrel_rng_key((uint64_t)index, s));
  fixture_overheads(f, how[index].launch_ms, how[index].latency_ms);
  fixture_disturb(f, how[index].kappa, 0.2);
  for (uint32_t s = 0; s < how[index].n_streams; s++) {
    cosrel_stream *stream = fixture_stream(f, names[s], how[index].kind, how[index].rate_hz);
    stream->arrivals.jitter = 0.1;
    stream->queue_limit = 1 + s % 4;
    stream->drop = s % 2 ? COSREL_DROP_OLDEST : COSREL_DROP_NEWEST;
    stream->drop_late = s % 3 == 1;
    if (s % 2) stream->deadline = 30 * COSREL_MS;
  }
  if (how[index].memory > 0) contract_memory(f, how[index].memory > 1);
  fixture_compile(f);
}

#endif
