/* Settling a net: order, shapes and types, constants, and nothing left over. */
#include <stdlib.h>
#include <string.h>

#include "backends/net_internal.h"
#include "backends/reference/operators.h"

/* ---- Order ---- */

typedef struct frame {
  int32_t node;
  uint32_t next; /* input to look at */
} frame;

static void sort_from(const cosrel_net *net, int32_t root, frame *stack, uint8_t *state, int32_t *order, uint32_t *n,
                      int32_t *cycle) {
  enum { UNSEEN, OPEN, DONE };
  uint32_t depth = 0;
  if (state[root] != UNSEEN) return;
  state[root] = OPEN;
  stack[depth++] = (frame){root, 0};
  while (depth > 0) {
    frame *top = &stack[depth - 1];
    const cosrel_net_node *node = &net->nodes[top->node];
    if (top->next == node->n_inputs) {
      state[top->node] = DONE;
      order[(*n)++] = top->node;
      depth--;
      continue;
    }
    int32_t value = cosrel_net_node_inputs(net, node)[top->next++];
    int32_t producer = value < 0 ? -1 : net->values[value].producer;
    if (producer < 0 || state[producer] == DONE) continue;
    if (state[producer] == OPEN) {
      *cycle = producer;
      return;
    }
    state[producer] = OPEN;
    stack[depth++] = (frame){producer, 0};
  }
}

/* Producers before readers, else as they were. The stack replaces recursion: a file decides how deep the net is. */
static cosrel_status sort(cosrel_net *net, cosrel_error *error) {
  uint32_t n = net->n_nodes, placed = 0;
  int32_t cycle = -1;
  frame *stack = calloc(n + 1, sizeof *stack);
  uint8_t *state = calloc(n + 1, sizeof *state);
  int32_t *order = calloc(n + 1, sizeof *order);
  cosrel_net_node *old = calloc(n + 1, sizeof *old);
  cosrel_status status = COSREL_OK;
  if (stack == NULL || state == NULL || order == NULL || old == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s", cosrel_status_text(COSREL_NOMEM));
    goto done;
  }
  for (uint32_t i = 0; i < n && cycle < 0; i++) sort_from(net, (int32_t)i, stack, state, order, &placed, &cycle);
  if (cycle >= 0) {
    const cosrel_net_node *node = &net->nodes[cycle];
    status = cosrel_fail(error, COSREL_FORMAT, "node '%s' (%s): expected no cycle, but it needs its own output",
                         node->name, node->op->name);
    goto done;
  }
  if (n > 0) memcpy(old, net->nodes, n * sizeof *old);
  for (uint32_t i = 0; i < n; i++) {
    net->nodes[i] = old[order[i]];
    for (uint32_t k = 0; k < net->nodes[i].n_outputs; k++) {
      int32_t value = cosrel_net_node_outputs(net, &net->nodes[i])[k];
      if (value >= 0) net->values[value].producer = (int32_t)i;
    }
  }

done:
  free(stack);
  free(state);
  free(order);
  free(old);
  return status;
}

/* ---- Shapes and constants ---- */

/* An evaluation of `node`; the arrays have room for what any node has. */
static cosrel_call call_of(cosrel_net *net, const cosrel_net_node *node, const cosrel_tensor **in,
                           cosrel_tensor **out) {
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    int32_t value = cosrel_net_node_inputs(net, node)[i];
    in[i] = value < 0 ? NULL : &net->values[value].tensor;
  }
  for (uint32_t i = 0; i < node->n_outputs; i++) {
    int32_t value = cosrel_net_node_outputs(net, node)[i];
    out[i] = value < 0 ? NULL : &net->values[value].tensor;
  }
  return (cosrel_call){.net = net, .node = node, .in = in, .out = out};
}

/* Shape and Size tell something about their input without looking at its data. */
static bool is_known(const cosrel_call *call) {
  const char *name = call->node->op->name;
  if (strcmp(name, "Shape") == 0 || strcmp(name, "Size") == 0) return true;
  for (uint32_t i = 0; i < call->node->n_inputs; i++) {
    if (call->in[i] != NULL && call->in[i]->data == NULL) return false;
  }
  return true;
}

/* A bound on the arithmetic of one evaluation: operators that slide or multiply look at each input once per output,
 * all others at each element a few times. */
static uint64_t steps_of(const cosrel_call *call) {
  static const char *const products[] = {"AveragePool", "Conv", "ConvTranspose", "Gemm",   "LRN",     "LpPool",
                                         "MatMul",      "GRU",  "LSTM",          "RNN",    "MaxPool", "Resize",
                                         "Einsum",      "TopK", "Upsample",      "CumSum", NULL};
  uint64_t in = 1, out = 0;
  for (uint32_t i = 0; i < call->node->n_inputs; i++) {
    if (call->in[i] != NULL) in += cosrel_shape_elements(&call->in[i]->shape);
  }
  for (uint32_t i = 0; i < call->node->n_outputs; i++) {
    if (call->out[i] != NULL) out += cosrel_shape_elements(&call->out[i]->shape);
  }
  for (int i = 0; products[i] != NULL; i++) {
    if (strcmp(call->node->op->name, products[i]) == 0) return out > UINT64_MAX / in ? UINT64_MAX : in * out;
  }
  return in + out;
}

/* Computes the node now; its outputs become constants. */
static cosrel_status evaluate(cosrel_net *net, const cosrel_call *call, cosrel_error *error) {
  if (!cosrel_net_spend(net, steps_of(call))) {
    return cosrel_fail(error, COSREL_LIMIT, "expected less arithmetic with constants");
  }
  for (uint32_t i = 0; i < call->node->n_outputs; i++) {
    if (call->out[i] == NULL) continue;
    call->out[i]->data = cosrel_net_allocate(net, cosrel_tensor_bytes(call->out[i]));
    if (call->out[i]->data == NULL) return cosrel_net_no_memory(net, error);
  }
  call->node->op->run(call);
  for (uint32_t i = 0; i < call->node->n_outputs; i++) {
    int32_t value = cosrel_net_node_outputs(net, call->node)[i];
    if (value >= 0) net->values[value].producer = -1;
  }
  return COSREL_OK;
}

static cosrel_status infer(cosrel_net *net, const cosrel_net_node *node, cosrel_error *error) {
  const cosrel_tensor *in[COSREL_OPERATOR_INPUTS_MAX];
  cosrel_tensor *out[COSREL_OPERATOR_OUTPUTS_MAX];
  cosrel_call call = call_of(net, node, in, out);
  cosrel_status status = cosrel_operator_infer(&call, error);
  if (status != COSREL_OK || !is_known(&call)) return status;
  cosrel_error inner = {""};
  status = evaluate(net, &call, &inner);
  if (status == COSREL_OK) return COSREL_OK;
  return cosrel_fail(error, status, "node '%s' (%s): %.380s", node->name, node->op->name, inner.text);
}

/* Every value has a maker: a node, the caller (inputs) or the file (constants). */
static cosrel_status check_makers(const cosrel_net *net, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  bool *made = calloc(net->n_values + 1, sizeof *made);
  if (made == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s", cosrel_status_text(COSREL_NOMEM));
  for (uint32_t v = 0; v < net->n_values; v++) {
    made[v] = net->values[v].producer >= 0 || cosrel_value_is_constant(net, (int32_t)v);
  }
  for (uint32_t i = 0; i < net->n_inputs && status == COSREL_OK; i++) {
    if (made[net->inputs[i]]) {
      status =
          cosrel_fail(error, COSREL_FORMAT, "input '%s': expected that nothing else makes it", net->input_names[i]);
    }
    made[net->inputs[i]] = true;
  }
  for (uint32_t n = 0; n < net->n_nodes && status == COSREL_OK; n++) {
    const cosrel_net_node *node = &net->nodes[n];
    for (uint32_t i = 0; i < node->n_inputs && status == COSREL_OK; i++) {
      int32_t value = cosrel_net_node_inputs(net, node)[i];
      if (value < 0 || made[value]) continue;
      status = cosrel_fail(error, COSREL_FORMAT, "node '%s' (%s): input %u: expected a tensor that something makes",
                           node->name, node->op->name, (unsigned)i);
    }
  }
  for (uint32_t i = 0; i < net->n_outputs && status == COSREL_OK; i++) {
    if (made[net->outputs[i]]) continue;
    status = cosrel_fail(error, COSREL_FORMAT, "output '%s': expected that something makes it", net->output_names[i]);
  }
  free(made);
  return status;
}

/* ---- Nothing left over ---- */

/* Marks what is used: values that outputs need, with all values of the nodes that make them. */
static void mark(const cosrel_net *net, bool *node_used, bool *value_used) {
  for (uint32_t i = 0; i < net->n_inputs; i++) value_used[net->inputs[i]] = true;
  for (uint32_t i = 0; i < net->n_outputs; i++) value_used[net->outputs[i]] = true;
  for (uint32_t n = net->n_nodes; n-- > 0;) {
    const cosrel_net_node *node = &net->nodes[n];
    const int32_t *links = cosrel_net_node_outputs(net, node);
    for (uint32_t i = 0; i < node->n_outputs; i++) {
      if (links[i] >= 0 && value_used[links[i]] && net->values[links[i]].producer == (int32_t)n) node_used[n] = true;
    }
    if (!node_used[n]) continue;
    for (uint32_t i = 0; i < node->n_outputs; i++) {
      if (links[i] >= 0) value_used[links[i]] = true;
    }
    links = cosrel_net_node_inputs(net, node);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
      if (links[i] >= 0) value_used[links[i]] = true;
    }
  }
}

/* Moves the values in use together; place[v] gets the new index of value v. */
static void move_values(cosrel_net *net, const bool *used, int32_t *place) {
  uint32_t n = 0;
  for (uint32_t v = 0; v < net->n_values; v++) {
    cosrel_value *value = &net->values[v];
    if (!used[v]) {
      cosrel_net_release(net, value->tensor.data, cosrel_tensor_bytes(&value->tensor));
      continue;
    }
    place[v] = (int32_t)n;
    net->values[n++] = *value;
  }
  net->n_values = n;
  for (uint32_t i = 0; i < net->n_inputs; i++) net->inputs[i] = place[net->inputs[i]];
  for (uint32_t i = 0; i < net->n_outputs; i++) net->outputs[i] = place[net->outputs[i]];
}

/* Copies links from the old array to the end of net->links. */
static uint32_t move_links(cosrel_net *net, const int32_t *old, uint32_t n, const int32_t *place) {
  uint32_t first = net->n_links;
  for (uint32_t i = 0; i < n; i++) net->links[net->n_links++] = old[i] < 0 ? -1 : place[old[i]];
  return first;
}

/* Moves the nodes in use together, and their links and attributes into their order. The old arrays come as copies. */
static void move_nodes(cosrel_net *net, const bool *used, const int32_t *place, const int32_t *links,
                       const cosrel_attribute *attributes) {
  uint32_t n_nodes = net->n_nodes;
  net->n_nodes = net->n_links = net->n_attributes = 0;
  for (uint32_t n = 0; n < n_nodes; n++) {
    if (!used[n]) continue;
    cosrel_net_node *node = &net->nodes[net->n_nodes];
    *node = net->nodes[n];
    node->first_input = move_links(net, &links[node->first_input], node->n_inputs, place);
    node->first_output = move_links(net, &links[node->first_output], node->n_outputs, place);
    for (uint32_t i = 0; i < node->n_attributes; i++) {
      net->attributes[net->n_attributes + i] = attributes[node->first_attribute + i];
    }
    node->first_attribute = net->n_attributes;
    net->n_attributes += node->n_attributes;
    for (uint32_t i = 0; i < node->n_outputs; i++) {
      int32_t value = cosrel_net_node_outputs(net, node)[i];
      if (value >= 0) net->values[value].producer = (int32_t)net->n_nodes;
    }
    net->n_nodes++;
  }
}

cosrel_status cosrel_net_prune(cosrel_net *net, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  bool *node_used = calloc(net->n_nodes + 1, sizeof *node_used);
  bool *value_used = calloc(net->n_values + 1, sizeof *value_used);
  int32_t *place = calloc(net->n_values + 1, sizeof *place);
  int32_t *links = calloc(net->n_links + 1, sizeof *links);
  cosrel_attribute *attributes = calloc(net->n_attributes + 1, sizeof *attributes);
  if (node_used == NULL || value_used == NULL || place == NULL || links == NULL || attributes == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s", cosrel_status_text(COSREL_NOMEM));
    goto done;
  }
  if (net->n_links > 0) memcpy(links, net->links, net->n_links * sizeof *links);
  if (net->n_attributes > 0) memcpy(attributes, net->attributes, net->n_attributes * sizeof *attributes);
  mark(net, node_used, value_used);
  move_values(net, value_used, place);
  move_nodes(net, node_used, place, links, attributes);

done:
  free(node_used);
  free(value_used);
  free(place);
  free(links);
  free(attributes);
  return status;
}

cosrel_status cosrel_net_settle(cosrel_net *net, cosrel_error *error) {
  cosrel_status status = cosrel_net_status(net, error);
  if (status != COSREL_OK) return status;
  if (net->n_outputs == 0) return cosrel_fail(error, COSREL_FORMAT, "expected at least one output");
  if ((status = check_makers(net, error)) != COSREL_OK) return status;
  if ((status = sort(net, error)) != COSREL_OK) return status;
  for (uint32_t n = 0; n < net->n_nodes; n++) {
    if ((status = infer(net, &net->nodes[n], error)) != COSREL_OK) return status;
  }
  return cosrel_net_prune(net, error);
}
