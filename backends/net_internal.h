/* What the files net*.c share. */
#ifndef COSREL_BACKENDS_NET_INTERNAL_H
#define COSREL_BACKENDS_NET_INTERNAL_H

#include "backends/net.h"

/* COSREL_OK, or the first failure while the net was built. */
cosrel_status cosrel_net_status(const cosrel_net *net, cosrel_error *error);

/* Gives `bytes` from cosrel_net_allocate back; small pieces stay with the net until its end. NULL is fine. */
void cosrel_net_release(cosrel_net *net, void *data, uint64_t bytes);

/* Takes `steps` off what may be spent on arithmetic with constants; false when that is used up. */
bool cosrel_net_spend(cosrel_net *net, uint64_t steps);

/* Fails for want of memory: COSREL_LIMIT or COSREL_NOMEM, as the last cosrel_net_allocate found. */
cosrel_status cosrel_net_no_memory(const cosrel_net *net, cosrel_error *error);

/* Appends to net->links; false when there is no memory. */
bool cosrel_net_add_links(cosrel_net *net, const int32_t *links, uint32_t n);

/* Drops the nodes that no output needs, and the values and attributes that only they used. The nodes must be in
 * topological order. */
cosrel_status cosrel_net_prune(cosrel_net *net, cosrel_error *error);

#endif
