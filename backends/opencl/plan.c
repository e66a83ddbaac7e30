#include "backends/opencl/plan.h"

#include <stdlib.h>
#include <string.h>

#include "backends/grow.h"
#include "backends/half.h"
#include "backends/opencl/rules.h"
#include "backends/opencl/tuner.h"

/* Where a value lies while the unit is planned; stale unless `round` is the planner's. */
typedef struct cl_value {
  uint32_t round;
  uint32_t uploaded; /* for every round: 1 + the constant that holds a constant value as the net has it, or 0 */
  cosrel_cl_ref ref;
  cosrel_view view; /* its offset is 0: ref holds it */
  cosrel_cl_ref dense[2];
  bool has_dense[2]; /* further copies: row-major, NHWC */
} cl_value;

/* ---- Memory that grows ---- */

static void *grow(cosrel_cl_planner *planner, void *array, uint32_t *capacity, uint32_t used, size_t size) {
  void *grown = cosrel_grow(array, capacity, used, 1, size);
  if (grown == NULL) planner->status = COSREL_NOMEM;
  return grown;
}

void cosrel_cl_add(cosrel_cl_planner *planner, const cosrel_cl_launch *launch) {
  struct cosrel_prepared *p = planner->prepared;
  cosrel_cl_launch *launches = grow(planner, p->launches, &p->launch_capacity, p->n_launches, sizeof *launches);
  if (launches == NULL) return;
  p->launches = launches;
  launches[p->n_launches++] = *launch;
}

float *cosrel_cl_add_constant(cosrel_cl_planner *planner, uint64_t elements, cosrel_cl_ref *ref) {
  struct cosrel_prepared *p = planner->prepared;
  *ref = (cosrel_cl_ref){.base = COSREL_CL_CONSTANT, .constant = p->n_constants};
  cosrel_cl_constant *constants = grow(planner, p->constants, &p->constant_capacity, p->n_constants, sizeof *constants);
  if (constants == NULL) return NULL;
  p->constants = constants;
  float *host = calloc(1, elements * sizeof *host + COSREL_PADDING);
  if (host == NULL) {
    planner->status = COSREL_NOMEM;
    return NULL;
  }
  constants[p->n_constants++] = (cosrel_cl_constant){.host = host, .elements = elements};
  return host;
}

void cosrel_cl_halve(cosrel_cl_planner *planner, cosrel_cl_ref ref) {
  planner->prepared->constants[ref.constant].half = true;
}

cosrel_cl_ref cosrel_cl_scratch(cosrel_cl_planner *planner, uint64_t elements) {
  const int64_t line = COSREL_ALIGNMENT / sizeof(float), padding = COSREL_PADDING / sizeof(float);
  cosrel_cl_ref ref = {.base = COSREL_CL_SCRATCH, .offset = planner->scratch};
  planner->scratch += ((int64_t)elements + padding + line - 1) / line * line;
  if (planner->scratch > planner->scratch_max) planner->scratch_max = planner->scratch;
  return ref;
}

/* ---- Places ---- */

static cosrel_cl_ref arena_ref(const cosrel_cl_planner *planner, int32_t value) {
  return (cosrel_cl_ref){.base = COSREL_CL_ARENA, .offset = planner->network->offsets[value] / (int64_t)sizeof(float)};
}

/* A constant of the net as it is there; once for all units. */
static cosrel_cl_ref upload(cosrel_cl_planner *planner, int32_t value) {
  cl_value *v = &planner->values[value];
  const cosrel_tensor *tensor = &planner->net->values[value].tensor;
  cosrel_cl_ref ref = {.base = COSREL_CL_CONSTANT, .constant = v->uploaded - 1};
  if (v->uploaded > 0) return ref;
  float *host = cosrel_cl_add_constant(planner, cosrel_shape_elements(&tensor->shape), &ref);
  if (host == NULL) return ref;
  memcpy(host, tensor->data, cosrel_tensor_bytes(tensor));
  v->uploaded = 1 + ref.constant;
  return ref;
}

static cl_value *look_up(cosrel_cl_planner *planner, int32_t value) {
  cl_value *v = &planner->values[value];
  if (v->round == planner->round) return v;
  bool constant = cosrel_value_is_constant(planner->net, value);
  cosrel_cl_ref ref = constant ? upload(planner, value) : arena_ref(planner, value);
  v->round = planner->round;
  v->ref = ref;
  v->view = cosrel_view_dense(cosrel_cl_shape(planner, value), !constant);
  v->has_dense[0] = v->has_dense[1] = false;
  return v;
}

bool cosrel_cl_is_dense(cosrel_cl_planner *planner, int32_t value, bool nhwc) {
  return cosrel_view_is_dense(cosrel_cl_shape(planner, value), &look_up(planner, value)->view, nhwc);
}

cosrel_cl_ref cosrel_cl_view(cosrel_cl_planner *planner, int32_t value, cosrel_view *view) {
  const cl_value *v = look_up(planner, value);
  *view = v->view;
  return v->ref;
}

cosrel_cl_ref cosrel_cl_dense(cosrel_cl_planner *planner, int32_t value, bool nhwc) {
  cl_value *v = look_up(planner, value);
  const cosrel_shape *shape = cosrel_cl_shape(planner, value);
  if (cosrel_view_is_dense(shape, &v->view, nhwc)) return v->ref;
  if (v->has_dense[nhwc]) return v->dense[nhwc];
  cosrel_view dense = cosrel_view_dense(shape, nhwc);
  if (v->ref.base == COSREL_CL_CONSTANT) {
    cosrel_cl_ref ref;
    float *copy = cosrel_cl_add_constant(planner, cosrel_shape_elements(shape), &ref);
    if (copy == NULL) return v->ref;
    cosrel_move move = cosrel_move_plan(shape, &v->view, &dense);
    cosrel_move_run(&move, planner->prepared->constants[v->ref.constant].host + v->ref.offset, copy);
    v->dense[nhwc] = ref;
  } else {
    v->dense[nhwc] = cosrel_cl_scratch(planner, cosrel_shape_elements(shape));
    cosrel_cl_add_move(planner, shape, v->ref, &v->view, v->dense[nhwc], &dense);
  }
  v->has_dense[nhwc] = true;
  return v->dense[nhwc];
}

/* A new place of the value in this round. */
static void place(cosrel_cl_planner *planner, int32_t value, cosrel_cl_ref ref, const cosrel_view *view) {
  cl_value *v = &planner->values[value];
  v->round = planner->round;
  v->ref = ref;
  v->view = *view;
  v->view.offset = 0;
  v->has_dense[0] = v->has_dense[1] = false;
}

cosrel_cl_ref cosrel_cl_result(cosrel_cl_planner *planner, int32_t value, bool nhwc) {
  const cosrel_shape *shape = cosrel_cl_shape(planner, value);
  cosrel_view view = cosrel_view_dense(shape, nhwc);
  bool in_arena = value == planner->unit->output && cosrel_view_is_dense(shape, &view, true);
  cosrel_cl_ref ref = in_arena ? arena_ref(planner, value) : cosrel_cl_scratch(planner, cosrel_shape_elements(shape));
  place(planner, value, ref, &view);
  return ref;
}

void cosrel_cl_alias(cosrel_cl_planner *planner, int32_t value, cosrel_cl_ref ref, const cosrel_view *view) {
  ref.offset += view->offset;
  place(planner, value, ref, view);
}

/* ---- Units ---- */

static bool is_float(const cosrel_tensor *tensor) {
  return tensor->dtype == COSREL_F32 && cosrel_shape_elements(&tensor->shape) > 0;
}

static bool supports_node(const cosrel_net *net, const cosrel_net_node *node) {
  const cosrel_cl_rule *rule = cosrel_cl_find_rule(node->op->name);
  if (rule == NULL) return false;
  for (uint32_t i = 0; i < node->n_inputs; i++) {
    const cosrel_tensor *in = cosrel_cl_tensor(net, node, i);
    if (in != NULL && in->data == NULL && !is_float(in)) return false;
  }
  for (uint32_t i = 0; i < node->n_outputs; i++) {
    int32_t out = cosrel_net_node_outputs(net, node)[i];
    if (out < 0 ? i == 0 : !is_float(&net->values[out].tensor)) return false;
  }
  const cosrel_tensor *in = cosrel_cl_tensor(net, node, 0);
  return in != NULL && is_float(in) && rule->supports(net, node);
}

bool cosrel_cl_supports(const cosrel_network *network, uint32_t unit, cosrel_precision precision) {
  const cosrel_network_unit *u = &network->units[unit];
  bool weights = false;
  for (uint32_t i = 0; i < u->n_nodes; i++) {
    const cosrel_net_node *node = &network->net.nodes[network->nodes[u->first_node + i]];
    if (!supports_node(&network->net, node)) return false;
    weights = weights || cosrel_cl_has_weights(&network->net, node);
  }
  return precision == COSREL_FP32 || (precision == COSREL_FP16 && weights);
}

static bool is_taken(const cosrel_cl_planner *planner, uint32_t node) {
  for (uint32_t i = 0; i < planner->n_taken; i++)
    if (planner->taken[i] == node) return true;
  return false;
}

/* The unit's output to where it belongs, unless it is there. */
static void bring_home(cosrel_cl_planner *planner, int32_t value) {
  const cl_value *v = look_up(planner, value);
  const cosrel_shape *shape = cosrel_cl_shape(planner, value);
  cosrel_view dense = cosrel_view_dense(shape, true);
  cosrel_cl_ref home = arena_ref(planner, value);
  bool there =
      v->ref.base == COSREL_CL_ARENA && v->ref.offset == home.offset && cosrel_view_is_dense(shape, &v->view, true);
  if (!there) cosrel_cl_add_move(planner, shape, v->ref, &v->view, home, &dense);
}

static void plan_unit(cosrel_cl_planner *planner, const cosrel_network_unit *unit, bool half) {
  planner->unit = unit;
  planner->half = half;
  planner->round++;
  planner->scratch = 0;
  planner->n_taken = 0;
  for (uint32_t i = 0; i < unit->n_nodes && planner->status == COSREL_OK; i++) {
    uint32_t index = planner->network->nodes[unit->first_node + i];
    const cosrel_net_node *node = &planner->net->nodes[index];
    planner->next = i + 1;
    if (!is_taken(planner, index)) cosrel_cl_find_rule(node->op->name)->plan(planner, node);
  }
  if (planner->status != COSREL_OK) return;
  bring_home(planner, unit->output);
}

/* ---- Onto the device ---- */

/* With what `host` holds, unless that is NULL. */
static cl_mem create_buffer(const cosrel_cl_device *device, cl_mem_flags flags, size_t bytes, const void *host,
                            cl_int *code) {
  const cosrel_cl_api *api = &device->api;
  cl_mem memory = api->CreateBuffer(device->context, flags | CL_MEM_ALLOC_HOST_PTR, bytes, NULL, code);
  if (memory == NULL || host == NULL) return memory;
  *code = api->EnqueueWriteBuffer(device->copy, memory, CL_TRUE, 0, bytes, host, 0, NULL, NULL);
  return memory;
}

/* In place: halves, then zeros. Returns the bytes of the constant, without padding. */
static uint64_t narrow(cosrel_cl_constant *constant) {
  if (!constant->half) return constant->elements * sizeof(float);
  char *to = (char *)constant->host;
  for (uint64_t i = 0; i < constant->elements; i++) {
    uint16_t half = cosrel_half_of(constant->host[i]);
    memcpy(to + i * sizeof half, &half, sizeof half);
  }
  uint64_t bytes = constant->elements * sizeof(uint16_t);
  memset(to + bytes, 0, COSREL_PADDING);
  return bytes;
}

static cosrel_status upload_all(struct cosrel_prepared *p, const cosrel_cl_device *device, cosrel_error *error) {
  cl_int code = CL_SUCCESS;
  p->constant_buffers = calloc(p->n_constants + 1, sizeof(cl_mem));
  bool *used = calloc(p->n_constants + 1, sizeof *used); /* some have only been packed anew */
  if (p->constant_buffers == NULL || used == NULL) {
    free(used);
    return cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", p->network->net.name);
  }
  for (uint32_t i = 0; i < p->n_launches; i++) {
    const cosrel_cl_launch *launch = &p->launches[i];
    for (uint32_t k = 0; k < launch->n_args; k++)
      if (launch->args[k].kind == COSREL_CL_ARG_IN && launch->args[k].ref.base == COSREL_CL_CONSTANT)
        used[launch->args[k].ref.constant] = true;
  }
  for (uint32_t i = 0; i < p->n_constants && code == CL_SUCCESS; i++) {
    cosrel_cl_constant *constant = &p->constants[i];
    if (used[i]) {
      constant->bytes = narrow(constant) + COSREL_PADDING;
      p->constant_buffers[i] = create_buffer(device, CL_MEM_READ_ONLY, (size_t)constant->bytes, constant->host, &code);
      p->constant_bytes += constant->bytes;
    }
    free(constant->host);
    constant->host = NULL;
  }
  free(used);
  uint64_t scratch = p->scratch_elements * sizeof(float) + COSREL_PADDING;
  if (code == CL_SUCCESS) p->scratch = create_buffer(device, CL_MEM_READ_WRITE, (size_t)scratch, NULL, &code);
  if (code == CL_SUCCESS) return COSREL_OK;
  return cosrel_fail(error, cosrel_cl_status(code), "%s: %.1f MiB of weights and scratch on %s: %s",
                     p->network->net.name, (double)(p->constant_bytes + scratch) / 1048576, device->name,
                     cosrel_cl_code_name(code));
}

static cosrel_status make_launches(struct cosrel_prepared *p, cosrel_cl_programs *programs, cosrel_error *error) {
  const cosrel_cl_buffers buffers = {.scratch = p->scratch, .constants = p->constant_buffers};
  cosrel_error inner = {""};
  for (uint32_t i = 0; i < p->n_launches; i++) {
    cosrel_status status = cosrel_cl_launch_make(&p->launches[i], programs, &buffers, &inner);
    if (status != COSREL_OK) return cosrel_fail(error, status, "%s: %.400s", p->network->net.name, inner.text);
  }
  return COSREL_OK;
}

cosrel_status cosrel_cl_plan(const cosrel_network *network, const uint8_t *precisions, const cosrel_cl_device *device,
                             cosrel_cl_programs *programs, struct cosrel_prepared **out, cosrel_error *error) {
  const cosrel_net *net = &network->net;
  cosrel_status status = COSREL_OK;
  struct cosrel_prepared *p = calloc(1, sizeof *p);
  cosrel_cl_tuner tuner;
  cosrel_cl_planner planner = {
      .prepared = p, .network = network, .net = net, .device = device, .programs = programs, .tuner = &tuner};
  cosrel_cl_tuner_begin(&tuner, device, programs);
  cl_value *values = planner.values = calloc(net->n_values + 1, sizeof *values);
  uint32_t *taken = planner.taken = calloc(net->n_nodes + 1, sizeof *taken);
  if (p == NULL || values == NULL || taken == NULL) goto no_memory;
  p->network = network;
  p->first_launch = calloc(network->model.n_units + 1, sizeof *p->first_launch);
  p->first_constant = calloc(network->model.n_units + 1, sizeof *p->first_constant);
  if (p->first_launch == NULL || p->first_constant == NULL) goto no_memory;
  for (uint32_t u = 0; u < network->model.n_units; u++) {
    bool half = precisions != NULL && precisions[u] == COSREL_FP16 && cosrel_cl_supports(network, u, COSREL_FP16);
    if (cosrel_cl_supports(network, u, COSREL_FP32)) plan_unit(&planner, &network->units[u], half);
    p->first_launch[u + 1] = p->n_launches;
    p->first_constant[u + 1] = p->n_constants;
  }
  if (planner.status != COSREL_OK) goto no_memory;
  p->scratch_elements = (uint64_t)planner.scratch_max;
  status = upload_all(p, device, error);
  if (status == COSREL_OK) status = make_launches(p, programs, error);
  goto done;

no_memory:
  status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", net->name);
done:
  cosrel_cl_tuner_end(&tuner);
  free(values);
  free(taken);
  if (status != COSREL_OK) {
    cosrel_cl_plan_destroy(device, p);
    p = NULL;
  }
  *out = p;
  return status;
}

void cosrel_cl_plan_destroy(const cosrel_cl_device *device, struct cosrel_prepared *prepared) {
  if (prepared == NULL) return;
  for (uint32_t i = 0; i < prepared->n_launches; i++) cosrel_cl_launch_destroy(device, &prepared->launches[i]);
  for (uint32_t i = 0; i < prepared->n_constants; i++) {
    free(prepared->constants[i].host);
    if (prepared->constant_buffers != NULL && prepared->constant_buffers[i] != NULL)
      device->api.ReleaseMemObject(prepared->constant_buffers[i]);
  }
  if (prepared->scratch != NULL) device->api.ReleaseMemObject(prepared->scratch);
  free(prepared->first_launch);
  free(prepared->first_constant);
  free(prepared->launches);
  free(prepared->constants);
  free(prepared->constant_buffers);
  free(prepared);
}

uint64_t cosrel_cl_weight_bytes(const struct cosrel_prepared *prepared, uint32_t unit) {
  uint64_t bytes = 0;
  for (uint32_t i = prepared->first_constant[unit]; i < prepared->first_constant[unit + 1]; i++)
    bytes += prepared->constants[i].bytes;
  return bytes;
}
