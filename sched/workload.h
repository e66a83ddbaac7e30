/* A workload: the streams of requests that share a device, and what the user values. traces/workload_file.h reads it */
#ifndef COSREL_SCHED_WORKLOAD_H
#define COSREL_SCHED_WORKLOAD_H

#include <stdint.h>

#include "sched/clock.h"
#include "sched/profile.h"

#define COSREL_STREAMS_MAX 64
#define COSREL_QUEUE_MAX 16
#define COSREL_PATH_MAX 256 /* bytes of a path in a file, its NUL included */

/* How requests of a stream arrive.
 *   closed    one outstanding request; the next arrives when it ends
 *   periodic  every 1/rate, each moved by a uniform jitter; the first after the phase
 *   poisson   exponential gaps of mean 1/rate
 *   bursty    two states, quiet and burst, of exponential length; Poisson within each, mean rate kept
 *   recorded  the times given in the stream */
#define COSREL_ARRIVALS_MAP(X) \
  X(CLOSED, "closed") X(PERIODIC, "periodic") X(POISSON, "poisson") X(BURSTY, "bursty") X(RECORDED, "recorded")
typedef enum cosrel_arrivals_kind {
#define X(name, text) COSREL_ARRIVALS_##name,
  COSREL_ARRIVALS_MAP(X)
#undef X
      COSREL_ARRIVALS_COUNT
} cosrel_arrivals_kind;

typedef struct cosrel_arrivals {
  cosrel_arrivals_kind kind;
  double rate_hz;     /* nominal mean rate r_m, > 0 */
  double jitter;      /* periodic: half-width of the uniform jitter in periods, 0..0.5 */
  double phase;       /* periodic: first arrival in periods, 0..1; negative: drawn from the seed */
  double burst_ratio; /* bursty: rate in a burst over the mean rate, > 1 */
  double burst_share; /* bursty: share of time in bursts, 0 < share < 1 and share * ratio <= 1 */
  double burst_s;     /* bursty: mean length of a burst, seconds */
  uint32_t n_times;   /* recorded */
  cosrel_time *times; /* recorded: ascending, owned by the workload; NULL otherwise */
} cosrel_arrivals;

/* What happens when a request arrives and `queue_limit` requests of the stream are already there. */
#define COSREL_DROP_MAP(X) X(NEWEST, "newest") X(OLDEST, "oldest")
typedef enum cosrel_drop {
#define X(name, text) COSREL_DROP_##name,
  COSREL_DROP_MAP(X)
#undef X
      COSREL_DROP_COUNT
} cosrel_drop;

typedef struct cosrel_stream {
  char name[COSREL_NAME_MAX];
  char model[COSREL_NAME_MAX];
  /* For real execution, relative to the workload's file; empty: a zoo network of the model's name, seeded noise. */
  char file[COSREL_PATH_MAX], input[COSREL_PATH_MAX];
  uint32_t precisions; /* bit per cosrel_precision that the stream accepts */
  cosrel_arrivals arrivals;
  cosrel_time deadline; /* relative to arrival; 0: none, so 5 T_m is used */
  double priority;      /* > 0, 1 is normal: for policies; U itself is not weighted */
  uint32_t queue_limit; /* outstanding requests at most, 1..COSREL_QUEUE_MAX */
  cosrel_drop drop;     /* oldest: the oldest not yet started gives way, or the new one if all have started */
  bool drop_late;       /* a request not started by its deadline is dropped */
} cosrel_stream;

/* Objective weights, each >= 0, not all 0; only their proportions matter. */
typedef struct cosrel_objective {
  double latency, throughput, energy;
} cosrel_objective;

typedef struct cosrel_workload {
  char name[COSREL_NAME_MAX];
  char description[256];
  uint32_t n_streams;
  cosrel_stream streams[COSREL_STREAMS_MAX];
  cosrel_objective objective;
} cosrel_workload;

cosrel_status cosrel_workload_check(const cosrel_workload *workload, const char *where, cosrel_error *error);
void cosrel_workload_clear(cosrel_workload *workload);

const char *cosrel_arrivals_name(cosrel_arrivals_kind kind);
const char *cosrel_drop_name(cosrel_drop drop);
int cosrel_arrivals_from_name(const char *name);
int cosrel_drop_from_name(const char *name);

#endif
