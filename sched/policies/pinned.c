#include "sched/policies/pinned.h"

#include "sched/policies/common.h"

cosrel_candidate cosrel_pinned_place(const cosrel_pinned *pinned, const cosrel_case *c, const cosrel_state *state,
                                     uint32_t s) {
  uint32_t slot = (uint32_t)state->streams[s].head, n = c->streams[s].n_units;
  const cosrel_request *request = cosrel_state_request(c, state, slot);
  uint32_t begin = request->ready[0], part = 0, stop = n;
  for (uint32_t k = 0; k < COSREL_PARTS - 1 && pinned->cut[s][k] > 0; k++) {
    if (begin >= pinned->cut[s][k]) {
      part = k + 1;
    } else {
      stop = pinned->cut[s][k];
      break;
    }
  }
  uint32_t home = pinned->home[s][part], end = cosrel_reach(c, request, 0, home);
  if (end > stop) end = stop;
  if (end > begin) return cosrel_run(slot, home, begin, end);
  const uint16_t *limit = c->streams[s].limit[home];
  uint32_t back = begin + 1; /* the first unit that home can run again */
  while (back < stop && limit[back] == back) back++;
  uint32_t best = home, best_end = begin;
  double least = INFINITY;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    uint32_t reach = cosrel_reach(c, request, 0, p);
    if (reach > back) reach = back;
    if (reach == begin) continue;
    double rest = cosrel_expected_rest(c, state, slot, p, begin, reach);
    if (rest < least) least = rest, best = p, best_end = reach;
  }
  return cosrel_run(slot, best, begin, best_end);
}

cosrel_candidate cosrel_pinned_decide(void *self, const cosrel_case *c, const cosrel_state *state) {
  const cosrel_pinned *pinned = self;
  cosrel_candidate first = cosrel_wait();
  double least = INFINITY;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_request *request = cosrel_head(c, state, s);
    if (request == NULL) continue;
    cosrel_candidate run = cosrel_pinned_place(pinned, c, state, s);
    if (!cosrel_processor_idle(state, run.processor)) continue;
    double key = pinned->shortest ? cosrel_expected_rest(c, state, run.slot, run.processor, run.begin, run.end)
                                  : (double)request->arrival;
    if (key < least) least = key, first = run;
  }
  return first;
}
