/* The ONNX project's own test models, as Debian's libonnx-testdata has them, on the reference executor.
 *
 * A case is a folder with model.onnx and, for every test_data_set_N, input_I.pb and output_I.pb. Reals must agree
 * within 1e-5 + 1e-3 * |expected|, all else exactly, both as the net was read and as it is folded for execution. A case
 * may be refused as not supported, but must never give a wrong result, and no fewer may pass than a committed number.
 *
 * Many cases pass as inputs what real models hold as constants: shapes, axes, scales. A case that is refused is tried
 * again with all inputs but the first made constant, and then with all of them.
 *
 * COSREL_ONNX_TESTDATA names another folder; COSREL_ONNX_LIGHT one with real graphs (light_*.onnx), whose weights are
 * all alike: these must run and give finite values. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "backends/onnx/onnx.h"
#include "backends/reference/operators.h"

#define LIMIT_BYTES (UINT64_C(1) << 30)
#define PATH_BYTES 512
#define TENSORS_MAX 16
#define KINDS_MAX 256

typedef enum outcome { PASSED, REFUSED, WRONG } outcome;

static void set_path(char path[PATH_BYTES], const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (vsnprintf(path, PATH_BYTES, format, arguments) >= PATH_BYTES) path[0] = '\0'; /* too long: not found */
  va_end(arguments);
}

/* Bytes that grow. */
typedef struct buffer {
  uint8_t *bytes;
  size_t n;
} buffer;

static void append(buffer *b, const void *bytes, size_t n) {
  b->bytes = realloc(b->bytes, b->n + n + 1);
  if (b->bytes == NULL) abort();
  memcpy(&b->bytes[b->n], bytes, n);
  b->n += n;
}

static bool append_file(buffer *b, const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return false;
  uint8_t piece[4096];
  size_t n;
  while ((n = fread(piece, 1, sizeof piece, file)) > 0) append(b, piece, n);
  bool good = ferror(file) == 0;
  fclose(file);
  return good;
}

/* Protobuf: the key of a field that holds a message of n bytes. */
static void append_key(buffer *b, uint8_t field, size_t n) {
  uint8_t bytes[11] = {(uint8_t)(field << 3 | 2)};
  size_t at = 1;
  for (; n >= 0x80; n >>= 7) bytes[at++] = (uint8_t)(n | 0x80);
  bytes[at++] = (uint8_t)n;
  append(b, bytes, at);
}

/* Makes a named tensor a constant of the model. Protobuf merges messages that follow each other, so this appends a
 * model with nothing but a graph (field 7) with nothing but an initializer (field 5). */
static void append_constant(buffer *model, const char *tensor_path) {
  buffer tensor = {0}, graph = {0};
  if (append_file(&tensor, tensor_path)) {
    append_key(&graph, 5, tensor.n);
    append(&graph, tensor.bytes, tensor.n);
    append_key(model, 7, graph.n);
    append(model, graph.bytes, graph.n);
  }
  free(tensor.bytes);
  free(graph.bytes);
}

static bool file_exists(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file != NULL) fclose(file);
  return file != NULL;
}

/* ---- Comparing ---- */

static double element(const cosrel_tensor *t, uint64_t i) {
  switch (t->dtype) {
    case COSREL_F32: return ((const float *)t->data)[i];
    case COSREL_F64: return ((const double *)t->data)[i];
    case COSREL_I64: return (double)((const int64_t *)t->data)[i];
    case COSREL_I32: return ((const int32_t *)t->data)[i];
    case COSREL_I8: return ((const int8_t *)t->data)[i];
    default: return ((const uint8_t *)t->data)[i];
  }
}

static bool agrees(double got, double expected, double relative, double absolute) {
  if (isnan(expected) || isinf(expected) || isnan(got)) return isnan(expected) ? isnan(got) != 0 : got == expected;
  return fabs(got - expected) <= absolute + relative * fabs(expected);
}

/* Leaves a line in `why` where they differ. */
static bool compare(const cosrel_tensor *got, const cosrel_tensor *expected, char why[256]) {
  bool same = got->dtype == expected->dtype && got->shape.rank == expected->shape.rank;
  for (uint32_t d = 0; same && d < got->shape.rank; d++) same = got->shape.dims[d] == expected->shape.dims[d];
  if (!same) {
    snprintf(why, 256, "type or shape: %s with %u axes, expected %s with %u", cosrel_dtype_name(got->dtype),
             got->shape.rank, cosrel_dtype_name(expected->dtype), expected->shape.rank);
    return false;
  }
  bool real = got->dtype == COSREL_F32 || got->dtype == COSREL_F64;
  for (uint64_t i = 0; i < cosrel_shape_elements(&got->shape); i++) {
    double a = element(got, i), b = element(expected, i);
    if (agrees(a, b, real ? 1e-3 : 0, real ? 1e-5 : 0)) continue;
    snprintf(why, 256, "element %llu is %.9g, expected %.9g", (unsigned long long)i, a, b);
    return false;
  }
  return true;
}

/* ---- One case ---- */

/* Reads at most `most` of input_0.pb, input_1.pb, ... (or outputs); *status is not COSREL_OK where one cannot be read.
 */
static uint32_t read_tensors(const char *set, const char *kind, uint32_t most, cosrel_tensor *tensors,
                             cosrel_status *status, cosrel_error *error) {
  uint32_t n = 0;
  char path[PATH_BYTES];
  while (n < most && n < TENSORS_MAX && *status == COSREL_OK) {
    set_path(path, "%s/%s_%u.pb", set, kind, n);
    if (!file_exists(path)) break;
    *status = cosrel_onnx_read_tensor(path, LIMIT_BYTES, &tensors[n], error);
    if (*status == COSREL_OK) n++;
  }
  return n;
}

/* A refusal is fair if it says that something is not supported or too much, but not if it calls the file wrong. */
static outcome refusal(cosrel_status status, const cosrel_error *error, char why[256]) {
  snprintf(why, 256, "%.255s", error->text);
  return status == COSREL_UNSUPPORTED || status == COSREL_LIMIT ? REFUSED : WRONG;
}

/* The inputs of the net are the first files; later ones have become constants. */
static outcome check_inputs(const cosrel_net *net, const cosrel_tensor *in, uint32_t n_in, char why[256]) {
  snprintf(why, 256, "%u inputs, expected %u", n_in, net->n_inputs);
  if (n_in != net->n_inputs) return WRONG;
  for (uint32_t i = 0; i < n_in; i++) {
    const cosrel_tensor *stated = &net->values[net->inputs[i]].tensor;
    snprintf(why, 256, "input %u has not the size that the model states", i);
    if (stated->dtype != in[i].dtype || cosrel_tensor_bytes(stated) != cosrel_tensor_bytes(&in[i])) return REFUSED;
  }
  return PASSED;
}

static outcome run_set(const cosrel_net *net, const char *set, char why[256]) {
  cosrel_tensor in[TENSORS_MAX], out[TENSORS_MAX];
  cosrel_error error = {""};
  cosrel_status status = COSREL_OK;
  cosrel_reference reference = {0};
  uint32_t n_in = read_tensors(set, "input", net->n_inputs, in, &status, &error);
  uint32_t n_out = read_tensors(set, "output", net->n_outputs, out, &status, &error);
  if (status == COSREL_OK) status = cosrel_reference_create(net, &reference, &error);
  outcome result = status == COSREL_OK ? check_inputs(net, in, n_in, why) : refusal(status, &error, why);
  if (result == PASSED && n_out == 0) {
    snprintf(why, 256, "no outputs to compare with");
    result = WRONG;
  }
  if (result == PASSED) {
    const void *data[TENSORS_MAX];
    for (uint32_t i = 0; i < n_in; i++) data[i] = in[i].data;
    cosrel_reference_run(&reference, data);
  }
  for (uint32_t i = 0; i < n_out && result == PASSED; i++) {
    if (!compare(&reference.tensors[net->outputs[i]], &out[i], why)) result = WRONG;
  }
  cosrel_reference_destroy(&reference);
  for (uint32_t i = 0; i < n_in; i++) free(in[i].data);
  for (uint32_t i = 0; i < n_out; i++) free(out[i].data);
  return result;
}

/* With inputs from `constant_from` on made constant. */
static outcome try_case(const char *folder, const char *set, uint32_t constant_from, char why[256]) {
  char path[PATH_BYTES];
  buffer model = {0};
  cosrel_net net;
  cosrel_error error = {""};
  set_path(path, "%s/model.onnx", folder);
  if (!append_file(&model, path)) {
    snprintf(why, 256, "no model.onnx");
    return WRONG;
  }
  for (uint32_t i = constant_from; i < TENSORS_MAX; i++) {
    set_path(path, "%s/input_%u.pb", set, i);
    if (!file_exists(path)) break;
    append_constant(&model, path);
  }
  cosrel_status status = cosrel_onnx_parse(model.bytes, model.n, folder, "case", LIMIT_BYTES, &net, &error);
  free(model.bytes);
  if (status != COSREL_OK) return refusal(status, &error, why);
  outcome result = run_set(&net, set, why);
  if (result == PASSED && (status = cosrel_net_fold(&net, &error)) != COSREL_OK) result = refusal(status, &error, why);
  if (result == PASSED) result = run_set(&net, set, why);
  cosrel_net_destroy(&net);
  return result;
}

static outcome run_case(const char *folder, char why[256]) {
  static const uint32_t attempts[] = {TENSORS_MAX, 1, 0};
  outcome result = PASSED;
  for (uint32_t s = 0; result == PASSED; s++) {
    char set[PATH_BYTES], probe[PATH_BYTES], first_why[256];
    set_path(set, "%s/test_data_set_%u", folder, s);
    set_path(probe, "%s/output_0.pb", set);
    if (!file_exists(probe)) {
      snprintf(why, 256, "no test data");
      return s > 0 ? PASSED : WRONG;
    }
    result = REFUSED;
    for (uint32_t k = 0; k < 3 && result == REFUSED; k++) {
      result = try_case(folder, set, attempts[k], why);
      if (k == 0) memcpy(first_why, why, sizeof first_why);
    }
    if (result == REFUSED) memcpy(why, first_why, sizeof first_why);
  }
  return result;
}

/* ---- Groups of cases ---- */

/* How often each operator was the reason for a refusal. */
typedef struct reasons {
  uint32_t n;
  struct {
    char text[48];
    uint32_t count;
  } kinds[KINDS_MAX];
} reasons;

/* The operator in "...: node 'NAME' (OPERATOR): ..."; other lines count together. */
static void add_reason(reasons *r, const char *why) {
  char text[48] = "(other)";
  const char *operator= strstr(why, "' (");
  if (operator!= NULL && strstr(why, "node '") != NULL) {
    size_t length = strcspn(operator+ 3, ")");
    snprintf(text, sizeof text, "%.*s", (int)(length < 40 ? length : 40), operator+ 3);
  }
  uint32_t k = 0;
  while (k < r->n && strcmp(r->kinds[k].text, text) != 0) k++;
  if (k == KINDS_MAX) return;
  if (k == r->n) snprintf(r->kinds[r->n++].text, sizeof text, "%s", text);
  r->kinds[k].count++;
}

static const char *data_folder(void) {
  const char *folder = getenv("COSREL_ONNX_TESTDATA");
  return folder != NULL ? folder : "/usr/share/libonnx-testdata/data";
}

static void run_group(const char *group, uint32_t least) {
  char root[PATH_BYTES], why[256];
  struct dirent **names = NULL;
  uint32_t counts[3] = {0};
  static reasons refused;
  refused.n = 0;
  set_path(root, "%s/%s", data_folder(), group);
  int n = scandir(root, &names, NULL, alphasort);
  if (n < 0) {
    printf("skipped: ONNX %s tests (no %s; Debian has it in libonnx-testdata)\n", group, root);
    return;
  }
  for (int i = 0; i < n; i++) {
    if (strncmp(names[i]->d_name, "test_", 5) == 0) {
      char folder[PATH_BYTES];
      set_path(folder, "%s/%s", root, names[i]->d_name);
      outcome result = run_case(folder, why);
      counts[result]++;
      if (result == WRONG) printf("%s/%s: %s\n", group, names[i]->d_name, why);
      if (result == REFUSED) add_reason(&refused, why);
      if (result == REFUSED && getenv("COSREL_ONNX_VERBOSE") != NULL) printf("%s: %s\n", names[i]->d_name, why);
    }
    free(names[i]);
  }
  free(names);
  printf("ONNX %s: %u passed, %u not supported, %u wrong\n  not supported:", group, counts[PASSED], counts[REFUSED],
         counts[WRONG]);
  for (uint32_t k = 0; k < refused.n; k++) printf(" %s %u", refused.kinds[k].text, refused.kinds[k].count);
  printf("\n");
  assert_int_equal(counts[WRONG], 0);
  assert_true(counts[PASSED] >= least);
}

static void node_tests(void **state) {
  (void)state;
  run_group("node", 655);
}

static void pytorch_converted_tests(void **state) {
  (void)state;
  run_group("pytorch-converted", 82);
}

static void pytorch_operator_tests(void **state) {
  (void)state;
  run_group("pytorch-operator", 35);
}

/* ---- Real graphs ---- */

static void run_light(const char *path) {
  cosrel_net net;
  cosrel_reference reference;
  cosrel_error error = {""};
  const void *data[TENSORS_MAX];
  if (cosrel_onnx_read(path, LIMIT_BYTES, &net, &error) != COSREL_OK) fail_msg("%s", error.text);
  if (cosrel_reference_create(&net, &reference, &error) != COSREL_OK) fail_msg("%s", error.text);
  assert_true(net.n_inputs <= TENSORS_MAX);
  for (uint32_t i = 0; i < net.n_inputs; i++) {
    const cosrel_tensor *in = &net.values[net.inputs[i]].tensor;
    assert_int_equal(in->dtype, COSREL_F32);
    float *x = calloc(cosrel_tensor_bytes(in), 1);
    assert_non_null(x);
    for (uint64_t k = 0; k < cosrel_shape_elements(&in->shape); k++) x[k] = (float)(k % 7) / 7;
    data[i] = x;
  }
  cosrel_reference_run(&reference, data);
  for (uint32_t i = 0; i < net.n_outputs; i++) {
    const cosrel_tensor *out = &reference.tensors[net.outputs[i]];
    for (uint64_t k = 0; k < cosrel_shape_elements(&out->shape); k++) assert_true(isfinite(element(out, k)));
  }
  printf("%s: %u nodes ran\n", net.name, net.n_nodes);
  for (uint32_t i = 0; i < net.n_inputs; i++) free((void *)data[i]);
  cosrel_reference_destroy(&reference);
  cosrel_net_destroy(&net);
}

static void light_graphs(void **state) {
  (void)state;
  const char *folder = getenv("COSREL_ONNX_LIGHT");
  struct dirent **names = NULL;
  int n = folder != NULL ? scandir(folder, &names, NULL, alphasort) : -1;
  if (n < 0) {
    printf("skipped: real ONNX graphs (COSREL_ONNX_LIGHT names no folder)\n");
    return;
  }
  for (int i = 0; i < n; i++) {
    char path[PATH_BYTES];
    set_path(path, "%s/%s", folder, names[i]->d_name);
    if (strncmp(names[i]->d_name, "light_", 6) == 0) run_light(path);
    free(names[i]);
  }
  free(names);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(node_tests),
      cmocka_unit_test(pytorch_converted_tests),
      cmocka_unit_test(pytorch_operator_tests),
      cmocka_unit_test(light_graphs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
