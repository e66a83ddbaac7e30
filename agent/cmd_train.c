/* cosrel train: scenes from profiles and workloads, then iterations of agent/train.h with curves and checkpoints. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/devices.h"
#include "agent/mixes.h"
#include "agent/tensorboard.h"
#include "agent/train.h"
#include "experiments/commands.h"
#include "experiments/options.h"
#include "experiments/progress.h"
#include "experiments/run_options.h"
#include "sched/check.h"
#include "sched/rng.h"
#include "traces/atomic.h"
#include "traces/file.h"
#include "traces/profile_file.h"
#include "traces/workload_file.h"

static const uint32_t held_out_most = 12; /* random mixes of each profile for validation only, at most */

typedef struct inputs {
  uint32_t n_profiles, n_workloads, n_mixes, n_scenes, n_train, first_validated;
  cosrel_profile *profiles, *devices; /* devices: [n_mixes], of the mixes; borrow from profiles */
  cosrel_workload *workloads, *mixes;
  cosrel_scene *scenes;
  json_t *provenance;
} inputs;

static void inputs_close(inputs *in) {
  for (uint32_t i = 0; i < in->n_scenes; i++) cosrel_case_destroy(&in->scenes[i].base);
  for (uint32_t i = 0; i < in->n_profiles; i++) cosrel_profile_clear(&in->profiles[i]);
  for (uint32_t i = 0; i < in->n_workloads; i++) cosrel_workload_clear(&in->workloads[i]);
  free(in->scenes);
  free(in->profiles);
  free(in->devices);
  free(in->workloads);
  free(in->mixes);
  json_decref(in->provenance);
}

/* FNV-1a of a file, to say in a policy what it was trained on. */
static cosrel_status describe_file(const char *path, const char *name, json_t *list, cosrel_error *error) {
  char *bytes, text[24];
  size_t size;
  uint64_t hash = 0xcbf29ce484222325u;
  cosrel_status status = cosrel_file_read(path, COSREL_PROFILE_FILE_MAX, &bytes, &size, error);
  if (status != COSREL_OK) return status;
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
  free(bytes);
  snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
  json_array_append_new(list, json_pack("{s:s,s:s}", "name", name, "fnv1a", text));
  return COSREL_OK;
}

static cosrel_status add_scene(inputs *in, const cosrel_profile *profile, const cosrel_workload *workload,
                               cosrel_error *error) {
  cosrel_scene *scene = &in->scenes[in->n_scenes];
  cosrel_status status = cosrel_case_create(profile, workload, &scene->base, error);
  if (status != COSREL_OK) return status;
  in->n_scenes++;
  return cosrel_bound_solve(&scene->base, &scene->bound, error);
}

/* The models of a profile that the workloads name: a policy is trained on no others. */
static uint64_t named_models(const inputs *in, const cosrel_profile *profile) {
  uint64_t set = 0;
  for (uint32_t w = 0; w < in->n_workloads; w++)
    for (uint32_t s = 0; s < in->workloads[w].n_streams; s++) {
      int model = cosrel_profile_find_model(profile, in->workloads[w].streams[s].model);
      if (model >= 0) set |= (uint64_t)1 << model;
    }
  return set;
}

/* Random mixes, every second one on a random device. One whose weights fit nowhere (COSREL_LIMIT) is left out. */
static cosrel_status add_mixes(inputs *in, uint32_t p, uint32_t n, uint64_t key, cosrel_error *error) {
  const cosrel_profile *profile = &in->profiles[p];
  uint64_t models = named_models(in, profile);
  cosrel_status status = COSREL_OK;
  for (uint32_t i = 0; i < n && models != 0 && status == COSREL_OK; i++) {
    cosrel_workload *mix = &in->mixes[in->n_mixes];
    cosrel_profile *device = &in->devices[in->n_mixes++];
    uint64_t own = cosrel_rng_key(key, i);
    if (i % 2 == 0) {
      cosrel_mix_draw(profile, models, own, mix);
      status = add_scene(in, profile, mix, error);
      if (status == COSREL_LIMIT) status = COSREL_OK;
      continue;
    }
    status = cosrel_device_draw(profile, own, device, error);
    if (status != COSREL_OK) return status;
    cosrel_mix_draw(device, models, own, mix);
    status = add_scene(in, device, mix, error);
    if (status == COSREL_LIMIT) status = COSREL_OK;
    cosrel_device_clear_costs(device); /* the scene's tables have them */
  }
  return status;
}

static cosrel_status inputs_open(const cosrel_strings *profiles, const cosrel_strings *workloads,
                                 const cosrel_memory_options *memory, uint32_t n_mixes, uint64_t seed, inputs *in,
                                 cosrel_error *error) {
  uint32_t held_out = n_mixes < held_out_most ? n_mixes : held_out_most;
  memset(in, 0, sizeof *in);
  in->profiles = calloc(profiles->n, sizeof *in->profiles);
  in->workloads = calloc(workloads->n, sizeof *in->workloads);
  in->mixes = calloc((size_t)profiles->n * (n_mixes + held_out) + 1, sizeof *in->mixes);
  in->devices = calloc((size_t)profiles->n * (n_mixes + held_out) + 1, sizeof *in->devices);
  in->scenes = calloc((size_t)profiles->n * (workloads->n + n_mixes + held_out), sizeof *in->scenes);
  in->provenance = json_pack("{s:[],s:[]}", "profiles", "workloads");
  if (!in->profiles || !in->workloads || !in->mixes || !in->devices || !in->scenes || !in->provenance)
    return cosrel_fail(error, COSREL_NOMEM, "no memory for the inputs");
  cosrel_status status;
  for (uint32_t i = 0; i < profiles->n; i++) {
    cosrel_profile *profile = &in->profiles[i];
    status = cosrel_profile_read(profiles->items[i], profile, error);
    if (status != COSREL_OK) return status;
    in->n_profiles++;
    status = describe_file(profiles->items[i], profile->name, json_object_get(in->provenance, "profiles"), error);
    if (status != COSREL_OK) return status;
  }
  COSREL_TRY(cosrel_memory_apply(memory, in->profiles, in->n_profiles, error));
  for (uint32_t i = 0; i < workloads->n; i++) {
    cosrel_workload *workload = &in->workloads[i];
    status = cosrel_workload_read(workloads->items[i], workload, error);
    if (status != COSREL_OK) return status;
    in->n_workloads++;
    status = describe_file(workloads->items[i], workload->name, json_object_get(in->provenance, "workloads"), error);
    if (status != COSREL_OK) return status;
  }
  /* Scenes in the order mixes, files, held-out mixes: training takes the first two, validation the last two. */
  for (uint32_t p = 0; p < in->n_profiles && status == COSREL_OK; p++)
    status = add_mixes(in, p, n_mixes, cosrel_rng_key(cosrel_rng_key(seed, 0x6d6978u), p), error);
  in->first_validated = in->n_scenes;
  for (uint32_t p = 0; p < in->n_profiles; p++)
    for (uint32_t w = 0; w < in->n_workloads && status == COSREL_OK; w++)
      status = add_scene(in, &in->profiles[p], &in->workloads[w], error);
  in->n_train = in->n_scenes;
  for (uint32_t p = 0; p < in->n_profiles && status == COSREL_OK; p++)
    status = add_mixes(in, p, held_out, cosrel_rng_key(cosrel_rng_key(seed, 0x686c64u), p), error);
  return status;
}

/* ---- curves ------------------------------------------------------------------------------------------------------ */

typedef struct curves {
  FILE *csv;
  cosrel_tensorboard tb;
} curves;

static const char csv_header[] =
    "iteration,decisions,utility,score,best_score,gain,most,policy_loss,entropy,"
    "gradient_norm,rate\n";

/* Keeps the rows of a CSV up to an iteration: those after it come again. */
static cosrel_status trim_csv(const char *path, uint64_t iteration, cosrel_error *error) {
  char *text = NULL;
  size_t size = 0;
  if (access(path, F_OK) != 0) return COSREL_OK;
  cosrel_status status = cosrel_file_read(path, (size_t)64 << 20, &text, &size, error);
  if (status != COSREL_OK) return status;
  FILE *file = fopen(path, "w");
  if (file == NULL) status = cosrel_fail(error, COSREL_IO, "%s: %s", path, strerror(errno));
  for (char *line = text; file != NULL && line != NULL && *line != '\0';) {
    char *end = strchr(line, '\n');
    unsigned long long number = strtoull(line, NULL, 10);
    if (end != NULL && (line == text || number <= iteration)) fwrite(line, 1, (size_t)(end - line + 1), file);
    line = end == NULL ? NULL : end + 1;
  }
  if (file != NULL && fclose(file) != 0) status = cosrel_fail(error, COSREL_IO, "%s: %s", path, strerror(errno));
  free(text);
  return status;
}

static cosrel_status curves_open(const char *folder, uint64_t iteration, curves *out, cosrel_error *error) {
  char path[4096];
  memset(out, 0, sizeof *out);
  if (folder == NULL) return COSREL_OK;
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return cosrel_fail(error, COSREL_IO, "%s: %s", folder, strerror(errno));
  snprintf(path, sizeof path, "%s/train.csv", folder);
  if (iteration == 0) remove(path);
  cosrel_status status = trim_csv(path, iteration, error);
  if (status != COSREL_OK) return status;
  out->csv = fopen(path, "a");
  if (out->csv == NULL) return cosrel_fail(error, COSREL_IO, "%s: %s", path, strerror(errno));
  if (iteration == 0) fputs(csv_header, out->csv);
  snprintf(path, sizeof path, "%s/events.out.tfevents.cosrel", folder);
  if (iteration == 0) remove(path);
  return cosrel_tensorboard_open(path, &out->tb, error);
}

static void curves_add(curves *out, const cosrel_train_report *r, double decisions_per_s) {
  if (out->csv == NULL) return;
  fprintf(out->csv, "%llu,%llu,%.6g,", (unsigned long long)r->iteration, (unsigned long long)r->decisions, r->utility);
  if (r->validated) fprintf(out->csv, "%.6g,%.6g", r->score, r->best_score);
  if (!r->validated) fputs(",", out->csv);
  fprintf(out->csv, ",%.6g,%.6g,%.6g,%.6g,%.6g,%.6g\n", r->gain, r->most, r->policy_loss, r->entropy, r->gradient_norm,
          r->rate);
  const struct {
    const char *tag;
    double value;
  } scalars[] = {
      {"charts/episodic_return", r->utility}, {"charts/learning_rate", r->rate},
      {"charts/SPS", decisions_per_s},        {"charts/gain", r->gain},
      {"losses/policy_loss", r->policy_loss}, {"losses/entropy", r->entropy},
      {"charts/validation_u", r->score},
  };
  double now = (double)time(NULL);
  for (size_t i = 0; i < sizeof scalars / sizeof *scalars - (r->validated ? 0 : 1); i++)
    cosrel_tensorboard_scalar(&out->tb, now, (int64_t)r->decisions, scalars[i].tag, (float)scalars[i].value);
  fflush(out->csv);
  cosrel_tensorboard_flush(&out->tb);
}

static cosrel_status curves_close(curves *out, const char *folder, cosrel_error *error) {
  int failed = 0;
  if (out->csv != NULL) failed = ferror(out->csv) | fclose(out->csv);
  failed |= cosrel_tensorboard_close(&out->tb) != COSREL_OK;
  out->csv = NULL;
  return failed ? cosrel_fail(error, COSREL_IO, "%s: the training curves could not be written", folder) : COSREL_OK;
}

/* ---- the run ----------------------------------------------------------------------------------------------------- */

typedef struct run {
  const char *policy, *logdir;
  char checkpoint[4096];
  bool resume, quiet;
  double checkpoint_s;
} run;

static cosrel_status write_policy(const cosrel_trainer *trainer, const char *path, const char *provenance,
                                  cosrel_error *error) {
  cosrel_agent *agent = calloc(1, sizeof *agent);
  if (agent == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for the policy");
  cosrel_trainer_best(trainer, agent);
  cosrel_status status = COSREL_OK;
  if (strlen(provenance) >= sizeof agent->provenance)
    status = cosrel_fail(error, COSREL_LIMIT, "too many profiles and workloads for a policy's provenance");
  else
    memcpy(agent->provenance, provenance, strlen(provenance) + 1);
  if (status == COSREL_OK) status = cosrel_agent_write(path, agent, error);
  free(agent);
  return status;
}

/* Fails now rather than after the training when the policy cannot be written where it is wanted. */
static cosrel_status try_output(const char *path, cosrel_error *error) {
  cosrel_atomic file;
  cosrel_status status = cosrel_atomic_begin(path, &file, error);
  if (status == COSREL_OK) cosrel_atomic_abort(&file);
  return status;
}

static cosrel_status train(const run *r, cosrel_trainer *trainer, const char *key, cosrel_error *error) {
  cosrel_status status = COSREL_OK;
  uint64_t total = cosrel_trainer_iterations(trainer), start = 0;
  if (r->resume) {
    status = cosrel_trainer_restore(trainer, r->checkpoint, key, error);
    if (status != COSREL_OK) return status;
  }
  cosrel_train_report report = {0};
  start = cosrel_trainer_iteration(trainer);
  if (r->resume && !r->quiet)
    fprintf(stderr, "resumed %s at iteration %llu of %llu\n", r->checkpoint, (unsigned long long)start,
            (unsigned long long)total);
  curves log;
  status = curves_open(r->logdir, start, &log, error);
  cosrel_progress progress = cosrel_progress_begin("iterations", total);
  double began = cosrel_seconds(), saved = began;
  while (status == COSREL_OK && !cosrel_trainer_done(trainer)) {
    status = cosrel_trainer_iterate(trainer, &report, error);
    if (status != COSREL_OK) break;
    uint64_t batch = report.decisions / report.iteration;
    double now = cosrel_seconds(), rate = (double)((report.iteration - start) * batch) / (now - began);
    curves_add(&log, &report, rate);
    if (!r->quiet) {
      char note[96];
      snprintf(note, sizeof note, "%.0f decisions/s, validation: utility %.4f", rate, fmax(report.best_score, 0));
      cosrel_progress_update(&progress, report.iteration, note);
    }
    bool stop = cosrel_interrupted();
    if (stop || now - saved >= r->checkpoint_s) {
      status = cosrel_trainer_save(trainer, r->checkpoint, key, error);
      saved = now;
    }
    if (stop && status == COSREL_OK && !cosrel_trainer_done(trainer))
      status = cosrel_fail(error, COSREL_INTERRUPTED, "stopped at iteration %llu of %llu; --resume goes on from %s",
                           (unsigned long long)report.iteration, (unsigned long long)total, r->checkpoint);
  }
  if (!r->quiet) cosrel_progress_end(&progress, cosrel_trainer_iteration(trainer));
  cosrel_status closed = curves_close(&log, r->logdir, status == COSREL_OK ? error : NULL);
  if (status == COSREL_OK) status = closed;
  if (status == COSREL_OK) status = write_policy(trainer, r->policy, key, error);
  if (status == COSREL_OK) remove(r->checkpoint);
  if (status == COSREL_OK && !r->quiet)
    fprintf(stderr, "%s: trained on %llu decisions, validation: utility %.4f\n", r->policy,
            (unsigned long long)report.decisions, report.best_score);
  return status;
}

/* Notes the specs of an option, if there are any, in what names a training. */
static void describe_specs(const char *name, const cosrel_strings *specs, json_t *provenance) {
  for (uint32_t i = 0; i < specs->n; i++) {
    if (i == 0) json_object_set_new(provenance, name, json_array());
    json_array_append_new(json_object_get(provenance, name), json_string(specs->items[i]));
  }
}

/* An episode goes on until its policy has had its decisions, so a processor must not be away for good. */
static cosrel_status read_faults(const cosrel_strings *specs, cosrel_injection_plan *out, cosrel_error *error) {
  cosrel_status status = cosrel_faults_read(specs, out, error);
  for (uint32_t i = 0; status == COSREL_OK && i < out->n; i++)
    if (out->items[i].until == COSREL_TIME_NEVER)
      status = cosrel_fail(error, COSREL_INVALID,
                           "--fault %s: expected for=S, p=X or every=N, or nothing can be learnt", specs->items[i]);
  return status;
}

int cosrel_cmd_train(int argc, char **argv) {
  cosrel_strings profiles = {0}, workloads = {0}, faults = {0};
  cosrel_memory_options memory = {0};
  cosrel_train_options o = cosrel_train_defaults();
  run r = {.checkpoint_s = 10};
  uint64_t threads = 0, n_mixes = 80, n_envs = o.n_envs, n_lessons = o.n_lessons, epochs = o.epochs,
           minibatch = o.minibatch;
  const cosrel_option options[] = {
      {"profile", COSREL_OPTION_FILES, &profiles, "P", "device profiles to train on", 0, 0, true},
      {"workload", COSREL_OPTION_FILES, &workloads, "W", "workloads to train on, each on every profile", 0, 0, true},
      {"o", COSREL_OPTION_TEXT, &r.policy, "POLICY", "policy file to write", 0, 0, true},
      {"mixes", COSREL_OPTION_COUNT, &n_mixes, "N", "random mixes of each profile's models to train on as well (80)", 0,
       10000, false},
      {"decisions", COSREL_OPTION_COUNT, &o.decisions, "N", "decisions to learn from (600000)", 1, 1e12, false},
      {"seed", COSREL_OPTION_COUNT, &o.seed, "N", "keys every random draw (1)", 0, 1e18, false},
      {"threads", COSREL_OPTION_COUNT, &threads, "N", "threads; any number gives the same policy (all processors)", 1,
       256, false},
      {"logdir", COSREL_OPTION_TEXT, &r.logdir, "D", "folder for train.csv and a TensorBoard event file", 0, 0, false},
      {"resume", COSREL_OPTION_FLAG, &r.resume, NULL, "go on from POLICY.checkpoint", 0, 0, false},
      {"checkpoint-s", COSREL_OPTION_NUMBER, &r.checkpoint_s, "S", "seconds between checkpoints (10)", 0, 1e6, false},
      {"envs", COSREL_OPTION_COUNT, &n_envs, "N", "environments (64)", 1, 4096, false},
      {"steps", COSREL_OPTION_COUNT, &n_lessons, "N", "decisions that each environment adds to an iteration (64)", 2,
       65536, false},
      {"epochs", COSREL_OPTION_COUNT, &epochs, "N", "passes over an iteration's decisions (4)", 1, 100, false},
      {"minibatch", COSREL_OPTION_COUNT, &minibatch, "N", "decisions of an Adam step (512)", 8, COSREL_MINIBATCH_MAX,
       false},
      {"rate", COSREL_OPTION_NUMBER, &o.rate, "X", "learning rate at the start, decaying to 0 (0.001)", 1e-9, 1, false},
      {"entropy", COSREL_OPTION_NUMBER, &o.entropy, "X", "weight of the entropy bonus, decaying to 0 (0.03)", 0, 1,
       false},
      {"rare", COSREL_OPTION_NUMBER, &o.taste.rare, "X",
       "0 counts every request alike (U), 1 every stream (ANTT) (0.4)", 0, 1, false},
      {"late", COSREL_OPTION_NUMBER, &o.taste.late, "X", "0 minds no delay beyond utility 0, 1 every one alike (0.5)",
       0, 1, false},
      COSREL_MEMORY_OPTION_LINES(memory),
      {"fault", COSREL_OPTION_FILES, &faults, "SPEC...", COSREL_FAULT_HELP, 0, 0, false},
      {"quiet", COSREL_OPTION_FLAG, &r.quiet, NULL, "no progress", 0, 0, false},
      {0},
  };
  const cosrel_usage usage = {
      "train",
      "--profile P... --workload W... -o POLICY [options]",
      "Trains a policy on simulated devices by trying every choice, and keeps the best on validation runs.",
      "cosrel train --profile traces/profiles/snapdragon865.json --workload experiments/workloads/train/*.json "
      "-o my.safetensors --logdir runs/my",
      0,
      0};
  cosrel_parse parse = cosrel_options_parse(&usage, options, argc, argv, NULL);
  if (parse != COSREL_PARSE_OK) return cosrel_parse_exit(parse);
  o.threads = (uint32_t)(threads > 0 ? threads : (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
  o.n_envs = (uint32_t)n_envs, o.n_lessons = (uint32_t)n_lessons, o.epochs = (uint32_t)epochs;
  o.minibatch = (uint32_t)minibatch;
  snprintf(r.checkpoint, sizeof r.checkpoint, "%s.checkpoint", r.policy);

  cosrel_error error = {{0}};
  inputs in = {0};
  cosrel_trainer *trainer = NULL;
  char *key = NULL;
  cosrel_interrupt_catch();
  cosrel_status status = read_faults(&faults, &o.curriculum.faults, &error);
  if (status == COSREL_OK) status = try_output(r.policy, &error);
  if (status == COSREL_OK) status = inputs_open(&profiles, &workloads, &memory, (uint32_t)n_mixes, o.seed, &in, &error);
  if (status == COSREL_OK) status = cosrel_injection_check(&o.curriculum.faults, in.profiles, in.n_profiles, &error);
  if (status == COSREL_OK) {
    json_object_set_new(
        in.provenance, "options",
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:f}", "decisions", (json_int_t)o.decisions, "seed",
                  (json_int_t)o.seed, "mixes", (json_int_t)n_mixes, "envs", (json_int_t)n_envs, "steps",
                  (json_int_t)n_lessons, "epochs", (json_int_t)epochs, "minibatch", (json_int_t)minibatch, "rate",
                  o.rate, "entropy", o.entropy, "rare", o.taste.rare, "late", o.taste.late));
    describe_specs("faults", &faults, in.provenance);
    describe_specs("memory", &memory.budgets, in.provenance);
    if (memory.no_prefetch) json_object_set_new(in.provenance, "no_prefetch", json_true());
    key = json_dumps(in.provenance, JSON_COMPACT);
    status = cosrel_trainer_create(in.scenes, in.n_scenes, in.n_train, in.first_validated, &o, &trainer, &error);
  }
  if (status == COSREL_OK) status = train(&r, trainer, key, &error);
  cosrel_trainer_destroy(trainer);
  free(key);
  inputs_close(&in);
  return status == COSREL_OK ? 0 : cosrel_report(status, &error);
}
