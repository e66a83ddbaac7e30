#include "experiments/result_json.h"

#include <math.h>
#include <stdio.h>

#include "traces/atomic.h"

json_t *cosrel_json_real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* Figures that are never negative use a negative value for "not defined". */
static json_t *defined(double x) { return x < 0 ? json_null() : cosrel_json_real(x); }

static json_t *count(uint64_t n) { return json_integer((json_int_t)n); }

static json_t *stream_json(const char *model, const cosrel_stream_result *s, bool faulty) {
  json_t *stream = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o, s:o}}", "model", model, "arrived",
                             count(s->arrived), "completed", count(s->completed), "dropped", count(s->dropped),
                             "missed", count(s->missed), "rate_hz", cosrel_json_real(s->rate_hz), "latency_ms", "mean",
                             cosrel_json_real(s->latency_mean_ms), "p50", cosrel_json_real(s->latency_p50_ms), "p95",
                             cosrel_json_real(s->latency_p95_ms), "p99", cosrel_json_real(s->latency_p99_ms));
  if (faulty && stream != NULL) json_object_set_new(stream, "failed", count(s->failed));
  return stream;
}

static json_t *failures_json(const cosrel_case *c, const cosrel_failures *f) {
  json_t *list = json_array();
  for (uint32_t p = 0; p < f->n_processors; p++) {
    const cosrel_processor_failures *of = &f->processors[p];
    json_t *one = json_pack("{s:s}", "processor", c->profile->processors[p].name);
    for (int kind = COSREL_FAULT_NONE + 1; kind < COSREL_FAULT_COUNT; kind++)
      json_object_set_new(one, cosrel_fault_name((cosrel_fault)kind), count(of->faults[kind]));
    json_object_set_new(one, "quarantines", count(of->quarantines));
    json_object_set_new(one, "quarantined_s", cosrel_json_real(of->quarantined_s));
    json_object_set_new(one, "probes", count(of->probes));
    json_object_set_new(one, "probes_failed", count(of->probes_failed));
    json_array_append_new(list, one);
  }
  return json_pack("{s:o, s:o, s:o, s:o}", "processors", list, "reruns", count(f->reruns), "restarts",
                   count(f->restarts), "failed_requests", count(f->given_up));
}

static json_t *memory_json(const cosrel_case *c, const cosrel_result *r) {
  json_t *list = json_array();
  for (uint32_t p = 0; p < c->n_processors; p++) {
    const cosrel_memory_result *m = &r->memory[p];
    if (m->budget_bytes == 0) continue;
    json_array_append_new(
        list,
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "processor", c->profile->processors[p].name, "budget_bytes",
                  count(m->budget_bytes), "peak_bytes", count(m->peak_bytes), "loads", count(m->loads), "prefetched",
                  count(m->prefetched), "evictions", count(m->evictions), "load_ms", cosrel_json_real(m->load_ms)));
  }
  return list;
}

json_t *cosrel_cell_json(const cosrel_cell *cell) {
  const cosrel_case *c = cell->c;
  const cosrel_result *r = &cell->result;
  json_t *root = json_object(), *streams = json_array();
  int bad = root == NULL || streams == NULL;
  bad |= json_object_set_new(root, "policy", json_string(cell->policy));
  bad |= json_object_set_new(root, "profile", json_string(c->profile->name));
  bad |= json_object_set_new(root, "workload", json_string(c->workload->name));
  bad |= json_object_set_new(root, "arrivals", json_string(cosrel_case_arrivals_name(c)));
  bad |= json_object_set_new(root, "load", cosrel_json_real(cosrel_case_load(c)));
  bad |= json_object_set_new(root, "seed", count(cell->seed));
  bad |= json_object_set_new(root, "duration_s", cosrel_json_real(r->duration_s));
  bad |= json_object_set_new(root, "stp", cosrel_json_real(r->stp));
  bad |= json_object_set_new(root, "antt", cosrel_json_real(r->antt));
  bad |= json_object_set_new(root, "g", cosrel_json_real(r->g));
  bad |= json_object_set_new(root, "fairness", cosrel_json_real(r->fairness));
  bad |= json_object_set_new(root, "u", cosrel_json_real(r->u));
  bad |= json_object_set_new(root, "energy_mj_per_inference", defined(r->energy_mj_per_inference));
  bad |= json_object_set_new(root, "energy_ratio", defined(r->energy_ratio));
  bad |= json_object_set_new(root, "power_w", cosrel_json_real(r->power_w));
  bad |= json_object_set_new(root, "decisions", count(r->decisions));
  bad |= json_object_set_new(root, "bound_share", defined(r->bound_share));
  bad |= json_object_set_new(root, "goodput_hz", cosrel_json_real(r->goodput_hz));
  bad |= json_object_set_new(root, "p95_ntt", cosrel_json_real(r->p95_ntt));
  if (cell->timed)
    bad |= json_object_set_new(root, "decision_ns",
                               json_pack("{s:o, s:o}", "p50", cosrel_json_real(cell->decide_p50_ns), "p99",
                                         cosrel_json_real(cell->decide_p99_ns)));
  for (uint32_t s = 0; s < r->n_streams; s++)
    bad |= json_array_append_new(streams, stream_json(c->workload->streams[s].model, &r->streams[s], cell->faulty));
  bad |= json_object_set_new(root, "streams", streams);
  if (c->residency_at != 0) bad |= json_object_set_new(root, "memory", memory_json(c, r));
  if (cell->faulty) bad |= json_object_set_new(root, "failures", failures_json(c, &cell->failures));
  if (!bad) return root;
  json_decref(root);
  return NULL;
}

static const size_t how = JSON_INDENT(2) | JSON_REAL_PRECISION(12);

cosrel_status cosrel_json_print(json_t *root, cosrel_error *error) {
  if (root == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for the JSON document");
  int bad = json_dumpf(root, stdout, how);
  json_decref(root);
  bad |= putchar('\n') == EOF;
  bad |= fflush(stdout);
  return bad ? cosrel_fail(error, COSREL_IO, "stdout: cannot write the JSON document") : COSREL_OK;
}

cosrel_status cosrel_json_write(const char *path, json_t *root, cosrel_error *error) {
  cosrel_atomic atomic;
  if (root == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for the JSON document");
  cosrel_status status = cosrel_atomic_begin(path, &atomic, error);
  if (status == COSREL_OK) {
    json_dumpf(root, atomic.file, how); /* a failure stays in the file until the end */
    fputc('\n', atomic.file);
    status = cosrel_atomic_commit(&atomic, error);
  }
  json_decref(root);
  return status;
}
