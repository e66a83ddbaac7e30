#include "backends/fuse.h"

#include <stdlib.h>
#include <string.h>

/* What is known of each node while units form. The value of a node is the output of `unit`, seen through any number
 * of vanished nodes. */
typedef struct node_info {
  uint32_t readers; /* nodes that read it, plus one if the caller does */
  int32_t unit;     /* COSREL_MODEL_INPUT for graph inputs */
  bool absorbed;    /* a transpose that a matrix product does on the way */
  bool exclusive;   /* the last node of its unit, and at most one node reads it: an epilogue may still join */
} node_info;

typedef struct draft_unit {
  int32_t first, last; /* nodes */
  uint64_t weights, macs;
  uint32_t place; /* in the final order */
  bool read, seen;
} draft_unit;

typedef struct fusion {
  const cosrel_graph *graph;
  node_info *nodes;  /* [graph->n_nodes] */
  draft_unit *units; /* [graph->n_nodes] */
  int32_t *order;    /* [n_units] drafts in their final order */
  int32_t *stack;    /* [n_units] */
  uint32_t *next;    /* [n_units] next input to visit of each unit on the stack */
  uint32_t n_units;
} fusion;

static const int32_t *node_inputs(const fusion *f, int32_t node) {
  return &f->graph->inputs[f->graph->nodes[node].first_input];
}

/* In row-major memory a slice is contiguous when all axes before it have size 1. */
static bool slice_is_view(const cosrel_node *node) {
  for (uint32_t i = 0; i < node->axis; i++) {
    if (node->shape.dims[i] != 1) return false;
  }
  return true;
}

static bool is_matmul(const fusion *f, int32_t node) { return f->graph->nodes[node].op == COSREL_OP_MATMUL; }

/* A transpose is absorbed when a matrix product makes its input, or when only matrix products read it. */
static void mark_absorbed(fusion *f) {
  const cosrel_graph *graph = f->graph;
  for (uint32_t n = 0; n < graph->n_nodes; n++)
    f->nodes[n].absorbed = f->nodes[n].readers > 0 && !graph->nodes[n].output;
  for (int32_t n = 0; n < (int32_t)graph->n_nodes; n++) {
    if (is_matmul(f, n)) continue;
    for (uint32_t i = 0; i < graph->nodes[n].n_inputs; i++) f->nodes[node_inputs(f, n)[i]].absorbed = false;
  }
  for (int32_t n = 0; n < (int32_t)graph->n_nodes; n++) {
    if (graph->nodes[n].op == COSREL_OP_TRANSPOSE && is_matmul(f, node_inputs(f, n)[0])) f->nodes[n].absorbed = true;
  }
}

static bool vanishes(const fusion *f, int32_t n) {
  const cosrel_node *node = &f->graph->nodes[n];
  switch (node->op) {
    case COSREL_OP_IDENTITY:
    case COSREL_OP_RESHAPE:
    case COSREL_OP_FLATTEN: return true;
    case COSREL_OP_SLICE: return slice_is_view(node);
    case COSREL_OP_TRANSPOSE: return f->nodes[n].absorbed;
    default: return false;
  }
}

/* What model files write as several operators: GELU, a layer norm with its scale and shift. */
static bool is_elementwise_chain(cosrel_op head) {
  return head == COSREL_OP_ACTIVATION || head == COSREL_OP_LAYER_NORM;
}

/* Whether `op` may run as the last step of the kernel that begins with `head`. */
static bool is_epilogue(cosrel_op op, cosrel_op head) {
  bool product = head == COSREL_OP_DENSE || head == COSREL_OP_MATMUL;
  switch (op) {
    case COSREL_OP_BATCH_NORM:
    case COSREL_OP_ACTIVATION:
      return product || head == COSREL_OP_CONV || head == COSREL_OP_ADD || head == COSREL_OP_MUL ||
             head == COSREL_OP_BATCH_NORM || (op == COSREL_OP_ACTIVATION && is_elementwise_chain(head));
    case COSREL_OP_LAYER_NORM: return head == COSREL_OP_LAYER_NORM;
    case COSREL_OP_SOFTMAX: return product;
    default: return false;
  }
}

static cosrel_kind kind_of(const fusion *f, int32_t n) {
  const cosrel_node *node = &f->graph->nodes[n];
  switch (node->op) {
    case COSREL_OP_CONV: {
      uint32_t channels = f->graph->nodes[node_inputs(f, n)[0]].shape.dims[1];
      if (node->groups > 1 && node->groups == channels) return COSREL_KIND_DEPTHWISE;
      return node->window.kernel[0] == 1 && node->window.kernel[1] == 1 ? COSREL_KIND_CONV1X1 : COSREL_KIND_CONV;
    }
    case COSREL_OP_DENSE: return COSREL_KIND_DENSE;
    case COSREL_OP_MATMUL: return COSREL_KIND_ATTENTION;
    case COSREL_OP_MAX_POOL:
    case COSREL_OP_AVERAGE_POOL:
    case COSREL_OP_GLOBAL_POOL: return COSREL_KIND_POOL;
    case COSREL_OP_BATCH_NORM:
    case COSREL_OP_LAYER_NORM:
    case COSREL_OP_LRN:
    case COSREL_OP_ACTIVATION:
    case COSREL_OP_SOFTMAX:
    case COSREL_OP_ADD:
    case COSREL_OP_MUL: return COSREL_KIND_ELEMENTWISE;
    case COSREL_OP_CONCAT: return COSREL_KIND_CONCAT;
    case COSREL_OP_RESIZE: return COSREL_KIND_RESIZE;
    default: return COSREL_KIND_OTHER;
  }
}

static void form_units(fusion *f) {
  for (int32_t n = 0; n < (int32_t)f->graph->n_nodes; n++) {
    const cosrel_node *node = &f->graph->nodes[n];
    node_info *info = &f->nodes[n];
    if (node->op == COSREL_OP_INPUT) {
      info->unit = COSREL_MODEL_INPUT;
      info->exclusive = false;
      continue;
    }
    const node_info *source = &f->nodes[node_inputs(f, n)[0]];
    if (vanishes(f, n)) {
      /* Half a tensor: what joins behind a slice would not apply to the other half. */
      info->exclusive = source->exclusive && info->readers <= 1 && node->op != COSREL_OP_SLICE;
      info->unit = source->unit;
      continue;
    }
    info->exclusive = info->readers <= 1;
    if (source->exclusive && is_epilogue(node->op, f->graph->nodes[f->units[source->unit].first].op)) {
      info->unit = source->unit;
    } else {
      info->unit = (int32_t)f->n_units++;
      f->units[info->unit] = (draft_unit){.first = n};
    }
    draft_unit *unit = &f->units[info->unit];
    unit->last = n;
    unit->weights += node->parameters;
    unit->macs += node->macs;
  }
}

/* Places `root` after everything it reads, depth first: after the whole of its first branch, then the whole of its
 * second one, and so on. The stack replaces recursion, since a file decides how deep the graph is. */
static void place_from(fusion *f, int32_t root, uint32_t *placed) {
  uint32_t depth = 0;
  f->stack[depth] = root;
  f->next[depth++] = 0;
  f->units[root].seen = true;
  while (depth > 0) {
    int32_t u = f->stack[depth - 1];
    int32_t first = f->units[u].first;
    if (f->next[depth - 1] == f->graph->nodes[first].n_inputs) {
      f->units[u].place = *placed;
      f->order[(*placed)++] = u;
      depth--;
      continue;
    }
    int32_t producer = f->nodes[node_inputs(f, first)[f->next[depth - 1]++]].unit;
    if (producer != COSREL_MODEL_INPUT && !f->units[producer].seen) {
      f->units[producer].seen = true;
      f->stack[depth] = producer;
      f->next[depth++] = 0;
    }
  }
}

/* Only units that nobody reads are roots; everything else hangs below one of them. */
static void order_units(fusion *f) {
  uint32_t placed = 0;
  for (uint32_t u = 0; u < f->n_units; u++) {
    int32_t first = f->units[u].first;
    for (uint32_t i = 0; i < f->graph->nodes[first].n_inputs; i++) {
      int32_t producer = f->nodes[node_inputs(f, first)[i]].unit;
      if (producer != COSREL_MODEL_INPUT) f->units[producer].read = true;
    }
  }
  for (uint32_t u = 0; u < f->n_units; u++) {
    if (!f->units[u].read) place_from(f, (int32_t)u, &placed);
  }
}

static void emit(const fusion *f, cosrel_model *model) {
  const cosrel_graph *graph = f->graph;
  memcpy(model->name, graph->name, sizeof model->name);
  for (uint32_t n = 0; n < graph->n_nodes; n++) {
    if (graph->nodes[n].op == COSREL_OP_INPUT) model->input_elems += cosrel_shape_elements(&graph->nodes[n].shape);
  }
  for (uint32_t p = 0; p < f->n_units; p++) {
    const draft_unit *draft = &f->units[f->order[p]];
    const cosrel_node *first = &graph->nodes[draft->first];
    cosrel_unit *unit = &model->units[p];
    memcpy(unit->name, first->name, sizeof unit->name);
    unit->kind = kind_of(f, draft->first);
    unit->macs = draft->macs;
    unit->weights = draft->weights;
    unit->out_elems = cosrel_shape_elements(&graph->nodes[draft->last].shape);
    unit->first_input = model->n_edges;
    for (uint32_t i = 0; i < first->n_inputs; i++) {
      int32_t node = node_inputs(f, draft->first)[i];
      int32_t producer = f->nodes[node].unit;
      if (producer != COSREL_MODEL_INPUT) producer = (int32_t)f->units[producer].place;
      unit->in_elems += cosrel_shape_elements(&graph->nodes[node].shape);
      /* Two views of one tensor are one edge: it moves once. */
      bool known = false;
      for (uint32_t e = unit->first_input; e < model->n_edges; e++) known |= model->inputs[e] == producer;
      if (!known) model->inputs[model->n_edges++] = producer;
    }
    unit->n_inputs = model->n_edges - unit->first_input;
  }
  model->n_units = f->n_units;
}

cosrel_status cosrel_graph_fuse(const cosrel_graph *graph, cosrel_model *model, cosrel_error *error) {
  return cosrel_graph_fuse_ends(graph, model, NULL, error);
}

cosrel_status cosrel_graph_fuse_ends(const cosrel_graph *graph, cosrel_model *model, int32_t *ends,
                                     cosrel_error *error) {
  *model = (cosrel_model){0};
  cosrel_status status = cosrel_graph_finish(graph, error);
  if (status != COSREL_OK) return status;

  uint32_t n = graph->n_nodes;
  fusion f = {.graph = graph};
  f.nodes = calloc(n, sizeof *f.nodes);
  f.units = calloc(n, sizeof *f.units);
  f.order = calloc(n, sizeof *f.order);
  f.stack = calloc(n, sizeof *f.stack);
  f.next = calloc(n, sizeof *f.next);
  if (f.nodes == NULL || f.units == NULL || f.order == NULL || f.stack == NULL || f.next == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", graph->name);
    goto done;
  }
  for (uint32_t i = 0; i < graph->n_inputs; i++) f.nodes[graph->inputs[i]].readers++;
  for (uint32_t i = 0; i < n; i++) f.nodes[i].readers += graph->nodes[i].output;
  mark_absorbed(&f);
  form_units(&f);
  if (f.n_units > COSREL_UNITS_MAX) {
    status = cosrel_fail(error, COSREL_LIMIT, "%s: expected at most %d units, got %u", graph->name, COSREL_UNITS_MAX,
                         (unsigned)f.n_units);
    goto done;
  }
  order_units(&f);
  model->units = calloc(f.n_units + 1, sizeof *model->units);
  model->inputs = calloc(graph->n_inputs + 1, sizeof *model->inputs);
  if (model->units == NULL || model->inputs == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", graph->name);
    goto done;
  }
  emit(&f, model);
  for (uint32_t p = 0; ends != NULL && p < f.n_units; p++) ends[p] = f.units[f.order[p]].last;
  status = cosrel_model_check(model, model->name, error);

done:
  if (status != COSREL_OK) cosrel_model_clear(model);
  free(f.nodes);
  free(f.units);
  free(f.order);
  free(f.stack);
  free(f.next);
  return status;
}
