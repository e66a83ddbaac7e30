/* all-<processor>: everything on one processor, oldest request first, each run to the end.
 *
 * What a run-time with one delegate does. Units that the processor cannot run go to the processor that ends the request
 * first, up to the next unit that it can run (as TensorFlow Lite and NNAPI partition a graph), and come back. The other
 * processors stay idle. The name is made for each processor of the case: all-cpu, all-gpu, ... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/policies/pinned.h"
#include "sched/policies/registry.h"

/* A policy that brings its own ops, since its name depends on the processor. */
typedef struct all {
  cosrel_policy_ops ops;
  cosrel_pinned pinned;
  char name[4 + sizeof(((cosrel_processor *)0)->name)];
} all;

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  return cosrel_pinned_decide(&((all *)self)->pinned, c, state);
}

static cosrel_status create(const cosrel_case *c, const cosrel_policy_config *config, void **self,
                            cosrel_error *error) {
  (void)c, (void)config, (void)self;
  return cosrel_fail(error, COSREL_INVALID, "all-<processor> is created by its full name");
}

static void reset(void *self) { (void)self; }
static void destroy(void *self) { free(self); }

cosrel_status cosrel_policy_all_create(const cosrel_case *c, uint32_t processor, cosrel_policy *out,
                                       cosrel_error *error) {
  all *self = calloc(1, sizeof *self);
  if (self == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for policy all-<processor>");
  snprintf(self->name, sizeof self->name, "all-%s", c->profile->processors[processor].name);
  memset(self->pinned.home, (int)processor, sizeof self->pinned.home);
  self->ops = (cosrel_policy_ops){
      .struct_size = sizeof(cosrel_policy_ops),
      .name = self->name,
      .summary = "everything on one processor, oldest first",
      .create = create,
      .reset = reset,
      .decide = decide,
      .destroy = destroy,
  };
  *out = (cosrel_policy){.ops = &self->ops, .self = self};
  return COSREL_OK;
}
