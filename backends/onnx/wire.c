#include "backends/onnx/wire.h"

#include <stdbool.h>
#include <stdlib.h>

/* Far deeper than any model, far less than the stack holds: the library that unpacks calls itself once per level. */
#define DEPTH_MAX 48

/* ---- Nesting ---- */

typedef struct wire {
  const uint8_t *bytes;
  size_t at;
  const char *expected; /* why it stopped at `at` */
  cosrel_status status;
} wire;

static bool stop(wire *w, cosrel_status status, const char *expected) {
  w->status = status;
  w->expected = expected;
  return false;
}

static bool read_varint(wire *w, size_t end, uint64_t *value) {
  *value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (w->at == end) return stop(w, COSREL_FORMAT, "more bytes, the file is cut short or no ONNX file");
    uint8_t byte = w->bytes[w->at++];
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return stop(w, COSREL_FORMAT, "a number of at most 64 bits, this is no ONNX file");
}

/* Walks the fields up to `end`, and those of the messages in them. */
static bool walk(wire *w, const ProtobufCMessageDescriptor *type, size_t end, uint32_t depth) {
  if (depth > DEPTH_MAX) return stop(w, COSREL_LIMIT, "less deeply nested messages");
  while (w->at < end) {
    uint64_t key, size;
    if (!read_varint(w, end, &key)) return false;
    switch (key & 7) {
      case PROTOBUF_C_WIRE_TYPE_VARINT:
        if (!read_varint(w, end, &size)) return false;
        size = 0;
        break;
      case PROTOBUF_C_WIRE_TYPE_64BIT: size = 8; break;
      case PROTOBUF_C_WIRE_TYPE_32BIT: size = 4; break;
      case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        if (!read_varint(w, end, &size)) return false;
        break;
      default: return stop(w, COSREL_FORMAT, "a field of a known kind, this is no ONNX file");
    }
    if (size > end - w->at) return stop(w, COSREL_FORMAT, "more bytes, the file is cut short or no ONNX file");
    const ProtobufCFieldDescriptor *field =
        key >> 3 > UINT32_MAX ? NULL : protobuf_c_message_descriptor_get_field(type, (unsigned)(key >> 3));
    if ((key & 7) == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED && field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE) {
      if (!walk(w, field->descriptor, w->at + (size_t)size, depth + 1)) return false;
    } else {
      w->at += (size_t)size;
    }
  }
  return true;
}

/* ---- Memory ---- */

/* What was freed in between is not given back: it is little, and nobody needs to remember sizes. */
typedef struct budget {
  uint64_t left;
  bool over;
} budget;

static void *take(void *data, size_t size) {
  budget *b = data;
  if (size > b->left) {
    b->over = true;
    return NULL;
  }
  b->left -= size;
  return malloc(size);
}

static void give(void *data, void *pointer) {
  (void)data;
  free(pointer);
}

cosrel_status cosrel_wire_unpack(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t n,
                                 uint64_t limit_bytes, ProtobufCMessage **message, cosrel_error *error) {
  *message = NULL;
  wire w = {.bytes = bytes};
  if (!walk(&w, type, n, 1)) return cosrel_fail(error, w.status, "byte %zu: expected %s", w.at, w.expected);
  budget b = {.left = limit_bytes};
  ProtobufCAllocator allocator = {take, give, &b};
  *message = protobuf_c_message_unpack(type, &allocator, n, bytes);
  if (*message != NULL) return COSREL_OK;
  if (b.over) {
    return cosrel_fail(error, COSREL_LIMIT, "expected to need at most %llu MiB of memory",
                       (unsigned long long)(limit_bytes >> 20));
  }
  return cosrel_fail(error, COSREL_FORMAT, "expected an ONNX file");
}

void cosrel_wire_free(ProtobufCMessage *message) {
  ProtobufCAllocator allocator = {take, give, NULL};
  if (message != NULL) protobuf_c_message_free_unpacked(message, &allocator);
}

void cosrel_wire_drop(ProtobufCBinaryData *field) {
  free(field->data);
  *field = (ProtobufCBinaryData){0};
}

void cosrel_wire_name(char name[COSREL_NAME_MAX], const char *text) {
  size_t n = 0;
  for (; text != NULL && text[n] != '\0' && n + 1 < COSREL_NAME_MAX; n++) {
    name[n] = text[n];
    if (text[n] < ' ' || text[n] > '~') name[n] = '_';
  }
  name[n] = '\0';
}
