/* Which way of a layer is fastest on a device: measured while models are prepared, and kept on disk.
 *
 * Every way of a layer (backends/opencl/layer.h) runs a few times on memory of the tuner's own and is timed by the
 * device's clock. A layer that was measured before, in whatever model, is not measured again. Measuring ends when a
 * model's time is up; layers that are left then get the best guess, and their turn when a model is prepared next.
 *
 * COSREL_TUNE, in the environment, is that time in seconds: 2 without it. With 0 nothing is measured or read from disk:
 * always the best guess, hence the same kernels in every run. */
#ifndef COSREL_BACKENDS_OPENCL_TUNER_H
#define COSREL_BACKENDS_OPENCL_TUNER_H

#include "backends/opencl/layer.h"

typedef struct cosrel_cl_choice {
  char key[COSREL_CL_LAYER_KEY_MAX];
  cosrel_cl_way way;
  cosrel_time time; /* that it took */
} cosrel_cl_choice;

/* One thread at a time. */
struct cosrel_cl_tuner {
  const cosrel_cl_device *device; /* borrowed, as is `programs` */
  cosrel_cl_programs *programs;
  cosrel_cl_choice *choices;
  uint32_t n, capacity;
  uint32_t n_measured;  /* since begin */
  cosrel_time deadline; /* of measuring; -1: off */
  cl_mem memory;
  uint64_t elements; /* of memory */
};
typedef struct cosrel_cl_tuner cosrel_cl_tuner;

/* Reads what is known of the device. What is on disk but not as cosrel_cl_tuner_end writes it counts as nothing. */
void cosrel_cl_tuner_begin(cosrel_cl_tuner *tuner, const cosrel_cl_device *device, cosrel_cl_programs *programs);
/* Writes what was measured; frees everything. A cleared tuner is fine. */
void cosrel_cl_tuner_end(cosrel_cl_tuner *tuner);

cosrel_cl_way cosrel_cl_tuner_choose(cosrel_cl_tuner *tuner, const cosrel_cl_layer *layer);

/* Runs one way once, on memory of the tuner: how long it took, or negative where the device cannot run it. */
cosrel_time cosrel_cl_tuner_time(cosrel_cl_tuner *tuner, const cosrel_cl_layer *layer, const cosrel_cl_way *way);

#endif
