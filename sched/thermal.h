/* Temperature and throttling: one heat capacity for the whole device, warmed by all it draws and cooled by the air,
 *
 *     dT/dt = (ambient + R P - T) / tau      R resistance_k_per_w, P state->power_w, tau time_constant_s
 *
 * P is constant between events, so each step is the exact solution T' = T_inf + (T - T_inf) exp(-dt / tau). Every
 * check_ms the governor looks at T: a throttling step comes into force at above_c and is lifted below below_c. With n
 * steps in force no processor runs faster than the cap of step n - 1. The temperature has a clock of its own, so that a
 * look that changes nothing leaves all else as it was, down to the last bit.
 *
 * Not here: several sensors, heat flow inside the device, power that grows with temperature. A profile without a
 * thermal model costs one comparison per event. sched/state.c is the only caller of all but the headroom. */
#ifndef COSREL_SCHED_THERMAL_H
#define COSREL_SCHED_THERMAL_H

#include <stdbool.h>

#include "sched/state.h"

/* Start temperature and what it throttles; next_check NEVER without a thermal model. */
void cosrel_thermal_begin(const cosrel_case *c, cosrel_state *state);

/* From state->temperature_at until `to` the device drew state->power_w. */
void cosrel_thermal_warm(const cosrel_case *c, cosrel_state *state, cosrel_time to);

/* Puts the steps in force that the temperature asks for, and sets the next check. Returns true when caps changed. */
bool cosrel_thermal_check(const cosrel_case *c, cosrel_state *state);

/* How far the next throttling step is: 1 at ambient temperature or without a thermal model, 0 when the step is due or
 * all are in force. */
double cosrel_thermal_headroom(const cosrel_case *c, const cosrel_state *state);

#endif
