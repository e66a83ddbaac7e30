/* Every ONNX operator that cosrel knows: how its output shapes follow from its inputs, and how it is computed.
 *
 * Portable, single-threaded C written for clarity: the oracle for every backend, and the fall-back for what a fast
 * library lacks. One file per family (convolution.c, pooling.c, elementwise.c, shape.c, ...); the table is in
 * operators.c. Definitions follow the ONNX operator specification; a file opens with the equations of its operators. */
#ifndef COSREL_BACKENDS_REFERENCE_OPERATORS_H
#define COSREL_BACKENDS_REFERENCE_OPERATORS_H

#include "backends/net.h"

#define COSREL_OPERATOR_INPUTS_MAX 64 /* Concat and Sum have the most */
#define COSREL_OPERATOR_OUTPUTS_MAX 64

/* One evaluation. Tensors that the node leaves out are NULL. */
typedef struct cosrel_call {
  const cosrel_net *net;
  const cosrel_net_node *node;
  const cosrel_tensor *const *in; /* [node->n_inputs] */
  cosrel_tensor *const *out;      /* [node->n_outputs] */
} cosrel_call;

typedef struct cosrel_operator {
  const char *name; /* ONNX op_type */
  uint8_t min_inputs, max_inputs, max_outputs;
  uint8_t first_opset; /* older files are refused */
  uint8_t variant;     /* which one of its family, for families that share their functions */
  /* Sets dtype and shape of the outputs from those of the inputs. An input's data is there only when constant; an
   * operator whose output shape depends on data (Reshape, Resize, ...) fails with COSREL_UNSUPPORTED without it. The
   * attributes and all sizes are checked here, so that `run` cannot fail on a net that settled. Called through
   * cosrel_operator_infer only, which has checked the numbers of inputs and outputs. */
  cosrel_status (*infer)(const cosrel_call *call, cosrel_error *error);
  /* Computes the outputs, whose memory is there and overlaps no input. Allocates nothing. */
  void (*run)(const cosrel_call *call);
} cosrel_operator;

/* NULL when there is none. */
const cosrel_operator *cosrel_operator_find(const char *name);
/* The whole table, sorted by name: for messages and docs. */
const cosrel_operator *cosrel_operator_table(uint32_t *n);

/* What settling a net calls for every node: checks opset, numbers of inputs and outputs and sizes of inputs, then sets
 * the outputs by `infer`: no output has more than COSREL_ELEMENTS_MAX elements. COSREL_FORMAT or COSREL_UNSUPPORTED
 * with a line "node 'NAME' (Conv): what was expected". */
cosrel_status cosrel_operator_infer(const cosrel_call *call, cosrel_error *error);

/* ---- The executor ---- */

/* Computes nodes of a settled net, one after the other, into memory that it owns: room for every value once.
 * Not thread-safe; one per thread. */
typedef struct cosrel_reference {
  const cosrel_net *net;  /* borrowed */
  cosrel_tensor *tensors; /* [net->n_values]; data of constants is the net's */
  void *memory;
} cosrel_reference;

cosrel_status cosrel_reference_create(const cosrel_net *net, cosrel_reference *out, cosrel_error *error);
void cosrel_reference_destroy(cosrel_reference *reference);

/* Computes one node from `tensors` into `tensors` (both [net->n_values], with data where the node needs it). */
void cosrel_reference_node(const cosrel_net *net, uint32_t node, cosrel_tensor *tensors);

/* The whole net. inputs[net->n_inputs]: data only, of the shapes that the net states; read, not kept. Results are
 * reference->tensors[net->outputs[i]], valid until the next run. */
void cosrel_reference_run(cosrel_reference *reference, const void *const *inputs);

#endif
