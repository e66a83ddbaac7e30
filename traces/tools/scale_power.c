/* Writes a profile whose watts are other ones for some processors: do conclusions hang on watts that are assumed?
 *
 *     scale_power PROFILE OUT FACTOR PROCESSOR...
 *
 * Multiplies the busy and idle watts of these processors at every operating point, and calls them assumed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sched/profile.h"
#include "traces/profile_file.h"

static cosrel_status scale(cosrel_profile *profile, double factor, const char *name, cosrel_error *error) {
  int p = cosrel_profile_find_processor(profile, name);
  if (p < 0) return cosrel_fail(error, COSREL_INVALID, "%s has no processor '%s'", profile->name, name);
  cosrel_processor *processor = &profile->processors[p];
  processor->power_origin.tag = COSREL_TAG_ASSUMED;
  for (uint32_t i = 0; i < processor->n_points; i++) {
    processor->points[i].busy_w *= factor;
    processor->points[i].idle_w *= factor;
  }
  return COSREL_OK;
}

int main(int argc, char **argv) {
  if (argc < 5) {
    bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    fprintf(help ? stdout : stderr,
            "usage: scale_power PROFILE OUT FACTOR PROCESSOR...\n"
            "example: scale_power traces/profiles/snapdragon865.json half.json 0.5 gpu dsp\n");
    return help ? 0 : 2;
  }
  char *end, name[COSREL_NAME_MAX];
  double factor = strtod(argv[3], &end);
  cosrel_error error = {""};
  cosrel_profile *profile = calloc(1, sizeof *profile);
  cosrel_status status = COSREL_NOMEM;
  if (profile == NULL) goto done;
  if (end == argv[3] || *end != '\0' || !isfinite(factor) || factor <= 0) {
    status = cosrel_fail(&error, COSREL_INVALID, "expected a factor > 0, got '%s'", argv[3]);
    goto done;
  }
  status = cosrel_profile_read(argv[1], profile, &error);
  for (int i = 4; i < argc && status == COSREL_OK; i++) status = scale(profile, factor, argv[i], &error);
  if (status == COSREL_OK) {
    snprintf(name, sizeof name, "%.40s-watts-x%g", profile->name, factor);
    memcpy(profile->name, name, sizeof profile->name);
    status = cosrel_profile_write(argv[2], profile, &error); /* checks the ranges, too */
  }
done:
  if (status != COSREL_OK)
    fprintf(stderr, "scale_power: %s\n", error.text[0] != '\0' ? error.text : cosrel_status_text(status));
  if (profile != NULL) cosrel_profile_clear(profile);
  free(profile);
  return status == COSREL_OK ? 0 : 2;
}
