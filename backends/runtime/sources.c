#include "backends/runtime/sources.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/npy.h"
#include "sched/check.h"
#include "sched/rng.h"

/* `path` as seen from the folder of `base`. */
static cosrel_status resolve(const char *base, const char *path, char *out, size_t size, cosrel_error *error) {
  const char *slash = strrchr(base, '/');
  int folder = path[0] == '/' || slash == NULL ? 0 : (int)(slash - base) + 1;
  if (snprintf(out, size, "%.*s%s", folder, base, path) < (int)size) return COSREL_OK;
  return cosrel_fail(error, COSREL_LIMIT, "%.200s: path too long, expected at most %zu bytes", path, size - 1);
}

static cosrel_status open_network(const cosrel_stream *stream, const char *workload_path, cosrel_sources *out,
                                  uint32_t *index, cosrel_error *error) {
  char name[sizeof out->names[0]];
  if (stream->file[0] != '\0')
    COSREL_TRY(resolve(workload_path, stream->file, name, sizeof name, error));
  else
    snprintf(name, sizeof name, "zoo:%s", stream->model);
  for (*index = 0; *index < out->n_networks; ++*index)
    if (strcmp(out->names[*index], name) == 0) return COSREL_OK;

  cosrel_network *network = calloc(1, sizeof *network);
  if (network == NULL) return cosrel_fail(error, COSREL_NOMEM, "stream %s: no memory for its network", stream->name);
  cosrel_error inner = {""};
  cosrel_status status = cosrel_network_open(name, network, &inner);
  if (status != COSREL_OK) {
    free(network);
    return cosrel_fail(error, status, "stream %s: %.400s", stream->name, inner.text);
  }
  memcpy(out->names[out->n_networks], name, sizeof name);
  out->networks[out->n_networks++] = network;
  return COSREL_OK;
}

static cosrel_status make_noise(const cosrel_shape *shape, uint64_t key, float **out) {
  uint64_t n = cosrel_shape_elements(shape);
  *out = malloc(n > 0 ? (size_t)n * sizeof **out : 1);
  if (*out == NULL) return COSREL_NOMEM;
  for (uint64_t i = 0; i < n; i++) (*out)[i] = (float)(2 * cosrel_rng_uniform(cosrel_rng_key(key, i)) - 1);
  return COSREL_OK;
}

static cosrel_status read_inputs(const cosrel_stream *stream, const char *workload_path, uint64_t key,
                                 const cosrel_net *net, cosrel_source *source, cosrel_error *error) {
  if (net->n_inputs > COSREL_INPUTS_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "stream %s: expected a network with at most %d inputs, got %" PRIu32,
                       stream->name, COSREL_INPUTS_MAX, net->n_inputs);
  if (stream->input[0] != '\0' && net->n_inputs != 1)
    return cosrel_fail(error, COSREL_UNSUPPORTED,
                       "stream %s: input: expected a network with one input, %.60s has %" PRIu32, stream->name,
                       net->name, net->n_inputs);
  for (uint32_t i = 0; i < net->n_inputs; i++) {
    const cosrel_tensor *tensor = &net->values[net->inputs[i]].tensor;
    if (tensor->dtype != COSREL_F32)
      return cosrel_fail(error, COSREL_UNSUPPORTED, "stream %s: expected float inputs, %.60s is %s", stream->name,
                         net->input_names[i], cosrel_dtype_name(tensor->dtype));
    if (stream->input[0] == '\0') {
      if (make_noise(&tensor->shape, cosrel_rng_key(key, i), &source->inputs[i]) != COSREL_OK)
        return cosrel_fail(error, COSREL_NOMEM, "stream %s: no memory for its input", stream->name);
      continue;
    }
    char path[2 * COSREL_PATH_MAX];
    cosrel_error inner = {""};
    cosrel_status status = resolve(workload_path, stream->input, path, sizeof path, &inner);
    if (status == COSREL_OK) status = cosrel_tensor_read(path, &tensor->shape, &source->inputs[i], &inner);
    if (status != COSREL_OK) return cosrel_fail(error, status, "stream %s: %.400s", stream->name, inner.text);
  }
  return COSREL_OK;
}

cosrel_status cosrel_sources_open(const cosrel_workload *workload, const char *workload_path, uint64_t seed,
                                  cosrel_sources *out, cosrel_error *error) {
  memset(out, 0, sizeof *out);
  for (uint32_t s = 0; s < workload->n_streams; s++) {
    const cosrel_stream *stream = &workload->streams[s];
    cosrel_source *source = &out->streams[s];
    out->n_streams = s + 1;
    COSREL_TRY(open_network(stream, workload_path, out, &source->network, error));
    for (uint32_t other = 0; other < s; other++)
      if (strcmp(workload->streams[other].model, stream->model) == 0 && out->streams[other].network != source->network)
        return cosrel_fail(error, COSREL_INVALID, "stream %s: model %s is another file than that of stream %s",
                           stream->name, stream->model, workload->streams[other].name);
    uint64_t key = cosrel_rng_key(cosrel_rng_key(seed, (uint64_t)0x696e7075 << 32), s); /* apart from arrivals */
    COSREL_TRY(read_inputs(stream, workload_path, key, &out->networks[source->network]->net, source, error));
  }
  return COSREL_OK;
}

void cosrel_sources_clear(cosrel_sources *sources) {
  for (uint32_t s = 0; s < sources->n_streams; s++)
    for (uint32_t i = 0; i < COSREL_INPUTS_MAX; i++) free(sources->streams[s].inputs[i]);
  for (uint32_t n = 0; n < sources->n_networks; n++) {
    cosrel_network_destroy(sources->networks[n]);
    free(sources->networks[n]);
  }
  memset(sources, 0, sizeof *sources);
}

cosrel_status cosrel_network_match(const cosrel_network *network, const cosrel_model *model, const char *where,
                                   cosrel_error *error) {
  uint32_t n = network->model.n_units < model->n_units ? network->model.n_units : model->n_units;
  for (uint32_t u = 0; u < n; u++)
    if (strcmp(network->model.units[u].name, model->units[u].name) != 0)
      return cosrel_fail(error, COSREL_INVALID, "%.200s: model %s, unit %" PRIu32 ": expected %s, got %s", where,
                         model->name, u, network->model.units[u].name, model->units[u].name);
  if (network->model.n_units == model->n_units) return COSREL_OK;
  return cosrel_fail(error, COSREL_INVALID, "%.200s: model %s: expected %" PRIu32 " units, got %" PRIu32, where,
                     model->name, network->model.n_units, model->n_units);
}
