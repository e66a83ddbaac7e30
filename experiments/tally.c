#include "experiments/tally.h"

#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "experiments/stats.h"

static void on_outcome(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_outcome *outcome) {
  (void)c, (void)state;
  const cosrel_recorded_outcome recorded = {.arrival = outcome->arrival,
                                            .end = outcome->end,
                                            .ntt = outcome->ntt,
                                            .utility = outcome->utility,
                                            .stream = outcome->stream,
                                            .dropped = outcome->dropped};
  cosrel_tally_outcome(self, &recorded);
}

static void on_segment(void *self, const cosrel_case *c, const cosrel_state *state, const cosrel_segment *segment) {
  (void)c, (void)state;
  cosrel_tally_segment(self, &(cosrel_recorded_segment){segment->started, segment->ended, segment->processor});
}

void cosrel_tally_begin(cosrel_tally *tally, uint32_t n_streams, uint32_t n_processors) {
  memset(tally, 0, sizeof *tally);
  tally->sink = (cosrel_sink){.self = tally, .outcome = on_outcome, .segment = on_segment};
  tally->n_streams = n_streams;
  tally->n_processors = n_processors;
}

void cosrel_tally_clear(cosrel_tally *tally) {
  for (uint32_t s = 0; s < tally->n_streams; s++) free(tally->streams[s].latency_ms);
  memset(tally, 0, sizeof *tally);
}

void cosrel_tally_run(cosrel_tally *tally, cosrel_time horizon) {
  tally->horizon = horizon;
  tally->seconds += cosrel_time_s(horizon);
}

void cosrel_tally_outcome(cosrel_tally *tally, const cosrel_recorded_outcome *outcome) {
  uint32_t s = outcome->stream;
  tally->streams[s].ended++;
  tally->streams[s].ntt += outcome->ntt;
  tally->streams[s].utility += outcome->utility;
  if (outcome->dropped) return;
  tally->streams[s].by_horizon += outcome->end <= tally->horizon;
  if (tally->streams[s].n == tally->streams[s].room) {
    uint32_t room = 2 * tally->streams[s].room + 1024;
    double *more = realloc(tally->streams[s].latency_ms, room * sizeof *more);
    tally->no_memory = tally->no_memory || more == NULL;
    if (more == NULL) return;
    tally->streams[s].latency_ms = more;
    tally->streams[s].room = room;
  }
  tally->streams[s].latency_ms[tally->streams[s].n++] = cosrel_time_ms(outcome->end - outcome->arrival);
}

void cosrel_tally_segment(cosrel_tally *tally, const cosrel_recorded_segment *segment) {
  cosrel_time end = segment->ended < tally->horizon ? segment->ended : tally->horizon;
  if (end > segment->started) tally->busy_s[segment->processor] += cosrel_time_s(end - segment->started);
}

void cosrel_tally_power(cosrel_tally *tally, double power_w) {
  bool known = power_w >= 0 && tally->energy_j >= 0;
  tally->energy_j = known ? tally->energy_j + power_w * cosrel_time_s(tally->horizon) : -1;
}

/* Mean, or 95 % quantile, of the latencies of streams [first, end). */
static double latency(cosrel_tally *tally, uint32_t first, uint32_t end, bool p95) {
  size_t n = 0;
  for (uint32_t s = first; s < end; s++) n += tally->streams[s].n;
  double *all = n > 0 ? malloc(n * sizeof *all) : NULL, sum = 0;
  if (all == NULL) return NAN;
  n = 0;
  for (uint32_t s = first; s < end; s++)
    for (uint32_t i = 0; i < tally->streams[s].n; i++) all[n++] = tally->streams[s].latency_ms[i];
  gsl_sort(all, 1, n);
  for (size_t i = 0; i < n; i++) sum += all[i];
  double value = p95 ? cosrel_quantile(all, (uint32_t)n, 0.95) : sum / (double)n;
  free(all);
  return value;
}

double cosrel_tally_figure(cosrel_tally *tally, cosrel_tally_kind kind, int of) {
  uint32_t first = of < 0 ? 0 : (uint32_t)of, end = of < 0 ? tally->n_streams : (uint32_t)of + 1, present = 0;
  double ended = 0, by_horizon = 0, antt = 0, utility = 0;
  if (kind == COSREL_TALLY_UTILISATION) return tally->busy_s[of] / tally->seconds;
  if (kind == COSREL_TALLY_POWER) return tally->energy_j >= 0 ? tally->energy_j / tally->seconds : NAN;
  if (kind == COSREL_TALLY_MEAN || kind == COSREL_TALLY_P95)
    return latency(tally, first, end, kind == COSREL_TALLY_P95);
  for (uint32_t s = first; s < end; s++) {
    if (tally->streams[s].ended == 0) continue;
    present++;
    ended += (double)tally->streams[s].ended;
    by_horizon += (double)tally->streams[s].by_horizon;
    antt += tally->streams[s].ntt / (double)tally->streams[s].ended;
    utility += tally->streams[s].utility;
  }
  if (kind == COSREL_TALLY_RATE) return by_horizon / tally->seconds;
  if (present == 0) return NAN;
  return kind == COSREL_TALLY_ANTT ? antt / present : utility / ended;
}
