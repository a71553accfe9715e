/* close_conns.h: makes the program close its connections: a read shutdown of the idle ones, and of the others a read
 * shutdown once a response is held back under a cork (cork_close.h). */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_CLOSE_CONNS_H
#define LASTCALL_LAUNCHER_EXTERNAL_CLOSE_CONNS_H

#include "launcher/external/observe.h"

/* A system call was refused with this error number: from here on no descriptor of a connection is taken over. */
void close_conns_cannot_take(struct observer *o, int error);

/* Makes the read shutdown of this connection, if the connection is still quiet. */
void close_conns_shut_idle(struct observer *o, struct observed_conn *conn, nsec_t now);

/* Corks a connection (cork_close.h); makes the read shutdown of all corked connections that hold back a response. */
void close_conns_begin_cork(struct observer *o, struct observed_conn *conn, nsec_t now);
void close_conns_step_corks(struct observer *o, nsec_t now);

/* Has the program closed its own descriptor, or the client its side? Then the launcher must close its descriptor, or
 * the connection stays open. */
bool close_conns_has_no_other_holder(const struct observer *o, const struct observed_conn *conn);

/* The program has not closed a connection after the read shutdown under the cork: the response continues, and must
 * not wait for the cork. */
void close_conns_uncork(struct observer *o, struct observed_conn *conn, nsec_t now);

#endif
