/* cosrel profile: measures models on this machine's processors and writes a device profile. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/profile_join.h"
#include "backends/profiling.h"
#include "experiments/commands.h"
#include "experiments/options.h"
#include "experiments/progress.h"
#include "sched/check.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

typedef struct request {
  cosrel_strings models, processors, mean;
  const char *workload, *out, *merge, *name, *sensors, *precisions;
  uint64_t rounds;
  double time_s;
} request;

/* Everything that is open while measuring. */
typedef struct session {
  cosrel_workload workload; /* of one stream per model where no workload was named */
  cosrel_sources sources;
  cosrel_machine machine;
  cosrel_profile profile, old;
} session;

static void close_session(session *s) {
  cosrel_machine_close(&s->machine);
  cosrel_sources_clear(&s->sources);
  cosrel_profile_clear(&s->profile);
  cosrel_profile_clear(&s->old);
  cosrel_workload_clear(&s->workload);
}

/* "zoo:NAME" is the model NAME; FOLDER/FILE.onnx is the model FILE. */
static cosrel_status name_model(const char *word, cosrel_stream *stream, cosrel_error *error) {
  size_t length = strlen(word);
  const char *slash = strrchr(word, '/'), *name = slash != NULL ? slash + 1 : word;
  bool zoo = strncmp(word, "zoo:", 4) == 0, file = length > 5 && strcmp(word + length - 5, ".onnx") == 0;
  if (!zoo && !file) return cosrel_fail(error, COSREL_INVALID, "%.200s: expected FILE.onnx or zoo:NAME", word);
  if (zoo) name = word + 4;
  size_t n = strlen(name) - (zoo ? 0 : 5);
  if (n == 0 || n >= sizeof stream->model || (!zoo && length >= sizeof stream->file))
    return cosrel_fail(error, COSREL_LIMIT, "%.200s: expected a name of 1 to %zu bytes and a path of at most %zu", word,
                       sizeof stream->model - 1, sizeof stream->file - 1);
  snprintf(stream->model, sizeof stream->model, "%.*s", (int)n, name);
  memcpy(stream->name, stream->model, sizeof stream->name);
  if (!zoo) memcpy(stream->file, word, length + 1);
  return COSREL_OK;
}

static cosrel_status list_models(const request *q, cosrel_workload *out, cosrel_error *error) {
  if ((q->models.n > 0) == (q->workload != NULL))
    return cosrel_fail(error, COSREL_INVALID, "profile: expected models, or --workload");
  if (q->workload != NULL) return cosrel_workload_read(q->workload, out, error);
  if (q->models.n > COSREL_STREAMS_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "profile: expected at most %d models", COSREL_STREAMS_MAX);
  for (; out->n_streams < q->models.n; out->n_streams++) {
    cosrel_stream *stream = &out->streams[out->n_streams];
    COSREL_TRY(name_model(q->models.items[out->n_streams], stream, error));
    for (uint32_t s = 0; s < out->n_streams; s++)
      if (strcmp(out->streams[s].model, stream->model) == 0)
        return cosrel_fail(error, COSREL_INVALID, "profile: two models named %s", stream->model);
  }
  return COSREL_OK;
}

/* "fp32" or "fp32,fp16", in any order; 0: nothing was said. */
static cosrel_status parse_precisions(const char *text, uint32_t *out, cosrel_error *error) {
  *out = 0;
  for (const char *at = text; at != NULL; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL) {
    char word[16] = "";
    size_t n = strcspn(at, ",");
    if (n < sizeof word) memcpy(word, at, n);
    int precision = cosrel_precision_from_name(word);
    if ((precision != COSREL_FP32 && precision != COSREL_FP16) || (*out >> precision & 1) != 0)
      return cosrel_fail(error, COSREL_INVALID, "profile: --precisions: expected fp32 or fp32,fp16, got %.60s", text);
    *out |= 1u << precision;
  }
  if (text != NULL && (*out >> COSREL_FP32 & 1) == 0)
    return cosrel_fail(error, COSREL_INVALID, "profile: --precisions: expected fp32 among them, got %.60s", text);
  return COSREL_OK;
}

static bool offers_half(const cosrel_machine *machine) {
  bool any = false;
  for (uint32_t p = 0; p < machine->n_processors; p++)
    any = any || (machine->backends[p]->ops->precisions >> COSREL_FP16 & 1) != 0;
  return any;
}

static void say(const char *line) { fprintf(stderr, "cosrel profile: %s\n", line); }

static cosrel_status measure(const request *q, session *s, cosrel_error *error) {
  cosrel_backend_spec specs[COSREL_PROCESSORS_MAX];
  cosrel_profiled_model models[COSREL_STREAMS_MAX];
  uint32_t n, precisions;
  COSREL_TRY(parse_precisions(q->precisions, &precisions, error));
  COSREL_TRY(cosrel_machine_parse(q->processors.items, q->processors.n, specs, &n, error));
  COSREL_TRY(list_models(q, &s->workload, error));
  if (q->merge != NULL) COSREL_TRY(cosrel_profile_read(q->merge, &s->old, error));
  COSREL_TRY(cosrel_sources_open(&s->workload, q->workload != NULL ? q->workload : "", 1, &s->sources, error));
  COSREL_TRY(cosrel_machine_open(specs, n, (const cosrel_network *const *)s->sources.networks, s->sources.n_networks,
                                 &s->machine, error));
  if ((precisions >> COSREL_FP16 & 1) != 0 && !offers_half(&s->machine))
    return cosrel_fail(error, COSREL_UNSUPPORTED, "profile: --precisions: none of the processors offers fp16");
  const cosrel_time time = (cosrel_time)(q->time_s * 1e9);
  const cosrel_measure_config config = {.rounds = (uint32_t)q->rounds,
                                        .time = time * 3 / 8 / n,
                                        .pair_time = n > 1 ? time / 8 / (n * (n - 1) / 2) : 0,
                                        .rehearsal_time = time / 2,
                                        .precisions = precisions,
                                        .sensors = q->sensors,
                                        .stop = cosrel_interrupted,
                                        .say = say};
  uint32_t n_models = cosrel_profiled_models(&s->workload, &s->sources, models);
  COSREL_TRY(cosrel_profile_measure(&s->machine, models, n_models, &config, q->name, &s->profile, error));
  return q->merge != NULL ? cosrel_profile_merge(&s->profile, &s->old, q->merge, error) : COSREL_OK;
}

static cosrel_status take_mean(const request *q, session *s, cosrel_error *error) {
  if (q->models.n + q->processors.n > 0 || q->workload != NULL || q->merge != NULL || q->precisions != NULL)
    return cosrel_fail(error, COSREL_INVALID, "profile: expected --mean with nothing to measure beside it");
  COSREL_TRY(cosrel_profile_read(q->mean.items[0], &s->profile, error));
  snprintf(s->profile.name, sizeof s->profile.name, "%s", q->name);
  for (uint32_t i = 1; i < q->mean.n; i++) {
    COSREL_TRY(cosrel_profile_read(q->mean.items[i], &s->old, error));
    COSREL_TRY(cosrel_profile_average(&s->profile, i, &s->old, q->mean.items[i], error));
    cosrel_profile_clear(&s->old);
  }
  return COSREL_OK;
}

/* ms that the whole model takes as one segment; negative where the processor cannot run all of it. */
static double model_ms(const cosrel_profile *profile, uint32_t m, uint32_t p, cosrel_precision precision) {
  double ns = profile->processors[p].launch_ns;
  for (uint32_t u = 0; u < profile->models[m].model.n_units; u++) {
    double mean = cosrel_profile_cost(profile, m, u, p, precision)->mean_ns;
    if (mean < 0) return -1;
    ns += mean;
  }
  return ns * 1e-6;
}

/* MiB that its weights take there, prepared: what a memory budget counts. */
static double model_mib(const cosrel_profile *profile, uint32_t m, uint32_t p, cosrel_precision precision) {
  uint64_t bytes = 0;
  for (uint32_t u = 0; u < profile->models[m].model.n_units; u++) {
    if (cosrel_profile_cost(profile, m, u, p, precision)->mean_ns < 0) return -1;
    bytes += cosrel_profile_weight_bytes(profile, m, u, p, precision);
  }
  return (double)bytes / 1048576;
}

typedef double (*figure)(const cosrel_profile *profile, uint32_t m, uint32_t p, cosrel_precision precision);

/* A line for each model, and one more where a processor runs it in fp16. */
static void report_models(const cosrel_profile *profile, const char *title, figure of) {
  printf("\n%-32s", title);
  for (uint32_t p = 0; p < profile->n_processors; p++) printf(" %12s", profile->processors[p].name);
  for (uint32_t m = 0; m < profile->n_models; m++) {
    for (int half = 0; half < 2; half++) {
      cosrel_precision precision = half ? COSREL_FP16 : COSREL_FP32;
      double value[COSREL_PROCESSORS_MAX];
      bool any = !half;
      for (uint32_t p = 0; p < profile->n_processors; p++) {
        value[p] = of(profile, m, p, precision);
        any = any || value[p] >= 0;
      }
      if (!any) continue;
      printf("\n%-32s", half ? "  in fp16" : profile->models[m].model.name);
      for (uint32_t p = 0; p < profile->n_processors; p++) {
        if (value[p] >= 0)
          printf(" %12.3f", value[p]);
        else
          printf(" %12s", half ? "-" : "not all");
      }
    }
  }
  printf("\n");
}

static void report(const request *q, const cosrel_profile *profile) {
  printf("%s: %" PRIu32 " models on %s\n\n%-16s %10s %12s\n", q->out, profile->n_models, profile->soc, "processor",
         "launch us", "busy W");
  for (uint32_t p = 0; p < profile->n_processors; p++)
    printf("%-16s %10.1f %12.2f %s\n", profile->processors[p].name, profile->processors[p].launch_ns * 1e-3,
           profile->processors[p].points[0].busy_w,
           cosrel_tag_name((cosrel_tag)profile->processors[p].power_origin.tag));
  report_models(profile, "model, ms alone on", model_ms);
  report_models(profile, "weights, MiB prepared on", model_mib);
  printf("\n%-16s", "kappa");
  for (uint32_t other = 0; other < profile->n_processors; other++) printf(" %12s", profile->processors[other].name);
  for (uint32_t p = 0; p < profile->n_processors; p++) {
    printf("\n%-16s", profile->processors[p].name);
    for (uint32_t other = 0; other < profile->n_processors; other++) printf(" %12.3f", profile->kappa[p][other]);
  }
  printf("\n");
}

int cosrel_cmd_profile(int argc, char **argv) {
  request q = {.rounds = 100, .time_s = 20, .name = "this-machine", .sensors = "/sys"};
  const cosrel_usage usage = {
      "profile",
      "MODEL... -o PROFILE.json [options]",
      "Measures models (FILE.onnx or zoo:NAME, or those of --workload) on this machine's processors: units,\n"
      "what a segment costs, transfers, contention of every two processors, power where the system tells.\n"
      "Let nothing else run meanwhile. Interrupted, it writes nothing. Where others share the machine, its speed\n"
      "changes: measure several times, and take the --mean.",
      "cosrel profile zoo:squeezenet1_1 zoo:mobilenet_v2 -o here.json \\\n"
      "    --processor cpu0=xnnpack:cores=0 --processor cpu1=xnnpack:cores=1",
      0,
      COSREL_OPTION_ITEMS_MAX};
  const cosrel_option options[] = {
      {"o", COSREL_OPTION_TEXT, &q.out, "FILE", "where the profile goes", 0, 0, true},
      {"workload", COSREL_OPTION_TEXT, &q.workload, "W", "measures the models of its streams", 0, 0, false},
      {"processor", COSREL_OPTION_FILES, &q.processors, "SPEC...",
       "processors, NAME=BACKEND[:cores=0-3+6][:threads=N][:device=TEXT] (cpu on all cores)", 0, 0, false},
      {"merge", COSREL_OPTION_TEXT, &q.merge, "OLD.json", "keeps its models beside those measured now", 0, 0, false},
      {"mean", COSREL_OPTION_FILES, &q.mean, "P...", "measures nothing: writes the mean of profiles of the same models",
       0, 0, false},
      {"rounds", COSREL_OPTION_COUNT, &q.rounds, "N", "of each model on each processor, at most (100)", 1, 100000,
       false},
      {"time", COSREL_OPTION_NUMBER, &q.time_s, "S", "seconds in all, about; one round is made in any case (20)", 0.001,
       86400, false},
      {"precisions", COSREL_OPTION_TEXT, &q.precisions, "LIST",
       "fp32 or fp32,fp16, on processors that offer it (fp16 only where the device computes in it, so is faster)", 0, 0,
       false},
      {"name", COSREL_OPTION_TEXT, &q.name, "TEXT", "of the profile (this-machine)", 0, 0, false},
      {"sys", COSREL_OPTION_TEXT, &q.sensors, "DIR", "where the system shows its sensors (/sys)", 0, 0, false},
      {NULL, COSREL_OPTION_FLAG, NULL, NULL, NULL, 0, 0, false},
  };
  cosrel_parse parse = cosrel_options_parse(&usage, options, argc, argv, &q.models);
  if (parse != COSREL_PARSE_OK) return cosrel_parse_exit(parse);

  cosrel_error error = {""};
  session *s = calloc(1, sizeof *s);
  if (s == NULL) return cosrel_report(COSREL_NOMEM, NULL);
  cosrel_interrupt_catch();
  cosrel_status status = q.mean.n > 0 ? take_mean(&q, s, &error) : measure(&q, s, &error);
  if (status == COSREL_OK) status = cosrel_profile_write(q.out, &s->profile, &error);
  if (status == COSREL_OK) report(&q, &s->profile);
  close_session(s);
  free(s);
  return status == COSREL_OK ? 0 : cosrel_report(status, &error);
}
