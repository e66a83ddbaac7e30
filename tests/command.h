/* Runs the program as a test's user would. */
#ifndef COSREL_TESTS_COMMAND_H
#define COSREL_TESTS_COMMAND_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <cmocka.h>

/* `cosrel ARGUMENTS REDIRECT` in a shell; `output` takes up to max - 1 bytes of what is left on stdout. Returns the
 * exit status. */
static inline int command_run(const char *arguments, const char *redirect, char *output, size_t max) {
  const char *program = getenv("COSREL");
  char line[4096];
  int n = snprintf(line, sizeof line, "%s %s %s", program != NULL ? program : "build/cosrel", arguments, redirect);
  assert_true(n > 0 && (size_t)n < sizeof line);
  FILE *pipe = popen(line, "r");
  assert_non_null(pipe);
  size_t size = fread(output, 1, max - 1, pipe);
  output[size] = '\0';
  int status = pclose(pipe);
  assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

#endif
