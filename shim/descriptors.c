/* descriptors.c: see descriptors.h. What is known of each descriptor, and the entries of the connections among them. */
#include "descriptors.h"

#include "group/peers.h"
#include "compat/node_cluster.h"
#include "record.h"
#include "sys/log.h"

#include <sys/mman.h>

HIDDEN uint32_t *fd_slot;
HIDDEN unsigned fd_slots;

/* The slot, once the sweep is no longer looking: for a few system calls. */
uint32_t shim_settled_slot(int fd)
{
    uint32_t slot;
    while (UNLIKELY((slot = slot_of(fd)) == LOOKED_AT))
        sys0(SYS_sched_yield);
    return slot;
}

void *shim_map_zeroed(size_t size)
{
    long at = sys6(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at < 0 && at > -4096 ? NULL : (void *)at;
}

bool slot_possible(int fd)
{
    if (UNLIKELY(fd_slots == 0)) {
        uint32_t *none = NULL, *table = shim_map_zeroed(FD_MAX * sizeof *table);
        if (!table)
            return false;
        if (!__atomic_compare_exchange_n(&fd_slot, &none, table, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            sys2(SYS_munmap, table, FD_MAX * sizeof *table);
        __atomic_store_n(&fd_slots, FD_MAX, __ATOMIC_RELEASE);
    }
    return (unsigned)fd < FD_MAX;
}

/* ---- the life of a connection's entry ------------------------------------------------------------- */

void conn_free_if_alone(struct conn *c)
{
    /* Both locks, for good: conn_init opens them for the next use. */
    if (!conn_follow(&c->calls_in))
        return;
    if (!conn_follow(&c->calls_out)) {
        __atomic_fetch_sub(&c->calls_in, CONN_LOCKED, __ATOMIC_RELEASE);
        return;
    }
    STORE(c->live, false);
    __atomic_store_n(&c->dead, false, __ATOMIC_RELEASE);
    STORE(c->generation, c->generation + 1); /* calls that are still at it shall see that it is no longer theirs */
    pool_give(&shim.pool, c);
}

void conn_pin(struct conn *c)
{
    while (!conn_lock(&c->pin))
        sys0(SYS_sched_yield);
}

void conn_unpin(struct conn *c)
{
    __atomic_store_n(&c->pin, 0, __ATOMIC_RELEASE);
}

void shim_free(struct conn *c)
{
    __atomic_store_n(&c->dead, true, __ATOMIC_SEQ_CST);
    conn_free_if_alone(c);
}

static struct conn *take_conn(void)
{
    enum { TRIES = 4 }; /* threads that grow the pool at the same moment may take each other's new entries */
    struct conn *c = pool_take(&shim.pool);
    for (int i = 0; UNLIKELY(!c) && i < TRIES; i++) {
        struct conn_chunk *chunk = shim_map_zeroed(sizeof *chunk);
        if (!chunk)
            return NULL;
        if (!pool_grow(&shim.pool, chunk))
            sys2(SYS_munmap, chunk, sizeof *chunk);
        c = pool_take(&shim.pool);
    }
    return c;
}

static void forget_slot(int fd, uint32_t slot);

/* The number is this connection's from now on. What we knew of it is forgotten only then: it may be the same connection,
 * which the sweep has found (whoever accepts it knows it better), and the pump must never look at a moment in which it is
 * in no table. */
static void claim_number(int fd, uint32_t slot)
{
    uint32_t before;
    do
        before = shim_settled_slot(fd);
    while (!slot_change(fd, before, slot));
    if (before != 0 && (!shim.armed || shim_is_our_process()))
        forget_slot(fd, before);
}

void shim_cannot_watch(const char *what, uint8_t *said)
{
    if (__atomic_exchange_n(said, 1, __ATOMIC_RELAXED))
        return;
    if (!shim.armed) {
        shim.pid = (int)sys0(SYS_getpid);
        log_remember_stderr(&shim.fd2_dev, &shim.fd2_ino);
    }
    log_warning(what);
}

struct conn *shim_track(int fd, uint16_t listener, bool unix_, bool found)
{
    if (!slot_possible(fd))
        return NULL;
    struct conn *c = take_conn();
    if (!c) {
        static uint8_t said;
        shim_cannot_watch("no memory to watch a connection: it is not waited for", &said);
        if (fd_slot[fd] != 0 && !found)
            shim_forget(fd); /* stale: closed where we could not see it */
        return NULL;
    }
    conn_init(c, fd, listener, unix_);
    if (UNLIKELY(found)) {
        conn_doubt(c, DOUBT_FOUND);
        c->epoll_fd = -2;
    }
    shim_stays();
    uint32_t slot = fd_slot_make(FD_CONN, c->index);
    if (UNLIKELY(shim_draining())) {
        c->since = shim_now();
        c->late = true;
        if (!found)
            record_new(c, HISTORY_IDLE, c->since); /* else the survey says what it is */
    }
    conn_lives(c); /* with its own idle window: else the pump would take it for one that has had its time */
    if (LIKELY(!found)) {
        claim_number(fd, slot);
    } else if (!slot_change(fd, LOOKED_AT, slot)) { /* no longer the descriptor that we looked at */
        shim_free(c);
        return NULL;
    }
    return c;
}

/* ---- descriptors ------------------------------------------------------------------------------------ */

void shim_alias(int fd, int copy)
{
    uint32_t slot = shim_settled_slot(fd);
    if (fd == copy)
        return;
    if (!shim_is_our_process()) {
        /* vfork's child puts a listener where the program that it becomes will look for it, and that one is a stranger. */
        if (shim.injected && fd_slot_kind(slot) == FD_LISTENER)
            shim_share(fd);
        return;
    }
    if (slot_of(copy) != 0)
        shim_forget(copy);
    if (slot == 0 || (unsigned)copy >= FD_MAX)
        return;
    if (fd_slot_kind(slot) == FD_CONN)
        __atomic_add_fetch(&pool_of_slot(&shim.pool, slot)->aliases, 1, __ATOMIC_RELAXED);
    else if (fd_slot_kind(slot) == FD_LISTENER)
        __atomic_add_fetch(&shim.listener[fd_slot_index(slot)].aliases, 1, __ATOMIC_RELAXED);
    slot_set(copy, slot);
}

/* Another descriptor with the same slot; -1 if there is none (then it was counted wrongly). */
static int find_alias(int fd, uint32_t slot)
{
    for (int i = 0; i <= shim.fd_top; i++)
        if (i != fd && fd_slot[i] == slot)
            return i;
    return -1;
}

void shim_forget(int fd)
{
    uint32_t slot = shim_settled_slot(fd);
    if (slot == 0 || (shim.armed && !shim_is_our_process()))
        return;
    slot_set(fd, 0);
    forget_slot(fd, slot);
}

/* What was under this number is there no longer. */
static void forget_slot(int fd, uint32_t slot)
{
    if (fd == group.fd) { /* the program has put another descriptor there: that one is its own */
        group.fd = -1;
    } else if (node_cluster_is(slot)) {
        node_cluster_closed();
    } else if (fd_slot_kind(slot) == FD_LISTENER) {
        struct listener *l = &shim.listener[fd_slot_index(slot)];
        if (__atomic_sub_fetch(&l->aliases, 1, __ATOMIC_ACQ_REL) == 0)
            l->live = false;
        else if (l->fd == fd)
            l->fd = find_alias(fd, slot);
    } else if (fd_slot_kind(slot) == FD_CONN) {
        struct conn *c = pool_of_slot(&shim.pool, slot);
        if (__atomic_sub_fetch(&c->aliases, 1, __ATOMIC_ACQ_REL) > 0) {
            if (c->fd == fd)
                c->fd = find_alias(fd, slot);
            return;
        }
        bool draining = shim_draining();
        if (draining) {
            conn_pin(c); /* the pump may be at it; conn_init opens the pin for the next use */
            record(c, HISTORY_CLOSED);
        }
        shim_free(c);
        if (draining)
            shim_wake(c);
    }
}

void shim_share(int fd)
{
    uint32_t slot = slot_of(fd);
    if (fd_slot_kind(slot) == FD_CONN) {
        struct conn *c = pool_of_slot(&shim.pool, slot);
        c->shared = c->sent = true;
    } else if (fd_slot_kind(slot) == FD_LISTENER)
        shim.listener[fd_slot_index(slot)].shared = true;
}

int shim_next_own(unsigned from)
{
    int next = FD_MAX;
    int fixed[] = {shim.epoll, shim.event, shim.log_fd, shim.report_fd, group.fd};
    for (unsigned i = 0; i < COUNT(fixed); i++)
        if (fixed[i] >= (int)from && fixed[i] < next)
            next = fixed[i];
    for (uint32_t i = 0, n = pool_size(&shim.pool); i < n; i++) {
        const struct conn *c = pool_at(&shim.pool, i);
        if (c->live && c->stage == CONN_LINGERING && c->fd >= (int)from && c->fd < next)
            next = c->fd;
    }
    int watched = peers_next_own(from);
    return watched < next ? watched : next;
}

void shim_signal_descriptor(int fd)
{
    if (!shim.off && slot_possible(fd))
        slot_set(fd, fd_slot_make(FD_SPECIAL, SPECIAL_SIGNALFD));
}

void shim_handoff_descriptor(int fd)
{
    if (slot_possible(fd))
        slot_set(fd, fd_slot_make(FD_SPECIAL, SPECIAL_HANDOFF));
}
