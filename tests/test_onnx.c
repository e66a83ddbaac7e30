/* ONNX files: what is read rightly, what is refused with one line, and what the zoo writes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "backends/fuse.h"
#include "backends/network.h"
#include "backends/onnx/onnx.h"
#include "backends/onnx/onnx.pb-c.h"
#include "backends/reference/operators.h"
#include "backends/zoo/zoo.h"
#include "traces/atomic.h"

#define LIMIT (UINT64_C(256) << 20)

/* ---- A small model that every test changes in its own way ---- */

/* image -> conv, conv.bn, conv.act -> pool -> flatten -> fc */
static Onnx__ModelProto *small_model(void) {
  cosrel_graph graph;
  cosrel_graph_init(&graph, "small");
  cosrel_conv conv = {.channels = 4, .kernel = 3, .pad = 1, .batch_norm = true, .activation = COSREL_RELU};
  int32_t x = cosrel_graph_input(&graph, "image", 3, 8, 8);
  x = cosrel_graph_conv(&graph, x, "conv", &conv);
  x = cosrel_graph_pool(&graph, x, "pool", COSREL_OP_MAX_POOL, 2, 2, 0, false);
  x = cosrel_graph_unary(&graph, x, "flatten", COSREL_OP_FLATTEN);
  cosrel_graph_dense(&graph, x, "fc", 5, true);
  uint8_t *bytes;
  size_t n;
  cosrel_error error = {""};
  if (cosrel_onnx_encode(&graph, 1, &bytes, &n, &error) != COSREL_OK) fail_msg("%s", error.text);
  Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, n, bytes);
  assert_non_null(model);
  free(bytes);
  cosrel_graph_clear(&graph);
  return model;
}

/* Frees the model; its bytes, for free(). */
static uint8_t *pack(Onnx__ModelProto *model, size_t *n) {
  *n = onnx__model_proto__get_packed_size(model);
  uint8_t *bytes = malloc(*n);
  assert_non_null(bytes);
  onnx__model_proto__pack(model, bytes);
  onnx__model_proto__free_unpacked(model, NULL);
  return bytes;
}

static char *text(const char *from) {
  char *copy = malloc(strlen(from) + 1);
  assert_non_null(copy);
  return strcpy(copy, from);
}

static void set_text(char **to, const char *from) {
  free(*to);
  *to = text(from);
}

static Onnx__NodeProto *node_of(Onnx__ModelProto *model, const char *op) {
  for (size_t i = 0; i < model->graph->n_node; i++) {
    if (strcmp(model->graph->node[i]->op_type, op) == 0) return model->graph->node[i];
  }
  fail_msg("no %s", op);
  return NULL;
}

static Onnx__TensorProto *initializer_of(Onnx__ModelProto *model, const char *name) {
  for (size_t i = 0; i < model->graph->n_initializer; i++) {
    if (strcmp(model->graph->initializer[i]->name, name) == 0) return model->graph->initializer[i];
  }
  fail_msg("no %s", name);
  return NULL;
}

/* Reads the model, which it frees. */
static cosrel_net read_model(Onnx__ModelProto *model) {
  size_t n;
  uint8_t *bytes = pack(model, &n);
  cosrel_net net;
  cosrel_error error = {""};
  if (cosrel_onnx_parse(bytes, n, "here", "small", LIMIT, &net, &error) != COSREL_OK) fail_msg("%s", error.text);
  free(bytes);
  return net;
}

/* Expects one line that begins with "here: " and has `part`; frees the model. */
static void refuse(Onnx__ModelProto *model, cosrel_status status, const char *part) {
  size_t n;
  uint8_t *bytes = pack(model, &n);
  cosrel_net net;
  cosrel_error error = {""};
  cosrel_status got = cosrel_onnx_parse(bytes, n, "here", "small", LIMIT, &net, &error);
  if (got != status || strstr(error.text, part) == NULL) {
    fail_msg("expected status %d and '%s', got %d: %s", (int)status, part, (int)got, error.text);
  }
  assert_int_equal(strncmp(error.text, "here: ", 6), 0);
  assert_null(strchr(error.text, '\n'));
  assert_null(net.memory);
  free(bytes);
}

/* ---- Reading ---- */

static void a_model_becomes_a_net(void **state) {
  (void)state;
  cosrel_net net = read_model(small_model());
  assert_string_equal(net.name, "small");
  assert_int_equal(net.opset, 13);
  assert_int_equal(net.n_nodes, 6);
  assert_string_equal(net.nodes[0].name, "conv");
  assert_string_equal(net.nodes[5].name, "fc");
  assert_int_equal(net.n_inputs, 1);
  assert_string_equal(net.input_names[0], "image");
  assert_string_equal(net.output_names[0], "fc");
  const cosrel_shape *out = &net.values[net.outputs[0]].tensor.shape;
  assert_int_equal(out->rank, 2);
  assert_int_equal(out->dims[1], 5);
  cosrel_net_destroy(&net);
}

/* Nodes in reverse, the constants also listed as inputs, an open batch: the same net. */
static void order_and_old_habits_do_not_matter(void **state) {
  (void)state;
  Onnx__ModelProto *model = small_model();
  Onnx__GraphProto *graph = model->graph;
  for (size_t i = 0; i < graph->n_node / 2; i++) {
    Onnx__NodeProto *swap = graph->node[i];
    graph->node[i] = graph->node[graph->n_node - 1 - i];
    graph->node[graph->n_node - 1 - i] = swap;
  }
  graph->input = realloc(graph->input, 2 * sizeof *graph->input);
  assert_non_null(graph->input);
  Onnx__ValueInfoProto *listed = graph->input[1] = malloc(sizeof *listed);
  onnx__value_info_proto__init(listed);
  listed->name = text("conv.weight");
  graph->n_input = 2;
  Onnx__TensorShapeProto__Dimension *batch = graph->input[0]->type->tensor_type->shape->dim[0];
  batch->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
  batch->dim_param = text("N");
  cosrel_net net = read_model(model);
  assert_int_equal(net.n_inputs, 1);
  assert_int_equal(net.values[net.inputs[0]].tensor.shape.dims[0], 1);
  assert_string_equal(net.nodes[0].name, "conv");
  assert_string_equal(net.nodes[5].name, "fc");
  cosrel_net_destroy(&net);
}

static void names_are_unique_and_fit(void **state) {
  (void)state;
  Onnx__ModelProto *model = small_model();
  char longest[200];
  memset(longest, 'a', sizeof longest);
  longest[199] = '\0';
  set_text(&model->graph->node[0]->name, longest);
  set_text(&model->graph->node[1]->name, longest);
  set_text(&model->graph->node[2]->name, "");
  set_text(&model->graph->node[3]->name, "Relu_2");
  set_text(&model->graph->node[4]->name, "line\nbreak");
  cosrel_net net = read_model(model);
  for (uint32_t i = 0; i < net.n_nodes; i++) {
    assert_true(cosrel_name_is_good(net.nodes[i].name));
    for (uint32_t k = 0; k < i; k++) assert_string_not_equal(net.nodes[i].name, net.nodes[k].name);
  }
  assert_int_equal(strlen(net.nodes[0].name), COSREL_NAME_MAX - 1);
  assert_string_equal(net.nodes[2].name, "Relu_2");
  assert_string_equal(net.nodes[4].name, "line_break");
  cosrel_net_destroy(&net);
}

/* Replaces the convolution's weights by a Constant node that holds them. */
static void constant_nodes_are_constants(void **state) {
  (void)state;
  Onnx__ModelProto *model = small_model();
  Onnx__GraphProto *graph = model->graph;
  Onnx__TensorProto *weights = initializer_of(model, "conv.weight");
  for (size_t i = 0; i < graph->n_initializer; i++) {
    if (graph->initializer[i] == weights) graph->initializer[i] = graph->initializer[--graph->n_initializer];
  }
  graph->node = realloc(graph->node, (graph->n_node + 1) * sizeof *graph->node);
  assert_non_null(graph->node);
  Onnx__NodeProto *node = graph->node[graph->n_node++] = malloc(sizeof *node);
  onnx__node_proto__init(node);
  node->op_type = text("Constant");
  node->output = malloc(sizeof *node->output);
  node->output[0] = text("conv.weight");
  node->n_output = 1;
  Onnx__AttributeProto *value = malloc(sizeof *value);
  onnx__attribute_proto__init(value);
  value->name = text("value");
  value->has_type = true;
  value->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
  value->t = weights;
  node->attribute = malloc(sizeof *node->attribute);
  node->attribute[0] = value;
  node->n_attribute = 1;
  cosrel_net net = read_model(model);
  assert_int_equal(net.n_nodes, 6);
  assert_true(cosrel_value_is_constant(&net, cosrel_net_node_inputs(&net, &net.nodes[0])[1]));
  cosrel_net_destroy(&net);
}

/* ---- Refusing ---- */

static void the_model_must_be_of_a_known_kind(void **state) {
  (void)state;
  for (int64_t opset = 4; opset <= 19; opset++) {
    Onnx__ModelProto *model = small_model();
    model->opset_import[0]->version = opset;
    if (opset == 5) refuse(model, COSREL_UNSUPPORTED, "opset_import: expected opset 6 to 17, got 5");
    if (opset == 18) refuse(model, COSREL_UNSUPPORTED, "opset_import: expected opset 6 to 17, got 18");
    if (opset != 5 && opset != 18) onnx__model_proto__free_unpacked(model, NULL);
  }
  Onnx__ModelProto *model = small_model();
  onnx__graph_proto__free_unpacked(model->graph, NULL);
  model->graph = NULL;
  refuse(model, COSREL_FORMAT, "expected an ONNX model with a graph");

  model = small_model();
  set_text(&node_of(model, "Relu")->op_type, "Frobnicate");
  refuse(model, COSREL_UNSUPPORTED,
         "node 'conv.act' (Frobnicate): expected an operator that cosrel computes (cosrel inspect --operators");

  model = small_model();
  node_of(model, "Relu")->domain = text("com.example");
  refuse(model, COSREL_UNSUPPORTED, "node 'conv.act' (com.example.Relu): expected an operator that cosrel computes");

  model = small_model();
  Onnx__AttributeProto *attribute = node_of(model, "Conv")->attribute[0];
  attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH;
  attribute->g = malloc(sizeof *attribute->g);
  onnx__graph_proto__init(attribute->g);
  refuse(model, COSREL_UNSUPPORTED, "node 'conv' (Conv): attribute 'group': expected no subgraph");
}

static void inputs_must_have_a_size(void **state) {
  (void)state;
  Onnx__ModelProto *model = small_model();
  Onnx__TensorShapeProto__Dimension **dim = model->graph->input[0]->type->tensor_type->shape->dim;
  dim[2]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
  refuse(model, COSREL_UNSUPPORTED, "input 'image': axis 2: expected a fixed size");

  model = small_model();
  dim = model->graph->input[0]->type->tensor_type->shape->dim;
  dim[2]->dim_value = dim[3]->dim_value = INT64_C(1) << 31;
  refuse(model, COSREL_LIMIT, "input 'image': expected at most 2^31 elements");

  model = small_model();
  model->graph->input[0]->type->tensor_type->shape->dim[3]->dim_value = INT64_MAX;
  refuse(model, COSREL_LIMIT, "input 'image': axis 3: expected a size of at most 2^31");

  model = small_model();
  model->graph->input[0]->type->tensor_type->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__STRING;
  refuse(model, COSREL_UNSUPPORTED, "got string");
}

static void tensors_must_fit_together(void **state) {
  (void)state;
  Onnx__ModelProto *model = small_model();
  set_text(&node_of(model, "Relu")->input[0], "nowhere");
  refuse(model, COSREL_FORMAT, "node 'conv.act' (Relu): tensor 'nowhere': expected a node, input or constant");

  model = small_model();
  set_text(&node_of(model, "Relu")->output[0], "conv");
  refuse(model, COSREL_FORMAT, "tensor 'conv': expected one node or constant that makes it, got two");

  model = small_model(); /* a cycle: the convolution reads what comes of it */
  set_text(&node_of(model, "Conv")->input[0], "conv.act");
  refuse(model, COSREL_FORMAT, "expected no cycle");

  model = small_model();
  set_text(&model->graph->output[0]->name, "nowhere");
  refuse(model, COSREL_FORMAT, "tensor 'nowhere'");

  model = small_model();
  initializer_of(model, "fc.weight")->dims[1] = 63;
  initializer_of(model, "fc.weight")->raw_data.len = sizeof(float) * 5 * 63;
  refuse(model, COSREL_FORMAT, "node 'fc' (Gemm): ");
}

static void constants_must_be_whole(void **state) {
  (void)state;
  Onnx__ModelProto *model = small_model();
  initializer_of(model, "conv.weight")->dims[0] = INT64_C(1) << 40;
  refuse(model, COSREL_FORMAT, "initializer 'conv.weight': axis 0: expected a size of 0 to 2^31");

  model = small_model();
  initializer_of(model, "conv.weight")->dims[0] = -4;
  refuse(model, COSREL_FORMAT, "initializer 'conv.weight': axis 0: expected a size of 0 to 2^31, got -4");

  model = small_model();
  initializer_of(model, "conv.weight")->dims[0] = INT64_C(1) << 30;
  refuse(model, COSREL_LIMIT, "initializer 'conv.weight': expected at most 2^31 elements");

  model = small_model();
  initializer_of(model, "conv.weight")->dims[0] = 5;
  refuse(model, COSREL_FORMAT, "initializer 'conv.weight': expected 540 bytes of data, got 432");

  model = small_model();
  initializer_of(model, "conv.weight")->has_data_location = true;
  initializer_of(model, "conv.weight")->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  refuse(model, COSREL_UNSUPPORTED, "initializer 'conv.weight': expected data inside the file");

  model = small_model();
  initializer_of(model, "conv.weight")->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX64;
  refuse(model, COSREL_UNSUPPORTED, "got complex64");
}

/* A list of reals where operators have one of integers counts as left out, for whoever looks. */
static void attributes_of_another_kind_do_no_harm(void **state) {
  (void)state;
  Onnx__ModelProto *model = small_model();
  Onnx__NodeProto *pool = node_of(model, "MaxPool");
  for (size_t i = 0; i < pool->n_attribute; i++) {
    if (strcmp(pool->attribute[i]->name, "strides") == 0) {
      pool->attribute[i]->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
      pool->attribute[i]->n_floats = 2;
      pool->attribute[i]->floats = calloc(2, sizeof(float));
    }
  }
  Onnx__TensorProto *weights = initializer_of(model, "fc.weight"); /* 7 x 7 pixels instead of 4 x 4 */
  weights->dims[1] = 4 * 7 * 7;
  free(weights->raw_data.data);
  weights->raw_data.len = sizeof(float) * 5 * 4 * 7 * 7;
  weights->raw_data.data = calloc(1, weights->raw_data.len);
  cosrel_net net = read_model(model);
  cosrel_network network;
  cosrel_error error = {""};
  if (cosrel_network_create(&net, &network, &error) != COSREL_OK) fail_msg("%s", error.text);
  assert_int_equal(network.model.n_units, 3);
  cosrel_network_destroy(&network);
}

/* Every file that ends too early gives one line; none is read. */
static void cut_files_are_refused(void **state) {
  (void)state;
  size_t n;
  uint8_t *bytes = pack(small_model(), &n);
  for (size_t cut = 0; cut < n; cut++) {
    uint8_t *exact = malloc(cut + (cut == 0)); /* so that a sanitizer sees a read past the end */
    cosrel_net net;
    cosrel_error error = {""};
    assert_non_null(exact);
    memcpy(exact, bytes, cut);
    assert_int_not_equal(cosrel_onnx_parse(exact, cut, "here", "small", LIMIT, &net, &error), COSREL_OK);
    assert_int_equal(strncmp(error.text, "here: ", 6), 0);
    free(exact);
  }
  free(bytes);
}

/* Field 7 (the graph) with field 1 (a node) with field 5 (an attribute) with field 6 (a graph) and so on. */
static void deep_nesting_is_refused(void **state) {
  (void)state;
  enum { LEVELS = 300000, BYTES = 6 * LEVELS };
  static const uint8_t fields[] = {7, 1, 5};
  uint8_t *bytes = malloc(BYTES);
  assert_non_null(bytes);
  size_t at = BYTES;
  for (int level = LEVELS - 1; level >= 0; level--) {
    uint8_t length[5];
    size_t digits = 0;
    for (size_t rest = BYTES - at; digits == 0 || rest > 0; rest >>= 7) {
      length[digits++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    }
    at -= digits;
    memcpy(&bytes[at], length, digits);
    bytes[--at] = (uint8_t)((level == 0 ? 7 : level % 3 == 0 ? 6 : fields[level % 3]) << 3 | 2);
  }
  cosrel_net net;
  cosrel_error error = {""};
  assert_int_equal(cosrel_onnx_parse(&bytes[at], BYTES - at, "here", "deep", LIMIT, &net, &error), COSREL_LIMIT);
  assert_non_null(strstr(error.text, "expected less deeply nested messages"));
  free(bytes);
}

static void memory_is_bounded(void **state) {
  (void)state;
  size_t n;
  uint8_t *bytes = pack(small_model(), &n);
  cosrel_net net;
  cosrel_error error = {""};
  assert_int_equal(cosrel_onnx_parse(bytes, n, "here", "small", 1024, &net, &error), COSREL_LIMIT);
  assert_int_equal(cosrel_onnx_parse(bytes, n, "here", "small", 32768, &net, &error), COSREL_LIMIT);
  assert_non_null(strstr(error.text, "MiB of memory"));
  free(bytes);
}

static void files_are_named_in_errors(void **state) {
  (void)state;
  cosrel_net net;
  cosrel_error error = {""};
  assert_int_equal(cosrel_onnx_read("/nonexistent/a.onnx", LIMIT, &net, &error), COSREL_IO);
  assert_non_null(strstr(error.text, "/nonexistent/a.onnx"));
  assert_int_equal(cosrel_onnx_read("/tmp", LIMIT, &net, &error), COSREL_IO);
}

/* ---- Tensors ---- */

/* Writes the tensor to a file and reads that. */
static cosrel_tensor reread(const Onnx__TensorProto *proto, cosrel_status expected) {
  char path[] = "/tmp/cosrel_tensor_XXXXXX";
  int file = mkstemp(path);
  assert_true(file >= 0);
  close(file);
  size_t n = onnx__tensor_proto__get_packed_size(proto);
  uint8_t *bytes = malloc(n + 1);
  assert_non_null(bytes);
  onnx__tensor_proto__pack(proto, bytes);
  cosrel_error error = {""};
  assert_int_equal(cosrel_atomic_write(path, bytes, n, &error), COSREL_OK);
  cosrel_tensor tensor;
  assert_int_equal(cosrel_onnx_read_tensor(path, LIMIT, &tensor, &error), expected);
  if (expected != COSREL_OK) assert_non_null(strstr(error.text, path));
  unlink(path);
  free(bytes);
  return tensor;
}

static void tensors_are_read_in_all_their_forms(void **state) {
  (void)state;
  int64_t dims[] = {3}, int64s[] = {INT64_MIN, 0, 7};
  float floats[] = {-1.5F, 0, 3};
  double doubles[] = {0.1, -2, 1e300};
  int32_t ints[] = {-128, 1, 127}, bytes[] = {0, 255, 128}, flags[] = {0, 1, 2};
  int8_t signed_bytes[] = {-128, 1, 127};
  uint8_t unsigned_bytes[] = {0, 255, 128}, bools[] = {0, 1, 1};
  struct {
    int32_t data_type;
    cosrel_dtype dtype;
    void *expected;
  } cases[] = {{ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, COSREL_F32, floats},
               {ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, COSREL_F64, doubles},
               {ONNX__TENSOR_PROTO__DATA_TYPE__INT64, COSREL_I64, int64s},
               {ONNX__TENSOR_PROTO__DATA_TYPE__INT32, COSREL_I32, ints},
               {ONNX__TENSOR_PROTO__DATA_TYPE__INT8, COSREL_I8, signed_bytes},
               {ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, COSREL_U8, unsigned_bytes},
               {ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, COSREL_BOOL, bools}};
  for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
    for (int raw = 0; raw < 2; raw++) {
      Onnx__TensorProto proto = ONNX__TENSOR_PROTO__INIT;
      proto.n_dims = 1;
      proto.dims = dims;
      proto.has_data_type = true;
      proto.data_type = cases[c].data_type;
      proto.has_raw_data = raw;
      proto.raw_data.data = cases[c].expected;
      proto.raw_data.len = 3 * cosrel_dtype_bytes(cases[c].dtype);
      if (!raw) {
        proto.raw_data = (ProtobufCBinaryData){0};
        proto.float_data = floats;
        proto.n_float_data = cases[c].dtype == COSREL_F32 ? 3 : 0;
        proto.double_data = doubles;
        proto.n_double_data = cases[c].dtype == COSREL_F64 ? 3 : 0;
        proto.int64_data = int64s;
        proto.n_int64_data = cases[c].dtype == COSREL_I64 ? 3 : 0;
        proto.int32_data = cases[c].dtype == COSREL_U8 ? bytes : cases[c].dtype == COSREL_BOOL ? flags : ints;
        proto.n_int32_data = cases[c].dtype >= COSREL_I32 ? 3 : 0;
      }
      cosrel_tensor tensor = reread(&proto, COSREL_OK);
      assert_int_equal(tensor.dtype, cases[c].dtype);
      assert_int_equal(tensor.shape.rank, 1);
      assert_memory_equal(tensor.data, cases[c].expected, cosrel_tensor_bytes(&tensor));
      free(tensor.data);
    }
  }
}

static void half_floats_are_widened(void **state) {
  (void)state;
  int64_t dims[] = {7};
  /* 1, -2, the largest, the smallest normal, the smallest subnormal, -0, infinity */
  int32_t halves[] = {0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000, 0x7c00};
  const float expected[] = {1, -2, 65504, 0x1p-14F, 0x1p-24F, -0.0F, INFINITY};
  Onnx__TensorProto proto = ONNX__TENSOR_PROTO__INIT;
  proto.n_dims = 1;
  proto.dims = dims;
  proto.has_data_type = true;
  proto.data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16;
  proto.n_int32_data = 7;
  proto.int32_data = halves;
  cosrel_tensor tensor = reread(&proto, COSREL_OK);
  assert_int_equal(tensor.dtype, COSREL_F32);
  assert_memory_equal(tensor.data, expected, sizeof expected);
  free(tensor.data);
  proto.n_int32_data = 6;
  reread(&proto, COSREL_FORMAT);
}

/* ---- Writing ---- */

static void equal_seeds_give_equal_bytes(void **state) {
  (void)state;
  cosrel_graph graph;
  uint8_t *bytes[3];
  size_t n[3];
  assert_int_equal(cosrel_zoo_graph("squeezenet1_1@32", &graph, NULL), COSREL_OK);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(cosrel_onnx_encode(&graph, i == 2 ? 8 : 7, &bytes[i], &n[i], NULL), COSREL_OK);
    assert_int_equal(n[i], n[0]);
  }
  assert_memory_equal(bytes[0], bytes[1], n[0]);
  assert_memory_not_equal(bytes[0], bytes[2], n[0]);
  for (int i = 0; i < 3; i++) free(bytes[i]);
  cosrel_graph_clear(&graph);
}

/* The graph as written and read again. */
static cosrel_net rewritten(const cosrel_graph *graph, uint64_t seed) {
  uint8_t *bytes;
  size_t n;
  cosrel_net net;
  cosrel_error error = {""};
  if (cosrel_onnx_encode(graph, seed, &bytes, &n, &error) != COSREL_OK) fail_msg("%s", error.text);
  if (cosrel_onnx_parse(bytes, n, "here", graph->name, LIMIT, &net, &error) != COSREL_OK) fail_msg("%s", error.text);
  free(bytes);
  return net;
}

/* Operators that no network of the zoo has. */
static void every_operator_is_written(void **state) {
  (void)state;
  static const cosrel_activation activations[] = {COSREL_NO_ACTIVATION, COSREL_RELU,       COSREL_RELU6,
                                                  COSREL_LEAKY_RELU,    COSREL_SIGMOID,    COSREL_TANH,
                                                  COSREL_SILU,          COSREL_HARD_SWISH, COSREL_GELU};
  cosrel_graph graph;
  cosrel_graph_init(&graph, "all");
  int32_t x = cosrel_graph_input(&graph, "image", 4, 6, 6);
  for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) {
    char name[16];
    snprintf(name, sizeof name, "act%zu", i);
    x = cosrel_graph_activation(&graph, x, name, activations[i]);
  }
  x = cosrel_graph_add(&graph, &(cosrel_node){.name = "pad", .op = COSREL_OP_PAD, .window.pad = {1, 2, 3, 4}}, &x, 1);
  x = cosrel_graph_unary(&graph, x, "lrn", COSREL_OP_LRN);
  x = cosrel_graph_pool(&graph, x, "mean", COSREL_OP_AVERAGE_POOL, 3, 2, 1, true);
  x = cosrel_graph_slice(&graph, x, "slice", 2, 1, 3);
  x = cosrel_graph_shuffle(&graph, x, "shuffle", 2);
  x = cosrel_graph_binary(&graph, x, x, "mul", COSREL_OP_MUL);
  cosrel_net net = rewritten(&graph, 1);
  cosrel_shape expected = cosrel_graph_shape(&graph, x), got = net.values[net.outputs[0]].tensor.shape;
  assert_int_equal(got.rank, expected.rank);
  assert_memory_equal(got.dims, expected.dims, sizeof expected.dims);
  cosrel_net_destroy(&net);
  cosrel_graph_clear(&graph);
}

/* Computes a graph of one input and one output, as written and read again; y has room for the output. */
static void compute(const cosrel_graph *graph, const float *x, float *y) {
  cosrel_net net = rewritten(graph, 1);
  cosrel_reference reference;
  cosrel_error error = {""};
  assert_int_equal(cosrel_reference_create(&net, &reference, &error), COSREL_OK);
  cosrel_reference_run(&reference, (const void *const[]){x});
  const cosrel_tensor *out = &reference.tensors[net.outputs[0]];
  memcpy(y, out->data, cosrel_tensor_bytes(out));
  cosrel_reference_destroy(&reference);
  cosrel_net_destroy(&net);
}

static double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

static double activated(cosrel_activation activation, double x) {
  switch (activation) {
    case COSREL_NO_ACTIVATION: return x;
    case COSREL_RELU: return x > 0 ? x : 0;
    case COSREL_RELU6: return clip(x, 0, 6);
    case COSREL_LEAKY_RELU: return x > 0 ? x : 0.1 * x;
    case COSREL_SIGMOID: return 1 / (1 + exp(-x));
    case COSREL_TANH: return tanh(x);
    case COSREL_SILU: return x / (1 + exp(-x));
    case COSREL_HARD_SWISH: return x * clip(x / 6 + 0.5, 0, 1);
    case COSREL_GELU: return x * (1 + erf(x / sqrt(2))) / 2;
  }
  return NAN;
}

static void written_operators_mean_the_same(void **state) {
  (void)state;
  const float x[8] = {-9, -2, -0.5F, 0, 0.25F, 1, 4, 8};
  float y[8];
  for (int a = COSREL_NO_ACTIVATION; a <= COSREL_GELU; a++) {
    cosrel_graph graph;
    cosrel_graph_init(&graph, "activation");
    int32_t in = cosrel_graph_input(&graph, "x", 8, 1, 1);
    cosrel_graph_activation(&graph, in, "y", (cosrel_activation)a);
    compute(&graph, x, y);
    for (int i = 0; i < 8; i++) {
      if (!(fabs(y[i] - activated((cosrel_activation)a, x[i])) < 1e-5)) {
        fail_msg("activation %d of %g is %g", a, (double)x[i], (double)y[i]);
      }
    }
    cosrel_graph_clear(&graph);
  }

  static const float interleaved[8] = {-9, 0.25F, -2, 1, -0.5F, 4, 0, 8};
  cosrel_graph graph;
  cosrel_graph_init(&graph, "shuffle");
  cosrel_graph_shuffle(&graph, cosrel_graph_input(&graph, "x", 8, 1, 1), "y", 2);
  compute(&graph, x, y);
  assert_memory_equal(y, interleaved, sizeof y);
  cosrel_graph_clear(&graph);
}

static void compare_units(const cosrel_model *expected, const cosrel_model *got) {
  assert_string_equal(got->name, expected->name);
  assert_int_equal(got->n_units, expected->n_units);
  assert_int_equal(got->n_edges, expected->n_edges);
  for (uint32_t u = 0; u < got->n_units; u++) {
    const cosrel_unit *a = &expected->units[u], *b = &got->units[u];
    assert_string_equal(b->name, a->name);
    assert_int_equal(b->kind, a->kind);
    assert_int_equal(b->macs, a->macs);
    assert_int_equal(b->out_elems, a->out_elems);
  }
  assert_memory_equal(got->inputs, expected->inputs, got->n_edges * sizeof *got->inputs);
}

/* Written, read and cut again, every network of the zoo has the units that its graph has. */
static void the_zoo_keeps_its_units(void **state) {
  (void)state;
  uint32_t n;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&n);
  for (uint32_t i = 0; i < n; i++) {
    char name[COSREL_NAME_MAX + 4];
    snprintf(name, sizeof name, "zoo:%s", table[i].name);
    cosrel_error error = {""};
    cosrel_model model;
    cosrel_network network;
    if (cosrel_zoo_model(name + 4, &model, &error) != COSREL_OK) fail_msg("%s", error.text);
    if (cosrel_network_open(name, &network, &error) != COSREL_OK) fail_msg("%s", error.text);
    compare_units(&model, &network.model);
    cosrel_network_destroy(&network);
    cosrel_model_clear(&model);
  }
}

/* Weights keep the scale of activations: outputs are finite, not all zero and not all alike. */
static void the_zoo_computes_something(void **state) {
  (void)state;
  static const char *const names[] = {"mobilenet_v2@32",   "resnet18@32",     "shufflenet_v2@32",
                                      "squeezenet1_1@32",  "mobilenet_v1@32", "transformer_small@16",
                                      "efficientnet_b0@32"};
  for (size_t m = 0; m < sizeof names / sizeof names[0]; m++) {
    cosrel_graph graph;
    cosrel_reference reference;
    cosrel_error error = {""};
    assert_int_equal(cosrel_zoo_graph(names[m], &graph, &error), COSREL_OK);
    cosrel_net net = rewritten(&graph, 3);
    assert_int_equal(cosrel_reference_create(&net, &reference, &error), COSREL_OK);
    uint64_t elements = cosrel_shape_elements(&net.values[net.inputs[0]].tensor.shape);
    float *x = malloc(elements * sizeof *x);
    assert_non_null(x);
    for (uint64_t i = 0; i < elements; i++) x[i] = (float)(i % 17) / 8 - 1;
    cosrel_reference_run(&reference, (const void *const[]){x});
    const cosrel_tensor *y = &reference.tensors[net.outputs[0]];
    const float *values = y->data;
    uint64_t others = 0, count = cosrel_shape_elements(&y->shape);
    for (uint64_t i = 0; i < count; i++) {
      assert_true(isfinite(values[i]));
      others += values[i] != values[0];
    }
    if (2 * others < count) fail_msg("%s: most outputs are alike", names[m]);
    free(x);
    cosrel_reference_destroy(&reference);
    cosrel_net_destroy(&net);
    cosrel_graph_clear(&graph);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_model_becomes_a_net),
      cmocka_unit_test(order_and_old_habits_do_not_matter),
      cmocka_unit_test(names_are_unique_and_fit),
      cmocka_unit_test(constant_nodes_are_constants),
      cmocka_unit_test(the_model_must_be_of_a_known_kind),
      cmocka_unit_test(inputs_must_have_a_size),
      cmocka_unit_test(tensors_must_fit_together),
      cmocka_unit_test(constants_must_be_whole),
      cmocka_unit_test(attributes_of_another_kind_do_no_harm),
      cmocka_unit_test(cut_files_are_refused),
      cmocka_unit_test(deep_nesting_is_refused),
      cmocka_unit_test(memory_is_bounded),
      cmocka_unit_test(files_are_named_in_errors),
      cmocka_unit_test(tensors_are_read_in_all_their_forms),
      cmocka_unit_test(half_floats_are_widened),
      cmocka_unit_test(equal_seeds_give_equal_bytes),
      cmocka_unit_test(every_operator_is_written),
      cmocka_unit_test(written_operators_mean_the_same),
      cmocka_unit_test(the_zoo_keeps_its_units),
      cmocka_unit_test(the_zoo_computes_something),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
