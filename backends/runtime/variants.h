/* Networks of a machine as a case has them computed. */
#ifndef COSREL_BACKENDS_RUNTIME_VARIANTS_H
#define COSREL_BACKENDS_RUNTIME_VARIANTS_H

#include "backends/machine.h"
#include "sched/case.h"

/* Gives each set of weights of the case (cosrel_stream_case.weights) a network of the machine in the precisions that
 * the case has chosen for each processor. networks[c->n_streams] has the index of each stream's network; afterwards, of
 * the one to run: the same, or one more where another stream runs it in other precisions. What was prepared in others
 * is released; the caller prepares what is missing. */
cosrel_status cosrel_variants_make(cosrel_machine *machine, const cosrel_case *c, uint32_t *networks,
                                   cosrel_error *error);

#endif
