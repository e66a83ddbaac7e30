/* Fits what the bundled profiles are apportioned with, from tables of measured layers:
 *
 *     fit_efficiency FOLDER traces/figures
 *
 * FOLDER holds layer_latency, transfer and contention as .csv or .csv.gz. Those tables carry no licence, so they are
 * not part of this repository; what is fitted from them is (traces/figures/README.md says how and what each row means).
 *
 *   efficiency.csv   time of a unit kind: t = overhead + macs * ns_per_mac + bytes * ns_per_byte
 *   interaction.csv  time of a transfer: t = latency + bytes * ns_per_byte; median slowdown beside another processor
 *
 * traces/tools/parts/line.h says how a line is fitted. */
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "sched/model.h"
#include "traces/atomic.h"
#include "traces/csv.h"
#include "traces/tools/parts/line.h"

/* "in=1,64,73,73 out=1,80,73,73" */
static bool read_shape(const char *text, double in[3], double out[3]) {
  return sscanf(text, "in=1,%lf,%lf,%lf out=1,%lf,%lf,%lf", in, in + 1, in + 2, out, out + 1, out + 2) == 6 &&
         in[0] * in[1] * in[2] > 0 && out[0] * out[1] * out[2] > 0;
}

/* The last "AxB" in a name: "Mixed_6b/Branch_1/Conv2d_0b_1x7/Conv2D" is 1 by 7. */
static bool read_kernel(const char *name, double *taps) {
  bool found = false;
  for (const char *c = name; *c; ++c) {
    int a, b;
    if ((c == name || c[-1] < '0' || c[-1] > '9') && sscanf(c, "%dx%d", &a, &b) == 2 && a > 0 && b > 0 && a < 16 &&
        b < 16) {
      *taps = (double)a * b;
      found = true;
    }
  }
  return found;
}

/* Kind and work of a layer, from its name and shapes. Rows whose work the table does not give (concatenations list one
 * input only; padding, slices, constants) are left out. */
static bool classify(const char *op, const char *shape, cosrel_kind *kind, double *work) {
  double in[3], out[3], taps = 0;
  if (!read_shape(shape, in, out)) return false;
  const char *part = op;
  for (const char *c = op; (c = strstr(c, "___tr4")) != NULL; c += 6) part = c + 6; /* fused: the last is what ran */
  const char *leaf = strrchr(part, '/') ? strrchr(part, '/') + 1 : part;
  double n_in = in[0] * in[1] * in[2], n_out = out[0] * out[1] * out[2];

  if (strcmp(leaf, "Conv2D") == 0 && strncmp(part, "Inception", 9) == 0 && read_kernel(part, &taps)) {
    *kind = taps == 1 ? COSREL_KIND_CONV1X1 : COSREL_KIND_CONV;
    *work = taps * in[0] * n_out;
  } else if (strcmp(leaf, "separable_conv2d") == 0) { /* its pointwise half */
    *kind = COSREL_KIND_CONV1X1;
    *work = in[0] * n_out;
  } else if (strcmp(leaf, "depthwise") == 0 && read_kernel(part, &taps)) {
    *kind = COSREL_KIND_DEPTHWISE;
    *work = taps * n_out;
  } else if (strncmp(leaf, "AvgPool", 7) == 0 || strncmp(leaf, "MaxPool", 7) == 0) {
    *kind = COSREL_KIND_POOL;
    *work = 4 * (n_in + n_out);
  } else if (strncmp(leaf, "Relu", 4) == 0) {
    *kind = COSREL_KIND_ELEMENTWISE;
    *work = 4 * (n_in + n_out);
  } else if (strncmp(leaf, "add", 3) == 0 && (leaf[3] == 0 || leaf[3] == '_')) {
    *kind = COSREL_KIND_ELEMENTWISE;
    *work = 4 * (2 * n_in + n_out);
  } else {
    return false;
  }
  return true;
}

static const char source[] = "summerspringwei/DAG-Scheduler@9acc93f27b4f";

static bool counts_bytes(cosrel_kind kind) { return kind == COSREL_KIND_POOL || kind == COSREL_KIND_ELEMENTWISE; }

static cosrel_status fit_kinds(const cosrel_csv *table, FILE *file, cosrel_error *error) {
  static const struct {
    const char *soc, *column, *processor;
  } boards[] = {{"Snapdragon 855", "CPU big x4", "cpu"},
                {"Snapdragon 855", "GPU", "gpu"},
                {"Snapdragon 835", "CPU big x4", "cpu"},
                {"Snapdragon 835", "GPU", "gpu"}};
  static const cosrel_kind kinds[] = {COSREL_KIND_CONV, COSREL_KIND_CONV1X1, COSREL_KIND_DEPTHWISE, COSREL_KIND_POOL,
                                      COSREL_KIND_ELEMENTWISE};
  cosrel_samples *s = malloc(sizeof *s);
  if (!s) return COSREL_NOMEM;
  fprintf(file,
          "soc,processor,kind,unit,rate_ns,rate_se_ns,relative_to_conv,overhead_ns,overhead_se_ns,scatter,n,tag,"
          "source\n");
  cosrel_status status = COSREL_OK;
  for (size_t b = 0; b < sizeof boards / sizeof *boards; ++b) {
    double conv_rate = 0;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; ++k) {
      s->n = 0;
      for (uint32_t r = 0; r < table->n_rows; ++r) {
        cosrel_kind kind;
        double work, us = cosrel_csv_number(table, r, "latency_us", -1);
        if (strcmp(cosrel_csv_cell(table, r, "soc"), boards[b].soc) != 0 ||
            strcmp(cosrel_csv_cell(table, r, "processor"), boards[b].column) != 0 ||
            strcmp(cosrel_csv_cell(table, r, "model"), "lanenet") == 0 ||
            strcmp(cosrel_csv_cell(table, r, "quality"), "ok") != 0 || us <= 0 ||
            !classify(cosrel_csv_cell(table, r, "op"), cosrel_csv_cell(table, r, "shape"), &kind, &work) ||
            kind != kinds[k])
          continue;
        cosrel_samples_add(s, work, us * 1e3);
      }
      if (s->n < 10) continue;
      cosrel_line fit;
      status = cosrel_line_fit(s, &fit);
      if (status) {
        cosrel_fail(error, status, "%s %s %s: no fit", boards[b].soc, boards[b].processor, cosrel_kind_name(kinds[k]));
        goto done;
      }
      if (kinds[k] == COSREL_KIND_CONV) conv_rate = fit.slope;
      fprintf(file, "%s,%s,%s,%s,%.6g,%.2g,%.4g,%.4g,%.2g,%.3f,%zu,fitted,%s models/*/*layerwise-latency.csv (MNN)\n",
              boards[b].soc, boards[b].processor, cosrel_kind_name(kinds[k]), counts_bytes(kinds[k]) ? "byte" : "mac",
              fit.slope, fit.slope_se, fit.slope / conv_rate, fit.offset, fit.offset_se, fit.scatter, s->n, source);
    }
  }
done:
  free(s);
  return status;
}

/* Tables of several models list the same tensor at times: one observation counts once. */
static void add_once(cosrel_samples *s, double work, double ns) {
  for (size_t i = 0; i < s->n; ++i)
    if (s->work[i] == work && s->ns[i] == ns) return;
  cosrel_samples_add(s, work, ns);
}

static cosrel_status fit_transfers(const cosrel_csv *table, FILE *file, cosrel_error *error) {
  static const char *const ends[][2] = {{"CPU", "GPU"}, {"GPU", "CPU"}};
  static const char *const names[] = {"cpu>gpu", "gpu>cpu"};
  cosrel_samples *s = malloc(sizeof *s);
  if (!s) return COSREL_NOMEM;
  cosrel_status status = COSREL_OK;
  for (int d = 0; d < 2 && status == COSREL_OK; ++d) {
    s->n = 0;
    for (uint32_t r = 0; r < table->n_rows; ++r)
      if (strcmp(cosrel_csv_cell(table, r, "soc"), "Snapdragon 835") == 0 &&
          strcmp(cosrel_csv_cell(table, r, "src_processor"), ends[d][0]) == 0 &&
          strcmp(cosrel_csv_cell(table, r, "dst_processor"), ends[d][1]) == 0) {
        double bytes = cosrel_csv_number(table, r, "bytes_fp32", 0), us = cosrel_csv_number(table, r, "latency_us", 0);
        if (bytes > 0 && us > 0) add_once(s, bytes, us * 1e3);
      }
    cosrel_line fit;
    status = cosrel_line_fit(s, &fit);
    if (status) {
      cosrel_fail(error, status, "transfer %s: no fit", names[d]);
      break;
    }
    fprintf(file,
            "transfer_latency,%s,ns,%.5g,%.2g,%zu,fitted,robust line over %zu transfers on a Snapdragon 835 (%s "
            "models/*/*-data-trans.csv; MNN OpenCL; fp32 tensors)\n",
            names[d], fit.offset, fit.offset_se, s->n, s->n, source);
    fprintf(file,
            "transfer_rate,%s,ns/byte,%.5g,%.2g,%zu,fitted,robust line over %zu transfers on a Snapdragon 835 (%s "
            "models/*/*-data-trans.csv; MNN OpenCL; fp32 tensors)\n",
            names[d], fit.slope, fit.slope_se, s->n, s->n, source);
  }
  free(s);
  return status;
}

/* Median, 90th and 95th percentile of slowdowns. Values below one half are faults of the table (a GPU clock that had
 * not risen when the op was timed alone), not contention. */
static cosrel_status fit_contention(const cosrel_csv *table, FILE *file, cosrel_error *error) {
  static const struct {
    const char *name, *processor, *co_runner;
    const char *socs[2];
  } pairs[] = {{"cpu<gpu", "CPU", "GPU", {"Snapdragon 855", "Snapdragon 835"}},
               {"gpu<cpu", "GPU", "CPU", {"Snapdragon 855", ""}}};
  static const struct {
    const char *name;
    double at;
  } quantiles[] = {{"median", 0.5}, {"p90", 0.9}, {"p95", 0.95}};
  cosrel_samples *s = malloc(sizeof *s);
  if (!s) return COSREL_NOMEM;
  cosrel_status status = COSREL_OK;
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; ++i) {
    s->n = 0;
    for (uint32_t r = 0; r < table->n_rows && s->n < COSREL_SAMPLES_MAX; ++r) {
      const char *soc = cosrel_csv_cell(table, r, "soc");
      double slowdown = cosrel_csv_number(table, r, "slowdown", 0);
      if ((strcmp(soc, pairs[i].socs[0]) == 0 || strcmp(soc, pairs[i].socs[1]) == 0) && slowdown >= 0.5 &&
          strncmp(cosrel_csv_cell(table, r, "processor"), pairs[i].processor, 3) == 0 &&
          strncmp(cosrel_csv_cell(table, r, "co_runner"), pairs[i].co_runner, 3) == 0 &&
          strcmp(cosrel_csv_cell(table, r, "quality"), "ok") == 0)
        s->work[s->n++] = slowdown;
    }
    if (s->n < 10) {
      status = cosrel_fail(error, COSREL_FORMAT, "contention %s: expected at least 10 rows", pairs[i].name);
      break;
    }
    gsl_sort(s->work, 1, s->n);
    for (size_t q = 0; q < 3; ++q)
      fprintf(file, "slowdown_%s,%s,ratio,%.4f,,%zu,fitted,%s %s%s%s ops beside ops of the same model\n",
              quantiles[q].name, pairs[i].name, gsl_stats_quantile_from_sorted_data(s->work, 1, s->n, quantiles[q].at),
              s->n, source, pairs[i].socs[0], pairs[i].socs[1][0] ? " and " : "", pairs[i].socs[1]);
  }
  free(s);
  return status;
}

static cosrel_status write_figures(const char *folder, const char *name, const cosrel_csv *first,
                                   const cosrel_csv *second, cosrel_error *error) {
  char path[4096];
  cosrel_atomic out;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  cosrel_status status = cosrel_atomic_begin(path, &out, error);
  if (status) return status;
  if (!second) {
    status = fit_kinds(first, out.file, error);
  } else {
    fprintf(out.file, "quantity,of,unit,value,standard_error,n,tag,source\n");
    status = fit_transfers(first, out.file, error);
    if (status == COSREL_OK) status = fit_contention(second, out.file, error);
  }
  if (status == COSREL_OK) return cosrel_atomic_commit(&out, error);
  cosrel_atomic_abort(&out);
  return status;
}

int main(int argc, char **argv) {
  if (argc != 3 || strcmp(argv[1], "--help") == 0) {
    fprintf(stderr,
            "usage: fit_efficiency FOLDER FIGURES\n"
            "FOLDER: tables of measured layers (layer_latency, transfer, contention; .csv or .csv.gz)\n"
            "FIGURES: where efficiency.csv and interaction.csv are written\n"
            "example: fit_efficiency ~/tables traces/figures\n");
    return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
  }
  gsl_set_error_handler_off();
  cosrel_error error = {0};
  cosrel_csv layers = {0}, transfers = {0}, contention = {0};
  cosrel_status status = cosrel_table_read(argv[1], "layer_latency", &layers, &error);
  if (status == COSREL_OK) status = cosrel_table_read(argv[1], "transfer", &transfers, &error);
  if (status == COSREL_OK) status = cosrel_table_read(argv[1], "contention", &contention, &error);
  if (status == COSREL_OK) status = write_figures(argv[2], "efficiency.csv", &layers, NULL, &error);
  if (status == COSREL_OK) status = write_figures(argv[2], "interaction.csv", &transfers, &contention, &error);
  cosrel_csv_clear(&contention);
  cosrel_csv_clear(&transfers);
  cosrel_csv_clear(&layers);
  if (status) fprintf(stderr, "fit_efficiency: %s\n", error.text[0] ? error.text : cosrel_status_text(status));
  return status ? 2 : 0;
}
