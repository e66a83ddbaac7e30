/* A small Transformer encoder. Vaswani et al., NIPS 2017, section 3, with BERT's GELU (Devlin et al., NAACL 2019): 4
 * layers, width 256, 4 heads, 1024 in the feed-forward layer, normalisation after each addition. Those are the sizes of
 * BERT-Mini (Turc et al., arXiv:1908.08962). The input is embedded tokens: looking them up is left to the caller.
 * `side` is the number of tokens. The factor 1 / sqrt(64) of the scores is taken to be inside the query's weights. */
#include <stddef.h>

#include "backends/zoo/build.h"

#define LAYERS 4
#define WIDTH 256
#define HEADS 4
#define HIDDEN 1024

typedef struct layer_builder {
  cosrel_graph *graph;
  int index;
  uint32_t tokens;
} layer_builder;

static cosrel_zoo_name label(const layer_builder *b, const char *part) {
  return cosrel_zoo_label("layer%d.%s", b->index, part);
}

static int32_t dense(const layer_builder *b, int32_t x, const char *part, uint32_t channels) {
  return cosrel_graph_dense(b->graph, x, label(b, part).text, channels, true);
}

/* A projection seen per head, its axes permuted: from [1, tokens, heads, width / heads]. */
static int32_t heads(const layer_builder *b, int32_t x, const char *part, const uint32_t permutation[4]) {
  cosrel_shape split = {.rank = 4, .dims = {1, b->tokens, HEADS, WIDTH / HEADS}};
  x = dense(b, x, part, WIDTH);
  x = cosrel_graph_reshape(b->graph, x, cosrel_zoo_label("%s.split", label(b, part).text).text, split);
  return cosrel_graph_transpose(b->graph, x, cosrel_zoo_label("%s.heads", label(b, part).text).text, permutation);
}

static int32_t attention(const layer_builder *b, int32_t x) {
  static const uint32_t by_head[4] = {0, 2, 1, 3}, by_head_transposed[4] = {0, 2, 3, 1};
  cosrel_shape merged = {.rank = 3, .dims = {1, b->tokens, WIDTH}};
  int32_t query = heads(b, x, "query", by_head), key = heads(b, x, "key", by_head_transposed);
  int32_t value = heads(b, x, "value", by_head);
  int32_t y = cosrel_graph_binary(b->graph, query, key, label(b, "scores").text, COSREL_OP_MATMUL);
  y = cosrel_graph_unary(b->graph, y, label(b, "softmax").text, COSREL_OP_SOFTMAX);
  y = cosrel_graph_binary(b->graph, y, value, label(b, "context").text, COSREL_OP_MATMUL);
  y = cosrel_graph_transpose(b->graph, y, label(b, "context.tokens").text, by_head);
  y = cosrel_graph_reshape(b->graph, y, label(b, "context.merge").text, merged);
  return dense(b, y, "output", WIDTH);
}

static int32_t add_and_norm(const layer_builder *b, int32_t x, int32_t y, const char *part) {
  x = cosrel_graph_binary(b->graph, y, x, cosrel_zoo_label("%s.add", label(b, part).text).text, COSREL_OP_ADD);
  return cosrel_graph_unary(b->graph, x, cosrel_zoo_label("%s.norm", label(b, part).text).text, COSREL_OP_LAYER_NORM);
}

void cosrel_zoo_transformer_small(cosrel_graph *graph, uint32_t side) {
  cosrel_node input = {.name = "tokens", .op = COSREL_OP_INPUT, .shape = {.rank = 3, .dims = {1, side, WIDTH}}};
  int32_t x = cosrel_graph_add(graph, &input, NULL, 0);
  for (int i = 0; i < LAYERS; i++) {
    layer_builder b = {graph, i, side};
    x = add_and_norm(&b, x, attention(&b, x), "attention");
    int32_t y = dense(&b, x, "expand", HIDDEN);
    y = cosrel_graph_activation(graph, y, label(&b, "expand.act").text, COSREL_GELU);
    y = dense(&b, y, "reduce", WIDTH);
    x = add_and_norm(&b, x, y, "feed_forward");
  }
}
