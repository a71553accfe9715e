/* handoff.h: a worker of node's cluster, whose primary accepts and hands it one connection after the other over a unix
 * socket (core/cluster.h). One that is handed over in the moment of the worker's end would be served by nobody. So a worker
 * that drains alone first tells the primary what its own server.close() would tell it, and waits until no connection can
 * be on its way any more.
 *
 * Whoever does not fit the picture in any detail (no such variables, other lines) costs nothing and is left alone. */
#ifndef LASTCALL_HANDOFF_H
#define LASTCALL_HANDOFF_H

#include "core/cluster.h"
#include "shim.h"

struct handoff {
    int fd;          /* that socket, as the environment had named it; -1: none */
    uint32_t calls;  /* the program's calls on it that are going on, and HANDOFF_OURS */
    uint32_t handed; /* connections so far */
    bool unanswered; /* the program has not written anything since the last of them */
    bool whole;      /* what it wrote last was whole, and the end of a message */
    struct cluster cluster;
};
extern HIDDEN struct handoff handoff;

enum { HANDOFF_OURS = 1 << 30 };

/* The constructor: is this process a worker? */
void handoff_bind(const char *const *environment);

/* A fork's child: it is its parent's. */
void handoff_forget(void);
/* The program closes it, or puts another descriptor in its place: returns when none of us is at it. */
void handoff_closed(int fd);

/* ---- hooks ---- */
static inline bool handoff_is(uint32_t slot)
{
    return slot == fd_slot_make(FD_SPECIAL, SPECIAL_HANDOFF);
}
/* Around the program's read and write of the socket: what it got (n < 0: nothing), what it had written of its bytes. Ours
 * lie between its calls: the program waits for them, for a few system calls. */
void handoff_begin(void);
void handoff_read(const struct rewrite_chunk *chunks, size_t count, ssize_t n);
void handoff_wrote(const struct rewrite_chunk *chunks, size_t count, ssize_t n);

/* ---- pump ---- */
/* Its token in the private epoll set: below those of the group's processes (watch.c). */
#define HANDOFF_TOKEN (UINT64_MAX - 1 - MEMBERS_MAX)

/* Have ourselves handed no more, if this process drains alone and it is time: siblings get them instead, or nothing else
 * is owed (last). True: that has begun. */
bool handoff_leave(bool last, nsec_t now);
/* Add what may still be on its way to the census: before the connections are counted. */
void handoff_census(struct census *census, nsec_t now);

#endif
