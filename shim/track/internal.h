/* internal.h: listeners to which only processes of this group connect: between uWSGI's HTTP router and its workers,
 * from one server block of nginx to another. A request in flight may still need a new connection to such a listener, so
 * it accepts until nothing else of the drain is outstanding. Any thread, any signal handler. */
#ifndef LASTCALL_TRACK_INTERNAL_H
#define LASTCALL_TRACK_INTERNAL_H

#include "track/listeners.h"

/* The program is about to call connect. Not 0: internal_connected must follow, with it. */
uint32_t internal_connecting(void);
/* It was connect(fd, addr, len), and has succeeded (done) or goes on (EINPROGRESS), perhaps to a listener of the group;
 * addr NULL: it has failed. */
void internal_connected(uint32_t begun, int fd, const void *addr, unsigned len, bool done);

/* A connection has been accepted from l. */
void internal_accepted(struct listener *l);

/* Has every connection that was accepted from l been made by a process of the group, and one at least? */
bool internal_is(const struct listener *l);

#endif
