/* cosrel inspect: a model as units, what each costs in arithmetic and memory, and which processors run it. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "backends/network.h"
#include "backends/reference/operators.h"
#include "backends/zoo/zoo.h"
#include "experiments/commands.h"
#include "experiments/options.h"
#include "sched/profile.h"
#include "traces/profile_file.h"

#define FP32_BYTES 4

static const cosrel_usage usage = {
    .command = "inspect",
    .synopsis = "MODEL.onnx|zoo:NAME[@SIDE] [--profile PROFILE.json] [--json]",
    .about =
        "Shows a model as units: kind, inputs, multiply-accumulates (MACs), weights and bytes of output (fp32).\n"
        "NAME@SIDE is the network for inputs of another size. 'zoo:' alone lists the built-in networks, --operators\n"
        "what may be in a file.",
    .example = "cosrel inspect zoo:mobilenet_v2 --profile traces/profiles/snapdragon865.json",
    .operands_max = 1,
};

/* A profile and where the inspected model is in it. */
typedef struct support {
  const cosrel_profile *profile; /* NULL: none was given */
  uint32_t model;
} support;

/* The index in the profile of the unit of that name, or -1. */
static int profile_unit(const support *s, const char *name) {
  const cosrel_model *model = &s->profile->models[s->model].model;
  for (uint32_t u = 0; u < model->n_units; u++) {
    if (strcmp(model->units[u].name, name) == 0) return (int)u;
  }
  return -1;
}

static bool runs(const support *s, int unit, uint32_t processor, int precision) {
  if (unit < 0) return false;
  return cosrel_profile_cost(s->profile, s->model, (uint32_t)unit, processor, (cosrel_precision)precision)->mean_ns >=
         0;
}

/* ---- As text ---- */

/* "cpu fp32,int8  gpu fp16", or "none". */
static void print_support(const support *s, const char *name) {
  int unit = profile_unit(s, name);
  bool any = false;
  for (uint32_t p = 0; p < s->profile->n_processors; p++) {
    const char *before = NULL;
    for (int precision = 0; precision < COSREL_PRECISION_COUNT; precision++) {
      if (!runs(s, unit, p, precision)) continue;
      if (before == NULL) printf("  %s ", s->profile->processors[p].name);
      printf("%s%s", before == NULL ? "" : before, cosrel_precision_name((cosrel_precision)precision));
      before = ",";
      any = true;
    }
  }
  if (!any) printf("  none");
}

static void print_inputs(const cosrel_model *model, const cosrel_unit *unit) {
  char text[64] = "";
  size_t used = 0;
  for (uint32_t i = 0; i < unit->n_inputs && used < sizeof text; i++) {
    int32_t producer = model->inputs[unit->first_input + i];
    const char *comma = i == 0 ? "" : ",";
    int written = producer == COSREL_MODEL_INPUT
                      ? snprintf(text + used, sizeof text - used, "%sinput", comma)
                      : snprintf(text + used, sizeof text - used, "%s%" PRId32, comma, producer);
    used += (size_t)written;
  }
  printf("  %-18s", text);
}

static void print_model(const cosrel_model *model, const support *s) {
  uint64_t macs = 0, weights = 0, out = 0;
  int width = 12;
  for (uint32_t u = 0; u < model->n_units; u++) {
    int length = (int)strlen(model->units[u].name);
    if (length > width) width = length;
  }
  printf("%s: %" PRIu32 " units, %" PRIu64 " input elements\n\n", model->name, model->n_units, model->input_elems);
  printf("%4s  %-*s  %-11s  %-18s  %12s  %10s  %10s%s\n", "unit", width, "name", "kind", "inputs", "MACs", "weights",
         "bytes out", s->profile != NULL ? "  runs on" : "");
  for (uint32_t u = 0; u < model->n_units; u++) {
    const cosrel_unit *unit = &model->units[u];
    printf("%4" PRIu32 "  %-*s  %-11s", u, width, unit->name, cosrel_kind_name(unit->kind));
    print_inputs(model, unit);
    printf("  %12" PRIu64 "  %10" PRIu64 "  %10" PRIu64, unit->macs, unit->weights, unit->out_elems * FP32_BYTES);
    if (s->profile != NULL) print_support(s, unit->name);
    printf("\n");
    macs += unit->macs;
    weights += unit->weights;
    out += unit->out_elems * FP32_BYTES;
  }
  printf("%4s  %-*s  %-11s  %-18s  %12" PRIu64 "  %10" PRIu64 "  %10" PRIu64 "\n", "", width, "total", "", "", macs,
         weights, out);
}

/* ---- As JSON ---- */

static json_t *support_json(const support *s, const char *name) {
  int unit = profile_unit(s, name);
  json_t *processors = json_object();
  for (uint32_t p = 0; p < s->profile->n_processors; p++) {
    json_t *precisions = json_array();
    for (int precision = 0; precision < COSREL_PRECISION_COUNT; precision++) {
      if (!runs(s, unit, p, precision)) continue;
      json_array_append_new(precisions, json_string(cosrel_precision_name((cosrel_precision)precision)));
    }
    json_object_set_new(processors, s->profile->processors[p].name, precisions);
  }
  return processors;
}

static json_t *unit_json(const cosrel_model *model, uint32_t u, const support *s) {
  const cosrel_unit *unit = &model->units[u];
  json_t *inputs = json_array();
  for (uint32_t i = 0; i < unit->n_inputs; i++) {
    json_array_append_new(inputs, json_integer(model->inputs[unit->first_input + i]));
  }
  json_t *object = json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I}", "name", unit->name, "kind",
                             cosrel_kind_name(unit->kind), "inputs", inputs, "macs", (json_int_t)unit->macs, "weights",
                             (json_int_t)unit->weights, "in_elems", (json_int_t)unit->in_elems, "out_elems",
                             (json_int_t)unit->out_elems, "out_bytes_fp32", (json_int_t)unit->out_elems * FP32_BYTES);
  if (object != NULL && s->profile != NULL) json_object_set_new(object, "processors", support_json(s, unit->name));
  return object;
}

/* Takes `root` over; NULL means that memory ran out on the way. */
static cosrel_status print_json(json_t *root, cosrel_error *error) {
  if (root == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s", cosrel_status_text(COSREL_NOMEM));
  bool bad = json_dumpf(root, stdout, JSON_INDENT(2)) != 0 || putchar('\n') == EOF;
  json_decref(root);
  return bad ? cosrel_fail(error, COSREL_IO, "stdout: cannot write") : COSREL_OK;
}

static cosrel_status print_model_json(const cosrel_model *model, const support *s, cosrel_error *error) {
  uint64_t macs = 0, weights = 0;
  json_t *units = json_array();
  for (uint32_t u = 0; u < model->n_units; u++) {
    json_array_append_new(units, unit_json(model, u, s));
    macs += model->units[u].macs;
    weights += model->units[u].weights;
  }
  return print_json(
      json_pack("{s:s, s:I, s:I, s:I, s:o}", "model", model->name, "input_elems", (json_int_t)model->input_elems,
                "macs", (json_int_t)macs, "weights", (json_int_t)weights, "units", units),
      error);
}

/* ---- The list of the zoo ---- */

static cosrel_status list_zoo(bool json, cosrel_error *error) {
  uint32_t count;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&count);
  json_t *list = json_array();
  cosrel_status status = COSREL_OK;
  if (!json) printf("%-26s %5s %6s %10s %12s  %s\n", "name", "side", "units", "MMACs", "weights", "network");
  for (uint32_t i = 0; i < count && status == COSREL_OK; i++) {
    cosrel_model model;
    status = cosrel_zoo_model(table[i].name, &model, error);
    uint64_t macs = 0, weights = 0;
    for (uint32_t u = 0; u < model.n_units; u++) {
      macs += model.units[u].macs;
      weights += model.units[u].weights;
    }
    if (json) {
      json_array_append_new(
          list, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "name", table[i].name, "title", table[i].title, "side",
                          (json_int_t)table[i].side, "units", (json_int_t)model.n_units, "macs", (json_int_t)macs,
                          "weights", (json_int_t)weights));
    } else {
      printf("%-26s %5" PRIu32 " %6" PRIu32 " %10.1f %12" PRIu64 "  %s\n", table[i].name, table[i].side, model.n_units,
             (double)macs / 1e6, weights, table[i].title);
    }
    cosrel_model_clear(&model);
  }
  if (json && status == COSREL_OK) return print_json(json_pack("{s:o}", "zoo", list), error);
  json_decref(list);
  return status;
}

/* ---- The list of operators ---- */

static cosrel_status list_operators(bool json, cosrel_error *error) {
  uint32_t count;
  const cosrel_operator *table = cosrel_operator_table(&count);
  json_t *list = json_array();
  if (!json) printf("%-26s %6s %10s\n", "operator", "opset", "inputs");
  for (uint32_t i = 0; i < count; i++) {
    const cosrel_operator *op = &table[i];
    if (json) {
      json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:i}", "name", op->name, "first_opset", op->first_opset,
                                            "min_inputs", op->min_inputs, "max_inputs", op->max_inputs));
    } else {
      printf("%-26s %5d+ %5d to %d\n", op->name, op->first_opset, op->min_inputs, op->max_inputs);
    }
  }
  if (json) return print_json(json_pack("{s:o}", "operators", list), error);
  json_decref(list);
  return COSREL_OK;
}

/* ---- The command ---- */

/* The units of a network of the zoo, or of a file. Weights of the zoo are not made for that. */
static cosrel_status read_model(const char *name, cosrel_model *model, cosrel_error *error) {
  if (strncmp(name, "zoo:", 4) == 0) return cosrel_zoo_model(name + 4, model, error);
  cosrel_network network;
  cosrel_status status = cosrel_network_open(name, &network, error);
  if (status != COSREL_OK) return status;
  *model = network.model;
  network.model = (cosrel_model){0};
  cosrel_network_destroy(&network);
  return COSREL_OK;
}

static cosrel_status find_model(const char *path, const cosrel_profile *profile, const char *name, uint32_t *model,
                                cosrel_error *error) {
  int found = cosrel_profile_find_model(profile, name);
  if (found >= 0) {
    *model = (uint32_t)found;
    return COSREL_OK;
  }
  return cosrel_fail(error, COSREL_INVALID, "%.200s: models: expected one named %s", path, name);
}

int cosrel_cmd_inspect(int argc, char **argv) {
  bool json = false, operators = false;
  const char *path = NULL;
  const cosrel_option options[] = {
      {"profile", COSREL_OPTION_TEXT, &path, "FILE", "also show which processors of this device run each unit", 0, 0,
       false},
      {"operators", COSREL_OPTION_FLAG, &operators, NULL, "list the ONNX operators that files may have", 0, 0, false},
      {"json", COSREL_OPTION_FLAG, &json, NULL, "print one JSON document", 0, 0, false},
      {NULL, COSREL_OPTION_FLAG, NULL, NULL, NULL, 0, 0, false},
  };
  cosrel_strings operands;
  char help[] = "--help";
  char *help_argv[] = {argv[0], help, NULL};
  cosrel_parse parse = argc < 2 ? cosrel_options_parse(&usage, options, 2, help_argv, &operands)
                                : cosrel_options_parse(&usage, options, argc, argv, &operands);
  if (parse != COSREL_PARSE_OK) return cosrel_parse_exit(parse);

  cosrel_error error = {""};
  cosrel_status status = COSREL_OK;
  cosrel_model model = {0};
  cosrel_profile profile = {0};
  support s = {0};
  const char *name = operands.n == 1 ? operands.items[0] : "";
  if (operators) {
    status = list_operators(json, &error);
    goto done;
  }
  if (operands.n == 0) {
    status = cosrel_fail(&error, COSREL_INVALID, "inspect: expected a model, FILE.onnx or zoo:NAME");
    goto done;
  }
  if (strcmp(name, "zoo:") == 0) {
    status = list_zoo(json, &error);
    goto done;
  }
  if ((status = read_model(name, &model, &error)) != COSREL_OK) goto done;
  if (path != NULL) {
    if ((status = cosrel_profile_read(path, &profile, &error)) != COSREL_OK) goto done;
    if ((status = find_model(path, &profile, model.name, &s.model, &error)) != COSREL_OK) goto done;
    s.profile = &profile;
  }
  if (json) {
    status = print_model_json(&model, &s, &error);
  } else {
    print_model(&model, &s);
  }

done:
  cosrel_model_clear(&model);
  cosrel_profile_clear(&profile);
  return status == COSREL_OK ? 0 : cosrel_report(status, &error);
}
