/* cork_close.h: closing a connection that is never idle, without a byte of ours in its stream.
 *
 * To close it in a pause loses a request that is on its way just then. So the FIN has to arrive together with a response,
 * which a client reads before it asks again. The kernel can do that: under TCP_CORK it holds back the last part of what is
 * written, at most 200 ms, until more comes, or the FIN. So the connection is corked in a pause; when the response to the
 * next request is held back, the program is made to read an end of file: it closes, and the FIN leaves in the same segment as
 * the response's last bytes.
 *
 * Meanwhile we hold a descriptor of the connection, and the program's own close would close nothing. Therefore the descriptor
 * is closed as soon as the program is seen to have closed its own, and only so many are held at a time. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_CORK_CLOSE_H
#define LASTCALL_LAUNCHER_EXTERNAL_CORK_CLOSE_H

#include "base.h"

struct cork_close {
    int fd;                 /* -1: the connection is not corked by us */
    uint32_t held_bytes;    /* that the cork held back at the last look */
    uint32_t segments_sent; /* segments with data that had left by then */
    nsec_t since;           /* when just these bytes were first seen */
    nsec_t before;          /* when the first of these bytes was not held yet */
    nsec_t looked;          /* the last look */
};

/* Takes fd over, which is ours. */
void cork_close_begin(struct cork_close *c, int fd, nsec_t now);

/* To be called every few milliseconds. True: the end of file is there to be read, and fd closed. */
bool cork_close_step(struct cork_close *c, nsec_t now);

/* Not now after all: the connection is as it was before. */
void cork_close_cancel(struct cork_close *c);

#endif
