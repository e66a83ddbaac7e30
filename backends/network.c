#include "backends/network.h"

#include <stdlib.h>
#include <string.h>

#include "backends/fuse.h"
#include "backends/lower.h"
#include "backends/onnx/onnx.h"
#include "backends/reference/operators.h"
#include "backends/view.h"
#include "backends/zoo/zoo.h"

#define UNIT_NODES_MAX (16 * COSREL_NET_NODES_MAX) /* over all units: a view may be in many */
#define ZOO_SEED 1

/* ---- Which nodes a unit computes ---- */

typedef struct gathering {
  cosrel_network *network;
  uint32_t *seen;  /* [n_nodes] the last gathering that took the node, counted from 1 */
  uint32_t *stack; /* [n_nodes] */
  uint32_t round;
  uint32_t n_nodes; /* in network->nodes, all units so far */
  uint32_t capacity;
} gathering;

static bool is_placed(const cosrel_network *network, int32_t value) { return network->offsets[value] >= 0; }

static int compare_indices(const void *x, const void *y) {
  uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
  return a < b ? -1 : a > b;
}

static cosrel_status push_node(gathering *g, uint32_t *depth, int32_t value, cosrel_error *error) {
  cosrel_network *network = g->network;
  int32_t producer = network->net.values[value].producer;
  if (producer < 0 || g->seen[producer] == g->round) return COSREL_OK;
  g->seen[producer] = g->round;
  g->stack[(*depth)++] = (uint32_t)producer;
  if (g->n_nodes == UNIT_NODES_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "%s: expected fewer nodes between units", network->net.name);
  }
  if (g->n_nodes == g->capacity) {
    uint32_t capacity = g->capacity == 0 ? 1024 : 2 * g->capacity;
    uint32_t *grown = realloc(network->nodes, capacity * sizeof *grown);
    if (grown == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", network->net.name);
    network->nodes = grown;
    g->capacity = capacity;
  }
  network->nodes[g->n_nodes++] = (uint32_t)producer;
  return COSREL_OK;
}

/* Appends to network->nodes what computes `value` from placed values and constants. Nodes that this round has taken
 * already are not taken twice. */
static cosrel_status gather(gathering *g, int32_t value, cosrel_error *error) {
  const cosrel_net *net = &g->network->net;
  uint32_t depth = 0;
  cosrel_status status = push_node(g, &depth, value, error);
  while (depth > 0 && status == COSREL_OK) {
    const cosrel_net_node *node = &net->nodes[g->stack[--depth]];
    for (uint32_t i = 0; i < node->n_inputs && status == COSREL_OK; i++) {
      int32_t input = cosrel_net_node_inputs(net, node)[i];
      if (input >= 0 && !is_placed(g->network, input)) status = push_node(g, &depth, input, error);
    }
  }
  return status;
}

/* Node indices grow along the net, so sorting them gives an order to compute them. */
static void sort_nodes(gathering *g, uint32_t first) {
  qsort(g->network->nodes + first, g->n_nodes - first, sizeof *g->network->nodes, compare_indices);
}

static cosrel_status gather_all(cosrel_network *network, cosrel_error *error) {
  const cosrel_net *net = &network->net;
  cosrel_status status = COSREL_OK;
  gathering g = {.network = network};
  g.seen = calloc(net->n_nodes + 1, sizeof *g.seen);
  g.stack = calloc(net->n_nodes + 1, sizeof *g.stack);
  if (g.seen == NULL || g.stack == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", net->name);
    goto done;
  }
  for (uint32_t u = 0; u < network->model.n_units; u++) {
    cosrel_network_unit *unit = &network->units[u];
    unit->first_node = g.n_nodes;
    g.round++;
    if ((status = gather(&g, unit->output, error)) != COSREL_OK) goto done;
    unit->n_nodes = g.n_nodes - unit->first_node;
    sort_nodes(&g, unit->first_node);
  }
  network->first_tail = g.n_nodes;
  g.round++;
  for (uint32_t i = 0; i < net->n_outputs; i++) {
    if (is_placed(network, net->outputs[i])) continue;
    if ((status = gather(&g, net->outputs[i], error)) != COSREL_OK) goto done;
  }
  network->n_tail = g.n_nodes - network->first_tail;
  sort_nodes(&g, network->first_tail);

done:
  free(g.seen);
  free(g.stack);
  return status;
}

/* ---- Where tensors lie ---- */

typedef struct placing {
  cosrel_network *network;
  int32_t *tensor_of; /* [n_values] or -1 */
  int32_t *values;    /* [n_tensors] */
  cosrel_arena_tensor *tensors;
  uint32_t n_tensors;
  uint32_t *readers; /* units, grouped by tensor */
} placing;

static void add_tensor(placing *p, int32_t value, int32_t producer) {
  if (p->tensor_of[value] >= 0) return;
  p->tensor_of[value] = (int32_t)p->n_tensors;
  p->values[p->n_tensors] = value;
  p->tensors[p->n_tensors++] =
      (cosrel_arena_tensor){.bytes = cosrel_tensor_bytes(&p->network->net.values[value].tensor), .producer = producer};
}

/* Whether unit `producer` is among the inputs that the scheduler knows of. */
static bool depends_on(const cosrel_model *model, uint32_t unit, int32_t producer) {
  for (uint32_t i = 0; i < model->units[unit].n_inputs; i++) {
    if (model->inputs[model->units[unit].first_input + i] == producer) return true;
  }
  return false;
}

/* Whether the nodes of unit u read only what the model says that it reads. */
static bool reads_its_inputs(const placing *p, uint32_t u) {
  const cosrel_network *network = p->network;
  const cosrel_network_unit *unit = &network->units[u];
  for (uint32_t i = 0; i < unit->n_nodes; i++) {
    const cosrel_net_node *node = &network->net.nodes[network->nodes[unit->first_node + i]];
    for (uint32_t k = 0; k < node->n_inputs; k++) {
      int32_t value = cosrel_net_node_inputs(&network->net, node)[k];
      if (value < 0 || !is_placed(network, value)) continue;
      if (!depends_on(&network->model, u, p->tensors[p->tensor_of[value]].producer)) return false;
    }
  }
  return true;
}

/* The readers of a tensor are all units that the model says depend on it, so all inputs of the model have the same: the
 * runtime moves tensors between memories by the model, and what it moves for a unit must be whole. */
static cosrel_status list_readers(placing *p) {
  const cosrel_model *model = &p->network->model;
  size_t most = 0;
  for (uint32_t t = 0; t < p->n_tensors; t++)
    for (uint32_t u = 0; u < model->n_units; u++) most += depends_on(model, u, p->tensors[t].producer);
  p->readers = calloc(most + 1, sizeof *p->readers);
  if (p->readers == NULL) return COSREL_NOMEM;
  uint32_t n = 0;
  for (uint32_t t = 0; t < p->n_tensors; t++) {
    p->tensors[t].first_reader = n;
    for (uint32_t u = 0; u < model->n_units; u++)
      if (depends_on(model, u, p->tensors[t].producer)) p->readers[n++] = u;
    p->tensors[t].n_readers = n - p->tensors[t].first_reader;
  }
  return COSREL_OK;
}

static void keep_outputs(placing *p) {
  const cosrel_network *network = p->network;
  const cosrel_net *net = &network->net;
  for (uint32_t i = 0; i < net->n_outputs; i++) {
    if (is_placed(network, net->outputs[i])) p->tensors[p->tensor_of[net->outputs[i]]].kept = true;
  }
  for (uint32_t i = 0; i < network->n_tail; i++) {
    const cosrel_net_node *node = &net->nodes[network->nodes[network->first_tail + i]];
    for (uint32_t k = 0; k < node->n_inputs; k++) {
      int32_t value = cosrel_net_node_inputs(net, node)[k];
      if (value >= 0 && is_placed(network, value)) p->tensors[p->tensor_of[value]].kept = true;
    }
  }
}

static cosrel_status place_tensors(cosrel_network *network, cosrel_error *error) {
  const cosrel_net *net = &network->net;
  uint32_t n_units = network->model.n_units;
  cosrel_status status = COSREL_OK;
  placing p = {.network = network};
  p.tensor_of = malloc((net->n_values + 1) * sizeof *p.tensor_of);
  p.values = calloc(n_units + net->n_inputs, sizeof *p.values);
  p.tensors = calloc(n_units + net->n_inputs, sizeof *p.tensors);
  if (p.tensor_of == NULL || p.values == NULL || p.tensors == NULL) goto no_memory;
  for (uint32_t v = 0; v < net->n_values; v++) p.tensor_of[v] = -1;
  for (uint32_t i = 0; i < net->n_inputs; i++) add_tensor(&p, net->inputs[i], COSREL_MODEL_INPUT);
  for (uint32_t u = 0; u < n_units; u++) add_tensor(&p, network->units[u].output, (int32_t)u);

  for (uint32_t u = 0; u < n_units; u++) {
    if (reads_its_inputs(&p, u)) continue;
    status = cosrel_fail(error, COSREL_INTERNAL, "%s: %s reads a unit that it does not depend on", net->name,
                         network->model.units[u].name);
    goto done;
  }
  if (list_readers(&p) != COSREL_OK) goto no_memory;
  keep_outputs(&p);
  status = cosrel_arena_plan(&network->model, p.tensors, p.n_tensors, p.readers, &network->arena_bytes, error);
  network->arena_bytes += COSREL_PADDING;
  for (uint32_t t = 0; t < p.n_tensors && status == COSREL_OK; t++) {
    network->offsets[p.values[t]] = (int64_t)p.tensors[t].offset;
  }
  goto done;

no_memory:
  status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", net->name);
done:
  free(p.tensor_of);
  free(p.values);
  free(p.tensors);
  free(p.readers);
  return status;
}

/* ---- Making a network ---- */

cosrel_status cosrel_network_create(cosrel_net *net, cosrel_network *out, cosrel_error *error) {
  *out = (cosrel_network){.net = *net};
  *net = (cosrel_net){0};
  net = &out->net;
  cosrel_graph graph = {0};
  int32_t *values = malloc(COSREL_NODES_MAX * sizeof *values), *ends = malloc(COSREL_NODES_MAX * sizeof *ends);
  cosrel_status status = COSREL_OK;
  if (values == NULL || ends == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", net->name);
    goto done;
  }
  if ((status = cosrel_net_fold(net, error)) != COSREL_OK) goto done;
  if ((status = cosrel_net_lower(net, &graph, values, error)) != COSREL_OK) goto done;
  if ((status = cosrel_graph_fuse_ends(&graph, &out->model, ends, error)) != COSREL_OK) goto done;
  out->units = calloc(out->model.n_units, sizeof *out->units);
  out->offsets = malloc(net->n_values * sizeof *out->offsets);
  if (out->units == NULL || out->offsets == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", net->name);
    goto done;
  }
  for (uint32_t v = 0; v < net->n_values; v++) out->offsets[v] = -1;
  for (uint32_t i = 0; i < net->n_inputs; i++) out->offsets[net->inputs[i]] = 0;
  for (uint32_t u = 0; u < out->model.n_units; u++) {
    out->units[u].output = values[ends[u]];
    out->offsets[out->units[u].output] = 0;
  }
  if ((status = gather_all(out, error)) != COSREL_OK) goto done;
  status = place_tensors(out, error);

done:
  cosrel_graph_clear(&graph);
  free(values);
  free(ends);
  if (status != COSREL_OK) cosrel_network_destroy(out);
  return status;
}

void cosrel_network_destroy(cosrel_network *network) {
  if (network == NULL) return;
  cosrel_net_destroy(&network->net);
  cosrel_model_clear(&network->model);
  free(network->units);
  free(network->nodes);
  free(network->offsets);
  *network = (cosrel_network){0};
}

static cosrel_status read_zoo(const char *name, cosrel_net *net, cosrel_error *error) {
  cosrel_graph graph;
  uint8_t *bytes = NULL;
  size_t n = 0;
  cosrel_status status = cosrel_zoo_graph(name, &graph, error);
  if (status == COSREL_OK) status = cosrel_onnx_encode(&graph, ZOO_SEED, &bytes, &n, error);
  if (status == COSREL_OK) status = cosrel_onnx_parse(bytes, n, name, name, COSREL_NETWORK_BYTES_MAX, net, error);
  free(bytes);
  cosrel_graph_clear(&graph);
  return status;
}

cosrel_status cosrel_network_open(const char *model, cosrel_network *out, cosrel_error *error) {
  *out = (cosrel_network){0};
  cosrel_net net = {0};
  size_t length = strlen(model);
  cosrel_status status;
  if (strncmp(model, "zoo:", 4) == 0) {
    status = read_zoo(model + 4, &net, error);
  } else if (length > 5 && strcmp(model + length - 5, ".onnx") == 0) {
    status = cosrel_onnx_read(model, COSREL_NETWORK_BYTES_MAX, &net, error);
  } else {
    status = cosrel_fail(error, COSREL_INVALID, "%.200s: expected zoo:NAME or a path that ends in .onnx", model);
  }
  return status == COSREL_OK ? cosrel_network_create(&net, out, error) : status;
}

/* ---- Inputs and outputs of a request ---- */

void cosrel_network_put_inputs(const cosrel_network *network, const float *const *inputs, void *arena) {
  for (uint32_t i = 0; i < network->net.n_inputs; i++) {
    int32_t value = network->net.inputs[i];
    cosrel_layout_to_arena(&network->net.values[value].tensor.shape, inputs[i],
                           (float *)(void *)((char *)arena + network->offsets[value]));
  }
}

/* tensors[value] gets memory of its own, and what the arena holds of it. */
static bool take_from_arena(const cosrel_network *network, const void *arena, int32_t value, cosrel_tensor *tensor) {
  if (tensor->data != NULL) return true;
  tensor->data = malloc(cosrel_tensor_bytes(tensor));
  if (tensor->data == NULL) return false;
  if (is_placed(network, value)) {
    cosrel_layout_from_arena(
        &tensor->shape, (const float *)(const void *)((const char *)arena + network->offsets[value]), tensor->data);
  }
  return true;
}

static cosrel_status run_tail(const cosrel_network *network, const void *arena, cosrel_tensor *tensors) {
  const cosrel_net *net = &network->net;
  for (uint32_t i = 0; i < network->n_tail; i++) {
    const cosrel_net_node *node = &net->nodes[network->nodes[network->first_tail + i]];
    for (uint32_t k = 0; k < node->n_inputs + node->n_outputs; k++) {
      int32_t value = k < node->n_inputs ? cosrel_net_node_inputs(net, node)[k]
                                         : cosrel_net_node_outputs(net, node)[k - node->n_inputs];
      if (value >= 0 && !take_from_arena(network, arena, value, &tensors[value])) return COSREL_NOMEM;
    }
    cosrel_reference_node(net, network->nodes[network->first_tail + i], tensors);
  }
  return COSREL_OK;
}

cosrel_status cosrel_network_get_output(const cosrel_network *network, const void *arena, uint32_t i, float *out) {
  const cosrel_net *net = &network->net;
  int32_t wanted = net->outputs[i];
  const cosrel_tensor *tensor = &net->values[wanted].tensor;
  if (is_placed(network, wanted)) {
    cosrel_layout_from_arena(&tensor->shape,
                             (const float *)(const void *)((const char *)arena + network->offsets[wanted]), out);
    return COSREL_OK;
  }
  if (tensor->data != NULL) {
    memcpy(out, tensor->data, cosrel_tensor_bytes(tensor));
    return COSREL_OK;
  }
  cosrel_tensor *tensors = malloc(net->n_values * sizeof *tensors);
  if (tensors == NULL) return COSREL_NOMEM;
  for (uint32_t v = 0; v < net->n_values; v++) tensors[v] = net->values[v].tensor;
  cosrel_status status = run_tail(network, arena, tensors);
  if (status == COSREL_OK) memcpy(out, tensors[wanted].data, cosrel_tensor_bytes(tensor));
  for (uint32_t v = 0; v < net->n_values; v++) {
    if (tensors[v].data != net->values[v].tensor.data) free(tensors[v].data);
  }
  free(tensors);
  return status;
}
