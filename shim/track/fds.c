/* fds.c: see fds.h. */
#include "track/fds.h"

#include "process/clock.h"
#include "process/config.h"
#include "process/deferred.h"
#include "process/log.h"
#include "process/self.h"
#include "process/wake.h"
#include "sys/net.h"
#include "sys/syscall.h"
#include "track/conn_log.h"
#include "track/connections.h"
#include "track/slots.h"

#include <sys/epoll.h>

/* ---- forgetting ------------------------------------------------------------------------------------- */

/* Another descriptor with the same slot; -1 if there is none (then it was counted wrongly). */
static int find_alias(int fd, uint32_t slot)
{
    for (int i = 0; i <= LOAD(slots.top); i++)
        if (i != fd && fd_slot[i] == slot)
            return i;
    return -1;
}

static void forget_listener(int fd, uint32_t slot)
{
    struct listener *l = &listeners.entry[fd_slot_index(slot)];
    listeners_await_swap(l);
    if (__atomic_sub_fetch(&l->aliases, 1, __ATOMIC_ACQ_REL) == 0)
        listeners_give_back(l);
    else if (l->fd == fd)
        l->fd = find_alias(fd, slot);
}

static void forget_connection(int fd, uint32_t slot)
{
    struct conn *c = pool_of_slot(&connections, slot);
    if (__atomic_sub_fetch(&c->aliases, 1, __ATOMIC_ACQ_REL) > 0) {
        if (c->fd == fd)
            c->fd = find_alias(fd, slot);
        return;
    }
    bool draining = deferred_draining();
    if (draining) {
        connections_pin(c); /* the drain's thread may be at it; conn_init opens the pin for the next use */
        conn_log_note(c, CONN_HISTORY_CLOSED);
    }
    connections_free(c);
    if (draining)
        wake_changed(c);
}

/* What was under this number is there no longer. */
static void forget_slot(int fd, uint32_t slot)
{
    switch (fd_slot_kind(slot)) {
    case FD_LISTENER: forget_listener(fd, slot); break;
    case FD_CONN: forget_connection(fd, slot); break;
    case FD_SPECIAL: slots_closed(fd, slot); break;
    default: break;
    }
}

void fds_forget(int fd)
{
    uint32_t slot = slots_settled(fd);
    if (slot == 0 || (self_armed() && !self_is_our_process()))
        return;
    slots_set(fd, 0);
    forget_slot(fd, slot);
}

/* ---- connections ------------------------------------------------------------------------------------ */

/* The number is this connection's from now on. What we knew of it is forgotten only then: it may be the same
 * connection, which the sweep has found (the accepting thread knows it better), and the drain's thread must never look
 * at a moment in which the connection is in no table. */
static void claim_number(int fd, uint32_t slot)
{
    uint32_t before;
    do
        before = slots_settled(fd);
    while (!slots_change(fd, before, slot));
    if (before != 0 && (!self_armed() || self_is_our_process()))
        forget_slot(fd, before);
}

/* found: by the sweep, which is looking at fd. */
static struct conn *track(int fd, uint16_t listener, bool unix_, bool found)
{
    if (!slots_possible(fd))
        return NULL;
    struct conn *c = connections_take();
    if (!c) {
        static uint8_t said;
        log_cannot_watch("no memory to watch a connection: it is not waited for", &said);
        if (fd_slot[fd] != 0 && !found)
            fds_forget(fd); /* stale: closed where we could not see it */
        return NULL;
    }
    conn_init(c, fd, listener, unix_);
    if (listener < LISTENERS_MAX && listeners_are_judged(&listeners.entry[listener]))
        c->attention = CONN_JUDGED;
    if (UNLIKELY(found)) {
        conn_set_opaque(c, OPAQUE_FOUND);
        c->io.epoll_fd = -2;
    }
    self_settle();
    uint32_t slot = fd_slot_make(FD_CONN, c->index);
    if (UNLIKELY(deferred_draining())) {
        c->since = clock_now();
        conn_report_set(c, CONN_LATE);
        if (!found)
            conn_log_new(c, CONN_HISTORY_IDLE, c->since); /* else the scan finds its state */
    }
    conn_lives(c); /* with its own idle window: else the drain's thread would take it for one that has had its time */
    if (LIKELY(!found)) {
        claim_number(fd, slot);
    } else if (!slots_change(fd, LOOKED_AT, slot)) { /* no longer the descriptor that we looked at */
        connections_free(c);
        return NULL;
    }
    return c;
}

struct conn *fds_track(int fd, uint16_t listener, bool unix_)
{
    return track(fd, listener, unix_, false);
}

void fds_note_epoll(struct conn *c, int ep, int op)
{
    if (op == EPOLL_CTL_ADD)
        c->io.epoll_fd = c->io.epoll_fd == -1 || c->io.epoll_fd == ep ? ep : -2;
    else if (op == EPOLL_CTL_DEL && c->io.epoll_fd == ep)
        c->io.epoll_fd = -1;
}

/* ---- listeners -------------------------------------------------------------------------------------- */

static bool wanted(const struct sock_address *name)
{
    return options_listens(&config, name->family, name->port, name->addr, name->path, name->path_len);
}

static struct listener *cannot_watch_listener(void)
{
    static uint8_t said;
    log_cannot_watch("a listener cannot be watched: its clients are not waited for", &said);
    return NULL;
}

struct listener *fds_add_listener(int fd, bool ours)
{
    struct sock_address name;
    bool unix_, listening;
    if (!sock_is_stream(fd, &unix_, &listening))
        return sock_answers(fd) ? NULL : cannot_watch_listener();
    if (!listening)
        return NULL;
    if (!sock_local(fd, &name) || !slots_possible(fd))
        return cannot_watch_listener();
    if (fd_slot[fd] != 0)
        fds_forget(fd);
    struct listener *l = listeners_take();
    if (!l)
        return cannot_watch_listener();
    l->fd = fd;
    l->ignored = !wanted(&name);
    l->named = config.listen_count > 0 && !l->ignored;
    l->unix_ = unix_;
    l->shared = l->external = l->inherited = !ours;
    l->reuseport = sock_reuseport(fd);
    l->port = name.port;
    l->name = name;
    l->aliases = 1;
    l->inode = sock_inode(fd);
    l->live = true;
    listeners_tell_choice(l);
    self_settle();
    slots_set(fd, fd_slot_make(FD_LISTENER, (uint32_t)(l - listeners.entry)));
    return l;
}

/* ---- the sweep -------------------------------------------------------------------------------------- */

/* A file that one of our system calls is at outlives its close, and stays in the epoll sets that it is in: the program
 * would hear of it when it has freed what it knew of it. So a close waits until we have looked. */
bool fds_find(int fd)
{
    struct sock_address local, peer;
    bool unix_, listening = false;
    struct conn *c = NULL;
    slots.looked_at = fd;
    if (!slots_possible(fd) || !slots_change(fd, 0, LOOKED_AT))
        return false;
    /* A socket made by connect() has a local port without a listener here. */
    if (sock_is_stream(fd, &unix_, &listening) && !unix_ && !listening && sock_local(fd, &local) &&
        sock_peer(fd, &peer) && listeners_have_port(local.port))
        c = track(fd, LISTENERS_MAX, false, true);
    if (!c)
        slots_change(fd, LOOKED_AT, 0);
    if (!c && listening && !unix_)
        fds_add_listener(fd, false);
    return c != NULL;
}

void fds_find_delegated(int fd)
{
    bool unix_, listening;
    if (slot_of(fd) != fd_slot_make(FD_SPECIAL, SPECIAL_BOUND) || !sock_is_stream(fd, &unix_, &listening) || !listening)
        return;
    struct listener *l = fds_add_listener(fd, true);
    if (l)
        l->delegated = l->shared = l->external = true;
}

/* ---- copies and other processes --------------------------------------------------------------------- */

void fds_alias(int fd, int copy)
{
    uint32_t slot = slots_settled(fd);
    if (fd == copy)
        return;
    if (!self_is_our_process()) {
        /* vfork's child puts a listener where the program that it becomes will look for it, and that program is
         * external. */
        if (self_is_injected() && fd_slot_kind(slot) == FD_LISTENER)
            fds_share(fd);
        return;
    }
    if (slot_of(copy) != 0)
        fds_forget(copy);
    if (slot == 0 || (unsigned)copy >= FD_MAX)
        return;
    if (fd_slot_kind(slot) == FD_CONN)
        __atomic_add_fetch(&pool_of_slot(&connections, slot)->aliases, 1, __ATOMIC_RELAXED);
    else if (fd_slot_kind(slot) == FD_LISTENER)
        __atomic_add_fetch(&listeners.entry[fd_slot_index(slot)].aliases, 1, __ATOMIC_RELAXED);
    slots_set(copy, slot);
}

void fds_share(int fd)
{
    uint32_t slot = slot_of(fd);
    if (fd_slot_kind(slot) == FD_CONN)
        conn_send(pool_of_slot(&connections, slot));
    else if (fd_slot_kind(slot) == FD_LISTENER)
        listeners.entry[fd_slot_index(slot)].shared = true;
}

void fds_share_all(void)
{
    connections_share();
    listeners_share();
}
