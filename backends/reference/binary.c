/* Operators of several tensors, element by element, broadcast as NumPy does: arithmetic, comparisons, logic, PRelu,
 * Where, and the variadic Sum, Mean, Max and Min.
 *
 * Up to opset 6 the arithmetic broadcasts only when told to (broadcast = 1), and then lays the axes of the second
 * tensor on those of the first from `axis` on. float and double are computed in their own type, integers in 64 bits. */
#include <math.h>
#include <string.h>

#include "backends/reference/call.h"
#include "backends/reference/families.h"

/* ---- Shapes ---- */

/* The second tensor with its axes where they belong in a tensor of `rank`: `axis`, then as many ones as are missing. */
static cosrel_shape aligned(const cosrel_shape *b, uint32_t rank, uint32_t axis) {
  cosrel_shape shape = {.rank = rank - axis};
  for (uint32_t d = 0; d < shape.rank; d++) shape.dims[d] = d < b->rank ? b->dims[d] : 1;
  return shape;
}

/* Shapes of inputs 0 and 1, made ready for NumPy's rule. */
static cosrel_status operands(const cosrel_call *call, cosrel_shape *a, cosrel_shape *b, cosrel_error *error) {
  *a = call->in[0]->shape;
  *b = call->in[1]->shape;
  if (cosrel_call_opset(call) >= 7 || cosrel_node_int(call->net, call->node, "broadcast", 0) == 0) return COSREL_OK;
  int64_t axis = cosrel_node_int(call->net, call->node, "axis", (int64_t)a->rank - b->rank);
  if (axis < 0) axis += a->rank;
  if (axis < 0 || axis + b->rank > a->rank)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "axis: input 1 does not fit input 0 there");
  *b = aligned(b, a->rank, (uint32_t)axis);
  return COSREL_OK;
}

static cosrel_status set_broadcast(const cosrel_call *call, cosrel_dtype dtype, const cosrel_shape *a,
                                   const cosrel_shape *b, cosrel_error *error) {
  cosrel_tensor joined = {.dtype = dtype};
  if (!cosrel_shape_broadcast(a, b, &joined.shape))
    return cosrel_call_fail(call, error, COSREL_FORMAT, "the shapes of the inputs cannot be broadcast");
  return cosrel_call_set_like(call, 0, &joined, error);
}

static cosrel_status expect_same_types(const cosrel_call *call, uint32_t from, cosrel_error *error) {
  for (uint32_t i = from; i < call->node->n_inputs; i++) {
    if (call->in[i] == NULL || call->in[i]->dtype != call->in[from]->dtype)
      return cosrel_call_fail(call, error, COSREL_FORMAT, "input %u: expected type %s", i,
                              cosrel_dtype_name(call->in[from]->dtype));
  }
  return COSREL_OK;
}

/* ---- Two operands ---- */

static bool is_comparison(uint8_t variant) { return variant >= COSREL_BINARY_EQUAL; }
static bool is_logic(uint8_t variant) { return variant >= COSREL_BINARY_AND && variant < COSREL_BINARY_EQUAL; }

cosrel_status cosrel_binary_infer(const cosrel_call *call, cosrel_error *error) {
  uint8_t variant = call->node->op->variant;
  uint32_t allowed = is_logic(variant)                ? 1u << COSREL_BOOL
                     : variant == COSREL_BINARY_EQUAL ? COSREL_ALL_TYPES
                                                      : COSREL_NUMBER_TYPES;
  cosrel_status status = cosrel_call_expect(call, 0, allowed, error);
  if (status == COSREL_OK) status = cosrel_call_expect(call, 1, allowed, error);
  if (status == COSREL_OK && variant != COSREL_BINARY_POW) status = expect_same_types(call, 0, error);
  if (variant == COSREL_BINARY_MOD && cosrel_dtype_is_real(call->in[0]->dtype) &&
      cosrel_node_int(call->net, call->node, "fmod", 0) == 0)
    return cosrel_call_fail(call, error, COSREL_FORMAT, "fmod: expected 1 for real numbers");
  cosrel_shape a, b;
  if (status == COSREL_OK) status = operands(call, &a, &b, error);
  if (status != COSREL_OK) return status;
  return set_broadcast(call, is_comparison(variant) ? COSREL_BOOL : call->in[0]->dtype, &a, &b, error);
}

static int64_t truncated(int64_t a, int64_t b) {
  if (b == 0) return 0;
  return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

/* Has the sign of the divisor, as in Python; that of fmod has the sign of the dividend, as in C. */
static int64_t remainder_of(int64_t a, int64_t b) {
  if (b == 0 || b == -1) return 0;
  int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

static int64_t integer(uint8_t variant, int64_t a, int64_t b) {
  uint64_t x = (uint64_t)a, y = (uint64_t)b; /* wraps around, where signed numbers must not */
  switch (variant) {
    case COSREL_BINARY_ADD: return (int64_t)(x + y);
    case COSREL_BINARY_SUB: return (int64_t)(x - y);
    case COSREL_BINARY_MUL: return (int64_t)(x * y);
    case COSREL_BINARY_DIV: return truncated(a, b);
    case COSREL_BINARY_MOD: return remainder_of(a, b);
    case COSREL_BINARY_FMOD: return b == 0 || b == -1 ? 0 : a % b;
    case COSREL_BINARY_PRELU: return a < 0 ? (int64_t)(x * y) : a;
    case COSREL_BINARY_MAX: return a > b ? a : b;
    case COSREL_BINARY_MIN: return a < b ? a : b;
    case COSREL_BINARY_AND: return a && b;
    case COSREL_BINARY_OR: return a || b;
    case COSREL_BINARY_XOR: return a != b;
    case COSREL_BINARY_EQUAL: return a == b;
    case COSREL_BINARY_LESS: return a < b;
    case COSREL_BINARY_LESS_OR_EQUAL: return a <= b;
    case COSREL_BINARY_GREATER: return a > b;
    default: return a >= b;
  }
}

/* Rows of one type; y = f with the elements p and q. */
#define ROWS(type, result, f)                                                                \
  for (; cosrel_walk_rows(w); cosrel_walk_next(w)) {                                         \
    const type *a = (const type *)x->data + w->at[0], *b = (const type *)y->data + w->at[1]; \
    result *to = (result *)out->data + w->out;                                               \
    for (int64_t j = 0; j < w->row; j++) {                                                   \
      const type p = a[j * w->step[0]], q = b[j * w->step[1]];                               \
      to[j] = (result)(f);                                                                   \
    }                                                                                        \
  }
#define CASE(name, result, f) \
  case COSREL_BINARY_##name:  \
    if (x->dtype == COSREL_F32) ROWS(float, result##_f32, f) else ROWS(double, result##_f64, f) break;
typedef float same_f32;
typedef double same_f64;
typedef uint8_t truth_f32;
typedef uint8_t truth_f64;

static void run_real(uint8_t variant, cosrel_walk *w, const cosrel_tensor *x, const cosrel_tensor *y,
                     const cosrel_tensor *out) {
  switch (variant) {
    CASE(ADD, same, p + q)
    CASE(SUB, same, p - q)
    CASE(MUL, same, p * q)
    CASE(DIV, same, p / q)
    CASE(FMOD, same, fmod((double)p, (double)q))
    CASE(PRELU, same, p < 0 ? p * q : p)
    CASE(MAX, same, isnan(p) || p > q ? p : q)
    CASE(MIN, same, isnan(p) || p < q ? p : q)
    CASE(EQUAL, truth, p == q)
    CASE(LESS, truth, p < q)
    CASE(LESS_OR_EQUAL, truth, p <= q)
    CASE(GREATER, truth, p > q)
    CASE(GREATER_OR_EQUAL, truth, p >= q)
    default: break;
  }
}

/* x[i] to the power y[i], in double; the result has the type of the base. */
static void run_pow(cosrel_walk *w, const cosrel_tensor *x, const cosrel_tensor *y, const cosrel_tensor *out) {
  for (; cosrel_walk_rows(w); cosrel_walk_next(w)) {
    for (int64_t j = 0; j < w->row; j++) {
      double base = cosrel_load_real(x, (uint64_t)(w->at[0] + j * w->step[0]));
      double exponent = cosrel_load_real(y, (uint64_t)(w->at[1] + j * w->step[1]));
      cosrel_store_real(out, (uint64_t)(w->out + j), pow(base, exponent));
    }
  }
}

static void run_integer(uint8_t variant, cosrel_walk *w, const cosrel_tensor *x, const cosrel_tensor *y,
                        const cosrel_tensor *out) {
  for (; cosrel_walk_rows(w); cosrel_walk_next(w)) {
    for (int64_t j = 0; j < w->row; j++) {
      int64_t a = cosrel_load_int(x, (uint64_t)(w->at[0] + j * w->step[0]));
      int64_t b = cosrel_load_int(y, (uint64_t)(w->at[1] + j * w->step[1]));
      cosrel_store_int(out, (uint64_t)(w->out + j), integer(variant, a, b));
    }
  }
}

/* out = x op y, where both are broadcast to out; x may be out. */
static void compute(uint8_t variant, const cosrel_tensor *x, const cosrel_shape *a, const cosrel_tensor *y,
                    const cosrel_shape *b, const cosrel_tensor *out) {
  cosrel_walk walk;
  cosrel_walk_over(&walk, &out->shape);
  cosrel_walk_broadcast(&walk, a);
  cosrel_walk_broadcast(&walk, b);
  cosrel_walk_begin(&walk);
  if (variant == COSREL_BINARY_POW)
    run_pow(&walk, x, y, out);
  else if (cosrel_dtype_is_real(x->dtype))
    run_real(variant, &walk, x, y, out);
  else
    run_integer(variant, &walk, x, y, out);
}

void cosrel_binary_run(const cosrel_call *call) {
  uint8_t variant = call->node->op->variant;
  if (variant == COSREL_BINARY_MOD && cosrel_node_int(call->net, call->node, "fmod", 0) != 0)
    variant = COSREL_BINARY_FMOD;
  cosrel_shape a, b;
  operands(call, &a, &b, NULL);
  compute(variant, call->in[0], &a, call->in[1], &b, call->out[0]);
}

/* ---- PRelu: y = x where x >= 0, else slope * x. Up to opset 6 the slopes are those of the channels (axis 1) ---- */

static cosrel_shape slope_shape(const cosrel_call *call) {
  const cosrel_shape *x = &call->in[0]->shape, *slope = &call->in[1]->shape;
  return cosrel_call_opset(call) < 7 && slope->rank == 1 && x->rank > 1 ? aligned(slope, x->rank, 1) : *slope;
}

cosrel_status cosrel_prelu_infer(const cosrel_call *call, cosrel_error *error) {
  cosrel_shape slope = slope_shape(call), joined;
  cosrel_status status = cosrel_call_expect(call, 0, COSREL_REAL_TYPES | COSREL_INDEX_TYPES, error);
  if (status == COSREL_OK) status = expect_same_types(call, 0, error);
  if (status != COSREL_OK) return status;
  if (!cosrel_shape_broadcast(&call->in[0]->shape, &slope, &joined) ||
      !cosrel_shape_equal(&joined, &call->in[0]->shape))
    return cosrel_call_fail(call, error, COSREL_FORMAT, "the shape of the slope cannot be broadcast to the input");
  return cosrel_call_set_like(call, 0, call->in[0], error);
}

void cosrel_prelu_run(const cosrel_call *call) {
  cosrel_shape slope = slope_shape(call);
  compute(COSREL_BINARY_PRELU, call->in[0], &call->in[0]->shape, call->in[1], &slope, call->out[0]);
}

/* ---- Sum, Mean, Max, Min of one or more ---- */

cosrel_status cosrel_variadic_infer(const cosrel_call *call, cosrel_error *error) {
  uint8_t variant = call->node->op->variant;
  bool numbers = variant == COSREL_BINARY_MAX || variant == COSREL_BINARY_MIN;
  cosrel_status status = cosrel_call_expect(call, 0, numbers ? COSREL_NUMBER_TYPES : COSREL_REAL_TYPES, error);
  if (status == COSREL_OK) status = expect_same_types(call, 0, error);
  if (status != COSREL_OK) return status;
  cosrel_tensor joined = *call->in[0];
  for (uint32_t i = 1; i < call->node->n_inputs; i++) {
    if (!cosrel_shape_broadcast(&joined.shape, &call->in[i]->shape, &joined.shape))
      return cosrel_call_fail(call, error, COSREL_FORMAT, "the shapes of the inputs cannot be broadcast");
  }
  return cosrel_call_set_like(call, 0, &joined, error);
}

void cosrel_variadic_run(const cosrel_call *call) {
  const cosrel_tensor *out = call->out[0];
  uint8_t variant = call->node->op->variant;
  bool mean = variant == COSREL_VARIADIC_MEAN;
  uint32_t n = call->node->n_inputs;
  cosrel_walk walk;
  cosrel_walk_over(&walk, &out->shape);
  cosrel_walk_broadcast(&walk, &call->in[0]->shape);
  cosrel_walk_begin(&walk);
  cosrel_walk_copy(&walk, call->in[0], out);
  for (uint32_t i = 1; i < n; i++)
    compute(mean ? COSREL_BINARY_ADD : variant, out, &out->shape, call->in[i], &call->in[i]->shape, out);
  uint64_t elements = mean ? cosrel_shape_elements(&out->shape) : 0;
  for (uint64_t i = 0; i < elements; i++) cosrel_store_real(out, i, cosrel_load_real(out, i) / n);
}

/* ---- Where: the second or the third, by the truth of the first ---- */

cosrel_status cosrel_where_infer(const cosrel_call *call, cosrel_error *error) {
  cosrel_status status = cosrel_call_expect(call, 0, 1u << COSREL_BOOL, error);
  if (status == COSREL_OK) status = expect_same_types(call, 1, error);
  cosrel_shape joined;
  if (status != COSREL_OK) return status;
  if (!cosrel_shape_broadcast(&call->in[0]->shape, &call->in[1]->shape, &joined))
    return cosrel_call_fail(call, error, COSREL_FORMAT, "the shapes of the inputs cannot be broadcast");
  return set_broadcast(call, call->in[1]->dtype, &joined, &call->in[2]->shape, error);
}

void cosrel_where_run(const cosrel_call *call) {
  const uint8_t *choice = call->in[0]->data;
  size_t bytes = cosrel_dtype_bytes(call->out[0]->dtype);
  unsigned char *to = call->out[0]->data;
  cosrel_walk w;
  cosrel_walk_over(&w, &call->out[0]->shape);
  for (uint32_t i = 0; i < 3; i++) cosrel_walk_broadcast(&w, &call->in[i]->shape);
  for (cosrel_walk_begin(&w); cosrel_walk_rows(&w); cosrel_walk_next(&w)) {
    for (int64_t j = 0; j < w.row; j++) {
      uint32_t k = choice[w.at[0] + j * w.step[0]] != 0 ? 1 : 2;
      const unsigned char *from = call->in[k]->data;
      memcpy(&to[(size_t)(w.out + j) * bytes], &from[(size_t)(w.at[k] + j * w.step[k]) * bytes], bytes);
    }
  }
}
