/* connections.h: the entries of the connections, and the locks of one entry. Any thread, any signal handler. */
#ifndef LASTCALL_TRACK_CONNECTIONS_H
#define LASTCALL_TRACK_CONNECTIONS_H

#include "core/conn_pool.h"

extern HIDDEN struct conn_pool connections;

/* A lock: taken or not, never waited for. */
static inline bool conn_lock(uint8_t *lock)
{
    return __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) == 0;
}

/* The lock of one direction (calls: calls_in, calls_out), likewise: to follow its bytes. */
static INLINE bool conn_follow(uint32_t *calls)
{
    return (__atomic_fetch_or(calls, CONN_LOCKED, __ATOMIC_ACQUIRE) & CONN_LOCKED) == 0;
}

/* A call on c is over, and c wants attention (enum conn_attention). */
void connections_attend(struct conn *c);

/* Gives the lock back. `done`: calls that are thereby over, 0 or 1. */
static INLINE void conn_followed(struct conn *c, uint32_t *calls, uint32_t done)
{
    __atomic_sub_fetch(calls, CONN_LOCKED + done, __ATOMIC_SEQ_CST);
    if (UNLIKELY(__atomic_load_n(&c->attention, __ATOMIC_SEQ_CST)))
        connections_attend(c);
}

/* An entry for a new connection; NULL: no memory. */
struct conn *connections_take(void);
/* The connection is closed. */
void connections_free(struct conn *c);

/* The descriptor of c does not change hands, nor is it closed, while pinned. Only the drain's thread and a close pin,
 * each for a few system calls; the drain's thread never waits for a pin (conn_lock(&c->pin) instead). */
void connections_pin(struct conn *c);
void connections_unpin(struct conn *c);

/* Does this process hold connections that its parent may have left to it? */
bool connections_inherits(void);

/* From a fork on, no connection is CONN_OWN: a shutdown() would act on the other process's descriptor too. */
void connections_share(void);

/* A fork's child has its parent's connections, but calls in progress on them are the parent's. */
void connections_after_fork(void);

#endif
