#include "backends/measure.h"

#include <gsl/gsl_fit.h>
#include <gsl/gsl_sort.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/monotonic.h"
#include "sched/check.h"

static const cosrel_time segment_limit = 60 * COSREL_S;

static double now_ns(void) { return (double)cosrel_monotonic_now(); }

/* ---- Samples ---- */

static double median_of_sorted(const double *x, uint32_t n) { return 0.5 * (x[(n - 1) / 2] + x[n / 2]); }

/* Median of |x - median| over ascending x: of the two runs of distances that ascend from the middle, the middle one. */
static double median_distance(const double *x, uint32_t n, double median) {
  uint32_t low = 0, high = n; /* what is left after taking the furthest ones away */
  while (high - low > n / 2 + 1) {
    if (median - x[low] > x[high - 1] - median)
      low++;
    else
      high--;
  }
  return fmax(median - x[low], x[high - 1] - median);
}

cosrel_measured cosrel_measured_of(double *samples, uint32_t n) {
  gsl_sort(samples, 1, n);
  double median = median_of_sorted(samples, n), spread = 1.4826 * median_distance(samples, n, median);
  double most = median + fmax(5 * spread, 0.05 * median), sum = 0, squares = 0;
  uint32_t kept = 0;
  for (; kept < n && samples[kept] <= most; kept++) sum += samples[kept];
  double mean = fmax(sum / kept, 1);
  for (uint32_t i = 0; i < kept; i++) squares += (samples[i] - mean) * (samples[i] - mean);
  return (cosrel_measured){mean, kept > 1 ? sqrt(squares / (kept - 1)) / mean : 0};
}

/* ---- A network on a processor ---- */

struct cosrel_bench {
  cosrel_backend *backend; /* borrowed, as the next four */
  cosrel_prepared *prepared;
  const cosrel_network *network;
  const float *const *inputs;
  const char *processor;
  char *arena;
  cosrel_buffer *buffer;             /* NULL when the processor works in host memory */
  bool *can;                         /* [n_units] */
  uint32_t n_prefixes, rounds, done; /* done: rounds made, the one that warms up included */
  uint16_t ends[COSREL_PREFIXES_MAX];
  double put_ns;   /* what putting the inputs into host memory took last */
  double *samples; /* [n_units + n_prefixes][rounds] */
};

/* 1, 2, 4, ... and the last end that one segment from unit 0 may have. */
static void choose_prefixes(cosrel_bench *b) {
  uint32_t limit = 0;
  while (limit < b->network->model.n_units && b->can[limit]) limit++;
  for (uint32_t end = 1; end < limit; end *= 2) b->ends[b->n_prefixes++] = (uint16_t)end;
  if (limit > 0) b->ends[b->n_prefixes++] = (uint16_t)limit;
}

cosrel_status cosrel_bench_create(const cosrel_machine *machine, uint32_t p, const cosrel_profiled_model *model,
                                  uint32_t rounds, cosrel_bench **out, cosrel_error *error) {
  cosrel_error inner = {"no memory to measure it"};
  cosrel_status status = COSREL_NOMEM;
  cosrel_bench *b = *out = calloc(1, sizeof *b);
  if (b == NULL) goto fail;
  b->backend = machine->backends[p];
  b->prepared = machine->prepared[p][model->network];
  b->network = machine->networks[model->network];
  b->inputs = model->inputs;
  b->processor = machine->specs[p].processor;
  b->rounds = rounds;
  uint32_t n = b->network->model.n_units;
  size_t bytes = (size_t)b->network->arena_bytes;
  void *arena = NULL;
  b->can = calloc(n, sizeof *b->can);
  b->samples = calloc((size_t)(n + COSREL_PREFIXES_MAX) * rounds, sizeof *b->samples);
  if (b->can == NULL || b->samples == NULL || posix_memalign(&arena, COSREL_ALIGNMENT, bytes) != 0) goto fail;
  b->arena = memset(arena, 0, bytes);
  for (uint32_t u = 0; u < n; u++) b->can[u] = b->backend->ops->supports(b->backend, b->network, u, COSREL_FP32);
  choose_prefixes(b);
  if (!cosrel_machine_is_apart(machine, p)) return COSREL_OK;
  status = b->backend->ops->buffer_create(b->backend, bytes, &b->buffer, &inner);
  if (status == COSREL_OK) return COSREL_OK;
  b->buffer = NULL;

fail:
  cosrel_fail(error, status, "%s: %s: %.300s", machine->specs[p].processor, model->name, inner.text);
  cosrel_bench_destroy(b);
  *out = NULL;
  return status;
}

void cosrel_bench_destroy(cosrel_bench *bench) {
  if (bench == NULL) return;
  if (bench->buffer != NULL) bench->backend->ops->buffer_destroy(bench->backend, bench->buffer);
  free(bench->arena);
  free(bench->can);
  free(bench->samples);
  free(bench);
}

static cosrel_status put_inputs(cosrel_bench *b) {
  const cosrel_net *net = &b->network->net;
  double start = now_ns();
  cosrel_network_put_inputs(b->network, b->inputs, b->arena);
  b->put_ns = now_ns() - start;
  if (b->buffer == NULL) return COSREL_OK;
  for (uint32_t i = 0; i < net->n_inputs; i++) {
    int64_t offset = b->network->offsets[net->inputs[i]];
    if (offset < 0) continue;
    size_t bytes = (size_t)cosrel_shape_elements(&net->values[net->inputs[i]].tensor.shape) * sizeof(float);
    cosrel_status status = b->backend->ops->write(b->backend, b->buffer, (size_t)offset, b->arena + offset, bytes);
    if (status != COSREL_OK) return status;
  }
  return COSREL_OK;
}

static cosrel_status run(const cosrel_bench *b, uint32_t begin, uint32_t end) {
  const cosrel_backend_ops *ops = b->backend->ops;
  cosrel_status status =
      ops->submit(b->backend, b->prepared, b->buffer == NULL ? b->arena : NULL, b->buffer, begin, end);
  return status == COSREL_OK ? ops->wait(b->backend, segment_limit) : status;
}

cosrel_status cosrel_bench_prepare(cosrel_bench *b, uint32_t begin) {
  return begin == 0 ? COSREL_OK : cosrel_bench_run(b, 0, begin);
}

cosrel_status cosrel_bench_run(cosrel_bench *b, uint32_t begin, uint32_t end) {
  cosrel_status status = begin == 0 ? put_inputs(b) : COSREL_OK;
  return status == COSREL_OK ? run(b, begin, end) : status;
}

/* Runs [begin, end) and notes what it took as a sample of figure `row`; the first unit of a request pays for putting
 * the inputs in. The round that warms up writes the first sample, and so does the next one. */
static cosrel_status sample(const cosrel_bench *b, uint32_t begin, uint32_t end, uint32_t row) {
  double start = now_ns();
  cosrel_status status = run(b, begin, end);
  double ns = now_ns() - start + (begin == 0 ? b->put_ns : 0);
  b->samples[(size_t)row * b->rounds + (b->done > 0 ? b->done - 1 : 0)] = ns;
  return status;
}

static cosrel_status sample_prefix(cosrel_bench *b, uint32_t i) {
  cosrel_status status = put_inputs(b);
  return status == COSREL_OK ? sample(b, 0, b->ends[i], b->network->model.n_units + i) : status;
}

cosrel_status cosrel_bench_round(cosrel_bench *b, cosrel_error *error) {
  if (b->done > b->rounds) return COSREL_OK;
  cosrel_status status = b->n_prefixes > 0 ? sample_prefix(b, b->n_prefixes - 1) : COSREL_OK;
  if (status == COSREL_OK) status = put_inputs(b);
  for (uint32_t u = 0; u < b->network->model.n_units && status == COSREL_OK; u++)
    if (b->can[u]) status = sample(b, u, u + 1, u);
  for (uint32_t i = 0; i + 1 < b->n_prefixes && status == COSREL_OK; i++) status = sample_prefix(b, i);
  b->done++;
  if (status == COSREL_OK) return COSREL_OK;
  return cosrel_fail(error, status, "%s: %s: cannot be measured: %s", b->processor, b->network->model.name,
                     cosrel_status_text(status));
}

/* Least squares through the origin: sum of units - prefix against end - 1. */
static double submit_of(const cosrel_measurement *m) {
  double xy = 0, xx = 0;
  for (uint32_t i = 0; i < m->n_prefixes; i++) {
    double sum = 0, x = m->ends[i] - 1.0;
    for (uint32_t u = 0; u < m->ends[i]; u++) sum += m->units[u].ns;
    xy += x * (sum - m->prefixes[i].ns);
    xx += x * x;
  }
  return xx > 0 && xy > 0 ? xy / xx : 0;
}

cosrel_status cosrel_bench_result(const cosrel_bench *b, cosrel_measurement *out, cosrel_error *error) {
  uint32_t n = b->network->model.n_units, rounds = b->done - 1;
  *out = (cosrel_measurement){.n_units = n, .n_prefixes = b->n_prefixes, .rounds = rounds};
  out->units = calloc(n, sizeof *out->units);
  if (b->backend->ops->weight_bytes != NULL) out->weight_bytes = calloc(n, sizeof *out->weight_bytes);
  if (out->units == NULL || (b->backend->ops->weight_bytes != NULL && out->weight_bytes == NULL)) {
    cosrel_measurement_clear(out);
    return cosrel_fail(error, COSREL_NOMEM, "%s: no memory to measure it", b->processor);
  }
  for (uint32_t u = 0; u < n && out->weight_bytes != NULL; u++)
    out->weight_bytes[u] = b->backend->ops->weight_bytes(b->prepared, u);
  for (uint32_t u = 0; u < n; u++)
    out->units[u] =
        b->can[u] ? cosrel_measured_of(&b->samples[(size_t)u * b->rounds], rounds) : (cosrel_measured){-1, 0};
  for (uint32_t i = 0; i < b->n_prefixes; i++) {
    out->ends[i] = b->ends[i];
    out->prefixes[i] = cosrel_measured_of(&b->samples[(size_t)(n + i) * b->rounds], rounds);
  }
  out->submit_ns = submit_of(out);
  return COSREL_OK;
}

/* Never nothing. */
static double without(double ns, double submit_ns) { return fmax(ns - submit_ns, 0.05 * ns); }

void cosrel_measurement_settle(cosrel_measurement *m, double submit_ns) {
  double sum = 0, variance = 0, scale = 1, spread = 1, even = 0;
  for (uint32_t u = 0; u < m->n_units; u++)
    if (m->units[u].ns >= 0) m->units[u].ns = without(m->units[u].ns, submit_ns);
  if (m->n_prefixes > 0) {
    const cosrel_measured *whole = &m->prefixes[m->n_prefixes - 1];
    uint32_t end = m->ends[m->n_prefixes - 1];
    for (uint32_t u = 0; u < end; u++) {
      double deviation = m->units[u].cv * m->units[u].ns;
      sum += m->units[u].ns;
      variance += deviation * deviation;
    }
    double ns = without(whole->ns, submit_ns), deviation = whole->cv * whole->ns;
    scale = ns / sum;
    if (variance > 0)
      spread = deviation / (scale * sqrt(variance));
    else
      even = deviation / ns * sqrt(end); /* of `end` equal units */
  }
  for (uint32_t u = 0; u < m->n_units; u++) {
    cosrel_measured *unit = &m->units[u];
    if (unit->ns < 0) continue;
    unit->ns *= scale;
    unit->cv = fmin(fmax(spread * unit->cv, even), 10); /* as much as a profile may say */
  }
}

void cosrel_measurement_clear(cosrel_measurement *measurement) {
  free(measurement->units);
  free(measurement->weight_bytes);
  memset(measurement, 0, sizeof *measurement);
}

/* ---- Links ---- */

enum { LINK_SIZES = 5, LINK_LARGEST = 4 << 20, LINK_ROUNDS = 15, LOAD_ROUNDS = 5 };

/* The line through n points (bytes, ns > 0); each weighs by 1 / ns^2, so that a small one counts as much as a large
 * one. One that would cut the axes below 0 begins there; points that tell no slope give the mean per byte. */
static cosrel_measured_link line_of(const double *bytes, const double *ns, uint32_t n) {
  double weights[COSREL_NETWORKS_MAX], latency, slope, c00, c01, c11, chi2, least = bytes[0], most = bytes[0];
  double per_byte = 0, sum = 0; /* through 0, by the same weights */
  for (uint32_t i = 0; i < n; i++) {
    weights[i] = 1 / (ns[i] * ns[i]);
    least = fmin(least, bytes[i]), most = fmax(most, bytes[i]);
    per_byte += weights[i] * bytes[i] * ns[i];
    sum += weights[i] * bytes[i] * bytes[i];
  }
  const cosrel_measured_link through_zero = {0, sum > 0 ? per_byte / sum : 0};
  if (least == most) return through_zero;
  gsl_fit_wlinear(bytes, 1, weights, 1, ns, 1, n, &latency, &slope, &c00, &c01, &c11, &chi2);
  return latency < 0 ? through_zero : (cosrel_measured_link){latency, fmax(slope, 0)};
}

static cosrel_measured_link link_of(const double bytes[LINK_SIZES], double samples[LINK_SIZES][LINK_ROUNDS]) {
  double ns[LINK_SIZES];
  for (int i = 0; i < LINK_SIZES; i++) ns[i] = cosrel_measured_of(samples[i], LINK_ROUNDS).ns;
  return line_of(bytes, ns, LINK_SIZES);
}

/* What a budget would count of network n, which is prepared. */
static double resident_bytes(const cosrel_machine *machine, uint32_t p, uint32_t n, const cosrel_prepared *prepared) {
  const cosrel_backend *backend = machine->backends[p];
  const cosrel_network *network = machine->networks[n];
  const uint8_t *precisions = machine->precisions[p][n];
  double bytes = 0;
  for (uint32_t u = 0; u < network->model.n_units; u++) {
    cosrel_precision precision = precisions != NULL ? (cosrel_precision)precisions[u] : COSREL_FP32;
    if (!backend->ops->supports(backend, network, u, COSREL_FP32)) continue;
    bytes += backend->ops->weight_bytes != NULL
                 ? (double)backend->ops->weight_bytes(prepared, u)
                 : (double)network->model.units[u].weights * cosrel_precision_bytes(precision);
  }
  return bytes;
}

static cosrel_status time_load(const cosrel_machine *machine, uint32_t p, uint32_t n, double *bytes, double *ns,
                               cosrel_error *error) {
  cosrel_backend *backend = machine->backends[p];
  double samples[LOAD_ROUNDS];
  for (int round = -1; round < LOAD_ROUNDS; round++) { /* round -1 warms up */
    cosrel_prepared *prepared = NULL;
    double start = now_ns();
    COSREL_TRY(backend->ops->prepare(backend, machine->networks[n], machine->precisions[p][n], &prepared, error));
    samples[round < 0 ? 0 : round] = now_ns() - start;
    *bytes = resident_bytes(machine, p, n, prepared);
    backend->ops->release(backend, prepared);
  }
  *ns = cosrel_measured_of(samples, LOAD_ROUNDS).ns;
  return COSREL_OK;
}

cosrel_status cosrel_measure_load(const cosrel_machine *machine, uint32_t p, cosrel_measured_link *out,
                                  cosrel_error *error) {
  double bytes[COSREL_NETWORKS_MAX] = {0}, ns[COSREL_NETWORKS_MAX] = {0};
  cosrel_error inner = {""};
  for (uint32_t n = 0; n < machine->n_networks; n++) {
    cosrel_status status = time_load(machine, p, n, &bytes[n], &ns[n], &inner);
    if (status != COSREL_OK)
      return cosrel_fail(error, status, "%s: %s: %.300s", machine->specs[p].processor, machine->networks[n]->model.name,
                         inner.text);
  }
  *out = line_of(bytes, ns, machine->n_networks);
  return COSREL_OK;
}

cosrel_status cosrel_measure_link(cosrel_backend *backend, cosrel_measured_link *to, cosrel_measured_link *from,
                                  cosrel_error *error) {
  static const double bytes[LINK_SIZES] = {LINK_LARGEST / 1024., LINK_LARGEST / 256., LINK_LARGEST / 32.,
                                           LINK_LARGEST / 4., LINK_LARGEST};
  double writes[LINK_SIZES][LINK_ROUNDS], reads[LINK_SIZES][LINK_ROUNDS];
  const cosrel_backend_ops *ops = backend->ops;
  *to = *from = (cosrel_measured_link){0, 0};
  if (ops->buffer_create == NULL) return COSREL_OK;
  cosrel_buffer *buffer = NULL;
  cosrel_status status = ops->buffer_create(backend, LINK_LARGEST, &buffer, error);
  if (status != COSREL_OK) return status;
  char *host = calloc(1, LINK_LARGEST);
  if (host == NULL) status = cosrel_fail(error, COSREL_NOMEM, "no memory to measure transfers");
  for (int round = -1; round < LINK_ROUNDS && status == COSREL_OK; round++) /* round -1 warms up */
    for (int i = 0; i < LINK_SIZES && status == COSREL_OK; i++) {
      double start = now_ns();
      status = ops->write(backend, buffer, 0, host, (size_t)bytes[i]);
      double middle = now_ns();
      if (status == COSREL_OK) status = ops->read(backend, buffer, 0, host, (size_t)bytes[i]);
      if (status != COSREL_OK)
        cosrel_fail(error, status, "transfers cannot be measured: %s", cosrel_status_text(status));
      writes[i][round < 0 ? 0 : round] = middle - start;
      reads[i][round < 0 ? 0 : round] = now_ns() - middle;
    }
  if (status == COSREL_OK) {
    *to = link_of(bytes, writes);
    *from = link_of(bytes, reads);
  }
  ops->buffer_destroy(backend, buffer);
  free(host);
  return status;
}
