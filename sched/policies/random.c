/* random: any offered candidate that runs to the end, each with the same probability.
 *
 * The floor of every comparison. Among run lengths the longest is its best setting by far: with single units it mostly
 * pays for launches and hops. Draws are keyed by seed, time and segment count, so they do not depend on anything else.
 */
#include <stdlib.h>

#include "sched/policies/common.h"
#include "sched/rng.h"

static cosrel_status create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                            cosrel_error *error) {
  (void)c;
  uint64_t *key = malloc(sizeof *key);
  if (key == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for policy random");
  *key = cosrel_rng_key(config->seed, 0x72616e64u);
  *self = key;
  return COSREL_OK;
}

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  uint64_t key = cosrel_rng_key(*(const uint64_t *)self, (uint64_t)state->now);
  key = cosrel_rng_key(key, state->n_segments);
  cosrel_candidate choice = cosrel_wait();
  uint32_t seen = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_request *request = cosrel_head(c, state, s);
    if (request == NULL) continue;
    for (uint32_t i = 0; i < request->n_ready; i++)
      for (uint32_t p = 0; p < c->n_processors; p++) {
        uint32_t end = cosrel_reach(c, request, i, p);
        if (end == request->ready[i] || !cosrel_processor_idle(state, p)) continue;
        /* Reservoir of one: the k-th replaces the choice with probability 1/k. */
        seen++;
        if (cosrel_rng_below(cosrel_rng_key(key, seen), seen) == 0)
          choice = cosrel_run((uint32_t)state->streams[s].head, p, request->ready[i], end);
      }
  }
  return choice;
}

static void destroy(void *self) { free(self); }

const cosrel_policy_ops cosrel_policy_random = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "random",
    .summary = "any candidate that runs to the end",
    .create = create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = destroy,
};
