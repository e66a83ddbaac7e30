#include "agent/safetensors.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sched/check.h"
#include "traces/atomic.h"
#include "traces/file.h"

static const size_t header_max = (size_t)1 << 20;

static size_t dtype_size(const char *dtype) { return strcmp(dtype, "F32") == 0 ? 4 : strcmp(dtype, "U8") == 0 ? 1 : 0; }

/* Tensor data is copied as it lies in memory, which the format wants little-endian. */
static bool little_endian(void) {
  const uint32_t one = 1;
  return *(const unsigned char *)&one == 1;
}

static json_t *describe(const cosrel_safetensor *tensors, size_t n_tensors, const cosrel_metadata *metadata,
                        size_t n_metadata) {
  json_t *header = json_object(), *texts = json_object();
  for (size_t i = 0; i < n_metadata; i++) json_object_set_new(texts, metadata[i].key, json_string(metadata[i].text));
  json_object_set_new(header, "__metadata__", texts);
  json_int_t at = 0;
  for (size_t i = 0; i < n_tensors; i++) {
    json_int_t end = at + (json_int_t)(tensors[i].rows * tensors[i].columns * dtype_size(tensors[i].dtype));
    json_object_set_new(
        header, tensors[i].name,
        json_pack("{s:s,s:[I,I],s:[I,I]}", "dtype", tensors[i].dtype, "shape", (json_int_t)tensors[i].rows,
                  (json_int_t)tensors[i].columns, "data_offsets", at, end));
    at = end;
  }
  return header;
}

cosrel_status cosrel_safetensors_write(const char *path, const cosrel_safetensor *tensors, size_t n_tensors,
                                       const cosrel_metadata *metadata, size_t n_metadata, cosrel_error *error) {
  if (!little_endian()) return cosrel_fail(error, COSREL_UNSUPPORTED, "%s: this machine is big-endian", path);
  json_t *header = describe(tensors, n_tensors, metadata, n_metadata);
  char *text = json_dumps(header, JSON_COMPACT | JSON_PRESERVE_ORDER);
  json_decref(header);
  if (text == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: no memory for the header", path);
  size_t length = strlen(text), padded = (length + 7) & ~(size_t)7;
  unsigned char prefix[8];
  for (int i = 0; i < 8; i++) prefix[i] = (unsigned char)(padded >> (8 * i));

  cosrel_atomic file;
  cosrel_status status = cosrel_atomic_begin(path, &file, error);
  if (status == COSREL_OK) {
    fwrite(prefix, 1, sizeof prefix, file.file);
    fwrite(text, 1, length, file.file);
    for (size_t i = length; i < padded; i++) fputc(' ', file.file);
    for (size_t i = 0; i < n_tensors; i++)
      fwrite(tensors[i].data, dtype_size(tensors[i].dtype), tensors[i].rows * tensors[i].columns, file.file);
    status = cosrel_atomic_commit(&file, error); /* sees any write that failed */
  }
  free(text);
  return status;
}

static cosrel_status bad(const cosrel_safetensors *file, cosrel_error *error, const char *name, const char *what) {
  return cosrel_fail(error, COSREL_FORMAT, "%s: %s: %s", file->where, name, what);
}

typedef struct span {
  size_t begin, end;
} span;

static int by_begin(const void *a, const void *b) {
  const span *x = a, *y = b;
  return x->begin < y->begin ? -1 : x->begin > y->begin ? 1 : x->end < y->end ? -1 : x->end > y->end;
}

/* Type, shape and offsets of one entry. */
static cosrel_status read_entry(const cosrel_safetensors *file, const char *name, const char **dtype, uint64_t shape[2],
                                span *place, cosrel_error *error) {
  json_t *entry = json_object_get(file->header, name), *dims = json_object_get(entry, "shape");
  json_t *offsets = json_object_get(entry, "data_offsets");
  if (entry == NULL) return bad(file, error, name, "this tensor is missing");
  *dtype = json_string_value(json_object_get(entry, "dtype"));
  if (*dtype == NULL || dtype_size(*dtype) == 0) return bad(file, error, name, "dtype: expected F32 or U8");
  if (json_array_size(dims) != 2) return bad(file, error, name, "shape: expected two dimensions");
  if (json_array_size(offsets) != 2) return bad(file, error, name, "data_offsets: expected two offsets");
  size_t limit = file->size - file->data;
  for (size_t i = 0; i < 2; i++) {
    json_t *dim = json_array_get(dims, i), *offset = json_array_get(offsets, i);
    if (!json_is_integer(dim) || json_integer_value(dim) < 0 || (uint64_t)json_integer_value(dim) > limit)
      return bad(file, error, name, "shape: a dimension is out of range");
    if (!json_is_integer(offset) || json_integer_value(offset) < 0 || (uint64_t)json_integer_value(offset) > limit)
      return bad(file, error, name, "data_offsets: out of the file");
    shape[i] = (uint64_t)json_integer_value(dim);
  }
  place->begin = (size_t)json_integer_value(json_array_get(offsets, 0));
  place->end = (size_t)json_integer_value(json_array_get(offsets, 1));
  if (shape[1] > 0 && shape[0] > limit / shape[1]) return bad(file, error, name, "shape: larger than the file");
  if (place->end < place->begin || place->end - place->begin != shape[0] * shape[1] * dtype_size(*dtype))
    return bad(file, error, name, "data_offsets: do not fit dtype and shape");
  return COSREL_OK;
}

/* Names and texts of a file end up in error lines. */
static bool one_line(const char *text) { return cosrel_text_is_good(text, strlen(text) + 1); }

static cosrel_status check_metadata(const cosrel_safetensors *file, json_t *metadata, cosrel_error *error) {
  const char *key;
  json_t *text;
  if (!json_is_object(metadata)) return bad(file, error, "__metadata__", "expected an object");
  json_object_foreach(metadata, key, text) {
    if (!one_line(key)) return bad(file, error, "__metadata__", "a key holds control characters");
    if (!json_is_string(text)) return bad(file, error, key, "expected a text");
    if (!one_line(json_string_value(text))) return bad(file, error, key, "expected a text without control characters");
  }
  return COSREL_OK;
}

/* Every byte of the data belongs to exactly one tensor. */
static cosrel_status check_header(const cosrel_safetensors *file, cosrel_error *error) {
  size_t n = 0, count = json_object_size(file->header);
  span *places = calloc(count + 1, sizeof *places);
  if (places == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: no memory", file->where);
  cosrel_status status = COSREL_OK;
  const char *name;
  json_t *value;
  json_object_foreach(file->header, name, value) {
    const char *dtype;
    uint64_t shape[2];
    if (!one_line(name)) {
      status = bad(file, error, "header", "a tensor's name holds control characters");
    } else if (strcmp(name, "__metadata__") == 0) {
      status = check_metadata(file, value, error);
    } else {
      status = read_entry(file, name, &dtype, shape, &places[n++], error);
    }
    if (status != COSREL_OK) break;
  }
  if (status == COSREL_OK) {
    qsort(places, n, sizeof *places, by_begin);
    size_t at = 0;
    for (size_t i = 0; i < n && status == COSREL_OK; at = places[i++].end)
      if (places[i].begin != at) status = bad(file, error, "data_offsets", "tensors overlap or leave a hole");
    if (status == COSREL_OK && file->data + at != file->size)
      status = bad(file, error, "data", file->data + at < file->size ? "bytes after the last tensor" : "cut short");
  }
  free(places);
  return status;
}

static cosrel_status open_bytes(cosrel_safetensors *file, cosrel_error *error) {
  uint64_t length = 0;
  if (!little_endian()) return cosrel_fail(error, COSREL_UNSUPPORTED, "%s: this machine is big-endian", file->where);
  if (file->size < 8) return bad(file, error, "header", "expected a safetensors file, got fewer than 8 bytes");
  for (int i = 0; i < 8; i++) length |= (uint64_t)(unsigned char)file->bytes[i] << (8 * i);
  if (length > header_max || length > file->size - 8)
    return bad(file, error, "header", "expected a safetensors file: the header's length does not fit");
  json_error_t json_error;
  file->header = json_loadb(file->bytes + 8, (size_t)length, JSON_REJECT_DUPLICATES, &json_error);
  if (!json_is_object(file->header)) return bad(file, error, "header", "expected a JSON object");
  file->data = 8 + (size_t)length;
  return check_header(file, error);
}

cosrel_status cosrel_safetensors_read(const char *path, cosrel_safetensors *out, cosrel_error *error) {
  memset(out, 0, sizeof *out);
  out->where = path;
  cosrel_status status = cosrel_file_read(path, COSREL_SAFETENSORS_MAX, &out->bytes, &out->size, error);
  if (status == COSREL_OK) status = open_bytes(out, error);
  if (status != COSREL_OK) cosrel_safetensors_close(out);
  return status;
}

cosrel_status cosrel_safetensors_parse(const char *bytes, size_t size, const char *where, cosrel_safetensors *out,
                                       cosrel_error *error) {
  memset(out, 0, sizeof *out);
  out->where = where;
  out->size = size;
  out->bytes = malloc(size + 1);
  if (out->bytes == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: no memory", where);
  memcpy(out->bytes, bytes, size);
  cosrel_status status = open_bytes(out, error);
  if (status != COSREL_OK) cosrel_safetensors_close(out);
  return status;
}

void cosrel_safetensors_close(cosrel_safetensors *file) {
  json_decref(file->header);
  free(file->bytes);
  memset(file, 0, sizeof *file);
}

cosrel_status cosrel_safetensors_get(const cosrel_safetensors *file, const char *name, const char *dtype, uint64_t rows,
                                     uint64_t columns, void *data, cosrel_error *error) {
  const char *type;
  uint64_t shape[2];
  span place;
  cosrel_status status = read_entry(file, name, &type, shape, &place, error);
  if (status != COSREL_OK) return status;
  if (strcmp(type, dtype) != 0 || shape[0] != rows || shape[1] != columns)
    return cosrel_fail(error, COSREL_FORMAT, "%s: %s: expected %s of %llu x %llu, got %s of %llu x %llu", file->where,
                       name, dtype, (unsigned long long)rows, (unsigned long long)columns, type,
                       (unsigned long long)shape[0], (unsigned long long)shape[1]);
  memcpy(data, file->bytes + file->data + place.begin, place.end - place.begin);
  if (strcmp(dtype, "F32") == 0)
    for (uint64_t i = 0; i < rows * columns; i++)
      if (!isfinite(((const float *)data)[i]))
        return bad(file, error, name, "expected finite numbers, got NaN or infinity");
  return COSREL_OK;
}

cosrel_status cosrel_safetensors_bytes(const cosrel_safetensors *file, const char *name, const void **data,
                                       size_t *size, cosrel_error *error) {
  const char *type;
  uint64_t shape[2];
  span place;
  cosrel_status status = read_entry(file, name, &type, shape, &place, error);
  if (status != COSREL_OK) return status;
  if (strcmp(type, "U8") != 0) return bad(file, error, name, "dtype: expected U8");
  *data = file->bytes + file->data + place.begin;
  *size = place.end - place.begin;
  return COSREL_OK;
}

const char *cosrel_safetensors_text(const cosrel_safetensors *file, const char *key) {
  return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}
