/* The executor: every value of the net has its own place in one block of memory, every node is computed in turn. */
#include <stdlib.h>
#include <string.h>

#include "backends/reference/operators.h"

#define ALIGNMENT 64

static uint64_t room_of(const cosrel_tensor *tensor) {
  return (cosrel_tensor_bytes(tensor) / ALIGNMENT + 1) * ALIGNMENT; /* never 0 */
}

static bool *find_inputs(const cosrel_net *net) {
  bool *is_input = calloc(net->n_values + 1, sizeof *is_input);
  for (uint32_t i = 0; is_input != NULL && i < net->n_inputs; i++) is_input[net->inputs[i]] = true;
  return is_input;
}

cosrel_status cosrel_reference_create(const cosrel_net *net, cosrel_reference *out, cosrel_error *error) {
  *out = (cosrel_reference){.net = net};
  uint64_t bytes = 0;
  unsigned char *place = NULL;
  bool *is_input = find_inputs(net);
  out->tensors = malloc((net->n_values + 1) * sizeof *out->tensors);
  if (is_input == NULL || out->tensors == NULL) goto fail;
  for (uint32_t v = 0; v < net->n_values; v++) {
    out->tensors[v] = net->values[v].tensor;
    if (!is_input[v] && out->tensors[v].data == NULL) bytes += room_of(&out->tensors[v]);
  }
  if (bytes > SIZE_MAX || posix_memalign(&out->memory, ALIGNMENT, (size_t)bytes + ALIGNMENT) != 0) {
    out->memory = NULL;
    goto fail;
  }
  place = out->memory;
  for (uint32_t v = 0; v < net->n_values; v++) {
    if (is_input[v] || out->tensors[v].data != NULL) continue;
    out->tensors[v].data = place;
    place += room_of(&out->tensors[v]);
  }
  free(is_input);
  return COSREL_OK;

fail:
  free(is_input);
  cosrel_reference_destroy(out);
  return cosrel_fail(error, COSREL_NOMEM, "%s: no memory for its tensors", net->name);
}

void cosrel_reference_destroy(cosrel_reference *reference) {
  free(reference->tensors);
  free(reference->memory);
  *reference = (cosrel_reference){0};
}

void cosrel_reference_node(const cosrel_net *net, uint32_t index, cosrel_tensor *tensors) {
  const cosrel_net_node *node = &net->nodes[index];
  const cosrel_tensor *in[COSREL_OPERATOR_INPUTS_MAX];
  cosrel_tensor *out[COSREL_OPERATOR_OUTPUTS_MAX];
  const int32_t *inputs = cosrel_net_node_inputs(net, node), *outputs = cosrel_net_node_outputs(net, node);
  for (uint32_t i = 0; i < node->n_inputs; i++) in[i] = inputs[i] < 0 ? NULL : &tensors[inputs[i]];
  for (uint32_t i = 0; i < node->n_outputs; i++) out[i] = outputs[i] < 0 ? NULL : &tensors[outputs[i]];
  node->op->run(&(cosrel_call){.net = net, .node = node, .in = in, .out = out});
}

void cosrel_reference_run(cosrel_reference *reference, const void *const *inputs) {
  const cosrel_net *net = reference->net;
  for (uint32_t i = 0; i < net->n_inputs; i++) reference->tensors[net->inputs[i]].data = (void *)inputs[i];
  for (uint32_t n = 0; n < net->n_nodes; n++) cosrel_reference_node(net, n, reference->tensors);
}
