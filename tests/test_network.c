/* Cutting nets into units, and arenas that no legal order can spoil. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backends/arena.h"
#include "backends/view.h"
#include "backends/zoo/zoo.h"
#include "tests/net_aid.h"

/* ---- Arenas ---- */

#define DAG_UNITS 48
#define CELL COSREL_ALIGNMENT

/* A random model, and a tensor for its input (0) and for each unit u (u + 1). */
typedef struct dag {
  cosrel_model model;
  cosrel_unit units[DAG_UNITS];
  int32_t edges[4 * DAG_UNITS];
  cosrel_arena_tensor tensors[DAG_UNITS + 1];
  uint32_t readers[4 * DAG_UNITS];
  uint64_t bytes;
} dag;

static void draw_dag(dag *d, uint64_t seed) {
  *d = (dag){.model = {.name = "dag", .units = d->units, .inputs = d->edges}};
  uint32_t n = d->model.n_units = 1 + cosrel_rng_below(seed, DAG_UNITS);
  uint32_t near = 1 + cosrel_rng_below(seed + 1, 8); /* how far back inputs lie */
  for (uint32_t u = 0; u < n; u++) {
    uint64_t key = cosrel_rng_key(seed, u);
    uint32_t wanted = 1 + cosrel_rng_below(key, 4);
    d->units[u].first_input = d->model.n_edges;
    for (uint32_t i = 0; i < wanted; i++) {
      int32_t producer = (int32_t)u - 1 - (int32_t)cosrel_rng_below(cosrel_rng_key(key, i), near + 1);
      if (producer < COSREL_MODEL_INPUT) producer = COSREL_MODEL_INPUT;
      bool known = false;
      for (uint32_t e = d->units[u].first_input; e < d->model.n_edges; e++) known |= d->edges[e] == producer;
      if (!known) d->edges[d->model.n_edges++] = producer;
    }
    d->units[u].n_inputs = d->model.n_edges - d->units[u].first_input;
  }
  uint32_t used = 0;
  for (int32_t t = 0; t <= (int32_t)n; t++) {
    cosrel_arena_tensor *tensor = &d->tensors[t];
    *tensor = (cosrel_arena_tensor){.bytes = 1 + cosrel_rng_below(cosrel_rng_key(seed, 1000 + (uint64_t)t), 20 * CELL),
                                    .producer = t - 1,
                                    .first_reader = used};
    for (uint32_t u = 0; u < n; u++) {
      for (uint32_t i = 0; i < d->units[u].n_inputs; i++) {
        if (d->edges[d->units[u].first_input + i] == t - 1) d->readers[used++] = u;
      }
    }
    tensor->n_readers = used - tensor->first_reader;
    tensor->kept = tensor->n_readers == 0 || cosrel_rng_below(cosrel_rng_key(seed, 2000 + (uint64_t)t), 16) == 0;
  }
}

static void fill(int32_t *cells, const cosrel_arena_tensor *t, int32_t owner) {
  for (uint64_t c = t->offset / CELL; c * CELL < t->offset + t->bytes; c++) cells[c] = owner;
}

static bool holds(const int32_t *cells, const cosrel_arena_tensor *t, int32_t owner) {
  for (uint64_t c = t->offset / CELL; c * CELL < t->offset + t->bytes; c++) {
    if (cells[c] != owner) return false;
  }
  return true;
}

static bool inputs_hold(const dag *d, const int32_t *cells, uint32_t u) {
  for (uint32_t i = 0; i < d->units[u].n_inputs; i++) {
    int32_t t = d->edges[d->units[u].first_input + i] + 1;
    if (!holds(cells, &d->tensors[t], t)) return false;
  }
  return true;
}

/* Runs the units in a random order that keeps the dependencies, several at once: a unit owns the cells of its output
 * from its start on. True when no unit ever finds a cell of an input or of its output in other hands. */
static bool survives(const dag *d, uint64_t seed) {
  int32_t *cells = calloc(d->bytes / CELL + 1, sizeof *cells);
  enum { WAITING, RUNNING, DONE } state[DAG_UNITS] = {WAITING};
  bool good = true;
  if (cells == NULL) abort();
  fill(cells, &d->tensors[0], 0);
  for (uint32_t left = d->model.n_units; left > 0 && good; seed++) {
    uint32_t u = cosrel_rng_below(seed, d->model.n_units);
    int32_t own = (int32_t)u + 1;
    if (state[u] == RUNNING) {
      good = inputs_hold(d, cells, u) && holds(cells, &d->tensors[own], own);
      state[u] = DONE;
      left--;
    } else if (state[u] == WAITING) {
      bool ready = true;
      for (uint32_t i = 0; i < d->units[u].n_inputs; i++) {
        int32_t producer = d->edges[d->units[u].first_input + i];
        ready &= producer == COSREL_MODEL_INPUT || state[producer] == DONE;
      }
      if (!ready) continue;
      good = inputs_hold(d, cells, u);
      fill(cells, &d->tensors[own], own);
      state[u] = RUNNING;
    }
  }
  for (int32_t t = 0; t <= (int32_t)d->model.n_units; t++) {
    if (d->tensors[t].kept) good &= holds(cells, &d->tensors[t], t);
  }
  free(cells);
  return good;
}

static void any_legal_order_is_safe(void **state) {
  (void)state;
  cosrel_error error;
  uint64_t shared = 0, plain = 0;
  for (uint64_t seed = 0; seed < 200; seed++) {
    dag d;
    draw_dag(&d, cosrel_rng_mix(seed));
    assert_int_equal(cosrel_arena_plan(&d.model, d.tensors, d.model.n_units + 1, d.readers, &d.bytes, &error),
                     COSREL_OK);
    for (uint32_t t = 0; t <= d.model.n_units; t++) {
      assert_int_equal(d.tensors[t].offset % CELL, 0);
      assert_true(d.tensors[t].offset + d.tensors[t].bytes <= d.bytes);
      plain += d.tensors[t].bytes;
    }
    shared += d.bytes;
    for (uint64_t order = 0; order < 10; order++) assert_true(survives(&d, cosrel_rng_key(seed, order)));
  }
  assert_true(shared < plain * 3 / 4); /* bytes are shared at all */
}

/* The check above sees a plan that is wrong: one made without telling it of the readers. */
static void a_bad_plan_is_seen(void **state) {
  (void)state;
  cosrel_error error;
  uint32_t seen = 0;
  for (uint64_t seed = 0; seed < 50; seed++) {
    dag d;
    draw_dag(&d, cosrel_rng_mix(seed));
    for (uint32_t t = 0; t <= d.model.n_units; t++) d.tensors[t].n_readers = 0;
    assert_int_equal(cosrel_arena_plan(&d.model, d.tensors, d.model.n_units + 1, d.readers, &d.bytes, &error),
                     COSREL_OK);
    seen += !survives(&d, seed);
  }
  assert_true(seen > 10);
}

/* Between ONNX's order and the arena's, of every small size: whole tiles, parts of tiles, single rows. */
static void layouts_go_both_ways(void **state) {
  (void)state;
  enum { C = 21, PIXELS = 21 };
  float onnx[2 * C * PIXELS], arena[2 * C * PIXELS], back[2 * C * PIXELS];
  for (uint32_t i = 0; i < 2 * C * PIXELS; i++) onnx[i] = (float)i;
  for (uint32_t c = 1; c <= C; c++) {
    for (uint32_t pixels = 1; pixels <= PIXELS; pixels++) {
      cosrel_shape shape = AID_SHAPE(2, c, 1, pixels);
      cosrel_layout_to_arena(&shape, onnx, arena);
      for (uint32_t n = 0; n < 2; n++)
        for (uint32_t p = 0; p < pixels; p++)
          for (uint32_t k = 0; k < c; k++)
            assert_true(arena[(n * pixels + p) * c + k] == onnx[(n * c + k) * pixels + p]);
      cosrel_layout_from_arena(&shape, arena, back);
      assert_memory_equal(back, onnx, 2 * c * pixels * sizeof(float));
    }
  }
}

/* ---- Units ---- */

/* A zoo network written as ONNX, read and cut has the units that it has when cut directly. Weights differ a little:
 * batch norms have been folded. */
static void zoo_models_keep_their_units(void **state) {
  (void)state;
  uint32_t n;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&n);
  for (uint32_t i = 0; i < n; i++) {
    char name[COSREL_NAME_MAX], path[COSREL_NAME_MAX + 8];
    cosrel_model direct;
    cosrel_network network;
    cosrel_error error;
    snprintf(name, sizeof name, "%s@%u", table[i].name, 96);
    snprintf(path, sizeof path, "zoo:%s", name);
    if (cosrel_zoo_model(name, &direct, &error) != COSREL_OK) fail_msg("%s", error.text);
    if (cosrel_network_open(path, &network, &error) != COSREL_OK) fail_msg("%s", error.text);
    const cosrel_model *model = &network.model;
    assert_string_equal(model->name, direct.name);
    assert_int_equal(model->n_units, direct.n_units);
    assert_int_equal(model->n_edges, direct.n_edges);
    assert_int_equal(model->input_elems, direct.input_elems);
    assert_memory_equal(model->inputs, direct.inputs, direct.n_edges * sizeof *direct.inputs);
    for (uint32_t u = 0; u < direct.n_units; u++) {
      const cosrel_unit *got = &model->units[u], *expected = &direct.units[u];
      assert_string_equal(got->name, expected->name);
      if (got->kind != expected->kind || got->macs != expected->macs || got->in_elems != expected->in_elems ||
          got->out_elems != expected->out_elems || got->weights > expected->weights) {
        fail_msg("%s: %s differs", name, got->name);
      }
    }
    cosrel_network_destroy(&network);
    cosrel_model_clear(&direct);
  }
}

static void create(aid_net *a, cosrel_network *network) {
  cosrel_error error;
  if (cosrel_net_settle(&a->net, &error) != COSREL_OK) fail_msg("%s", error.text);
  if (cosrel_network_create(&a->net, network, &error) != COSREL_OK) fail_msg("%s", error.text);
}

/* What the zoo does not have: SiLU on its own, GELU, a layer norm in pieces. */
static void elementwise_chains_are_one_unit(void **state) {
  (void)state;
  aid_net a;
  cosrel_network network;
  aid_begin(&a, 1, 13);
  int32_t x = aid_input(&a, AID_SHAPE(1, 6, 8));
  AID_INTS(&a, "axes", -1);
  int32_t d = AID_NODE(&a, "Sub", x, AID_NODE(&a, "ReduceMean", x));
  AID_INTS(&a, "axes", -1);
  int32_t v = AID_NODE(&a, "ReduceMean", AID_NODE(&a, "Pow", d, aid_scalar(&a, 2)));
  int32_t y = AID_NODE(&a, "Div", d, AID_NODE(&a, "Sqrt", AID_NODE(&a, "Add", v, aid_scalar(&a, 1e-5F))));
  y = AID_NODE(&a, "Mul", y, aid_constant(&a, AID_SHAPE(8)));
  y = AID_NODE(&a, "Add", y, aid_constant(&a, AID_SHAPE(8)));
  y = AID_NODE(&a, "MatMul", y, aid_constant(&a, AID_SHAPE(8, 4)));
  int32_t erf = AID_NODE(&a, "Erf", AID_NODE(&a, "Div", y, aid_scalar(&a, 1.41421356F)));
  y = AID_NODE(&a, "Mul", AID_NODE(&a, "Mul", y, AID_NODE(&a, "Add", erf, aid_scalar(&a, 1))), aid_scalar(&a, 0.5F));
  aid_output(&a, AID_NODE(&a, "Softmax", y));
  create(&a, &network);
  assert_int_equal(network.model.n_units, 2);
  assert_int_equal(network.model.units[0].kind, COSREL_KIND_ELEMENTWISE);
  assert_int_equal(network.model.units[0].weights, 16);
  assert_int_equal(network.model.units[1].kind, COSREL_KIND_DENSE);
  assert_int_equal(network.model.units[1].macs, 6 * 8 * 4);
  assert_int_equal(network.n_tail, 0);
  cosrel_network_destroy(&network);
}

/* Outputs that are views of a unit's output, of an input, and inside what would have been one unit; an output of Split
 * per unit; two inputs. */
static void outputs_may_be_anything(void **state) {
  (void)state;
  aid_net a;
  cosrel_network network;
  aid_begin(&a, 2, 13);
  int32_t x = aid_input(&a, AID_SHAPE(1, 4, 5, 6)), z = aid_input(&a, AID_SHAPE(1, 2, 5, 6)), parts[2];
  int32_t conv = AID_NODE(&a, "Conv", x, aid_constant(&a, AID_SHAPE(4, 4, 1, 1)));
  int32_t relu = AID_NODE(&a, "Relu", conv);
  AID_INTS(&a, "axis", 1);
  aid_nodes(&a, "Split", (const int32_t[]){relu, AID_LIST(&a, 2, 2)}, 2, parts, 2);
  aid_output(&a, conv);
  aid_output(&a, AID_NODE(&a, "Flatten", relu));
  aid_output(&a, AID_NODE(&a, "Add", parts[1], z));
  aid_output(&a, AID_NODE(&a, "Mul", parts[0], parts[1]));
  aid_output(&a, AID_NODE(&a, "Reshape", z, AID_LIST(&a, 6, 10)));
  aid_output(&a, x);
  create(&a, &network);
  assert_true(network.n_tail == 2);
  float **inputs = aid_inputs(&network.net, 3), **expected = aid_expected(&network.net, inputs);
  cosrel_backend_spec spec = {.processor = "cpu", .backend = "reference"};
  cosrel_backend *backend;
  cosrel_prepared *prepared;
  cosrel_error error;
  char why[256];
  void *arena = aid_arena(&network);
  assert_int_equal(cosrel_backend_open(&spec, &backend, &error), COSREL_OK);
  assert_int_equal(backend->ops->prepare(backend, &network, NULL, &prepared, &error), COSREL_OK);
  cosrel_network_put_inputs(&network, (const float *const *)inputs, arena);
  backend->ops->submit(backend, prepared, arena, NULL, 0, network.model.n_units);
  float **outputs = aid_outputs(&network, arena);
  if (!aid_agree(&network.net, outputs, expected, why)) fail_msg("%s", why);
  backend->ops->release(backend, prepared);
  backend->ops->close(backend);
  aid_free(outputs, network.net.n_outputs);
  aid_free(expected, network.net.n_outputs);
  aid_free(inputs, network.net.n_inputs);
  free(arena);
  cosrel_network_destroy(&network);
}

static bool share_bytes(const cosrel_network *network, int32_t a, int32_t b) {
  int64_t a_at = network->offsets[a], b_at = network->offsets[b];
  return a_at < b_at + (int64_t)cosrel_tensor_bytes(&network->net.values[b].tensor) &&
         b_at < a_at + (int64_t)cosrel_tensor_bytes(&network->net.values[a].tensor);
}

/* The runtime moves all inputs together, perhaps only for the unit that reads the last of them: nothing that is made
 * before may lie on any of them. */
static void inputs_live_together(void **state) {
  (void)state;
  aid_net a;
  cosrel_network network;
  aid_begin(&a, 4, 13);
  int32_t early = aid_input(&a, AID_SHAPE(1, 4, 5, 6)), late = aid_input(&a, AID_SHAPE(1, 4, 5, 6)), y = early;
  for (int i = 0; i < 4; i++) y = AID_NODE(&a, "Conv", y, aid_constant(&a, AID_SHAPE(4, 4, 1, 1)));
  y = AID_NODE(&a, "Conv", AID_NODE(&a, "Add", y, late), aid_constant(&a, AID_SHAPE(4, 4, 1, 1)));
  aid_output(&a, y);
  create(&a, &network);
  uint32_t last = network.model.n_units - 2; /* reads `late`, the last unit its output */
  assert_true(last >= 3);
  for (uint32_t u = 0; u <= last; u++) {
    assert_false(share_bytes(&network, network.units[u].output, early));
    assert_false(share_bytes(&network, network.units[u].output, late));
  }
  cosrel_network_destroy(&network);
}

static void bad_models_give_one_line(void **state) {
  (void)state;
  cosrel_network network;
  cosrel_error error = {""};
  assert_int_equal(cosrel_network_open("zoo:nonet", &network, &error), COSREL_INVALID);
  assert_non_null(strstr(error.text, "nonet"));
  assert_int_equal(cosrel_network_open("model.pb", &network, &error), COSREL_INVALID);
  assert_non_null(strstr(error.text, "model.pb"));
  assert_int_not_equal(cosrel_network_open("/nowhere/model.onnx", &network, &error), COSREL_OK);
  assert_non_null(strstr(error.text, "/nowhere/model.onnx"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zoo_models_keep_their_units), cmocka_unit_test(elementwise_chains_are_one_unit),
      cmocka_unit_test(outputs_may_be_anything),     cmocka_unit_test(inputs_live_together),
      cmocka_unit_test(bad_models_give_one_line),    cmocka_unit_test(any_legal_order_is_safe),
      cmocka_unit_test(a_bad_plan_is_seen),          cmocka_unit_test(layouts_go_both_ways),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
