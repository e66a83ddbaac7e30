#include "backends/xnnpack/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/grow.h"
#include "backends/node.h"
#include "backends/reference/operators.h"
#include "backends/xnnpack/memory.h"

/* Where a value lies while the unit is planned; stale unless `round` is the planner's. */
typedef struct xnn_value {
  uint32_t round;
  cosrel_xnn_ref ref;
  cosrel_view view; /* its offset is inside ref */
  cosrel_xnn_ref dense[2];
  bool has_dense[2]; /* further copies: row-major, NHWC */
} xnn_value;

/* ---- Memory that grows ---- */

static void *grow(cosrel_xnn_planner *planner, void *array, uint32_t *capacity, uint32_t used, size_t size) {
  void *grown = cosrel_grow(array, capacity, used, 1, size);
  if (grown == NULL) planner->status = COSREL_NOMEM;
  return grown;
}

cosrel_xnn_step *cosrel_xnn_add_step(cosrel_xnn_planner *planner) {
  struct cosrel_prepared *p = planner->prepared;
  cosrel_xnn_step *steps = grow(planner, p->steps, &p->step_capacity, p->n_steps, sizeof *steps);
  if (steps == NULL) return NULL;
  p->steps = steps;
  steps[p->n_steps] = (cosrel_xnn_step){0};
  return &steps[p->n_steps++];
}

float *cosrel_xnn_own(cosrel_xnn_planner *planner, uint64_t elements) {
  struct cosrel_prepared *p = planner->prepared;
  void **owned = grow(planner, p->owned, &p->owned_capacity, p->n_owned, sizeof *owned);
  if (owned == NULL) return NULL;
  p->owned = owned;
  size_t bytes = elements * sizeof(float) + COSREL_PADDING;
  void *memory = calloc(1, bytes);
  if (memory == NULL) {
    planner->status = COSREL_NOMEM;
    return NULL;
  }
  planner->own_bytes += bytes;
  owned[p->n_owned++] = memory;
  return memory;
}

cosrel_xnn_ref cosrel_xnn_scratch(cosrel_xnn_planner *planner, uint64_t elements) {
  int64_t bytes = (int64_t)(elements * sizeof(float));
  cosrel_xnn_ref ref = {.base = COSREL_XNN_SCRATCH, .offset = planner->scratch};
  planner->scratch += (bytes + COSREL_PADDING + COSREL_ALIGNMENT - 1) / COSREL_ALIGNMENT * COSREL_ALIGNMENT;
  if (planner->scratch > planner->scratch_max) planner->scratch_max = planner->scratch;
  return ref;
}

static cosrel_xnn_ref add_scratch(cosrel_xnn_planner *planner, const cosrel_shape *shape) {
  return cosrel_xnn_scratch(planner, cosrel_shape_elements(shape));
}

/* ---- Places ---- */

static const cosrel_shape *shape_of(const cosrel_xnn_planner *planner, int32_t value) {
  return &planner->net->values[value].tensor.shape;
}

static xnn_value *look_up(cosrel_xnn_planner *planner, int32_t value) {
  xnn_value *v = &planner->values[value];
  if (v->round == planner->round) return v;
  const void *constant = planner->net->values[value].tensor.data;
  *v = (xnn_value){.round = planner->round};
  v->ref = constant != NULL ? (cosrel_xnn_ref){.base = COSREL_XNN_CONSTANT, .constant = constant}
                            : (cosrel_xnn_ref){.base = COSREL_XNN_ARENA, .offset = planner->network->offsets[value]};
  v->view = cosrel_view_dense(shape_of(planner, value), constant == NULL);
  return v;
}

bool cosrel_xnn_is_dense(cosrel_xnn_planner *planner, int32_t value, bool nhwc) {
  return cosrel_view_is_dense(shape_of(planner, value), &look_up(planner, value)->view, nhwc);
}

cosrel_xnn_ref cosrel_xnn_view(cosrel_xnn_planner *planner, int32_t value, cosrel_view *view) {
  const xnn_value *v = look_up(planner, value);
  *view = v->view;
  return v->ref;
}

static void compute_move(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases) {
  cosrel_move_run(&step->move, cosrel_xnn_read(bases, &step->in[0]), cosrel_xnn_write(bases, &step->out));
}

void cosrel_xnn_add_move(cosrel_xnn_planner *planner, const cosrel_shape *shape, cosrel_xnn_ref from,
                         const cosrel_view *from_view, cosrel_xnn_ref to, const cosrel_view *to_view) {
  cosrel_xnn_step *step = cosrel_xnn_add_step(planner);
  if (step == NULL) return;
  step->compute = compute_move;
  step->in[0] = from;
  step->out = to;
  step->move = cosrel_move_plan(shape, from_view, to_view);
}

cosrel_xnn_ref cosrel_xnn_dense(cosrel_xnn_planner *planner, int32_t value, bool nhwc) {
  xnn_value *v = look_up(planner, value);
  const cosrel_shape *shape = shape_of(planner, value);
  if (cosrel_view_is_dense(shape, &v->view, nhwc)) return v->ref;
  if (v->has_dense[nhwc]) return v->dense[nhwc];
  cosrel_view dense = cosrel_view_dense(shape, nhwc);
  if (v->ref.base == COSREL_XNN_CONSTANT) {
    float *copy = cosrel_xnn_own(planner, cosrel_shape_elements(shape));
    if (copy == NULL) return v->ref;
    cosrel_move move = cosrel_move_plan(shape, &v->view, &dense);
    cosrel_move_run(&move, v->ref.constant, copy);
    v->dense[nhwc] = (cosrel_xnn_ref){.base = COSREL_XNN_CONSTANT, .constant = copy};
  } else {
    v->dense[nhwc] = add_scratch(planner, shape);
    cosrel_xnn_add_move(planner, shape, v->ref, &v->view, v->dense[nhwc], &dense);
  }
  v->has_dense[nhwc] = true;
  return v->dense[nhwc];
}

static cosrel_xnn_ref arena_ref(const cosrel_xnn_planner *planner, int32_t value) {
  return (cosrel_xnn_ref){.base = COSREL_XNN_ARENA, .offset = planner->network->offsets[value]};
}

cosrel_xnn_ref cosrel_xnn_result(cosrel_xnn_planner *planner, int32_t value, bool nhwc) {
  const cosrel_shape *shape = shape_of(planner, value);
  cosrel_view view = cosrel_view_dense(shape, nhwc);
  bool in_arena = value == planner->unit->output && cosrel_view_is_dense(shape, &view, true);
  cosrel_xnn_ref ref = in_arena ? arena_ref(planner, value) : add_scratch(planner, shape);
  planner->values[value] = (xnn_value){.round = planner->round, .ref = ref, .view = view};
  return ref;
}

void cosrel_xnn_alias(cosrel_xnn_planner *planner, int32_t value, cosrel_xnn_ref ref, const cosrel_view *view) {
  if (ref.base == COSREL_XNN_CONSTANT) {
    ref.constant += view->offset;
  } else {
    ref.offset += view->offset * (int64_t)sizeof(float);
  }
  xnn_value *v = &planner->values[value];
  *v = (xnn_value){.round = planner->round, .ref = ref, .view = *view};
  v->view.offset = 0;
}

const cosrel_tensor *cosrel_xnn_in(const cosrel_xnn_planner *planner, const cosrel_net_node *node, uint32_t i) {
  return cosrel_node_in(planner->net, node, i);
}

int32_t cosrel_xnn_out(const cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  return cosrel_net_node_outputs(planner->net, node)[0];
}

/* ---- Matrix products ---- */

static void compute_gemm(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases) {
  cosrel_blas_conv_run(&step->gemm, cosrel_xnn_read(bases, &step->in[0]), cosrel_xnn_write(bases, &step->out),
                       cosrel_xnn_write(bases, &step->in[1]), bases->pool);
}

cosrel_status cosrel_xnn_add_blas_conv(cosrel_xnn_planner *planner, cosrel_blas_conv gemm, int32_t in, int32_t out) {
  if (!cosrel_blas_conv_pays(&gemm)) return COSREL_UNSUPPORTED;
  size_t depth = (size_t)gemm.window.kernel[0] * gemm.window.kernel[1] * gemm.channels;
  float *weights = cosrel_xnn_own(planner, gemm.out_channels * depth);
  float *bias = gemm.bias != NULL ? cosrel_xnn_own(planner, gemm.out_channels) : NULL;
  if (planner->status != COSREL_OK) return planner->status;
  memcpy(weights, gemm.weights, gemm.out_channels * depth * sizeof *weights);
  if (bias != NULL) memcpy(bias, gemm.bias, gemm.out_channels * sizeof *bias);
  gemm.weights = weights;
  gemm.bias = bias;
  size_t patches = cosrel_blas_conv_plan(&gemm, (uint32_t)pthreadpool_get_threads_count(planner->pool));
  bool image = shape_of(planner, out)->rank == 4;
  cosrel_xnn_ref from = cosrel_xnn_dense(planner, in, image), to = cosrel_xnn_result(planner, out, image);
  cosrel_xnn_ref room = cosrel_xnn_scratch(planner, patches);
  cosrel_xnn_step *step = cosrel_xnn_add_step(planner);
  if (step == NULL) return COSREL_NOMEM;
  step->compute = compute_gemm;
  step->in[0] = from;
  step->in[1] = room;
  step->out = to;
  step->gemm = gemm;
  return COSREL_OK;
}

/* ---- Followers that a step does along the way ---- */

/* The only node of the unit that reads `value`, which is not the unit's output; NULL: there is none, or several. */
static const cosrel_net_node *only_reader(const cosrel_xnn_planner *planner, int32_t value) {
  const cosrel_net_node *reader = NULL;
  if (value == planner->unit->output) return NULL;
  for (uint32_t i = planner->next; i < planner->unit->n_nodes; i++) {
    const cosrel_net_node *node = &planner->net->nodes[planner->network->nodes[planner->unit->first_node + i]];
    for (uint32_t k = 0; k < node->n_inputs; k++) {
      if (cosrel_net_node_inputs(planner->net, node)[k] != value) continue;
      if (reader != NULL) return NULL;
      reader = node;
    }
  }
  return reader;
}

static int32_t take(cosrel_xnn_planner *planner, const cosrel_net_node *node) {
  planner->taken[planner->n_taken++] = (uint32_t)(node - planner->net->nodes);
  return cosrel_xnn_out(planner, node);
}

static bool is_taken(const cosrel_xnn_planner *planner, uint32_t node) {
  for (uint32_t i = 0; i < planner->n_taken; i++) {
    if (planner->taken[i] == node) return true;
  }
  return false;
}

int32_t cosrel_xnn_take_clamp(cosrel_xnn_planner *planner, int32_t value, float *low, float *high) {
  const cosrel_net_node *reader = only_reader(planner, value);
  if (reader != NULL && cosrel_node_clamp(planner->net, reader, low, high)) return take(planner, reader);
  *low = -INFINITY;
  *high = INFINITY;
  return value;
}

int32_t cosrel_xnn_take_bias(cosrel_xnn_planner *planner, int32_t value, uint32_t n, const float **bias) {
  const cosrel_net_node *reader = only_reader(planner, value);
  if (reader == NULL || strcmp(reader->op->name, "Add") != 0) return value;
  for (uint32_t i = 0; i < 2; i++) {
    const cosrel_tensor *tensor = cosrel_xnn_in(planner, reader, i);
    const cosrel_shape *shape = &tensor->shape;
    if (tensor->data == NULL || shape->rank == 0 || shape->dims[shape->rank - 1] != n ||
        cosrel_shape_elements(shape) != n || shape->rank > shape_of(planner, value)->rank) {
      continue;
    }
    *bias = tensor->data;
    return take(planner, reader);
  }
  return value;
}

/* ---- Nodes left to the reference executor ---- */

static void compute_reference(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases) {
  struct cosrel_prepared *p = step->reference.prepared;
  for (uint32_t i = 0; i < step->reference.n_bindings; i++) {
    const cosrel_xnn_binding *binding = &p->bindings[step->reference.first_binding + i];
    p->tensors[binding->value].data = (float *)cosrel_xnn_read(bases, &binding->ref); /* inputs are only read */
  }
  cosrel_reference_node(&p->network->net, step->reference.node, p->tensors);
}

static void bind(cosrel_xnn_planner *planner, int32_t value, cosrel_xnn_ref ref) {
  struct cosrel_prepared *p = planner->prepared;
  cosrel_xnn_binding *bindings = grow(planner, p->bindings, &p->binding_capacity, p->n_bindings, sizeof *bindings);
  if (bindings == NULL) return;
  p->bindings = bindings;
  bindings[p->n_bindings++] = (cosrel_xnn_binding){value, ref};
}

static void plan_reference(cosrel_xnn_planner *planner, uint32_t index) {
  const cosrel_net *net = planner->net;
  const cosrel_net_node *node = &net->nodes[index];
  struct cosrel_prepared *p = planner->prepared;
  uint32_t first = p->n_bindings;
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    int32_t value = cosrel_net_node_inputs(net, node)[i];
    if (value < 0 || cosrel_value_is_constant(net, value)) continue;
    bind(planner, value, cosrel_xnn_dense(planner, value, false));
  }
  for (uint32_t i = 0; i < node->n_outputs; i++) {
    int32_t value = cosrel_net_node_outputs(net, node)[i];
    if (value >= 0) bind(planner, value, cosrel_xnn_result(planner, value, false));
  }
  cosrel_xnn_step *step = cosrel_xnn_add_step(planner);
  if (step == NULL) return;
  step->compute = compute_reference;
  step->reference.prepared = p;
  step->reference.node = index;
  step->reference.first_binding = first;
  step->reference.n_bindings = p->n_bindings - first;
}

/* ---- Units ---- */

static void plan_node(cosrel_xnn_planner *planner, uint32_t index) {
  const cosrel_net_node *node = &planner->net->nodes[index];
  cosrel_xnn_rule rule = cosrel_xnn_find_rule(node->op->name);
  uint32_t n_taken = planner->n_taken;
  if (rule != NULL && rule(planner, node) == COSREL_OK) return;
  planner->n_taken = n_taken;
  plan_reference(planner, index);
}

static void plan_unit(cosrel_xnn_planner *planner, const cosrel_network_unit *unit) {
  planner->unit = unit;
  planner->own_bytes = 0;
  planner->round++;
  planner->scratch = 0;
  planner->n_taken = 0;
  for (uint32_t i = 0; i < unit->n_nodes; i++) {
    uint32_t index = planner->network->nodes[unit->first_node + i];
    planner->next = i + 1;
    if (!is_taken(planner, index)) plan_node(planner, index);
  }
  const xnn_value *v = look_up(planner, unit->output);
  cosrel_view dense = cosrel_view_dense(shape_of(planner, unit->output), true);
  cosrel_xnn_ref place = arena_ref(planner, unit->output);
  bool there = v->ref.base == COSREL_XNN_ARENA && v->ref.offset == place.offset &&
               cosrel_view_is_dense(shape_of(planner, unit->output), &v->view, true);
  if (!there) cosrel_xnn_add_move(planner, shape_of(planner, unit->output), v->ref, &v->view, place, &dense);
}

/* Operators without weights take a little too: what a budget is not about. */
static void count(struct cosrel_prepared *p, uint32_t unit, uint64_t bytes) {
  if (p->network->model.units[unit].weights > 0) p->weight_bytes[unit] += bytes;
}

/* Tells every operator its sizes once, so that it takes the memory that it needs now and not in the first segment. The
 * arena must be a whole one although nothing is read: XNNPACK knows its padding by the address of a buffer of zeros,
 * and would take pixels at made-up addresses for padding wherever these fall on that buffer. */
static cosrel_status set_up(struct cosrel_prepared *p, pthreadpool_t pool, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  void *arena = NULL;
  if (posix_memalign(&arena, COSREL_ALIGNMENT, (size_t)p->network->arena_bytes) != 0)
    return cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", p->network->net.name);
  cosrel_xnn_bases bases = {.arena = arena, .scratch = p->bases.scratch};
  for (uint32_t i = 0, u = 0; i < p->n_steps && status == COSREL_OK; i++) {
    cosrel_xnn_step *step = &p->steps[i];
    while (p->first_step[u + 1] <= i) u++;
    if (step->setup == NULL) continue;
    uint64_t before = cosrel_xnn_taken();
    enum xnn_status result = step->setup(step, &bases, pool);
    count(p, u, cosrel_xnn_taken() - before);
    if (result == xnn_status_out_of_memory) {
      status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", p->network->net.name);
    } else if (result != xnn_status_success) {
      status = cosrel_fail(error, COSREL_INTERNAL, "%s: XNNPACK refused step %u", p->network->net.name, (unsigned)i);
    }
  }
  free(arena);
  return status;
}

cosrel_status cosrel_xnn_plan(const cosrel_network *network, pthreadpool_t pool, struct cosrel_prepared **out,
                              cosrel_error *error) {
  const cosrel_net *net = &network->net;
  cosrel_status status = COSREL_OK;
  struct cosrel_prepared *p = calloc(1, sizeof *p);
  cosrel_xnn_planner planner = {.prepared = p, .network = network, .net = net, .pool = pool};
  planner.values = calloc(net->n_values + 1, sizeof *planner.values);
  planner.taken = calloc(net->n_nodes + 1, sizeof *planner.taken);
  if (p == NULL || planner.values == NULL || planner.taken == NULL) goto no_memory;
  p->network = network;
  p->first_step = calloc(network->model.n_units + 1, sizeof *p->first_step);
  p->weight_bytes = calloc(network->model.n_units, sizeof *p->weight_bytes);
  p->tensors = malloc((net->n_values + 1) * sizeof *p->tensors);
  if (p->first_step == NULL || p->weight_bytes == NULL || p->tensors == NULL) goto no_memory;
  for (uint32_t v = 0; v < net->n_values; v++) p->tensors[v] = net->values[v].tensor;
  for (uint32_t u = 0; u < network->model.n_units; u++) {
    uint64_t before = cosrel_xnn_taken();
    plan_unit(&planner, &network->units[u]);
    count(p, u, cosrel_xnn_taken() - before + planner.own_bytes);
    p->first_step[u + 1] = p->n_steps;
  }
  if (planner.status != COSREL_OK) goto no_memory;
  p->scratch_memory = calloc(1, (size_t)planner.scratch_max + COSREL_PADDING + COSREL_ALIGNMENT);
  if (p->scratch_memory == NULL) goto no_memory;
  char *memory = p->scratch_memory;
  p->bases.scratch = memory + (COSREL_ALIGNMENT - (uintptr_t)memory % COSREL_ALIGNMENT) % COSREL_ALIGNMENT;
  p->bases.pool = pool;
  status = set_up(p, pool, error);
  goto done;

no_memory:
  status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", net->name);
done:
  free(planner.values);
  free(planner.taken);
  if (status != COSREL_OK) {
    cosrel_xnn_plan_destroy(p);
    p = NULL;
  }
  *out = p;
  return status;
}

void cosrel_xnn_plan_destroy(struct cosrel_prepared *prepared) {
  if (prepared == NULL) return;
  for (uint32_t i = 0; i < prepared->n_steps; i++) {
    if (prepared->steps[i].op != NULL) xnn_delete_operator(prepared->steps[i].op);
  }
  for (uint32_t i = 0; i < prepared->n_owned; i++) free(prepared->owned[i]);
  free(prepared->first_step);
  free(prepared->weight_bytes);
  free(prepared->steps);
  free(prepared->bindings);
  free(prepared->tensors);
  free(prepared->owned);
  free(prepared->scratch_memory);
  free(prepared);
}
