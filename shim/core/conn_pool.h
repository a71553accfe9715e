/* conn_pool.h: the pool of connections.
 *
 * Pure: the memory is the caller's. Lock-free, usable in a signal handler. */
#ifndef LASTCALL_CONN_POOL_H
#define LASTCALL_CONN_POOL_H

#include "core/conn.h"
#include "core/fd_slot.h"

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
