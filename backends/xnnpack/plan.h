/* How the XNNPACK backend computes a network: each unit as a list of steps, worked out once.
 *
 * A step is an XNNPACK operator, a move of elements, a matrix product, or a node left to the reference executor. Where
 * a tensor lies while its unit runs is a place; what only moves data makes a new place of old bytes. */
#ifndef COSREL_BACKENDS_XNNPACK_PLAN_H
#define COSREL_BACKENDS_XNNPACK_PLAN_H

#include <pthreadpool.h>
#include <xnnpack.h>

#include "backends/network.h"
#include "backends/view.h"
#include "backends/xnnpack/blas_conv.h"

typedef enum cosrel_xnn_base { COSREL_XNN_ARENA, COSREL_XNN_SCRATCH, COSREL_XNN_CONSTANT } cosrel_xnn_base;

/* Memory to be found when the arena is known. */
typedef struct cosrel_xnn_ref {
  cosrel_xnn_base base;
  int64_t offset;        /* bytes; of ARENA and SCRATCH */
  const float *constant; /* of CONSTANT */
} cosrel_xnn_ref;

typedef struct cosrel_xnn_bases {
  char *arena, *scratch;
  pthreadpool_t pool;
} cosrel_xnn_bases;

static inline const float *cosrel_xnn_read(const cosrel_xnn_bases *bases, const cosrel_xnn_ref *ref) {
  if (ref->base == COSREL_XNN_CONSTANT) return ref->constant;
  return (const float *)(const void *)((ref->base == COSREL_XNN_ARENA ? bases->arena : bases->scratch) + ref->offset);
}
static inline float *cosrel_xnn_write(const cosrel_xnn_bases *bases, const cosrel_xnn_ref *ref) {
  return (float *)(void *)((ref->base == COSREL_XNN_ARENA ? bases->arena : bases->scratch) + ref->offset);
}

typedef struct cosrel_xnn_step cosrel_xnn_step;
struct cosrel_xnn_step {
  /* One of the two. setup tells an XNNPACK operator where its tensors are; it is then run. compute does all itself. */
  enum xnn_status (*setup)(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases, pthreadpool_t pool);
  void (*compute)(const cosrel_xnn_step *step, const cosrel_xnn_bases *bases);
  xnn_operator_t op; /* owned */
  cosrel_xnn_ref in[2], out;
  union {
    struct {
      size_t batch, height, width, out_height, out_width; /* width: of all pixels for global pools; batch: of rows */
      uint32_t adjust[2];
    } image;
    struct {
      size_t rank[2], dims[2][COSREL_RANK_MAX];
      enum xnn_status (*setup)(xnn_operator_t, size_t, const size_t *, size_t, const size_t *, const float *,
                               const float *, float *, pthreadpool_t);
    } broadcast;
    struct {
      size_t rows;
      enum xnn_status (*setup)(xnn_operator_t, size_t, const float *, float *, pthreadpool_t);
    } rows;
    struct {
      size_t rank, dims[COSREL_RANK_MAX], before[COSREL_RANK_MAX], after[COSREL_RANK_MAX];
    } pad;
    size_t elements; /* of Erf */
    struct {
      size_t pixels;
      uint32_t channels, size;
      float alpha, beta, bias; /* alpha: of one square */
    } lrn;                     /* in[1]: the squares of a pixel */
    cosrel_move move;
    cosrel_blas_conv gemm; /* in[1]: its patches */
    struct {
      cosrel_shape batch;                                         /* leading axes of the output */
      int64_t a_batch[COSREL_RANK_MAX], b_batch[COSREL_RANK_MAX]; /* strides along them */
      uint32_t m, n, k;
      bool a_transposed, b_transposed;
      uint32_t a_stride, b_stride; /* between rows, as BLAS counts them */
    } product;
    struct {
      struct cosrel_prepared *prepared;
      uint32_t node, first_binding, n_bindings;
    } reference;
  };
};

/* For a step left to the reference executor: where a value lies. */
typedef struct cosrel_xnn_binding {
  int32_t value;
  cosrel_xnn_ref ref;
} cosrel_xnn_binding;

struct cosrel_prepared {
  const cosrel_network *network; /* borrowed */
  uint32_t *first_step;          /* [n_units + 1] */
  uint64_t *weight_bytes;        /* [n_units] of `owned` and of operators, with their tables; 0 without weights */
  cosrel_xnn_step *steps;
  uint32_t n_steps, step_capacity;
  cosrel_xnn_binding *bindings;
  uint32_t n_bindings, binding_capacity;
  cosrel_tensor *tensors; /* [n_values] for the reference executor */
  void **owned;           /* constants in another order than the net's */
  uint32_t n_owned, owned_capacity;
  void *scratch_memory;
  cosrel_xnn_bases bases; /* arena: of the submit that runs */
};

/* ---- Planning (plan.c) ---- */

typedef struct cosrel_xnn_planner {
  struct cosrel_prepared *prepared;
  const cosrel_network *network;
  const cosrel_net *net;
  pthreadpool_t pool;
  const cosrel_network_unit *unit;
  uint32_t next;                /* position in the unit behind the node that is planned now */
  struct xnn_value *values;     /* [n_values] */
  int64_t scratch, scratch_max; /* bytes: of this unit, of the unit with the most */
  uint64_t own_bytes;           /* of this unit */
  uint32_t round;               /* counts units from 1 */
  uint32_t *taken, n_taken;     /* nodes of the unit that another node's step does */
  cosrel_status status;         /* the first failure: COSREL_NOMEM */
} cosrel_xnn_planner;

cosrel_status cosrel_xnn_plan(const cosrel_network *network, pthreadpool_t pool, struct cosrel_prepared **out,
                              cosrel_error *error);
void cosrel_xnn_plan_destroy(struct cosrel_prepared *prepared);

/* Adds the steps of one node, perhaps with followers in the unit (an activation that XNNPACK computes at once).
 * COSREL_UNSUPPORTED: left to the reference executor. */
typedef cosrel_status (*cosrel_xnn_rule)(cosrel_xnn_planner *planner, const cosrel_net_node *node);
cosrel_xnn_rule cosrel_xnn_find_rule(const char *operator_name);

/* ---- What rules use ---- */

const cosrel_tensor *cosrel_xnn_in(const cosrel_xnn_planner *planner, const cosrel_net_node *node, uint32_t i);
int32_t cosrel_xnn_out(const cosrel_xnn_planner *planner, const cosrel_net_node *node);

/* The value without gaps in the order wanted; a step is added that puts it so, unless it is. */
cosrel_xnn_ref cosrel_xnn_dense(cosrel_xnn_planner *planner, int32_t value, bool nhwc);
/* Whether it is so already. */
bool cosrel_xnn_is_dense(cosrel_xnn_planner *planner, int32_t value, bool nhwc);
/* As it is. */
cosrel_xnn_ref cosrel_xnn_view(cosrel_xnn_planner *planner, int32_t value, cosrel_view *view);
/* Place for a result without gaps: the arena's if it is the unit's output in the arena's order, else scratch. */
cosrel_xnn_ref cosrel_xnn_result(cosrel_xnn_planner *planner, int32_t value, bool nhwc);
/* The value is a view of another's bytes. */
void cosrel_xnn_alias(cosrel_xnn_planner *planner, int32_t value, cosrel_xnn_ref ref, const cosrel_view *view);
/* Appends; NULL out of memory (also in planner->status). */
cosrel_xnn_step *cosrel_xnn_add_step(cosrel_xnn_planner *planner);
/* Floats that live as long as the plan; NULL out of memory. */
float *cosrel_xnn_own(cosrel_xnn_planner *planner, uint64_t elements);

/* Scratch for this unit. */
cosrel_xnn_ref cosrel_xnn_scratch(cosrel_xnn_planner *planner, uint64_t elements);
/* A convolution, or a dense layer, by BLAS; weights and bias are copied. COSREL_UNSUPPORTED where that does not pay. */
cosrel_status cosrel_xnn_add_blas_conv(cosrel_xnn_planner *planner, cosrel_blas_conv gemm, int32_t in, int32_t out);
void cosrel_xnn_add_move(cosrel_xnn_planner *planner, const cosrel_shape *shape, cosrel_xnn_ref from,
                         const cosrel_view *from_view, cosrel_xnn_ref to, const cosrel_view *to_view);

/* If the only reader of `value` in the unit is Relu or Clip, takes it over: sets the limits and returns
 * its output. Else the limits are infinite and `value` is returned. */
int32_t cosrel_xnn_take_clamp(cosrel_xnn_planner *planner, int32_t value, float *low, float *high);
/* Likewise an Add of a constant vector along the last axis of n elements; *bias stays NULL when there is none. */
int32_t cosrel_xnn_take_bias(cosrel_xnn_planner *planner, int32_t value, uint32_t n, const float **bias);

#endif
