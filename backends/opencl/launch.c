#include "backends/opencl/launch.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

cosrel_cl_launch cosrel_cl_launch_of(const char *source, const char *kernel) {
  return (cosrel_cl_launch){.source = source, .kernel = kernel};
}

void cosrel_cl_define(cosrel_cl_launch *launch, const char *name, int32_t value) {
  size_t used = strlen(launch->options);
  int n = snprintf(launch->options + used, sizeof launch->options - used, " -D%s=%d", name, (int)value);
  if (n < 0 || (size_t)n >= sizeof launch->options - used) launch->too_many = true;
}

static void push(cosrel_cl_launch *launch, cosrel_cl_arg arg) {
  if (launch->n_args == COSREL_CL_ARGS_MAX) {
    launch->too_many = true;
  } else {
    launch->args[launch->n_args++] = arg;
  }
}

void cosrel_cl_push_in(cosrel_cl_launch *launch, cosrel_cl_ref ref) {
  push(launch, (cosrel_cl_arg){.kind = COSREL_CL_ARG_IN, .ref = ref});
}

void cosrel_cl_push_out(cosrel_cl_launch *launch, cosrel_cl_ref ref) {
  push(launch, (cosrel_cl_arg){.kind = COSREL_CL_ARG_OUT, .ref = ref});
}

void cosrel_cl_push_int(cosrel_cl_launch *launch, int64_t value) {
  if (value < INT_MIN || value > INT_MAX) launch->too_many = true;
  push(launch, (cosrel_cl_arg){.kind = COSREL_CL_ARG_INT, .i = (cl_int)value});
}

void cosrel_cl_push_float(cosrel_cl_launch *launch, float value) {
  push(launch, (cosrel_cl_arg){.kind = COSREL_CL_ARG_FLOAT, .f = value});
}

void cosrel_cl_push_local(cosrel_cl_launch *launch, size_t bytes) {
  push(launch, (cosrel_cl_arg){.kind = COSREL_CL_ARG_LOCAL, .local_bytes = bytes});
}

void cosrel_cl_size(cosrel_cl_launch *launch, size_t x, size_t y, size_t z, size_t local_x, size_t local_y,
                    size_t local_z) {
  const size_t items[3] = {x, y, z}, local[3] = {local_x, local_y, local_z};
  for (int i = 0; i < 3; i++) {
    launch->local[i] = local[i];
    launch->global[i] = (items[i] + local[i] - 1) / local[i] * local[i];
  }
}

/* ---- Making ---- */

static cosrel_status set_args(cosrel_cl_launch *launch, const cosrel_cl_api *api, const cosrel_cl_buffers *buffers,
                              cosrel_error *error) {
  cl_uint at = 0;
  cl_int code = CL_SUCCESS;
  for (uint32_t i = 0; i < launch->n_args && code == CL_SUCCESS; i++) {
    const cosrel_cl_arg *arg = &launch->args[i];
    if (arg->kind == COSREL_CL_ARG_INT) code = api->SetKernelArg(launch->object, at++, sizeof arg->i, &arg->i);
    if (arg->kind == COSREL_CL_ARG_FLOAT) code = api->SetKernelArg(launch->object, at++, sizeof arg->f, &arg->f);
    if (arg->kind == COSREL_CL_ARG_LOCAL) code = api->SetKernelArg(launch->object, at++, arg->local_bytes, NULL);
    if (arg->kind != COSREL_CL_ARG_IN && arg->kind != COSREL_CL_ARG_OUT) continue;
    if (arg->ref.offset < 0 || arg->ref.offset > INT_MAX)
      return cosrel_fail(error, COSREL_UNSUPPORTED, "%s: expected tensors in the first 8 GiB", launch->kernel);
    if (arg->ref.base == COSREL_CL_ARENA) {
      if (launch->n_arena_args == sizeof launch->arena_args / sizeof *launch->arena_args)
        return cosrel_fail(error, COSREL_INTERNAL, "%s: too many tensors", launch->kernel);
      launch->arena_args[launch->n_arena_args++] = at++;
    } else {
      const cl_mem *memory =
          arg->ref.base == COSREL_CL_SCRATCH ? &buffers->scratch : &buffers->constants[arg->ref.constant];
      code = api->SetKernelArg(launch->object, at++, sizeof *memory, memory);
    }
    cl_int offset = (cl_int)arg->ref.offset;
    if (code == CL_SUCCESS) code = api->SetKernelArg(launch->object, at++, sizeof offset, &offset);
  }
  if (code == CL_SUCCESS) return COSREL_OK;
  return cosrel_fail(error, cosrel_cl_status(code), "kernels/%s.cl: %s, argument %u: %s", launch->source,
                     launch->kernel, (unsigned)(at - 1), cosrel_cl_code_name(code));
}

static cosrel_status check_size(const cosrel_cl_launch *launch, const cosrel_cl_device *device, cosrel_error *error) {
  size_t most = device->group_max, group = 1;
  device->api.GetKernelWorkGroupInfo(launch->object, device->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most, NULL);
  bool fits = true;
  for (int i = 0; i < 3; i++) {
    group *= launch->local[i];
    fits = fits && launch->local[i] > 0 && launch->global[i] > 0 && launch->local[i] <= device->item_max[i];
  }
  if (fits && group <= most) return COSREL_OK;
  return cosrel_fail(error, COSREL_UNSUPPORTED,
                     "kernels/%s.cl: %s: %s takes groups of at most %zu, not %zu x %zu x %zu", launch->source,
                     launch->kernel, device->name, most, launch->local[0], launch->local[1], launch->local[2]);
}

cosrel_status cosrel_cl_launch_make(cosrel_cl_launch *launch, cosrel_cl_programs *programs,
                                    const cosrel_cl_buffers *buffers, cosrel_error *error) {
  if (launch->too_many)
    return cosrel_fail(error, COSREL_INTERNAL, "%s: too many or too large arguments", launch->kernel);
  cosrel_status status =
      cosrel_cl_programs_kernel(programs, launch->source, launch->options, launch->kernel, &launch->object, error);
  launch->n_arena_args = 0;
  if (status == COSREL_OK) status = set_args(launch, &programs->device->api, buffers, error);
  if (status == COSREL_OK) status = check_size(launch, programs->device, error);
  if (status != COSREL_OK) cosrel_cl_launch_destroy(programs->device, launch);
  return status;
}

void cosrel_cl_launch_destroy(const cosrel_cl_device *device, cosrel_cl_launch *launch) {
  if (launch->object != NULL) device->api.ReleaseKernel(launch->object);
  launch->object = NULL;
}

/* ---- Running ---- */

cl_int cosrel_cl_launch_enqueue(const cosrel_cl_device *device, cosrel_cl_launch *launch, cl_mem arena,
                                cl_event *event) {
  const cosrel_cl_api *api = &device->api;
  for (uint32_t i = 0; i < launch->n_arena_args; i++) {
    cl_int code = api->SetKernelArg(launch->object, launch->arena_args[i], sizeof arena, &arena);
    if (code != CL_SUCCESS) return code;
  }
  return api->EnqueueNDRangeKernel(device->compute, launch->object, 3, NULL, launch->global, launch->local, 0, NULL,
                                   event);
}

cosrel_time cosrel_cl_launch_time(const cosrel_cl_device *device, cosrel_cl_launch *launch, cl_mem arena,
                                  uint32_t times) {
  const cosrel_cl_api *api = &device->api;
  cosrel_time best = -1;
  for (uint32_t i = 0; i < times; i++) {
    cl_event event = NULL;
    cl_ulong start = 0, end = 0;
    if (cosrel_cl_launch_enqueue(device, launch, arena, &event) != CL_SUCCESS) return -1;
    cl_int code = api->WaitForEvents(1, &event);
    if (code == CL_SUCCESS)
      code = api->GetEventProfilingInfo(event, CL_PROFILING_COMMAND_START, sizeof start, &start, NULL);
    if (code == CL_SUCCESS) code = api->GetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL);
    api->ReleaseEvent(event);
    if (code != CL_SUCCESS) return -1;
    cosrel_time time = (cosrel_time)(end - start);
    if (best < 0 || time < best) best = time;
  }
  return best;
}
