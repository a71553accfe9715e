/* connections.c: see connections.h. */
#include "track/connections.h"

#include "sys/map.h"
#include "sys/syscall.h"
#include "track/listeners.h"

HIDDEN struct conn_pool connections;

/* Gives a closed connection's entry back to the pool, unless another thread is at its bytes. */
static void free_if_alone(struct conn *c)
{
    /* Both locks, for good: conn_init opens them for the next use. */
    if (!conn_follow(&c->calls_in))
        return;
    if (!conn_follow(&c->calls_out)) {
        __atomic_fetch_sub(&c->calls_in, CONN_LOCKED, __ATOMIC_RELEASE);
        return;
    }
    STORE(c->live, false);
    __atomic_store_n(&c->attention, 0, __ATOMIC_RELEASE);
    STORE(c->generation, c->generation + 1); /* calls that are still at it shall see that it is no longer theirs */
    pool_give(&connections, c);
}

void connections_free(struct conn *c)
{
    __atomic_fetch_or(&c->attention, CONN_DEAD, __ATOMIC_SEQ_CST);
    free_if_alone(c);
}

void connections_attend(struct conn *c)
{
    uint8_t attention = __atomic_load_n(&c->attention, __ATOMIC_SEQ_CST);
    if (attention & CONN_JUDGED)
        listeners_judge(c);
    if (attention & CONN_DEAD)
        free_if_alone(c);
}

struct conn *connections_take(void)
{
    enum { TRIES = 4 }; /* threads that grow the pool at the same moment may take each other's new entries */
    struct conn *c = pool_take(&connections);
    for (int i = 0; UNLIKELY(!c) && i < TRIES; i++) {
        struct conn_chunk *chunk = map_zeroed(sizeof *chunk);
        if (!chunk)
            return NULL;
        if (!pool_grow(&connections, chunk))
            map_free(chunk, sizeof *chunk);
        c = pool_take(&connections);
    }
    return c;
}

void connections_pin(struct conn *c)
{
    while (!conn_lock(&c->pin))
        sys0(SYS_sched_yield);
}

void connections_unpin(struct conn *c)
{
    __atomic_store_n(&c->pin, 0, __ATOMIC_RELEASE);
}

bool connections_inherits(void)
{
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++)
        if (pool_at(&connections, i)->live && conn_is_inherited(pool_at(&connections, i)))
            return true;
    return false;
}

void connections_share(void)
{
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++)
        if (pool_at(&connections, i)->live)
            conn_share(pool_at(&connections, i));
}

static void inherit(struct conn *c)
{
    c->pin = 0;
    if (c->live && c->stage == CONN_LINGERING) { /* it is in the hands of the parent's drain */
        c->live = false;
        c->calls_in = c->calls_out = 0;
        pool_give(&connections, c);
        return;
    }
    if (c->live)
        conn_inherit(c);
    c->report.log = 0;
    c->calls_in = c->calls_out = c->live ? CONN_UNUSED : 0;
    c->io.epoll_fd = c->io.epoll_fd == -1 ? -1 : -2; /* the parent's set: hands off */
}

void connections_after_fork(void)
{
    for (uint32_t i = 0, n = pool_size(&connections); i < n; i++)
        inherit(pool_at(&connections, i));
    connections_share();
}
