/* What sched/state.c and sched/quarantine.c share. Inside sched/ only. */
#ifndef COSREL_SCHED_STATE_INTERNAL_H
#define COSREL_SCHED_STATE_INTERNAL_H

#include "sched/state.h"

/* Renews rates, completion times and power after what processors do has changed. */
void cosrel_state_renew(const cosrel_case *c, cosrel_state *state);
/* Renews what is offered of the request in `slot`, and of its stream. */
void cosrel_state_refresh(const cosrel_case *c, cosrel_state *state, uint32_t slot);
/* Ends the request in `slot` as failed; none of its segments may be running. */
void cosrel_state_give_up(const cosrel_case *c, cosrel_state *state, uint32_t slot, cosrel_outcome *outcome);

/* Does to the request in `slot` what its remedy says, once none of its segments runs. True when that ended it. */
bool cosrel_state_settle(const cosrel_case *c, cosrel_state *state, uint32_t slot, cosrel_outcome *outcome);
/* The slot of a request to be given up because no processor is left for one of its units, or COSREL_NONE. */
int32_t cosrel_state_stranded(const cosrel_case *c, const cosrel_state *state);

#endif
