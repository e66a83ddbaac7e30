#include "experiments/fidelity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/check.h"
#include "traces/recording.h"
#include "traces/workload_file.h"

/* ---- One trace ---- */

static int find_stream(const cosrel_results *results, const char *name) {
  for (uint32_t s = 0; s < results->n_streams; s++)
    if (strcmp(results->streams[s].name, name) == 0) return (int)s;
  return -1;
}

/* The workload as the trace says that requests came: closed loops stay closed, all others have recorded times; rates
 * are those in force. */
static cosrel_status record(const char *trace, const cosrel_results *results, cosrel_workload *workload,
                            cosrel_error *error) {
  cosrel_recording recording;
  if (strcmp(results->workload, workload->name) != 0)
    return cosrel_fail(error, COSREL_INVALID, "%s: expected a run of workload '%s', got '%s'", trace, workload->name,
                       results->workload);
  COSREL_TRY(cosrel_recording_read(trace, &recording, error));
  cosrel_status status = cosrel_recording_apply(&recording, workload, trace, error);
  cosrel_recording_clear(&recording);
  if (status != COSREL_OK) return status;
  for (uint32_t s = 0; s < workload->n_streams; s++) {
    int from = find_stream(results, workload->streams[s].name); /* there is one, or the recording did not fit */
    cosrel_arrivals *arrivals = &workload->streams[s].arrivals;
    arrivals->rate_hz = results->streams[from].rate_hz;
    if (results->streams[from].arrivals != COSREL_ARRIVALS_CLOSED) continue;
    arrivals->kind = COSREL_ARRIVALS_CLOSED;
    free(arrivals->times);
    arrivals->times = NULL;
    arrivals->n_times = 0;
  }
  return cosrel_workload_check(workload, trace, error);
}

/* What the trace says, in the numbering of the case. */
static cosrel_status take_measured(const char *trace, const cosrel_results *results, const cosrel_case *c,
                                   cosrel_tally *tally, cosrel_error *error) {
  int processors[COSREL_PROCESSORS_MAX], streams[COSREL_STREAMS_MAX];
  for (uint32_t p = 0; p < results->n_processors; p++) {
    processors[p] = cosrel_profile_find_processor(c->profile, results->processors[p]);
    if (processors[p] < 0)
      return cosrel_fail(error, COSREL_INVALID, "%s: processors[%u]: profile '%s' has no '%.40s'", trace, p,
                         c->profile->name, results->processors[p]);
  }
  for (uint32_t s = 0; s < results->n_streams; s++) {
    streams[s] = -1;
    for (uint32_t k = 0; k < c->n_streams; k++)
      if (strcmp(c->workload->streams[k].name, results->streams[s].name) == 0) streams[s] = (int)k;
    if (streams[s] < 0)
      return cosrel_fail(error, COSREL_INVALID, "%s: streams[%u]: workload '%s' has no '%.40s'", trace, s,
                         c->workload->name, results->streams[s].name);
  }
  cosrel_tally_run(tally, results->horizon);
  for (uint32_t i = 0; i < results->n_outcomes; i++) {
    cosrel_recorded_outcome outcome = results->outcomes[i];
    outcome.stream = (uint32_t)streams[outcome.stream];
    cosrel_tally_outcome(tally, &outcome);
  }
  for (uint32_t i = 0; i < results->n_segments; i++) {
    cosrel_recorded_segment segment = results->segments[i];
    segment.processor = (uint32_t)processors[segment.processor];
    cosrel_tally_segment(tally, &segment);
  }
  bool known = results->energy_mj >= 0 && results->energy_at > 0;
  cosrel_tally_power(tally, known ? results->energy_mj * 1e-3 / cosrel_time_s(results->energy_at) : -1);
  return COSREL_OK;
}

static cosrel_status predict(const cosrel_results *results, const cosrel_case *c, const cosrel_cell_config *how,
                             uint32_t seeds, bool (*stop)(void), cosrel_tally *tally, cosrel_error *error) {
  cosrel_contender contender;
  COSREL_TRY(cosrel_contender_open(results->policy, &contender, error));
  cosrel_cell_config config = *how;
  cosrel_status status = COSREL_OK;
  config.duration_s = cosrel_time_s(results->horizon);
  config.sinks = &tally->sink;
  for (uint32_t i = 0; i < seeds && status == COSREL_OK; i++) {
    cosrel_cell cell;
    config.seed = results->seed + i;
    cosrel_tally_run(tally, results->horizon);
    status = cosrel_cell_run(c, &contender, &config, &cell, error);
    if (status == COSREL_OK) cosrel_tally_power(tally, cell.result.power_w);
    if (status == COSREL_OK && stop != NULL && stop())
      status = cosrel_fail(error, COSREL_INTERRUPTED, "compare: interrupted");
  }
  cosrel_contender_close(&contender);
  return status;
}

/* ---- All traces ---- */

static cosrel_fidelity_row *row_of(cosrel_fidelity *fidelity, const char *policy, const cosrel_case *c) {
  bool closed = cosrel_case_is_closed(c);
  for (uint32_t i = 0; i < fidelity->n_rows; i++)
    if (fidelity->rows[i].closed == closed && strcmp(fidelity->rows[i].policy, policy) == 0) return &fidelity->rows[i];
  cosrel_fidelity_row *row = &fidelity->rows[fidelity->n_rows++];
  snprintf(row->policy, sizeof row->policy, "%s", policy);
  row->closed = closed;
  cosrel_tally_begin(&row->measured, c->n_streams, c->n_processors);
  cosrel_tally_begin(&row->predicted, c->n_streams, c->n_processors);
  return row;
}

static cosrel_status add_trace(cosrel_fidelity *fidelity, const char *trace, const char *workload_path,
                               const cosrel_cell_config *config, uint32_t seeds, bool (*stop)(void),
                               cosrel_results *results, cosrel_workload *workload, cosrel_error *error) {
  cosrel_case c;
  COSREL_TRY(cosrel_results_read(trace, results, error));
  COSREL_TRY(cosrel_workload_read(workload_path, workload, error));
  COSREL_TRY(record(trace, results, workload, error));
  COSREL_TRY(cosrel_case_prepare(fidelity->profile, workload, fidelity->bound, COSREL_ARRIVALS_OWN, 0, &c, error));
  cosrel_fidelity_row *row = row_of(fidelity, results->policy, &c);
  cosrel_status status = take_measured(trace, results, &c, &row->measured, error);
  if (status == COSREL_OK) status = predict(results, &c, config, seeds, stop, &row->predicted, error);
  if (status == COSREL_OK && (row->measured.no_memory || row->predicted.no_memory))
    status = cosrel_fail(error, COSREL_NOMEM, "%s: no memory for its latencies", trace);
  row->n_runs++;
  cosrel_case_destroy(&c);
  return status;
}

cosrel_status cosrel_fidelity_run(cosrel_fidelity *fidelity, const cosrel_strings *traces, const char *workload_path,
                                  const cosrel_cell_config *config, uint32_t seeds, bool (*stop)(void),
                                  cosrel_error *error) {
  cosrel_results *results = calloc(1, sizeof *results);
  cosrel_workload *workload = calloc(1, sizeof *workload);
  cosrel_status status = COSREL_OK;
  fidelity->rows = calloc(traces->n, sizeof *fidelity->rows);
  if (results == NULL || workload == NULL || fidelity->rows == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "no memory for %u traces", traces->n);
    goto done;
  }
  for (uint32_t i = 0; i < traces->n && status == COSREL_OK; i++) {
    status = add_trace(fidelity, traces->items[i], workload_path, config, seeds, stop, results, workload, error);
    cosrel_results_clear(results);
    cosrel_workload_clear(workload);
  }

done:
  free(results);
  free(workload);
  return status;
}

void cosrel_fidelity_clear(cosrel_fidelity *fidelity) {
  for (uint32_t i = 0; i < fidelity->n_rows; i++) {
    cosrel_tally_clear(&fidelity->rows[i].measured);
    cosrel_tally_clear(&fidelity->rows[i].predicted);
  }
  free(fidelity->rows);
  fidelity->rows = NULL;
  fidelity->n_rows = 0;
}

/* ---- Figures ---- */

/* Are all watts of the profile measured? */
static bool knows_power(const cosrel_profile *profile) {
  bool known = profile->base_origin.tag == COSREL_TAG_MEASURED;
  for (uint32_t p = 0; p < profile->n_processors; p++)
    known = known && profile->processors[p].power_origin.tag == COSREL_TAG_MEASURED;
  return known;
}

static void add_figure(cosrel_fidelity_row *row, cosrel_tally_kind kind, int stream, int processor,
                       cosrel_fidelity_figure *out, uint32_t *n) {
  int of = stream >= 0 ? stream : processor;
  double measured = cosrel_tally_figure(&row->measured, kind, of);
  double predicted = cosrel_tally_figure(&row->predicted, kind, of);
  double error = measured == predicted ? 0 : 100 * (predicted / measured - 1);
  out[(*n)++] = (cosrel_fidelity_figure){kind, stream, processor, measured, predicted, isfinite(error) ? error : NAN};
}

uint32_t cosrel_fidelity_figures(const cosrel_fidelity *fidelity, uint32_t row, cosrel_fidelity_figure *out) {
  static const cosrel_tally_kind whole[] = {COSREL_TALLY_RATE, COSREL_TALLY_MEAN, COSREL_TALLY_P95, COSREL_TALLY_ANTT,
                                            COSREL_TALLY_U};
  cosrel_fidelity_row *r = &fidelity->rows[row];
  uint32_t n = 0;
  for (int i = 0; i < 5; i++) add_figure(r, whole[i], -1, -1, out, &n);
  if (knows_power(fidelity->profile)) add_figure(r, COSREL_TALLY_POWER, -1, -1, out, &n);
  for (uint32_t p = 0; p < r->measured.n_processors; p++) add_figure(r, COSREL_TALLY_UTILISATION, -1, (int)p, out, &n);
  for (uint32_t s = 0; s < r->measured.n_streams; s++)
    for (int i = 0; i < 3; i++) add_figure(r, whole[i], (int)s, -1, out, &n);
  return n;
}

double cosrel_kendall_tau(const double *a, const double *b, uint32_t n) {
  double agree = 0, pairs_a = 0, pairs_b = 0;
  for (uint32_t i = 0; i < n; i++)
    for (uint32_t k = 0; k < i; k++) {
      int x = (a[i] > a[k]) - (a[i] < a[k]), y = (b[i] > b[k]) - (b[i] < b[k]);
      agree += x * y;
      pairs_a += x != 0;
      pairs_b += y != 0;
    }
  return pairs_a > 0 && pairs_b > 0 ? agree / sqrt(pairs_a * pairs_b) : NAN;
}
