/* The report of one run for people, the same for a simulated and a real one. */
#ifndef COSREL_EXPERIMENTS_REPORT_H
#define COSREL_EXPERIMENTS_REPORT_H

#include "experiments/cell.h"

/* To stdout. */
void cosrel_cell_print(const cosrel_cell *cell);

#endif
