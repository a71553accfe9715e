/* eintr.h: does a call of the program that our handler has interrupted show EINTR? In our handler, with its context. */
#ifndef LASTCALL_SIGNAL_EINTR_H
#define LASTCALL_SIGNAL_EINTR_H

#include "base.h"

/* Hide it: an EINTR that our handler alone has caused is not shown to the program; an EINTR that another handler of
 * the program shares in is shown, as the program may wait for nothing else (pause, sigsuspend). */
void eintr_hide(void *context);

/* Show it: the program's own handler of sig runs as our handler returns, or has run. */
void eintr_show(int sig, void *context);

/* Is sig blocked in the code that our handler has interrupted? */
bool eintr_is_blocked(const void *context, int sig);

#endif
