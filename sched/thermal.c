#include "sched/thermal.h"

#include <math.h>
#include <string.h>

void cosrel_thermal_begin(const cosrel_case *c, cosrel_state *state) {
  const cosrel_thermal *thermal = &c->profile->thermal;
  state->next_check = COSREL_TIME_NEVER;
  if (thermal->n_steps == 0) return;
  state->temperature_c = thermal->start_c;
  cosrel_thermal_check(c, state);
}

void cosrel_thermal_warm(const cosrel_case *c, cosrel_state *state, cosrel_time to) {
  const cosrel_thermal *thermal = &c->profile->thermal;
  double dt = cosrel_time_s(to - state->temperature_at);
  double steady = thermal->ambient_c + thermal->resistance_k_per_w * state->power_w;
  state->temperature_c += (steady - state->temperature_c) * -expm1(-dt / thermal->time_constant_s);
  state->temperature_at = to;
}

bool cosrel_thermal_check(const cosrel_case *c, cosrel_state *state) {
  const cosrel_thermal *thermal = &c->profile->thermal;
  cosrel_time period = (cosrel_time)(thermal->check_ms * 1e6);
  state->next_check = (state->temperature_at / period + 1) * period;
  uint8_t before = state->throttle;
  while (state->throttle < thermal->n_steps && state->temperature_c >= thermal->steps[state->throttle].above_c)
    state->throttle++;
  while (state->throttle > 0 && state->temperature_c < thermal->steps[state->throttle - 1].below_c) state->throttle--;
  if (state->throttle == before) return false;
  if (state->throttle > 0)
    memcpy(state->cap, thermal->steps[state->throttle - 1].cap, sizeof state->cap);
  else
    memset(state->cap, 0, sizeof state->cap);
  return true;
}

double cosrel_thermal_headroom(const cosrel_case *c, const cosrel_state *state) {
  const cosrel_thermal *thermal = &c->profile->thermal;
  if (thermal->n_steps == 0) return 1;
  if (state->throttle == thermal->n_steps) return 0;
  double next = thermal->steps[state->throttle].above_c;
  if (state->temperature_c >= next || thermal->ambient_c >= next) return 0;
  return fmin(1, (next - state->temperature_c) / (next - thermal->ambient_c));
}
