#include "sched/failures.h"

#include <string.h>

static void on_fault(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_fault_event *event) {
  (void)c, (void)state;
  cosrel_failures *counts = &((cosrel_failure_counter *)self)->counts;
  cosrel_fault fault = event->failure.innocent ? COSREL_FAULT_NONE : (cosrel_fault)event->failure.fault;
  counts->processors[event->segment.processor].faults[fault]++;
  counts->n_faults++;
  counts->reruns += event->remedy == COSREL_RERUN;
  counts->restarts += event->remedy == COSREL_RESTART;
}

static void on_outcome(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_outcome *outcome) {
  (void)c, (void)state;
  ((cosrel_failure_counter *)self)->counts.given_up += outcome->failed;
}

static void end_quarantine(cosrel_failure_counter *counter, uint32_t p, cosrel_time now) {
  if (counter->since[p] == COSREL_TIME_NEVER) return;
  counter->counts.processors[p].quarantined_s += cosrel_time_s(now - counter->since[p]);
  counter->since[p] = COSREL_TIME_NEVER;
}

static void on_health(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor,
                      cosrel_health health) {
  (void)c;
  cosrel_failure_counter *counter = self;
  cosrel_processor_failures *counts = &counter->counts.processors[processor];
  if (health == COSREL_QUARANTINED) {
    counts->quarantines++;
    counter->since[processor] = state->now;
    return;
  }
  counts->probes++;
  counts->probes_failed += health == COSREL_STILL_ILL;
  if (health == COSREL_RESTORED) end_quarantine(counter, processor, state->now);
}

void cosrel_failure_counter_begin(const cosrel_case *c, cosrel_failure_counter *counter) {
  memset(counter, 0, sizeof *counter);
  counter->sink =
      (cosrel_sink){.self = counter, .fault = on_fault, .outcome = on_outcome, .health = on_health, .next = NULL};
  counter->counts.n_processors = c->n_processors;
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) counter->since[p] = COSREL_TIME_NEVER;
}

void cosrel_failure_counter_end(cosrel_failure_counter *counter, cosrel_time now, cosrel_failures *out) {
  for (uint32_t p = 0; p < counter->counts.n_processors; p++) end_quarantine(counter, p, now);
  *out = counter->counts;
}
