/* Operators that read or write at places told by indices, along axes: GatherElements, GatherND, ScatterElements,
 * ScatterND, OneHot, TopK, CumSum, Trilu.
 *
 * Indices often come with the request: what is out of range then is cut to the axis, so that no memory beyond the
 * tensor is touched. */
#include <string.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

/* Index i, where negative ones count from the end, cut to [0, n); n is at least 1. */
static int64_t index_at(const cosrel_tensor *indices, uint64_t i, int64_t n) {
  int64_t index = cosrel_load_int(indices, i);
  if (index < 0) index += n;
  return index < 0 ? 0 : index >= n ? n - 1 : index;
}

static cosrel_status read_axis(const cosrel_call *call, int64_t fallback, uint32_t rank, uint32_t *axis,
                               cosrel_error *error) {
  return cosrel_call_axis(call, cosrel_node_int(call->net, call->node, "axis", fallback), rank, axis, error);
}

/* The attribute `reduction` of the scattering operators: what happens to the element that was there. */
typedef enum { REPLACE, ADD, MULTIPLY } reduction;

static cosrel_status read_reduction(const cosrel_call *call, reduction *how, cosrel_error *error) {
  const char *name = cosrel_node_string(call->net, call->node, "reduction", "none");
  *how = strcmp(name, "add") == 0 ? ADD : strcmp(name, "mul") == 0 ? MULTIPLY : REPLACE;
  if (*how == REPLACE && strcmp(name, "none") != 0)
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "reduction: unknown");
  return COSREL_OK;
}

static void scatter_one(reduction how, const cosrel_tensor *out, uint64_t to, const cosrel_tensor *from, uint64_t i) {
  if (!cosrel_dtype_is_real(out->dtype)) {
    uint64_t old = (uint64_t)cosrel_load_int(out, to), update = (uint64_t)cosrel_load_int(from, i);
    uint64_t value = how == ADD ? old + update : how == MULTIPLY ? old * update : update;
    cosrel_store_int(out, to, (int64_t)value);
    return;
  }
  double old = cosrel_load_real(out, to), update = cosrel_load_real(from, i);
  cosrel_store_real(out, to, how == ADD ? old + update : how == MULTIPLY ? old * update : update);
}

static void copy_input(const cosrel_call *call) {
  size_t bytes = cosrel_tensor_bytes(call->out[0]);
  if (bytes > 0) memcpy(call->out[0]->data, call->in[0]->data, bytes);
}

/* ---- GatherElements: out[p] = in[p with p[axis] = indices[p]]; ScatterElements: the reverse ---- */

static cosrel_status read_elements(const cosrel_call *call, uint32_t *axis, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape, *indices = &call->in[1]->shape;
  cosrel_status status = read_axis(call, 0, x->rank, axis, error);
  if (status == COSREL_OK) status = cosrel_call_expect(call, 1, COSREL_INDEX_TYPES, error);
  if (status != COSREL_OK) return status;
  bool fits = indices->rank == x->rank && (x->dims[*axis] > 0 || cosrel_shape_elements(indices) == 0);
  for (uint32_t d = 0; fits && d < x->rank; d++) fits = d == *axis || indices->dims[d] <= x->dims[d];
  return fits ? COSREL_OK : cosrel_call_fail(call, error, COSREL_FORMAT, "the shape of the indices does not fit");
}

/* The element that index i, at `position`, means. */
static uint64_t element_at(const cosrel_call *call, uint32_t axis, const int64_t *strides, const int64_t *position,
                           uint64_t i) {
  const cosrel_shape *x = &call->in[0]->shape;
  int64_t at = index_at(call->in[1], i, x->dims[axis]) * strides[axis];
  for (uint32_t d = 0; d < x->rank; d++)
    if (d != axis) at += position[d] * strides[d];
  return (uint64_t)at;
}

cosrel_status cosrel_gather_elements_infer(const cosrel_call *call, cosrel_error *error) {
  uint32_t axis = 0;
  cosrel_status status = read_elements(call, &axis, error);
  if (status == COSREL_OK) status = cosrel_call_set_like(call, 0, call->in[1], error);
  if (status == COSREL_OK) call->out[0]->dtype = call->in[0]->dtype;
  return status;
}

void cosrel_gather_elements_run(const cosrel_call *call) {
  const cosrel_shape *shape = &call->in[1]->shape;
  int64_t strides[COSREL_RANK_MAX], position[COSREL_RANK_MAX] = {0};
  uint32_t axis = 0;
  if (read_elements(call, &axis, NULL) != COSREL_OK) return;
  cosrel_shape_strides(&call->in[0]->shape, strides);
  size_t bytes = cosrel_dtype_bytes(call->out[0]->dtype);
  unsigned char *to = call->out[0]->data;
  const unsigned char *from = call->in[0]->data;
  uint64_t n = cosrel_shape_elements(shape);
  for (uint64_t i = 0; i < n; i++, cosrel_shape_next(shape, position))
    memcpy(&to[i * bytes], &from[element_at(call, axis, strides, position, i) * bytes], bytes);
}

cosrel_status cosrel_scatter_elements_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *updates = call->in[2];
  uint32_t axis = 0;
  reduction how = REPLACE;
  cosrel_status status = read_elements(call, &axis, error);
  if (status == COSREL_OK) status = read_reduction(call, &how, error);
  if (status != COSREL_OK) return status;
  if (updates->dtype != call->in[0]->dtype || !cosrel_shape_equal(&updates->shape, &call->in[1]->shape))
    return cosrel_call_fail(call, error, COSREL_FORMAT, "input 2: expected the type of input 0, the shape of input 1");
  return cosrel_call_set_like(call, 0, call->in[0], error);
}

void cosrel_scatter_elements_run(const cosrel_call *call) {
  const cosrel_shape *shape = &call->in[1]->shape;
  int64_t strides[COSREL_RANK_MAX], position[COSREL_RANK_MAX] = {0};
  uint32_t axis = 0;
  reduction how = REPLACE;
  if (read_elements(call, &axis, NULL) != COSREL_OK || read_reduction(call, &how, NULL) != COSREL_OK) return;
  cosrel_shape_strides(&call->in[0]->shape, strides);
  copy_input(call);
  uint64_t n = cosrel_shape_elements(shape);
  for (uint64_t i = 0; i < n; i++, cosrel_shape_next(shape, position))
    scatter_one(how, call->out[0], element_at(call, axis, strides, position, i), call->in[2], i);
}

/* ---- GatherND and ScatterND: the last axis of the indices holds places in `n` axes of the tensor, from axis `batch`
 * on; each means the block of all axes behind ---- */

typedef struct blocks {
  uint32_t batch, n; /* axes */
  uint64_t count;    /* of blocks that the indices name */
  uint64_t per_batch;
  uint64_t size; /* elements of a block */
} blocks;

static cosrel_status read_blocks(const cosrel_call *call, blocks *b, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape, *indices = &call->in[1]->shape;
  int64_t batch = cosrel_node_int(call->net, call->node, "batch_dims", 0);
  cosrel_status status = cosrel_call_expect(call, 1, COSREL_INDEX_TYPES, error);
  if (status != COSREL_OK) return status;
  bool fits = x->rank > 0 && indices->rank > 0 && batch >= 0 && batch < x->rank && batch < indices->rank;
  uint32_t last = fits ? indices->dims[indices->rank - 1] : 0;
  fits = fits && last >= 1 && batch + last <= x->rank;
  for (uint32_t d = 0; fits && d < batch; d++) fits = indices->dims[d] == x->dims[d];
  if (!fits) return cosrel_call_fail(call, error, COSREL_FORMAT, "the shape of the indices does not fit");
  *b = (blocks){.batch = (uint32_t)batch, .n = last};
  b->count = cosrel_shape_span(indices, 0, indices->rank - 1);
  b->per_batch = cosrel_shape_span(indices, b->batch, indices->rank - 1);
  b->size = cosrel_shape_span(x, b->batch + b->n, x->rank);
  if (b->count > 0 && cosrel_shape_span(x, b->batch, b->batch + b->n) == 0)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "indices into an empty tensor");
  return COSREL_OK;
}

/* The first element of block k. */
static uint64_t block_at(const cosrel_call *call, const blocks *b, uint64_t k) {
  const cosrel_shape *x = &call->in[0]->shape;
  uint64_t place = k / b->per_batch; /* of the batch, then of the block, counted in blocks */
  for (uint32_t d = 0; d < b->n; d++)
    place = place * x->dims[b->batch + d] + (uint64_t)index_at(call->in[1], k * b->n + d, x->dims[b->batch + d]);
  return place * b->size;
}

cosrel_status cosrel_gather_nd_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape, *indices = &call->in[1]->shape;
  blocks b;
  cosrel_status status = read_blocks(call, &b, error);
  if (status != COSREL_OK) return status;
  int64_t dims[2 * COSREL_RANK_MAX];
  uint32_t rank = 0;
  for (uint32_t d = 0; d + 1 < indices->rank; d++) dims[rank++] = indices->dims[d];
  for (uint32_t d = b.batch + b.n; d < x->rank; d++) dims[rank++] = x->dims[d];
  return cosrel_call_set(call, 0, call->in[0]->dtype, rank, dims, error);
}

void cosrel_gather_nd_run(const cosrel_call *call) {
  blocks b;
  if (read_blocks(call, &b, NULL) != COSREL_OK) return;
  size_t bytes = cosrel_dtype_bytes(call->out[0]->dtype);
  unsigned char *to = call->out[0]->data;
  const unsigned char *from = call->in[0]->data;
  for (uint64_t k = 0; k < b.count && b.size > 0; k++)
    memcpy(&to[k * b.size * bytes], &from[block_at(call, &b, k) * bytes], b.size * bytes);
}

cosrel_status cosrel_scatter_nd_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *updates = call->in[2];
  blocks b;
  reduction how = REPLACE;
  cosrel_status status = read_blocks(call, &b, error);
  if (status == COSREL_OK) status = read_reduction(call, &how, error);
  if (status != COSREL_OK) return status;
  unsigned long long wanted = b.count * b.size;
  if (updates->dtype != call->in[0]->dtype || cosrel_shape_elements(&updates->shape) != wanted || b.batch > 0)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "input 2: expected the type of input 0, and %llu elements",
                            wanted);
  return cosrel_call_set_like(call, 0, call->in[0], error);
}

void cosrel_scatter_nd_run(const cosrel_call *call) {
  blocks b;
  reduction how = REPLACE;
  if (read_blocks(call, &b, NULL) != COSREL_OK || read_reduction(call, &how, NULL) != COSREL_OK) return;
  copy_input(call);
  for (uint64_t k = 0; k < b.count && b.size > 0; k++) {
    uint64_t to = block_at(call, &b, k);
    for (uint64_t i = 0; i < b.size; i++) scatter_one(how, call->out[0], to + i, call->in[2], k * b.size + i);
  }
}

/* ---- OneHot: a new axis of `depth` elements, values[1] where the index is and values[0] elsewhere ---- */

cosrel_status cosrel_one_hot_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *indices = call->in[0], *depth = call->in[1], *values = call->in[2];
  uint32_t axis = 0, rank = indices->shape.rank + 1;
  cosrel_status status = read_axis(call, -1, rank, &axis, error);
  if (status == COSREL_OK) status = cosrel_call_expect(call, 0, COSREL_NUMBER_TYPES, error);
  if (status != COSREL_OK) return status;
  if (depth->data == NULL || cosrel_shape_elements(&depth->shape) != 1)
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "depth: expected one constant number");
  if (cosrel_shape_elements(&values->shape) != 2)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "values: expected two elements");
  int64_t places = cosrel_load_int(depth, 0), dims[COSREL_RANK_MAX + 1];
  if (places < 1) return cosrel_call_fail(call, error, COSREL_FORMAT, "depth: expected 1 or more");
  for (uint32_t d = 0, from = 0; d < rank; d++) dims[d] = d == axis ? places : indices->shape.dims[from++];
  return cosrel_call_set(call, 0, values->dtype, rank, dims, error);
}

void cosrel_one_hot_run(const cosrel_call *call) {
  const cosrel_tensor *out = call->out[0];
  uint32_t axis = 0;
  if (read_axis(call, -1, out->shape.rank, &axis, NULL) != COSREL_OK) return;
  int64_t depth = out->shape.dims[axis];
  uint64_t inner = cosrel_shape_span(&out->shape, axis + 1, out->shape.rank), n = cosrel_shape_elements(&out->shape);
  size_t bytes = cosrel_dtype_bytes(out->dtype);
  const unsigned char *values = call->in[2]->data;
  unsigned char *to = out->data;
  for (uint64_t i = 0; i < n; i++, to += bytes) {
    int64_t place = (int64_t)(i / inner) % depth;
    int64_t index = cosrel_load_int(call->in[0], i / inner / (uint64_t)depth * inner + i % inner);
    memcpy(to, &values[(index < 0 ? index + depth : index) == place ? bytes : 0], bytes);
  }
}

/* ---- TopK: the k largest or smallest along an axis in order; of equals the first ---- */

typedef struct lines {
  uint64_t outer, n, inner; /* the input as [outer, n, inner] */
} lines;

static lines lines_of(const cosrel_shape *x, uint32_t axis) {
  return (lines){cosrel_shape_span(x, 0, axis), x->dims[axis], cosrel_shape_span(x, axis + 1, x->rank)};
}

cosrel_status cosrel_top_k_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *in = call->in[0];
  uint32_t axis = 0, n = 0;
  bool given = false;
  int64_t k = 0, dims[COSREL_RANK_MAX];
  cosrel_status status = read_axis(call, -1, in->shape.rank, &axis, error);
  if (status == COSREL_OK)
    status = cosrel_call_expect(call, 0, COSREL_NUMBER_TYPES & ~(1u << COSREL_I64), error); /* exact in a double */
  if (status == COSREL_OK) status = cosrel_call_list(call, "k", 1, 1, &k, &n, &given, error);
  if (status != COSREL_OK) return status;
  if (n != 1 || k < 0 || k > in->shape.dims[axis])
    return cosrel_call_fail(call, error, COSREL_FORMAT, "k: expected 0 to %u", in->shape.dims[axis]);
  for (uint32_t d = 0; d < in->shape.rank; d++) dims[d] = d == axis ? k : in->shape.dims[d];
  status = cosrel_call_set(call, 0, in->dtype, in->shape.rank, dims, error);
  return status != COSREL_OK ? status : cosrel_call_set(call, 1, COSREL_I64, in->shape.rank, dims, error);
}

/* Puts element i of the input where it belongs among the `found` best of its line, of which at most k stay. */
static void insert(const cosrel_call *call, double sign, uint64_t line, uint64_t step, uint64_t k, uint64_t found,
                   double value, uint64_t i) {
  const cosrel_tensor *values = call->out[0], *indices = cosrel_call_out(call, 1);
  uint64_t place = found < k ? found : k;
  while (place > 0 && sign * value > sign * cosrel_load_real(values, line + (place - 1) * step)) {
    place--;
    if (place + 1 >= k) continue; /* the worst one falls out */
    cosrel_store_real(values, line + (place + 1) * step, cosrel_load_real(values, line + place * step));
    if (indices != NULL)
      cosrel_store_int(indices, line + (place + 1) * step, cosrel_load_int(indices, line + place * step));
  }
  if (place >= k) return;
  cosrel_store_real(values, line + place * step, value);
  if (indices != NULL) cosrel_store_int(indices, line + place * step, (int64_t)i);
}

void cosrel_top_k_run(const cosrel_call *call) {
  const cosrel_tensor *in = call->in[0];
  uint32_t axis = 0;
  if (read_axis(call, -1, in->shape.rank, &axis, NULL) != COSREL_OK) return;
  double sign = cosrel_node_int(call->net, call->node, "largest", 1) != 0 ? 1 : -1;
  uint64_t k = call->out[0]->shape.dims[axis];
  lines l = lines_of(&in->shape, axis);
  for (uint64_t o = 0; o < l.outer; o++)
    for (uint64_t s = 0; s < l.inner; s++)
      for (uint64_t i = 0; i < l.n; i++)
        insert(call, sign, o * k * l.inner + s, l.inner, k, i, cosrel_load_real(in, (o * l.n + i) * l.inner + s), i);
}

/* ---- CumSum: sums of all before and, unless exclusive, of the element itself; reversed from the other end ---- */

static cosrel_status read_cum_sum(const cosrel_call *call, uint32_t *axis, cosrel_error *error) {
  int64_t value = 0;
  uint32_t n = 0;
  bool given = false;
  cosrel_status status = cosrel_call_list(call, "axis", 1, 1, &value, &n, &given, error);
  if (status == COSREL_OK && n != 1) return cosrel_call_fail(call, error, COSREL_FORMAT, "axis: expected one integer");
  return status != COSREL_OK ? status : cosrel_call_axis(call, value, call->in[0]->shape.rank, axis, error);
}

cosrel_status cosrel_cum_sum_infer(const cosrel_call *call, cosrel_error *error) {
  uint32_t axis = 0;
  cosrel_status status = cosrel_call_expect(call, 0, COSREL_REAL_TYPES | COSREL_INDEX_TYPES, error);
  if (status == COSREL_OK) status = read_cum_sum(call, &axis, error);
  return status != COSREL_OK ? status : cosrel_call_set_like(call, 0, call->in[0], error);
}

void cosrel_cum_sum_run(const cosrel_call *call) {
  const cosrel_tensor *in = call->in[0], *out = call->out[0];
  uint32_t axis = 0;
  if (read_cum_sum(call, &axis, NULL) != COSREL_OK) return;
  bool exclusive = cosrel_node_int(call->net, call->node, "exclusive", 0) != 0;
  bool reverse = cosrel_node_int(call->net, call->node, "reverse", 0) != 0, real = cosrel_dtype_is_real(in->dtype);
  lines l = lines_of(&in->shape, axis);
  for (uint64_t line = 0; line < l.outer * l.inner; line++) {
    double sum = 0;
    uint64_t total = 0; /* of integers; wraps around */
    for (uint64_t i = 0; i < l.n; i++) {
      uint64_t at = (line / l.inner * l.n + (reverse ? l.n - 1 - i : i)) * l.inner + line % l.inner;
      double before = sum;
      uint64_t total_before = total;
      if (real)
        sum += cosrel_load_real(in, at);
      else
        total += (uint64_t)cosrel_load_int(in, at);
      if (real)
        cosrel_store_real(out, at, exclusive ? before : sum);
      else
        cosrel_store_int(out, at, (int64_t)(exclusive ? total_before : total));
    }
  }
}

/* ---- Trilu: of every matrix (the last two axes) the part on and above, or below, diagonal k; the rest is 0 ---- */

cosrel_status cosrel_trilu_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *k = cosrel_call_in(call, 1);
  cosrel_status status = cosrel_call_expect(call, 1, COSREL_INDEX_TYPES, error);
  if (status != COSREL_OK) return status;
  if (call->in[0]->shape.rank < 2 || (k != NULL && cosrel_shape_elements(&k->shape) != 1))
    return cosrel_call_fail(call, error, COSREL_FORMAT, "expected matrices and one diagonal");
  return cosrel_call_set_like(call, 0, call->in[0], error);
}

void cosrel_trilu_run(const cosrel_call *call) {
  const cosrel_shape *x = &call->in[0]->shape;
  const cosrel_tensor *k = cosrel_call_in(call, 1);
  bool upper = cosrel_node_int(call->net, call->node, "upper", 1) != 0;
  int64_t diagonal = k != NULL ? cosrel_load_int(k, 0) : 0, rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
  size_t bytes = cosrel_dtype_bytes(call->out[0]->dtype);
  unsigned char *to = call->out[0]->data;
  uint64_t n = cosrel_shape_elements(x);
  copy_input(call);
  for (uint64_t i = 0; i < n; i++) {
    int64_t column = (int64_t)(i % (uint64_t)columns), row = (int64_t)(i / (uint64_t)columns) % rows;
    if (upper ? column - row < diagonal : column - row > diagonal) memset(&to[i * bytes], 0, bytes);
  }
}
