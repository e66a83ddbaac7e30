#include "backends/opencl/tuner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/hash.h"
#include "backends/monotonic.h"
#include "backends/opencl/cache.h"

#define SECONDS_DEFAULT 2.0
#define SECONDS_MAX 3600.0
#define CHOICES_MAX 4096
#define ELEMENTS_MAX (UINT64_C(32) << 20) /* floats of a layer that is measured */
#define FLOPS_MIN 1e6                     /* below, any way will do */
#define ENOUGH (40 * COSREL_MS)           /* of runs of a layer */
#define RUNS_MAX 8

/* ---- What is known ---- */

static cosrel_time allowance(void) {
  const char *text = getenv("COSREL_TUNE");
  char *end;
  double seconds = text != NULL ? strtod(text, &end) : SECONDS_DEFAULT;
  if (text != NULL && (end == text || *end != '\0' || !(seconds >= 0))) seconds = SECONDS_DEFAULT;
  return (cosrel_time)((seconds < SECONDS_MAX ? seconds : SECONDS_MAX) * COSREL_S);
}

/* The device and the kernels: others take other times. */
static size_t make_key(const cosrel_cl_tuner *tuner, char *key, size_t n) {
  uint64_t hash = COSREL_HASH_BEGIN;
  for (const cosrel_cl_source *s = cosrel_cl_sources; s->name != NULL; s++)
    hash = cosrel_hash_bytes(hash, s->text, s->bytes);
  size_t used = cosrel_cl_device_key(tuner->device, key, n);
  int length = snprintf(key + used, n - used, "kernels %016" PRIx64 "\n", hash);
  return length > 0 && (size_t)length < n - used ? used + (size_t)length : used;
}

static cosrel_cl_choice *find(const cosrel_cl_tuner *tuner, const char *key) {
  for (uint32_t i = 0; i < tuner->n; i++)
    if (strcmp(tuner->choices[i].key, key) == 0) return &tuner->choices[i];
  return NULL;
}

/* Without memory it is forgotten. */
static void add(cosrel_cl_tuner *tuner, const cosrel_cl_choice *choice) {
  if (tuner->n == CHOICES_MAX || find(tuner, choice->key) != NULL) return;
  if (tuner->n == tuner->capacity) {
    uint32_t capacity = tuner->capacity == 0 ? 64 : 2 * tuner->capacity;
    cosrel_cl_choice *grown = realloc(tuner->choices, capacity * sizeof *grown);
    if (grown == NULL) return;
    tuner->choices = grown;
    tuner->capacity = capacity;
  }
  tuner->choices[tuner->n++] = *choice;
}

/* A number behind a space. */
static bool read_number(const char **text, int64_t most, int64_t *out) {
  char *end;
  errno = 0;
  long long value = (*text)[0] == ' ' && (*text)[1] >= '0' && (*text)[1] <= '9' ? strtoll(*text + 1, &end, 10) : -1;
  if (value < 0 || value > most || errno != 0) return false;
  *text = end;
  *out = value;
  return true;
}

static bool read_line(const char **text, cosrel_cl_choice *c) {
  int64_t way[6]; /* in the order of save */
  size_t length = strcspn(*text, " \n");
  if (length == 0 || length >= sizeof c->key) return false;
  memcpy(c->key, *text, length);
  c->key[length] = '\0';
  *text += length;
  for (int i = 0; i < 6; i++)
    if (!read_number(text, i == 0 ? COSREL_CL_METHODS - 1 : 4096, &way[i])) return false;
  if (!read_number(text, INT64_MAX, &c->time) || **text != '\n') return false;
  (*text)++;
  c->way = (cosrel_cl_way){(cosrel_cl_method)way[0], (uint32_t)way[1], (uint32_t)way[2],
                           (uint32_t)way[3],         (uint32_t)way[4], (uint32_t)way[5]};
  return true;
}

/* One line per layer; all of them or none. */
static void parse(cosrel_cl_tuner *tuner, const char *text) {
  cosrel_cl_choice c;
  uint32_t before = tuner->n;
  while (*text != '\0') {
    if (!read_line(&text, &c)) {
      tuner->n = before;
      return;
    }
    add(tuner, &c);
  }
}

static void load(cosrel_cl_tuner *tuner) {
  char key[4 * COSREL_CL_TEXT_MAX + 128];
  size_t key_bytes = make_key(tuner, key, sizeof key), bytes = 0;
  char *data = cosrel_cl_cache_read("tuning", key, key_bytes, &bytes);
  char *text = data != NULL ? realloc(data, bytes + 1) : NULL;
  if (text == NULL) {
    free(data);
    return;
  }
  text[bytes] = '\0';
  parse(tuner, text);
  free(text);
}

static void save(cosrel_cl_tuner *tuner) {
  char key[4 * COSREL_CL_TEXT_MAX + 128];
  size_t key_bytes = make_key(tuner, key, sizeof key), used = 0;
  load(tuner); /* what another program has measured meanwhile */
  size_t room = (size_t)tuner->n * (COSREL_CL_LAYER_KEY_MAX + 96) + 1;
  char *text = malloc(room);
  if (text == NULL) return;
  for (uint32_t i = 0; i < tuner->n; i++) {
    const cosrel_cl_choice *c = &tuner->choices[i];
    used += (size_t)snprintf(text + used, room - used, "%s %u %u %u %u %u %u %" PRId64 "\n", c->key,
                             (unsigned)c->way.method, c->way.vec, c->way.rows, c->way.step, c->way.local_x,
                             c->way.local_y, c->time);
  }
  cosrel_cl_cache_write("tuning", key, key_bytes, text, used);
  free(text);
}

void cosrel_cl_tuner_begin(cosrel_cl_tuner *tuner, const cosrel_cl_device *device, cosrel_cl_programs *programs) {
  cosrel_time allowed = allowance();
  *tuner = (cosrel_cl_tuner){.device = device, .programs = programs, .deadline = -1};
  if (allowed == 0) return;
  tuner->deadline = cosrel_monotonic_now() + allowed;
  load(tuner);
}

void cosrel_cl_tuner_end(cosrel_cl_tuner *tuner) {
  if (tuner->n_measured > 0) save(tuner);
  if (tuner->memory != NULL) tuner->device->api.ReleaseMemObject(tuner->memory);
  free(tuner->choices);
  *tuner = (cosrel_cl_tuner){0};
}

/* ---- Measuring ---- */

/* Memory for at least so many floats, written once: pages never written are all the same one, and too fast. */
static bool reserve(cosrel_cl_tuner *tuner, uint64_t elements) {
  const cosrel_cl_device *device = tuner->device;
  size_t bytes = (size_t)elements * sizeof(float) + COSREL_PADDING;
  cl_int code;
  if (tuner->memory != NULL && elements <= tuner->elements) return true;
  if (elements > ELEMENTS_MAX) return false;
  if (tuner->memory != NULL) device->api.ReleaseMemObject(tuner->memory);
  float *zeros = calloc(1, bytes);
  tuner->memory =
      zeros != NULL ? device->api.CreateBuffer(device->context, CL_MEM_READ_WRITE, bytes, NULL, &code) : NULL;
  bool good = tuner->memory != NULL && device->api.EnqueueWriteBuffer(device->compute, tuner->memory, CL_TRUE, 0, bytes,
                                                                      zeros, 0, NULL, NULL) == CL_SUCCESS;
  free(zeros);
  tuner->elements = good ? elements : 0;
  return good;
}

/* The next `elements` of the tuner's memory. */
static cosrel_cl_ref take(uint64_t *used, uint64_t elements) {
  cosrel_cl_ref ref = {.base = COSREL_CL_ARENA, .offset = (int64_t)*used};
  *used += (elements + COSREL_PADDING / sizeof(float) + 15) / 16 * 16;
  return ref;
}

cosrel_time cosrel_cl_tuner_time(cosrel_cl_tuner *tuner, const cosrel_cl_layer *layer, const cosrel_cl_way *way) {
  cosrel_cl_layer_sizes s = cosrel_cl_layer_measure(layer, way);
  cosrel_cl_layer_places p;
  const cosrel_cl_buffers none = {0};
  cosrel_error error;
  uint64_t used = 0;
  p.in = take(&used, s.in);
  p.out = take(&used, s.out);
  p.weights = take(&used, s.weight_room);
  p.bias = take(&used, s.bias);
  p.zeros = take(&used, s.zeros);
  p.scratch = take(&used, s.scratch);
  if (!reserve(tuner, used)) return -1;
  cosrel_time sum = 0;
  uint32_t n = cosrel_cl_layer_launches(layer, way);
  for (uint32_t i = 0; i < n; i++) {
    cosrel_cl_launch launch = cosrel_cl_layer_launch(layer, way, &p, i);
    if (cosrel_cl_launch_make(&launch, tuner->programs, &none, &error) != COSREL_OK) return -1;
    cosrel_time time = cosrel_cl_launch_time(tuner->device, &launch, tuner->memory, 1);
    cosrel_cl_launch_destroy(tuner->device, &launch);
    if (time < 0) return -1;
    sum += time;
  }
  return sum;
}

static bool same_way(const cosrel_cl_way *a, const cosrel_cl_way *b) {
  return a->method == b->method && a->vec == b->vec && a->rows == b->rows && a->step == b->step &&
         a->local_x == b->local_x && a->local_y == b->local_y;
}

/* The shortest of a few runs of each way, in turns, since others may load the machine for a while; negative where the
 * device cannot run it. The first run does not count: in it, drivers compile. False when time is up. */
static bool measure(cosrel_cl_tuner *tuner, const cosrel_cl_layer *layer, const cosrel_cl_way *ways, uint32_t n,
                    cosrel_time best[COSREL_CL_WAYS_MAX]) {
  for (uint32_t i = 0; i < n; i++) {
    if (cosrel_monotonic_now() >= tuner->deadline) return false;
    best[i] = cosrel_cl_tuner_time(tuner, layer, &ways[i]) < 0 ? -1 : INT64_MAX;
  }
  cosrel_time begun = cosrel_monotonic_now();
  for (int run = 0; run < RUNS_MAX; run++) {
    cosrel_time now = cosrel_monotonic_now();
    if (run > 0 && (now >= tuner->deadline || (run > 1 && now - begun >= ENOUGH))) break;
    for (uint32_t i = 0; i < n; i++) {
      cosrel_time time = best[i] < 0 ? -1 : cosrel_cl_tuner_time(tuner, layer, &ways[i]);
      if (time < best[i]) best[i] = time;
    }
  }
  return true;
}

cosrel_cl_way cosrel_cl_tuner_choose(cosrel_cl_tuner *tuner, const cosrel_cl_layer *layer) {
  cosrel_cl_way ways[COSREL_CL_WAYS_MAX];
  cosrel_cl_choice choice = {.time = -1};
  uint32_t n = cosrel_cl_layer_ways(layer, tuner->device, ways);
  if (tuner->deadline < 0 || n == 1 || cosrel_cl_layer_flops(layer) < FLOPS_MIN) return ways[0];
  cosrel_cl_layer_key(layer, choice.key);
  const cosrel_cl_choice *known = find(tuner, choice.key);
  for (uint32_t i = 0; known != NULL && i < n; i++)
    if (same_way(&ways[i], &known->way)) return known->way;
  if (known != NULL) return ways[0];
  cosrel_time best[COSREL_CL_WAYS_MAX];
  if (!measure(tuner, layer, ways, n, best)) return ways[0];
  uint32_t chosen = 0;
  for (uint32_t i = 1; i < n; i++) {
    /* What is hardly faster than the best guess is noise. */
    cosrel_time bar = chosen == 0 ? best[0] - best[0] / 20 : best[chosen];
    if (best[i] > 0 && (best[chosen] <= 0 || best[i] < bar)) chosen = i;
  }
  if (best[chosen] <= 0) return ways[0];
  choice.way = ways[chosen];
  choice.time = best[chosen];
  add(tuner, &choice);
  tuner->n_measured++;
  return choice.way;
}
