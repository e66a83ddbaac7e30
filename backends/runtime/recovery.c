#include "backends/runtime/recovery.h"

static bool overlap(const cosrel_network *network, int32_t a, int32_t b) {
  int64_t a0 = network->offsets[a], b0 = network->offsets[b];
  if (a0 < 0 || b0 < 0) return false;
  int64_t a1 = a0 + (int64_t)(cosrel_shape_elements(&network->net.values[a].tensor.shape) * sizeof(float));
  int64_t b1 = b0 + (int64_t)(cosrel_shape_elements(&network->net.values[b].tensor.shape) * sizeof(float));
  return a0 < b1 && b0 < a1;
}

/* Whether an output of units [begin, end) shares bytes with tensor t. */
static bool is_damaged(const cosrel_network *network, uint32_t t, uint32_t begin, uint32_t end) {
  const int32_t *values = t == 0 ? network->net.inputs : &network->units[t - 1].output;
  uint32_t n = t == 0 ? network->net.n_inputs : 1;
  for (uint32_t u = begin; u < end; u++)
    for (uint32_t i = 0; i < n; i++)
      if (overlap(network, values[i], network->units[u].output)) return true;
  return false;
}

bool cosrel_recovery_check(const cosrel_network *network, const cosrel_stream_case *sc, uint32_t begin, uint32_t end,
                           uint16_t memory, uint16_t *present) {
  bool whole = true;
  for (uint32_t u = 0; u < sc->n_units; u++) {
    if ((present[u + 1] & COSREL_MADE) != 0) continue; /* it reads nothing any more */
    for (uint32_t i = sc->pred_first[u]; i < sc->pred_first[u + 1]; i++) {
      uint32_t t = sc->preds[i];
      if ((present[t] & memory) != 0 && is_damaged(network, t, begin, end)) present[t] &= (uint16_t)~memory;
      if (present[t] == COSREL_MADE) whole = false;
    }
  }
  return whole;
}
