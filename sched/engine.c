#include "sched/engine.h"

#include <stdlib.h>
#include <string.h>

#include "sched/residency.h"

cosrel_status cosrel_engine_create(const cosrel_case *c, cosrel_driver driver, cosrel_engine *out,
                                   cosrel_error *error) {
  memset(out, 0, sizeof *out);
  out->c = c;
  out->driver = driver;
  out->state = calloc(1, c->state_size);
  if (out->state == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for a run's state");
  return COSREL_OK;
}

void cosrel_engine_destroy(cosrel_engine *engine) {
  free(engine->state);
  memset(engine, 0, sizeof *engine);
}

void cosrel_engine_reset(cosrel_engine *engine, uint64_t seed, cosrel_time horizon) {
  cosrel_state_init(engine->c, engine->state, seed, horizon);
  engine->n_decisions = 0;
  engine->waiting = false;
  memset(engine->held, 0, sizeof engine->held);
}

/* Calls one slot of every sink that has it. */
#define TELL(engine, slot, ...)                                      \
  for (cosrel_sink *sink = (engine)->sinks; sink; sink = sink->next) \
    if (sink->slot) sink->slot(sink->self, (engine)->c, (engine)->state, __VA_ARGS__)

static void tell_changes(cosrel_engine *engine, uint32_t p, uint64_t changed, bool loaded) {
  const cosrel_residency *r = cosrel_state_residency(engine->c, engine->state, p);
  const cosrel_running *run = &engine->state->running[p];
  for (; changed != 0; changed &= changed - 1) {
    cosrel_weights_change change = {
        .processor = p, .stream = (uint32_t)__builtin_ctzll(changed), .loaded = loaded, .ahead = loaded};
    if (loaded) {
      uint32_t s = cosrel_state_request(engine->c, engine->state, (uint32_t)run->slot)->stream;
      change.ahead = engine->c->streams[s].weights != change.stream;
      change.ready = r->ready;
    }
    TELL(engine, weights, &change);
  }
}

/* Says what a transition has dropped and begun to load, where a processor has a budget. Only one that works loads. */
static void tell_weights(cosrel_engine *engine) {
  const cosrel_case *c = engine->c;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    uint64_t before = engine->held[p], now = cosrel_state_residency(c, engine->state, p)->held;
    if (before == now) continue;
    tell_changes(engine, p, before & ~now, false);
    tell_changes(engine, p, now & ~before, true);
    engine->held[p] = now;
    if (engine->driver.ops->hold != NULL) engine->driver.ops->hold(engine->driver.self, c, p, now);
  }
}

/* A closed stream's next request arrives inside the end of its last one. */
static void tell_end(cosrel_engine *engine, const cosrel_outcome *outcome) {
  TELL(engine, outcome, outcome);
  if (engine->c->streams[outcome->stream].arrivals == COSREL_ARRIVALS_CLOSED && outcome->end < engine->state->horizon)
    TELL(engine, arrival, outcome->stream);
}

static void on_finish(cosrel_engine *engine, uint32_t processor) {
  cosrel_segment segment;
  cosrel_outcome outcome;
  if (engine->driver.ops->parts != NULL) {
    cosrel_time elapsed = engine->state->now - engine->state->running[processor].started, launch, load, transfer;
    engine->driver.ops->parts(engine->driver.self, processor, elapsed, &launch, &load, &transfer);
    cosrel_state_measured(engine->state, processor, launch, load, transfer);
  }
  bool ended = cosrel_state_finish(engine->c, engine->state, processor, &segment, &outcome);
  TELL(engine, segment, &segment);
  if (ended) tell_end(engine, &outcome);
}

static void on_failure(cosrel_engine *engine, uint32_t processor, const cosrel_failure *failure) {
  cosrel_fault_event event = {.failure = *failure};
  cosrel_outcome outcome;
  bool ended = cosrel_state_fail(engine->c, engine->state, processor, failure, &event.segment, &event.remedy, &outcome);
  TELL(engine, fault, &event);
  if (!failure->innocent) TELL(engine, health, processor, COSREL_QUARANTINED);
  if (ended) tell_end(engine, &outcome);
}

static void on_probed(cosrel_engine *engine, uint32_t processor, const cosrel_failure *failure) {
  if (failure->fault == COSREL_FAULT_NONE) {
    cosrel_state_restore(engine->c, engine->state, processor);
    TELL(engine, health, processor, COSREL_RESTORED);
  } else {
    cosrel_state_rest(engine->c, engine->state, processor);
    TELL(engine, health, processor, COSREL_STILL_ILL);
  }
}

static cosrel_status begin_probes(cosrel_engine *engine) {
  for (int32_t p; (p = cosrel_state_probe_due(engine->c, engine->state)) != COSREL_NONE;) {
    const cosrel_driver *driver = &engine->driver;
    double expected_ns = 0;
    if (driver->ops->probe == NULL) {
      on_probed(engine, (uint32_t)p, &(cosrel_failure){0});
      continue;
    }
    cosrel_status status = driver->ops->probe(driver->self, engine->c, engine->state, (uint32_t)p, &expected_ns);
    if (status != COSREL_OK) return status;
    cosrel_state_probe(engine->c, engine->state, (uint32_t)p, expected_ns);
  }
  return COSREL_OK;
}

static void on_completion(cosrel_engine *engine, uint32_t processor, const cosrel_failure *failure) {
  if (engine->state->running[processor].slot == COSREL_PROBING)
    on_probed(engine, processor, failure);
  else if (failure->fault != COSREL_FAULT_NONE)
    on_failure(engine, processor, failure);
  else
    on_finish(engine, processor);
}

static void on_arrival(cosrel_engine *engine) {
  uint32_t stream = (uint32_t)engine->state->next_stream;
  cosrel_outcome outcome;
  bool dropped = cosrel_state_arrive(engine->c, engine->state, &outcome);
  TELL(engine, arrival, stream);
  if (dropped) TELL(engine, outcome, &outcome);
}

cosrel_status cosrel_engine_step(cosrel_engine *engine, cosrel_step *step) {
  const cosrel_case *c = engine->c;
  cosrel_state *state = engine->state;
  for (;;) {
    if (!engine->waiting && cosrel_state_choice_due(c, state)) {
      *step = COSREL_STEP_DECIDE;
      return COSREL_OK;
    }
    if (state->n_live == 0 && state->next_stream == COSREL_NONE) { /* a processor may still be in quarantine */
      *step = COSREL_STEP_DONE;
      return COSREL_OK;
    }
    if (!cosrel_state_event_pending(state)) return COSREL_INTERNAL;
    cosrel_time arrival =
        state->next_stream == COSREL_NONE ? COSREL_TIME_NEVER : state->streams[state->next_stream].next_arrival;
    cosrel_time until = arrival < state->next_check ? arrival : state->next_check, now;
    if (state->next_probe < until) until = state->next_probe > state->now ? state->next_probe : state->now;
    int32_t processor;
    cosrel_failure failure = {0};
    cosrel_status status = engine->driver.ops->wait(engine->driver.self, c, state, until, &now, &processor, &failure);
    if (status != COSREL_OK) return status;
    if (processor != COSREL_NONE) {
      cosrel_state_advance(c, state, now);
      on_completion(engine, (uint32_t)processor, &failure);
    } else if (now < until || now >= arrival) {
      cosrel_state_advance(c, state, now);
      if (now < until)
        cosrel_state_stop(c, state);
      else
        on_arrival(engine);
    } else if (now < state->next_check) {
      cosrel_state_advance(c, state, now);
      status = begin_probes(engine);
      if (status != COSREL_OK) return status;
    } else {
      bool changed = cosrel_state_throttle(c, state, now);
      TELL(engine, thermal, changed);
      if (!changed) continue; /* nothing that a policy could react to */
    }
    cosrel_outcome dropped;
    while (cosrel_state_expire(c, state, &dropped)) tell_end(engine, &dropped);
    if (c->residency_at != 0) tell_weights(engine);
    engine->waiting = false;
  }
}

cosrel_status cosrel_engine_decide(cosrel_engine *engine, const cosrel_candidate *choice) {
  if (!cosrel_candidate_legal(engine->c, engine->state, choice)) return COSREL_INVALID;
  TELL(engine, decision, choice);
  engine->n_decisions++;
  if (choice->action == COSREL_WAIT) {
    engine->waiting = true;
  } else if (choice->action == COSREL_DROP_REQUEST) {
    cosrel_outcome dropped;
    cosrel_state_drop(engine->c, engine->state, choice->slot, &dropped);
    tell_end(engine, &dropped);
  } else {
    double scale = 1;
    cosrel_status status = engine->driver.ops->submit(engine->driver.self, engine->c, engine->state, choice, &scale);
    if (status != COSREL_OK) return status;
    cosrel_state_start(engine->c, engine->state, choice, scale);
    if (engine->c->residency_at != 0) tell_weights(engine);
  }
  return COSREL_OK;
}

cosrel_status cosrel_engine_run(cosrel_engine *engine, const cosrel_policy *policy, uint64_t seed, cosrel_time horizon,
                                cosrel_error *error) {
  cosrel_engine_reset(engine, seed, horizon);
  policy->ops->reset(policy->self);
  for (;;) {
    cosrel_step step;
    cosrel_status status = cosrel_engine_step(engine, &step);
    if (status != COSREL_OK)
      return cosrel_fail(error, status, "the run failed at %.3f ms: %s", cosrel_time_ms(engine->state->now),
                         cosrel_status_text(status));
    if (step == COSREL_STEP_DONE) return COSREL_OK;
    cosrel_candidate choice = policy->ops->decide(policy->self, engine->c, engine->state);
    status = cosrel_engine_decide(engine, &choice);
    if (status != COSREL_OK)
      return cosrel_fail(error, status, "policy %s made a choice that is not legal at %.3f ms", policy->ops->name,
                         cosrel_time_ms(engine->state->now));
  }
}
