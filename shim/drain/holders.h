/* holders.h: which processes still hold the sockets that a fork or SCM_RIGHTS has shared? Drain thread only. */
#ifndef LASTCALL_DRAIN_HOLDERS_H
#define LASTCALL_DRAIN_HOLDERS_H

#include "core/conn.h"
#include "track/listeners.h"

/* Look into /proc: a socket that no other process holds any more becomes CONN_OWN again. with_listeners: look also
 * if only listeners are shared. pinned: a connection with a pin that the caller has, or NULL. */
void holders_look(bool with_listeners, const struct conn *pinned);

/* Find out whether external processes, which are no part of this drain, hold this shared listener (l->external).
 * Once per drain, at its beginning, this looks into /proc, and waits for processes that still start. */
void holders_begin(void);
void holders_decide(struct listener *l);

#endif
