/* Memory that XNNPACK takes, counted: weights as it packs them are nowhere to be seen but in what it asks for. */
#ifndef COSREL_BACKENDS_XNNPACK_MEMORY_H
#define COSREL_BACKENDS_XNNPACK_MEMORY_H

#include <stdint.h>
#include <xnnpack.h>

/* For xnn_initialize, whose first call in a process decides. */
extern const struct xnn_allocator cosrel_xnn_allocator;

/* Bytes that XNNPACK has asked for so far on the calling thread. What it gives back is not taken off: its operators
 * keep what they ask for until they are deleted. */
uint64_t cosrel_xnn_taken(void);

#endif
