/* outcome.h: how requests end, each as exactly one class (load.h), and what the client does then. */
#ifndef LASTCALL_LAUNCHER_LOAD_OUTCOME_H
#define LASTCALL_LAUNCHER_LOAD_OUTCOME_H

#include "launcher/load/client.h"

/* The request that is next to be answered has ended so; why: for the list of losses. */
void outcome_end_request(struct load *l, struct client *c, enum load_class class, const char *why);

/* The connection ended, or had to, with the batch unanswered: one class for each of its requests. */
void outcome_lose(struct load *l, struct client *c, enum load_class class, const char *why);

/* The same by the server: error is an errno, 0 a FIN. After a FIN that ends the response as it should nothing is lost:
 * the caller looks at the response's state. */
void outcome_server_closed(struct load *l, struct client *c, int error);

/* After a request, however it ended: think, then ask again; or leave. */
void outcome_go_on(struct load *l, struct client *c);

/* Requests that a client may ask by now. */
unsigned load_limit_of(const struct load *l);

/* Go on in so many nanoseconds; leave; close the connection, if there is one. */
void outcome_pause_for(struct load *l, struct client *c, nsec_t time);
void outcome_done(struct load *l, struct client *c);
void outcome_hang_up(struct client *c);

#endif
