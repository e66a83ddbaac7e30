/* From an ONNX file to a settled net. Names become indices in two passes: first everything that makes a tensor
 * (constants, inputs, nodes), then everything that reads one, so that the order of nodes in the file does not matter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/net_internal.h"
#include "backends/onnx/names.h"
#include "backends/onnx/onnx.h"
#include "backends/onnx/tensor_proto.h"
#include "backends/onnx/wire.h"
#include "backends/reference/operators.h"
#include "traces/file.h"

#define OPSET_MIN 6
#define OPSET_MAX 17
#define ATTRIBUTES_MAX 64 /* of a node */

typedef struct reader {
  const Onnx__GraphProto *graph;
  cosrel_net *net;
  cosrel_names values;             /* tensors of the file: index in the net */
  cosrel_names nodes;              /* node names in use */
  char (*labels)[COSREL_NAME_MAX]; /* [graph->n_node] unique names */
  cosrel_attribute *attributes;    /* [ATTRIBUTES_MAX] of the node at hand */
} reader;

static cosrel_status no_memory(cosrel_error *error) {
  return cosrel_fail(error, COSREL_NOMEM, "%s", cosrel_status_text(COSREL_NOMEM));
}

/* Fails with `text` as what is wrong with the thing that a kind ("input") and a name of the file tell. */
static cosrel_status fail_at(cosrel_error *error, cosrel_status status, const char *kind, const char *name,
                             const char *text) {
  char shown[COSREL_NAME_MAX];
  cosrel_wire_name(shown, name);
  return cosrel_fail(error, status, "%s '%s': %.380s", kind, shown, text);
}

static bool is_empty(const char *text) { return text == NULL || text[0] == '\0'; }

static bool is_default_domain(const char *domain) { return is_empty(domain) || strcmp(domain, "ai.onnx") == 0; }

/* ---- The model around the graph ---- */

static cosrel_status check_model(const Onnx__ModelProto *model, uint32_t *opset, cosrel_error *error) {
  if (model->graph == NULL) return cosrel_fail(error, COSREL_FORMAT, "expected an ONNX model with a graph");
  if (model->n_training_info > 0) return cosrel_fail(error, COSREL_UNSUPPORTED, "expected no training graphs");
  int64_t version = 1; /* what a file without a word about it means */
  for (size_t i = 0; i < model->n_opset_import; i++) {
    if (is_default_domain(model->opset_import[i]->domain)) version = model->opset_import[i]->version;
  }
  if (version < OPSET_MIN || version > OPSET_MAX) {
    return cosrel_fail(error, COSREL_UNSUPPORTED, "opset_import: expected opset %d to %d, got %lld", OPSET_MIN,
                       OPSET_MAX, (long long)version);
  }
  *opset = (uint32_t)version;
  const Onnx__GraphProto *graph = model->graph;
  if (graph->n_sparse_initializer > 0) {
    return cosrel_fail(error, COSREL_UNSUPPORTED, "expected dense constants, got sparse ones");
  }
  if (graph->n_node > COSREL_NET_NODES_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "expected at most %d nodes, got %zu", COSREL_NET_NODES_MAX, graph->n_node);
  }
  return COSREL_OK;
}

/* Unique names: the file's own, or the operator and index; one that is taken gets a number that is not. */
static cosrel_status name_nodes(reader *r, cosrel_error *error) {
  const Onnx__GraphProto *graph = r->graph;
  r->labels = calloc(graph->n_node + 1, sizeof *r->labels);
  if (r->labels == NULL || !cosrel_names_create(&r->nodes, (uint32_t)graph->n_node)) return no_memory(error);
  size_t fresh = graph->n_node; /* never goes back, so that a file cannot make this slow */
  for (size_t i = 0; i < graph->n_node; i++) {
    char *label = r->labels[i], wanted[COSREL_NAME_MAX];
    bool named = !is_empty(graph->node[i]->name);
    cosrel_wire_name(wanted, named ? graph->node[i]->name : graph->node[i]->op_type);
    snprintf(label, COSREL_NAME_MAX, named ? "%.63s" : "%.40s_%zu", wanted, i);
    while (!cosrel_names_add(&r->nodes, label, (int32_t)i)) {
      snprintf(label, COSREL_NAME_MAX, "%.40s_%zu", wanted, fresh++);
    }
  }
  return COSREL_OK;
}

/* ---- What makes a tensor ---- */

static cosrel_status add_value(reader *r, const char *name, cosrel_tensor tensor, int32_t *value, cosrel_error *error) {
  *value = cosrel_net_add_value(r->net, tensor);
  if (*value < 0) return cosrel_net_status(r->net, error);
  if (is_empty(name)) return cosrel_fail(error, COSREL_FORMAT, "expected a name for every tensor");
  if (cosrel_names_add(&r->values, name, *value)) return COSREL_OK;
  return fail_at(error, COSREL_FORMAT, "tensor", name, "expected one node or constant that makes it, got two");
}

/* Takes the elements out of the message, so that large ones are not in memory twice. */
static cosrel_status decode(reader *r, Onnx__TensorProto *proto, cosrel_tensor *tensor, cosrel_error *error) {
  cosrel_status status = cosrel_tensor_proto_check(proto, tensor, error);
  if (status != COSREL_OK) return status;
  tensor->data = cosrel_net_allocate(r->net, cosrel_tensor_bytes(tensor));
  if (tensor->data == NULL) return cosrel_net_no_memory(r->net, error);
  cosrel_tensor_proto_copy(proto, tensor);
  cosrel_wire_drop(&proto->raw_data);
  return COSREL_OK;
}

static cosrel_status add_initializers(reader *r, cosrel_error *error) {
  for (size_t i = 0; i < r->graph->n_initializer; i++) {
    Onnx__TensorProto *proto = r->graph->initializer[i];
    cosrel_error inner = {""};
    cosrel_tensor tensor;
    int32_t value;
    cosrel_status status = decode(r, proto, &tensor, &inner);
    if (status != COSREL_OK) return fail_at(error, status, "initializer", proto->name, inner.text);
    if ((status = add_value(r, proto->name, tensor, &value, error)) != COSREL_OK) return status;
  }
  return COSREL_OK;
}

/* The first axis is the batch: where the file leaves its size open, it is 1. */
static cosrel_status input_shape(const Onnx__TensorShapeProto *proto, cosrel_shape *shape, cosrel_error *error) {
  if (proto == NULL) return cosrel_fail(error, COSREL_UNSUPPORTED, "expected a shape");
  if (proto->n_dim > COSREL_RANK_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "expected at most %d axes, got %zu", COSREL_RANK_MAX, proto->n_dim);
  }
  shape->rank = (uint32_t)proto->n_dim;
  for (size_t i = 0; i < proto->n_dim; i++) {
    const Onnx__TensorShapeProto__Dimension *dim = proto->dim[i];
    bool fixed = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0;
    if (!fixed && i > 0) {
      return cosrel_fail(error, COSREL_UNSUPPORTED,
                         "axis %zu: expected a fixed size; only axis 0, the batch, may be open", i);
    }
    if (fixed && dim->dim_value > (int64_t)COSREL_ELEMENTS_MAX) {
      return cosrel_fail(error, COSREL_LIMIT, "axis %zu: expected a size of at most 2^31", i);
    }
    shape->dims[i] = fixed ? (uint32_t)dim->dim_value : 1;
  }
  if (cosrel_shape_elements(shape) > COSREL_ELEMENTS_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "expected at most 2^31 elements");
  }
  return COSREL_OK;
}

static cosrel_status add_input(reader *r, const Onnx__ValueInfoProto *input, cosrel_error *error) {
  cosrel_tensor tensor = {0};
  cosrel_error inner = {""};
  const Onnx__TypeProto *type = input->type;
  if (type == NULL || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE) {
    return fail_at(error, COSREL_UNSUPPORTED, "input", input->name, "expected a tensor");
  }
  cosrel_status status = cosrel_tensor_proto_dtype(type->tensor_type->elem_type, &tensor.dtype, &inner);
  if (status == COSREL_OK) status = input_shape(type->tensor_type->shape, &tensor.shape, &inner);
  if (status != COSREL_OK) return fail_at(error, status, "input", input->name, inner.text);
  int32_t value;
  if ((status = add_value(r, input->name, tensor, &value, error)) != COSREL_OK) return status;
  char name[COSREL_NAME_MAX];
  cosrel_wire_name(name, input->name);
  if (cosrel_net_add_input(r->net, name, value) != COSREL_OK) return cosrel_net_status(r->net, error);
  return COSREL_OK;
}

/* Old files list their constants among the inputs, too. */
static cosrel_status add_inputs(reader *r, cosrel_error *error) {
  for (size_t i = 0; i < r->graph->n_input; i++) {
    const Onnx__ValueInfoProto *input = r->graph->input[i];
    int32_t known = is_empty(input->name) ? -1 : cosrel_names_find(&r->values, input->name);
    if (known >= 0 && cosrel_value_is_constant(r->net, known)) continue;
    cosrel_status status = add_input(r, input, error);
    if (status != COSREL_OK) return status;
  }
  return COSREL_OK;
}

/* A list of an attribute as a tensor: a scalar if it holds one number. */
static cosrel_status tensor_of_list(reader *r, cosrel_dtype dtype, const void *items, size_t n, bool scalar,
                                    cosrel_tensor *tensor, cosrel_error *error) {
  if (n > COSREL_ELEMENTS_MAX) return cosrel_fail(error, COSREL_LIMIT, "expected at most 2^31 elements");
  *tensor = (cosrel_tensor){.dtype = dtype, .shape = {.rank = scalar ? 0 : 1, .dims = {(uint32_t)n}}};
  tensor->data = cosrel_net_allocate(r->net, cosrel_tensor_bytes(tensor));
  if (tensor->data == NULL) return cosrel_net_no_memory(r->net, error);
  if (n > 0) memcpy(tensor->data, items, cosrel_tensor_bytes(tensor));
  return COSREL_OK;
}

/* The one tensor that a Constant node holds. */
static cosrel_status constant_of(reader *r, const Onnx__NodeProto *node, cosrel_tensor *tensor, cosrel_error *error) {
  const Onnx__AttributeProto *a = node->n_attribute == 1 ? node->attribute[0] : NULL;
  const char *name = a != NULL && a->name != NULL ? a->name : "";
  if (strcmp(name, "value") == 0 && a->t != NULL) return decode(r, a->t, tensor, error);
  if (strcmp(name, "value_int") == 0) return tensor_of_list(r, COSREL_I64, &a->i, 1, true, tensor, error);
  if (strcmp(name, "value_ints") == 0) return tensor_of_list(r, COSREL_I64, a->ints, a->n_ints, false, tensor, error);
  if (strcmp(name, "value_float") == 0) return tensor_of_list(r, COSREL_F32, &a->f, 1, true, tensor, error);
  if (strcmp(name, "value_floats") == 0) {
    return tensor_of_list(r, COSREL_F32, a->floats, a->n_floats, false, tensor, error);
  }
  return cosrel_fail(error, COSREL_UNSUPPORTED,
                     "expected one attribute: value, value_int, value_ints, value_float or value_floats");
}

static bool is_constant(const Onnx__NodeProto *node) {
  return node->op_type != NULL && strcmp(node->op_type, "Constant") == 0 && is_default_domain(node->domain);
}

static cosrel_status add_outputs(reader *r, size_t index, cosrel_error *error) {
  const Onnx__NodeProto *node = r->graph->node[index];
  cosrel_tensor tensor = {0};
  cosrel_status status = COSREL_OK;
  if (is_constant(node)) {
    cosrel_error inner = {""};
    status = constant_of(r, node, &tensor, &inner);
    if (status != COSREL_OK) return fail_at(error, status, "constant", r->labels[index], inner.text);
    if (node->n_output != 1) {
      return fail_at(error, COSREL_FORMAT, "constant", r->labels[index], "expected one output");
    }
  }
  for (size_t i = 0; i < node->n_output && status == COSREL_OK; i++) {
    int32_t value;
    if (!is_empty(node->output[i])) status = add_value(r, node->output[i], tensor, &value, error);
  }
  return status;
}

/* ---- Nodes ---- */

static cosrel_status copy_bytes(reader *r, const void *from, size_t bytes, const void **to, cosrel_error *error) {
  void *copy = cosrel_net_allocate(r->net, (uint64_t)bytes + 1); /* a NUL behind text */
  *to = copy;
  if (copy == NULL) return cosrel_net_no_memory(r->net, error);
  if (bytes > 0) memcpy(copy, from, bytes);
  return COSREL_OK;
}

static cosrel_status set_ints(reader *r, cosrel_attribute *out, const int64_t *ints, size_t n, cosrel_error *error) {
  const void *copy;
  cosrel_status status = copy_bytes(r, ints, n * sizeof *ints, &copy, error);
  out->kind = COSREL_ATTRIBUTE_INTS;
  out->n = (uint32_t)n;
  if (status == COSREL_OK) out->ints = copy;
  return status;
}

static cosrel_status set_floats(reader *r, cosrel_attribute *out, const float *floats, size_t n, cosrel_error *error) {
  const void *copy;
  cosrel_status status = copy_bytes(r, floats, n * sizeof *floats, &copy, error);
  out->kind = COSREL_ATTRIBUTE_FLOATS;
  out->n = (uint32_t)n;
  if (status == COSREL_OK) out->floats = copy;
  return status;
}

static cosrel_status read_attribute(reader *r, const Onnx__AttributeProto *a, cosrel_attribute *out,
                                    cosrel_error *error) {
  *out = (cosrel_attribute){0};
  if (is_empty(a->name) || strlen(a->name) >= sizeof out->name) {
    return cosrel_fail(error, COSREL_UNSUPPORTED, "expected a name of 1 to %zu bytes", sizeof out->name - 1);
  }
  memcpy(out->name, a->name, strlen(a->name));
  if (a->n_ints > UINT32_MAX || a->n_floats > UINT32_MAX || a->s.len > UINT32_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "expected a shorter list");
  }
  switch (a->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: return set_ints(r, out, &a->i, 1, error);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS: return set_ints(r, out, a->ints, a->n_ints, error);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT: return set_floats(r, out, &a->f, 1, error);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS: return set_floats(r, out, a->floats, a->n_floats, error);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING: {
      const void *copy;
      cosrel_status status = copy_bytes(r, a->s.data, a->s.len, &copy, error);
      out->kind = COSREL_ATTRIBUTE_STRING;
      out->n = (uint32_t)a->s.len;
      if (status == COSREL_OK) out->string = copy;
      return status;
    }
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
      out->kind = COSREL_ATTRIBUTE_TENSOR;
      if (a->t == NULL) return cosrel_fail(error, COSREL_FORMAT, "expected a tensor");
      return decode(r, a->t, &out->tensor, error);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS:
      return cosrel_fail(error, COSREL_UNSUPPORTED, "expected no subgraph: control flow is not supported");
    default:
      return cosrel_fail(error, COSREL_UNSUPPORTED, "expected an integer, a float, a list of those, text or a tensor");
  }
}

static cosrel_status read_attributes(reader *r, const Onnx__NodeProto *node, cosrel_error *error) {
  if (node->n_attribute > ATTRIBUTES_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "expected at most %d attributes", ATTRIBUTES_MAX);
  }
  for (size_t i = 0; i < node->n_attribute; i++) {
    cosrel_error inner = {""};
    cosrel_status status = read_attribute(r, node->attribute[i], &r->attributes[i], &inner);
    if (status != COSREL_OK) return fail_at(error, status, "attribute", node->attribute[i]->name, inner.text);
  }
  return COSREL_OK;
}

/* Looks names up; those left out become -1. */
static cosrel_status find_values(const reader *r, char *const *names, size_t n, int32_t *values, cosrel_error *error) {
  for (size_t i = 0; i < n; i++) {
    values[i] = is_empty(names[i]) ? -1 : cosrel_names_find(&r->values, names[i]);
    if (values[i] < 0 && !is_empty(names[i])) {
      return fail_at(error, COSREL_FORMAT, "tensor", names[i], "expected a node, input or constant that makes it");
    }
  }
  return COSREL_OK;
}

static cosrel_status read_node(reader *r, size_t index, cosrel_error *error) {
  const Onnx__NodeProto *node = r->graph->node[index];
  int32_t inputs[COSREL_OPERATOR_INPUTS_MAX], outputs[COSREL_OPERATOR_OUTPUTS_MAX];
  if (node->n_input > COSREL_OPERATOR_INPUTS_MAX || node->n_output > COSREL_OPERATOR_OUTPUTS_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "expected at most %d inputs and %d outputs", COSREL_OPERATOR_INPUTS_MAX,
                       COSREL_OPERATOR_OUTPUTS_MAX);
  }
  cosrel_status status = read_attributes(r, node, error);
  if (status != COSREL_OK) return status;
  const cosrel_operator *op = is_default_domain(node->domain) ? cosrel_operator_find(node->op_type) : NULL;
  if (op == NULL) {
    return cosrel_fail(error, COSREL_UNSUPPORTED,
                       "expected an operator that cosrel computes (cosrel inspect --operators lists them)");
  }
  if ((status = find_values(r, node->input, node->n_input, inputs, error)) != COSREL_OK) return status;
  if ((status = find_values(r, node->output, node->n_output, outputs, error)) != COSREL_OK) return status;
  if (cosrel_net_add_node(r->net, r->labels[index], op, inputs, (uint32_t)node->n_input, outputs,
                          (uint32_t)node->n_output, r->attributes, (uint32_t)node->n_attribute) < 0) {
    return cosrel_net_status(r->net, error);
  }
  return COSREL_OK;
}

static cosrel_status add_nodes(reader *r, cosrel_error *error) {
  for (size_t i = 0; i < r->graph->n_node; i++) {
    const Onnx__NodeProto *node = r->graph->node[i];
    if (is_constant(node)) continue;
    if (is_empty(node->op_type)) return fail_at(error, COSREL_FORMAT, "node", r->labels[i], "expected an operator");
    cosrel_error inner = {""};
    cosrel_status status = read_node(r, i, &inner);
    if (status != COSREL_OK) {
      char domain[COSREL_NAME_MAX], op[COSREL_NAME_MAX];
      cosrel_wire_name(domain, is_default_domain(node->domain) ? "" : node->domain);
      cosrel_wire_name(op, node->op_type);
      return cosrel_fail(error, status, "node '%s' (%s%s%s): %.250s", r->labels[i], domain,
                         domain[0] != '\0' ? "." : "", op, inner.text);
    }
  }
  return COSREL_OK;
}

static cosrel_status add_graph_outputs(reader *r, cosrel_error *error) {
  for (size_t i = 0; i < r->graph->n_output; i++) {
    int32_t value;
    char *file_name = r->graph->output[i]->name, name[COSREL_NAME_MAX];
    if (is_empty(file_name)) return cosrel_fail(error, COSREL_FORMAT, "expected a name for every output");
    cosrel_status status = find_values(r, &file_name, 1, &value, error);
    if (status != COSREL_OK) return status;
    cosrel_wire_name(name, file_name);
    if (cosrel_net_add_output(r->net, name, value) != COSREL_OK) return cosrel_net_status(r->net, error);
  }
  return COSREL_OK;
}

static cosrel_status read_graph(reader *r, cosrel_error *error) {
  const Onnx__GraphProto *graph = r->graph;
  size_t makers = graph->n_initializer + graph->n_input;
  for (size_t i = 0; i < graph->n_node; i++) makers += graph->node[i]->n_output;
  if (makers > COSREL_NET_VALUES_MAX) {
    return cosrel_fail(error, COSREL_LIMIT, "expected at most %d tensors, got %zu", COSREL_NET_VALUES_MAX, makers);
  }
  r->attributes = calloc(ATTRIBUTES_MAX, sizeof *r->attributes);
  if (r->attributes == NULL || !cosrel_names_create(&r->values, (uint32_t)makers)) return no_memory(error);
  cosrel_status status = name_nodes(r, error);
  if (status == COSREL_OK) status = add_initializers(r, error);
  if (status == COSREL_OK) status = add_inputs(r, error);
  for (size_t i = 0; i < graph->n_node && status == COSREL_OK; i++) status = add_outputs(r, i, error);
  if (status == COSREL_OK) status = add_nodes(r, error);
  if (status == COSREL_OK) status = add_graph_outputs(r, error);
  return status;
}

cosrel_status cosrel_onnx_parse(const uint8_t *bytes, size_t n, const char *where, const char *name,
                                uint64_t limit_bytes, cosrel_net *net, cosrel_error *error) {
  *net = (cosrel_net){0};
  ProtobufCMessage *message = NULL;
  reader r = {.net = net};
  cosrel_error inner = {""};
  uint32_t opset = 0;
  cosrel_status status = cosrel_wire_unpack(&onnx__model_proto__descriptor, bytes, n, limit_bytes, &message, &inner);
  if (status != COSREL_OK) goto done;
  const Onnx__ModelProto *model = (const Onnx__ModelProto *)message;
  if ((status = check_model(model, &opset, &inner)) != COSREL_OK) goto done;
  if ((status = cosrel_net_create(net, name, opset, limit_bytes, &inner)) != COSREL_OK) goto done;
  r.graph = model->graph;
  if ((status = read_graph(&r, &inner)) != COSREL_OK) goto done;
  cosrel_wire_free(message); /* its memory is wanted for what follows */
  message = NULL;
  status = cosrel_net_settle(net, &inner);

done:
  cosrel_wire_free(message);
  cosrel_names_destroy(&r.values);
  cosrel_names_destroy(&r.nodes);
  free(r.labels);
  free(r.attributes);
  if (status == COSREL_OK) return COSREL_OK;
  cosrel_net_destroy(net);
  return cosrel_fail(error, status, "%.180s: %.320s", where, inner.text);
}

/* "folder/resnet18.onnx" is called "resnet18". */
static void base_name(const char *path, char name[COSREL_NAME_MAX]) {
  const char *slash = strrchr(path, '/');
  cosrel_wire_name(name, slash != NULL ? slash + 1 : path);
  size_t length = strlen(name);
  if (length > 5 && strcmp(name + length - 5, ".onnx") == 0) name[length - 5] = '\0';
}

cosrel_status cosrel_onnx_read(const char *path, uint64_t limit_bytes, cosrel_net *net, cosrel_error *error) {
  char *bytes, name[COSREL_NAME_MAX];
  size_t n, limit = limit_bytes < COSREL_ONNX_BYTES_MAX ? (size_t)limit_bytes : (size_t)COSREL_ONNX_BYTES_MAX;
  *net = (cosrel_net){0};
  cosrel_status status = cosrel_file_read(path, limit, &bytes, &n, error);
  if (status != COSREL_OK) return status;
  base_name(path, name);
  status = cosrel_onnx_parse((const uint8_t *)bytes, n, path, name, limit_bytes, net, error);
  free(bytes);
  return status;
}

cosrel_status cosrel_onnx_read_tensor(const char *path, uint64_t limit_bytes, cosrel_tensor *tensor,
                                      cosrel_error *error) {
  char *bytes = NULL;
  size_t n;
  ProtobufCMessage *message = NULL;
  cosrel_error inner = {""};
  *tensor = (cosrel_tensor){0};
  cosrel_status status = cosrel_file_read(path, (size_t)limit_bytes, &bytes, &n, error);
  if (status != COSREL_OK) return status;
  status =
      cosrel_wire_unpack(&onnx__tensor_proto__descriptor, (const uint8_t *)bytes, n, limit_bytes, &message, &inner);
  const Onnx__TensorProto *proto = (const Onnx__TensorProto *)message;
  if (status == COSREL_OK) status = cosrel_tensor_proto_check(proto, tensor, &inner);
  if (status == COSREL_OK && (tensor->data = malloc(cosrel_tensor_bytes(tensor) + 1)) == NULL) {
    status = no_memory(&inner);
  }
  if (status == COSREL_OK) cosrel_tensor_proto_copy(proto, tensor);
  cosrel_wire_free(message);
  free(bytes);
  return status == COSREL_OK ? COSREL_OK : cosrel_fail(error, status, "%.180s: %.320s", path, inner.text);
}
