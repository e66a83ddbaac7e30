/* What is known of the runs of one policy, measured or predicted, gathered in the same way: from the outcomes and
 * segments of traces, or of simulations, to which it listens as a sink. */
#ifndef COSREL_EXPERIMENTS_TALLY_H
#define COSREL_EXPERIMENTS_TALLY_H

#include "sched/engine.h"
#include "traces/results.h"

typedef struct cosrel_tally {
  cosrel_sink sink;
  uint32_t n_streams, n_processors;
  cosrel_time horizon; /* of the present run */
  double seconds;      /* of arrivals, all runs together */
  struct {
    uint64_t ended, by_horizon; /* requests; those completed by the horizon */
    double ntt, utility;        /* sums over ended ones */
    uint32_t n, room;           /* completed ones */
    double *latency_ms;         /* [n], owned */
  } streams[COSREL_STREAMS_MAX];
  double busy_s[COSREL_PROCESSORS_MAX]; /* up to the horizon */
  double energy_j;                      /* power times seconds; negative: unknown */
  bool no_memory;                       /* something was lost */
} cosrel_tally;

/* Large: not for the stack. Free with cosrel_tally_clear. */
void cosrel_tally_begin(cosrel_tally *tally, uint32_t n_streams, uint32_t n_processors);
void cosrel_tally_clear(cosrel_tally *tally);

/* Each run begins with its horizon and ends with its mean power in W, negative when unknown; then all power is. */
void cosrel_tally_run(cosrel_tally *tally, cosrel_time horizon);
void cosrel_tally_outcome(cosrel_tally *tally, const cosrel_recorded_outcome *outcome);
void cosrel_tally_segment(cosrel_tally *tally, const cosrel_recorded_segment *segment);
void cosrel_tally_power(cosrel_tally *tally, double power_w);

typedef enum cosrel_tally_kind {
  COSREL_TALLY_RATE,        /* Hz, completed by the horizon */
  COSREL_TALLY_MEAN,        /* ms, latency of completed requests */
  COSREL_TALLY_P95,         /* ms, likewise */
  COSREL_TALLY_ANTT,        /* mean over streams of the stream's mean NTT */
  COSREL_TALLY_U,           /* mean utility of all requests */
  COSREL_TALLY_UTILISATION, /* of a processor, up to the horizon */
  COSREL_TALLY_POWER        /* W */
} cosrel_tally_kind;

/* `of` is a stream or processor, or -1: all. NaN when it is not known. Sorts latencies. */
double cosrel_tally_figure(cosrel_tally *tally, cosrel_tally_kind kind, int of);

#endif
