#include "sched/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/residency.h"

/* A histogram with 256 buckets an octave over [1, 2^40): value v lies in a bucket of relative width below 1/256. */
enum { OCTAVES = 40, SUB = 256, BUCKETS = OCTAVES * SUB };

typedef struct histogram {
  uint64_t count;
  double sum;
  uint32_t bucket[BUCKETS];
} histogram;

static void histogram_add(histogram *h, double value) {
  h->count++;
  h->sum += value;
  if (value < 1) value = 1;
  int exponent;
  double mantissa = frexp(value, &exponent); /* value = mantissa * 2^exponent, mantissa in [0.5, 1) */
  int index = (exponent - 1) * SUB + (int)((mantissa - 0.5) * 2 * SUB);
  h->bucket[index < BUCKETS ? index : BUCKETS - 1]++;
}

/* Smallest v such that at least share * count values are <= v, to within the bucket (its upper edge); 0 when empty. */
static double histogram_quantile(const histogram *h, double share) {
  uint64_t rank = (uint64_t)ceil(share * (double)h->count), below = 0;
  if (h->count == 0) return 0;
  if (rank == 0) rank = 1;
  for (int i = 0; i < BUCKETS; i++) {
    below += h->bucket[i];
    if (below >= rank) return ldexp(0.5 + (i % SUB + 1.0) / (2 * SUB), i / SUB + 1);
  }
  return ldexp(1, OCTAVES);
}

struct cosrel_metrics {
  cosrel_sink sink;
  uint32_t n_streams;
  histogram ntt;       /* of all arrivals, in thousandths */
  histogram latency[]; /* [n_streams] of completed requests, in ns */
};

static void on_outcome(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_outcome *outcome) {
  (void)c, (void)state;
  cosrel_metrics *metrics = self;
  histogram_add(&metrics->ntt, outcome->ntt * 1000);
  if (!outcome->dropped) histogram_add(&metrics->latency[outcome->stream], (double)(outcome->end - outcome->arrival));
}

cosrel_status cosrel_metrics_create(const cosrel_case *c, cosrel_metrics **out) {
  cosrel_metrics *metrics = calloc(1, sizeof *metrics + c->n_streams * sizeof(histogram));
  *out = metrics;
  if (metrics == NULL) return COSREL_NOMEM;
  metrics->n_streams = c->n_streams;
  metrics->sink = (cosrel_sink){.self = metrics, .outcome = on_outcome};
  return COSREL_OK;
}

void cosrel_metrics_destroy(cosrel_metrics *metrics) { free(metrics); }

cosrel_sink *cosrel_metrics_sink(cosrel_metrics *metrics) { return &metrics->sink; }

void cosrel_metrics_reset(cosrel_metrics *metrics) {
  memset(&metrics->ntt, 0, sizeof metrics->ntt);
  memset(metrics->latency, 0, metrics->n_streams * sizeof(histogram));
}

void cosrel_metrics_result(const cosrel_metrics *metrics, const cosrel_engine *engine, cosrel_result *out) {
  const cosrel_case *c = engine->c;
  const cosrel_state *state = engine->state;
  memset(out, 0, sizeof *out);
  out->duration_s = cosrel_time_s(state->horizon);
  out->decisions = engine->n_decisions;
  out->n_streams = c->n_streams;
  double log_np = 0, least = INFINITY, most = 0, utility = 0, isolated = 0, streams_with_arrivals = 0;
  uint64_t arrived = 0, completed = 0, in_time = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream_state *stream = &state->streams[s];
    const histogram *latency = &metrics->latency[s];
    cosrel_stream_result *r = &out->streams[s];
    r->arrived = stream->arrived, r->completed = stream->completed;
    r->dropped = stream->dropped, r->failed = stream->failed, r->missed = stream->missed;
    r->rate_hz = (double)stream->completed_by_horizon / out->duration_s;
    r->latency_mean_ms = latency->count == 0 ? 0 : latency->sum / (double)latency->count * 1e-6;
    r->latency_p50_ms = histogram_quantile(latency, 0.50) * 1e-6;
    r->latency_p95_ms = histogram_quantile(latency, 0.95) * 1e-6;
    r->latency_p99_ms = histogram_quantile(latency, 0.99) * 1e-6;
    r->np = r->rate_hz * c->streams[s].isolated_ns * 1e-9;
    r->ntt = stream->arrived == 0 ? 0 : stream->ntt / (double)stream->arrived;
    out->stp += r->np;
    out->antt += r->ntt;
    streams_with_arrivals += stream->arrived > 0;
    log_np += log(r->np);
    least = fmin(least, r->np), most = fmax(most, r->np);
    utility += stream->utility;
    isolated += stream->isolated_mj_in_time;
    arrived += stream->arrived, completed += stream->completed, in_time += stream->in_time;
  }
  out->antt = streams_with_arrivals > 0 ? out->antt / streams_with_arrivals : 0;
  out->g = exp(log_np / c->n_streams);
  out->fairness = most > 0 ? least / most : 0;
  out->u = arrived > 0 ? utility / (double)arrived : 0;
  out->p95_ntt = histogram_quantile(&metrics->ntt, 0.95) * 1e-3;
  out->goodput_hz = (double)in_time / out->duration_s;
  out->energy_mj_per_inference = completed > 0 ? state->energy_mj / (double)completed : -1;
  out->energy_ratio = isolated > 0 ? state->energy_mj / isolated : -1;
  out->power_w = state->now > 0 ? state->energy_mj / cosrel_time_s(state->now) * 1e-3 : 0;
  out->bound_share = cosrel_case_is_closed(c) && c->g_star > 0 ? out->g / c->g_star : -1;
  for (uint32_t p = 0; p < c->n_processors && c->residency_at != 0; p++) {
    const cosrel_residency *r = cosrel_state_residency(c, state, p);
    out->memory[p] = (cosrel_memory_result){.budget_bytes = c->budget[p],
                                            .peak_bytes = r->peak_bytes,
                                            .loads = r->n_loads,
                                            .prefetched = r->n_prefetched,
                                            .evictions = r->n_evictions,
                                            .load_ms = cosrel_time_ms(r->waited)};
  }
}
