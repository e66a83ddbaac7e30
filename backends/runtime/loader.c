#include "backends/runtime/loader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "backends/monotonic.h"

#define NONE UINT32_MAX

struct cosrel_loader {
  const cosrel_machine *machine;
  uint32_t processor;
  pthread_t thread;
  bool has_thread;

  pthread_mutex_t lock;
  pthread_cond_t wanted, settled; /* for the loader's thread; for the worker */
  bool quit;
  uint64_t set, there, failed;
  uint32_t pinned;
  cosrel_status failure; /* of the last network that failed */
  cosrel_prepared *prepared[COSREL_NETWORKS_MAX];
  cosrel_loader_stats stats;
};

static uint64_t bit(uint32_t network) { return network == NONE ? 0 : (uint64_t)1 << network; }

static uint32_t lowest(uint64_t set) { return set == 0 ? NONE : (uint32_t)__builtin_ctzll(set); }

/* Called with the lock held, which is left while the backend works. */
static void release(cosrel_loader *l, uint32_t network) {
  cosrel_backend *backend = l->machine->backends[l->processor];
  cosrel_prepared *prepared = l->prepared[network];
  l->there &= ~bit(network); /* whoever wants it from now on waits for it to be prepared anew */
  pthread_mutex_unlock(&l->lock);
  backend->ops->release(backend, prepared);
  pthread_mutex_lock(&l->lock);
  l->prepared[network] = NULL;
  l->stats.n_releases++;
}

static void prepare(cosrel_loader *l, uint32_t network) {
  cosrel_backend *backend = l->machine->backends[l->processor];
  cosrel_prepared *prepared = NULL;
  cosrel_error error = {""};
  pthread_mutex_unlock(&l->lock);
  cosrel_time start = cosrel_monotonic_now();
  cosrel_status status = backend->ops->prepare(backend, l->machine->networks[network],
                                               l->machine->precisions[l->processor][network], &prepared, &error);
  cosrel_time took = cosrel_monotonic_now() - start;
  pthread_mutex_lock(&l->lock);
  if (status == COSREL_OK) {
    l->prepared[network] = prepared;
    l->there |= bit(network);
    l->stats.n_loads++;
    l->stats.load_ns += took;
  } else {
    l->failed |= bit(network);
    l->failure = status;
  }
  pthread_cond_broadcast(&l->settled);
}

static void *loader_main(void *self) {
  cosrel_loader *l = self;
  cosrel_machine_bind(l->machine, l->processor);
  pthread_mutex_lock(&l->lock);
  while (!l->quit) {
    uint64_t outside = l->there & ~l->set, missing = l->set & ~l->there & ~l->failed;
    if ((outside & ~bit(l->pinned)) != 0)
      release(l, lowest(outside & ~bit(l->pinned)));
    else if (outside == 0 && missing != 0)
      prepare(l, (missing & bit(l->pinned)) != 0 ? l->pinned : lowest(missing));
    else
      pthread_cond_wait(&l->wanted, &l->lock);
  }
  pthread_mutex_unlock(&l->lock);
  return NULL;
}

cosrel_status cosrel_loader_create(const cosrel_machine *machine, uint32_t p, cosrel_loader **out,
                                   cosrel_error *error) {
  cosrel_loader *l = calloc(1, sizeof *l);
  *out = NULL;
  if (l == NULL) return cosrel_fail(error, COSREL_NOMEM, "no memory to load weights with");
  l->machine = machine;
  l->processor = p;
  l->pinned = NONE;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->wanted, NULL);
  pthread_cond_init(&l->settled, NULL);
  l->has_thread = pthread_create(&l->thread, NULL, loader_main, l) == 0;
  if (!l->has_thread) {
    cosrel_loader_destroy(l);
    return cosrel_fail(error, COSREL_NOMEM, "no thread to load weights of processor %s", machine->specs[p].processor);
  }
  *out = l;
  return COSREL_OK;
}

void cosrel_loader_quit(cosrel_loader *l) {
  pthread_mutex_lock(&l->lock);
  l->quit = true;
  pthread_cond_broadcast(&l->wanted);
  pthread_cond_broadcast(&l->settled);
  pthread_mutex_unlock(&l->lock);
}

void cosrel_loader_destroy(cosrel_loader *l) {
  if (l == NULL) return;
  cosrel_loader_quit(l);
  if (l->has_thread) pthread_join(l->thread, NULL);
  cosrel_backend *backend = l->machine->backends[l->processor];
  for (uint32_t n = 0; n < l->machine->n_networks; n++)
    if (l->prepared[n] != NULL) backend->ops->release(backend, l->prepared[n]);
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->wanted);
  pthread_cond_destroy(&l->settled);
  free(l);
}

void cosrel_loader_pin(cosrel_loader *l, uint32_t network) {
  pthread_mutex_lock(&l->lock);
  l->pinned = network;
  l->failed &= ~bit(network); /* another try */
  pthread_cond_broadcast(&l->wanted);
  pthread_mutex_unlock(&l->lock);
}

void cosrel_loader_hold(cosrel_loader *l, uint64_t networks) {
  pthread_mutex_lock(&l->lock);
  l->set = networks;
  pthread_cond_broadcast(&l->wanted);
  pthread_mutex_unlock(&l->lock);
}

cosrel_status cosrel_loader_take(cosrel_loader *l, cosrel_prepared **out) {
  pthread_mutex_lock(&l->lock);
  while (((l->there | l->failed) & bit(l->pinned)) == 0 && !l->quit) pthread_cond_wait(&l->settled, &l->lock);
  cosrel_status status = (l->there & bit(l->pinned)) != 0 ? COSREL_OK : l->quit ? COSREL_INTERRUPTED : l->failure;
  if (status == COSREL_OK) *out = l->prepared[l->pinned];
  pthread_mutex_unlock(&l->lock);
  return status;
}

void cosrel_loader_give_back(cosrel_loader *l) {
  pthread_mutex_lock(&l->lock);
  l->pinned = NONE;
  pthread_cond_broadcast(&l->wanted);
  pthread_mutex_unlock(&l->lock);
}

bool cosrel_loader_is_empty(cosrel_loader *l) {
  pthread_mutex_lock(&l->lock);
  bool empty = (l->there | l->set) == 0;
  for (uint32_t n = 0; n < COSREL_NETWORKS_MAX; n++) empty = empty && l->prepared[n] == NULL;
  pthread_mutex_unlock(&l->lock);
  return empty;
}

cosrel_loader_stats cosrel_loader_get_stats(cosrel_loader *l, bool clear) {
  pthread_mutex_lock(&l->lock);
  cosrel_loader_stats stats = l->stats;
  if (clear) l->stats = (cosrel_loader_stats){0};
  pthread_mutex_unlock(&l->lock);
  return stats;
}
