/* MaxPool, AveragePool and their global forms over one to three spatial axes.
 *
 * A window (slide.h) gives the largest or the mean of the places inside the input. With count_include_pad the mean
 * also counts places in the padding, which are 0; places behind the padding (ceil_mode) never count. */
#include <math.h>

#include "backends/reference/families.h"
#include "backends/reference/slide.h"

static cosrel_status read_pool(const cosrel_call *call, cosrel_slide *w, cosrel_error *error) {
  cosrel_status status = cosrel_call_expect(call, 0, 1u << COSREL_F32, error);
  if (status != COSREL_OK) return status;
  return cosrel_slide_read(call, NULL, cosrel_node_int(call->net, call->node, "ceil_mode", 0) != 0, w, error);
}

cosrel_status cosrel_pool_infer(const cosrel_call *call, cosrel_error *error) {
  cosrel_slide w;
  cosrel_status status = read_pool(call, &w, error);
  if (status != COSREL_OK) return status;
  if (cosrel_call_out(call, 1) != NULL && cosrel_node_int(call->net, call->node, "storage_order", 0) != 0)
    return cosrel_call_fail(call, error, COSREL_UNSUPPORTED, "storage_order: only 0 is supported");
  int64_t dims[2 + COSREL_SLIDE_AXES] = {call->in[0]->shape.dims[0], call->in[0]->shape.dims[1]};
  for (uint32_t d = 0; d < w.n; d++) dims[2 + d] = w.narrow[COSREL_SLIDE_AXES - w.n + d];
  status = cosrel_call_set(call, 0, COSREL_F32, 2 + w.n, dims, error);
  return status != COSREL_OK ? status : cosrel_call_set(call, 1, COSREL_I64, 2 + w.n, dims, error);
}

/* Places [low, high) of the kernel, along `axis` at position i, that lie in [-pad, wide + pad). */
static void places(const cosrel_slide *w, uint32_t axis, int64_t i, int64_t pad, int64_t pad_end, int64_t *low,
                   int64_t *high) {
  int64_t begin = cosrel_slide_at(w, axis, i, 0) + pad, dilation = w->dilation[axis];
  int64_t room = w->wide[axis] + pad + pad_end - begin;
  *low = begin >= 0 ? 0 : (-begin + dilation - 1) / dilation;
  *high = room <= 0 ? 0 : (room - 1) / dilation + 1;
  if (*high > w->kernel[axis]) *high = w->kernel[axis];
  if (*high < *low) *high = *low;
}

typedef struct result {
  double sum;
  float max;
  int64_t at; /* of the maximum, in the plane */
  int64_t inside;
} result;

static result look(const cosrel_slide *w, const int64_t *position, const float *plane) {
  int64_t low[COSREL_SLIDE_AXES], high[COSREL_SLIDE_AXES], k[COSREL_SLIDE_AXES];
  result r = {.max = -INFINITY, .inside = 1};
  for (uint32_t d = 0; d < COSREL_SLIDE_AXES; d++) {
    places(w, d, position[d], 0, 0, &low[d], &high[d]);
    r.inside *= high[d] - low[d];
  }
  for (k[0] = low[0]; k[0] < high[0]; k[0]++) {
    for (k[1] = low[1]; k[1] < high[1]; k[1]++) {
      int64_t row = cosrel_slide_at(w, 0, position[0], k[0]) * w->wide[1] + cosrel_slide_at(w, 1, position[1], k[1]);
      for (k[2] = low[2]; k[2] < high[2]; k[2]++) {
        int64_t at = row * w->wide[2] + cosrel_slide_at(w, 2, position[2], k[2]);
        r.sum += plane[at];
        if (plane[at] > r.max || isnan(plane[at])) r.max = plane[at], r.at = at;
      }
    }
  }
  return r;
}

/* Places of the window inside the input and its padding. */
static int64_t padded_places(const cosrel_slide *w, const int64_t *position) {
  int64_t count = 1, low, high;
  for (uint32_t d = 0; d < COSREL_SLIDE_AXES; d++) {
    places(w, d, position[d], w->pad[d], w->pad_end[d], &low, &high);
    count *= high - low;
  }
  return count;
}

void cosrel_pool_run(const cosrel_call *call) {
  cosrel_slide w;
  if (read_pool(call, &w, NULL) != COSREL_OK) return;
  bool average = call->node->op->variant == COSREL_POOL_AVERAGE;
  bool count_pads = cosrel_node_int(call->net, call->node, "count_include_pad", 0) != 0;
  const cosrel_tensor *indices = cosrel_call_out(call, 1);
  int64_t n_planes = (int64_t)cosrel_shape_span(&call->in[0]->shape, 0, 2), plane = cosrel_slide_span(w.wide);
  float *y = call->out[0]->data;
  uint64_t out = 0;
  for (int64_t n = 0; n < n_planes; n++) {
    const float *x = (const float *)call->in[0]->data + n * plane;
    int64_t at[COSREL_SLIDE_AXES];
    for (at[0] = 0; at[0] < w.narrow[0]; at[0]++) {
      for (at[1] = 0; at[1] < w.narrow[1]; at[1]++) {
        for (at[2] = 0; at[2] < w.narrow[2]; at[2]++, out++) {
          result r = look(&w, at, x);
          int64_t count = count_pads ? padded_places(&w, at) : r.inside;
          y[out] = !average ? r.max : count > 0 ? (float)(r.sum / (double)count) : 0;
          if (indices != NULL) cosrel_store_int(indices, out, n * plane + r.at);
        }
      }
    }
  }
}

/* ---- GlobalMaxPool, GlobalAveragePool: over everything behind axis 1 ---- */

cosrel_status cosrel_global_pool_infer(const cosrel_call *call, cosrel_error *error) {
  const cosrel_shape *x = &call->in[0]->shape;
  cosrel_status status = cosrel_call_expect(call, 0, 1u << COSREL_F32, error);
  if (status != COSREL_OK) return status;
  if (x->rank < 3) return cosrel_call_fail(call, error, COSREL_FORMAT, "expected an input of 3 axes or more");
  int64_t dims[COSREL_RANK_MAX] = {x->dims[0], x->dims[1], 1, 1, 1, 1};
  return cosrel_call_set(call, 0, COSREL_F32, x->rank, dims, error);
}

void cosrel_global_pool_run(const cosrel_call *call) {
  const cosrel_shape *shape = &call->in[0]->shape;
  uint64_t planes = cosrel_shape_span(shape, 0, 2), size = cosrel_shape_span(shape, 2, shape->rank);
  const float *x = call->in[0]->data;
  float *y = call->out[0]->data;
  for (uint64_t n = 0; n < planes; n++, x += size) {
    double sum = 0;
    float max = -INFINITY;
    for (uint64_t i = 0; i < size; i++) {
      sum += x[i];
      if (x[i] > max || isnan(x[i])) max = x[i];
    }
    y[n] = call->node->op->variant == COSREL_POOL_MAX ? max : size > 0 ? (float)(sum / (double)size) : 0;
  }
}
