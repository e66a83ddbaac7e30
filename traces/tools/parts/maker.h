/* What make_profile's steps share: the device to be made, the figures it rests on, and the profile as far as it is
 * made.
 *
 * A step that fails notes why in the maker; later steps do nothing then. */
#ifndef COSREL_TRACES_TOOLS_MAKER_H
#define COSREL_TRACES_TOOLS_MAKER_H

#include <stdbool.h>

#include "sched/profile.h"
#include "traces/apportion.h"
#include "traces/csv.h"

/* What a processor is like, whatever its name. */
typedef enum maker_role { MAKER_CPU, MAKER_GPU, MAKER_NPU } maker_role;

typedef struct maker_processor {
  const char *name;
  maker_role role;
  uint32_t precisions; /* bit f: it computes in precision f */
  bool holds_input;    /* measured whole-model times include bringing the model's input there */
} maker_processor;

typedef struct maker_device {
  const char *name; /* of the profile, and of its figures: NAME.csv, NAME_device.csv */
  const char *soc, *runtime;
  uint32_t n_processors, host;
  maker_processor processors[4];
  const char *extra_model; /* beside the zoo; or NULL */
  bool blocks;             /* there are NAME_blocks.csv, NAME_points.csv and NAME_fits.csv as well */
} maker_device;

enum { MAKER_DEVICES = 3, MAKER_MODELS_MAX = 32 };
extern const maker_device maker_devices[MAKER_DEVICES];

/* What a user changes to see how much hangs on it; per processor name. */
typedef struct maker_setting {
  char processor[16];
  double value;
} maker_setting;
enum { MAKER_SETTINGS_MAX = 8 };
typedef struct maker_settings {
  maker_setting items[MAKER_SETTINGS_MAX];
  uint32_t n;
} maker_settings;
typedef struct maker_options {
  maker_settings launch_ms, watts_scale, transfer_scale;
} maker_options;

/* ns per unit of weight of a (model, processor, precision); 0: not known yet. */
typedef struct maker_scale {
  double s;
  bool measured; /* from that whole model, measured there (or with one thread) */
  cosrel_origin origin;
} maker_scale;

typedef struct maker {
  const maker_device *device;
  const maker_options *options;
  cosrel_csv models, device_figures, fits, points; /* of the device */
  cosrel_csv efficiency, interaction, thermal;     /* of other devices, for all */
  cosrel_csv reference;                            /* snapdragon865.csv: precisions and threads of a phone's CPU */
  cosrel_csv blocks;                               /* rk3399pro_blocks.csv */
  cosrel_rates rates[COSREL_PROCESSORS_MAX];
  double speed[COSREL_PROCESSORS_MAX][COSREL_PRECISION_COUNT]; /* time of a MAC over that of one in fp32 */
  double width[COSREL_PROCESSORS_MAX][COSREL_PRECISION_COUNT]; /* bytes of an element in memory */
  double overhead_ns[COSREL_PROCESSORS_MAX];
  double model_cv[COSREL_PROCESSORS_MAX]; /* spread of whole-model times */
  maker_scale scales[MAKER_MODELS_MAX][COSREL_PROCESSORS_MAX][COSREL_PRECISION_COUNT];
  /* [n_units] or NULL: what a weight is multiplied with so that measured blocks come out as measured; owned. */
  double *factor[MAKER_MODELS_MAX][COSREL_PROCESSORS_MAX];
  bool *alone[MAKER_MODELS_MAX]; /* [n_units] or NULL: the unit is a block of its own; owned */
  cosrel_profile *profile;
  cosrel_error error;
  cosrel_status status;
} maker;

/* Files are read from `folder`. The maker keeps pointers to device and options. */
void maker_open(maker *m, const maker_device *device, const maker_options *options, const char *folder);
void maker_close(maker *m);

/* The steps, in their order. */
void maker_add_method_error(maker *m, bool print); /* method.c: how far apportioning is off, on measured blocks */
void maker_add_processors(maker *m);               /* hardware.c: launches, power, links */
void maker_add_models(maker *m);                   /* scales.c: models, rates, whole-model times to scales */
void maker_add_scales(maker *m);
void maker_add_costs(maker *m); /* costs.c: costs of units, contention */
void maker_add_contention(maker *m);
void maker_add_thermal(maker *m); /* thermal.c: temperature, throttling, slower points */

/* ---- small tools ---- */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void
maker_fail(maker *m, cosrel_status status, const char *format, ...);
/* Index of a source line, added when new. */
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
uint16_t
maker_source(maker *m, const char *format, ...);
cosrel_origin maker_origin(cosrel_tag tag, uint16_t source);
/* A value of the device's own figures, else of what is fitted for all; times are in ns whatever their unit there. */
double maker_figure(maker *m, const char *quantity, const char *of, cosrel_origin *origin);
bool maker_has_figure(const maker *m, const char *quantity, const char *of);
/* A user's setting for a processor, or `otherwise`. */
double maker_setting_of(const maker_settings *settings, const char *processor, double otherwise);
/* First processor with that role. */
uint32_t maker_find_role(const maker *m, maker_role role);
bool maker_runs(const maker *m, uint32_t p, int precision);
double maker_median(double *values, size_t n); /* sorts them */
/* Shorter numbers in the file, and no last digits that depend on the compiler. */
double maker_rounded(double value, double step);
/* Weight of a unit, and of a whole model (traces/apportion.h). */
double maker_unit_weight(const maker *m, const cosrel_unit *unit, uint32_t p, int precision, double *beta);
double maker_model_weight(const maker *m, uint32_t k, uint32_t p, int precision);

#endif
