#include "backends/opencl/rules.h"

#include <string.h>

const cosrel_cl_rule *cosrel_cl_find_rule(const char *operator_name) {
  static const cosrel_cl_rule *const families[] = {
      cosrel_cl_move_rules,  cosrel_cl_product_rules, cosrel_cl_element_rules,
      cosrel_cl_image_rules, cosrel_cl_reduce_rules,
  };
  for (size_t f = 0; f < sizeof families / sizeof families[0]; f++)
    for (const cosrel_cl_rule *rule = families[f]; rule->name != NULL; rule++)
      if (strcmp(rule->name, operator_name) == 0) return rule;
  return NULL;
}
