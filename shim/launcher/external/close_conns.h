/* close_conns.h: making the program close its connections: an end of file on the idle ones, on the others an end of file
 * together with a response. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_CLOSE_CONNS_H
#define LASTCALL_LAUNCHER_EXTERNAL_CLOSE_CONNS_H

#include "launcher/external/observe.h"

/* That descriptors cannot be taken over here was found by a system call that was refused with this error number. */
void close_conns_cannot_take(struct observer *o, int error);

/* Makes the program read an end of file on this connection, if it is still quiet. */
void close_conns_shut_idle(struct observer *o, struct observed_conn *conn, nsec_t now);

/* Puts a connection under a cork (cork_close.h); gives an end of file to all corked connections that hold a response. */
void close_conns_begin_cork(struct observer *o, struct observed_conn *conn, nsec_t now);
void close_conns_step_corks(struct observer *o, nsec_t now);

/* Has the program closed its own descriptor, or the client its side? Then our descriptor must not stand in the way. */
bool close_conns_has_no_other_holder(const struct observer *o, const struct observed_conn *conn);

/* The program has not closed a connection that was given its end of file under the cork: a response goes on, and must not
 * wait for the cork. */
void close_conns_uncork(struct observer *o, struct observed_conn *conn, nsec_t now);

#endif
