/* Protobuf messages of hostile files: nesting and memory are bounded. */
#ifndef COSREL_BACKENDS_ONNX_WIRE_H
#define COSREL_BACKENDS_ONNX_WIRE_H

#include <protobuf-c/protobuf-c.h>

#include "sched/model.h"

/* Unpacks a message; memory for it comes to at most `limit_bytes`. *message is freed by cosrel_wire_free. COSREL_FORMAT
 * for what is no such message, with a line that says where it ends to be one; COSREL_LIMIT for too deep nesting. */
cosrel_status cosrel_wire_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
                                 uint64_t limit_bytes, ProtobufCMessage **message, cosrel_error *error);
void cosrel_wire_free(ProtobufCMessage *message);

/* Frees the bytes of a field that is no longer needed. */
void cosrel_wire_drop(ProtobufCBinaryData *field);

/* Text of a file as a name: cut to fit, all but printable ASCII becomes '_'. NULL counts as empty. */
void cosrel_wire_name(char name[COSREL_NAME_MAX], const char *text);

#endif
