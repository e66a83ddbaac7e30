/* The bundled profile of the Snapdragon 865: its latencies are in a sane order. test_profile_bundled.c has what holds
 * for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "sched/profile.h"
#include "traces/profile_file.h"

#define PROFILE "traces/profiles/snapdragon865.json"

static cosrel_profile profile;

static int load(void **state) {
  cosrel_error error = {""};
  (void)state;
  if (cosrel_profile_read(PROFILE, &profile, &error) == COSREL_OK) return 0;
  print_error("%s\n", error.text);
  return -1;
}

static int unload(void **state) {
  (void)state;
  cosrel_profile_clear(&profile);
  return 0;
}

/* Whole model as one segment on one processor, ms; below 0: not possible. */
static double whole_ms(const char *model, const char *processor, cosrel_precision precision) {
  int k = cosrel_profile_find_model(&profile, model), p = cosrel_profile_find_processor(&profile, processor);
  assert_true(k >= 0 && p >= 0);
  double sum = profile.processors[p].launch_ns;
  for (uint32_t u = 0; u < profile.models[k].model.n_units; ++u) {
    double mean = cosrel_profile_cost(&profile, (uint32_t)k, u, (uint32_t)p, precision)->mean_ns;
    if (mean < 0) return -1;
    sum += mean;
  }
  return sum * 1e-6;
}

static void latencies_are_in_a_sane_order(void **state) {
  (void)state;
  for (uint32_t k = 0; k < profile.n_models; ++k) {
    const char *name = profile.models[k].model.name;
    for (int p = 0; p < 2; ++p) {
      const char *processor = p ? "gpu" : "cpu";
      assert_true(whole_ms(name, processor, COSREL_FP16) > 0);
      assert_true(whole_ms(name, processor, COSREL_FP16) < whole_ms(name, processor, COSREL_FP32));
    }
    assert_true(whole_ms(name, "gpu", COSREL_INT8) <= whole_ms(name, "gpu", COSREL_FP16));
    assert_true(whole_ms(name, "dsp", COSREL_FP32) < 0 && whole_ms(name, "dsp", COSREL_FP16) < 0);
  }
  /* Also where both are fitted. */
  static const char *const heavier[][2] = {{"deeplabv3_plus_mobilenet", "inception_v3"},
                                           {"yolov3", "yolov3_tiny"},
                                           {"vgg16", "alexnet"},
                                           {"squeezenet1_0", "squeezenet1_1"},
                                           {"mobilenet_v2", "shufflenet_v2"}};
  for (size_t i = 0; i < sizeof heavier / sizeof *heavier; ++i)
    for (int p = 0; p < 3; ++p)
      assert_true(whole_ms(heavier[i][0], profile.processors[p].name, COSREL_INT8) >
                  whole_ms(heavier[i][1], profile.processors[p].name, COSREL_INT8));
  /* MobileNetV1 was not measured in 8 bits: between a smaller and a larger model where those are regular, near the
   * figure for an unnamed accelerator of that phone on the dsp. */
  for (int p = 0; p < 2; ++p) {
    double ms = whole_ms("mobilenet_v1", p ? "gpu" : "cpu", COSREL_INT8);
    assert_true(ms > whole_ms("squeezenet1_1", p ? "gpu" : "cpu", COSREL_INT8));
    assert_true(ms < whole_ms("resnet18", p ? "gpu" : "cpu", COSREL_INT8));
  }
  double ms = whole_ms("mobilenet_v1", "dsp", COSREL_INT8);
  assert_true(ms > 0.7 * 10.109 && ms < 1.3 * 10.109);
  assert_true(whole_ms("inception_v3", "dsp", COSREL_INT8) < whole_ms("inception_v3", "cpu", COSREL_INT8));
  assert_true(whole_ms("squeezenet1_1", "cpu", COSREL_INT8) < whole_ms("squeezenet1_1", "dsp", COSREL_INT8));
}

/* A dispatch is what was measured by itself, not the intercept of whole models, which stays inside the units. */
static void a_dispatch_to_the_dsp_is_the_measured_floor(void **state) {
  int dsp = cosrel_profile_find_processor(&profile, "dsp");
  (void)state;
  assert_true(profile.processors[dsp].launch_ns == 104000);
  assert_int_equal(profile.processors[dsp].launch_origin.tag, COSREL_TAG_ASSUMED);
  assert_non_null(strstr(profile.sources[profile.processors[dsp].launch_origin.source], "3.5 ms"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(latencies_are_in_a_sane_order),
                                     cmocka_unit_test(a_dispatch_to_the_dsp_is_the_measured_floor)};
  return cmocka_run_group_tests(tests, load, unload);
}
