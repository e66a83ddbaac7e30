/* Arm NN's backends as processors: device=CpuRef, CpuAcc, GpuAcc, or whatever else its registry lists. fp32.
 *
 * CpuRef is a reference written for clarity: an oracle, not a processor. CpuAcc computes with a pool of threads that
 * Arm Compute keeps once per process, so `cores` binds the thread that calls submit and those that Arm Compute starts
 * while the first network is made ready, and `threads` is a wish that only newer releases of Arm NN take. A unit with
 * an operator that Arm NN or the device lacks is not supported. Tensors are copied in and out of Arm NN by each unit.
 */
#ifndef COSREL_BACKENDS_ARMNN_ARMNN_BACKEND_H
#define COSREL_BACKENDS_ARMNN_ARMNN_BACKEND_H

#include "backends/backend.h"

extern const cosrel_backend_ops cosrel_armnn_backend;

#endif
