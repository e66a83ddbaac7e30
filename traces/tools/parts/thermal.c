/* Temperature and throttling of a phone, taken over from another one: thermal.csv says how that one warmed up (see
 * fit_thermal.c), NAME_device.csv what has to be assumed. All of it is therefore tagged `assumed`.
 *
 *   resistance = rise / watts that caused it          ambient = idle temperature - resistance * idle watts
 *
 * The ambient is what the sensor on the board cools towards, the body of a phone in use. Processors with role CPU and
 * GPU get a second, slower point, with busy watts that go with the square of the frequency as in the fit (the vendor's
 * currents of the 865's CPU say 0.38 where the square says 0.37); of accelerators nothing is known, so they stay as
 * they are. */
#include <math.h>

#include "traces/tools/parts/maker.h"

void maker_add_thermal(maker *m) {
  cosrel_profile *profile = m->profile;
  cosrel_thermal *thermal = &profile->thermal;
  if (m->status || !maker_has_figure(m, "thermal_power", "device")) return;
  double rise = maker_figure(m, "temperature_rise", "phone", NULL), idle_w = profile->base_w;
  double speed = maker_rounded(maker_figure(m, "throttled_speed", "phone", NULL), 1e-3);
  for (uint32_t p = 0; p < profile->n_processors; ++p) idle_w += profile->processors[p].points[0].idle_w;
  cosrel_origin origin = {0};
  thermal->resistance_k_per_w = maker_rounded(rise / maker_figure(m, "thermal_power", "device", &origin), 1e-3);
  thermal->ambient_c =
      maker_rounded(maker_figure(m, "idle_temperature", "phone", NULL) - thermal->resistance_k_per_w * idle_w, 0.1);
  thermal->start_c = maker_figure(m, "start_temperature", "device", NULL);
  thermal->time_constant_s = maker_rounded(maker_figure(m, "time_constant", "phone", NULL), 0.1);
  thermal->check_ms = 100;
  thermal->origin = origin;
  thermal->n_steps = 1;
  cosrel_throttle *step = &thermal->steps[0];
  step->above_c = maker_rounded(maker_figure(m, "throttle_above", "phone", &step->origin), 0.1);
  step->below_c = maker_rounded(maker_figure(m, "throttle_below", "phone", NULL), 0.1);
  step->origin.tag = COSREL_TAG_ASSUMED;
  for (uint32_t p = 0; p < profile->n_processors; ++p) {
    cosrel_processor *processor = &profile->processors[p];
    const cosrel_point *top = &processor->points[0];
    if (m->device->processors[p].role == MAKER_NPU) continue;
    processor->points[processor->n_points++] =
        (cosrel_point){.frequency_mhz = maker_rounded(speed * top->frequency_mhz, 0.1),
                       .speed = speed,
                       .busy_w = maker_rounded(speed * speed * top->busy_w, 1e-3),
                       .idle_w = top->idle_w};
    step->cap[p] = 1;
  }
}
