/* What is left of a request after one of its segments failed.
 *
 * Tensors share bytes (backends/network.h): a later unit of the segment may have written its output where an input of
 * an earlier one lay. That input is not whole in this memory any more, though a copy in another memory is. The segment
 * can run again if every tensor that was made and is still to be read is whole somewhere; else its request can only
 * start anew, with its inputs put in again. */
#ifndef COSREL_BACKENDS_RUNTIME_RECOVERY_H
#define COSREL_BACKENDS_RUNTIME_RECOVERY_H

#include "backends/network.h"
#include "sched/case.h"

/* Of present[t], [n_units + 1], one per tensor of a request: bit p says that it is in processor p's own memory, these
 * two that it is in host memory, and that it has been made (and may be nowhere any more). */
#define COSREL_IN_HOST ((uint16_t)(1u << COSREL_PROCESSORS_MAX))
#define COSREL_MADE ((uint16_t)(1u << 15))

/* Units [begin, end) failed in `memory` (a processor's bit or COSREL_IN_HOST), where their outputs are undefined now.
 * Takes `memory` from present[t] of all tensors that these outputs share bytes with. An empty range damages nothing.
 * Returns whether every tensor that was made and is still to be read is somewhere. */
bool cosrel_recovery_check(const cosrel_network *network, const cosrel_stream_case *sc, uint32_t begin, uint32_t end,
                           uint16_t memory, uint16_t *present);

#endif
