/* round-robin: streams in turn, each on the idle processor that ends its request first, to the end.
 *
 * The rule of a plain dispatcher, and Band's round-robin (MobiSys 2022) with the processor chosen by expected time
 * instead of in turn, which is its better setting. A stream with nothing to do loses its turn. It looks at no age,
 * deadline or length, and never waits. */
#include <stdlib.h>

#include "sched/policies/common.h"

static cosrel_status create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                            cosrel_error *error) {
  (void)c, (void)config;
  *self = calloc(1, sizeof(uint32_t)); /* the stream whose turn it is */
  if (*self == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for policy round-robin");
  return COSREL_OK;
}

static void reset(void *self) { *(uint32_t *)self = 0; }

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  uint32_t *turn = self;
  for (uint32_t k = 0; k < c->n_streams; k++) {
    uint32_t s = (*turn + k) % c->n_streams, best = UINT32_MAX, best_end = 0;
    const cosrel_request *request = cosrel_head(c, state, s);
    if (request == NULL) continue;
    uint32_t slot = (uint32_t)state->streams[s].head, begin = request->ready[0];
    double least = INFINITY;
    for (uint32_t p = 0; p < c->n_processors; p++) {
      uint32_t end = cosrel_reach(c, request, 0, p);
      if (end == begin || !cosrel_processor_idle(state, p)) continue;
      double rest = cosrel_expected_rest(c, state, slot, p, begin, end);
      if (rest < least) least = rest, best = p, best_end = end;
    }
    if (best == UINT32_MAX) continue;
    *turn = (s + 1) % c->n_streams;
    return cosrel_run(slot, best, begin, best_end);
  }
  return cosrel_wait();
}

static void destroy(void *self) { free(self); }

const cosrel_policy_ops cosrel_policy_round_robin = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "round-robin",
    .summary = "streams in turn, on the idle processor that ends the request first",
    .create = create,
    .reset = reset,
    .decide = decide,
    .destroy = destroy,
};
