/* Progress of long work on stderr: a bar on a terminal, otherwise a plain line every few seconds. SIGINT asks the work
 * to end; what was done is kept. */
#ifndef COSREL_EXPERIMENTS_PROGRESS_H
#define COSREL_EXPERIMENTS_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct cosrel_progress {
  const char *what; /* what is counted: "cells" */
  uint64_t total;
  bool terminal;
  double started, shown; /* s, monotonic */
} cosrel_progress;

cosrel_progress cosrel_progress_begin(const char *what, uint64_t total);
/* `note` may be NULL. Cheap to call often; one thread at a time. */
void cosrel_progress_update(cosrel_progress *progress, uint64_t done, const char *note);
void cosrel_progress_end(cosrel_progress *progress, uint64_t done);

/* From now on SIGINT only sets a flag; a second one kills. */
void cosrel_interrupt_catch(void);
bool cosrel_interrupted(void);

/* Seconds of a clock that never goes back. */
double cosrel_seconds(void);

#endif
