/* node_cluster.h: a worker of node's cluster. The primary accepts, and passes each connection to a worker over a unix
 * socket (core/node_cluster_lines.h). A connection that is passed while the worker exits would never be served. So a
 * worker that drains alone first sends the primary the lines that the worker's own server.close() would send, and waits
 * until no connection can be on its way any more.
 *
 * A process that differs from such a worker in any detail (no such variables, other lines) costs nothing and is left
 * alone. */
#ifndef LASTCALL_COMPAT_NODE_CLUSTER_H
#define LASTCALL_COMPAT_NODE_CLUSTER_H

#include "core/drain.h"
#include "core/node_cluster_lines.h"
#include "core/http1_close.h"
#include "group/group.h"
#include "track/slots.h"

#include <sys/types.h>

struct node_cluster {
    int fd;          /* the socket to the primary, as the environment had named it; -1: none */
    uint32_t calls;  /* the program's calls on the socket that are going on, and NODE_CLUSTER_OURS */
    uint32_t handed; /* connections so far */
    bool unanswered; /* the program has not written anything since the last of them */
    bool whole;      /* what the program wrote last was whole, and the end of a message */
    struct node_cluster_lines lines;
};
extern HIDDEN struct node_cluster node_cluster;

enum { NODE_CLUSTER_OURS = 1 << 30 };

/* The constructor: is this process a worker? */
void node_cluster_bind(const char *const *environment);

/* A fork's child: the socket is its parent's. */
void node_cluster_after_fork(void);

/* ---- hooks ---- */

static inline bool node_cluster_has(int fd)
{
    return fd == node_cluster.fd && fd >= 0;
}

static inline bool node_cluster_is(uint32_t slot)
{
    return slot == fd_slot_make(FD_SPECIAL, SPECIAL_NODE_CLUSTER);
}

/* Around the program's read and write of the socket: the bytes that the read got (n < 0: none), and how many of its
 * bytes the write took. Calls of lastcall run between those of the program: the program waits for them, for a few
 * system calls. */
void node_cluster_begin(void);
void node_cluster_read(const struct http1_span *chunks, size_t count, ssize_t n);
void node_cluster_wrote(const struct http1_span *chunks, size_t count, ssize_t n);

/* ---- drain thread ---- */

/* The socket's token in the private epoll set: below those of the group's processes (group/peers.h). */
#define NODE_CLUSTER_TOKEN (UINT64_MAX - 1 - GROUP_TABLE_MAX)

/* Have ourselves handed no more connections, if this process drains alone and it is time: siblings get them instead, or
 * nothing else is outstanding (last). True: that has begun. */
bool node_cluster_leave(bool last, nsec_t now);
/* Add what may still be on its way to the census: before the connections are counted. */
void node_cluster_census(struct census *census, nsec_t now);

#endif
