/* Softmax, the Reduce family and global pools: along axes that lie together in memory, [outer][n][inner]. */
#include <string.h>

#include "backends/lower.h"
#include "backends/opencl/rules.h"

#define GROUP 32 /* of kernels/reduce.cl */

typedef struct line {
  uint64_t outer, n, inner;
} line;

/* ---- Softmax ---- */

static bool always(const cosrel_net *net, const cosrel_net_node *node) {
  (void)net, (void)node;
  return true;
}

static void softmax(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_shape *shape = cosrel_cl_shape(planner, in);
  bool flat = planner->net->opset < 13; /* over all axes from `axis` on */
  uint32_t axis = cosrel_node_axis(planner->net, node, shape->rank, flat ? 1 : -1);
  bool channels = shape->rank == 4 && axis == 1 && !flat;
  line l = {1, 1, 1};
  for (uint32_t i = 0; i < shape->rank; i++) {
    bool along = flat ? i >= axis : i == axis;
    *(along ? &l.n : i < axis || channels ? &l.outer : &l.inner) *= shape->dims[i];
  }
  cosrel_cl_launch launch = cosrel_cl_launch_of("reduce", l.inner == 1 ? "softmax_rows" : "softmax_lines");
  cosrel_cl_push_in(&launch, cosrel_cl_dense(planner, in, channels));
  cosrel_cl_push_out(&launch, cosrel_cl_result(planner, out, channels));
  if (l.inner > 1) cosrel_cl_push_int(&launch, (int64_t)l.outer);
  cosrel_cl_push_int(&launch, (int64_t)l.n);
  if (l.inner > 1) cosrel_cl_push_int(&launch, (int64_t)l.inner);
  cosrel_cl_push_int(&launch, strcmp(node->op->name, "LogSoftmax") == 0);
  if (l.inner > 1)
    cosrel_cl_size(&launch, (size_t)l.inner, (size_t)l.outer, 1, 64, 1, 1);
  else
    cosrel_cl_size(&launch, (size_t)l.outer * GROUP, 1, 1, GROUP, 1, 1);
  cosrel_cl_add(planner, &launch);
}

/* ---- Layer norms, over all axes from `axis` on ---- */

static bool is_row(const cosrel_tensor *tensor, uint64_t n) {
  return tensor->data != NULL && tensor->dtype == COSREL_F32 && cosrel_shape_elements(&tensor->shape) == n;
}

static uint64_t row_length(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_shape *shape = &cosrel_cl_tensor(net, node, 0)->shape;
  uint64_t n = 1;
  for (uint32_t i = cosrel_node_axis(net, node, shape->rank, -1); i < shape->rank; i++) n *= shape->dims[i];
  return n;
}

static bool supports_layer_norm(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_tensor *bias = cosrel_cl_tensor(net, node, 2);
  uint64_t n = row_length(net, node);
  for (uint32_t i = 1; i < node->n_outputs; i++)
    if (cosrel_net_node_outputs(net, node)[i] >= 0) return false; /* mean and deviation are for training */
  return is_row(cosrel_cl_tensor(net, node, 1), n) && (bias == NULL || is_row(bias, n));
}

static void layer_norm(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  int32_t in = cosrel_cl_input(planner, node, 0), bias = cosrel_cl_input(planner, node, 2);
  uint64_t n = row_length(planner->net, node), rows = cosrel_shape_elements(cosrel_cl_shape(planner, in)) / n;
  cosrel_cl_ref no_bias = {.base = COSREL_CL_CONSTANT};
  if (bias < 0 && cosrel_cl_add_constant(planner, n, &no_bias) == NULL) return;
  cosrel_cl_launch launch = cosrel_cl_launch_of("reduce", "layer_norm");
  cosrel_cl_push_in(&launch, cosrel_cl_dense(planner, in, false));
  cosrel_cl_push_out(&launch, cosrel_cl_result(planner, cosrel_cl_output(planner, node), false));
  cosrel_cl_push_in(&launch, cosrel_cl_dense(planner, cosrel_cl_input(planner, node, 1), false));
  cosrel_cl_push_in(&launch, bias < 0 ? no_bias : cosrel_cl_dense(planner, bias, false));
  cosrel_cl_push_int(&launch, (int64_t)n);
  cosrel_cl_push_float(&launch, cosrel_node_float(planner->net, node, "epsilon", 1e-5F));
  cosrel_cl_size(&launch, (size_t)rows * GROUP, 1, 1, GROUP, 1, 1);
  cosrel_cl_add(planner, &launch);
}

/* ---- Reductions ---- */

/* The numbers are those of kernels/reduce.cl. */
typedef enum reduction { SUM, MEAN, MAX, MIN, PROD, L1, L2, SUM_SQUARE, LOG_SUM } reduction;

static reduction find_reduction(const char *name) {
  static const struct {
    const char *name;
    reduction kind;
  } table[] = {{"GlobalAveragePool", MEAN},
               {"GlobalMaxPool", MAX},
               {"ReduceL1", L1},
               {"ReduceL2", L2},
               {"ReduceLogSum", LOG_SUM},
               {"ReduceMax", MAX},
               {"ReduceMean", MEAN},
               {"ReduceMin", MIN},
               {"ReduceProd", PROD},
               {"ReduceSumSquare", SUM_SQUARE}};
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
    if (strcmp(table[i].name, name) == 0) return table[i].kind;
  return SUM;
}

static bool find_axes(const cosrel_net *net, const cosrel_net_node *node, bool reduced[COSREL_RANK_MAX]) {
  const cosrel_shape *shape = &cosrel_cl_tensor(net, node, 0)->shape;
  const cosrel_attribute *list = cosrel_node_ints(net, node, "axes");
  const cosrel_tensor *tensor = cosrel_cl_tensor(net, node, 1);
  bool pool = strncmp(node->op->name, "Global", 6) == 0;
  if (tensor != NULL && (tensor->data == NULL || tensor->dtype != COSREL_I64)) return false;
  const int64_t *axes = list != NULL ? list->ints : tensor != NULL ? tensor->data : NULL;
  uint64_t n = list != NULL ? list->n : tensor != NULL ? cosrel_shape_elements(&tensor->shape) : 0;
  bool all = n == 0 && cosrel_node_int(net, node, "noop_with_empty_axes", 0) == 0;
  for (uint32_t i = 0; i < COSREL_RANK_MAX; i++) reduced[i] = pool ? i >= 2 : all;
  for (uint64_t k = 0; k < n; k++) reduced[axes[k] < 0 ? axes[k] + shape->rank : axes[k]] = true;
  return true;
}

static bool supports_reduce(const cosrel_net *net, const cosrel_net_node *node) {
  bool reduced[COSREL_RANK_MAX];
  return find_axes(net, node, reduced);
}

/* Order of the axes in memory, the outermost first; do the reduced ones lie together? Then also how much is what. */
static bool is_line(const cosrel_shape *shape, const bool *reduced, const uint32_t *order, line *l) {
  *l = (line){1, 1, 1};
  for (uint32_t i = 0; i < shape->rank; i++) {
    uint32_t axis = order[i], size = shape->dims[axis];
    if (size == 1) continue;
    if (reduced[axis] && l->inner > 1) return false;
    *(reduced[axis] ? &l->n : l->n > 1 ? &l->inner : &l->outer) *= size;
  }
  return true;
}

/* How the output lies when the kept axes stay in `order`. Output axes are the input's, or those kept. */
static cosrel_view view_of_kept(const cosrel_shape *shape, const bool *reduced, const uint32_t *order, bool keeps) {
  cosrel_view view = {0};
  int64_t stride = 1;
  for (uint32_t i = shape->rank; i-- > 0;) {
    uint32_t axis = order[i], at = 0;
    if (reduced[axis]) continue;
    for (uint32_t k = 0; k < axis; k++) at += keeps || !reduced[k];
    view.strides[at] = stride;
    stride *= shape->dims[axis];
  }
  return view;
}

static void add_reduce(cosrel_cl_planner *planner, reduction kind, const line *l, cosrel_cl_ref in, cosrel_cl_ref out) {
  cosrel_cl_launch launch = cosrel_cl_launch_of("reduce", l->inner == 1 ? "reduce_rows" : "reduce_columns");
  cosrel_cl_push_in(&launch, in);
  cosrel_cl_push_out(&launch, out);
  cosrel_cl_push_int(&launch, (int64_t)kind);
  if (l->inner > 1) cosrel_cl_push_int(&launch, (int64_t)l->outer);
  cosrel_cl_push_int(&launch, (int64_t)l->n);
  if (l->inner > 1) cosrel_cl_push_int(&launch, (int64_t)l->inner);
  if (l->inner > 1)
    cosrel_cl_size(&launch, ((size_t)l->inner + 7) / 8, (size_t)l->outer, 1, 8, 8, 1);
  else
    cosrel_cl_size(&launch, (size_t)l->outer * GROUP, 1, 1, GROUP, 1, 1);
  cosrel_cl_add(planner, &launch);
}

static void reduce(cosrel_cl_planner *planner, const cosrel_net_node *node) {
  static const uint32_t nhwc_order[4] = {0, 2, 3, 1};
  int32_t in = cosrel_cl_input(planner, node, 0), out = cosrel_cl_output(planner, node);
  const cosrel_shape *shape = cosrel_cl_shape(planner, in), *out_shape = cosrel_cl_shape(planner, out);
  bool nhwc = shape->rank == 4 && cosrel_cl_is_dense(planner, in, true), reduced[COSREL_RANK_MAX] = {false};
  uint32_t order[COSREL_RANK_MAX] = {0}, kept = 0;
  line l;
  cosrel_cl_ref from;
  find_axes(planner->net, node, reduced);
  for (uint32_t i = 0; i < shape->rank; i++) order[i] = nhwc ? nhwc_order[i] : i;
  if (is_line(shape, reduced, order, &l)) {
    from = cosrel_cl_dense(planner, in, nhwc);
  } else { /* a copy with the reduced axes last */
    cosrel_view view, to = {0};
    for (int pass = 0; pass < 2; pass++)
      for (uint32_t i = 0; i < shape->rank; i++)
        if (reduced[i] == (pass == 1)) order[kept++] = i;
    int64_t stride = 1;
    for (uint32_t i = shape->rank; i-- > 0;) {
      to.strides[order[i]] = stride;
      stride *= shape->dims[order[i]];
    }
    cosrel_cl_ref source = cosrel_cl_view(planner, in, &view);
    from = cosrel_cl_scratch(planner, (uint64_t)stride);
    cosrel_cl_add_move(planner, shape, source, &view, from, &to);
    is_line(shape, reduced, order, &l);
  }
  cosrel_view view = view_of_kept(shape, reduced, order, out_shape->rank == shape->rank);
  bool by_rows = cosrel_view_is_dense(out_shape, &view, false),
       by_pixels = cosrel_view_is_dense(out_shape, &view, true);
  if (by_rows || by_pixels) {
    add_reduce(planner, find_reduction(node->op->name), &l, from, cosrel_cl_result(planner, out, by_pixels));
  } else {
    cosrel_cl_ref to = cosrel_cl_scratch(planner, cosrel_shape_elements(out_shape));
    add_reduce(planner, find_reduction(node->op->name), &l, from, to);
    cosrel_cl_alias(planner, out, to, &view);
  }
}

const cosrel_cl_rule cosrel_cl_reduce_rules[] = {
    {"GlobalAveragePool", supports_reduce, reduce},
    {"GlobalMaxPool", supports_reduce, reduce},
    {"LayerNormalization", supports_layer_norm, layer_norm},
    {"LogSoftmax", always, softmax},
    {"ReduceL1", supports_reduce, reduce},
    {"ReduceL2", supports_reduce, reduce},
    {"ReduceLogSum", supports_reduce, reduce},
    {"ReduceMax", supports_reduce, reduce},
    {"ReduceMean", supports_reduce, reduce},
    {"ReduceMin", supports_reduce, reduce},
    {"ReduceProd", supports_reduce, reduce},
    {"ReduceSum", supports_reduce, reduce},
    {"ReduceSumSquare", supports_reduce, reduce},
    {"Softmax", always, softmax},
    {NULL, NULL, NULL},
};
