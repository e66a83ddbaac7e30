/* All bundled profiles: whole models cost what was measured, every value says where it comes from, and the program that
 * made them makes them again. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "backends/zoo/zoo.h"
#include "sched/case.h"
#include "tests/tool.h"
#include "traces/csv.h"
#include "traces/file.h"
#include "traces/profile_file.h"

/* `with_input`: processors whose measured whole-model times include bringing the input there. */
static const struct {
  const char *name;
  uint32_t n_processors, anchors;
  const char *with_input;
  const char *assumed_power; /* processors whose power nobody has published */
} bundled[] = {{"snapdragon865", 3, 25, "gpu dsp", "gpu dsp"},
               {"snapdragon8gen2", 3, 49, "gpu npu", "gpu npu"},
               {"rk3399pro", 4, 24, "npu", ""}};
enum { BUNDLED = sizeof bundled / sizeof *bundled, SIZE_MAX_BYTES = 1500000 };

static cosrel_profile profiles[BUNDLED];

static const char *profile_path(const char *folder, const char *name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s.json", folder, name);
  return path;
}

static int load(void **state) {
  cosrel_error error = {""};
  (void)state;
  for (size_t i = 0; i < BUNDLED; ++i)
    if (cosrel_profile_read(profile_path("traces/profiles", bundled[i].name), &profiles[i], &error) != COSREL_OK) {
      print_error("%s\n", error.text);
      return -1;
    }
  return 0;
}

static int unload(void **state) {
  (void)state;
  for (size_t i = 0; i < BUNDLED; ++i) cosrel_profile_clear(&profiles[i]);
  return 0;
}

static void each_holds_the_zoo(void **state) {
  uint32_t zoo_size;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&zoo_size);
  (void)state;
  for (size_t i = 0; i < BUNDLED; ++i) {
    const cosrel_profile *p = &profiles[i];
    cosrel_error error = {""};
    assert_string_equal(p->name, bundled[i].name);
    assert_int_equal(p->n_processors, bundled[i].n_processors);
    for (uint32_t z = 0; z < zoo_size; ++z) {
      cosrel_model zoo;
      int k = cosrel_profile_find_model(p, table[z].name);
      if (k < 0) fail_msg("%s lacks %s", p->name, table[z].name);
      assert_int_equal(cosrel_zoo_model(table[z].name, &zoo, &error), COSREL_OK);
      const cosrel_model *model = &p->models[k].model;
      assert_int_equal(model->n_units, zoo.n_units);
      for (uint32_t u = 0; u < zoo.n_units; ++u) {
        assert_string_equal(model->units[u].name, zoo.units[u].name);
        assert_int_equal(model->units[u].macs, zoo.units[u].macs);
      }
      cosrel_model_clear(&zoo);
    }
  }
}

/* Whole model as one segment on one processor: launch, the input's way there, units; below 0: not possible. */
static double whole_ms(const cosrel_profile *profile, int k, int p, int precision, bool with_input) {
  const cosrel_model *model = &profile->models[k].model;
  const cosrel_link *link = &profile->links[profile->host][p];
  double bytes = (double)model->input_elems * cosrel_precision_bytes((cosrel_precision)precision);
  double sum = profile->processors[p].launch_ns + (with_input ? link->latency_ns + bytes * link->ns_per_byte : 0);
  for (uint32_t u = 0; u < model->n_units; ++u) {
    double mean = cosrel_profile_cost(profile, (uint32_t)k, u, (uint32_t)p, (cosrel_precision)precision)->mean_ns;
    if (mean < 0) return -1;
    sum += mean;
  }
  return sum * 1e-6;
}

static void whole_models_cost_what_was_measured(void **state) {
  (void)state;
  for (size_t i = 0; i < BUNDLED; ++i) {
    const cosrel_profile *profile = &profiles[i];
    char path[256];
    cosrel_csv csv;
    cosrel_error error = {""};
    uint32_t anchors = 0;
    snprintf(path, sizeof path, "traces/figures/%s.csv", bundled[i].name);
    assert_int_equal(cosrel_csv_read(path, &csv, &error), COSREL_OK);
    for (uint32_t r = 0; r < csv.n_rows; ++r) {
      if (strcmp(cosrel_csv_cell(&csv, r, "use"), "anchor") != 0) continue;
      const char *processor = cosrel_csv_cell(&csv, r, "processor");
      int precision = cosrel_precision_from_name(cosrel_csv_cell(&csv, r, "precision"));
      int k = cosrel_profile_find_model(profile, cosrel_csv_cell(&csv, r, "model"));
      int p = cosrel_profile_find_processor(profile, processor);
      assert_true(precision >= 0 && k >= 0 && p >= 0);
      double measured = cosrel_csv_number(&csv, r, "latency_ms", -1);
      double ms = whole_ms(profile, k, p, precision, strstr(bundled[i].with_input, processor) != NULL);
      if (!(ms > measured * 0.999 && ms < measured * 1.001))
        fail_msg("%s: %s on %s: %.4f ms, measured %.4f", profile->name, profile->models[k].model.name, processor, ms,
                 measured);
      const cosrel_cost *cost = cosrel_profile_cost(profile, (uint32_t)k, 0, (uint32_t)p, (cosrel_precision)precision);
      assert_true(cost->origin.tag == COSREL_TAG_APPORTIONED || cost->origin.tag == COSREL_TAG_MEASURED);
      assert_non_null(strstr(profile->sources[cost->origin.source], cosrel_csv_cell(&csv, r, "source")));
      ++anchors;
    }
    assert_int_equal(anchors, bundled[i].anchors);
    cosrel_csv_clear(&csv);
  }
}

/* T_m is what the best single processor takes, or less where splitting pays. */
static void isolated_latency_is_at_most_that_of_the_best_processor(void **state) {
  (void)state;
  for (size_t i = 0; i < BUNDLED; ++i) {
    cosrel_profile *profile = &profiles[i];
    for (uint32_t k = 0; k < profile->n_models; ++k) {
      static cosrel_workload workload;
      cosrel_stream *stream = &workload.streams[0];
      cosrel_error error = {""};
      cosrel_case c;
      double best = INFINITY;
      workload = (cosrel_workload){.name = "alone", .objective = {1, 1, 0}, .n_streams = 1};
      *stream = (cosrel_stream){.name = "alone", .queue_limit = 1, .priority = 1};
      stream->precisions = 1u << COSREL_INT8 | 1u << COSREL_FP16 | 1u << COSREL_FP32;
      stream->arrivals = (cosrel_arrivals){.kind = COSREL_ARRIVALS_CLOSED, .rate_hz = 1};
      snprintf(stream->model, sizeof stream->model, "%s", profile->models[k].model.name);
      if (cosrel_case_create(profile, &workload, &c, &error) != COSREL_OK) fail_msg("%s", error.text);
      for (uint32_t p = 0; p < profile->n_processors; ++p)
        for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) {
          double ms = whole_ms(profile, (int)k, (int)p, f, true);
          if (ms > 0 && ms < best) best = ms;
        }
      double isolated = c.streams[0].isolated_ns * 1e-6;
      cosrel_case_destroy(&c);
      if (!(isolated > 0.5 * best && isolated < 1.0001 * best))
        fail_msg("%s: %s: T %.4f ms, best processor %.4f ms", profile->name, stream->model, isolated, best);
    }
  }
}

static void check_origin(const cosrel_profile *profile, cosrel_origin origin) {
  assert_true(origin.tag < COSREL_TAG_COUNT);
  assert_true(origin.source < profile->n_sources);
  assert_true(strlen(profile->sources[origin.source]) > 4);
}

static void every_value_says_where_it_comes_from(void **state) {
  (void)state;
  for (size_t i = 0; i < BUNDLED; ++i) {
    const cosrel_profile *profile = &profiles[i];
    uint32_t uncertainties = 0;
    for (uint32_t p = 0; p < profile->n_processors; ++p) {
      check_origin(profile, profile->processors[p].launch_origin);
      check_origin(profile, profile->processors[p].power_origin);
      assert_true(profile->processors[p].launch_ns > 0);
      /* What nobody has published must not look better than it is. */
      if (strstr(bundled[i].assumed_power, profile->processors[p].name))
        assert_int_equal(profile->processors[p].power_origin.tag, COSREL_TAG_ASSUMED);
      for (uint32_t q = 0; q < profile->n_processors; ++q) {
        if (p == q) continue;
        check_origin(profile, profile->links[p][q].origin);
        assert_true(profile->links[p][q].ns_per_byte > 0);
        assert_true(profile->kappa[p][q] > 0);
      }
    }
    check_origin(profile, profile->kappa_origin);
    check_origin(profile, profile->base_origin);
    for (uint32_t k = 0; k < profile->n_models; ++k)
      for (uint32_t u = 0; u < profile->models[k].model.n_units; ++u)
        for (uint32_t p = 0; p < profile->n_processors; ++p)
          for (int f = 0; f < COSREL_PRECISION_COUNT; ++f) {
            const cosrel_cost *cost = cosrel_profile_cost(profile, k, u, p, (cosrel_precision)f);
            if (cost->mean_ns < 0) continue;
            check_origin(profile, cost->origin);
            assert_true(cost->mean_ns > 0 && cost->cv > 0 && cost->beta > 0);
          }
    for (uint32_t s = 0; s < profile->n_sources; ++s)
      uncertainties += strncmp(profile->sources[s], "uncertainty of apportioned times", 32) == 0;
    assert_int_equal(uncertainties, 3);
  }
}

static int run_tool(char *const *arguments) { return tool_run("make_profile", arguments); }

static char folder[] = "/tmp/cosrel-profiles-XXXXXX";

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  for (size_t i = 0; i < BUNDLED; ++i) unlink(profile_path(folder, bundled[i].name));
  int result = rmdir(folder);
  memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
  return result;
}

static void their_program_makes_them_again(void **state) {
  (void)state;
  assert_int_equal(run_tool((char *[]){"--quiet", "traces/figures", folder, NULL}), 0);
  for (size_t i = 0; i < BUNDLED; ++i) {
    cosrel_error error = {""};
    char *made = NULL, *committed = NULL;
    size_t made_size = 0, size = 0;
    assert_int_equal(
        cosrel_file_read(profile_path(folder, bundled[i].name), COSREL_PROFILE_FILE_MAX, &made, &made_size, &error),
        COSREL_OK);
    assert_int_equal(cosrel_file_read(profile_path("traces/profiles", bundled[i].name), COSREL_PROFILE_FILE_MAX,
                                      &committed, &size, &error),
                     COSREL_OK);
    if (made_size != size || memcmp(made, committed, size) != 0)
      fail_msg("traces/profiles/%s.json is not what the program makes: `make profiles`", bundled[i].name);
    assert_true(size < SIZE_MAX_BYTES);
    free(made);
    free(committed);
  }
}

static void options_change_what_is_assumed_and_nothing_else(void **state) {
  const cosrel_profile *plain = &profiles[0];
  cosrel_profile changed;
  cosrel_error error = {""};
  (void)state;
  assert_int_equal(run_tool((char *[]){"--quiet", "--launch-ms", "dsp=3.52", "--watts-scale", "gpu=0.5,dsp=2",
                                       "--transfer-scale", "gpu=0.1", "traces/figures", folder, "snapdragon865", NULL}),
                   0);
  assert_int_equal(cosrel_profile_read(profile_path(folder, "snapdragon865"), &changed, &error), COSREL_OK);
  int gpu = cosrel_profile_find_processor(plain, "gpu"), dsp = cosrel_profile_find_processor(plain, "dsp");
  int k = cosrel_profile_find_model(plain, "resnet50");
  const cosrel_processor *before = plain->processors, *after = changed.processors;
  assert_true(after[dsp].launch_ns == 3.52e6);
  assert_int_equal(after[dsp].launch_origin.tag, COSREL_TAG_ASSUMED);
  assert_true(after[gpu].points[0].busy_w == 0.5 * before[gpu].points[0].busy_w);
  assert_true(after[dsp].points[0].busy_w == 2 * before[dsp].points[0].busy_w);
  assert_true(after[0].points[0].busy_w == before[0].points[0].busy_w);
  assert_true(after[gpu].launch_ns == before[gpu].launch_ns);
  assert_float_equal(changed.links[0][gpu].latency_ns, 0.1 * plain->links[0][gpu].latency_ns, 1);
  assert_true(changed.links[0][dsp].latency_ns == plain->links[0][dsp].latency_ns);
  /* Measured models still take as long: what the launch gains, the units lose. */
  for (int p = gpu; p <= dsp; ++p)
    assert_float_equal(whole_ms(&changed, k, p, COSREL_INT8, true), whole_ms(plain, k, p, COSREL_INT8, true), 1e-3);
  cosrel_profile_clear(&changed);
}

static void bad_arguments_are_refused(void **state) {
  (void)state;
  assert_int_equal(run_tool((char *[]){"--watts-scale", "gpu", "traces/figures", folder, NULL}), 2);
  assert_int_equal(run_tool((char *[]){"--launch-ms", "dsp=-1", "traces/figures", folder, NULL}), 2);
  assert_int_equal(run_tool((char *[]){"--quiet", "/nonexistent", folder, NULL}), 2);
  assert_int_equal(run_tool((char *[]){"--quiet", "traces/figures", folder, "no-such-device", NULL}), 2);
  assert_int_equal(run_tool((char *[]){"traces/figures", NULL}), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_holds_the_zoo),
      cmocka_unit_test(whole_models_cost_what_was_measured),
      cmocka_unit_test(isolated_latency_is_at_most_that_of_the_best_processor),
      cmocka_unit_test(every_value_says_where_it_comes_from),
      cmocka_unit_test_setup_teardown(their_program_makes_them_again, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(options_change_what_is_assumed_and_nothing_else, make_folder, remove_folder),
      cmocka_unit_test_setup_teardown(bad_arguments_are_refused, make_folder, remove_folder)};
  return cmocka_run_group_tests(tests, load, unload);
}
