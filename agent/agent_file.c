/* Policy files; agent/agent.h says what is in them. */
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/safetensors.h"

#define NAME(name) #name ","
static const char row_features[] = COSREL_ROW_FEATURES(NAME);
static const char global_features[] = COSREL_GLOBAL_FEATURES(NAME);
static const char run_lengths[] = "1,4,end";
static const char objective_range[] = "latency 1, throughput 0..0.5, energy 0..0.33";

cosrel_status cosrel_agent_write(const char *path, const cosrel_agent *agent, cosrel_error *error) {
  const cosrel_metadata metadata[] = {
      {"format", "cosrel-policy"},          {"version", COSREL_AGENT_VERSION}, {"row_features", row_features},
      {"global_features", global_features}, {"run_lengths", run_lengths},      {"objective_range", objective_range},
      {"provenance", agent->provenance},
  };
  const cosrel_safetensor tensors[] = {
#define X(name, rows, columns) {#name, "F32", (rows), (columns), agent->net.name},
      COSREL_MLP_TENSORS(X)
#undef X
          {"row_mean", "F32", 1, COSREL_ROW_SIZE, agent->normaliser.row_mean},
      {"row_scale", "F32", 1, COSREL_ROW_SIZE, agent->normaliser.row_scale},
      {"context_mean", "F32", 1, COSREL_CONTEXT_SIZE, agent->normaliser.context_mean},
      {"context_scale", "F32", 1, COSREL_CONTEXT_SIZE, agent->normaliser.context_scale},
  };
  return cosrel_safetensors_write(path, tensors, sizeof tensors / sizeof *tensors, metadata,
                                  sizeof metadata / sizeof *metadata, error);
}

static cosrel_status expect(const cosrel_safetensors *file, const char *key, const char *expected,
                            cosrel_error *error) {
  const char *text = cosrel_safetensors_text(file, key);
  if (text != NULL && strcmp(text, expected) == 0) return COSREL_OK;
  return cosrel_fail(error, COSREL_FORMAT, "%s: __metadata__.%s: expected \"%.60s\", got \"%.60s\"", file->where, key,
                     expected, text == NULL ? "nothing" : text);
}

static cosrel_status load(const cosrel_safetensors *file, cosrel_agent *out, cosrel_error *error) {
  memset(out, 0, sizeof *out);
  cosrel_status status = expect(file, "format", "cosrel-policy", error);
  if (status == COSREL_OK) status = expect(file, "version", COSREL_AGENT_VERSION, error);
  if (status == COSREL_OK) status = expect(file, "row_features", row_features, error);
  if (status == COSREL_OK) status = expect(file, "global_features", global_features, error);
  if (status == COSREL_OK) status = expect(file, "run_lengths", run_lengths, error);
#define GET(name, rows, columns, to) \
  if (status == COSREL_OK) status = cosrel_safetensors_get(file, name, "F32", rows, columns, to, error)
#define X(name, rows, columns) GET(#name, rows, columns, out->net.name);
  COSREL_MLP_TENSORS(X)
#undef X
  GET("row_mean", 1, COSREL_ROW_SIZE, out->normaliser.row_mean);
  GET("row_scale", 1, COSREL_ROW_SIZE, out->normaliser.row_scale);
  GET("context_mean", 1, COSREL_CONTEXT_SIZE, out->normaliser.context_mean);
  GET("context_scale", 1, COSREL_CONTEXT_SIZE, out->normaliser.context_scale);
#undef GET
  const char *provenance = cosrel_safetensors_text(file, "provenance");
  snprintf(out->provenance, sizeof out->provenance, "%s", provenance == NULL ? "" : provenance);
  return status;
}

cosrel_status cosrel_agent_read(const char *path, cosrel_agent *out, cosrel_error *error) {
  cosrel_safetensors file;
  cosrel_status status = cosrel_safetensors_read(path, &file, error);
  if (status == COSREL_OK) status = load(&file, out, error);
  cosrel_safetensors_close(&file);
  return status;
}

cosrel_status cosrel_agent_parse(const char *bytes, size_t size, const char *where, cosrel_agent *out,
                                 cosrel_error *error) {
  cosrel_safetensors file;
  cosrel_status status = cosrel_safetensors_parse(bytes, size, where, &file, error);
  if (status == COSREL_OK) status = load(&file, out, error);
  cosrel_safetensors_close(&file);
  return status;
}
