/* cork_close.h: closes a connection that is never idle, without adding a byte to its stream.
 *
 * A close during a pause loses a request that is on its way at that moment. So the FIN has to arrive together with a
 * response, which a client reads before it sends the next request. TCP_CORK makes that possible: the kernel holds
 * back the last partial segment for at most 200 ms, until more data or the FIN follows (tcp(7)). So the launcher
 * corks the connection in a pause; once the cork holds back the response to the next request, the launcher makes the
 * read shutdown: the program reads end of file and closes the connection, and the FIN leaves in the same segment as
 * the last bytes of the response.
 *
 * While the launcher holds a descriptor of the connection, the program's own close sends no FIN. Therefore the
 * launcher closes its descriptor as soon as the program has closed its own, and holds a limited number of
 * descriptors at a time. */
#ifndef LASTCALL_LAUNCHER_EXTERNAL_CORK_CLOSE_H
#define LASTCALL_LAUNCHER_EXTERNAL_CORK_CLOSE_H

#include "base.h"

struct cork_close {
    int fd;                 /* -1: the launcher has not corked the connection */
    uint32_t held_bytes;    /* that the cork held back at the last look */
    uint32_t segments_sent; /* segments with data that had left by then */
    nsec_t since;           /* when just these bytes were first seen */
    nsec_t before;          /* when the first of these bytes was not held yet */
    nsec_t looked;          /* the last look */
};

/* Takes ownership of fd, the launcher's own descriptor of the connection. */
void cork_close_begin(struct cork_close *c, int fd, nsec_t now);

/* To be called every few milliseconds. True: the read shutdown was made, and fd is closed. */
bool cork_close_step(struct cork_close *c, nsec_t now);

/* Remove the cork: the connection is as it was before. */
void cork_close_cancel(struct cork_close *c);

#endif
