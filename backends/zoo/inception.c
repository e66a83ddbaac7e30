/* Inception-v3. Szegedy et al., CVPR 2016; shapes as in torchvision (which took them from TensorFlow), without the
 * auxiliary head. Blocks bear TensorFlow's names: Mixed_5b to Mixed_7c. */
#include "backends/zoo/build.h"

typedef struct block_builder {
  cosrel_graph *graph;
  const char *name;
} block_builder;

static int32_t conv(const block_builder *b, int32_t x, const char *part, cosrel_conv conv) {
  conv.batch_norm = true;
  conv.activation = COSREL_RELU;
  return cosrel_graph_conv(b->graph, x, cosrel_zoo_label("%s%s", b->name, part).text, &conv);
}

/* Same-size convolutions of height x width taps. */
static int32_t same(const block_builder *b, int32_t x, const char *part, uint32_t channels, uint32_t height,
                    uint32_t width) {
  cosrel_conv taps = {.channels = channels, .kernel = height, .kernel_w = width, .pad = height / 2, .pad_w = width / 2};
  return conv(b, x, part, taps);
}

/* Halves the size, no padding. */
static int32_t halve(const block_builder *b, int32_t x, const char *part, uint32_t channels) {
  return conv(b, x, part, (cosrel_conv){.channels = channels, .kernel = 3, .stride = 2});
}

static int32_t pool_branch(const block_builder *b, int32_t x, uint32_t channels) {
  x = cosrel_graph_pool(b->graph, x, cosrel_zoo_label("%s.pool", b->name).text, COSREL_OP_AVERAGE_POOL, 3, 1, 1, false);
  return same(b, x, ".pool.project", channels, 1, 1);
}

static int32_t max_pool(const block_builder *b, int32_t x) {
  return cosrel_graph_pool(b->graph, x, cosrel_zoo_label("%s.pool", b->name).text, COSREL_OP_MAX_POOL, 3, 2, 0, false);
}

static int32_t concat(const block_builder *b, const char *part, const int32_t *branches, uint32_t n) {
  return cosrel_graph_concat(b->graph, branches, n, cosrel_zoo_label("%s%s", b->name, part).text);
}

static int32_t block_a(const block_builder *b, int32_t x, uint32_t pool_channels) {
  int32_t branches[4];
  branches[0] = same(b, x, ".1x1", 64, 1, 1);
  branches[1] = same(b, x, ".5x5.1", 48, 1, 1);
  branches[1] = same(b, branches[1], ".5x5.2", 64, 5, 5);
  branches[2] = same(b, x, ".3x3dbl.1", 64, 1, 1);
  branches[2] = same(b, branches[2], ".3x3dbl.2", 96, 3, 3);
  branches[2] = same(b, branches[2], ".3x3dbl.3", 96, 3, 3);
  branches[3] = pool_branch(b, x, pool_channels);
  return concat(b, ".concat", branches, 4);
}

/* Reduction from 35 x 35 to 17 x 17 (at side 299). */
static int32_t block_b(const block_builder *b, int32_t x) {
  int32_t branches[3];
  branches[0] = halve(b, x, ".3x3", 384);
  branches[1] = same(b, x, ".3x3dbl.1", 64, 1, 1);
  branches[1] = same(b, branches[1], ".3x3dbl.2", 96, 3, 3);
  branches[1] = halve(b, branches[1], ".3x3dbl.3", 96);
  branches[2] = max_pool(b, x);
  return concat(b, ".concat", branches, 3);
}

static int32_t block_c(const block_builder *b, int32_t x, uint32_t narrow) {
  int32_t branches[4];
  branches[0] = same(b, x, ".1x1", 192, 1, 1);
  branches[1] = same(b, x, ".7x7.1", narrow, 1, 1);
  branches[1] = same(b, branches[1], ".7x7.2", narrow, 1, 7);
  branches[1] = same(b, branches[1], ".7x7.3", 192, 7, 1);
  branches[2] = same(b, x, ".7x7dbl.1", narrow, 1, 1);
  branches[2] = same(b, branches[2], ".7x7dbl.2", narrow, 7, 1);
  branches[2] = same(b, branches[2], ".7x7dbl.3", narrow, 1, 7);
  branches[2] = same(b, branches[2], ".7x7dbl.4", narrow, 7, 1);
  branches[2] = same(b, branches[2], ".7x7dbl.5", 192, 1, 7);
  branches[3] = pool_branch(b, x, 192);
  return concat(b, ".concat", branches, 4);
}

/* Reduction from 17 x 17 to 8 x 8. */
static int32_t block_d(const block_builder *b, int32_t x) {
  int32_t branches[3];
  branches[0] = same(b, x, ".3x3.1", 192, 1, 1);
  branches[0] = halve(b, branches[0], ".3x3.2", 320);
  branches[1] = same(b, x, ".7x7x3.1", 192, 1, 1);
  branches[1] = same(b, branches[1], ".7x7x3.2", 192, 1, 7);
  branches[1] = same(b, branches[1], ".7x7x3.3", 192, 7, 1);
  branches[1] = halve(b, branches[1], ".7x7x3.4", 192);
  branches[2] = max_pool(b, x);
  return concat(b, ".concat", branches, 3);
}

/* Two of its branches fork again into a 1x3 and a 3x1. */
static int32_t block_e(const block_builder *b, int32_t x) {
  int32_t branches[4], fork[2];
  branches[0] = same(b, x, ".1x1", 320, 1, 1);
  branches[1] = same(b, x, ".3x3.1", 384, 1, 1);
  fork[0] = same(b, branches[1], ".3x3.2a", 384, 1, 3);
  fork[1] = same(b, branches[1], ".3x3.2b", 384, 3, 1);
  branches[1] = concat(b, ".3x3.concat", fork, 2);
  branches[2] = same(b, x, ".3x3dbl.1", 448, 1, 1);
  branches[2] = same(b, branches[2], ".3x3dbl.2", 384, 3, 3);
  fork[0] = same(b, branches[2], ".3x3dbl.3a", 384, 1, 3);
  fork[1] = same(b, branches[2], ".3x3dbl.3b", 384, 3, 1);
  branches[2] = concat(b, ".3x3dbl.concat", fork, 2);
  branches[3] = pool_branch(b, x, 192);
  return concat(b, ".concat", branches, 4);
}

void cosrel_zoo_inception_v3(cosrel_graph *graph, uint32_t side) {
#define IN(block) (&(block_builder){graph, block})
  int32_t x = cosrel_graph_input(graph, "image", 3, side, side);
  x = halve(IN("Conv2d_1a"), x, "", 32);
  x = conv(IN("Conv2d_2a"), x, "", (cosrel_conv){.channels = 32, .kernel = 3});
  x = same(IN("Conv2d_2b"), x, "", 64, 3, 3);
  x = max_pool(IN("MaxPool_3a"), x);
  x = same(IN("Conv2d_3b"), x, "", 80, 1, 1);
  x = conv(IN("Conv2d_4a"), x, "", (cosrel_conv){.channels = 192, .kernel = 3});
  x = max_pool(IN("MaxPool_5a"), x);
  x = block_a(IN("Mixed_5b"), x, 32);
  x = block_a(IN("Mixed_5c"), x, 64);
  x = block_a(IN("Mixed_5d"), x, 64);
  x = block_b(IN("Mixed_6a"), x);
  x = block_c(IN("Mixed_6b"), x, 128);
  x = block_c(IN("Mixed_6c"), x, 160);
  x = block_c(IN("Mixed_6d"), x, 160);
  x = block_c(IN("Mixed_6e"), x, 192);
  x = block_d(IN("Mixed_7a"), x);
  x = block_e(IN("Mixed_7b"), x);
  x = block_e(IN("Mixed_7c"), x);
  cosrel_zoo_classifier(graph, x, 1000);
#undef IN
}
