/* Makes a device profile by measuring the processors of a machine: units (backends/measure.h), contention
 * (backends/contention.h), the cost of a segment in a run (backends/rehearsal.h), transfers and power. */
#ifndef COSREL_BACKENDS_PROFILING_H
#define COSREL_BACKENDS_PROFILING_H

#include "backends/machine.h"
#include "backends/measure.h"
#include "backends/runtime/sources.h"

typedef struct cosrel_measure_config {
  uint32_t rounds;       /* of every model on every processor, at least 1; one more comes first and is not counted */
  cosrel_time time;      /* on a processor no round begins after this, but one is made in any case; 0: no limit */
  cosrel_time pair_time; /* for contention, per pair of processors; 0: it is not measured */
  cosrel_time rehearsal_time; /* for the cost of a segment in a run; 0: only submitting is measured */
  /* A bit per cosrel_precision to be measured, fp32 among them, on each processor that computes in it at all; 0: fp32,
   * and fp16 on processors whose arithmetic is faster in it (cosrel_capability.fp16). Models take turns in each
   * precision, so there are fewer rounds in the same time. */
  uint32_t precisions;
  const char *sensors; /* "/sys" for watts where powercap tells, or a folder like it; NULL: they are assumed */
  /* Optional: asked between rounds; ends the measurement with COSREL_INTERRUPTED. */
  bool (*stop)(void);
  /* Optional: told what comes next, one line; from any thread, one at a time. */
  void (*say)(const char *line);
} cosrel_measure_config;

/* The models that the streams of a workload ask for, each once; names and inputs are borrowed. Returns their number. */
uint32_t cosrel_profiled_models(const cosrel_workload *workload, const cosrel_sources *sources,
                                cosrel_profiled_model out[COSREL_STREAMS_MAX]);

/* Measures every network on every processor, one after the other, each processor on a thread of its own as in a run.
 *
 * Costs are means without outliers, less what submitting costs, scaled so that all that one segment can hold takes
 * what it took as one segment; likewise each unit's cv is such that the variances of the units add up to the
 * segment's, which is how the simulator draws noise. beta, the memory-bound share, is the unit's traffic per ns as a
 * share of the highest traffic seen on that processor. launch_ns and a factor for each model's units come from the
 * rehearsal: what segments cost in a run. What is not measured is tagged assumed: no contention, 1 W busy, 0.1 W idle.
 * The first processor that works in host memory is the host. *out is checked and owned by the caller
 * (cosrel_profile_clear); names of processors come from the specs.
 *
 * In fp16, what a unit costs is measured apart where the backend computes it otherwise then; other units cost what they
 * do in fp32. Contention is measured in fp32; loading and the rehearsal in the faster precision of each unit, and what
 * the rehearsal says of a model holds for both. */
cosrel_status cosrel_profile_measure(const cosrel_machine *machine, const cosrel_profiled_model *models,
                                     uint32_t n_models, const cosrel_measure_config *config, const char *name,
                                     cosrel_profile *out, cosrel_error *error);

#endif
