/* Folding for execution. A batch norm in inference is a straight line per channel,
 *
 *     y = a x + b     with a = scale / sqrt(variance + epsilon) and b = shift - a mean,
 *
 * so behind a convolution or a dense layer, x = W u + c, it is y = (a W) u + (a c + b). Left as they are: batch norms
 * whose input somebody else reads too, and those behind anything else. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/net_internal.h"
#include "backends/reference/operators.h"

/* The value of input i, or -1. */
static int32_t input_of(const cosrel_net *net, const cosrel_net_node *node, uint32_t i) {
  return i < node->n_inputs ? cosrel_net_node_inputs(net, node)[i] : -1;
}

static bool is_op(const cosrel_net_node *node, const char *name) { return strcmp(node->op->name, name) == 0; }

/* A constant of n floats, or NULL. */
static const float *constant(const cosrel_net *net, int32_t value, uint64_t n) {
  if (value < 0 || !cosrel_value_is_constant(net, value)) return NULL;
  const cosrel_tensor *tensor = &net->values[value].tensor;
  return tensor->dtype == COSREL_F32 && cosrel_shape_elements(&tensor->shape) == n ? tensor->data : NULL;
}

/* How often each value is read, the caller of the net included; owned by the caller, NULL without memory. */
static uint32_t *count_readers(const cosrel_net *net) {
  uint32_t *readers = calloc(net->n_values + 1, sizeof *readers);
  if (readers == NULL) return NULL;
  for (uint32_t n = 0; n < net->n_nodes; n++) {
    for (uint32_t i = 0; i < net->nodes[n].n_inputs; i++) {
      int32_t value = cosrel_net_node_inputs(net, &net->nodes[n])[i];
      if (value >= 0) readers[value]++;
    }
  }
  for (uint32_t i = 0; i < net->n_outputs; i++) readers[net->outputs[i]]++;
  return readers;
}

/* ---- Nodes that do nothing ---- */

/* Everybody who read `from` reads `to`. */
static void replace(cosrel_net *net, int32_t from, int32_t to) {
  for (uint32_t n = 0; n < net->n_nodes; n++) {
    int32_t *inputs = &net->links[net->nodes[n].first_input];
    for (uint32_t i = 0; i < net->nodes[n].n_inputs; i++) inputs[i] = inputs[i] == from ? to : inputs[i];
  }
  for (uint32_t i = 0; i < net->n_outputs; i++) net->outputs[i] = net->outputs[i] == from ? to : net->outputs[i];
}

/* Identity, and Dropout unless it is told to train or its mask is wanted. */
static bool does_nothing(const cosrel_net *net, const cosrel_net_node *node, const uint32_t *readers) {
  if (is_op(node, "Identity")) return true;
  if (!is_op(node, "Dropout")) return false;
  int32_t mask = node->n_outputs > 1 ? cosrel_net_node_outputs(net, node)[1] : -1;
  int32_t training = input_of(net, node, 2);
  if (mask >= 0 && readers[mask] > 0) return false;
  if (training < 0) return true;
  const cosrel_tensor *flag = &net->values[training].tensor;
  return flag->data != NULL && flag->dtype == COSREL_BOOL && *(const uint8_t *)flag->data == 0;
}

static bool is_output(const cosrel_net *net, int32_t value) {
  for (uint32_t i = 0; i < net->n_outputs; i++) {
    if (net->outputs[i] == value) return true;
  }
  return false;
}

/* Outputs stay apart from inputs and constants: somebody must make them. */
static void drop_idle(cosrel_net *net, const uint32_t *readers) {
  for (uint32_t n = 0; n < net->n_nodes; n++) {
    const cosrel_net_node *node = &net->nodes[n];
    if (!does_nothing(net, node, readers)) continue;
    int32_t from = cosrel_net_node_outputs(net, node)[0], to = input_of(net, node, 0);
    if (from < 0 || (net->values[to].producer < 0 && is_output(net, from))) continue;
    replace(net, from, to);
  }
}

/* ---- Batch norms ---- */

/* Where the weight W[i] of output channel o lies: i = (outer * channels + o) * inner + k, and with groups (transposed
 * convolutions) the outer index also picks the group. */
typedef struct layout {
  uint32_t channels; /* of the output */
  uint64_t inner;    /* consecutive weights of one channel */
  uint32_t per_group, groups;
  uint64_t outer_per_group; /* rows of weights in a group */
} layout;

/* False where the weights are not laid out as expected. */
static bool layout_of(const cosrel_net *net, const cosrel_net_node *node, const cosrel_shape *weights, layout *out) {
  *out = (layout){.groups = 1, .inner = 1};
  if (is_op(node, "Gemm")) {
    if (weights->rank != 2 || cosrel_node_float(net, node, "beta", 1) != 1) return false;
    bool transposed = cosrel_node_int(net, node, "transB", 0) != 0;
    out->channels = weights->dims[transposed ? 0 : 1];
    out->inner = transposed ? weights->dims[1] : 1;
  } else {
    if (weights->rank < 3) return false;
    for (uint32_t i = 2; i < weights->rank; i++) out->inner *= weights->dims[i];
    if (is_op(node, "Conv")) {
      out->channels = weights->dims[0];
      out->inner *= weights->dims[1];
    } else {
      out->groups = (uint32_t)cosrel_node_int(net, node, "group", 1);
      if (out->groups == 0 || weights->dims[0] % out->groups != 0) return false;
      out->channels = weights->dims[1] * out->groups;
    }
  }
  if (out->channels == 0) return false;
  out->per_group = out->channels / out->groups;
  out->outer_per_group = cosrel_shape_elements(weights) / out->groups / out->per_group;
  if (out->inner > 0) out->outer_per_group /= out->inner;
  return out->inner > 0;
}

/* A copy of the weights, each times the `factor` of its output channel; NULL without memory. */
static float *scale_weights(cosrel_net *net, const cosrel_tensor *weights, const layout *l, const double *factor) {
  float *scaled = cosrel_net_allocate(net, cosrel_tensor_bytes(weights));
  const float *from = weights->data;
  float *to = scaled;
  if (scaled == NULL) return NULL;
  for (uint32_t group = 0; group < l->groups; group++) {
    for (uint64_t outer = 0; outer < l->outer_per_group; outer++) {
      for (uint32_t o = 0; o < l->per_group; o++) {
        double a = factor[group * l->per_group + o];
        for (uint64_t k = 0; k < l->inner; k++) *to++ = (float)(a * *from++);
      }
    }
  }
  return scaled;
}

/* Fills a[channels] and b[channels] of the line above; false unless the batch norm is constant. */
static bool line_of(const cosrel_net *net, const cosrel_net_node *norm, uint32_t channels, double *a, double *b) {
  const float *scale = constant(net, input_of(net, norm, 1), channels);
  const float *shift = constant(net, input_of(net, norm, 2), channels);
  const float *mean = constant(net, input_of(net, norm, 3), channels);
  const float *variance = constant(net, input_of(net, norm, 4), channels);
  if (scale == NULL || shift == NULL || mean == NULL || variance == NULL) return false;
  double epsilon = cosrel_node_float(net, norm, "epsilon", 1e-5F);
  for (uint32_t o = 0; o < channels; o++) {
    a[o] = scale[o] / sqrt(variance[o] + epsilon);
    b[o] = shift[o] - a[o] * mean[o];
  }
  return true;
}

/* The layer's own bias, or NULL: *usable tells whether that means none or one that cannot be folded. */
static const float *bias_of(const cosrel_net *net, const cosrel_net_node *layer, uint32_t channels, bool *usable) {
  int32_t value = input_of(net, layer, 2);
  const float *bias = constant(net, value, channels);
  *usable = value < 0 || bias != NULL;
  if (bias == NULL) return NULL;
  const cosrel_shape *shape = &net->values[value].tensor.shape;
  *usable = shape->rank > 0 && shape->dims[shape->rank - 1] == channels;
  return bias;
}

/* Gives the layer its new weights and bias, and the batch norm's output. */
static cosrel_status rewrite(cosrel_net *net, uint32_t layer, const cosrel_net_node *norm, const layout *l,
                             const float *bias, const double *a, const double *b, cosrel_error *error) {
  cosrel_net_node *node = &net->nodes[layer];
  cosrel_tensor weights = net->values[input_of(net, node, 1)].tensor;
  cosrel_tensor shift = {.dtype = COSREL_F32, .shape = {.rank = 1, .dims = {l->channels}}};
  weights.data = scale_weights(net, &weights, l, a);
  float *sums = cosrel_net_allocate(net, cosrel_tensor_bytes(&shift));
  if (weights.data == NULL || sums == NULL) return cosrel_net_no_memory(net, error);
  for (uint32_t o = 0; o < l->channels; o++) sums[o] = (float)((bias != NULL ? a[o] * bias[o] : 0) + b[o]);
  shift.data = sums;
  int32_t inputs[3] = {input_of(net, node, 0), -1, -1}, output = cosrel_net_node_outputs(net, norm)[0];
  uint32_t first = net->n_links;
  inputs[1] = cosrel_net_add_value(net, weights);
  inputs[2] = cosrel_net_add_value(net, shift);
  if (inputs[2] < 0) return cosrel_net_status(net, error);
  if (!cosrel_net_add_links(net, inputs, 3)) return cosrel_net_no_memory(net, error);
  node->first_input = first;
  node->n_inputs = 3;
  net->links[node->first_output] = output;
  net->values[output].producer = (int32_t)layer;
  return COSREL_OK;
}

/* Folds batch norm `norm` into what is before it, where that can be done. */
static cosrel_status fold_norm(cosrel_net *net, const cosrel_net_node *norm, const uint32_t *readers,
                               cosrel_error *error) {
  for (uint32_t i = 1; i < norm->n_outputs; i++) {
    if (cosrel_net_node_outputs(net, norm)[i] >= 0) return COSREL_OK;
  }
  int32_t x = input_of(net, norm, 0), layer = net->values[x].producer;
  if (cosrel_node_int(net, norm, "training_mode", 0) != 0 || layer < 0 || readers[x] != 1) return COSREL_OK;
  const cosrel_net_node *node = &net->nodes[layer];
  if (!is_op(node, "Conv") && !is_op(node, "ConvTranspose") && !is_op(node, "Gemm")) return COSREL_OK;
  int32_t w = input_of(net, node, 1);
  const cosrel_shape *shape = &net->values[w].tensor.shape;
  layout l;
  if (constant(net, w, cosrel_shape_elements(shape)) == NULL || !layout_of(net, node, shape, &l)) return COSREL_OK;
  bool usable;
  const float *bias = bias_of(net, node, l.channels, &usable);
  if (!usable) return COSREL_OK;
  double *line = calloc(2 * (size_t)l.channels, sizeof *line);
  if (line == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s", cosrel_status_text(COSREL_NOMEM));
  cosrel_status status = COSREL_OK;
  if (line_of(net, norm, l.channels, line, line + l.channels)) {
    status = rewrite(net, (uint32_t)layer, norm, &l, bias, line, line + l.channels, error);
  }
  free(line);
  return status;
}

cosrel_status cosrel_net_fold(cosrel_net *net, cosrel_error *error) {
  uint32_t *readers = count_readers(net);
  if (readers == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s", cosrel_status_text(COSREL_NOMEM));
  drop_idle(net, readers);
  free(readers);
  cosrel_status status = cosrel_net_prune(net, error);
  if (status != COSREL_OK) return status;

  readers = count_readers(net);
  if (readers == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s", cosrel_status_text(COSREL_NOMEM));
  for (uint32_t n = 0; n < net->n_nodes && status == COSREL_OK; n++) {
    if (!is_op(&net->nodes[n], "BatchNormalization")) continue;
    cosrel_error inner = {""};
    status = fold_norm(net, &net->nodes[n], readers, &inner);
    if (status != COSREL_OK) cosrel_fail(error, status, "node '%s': %.380s", net->nodes[n].name, inner.text);
  }
  free(readers);
  return status == COSREL_OK ? cosrel_net_prune(net, error) : status;
}
