/* safetensors files: named tensors behind a JSON header (github.com/huggingface/safetensors, format description).
 *   8 bytes little-endian header length, the header, then the data; each tensor has dtype, shape and data_offsets, and
 *   "__metadata__" maps names to texts. Reading checks everything: sizes, types, overlap, holes, trailing bytes. */
#ifndef COSREL_AGENT_SAFETENSORS_H
#define COSREL_AGENT_SAFETENSORS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "sched/status.h"

#define COSREL_SAFETENSORS_MAX ((size_t)256 << 20) /* bytes of a file */

typedef struct cosrel_safetensor {
  const char *name;
  const char *dtype; /* "F32" or "U8" */
  uint64_t rows, columns;
  const void *data; /* borrowed while writing */
} cosrel_safetensor;

typedef struct cosrel_metadata {
  const char *key, *text;
} cosrel_metadata;

/* Writes a file whole or not at all. Equal arguments give equal bytes. */
cosrel_status cosrel_safetensors_write(const char *path, const cosrel_safetensor *tensors, size_t n_tensors,
                                       const cosrel_metadata *metadata, size_t n_metadata, cosrel_error *error);

/* A file in memory. Owned: close it. */
typedef struct cosrel_safetensors {
  const char *where; /* borrowed: begins error lines */
  char *bytes;
  size_t size, data; /* data: where the tensors' bytes begin */
  json_t *header;
} cosrel_safetensors;

cosrel_status cosrel_safetensors_read(const char *path, cosrel_safetensors *out, cosrel_error *error);
/* The same from memory; takes a copy of the bytes. */
cosrel_status cosrel_safetensors_parse(const char *bytes, size_t size, const char *where, cosrel_safetensors *out,
                                       cosrel_error *error);
void cosrel_safetensors_close(cosrel_safetensors *file);

/* Copies a tensor of exactly this type and shape into `data`; F32 must be finite. */
cosrel_status cosrel_safetensors_get(const cosrel_safetensors *file, const char *name, const char *dtype, uint64_t rows,
                                     uint64_t columns, void *data, cosrel_error *error);
/* Bytes of a U8 tensor of any length; borrowed from the file. */
cosrel_status cosrel_safetensors_bytes(const cosrel_safetensors *file, const char *name, const void **data,
                                       size_t *size, cosrel_error *error);
/* A text of the metadata, borrowed from the file, or NULL. */
const char *cosrel_safetensors_text(const cosrel_safetensors *file, const char *key);

#endif
