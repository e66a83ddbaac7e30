#include "sched/observe.h"

#include <math.h>
#include <string.h>

#include "sched/policies/base.h"

/* What rows of one (head, ready unit) share. */
typedef struct head {
  uint32_t s, slot, ready;
  uint16_t begin;
  double T, age, rem, slack;
  bool may_drop;
  double duration[COSREL_PROCESSORS_MAX];  /* to the end plus what then remains; INFINITY where p cannot run it */
  cosrel_work work[COSREL_PROCESSORS_MAX]; /* to the end */
  double best;                             /* least time_to_idle + duration over all processors */
  uint32_t best_processor;
  double second; /* the same over all but best_processor */
} head;

/* fmin and fmax, but inline; a `b` that is not a number counts for nothing. */
static double least_of(double a, double b) { return b < a ? b : a; }
static double most_of(double a, double b) { return b > a ? b : a; }

static float clampf(double x, double low, double high) { return (float)(x < low ? low : x > high ? high : x); }

uint32_t cosrel_observation_max_rows(const cosrel_case *c) {
  return c->n_streams * (COSREL_SEEN_READY * c->n_processors + 1) + 1;
}

static uint16_t run_limit(const cosrel_stream_case *sc, const cosrel_request *request, uint32_t ready, uint32_t p) {
  uint16_t limit = sc->limit[p][request->ready[ready]];
  return limit < request->ready_limit[ready] ? limit : request->ready_limit[ready];
}

/* Where the request is: the processor from which the rest is cheapest among those that hold the unit's first input. */
static double remaining(const cosrel_case *c, const cosrel_stream_case *sc, const cosrel_request *request,
                        uint16_t begin) {
  uint8_t where = cosrel_request_where(c, request)[sc->preds[sc->pred_first[begin]]];
  double rem = INFINITY;
  for (uint32_t p = 0; p < c->n_processors; p++)
    if (where >> p & 1 && sc->to_go[p][begin] < rem) rem = sc->to_go[p][begin];
  return rem;
}

static cosrel_work work_of(const cosrel_case *c, const cosrel_state *state, const head *h, uint32_t p, uint16_t end) {
  cosrel_candidate candidate = {.processor = (uint8_t)p, .slot = (uint16_t)h->slot, .begin = h->begin, .end = end};
  return cosrel_state_work(c, state, &candidate);
}

static void look_at_head(const cosrel_case *c, const cosrel_state *state, const double *to_idle, uint32_t s,
                         uint32_t ready, head *h) {
  const cosrel_stream_case *sc = &c->streams[s];
  uint32_t slot = (uint32_t)state->streams[s].head;
  const cosrel_request *request = cosrel_state_request(c, state, slot);
  *h = (head){.s = s,
              .slot = slot,
              .ready = ready,
              .begin = request->ready[ready],
              .T = sc->isolated_ns,
              .age = (double)(state->now - request->arrival),
              .best = INFINITY,
              .second = INFINITY};
  h->rem = remaining(c, sc, request, h->begin);
  h->slack = (double)sc->deadline - h->age - h->rem;
  h->may_drop = ready == 0 && cosrel_may_give_way(c, state, s);
  for (uint32_t p = 0; p < c->n_processors; p++) {
    uint16_t end = run_limit(sc, request, ready, p);
    h->duration[p] = INFINITY;
    if (end <= h->begin) continue;
    h->work[p] = work_of(c, state, h, p, end);
    h->duration[p] = cosrel_work_total(&h->work[p]) + sc->to_go[p][end];
    double finish = to_idle[p] + h->duration[p];
    if (finish < h->best)
      h->second = h->best, h->best = finish, h->best_processor = p;
    else if (finish < h->second)
      h->second = finish;
  }
}

/* Gain of having p over the best other processor, in T of the head: positive when p is its best choice. */
static double advantage(const head *h, const double *to_idle, uint32_t p) {
  double other = p == h->best_processor ? h->second : h->best;
  return (least_of(other, to_idle[p] + h->duration[p] + 3 * h->T) - to_idle[p] - h->duration[p]) / h->T;
}

/* What all rows of a decision need. */
typedef struct scene {
  double to_idle[COSREL_PROCESSORS_MAX];
  double np[COSREL_STREAMS_MAX]; /* recent rate x T of each stream */
  double mean_np, mean_T, mean_rate;
  double home_load[COSREL_PROCESSORS_MAX]; /* share of its time that the streams it serves best ask for */
  double coming[COSREL_PROCESSORS_MAX]; /* ns until the next periodic request comes that p serves best; or INFINITY */
  uint32_t n_heads;
  head heads[COSREL_STREAMS_MAX * COSREL_SEEN_READY];
} scene;

/* Features of the request, whatever is done with it. */
static void fill_request(const cosrel_case *c, const cosrel_state *state, const scene *scene, const head *h, float *x) {
  const cosrel_stream_case *sc = &c->streams[h->s];
  const cosrel_stream_state *stream = &state->streams[h->s];
  const cosrel_request *request = cosrel_state_request(c, state, h->slot);
  bool closed = sc->arrivals == COSREL_ARRIVALS_CLOSED;
  double T = h->T, next = 0;
  if (h->may_drop) { /* the head is not the newest, so there is one after it */
    uint32_t at = 0;
    while (stream->order[at] != h->slot) at++;
    next = (double)(state->now - cosrel_state_request(c, state, stream->order[at + 1])->arrival);
  }
  x[COSREL_ROW_is_wait] = 0;
  x[COSREL_ROW_is_drop] = 0;
  x[COSREL_ROW_age] = clampf(h->age / T / 2, 0, 3);
  x[COSREL_ROW_next_age] = clampf(next / T / 2, 0, 3);
  x[COSREL_ROW_best_utility] = (float)cosrel_utility((h->age + h->rem) / T);
  x[COSREL_ROW_slack] = clampf(h->slack / T / 2, -2, 3);
  x[COSREL_ROW_remaining] = clampf(h->rem / T, 0, 2);
  x[COSREL_ROW_started] = request->n_started > 0;
  x[COSREL_ROW_backlog] = (float)(stream->n_live - 1) / 4;
  x[COSREL_ROW_closed] = closed;
  x[COSREL_ROW_demand] = closed ? 0 : clampf(sc->rate_hz * T * 1e-9, 0, 2);
  x[COSREL_ROW_due] = closed ? 0 : clampf((double)(state->now - stream->last_arrival) * sc->rate_hz * 1e-9, 0, 2);
  x[COSREL_ROW_periodic] = sc->arrivals == COSREL_ARRIVALS_PERIODIC;
  x[COSREL_ROW_rarity] = closed ? 0 : clampf(log2(scene->mean_rate / sc->rate_hz) / 2, -2, 2);
  x[COSREL_ROW_fairness_debt] = clampf(log2((scene->mean_np + 0.02) / (scene->np[h->s] + 0.02)) / 1.5, -2, 2);
  x[COSREL_ROW_size] = clampf(log2(T / scene->mean_T) / 2, -2, 2);
  x[COSREL_ROW_is_branch] = h->ready > 0;
  x[COSREL_ROW_may_drop] = h->may_drop;
  x[COSREL_ROW_priority] = clampf(log2(c->workload->streams[h->s].priority) / 2, -2, 2);
  x[COSREL_ROW_full] = stream->n_live == sc->n_slots;
  x[COSREL_ROW_bursty] = sc->arrivals == COSREL_ARRIVALS_BURSTY;
  /* requests that came since the oldest that is still here did, over those to be expected */
  double since = (double)(state->now - cosrel_state_request(c, state, stream->order[0])->arrival);
  x[COSREL_ROW_crowd] = closed ? 0 : clampf(stream->n_live / (1 + sc->rate_hz * since * 1e-9) / 2, 0, 2);
  x[COSREL_ROW_is_base] = 0;
}

/* Features of running it on p; fills the choice. */
static void fill_run(const cosrel_case *c, const cosrel_state *state, const scene *scene, const head *h, uint32_t p,
                     float *x, cosrel_row_choice *choice) {
  const cosrel_stream_case *sc = &c->streams[h->s];
  const cosrel_request *request = cosrel_state_request(c, state, h->slot);
  uint16_t end = run_limit(sc, request, h->ready, p);
  uint16_t ends[COSREL_RUN_LENGTHS] = {(uint16_t)(h->begin + 1), (uint16_t)(h->begin + 4), end};
  double T = h->T, total[COSREL_RUN_LENGTHS], regret[COSREL_RUN_LENGTHS];
  const cosrel_work work = h->work[p];
  *choice =
      (cosrel_row_choice){.action = COSREL_RUN, .slot = (uint16_t)h->slot, .begin = h->begin, .processor = (uint8_t)p};
  for (int k = COSREL_RUN_LENGTHS - 1; k >= 0; k--) {
    if (ends[k] >= end && k < COSREL_RUN_LENGTHS - 1) {
      total[k] = total[k + 1], regret[k] = regret[k + 1]; /* the longer run is the same one */
      continue;
    }
    choice->ends[k] = ends[k];
    cosrel_work w = k == COSREL_RUN_LENGTHS - 1 ? work : work_of(c, state, h, p, ends[k]);
    total[k] = cosrel_work_total(&w);
    regret[k] = total[k] + sc->to_go[p][ends[k]] - h->rem;
  }

  double d = h->duration[p], least = INFINITY, least_idle = INFINITY, least_price = INFINITY;
  double slowed = 0, slows = 0;
  for (uint32_t q = 0; q < c->n_processors; q++) {
    least = least_of(least, h->duration[q]);
    least_price = least_of(least_price, c->price[q] * h->duration[q]);
    if (q == p) continue;
    if (cosrel_processor_idle(state, q)) {
      least_idle = least_of(least_idle, h->duration[q]);
    } else {
      slowed += c->kappa[p][q] * state->running[q].beta;
      slows += c->kappa[q][p] * state->running[q].beta;
    }
  }
  double rivals = 0, rival_gain = -3;
  for (uint32_t i = 0; i < scene->n_heads; i++) {
    const head *other = &scene->heads[i];
    if (other->s == h->s || other->duration[p] == INFINITY) continue;
    rivals += other->best_processor == p;
    rival_gain = most_of(rival_gain, advantage(other, scene->to_idle, p));
  }

  x[COSREL_ROW_coverage] = (float)(end - h->begin) / (float)sc->n_units;
  x[COSREL_ROW_duration_end] = clampf(total[2] / T, 0, 4);
  x[COSREL_ROW_duration_4] = clampf(total[1] / T, 0, 4);
  x[COSREL_ROW_duration_1] = clampf(total[0] / T, 0, 4);
  x[COSREL_ROW_regret_end] = clampf(regret[2] / T, -0.5, 4);
  x[COSREL_ROW_regret_4] = clampf(regret[1] / T, -0.5, 4);
  x[COSREL_ROW_regret_1] = clampf(regret[0] / T, -0.5, 4);
  x[COSREL_ROW_duration_log] = clampf(log2(total[2] / scene->mean_T) / 2, -3, 3);
  x[COSREL_ROW_transfer] = clampf(work.transfer / T * 2, 0, 3);
  x[COSREL_ROW_launch_share] = clampf(work.launch / total[2], 0, 1);
  x[COSREL_ROW_advantage_all] = clampf(advantage(h, scene->to_idle, p), -3, 3);
  x[COSREL_ROW_advantage_idle] = clampf((least_of(least_idle, d + 3 * T) - d) / T, -3, 3);
  x[COSREL_ROW_finish_utility] = (float)cosrel_utility((h->age + d) / T);
  x[COSREL_ROW_deadline_margin] = clampf(((double)sc->deadline - h->age - d) / T, -3, 3);
  x[COSREL_ROW_slowed] = clampf(slowed * work.beta * 2, 0, 3);
  x[COSREL_ROW_slows] = clampf(slows * work.beta * 2, 0, 3);
  x[COSREL_ROW_energy] = clampf(c->busy_w[p] * d * 1e-6 / sc->isolated_mj, 0, 4);
  x[COSREL_ROW_price_ratio] = clampf(c->price[p] * d / (least_price + 1e-6 * d) - 1, 0, 4);
  x[COSREL_ROW_affinity] = clampf(d / least - 1, 0, 4);
  x[COSREL_ROW_rivals] = (float)rivals / 4;
  x[COSREL_ROW_rival_gain] = clampf(rival_gain, -3, 3);
  x[COSREL_ROW_coming] = 1 - clampf(scene->coming[p] / d, 0, 1);
  x[COSREL_ROW_home_load] = clampf(scene->home_load[p], 0, 3);
}

/* Features of waiting: what the head that gains most by it would gain, over the idle processor that suits it best. */
static void fill_wait(const cosrel_case *c, const cosrel_state *state, const scene *scene, float *x) {
  double most = -INFINITY;
  x[COSREL_ROW_is_wait] = 1;
  for (uint32_t i = 0; i < scene->n_heads; i++) {
    const head *h = &scene->heads[i];
    double idle = INFINITY;
    for (uint32_t p = 0; p < c->n_processors; p++)
      if (cosrel_processor_idle(state, p)) idle = least_of(idle, h->duration[p]);
    double gain = (least_of(idle, h->best + 3 * h->T) - h->best) / h->T;
    if (gain <= most || h->best == INFINITY) continue;
    most = gain;
    x[COSREL_ROW_advantage_all] = clampf(gain, -3, 3);
    x[COSREL_ROW_age] = clampf(h->age / h->T / 2, 0, 3);
    x[COSREL_ROW_slack] = clampf(h->slack / h->T / 2, -2, 3);
    x[COSREL_ROW_finish_utility] = (float)cosrel_utility((h->age + h->best) / h->T);
    x[COSREL_ROW_duration_end] = clampf(scene->to_idle[h->best_processor] / h->T, 0, 4);
    x[COSREL_ROW_size] = clampf(log2(h->T / scene->mean_T) / 2, -2, 2);
  }
}

static void fill_globals(const cosrel_case *c, const cosrel_state *state, const scene *scene,
                         const cosrel_objective *objective, float *g) {
  const head *heads = scene->heads;
  double mean_T = scene->mean_T;
  uint32_t n_heads = scene->n_heads;
  double sum = 0, least = 4 * mean_T, most = 0, least_slack = 3, utility = 0, late = 0, work = 0, closed = 0;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    sum += scene->to_idle[p];
    most = most_of(most, scene->to_idle[p]);
    if (!cosrel_processor_idle(state, p)) least = least_of(least, scene->to_idle[p]);
  }
  for (uint32_t i = 0; i < n_heads; i++) {
    least_slack = least_of(least_slack, heads[i].slack / heads[i].T);
    utility += cosrel_utility((heads[i].age + heads[i].rem) / heads[i].T);
    late += heads[i].slack < 0;
  }
  for (uint32_t s = 0; s < c->n_streams; s++) {
    work += state->streams[s].n_live * c->streams[s].isolated_ns;
    closed += c->streams[s].arrivals == COSREL_ARRIVALS_CLOSED;
  }
  double load = c->load > 0 ? c->load : c->lambda_star > 0 ? 1 / c->lambda_star : 1;
  double weights = objective->latency + objective->throughput + objective->energy;
  g[COSREL_GLOBAL_idle_share] = (float)state->n_idle / (float)c->n_processors;
  g[COSREL_GLOBAL_head_share] = (float)state->n_heads / (float)c->n_streams;
  g[COSREL_GLOBAL_live] = clampf((double)state->n_live / c->n_streams / 2, 0, 2);
  g[COSREL_GLOBAL_mean_time_to_idle] = clampf(sum / c->n_processors / mean_T, 0, 4);
  g[COSREL_GLOBAL_least_time_to_idle] = clampf(least / mean_T, 0, 4);
  g[COSREL_GLOBAL_most_time_to_idle] = clampf(most / mean_T, 0, 4);
  g[COSREL_GLOBAL_load] = closed < c->n_streams ? clampf(load, 0, 2) : 0;
  g[COSREL_GLOBAL_closed_share] = (float)(closed / c->n_streams);
  g[COSREL_GLOBAL_weight_latency] = (float)(objective->latency / weights);
  g[COSREL_GLOBAL_weight_throughput] = (float)(objective->throughput / weights);
  g[COSREL_GLOBAL_weight_energy] = (float)(objective->energy / weights);
  g[COSREL_GLOBAL_queued_work] = clampf(work / c->n_processors / mean_T / 2, 0, 4);
  g[COSREL_GLOBAL_least_slack] = clampf(least_slack, -3, 3);
  g[COSREL_GLOBAL_mean_utility] = (float)(utility / n_heads);
  g[COSREL_GLOBAL_late_share] = (float)(late / n_heads);
  g[COSREL_GLOBAL_processors] = (float)c->n_processors / 4;
  g[COSREL_GLOBAL_streams] = clampf(c->n_streams / 6.0, 0, 3);
}

static void pool(const cosrel_observation *o, float *mean, float *max) {
  for (uint32_t f = 0; f < COSREL_ROW_SIZE; f++) mean[f] = 0, max[f] = -1e30f;
  for (uint32_t r = 0; r < o->n_rows; r++) {
    const float *x = &o->rows[r * COSREL_ROW_SIZE];
    for (uint32_t f = 0; f < COSREL_ROW_SIZE; f++) {
      mean[f] += x[f];
      max[f] = x[f] > max[f] ? x[f] : max[f];
    }
  }
  for (uint32_t f = 0; f < COSREL_ROW_SIZE; f++) mean[f] /= (float)o->n_rows;
}

/* Which processor is best for a request that has not come yet, and how long it would be busy with it. */
static uint32_t home(const cosrel_case *c, const cosrel_stream_case *sc, double *busy) {
  double least = INFINITY;
  uint32_t best = 0;
  *busy = 0;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    uint32_t end = sc->limit[p][0];
    double total = c->launch_ns[p] + sc->mean[p][end] + sc->to_go[p][end];
    if (end > 0 && total < least) least = total, best = p, *busy = c->launch_ns[p] + sc->mean[p][end];
  }
  return best;
}

static void look_at_scene(const cosrel_case *c, const cosrel_state *state, scene *scene) {
  scene->mean_np = scene->mean_T = scene->mean_rate = 0;
  scene->n_heads = 0;
  for (uint32_t p = 0; p < c->n_processors; p++) {
    scene->to_idle[p] = cosrel_state_time_to_idle(state, p);
    scene->coming[p] = INFINITY;
    scene->home_load[p] = 0;
  }
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream_state *stream = &state->streams[s];
    const cosrel_stream_case *sc = &c->streams[s];
    /* A rational stand-in for the exponential decay since the last completion, cheap on a phone core. */
    double ema = stream->rate_ema / (1 + cosrel_time_s(state->now - stream->rate_ema_at));
    scene->np[s] = ema * sc->isolated_ns * 1e-9;
    scene->mean_np += scene->np[s] / c->n_streams;
    scene->mean_T += sc->isolated_ns / c->n_streams;
    scene->mean_rate += sc->rate_hz / c->n_streams;
    if (sc->arrivals == COSREL_ARRIVALS_CLOSED) continue;
    double busy;
    uint32_t at = home(c, sc, &busy);
    scene->home_load[at] += sc->rate_hz * busy * 1e-9;
    if (sc->arrivals == COSREL_ARRIVALS_PERIODIC && stream->arrived > 0) {
      double *coming = &scene->coming[at];
      *coming = least_of(*coming, most_of(0, 1e9 / sc->rate_hz - (double)(state->now - stream->last_arrival)));
    }
  }
  for (uint32_t s = 0; s < c->n_streams; s++) {
    if (state->streams[s].head == COSREL_NONE) continue;
    uint32_t n_ready = cosrel_state_request(c, state, (uint32_t)state->streams[s].head)->n_ready;
    for (uint32_t i = 0; i < n_ready && i < COSREL_SEEN_READY; i++)
      look_at_head(c, state, scene->to_idle, s, i, &scene->heads[scene->n_heads++]);
  }
}

/* Whether the base would do what a row offers, to the end. */
static bool is_base(const cosrel_candidate *base, const cosrel_row_choice *choice) {
  if (base->action != choice->action || base->action == COSREL_WAIT) return base->action == choice->action;
  if (base->slot != choice->slot) return false;
  return base->action == COSREL_DROP_REQUEST || (base->begin == choice->begin && base->processor == choice->processor);
}

void cosrel_observe(const cosrel_case *c, const cosrel_state *state, const cosrel_objective *objective,
                    cosrel_observation *out) {
  scene scene;
  look_at_scene(c, state, &scene);
  cosrel_candidate base = cosrel_base_decide(NULL, c, state);
  float *x = out->rows;
  cosrel_row_choice *choice = out->choices;
  for (uint32_t i = 0; i < scene.n_heads; i++) {
    const head *h = &scene.heads[i];
    float request[COSREL_ROW_coverage]; /* the first feature of a processor */
    fill_request(c, state, &scene, h, request);
    for (uint32_t p = 0; p < c->n_processors; p++) {
      if (!cosrel_processor_idle(state, p) || h->duration[p] == INFINITY) continue;
      memcpy(x, request, sizeof request);
      fill_run(c, state, &scene, h, p, x, choice);
      x += COSREL_ROW_SIZE, choice++;
    }
    if (!h->may_drop) continue;
    memset(x, 0, COSREL_ROW_SIZE * sizeof *x);
    memcpy(x, request, sizeof request);
    x[COSREL_ROW_is_drop] = 1;
    *choice = (cosrel_row_choice){.action = COSREL_DROP_REQUEST, .slot = (uint16_t)h->slot};
    x += COSREL_ROW_SIZE, choice++;
  }
  if (state->n_idle < c->n_processors) { /* with nothing running there is no event to wait for that it may know of */
    memset(x, 0, COSREL_ROW_SIZE * sizeof *x);
    fill_wait(c, state, &scene, x);
    *choice++ = (cosrel_row_choice){.action = COSREL_WAIT};
  }
  out->n_rows = (uint32_t)(choice - out->choices);
  out->n_choices = 0;
  for (uint32_t r = 0; r < out->n_rows; r++) {
    choice = &out->choices[r];
    choice->is_base = is_base(&base, choice);
    out->rows[r * COSREL_ROW_SIZE + COSREL_ROW_is_base] = choice->is_base;
    for (int k = 0; k < COSREL_RUN_LENGTHS; k++) out->n_choices += cosrel_choice_offered(choice, k);
  }
  fill_globals(c, state, &scene, objective, out->context);
  pool(out, out->context + COSREL_GLOBAL_SIZE, out->context + COSREL_GLOBAL_SIZE + COSREL_ROW_SIZE);
}

cosrel_candidate cosrel_observation_candidate(const cosrel_observation *observation, uint32_t row, uint32_t length) {
  const cosrel_row_choice *choice = &observation->choices[row];
  if (choice->action != COSREL_RUN) return (cosrel_candidate){.action = choice->action, .slot = choice->slot};
  return (cosrel_candidate){.action = COSREL_RUN,
                            .processor = choice->processor,
                            .batch = 1,
                            .slot = choice->slot,
                            .begin = choice->begin,
                            .end = choice->ends[length]};
}
