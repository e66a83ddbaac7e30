#include "experiments/report.h"

#include <math.h>
#include <stdio.h>

/* Only of processors with a budget. */
static void print_memory(const cosrel_case *c, const cosrel_result *r) {
  printf("\n%-16s %12s %12s %9s %10s %10s %12s\n", "weights on", "budget MiB", "peak MiB", "loads", "prefetched",
         "evictions", "waited ms");
  for (uint32_t p = 0; p < c->n_processors; p++) {
    const cosrel_memory_result *m = &r->memory[p];
    if (m->budget_bytes == 0) continue;
    printf("%-16s %12.2f %12.2f %9llu %10llu %10llu %12.2f\n", c->profile->processors[p].name,
           (double)m->budget_bytes / 1048576, (double)m->peak_bytes / 1048576, (unsigned long long)m->loads,
           (unsigned long long)m->prefetched, (unsigned long long)m->evictions, m->load_ms);
  }
}

static void print_failures(const cosrel_case *c, const cosrel_failures *f) {
  printf("\nfailures: %llu segments run again, %llu requests started anew, %llu requests given up\n",
         (unsigned long long)f->reruns, (unsigned long long)f->restarts, (unsigned long long)f->given_up);
  printf("%-16s %8s %8s %8s %8s %12s %14s %8s %8s\n", "processor", "error", "hang", "nan", "lost", "quarantines",
         "quarantined s", "probes", "failed");
  for (uint32_t p = 0; p < f->n_processors; p++) {
    const cosrel_processor_failures *of = &f->processors[p];
    printf("%-16.16s", c->profile->processors[p].name);
    for (int kind = COSREL_FAULT_NONE + 1; kind < COSREL_FAULT_COUNT; kind++)
      printf(" %8llu", (unsigned long long)of->faults[kind]);
    printf(" %12llu %14.3f %8llu %8llu\n", (unsigned long long)of->quarantines, of->quarantined_s,
           (unsigned long long)of->probes, (unsigned long long)of->probes_failed);
  }
}

void cosrel_cell_print(const cosrel_cell *cell) {
  const cosrel_case *c = cell->c;
  const cosrel_result *r = &cell->result;
  double load = cosrel_case_load(c);
  printf("%s on %s under %s: %g s, seed %llu, arrivals %s", c->workload->name, c->profile->name, cell->policy,
         r->duration_s, (unsigned long long)cell->seed, cosrel_case_arrivals_name(c));
  if (isfinite(load)) printf(", load %.3f", load);
  printf("\n\n");
  printf("U         %9.4f    mean utility of all arrivals\n", r->u);
  printf("ANTT      %9.3f    p95 %.3f\n", r->antt, r->p95_ntt);
  printf("STP       %9.4f    fairness %.3f\n", r->stp, r->fairness);
  printf("G         %9.4f", r->g);
  if (r->bound_share >= 0) printf("    %.1f %% of the bound", 100.0 * r->bound_share);
  printf("\ngoodput   %9.2f Hz completed in time\n", r->goodput_hz);
  printf("power     %9.3f W ", r->power_w);
  if (r->energy_mj_per_inference >= 0) printf(" %.2f mJ per inference", r->energy_mj_per_inference);
  if (r->energy_ratio >= 0) printf(", %.2f times the least possible", r->energy_ratio);
  printf("\ndecisions %9llu", (unsigned long long)r->decisions);
  if (cell->timed) printf("    p50 %.0f ns, p99 %.0f ns each", cell->decide_p50_ns, cell->decide_p99_ns);
  printf("\n\n%-16s %-24s %8s %8s %8s %8s %8s %8s %8s %8s\n", "stream", "model", "arrived", "dropped", "missed", "Hz",
         "mean ms", "p50", "p95", "p99");
  for (uint32_t s = 0; s < r->n_streams; s++) {
    const cosrel_stream_result *t = &r->streams[s];
    printf("%-16.16s %-24.24s %8llu %8llu %8llu %8.2f %8.2f %8.2f %8.2f %8.2f\n", c->workload->streams[s].name,
           c->workload->streams[s].model, (unsigned long long)t->arrived, (unsigned long long)t->dropped,
           (unsigned long long)t->missed, t->rate_hz, t->latency_mean_ms, t->latency_p50_ms, t->latency_p95_ms,
           t->latency_p99_ms);
  }
  if (c->residency_at != 0) print_memory(c, r);
  if (cell->faulty) print_failures(c, &cell->failures);
}
