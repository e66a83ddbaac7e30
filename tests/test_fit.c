/* The programs that fit: from made-up tables whose rates, time constants and thresholds are known they must find them
 * again; rates also beside gross outliers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/tool.h"
#include "traces/csv.h"

static char folder[64];

static FILE *table(const char *name, const char *header) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fprintf(file, "%s\n", header);
  return file;
}

static int run(const char *name, char *in, char *out) { return tool_run(name, (char *[]){in, out, NULL}); }

/* Deterministic scatter of +-4 %; every ninth value is five times too large. */
static double disturbed(double value, int i) { return value * (1 + 0.01 * (i * 7 % 9 - 4)) * (i % 9 == 8 ? 5 : 1); }

static void write_tables(void) {
  static const char *const processors[] = {"CPU big x4", "GPU"};
  FILE *file = table("layer_latency.csv", "soc,processor,model,op,shape,latency_us,quality");
  for (int board = 0; board < 2; ++board)
    for (int p = 0; p < 2; ++p)
      for (int i = 0; i < 60; ++i) {
        const char *soc = board ? "Snapdragon 835" : "Snapdragon 855";
        double rate = (p ? 0.01 : 0.03) * (board ? 2 : 1); /* ns per MAC of a convolution */
        int c = 16 + 8 * (i % 20), side = 14 + i;
        double out = (double)c * side * side, elements = 2 * out;
        fprintf(file, "%s,%s,m,Inception/a/Conv2d_0b_3x3/Conv2D,\"in=1,%d,%d,%d out=1,%d,%d,%d\",%.6f,ok\n", soc,
                processors[p], c, side, side, c, side, side, disturbed(50 + 1e-3 * rate * 9 * c * out, i));
        fprintf(file, "%s,%s,m,cell/separable_5x5_1/separable_conv2d,\"in=1,%d,%d,%d out=1,%d,%d,%d\",%.6f,ok\n", soc,
                processors[p], c, side, side, c, side, side, disturbed(20 + 1e-3 * 1.5 * rate * c * out, i));
        fprintf(file,
                "%s,%s,m,x___tr4cell/separable_5x5_1/separable_conv2d/depthwise,"
                "\"in=1,%d,%d,%d out=1,%d,%d,%d\",%.6f,ok\n",
                soc, processors[p], c, side, side, c, side, side, disturbed(10 + 1e-3 * 4 * rate * 25 * out, i));
        fprintf(file, "%s,%s,m,cell/Relu_%d,\"in=1,%d,%d,%d out=1,%d,%d,%d\",%.6f,ok\n", soc, processors[p], i, c, side,
                side, c, side, side, disturbed(5 + 1e-3 * 2 * rate * 4 * elements, i));
        fprintf(file, "%s,%s,m,cell/concat,\"in=1,%d,%d,%d out=1,%d,%d,%d\",1,ok\n", soc, processors[p], c, side, side,
                c, side, side); /* must be ignored */
      }
  fclose(file);
  file = table("transfer.csv", "soc,src_processor,dst_processor,bytes_fp32,latency_us");
  for (int i = 0; i < 60; ++i) {
    double bytes = 1e4 * (i + 1) * (i + 1);
    fprintf(file, "Snapdragon 835,CPU,GPU,%.0f,%.6f\n", bytes, disturbed(1000 + 1e-3 * 0.8 * bytes, i));
    fprintf(file, "Snapdragon 835,GPU,CPU,%.0f,%.6f\n", bytes, disturbed(500 + 1e-3 * 0.4 * bytes, i));
    fprintf(file, "Snapdragon 855,GPU,CPU,%.0f,7000\n", bytes); /* must be ignored */
  }
  fclose(file);
  file = table("contention.csv", "soc,processor,co_runner,slowdown,quality");
  for (int i = 0; i <= 100; ++i) {
    fprintf(file, "Snapdragon 855,GPU,CPU big x2,%.3f,ok\n", 1 + 0.01 * i);
    fprintf(file, "Snapdragon 855,CPU big x2,GPU,%.3f,ok\n", 0.9 + 0.002 * i);
    fprintf(file, "Snapdragon 855,GPU,CPU big x2,0.1,ok\n"); /* a fault of the table */
  }
  fclose(file);
}

static double value(const cosrel_csv *csv, const char *a, const char *b, const char *column, const char *key_a,
                    const char *key_b, const char *soc) {
  for (uint32_t r = 0; r < csv->n_rows; ++r)
    if (strcmp(cosrel_csv_cell(csv, r, key_a), a) == 0 && strcmp(cosrel_csv_cell(csv, r, key_b), b) == 0 &&
        (!soc || strcmp(cosrel_csv_cell(csv, r, "soc"), soc) == 0))
      return cosrel_csv_number(csv, r, column, -1);
  fail_msg("no row for %s %s", a, b);
  return -1;
}

static void assert_near(double found, double expected, double relative) {
  if (!(found > expected * (1 - relative) && found < expected * (1 + relative)))
    fail_msg("found %g, expected %g", found, expected);
}

static void known_rates_are_found(void **state) {
  char path[256];
  cosrel_csv csv;
  cosrel_error error = {""};
  (void)state;
  write_tables();
  assert_int_equal(run("fit_efficiency", folder, folder), 0);
  snprintf(path, sizeof path, "%s/efficiency.csv", folder);
  assert_int_equal(cosrel_csv_read(path, &csv, &error), COSREL_OK);
  assert_int_equal(csv.n_rows, 2 * 2 * 4);
  for (int board = 0; board < 2; ++board)
    for (int p = 0; p < 2; ++p) {
      const char *soc = board ? "Snapdragon 835" : "Snapdragon 855", *processor = p ? "gpu" : "cpu";
      double rate = (p ? 0.01 : 0.03) * (board ? 2 : 1);
      assert_near(value(&csv, processor, "conv", "rate_ns", "processor", "kind", soc), rate, 0.02);
      assert_near(value(&csv, processor, "conv", "overhead_ns", "processor", "kind", soc), 50e3, 0.25);
      assert_near(value(&csv, processor, "conv1x1", "relative_to_conv", "processor", "kind", soc), 1.5, 0.03);
      assert_near(value(&csv, processor, "depthwise", "relative_to_conv", "processor", "kind", soc), 4, 0.03);
      assert_near(value(&csv, processor, "elementwise", "relative_to_conv", "processor", "kind", soc), 2, 0.03);
    }
  cosrel_csv_clear(&csv);

  snprintf(path, sizeof path, "%s/interaction.csv", folder);
  assert_int_equal(cosrel_csv_read(path, &csv, &error), COSREL_OK);
  assert_near(value(&csv, "transfer_latency", "cpu>gpu", "value", "quantity", "of", NULL), 1e6, 0.03);
  assert_near(value(&csv, "transfer_rate", "cpu>gpu", "value", "quantity", "of", NULL), 0.8, 0.03);
  assert_near(value(&csv, "transfer_latency", "gpu>cpu", "value", "quantity", "of", NULL), 5e5, 0.03);
  assert_near(value(&csv, "transfer_rate", "gpu>cpu", "value", "quantity", "of", NULL), 0.4, 0.03);
  assert_near(value(&csv, "slowdown_median", "gpu<cpu", "value", "quantity", "of", NULL), 1.5, 1e-6);
  assert_near(value(&csv, "slowdown_p95", "gpu<cpu", "value", "quantity", "of", NULL), 1.95, 1e-6);
  assert_near(value(&csv, "slowdown_median", "cpu<gpu", "value", "quantity", "of", NULL), 1.0, 1e-6);
  cosrel_csv_clear(&csv);
}

static void missing_tables_are_an_error(void **state) {
  (void)state;
  assert_int_equal(run("fit_efficiency", "/nonexistent", folder), 2);
  assert_int_equal(run("fit_thermal", "/nonexistent", folder), 2);
}

/* Three runs of a phone with idle 35 C, rise 20 K, time constant 25 s. Under load it falls to half its frequency above
 * 48 C and rises again below 41 C. */
static void write_series(bool rising) {
  FILE *file = table("thermal.csv", "run,sensor,t_s,temp_c,gpu_hz,gpu_load_pct");
  for (int r = 0; r < 3; ++r) {
    double temp = 30 + 2 * r, frequency = 1, before = 0;
    for (int i = 0; i < 60; ++i) {
      double load = i < 2 ? 0 : 0.9, drive = load * frequency * frequency, steady = 35 + 20 * 0.5 * (drive + before);
      if (i > 0) temp = steady + (temp - steady) * exp(-3.0 / 25);
      before = drive;
      fprintf(file, "stress_thermal_opencl_run%d,battery,%d,20,1,0\n", r, 3 * i); /* must be ignored */
      fprintf(file, "stress_thermal_opencl_run%d,sys-therm-0,%d,%.6f,%.0f,%.0f\n", r, rising ? 3 * i : 0,
              temp + 0.05 * (i % 3 - 1), 1e9 * frequency, 100 * load);
      if (temp > 48) frequency = 0.5;
      if (temp < 41) frequency = 1;
    }
  }
  fclose(file);
}

static void known_warming_is_found(void **state) {
  char path[256];
  cosrel_csv csv;
  cosrel_error error = {""};
  (void)state;
  write_series(true);
  assert_int_equal(run("fit_thermal", folder, folder), 0);
  snprintf(path, sizeof path, "%s/thermal.csv", folder);
  assert_int_equal(cosrel_csv_read(path, &csv, &error), COSREL_OK);
  static const struct {
    const char *quantity;
    double expected, relative;
  } figures[] = {{"idle_temperature", 35, 0.01}, {"temperature_rise", 20, 0.02}, {"time_constant", 25, 0.02},
                 {"throttle_above", 48, 0.03},   {"throttle_below", 41, 0.03},   {"throttled_speed", 0.5, 0.01},
                 {"residual", 0.04, 0.5}};
  for (size_t i = 0; i < sizeof figures / sizeof *figures; ++i)
    assert_near(value(&csv, figures[i].quantity, "fitted", "value", "quantity", "tag", NULL), figures[i].expected,
                figures[i].relative);
  cosrel_csv_clear(&csv);
  write_series(false);
  assert_int_equal(run("fit_thermal", folder, folder), 2);
}

static int make_folder(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/cosrel-fit-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  static const char *const names[] = {"layer_latency.csv", "transfer.csv",    "contention.csv",
                                      "efficiency.csv",    "interaction.csv", "thermal.csv"};
  char path[256];
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    unlink(path);
  }
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_rates_are_found),
                                     cmocka_unit_test(missing_tables_are_an_error),
                                     cmocka_unit_test(known_warming_is_found)};
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
