/* conn_pool.h: from a descriptor to the entry of its connection or listener, and the pool of connections.
 *
 * Pure: the memory is the caller's. Lock-free, usable in a signal handler. A slot is one word: its kind in the two
 * top bits, an index below; so an untracked file costs one load and one branch. */
#ifndef LASTCALL_CONN_POOL_H
#define LASTCALL_CONN_POOL_H

#include "core/conn.h"

enum { FD_MAX = 1 << 20 }; /* the kernel's default nr_open; higher ones pass through */

enum fd_kind { FD_OTHER, FD_CONN, FD_LISTENER, FD_SPECIAL };
/* The index of a special slot: a signalfd; a descriptor of lastcall, which the program cannot close; a socket that
 * this process has bound; a descriptor that the sweep is looking at (a thread that is about to change its slot
 * waits); the socket over which node's primary passes connections (compat/node_cluster.h); a socket, none
 * of ours, whose calls have a time-out (hook/timed.c); a socket over which this process, a primary of node's, passes
 * connections (compat/node_primary.h). */
enum fd_special {
    SPECIAL_SIGNALFD,
    SPECIAL_OWN,
    SPECIAL_BOUND,
    SPECIAL_LOOKED_AT,
    SPECIAL_NODE_CLUSTER,
    SPECIAL_TIMED,
    SPECIAL_CHANNEL,
    SPECIAL_KINDS,
};

static inline uint32_t fd_slot_make(enum fd_kind kind, uint32_t index)
{
    return (uint32_t)kind << 30 | index;
}

static inline enum fd_kind fd_slot_kind(uint32_t slot)
{
    return (enum fd_kind)(slot >> 30);
}

static inline uint32_t fd_slot_index(uint32_t slot)
{
    return slot & 0x3fffffff;
}

static inline bool fd_slot_is_own(uint32_t slot)
{
    return slot == fd_slot_make(FD_SPECIAL, SPECIAL_OWN);
}

enum { POOL_CHUNK = 64, POOL_CHUNKS = FD_MAX / POOL_CHUNK };

struct conn_chunk {
    uint64_t used; /* a bit each */
    struct conn conn[POOL_CHUNK];
};

struct conn_pool {
    struct conn_chunk *chunk[POOL_CHUNKS];
    uint32_t chunks; /* so many are there */
    uint32_t hint;   /* chunk to look in first */
};

/* A free connection, not yet initialised, or NULL: give the pool another chunk, or do without. */
struct conn *pool_take(struct conn_pool *p);

void pool_give(struct conn_pool *p, struct conn *c);

/* Add a zeroed chunk. False: someone else added one at the same moment, or the pool is full. */
bool pool_grow(struct conn_pool *p, struct conn_chunk *chunk);

/* NULL if there is no such entry. It may be unused: see conn.live. */
struct conn *pool_at(const struct conn_pool *p, uint32_t index);

/* The entry that a slot of kind FD_CONN means: it exists. */
static inline struct conn *pool_of_slot(const struct conn_pool *p, uint32_t slot)
{
    size_t chunk = slot / POOL_CHUNK - fd_slot_make(FD_CONN, 0) / POOL_CHUNK; /* the kind costs nothing so */
    return &p->chunk[chunk]->conn[slot % POOL_CHUNK];
}

/* Entries that exist, used or not. */
uint32_t pool_size(const struct conn_pool *p);

#endif
