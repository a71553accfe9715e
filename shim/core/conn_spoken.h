/* conn_spoken.h: what the first bytes of both sides of a connection say of its listener (core/spoken.h). Pure. */
#ifndef LASTCALL_CONN_SPOKEN_H
#define LASTCALL_CONN_SPOKEN_H

#include "core/conn.h"

/* ---- for conn.c, in the call that moves the bytes ---- */

/* http1 has refused the first request, or what stands in its place, before data[0]: `here` bytes of this call are
 * before data[0], n more have come. */
void conn_spoken_note_client(struct conn *c, const uint8_t *data, size_t n, size_t here);

/* The first n bytes that the server of an opaque connection sends; data NULL: unseen. */
void conn_spoken_note_server(struct conn *c, const uint8_t *data, size_t n);

/* The server has sent what is no response, or has switched protocols: `here` bytes from begin[0] on are taken, and n
 * more have come. */
void conn_spoken_note_no_response(struct conn *c, const char *begin, size_t n, size_t here);

/* ---- any thread ---- */

/* What do the first bytes of both sides say of the listener? */
enum spoken conn_spoken(const struct conn *c);

/* Are the client's first bytes plainly not HTTP, and has no HTTP server answered them? */
bool conn_spoken_is_no_http(const struct conn *c);

#endif
