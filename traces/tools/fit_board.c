/* Fits what the profile of the RK3399Pro is made of, from tables of measured blocks:
 *
 *     fit_board FOLDER traces/figures
 *
 * FOLDER holds layer_latency_power_rk3399pro and transfer as .csv or .csv.gz. Those tables carry no licence, so they
 * are not part of this repository; what is derived from them is. Whole models come from traces/figures/rk3399pro.csv.
 *
 *   rk3399pro_blocks.csv  share of each block in its model, at the top frequency, launches taken off
 *   rk3399pro_points.csv  speed and power at every frequency
 *   rk3399pro_fits.csv    launches; transfers, t = latency + bytes * ns_per_byte
 *
 * Blocks timed one by one take longer than the whole model, because each is a dispatch of its own: the excess per
 * further block is the launch. For the npu the excess also holds moving every block's tensors there and back, in
 * proportion to their size: there a line over the blocks gives launch (offset) and transfer (slope). */
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "backends/zoo/zoo.h"
#include "traces/atomic.h"
#include "traces/csv.h"
#include "traces/tools/parts/blocks.h"
#include "traces/tools/parts/line.h"

enum { LITTLE, BIG, GPU, NPU, PROCESSORS };
enum { FREQUENCIES_MAX = 8, IDLE_BOARD_MW = 3000 };

static const struct {
  const char *name, *column;
  uint32_t n_frequencies, khz[FREQUENCIES_MAX]; /* the top first; of the host for the npu */
} processors[PROCESSORS] = {
    {"cpu-little", "CPU little 4xA53", 6, {1416000, 1200000, 1008000, 816000, 600000, 408000}},
    {"cpu-big", "CPU big 2xA72", 8, {1800000, 1608000, 1416000, 1200000, 1008000, 816000, 600000, 408000}},
    {"gpu", "GPU Mali-T860", 5, {800000, 600000, 400000, 300000, 200000}},
    {"npu", "NPU", 1, {1800000}},
};

typedef struct measured {
  cosrel_model model;
  uint8_t block[COSREL_UNITS_MAX]; /* of each unit */
  double in_elems[COSREL_BLOCKS_MAX], out_elems[COSREL_BLOCKS_MAX];
  double whole_ns[PROCESSORS];                               /* 0: not measured */
  double ns[PROCESSORS][FREQUENCIES_MAX][COSREL_BLOCKS_MAX]; /* 0: not measured */
  double mw[PROCESSORS][FREQUENCIES_MAX][COSREL_BLOCKS_MAX]; /* of the whole board */
} measured;

typedef struct board {
  measured models[COSREL_BLOCKED_MODELS];
  double launch_ns[PROCESSORS];
} board;

static const char source[] = "Ehsan-aghapour/CO-UP-Profiling@22005a9d8742:Profiling/Data";

static double median(double *values, size_t n) {
  gsl_sort(values, 1, n);
  return gsl_stats_median_from_sorted_data(values, 1, n);
}

static cosrel_status read_models(board *b, const cosrel_csv *whole, cosrel_error *error) {
  for (int k = 0; k < COSREL_BLOCKED_MODELS; ++k) {
    measured *m = &b->models[k];
    const cosrel_blocked_model *blocked = &cosrel_blocked_models[k];
    cosrel_status status = cosrel_zoo_model(blocked->name, &m->model, error);
    if (status == COSREL_OK) status = cosrel_blocks_of(blocked, &m->model, m->block, error);
    if (status) return status;
    for (uint32_t u = m->model.n_units; u-- > 0;) m->in_elems[m->block[u]] = (double)m->model.units[u].in_elems;
    for (uint32_t u = 0; u < m->model.n_units; ++u) m->out_elems[m->block[u]] = (double)m->model.units[u].out_elems;
    for (uint32_t r = 0; r < whole->n_rows; ++r)
      for (int p = 0; p < PROCESSORS; ++p)
        if (strcmp(cosrel_csv_cell(whole, r, "model"), blocked->name) == 0 &&
            strcmp(cosrel_csv_cell(whole, r, "processor"), processors[p].name) == 0)
          m->whole_ns[p] = 1e6 * cosrel_csv_number(whole, r, "latency_ms", 0);
  }
  return COSREL_OK;
}

/* With the gpu, the host (big) is at its top frequency: other rows are left out. */
static void read_blocks(board *b, const cosrel_csv *table) {
  for (uint32_t r = 0; r < table->n_rows; ++r) {
    double khz = cosrel_csv_number(table, r, "freq_khz", 0);
    double block = cosrel_csv_number(table, r, "layer_index", -1);
    if (strcmp(cosrel_csv_cell(table, r, "metric"), "task") != 0 || !(block >= 0 && block < COSREL_BLOCKS_MAX) ||
        cosrel_csv_number(table, r, "host_big_freq_khz", 1800000) != 1800000)
      continue;
    for (int k = 0; k < COSREL_BLOCKED_MODELS; ++k)
      for (int p = 0; p < PROCESSORS; ++p)
        for (uint32_t f = 0; f < processors[p].n_frequencies; ++f)
          if (khz == processors[p].khz[f] &&
              strcmp(cosrel_csv_cell(table, r, "processor"), processors[p].column) == 0 &&
              strcmp(cosrel_csv_cell(table, r, "model"), cosrel_blocked_models[k].table) == 0) {
            b->models[k].ns[p][f][(int)block] = 1e3 * cosrel_csv_number(table, r, "latency_us", 0);
            b->models[k].mw[p][f][(int)block] = cosrel_csv_number(table, r, "board_power_mw", 0);
          }
  }
}

static double sum_ns(const measured *m, int k, int p) {
  double sum = 0;
  for (uint32_t i = 0; i < cosrel_blocked_models[k].n_blocks; ++i) sum += m->ns[p][0][i];
  return sum;
}

static cosrel_status fit_launches(board *b, FILE *file, cosrel_error *error) {
  for (int p = LITTLE; p <= GPU; ++p) {
    double excess[COSREL_BLOCKED_MODELS];
    for (int k = 0; k < COSREL_BLOCKED_MODELS; ++k)
      excess[k] = (sum_ns(&b->models[k], k, p) - b->models[k].whole_ns[p]) / (cosrel_blocked_models[k].n_blocks - 1);
    b->launch_ns[p] = median(excess, COSREL_BLOCKED_MODELS);
    if (!(b->launch_ns[p] > 0))
      return cosrel_fail(error, COSREL_INFEASIBLE, "%s: blocks one by one take less than the whole model",
                         processors[p].name);
    fprintf(file,
            "launch,%s,%.0f,us,fitted,\"what blocks timed one by one take longer than the whole model, per further "
            "block; median of %d models (%s)\"\n",
            processors[p].name, 1e-3 * b->launch_ns[p], COSREL_BLOCKED_MODELS, source);
  }
  cosrel_samples *s = calloc(1, sizeof *s);
  cosrel_line line;
  if (!s) return COSREL_NOMEM;
  for (int k = 0; k < COSREL_BLOCKED_MODELS; ++k)
    for (uint32_t i = 0; i < cosrel_blocked_models[k].n_blocks; ++i)
      if (b->models[k].ns[NPU][0][i] > 0)
        cosrel_samples_add(s, b->models[k].in_elems[i] + b->models[k].out_elems[i], b->models[k].ns[NPU][0][i]);
  cosrel_status status = cosrel_line_fit(s, &line);
  size_t n = s->n;
  free(s);
  if (status) return cosrel_fail(error, status, "npu: no line through its blocks");
  b->launch_ns[NPU] = line.offset;
  fprintf(file,
          "launch,npu,%.0f,us,fitted,\"offset of the line over %zu blocks against the elements they read and write, "
          "+- %.0f us (%s/Layers.csv)\"\n",
          1e-3 * line.offset, n, 1e-3 * line.offset_se, source);
  /* Elements go there as fp32 and come back as int8. */
  static const struct {
    const char *of;
    double bytes;
  } ways[] = {{"cpu-big>npu", 4}, {"npu>cpu-big", 1}};
  for (size_t i = 0; i < 2; ++i) {
    fprintf(file, "transfer_latency,%s,0,us,fitted,\"inside the launch\"\n", ways[i].of);
    fprintf(
        file,
        "transfer_rate,%s,%.4g,ns/byte,fitted,\"slope of the line over %zu blocks: %.3g ns for each element read or "
        "written, conversion included (%s/Layers.csv)\"\n",
        ways[i].of, line.slope / ways[i].bytes, n, line.slope, source);
  }
  return COSREL_OK;
}

/* Boundaries where one tensor crosses: all models but YOLOv3, whose routes keep further ones alive. */
static cosrel_status fit_transfers(const board *b, const cosrel_csv *table, FILE *file, cosrel_error *error) {
  cosrel_samples *s = calloc(1, sizeof *s);
  if (!s) return COSREL_NOMEM;
  cosrel_status status = COSREL_OK;
  for (int from = LITTLE; from <= GPU && !status; ++from)
    for (int to = LITTLE; to <= GPU && !status; ++to) {
      bool seen[COSREL_BLOCKED_MODELS][COSREL_BLOCKS_MAX] = {{false}}; /* the table lists a boundary several times */
      cosrel_line line;
      s->n = 0;
      for (uint32_t r = 0; r < table->n_rows && from != to; ++r) {
        char name[32];
        uint32_t block;
        if (strcmp(cosrel_csv_cell(table, r, "src_processor"), processors[from].column) != 0 ||
            strcmp(cosrel_csv_cell(table, r, "dst_processor"), processors[to].column) != 0 ||
            sscanf(cosrel_csv_cell(table, r, "tensor"), "%31s layer %u boundary", name, &block) != 2)
          continue;
        for (int k = 0; k < COSREL_BLOCKED_MODELS; ++k) {
          const cosrel_blocked_model *blocked = &cosrel_blocked_models[k];
          if (!blocked->starts[0] || strcmp(name, blocked->table) != 0 || block >= blocked->n_blocks || seen[k][block])
            continue;
          seen[k][block] = true;
          cosrel_samples_add(s, 4 * b->models[k].out_elems[block], 1e3 * cosrel_csv_number(table, r, "latency_us", 0));
        }
      }
      if (from == to) continue;
      status = cosrel_line_fit(s, &line);
      if (status) {
        cosrel_fail(error, status, "transfer %s>%s: no fit", processors[from].name, processors[to].name);
        break;
      }
      const char *text = "robust line over %zu block boundaries, measured by themselves, fp32 (%s/Transfers.csv)";
      fprintf(file, "transfer_latency,%s>%s,%.4g,us,fitted,\"", processors[from].name, processors[to].name,
              1e-3 * line.offset);
      fprintf(file, text, s->n, source);
      fprintf(file, "\"\ntransfer_rate,%s>%s,%.4g,ns/byte,fitted,\"", processors[from].name, processors[to].name,
              line.slope);
      fprintf(file, text, s->n, source);
      fprintf(file, "\"\n");
    }
  free(s);
  return status;
}

/* Share of a block: its time less a launch, over the sum of those. Blocks of the npu are not corrected: what they carry
 * beside computing grows with their tensors, and taking it off would leave noise. */
static void write_blocks(const board *b, FILE *file) {
  fprintf(file, "model,block,units,cpu-little,cpu-big,gpu,npu\n");
  for (int k = 0; k < COSREL_BLOCKED_MODELS; ++k) {
    const measured *m = &b->models[k];
    uint32_t n = cosrel_blocked_models[k].n_blocks;
    double rest[PROCESSORS][COSREL_BLOCKS_MAX], sum[PROCESSORS] = {0};
    for (int p = 0; p < PROCESSORS; ++p)
      for (uint32_t i = 0; i < n; ++i) {
        double launch = p == NPU ? 0 : b->launch_ns[p];
        rest[p][i] = fmax(m->ns[p][0][i] - launch, 0.1 * m->ns[p][0][i]); /* the smallest blocks are hardly more */
        sum[p] += rest[p][i];
      }
    for (uint32_t i = 0; i < n; ++i) {
      fprintf(file, "%s,%u,", cosrel_blocked_models[k].name, i);
      for (uint32_t u = 0, listed = 0; u < m->model.n_units; ++u)
        if (m->block[u] == i) fprintf(file, "%s%s", listed++ ? " " : "", m->model.units[u].name);
      for (int p = 0; p < PROCESSORS; ++p) {
        fprintf(file, ",");
        if (sum[p] > 0) fprintf(file, "%.4g", rest[p][i] / sum[p]);
      }
      fprintf(file, "\n");
    }
  }
}

/* Speed: median over all blocks of the time at the top over the time here. Power: mean over time, less the idle board.
 */
static void write_points(const board *b, FILE *file) {
  fprintf(file, "processor,frequency_mhz,speed,busy_w,n,tag,source\n");
  for (int p = LITTLE; p <= GPU; ++p)
    for (uint32_t f = 0; f < processors[p].n_frequencies; ++f) {
      double ratio[COSREL_BLOCKED_MODELS * COSREL_BLOCKS_MAX], energy = 0, time = 0;
      size_t n = 0;
      for (int k = 0; k < COSREL_BLOCKED_MODELS; ++k)
        for (uint32_t i = 0; i < cosrel_blocked_models[k].n_blocks; ++i) {
          const measured *m = &b->models[k];
          if (!(m->ns[p][f][i] > 0 && m->ns[p][0][i] > 0 && m->mw[p][f][i] > 0)) continue;
          ratio[n++] = m->ns[p][0][i] / m->ns[p][f][i];
          energy += m->mw[p][f][i] * m->ns[p][f][i];
          time += m->ns[p][f][i];
        }
      if (n == 0) continue;
      fprintf(file, "%s,%.0f,%.4f,%.3f,%zu,fitted,%s/Layers.csv\n", processors[p].name, processors[p].khz[f] * 1e-3,
              median(ratio, n), 1e-3 * (energy / time - IDLE_BOARD_MW), n, source);
    }
}

static cosrel_status begin(const char *folder, const char *name, cosrel_atomic *out, cosrel_error *error) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return cosrel_atomic_begin(path, out, error);
}

static cosrel_status write_all(board *b, const cosrel_csv *transfers, const char *folder, cosrel_error *error) {
  cosrel_atomic out;
  cosrel_status status = begin(folder, "rk3399pro_fits.csv", &out, error);
  if (status) return status;
  fprintf(out.file, "quantity,of,value,unit,tag,source\n");
  status = fit_launches(b, out.file, error);
  if (status == COSREL_OK) status = fit_transfers(b, transfers, out.file, error);
  if (status) {
    cosrel_atomic_abort(&out);
    return status;
  }
  status = cosrel_atomic_commit(&out, error);
  if (status == COSREL_OK) status = begin(folder, "rk3399pro_blocks.csv", &out, error);
  if (status) return status;
  write_blocks(b, out.file);
  status = cosrel_atomic_commit(&out, error);
  if (status == COSREL_OK) status = begin(folder, "rk3399pro_points.csv", &out, error);
  if (status) return status;
  write_points(b, out.file);
  return cosrel_atomic_commit(&out, error);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    bool help = argc == 2 && strcmp(argv[1], "--help") == 0;
    fprintf(help ? stdout : stderr,
            "usage: fit_board FOLDER FIGURES\n"
            "FOLDER: tables of measured blocks (layer_latency_power_rk3399pro, transfer; .csv or .csv.gz)\n"
            "FIGURES: holds rk3399pro.csv; rk3399pro_blocks.csv, _points.csv and _fits.csv are written there\n"
            "example: fit_board ~/tables traces/figures\n");
    return help ? 0 : 2;
  }
  gsl_set_error_handler_off();
  cosrel_error error = {0};
  cosrel_csv blocks = {0}, transfers = {0}, whole = {0};
  board *b = calloc(1, sizeof *b);
  cosrel_status status = b ? COSREL_OK : COSREL_NOMEM;
  if (status == COSREL_OK) status = cosrel_table_read(argv[1], "layer_latency_power_rk3399pro", &blocks, &error);
  if (status == COSREL_OK) status = cosrel_table_read(argv[1], "transfer", &transfers, &error);
  if (status == COSREL_OK) status = cosrel_table_read(argv[2], "rk3399pro", &whole, &error);
  if (status == COSREL_OK) status = read_models(b, &whole, &error);
  if (status == COSREL_OK) {
    read_blocks(b, &blocks);
    status = write_all(b, &transfers, argv[2], &error);
  }
  for (int k = 0; b && k < COSREL_BLOCKED_MODELS; ++k) cosrel_model_clear(&b->models[k].model);
  free(b);
  cosrel_csv_clear(&whole);
  cosrel_csv_clear(&transfers);
  cosrel_csv_clear(&blocks);
  if (status) fprintf(stderr, "fit_board: %s\n", error.text[0] ? error.text : cosrel_status_text(status));
  return status ? 2 : 0;
}
