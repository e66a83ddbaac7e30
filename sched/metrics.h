/* The figures of a run, as defined in the README ("What the columns mean"); names after Eyerman and Eeckhout, IEEE
 * Micro 2008.
 *
 * A cosrel_metrics listens to one run as a sink and keeps fixed-size histograms (relative error below 0.4 %), so memory
 * stays flat however long the run is. */
#ifndef COSREL_SCHED_METRICS_H
#define COSREL_SCHED_METRICS_H

#include "sched/case.h"
#include "sched/engine.h"
#include "sched/status.h"

typedef struct cosrel_stream_result {
  uint64_t arrived, completed, dropped, failed, missed; /* arrived = completed + dropped + failed */
  double rate_hz;                                       /* completions up to the horizon over the horizon */
  double latency_mean_ms, latency_p50_ms, latency_p95_ms, latency_p99_ms; /* of completed requests; 0 when none */
  double np, ntt; /* normalised progress; mean NTT over all arrivals */
} cosrel_stream_result;

/* What a processor's memory budget led to. */
typedef struct cosrel_memory_result {
  uint64_t budget_bytes, peak_bytes;
  uint64_t loads, prefetched, evictions; /* loads: prefetched ones too */
  double load_ms;                        /* that segments waited for weights */
} cosrel_memory_result;

typedef struct cosrel_result {
  double duration_s;                /* the horizon */
  double stp, antt, g, fairness, u; /* u: mean utility over all arrivals */
  double energy_mj_per_inference, energy_ratio, power_w;
  double bound_share; /* g / g_star; negative: not defined (open loop, or no bound known) */
  double goodput_hz, p95_ntt;
  uint64_t decisions;
  cosrel_memory_result memory[COSREL_PROCESSORS_MAX]; /* zero where there is no budget */
  uint32_t n_streams;
  cosrel_stream_result streams[COSREL_STREAMS_MAX]; /* last: whoever keeps many results leaves unused ones out */
} cosrel_result;

typedef struct cosrel_metrics cosrel_metrics;

cosrel_status cosrel_metrics_create(const cosrel_case *c, cosrel_metrics **out);
void cosrel_metrics_destroy(cosrel_metrics *metrics);
/* The sink to hang into engine->sinks. Owned by the metrics. */
cosrel_sink *cosrel_metrics_sink(cosrel_metrics *metrics);
void cosrel_metrics_reset(cosrel_metrics *metrics);
/* Figures of the finished run of `engine`. */
void cosrel_metrics_result(const cosrel_metrics *metrics, const cosrel_engine *engine, cosrel_result *out);

#endif
