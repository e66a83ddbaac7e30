#include "backends/runtime/variants.h"

#include "sched/check.h"

cosrel_status cosrel_variants_make(cosrel_machine *machine, const cosrel_case *c, uint32_t *networks,
                                   cosrel_error *error) {
  uint64_t taken = 0;
  for (uint32_t s = 0; s < c->n_streams; s++) {
    const cosrel_stream_case *sc = &c->streams[s];
    if (sc->weights != s) {
      networks[s] = networks[sc->weights];
      continue;
    }
    if ((taken >> networks[s] & 1) != 0)
      COSREL_TRY(cosrel_machine_add(machine, machine->networks[networks[s]], &networks[s], error));
    taken |= UINT64_C(1) << networks[s];
    for (uint32_t p = 0; p < c->n_processors; p++)
      COSREL_TRY(cosrel_machine_set_precisions(machine, p, networks[s], sc->precision[p], error));
  }
  return COSREL_OK;
}
