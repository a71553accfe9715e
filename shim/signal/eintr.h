/* eintr.h: what a call of the program that our handler has interrupted shall show of it. In our handler, with its context. */
#ifndef LASTCALL_SIGNAL_EINTR_H
#define LASTCALL_SIGNAL_EINTR_H

#include "base.h"

/* Nothing: an EINTR that our handler alone has caused is none of the program's; one that another handler of the program
 * shares is the program's, which may wait for nothing else (pause, sigsuspend). */
void eintr_hide(void *context);

/* All: the program's own handler of sig runs as ours returns, or has run. */
void eintr_show(int sig, void *context);

/* Is sig blocked in what our handler has interrupted? */
bool eintr_is_blocked(const void *context, int sig);

#endif
