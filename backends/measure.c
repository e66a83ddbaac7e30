#include "backends/measure.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const cosrel_time segment_limit = 60 * COSREL_S;

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Sorts the samples. */
static cosrel_measured summary(double *samples, uint32_t n) {
  qsort(samples, n, sizeof *samples, compare);
  double median = 0.5 * (samples[(n - 1) / 2] + samples[n / 2]);
  if (median < 1) median = 1;
  return (cosrel_measured){median, (samples[(3 * n - 1) / 4] - samples[n / 4]) / 1.349 / median};
}

/* What one measurement works on; one row of samples per figure. */
typedef struct bench {
  cosrel_backend *backend;
  cosrel_prepared *prepared;
  const cosrel_network *network;
  char *arena;
  cosrel_buffer *buffer;
  const float *const *inputs;
  double *samples; /* [n_units + n_prefixes][rounds] */
  uint32_t rounds;
} bench;

static cosrel_status put_inputs(const bench *b) {
  const cosrel_net *net = &b->network->net;
  cosrel_network_put_inputs(b->network, b->inputs, b->arena);
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

/* Runs [begin, end) and notes what it took as sample `round` of figure `row`. */
static cosrel_status run(const bench *b, uint32_t begin, uint32_t end, uint32_t row, uint32_t round) {
  const cosrel_backend_ops *ops = b->backend->ops;
  double start = now_ns();
  cosrel_status status =
      ops->submit(b->backend, b->prepared, b->buffer == NULL ? b->arena : NULL, b->buffer, begin, end);
  if (status == COSREL_OK) status = ops->wait(b->backend, segment_limit);
  b->samples[row * b->rounds + round] = now_ns() - start;
  return status;
}

/* The first, uncounted round writes sample 0, which the next one overwrites. */
static cosrel_status run_round(const bench *b, const cosrel_measurement *m, uint32_t round) {
  cosrel_status status = put_inputs(b);
  for (uint32_t u = 0; u < m->n_units && status == COSREL_OK; u++)
    if (m->units[u].ns >= 0) status = run(b, u, u + 1, u, round);
  for (uint32_t i = 0; i < m->n_prefixes && status == COSREL_OK; i++) {
    status = put_inputs(b);
    if (status == COSREL_OK) status = run(b, 0, m->ends[i], m->n_units + i, round);
  }
  return status;
}

/* 1, 2, 4, ... and the last end that one segment from unit 0 may have. */
static void choose_prefixes(cosrel_measurement *m) {
  uint32_t limit = 0;
  while (limit < m->n_units && m->units[limit].ns >= 0) limit++;
  for (uint32_t end = 1; end < limit; end *= 2) m->ends[m->n_prefixes++] = (uint16_t)end;
  if (limit > 0) m->ends[m->n_prefixes++] = (uint16_t)limit;
}

/* Least squares through the origin: sum of units - prefix against end - 1. */
static double launch_of(const cosrel_measurement *m) {
  double xy = 0, xx = 0;
  for (uint32_t i = 0; i < m->n_prefixes; i++) {
    double sum = 0, x = m->ends[i] - 1.0;
    for (uint32_t u = 0; u < m->ends[i]; u++) sum += m->units[u].ns;
    xy += x * (sum - m->prefixes[i].ns);
    xx += x * x;
  }
  return xx > 0 && xy > 0 ? xy / xx : 0;
}

cosrel_status cosrel_measure_network(cosrel_backend *backend, cosrel_prepared *prepared, const cosrel_network *network,
                                     void *arena, cosrel_buffer *buffer, const float *const *inputs,
                                     const cosrel_measure_config *config, cosrel_measurement *out,
                                     cosrel_error *error) {
  uint32_t n = network->model.n_units;
  cosrel_status status = COSREL_OK;
  *out = (cosrel_measurement){.n_units = n};
  out->units = calloc(n, sizeof *out->units);
  bench b = {backend, prepared, network, arena, buffer, inputs, NULL, config->rounds};
  b.samples = calloc((size_t)(n + COSREL_PREFIXES_MAX) * config->rounds, sizeof *b.samples);
  if (out->units == NULL || b.samples == NULL) {
    status = cosrel_fail(error, COSREL_NOMEM, "%s: no memory to measure it", network->model.name);
    goto done;
  }
  for (uint32_t u = 0; u < n; u++) out->units[u].ns = backend->ops->supports(backend, network, u, COSREL_FP32) ? 0 : -1;
  choose_prefixes(out);

  status = run_round(&b, out, 0);
  double start = now_ns();
  for (; out->rounds < config->rounds && status == COSREL_OK; out->rounds++) {
    if (config->stop != NULL && config->stop()) status = COSREL_INTERRUPTED;
    if (out->rounds > 0 && config->time > 0 && now_ns() - start > (double)config->time) break;
    if (status == COSREL_OK) status = run_round(&b, out, out->rounds);
  }
  if (status != COSREL_OK) {
    cosrel_fail(error, status, "%s: cannot be measured: %s", network->model.name, cosrel_status_text(status));
    goto done;
  }
  for (uint32_t u = 0; u < n; u++)
    if (out->units[u].ns >= 0) out->units[u] = summary(&b.samples[u * b.rounds], out->rounds);
  for (uint32_t i = 0; i < out->n_prefixes; i++)
    out->prefixes[i] = summary(&b.samples[(n + i) * b.rounds], out->rounds);
  out->launch_ns = launch_of(out);

done:
  free(b.samples);
  if (status != COSREL_OK) cosrel_measurement_clear(out);
  return status;
}

void cosrel_measurement_clear(cosrel_measurement *measurement) {
  free(measurement->units);
  memset(measurement, 0, sizeof *measurement);
}

/* ---- Links ---- */

enum { LINK_SMALL = 4096, LINK_LARGE = 1 << 20, LINK_ROUNDS = 15 };

/* The line through the medians of two sizes. */
static cosrel_measured_link link_of(double *small, double *large) {
  double a = summary(small, LINK_ROUNDS).ns, b = summary(large, LINK_ROUNDS).ns;
  double slope = b > a ? (b - a) / (LINK_LARGE - LINK_SMALL) : 0, latency = a - slope * LINK_SMALL;
  return (cosrel_measured_link){latency > 0 ? latency : 0, slope};
}

cosrel_status cosrel_measure_link(cosrel_backend *backend, cosrel_measured_link *to, cosrel_measured_link *from,
                                  cosrel_error *error) {
  static const size_t sizes[2] = {LINK_SMALL, LINK_LARGE};
  double writes[2][LINK_ROUNDS], reads[2][LINK_ROUNDS];
  const cosrel_backend_ops *ops = backend->ops;
  *to = *from = (cosrel_measured_link){0, 0};
  if (ops->buffer_create == NULL) return COSREL_OK;
  cosrel_buffer *buffer = NULL;
  cosrel_status status = ops->buffer_create(backend, LINK_LARGE, &buffer, error);
  if (status != COSREL_OK) return status;
  char *host = calloc(1, LINK_LARGE);
  if (host == NULL) status = cosrel_fail(error, COSREL_NOMEM, "no memory to measure transfers");
  for (int round = -1; round < LINK_ROUNDS && status == COSREL_OK; round++) /* round -1 warms up */
    for (int i = 0; i < 2 && status == COSREL_OK; i++) {
      double start = now_ns();
      status = ops->write(backend, buffer, 0, host, sizes[i]);
      double middle = now_ns();
      if (status == COSREL_OK) status = ops->read(backend, buffer, 0, host, sizes[i]);
      if (status != COSREL_OK)
        cosrel_fail(error, status, "transfers cannot be measured: %s", cosrel_status_text(status));
      writes[i][round < 0 ? 0 : round] = middle - start;
      reads[i][round < 0 ? 0 : round] = now_ns() - middle;
    }
  if (status == COSREL_OK) {
    *to = link_of(writes[0], writes[1]);
    *from = link_of(reads[0], reads[1]);
  }
  ops->buffer_destroy(backend, buffer);
  free(host);
  return status;
}
