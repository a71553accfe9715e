/* close_notice.h: while draining, a response head is sent with the close option (RFC 9110 7.6.1). Any thread, any
 * signal handler. */
#ifndef LASTCALL_TRACK_CLOSE_NOTICE_H
#define LASTCALL_TRACK_CLOSE_NOTICE_H

#include "track/io.h"

struct close_notice {
    struct http1_close_plan plan;
    struct http1_close rewrite; /* how far the head was when this was planned */
    size_t before;              /* bytes that pass ahead of the head */
    size_t total;               /* bytes of the program in wire */
    size_t wire_total;
};

/* Must this write carry the close notice? Fills wire (at most max chunks) with what goes out instead, and *f for
 * close_notice_sent. False: send as it is. */
bool close_notice_plan(struct io_call *call, const struct http1_span *chunks, size_t count, struct close_notice *f,
                       struct http1_span *wire, size_t max, size_t *wire_count);

/* `sent` wire bytes went out. Returns the program's bytes done by that. */
size_t close_notice_sent(struct io_call *call, const struct close_notice *f, size_t sent,
                         const struct http1_span *chunks, size_t count);

#endif
