/* Any bytes as an ONNX file: refused with one line, or read within 64 MiB, and then every node and value is what the
 * rest of the code relies on, also when the net is folded and cut into units. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backends/network.h"
#include "backends/onnx/onnx.h"
#include "backends/reference/operators.h"

#define ONNX_LIMIT_BYTES (UINT64_C(64) << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nodes come after what they read and say rightly what they make; every shape is within its limits. */
static void onnx_check(const cosrel_net *net) {
  for (uint32_t v = 0; v < net->n_values; v++) {
    const cosrel_tensor *tensor = &net->values[v].tensor;
    if (tensor->shape.rank > COSREL_RANK_MAX || tensor->dtype >= COSREL_DTYPE_COUNT) abort();
    if (cosrel_shape_elements(&tensor->shape) > COSREL_ELEMENTS_MAX) abort();
    if (tensor->data != NULL && net->values[v].producer != -1) abort();
  }
  for (uint32_t n = 0; n < net->n_nodes; n++) {
    const cosrel_net_node *node = &net->nodes[n];
    if (!cosrel_name_is_good(node->name) || node->op == NULL) abort();
    for (uint32_t i = 0; i < node->n_inputs; i++) {
      int32_t value = cosrel_net_node_inputs(net, node)[i];
      if (value >= (int32_t)net->n_values || (value >= 0 && net->values[value].producer >= (int32_t)n)) abort();
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
      int32_t value = cosrel_net_node_outputs(net, node)[i];
      if (value >= (int32_t)net->n_values || (value >= 0 && net->values[value].producer != (int32_t)n)) abort();
    }
  }
  for (uint32_t i = 0; i < net->n_outputs; i++) {
    if (net->outputs[i] < 0 || net->outputs[i] >= (int32_t)net->n_values) abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  cosrel_net net;
  cosrel_error error = {""};
  if (cosrel_onnx_parse(data, size, "input", "input", ONNX_LIMIT_BYTES, &net, &error) != COSREL_OK) {
    if (strncmp(error.text, "input: ", 7) != 0 || strchr(error.text, '\n') != NULL) abort();
    return 0;
  }
  onnx_check(&net);
  cosrel_network network;
  if (cosrel_network_create(&net, &network, &error) != COSREL_OK) {
    if (error.text[0] == '\0' || strchr(error.text, '\n') != NULL) abort();
    return 0;
  }
  onnx_check(&network.net);
  cosrel_network_destroy(&network);
  return 0;
}
