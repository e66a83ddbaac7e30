/* Heterogeneous earliest finish time: the list scheduler of Topcuoglu, Hariri and Wu, IEEE Trans. Parallel Distrib.
 * Syst. 13(3), 2002, as pure functions over a task graph. sched/policies/heft.c makes an online policy of them. */
#ifndef COSREL_SCHED_POLICIES_HEFT_H
#define COSREL_SCHED_POLICIES_HEFT_H

#include <stdint.h>

#include "sched/profile.h"

typedef struct cosrel_heft_edge {
  uint32_t from, to, cost; /* `cost` is a row of graph->transfer */
} cosrel_heft_edge;

/* Tasks are numbered in topological order and edges are sorted by `to`. P is n_processors. */
typedef struct cosrel_heft_graph {
  uint32_t n_tasks, n_processors, n_edges;
  const double *cost;            /* [n_tasks][P], negative: cannot run there */
  const double *launch;          /* [P] paid unless the task follows the one before it on p without a gap; NULL: none */
  const cosrel_heft_edge *edges; /* [n_edges] */
  const float *transfer;         /* [rows][P][P], 0 on the diagonal */
} cosrel_heft_graph;

/* A stretch of time in which a processor is taken. `owner` and `task` (its last) are the caller's. */
typedef struct cosrel_heft_busy {
  double begin, end;
  uint32_t owner, task;
} cosrel_heft_busy;

/* Taken stretches of one processor, ascending and disjoint. `busy` is the caller's, with room for a stretch per task.
 */
typedef struct cosrel_heft_line {
  uint32_t n;
  cosrel_heft_busy *busy;
} cosrel_heft_line;

typedef struct cosrel_heft_slot {
  double begin, end;
  uint32_t processor;
} cosrel_heft_slot;

/* Upward ranks (equation 8 of the paper): mean cost plus the largest of mean transfer + rank over the successors. */
void cosrel_heft_rank(const cosrel_heft_graph *graph, double *rank);

/* Tasks by descending rank, ties by number. */
void cosrel_heft_order(const cosrel_heft_graph *graph, const double *rank, uint32_t *order);

/* Puts every task, in `order`, into the gap that gives it the earliest finish (insertion policy), and takes it on the
 * lines. `earliest` [n_tasks][P] is when what a task reads from outside the graph is on p; NULL: 0. Tasks whose slot
 * has processor != UINT32_MAX on entry are already placed and stay. Returns the latest end. */
double cosrel_heft_schedule(const cosrel_heft_graph *graph, const uint32_t *order, const double *earliest,
                            cosrel_heft_line *lines, uint32_t owner, cosrel_heft_slot *slots);

#endif
