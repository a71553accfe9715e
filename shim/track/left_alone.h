/* left_alone.h: what this library leaves alone, since it is plainly not HTTP (core/spoken.h): listeners, their
 * connections, and a process that has nothing else. A listener that LASTCALL_LISTEN names is never left alone. Any
 * thread, any signal handler. */
#ifndef LASTCALL_TRACK_LEFT_ALONE_H
#define LASTCALL_TRACK_LEFT_ALONE_H

#include "core/conn.h"
#include "track/listeners.h"

/* Does a drain not stop this listener? One on TCP is left alone once it is known not to be HTTP, one of AF_UNIX until
 * it is known to be. */
bool left_alone_listener(struct listener *l);

/* Does a drain not wait for this connection, nor end it? */
bool left_alone_connection(const struct conn *c);

/* Has this process nothing that a drain could be for? Then a signal passes as without this library. */
bool left_alone_process(void);

/* A listener that has just been left alone, which no process has logged yet; NULL: none. */
const struct listener *left_alone_untold(void);

#endif
