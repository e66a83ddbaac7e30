/* dmda: StarPU's rule ("deque model, data aware"; Augonnet et al., StarPU, Concurr. Comput. 23(2), 2011). When a
 * request becomes ready it is put into the queue of the processor that would end it first, given the queues, the
 * expected time and the transfer of what it reads; there it stays, and queues are served in order.
 *
 * A task here is everything from the ready unit to the end. The decision is taken once: no stealing and no second
 * thoughts when the expectation fails, and no look at deadlines. */
#include <stdlib.h>
#include <string.h>

#include "sched/policies/common.h"

/* The queued task of a request. It is void once the request has gone or its unit has started. */
typedef struct task {
  uint64_t sequence; /* of the request, plus 1; 0: none */
  uint64_t turn;     /* place in the order of queueing */
  double run;        /* expected ns */
  uint16_t begin, end;
  uint8_t processor;
} task;

typedef struct dmda {
  uint32_t n_slots;
  uint64_t turn;
  task tasks[];
} dmda;

static cosrel_status create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                            cosrel_error *error) {
  (void)config;
  dmda *d = calloc(1, sizeof *d + c->n_slots * sizeof d->tasks[0]);
  if (d == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for policy dmda");
  d->n_slots = c->n_slots;
  *self = d;
  return COSREL_OK;
}

static void reset(void *self) {
  dmda *d = self;
  d->turn = 0;
  memset(d->tasks, 0, d->n_slots * sizeof d->tasks[0]);
}

static bool queued(const dmda *d, const cosrel_request *request, uint32_t slot) {
  return d->tasks[slot].sequence == request->sequence + 1 && d->tasks[slot].begin == request->ready[0];
}

static void enqueue(dmda *d, const cosrel_case *c, const cosrel_state *state, uint32_t slot) {
  double free_in[COSREL_PROCESSORS_MAX], least = INFINITY;
  for (uint32_t p = 0; p < c->n_processors; p++) free_in[p] = cosrel_state_time_to_idle(state, p);
  for (uint32_t s = 0; s < c->n_streams; s++)
    for (uint32_t i = 0; i < state->streams[s].n_live; i++) {
      uint32_t other = state->streams[s].order[i];
      const cosrel_request *request = cosrel_state_request(c, state, other);
      if (request->n_ready > 0 && queued(d, request, other)) free_in[d->tasks[other].processor] += d->tasks[other].run;
    }
  const cosrel_request *request = cosrel_state_request(c, state, slot);
  task *into = &d->tasks[slot];
  *into = (task){.sequence = request->sequence + 1, .turn = d->turn++, .begin = request->ready[0]};
  for (uint32_t p = 0; p < c->n_processors; p++) {
    uint32_t end = cosrel_reach(c, request, 0, p);
    if (end == into->begin) continue;
    double run = cosrel_expected_run(c, state, slot, p, into->begin, end);
    double finish = free_in[p] + run + c->streams[request->stream].to_go[p][end];
    if (finish < least) least = finish, into->processor = (uint8_t)p, into->end = (uint16_t)end, into->run = run;
  }
}

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  dmda *d = self;
  for (;;) { /* what has become ready since, oldest first */
    uint32_t next = UINT32_MAX;
    for (uint32_t s = 0; s < c->n_streams; s++)
      for (uint32_t i = 0; i < state->streams[s].n_live; i++) {
        uint32_t slot = state->streams[s].order[i];
        const cosrel_request *request = cosrel_state_request(c, state, slot);
        if (request->n_ready == 0 || queued(d, request, slot)) continue;
        if (next == UINT32_MAX || request->arrival < cosrel_state_request(c, state, next)->arrival) next = slot;
      }
    if (next == UINT32_MAX) break;
    enqueue(d, c, state, next);
  }
  cosrel_candidate first = cosrel_wait();
  uint64_t least = UINT64_MAX;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_request *request = cosrel_head(c, state, s);
    if (request == NULL) continue;
    uint32_t slot = (uint32_t)state->streams[s].head;
    const task *t = &d->tasks[slot];
    if (t->turn >= least || !cosrel_processor_idle(state, t->processor)) continue;
    uint32_t reach = cosrel_reach(c, request, 0, t->processor);
    least = t->turn;
    first = cosrel_run(slot, t->processor, t->begin, t->end < reach ? t->end : reach);
  }
  return first;
}

static void destroy(void *self) { free(self); }

const cosrel_policy_ops cosrel_policy_dmda = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "dmda",
    .summary = "queued at arrival where it is expected to end first (StarPU)",
    .create = create,
    .reset = reset,
    .decide = decide,
    .destroy = destroy,
};
