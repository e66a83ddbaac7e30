#include "sched/arrivals.h"

#include <math.h>

#include "sched/rng.h"

enum { DRAW_GAP = 1, DRAW_PHASE = 2, DRAW_JITTER = 3, DRAW_BURST = 4 };

/* The key of draw k of a kind. */
static uint64_t draw(uint64_t key, uint64_t kind, uint64_t k) { return cosrel_rng_key(key, kind << 56 | k); }

/* For a stream that gives no burst figures of its own: three times the mean rate a fifth of the time, for half a
 * second. */
static const double burst_ratio_default = 3.0, burst_share_default = 0.2, burst_s_default = 0.5;

/* The time when a process of rate 1/ns `rate` has used up `area` expected arrivals, phases alternating quiet and burst.
 * By time change a Poisson process of varying rate is a unit one in that area. */
static cosrel_time bursty(const cosrel_arrivals *a, double rate_hz, cosrel_stream_state *stream, uint64_t key,
                          double area, cosrel_time previous) {
  bool given = a->burst_ratio > 0;
  double ratio = given ? a->burst_ratio : burst_ratio_default;
  double share = given ? a->burst_share : burst_share_default;
  double burst_s = given ? a->burst_s : burst_s_default;
  double quiet_rate = rate_hz * (1 - share * ratio) / (1 - share), quiet_s = burst_s * (1 - share) / share;
  double t = cosrel_time_s(previous);
  for (;;) {
    double end = cosrel_time_s(stream->phase_end);
    bool burst = stream->n_phases % 2 == 0; /* phases begun so far: the present one is number n_phases - 1 */
    double rate = burst ? rate_hz * ratio : quiet_rate;
    if (stream->n_phases > 0 && area < (end - t) * rate) return (cosrel_time)((t + area / rate) * 1e9);
    if (stream->n_phases > 0) {
      area -= (end - t) * rate > 0 ? (end - t) * rate : 0;
      t = end;
    }
    stream->n_phases++;
    double mean_s = stream->n_phases % 2 == 0 ? burst_s : quiet_s;
    double length = mean_s * cosrel_rng_exponential(draw(key, DRAW_BURST, stream->n_phases));
    stream->phase_end = (cosrel_time)((t + length) * 1e9) + 1;
  }
}

cosrel_time cosrel_arrival_time(const cosrel_case *c, uint32_t s, cosrel_stream_state *stream, uint64_t k,
                                cosrel_time previous) {
  const cosrel_stream_case *sc = &c->streams[s];
  const cosrel_arrivals *a = &c->workload->streams[s].arrivals;
  uint64_t key = stream->key;
  cosrel_time t = COSREL_TIME_NEVER;
  switch (sc->arrivals) {
    case COSREL_ARRIVALS_PERIODIC: {
      double phase = a->phase >= 0 && a->kind == COSREL_ARRIVALS_PERIODIC
                         ? a->phase
                         : cosrel_rng_uniform(draw(key, DRAW_PHASE, 0));
      double u = cosrel_rng_uniform(draw(key, DRAW_JITTER, k));
      t = (cosrel_time)((phase + (double)k + a->jitter * (2 * u - 1)) * 1e9 / sc->rate_hz);
      break;
    }
    case COSREL_ARRIVALS_POISSON:
      t = previous + (cosrel_time)(cosrel_rng_exponential(draw(key, DRAW_GAP, k)) * 1e9 / sc->rate_hz);
      break;
    case COSREL_ARRIVALS_BURSTY:
      t = bursty(a, sc->rate_hz, stream, key, cosrel_rng_exponential(draw(key, DRAW_GAP, k)), previous);
      break;
    case COSREL_ARRIVALS_RECORDED: {
      /* A load changes the pace: at twice the rate the recording takes half the time. */
      double at = k < a->n_times ? (double)a->times[k] * (a->rate_hz / sc->rate_hz) : INFINITY;
      if (at < 0x1p62) t = (cosrel_time)at;
      break;
    }
    case COSREL_ARRIVALS_CLOSED:
      if (k == 0) t = 0;
      break;
    default: break;
  }
  return t < previous ? previous : t;
}
