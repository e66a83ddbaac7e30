#include "backends/net.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/net_internal.h"
#include "backends/reference/operators.h"

/* ---- Memory ----
 * Large pieces are blocks of their own, which can be given back; small ones are cut off a block that many share. Each
 * block is one calloc, whose pages cost nothing before they are used. */

#define ALIGNMENT 64
#define SMALL_BYTES 4096
#define SHARED_BYTES 65536
#define STEPS_PER_BYTE 16

typedef struct block {
  struct block *before, *after;
  void *start; /* what calloc returned */
  uint64_t bytes;
} block;

typedef struct memory {
  block *blocks;
  uint64_t limit, used; /* bytes of blocks */
  uint64_t steps;       /* left for arithmetic with constants */
  char *shared;         /* the rest of the block that small pieces are cut off */
  uint64_t shared_bytes;
  uint32_t node_capacity, value_capacity, link_capacity, attribute_capacity, input_capacity, output_capacity;
  uint32_t input_name_capacity, output_name_capacity;
  bool over_limit;      /* why the last allocation failed */
  cosrel_status status; /* the first failure while building */
  cosrel_error error;
} memory;

/* The header lies in the 64 bytes before the data. */
static void *block_create(memory *m, uint64_t bytes) {
  m->over_limit = bytes > m->limit - m->used;
  if (m->over_limit || bytes > SIZE_MAX - 2 * ALIGNMENT) return NULL;
  char *start = calloc(1, (size_t)bytes + 2 * ALIGNMENT);
  if (start == NULL) return NULL;
  char *data = start + 2 * ALIGNMENT - (uintptr_t)start % ALIGNMENT;
  block *header = (block *)(void *)(data - ALIGNMENT);
  *header = (block){.after = m->blocks, .start = start, .bytes = bytes};
  if (m->blocks != NULL) m->blocks->before = header;
  m->blocks = header;
  m->used += bytes;
  return data;
}

void *cosrel_net_allocate(cosrel_net *net, uint64_t bytes) {
  memory *m = net->memory;
  if (m == NULL) return NULL;
  uint64_t rounded = bytes == 0 ? ALIGNMENT : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (rounded < bytes) return NULL;
  if (rounded > SMALL_BYTES) return block_create(m, rounded);
  if (rounded > m->shared_bytes) {
    char *fresh = block_create(m, SHARED_BYTES);
    if (fresh == NULL) return NULL;
    m->shared = fresh;
    m->shared_bytes = SHARED_BYTES;
  }
  char *piece = m->shared;
  m->shared += rounded;
  m->shared_bytes -= rounded;
  return piece;
}

void cosrel_net_release(cosrel_net *net, void *data, uint64_t bytes) {
  if (data == NULL || bytes <= SMALL_BYTES) return;
  memory *m = net->memory;
  block *header = (block *)(void *)((char *)data - ALIGNMENT);
  if (header->before != NULL) header->before->after = header->after;
  if (header->after != NULL) header->after->before = header->before;
  if (m->blocks == header) m->blocks = header->after;
  m->used -= header->bytes;
  free(header->start);
}

cosrel_status cosrel_net_no_memory(const cosrel_net *net, cosrel_error *error) {
  const memory *m = net->memory;
  if (m == NULL || !m->over_limit) return cosrel_fail(error, COSREL_NOMEM, "%s", cosrel_status_text(COSREL_NOMEM));
  return cosrel_fail(error, COSREL_LIMIT, "expected to need at most %llu MiB of memory",
                     (unsigned long long)(m->limit >> 20));
}

bool cosrel_net_spend(cosrel_net *net, uint64_t steps) {
  memory *m = net->memory;
  if (steps > m->steps) return false;
  m->steps -= steps;
  return true;
}

cosrel_status cosrel_net_status(const cosrel_net *net, cosrel_error *error) {
  const memory *m = net->memory;
  if (m == NULL) return cosrel_fail(error, COSREL_INVALID, "expected a net that was created");
  return m->status == COSREL_OK ? COSREL_OK : cosrel_fail(error, m->status, "%s", m->error.text);
}

/* ---- Building ---- */

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static int32_t
fail(cosrel_net *net, cosrel_status status, const char *format, ...) {
  memory *m = net->memory;
  if (m == NULL || m->status != COSREL_OK) return -1;
  char text[sizeof m->error.text];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  m->status = cosrel_fail(&m->error, status, "%s", text);
  return -1;
}

/* The array with room for `count` more items behind `used`, by doubling; NULL when there is no memory for it. */
static void *grow(cosrel_net *net, void *array, uint32_t *capacity, uint32_t used, uint32_t count, size_t size) {
  uint64_t wanted = *capacity == 0 ? 16 : *capacity, least = (uint64_t)used + count;
  if (array != NULL && least <= *capacity) return array;
  while (wanted < least) wanted *= 2;
  if (wanted > UINT32_MAX) return NULL;
  void *grown = cosrel_net_allocate(net, wanted * size);
  if (grown == NULL) return NULL;
  if (array != NULL && used > 0) memcpy(grown, array, used * size);
  cosrel_net_release(net, array, (uint64_t)*capacity * size);
  *capacity = (uint32_t)wanted;
  return grown;
}

static int32_t fail_no_memory(cosrel_net *net) {
  cosrel_error error;
  cosrel_status status = cosrel_net_no_memory(net, &error);
  return fail(net, status, "%s", error.text);
}

static void copy_name(char to[COSREL_NAME_MAX], const char *from) { snprintf(to, COSREL_NAME_MAX, "%s", from); }

cosrel_status cosrel_net_create(cosrel_net *net, const char *name, uint32_t opset, uint64_t limit_bytes,
                                cosrel_error *error) {
  *net = (cosrel_net){.opset = opset};
  memory *m = calloc(1, sizeof *m);
  if (m == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s", cosrel_status_text(COSREL_NOMEM));
  m->limit = limit_bytes;
  m->steps = limit_bytes > UINT64_MAX / STEPS_PER_BYTE ? UINT64_MAX : limit_bytes * STEPS_PER_BYTE;
  net->memory = m;
  copy_name(net->name, name);
  return COSREL_OK;
}

void cosrel_net_destroy(cosrel_net *net) {
  if (net == NULL) return;
  memory *m = net->memory;
  for (block *b = m != NULL ? m->blocks : NULL; b != NULL;) {
    block *after = b->after;
    free(b->start);
    b = after;
  }
  free(m);
  *net = (cosrel_net){0};
}

int32_t cosrel_net_add_value(cosrel_net *net, cosrel_tensor tensor) {
  memory *m = net->memory;
  if (m == NULL || m->status != COSREL_OK) return -1;
  if (net->n_values >= COSREL_NET_VALUES_MAX) {
    return fail(net, COSREL_LIMIT, "expected at most %d tensors", COSREL_NET_VALUES_MAX);
  }
  cosrel_value *values = grow(net, net->values, &m->value_capacity, net->n_values, 1, sizeof *values);
  if (values == NULL) return fail_no_memory(net);
  net->values = values;
  values[net->n_values] = (cosrel_value){.tensor = tensor, .producer = -1};
  return (int32_t)net->n_values++;
}

static bool is_value(const cosrel_net *net, int32_t value) { return value >= 0 && (uint32_t)value < net->n_values; }

bool cosrel_net_add_links(cosrel_net *net, const int32_t *links, uint32_t n) {
  memory *m = net->memory;
  int32_t *grown = grow(net, net->links, &m->link_capacity, net->n_links, n, sizeof *grown);
  if (grown == NULL) return false;
  net->links = grown;
  if (n > 0) memcpy(&grown[net->n_links], links, n * sizeof *links);
  net->n_links += n;
  return true;
}

int32_t cosrel_net_add_node(cosrel_net *net, const char *name, const cosrel_operator *op, const int32_t *inputs,
                            uint32_t n_inputs, const int32_t *outputs, uint32_t n_outputs,
                            const cosrel_attribute *attributes, uint32_t n_attributes) {
  memory *m = net->memory;
  if (m == NULL || m->status != COSREL_OK) return -1;
  if (net->n_nodes >= COSREL_NET_NODES_MAX) {
    return fail(net, COSREL_LIMIT, "expected at most %d nodes", COSREL_NET_NODES_MAX);
  }
  if (n_inputs > COSREL_OPERATOR_INPUTS_MAX || n_outputs > COSREL_OPERATOR_OUTPUTS_MAX) {
    return fail(net, COSREL_LIMIT, "node '%.63s' (%s): expected at most %d inputs and %d outputs", name, op->name,
                COSREL_OPERATOR_INPUTS_MAX, COSREL_OPERATOR_OUTPUTS_MAX);
  }
  for (uint32_t i = 0; i < n_inputs; i++) {
    if (inputs[i] != -1 && !is_value(net, inputs[i])) {
      return fail(net, COSREL_INVALID, "node '%.63s' (%s): input %u: expected a value", name, op->name, (unsigned)i);
    }
  }
  for (uint32_t i = 0; i < n_outputs; i++) {
    if (outputs[i] == -1) continue;
    if (!is_value(net, outputs[i]) || net->values[outputs[i]].producer != -1 ||
        cosrel_value_is_constant(net, outputs[i])) {
      return fail(net, COSREL_INVALID, "node '%.63s' (%s): output %u: expected a value that nothing else makes", name,
                  op->name, (unsigned)i);
    }
    net->values[outputs[i]].producer = (int32_t)net->n_nodes;
  }
  cosrel_net_node *nodes = grow(net, net->nodes, &m->node_capacity, net->n_nodes, 1, sizeof *nodes);
  if (nodes == NULL) return fail_no_memory(net);
  net->nodes = nodes;
  cosrel_attribute *all =
      grow(net, net->attributes, &m->attribute_capacity, net->n_attributes, n_attributes, sizeof *all);
  if (all == NULL) return fail_no_memory(net);
  net->attributes = all;
  cosrel_net_node *node = &nodes[net->n_nodes];
  *node = (cosrel_net_node){.op = op,
                            .first_input = net->n_links,
                            .n_inputs = n_inputs,
                            .first_output = net->n_links + n_inputs,
                            .n_outputs = n_outputs,
                            .first_attribute = net->n_attributes,
                            .n_attributes = n_attributes};
  if (!cosrel_net_add_links(net, inputs, n_inputs) || !cosrel_net_add_links(net, outputs, n_outputs))
    return fail_no_memory(net);
  copy_name(node->name, name);
  if (n_attributes > 0) memcpy(&all[net->n_attributes], attributes, n_attributes * sizeof *attributes);
  net->n_attributes += n_attributes;
  return (int32_t)net->n_nodes++;
}

/* One end of the net: an array of values and one of names, which grow together. */
static cosrel_status add_end(cosrel_net *net, int32_t **ends, char (**names)[COSREL_NAME_MAX], uint32_t *n,
                             uint32_t *capacity, uint32_t *name_capacity, const char *name, int32_t value) {
  memory *m = net->memory;
  if (m == NULL) return COSREL_INVALID;
  if (m->status != COSREL_OK) return m->status;
  if (!is_value(net, value)) {
    fail(net, COSREL_INVALID, "input or output '%.63s': expected a value", name);
    return m->status;
  }
  int32_t *grown = grow(net, *ends, capacity, *n, 1, sizeof *grown);
  if (grown != NULL) *ends = grown;
  char(*grown_names)[COSREL_NAME_MAX] = grow(net, *names, name_capacity, *n, 1, sizeof *grown_names);
  if (grown_names != NULL) *names = grown_names;
  if (grown == NULL || grown_names == NULL) {
    fail_no_memory(net);
    return m->status;
  }
  grown[*n] = value;
  copy_name(grown_names[*n], name);
  (*n)++;
  return COSREL_OK;
}

cosrel_status cosrel_net_add_input(cosrel_net *net, const char *name, int32_t value) {
  memory *m = net->memory;
  return m == NULL ? COSREL_INVALID
                   : add_end(net, &net->inputs, &net->input_names, &net->n_inputs, &m->input_capacity,
                             &m->input_name_capacity, name, value);
}

cosrel_status cosrel_net_add_output(cosrel_net *net, const char *name, int32_t value) {
  memory *m = net->memory;
  return m == NULL ? COSREL_INVALID
                   : add_end(net, &net->outputs, &net->output_names, &net->n_outputs, &m->output_capacity,
                             &m->output_name_capacity, name, value);
}

/* ---- Attributes ---- */

const cosrel_attribute *cosrel_node_attribute(const cosrel_net *net, const cosrel_net_node *node, const char *name) {
  for (uint32_t i = 0; i < node->n_attributes; i++) {
    const cosrel_attribute *attribute = &net->attributes[node->first_attribute + i];
    if (strcmp(attribute->name, name) == 0) return attribute;
  }
  return NULL;
}

static const cosrel_attribute *of_kind(const cosrel_net *net, const cosrel_net_node *node, const char *name,
                                       cosrel_attribute_kind kind) {
  const cosrel_attribute *attribute = cosrel_node_attribute(net, node, name);
  return attribute != NULL && attribute->kind == kind ? attribute : NULL;
}

const cosrel_attribute *cosrel_node_ints(const cosrel_net *net, const cosrel_net_node *node, const char *name) {
  return of_kind(net, node, name, COSREL_ATTRIBUTE_INTS);
}

int64_t cosrel_node_int(const cosrel_net *net, const cosrel_net_node *node, const char *name, int64_t fallback) {
  const cosrel_attribute *attribute = cosrel_node_ints(net, node, name);
  return attribute != NULL && attribute->n == 1 ? attribute->ints[0] : fallback;
}

float cosrel_node_float(const cosrel_net *net, const cosrel_net_node *node, const char *name, float fallback) {
  const cosrel_attribute *attribute = of_kind(net, node, name, COSREL_ATTRIBUTE_FLOATS);
  return attribute != NULL && attribute->n == 1 ? attribute->floats[0] : fallback;
}

const char *cosrel_node_string(const cosrel_net *net, const cosrel_net_node *node, const char *name,
                               const char *fallback) {
  const cosrel_attribute *attribute = of_kind(net, node, name, COSREL_ATTRIBUTE_STRING);
  return attribute != NULL ? attribute->string : fallback;
}
