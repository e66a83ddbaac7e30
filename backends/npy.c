#include "backends/npy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/check.h"
#include "traces/atomic.h"
#include "traces/file.h"

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

void cosrel_shape_format(const cosrel_shape *shape, char *text, size_t size) {
  size_t used = (size_t)snprintf(text, size, "[");
  for (uint32_t i = 0; i < shape->rank && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, "%s%" PRIu32, i > 0 ? ", " : "", shape->dims[i]);
  if (used < size) snprintf(text + used, size - used, "]");
}

/* ---- Reading ---- */

/* The header: a Python dictionary with three known keys, as text of known length. */
typedef struct header {
  const char *at, *end;
  bool has_type, has_order, has_shape;
  cosrel_shape shape;
} header;

static void skip_spaces(header *h) {
  while (h->at < h->end && (*h->at == ' ' || *h->at == '\n')) h->at++;
}

/* Moves past `word` if it comes next. */
static bool take(header *h, const char *word) {
  size_t n = strlen(word);
  skip_spaces(h);
  if ((size_t)(h->end - h->at) < n || memcmp(h->at, word, n) != 0) return false;
  h->at += n;
  return true;
}

static bool take_size(header *h, uint32_t *out) {
  uint64_t value = 0;
  int digits = 0;
  skip_spaces(h);
  for (; h->at < h->end && *h->at >= '0' && *h->at <= '9' && digits < 10; h->at++, digits++)
    value = value * 10 + (uint64_t)(*h->at - '0');
  *out = (uint32_t)value;
  return digits > 0 && value <= UINT32_MAX;
}

/* "(2, 3)", "(2,)", "()". */
static bool take_shape(header *h) {
  if (h->has_shape || !take(h, "(")) return false;
  h->has_shape = true;
  while (!take(h, ")")) {
    if (h->shape.rank == COSREL_RANK_MAX || !take_size(h, &h->shape.dims[h->shape.rank++])) return false;
    if (!take(h, ",")) return take(h, ")");
  }
  return true;
}

static const char *bad_header(header *h) {
  if (!take(h, "{")) return "expected a dictionary in the header";
  while (!take(h, "}")) {
    if (take(h, "'descr'") && take(h, ":")) {
      if (h->has_type || !take(h, "'<f4'")) return "expected 'descr' once, to be '<f4'";
      h->has_type = true;
    } else if (take(h, "'fortran_order'") && take(h, ":")) {
      if (h->has_order || !take(h, "False")) return "expected 'fortran_order' once, to be False";
      h->has_order = true;
    } else if (take(h, "'shape'") && take(h, ":")) {
      if (!take_shape(h)) return "expected 'shape' once, of at most 6 sizes";
    } else {
      return "expected the keys 'descr', 'fortran_order' and 'shape' in the header";
    }
    if (!take(h, ",") && (h->at >= h->end || *h->at != '}')) return "expected a comma or the end in the header";
  }
  skip_spaces(h);
  if (h->at != h->end) return "expected nothing behind the header's dictionary";
  return h->has_type && h->has_order && h->has_shape ? NULL : "expected 'descr', 'fortran_order' and 'shape'";
}

cosrel_status cosrel_npy_parse(const void *bytes, size_t size, const char *where, cosrel_shape *shape, float **data,
                               cosrel_error *error) {
  const unsigned char *b = bytes;
  *data = NULL;
  if (size < 10 || memcmp(b, magic, sizeof magic) != 0)
    return cosrel_fail(error, COSREL_FORMAT, "%s: no .npy file", where);
  if (b[6] < 1 || b[6] > 3) return cosrel_fail(error, COSREL_FORMAT, "%s: expected .npy version 1 to 3", where);
  size_t start = b[6] == 1 ? 10 : 12;
  if (size < start) return cosrel_fail(error, COSREL_FORMAT, "%s: the header is cut off", where);
  size_t length = (size_t)b[8] | (size_t)b[9] << 8;
  if (b[6] > 1) length |= (size_t)b[10] << 16 | (size_t)b[11] << 24;
  if (length > size - start) return cosrel_fail(error, COSREL_FORMAT, "%s: the header is cut off", where);
  header h = {.at = (const char *)b + start, .end = (const char *)b + start + length};
  const char *problem = bad_header(&h);
  if (problem != NULL) return cosrel_fail(error, COSREL_FORMAT, "%s: %s", where, problem);
  uint64_t elements = cosrel_shape_elements(&h.shape), left = size - start - length;
  if (elements > COSREL_NPY_BYTES_MAX / sizeof(float) || elements * sizeof(float) != left)
    return cosrel_fail(error, COSREL_FORMAT, "%s: expected 4 bytes for each of %" PRIu64 " elements, got %" PRIu64,
                       where, elements, left);
  *data = malloc(left > 0 ? (size_t)left : 1);
  if (*data == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: %s", where, cosrel_status_text(COSREL_NOMEM));
  memcpy(*data, b + start + length, (size_t)left);
  *shape = h.shape;
  return COSREL_OK;
}

/* Equal but for ones in front. */
static bool same_shape(const cosrel_shape *a, const cosrel_shape *b) {
  uint32_t i = 0, k = 0;
  while (i < a->rank && a->dims[i] == 1) i++;
  while (k < b->rank && b->dims[k] == 1) k++;
  if (a->rank - i != b->rank - k) return false;
  for (; i < a->rank; i++, k++)
    if (a->dims[i] != b->dims[k]) return false;
  return true;
}

static bool ends_in(const char *path, const char *suffix) {
  size_t n = strlen(path), k = strlen(suffix);
  return n >= k && strcmp(path + n - k, suffix) == 0;
}

cosrel_status cosrel_tensor_read(const char *path, const cosrel_shape *shape, float **data, cosrel_error *error) {
  char *bytes, expected[96], got[96];
  size_t size;
  uint64_t wanted = cosrel_shape_elements(shape) * sizeof(float);
  *data = NULL;
  if (wanted > COSREL_NPY_BYTES_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "%s: a tensor of %" PRIu64 " bytes is too large for a file", path, wanted);
  COSREL_TRY(cosrel_file_read(path, (size_t)wanted + 65536, &bytes, &size, error));
  if (!ends_in(path, ".npy")) {
    if (size != wanted) {
      free(bytes);
      return cosrel_fail(error, COSREL_FORMAT, "%s: expected %" PRIu64 " bytes of float32, got %zu", path, wanted,
                         size);
    }
    *data = (float *)(void *)bytes;
    return COSREL_OK;
  }
  cosrel_shape found = {0};
  cosrel_status status = cosrel_npy_parse(bytes, size, path, &found, data, error);
  free(bytes);
  if (status != COSREL_OK || same_shape(&found, shape)) return status;
  free(*data);
  *data = NULL;
  cosrel_shape_format(shape, expected, sizeof expected);
  cosrel_shape_format(&found, got, sizeof got);
  return cosrel_fail(error, COSREL_FORMAT, "%s: expected the shape %s, got %s", path, expected, got);
}

/* ---- Writing ---- */

cosrel_status cosrel_npy_write(const char *path, const cosrel_shape *shape, const float *data, cosrel_error *error) {
  char text[192], sizes[96];
  cosrel_shape_format(shape, sizes, sizeof sizes);
  sizes[0] = '(';
  snprintf(strrchr(sizes, ']'), 3, shape->rank == 1 ? ",)" : ")");
  /* magic, version 1.0, length, dictionary, spaces, newline: a multiple of 64 bytes in all */
  int n = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }", sizes);
  unsigned length = (unsigned)((10 + n + 1 + 63) / 64 * 64 - 10);
  const unsigned char head[4] = {1, 0, (unsigned char)(length & 255), (unsigned char)(length >> 8)};
  cosrel_atomic file;
  COSREL_TRY(cosrel_atomic_begin(path, &file, error));
  fwrite(magic, 1, sizeof magic, file.file);
  fwrite(head, 1, sizeof head, file.file);
  fprintf(file.file, "%-*s\n", (int)length - 1, text);
  fwrite(data, sizeof *data, (size_t)cosrel_shape_elements(shape), file.file);
  return cosrel_atomic_commit(&file, error); /* knows about failed writes */
}
