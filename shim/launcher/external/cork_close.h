/* cork_close.h: letting go of a connection that is never idle, without a word of ours in its bytes.
 *
 * To close it in a pause loses whatever request is on its way just then. So its end has to arrive together with a
 * response, which a client reads before it asks again. The kernel can do that: under TCP_CORK it holds back the last
 * part of what is written, at most 200 ms, until more comes, or the FIN. We cork the connection in a pause, wait until the
 * answer to the next request lies there, and make the program read an end of file: it closes, and the FIN leaves in the
 * same segment as the answer's last bytes.
 *
 * Meanwhile we hold a descriptor of the connection, and the program's own close would close nothing. Therefore it is let go
 * as soon as the program is seen to have closed its own, and only so many are held at a time. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_CORK_CLOSE_H
#define LASTCALL_LAUNCHER_EXTERNAL_CORK_CLOSE_H

#include "base.h"

struct farewell {
    int fd;        /* -1: none is being said */
    uint32_t lies; /* bytes that lay there when we last looked */
    uint32_t left; /* segments with data that had left by then */
    nsec_t since;  /* when just these were first seen */
    nsec_t before; /* when the first of them did not lie there yet */
    nsec_t looked; /* the last look */
};

/* Takes fd over, which is ours. */
void farewell_begin(struct farewell *f, int fd, nsec_t now);

/* To be called every few milliseconds. True: it was said, the end of file is there to be read. */
bool farewell_step(struct farewell *f, nsec_t now);

/* Not now after all: the connection is as it was before. */
void farewell_drop(struct farewell *f);

#endif
