/* http1_close.h: says `Connection: close` in a response head on its way out.
 *
 * Pure. The program's bytes go through a plan of pieces: its own bytes, its bytes left out, and literals that are put
 * in. Token keep-alive in a Connection field becomes close, other tokens stay; Keep-Alive fields are left out; a head
 * that would not say close gets `Connection: close` CRLF put in before its final CRLF. 1xx heads are untouched (the
 * next head is then expected). A keep-alive that continues in the next chunk, or whose end is not seen yet, and a
 * Keep-Alive line that continues there, pass through as they are: the field added at the end is enough (RFC 9112 9.6:
 * close wins). A head with a line that is not as RFC 9112 has
 * it is odd: done is set, and nothing more is changed.
 *
 * Short writes are mapped back exactly: the program is told only of bytes of its own buffer that are on the wire (or
 * left out); the unsent rest of a literal goes out first next time. As every literal is followed by bytes of the
 * program, nothing is ever left unsent at the end of a head. */
#ifndef LASTCALL_HTTP1_CLOSE_H
#define LASTCALL_HTTP1_CLOSE_H

#include "base.h"

enum { HTTP1_CLOSE_PIECES = 40, HTTP1_CLOSE_SPANS = 35 };

struct http1_span { /* same layout as struct iovec */
    const void *data;
    size_t len;
};

struct http1_close_piece {
    const void *data; /* what goes on the wire: the program's bytes or a literal */
    size_t len;       /* bytes on the wire, may be 0 */
    size_t source;    /* bytes of the program that this piece stands for, may be 0 */
};

struct http1_close { /* the state between two writes of one response head; all zero = start of a head */
    uint8_t state;
    uint8_t unsent; /* bytes of the last literal still to be sent */
    bool said;      /* close is in the head already */
    bool done;      /* the (final) head has ended; nothing more to do until http1_close_begin */
    uint16_t status;
    uint8_t at; /* belongs to http1_close.c, as does the next: see there */
    bool connection;
    const char *literal; /* where the unsent bytes of a literal begin */
};

struct http1_close_plan {
    struct http1_close_piece piece[HTTP1_CLOSE_PIECES];
    unsigned count;
    size_t wire;  /* bytes on the wire of all pieces */
    size_t taken; /* bytes of the program that the pieces stand for: up to the end of the head */
    bool ends;    /* the plan reaches the end of the final head */
};

/* Ready for the next response head. */
void http1_close_begin(struct http1_close *r);

/* Plan the sending of these chunks of the program's bytes, at most up to the end of the final head (bytes after it
 * are the caller's, who sends them only if the plan ends the head). *r is not changed. If the pieces do not suffice,
 * keep-alive passes unaltered; close is said all the same. If the head lies in more than HTTP1_CLOSE_SPANS chunks,
 * the plan takes so many of them: a short write. */
void http1_close_plan(struct http1_close_plan *plan, const struct http1_close *r, const struct http1_span *chunks,
                      size_t count);

/* `sent` bytes (at most plan->wire) of the plan's pieces went out; *r and the chunks are still those that
 * were planned with. Moves *r there. Returns the bytes of
 * the program that are thereby done: what the caller's write may report. */
size_t http1_close_commit(struct http1_close *r, const struct http1_close_plan *plan, size_t sent);

#endif
