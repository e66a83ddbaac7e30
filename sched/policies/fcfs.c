/* fcfs: first come, first served. The oldest request goes next, on the idle processor that ends it first, to the end.
 *
 * The rule of every work-conserving queue. It never waits for a better processor and looks at no deadline. It is also
 * the benchmark of the simulator, so it looks only at what it needs: no list of candidates. */
#include "sched/policies/common.h"

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  /* Heads are taken by age until one can run on an idle processor; nearly always the first. */
  cosrel_time after = INT64_MIN;
  uint32_t after_stream = UINT32_MAX;
  for (;;) {
    const cosrel_request *oldest = NULL;
    for (uint32_t s = 0; s < c->n_streams; s++) {
      const cosrel_request *request = cosrel_head(c, state, s);
      if (request == NULL || (oldest != NULL && request->arrival >= oldest->arrival)) continue;
      if (request->arrival < after || (request->arrival == after && (after_stream == UINT32_MAX || s <= after_stream)))
        continue;
      oldest = request;
    }
    if (oldest == NULL) return cosrel_wait();
    uint32_t s = oldest->stream, slot = (uint32_t)state->streams[s].head, begin = oldest->ready[0];
    uint32_t best = UINT32_MAX, best_end = 0;
    double least = INFINITY;
    for (uint32_t p = 0; p < c->n_processors; p++) {
      uint32_t end = cosrel_reach(c, oldest, 0, p);
      if (end == begin || !cosrel_processor_idle(state, p)) continue;
      double rest = cosrel_expected_rest(c, state, slot, p, begin, end);
      if (rest < least) least = rest, best = p, best_end = end;
    }
    if (best != UINT32_MAX) return cosrel_run(slot, best, begin, best_end);
    after = oldest->arrival;
    after_stream = s;
  }
}

const cosrel_policy_ops cosrel_policy_fcfs = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "fcfs",
    .summary = "the oldest request first, on the idle processor that ends it first",
    .create = cosrel_stateless_create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = cosrel_stateless_nothing,
};
