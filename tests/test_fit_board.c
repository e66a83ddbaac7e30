/* fit_board: from a made-up board whose launches, transfers, speeds and watts are known, it must find them again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "backends/zoo/zoo.h"
#include "tests/tool.h"
#include "traces/csv.h"

static char folder[] = "/tmp/cosrel-board-XXXXXX";
static const char *const files[] = {"layer_latency_power_rk3399pro.csv",
                                    "transfer.csv",
                                    "rk3399pro.csv",
                                    "rk3399pro_blocks.csv",
                                    "rk3399pro_points.csv",
                                    "rk3399pro_fits.csv"};

static const struct {
  const char *name, *table;
  int n_blocks;
} models[] = {{"alexnet", "Alex", 8},       {"googlenet", "Google", 11},        {"mobilenet_v1", "MobileV1", 14},
              {"resnet50", "ResV1_50", 18}, {"squeezenet1_0", "SqueezeV1", 10}, {"yolov3@608", "YOLOv3", 75}};
enum { MODELS = sizeof models / sizeof *models };

static const struct {
  const char *name, *column;
  int top_khz, low_khz;
  double launch_us;
} processors[] = {{"cpu-little", "CPU little 4xA53", 1416000, 408000, 500},
                  {"cpu-big", "CPU big 2xA72", 1800000, 600000, 400},
                  {"gpu", "GPU Mali-T860", 800000, 200000, 1100}};
enum { PROCESSORS = sizeof processors / sizeof *processors };

#define NPU_LAUNCH_US 600.0
#define NPU_NS_PER_ELEMENT 8.0
#define LATENCY_US 300.0
#define NS_PER_BYTE 1.5

static const char *path_of(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static FILE *table(const char *name, const char *header) {
  FILE *file = fopen(path_of(name), "w");
  assert_non_null(file);
  fprintf(file, "%s\n", header);
  return file;
}

static int run(char *in) { return tool_run("fit_board", (char *[]){in, folder, NULL}); }

static double work_us(int block) { return 2000 + 1000 * (block % 5); }

static double sum_work_us(int model) {
  double sum = 0;
  for (int b = 0; b < models[model].n_blocks; ++b) sum += work_us(b);
  return sum;
}

/* Elements read and written by block b of MobileNetV1: a depthwise and a pointwise convolution, but for the first. */
static void block_elements(const cosrel_model *model, int b, double *in, double *out) {
  uint32_t first = b == 0 ? 0 : 2 * (uint32_t)b - 1, last = b == 0 ? 0 : b == 13 ? model->n_units - 1 : 2 * (uint32_t)b;
  *in = (double)model->units[first].in_elems;
  *out = (double)model->units[last].out_elems;
}

static void write_tables(void) {
  cosrel_model mobile;
  cosrel_error error = {""};
  double in, out;
  assert_int_equal(cosrel_zoo_model("mobilenet_v1", &mobile, &error), COSREL_OK);
  FILE *whole = table("rk3399pro.csv", "use,model,processor,precision,latency_ms");
  FILE *blocks = table("layer_latency_power_rk3399pro.csv",
                       "processor,model,layer_index,metric,freq_khz,host_big_freq_khz,latency_us,board_power_mw");
  for (int k = 0; k < MODELS; ++k)
    for (int p = 0; p < PROCESSORS; ++p) {
      const char *host = strcmp(processors[p].name, "gpu") == 0 ? "1800000" : "";
      fprintf(whole, "anchor,%s,%s,fp32,%.6f\n", models[k].name, processors[p].name,
              1e-3 * (processors[p].launch_us + sum_work_us(k)));
      for (int low = 0; low < 2; ++low) {
        int khz = low ? processors[p].low_khz : processors[p].top_khz;
        double speed = (double)khz / processors[p].top_khz;
        for (int b = 0; b < models[k].n_blocks; ++b) {
          fprintf(blocks, "%s,%s,%d,task,%d,%s,%.6f,%.3f\n", processors[p].column, models[k].table, b, khz, host,
                  (processors[p].launch_us + work_us(b)) / speed, 3000 + 2000 * speed);
          fprintf(blocks, "%s,%s,%d,in,%d,%s,99999,9000\n", processors[p].column, models[k].table, b, khz, host);
        }
      }
      if (*host) /* a slower host must not count */
        fprintf(blocks, "%s,%s,0,task,%d,408000,99999,9000\n", processors[p].column, models[k].table,
                processors[p].top_khz);
    }
  FILE *transfers = table("transfer.csv", "src_processor,dst_processor,tensor,latency_us");
  for (int b = 0; b < 14; ++b) {
    block_elements(&mobile, b, &in, &out);
    fprintf(blocks, "NPU,MobileV1,%d,task,1800000,1800000,%.6f,4000\n", b,
            NPU_LAUNCH_US + 1e-3 * NPU_NS_PER_ELEMENT * (in + out));
    for (int from = 0; from < PROCESSORS; ++from)
      for (int to = 0; to < PROCESSORS && b < 13; ++to) {
        if (from == to) continue;
        fprintf(transfers, "%s,%s,MobileV1 layer %d boundary,%.6f\n", processors[from].column, processors[to].column, b,
                LATENCY_US + 1e-3 * NS_PER_BYTE * 4 * out);
        fprintf(transfers, "%s,%s,test_transfer kernels=14400,99999\n", processors[from].column, processors[to].column);
      }
  }
  fclose(transfers);
  fclose(blocks);
  fclose(whole);
  cosrel_model_clear(&mobile);
}

static void assert_near(double found, double expected, double relative) {
  if (!(found > expected * (1 - relative) && found < expected * (1 + relative)))
    fail_msg("found %g, expected %g", found, expected);
}

/* The value in `column` of the row where the first two columns are a and b. */
static double value(const char *file, const char *a, const char *b, const char *column) {
  cosrel_csv csv;
  cosrel_error error = {""};
  double found = -1;
  if (cosrel_csv_read(path_of(file), &csv, &error) != COSREL_OK) fail_msg("%s", error.text);
  for (uint32_t r = 0; r < csv.n_rows; ++r)
    if (strcmp(cosrel_csv_cell(&csv, r, csv.names[0]), a) == 0 &&
        strcmp(cosrel_csv_cell(&csv, r, csv.names[1]), b) == 0)
      found = cosrel_csv_number(&csv, r, column, -1);
  cosrel_csv_clear(&csv);
  if (found < 0) fail_msg("%s: no %s %s", file, a, b);
  return found;
}

static void a_known_board_is_found(void **state) {
  (void)state;
  write_tables();
  assert_int_equal(run(folder), 0);
  for (int p = 0; p < PROCESSORS; ++p) {
    char low[16];
    assert_near(value("rk3399pro_fits.csv", "launch", processors[p].name, "value"), processors[p].launch_us, 0.01);
    snprintf(low, sizeof low, "%d", processors[p].low_khz / 1000);
    double speed = (double)processors[p].low_khz / processors[p].top_khz;
    assert_near(value("rk3399pro_points.csv", processors[p].name, low, "speed"), speed, 0.001);
    assert_near(value("rk3399pro_points.csv", processors[p].name, low, "busy_w"), 2 * speed, 0.001);
    for (int k = 0; k < MODELS; ++k)
      assert_near(value("rk3399pro_blocks.csv", models[k].name, "3", processors[p].name), work_us(3) / sum_work_us(k),
                  0.001);
  }
  assert_near(value("rk3399pro_fits.csv", "launch", "npu", "value"), NPU_LAUNCH_US, 0.01);
  assert_near(value("rk3399pro_fits.csv", "transfer_rate", "npu>cpu-big", "value"), NPU_NS_PER_ELEMENT, 0.01);
  assert_near(value("rk3399pro_fits.csv", "transfer_rate", "cpu-big>npu", "value"), NPU_NS_PER_ELEMENT / 4, 0.01);
  assert_near(value("rk3399pro_fits.csv", "transfer_latency", "gpu>cpu-little", "value"), LATENCY_US, 0.01);
  assert_near(value("rk3399pro_fits.csv", "transfer_rate", "cpu-big>gpu", "value"), NS_PER_BYTE, 0.01);
}

static void bad_tables_are_an_error(void **state) {
  (void)state;
  assert_int_equal(run("/nonexistent"), 2);
  write_tables(); /* whole models that take longer than their blocks: no launch to be found */
  fclose(table("rk3399pro.csv", "use,model,processor,precision,latency_ms\nanchor,alexnet,cpu-big,fp32,99999"));
  FILE *file = fopen(path_of("rk3399pro.csv"), "a");
  assert_non_null(file);
  for (int k = 0; k < MODELS; ++k) fprintf(file, "anchor,%s,cpu-little,fp32,99999\n", models[k].name);
  fclose(file);
  unlink(path_of("rk3399pro_fits.csv"));
  assert_int_equal(run(folder), 2);
  assert_int_not_equal(access(path_of("rk3399pro_fits.csv"), F_OK), 0); /* nothing half-written */
}

static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof files / sizeof *files; ++i) unlink(path_of(files[i]));
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_known_board_is_found),
                                     cmocka_unit_test(bad_tables_are_an_error)};
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
