/* Any bytes as a policy file: refused with one line, or read, and then every weight is a number. Nearly all bytes end
 * at the header's length, so they are taken as an edit of a whole file, too: where (2 bytes), how much to take away
 * (1 byte), and what to put there. The length in front is mended, so that the edit gets past it. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "traces/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns whether the bytes are a policy. */
static int policy_parse(const char *bytes, size_t size) {
  static cosrel_agent agent;
  cosrel_error error = {""};
  if (cosrel_agent_parse(bytes, size, "input", &agent, &error) != COSREL_OK) {
    if (strncmp(error.text, "input: ", 7) != 0 || strchr(error.text, '\n') != NULL) abort();
    return 0;
  }
  const float *parts[] = {(const float *)&agent.net, (const float *)&agent.normaliser};
  const size_t sizes[] = {COSREL_MLP_SIZE, sizeof agent.normaliser / sizeof(float)};
  for (int k = 0; k < 2; k++)
    for (size_t i = 0; i < sizes[k]; i++)
      if (!isfinite(parts[k][i])) abort();
  if (memchr(agent.provenance, '\0', sizeof agent.provenance) == NULL) abort();
  return 1;
}

/* A file as training writes it, made once; its header has *header bytes. */
static const char *policy_whole(size_t *size, size_t *header) {
  static char *bytes;
  static size_t bytes_size;
  if (bytes == NULL) {
    char path[] = "/tmp/cosrel-fuzz-XXXXXX";
    cosrel_error error = {""};
    int fd = mkstemp(path);
    cosrel_agent *agent = calloc(1, sizeof *agent);
    if (fd < 0 || agent == NULL) abort();
    close(fd);
    cosrel_mlp_init(&agent->net, 1);
    snprintf(agent->provenance, sizeof agent->provenance, "{\"seed\":7}");
    if (cosrel_agent_write(path, agent, &error) != COSREL_OK) abort();
    if (cosrel_file_read(path, 1 << 24, &bytes, &bytes_size, &error) != COSREL_OK) abort();
    remove(path);
    free(agent);
    if (!policy_parse(bytes, bytes_size)) abort();
  }
  *size = bytes_size;
  *header = 0;
  for (int i = 0; i < 8; i++) *header |= (size_t)(unsigned char)bytes[i] << (8 * i);
  return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  policy_parse((const char *)data, size);
  if (size < 3 || size > 4096) return 0;
  size_t whole_size, header;
  const char *whole = policy_whole(&whole_size, &header);
  size_t at = (data[0] | (size_t)data[1] << 8) % (header + 1), gone = data[2], more = size - 3;
  if (gone > header - at) gone = header - at;
  size_t edited_header = header - gone + more, edited_size = whole_size - gone + more;
  char *edited = malloc(edited_size);
  if (edited == NULL) abort();
  for (int i = 0; i < 8; i++) edited[i] = (char)(edited_header >> (8 * i));
  memcpy(edited + 8, whole + 8, at);
  memcpy(edited + 8 + at, data + 3, more);
  memcpy(edited + 8 + at + more, whole + 8 + at + gone, whole_size - 8 - at - gone);
  policy_parse(edited, edited_size);
  free(edited);
  return 0;
}
