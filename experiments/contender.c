#include "experiments/contender.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"

#define SHIPPED "cosrel"
#define SHIPPED_FILE "cosrel.safetensors"

const char *cosrel_contender_kind_name(cosrel_contender_kind kind) {
  static const char *const names[] = {"heuristic", "planner", "learned", "offline"};
  return names[kind];
}

bool cosrel_shipped_policy(char *path, size_t size) {
  static const char *const from_program[] = {SHIPPED_FILE, "../share/cosrel/" SHIPPED_FILE};
  const char *given = getenv("COSREL_POLICY");
  if (given != NULL && given[0] != '\0') return snprintf(path, size, "%s", given) < (int)size;
  snprintf(path, size, "agent/" SHIPPED_FILE);
  if (access(path, R_OK) == 0) return true;
  char program[1024];
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length <= 0) return false;
  program[length] = '\0';
  char *slash = strrchr(program, '/');
  if (slash == NULL) return false;
  slash[1] = '\0';
  for (size_t i = 0; i < sizeof from_program / sizeof from_program[0]; i++)
    if (snprintf(path, size, "%s%s", program, from_program[i]) < (int)size && access(path, R_OK) == 0) return true;
  return false;
}

static bool is_policy_file(const char *word) {
  static const char suffix[] = ".safetensors";
  size_t length = strlen(word);
  return strchr(word, '/') != NULL ||
         (length > sizeof suffix - 1 && strcmp(word + length - (sizeof suffix - 1), suffix) == 0);
}

static cosrel_status open_file(const char *path, cosrel_contender *out, cosrel_error *error) {
  out->kind = COSREL_CONTENDER_LEARNED;
  out->agent = calloc(1, sizeof *out->agent);
  if (out->agent == NULL) return cosrel_fail(error, COSREL_NOMEM, "%s: no memory for the policy", path);
  cosrel_status status = cosrel_agent_read(path, out->agent, error);
  if (status != COSREL_OK) cosrel_contender_close(out);
  return status;
}

cosrel_status cosrel_contender_open(const char *word, cosrel_contender *out, cosrel_error *error) {
  *out = (cosrel_contender){.name = word};
  if (is_policy_file(word)) return open_file(word, out, error);
  if (strcmp(word, SHIPPED) == 0) {
    char path[2048];
    if (!cosrel_shipped_policy(path, sizeof path))
      return cosrel_fail(error, COSREL_INVALID, "policy '%s': found no %s; COSREL_POLICY=FILE says where it is", word,
                         SHIPPED_FILE);
    return open_file(path, out, error);
  }
  for (const cosrel_policy_ops *const *p = cosrel_policy_list(); *p != NULL; p++)
    if (strcmp((*p)->name, word) == 0) {
      out->kind = (*p)->offline                  ? COSREL_CONTENDER_OFFLINE
                  : strcmp(word, "rollout") == 0 ? COSREL_CONTENDER_PLANNER
                                                 : COSREL_CONTENDER_HEURISTIC;
      return COSREL_OK;
    }
  if (strncmp(word, "all-", 4) == 0) return COSREL_OK; /* whether there is such a processor depends on the case */
  return cosrel_fail(error, COSREL_INVALID, "policy '%s': no such policy and no policy file", word);
}

void cosrel_contender_close(cosrel_contender *contender) {
  free(contender->agent);
  memset(contender, 0, sizeof *contender);
}

cosrel_status cosrel_contender_create(const cosrel_contender *contender, const cosrel_case *c,
                                      const cosrel_policy_config *config, cosrel_policy *out, cosrel_error *error) {
  if (contender->agent != NULL) return cosrel_agent_policy(contender->agent, c, config->plan_budget, out, error);
  return cosrel_policy_create(contender->name, c, config, out, error);
}

void cosrel_names_all(const cosrel_profile *profiles, uint32_t n_profiles, cosrel_names *out) {
  char path[2048];
  out->n = 0;
  for (uint32_t p = 0; p < profiles[0].n_processors; p++) {
    bool common = true;
    for (uint32_t i = 1; i < n_profiles; i++)
      common = common && cosrel_profile_find_processor(&profiles[i], profiles[0].processors[p].name) >= 0;
    if (!common) continue;
    snprintf(out->storage[p], sizeof out->storage[p], "all-%s", profiles[0].processors[p].name);
    out->items[out->n++] = out->storage[p];
  }
  for (const cosrel_policy_ops *const *p = cosrel_policy_list(); *p != NULL; p++) out->items[out->n++] = (*p)->name;
  if (cosrel_shipped_policy(path, sizeof path)) out->items[out->n++] = SHIPPED;
}
