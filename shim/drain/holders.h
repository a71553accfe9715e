/* holders.h: what a fork or SCM_RIGHTS has shared: which processes hold it still? Drain thread only. */
#ifndef LASTCALL_DRAIN_HOLDERS_H
#define LASTCALL_DRAIN_HOLDERS_H

#include "core/conn.h"
#include "track/listeners.h"

/* Look into /proc: what no other process holds any more is ours alone again. with_listeners: look also if only listeners are
 * shared. pinned: a connection whose pin the caller has, or NULL. */
void holders_look(bool with_listeners, const struct conn *pinned);

/* Find out whether processes hold this shared listener that do not drain with us (l->external). Once in a drain, which begins,
 * this looks into /proc, and has patience with processes that still start. */
void holders_begin(void);
void holders_decide(struct listener *l);

#endif
