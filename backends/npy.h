/* Arrays in NumPy's .npy format, float32 only, and raw little-endian float32 files. Files are hostile: bounded,
 * checked, one line naming the file. Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html */
#ifndef COSREL_BACKENDS_NPY_H
#define COSREL_BACKENDS_NPY_H

#include <stddef.h>

#include "backends/tensor.h"
#include "sched/status.h"

#define COSREL_NPY_BYTES_MAX ((size_t)1 << 30)

/* Reads an array in C order. *data (free) belongs to the caller. `where` begins every error line. */
cosrel_status cosrel_npy_parse(const void *bytes, size_t size, const char *where, cosrel_shape *shape, float **data,
                               cosrel_error *error);

/* Reads `path` for a tensor of `shape`: a file ending in .npy must have that shape, ones in front aside; any other is
 * raw and must have exactly as many bytes. *data (free) belongs to the caller. */
cosrel_status cosrel_tensor_read(const char *path, const cosrel_shape *shape, float **data, cosrel_error *error);

/* Writes an array whole or not at all. */
cosrel_status cosrel_npy_write(const char *path, const cosrel_shape *shape, const float *data, cosrel_error *error);

/* "[1, 3, 224, 224]", cut to fit. */
void cosrel_shape_format(const cosrel_shape *shape, char *text, size_t size);

#endif
