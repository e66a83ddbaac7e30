/* Compiling a profile and a workload into flat tables.
 *
 * T_m and the cost to go come from dynamic programming over (unit, processor) in topological order. The invariant is
 * that all live tensors are on the processor that runs, so entering q at unit u from p costs enter(u, p, q) = launch(q)
 * + sum over tensors t live at u of transfer(t, p, q) open(u, p)     = min(cost(u, p) + open(u + 1, p), min over q != p
 * of enter(u, p, q) + cost(u, q) + open(u + 1, q)) to_go(u, p)    = min over q of enter(u, p, q) + cost(u, q) + open(u
 * + 1, q) T_m            = to_go(0, host) A sequential execution that leaves a tensor behind and comes back for it can
 * be a little cheaper; a DP that knew where every tensor is would be exponential in the number of live tensors. */
#include "sched/case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/residency.h"
#include "sched/state.h"

#define UNREACHABLE 1e30

/* All tables are carved out of one block; the first pass only measures. */
typedef struct carver {
  char *base;
  size_t used;
} carver;

static void *carve(carver *a, size_t count, size_t size) {
  void *at = a->base == NULL ? NULL : a->base + a->used;
  a->used += (count * size + 15) & ~(size_t)15;
  return at;
}

/* Writable faces of the const tables of cosrel_stream_case, in the same order. */
typedef struct tables {
  double *mean[COSREL_PROCESSORS_MAX], *variance[COSREL_PROCESSORS_MAX], *memory[COSREL_PROCESSORS_MAX];
  double *to_go[COSREL_PROCESSORS_MAX], *to_go_open[COSREL_PROCESSORS_MAX];
  uint16_t *limit[COSREL_PROCESSORS_MAX];
  float *transfer;
  uint32_t *live_first, *pred_first;
  cosrel_live *live;
  uint16_t *preds, *cut;
  uint8_t *precision[COSREL_PROCESSORS_MAX];
} tables;

static tables carve_stream(carver *a, const cosrel_model *model, uint32_t n_processors, uint32_t n_live) {
  uint32_t n = model->n_units;
  tables t;
  memset(&t, 0, sizeof t);
  for (uint32_t p = 0; p < n_processors; p++) {
    t.mean[p] = carve(a, n + 1, sizeof(double));
    t.variance[p] = carve(a, n + 1, sizeof(double));
    t.memory[p] = carve(a, n + 1, sizeof(double));
    t.to_go[p] = carve(a, n + 1, sizeof(double));
    t.to_go_open[p] = carve(a, n + 1, sizeof(double));
    t.limit[p] = carve(a, n + 1, sizeof(uint16_t));
    t.precision[p] = carve(a, n, 1);
  }
  t.transfer = carve(a, (size_t)(n + 1) * n_processors * n_processors, sizeof(float));
  t.live_first = carve(a, n + 2, sizeof(uint32_t));
  t.live = carve(a, n_live + 1, sizeof(cosrel_live));
  t.pred_first = carve(a, n + 1, sizeof(uint32_t));
  t.preds = carve(a, model->n_edges, sizeof(uint16_t));
  t.cut = carve(a, n + 1, sizeof(uint16_t));
  return t;
}

/* Walks the live sets of a model: at every boundary a in 0..n, tensors made before a that a unit >= a reads. Writes
 * them when the tables are given, and returns how many there are over all boundaries. */
static uint32_t walk_live(const cosrel_model *model, uint32_t *live_first, cosrel_live *live) {
  uint32_t n = model->n_units, count = 0;
  /* next[t]: first reader >= a of tensor t. Going down from a = n keeps it current by one unit a step. */
  uint16_t next[COSREL_UNITS_MAX + 1];
  for (uint32_t t = 0; t <= n; t++) next[t] = UINT16_MAX;
  /* Two passes: sizes per boundary from above, then offsets from below. */
  uint32_t sizes[COSREL_UNITS_MAX + 1];
  for (int pass = 0; pass < 2; pass++) {
    for (uint32_t t = 0; t <= n; t++) next[t] = UINT16_MAX;
    for (uint32_t a = n + 1; a-- > 0;) {
      if (a < n) {
        const cosrel_unit *unit = &model->units[a];
        for (uint32_t i = 0; i < unit->n_inputs; i++) next[model->inputs[unit->first_input + i] + 1] = (uint16_t)a;
      }
      uint32_t size = 0;
      for (uint32_t t = 0; t <= a; t++) {
        if (next[t] == UINT16_MAX) continue;
        if (pass == 1) live[live_first[a] + size] = (cosrel_live){(uint16_t)t, next[t]};
        size++;
      }
      if (pass == 0) sizes[a] = size, count += size;
    }
    if (live == NULL) return count;
    if (pass == 0) {
      live_first[0] = 0;
      for (uint32_t a = 0; a <= n; a++) live_first[a + 1] = live_first[a] + sizes[a];
    }
  }
  return count;
}

static void fill_dag(const cosrel_model *model, tables *t) {
  uint32_t n = model->n_units;
  walk_live(model, t->live_first, t->live);
  uint32_t edges = 0;
  for (uint32_t u = 0; u < n; u++) {
    t->pred_first[u] = edges;
    for (uint32_t i = 0; i < model->units[u].n_inputs; i++)
      t->preds[edges++] = (uint16_t)(model->inputs[model->units[u].first_input + i] + 1);
  }
  t->pred_first[n] = edges;
  /* c is a cut when its own output is all that crosses the boundary after it. */
  uint16_t cut = (uint16_t)(n - 1);
  t->cut[n] = cut;
  for (uint32_t u = n; u-- > 0;) {
    uint32_t first = t->live_first[u + 1], size = t->live_first[u + 2] - first;
    if (u + 1 == n || (size == 1 && t->live[first].tensor == u + 1)) cut = (uint16_t)u;
    t->cut[u] = cut;
  }
}

/* The fastest precision that the stream accepts, or NULL. */
static const cosrel_cost *cheapest(const cosrel_profile *profile, uint32_t model, uint32_t unit, uint32_t p,
                                   uint32_t accepted, uint8_t *precision) {
  const cosrel_cost *best = NULL;
  for (uint32_t k = 0; k < COSREL_PRECISION_COUNT; k++) {
    const cosrel_cost *cost = cosrel_profile_cost(profile, model, unit, p, (cosrel_precision)k);
    if (!(accepted >> k & 1) || cost->mean_ns < 0) continue;
    if (best == NULL || cost->mean_ns < best->mean_ns) {
      best = cost;
      *precision = (uint8_t)k;
    }
  }
  return best;
}

/* What the weights of the units that p could run for the stream take there, in bytes; at most 2^55 of each. */
static uint64_t weight_bytes(const cosrel_profile *profile, uint32_t index, uint32_t p, uint32_t accepted) {
  const cosrel_model *model = &profile->models[index].model;
  uint64_t sum = 0;
  for (uint32_t u = 0; u < model->n_units; u++) {
    uint8_t precision;
    if (cheapest(profile, index, u, p, accepted, &precision) == NULL) continue;
    sum += cosrel_profile_weight_bytes(profile, index, u, p, (cosrel_precision)precision);
    if (sum > COSREL_COUNT_MAX) return COSREL_COUNT_MAX;
  }
  return sum;
}

/* Nobody runs unit u: is it for want of memory, and where? */
static cosrel_status fail_unit(const cosrel_profile *profile, const cosrel_stream *stream, uint32_t index, uint32_t u,
                               const cosrel_stream_case *sc, cosrel_error *error) {
  const cosrel_model *model = &profile->models[index].model;
  char places[256] = "";
  size_t used = 0;
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    uint8_t precision;
    if (cheapest(profile, index, u, p, stream->precisions, &precision) == NULL || used >= sizeof places) continue;
    used += (size_t)snprintf(places + used, sizeof places - used, "%s%s %.2f of %.2f MiB", used > 0 ? ", " : "",
                             profile->processors[p].name, (double)sc->weight_bytes[p] / 1048576,
                             (double)profile->processors[p].memory_bytes / 1048576);
  }
  if (used == 0)
    return cosrel_fail(error, COSREL_INFEASIBLE,
                       "stream %s: no processor of %s runs unit %s of %s in a precision that the stream accepts",
                       stream->name, profile->name, model->units[u].name, model->name);
  return cosrel_fail(error, COSREL_LIMIT,
                     "stream %s: the weights of %s fit on no processor that runs its unit %s; needed of budget: %s",
                     stream->name, model->name, model->units[u].name, places);
}

static cosrel_status fill_costs(const cosrel_profile *profile, const cosrel_stream *stream, uint32_t index, tables *t,
                                cosrel_stream_case *out, cosrel_error *error) {
  const cosrel_model *model = &profile->models[index].model;
  uint32_t n = model->n_units, n_processors = profile->n_processors;
  for (uint32_t p = 0; p < n_processors; p++) {
    const cosrel_processor *processor = &profile->processors[p];
    out->weight_bytes[p] = weight_bytes(profile, index, p, stream->precisions);
    bool fits = processor->memory_bytes == 0 || out->weight_bytes[p] <= processor->memory_bytes;
    if (processor->memory_bytes > 0 && out->weight_bytes[p] > 0)
      out->load_ns[p] = processor->load_ns + (double)out->weight_bytes[p] * processor->load_ns_per_byte;
    t->limit[p][n] = (uint16_t)n;
    t->mean[p][0] = t->variance[p][0] = t->memory[p][0] = 0;
    double speed = processor->points[0].speed;
    for (uint32_t u = 0; u < n; u++) {
      uint8_t precision = COSREL_FP32;
      const cosrel_cost *cost = fits ? cheapest(profile, index, u, p, stream->precisions, &precision) : NULL;
      double mean = cost == NULL ? 0 : cost->mean_ns / speed;
      double deviation = cost == NULL ? 0 : cost->cv * mean;
      t->mean[p][u + 1] = t->mean[p][u] + mean;
      t->variance[p][u + 1] = t->variance[p][u] + deviation * deviation;
      t->memory[p][u + 1] = t->memory[p][u] + (cost == NULL ? 0 : cost->beta * mean);
      t->limit[p][u] = cost == NULL ? (uint16_t)u : UINT16_MAX;
      t->precision[p][u] = precision;
    }
    for (uint32_t u = n; u-- > 0;)
      if (t->limit[p][u] == UINT16_MAX) t->limit[p][u] = t->limit[p][u + 1];
  }
  for (uint32_t u = 0; u < n; u++) {
    bool runs = false;
    for (uint32_t p = 0; p < n_processors; p++) runs = runs || t->limit[p][u] > u;
    if (!runs) return fail_unit(profile, stream, index, u, out, error);
  }
  return COSREL_OK;
}

static void fill_transfers(const cosrel_profile *profile, const cosrel_stream *stream, const cosrel_model *model,
                           tables *t) {
  uint32_t n_processors = profile->n_processors;
  /* Unless the profile says otherwise, a tensor is as wide as the precision of the unit that makes it, and the
   * request's input comes in the narrowest one that the stream accepts. */
  uint32_t input_bytes = 4, fixed = profile->tensor_bytes;
  for (uint32_t k = 0; k < COSREL_PRECISION_COUNT; k++)
    if (stream->precisions >> k & 1) input_bytes = cosrel_precision_bytes((cosrel_precision)k);
  for (uint32_t tensor = 0; tensor <= model->n_units; tensor++) {
    double elems = (double)(tensor == 0 ? model->input_elems : model->units[tensor - 1].out_elems);
    for (uint32_t p = 0; p < n_processors; p++)
      for (uint32_t q = 0; q < n_processors; q++) {
        uint32_t width = input_bytes;
        if (tensor > 0) width = cosrel_precision_bytes((cosrel_precision)t->precision[p][tensor - 1]);
        double bytes = elems * (fixed > 0 ? fixed : width);
        const cosrel_link *link = &profile->links[p][q];
        t->transfer[(tensor * n_processors + p) * n_processors + q] =
            p == q ? 0.0f : (float)(link->latency_ns + bytes * link->ns_per_byte);
      }
  }
}

/* The dynamic program above with `weight[q]` per ns of anything that q does; returns to_go(0, host). */
static double fill_to_go(const cosrel_case *c, uint32_t n, const tables *t, const double *weight, double **to_go,
                         double **open) {
  uint32_t n_processors = c->n_processors;
  for (uint32_t p = 0; p < n_processors; p++) to_go[p][n] = open[p][n] = 0;
  for (uint32_t u = n; u-- > 0;) {
    double stay[COSREL_PROCESSORS_MAX];
    for (uint32_t q = 0; q < n_processors; q++)
      stay[q] = t->limit[q][u] > u ? (t->mean[q][u + 1] - t->mean[q][u]) * weight[q] + open[q][u + 1] : UNREACHABLE;
    for (uint32_t p = 0; p < n_processors; p++) {
      double other = UNREACHABLE;
      for (uint32_t q = 0; q < n_processors; q++) {
        if (q == p) continue;
        double enter = c->launch_ns[q];
        for (uint32_t i = t->live_first[u]; i < t->live_first[u + 1]; i++)
          enter += t->transfer[(t->live[i].tensor * n_processors + p) * n_processors + q];
        other = fmin(other, enter * weight[q] + stay[q]);
      }
      open[p][u] = fmin(stay[p], other);
      to_go[p][u] = fmin(stay[p] + c->launch_ns[p] * weight[p], other);
    }
  }
  return to_go[c->host][0];
}

static void publish(const tables *t, uint32_t n_processors, cosrel_stream_case *out) {
  for (uint32_t p = 0; p < n_processors; p++) {
    out->mean[p] = t->mean[p], out->variance[p] = t->variance[p], out->memory[p] = t->memory[p];
    out->to_go[p] = t->to_go[p], out->to_go_open[p] = t->to_go_open[p], out->limit[p] = t->limit[p];
    out->precision[p] = t->precision[p];
  }
  out->transfer = t->transfer;
  out->live_first = t->live_first, out->live = t->live;
  out->pred_first = t->pred_first, out->preds = t->preds, out->cut = t->cut;
}

static cosrel_status compile_stream(cosrel_case *c, uint32_t s, uint32_t index, tables *t, cosrel_error *error) {
  const cosrel_profile *profile = c->profile;
  const cosrel_stream *stream = &c->workload->streams[s];
  const cosrel_model *model = &profile->models[index].model;
  cosrel_stream_case *out = &c->streams[s];
  cosrel_status status = fill_costs(profile, stream, index, t, out, error);
  if (status != COSREL_OK) return status;
  fill_dag(model, t);
  fill_transfers(profile, stream, model, t);
  publish(t, c->n_processors, out);
  out->n_units = model->n_units;

  /* Energy first, in the tables that then take the times. The device is otherwise idle: W = busy(q) + other idles +
   * base; W * ns is nJ, a millionth of a mJ. */
  double watts[COSREL_PROCESSORS_MAX], one[COSREL_PROCESSORS_MAX], idle = c->base_w;
  for (uint32_t p = 0; p < c->n_processors; p++) idle += c->idle_w[p];
  for (uint32_t p = 0; p < c->n_processors; p++) watts[p] = (idle - c->idle_w[p] + c->busy_w[p]) * 1e-6, one[p] = 1;
  out->isolated_mj = fill_to_go(c, model->n_units, t, watts, t->to_go, t->to_go_open);
  out->isolated_ns = fill_to_go(c, model->n_units, t, one, t->to_go, t->to_go_open);
  if (!(out->isolated_ns >= 1))
    return cosrel_fail(error, COSREL_INVALID, "stream %s: model %s takes no time on %s", stream->name, model->name,
                       profile->name);
  out->deadline = stream->deadline > 0 ? stream->deadline : (cosrel_time)(5 * out->isolated_ns);
  out->n_slots = stream->queue_limit;
  out->rate_hz = stream->arrivals.rate_hz;
  out->arrivals = stream->arrivals.kind;
  return COSREL_OK;
}

static void copy_device(const cosrel_profile *profile, cosrel_case *c) {
  c->n_processors = profile->n_processors;
  c->host = profile->host;
  c->base_w = profile->base_w;
  memcpy(c->kappa, profile->kappa, sizeof c->kappa);
  for (uint32_t p = 0; p < c->n_processors; p++)
    for (uint32_t q = 0; q < c->n_processors; q++) c->slowed_by[q][p] = c->kappa[p][q];
  for (uint32_t p = 0; p < c->n_processors; p++) {
    c->launch_ns[p] = profile->processors[p].launch_ns;
    c->busy_w[p] = profile->processors[p].points[0].busy_w;
    c->idle_w[p] = profile->processors[p].points[0].idle_w;
    c->price[p] = 1.0 / c->n_processors;
    c->budget[p] = profile->processors[p].memory_bytes;
  }
  c->prefetch = !profile->no_prefetch;
}

/* Of one model. */
static bool same_precisions(const cosrel_case *c, uint32_t a, uint32_t b) {
  bool same = true;
  for (uint32_t p = 0; p < c->n_processors; p++)
    same = same && memcmp(c->streams[a].precision[p], c->streams[b].precision[p], c->streams[a].n_units) == 0;
  return same;
}

static uint32_t first_sharer(const cosrel_case *c, uint32_t s) {
  const cosrel_stream *streams = c->workload->streams;
  uint32_t first = 0;
  while (strcmp(streams[first].model, streams[s].model) != 0 || !same_precisions(c, first, s)) first++;
  return first;
}

cosrel_status cosrel_case_create(const cosrel_profile *profile, const cosrel_workload *workload, cosrel_case *out,
                                 cosrel_error *error) {
  memset(out, 0, sizeof *out);
  cosrel_case *c = out;
  c->profile = profile;
  c->workload = workload;
  c->n_streams = workload->n_streams;
  copy_device(profile, c);

  int index[COSREL_STREAMS_MAX];
  carver measure = {NULL, 0};
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream *stream = &workload->streams[s];
    index[s] = cosrel_profile_find_model(profile, stream->model);
    if (index[s] < 0)
      return cosrel_fail(error, COSREL_INVALID, "stream %s: profile %s has no model named %s", stream->name,
                         profile->name, stream->model);
    const cosrel_model *model = &profile->models[index[s]].model;
    carve_stream(&measure, model, c->n_processors, walk_live(model, NULL, NULL));
    if (model->n_units > c->max_units) c->max_units = model->n_units;
  }
  c->tables = calloc(1, measure.used);
  if (c->tables == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for the tables of a case");

  carver fill = {c->tables, 0};
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_model *model = &profile->models[index[s]].model;
    tables t = carve_stream(&fill, model, c->n_processors, walk_live(model, NULL, NULL));
    cosrel_status status = compile_stream(c, s, (uint32_t)index[s], &t, error);
    if (status != COSREL_OK) {
      cosrel_case_destroy(c);
      return status;
    }
    c->streams[s].weights = first_sharer(c, s);
    c->streams[s].first_slot = c->n_slots;
    c->n_slots += c->streams[s].n_slots;
  }
  c->bit_words = (c->max_units + 63) / 64;
  c->request_size = (sizeof(cosrel_request) + 2 * c->bit_words * sizeof(uint64_t) + c->max_units + 1 + 7) & ~(size_t)7;
  c->slots_at = sizeof(cosrel_state) + c->n_streams * sizeof(cosrel_stream_state);
  c->state_size = c->slots_at + c->n_slots * c->request_size;
  bool limited = false;
  for (uint32_t p = 0; p < c->n_processors; p++) limited = limited || c->budget[p] > 0;
  if (limited) {
    c->residency_at = c->state_size;
    c->state_size += c->n_processors * sizeof(cosrel_residency);
  }
  return COSREL_OK;
}

void cosrel_case_destroy(cosrel_case *c) {
  free(c->tables);
  memset(c, 0, sizeof *c);
}

void cosrel_case_set_arrivals(cosrel_case *c, cosrel_arrivals_kind kind) {
  for (uint32_t s = 0; s < c->n_streams; s++) c->streams[s].arrivals = kind;
}

void cosrel_case_set_load(cosrel_case *c, double load) {
  c->load = load;
  for (uint32_t s = 0; s < c->n_streams; s++)
    c->streams[s].rate_hz = c->workload->streams[s].arrivals.rate_hz * (load > 0 ? load * c->lambda_star : 1.0);
}

bool cosrel_case_uses(const cosrel_case *c, uint32_t s, cosrel_precision precision) {
  const cosrel_stream_case *sc = &c->streams[s];
  for (uint32_t p = 0; p < c->n_processors; p++)
    for (uint32_t u = 0; u < sc->n_units; u++)
      if (sc->limit[p][u] > u && sc->precision[p][u] == (uint8_t)precision) return true;
  return false;
}

bool cosrel_case_is_closed(const cosrel_case *c) {
  for (uint32_t s = 0; s < c->n_streams; s++)
    if (c->streams[s].arrivals != COSREL_ARRIVALS_CLOSED) return false;
  return true;
}
