#include "experiments/cell.h"

#include <math.h>
#include <string.h>

#include "backends/sim/sim.h"
#include "experiments/timing.h"

cosrel_status cosrel_arrivals_parse(const char *word, int *out, cosrel_error *error) {
  int kind = cosrel_arrivals_from_name(word);
  if (strcmp(word, "own") == 0)
    *out = COSREL_ARRIVALS_OWN;
  else if (kind >= 0 && kind != COSREL_ARRIVALS_RECORDED)
    *out = kind;
  else
    return cosrel_fail(error, COSREL_INVALID, "--arrivals: expected closed, periodic, poisson, bursty or own, got '%s'",
                       word);
  return COSREL_OK;
}

cosrel_status cosrel_case_prepare(const cosrel_profile *profile, const cosrel_workload *workload,
                                  const cosrel_bound *bound, int arrivals, double load, cosrel_case *out,
                                  cosrel_error *error) {
  cosrel_status status = cosrel_case_create(profile, workload, out, error);
  if (status != COSREL_OK) return status;
  if (arrivals != COSREL_ARRIVALS_OWN) cosrel_case_set_arrivals(out, (cosrel_arrivals_kind)arrivals);
  if (bound != NULL) cosrel_bound_apply(bound, out);
  if (load > 0) cosrel_case_set_load(out, load);
  return COSREL_OK;
}

cosrel_status cosrel_cell_run(const cosrel_case *c, const cosrel_contender *contender, const cosrel_cell_config *config,
                              cosrel_cell *out, cosrel_error *error) {
  cosrel_injector injector = {.plan = config->faults};
  const bool injecting = config->faults != NULL && config->faults->n > 0;
  const cosrel_sim sim = {.noise = config->noise, .injector = injecting ? &injector : NULL};
  const cosrel_policy_config policy_config = {
      .seed = config->seed, .plan_budget = config->plan_budget, .duration_s = config->duration_s};
  cosrel_engine engine = {0};
  cosrel_metrics *metrics = NULL;
  cosrel_policy policy = {0};
  cosrel_timing timing = {0};
  cosrel_failure_counter counter;

  memset(out, 0, sizeof *out);
  out->c = c;
  out->policy = contender->name;
  out->seed = config->seed;
  out->timed = config->timing;

  cosrel_driver driver = config->driver.ops != NULL ? config->driver : cosrel_sim_driver(&sim);
  cosrel_status status = cosrel_engine_create(c, driver, &engine, error);
  if (status != COSREL_OK) return status;
  status = cosrel_metrics_create(c, &metrics);
  if (status != COSREL_OK) {
    cosrel_fail(error, status, "no memory for the figures of a run");
    goto done;
  }
  status = cosrel_contender_create(contender, c, &policy_config, &policy, error);
  if (status != COSREL_OK) goto done;

  cosrel_policy asked = policy;
  if (config->timing) {
    status = cosrel_timing_create(policy, &timing);
    if (status != COSREL_OK) {
      cosrel_fail(error, status, "no memory for timings");
      goto done;
    }
    asked = cosrel_timing_policy(&timing);
  }
  engine.sinks = cosrel_metrics_sink(metrics);
  cosrel_failure_counter_begin(c, &counter);
  engine.sinks->next = &counter.sink;
  counter.sink.next = config->sinks;
  status = cosrel_engine_run(&engine, &asked, config->seed, (cosrel_time)llround(config->duration_s * 1e9), error);
  if (status != COSREL_OK) goto done;
  cosrel_metrics_result(metrics, &engine, &out->result);
  cosrel_failure_counter_end(&counter, engine.state->now, &out->failures);
  out->faulty = injecting || out->failures.n_faults > 0;
  if (config->timing) {
    out->decide_p50_ns = cosrel_timing_quantile(&timing, 0.50);
    out->decide_p99_ns = cosrel_timing_quantile(&timing, 0.99);
  }

done:
  cosrel_timing_destroy(&timing);
  if (policy.ops != NULL) cosrel_policy_destroy(&policy);
  cosrel_metrics_destroy(metrics);
  cosrel_engine_destroy(&engine);
  return status;
}

const char *cosrel_case_arrivals_name(const cosrel_case *c) {
  for (uint32_t s = 1; s < c->n_streams; s++)
    if (c->streams[s].arrivals != c->streams[0].arrivals) return "mixed";
  return cosrel_arrivals_name(c->streams[0].arrivals);
}

double cosrel_case_load(const cosrel_case *c) {
  if (cosrel_case_is_closed(c)) return NAN;
  if (c->load > 0) return c->load;
  return c->lambda_star > 0 ? 1.0 / c->lambda_star : NAN;
}
