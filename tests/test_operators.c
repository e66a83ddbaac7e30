/* Operators of the reference executor: results worked out by hand, old forms, edges, and what is refused.
 *
 * The ONNX project's own tests (test_conformance.c) cover the usual forms. Here each row of a table is one node: real
 * inputs are those of the net, integers and truth values are constants, as in real models. Every accepted row is also
 * computed with all inputs constant, when settling the net does it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "backends/reference/operators.h"

#define COUNT(type, ...) (uint32_t)(sizeof((type[]){__VA_ARGS__}) / sizeof(type))
#define DIMS(...)                                 \
  {                                               \
    COUNT(uint32_t, __VA_ARGS__), { __VA_ARGS__ } \
  }
#define SCALAR \
  { 0 }
#define F32(dims, ...)                          \
  {                                             \
    COSREL_F32, dims, (float[]) { __VA_ARGS__ } \
  }
#define I64(dims, ...)                            \
  {                                               \
    COSREL_I64, dims, (int64_t[]) { __VA_ARGS__ } \
  }
#define I32(dims, ...)                            \
  {                                               \
    COSREL_I32, dims, (int32_t[]) { __VA_ARGS__ } \
  }
#define U8(dims, ...)                            \
  {                                              \
    COSREL_U8, dims, (uint8_t[]) { __VA_ARGS__ } \
  }
#define BOOL(dims, ...)                            \
  {                                                \
    COSREL_BOOL, dims, (uint8_t[]) { __VA_ARGS__ } \
  }
#define LIST(...) I64(DIMS(COUNT(int64_t, __VA_ARGS__)), __VA_ARGS__) /* integers that say something about a shape */
#define LEFT_OUT \
  { COSREL_DTYPE_COUNT, SCALAR, "" }
#define INT(key, ...)                                                                                                 \
  {                                                                                                                   \
    .name = key, .kind = COSREL_ATTRIBUTE_INTS, .n = COUNT(int64_t, __VA_ARGS__), .ints = (int64_t[]) { __VA_ARGS__ } \
  }
#define REAL(key, ...)                                                                                                \
  {                                                                                                                   \
    .name = key, .kind = COSREL_ATTRIBUTE_FLOATS, .n = COUNT(float, __VA_ARGS__), .floats = (float[]) { __VA_ARGS__ } \
  }
#define TEXT(key, text) \
  { .name = key, .kind = COSREL_ATTRIBUTE_STRING, .n = sizeof(text) - 1, .string = text }
#define HUGE_INT (INT64_C(1) << 40)

#define OP(name, version) .op = name, .opset = version
#define IN(...) .in = {__VA_ARGS__}
#define WITH(...) .attributes = {__VA_ARGS__}
#define OUT(...) .out = {__VA_ARGS__}
#define REFUSED(part) .refusal = part

typedef struct row {
  const char *op;
  uint32_t opset;
  cosrel_tensor in[5]; /* ends where data is NULL */
  cosrel_attribute attributes[6];
  cosrel_tensor out[3];
  const char *refusal; /* part of the error line, instead of outputs */
} row;

/* ---- One row as a net ---- */

static cosrel_tensor copy_to_net(cosrel_net *net, cosrel_tensor tensor) {
  void *data = cosrel_net_allocate(net, cosrel_tensor_bytes(&tensor));
  assert_non_null(data);
  memcpy(data, tensor.data, cosrel_tensor_bytes(&tensor));
  tensor.data = data;
  return tensor;
}

static uint32_t count_tensors(const cosrel_tensor *tensors, uint32_t most) {
  uint32_t n = 0;
  while (n < most && tensors[n].data != NULL) n++;
  return n;
}

/* inputs[]: data for the net's inputs, in order. */
static cosrel_status build(const row *r, bool all_constant, cosrel_net *net, const void **inputs, cosrel_error *error) {
  int32_t in[5], out[3];
  uint32_t n_in = count_tensors(r->in, 5), n_out = count_tensors(r->out, 3), n_inputs = 0, n_attributes = 0;
  if (n_out == 0) n_out = 1;
  assert_int_equal(cosrel_net_create(net, "row", r->opset, 1 << 20, error), COSREL_OK);
  for (uint32_t i = 0; i < n_in; i++) {
    cosrel_tensor tensor = r->in[i];
    bool left_out = tensor.dtype == COSREL_DTYPE_COUNT, constant = all_constant || tensor.dtype != COSREL_F32;
    in[i] = -1;
    if (left_out) continue;
    if (constant)
      tensor = copy_to_net(net, tensor);
    else
      tensor.data = NULL;
    in[i] = cosrel_net_add_value(net, tensor);
    if (constant) continue;
    inputs[n_inputs++] = r->in[i].data;
    assert_int_equal(cosrel_net_add_input(net, "in", in[i]), COSREL_OK);
  }
  for (uint32_t i = 0; i < n_out; i++) out[i] = cosrel_net_add_value(net, (cosrel_tensor){0});
  while (n_attributes < 6 && r->attributes[n_attributes].name[0] != '\0') n_attributes++;
  const cosrel_operator *op = cosrel_operator_find(r->op);
  if (op == NULL) fail_msg("no operator %s", r->op);
  assert_int_equal(cosrel_net_add_node(net, "n", op, in, n_in, out, n_out, r->attributes, n_attributes), 0);
  for (uint32_t i = 0; i < n_out; i++) assert_int_equal(cosrel_net_add_output(net, "out", out[i]), COSREL_OK);
  return cosrel_net_settle(net, error);
}

static double element(const cosrel_tensor *t, uint64_t i) {
  switch (t->dtype) {
    case COSREL_F32: return ((const float *)t->data)[i];
    case COSREL_I64: return (double)((const int64_t *)t->data)[i];
    case COSREL_I32: return ((const int32_t *)t->data)[i];
    default: return ((const uint8_t *)t->data)[i];
  }
}

static void expect_tensor(const char *op, const cosrel_tensor *got, const cosrel_tensor *expected) {
  if (got->dtype != expected->dtype) fail_msg("%s: type %s", op, cosrel_dtype_name(got->dtype));
  if (got->shape.rank != expected->shape.rank) fail_msg("%s: %u axes", op, got->shape.rank);
  for (uint32_t d = 0; d < got->shape.rank; d++)
    if (got->shape.dims[d] != expected->shape.dims[d]) fail_msg("%s: axis %u has %u", op, d, got->shape.dims[d]);
  for (uint64_t i = 0; i < cosrel_shape_elements(&got->shape); i++) {
    double a = element(got, i), b = element(expected, i);
    bool same = isnan(b) ? isnan(a) : a == b || fabs(a - b) <= 1e-5 * fmax(1, fabs(b));
    if (!same) fail_msg("%s: element %u is %.9g, expected %.9g", op, (unsigned)i, a, b);
  }
}

static void expect_results(const row *r, bool all_constant) {
  cosrel_net net;
  cosrel_reference reference;
  cosrel_error error = {""};
  const void *inputs[5];
  if (build(r, all_constant, &net, inputs, &error) != COSREL_OK) fail_msg("%s: %s", r->op, error.text);
  assert_int_equal(cosrel_reference_create(&net, &reference, &error), COSREL_OK);
  cosrel_reference_run(&reference, inputs);
  for (uint32_t i = 0; i < net.n_outputs; i++) expect_tensor(r->op, &reference.tensors[net.outputs[i]], &r->out[i]);
  cosrel_reference_destroy(&reference);
  cosrel_net_destroy(&net);
}

static void expect_refusal(const row *r) {
  cosrel_net net;
  cosrel_error error = {""};
  const void *inputs[5];
  if (build(r, false, &net, inputs, &error) == COSREL_OK) fail_msg("%s: accepted, expected '%s'", r->op, r->refusal);
  if (strstr(error.text, r->refusal) == NULL) fail_msg("%s: '%s', expected '%s'", r->op, error.text, r->refusal);
  if (strstr(error.text, "node 'n' (") == NULL) fail_msg("%s: '%s' names no node", r->op, error.text);
  cosrel_net_destroy(&net);
}

static void check_rows(const row *rows, size_t n) {
  for (size_t k = 0; k < n; k++) {
    if (rows[k].refusal != NULL) {
      expect_refusal(&rows[k]);
      continue;
    }
    expect_results(&rows[k], false);
    expect_results(&rows[k], true);
  }
}
#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

/* ---- The table ---- */

static void table_is_sorted_and_found(void **state) {
  (void)state;
  uint32_t n = 0;
  const cosrel_operator *table = cosrel_operator_table(&n);
  assert_true(n > 100);
  for (uint32_t k = 0; k < n; k++) {
    assert_ptr_equal(cosrel_operator_find(table[k].name), &table[k]);
    if (k > 0) assert_true(strcmp(table[k - 1].name, table[k].name) < 0);
    assert_true(table[k].min_inputs <= table[k].max_inputs && table[k].max_inputs <= COSREL_OPERATOR_INPUTS_MAX);
    assert_true(table[k].max_outputs >= 1 && table[k].max_outputs <= COSREL_OPERATOR_OUTPUTS_MAX);
    assert_true(table[k].first_opset >= 6 && table[k].first_opset <= 17);
  }
  assert_null(cosrel_operator_find("Con"));
  assert_null(cosrel_operator_find("Convolution"));
  assert_null(cosrel_operator_find(""));
}

/* ---- Results ---- */

static void elementwise(void **state) {
  (void)state;
  const row rows[] = {
      {OP("Relu", 6), IN(F32(DIMS(3), -1, 0, 2)), OUT(F32(DIMS(3), 0, 0, 2))},
      {OP("Relu", 14), IN(I32(DIMS(3), -1, 0, 2)), OUT(I32(DIMS(3), 0, 0, 2))},
      {OP("Relu", 6), IN(F32(DIMS(2), NAN, INFINITY)), OUT(F32(DIMS(2), NAN, INFINITY))},
      {OP("Neg", 13), IN(I64(DIMS(3), INT64_MIN, 0, 7)), OUT(I64(DIMS(3), INT64_MIN, 0, -7))},
      {OP("LeakyRelu", 6), IN(F32(DIMS(2), -2, 3)), OUT(F32(DIMS(2), -0.02F, 3))},
      {OP("Elu", 6), IN(F32(DIMS(2), -1, 3)), WITH(REAL("alpha", 2)), OUT(F32(DIMS(2), -1.26424112F, 3))},
      {OP("Selu", 6), IN(F32(DIMS(2), -1, 2)), OUT(F32(DIMS(2), -1.11133074F, 2.10140204F))},
      {OP("HardSigmoid", 6), IN(F32(DIMS(3), -5, 1, 5)), OUT(F32(DIMS(3), 0, 0.7F, 1))},
      {OP("HardSwish", 14), IN(F32(DIMS(4), -4, -1, 1, 4)), OUT(F32(DIMS(4), 0, -1 / 3.F, 2 / 3.F, 4))},
      {OP("Softplus", 6), IN(F32(DIMS(3), -200, 0, 200)), OUT(F32(DIMS(3), 0, 0.693147181F, 200))},
      {OP("Sigmoid", 6), IN(F32(DIMS(3), -1000, 0, 1000)), OUT(F32(DIMS(3), 0, 0.5F, 1))},
      {OP("Round", 11), IN(F32(DIMS(4), 0.5F, 1.5F, -2.5F, 2.4F)), OUT(F32(DIMS(4), 0, 2, -2, 2))},
      {OP("Erf", 9), IN(F32(DIMS(2), 0.5F, -1)), OUT(F32(DIMS(2), 0.520499885F, -0.842700779F))},
      /* bounds as attributes, as inputs, one left out, of integers, and crossed: the upper one wins */
      {OP("Clip", 6), IN(F32(DIMS(3), -5, 0.5F, 3)), WITH(REAL("min", -1), REAL("max", 1)),
       OUT(F32(DIMS(3), -1, 0.5F, 1))},
      {OP("Clip", 11), IN(F32(DIMS(2), -5, 3), LEFT_OUT, F32(SCALAR, 1)), OUT(F32(DIMS(2), -5, 1))},
      {OP("Clip", 12), IN(I64(DIMS(3), -5, 0, 3), I64(SCALAR, -1)), OUT(I64(DIMS(3), -1, 0, 3))},
      {OP("Clip", 12), IN(F32(DIMS(2), -5, 9), F32(SCALAR, 3), F32(SCALAR, 1)), OUT(F32(DIMS(2), 1, 1))},
      /* to integers: towards zero, cut to the range, and 0 for what is no number */
      {OP("Cast", 9), IN(F32(DIMS(5), -1.7F, 2.7F, 1e30F, -INFINITY, NAN)), WITH(INT("to", 6)),
       OUT(I32(DIMS(5), -1, 2, INT32_MAX, INT32_MIN, 0))},
      {OP("Cast", 9), IN(I64(DIMS(2), 0, 300)), WITH(INT("to", 9)), OUT(BOOL(DIMS(2), 0, 1))},
      {OP("Not", 6), IN(BOOL(DIMS(2), 0, 1)), OUT(BOOL(DIMS(2), 1, 0))},
      {OP("IsInf", 10), IN(F32(DIMS(3), INFINITY, -INFINITY, 1)), WITH(INT("detect_negative", 0)),
       OUT(BOOL(DIMS(3), 1, 0, 0))},
  };
  CHECK(rows);
}

static void broadcasting(void **state) {
  (void)state;
  const row rows[] = {
      {OP("Sub", 7), IN(F32(DIMS(2, 1), 10, 20), F32(DIMS(3), 1, 2, 3)), OUT(F32(DIMS(2, 3), 9, 8, 7, 19, 18, 17))},
      {OP("Mul", 7), IN(F32(SCALAR, 2), F32(DIMS(1, 2), 3, 4)), OUT(F32(DIMS(1, 2), 6, 8))},
      {OP("Add", 7), IN(F32(DIMS(2, 1, 2), 1, 2, 3, 4), F32(DIMS(2, 1), 10, 20)),
       OUT(F32(DIMS(2, 2, 2), 11, 12, 21, 22, 13, 14, 23, 24))},
      /* opset 6: the second tensor's axes lie on the first's from `axis` on */
      {OP("Add", 6), IN(F32(DIMS(2, 3), 0, 1, 2, 3, 4, 5), F32(DIMS(2), 10, 20)),
       WITH(INT("broadcast", 1), INT("axis", 0)), OUT(F32(DIMS(2, 3), 10, 11, 12, 23, 24, 25))},
      {OP("Add", 6), IN(F32(DIMS(2, 3), 0, 1, 2, 3, 4, 5), F32(DIMS(3), 10, 20, 30)), WITH(INT("broadcast", 1)),
       OUT(F32(DIMS(2, 3), 10, 21, 32, 13, 24, 35))},
      {OP("PRelu", 6), IN(F32(DIMS(1, 2, 2), -1, -2, -3, 4), F32(DIMS(2), 0.5F, 2)),
       OUT(F32(DIMS(1, 2, 2), -0.5F, -1, -6, 4))},
      {OP("PRelu", 9), IN(F32(DIMS(1, 2, 2), -1, -2, -3, 4), F32(DIMS(2), 0.5F, 2)),
       OUT(F32(DIMS(1, 2, 2), -0.5F, -4, -1.5F, 4))},
      /* integers: no division by zero, no overflow, the sign of a remainder */
      {OP("Div", 7), IN(I64(DIMS(4), 7, -7, 5, INT64_MIN), I64(DIMS(4), 2, 2, 0, -1)),
       OUT(I64(DIMS(4), 3, -3, 0, INT64_MIN))},
      {OP("Mod", 10), IN(I64(DIMS(4), 7, -7, 5, INT64_MIN), I64(DIMS(4), 3, 3, 0, -1)), OUT(I64(DIMS(4), 1, 2, 0, 0))},
      {OP("Mod", 10), IN(I64(DIMS(2), 7, -7), I64(SCALAR, 3)), WITH(INT("fmod", 1)), OUT(I64(DIMS(2), 1, -1))},
      {OP("Add", 14), IN(U8(DIMS(2), 250, 1), U8(DIMS(2), 10, 1)), OUT(U8(DIMS(2), 4, 2))},
      {OP("Pow", 13), IN(F32(DIMS(2), 2, 9), F32(DIMS(2), -1, 0.5F)), OUT(F32(DIMS(2), 0.5F, 3))},
      {OP("Sum", 8), IN(F32(DIMS(2), 1, 2), F32(DIMS(2, 1), 10, 20), F32(SCALAR, 100)),
       OUT(F32(DIMS(2, 2), 111, 112, 121, 122))},
      {OP("Mean", 8), IN(F32(DIMS(2), 1, 2), F32(DIMS(2), 3, 8)), OUT(F32(DIMS(2), 2, 5))},
      {OP("Max", 12), IN(I32(DIMS(2), 1, 9), I32(SCALAR, 4)), OUT(I32(DIMS(2), 4, 9))},
      {OP("GreaterOrEqual", 12), IN(F32(DIMS(3), 1, 2, NAN), F32(SCALAR, 2)), OUT(BOOL(DIMS(3), 0, 1, 0))},
      {OP("Where", 9), IN(BOOL(DIMS(2, 1), 1, 0), F32(DIMS(2), 1, 2), F32(SCALAR, 9)),
       OUT(F32(DIMS(2, 2), 1, 2, 9, 9))},
      /* nothing at all */
      {OP("Add", 7), IN(F32(DIMS(0, 2), 0), F32(DIMS(2), 1, 2)), OUT(F32(DIMS(0, 2), 0))},
  };
  CHECK(rows);
}

static void convolutions(void **state) {
  (void)state;
#define X9 F32(DIMS(1, 1, 3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9)
#define W4 F32(DIMS(1, 1, 2, 2), 1, 2, 3, 4)
  const row rows[] = {
      {OP("Conv", 11), IN(X9, W4, F32(DIMS(1), 100)), OUT(F32(DIMS(1, 1, 2, 2), 137, 147, 167, 177))},
      {OP("Conv", 11), IN(X9, W4), WITH(TEXT("auto_pad", "SAME_UPPER"), INT("strides", 2, 2)),
       OUT(F32(DIMS(1, 1, 2, 2), 37, 21, 23, 9))},
      {OP("Conv", 11), IN(X9, W4), WITH(TEXT("auto_pad", "SAME_LOWER"), INT("strides", 2, 2)),
       OUT(F32(DIMS(1, 1, 2, 2), 4, 18, 36, 77))},
      {OP("Conv", 11), IN(X9, W4), WITH(TEXT("auto_pad", "VALID"), INT("dilations", 2, 2)),
       OUT(F32(DIMS(1, 1, 1, 1), 64))},
      /* two groups of two channels, dilated, strided, padded in front only */
      {OP("Conv", 11),
       IN(F32(DIMS(1, 4, 1, 6), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23),
          F32(DIMS(2, 2, 1, 2), 1, 2, 3, 4, 5, 6, 7, 8)),
       WITH(INT("group", 2), INT("dilations", 1, 2), INT("pads", 0, 1, 0, 0), INT("strides", 1, 2)),
       OUT(F32(DIMS(1, 2, 1, 3), 30, 64, 84, 230, 456, 508))},
      {OP("Conv", 11), IN(F32(DIMS(1, 1, 4), 1, 2, 3, 4), F32(DIMS(1, 1, 2), 1, -1)), WITH(INT("pads", 1, 0)),
       OUT(F32(DIMS(1, 1, 4), -1, -1, -1, -1))},
      {OP("ConvTranspose", 11), IN(F32(DIMS(1, 1, 2, 2), 1, 2, 3, 4), F32(DIMS(1, 1, 3, 3), 1, 2, 3, 4, 5, 6, 7, 8, 9)),
       WITH(INT("strides", 2, 2), INT("pads", 1, 0, 0, 1)),
       OUT(F32(DIMS(1, 1, 4, 4), 4, 5, 14, 10, 10, 14, 36, 24, 12, 15, 34, 20, 21, 24, 55, 32))},
      {OP("ConvTranspose", 11), IN(F32(DIMS(1, 2, 2), 1, 2, 3, 4), F32(DIMS(2, 1, 2), 1, 2, 3, 4), F32(DIMS(2), 0, 1)),
       WITH(INT("group", 2), INT("strides", 2), INT("output_padding", 1)),
       OUT(F32(DIMS(1, 2, 5), 1, 2, 2, 4, 0, 10, 13, 13, 17, 1))},
      /* a wanted size of 3 cuts one of 4: in front, unless SAME_UPPER; up to opset 10 the other way round */
      {OP("ConvTranspose", 11), IN(F32(DIMS(1, 1, 2), 1, 2), F32(DIMS(1, 1, 2), 3, 4)),
       WITH(INT("strides", 2), INT("output_shape", 3)), OUT(F32(DIMS(1, 1, 3), 4, 6, 8))},
      {OP("ConvTranspose", 11), IN(F32(DIMS(1, 1, 2), 1, 2), F32(DIMS(1, 1, 2), 3, 4)),
       WITH(INT("strides", 2), INT("output_shape", 3), TEXT("auto_pad", "SAME_UPPER")),
       OUT(F32(DIMS(1, 1, 3), 3, 4, 6))},
      {OP("ConvTranspose", 6), IN(F32(DIMS(1, 1, 2), 1, 2), F32(DIMS(1, 1, 2), 3, 4)),
       WITH(INT("strides", 2), INT("output_shape", 3)), OUT(F32(DIMS(1, 1, 3), 3, 4, 6))},
  };
  CHECK(rows);
}

static void pools(void **state) {
  (void)state;
#define X5 F32(DIMS(1, 1, 5), 1, 5, 2, 4, 3)
  const row rows[] = {
      {OP("MaxPool", 12), IN(X5), WITH(INT("kernel_shape", 2), INT("strides", 2), INT("ceil_mode", 1)),
       OUT(F32(DIMS(1, 1, 3), 5, 4, 3), I64(DIMS(1, 1, 3), 1, 3, 4))},
      {OP("MaxPool", 12), IN(X5), WITH(INT("kernel_shape", 2), INT("dilations", 3)),
       OUT(F32(DIMS(1, 1, 2), 4, 5), I64(DIMS(1, 1, 2), 3, 1))},
      /* 1 + 5 elements, kernel 2, stride 2: a fourth window would hold padding only */
      {OP("MaxPool", 12), IN(X5),
       WITH(INT("kernel_shape", 2), INT("strides", 2), INT("pads", 1, 1), INT("ceil_mode", 1)),
       OUT(F32(DIMS(1, 1, 3), 1, 5, 4))},
      {OP("MaxPool", 6), IN(F32(DIMS(1, 2, 1, 2), -1, -2, -3, -4)),
       WITH(INT("kernel_shape", 1, 2), INT("pads", 0, 1, 0, 0)), OUT(F32(DIMS(1, 2, 1, 2), -1, -1, -3, -3))},
      {OP("AveragePool", 11), IN(X5), WITH(INT("kernel_shape", 3), INT("pads", 1, 1), INT("strides", 2)),
       OUT(F32(DIMS(1, 1, 3), 3, 11 / 3.F, 3.5F))},
      {OP("AveragePool", 11), IN(X5),
       WITH(INT("kernel_shape", 3), INT("pads", 1, 1), INT("strides", 2), INT("count_include_pad", 1)),
       OUT(F32(DIMS(1, 1, 3), 2, 11 / 3.F, 7 / 3.F))},
      /* the last window reaches behind the padding: what lies there does not count */
      {OP("AveragePool", 11), IN(X5),
       WITH(INT("kernel_shape", 4), INT("strides", 4), INT("ceil_mode", 1), INT("count_include_pad", 1)),
       OUT(F32(DIMS(1, 1, 2), 3, 3))},
      {OP("GlobalAveragePool", 6), IN(F32(DIMS(1, 2, 1, 2), 1, 2, 3, 5)), OUT(F32(DIMS(1, 2, 1, 1), 1.5F, 4))},
      {OP("GlobalMaxPool", 6), IN(F32(DIMS(1, 2, 1, 2), 1, 2, -3, -5)), OUT(F32(DIMS(1, 2, 1, 1), 2, -3))},
  };
  CHECK(rows);
}

static void products(void **state) {
  (void)state;
  const row rows[] = {
      {OP("Gemm", 11),
       IN(F32(DIMS(3, 2), 0, 1, 2, 3, 4, 5), F32(DIMS(4, 3), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
          F32(DIMS(4), 1, 2, 3, 4)),
       WITH(INT("transA", 1), INT("transB", 1), REAL("alpha", 0.5F), REAL("beta", 2)),
       OUT(F32(DIMS(2, 4), 7, 18, 29, 40, 8.5F, 24, 39.5F, 55))},
      {OP("Gemm", 6), IN(F32(DIMS(1, 2), 1, 2), F32(DIMS(2, 2), 1, 2, 3, 4), F32(DIMS(2), 10, 20)),
       WITH(INT("broadcast", 1)), OUT(F32(DIMS(1, 2), 17, 30))},
      {OP("Gemm", 11), IN(F32(DIMS(2, 0), 0), F32(DIMS(0, 1), 0)), OUT(F32(DIMS(2, 1), 0, 0))},
      {OP("MatMul", 13), IN(F32(DIMS(2), 1, 2), F32(DIMS(3, 2, 2), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)),
       OUT(F32(DIMS(3, 2), 4, 7, 16, 19, 28, 31))},
      {OP("MatMul", 13), IN(F32(DIMS(2, 1, 1, 2), 0, 1, 2, 3), F32(DIMS(3, 2, 1), 0, 1, 2, 3, 4, 5)),
       OUT(F32(DIMS(2, 3, 1, 1), 1, 3, 5, 3, 13, 23))},
      {OP("MatMul", 13), IN(F32(DIMS(3), 0, 1, 2), F32(DIMS(3), 0, 1, 2)), OUT(F32(SCALAR, 5))},
      {OP("MatMul", 13), IN(F32(DIMS(2, 2), 1, 2, 3, 4), F32(DIMS(2), 1, 10)), OUT(F32(DIMS(2), 21, 43))},
  };
  CHECK(rows);
}

static void normalizations(void **state) {
  (void)state;
  const row rows[] = {
      {OP("BatchNormalization", 9),
       IN(F32(DIMS(1, 2, 2), 1, 3, 10, 30), F32(DIMS(2), 2, 1), F32(DIMS(2), 0, 5), F32(DIMS(2), 1, 10),
          F32(DIMS(2), 4, 100)),
       WITH(REAL("epsilon", 0)), OUT(F32(DIMS(1, 2, 2), 0, 2, 5, 7))},
      {OP("InstanceNormalization", 6), IN(F32(DIMS(1, 2, 2), 1, 3, 2, 6), F32(DIMS(2), 1, 2), F32(DIMS(2), 0, 1)),
       WITH(REAL("epsilon", 0)), OUT(F32(DIMS(1, 2, 2), -1, 1, -1, 3))},
      {OP("LayerNormalization", 17), IN(F32(DIMS(2, 2), 1, 3, 2, 6), F32(DIMS(2), 1, 2), F32(DIMS(2), 0, 1)),
       WITH(REAL("epsilon", 0)), OUT(F32(DIMS(2, 2), -1, 3, -1, 3), F32(DIMS(2, 1), 2, 4), F32(DIMS(2, 1), 1, 0.5F))},
      /* a window of two channels: the channel and the next one */
      {OP("LRN", 6), IN(F32(DIMS(1, 3, 1), 1, 2, 3)),
       WITH(INT("size", 2), REAL("alpha", 2), REAL("beta", 1), REAL("bias", 1)),
       OUT(F32(DIMS(1, 3, 1), 1 / 6.F, 2 / 14.F, 3 / 10.F))},
      /* up to opset 12 over all axes from `axis` on, then along one */
      {OP("Softmax", 11), IN(F32(DIMS(1, 2, 2), 5, 5, 5, 5)), OUT(F32(DIMS(1, 2, 2), 0.25F, 0.25F, 0.25F, 0.25F))},
      {OP("Softmax", 13), IN(F32(DIMS(1, 2, 2), 5, 5, 5, 5)), WITH(INT("axis", 1)),
       OUT(F32(DIMS(1, 2, 2), 0.5F, 0.5F, 0.5F, 0.5F))},
      {OP("LogSoftmax", 13), IN(F32(DIMS(2), 1000, 1000)), OUT(F32(DIMS(2), -0.693147181F, -0.693147181F))},
      {OP("Hardmax", 13), IN(F32(DIMS(3), 1, 4, 4)), OUT(F32(DIMS(3), 0, 1, 0))},
  };
  CHECK(rows);
}

static void reductions(void **state) {
  (void)state;
#define X6 F32(DIMS(2, 3), 1, -2, 3, 4, 5, -6)
  const row rows[] = {
      {OP("ReduceSum", 11), IN(X6), WITH(INT("axes", 0)), OUT(F32(DIMS(1, 3), 5, 3, -3))},
      {OP("ReduceSum", 13), IN(X6, LIST(-1)), WITH(INT("keepdims", 0)), OUT(F32(DIMS(2), 2, 3))},
      {OP("ReduceSum", 13), IN(X6), WITH(INT("noop_with_empty_axes", 1)), OUT(X6)},
      {OP("ReduceSum", 13), IN(I64(DIMS(2), 1, INT64_MAX)), OUT(I64(DIMS(1), INT64_MIN))},
      {OP("ReduceMean", 11), IN(X6), WITH(INT("keepdims", 0)), OUT(F32(SCALAR, 5 / 6.F))},
      {OP("ReduceMax", 11), IN(F32(DIMS(2, 1, 2), 1, 4, 3, 2)), WITH(INT("axes", 0, 1)), OUT(F32(DIMS(1, 1, 2), 3, 4))},
      {OP("ReduceMin", 11), IN(F32(DIMS(2, 0), 0)), WITH(INT("axes", 1)), OUT(F32(DIMS(2, 1), INFINITY, INFINITY))},
      {OP("ReduceProd", 11), IN(X6), WITH(INT("axes", 1)), OUT(F32(DIMS(2, 1), -6, -120))},
      {OP("ReduceL1", 11), IN(X6), WITH(INT("axes", 1)), OUT(F32(DIMS(2, 1), 6, 15))},
      {OP("ReduceL2", 11), IN(F32(DIMS(2), 3, 4)), OUT(F32(DIMS(1), 5))},
      {OP("ReduceLogSumExp", 11), IN(F32(DIMS(2, 2), 1000, 1000, -1000, 0)), WITH(INT("axes", 1)),
       OUT(F32(DIMS(2, 1), 1000.69315F, 0))},
      {OP("ArgMax", 11), IN(F32(DIMS(2, 3), 1, 7, 7, 0, -1, -2)), WITH(INT("axis", 1)), OUT(I64(DIMS(2, 1), 1, 0))},
      {OP("ArgMax", 12), IN(F32(DIMS(3), 1, 7, 7)), WITH(INT("select_last_index", 1), INT("keepdims", 0)),
       OUT(I64(SCALAR, 2))},
      {OP("ArgMin", 11), IN(F32(DIMS(2, 2), 1, 7, 0, 8)), WITH(INT("axis", 0)), OUT(I64(DIMS(1, 2), 1, 0))},
  };
  CHECK(rows);
}

static void shapes(void **state) {
  (void)state;
  const row rows[] = {
      {OP("Reshape", 13), IN(X6, LIST(0, -1, 1)), OUT(F32(DIMS(2, 3, 1), 1, -2, 3, 4, 5, -6))},
      {OP("Reshape", 14), IN(F32(DIMS(0, 2), 0), LIST(3, 0)), WITH(INT("allowzero", 1)), OUT(F32(DIMS(3, 0), 0))},
      {OP("Flatten", 13), IN(X6), WITH(INT("axis", -2)), OUT(F32(DIMS(1, 6), 1, -2, 3, 4, 5, -6))},
      {OP("Flatten", 6), IN(X6), WITH(INT("axis", 2)), OUT(F32(DIMS(6, 1), 1, -2, 3, 4, 5, -6))},
      {OP("Squeeze", 11), IN(F32(DIMS(1, 2, 1), 1, 2)), OUT(F32(DIMS(2), 1, 2))},
      {OP("Squeeze", 11), IN(F32(DIMS(1, 2, 1), 1, 2)), WITH(INT("axes", 0)), OUT(F32(DIMS(2, 1), 1, 2))},
      {OP("Squeeze", 13), IN(F32(DIMS(1, 2, 1), 1, 2), LIST(-1)), OUT(F32(DIMS(1, 2), 1, 2))},
      {OP("Unsqueeze", 11), IN(F32(DIMS(2), 1, 2)), WITH(INT("axes", 2, 0)), OUT(F32(DIMS(1, 2, 1), 1, 2))},
      {OP("Unsqueeze", 13), IN(F32(DIMS(2), 1, 2), LIST(-1)), OUT(F32(DIMS(2, 1), 1, 2))},
      {OP("Dropout", 7), IN(F32(DIMS(2), 1, 2)), WITH(REAL("ratio", 0.5F)),
       OUT(F32(DIMS(2), 1, 2), F32(DIMS(2), 1, 1))},
      {OP("Dropout", 13), IN(F32(DIMS(2), 1, 2)), OUT(F32(DIMS(2), 1, 2), BOOL(DIMS(2), 1, 1))},
      {OP("Shape", 15), IN(X6), WITH(INT("start", -1)), OUT(I64(DIMS(1), 3))},
      {OP("Size", 13), IN(X6), OUT(I64(SCALAR, 6))},
      {OP("ConstantOfShape", 9), IN(LIST(2, 1)), OUT(F32(DIMS(2, 1), 0, 0))},
      {OP("Constant", 13), WITH(INT("value_ints", 4, 5)), OUT(I64(DIMS(2), 4, 5))},
      {OP("Constant", 13), WITH(REAL("value_float", 4)), OUT(F32(SCALAR, 4))},
      {OP("Range", 11), IN(I64(SCALAR, 5), I64(SCALAR, 0), I64(SCALAR, -2)), OUT(I64(DIMS(3), 5, 3, 1))},
      {OP("Range", 11), IN(I64(SCALAR, 5), I64(SCALAR, 0), I64(SCALAR, 2)), OUT(I64(DIMS(0), 0))},
  };
  CHECK(rows);
}

static void moves(void **state) {
  (void)state;
#define X123 F32(DIMS(1, 3), 1, 2, 3)
  const row rows[] = {
      {OP("Transpose", 6), IN(X6), OUT(F32(DIMS(3, 2), 1, 4, -2, 5, 3, -6))},
      {OP("Transpose", 6), IN(F32(DIMS(1, 2, 3), 1, 2, 3, 4, 5, 6)), WITH(INT("perm", 2, 0, 1)),
       OUT(F32(DIMS(3, 1, 2), 1, 4, 2, 5, 3, 6))},
      {OP("Concat", 11), IN(F32(DIMS(2, 1), 1, 2), F32(DIMS(2, 2), 3, 4, 5, 6)), WITH(INT("axis", -1)),
       OUT(F32(DIMS(2, 3), 1, 3, 4, 2, 5, 6))},
      {OP("Split", 11), IN(X6), WITH(INT("axis", 1), INT("split", 1, 2)),
       OUT(F32(DIMS(2, 1), 1, 4), F32(DIMS(2, 2), -2, 3, 5, -6))},
      {OP("Split", 13), IN(X6), WITH(INT("axis", 0)), OUT(F32(DIMS(1, 3), 1, -2, 3), F32(DIMS(1, 3), 4, 5, -6))},
      {OP("Slice", 9), IN(X6), WITH(INT("axes", 1), INT("starts", -2), INT("ends", INT64_MAX)),
       OUT(F32(DIMS(2, 2), -2, 3, 5, -6))},
      {OP("Slice", 13), IN(X6, LIST(5), LIST(-100), LIST(1), LIST(-2)), OUT(F32(DIMS(2, 2), 3, 1, -6, 4))},
      {OP("Slice", 13), IN(X6, LIST(1, 0), LIST(0, 3)), OUT(F32(DIMS(0, 3), 0))},
      {OP("Slice", 13), IN(X123, LIST(2), LIST(INT64_MIN), LIST(1), LIST(INT64_MIN)), OUT(F32(DIMS(1, 1), 3))},
      {OP("Expand", 8), IN(F32(DIMS(2, 1), 1, 2), LIST(2, 1, 2)), OUT(F32(DIMS(2, 2, 2), 1, 1, 2, 2, 1, 1, 2, 2))},
      {OP("Tile", 6), IN(F32(DIMS(1, 2), 1, 2), LIST(2, 2)), OUT(F32(DIMS(2, 4), 1, 2, 1, 2, 1, 2, 1, 2))},
      {OP("Pad", 6), IN(X123), WITH(INT("pads", 0, 1, 0, 2), TEXT("mode", "reflect")),
       OUT(F32(DIMS(1, 6), 2, 1, 2, 3, 2, 1))},
      {OP("Pad", 6), IN(X123), WITH(INT("pads", 0, 2, 0, 1), TEXT("mode", "edge")),
       OUT(F32(DIMS(1, 6), 1, 1, 1, 2, 3, 3))},
      {OP("Pad", 6), IN(X123), WITH(INT("pads", 0, -1, 0, 1), REAL("value", 7)), OUT(F32(DIMS(1, 3), 2, 3, 7))},
      {OP("Pad", 13), IN(X123, LIST(1, 0, 0, 0), F32(SCALAR, 7)), OUT(F32(DIMS(2, 3), 7, 7, 7, 1, 2, 3))},
      /* mirrored more than once */
      {OP("Pad", 13), IN(F32(DIMS(2), 1, 2), LIST(5, 0)), WITH(TEXT("mode", "reflect")),
       OUT(F32(DIMS(7), 2, 1, 2, 1, 2, 1, 2))},
      {OP("DepthToSpace", 11), IN(F32(DIMS(1, 8, 1, 1), 1, 2, 3, 4, 5, 6, 7, 8)), WITH(INT("blocksize", 2)),
       OUT(F32(DIMS(1, 2, 2, 2), 1, 3, 5, 7, 2, 4, 6, 8))},
      {OP("DepthToSpace", 11), IN(F32(DIMS(1, 8, 1, 1), 1, 2, 3, 4, 5, 6, 7, 8)),
       WITH(INT("blocksize", 2), TEXT("mode", "CRD")), OUT(F32(DIMS(1, 2, 2, 2), 1, 2, 3, 4, 5, 6, 7, 8))},
      {OP("SpaceToDepth", 6), IN(F32(DIMS(1, 1, 2, 2), 1, 2, 3, 4)), WITH(INT("blocksize", 2)),
       OUT(F32(DIMS(1, 4, 1, 1), 1, 2, 3, 4))},
      {OP("Gather", 11), IN(X6, I64(DIMS(1, 2), -1, 0)), WITH(INT("axis", 1)), OUT(F32(DIMS(2, 1, 2), 3, 1, -6, 4))},
      {OP("Upsample", 7), IN(F32(DIMS(1, 1, 1, 2), 1, 2)), WITH(REAL("scales", 1, 1, 2, 2)),
       OUT(F32(DIMS(1, 1, 2, 4), 1, 1, 2, 2, 1, 1, 2, 2))},
  };
  CHECK(rows);
}

static void selections(void **state) {
  (void)state;
#define X22 F32(DIMS(2, 2), 1, 2, 3, 4)
  const row rows[] = {
      {OP("GatherElements", 11), IN(X22, I64(DIMS(2, 2), 0, 0, -1, 0)), WITH(INT("axis", 1)),
       OUT(F32(DIMS(2, 2), 1, 1, 4, 3))},
      {OP("ScatterElements", 16), IN(F32(DIMS(3), 1, 2, 3), LIST(0, -1), F32(DIMS(2), 10, 20)),
       WITH(TEXT("reduction", "add")), OUT(F32(DIMS(3), 11, 2, 23))},
      {OP("GatherND", 12), IN(X22, I64(DIMS(2, 1), 1, 0)), OUT(F32(DIMS(2, 2), 3, 4, 1, 2))},
      {OP("GatherND", 12), IN(X22, I64(DIMS(2, 1), 1, 0)), WITH(INT("batch_dims", 1)), OUT(F32(DIMS(2), 2, 3))},
      {OP("ScatterND", 11), IN(F32(DIMS(4), 1, 2, 3, 4), I64(DIMS(2, 1), 3, 0), F32(DIMS(2), 9, 8)),
       OUT(F32(DIMS(4), 8, 2, 3, 9))},
      {OP("OneHot", 11), IN(LIST(1, -1, 7), I64(SCALAR, 3), F32(DIMS(2), 0, 5)),
       OUT(F32(DIMS(3, 3), 0, 5, 0, 0, 0, 5, 0, 0, 0))},
      {OP("OneHot", 11), IN(LIST(1, 0), I64(SCALAR, 2), F32(DIMS(2), 0, 5)), WITH(INT("axis", 0)),
       OUT(F32(DIMS(2, 2), 0, 5, 5, 0))},
      {OP("TopK", 11), IN(F32(DIMS(5), 3, 1, 4, 1, 5), LIST(3)), OUT(F32(DIMS(3), 5, 4, 3), LIST(4, 2, 0))},
      {OP("TopK", 11), IN(F32(DIMS(5), 3, 1, 4, 1, 5), LIST(2)), WITH(INT("largest", 0)),
       OUT(F32(DIMS(2), 1, 1), LIST(1, 3))},
      {OP("TopK", 6), IN(X22), WITH(INT("k", 1), INT("axis", 0)), OUT(F32(DIMS(1, 2), 3, 4), I64(DIMS(1, 2), 1, 1))},
      {OP("CumSum", 11), IN(F32(DIMS(3), 1, 2, 3), I64(SCALAR, 0)), WITH(INT("exclusive", 1), INT("reverse", 1)),
       OUT(F32(DIMS(3), 5, 3, 0))},
      {OP("Trilu", 14), IN(X22), WITH(INT("upper", 0)), OUT(F32(DIMS(2, 2), 1, 0, 3, 4))},
      {OP("Trilu", 14), IN(X22, I64(SCALAR, 1)), OUT(F32(DIMS(2, 2), 0, 2, 0, 0))},
      {OP("QuantizeLinear", 10), IN(F32(DIMS(4), -10, 1, 3, 600), F32(SCALAR, 2), U8(SCALAR, 1)),
       OUT(U8(DIMS(4), 0, 1, 3, 255))},
      {OP("DequantizeLinear", 13), IN(U8(DIMS(2, 2), 0, 1, 3, 4), F32(DIMS(2), 2, 10), U8(DIMS(2), 1, 3)),
       OUT(F32(DIMS(2, 2), -2, -20, 4, 10))},
      {OP("GatherElements", 11), IN(X22, LIST(0)), REFUSED("indices does not fit")},
      {OP("GatherND", 12), IN(X22, I64(DIMS(1, 3), 0, 0, 0)), REFUSED("indices does not fit")},
      {OP("ScatterND", 11), IN(X22, I64(DIMS(1, 1), 0), F32(DIMS(1), 1)), REFUSED("input 2: expected")},
      {OP("OneHot", 11), IN(LIST(1), I64(SCALAR, 0), F32(DIMS(2), 0, 5)), REFUSED("depth")},
      {OP("TopK", 11), IN(X22, LIST(3)), REFUSED("k: expected 0 to 2")},
      {OP("CumSum", 11), IN(X22, I64(SCALAR, 2)), REFUSED("axis 2")},
      {OP("DequantizeLinear", 13), IN(U8(DIMS(2, 2), 0, 1, 3, 4), F32(DIMS(3), 2, 10, 1)), REFUSED("input 1")},
  };
  CHECK(rows);
}

/* Scales are real, hence all inputs constant or none: the rows below are refused if the scales are no constants. */
static void resizes(void **state) {
  (void)state;
  const row rows[] = {
      {OP("Resize", 10), IN(F32(DIMS(1, 2), 1, 2), F32(DIMS(2), 1, 2)), WITH(TEXT("mode", "linear")),
       OUT(F32(DIMS(1, 4), 1, 1.5F, 2, 2))},
      {OP("Resize", 13), IN(F32(DIMS(2, 2), 1, 2, 3, 4), LEFT_OUT, F32(DIMS(2), 2, 1)), WITH(TEXT("mode", "linear")),
       OUT(F32(DIMS(4, 2), 1, 2, 1.5F, 2.5F, 2.5F, 3.5F, 3, 4))},
      {OP("Resize", 13), IN(F32(DIMS(1, 4), 1, 2, 3, 4), LEFT_OUT, F32(DIMS(2), 1, 2)), WITH(TEXT("mode", "cubic")),
       OUT(F32(DIMS(1, 8), 0.89453125F, 1.19140625F, 1.66796875F, 2.296875F, 2.703125F, 3.33203125F, 3.80859375F,
               4.10546875F))},
      {OP("Resize", 13), IN(F32(DIMS(2), 1, 2), LEFT_OUT, LEFT_OUT, LIST(4)),
       WITH(TEXT("coordinate_transformation_mode", "align_corners"), TEXT("mode", "linear")),
       OUT(F32(DIMS(4), 1, 4 / 3.F, 5 / 3.F, 2))},
      {OP("Resize", 13), IN(I64(DIMS(2), 1, 2), LEFT_OUT, F32(DIMS(1), 1.5F)),
       WITH(TEXT("coordinate_transformation_mode", "asymmetric"), TEXT("nearest_mode", "ceil")),
       OUT(I64(DIMS(3), 1, 2, 2))},
  };
  for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) expect_results(&rows[k], true);
  const row open = {OP("Resize", 13), IN(F32(DIMS(1), 1), LEFT_OUT, F32(DIMS(1), 2)), REFUSED("only a constant")};
  expect_refusal(&open);
}

/* ---- Refusals ---- */

static void windows_are_checked(void **state) {
  (void)state;
  const row rows[] = {
      {OP("Conv", 11), IN(X9, W4), WITH(INT("strides", 0, 1)), REFUSED("strides[0]")},
      {OP("Conv", 11), IN(X9, W4), WITH(INT("strides", 1)), REFUSED("strides: expected 2 integers")},
      {OP("Conv", 11), IN(X9, W4), WITH(INT("dilations", 1, HUGE_INT)), REFUSED("dilations[1]")},
      {OP("Conv", 11), IN(X9, W4), WITH(INT("pads", -1, 0, 0, 0)), REFUSED("pads[0]")},
      {OP("Conv", 11), IN(X9, W4), WITH(INT("pads", 0, 0, 0, HUGE_INT)), REFUSED("pads[3]")},
      {OP("Conv", 11), IN(X9, W4), WITH(INT("pads", 0, 0, 0, 0, 0)), REFUSED("pads")},
      {OP("Conv", 11), IN(X9, W4), WITH(INT("dilations", 3, 1)), REFUSED("the window is larger")},
      {OP("Conv", 11), IN(X9, W4), WITH(INT("kernel_shape", 3, 2)), REFUSED("kernel_shape")},
      {OP("Conv", 11), IN(X9, W4), WITH(TEXT("auto_pad", "SAME")), REFUSED("auto_pad")},
      {OP("Conv", 11), IN(X9, W4), WITH(INT("group", 0)), REFUSED("group")},
      {OP("Conv", 11), IN(X9, W4), WITH(INT("group", 2)), REFUSED("group")},
      {OP("Conv", 11), IN(X9, F32(DIMS(1, 2, 1, 1), 1, 1)), REFUSED("weights")},
      {OP("Conv", 11), IN(X9, F32(DIMS(1, 1, 2), 1, 1)), REFUSED("weights")},
      {OP("Conv", 11), IN(X9, F32(DIMS(1, 1, 0, 1), 0)), REFUSED("kernel_shape")},
      {OP("Conv", 11), IN(X9, W4, F32(DIMS(2), 1, 1)), REFUSED("bias")},
      {OP("Conv", 11), IN(X9, I64(DIMS(1, 1, 1, 1), 1)), REFUSED("input 1: type int64")},
      {OP("Conv", 11), IN(F32(DIMS(1, 1), 1), F32(DIMS(1, 1), 1)), REFUSED("3 to 5 axes")},
      {OP("Conv", 11), IN(X9), REFUSED("inputs")},
      {OP("ConvTranspose", 11), IN(X9, W4), WITH(INT("output_shape", 4, -1)), REFUSED("output_shape")},
      {OP("ConvTranspose", 11), IN(X9, W4), WITH(INT("pads", 9, 9, 9, 9)), REFUSED("empty")},
      {OP("ConvTranspose", 11), IN(X9, W4), WITH(INT("strides", 65536, 65536)), REFUSED("elements")},
      {OP("ConvTranspose", 11), IN(F32(DIMS(1, 0, 1), 0), F32(DIMS(0, 4, 1), 0)), WITH(INT("group", INT64_MAX)),
       REFUSED("group")},
      {OP("ConvTranspose", 11), IN(X9, F32(DIMS(2, 1, 1, 1), 1, 1)), REFUSED("weights")},
      {OP("MaxPool", 11), IN(X9), REFUSED("kernel_shape: missing")},
      {OP("MaxPool", 11), IN(X9), WITH(INT("kernel_shape", HUGE_INT, 1)), REFUSED("kernel_shape[0]")},
      {OP("MaxPool", 11), IN(X9), WITH(INT("kernel_shape", 4, 1)), REFUSED("the window is larger")},
      {OP("AveragePool", 11), IN(F32(DIMS(1, 1, 0), 0)), WITH(INT("kernel_shape", 1), INT("pads", 1, 1)),
       REFUSED("window")},
      {OP("GlobalMaxPool", 11), IN(F32(DIMS(1, 1), 1)), REFUSED("3 axes")},
  };
  CHECK(rows);
}

static void numbers_are_checked(void **state) {
  (void)state;
  const row rows[] = {
      {OP("Add", 7), IN(X6, F32(DIMS(2), 1, 2)), REFUSED("broadcast")},
      {OP("Add", 7), IN(X6, I64(SCALAR, 1)), REFUSED("input 1: expected type float")},
      {OP("Add", 7), IN(X6, LEFT_OUT), REFUSED("input 1: missing")},
      {OP("Add", 6), IN(X6, F32(DIMS(2), 1, 2)), WITH(INT("broadcast", 1), INT("axis", 1)), REFUSED("broadcast")},
      {OP("Add", 6), IN(X6, F32(DIMS(2), 1, 2)), WITH(INT("broadcast", 1), INT("axis", 9)), REFUSED("axis")},
      {OP("Add", 7), IN(F32(DIMS(1), 1), F32(DIMS(1), 1), F32(DIMS(1), 1)), REFUSED("inputs")},
      {OP("Exp", 7), IN(I64(DIMS(1), 1)), REFUSED("type int64")},
      {OP("HardSwish", 13), IN(X6), REFUSED("opset 14")},
      {OP("Mod", 10), IN(X6, F32(SCALAR, 2)), REFUSED("fmod")},
      {OP("PRelu", 9), IN(F32(DIMS(1), 1), F32(DIMS(2), 1, 2)), REFUSED("slope")},
      {OP("Clip", 11), IN(X6, F32(DIMS(2), 1, 2)), REFUSED("input 1")},
      {OP("Cast", 9), IN(X6), WITH(INT("to", 8)), REFUSED("to: type 8")},
      {OP("Sum", 8), IN(X6, LEFT_OUT, X6), REFUSED("input 1")},
      {OP("Where", 9), IN(X6, X6, X6), REFUSED("input 0: type float")},
      {OP("Gemm", 11), IN(X6, X6), REFUSED("inner sizes 3 and 2")},
      {OP("Gemm", 11), IN(X6, F32(DIMS(3, 1), 1, 1, 1), F32(DIMS(3), 1, 1, 1)), REFUSED("input 2")},
      {OP("Gemm", 11), IN(F32(DIMS(2), 1, 1), X6), REFUSED("two matrices")},
      {OP("MatMul", 13), IN(X6, X6), REFUSED("inner sizes")},
      {OP("MatMul", 13), IN(X6, F32(SCALAR, 1)), REFUSED("scalars")},
      {OP("MatMul", 13), IN(F32(DIMS(2, 1, 1), 1, 1), F32(DIMS(3, 1, 1), 1, 1, 1)), REFUSED("leading axes")},
      {OP("BatchNormalization", 9),
       IN(F32(DIMS(1, 2), 1, 3), F32(DIMS(2), 2, 1), F32(DIMS(1), 0), F32(DIMS(2), 1, 10), F32(DIMS(2), 4, 100)),
       REFUSED("input 2: expected shape [2]")},
      {OP("LRN", 6), IN(X6), WITH(INT("size", 0)), REFUSED("size")},
      {OP("Softmax", 13), IN(X6), WITH(INT("axis", 2)), REFUSED("axis 2")},
      {OP("Softmax", 13), IN(F32(SCALAR, 1)), REFUSED("axis -1")},
      {OP("ReduceSum", 13), IN(X6, LIST(-3)), REFUSED("axis -3")},
      {OP("ReduceSum", 13), IN(X6, LIST(0, 0, 0, 0, 0, 0, 0)), REFUSED("axes: expected at most 6")},
      {OP("ArgMax", 11), IN(F32(DIMS(2, 0), 0)), WITH(INT("axis", 1)), REFUSED("axis 1 is empty")},
  };
  CHECK(rows);
}

static void shapes_are_checked(void **state) {
  (void)state;
  const row rows[] = {
      {OP("Reshape", 13), IN(X6, LIST(-1, -1)), REFUSED("shape: -1")},
      {OP("Reshape", 13), IN(X6, LIST(4, -1)), REFUSED("6 elements")},
      {OP("Reshape", 13), IN(X6, LIST(HUGE_INT, HUGE_INT)), REFUSED("shape")},
      {OP("Reshape", 13), IN(X6, LIST(INT64_MIN)), REFUSED("shape")},
      {OP("Reshape", 13), IN(X6, F32(DIMS(1), 6)), REFUSED("input 1: type float")},
      {OP("Flatten", 13), IN(X6), WITH(INT("axis", 3)), REFUSED("axis 3")},
      {OP("Squeeze", 13), IN(X6, LIST(0)), REFUSED("axis 0 has size 2")},
      {OP("Unsqueeze", 13), IN(X6, LIST(1, 1)), REFUSED("twice")},
      {OP("Unsqueeze", 13), IN(X6, LIST(0, 1, 2, 3, 4)), REFUSED("at most 6 axes")},
      {OP("Transpose", 13), IN(X6), WITH(INT("perm", 0, 0)), REFUSED("perm")},
      {OP("Transpose", 13), IN(X6), WITH(INT("perm", 0, 2)), REFUSED("perm[1]")},
      {OP("Concat", 13), IN(X6, F32(DIMS(1, 1), 1)), WITH(INT("axis", 0)), REFUSED("input 1")},
      {OP("Concat", 13), IN(X6), WITH(INT("axis", 2)), REFUSED("axis 2")},
      {OP("Split", 13), IN(X6, LIST(3)), REFUSED("split[0]")},
      {OP("Split", 13), IN(X6, LIST(1)), REFUSED("left")},
      {OP("Split", 13), IN(X6, LIST(1, 1)), REFUSED("1 outputs")},
      {OP("Slice", 13), IN(X6, LIST(0), LIST(1), LIST(0), LIST(0)), REFUSED("a step of 0")},
      {OP("Slice", 13), IN(X6, LIST(0, 0), LIST(1, 1), LIST(0, -2)), REFUSED("twice")},
      {OP("Slice", 13), IN(X6, LIST(0), LIST(1, 1)), REFUSED("ends")},
      {OP("Slice", 9), IN(X6), WITH(INT("starts", 0)), REFUSED("ends")},
      {OP("Slice", 13), IN(X6, LIST(0, 0, 0), LIST(1, 1, 1)), REFUSED("axis 2")},
      {OP("Expand", 13), IN(X6, LIST(3, 3)), REFUSED("broadcast")},
      {OP("Expand", 13), IN(F32(DIMS(1), 1), LIST(65536, 65536)), REFUSED("elements")},
      {OP("Expand", 13), IN(F32(DIMS(1), 1), LIST(-1)), REFUSED("shape[0]")},
      {OP("Tile", 13), IN(X6, LIST(1)), REFUSED("repeats")},
      {OP("Tile", 13), IN(X6, LIST(1, HUGE_INT)), REFUSED("repeats[1]")},
      {OP("Tile", 13), IN(X6, LIST(65536, 65536)), REFUSED("elements")},
      {OP("Pad", 13), IN(X6, LIST(0, 0, -3, 0)), REFUSED("size -1")},
      {OP("Pad", 13), IN(X6, LIST(0, 0, 0, HUGE_INT)), REFUSED("pads[3]")},
      {OP("Pad", 13), IN(X6, LIST(0, 0, 0)), REFUSED("pads")},
      {OP("Pad", 13), IN(F32(DIMS(0), 0), LIST(1, 0)), WITH(TEXT("mode", "edge")), REFUSED("no edge")},
      {OP("Pad", 13), IN(X6, LIST(0, 0, 0, 0)), WITH(TEXT("mode", "wrap")), REFUSED("mode")},
      {OP("DepthToSpace", 13), IN(X9), WITH(INT("blocksize", 0)), REFUSED("blocksize")},
      {OP("DepthToSpace", 13), IN(X9), WITH(INT("blocksize", HUGE_INT)), REFUSED("blocksize")},
      {OP("SpaceToDepth", 13), IN(X9), WITH(INT("blocksize", 2)), REFUSED("blocksize")},
      {OP("Gather", 13), IN(X6, LIST(2)), REFUSED("index 2 of 2")},
      {OP("Gather", 13), IN(X6, F32(DIMS(1), 0)), REFUSED("type float")},
      {OP("Resize", 13), IN(X6, LEFT_OUT, LEFT_OUT, LIST(2, HUGE_INT)), REFUSED("axis 1")},
      {OP("Resize", 13), IN(X6, LEFT_OUT, LEFT_OUT, LIST(2)), REFUSED("2 numbers")},
      {OP("Resize", 13), IN(X6), REFUSED("scales: missing")},
      {OP("Upsample", 7), IN(X6), WITH(REAL("scales", 1, 0)), REFUSED("axis 1")},
      {OP("Upsample", 7), IN(X6), WITH(REAL("scales", 1, NAN)), REFUSED("axis 1")},
      {OP("Upsample", 7), IN(X6), WITH(REAL("scales", 1)), REFUSED("2 numbers")},
      {OP("ConstantOfShape", 9), IN(LIST(HUGE_INT)), REFUSED("out of range")},
      {OP("Constant", 13), REFUSED("value")},
      {OP("Range", 11), IN(I64(SCALAR, 5), I64(SCALAR, 0), I64(SCALAR, 0)), REFUSED("delta")},
      {OP("Range", 11), IN(I64(SCALAR, 0), I64(SCALAR, INT64_MAX), I64(SCALAR, 1)), REFUSED("delta")},
  };
  CHECK(rows);
}

/* ---- The executor ---- */

/* Indices that come with the request are cut to the axis: no memory beyond the tensor is read. */
static void late_indices_are_cut(void **state) {
  (void)state;
  cosrel_net net;
  cosrel_reference reference;
  cosrel_error error;
  assert_int_equal(cosrel_net_create(&net, "late", 13, 1 << 20, &error), COSREL_OK);
  int32_t x = cosrel_net_add_value(&net, (cosrel_tensor){COSREL_F32, DIMS(3), NULL});
  int32_t index = cosrel_net_add_value(&net, (cosrel_tensor){COSREL_I64, DIMS(4), NULL});
  int32_t y = cosrel_net_add_value(&net, (cosrel_tensor){0});
  cosrel_net_add_node(&net, "g", cosrel_operator_find("Gather"), (int32_t[]){x, index}, 2, &y, 1, NULL, 0);
  cosrel_net_add_input(&net, "x", x);
  cosrel_net_add_input(&net, "index", index);
  cosrel_net_add_output(&net, "y", y);
  assert_int_equal(cosrel_net_settle(&net, &error), COSREL_OK);
  assert_int_equal(cosrel_reference_create(&net, &reference, &error), COSREL_OK);
  const void *inputs[] = {(float[]){1, 2, 3}, (int64_t[]){7, -9, INT64_MIN, -1}};
  cosrel_reference_run(&reference, inputs);
  const cosrel_tensor expected = F32(DIMS(4), 3, 1, 1, 3);
  expect_tensor("Gather", &reference.tensors[net.outputs[0]], &expected);
  cosrel_reference_destroy(&reference);
  cosrel_net_destroy(&net);
}

/* y = relu(x) * relu(x) + 1: a value used twice, a constant, an input that is an output too, and fresh data each run.
 */
static void runs_are_independent(void **state) {
  (void)state;
  cosrel_net net;
  cosrel_reference reference;
  cosrel_error error;
  assert_int_equal(cosrel_net_create(&net, "chain", 13, 1 << 20, &error), COSREL_OK);
  int32_t x = cosrel_net_add_value(&net, (cosrel_tensor){COSREL_F32, DIMS(2), NULL});
  const cosrel_tensor one = F32(SCALAR, 1);
  int32_t constant = cosrel_net_add_value(&net, copy_to_net(&net, one));
  int32_t v[3];
  for (int i = 0; i < 3; i++) v[i] = cosrel_net_add_value(&net, (cosrel_tensor){0});
  cosrel_net_add_node(&net, "add", cosrel_operator_find("Add"), (int32_t[]){v[1], constant}, 2, &v[2], 1, NULL, 0);
  cosrel_net_add_node(&net, "mul", cosrel_operator_find("Mul"), (int32_t[]){v[0], v[0]}, 2, &v[1], 1, NULL, 0);
  cosrel_net_add_node(&net, "relu", cosrel_operator_find("Relu"), &x, 1, &v[0], 1, NULL, 0);
  cosrel_net_add_input(&net, "x", x);
  cosrel_net_add_output(&net, "y", v[2]);
  cosrel_net_add_output(&net, "x", x);
  assert_int_equal(cosrel_net_settle(&net, &error), COSREL_OK);
  assert_int_equal(cosrel_reference_create(&net, &reference, &error), COSREL_OK);
  const struct { float x[2], y[2]; } runs[] = {{{3, -1}, {10, 1}}, {{0, 2}, {1, 5}}};
  for (int k = 0; k < 2; k++) {
    const void *inputs[] = {runs[k].x};
    cosrel_reference_run(&reference, inputs);
    assert_memory_equal(reference.tensors[net.outputs[0]].data, runs[k].y, sizeof runs[k].y);
    assert_memory_equal(reference.tensors[net.outputs[1]].data, runs[k].x, sizeof runs[k].x);
  }
  cosrel_reference_destroy(&reference);
  cosrel_net_destroy(&net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(table_is_sorted_and_found),
      cmocka_unit_test(elementwise),
      cmocka_unit_test(broadcasting),
      cmocka_unit_test(convolutions),
      cmocka_unit_test(pools),
      cmocka_unit_test(products),
      cmocka_unit_test(normalizations),
      cmocka_unit_test(reductions),
      cmocka_unit_test(shapes),
      cmocka_unit_test(moves),
      cmocka_unit_test(selections),
      cmocka_unit_test(resizes),
      cmocka_unit_test(windows_are_checked),
      cmocka_unit_test(numbers_are_checked),
      cmocka_unit_test(shapes_are_checked),
      cmocka_unit_test(late_indices_are_cut),
      cmocka_unit_test(runs_are_independent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
