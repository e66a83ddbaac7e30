#include "backends/arena.h"

#include <stdlib.h>

typedef struct plan {
  const cosrel_arena_tensor *tensors;
  const uint32_t *readers;
  uint64_t *ancestors; /* [n_units][words] bit v of row u: u comes after v, also through others */
  uint32_t words;
  uint32_t *placed; /* [n] tensors by growing offset */
} plan;

static bool comes_after(const plan *p, int32_t unit, int32_t earlier) {
  return (p->ancestors[(size_t)unit * p->words + (size_t)earlier / 64] >> (earlier % 64) & 1) != 0;
}

static void find_ancestors(plan *p, const cosrel_model *model) {
  for (uint32_t u = 0; u < model->n_units; u++) {
    uint64_t *mine = &p->ancestors[(size_t)u * p->words];
    for (uint32_t i = 0; i < model->units[u].n_inputs; i++) {
      int32_t producer = model->inputs[model->units[u].first_input + i];
      if (producer == COSREL_MODEL_INPUT) continue;
      const uint64_t *theirs = &p->ancestors[(size_t)producer * p->words];
      for (uint32_t w = 0; w < p->words; w++) mine[w] |= theirs[w];
      mine[producer / 64] |= UINT64_C(1) << (producer % 64);
    }
  }
}

/* Whether nothing touches `a` any more when `b` is made. */
static bool is_over(const plan *p, const cosrel_arena_tensor *a, const cosrel_arena_tensor *b) {
  if (a->kept || b->producer == COSREL_MODEL_INPUT) return false;
  if (a->producer != COSREL_MODEL_INPUT && !comes_after(p, b->producer, a->producer)) return false;
  for (uint32_t i = 0; i < a->n_readers; i++) {
    if (!comes_after(p, b->producer, (int32_t)p->readers[a->first_reader + i])) return false;
  }
  return true;
}

static uint64_t aligned(uint64_t bytes) { return (bytes + COSREL_ALIGNMENT - 1) / COSREL_ALIGNMENT * COSREL_ALIGNMENT; }

/* The first gap among the tensors that may not share bytes with t. */
static uint64_t first_fit(const plan *p, uint32_t n_placed, const cosrel_arena_tensor *t) {
  uint64_t offset = 0;
  for (uint32_t i = 0; i < n_placed; i++) {
    const cosrel_arena_tensor *other = &p->tensors[p->placed[i]];
    if (is_over(p, t, other) || is_over(p, other, t)) continue;
    if (other->offset >= offset + aligned(t->bytes)) break;
    uint64_t end = other->offset + aligned(other->bytes);
    if (end > offset) offset = end;
  }
  return offset;
}

typedef struct rank {
  uint64_t bytes;
  uint32_t index;
} rank;

static int compare_ranks(const void *x, const void *y) {
  const rank *a = x, *b = y;
  if (a->bytes != b->bytes) return a->bytes > b->bytes ? -1 : 1;
  return a->index < b->index ? -1 : a->index > b->index;
}

cosrel_status cosrel_arena_plan(const cosrel_model *model, cosrel_arena_tensor *tensors, uint32_t n,
                                const uint32_t *readers, uint64_t *bytes, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  plan p = {.tensors = tensors, .readers = readers, .words = model->n_units / 64 + 1};
  p.ancestors = calloc((size_t)(model->n_units + 1) * p.words, sizeof *p.ancestors);
  p.placed = calloc(n + 1, sizeof *p.placed);
  rank *ranks = calloc(n + 1, sizeof *ranks);
  if (p.ancestors == NULL || p.placed == NULL || ranks == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s: out of memory", model->name);
    goto done;
  }
  find_ancestors(&p, model);
  for (uint32_t i = 0; i < n; i++) ranks[i] = (rank){tensors[i].bytes, i};
  qsort(ranks, n, sizeof *ranks, compare_ranks);
  *bytes = 0;
  for (uint32_t i = 0; i < n; i++) {
    cosrel_arena_tensor *t = &tensors[ranks[i].index];
    t->offset = first_fit(&p, i, t);
    if (t->offset + aligned(t->bytes) > *bytes) *bytes = t->offset + aligned(t->bytes);
    uint32_t at = i;
    for (; at > 0 && tensors[p.placed[at - 1]].offset > t->offset; at--) p.placed[at] = p.placed[at - 1];
    p.placed[at] = ranks[i].index;
  }

done:
  free(p.ancestors);
  free(p.placed);
  free(ranks);
  return status;
}
