/* A device profile in memory: what things cost on one device. traces/profile_file.h reads and writes it as JSON.
 *
 * All numbers are per inference, at the operating point `speed` 1, nothing else running. */
#ifndef COSREL_SCHED_PROFILE_H
#define COSREL_SCHED_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/model.h"

#define COSREL_PROCESSORS_MAX 8
#define COSREL_POINTS_MAX 16
#define COSREL_MODELS_MAX 64
#define COSREL_THROTTLES_MAX 16
#define COSREL_SOURCES_MAX 256
#define COSREL_BACKEND_MAX 256 /* bytes of a processor's `backend`, NUL included */
#define COSREL_SOURCE_MAX 400  /* bytes of a source line, NUL included */

/* How a value came to be. */
#define COSREL_TAG_MAP(X) \
  X(MEASURED, "measured") X(APPORTIONED, "apportioned") X(FITTED, "fitted") X(ASSUMED, "assumed")
typedef enum cosrel_tag {
#define X(name, text) COSREL_TAG_##name,
  COSREL_TAG_MAP(X)
#undef X
      COSREL_TAG_COUNT
} cosrel_tag;

#define COSREL_PRECISION_MAP(X) X(FP32, "fp32", 4) X(FP16, "fp16", 2) X(INT8, "int8", 1)
typedef enum cosrel_precision {
#define X(name, text, bytes) COSREL_##name,
  COSREL_PRECISION_MAP(X)
#undef X
      COSREL_PRECISION_COUNT
} cosrel_precision;

/* Where a value comes from: a tag, and an index into profile->sources. */
typedef struct cosrel_origin {
  uint8_t tag;     /* cosrel_tag */
  uint16_t source; /* < n_sources */
} cosrel_origin;

/* Cost of one (unit, processor, precision). mean_ns < 0: the processor cannot run the unit in that precision. */
typedef struct cosrel_cost {
  double mean_ns;        /* compute only: no launch, no transfer */
  double cv;             /* standard deviation over mean, >= 0 */
  double beta;           /* memory-bound share of the time, 0..1 */
  uint64_t weight_bytes; /* with has_weight_bytes: see cosrel_profile_weight_bytes */
  bool has_weight_bytes;
  cosrel_origin origin;
} cosrel_cost;

typedef struct cosrel_point {
  double frequency_mhz;
  double speed;  /* progress relative to the top point, (0, 1]; a whole segment is slowed, launch and transfers too */
  double busy_w; /* while a segment runs */
  double idle_w;
} cosrel_point;

typedef struct cosrel_processor {
  char name[16];                    /* cpu, gpu, dsp, cpu-little, npu */
  char backend[COSREL_BACKEND_MAX]; /* how `cosrel run` opens it (backends/backend.h); empty: not said */
  double launch_ns;                 /* paid once per segment */
  uint64_t memory_bytes; /* budget for resident weights, prepared; 0: no limit, all are there from the start */
  double load_ns, load_ns_per_byte; /* making b bytes of weights resident takes load_ns + b * load_ns_per_byte */
  uint32_t n_points;                /* at least 1; points[0] is the top */
  cosrel_point points[COSREL_POINTS_MAX];
  cosrel_origin launch_origin, load_origin, power_origin;
} cosrel_processor;

/* Moving a tensor of b bytes from one processor to another takes latency_ns + b * ns_per_byte. */
typedef struct cosrel_link {
  double latency_ns, ns_per_byte;
  bool overlap; /* a copy engine: transfers run beside compute (always false so far) */
  cosrel_origin origin;
} cosrel_link;

/* A throttling step: in force from above_c on, until the device has cooled below below_c. */
typedef struct cosrel_throttle {
  double above_c, below_c; /* below_c <= above_c; both rise from step to step */
  uint8_t
      cap[COSREL_PROCESSORS_MAX]; /* fastest operating point allowed, [n_processors]; never falls from step to step */
  cosrel_origin origin;
} cosrel_throttle;

/* One temperature per device; sched/thermal.h has the equation. n_steps 0: the device is never throttled. */
typedef struct cosrel_thermal {
  double ambient_c, start_c; /* start_c: when a run begins */
  double resistance_k_per_w; /* steady rise over ambient per watt drawn */
  double time_constant_s;
  double check_ms; /* the governor looks at the temperature this often */
  cosrel_origin origin;
  uint32_t n_steps;
  cosrel_throttle steps[COSREL_THROTTLES_MAX];
} cosrel_thermal;

typedef struct cosrel_profile_model {
  cosrel_model model;
  char fingerprint[COSREL_NAME_MAX]; /* of what was measured, e.g. a hash of its structure and weights; may be empty */
  cosrel_cost *costs; /* [n_units][n_processors][COSREL_PRECISION_COUNT], owned; see cosrel_profile_cost */
} cosrel_profile_model;

typedef struct cosrel_profile {
  char name[COSREL_NAME_MAX];
  char soc[COSREL_NAME_MAX], driver[COSREL_NAME_MAX], runtime[COSREL_NAME_MAX]; /* fingerprint; may be empty */
  uint32_t n_processors, n_models, n_sources;
  uint32_t host;         /* the processor where a request's input arrives */
  uint32_t tensor_bytes; /* of an element of any tensor, 1, 2 or 4; 0: as the precision of the unit that makes it */
  cosrel_processor processors[COSREL_PROCESSORS_MAX];
  cosrel_link links[COSREL_PROCESSORS_MAX][COSREL_PROCESSORS_MAX]; /* [from][to]; the diagonal is zero */
  /* kappa[p][q]: how strongly q slows p; see cosrel_state_advance for the equation. Zero on the diagonal. */
  double kappa[COSREL_PROCESSORS_MAX][COSREL_PROCESSORS_MAX];
  cosrel_origin kappa_origin;
  double base_w; /* drawn always, by no processor in particular */
  cosrel_origin base_origin;
  cosrel_thermal thermal;
  bool no_prefetch; /* weights are loaded only when a segment needs them; an option of commands, in no file */
  cosrel_profile_model *models;       /* [n_models], owned */
  char (*sources)[COSREL_SOURCE_MAX]; /* [n_sources], owned */
} cosrel_profile;

static inline cosrel_cost *cosrel_profile_cost(const cosrel_profile *profile, uint32_t model, uint32_t unit,
                                               uint32_t processor, cosrel_precision precision) {
  return &profile->models[model]
              .costs[(unit * profile->n_processors + processor) * COSREL_PRECISION_COUNT + (uint32_t)precision];
}

/* Bytes that the unit's weights take on the processor when they are prepared there in this precision: as the cost says,
 * else their number times the size of an element. */
uint64_t cosrel_profile_weight_bytes(const cosrel_profile *profile, uint32_t model, uint32_t unit, uint32_t processor,
                                     cosrel_precision precision);

/* Index of a name, or -1. */
int cosrel_profile_find_model(const cosrel_profile *profile, const char *name);
int cosrel_profile_find_processor(const cosrel_profile *profile, const char *name);

/* Checks every range; `where` begins the error line. A profile that passes can be simulated without further checks. */
cosrel_status cosrel_profile_check(const cosrel_profile *profile, const char *where, cosrel_error *error);

/* Frees what the profile owns and clears it. */
void cosrel_profile_clear(cosrel_profile *profile);

uint32_t cosrel_precision_bytes(cosrel_precision precision);
const char *cosrel_precision_name(cosrel_precision precision);
const char *cosrel_tag_name(cosrel_tag tag);
/* -1 when unknown. */
int cosrel_precision_from_name(const char *name);
int cosrel_tag_from_name(const char *name);

#endif
