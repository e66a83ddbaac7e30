#include "sched/policies/base.h"

#include "sched/policies/registry.h"

static const double stale = 1; /* age in T from which a request gives way; 0.5 and 1.5 are worse */

bool cosrel_may_give_way(const cosrel_case *c, const cosrel_state *state, uint32_t s) {
  const cosrel_stream_state *stream = &state->streams[s];
  if (stream->head == COSREL_NONE || c->streams[s].arrivals == COSREL_ARRIVALS_CLOSED) return false;
  return c->workload->streams[s].drop == COSREL_DROP_OLDEST && stream->order[stream->n_live - 1] != stream->head &&
         cosrel_state_request(c, state, (uint32_t)stream->head)->n_started == 0;
}

cosrel_candidate cosrel_base_decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    if (!cosrel_may_give_way(c, state, s)) continue;
    uint16_t head = (uint16_t)state->streams[s].head;
    double age = (double)(state->now - cosrel_state_request(c, state, head)->arrival);
    if (age >= stale * c->streams[s].isolated_ns)
      return (cosrel_candidate){.action = COSREL_DROP_REQUEST, .slot = head};
  }
  return cosrel_policy_lp_price.decide(NULL, c, state);
}
