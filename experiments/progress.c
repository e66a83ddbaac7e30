#include "experiments/progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "backends/monotonic.h"

#define BAR_WIDTH 30
#define BAR_PERIOD_S 0.1
#define LINE_PERIOD_S 5.0

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number) {
  (void)signal_number;
  interrupted = 1;
}

void cosrel_interrupt_catch(void) {
  struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
}

bool cosrel_interrupted(void) { return interrupted != 0; }

double cosrel_seconds(void) { return cosrel_time_s(cosrel_monotonic_now()); }

cosrel_progress cosrel_progress_begin(const char *what, uint64_t total) {
  double now = cosrel_seconds();
  return (cosrel_progress){
      .what = what, .total = total, .terminal = isatty(STDERR_FILENO) == 1, .started = now, .shown = now};
}

static void show(cosrel_progress *p, uint64_t done, const char *note, double now) {
  double share = p->total > 0 ? (double)done / (double)p->total : 1.0;
  double spent = now - p->started;
  if (share > 1.0) share = 1.0;
  p->shown = now;
  if (p->terminal) {
    static const char bar[] = "##############################..............................";
    int filled = (int)(share * BAR_WIDTH);
    fprintf(stderr, "\r[%.*s] %3.0f %%  %" PRIu64 "/%" PRIu64 " %s", BAR_WIDTH, bar + BAR_WIDTH - filled, 100.0 * share,
            done, p->total, p->what);
    if (done > 0 && done < p->total) fprintf(stderr, ", %.0f s left", spent * (1.0 - share) / share);
    fprintf(stderr, "%s%s\033[K", note != NULL ? "  " : "", note != NULL ? note : "");
  } else {
    fprintf(stderr, "%" PRIu64 "/%" PRIu64 " %s after %.0f s", done, p->total, p->what, spent);
    if (done > 0 && done < p->total) fprintf(stderr, ", %.0f s left", spent * (1.0 - share) / share);
    fprintf(stderr, "%s%s\n", note != NULL ? "  " : "", note != NULL ? note : "");
  }
  fflush(stderr);
}

void cosrel_progress_update(cosrel_progress *progress, uint64_t done, const char *note) {
  double now = cosrel_seconds();
  if (now - progress->shown >= (progress->terminal ? BAR_PERIOD_S : LINE_PERIOD_S)) show(progress, done, note, now);
}

void cosrel_progress_end(cosrel_progress *progress, uint64_t done) {
  show(progress, done, NULL, cosrel_seconds());
  if (progress->terminal) fputc('\n', stderr);
}
