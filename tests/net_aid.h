/* Small nets made in memory, random tensors, and whole requests on a backend: for tests of networks and backends. */
#ifndef COSREL_TESTS_NET_AID_H
#define COSREL_TESTS_NET_AID_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "backends/reference/operators.h"
#include "sched/rng.h"

#define AID_LIMIT (UINT64_C(1) << 30)

/* ---- Nets. Mistakes show when the net is settled. ---- */

typedef struct aid_net {
  cosrel_net net;
  uint64_t key; /* of the random numbers in constants and draws */
  uint32_t n_attributes;
  cosrel_attribute attributes[8]; /* for the next node */
} aid_net;

static inline void aid_begin(aid_net *a, uint64_t seed, uint32_t opset) {
  cosrel_error error;
  memset(a, 0, sizeof *a);
  a->key = cosrel_rng_mix(seed);
  if (cosrel_net_create(&a->net, "net", opset, AID_LIMIT, &error) != COSREL_OK) abort();
}

/* low to high */
static inline uint32_t aid_draw(aid_net *a, uint32_t low, uint32_t high) {
  a->key = cosrel_rng_mix(a->key);
  return low + cosrel_rng_below(a->key, high - low + 1);
}

static inline cosrel_shape aid_shape(uint32_t rank, const uint32_t *dims) {
  cosrel_shape shape = {.rank = rank};
  for (uint32_t i = 0; i < rank; i++) shape.dims[i] = dims[i];
  return shape;
}
#define AID_SHAPE(...) aid_shape(sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), (const uint32_t[]){__VA_ARGS__})

static inline void aid_fill(float *data, uint64_t n, uint64_t key) {
  for (uint64_t i = 0; i < n; i++) data[i] = (float)cosrel_rng_normal(cosrel_rng_key(key, i));
}

static inline int32_t aid_input(aid_net *a, cosrel_shape shape) {
  int32_t value = cosrel_net_add_value(&a->net, (cosrel_tensor){.dtype = COSREL_F32, .shape = shape});
  cosrel_net_add_input(&a->net, "x", value);
  return value;
}

static inline int32_t aid_constant(aid_net *a, cosrel_shape shape) {
  cosrel_tensor tensor = {.dtype = COSREL_F32, .shape = shape};
  tensor.data = cosrel_net_allocate(&a->net, cosrel_tensor_bytes(&tensor));
  a->key = cosrel_rng_mix(a->key);
  aid_fill(tensor.data, cosrel_shape_elements(&shape), a->key);
  return cosrel_net_add_value(&a->net, tensor);
}

static inline int32_t aid_scalar(aid_net *a, float x) {
  int32_t value = aid_constant(a, (cosrel_shape){0});
  *(float *)a->net.values[value].tensor.data = x;
  return value;
}

static inline int32_t aid_list(aid_net *a, uint32_t n, const int64_t *list) {
  cosrel_tensor tensor = {.dtype = COSREL_I64, .shape = {.rank = 1, .dims = {n}}};
  tensor.data = cosrel_net_allocate(&a->net, n * sizeof *list + 1);
  memcpy(tensor.data, list, n * sizeof *list);
  return cosrel_net_add_value(&a->net, tensor);
}
#define AID_LIST(a, ...) aid_list(a, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

static inline void aid_ints(aid_net *a, const char *name, uint32_t n, const int64_t *ints) {
  cosrel_attribute *attribute = &a->attributes[a->n_attributes++];
  int64_t *copy = cosrel_net_allocate(&a->net, n * sizeof *copy);
  memcpy(copy, ints, n * sizeof *copy);
  *attribute = (cosrel_attribute){.kind = COSREL_ATTRIBUTE_INTS, .n = n, .ints = copy};
  snprintf(attribute->name, sizeof attribute->name, "%s", name);
}
#define AID_INTS(a, name, ...) \
  aid_ints(a, name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

static inline void aid_float(aid_net *a, const char *name, float x) {
  cosrel_attribute *attribute = &a->attributes[a->n_attributes++];
  float *copy = cosrel_net_allocate(&a->net, sizeof *copy);
  *copy = x;
  *attribute = (cosrel_attribute){.kind = COSREL_ATTRIBUTE_FLOATS, .n = 1, .floats = copy};
  snprintf(attribute->name, sizeof attribute->name, "%s", name);
}

static inline void aid_string(aid_net *a, const char *name, const char *text) {
  cosrel_attribute *attribute = &a->attributes[a->n_attributes++];
  *attribute = (cosrel_attribute){.kind = COSREL_ATTRIBUTE_STRING, .n = (uint32_t)strlen(text), .string = text};
  snprintf(attribute->name, sizeof attribute->name, "%s", name);
}

/* Adds a node with the attributes said before; returns its first output. outputs[n_outputs] get all. */
static inline int32_t aid_nodes(aid_net *a, const char *op, const int32_t *inputs, uint32_t n_inputs, int32_t *outputs,
                                uint32_t n_outputs) {
  char name[COSREL_NAME_MAX];
  snprintf(name, sizeof name, "%s%u", op, a->net.n_nodes);
  for (uint32_t i = 0; i < n_outputs; i++) {
    outputs[i] = cosrel_net_add_value(&a->net, (cosrel_tensor){.dtype = COSREL_F32});
  }
  cosrel_net_add_node(&a->net, name, cosrel_operator_find(op), inputs, n_inputs, outputs, n_outputs, a->attributes,
                      a->n_attributes);
  a->n_attributes = 0;
  return outputs[0];
}
static inline int32_t aid_node(aid_net *a, const char *op, const int32_t *inputs, uint32_t n_inputs) {
  int32_t output;
  return aid_nodes(a, op, inputs, n_inputs, &output, 1);
}
#define AID_NODE(a, op, ...) \
  aid_node(a, op, (const int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static inline void aid_output(aid_net *a, int32_t value) { cosrel_net_add_output(&a->net, "y", value); }

/* The attributes of integers of a node, for messages. */
static inline void aid_describe(const cosrel_net *net, uint32_t node, char *text, size_t n) {
  size_t used = (size_t)snprintf(text, n, "%s", net->nodes[node].op->name);
  for (uint32_t i = 0; i < net->nodes[node].n_attributes && used < n; i++) {
    const cosrel_attribute *attribute = &net->attributes[net->nodes[node].first_attribute + i];
    used += (size_t)snprintf(text + used, n - used, " %s", attribute->name);
    for (uint32_t k = 0; attribute->kind == COSREL_ATTRIBUTE_INTS && k < attribute->n && used < n; k++) {
      used += (size_t)snprintf(text + used, n - used, " %lld", (long long)attribute->ints[k]);
    }
  }
}

/* ---- Requests ---- */

/* [net->n_inputs] random inputs; free with aid_free. */
static inline float **aid_inputs(const cosrel_net *net, uint64_t seed) {
  float **inputs = calloc(net->n_inputs + 1, sizeof *inputs);
  for (uint32_t i = 0; inputs != NULL && i < net->n_inputs; i++) {
    const cosrel_tensor *tensor = &net->values[net->inputs[i]].tensor;
    inputs[i] = malloc(cosrel_tensor_bytes(tensor) + 1);
    if (inputs[i] == NULL) abort();
    aid_fill(inputs[i], cosrel_shape_elements(&tensor->shape), cosrel_rng_key(seed, i));
  }
  return inputs;
}

static inline void aid_free(float **tensors, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) free(tensors[i]);
  free(tensors);
}

/* An arena full of NaN, so that what nobody writes shows. */
static inline void *aid_arena(const cosrel_network *network) {
  size_t bytes = (network->arena_bytes + COSREL_ALIGNMENT - 1) / COSREL_ALIGNMENT * COSREL_ALIGNMENT;
  void *arena = aligned_alloc(COSREL_ALIGNMENT, bytes);
  if (arena == NULL) abort();
  memset(arena, 0xff, bytes);
  return arena;
}

/* [net->n_outputs] as the reference executor computes them from the net itself. */
static inline float **aid_expected(const cosrel_net *net, float **inputs) {
  cosrel_error error;
  cosrel_reference reference;
  float **outputs = calloc(net->n_outputs + 1, sizeof *outputs);
  if (outputs == NULL || cosrel_reference_create(net, &reference, &error) != COSREL_OK) abort();
  cosrel_reference_run(&reference, (const void *const *)inputs);
  for (uint32_t i = 0; i < net->n_outputs; i++) {
    const cosrel_tensor *tensor = &reference.tensors[net->outputs[i]];
    outputs[i] = malloc(cosrel_tensor_bytes(tensor) + 1);
    if (outputs[i] == NULL) abort();
    memcpy(outputs[i], tensor->data, cosrel_tensor_bytes(tensor));
  }
  cosrel_reference_destroy(&reference);
  return outputs;
}

static inline float **aid_outputs(const cosrel_network *network, const void *arena) {
  const cosrel_net *net = &network->net;
  float **outputs = calloc(net->n_outputs + 1, sizeof *outputs);
  for (uint32_t i = 0; outputs != NULL && i < net->n_outputs; i++) {
    outputs[i] = malloc(cosrel_tensor_bytes(&net->values[net->outputs[i]].tensor) + 1);
    if (outputs[i] == NULL || cosrel_network_get_output(network, arena, i, outputs[i]) != COSREL_OK) abort();
  }
  return outputs;
}

/* Do all outputs agree within `share` of the largest element and 1e-3 of each? Else a line says where not. */
static inline bool aid_agree_within(const cosrel_net *net, float **got, float **expected, float share, char why[256]) {
  for (uint32_t i = 0; i < net->n_outputs; i++) {
    uint64_t n = cosrel_shape_elements(&net->values[net->outputs[i]].tensor.shape);
    float largest = 0;
    for (uint64_t k = 0; k < n; k++) {
      if (isfinite(expected[i][k]) && fabsf(expected[i][k]) > largest) largest = fabsf(expected[i][k]);
    }
    for (uint64_t k = 0; k < n; k++) {
      float a = got[i][k], b = expected[i][k];
      if (a == b || (isnan(a) && isnan(b)) || fabsf(a - b) <= share * largest + 1e-3F * fabsf(b)) continue;
      snprintf(why, 256, "output %u, element %llu of %llu: %g, expected %g", i, (unsigned long long)k,
               (unsigned long long)n, a, b);
      return false;
    }
  }
  return true;
}
static inline bool aid_agree(const cosrel_net *net, float **got, float **expected, char why[256]) {
  return aid_agree_within(net, got, expected, 1e-4F, why);
}

#endif
