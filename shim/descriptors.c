/* descriptors.c: see descriptors.h. What is known of each descriptor, and the entries of the connections among them. */
#include "descriptors.h"

#include "group.h"
#include "handoff.h"
#include "record.h"

static void forget_slot(int fd, uint32_t slot);

/* The number is this connection's from now on. What we knew of it is forgotten only then: it may be the same connection,
 * which the sweep has found (whoever accepts it knows it better), and the pump must never look at a moment in which it is
 * in no table. */
static void claim_number(int fd, uint32_t slot)
{
    uint32_t before;
    do
        before = slots_settled(fd);
    while (!slots_change(fd, before, slot));
    if (before != 0 && (!self_armed() || self_is_our_process()))
        forget_slot(fd, before);
}

struct conn *shim_track(int fd, uint16_t listener, bool unix_, bool found)
{
    if (!slots_possible(fd))
        return NULL;
    struct conn *c = connections_take();
    if (!c) {
        static uint8_t said;
        log_cannot_watch("no memory to watch a connection: it is not waited for", &said);
        if (fd_slot[fd] != 0 && !found)
            shim_forget(fd); /* stale: closed where we could not see it */
        return NULL;
    }
    conn_init(c, fd, listener, unix_);
    if (UNLIKELY(found)) {
        conn_doubt(c, DOUBT_FOUND);
        c->epoll_fd = -2;
    }
    self_settle();
    uint32_t slot = fd_slot_make(FD_CONN, c->index);
    if (UNLIKELY(deferred_draining())) {
        c->since = clock_now();
        c->late = true;
        if (!found)
            record_new(c, HISTORY_IDLE, c->since); /* else the survey says what it is */
    }
    conn_lives(c); /* with its own idle window: else the pump would take it for one that has had its time */
    if (LIKELY(!found)) {
        claim_number(fd, slot);
    } else if (!slots_change(fd, LOOKED_AT, slot)) { /* no longer the descriptor that we looked at */
        connections_free(c);
        return NULL;
    }
    return c;
}

/* ---- descriptors ------------------------------------------------------------------------------------ */

void shim_alias(int fd, int copy)
{
    uint32_t slot = slots_settled(fd);
    if (fd == copy)
        return;
    if (!self_is_our_process()) {
        /* vfork's child puts a listener where the program that it becomes will look for it, and that one is a stranger. */
        if (self_is_injected() && fd_slot_kind(slot) == FD_LISTENER)
            shim_share(fd);
        return;
    }
    if (slot_of(copy) != 0)
        shim_forget(copy);
    if (slot == 0 || (unsigned)copy >= FD_MAX)
        return;
    if (fd_slot_kind(slot) == FD_CONN)
        __atomic_add_fetch(&pool_of_slot(&connections, slot)->aliases, 1, __ATOMIC_RELAXED);
    else if (fd_slot_kind(slot) == FD_LISTENER)
        __atomic_add_fetch(&listeners.entry[fd_slot_index(slot)].aliases, 1, __ATOMIC_RELAXED);
    slots_set(copy, slot);
}

/* Another descriptor with the same slot; -1 if there is none (then it was counted wrongly). */
static int find_alias(int fd, uint32_t slot)
{
    for (int i = 0; i <= slots.top; i++)
        if (i != fd && fd_slot[i] == slot)
            return i;
    return -1;
}

void shim_forget(int fd)
{
    uint32_t slot = slots_settled(fd);
    if (slot == 0 || (self_armed() && !self_is_our_process()))
        return;
    slots_set(fd, 0);
    forget_slot(fd, slot);
}

/* What was under this number is there no longer. */
static void forget_slot(int fd, uint32_t slot)
{
    if (fd == group.fd) { /* the program has put another descriptor there: that one is its own */
        ownfd_remove(fd);
        group.fd = -1;
    } else if (handoff_is(slot)) {
        handoff_closed();
    } else if (fd_slot_kind(slot) == FD_LISTENER) {
        struct listener *l = &listeners.entry[fd_slot_index(slot)];
        if (__atomic_sub_fetch(&l->aliases, 1, __ATOMIC_ACQ_REL) == 0)
            l->live = false;
        else if (l->fd == fd)
            l->fd = find_alias(fd, slot);
    } else if (fd_slot_kind(slot) == FD_CONN) {
        struct conn *c = pool_of_slot(&connections, slot);
        if (__atomic_sub_fetch(&c->aliases, 1, __ATOMIC_ACQ_REL) > 0) {
            if (c->fd == fd)
                c->fd = find_alias(fd, slot);
            return;
        }
        bool draining = deferred_draining();
        if (draining) {
            connections_pin(c); /* the pump may be at it; conn_init opens the pin for the next use */
            record(c, HISTORY_CLOSED);
        }
        connections_free(c);
        if (draining)
            wake_changed(c);
    }
}

void shim_share(int fd)
{
    uint32_t slot = slot_of(fd);
    if (fd_slot_kind(slot) == FD_CONN) {
        struct conn *c = pool_of_slot(&connections, slot);
        c->shared = c->sent = true;
    } else if (fd_slot_kind(slot) == FD_LISTENER)
        listeners.entry[fd_slot_index(slot)].shared = true;
}

void shim_signal_descriptor(int fd)
{
    if (!self_off() && slots_possible(fd))
        slots_set(fd, fd_slot_make(FD_SPECIAL, SPECIAL_SIGNALFD));
}

void shim_handoff_descriptor(int fd)
{
    if (slots_possible(fd))
        slots_set(fd, fd_slot_make(FD_SPECIAL, SPECIAL_HANDOFF));
}
