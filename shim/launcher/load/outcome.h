/* outcome.h: how requests end, each as exactly one class (load.h), and the client's next step. */
#ifndef LASTCALL_LAUNCHER_LOAD_OUTCOME_H
#define LASTCALL_LAUNCHER_LOAD_OUTCOME_H

#include "launcher/load/client.h"

/* The next request of the batch has ended with this class; why: for the list of losses. */
void outcome_end_request(struct load *l, struct client *c, enum load_class class, const char *why);

/* The connection ended, or had to end, with requests of the batch unanswered: each of these requests ends with this
 * class. */
void outcome_lose(struct load *l, struct client *c, enum load_class class, const char *why);

/* The server has closed the connection: error is an errno, 0 a FIN. A FIN that properly ends the response loses
 * nothing: the caller checks the response's state. */
void outcome_server_closed(struct load *l, struct client *c, int error);

/* After a request, whatever its class: pause, then send the next request; or leave. */
void outcome_go_on(struct load *l, struct client *c);

/* The number of requests that a client may send by now. */
unsigned load_limit_of(const struct load *l);

/* Continue in so many nanoseconds; leave; close the connection, if there is one. */
void outcome_pause_for(struct load *l, struct client *c, nsec_t time);
void outcome_done(struct load *l, struct client *c);
void outcome_hang_up(struct client *c);

#endif
