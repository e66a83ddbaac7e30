/* Training curves as a TensorBoard event file: TFRecord framing with masked CRC-32C, one Event message a scalar. */
#ifndef COSREL_AGENT_TENSORBOARD_H
#define COSREL_AGENT_TENSORBOARD_H

#include <stdint.h>
#include <stdio.h>

#include "sched/status.h"

typedef struct cosrel_tensorboard {
  FILE *file;
} cosrel_tensorboard;

/* Opens `path` for appending; a new file gets the version record that readers expect first. */
cosrel_status cosrel_tensorboard_open(const char *path, cosrel_tensorboard *out, cosrel_error *error);
/* wall_time: seconds since 1970. */
void cosrel_tensorboard_scalar(cosrel_tensorboard *tb, double wall_time, int64_t step, const char *tag, float value);
/* Flushes, so that a running training can be watched. */
void cosrel_tensorboard_flush(cosrel_tensorboard *tb);
/* COSREL_IO when something could not be written. */
cosrel_status cosrel_tensorboard_close(cosrel_tensorboard *tb);

#endif
