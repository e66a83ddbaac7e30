/* ONNX files. Reading: protobuf-c code made from Debian's onnx.proto; opsets 6 to 17 of the default domain.
 *
 * A file is hostile: nesting, sizes, ranks, counts and cycles are checked before memory is taken. `limit_bytes` bounds
 * the unpacked file, and once more the net made of it; the file itself comes on top. An open or missing batch size
 * (axis 0 of an input) counts as 1, other axes must be fixed. Constants come as initializers or as Constant nodes;
 * float16 is widened to float. External data, subgraphs, sequences, sparse and training graphs, and operators outside
 * the table are refused with one line that names file, node and what was expected. */
#ifndef COSREL_BACKENDS_ONNX_ONNX_H
#define COSREL_BACKENDS_ONNX_ONNX_H

#include "backends/graph.h"
#include "backends/net.h"

#define COSREL_ONNX_BYTES_MAX (UINT64_C(2) << 30) /* of a file: protobuf's own limit */

/* Reads and settles (backends/net.h). The net's name is the file's base name without ".onnx". */
cosrel_status cosrel_onnx_read(const char *path, uint64_t limit_bytes, cosrel_net *net, cosrel_error *error);
/* The same from memory; `where` begins every error line. For fuzzing and for zoo models that never touch a disk. */
cosrel_status cosrel_onnx_parse(const uint8_t *bytes, size_t n, const char *where, const char *name,
                                uint64_t limit_bytes, cosrel_net *net, cosrel_error *error);

/* A TensorProto file (.pb) as ONNX's test data has them; data is malloc'ed, the caller frees tensor->data. */
cosrel_status cosrel_onnx_read_tensor(const char *path, uint64_t limit_bytes, cosrel_tensor *tensor,
                                      cosrel_error *error);

/* A graph of the zoo as an ONNX model with weights drawn from `seed` (see encode.c): opset 13, or 17 where there is a
 * layer norm. Nodes bear the graph's names, so the units do, too. Equal seeds give equal bytes. *bytes is malloc'ed,
 * the caller frees it. COSREL_UNSUPPORTED for COSREL_OP_OTHER. */
cosrel_status cosrel_onnx_encode(const cosrel_graph *graph, uint64_t seed, uint8_t **bytes, size_t *n,
                                 cosrel_error *error);

#endif
