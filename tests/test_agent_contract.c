/* The learned policy keeps to what every policy must keep to, whatever its weights are, with planning and without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/agent.h"
#include "sched/bound.h"
#include "tests/contract.h"

static void test_contract(void **unused) {
  (void)unused;
#ifdef CONTRACT_NO_COUNT
  printf("skipped: counting allocations in decide (no glibc, or a sanitizer owns the allocator)\n");
#endif
  static const uint32_t budgets[] = {0, 60};
  cosrel_agent *agent = fixture_alloc(1, sizeof *agent);
  cosrel_mlp_init(&agent->net, 1);
  for (int i = 0; i < COSREL_ROW_SIZE; i++) agent->normaliser.row_scale[i] = 1;
  for (int i = 0; i < COSREL_CONTEXT_SIZE; i++) agent->normaliser.context_scale[i] = 1;
  /* Small last weights would follow the base heuristic everywhere; these depart from it. */
  for (size_t i = 0; i < sizeof agent->net.policy_out / sizeof(float); i++) agent->net.policy_out[i] *= 300;
  for (int index = 0; index < CONTRACT_CASES; index++) {
    fixture f;
    contract_case(&f, index);
    cosrel_bound bound;
    assert_int_equal(cosrel_bound_solve(&f.c, &bound, NULL), COSREL_OK);
    cosrel_bound_apply(&bound, &f.c);
    for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++) {
      cosrel_policy policy, same;
      assert_int_equal(cosrel_agent_policy(agent, &f.c, budgets[b], &policy, NULL), COSREL_OK);
      assert_int_equal(cosrel_agent_policy(agent, &f.c, budgets[b], &same, NULL), COSREL_OK);
      contract_check(&f.c, &policy, &same, 400 * COSREL_MS);
      cosrel_agent_report report = cosrel_agent_policy_report(&policy);
      assert_true(report.decisions > report.fell_back + report.guarded); /* the network did decide */
      cosrel_policy_destroy(&policy);
      cosrel_policy_destroy(&same);
    }
    fixture_end(&f);
  }
  free(agent);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_contract)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
