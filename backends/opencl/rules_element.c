/* Element by element: functions of one tensor, two tensors broadcast to each other, several in a row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/lower.h"
#include "backends/opencl/rules.h"

/* ---- One tensor ---- */

static bool supports_function(const cosrel_net *net, const cosrel_net_node *node) {
  cosrel_cl_activation activation;
  return cosrel_cl_is_function(net, node, &activation);
}

static void function(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  int64_t elements = (int64_t)cosrel_shape_elements(cosrel_cl_shape(planner, in));
  bool nhwc = !cosrel_cl_is_dense(planner, in, false); /* the order that it is in */
  cosrel_cl_activation activation;
  cosrel_cl_is_function(planner->net, node, &activation);
  cosrel_cl_launch launch = cosrel_cl_launch_of("elementwise", "unary");
  cosrel_cl_define(&launch, "FUNCTION", (int32_t)activation.function);
  cosrel_cl_push_in(&launch, cosrel_cl_dense(planner, in, nhwc));
  cosrel_cl_push_out(&launch, cosrel_cl_result(planner, out, nhwc));
  cosrel_cl_push_int(&launch, elements);
  cosrel_cl_push_float(&launch, activation.a);
  cosrel_cl_push_float(&launch, activation.b);
  cosrel_cl_size(&launch, ((size_t)elements + 15) / 16, 1, 1, 64, 1, 1);
  cosrel_cl_add(planner, &launch);
}

/* ---- Two tensors ---- */

/* The numbers are those of kernels/elementwise.cl. */
typedef enum binary_op { ADD, SUB, MUL, DIV, MAX, MIN, PRELU, NO_OP } binary_op;

static binary_op find_op(const char *name) {
  static const struct {
    const char *name;
    binary_op op;
  } table[] = {{"Add", ADD}, {"Sub", SUB}, {"Mul", MUL},  {"Div", DIV},    {"Max", MAX},
               {"Min", MIN}, {"Sum", ADD}, {"Mean", ADD}, {"PRelu", PRELU}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (strcmp(table[i].name, name) == 0) return table[i].op;
  return NO_OP;
}

/* An operand of a broadcast: where it lies and how far apart its elements are along the output's axes. */
typedef struct operand {
  cosrel_cl_ref ref;
  int64_t strides[COSREL_RANK_MAX];
} operand;

/* Its axes are those of the output from `first` on. */
static operand spread(cosrel_cl_ref ref, const cosrel_shape *shape, const cosrel_view *view, uint32_t first) {
  operand o = {.ref = ref};
  for (uint32_t i = 0; i < shape->rank; i++)
    if (shape->dims[i] != 1) o.strides[first + i] = view->strides[i];
  return o;
}

/* Axes of the output in the order of its memory, joined where all operands allow: at least one, the innermost last. */
typedef struct loops {
  uint32_t rank;
  int64_t dims[COSREL_RANK_MAX], x[COSREL_RANK_MAX], y[COSREL_RANK_MAX];
} loops;

static loops join(const cosrel_shape *shape, bool nhwc, const operand *x, const operand *y) {
  static const uint32_t nhwc_order[4] = {0, 2, 3, 1};
  loops l = {.rank = 0};
  for (uint32_t i = 0; i < shape->rank; i++) {
    uint32_t axis = nhwc && shape->rank == 4 ? nhwc_order[i] : i, last = l.rank - 1;
    int64_t dim = shape->dims[axis], xs = x->strides[axis], ys = y->strides[axis];
    if (dim == 1) continue;
    if (l.rank > 0 && l.x[last] == xs * dim && l.y[last] == ys * dim) {
      l.dims[last] *= dim;
      l.x[last] = xs;
      l.y[last] = ys;
    } else {
      l.dims[l.rank] = dim;
      l.x[l.rank] = xs;
      l.y[l.rank++] = ys;
    }
  }
  if (l.rank == 0) l = (loops){.rank = 1, .dims = {1}};
  return l;
}

/* out = op(x, y), dense in the order said, then the activation. */
static void combine(cosrel_cl_planner *planner, binary_op op, const operand *x, const operand *y,
                    const cosrel_shape *shape, bool nhwc, cosrel_cl_ref out, cosrel_cl_activation activation) {
  loops l = join(shape, nhwc, x, y);
  uint32_t inner = l.rank - 1;
  cosrel_cl_launch launch = cosrel_cl_launch_of("elementwise", inner == 0 ? "binary" : "binary_rows");
  cosrel_cl_push_in(&launch, x->ref);
  cosrel_cl_push_in(&launch, y->ref);
  cosrel_cl_push_out(&launch, out);
  cosrel_cl_push_int(&launch, (int64_t)op);
  cosrel_cl_push_activation(&launch, activation);
  cosrel_cl_push_int(&launch, l.dims[inner]);
  cosrel_cl_push_int(&launch, l.x[inner]);
  cosrel_cl_push_int(&launch, l.y[inner]);
  size_t columns = ((size_t)l.dims[inner] + 15) / 16, rows = 1;
  if (inner > 0) {
    int64_t dims[5] = {1, 1, 1, 1, 1}, xs[5] = {0}, ys[5] = {0};
    for (uint32_t i = 0; i < inner; i++) {
      uint32_t at = i + 5 - inner;
      dims[at] = l.dims[i];
      xs[at] = l.x[i];
      ys[at] = l.y[i];
      rows *= (size_t)l.dims[i];
    }
    cosrel_cl_push_int(&launch, (int64_t)rows);
    for (int i = 1; i < 5; i++) cosrel_cl_push_int(&launch, dims[i]);
    for (int i = 0; i < 5; i++) cosrel_cl_push_int(&launch, xs[i]);
    for (int i = 0; i < 5; i++) cosrel_cl_push_int(&launch, ys[i]);
  }
  if (columns >= 64 || inner == 0)
    cosrel_cl_size(&launch, columns, rows, 1, 64, 1, 1);
  else
    cosrel_cl_size(&launch, columns, rows, 1, 8, 8, 1);
  cosrel_cl_add(planner, &launch);
}

/* Up to opset 6 the second operand's axes are laid on the first's from `axis` on, if `broadcast` is set. */
static uint32_t first_axis(const cosrel_net *net, const cosrel_net_node *node, uint32_t rank, uint32_t i,
                           uint32_t own_rank) {
  if (net->opset < 7 && i == 1 && own_rank == 1 && rank > 1 && strcmp(node->op->name, "PRelu") == 0) return 1;
  if (net->opset >= 7 || i == 0 || cosrel_node_int(net, node, "broadcast", 0) == 0) return rank - own_rank;
  return cosrel_node_axis(net, node, rank, (int64_t)rank - own_rank);
}

static operand take_operand(cosrel_cl_planner *planner, const cosrel_net_node *node, uint32_t i, uint32_t rank) {
  int32_t value = cosrel_cl_input(planner, node, i);
  const cosrel_shape *shape = cosrel_cl_shape(planner, value);
  cosrel_view view;
  cosrel_cl_ref ref = cosrel_cl_view(planner, value, &view);
  return spread(ref, shape, &view, first_axis(planner->net, node, rank, i, shape->rank));
}

static bool supports_binary(const cosrel_net *net, const cosrel_net_node *node) {
  if (node->n_inputs < 1 || find_op(node->op->name) == NO_OP) return false;
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    const cosrel_tensor *in = cosrel_cl_tensor(net, node, i);
    if (in == NULL || in->dtype != COSREL_F32 || cosrel_shape_elements(&in->shape) == 0) return false;
  }
  return true;
}

/* NHWC where an operand is, or where the result goes to the arena. */
static bool choose_order(cosrel_cl_planner *planner, const cosrel_net_node *node, int32_t out) {
  if (cosrel_cl_shape(planner, out)->rank != 4) return false;
  bool nhwc = out == planner->unit->output;
  for (uint32_t i = 0; i < node->n_inputs; i++)
    nhwc = nhwc || !cosrel_cl_is_dense(planner, cosrel_cl_input(planner, node, i), false);
  return nhwc;
}

/* Sums of several go on in the result's place. */
static void binary(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t out = cosrel_cl_output(planner, node);
  const cosrel_shape shape = *cosrel_cl_shape(planner, out);
  binary_op op = find_op(node->op->name);
  bool mean = strcmp(node->op->name, "Mean") == 0;
  bool nhwc = choose_order(planner, node, out);
  uint32_t n = node->n_inputs;
  cosrel_cl_activation activation = {COSREL_CL_NONE, 0, 0}, none = activation;
  if (!mean) out = cosrel_cl_take_activation(planner, out, &activation);
  operand x = take_operand(planner, node, 0, shape.rank), zero = {.ref = x.ref};
  cosrel_cl_ref result = cosrel_cl_result(planner, out, nhwc);
  cosrel_view dense = cosrel_view_dense(&shape, nhwc);
  if (mean || n == 1) { /* a number beside the tensors: 1 / n to multiply with */
    float *factor = cosrel_cl_add_constant(planner, 1, &zero.ref);
    if (factor == NULL) return;
    *factor = 1.0F / (float)n;
  }
  for (uint32_t i = 1; i < n; i++) {
    operand y = take_operand(planner, node, i, shape.rank);
    combine(planner, op, &x, &y, &shape, nhwc, result, i + 1 == n ? activation : none);
    x = spread(result, &shape, &dense, 0);
  }
  if (mean || n == 1) combine(planner, MUL, &x, &zero, &shape, nhwc, result, activation);
}

/* ---- Batch norms that nothing could take in: a scale and a shift for each channel ---- */

static bool supports_batch_norm(const cosrel_net *net, const cosrel_net_node *node) {
  for (uint32_t i = 1; i < 5; i++)
    if (cosrel_cl_tensor(net, node, i)->data == NULL) return false;
  for (uint32_t i = 1; i < node->n_outputs; i++)
    if (cosrel_net_node_outputs(net, node)[i] >= 0) return false;
  return true;
}

static void batch_norm(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  const cosrel_net *net = planner->net;
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_shape shape = *cosrel_cl_shape(planner, in);
  const float *gain = cosrel_cl_tensor(net, node, 1)->data, *bias = cosrel_cl_tensor(net, node, 2)->data;
  const float *mean = cosrel_cl_tensor(net, node, 3)->data, *variance = cosrel_cl_tensor(net, node, 4)->data;
  double epsilon = cosrel_node_float(net, node, "epsilon", 1e-5F);
  uint32_t channels = shape.dims[1];
  cosrel_cl_ref scale_ref, shift_ref;
  float *scale = cosrel_cl_add_constant(planner, channels, &scale_ref);
  float *shift = cosrel_cl_add_constant(planner, channels, &shift_ref);
  if (scale == NULL || shift == NULL) return;
  for (uint32_t c = 0; c < channels; c++) {
    double factor = gain[c] / sqrt(variance[c] + epsilon);
    scale[c] = (float)factor;
    shift[c] = (float)(bias[c] - mean[c] * factor);
  }
  cosrel_cl_activation activation, none = {COSREL_CL_NONE, 0, 0};
  bool nhwc = choose_order(planner, node, out);
  out = cosrel_cl_take_activation(planner, out, &activation);
  operand x = take_operand(planner, node, 0, shape.rank);
  operand factors = {.ref = scale_ref}, terms = {.ref = shift_ref};
  factors.strides[1] = terms.strides[1] = channels > 1;
  cosrel_cl_ref result = cosrel_cl_result(planner, out, nhwc);
  cosrel_view dense = cosrel_view_dense(&shape, nhwc);
  combine(planner, MUL, &x, &factors, &shape, nhwc, result, none);
  x = spread(result, &shape, &dense, 0);
  combine(planner, ADD, &x, &terms, &shape, nhwc, result, activation);
}

/* ---- Powers with one exponent for all ---- */

static bool supports_power(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_tensor *exponent = cosrel_cl_tensor(net, node, 1);
  return exponent->data != NULL && exponent->dtype == COSREL_F32 && cosrel_shape_elements(&exponent->shape) == 1 &&
         exponent->shape.rank <= cosrel_cl_tensor(net, node, 0)->shape.rank;
}

static void power(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  uint64_t elements = cosrel_shape_elements(cosrel_cl_shape(planner, in));
  bool nhwc = !cosrel_cl_is_dense(planner, in, false);
  cosrel_cl_launch launch = cosrel_cl_launch_of("elementwise", "power");
  cosrel_cl_define(&launch, "POWER", 1);
  cosrel_cl_push_in(&launch, cosrel_cl_dense(planner, in, nhwc));
  cosrel_cl_push_out(&launch, cosrel_cl_result(planner, out, nhwc));
  cosrel_cl_push_int(&launch, (int64_t)elements);
  cosrel_cl_push_float(&launch, *(const float *)cosrel_cl_tensor(planner->net, node, 1)->data);
  cosrel_cl_size(&launch, (size_t)elements, 1, 1, 64, 1, 1);
  cosrel_cl_add(planner, &launch);
}

const cosrel_cl_rule cosrel_cl_element_rules[] = {
    {"Abs", supports_function, function},
    {"Add", supports_binary, binary},
    {"BatchNormalization", supports_batch_norm, batch_norm},
    {"Ceil", supports_function, function},
    {"Clip", supports_function, function},
    {"Div", supports_binary, binary},
    {"Elu", supports_function, function},
    {"Erf", supports_function, function},
    {"Exp", supports_function, function},
    {"Floor", supports_function, function},
    {"HardSigmoid", supports_function, function},
    {"HardSwish", supports_function, function},
    {"LeakyRelu", supports_function, function},
    {"Log", supports_function, function},
    {"Max", supports_binary, binary},
    {"Mean", supports_binary, binary},
    {"Min", supports_binary, binary},
    {"Mul", supports_binary, binary},
    {"Neg", supports_function, function},
    {"PRelu", supports_binary, binary},
    {"Pow", supports_power, power},
    {"Reciprocal", supports_function, function},
    {"Relu", supports_function, function},
    {"Round", supports_function, function},
    {"Sigmoid", supports_function, function},
    {"Softplus", supports_function, function},
    {"Sqrt", supports_function, function},
    {"Sub", supports_binary, binary},
    {"Sum", supports_binary, binary},
    {"Tanh", supports_function, function},
    {NULL, NULL, NULL},
};
