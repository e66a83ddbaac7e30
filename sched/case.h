/* A case: a profile and a workload compiled into flat tables, so that the hot path only adds and looks up.
 *
 * Immutable while an engine runs on it, hence shared freely between threads. One allocation holds all tables.
 * Names: s stream, u unit, p q processors, t tensor. Tensor 0 is the request's input, tensor u + 1 the output of unit
 * u. Costs are means at the top operating point, nothing else running. For each (stream, unit, processor) the fastest
 * precision that the stream accepts is taken. */
#ifndef COSREL_SCHED_CASE_H
#define COSREL_SCHED_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/profile.h"
#include "sched/workload.h"

/* A tensor made before unit a (or the input) that a unit from a on still reads; `next` is the first such reader. */
typedef struct cosrel_live {
  uint16_t tensor, next;
} cosrel_live;

/* Tables of one stream's model on this device. n is n_units, P is n_processors. */
typedef struct cosrel_stream_case {
  uint32_t n_units;
  uint32_t first_slot, n_slots;  /* its requests' slots in the state */
  double rate_hz;                /* arrival rate in force: nominal, or load * lambda* * nominal */
  cosrel_arrivals_kind arrivals; /* kind in force */
  double isolated_ns;            /* T_m */
  double isolated_mj;            /* E_m: the least energy of a sequential execution, base and idle power included */
  cosrel_time deadline;          /* the stream's, or 5 T_m */

  /* Prefix sums: x[p][u] is the sum over units below u, so a segment [a, b) costs x[p][b] - x[p][a]. [P][n + 1] */
  const double *mean[COSREL_PROCESSORS_MAX];       /* ns */
  const double *variance[COSREL_PROCESSORS_MAX];   /* ns^2 */
  const double *memory[COSREL_PROCESSORS_MAX];     /* beta * ns */
  const uint16_t *limit[COSREL_PROCESSORS_MAX];    /* [P][n + 1] first unit >= u that p cannot run, or n */
  const uint8_t *precision[COSREL_PROCESSORS_MAX]; /* [P][n] cosrel_precision in which p runs unit u */

  /* Cost to go in ns from unit u, all live tensors on p: entering a segment anew (launch due on any processor), or
   * continuing one that runs on p. [P][n + 1]; 0 at n. */
  const double *to_go[COSREL_PROCESSORS_MAX];
  const double *to_go_open[COSREL_PROCESSORS_MAX];

  const float *transfer;      /* [n + 1][P][P] ns to bring tensor t from p to q; 0 on the diagonal */
  const uint32_t *live_first; /* [n + 2] live tensors at unit a are live[live_first[a] .. live_first[a + 1]) */
  const cosrel_live *live;
  const uint32_t *pred_first; /* [n + 1] tensors that unit u reads are preds[pred_first[u] .. pred_first[u + 1]) */
  const uint16_t *preds;
  const uint16_t *cut; /* [n + 1] first unit c >= u on which every unit above c depends; n - 1 at the latest */

  /* Streams of one model that all processors run in the same precisions share weights; `weights` is the first of these
   * streams. */
  uint32_t weights;
  uint64_t weight_bytes[COSREL_PROCESSORS_MAX]; /* prepared, of the units that p may run, as it runs them */
  double load_ns[COSREL_PROCESSORS_MAX];        /* making them resident; 0 where p has no budget */
} cosrel_stream_case;

typedef struct cosrel_case {
  const cosrel_profile *profile;   /* borrowed, must outlive the case */
  const cosrel_workload *workload; /* borrowed, must outlive the case */
  uint32_t n_streams, n_processors, host;
  size_t residency_at; /* where in a state its residency is (sched/residency.h); 0: no processor has a budget */
  double load;         /* 0 when the nominal rates are in force */
  double launch_ns[COSREL_PROCESSORS_MAX];
  double kappa[COSREL_PROCESSORS_MAX][COSREL_PROCESSORS_MAX];
  double slowed_by[COSREL_PROCESSORS_MAX][COSREL_PROCESSORS_MAX]; /* [q][p], kappa transposed */
  double busy_w[COSREL_PROCESSORS_MAX], idle_w[COSREL_PROCESSORS_MAX], base_w;
  double price[COSREL_PROCESSORS_MAX];    /* duals of the capacities (sched/bound.h), summing to 1; equal until set */
  double lambda_star, g_star;             /* sched/bound.h; 0 until set */
  uint64_t budget[COSREL_PROCESSORS_MAX]; /* bytes of weights that fit on p; 0: no limit (sched/residency.h) */
  bool prefetch;                          /* weights are loaded ahead */
  cosrel_stream_case streams[COSREL_STREAMS_MAX];
  uint32_t n_slots, max_units, bit_words; /* slots of all streams; largest n_units; 64-bit words of a unit set */
  size_t slots_at, request_size;          /* where in a state its slots are, and bytes of one (sched/state.h) */
  size_t state_size;                      /* bytes of all of it */
  void *tables;                           /* owned */
} cosrel_case;

/* Compiles the tables. A processor runs nothing of a model whose weights are over its budget. Fails with one line when
 * a stream names an unknown model, accepts no precision in which some processor can run each unit, or a limit is
 * passed; with COSREL_LIMIT and the figures when it is for want of memory that no processor can. */
cosrel_status cosrel_case_create(const cosrel_profile *profile, const cosrel_workload *workload, cosrel_case *out,
                                 cosrel_error *error);
void cosrel_case_destroy(cosrel_case *c);

/* Every stream arrives by `kind` from now on (not RECORDED). */
void cosrel_case_set_arrivals(cosrel_case *c, cosrel_arrivals_kind kind);
/* Rates become load * lambda_star * nominal; load 0 restores the nominal ones. Needs lambda_star > 0. */
void cosrel_case_set_load(cosrel_case *c, double load);
/* Does some processor run some unit of stream s in this precision? */
bool cosrel_case_uses(const cosrel_case *c, uint32_t s, cosrel_precision precision);
/* True when every stream is closed. */
bool cosrel_case_is_closed(const cosrel_case *c);

#endif
