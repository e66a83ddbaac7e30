/* Operators that move elements without computing: Transpose, Concat, Split, Slice, Expand, Tile, Pad, DepthToSpace,
 * SpaceToDepth, Gather. All types. */
#include <string.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

/* Fills the output with elements of input 0: strides[d] apart along axis d of `shape`, beginning at `at`. `shape` has
 * as many elements as the output, but maybe more axes. */
static void copy_strided(const cosrel_call *call, const cosrel_shape *shape, const int64_t *strides, int64_t at) {
  cosrel_walk w;
  cosrel_walk_over(&w, shape);
  cosrel_walk_strided(&w, strides, at);
  cosrel_walk_begin(&w);
  cosrel_walk_copy(&w, call->in[0], call->out[0]);
}

/* Copies between two dense tensors seen as rows of bytes: `rows` runs of `bytes`, each tensor with a step of its own.
 */
static void copy_runs(unsigned char *to, size_t to_step, const unsigned char *from, size_t from_step, size_t rows,
                      size_t bytes) {
  for (size_t r = 0; r < rows && bytes > 0; r++) memcpy(&to[r * to_step], &from[r * from_step], bytes);
}

/* ---- Transpose: axis d of the output is axis perm[d] of the input; all reversed by default ---- */

static cosrel_status read_perm(const cosrel_call *call, int64_t *perm, cosrel_error *error) {
  uint32_t rank = call->in[0]->shape.rank, seen = 0;
  cosrel_status status = COSREL_OK;
  if (cosrel_node_attribute(call->net, call->node, "perm") != NULL && rank > 0)
    status = cosrel_call_ints(call, "perm", rank, 0, (int64_t)rank - 1, 0, perm, error);
  else
    for (uint32_t d = 0; d < rank; d++) perm[d] = rank - 1 - d;
  if (status != COSREL_OK) return status;
  for (uint32_t d = 0; d < rank; d++) seen |= 1u << perm[d];
  if (seen != (1u << rank) - 1) return cosrel_call_fail(call, error, COSREL_FORMAT, "perm: expected every axis once");
  return COSREL_OK;
}

cosrel_status cosrel_transpose_infer(const cosrel_call *call, cosrel_error *error) {
  int64_t perm[COSREL_RANK_MAX], dims[COSREL_RANK_MAX];
  cosrel_status status = read_perm(call, perm, error);
  if (status != COSREL_OK) return status;
  for (uint32_t d = 0; d < call->in[0]->shape.rank; d++) dims[d] = call->in[0]->shape.dims[perm[d]];
  return cosrel_call_set(call, 0, call->in[0]->dtype, call->in[0]->shape.rank, dims, error);
}

void cosrel_transpose_run(const cosrel_call *call) {
  int64_t perm[COSREL_RANK_MAX], dense[COSREL_RANK_MAX], strides[COSREL_RANK_MAX];
  if (read_perm(call, perm, NULL) != COSREL_OK) return;
  cosrel_shape_strides(&call->in[0]->shape, dense);
  for (uint32_t d = 0; d < call->in[0]->shape.rank; d++) strides[d] = dense[perm[d]];
  copy_strided(call, &call->out[0]->shape, strides, 0);
}

/* ---- Concat ---- */

static cosrel_status concat_axis(const cosrel_call *call, uint32_t *axis, cosrel_error *error) {
  return cosrel_call_axis(call, cosrel_node_int(call->net, call->node, "axis", 1), call->in[0]->shape.rank, axis,
                          error);
}

cosrel_status cosrel_concat_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *first = call->in[0];
  uint32_t axis = 0;
  cosrel_status status = concat_axis(call, &axis, error);
  if (status != COSREL_OK) return status;
  int64_t dims[COSREL_RANK_MAX];
  for (uint32_t d = 0; d < first->shape.rank; d++) dims[d] = first->shape.dims[d];
  for (uint32_t i = 1; i < call->node->n_inputs; i++) {
    const cosrel_tensor *in = call->in[i];
    bool fits = in != NULL && in->dtype == first->dtype && in->shape.rank == first->shape.rank;
    for (uint32_t d = 0; fits && d < in->shape.rank; d++) fits = d == axis || in->shape.dims[d] == dims[d];
    if (!fits) return cosrel_call_fail(call, error, COSREL_FORMAT, "input %u: type or shape differs from input 0's", i);
    dims[axis] += in->shape.dims[axis];
  }
  return cosrel_call_set(call, 0, first->dtype, first->shape.rank, dims, error);
}

void cosrel_concat_run(const cosrel_call *call) {
  const cosrel_tensor *out = call->out[0];
  uint32_t axis = 0;
  if (concat_axis(call, &axis, NULL) != COSREL_OK) return;
  size_t rows = cosrel_shape_span(&out->shape, 0, axis), element = cosrel_dtype_bytes(out->dtype);
  size_t to_step = cosrel_shape_span(&out->shape, axis, out->shape.rank) * element;
  unsigned char *to = out->data;
  for (uint32_t i = 0; i < call->node->n_inputs; i++) {
    size_t bytes = cosrel_shape_span(&call->in[i]->shape, axis, out->shape.rank) * element;
    copy_runs(to, to_step, call->in[i]->data, bytes, rows, bytes);
    to += bytes;
  }
}

/* ---- Split: into the sizes told, or else evenly ---- */

static cosrel_status read_split(const cosrel_call *call, uint32_t *axis, int64_t *sizes, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  uint32_t n = 0, parts = call->node->n_outputs;
  bool given = false;
  cosrel_status status =
      cosrel_call_axis(call, cosrel_node_int(call->net, call->node, "axis", 0), x->rank, axis, error);
  if (status == COSREL_OK)
    status = cosrel_call_list(call, "split", 1, COSREL_OPERATOR_OUTPUTS_MAX, sizes, &n, &given, error);
  if (status != COSREL_OK) return status;
  int64_t left = x->dims[*axis];
  if (given ? n != parts : left % parts != 0)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "split: %lld elements for %u outputs", (long long)left, parts);
  for (uint32_t k = 0; k < parts; k++) {
    if (!given) sizes[k] = x->dims[*axis] / parts;
    if (sizes[k] < 0 || sizes[k] > left)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "split[%u]: %lld of %lld elements", k, (long long)sizes[k],
                              (long long)left);
    left -= sizes[k];
  }
  if (left != 0) return cosrel_call_fail(call, error, COSREL_FORMAT, "split: %lld elements are left", (long long)left);
  return COSREL_OK;
}

cosrel_status cosrel_split_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  int64_t sizes[COSREL_OPERATOR_OUTPUTS_MAX], dims[COSREL_RANK_MAX];
  uint32_t axis = 0;
  cosrel_status status = read_split(call, &axis, sizes, error);
  for (uint32_t d = 0; d < x->rank; d++) dims[d] = x->dims[d];
  for (uint32_t k = 0; k < call->node->n_outputs && status == COSREL_OK; k++) {
    dims[axis] = sizes[k];
    status = cosrel_call_set(call, k, call->in[0]->dtype, x->rank, dims, error);
  }
  return status;
}

void cosrel_split_run(const cosrel_call *call) {
  const cosrel_tensor *in = call->in[0];
  int64_t sizes[COSREL_OPERATOR_OUTPUTS_MAX];
  uint32_t axis = 0;
  if (read_split(call, &axis, sizes, NULL) != COSREL_OK) return;
  size_t rows = cosrel_shape_span(&in->shape, 0, axis);
  size_t inner = cosrel_shape_span(&in->shape, axis + 1, in->shape.rank) * cosrel_dtype_bytes(in->dtype);
  const unsigned char *from = in->data;
  for (uint32_t k = 0; k < call->node->n_outputs; k++) {
    size_t bytes = (size_t)sizes[k] * inner;
    if (call->out[k] != NULL) copy_runs(call->out[k]->data, bytes, from, in->shape.dims[axis] * inner, rows, bytes);
    from += bytes;
  }
}

/* ---- Slice: starts, ends, axes, steps; attributes up to opset 9, then inputs ---- */

typedef struct slice {
  int64_t start[COSREL_RANK_MAX], step[COSREL_RANK_MAX], size[COSREL_RANK_MAX];
} slice;

static int64_t cut(int64_t value, int64_t low, int64_t high) { return value < low ? low : value > high ? high : value; }

/* One axis, as in NumPy: negative ends count from the end, all are cut to the tensor. */
static void slice_axis(int64_t n, int64_t start, int64_t end, int64_t step, slice *s, uint32_t axis) {
  if (start < 0) start += n;
  if (end < 0) end += n;
  start = step > 0 ? cut(start, 0, n) : cut(start, -1, n - 1);
  end = step > 0 ? cut(end, 0, n) : cut(end, -1, n - 1);
  int64_t room = step > 0 ? end - start : start - end;
  uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
  s->size[axis] = room > 0 ? (int64_t)(((uint64_t)room - 1) / stride + 1) : 0;
  s->start[axis] = s->size[axis] > 0 ? start : 0;
  s->step[axis] = s->size[axis] > 1 ? step : 1;
}

static cosrel_status read_slice(const cosrel_call *call, slice *s, cosrel_error *error) {
  static const char *const names[] = {"starts", "ends", "axes", "steps"};
  const cosrel_shape *x = &call->in[0]->shape;
  int64_t lists[4][COSREL_RANK_MAX];
  uint32_t n[4], seen = 0;
  bool given[4];
  for (uint32_t k = 0; k < 4; k++) {
    cosrel_status status =
        cosrel_call_list(call, names[k], (int32_t)k + 1, COSREL_RANK_MAX, lists[k], &n[k], &given[k], error);
    if (status != COSREL_OK) return status;
    if (k < 2 ? !given[k] || n[k] != n[0] : given[k] && n[k] != n[0])
      return cosrel_call_fail(call, error, COSREL_FORMAT, "%s: expected as many integers as in starts", names[k]);
  }
  for (uint32_t d = 0; d < x->rank; d++) slice_axis(x->dims[d], 0, x->dims[d], 1, s, d);
  for (uint32_t k = 0; k < n[0]; k++) {
    uint32_t axis = 0;
    cosrel_status status = cosrel_call_axis(call, given[2] ? lists[2][k] : (int64_t)k, x->rank, &axis, error);
    if (status != COSREL_OK) return status;
    int64_t step = given[3] ? lists[3][k] : 1;
    if (step == 0 || (seen >> axis & 1) != 0)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "axis %u: a step of 0, or listed twice", axis);
    seen |= 1u << axis;
    slice_axis(x->dims[axis], lists[0][k], lists[1][k], step, s, axis);
  }
  return COSREL_OK;
}

cosrel_status cosrel_slice_infer(const cosrel_call *call, cosrel_error *error) {
  slice s;
  cosrel_status status = read_slice(call, &s, error);
  return status != COSREL_OK ? status
                             : cosrel_call_set(call, 0, call->in[0]->dtype, call->in[0]->shape.rank, s.size, error);
}

void cosrel_slice_run(const cosrel_call *call) {
  slice s;
  if (read_slice(call, &s, NULL) != COSREL_OK) return;
  int64_t strides[COSREL_RANK_MAX], at = 0;
  cosrel_shape_strides(&call->in[0]->shape, strides);
  for (uint32_t d = 0; d < call->in[0]->shape.rank; d++) {
    at += s.start[d] * strides[d];
    strides[d] *= s.step[d];
  }
  copy_strided(call, &call->out[0]->shape, strides, at);
}

/* ---- Expand: NumPy broadcast of input 0 and the shape in input 1 ---- */

cosrel_status cosrel_expand_infer(const cosrel_call *call, cosrel_error *error) {
  int64_t dims[COSREL_RANK_MAX];
  bool given = false;
  cosrel_tensor out = {.dtype = call->in[0]->dtype};
  cosrel_shape wanted = {0};
  cosrel_status status = cosrel_call_list(call, "shape", 1, COSREL_RANK_MAX, dims, &wanted.rank, &given, error);
  if (status != COSREL_OK) return status;
  for (uint32_t d = 0; d < wanted.rank; d++) {
    if (dims[d] < 0 || dims[d] > (int64_t)COSREL_ELEMENTS_MAX)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "shape[%u]: %lld is out of range", d, (long long)dims[d]);
    wanted.dims[d] = (uint32_t)dims[d];
  }
  if (!cosrel_shape_broadcast(&call->in[0]->shape, &wanted, &out.shape))
    return cosrel_call_fail(call, error, COSREL_FORMAT, "shape: input 0 cannot be broadcast to it");
  return cosrel_call_set_like(call, 0, &out, error);
}

void cosrel_expand_run(const cosrel_call *call) {
  cosrel_walk w;
  cosrel_walk_over(&w, &call->out[0]->shape);
  cosrel_walk_broadcast(&w, &call->in[0]->shape);
  cosrel_walk_begin(&w);
  cosrel_walk_copy(&w, call->in[0], call->out[0]);
}

/* ---- Tile and Pad: each output axis maps its positions to those of the input ---- */

typedef enum { MAP_TILE, MAP_CONSTANT, MAP_REFLECT, MAP_EDGE } map_kind;

/* Position i of the output, `before` behind the first of n in the input; -1 where the constant goes. */
static int64_t mapped(map_kind kind, int64_t i, int64_t before, int64_t n) {
  int64_t at = i - before;
  switch (kind) {
    case MAP_TILE: return i % n;
    case MAP_CONSTANT: return at >= 0 && at < n ? at : -1;
    case MAP_EDGE: return cut(at, 0, n - 1);
    default: break;
  }
  int64_t period = n > 1 ? 2 * (n - 1) : 1; /* there and back, without the ends twice */
  at = (at % period + period) % period;
  return at < n ? at : period - at;
}

/* before[d]: elements added in front of axis d. value: one element, where a position maps to none. */
static void copy_mapped(const cosrel_call *call, map_kind kind, const int64_t *before, const void *value) {
  const cosrel_tensor *in = call->in[0], *out = call->out[0];
  size_t bytes = cosrel_dtype_bytes(out->dtype);
  uint64_t n = cosrel_shape_elements(&out->shape);
  int64_t strides[COSREL_RANK_MAX], index[COSREL_RANK_MAX] = {0};
  cosrel_shape_strides(&in->shape, strides);
  unsigned char *to = out->data;
  for (uint64_t i = 0; i < n; i++, to += bytes) {
    int64_t at = 0;
    for (uint32_t d = 0; d < out->shape.rank && at >= 0; d++) {
      int64_t position = mapped(kind, index[d], before[d], in->shape.dims[d]);
      at = position < 0 ? -1 : at + position * strides[d];
    }
    memcpy(to, at < 0 ? value : (const unsigned char *)in->data + (size_t)at * bytes, bytes);
    cosrel_shape_next(&out->shape, index);
  }
}

/* Tile: input 1 says how often each axis repeats. */
cosrel_status cosrel_tile_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  int64_t dims[COSREL_RANK_MAX];
  uint32_t n = 0;
  bool given = false;
  cosrel_status status = cosrel_call_list(call, "repeats", 1, COSREL_RANK_MAX, dims, &n, &given, error);
  if (status != COSREL_OK) return status;
  if (n != x->rank) return cosrel_call_fail(call, error, COSREL_FORMAT, "repeats: expected %u integers", x->rank);
  for (uint32_t d = 0; d < n; d++) {
    if (dims[d] < 0 || dims[d] > (int64_t)COSREL_ELEMENTS_MAX)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "repeats[%u]: %lld is out of range", d, (long long)dims[d]);
    dims[d] *= x->dims[d];
  }
  return cosrel_call_set(call, 0, call->in[0]->dtype, n, dims, error);
}

void cosrel_tile_run(const cosrel_call *call) { copy_mapped(call, MAP_TILE, (int64_t[COSREL_RANK_MAX]){0}, NULL); }

/* Pad: begins of all axes, then ends; attributes up to opset 10, then inputs. Negative ones cut. */
static cosrel_status read_pad(const cosrel_call *call, map_kind *kind, int64_t *pads, cosrel_error *error) {
  const char *mode = cosrel_node_string(call->net, call->node, "mode", "constant");
  uint32_t rank = call->in[0]->shape.rank, n = 0;
  bool given = false;
  *kind = strcmp(mode, "reflect") == 0 ? MAP_REFLECT : strcmp(mode, "edge") == 0 ? MAP_EDGE : MAP_CONSTANT;
  if (*kind == MAP_CONSTANT && strcmp(mode, "constant") != 0)
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "mode: unknown");
  cosrel_status status = cosrel_call_list(call, "pads", 1, 2 * COSREL_RANK_MAX, pads, &n, &given, error);
  if (status != COSREL_OK) return status;
  if (n != 2 * rank) return cosrel_call_fail(call, error, COSREL_FORMAT, "pads: expected %u integers", 2 * rank);
  for (uint32_t k = 0; k < n; k++) {
    if (pads[k] < -(int64_t)COSREL_ELEMENTS_MAX || pads[k] > (int64_t)COSREL_ELEMENTS_MAX)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "pads[%u]: %lld is out of range", k, (long long)pads[k]);
  }
  return COSREL_OK;
}

cosrel_status cosrel_pad_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_tensor *in = call->in[0], *value = cosrel_call_in(call, 2);
  int64_t pads[2 * COSREL_RANK_MAX], dims[COSREL_RANK_MAX];
  map_kind kind = MAP_CONSTANT;
  cosrel_status status = read_pad(call, &kind, pads, error);
  if (status != COSREL_OK) return status;
  if (value != NULL && (value->dtype != in->dtype || cosrel_shape_elements(&value->shape) != 1))
    return cosrel_call_fail(call, error, COSREL_FORMAT, "input 2: expected one element of the type of input 0");
  for (uint32_t d = 0; d < in->shape.rank; d++) {
    dims[d] = in->shape.dims[d] + pads[d] + pads[in->shape.rank + d];
    if (kind != MAP_CONSTANT && in->shape.dims[d] == 0 && dims[d] > 0)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "pads: axis %u is empty and has no edge", d);
  }
  return cosrel_call_set(call, 0, in->dtype, in->shape.rank, dims, error);
}

void cosrel_pad_run(const cosrel_call *call) {
  const cosrel_tensor *given = cosrel_call_in(call, 2);
  int64_t pads[2 * COSREL_RANK_MAX];
  map_kind kind = MAP_CONSTANT;
  if (read_pad(call, &kind, pads, NULL) != COSREL_OK) return;
  int64_t room = 0; /* of an element of any type */
  cosrel_tensor value = {.dtype = call->out[0]->dtype, .data = &room};
  cosrel_store_real(&value, 0, cosrel_node_float(call->net, call->node, "value", 0));
  copy_mapped(call, kind, pads, given != NULL ? given->data : value.data);
}

/* ---- DepthToSpace and SpaceToDepth: transpositions of a view with six axes ---- */

static cosrel_status read_blocks(const cosrel_call *call, int64_t *block, cosrel_error *error) {
  *block = cosrel_node_int(call->net, call->node, "blocksize", 0);
  if (call->in[0]->shape.rank != 4) return cosrel_call_fail(call, error, COSREL_FORMAT, "expected an input of 4 axes");
  if (*block < 1 || *block > COSREL_WINDOW_MAX)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "blocksize: expected 1 to %d", COSREL_WINDOW_MAX);
  return COSREL_OK;
}

/* The output's elements in order are those of the input seen as `view`, with its axes taken in the order `turn`. */
static void turn_view(const cosrel_call *call, const cosrel_shape *view, const uint32_t *turn) {
  int64_t dense[COSREL_RANK_MAX], strides[COSREL_RANK_MAX];
  cosrel_shape turned = {.rank = view->rank};
  cosrel_shape_strides(view, dense);
  for (uint32_t d = 0; d < view->rank; d++) {
    turned.dims[d] = view->dims[turn[d]];
    strides[d] = dense[turn[d]];
  }
  copy_strided(call, &turned, strides, 0);
}

cosrel_status cosrel_depth_to_space_infer(const cosrel_call *call, cosrel_error *error) {
  const uint32_t *x = call->in[0]->shape.dims;
  int64_t b = 0;
  cosrel_status status = read_blocks(call, &b, error);
  if (status != COSREL_OK) return status;
  if (x[1] % (b * b) != 0)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "blocksize: its square does not divide %u channels", x[1]);
  return cosrel_call_set(call, 0, call->in[0]->dtype, 4, (int64_t[]){x[0], x[1] / (b * b), x[2] * b, x[3] * b}, error);
}

/* Channels are [block row, block column, channel] (DCR) or [channel, block row, block column] (CRD). */
void cosrel_depth_to_space_run(const cosrel_call *call) {
  const uint32_t *x = call->in[0]->shape.dims;
  uint32_t b = (uint32_t)cosrel_node_int(call->net, call->node, "blocksize", 1), c = x[1] / (b * b);
  if (strcmp(cosrel_node_string(call->net, call->node, "mode", "DCR"), "CRD") == 0)
    turn_view(call, &(cosrel_shape){6, {x[0], c, b, b, x[2], x[3]}}, (const uint32_t[]){0, 1, 4, 2, 5, 3});
  else
    turn_view(call, &(cosrel_shape){6, {x[0], b, b, c, x[2], x[3]}}, (const uint32_t[]){0, 3, 4, 1, 5, 2});
}

cosrel_status cosrel_space_to_depth_infer(const cosrel_call *call, cosrel_error *error) {
  const uint32_t *x = call->in[0]->shape.dims;
  int64_t b = 0;
  cosrel_status status = read_blocks(call, &b, error);
  if (status != COSREL_OK) return status;
  if (x[2] % b != 0 || x[3] % b != 0)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "blocksize: does not divide %u x %u", x[2], x[3]);
  return cosrel_call_set(call, 0, call->in[0]->dtype, 4, (int64_t[]){x[0], x[1] * b * b, x[2] / b, x[3] / b}, error);
}

void cosrel_space_to_depth_run(const cosrel_call *call) {
  const uint32_t *x = call->in[0]->shape.dims;
  uint32_t b = (uint32_t)cosrel_node_int(call->net, call->node, "blocksize", 1);
  turn_view(call, &(cosrel_shape){6, {x[0], x[1], x[2] / b, b, x[3] / b, b}}, (const uint32_t[]){0, 3, 5, 1, 2, 4});
}

/* ---- Gather: out[a, j, c] = in[a, index[j], c]. Where an index that is no constant is out of range, the nearest one
 * is taken ---- */

cosrel_status cosrel_gather_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  const cosrel_tensor *indices = call->in[1];
  uint32_t axis = 0, rank = 0;
  cosrel_status status =
      cosrel_call_axis(call, cosrel_node_int(call->net, call->node, "axis", 0), x->rank, &axis, error);
  if (status == COSREL_OK) status = cosrel_call_expect(call, 1, COSREL_INDEX_TYPES, error);
  if (status != COSREL_OK) return status;
  int64_t dims[2 * COSREL_RANK_MAX], size = x->dims[axis];
  uint64_t n = cosrel_shape_elements(&indices->shape);
  if (size == 0 && n > 0) return cosrel_call_fail(call, error, COSREL_FORMAT, "axis %u is empty", axis);
  for (uint64_t k = 0; k < n && indices->data != NULL; k++) {
    int64_t index = cosrel_load_int(indices, k);
    if (index < -size || index >= size)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "index %lld of %lld", (long long)index, (long long)size);
  }
  for (uint32_t d = 0; d < axis; d++) dims[rank++] = x->dims[d];
  for (uint32_t d = 0; d < indices->shape.rank; d++) dims[rank++] = indices->shape.dims[d];
  for (uint32_t d = axis + 1; d < x->rank; d++) dims[rank++] = x->dims[d];
  return cosrel_call_set(call, 0, call->in[0]->dtype, rank, dims, error);
}

void cosrel_gather_run(const cosrel_call *call) {
  const cosrel_tensor *in = call->in[0], *indices = call->in[1];
  uint32_t axis = 0;
  if (cosrel_call_axis(call, cosrel_node_int(call->net, call->node, "axis", 0), in->shape.rank, &axis, NULL) !=
      COSREL_OK)
    return;
  int64_t size = in->shape.dims[axis];
  size_t bytes = cosrel_shape_span(&in->shape, axis + 1, in->shape.rank) * cosrel_dtype_bytes(in->dtype);
  uint64_t outer = cosrel_shape_span(&in->shape, 0, axis), n = cosrel_shape_elements(&indices->shape);
  unsigned char *to = call->out[0]->data;
  const unsigned char *from = in->data;
  for (uint64_t a = 0; a < outer && bytes > 0; a++, from += (size_t)size * bytes) {
    for (uint64_t k = 0; k < n; k++, to += bytes) {
      int64_t index = cosrel_load_int(indices, k);
      memcpy(to, &from[(size_t)cut(index < 0 ? index + size : index, 0, size - 1) * bytes], bytes);
    }
  }
}
