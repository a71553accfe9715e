/* node_primary.h: the primary of node's cluster. It accepts, passes each connection to a worker, and keeps its own
 * descriptor until the worker has answered: taken (the primary closes it), or refused (the primary passes it to
 * another worker). If the channel to the worker is closed first, no answer can come any more, and node keeps the
 * connection in a callback that is never called: no process reads it, now or later. A drain would wait for its unread
 * request to the deadline. Source: node, lib/internal/cluster/round_robin_handle.js (handoff), utils.js (sendHelper).
 *
 * Any doubt leaves the connection as it is. Any thread. */
#ifndef LASTCALL_COMPAT_NODE_PRIMARY_H
#define LASTCALL_COMPAT_NODE_PRIMARY_H

#include "core/http1_close.h"
#include "core/node_cluster_lines.h"
#include "track/slots.h"

#include <sys/types.h>

/* The constructor. */
void node_primary_bind(void);

/* The program sends these bytes, and the descriptor fd with them, over channel. Before the call. */
void node_primary_sends(int channel, const struct http1_span *chunks, size_t count, int fd);

static inline bool node_primary_is(uint32_t slot)
{
    return slot == fd_slot_make(FD_SPECIAL, SPECIAL_CHANNEL);
}

/* The program has read these bytes from channel (n < 0: none). */
void node_primary_read(int channel, const struct http1_span *chunks, size_t count, ssize_t n);

#endif
