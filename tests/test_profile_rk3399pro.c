/* The bundled profile of the RK3399Pro: units of a block add up to the measured block, and every frequency is there. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "sched/profile.h"
#include "traces/csv.h"
#include "traces/profile_file.h"

static cosrel_profile profile;

static int load(void **state) {
  cosrel_error error = {""};
  (void)state;
  if (cosrel_profile_read("traces/profiles/rk3399pro.json", &profile, &error) == COSREL_OK) return 0;
  print_error("%s\n", error.text);
  return -1;
}

static int unload(void **state) {
  (void)state;
  cosrel_profile_clear(&profile);
  return 0;
}

/* ns of all units of a model, or of those in a list of names with blanks between them. */
static double sum_ns(int k, int p, cosrel_precision precision, const char *names, uint32_t *n) {
  const cosrel_model *model = &profile.models[k].model;
  char list[4096], unit[COSREL_NAME_MAX + 2];
  double sum = 0;
  *n = 0;
  snprintf(list, sizeof list, " %s ", names ? names : "");
  for (uint32_t u = 0; u < model->n_units; ++u) {
    snprintf(unit, sizeof unit, " %s ", model->units[u].name);
    if (names && !strstr(list, unit)) continue;
    sum += cosrel_profile_cost(&profile, (uint32_t)k, u, (uint32_t)p, precision)->mean_ns;
    ++*n;
  }
  return sum;
}

static uint32_t blanks(const char *text) {
  uint32_t n = 0;
  for (; *text; ++text) n += *text == ' ';
  return n;
}

static void units_add_up_to_measured_blocks(void **state) {
  cosrel_csv csv;
  cosrel_error error = {""};
  uint32_t checked = 0;
  (void)state;
  assert_int_equal(cosrel_csv_read("traces/figures/rk3399pro_blocks.csv", &csv, &error), COSREL_OK);
  assert_int_equal(csv.n_rows, 8 + 11 + 14 + 18 + 10 + 75);
  for (uint32_t r = 0; r < csv.n_rows; ++r) {
    const char *units = cosrel_csv_cell(&csv, r, "units");
    int k = cosrel_profile_find_model(&profile, cosrel_csv_cell(&csv, r, "model"));
    assert_true(k >= 0);
    for (uint32_t p = 0; p < profile.n_processors; ++p) {
      double share = cosrel_csv_number(&csv, r, profile.processors[p].name, 0);
      cosrel_precision precision = strcmp(profile.processors[p].name, "npu") == 0 ? COSREL_INT8 : COSREL_FP32;
      uint32_t n, all;
      if (!(share > 0)) continue;
      double block = sum_ns(k, (int)p, precision, units, &n), whole = sum_ns(k, (int)p, precision, NULL, &all);
      assert_int_equal(n, blanks(units) + 1);
      if (!(fabs(block / whole / share - 1) < 0.002))
        fail_msg("%s on %s, %s: share %.5f, measured %.5f", profile.models[k].model.name, profile.processors[p].name,
                 units, block / whole, share);
      ++checked;
    }
  }
  assert_int_equal(checked, 3 * csv.n_rows + 14 + 75);
  cosrel_csv_clear(&csv);
}

/* Every unit of a measured model is in exactly one block; one alone in its block was measured, others share it. */
static void tags_tell_measured_units_from_shared_ones(void **state) {
  int k = cosrel_profile_find_model(&profile, "yolov3@608"), p = cosrel_profile_find_processor(&profile, "cpu-big");
  uint32_t measured = 0, apportioned = 0;
  (void)state;
  assert_true(k >= 0 && p >= 0);
  for (uint32_t u = 0; u < profile.models[k].model.n_units; ++u) {
    cosrel_origin origin = cosrel_profile_cost(&profile, (uint32_t)k, u, (uint32_t)p, COSREL_FP32)->origin;
    measured += origin.tag == COSREL_TAG_MEASURED;
    apportioned += origin.tag == COSREL_TAG_APPORTIONED;
  }
  assert_int_equal(measured, 75 - 23 - 2); /* convolutions without an addition or an upsampling behind them */
  assert_int_equal(apportioned, 2 * 23 + 2 * 3);
  k = cosrel_profile_find_model(&profile, "yolov3"); /* measured at another size only */
  assert_int_equal(cosrel_profile_cost(&profile, (uint32_t)k, 0, (uint32_t)p, COSREL_FP32)->origin.tag,
                   COSREL_TAG_FITTED);
}

static void frequencies_have_speed_and_watts(void **state) {
  static const struct {
    const char *name;
    uint32_t n_points;
    double top_mhz;
  } expected[] = {{"cpu-little", 6, 1416}, {"cpu-big", 8, 1800}, {"gpu", 5, 800}, {"npu", 1, 800}};
  (void)state;
  assert_string_equal(profile.processors[profile.host].name, "cpu-big");
  for (size_t i = 0; i < 4; ++i) {
    const cosrel_processor *p = &profile.processors[cosrel_profile_find_processor(&profile, expected[i].name)];
    assert_int_equal(p->n_points, expected[i].n_points);
    assert_true(p->points[0].frequency_mhz == expected[i].top_mhz);
    for (uint32_t f = 1; f < p->n_points; ++f) {
      const cosrel_point *above = &p->points[f - 1], *here = &p->points[f];
      assert_true(here->frequency_mhz < above->frequency_mhz && here->busy_w < above->busy_w);
      /* Memory does not slow down with the processor: slower than before, but by less than the clock. */
      assert_true(here->speed < above->speed);
      assert_true(here->speed / above->speed > 0.98 * here->frequency_mhz / above->frequency_mhz);
    }
    assert_true(p->points[0].busy_w > 1 && p->points[0].busy_w < 5);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(units_add_up_to_measured_blocks),
                                     cmocka_unit_test(tags_tell_measured_units_from_shared_ones),
                                     cmocka_unit_test(frequencies_have_speed_and_watts)};
  return cmocka_run_group_tests(tests, load, unload);
}
