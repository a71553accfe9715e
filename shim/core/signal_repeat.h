/* signal_repeat.h: which drain signal, after the one that began a drain, ends the drain at once.
 *
 * A supervisor escalates by itself: systemd sends TERM when ExecStop= (QUIT, for nginx) has taken its time, and what
 * comes last is KILL. So a drain signal of another kind never ends a drain when it comes for the first time. A repeat
 * of a signal that has come already does, but for repeats within DRAIN_REPEAT of the first of its kind, which are the
 * same signal (systemd, Heroku and forwarding parents send two).
 *
 * Pure. One struct for each drain, zeroed; any thread, any signal handler. */
#ifndef LASTCALL_SIGNAL_REPEAT_H
#define LASTCALL_SIGNAL_REPEAT_H

#include "core/drain.h"
#include "core/signal_view.h"

struct signal_repeat {
    nsec_t first[SIGNAL_VIEW_MAX]; /* when the first of its kind came; 0: never */
};

/* sig has come at `now`, not 0. Does it end the drain? */
bool signal_repeat_ends(struct signal_repeat *r, int sig, nsec_t now);

#endif
