/* The two linear programs of sched/bound.h, one GLPK problem.
 *
 * Everything is scaled by T_s, the isolated latency of stream s, so that all numbers are near 1. Columns:
 *   x[s][g][p] = T_s * executions per second of group g of stream s on processor p
 *   y[s][p]    = T_s * launches per second
 *   np[s]      = T_s * rate of s, its normalised progress
 *   t[s]       <= log np[s]                                    (only the second program values it)
 *   scale      = lambda * sum over s of r_s T_s                (only the first program values it)
 * Rows:
 *   sum over p of x[s][g][p] - np[s] = 0
 *   sum over s, g of (c / T_s) x + (launch / T_s) y <= 1       for each p
 *   np[s] - scale * r_s T_s / (sum over r T) = 0               first program only
 *   t[s] - np[s] / a <= log a - 1                              the tangent of log at a: a cut
 *   y[s][p] - x[s][g][p] >= 0                                  added when violated
 *
 * A group is a set of units whose costs stand in the same ratio on all processors (and are missing on the same ones).
 * Grouping is exact: give every unit of the group the cost-weighted mean of their shares; no capacity changes, and the
 * largest share, which y must cover, cannot grow. Rows y >= x are far more than those that bind (y covers its largest
 * x), so they come in when violated, and the dual simplex goes on from where it was. Cuts do the same (Kelley, SIAM J.
 * 1960): each round gives an upper bound on sum log np, the np found give a lower one, and it ends when they meet. */
#include "sched/bound.h"

#include <glpk.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#define VIOLATED 1e-8    /* of y >= x, in units of np */
#define G_TOLERANCE 2e-5 /* upper over lower bound on G, less 1 */
#define ROUNDS_MAX 400
#define SAME_RATIO 1e-9

typedef struct group {
  uint32_t stream;
  int column[COSREL_PROCESSORS_MAX];  /* 0: cannot run there */
  double cost[COSREL_PROCESSORS_MAX]; /* ns of all its units */
} group;

typedef struct program {
  const cosrel_case *c;
  glp_prob *lp;
  group *groups;
  uint32_t n_groups;
  int y[COSREL_STREAMS_MAX][COSREL_PROCESSORS_MAX], np[COSREL_STREAMS_MAX], t[COSREL_STREAMS_MAX], scale;
  int capacity[COSREL_PROCESSORS_MAX], demand[COSREL_STREAMS_MAX]; /* rows */
  double weight[COSREL_STREAMS_MAX], weights;                      /* r_s T_s in 1, and their sum */
  int *index;                                                      /* scratch of one row, 1-based */
  double *value;
  jmp_buf failed; /* where GLPK's error hook goes */
} program;

static double unit_cost(const cosrel_stream_case *sc, uint32_t u, uint32_t p) {
  return sc->limit[p][u] > u ? sc->mean[p][u + 1] - sc->mean[p][u] : -1;
}

/* Costs missing on the same processors, and in one ratio on the others? */
static bool same_ratio(const double *a, const double *b, uint32_t n_processors) {
  double sum_a = 0, sum_b = 0;
  for (uint32_t p = 0; p < n_processors; p++) {
    if ((a[p] < 0) != (b[p] < 0)) return false;
    if (a[p] > 0) sum_a += a[p];
    if (b[p] > 0) sum_b += b[p];
  }
  for (uint32_t p = 0; p < n_processors; p++)
    if (a[p] >= 0 && fabs(a[p] * sum_b - b[p] * sum_a) > SAME_RATIO * sum_a * sum_b) return false;
  return true;
}

static void collect_groups(program *prog) {
  const cosrel_case *c = prog->c;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    uint32_t first = prog->n_groups;
    for (uint32_t u = 0; u < c->streams[s].n_units; u++) {
      double cost[COSREL_PROCESSORS_MAX];
      for (uint32_t p = 0; p < c->n_processors; p++) cost[p] = unit_cost(&c->streams[s], u, p);
      uint32_t g = first;
      while (g < prog->n_groups && !same_ratio(prog->groups[g].cost, cost, c->n_processors)) g++;
      group *into = &prog->groups[g];
      if (g == prog->n_groups) {
        prog->n_groups++;
        into->stream = s;
        memcpy(into->cost, cost, sizeof cost);
        continue;
      }
      for (uint32_t p = 0; p < c->n_processors; p++)
        if (cost[p] > 0) into->cost[p] += cost[p];
    }
  }
}

static int add_column(program *prog, double upper) {
  int j = glp_add_cols(prog->lp, 1);
  if (upper == INFINITY)
    glp_set_col_bnds(prog->lp, j, GLP_LO, 0, 0);
  else
    glp_set_col_bnds(prog->lp, j, GLP_UP, 0, upper);
  return j;
}

static int add_row(program *prog, int kind, double bound, int length) {
  int i = glp_add_rows(prog->lp, 1);
  glp_set_row_bnds(prog->lp, i, kind, bound, bound);
  glp_set_mat_row(prog->lp, i, length, prog->index, prog->value);
  return i;
}

static void put(program *prog, int *length, int column, double value) {
  prog->index[++*length] = column;
  prog->value[*length] = value;
}

static void build(program *prog) {
  const cosrel_case *c = prog->c;
  prog->lp = glp_create_prob();
  glp_set_obj_dir(prog->lp, GLP_MAX);
  for (uint32_t s = 0; s < c->n_streams; s++) {
    prog->np[s] = add_column(prog, INFINITY);
    for (uint32_t p = 0; p < c->n_processors; p++) prog->y[s][p] = add_column(prog, INFINITY);
  }
  prog->scale = add_column(prog, INFINITY);
  for (uint32_t g = 0; g < prog->n_groups; g++)
    for (uint32_t p = 0; p < c->n_processors; p++)
      if (prog->groups[g].cost[p] >= 0) prog->groups[g].column[p] = add_column(prog, INFINITY);

  for (uint32_t p = 0; p < c->n_processors; p++) {
    int length = 0;
    for (uint32_t g = 0; g < prog->n_groups; g++)
      if (prog->groups[g].column[p] != 0)
        put(prog, &length, prog->groups[g].column[p],
            prog->groups[g].cost[p] / c->streams[prog->groups[g].stream].isolated_ns);
    for (uint32_t s = 0; s < c->n_streams; s++)
      put(prog, &length, prog->y[s][p], c->launch_ns[p] / c->streams[s].isolated_ns);
    prog->capacity[p] = add_row(prog, GLP_UP, 1, length);
  }
  for (uint32_t s = 0; s < c->n_streams; s++) {
    int length = 0;
    put(prog, &length, prog->np[s], 1);
    put(prog, &length, prog->scale, -prog->weight[s] / prog->weights);
    prog->demand[s] = add_row(prog, GLP_FX, 0, length);
  }
  for (uint32_t g = 0; g < prog->n_groups; g++) {
    int length = 0;
    for (uint32_t p = 0; p < c->n_processors; p++)
      if (prog->groups[g].column[p] != 0) put(prog, &length, prog->groups[g].column[p], 1);
    put(prog, &length, prog->np[prog->groups[g].stream], -1);
    add_row(prog, GLP_FX, 0, length);
  }
}

/* Adds y >= x where it fails most, once per stream and processor; returns how many rows that took. */
static int add_violated(program *prog) {
  uint32_t worst[COSREL_STREAMS_MAX][COSREL_PROCESSORS_MAX];
  double by[COSREL_STREAMS_MAX][COSREL_PROCESSORS_MAX] = {{0}};
  int added = 0;
  for (uint32_t g = 0; g < prog->n_groups; g++) {
    uint32_t s = prog->groups[g].stream;
    for (uint32_t p = 0; p < prog->c->n_processors; p++) {
      if (prog->groups[g].column[p] == 0 || prog->c->launch_ns[p] <= 0) continue;
      double over = glp_get_col_prim(prog->lp, prog->groups[g].column[p]) - glp_get_col_prim(prog->lp, prog->y[s][p]);
      if (over > VIOLATED && over > by[s][p]) by[s][p] = over, worst[s][p] = g;
    }
  }
  for (uint32_t s = 0; s < prog->c->n_streams; s++)
    for (uint32_t p = 0; p < prog->c->n_processors; p++) {
      if (by[s][p] <= 0) continue;
      int length = 0;
      put(prog, &length, prog->y[s][p], 1);
      put(prog, &length, prog->groups[worst[s][p]].column[p], -1);
      add_row(prog, GLP_LO, 0, length);
      added++;
    }
  return added;
}

/* Every device does some work, so an optimum in which no stream makes progress is none. */
static bool plausible(const program *prog) {
  if (glp_get_status(prog->lp) != GLP_OPT) return true; /* says so itself */
  for (uint32_t s = 0; s < prog->c->n_streams; s++)
    if (!(glp_get_col_prim(prog->lp, prog->np[s]) > 0)) return false;
  return true;
}

/* Solves to optimality over all rows y >= x. */
static cosrel_status optimise(program *prog) {
  glp_smcp how;
  glp_init_smcp(&how);
  how.msg_lev = GLP_MSG_OFF;
  how.meth = GLP_DUALP; /* falls back to the primal simplex where the basis is not dual feasible */
  for (int round = 0; round < ROUNDS_MAX; round++) {
    if (glp_simplex(prog->lp, &how) != 0 || !plausible(prog)) {
      /* A singular basis, or one in a thousand programs where GLPK calls nothing at all the best: start over. */
      glp_std_basis(prog->lp);
      how.meth = GLP_PRIMAL;
      if (glp_simplex(prog->lp, &how) != 0 || !plausible(prog)) return COSREL_INTERNAL;
      how.meth = GLP_DUALP;
    }
    if (glp_get_status(prog->lp) != GLP_OPT) return COSREL_INFEASIBLE;
    if (add_violated(prog) == 0) return COSREL_OK;
  }
  return COSREL_INTERNAL;
}

/* Duals of the capacities, made to sum to 1. */
static void read_prices(const program *prog, double *price) {
  double sum = 0;
  for (uint32_t p = 0; p < prog->c->n_processors; p++) {
    price[p] = fmax(0, glp_get_row_dual(prog->lp, prog->capacity[p]));
    sum += price[p];
  }
  for (uint32_t p = 0; p < prog->c->n_processors; p++)
    price[p] = sum > 0 ? price[p] / sum : 1.0 / prog->c->n_processors;
}

static cosrel_status solve_lambda(program *prog, cosrel_bound *out) {
  const cosrel_case *c = prog->c;
  glp_set_obj_coef(prog->lp, prog->scale, 1);
  glp_adv_basis(prog->lp, 0);
  cosrel_status status = optimise(prog);
  if (status != COSREL_OK) return status;
  out->lambda_star = glp_get_col_prim(prog->lp, prog->scale) / prog->weights;
  read_prices(prog, out->price);
  double busy[COSREL_STREAMS_MAX][COSREL_PROCESSORS_MAX] = {{0}};
  for (uint32_t g = 0; g < prog->n_groups; g++)
    for (uint32_t p = 0; p < c->n_processors; p++)
      if (prog->groups[g].column[p] != 0)
        busy[prog->groups[g].stream][p] +=
            prog->groups[g].cost[p] * glp_get_col_prim(prog->lp, prog->groups[g].column[p]);
  for (uint32_t s = 0; s < c->n_streams; s++) {
    double sum = 0;
    for (uint32_t p = 0; p < c->n_processors; p++) {
      busy[s][p] += c->launch_ns[p] * glp_get_col_prim(prog->lp, prog->y[s][p]);
      out->utilisation[p] += busy[s][p] / c->streams[s].isolated_ns;
      sum += busy[s][p];
    }
    for (uint32_t p = 0; p < c->n_processors; p++) out->share[s][p] = sum > 0 ? busy[s][p] / sum : 0;
  }
  return COSREL_OK;
}

static void add_tangent(program *prog, uint32_t s, double at) {
  int length = 0;
  put(prog, &length, prog->t[s], 1);
  put(prog, &length, prog->np[s], -1 / at);
  add_row(prog, GLP_UP, log(at) - 1, length);
}

static cosrel_status solve_g(program *prog, cosrel_bound *out) {
  const cosrel_case *c = prog->c;
  glp_set_obj_coef(prog->lp, prog->scale, 0);
  for (uint32_t s = 0; s < c->n_streams; s++) {
    glp_set_row_bnds(prog->lp, prog->demand[s], GLP_FR, 0, 0);
    prog->t[s] = add_column(prog, INFINITY);
    glp_set_col_bnds(prog->lp, prog->t[s], GLP_FR, 0, 0);
    glp_set_obj_coef(prog->lp, prog->t[s], 1);
    /* Progress lies between an even split of one processor and every processor for one stream. */
    for (double at = 0.25 / c->n_streams; at < 2.0 * c->n_processors; at *= 2) add_tangent(prog, s, at);
  }
  for (int round = 0; round < ROUNDS_MAX; round++) {
    cosrel_status status = optimise(prog);
    if (status != COSREL_OK) return status;
    double upper = glp_get_obj_val(prog->lp), lower = 0;
    for (uint32_t s = 0; s < c->n_streams; s++) {
      out->np[s] = glp_get_col_prim(prog->lp, prog->np[s]);
      lower += log(out->np[s]);
    }
    out->g_star = exp(upper / c->n_streams);
    read_prices(prog, out->g_price);
    if (upper - lower <= G_TOLERANCE * c->n_streams) return COSREL_OK;
    for (uint32_t s = 0; s < c->n_streams; s++)
      if (glp_get_col_prim(prog->lp, prog->t[s]) - log(fmax(out->np[s], 1e-9)) > 0.5 * G_TOLERANCE)
        add_tangent(prog, s, fmax(out->np[s], 1e-9));
  }
  return COSREL_INTERNAL;
}

/* GLPK aborts the program after an error, unless the hook jumps; its environment is then of no use. */
static void on_error(void *info) { longjmp(((program *)info)->failed, 1); }

static cosrel_status solve(program *prog, cosrel_bound *out) {
  const int chatty = glp_term_out(GLP_OFF);
  if (setjmp(prog->failed) != 0) {
    glp_free_env();
    prog->lp = NULL;
    return COSREL_INTERNAL;
  }
  glp_error_hook(on_error, prog);
  collect_groups(prog);
  build(prog);
  cosrel_status status = solve_lambda(prog, out);
  if (status == COSREL_OK) status = solve_g(prog, out);
  glp_delete_prob(prog->lp);
  glp_error_hook(NULL, NULL);
  glp_term_out(chatty);
  return status;
}

cosrel_status cosrel_bound_solve(const cosrel_case *c, cosrel_bound *out, cosrel_error *error) {
  memset(out, 0, sizeof *out);
  program *prog = calloc(1, sizeof *prog);
  if (prog == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory for the bound");
  cosrel_status status = COSREL_NOMEM;
  size_t units = 0;
  prog->c = c;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    units += c->streams[s].n_units;
    prog->weight[s] = c->workload->streams[s].arrivals.rate_hz * c->streams[s].isolated_ns * 1e-9;
    prog->weights += prog->weight[s];
  }
  size_t width = units + COSREL_STREAMS_MAX + COSREL_PROCESSORS_MAX + 2;
  prog->groups = calloc(units, sizeof *prog->groups);
  prog->index = calloc(width, sizeof *prog->index);
  prog->value = calloc(width, sizeof *prog->value);
  if (prog->groups != NULL && prog->index != NULL && prog->value != NULL) status = solve(prog, out);
  if (status != COSREL_OK)
    cosrel_fail(error, status, "the bound of workload %s on profile %s was not found: %s", c->workload->name,
                c->profile->name, cosrel_status_text(status));
  free(prog->groups);
  free(prog->index);
  free(prog->value);
  free(prog);
  return status;
}

void cosrel_bound_apply(const cosrel_bound *bound, cosrel_case *c) {
  bool closed = cosrel_case_is_closed(c);
  c->lambda_star = bound->lambda_star;
  c->g_star = bound->g_star;
  for (uint32_t p = 0; p < c->n_processors; p++) c->price[p] = closed ? bound->g_price[p] : bound->price[p];
}
