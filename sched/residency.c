#include "sched/residency.h"

#include <math.h>
#include <string.h>

#define LONGEST 1e18 /* ns, as in state.c */

static cosrel_time later(cosrel_time now, double ns) { return now + (cosrel_time)ceil(ns < LONGEST ? ns : LONGEST); }

static bool holds(const cosrel_residency *r, uint32_t w) { return r->held >> w & 1; }

static uint64_t bytes_of(const cosrel_case *c, uint32_t w, uint32_t p) { return c->streams[w].weight_bytes[p]; }

double cosrel_residency_rest(const cosrel_case *c, const cosrel_state *state, uint32_t s, uint32_t p) {
  if (c->budget[p] == 0) return 0;
  const cosrel_residency *r = cosrel_state_residency(c, state, p);
  uint32_t w = c->streams[s].weights;
  double background = r->ready > state->now ? (double)(r->ready - state->now) : 0;
  if (holds(r, w)) return r->loading == w ? background : 0;
  return background + c->streams[w].load_ns[p];
}

static void remove_at(const cosrel_case *c, cosrel_residency *r, uint32_t p, uint32_t i) {
  uint32_t w = r->order[i];
  r->held &= ~((uint64_t)1 << w);
  r->bytes -= bytes_of(c, w, p);
  r->n_held--;
  memmove(&r->order[i], &r->order[i + 1], r->n_held - i);
}

static void put_first(cosrel_residency *r, uint32_t w) {
  memmove(&r->order[1], &r->order[0], r->n_held++);
  r->order[0] = (uint8_t)w;
}

static void touch(cosrel_residency *r, uint32_t w) {
  uint32_t i = 0;
  while (r->order[i] != w) i++;
  memmove(&r->order[1], &r->order[0], i);
  r->order[0] = (uint8_t)w;
}

/* The least recently used that must go, but none in `keep`, so that w fits; ns to load them again. False when it
 * cannot.
 */
static bool find_room(const cosrel_case *c, const cosrel_residency *r, uint32_t p, uint32_t w, uint64_t keep,
                      uint64_t *victims, double *again) {
  uint64_t bytes = r->bytes + bytes_of(c, w, p);
  *victims = 0;
  *again = 0;
  for (uint32_t i = r->n_held; i-- > 0 && bytes > c->budget[p];) {
    uint32_t v = r->order[i];
    if (keep >> v & 1) continue;
    *victims |= (uint64_t)1 << v;
    *again += c->streams[v].load_ns[p];
    bytes -= bytes_of(c, v, p);
  }
  return bytes <= c->budget[p];
}

static void evict(const cosrel_case *c, cosrel_residency *r, uint32_t p, uint64_t victims) {
  for (uint32_t i = r->n_held; i-- > 0 && victims != 0;) {
    if (!(victims >> r->order[i] & 1)) continue;
    victims &= ~((uint64_t)1 << r->order[i]);
    remove_at(c, r, p, i);
    r->n_evictions++;
  }
}

static void load(const cosrel_case *c, cosrel_residency *r, uint32_t p, uint32_t w, cosrel_time ready) {
  put_first(r, w);
  r->held |= (uint64_t)1 << w;
  r->bytes += bytes_of(c, w, p);
  if (r->bytes > r->peak_bytes) r->peak_bytes = r->bytes;
  r->loading = (uint8_t)w;
  r->ready = ready;
  r->n_loads++;
}

void cosrel_residency_use(const cosrel_case *c, cosrel_state *state, uint32_t s, uint32_t p) {
  if (c->budget[p] == 0) return;
  cosrel_residency *r = cosrel_state_residency(c, state, p);
  uint32_t w = c->streams[s].weights;
  if (holds(r, w)) {
    touch(r, w);
    return;
  }
  cosrel_time ready = later(state->now, cosrel_residency_rest(c, state, s, p));
  uint64_t victims;
  double again;
  find_room(c, r, p, w, 0, &victims, &again);
  evict(c, r, p, victims);
  load(c, r, p, w, ready);
}

void cosrel_residency_end(const cosrel_case *c, cosrel_state *state, uint32_t s, uint32_t p, cosrel_time waited) {
  if (c->budget[p] == 0) return;
  cosrel_residency *r = cosrel_state_residency(c, state, p);
  r->waited += waited;
  /* A device may have loaded sooner than expected. */
  if (r->loading == c->streams[s].weights && r->ready > state->now) r->ready = state->now;
}

void cosrel_residency_lose(const cosrel_case *c, cosrel_state *state, uint32_t p) {
  if (c->budget[p] == 0) return;
  cosrel_residency *r = cosrel_state_residency(c, state, p);
  r->held = r->bytes = 0;
  r->n_held = 0;
  r->ready = state->now;
}

/* The oldest heads first, into heads[n_streams]; ties go to the lower stream. Returns how many there are. */
static uint32_t sort_heads(const cosrel_case *c, const cosrel_state *state, uint8_t *heads) {
  uint32_t n = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    if (state->streams[s].head == COSREL_NONE) continue;
    cosrel_time arrival = cosrel_state_request(c, state, (uint32_t)state->streams[s].head)->arrival;
    uint32_t at = n++;
    for (; at > 0; at--) {
      uint32_t before = (uint32_t)state->streams[heads[at - 1]].head;
      if (cosrel_state_request(c, state, before)->arrival <= arrival) break;
      heads[at] = heads[at - 1];
    }
    heads[at] = (uint8_t)s;
  }
  return n;
}

/* The processor that would end the head of stream s first, and what must go there for its weights. */
static uint32_t soonest(const cosrel_case *c, const cosrel_state *state, uint32_t s, const uint64_t *keep,
                        uint64_t *victims) {
  uint32_t slot = (uint32_t)state->streams[s].head, w = c->streams[s].weights, best = UINT32_MAX;
  double least = INFINITY;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    uint16_t ends[3];
    uint32_t n = cosrel_state_ends(c, state, slot, 0, p, ends);
    if (n == 0) continue;
    const cosrel_candidate run = {.processor = (uint8_t)p,
                                  .slot = (uint16_t)slot,
                                  .begin = cosrel_state_request(c, state, slot)->ready[0],
                                  .end = ends[n - 1]};
    cosrel_work work = cosrel_state_work(c, state, &run);
    double begin = fmax(cosrel_state_time_to_idle(state, p), work.load), again = 0;
    double end = begin + work.launch + work.transfer + work.compute + c->streams[s].to_go[p][run.end];
    const cosrel_residency *r = cosrel_state_residency(c, state, p);
    uint64_t gone = 0;
    if (c->budget[p] > 0 && !holds(r, w) && !find_room(c, r, p, w, keep[p], &gone, &again)) continue;
    if (end + again < least) least = end + again, best = p, *victims = gone;
  }
  return best;
}

void cosrel_residency_prefetch(const cosrel_case *c, cosrel_state *state) {
  uint64_t wanted[COSREL_PROCESSORS_MAX] = {0}, busy = 0; /* what must stay; processors that may prefetch */
  if (!c->prefetch) return;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    if (c->budget[p] == 0 || state->running[p].slot < 0) continue;
    const cosrel_residency *r = cosrel_state_residency(c, state, p);
    uint32_t s = cosrel_state_request(c, state, (uint32_t)state->running[p].slot)->stream;
    if (r->ready > state->now && r->loading != c->streams[s].weights) continue;
    wanted[p] = (uint64_t)1 << c->streams[s].weights;
    busy |= (uint64_t)1 << p;
  }
  uint8_t heads[COSREL_STREAMS_MAX];
  uint32_t n = busy != 0 ? sort_heads(c, state, heads) : 0;
  for (uint32_t i = 0; i < n && busy != 0; i++) {
    uint64_t victims = 0;
    uint32_t s = heads[i], w = c->streams[s].weights, p = soonest(c, state, s, wanted, &victims);
    if (p == UINT32_MAX || !(busy >> p & 1)) continue;
    cosrel_residency *r = cosrel_state_residency(c, state, p);
    if (!holds(r, w)) {
      evict(c, r, p, victims);
      load(c, r, p, w, later(r->ready > state->now ? r->ready : state->now, c->streams[w].load_ns[p]));
      r->n_prefetched++;
      busy &= ~((uint64_t)1 << p);
    }
    wanted[p] |= (uint64_t)1 << w;
  }
}
