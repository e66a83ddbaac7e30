/* Writes the bundled profiles from the figures they rest on:
 *
 *     make_profile traces/figures traces/profiles
 *
 * Whole-model times are measured; nobody publishes times of single units. So per processor and precision a measured
 * whole is shared out over the units by weights (traces/apportion.h), where blocks of units were measured within each
 * block, and models that were not measured get what the measured ones predict. traces/figures/README.md says
 * what comes from where and how far off it may be.
 *
 * Options change what is assumed, to see how much hangs on it. The same input gives the same bytes. */
#include <getopt.h>
#include <gsl/gsl_errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traces/profile_file.h"
#include "traces/tools/parts/maker.h"

static const char usage[] =
    "usage: make_profile [options] FIGURES FOLDER [NAME...]\n"
    "Writes FOLDER/NAME.json for each NAME (snapdragon865, snapdragon8gen2, rk3399pro; default: all) from the files "
    "in\n"
    "FIGURES, and prints how far apportioning is off on the blocks that were measured.\n"
    "  --launch-ms P=MS,...       launch cost of processor P, e.g. dsp=3.52\n"
    "  --watts-scale P=X,...      busy and idle watts of P times X, e.g. gpu=0.5,dsp=0.5\n"
    "  --transfer-scale P=X,...   transfers to and from P times X, e.g. gpu=0.1\n"
    "  --quiet                    prints nothing\n"
    "Processors that a device lacks are ignored. What an option sets is tagged `assumed`.\n"
    "example: make_profile traces/figures traces/profiles\n"
    "example: make_profile --watts-scale gpu=0.5,dsp=0.5 traces/figures /tmp snapdragon865\n";

/* "gpu=0.5,dsp=2" */
static bool parse_settings(const char *text, bool zero_is_fine, maker_settings *out) {
  while (*text) {
    maker_setting *item = &out->items[out->n];
    size_t length = strcspn(text, "=");
    char *end;
    if (out->n == MAKER_SETTINGS_MAX || length == 0 || length >= sizeof item->processor || text[length] != '=')
      return false;
    memcpy(item->processor, text, length);
    item->processor[length] = 0;
    item->value = strtod(text + length + 1, &end);
    if (end == text + length + 1 || !(item->value >= 0 && item->value <= 1e6) || (*end != 0 && *end != ',') ||
        (item->value == 0 && !zero_is_fine))
      return false;
    ++out->n;
    text = *end ? end + 1 : end;
  }
  return out->n > 0;
}

static cosrel_status make(const maker_device *device, const maker_options *options, const char *figures,
                          const char *folder, bool print_error, cosrel_error *error) {
  maker *m = malloc(sizeof *m);
  char path[4096];
  if (!m) return COSREL_NOMEM;
  maker_open(m, device, options, figures);
  maker_add_method_error(m, print_error);
  maker_add_processors(m);
  maker_add_models(m);
  maker_add_scales(m);
  maker_add_costs(m);
  maker_add_contention(m);
  maker_add_thermal(m);
  snprintf(path, sizeof path, "%s/%s.json", folder, device->name);
  if (!m->status) m->status = cosrel_profile_check(m->profile, path, &m->error);
  if (!m->status) m->status = cosrel_profile_write(path, m->profile, &m->error);
  cosrel_status status = m->status;
  *error = m->error;
  maker_close(m);
  free(m);
  return status;
}

static bool is_wanted(const char *name, int n, char **wanted) {
  for (int i = 0; i < n; ++i)
    if (strcmp(wanted[i], name) == 0) return true;
  return n == 0;
}

int main(int argc, char **argv) {
  static const struct option long_options[] = {{"launch-ms", required_argument, NULL, 'l'},
                                               {"watts-scale", required_argument, NULL, 'w'},
                                               {"transfer-scale", required_argument, NULL, 't'},
                                               {"quiet", no_argument, NULL, 'q'},
                                               {"help", no_argument, NULL, 'h'},
                                               {NULL, 0, NULL, 0}};
  maker_options options = {0};
  bool quiet = false, good = true;
  for (int c; (c = getopt_long(argc, argv, "h", long_options, NULL)) != -1;) {
    if (c == 'h') {
      fputs(usage, stdout);
      return 0;
    }
    if (c == 'q') quiet = true;
    if (c == 'l') good = good && parse_settings(optarg, true, &options.launch_ms);
    if (c == 'w') good = good && parse_settings(optarg, true, &options.watts_scale);
    if (c == 't') good = good && parse_settings(optarg, false, &options.transfer_scale);
    if (c == '?') good = false;
  }
  if (!good || argc - optind < 2) {
    fputs(usage, stderr);
    return 2;
  }
  const char *figures = argv[optind], *folder = argv[optind + 1];
  char **wanted = argv + optind + 2;
  int n_wanted = argc - optind - 2, n_made = 0;
  cosrel_error error = {0};
  cosrel_status status = COSREL_OK;
  gsl_set_error_handler_off();
  for (int i = 0; i < MAKER_DEVICES && status == COSREL_OK; ++i) {
    if (!is_wanted(maker_devices[i].name, n_wanted, wanted)) continue;
    status = make(&maker_devices[i], &options, figures, folder, !quiet && n_made == 0, &error);
    ++n_made;
  }
  if (status) fprintf(stderr, "make_profile: %s\n", error.text[0] ? error.text : cosrel_status_text(status));
  if (status == COSREL_OK && n_wanted > 0 && n_made != n_wanted) {
    fprintf(stderr, "make_profile: expected names of bundled profiles, see --help\n");
    return 2;
  }
  return status ? 2 : 0;
}
