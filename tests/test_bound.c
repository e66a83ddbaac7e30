/* The bounds against sums done by hand, exhaustive search and duality. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/bound.h"
#include "tests/fixtures.h"

static cosrel_bound solve(const fixture *f) {
  cosrel_bound bound;
  cosrel_error error = {""};
  cosrel_status status = cosrel_bound_solve(&f->c, &bound, &error);
  if (status != COSREL_OK) fail_msg("%s", error.text);
  return bound;
}

static void near(double a, double b, double relative) {
  if (!(fabs(a - b) <= relative * fabs(b))) fail_msg("%.12g is not within %g of %.12g", a, relative, b);
}

/* One unit of 2 ms on cpu or 1 ms on gpu, launches of 0.5 ms: 1/2.5 + 1/1.5 requests per ms, 16/15. The gpu's time is
 * worth 2.5/1.5 of the cpu's. T = 1.5 ms, so NP = 1.6. */
static void test_one_unit(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "m", 1, (double[]){2, 1});
  fixture_overheads(&f, 0.5, 0);
  fixture_stream(&f, "m", COSREL_ARRIVALS_POISSON, 100);
  fixture_compile(&f);
  cosrel_bound b = solve(&f);
  near(b.lambda_star, 16000.0 / 15 / 100, 1e-7);
  near(b.price[0], 1.5 / 4, 1e-7);
  near(b.price[1], 2.5 / 4, 1e-7);
  near(b.utilisation[0], 1, 1e-7);
  near(b.utilisation[1], 1, 1e-7);
  near(b.share[0][0], 0.5, 1e-7);
  near(b.g_star, 1.6, 1e-4);
  fixture_end(&f);
}

/* Two streams of one processor each: the busier one decides lambda, each its own share of G. Stream 0: 4 ms at 100 Hz
 * on cpu only; stream 1: 5 ms at 50 Hz on gpu only. lambda = 1/0.4; NP of both is 1 (launch counted in T too). */
static void test_separate(void **unused) {
  (void)unused;
  fixture f;
  fixture_begin(&f, 2);
  fixture_chain(&f, "a", 2, (double[]){1, -1, 3, -1});
  fixture_chain(&f, "b", 1, (double[]){-1, 5});
  fixture_stream(&f, "a", COSREL_ARRIVALS_POISSON, 100);
  fixture_stream(&f, "b", COSREL_ARRIVALS_POISSON, 50);
  fixture_compile(&f);
  cosrel_bound b = solve(&f);
  near(b.lambda_star, 2.5, 1e-7);
  near(b.price[0], 1, 1e-7);
  near(b.utilisation[1], 0.625, 1e-6);
  near(b.share[0][0], 1, 1e-7);
  near(b.share[1][1], 1, 1e-7);
  near(b.g_star, 1, 1e-4);
  near(b.np[0], 1, 1e-3);
  near(b.np[1], 1, 1e-3);
  fixture_end(&f);
}

static double cost(const cosrel_case *c, uint32_t s, uint32_t u, uint32_t p) {
  return c->streams[s].limit[p][u] > u ? c->streams[s].mean[p][u + 1] - c->streams[s].mean[p][u] : INFINITY;
}

/* Largest a * b with load_a[p] a + load_b[p] b <= 1 for both p. */
static double best_product(const double *load_a, const double *load_b) {
  double best = 0;
  double try[3] = {0.5 / load_a[0], 0.5 / load_a[1], 0};
  double det = load_a[0] * load_b[1] - load_a[1] * load_b[0];
  if (det != 0) try[2] = (load_b[1] - load_b[0]) / det;
  for (int i = 0; i < 3; i++) {
    double a = try[i], b = INFINITY;
    if (!(a > 0) || a > 1e9) continue;
    for (int p = 0; p < 2; p++) b = fmin(b, (1 - load_a[p] * a) / load_b[p]);
    if (b > 0 && a * b > best) best = a * b;
  }
  return best;
}

/* Two streams of two units on two processors with launches: every share of every unit on a grid. The programs may only
 * be better, and not by more than the grid is coarse. */
static void test_exhaustive(void **unused) {
  (void)unused;
  enum { STEPS = 20 };
  for (uint64_t key = 1; key <= 4; key++) {
    fixture f;
    fixture_begin(&f, 2);
    double ms[8];
    for (int i = 0; i < 8; i++) ms[i] = 0.5 + 3 * cosrel_rng_uniform(cosrel_rng_key(key, (uint64_t)i));
    fixture_chain(&f, "a", 2, ms);
    fixture_chain(&f, "b", 2, ms + 4);
    fixture_overheads(&f, key % 2 ? 0.3 : 0, 0);
    fixture_stream(&f, "a", COSREL_ARRIVALS_POISSON, 60);
    fixture_stream(&f, "b", COSREL_ARRIVALS_POISSON, 100);
    fixture_compile(&f);
    cosrel_bound b = solve(&f);

    double lambda = 0, product = 0;
    for (int code = 0; code < (STEPS + 1) * (STEPS + 1) * (STEPS + 1) * (STEPS + 1); code++) {
      double load[2][2] = {{0}};
      for (uint32_t s = 0, rest = (uint32_t)code; s < 2; s++) {
        double launches[2] = {0};
        for (uint32_t u = 0; u < 2; u++, rest /= STEPS + 1) {
          double gpu = (double)(rest % (STEPS + 1)) / STEPS, share[2] = {1 - gpu, gpu};
          for (uint32_t p = 0; p < 2; p++) {
            load[s][p] += share[p] * cost(&f.c, s, u, p);
            launches[p] = fmax(launches[p], share[p]);
          }
        }
        for (uint32_t p = 0; p < 2; p++) load[s][p] = 1e-9 * (load[s][p] + launches[p] * f.c.launch_ns[p]);
      }
      double busiest = 0, sum[2];
      for (uint32_t p = 0; p < 2; p++) {
        sum[p] = 60 * load[0][p] + 100 * load[1][p];
        busiest = fmax(busiest, sum[p]);
      }
      lambda = fmax(lambda, 1 / busiest);
      product = fmax(product, best_product((double[]){load[0][0] + 1e-15, load[0][1] + 1e-15},
                                           (double[]){load[1][0] + 1e-15, load[1][1] + 1e-15}));
    }
    double g = sqrt(product * f.c.streams[0].isolated_ns * 1e-9 * f.c.streams[1].isolated_ns * 1e-9);
    assert_true(b.lambda_star >= lambda * (1 - 1e-7));
    near(b.lambda_star, lambda, 0.03);
    assert_true(b.g_star >= g * (1 - 1e-6));
    near(b.g_star, g, 0.02);
    fixture_end(&f);
  }
}

/* Cheapest priced request: the processors used, then every unit on the cheapest of them. */
static double priced(const cosrel_case *c, uint32_t s, const double *price) {
  double best = INFINITY;
  for (uint32_t set = 1; set < 1u << c->n_processors; set++) {
    double sum = 0;
    for (uint32_t p = 0; p < c->n_processors; p++)
      if (set >> p & 1) sum += price[p] * c->launch_ns[p];
    for (uint32_t u = 0; u < c->streams[s].n_units; u++) {
      double least = INFINITY;
      for (uint32_t p = 0; p < c->n_processors; p++)
        if (set >> p & 1 && cost(c, s, u, p) < INFINITY) least = fmin(least, price[p] * cost(c, s, u, p));
      sum += least;
    }
    best = fmin(best, sum);
  }
  return best * 1e-9;
}

static double dual_lambda(const cosrel_case *c, const double *price) {
  double sum = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) sum += c->workload->streams[s].arrivals.rate_hz * priced(c, s, price);
  return 1 / sum;
}

static double dual_g(const cosrel_case *c, const double *price) {
  double sum = 0;
  for (uint32_t s = 0; s < c->n_streams; s++)
    sum += log(c->streams[s].isolated_ns * 1e-9 / (c->n_streams * priced(c, s, price)));
  return exp(sum / c->n_streams);
}

static void random_case(fixture *f, uint32_t n_processors, double launch_ms, uint64_t key) {
  static const char *names[] = {"a", "b", "c", "d", "e", "f"};
  fixture_begin(f, n_processors);
  for (uint32_t s = 0; s < 4; s++) fixture_random_model(f, names[s], 12, s % 2, cosrel_rng_key(key, s));
  fixture_overheads(f, launch_ms, 0.1);
  for (uint32_t s = 0; s < 4; s++) fixture_stream(f, names[s], COSREL_ARRIVALS_POISSON, 20 + 10 * s);
  fixture_compile(f);
}

/* Any prices bound both programs from above; the duals found reach them. Where a request's cheapest use of processors
 * with launches is a cut problem (two processors) or trivial (no launches), the enumeration above is the exact dual. */
static void test_duality(void **unused) {
  (void)unused;
  for (uint64_t key = 1; key <= 12; key++) {
    uint32_t n_processors = key % 2 ? 2 : 4;
    fixture f;
    random_case(&f, n_processors, n_processors == 2 ? 0.7 : 0, key);
    cosrel_bound b = solve(&f);
    for (uint64_t draw = 0; draw < 50; draw++) {
      double price[COSREL_PROCESSORS_MAX], sum = 0;
      for (uint32_t p = 0; p < n_processors; p++)
        sum += price[p] = cosrel_rng_exponential(cosrel_rng_key(cosrel_rng_key(key, draw), p));
      for (uint32_t p = 0; p < n_processors; p++) price[p] /= sum;
      assert_true(dual_lambda(&f.c, price) >= b.lambda_star * (1 - 1e-6));
      assert_true(dual_g(&f.c, price) >= b.g_star * (1 - 1e-4));
    }
    near(dual_lambda(&f.c, b.price), b.lambda_star, 1e-6);
    near(dual_g(&f.c, b.g_price), b.g_star, 2e-3);
    fixture_end(&f);
  }
}

/* A faster device is never worse, a dearer launch never better. */
static void test_monotone(void **unused) {
  (void)unused;
  for (uint64_t key = 1; key <= 5; key++) {
    fixture f, dear;
    random_case(&f, 3, 0.2, key);
    random_case(&dear, 3, 0.6, key);
    cosrel_bound b = solve(&f), worse = solve(&dear);
    assert_true(worse.lambda_star < b.lambda_star);
    double rate = 0, worse_rate = 0; /* NP is relative to T, which a launch makes longer too: compare rates */
    for (uint32_t s = 0; s < 4; s++) {
      rate += log(f.c.streams[s].isolated_ns);
      worse_rate += log(dear.c.streams[s].isolated_ns);
    }
    assert_true(log(worse.g_star) - worse_rate / 4 < log(b.g_star) - rate / 4);
    for (uint32_t u = 0; u < 12; u++)
      for (int k = 0; k < COSREL_PRECISION_COUNT; k++) {
        cosrel_cost *unit = cosrel_profile_cost(&dear.profile, 0, u, 1, (cosrel_precision)k);
        if (unit->mean_ns > 0) unit->mean_ns *= 0.5;
      }
    cosrel_case_destroy(&dear.c);
    fixture_compile(&dear);
    assert_true(solve(&dear).lambda_star >= worse.lambda_star * (1 - 1e-7));
    fixture_end(&f);
    fixture_end(&dear);
  }
}

/* Units in one cost ratio are grouped: cutting each unit in two changes nothing. */
static void test_grouping(void **unused) {
  (void)unused;
  fixture whole, cut;
  double ms[6 * 3], halves[12 * 3];
  for (int i = 0; i < 18; i++) {
    ms[i] = 0.5 + cosrel_rng_uniform((uint64_t)i);
    halves[6 * (i / 3) + i % 3] = ms[i] * 0.25;
    halves[6 * (i / 3) + 3 + i % 3] = ms[i] * 0.75;
  }
  fixture_begin(&whole, 3);
  fixture_begin(&cut, 3);
  fixture_chain(&whole, "m", 6, ms);
  fixture_chain(&cut, "m", 12, halves);
  fixture *both[] = {&whole, &cut};
  for (int i = 0; i < 2; i++) {
    fixture_overheads(both[i], 0.4, 0);
    fixture_stream(both[i], "m", COSREL_ARRIVALS_POISSON, 30);
    fixture_compile(both[i]);
  }
  cosrel_bound a = solve(&whole), b = solve(&cut);
  near(b.lambda_star, a.lambda_star, 1e-7);
  near(b.g_star, a.g_star, 1e-4);
  fixture_end(&whole);
  fixture_end(&cut);
}

/* Prices go into a case by how its streams arrive. */
static void test_apply(void **unused) {
  (void)unused;
  fixture f;
  random_case(&f, 3, 0.1, 9);
  cosrel_bound b = solve(&f);
  cosrel_bound_apply(&b, &f.c);
  assert_memory_equal(f.c.price, b.price, 3 * sizeof(double));
  near(f.c.price[0] + f.c.price[1] + f.c.price[2], 1, 1e-9);
  assert_true(f.c.lambda_star == b.lambda_star && f.c.g_star == b.g_star);
  cosrel_case_set_arrivals(&f.c, COSREL_ARRIVALS_CLOSED);
  cosrel_bound_apply(&b, &f.c);
  assert_memory_equal(f.c.price, b.g_price, 3 * sizeof(double));
  fixture_end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_unit), cmocka_unit_test(test_separate), cmocka_unit_test(test_exhaustive),
      cmocka_unit_test(test_duality),  cmocka_unit_test(test_monotone), cmocka_unit_test(test_grouping),
      cmocka_unit_test(test_apply),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
