/* heft: heterogeneous earliest finish time, online. When a request is first seen, all its units are planned: in
 * descending upward rank, each into the earliest gap of the processor that ends it first, between the plans of earlier
 * requests.
 *
 *     rank(u) = mean cost(u) + max over successors v of (mean transfer(u, v) + rank(v))       Topcuoglu et al. 2002,
 * eq. 8
 *
 * The plan says where units run and in which order; consecutive units of one request on one processor go as one
 * segment. The paper schedules one graph on an idle machine; here earlier plans are first moved to what has really
 * happened by then. Unit by unit the rule never pays a launch of milliseconds that only the whole model repays, so a
 * second plan takes as tasks the longest stretches of units that the same processors can run (mostly the whole model),
 * and the plan that ends first is kept: on the Snapdragon 865 profile units alone give less than a third of the
 * utility. A plan is not revised afterwards, deadlines are not looked at, and a processor does not take what is planned
 * for another. */
#include "sched/policies/heft.h"

#include <stdlib.h>
#include <string.h>

#include "sched/policies/common.h"

void cosrel_heft_rank(const cosrel_heft_graph *graph, double *rank) {
  uint32_t n = graph->n_tasks, n_processors = graph->n_processors, e = graph->n_edges;
  memset(rank, 0, n * sizeof *rank);
  /* rank[u] gathers the maximum over its successors, all of them final before u is reached. */
  for (uint32_t u = n; u-- > 0;) {
    double sum = 0;
    uint32_t able = 0;
    for (uint32_t p = 0; p < n_processors; p++)
      if (graph->cost[u * n_processors + p] >= 0) sum += graph->cost[u * n_processors + p], able++;
    if (able > 0) rank[u] += sum / able;
    for (; e > 0 && graph->edges[e - 1].to == u; e--) {
      const cosrel_heft_edge *edge = &graph->edges[e - 1];
      const float *cost = &graph->transfer[(size_t)edge->cost * n_processors * n_processors];
      double mean = 0;
      for (uint32_t k = 0; k < n_processors * n_processors; k++) mean += (double)cost[k];
      if (n_processors > 1) mean /= n_processors * (n_processors - 1.0);
      if (mean + rank[u] > rank[edge->from]) rank[edge->from] = mean + rank[u];
    }
  }
}

void cosrel_heft_order(const cosrel_heft_graph *graph, const double *rank, uint32_t *order) {
  /* Insertion sort: ranks mostly descend already. Ranks that are equal on paper may differ in the last bits. */
  for (uint32_t k = 0; k < graph->n_tasks; k++) {
    uint32_t at = k;
    for (; at > 0 && rank[order[at - 1]] < rank[k] * (1 - 1e-12); at--) order[at] = order[at - 1];
    order[at] = k;
  }
}

/* Earliest start >= ready of a stretch of `length` on the line, and the index at which it would go in. */
static double find_gap(const cosrel_heft_line *line, double ready, double length, uint32_t *index) {
  uint32_t low = 0, high = line->n; /* the first stretch that ends after `ready` */
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (line->busy[middle].end <= ready)
      low = middle + 1;
    else
      high = middle;
  }
  double start = ready;
  for (; low < line->n && line->busy[low].begin < start + length; low++)
    if (line->busy[low].end > start) start = line->busy[low].end;
  *index = low;
  return start;
}

static void take(cosrel_heft_line *line, uint32_t index, cosrel_heft_busy busy) {
  if (index > 0) {
    cosrel_heft_busy *before = &line->busy[index - 1];
    if (before->owner == busy.owner && before->task + 1 == busy.task && before->end == busy.begin) {
      before->end = busy.end;
      before->task = busy.task;
      return;
    }
  }
  memmove(&line->busy[index + 1], &line->busy[index], (line->n - index) * sizeof busy);
  line->busy[index] = busy;
  line->n++;
}

double cosrel_heft_schedule(const cosrel_heft_graph *graph, const uint32_t *order, const double *earliest,
                            cosrel_heft_line *lines, uint32_t owner, cosrel_heft_slot *slots) {
  uint32_t n_processors = graph->n_processors;
  double latest = 0;
  for (uint32_t k = 0; k < graph->n_tasks; k++) {
    uint32_t u = order[k], index = 0;
    if (slots[u].processor != UINT32_MAX) continue;
    uint32_t low = 0, high = graph->n_edges; /* the first edge into u */
    while (low < high) {
      uint32_t middle = (low + high) / 2;
      if (graph->edges[middle].to < u)
        low = middle + 1;
      else
        high = middle;
    }
    cosrel_heft_slot best = {.end = INFINITY, .processor = UINT32_MAX};
    for (uint32_t p = 0; p < n_processors; p++) {
      double cost = graph->cost[u * n_processors + p];
      if (cost < 0) continue;
      double ready = earliest != NULL ? earliest[u * n_processors + p] : 0;
      for (uint32_t e = low; e < graph->n_edges && graph->edges[e].to == u; e++) {
        const cosrel_heft_slot *from = &slots[graph->edges[e].from];
        double there =
            from->end +
            (double)graph->transfer[((size_t)graph->edges[e].cost * n_processors + from->processor) * n_processors + p];
        if (there > ready) ready = there;
      }
      uint32_t at;
      double begin, launch = graph->launch != NULL ? graph->launch[p] : 0;
      const cosrel_heft_slot *before = u > 0 ? &slots[u - 1] : NULL;
      bool joins = before != NULL && before->processor == p && ready <= before->end;
      if (joins) joins = find_gap(&lines[p], before->end, cost, &at) == before->end;
      if (joins) {
        begin = before->end;
      } else {
        cost += launch;
        begin = find_gap(&lines[p], ready, cost, &at);
      }
      if (begin + cost < best.end) best = (cosrel_heft_slot){begin, begin + cost, p}, index = at;
    }
    if (best.processor == UINT32_MAX) continue; /* nothing can run it: the caller's case would not have compiled */
    take(&lines[best.processor], index,
         (cosrel_heft_busy){.begin = best.begin, .end = best.end, .owner = owner, .task = u});
    slots[u] = best;
    if (best.end > latest) latest = best.end;
  }
  return latest;
}

/* Plan of the request in one slot. `sequence` tells whether it is still that request. */
typedef struct plan {
  uint64_t sequence;       /* of the request, plus 1; 0: none */
  bool coarse;             /* planned by stretches: tasks on the lines are stretches, not units */
  cosrel_heft_slot *slots; /* [n_units of the stream] */
  double *needed; /* [n_units] when another processor is to begin with what the unit makes; INFINITY: none is */
} plan;

/* A stream's graph at one grain. Task t is units [first[t], first[t + 1]). */
typedef struct grain {
  cosrel_heft_graph graph;
  uint32_t *order, *first;
} grain;

typedef struct heft {
  grain *fine, *coarse; /* [n_streams] */
  plan *plans;          /* [n_slots] */
  uint32_t n_slots;
  cosrel_heft_line lines[COSREL_PROCESSORS_MAX], trial[COSREL_PROCESSORS_MAX];
  double *earliest;        /* [max_units][P] scratch */
  cosrel_heft_slot *tasks; /* [max_units] scratch */
  void *block;             /* all of the above, one allocation */
} heft;

/* Hands out pieces of one block; with base NULL it only measures. */
static void *carve(char *base, size_t *used, size_t count, size_t size) {
  void *at = base == NULL ? NULL : base + *used;
  *used += (count * size + 15) & ~(size_t)15;
  return at;
}

/* Can the same processors run units u - 1 and u? */
static bool same_support(const cosrel_case *c, const cosrel_stream_case *sc, uint32_t u) {
  for (uint32_t p = 0; p < c->n_processors; p++)
    if ((sc->limit[p][u] > u) != (sc->limit[p][u - 1] > u - 1)) return false;
  return true;
}

/* Units as tasks. */
static void lay_fine(const cosrel_case *c, const cosrel_stream_case *sc, grain *g, char *base, size_t *used) {
  uint32_t n = sc->n_units, n_processors = c->n_processors, n_edges = 0;
  for (uint32_t i = 0; i < sc->pred_first[n]; i++) n_edges += sc->preds[i] != 0;
  double *cost = carve(base, used, (size_t)n * n_processors, sizeof *cost);
  cosrel_heft_edge *edges = carve(base, used, n_edges + 1, sizeof *edges);
  uint32_t *order = carve(base, used, n, sizeof *order), *first = carve(base, used, n + 1, sizeof *first);
  if (base == NULL) return;
  uint32_t e = 0;
  for (uint32_t u = 0; u < n; u++) {
    first[u] = u;
    for (uint32_t p = 0; p < n_processors; p++)
      cost[u * n_processors + p] = sc->limit[p][u] > u ? sc->mean[p][u + 1] - sc->mean[p][u] : -1;
    for (uint32_t i = sc->pred_first[u]; i < sc->pred_first[u + 1]; i++)
      if (sc->preds[i] != 0) edges[e++] = (cosrel_heft_edge){sc->preds[i] - 1u, u, sc->preds[i]};
  }
  first[n] = n;
  *g = (grain){{n, n_processors, n_edges, cost, c->launch_ns, edges, sc->transfer}, order, first};
}

/* Stretches as tasks, one after the other; what is live between two of them is what moves. */
static void lay_coarse(const cosrel_case *c, const cosrel_stream_case *sc, grain *g, char *base, size_t *used) {
  uint32_t n = sc->n_units, n_processors = c->n_processors, n_tasks = 1, square = n_processors * n_processors;
  for (uint32_t u = 1; u < n; u++) n_tasks += !same_support(c, sc, u);
  double *cost = carve(base, used, (size_t)n_tasks * n_processors, sizeof *cost);
  cosrel_heft_edge *edges = carve(base, used, n_tasks, sizeof *edges);
  uint32_t *order = carve(base, used, n_tasks, sizeof *order), *first = carve(base, used, n_tasks + 1, sizeof *first);
  float *transfer = carve(base, used, (size_t)n_tasks * square, sizeof *transfer);
  if (base == NULL) return;
  uint32_t t = 0;
  for (uint32_t u = 1; u < n; u++)
    if (!same_support(c, sc, u)) first[++t] = u;
  first[n_tasks] = n;
  for (t = 0; t < n_tasks; t++) {
    uint32_t u = first[t];
    for (uint32_t p = 0; p < n_processors; p++)
      cost[t * n_processors + p] = sc->limit[p][u] > u ? sc->mean[p][first[t + 1]] - sc->mean[p][u] : -1;
    for (uint32_t i = sc->live_first[u]; i < sc->live_first[u + 1]; i++)
      for (uint32_t k = 0; k < square; k++) transfer[t * square + k] += sc->transfer[sc->live[i].tensor * square + k];
    if (t > 0) edges[t - 1] = (cosrel_heft_edge){t - 1, t, t};
  }
  *g = (grain){{n_tasks, n_processors, n_tasks - 1, cost, c->launch_ns, edges, transfer}, order, first};
}

/* Lays the tables out and, when there is memory behind them, fills what stays the same. Returns the bytes needed. */
static size_t lay_out(const cosrel_case *c, heft *h, char *base) {
  size_t used = 0, tasks = 0;
  h->fine = carve(base, &used, c->n_streams, sizeof *h->fine);
  h->coarse = carve(base, &used, c->n_streams, sizeof *h->coarse);
  h->plans = carve(base, &used, c->n_slots, sizeof *h->plans);
  h->earliest = carve(base, &used, (size_t)c->max_units * c->n_processors, sizeof *h->earliest);
  h->tasks = carve(base, &used, c->max_units, sizeof *h->tasks);
  double *rank = carve(base, &used, c->max_units, sizeof *rank);
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream_case *sc = &c->streams[s];
    grain both[2];
    lay_fine(c, sc, &both[0], base, &used);
    lay_coarse(c, sc, &both[1], base, &used);
    tasks += (size_t)sc->n_slots * sc->n_units;
    for (uint32_t k = 0; k < sc->n_slots; k++) {
      cosrel_heft_slot *slots = carve(base, &used, sc->n_units, sizeof *slots);
      double *needed = carve(base, &used, sc->n_units, sizeof *needed);
      if (base != NULL) h->plans[sc->first_slot + k] = (plan){.slots = slots, .needed = needed};
    }
    if (base == NULL) continue;
    for (uint32_t k = 0; k < 2; k++) {
      cosrel_heft_rank(&both[k].graph, rank);
      cosrel_heft_order(&both[k].graph, rank, both[k].order);
    }
    h->fine[s] = both[0];
    h->coarse[s] = both[1];
  }
  for (uint32_t p = 0; p < c->n_processors; p++) {
    h->lines[p].busy = carve(base, &used, tasks + 2, sizeof(cosrel_heft_busy));
    h->trial[p].busy = carve(base, &used, tasks + 2, sizeof(cosrel_heft_busy));
  }
  return used;
}

static void reset(void *self) {
  heft *h = self;
  for (uint32_t slot = 0; slot < h->n_slots; slot++) h->plans[slot].sequence = 0;
  for (uint32_t p = 0; p < COSREL_PROCESSORS_MAX; p++) h->lines[p].n = 0;
}

static cosrel_status create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                            cosrel_error *error) {
  (void)config;
  heft *h = calloc(1, sizeof *h);
  if (h == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for policy heft");
  h->block = calloc(1, lay_out(c, h, NULL));
  if (h->block == NULL) {
    free(h);
    return cosrel_fail(error, COSREL_NOMEM, "no memory for policy heft");
  }
  h->n_slots = c->n_slots;
  lay_out(c, h, h->block);
  *self = h;
  return COSREL_OK;
}

static void destroy(void *self) {
  heft *h = self;
  free(h->block);
  free(h);
}

static bool started(const cosrel_case *c, const cosrel_request *request, uint32_t u) {
  return cosrel_request_started(c, request)[u >> 6] >> (u & 63) & 1;
}

#define RUNNING UINT32_MAX /* owner of the stretch that is what a processor does now */

/* Moves earlier plans to what has happened: what has started or ended leaves the lines, the rest keeps its order and
 * begins when planned or, where that has passed, as soon as the processor gets to it. */
static void catch_up(const cosrel_case *c, const cosrel_state *state, heft *h) {
  for (uint32_t p = 0; p < c->n_processors; p++) {
    cosrel_heft_line *line = &h->lines[p];
    double free_at = (double)state->now + cosrel_state_time_to_idle(state, p);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < line->n; i++) {
      cosrel_heft_busy busy = line->busy[i];
      if (busy.owner == RUNNING) continue;
      const cosrel_request *request = cosrel_state_request(c, state, busy.owner);
      const plan *of = &h->plans[busy.owner];
      const grain *g = of->coarse ? &h->coarse[request->stream] : &h->fine[request->stream];
      if (!request->live || request->sequence + 1 != of->sequence || started(c, request, g->first[busy.task])) continue;
      double length = busy.end - busy.begin;
      if (busy.begin < free_at) busy.begin = free_at;
      free_at = busy.end = busy.begin + length;
      line->busy[kept++] = busy;
    }
    line->n = kept;
    double idle_at = (double)state->now + cosrel_state_time_to_idle(state, p);
    if (!cosrel_processor_idle(state, p) && idle_at > (double)state->now) {
      memmove(&line->busy[1], &line->busy[0], kept * sizeof line->busy[0]);
      line->busy[0] = (cosrel_heft_busy){(double)state->now, idle_at, RUNNING, 0};
      line->n++;
    }
  }
}

/* Schedules the request's tasks of one grain on `lines`, into h->tasks; weights count as on their way from now on.
 * Returns the end. */
static double schedule(const cosrel_case *c, const cosrel_state *state, heft *h, uint32_t slot, const grain *g,
                       cosrel_heft_line *lines) {
  const cosrel_request *request = cosrel_state_request(c, state, slot);
  const cosrel_stream_case *sc = &c->streams[request->stream];
  uint32_t n_processors = c->n_processors;
  for (uint32_t t = 0; t < g->graph.n_tasks; t++) {
    bool reads_input = false;
    for (uint32_t i = sc->pred_first[g->first[t]]; i < sc->pred_first[g->first[t] + 1]; i++)
      reads_input = reads_input || sc->preds[i] == 0;
    for (uint32_t p = 0; p < n_processors; p++)
      h->earliest[t * n_processors + p] =
          (double)state->now + fmax(reads_input ? (double)sc->transfer[c->host * n_processors + p] : 0,
                                    cosrel_residency_load(c, state, request->stream, p));
    h->tasks[t].processor = UINT32_MAX;
  }
  return cosrel_heft_schedule(&g->graph, g->order, h->earliest, lines, slot, h->tasks);
}

static void copy_lines(const cosrel_case *c, const cosrel_heft_line *from, cosrel_heft_line *to) {
  for (uint32_t p = 0; p < c->n_processors; p++) {
    to[p].n = from[p].n;
    memcpy(to[p].busy, from[p].busy, from[p].n * sizeof from[p].busy[0]);
  }
}

static void plan_request(const cosrel_case *c, const cosrel_state *state, heft *h, uint32_t slot) {
  const cosrel_request *request = cosrel_state_request(c, state, slot);
  const cosrel_stream_case *sc = &c->streams[request->stream];
  const grain *fine = &h->fine[request->stream], *coarse = &h->coarse[request->stream];
  plan *into = &h->plans[slot];
  into->sequence = request->sequence + 1;
  copy_lines(c, h->lines, h->trial);
  double coarse_end = schedule(c, state, h, slot, coarse, h->trial);
  copy_lines(c, h->lines, h->trial);
  into->coarse = coarse_end <= schedule(c, state, h, slot, fine, h->trial);
  const grain *g = into->coarse ? coarse : fine;
  schedule(c, state, h, slot, g, h->lines);
  for (uint32_t t = 0; t < g->graph.n_tasks; t++)
    for (uint32_t u = g->first[t]; u < g->first[t + 1]; u++) into->slots[u] = h->tasks[t];

  for (uint32_t u = 0; u < sc->n_units; u++) {
    into->needed[u] = INFINITY;
    for (uint32_t i = sc->pred_first[u]; i < sc->pred_first[u + 1]; i++) {
      uint32_t from = sc->preds[i] - 1u; /* the input wraps around and is no unit */
      if (from < u && into->slots[from].processor != into->slots[u].processor &&
          into->slots[u].begin < into->needed[from])
        into->needed[from] = into->slots[u].begin;
    }
  }
}

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  heft *h = self;
  bool caught_up = false;
  for (;;) { /* plan what is new, oldest first */
    uint32_t next = UINT32_MAX;
    for (uint32_t s = 0; s < c->n_streams; s++)
      for (uint32_t i = 0; i < state->streams[s].n_live; i++) {
        uint32_t slot = state->streams[s].order[i];
        const cosrel_request *request = cosrel_state_request(c, state, slot);
        if (h->plans[slot].sequence == request->sequence + 1) continue;
        if (next == UINT32_MAX || request->arrival < cosrel_state_request(c, state, next)->arrival) next = slot;
        break;
      }
    if (next == UINT32_MAX) break;
    if (!caught_up) catch_up(c, state, h);
    caught_up = true;
    plan_request(c, state, h, next);
  }

  cosrel_candidate first = cosrel_wait();
  double least = INFINITY;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_request *request = cosrel_head(c, state, s);
    if (request == NULL) continue;
    uint32_t slot = (uint32_t)state->streams[s].head;
    const cosrel_heft_slot *slots = h->plans[slot].slots;
    const double *needed = h->plans[slot].needed;
    for (uint32_t i = 0; i < request->n_ready; i++) {
      uint32_t begin = request->ready[i], p = slots[begin].processor, end = begin + 1;
      if (!cosrel_processor_idle(state, p) || slots[begin].begin >= least) continue;
      uint32_t reach = cosrel_reach(c, request, i, p);
      /* Results are there when the segment ends: it must not go on past the time when another processor needs one. */
      double soonest = needed[begin];
      while (end < reach && slots[end].processor == p && slots[end].end <= soonest) {
        if (needed[end] < soonest) soonest = needed[end];
        end++;
      }
      least = slots[begin].begin;
      first = cosrel_run(slot, p, begin, end);
    }
  }
  return first;
}

const cosrel_policy_ops cosrel_policy_heft = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "heft",
    .summary = "earliest finish by upward rank, planned at arrival (Topcuoglu et al. 2002)",
    .create = create,
    .reset = reset,
    .decide = decide,
    .destroy = destroy,
};
