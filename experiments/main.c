/* The table of commands, and nothing else. */
#include <stdio.h>
#include <string.h>

#include "experiments/commands.h"

static const struct {
  const char *name, *summary;
  int (*run)(int argc, char **argv);
} commands[] = {
    {"bound", "prints what no policy can beat", cosrel_cmd_bound},
    {"compare", "compares policies on many cases, with intervals", cosrel_cmd_compare},
    {"devices", "shows what can be a processor on this machine", cosrel_cmd_devices},
    {"inspect", "shows a model as units", cosrel_cmd_inspect},
    {"profile", "measures models on this machine's processors", cosrel_cmd_profile},
    {"replay", "simulates one workload under one policy", cosrel_cmd_replay},
    {"run", "executes real models on this machine's processors", cosrel_cmd_run},
    {"train", "trains a policy on simulated devices", cosrel_cmd_train},
    {"zoo", "writes a built-in network as an ONNX file", cosrel_cmd_zoo},
    {NULL, NULL, NULL},
};

static void print_commands(FILE *out) {
  fprintf(out,
          "cosrel: an online scheduler of concurrent DNN models on CPU, GPU and DSP\n\nUsage: cosrel COMMAND ...\n\n");
  for (size_t i = 0; commands[i].name != NULL; i++) fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
  fprintf(out, "\ncosrel COMMAND --help tells more.\n");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    print_commands(stderr);
    return 2;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    print_commands(stdout);
    return 0;
  }
  for (size_t i = 0; commands[i].name != NULL; i++)
    if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
  fprintf(stderr, "cosrel: unknown command '%s' (cosrel --help lists them)\n", argv[1]);
  return 2;
}
