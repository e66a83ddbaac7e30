/* pf: proportional fair. The request whose end adds most to the sum of log rates per ns: least (recent rate x time to
 * its end).
 *
 * The rule of cellular schedulers (Kelly, Maulloo and Tan, J. Oper. Res. Soc. 49, 1998; Tse's proportional fair), d log
 * rate = 1 / rate, over the rates of the last second. Aims at G, so at closed loops; it looks at no deadline. Waits
 * like `eft`, runs to the end. */
#include "sched/policies/common.h"

static cosrel_candidate decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  (void)self;
  cosrel_heads heads;
  cosrel_heads_read(c, state, &heads);
  return cosrel_heads_place(c, state, &heads, cosrel_log_rate_gain, NULL);
}

const cosrel_policy_ops cosrel_policy_pf = {
    .struct_size = sizeof(cosrel_policy_ops),
    .name = "pf",
    .summary = "least recent rate x time to end first: proportional fairness, with waiting",
    .create = cosrel_stateless_create,
    .reset = cosrel_stateless_nothing,
    .decide = decide,
    .destroy = cosrel_stateless_nothing,
};
