#include "backends/sim/sim.h"

#include <math.h>

#include "sched/rng.h"

/* ln(1 + x), x > 0; the series is good to 2e-9 of it. */
static double log_one_plus(double x) {
  return x < 0.01 ? x * (1.0 - x * (0.5 - x * (1.0 / 3.0 - 0.25 * x))) : log1p(x);
}

/* Lognormal with mean 1 whose variance matches the segment's: sigma^2 = ln(1 + var / mean^2). */
static cosrel_status sim_submit(void *self, const cosrel_case *c, const cosrel_state *state,
                                const cosrel_candidate *candidate, double *scale) {
  const cosrel_sim *sim = self;
  const cosrel_request *request = cosrel_state_request(c, state, candidate->slot);
  const cosrel_stream_case *sc = &c->streams[request->stream];
  uint32_t p = candidate->processor, begin = candidate->begin, end = candidate->end;
  double variance = sc->variance[p][end] - sc->variance[p][begin], mean = sc->mean[p][end] - sc->mean[p][begin];
  *scale = 1;
  if (!sim->noise || variance <= 0 || mean <= 0) return COSREL_OK;
  const uint64_t noise = (uint64_t)0x6e6f6973 << 32; /* apart from the stream's other draws */
  uint64_t key = cosrel_rng_key(state->streams[request->stream].key ^ noise, request->sequence << 16 | begin);
  double sigma2 = log_one_plus(variance / (mean * mean));
  *scale = exp(sqrt(sigma2) * cosrel_rng_normal(key) - 0.5 * sigma2);
  return COSREL_OK;
}

static cosrel_status sim_wait(void *self, const cosrel_case *c, const cosrel_state *state, cosrel_time until,
                              cosrel_time *now, int32_t *processor) {
  (void)self;
  uint32_t p;
  cosrel_time finish = cosrel_state_next_finish(c, state, &p);
  *processor = finish <= until && finish != COSREL_TIME_NEVER ? (int32_t)p : COSREL_NONE;
  *now = *processor == COSREL_NONE ? until : finish;
  return COSREL_OK;
}

static const cosrel_driver_ops sim_ops = {
    .struct_size = sizeof(cosrel_driver_ops),
    .submit = sim_submit,
    .wait = sim_wait,
};

cosrel_driver cosrel_sim_driver(const cosrel_sim *sim) { return (cosrel_driver){&sim_ops, (void *)sim}; }
