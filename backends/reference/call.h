/* What the operator files share: the tensors of a call, checked attributes, and walks over strided tensors.
 *
 * Functions that return a cosrel_status fill `error` (which may be NULL) with a line that begins with the node. An
 * operator's `run` calls the same checked helpers as its `infer`; they succeeded there, so they succeed again. */
#ifndef COSREL_BACKENDS_REFERENCE_CALL_H
#define COSREL_BACKENDS_REFERENCE_CALL_H

#include "backends/reference/operators.h"

#define COSREL_WALK_OPERANDS 3
#define COSREL_WINDOW_MAX 65536 /* of a kernel size, stride, dilation or pad */

/* NULL where the node leaves it out. */
const cosrel_tensor *cosrel_call_in(const cosrel_call *call, uint32_t i);
cosrel_tensor *cosrel_call_out(const cosrel_call *call, uint32_t i);
uint32_t cosrel_call_opset(const cosrel_call *call);

/* "node 'NAME' (Conv): ..."; returns `status`. */
#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
cosrel_status
cosrel_call_fail(const cosrel_call *call, cosrel_error *error, cosrel_status status, const char *format, ...);

/* Sets output i, if the node has it; COSREL_LIMIT beyond COSREL_RANK_MAX or COSREL_ELEMENTS_MAX. */
cosrel_status cosrel_call_set(const cosrel_call *call, uint32_t i, cosrel_dtype dtype, uint32_t rank,
                              const int64_t *dims, cosrel_error *error);
cosrel_status cosrel_call_set_like(const cosrel_call *call, uint32_t i, const cosrel_tensor *like, cosrel_error *error);

/* COSREL_UNSUPPORTED unless input i, where given, is of a type in `allowed` (bits 1 << COSREL_F32 and so on). */
cosrel_status cosrel_call_expect(const cosrel_call *call, uint32_t i, uint32_t allowed, cosrel_error *error);
#define COSREL_REAL_TYPES (1u << COSREL_F32 | 1u << COSREL_F64)
#define COSREL_INDEX_TYPES (1u << COSREL_I32 | 1u << COSREL_I64)
#define COSREL_NUMBER_TYPES (COSREL_REAL_TYPES | COSREL_INDEX_TYPES | 1u << COSREL_I8 | 1u << COSREL_U8)
#define COSREL_ALL_TYPES (COSREL_NUMBER_TYPES | 1u << COSREL_BOOL)

/* Integers that shape an output: from the attribute `name` or else from input i (i < 0: attribute only), which must be
 * constant. At most `capacity` of them. *n is 0 with *given false where there is neither. */
cosrel_status cosrel_call_list(const cosrel_call *call, const char *name, int32_t i, uint32_t capacity, int64_t *list,
                               uint32_t *n, bool *given, cosrel_error *error);
/* An attribute of exactly n integers, each in [low, high]; absent: all `fallback`. */
cosrel_status cosrel_call_ints(const cosrel_call *call, const char *name, uint32_t n, int64_t low, int64_t high,
                               int64_t fallback, int64_t *values, cosrel_error *error);
/* An axis of a tensor of `rank`, where negative ones count from the end; *axis is in [0, rank). */
cosrel_status cosrel_call_axis(const cosrel_call *call, int64_t value, uint32_t rank, uint32_t *axis,
                               cosrel_error *error);

/* Element i as a number, whatever its type; storing rounds towards zero, saturates from reals and wraps integers. */
double cosrel_load_real(const cosrel_tensor *tensor, uint64_t i);
int64_t cosrel_load_int(const cosrel_tensor *tensor, uint64_t i);
void cosrel_store_real(const cosrel_tensor *tensor, uint64_t i, double value);
void cosrel_store_int(const cosrel_tensor *tensor, uint64_t i, int64_t value);
bool cosrel_dtype_is_real(cosrel_dtype dtype);

/* At most COSREL_RANK_MAX axes, and COSREL_ELEMENTS_MAX elements even if empty axes had one: so every product of some
 * of the sizes of an operator's input or output is in bounds too. */
bool cosrel_shape_is_bounded(const cosrel_shape *shape);
bool cosrel_shape_equal(const cosrel_shape *a, const cosrel_shape *b);
/* Product of sizes [from, to). */
uint64_t cosrel_shape_span(const cosrel_shape *shape, uint32_t from, uint32_t to);
/* Elements between neighbours along each axis, of a dense tensor: strides[shape->rank]. */
void cosrel_shape_strides(const cosrel_shape *shape, int64_t *strides);
/* Moves index[shape->rank] on to the next element, like an odometer. Returns the first axis whose index changed. */
uint32_t cosrel_shape_next(const cosrel_shape *shape, int64_t *index);
/* The NumPy broadcast of two shapes into *out, which may be one of them; false where they do not fit. */
bool cosrel_shape_broadcast(const cosrel_shape *a, const cosrel_shape *b, cosrel_shape *out);

/* Visits a dense output row by row while up to three operands move along, by strides of their own: 0 where an operand
 * is broadcast, negative where it runs backwards. It equals `rank` nested loops; the last is left to the caller:
 *
 *     for (cosrel_walk_begin(&w); cosrel_walk_rows(&w); cosrel_walk_next(&w))
 *       for (int64_t j = 0; j < w.row; j++) out[w.out + j] = a[w.at[0] + j * w.step[0]];
 */
typedef struct cosrel_walk {
  uint32_t rank, n_operands;
  int64_t dims[COSREL_RANK_MAX];
  int64_t strides[COSREL_WALK_OPERANDS][COSREL_RANK_MAX];
  int64_t row;                        /* length of the innermost loop */
  int64_t step[COSREL_WALK_OPERANDS]; /* of the innermost loop */
  int64_t at[COSREL_WALK_OPERANDS];   /* where each operand is; set before begin to start elsewhere than 0 */
  int64_t out;
  int64_t index[COSREL_RANK_MAX];
  uint64_t rows; /* left */
} cosrel_walk;

/* A walk over `out` with no operands yet. */
void cosrel_walk_over(cosrel_walk *walk, const cosrel_shape *out);
/* Adds a dense operand that is broadcast to the output as NumPy does. */
void cosrel_walk_broadcast(cosrel_walk *walk, const cosrel_shape *operand);
/* Adds an operand with strides for each axis of the output, beginning at element `at`. */
void cosrel_walk_strided(cosrel_walk *walk, const int64_t *strides, int64_t at);
/* Joins axes that every operand crosses evenly, so that rows are long, and goes to the first row. */
void cosrel_walk_begin(cosrel_walk *walk);
static inline bool cosrel_walk_rows(const cosrel_walk *walk) { return walk->rows > 0; }
void cosrel_walk_next(cosrel_walk *walk);
/* After begin: copies the elements of `from`, where operand 0 is, to the output. Both have one type. */
void cosrel_walk_copy(cosrel_walk *walk, const cosrel_tensor *from, const cosrel_tensor *out);

#endif
