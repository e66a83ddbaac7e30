/* static-order: one order of preference for all; every unit runs on the first processor of it that can.
 *
 * How Arm NN assigns layers to its ordered list of backends. The user gives the list there. When all processors are Arm
 * NN's own (`backend` in the profile says NAME=armnn:device=...), it is GpuAcc, CpuAcc, CpuRef, the order that the help
 * of Arm NN's ExecuteNetwork gives, and whatever else behind them. Else, and among equals, it is by how long the whole
 * mix would take on each processor alone, shortest first, which is its best setting. Oldest request first. It looks at
 * no load: what is not first gets only what the first cannot run. */
#include <stdlib.h>
#include <string.h>

#include "sched/policies/common.h"

typedef struct static_order {
  uint8_t order[COSREL_PROCESSORS_MAX];
} static_order;

enum { ARMNN_OTHER = 3, NOT_ARMNN };

/* Place in Arm NN's order. */
static int preference(const cosrel_processor *processor) {
  static const char *const order[] = {"GpuAcc", "CpuAcc", "CpuRef"};
  const char *backend = strstr(processor->backend, "=armnn"), *device = strstr(processor->backend, ":device=");
  if (backend == NULL || (backend[6] != ':' && backend[6] != '\0')) return NOT_ARMNN;
  size_t length = device != NULL ? strcspn(device += 8, ":") : 0;
  for (int i = 0; i < ARMNN_OTHER; i++)
    if (length == strlen(order[i]) && strncmp(device, order[i], length) == 0) return i;
  return ARMNN_OTHER;
}

static cosrel_status create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                            cosrel_error *error) {
  (void)config;
  static_order *o = malloc(sizeof *o);
  if (o == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for policy static-order");
  double load[COSREL_PROCESSORS_MAX] = {0};
  for (uint32_t p = 0; p < c->n_processors; p++)
    for (uint32_t s = 0; s < c->n_streams; s++) {
      const cosrel_stream_case *sc = &c->streams[s];
      double whole = c->launch_ns[p] + sc->mean[p][sc->n_units];
      for (uint32_t u = 0; u < sc->n_units; u++) {
        if (sc->limit[p][u] > u) continue;
        double slowest = 0; /* what it cannot run costs as much as on the slowest that can */
        for (uint32_t q = 0; q < c->n_processors; q++) slowest = fmax(slowest, sc->mean[q][u + 1] - sc->mean[q][u]);
        whole += slowest;
      }
      load[p] += c->workload->streams[s].arrivals.rate_hz * whole;
    }
  int rank[COSREL_PROCESSORS_MAX], worst = 0;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    rank[p] = preference(&c->profile->processors[p]);
    if (rank[p] > worst) worst = rank[p];
  }
  for (uint32_t k = 0; k < c->n_processors; k++) {
    uint32_t at = k;
    for (; at > 0; at--) {
      uint32_t before = o->order[at - 1];
      bool later = worst != NOT_ARMNN && rank[before] != rank[k] ? rank[before] > rank[k] : load[before] > load[k];
      if (!later) break;
      o->order[at] = o->order[at - 1];
    }
    o->order[at] = (uint8_t)k;
  }
  *self = o;
  return COSREL_OK;
}

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  const static_order *o = self;
  cosrel_candidate first = cosrel_wait();
  cosrel_time oldest = COSREL_TIME_NEVER;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_request *request = cosrel_head(c, state, s);
    if (request == NULL || request->arrival >= oldest) continue;
    uint32_t begin = request->ready[0], rank = 0, end;
    while ((end = cosrel_reach(c, request, 0, o->order[rank])) == begin) rank++;
    for (uint32_t k = 0; k < rank; k++) { /* back to a preferred processor as soon as it can go on */
      const uint16_t *limit = c->streams[s].limit[o->order[k]];
      for (uint32_t u = begin; u < end; u++)
        if (limit[u] > u) end = u;
    }
    if (!cosrel_processor_idle(state, o->order[rank])) continue;
    oldest = request->arrival;
    first = cosrel_run((uint32_t)state->streams[s].head, o->order[rank], begin, end);
  }
  return first;
}

static void destroy(void *self) { free(self); }

const cosrel_policy_ops cosrel_policy_static_order = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "static-order",
    .summary = "one order of preference for all units, as Arm NN's list of backends",
    .create = create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = destroy,
};
