#include "backends/reference_backend.h"

#include <stdlib.h>

#include "backends/host_backend.h"
#include "backends/reference/operators.h"
#include "backends/view.h"

struct cosrel_prepared {
  const cosrel_network *network;
  cosrel_reference reference; /* has room for every value but inputs, in ONNX's layout */
  float *inputs;
};

static cosrel_status open_instance(const cosrel_backend_spec *spec, cosrel_backend **out, cosrel_error *error) {
  if (spec->threads > 1) return cosrel_fail(error, COSREL_UNSUPPORTED, "expected threads=1, it has no others");
  if (spec->device[0] != '\0') return cosrel_fail(error, COSREL_UNSUPPORTED, "expected no device, it has none");
  cosrel_host_backend *backend = calloc(1, sizeof *backend);
  if (backend == NULL) return cosrel_fail(error, COSREL_NOMEM, "out of memory");
  backend->base.ops = &cosrel_reference_backend;
  atomic_init(&backend->cancelled, false);
  *out = &backend->base;
  return COSREL_OK;
}

static void close_instance(cosrel_backend *backend) { free(backend); }

static bool supports(const cosrel_backend *backend, const cosrel_network *network, uint32_t unit,
                     cosrel_precision precision) {
  (void)backend, (void)network, (void)unit;
  return precision == COSREL_FP32;
}

static void release(cosrel_backend *backend, cosrel_prepared *prepared) {
  (void)backend;
  cosrel_reference_destroy(&prepared->reference);
  free(prepared->inputs);
  free(prepared);
}

/* Room for the copies of the net's inputs. */
static bool add_inputs(cosrel_prepared *prepared) {
  const cosrel_net *net = &prepared->network->net;
  size_t elements = 1;
  for (uint32_t i = 0; i < net->n_inputs; i++) {
    elements += (size_t)cosrel_shape_elements(&net->values[net->inputs[i]].tensor.shape);
  }
  float *at = prepared->inputs = malloc(elements * sizeof *at);
  for (uint32_t i = 0; i < net->n_inputs && at != NULL; i++) {
    prepared->reference.tensors[net->inputs[i]].data = at;
    at += cosrel_shape_elements(&net->values[net->inputs[i]].tensor.shape);
  }
  return at != NULL;
}

static cosrel_status prepare(cosrel_backend *backend, const cosrel_network *network, const uint8_t *precisions,
                             cosrel_prepared **out, cosrel_error *error) {
  (void)precisions;
  cosrel_prepared *prepared = calloc(1, sizeof *prepared);
  if (prepared == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", network->net.name);
  prepared->network = network;
  cosrel_status status = cosrel_reference_create(&network->net, &prepared->reference, error);
  if (status == COSREL_OK && !add_inputs(prepared)) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", network->net.name);
  }
  if (status != COSREL_OK) {
    release(backend, prepared);
    return status;
  }
  *out = prepared;
  return COSREL_OK;
}

static cosrel_status run_unit(cosrel_backend *backend, cosrel_prepared *prepared, void *arena, uint32_t index) {
  (void)backend;
  const cosrel_network *network = prepared->network;
  const cosrel_network_unit *unit = &network->units[index];
  const cosrel_net *net = &network->net;
  cosrel_tensor *tensors = prepared->reference.tensors;
  for (uint32_t i = 0; i < unit->n_nodes; i++) {
    uint32_t n = network->nodes[unit->first_node + i];
    const cosrel_net_node *node = &net->nodes[n];
    for (uint32_t k = 0; k < node->n_inputs; k++) {
      int32_t value = cosrel_net_node_inputs(net, node)[k];
      if (value < 0 || network->offsets[value] < 0) continue;
      cosrel_layout_from_arena(&tensors[value].shape,
                               (const float *)(const void *)((const char *)arena + network->offsets[value]),
                               tensors[value].data);
    }
    cosrel_reference_node(net, n, tensors);
  }
  const cosrel_tensor *out = &tensors[unit->output];
  cosrel_layout_to_arena(&out->shape, out->data, (float *)(void *)((char *)arena + network->offsets[unit->output]));
  return COSREL_OK;
}

static cosrel_status submit(cosrel_backend *backend, cosrel_prepared *prepared, void *arena, cosrel_buffer *buffer,
                            uint32_t begin, uint32_t end) {
  (void)buffer;
  return cosrel_host_run(backend, prepared, arena, begin, end, run_unit);
}

const cosrel_backend_ops cosrel_reference_backend = {
    .struct_size = sizeof(cosrel_backend_ops),
    .name = "reference",
    .open = open_instance,
    .close = close_instance,
    .supports = supports,
    .prepare = prepare,
    .release = release,
    .submit = submit,
    .wait = cosrel_host_wait,
    .cancel = cosrel_host_cancel,
};
