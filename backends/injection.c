#include "backends/injection.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "sched/rng.h"

static const struct {
  const char *name;
  cosrel_injected kind;
} kinds[] = {{"error", COSREL_INJECT_ERROR},
             {"hang", COSREL_INJECT_HANG},
             {"stuck", COSREL_INJECT_STUCK},
             {"nan", COSREL_INJECT_NAN},
             {"lost", COSREL_INJECT_LOST}};

static const cosrel_time stuck_for = 2 * COSREL_S;

/* "X" of "key=X" when the part has this key, else NULL. */
static const char *value_of(const char *part, const char *key) {
  size_t n = strlen(key);
  return strncmp(part, key, n) == 0 && part[n] == '=' ? part + n + 1 : NULL;
}

static bool read_number(const char *text, double low, double high, double *out) {
  char *end;
  if (!isdigit((unsigned char)text[0]) && text[0] != '.') return false; /* no signs, spaces, inf or nan */
  *out = strtod(text, &end);
  return *end == '\0' && *out >= low && *out <= high;
}

/* One of p=, every=, at= and for=. Returns what is wrong with it, or NULL. */
static const char *take_part(const char *part, cosrel_injection *item, double *at_s, double *for_s) {
  const char *text;
  double number;
  bool triggered = item->chance > 0 || item->every > 0 || *at_s >= 0;
  if ((text = value_of(part, "for")) != NULL) {
    if (*for_s >= 0 || !read_number(text, 0, 1e6, for_s)) return "expected one for=S, S from 0 to 10^6 seconds";
    return NULL;
  }
  if (triggered) return "expected at most one of p=X, every=N and at=S";
  if ((text = value_of(part, "p")) != NULL) {
    if (!read_number(text, 1e-9, 1, &item->chance)) return "expected p from 10^-9 to 1";
  } else if ((text = value_of(part, "every")) != NULL) {
    if (!read_number(text, 1, 1e9, &number) || number != floor(number)) return "expected every=N, N from 1 to 10^9";
    item->every = (uint64_t)number;
  } else if ((text = value_of(part, "at")) != NULL) {
    if (!read_number(text, 0, 1e6, at_s)) return "expected at=S, S from 0 to 10^6 seconds";
  } else {
    return "expected p=X, every=N, at=S or for=S";
  }
  return NULL;
}

/* Reads `text`, which is overwritten. Returns what is wrong, or NULL. */
static const char *parse(char *text, cosrel_injection *out) {
  double at_s = -1, for_s = -1;
  char *parts = strchr(text, ':'), *equals = strchr(text, '=');
  *out = (cosrel_injection){.kind = COSREL_INJECT_NOTHING};
  if (parts != NULL) *parts++ = '\0';
  if (equals == NULL || (parts != NULL && equals >= parts)) return "expected PROC=KIND";
  *equals++ = '\0';
  size_t n = strlen(text);
  if (n == 0 || n >= sizeof out->processor) return "expected the name of a processor, or any";
  memcpy(out->processor, text, n + 1);
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    if (strcmp(equals, kinds[k].name) == 0) out->kind = kinds[k].kind;
  if (out->kind == COSREL_INJECT_NOTHING) return "expected error, hang, stuck, nan or lost";
  while (parts != NULL) {
    char *next = strchr(parts, ':');
    if (next != NULL) *next++ = '\0';
    const char *wrong = take_part(parts, out, &at_s, &for_s);
    if (wrong != NULL) return wrong;
    parts = next;
  }
  cosrel_time given = (cosrel_time)(for_s * 1e9);
  if (out->chance > 0 || out->every > 0) {
    if (for_s >= 0 && out->kind != COSREL_INJECT_LOST && out->kind != COSREL_INJECT_STUCK)
      return "expected for=S only with at=S, stuck or lost";
    out->length = for_s >= 0 ? given : out->kind == COSREL_INJECT_STUCK ? stuck_for : 0;
  } else {
    out->at = at_s > 0 ? (cosrel_time)(at_s * 1e9) : 0;
    out->until = for_s >= 0 ? out->at + given : COSREL_TIME_NEVER;
  }
  return NULL;
}

cosrel_status cosrel_injection_add(cosrel_injection_plan *plan, const char *spec, cosrel_error *error) {
  char text[128];
  if (plan->n == COSREL_INJECTIONS_MAX)
    return cosrel_fail(error, COSREL_LIMIT, "--fault: expected at most %d", COSREL_INJECTIONS_MAX);
  if (strlen(spec) >= sizeof text)
    return cosrel_fail(error, COSREL_FORMAT, "--fault: expected fewer than %zu characters", sizeof text);
  memcpy(text, spec, strlen(spec) + 1);
  const char *wrong = parse(text, &plan->items[plan->n]);
  if (wrong != NULL) return cosrel_fail(error, COSREL_FORMAT, "--fault %s: %s", spec, wrong);
  plan->n++;
  return COSREL_OK;
}

static bool concerns(const cosrel_injection *item, const cosrel_processor *processor) {
  return strcmp(item->processor, "any") == 0 || strcmp(item->processor, processor->name) == 0;
}

cosrel_status cosrel_injection_check(const cosrel_injection_plan *plan, const cosrel_profile *profiles,
                                     uint32_t n_profiles, cosrel_error *error) {
  for (uint32_t i = 0; i < plan->n; i++) {
    bool found = false;
    for (uint32_t k = 0; k < n_profiles; k++)
      for (uint32_t p = 0; p < profiles[k].n_processors; p++)
        found = found || concerns(&plan->items[i], &profiles[k].processors[p]);
    if (!found)
      return cosrel_fail(error, COSREL_INVALID, "--fault %s=...: %s has no processor of that name",
                         plan->items[i].processor, n_profiles == 1 ? profiles[0].name : "any profile");
  }
  return COSREL_OK;
}

void cosrel_injector_begin(const cosrel_injection_plan *plan, const cosrel_profile *profile, uint64_t seed,
                           cosrel_injector *out) {
  memset(out, 0, sizeof *out);
  out->plan = plan;
  out->seed = cosrel_rng_key(seed, (uint64_t)0x6661756c74); /* apart from the run's other draws */
  for (uint32_t i = 0; plan != NULL && i < plan->n; i++)
    for (uint32_t p = 0; p < profile->n_processors; p++)
      if (concerns(&plan->items[i], &profile->processors[p])) out->processors[p].items |= 1u << i;
}

cosrel_injected cosrel_injector_condition(const cosrel_injector *injector, uint32_t p, cosrel_time now) {
  if (injector->processors[p].away != COSREL_INJECT_NOTHING && now < injector->processors[p].away_until)
    return injector->processors[p].away;
  for (uint32_t i = 0; injector->processors[p].items >> i != 0; i++) {
    const cosrel_injection *item = &injector->plan->items[i];
    if ((injector->processors[p].items >> i & 1) == 0 || item->chance > 0 || item->every > 0) continue;
    if (now >= item->at && now < item->until) return item->kind;
  }
  return COSREL_INJECT_NOTHING;
}

cosrel_injected cosrel_injector_segment(cosrel_injector *injector, uint32_t p, cosrel_time now) {
  uint64_t number = ++injector->processors[p].n_segments;
  cosrel_injected kind = cosrel_injector_condition(injector, p, now);
  for (uint32_t i = 0; kind == COSREL_INJECT_NOTHING && injector->processors[p].items >> i != 0; i++) {
    const cosrel_injection *item = &injector->plan->items[i];
    if ((injector->processors[p].items >> i & 1) == 0) continue;
    uint64_t key = cosrel_rng_key(cosrel_rng_key(injector->seed, (uint64_t)i << 32 | p), number);
    bool hit = item->every > 0 ? number % item->every == 0 : cosrel_rng_uniform(key) < item->chance;
    if (!hit) continue;
    kind = item->kind;
    if (kind == COSREL_INJECT_LOST || kind == COSREL_INJECT_STUCK) {
      injector->processors[p].away = kind;
      injector->processors[p].away_until = now + item->length;
    }
  }
  return injector->processors[p].segment = kind;
}
