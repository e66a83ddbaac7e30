#include "backends/sim/sim.h"

#include <math.h>

#include "sched/rng.h"

/* ln(1 + x), x > 0; the series is good to 2e-9 of it. */
static double log_one_plus(double x) {
  return x < 0.01 ? x * (1.0 - x * (0.5 - x * (1.0 / 3.0 - 0.25 * x))) : log1p(x);
}

/* Lognormal with mean 1 whose variance matches the segment's: sigma^2 = ln(1 + var / mean^2). */
static double draw_noise(const cosrel_case *c, const cosrel_state *state, const cosrel_candidate *candidate) {
  const cosrel_request *request = cosrel_state_request(c, state, candidate->slot);
  const cosrel_stream_case *sc = &c->streams[request->stream];
  uint32_t p = candidate->processor, begin = candidate->begin, end = candidate->end;
  double variance = sc->variance[p][end] - sc->variance[p][begin], mean = sc->mean[p][end] - sc->mean[p][begin];
  if (variance <= 0 || mean <= 0) return 1;
  const uint64_t noise = (uint64_t)0x6e6f6973 << 32; /* apart from the stream's other draws */
  uint64_t key = cosrel_rng_key(state->streams[request->stream].key ^ noise, request->sequence << 16 | begin);
  double sigma2 = log_one_plus(variance / (mean * mean));
  return exp(sqrt(sigma2) * cosrel_rng_normal(key) - 0.5 * sigma2);
}

/* What an injected fault makes of the time of a segment. */
static double spoil(cosrel_injector *injector, const cosrel_case *c, const cosrel_state *state,
                    const cosrel_candidate *candidate, double scale) {
  uint32_t p = candidate->processor;
  if (state->n_segments == 0) cosrel_injector_begin(injector->plan, c->profile, state->seed, injector);
  cosrel_injected kind = cosrel_injector_segment(injector, p, state->now);
  if (kind == COSREL_INJECT_ERROR || kind == COSREL_INJECT_LOST)
    return scale * cosrel_rng_uniform(cosrel_rng_key(injector->seed, state->n_segments));
  if (kind != COSREL_INJECT_HANG && kind != COSREL_INJECT_STUCK) return scale;
  cosrel_work work = cosrel_state_work(c, state, candidate);
  double overhead = work.launch + work.load + work.transfer;
  cosrel_time budget = cosrel_segment_budget(overhead + work.compute, COSREL_BUDGET_FLOOR);
  return work.compute > 0 ? ((double)budget - overhead) / work.compute : scale;
}

static cosrel_status sim_submit(void *self, const cosrel_case *c, const cosrel_state *state,
                                const cosrel_candidate *candidate, double *scale) {
  const cosrel_sim *sim = self;
  *scale = sim->noise ? draw_noise(c, state, candidate) : 1;
  if (sim->injector != NULL) *scale = spoil(sim->injector, c, state, candidate, *scale);
  return COSREL_OK;
}

/* How what ends on p at `now` ends. */
static cosrel_failure verdict(const cosrel_injector *injector, const cosrel_state *state, uint32_t p, cosrel_time now) {
  bool probing = state->running[p].slot < 0;
  cosrel_injected kind = probing ? COSREL_INJECT_NOTHING : injector->processors[p].segment;
  if (kind == COSREL_INJECT_NOTHING) kind = cosrel_injector_condition(injector, p, now);
  switch (kind) {
    case COSREL_INJECT_ERROR: return (cosrel_failure){.fault = COSREL_FAULT_ERROR};
    case COSREL_INJECT_HANG: return (cosrel_failure){.fault = COSREL_FAULT_HANG};
    case COSREL_INJECT_STUCK: return (cosrel_failure){.fault = COSREL_FAULT_HANG, .restart = true};
    case COSREL_INJECT_NAN: return (cosrel_failure){.fault = COSREL_FAULT_NAN};
    case COSREL_INJECT_LOST: return (cosrel_failure){.fault = COSREL_FAULT_LOST, .memory_lost = true};
    default: return (cosrel_failure){.fault = COSREL_FAULT_NONE};
  }
}

static cosrel_status sim_wait(void *self, const cosrel_case *c, const cosrel_state *state, cosrel_time until,
                              cosrel_time *now, int32_t *processor, cosrel_failure *failure) {
  const cosrel_sim *sim = self;
  uint32_t p;
  cosrel_time finish = cosrel_state_next_finish(c, state, &p);
  *processor = finish <= until && finish != COSREL_TIME_NEVER ? (int32_t)p : COSREL_NONE;
  *now = *processor == COSREL_NONE ? until : finish;
  if (sim->injector != NULL && *processor != COSREL_NONE) *failure = verdict(sim->injector, state, p, finish);
  return COSREL_OK;
}

static cosrel_status sim_probe(void *self, const cosrel_case *c, const cosrel_state *state, uint32_t processor,
                               double *expected_ns) {
  (void)self, (void)state;
  *expected_ns = c->launch_ns[processor] + (double)COSREL_MS;
  return COSREL_OK;
}

static const cosrel_driver_ops sim_ops = {
    .struct_size = sizeof(cosrel_driver_ops),
    .submit = sim_submit,
    .wait = sim_wait,
    .probe = sim_probe,
};

cosrel_driver cosrel_sim_driver(const cosrel_sim *sim) { return (cosrel_driver){&sim_ops, (void *)sim}; }
