/* The loader: what is prepared at any time stays within the sets that it was told, what is pinned is not released, a
 * failure is told to whoever waits; and every backend can prepare and release one network while another computes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <time.h>

#include "backends/runtime/loader.h"
#include "tests/net_aid.h"

enum { NETWORKS = 6, ROUNDS = 3000 };

/* ---- A double that keeps a ledger ---- */

typedef struct ledger {
  cosrel_backend base;
  cosrel_backend_ops ops;
  pthread_mutex_t lock;
  uint64_t there, sets[2 * ROUNDS]; /* networks prepared; the sets that the loader was told so far */
  uint32_t n_sets;
  uint64_t refused; /* networks whose next prepare fails */
  uint32_t n_prepares, n_bad;
} ledger;

static cosrel_network networks[NETWORKS];

static cosrel_status ledger_prepare(cosrel_backend *backend, const cosrel_network *network, const uint8_t *precisions,
                                    cosrel_prepared **out, cosrel_error *error) {
  (void)precisions;
  ledger *l = (ledger *)backend;
  uint64_t bit = (uint64_t)1 << (network - networks);
  (void)error;
  pthread_mutex_lock(&l->lock);
  l->n_prepares++;
  bool refuse = (l->refused & bit) != 0;
  l->refused &= ~bit;
  if (!refuse) {
    l->n_bad += (l->there & bit) != 0; /* twice */
    l->there |= bit;
    uint32_t i = l->n_sets; /* a prepare takes its time: the set that it was for may not be the last one */
    while (i > 0 && (l->there & ~l->sets[i - 1]) != 0) i--;
    l->n_bad += i == 0;
  }
  pthread_mutex_unlock(&l->lock);
  *out = (cosrel_prepared *)(void *)network;
  return refuse ? COSREL_NOMEM : COSREL_OK;
}

static void ledger_release(cosrel_backend *backend, cosrel_prepared *prepared) {
  ledger *l = (ledger *)backend;
  uint64_t bit = (uint64_t)1 << ((const cosrel_network *)(void *)prepared - networks);
  pthread_mutex_lock(&l->lock);
  l->n_bad += (l->there & bit) == 0;
  l->there &= ~bit;
  pthread_mutex_unlock(&l->lock);
}

static void ledger_begin(ledger *l, cosrel_machine *machine) {
  *l = (ledger){.ops = {.struct_size = sizeof l->ops, .prepare = ledger_prepare, .release = ledger_release}};
  l->base.ops = &l->ops;
  pthread_mutex_init(&l->lock, NULL);
  *machine = (cosrel_machine){.n_processors = 1, .n_networks = NETWORKS, .backends = {&l->base}};
  for (uint32_t n = 0; n < NETWORKS; n++) machine->networks[n] = &networks[n];
}

static void tell(ledger *l, cosrel_loader *loader, uint64_t set) {
  pthread_mutex_lock(&l->lock);
  l->sets[l->n_sets++] = set;
  pthread_mutex_unlock(&l->lock);
  cosrel_loader_hold(loader, set);
}

static void await_prepares(ledger *l, uint32_t n) {
  for (bool there = false; !there;) {
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    pthread_mutex_lock(&l->lock);
    there = l->n_prepares >= n;
    pthread_mutex_unlock(&l->lock);
  }
}

/* As the engine does it: each segment's network is in the new set, with some that were there and some that were not. */
static void test_sets_change_under_a_worker(void **unused) {
  (void)unused;
  ledger l;
  cosrel_machine machine;
  cosrel_loader *loader;
  cosrel_error error = {""};
  ledger_begin(&l, &machine);
  assert_int_equal(cosrel_loader_create(&machine, 0, &loader, &error), COSREL_OK);
  for (uint64_t i = 0; i < ROUNDS; i++) {
    uint32_t network = cosrel_rng_below(cosrel_rng_key(1, i), NETWORKS);
    uint64_t set = cosrel_rng_below(cosrel_rng_key(2, i), 1u << NETWORKS) | (uint64_t)1 << network;
    cosrel_prepared *prepared;
    cosrel_loader_pin(loader, network);
    tell(&l, loader, set);
    assert_int_equal(cosrel_loader_take(loader, &prepared), COSREL_OK);
    assert_ptr_equal(prepared, &networks[network]);
    if (i % 3 == 0) tell(&l, loader, (uint64_t)1 << network | (set & i)); /* a prefetch that changes its mind */
    pthread_mutex_lock(&l.lock);
    assert_true(l.there >> network & 1);
    pthread_mutex_unlock(&l.lock);
    cosrel_loader_give_back(loader);
  }
  cosrel_loader_stats stats = cosrel_loader_get_stats(loader, true);
  assert_true(stats.n_loads > 100 && stats.n_releases > 100 && stats.n_loads >= stats.n_releases);
  cosrel_loader_destroy(loader);
  assert_int_equal(l.n_bad, 0);
  assert_int_equal(l.there, 0);
  pthread_mutex_destroy(&l.lock);
}

/* What could not be fetched ahead is tried again for the segment that needs it. */
static void test_failures(void **unused) {
  (void)unused;
  ledger l;
  cosrel_machine machine;
  cosrel_loader *loader;
  cosrel_prepared *prepared;
  cosrel_error error = {""};
  ledger_begin(&l, &machine);
  assert_int_equal(cosrel_loader_create(&machine, 0, &loader, &error), COSREL_OK);
  l.refused = 0x3;
  cosrel_loader_pin(loader, 0);
  tell(&l, loader, 0x1);
  assert_int_equal(cosrel_loader_take(loader, &prepared), COSREL_NOMEM);
  cosrel_loader_give_back(loader);
  cosrel_loader_pin(loader, 0);
  assert_int_equal(cosrel_loader_take(loader, &prepared), COSREL_OK);
  tell(&l, loader, 0x3);
  await_prepares(&l, 3);
  cosrel_loader_give_back(loader);
  cosrel_loader_pin(loader, 1);
  assert_int_equal(cosrel_loader_take(loader, &prepared), COSREL_OK);
  cosrel_loader_give_back(loader);
  assert_int_equal(l.n_prepares, 4);
  cosrel_loader_pin(loader, 5); /* nobody says that it is to be there */
  cosrel_loader_quit(loader);
  assert_int_equal(cosrel_loader_take(loader, &prepared), COSREL_INTERRUPTED);
  cosrel_loader_destroy(loader);
  assert_int_equal(l.there, 0);
  pthread_mutex_destroy(&l.lock);
}

/* What a worker computes with stays, and nothing comes beside it that the set has no room for. */
static void test_what_is_pinned_stays(void **unused) {
  (void)unused;
  ledger l;
  cosrel_machine machine;
  cosrel_loader *loader;
  cosrel_prepared *prepared;
  cosrel_error error = {""};
  ledger_begin(&l, &machine);
  assert_int_equal(cosrel_loader_create(&machine, 0, &loader, &error), COSREL_OK);
  cosrel_loader_pin(loader, 0);
  tell(&l, loader, 0x1);
  assert_int_equal(cosrel_loader_take(loader, &prepared), COSREL_OK);
  tell(&l, loader, 0x2);
  nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* time enough to do it wrong */
  pthread_mutex_lock(&l.lock);
  assert_int_equal(l.there, 0x1);
  assert_int_equal(l.n_prepares, 1);
  pthread_mutex_unlock(&l.lock);
  cosrel_loader_give_back(loader);
  await_prepares(&l, 2);
  cosrel_loader_destroy(loader);
  assert_int_equal(l.n_bad, 0);
  pthread_mutex_destroy(&l.lock);
}

/* ---- Real backends ---- */

static void make_network(uint64_t seed, cosrel_network *out) {
  aid_net a;
  cosrel_error error = {""};
  aid_begin(&a, seed, 13);
  int32_t x = aid_input(&a, AID_SHAPE(1, 8, 12, 12));
  for (int i = 0; i < 3; i++) {
    AID_INTS(&a, "pads", 1, 1, 1, 1);
    x = AID_NODE(&a, "Conv", x, aid_constant(&a, AID_SHAPE(8, 8, 3, 3)), aid_constant(&a, AID_SHAPE(8)));
    x = AID_NODE(&a, "Relu", x);
  }
  aid_output(&a, x);
  if (cosrel_net_settle(&a.net, &error) != COSREL_OK || cosrel_network_create(&a.net, out, &error) != COSREL_OK)
    fail_msg("%s", error.text);
}

typedef struct churn {
  cosrel_backend *backend;
  const cosrel_network *network;
  bool stop;
  pthread_mutex_t lock;
  uint32_t n;
  cosrel_status status;
} churn;

static bool churn_done(churn *c) {
  pthread_mutex_lock(&c->lock);
  bool done = c->n >= 20 && c->stop;
  pthread_mutex_unlock(&c->lock);
  return done;
}

static void *churn_main(void *self) {
  churn *c = self;
  cosrel_error error;
  while (c->status == COSREL_OK && !churn_done(c)) {
    cosrel_prepared *prepared;
    c->status = c->backend->ops->prepare(c->backend, c->network, NULL, &prepared, &error);
    if (c->status == COSREL_OK) c->backend->ops->release(c->backend, prepared);
    pthread_mutex_lock(&c->lock);
    c->n++;
    pthread_mutex_unlock(&c->lock);
  }
  return NULL;
}

/* A request of `network`, its outputs where the reference executor has them. */
static void run_request(cosrel_backend *backend, cosrel_prepared *prepared, const cosrel_network *network,
                        float **inputs, float **expected) {
  const cosrel_backend_ops *ops = backend->ops;
  void *arena = aid_arena(network);
  cosrel_buffer *buffer = NULL;
  cosrel_error error;
  size_t bytes = (size_t)network->arena_bytes;
  uint32_t n = network->model.n_units;
  cosrel_network_put_inputs(network, (const float *const *)inputs, arena);
  if (ops->buffer_create != NULL) {
    assert_int_equal(ops->buffer_create(backend, bytes, &buffer, &error), COSREL_OK);
    assert_int_equal(ops->write(backend, buffer, 0, arena, bytes), COSREL_OK);
  }
  assert_int_equal(ops->submit(backend, prepared, buffer == NULL ? arena : NULL, buffer, 0, n), COSREL_OK);
  assert_int_equal(ops->wait(backend, 60 * COSREL_S), COSREL_OK);
  if (buffer != NULL) {
    assert_int_equal(ops->read(backend, buffer, 0, arena, bytes), COSREL_OK);
    ops->buffer_destroy(backend, buffer);
  }
  float **got = aid_outputs(network, arena);
  char why[256];
  if (!aid_agree(&network->net, got, expected, why)) fail_msg("%s: %s", ops->name, why);
  aid_free(got, network->net.n_outputs);
  free(arena);
}

static void test_every_backend_prepares_while_it_computes(void **unused) {
  (void)unused;
  cosrel_network runs, comes;
  make_network(1, &runs);
  make_network(2, &comes);
  float **inputs = aid_inputs(&runs.net, 3), **expected = aid_expected(&runs.net, inputs);
  for (const cosrel_backend_ops *const *ops = cosrel_backend_table(); *ops != NULL; ops++) {
    cosrel_backend_spec spec = {.processor = "p"};
    cosrel_backend *backend;
    cosrel_prepared *prepared;
    cosrel_error error = {""};
    snprintf(spec.backend, sizeof spec.backend, "%s", (*ops)->name);
    if (cosrel_backend_open(&spec, &backend, &error) != COSREL_OK) {
      printf("skipped: %s (%s)\n", (*ops)->name, error.text);
      continue;
    }
    bool all = true;
    for (uint32_t u = 0; u < runs.model.n_units; u++) all = all && (*ops)->supports(backend, &runs, u, COSREL_FP32);
    assert_true(all);
    if ((*ops)->prepare(backend, &runs, NULL, &prepared, &error) != COSREL_OK) fail_msg("%s", error.text);
    churn c = {.backend = backend, .network = &comes};
    pthread_t thread;
    pthread_mutex_init(&c.lock, NULL);
    assert_int_equal(pthread_create(&thread, NULL, churn_main, &c), 0);
    for (int i = 0; i < 30; i++) run_request(backend, prepared, &runs, inputs, expected);
    pthread_mutex_lock(&c.lock);
    c.stop = true;
    pthread_mutex_unlock(&c.lock);
    pthread_join(thread, NULL);
    assert_int_equal(c.status, COSREL_OK);
    run_request(backend, prepared, &runs, inputs, expected);
    (*ops)->release(backend, prepared);
    (*ops)->close(backend);
    pthread_mutex_destroy(&c.lock);
  }
  aid_free(inputs, runs.net.n_inputs);
  aid_free(expected, runs.net.n_outputs);
  cosrel_network_destroy(&runs);
  cosrel_network_destroy(&comes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sets_change_under_a_worker),
      cmocka_unit_test(test_failures),
      cmocka_unit_test(test_what_is_pinned_stays),
      cmocka_unit_test(test_every_backend_prepares_while_it_computes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
