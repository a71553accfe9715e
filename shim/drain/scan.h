/* scan.h: the connections of a drain, all of them looked at. Drain thread only. */
#ifndef LASTCALL_DRAIN_SCAN_H
#define LASTCALL_DRAIN_SCAN_H

#include "core/conn.h"
#include "core/drain.h"

/* Scan every connection: do what is due (idle windows, ends of lingering), add what is outstanding to the census.
 * first: this scan also records the state at the signal. */
void scan_connections(struct census *census, nsec_t now, bool first);

/* The delivery: the program shall notice that half-closed connections have ended, even if their peers keep them
 * open. */
void scan_end_reading(void);

/* The deadline is over: end every connection that is still open, in both directions. */
void scan_abort(nsec_t now);

/* The private epoll set has an event for connection index/generation. True: a census is worth taking. */
bool scan_event(uint64_t token, nsec_t now);

/* verify.c: compare a connection's byte counts with the kernel's. Unequal: the connection becomes opaque; another
 * socket: stale. Pinned. */
void verify_counts(struct conn *c);

/* sweep.c: search the descriptors for connections on our ports that are not tracked, and track them. */
void sweep_descriptors(void);

#endif
