/* Runs a program of traces/tools/ as a test's user would. */
#ifndef COSREL_TESTS_TOOL_H
#define COSREL_TESTS_TOOL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* `arguments` end in NULL, at most 14 of them. Returns the exit status; -1 when it did not exit by itself. */
static inline int tool_run(const char *name, char *const *arguments) {
  char tool[4096], *argv[16] = {tool};
  const char *program = getenv("COSREL") ? getenv("COSREL") : "build/cosrel", *slash = strrchr(program, '/');
  snprintf(tool, sizeof tool, "%.*s/traces/tools/%s", slash ? (int)(slash - program) : 1, slash ? program : ".", name);
  for (int i = 0; i < 14 && arguments[i]; ++i) argv[i + 1] = arguments[i];
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    execv(tool, argv);
    _exit(127);
  }
  int result = -1;
  if (child > 0) waitpid(child, &result, 0);
  return child > 0 && WIFEXITED(result) ? WEXITSTATUS(result) : -1;
}

#endif
