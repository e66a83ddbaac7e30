/* Faults on demand, for tests and for whoever wants to see what happens then: "PROC=KIND[:p=X|:every=N|:at=S][:for=S]".
 *
 *   PROC       a processor, or "any": each of them, on its own
 *   error      segments are refused or broken off after some of their work
 *   hang       segments do not end; they are given up after their budget
 *   stuck      the same, and nothing can stop them: the processor is away for the time after `for` (2 s)
 *   nan        the last tensor of the segment holds a NaN
 *   lost       the processor is not there any more, nor what lay in its own memory
 *   :p=X       each segment with this chance      :every=N   each Nth segment
 *   :at=S      all segments from this second on, for the seconds after `for` (to the end)
 *   neither    all segments, as :at=0
 *   :for=S     after p and every: a processor that is lost or stuck stays so for this long (lost: 0, so the next
 *              probe takes it back)
 *
 * A plan says what is wanted and is shared; an injector is the state of one run. What it answers depends on the seed,
 * the processor and the number of its segment only, never on threads. Calls for different processors may come from
 * different threads. */
#ifndef COSREL_BACKENDS_INJECTION_H
#define COSREL_BACKENDS_INJECTION_H

#include "sched/case.h"
#include "sched/fault.h"
#include "sched/status.h"

#define COSREL_INJECTIONS_MAX 16

typedef enum cosrel_injected {
  COSREL_INJECT_NOTHING,
  COSREL_INJECT_ERROR,
  COSREL_INJECT_HANG,
  COSREL_INJECT_STUCK,
  COSREL_INJECT_NAN,
  COSREL_INJECT_LOST
} cosrel_injected;

typedef struct cosrel_injection {
  char processor[COSREL_NAME_MAX];
  cosrel_injected kind;
  double chance;         /* 0: not by chance */
  uint64_t every;        /* 0: not by number */
  cosrel_time at, until; /* when neither: from `at` on, before `until` */
  cosrel_time length;    /* after chance and number */
} cosrel_injection;

typedef struct cosrel_injection_plan {
  uint32_t n;
  cosrel_injection items[COSREL_INJECTIONS_MAX];
} cosrel_injection_plan;

/* Adds one spec to the plan. The line of a failure begins with "--fault" and the spec. */
cosrel_status cosrel_injection_add(cosrel_injection_plan *plan, const char *spec, cosrel_error *error);

typedef struct cosrel_injector {
  const cosrel_injection_plan *plan; /* borrowed; NULL: nothing is injected */
  uint64_t seed;
  cosrel_time epoch; /* of real runs: the monotonic time of 0, set after cosrel_injector_begin */
  struct {
    uint32_t items;          /* of the plan, those that concern it: bit i */
    uint64_t n_segments;     /* begun */
    cosrel_injected away;    /* lost or stuck, by chance or number, */
    cosrel_time away_until;  /* until then */
    cosrel_injected segment; /* what is wrong with the one that it runs */
  } processors[COSREL_PROCESSORS_MAX];
} cosrel_injector;

/* Fails when a processor of the plan is in none of the profiles. */
cosrel_status cosrel_injection_check(const cosrel_injection_plan *plan, const cosrel_profile *profiles,
                                     uint32_t n_profiles, cosrel_error *error);

/* Prepares a run on this device; items for processors that it does not have are left out. The plan is borrowed. */
void cosrel_injector_begin(const cosrel_injection_plan *plan, const cosrel_profile *profile, uint64_t seed,
                           cosrel_injector *out);

/* What is wrong with the segment that begins on p at `now`. Counts it. */
cosrel_injected cosrel_injector_segment(cosrel_injector *injector, uint32_t p, cosrel_time now);
/* What is wrong with p at `now`, segments aside. */
cosrel_injected cosrel_injector_condition(const cosrel_injector *injector, uint32_t p, cosrel_time now);

#endif
