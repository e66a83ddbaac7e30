#include "backends/runtime/outputs.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backends/npy.h"
#include "backends/reference/operators.h"

/* One output tensor of a stream. */
typedef struct output {
  cosrel_shape shape;
  uint64_t n;
  float *got;      /* [n] of the last request */
  float *expected; /* [n], or NULL */
  double largest;  /* magnitude in `expected` */
} output;

typedef struct stream_outputs {
  const cosrel_network *network;
  uint32_t n;
  output *outputs; /* [n] */
  bool any;        /* has a request been completed? */
  double tolerance, furthest;
} stream_outputs;

struct cosrel_outputs {
  const cosrel_workload *workload;
  bool verify;
  uint64_t compared;
  stream_outputs streams[COSREL_STREAMS_MAX];
};

/* Runs the stream's input through the reference executor, node by node. */
static cosrel_status expect(stream_outputs *so, float *const *inputs, cosrel_error *error) {
  const cosrel_net *net = &so->network->net;
  const void *data[COSREL_INPUTS_MAX];
  cosrel_reference reference;
  cosrel_status status = cosrel_reference_create(net, &reference, error);
  if (status != COSREL_OK) return status;
  for (uint32_t i = 0; i < net->n_inputs; i++) data[i] = inputs[i];
  cosrel_reference_run(&reference, data);
  for (uint32_t i = 0; i < so->n; i++) {
    output *o = &so->outputs[i];
    memcpy(o->expected, reference.tensors[net->outputs[i]].data, (size_t)o->n * sizeof(float));
    for (uint64_t k = 0; k < o->n; k++) o->largest = fmax(o->largest, fabs((double)o->expected[k]));
  }
  cosrel_reference_destroy(&reference);
  return COSREL_OK;
}

static cosrel_status create_stream(cosrel_outputs *outputs, const cosrel_sources *sources, uint32_t s,
                                   cosrel_error *error) {
  stream_outputs *so = &outputs->streams[s];
  const char *name = outputs->workload->streams[s].name;
  so->network = sources->networks[sources->streams[s].network];
  so->tolerance = COSREL_VERIFY_TOLERANCE;
  const cosrel_net *net = &so->network->net;
  so->outputs = calloc(net->n_outputs, sizeof *so->outputs);
  if (so->outputs == NULL) goto no_memory;
  so->n = net->n_outputs;
  for (uint32_t i = 0; i < so->n; i++) {
    output *o = &so->outputs[i];
    const cosrel_tensor *tensor = &net->values[net->outputs[i]].tensor;
    if (tensor->dtype != COSREL_F32)
      return cosrel_fail(error, COSREL_UNSUPPORTED, "stream %s: expected float outputs, %.60s is %s", name,
                         net->output_names[i], cosrel_dtype_name(tensor->dtype));
    o->shape = tensor->shape;
    o->n = cosrel_shape_elements(&tensor->shape);
    o->got = calloc((size_t)o->n + 1, sizeof(float));
    if (outputs->verify) o->expected = calloc((size_t)o->n + 1, sizeof(float));
    if (o->got == NULL || (outputs->verify && o->expected == NULL)) goto no_memory;
  }
  return outputs->verify ? expect(so, sources->streams[s].inputs, error) : COSREL_OK;

no_memory:
  return cosrel_fail(error, COSREL_NOMEM, "stream %s: no memory for its outputs", name);
}

cosrel_status cosrel_outputs_create(const cosrel_workload *workload, const cosrel_sources *sources, bool verify,
                                    cosrel_outputs **out, cosrel_error *error) {
  *out = calloc(1, sizeof **out);
  if (*out == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for outputs");
  (*out)->workload = workload;
  (*out)->verify = verify;
  cosrel_status status = COSREL_OK;
  for (uint32_t s = 0; s < workload->n_streams && status == COSREL_OK; s++)
    status = create_stream(*out, sources, s, error);
  if (status == COSREL_OK) return COSREL_OK;
  cosrel_outputs_destroy(*out);
  *out = NULL;
  return status;
}

void cosrel_outputs_destroy(cosrel_outputs *outputs) {
  if (outputs == NULL) return;
  for (uint32_t s = 0; s < outputs->workload->n_streams; s++) {
    stream_outputs *so = &outputs->streams[s];
    for (uint32_t i = 0; i < so->n; i++) {
      free(so->outputs[i].got);
      free(so->outputs[i].expected);
    }
    free(so->outputs);
  }
  free(outputs);
}

/* The comparison is written so that NaN differs from everything. */
static cosrel_status compare(stream_outputs *so, const output *o, const char *stream, uint64_t sequence,
                             const char *name, cosrel_error *error) {
  double allowed = so->tolerance * o->largest, furthest = 0;
  for (uint64_t k = 0; k < o->n; k++) {
    double apart = fabs((double)o->got[k] - (double)o->expected[k]);
    furthest = fmax(furthest, apart);
    if (apart <= allowed) continue;
    return cosrel_fail(error, COSREL_INTERNAL,
                       "stream %s, request %" PRIu64 ", output %.60s, element %" PRIu64
                       ": expected %.9g, got %.9g (at most %.3g apart)",
                       stream, sequence, name, k, (double)o->expected[k], (double)o->got[k], allowed);
  }
  if (furthest > 0) so->furthest = fmax(so->furthest, furthest / o->largest);
  return COSREL_OK;
}

static cosrel_status on_output(void *self, uint32_t stream, uint64_t sequence, const cosrel_network *network,
                               const void *arena, cosrel_error *error) {
  cosrel_outputs *outputs = self;
  stream_outputs *so = &outputs->streams[stream];
  const char *name = outputs->workload->streams[stream].name;
  for (uint32_t i = 0; i < so->n; i++) {
    cosrel_status status = cosrel_network_get_output(network, arena, i, so->outputs[i].got);
    if (status != COSREL_OK)
      return cosrel_fail(error, status, "stream %s, request %" PRIu64 ": output %.60s cannot be read: %s", name,
                         sequence, network->net.output_names[i], cosrel_status_text(status));
    if (outputs->verify) status = compare(so, &so->outputs[i], name, sequence, network->net.output_names[i], error);
    if (status != COSREL_OK) return status;
  }
  so->any = true;
  outputs->compared += outputs->verify;
  return COSREL_OK;
}

void cosrel_outputs_listen(cosrel_outputs *outputs, cosrel_stream_io *io) {
  for (uint32_t s = 0; s < outputs->workload->n_streams; s++) {
    io[s].output = on_output;
    io[s].self = outputs;
  }
}

void cosrel_outputs_expect(cosrel_outputs *outputs, const cosrel_case *c) {
  for (uint32_t s = 0; s < c->n_streams; s++)
    outputs->streams[s].tolerance =
        cosrel_case_uses(c, s, COSREL_FP16) ? COSREL_VERIFY_TOLERANCE_FP16 : COSREL_VERIFY_TOLERANCE;
}

uint64_t cosrel_outputs_compared(const cosrel_outputs *outputs) { return outputs->compared; }

double cosrel_outputs_tolerance(const cosrel_outputs *outputs, uint32_t stream) {
  return outputs->streams[stream].tolerance;
}

double cosrel_outputs_furthest(const cosrel_outputs *outputs, uint32_t stream) {
  return outputs->streams[stream].furthest;
}

/* "folder/stream.npy" or "folder/stream-output.npy". */
static void make_path(char *path, size_t size, const char *folder, const char *stream, const char *name) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  size_t n = strlen(folder) + 1;
  snprintf(path, size, "%s/%s%s%s.npy", folder, stream, name != NULL ? "-" : "", name != NULL ? name : "");
  for (char *c = path + n; *c != '\0'; c++)
    if (strchr(allowed, *c) == NULL) *c = '_';
}

cosrel_status cosrel_outputs_write(const cosrel_outputs *outputs, const char *folder, cosrel_error *error) {
  if (strlen(folder) > 1024) return cosrel_fail(error, COSREL_LIMIT, "%.100s...: path too long", folder);
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return cosrel_fail(error, COSREL_IO, "%s: cannot be made: %s", folder, strerror(errno));
  for (uint32_t s = 0; s < outputs->workload->n_streams; s++) {
    const stream_outputs *so = &outputs->streams[s];
    for (uint32_t i = 0; i < so->n && so->any; i++) {
      char path[1024 + 3 * COSREL_NAME_MAX];
      make_path(path, sizeof path, folder, outputs->workload->streams[s].name,
                so->n > 1 ? so->network->net.output_names[i] : NULL);
      cosrel_status status = cosrel_npy_write(path, &so->outputs[i].shape, so->outputs[i].got, error);
      if (status != COSREL_OK) return status;
    }
  }
  return COSREL_OK;
}
