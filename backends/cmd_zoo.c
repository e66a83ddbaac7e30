/* cosrel zoo: a built-in network as an ONNX file, for tools that want weights and for trying cosrel on files. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/onnx/onnx.h"
#include "backends/zoo/zoo.h"
#include "experiments/commands.h"
#include "experiments/options.h"
#include "traces/atomic.h"

static const cosrel_usage usage = {
    .command = "zoo",
    .synopsis = "[NAME[@SIDE] -o FILE.onnx [--seed N]]",
    .about =
        "Writes a built-in network as an ONNX file with random weights (He normal); equal seeds give equal bytes.\n"
        "NAME@SIDE is the network for inputs of another size. Without arguments it lists the networks.",
    .example = "cosrel zoo mobilenet_v2 -o mobilenet_v2.onnx",
    .operands_max = 1,
};

static void list_networks(void) {
  uint32_t n;
  const cosrel_zoo_entry *table = cosrel_zoo_table(&n);
  for (uint32_t i = 0; i < n; i++) printf("%-26s %5" PRIu32 "  %s\n", table[i].name, table[i].side, table[i].title);
}

static cosrel_status write_network(const char *name, const char *path, uint64_t seed, cosrel_error *error) {
  cosrel_graph graph;
  uint8_t *bytes = NULL;
  size_t n = 0;
  cosrel_status status = cosrel_zoo_graph(strncmp(name, "zoo:", 4) == 0 ? name + 4 : name, &graph, error);
  if (status == COSREL_OK) status = cosrel_onnx_encode(&graph, seed, &bytes, &n, error);
  if (status == COSREL_OK) status = cosrel_atomic_write(path, bytes, n, error);
  if (status == COSREL_OK) printf("%s: %s, %.1f MB, seed %" PRIu64 "\n", path, graph.name, (double)n / 1e6, seed);
  free(bytes);
  cosrel_graph_clear(&graph);
  return status;
}

int cosrel_cmd_zoo(int argc, char **argv) {
  const char *path = NULL;
  uint64_t seed = 1;
  const cosrel_option options[] = {
      {"o", COSREL_OPTION_TEXT, &path, "FILE.onnx", "file to write", 0, 0, false},
      {"seed", COSREL_OPTION_COUNT, &seed, "N", "keys every weight (1)", 0, 1e18, false},
      {0},
  };
  cosrel_strings operands;
  cosrel_parse parse = cosrel_options_parse(&usage, options, argc, argv, &operands);
  if (parse != COSREL_PARSE_OK) return cosrel_parse_exit(parse);
  if (operands.n == 0 && path == NULL) {
    list_networks();
    return 0;
  }
  cosrel_error error = {""};
  cosrel_status status;
  if (operands.n == 0) {
    status = cosrel_fail(&error, COSREL_INVALID, "zoo: expected a network's name (cosrel zoo lists them)");
  } else if (path == NULL) {
    status = cosrel_fail(&error, COSREL_INVALID, "zoo: expected -o FILE.onnx");
  } else {
    status = write_network(operands.items[0], path, seed, &error);
  }
  return status == COSREL_OK ? 0 : cosrel_report(status, &error);
}
