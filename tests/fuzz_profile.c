/* Any bytes as a profile: refused with one line, or read, and then writing and reading again changes nothing. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "traces/profile_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char where[] = "input";
  cosrel_profile first, second;
  cosrel_error error = {""};
  if (cosrel_profile_parse((const char *)data, size, where, &first, &error) != COSREL_OK) {
    if (strncmp(error.text, "input: ", 7) != 0 || strchr(error.text, '\n') != NULL) abort();
    if (first.models != NULL || first.sources != NULL || first.n_processors != 0) abort();
    return 0;
  }
  char *text, *again;
  size_t text_size, again_size;
  if (cosrel_profile_format(&first, where, &text, &text_size, &error) != COSREL_OK) abort();
  if (cosrel_profile_parse(text, text_size, where, &second, &error) != COSREL_OK) abort();
  if (cosrel_profile_format(&second, where, &again, &again_size, &error) != COSREL_OK) abort();
  if (text_size != again_size || memcmp(text, again, text_size) != 0) abort();
  free(text);
  free(again);
  cosrel_profile_clear(&first);
  cosrel_profile_clear(&second);
  return 0;
}
