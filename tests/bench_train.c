/* How many decisions a second training learns from, on all processors: playing, branching, and the update that follows.
 * Counted are those that are branched, as by --decisions and the progress of `cosrel train`: one in four of those with
 * a choice. The others are taken on the way, set-up and validation are left out. */
#include <glob.h>
#include <unistd.h>

#include "agent/train.h"
#include "experiments/progress.h"
#include "tests/bench.h"

static const double measure_s = 10;

int main(void) {
  const cosrel_strings profile = {1, {BENCH_PROFILE}};
  cosrel_strings workloads = {0};
  cosrel_inputs inputs;
  cosrel_error error = {""};
  glob_t found;
  if (glob("experiments/workloads/train/*.json", 0, NULL, &found) != 0) {
    fprintf(stderr, "no training workloads here: run from the root of the repository\n");
    return 2;
  }
  for (size_t i = 0; i < found.gl_pathc && workloads.n < COSREL_OPTION_ITEMS_MAX; i++)
    workloads.items[workloads.n++] = found.gl_pathv[i];
  bench_check(cosrel_inputs_load(&profile, &workloads, &inputs, &error), &error);
  bench_check(cosrel_inputs_solve(&inputs, &error), &error);
  cosrel_scene *scenes = calloc(workloads.n, sizeof *scenes);
  if (scenes == NULL) return 1;
  for (uint32_t i = 0; i < workloads.n; i++) {
    bench_check(cosrel_case_create(inputs.profiles, &inputs.workloads[i], &scenes[i].base, &error), &error);
    scenes[i].bound = *cosrel_inputs_bound(&inputs, 0, i);
  }

  cosrel_train_options options = cosrel_train_defaults();
  cosrel_trainer *trainer;
  cosrel_train_report report;
  options.threads = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
  options.decisions = (uint64_t)1 << 40; /* no end in sight, hence no last validation either */
  options.validate_every = UINT32_MAX;
  bench_check(cosrel_trainer_create(scenes, workloads.n, workloads.n, 0, &options, &trainer, &error), &error);
  double start = cosrel_seconds(), spent;
  do {
    bench_check(cosrel_trainer_iterate(trainer, &report, &error), &error);
    spent = cosrel_seconds() - start;
  } while (spent < measure_s);

  char more[160];
  snprintf(more, sizeof more,
           "\"threads\": %u, \"environments\": %u, \"epochs\": %u, \"minibatch\": %u, \"workloads\": %u, "
           "\"decisions\": %llu",
           options.threads, options.n_envs, options.epochs, options.minibatch, workloads.n,
           (unsigned long long)report.decisions);
  bench_print("train_decisions_per_s", (double)report.decisions / spent, "1/s", more);

  cosrel_trainer_destroy(trainer);
  for (uint32_t i = 0; i < workloads.n; i++) cosrel_case_destroy(&scenes[i].base);
  free(scenes);
  cosrel_inputs_clear(&inputs);
  globfree(&found);
  return 0;
}
